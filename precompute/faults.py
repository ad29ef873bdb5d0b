"""What stops a job from outside: a signal, a full disk, too little memory. Each ends in a message, not a traceback."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from safetensors import SafetensorError

from explorer.errors import UserError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "bad_alloc")
"""How torch and FAISS, in a RuntimeError, say that memory is short."""

AGAIN = "then give the same command again: it goes on where it stopped."


class Stopped(BaseException):
    """The job was told to stop by a signal, which the message names."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number
        """As a shell reports a process that died of the signal."""


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Raise ``Stopped`` on Ctrl-C, SIGTERM and SIGHUP; a second signal of the same kind kills at once.

    A signal that is ignored, as SIGHUP is under ``nohup``, stays ignored.
    """

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(number, signal.SIG_DFL)
        raise Stopped(number)

    names = {"SIGINT", "SIGTERM", "SIGHUP"}  # Windows has no SIGHUP
    before = {number: signal.getsignal(number) for number in signal.Signals if number.name in names}
    before = {number: handler for number, handler in before.items() if handler is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def shortages_explained() -> Iterator[None]:
    """Turn an error that means a full disk or too little memory into a ``UserError``; others pass."""
    try:
        yield
    except (OSError, RuntimeError, MemoryError, SafetensorError) as error:
        shortage = _shortage(error)
        if shortage is None:
            raise
        raise shortage from error


def _shortage(error: Exception) -> UserError | None:
    if _is_full(error):
        return UserError(f"The disk is full, or a quota or limit on files is reached: {error}.", f"Make room, {AGAIN}")
    if _is_memory(error):
        return UserError(
            f"The memory does not suffice: {str(error) or type(error).__name__}.",
            f"Free some, {AGAIN} Or start another run with fewer films or a smaller --batch-size or "
            "--train-batch-size.",
        )
    return None


def _is_full(error: Exception) -> bool:
    """Rust (safetensors) and C++ (FAISS) have no errno, only its text."""
    return getattr(error, "errno", None) in _FULL or any(os.strerror(number) in str(error) for number in _FULL)


def _is_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _MEMORY)
