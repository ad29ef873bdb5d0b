"""What can be asked of a saliency map, and when one says nothing. No torch: pages list the methods without a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MethodName = Literal["grad_cam", "grad_cam_pp", "layer_cam", "eigen_cam", "score_cam", "attention", "rollout"]

FLAT = 0.05
"""A map whose lowest value is within this share of its highest singles nothing out."""


@dataclass(frozen=True)
class SaliencyMethod:
    """A way to make maps.

    Attributes
    ----------
    by_label : bool
        Whether the map depends on the label asked about.
    layer : str
        What the chosen block means to it.
    source : str
    """

    title: str
    by_label: bool
    layer: str
    source: str


METHODS: dict[MethodName, SaliencyMethod] = {
    "grad_cam": SaliencyMethod("Grad-CAM", True, "at block {}", "Selvaraju et al., ICCV 2017"),
    "grad_cam_pp": SaliencyMethod("Grad-CAM++", True, "at block {}", "Chattopadhay et al., WACV 2018"),
    "layer_cam": SaliencyMethod("LayerCAM", True, "at block {}", "Jiang et al., TIP 2021"),
    "eigen_cam": SaliencyMethod("EigenCAM", False, "at block {}", "Muhammad & Yeasin, IJCNN 2020"),
    "score_cam": SaliencyMethod("ScoreCAM", True, "at block {}", "Wang et al., CVPRW 2020"),
    "attention": SaliencyMethod(
        "Gradient-weighted attention rollout",
        True,
        "from block {} to the last",
        "Generic Attention Explainability, Chefer et al., ICCV 2021",
    ),
    "rollout": SaliencyMethod(
        "Attention rollout", False, "from the first block to block {}", "Abnar & Zuidema, ACL 2020"
    ),
}


@dataclass(frozen=True)
class Saliency:
    """Maps over the model's patch grid.

    Attributes
    ----------
    maps : (K, B, g, g) float32
        Evidence for each of K head rows at each of B blocks. It is 0 or more, never rescaled, and all 0 where there is
        none.
    logits : (K,) float32
    """

    maps: NDArray[np.float32]
    logits: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        return self.maps.nbytes + self.logits.nbytes


def silence(grid: NDArray[np.float32]) -> Literal["zero", "flat"] | None:
    """Why a map singles nothing out, or None where it does.

    Examples
    --------
    >>> silence(np.zeros((2, 2))), silence(np.ones((2, 2))), silence(np.eye(2))
    ('zero', 'flat', None)
    """
    if grid.max() <= 0:
        return "zero"
    return "flat" if grid.min() >= (1 - FLAT) * grid.max() else None
