"""Sets of one label, of two and of many, from end to end: a run, and every page on it."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
import torch
from PIL import Image
from rich.console import Console

from explorer.model.encoder import load_clip
from explorer.store.reader import Store
from precompute.commands.options import DEFAULT_REGIMES
from precompute.pipeline import precompute, stages_of
from precompute.prompts import read_prompt_sets
from precompute.regimes import choose_recipes
from precompute.reporter import Reporter
from precompute.run.job import Job
from precompute.settings import Settings
from precompute.sources import CsvOptions, read_csv
from tests.conftest import IN_DEPTH
from tests.pages import TITLES, assert_whole, open_sound_page, said

COUNTS = (1, 2, 100) if IN_DEPTH else (1,)
"""Two, and a hundred, whose run alone takes two minutes, with ``make fuzz``. The tiny store has 14."""
SETTINGS = Settings(epochs=1, permutations=5, resamples=20, penalties=(0.1,), losses=("plain",))


@pytest.fixture(scope="module", params=COUNTS)
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, small_encoder: Path) -> Store:
    """24 small films of noise, 24 patients, a third in each split; every label has positives and negatives there."""
    folder, n_labels, rng = tmp_path_factory.mktemp("films"), request.param, np.random.default_rng(request.param)
    labels = ["Pneumonia"] if n_labels == 1 else [f"Finding {i}" for i in range(n_labels)]
    with (folder / "labels.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "patient_id", "split", *labels])
        for i in range(24):
            Image.fromarray(rng.integers(0, 256, (40 + i, 50), dtype=np.uint8)).save(folder / f"{i}.png")
            targets = np.full(n_labels, i < 6) if i < 12 else rng.random(n_labels) < 0.4
            writer.writerow([f"{i}.png", f"p{i}", ("train", "val", "test")[i % 3], *targets.astype(int)])
    source = read_csv(CsvOptions(csv=folder / "labels.csv", images=folder))
    sets = read_prompt_sets(source.labels)
    clip = load_clip(f"local-dir:{small_encoder}", torch.device("cpu"))
    job = Job(source, clip, choose_recipes(DEFAULT_REGIMES), sets, SETTINGS, skip_bad=False, allow_empty=False)
    return precompute(job, folder / "store", Reporter(Console(quiet=True), stages_of(job.recipes, SETTINGS)))


def test_tables_of_pairs_have_every_pair(store: Store) -> None:
    n_labels, n_spaces = len(store.labels), store.tables.separability["space"].nunique()
    assert len(store.tables.confusability) == 2 * n_spaces * n_labels * (n_labels - 1)
    assert set(store.tables.separability["label"]) >= set(store.labels)


@pytest.mark.parametrize("page", TITLES)
def test_every_page_opens(store: Store, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(store.path.parent))
    st.cache_data.clear()
    st.cache_resource.clear()
    assert_whole(open_sound_page(page), TITLES[page])


@pytest.mark.parametrize(
    ("page", "query"), [("dataset", {}), ("separability", {"part": "confused"}), ("pr_curves", {"view": "together"})]
)
def test_a_page_of_pairs_says_that_there_are_none(
    store: Store, page: str, query: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPLORER_STORE", str(store.path.parent))
    text = said(open_sound_page(page, **query))
    assert ("This run has one label, so there are no pairs of labels." in text) == (len(store.labels) == 1)
