"""Promises by hand, and kept: over 200 simulated sets they are broken no more often than they may be."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, binomtest, norm

from explorer.analysis.triage import RISK, SHARES, bound, films_needed, guarantee, one_film_each, promised

SEEDS = 200
MOST_BROKEN = binom.ppf(0.999, SEEDS, RISK)


@pytest.mark.parametrize(("films", "errors"), [(300, 0), (300, 7), (20, 19), (59, 0)])
def test_a_bound_is_clopper_and_pearsons(films: int, errors: int) -> None:
    exact = binomtest(films - errors, films).proportion_ci(1 - 2 * RISK / 10, method="exact")
    assert bound(films, errors) == pytest.approx(exact.low)


def test_three_positives_guarantee_nothing() -> None:
    assert bound(3, 0) == pytest.approx((RISK / 10) ** (1 / 3))
    frame = promised(np.float32([1, 1, 1] + [0] * 97), -np.arange(100.0), "in")
    assert frame.loc[frame["share"] == 0.03, ["films", "errors"]].to_numpy().tolist() == [[3, 0]]
    assert guarantee(frame, 0.5) is None


def test_films_needed_are_the_fewest() -> None:
    for level, rate in ((0.9, 0.0), (0.95, 0.01), (0.99, 0.0)):
        n = films_needed(level, rate)
        assert n is not None
        assert bound(n, int(np.ceil(rate * n))) >= level
        fewer = int(0.98 * n)
        assert bound(fewer, int(np.ceil(rate * fewer))) < level
    assert films_needed(0.95, 0.05) is None


def test_shares_thresholds_and_errors_by_hand() -> None:
    targets = np.float32([0, 0, 0, 1, 0, 0, 1, 0, 1, 1])
    out = promised(targets, np.arange(10.0), "out")
    assert out["films"].tolist() == list(range(1, 11))
    assert out["errors"].tolist() == np.cumsum(targets).tolist()
    assert out["threshold"].tolist() == [*range(1, 10), np.inf]
    into = promised(targets, np.arange(10.0), "in").set_index("share")
    assert into.loc[0.3, ["threshold", "films", "errors"]].tolist() == [6, 3, 1]
    assert 0.01 not in into.index, "a tenth of a film is none"
    tied = promised(targets, np.zeros(10), "out")
    assert tied["films"].tolist() == [10], "no threshold parts films that score alike"


def test_one_known_film_of_each_patient() -> None:
    targets = np.float32([np.nan, 1, 0, 0, np.nan, 1])
    patients = np.array([5, 5, 5, 7, 8, 9])
    seen = [one_film_each(targets, patients, seed).tolist() for seed in range(20)]
    assert {tuple(patients[rows]) for rows in seen} == {(5, 7, 9)}
    assert {rows[0] for rows in seen} == {1, 2}, "any of a patient's films"


@pytest.mark.parametrize(
    ("side", "apart", "prevalence", "level", "often"),
    [("out", 2.0, 0.1, 0.96, 100), ("in", 2.0, 0.1, 0.5, 100), ("out", 0.0, 0.0501, 0.95, 0)],
)
def test_promises_are_kept(side: str, apart: float, prevalence: float, level: float, often: int) -> None:
    """Against the true NPV and PPV of binormal scores; every patient has three films that are alike."""
    sign = 1 if side == "out" else -1
    broken = given = naive = 0
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        y = np.repeat((rng.random(500) < prevalence).astype(np.float32), 3)
        x = np.repeat(rng.normal(size=500), 3) + apart * y
        rows = one_film_each(y, np.repeat(np.arange(500), 3), seed)
        frame = promised(y[rows], x[rows], side)

        def true(threshold: float) -> float:
            right, wrong = norm.cdf(sign * threshold), norm.cdf(sign * (threshold - apart))
            shares = (1 - prevalence) * right, prevalence * wrong
            return shares[0 if side == "out" else 1] / sum(shares)

        row = guarantee(frame, level)
        given += row is not None
        broken += row is not None and true(row["threshold"]) < level
        reached = frame[1 - frame["errors"] / frame["films"] >= level]
        naive += len(reached) > 0 and true(reached.iloc[-1]["threshold"]) < level
    assert broken <= MOST_BROKEN
    assert given >= often
    assert naive > MOST_BROKEN, "without the bound promises are broken more often: the test can fail"


def test_both_sides_try_as_many_shares_as_are_paid_for() -> None:
    assert {len(shares) for shares in SHARES.values()} == {10}
