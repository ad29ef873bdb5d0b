"""Command line of the batch job: ``python -m precompute``."""

from __future__ import annotations

import os
import re
import sys
from typing import NoReturn

import typer
from rich.markup import escape

from explorer.errors import UserError
from precompute.commands.add import annotate, saliency
from precompute.commands.console import MESSAGES
from precompute.commands.doctor import doctor
from precompute.commands.inspect import check, sources, summary, verify
from precompute.commands.make import pack_encoder, phantom, pretrain
from precompute.commands.run import demo, run
from precompute.faults import Stopped, shortages_explained, stopped_by_signals

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Precompute zero-shot, linear probe and full fine-tune of a CLIP-style model into a store for the explorer.",
)
COMMANDS = (
    *(demo, run, sources, check, verify, summary, doctor),
    *(saliency, annotate, phantom, pack_encoder, pretrain),
)
for command in COMMANDS:
    app.command(command.__name__.replace("_", "-"))(command)

_HOME = re.compile(r"^((?:--[\w-]+=)?(?:local-dir:)?)~(?=/|$)")


def main() -> None:
    """Run a command; a user's error is a message and exit code 1, a signal 128 and its number, never a traceback."""
    try:
        sys.argv[1:] = map(_expanded, sys.argv[1:])
        with stopped_by_signals(), shortages_explained():
            app()
    except UserError as error:
        _exit(error)
    except Stopped as stop:
        MESSAGES.print(
            f"The command was {stop}. Given again, it goes on where it stopped.", soft_wrap=True, highlight=False
        )
        sys.exit(stop.exit_code)
    except OSError as error:  # a folder that may not be written, a file where a folder should be
        _exit(UserError(str(error), "Check that the path may be read and written."))


def _expanded(argument: str) -> str:
    """An argument with the home folder for ``~`` where a path begins: a shell leaves it in ``--out=~/store``.

    Examples
    --------
    >>> _expanded("--out=~/store") == f"--out={os.path.expanduser('~')}/store"
    True
    >>> _expanded("local-dir:~") == f"local-dir:{os.path.expanduser('~')}"
    True
    >>> _expanded("--out=./~"), _expanded("~kept"), _expanded("a~/b")
    ('--out=./~', '~kept', 'a~/b')
    """
    return _HOME.sub(lambda match: f"{match[1]}{os.path.expanduser('~')}", argument)  # noqa: PTH111


def _exit(error: UserError) -> NoReturn:
    for word, style, text in (("Error", "bold red", error.what), ("Fix  ", "bold", error.fix)):
        MESSAGES.print(f"[{style}]{word}[/{style}] {escape(text)}", soft_wrap=True, highlight=False, markup=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
