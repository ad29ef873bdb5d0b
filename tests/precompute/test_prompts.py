"""Prompt files, and the zero-shot head they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from explorer.data.labels import KNOWN_LABELS
from explorer.errors import UserError
from explorer.model.head import prompt_head
from explorer.store import open_store
from precompute.prompts import DEFAULT_PROMPTS, Prompts, read_prompt_sets, read_prompts, words
from precompute.training.zero_shot import embed_prompts

if TYPE_CHECKING:
    from explorer.model.encoder import Clip


def test_the_shipped_prompts_cover_every_known_label() -> None:
    labels = sorted(KNOWN_LABELS)
    prompts = read_prompts(DEFAULT_PROMPTS, labels).labels
    assert list(prompts) == labels  # the order of the labels, which is the order of the head's rows
    for label, pair in prompts.items():
        assert pair.positive
        assert pair.negative
        assert not set(pair.positive) & set(pair.negative)
        assert not any("{}" in text for text in pair.positive + pair.negative)
        if label != "No Finding":
            assert any(words(label) in text for text in pair.positive)
    assert words("Pleural_Thickening") == "pleural thickening"


def test_a_labels_own_section_goes_before_the_default(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text('[default]\npositive=["{}"]\nnegative=["no {}"]\n[Edema]\npositive=["wet {}"]\nnegative=["dry"]\n')
    prompts = read_prompts(file, ["Edema", "Mass"]).labels
    assert prompts == {"Edema": Prompts(("wet edema",), ("dry",)), "Mass": Prompts(("mass",), ("no mass",))}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[default",
        '[Edema]\npositive=["a"]\nnegative=["b"]\n',
        '[default]\npositive=[]\nnegative=["b"]\n',
        '[default]\npositive="{}"\nnegative="no {}"\n',
        "[default]\npositive=[1]\nnegative=[2]\n",
        'default = "x"\n',
    ],
)
def test_a_prompt_file_that_cannot_be_used_is_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "p.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=r"p\.toml") as caught:
        read_prompts(file, ["Edema", "Mass"])
    assert "[default]" in caught.value.fix


def test_no_prompt_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.toml"):
        read_prompts(tmp_path / "none.toml", ["Edema"])
    (tmp_path / "bin.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match=r"bin\.toml"):
        read_prompts(tmp_path / "bin.toml", ["Edema"])


def test_the_head_is_the_softmax_over_the_pair() -> None:
    rng = np.random.default_rng(0)

    def unit(n: int) -> np.ndarray:
        v = rng.normal(size=(n, 12))
        return (v / np.linalg.norm(v, axis=1, keepdims=True)).astype(np.float32)

    positive, negative, images, scale = unit(5), unit(5), unit(30), 14.3
    logits = prompt_head(positive, negative, scale).logits(images)
    pair = np.exp(scale * np.stack([images @ positive.T, images @ negative.T]))
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), pair[0] / pair.sum(axis=0), rtol=1e-4)
    assert logits.dtype == np.float32


def test_prompt_embeddings_are_averaged_directions(clip: Clip) -> None:
    prompts = {"a": Prompts(("edema", "there is edema"), ("no edema",)), "b": Prompts(("fracture",), ("no fracture",))}
    positive, negative = embed_prompts(clip, prompts)
    assert positive.shape == negative.shape == (2, clip.tower.dim)
    np.testing.assert_allclose(np.linalg.norm(positive, axis=1), 1, rtol=1e-5)
    each = clip.embed_text(["edema", "there is edema"])
    np.testing.assert_allclose(np.linalg.norm(each, axis=1), 1, rtol=1e-5)
    mean = each.mean(axis=0)
    np.testing.assert_allclose(positive[0], mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(positive[1], clip.embed_text(["fracture"])[0], atol=1e-5)
    assert np.abs(positive - negative).max() > 1e-3  # "no" is read


def test_every_shipped_set_can_be_read_and_the_users_goes_first(tmp_path: Path) -> None:
    labels = sorted(KNOWN_LABELS)
    sets = read_prompt_sets(labels)
    assert [s.name for s in sets] == ["pairs", "descriptions", "names", "templates"]
    assert len({s.title for s in sets}) == 4
    for prompt_set in sets:
        assert list(prompt_set.labels) == labels
        assert all(p.positive for p in prompt_set.labels.values())
    bare = next(s for s in sets if s.name == "names").labels
    assert bare["Pleural Effusion"] == Prompts(("pleural effusion",), ())
    (tmp_path / "mine.toml").write_text('title = "Mine"\n[default]\npositive=["{}!"]\n')
    own = read_prompt_sets(labels, tmp_path / "mine.toml")
    assert [(s.name, s.title) for s in own[:1]] == [("mine", "Mine")]
    assert [s.name for s in own[1:]] == ["descriptions", "names", "pairs", "templates"]


def test_without_negatives_the_logit_is_the_scaled_cosine(clip: Clip) -> None:
    positive, negative = embed_prompts(clip, {"Edema": Prompts(("edema",), ())})
    assert not negative.any()
    film = clip.embed_text(["there is edema"])  # any unit vector will do
    logit = prompt_head(positive, negative, clip.logit_scale).logits(film)
    assert logit[0, 0] == pytest.approx(clip.logit_scale * float(film[0] @ positive[0]), rel=1e-4)


def test_the_store_keeps_every_sets_logits(tiny_store: Path) -> None:
    store = open_store(tiny_store)
    assert [(s.name, s.paired) for s in store.manifest.prompt_sets] == [
        ("pairs", True),
        ("descriptions", True),
        ("names", False),
        ("templates", False),
    ]
    np.testing.assert_array_equal(store.prompt_logits("pairs"), store.logits("zero_shot"))
    logits_of = {s.name: np.asarray(store.prompt_logits(s.name)) for s in store.manifest.prompt_sets}
    assert all(logits.shape == (store.n, len(store.labels)) for logits in logits_of.values())
    assert len({logits.tobytes() for logits in logits_of.values()}) == 4
    assert store.prompt_thresholds("names").shape == (len(store.labels),)
