"""Triage with a guarantee: how many films may be ruled out, or in, so that few of them are wrong with 95% confidence.

Learn then test (Angelopoulos et al., Annals of Applied Statistics 2025): ten thresholds, at shares of validation fixed
beforehand, are each tested by the exact binomial bound of Clopper & Pearson (Biometrika 1934). Bonferroni pays for the
choice among them. Given the score at a fixed rank, films below it are independent draws from what lies below, so the
bound is exact whatever the scores. It holds for patients exchangeable with those of validation, one film of each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.special import betaincinv  # scipy.stats takes a page's first second

if TYPE_CHECKING:
    from numpy.typing import NDArray

Side = Literal["out", "in"]
SHARES: dict[Side, tuple[float, ...]] = {
    "out": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "in": (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5),
}
"""Shares of validation's patients, those with the lowest scores or with the highest, that are tested."""
RISK = 0.05
"""The chance that any promise is broken."""
_ONE_BY_ONE, _MOST = 3000, 10**6
"""Numbers of films that are tried: each up to the first, then in steps of 0.3%."""


def one_film_each(targets: NDArray[np.float32], patients: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """Rows of one known film of each patient, drawn at random: films of one patient are no independent evidence.

    Parameters
    ----------
    targets : (m,) 1, 0 or NaN
    patients : (m,) int
    """
    known = np.flatnonzero(~np.isnan(targets))
    shuffled = np.random.default_rng(seed).permutation(known)
    _, first = np.unique(patients[shuffled], return_index=True)
    return np.sort(shuffled[first])


def promised(targets: NDArray[np.float32], logits: NDArray[np.floating], side: Side) -> pd.DataFrame:
    """What validation can promise at each of the shares.

    Parameters
    ----------
    targets : (m,) 1 or 0
        Of one film of each patient.
    logits : (m,)
    side : Side
        ``out``: films with a lower logit than the threshold are ruled out, and a positive among them is an error.
        ``in``: films with a higher one are ruled in, and a negative is an error.

    Returns
    -------
    DataFrame
        share, threshold, films, errors, bound: the NPV or PPV that is at least reached, all bounds at once with
        confidence 1 - RISK. Shares of no film are left out. The threshold of all films is infinite.
    """
    sign = 1.0 if side == "out" else -1.0
    wrong = (targets == 1) if side == "out" else (targets == 0)
    scores = sign * logits.astype(np.float64)
    order = np.argsort(scores, kind="stable")
    rising, errors = scores[order], np.append(0, np.cumsum(wrong[order]))
    rows = []
    for share in SHARES[side]:
        rank = round(share * len(rising))
        threshold = rising[rank] if rank < len(rising) else np.inf
        films = int(np.searchsorted(rising, threshold, side="left"))
        if films:
            rows.append((share, sign * threshold, films, int(errors[films]), bound(films, int(errors[films]))))
    return pd.DataFrame(rows, columns=["share", "threshold", "films", "errors", "bound"])


def guarantee(frame: pd.DataFrame, level: float) -> pd.Series[float] | None:
    """The row of ``promised`` with most films whose bound reaches a level; None where none does."""
    kept = frame[frame["bound"] >= level]
    return None if kept.empty else kept.iloc[int(kept["films"].argmax())]


def bound(films: int, errors: int) -> float:
    """The share of right films that Clopper & Pearson's interval does not fall below, paid for by Bonferroni.

    Examples
    --------
    >>> round(bound(300, 0), 3), round(bound(3, 0), 3), bound(3, 3)
    (0.982, 0.171, 0.0)
    """
    if errors == films:
        return 0.0
    return float(betaincinv(films - errors, errors + 1, RISK / len(SHARES["out"])))


def films_needed(level: float, error_rate: float = 0.0) -> int | None:
    """The fewest films, with errors at this rate, whose bound reaches a level; None where no number of them does.

    Examples
    --------
    >>> films_needed(0.95), films_needed(0.95, 0.02), films_needed(0.95, 0.06)
    (104, 338, None)
    """
    if error_rate >= 1 - level:
        return None
    n = np.append(np.arange(1, _ONE_BY_ONE), np.geomspace(_ONE_BY_ONE, _MOST, 2000).round().astype(np.int64))
    errors = np.minimum(np.ceil(error_rate * n), n - 1)
    reached = betaincinv(n - errors, errors + 1, RISK / len(SHARES["out"])) >= level
    return int(n[reached.argmax()]) if reached.any() else None
