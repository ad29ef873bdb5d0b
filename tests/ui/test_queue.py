"""The desk: one at a time, each question once, first come first served, and bounded."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
import pytest

from explorer.ui.shared.queue import Desk, Shelf

MB = 2**20


def told(_: int) -> None:
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
    desk, made, got = Desk(MB), [], []

    def make() -> np.ndarray:
        made.append(1)
        time.sleep(0.2)
        return np.arange(3)

    at_once([lambda: got.append(desk.ask("a", make, told)) for _ in range(8)])
    assert len(made) == 1
    assert len(got) == 8
    assert all(answer is got[0] for answer in got)


def test_one_at_a_time_in_order_and_the_place_is_told() -> None:
    desk, running, most, order = Desk(MB), [0], [0], []
    places: dict[int, list[int]] = {i: [] for i in range(4)}

    def work(i: int) -> Callable[[], object]:
        def make() -> np.ndarray:
            running[0] += 1
            most[0] = max(most[0], running[0])
            order.append(i)
            time.sleep(0.15)
            running[0] -= 1
            return np.zeros(1)

        return lambda: desk.ask(i, make, places[i].append)

    at_once([work(i) for i in range(4)])
    assert most[0] == 1
    assert order == [0, 1, 2, 3]
    assert places[0] == []
    assert places[3][0] == 3
    assert places[3] == sorted(places[3], reverse=True)


def test_who_leaves_the_line_holds_nobody_up() -> None:
    desk, done = Desk(MB), []

    def slow() -> np.ndarray:
        time.sleep(0.3)
        return np.zeros(1)

    def leave(_: int) -> None:
        raise RuntimeError("the visitor went away")

    def leaver() -> None:
        with pytest.raises(RuntimeError, match="went away"):
            desk.ask("b", slow, leave)
        done.append("left")

    at_once([lambda: desk.ask("a", slow, told), leaver, lambda: done.append(desk.ask("c", slow, told))])
    assert done[0] == "left"
    assert len(done) == 2


def test_a_failure_is_the_askers_own_and_the_next_tries_again() -> None:
    desk, tries = Desk(MB), []

    def make() -> np.ndarray:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError("once")
        return np.ones(1)

    with pytest.raises(ValueError, match="once"):
        desk.ask("a", make, told)
    assert desk.ask("a", make, told) == 1


def test_answers_kept_are_bounded_and_the_oldest_goes_first() -> None:
    desk = Desk(3 * 800)
    for key in "abc":
        desk.ask(key, lambda: np.zeros(100), told)
    assert desk.shelf.get("a") is not None  # asked for again: now b is the oldest
    desk.ask("d", lambda: np.zeros(100), told)
    assert desk.shelf.get("b") is None
    assert all(desk.shelf.get(key) is not None for key in "acd")
    big = desk.ask("e", lambda: np.zeros(10_000), told)
    assert big.nbytes == 80_000
    assert desk.shelf.get("e") is None


def test_a_shelf_of_ones_own_is_seen_by_nobody_else() -> None:
    desk, mine = Desk(MB), Shelf(MB)
    assert desk.ask("a", lambda: np.zeros(1), told, mine) is mine.get("a")
    assert desk.shelf.get("a") is None
    assert desk.ask("a", lambda: np.ones(1), told) == 1
    assert desk.ask("a", lambda: np.ones(1), told, mine) == 0
