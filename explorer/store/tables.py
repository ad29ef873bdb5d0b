"""A run's tables, each read once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from explorer.analysis.calibration import CALIBRATION_COLUMNS
from explorer.analysis.curves import BAND_COLUMNS
from explorer.analysis.differences import DIFFERENCE_COLUMNS
from explorer.analysis.metrics import METRIC_COLUMNS, of_older
from explorer.analysis.retrieval import RETRIEVAL_COLUMNS
from explorer.analysis.separability import CONFUSION_COLUMNS, LIKENESS_COLUMNS, SEPARABILITY_COLUMNS
from explorer.analysis.slices import FILM_COLUMNS, NAME_COLUMNS, SLICE_COLUMNS, STATES
from explorer.analysis.subgroups import GAP_COLUMNS, GROUP_COLUMNS
from explorer.store import layout, schemas

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

    from explorer.store.folder import RunFolder


class Tables:
    """The tables of a run except ``samples``. Most are long: one row for each figure."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def _read(
        self, file: str, columns: tuple[str, ...], newer: frozenset[str] = frozenset(), **names: Collection[str]
    ) -> pd.DataFrame:
        """A table that names only regimes and spaces of the run, and in the columns of ``names`` only those."""
        folder = self._folder
        frame = folder.read_frame(file, schemas.column_kinds(*columns), newer=newer)
        regimes = {regime.name for regime in folder.regimes}
        own = {"regime": regimes, "against": regimes, "space": {space.name for space in folder.spaces}}
        for column, known in (own | names).items():
            if column in frame and not frame[column].isin(list(known)).all():
                raise folder.damaged(file, f"column {column!r} names what the run has not")
        return frame

    @cached_property
    def annotations(self) -> pd.DataFrame:
        """sample_id, row, label, annotator, x, y, w, h, polygon ((2P,) x and y in turn, or None); original pixels."""
        frame = self._read(layout.ANNOTATIONS, schemas.ANNOTATION_COLUMNS)
        self._folder.check_rows(layout.ANNOTATIONS, frame["row"])
        return frame

    @cached_property
    def skipped(self) -> pd.DataFrame:
        """image and reason, one row for each image left out."""
        return self._read(layout.SKIPPED, schemas.SKIPPED_COLUMNS)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """``metrics.METRIC_COLUMNS``."""
        return of_older(self._read(layout.METRICS, METRIC_COLUMNS, newer=frozenset(("in_macro",))))

    @cached_property
    def differences(self) -> pd.DataFrame:
        """``differences.DIFFERENCE_COLUMNS``."""
        return self._read(layout.DIFFERENCES, DIFFERENCE_COLUMNS)

    @cached_property
    def bands(self) -> pd.DataFrame:
        """``curves.BAND_COLUMNS``."""
        return self._read(layout.BANDS, BAND_COLUMNS)

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """``calibration.CALIBRATION_COLUMNS``."""
        return self._read(layout.CALIBRATION, CALIBRATION_COLUMNS)

    @cached_property
    def subgroups(self) -> pd.DataFrame:
        """``subgroups.GROUP_COLUMNS``."""
        return self._read(layout.SUBGROUPS, GROUP_COLUMNS, label=self._folder.labels)

    @cached_property
    def subgroup_gaps(self) -> pd.DataFrame:
        """``subgroups.GAP_COLUMNS``."""
        return self._read(layout.SUBGROUP_GAPS, GAP_COLUMNS, label=self._folder.labels)

    @cached_property
    def slices(self) -> pd.DataFrame:
        """``slices.SLICE_COLUMNS``, the surest first."""
        return self._read(layout.SLICES, SLICE_COLUMNS, label=self._folder.labels, state=STATES)

    @cached_property
    def slice_names(self) -> pd.DataFrame:
        """``slices.NAME_COLUMNS``; what each slice has more of."""
        return self._read(layout.SLICE_NAMES, NAME_COLUMNS)

    @cached_property
    def slice_films(self) -> pd.DataFrame:
        """``slices.FILM_COLUMNS``; each slice's films in val and test."""
        frame = self._read(layout.SLICE_FILMS, FILM_COLUMNS)
        self._folder.check_rows(layout.SLICE_FILMS, frame["row"])
        return frame

    @cached_property
    def retrieval(self) -> pd.DataFrame:
        """``retrieval.RETRIEVAL_COLUMNS``."""
        return self._read(layout.RETRIEVAL, RETRIEVAL_COLUMNS)

    @cached_property
    def separability(self) -> pd.DataFrame:
        """``separability.SEPARABILITY_COLUMNS``."""
        return self._read(layout.SEPARABILITY, SEPARABILITY_COLUMNS)

    @cached_property
    def confusability(self) -> pd.DataFrame:
        """``separability.CONFUSION_COLUMNS``."""
        return self._read(layout.CONFUSABILITY, CONFUSION_COLUMNS, label=self._folder.labels, other=self._folder.labels)

    @cached_property
    def likeness(self) -> pd.DataFrame:
        """``separability.LIKENESS_COLUMNS``; each pair of spaces once."""
        spaces = [space.name for space in self._folder.spaces]
        return self._read(layout.LIKENESS, LIKENESS_COLUMNS, other=spaces)
