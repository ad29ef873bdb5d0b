"""The demo: phantom films in the store's own folder, read by the very path that reads a user's CSV."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd

from precompute.phantom import LABELS, plan, write_dataset
from precompute.phantom.dataset import true_labels
from precompute.reporter import Reporter
from precompute.sources import CsvOptions, Source, read_csv
from precompute.sources.corrections import correct, read_corrections


def draw_films(store: Path, n: int, seed: int, reporter: Reporter, corrections: Path | None = None) -> Source:
    """Draw the target-domain phantoms, or find them drawn, and read and correct them as any CSV is."""
    folder = store / "films" / f"phantom-{n}-{seed}"
    csv = folder / "labels.csv"
    if corrections is not None:  # a bad file is reported before the minutes of drawing
        read_corrections(corrections, _planned(n, seed), LABELS, csv)
    with reporter.stage("draw films") as report:
        write_dataset(folder, n, "target", seed, progress=report)
    source = read_csv(
        CsvOptions(
            csv=csv,
            images=folder,
            name="Phantom radiographs (demo)",
            licence="CC0 1.0",
            annotations=folder / "annotations.csv",
        )
    )
    source = replace(source, truth=true_labels(plan(n, "target", seed)))
    return source if corrections is None else correct(source, corrections)


def _planned(n: int, seed: int) -> pd.DataFrame:
    """The labels that the films will have: sample_id, and one column per label (1, 0, NaN)."""
    films = plan(n, "target", seed)
    known = pd.DataFrame([film.labels for film in films], columns=list(LABELS), dtype=float)
    return known.where(known >= 0).assign(sample_id=[film.sample_id for film in films])


def demo_settings(seed: int, epochs: int) -> dict[str, object]:
    """What the demo decides otherwise: a small encoder bears a higher rate, and dropped patches save time."""
    return {
        "seed": seed,
        "fractions": (0.6, 0.15, 0.25),
        "epochs": epochs,
        "learning_rate": 1e-4,
        "train_batch_size": 32,
        "patch_dropout": 0.5,
    }
