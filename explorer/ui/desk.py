"""A desk that answers heavy questions one at a time, each once, and tells who waits their place in the line.

Streamlit's caches make a value once, too, but neither bound how many different ones are made at the same time nor say
how long the line is; a model needs all cores for itself, and a hundred visitors must not share them. No Streamlit here.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar, cast


class Sized(Protocol):
    """What knows its size in memory."""

    @property
    def nbytes(self) -> int: ...


_Answer = TypeVar("_Answer", bound=Sized)

PATIENCE = 0.5
"""Seconds between two looks at the line: a visitor who left is noticed within that time."""


class Desk:
    """One worker, first come first served.

    Parameters
    ----------
    limit : int
        Bytes of answers kept, the least recently asked for dropped first; one larger than that is given and not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, Sized] = OrderedDict()
        self._line: list[object] = []
        self._busy = False
        self._changed = threading.Condition()

    def ask(self, key: Hashable, make: Callable[[], _Answer], tell: Callable[[int], None]) -> _Answer:
        """The answer kept under ``key``, or a new one once it is this caller's turn.

        Parameters
        ----------
        make : callable
            Makes the answer; an exception of its own goes to this caller, and the next in line tries again.
        tell : callable
            Told how many are ahead whenever that is looked at; an exception it raises leaves the line.
        """
        ticket = object()
        with self._changed:
            self._line.append(ticket)
        try:
            while True:
                with self._changed:
                    if key in self._kept:
                        self._kept.move_to_end(key)
                        return cast("_Answer", self._kept[key])
                    ahead = self._ahead(ticket)
                    if ahead == 0:
                        self._busy = True
                        break
                tell(ahead)
                with self._changed:
                    if self._ahead(ticket) == ahead and key not in self._kept:
                        self._changed.wait(PATIENCE)
        finally:
            with self._changed:
                self._line.remove(ticket)
                self._changed.notify_all()
        try:
            answer = make()
            self.keep(key, answer)
            return answer
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def kept(self, key: Hashable) -> Sized | None:
        """What is kept under ``key``, without waiting: for a question that another's answer is a part of."""
        with self._changed:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def keep(self, key: Hashable, answer: Sized) -> None:
        """Keep an answer made on the way to another."""
        with self._changed:
            self._kept[key] = answer
            self._kept.move_to_end(key)
            while sum(one.nbytes for one in self._kept.values()) > self._limit:
                self._kept.popitem(last=False)

    def _ahead(self, ticket: object) -> int:
        return self._line.index(ticket) + self._busy
