"""The text-informed probe: the frozen encoder's head, fitted from zero-shot's and held near it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from explorer.model.head import Head
from explorer.store import layout
from explorer.store.folder import RunFolder
from explorer.store.manifest import FROZEN
from precompute.run.recipe import HeadRecipe
from precompute.run.run import Run
from precompute.settings import Settings
from precompute.training.data import TrainingData
from precompute.training.probe import PenaltyPath, has_both_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TextInformedProbe(HeadRecipe):
    """Between zero-shot and the probe: few positives leave the text's weights, many outweigh them."""

    name = "text_probe"
    title = "Text-informed probe"
    kind = "adapted"
    summary = "the frozen encoder with zero-shot's head, moved by the labels as far as val supports"
    stage = "text-informed probe"
    share = 2
    needs = ("zero_shot",)
    reads_text = True

    def inputs(self, run: Run) -> dict[str, object]:
        files = (layout.encoder_files(FROZEN).embeddings, layout.regime_files(self.needs[0]).head, layout.SAMPLES)
        return {**run.hashes(*files), "penalties": run.settings.penalties}

    def fit_head(
        self, folder: RunFolder, data: TrainingData, settings: Settings, report: Callable[[int, int], None]
    ) -> tuple[Head, dict[str, Any]]:
        head, record = fit_text_probe(data, Head(*folder.head(self.needs[0])), settings.penalties)
        report(1, 1)
        return head, record

    def words(self, run: Run) -> str:
        training = run.training(self.name)
        return (
            "on the unit-norm embedding; L-BFGS, cross-entropy; an L2 penalty holds weights near zero-shot's, times "
            f"{training['scale']:.2g}; that factor and C = {training['C']:g} chosen on val; a label without positives "
            "or negatives in train keeps zero-shot's head"
        )


def fit_text_probe(data: TrainingData, text: Head, penalties: Sequence[float]) -> tuple[Head, dict[str, Any]]:
    """Logistic regression whose L2 penalty pulls to the text's weights in place of 0.

    Images and text are blended as in SS-Text (arXiv 2506.17500) and LP++ (arXiv 2404.02285): the more films a label
    has, the further its weights move from the text's. Zero-shot's logits are not in the units of log odds, so one
    factor for all labels brings them there; it is fitted on validation. One penalty serves all labels, that of least
    validation loss. A label that has one class in train keeps the text's head, bit for bit.

    Parameters
    ----------
    data : TrainingData
        Its inputs are (N, D) unit-norm embeddings.
    text : Head
        Zero-shot's.
    penalties : the inverse of the L2 strength, as scikit-learn's C

    Returns
    -------
    Head
    dict
        loss, C, scale (the factor) and tried.
    """
    both = has_both_classes(data.targets[data.train])
    weight, bias = text.weight.copy(), text.bias.copy()
    scale = log_odds_scale(text.logits(data.inputs[data.val]), data.targets[data.val])
    path = PenaltyPath(data, both, "plain", pulled_to=scale * text.weight[both])
    tried = path.follow(penalties)
    weight[both], bias[both] = path.head()
    return Head(weight, bias), {
        **path.best._asdict(),
        "scale": scale,
        "tried": [point._asdict() for point in tried],
    }


def log_odds_scale(logits: NDArray[np.float32], targets: NDArray[np.float32]) -> float:
    """The factor, at least 0, by which (n, C) logits fit known labels best, each label with a bias of its own.

    1 where no label has both classes. By 0 the text has no part: it ranks these films no better than chance.
    """
    both = has_both_classes(targets)
    known = ~np.isnan(targets[:, both])
    x, y = logits[:, both].astype(np.float64), np.nan_to_num(targets[:, both]).astype(np.float64)
    if not both.any():
        return 1.0

    def loss_and_gradient(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = values[0] * x + values[1:]
        error = np.where(known, expit(z) - y, 0.0)
        loss = np.where(known, np.logaddexp(0, z) - y * z, 0.0).sum()
        return float(loss), np.concatenate([[(error * x).sum()], error.sum(axis=0)])

    start = np.concatenate([[1.0], np.zeros(both.sum())])
    bounds = [(0.0, None), *[(None, None)] * int(both.sum())]
    return float(minimize(loss_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds).x[0])


RECIPE = TextInformedProbe()
