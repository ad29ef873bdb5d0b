"""Does a map mean anything? Figures of three tests, and what they say together.

Randomisation (Adebayo et al., NeurIPS 2018): a map that stays as it was when the model's weights are replaced by random
ones shows the film, not the model. Deletion and insertion (Petsiuk et al., BMVC 2018): what the map marks should move
the logit more than patches taken at random. Wording: a map that changes with the prompt's wording is no property of the
finding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from explorer.analysis.evidence import FEW
from explorer.analysis.metrics import interval, patient_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray

RANDOM_STEPS = ("none", "head", "last block", "last 2 blocks", "last 4 blocks", "every block")
"""What is random, growing from the head down; the first, nothing, has similarity 1."""

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
    return float(spearmanr(one.ravel(), other.ravel()).statistic)


def patch_steps(order: NDArray[np.int64], steps: int) -> NDArray[np.bool_]:
    """(steps + 1, P) which patches are taken at each step along an order, from none to all in even shares."""
    place = np.argsort(order)
    counts = np.round(np.linspace(0, len(order), steps + 1))
    taken: NDArray[np.bool_] = place[None] < counts[:, None]
    return taken


def area_under(logits: NDArray[np.float32]) -> float:
    """Mean height of a curve over even steps (trapezoids)."""
    return float((logits[1:] + logits[:-1]).mean() / 2)


def summarise_proof(frame: pd.DataFrame, resamples: int = 1000, seed: int = 0) -> pd.DataFrame:
    """Means over films with 95% intervals from a bootstrap over patients.

    Parameters
    ----------
    frame : DataFrame
        patient, row, label, regime, check, step, value.

    Returns
    -------
    DataFrame
        regime, check, step, value, ci_low, ci_high, n pairs of film and label.
    """
    rows = []
    for (regime, check, step), part in frame.groupby(["regime", "check", "step"], sort=False):
        values = part["value"].to_numpy(dtype=float)
        patients = pd.factorize(part["patient"])[0]
        weights = patient_weights(patients, resamples, seed)
        drawn = weights @ values / weights.sum(axis=1)
        units = np.array([patients.max() + 1])
        low, high = interval(values.mean()[None, None], drawn[None, :, None], units)
        rows.append((regime, check, step, values.mean(), low[0, 0], high[0, 0], len(values)))
    return pd.DataFrame(rows, columns=["regime", "check", "step", "value", "ci_low", "ci_high", "n"])


def traffic_light(summary: pd.DataFrame, regime: str) -> tuple[Light, str]:
    """A traffic light for one regime, and the figures behind it in one sentence.

    Green: with every block random the map is surely no longer alike, and both deletion and insertion surely beat
    chance. Red: the map surely stays alike, or neither deletion nor insertion surely beats chance. Orange: in between,
    or fewer than FEW films.
    """
    curve = summary[summary["regime"] == regime]
    mine = curve.set_index(["check", "step"])
    ends = {key: tuple(mine.loc[key, ["value", "ci_low", "ci_high"]].astype(float)) for key in mine.index}
    last = "randomisation", RANDOM_STEPS[-1]
    random, deletion, insertion = ends[last], ends["deletion", ""], ends["insertion", ""]
    depends, stays = random[2] < ALIKE, random[1] > ALIKE
    moves = [deletion[1] > 0, insertion[1] > 0]
    n = int(curve["n"].max())
    light: Light = "red" if stays or not any(moves) else "green" if depends and all(moves) else "orange"
    light = light if n >= FEW else "orange"
    words = [
        f"with every block random the map still resembles itself by ρ = {_figure(random)}",
        f"deleting what it marks lowers the logit by {_figure(deletion)} more than random patches",
        f"showing only that raises it by {_figure(insertion)} more",
    ]
    if ("prompts", "") in ends:
        words.append(f"maps of two wordings of the prompt resemble each other by ρ = {_figure(ends['prompts', ''])}")
    return light, "; ".join(words) + f" (n = {n} films)."


def _figure(ends: tuple[float, ...]) -> str:
    value, low, high = (round(end, 2) + 0.0 for end in ends)  # no minus before a zero
    text = f"{value:.2f} [{low:.2f}, {high:.2f}]" if np.isfinite(low) else f"{value:.2f} [no interval]"
    return text.replace("-", "−")  # a true minus sign, as in every figure
