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


GOOD = '[default]\npositive = ["{}", "there is {}"]\nnegative = ["no {}"]\n'
MEANINGLESS = {
    # name: (file, what is refused, what the fix says)
    "empty": ("", r"no prompts for 'Edema'", "[default]"),
    "no TOML": ("[default", "cannot be read", "[default]"),
    "one head for two": ('[Edema]\npositive=["Fluid"]\n[Mass]\npositive=["fluid"]\n', "one score for both", "own"),
    "nested deep": ("a = " + 3000 * "[", "cannot be read", "[default]"),
    "a section twice": (GOOD + "[default]\npositive = ['{}!']\n", "cannot be read", "[default]"),
    "a label's section twice": (GOOD + 2 * "[Edema]\npositive = ['wet']\n", "cannot be read", "[default]"),
    "no default": ('[Edema]\npositive = ["a"]\n', "no prompts for 'Mass'", "['Mass'] or [default]"),
    "default is no section": ('default = "x"', r"\[default\] is 'x', no section", "list named positive"),
    "positive empty": ('[default]\npositive = []\nnegative = ["no {}"]\n', "positive is empty", "sentence"),
    "negative empty": ('[default]\npositive = ["{}"]\nnegative = []\n', "negative is empty", "leave negative out"),
    "positive missing": ('[default]\nnegative = ["no {}"]\n', "no list named positive", "[default]"),
    "positive is a sentence": ('[default]\npositive = "{}"\n', "positive is '{}', no list", "[default]"),
    "positive holds a number": ("[default]\npositive = [1]\n", "positive holds 1, no sentence", "words"),
    "positive holds a list": ("[default]\npositive = [['{}']]\n", "no sentence", "words"),
    "a blank sentence": ('[default]\npositive = ["{}", "  "]\n', "positive holds '  ', no sentence", "words"),
    "a full stop": ('[default]\npositive = ["{}", "."]\n', r"positive holds '\.', no sentence", "words"),
    "a misspelt list": ('[default]\npositive = ["{}"]\nnegativ = ["no {}"]\n', "negativ is not read", "Correct"),
    "{c}": (
        '[default]\npositive = ["a photo of {c}"]\n',
        r"\[default\]: positive holds the placeholder \{c\}",
        "Write {}",
    ),
    "{label}": ('[default]\npositive = ["{label}"]\n', r"the placeholder \{label\}", "Write {}"),
    "{0}": ('[default]\npositive = ["{0}"]\n', r"the placeholder \{0\}", "Write {}"),
    "{ }": ('[default]\npositive = ["{ }"]\n', r"the placeholder \{ \}", "Write {}"),
    "{{}}": ('[default]\npositive = ["{{}}"]\n', r"the placeholder \{\}", "Write {}"),
    "%s": ('[default]\npositive = ["%s"]\n', "the placeholder %s", "Write {}"),
    "<label>": ('[default]\npositive = ["a <label>"]\n', "the placeholder <label>", "Write {}"),
    "an open brace": ('[default]\npositive = ["{} {"]\n', r"the placeholder \{", "Write {}"),
    "in a negative": ('[default]\npositive = ["{}"]\nnegative = ["no {c}"]\n', "negative holds the placeholder", "{}"),
    "in a label's section": (
        GOOD + '[Edema]\npositive = ["{c}"]\n',
        r"\[Edema\]: positive holds the placeholder",
        "{}",
    ),
    "no placeholder": ('[default]\npositive = ["a finding"]\n', "'a finding' without the placeholder {}", "Write {}"),
    "one without": ('[default]\npositive = ["{}", "a film"]\n', "'a film' without the placeholder {}", "Write {}"),
    "both sides alike": ('[default]\npositive = ["{}"]\nnegative = ["{}"]\n', "'edema' is both", "Delete"),
    "both but for capitals": (GOOD + '[Edema]\npositive = ["Wet"]\nnegative = [" wet"]\n', "is both", "Delete"),
    "a sentence twice": ('[default]\npositive = ["{}", "{} "]\n', "positive holds a sentence twice", "Delete"),
    "no such label": (GOOD + '[Oedema]\npositive = ["wet"]\n', r"\[Oedema\]: this is no label", "Labels: Edema, Mass"),
    "another case": (GOOD + '[edema]\npositive = ["wet"]\n', r"\[edema\]: this is no label", "Labels: Edema, Mass"),
    "two labels alike": (
        GOOD + "".join(f"[{label}]\npositive=['wet']\n" for label in ("Edema", "Mass")),
        "one score",
        "own",
    ),
    "a title that is a number": ("title = 3\n" + GOOD, "title is 3", "quotes"),
    "a blank title": ("title = ' '\n" + GOOD, "title is ' '", "quotes"),
    "a stray key": ("author = 'me'\n" + GOOD, r"\[author\] is 'me', no section", "list named positive"),
}


@pytest.mark.parametrize("name", MEANINGLESS)
def test_a_prompt_file_that_means_nothing_is_refused(tmp_path: Path, name: str) -> None:
    text, what, fix = MEANINGLESS[name]
    file = tmp_path / "p.toml"
    file.write_text(text)
    with pytest.raises(UserError, match=what) as caught:
        read_prompts(file, ["Edema", "Mass"])
    assert "p.toml" in caught.value.what
    assert fix in caught.value.fix


def test_labels_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    file.write_text(GOOD)
    with pytest.raises(UserError, match="'Pleural_Thickening' and 'pleural thickening' have the same prompts"):
        read_prompts(file, ["Pleural_Thickening", "Mass", "pleural thickening"])


def test_what_a_prompt_file_may_leave_out_or_share(tmp_path: Path) -> None:
    """A mark at its start, a label of another public set, one sentence against all labels."""
    file = tmp_path / "p.toml"
    file.write_text('\ufeff[default]\npositive=["{}"]\nnegative=["a normal film"]\n[Hernia]\npositive=["bowel"]\n')
    assert read_prompts(file, ["Edema"]).labels == {"Edema": Prompts(("edema",), ("a normal film",))}


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
