"""Reading a film's report."""

from __future__ import annotations

import re

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_WORD = re.compile(r"[a-z]{4,}")


def sentence_about(report: str, label: str) -> str:
    """The sentence that says most about a label: by its words, endings aside; without one, the report's first.

    Examples
    --------
    >>> sentence_about("The heart is enlarged. Small effusions on the right.", "Pleural Effusion")
    'Small effusions on the right.'
    >>> sentence_about("Normal chest. No acute disease.", "Fracture")
    'Normal chest.'
    """
    sentences = _SENTENCE.split(report.strip())
    stems = {word[:6] for word in _WORD.findall(label.lower())}
    # max takes the first of equals
    return max(sentences, key=lambda part: sum(word[:6] in stems for word in _WORD.findall(part.lower())))
