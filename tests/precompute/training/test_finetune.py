"""The fine-tune: a killed training ends where an uninterrupted one does, and the best epoch is what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from explorer.data.geometry import Fit
from explorer.model.encoder import ImageTower, TowerConfig
from explorer.model.head import Head
from precompute.settings import Settings
from precompute.training import finetune, loop
from precompute.training.checkpoint import load_checkpoint, save_checkpoint
from precompute.training.data import TrainingData, TrainingRun
from precompute.training.losses import make_loss

from timm.models.vision_transformer import VisionTransformer  # isort: skip  (explorer.model lets torchvision be imported)

if TYPE_CHECKING:
    from explorer.model.encoder import Clip

SIZE, DIM, N = 16, 6, 48
TRAIN, VAL = np.arange(32), np.arange(32, 48)
CONFIG = TowerConfig(
    embed_dim=DIM, vision_cfg={}, quick_gelu=False, fit=Fit(size=SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)
)


class Trunk(VisionTransformer):
    """Four patches in a row, then their mean: timm's ViT as far as patch dropout is concerned."""

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.num_prefix_tokens = 1
        self.patch = nn.Conv2d(3, 8, 8, 8)
        self.patch_drop: nn.Module = nn.Identity()
        self.norm = nn.LayerNorm(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        tokens = torch.cat([tokens[:, :1] * 0, tokens], dim=1)  # a prefix token first
        return self.norm(self.patch_drop(tokens)).mean(dim=1)

    def group_matcher(self, coarse: bool) -> dict[str, object]:
        """Its layers, as timm's models state theirs."""
        return {"stem": r"^patch", "blocks": [(r"^norm", (99999,))]}


class Visual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.trunk = Trunk()
        self.head = nn.Linear(8, DIM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(x))


def tower() -> ImageTower:
    torch.manual_seed(0)
    return ImageTower(Visual(), CONFIG, torch.device("cpu"))


def data() -> tuple[np.ndarray, np.ndarray]:
    """Label 0: a bright upper half; label 1: noise; some cells unknown."""
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (N, 2)).astype(np.float32)
    pixels = rng.integers(0, 90, (N, SIZE, SIZE)).astype(np.uint8)
    pixels[targets[:, 0] == 1, :8] += 120
    targets[::9, 1] = np.nan
    return pixels, targets


def settings(**changes: object) -> Settings:
    base = {"epochs": 5, "patience": 9, "learning_rate": 3e-3, "train_batch_size": 8, "patch_dropout": 0.5, "seed": 3}
    return Settings.model_validate(base | changes)


def start() -> Head:
    return Head(np.full((2, DIM), 0.1, np.float32), np.zeros(2, np.float32))


def fine_tune(
    model: ImageTower,
    head: Head,
    pixels: np.ndarray,
    targets: np.ndarray,
    rows: np.ndarray,
    given: Settings,
    work: Path,
    report: Callable[[int, int], None],
) -> tuple[Head, list[dict[str, float]]]:
    loss = make_loss("plain", targets[rows])
    run = TrainingRun(given, given.seed, work, report, "")
    return finetune.fine_tune(model, head, loss, TrainingData(pixels, targets, rows, VAL), run)


def train(
    work: Path,
    given: Settings,
    report: Callable[[int, int], None] = lambda done, total: None,
    model: ImageTower | None = None,
) -> tuple[ImageTower, Head, list[dict[str, float]]]:
    model = model or tower()
    head, curve = fine_tune(model, start(), *data(), TRAIN, given, work, report)
    return model, head, curve


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def same(one: ImageTower, other: ImageTower) -> bool:
    pairs = zip(one.visual.state_dict().items(), other.visual.state_dict().items(), strict=True)
    return all(a == b and torch.equal(x, y) for (a, x), (b, y) in pairs)


class Killed(BaseException):
    """A kill, as far as Python can play one."""


@pytest.mark.parametrize("at", [1, 5, 9, 14, 20])  # a step of epoch 1, 2, 3, 4 and the last
def test_killed_and_resumed_is_the_uninterrupted_run(tmp_path: Path, at: int) -> None:
    whole = train(tmp_path / "whole", settings())

    def kill(done: int, total: int) -> None:
        assert total == 20
        if done == at:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "cut", settings(), kill)
    torch.rand(7)  # whatever else the process drew
    seen: list[int] = []
    resumed = train(tmp_path / "cut", settings(), lambda done, total: seen.append(done))
    assert same(whole[0], resumed[0])
    np.testing.assert_array_equal(whole[1].weight, resumed[1].weight)
    np.testing.assert_array_equal(whole[1].bias, resumed[1].bias)
    assert whole[2] == resumed[2]
    assert seen[0] == (at - 1) // 4 * 4 + 1  # from the last whole epoch, not from the start


def test_a_kill_between_the_two_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train(tmp_path / "whole", settings())
    real, saved = save_checkpoint, []

    def kill(path: Path, *rest: object) -> None:
        if path.name == "last.safetensors" and "best.safetensors" in saved[1:] and len(saved) > 2:
            raise Killed  # best is written, last is not yet
        saved.append(path.name)
        real(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "save_checkpoint", kill)
    with pytest.raises(Killed):
        train(tmp_path / "cut", settings())
    monkeypatch.undo()
    resumed = train(tmp_path / "cut", settings())
    assert same(whole[0], resumed[0])
    assert whole[2] == resumed[2]


def test_a_finished_training_is_not_trained_on(tmp_path: Path) -> None:
    once = train(tmp_path, settings())
    again = train(tmp_path, settings())
    assert same(once[0], again[0])
    assert once[2] == again[2]


def test_it_learns_and_the_best_epoch_is_kept(tmp_path: Path) -> None:
    model, head, curve = train(tmp_path, settings(epochs=8))
    assert [point["epoch"] for point in curve] == list(range(9))
    losses = [point["val_loss"] for point in curve]
    assert min(losses) < 0.97 * losses[0]
    pixels, targets = data()
    logits = torch.from_numpy(head.logits(model.embed(pixels[VAL], 64)))
    y = torch.from_numpy(targets[VAL])
    known = ~y.isnan()
    kept = functional.binary_cross_entropy_with_logits(logits[known], y[known]).item()
    assert kept == pytest.approx(min(losses), rel=1e-4)
    assert isinstance(model.visual.trunk.patch_drop, nn.Identity)  # type: ignore[union-attr]
    assert not model.visual.training
    rates = [point["learning_rate"] for point in curve[1:]]
    assert rates == sorted(rates, reverse=True)


def test_a_training_that_only_harms_keeps_its_start_and_stops_early(tmp_path: Path) -> None:
    before = tower()
    harmful = settings(epochs=30, patience=2, learning_rate=10.0, head_learning_rate=10.0)
    model, head, curve = train(tmp_path, harmful)
    best = int(np.argmin([point["val_loss"] for point in curve]))
    assert len(curve) == best + 3  # patience 2 beyond the best, and no epoch more
    if best == 0:
        assert same(before, model)
        np.testing.assert_array_equal(head.weight, start().weight)


def test_unknown_cells_and_test_rows_have_no_say(tmp_path: Path) -> None:
    pixels, targets = data()
    losses = []
    for i, unknown in enumerate((np.nan, 0.0)):
        other = targets.copy()
        other[np.isnan(targets)] = unknown
        model = tower()
        _, curve = fine_tune(model, start(), pixels, other, TRAIN, settings(epochs=1), tmp_path / f"{i}", quiet)
        losses.append(curve[0]["val_loss"])
    assert losses[0] != losses[1]
    fewer = TRAIN[:24]
    changed = pixels.copy()
    changed[24:32] = 255 - changed[24:32]  # rows in no split
    one = fine_tune(tower(), start(), pixels, targets, fewer, settings(epochs=1), tmp_path / "a", quiet)
    two = fine_tune(tower(), start(), changed, targets, fewer, settings(epochs=1), tmp_path / "b", quiet)
    np.testing.assert_array_equal(one[0].weight, two[0].weight)


def quiet(done: int, total: int) -> None:
    assert 0 <= done <= total


def test_nothing_known_in_a_split_is_no_crash(tmp_path: Path) -> None:
    pixels, targets = data()
    targets[TRAIN] = np.nan
    _, curve = fine_tune(tower(), start(), pixels, targets, TRAIN, settings(epochs=1), tmp_path, quiet)
    assert np.isfinite(curve[-1]["train_loss"])


def test_the_schedule_warms_up_and_ends_at_nothing() -> None:
    rates = [finetune._schedule(step, 100) for step in range(100)]
    assert rates[9] == pytest.approx(1)
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 <= rates[-1] < 0.01
    assert finetune._schedule(0, 1) == 1


def test_each_layer_moves_less_than_the_next_and_vectors_do_not_decay(clip: Clip) -> None:
    copy = deepcopy(clip.tower)
    model = finetune.Classifier(copy, Head(np.zeros((2, copy.dim), np.float32), np.zeros(2, np.float32)))
    given = settings(learning_rate=1e-4, head_learning_rate=1e-2, layer_decay=0.5, weight_decay=0.1)
    of = {
        id(parameter): (group["peak"], group["weight_decay"])
        for group in finetune.parameter_groups(model, given)
        for parameter in group["params"]
    }
    assert len(of) == len([*model.parameters()]), "every weight is in one group"
    trunk = copy.visual.trunk
    depth = len(trunk.blocks)
    for i, block in enumerate(trunk.blocks):
        rate = 1e-4 * 0.5 ** (depth - 1 - i)  # timm counts the last norm to the last block
        assert of[id(block.attn.qkv.weight)] == (pytest.approx(rate), 0.1)
        assert of[id(block.norm1.weight)] == (pytest.approx(rate), 0.0)
    assert of[id(trunk.patch_embed.proj.weight)] == (pytest.approx(1e-4 * 0.5**depth), 0.1)
    assert of[id(trunk.norm.weight)] == (pytest.approx(1e-4), 0.0)
    assert of[id(copy.visual.head.proj.weight)] == (pytest.approx(1e-4), 0.1)
    assert of[id(model.head.weight)] == (pytest.approx(1e-2), 0.1)
    assert of[id(model.head.bias)] == (pytest.approx(1e-2), 0.0)


def test_another_seed_is_another_training(tmp_path: Path) -> None:
    one, two = (train(tmp_path / str(seed), settings(seed=seed, epochs=1)) for seed in (3, 4))
    assert one[2][0] == two[2][0], "the start is the same"
    assert not same(one[0], two[0])


def test_augmentation_is_small_and_never_mirrors() -> None:
    torch.manual_seed(0)
    film = torch.full((64, 32, 32), 20.0)
    film[:, 8:24, 20:28] = 230  # something on one side only
    moved = finetune._augment(film)
    assert moved.shape == film.shape
    assert (moved >= 0).all()
    assert (moved <= 255).all()
    assert (moved[:, :, 16:].mean(dim=(1, 2)) > moved[:, :, :16].mean(dim=(1, 2)) + 20).all()
    assert (moved[0] != moved[1]).any()


def test_a_checkpoint_is_exact_and_no_pickle(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)

    def step() -> None:
        optimizer.zero_grad()
        model(torch.ones(1, 3)).pow(2).sum().backward()
        optimizer.step()

    step()
    save_checkpoint(tmp_path / "c.safetensors", model, optimizer, {"epoch": 1})
    assert b"pickle" not in (tmp_path / "c.safetensors").read_bytes()
    step()
    expected = model.weight.detach().clone()
    with torch.no_grad():
        model.weight.zero_()
    step()
    assert load_checkpoint(tmp_path / "c.safetensors", model, optimizer) == {"epoch": 1}
    step()
    assert torch.equal(model.weight, expected)
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]
