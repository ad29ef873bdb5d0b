"""A run of an encoder that reads no text, by the command, and every page over it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from explorer.store import open_store
from explorer.store.verify import verify_store
from explorer.ui.models.inference import NO_TEXT_TOWER
from tests.conftest import FEWEST, Call, run_command, take_few_draws
from tests.image_models import save_dinov2, save_timm
from tests.pages import TITLES, assert_sound, open_page, open_sound_page, said
from tests.planted import VIEWS


def asked(films: Path, encoder: Path, out: Path, *more: object) -> list[object]:
    given = ["run", "--csv", films / "labels.csv", "--images", films / "images", "--encoder", f"local-dir:{encoder}"]
    return [*given, "--out", out, "--epochs", 1, "--device", "cpu", *more]


@pytest.fixture(scope="module")
def root(few_films: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a ResNet with the default regimes, and its Grad-CAM maps."""
    folder = tmp_path_factory.mktemp("image-only")
    save_timm("resnet", folder / "tiny-resnet")
    with pytest.MonkeyPatch.context() as patch:
        take_few_draws(patch, **FEWEST)
        assert run_command(patch, *asked(few_films, folder / "tiny-resnet", folder / "store")) == 0
        assert run_command(patch, "saliency", folder / "store", "--device", "cpu") == 0
    return folder / "store"


@pytest.fixture
def opened(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("EXPLORER_STORE", str(root))
    st.cache_data.clear()
    st.cache_resource.clear()
    yield root


def test_the_default_regimes_are_those_that_need_no_text(root: Path) -> None:
    store = open_store(root)
    assert [regime.name for regime in store.regimes] == ["linear_probe", "fine_tune"]
    assert [record.reads_text for record in store.manifest.encoders] == [False, False]
    assert store.manifest.prompt_sets == ()
    fit = store.fit(store.regimes[0].encoder)
    assert (fit.size, fit.resize_to, fit.interpolation) == (64, 73, "bilinear")
    assert verify_store(store) == []


@pytest.mark.parametrize(("page", "query"), [*VIEWS, ("case", {})], ids=lambda value: str(value))
def test_every_view_draws_a_run_without_text(opened: Path, page: str, query: dict[str, str]) -> None:
    app = open_page(page, **query)
    assert_sound(app)
    assert app.title[0].value == TITLES[page]


def test_pages_say_that_the_encoder_reads_no_text(opened: Path) -> None:
    for page, query in (
        ("neighbours", {"show": "lab"}),
        ("neighbours", {"by": "words"}),
        ("map", {"signs": "prompts", "trust": "true"}),
        ("protocols", {"part": "changes"}),
    ):
        assert NO_TEXT_TOWER in said(open_sound_page(page, **query)), page


def test_a_network_has_one_place_for_maps(opened: Path) -> None:
    app = open_sound_page("grad_cam", method="layer_cam")
    app.session_state["options"] = True
    app.run()
    assert_sound(app)
    assert "Maps of this encoder are made at its last feature map." in said(app)
    assert not [slider for slider in app.slider if slider.label == "Block"]


def test_what_is_left_out_or_refused_is_told_before_the_run(
    few_films: Path, tmp_path: Path, call: Call, few_draws: None
) -> None:
    save_timm("resnet", tmp_path / "tiny-resnet")
    plan = asked(few_films, tmp_path / "tiny-resnet", tmp_path / "out", "--dry-run")
    code, out, err = call(*plan)
    assert code == 0
    assert "has no text tower: left out zero_shot." in out + err
    assert "zero-shot head" not in out
    for regimes, what in (
        ("zero_shot,linear_probe", "zero_shot reads text, and the encoder tiny-resnet has no text tower"),
        ("linear_probe,lora", "LoRA changes attention weights, of which this image tower has none"),
    ):
        code, _, err = call(*plan, "--regimes", regimes)
        assert code == 1
        assert what in " ".join(err.split())
    prompts = tmp_path / "prompts.toml"
    prompts.write_text('[default]\npositive = ["{}"]\n')
    code, _, err = call(*plan, "--prompts", prompts)
    assert code == 1
    assert "--prompts: no regime of linear_probe,fine_tune reads text" in " ".join(err.split())


def test_a_vision_transformer_takes_lora_and_has_maps_of_every_block(
    few_films: Path, tmp_path: Path, call: Call, few_draws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from precompute.regimes import lora

    monkeypatch.setattr(lora, "RANKS", (2,))
    monkeypatch.setattr(lora, "RATES", (5.0,))
    save_dinov2(tmp_path / "tiny-dino", registers=1)
    given = asked(few_films, tmp_path / "tiny-dino", tmp_path / "out")
    code, _, err = call(*given, "--regimes", "linear_probe,lora")
    assert code == 0, err
    store = open_store(tmp_path / "out")
    assert store.manifest.encoders[1].title == "tiny-dino, LoRA"
    monkeypatch.setenv("EXPLORER_STORE", str(tmp_path / "out"))
    st.cache_data.clear()
    st.cache_resource.clear()
    app = open_sound_page("grad_cam", show="layers")
    app.session_state["options"] = True
    app.run()
    assert_sound(app)
    assert [slider.max for slider in app.slider if slider.label == "Block"] == [2]
