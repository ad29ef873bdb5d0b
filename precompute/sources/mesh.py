"""CheXpert's labels from the MeSH headings of Open-i's reports, by the table in ``mesh.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import numpy as np

from explorer.data.labels import CHEXPERT_LABELS

NO_INDEXING, NORMAL = "no indexing", "normal"
MESH_TABLE = Path(__file__).with_name("mesh.toml")


def mesh_targets(mesh: Iterable[str]) -> list[float]:
    """CheXpert's 14 labels of a report's MeSH headings: 1, 0, or NaN where the headings leave it open.

    Examples
    --------
    >>> mesh_targets(["Cardiomegaly/mild", "Costophrenic Angle/left/blunted"])[:3]
    [0.0, 0.0, 1.0]
    """
    headings = [tuple(part.strip().lower() for part in heading.split("/")) for heading in mesh]
    if not headings or any(heading[0] == NO_INDEXING for heading in headings):
        return [np.nan] * len(CHEXPERT_LABELS)
    values = {}
    for label, terms in mesh_table().items():
        if _named(terms["positive"], headings):
            values[label] = 1.0
        else:
            values[label] = np.nan if _named(terms.get("unknown", ()), headings) else 0.0
    return with_no_finding(values)


@cache
def mesh_table() -> dict[str, dict[str, tuple[str, ...]]]:
    """The table of ``mesh.toml``: label to its positive and unknown terms."""
    read = tomllib.loads(MESH_TABLE.read_text(encoding="utf-8"))
    return {
        label: {kind: tuple(term.lower() for term in terms) for kind, terms in entry.items()}
        for label, entry in read.items()
    }


def _named(terms: Iterable[str], headings: list[tuple[str, ...]]) -> bool:
    for entry in terms:
        term, _, qualifier = entry.partition("/")
        if any(heading[0] == term and (not qualifier or qualifier in heading[1:]) for heading in headings):
            return True
    return False


def with_no_finding(values: Mapping[str, float]) -> list[float]:
    """Values in CheXpert's order, No Finding made from the rest: one positive denies it, an unknown leaves it open."""
    rest = [values[label] for label in CHEXPERT_LABELS[1:]]
    none = 0.0 if 1.0 in rest else np.nan if np.isnan(rest).any() else 1.0
    return [none, *rest]
