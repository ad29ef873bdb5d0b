"""The demo: phantom films in the store's own folder, read by the very path that reads a user's CSV."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from precompute.phantom import write_dataset
from precompute.settings import Settings
from precompute.sources import Source, read_csv


def draw(store: Path, n: int, seed: int, console: Console) -> Source:
    """Draw the target-domain phantoms, or find them drawn, and read them as any CSV is read."""
    folder = store / "films" / f"phantom-{n}-{seed}"
    draw_films(folder, n, "target", seed, console)
    return read_csv(
        folder / "labels.csv",
        folder,
        name="Phantom radiographs (demo)",
        licence="CC0 1.0",
        annotations=folder / "annotations.csv",
    )


def draw_films(folder: Path, n: int, domain: Literal["source", "target"], seed: int, console: Console) -> None:
    """Draw a phantom set with a progress bar."""
    columns = (TextColumn("draw films              "), BarColumn(28), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bars:
        task = bars.add_task("draw films", total=n)
        write_dataset(folder, n, domain, seed, progress=lambda done, _: bars.update(task, completed=done))


def settings(seed: int, epochs: int) -> Settings:
    """The demo's settings: a small encoder bears a higher rate, and dropped patches save time."""
    return Settings(
        seed=seed,
        fractions=(0.6, 0.15, 0.25),
        epochs=epochs,
        learning_rate=1e-4,
        train_batch_size=32,
        patch_dropout=0.5,
    )
