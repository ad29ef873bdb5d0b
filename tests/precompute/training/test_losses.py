"""The losses by hand, and unknown cells without a say in any of them."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
import torch

from precompute.settings import LossName
from precompute.training.losses import make_loss, positive_weights

NAMES: tuple[LossName, ...] = get_args(LossName)

TARGETS = np.float32([[1, 0], [0, 0], [0, 1], [0, np.nan], [0, 0]])  # 4 negatives a positive; 3 negatives a positive
P = [0.8, 0.3, 0.02]


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def one(name: LossName, p: float, y: float) -> float:
    """The loss of one cell of label 0."""
    loss = make_loss(name, TARGETS[:, :1])
    summed, known = loss(torch.tensor([[logit(p)]], dtype=torch.float64), torch.tensor([[y]], dtype=torch.float64))
    assert known == 1
    return summed.item()


@pytest.mark.parametrize("p", P)
def test_by_hand(p: float) -> None:
    assert one("plain", p, 1) == pytest.approx(-math.log(p))
    assert one("plain", p, 0) == pytest.approx(-math.log(1 - p))
    assert one("weighted", p, 1) == pytest.approx(4 * -math.log(p))
    assert one("weighted", p, 0) == pytest.approx(-math.log(1 - p))
    assert one("focal", p, 1) == pytest.approx((1 - p) ** 2 * -math.log(p))
    assert one("focal", p, 0) == pytest.approx(p**2 * -math.log(1 - p))
    assert one("asymmetric", p, 1) == pytest.approx(-math.log(p))
    q = max(p - 0.05, 0)
    assert one("asymmetric", p, 0) == pytest.approx(q**4 * -math.log(1 - q))


def test_in_figures() -> None:
    """The same, worked out on paper, so that a formula wrong in both places is seen."""
    assert one("plain", 0.8, 1) == pytest.approx(0.2231, abs=1e-4)
    assert one("weighted", 0.8, 1) == pytest.approx(0.8926, abs=1e-4)
    assert one("focal", 0.8, 1) == pytest.approx(0.0089, abs=1e-4)
    assert one("focal", 0.3, 0) == pytest.approx(0.0321, abs=1e-4)
    assert one("asymmetric", 0.8, 0) == pytest.approx(0.31640625 * 1.386294, abs=1e-4)
    assert one("asymmetric", 0.02, 0) == 0, "an easy negative costs nothing"


def test_positives_weigh_as_much_as_all_negatives() -> None:
    np.testing.assert_allclose(positive_weights(TARGETS), [4, 3])
    assert positive_weights(np.float32([[1, 0, np.nan], [1, 0, np.nan]])).tolist() == [1, 1, 1]


@pytest.mark.parametrize("name", NAMES)
def test_unknown_cells_have_no_say(name: LossName) -> None:
    torch.manual_seed(0)
    logits = torch.randn(5, 2, requires_grad=True)
    loss = make_loss(name, TARGETS)
    summed, known = loss(logits, torch.from_numpy(TARGETS))
    assert known == 9
    summed.backward()
    assert logits.grad is not None
    assert logits.grad[3, 1] == 0
    assert (logits.grad[:3] != 0).any()
    cells = [
        make_loss(name, TARGETS)(logits[i : i + 1].detach(), torch.from_numpy(TARGETS[i : i + 1]))[0] for i in range(5)
    ]
    assert summed.item() == pytest.approx(sum(cells).item(), rel=1e-5)
    nothing, none = loss(logits, torch.full((5, 2), torch.nan))
    assert (nothing.item(), none) == (0, 0)


@pytest.mark.parametrize("name", NAMES)
def test_finite_where_a_model_is_sure_and_wrong(name: LossName) -> None:
    logits = torch.tensor([[90.0, -90.0]], requires_grad=True)
    summed, _ = make_loss(name, TARGETS)(logits, torch.tensor([[0.0, 1.0]]))
    summed.backward()
    assert summed.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
