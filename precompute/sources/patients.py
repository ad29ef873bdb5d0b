"""Patients whose id is written in more than one way: different spellings would let one patient's films cross splits."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import pandas as pd

from explorer.errors import UserError
from precompute.sources.table import Source, check_crossing, fingerprint

PatientIds = Literal["exact", "normalised"]
"""Whether each spelling is a patient of its own, or those of one key are one patient."""

NAMED = 5
"""Patients whose spellings a message names; it counts the others."""


def patient_key(patient: str) -> str:
    """What spellings of one patient's id share.

    Alike are: composed and decomposed accents, full-width and plain letters (NFKC); upper and lower case; blanks at the
    ends and repeated ones within; invisible characters (Unicode's Cf, such as a zero-width space); and whole numbers
    of one value, with leading zeros or a decimal part of zeros.

    Examples
    --------
    >>> [patient_key(patient) for patient in ("001", "1.0", "P 1", "p  1 ")]
    ['1', '1', 'p 1', 'p 1']
    """
    visible = "".join(c for c in unicodedata.normalize("NFKC", patient) if unicodedata.category(c) != "Cf")
    key = " ".join(unicodedata.normalize("NFKC", visible.casefold()).split())
    number = re.fullmatch(r"0*([0-9]+)(\.0*)?", key)
    return number[1] if number else key


def resolve_patients(source: Source, ids: PatientIds | None, warn: Callable[[str], None]) -> Source:
    """The source with patients whose ids have one key joined, kept apart, or kept apart with a warning.

    Parameters
    ----------
    ids : "exact", "normalised" or None
        None keeps spellings apart, warns, and refuses a patient whose spellings are in two of the source's own splits:
        such a leak would spoil the figures.
    warn : callable
        Takes a sentence that names spellings and rows.

    Raises
    ------
    UserError
        Spellings of one patient in two of the source's own splits, unless ``ids`` is "exact".
    """
    frame = source.frame
    several = _spellings(frame["patient_id"])
    if ids == "exact" or not several:
        return source
    first = {spelling: group[0] for group in several for spelling in group}
    joined = frame.assign(patient_id=frame["patient_id"].map(lambda spelling: first.get(spelling, spelling)))
    names = _named(source, several)
    if ids == "normalised":
        if source.split_origin is not None:
            check_crossing(joined, source.where)
        warn(f"Joined as one patient, since the id is only written in several ways ({len(several):,} such): {names}.")
        return replace(source, frame=joined, sha256=fingerprint(joined, source.annotations))
    if source.split_origin is not None:
        splits = joined.groupby("patient_id")["split"].nunique()
        crossing = [group for group in several if splits[group[0]] > 1]
        if crossing:
            raise UserError(
                f"Patients whose ids are written in several ways are in several splits: {_named(source, crossing)}.",
                "Put each patient's films in one split; if they are different patients, give --patients exact.",
            )
    warn(
        f"Ids that may be one patient's, written in several ways ({len(several):,} such), count as different patients: "
        f"{names}. Join them with --patients normalised; if they are different patients, give --patients exact."
    )
    return source


def _spellings(patients: pd.Series) -> list[list[str]]:
    """Spellings of each key that has more than one, in the order of the file."""
    spellings = pd.Series(patients.unique())
    groups: list[list[str]] = spellings.groupby(spellings.map(patient_key), sort=False).agg(list).tolist()
    return [group for group in groups if len(group) > 1]


def _named(source: Source, several: Sequence[Sequence[str]]) -> str:
    """Each patient's spellings in ASCII, which shows what the eye cannot tell apart, with their first rows."""
    rows = source.frame["patient_id"].drop_duplicates().reset_index().set_index("patient_id")["index"]
    split = source.frame["split"] if source.split_origin is not None else None
    texts = []
    for group in several[:NAMED]:
        places = [(s, source.where(rows[s]), f", {split[rows[s]]}" if split is not None else "") for s in group]
        texts.append(" and ".join(f"{spelling!a} ({place}{part})" for spelling, place, part in places))
    more = f"; and {len(several) - NAMED:,} more" if len(several) > NAMED else ""
    return "; ".join(texts) + more
