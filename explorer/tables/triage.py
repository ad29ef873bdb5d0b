"""Triage with a guarantee: what validation promises of a label, and what the films shown make of it, from a store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.operating import at_threshold
from explorer.analysis.triage import SHARES, Side, bound, films_needed, guarantee, one_film_each, promised
from explorer.data.text import in_markdown
from explorer.figures.style import number, with_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

SIDES: dict[Side, str] = {"out": "Rule out", "in": "Rule in"}
FIGURES: dict[Side, tuple[str, str]] = {"out": ("npv", "NPV"), "in": ("precision", "PPV")}
"""Of each side: the figure that is promised, and its title."""
FIRST_LEVELS: dict[Side, float] = {"out": 0.95, "in": 0.5}
_CHOSEN: dict[Side, str] = {"out": "ruled out", "in": "ruled in"}


@dataclass(frozen=True)
class Triage:
    """One label's promises in every regime.

    Attributes
    ----------
    curves : regime title to DataFrame
        ``triage.promised``.
    chosen : regime title to the row of it that is used, or None
    patients, positives : int
        Patients of validation with a known film, one film of each, and how many of these are positive.
    table : DataFrame
        One row for each regime, as texts.
    """

    curves: dict[str, pd.DataFrame]
    chosen: dict[str, pd.Series[float] | None]
    patients: int
    positives: int
    table: pd.DataFrame

    @property
    def prevalence(self) -> float:
        """Of validation's patients; NaN without any."""
        return self.positives / self.patients if self.patients else np.nan


def triage(store: Store, split: Split, label: str, side: Side, level: float) -> Triage:
    """Every regime's largest share of films whose promise reaches a level, and its figures on a split."""
    val, c = store.rows("val"), store.labels.index(label)
    films = val[one_film_each(store.targets[val, c], store.patients[val], store.manifest.seed)]
    targets = store.targets[films, c]
    curves = {r.title: promised(targets, np.asarray(store.logits(r.name)[films, c]), side) for r in store.regimes}
    chosen = {title: guarantee(frame, level) for title, frame in curves.items()}
    lines = [_line(store, split, label, side, regime.name, chosen[regime.title]) for regime in store.regimes]
    return Triage(curves, chosen, len(films), int((targets == 1).sum()), pd.DataFrame(lines).fillna("—"))


def _line(
    store: Store, split: Split, label: str, side: Side, regime: str, row: pd.Series[float] | None
) -> dict[str, str]:
    """One regime: what val promises, and what the split shows at the threshold."""
    name, title = FIGURES[side]
    line = {"Regime": store.regime(regime).title}
    if row is None:
        return line | {"Threshold": "none", f"val: {_CHOSEN[side]}": "none", f"Promised {title}": "—"}
    rows, c = store.rows(split), store.labels.index(label)
    targets, positive = store.targets[rows, c], _is_positive(store, regime, rows, c, side, row["threshold"])
    estimates = at_threshold(targets, positive, store.patients[rows], resamples=2)
    figure, kept = estimates[name], estimates["recall"]
    films = int(((positive == (side == "in")) & ~np.isnan(targets)).sum())
    return line | {
        "Threshold": "all films" if np.isinf(row["threshold"]) else number(row["threshold"]),
        f"val: {_CHOSEN[side]}": f"{int(row['films']):,} patients, {int(row['errors']):,} wrong",
        f"Promised {title}": f"≥ {number(row['bound'], 3)}",
        f"{split}: {_CHOSEN[side]}": f"{films:,} of {int((~np.isnan(targets)).sum()):,} films",
        f"{split}: {title}": f"{with_interval(figure.value, figure.low, figure.high, 3)} · {figure.baseline:.3f}",
        f"{split}: sensitivity": with_interval(kept.value, kept.low, kept.high),
    }


def _is_positive(
    store: Store, regime: str, rows: NDArray[np.int64], c: int, side: Side, threshold: float
) -> NDArray[np.bool_]:
    """(m,) films that are not ruled out, or that are ruled in."""
    logits = store.logits(regime)[rows, c].astype(np.float64)
    return np.asarray(logits >= threshold if side == "out" else logits > threshold)


def sentence(triage: Triage, label: str, side: Side, level: float, regime: str) -> str:
    """What a regime, by title, can promise, or what it would take, as Markdown."""
    _, title = FIGURES[side]
    row, name, what = triage.chosen[regime], in_markdown(regime), in_markdown(label)
    if row is not None and np.isinf(row["threshold"]):
        return f"{what} is so rare that all films may be ruled out at {title} {number(level, 3)}: this needs no regime."
    if row is not None:
        return (
            f"{name} may have **{row['films'] / triage.patients:.0%}** of val's patients {_CHOSEN[side]} for {what}: "
            f"{title} is at least {number(level, 3)}, with 95% confidence."
        )
    return f"{name} can promise no {title} of {number(level, 3)} for {what}. {_needed(triage, side, level, regime)}"


def _needed(triage: Triage, side: Side, level: float, regime: str) -> str:
    """Why there is no promise, and how many films it would take."""
    frame, fewest = triage.curves[regime], films_needed(level)
    fewest_text = "more than a million" if fewest is None else f"{fewest:,}"
    most = bound(triage.positives, 0) if triage.positives else 0.0
    if side == "in" and most < level:
        return (
            f"Positive patients in val: {triage.positives:,}. Were all ranked first, they would guarantee at most "
            f"{number(most)}; "
            f"{fewest_text} without an error are needed."
        )
    if frame.empty:
        return f"No film is known in val; {fewest_text} {_CHOSEN[side]} without an error are needed."
    need = f"{fewest_text} patients {_CHOSEN[side]} without an error are needed."
    best = frame.iloc[int(frame["bound"].argmax())]
    if best["errors"] == 0:
        return f"{need} Its best share has {int(best['films']):,}."
    rate = float(best["errors"] / best["films"])
    at_rate = films_needed(level, rate)
    enough = "no number of patients is enough" if at_rate is None else f"{at_rate:,} are needed"
    return f"{need} At the rate of errors of its best share, {rate:.1%}, {enough}."


def curve_frame(triage: Triage) -> pd.DataFrame:
    """The promises of all regimes as data."""
    return pd.concat([frame.assign(regime=title) for title, frame in triage.curves.items()], ignore_index=True)


def has_films(triage: Triage) -> bool:
    """Whether any share of val was tested."""
    return any(len(frame) for frame in triage.curves.values())


SHARES_TEXT = {side: ", ".join(f"{share:.0%}" for share in shares) for side, shares in SHARES.items()}
