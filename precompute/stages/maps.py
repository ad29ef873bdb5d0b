"""Index, map and clusters of every space, and how far the maps may be believed."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np

from explorer.analysis.clusters import describe_clusters, find_clusters
from explorer.analysis.map_trust import trust
from explorer.analysis.maps import stability, umap_map
from explorer.analysis.neighbours import build_index
from explorer.store.files import atomic_path, write_array, write_json
from precompute.reporter import Report
from precompute.run.run import Run


def maps(run: Run) -> None:
    """Index and map of every space; all maps start from the frozen space's, to be laid out alike."""
    k, seed = run.settings.neighbours, run.settings.seed

    def make(folder: Path, report: Report) -> list[str]:
        paths, first = [], None
        for i, space in enumerate(run.spaces):
            where = f"spaces/{space.name}"
            vectors = run.vectors(space)
            if space.kind == "decision":
                write_array(folder / where / "vectors.npy", vectors)
                paths.append(f"{where}/vectors.npy")
            with atomic_path(folder / where / "index.faiss") as temp:
                faiss.write_index(build_index(vectors), str(temp))
            layout = umap_map(vectors, k, seed, init="spectral" if first is None else first)
            write_array(folder / where / "map.npy", layout)
            paths += [f"{where}/{name}" for name in ("index.faiss", "map.npy")]
            first = layout if first is None else first
            report(i + 1, len(run.spaces))
        return paths

    run.stage("maps", {**run.embedding_hashes(), **run.logit_hashes(), "k": k, "seed": seed}, make)


def map_trust(run: Run) -> None:
    """How far every map may be believed: for every film, as a whole, and across seeds."""
    k, seed = run.settings.neighbours, run.settings.seed

    def make(folder: Path, report: Report) -> list[str]:
        paths = []
        for i, space in enumerate(run.spaces):
            where = f"spaces/{space.name}"
            vectors, layout = run.vectors(space), np.load(folder / where / "map.npy")
            points, figures = trust(vectors, layout, k, seed)
            write_array(folder / where / "points.npy", points)
            start = "spectral" if i == 0 else "the frozen embedding's map"
            params = {"n_neighbors": k + 1, "metric": "cosine", "init": start}
            record = {"method": "UMAP", "params": params, "seed": seed, **figures}
            write_json(folder / where / "trust.json", record | stability(vectors, layout, k, seed))
            paths += [f"{where}/points.npy", f"{where}/trust.json"]
            report(i + 1, len(run.spaces))
        return paths

    run.stage("map trust", {**run.map_hashes(), "k": k, "seed": seed}, make)


def clusters(run: Run) -> None:
    """Groups of films in every space, named after the findings they have more of than the rest."""
    seed = run.settings.seed

    def make(folder: Path, report: Report) -> list[str]:
        paths = []
        reports, train = run.frame["report"].fillna("").tolist(), (run.frame["split"] == "train").to_numpy()
        for i, space in enumerate(run.spaces):
            where = f"spaces/{space.name}"
            codes = find_clusters(run.vectors(space), seed)
            write_array(folder / where / "clusters.npy", codes)
            found = describe_clusters(codes, run.targets, run.labels, reports, train)
            write_json(folder / where / "clusters.json", {"clusters": [cluster.model_dump() for cluster in found]})
            paths += [f"{where}/clusters.npy", f"{where}/clusters.json"]
            report(i + 1, len(run.spaces))
        return paths

    given = {**run.map_hashes(), "samples": run.writer.sha256("samples.parquet"), "seed": seed}
    run.stage("clusters", given, make)
