"""Prompts reach the text tower as words."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from explorer.data.labels import CHEXPERT_LABELS
from explorer.errors import UserError
from explorer.model.encoder import load_clip
from precompute.prompts import DEFAULT_PROMPTS, Prompts, read_prompts
from precompute.training.zero_shot import embed_prompts
from tests.conftest import ENCODER

DEMO = ENCODER


def test_every_prompt_has_a_direction_of_its_own() -> None:
    clip = load_clip(f"local-dir:{DEMO}", torch.device("cpu"))
    positive, negative = embed_prompts(clip, read_prompts(DEFAULT_PROMPTS, CHEXPERT_LABELS).labels)
    assert np.allclose(np.linalg.norm(positive, axis=1), 1, atol=1e-5)
    alike = positive @ positive.T - np.eye(len(positive))
    assert alike.max() < 0.9999  # labels the encoder has not learnt lie close, but none on another
    assert (positive * negative).sum(axis=1).max() < 0.9999


def test_a_vocabulary_that_does_not_know_the_words_is_told(tmp_path: Path) -> None:
    folder = shutil.copytree(DEMO, tmp_path / "encoder")
    words = (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
    special = [word if word.startswith("[") else f"unusable{i}" for i, word in enumerate(words) if word]
    (folder / "vocab.txt").write_text("\n".join(special), encoding="utf-8")
    (folder / "tokenizer.json").unlink()
    clip = load_clip(f"local-dir:{folder}", torch.device("cpu"))
    with pytest.raises(UserError, match="the same tokens"):
        embed_prompts(clip, {"Edema": Prompts(("edema",), ("normal",))})
