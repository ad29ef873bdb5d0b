"""Every figure of every page has its Download: a picture that is whole, its data, and how to cite it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from explorer.figures.print import MIME, WIDTHS, Words
from explorer.store.reader import Store
from explorer.tables import cite
from explorer.ui.shared import download
from tests.conftest import IN_DEPTH, ROOT
from tests.figures.printed import drawn, faults
from tests.pages import open_sound_page

VIEWS = (
    ("overview", {"figures": "true"}),
    ("dataset", {}),
    ("map", {}),
    ("map", {"colour": "labels", "label": "cardiomegaly", "signs": "centroids", "doubtful": "true"}),
    ("map", {"colour": "score", "space": "decision", "label": "cardiomegaly"}),
    ("separability", {}),
    ("board", {}),
    ("neighbours", {}),
    ("neighbours", {"show": "lists"}),
    ("pr_curves", {}),
    ("pr_curves", {"view": "one", "label": "no-finding"}),
    ("pr_curves", {"view": "one", "label": "no-finding", "curve-kind": "roc"}),
    ("pr_curves", {"view": "thresholds", "label": "no-finding"}),
    ("pr_curves", {"view": "calibration", "label": "no-finding"}),
    ("pr_curves", {"view": "elsewhere", "label": "no-finding"}),
    ("pr_curves", {"view": "triage", "label": "no-finding"}),
    ("pr_curves", {"view": "abstain", "label": "no-finding"}),
    ("pr_curves", {"view": "together"}),
    ("case", {"maps": "true"}),
    ("audit", {"audit": "outliers"}),
    ("audit", {"audit": "shortcuts"}),
    ("audit", {"audit": "subgroups", "label": "no-finding"}),
    ("audit", {"audit": "slices"}),
    ("protocols", {}),
)


@pytest.fixture
def offers(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[download.About, download.Panels, download.Data]]]:
    """What the pages opened in a test would let one download."""
    made: list[tuple[download.About, download.Panels, download.Data]] = []
    monkeypatch.setattr(download, "offer", lambda view, about, panels, data, *, key: made.append((about, panels, data)))
    yield made


def charts(app: AppTest) -> int:
    return len(app.get("plotly_chart")) + sum('class="still"' in part.proto.body for part in app.get("html"))


@pytest.mark.parametrize(("page", "query"), VIEWS)
def test_every_figure_prints_whole(store: Store, offers: list, page: str, query: dict[str, str]) -> None:
    app = open_sound_page(page, **query)
    assert offers, "a view without a figure shows nothing here"
    assert sum(len(panels()) for _, panels, _ in offers) >= charts(app), "a figure of the page is in none"
    check_files(store, offers)


def test_every_picture_of_the_story_prints_whole(store: Store, offers: list, sure_label: str) -> None:
    open_sound_page("overview")
    titles = [about.title[0] for about, _, _ in offers]
    assert titles[:5] == ["Average precision", "Labels predicted per film", "Map", "Map", "PR curves"]
    assert len(titles) == 6, "and the pair of labels"
    check_files(store, offers)
    story = offers[5][2]()
    assert story.shape == (2, 4), "films of two labels: true and predicted"


def check_files(store: Store, offers: list) -> None:
    for about, panels, data in offers:
        words = Words(" · ".join(about.title), about.n, about.caption, store.manifest.run_id, "")
        assert re.search(r"\d", about.n), f"{about.title} says no n"
        assert about.caption, f"{about.title} has no caption"
        for width in WIDTHS if IN_DEPTH else WIDTHS[:1]:  # the narrow one; tests/figures prints both
            assert faults(drawn(panels(), width, words), width) == [], about.title
        frame = data()
        assert isinstance(frame, pd.DataFrame)
        assert len(frame), about.title


def test_no_figure_is_drawn_without_its_download() -> None:
    """Plotly's own button gives a picture without title, n or legend."""
    calls = {
        file.relative_to(ROOT).as_posix()
        for file in (ROOT / "explorer/ui").rglob("*.py")
        if ".plotly_chart(" in file.read_text(encoding="utf-8")
    }
    assert calls == {"explorer/ui/shared/download.py"}


def test_a_popover_is_empty_until_it_is_opened(store: Store) -> None:
    app = open_sound_page("pr_curves", view="one", label="no-finding")
    assert not app.get("download_button")
    app.session_state["download-curve"] = True
    app.run()
    names = [button.proto.label for button in app.get("download_button")]
    assert names == [*[kind.upper() for kind in MIME] * len(WIDTHS), "CSV, the data", "BibTeX"]
    texts = [code.value for code in app.code]
    assert texts[0].startswith("PR curves · No Finding · test. n = ")
    for name in ("view=one", "label=no-finding", f"run={store.manifest.run_id}"):
        assert name in texts[1]
    assert store.manifest.run_id in texts[2]
    assert cite.hashes(store)["manifest, SHA-256"] in texts[2]
    assert "2506.14136" in texts[3]


def test_a_file_says_what_it_is(store: Store) -> None:
    stem = download.file_stem(store, ("PR curves", "Lung Opacity", "test"))
    assert stem == f"pr-curves_lung-opacity_test_{store.manifest.run_id}"


def test_citations_name_the_encoder_and_the_set_as_the_store_does(store: Store) -> None:
    manifest = store.manifest
    demo = cite.bibtex(manifest)
    assert demo.count("@") == 4
    assert manifest.encoders[0].weights_sha256 in demo
    assert manifest.dataset.fingerprint in demo
    encoder = manifest.encoders[0].model_copy(update={"title": "BiomedCLIP-PubMedBERT_256"})
    dataset = manifest.dataset.model_copy(update={"name": r"50% \emph{set} & more"})
    other = cite.bibtex(manifest.model_copy(update={"encoders": (encoder,), "dataset": dataset}))
    assert "10.1056/AIoa2400640" in other
    assert manifest.encoders[0].weights_sha256 not in other
    assert r"50\% \textbackslash{}emph\{set\} \& more" in other
    iu = manifest.dataset.model_copy(update={"name": "IU-Xray"})
    assert "10.1093/jamia/ocv080" in cite.bibtex(manifest.model_copy(update={"dataset": iu}))
