"""Five maps beside umap-learn on the same vectors: alone, and given the same FAISS neighbours.

Each is timed in a process of its own, from before the import of UMAP to the last layout. Cold, its Numba cache is
empty, as on a newcomer's first run. ``BENCH_LARGE=1`` adds 100,000 films, warm and once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks import Measurement, Seconds, timed

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
FILMS, LARGE = 4_000, 100_000
DIM, SPACES = 512, 5
K, SEED = 15, 0
TRUSTED = 1_000
"""Films whose neighbourhoods are compared with all others'."""
LEAST_TRUST = -0.005
"""How far ours may fall below the other's trustworthiness for a ratio to count."""
OTHERS = {"alone": "umap-learn alone", "given": "umap-learn, given the same FAISS neighbours"}
GOALS = {("cold", "alone"): 2.0, ("warm", "given"): 1.5}


def run(repeats: int) -> list[Measurement]:
    sizes = [(FILMS, repeats, ("cold", "warm")), *([(LARGE, 1, ("warm",))] if "BENCH_LARGE" in os.environ else [])]
    return [m for n, times, states in sizes for m in _of_size(n, times, states)]


def _of_size(n: int, repeats: int, states: tuple[str, ...]) -> list[Measurement]:
    measured = []
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        _write_spaces(folder, n)
        for kind in ("ours", *OTHERS):  # so that warm is warm
            if "cold" not in states:
                _timed(folder, kind, folder / f"numba-{kind}", few=True)
        for state in states:
            laid: dict[str, list[dict[str, Any]]] = {"ours": [], "alone": [], "given": []}
            for i in range(repeats):
                for kind, made in laid.items():
                    cache = folder / (f"numba-{kind}{i}" if state == "cold" else f"numba-{kind}0")
                    made.append(_timed(folder, kind, cache))
            measured += [_beside(laid, other, state, n) for other in OTHERS]
    return measured


def _beside(laid: dict[str, list[dict[str, Any]]], other: str, state: str, n: int) -> Measurement:
    trust = {kind: np.array(laid[kind][0]["trust"]) for kind in ("ours", other)}
    worst = float((trust["ours"] - trust[other]).min())
    goal = GOALS.get((state, other))
    return Measurement(
        f"map: {n:,} films, {state}, beside {OTHERS[other]}",
        "exact kNN, later spaces from the first's map",
        OTHERS[other],
        [Seconds(*m["seconds"]) for m in laid["ours"]],
        [Seconds(*m["seconds"]) for m in laid[other]],
        f"{n:,} synthetic films, {SPACES} spaces of {DIM} dimensions; trustworthiness {trust['ours'].mean():.3f} "
        f"against {trust[other].mean():.3f}, at least {worst:+.4f} in every space",
        goal=goal if worst >= LEAST_TRUST else None,
    )


def _write_spaces(folder: Path, n: int) -> None:
    """Films in clusters of many sizes, seen alike by every space with noise of its own."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, DIM))
    cluster = rng.choice(40, n, p=np.geomspace(1, 0.05, 40) / np.geomspace(1, 0.05, 40).sum())
    within = rng.normal(size=(n, 8)) @ rng.normal(size=(8, DIM)) / 3
    for space in range(SPACES):
        x = centres[cluster] + within + rng.normal(0, 0.7, (n, DIM))
        np.save(folder / f"{space}.npy", (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32))


def _timed(folder: Path, kind: str, cache: Path, few: bool = False) -> dict[str, Any]:
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.map", str(folder), kind, *(["few"] if few else [])]
    env = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def _lay_out(folder: Path, kind: str, few: bool) -> dict[str, Any]:
    spaces = [np.load(folder / f"{space}.npy")[: 200 if few else None] for space in range(SPACES)]
    layouts: list[NDArray[np.float32]] = []
    seconds = timed(lambda: layouts.extend(_maps(spaces, kind)))
    from explorer.analysis.map_trust import point_trust

    rows = np.linspace(0, len(spaces[0]) - 1, min(TRUSTED, len(spaces[0]))).astype(np.int64)
    kept = [point_trust(x, layout, K, rows)[:, 0] for x, layout in zip(spaces, layouts, strict=True)]
    return {"seconds": seconds, "trust": [float(each.mean()) for each in kept]}


def _maps(spaces: list[NDArray[np.float32]], kind: str) -> list[NDArray[np.float32]]:
    if kind == "ours":
        from explorer.analysis.maps import umap_map

        first = umap_map(spaces[0], K, SEED)
        return [first, *(umap_map(x, K, SEED, init=first) for x in spaces[1:])]
    import umap

    from explorer.analysis.neighbours import knn

    layouts = []
    for x in spaces:
        given = {"precomputed_knn": knn(x, K + 1), "force_approximation_algorithm": True} if kind == "given" else {}
        layouts.append(umap.UMAP(n_neighbors=K + 1, metric="cosine", random_state=SEED, **given).fit_transform(x))
    return layouts


if __name__ == "__main__":
    print(json.dumps(_lay_out(Path(sys.argv[1]), sys.argv[2], "few" in sys.argv[3:])))
