"""The prompt lab: edited prompts held against stored ones, and the file that precompute takes."""

from __future__ import annotations

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as hst
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, roc_auc_score

from explorer.analysis.rewording import EDITED, STORED, compare
from explorer.store.reader import Store
from explorer.ui.neighbours.prompt_lab import _logits, as_toml, pack_edits, unpack_edits
from explorer.ui.shared.links import BadLink, to_text
from precompute.prompts import read_prompts
from tests.pages import address_of, as_read, open_page


def films(n: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    targets = (rng.random(n) < 0.3).astype(np.float32)
    targets[:5] = np.nan
    weak, strong = (rng.normal(size=n) + shift * np.nan_to_num(targets) for shift in (0.3, 3.0))
    return targets, weak.astype(np.float32), strong.astype(np.float32)


def test_better_prompts_are_seen_to_be_better_and_figures_are_scikit_learns() -> None:
    targets, weak, strong = films()
    change = compare("Edema", targets, weak, strong, np.arange(len(targets)))
    known = ~np.isnan(targets)
    for version, scores in ((STORED, weak), (EDITED, strong)):
        figures = change.figures[change.figures["version"] == version].set_index("metric")["value"]
        assert figures["average_precision"] == pytest.approx(average_precision_score(targets[known], scores[known]))
        assert figures["auroc"] == pytest.approx(roc_auc_score(targets[known], scores[known]))
    moved = change.differences.set_index("metric")
    assert moved.loc["auroc", "ci_low"] > 0
    ranks = [np.argsort(np.argsort(-scores)) for scores in (weak, strong)]
    np.testing.assert_array_equal(change.rises, ranks[0] - ranks[1])
    assert change.spearman == pytest.approx(spearmanr(weak, strong).statistic)
    more, fewer = change.flips
    calls = [scores >= change.thresholds[version] for version, scores in ((STORED, weak), (EDITED, strong))]
    assert (more, fewer) == (int((calls[1] & ~calls[0]).sum()), int((calls[0] & ~calls[1]).sum()))


def test_the_same_prompts_change_nothing() -> None:
    targets, weak, _ = films()
    change = compare("Edema", targets, weak, weak, np.arange(len(targets)))
    assert (change.differences["difference"] == 0).all()
    assert change.flips == (0, 0)
    assert change.spearman == pytest.approx(1)
    assert not change.rises.any()


sentence = hst.text(
    hst.characters(categories=("L", "N", "P", "Zs"), exclude_characters="{}%$<>"), min_size=1, max_size=40
)
sentence = sentence.filter(lambda text: any(map(str.isalnum, text)))
sides = hst.fixed_dictionaries(
    {"positive": hst.lists(sentence, min_size=1, max_size=3), "negative": hst.lists(sentence, max_size=3)}
)


@settings(deadline=None, max_examples=60)
@given(title=sentence, labels=hst.dictionaries(sentence.filter(lambda text: text not in ("default", "title")), sides))
def test_the_file_is_the_one_precompute_reads(
    tmp_path_factory: pytest.TempPathFactory, title: str, labels: dict[str, dict[str, list[str]]]
) -> None:
    texts = [" ".join(text.casefold().split()) for both in labels.values() for side in both.values() for text in side]
    assume(len(set(texts)) == len(texts))  # what a label does not have to itself is refused
    file = tmp_path_factory.mktemp("prompts") / "mine.toml"
    file.write_text(as_toml(title, labels), encoding="utf-8")
    read = read_prompts(file, [*labels, "A label it does not name"])
    assert read.title == title
    for label, given_sides in labels.items():
        assert list(read.labels[label].positive) == given_sides["positive"]
        assert list(read.labels[label].negative) == given_sides["negative"]
    assert read.labels["A label it does not name"].positive == ("a label it does not name",)


def test_stored_prompts_give_the_stored_logits(store: Store) -> None:
    rows = store.rows("val")
    for record in store.manifest.prompt_sets:
        for c, label in enumerate(store.labels):
            logits = _logits(store, store.prompts(record.name)[label], rows)
            np.testing.assert_allclose(logits, store.prompt_logits(record.name)[rows, c], atol=1e-3)


open_lab = partial(open_page, "neighbours", show="Prompt lab", label="Lung Opacity")


def test_an_edit_is_measured_and_kept_for_the_file(store: Store) -> None:
    app = open_lab()
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert table["Stored"].tolist() == table["Edited"].tolist()
    positive, negative = app.text_area[0].value, app.text_area[1].value
    app.text_area[0].set_value(f"{negative}\n\nno patchy airspace opacity")
    app.text_area[1].set_value(positive)
    app.run()
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert table["Stored"].tolist() != table["Edited"].tolist()
    assert any("1 label edited: Lung Opacity" in str(part.value) for part in app.caption)
    again = open_lab(edits=app.query_params["edits"])
    assert not again.exception
    assert [box.value for box in again.text_area] == [
        f"{negative}\n\nno patchy airspace opacity".replace("\n\n", "\n"),
        positive,
    ]
    pd.testing.assert_frame_equal(again.dataframe[0].value, table)
    back = again.text_area[0].set_value(positive)
    again.text_area[1].set_value(negative)
    back.run()
    assert "edits" not in address_of(again), "nothing is edited any more"


def test_edits_too_long_for_a_link_are_said_to_be(store: Store) -> None:
    app = open_lab()
    letters = np.random.default_rng(0).choice(list("abcdefghijklmnopqrstuvwxyz"), (40, 120))
    app.text_area[0].set_value("\n".join("".join(line) for line in letters)).run()
    assert not app.exception
    assert "edits" not in address_of(app)
    assert any("too long for a link" in str(part.value) for part in app.caption)


def test_a_links_edits_survive_the_journey_and_nothing_else_does(store: Store) -> None:
    base = store.manifest.prompt_sets[0].name
    edits = {(base, "Edema"): {"positive": ["wet lungs – „ü“"], "negative": []}}
    assert unpack_edits(pack_edits(edits), store) == edits
    assert pack_edits({}) == ""
    for wrong in (
        pack_edits(edits)[:-4],
        "x",
        to_text(b"[]" + b" " * 2**21),
        to_text(b'{"a": 1}'),
        to_text(b'[["a", "b", [1], []]]'),
        pack_edits({(base, "Asthma"): edits[base, "Edema"]}),
        pack_edits({("no set", "Edema"): edits[base, "Edema"]}),
        to_text(json.dumps([[base, "Edema", ["x" * 5001], []]]).encode()),
    ):
        with pytest.raises(BadLink):
            unpack_edits(wrong, store)
        assert any("edits (it " in as_read(part.value) for part in open_lab(edits=wrong).warning)


def test_without_a_positive_prompt_the_stored_ones_stand(store: Store) -> None:
    app = open_lab()
    app.text_area[0].set_value(" \n ").run()
    assert not app.exception
    assert "nothing to search for" in app.info[-1].value or "nothing to search for" in as_read(app.info[0].value)


def test_the_figures_of_the_lists_stand_on_the_page(store: Store) -> None:
    app = open_page("neighbours", show="How good the lists are")
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert len(table) == len(store.manifest.spaces)
    assert table["Precision at 10"].str.contains(r"\[.*\] · 0\.").all(), "interval and chance stand beside the value"
    assert any("Hubs" in str(part.value) for part in app.subheader)
