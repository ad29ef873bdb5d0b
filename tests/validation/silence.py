"""When to keep silent: promises, prior shift, abstention and weak calibration

Binormal scores two standard deviations apart. Triage: 500 patients with three films that are alike; broken means that
the true NPV or PPV of the chosen threshold is below the asked one, and the band is the promise. "Without a bound" is
the largest of the same shares that reaches it in val. "At the edge" is a score that says nothing, at a prevalence of
5.01% and an NPV of 0.95. Another hospital: 500 films at a prevalence of 30%, figures at 5%, where the true ones are
known. Abstention: AUGRC of a confidence less that of a noisier one, 100 patients with two films each. Weak calibration:
150 patients with two films that are alike, and true probabilities.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from scipy.stats import norm

from explorer.analysis.jackknife import groups_of
from explorer.analysis.prior_shift import FIGURES, at_prevalence, logit_line
from explorer.analysis.risk_coverage import areas, fewer_patients, jackknife_interval
from explorer.analysis.triage import RISK, Side, guarantee, one_film_each, promised
from explorer.analysis.weak_calibration import PERFECT, weak_calibration
from tests.validation import COVERAGE, Row, share

SETS = 2000
PATIENTS = 500


def promises(rng: np.random.Generator, side: Side, apart: float, prevalence: float, level: float) -> list[Row]:
    """How often a promise is given and broken."""
    sign = 1 if side == "out" else -1
    given = broken = naive = 0
    patients = np.repeat(np.arange(PATIENTS), 3)
    for _ in range(SETS):
        y = np.repeat((rng.random(PATIENTS) < prevalence).astype(np.float32), 3)
        x = np.repeat(rng.normal(size=PATIENTS), 3) + apart * y
        rows = one_film_each(y, patients, int(rng.integers(2**31)))
        frame = promised(y[rows], x[rows], side)
        row, reached = guarantee(frame, level), frame[1 - frame["errors"] / frame["films"] >= level]

        def true(threshold: float) -> float:
            shares = np.array([(1 - prevalence), prevalence]) * norm.cdf(sign * (threshold - np.array([0, apart])))
            return float(shares[0 if side == "out" else 1] / shares.sum())

        given += row is not None
        broken += row is not None and true(row["threshold"]) < level
        naive += len(reached) > 0 and true(reached.iloc[-1]["threshold"]) < level
    what = f"Rule {side}, {level:g}" + (", at the edge" if apart == 0 else "")
    return [
        share(f"{what}: promised", given, SETS),
        share(f"{what}: broken", broken, SETS, (0.0, RISK)),
        share(f"{what}: broken without a bound", naive, SETS),
    ]


def another_hospital(rng: np.random.Generator) -> list[Row]:
    """Coverage of figures and of a film's probability at another prevalence."""
    here, there, harm, at = 0.3, 0.05, 0.2, 1.4
    hit, wrong, missed = norm.sf(-1) * there, norm.sf(1) * (1 - there), norm.cdf(-1) * there
    passed = norm.cdf(1) * (1 - there)
    values = (hit / (hit + wrong), passed / (passed + missed), 2 * hit / (hit + wrong + there), hit - wrong / 4)
    truth = dict(zip(FIGURES, values, strict=True))
    odds = 2 * at - 2 + np.log(there / (1 - there))
    held = dict.fromkeys((*FIGURES, "probability"), 0)
    for _ in range(SETS):
        y = (rng.random(PATIENTS) < here).astype(np.float32)
        x = (rng.normal(size=PATIENTS) + 2 * y).astype(np.float32)
        seed = int(rng.integers(2**31))
        frame = at_prevalence(y, x > 1, np.arange(PATIENTS), np.array([there]), harm, seed=seed)
        for figure, low, high in zip(frame["figure"], frame["low"], frame["high"], strict=True):
            held[figure] += low < truth[figure] < high
        _, low, high = logit_line(y, x, np.arange(PATIENTS)).probability(at, there)
        held["probability"] += low < expit(odds) < high
    return [share(f"Another hospital, {figure}: held", times, SETS, COVERAGE) for figure, times in held.items()]


def abstention(rng: np.random.Generator) -> list[Row]:
    """Coverage of the paired difference of two confidences."""

    def one_set(patients: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        hard = np.repeat(rng.normal(size=patients), 2)
        loss = (hard + rng.normal(size=2 * patients) > 1.2).astype(float)
        noise = rng.normal(size=(2, 2 * patients))
        return loss, -hard - 0.5 * noise[0], -hard - 2 * noise[1]

    loss, better, worse = one_set(500_000)
    once = np.ones((len(loss), 1), np.float32)
    truth = (areas(loss, better, once) - areas(loss, worse, once))[0]
    patients = np.repeat(np.arange(100), 2)
    without, once, held = groups_of(patients), np.ones((200, 1), np.float32), np.zeros(2)
    for _ in range(SETS):
        loss, better, worse = one_set(100)
        value = (areas(loss, better, once) - areas(loss, worse, once))[0]
        left_out = areas(loss, better, without) - areas(loss, worse, without)
        low, high = jackknife_interval(value, left_out, fewer_patients(loss, patients))
        held += (low < truth) & (truth < high)
    return [
        share(f"Abstention, {name} of two confidences: held", times, SETS, COVERAGE)
        for name, times in zip(("AURC", "AUGRC"), held, strict=True)
    ]


def calibration(rng: np.random.Generator) -> list[Row]:
    """Coverage of the perfect figures by patient."""
    held = dict.fromkeys(PERFECT, 0)
    patients = np.repeat(np.arange(150), 2)
    for _ in range(SETS):
        truth = rng.normal(-1, 1.2, 150)
        y = (rng.random(150) < expit(truth)).astype(np.float32)
        for name, (_, low, high) in weak_calibration(y.repeat(2), expit(truth).repeat(2), patients).items():
            held[name] += low < PERFECT[name] < high
    return [share(f"Weak calibration, {name}: held", times, SETS, COVERAGE) for name, times in held.items()]


PARTS = (
    another_hospital,
    partial(promises, side="out", apart=2.0, prevalence=0.1, level=0.96),
    partial(promises, side="in", apart=2.0, prevalence=0.1, level=0.5),
    partial(promises, side="out", apart=0.0, prevalence=0.0501, level=0.95),
    abstention,
    calibration,
)
