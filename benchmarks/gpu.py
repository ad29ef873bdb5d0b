"""What a GPU does with a ViT-B/16: ``python -m benchmarks.gpu`` prints the figures as JSON, within eight minutes.

Films a second of the embedding beside the compiled forward on tensors in memory, what decoding alone would allow, steps
of the fine-tune, and Grad-CAM of 14 labels. ``--tiny`` runs the same code in seconds on any machine, to check it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, NamedTuple

import numpy as np
import torch
import typer

import explorer.model  # noqa: F401  (first: it lets torchvision be imported)
from benchmarks.decode import write_films
from benchmarks.embed import DIM, SIDE, decoded, vit
from explorer.model.device import multiplies_bfloat16
from explorer.model.encoder import ImageTower, Precision
from explorer.model.head import Head
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import read_tokens
from precompute.settings import Settings
from precompute.training.data import TrainingData, TrainingRun
from precompute.training.finetune import fine_tune
from precompute.training.losses import make_loss

LABELS = 14
GOAL = 0.85
"""Of the compiled forward on tensors in memory."""


class Size(NamedTuple):
    """How much is timed."""

    model: str
    films: int
    batch: int
    train_batch: int
    repeats: int
    compiled: bool


WHOLE = Size("vit_base_patch16_224", films=8192, batch=512, train_batch=128, repeats=3, compiled=True)
TINY = Size("vit_tiny_patch16_224", films=8, batch=4, train_batch=4, repeats=1, compiled=False)


def main(
    tiny: Annotated[bool, typer.Option("--tiny", help="A few films, to check that all runs.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="A file for the figures, besides the screen.")] = None,
) -> None:
    """Time embedding, decoding, training and Grad-CAM on the GPU, or on the processor where there is none."""
    figures = measure(TINY if tiny else WHOLE)
    text = json.dumps(figures, indent=2)
    print(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


def measure(size: Size) -> dict[str, object]:
    """Every figure, by name."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    precision: Precision = "bfloat16" if multiplies_bfloat16(device) else "float32"
    tower = vit(device, precision, "fast", size.model)
    pixels = np.random.default_rng(0).integers(0, 256, (size.films, SIDE, SIDE), dtype=np.uint8)
    _note("embedding")
    embedded = _rate(size.films, size.repeats, lambda: tower.embed(pixels, size.batch))
    _note("the forward in memory")
    bare = _bare_rate(tower, size)
    _note("decoding")
    films = _decode_rate(tower, size)
    _note("training")
    trained = _train_rate(tower, pixels, size)
    _note("Grad-CAM")
    maps = _map_seconds(tower, pixels[0], size)
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "precision": precision,
        "embed, films/s": embedded,
        "compiled forward on tensors in memory, films/s": bare,
        "share of it": embedded / bare,
        "goal met": embedded / bare >= GOAL,
        "decode of 5-megapixel JPEG, films/s": films,
        "decode threads": os.cpu_count(),
        "fine-tune, films/s": trained,
        "Grad-CAM of 14 labels, s": maps,
        "sizes": size._asdict(),
    }


def _note(part: str) -> None:
    print(f"{part} …", file=sys.stderr, flush=True)


def _seconds(act: Callable[[], object]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    start = time.perf_counter()
    act()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _rate(n: int, repeats: int, act: Callable[[], object]) -> float:
    """A second's worth, the median of several, after one that is not counted."""
    act()
    return n / median(_seconds(act) for _ in range(repeats))


def _bare_rate(tower: ImageTower, size: Size) -> float:
    inputs = torch.rand((size.batch, 3, SIDE, SIDE), device=tower.device, dtype=tower.dtype)
    forward = torch.compile(tower.network) if size.compiled else tower.network
    steps = max(1, size.films // size.batch)

    @torch.inference_mode()
    def act() -> None:
        for _ in range(steps):
            forward(inputs)

    return _rate(steps * size.batch, size.repeats, act)


def _decode_rate(tower: ImageTower, size: Size) -> float:
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        write_films(folder, ["JPEG"], size.repeats)
        different = sorted(folder.glob("*.JPEG"))
        files = [different[i % len(different)] for i in range(min(size.films, 512))]
        return _rate(len(files), size.repeats, lambda: decoded(files, tower.fit))


def _train_rate(tower: ImageTower, pixels: np.ndarray, size: Size) -> float:
    """Of one epoch, with the validation that follows it left out of the count of films and not of the seconds."""
    rng = np.random.default_rng(0)
    n = min(size.films, 8 * size.train_batch)
    targets = (rng.random((n, LABELS)) < 0.3).astype(np.float32)
    val = max(2, n // 16)
    data = TrainingData(pixels[:n], targets, np.arange(val, n), np.arange(val))
    settings = Settings(epochs=1, train_batch_size=size.train_batch, batch_size=size.batch)
    start = Head((rng.normal(size=(LABELS, DIM)) / 20).astype(np.float32), np.zeros(LABELS, np.float32))
    loss = make_loss("plain", targets)
    with tempfile.TemporaryDirectory() as temp:
        seconds = [
            _seconds(
                lambda seed=seed: fine_tune(  # type: ignore[misc]
                    tower.at("float32"),
                    start,
                    loss,
                    data,
                    TrainingRun(settings, seed, Path(temp) / str(seed), lambda done, total: None, str(seed)),
                )
            )
            for seed in range(2)
        ]
    return (n - val) / min(seconds)


def _map_seconds(tower: ImageTower, film: np.ndarray, size: Size) -> float:
    rng = np.random.default_rng(0)
    weight = (rng.normal(size=(LABELS, DIM)) * 5).astype(np.float32)

    def act() -> None:
        explain(tower, read_tokens(tower, film), weight, np.zeros(LABELS, np.float32))

    return 1 / _rate(1, size.repeats, act)


if __name__ == "__main__":
    typer.run(main)
