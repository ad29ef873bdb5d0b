"""A run's tables, each read once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from explorer.analysis.metrics import of_older
from explorer.store import layout

if TYPE_CHECKING:
    import pandas as pd

    from explorer.store.folder import RunFolder


class Tables:
    """The tables of a run except ``samples``. Most are long: one row for each figure."""

    def __init__(self, folder: RunFolder) -> None:
        self._read = folder.read_frame

    @cached_property
    def annotations(self) -> pd.DataFrame:
        """sample_id, row, label, annotator, x, y, w, h, polygon ((2P,) x and y in turn, or None); original pixels."""
        return self._read(layout.ANNOTATIONS)

    @cached_property
    def skipped(self) -> pd.DataFrame:
        """image and reason, one row for each image left out."""
        return self._read(layout.SKIPPED)

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """``metrics.METRIC_COLUMNS``."""
        return of_older(self._read(layout.METRICS))

    @cached_property
    def differences(self) -> pd.DataFrame:
        """``differences.DIFFERENCE_COLUMNS``."""
        return self._read(layout.DIFFERENCES)

    @cached_property
    def bands(self) -> pd.DataFrame:
        """``curves.BAND_COLUMNS``."""
        return self._read(layout.BANDS)

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """``calibration.CALIBRATION_COLUMNS``."""
        return self._read(layout.CALIBRATION)

    @cached_property
    def retrieval(self) -> pd.DataFrame:
        """``retrieval.RETRIEVAL_COLUMNS``."""
        return self._read(layout.RETRIEVAL)

    @cached_property
    def separability(self) -> pd.DataFrame:
        """``separability.SEPARABILITY_COLUMNS``."""
        return self._read(layout.SEPARABILITY)

    @cached_property
    def confusability(self) -> pd.DataFrame:
        """``separability.CONFUSION_COLUMNS``."""
        return self._read(layout.CONFUSABILITY)

    @cached_property
    def likeness(self) -> pd.DataFrame:
        """``separability.LIKENESS_COLUMNS``; each pair of spaces once."""
        return self._read(layout.LIKENESS)
