"""Error slices: what the page of groups that nobody named says, from a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.evidence import ENOUGH
from explorer.data.text import in_markdown
from explorer.figures.style import difference_with_interval, number

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split
    from explorer.store.reader import Store

LEVEL = 0.05
DRAWN = 8
"""Labels and states in the figure: more would not be read."""


def slice_frame(store: Store) -> pd.DataFrame:
    """The slices of the regimes shown, the surest first; ``slices.SLICE_COLUMNS`` and ``sure``."""
    frame = store.tables.slices
    frame = frame[frame["regime"].isin([regime.name for regime in store.regimes])].reset_index(drop=True)
    return frame.assign(sure=frame["p_adjusted"] < LEVEL)


def titles(store: Store) -> dict[str, int]:
    """Each slice's title, which stands in the address too, to its number; the surest first."""
    return {_title(store, row): int(row["slice"]) for _, row in slice_frame(store).iterrows()}


def _title(store: Store, row: pd.Series[str]) -> str:
    return f"{row['label']}, {row['state']}: {store.regime(str(row['regime'])).title}"


def rows_of(store: Store, split: Split, number_of_slice: int) -> NDArray[np.int64]:
    """The rows of a slice's films in a split, those with the largest error first."""
    films, frame = store.tables.slice_films, store.tables.slices.set_index("slice")
    rows = films.loc[films["slice"] == number_of_slice, "row"].to_numpy(np.int64)
    rows = rows[np.isin(rows, store.rows(split))]
    regime, label, state = frame.loc[number_of_slice, ["regime", "label", "state"]]
    logits = np.asarray(store.logits(str(regime))[rows, store.labels.index(label)])
    return np.asarray(rows[np.argsort(logits if state == "positive" else -logits, kind="stable")])


def figure_frame(store: Store) -> pd.DataFrame:
    """The surest labels and states, what each regime errs beyond its probabilities, as ``dots`` draws it."""
    frame = slice_frame(store)
    named = frame["label"] + ", " + frame["state"]
    frame = frame.assign(
        label=named,
        series=frame["regime"].map({regime.name: regime.title for regime in store.regimes}),
        value=frame["beyond"],
        ci_low=frame["beyond_low"],
        ci_high=frame["beyond_high"],
        baseline=0.0,
        n_pos=frame["n_alike"],
    )
    return frame[named.isin(list(dict.fromkeys(named))[:DRAWN])].reset_index(drop=True)


def named_by(store: Store, number_of_slice: int) -> str:
    """What the slice has more of, with counts of patients and lift; a dash where nothing stands out."""
    names = store.tables.slice_names
    mine = names[names["slice"] == number_of_slice]
    parts = [
        (f"“{row['name']}”" if row["kind"] == "word" else str(row["name"]))
        + f" {row['n_with']:,} of {row['n']:,} (×{number(row['lift'], 1)})"
        for _, row in mine.iterrows()
    ]
    return ", ".join(parts) or "—"


def slice_table(store: Store) -> pd.DataFrame:
    """One row for each slice, the surest first."""
    frame = slice_frame(store)
    lines = [
        {
            "Slice": f"{row['label']}, {row['state']}",
            "Regime": store.regime(row["regime"]).title,
            "Films val / test": f"{row['n_val']:,} / {row['n']:,}",
            "Log-loss here": number(row["error"]),
            "Elsewhere": number(row["elsewhere"]),
            "Excess": difference_with_interval(row["excess"], row["ci_low"], row["ci_high"]) + " *" * row["sure"],
            "Beyond its probabilities": difference_with_interval(row["beyond"], row["beyond_low"], row["beyond_high"]),
            "Adjusted p": number(row["p_adjusted"], 3),
            "Wrong here / elsewhere": f"{_percent(row['wrong'])} / {_percent(row['wrong_elsewhere'])}",
            "Named by": named_by(store, int(row["slice"])),
        }
        for row in frame.to_dict("records")
    ]
    return pd.DataFrame(lines)


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%" if np.isfinite(share) else "—"


def answer(store: Store) -> str:
    """How many slices surely err more and which most, or that none does, of how many tried."""
    frame = slice_frame(store)
    if frame.empty:
        return f"No slice was tried: none has {ENOUGH} patients in val and in test, and as many outside."
    sure = frame[frame["sure"]]
    if sure.empty:
        return f"No slice errs surely more, of **{len(frame):,}** tried."
    row = sure.iloc[int(sure["excess"].argmax())]
    return (
        f"**{len(sure):,}** of {len(frame):,} slices surely err more. Worst: **{in_markdown(row['label'])}**, "
        f"{row['state']}, {in_markdown(store.regime(row['regime']).title)}: log-loss **{number(row['error'])}** there, "
        f"**{number(row['elsewhere'])}** elsewhere."
    )
