"""The map page: what it says of films, labels and selections, and what it sends to the browser."""

from __future__ import annotations

import re
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from explorer.analysis.map_trust import disparity
from explorer.figures.style import number
from explorer.store.reader import Store
from explorer.tables.labels import findings_text
from explorer.tables.map_colours import COLOURS, Asked, cluster_marks, matched_places
from explorer.tables.map_films import dense_places, film_card, landmarks
from explorer.tables.spaces import distinct_spaces, space_title
from explorer.ui.maps.answer import answer_text
from explorer.ui.maps.selected import _composition
from explorer.ui.shared import selection
from explorer.ui.shared.links import rows_from_text
from tests.conftest import IN_DEPTH
from tests.pages import assert_whole, open_page, said, sent


def asked(store: Store, **changes: object) -> Asked:
    return Asked(
        **{
            "split": "test",
            "kind": "embedding",
            "colour": "label",
            "label": store.labels[0],
            "labels": (),
            "match": "any",
            **changes,
        }
    )  # type: ignore[arg-type]


ARRANGED = [("Embedding", "All regimes"), ("Decision (logits)", "One map")]
EVERY_MAP = [(colour, *arranged) for colour in COLOURS.values() for arranged in ARRANGED]


@pytest.mark.parametrize(("colour", "space", "layout"), EVERY_MAP if IN_DEPTH else EVERY_MAP[::4] + EVERY_MAP[3::4])
def test_every_map_renders(store: Store, colour: str, space: str, layout: str) -> None:
    kind = "embedding" if space == "Embedding" else "decision"
    app = open_page("map", colour=colour, space=space, layout=layout, doubtful="true", trust="true")
    assert_whole(app, "Map")
    assert "Distances between far groups mean nothing" in said(app)
    table = next(frame.value for frame in app.dataframe if "Trustworthiness" in frame.value)
    assert len(table) == (2 if layout == "All regimes" else 1), "a map that two regimes share is told of once"
    assert table["Neighbours kept"].str.contains("random").all()
    if layout == "All regimes":
        first, second = (store.map(store.space_of(regime, kind).name) for regime in ("zero_shot", "fine_tune"))
        assert table["Away from the first map"].iloc[[0, -1]].tolist() == ["—", f"{disparity(first, second):.2f}"]


def test_prompts_centroids_and_clusters_are_drawn_where_they_live(store: Store) -> None:
    for kind in ("Embedding", "Decision (logits)"):
        signs = ["Prompts", "Label centroids", "Cluster names"]
        app = open_page("map", signs=signs, space=kind, trust="true")
        assert_whole(app, "Map")
        assert ("Modality gap" in said(app)) == (kind == "Embedding")
        assert "no other space holds text" in said(app)
        clusters = next(frame.value for frame in app.dataframe if "Cluster" in frame.value)
        assert clusters["Films"].sum() == store.n
        data = sent(app, "linked_maps")
        drawn = {mark["sign"] for panel in data["panels"] for mark in panel["marks"]} - {""}
        assert drawn <= {sign for sign, _, _ in data["words"]}, "every sign is in the legend"


def test_options_are_drawn_while_open_and_hold_without(store: Store) -> None:
    app = open_page("map", thumbs="false", doubtful="true")
    assert not app.toggle
    assert not any(panel["thumbs"] for panel in sent(app, "linked_maps")["panels"])
    app.session_state["options"] = True
    app.run()
    assert {toggle.key: toggle.value for toggle in app.toggle} == {"thumbs": False, "doubtful": True}


def test_a_card_tells_what_every_regime_makes_of_a_film(store: Store) -> None:
    words = {(1, True): "found", (1, False): "missed", (0, True): "false alarm", (0, False): "rightly negative"}
    seen = set()
    for c, label in enumerate(store.labels):
        for row in store.rows("test")[:20].tolist():
            card, truth = film_card(store, label, row), store.targets[row, c]
            assert card.name == store.samples["sample_id"].iat[row]
            assert card.findings == findings_text(store, row, lambda name: name)
            for regime, verdict in zip(store.regimes, card.verdicts, strict=True):
                logit, threshold = store.logits(regime.name)[row, c], store.thresholds(regime.name).labels[label].value
                assert number(float(logit)) in verdict.score
                if threshold is None:
                    assert verdict.words == "no threshold"
                elif np.isnan(truth):
                    assert verdict.words == ("predicted" if logit >= np.float32(threshold) else "not predicted")
                else:
                    assert verdict.words == words[int(truth), bool(logit >= threshold)]
                seen.add(verdict.words)
    assert set(words.values()) <= seen


def test_landmarks_are_positives_of_the_split_and_the_first_is_nearest_to_their_mean(store: Store) -> None:
    positives = store.targets[store.rows("test")] == 1
    frequent, never = int(positives.sum(axis=0).argmax()), int(np.flatnonzero(positives.sum(axis=0) == 0)[0])
    rows = store.rows("test")[positives[:, frequent]]
    for space, _ in distinct_spaces(store, "embedding"):
        first, *others = landmarks(store, space.name, "test", store.labels[frequent])
        vectors = np.asarray(store.vectors(space.name))
        mean = vectors[rows].mean(axis=0)
        assert first.kind == "centroid"
        assert first.row == max(rows.tolist(), key=lambda row: float(vectors[row] @ mean))
        assert {mark.kind for mark in others} == {"typical"}
        assert {mark.row for mark in others} <= set(rows.tolist()) - {first.row}
        assert landmarks(store, space.name, "test", store.labels[never]) == ()


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=60), st.integers(1, 6))
def test_dense_places_lie_apart_and_leave_no_place_out(points: list[tuple[float, float]], most: int) -> None:
    places = np.array(points)
    chosen = dense_places(places, most)
    assert 1 <= len(chosen) <= most
    apart = np.linalg.norm(places[chosen][:, None] - places[chosen][None], axis=2)
    assert (apart[~np.eye(len(chosen), dtype=bool)] > 0.2).all()
    if len(chosen) < most:
        assert (np.linalg.norm(places[:, None] - places[chosen][None], axis=2).min(axis=1) <= 0.2).all()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40))
def test_clusters_are_matched_as_the_best_of_all_pairings(films: list[tuple[int, int]]) -> None:
    codes, first = np.array(films, dtype=np.int16).T
    places = matched_places(codes, first, 4)
    assert len(set(places)) == 4
    shared = np.array([[((codes == i) & (first == j)).sum() for j in range(first.max() + 1)] for i in range(4)])
    padded = np.pad(shared, ((0, 0), (0, 4 - shared.shape[1])))
    best = max(sum(padded[i, j] for i, j in enumerate(order)) for order in permutations(range(4)))
    assert sum(shared[i, j] for i, j in enumerate(places) if j < shared.shape[1]) == best


def test_a_clustering_matched_with_itself_keeps_its_colours(store: Store) -> None:
    first = distinct_spaces(store, "embedding")[0][0].name
    colours = [mark.colours[0] for mark in cluster_marks(store, first)]
    assert colours[:7] == list(dict.fromkeys(colours[:7])), "each of the first seven has a colour of its own"
    places = matched_places(store.clusters(first)[0], store.clusters(first)[0], len(colours))
    assert places == list(range(len(colours)))


@pytest.mark.parametrize("colour", list(COLOURS))
def test_the_answer_is_one_short_sentence(store: Store, colour: str) -> None:
    for kind in ("embedding", "decision"):
        for label in store.labels:
            text = answer_text(store, asked(store, colour=colour, label=label, kind=kind), store.regimes)
            words = re.sub(r"\[[^]]*]", "", text).split()
            assert len(words) <= 25, text
            assert re.fullmatch(r"[^\n]+\.", text)


def test_the_answer_gives_the_stored_lift_of_every_space(store: Store) -> None:
    table = store.tables.separability
    label = str(
        table.loc[(table["split"] == "test") & (table["measure"] == "lift") & (table["n_pos"] >= 5), "label"].iat[0]
    )
    text = answer_text(store, asked(store, label=label), store.regimes)
    for space, _ in distinct_spaces(store, "embedding"):
        row = table[
            (table["split"] == "test")
            & (table["measure"] == "lift")
            & (table["label"] == label)
            & (table["space"] == space.name)
        ].iloc[0]
        assert f"**{number(row['value'])} [{number(row['ci_low'])}, {number(row['ci_high'])}]**" in text
        assert space_title(store, space) in text


def test_a_selection_in_the_link_opens_beside_the_maps(store: Store) -> None:
    rows = store.rows("test")[:3]
    label = store.labels[-1]
    app = open_page("map", sel=selection.pack(store.manifest.run_id, store.n, rows, "three of them"), label=label)
    assert_whole(app, "Map")
    assert "3 films selected" in said(app)
    assert rows_from_text(sent(app, "linked_maps")["selected"], store.n).tolist() == rows.tolist()
    side = sent(app, "map_side")
    assert rows_from_text(side["selection"]["rows"], store.n).tolist() == rows.tolist()
    assert [card["name"] for card in side["cards"]] == store.samples["sample_id"].iloc[rows].tolist()
    app.session_state["map-send"] = True
    app.run()
    app.button(key="selected-pages/neighbours.py").click().run()
    assert_whole(app, "Neighbours")
    assert f"**{store.samples['sample_id'].iat[rows[0]]}**" in said(app), "it opens the selection's first film"
    assert app.selectbox(key="label").value == label, "the label goes along, too"
    token = app.query_params["sel"]
    assert selection.unpack(token, store.manifest.run_id, store.n)[0].tolist() == rows.tolist(), "it goes along"


def test_a_film_in_the_address_is_the_film_beside_the_maps(store: Store) -> None:
    row = int(store.rows("test")[-1])
    app = open_page("map", film=str(store.samples["sample_id"].iat[row]))
    assert sent(app, "map_side")["film"] == sent(app, "linked_maps")["ring"] == row
    assert all(f"run={store.manifest.run_id}" in link for link in sent(app, "map_side")["links"].values())


def test_a_composition_names_no_label_of_few_positives(store: Store) -> None:
    positives = store.targets[store.rows("test")] == 1
    few = next(c for c in np.argsort(positives.sum(axis=0)) if 0 < positives[:, c].sum() < 5)
    rows = store.rows("test")[positives[:, few]]
    composition = _composition(store, asked(store), rows)
    assert store.labels[few] not in composition.sentence
    line = next(line for line in composition.lifts if line["label"] == store.labels[few])
    assert line["count"] == f"{len(rows)} of {len(rows)}"
    assert line["lift"] > 1
    assert f"{len(np.unique(store.patients[rows]))} patient" in composition.sentence
