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


class Shelf:
    """Answers that are kept.

    Parameters
    ----------
    limit : int
        Bytes; the least recently asked for is dropped first, and one larger than that is not kept.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[Hashable, Sized] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Sized | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def put(self, key: Hashable, answer: Sized) -> None:
        with self._lock:
            self._kept[key] = answer
            self._kept.move_to_end(key)
            while sum(one.nbytes for one in self._kept.values()) > self._limit:
                self._kept.popitem(last=False)


class Desk:
    """One worker, first come first served.

    Parameters
    ----------
    limit : int
        Bytes of its own shelf, which all visitors share.
    """

    def __init__(self, limit: int) -> None:
        self.shelf = Shelf(limit)
        self._line: list[object] = []
        self._busy = False
        self._changed = threading.Condition()

    def ask(
        self, key: Hashable, make: Callable[[], _Answer], tell: Callable[[int], None], shelf: Shelf | None = None
    ) -> _Answer:
        """The answer kept under ``key``, or a new one once it is this caller's turn.

        Parameters
        ----------
        shelf : Shelf, optional
            Where answers are kept that other visitors must not see; by default the desk's own.
        make : callable
            Makes the answer; an exception of its own goes to this caller, and the next in line tries again.
        tell : callable
            Told how many are ahead whenever that is looked at; an exception it raises leaves the line.
        """
        shelf, ticket = shelf or self.shelf, object()
        with self._changed:
            self._line.append(ticket)
        try:
            while True:
                with self._changed:
                    if (kept := shelf.get(key)) is not None:
                        return cast("_Answer", kept)
                    ahead = self._ahead(ticket)
                    if ahead == 0:
                        self._busy = True
                        break
                tell(ahead)
                with self._changed:
                    if self._ahead(ticket) == ahead and shelf.get(key) is None:
                        self._changed.wait(PATIENCE)
        finally:
            with self._changed:
                self._line.remove(ticket)
                self._changed.notify_all()
        try:
            answer = make()
            shelf.put(key, answer)
            return answer
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _ahead(self, ticket: object) -> int:
        return self._line.index(ticket) + self._busy
