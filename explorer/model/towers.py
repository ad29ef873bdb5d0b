"""What fine-tuning asks of an image tower, for each family of them: layers, and patches to drop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from open_clip.modified_resnet import ModifiedResNet
from open_clip.transformer import PatchDropout as OpenClipPatchDropout
from open_clip.transformer import VisionTransformer as OpenClipViT
from timm.layers.patch_dropout import PatchDropout, PatchDropoutWithIndices
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from explorer.errors import UserError

_LAST = (99999,)
"""The layer after all blocks, as timm spells it."""
_LAYERS: dict[type[nn.Module], dict[str, Any]] = {
    OpenClipViT: {
        "stem": r"^(?:conv1|class_embedding|positional_embedding|ln_pre)",
        "blocks": [(r"^transformer\.resblocks\.(\d+)", None), (r"^(?:ln_post|attn_pool|proj)", _LAST)],
    },
    ModifiedResNet: {"stem": r"^(?:conv|bn)\d", "blocks": [(r"^layer(\d+)", None), (r"^attnpool", _LAST)]},
}
"""open_clip's own towers, which do not say it themselves; in the form of timm's ``group_matcher``."""


def layered(visual: nn.Module) -> nn.Module:
    """The part of a tower that has layers, with the ``group_matcher`` by which timm orders them.

    Without one, timm takes all parameters for one layer, and only logs that rates by layer then do nothing.

    Raises
    ------
    UserError
        Where nothing states the tower's layers.
    """
    trunk: Any = getattr(visual, "trunk", visual)
    if not hasattr(trunk, "group_matcher"):
        layers = _LAYERS.get(type(trunk))
        if layers is None:
            raise UserError(
                f"The layers of this image tower ({type(trunk).__name__}) are not known, so rates cannot follow them.",
                "Use an encoder of a family in docs/encoders.md.",
            )
        trunk.group_matcher = lambda coarse: layers
    part: nn.Module = trunk
    return part


def check_patch_dropout(visual: nn.Module, share: float) -> None:
    """Refuse a tower without patch tokens that could be left out."""
    if share:
        _patch_dropout(visual, share)


@contextmanager
def patches_dropped(visual: nn.Module, share: float) -> Iterator[None]:
    """While training, leave out a random share of patches (FLIP, Li et al., CVPR 2023); prefix tokens stay.

    Raises
    ------
    UserError
        As :func:`check_patch_dropout`.
    """
    if not share:
        yield
        return
    owner, name, dropout = _patch_dropout(visual, share)
    before = getattr(owner, name)
    setattr(owner, name, dropout)
    try:
        yield
    finally:
        setattr(owner, name, before)


def _patch_dropout(visual: nn.Module, share: float) -> tuple[Any, str, nn.Module]:
    """Where a tower keeps its patch dropout, and one of that share."""
    trunk: Any = getattr(visual, "trunk", visual)
    if isinstance(trunk, OpenClipViT):
        return trunk, "patch_dropout", OpenClipPatchDropout(share)
    if isinstance(trunk, VisionTransformer):
        return trunk, "patch_drop", PatchDropout(share, num_prefix_tokens=trunk.num_prefix_tokens)
    if isinstance(trunk, Eva):
        return trunk, "patch_drop", PatchDropoutWithIndices(share, num_prefix_tokens=trunk.num_prefix_tokens)
    raise UserError(
        f"This image tower ({type(trunk).__name__}) has no patch tokens to drop.",
        "Leave --patch-dropout out, or use a vision transformer; see docs/encoders.md.",
    )
