"""The regimes' table of a run, from the store alone."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
from rich.table import Table

from explorer.analysis.localisation import ALL, mean_map, summarise_localisation
from explorer.analysis.localisation import METRICS as METRIC_TITLES
from explorer.analysis.metrics import METRICS, label_mean
from explorer.analysis.ranking import BINARY_METRICS
from explorer.store import Store
from explorer.store.manifest import Manifest
from explorer.store.saliency import SaliencySet


def as_records(store: Store) -> dict[str, Any]:
    """The run, its counts and every figure of validation and test, as plain JSON values (None for what is missing)."""
    frame = store.tables.metrics[store.tables.metrics["split"].isin(["val", "test"])]
    records: list[dict[str, Any]] = frame.to_dict("records")  # type: ignore[assignment]
    return {
        "run_id": store.manifest.run_id,
        "title": store.manifest.title,
        "n": {"all": store.n, **store.samples["split"].value_counts().to_dict()},
        "n_skipped": store.manifest.dataset.n_skipped,
        "seconds": store.manifest.seconds,
        "baselines": {name: metric.baseline_is for name, metric in BINARY_METRICS.items()},
        "metrics": [
            {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in record.items()}
            for record in records
        ],
    }


def as_table(store: Store) -> Table:
    """Macro figures on the test split: value [95% interval], trivial baseline."""
    n = len(store.rows("test"))
    frame = store.tables.metrics[store.tables.metrics["split"] == "test"]
    mean = label_mean(frame, store.manifest.macro_patients)
    table = Table(
        title=f"{store.manifest.title}: {mean.title}, test, n = {n} films",
        caption="value [95% patient-level interval], trivial baseline. Thresholds: max F1 on validation. " + mean.note,
    )
    table.add_column("Regime")
    for metric in METRICS:
        table.add_column(BINARY_METRICS[metric].short, justify="right")
    for regime in store.regimes:
        rows = frame[(frame["label"] == mean.name) & (frame["regime"] == regime.name)].set_index("metric")
        table.add_row(regime.title, *(_cell(rows.loc[[metric]].iloc[0]) for metric in METRICS))
    return table


def as_timings(manifest: Manifest) -> Table:
    """Seconds of every stage, slowest first, with films per second."""
    table = Table(
        title=f"{manifest.title}: {manifest.n:,} films, {manifest.device}",
        caption="A stage that was taken from another run has the seconds of its making there.",
    )
    for column in ("Stage", "Seconds", "Films per second"):
        table.add_column(column, justify="left" if column == "Stage" else "right")
    for name, seconds in sorted(manifest.seconds.items(), key=lambda item: -item[1]):
        rate = f"{manifest.n / seconds:,.1f}" if seconds else ""
        table.add_row(name.replace("_", " "), f"{seconds:,.1f}", rate)
    table.add_row("all", f"{sum(manifest.seconds.values()):,.1f}", "")
    return table


def as_markdown(table: Table) -> str:
    """A table as the project's texts hold it: title, rows and caption."""
    heads = [str(column.header) for column in table.columns]
    rows = [heads, ["---"] * len(heads), *zip(*(column.cells for column in table.columns), strict=True)]
    lines = [f"| {' | '.join(str(cell).replace(chr(10), '<br>') for cell in row)} |" for row in rows]
    return "\n\n".join([f"{table.title}:", "\n".join(lines), str(table.caption)])


def _cell(row: pd.Series[Any]) -> str:
    if math.isnan(row["value"]):
        return "none"
    interval = "no interval" if math.isnan(row["ci_low"]) else f"{row['ci_low']:.3f}, {row['ci_high']:.3f}"
    return f"{row['value']:.3f} [{interval}]\nbaseline {row['baseline']:.3f}"


def as_agreement(store: Store, made: SaliencySet) -> Table:
    """How the maps agree with the readers over all labels: every metric of every source."""
    frame = summarise_localisation(made.frame("agreement"))
    titles = {regime.name: regime.title for regime in store.regimes}
    titles |= {mean_map(regime.name): f"mean map, {regime.title}" for regime in store.regimes}
    sample = made.sample_text(store)
    table = Table(
        title=f"{made.title}: agreement with the readers, {made.record.split}, n = {made.record.n_annotated} pairs of "
        "film and label" + (f", {sample}" if sample else ""),
        caption="mean [95% patient-level interval]; + lies above the centre prior, − below, with its whole interval. "
        f"Left out, as most readers found nothing there: {made.record.n_absent} pairs. Label by label: the Grad-CAM "
        "page's Agreement.",
    )
    for column in ("Source", *METRIC_TITLES.values()):
        table.add_column(column)
    for source, part in frame[frame["label"] == ALL].groupby("source", sort=False):
        rows = part.set_index("metric")
        table.add_row(titles.get(str(source), str(source)), *(_agreed(rows.loc[[m]].iloc[0]) for m in METRIC_TITLES))
    return table


def _agreed(row: pd.Series[Any]) -> str:
    if math.isnan(row["value"]):
        return "none"
    ends = "" if math.isnan(row["ci_low"]) else f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    better = "+" if row["gain_low"] > 0 else "−" if row["gain_high"] < 0 else ""
    return f"{row['value']:.2f}{ends}{better}"
