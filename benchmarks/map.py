"""The map stage beside plain umap-learn on the same spaces: time, cold start included, and trustworthiness.

Each is timed in a process of its own with an empty Numba cache, as on a newcomer's first run, and with a warm one.
Plain umap-learn is its own kNN search, its own spectral start, one fit a space, with the same seed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.manifold import trustworthiness

from benchmarks import Measurement
from benchmarks.precompute_demo import tiny_demo
from explorer.store.runs import open_store

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROOT = Path(__file__).parents[1]
K, SEED = 15, 0


def run(repeats: int) -> list[Measurement]:
    with tempfile.TemporaryDirectory() as temp:
        folder = Path(temp)
        root = Path(os.environ.get("EXPLORER_STORE", folder / "store"))
        if "EXPLORER_STORE" not in os.environ:
            tiny_demo(root)
        store = open_store(root)
        names = []
        for space in store.manifest.spaces:
            names.append(f"{space.name}.npy")
            np.save(folder / names[-1], np.asarray(store.vectors(space.name)))
        (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
        out = []
        size = f"{store.n} films, {len(names)} spaces"
        for state in ("cold", "warm"):
            found: dict[str, list[dict[str, object]]] = {"ours": [], "plain": []}
            for i in range(1 if state == "cold" else repeats):
                for kind, made in found.items():
                    made.append(_timed(folder, kind, folder / f"numba-{kind}{i if state == 'cold' else 0}"))
            trust = {kind: np.array(list(made[0]["trust"].values())) for kind, made in found.items()}  # type: ignore[attr-defined]
            worst = float((trust["ours"] - trust["plain"]).min())
            told = f"{size}; trustworthiness {trust['ours'].mean():.3f} against {trust['plain'].mean():.3f}, "
            out.append(
                Measurement(
                    f"map: {state}",
                    "exact kNN, later spaces from the first's map",
                    "umap-learn alone",
                    [float(m["seconds"]) for m in found["ours"]],  # type: ignore[arg-type]
                    [float(m["seconds"]) for m in found["plain"]],  # type: ignore[arg-type]
                    f"{told}at least {worst:+.4f} in every space",
                )
            )
    return out


def _timed(folder: Path, kind: str, cache: Path) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.map", str(folder), kind],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def _lay_out(folder: Path, kind: str) -> dict[str, object]:
    """Both are timed from before the import of UMAP to the last layout."""
    start = time.perf_counter()
    spaces = {name: np.load(folder / name) for name in json.loads((folder / "names.json").read_text(encoding="utf-8"))}
    layouts: dict[str, NDArray[np.float32]] = {}
    if kind == "ours":
        from explorer.analysis.maps import umap_map

        for name, vectors in spaces.items():
            first = next(iter(layouts.values()), None)
            layouts[name] = umap_map(vectors, K, SEED, init="spectral" if first is None else first)
    else:
        import umap

        for name, vectors in spaces.items():
            plain = umap.UMAP(n_neighbors=K + 1, metric="cosine", random_state=SEED)
            layouts[name] = plain.fit_transform(vectors)
    seconds = time.perf_counter() - start
    trust = {n: float(trustworthiness(spaces[n], layouts[n], n_neighbors=K, metric="cosine")) for n in spaces}
    return {"seconds": seconds, "trust": trust}


if __name__ == "__main__":
    print(json.dumps(_lay_out(Path(sys.argv[1]), sys.argv[2])))
