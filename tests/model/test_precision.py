"""bfloat16: near float32, the same in batches, alone and from the store, and never what is trained or saved."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from explorer.data.saliency_map import MethodName
from explorer.model.device import multiplies_bfloat16
from explorer.model.encoder import ImageTower, PrecisionCheck
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import read_tokens
from explorer.store.scores import BFLOAT16

if TYPE_CHECKING:
    from explorer.model.encoder import Clip

CHECK = PrecisionCheck(films=2, cosine=0.9999, moved=0.0, by="rank correlation")


@pytest.fixture(scope="module")
def films(clip: Clip) -> np.ndarray:
    """Dark fields, each with a bright block of its own."""
    size = clip.tower.fit.size
    films = np.random.default_rng(0).integers(0, 60, (2, size, size), dtype=np.uint8)
    for i, film in enumerate(films):
        film[size * i // 2 : size * (i + 1) // 2, size // 4 : size * 3 // 4] = 220
    return films


@pytest.fixture(scope="module")
def lower(clip: Clip) -> ImageTower:
    return clip.tower.at("bfloat16", CHECK)


def test_embeddings_in_bfloat16_are_near_those_in_float32(clip: Clip, lower: ImageTower, films: np.ndarray) -> None:
    full, half = clip.tower.embed(films, 4), lower.embed(films, 4)
    assert half.dtype == np.float32
    cosine = (full * half).sum(axis=1)
    assert 0.999 <= cosine.min() < 1 - 1e-7, "near, and not the same"
    one_by_one = np.concatenate([lower.embed(film[None], 1) for film in films])
    assert np.linalg.norm(one_by_one - half, axis=1).max() <= BFLOAT16


def test_texts_in_bfloat16_are_near_those_in_float32(clip: Clip) -> None:
    texts = ["edema", "there is no pleural effusion"]
    cosine = (clip.embed_text(texts) * clip.at("bfloat16").embed_text(texts)).sum(axis=1)
    assert 0.999 <= cosine.min() < 1 - 1e-7


def test_the_weights_stay_in_float32_and_the_store_keeps_the_precision(
    lower: ImageTower, films: np.ndarray, tmp_path: Path
) -> None:
    embedded = lower.embed(films, 4)
    assert {weight.dtype for weight in lower.visual.parameters()} == {torch.float32}
    lower.save(tmp_path)
    again = ImageTower.load(tmp_path)
    assert again.config == lower.config
    assert again.config.precision_check == CHECK
    np.testing.assert_array_equal(again.embed(films, 4), embedded)


def test_a_config_in_float32_reads_as_it_always_did(clip: Clip) -> None:
    assert not {"precision", "precision_check"} & set(clip.tower.config.model_dump())


def test_a_tower_asked_for_again_has_the_weights_as_they_now_are(lower: ImageTower, films: np.ndarray) -> None:
    tower = ImageTower(copy.deepcopy(lower.visual), lower.config, lower.device)
    before = tower.embed(films[:1], 1)
    with torch.no_grad():
        for weight in tower.visual.parameters():
            weight.mul_(1.1)
    np.testing.assert_array_equal(tower.embed(films[:1], 1), before)
    assert np.abs(tower.at("bfloat16").embed(films[:1], 1) - before).max() > 1e-3
    assert np.abs(tower.at("float32").embed(films[:1], 1) - before).max() > 1e-3


@pytest.mark.parametrize("method", ["grad_cam", "attention", "rollout"])
def test_maps_explain_the_logit_in_bfloat16(
    clip: Clip, lower: ImageTower, films: np.ndarray, method: MethodName
) -> None:
    weight = np.random.default_rng(1).normal(size=(1, clip.tower.dim)).astype(np.float32) * 5
    bias = np.zeros(1, np.float32)
    made = explain(lower, read_tokens(lower, films[1]), weight, bias, method)
    stored = lower.embed(films[1:], 1)[0] @ weight[0]
    assert abs(made.logits[0] - stored) <= BFLOAT16 * np.linalg.norm(weight)
    expected = explain(clip.tower, read_tokens(clip.tower, films[1]), weight, bias, method)
    assert np.corrcoef(made.maps.ravel(), expected.maps.ravel())[0, 1] > 0.9


def test_a_processor_has_bfloat16_or_it_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for avx512, amx in ((False, False), (True, False), (False, True)):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx512=avx512: avx512)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        assert multiplies_bfloat16(torch.device("cpu")) == (avx512 or amx)
