"""Are the files of a run what its manifest says? Hashed in the background, so that no visitor waits for it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from explorer.store.verify import check_files

if TYPE_CHECKING:
    from explorer.store.reader import Store


class FileCheck:
    """A thread that hashes every file of a run once.

    Attributes
    ----------
    checked, total : int
        Files so far, and of the run.
    damaged : list of str
        Files that are missing or not what the manifest says.
    """

    def __init__(self, store: Store) -> None:
        self.checked = 0
        self.total = len(store.artefacts)
        self.damaged: list[str] = []
        threading.Thread(target=self._check, args=(store,), name="file check", daemon=True).start()

    @property
    def done(self) -> bool:
        return self.checked == self.total

    @property
    def verdict(self) -> str:
        """One line of Markdown for the run's card; a file's name is code, in which nothing is a link."""
        if not self.done:
            return f"checking files, {self.checked} of {self.total}"
        if not self.damaged:
            return f"{self.total} files verified"
        more = f" and {len(self.damaged) - 1} more" if len(self.damaged) > 1 else ""
        return f"damaged: `{self.damaged[0].replace('`', '')}`{more}"

    def _check(self, store: Store) -> None:
        start = time.monotonic()
        for error in check_files(store):
            if error is not None:
                self.damaged.append(error.file)
            self.checked += 1
            time.sleep(time.monotonic() - start)  # half of one processor at most: visitors come first
            start = time.monotonic()
