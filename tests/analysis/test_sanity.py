"""Tests of maps: the figures by hand, a model that is known to pass, one that is known to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from explorer.analysis import sanity
from explorer.model.randomised import with_random_blocks
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import read_tokens

if TYPE_CHECKING:
    from explorer.model.encoder import Clip


def test_similarity_is_spearmans_and_nothing_resembles_a_constant() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random((2, 14, 14)).astype(np.float32)
    assert sanity.similarity(one, other) == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert sanity.similarity(one, np.exp(3 * one)) == pytest.approx(1)
    assert sanity.similarity(one, -one) == pytest.approx(-1)
    assert sanity.similarity(one, np.zeros_like(one)) == 0


def test_patches_are_taken_in_order_from_none_to_all() -> None:
    taken = sanity.patch_steps(np.array([3, 0, 2, 1]), 2)
    assert taken.astype(int).tolist() == [[0, 0, 0, 0], [1, 0, 0, 1], [1, 1, 1, 1]]
    assert sanity.patch_steps(np.arange(196), 10).sum(axis=1).tolist() == [
        0,
        20,
        39,
        59,
        78,
        98,
        118,
        137,
        157,
        176,
        196,
    ]


def test_area_by_hand() -> None:
    assert sanity.area_under(np.array([0, 1, 1], np.float32)) == pytest.approx(0.75)


def proof(random: float, deletion: float, insertion: float, spread: float = 0.05) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for row in range(30):
        noise = spread * rng.normal()
        for i, step in enumerate(sanity.RANDOM_STEPS):
            share = i / (len(sanity.RANDOM_STEPS) - 1)
            rows.append((row, row, "A", "r", "randomisation", step, 1 - share * (1 - random) + noise * share))
        rows.append((row, row, "A", "r", "deletion", "", deletion + noise))
        rows.append((row, row, "A", "r", "insertion", "", insertion + noise))
    return pd.DataFrame(rows, columns=["patient", "row", "label", "regime", "check", "step", "value"])


@pytest.mark.parametrize(
    ("given", "light"),
    [
        ({"random": 0.1, "deletion": 0.5, "insertion": 0.5}, "green"),
        ({"random": 0.9, "deletion": 0.5, "insertion": 0.5}, "red"),  # the film, not the model
        ({"random": 0.1, "deletion": 0.0, "insertion": -0.3}, "red"),  # no better than lot
        ({"random": 0.1, "deletion": 0.0, "insertion": 0.5}, "orange"),
        ({"random": 0.5, "deletion": 0.5, "insertion": 0.5}, "orange"),
    ],
)
def test_the_light_follows_the_figures(given: dict[str, float], light: str) -> None:
    summary = sanity.summarise_proof(proof(**given))
    shown, sentence = sanity.traffic_light(summary, "r")
    assert shown == light
    assert f"ρ = {summary[summary['step'] == 'every block']['value'].iloc[0]:.2f} [" in sentence
    assert "n = 30" in sentence
    assert "wordings" not in sentence


def test_few_films_conclude_nothing() -> None:
    frame = proof(0.1, 0.5, 0.5)
    assert sanity.traffic_light(sanity.summarise_proof(frame[frame["row"] < 4]), "r")[0] == "orange"
    assert sanity.traffic_light(sanity.summarise_proof(frame[frame["row"] < 5]), "r")[0] == "green"


def test_intervals_are_over_patients() -> None:
    frame = proof(0.1, 0.5, 0.5, spread=0.3)
    summary = sanity.summarise_proof(frame).set_index(["check", "step"])
    part = frame[frame["check"] == "deletion"]["value"]
    row = summary.loc[("deletion", "")]
    assert row["value"] == pytest.approx(part.mean())
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * 2.05 * part.std() / np.sqrt(30), rel=0.3)
    one = sanity.summarise_proof(frame.assign(patient=0))
    assert one["ci_low"].isna().all()


def test_random_layers_are_random_from_the_head_down_and_repeat(clip: Clip) -> None:
    tower = with_random_blocks(clip.tower, 2, seed=0)
    blocks, ours = clip.tower.visual.trunk.blocks, tower.visual.trunk.blocks  # type: ignore[union-attr]
    changed = [
        not np.array_equal(a.attn.qkv.weight.detach(), b.attn.qkv.weight.detach())
        for a, b in zip(blocks, ours, strict=True)  # type: ignore[arg-type]
    ]
    assert changed == [False] * 10 + [True] * 2
    again = with_random_blocks(clip.tower, 2, seed=0)
    film = np.random.default_rng(0).integers(0, 256, (224, 224), dtype=np.uint8)
    np.testing.assert_array_equal(tower.embed(film[None], 1), again.embed(film[None], 1))
    assert abs(float(tower.embed(film[None], 1)[0] @ clip.tower.embed(film[None], 1)[0])) < 0.5


def test_a_map_of_the_film_alone_survives_randomisation_and_grad_cam_does_not(clip: Clip) -> None:
    """The test tells them apart: EigenCAM of the first block sees the same input whatever the last blocks hold."""
    rng = np.random.default_rng(0)
    film = rng.integers(0, 60, (224, 224), dtype=np.uint8)
    film[56:112, 112:168] = 220
    head = rng.normal(size=(1, clip.tower.dim)).astype(np.float32), np.zeros(1, np.float32)
    random = with_random_blocks(clip.tower, 4, seed=0)
    alike = {}
    for method, block in (("eigen_cam", 0), ("grad_cam", -1)):
        maps = [
            explain(tower, read_tokens(tower, film), *head, method=method, blocks=[block]).maps[0, 0]  # type: ignore[arg-type]
            for tower in (clip.tower, random)
        ]
        alike[method] = sanity.similarity(*maps)
    assert alike["eigen_cam"] == pytest.approx(1)
    assert alike["grad_cam"] < 0.9
