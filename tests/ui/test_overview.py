"""The first page and the page about the set: what they say is the store's, and their pictures open the right view."""

from __future__ import annotations

from urllib.parse import parse_qs

import numpy as np
from streamlit.testing.v1 import AppTest

from explorer.figures.style import number
from explorer.store.reader import Store
from explorer.tables import story, subgroups
from explorer.tables.labels import by_prevalence
from tests.pages import address_of, as_read, assert_whole, open_page, said


def links(app: AppTest) -> dict[str, dict[str, list[str]]]:
    """Title of each link to another page, and its query; the last of one title."""
    return {link.proto.label: parse_qs(link.proto.query_string) for link in app.main.get("page_link")}


def html(app: AppTest) -> str:
    return "\n".join(one.proto.body for one in app.main.get("html"))


def test_the_numbers_said_are_the_stores(store: Store) -> None:
    app = open_page("overview")
    assert_whole(app, "Overview")
    labels = story.predicted_labels(store, "test")
    rows = store.rows("test")
    bare = np.asarray(store.prompt_logits("names"))[rows]
    assert f"predicts {number(float((bare > 0).sum(axis=1).mean()))} of 14 labels per film" in said(app)
    assert f"where {number(float((store.targets[rows] == 1).sum(axis=1).mean()))} are true" in said(app)
    assert labels.film
    wrong = (bare[rows == labels.film.row] > 0) & (store.targets[[labels.film.row]] == 0)
    assert labels.film.false == tuple(np.array(store.labels)[wrong[0]])
    assert "What cannot be concluded" in said(app)
    assert "Open the map" in links(app)


def test_each_picture_opens_the_page_behind_it(store: Store, sure_label: str) -> None:
    app = open_page("overview", split="test")
    assert_whole(app, "Overview")
    assert f"around {sure_label} films, 10 neighbours share it 4.00 times as often as chance" in said(app)
    assert html(app).count('class="story-map"') == 2
    found = links(app)
    film = story.predicted_labels(store, "test").film
    assert film
    asked = {
        "Thresholds": ("pr_curves", {"view": "thresholds", "rule": "cosine", "regime": "zero_shot"}),
        "This film": ("case", {"film": str(store.samples["sample_id"].iat[film.row])}),
        "Map": ("map", {"label": sure_label.lower().replace(" ", "-"), "space": "embedding"}),
        "PR curves": ("pr_curves", {"view": "one"}),
        "Get a figure": ("pr_curves", {"view": "report"}),
    }
    for title, (page, wanted) in asked.items():
        query = found[title]
        assert {name: query[name] for name in wanted} == {name: [value] for name, value in wanted.items()}, title
        opened = open_page(page, **{name: texts[0] for name, texts in query.items()})
        assert not opened.exception
        assert not opened.warning, [warning.value for warning in opened.warning]
        assert {name: address_of(opened)[name] for name in query} == query, f"{title} opens what it shows"


def test_the_largest_gap_is_the_stores_and_opens_the_subgroups(store: Store) -> None:
    app = open_page("overview")
    assert as_read(subgroups.gap_sentence(store, "test", "auroc")) in said(app)
    query = links(app)["Subgroups"]
    opened = open_page("audit", **{name: texts[0] for name, texts in query.items()})
    assert not opened.exception
    assert not opened.error
    assert as_read(subgroups.gap_sentence(store, "test", "auroc")) in said(opened)


def test_the_drawer_of_all_metrics_is_computed_only_while_open(store: Store) -> None:
    assert not open_page("overview").dataframe
    app = open_page("overview", figures="true", metric="f1")
    assert_whole(app, "Overview")
    assert address_of(app)["metric"] == ["f1"]
    assert 'aria-label="F1 of each label and regime' in html(app)


def test_the_page_about_the_set_counts_its_films_labels_and_sources(store: Store) -> None:
    app = open_page("dataset")
    assert_whole(app, "Data set")
    assert f"**{len(store.rows('test'))} test**" in said(app)
    table = next(frame.value for frame in app.dataframe if "Prevalence" in frame.value)
    assert table["Label"].tolist() == by_prevalence(store, "test")
    sources = next(frame.value for frame in app.dataframe if "Licence" in frame.value)
    assert sources["Licence"].tolist()[0] == store.manifest.dataset.licence
    assert sources["Source"].tolist()[1] == "local-dir:phantom-clip", "not where it lies on this machine"
    assert f"Run {store.manifest.run_id}" in said(app)
