"""The bar on top: what it shows is chosen there for all pages; regimes keep their looks whichever others are shown."""

from __future__ import annotations

import pytest

from explorer.figures.style import SHARED_STYLE, regime_style
from explorer.store.reader import Store
from explorer.tables import styles
from explorer.tables.curves import regime_pairs
from explorer.tables.spaces import distinct_spaces, space_title
from explorer.ui.shared import selection
from tests.pages import TITLES, address_of, assert_whole, open_page, said
from tests.views import OF_PAGE

COMPARING = [name for name in TITLES if "regimes" in OF_PAGE[name]]


@pytest.mark.parametrize("name", COMPARING)
@pytest.mark.parametrize("shown", [["fine_tune"], ["zero_shot", "fine_tune"]], ids=len)
def test_every_page_draws_the_regimes_chosen_and_no_others(store: Store, name: str, shown: list[str]) -> None:
    app = open_page(name, regimes=shown)
    assert_whole(app, TITLES[name])
    assert address_of(app)["regimes"] == shown
    assert "does not know" not in said(app)


def test_a_regime_keeps_its_look_whichever_others_are_shown(store: Store) -> None:
    alone = store.showing(["fine_tune"])
    assert [regime.name for regime in alone.regimes] == ["fine_tune"]
    assert styles.of_regimes(alone) == [regime_style(2)] == [styles.by_title(store)["Full fine-tune"]]
    assert regime_pairs(alone) == {}
    assert store.showing(["zero_shot", "linear_probe", "fine_tune"]) is store


def test_a_space_of_several_regimes_has_one_name_and_one_neutral_style(store: Store) -> None:
    for one in (store, store.showing(["linear_probe"])):
        (shared, _), *_ = distinct_spaces(one, "embedding")
        assert space_title(one, shared) == "Frozen encoder"
        assert styles.of_space(one, shared) == SHARED_STYLE
    own, _ = distinct_spaces(store, "decision")[1]
    assert space_title(store, own) == "Linear probe"
    assert styles.of_space(store, own) == regime_style(1)


def test_the_choice_goes_along_and_the_last_chip_taken_away_brings_all_back(store: Store) -> None:
    app = open_page("separability")
    app.button_group(key="regimes").set_value(["fine_tune", "zero_shot"]).run()
    assert address_of(app)["regimes"] == ["zero_shot", "fine_tune"], "in the run's order"
    app.switch_page("pages/case.py").run()
    assert address_of(app)["regimes"] == ["zero_shot", "fine_tune"]
    app.button_group(key="regimes").set_value([]).run()
    assert address_of(app)["regimes"] == [regime.name for regime in store.regimes]


def test_what_a_hidden_regime_is_asked_for_is_named(store: Store) -> None:
    app = open_page("pr_curves", view="thresholds", regimes="zero_shot", regime="fine_tune")
    assert_whole(app, "PR curves")
    assert "regime fine_tune" in said(app)
    assert address_of(app)["regime"] == ["zero_shot"]


def test_a_tap_takes_the_selection_away(store: Store) -> None:
    token = selection.pack(store.manifest.run_id, store.n, store.rows("test")[:3], "three")
    app = open_page("case", sel=token)
    app.button(key="selection-clear").click().run()
    assert "sel" not in address_of(app)
    assert not [button for button in app.button if button.key == "selection-clear"]
