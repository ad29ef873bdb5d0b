"""A queue before the models: it answers heavy questions one at a time, each once, and says how many are ahead.

Streamlit's caches make a value once, too. They neither bound how many different values are made at the same time, nor
say how long the queue is. A model needs all cores for itself, and a hundred visitors must not share them.
No Streamlit here.
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

POLL_SECONDS = 0.5
"""Seconds between two looks at the queue: a visitor who left is noticed within that time."""


class AnswerCache:
    """Answers that are kept.

    Parameters
    ----------
    limit : int
        Bytes. The least recently used answer is dropped first; an answer larger than the limit is not kept.
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


class ModelQueue:
    """One worker; first come, first served.

    Parameters
    ----------
    limit : int
        Bytes of the answers that all visitors share.
    """

    def __init__(self, limit: int) -> None:
        self.answers = AnswerCache(limit)
        self._waiting: list[object] = []
        self._busy = False
        self._changed = threading.Condition()

    def ask(
        self,
        key: Hashable,
        make: Callable[[], _Answer],
        on_wait: Callable[[int], None],
        answers: AnswerCache | None = None,
    ) -> _Answer:
        """The answer kept under ``key``, or a new one once it is this caller's turn.

        Parameters
        ----------
        make : callable
            Makes the answer. An exception goes to this caller alone, and the next in the queue tries again.
        on_wait : callable
            Called with the number of callers ahead, whenever that is looked at. An exception leaves the queue.
        answers : AnswerCache, optional
            Where an answer is kept that other visitors must not see; by default the shared cache.
        """
        answers, ticket = answers or self.answers, object()
        with self._changed:
            self._waiting.append(ticket)
        try:
            while True:
                with self._changed:
                    if (kept := answers.get(key)) is not None:
                        return cast("_Answer", kept)
                    ahead = self._ahead(ticket)
                    if ahead == 0:
                        self._busy = True
                        break
                on_wait(ahead)
                with self._changed:
                    if self._ahead(ticket) == ahead and answers.get(key) is None:
                        self._changed.wait(POLL_SECONDS)
        finally:
            with self._changed:
                self._waiting.remove(ticket)
                self._changed.notify_all()
        try:
            answer = make()
            answers.put(key, answer)
            return answer
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    @property
    def length(self) -> int:
        """How many callers wait, or are being answered."""
        return len(self._waiting) + self._busy

    def _ahead(self, ticket: object) -> int:
        return self._waiting.index(ticket) + self._busy
