"""Command line of the batch job: ``python -m precompute``."""

from __future__ import annotations

import os
import re
import sys
from typing import NoReturn

import typer
from rich.markup import escape

from explorer.errors import UserError
from explorer.store.writer import Locked
from precompute.commands.add import annotate, few_shot, saliency
from precompute.commands.console import MESSAGES
from precompute.commands.doctor import doctor
from precompute.commands.export import export
from precompute.commands.import_ import import_
from precompute.commands.inspect import check, regimes, sources, summary, verify
from precompute.commands.keep import delete, gc, timings
from precompute.commands.make import pack_encoder, phantom, pretrain
from precompute.commands.publish import publish
from precompute.commands.report import report
from precompute.commands.run import demo, run
from precompute.commands.sheet import sheet
from precompute.faults import Stopped, shortages_explained, stopped_by_signals

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Precompute zero-shot, linear probe, full fine-tune and other regimes of a CLIP-style model into a store.",
)
COMMANDS = (
    *(demo, run, import_, sources, regimes, check, verify, summary, doctor, timings, gc, delete, publish, report),
    *(export, sheet, saliency, few_shot, annotate, phantom, pack_encoder, pretrain),
)
for command in COMMANDS:
    app.command(command.__name__.replace("_", "-").strip("-"))(command)

LOCKED = 75
"""What a scheduler reads as "try later": EX_TEMPFAIL of sysexits.h."""

_HOME = re.compile(r"^((?:--[\w-]+=)?(?:local-dir:)?)~(?=/|$)")


def main() -> None:
    """Run a command; what goes wrong ends in a message, never in a traceback.

    Exit codes: 0 done; 1 what the user can mend; 2 a wrong option; 75 another job holds the run, so that the same
    command may do later; 128 and its number for a signal (130 Ctrl-C, 143 SIGTERM).
    """
    try:
        sys.argv[1:] = map(_expanded, sys.argv[1:])
        with stopped_by_signals(), shortages_explained():
            app()
    except Locked as error:
        _exit(error, LOCKED)
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


def _exit(error: UserError, code: int = 1) -> NoReturn:
    for word, style, text in (("Error", "bold red", error.what), ("Fix  ", "bold", error.fix)):
        MESSAGES.print(f"[{style}]{word}[/{style}] {escape(text)}", soft_wrap=True, highlight=False, markup=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
