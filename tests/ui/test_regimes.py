"""Real runs of one regime, without text, and of all: made from the three of the tiny store, drawn by every page."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import streamlit as st

from explorer.analysis import crossfit
from explorer.store import open_store
from explorer.store.manifest import read_manifest
from explorer.store.reader import Store
from explorer.store.verify import verify_store
from explorer.store.writer import RunWriter
from explorer.tables import styles
from explorer.ui.models.inference import why_no_prompts
from precompute.regimes import lora
from tests.conftest import run_command, take_few_draws
from tests.pages import TITLES, open_sound_page, said
from tests.planted import VIEWS

ONE = "linear_probe"
ALL = "zero_shot,linear_probe,text_probe,lora,fine_tune"
JOINT = {
    *("score", "metrics", "curves", "calibration", "separability", "retrieval", "subgroups", "slices"),
    "label_errors",
}
"""Stages that compare all regimes."""
ALL_VIEWS = [*VIEWS, ("case", {}), *(("protocols", {"part": part}) for part in ("limits", "distances", "few-shot"))]


@pytest.fixture
def fresh_caches() -> None:
    """All tests read one store, which none changes; pages know its runs apart."""


class Made(NamedTuple):
    """A run of some regimes: its store's folder, its id, and the stages that were made for it."""

    root: Path
    run_id: str
    stages: set[str]


@pytest.fixture(scope="module")
def runs(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """A run for each choice of regimes, in one store with the tiny store's own, whose stages they take."""
    root = Path(shutil.copytree(tiny_store, tmp_path_factory.mktemp("regimes") / "store"))
    make, runs = RunWriter._make, {}
    for regimes in (ALL, ONE):
        stages: set[str] = set()

        def noted(self: RunWriter, name: str, *more: Any, stages: set[str] = stages) -> Any:
            stages.add(name)
            return make(self, name, *more)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RunWriter, "_make", noted)
            patch.setattr("precompute.saliency.sample.make_sample", lambda *_: None)
            patch.setattr(crossfit, "FOLDS", 2)  # of every attribute for every label: the longest stage
            patch.setattr(lora, "RANKS", (4,))
            patch.setattr(lora, "RATES", (5.0,))
            take_few_draws(patch, resamples=20, permutations=20, penalties=(0.01, 0.1, 1.0))
            assert run_command(patch, "demo", "--n", 96, "--epochs", 1, "--regimes", regimes, "--out", root) == 0
            assert run_command(patch, "few-shot", root, "--shots", "1,2,all", "--draws", 2) == 0
        runs[regimes] = Made(root, open_store(root).run_id, stages)
    st.cache_data.clear()
    st.cache_resource.clear()
    return runs


@pytest.fixture(params=[ONE, ALL])
def chosen(request: pytest.FixtureRequest, runs: dict[str, Made], monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("EXPLORER_STORE", str(runs[request.param].root))
    return str(request.param)


def opened(made: Made) -> Store:
    return open_store(made.root, made.run_id)


def test_a_further_regime_redoes_none_of_the_others(runs: dict[str, Made]) -> None:
    spaces = ("text_probe-decision", "lora", "lora-decision")
    own = {f"{stage}_{space}" for stage in ("maps", "map_trust", "clusters") for space in spaces}
    # the films of a copied store may have to be decoded again
    assert runs[ALL].stages - {"films"} == {"text-informed_probe", "LoRA", "embed_lora", "shortcuts", *JOINT, *own}
    assert runs[ONE].stages == {"shortcuts", *JOINT}, "shortcuts are of every encoder, and one went"
    for regimes, made in runs.items():
        store = opened(made)
        assert [regime.name for regime in store.regimes] == regimes.split(",")
        assert all(regime.recipe for regime in store.regimes)
        assert verify_store(store) == []


def test_records_say_what_each_regime_is(runs: dict[str, Made]) -> None:
    every = {regime.name: regime for regime in opened(runs[ALL]).regimes}
    assert {name: regime.kind for name, regime in every.items()} == {
        "zero_shot": "zero-shot",
        "linear_probe": "probe",
        "text_probe": "adapted",
        "lora": "adapted",
        "fine_tune": "trained",
    }
    assert (every["text_probe"].parent, every["fine_tune"].parent) == ("zero_shot", "linear_probe")
    assert every["text_probe"].embedding_space == every["zero_shot"].embedding_space
    assert [name for name, regime in every.items() if regime.from_prompts] == ["zero_shot"]
    one = opened(runs[ONE])
    assert one.text_space is None
    assert one.manifest.prompt_sets == ()


def test_every_regime_has_a_style_of_its_own(runs: dict[str, Made]) -> None:
    for one, other in itertools.combinations(styles.of_regimes(opened(runs[ALL])), 2):
        assert one.colour != other.colour
        assert one.symbol != other.symbol
        assert one.dash != other.dash


@pytest.mark.parametrize(("page", "query"), ALL_VIEWS, ids=lambda value: str(value))
def test_every_view_draws_every_choice(runs: dict[str, Made], chosen: str, page: str, query: dict[str, str]) -> None:
    app = open_sound_page(page, run=runs[chosen].run_id, **query)
    assert app.title[0].value == TITLES[page]


@pytest.mark.parametrize("chosen", [ONE], indirect=True)
def test_a_page_without_text_says_so(runs: dict[str, Made], chosen: str) -> None:
    run = runs[chosen].run_id
    for page, query in (
        ("neighbours", {"show": "lab"}),
        ("neighbours", {"by": "words"}),
        ("map", {"signs": "prompts", "trust": "true"}),
        ("protocols", {"part": "changes"}),
    ):
        assert why_no_prompts(opened(runs[ONE])) in said(open_sound_page(page, run=run, **query)), page
    assert "Prompts and films" not in said(open_sound_page("separability", run=run, part="spaces"))


def test_the_few_shot_part_says_from_how_many_positives(runs: dict[str, Made], chosen: str) -> None:
    text = said(open_sound_page("protocols", run=runs[chosen].run_id, part="few-shot"))
    if chosen == ALL:
        assert "surely above Zero-shot, by average precision: **Linear probe** from" in text.replace("\\", "")
        assert "**Text-informed probe** from" in text
    else:
        assert "surely above" not in text, "there is no zero-shot to compare with"


def test_a_run_of_an_earlier_schema_opens_as_what_it_was(tiny_store: Path, tmp_path: Path) -> None:
    mine = read_manifest(open_store(tiny_store).path)
    raw = json.loads(mine.model_dump_json())
    for record in raw["regimes"]:
        for key in ("kind", "parent", "fitted_on", "recipe"):
            del record[key]
    for protocol, parent in (("sound", "linear_probe"), ("paper", None)):
        raw["settings"]["protocol"] = protocol
        (tmp_path / "manifest.json").write_text(json.dumps(raw))
        former = read_manifest(tmp_path)
        assert [(one.kind, one.fitted_on) for one in former.regimes] == [(o.kind, o.fitted_on) for o in mine.regimes]
        assert [one.parent for one in former.regimes] == [None, None, parent]


def test_a_parent_must_come_before(tiny_store: Path, tmp_path: Path) -> None:
    from explorer.errors import UserError

    raw = json.loads(read_manifest(open_store(tiny_store).path).model_dump_json())
    raw["regimes"][0]["parent"] = "fine_tune"
    (tmp_path / "manifest.json").write_text(json.dumps(raw))
    with pytest.raises(UserError, match="no regime before zero_shot is named fine_tune"):
        read_manifest(tmp_path)
