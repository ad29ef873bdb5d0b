"""The linear probe: L2-penalised logistic regression on the frozen embedding, penalty and loss chosen on validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from scipy.optimize import minimize
from sklearn.metrics import average_precision_score

from explorer.analysis.metrics import Scored, mean_defined, weight_blocks
from explorer.analysis.ranking import rank, score
from explorer.model.head import Head
from precompute.settings import LossName
from precompute.threads import one_thread
from precompute.training.data import TrainingData
from precompute.training.losses import Loss, make_loss

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Tried(NamedTuple):
    """One loss with one penalty, on validation: its mean per known cell, and macro average precision."""

    loss: LossName
    C: float
    val_loss: float
    val_macro_ap: float


def fit_probe(
    data: TrainingData,
    patients: NDArray[np.int64],
    penalties: Sequence[float],
    losses: Sequence[LossName],
    report: Callable[[int, int], None],
) -> tuple[Head, Tried, list[Tried]]:
    """Fit a linear head on known training cells by L-BFGS, with each loss and penalty.

    Features are standardised on training rows. The scaling is folded back into the head, so that the head still reads
    the unit-norm embedding. One penalty serves all labels: the one of least mean loss over all known validation cells.
    A rare label's own few positives could not choose. Each loss has its own penalty. The plainest loss is taken whose
    macro average precision on validation lies within one standard error of the largest (Breiman et al., 1984, section
    3.4.3). A few hundred films cannot tell closer ones apart.

    Parameters
    ----------
    data : TrainingData
        Its inputs are (N, D) unit-norm embeddings.
    patients : (N,)
        Which patient each film belongs to: they are resampled for the standard error.
    penalties : the inverse of the L2 strength, as scikit-learn's C
    losses : the plainest first

    Returns
    -------
    Head
    Tried
        The chosen loss and penalty.
    list of Tried
        Every loss and penalty tried.
    """
    embeddings, targets, train, val = data.inputs, data.targets, data.train, data.val
    mean = embeddings[train].mean(axis=0)
    spread = embeddings[train].std(axis=0) + 1e-6
    features = torch.from_numpy(((embeddings - mean) / spread).astype(np.float64))
    both = [len(np.unique(column[~np.isnan(column)])) > 1 for column in targets[train].T]  # (C,) has both classes
    truth = torch.from_numpy(targets[:, both].astype(np.float64))
    tried: list[Tried] = []
    best: dict[LossName, tuple[Tried, NDArray[np.float64]]] = {}
    scored: dict[str, Scored] = {}
    nowhere = np.full(truth.shape[1], np.nan, np.float32)
    for done, name in enumerate(losses, start=1):
        loss = make_loss(name, targets[train][:, both])
        fitted = np.zeros((truth.shape[1], features.shape[1] + 1))  # one row per label, the bias last
        for penalty in sorted(penalties):  # from the strongest, each starting where the last one ended
            with one_thread():
                fitted = _minimise(features[train], truth[train], loss, penalty, fitted)
            with torch.no_grad():
                logits = _logits(features[val], torch.from_numpy(fitted))
                summed, known = loss(logits, truth[val])
            point = Tried(name, penalty, summed.item() / max(known, 1), macro_ap(targets[val][:, both], logits.numpy()))
            tried.append(point)
            if name in best and point.val_loss > best[name][0].val_loss:
                break  # weaker ones fit train better still and validation worse, and cost the most
            best[name] = point, fitted
            scored[name] = Scored(logits.numpy().astype(np.float32), nowhere)
        report(done, len(losses))
    chosen, fitted = best[
        _plainest([point for point, _ in best.values()], scored, targets[val][:, both], patients[val])
    ]
    weight, bias = np.zeros((targets.shape[1], features.shape[1])), _log_odds(targets[train])
    weight[both] = fitted[:, :-1] / spread
    bias[both] = fitted[:, -1] - weight[both] @ mean
    return Head(weight.astype(np.float32), bias.astype(np.float32)), chosen, tried


def _plainest(
    points: Sequence[Tried], scored: dict[str, Scored], targets: NDArray[np.float32], patients: NDArray[np.int64]
) -> LossName:
    """The first loss whose macro average precision is within one standard error, paired by patient, of the largest."""
    top = max(points, key=lambda point: point.val_macro_ap)
    if len(points) > 1 and top.val_macro_ap > 0:
        resampled = {name: _resampled_macro_ap(targets, regime, patients) for name, regime in scored.items()}
        for point in points:
            if top.val_macro_ap - point.val_macro_ap <= np.nanstd(resampled[top.loss] - resampled[point.loss]):
                return point.loss
    return top.loss


def macro_ap(targets: NDArray[np.float32], scores: NDArray[np.floating]) -> float:
    """Mean average precision of the labels that have a positive among their known rows; 0 where none has."""
    precisions = []
    for y, logits in zip(targets.T, scores.T, strict=True):
        known = ~np.isnan(y)
        if (y == 1).any():
            precisions.append(average_precision_score(y[known], logits[known]))
    return float(np.mean(precisions)) if precisions else 0.0


def _logits(features: torch.Tensor, head: torch.Tensor) -> torch.Tensor:
    return features @ head[:, :-1].T + head[:, -1]


def _minimise(
    features: torch.Tensor, truth: torch.Tensor, loss: Loss, penalty: float, start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """All labels' heads at once: scikit-learn's objective, half the squared weights plus C times the summed loss."""

    def value_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        head = torch.from_numpy(flat.reshape(start.shape)).requires_grad_()
        total = penalty * loss(_logits(features, head), truth)[0] + head[:, :-1].square().sum() / 2
        (gradient,) = torch.autograd.grad(total, head)
        return total.item(), gradient.numpy().ravel()

    if start.size == 0:
        return start
    minimum = minimize(
        value_and_gradient, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 2000, "maxfun": 4000}
    )
    fitted: NDArray[np.float64] = minimum.x.reshape(start.shape)
    return fitted


def _log_odds(targets: NDArray[np.float32]) -> NDArray[np.float64]:
    """(C,) log odds by Laplace's rule: the bias of a label with one class or no known cell."""
    positive, known = (targets == 1).sum(axis=0), (~np.isnan(targets)).sum(axis=0)
    odds: NDArray[np.float64] = np.log((positive + 1) / (known - positive + 1))
    return odds


def _resampled_macro_ap(
    targets: NDArray[np.float32], scored: Scored, patients: NDArray[np.int64], resamples: int = 200
) -> NDArray[np.float64]:
    """(B,) macro average precision over all labels, on the same resamples of patients for every loss."""
    (weights,) = weight_blocks(patients, resamples, 0, resamples)  # (n, B)
    by_label = [
        score(rank(targets[:, c], scored.logits[:, c]), weights, ("average_precision",))[:, 0]
        for c in range(targets.shape[1])
    ]
    return mean_defined(np.stack(by_label))
