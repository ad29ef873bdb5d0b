"""Maps of a split or a sample of it, and how they agree with the readers, in a folder beside the run."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pandas as pd

from explorer.analysis import localisation as loc
from explorer.analysis.sampling import stratified_films
from explorer.data.images import read_for
from explorer.data.limits import BadImage
from explorer.data.regions import consensus, grid_size, reader_masks, with_shape
from explorer.data.saliency_map import MethodName, silence
from explorer.data.samples import Split
from explorer.errors import UserError
from explorer.model.encoder import ImageTower
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import depth, read_tokens
from explorer.store import checked, layout
from explorer.store.files import atomic_path, sha256_file, sha256_json, write_array, write_json
from explorer.store.manifest import SaliencyRecord
from explorer.store.saliency import CHECKS, SaliencySet
from explorer.store.scores import check_scores, stored_embedding
from precompute.reporter import Reporter, ReportProgress
from precompute.saliency.sanity import Case, Checks, run_checks, sample_cases
from precompute.threads import WORKERS, one_thread

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from explorer.store.reader import Store

CHUNK = 32
"""Films between two files: what a killed job loses at most."""


@dataclass(frozen=True)
class SaliencyPlan:
    """The maps to make. ``block`` counts from 1; ``films`` is the size of each split's sample, None for all films.

    The sanity checks randomise weights on ``randomised`` films. They delete and insert patches of all marked pairs of
    film and label, at most ``most_marked``, and blank their regions. Where nothing is marked, they take the randomised
    films.
    """

    labels: tuple[str, ...]
    split: Split
    method: MethodName
    block: int
    films: int | None = None
    randomised: int = 24
    most_marked: int = 500

    @property
    def splits(self) -> tuple[Split, ...]:
        """The split, and validation for thresholds and mean maps."""
        return ("val",) if self.split == "val" else (self.split, "val")


def plan_saliency(
    store: Store,
    labels: Sequence[str],
    split: Split,
    method: MethodName,
    block: int | None,
    films: int | None = None,
) -> SaliencyPlan:
    """A checked plan. Default: all labels of the run, the last block, and all films of the split."""
    for label in labels:
        if label not in store.labels:
            raise UserError(f"{store.path} has no label {label!r}.", f"Use some of: {', '.join(store.labels)}.")
    blocks = depth(ImageTower.load(store.encoder_folder(store.regimes[0].encoder)).visual)
    if block is not None and not 1 <= block <= blocks:
        raise UserError(f"--block is {block}; the encoder has blocks 1 to {blocks}.", "Choose one of them.")
    if not len(store.rows(split)):
        raise UserError(f"{store.path} has no film in {split}.", "Choose another split.")
    return SaliencyPlan(tuple(dict.fromkeys(labels)) or store.labels, split, method, block or blocks, films)


def make_saliency(
    store: Store, annotations: pd.DataFrame, wanted: SaliencyPlan, device: torch.device, reporter: Reporter
) -> SaliencySet:
    """Make what is not there yet, and return the whole.

    Maps are kept in pieces of CHUNK films until a split is whole, so that a killed job goes on where it stopped.
    Agreement is computed anew each time: marks may have been added. Maps of all films replace those of a sample. A
    sample never replaces them: they hold its films, so that they are completed and kept in its place.
    """
    folder = layout.saliency_folder(store.path, wanted.method, wanted.block)
    mark = folder / layout.SALIENCY_MADE_FROM
    made_from = mark.read_text(encoding="utf-8") if mark.is_file() else ""
    sample = {} if made_from == _key(store, wanted, {}) else _sample(store, annotations, wanted)
    key = _key(store, wanted, sample)
    if folder.is_dir() and made_from != key:
        shutil.rmtree(folder)  # maps of other films, labels or another split, or an earlier run of this name
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(key, encoding="utf-8")
    (folder / layout.SALIENCY_RECORD).unlink(missing_ok=True)
    rows = {split: sample.get(split, store.rows(split)) for split in wanted.splits}
    with reporter.stage("saliency maps") as report:
        files = _maps(store, wanted, rows, folder, device, report)
    with reporter.stage("agreement") as report:
        shares, n_annotated, n_absent = _agreement(store, annotations, wanted, rows, folder, report)
    with reporter.stage("sanity checks") as report:
        _sanity_checks(store, annotations, wanted, rows[wanted.split], folder, device, report)
    files += [layout.saliency_table("agreement"), layout.saliency_table("sanity")]
    record = SaliencyRecord(
        run_id=store.manifest.run_id,
        run_created=store.manifest.created,
        method=wanted.method,
        block=wanted.block,
        split=wanted.split,
        labels=wanted.labels,
        shares=shares,
        n_annotated=n_annotated,
        n_absent=n_absent,
        checks=CHECKS,
        sample={split: tuple(chosen.tolist()) for split, chosen in sample.items()},
        sha256={name: sha256_file(folder / name) for name in files},
    )
    write_json(folder / layout.SALIENCY_RECORD, record.model_dump(mode="json"))
    return SaliencySet(folder, record)


# --- films -----------------------------------------------------------------------------------------------------------

Rows = Mapping[Split, "NDArray[np.int64]"]
"""By split, the rows of its films, ascending."""


def _key(store: Store, wanted: SaliencyPlan, sample: Rows) -> str:
    """The hash of all that decides which maps a folder has."""
    manifest = store.manifest
    decides = [manifest.run_id, manifest.created, wanted.method, wanted.block, wanted.labels, wanted.split]
    return sha256_json([*decides, *([{split: rows.tolist() for split, rows in sample.items()}] if sample else [])])


def _sample(store: Store, annotations: pd.DataFrame, wanted: SaliencyPlan) -> Rows:
    """The films of every split that has more than wanted: those with marks first, by label, then any at random."""
    if wanted.films is None:
        return {}
    marked = np.zeros((store.n, len(wanted.labels)), np.float32)
    shapes = with_shape(annotations)
    shapes = shapes[shapes["label"].isin(wanted.labels)]
    marked[shapes["row"], [wanted.labels.index(label) for label in shapes["label"]]] = 1
    splits = {split: store.rows(split) for split in wanted.splits}
    return {
        split: rows[stratified_films(marked[rows], wanted.films, seed=0)]
        for split, rows in splits.items()
        if len(rows) > wanted.films
    }


# --- maps ------------------------------------------------------------------------------------------------------------


def _maps(
    store: Store, wanted: SaliencyPlan, rows: Rows, folder: Path, device: torch.device, report: ReportProgress
) -> list[str]:
    towers = {regime.encoder: ImageTower.load(store.encoder_folder(regime.encoder), device) for regime in store.regimes}
    chosen = [store.labels.index(label) for label in wanted.labels]
    heads = {r.name: (weight[chosen], bias[chosen]) for r in store.regimes for weight, bias in [store.head(r.name)]}
    total, done, files = sum(map(len, rows.values())), 0, []
    for split, chosen_rows in rows.items():
        whole = [layout.saliency_maps_file(split, regime.name) for regime in store.regimes]
        files += whole
        if all(_kept(folder / name, len(chosen_rows), wanted) is not None for name in whole):
            done += len(chosen_rows)
            report(done, total)
            continue
        pieces: dict[str, list[Path]] = {regime.name: [] for regime in store.regimes}
        for start in range(0, len(chosen_rows), CHUNK):
            part = chosen_rows[start : start + CHUNK]
            for regime in store.regimes:
                pieces[regime.name].append(folder / layout.map_piece(split, regime.name, start))
            if any(_kept(paths[-1], len(part), wanted) is None for paths in pieces.values()):
                made = _piece(store, towers, heads, part, wanted)
                for name, paths in pieces.items():
                    write_array(paths[-1], made[name])
            done += len(part)
            report(done, total)
        for name, paths in pieces.items():
            write_array(
                folder / layout.saliency_maps_file(split, name), np.concatenate([_map(path, wanted) for path in paths])
            )
    shutil.rmtree(folder / layout.MAP_PIECES, ignore_errors=True)
    return files


def _map(file: Path, wanted: SaliencyPlan, n: int | None = None) -> NDArray[np.float32]:
    """(n, K, g, g) maps that this job or one before it wrote, memory-mapped."""
    return checked.map_array(file, "float32", (n, len(wanted.labels), None, None))


def _kept(file: Path, n: int, wanted: SaliencyPlan) -> NDArray[np.float32] | None:
    """Maps that a job before left whole; None where they are to be made."""
    try:
        return _map(file, wanted, n)
    except (FileNotFoundError, checked.Damaged):
        return None


def _piece(
    store: Store,
    towers: dict[str, ImageTower],
    heads: dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]],
    rows: NDArray[np.int64],
    wanted: SaliencyPlan,
) -> dict[str, NDArray[np.float32]]:
    """(n, K, g, g) maps of some films by regime; each film is decoded once, and runs through each encoder once."""
    chosen = [store.labels.index(label) for label in wanted.labels]
    stored = {r.name: store.logits(r.name)[:, chosen] for r in store.regimes}
    read = {r.name: towers[r.encoder] if r.unit else towers[r.encoder].unnormalised() for r in store.regimes}

    decoding = next(iter(towers.values())).fit  # the same for all encoders of a run

    def one(row: int) -> list[NDArray[np.float32]]:
        try:
            film = read_for(decoding, store.film(row))
        except BadImage as error:
            name = store.samples["sample_id"].iat[row]
            raise UserError(f"The film {name} cannot be read: {error}.", "Restore it, then run this again.") from error
        tokens = {encoder: read_tokens(tower, film.fitted(tower.fit)) for encoder, tower in towers.items()}
        maps = []
        for r in store.regimes:
            made = explain(read[r.name], tokens[r.encoder], *heads[r.name], wanted.method, [wanted.block - 1])
            embedding = stored_embedding(store, r.encoder, row, r.unit)
            check_scores(store, r.encoder, heads[r.name][0], embedding, made.logits, stored[r.name][row])
            maps.append(made.maps[:, 0])
        return maps

    with one_thread(), ThreadPoolExecutor(WORKERS) as pool:
        made = list(pool.map(one, rows.tolist()))
    return {r.name: np.stack(maps) for r, maps in zip(store.regimes, zip(*made, strict=True), strict=True)}


# --- sanity checks ---------------------------------------------------------------------------------------------------


def _sanity_checks(
    store: Store,
    annotations: pd.DataFrame,
    wanted: SaliencyPlan,
    rows: NDArray[np.int64],
    folder: Path,
    device: torch.device,
    report: ReportProgress,
) -> None:
    """Write the checks of the films with maps, unless they are there, made from the same marks."""
    pairs, _ = _pairs(store, annotations, wanted.labels, rows)
    marked = [Case(pair.row, pair.label, pair.region) for pair in pairs]
    if len(marked) > wanted.most_marked:
        chosen = np.random.default_rng(0).choice(len(marked), wanted.most_marked, replace=False)
        marked = [marked[i] for i in np.sort(chosen)]
    sample = sample_cases(store, wanted.labels, rows, wanted.randomised)
    regions = [np.packbits(pair.region).tobytes().hex() for pair in pairs]
    key = sha256_json([CHECKS, regions, [(case.row, case.label) for case in (*marked, *sample)]])
    file, mark = folder / layout.saliency_table("sanity"), folder / layout.SALIENCY_CHECKED_FROM
    if file.is_file() and mark.is_file() and mark.read_text(encoding="utf-8") == key:
        return
    maps = {r.name: _map(folder / layout.saliency_maps_file(wanted.split, r.name), wanted) for r in store.regimes}
    checks = Checks(wanted.method, wanted.block - 1, wanted.labels, rows, maps, sample, marked or sample)
    frame = run_checks(store, checks, device, report)
    with atomic_path(file) as temp:
        frame.to_parquet(temp, index=False)
    mark.write_text(key, encoding="utf-8")


# --- agreement -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Pair:
    """One film and label that readers looked at; the region is empty where most found nothing."""

    row: int
    label: str
    masks: dict[str, NDArray[np.bool_]]
    region: NDArray[np.bool_]
    height: int
    width: int


def _pairs(
    store: Store, annotations: pd.DataFrame, labels: Sequence[str], rows: NDArray[np.int64]
) -> tuple[list[_Pair], list[_Pair]]:
    """Pairs of these films with a region, and those without."""
    marked = annotations[annotations["row"].isin(rows) & annotations["label"].isin(labels)]
    pairs = []
    for key, part in marked.groupby(["row", "label"], sort=True):
        row, label = cast("tuple[int, str]", key)
        sample = store.samples.iloc[int(row)]
        height, width, scale = grid_size(int(sample["height"]), int(sample["width"]))
        masks = reader_masks(part, height, width, scale)
        pairs.append(_Pair(int(row), label, masks, consensus(masks), height, width))
    return [pair for pair in pairs if pair.region.any()], [pair for pair in pairs if not pair.region.any()]


class _Maps:
    """Every source's map of a pair: the regimes', their labels' mean maps, and the priors."""

    def __init__(self, store: Store, wanted: SaliencyPlan, rows: Rows, folder: Path) -> None:
        self.store, self.wanted, self.rows = store, wanted, rows
        self.grids = {
            (split, r.name): _map(folder / layout.saliency_maps_file(split, r.name), wanted)
            for split in rows
            for r in store.regimes
        }
        self.means = {(r.name, label): self._mean(r.name, label) for r in store.regimes for label in wanted.labels}

    def _mean(self, regime: str, label: str) -> NDArray[np.float32] | None:
        """The label's mean map over validation films that have it, each scaled to its own maximum first."""
        positive = self.store.targets[self.rows["val"], self.store.labels.index(label)] == 1
        maps = np.asarray(self.grids["val", regime][positive, self.wanted.labels.index(label)])
        tops = maps.max(axis=(1, 2), initial=0)
        if not (tops > 0).any():
            return None
        mean: NDArray[np.float32] = (maps[tops > 0] / tops[tops > 0, None, None]).mean(axis=0)
        return mean

    def of(self, pair: _Pair, split: Split) -> dict[str, tuple[NDArray[np.float32], bool]]:
        """(h, w) maps by source, and whether each says nothing."""
        picture = pair.height, pair.width
        out = {loc.CENTRE: (loc.centre_prior(*picture), False), loc.LUNG: (loc.lung_prior(*picture), False)}
        sample = self.store.samples.iloc[pair.row]
        size = int(sample["height"]), int(sample["width"])
        for regime in self.store.regimes:
            maps, c = self.grids[split, regime.name], self.wanted.labels.index(pair.label)
            grid = np.asarray(maps[np.searchsorted(self.rows[split], pair.row), c])
            fit = self.store.fit(regime.encoder)
            out[regime.name] = fit.to_picture(grid, *size, *picture), silence(grid) is not None
            mean = self.means[regime.name, pair.label]
            if mean is not None:
                out[loc.mean_map(regime.name)] = fit.to_picture(mean, *size, *picture), False
        return out


def _agreement(
    store: Store, annotations: pd.DataFrame, wanted: SaliencyPlan, rows: Rows, folder: Path, report: ReportProgress
) -> tuple[dict[str, dict[str, float]], int, int]:
    """Write the agreement; return the thresholds by source and label, and how many pairs had a region and none."""
    val, _ = _pairs(store, annotations, wanted.labels, rows["val"])
    pairs, absent = _pairs(store, annotations, wanted.labels, rows[wanted.split])
    maps = _Maps(store, wanted, rows, folder)
    total = len(val) + len(pairs)
    curves: dict[str, list[NDArray[np.float64]]] = {}
    for i, pair in enumerate(val):
        for source, (values, _) in maps.of(pair, "val").items():
            curves.setdefault(source, []).append(loc.ious(values, pair.region))
        report(i + 1, total)
    shares = {
        source: loc.choose_shares([pair.label for pair in val], np.stack(curve))
        for source, curve in curves.items()
        if len(curve) == len(val)
    }
    records = []
    for i, pair in enumerate(pairs):
        about = {"patient": int(store.patients[pair.row]), "row": pair.row, "label": pair.label}
        for source, (values, silent) in maps.of(pair, wanted.split).items():
            mine = shares.get(source, {})
            share = mine.get(pair.label, mine.get(loc.ALL, np.nan))
            scores = loc.score_map(values, pair.region, share)
            records.append({**about, "source": source, "silent": silent, **_named(scores)})
        records.append({**about, "source": loc.RANDOM, "silent": False, **_named(loc.score_random(pair.region))})
        if len(pair.masks) > 1:
            records.append({**about, "source": loc.READER, "silent": False, **_named(_between(pair))})
        report(len(val) + i + 1, total)
    columns = ["patient", "row", "label", "source", "silent", *loc.METRICS]
    with atomic_path(folder / layout.saliency_table("agreement")) as temp:
        pd.DataFrame(records, columns=columns).to_parquet(temp, index=False)
    return shares, len(pairs), len(absent)


def _between(pair: _Pair) -> NDArray[np.float64]:
    """Each reader against what the others marked, averaged: the ceiling of agreement.

    To find nothing is to agree wholly where the others found nothing, and not at all where they marked.
    """
    scores = []
    for reader, mask in pair.masks.items():
        others = consensus({name: other for name, other in pair.masks.items() if name != reader})
        if others.any():
            scores.append(loc.score_map(mask.astype(np.float32), others, 0.5))
        else:
            scores.append(np.full(len(loc.METRICS), float(not mask.any())))
    mean: NDArray[np.float64] = np.stack(scores).mean(axis=0)
    return mean


def _named(scores: NDArray[np.float64]) -> dict[str, float]:
    return dict(zip(loc.METRICS, scores.tolist(), strict=True))
