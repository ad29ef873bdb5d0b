"""Sentences and the text tower's context."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from explorer.errors import UserError
from explorer.model.text import cut_texts, embed_sentences

if TYPE_CHECKING:
    from explorer.model.encoder import Clip


@pytest.mark.parametrize("tokenizer", ["its own", "ViT-B-32"])
def test_a_text_beyond_the_context_is_named(clip: Clip, tokenizer: str) -> None:
    """The first that is cut is the first whose last word changes nothing."""
    import open_clip  # after explorer.model, which lets torchvision be imported

    reader = clip if tokenizer == "its own" else replace(clip, tokenizer=open_clip.get_tokenizer(tokenizer))
    texts = ["mass " * n + "end" for n in range(0, 120)]
    tokens = reader.tokenizer(texts)
    cut = [text for text, row in zip(texts, tokens, strict=True) if (row == reader.tokenizer([text + " x"])[0]).all()]
    named = cut_texts(reader, texts)
    assert len(cut) - len(named) == 1  # the text that fills the context exactly
    assert named == cut[1:]
    assert 20 < len(named) < 100


def test_a_sentence_beyond_the_context_is_refused(clip: Clip) -> None:
    with pytest.raises(UserError, match="does not read this sentence to its end"):
        embed_sentences(clip, ["edema", "no pleural effusion " * 60])
    assert embed_sentences(clip, ["edema"]).shape == (1, clip.tower.dim)
