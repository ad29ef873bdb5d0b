"""A run's audit: outliers, near copies, label errors and shortcuts."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from explorer.store import checked, layout, schemas
from explorer.store.manifest import FROZEN

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from explorer.analysis.outliers import Cloud
    from explorer.store.folder import RunFolder
    from explorer.store.manifest import RegimeRecord


class LabelAudit(NamedTuple):
    """A regime's view of the labels, each (N, C); NaN, or False, where a cell is unknown or the regime trained on it.

    ``quality`` is the probability of the given label; ``flagged`` is what confident learning calls an error.
    """

    probabilities: NDArray[np.float32]
    quality: NDArray[np.float32]
    flagged: NDArray[np.bool_]


class Audit:
    """What precompute measured of the set's own faults."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    @cached_property
    def outlyingness(self) -> NDArray[np.float32]:
        """(N, 2) percentiles by ``outliers.DISTANCES``: how far out a film lies, against held-out training films."""
        return self._folder.read_array(layout.outlier_array("percentiles"), "float32", self._folder.n, 2)

    @property
    def has_cloud(self) -> bool:
        """Whether the run is new enough to place an uploaded film."""
        return layout.outlier_array("mean") in self._folder.artefacts

    @cached_property
    def cloud(self) -> Cloud:
        """The frozen encoder's training films, for ``outliers.outlyingness`` of a new film."""
        from explorer.analysis.outliers import Cloud  # with faiss, which a store opened for its tables never needs

        folder, dim = self._folder, self._folder.dim(FROZEN)
        train = folder.rows("train")
        return Cloud(
            np.asarray(folder.embeddings(FROZEN)[train]),
            folder.read_array(layout.outlier_array("mean"), "float32", dim),
            folder.read_array(layout.outlier_array("precision"), "float32", dim, dim),
            folder.read_array(layout.outlier_array("reference"), "float32", len(train), 2),
        )

    @cached_property
    def copies(self) -> pd.DataFrame:
        """Pairs of films that are one film, or nearly: a, b, kind, correlation, similarity, hash_bits."""
        frame = self._folder.read_frame(layout.COPIES, schemas.column_kinds(*schemas.PAIR_COLUMNS))
        self._folder.check_rows(layout.COPIES, frame[["a", "b"]])
        return frame

    @cached_property
    def copy_rule(self) -> dict[str, Any]:
        """threshold of the correlation, rule and n_pairs."""
        return self._folder.read_json(layout.COPY_RULE, schemas.CopyRule).model_dump()

    @property
    def regimes(self) -> tuple[RegimeRecord, ...]:
        """Regimes whose out-of-sample probabilities the labels were compared with."""
        folder = self._folder
        return tuple(r for r in folder.regimes if layout.label_audit_array(r.name, "quality") in folder.artefacts)

    def labels(self, regime: str) -> LabelAudit:
        """A regime's view of the labels, where it has not seen the film."""
        probabilities, quality, flagged = (layout.label_audit_array(regime, field) for field in LabelAudit._fields)
        folder = self._folder
        return LabelAudit(
            folder.read_scores(probabilities),
            folder.read_scores(quality),
            folder.read_array(flagged, "bool", folder.n, len(folder.labels)),
        )

    @cached_property
    def label_trial(self) -> pd.DataFrame:
        """What the probe's flags find of labels inverted on purpose, as ``flag_power`` counts them."""
        return self._folder.read_frame(layout.LABEL_TRIAL, schemas.column_kinds(*schemas.TRIAL_COLUMNS))

    @cached_property
    def truth(self) -> NDArray[np.float32] | None:
        """(N, C) what the films show, 1 or 0; None of a set that is not made of phantoms."""
        if layout.LABEL_TRUTH not in self._folder.artefacts:
            return None
        return self._folder.read_scores(layout.LABEL_TRUTH)

    def shortcuts(self, which: layout.ShortcutTable) -> pd.DataFrame:
        """One of the shortcut tables."""
        folder = self._folder
        if which == "attributes":
            columns = dict.fromkeys(self.attribute_facts["kinds"], checked.NUMBER)
            return folder.read_frame(layout.shortcut_table(which), columns, folder.n)
        return folder.read_frame(layout.shortcut_table(which), schemas.column_kinds(*schemas.SHORTCUT_COLUMNS[which]))

    @cached_property
    def attribute_facts(self) -> dict[str, dict[str, str]]:
        """kinds: attribute to kind; lacking: what the set does not give, and why."""
        return self._folder.read_json(layout.ATTRIBUTE_FACTS, schemas.AttributeFacts).model_dump()
