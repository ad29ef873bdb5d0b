"""From a film through a model and back: what the model used lies where it was on the film."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

import explorer.model  # noqa: F401  (torchvision, which timm imports, can be imported after it)
from explorer.data.geometry import Fit
from explorer.figures import overlay
from explorer.model.encoder import ImageTower, TowerConfig
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import read_tokens

from timm.models.vision_transformer import VisionTransformer  # isort: skip

NONE = pd.DataFrame(columns=["x", "y", "w", "h", "polygon", "colour"])


class BrightnessTower(nn.Module):
    """A vision transformer of one block whose logit is how many patches are bright, and nothing else.

    A patch's token is (I, -I, 0, …), CLS is (0, 0, 1, -1, 0, …); attention is even and passes values on, so CLS gathers
    the brightness of all patches in channel 0. Black patches have the token 0: they hold no evidence at all.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.trunk = VisionTransformer(img_size=size, patch_size=16, embed_dim=8, depth=1, num_heads=1, num_classes=0)
        self.head = nn.Identity()
        trunk, block = self.trunk, self.trunk.blocks[0]
        with torch.no_grad():
            for weight in (*trunk.patch_embed.parameters(), *block.attn.parameters(), *block.mlp.parameters()):
                weight.zero_()
            trunk.pos_embed.zero_()
            trunk.cls_token.copy_(torch.tensor([0, 0, 1.0, -1, 0, 0, 0, 0]))
            trunk.patch_embed.proj.weight[0] = 1 / (3 * 16 * 16)
            trunk.patch_embed.proj.weight[1] = -1 / (3 * 16 * 16)
            block.attn.qkv.weight[16:] = torch.eye(8)
            block.attn.proj.weight.copy_(torch.eye(8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(x))


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize(
    ("width", "height", "x", "y", "w", "h"),
    [
        (500, 300, 150, 60, 45, 45),  # wide: left and right are cropped away
        (300, 500, 180, 300, 45, 60),  # tall: top and bottom
        (2048, 2500, 1300, 700, 300, 260),  # a real film's size
        (512, 512, 64, 400, 64, 64),
    ],
)
def test_the_only_evidence_is_found_where_it_is(
    mode: str, width: int, height: int, x: int, y: int, w: int, h: int
) -> None:
    fit = Fit(size=224, resize_mode=mode)  # type: ignore[arg-type]
    config = TowerConfig(
        embed_dim=8, vision_cfg={}, quick_gelu=False, fit=fit, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    tower = ImageTower(BrightnessTower(224), config, torch.device("cpu"))
    pixels = np.zeros((height, width), np.uint8)
    pixels[y : y + h, x : x + w] = 255
    head = np.eye(1, 8, dtype=np.float32)
    tokens = read_tokens(tower, fit.apply(Image.fromarray(pixels)))
    grid = explain(tower, tokens, head, np.zeros(1, np.float32)).maps[0, 0]
    film = fit.to_film(grid, height, width)

    seen = fit.window(height, width)
    across, down = seen[2] / 14, seen[3] / 14  # one patch, in film pixels
    row, col = np.unravel_index(np.nanargmax(film), film.shape)
    assert x - across / 2 <= col <= x + w + across / 2
    assert y - down / 2 <= row <= y + h + down / 2
    rows, cols = np.nonzero(np.nan_to_num(film) > 0.5 * np.nanmax(film))
    # its middle is the square's, within half a patch: a shift by one patch or one crop offset would fail
    assert (cols.min() + cols.max() + 1) / 2 == pytest.approx(x + w / 2, abs=across / 2)
    assert (rows.min() + rows.max() + 1) / 2 == pytest.approx(y + h / 2, abs=down / 2)
    far = np.ones_like(film, dtype=bool)
    far[max(0, int(y - 2 * down)) : int(y + h + 2 * down), max(0, int(x - 2 * across)) : int(x + w + 2 * across)] = (
        False
    )
    assert np.nanmax(film[far], initial=0) == 0, "no evidence elsewhere"

    picture = np.asarray(
        overlay.compose(overlay.to_canvas(Image.fromarray(pixels), 900), grid, seen, NONE, overlay.MapStyle())
    )
    scale = picture.shape[1] / width
    coloured = np.ptp(picture.astype(int), axis=2) > 20
    rows, cols = np.nonzero(coloured)
    assert cols.mean() / scale == pytest.approx(x + w / 2, abs=across)
    assert rows.mean() / scale == pytest.approx(y + h / 2, abs=down)


def test_a_tint_keeps_every_grey() -> None:
    film = Image.fromarray(np.full((80, 80), 128, np.uint8))
    grid = np.linspace(0, 1, 16, dtype=np.float32).reshape(4, 4)
    look = overlay.MapStyle(colours="tint", opacity=0.5, contour=0)
    picture = overlay.compose(overlay.to_canvas(film, 80), grid, (0, 0, 80, 80), NONE, look)
    assert np.ptp(np.asarray(picture).astype(int), axis=2).max() > 60, "it is coloured"
    assert np.abs(np.asarray(picture.convert("L")).astype(int) - 128).max() <= 1
    heat = overlay.compose(overlay.to_canvas(film, 80), grid, (0, 0, 80, 80), NONE, overlay.MapStyle("heat", 0.5, 0))
    assert np.abs(np.asarray(heat.convert("L")).astype(int) - 128).max() > 20
    plain = overlay.compose(overlay.to_canvas(film, 80), grid, (0, 0, 80, 80), NONE, overlay.MapStyle("none", 0.5, 0))
    assert (np.asarray(plain) == 128).all()


def test_what_the_model_did_not_see_is_hatched_not_coloured() -> None:
    film = Image.fromarray(np.full((100, 200), 128, np.uint8))
    picture = overlay.compose(
        overlay.to_canvas(film, 200), np.ones((4, 4), np.float32), (50, 0, 100, 100), NONE, overlay.MapStyle(contour=0)
    )
    pixels = np.asarray(picture).astype(int)
    outside = np.concatenate([pixels[:, :50], pixels[:, 150:]], axis=1)
    assert (np.ptp(outside, axis=2) == 0).all()
    assert set(np.unique(outside)) == {44, 128}, "stripes over the film"
    assert (np.ptp(pixels[:, 52:148], axis=2) > 50).all()


def test_a_contour_runs_where_the_map_reaches_its_share() -> None:
    film = Image.fromarray(np.zeros((140, 140), np.uint8))
    grid = np.zeros((14, 14), np.float32)
    grid[:, 7:] = 1
    look = overlay.MapStyle(colours="none", contour=0.5)
    pixels = np.asarray(overlay.compose(overlay.to_canvas(film, 140), grid, (0, 0, 140, 140), NONE, look))
    lit = np.flatnonzero(pixels[70].sum(axis=1))
    assert lit.tolist() == [70, 139], "the step and the film's edge, and nothing between"


def test_readers_are_told_apart_and_lie_where_they_marked() -> None:
    film = Image.fromarray(np.zeros((200, 100), np.uint8))
    marked = pd.DataFrame(
        {
            "x": [10.0, 50.0],
            "y": [20.0, 100.0],
            "w": [20.0, 30.0],
            "h": [40.0, 50.0],
            "polygon": [None, np.array([50.0, 100, 80, 100, 80, 150])],
            "colour": ["#ffe600", "#00e6ff"],
        }
    )
    pixels = np.asarray(
        overlay.compose(overlay.to_canvas(film, 200), None, (0, 0, 100, 200), marked, overlay.MapStyle())
    )
    assert tuple(pixels[20, 20]) == (255, 230, 0)
    assert tuple(pixels[100, 65]) == (0, 230, 255)
    assert pixels[40, 20].sum() == 0
