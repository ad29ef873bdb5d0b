"""A second run of the same films with other prompts, beside the first: by stages made, and by seconds.

By default with the demo's small encoder. ``BENCH_ENCODER`` (``local-dir:DIR``, ``hf-hub:NAME``) and ``BENCH_FILMS`` set
others: the larger the encoder, the more the first run has to do, and the second run has not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import Measurement, Seconds, timed
from explorer.store import layout, open_store

ROOT = Path(__file__).parents[1]
FILMS = int(os.environ.get("BENCH_FILMS", "300"))
ENCODER = os.environ.get("BENCH_ENCODER", f"local-dir:{ROOT / 'encoders' / 'phantom-clip'}")
PROMPTS = 'title = "Others"\n[default]\npositive = ["{} is seen"]\nnegative = ["{} is not seen"]\n'


def run(repeats: int) -> list[Measurement]:
    first: list[Seconds] = []
    second: list[Seconds] = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as temp:
            times, made, all_stages = _two_runs(Path(temp))
            first.append(times[0])
            second.append(times[1])
    return [
        Measurement(
            "second_run: other prompts",
            "the second run",
            "the first run",
            second,
            first,
            f"{FILMS} phantom films, {Path(ENCODER).name}; the second makes {made} of {all_stages} stages",
            goal=20.0,
            reason="With a small encoder, starting the program and comparing the regimes are most of either run.",
        )
    ]


def _two_runs(folder: Path) -> tuple[list[Seconds], int, int]:
    """Seconds of the first run and the second, how many stages the second made, and how many there are."""
    films, store, prompts = folder / "films", folder / "store", folder / "others.toml"
    prompts.write_text(PROMPTS, encoding="utf-8")
    _precompute("phantom", "--n", str(FILMS), "--out", str(films))
    given = ["run", "--csv", str(films / "labels.csv"), "--images", str(films / "images"), "--out", str(store)]
    given += ["--encoder", ENCODER, "--allow-empty", "--device", "cpu"]
    times, stages = [], []
    for more in ([], ["--prompts", str(prompts)]):
        times.append(timed(partial(_precompute, *given, *more)))
        stages.append(_seconds_by_stage(open_store(store).path))
    return times, sum(stages[0].get(name) != seconds for name, seconds in stages[1].items()), len(stages[1])


def _precompute(*command: str) -> None:
    subprocess.run([sys.executable, "-m", "precompute", *command], cwd=ROOT, check=True, capture_output=True)


def _seconds_by_stage(run: Path) -> dict[str, float]:
    """As a run's records have them: of a stage that was taken, the seconds of the run that made it."""
    records = (run / layout.stage_record("x")).parent.iterdir()
    return {file.name: json.loads(file.read_text(encoding="utf-8"))["seconds"] for file in records}
