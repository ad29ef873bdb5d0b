"""Grad-CAM of one film for 14 labels: on cached tokens and the last block, beside pytorch-grad-cam on the whole model.

A ViT-B/16 of BiomedCLIP's size with random weights. Ours includes the one pass that makes the tokens; a second
measurement is what a further regime of the same encoder costs, once they are there.
"""

from __future__ import annotations

import time

import numpy as np
import torch

import explorer.model  # noqa: F401  (first: it lets torchvision be imported)
from benchmarks import Measurement
from explorer.data.geometry import Fit
from explorer.model.encoder import ImageTower, TowerConfig
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import Whole, read_tokens

from open_clip.model import _build_vision_tower  # isort: skip
from pytorch_grad_cam import GradCAM  # isort: skip
from pytorch_grad_cam.utils.image import scale_cam_image  # isort: skip
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget  # isort: skip

LABELS, DIM, SIDE = 14, 512, 224


def run(repeats: int) -> list[Measurement]:
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    vision = {"timm_model_name": "vit_base_patch16_224", "timm_pool": "", "timm_proj": "linear", "image_size": SIDE}
    config = TowerConfig(
        embed_dim=DIM, vision_cfg=vision, quick_gelu=False, fit=Fit(size=SIDE), mean=(0.5,) * 3, std=(0.25,) * 3
    )
    tower = ImageTower(_build_vision_tower(DIM, vision, False), config, torch.device("cpu"))
    pixels = rng.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)
    weight = (rng.normal(size=(LABELS, DIM)) * 5).astype(np.float32)
    bias = np.zeros(LABELS, np.float32)
    whole = Whole(tower, read_tokens(tower, pixels), weight, bias)
    for parameter in whole.parameters():
        parameter.requires_grad_()  # as a plain model has them
    inputs = tower.normalise(torch.from_numpy(pixels)[None])

    first, further, baseline = [], [], []
    for _ in range(repeats):
        start = time.perf_counter()
        tokens = read_tokens(tower, pixels)
        seen = time.perf_counter()
        ours = explain(tower, tokens, weight, bias).maps[:, 0]
        end = time.perf_counter()
        first.append(end - start)
        further.append(end - seen)

        start = time.perf_counter()
        cam = GradCAM(model=whole, target_layers=[whole.trunk.blocks[-1].norm1], reshape_transform=whole.fold)
        theirs = np.concatenate([cam(inputs, [ClassifierOutputTarget(k)]) for k in range(LABELS)])
        baseline.append(time.perf_counter() - start)
        cam.activations_and_grads.release()

        ours = scale_cam_image(scale_cam_image(ours, (SIDE, SIDE)))
        np.testing.assert_allclose(ours, theirs, atol=1e-4)  # the same maps, or the times mean nothing
    size = f"ViT-B/16, {LABELS} labels, 1 film; maps equal to 1e-4"
    against = "pytorch-grad-cam, whole model"
    return [
        Measurement("gradcam: first regime", "tokens, then the last block", against, first, baseline, size),
        Measurement("gradcam: further regime", "the last block on cached tokens", against, further, baseline, size),
    ]
