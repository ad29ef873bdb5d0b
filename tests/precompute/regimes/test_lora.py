"""LoRA changes attention weights and the head alone, starts as the probe, and merges without a trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from explorer.data.geometry import Fit
from explorer.errors import UserError
from explorer.model.encoder import ImageTower, TowerConfig
from explorer.model.head import Head
from precompute.regimes.lora import _groups, low_rank, merge
from precompute.settings import Settings
from precompute.training.data import TrainingData, TrainingRun
from precompute.training.finetune import fine_tune
from precompute.training.losses import make_loss

from timm.models.vision_transformer import VisionTransformer  # isort: skip  (explorer.model lets torchvision be imported)

SIZE, DIM, N = 16, 6, 48
TRAIN, VAL = np.arange(32), np.arange(32, 48)
CONFIG = TowerConfig(
    embed_dim=DIM, vision_cfg={}, quick_gelu=False, fit=Fit(size=SIZE), mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25)
)


class Visual(nn.Module):
    """timm's ViT of two blocks, with a projection."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = VisionTransformer(SIZE, 8, embed_dim=8, depth=2, num_heads=2, num_classes=0)
        self.head = nn.Linear(8, DIM)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(x))


class WithMultiheadAttention(nn.Module):
    """open_clip's form of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.attn(x, x, x, need_weights=False)[0]


def tower() -> ImageTower:
    torch.manual_seed(0)
    return ImageTower(Visual(), CONFIG, torch.device("cpu"))


def moved(visual: nn.Module) -> None:
    """Give the changes some size, as training would."""
    with torch.no_grad():
        for parameter in visual.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.3)


@pytest.mark.parametrize(
    ("make", "inputs", "matrices"),
    [
        (Visual, torch.randn(3, 3, SIZE, SIZE), 2 * ((24 + 8) + (8 + 8))),
        (WithMultiheadAttention, torch.randn(3, 5, 8), (24 + 8) + (8 + 8)),
    ],
)
def test_changes_start_at_nothing_and_merge_exactly(make: type[nn.Module], inputs: torch.Tensor, matrices: int) -> None:
    visual = make().eval()
    names, before = set(visual.state_dict()), visual(inputs)
    low_rank(visual, 3)
    torch.testing.assert_close(visual(inputs), before)
    assert sum(p.numel() for p in visual.parameters() if p.requires_grad) == 3 * matrices
    moved(visual)
    changed = visual(inputs)
    assert not torch.allclose(changed, before)
    merge(visual)
    assert set(visual.state_dict()) == names, "the tower is as it was, with other numbers"
    torch.testing.assert_close(visual(inputs), changed)


def test_a_tower_without_attention_is_refused() -> None:
    with pytest.raises(UserError, match="attention weights, of which this image tower has none"):
        low_rank(nn.Sequential(nn.Conv2d(3, 4, 3)), 4)


def test_training_moves_the_attention_and_the_head_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 2, (N, 2)).astype(np.float32)
    pixels = rng.integers(0, 90, (N, SIZE, SIZE)).astype(np.uint8)
    pixels[targets[:, 0] == 1, :8] += 120
    model = tower()
    before = {name: tensor.clone() for name, tensor in model.visual.state_dict().items()}
    low_rank(model.visual, 2)
    given = Settings(epochs=4, patience=9, learning_rate=3e-3, train_batch_size=8, seed=3)
    run = TrainingRun(given, 3, tmp_path, lambda done, total: None, "")
    start = Head(np.full((2, DIM), 0.1, np.float32), np.zeros(2, np.float32))
    data = TrainingData(pixels, targets, TRAIN, VAL)
    head, curve = fine_tune(model, start, make_loss("plain", targets[TRAIN]), data, run, _groups(5.0))
    merge(model.visual)
    assert min(point["val_loss"] for point in curve) < curve[0]["val_loss"]
    assert not np.allclose(head.weight, start.weight)
    after = model.visual.state_dict()
    assert set(after) == set(before)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"trunk.blocks.{b}.attn.{part}.weight" for b in (0, 1) for part in ("qkv", "proj")}
    for name in changed:
        assert torch.linalg.matrix_rank(after[name] - before[name], rtol=1e-4) <= 2
