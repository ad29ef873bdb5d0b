"""Tests of maps: the figures by hand, a model that is known to pass, one that is known to fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from explorer.analysis import sanity
from explorer.model.randomised import with_random_blocks
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import read_tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def test_a_rolled_map_has_the_same_values_at_least_a_quarter_away() -> None:
    grid = np.zeros((8, 8), np.float32)
    grid[3, 3] = 1
    rng = np.random.default_rng(0)
    places = set()
    for _ in range(300):
        rolled = sanity.roll_elsewhere(grid, rng)
        assert sorted(rolled.ravel()) == sorted(grid.ravel())
        places.add(tuple(int(place[0]) for place in np.nonzero(rolled)))
    near = {(row, column) for row in (2, 3, 4) for column in (2, 3, 4)}
    assert places == {(row, column) for row in range(8) for column in range(8)} - near


def test_equal_patches_come_in_random_order() -> None:
    grid = np.array([[0, 0, 0], [0, 5, 0], [0, 0, 7]], np.float32)
    orders = [sanity.descending(grid, np.random.default_rng(seed)).tolist() for seed in range(20)]
    assert all(order[:2] == [8, 4] for order in orders)
    assert len({order[2] for order in orders}) > 3


Gains = dict[tuple[str, str], float]
WINS: Gains = {(check, opponent): 0.5 for check in sanity.MOVES for opponent in (sanity.ROLLED, sanity.OTHER_FILM)}


def checks(random: float, gains: Gains, spread: float = 0.05, draws: tuple[float, ...] = (0.0,)) -> pd.DataFrame:
    """Thirty patients' checks of one regime, with noise that a patient's figures share."""
    rng = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = []
    for row in range(30):
        noise = spread * rng.normal()
        for i, step in enumerate(sanity.RANDOM_STEPS):
            share = i / (len(sanity.RANDOM_STEPS) - 1)
            for draw, shift in enumerate(draws):
                value = 1 - share * (1 - random - shift) + noise * share
                rows.append((row, row, "A", "r", "randomisation", step, draw, value))
        rows += [(row, row, "A", "r", check, step, 0, gain + noise) for (check, step), gain in gains.items()]
    return pd.DataFrame(rows, columns=["patient", "row", "label", "regime", "check", "step", "draw", "value"])


@pytest.mark.parametrize(
    ("random", "changed", "light", "words"),
    [
        (0.1, {}, "green", "another film's"),
        (0.9, {}, "red", "stays alike with random weights"),  # the film, not the model
        (0.5, {}, "orange", "follows the weights is not shown"),
        (0.1, {("deletion", sanity.ROLLED): 0.0}, "orange", "than elsewhere: shown by insertion alone"),
        (0.1, {("deletion", sanity.OTHER_FILM): 0.0, ("insertion", sanity.OTHER_FILM): 0.0}, "orange", "not shown"),
        (0.1, {("deletion", sanity.ROLLED): -0.3}, "red", "shown by insertion and contradicted by deletion"),
    ],
)
def test_the_verdict_follows_the_figures(random: float, changed: Gains, light: str, words: str) -> None:
    shown = sanity.verdict(sanity.summarise_checks(checks(random, WINS | changed)), "r")
    assert shown.light == light
    assert words in "; ".join(shown.claims)


def test_without_another_film_nothing_is_claimed_of_it() -> None:
    alone = {key: gain for key, gain in WINS.items() if key[1] == sanity.ROLLED}
    shown = sanity.verdict(sanity.summarise_checks(checks(0.1, alone)), "r")
    assert shown.light == "orange"
    assert shown.claims[-1].startswith("no other film")


def test_few_films_conclude_nothing() -> None:
    frame = checks(0.1, WINS)
    assert sanity.verdict(sanity.summarise_checks(frame[frame["row"] < 4]), "r").light == "orange"
    assert sanity.verdict(sanity.summarise_checks(frame[frame["row"] < 5]), "r").light == "green"


def test_a_verdict_rests_on_checks_of_every_regime() -> None:
    summary = sanity.summarise_checks(checks(0.1, WINS))
    assert sanity.is_complete(summary, ["r"])
    assert not sanity.is_complete(summary, ["r", "another"])
    assert not sanity.is_complete(summary[summary["check"] != "randomisation"], ["r"])


def test_the_ceiling_says_whether_the_check_can_tell() -> None:
    ceiling = {("deletion", sanity.REGION): 0.4, ("insertion", sanity.REGION): 0.0}
    summary = sanity.summarise_checks(checks(0.1, WINS | ceiling))
    assert sanity.ceiling_shown(summary, "r") == {"deletion": True, "insertion": False}
    assert sanity.ceiling_shown(sanity.summarise_checks(checks(0.1, WINS)), "r") == {}


def test_what_is_detectable_is_shown_in_four_of_five_samples() -> None:
    rng = np.random.default_rng(1)
    n, spread = 30, 1.0
    reach = 2.0452 * spread / np.sqrt(n)  # t(.975) of 29 degrees
    gain = sanity.detectable(-reach, reach, n)
    samples = rng.normal(gain, spread, (4000, n))
    lower = samples.mean(axis=1) - 2.0452 * samples.std(axis=1, ddof=1) / np.sqrt(n)
    assert (lower > 0).mean() == pytest.approx(0.8, abs=0.03)


def test_intervals_are_over_patients_and_span_all_draws() -> None:
    frame = checks(0.1, WINS, spread=0.3, draws=(-0.2, 0.0, 0.2))
    summary = sanity.summarise_checks(frame).set_index(["check", "step"])
    part = frame[(frame["check"] == "deletion") & (frame["step"] == sanity.ROLLED)]["value"]
    row = summary.loc[("deletion", sanity.ROLLED)]
    assert row["value"] == pytest.approx(part.mean())
    assert row["ci_high"] - row["ci_low"] == pytest.approx(2 * 2.05 * part.std() / np.sqrt(30), rel=0.3)
    random = summary.loc[("randomisation", "everything")]
    assert (random["n"], random["n_patients"], random["n_draws"]) == (30, 30, 3)
    width = random["ci_high"] - random["ci_low"]
    assert width == pytest.approx(0.4 + 2 * 2.05 * part.std() / np.sqrt(30), rel=0.15)
    one = sanity.summarise_checks(frame.assign(patient=0))
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


def test_with_every_block_what_comes_before_them_is_random_too(clip: Clip) -> None:
    trunk, depth = clip.tower.visual.trunk, 12
    before = {"patch_embed.proj.weight", "cls_token", "pos_embed"}
    for blocks, expected in ((depth - 1, set()), (depth, before)):
        ours = with_random_blocks(clip.tower, blocks, seed=1).visual.trunk
        pairs = zip(trunk.named_parameters(), ours.parameters(), strict=True)  # type: ignore[operator, union-attr]
        changed = {name for (name, a), b in pairs if not np.array_equal(a.detach(), b.detach())}
        assert changed & before == expected
        assert any(name.startswith(f"blocks.{depth - blocks}.") for name in changed)
    draws = [with_random_blocks(clip.tower, depth, seed).visual.trunk.cls_token for seed in (1, 2)]  # type: ignore[union-attr]
    assert not np.array_equal(*(draw.detach() for draw in draws))  # type: ignore[operator]


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


# --- occlusion -------------------------------------------------------------------------------------------------------


def box(left: int, top: int, wide: int, tall: int, side: int = 28) -> NDArray[np.bool_]:
    region = np.zeros((side, side), bool)
    region[top : top + tall, left : left + wide] = True
    return region


WHOLE = np.ones((28, 28), bool)


def test_the_equal_region_is_the_mirror_image_where_it_fits() -> None:
    rng = np.random.default_rng(0)
    masks, mirrored = sanity.equal_regions(box(2, 5, 6, 4), WHOLE, rng, 3)
    assert mirrored
    np.testing.assert_array_equal(masks, [box(20, 5, 6, 4)])
    film = WHOLE.copy()
    film[:, 24:] = False  # the mirror image would leave the film
    masks, mirrored = sanity.equal_regions(box(2, 5, 6, 4), film, rng, 3)
    assert (len(masks), mirrored) == (3, False)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 20), st.integers(1, 20), st.integers(0, 9))
def test_equal_regions_have_the_shape_and_touch_neither_the_region_nor_the_rim(
    left: int, top: int, wide: int, tall: int, rim: int
) -> None:
    film = box(rim, 0, 28 - 2 * rim, 28)
    region = box(left, top, wide, tall) & film
    if not region.any():
        return
    masks, mirrored = sanity.equal_regions(region, film, np.random.default_rng(0), 3)
    assert len(masks) == 1 if mirrored else len(masks) <= 3
    for mask in masks:
        assert mask.sum() == region.sum()
        assert not (mask & region).any()
        assert not (mask & ~film).any()
    if region.sum() > film.sum() / 2:
        assert not len(masks), "an equal region has no room"


def test_sign_flips_are_fair_and_see_what_is_there() -> None:
    rng = np.random.default_rng(0)
    patients = np.repeat(np.arange(20), 2)  # two films of a patient share their noise

    def p(mean: float) -> float:
        return sanity.sign_flip_p(mean + rng.normal(size=20)[patients] + 0.1 * rng.normal(size=40), patients, 499)

    assert np.mean([p(0.0) < 0.05 for _ in range(400)]) == pytest.approx(0.05, abs=0.033)  # 3 standard errors
    assert np.mean([p(1.0) < 0.05 for _ in range(100)]) > 0.9
    assert sanity.sign_flip_p(np.ones(5), np.arange(5)) == pytest.approx(2 / 2**5, abs=0.01)


def occluded(regime: str, gaps: NDArray[np.float64], mirrored: int) -> pd.DataFrame:
    rows = [
        (i, i, "A", regime, sanity.OCCLUSION, step, 0, value)
        for i, gap in enumerate(gaps)
        for step, value in (
            (sanity.AT_REGION, gap + 0.1),
            (sanity.ELSEWHERE, 0.1),
            (sanity.GAP, gap),
            (sanity.MIRRORED, float(i < mirrored)),
        )
    ]
    return pd.DataFrame(rows, columns=["patient", "row", "label", "regime", "check", "step", "draw", "value"])


def test_a_regime_that_uses_the_region_is_told_from_one_that_does_not() -> None:
    noise = np.random.default_rng(0).normal(scale=0.5, size=40)
    noise -= noise.mean()
    frame = pd.concat([occluded("uses", noise + 1, 30), occluded("blind", noise, 30), occluded("few", noise[:4], 0)])
    table = sanity.occlusion(frame, sanity.summarise_checks(frame), ["uses", "blind", "few", "absent"])
    assert table["regime"].tolist() == ["uses", "blind", "few"]
    assert table["n"].tolist() == [40, 40, 4]
    assert table["mirrored"].tolist() == [30, 30, 0]
    np.testing.assert_allclose(table["gap"], [1, 0, noise[:4].mean()], atol=1e-12)
    np.testing.assert_allclose(table["at_region"] - table["elsewhere"], table["gap"], atol=1e-12)
    assert table["p_adjusted"].isna().tolist() == [False, False, True]
    words = [sanity.region_use(*pair) for pair in table[["gap", "p_adjusted"]].to_numpy()]
    assert words == ["shown", "not shown", "too few to say"]
    assert sanity.region_use(-1.0, 0.001) == "contradicted"
    reach = 1.96 * noise.std(ddof=1) / np.sqrt(40)
    assert table.at[0, "ci_low"] == pytest.approx(1 - reach, abs=0.06)
    assert sanity.occlusion(frame[frame["step"] != sanity.GAP], sanity.summarise_checks(frame[:0]), ["uses"]).empty
