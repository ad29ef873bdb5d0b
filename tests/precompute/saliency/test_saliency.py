"""Maps of a whole split beside a run: resumable, the page's own maps, agreement with the readers, the run untouched."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from rich.console import Console

from explorer.analysis import localisation as loc
from explorer.analysis.sanity import (
    AT_REGION,
    ELSEWHERE,
    GAP,
    MIRRORED,
    OCCLUSION,
    OTHER_FILM,
    RANDOM_STEPS,
    REGION,
    ROLLED,
)
from explorer.data.geometry import Fit
from explorer.data.images import read_film
from explorer.data.saliency_map import Saliency
from explorer.errors import UserError
from explorer.model.encoder import ImageTower
from explorer.model.saliency.grad_cam import explain
from explorer.model.saliency.tokens import read_tokens
from explorer.store import layout
from explorer.store.manifest import SaliencyRecord
from explorer.store.marks import NOTHING, add_marks, all_annotations
from explorer.store.progress import read_progress
from explorer.store.reader import Store
from explorer.store.runs import open_store
from explorer.store.saliency import SaliencySet, list_saliency
from explorer.store.verify import check_files
from explorer.ui.models import heatmaps
from explorer.ui.models.heatmaps import LabelLogits, MapRequest, saliency_maps
from explorer.ui.shared import cache
from precompute.reporter import SALIENCY, SAMPLE, Reporter
from precompute.saliency import maps as saliency
from precompute.saliency import sample as demo_sample
from precompute.saliency import sanity
from precompute.saliency.maps import plan_saliency
from tests.conftest import vouch
from tests.pages import open_sound_page

DRAWS = 2
CPU = torch.device("cpu")
MARKED = 2
FEW = {"randomised": 1, "most_marked": MARKED}


@pytest.fixture(scope="module", autouse=True)
def two_draws() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sanity, "DRAWS", DRAWS)
        yield


@pytest.fixture(scope="module")
def store(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The tiny run alone in a store of its own, most films of val and test moved to train: each takes a second."""
    original = open_store(tiny_store)
    root = tmp_path_factory.mktemp("maps")
    run = root / original.path.name
    shutil.copytree(original.path, run)
    shutil.copytree(tiny_store / "films", root / "films")
    marked = set(original.samples["patient_id"].iloc[original.tables.annotations["row"]])
    samples = pd.read_parquet(run / layout.SAMPLES)
    for split, n_marked, n_others in (("val", 2, 1), ("test", 8, 1)):
        patients = samples.loc[samples["split"] == split, "patient_id"].unique()
        kept = [p for p in patients if p in marked][:n_marked] + [p for p in patients if p not in marked][:n_others]
        samples.loc[(samples["split"] == split) & ~samples["patient_id"].isin(kept), "split"] = "train"
    samples.to_parquet(run / layout.SAMPLES, index=False)
    vouch(run, layout.SAMPLES)
    return open_store(run)


def annotated(store: Store) -> tuple[str, ...]:
    """The two labels with most annotations in test."""
    marked = store.tables.annotations[store.tables.annotations["row"].isin(store.rows("test"))]
    return tuple(marked["label"].value_counts().index[:2])


def make(store: Store) -> SaliencySet:
    wanted = replace(plan_saliency(store, annotated(store), "test", "grad_cam", None), **FEW)
    return saliency.make_saliency(store, all_annotations(store), wanted, CPU, Reporter(Console(quiet=True), SALIENCY))


@pytest.fixture(scope="module")
def made(store: Store) -> SaliencySet:
    return make(store)


@pytest.fixture
def checked(made: SaliencySet, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The checks of the first set stand for those of any other, which take most of the time; which were asked for."""
    asked: list[object] = []
    frame = made.frame("sanity")
    monkeypatch.setattr(saliency, "run_checks", lambda *given: (asked.append(given), frame)[1])
    return asked


def test_maps_are_those_of_the_page(store: Store, made: SaliencySet) -> None:
    row = int(store.rows("test")[5])
    for regime in store.regimes[1:]:
        tower = ImageTower.load(store.encoder_folder(regime.encoder))
        weight, bias = store.head(regime.name)
        chosen = [store.labels.index(label) for label in made.record.labels]
        pixels = tower.fit.apply(read_film(store.film(row)))
        expected = explain(tower, read_tokens(tower, pixels), weight[chosen], bias[chosen]).maps[:, 0]
        maps = made.maps("test", regime.name)
        assert maps.shape == (len(store.rows("test")), 2, 14, 14)
        np.testing.assert_allclose(maps[5], expected, atol=1e-6 + 1e-4 * expected.max())


def test_every_pair_has_every_source(store: Store, made: SaliencySet) -> None:
    frame = made.frame("agreement")
    marked = store.tables.annotations[store.tables.annotations["row"].isin(store.rows("test"))]
    pairs = marked[marked["label"].isin(made.record.labels)].groupby(["row", "label"]).ngroups
    assert made.record.n_annotated == pairs > 0
    for source in (*(regime.name for regime in store.regimes), loc.CENTRE, loc.LUNG, loc.RANDOM):
        assert (frame["source"] == source).sum() == pairs
    assert loc.READER not in set(frame["source"]), "one reader is no agreement"
    values = frame[list(loc.METRICS)].to_numpy()
    assert ((values >= 0) & (values <= 1) | np.isnan(values)).all()


def test_every_check_is_made_of_every_regime(store: Store, made: SaliencySet) -> None:
    frame = made.frame("sanity")
    assert frame["value"].notna().all()
    sampled = frame[frame["check"] == "randomisation"]
    pairs = sampled[["row", "label"]].drop_duplicates()
    assert len(pairs) == 1
    assert all(store.targets[row, store.labels.index(label)] == 1 for row, label in pairs.itertuples(index=False))
    marked = frame[frame["check"] == "deletion"][["row", "label"]].drop_duplicates()
    known = set(store.tables.annotations[["row", "label"]].itertuples(index=False, name=None))
    assert len(marked) == MARKED
    assert set(marked.itertuples(index=False, name=None)) <= known
    counts = frame.groupby(["regime", "check", "step"]).size()
    for regime in store.regimes:
        for step in RANDOM_STEPS:
            assert counts[regime.name, "randomisation", step] == DRAWS
        for check in ("deletion", "insertion"):
            for opponent in (ROLLED, OTHER_FILM, REGION):
                assert counts[regime.name, check, opponent] == MARKED
        blanked = frame[(frame["check"] == OCCLUSION) & (frame["regime"] == regime.name)]
        falls = blanked.pivot(index=["row", "label"], columns="step", values="value")
        assert 0 < len(falls) <= MARKED
        np.testing.assert_allclose(falls[AT_REGION] - falls[ELSEWHERE], falls[GAP], atol=1e-5)
        assert falls[MIRRORED].isin([0, 1]).all()
    assert counts["zero_shot", "prompts", ""] == 1
    np.testing.assert_allclose(frame[frame["step"] == "none"]["value"], 1)


def test_deletion_and_insertion_are_the_areas_under_the_models_own_logits(store: Store) -> None:
    """By the tower itself, step by step, for an order from the left to the right."""
    regime = store.regime("fine_tune")
    tower = ImageTower.load(store.encoder_folder(regime.encoder))
    pixels = tower.fit.apply(read_film(store.film(0)))
    weight = store.head(regime.name)[0][:1]
    film = sanity._Deletion(tower, pixels)
    columns = np.tile(np.arange(14), 14)
    gone, come = film.projections(np.argsort(columns, kind="stable"))
    for curve, kept in ((gone, np.arange(224) >= 0), (come, np.arange(224) < 0)):
        assert len(curve) == sanity.DELETION_STEPS + 1
        end = np.where(kept, pixels, film.blurred)
        np.testing.assert_allclose(curve[0], tower.unnormalised().embed(end[None], 1)[0], rtol=1e-3, atol=1e-4)
    third = sanity.patch_steps(np.argsort(columns, kind="stable"), sanity.DELETION_STEPS)[3].reshape(14, 14)
    shown = np.where(third.repeat(16, axis=0).repeat(16, axis=1), pixels, film.blurred)
    np.testing.assert_allclose(come[3], tower.unnormalised().embed(shown[None], 1)[0], rtol=1e-3, atol=1e-4)
    logits = tower.embed(shown[None], 1)[0] @ weight[0]
    assert sanity._area(np.repeat(come[3][None], 4, axis=0), weight[0], unit=True) == pytest.approx(logits, rel=1e-3)


def test_a_region_is_ordered_where_it_lies(store: Store) -> None:
    tower = ImageTower.load(store.encoder_folder("frozen"))
    region = np.zeros((192, 192), bool)
    region[:96, 96:] = True  # the upper right quarter of a square film
    shares = sanity._on_patches(sanity._as_seen(tower, region), 14)
    assert shares[:6, 8:].min() > 0.99
    assert shares[8:].max() < 0.01
    assert shares[:, :6].max() < 0.01


def test_the_page_shows_the_sanity_checks(store: Store, made: SaliencySet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(store.path.parent))
    app = open_sound_page("grad_cam", show="Proof")
    text = "\n".join(str(part.value) for part in app.markdown)
    assert text.count(f"too few films to say (n = {MARKED})") == len(store.regimes)
    table = app.dataframe[0].value
    assert list(table["Regime"]) == [regime.title for regime in store.regimes for _ in range(2)]
    assert set(table["Check"]) == {"Deletion", "Insertion"}
    assert all(n.startswith(f"{MARKED} of ") for n in table["n"])
    use = app.dataframe[1].value
    assert list(use["Regime"]) == [regime.title for regime in store.regimes]
    assert set(use["Region used"]) == {"too few to say"}


class OneLook:
    """An encoder that sees the brightness of one window of the film, and nothing else."""

    fit = Fit(size=56)

    def __init__(self, window: tuple[slice, slice]) -> None:
        self.window = window

    def unnormalised(self) -> OneLook:
        return self

    def embed(self, films: np.ndarray, batch_size: int) -> np.ndarray:
        return films[(slice(None), *self.window)].mean(axis=(1, 2), dtype=np.float32)[:, None]


@pytest.mark.parametrize(
    ("left", "mirrored"),
    [(4, True), (22, False)],  # beside the midline, and across it
)
def test_a_model_that_looks_at_the_region_loses_more_there(left: int, mirrored: bool) -> None:
    """The window lies on the finding, or where there is none: the planted truth, by the model itself."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(60, 80, (56, 56)).astype(np.uint8)
    finding = slice(20, 30), slice(left, left + 10)
    pixels[finding] = 250
    region = np.zeros((192, 192), bool)
    region[69:103, round(left * 192 / 56) : round((left + 10) * 192 / 56)] = True
    gaps = []
    for window in (finding, (slice(44, 54), slice(44, 54))):
        tower = OneLook(window)
        film = sanity._Deletion(tower, pixels)  # type: ignore[arg-type]
        blanked = sanity._occluded(film, region, np.random.default_rng(0))
        assert blanked is not None
        assert blanked[1] == mirrored
        _, at_region, *elsewhere = sanity._logits(blanked[0], np.ones(1, np.float32), unit=False)
        gaps.append(np.mean(elsewhere) - at_region)
    assert gaps[0] > 50
    assert abs(gaps[1]) < 5


def test_a_region_without_room_for_an_equal_one_is_left_out() -> None:
    tower = OneLook((slice(0, 9), slice(0, 9)))
    film = sanity._Deletion(tower, np.zeros((56, 56), np.uint8))  # type: ignore[arg-type]
    region = np.ones((192, 192), bool)
    region[:, :70] = False
    assert sanity._occluded(film, region, np.random.default_rng(0)) is None


def test_a_set_without_occlusion_opens_and_says_how_to_check_anew(
    store: Store, made: SaliencySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = made.path / layout.SALIENCY_RECORD
    before = record.read_text()
    record.write_text(before.replace('"checks": 2', '"checks": 1'))
    monkeypatch.setenv("EXPLORER_STORE", str(store.path.parent))
    app = open_sound_page("grad_cam", show="Sanity checks")
    record.write_text(before)
    assert any("blanked no regions" in info.value for info in app.info)
    assert len(app.dataframe) == 1


def test_checks_of_another_version_are_made_again(
    store: Store, checked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(saliency, "CHECKS", 3)
        assert make(store).record.checks == 3
    assert len(checked) == 1
    assert make(store).record.checks == 2


def test_checks_of_an_earlier_version_are_named_and_made_anew(
    store: Store, made: SaliencySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a folder holds its checks under another name, which the record lists."""
    checks, record = made.path / "sanity.parquet", made.path / "saliency.json"
    before = checks.read_bytes(), record.read_text()
    checks.rename(made.path / "proof.parquet")
    record.write_text(before[1].replace("sanity.parquet", "proof.parquet"))
    monkeypatch.setenv("EXPLORER_STORE", str(store.path.parent))
    app = open_sound_page("grad_cam", show="Sanity checks")
    assert "An earlier version checked these maps" in app.info[0].value
    (made.path / "proof.parquet").rename(checks)
    record.write_text(before[1])


def test_checks_are_made_again_only_where_marks_changed(store: Store, made: SaliencySet, checked: list[object]) -> None:
    make(store)
    assert checked == []
    annotations = all_annotations(store)
    test = annotations["row"].isin(store.rows("test")) & annotations["label"].isin(made.record.labels)
    fewer = annotations.drop(index=annotations.index[test][0])
    wanted = replace(plan_saliency(store, made.record.labels, "test", "grad_cam", None), **FEW)
    saliency.make_saliency(store, fewer, wanted, CPU, Reporter(Console(quiet=True), SALIENCY))
    assert len(checked) == 1


@pytest.mark.usefixtures("checked")
def test_a_killed_job_goes_on_where_it_stopped(
    store: Store, made: SaliencySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {name: np.array(made.maps("test", name)) for name in (r.name for r in store.regimes)}
    cut = made.path / layout.saliency_maps_file("test", store.regimes[0].name)
    cut.write_bytes(cut.read_bytes()[:-1])
    (made.path / "saliency.json").unlink()
    assert list_saliency(store) == [], "what has no record is not there"
    pieces, passes = saliency._piece, []

    def killed(*given: object) -> object:
        passes.append(1)
        raise KeyboardInterrupt

    monkeypatch.setattr(saliency, "_piece", killed)
    with pytest.raises(KeyboardInterrupt):
        make(store)
    assert len(passes) == 1, "validation was whole and is not made again"
    monkeypatch.setattr(saliency, "_piece", pieces)
    again = make(store)
    for name, maps in before.items():
        np.testing.assert_array_equal(again.maps("test", name), maps)
    monkeypatch.setattr(saliency, "_piece", killed)
    make(store)  # nothing left to make


@pytest.mark.usefixtures("checked")
def test_maps_of_another_models_scores_are_refused(
    store: Store, made: SaliencySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = made.path / layout.SALIENCY_RECORD
    before = record.read_text()
    monkeypatch.setattr(saliency, "_kept", lambda *given: None)
    monkeypatch.setattr(Store, "logits", lambda self, regime: np.full((self.n, len(self.labels)), 5, np.float32))
    with pytest.raises(UserError, match="a map would explain another score"):
        make(store)
    record.write_text(before)  # the maps themselves are as they were


def test_the_page_shows_the_figures(store: Store, made: SaliencySet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(store.path.parent))
    app = open_sound_page("grad_cam", show="Agreement")
    table = app.dataframe[0].value
    assert set(table["Label"]) == {*made.record.labels, loc.ALL}
    energy = loc.summarise_localisation(made.frame("agreement")).set_index(["label", "source", "metric"])["value"]
    shown = table.set_index("Label").loc[loc.ALL, "Full fine-tune"]
    assert shown.startswith(f"{energy[loc.ALL, 'fine_tune', 'energy']:.2f} [")


def test_the_runs_hashes_still_hold(store: Store, made: SaliencySet) -> None:
    assert not any(check_files(store))
    assert layout.saliency_root(store.path).parent == store.path.parent
    assert [one.path for one in list_saliency(store)] == [made.path]


def test_a_second_reader_shows_how_well_readers_agree(store: Store, made: SaliencySet) -> None:
    label = made.record.labels[0]
    marked = store.tables.annotations[
        (store.tables.annotations["label"] == label) & store.tables.annotations["row"].isin(store.rows("test"))
    ]
    first = marked.iloc[[0]]
    add_marks(store, first.assign(annotator="second reader").drop(columns="sample_id"), "app")
    frame = make(store).frame("agreement")
    other = frame[frame["source"] == loc.READER]
    assert other["row"].tolist() == first["row"].tolist()
    assert other["energy"].iloc[0] > 0.5


@pytest.mark.usefixtures("checked")
def test_who_found_nothing_is_a_reader_and_a_film_without_a_region_is_left_out_and_counted(
    store: Store, made: SaliencySet
) -> None:
    marked = store.tables.annotations[
        (store.tables.annotations["label"] == made.record.labels[0])
        & store.tables.annotations["row"].isin(store.rows("test"))
    ].drop_duplicates("row")
    first, second = marked.iloc[[0]], marked.iloc[[1]]
    unmarked = first.assign(row=int(np.setdiff1d(store.rows("test"), marked["row"])[0]))
    denials = [first.assign(annotator="R2"), *(second.assign(annotator=f"R{i}") for i in (2, 3)), unmarked]
    annotations = pd.concat([store.tables.annotations, *(one.assign(**NOTHING) for one in denials)])
    wanted = replace(plan_saliency(store, made.record.labels, "test", "grad_cam", None), **FEW)
    own = saliency.make_saliency(store, store.tables.annotations, wanted, CPU, Reporter(Console(quiet=True), SALIENCY))
    kept = own.frame("agreement").set_index(["row", "label", "source"])
    again = saliency.make_saliency(store, annotations, wanted, CPU, Reporter(Console(quiet=True), SALIENCY))
    frame = again.frame("agreement")
    mine = frame[frame["label"] == made.record.labels[0]]
    assert first["row"].iat[0] in set(mine["row"]), "one of two marked it: at least half"
    assert not {second["row"].iat[0], unmarked["row"].iat[0]} & set(mine["row"]), "two of three found nothing"
    assert (again.record.n_annotated, again.record.n_absent) == (made.record.n_annotated - 1, 2)
    between = frame[frame["source"] == loc.READER]
    assert between["row"].tolist() == first["row"].tolist()
    assert (between[list(loc.METRICS)] == 0).all(axis=None), "one marked what the other did not find"
    ours = frame[frame["source"] != loc.READER].set_index(["row", "label", "source"])
    pd.testing.assert_frame_equal(ours, kept.loc[ours.index])


@pytest.mark.usefixtures("checked")
def test_without_annotations_agreement_is_not_invented(store: Store, made: SaliencySet) -> None:
    wanted = replace(plan_saliency(store, made.record.labels, "test", "grad_cam", None), **FEW)
    none = store.tables.annotations.iloc[:0]
    bare = saliency.make_saliency(store, none, wanted, CPU, Reporter(Console(quiet=True), SALIENCY))
    assert bare.record.n_annotated == 0
    assert bare.frame("agreement").empty


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (({"labels": ["Dragon"]}), "no label 'Dragon'"),
        (({"block": 13}), "blocks 1 to 12"),
    ],
)
def test_a_wrong_plan_is_told(store: Store, given: dict[str, object], told: str) -> None:
    with pytest.raises(UserError, match=told):
        plan_saliency(store, **{"labels": (), "split": "test", "method": "grad_cam", "block": None, **given})  # type: ignore[arg-type]


def test_a_store_without_weights_is_told(store: Store, tmp_path: Path) -> None:
    opened = open_store(Path(shutil.copytree(store.path, tmp_path / store.path.name)))
    (opened.path / "encoders/frozen/image_tower.safetensors").unlink()
    with pytest.raises(UserError, match=r"frozen/image_tower\.safetensors .* is missing"):
        plan_saliency(opened, (), "test", "grad_cam", None)


def test_a_picture_of_the_film_is_the_film_reduced() -> None:
    fit = Fit(size=224)
    grid = np.random.default_rng(0).random((14, 14)).astype(np.float32)
    whole = fit.to_film(grid, 600, 900)
    small = fit.to_picture(grid, 600, 900, 200, 300)
    np.testing.assert_allclose(small, whole[1::3, 1::3], atol=1e-3)


def test_the_page_shows_these_maps_at_once_and_loads_no_model(
    store: Store, made: SaliencySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_model(*_: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setenv("EXPLORER_STORE", str(store.path.parent))
    monkeypatch.setattr(cache, "tower", no_model)
    film = str(store.samples["sample_id"].iat[store.rows("test")[3]])
    app = open_sound_page("grad_cam", film=film, label=made.record.labels[0])
    assert app.toggle(key="cam").value
    request = MapRequest(
        cache.run_key(store),
        int(store.rows("test")[3]),
        LabelLogits("fine_tune", made.record.labels[:1]),
        "grad_cam",
        (11,),
    )
    np.testing.assert_array_equal(saliency_maps(store, request).maps[0, 0], made.maps("test", "fine_tune")[3, 0])


# --- a sample --------------------------------------------------------------------------------------------------------

SAMPLE_FILMS = 2


@pytest.fixture(scope="module")
def sample_root(store: Store, made: SaliencySet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the run beside a set of a sample alone; the checks of the whole set stand for the sample's."""
    root = tmp_path_factory.mktemp("sampled") / "store"
    shutil.copytree(store.path, root / store.path.name)
    shutil.copytree(store.path.parent / "films", root / "films")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(saliency, "run_checks", lambda *_: made.frame("sanity"))
        make_of(open_store(root / store.path.name), made.record.labels, SAMPLE_FILMS)
    return root


@pytest.fixture
def sampled(sample_root: Path, checked: list[object], tmp_path: Path) -> tuple[Store, SaliencySet]:
    """A copy of it that may be changed."""
    root = Path(shutil.copytree(sample_root, tmp_path / "sampled"))
    opened = open_store(next(root.glob("*/manifest.json")).parent)
    (sample,) = list_saliency(opened)
    return opened, sample


def make_of(store: Store, labels: tuple[str, ...], films: int | None) -> SaliencySet:
    wanted = replace(plan_saliency(store, labels, "test", "grad_cam", None, films), **FEW)
    return saliency.make_saliency(store, store.tables.annotations, wanted, CPU, Reporter(Console(quiet=True), SALIENCY))


def test_a_samples_maps_are_the_whole_sets_and_its_figures_count_its_films(
    made: SaliencySet, sampled: tuple[Store, SaliencySet], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, sample = sampled
    annotations = store.tables.annotations
    annotations = annotations[annotations["label"].isin(made.record.labels)]
    for split in ("val", "test"):
        rows, whole = sample.rows(store, split), store.rows(split)
        assert len(rows) == SAMPLE_FILMS < len(whole)
        marked = np.isin(rows, annotations["row"]).sum()
        assert marked == min(SAMPLE_FILMS, np.isin(whole, annotations["row"]).sum()), "marked films come first"
        for regime in store.regimes:
            expected = made.maps(split, regime.name)[np.searchsorted(whole, rows)]
            np.testing.assert_array_equal(sample.maps(split, regime.name), expected)
    rows = sample.rows(store, "test")
    pairs = annotations[annotations["row"].isin(rows)].groupby(["row", "label"]).ngroups
    assert sample.record.n_annotated == pairs > 0
    assert set(sample.frame("agreement")["row"]) <= set(rows.tolist())
    monkeypatch.setenv("EXPLORER_STORE", str(store.path.parent))
    text = f"a sample of {SAMPLE_FILMS} of {len(store.rows('test'))} films in test"
    for show in ("Agreement", "Sanity checks"):
        app = open_sound_page("grad_cam", show=show)
        assert sum(text in caption.value for caption in app.caption) == 1, show
    assert not any(check_files(store))


def test_a_film_outside_the_sample_is_computed(
    sampled: tuple[Store, SaliencySet], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, sample = sampled
    rows = sample.rows(store, "test")
    outside = int(np.setdiff1d(store.rows("test"), rows)[0])
    computed = Saliency(np.full((1, 1, 14, 14), 7, np.float32), np.zeros(1, np.float32))
    monkeypatch.setattr(heatmaps, "_explain", lambda store, request: computed)

    def ask(row: int) -> Saliency:
        target = LabelLogits("fine_tune", sample.record.labels[:1])
        return saliency_maps(store, MapRequest(cache.run_key(store), row, target, "grad_cam", (11,)))

    for place, row in enumerate(rows.tolist()):
        np.testing.assert_array_equal(ask(row).maps[0, 0], sample.maps("test", "fine_tune")[place, 0])
    np.testing.assert_array_equal(ask(outside).maps, computed.maps)


def test_all_films_replace_a_sample_and_no_sample_replaces_them(
    made: SaliencySet, sampled: tuple[Store, SaliencySet], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, sample = sampled
    whole = make_of(store, sample.record.labels, None)
    assert [one.record.sample for one in list_saliency(store)] == [{}]
    for regime in store.regimes:
        np.testing.assert_array_equal(whole.maps("test", regime.name), made.maps("test", regime.name))

    def none(*_: object) -> None:
        raise AssertionError("maps were made again")

    monkeypatch.setattr(saliency, "_piece", none)
    assert make_of(store, sample.record.labels, SAMPLE_FILMS).record == whole.record


def test_a_record_of_an_earlier_version_is_of_all_films(store: Store, made: SaliencySet) -> None:
    earlier = made.record.model_dump(mode="json")
    del earlier["sample"]
    opened = SaliencySet(made.path, SaliencyRecord.model_validate(earlier))
    np.testing.assert_array_equal(opened.rows(store, "test"), store.rows("test"))
    assert opened.sample_text(store) == ""
    with pytest.raises(ValidationError, match="do not ascend"):
        SaliencyRecord.model_validate({**earlier, "sample": {"test": [3, 2]}})


@pytest.mark.usefixtures("checked")
def test_the_demo_ends_with_a_sample_and_is_complete_without(
    sampled: tuple[Store, SaliencySet], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = sampled
    monkeypatch.setattr(demo_sample, "SAMPLE_FILMS", 1)
    root = store.path.parent
    output = io.StringIO()
    reporter = Reporter(Console(file=output), SAMPLE, root)
    with reporter.job():
        demo_sample.make_sample(store, CPU, reporter)
    (made_set,) = list_saliency(store)
    assert {split: len(rows) for split, rows in made_set.record.sample.items()} == {"val": 1, "test": 1}
    assert made_set.record.labels == store.labels
    assert all(f"{stage}: done" in output.getvalue() for stage in SAMPLE)
    (store.path / "encoders/frozen/image_tower.safetensors").unlink()
    with reporter.job():
        demo_sample.make_sample(open_store(store.path), CPU, reporter)
    assert "The run is complete, but its Grad-CAM maps are not" in output.getvalue()
    progress = read_progress(root)
    assert progress is not None
    assert progress.state == "complete"


def test_stored_maps_that_have_changed_are_refused(store: Store, made: SaliencySet, tmp_path: Path) -> None:
    copy = tmp_path / made.path.name
    shutil.copytree(made.path, copy)
    file = copy / layout.saliency_maps_file("test", "fine_tune")
    file.write_bytes(file.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(UserError, match="content has changed"):
        SaliencySet(copy, made.record).maps("test", "fine_tune")
