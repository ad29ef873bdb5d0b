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
    targets, train, val = data.targets, data.train, data.val
    both = has_both_classes(targets[train])
    tried: list[Tried] = []
    best: dict[LossName, tuple[Tried, PenaltyPath]] = {}
    scored: dict[str, Scored] = {}
    nowhere = np.full(both.sum(), np.nan, np.float32)
    for done, name in enumerate(losses, start=1):
        path = PenaltyPath(data, both, name)
        points = path.follow(penalties)
        tried += points
        best[name] = path.best, path
        scored[name] = Scored(path.val_logits.astype(np.float32), nowhere)
        report(done, len(losses))
    chosen, path = best[_plainest([point for point, _ in best.values()], scored, targets[val][:, both], patients[val])]
    weight, bias = np.zeros((targets.shape[1], data.inputs.shape[1])), _log_odds(targets[train])
    weight[both], bias[both] = path.head()
    return Head(weight.astype(np.float32), bias.astype(np.float32)), chosen, tried


def has_both_classes(targets: NDArray[np.float32]) -> NDArray[np.bool_]:
    """(C,) which labels of (n, C) targets have known positives and negatives."""
    return np.array([len(np.unique(column[~np.isnan(column)])) > 1 for column in targets.T], dtype=bool)


class PenaltyPath:
    """Heads fitted with one loss and ever weaker penalties, on features standardised over the training rows.

    Parameters
    ----------
    data : TrainingData
        Its inputs are (N, D) embeddings.
    both : (C,)
        Which labels are fitted; C' of them.
    loss : LossName
    pulled_to : (C', D), optional
        The weights that the penalty pulls to; 0 by default.

    Attributes
    ----------
    best : Tried
        The penalty of least validation loss.
    val_logits : (n_val, C')
        Its logits.
    """

    best: Tried
    val_logits: NDArray[np.float64]

    def __init__(
        self,
        data: TrainingData,
        both: NDArray[np.bool_],
        loss: LossName,
        pulled_to: NDArray[np.floating] | None = None,
    ) -> None:
        self._name, self._targets, self._rows = loss, data.targets[:, both], (data.train, data.val)
        self._mean = data.inputs[data.train].mean(axis=0)
        self._spread = data.inputs[data.train].std(axis=0) + 1e-6
        self._features = [
            torch.from_numpy(((data.inputs[rows] - self._mean) / self._spread).astype(np.float64))
            for rows in self._rows
        ]
        self._loss = make_loss(loss, self._targets[data.train])
        self._pulled_to = np.zeros((both.sum(), data.inputs.shape[1]))
        if pulled_to is not None:
            self._pulled_to = pulled_to * self._spread.astype(np.float64)

    def follow(self, penalties: Sequence[float]) -> list[Tried]:
        """Fit from the strongest penalty on, each from where the last one ended, until validation gets worse."""
        train, val = self._features
        truth = [torch.from_numpy(self._targets[rows].astype(np.float64)) for rows in self._rows]
        fitted = np.hstack([self._pulled_to, np.zeros((len(self._pulled_to), 1))])  # a row per label, the bias last
        tried: list[Tried] = []
        for penalty in sorted(penalties):
            with one_thread():
                fitted = _minimise(train, truth[0], self._loss, penalty, fitted, torch.from_numpy(self._pulled_to))
            with torch.no_grad():
                logits = _logits(val, torch.from_numpy(fitted))
                summed, known = self._loss(logits, truth[1])
            val_targets = self._targets[self._rows[1]]
            tried.append(
                Tried(self._name, penalty, summed.item() / max(known, 1), macro_ap(val_targets, logits.numpy()))
            )
            if len(tried) > 1 and tried[-1].val_loss > self.best.val_loss:
                break  # weaker ones fit train better still and validation worse, and cost the most
            self.best, self.val_logits, self._fitted = tried[-1], logits.numpy(), fitted
        return tried

    def head(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight (C', D) and bias (C',) of the best penalty, reading the embeddings themselves."""
        weight = self._fitted[:, :-1] / self._spread
        return weight, self._fitted[:, -1] - weight @ self._mean


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
    features: torch.Tensor,
    truth: torch.Tensor,
    loss: Loss,
    penalty: float,
    start: NDArray[np.float64],
    pulled_to: torch.Tensor,
) -> NDArray[np.float64]:
    """All labels' heads at once: scikit-learn's objective, half the squared weights plus C times the summed loss.

    The squared weights are those of the difference from ``pulled_to``.
    """

    def value_and_gradient(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        head = torch.from_numpy(flat.reshape(start.shape)).requires_grad_()
        total = penalty * loss(_logits(features, head), truth)[0] + (head[:, :-1] - pulled_to).square().sum() / 2
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
