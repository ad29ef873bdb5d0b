"""The filter: its text in the address, what it narrows on every page that shows films, and the way back to all."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hst

from explorer.store.reader import Store
from explorer.tables.film_filter import OfLabel, OfNumber, OfRegime, OfText, meets, rows_shown
from explorer.ui.shared import conditions, selection
from explorer.ui.shared.links import rows_from_text
from tests.pages import address_of, as_read, assert_sound, open_page, said, sent
from tests.views import OF_PAGE, meaning

MISSED = "fn.zero_shot"
NARROWED = [name for name, declared in OF_PAGE.items() if "filter" in declared]


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("fn.zero_shot", OfRegime("fn", "zero_shot")),
        ("tp.fine_tune.pleural-effusion", OfRegime("tp", "fine_tune", "Pleural Effusion")),
        ("unknown", OfLabel("unknown")),
        ("positive.edema", OfLabel("positive", "Edema")),
        ("view.frontal", OfText("view", "frontal")),
        ("split.train", OfText("split", "train")),
        ("patient_id.target-p00001", OfText("patient_id", "target-p00001")),
        ("image.images/target-00001.png", OfText("image", "images/target-00001.png")),
        ("height.300..400", OfNumber("height", 300, 400)),
        ("width.10.5..", OfNumber("width", low=10.5)),
        ("age...-1", OfNumber("age", high=-1)),
        ("report.no edema. at all", OfText("report", "no edema. at all")),
    ],
)
def test_a_condition_has_one_text(store: Store, text: str, condition: conditions.Condition) -> None:
    assert conditions.read(store, text) == condition
    assert conditions.write(store, condition) == text


@pytest.mark.parametrize(
    "text",
    (
        *("", ".", "fn", "fn.", "fn.other", "fn.zero_shot.", "fn.zero_shot.hernia", "fn.zero_shot.Edema"),
        *("xx.zero_shot", "labels.edema", "positive.", "positive.x"),
        *(
            "view",
            "view.",
            "view.oblique",
            "split.test.val",
            "patient_id.",
            "patient_id.nobody",
            "image.../../etc/passwd",
        ),
        *("age", "age.", "age...", "age.5..4", "age.1e3..", "age.x..", "age.nan..", "height.1..2..3"),
        *("report", "report.", "report.a\nb", f"report.{'x' * 81}"),
    ),
)
def test_what_means_nothing_is_refused(store: Store, text: str) -> None:
    assert meaning(store, conditions.IN_ADDRESS, text) is None


ENDS = hst.one_of(hst.integers(-(10**9), 10**9), hst.integers(-(10**6), 10**6).map(lambda value: value / 64))


@given(hst.sampled_from(["age", "height", "width"]), ENDS, ENDS)
def test_ranges_come_back(store_free: None, column: str, one: float, other: float) -> None:
    for condition in (
        OfNumber(column, min(one, other), max(one, other)),
        OfNumber(column, low=one),
        OfNumber(column, high=one),
    ):
        assert conditions.read(None, conditions.write(None, condition)) == condition  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def store_free() -> None:
    """Nothing: a range asks no store."""


def test_every_page_that_shows_films_by_a_label_has_it() -> None:
    assert NARROWED == ["map", "neighbours", "pr_curves", "grad_cam", "case", "audit"]


# --- what it narrows -------------------------------------------------------------------------------------------------


def label_with_missed(store: Store) -> tuple[str, np.ndarray]:
    """A label of which zero-shot misses several films of test but not all, and these films' rows."""
    for label in store.labels:
        rows = rows_shown(store, "test", (OfRegime("fn", "zero_shot"),), label)
        positive = rows_shown(store, "test", (OfLabel("positive"),), label)
        if 1 < len(rows) < len(positive):
            return label, rows
    raise AssertionError("no such label")


def slug(store: Store, label: str) -> str:
    return conditions.write(store, OfLabel("positive", label)).partition(".")[2]


def ids(store: Store, rows: np.ndarray) -> list[str]:
    return [str(one) for one in store.samples["sample_id"].iloc[rows]]


def test_three_taps_show_the_missed_films_and_one_brings_all_back(store: Store) -> None:
    label, rows = label_with_missed(store)
    app = open_page("case", label=slug(store, label))
    assert "filter" not in address_of(app)
    app.session_state["filter-open"] = True  # the first tap
    app.run()
    app.button_group(key="filter-zero_shot").set_value("Missed").run()
    assert_sound(app)
    assert address_of(app)["filter"] == [MISSED]
    text = said(app)
    assert f"{len(rows):,} of {len(store.rows('test')):,} films" in text
    assert f"{len(rows):,} in test, filtered" in text or f"of {len(rows):,} in test, filtered" in text
    assert app.button(key="filter-0").label == "Missed by Zero-shot"
    app.button(key="filter-0").click().run()
    assert "filter" not in address_of(app)
    assert app.button_group(key="filter-zero_shot").value is None


def test_a_second_condition_about_the_same_takes_the_place_of_the_first(store: Store) -> None:
    app = open_page("case", filter=[MISSED, "view.frontal"])
    app.session_state["filter-open"] = True
    app.run()
    assert app.button_group(key="filter-zero_shot").value == "Missed"
    app.button_group(key="filter-zero_shot").set_value("Found").run()
    assert address_of(app)["filter"] == ["tp.zero_shot", "view.frontal"]
    app.selectbox(key="filter-label").set_value("Edema").run()
    assert app.button_group(key="filter-zero_shot").value is None, "nothing is asked of this label yet"
    app.button_group(key="filter-zero_shot").set_value("Missed").run()
    assert address_of(app)["filter"] == ["tp.zero_shot", "view.frontal", "fn.zero_shot.edema"]
    app.button(key="filter-clear").click().run()
    assert "filter" not in address_of(app)


def test_columns_are_narrowed_by_values_ranges_and_words(store: Store) -> None:
    app = open_page("case")
    app.session_state["filter-open"] = True
    app.run()
    app.selectbox(key="filter-column").set_value("width").run()
    middle = float(store.samples["width"].median())
    app.number_input(key="filter-width-low").set_value(middle).run()
    assert address_of(app)["filter"] == [f"width.{middle:g}.."]
    app.number_input(key="filter-width-low").set_value(None).run()
    assert "filter" not in address_of(app)
    app.selectbox(key="filter-column").set_value("report").run()
    app.text_input(key="filter-report").set_value(" Opacity ").run()
    assert address_of(app)["filter"] == ["report.Opacity"]
    app.selectbox(key="filter-column").set_value("patient_id").run()
    app.text_input(key="filter-patient_id").set_value("*nobody*").run()
    assert_sound(app)
    assert "No film has the patient *nobody*." in said(app)
    assert address_of(app)["filter"] == ["report.Opacity"]


def test_the_stepper_of_every_page_steps_through_what_is_left(store: Store) -> None:
    label, rows = label_with_missed(store)
    wanted = ids(store, rows)
    for page, query in (("case", {}), ("grad_cam", {"show": "regimes"}), ("grad_cam", {"show": "mark"})):
        app = open_page(page, label=slug(store, label), filter=MISSED, **query)
        assert_sound(app)
        assert address_of(app)["film"] == wanted[:1], "the first film that is left"
        for film in wanted[1:]:
            app.button(key="step-next").click().run()
            assert address_of(app)["film"] == [film]
        assert app.button(key="step-next").disabled
        assert f"{len(rows)} of {len(rows)} in test, filtered" in said(app)


def test_a_selection_is_narrowed_too(store: Store) -> None:
    label, rows = label_with_missed(store)
    chosen = np.union1d(rows[:1], store.rows("test")[:6])
    token = selection.pack(store.manifest.run_id, store.n, chosen, "some")
    left = np.intersect1d(chosen, rows)
    app = open_page("grad_cam", label=slug(store, label), filter=MISSED, sel=token)
    assert f"of {len(left)} in the selection some, filtered" in said(app)
    app = open_page("map", label=slug(store, label), filter=MISSED, sel=token)
    assert f"The filter leaves {len(left)} of them." in said(app)
    assert rows_from_text(sent(app, "map_side")["selection"]["rows"], store.n).tolist() == left.tolist()


def test_the_map_draws_the_others_as_a_ground_and_counts_what_is_left(store: Store) -> None:
    label, rows = label_with_missed(store)
    app = open_page("map", label=slug(store, label), filter=MISSED)
    assert_sound(app)
    panels = sent(app, "linked_maps")["panels"]
    assert all(f"Map of {len(rows)} films" in panel["alt"] for panel in panels)
    assert {thumb["row"] for panel in panels for thumb in panel["thumbs"]} <= set(rows.tolist())
    every = open_page("map", label=slug(store, label), filter="split.train")
    assert all(panel["title"].endswith("every split") for panel in sent(every, "linked_maps")["panels"])


def test_galleries_and_neighbours_hold_only_what_is_left(store: Store) -> None:
    label, rows = label_with_missed(store)
    app = open_page(
        "pr_curves", view="thresholds", cell="fn", regime="zero_shot", label=slug(store, label), filter="view.lateral"
    )
    assert_sound(app)
    left = [row for row in rows if store.samples["view"].iat[row] == "lateral"]
    assert f"The filter leaves {len(left)} of {len(rows)} films." in said(app)
    app = open_page("audit", audit="hard", label=slug(store, label), regime="zero_shot", filter=["tn.zero_shot"])
    assert_sound(app)
    kept = meets(store, (OfRegime("tn", "zero_shot"),), label)
    shown = re.findall(r"\*\*(target-\d+)\*\* · test", said(app))
    assert shown
    assert set(shown) <= set(ids(store, np.flatnonzero(kept)))
    app = open_page("neighbours", label=slug(store, label), filter=MISSED)
    assert_sound(app)
    outside = store.n - int(meets(store, (OfRegime("fn", "zero_shot"),), label).sum())
    assert f"{outside} outside the filter left out" in said(app)


def test_a_filter_that_leaves_no_film_says_so_and_one_tap_clears_it(store: Store) -> None:
    for page, query in (
        ("map", {}),
        ("case", {}),
        ("grad_cam", {"show": "mark"}),
        ("neighbours", {}),
        ("audit", {"audit": "hard"}),
    ):
        app = open_page(page, filter=["positive", "negative"], **query)
        assert_sound(app)
        assert "No film of test meets all conditions of the filter." in said(app), page
        app.button(key="filter-clear-empty").click().run()
        assert_sound(app)
        assert "filter" not in address_of(app)
        assert "No film of" not in said(app)


def test_what_a_filter_cannot_mean_is_named_once_and_the_rest_holds(store: Store) -> None:
    app = open_page("case", filter=[MISSED, "view.nowhere", "fn.no_such"])
    (notice,) = [as_read(box.value) for box in app.warning if box.value.startswith("This address")]
    assert "filter view.nowhere, fn.no_such" in notice
    assert address_of(app)["filter"] == [MISSED]


def test_a_reader_who_marks_is_not_told_what_the_filter_says_of_labels(store: Store) -> None:
    label, _ = label_with_missed(store)
    app = open_page("grad_cam", show="mark", label=slug(store, label), filter=[MISSED, "view.frontal"])
    assert_sound(app)
    assert [app.button(key=f"filter-{place}").label for place in (0, 1)] == ["A condition on labels", "View frontal"]
    assert "Missed" not in said(app)


def test_a_filter_becomes_a_selection_of_its_films(store: Store) -> None:
    label, rows = label_with_missed(store)
    app = open_page("case", label=slug(store, label), filter=MISSED)
    app.session_state["filter-open"] = True
    app.run()
    next(button for button in app.button if button.label == f"Select these {len(rows)} films").click().run()
    assert_sound(app)
    held, name = selection.unpack(address_of(app)["sel"][0], store.manifest.run_id, store.n)
    assert held.tolist() == rows.tolist()
    assert name == selection._plain(f"{label}, Missed by Zero-shot")


def test_the_filter_goes_along_and_follows_the_label(store: Store) -> None:
    label, _ = label_with_missed(store)
    app = open_page("map", filter=[MISSED])
    app.switch_page("pages/case.py").run()
    assert address_of(app)["filter"] == [MISSED]
    app.selectbox(key="label").set_value(label).run()
    rows = rows_shown(store, "test", (OfRegime("fn", "zero_shot"),), label)
    assert f"{len(rows):,} of {len(store.rows('test')):,} films" in said(app)
