"""Does a map mean anything? Figures of its sanity checks, and what they show together.

Randomisation (Adebayo et al., NeurIPS 2018): a map that stays as it was when the model's weights are replaced by random
ones shows the film, not the model. Deletion and insertion (Petsiuk et al., BMVC 2018): what the map marks should move
the logit. The map's opponents have its own shape: the map rolled elsewhere on the film, and another film's map of the
same label. Scattered random patches are no fair opponent: they blur the whole film a little, which moves a logit more
than one blurred place. Wording: a map that changes with the prompt's wording is no property of the finding.

Occlusion asks without any map whether the model uses the annotators' region: blanking it should lower the label's logit
more than blanking an equal region elsewhere on the same film.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from explorer.analysis.differences import holm
from explorer.analysis.evidence import FEW
from explorer.analysis.metrics import interval, patient_weights

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

RANDOM_STEPS = ("none", "head", "last block", "last 2 blocks", "last 4 blocks", "everything")
"""What is random, growing from the head down; the first, nothing, has similarity 1."""

ROLLED, OTHER_FILM, REGION = "rolled", "other film", "region"
"""Against whom patches are deleted and inserted: the map itself rolled elsewhere, another film's map of the label. And
the ceiling: the annotators' region against itself rolled elsewhere."""

MOVES = ("deletion", "insertion")

OCCLUSION = "occlusion"
AT_REGION, ELSEWHERE, GAP, MIRRORED = "at region", "elsewhere", "gap", "mirrored"
"""Steps of occlusion: how far the logit falls where the region is blanked, where an equal one elsewhere is, the first
less the second, and whether the equal region is the mirror image (1 or 0)."""

LEVEL = 0.05
"""The chance of any false claim that occlusion allows over all regimes."""

ALIKE = 0.5
"""A rank correlation from which two maps are alike."""

Light = Literal["green", "orange", "red"]


def similarity(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Spearman's rank correlation of two maps over their patches; 0 where one of them is constant.

    Examples
    --------
    >>> round(similarity(np.array([[0.0, 1], [2, 3]]), np.array([[0.0, 10], [20, 90]])), 6)
    1.0
    """
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return 0.0
    from scipy.stats import spearmanr  # takes a page's first second, and only precompute measures

    return float(spearmanr(one.ravel(), other.ravel()).statistic)


def roll_elsewhere(grid: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A map at another place: rolled at random, by a quarter of a side or more along at least one axis."""
    sides = grid.shape
    shifts = [
        (down, across)
        for down in range(sides[0])
        for across in range(sides[1])
        if 4 * min(down, sides[0] - down) >= sides[0] or 4 * min(across, sides[1] - across) >= sides[1]
    ]
    return np.roll(grid, shifts[rng.integers(len(shifts))], axis=(0, 1))


def descending(grid: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.int64]:
    """(P,) the patches from the highest value to the lowest; equal ones in random order, not in the film's."""
    return np.lexsort((rng.random(grid.size), -grid.ravel()))


def patch_steps(order: NDArray[np.int64], steps: int) -> NDArray[np.bool_]:
    """(steps + 1, P) which patches are taken at each step along an order, from none to all in even shares."""
    place = np.argsort(order)
    counts = np.round(np.linspace(0, len(order), steps + 1))
    taken: NDArray[np.bool_] = place[None] < counts[:, None]
    return taken


def area_under(logits: NDArray[np.float32]) -> float:
    """Mean height of a curve over even steps (trapezoids)."""
    return float((logits[1:] + logits[:-1]).mean() / 2)


def equal_regions(
    region: NDArray[np.bool_], film: NDArray[np.bool_], rng: np.random.Generator, draws: int
) -> tuple[NDArray[np.bool_], bool]:
    """Regions of the same shape elsewhere on a film.

    The mirror image across the vertical midline is another place of the same anatomy. Where it overlaps the region or
    leaves the film, the shape is moved at random, at steps of a 28th of the side.

    Parameters
    ----------
    region, film : (S, S)
        The region, not empty, and which pixels show the film.
    draws : int
        How many random places, at most.

    Returns
    -------
    (k, S, S) bool, bool
        The equal regions, none of which overlaps the region or leaves the film; k is 0 where none fits. And whether it
        is the mirror image, alone.
    """
    taken = region | ~film
    mirror = region[:, ::-1]
    if not (mirror & taken).any():
        return mirror[None], True
    (top, left), (bottom, right) = (end(np.argwhere(region), axis=0) for end in (np.min, np.max))
    shape = region[top : bottom + 1, left : right + 1]
    tall, wide = shape.shape
    side, step = len(region), max(1, len(region) // 28)
    corners = [(y, x) for y in range(0, side - tall + 1, step) for x in range(0, side - wide + 1, step)]
    masks: list[NDArray[np.bool_]] = []
    for place in rng.permutation(len(corners)):
        y, x = corners[place]
        if (taken[y : y + tall, x : x + wide] & shape).any():
            continue
        mask = np.zeros_like(region)
        mask[y : y + tall, x : x + wide] = shape
        masks.append(mask)
        if len(masks) == draws:
            break
    return np.array(masks, dtype=bool).reshape(-1, side, side), False


def sign_flip_p(values: NDArray[np.float64], patients: NDArray[np.int64], flips: int = 9999, seed: int = 0) -> float:
    """Two-sided p of a mean of 0, by flipping the sign of whole patients at random.

    Examples
    --------
    >>> sign_flip_p(np.ones(12), np.arange(12)) < 0.01, sign_flip_p(np.ones(12), np.zeros(12, int))
    (True, 1.0)
    """
    sums = np.bincount(np.unique(patients, return_inverse=True)[1], values)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (flips, len(sums)))
    # sums of the same numbers in another order differ by rounding
    extreme = np.abs(signs @ sums) >= np.abs(sums.sum()) * (1 - 1e-9)
    return float((extreme.sum() + 1) / (flips + 1))


def occlusion(frame: pd.DataFrame, summary: pd.DataFrame, regimes: Sequence[str]) -> pd.DataFrame:
    """Whether each regime uses the annotators' region: the paired difference of blanking it and an equal one.

    Parameters
    ----------
    frame : DataFrame
        The checks, as for :func:`summarise_checks`.
    summary : DataFrame
        What that function makes of them.

    Returns
    -------
    DataFrame
        regime, n pairs of film and label, n_patients, mirrored (pairs held against the mirror image). The mean fall of
        the logit: at_region, elsewhere, and gap with ci_low and ci_high. p by sign flips of patients, p_adjusted by
        Holm over the regimes; NaN with fewer than FEW patients. Empty where no pair was blanked.
    """
    rows = []
    for regime in regimes:
        ends = figures(summary, regime)
        if not {(OCCLUSION, step) for step in (AT_REGION, ELSEWHERE, GAP, MIRRORED)} <= set(ends):
            continue
        part = frame[(frame["regime"] == regime) & (frame["check"] == OCCLUSION) & (frame["step"] == GAP)]
        patients = part["patient"].to_numpy()
        n, n_patients = len(part), len(np.unique(patients))
        p = sign_flip_p(part["value"].to_numpy(dtype=float), patients) if n_patients >= FEW else np.nan
        at_region, elsewhere, mirrored = (ends[OCCLUSION, step][0] for step in (AT_REGION, ELSEWHERE, MIRRORED))
        falls = at_region, elsewhere, *ends[OCCLUSION, GAP]
        rows.append((regime, n, n_patients, round(mirrored * n), *falls, p))
    columns = ["regime", "n", "n_patients", "mirrored", "at_region", "elsewhere", "gap", "ci_low", "ci_high", "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_adjusted=holm(table["p"].to_numpy(dtype=float)))


def region_use(gap: float, p_adjusted: float) -> str:
    """What a row of :func:`occlusion` shows, in a word or two."""
    if np.isnan(p_adjusted):
        return "too few to say"
    if p_adjusted >= LEVEL:
        return "not shown"
    return "shown" if gap > 0 else "contradicted"


def summarise_checks(frame: pd.DataFrame, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Means over films with 95% intervals from a bootstrap over patients.

    Parameters
    ----------
    frame : DataFrame
        patient, row, label, regime, check, step, draw, value.

    Returns
    -------
    DataFrame
        regime, check, step, value, ci_low, ci_high, n pairs of film and label, n_patients, n_draws. With several draws
        of random weights, the value is their mean and the interval spans the intervals of all draws.
    """
    rows = []
    for (regime, check, step), part in frame.groupby(["regime", "check", "step"], sort=False):
        draws = [_mean_interval(one, resamples, seed) for _, one in part.groupby("draw", sort=False)]
        values, lows, highs = np.array(draws).T
        n_draws, n_patients = len(draws), part["patient"].nunique()
        ends = values.mean(), lows.min(), highs.max()
        rows.append((regime, check, step, *ends, len(part) // n_draws, n_patients, n_draws))
    columns = ["regime", "check", "step", "value", "ci_low", "ci_high", "n", "n_patients", "n_draws"]
    return pd.DataFrame(rows, columns=columns)


def _mean_interval(part: pd.DataFrame, resamples: int, seed: int) -> tuple[float, float, float]:
    values = part["value"].to_numpy(dtype=float)
    patients = pd.factorize(part["patient"])[0]
    weights = patient_weights(patients, resamples, seed)
    means = weights @ values / weights.sum(axis=1)
    units = np.array([patients.max() + 1])
    low, high = interval(values.mean()[None, None], means[None, :, None], units)
    return float(values.mean()), float(low[0, 0]), float(high[0, 0])


def detectable(low: float, high: float, n_patients: int) -> float:
    """The mean gain that 8 of 10 such samples would show to lie above 0.

    A mean is shown where it exceeds its quantile t(.975) of standard errors, which the interval's half width is. Eight
    times in ten it lies no more than t(.80) below its own mean.

    Examples
    --------
    >>> round(detectable(-1.0, 1.0, 10_000), 2)  # 1 + 0.84 / 1.96
    1.43
    """
    degrees = max(n_patients - 1, 1)
    return float((high - low) / 2 * (1 + stdtrit(degrees, 0.8) / stdtrit(degrees, 0.975)))


def is_complete(summary: pd.DataFrame, regimes: Collection[str]) -> bool:
    """Whether a summary has, for each of these regimes, the checks that its verdict rests on."""
    needed = {("randomisation", RANDOM_STEPS[-1]), *((check, ROLLED) for check in MOVES)}
    return all(needed <= set(figures(summary, regime)) for regime in regimes)


@dataclass(frozen=True)
class Verdict:
    """What the checks show of one regime's maps.

    Attributes
    ----------
    light : "green", "orange" or "red"
        Green: all three are shown: the map follows the weights, the place it marks, and this film. Red: it stays alike
        whatever the weights, or an opponent surely moves the logit more.
    claims : tuple of str
        What is shown, and what is not, in words.
    """

    light: Light
    claims: tuple[str, ...]


def verdict(summary: pd.DataFrame, regime: str) -> Verdict:
    """The verdict on one regime.

    Parameters
    ----------
    summary : DataFrame
        As :func:`summarise_checks` gives it.
    """
    ends = figures(summary, regime)
    n = int(summary.loc[(summary["regime"] == regime) & summary["check"].isin(MOVES), "n"].max())
    if n < FEW:
        return Verdict("orange", (f"too few films to say (n = {n})",))
    _, low, high = ends["randomisation", RANDOM_STEPS[-1]]
    follows = "the map follows the weights"
    weights = (
        (True, follows)
        if high < ALIKE
        else (False, "the map stays alike with random weights")
        if low > ALIKE
        else (False, f"whether {follows} is not shown")
    )
    place = _moved(ends, ROLLED, "its place moves the logit more than elsewhere")
    film = _moved(ends, OTHER_FILM, "this film's map moves it more than another film's")
    against = low > ALIKE or any(
        ends[check, step][2] < 0 for check in MOVES for step in (ROLLED, OTHER_FILM) if (check, step) in ends
    )
    shown = [holds for holds, _ in (weights, place, film)]
    light: Light = "red" if against else "green" if all(shown) else "orange"
    return Verdict(light, (weights[1], place[1], film[1]))


def figures(summary: pd.DataFrame, regime: str) -> Mapping[tuple[str, str], tuple[float, float, float]]:
    """A regime's value, ci_low and ci_high by check and step."""
    mine = summary[summary["regime"] == regime]
    columns = mine[["check", "step", "value", "ci_low", "ci_high"]].itertuples(index=False)
    return {(str(check), str(step)): tuple(map(float, ends)) for check, step, *ends in columns}  # type: ignore[misc]


def ceiling_shown(summary: pd.DataFrame, regime: str) -> dict[str, bool]:
    """By move, whether even the annotators' region surely beats itself rolled elsewhere; empty without annotations.

    Where it does not, the move cannot tell a right map from a wrong one on these films.
    """
    ends = figures(summary, regime)
    return {check: ends[check, REGION][1] > 0 for check in MOVES if (check, REGION) in ends}


def _moved(ends: Mapping[tuple[str, str], tuple[float, float, float]], opponent: str, claim: str) -> tuple[bool, str]:
    """Whether both moves surely beat an opponent, and the claim as far as it is shown."""
    asked = [check for check in MOVES if (check, opponent) in ends]
    if not asked:
        return False, f"no other film to show that {claim}"
    shown = [check for check in asked if ends[check, opponent][1] > 0]
    worse = [check for check in asked if ends[check, opponent][2] < 0]
    if len(shown) == len(MOVES):
        return True, claim
    parts = [f"shown by {name}" for name in shown] + [f"contradicted by {name}" for name in worse]
    return False, f"{claim}: {' and '.join(parts) or 'not shown'}" + (" alone" if shown and not worse else "")
