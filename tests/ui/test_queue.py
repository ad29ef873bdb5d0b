"""The model queue: one at a time, each question once, first come first served, and bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from explorer.ui.shared.queue import AnswerCache, ModelQueue

MB = 2**20


def ignore(_: int) -> None:
    pass


def at_once(work: list[Callable[[], object]]) -> None:
    threads = [threading.Thread(target=each) for each in work]
    for thread in threads:
        thread.start()
        time.sleep(0.02)  # in this order
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_many_ask_the_same_and_it_is_made_once() -> None:
    queue, made, got = ModelQueue(MB), [], []

    def make() -> np.ndarray:
        made.append(1)
        time.sleep(0.2)
        return np.arange(3)

    at_once([lambda: got.append(queue.ask("a", make, ignore)) for _ in range(8)])
    assert len(made) == 1
    assert len(got) == 8
    assert all(answer is got[0] for answer in got)


def test_one_at_a_time_in_order_and_the_place_is_shown() -> None:
    queue, running, most, order = ModelQueue(MB), [0], [0], []
    places: dict[int, list[int]] = {i: [] for i in range(4)}

    def work(i: int) -> Callable[[], object]:
        def make() -> np.ndarray:
            running[0] += 1
            most[0] = max(most[0], running[0])
            order.append(i)
            time.sleep(0.15)
            running[0] -= 1
            return np.zeros(1)

        return lambda: queue.ask(i, make, places[i].append)

    at_once([work(i) for i in range(4)])
    assert most[0] == 1
    assert order == [0, 1, 2, 3]
    assert places[0] == []
    assert places[3][0] == 3
    assert places[3] == sorted(places[3], reverse=True)


def test_who_leaves_the_queue_holds_nobody_up() -> None:
    queue, done = ModelQueue(MB), []

    def slow() -> np.ndarray:
        time.sleep(0.3)
        return np.zeros(1)

    def leave(_: int) -> None:
        raise RuntimeError("the visitor went away")

    def leaver() -> None:
        with pytest.raises(RuntimeError, match="went away"):
            queue.ask("b", slow, leave)
        done.append("left")

    at_once([lambda: queue.ask("a", slow, ignore), leaver, lambda: done.append(queue.ask("c", slow, ignore))])
    assert done[0] == "left"
    assert len(done) == 2


def test_a_failure_is_the_askers_own_and_the_next_tries_again() -> None:
    queue, tries = ModelQueue(MB), []

    def make() -> np.ndarray:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("once")
        return np.ones(1)

    with pytest.raises(ValueError, match="once"):
        queue.ask("a", make, ignore)
    assert queue.ask("a", make, ignore) == 1


def test_answers_kept_are_bounded_and_the_oldest_goes_first() -> None:
    queue = ModelQueue(3 * 800)
    for key in "abc":
        queue.ask(key, lambda: np.zeros(100), ignore)
    assert queue.answers.get("a") is not None  # asked for again: now b is the oldest
    queue.ask("d", lambda: np.zeros(100), ignore)
    assert queue.answers.get("b") is None
    assert all(queue.answers.get(key) is not None for key in "acd")
    big = queue.ask("e", lambda: np.zeros(10_000), ignore)
    assert big.nbytes == 80_000
    assert queue.answers.get("e") is None


def test_a_visitors_own_answers_are_seen_by_nobody_else() -> None:
    queue, mine = ModelQueue(MB), AnswerCache(MB)
    assert queue.ask("a", lambda: np.zeros(1), ignore, mine) is mine.get("a")
    assert queue.answers.get("a") is None
    assert queue.ask("a", lambda: np.ones(1), ignore) == 1
    assert queue.ask("a", lambda: np.ones(1), ignore, mine) == 0
