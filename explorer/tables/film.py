"""What each regime makes of one film, as frames. No Streamlit here, so it is tested on its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.figures.style import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from explorer.store.reader import Store


def film_scores(store: Store, row: int) -> pd.DataFrame:
    """:func:`score_frame` of a film of the run, against the films of its split."""
    mine = {regime.name: np.asarray(store.logits(regime.name)[row]) for regime in store.regimes}
    return score_frame(store, mine, store.targets[row], store.peers(row))


def score_frame(
    store: Store, mine: Mapping[str, NDArray[np.float32]], known: NDArray[np.float32], peers: NDArray[np.int64]
) -> pd.DataFrame:
    """A film's score for every label and regime, against the threshold and against other films.

    Parameters
    ----------
    mine : mapping
        A regime's name to the film's (C,) logits.
    known : (C,) 1, 0 or NaN
    peers : (n,) rows to rank it among

    Returns
    -------
    DataFrame
        label, state (positive, negative, unknown), series (the regime's title), logit, threshold, margin, predicted and
        rank. The threshold is NaN where validation could not decide; ``predicted`` is then None, else True or False.
        The margin counts standard deviations of the peers' logits above the threshold. Rank 1 is the highest. Labels
        the film has come first, then those that most regimes predict, then by falling margin.
    """
    states = {
        label: "unknown" if np.isnan(value) else "positive" if value == 1 else "negative"
        for label, value in zip(store.labels, known, strict=True)
    }
    out = []
    for regime in store.regimes:
        logits = store.logits(regime.name)[peers]  # (n, C)
        own, thresholds = mine[regime.name], store.threshold_array(regime.name)
        spread = logits.std(axis=0)
        margins = (own - thresholds) / np.where(spread > 0, spread, 1)
        ranks = 1 + (logits > own).sum(axis=0)
        for c, label in enumerate(store.labels):
            predicted = None if np.isnan(thresholds[c]) else bool(own[c] >= thresholds[c])
            numbers = float(own[c]), float(thresholds[c]), float(margins[c])
            out.append((label, states[label], regime.title, *numbers, predicted, int(ranks[c])))
    columns = ["label", "state", "series", "logit", "threshold", "margin", "predicted", "rank"]
    frame = pd.DataFrame(out, columns=columns)
    by_label = frame.groupby("label").agg(
        calls=("predicted", lambda calls: sum(call is True for call in calls)), margin=("margin", "mean")
    )
    by_label["known"] = [states[label] != "positive" for label in by_label.index]
    order = by_label.sort_values(["known", "calls", "margin"], ascending=[True, False, False], kind="stable").index
    return frame.sort_values("label", key=lambda names: names.map(order.get_loc), kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Verdict:
    """What one regime says of a film at its thresholds: labels by outcome, each in the frame's order."""

    regime: str
    found: tuple[str, ...]
    missed: tuple[str, ...]
    false: tuple[str, ...]
    unconfirmed: tuple[str, ...]
    """Predicted positive where nothing is known."""
    undecided: tuple[str, ...]
    """Without a threshold."""


def verdicts(frame: pd.DataFrame) -> list[Verdict]:
    """What each regime says of a film, in the regimes' order.

    Parameters
    ----------
    frame : DataFrame
        As :func:`film_scores` gives it.
    """
    out = []
    for regime in dict.fromkeys(frame["series"]):
        own = frame[frame["series"] == regime]
        predicted = own["predicted"].map(lambda value: value is True)
        undecided = own["predicted"].isna()

        def labels(chosen: pd.Series, own: pd.DataFrame = own) -> tuple[str, ...]:
            return tuple(own.loc[chosen, "label"])

        out.append(
            Verdict(
                str(regime),
                labels(predicted & (own["state"] == "positive")),
                labels(~predicted & ~undecided & (own["state"] == "positive")),
                labels(predicted & (own["state"] == "negative")),
                labels(predicted & (own["state"] == "unknown")),
                labels(undecided),
            )
        )
    return out


def score_table(frame: pd.DataFrame) -> pd.DataFrame:
    """The same as text, one row per label: what is known, and for each regime logit, threshold, outcome and rank.

    Parameters
    ----------
    frame : DataFrame
        As :func:`film_scores` gives it.
    """
    rows = []
    for label, part in frame.groupby("label", sort=False):
        cells = {"Label": str(label), "Known": part["state"].iat[0]}
        for score in part.itertuples():
            cells[str(score.series)] = _cell(score)
        rows.append(cells)
    return pd.DataFrame(rows)


_OUTCOMES = {
    (True, "positive"): "TP",
    (True, "negative"): "FP",
    (True, "unknown"): "predicted positive",
    (False, "positive"): "FN",
    (False, "negative"): "TN",
    (False, "unknown"): "predicted negative",
}


def _cell(score: object) -> str:
    logit, threshold, predicted, state, rank = (
        getattr(score, name) for name in ("logit", "threshold", "predicted", "state", "rank")
    )
    if predicted is None:
        return f"{number(logit)}, no threshold · #{rank}"
    return f"{number(logit)} {'≥' if predicted else '<'} {number(threshold)} · {_OUTCOMES[predicted, state]} · #{rank}"
