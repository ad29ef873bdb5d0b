"""The linear probe: the frozen encoder's head, fitted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from explorer.model.head import Head
from explorer.store import layout
from explorer.store.files import sha256_json
from explorer.store.folder import RunFolder
from explorer.store.manifest import FROZEN
from precompute.reporter import ReportProgress
from precompute.run.recipe import (
    Fitted,
    HeadRecipe,
    epochs_record,
    stopping_words,
    training_data,
    training_settings,
)
from precompute.run.run import Run
from precompute.settings import Settings
from precompute.training import paper
from precompute.training.data import TrainingData, TrainingRun
from precompute.training.probe import fit_probe


class LinearProbe(HeadRecipe):
    """L-BFGS with loss and penalty chosen on validation; under the paper's protocol a layer trained in epochs."""

    name = "linear_probe"
    title = "Linear probe"
    kind = "probe"
    summary = "the frozen encoder with a head fitted to labels; loss and penalty chosen on val"
    stage = "linear probe"
    share = 5
    in_paper = True

    def inputs(self, run: Run) -> dict[str, object]:
        """The sound probe is a minimum, so it hangs on fewer settings than a training by epochs."""
        files = layout.encoder_files(FROZEN)
        decisive = {"protocol", "penalties", "losses"}
        settings = training_settings(run.settings) if run.paper else run.settings.model_dump(include=decisive)
        return {**run.hashes(files.embeddings, files.norms, layout.SAMPLES), **settings}

    def fit(self, run: Run, seed: int, work: Path, report: ReportProgress) -> Fitted:
        if not run.paper:
            return super().fit(run, seed, work, report)
        data = training_data(run, run.inputs(run.regime(self.name)))
        head, curve = paper.fit_probe(
            data, TrainingRun(run.settings, seed, work, report, sha256_json(self.inputs(run)))
        )
        return Fitted(head, epochs_record(run, curve))

    def fit_head(
        self, folder: RunFolder, data: TrainingData, settings: Settings, report: Callable[[int, int], None]
    ) -> tuple[Head, dict[str, Any]]:
        head, chosen, tried = fit_probe(data, folder.patients, settings.penalties, settings.losses, report)
        return head, {**chosen._asdict(), "tried": [point._asdict() for point in tried]}

    def depends_on_seed(self, settings: Settings) -> bool:
        """The sound probe is the one minimum of its objective: no seed could change it."""
        return settings.protocol == "paper"

    def words(self, run: Run) -> str:
        settings = run.settings
        if run.paper:
            return (
                "on the projection before unit norm; cross-entropy, every label and class alike; Xavier start; "
                f"AdamW, {settings.head_learning_rate:g}, cosine; {stopping_words(settings)}"
            )
        chosen = run.training(self.name)
        return (
            f"on the unit-norm embedding; L-BFGS; loss and L2 penalty chosen on val: {chosen['loss']}, "
            f"C = {chosen['C']:g}"
        )


RECIPE = LinearProbe()
