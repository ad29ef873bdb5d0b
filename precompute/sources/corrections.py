"""Labels corrected by reviewers, taken into a source before any film is decoded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from explorer.data.text import from_csv
from explorer.errors import UserError
from explorer.store.files import sha256_file, sha256_json
from explorer.store.reviews import COLUMNS, VERDICTS, Verdict
from precompute.sources.table import Source, read_table


def correct(source: Source, file: Path) -> Source:
    """The source with a review's verdicts applied: wrong is turned over, unsure becomes unknown, keep stays.

    Parameters
    ----------
    file : Path
        See :func:`read_corrections`.
    """
    frame = source.frame.copy()
    verdicts = read_corrections(file, frame, source.labels, source.file)
    row_of = {sample_id: row for row, sample_id in enumerate(frame["sample_id"])}
    for (sample_id, label), verdict in verdicts.items():
        if verdict != "keep":
            row = row_of[sample_id]
            now = frame[label].to_numpy()[row]
            frame.loc[frame.index[row], label] = np.float32(1 - now if verdict == "wrong" else np.nan)
    done = Counter(verdicts.values())
    summary = ", ".join(f"{done[verdict]} {verdict}" for verdict in VERDICTS)
    return replace(
        source,
        frame=frame,
        uncorrected=source.frame,
        sha256=sha256_json([source.sha256, sha256_file(file)]),
        label_origin=f"{source.label_origin}; corrected by {file.name} ({summary}; sha256 {sha256_file(file)[:12]})",
    )


def read_corrections(
    file: Path, samples: pd.DataFrame, labels: Sequence[str], source: Path
) -> dict[tuple[str, str], Verdict]:
    """Film and label to verdict, all checked against the films they judge.

    Parameters
    ----------
    file : Path
        CSV as the audit page exports it: sample_id, label, verdict; where it has ``given``, the label must still be so.
    samples : DataFrame
        sample_id, and one column per label (1, 0, NaN).
    source : Path
        Where these are from, for messages.

    Raises
    ------
    UserError
        With file, row and fix.
    """
    table = read_table(file)
    needed = COLUMNS[:3]
    for column in needed:
        if column not in table:
            raise UserError(f"{file} has no column {column}.", f"It needs {', '.join(needed)}.")
    row_of = {sample_id: row for row, sample_id in enumerate(samples["sample_id"])}
    seen: dict[tuple[str, str], int] = {}
    verdicts: dict[tuple[str, str], Verdict] = {}
    for index, cells in enumerate(table.to_dict("records")):
        place = f"{file} row {index + 2}"
        sample_id, label, written = (from_csv(str(cells[column]).strip()) for column in needed)
        if sample_id not in row_of:
            raise UserError(f"{place}: no film {sample_id!r} in {source}.", "Correct the id, or delete the row.")
        if label not in labels:
            raise UserError(f"{place}: {label!r} is not one of the labels.", f"Use one of: {', '.join(labels)}.")
        verdict = next((verdict for verdict in VERDICTS if verdict == written), None)
        if verdict is None:
            raise UserError(f"{place}: verdict is {written!r}.", f"Write {', '.join(VERDICTS)}.")
        if (sample_id, label) in seen:
            raise UserError(
                f"{place} judges {label!r} of {sample_id!r} a second time, after row {seen[sample_id, label]}.",
                "Keep one of the two rows.",
            )
        seen[sample_id, label] = index + 2
        now = float(samples[label].to_numpy()[row_of[sample_id]])
        given = str(cells.get("given", "")).strip()
        if given and given != ("" if np.isnan(now) else f"{now:.0f}"):
            raise UserError(
                f"{place}: {label!r} of {sample_id!r} was {given} when it was judged, and is "
                f"{'unknown' if np.isnan(now) else f'{now:.0f}'} in {source}.",
                "Judge it anew, or delete the row: it may have been corrected already.",
            )
        if verdict == "wrong" and np.isnan(now):
            raise UserError(
                f"{place}: {label!r} of {sample_id!r} is unknown, so it cannot be wrong.", "Delete the row."
            )
        verdicts[sample_id, label] = verdict
    return verdicts
