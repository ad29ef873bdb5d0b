"""The few-shot curve of a run, beside it: made later, outside the run's hashes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from explorer.errors import UserError
from explorer.store import checked, layout, schemas
from explorer.store.folder import blamed_on

if TYPE_CHECKING:
    import pandas as pd

    from explorer.store.reader import Store

FEW_SHOT_COMMAND = "python -m precompute few-shot STORE"
"""What makes the curve; STORE stands for the store's own folder."""


class FewShotRecord(BaseModel):
    """The whole of few_shot.json, written last."""

    run_created: str
    titles: dict[str, str]
    """Regime to title, in the order of the command."""
    reference: str
    """The title of the regime compared with; empty where the run has none from prompts."""
    shots: list[int]
    draws: int
    seed: int
    resamples: int
    sha256: str


@dataclass(frozen=True)
class FewShot:
    """A curve and how it was made.

    Attributes
    ----------
    frame : DataFrame
        ``explorer.analysis.few_shot.FEW_SHOT_COLUMNS``; the reference has 0 shots.
    """

    record: FewShotRecord
    frame: pd.DataFrame


def read_few_shot(store: Store) -> FewShot | None:
    """The curve of this very run; None where none was made, or the run was made again since.

    Raises
    ------
    UserError
        Where a file of it is damaged.
    """
    folder = layout.few_shot_folder(store.path)
    file = folder / layout.FEW_SHOT_RECORD
    if not file.is_file():
        return None
    try:
        record = checked.parse_json(file.read_bytes(), FewShotRecord)
    except (checked.Damaged, OSError) as error:
        raise UserError(
            f"{folder.name}/{file.name} is damaged: {error}.", f"Run `{FEW_SHOT_COMMAND}` again."
        ) from error
    if record.run_created != store.manifest.created:
        return None
    with blamed_on(folder.name, layout.FEW_SHOT_TABLE):
        path = folder / layout.FEW_SHOT_TABLE
        data = checked.read_bytes(path, path.stat().st_size, record.sha256)
        return FewShot(record, checked.parse_table(data, schemas.column_kinds(*schemas.FEW_SHOT_COLUMNS)))
