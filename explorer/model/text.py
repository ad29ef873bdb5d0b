"""Sentences a visitor types: what of them a text tower can read, and where they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from explorer.errors import UserError
from explorer.model.encoder import Clip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def unknown_words(clip: Clip, text: str) -> list[str]:
    """The words that the tokenizer has no piece for: the model reads each as the same blank."""
    tokenizer: Any = getattr(clip.tokenizer, "tokenizer", None)
    unknown = getattr(tokenizer, "unk_token_id", None)
    if unknown is None:
        return []  # a byte tokenizer knows every word
    return [word for word in text.split() if unknown in tokenizer(word, add_special_tokens=False)["input_ids"]]


def cut_texts(clip: Clip, texts: Sequence[str]) -> list[str]:
    """The texts that are longer than the text tower's context: the tokenizer leaves their ends out."""
    tokenizer: Any = clip.tokenizer
    context = tokenizer([""]).shape[1]
    *tokens, blank = tokenizer([*texts, ""], context_length=4 * context)
    return [text for text, row in zip(texts, tokens, strict=True) if bool((row[context:] != blank[-1]).any())]


def embed_sentences(clip: Clip, texts: Sequence[str]) -> NDArray[Any]:
    """(T, D) unit-norm embeddings.

    Raises
    ------
    UserError
        Where the tokenizer knows no word of a sentence: its embedding would be the same for any other such sentence.
        Where a sentence is longer than the text tower's context.
    """
    if cut_texts(clip, texts):
        raise UserError(
            f"The text tower of {clip.title} does not read this sentence to its end.", "Write a shorter one."
        )
    for text in texts:
        if len(unknown_words(clip, text)) == len(text.split()):
            raise UserError(
                f"The text tower of {clip.title} knows no word of this sentence.",
                "Write in the language and script it was trained on, English for BiomedCLIP.",
            )
    return clip.embed_text(texts)
