"""Seeded simulations: do intervals, tests and baselines keep what they promise?

``python -m tests.validation [NAME …]`` runs them in two processes and writes their tables to ``docs/validation.md``.
The default suite leaves them out.

To add one, write ``tests/validation/NAME.py`` and put NAME into NAMES in ``__main__.py``:

- the module's docstring becomes its section: the first line is the heading, the rest its text;
- ``PARTS`` lists functions that may run side by side, the slowest first: each takes a seeded ``numpy`` generator and
  returns a list of Row, and can be pickled, as a module's function or a ``functools.partial`` of one;
- a Row is what was measured, the figure, its simulation error and the band that it should lie in. :func:`share` makes
  one from counts, :func:`mean` from numbers. A row without a band is there to be read, and cannot fail;
- the band comes from the promise, never from the figures seen, and no constant is chosen on these seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

COVERAGE = (0.93, 0.97)
"""Where a 95% interval's coverage should lie."""
SIZE = (0.03, 0.07)
"""Where the share of true null hypotheses that a test at the 5% level rejects should lie."""

NO_BAND = (-np.inf, np.inf)


class Row(NamedTuple):
    """One figure of a simulation.

    Attributes
    ----------
    what : str
    figure : float
    error : float
        Its standard error from the number of simulated sets; 0 where nothing is random.
    low, high : float
        The band that the figure should lie in; infinite where it has no such end.
    percent : bool
        Whether it is a share.
    """

    what: str
    figure: float
    error: float
    low: float
    high: float
    percent: bool = True


Part = Callable[[np.random.Generator], list[Row]]


def share(what: str, hits: float, sets: float, band: tuple[float, float] = NO_BAND) -> Row:
    """A share of simulated sets, with its binomial error."""
    p = hits / sets
    softened = (hits + 2) / (sets + 4)  # Agresti & Coull (1998): an error also at 0 and 1
    return Row(what, p, float(np.sqrt(softened * (1 - softened) / (sets + 4))), *band)


def mean(what: str, values: np.ndarray, band: tuple[float, float] = NO_BAND, *, percent: bool = False) -> Row:
    """The mean of one number for each simulated set."""
    return Row(what, float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values))), *band, percent)
