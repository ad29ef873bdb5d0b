"""Films on disk to embeddings on disk by a ViT-B/16 of random weights: ours, the usual loop, and the bare model.

The loop is the usual notebook's: one film at a time through PIL and open_clip's transform in a DataLoader, batches
through the model in float32. The bare model is given tensors in memory, in the precision that ours takes.
"""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import explorer.model  # noqa: F401  (first: it lets torchvision be imported)
from benchmarks import Measurement, Seconds, timed
from benchmarks.decode import THUMBNAIL, write_films
from explorer.data.geometry import Decode, Fit
from explorer.model.device import multiplies_bfloat16
from explorer.model.encoder import ImageTower, Precision, TowerConfig
from precompute.run.films import PreparedFilm, prepare_film

from open_clip.model import _build_vision_tower  # isort: skip
from open_clip.transform import PreprocessCfg, image_transform_v2  # isort: skip
from PIL import Image  # isort: skip

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILMS, BATCH, DIM, SIDE = 24, 8, 512, 224


def vit(device: torch.device, precision: Precision, decode: Decode, name: str = "vit_base_patch16_224") -> ImageTower:
    """A vision transformer with random weights, by default of BiomedCLIP's size."""
    torch.manual_seed(0)
    vision = {"timm_model_name": name, "timm_pool": "", "timm_proj": "linear", "image_size": SIDE}
    config = TowerConfig(
        embed_dim=DIM,
        vision_cfg=vision,
        quick_gelu=False,
        fit=Fit(size=SIDE, decode=decode),
        mean=(0.5,) * 3,
        std=(0.25,) * 3,
        precision=precision,
    )
    return ImageTower(_build_vision_tower(DIM, vision, False), config, device)


def run(repeats: int) -> list[Measurement]:
    device = torch.device("cpu")
    native = multiplies_bfloat16(device)
    precision: Precision = "bfloat16" if native else "float32"
    tower = vit(device, precision, "fast")
    ours: list[Seconds] = []
    loop: list[Seconds] = []
    bare: list[Seconds] = []
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        write_films(folder, ["JPEG"])
        files = [sorted(folder.glob("*.JPEG"))[i % 4] for i in range(FILMS)]
        pixels = decoded(files, tower.fit)
        for _ in range(repeats):
            ours.append(timed(lambda: np.save(folder / "ours.npy", tower.embed(decoded(files, tower.fit), BATCH))))
            loop.append(timed(lambda: np.save(folder / "loop.npy", _loop(files, tower))))
            bare.append(timed(lambda: _bare(tower, pixels)))
    size = f"{FILMS} JPEG films of 5 megapixels, {torch.get_num_threads()} threads, batches of {BATCH}"
    missed = "" if native else "This processor does not multiply bfloat16, so that both sides work in float32."
    return [
        Measurement(
            "embed: ViT-B/16",
            f"--decode fast, {precision}",
            "float32 loop: PIL, open_clip's transform, DataLoader",
            ours,
            loop,
            size,
            goal=3.0,
            reason=missed,
        ),
        Measurement(
            "embed: ViT-B/16, of the bare model",
            f"--decode fast, {precision}",
            f"the bare model on tensors in memory, {precision}",
            ours,
            bare,
            size,
            goal=0.9,
            reason="Decoding and hashing the films is the rest.",
        ),
    ]


def decoded(files: list[Path], fit: Fit) -> NDArray[np.uint8]:
    """(n, S, S) as the films stage decodes them, in a thread for each core."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        films = list(pool.map(lambda file: prepare_film(file.parent, file.name, fit, THUMBNAIL), files))
    return np.stack([film.pixels for film in films if isinstance(film, PreparedFilm)])


class _Films(torch.utils.data.Dataset[torch.Tensor]):
    def __init__(self, files: list[Path]) -> None:
        self.files = files
        config = PreprocessCfg(size=SIDE, mean=(0.5,) * 3, std=(0.25,) * 3, interpolation="bicubic")
        self.transform = image_transform_v2(config, is_train=False)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        with Image.open(self.files[i]) as film:
            tensor: torch.Tensor = self.transform(film.convert("RGB"))
        return tensor


@torch.inference_mode()
def _loop(files: list[Path], tower: ImageTower) -> NDArray[np.float32]:
    loader = torch.utils.data.DataLoader(_Films(files), batch_size=BATCH)
    parts = [torch.nn.functional.normalize(tower.visual(batch), dim=-1).numpy() for batch in loader]
    return np.concatenate(parts)


@torch.inference_mode()
def _bare(tower: ImageTower, pixels: NDArray[np.uint8]) -> None:
    inputs = tower.normalise(torch.from_numpy(pixels)).to(tower.dtype)
    for start in range(0, len(inputs), BATCH):
        tower.network(inputs[start : start + BATCH])
