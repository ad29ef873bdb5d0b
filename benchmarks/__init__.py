"""Benchmarks: ours beside a baseline or a limit, in one run on one machine. Read the ratios, not the seconds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple


class Seconds(NamedTuple):
    """How long something took.

    Attributes
    ----------
    wall : float
        By the clock, which a busy machine stretches.
    processor : float or None
        Of all threads and of child processes that have ended; None where it was not measured.
    """

    wall: float
    processor: float | None = None


def timed(act: Callable[[], object]) -> Seconds:
    """Run something once, by both clocks."""
    start, used = time.perf_counter(), _processor_seconds()
    act()
    return Seconds(time.perf_counter() - start, _processor_seconds() - used)


def _processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


@dataclass(frozen=True)
class Measurement:
    """Repeated timings of one thing and of what it is held against.

    Attributes
    ----------
    name : str
        Benchmark and part, for example ``precompute_demo: maps``.
    what, against : str
        What ours and the baseline are, in a few words.
    ours, baseline : sequence of float or Seconds
        One a repeat; a number is wall clock. An empty baseline where nothing comparable exists.
    size : str
        What was worked on.
    goal : float or None
        The least ratio that is aimed at.
    reason : str
        Why the goal is missed, where it is.
    """

    name: str
    what: str
    against: str
    ours: Sequence[float | Seconds]
    baseline: Sequence[float | Seconds]
    size: str
    goal: float | None = None
    reason: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times as long the baseline takes, by processor seconds where both have them."""
        if not self.baseline:
            return None
        ours, baseline = processor_of(self.ours), processor_of(self.baseline)
        if ours and baseline:
            return median(baseline) / median(ours)
        return median(wall_of(self.baseline)) / median(wall_of(self.ours))


def wall_of(times: Sequence[float | Seconds]) -> list[float]:
    """Seconds by the clock, one a repeat."""
    return [one.wall if isinstance(one, Seconds) else one for one in times]


def processor_of(times: Sequence[float | Seconds]) -> list[float]:
    """Processor seconds, one a repeat; none where they were not measured."""
    return [one.processor for one in times if isinstance(one, Seconds) and one.processor is not None]
