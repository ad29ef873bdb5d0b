"""``python -m benchmarks.load STORE``: sessions that walk all pages of a real server over its web socket.

They think between two pages. Each session follows a film of its own: a page that lacks it counts as mixed up.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from websockets.exceptions import WebSocketException

from benchmarks.pages import PAGES, processor_seconds, serving
from benchmarks.session import Session
from explorer.environment import APP
from explorer.store.files import write_json
from explorer.store.runs import open_store

WITH_FILM = ("case", "grad_cam", "neighbours")
"""Pages whose address names the film that a session follows from page to page."""


@dataclass
class Visits:
    """What the sessions of one round met."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    failed: int = 0
    mixed_up: int = 0

    def quantile(self, share: float, page: str | None = None) -> float:
        times = self.seconds[page] if page else [one for times in self.seconds.values() for one in times]
        return float(np.quantile(times, share)) if times else float("nan")


def main(
    store: Annotated[Path, typer.Argument(help="The folder of a store.")],
    sessions: Annotated[str, typer.Option(help="How many at a time, one round after another.")] = "1,10,40",
    seconds: Annotated[float, typer.Option(help="How long each round lasts.")] = 180,
    thinking: Annotated[float, typer.Option(help="Mean seconds between an answer and the next page.")] = 5,
    leaving: Annotated[
        float, typer.Option(help="Seconds until memory is read again: a session is kept for two minutes.")
    ] = 150,
    out: Annotated[Path | None, typer.Option(help="A JSON file to write the figures into.")] = None,
) -> None:
    """Measure seconds by page, errors, mixed up sessions, processor seconds and memory."""
    opened = open_store(store)
    films = [str(film) for film in opened.samples["sample_id"].iloc[opened.rows("test")]]
    rounds = []
    with serving(APP / "streamlit_app.py", str(store)) as (server, url):
        with Session(url) as first:  # caches are warm, as on a server that is in use
            for page in PAGES:
                first.open(_name(page))
        for n in map(int, sessions.split(",")):
            before, spent = memory(server.pid), processor_seconds(server.pid)
            visits, peak = walk(url, server.pid, films[:n], seconds, thinking)
            spent = processor_seconds(server.pid) - spent
            time.sleep(leaving)
            rounds.append(_figures(n, visits, before, peak, memory(server.pid), spent))
            Console().print(_table(rounds[-1]))
    if out is not None:
        write_json(
            out, {"store": opened.run_id, "n": opened.n, "seconds": seconds, "thinking": thinking, "rounds": rounds}
        )


def walk(url: str, server: int, films: list[str], seconds: float, thinking: float) -> tuple[Visits, int]:
    """Let a session for each film walk at the same time; what they met, and the server's largest memory in MB."""
    visits, lock, end = Visits(), threading.Lock(), time.monotonic() + seconds

    def visitor(number: int) -> None:
        chance = random.Random(number)
        film = films[number]
        time.sleep(chance.uniform(0, thinking))
        with Session(url) as session:
            session.open("case", film=film)
            while time.monotonic() < end:
                page = chance.choice(PAGES)
                time.sleep(chance.expovariate(1 / thinking))
                try:
                    answer = session.open(_name(page))
                except (TimeoutError, WebSocketException):
                    with lock:
                        visits.failed += 1
                    return
                own = page not in WITH_FILM or f"film={film}".encode() in answer.content
                with lock:
                    visits.seconds[page].append(answer.seconds)
                    visits.failed += answer.failed
                    visits.mixed_up += not own

    threads = [threading.Thread(target=visitor, args=(number,)) for number in range(len(films))]
    for thread in threads:
        thread.start()
    peak = memory(server)
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.5)
        peak = max(peak, memory(server))
    return visits, peak


def memory(process: int) -> int:
    """Resident memory of a process in MB."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 10**6


def _name(page: str) -> str:
    """A page's name in the address: the first has none."""
    return "" if page == PAGES[0] else page


def _figures(n: int, visits: Visits, before: int, peak: int, after: int, spent: float) -> dict[str, object]:
    opened = sum(map(len, visits.seconds.values()))
    return {
        "sessions": n,
        "pages": opened,
        "p50": visits.quantile(0.5),
        "p95": visits.quantile(0.95),
        "by page": {page: [round(visits.quantile(share, page), 2) for share in (0.5, 0.95)] for page in PAGES},
        "failed": visits.failed,
        "mixed up": visits.mixed_up,
        "processor seconds by page": spent / max(opened, 1),
        "memory before, peak, after": [before, peak, after],
        "memory by session": (peak - before) / n,
    }


def _table(figures: dict[str, object]) -> Table:
    table = Table(title=f"{figures['sessions']} sessions", show_header=False)
    for name, value in figures.items():
        table.add_row(name, Text(f"{value:.2f}" if isinstance(value, float) else str(value)))
    return table


if __name__ == "__main__":
    typer.run(main)
