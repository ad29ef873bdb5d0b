"""The paper's own training: its settings as the optimiser gets them, its split, and a resume that changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.model_selection import train_test_split
from torch import nn

from explorer.data.geometry import Fit
from explorer.model.encoder import ImageTower, TowerConfig
from explorer.model.head import Head
from precompute.settings import PAPER, Settings
from precompute.training import paper
from precompute.training.data import TrainingData, TrainingRun

N, DIM, SIZE = 60, 6, 8
TRAIN, VAL = np.arange(40), np.arange(40, 60)
SETTINGS = Settings.model_validate(PAPER)
CONFIG = TowerConfig(
    embed_dim=DIM, vision_cfg={}, quick_gelu=False, fit=Fit(size=SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, projections that follow the first label, and targets of which some are unknown."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (N, 2)).astype(np.float32)
    projections = (4 * rng.normal(size=(N, DIM)) + 6 * targets[:, :1]).astype(np.float32)
    pixels = rng.integers(0, 90, (N, SIZE, SIZE)).astype(np.uint8)
    pixels[targets[:, 0] == 1, :4] += 120
    targets[::9, 1] = np.nan
    return pixels, projections, targets


def tower() -> ImageTower:
    torch.manual_seed(0)
    return ImageTower(nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, DIM)), CONFIG, torch.device("cpu"), False)


def quiet(done: int, total: int) -> None:
    assert 0 < done <= total


def probe(
    work: Path, settings: Settings = SETTINGS, report: Callable[[int, int], None] = quiet
) -> tuple[Head, list[dict[str, float]]]:
    _, projections, targets = data()
    films = TrainingData(projections, targets, TRAIN, VAL)
    return paper.fit_probe(films, TrainingRun(settings, settings.seed, work, report, ""))


def tune(
    work: Path, settings: Settings = SETTINGS, report: Callable[[int, int], None] = quiet
) -> tuple[ImageTower, Head, list[dict[str, float]]]:
    pixels, _, targets = data()
    model = tower()
    head, curve = paper.fine_tune(
        model, TrainingData(pixels, targets, TRAIN, VAL), TrainingRun(settings, settings.seed, work, report, "")
    )
    return model, head, curve


class Recorded(torch.optim.AdamW):
    """AdamW that notes every step: rate, decay, how many weights, and whether its moments are new."""

    steps: list[tuple[float, float, int, bool]]

    def step(self, *args: object) -> None:  # type: ignore[override]
        (group,) = self.param_groups
        self.steps.append((group["lr"], group["weight_decay"], len(group["params"]), not self.state))
        super().step()


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float, int, bool]]:
    Recorded.steps = []
    monkeypatch.setattr(torch.optim, "AdamW", Recorded)
    return Recorded.steps


def test_the_settings_are_the_papers() -> None:
    assert SETTINGS.seed == 42
    assert SETTINGS.fractions == (0.7, 0.15, 0.15)
    assert (SETTINGS.train_batch_size, SETTINGS.epochs, SETTINGS.patience) == (24, 10, 5)
    assert (SETTINGS.head_learning_rate, SETTINGS.learning_rate, SETTINGS.weight_decay) == (1e-4, 1e-5, 1e-2)
    assert (SETTINGS.losses, SETTINGS.patch_dropout, SETTINGS.layer_decay) == (("plain",), 0, 1)


def test_the_probe_gets_a_cosine_over_epochs_and_batches_of_24(
    steps: list[tuple[float, float, int, bool]], tmp_path: Path
) -> None:
    probe(tmp_path)
    per_epoch = 2  # 40 films in batches of 24
    expected = torch.optim.lr_scheduler.CosineAnnealingLR(
        torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1e-4), T_max=10
    )
    for epoch in range(10):
        for rate, decay, weights, fresh in steps[epoch * per_epoch : (epoch + 1) * per_epoch]:
            assert rate == pytest.approx(expected.get_last_lr()[0])
            assert (decay, weights) == (1e-2, 2)
            assert fresh == (epoch == 0) or steps[0][3]
        expected.optimizer.step()
        expected.step()
    assert len(steps) == 10 * per_epoch


def test_the_fine_tune_gets_one_rate_for_all_and_a_new_adamw_per_epoch(
    steps: list[tuple[float, float, int, bool]], tmp_path: Path
) -> None:
    _, _, curve = tune(tmp_path)
    assert len(steps) == 2 * (len(curve) - 1)
    assert {(rate, decay, weights) for rate, decay, weights, _ in steps} == {(1e-5, 1e-2, 4)}
    assert [fresh for *_, fresh in steps] == [True, False] * (len(curve) - 1)


def test_the_head_is_xaviers() -> None:
    head = paper.new_head(512, 14, 42)
    bound = (6 / (512 + 14)) ** 0.5
    assert np.abs(head.weight).max() <= bound
    assert np.abs(head.weight).max() > 0.99 * bound
    assert np.abs(head.bias).max() <= 512**-0.5
    assert (head.weight != paper.new_head(512, 14, 43).weight).any()


def test_the_split_is_the_notebooks() -> None:
    """By patient in the order they first come, cut twice; a patient's films stay together."""
    patients = np.repeat([f"p{i}" for i in range(200)], 2).astype(object)
    parts = paper.split(patients, (0.7, 0.15, 0.15), 42)
    train, rest = train_test_split([f"p{i}" for i in range(200)], test_size=0.30, random_state=42, shuffle=True)
    val, test = train_test_split(rest, test_size=0.50, random_state=42, shuffle=True)
    for name, members in (("train", train), ("val", val), ("test", test)):
        assert set(patients[parts == name]) == set(members)
    assert [len(train), len(val), len(test)] == [140, 30, 30]


def test_the_head_reads_projections_as_they_come(tmp_path: Path) -> None:
    """Scaling a film's projection changes its logit: a head over unit-norm embeddings could not see it."""
    _, projections, targets = data()
    head, curve = probe(tmp_path)
    y, known = targets[VAL], ~np.isnan(targets[VAL])
    logits = head.logits(projections[VAL])
    nats = np.logaddexp(0, logits) - np.nan_to_num(y) * logits
    assert min(point["val_loss"] for point in curve) == pytest.approx(nats[known].mean(), abs=2e-4)


class Killed(BaseException):
    """A kill, as far as Python can play one."""


def bits(head: Head, curve: list[dict[str, float]]) -> tuple[bytes, bytes, str]:
    return head.weight.tobytes(), head.bias.tobytes(), repr(curve)


@pytest.mark.parametrize("at", [1, 4, 10])
def test_a_killed_probe_resumes_bit_for_bit(tmp_path: Path, at: int) -> None:
    whole = probe(tmp_path / "whole")

    def kill(done: int, total: int) -> None:
        if done == at:
            raise Killed

    with pytest.raises(Killed):
        probe(tmp_path / "cut", report=kill)
    torch.rand(7)
    assert bits(*probe(tmp_path / "cut")) == bits(*whole)


@pytest.mark.parametrize("at", [1, 3, 8])
def test_a_killed_fine_tune_resumes_bit_for_bit(tmp_path: Path, at: int) -> None:
    model, head, curve = tune(tmp_path / "whole")

    def kill(done: int, total: int) -> None:
        if done == at:
            raise Killed

    with pytest.raises(Killed):
        tune(tmp_path / "cut", report=kill)
    torch.rand(7)
    again, *rest = tune(tmp_path / "cut")
    assert bits(*rest) == bits(head, curve)
    for one, two in zip(model.visual.parameters(), again.visual.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_gain_too_small_counts_as_none(tmp_path: Path) -> None:
    """At a rate of next to nothing no epoch is better by 1e-4: training stops after the patience."""
    _, curve = probe(tmp_path, SETTINGS.model_copy(update={"head_learning_rate": 1e-9}))
    assert len(curve) == 1 + SETTINGS.patience


def test_unknown_cells_have_no_say(tmp_path: Path) -> None:
    _, projections, targets = data()
    as_negative = np.nan_to_num(targets)
    heads = [
        paper.fit_probe(
            TrainingData(projections, values, TRAIN, VAL), TrainingRun(SETTINGS, 42, tmp_path / str(i), quiet, "")
        )[0]
        for i, values in enumerate((targets, as_negative))
    ]
    assert (heads[0].weight[1] != heads[1].weight[1]).any()
    np.testing.assert_allclose(heads[0].bias[0], heads[1].bias[0], atol=1e-3)
