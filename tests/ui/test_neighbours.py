"""The neighbours page: search by film, words, selection and upload, and what it refuses."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from explorer.analysis.neighbours import decision_row, decision_vectors, search
from explorer.data.saliency_map import Saliency
from explorer.figures.style import number
from explorer.model.saliency.tokens import Tokens
from explorer.store.reader import Store
from explorer.ui.models import heatmaps, inference
from explorer.ui.neighbours.query import mean_direction
from explorer.ui.shared import cache, selection
from tests import pages
from tests.conftest import ENCODER
from tests.pages import as_read, said

open_page = partial(pages.open_page, "neighbours")


def results(app: AppTest, store: Store) -> list[str]:
    """Ids of the films found, in the page's order."""
    ids = set(store.samples["sample_id"])
    tiles = [str(part.value).split("\n")[1].strip() for part in app.markdown if str(part.value).startswith("**0.")]
    tiles += [str(part.value).split("\n")[1].strip() for part in app.markdown if str(part.value).startswith("**1.")]
    assert set(tiles) <= ids
    return tiles


def test_the_stores_index_is_the_brute_force_over_its_vectors(store: Store) -> None:
    for space in store.manifest.spaces:
        vectors, index = np.asarray(store.vectors(space.name)), store.index(space.name)[0]
        for row in range(0, store.n, 7):
            barred = store.patients == store.patients[row]
            rows, similarities = search(index, vectors[row], 9, barred)
            brute = np.where(barred, -np.inf, vectors @ vectors[row])
            np.testing.assert_allclose(similarities, np.sort(brute)[::-1][:9], atol=1e-5)
            np.testing.assert_allclose(brute[rows], similarities, atol=1e-5)


def test_a_page_whose_index_is_lost_says_so_and_finds_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = results(open_page(), store)
    copy = tmp_path / "store" / store.path.name
    shutil.copytree(store.path, copy)
    (copy / "spaces/frozen/index.faiss").unlink()
    monkeypatch.setenv("EXPLORER_STORE", str(copy.parent))
    app = open_page()
    assert not app.exception
    assert not app.error
    assert "spaces/frozen/index.faiss is damaged: it is missing. The index was built again in memory" in said(app)
    assert results(app, store) == whole


def test_label_prompts_search_without_a_text_tower(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inference, "SHIPPED", tmp_path)
    label = "Cardiomegaly"
    app = open_page(by="Words", label=label)
    assert not app.exception
    assert not app.error
    best = int(np.asarray(store.logits("zero_shot"))[:, store.labels.index(label)].argmax())
    assert results(app, store)[0] == store.samples["sample_id"].iat[best], "the order is zero-shot's own"


def test_a_sentence_needs_the_text_tower_and_says_where_to_get_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(inference, "SHIPPED", tmp_path)
    app = open_page(by="Words", prompts="My own", text="a big heart")
    assert not app.exception
    assert "needs the text tower" in as_read(app.error[0].value)
    assert "EXPLORER_ENCODER=local-dir:DIR" in as_read(app.error[0].value)


def test_another_encoder_than_the_runs_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPLORER_ENCODER", f"local-dir:{ENCODER}")
    record = store.manifest.encoders[0].model_copy(update={"weights_sha256": "0" * 64})
    other = store.manifest.model_copy(update={"encoders": (record, *store.manifest.encoders[1:])})
    monkeypatch.setattr(store, "manifest", other)
    with pytest.raises(Exception, match="its weights differ"):
        inference.text_encoder(store)


def test_a_sentence_of_ones_own_is_embedded_as_precompute_embeds(store: Store) -> None:
    text = store.texts[5]
    np.testing.assert_allclose(inference.text_encoder(store).embed_text([text])[0], store.text_vectors()[5], atol=1e-5)
    app = open_page(by="Words", prompts="My own", text="a large heart with fluid")
    assert not app.exception
    assert not app.error
    assert results(app, store)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * 10_000, "This address asks for what this page does not know: text"),
        ("心臓が大きい", "knows no word"),
        ("!?%&" * 20, ""),
    ],
)
def test_sentences_that_cannot_be_read_are_told(store: Store, text: str, message: str) -> None:
    app = open_page(by="Words", prompts="My own", text=text)
    assert not app.exception
    assert message in said(app)


def test_a_sentence_from_a_link_is_shown_as_text_not_as_markup(store: Store) -> None:
    app = open_page(by="Words", prompts="My own", text="heart [here](http://elsewhere.example) :red[now]")
    assert not app.exception
    assert not app.error
    texts = "\n".join(part.value for part in [*app.markdown, *app.caption])
    assert r"\[here\]" in texts
    assert "[here](" not in texts


def test_an_empty_sentence_asks_for_one(store: Store) -> None:
    app = open_page(by="Words", prompts="My own", text="   ")
    assert not app.exception
    assert "Any sentence" in said(app)


def test_the_middle_of_a_selection_is_searched_without_its_films(store: Store) -> None:
    rows = store.rows("test")[:4]
    app = open_page(by="Selection")
    assert "Nothing is selected" in said(app)
    token = selection.pack(store.manifest.run_id, store.n, rows, "four films")
    app = open_page(by="Selection", sel=token)
    assert not app.exception
    assert "the middle of four films, 4 films" in said(app)
    ids = results(app, store)
    assert ids
    assert not set(ids) & set(store.samples["sample_id"].iloc[rows])


def upload(app: AppTest, name: str, data: bytes) -> AppTest:
    return app.file_uploader[0].set_value((name, data, "image/png")).run()


def test_an_uploaded_film_of_the_set_finds_itself(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    row = int(store.rows("test")[2])
    app = upload(open_page(by="Upload"), "mine.png", store.film(row).read_bytes())
    assert not app.exception
    assert not app.error
    first = [part.value for part in app.markdown if str(part.value).startswith("**1.000**")]
    assert len(first) == len({regime.encoder for regime in store.regimes}), "each encoder embeds it as precompute did"
    assert all(str(store.samples["sample_id"].iat[row]) in value for value in first)
    assert "Farther from the training films than" in said(app)
    assert list(tmp_path.iterdir()) == [], "nothing is written to disk"


def test_an_upload_is_scored_as_precompute_scores_it(store: Store) -> None:
    row = int(store.rows("test")[1])
    upload = inference.embed_upload(store, "mine.png", store.film(row).read_bytes())
    for name, logits in upload.logits(store).items():
        np.testing.assert_allclose(logits, store.logits(name)[row], atol=1e-3)
        weight, bias = store.head(name)
    regimes = tuple(regime.model_copy(update={"unit": False}) for regime in store.regimes)
    paper = Store(store.path)
    paper.regimes = regimes
    last = regimes[-1]
    read = upload.projections[last.encoder]
    assert abs(np.linalg.norm(read) - 1) > 0.01
    np.testing.assert_allclose(upload.logits(paper)[last.name], weight @ read + bias, atol=1e-5)


def test_an_upload_stays_in_its_own_session(store: Store) -> None:
    mine = upload(open_page(by="Upload"), "mine.png", store.film(0).read_bytes())
    other = open_page(by="Upload")
    assert results(mine, store)
    assert not results(other, store)
    assert "your film" not in said(other)
    gone = mine.file_uploader[0].set_value(None).run()
    assert not results(gone, store)


def test_an_upload_that_is_no_film_is_told_why(store: Store) -> None:
    app = upload(open_page(by="Upload"), "notes.txt", b"not an image")
    assert not app.exception
    assert "notes.txt cannot be used: it is not a PNG, JPEG or DICOM image" in as_read(app.error[0].value)


def test_uploads_are_decoded_one_at_a_time(store: Store) -> None:
    assert inference._turn() is inference._turn(), "one turn for all sessions"
    with pytest.raises(Exception, match="empty"):
        inference.embed_upload(store, "a.png", b"")
    assert not inference._turn().locked(), "a refused upload gives its turn back"


def test_sentences_that_cancel_out_have_no_direction() -> None:
    with pytest.raises(Exception, match="cancel"):
        mean_direction(np.array([[1, 0], [-1, 0]], dtype=np.float32))


# --- explain ---------------------------------------------------------------------------------------------------------


def test_a_link_explains_a_result_beside_the_film_asked_for(store: Store) -> None:
    ids = store.samples["sample_id"].astype(str)
    row, other = (int(row) for row in store.rows("test")[:2])
    app = open_page(film=ids[row], explain=ids[other])
    assert not app.exception
    assert not app.error
    text = said(app)
    for space in ("frozen", "fine_tune"):
        vectors = np.asarray(store.vectors(space))
        assert f"cosine {number(vectors[row] @ vectors[other], 3)}" in text
        for film, towards in ((row, other), (other, row)):
            target = heatmaps.Likeness.to(space, vectors[towards])
            request = heatmaps.MapRequest(cache.run_key(store), film, target, "grad_cam", (11,))
            saliency = cache.model_queue().answers.get(request)
            assert isinstance(saliency, Saliency)
            cosine = vectors[row] @ vectors[other]
            assert saliency.logits[0] == pytest.approx(cosine, abs=1e-3), "the target is the cosine"
            assert saliency.maps.max() > 0
    assert "each film raises its likeness to the other" in text


def test_a_label_can_be_explained_in_place_of_the_likeness(store: Store) -> None:
    ids = store.samples["sample_id"].astype(str)
    row, other = (int(row) for row in store.rows("test")[:2])
    label = store.labels[2]
    app = open_page(film=ids[row], explain=ids[other], why=label)
    assert not app.exception
    assert not app.error
    text = said(app)
    for regime in store.regimes:
        for film in (row, other):
            assert f"logit {number(store.logits(regime.name)[film, 2])} · threshold" in text


@pytest.mark.parametrize("query", [{"by": "Words", "label": "Cardiomegaly"}, {"by": "Selection"}])
def test_words_and_selections_explain_the_result_alone(store: Store, query: dict[str, str]) -> None:
    ids = store.samples["sample_id"].astype(str)
    sel = selection.pack(store.manifest.run_id, store.n, store.rows("test")[:3], "three")
    app = open_page(explain=ids[0], sel=sel, **query)
    assert not app.exception
    assert not app.error
    assert "its likeness to what was asked for" in said(app)


def test_the_explain_button_writes_the_link_and_a_foreign_one_is_told(store: Store) -> None:
    app = open_page()
    first = results(app, store)[0]
    next(button for button in app.button if button.label == "Explain").click().run()
    assert not app.exception
    assert app.query_params["explain"] == first
    assert "does not know: explain nobody." in said(open_page(explain="nobody"))


def test_an_upload_is_explained_and_nobody_else_holds_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    row = int(store.rows("test")[1])
    app = upload(open_page(by="Upload", explain="*", why_own=store.labels[2]), "mine.png", store.film(row).read_bytes())
    assert not app.exception
    assert not app.error
    text = said(app)
    assert all(f"logit {number(store.logits(r.name)[row, 2])} · threshold" in text for r in store.regimes)
    assert cache.model_queue().answers._kept == {}, (
        "what is made of an upload is not kept where others could ask for it"
    )
    app.query_params["explain"] = str(store.samples["sample_id"].iat[0])
    app.run()
    assert not app.exception
    assert not app.error
    kept = cache.model_queue().answers._kept
    assert kept
    assert all(isinstance(answer, Tokens) for answer in kept.values()), "of the run's film its tokens alone"
    assert list(tmp_path.iterdir()) == []
    assert "your film" not in said(open_page(by="Upload", explain="*"))


def test_an_uploads_map_is_that_of_the_same_film_in_the_run(store: Store) -> None:
    row = int(store.rows("test")[1])
    mine = inference.embed_upload(store, "mine.png", store.film(row).read_bytes())

    def maps(film: int | inference.Upload) -> np.ndarray:
        target = heatmaps.LabelLogits("fine_tune", store.labels)
        return heatmaps.saliency_maps(
            store, heatmaps.MapRequest(cache.run_key(store), film, target, "grad_cam", (11,))
        ).maps

    np.testing.assert_allclose(maps(mine), maps(row), atol=1e-5)
    canvas, film = heatmaps.film_canvas(store, mine, 300), cache.film_image(store, row)
    assert canvas.grey.shape[1] == pytest.approx(film.width * canvas.scale, abs=1)


def test_a_decision_row_is_the_cosine_times_the_length(store: Store) -> None:
    logits, reference = np.asarray(store.logits("fine_tune")[:5]), np.asarray(store.logits("fine_tune"))
    direction = decision_vectors(reference[7:8], reference)[0]
    weight, bias = decision_row(direction, *store.head("fine_tune"), reference)
    scaled = (logits - reference.mean(axis=0)) / reference.std(axis=0)
    scores = np.asarray(store.vectors("fine_tune")[:5]) @ weight[0] + bias[0]
    cosines = decision_vectors(logits, reference) @ direction
    np.testing.assert_allclose(scores / np.linalg.norm(scaled, axis=1), cosines, atol=1e-3)
