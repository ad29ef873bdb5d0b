"""How many threads share out films, and how many torch may use for each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

WORKERS = min(16, os.cpu_count() or 1)
"""Films explained at once; bounds the memory of a machine with many cores."""


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread of torch's for each of ours.

    Where matrices are small, two threads spend four times as long as one, waiting for each other; on a busy machine,
    far longer. Such work is shared out by the film instead.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
