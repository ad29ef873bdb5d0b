"""What is scored: each label, the paper's domains, and all labels pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from explorer.data.labels import DOMAINS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MICRO = "micro"
"""The pseudo-label of all film-label pairs pooled."""


class Task(NamedTuple):
    """One binary question asked of rows of films.

    Attributes
    ----------
    name : str
        A label, a domain or MICRO.
    targets : (m,) 1, 0 or NaN
    scores : (m,)
    calls : (m,) or None
        Which rows are predicted positive; None where no label involved has a threshold.
    films : (m,)
        Each row's place among the n films.
    """

    name: str
    targets: NDArray[np.float32]
    scores: NDArray[np.float32]
    calls: NDArray[np.bool_] | None
    films: NDArray[np.int64]


def domains(labels: Sequence[str]) -> dict[str, list[int]]:
    """The domains of Sadman et al. (BIOKDD 2025) that have labels here, with their labels' places."""
    places = {name: [labels.index(label) for label in members if label in labels] for name, members in DOMAINS.items()}
    return {name: columns for name, columns in places.items() if columns}


def any_of(targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n,) 1 where any of a film's labels is positive, 0 where all are negative, else NaN: unknown is not negative.

    Examples
    --------
    >>> import numpy as np
    >>> any_of(np.float32([[1, np.nan], [0, 0], [0, np.nan]])).tolist()
    [1.0, 0.0, nan]
    """
    positive = (targets == 1).any(axis=1)
    return np.where(positive, 1.0, np.where(np.isnan(targets).any(axis=1), np.nan, 0.0)).astype(np.float32)


def tasks(
    labels: Sequence[str],
    targets: NDArray[np.float32],
    logits: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    only: str | None = None,
) -> list[Task]:
    """Labels in their order, then domains, then MICRO; or the one named.

    Parameters
    ----------
    labels : C names
    targets, logits : (n, C)
    thresholds : (C,) logit units, NaN where a label has none

    Notes
    -----
    A domain's score is the largest of its labels' logits above their thresholds. So a domain is predicted exactly where
    one of its labels is. Labels without a threshold take no part, unless none has one. MICRO ranks all film-label
    pairs by logit, as scikit-learn's ``average="micro"`` does: it is as good as the labels' common scale.
    """
    n = len(targets)
    every = np.arange(n)
    decided = ~np.isnan(thresholds)
    calls: NDArray[np.bool_] = np.asarray(logits >= thresholds)  # (n, C), false where there is no threshold
    every_task = [
        Task(label, targets[:, c], logits[:, c], calls[:, c] if decided[c] else None, every)
        for c, label in enumerate(labels)
    ]
    for name, columns in domains(labels).items():
        used = [c for c in columns if decided[c]]
        above = logits[:, used] - thresholds[used] if used else logits[:, columns]
        predicted = np.asarray(calls[:, used].any(axis=1)) if used else None
        every_task.append(Task(name, any_of(targets[:, columns]), above.max(axis=1), predicted, every))
    pooled = calls.ravel() if decided.any() else None
    every_task.append(Task(MICRO, targets.ravel(), np.ravel(logits), pooled, np.repeat(every, len(labels))))
    return [task for task in every_task if only in (None, task.name)]


def evidence(task: Task, patients: NDArray[np.int64]) -> tuple[int, int, int]:
    """Patients with a positive row, with a negative one, and with a known one that is predicted positive."""
    known = ~np.isnan(task.targets)
    predicted = np.zeros(len(known), bool) if task.calls is None else task.calls & known
    groups = (task.targets == 1, task.targets == 0, predicted)
    with_it, without, alarmed = (len(np.unique(patients[task.films[rows]])) for rows in groups)
    return with_it, without, alarmed


def units(task: Task, patients: NDArray[np.int64]) -> int:
    """Patients with a positive row or with a negative one, whichever are fewer: what an interval rests on."""
    return min(evidence(task, patients)[:2])
