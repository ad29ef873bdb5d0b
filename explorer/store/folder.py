"""What a finished run and one under way have in common: reading the files of a run's folder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import pandas as pd

from explorer.analysis.thresholds import Thresholds
from explorer.data.samples import SPLITS
from explorer.errors import UserError
from explorer.store import checked, layout, schemas
from explorer.store.manifest import Artefact, RegimeRecord, SpaceRecord

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from explorer.data.samples import Split

Record = TypeVar("Record")


class DamagedFile(UserError):
    """A file of a run that cannot be used, and why."""

    def __init__(self, run_id: str, file: str, why: str) -> None:
        super().__init__(
            f"The file {file} of the run {run_id} is damaged: {why}.",
            "Copy the run again, or delete its folder and run precompute again. Other runs of the store still open. "
            "`python -m precompute verify` lists every damaged file.",
        )
        self.file = file
        self.why = why


class LeftOut(UserError):
    """What a page needs is not in this run, by the choice of who made or published it: no fault to report."""


@contextmanager
def blamed_on(run_id: str, file: str) -> Iterator[None]:
    """Whatever goes wrong while a file is read is a DamagedFile."""
    try:
        yield
    except checked.Damaged as error:
        raise DamagedFile(run_id, file, str(error)) from error
    except FileNotFoundError as error:
        raise DamagedFile(run_id, file, "it is missing") from error
    except OSError as error:
        raise DamagedFile(run_id, file, f"it cannot be read, {error.strerror}") from error


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
    n : int, optional
        How many films the run must have; by default as many as its samples.
    has_films : bool
        Whether the run was made from films; else from embeddings alone.

    Raises
    ------
    UserError
        By whatever reads a file, where that file is missing or damaged; the rest of the run can still be read.
    """

    def __init__(
        self,
        path: Path,
        run_id: str,
        labels: tuple[str, ...],
        regimes: tuple[RegimeRecord, ...],
        spaces: tuple[SpaceRecord, ...],
        artefacts: Mapping[str, Artefact],
        n: int | None = None,
        *,
        has_films: bool = True,
    ) -> None:
        self.path = path
        self.run_id = run_id
        self.labels = labels
        self.regimes = self.all_regimes = regimes
        self.spaces = spaces
        self.artefacts = artefacts
        self.has_films = has_films
        self._n = n

    # --- films -----------------------------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        """How many films the run has."""
        return len(self.samples) if self._n is None else self._n

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row for each image, index 0..N-1: SAMPLE_COLUMNS, then a float column for each label (1, 0 or NaN).

        Height and width are NaN in a run that never had films.
        """
        labels = list(self.labels)
        kinds = schemas.sample_kinds(self.labels, sized=self.has_films)
        frame = self.read_frame(layout.SAMPLES, kinds, self._n)
        frame[labels] = frame[labels].astype("float32")
        with self._reading(layout.SAMPLES):
            if frame["sample_id"].duplicated().any():
                raise checked.Damaged("a sample_id occurs twice")
            if not frame["split"].isin(SPLITS).all():
                raise checked.Damaged(f"a split is other than {', '.join(SPLITS)}")
            if not (frame[labels].isin([0, 1]) | frame[labels].isna()).to_numpy().all():
                raise checked.Damaged("a label is other than 1, 0 or blank")
            if (frame[["height", "width"]] < 1).to_numpy().any():
                raise checked.Damaged("a film has no size")
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
        codes, code_of = self._splits
        return np.flatnonzero(codes == code_of.get(split, len(code_of)))

    @cached_property
    def _splits(self) -> tuple[NDArray[np.int64], dict[str, int]]:
        """(N,) an integer code for each row's split, and each split's code: a page asks for rows a dozen times."""
        codes, names = pd.factorize(self.samples["split"])
        return codes, {str(name): code for code, name in enumerate(names)}

    # --- encoders, heads and spaces ----------------------------------------------------------------------------------

    def regime(self, name: str) -> RegimeRecord:
        return self._named("regime", name, {record.name: record for record in self.all_regimes})

    def space(self, name: str) -> SpaceRecord:
        return self._named("space", name, {record.name: record for record in self.spaces})

    def dim(self, encoder_id: str) -> int:
        """How many numbers an encoder makes of a film."""
        spaces = {regime.encoder: regime.embedding_space for regime in self.all_regimes}
        return self.space(self._named("encoder", encoder_id, spaces)).dim

    def embeddings(self, encoder_id: str) -> NDArray[np.float32]:
        """(N, D) of unit norm."""
        return self.read_array(layout.encoder_files(encoder_id).embeddings, "float32", self.n, self.dim(encoder_id))

    def norms(self, encoder_id: str) -> NDArray[np.float32]:
        """(N,) what an encoder's embeddings were divided by."""
        return self.read_array(layout.encoder_files(encoder_id).norms, "float32", self.n)

    def projections(self, encoder_id: str) -> NDArray[np.float32] | None:
        """(N, D) an encoder's embeddings before they were brought to unit norm; None where the run kept no norms."""
        if layout.encoder_files(encoder_id).norms not in self.artefacts:
            return None
        return np.asarray(self.embeddings(encoder_id) * self.norms(encoder_id)[:, None])

    def head(self, regime: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (C, D) and bias (C,) of a regime's linear head.

        It reads the unit-norm embedding, or the projection where the regime's record says ``unit`` is false.

        Raises
        ------
        LeftOut
            Where only the regime's logits are known.
        """
        record = self.regime(regime)
        if not record.has_head:
            raise LeftOut(
                f"{record.title} has no head here: its logits were made elsewhere.", "Choose another regime for this."
            )
        return self.read_head(layout.regime_files(regime).head, self.dim(record.encoder))

    def training(self, regime: str) -> dict[str, Any]:
        """Settings of a regime and, where it was trained, its curve."""
        schema = schemas.TRAINING[self.regime(regime).kind]
        training: dict[str, Any] = self.read_json(layout.regime_files(regime).training, schema).model_dump()
        return {key: value for key, value in training.items() if value is not None}

    def logits(self, regime: str) -> NDArray[np.float32]:
        """(N, C) logits of a regime."""
        return self.read_scores(layout.regime_files(regime).logits)

    def thresholds(self, regime: str) -> Thresholds:
        """Operating points of a regime, with the split they were chosen on."""
        return self.read_thresholds(layout.regime_files(regime).thresholds)

    def threshold_array(self, regime: str) -> NDArray[np.float32]:
        """(C,) logit thresholds, NaN where the split could not decide."""
        return self.thresholds(regime).values(self.labels)

    def vectors(self, space: str) -> NDArray[np.float32]:
        """(N, dim) unit-norm vectors of a space."""
        return self.read_array(self.vectors_file(space), "float32", self.n, self.space(space).dim)

    def vectors_file(self, space: str) -> str:
        """The file of a space's vectors, relative to the run."""
        if self.space(space).kind == "decision":
            return layout.space_files(space).vectors
        encoders = {regime.embedding_space: regime.encoder for regime in self.all_regimes}
        return layout.encoder_files(self._named("embedding space", space, encoders)).embeddings

    def map(self, space: str) -> NDArray[np.float32]:
        """(N, 2) map coordinates."""
        return self.read_array(layout.space_files(space).map, "float32", self.n, 2)

    # --- files -----------------------------------------------------------------------------------------------------

    def file(self, relative: str) -> Path:
        """The whole path of one of the run's files.

        Raises
        ------
        UserError
            Where the run has no such file, since an earlier version made it, or a link leads out of the run.
        """
        if relative not in self.artefacts:
            raise UserError(
                f"The run {self.run_id} has no {relative}: an earlier version made it.",
                "Run precompute again with the same command; a demo with `python -m precompute demo`.",
            )
        path = Path(os.path.realpath(self.path / relative))
        if not path.is_relative_to(os.path.realpath(self.path)):
            raise self.damaged(relative, "a link leads out of the run")
        return path

    def read_array(self, relative: str, dtype: str, *shape: int | None) -> NDArray[Any]:
        """A memory-mapped array of this type and shape; None for any length."""
        with self._reading(relative) as path:
            return checked.map_array(path, dtype, shape)

    def read_scores(self, relative: str) -> NDArray[np.float32]:
        """(N, C) of every film and label, memory-mapped."""
        return self.read_array(relative, "float32", self.n, len(self.labels))

    def read_bytes(self, relative: str) -> bytes:
        """A whole file, once its hash agrees."""
        with self._reading(relative) as path:
            artefact = self.artefacts[relative]
            return checked.read_bytes(path, artefact.bytes, artefact.sha256)

    def read_frame(
        self,
        relative: str,
        columns: Mapping[str, checked.ColumnKind],
        rows: int | None = None,
        newer: frozenset[str] = frozenset(),
    ) -> pd.DataFrame:
        """These columns of a table; a run of an earlier version may lack those in ``newer``."""
        data = self.read_bytes(relative)
        with self._reading(relative):
            return checked.parse_table(data, columns, rows, newer)

    def check_rows(self, relative: str, rows: pd.DataFrame | pd.Series[int]) -> None:
        """Refuse a table that names films beyond the run's."""
        if ((rows < 0) | (rows >= self.n)).to_numpy().any():
            raise self.damaged(relative, "it names films that the run has not")

    def read_json(self, relative: str, schema: type[checked.Model]) -> checked.Model:
        data = self.read_bytes(relative)
        with self._reading(relative):
            return checked.parse_json(data, schema)

    def read_thresholds(self, relative: str) -> Thresholds:
        """Operating points for every label."""
        thresholds = self.read_json(relative, Thresholds)
        if missing := set(self.labels) - set(thresholds.labels):
            raise self.damaged(relative, f"it has nothing for {min(missing)}")
        return thresholds

    def read_head(self, relative: str, dim: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (C, dim) and bias (C,)."""
        data, c = self.read_bytes(relative), len(self.labels)
        with self._reading(relative):
            tensors = checked.parse_tensors(data, {"weight": (c, dim), "bias": (c,)})
        return tensors["weight"], tensors["bias"]

    def read_packed(self, relative: str) -> NDArray[np.uint8]:
        """A file's bytes, memory-mapped."""
        with self._reading(relative) as path:
            return checked.map_bytes(path, self.artefacts[relative].bytes)

    def check_hash(self, relative: str) -> None:
        """Read every byte of a file, and raise where its hash is not the manifest's."""
        with self._reading(relative) as path:
            checked.check_hash(path, self.artefacts[relative].bytes, self.artefacts[relative].sha256)

    def damaged(self, relative: str, why: str) -> DamagedFile:
        """The error to raise for a file that is not what the manifest describes."""
        return DamagedFile(self.run_id, relative, why)

    @contextmanager
    def _reading(self, relative: str) -> Iterator[Path]:
        """Say of which file it is that something is wrong."""
        with blamed_on(self.run_id, relative):
            yield self.file(relative)

    def _named(self, what: str, name: str, records: Mapping[str, Record]) -> Record:
        if name not in records:
            raise UserError(
                f"The run {self.run_id} has no {what} {name!r}.",
                f"Choose a run with it; this one has {', '.join(records)}.",
            )
        return records[name]
