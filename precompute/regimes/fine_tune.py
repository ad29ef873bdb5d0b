"""Full fine-tune: encoder and head trained together."""

from __future__ import annotations

from pathlib import Path

from explorer.model.encoder import ImageTower
from explorer.model.head import Head
from explorer.store import layout
from explorer.store.files import sha256_json
from explorer.store.manifest import FROZEN
from precompute.reporter import ReportProgress
from precompute.run.recipe import Fitted, Recipe, epochs_record, stopping_words, training_data, training_settings
from precompute.run.run import Run
from precompute.settings import Settings
from precompute.training import paper
from precompute.training.data import TrainingRun
from precompute.training.finetune import fine_tune
from precompute.training.losses import make_loss


class FullFineTune(Recipe):
    """From the probe's head and with its loss; under the paper's protocol from a new head."""

    name = "fine_tune"
    title = "Full fine-tune"
    kind = "trained"
    summary = "encoder and head trained together from the probe's head; the epoch of least val loss is kept"
    stage = "full fine-tune"
    share = 100
    needs = ("linear_probe",)
    own_encoder = "fine-tuned"
    in_paper = True

    def inputs(self, run: Run) -> dict[str, object]:
        encoder, probe = layout.encoder_files(FROZEN), layout.regime_files(self.needs[0])
        files = (encoder.config, encoder.weights, probe.head, probe.training, layout.PIXELS, layout.SAMPLES)
        return {**run.hashes(*files), **training_settings(run.settings)}

    def fit(self, run: Run, seed: int, work: Path, report: ReportProgress) -> Fitted:
        tower = ImageTower.load(run.path / layout.encoder_files(FROZEN).folder, run.tower.device)
        data = training_data(run, run.pixels)
        training = TrainingRun(run.settings, seed, work, report, sha256_json(self.inputs(run)))
        if run.paper:
            tower = tower.unnormalised()
            head, curve = paper.fine_tune(tower, data, training)
        else:
            probe = self.needs[0]
            loss = make_loss(run.training(probe)["loss"], data.targets[data.train])
            head, curve = fine_tune(tower, Head(*run.head(probe)), loss, data, training)
        return Fitted(head, epochs_record(run, curve), tower.at(tower.config.precision))  # of the new weights

    def depends_on_seed(self, settings: Settings) -> bool:
        return True

    def starts_from_parent(self, settings: Settings) -> bool:
        return settings.protocol == "sound"

    def words(self, run: Run) -> str:
        settings = run.settings
        if run.paper:
            return (
                f"a new head; cross-entropy; one constant rate of {settings.learning_rate:g}, a new AdamW every "
                f"epoch; no augmentation; {stopping_words(settings)}"
            )
        return (
            f"from the probe's head, with its loss; rates {settings.learning_rate:g}, each lower layer "
            f"{settings.layer_decay:g} of the next, and {settings.head_learning_rate:g} (head), warm-up and cosine; "
            f"small turns, shifts, zooms and exposure, no mirroring; {stopping_words(settings)}"
        )


RECIPE = FullFineTune()
