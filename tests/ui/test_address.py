"""The address is the state: what is written is read again, links made before open, and choices go from page to page."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as hst

from explorer.store.reader import Store
from explorer.ui.pr_curves.curves import MOST_POSITIVES
from explorer.ui.shared import address, selection
from explorer.ui.shared.former import FORMER
from explorer.ui.shared.parameter import NONE, Values, number, slugs, text
from tests.pages import TITLES, address_of, as_read, assert_sound, open_page
from tests.views import OF_PAGE, a_view, an_address, meaning, meanings

OLD_LINKS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("pr_curves", "view=One+label&label=Cardiomegaly", {"view": "one", "label": "Cardiomegaly"}),
    ("pr_curves", "view=One+label&label=All+film-label+pairs", {"label": "micro"}),
    ("pr_curves", "view=Thresholds&rule=Paper%3A+cosine+above+0&cell=tn", {"rule": "cosine", "cell": "tn"}),
    ("pr_curves", "view=Thresholds&rule=Max+Youden%27s+J+on+val&one-cut=true", {"rule": "youden", "one-cut": True}),
    ("pr_curves", "view=Calibration&fitted=Platt&few=3", {"fitted": "platt", "few": 3}),
    ("pr_curves", "pair=Linear+probe+%E2%88%92+Zero-shot&gain=AUROC", {"pair": "Linear probe − Zero-shot"}),
    ("pr_curves", "view=Together&regime=Full+fine-tune", {"view": "together", "regime": "fine_tune"}),
    ("map", "space=Decision+%28logits%29&colour=Right+across+regimes", {"space": "decision", "colour": "right"}),
    ("map", "signs=Prompts&signs=Cluster+names&layout=One+map", {"signs": ("prompts", "clusters"), "layout": "one"}),
    (
        "map",
        "colour=Several+labels&match=all+of+them&labels=Edema&labels=Pleural+Effusion",
        {"match": "all", "labels": ("Edema", "Pleural Effusion")},
    ),
    ("separability", "measure=Fisher+ratio&embedding_space=Full+fine-tune", {"measure": "fisher"}),
    ("separability", "part=confused&embedding_space=Full+fine-tune", {"embedding_space": "fine_tune"}),
    ("neighbours", "by=Words&prompts=My+own&text=large+heart", {"prompts": ".own", "text": "large heart"}),
    ("neighbours", "by=Words&prompts=Bare+names+%28the+paper%27s%29", {"prompts": "names"}),
    ("neighbours", "show=How+good+the+lists+are&figure=kNN+vote%2C+AP", {"figure": "knn_average_precision"}),
    ("neighbours", "by=A+film&k=12&film=target-00002", {"by": "film", "k": "12", "film": "target-00002"}),
    ("grad_cam", "show=Proof", {"show": "sanity"}),
    ("grad_cam", "show=Every+block&method=Attention+rollout&cam=true", {"method": "rollout", "cam": True}),
    ("grad_cam", "show=Agreement&figure=Pixel+AP", {"figure": "average_precision"}),
    ("audit", "audit=Label+errors&doubted=All+labels&show=to+review", {"doubted": ".all", "show": "to-review"}),
    ("audit", "audit=Out+of+distribution&distance=Mahalanobis", {"audit": "outliers", "distance": "mahalanobis"}),
    ("overview", "metric=Average+precision&split=val", {"metric": "average_precision", "split": "val"}),
    ("case", "label=Pleural+Effusion&space=Embedding", {"label": "Pleural Effusion", "space": "embedding"}),
)
"""Links that the app made when controls wrote their titles, and what they showed. This list only grows."""


def comparable(view: Values) -> dict[str, Any]:
    """A view with the rows of its selection as a list."""
    return {
        name: value.rows.tolist() if isinstance(value, selection.Selection) else value for name, value in view.items()
    }


@pytest.mark.parametrize("page", TITLES)
def test_what_a_view_writes_opens_the_same_view(store: Store, page: str) -> None:
    known = meanings(store, page)
    for seed in range(40):
        view = a_view(store, page, known, random.Random(f"{page} {seed}"))
        written = address.write(store, OF_PAGE[page], view)
        link = parse_qs(urlencode(written, doseq=True), keep_blank_values=True, strict_parsing=True)
        assert link == written
        given, refused = address.read(store, OF_PAGE[page], link)
        assert refused == []
        assert comparable(address.settle(store, OF_PAGE[page], given)) == comparable(view)
        assert address.is_whole(store, OF_PAGE[page], link, given)
        for name in set(written) & {"split", "label", "view", "show"}:
            part = {key: texts for key, texts in link.items() if key != name}
            assert not address.is_whole(store, OF_PAGE[page], part, address.read(store, OF_PAGE[page], part)[0])


@given(hst.lists(hst.text(max_size=80), unique=True, max_size=12))
def test_every_label_has_a_machine_name_of_its_own(labels: list[str]) -> None:
    names = slugs(labels)
    assert sorted(names.values()) == sorted(labels)
    for name in names:
        assert name
        assert name != NONE
        assert "." not in name
        assert parse_qs(urlencode({"label": name}), strict_parsing=True) == {"label": [name]}
    assert set(slugs(names).items()) == {(name, name) for name in names}, "a slug is its own slug"


@given(hst.floats(0.05, 1), hst.integers(1, MOST_POSITIVES), hst.text(max_size=60))
def test_numbers_and_texts_come_back(store_free: None, level: float, few: int, words: str) -> None:
    for parameter, value in ((number(0.05, 1, 0.8), level), (number(1, MOST_POSITIVES, 5, whole=True), few)):
        assert meaning(None, parameter, parameter.write(None, value)) == value  # type: ignore[arg-type]
    line = text(60)
    assert meaning(None, line, words) == (words if words and line.fits(None, words, {}) else None)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def store_free() -> None:
    """Nothing: these parameters ask no store."""


@pytest.mark.parametrize(("page", "query", "shown"), OLD_LINKS)
def test_links_made_before_open(store: Store, page: str, query: str, shown: dict[str, Any]) -> None:
    given, refused = address.read(store, OF_PAGE[page], parse_qs(query, strict_parsing=True))
    assert refused == []
    values = address.settle(store, OF_PAGE[page], given)
    assert {name: values[name] for name in shown} == shown


def test_every_former_title_still_means_something(store: Store) -> None:
    for name, titles in FORMER.items():
        for title, machine in titles.items():
            homes = [declared[name] for declared in OF_PAGE.values() if name in declared]
            meant = [meaning(store, parameter, title) for parameter in homes]
            assert any(value is not None for value in meant), (name, title)
            if name != "upload_view":
                assert machine in meant, (name, title)


def test_an_address_is_completed_with_defaults_and_holds_nothing_else(store: Store) -> None:
    for page in TITLES:
        app = open_page(page)
        shown = address_of(app)
        assert shown["run"] == [store.manifest.run_id]
        assert shown["split"] == ["test"]
        assert set(shown) <= {"run", *OF_PAGE[page]}
    assert address_of(open_page("case"))["film"], "the film shown by default, too"
    assert address_of(open_page("case"))["label"] == ["lung-opacity"]


def test_one_notice_names_all_that_an_address_asks_for_in_vain(store: Store) -> None:
    app = open_page("map", label="foo", split="zzz", place="99999", colour="", space=["embedding", "decision"])
    assert_sound(app)
    (notice,) = [as_read(box.value) for box in app.warning if box.value.startswith("This address")]
    for named in ("label foo", "split zzz", "a parameter place", "colour (empty)", "space 2 times"):
        assert named in notice
    assert address_of(app)["colour"] == ["label"]
    app.run()
    assert not app.warning, "said once"


def test_a_film_that_the_run_lacks_is_named_and_the_film_stays(store: Store) -> None:
    app = open_page("case")
    film = address_of(app)["film"]
    app.text_input(key="film_box").set_value("no-such-film").run()
    assert_sound(app)
    assert any("film no-such-film" in as_read(box.value) for box in app.warning)
    assert address_of(app)["film"] == film
    assert app.text_input(key="film_box").value == film[0]


def walked(app: Any, page: str) -> Any:
    """The page after its entry in the menu was clicked, which leads to its bare address."""
    for name in list(app.query_params):
        del app.query_params[name]
    return app.switch_page(f"pages/{page}.py").run()


def test_a_choice_survives_every_walk_through_the_menu(store: Store) -> None:
    rng = random.Random(7)
    film = str(store.samples["sample_id"].iat[store.rows("val")[2]])
    token = selection.pack(store.manifest.run_id, store.n, store.rows("val")[:5], "five")
    kept = {"run": store.manifest.run_id, "split": "val", "label": "fracture", "film": film, "sel": token}
    app = open_page("map", **kept)
    for _ in range(15):
        page = rng.choice(tuple(TITLES))
        walked(app, page)
        assert_sound(app)
        shown = address_of(app)
        for name, chosen in kept.items():
            assert shown.get(name, [chosen]) == [chosen], page
        assert set(shown) <= {"run", *OF_PAGE[page]}
    assert set(kept) <= set(address_of(walked(app, "map")))
    app.selectbox(key="label").set_value("Edema").run()
    walked(app, "overview")
    assert address_of(walked(app, "case"))["label"] == ["edema"]
    assert app.selectbox(key="label").value == "Edema"


def test_a_pool_chosen_among_labels_waits_where_no_page_has_it(store: Store) -> None:
    app = open_page("pr_curves", view="one", label=".micro")
    assert address_of(app)["label"] == [".micro"]
    assert address_of(walked(app, "case"))["label"] == ["lung-opacity"]
    assert address_of(walked(app, "pr_curves"))["label"] == [".micro"]


def test_a_whole_address_empties_what_it_leaves_out_and_a_part_does_not(store: Store) -> None:
    rng = random.Random(1)
    token = selection.pack(store.manifest.run_id, store.n, store.rows("test")[:3], "three")
    app = open_page("case", sel=token)
    assert address_of(app)["sel"] == [token]
    assert address_of(walked(app, "grad_cam"))["sel"] == [token]
    for name, texts in {"run": [store.manifest.run_id], **an_address(store, "case", rng, without=("sel",))}.items():
        app.query_params[name] = texts
    app.switch_page("pages/case.py").run()
    assert "sel" not in address_of(app), "as when the visitor goes back to before it was made"
