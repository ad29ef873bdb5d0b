"""Prompt sets: files with each label's positive and negative sentences."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from explorer.data.labels import KNOWN_LABELS
from explorer.errors import UserError

PROMPT_SETS = Path(__file__).with_name("prompt_sets")
DEFAULT_PROMPTS = PROMPT_SETS / "pairs.toml"
BARE_NAMES = PROMPT_SETS / "names.toml"
"""The paper's prompts: each label's name, and nothing beside it."""
DEFAULT = "default"
"""The section of the labels that have none of their own."""

_FORM = (
    "A [default] section and a label's own have a list named positive and, for pairs, one named negative, as in "
    "precompute/prompt_sets/pairs.toml."
)
_OTHER_PLACEHOLDER = re.compile(r"\{[^{}]*\}|[{}]|%s|%\(\w*\)s|\$\w+|<\w+>")
"""What other programs put a label's name for; braces stand in no sentence."""


@dataclass(frozen=True)
class Prompts:
    """One label's sentences; without negative ones the logit is the scaled cosine to the positive alone."""

    positive: tuple[str, ...]
    negative: tuple[str, ...]


@dataclass(frozen=True)
class PromptSet:
    """A file of prompts: ``name`` is the file's, ``title`` what it says of itself."""

    name: str
    title: str
    labels: dict[str, Prompts]


def words(label: str) -> str:
    """A label as it stands in a sentence.

    Examples
    --------
    >>> words("Pleural_Thickening")
    'pleural thickening'
    """
    return label.replace("_", " ").lower()


def read_prompt_sets(labels: Sequence[str], own: Path | None = None) -> tuple[PromptSet, ...]:
    """The zero-shot regime's own set first (the user's, else the pairs), then all others that come with the project."""
    chosen = own or DEFAULT_PROMPTS
    others = sorted(file for file in PROMPT_SETS.glob("*.toml") if file.stem != chosen.stem)
    return tuple(read_prompts(file, labels) for file in (chosen, *others))


def read_prompts(file: Path, labels: Sequence[str]) -> PromptSet:
    """Each label's prompts: its own section of the file, or the default one with the label's words filled in.

    Raises
    ------
    UserError
        Naming file and section: whatever is not read, and whatever leaves a label without a score of its own.
    """
    try:
        sections = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (ValueError, OSError, RecursionError) as error:  # TOML's and UTF-8's errors are ValueErrors
        raise UserError(
            f"The prompt file {file} cannot be read: {error}", f"Save it as TOML in UTF-8. {_FORM}"
        ) from error
    title = sections.pop("title", file.stem)
    if not isinstance(title, str) or not title.strip():
        raise UserError(f"{file}: title is {title!r}.", "Write the title as text in quotes, or leave it out.")
    for name, section in sections.items():
        _check_section(f"{file} [{name}]", section)
        if name not in (DEFAULT, *labels) and name not in KNOWN_LABELS:
            raise UserError(
                f"{file} [{name}]: this is no label of the films.",
                f"Correct the name, or delete the section. Labels: {', '.join(labels)}.",
            )
    _check_default(f"{file} [{DEFAULT}]", sections.get(DEFAULT, {}))
    prompts: dict[str, Prompts] = {}
    owners: dict[tuple[frozenset[str], frozenset[str]], str] = {}
    for label in labels:
        name = label if label in sections else DEFAULT
        if name not in sections:
            raise UserError(
                f"{file} has no prompts for {label!r}.", f"Add the section [{label!r}] or [default]. {_FORM}"
            )
        prompts[label] = _filled(f"{file} [{name}]", label, sections[name])
        positive, negative = prompts[label].positive, prompts[label].negative
        other = owners.setdefault((frozenset(map(_bare, positive)), frozenset(map(_bare, negative))), label)
        if other != label:
            raise UserError(
                f"{file} [{name}]: {other!r} and {label!r} have the same prompts, so one score for both.",
                "Give each label sentences of its own, or put {} where its name belongs.",
            )
    return PromptSet(file.stem, title, prompts)


def _check_section(where: str, section: object) -> None:
    """Refuse a section of another form than lists ``positive`` and, if at all, ``negative`` of sentences."""
    if not isinstance(section, dict):
        raise UserError(f"{where} is {section!r}, no section.", _FORM)
    for key in section:
        if key not in ("positive", "negative"):
            raise UserError(f"{where}: {key} is not read.", f"Correct the name, or delete the line. {_FORM}")
    if "positive" not in section:
        raise UserError(f"{where} has no list named positive.", _FORM)
    for key, texts in section.items():
        if not isinstance(texts, list):
            raise UserError(f"{where}: {key} is {texts!r}, no list.", _FORM)
        if not texts:
            raise UserError(f"{where}: {key} is empty.", f"Write a sentence in it, or leave negative out. {_FORM}")
        for text in texts:
            brace = _OTHER_PLACEHOLDER.search(text.replace("{}", "")) if isinstance(text, str) else None
            if brace:
                raise UserError(
                    f"{where}: {key} holds the placeholder {brace[0]} in {text!r}.",
                    "Write {} where the label's name belongs; there is no other placeholder.",
                )
            if not isinstance(text, str) or not any(map(str.isalnum, text.replace("{}", "x"))):
                raise UserError(f"{where}: {key} holds {text!r}, no sentence.", f"Write words, or delete it. {_FORM}")


def _check_default(where: str, section: dict[str, list[str]]) -> None:
    """Refuse a positive sentence that says the same of every label.

    A negative one may, such as "a normal chest radiograph".
    """
    for text in section.get("positive", ()):
        if "{}" not in text:
            raise UserError(
                f"{where}: positive holds {text!r} without the placeholder {{}}: it says the same of every label.",
                "Write {} where the label's name belongs, or move the sentence to the section of its label.",
            )


def _filled(where: str, label: str, section: dict[str, list[str]]) -> Prompts:
    """A section's sentences with the label's words in place of ``{}``."""
    texts = {
        key: tuple(text.replace("{}", words(label)) for text in section.get(key, ()))
        for key in ("positive", "negative")
    }
    first: dict[str, str] = {}
    for key, filled in texts.items():
        for text in filled:
            other = first.setdefault(_bare(text), key)
            if other != key:
                raise UserError(
                    f"{where}: {text!r} is both positive and negative for {label!r}: it says nothing.",
                    "Delete it from one of the lists.",
                )
        if len(set(map(_bare, filled))) < len(filled):
            raise UserError(f"{where}: {key} holds a sentence twice for {label!r}.", "Delete one of the two.")
    return Prompts(**texts)


def _bare(text: str) -> str:
    """A sentence as tokenizers may read it: without its capitals and with single spaces."""
    return " ".join(text.casefold().split())
