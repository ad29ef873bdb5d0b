"""Logits made elsewhere, as they are: by a model of which nothing else is known."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from precompute.reporter import ReportProgress
from precompute.run.imported import ImportedLogits
from precompute.run.recipe import Fitted, Recipe
from precompute.run.run import Run

if TYPE_CHECKING:
    from numpy.typing import NDArray


class LogitsMadeElsewhere(Recipe):
    """Thresholds and figures are made of its logits as of any regime's.

    What its model was fitted to is not known. It is taken to have seen the labels of train alone.
    """

    name = "imported_logits"
    title = "Imported logits"
    kind = "imported"
    summary = "logits of another model, as they are; taken to be fitted on train"
    stage = "imported logits"
    takes_logits = True

    def inputs(self, run: Run) -> dict[str, object]:
        return {"logits": _logits(run).sha256}

    def fit(self, run: Run, seed: int, work: Path, report: ReportProgress) -> Fitted:
        logits = _logits(run)
        return Fitted(None, {"file": logits.file, "sha256": logits.sha256})

    def logits(self, run: Run) -> NDArray[np.float32]:
        assert run.job.imported is not None
        rows = [film["row"] for film in run.decoded["kept"]]
        return np.ascontiguousarray(_logits(run).values[run.job.imported.order[rows]])

    def words(self, run: Run) -> str:
        return (
            f"logits made elsewhere, of {_logits(run).file}; what their model was fitted to is not known here, and it "
            "is taken to be train"
        )


def _logits(run: Run) -> ImportedLogits:
    assert run.job.imported is not None
    assert run.job.imported.logits is not None
    return run.job.imported.logits


RECIPE = LogitsMadeElsewhere()
