"""Saliency maps: the library's own, not zero, on the right label, and computed without touching anyone else's model."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from explorer.data.saliency_map import METHODS, silence
from explorer.errors import UserError
from explorer.model.encoder import ImageTower
from explorer.model.saliency.grad_cam import explain, plus_plus_weights
from explorer.model.saliency.tokens import Tail, Tokens, read_tokens

if TYPE_CHECKING:
    from explorer.model.encoder import Clip

Head = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def film(clip: Clip) -> np.ndarray:
    """A dark field with a bright block: something to look at."""
    size = clip.tower.fit.size
    film = np.random.default_rng(0).integers(0, 60, (size, size), dtype=np.uint8)
    film[size // 4 : size // 2, size // 2 : size * 3 // 4] = 220
    return film


@pytest.fixture(scope="module")
def tokens(clip: Clip, film: np.ndarray) -> Tokens:
    return read_tokens(clip.tower, film)


@pytest.fixture(scope="module")
def head(clip: Clip) -> Head:
    rng = np.random.default_rng(1)
    return rng.normal(size=(2, clip.tower.dim)).astype(np.float32) * 5, rng.normal(size=2).astype(np.float32)


def by_the_library(
    clip: Clip, film: np.ndarray, head: Head, name: str, blocks: list[int], targets: int = 2
) -> list[np.ndarray]:
    """pytorch-grad-cam as its documentation shows it for a ViT, on the whole model, one label at a time; 0..1."""
    import pytorch_grad_cam  # after explorer.model, which lets torchvision be imported
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    tower = clip.tower
    side = tower.visual.trunk.patch_embed.grid_size[0]  # type: ignore[union-attr,index]

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = tower.visual

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            embedded = nn.functional.normalize(self.visual(x), dim=-1)
            return embedded @ torch.from_numpy(head[0]).T + torch.from_numpy(head[1])

    def fold(t: torch.Tensor) -> torch.Tensor:
        return t[:, 1:].reshape(len(t), side, side, -1).permute(0, 3, 1, 2)

    inputs = tower.normalise(torch.from_numpy(film)[None])
    layers = [tower.visual.trunk.blocks[block].norm1 for block in blocks]  # type: ignore[union-attr,index]
    kind = getattr(pytorch_grad_cam, name)
    with kind(model=Model(), target_layers=layers, reshape_transform=fold) as cam:
        return [cam(input_tensor=inputs, targets=[ClassifierOutputTarget(k)])[0] for k in range(targets)]


def stretched(grid: np.ndarray, size: int) -> np.ndarray:
    from pytorch_grad_cam.utils.image import scale_cam_image

    return scale_cam_image(scale_cam_image(grid[None], (size, size)))[0]


LIBRARY = {"grad_cam": "GradCAM", "layer_cam": "LayerCAM", "eigen_cam": "EigenCAM"}


@pytest.mark.parametrize("block", [-1, 0])
@pytest.mark.parametrize("method", LIBRARY)
def test_a_map_is_the_librarys_up_to_its_scale(
    clip: Clip, film: np.ndarray, tokens: Tokens, head: Head, method: str, block: int
) -> None:
    ours = explain(clip.tower, tokens, *head, method=method, blocks=[block])  # type: ignore[arg-type]
    theirs = by_the_library(clip, film, head, LIBRARY[method], [block])
    assert ours.maps.shape == (2, 1, 14, 14)
    assert (ours.maps >= 0).all()
    assert (ours.maps > 0).any(axis=(1, 2, 3)).sum() >= 1  # CLS pooling would leave nothing at a later layer
    for k in range(2):
        np.testing.assert_allclose(stretched(ours.maps[k, 0], 224), theirs[k], atol=1e-4)


def the_librarys_plus_plus(activations: np.ndarray, gradients: np.ndarray) -> np.ndarray:
    from pytorch_grad_cam import GradCAMPlusPlus

    return GradCAMPlusPlus.get_cam_weights(None, None, None, None, activations, gradients)


@given(st.integers(0, 2**32 - 1))
def test_plus_plus_weights_are_the_librarys_on_rectified_activations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    activations = np.maximum(rng.normal(size=(2, 3, 4, 4)), 0)
    gradients = rng.normal(size=(2, 3, 4, 4))
    gradients[np.abs(gradients) < 0.1] = 0  # what the library adds to the denominator is then below 5e-5 of it
    expected = the_librarys_plus_plus(activations, gradients)
    np.testing.assert_allclose(plus_plus_weights(activations, gradients), expected, rtol=1e-4)


def captured(clip: Clip, tokens: Tokens, head: Head, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Activations and gradients (K, D, g, g) of a block's ``norm1``, as pytorch-grad-cam hands them on."""
    before = tokens.before[block].expand(len(head[0]), -1, -1).clone().requires_grad_()
    tail = Tail(clip.tower, tokens, block, *head)
    kept: list[torch.Tensor] = []
    handle = tail.trunk.blocks[block].norm1.register_forward_hook(lambda _m, _i, out: kept.append(out))
    logits = tail(before)
    handle.remove()
    (gradient,) = torch.autograd.grad(logits.diagonal().sum(), kept[0])
    return tail.fold(kept[0]).detach().double().numpy(), tail.fold(gradient).double().numpy()


@pytest.mark.parametrize("block", [-1, 0])
def test_plus_plus_is_as_sure_as_its_inputs(clip: Clip, tokens: Tokens, head: Head, block: int) -> None:
    """Rounding differs with the batch, the processor and its threads; a map must not blow it up.

    An error e of all inputs changes each weight by at most ``e (1 + p S / 2)``, where S is the sum of absolute
    activations. Each product of a weight with an activation changes by e more; a map is a sum of such products.
    """
    activations, gradients = captured(clip, tokens, head, range(12)[block])
    steepest = np.maximum(gradients, 0).max(axis=(2, 3))  # (K, D)
    error = 1e-6
    loss = error * (2 + steepest * np.abs(activations).sum(axis=(2, 3)) / 2)

    def weighted(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
        return (weights[:, :, None, None] * values).sum(axis=1)  # (K, g, g)

    weights = plus_plus_weights(activations, gradients)
    bound = 1.01 * weighted(weights * loss, np.abs(activations))
    still = weighted(weights, activations)
    worst = 0.0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        a, g = (x * (1 + error * rng.uniform(-1, 1, x.shape)) for x in (activations, gradients))
        assert (np.abs(weighted(plus_plus_weights(a, g), a) - still) <= bound).all()
        worst = max(worst, np.abs(weighted(plus_plus_weights(a, g), a) - still).max() / still.max())
    assert worst < 1e-5


def test_score_cam_is_the_librarys(clip: Clip, film: np.ndarray, head: Head) -> None:
    """On the encoder's first three blocks: the library runs the whole model once for each channel."""
    cut = deepcopy(clip)
    cut.tower.visual.trunk.blocks = cut.tower.visual.trunk.blocks[:3]  # type: ignore[union-attr,index]
    ours = explain(cut.tower, read_tokens(cut.tower, film), head[0][:1], head[1][:1], method="score_cam")
    theirs = by_the_library(cut, film, head, "ScoreCAM", [-1], targets=1)[0]
    np.testing.assert_allclose(stretched(ours.maps[0, 0], 224), theirs, atol=1e-3)


def test_one_backward_pass_gives_every_block(clip: Clip, tokens: Tokens, head: Head) -> None:
    blocks = list(range(len(tokens.before)))
    strip = explain(clip.tower, tokens, *head, blocks=blocks).maps
    for block in (0, 5, blocks[-1]):
        alone = explain(clip.tower, tokens, *head, blocks=[block]).maps[:, 0]
        np.testing.assert_allclose(strip[:, block], alone, atol=1e-6 + 1e-4 * alone.max())


def attention_by_hand(clip: Clip, film: np.ndarray, weight: np.ndarray) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Every block's attention (heads, T, T) and its gradient for one logit, from q and k of the model's own layers."""
    visual = clip.tower.visual
    found: list[torch.Tensor] = []
    x = visual.trunk.norm_pre(
        visual.trunk._pos_embed(visual.trunk.patch_embed(clip.tower.normalise(torch.from_numpy(film)[None])))
    )  # type: ignore[union-attr,operator]
    for block in visual.trunk.blocks:  # type: ignore[union-attr]
        y = block.norm1(x)
        q, k, v = block.attn.qkv(y).reshape(1, y.shape[1], 3, block.attn.num_heads, -1).permute(2, 0, 3, 1, 4)
        attention = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
        attention.retain_grad()
        found.append(attention)
        x = x + block.attn.proj((attention @ v).transpose(1, 2).reshape(y.shape))
        x = x + block.mlp(block.norm2(x))
    embedded = nn.functional.normalize(visual.head(visual.trunk.norm(x)[:, 0]), dim=-1)  # type: ignore[union-attr,operator]
    (embedded[0] @ torch.from_numpy(weight)).backward()
    return [a[0].detach().numpy() for a in found], [a.grad[0].numpy() for a in found]  # type: ignore[index]


@pytest.mark.parametrize("start", [-1, -3])
def test_gradient_attention_follows_its_equations(
    clip: Clip, film: np.ndarray, tokens: Tokens, head: Head, start: int
) -> None:
    attention, gradient = attention_by_hand(clip, film, head[0][1])
    relevance = np.eye(attention[0].shape[-1])
    for a, g in zip(attention[start:], gradient[start:], strict=True):
        relevance = relevance + np.maximum(a * g, 0).mean(0) @ relevance
    ours = explain(clip.tower, tokens, *head, method="attention", blocks=[start]).maps[1, 0]
    expected = relevance[0, 1:].reshape(14, 14)
    np.testing.assert_allclose(ours, expected, atol=1e-3 * expected.max())


def test_rollout_follows_its_equation_and_asks_no_label(
    clip: Clip, film: np.ndarray, tokens: Tokens, head: Head
) -> None:
    attention, _ = attention_by_hand(clip, film, head[0][0])
    flow = np.eye(attention[0].shape[-1])
    for a in attention:
        flow = (a.mean(0) + np.eye(len(flow))) / 2 @ flow
    ours = explain(clip.tower, tokens, *head, method="rollout").maps
    np.testing.assert_allclose(ours[0, 0], flow[0, 1:].reshape(14, 14), atol=1e-5)
    np.testing.assert_array_equal(ours[0], ours[1])


@pytest.mark.parametrize("method", [m for m in METHODS if m != "score_cam"])
def test_a_label_asked_alone_or_among_others_is_the_same(clip: Clip, tokens: Tokens, head: Head, method: str) -> None:
    together = explain(clip.tower, tokens, *head, method=method).maps  # type: ignore[arg-type]
    assert np.isfinite(together).all()
    for k in (1, 0):
        alone = explain(clip.tower, tokens, head[0][k : k + 1], head[1][k : k + 1], method=method).maps[0]  # type: ignore[arg-type]
        np.testing.assert_allclose(alone, together[k], atol=1e-6 + 1e-4 * together[k].max())


def test_logits_are_the_heads(clip: Clip, film: np.ndarray, tokens: Tokens, head: Head) -> None:
    expected = clip.tower.embed(film[None], 1)[0] @ head[0].T + head[1]
    np.testing.assert_allclose(explain(clip.tower, tokens, *head).logits, expected, atol=1e-4)


def test_the_map_keeps_its_units(clip: Clip, tokens: Tokens, head: Head) -> None:
    one = explain(clip.tower, tokens, *head).maps
    tripled = explain(clip.tower, tokens, head[0] * 3, head[1]).maps
    np.testing.assert_allclose(tripled, one * 3, rtol=1e-3, atol=1e-7)
    np.testing.assert_array_equal(explain(clip.tower, tokens, head[0] * 0, head[1]).maps, 0)
    np.testing.assert_allclose(explain(clip.tower, tokens, head[0], head[1] + 9).maps, one, rtol=1e-4, atol=1e-7)


def test_evidence_for_and_against_lie_apart(clip: Clip, tokens: Tokens, head: Head) -> None:
    against = explain(clip.tower, tokens, -head[0], -head[1]).maps
    both = np.minimum(explain(clip.tower, tokens, *head).maps, against)
    np.testing.assert_array_equal(both, 0)
    assert against.max() > 0


def test_the_tower_is_left_as_it_was(clip: Clip, film: np.ndarray, tokens: Tokens, head: Head) -> None:
    """Another visitor may be using it at the same moment: no hook, flag or gradient may reach it."""
    before = clip.tower.embed(film[None], 1)
    for method in ("grad_cam", "attention", "rollout"):
        explain(clip.tower, tokens, *head, method=method)  # type: ignore[arg-type]
    for module in clip.tower.visual.modules():
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    assert clip.tower.visual.trunk.blocks[-1].attn.fused_attn  # type: ignore[union-attr,index]
    assert all(weight.requires_grad for weight in clip.tower.visual.parameters())
    np.testing.assert_array_equal(clip.tower.embed(film[None], 1), before)


def test_another_kind_of_tower_is_told(clip: Clip, film: np.ndarray) -> None:
    other = ImageTower(nn.Flatten(), clip.tower.config, torch.device("cpu"))
    with pytest.raises(UserError, match="ViT"):
        read_tokens(other, film)


def test_a_map_that_says_nothing_is_known(clip: Clip, tokens: Tokens, head: Head) -> None:
    assert silence(explain(clip.tower, tokens, head[0][:1] * 0, head[1][:1]).maps[0, 0]) == "zero"
    assert silence(np.full((14, 14), 3.0, np.float32)) == "flat"
    nearly = np.full((14, 14), 0.96, np.float32)
    nearly[0, 0] = 1
    assert silence(nearly) == "flat"
    nearly[1, 1] = 0.9
    assert silence(nearly) is None
