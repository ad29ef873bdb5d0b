"""Benchmarks: ours beside a baseline or a limit, in one run on one machine. Read the ratios, not the seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Measurement:
    """Repeated timings of one thing and of what it is held against.

    Attributes
    ----------
    name : str
        Benchmark and part, for example ``precompute_demo: maps``.
    what, against : str
        What ours and the baseline are, in a few words.
    ours, baseline : list of float
        Seconds, one a repeat; an empty baseline where nothing comparable exists.
    size : str
        What was worked on.
    """

    name: str
    what: str
    against: str
    ours: list[float]
    baseline: list[float]
    size: str
