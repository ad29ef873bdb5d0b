"""The tests with floating-point figures, under the kernels that other processors choose.

A test that passes on one processor and fails on another depends on rounding: mend the computation, or derive its
tolerance. ``python -m tests.numerics NAME ...`` runs the settings of these names only, from SETTINGS or ONE_BY_ONE.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

NUMERIC = (
    "tests/analysis",
    "tests/model",
    "tests/data/test_geometry.py",
    "tests/data/test_registration.py",
    "tests/precompute/audit",
    "tests/precompute/saliency",
    "tests/precompute/training",
    "tests/precompute/test_prompts.py",
    "tests/precompute/test_retrieval.py",
    "tests/store/test_store.py",
    "tests/ui/test_neighbours.py",
    "tests/ui/test_prompt_lab.py",
)

ONE_BY_ONE = {
    "aten-avx2": {"ATEN_CPU_CAPABILITY": "avx2"},
    "aten-default": {"ATEN_CPU_CAPABILITY": "default"},
    "onednn-avx2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "onednn-sse41": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    "mkl-avx2": {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
    "mkl-compatible": {"MKL_CBWR": "COMPATIBLE"},
    "openblas-haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "openblas-prescott": {"OPENBLAS_CORETYPE": "Prescott"},
    "numpy-baseline": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"},
}
"""Each library alone, by name: which of them moves a test that fails below."""

SETTINGS = {
    "plain": {},
    "two-threads": {"OMP_NUM_THREADS": "2"},
    "avx2": {
        k: v for name, kernels in ONE_BY_ONE.items() if name.endswith(("avx2", "haswell")) for k, v in kernels.items()
    },
    "oldest": {
        k: v
        for name, kernels in ONE_BY_ONE.items()
        if not name.endswith(("avx2", "haswell"))
        for k, v in kernels.items()
    },
}
"""What runs without a name: all libraries held to one generation of processors at once."""


def run(setting: dict[str, str]) -> tuple[int, set[str], float]:
    """How many tests passed, the names of those that did not, and the seconds, in processes of their own.

    Raises
    ------
    RuntimeError
        Where pytest itself did not come to an end.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-p", "no:cacheprovider", "--hypothesis-seed=0", f"--junitxml={report}"]
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, *NUMERIC],
            cwd=ROOT,
            env={**os.environ, **setting},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        seconds = time.monotonic() - start
        if done.returncode not in (0, 1):
            raise RuntimeError(f"pytest ended with status {done.returncode} under {setting}")
        cases = ET.parse(report).findall(".//testcase")
    failed = {f"{case.get('classname')}::{case.get('name')}" for case in cases if _is(case, "failure", "error")}
    return sum(not _is(case, "failure", "error", "skipped") for case in cases), failed, seconds


def _is(case: ET.Element, *outcomes: str) -> bool:
    return any(case.find(outcome) is not None for outcome in outcomes)


def main(names: list[str]) -> int:
    """Print a line for each setting; 1 where a test failed under any."""
    ended = 0
    print(f"{'setting':20}{'passed':>8}{'failed':>8}{'seconds':>9}  failed tests")
    for name in names or SETTINGS:
        passed, failed, seconds = run((SETTINGS | ONE_BY_ONE)[name])
        print(f"{name:20}{passed:8}{len(failed):8}{seconds:9.0f}  {', '.join(sorted(failed)) or 'none'}", flush=True)
        ended |= bool(failed)
    return ended


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
