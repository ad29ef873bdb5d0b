"""The benchmarks' own arithmetic, and the GPU script on whatever this machine has."""

from __future__ import annotations

from typing import cast

import pytest

from benchmarks import Measurement, Seconds, gpu, timed
from benchmarks.__main__ import _markdown, _record


def test_a_ratio_is_of_processor_seconds_where_both_sides_have_them() -> None:
    ours, other = [Seconds(9, 2), Seconds(1, 1), Seconds(9, 3)], [Seconds(1, 8), Seconds(1, 6)]
    assert Measurement("a", "", "", ours, other, "").ratio == 7 / 2
    assert Measurement("a", "", "", ours, [Seconds(18)], "").ratio == 18 / 9
    assert Measurement("a", "", "", ours, [4.5], "").ratio == 4.5 / 9
    assert Measurement("a", "", "", ours, [], "").ratio is None


def test_work_is_timed_by_both_clocks() -> None:
    seconds = timed(lambda: sum(range(10**6)))
    assert seconds.processor is not None
    assert 0 < seconds.wall
    assert 0 <= seconds.processor


@pytest.mark.parametrize(("goal", "verdict"), [(2.0, "≥ 2: met"), (5.0, "≥ 5: missed by 20%. It waits."), (None, "")])
def test_the_report_says_whether_a_goal_is_met_and_why_not(goal: float | None, verdict: str) -> None:
    measured = Measurement("decode: a", "ours", "loop|PIL", [Seconds(1, 0.5)], [Seconds(3, 2)], "", goal, "It waits.")
    *_, row = _markdown([_record(measured, busy=True)]).strip().split("\n")
    assert row == f"| decode: a † | ours | loop/PIL | 1 (0.5) | 3 (2) | 4.00 | {verdict} |"


def test_the_gpu_script_runs_on_any_machine() -> None:
    figures = gpu.measure(gpu.TINY)
    for name in ("embed, films/s", "fine-tune, films/s", "decode of 5-megapixel JPEG, films/s"):
        assert cast("float", figures[name]) > 0
    assert figures["precision"] in ("float32", "bfloat16")
