"""Grad-CAM: the library's own map, not zero, and on the right label."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from torch import nn

from explorer.errors import UserError
from explorer.model.encoder import ImageTower
from explorer.model.saliency import grad_cam

if TYPE_CHECKING:
    from explorer.model.encoder import Clip


@pytest.fixture(scope="module")
def film(clip: Clip) -> np.ndarray:
    """A dark field with a bright block: something to look at."""
    size = clip.tower.fit.size
    film = np.random.default_rng(0).integers(0, 60, (size, size), dtype=np.uint8)
    film[size // 4 : size // 2, size // 2 : size * 3 // 4] = 220
    return film


@pytest.fixture(scope="module")
def head(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(2, clip.tower.dim)).astype(np.float32) * 5, rng.normal(size=2).astype(np.float32)


def by_the_library(clip: Clip, film: np.ndarray, weight: np.ndarray, bias: np.ndarray, block: int) -> np.ndarray:
    """pytorch-grad-cam as its documentation shows it for a ViT, one label at a time; scaled to 0..1."""
    from pytorch_grad_cam import GradCAM  # after explorer.model, which lets torchvision be imported
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    tower = clip.tower
    side = tower.visual.trunk.patch_embed.grid_size[0]  # type: ignore[union-attr,index]

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = tower.visual

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            embedded = nn.functional.normalize(self.visual(x), dim=-1)
            return embedded @ torch.from_numpy(weight).T + torch.from_numpy(bias)

    def fold(t: torch.Tensor) -> torch.Tensor:
        return t[:, 1:].reshape(len(t), side, side, -1).permute(0, 3, 1, 2)

    inputs = tower.normalise(torch.from_numpy(film)[None])
    layer = tower.visual.trunk.blocks[block].norm1  # type: ignore[union-attr,index]
    with GradCAM(model=Model(), target_layers=[layer], reshape_transform=fold) as cam:
        maps = [cam(input_tensor=inputs, targets=[ClassifierOutputTarget(k)])[0] for k in range(len(weight))]
    return np.stack(maps)


@pytest.mark.parametrize("block", [-1, 0])
def test_the_map_is_the_librarys_up_to_its_scale(
    clip: Clip, film: np.ndarray, head: tuple[np.ndarray, np.ndarray], block: int
) -> None:
    from pytorch_grad_cam.utils.image import scale_cam_image

    ours = grad_cam(clip.tower, film, *head, block=block)
    theirs = by_the_library(clip, film, *head, block=block)
    assert ours.maps.shape[0] == 2
    assert (ours.maps >= 0).all()
    assert (ours.maps > 0).any(axis=(1, 2)).sum() >= 1  # CLS pooling would leave nothing at a later layer
    for k in range(2):
        stretched = scale_cam_image(scale_cam_image(ours.maps[k : k + 1], theirs[k].shape[::-1]))[0]
        np.testing.assert_allclose(stretched, theirs[k], atol=1e-3)


def test_logits_are_the_heads(clip: Clip, film: np.ndarray, head: tuple[np.ndarray, np.ndarray]) -> None:
    found = grad_cam(clip.tower, film, *head)
    expected = clip.tower.embed(film[None], 1)[0] @ head[0].T + head[1]
    np.testing.assert_allclose(found.logits, expected, atol=1e-4)


def test_a_label_asked_alone_or_among_others_is_the_same(
    clip: Clip, film: np.ndarray, head: tuple[np.ndarray, np.ndarray]
) -> None:
    together = grad_cam(clip.tower, film, *head).maps
    for k in (1, 0):
        alone = grad_cam(clip.tower, film, head[0][k : k + 1], head[1][k : k + 1]).maps[0]
        np.testing.assert_allclose(alone, together[k], atol=1e-6 + 1e-4 * together[k].max())


def test_the_map_keeps_its_units(clip: Clip, film: np.ndarray, head: tuple[np.ndarray, np.ndarray]) -> None:
    one = grad_cam(clip.tower, film, *head).maps
    np.testing.assert_allclose(grad_cam(clip.tower, film, head[0] * 3, head[1]).maps, one * 3, rtol=1e-3, atol=1e-7)
    np.testing.assert_array_equal(grad_cam(clip.tower, film, head[0] * 0, head[1]).maps, 0)
    np.testing.assert_allclose(grad_cam(clip.tower, film, head[0], head[1] + 9).maps, one, rtol=1e-4, atol=1e-7)


def test_the_tower_is_left_as_it_was(clip: Clip, film: np.ndarray, head: tuple[np.ndarray, np.ndarray]) -> None:
    before = clip.tower.embed(film[None], 1)
    layer = clip.tower.visual.trunk.blocks[-1].norm1  # type: ignore[union-attr,index]
    hooks = len(layer._forward_hooks)
    grad_cam(clip.tower, film, *head)
    assert len(layer._forward_hooks) == hooks
    assert not clip.tower.visual.training
    np.testing.assert_array_equal(clip.tower.embed(film[None], 1), before)


def test_another_kind_of_tower_is_told(clip: Clip, film: np.ndarray, head: tuple[np.ndarray, np.ndarray]) -> None:
    other = ImageTower(nn.Flatten(), clip.tower.config, torch.device("cpu"))
    with pytest.raises(UserError, match="ViT"):
        grad_cam(other, film, *head)
