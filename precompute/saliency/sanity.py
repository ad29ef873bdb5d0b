"""Sanity checks of maps: randomisation and wording on some films; deletion, insertion and occlusion on marked ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

from explorer.analysis.sampling import stratified_films
from explorer.analysis.sanity import (
    AT_REGION,
    ELSEWHERE,
    GAP,
    MIRRORED,
    OCCLUSION,
    OTHER_FILM,
    RANDOM_STEPS,
    REGION,
    ROLLED,
    area_under,
    descending,
    equal_regions,
    patch_steps,
    roll_elsewhere,
    similarity,
)
from explorer.data.images import read_for
from explorer.model.encoder import ImageTower
from explorer.model.randomised import with_random_blocks
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import Tokens, read_tokens
from precompute.reporter import ReportProgress
from precompute.threads import WORKERS, one_thread

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from explorer.data.saliency_map import MethodName
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store

DELETION_STEPS = 5
"""Steps of deletion and insertion, a fifth of the patches each."""
DRAWS = 3
"""Draws of random weights."""
PLACES = 3
"""Random places of an equal region, where its mirror image does not do."""
CHECK_COLUMNS = ["patient", "row", "label", "regime", "check", "step", "draw", "value"]


@dataclass(frozen=True)
class Case:
    """A film and a label it has, with the annotators' region on a picture of the film, or None."""

    row: int
    label: str
    region: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Checks:
    """What is checked.

    Attributes
    ----------
    method, block
        How the maps are made; block 0 is the first.
    labels : tuple of str
        The K labels of the maps.
    rows : (n,)
        The films of the maps.
    maps : mapping
        Regime to its (n, K, g, g) maps.
    sample : cases
        For randomisation and wording.
    marked : cases
        For deletion and insertion, and occlusion where there is a region.
    """

    method: MethodName
    block: int
    labels: tuple[str, ...]
    rows: NDArray[np.int64]
    maps: Mapping[str, NDArray[np.float32]]
    sample: Sequence[Case]
    marked: Sequence[Case]

    def grid(self, regime: str, case: Case) -> NDArray[np.float32]:
        """(g, g) a regime's map of a case."""
        place = int(np.searchsorted(self.rows, case.row))
        return np.asarray(self.maps[regime][place, self.labels.index(case.label)])


def run_checks(store: Store, checks: Checks, device: torch.device, report: ReportProgress) -> pd.DataFrame:
    """Every sanity check of every regime, as rows of CHECK_COLUMNS."""
    encoders = dict.fromkeys(regime.encoder for regime in store.regimes)
    total = len(encoders) * (DRAWS * len(checks.sample) + len(checks.marked))
    records: list[tuple[object, ...]] = []
    done = 0
    for name in encoders:
        tower = ImageTower.load(store.encoder_folder(name), device)
        regimes = [regime for regime in store.regimes if regime.encoder == name]
        with one_thread(), ThreadPoolExecutor(WORKERS) as pool:
            for draw in range(DRAWS):
                random = [with_random_blocks(tower, blocks, seed=draw) for blocks in (1, 2, 4, None)]
                tried = partial(_randomised, store, checks, regimes, tower, random, draw)
                for part in pool.map(tried, checks.sample):
                    records += part
                    done += 1
                    report(done, total)
            for part in pool.map(partial(_moved, store, checks, regimes, tower), checks.marked):
                records += part
                done += 1
                report(done, total)
    return pd.DataFrame(records, columns=CHECK_COLUMNS)


def sample_cases(store: Store, labels: tuple[str, ...], rows: NDArray[np.int64], films: int) -> list[Case]:
    """A random sample of films, each with its rarest label; No Finding has no place on a film."""
    chosen = [store.labels.index(label) for label in labels if label != "No Finding"]
    targets = store.targets[rows][:, chosen]
    some = (targets == 1).any(axis=1)
    sample = np.flatnonzero(some)[stratified_films(targets[some], films, seed=0)] if some.any() else np.zeros(0, int)
    counts = (targets == 1).sum(axis=0)
    cases = []
    for place in sample:
        has = np.flatnonzero(targets[place] == 1)
        cases.append(Case(int(rows[place]), store.labels[chosen[has[counts[has].argmin()]]]))
    return cases


# --- randomisation and wording ---------------------------------------------------------------------------------------


def _randomised(
    store: Store,
    checks: Checks,
    regimes: Sequence[RegimeRecord],
    tower: ImageTower,
    random: Sequence[ImageTower],
    draw: int,
    case: Case,
) -> list[tuple[object, ...]]:
    """Similarity of a film's maps to themselves with ever more random, in one draw; with the first, of wordings."""
    pixels = read_for(tower.fit, store.film(case.row)).fitted(tower.fit)
    seen = [(tower, read_tokens(tower, pixels)), *((other, read_tokens(other, pixels)) for other in random)]
    records: list[tuple[object, ...]] = []
    for regime in regimes:
        weight, bias = _head_row(store, regime, case)
        random_weight = np.random.default_rng([draw, case.row]).normal(size=weight.shape).astype(np.float32)
        random_weight *= np.linalg.norm(weight) / np.linalg.norm(random_weight)
        grid = checks.grid(regime.name, case)
        grids = [grid]
        for model, tokens in seen:
            read = model if regime.unit else model.unnormalised()
            grids.append(explain(read, tokens, random_weight, bias, checks.method, [checks.block]).maps[0, 0])
        about = int(store.patients[case.row]), case.row, case.label, regime.name
        records += [
            (*about, "randomisation", step, draw, similarity(grid, other))
            for step, other in zip(RANDOM_STEPS, grids, strict=True)
        ]
        if draw == 0 and regime.from_prompts and len(store.manifest.prompt_sets) > 1:
            records.append((*about, "prompts", "", 0, _wording(store, checks, *seen[0], case)))
    return records


def _wording(store: Store, checks: Checks, tower: ImageTower, tokens: Tokens, case: Case) -> float:
    """Mean similarity of the maps of every two prompt sets."""
    c = store.labels.index(case.label)
    heads = [store.prompt_head(prompt_set.name) for prompt_set in store.manifest.prompt_sets]
    weight, bias = np.stack([head[0][c] for head in heads]), np.stack([head[1][c] for head in heads])
    maps = explain(tower, tokens, weight, bias, checks.method, [checks.block]).maps[:, 0]
    return float(np.mean([similarity(one, other) for one, other in combinations(maps, 2)]))


# --- deletion and insertion ------------------------------------------------------------------------------------------


class _Deletion:
    """A film of which some patches are sharp and the rest is blurred away."""

    def __init__(self, tower: ImageTower, pixels: NDArray[np.uint8]) -> None:
        self.tower = tower
        self.pixels = pixels
        self.blurred = np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(pixels.shape[0] / 12)))
        self.ends = self.project(np.stack([pixels, self.blurred]))

    def projections(self, order: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(DELETION_STEPS + 1, D) while patches go in an order, from the whole film; and while they come."""
        side = round(len(order) ** 0.5)
        of_pixel = np.arange(self.pixels.shape[0]) * side // self.pixels.shape[0]  # the patch a pixel lies in
        taken = patch_steps(order, DELETION_STEPS)[1:-1].reshape(-1, side, side)
        masks = taken[:, of_pixel][:, :, of_pixel]
        some = self.project(
            np.concatenate([np.where(~masks, self.pixels, self.blurred), np.where(masks, self.pixels, self.blurred)])
        )
        whole, nothing = self.ends[:1], self.ends[1:]
        gone, come = some[: len(masks)], some[len(masks) :]
        return np.concatenate([whole, gone, nothing]), np.concatenate([nothing, come, whole])

    def project(self, films: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(n, D) unnormalised projections of (n, S, S) films."""
        return self.tower.unnormalised().embed(films, batch_size=len(films))


def _moved(
    store: Store, checks: Checks, regimes: Sequence[RegimeRecord], tower: ImageTower, case: Case
) -> list[tuple[object, ...]]:
    """What the maps and the region gain over their opponents on one film, by deletion and by insertion."""
    film = _Deletion(tower, read_for(tower.fit, store.film(case.row)).fitted(tower.fit))
    rng = np.random.default_rng([0, case.row, store.labels.index(case.label)])
    ceiling = occluded = None
    if case.region is not None and (seen := _as_seen(tower, case.region)).any():  # else the model saw nothing marked
        region = _on_patches(seen, checks.maps[regimes[0].name].shape[-1])
        ceiling = _curves(film, region, rng), _curves(film, roll_elsewhere(region, rng), rng)
        # of its own seed: the same places for every encoder of the same geometry, whatever was drawn before
        places = np.random.default_rng([1, case.row, store.labels.index(case.label)])
        occluded = _occluded(film, case.region, places)
    records: list[tuple[object, ...]] = []
    for regime in regimes:
        weight, _ = _head_row(store, regime, case)
        grid = checks.grid(regime.name, case)
        mine = _curves(film, grid, rng)
        pairs = {ROLLED: (mine, _curves(film, roll_elsewhere(grid, rng), rng))}
        other = _another(store, checks, regime.name, case, rng)
        if other is not None:
            pairs[OTHER_FILM] = mine, _curves(film, other, rng)
        if ceiling is not None:
            pairs[REGION] = ceiling
        about = int(store.patients[case.row]), case.row, case.label, regime.name
        for opponent, (ours, theirs) in pairs.items():
            (gone, come), (gone_theirs, come_theirs) = (
                [_area(projected, weight[0], unit=regime.unit) for projected in curves] for curves in (ours, theirs)
            )
            records += [
                (*about, "deletion", opponent, 0, gone_theirs - gone),
                (*about, "insertion", opponent, 0, come - come_theirs),
            ]
        if occluded is not None:
            projected, mirrored = occluded
            whole, at_region, *elsewhere = _logits(projected, weight[0], unit=regime.unit).tolist()
            falls = {AT_REGION: whole - at_region, ELSEWHERE: whole - float(np.mean(elsewhere))}
            falls |= {GAP: falls[AT_REGION] - falls[ELSEWHERE], MIRRORED: float(mirrored)}
            records += [(*about, OCCLUSION, step, 0, value) for step, value in falls.items()]
    return records


def _occluded(
    film: _Deletion, region: NDArray[np.bool_], rng: np.random.Generator
) -> tuple[NDArray[np.float32], bool] | None:
    """(2 + k, D) projections of the film whole, without the region, and without each equal region elsewhere.

    And whether the equal region is the mirror image; None where none fits on the film.
    """
    shown, inside = (_as_seen(film.tower, mask) > 0.5 for mask in (np.ones_like(region), region))
    inside &= shown
    if not inside.any():
        return None
    others, mirrored = equal_regions(inside, shown, rng, PLACES)
    if not len(others):
        return None
    blank = np.concatenate([inside[None], others])
    return np.concatenate([film.ends[:1], film.project(np.where(blank, film.blurred, film.pixels))]), mirrored


def _curves(
    film: _Deletion, grid: NDArray[np.float32], rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return film.projections(descending(grid, rng))


def _area(projected: NDArray[np.float32], weight: NDArray[np.float32], *, unit: bool) -> float:
    """The area under the logit's curve, as the regime's head reads (DELETION_STEPS + 1, D) projections."""
    return area_under(_logits(projected, weight, unit=unit))


def _logits(projected: NDArray[np.float32], weight: NDArray[np.float32], *, unit: bool) -> NDArray[np.float32]:
    """(n,) logits without the bias, as the regime's head reads (n, D) projections."""
    scale = np.linalg.norm(projected, axis=1) if unit else 1
    logits: NDArray[np.float32] = projected @ weight / scale
    return logits


def _another(
    store: Store, checks: Checks, regime: str, case: Case, rng: np.random.Generator
) -> NDArray[np.float32] | None:
    """The label's map of another patient's film that has the label, at random; None where there is none."""
    positive = store.targets[checks.rows, store.labels.index(case.label)] == 1
    places = np.flatnonzero(positive & (store.patients[checks.rows] != store.patients[case.row]))
    if not len(places):
        return None
    return np.asarray(checks.maps[regime][rng.choice(places), checks.labels.index(case.label)])


def _as_seen(tower: ImageTower, region: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(S, S) how far each of the model's pixels lies in a region of a picture of the film, 0 to 1."""
    seen = tower.fit.apply(Image.fromarray(region.astype(np.uint8) * 255))
    return seen.astype(np.float32) / np.float32(255)


def _on_patches(seen: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """(g, g) the share of each patch that a region covers."""
    patch = seen.shape[0] // side
    shares: NDArray[np.float32] = seen.reshape(side, patch, side, patch).mean(axis=(1, 3))
    return shares


def _head_row(store: Store, regime: RegimeRecord, case: Case) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    c = store.labels.index(case.label)
    weight, bias = store.head(regime.name)
    return weight[c : c + 1], bias[c : c + 1]
