"""The parts of a stage as tasks on Ray: on the processors of this machine, or of a cluster with a shared folder."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import write_text
from precompute.faults import AGAIN
from precompute.run.shards import Advance, Part, Share, Work, processors

PORT = 6379
"""Where the head of a cluster listens, unless it is told otherwise."""
_PATIENCE = 10
"""Seconds until an address that does not answer counts as unreachable."""
_OBJECTS = 2**28
"""Bytes of a local Ray's object store: only paths and row numbers go through it."""


class _Shape(NamedTuple):
    """How many parts are under way at once, and what each of them has."""

    parts: int
    cpus: int
    gpus: float


@dataclass(frozen=True)
class OnRay:
    """Every part is a task, which any worker may run, and another runs again where a worker or its machine goes away.

    Parameters
    ----------
    root : Path
        The store, which every machine sees at the same path.
    workers : int, optional
        Parts under way at once. By default one for each machine, or for each GPU while films are embedded.
    gpus : float
        Of each worker, while films are embedded.
    """

    root: Path
    workers: int | None = None
    gpus: float = 0

    def each(self, work: Work[Any], parts: Sequence[Part], advance: Advance, *, encodes: bool = False) -> None:
        import ray
        from ray.exceptions import RayError, RayTaskError

        shape = self._shape(self.gpus if encodes else 0)
        share = Share(threads=shape.cpus, gpu=shape.gpus > 0)
        # without max_calls a worker with a GPU would end after each part, and the next read the encoder anew
        task = ray.remote(num_cpus=shape.cpus, num_gpus=shape.gpus, max_calls=0)(_on_worker)
        token = secrets.token_hex()
        write_text(layout.engine_token(self.root), token)
        waiting = iter(parts)
        running: dict[Any, Part] = {}
        try:
            while True:
                for part in islice(waiting, shape.parts - len(running)):
                    running[task.remote(work, part, share, layout.engine_token(self.root.resolve()), token)] = part
                if not running:
                    return
                for reference in ray.wait(list(running))[0]:
                    part = running.pop(reference)
                    if problem := ray.get(reference):
                        raise UserError(*problem)
                    advance(len(part))
        except RayTaskError as error:
            if isinstance(error.cause, ImportError) or "failed to import" in str(error.cause):
                raise UserError(
                    f"A worker cannot import this program: {error.cause}",
                    "Install the same version of it, or share its folder, on every machine of the cluster.",
                ) from error
            raise error.cause from error
        except RayError as error:
            raise UserError(f"Ray lost a worker again and again: {error}", f"See Ray's own logs, {AGAIN}") from error
        finally:
            for reference in running:
                ray.cancel(reference, force=True)
            layout.engine_token(self.root).unlink(missing_ok=True)

    def _shape(self, gpus: float) -> _Shape:
        import ray

        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]
        if gpus:
            slots = sum(int(node.get("GPU", 0) // gpus) for node in nodes)
            if not slots:
                raise UserError(
                    f"--gpus-per-worker {gpus:g}: no machine of the cluster has as many free.",
                    "Give a smaller number, or start Ray where the GPUs are.",
                )
            return _Shape(self.workers or slots, 1, gpus)
        if not nodes:
            raise UserError("No machine of the cluster has a processor for Ray.", "Start workers with --num-cpus.")
        cpus = [int(node["CPU"]) for node in nodes]
        each = max(1, min(sum(cpus) // (self.workers or len(cpus)), *cpus))  # no more than the smallest machine has
        return _Shape(self.workers or sum(n // each for n in cpus), each, 0)


@contextmanager
def on_ray(root: Path, address: str | None, workers: int | None, gpus: float) -> Iterator[OnRay]:
    """An engine on the cluster at an address, or on a Ray of this machine that ends with the job.

    Parameters
    ----------
    address : str, optional
        ``auto`` for the cluster that this machine belongs to, or the head's HOST or HOST:PORT.

    Raises
    ------
    UserError
        Ray is not installed, or nothing answers there.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would report to its makers
    try:
        import ray
    except ImportError as error:
        raise UserError(
            f"--engine ray needs Ray: {error}.", "Run: python -m pip install -r requirements-cluster.txt"
        ) from error
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if address is None:
            ray.init(
                address="local",
                num_cpus=processors(),
                object_store_memory=_OBJECTS,
                include_dashboard=False,
                log_to_driver=False,
                logging_level="ERROR",
            )
        else:
            ray.init(address=_reachable(address), log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError) as error:  # ConnectionError is an OSError
        raise _unreachable(address or "this machine", error) from error
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)  # Ray puts its own in their place, which ends the job without a word
    try:
        yield OnRay(root, workers, gpus)
    finally:
        ray.shutdown()


def _reachable(address: str) -> str:
    """An address where something listens, with its port: Ray itself waits for minutes."""
    if address == "auto":
        return address
    host, _, port = address.partition(":")
    try:
        with socket.create_connection((host, int(port or PORT)), _PATIENCE):
            return f"{host}:{port or PORT}"
    except (OSError, ValueError) as error:
        raise _unreachable(address, error) from error


def _unreachable(address: str, error: Exception) -> UserError:
    return UserError(
        f"No Ray cluster answers at {address}: {error}",
        f"Start one by `ray start --head --port={PORT}`, join this machine to it, and give --address auto or HOST.",
    )


def _on_worker(work: Work[Any], part: Part, share: Share, token_file: Path, token: str) -> tuple[str, str] | None:
    """Make a part on a worker; what and fix of a ``UserError``."""
    try:
        _check_shared(token_file, token)
        work(part, share, lambda rows: None)
    except UserError as error:
        return error.what, error.fix
    return None


def _check_shared(token_file: Path, token: str) -> None:
    try:
        seen = token_file.read_text(encoding="utf-8")
    except OSError:
        seen = ""
    if seen != token:
        raise UserError(
            f"The worker on {socket.gethostname()} does not see the store's folder {token_file.parents[1]}.",
            "Mount it at the same path on every machine of the cluster, or give another --out.",
        )
