"""The demo: phantom films in the store's own folder, read by the very path that reads a user's CSV."""

from __future__ import annotations

from pathlib import Path

from precompute.phantom import write_dataset
from precompute.reporter import Reporter
from precompute.sources import Source, read_csv


def draw(store: Path, n: int, seed: int, reporter: Reporter) -> Source:
    """Draw the target-domain phantoms, or find them drawn, and read them as any CSV is read."""
    folder = store / "films" / f"phantom-{n}-{seed}"
    with reporter.stage("draw films") as report:
        write_dataset(folder, n, "target", seed, progress=report)
    return read_csv(
        folder / "labels.csv",
        folder,
        name="Phantom radiographs (demo)",
        licence="CC0 1.0",
        annotations=folder / "annotations.csv",
    )


def settings(seed: int, epochs: int) -> dict[str, object]:
    """What the demo decides otherwise: a small encoder bears a higher rate, and dropped patches save time."""
    return {
        "seed": seed,
        "fractions": (0.6, 0.15, 0.25),
        "epochs": epochs,
        "learning_rate": 1e-4,
        "train_batch_size": 32,
        "patch_dropout": 0.5,
    }
