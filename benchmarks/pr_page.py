"""The PR page on large runs: its first draw at 100,000 films, and a turned threshold at 4,000."""

from __future__ import annotations

import io
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from streamlit.testing.v1 import AppTest

from benchmarks import Measurement
from benchmarks.precompute_demo import tiny_demo
from explorer.analysis.evidence import FEW
from explorer.figures import curves as curve_figures
from explorer.store import Store, open_store
from explorer.store.files import sha256_file, write_json
from explorer.store.manifest import Manifest
from explorer.tables import curves as curve_tables
from explorer.tables.labels import by_prevalence

ROOT = Path(__file__).parents[1]
LARGE, MIDDLE = 100_000, 4_000


def run(repeats: int) -> list[Measurement]:
    with tempfile.TemporaryDirectory() as folder:
        tiny = tiny_demo(Path(folder) / "tiny")
        large = enlarged(tiny, LARGE, Path(folder) / "large")
        middle = enlarged(tiny, MIDDLE, Path(folder) / "middle")
        first = [_first_draw(large.path) for _ in range(repeats)]
        loop = [_by_sklearn(open_store(large.path)) for _ in range(repeats)]
        turned = _turned(middle.path, repeats)
        in_test = {n: len(store.rows("test")) for n, store in ((LARGE, large), (MIDDLE, middle))}
    drawn = "every panel, then one label's whole curves"
    labels, regimes = len(tiny.labels), len(tiny.regimes)
    return [
        Measurement(
            "pr_page: first draw",
            f"{drawn}, from opening the store; intervals are precomputed",
            "scikit-learn: PR curve, AP and AUROC of each label and regime, no interval",
            first,
            loop,
            f"{LARGE:,} films ({in_test[LARGE]:,} in test), {labels} labels, {regimes} regimes",
        ),
        Measurement(
            "pr_page: threshold turned",
            "the whole thresholds view drawn again",
            "limit: 0.2 s",
            turned,
            [0.2],
            f"{MIDDLE:,} films ({in_test[MIDDLE]:,} in test)",
            goal=1.0,
        ),
    ]


def enlarged(store: Store, n: int, folder: Path) -> Store:
    """A run of n films, all but a few in test: the store's own repeated, with a little noise in the logits."""
    rng = np.random.default_rng(0)
    take = np.arange(n) % store.n
    run = folder / store.path.name
    dot = io.BytesIO()
    Image.new("L", (8, 8)).save(dot, "jpeg")
    thumbnail = np.frombuffer(dot.getvalue(), np.uint8)
    artefacts = {}
    for path, artefact in store.manifest.artefacts.items():
        file = run / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if path == "samples.parquet":
            frame = pd.read_parquet(store.path / path).iloc[take].reset_index(drop=True)
            frame["sample_id"] = [f"film-{i}" for i in range(n)]
            frame["patient_id"] = [f"patient-{i}" for i in range(n)]
            frame.loc[store.n :, "split"] = "test"
            frame.to_parquet(file, index=False)
        elif path == "thumbnails/data.bin":
            np.tile(thumbnail, n).tofile(file)
        elif path == "thumbnails/offsets.npy":
            np.save(file, np.arange(n + 1) * len(thumbnail))
        elif path.endswith("logits.npy"):
            logits = np.load(store.path / path)[take]
            np.save(file, logits + rng.normal(0, 0.1, logits.shape).astype(np.float32))
        else:  # not read by this page
            file.hardlink_to(store.path / path)
        shape = np.load(file, mmap_mode="r").shape if path.endswith(".npy") else None
        changed = {"bytes": file.stat().st_size, "shape": shape, "sha256": sha256_file(file)}
        artefacts[path] = artefact.model_copy(update=changed)
    manifest: Manifest = store.manifest.model_copy(update={"n": n, "artefacts": artefacts})
    write_json(run / "manifest.json", manifest.model_dump(mode="json"))
    return open_store(run)


def _first_draw(path: Path) -> float:
    start = time.perf_counter()
    store = open_store(path)
    styles = curve_tables.regime_styles(store)
    for panel in curve_tables.small_multiples(store, "test", "pr", "prevalence", FEW, with_bands=True):
        curve_figures.small_curves(panel.curves, styles, "pr", panel.prevalence).to_json()
    label = by_prevalence(store, "test")[1]
    curve_figures.large_curves(curve_tables.regime_curves(store, "test", label, "pr"), styles, "pr", 0.1).to_json()
    return time.perf_counter() - start


def _by_sklearn(store: Store) -> float:
    rows = store.rows("test")
    targets = store.targets[rows]
    start = time.perf_counter()
    for regime in store.regimes:
        logits = store.logits(regime.name)[rows]
        for c in range(len(store.labels)):
            known = ~np.isnan(targets[:, c])
            y, scores = targets[known, c], logits[known, c]
            if len(np.unique(y)) == 2:
                precision_recall_curve(y, scores)
                average_precision_score(y, scores)
                roc_auc_score(y, scores)
    return time.perf_counter() - start


def _turned(path: Path, repeats: int) -> list[float]:
    os.environ["EXPLORER_STORE"] = str(path.parent)
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=120)
    for key, value in {"view": "Thresholds", "rule": "By hand: a share of films"}.items():
        app.query_params[key] = value
    app.switch_page("pages/pr_curves.py").run()
    seconds = []
    for i in range(repeats):
        app.slider("share").set_value(20.0 + 5 * i)
        start = time.perf_counter()
        app.run()
        seconds.append(time.perf_counter() - start)
    if app.exception or app.error:
        raise RuntimeError("the thresholds view did not draw")
    return seconds
