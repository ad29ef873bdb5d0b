"""A query's nearest films: FAISS beside scikit-learn's brute force on the same arrays, and the page's server time."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import faiss
import numpy as np
from sklearn.neighbors import NearestNeighbors
from streamlit.testing.v1 import AppTest

from benchmarks import Measurement
from benchmarks.pr_page import enlarged
from benchmarks.precompute_demo import tiny_demo
from explorer.analysis.neighbours import build_index, search
from explorer.store import Store, open_store
from explorer.store.files import sha256_file, write_json

ROOT = Path(__file__).parents[1]
SIZES = (4_000, 100_000)
DIM, K = 512, 10
QUERIES = 40
LIMITS = {4_000: 0.25, 100_000: 0.4}
"""Seconds that a page's new query may take at the 95th percentile."""


def run(repeats: int) -> list[Measurement]:
    measured = []
    for n in SIZES:
        measured += _libraries(n, repeats)
    with tempfile.TemporaryDirectory() as folder:
        tiny = tiny_demo(Path(folder) / "tiny", 96)
        for n in SIZES:
            large = with_spaces(enlarged(tiny, n, Path(folder) / str(n)))
            seconds = [_page(large, seed) for seed in range(repeats)]
            for clock, times in zip(
                ("wall clock", "processor, which a busy machine does not stretch"),
                zip(*seconds, strict=True),
                strict=True,
            ):
                measured.append(
                    Measurement(
                        f"search: page, {n:,} films, {clock.split(',')[0]}",
                        f"95th percentile of {QUERIES} new films asked for, the whole page drawn; {clock}",
                        f"limit: {LIMITS[n]} s",
                        list(times),
                        [LIMITS[n]],
                        f"{n:,} films, {len(large.manifest.spaces)} spaces, 6 neighbours in each of 2; "
                        f"{os.getloadavg()[0]:.0f} processes at work on the machine",
                        goal=1.0,
                    )
                )
    return measured


def _libraries(n: int, repeats: int) -> list[Measurement]:
    """Mean seconds of one query, one at a time as a page asks, each with a patient's films left out."""
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(n, DIM)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = build_index(vectors)
    cosine = NearestNeighbors(n_neighbors=K + 3, metric="cosine", algorithm="brute").fit(vectors)
    euclidean = NearestNeighbors(n_neighbors=K + 3, metric="euclidean", algorithm="brute").fit(vectors)
    asked = rng.integers(0, n, QUERIES)

    def ours(row: int) -> None:
        search(index, vectors[row], K, np.arange(row, min(row + 3, n)))

    def theirs(model: NearestNeighbors, row: int) -> None:
        found = model.kneighbors(vectors[row : row + 1], return_distance=True)[1][0]
        found[~np.isin(found, np.arange(row, row + 3))][:K]

    times: dict[str, list[float]] = {"ours": [], "cosine": [], "euclidean": []}
    for _ in range(repeats):
        times["ours"].append(_mean(ours, asked))
        times["cosine"].append(_mean(lambda row: theirs(cosine, row), asked))
        times["euclidean"].append(_mean(lambda row: theirs(euclidean, row), asked))
    size = f"{n:,} x {DIM}, k = {K}, one query at a time, {faiss.omp_get_max_threads()} threads"
    return [
        Measurement(
            f"search: query, {n:,} films",
            "FAISS flat inner product, with films left out",
            f"scikit-learn brute force, {metric}",
            times["ours"],
            times[metric],
            size,
        )
        for metric in ("cosine", "euclidean")
    ]


def _mean(act: object, rows: np.ndarray) -> float:
    start = time.perf_counter()
    for row in rows.tolist():
        act(row)  # type: ignore[operator]
    return (time.perf_counter() - start) / len(rows)


def with_spaces(store: Store) -> Store:
    """Vectors, indices and neighbour counts of the run's own size, in place of the small run's."""
    rng = np.random.default_rng(0)
    artefacts = dict(store.manifest.artefacts)

    def put(relative: str, write: object) -> None:
        file = store.path / relative
        file.unlink()
        write(file)  # type: ignore[operator]
        shape = np.load(file, mmap_mode="r").shape if relative.endswith(".npy") else None
        changed = {"bytes": file.stat().st_size, "shape": shape, "sha256": sha256_file(file)}
        artefacts[relative] = artefacts[relative].model_copy(update=changed)

    encoders = {regime.embedding_space: regime.encoder for regime in store.regimes}
    for space in store.manifest.spaces:
        vectors = rng.normal(size=(store.n, space.dim)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        held = f"encoders/{encoders[space.name]}/embeddings.npy" if space.kind == "embedding" else ""
        put(held or f"spaces/{space.name}/vectors.npy", lambda file, v=vectors: np.save(file, v))
        put(
            f"spaces/{space.name}/index.faiss",
            lambda file, v=vectors: faiss.write_index(build_index(v), str(file)),
        )
        counts = rng.poisson(10, store.n).astype(np.int32)
        put(f"spaces/{space.name}/occurrences.npy", lambda file, c=counts: np.save(file, c))
    manifest = store.manifest.model_copy(update={"artefacts": artefacts})
    write_json(store.path / "manifest.json", manifest.model_dump(mode="json"))
    return open_store(store.path)


def _page(store: Store, seed: int) -> tuple[float, float]:
    """The 95th percentile of a new query's server time by both clocks, after one that opens the store."""
    os.environ["EXPLORER_STORE"] = str(store.path.parent)
    ids = store.samples["sample_id"].to_numpy()[store.rows("test")]
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    app = app.switch_page("pages/neighbours.py").run()
    wall, processor = [], []
    for sample_id in np.random.default_rng(seed).choice(ids, QUERIES, replace=False):
        app.text_input("film_box").set_value(str(sample_id))
        start, used = time.perf_counter(), time.process_time()
        app.run()
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - used)
        if app.exception or app.error:
            raise RuntimeError("the neighbours page did not draw")
    return float(np.quantile(wall, 0.95)), float(np.quantile(processor, 0.95))
