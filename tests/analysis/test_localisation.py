"""Agreement of maps with marks: values by hand, scikit-learn as the oracle, and honest baselines."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, jaccard_score

from explorer.analysis import localisation as loc
from explorer.data.regions import consensus, grid_size, inside_polygon, reader_masks

POINTING, ENERGY, IOU, DICE, AP = range(5)


def test_every_figure_by_hand() -> None:
    values = np.array([[0, 1, 4], [0, 2, 3]], np.float32)
    region = np.array([[0, 0, 1], [0, 1, 0]], bool)
    scores = loc.score_map(values, region, 0.5)
    assert scores[POINTING] == 1  # the 4 lies inside
    assert scores[ENERGY] == pytest.approx(6 / 10)
    # 2, 3 and 4 reach half of the maximum: two of them inside, and nothing inside is left out
    assert scores[IOU] == pytest.approx(2 / 3)
    assert scores[DICE] == pytest.approx(4 / 5)
    assert scores[AP] == pytest.approx((1 / 1 + 2 / 3) / 2)


def test_a_shared_maximum_points_in_part() -> None:
    values = np.array([[5, 5, 5, 0]], np.float32)
    assert loc.score_map(values, np.array([[True, False, False, False]]), 0.5)[POINTING] == pytest.approx(1 / 3)


def test_what_the_model_never_saw_is_missed() -> None:
    values = np.array([[np.nan, np.nan, 1, 2]], np.float32)
    scores = loc.score_map(values, np.array([[True, True, False, False]]), 0.5)
    assert scores[:4].tolist() == [0, 0, 0, 0]
    assert scores[AP] == pytest.approx(0.5)  # all that is left, tied, after everything else: 2 of 4


def test_a_map_of_zeros_scores_nothing_and_no_threshold_no_overlap() -> None:
    region = np.array([[True, False]])
    assert loc.score_map(np.zeros((1, 2), np.float32), region, 0.5).tolist() == [0, 0, 0, 0, 0]
    scores = loc.score_map(np.ones((1, 2), np.float32), region, np.nan)
    assert np.isnan(scores[[IOU, DICE]]).all()
    assert np.isfinite(scores[[POINTING, ENERGY, AP]]).all()


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(2, 12), st.sampled_from([0.1, 0.5, 0.9]))
def test_scikit_learn_agrees(seed: int, height: int, width: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, (height, width)).astype(np.float32)  # many ties
    region = rng.random((height, width)) < 0.3
    region[rng.integers(height), rng.integers(width)] = True
    values[0, 0] += 1
    scores = loc.score_map(values, region, share)
    called = values >= share * values.max()
    assert scores[AP] == pytest.approx(average_precision_score(region.ravel(), values.ravel()))
    assert scores[IOU] == pytest.approx(jaccard_score(region.ravel(), called.ravel()))
    assert scores[DICE] == pytest.approx(2 * scores[IOU] / (1 + scores[IOU]))
    assert loc.score_iou(values, region, share) == pytest.approx(scores[IOU])


def test_random_is_what_even_noise_reaches() -> None:
    rng = np.random.default_rng(0)
    region = np.zeros((30, 30), bool)
    region[5:15, 5:20] = True
    drawn = [loc.score_map(rng.random((30, 30)).astype(np.float32), region, np.nan) for _ in range(2000)]
    expected = loc.score_random(region)
    np.testing.assert_allclose(
        np.mean(drawn, axis=0)[[POINTING, ENERGY, AP]], expected[[POINTING, ENERGY, AP]], atol=0.02
    )
    everything = loc.score_map(np.ones((30, 30), np.float32), region, 0.5)
    np.testing.assert_allclose(everything[[IOU, DICE]], expected[[IOU, DICE]])


def test_priors_lie_where_they_say() -> None:
    centre = loc.centre_prior(100, 60)
    assert centre.shape == (100, 60)
    assert np.unravel_index(centre.argmax(), centre.shape) in {(49, 29), (50, 30), (49, 30), (50, 29)}
    lung = loc.lung_prior(100, 100)
    assert lung[47, 30] == lung[47, 70] == 1
    assert lung[47, 50] == lung[5, 30] == lung[95, 70] == 0
    np.testing.assert_array_equal(lung, lung[:, ::-1])


def test_thresholds_are_each_labels_own_where_there_are_films_enough() -> None:
    best_low, best_high = np.zeros(len(loc.SHARES)), np.zeros(len(loc.SHARES))
    best_low[1], best_high[15] = 1, 1
    chosen = loc.choose_shares(["A"] * 5 + ["B"] * 4, np.stack([best_low] * 5 + [best_high] * 4))
    assert chosen == {"A": pytest.approx(0.10), loc.ALL: pytest.approx(0.10)}
    assert loc.choose_shares([], np.zeros((0, len(loc.SHARES)))) == {}


def frame(values: dict[str, list[float]], patients: list[int]) -> pd.DataFrame:
    rows = []
    for source, mine in values.items():
        for row, value in enumerate(mine):
            scores = dict.fromkeys(loc.METRICS, value)
            rows.append(
                {"patient": patients[row], "row": row, "label": "A", "source": source, "silent": False, **scores}
            )
    return pd.DataFrame(rows)


def test_means_have_intervals_over_patients_and_paired_gains() -> None:
    rng = np.random.default_rng(0)
    prior = rng.random(40)
    values = {loc.CENTRE: prior.tolist(), "ours": (prior + 0.05).tolist(), "worse": (prior - 0.05).tolist()}
    table = loc.summarise_localisation(frame(values, list(range(40))))
    one = table[(table["label"] == "A") & (table["metric"] == "energy")].set_index("source")
    assert one.loc["ours", "value"] == pytest.approx(prior.mean() + 0.05)
    assert one.loc["ours", "ci_low"] < prior.mean() < one.loc["ours", "ci_high"]
    # the films differ widely, the gain does not: pairing must show it
    assert one.loc["ours", "gain_low"] == pytest.approx(0.05)
    assert one.loc["worse", "gain_high"] == pytest.approx(-0.05)
    assert one.loc[loc.CENTRE, "gain"] == 0
    spread = one.loc["ours", "ci_high"] - one.loc["ours", "ci_low"]
    assert spread == pytest.approx(2 * 1.96 * prior.std() / np.sqrt(40), rel=0.25)


def test_one_patient_has_no_interval() -> None:
    table = loc.summarise_localisation(frame({loc.CENTRE: [0.1, 0.2], "ours": [0.3, 0.4]}, [7, 7]))
    assert table["ci_low"].isna().all()
    assert table[table["source"] == "ours"]["value"].iloc[0] == pytest.approx(0.35)


def test_a_source_missing_on_some_films_is_compared_on_its_own() -> None:
    values = frame({loc.CENTRE: [0.0, 1.0, 0.0], "ours": [0.5, 0.5, 0.5]}, [0, 1, 2])
    values = values[~((values["source"] == "ours") & (values["row"] == 1))]
    table = loc.summarise_localisation(values)
    ours = table[(table["source"] == "ours") & (table["label"] == "A")].iloc[0]
    assert ours["n"] == 2
    assert ours["gain"] == pytest.approx(0.5), "the film it lacks is left out of the prior, too"


# --- whether it is there at all ---------------------------------------------------------------------------------------


def readings(*found: tuple[str, str]) -> pd.DataFrame:
    """A film an entry: its label, and a reader a sign; + marked twice, - found nothing."""
    rows = [
        (film, label, f"R{i}", x)
        for film, (label, signs) in enumerate(found)
        for i, sign in enumerate(signs)
        for x in ([1.0, 2.0] if sign == "+" else [np.nan])
    ]
    return pd.DataFrame(rows, columns=["row", "label", "annotator", "x"])


def test_agreement_on_presence_by_hand() -> None:
    """Of three readers' three pairs on each film 3, 1, 3 and 1 agree; half of all readings say that it is there."""
    table = loc.presence(readings(("A", "+++"), ("A", "++-"), ("A", "---"), ("A", "+--"), ("A", "+")), np.arange(5))
    (row,) = table.to_dict("records")
    assert (row["label"], row["n"]) == ("A", 4), "a film with one reader says nothing"
    assert row["agree"] == pytest.approx(2 / 3)
    assert row["chance"] == pytest.approx(1 / 2)
    assert row["kappa"] == pytest.approx(1 / 3)
    assert row["ci_low"] < row["agree"] < row["ci_high"]


def test_presence_is_asked_only_where_someone_denied_it() -> None:
    """Marks alone agree by construction: who found nothing had no way to say so."""
    table = loc.presence(readings(("A", "++"), ("B", "+-"), ("B", "++"), ("C", "--")), np.arange(4))
    assert table["label"].tolist() == ["B", "C", loc.ALL]
    by_label = table.set_index("label")
    assert by_label.loc["B", "agree"] == 0.5
    assert by_label.loc["C", ["agree", "chance"]].tolist() == [1, 1]
    assert np.isnan(by_label.loc["C", "kappa"])
    assert by_label.loc[loc.ALL, "n"] == 3
    assert loc.presence(readings(("A", "++")), np.arange(1)).empty


# --- regions ---------------------------------------------------------------------------------------------------------


def marks(*rows: tuple[str, float, float, float, float, list[float] | None]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["annotator", "x", "y", "w", "h", "polygon"])


def test_boxes_and_polygons_fill_their_place() -> None:
    height, width, scale = grid_size(2 * 192, 192)
    assert (height, width, scale) == (192, 96, 0.5)
    table = marks(("A", 20, 40, 40, 60, None), ("B", 20, 40, 40, 60, [20, 40, 60, 40, 60, 100, 20, 100]))
    masks = reader_masks(table, height, width, scale)
    expected = np.zeros((192, 96), bool)
    expected[20:50, 10:30] = True
    np.testing.assert_array_equal(masks["A"], expected)
    np.testing.assert_array_equal(masks["B"], expected)


def test_a_polygon_takes_the_pixels_whose_centres_it_holds() -> None:
    """By hand: a right triangle of legs 4, whose long side passes above the diagonal's centres."""
    triangle = np.array([[0.0, 0.2], [4.0, 4.2], [0.0, 4.2]])
    assert inside_polygon(triangle, 5, 5).astype(int).tolist() == [
        [0, 0, 0, 0, 0],
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 0, 0],
    ]
    ring = np.array([[0, 0], [3, 0], [3, 3], [0, 3], [0, 0], [1, 1], [1, 2], [2, 2], [2, 1], [1, 1]], float)
    assert inside_polygon(ring, 3, 3).astype(int).tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 1]], "a hole stays one"


@given(st.integers(0, 10_000))
def test_a_polygon_has_its_area(seed: int) -> None:
    """A convex polygon's pixels, over many places, are as many as its area; an outline's would be more."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0, 2 * np.pi, 8))
    corners = 6 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    (x, y), (x1, y1) = corners.T, np.roll(corners, -1, axis=0).T
    area = abs((x * y1 - x1 * y).sum()) / 2
    places = np.stack(np.meshgrid(np.arange(10) / 10, np.arange(10) / 10), axis=-1).reshape(-1, 2)
    counts = [inside_polygon(corners + 10 + place, 24, 24).sum() for place in places]
    assert np.mean(counts) == pytest.approx(area, abs=0.5)


def test_a_mark_smaller_than_a_pixel_is_not_lost() -> None:
    masks = reader_masks(marks(("A", 1000.2, 999.1, 3, 3, None)), 192, 192, 192 / 3000)
    assert masks["A"].sum() == 1
    assert masks["A"][64, 64] or masks["A"][63, 64]


def test_consensus_is_half_of_the_readers() -> None:
    a, b, c = (np.array(row, bool) for row in ([1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0]))
    assert consensus({"A": a}).tolist() == a.tolist()
    assert consensus({"A": a, "B": b}).tolist() == [True, True, True, False]
    assert consensus({"A": a, "B": b, "C": c}).tolist() == [False, True, False, False]
    nothing = np.zeros(4, bool)
    assert consensus({"A": a, "B": nothing}).tolist() == a.tolist()
    assert not consensus({"A": a, "B": nothing, "C": nothing}).any()


def test_figures_by_size_are_those_of_each_third() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for i, share in enumerate(rng.permutation(np.linspace(0.01, 0.3, 30))):
        about = {"patient": i // 3, "row": i // 2, "label": "AB"[i % 2], "silent": False}  # two findings of a film
        for source, value in ((loc.RANDOM, share), (loc.CENTRE, 0.1), ("ours", 10 * share)):
            rows.append({**about, "source": source, **dict.fromkeys(loc.METRICS, value)})
    frame = pd.DataFrame(rows)
    table = loc.by_size(frame)
    assert set(table["label"]) == set(loc.SIZES)
    energy = table[(table["metric"] == "energy") & (table["source"] == "ours")].set_index("label")
    shares = np.linspace(0.01, 0.3, 30).reshape(3, 10)
    for size, part in zip(loc.SIZES, shares, strict=True):
        assert energy.at[size, "n"] == 10
        assert energy.at[size, "value"] == pytest.approx(10 * part.mean())
        assert (energy.at[size, "smallest"], energy.at[size, "largest"]) == pytest.approx((part.min(), part.max()))
        assert energy.at[size, "gain"] == pytest.approx(10 * part.mean() - 0.1)
    same = frame.assign(**dict.fromkeys(loc.METRICS, 0.2))
    assert set(loc.by_size(same)["label"]) == {"small"}, "regions of one size are one third"
