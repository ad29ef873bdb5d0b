"""``python -m explorer.report ROOT RUN OUT [films]``: what ``precompute report`` starts.

The batch job imports no page, so the report is a process of its own. It says on stdout how far it is: lines of two
numbers. A problem that the user can mend ends it with exit code 1 and its two halves as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from explorer.environment import STORE
from explorer.errors import UserError
from explorer.store.files import write_text
from explorer.store.runs import open_store


def main(root: str, run: str, out: str, films: str = "") -> None:
    """Write the report of a run."""
    os.environ.update({STORE: root, "EXPLORER_READONLY": "1"})
    from explorer.report.document import report
    from explorer.ui.shared.access import serve_nobody

    serve_nobody()
    try:
        document = report(open_store(Path(root), run), films == "films", _say)
        write_text(Path(out), document)
    except UserError as error:
        sys.exit(_failed(error))


def _say(done: int, total: int) -> None:
    sys.stdout.write(f"{done} {total}\n")
    sys.stdout.flush()


def _failed(error: UserError) -> int:
    sys.stdout.write(json.dumps([error.what, error.fix]) + "\n")
    return 1


if __name__ == "__main__":
    main(*sys.argv[1:])
