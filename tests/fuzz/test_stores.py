"""Thousands of damaged stores, each from its seed: whatever is wrong, opening and reading raises UserError or nothing.

One file of a run is damaged at a time. In every second case the manifest vouches for the damage, as that of a hostile
store would. ``FUZZ_CASES`` sets how many (``make fuzz``: many more), ``FUZZ_FIRST`` the first seed.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import os
import random
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from explorer.errors import UserError
from explorer.store import latest_run, open_store
from explorer.store.files import write_array, write_frame, write_json
from explorer.store.folder import DamagedFile, RunFolder
from explorer.store.manifest import SaliencyRecord
from explorer.store.progress import read_progress
from explorer.store.reader import Store
from explorer.store.saliency import list_saliency
from explorer.store.schemas import SALIENCY_COLUMNS
from explorer.store.verify import readings
from explorer.ui.shared import frame
from explorer.ui.shared.frame import errors_shown
from tests.fuzz.test_films import damaged_bytes
from tests.pages import TITLES, as_read, open_page
from tests.planted import VIEWS

CASES = int(os.environ.get("FUZZ_CASES", "300"))
FIRST = int(os.environ.get("FUZZ_FIRST", "0"))

MANIFEST = "manifest.json"
BESIDE = ("../LATEST", "../progress.json")
"""Files of the store that no manifest lists."""

NEEDED_BY_VIEW = {
    "Words": r"prompts/.*",
    "Prompt lab": r"prompts/.*|encoders/frozen/embeddings\.npy|regimes/zero_shot/training\.json",
    "One label": r"metrics\.parquet",
    "Thresholds": r"regimes/.*/(logits\.npy|thresholds\.json)",
    "Regimes": r"encoders/frozen/image_tower\.safetensors",
    "Leaks": r"audit/copies/pairs\.parquet",
    "Shortcuts": r"audit/shortcuts/attributes\.json",
    "Label errors": r"audit/labels/linear_probe/.*",
    "Out of distribution": r"audit/outliers/percentiles\.npy",
    "Mark": r"annotations\.parquet",
    "Cluster": r"spaces/.*/clusters\.npy",
    "abstain": r"regimes/.*/(logits\.npy|thresholds\.json)",
    "Every label": r"encoders/frozen/image_tower\.safetensors",
}
"""By view, the files that all of it is about, or that its controls need. Every page needs its samples."""

VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        -1,
        0,
        1,
        2**40,
        10**400,
        0.5,
        1e308,
        float("inf"),
        float("nan"),
        "",
        "x",
        "/",
        "..",
        "a\0b",
        "\u202e",
    ),
    *([], [[]], {}, {"x": 1}, ["x"] * 3, [0.5] * 300, "../../etc/passwd", "x" * 5000, "2.0", "\ud800"),
)


@pytest.fixture(scope="module")
def run(tiny_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in a copy of the store without its films, with a set of saliency maps and a finished job's progress."""
    root = tmp_path_factory.mktemp("fuzz") / "store"
    shutil.copytree(tiny_store, root, ignore=shutil.ignore_patterns("films"))
    run = root / (root / "LATEST").read_text().strip()
    write_saliency(Store(run))
    return run


def write_saliency(store: Store) -> None:
    folder = store.path.with_name(f"{store.path.name}.saliency") / "grad_cam-block12"
    shape = len(store.rows("test")), len(store.labels), 4, 4
    write_array(folder / "maps/test/zero_shot.npy", np.zeros(shape, np.float32))
    for name, columns in SALIENCY_COLUMNS.items():
        given = dict.fromkeys(("label", "source", "regime", "check", "step"), "x") | {"silent": False}
        write_frame(folder / f"{name}.parquet", pd.DataFrame({c: [given.get(c, 1)] * 3 for c in columns}))
    hashes = {str(p.relative_to(folder)): digest(p.read_bytes()) for p in folder.rglob("*.*")}
    record = SaliencyRecord(
        run_id=store.run_id,
        run_created=store.manifest.created,
        method="grad_cam",
        block=12,
        split="test",
        labels=store.labels,
        shares={},
        n_annotated=0,
        sha256=hashes,
    )
    write_json(folder / "saliency.json", record.model_dump(mode="json"))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# --- damage ------------------------------------------------------------------------------------------------------


def damaged_json(rng: random.Random, data: bytes) -> bytes:
    """JSON with a value replaced, often by one of its own type, left out, doubled or nested beyond the stack."""
    if rng.random() < 0.05:
        return rng.choice((b"", b"[]", b"1", b"[" * 100_000, b'{"a":' * 100_000, data[:-3] + b',"a":' + b"[" * 2000))
    value = json.loads(data)
    places = places_of(value)
    holder, key = rng.choice(places if rng.random() < 0.6 else [place for place in places if place[0] is value])
    match rng.randrange(6):
        case 0:
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(rng.randrange(len(holder) + 1), holder[key])
        case 2:
            holder[key] = rng.choice(VALUES)
        case _:
            same = [v for v in (*(h[k] for h, k in places), *VALUES) if type(v) is type(holder[key])]
            holder[key] = copy.deepcopy(rng.choice(same))
    return json.dumps(value).encode()


def places_of(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a value within it: what holds it, and its key or index there."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in ((value, key), *places_of(value[key]))]


def damaged_array(rng: random.Random, data: bytes) -> bytes:
    """An array of another type, order, shape or length, or with figures out of every range."""
    array = np.load(io.BytesIO(data))
    match rng.randrange(8):
        case 0:
            array = array.astype(rng.choice(("float64", "float16", "int8", "uint64", "complex64", ">f4", "U3", "V4")))
        case 1:
            array = np.asfortranarray(array)
        case 2:
            array = array.reshape(-1) if rng.random() < 0.5 else array.T
        case 3:
            array = array[: rng.randrange(len(array))]
        case 4:
            array = np.concatenate([array, array])
        case 5:
            array = np.array([{"a": 1}], dtype=object) if rng.random() < 0.5 else np.float32(3)
        case 6:
            array = array.copy()
            extremes = (np.nan, np.inf, -1e30) if array.dtype.kind == "f" else (np.iinfo("int8").min, 127)
            array.reshape(-1)[rng.randrange(array.size)] = rng.choice(extremes)
        case _:
            array = array.astype([("a", array.dtype)])
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asanyarray(array), rng.choice(((1, 0), (2, 0), None)), allow_pickle=True)
    return out.getvalue()


def damaged_table(rng: random.Random, data: bytes) -> bytes:
    """A table with a column of another type, name or value, or with more or fewer rows."""
    frame = pd.read_parquet(io.BytesIO(data))
    name = rng.choice(list(frame.columns))
    match rng.randrange(7):
        case 0:
            del frame[name]
        case 1:
            frame = frame.rename(columns={name: rng.choice((name + " ", "", "x.y", "row"))})
        case 2:
            values = (1, "x", -1.5, None, pd.Timestamp("2020-01-01"), b"\xff", [1.0], {"a": 1}, True, 2**62)
            frame[name] = [rng.choice(values)] * len(frame)
        case 3 if len(frame):
            frame[name] = frame[name].astype(object)
            frame.loc[rng.randrange(len(frame)), name] = None
        case 4:
            frame = pd.concat([frame, frame])
        case 5:
            frame = frame[: len(frame) // 2]
        case _:
            frame[name] = frame[name].astype("category") if name != "polygon" else None
    frame = frame.loc[:, ~frame.columns.duplicated()]
    out = io.BytesIO()
    frame.to_parquet(out, index=rng.random() < 0.5, compression=rng.choice(("snappy", "zstd", None)))
    return out.getvalue()


BY_KIND: dict[str, Callable[[random.Random, bytes], bytes]] = {
    ".json": damaged_json,
    ".npy": damaged_array,
    ".parquet": damaged_table,
}


def damaged(rng: random.Random, path: str, data: bytes) -> bytes:
    by_kind = BY_KIND.get(Path(path).suffix)
    if rng.random() < 0.06:
        return data[: rng.randrange(len(data))] if rng.random() < 0.7 else b""
    return by_kind(rng, data) if by_kind and rng.random() < 0.5 else damaged_bytes(rng, data)


# --- reading -----------------------------------------------------------------------------------------------------


def all_readings(store: Store) -> Iterator[Callable[[], object]]:
    """What the pages and the models on demand read of a run."""
    yield from readings(store)
    for encoder in store.manifest.encoders:
        yield lambda encoder=encoder: store.encoder_folder(encoder.id)


def saliency_readings(store: Store) -> Iterator[Callable[[], object]]:
    for one in list_saliency(store):
        yield lambda one=one: one.maps("test", "zero_shot")
        yield lambda one=one: one.frame("agreement")
        yield lambda one=one: one.frame("sanity")


def readers_of_each_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Which of ``all_readings`` need a file, by its path."""
    readers: dict[str, list[int]] = {}
    file = RunFolder.file
    for place in range(len(list(all_readings(Store(run))))):
        fresh = Store(run)  # what it keeps, it would not read again
        with monkeypatch.context() as patch:
            patch.setattr(
                RunFolder,
                "file",
                lambda self, path, place=place: readers.setdefault(path, []).append(place) or file(self, path),
            )
            list(all_readings(fresh))[place]()
    return readers


def read_files(run: Path, places: list[int]) -> list[UserError]:
    """Open the run, read these parts of it, and return what was refused."""
    refused: list[UserError] = []
    try:
        store = Store(run)
    except UserError as error:
        return [error]
    parts = list(all_readings(store))
    for place in places:
        try:
            if place < len(parts):
                parts[place]()
        except UserError as error:
            refused.append(error)
    return refused


def read_beside(run: Path) -> list[UserError]:
    """Read what lies beside the run."""
    try:
        latest_run(run.parent)
        read_progress(run.parent)
        for read in saliency_readings(open_store(run)):
            read()
    except UserError as error:
        return [error]
    return []


# --- the tests ---------------------------------------------------------------------------------------------------


def test_a_damaged_file_is_refused_by_name_or_harmless(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readers = readers_of_each_file(run, monkeypatch)
    manifest = json.loads((run / MANIFEST).read_text())
    assert set(manifest["artefacts"]) == set(readers), "every file of a run is read by something"
    beside = [os.path.relpath(p, run) for p in run.with_name(f"{run.name}.saliency").rglob("*.*") if p.is_file()]
    paths = [*readers, *[MANIFEST] * 30, *(*BESIDE, *beside) * 2]
    refused = 0
    for seed in range(FIRST, FIRST + CASES):
        rng = random.Random(seed)
        path = rng.choice(paths)
        try:
            refused += one_case(rng, run, manifest, path, readers)
        except Exception as error:
            error.add_note(f"Seed {seed}, {path}. Once more: FUZZ_FIRST={seed} FUZZ_CASES=1")
            raise
    if CASES >= 300:
        assert 0.5 * CASES < refused < 0.97 * CASES, f"{refused} of {CASES} refused: damage too weak or too strong"


@np.errstate(all="ignore")  # figures out of every range are what is tried
def one_case(rng: random.Random, run: Path, manifest: dict[str, Any], path: str, readers: dict[str, list[int]]) -> bool:
    """Damage one file, read what needs it, and put all back; whether anything was refused."""
    file, listed = run / path, (run / MANIFEST).read_bytes()
    data = file.read_bytes()
    changed = damaged(rng, path, data)
    vouched = path in readers and rng.random() < 0.5
    file.write_bytes(changed)
    try:
        if vouched:
            artefact = {**manifest["artefacts"][path], "bytes": len(changed), "sha256": digest(changed)}
            named = {**manifest, "artefacts": {**manifest["artefacts"], path: artefact}}
            (run / MANIFEST).write_text(json.dumps(named))
        if path in readers:
            refused = read_files(run, readers[path])
        else:
            refused = read_files(run, rng.sample(range(90), 5) if path == MANIFEST else []) or read_beside(run)
        if path in readers and changed != data:
            assert all(isinstance(error, DamagedFile) for error in refused), refused
            if not vouched:
                with pytest.raises(DamagedFile) as caught:
                    Store(run).check_hash(path)
                assert caught.value.file == path
                if not path.endswith((".npy", ".bin", ".faiss")):  # those are mapped, and hashed in the background
                    assert path in {error.file for error in refused if isinstance(error, DamagedFile)}
    finally:
        file.write_bytes(data)
        (run / MANIFEST).write_bytes(listed)
    return bool(refused)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + min(max(1, CASES // 500), 50)))
def test_a_page_draws_or_names_the_damaged_file(run: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some files damaged at once, and every page opened; the manifest vouches for none."""
    rng = random.Random(seed)
    monkeypatch.setenv("EXPLORER_STORE", str(run.parent))
    st.cache_data.clear()
    st.cache_resource.clear()
    paths = rng.sample(sorted(Store(run).artefacts), 12)
    before = {path: (run / path).read_bytes() for path in paths}
    refused = 0
    try:
        for path, data in before.items():
            (run / path).write_bytes(damaged(rng, path, data))
        for page in TITLES:
            app = open_page(
                page, audit=rng.choice(("leaks", "shortcuts", "subgroups", "slices", "labels", "outliers", "hard"))
            )
            assert not app.exception, (seed, page, app.exception)
            named = [f"The file {path} of the run {run.name} is damaged" for path in paths]
            for error in app.error:
                if "is not on this machine" in error.value:  # the copy is without its films
                    continue
                assert any(name in as_read(error.value) for name in named), error.value
                refused += 1
    finally:
        for path, data in before.items():
            (run / path).write_bytes(data)
    assert refused, "the pages read none of the damaged files"


class Panels:
    """Which panels of a page were drawn whole, which met an error, and which panel each stands in."""

    def __init__(self) -> None:
        self.whole: set[str] = set()
        self.failed: set[str] = set()
        self.inside: dict[str, str | None] = {}
        self._open: list[str] = []

    @contextmanager
    def guard(self, name: str) -> Iterator[None]:
        self.inside[name] = self._open[-1] if self._open else None
        self._open.append(name)
        try:
            with errors_shown():
                try:
                    yield
                except UserError:
                    self.failed.add(name)
                    raise
                self.whole.add(name)
        finally:
            self._open.pop()

    def outside_of(self, failed: set[str]) -> set[str]:
        """The panels that were drawn, but for those that failed and what stands in them."""
        return {name for name in self.whole if not failed & set(self._way_to(name))}

    def _way_to(self, name: str | None) -> Iterator[str]:
        while name is not None:
            yield name
            name = self.inside[name]


def drawn(page: str, query: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> tuple[AppTest, Panels, set[str]]:
    """A page opened by a first visitor: its panels, and the files of the run that were read."""
    st.cache_data.clear()
    st.cache_resource.clear()
    panels, files, file = Panels(), set[str](), RunFolder.file

    def guard() -> AbstractContextManager[None]:
        draw = sys._getframe(1).f_locals.get("draw")  # a panel's function; the page itself has none
        return panels.guard(draw.__qualname__) if draw else errors_shown()

    with monkeypatch.context() as patch:
        patch.setattr(frame, "errors_shown", guard)
        patch.setattr(RunFolder, "file", lambda self, path: files.add(path) or file(self, path))
        return open_page(page, **query), panels, files


def test_a_damaged_file_leaves_the_panels_that_do_not_need_it(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every file that a view reads, damaged alone; of many views' files, one in six unless there is time."""
    monkeypatch.setenv("EXPLORER_STORE", str(run.parent))
    rng = random.Random(FIRST)
    opened, down = 0, []
    for page, query in (*VIEWS, ("case", {})):
        app, sound, files = drawn(page, query, monkeypatch)
        assert not app.exception, (page, query, app.exception)
        before = {error.value for error in app.error}  # the copy is without its films
        for path in sorted(files):
            if CASES < 10_000 and rng.random() > 1 / 6:
                continue
            data = (run / path).read_bytes()
            (run / path).write_bytes(data[:-1])
            try:
                app, panels, _ = drawn(page, query, monkeypatch)
            finally:
                (run / path).write_bytes(data)
            where = (page, query, path)
            assert not app.exception, (*where, app.exception)
            errors = {error.value for error in app.error} - before
            named = f"The file {path} of the run {run.name} is damaged"
            assert all(named in as_read(error) for error in errors), (*where, errors)
            assert errors or path.endswith(".faiss"), where  # an index is built again, and the page says so
            lost = sound.outside_of(panels.failed) - panels.whole
            needed = NEEDED_BY_VIEW.get([*query.values(), page][0], "") + "|samples.parquet"
            down += [(*where, lost)] if lost and not re.fullmatch(needed, path) else []
            opened += 1
    assert not down
    assert opened > 20


def test_the_store_is_in_order_before_the_damage(run: Path) -> None:
    store = Store(run)
    assert len(list(saliency_readings(store))) == 3
    for read in (*all_readings(store), *saliency_readings(store)):
        read()
