"""Sanity checks of the maps, on a sample of a split's positive films."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from explorer.analysis.sampling import stratified_films
from explorer.analysis.sanity import RANDOM_STEPS, area_under, patch_steps, similarity
from explorer.data.images import read_film
from explorer.model.encoder import ImageTower
from explorer.model.randomised import with_random_blocks
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import Tokens, read_tokens, vit_trunk
from explorer.store.files import atomic_path
from precompute.reporter import ReportProgress
from precompute.threads import WORKERS, one_thread

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from explorer.data.saliency_map import MethodName
    from explorer.store.reader import Store

DELETION_STEPS = 10
"""Steps of deletion and insertion, a tenth of the patches each."""
ORDERS = 2
"""Random orders each film is compared with."""
CHECK_COLUMNS = ["patient", "row", "label", "regime", "check", "step", "value"]


@dataclass(frozen=True)
class _Encoder:
    """A tower, and copies with more and more blocks random: 1, 2, 4 and all."""

    tower: ImageTower
    random: list[ImageTower]

    def unnormalised(self) -> _Encoder:
        return _Encoder(self.tower.unnormalised(), [tower.unnormalised() for tower in self.random])


def write_sanity_checks(
    store: Store,
    labels: tuple[str, ...],
    rows: NDArray[np.int64],
    method: MethodName,
    block: int,
    films: int,
    device: torch.device,
    file: Path,
    report: ReportProgress,
) -> None:
    """Write every sanity check of every regime on a sample of films, each for one label it has.

    Parameters
    ----------
    rows : (m,)
        The split's rows; films are sampled from those with a positive label, every label in turn.
    films : int
        Size of the sample.
    block : int
        From 1.
    """
    pairs = _pairs(store, labels, rows, films)
    encoders = {}
    for regime in store.regimes:
        if regime.encoder not in encoders:
            tower = ImageTower.load(store.encoder_folder(regime.encoder), device)
            depth = len(vit_trunk(tower.visual).blocks)
            random = [with_random_blocks(tower, blocks, seed=0) for blocks in (1, 2, 4, depth)]
            encoders[regime.encoder] = _Encoder(tower, random)
    records: list[tuple[object, ...]] = []
    with one_thread(), ThreadPoolExecutor(WORKERS) as pool:
        tried = pool.map(lambda pair: _try(store, encoders, pair[0], pair[1], method, block), pairs)
        for i, checked in enumerate(tried):
            records += checked
            report(i + 1, len(pairs))
    with atomic_path(file) as temp:
        pd.DataFrame(records, columns=CHECK_COLUMNS).to_parquet(temp, index=False)


def _try(
    store: Store, encoders: dict[str, _Encoder], row: int, label: str, method: MethodName, block: int
) -> list[tuple[object, ...]]:
    """Every check of every regime on one film, as rows of CHECK_COLUMNS."""
    records: list[tuple[object, ...]] = []
    c = store.labels.index(label)
    for name, encoder in encoders.items():
        pixels = encoder.tower.fit.apply(read_film(store.film(row)))
        tokens = read_tokens(encoder.tower, pixels)
        random_tokens = [read_tokens(tower, pixels) for tower in encoder.random]
        random_orders = _random_orders(encoder.tower, pixels, seed=row)
        for regime in store.regimes:
            if regime.encoder != name:
                continue
            weight, bias = (part[c : c + 1] for part in store.head(regime.name))
            read = encoder if regime.unit else encoder.unnormalised()
            about = int(store.patients[row]), row, label, regime.name
            grid = explain(read.tower, tokens, weight, bias, method, [block - 1]).maps[0, 0]
            alike = _randomisation(read, tokens, random_tokens, grid, weight, bias, method, block, row)
            for step, value in zip(RANDOM_STEPS, alike, strict=True):
                records.append((*about, "randomisation", step, value))
            gains = _deletion_insertion(read.tower, pixels, grid, weight[0], random_orders)
            for check, value in zip(("deletion", "insertion"), gains, strict=True):
                records.append((*about, check, "", value))
            if regime.name == store.regimes[0].name and len(store.manifest.prompt_sets) > 1:
                records.append((*about, "prompts", "", _wording(store, encoder.tower, tokens, c, method, block)))
    return records


def _pairs(store: Store, labels: tuple[str, ...], rows: NDArray[np.int64], films: int) -> list[tuple[int, str]]:
    """A random sample of films, each with its rarest label; No Finding has no place on a film."""
    chosen = [store.labels.index(label) for label in labels if label != "No Finding"]
    targets = store.targets[rows][:, chosen]
    some = (targets == 1).any(axis=1)
    sample = np.flatnonzero(some)[stratified_films(targets[some], films, seed=0)] if some.any() else np.zeros(0, int)
    counts = (targets == 1).sum(axis=0)
    pairs = []
    for place in sample:
        has = np.flatnonzero(targets[place] == 1)
        pairs.append((int(rows[place]), store.labels[chosen[has[counts[has].argmin()]]]))
    return pairs


def _randomisation(
    encoder: _Encoder,
    tokens: Tokens,
    random_tokens: list[Tokens],
    grid: NDArray[np.float32],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    method: MethodName,
    block: int,
    seed: int,
) -> list[float]:
    """Similarity of the map to itself with ever more random: RANDOM_STEPS."""
    random_weight = np.random.default_rng(seed).normal(size=weight.shape).astype(np.float32)
    random_weight *= np.linalg.norm(weight) / np.linalg.norm(random_weight)
    grids = [grid, explain(encoder.tower, tokens, random_weight, bias, method, [block - 1]).maps[0, 0]]
    for tower, seen in zip(encoder.random, random_tokens, strict=True):
        grids.append(explain(tower, seen, random_weight, bias, method, [block - 1]).maps[0, 0])
    return [similarity(grid, other) for other in grids]


# --- deletion and insertion ------------------------------------------------------------------------------------------


def _embedded(tower: ImageTower, pixels: NDArray[np.uint8], shown: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(n, D) projections of a film of which only some of (n, P) patches are sharp; the rest is blurred away."""
    size = pixels.shape[0]
    side = round(shown.shape[1] ** 0.5)
    blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(size / 12)))
    patch = size // side
    masks = shown.reshape(-1, side, side).repeat(patch, axis=1).repeat(patch, axis=2)
    return tower.unnormalised().embed(np.where(masks, pixels, blurred), batch_size=len(shown))


def _area(tower: ImageTower, projected: NDArray[np.float32], weight: NDArray[np.float32]) -> float:
    """The area under the logit's curve, as the tower's head reads (DELETION_STEPS + 1, D) projections."""
    scale = np.linalg.norm(projected, axis=1) if tower.unit else 1
    return area_under(projected @ weight / scale)


def _random_orders(tower: ImageTower, pixels: NDArray[np.uint8], seed: int) -> list[NDArray[np.float32]]:
    """(DELETION_STEPS + 1, D) projections while patches go in random order, for ORDERS orders."""
    rows, columns = vit_trunk(tower.visual).patch_embed.grid_size
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(rows * columns) for _ in range(ORDERS)]
    return [_embedded(tower, pixels, ~patch_steps(order, DELETION_STEPS)) for order in orders]


def _deletion_insertion(
    tower: ImageTower,
    pixels: NDArray[np.uint8],
    grid: NDArray[np.float32],
    weight: NDArray[np.float32],
    random_orders: list[NDArray[np.float32]],
) -> tuple[float, float]:
    """Mean fall of the logit as patches go in the map's order rather than at random; mean rise as they come."""
    taken = patch_steps(np.argsort(-grid.ravel(), kind="stable"), DELETION_STEPS)
    gone = _area(tower, _embedded(tower, pixels, ~taken), weight)
    come = _area(tower, _embedded(tower, pixels, taken), weight)
    # a random order of deletion, read backwards, is a random order of insertion
    at_random = float(np.mean([_area(tower, projected, weight) for projected in random_orders]))
    return at_random - gone, come - at_random


def _wording(store: Store, tower: ImageTower, tokens: Tokens, c: int, method: MethodName, block: int) -> float:
    """Mean similarity of the maps of every two prompt sets."""
    heads = [store.prompt_head(prompt_set.name) for prompt_set in store.manifest.prompt_sets]
    weight, bias = np.stack([head[0][c] for head in heads]), np.stack([head[1][c] for head in heads])
    maps = explain(tower, tokens, weight, bias, method, [block - 1]).maps[:, 0]
    return float(np.mean([similarity(one, other) for one, other in combinations(maps, 2)]))
