"""Seconds a stage of the demo takes, beside the plain way of doing the same on the same films."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

from benchmarks import Measurement
from explorer.store import Store, open_store

ROOT = Path(__file__).parents[1]
FILMS = 300


def tiny_demo(store: Path, n: int = FILMS) -> Store:
    """A demo store of n films, made by the command itself."""
    command = [sys.executable, "-m", "precompute", "demo", "--n", str(n), "--epochs", "1", "--out", str(store)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return open_store(store)


def run(repeats: int) -> list[Measurement]:
    stages: dict[str, list[float]] = {}
    plain_embed: list[float] = []
    plain_maps: list[float] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            store = tiny_demo(Path(folder))
            for stage, seconds in store.manifest.seconds.items():
                stages.setdefault(stage, []).append(seconds)
            plain_embed.append(_notebook_embed(store))
            plain_maps.append(_plain_umap(store))
    size = f"{FILMS} films"
    decode_and_embed = [a + b for a, b in zip(stages["films"], stages["embed_frozen"], strict=True)]
    loop = "notebook loop: open, preprocess, encode_image"
    name = "precompute_demo"
    return [
        Measurement(
            f"{name}: films + embed", "decode once, embed in batches", loop, decode_and_embed, plain_embed, size
        ),
        Measurement(
            f"{name}: maps", "5 maps, cold", "plain umap-learn, 5 maps, cold", stages.pop("maps"), plain_maps, size
        ),
        *(Measurement(f"{name}: {stage}", "the stage", "", seconds, [], size) for stage, seconds in stages.items()),
    ]


def _notebook_embed(store: Store) -> float:
    """One film at a time through open_clip's own transform and encode_image, as a notebook does it."""
    import explorer.model  # noqa: F401, I001  (first: it makes torchvision importable beside a CPU torch)
    import torch
    from open_clip.transform import PreprocessCfg, image_transform_v2

    from explorer.model.encoder import load_clip
    from precompute.commands.run import DEMO_ENCODER

    clip = load_clip(f"local-dir:{DEMO_ENCODER}", torch.device("cpu"))
    transform = image_transform_v2(PreprocessCfg(**clip.model.visual.preprocess_cfg), is_train=False)
    start = time.perf_counter()
    with torch.inference_mode():
        for row in range(store.n):
            with Image.open(store.film(row)) as film:
                clip.model.encode_image(transform(film.convert("RGB"))[None], normalize=True)
    return time.perf_counter() - start


_PLAIN_UMAP = """
import sys, time
start = time.perf_counter()
import numpy as np, umap
from explorer.store import open_store
store = open_store(__import__("pathlib").Path(sys.argv[1]))
for space in store.manifest.spaces:
    umap.UMAP(metric="cosine", random_state=0, n_jobs=1).fit_transform(np.asarray(store.vectors(space.name)))
print(time.perf_counter() - start)
"""


def _plain_umap(store: Store) -> float:
    """In a process of its own, as our stage is: umap's import and just-in-time compilation count on both sides."""
    command = [sys.executable, "-W", "ignore", "-c", _PLAIN_UMAP, str(store.path)]
    return float(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
