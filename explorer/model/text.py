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


def embed_sentences(clip: Clip, texts: Sequence[str]) -> NDArray[Any]:
    """(T, D) unit-norm embeddings.

    Raises
    ------
    UserError
        Where the tokenizer knows no word of a sentence: its embedding would be the same for any other such sentence.
    """
    for text in texts:
        if len(unknown_words(clip, text)) == len(text.split()):
            raise UserError(
                f"The text tower of {clip.title} knows no word of this sentence.",
                "Write in the language and script it was trained on, English for BiomedCLIP.",
            )
    return clip.embed_text(texts)
