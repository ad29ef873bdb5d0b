"""What the few-shot curve says: from how many positives a head surely beats zero-shot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from explorer.analysis.differences import holm
from explorer.analysis.few_shot import ALL_SHOTS, MACRO
from explorer.data.text import in_markdown
from explorer.figures.style import difference_with_interval, regime_style, with_interval
from explorer.tables import styles

if TYPE_CHECKING:
    from explorer.figures.style import Style
    from explorer.store.few_shot import FewShot
    from explorer.store.reader import Store

HEADLINE = "average_precision"
LEVEL = 0.05
MEAN_TITLE = "Mean over labels"


def shots_title(shots: int) -> str:
    """A number of positives as the axis has it."""
    return "all" if shots == ALL_SHOTS else f"{shots:,}"


def curve_titles(curve: FewShot) -> dict[str, str]:
    """Regime to title: the reference first, where there is one, then the regimes that were fitted."""
    reference = curve.frame.loc[curve.frame["shots"] == 0, "regime"]
    return {**dict.fromkeys(reference.tolist()[:1], curve.record.reference), **curve.record.titles}


def curve_styles(store: Store, curve: FewShot) -> dict[str, Style]:
    """Title to style: a regime that the run has keeps its own."""
    there = {regime.name for regime in store.all_regimes}
    others = [name for name in curve_titles(curve) if name not in there]
    return {
        title: styles.of_regime(store, name)
        if name in there
        else regime_style(len(store.all_regimes) + others.index(name))
        for name, title in curve_titles(curve).items()
    }


def curve_frame(curve: FewShot, label: str, metric: str) -> pd.DataFrame:
    """One label's figures: FEW_SHOT_COLUMNS with the regime's title, and ``place``, the number's place on the axis."""
    places = {0: 0, **{shots: i for i, shots in enumerate(curve.record.shots, start=1)}}
    frame = curve.frame[(curve.frame["label"] == label) & (curve.frame["metric"] == metric)]
    return frame.assign(regime=frame["regime"].map(curve_titles(curve)), place=frame["shots"].map(places))


def gains(curve: FewShot, metric: str = HEADLINE) -> pd.DataFrame:
    """The differences from the reference with ``p_holm``, which allows for all labels of one regime and number."""
    frame = curve.frame[(curve.frame["metric"] == metric) & curve.frame["p"].notna()].copy()
    frame["p_holm"] = frame["p"]  # the mean is one question
    for _, part in frame[frame["label"] != MACRO].groupby(["regime", "shots"]):
        frame.loc[part.index, "p_holm"] = holm(part["p"].to_numpy(dtype=float))
    frame["sure"] = (frame["p_holm"] < LEVEL) & (frame["difference"] > 0)
    return frame


def sure_from(curve: FewShot) -> dict[tuple[str, str], int | None]:
    """By regime and label, the fewest positives from which on every number tried surely gains; None where none does."""
    out: dict[tuple[str, str], int | None] = {}
    order = {shots: i for i, shots in enumerate(curve.record.shots)}
    for (regime, label), part in gains(curve).groupby(["regime", "label"], sort=False):
        start = None
        for shots, sure in sorted(zip(part["shots"], part["sure"], strict=True), key=lambda pair: -order[pair[0]]):
            if not sure:
                break
            start = int(shots)
        out[str(regime), str(label)] = start
    return out


def sure_text(start: int | None) -> str:
    """From how many positives on, in words."""
    if start is None:
        return "from none tried"
    return "from all of train" if start == ALL_SHOTS else f"from {start:,} positive{'s' if start > 1 else ''} on"


def label_sentence(curve: FewShot, label: str) -> str:
    """From how many positives of one label each regime surely beats the reference; empty without a reference."""
    starts = {regime: start for (regime, of), start in sure_from(curve).items() if of == label}
    if not starts:
        return ""
    parts = [f"**{curve.record.titles[regime]}** {sure_text(start)}" for regime, start in starts.items()]
    name = MEAN_TITLE if label == MACRO else in_markdown(label)
    return f"{name}: surely above {curve.record.reference}, by average precision: {'; '.join(parts)}."


def sure_table(curve: FewShot) -> pd.DataFrame:
    """A row for each label: from how many positives on each regime surely beats the reference, and its gain at most."""
    starts, order = sure_from(curve), [*curve.record.shots]
    largest: dict[tuple[str, str], Any] = {}
    for gain in sorted(gains(curve).to_dict("records"), key=lambda row: order.index(row["shots"])):
        largest[gain["regime"], gain["label"]] = gain
    lines = []
    for label in dict.fromkeys(label for _, label in starts):
        cells = {"Label": MEAN_TITLE if label == MACRO else label}
        for regime, title in curve.record.titles.items():
            if (regime, label) in starts:
                row = largest[regime, label]
                cells[title] = sure_text(starts[regime, label])
                size = difference_with_interval(row["difference"], row["difference_low"], row["difference_high"])
                cells[f"{title}: ΔAP"] = f"{size} · {shots_title(row['shots'])}"
        lines.append(cells)
    return pd.DataFrame(lines).fillna("—")


def values_table(curve: FewShot, label: str, metric: str) -> pd.DataFrame:
    """One label's figures as text: a row for each number of positives, a column for each regime."""
    frame = curve_frame(curve, label, metric)
    lines = []
    for shots, part in sorted(frame.groupby("shots"), key=lambda pair: int(pair[1]["place"].iloc[0])):
        cells = {"Positives": shots_title(int(str(shots))), "Films, on average": f"{part['n_films'].iloc[0]:,.0f}"}
        for regime, value, low, high in part[["regime", "value", "ci_low", "ci_high"]].itertuples(index=False):
            cells[regime] = with_interval(value, low, high)
        lines.append(cells)
    return pd.DataFrame(lines).fillna("—")
