"""Index, map and clusters of every space, and how far the maps may be believed."""

from __future__ import annotations

from pathlib import Path

import faiss

from explorer.analysis.clusters import describe_clusters, find_clusters
from explorer.analysis.map_trust import trust
from explorer.analysis.maps import stability, umap_map
from explorer.analysis.neighbours import build_index, decision_vectors
from explorer.store import layout
from explorer.store.files import atomic_path, write_array, write_json
from explorer.store.manifest import SpaceRecord
from precompute.run.run import Part, Run

VERSIONS = {"maps": 1, "map trust": 1, "clusters": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def write_index(path: Path, index: faiss.Index) -> None:
    """Through Python: FAISS's own writing passes over a disk that is full at the file's end."""
    with atomic_path(path) as temp, temp.open("wb") as file:
        faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))  # type: ignore[attr-defined]


def maps(run: Run) -> None:
    """Index and map of every space; all maps start from the frozen space's, to be laid out alike."""
    k, seed = run.settings.neighbours, run.settings.seed
    first = layout.space_files(run.spaces[0].name).map

    def part(space: SpaceRecord) -> Part:
        files = layout.space_files(space.name)
        owner = next((r.name for r in run.regimes if r.decision_space == space.name), "")
        is_first = files.map == first

        def make(folder: Path) -> list[str]:
            paths = [files.index, files.map]
            if space.kind == "decision":
                logits = run.logits(owner)
                vectors = decision_vectors(logits, logits)
                write_array(folder / files.vectors, vectors)
                paths.append(files.vectors)
            else:
                vectors = run.vectors(space.name)
            write_index(folder / files.index, build_index(vectors))
            places = umap_map(vectors, k, seed, init="spectral" if is_first else run.map(run.spaces[0].name))
            write_array(folder / files.map, places)
            return paths

        of = layout.regime_files(owner).logits if owner else run.vectors_file(space.name)
        start = {} if is_first else run.hashes(first)
        return {**run.hashes(of), **start, "k": k, "seed": seed}, make

    run.stage_by_space("maps", part)


def map_trust(run: Run) -> None:
    """How far every map may be believed: for every film, as a whole, and across seeds."""
    k, seed = run.settings.neighbours, run.settings.seed

    def part(space: SpaceRecord) -> Part:
        files = layout.space_files(space.name)
        start = "spectral" if space == run.spaces[0] else "the frozen embedding's map"

        def make(folder: Path) -> list[str]:
            vectors, places = run.vectors(space.name), run.map(space.name)
            points, figures = trust(vectors, places, k, seed)
            write_array(folder / files.points, points)
            params = {"n_neighbors": k + 1, "metric": "cosine", "init": start}
            record = {"method": "UMAP", "params": params, "seed": seed, **figures}
            write_json(folder / files.trust, record | stability(vectors, places, k, seed))
            return [files.points, files.trust]

        given = run.hashes(run.vectors_file(space.name), files.map)
        return {**given, "init": start, "k": k, "seed": seed}, make

    run.stage_by_space("map trust", part)


def clusters(run: Run) -> None:
    """Groups of films in every space, named after the findings they have more of than the rest."""
    seed = run.settings.seed

    def part(space: SpaceRecord) -> Part:
        files = layout.space_files(space.name)

        def make(folder: Path) -> list[str]:
            reports, train = run.samples["report"].fillna("").tolist(), (run.samples["split"] == "train").to_numpy()
            codes = find_clusters(run.vectors(space.name), seed)
            write_array(folder / files.cluster_codes, codes)
            described = describe_clusters(codes, run.targets, run.labels, reports, train)
            write_json(folder / files.clusters, {"clusters": [cluster.model_dump() for cluster in described]})
            return [files.cluster_codes, files.clusters]

        return {**run.hashes(run.vectors_file(space.name), layout.SAMPLES), "seed": seed}, make

    run.stage_by_space("clusters", part)
