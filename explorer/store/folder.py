"""What a finished run and one under way have in common: reading the files of a run's folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
from pydantic import ValidationError

from explorer.analysis.thresholds import Thresholds
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.manifest import Artefact, RegimeRecord, SpaceRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split


class RunFolder:
    """A run's folder. Rows are integers 0..N-1 in the order of ``samples``; every array shares that order.

    Parameters
    ----------
    path : Path
        The folder.
    run_id : str
        The run's name.
    labels, regimes, spaces : tuple
        What the run is about.
    artefacts : mapping
        Its files, by relative path. No other file is read.
    """

    def __init__(
        self,
        path: Path,
        run_id: str,
        labels: tuple[str, ...],
        regimes: tuple[RegimeRecord, ...],
        spaces: tuple[SpaceRecord, ...],
        artefacts: Mapping[str, Artefact],
    ) -> None:
        self.path = path
        self.run_id = run_id
        self.labels = labels
        self.regimes = regimes
        self.spaces = spaces
        self.artefacts = artefacts

    # --- films -----------------------------------------------------------------------------------------------------

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row for each image, index 0..N-1: SAMPLE_COLUMNS, then a float column for each label (1, 0 or NaN)."""
        frame = self.read_frame(layout.SAMPLES)
        frame[list(self.labels)] = frame[list(self.labels)].astype("float32")
        return frame

    @cached_property
    def targets(self) -> NDArray[np.float32]:
        """(N, C) 1, 0 or NaN for unknown."""
        return self.samples[list(self.labels)].to_numpy(dtype=np.float32)

    @cached_property
    def patients(self) -> NDArray[np.int64]:
        """(N,) an integer code for each row's patient."""
        return pd.factorize(self.samples["patient_id"])[0]

    def rows(self, split: Split | None = None) -> NDArray[np.int64]:
        """Rows of a split, or all of them, ascending."""
        if split is None:
            return np.arange(len(self.samples))
        return np.flatnonzero(self.samples["split"].to_numpy() == split)

    # --- encoders, heads and spaces ----------------------------------------------------------------------------------

    def regime(self, name: str) -> RegimeRecord:
        return next(record for record in self.regimes if record.name == name)

    def space(self, name: str) -> SpaceRecord:
        return next(record for record in self.spaces if record.name == name)

    def embeddings(self, encoder_id: str) -> NDArray[np.float32]:
        """(N, D) of unit norm."""
        return self.read_array(layout.encoder_files(encoder_id).embeddings)

    def projections(self, encoder_id: str) -> NDArray[np.float32] | None:
        """(N, D) an encoder's embeddings before they were brought to unit norm; None where the run kept no norms."""
        norms = layout.encoder_files(encoder_id).norms
        if norms not in self.artefacts:
            return None
        return np.asarray(self.embeddings(encoder_id) * self.read_array(norms)[:, None])

    def head(self, regime: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (C, D) and bias (C,) of a regime's linear head.

        It reads the unit-norm embedding, or the projection where the regime's record says ``unit`` is false.
        """
        return self.read_head(layout.regime_files(regime).head)

    def training(self, regime: str) -> dict[str, Any]:
        """Settings of a regime and, where it was trained, its curve."""
        return self.read_json(layout.regime_files(regime).training)

    def logits(self, regime: str) -> NDArray[np.float32]:
        """(N, C) logits of a regime."""
        return self.read_array(layout.regime_files(regime).logits)

    def thresholds(self, regime: str) -> Thresholds:
        """Operating points of a regime, with the split they were chosen on."""
        return self.read_thresholds(layout.regime_files(regime).thresholds)

    def threshold_array(self, regime: str) -> NDArray[np.float32]:
        """(C,) logit thresholds, NaN where the split could not decide."""
        return self.thresholds(regime).values(self.labels)

    def vectors(self, space: str) -> NDArray[np.float32]:
        """(N, dim) unit-norm vectors of a space."""
        return self.read_array(self.vectors_file(space))

    def vectors_file(self, space: str) -> str:
        """The file of a space's vectors, relative to the run."""
        if self.space(space).kind == "decision":
            return layout.space_files(space).vectors
        encoder = next(regime.encoder for regime in self.regimes if regime.embedding_space == space)
        return layout.encoder_files(encoder).embeddings

    # --- files -----------------------------------------------------------------------------------------------------

    def file(self, relative: str) -> Path:
        """The whole path of one of the run's files.

        Raises
        ------
        UserError
            Where the run has no such file, since an earlier version made it.
        """
        if relative not in self.artefacts:
            raise UserError(
                f"The run {self.run_id} has no {relative}: an earlier version made it.",
                "Run precompute again with the same command; a demo with `python -m precompute demo`.",
            )
        return self.path / relative

    def read_array(self, relative: str) -> NDArray[Any]:
        """A memory-mapped array."""
        try:
            array: NDArray[Any] = np.load(self.file(relative), mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise self.damaged(relative) from error
        return array

    def read_frame(self, relative: str) -> pd.DataFrame:
        try:
            return pd.read_parquet(self.file(relative))
        except (pa.ArrowException, ValueError, OSError) as error:
            raise self.damaged(relative) from error

    def read_json(self, relative: str) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads(self.file(relative).read_text(encoding="utf-8"))
        except ValueError as error:
            raise self.damaged(relative) from error
        return value

    def read_thresholds(self, relative: str) -> Thresholds:
        try:
            return Thresholds.model_validate(self.read_json(relative))
        except ValidationError as error:
            raise self.damaged(relative) from error

    def read_head(self, relative: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (C, D) and bias (C,)."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(self.file(relative))
        except SafetensorError as error:
            raise self.damaged(relative) from error
        return tensors["weight"], tensors["bias"]

    def damaged(self, relative: str) -> UserError:
        """The error to raise for a file that is not what the manifest describes."""
        return UserError(
            f"{self.path / relative} is damaged: it is not what the manifest describes.",
            f"Copy the run again, or delete {self.path} and run precompute again.",
        )
