"""Opening a store and reading its parts. Arrays are memory-mapped; nothing here imports torch."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
from pydantic import ValidationError

from explorer.analysis.clusters import Cluster
from explorer.analysis.metrics import of_older
from explorer.analysis.thresholds import Thresholds
from explorer.data.geometry import Fit
from explorer.data.limits import BadImage, inside
from explorer.data.samples import SPLITS, Split, projections
from explorer.errors import UserError
from explorer.store.files import sha256_file
from explorer.store.schema import (
    SCHEMA_MAJOR,
    EncoderRecord,
    Manifest,
    RegimeRecord,
    SpaceKind,
    SpaceRecord,
)

if TYPE_CHECKING:
    import faiss
    from numpy.typing import NDArray

    from explorer.analysis.outliers import Cloud

_Record = TypeVar("_Record", RegimeRecord, SpaceRecord)

PARTIAL = ".partial"
INDEX = "index.faiss"
BUILD = "python -m precompute demo"


def list_runs(root: Path) -> list[str]:
    """Run ids of the complete runs under ``root``, newest first."""
    manifests = [m for m in root.glob("*/manifest.json") if not m.parent.name.endswith(PARTIAL)]
    return [m.parent.name for m in sorted(manifests, key=lambda m: m.stat().st_mtime_ns, reverse=True)]


def latest_run(root: Path) -> str | None:
    """The run named by ``LATEST``, or the newest complete one, or None."""
    runs = list_runs(root)
    pointer = root / "LATEST"
    named = pointer.read_text(encoding="utf-8", errors="replace").strip() if pointer.is_file() else ""
    return named if named in runs else next(iter(runs), None)


def counterpart(root: Path, store: Store) -> str | None:
    """The newest run under ``root`` of the same films, labels and encoder by the other protocol, or None."""
    mine = store.manifest
    for run_id in list_runs(root):
        try:
            other = read_manifest(root / run_id)
        except UserError:  # a run that does not open is no reason not to show this one
            continue
        if (
            other.protocol != mine.protocol
            and other.dataset.content == mine.dataset.content != ""
            and other.labels == mine.labels
            and other.encoders[0].weights_sha256 == mine.encoders[0].weights_sha256
        ):
            return run_id
    return None


def open_store(root: Path, run_id: str | None = None) -> Store:
    """Open a run.

    Parameters
    ----------
    root : Path
        The store's folder (holding ``LATEST``), or one run's own folder.
    run_id : str, optional
        Which run; by default the latest.

    Raises
    ------
    UserError
        Where there is no complete run, it is of another major version, or a file is missing or of the wrong size.
    """
    if run_id is None and (root / "manifest.json").is_file():
        return Store(root)
    chosen = run_id or latest_run(root)
    if chosen is None:
        raise UserError(f"There is no store at {root}.", f"Make one with `{BUILD}`, or name another folder.")
    if chosen not in list_runs(root):
        raise UserError(
            f"The store at {root} has no complete run {chosen!r}.",
            f"Choose one of: {', '.join(list_runs(root)) or 'none yet'}.",
        )
    return Store(root / chosen)


class LabelAudit(NamedTuple):
    """A regime's view of the labels, each (N, C); NaN, or False, where a cell is unknown or the regime trained on it.

    ``quality`` is the probability of the given label; ``flagged`` is what confident learning takes for an error.
    """

    probabilities: NDArray[np.float32]
    quality: NDArray[np.float32]
    flagged: NDArray[np.bool_]


class Store:
    """One complete run. Rows are integers 0..N-1 in the order of ``samples``; every array shares that order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = read_manifest(path)
        self._check_files()

    def __repr__(self) -> str:
        names = ", ".join(r.name for r in self.regimes)
        return f"Store({self.manifest.run_id!r}, n={self.n}, labels={len(self.labels)}, regimes=[{names}])"

    # --- what there is -------------------------------------------------------------------------------------------

    @property
    def n(self) -> int:
        return self.manifest.n

    @property
    def labels(self) -> tuple[str, ...]:
        return self.manifest.labels

    @property
    def regimes(self) -> tuple[RegimeRecord, ...]:
        return self.manifest.regimes

    def regime(self, name: str) -> RegimeRecord:
        return _named(self.regimes, name)

    def encoder(self, encoder_id: str) -> EncoderRecord:
        return next(e for e in self.manifest.encoders if e.id == encoder_id)

    def space(self, name: str) -> SpaceRecord:
        return _named(self.manifest.spaces, name)

    def space_of(self, regime: str, kind: SpaceKind) -> SpaceRecord:
        """The regime's embedding or decision space; zero-shot and linear probe share their embedding space."""
        record = self.regime(regime)
        return self.space(record.embedding_space if kind == "embedding" else record.decision_space)

    # --- samples ---------------------------------------------------------------------------------------------------

    @cached_property
    def samples(self) -> pd.DataFrame:
        """One row an image, index 0..N-1: SAMPLE_COLUMNS, then one float column a label (1, 0, NaN for unknown)."""
        frame = self._frame("samples.parquet")
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

    @cached_property
    def views(self) -> NDArray[np.str_]:
        """(N,) "frontal", "lateral" or "" for unknown."""
        return projections(self.samples["view"].astype(str).tolist())

    def rows(self, split: Split | None = None) -> NDArray[np.int64]:
        """Rows of a split, or all of them, ascending."""
        if split is None:
            return np.arange(self.n)
        return np.flatnonzero(self.samples["split"].to_numpy() == split)

    def peers(self, row: int) -> NDArray[np.int64]:
        """Rows of a film's own split, itself among them, ascending."""
        return np.flatnonzero(self.samples["split"].to_numpy() == self.samples["split"].iat[row])

    def row_of(self, sample_id: str) -> int | None:
        """The row of a sample, or None where this run has no such sample."""
        found = self.samples.index[self.samples["sample_id"] == sample_id]
        return int(found[0]) if len(found) else None

    @cached_property
    def _thumbnail_offsets(self) -> NDArray[np.int64]:
        return self._array("thumbnails/offsets.npy")

    @cached_property
    def _thumbnail_bytes(self) -> NDArray[np.uint8]:
        return np.memmap(self.path / "thumbnails/data.bin", dtype=np.uint8, mode="r")

    def thumbnail(self, row: int) -> bytes:
        """The row's grey JPEG thumbnail."""
        start, stop = self._thumbnail_offsets[row : row + 2]
        return self._thumbnail_bytes[start:stop].tobytes()

    def film(self, row: int) -> Path:
        """Path of the row's original film.

        Raises
        ------
        UserError
            Where the films are not on this machine.
        """
        name = str(self.samples["image"].iat[row])
        try:
            path = inside(self.path / self.manifest.dataset.images, name)
        except BadImage as error:
            raise UserError(
                f"{self.path}/samples.parquet row {row} names {name}: {error}.", "Do not use this store."
            ) from error
        if not path.is_file():
            raise UserError(
                f"The film {name} is not on this machine; the store holds thumbnails only.",
                "Put the films back where precompute found them, or run precompute again with their new folder.",
            )
        return path

    @cached_property
    def annotations(self) -> pd.DataFrame:
        """sample_id, row, label, annotator, x, y, w, h, polygon ((2P,) x and y in turn, or None); original pixels."""
        return self._frame("annotations.parquet")

    @cached_property
    def skipped(self) -> pd.DataFrame:
        """image and reason, one row for each image left out."""
        return self._frame("skipped.parquet")

    # --- regimes ---------------------------------------------------------------------------------------------------

    def logits(self, regime: str) -> NDArray[np.float32]:
        """(N, C) logits of a regime."""
        return self._array(f"regimes/{regime}/logits.npy")

    def prompt_logits(self, prompt_set: str) -> NDArray[np.float32]:
        """(N, C) zero-shot logits of a prompt set."""
        return self._array(f"prompts/{prompt_set}/logits.npy")

    @cached_property
    def texts(self) -> list[str]:
        """Every sentence of the prompt sets, T of them."""
        found: list[str] = self._json(self._made("prompts/texts.json", "embedded prompts"))["texts"]
        return found

    def text_vectors(self) -> NDArray[np.float32]:
        """(T, D) unit norm: ``texts`` as the frozen encoder's text tower embeds them."""
        return self._array(self._made("prompts/texts.npy", "embedded prompts"))

    def prompts(self, prompt_set: str) -> dict[str, dict[str, list[str]]]:
        """Each label's positive and negative sentences in a prompt set."""
        labels: dict[str, dict[str, list[str]]] = self._json(f"prompts/{prompt_set}/prompts.json")["labels"]
        return labels

    @cached_property
    def logit_scale(self) -> float:
        """The frozen encoder's trained temperature s of cosine similarities."""
        return float(self.training("zero_shot")["logit_scale"])

    def head(self, regime: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (C, D) and bias (C,) of a regime's linear head over the unit-norm embedding, or over the projection
        where the regime's record says it is not of unit norm."""
        return self._head(f"regimes/{regime}/head.safetensors")

    def prompt_head(self, prompt_set: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (C, D) and bias (C,) of zero-shot with a prompt set."""
        return self._head(f"prompts/{prompt_set}/head.safetensors")

    def _head(self, relative: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            tensors = load_file(self.path / relative)
        except SafetensorError as error:
            raise self._damaged(relative) from error
        return tensors["weight"], tensors["bias"]

    def seed_logits(self, regime: str) -> list[NDArray[np.float32]]:
        """(N, C) logits of the regime's training with every seed, its own first."""
        others = self.regime(regime).seeds
        return [self.logits(regime), *(self._array(f"regimes/{regime}/seeds/{seed}.npy") for seed in others)]

    def thresholds(self, regime: str) -> Thresholds:
        """Operating points of a regime, with the split they were chosen on."""
        return self._thresholds(f"regimes/{regime}/thresholds.json")

    def prompt_thresholds(self, prompt_set: str) -> NDArray[np.float32]:
        """(C,) logit thresholds of a prompt set, from validation, NaN where it could not decide."""
        return self._thresholds(f"prompts/{prompt_set}/thresholds.json").values(self.labels)

    def _thresholds(self, relative: str) -> Thresholds:
        try:
            return Thresholds.model_validate(self._json(relative))
        except ValidationError as error:
            raise self._damaged(relative) from error

    def threshold_array(self, regime: str) -> NDArray[np.float32]:
        """(C,) logit thresholds, NaN where the split could not decide."""
        return self.thresholds(regime).values(self.labels)

    def training(self, regime: str) -> dict[str, Any]:
        """Settings of a regime and, where it was trained, its curve."""
        return self._json(f"regimes/{regime}/training.json")

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Long frame with METRIC_COLUMNS."""
        return of_older(self._frame("metrics.parquet"))

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Long frame with DIFFERENCE_COLUMNS."""
        return self._later_frame("differences.parquet")

    @cached_property
    def bands(self) -> pd.DataFrame:
        """Long frame with BAND_COLUMNS."""
        return self._later_frame("bands.parquet")

    @cached_property
    def calibration(self) -> pd.DataFrame:
        """Long frame with CALIBRATION_COLUMNS."""
        return self._later_frame("calibration.parquet")

    @cached_property
    def retrieval(self) -> pd.DataFrame:
        """Long frame with RETRIEVAL_COLUMNS."""
        return self._frame(self._made("retrieval.parquet", "retrieval figures"))

    @cached_property
    def separability(self) -> pd.DataFrame:
        """Long frame with ``separability.SEPARABILITY_COLUMNS``."""
        return self._later_frame("separability.parquet")

    @cached_property
    def confusability(self) -> pd.DataFrame:
        """Long frame with ``separability.CONFUSION_COLUMNS``."""
        return self._later_frame("confusability.parquet")

    @cached_property
    def likeness(self) -> pd.DataFrame:
        """Long frame with ``separability.LIKENESS_COLUMNS``; each pair of spaces once."""
        return self._later_frame("likeness.parquet")

    # --- encoders and spaces ---------------------------------------------------------------------------------------

    def encoder_folder(self, encoder_id: str) -> Path:
        return self.path / "encoders" / self.encoder(encoder_id).id

    def fit(self, encoder_id: str) -> Fit:
        """An encoder's preprocessing geometry, read without loading the encoder."""
        relative = f"encoders/{self.encoder(encoder_id).id}/encoder.json"
        try:
            return Fit.model_validate(self._json(relative)["fit"])
        except (ValidationError, KeyError) as error:
            raise self._damaged(relative) from error

    def vectors(self, space: str) -> NDArray[np.float32]:
        """(N, dim) unit-norm float32 vectors of a space."""
        return self._array(self._vectors_file(space))

    def _vectors_file(self, space: str) -> str:
        if self.space(space).kind == "decision":
            return f"spaces/{space}/vectors.npy"
        encoder = next(r.encoder for r in self.regimes if r.embedding_space == space)
        return f"encoders/{encoder}/embeddings.npy"

    def projections(self, encoder_id: str) -> NDArray[np.float32] | None:
        """(N, D) an encoder's embeddings before they were brought to unit norm; None where the run kept no norms."""
        relative = f"encoders/{encoder_id}/norms.npy"
        if relative not in self.manifest.artefacts:
            return None
        return np.asarray(self._array(f"encoders/{encoder_id}/embeddings.npy") * self._array(relative)[:, None])

    def index(self, space: str) -> tuple[faiss.Index, str]:
        """The FAISS index of a space, and a word to the reader where its file could not be used.

        It is memory-mapped once its hash agrees with the manifest: index files are not data to trust unread. One that
        is missing or damaged is built again in memory from the space's vectors, whose hash is checked: the same index.

        Raises
        ------
        UserError
            Where the vectors are damaged, too.
        """
        import faiss

        from explorer.analysis.neighbours import build_index

        relative = f"spaces/{space}/{INDEX}"
        wrong = self._wrong(relative)
        if not wrong:
            return faiss.read_index(str(self.path / relative), faiss.IO_FLAG_MMAP_IFC), ""
        vectors = self._vectors_file(space)
        if self._wrong(vectors):
            raise self._damaged(vectors)
        return build_index(self.vectors(space)), (
            f"{relative} {wrong}: the index was built again in memory from {vectors}. Results are the same."
        )

    def occurrences(self, space: str) -> NDArray[np.int32]:
        """(N,) in how many films' ten nearest each film stands."""
        return self._array(self._made(f"spaces/{space}/occurrences.npy", "neighbour counts"))

    def map(self, space: str) -> NDArray[np.float32]:
        """(N, 2) map coordinates."""
        return self._array(f"spaces/{space}/map.npy")

    def trust(self, space: str) -> dict[str, Any]:
        """Method, parameters, seed and trust figures of a map."""
        return self._json(f"spaces/{space}/trust.json")

    def points(self, space: str) -> NDArray[np.float32]:
        """(N, 4) how far each film's place on the map may be believed, and its density (``map_trust.point_trust``)."""
        return self._array(self._made(f"spaces/{space}/points.npy", "trust by film"))

    def clusters(self, space: str) -> tuple[NDArray[np.int16], list[Cluster]]:
        """(N,) cluster of every film, and the clusters, largest first."""
        codes = self._array(self._made(f"spaces/{space}/clusters.npy", "clusters"))
        return codes, [Cluster.model_validate(c) for c in self._json(f"spaces/{space}/clusters.json")["clusters"]]

    # --- audit -----------------------------------------------------------------------------------------------------

    @cached_property
    def outlyingness(self) -> NDArray[np.float32]:
        """(N, 2) percentiles by ``outliers.DISTANCES``: how far out a film lies, against held-out training films."""
        return self._array(self._made("audit/outliers/percentiles.npy", "outliers"))

    @cached_property
    def cloud(self) -> Cloud:
        """The frozen encoder's training films, for ``outliers.outlyingness`` of a new film."""
        from explorer.analysis.outliers import Cloud  # with faiss, which a store opened for its tables never needs

        where = "audit/outliers"
        mean = self._array(self._made(f"{where}/mean.npy", "outliers"))
        vectors = np.asarray(self._array("encoders/frozen/embeddings.npy")[self.rows("train")])
        return Cloud(vectors, mean, self._array(f"{where}/precision.npy"), self._array(f"{where}/reference.npy"))

    @cached_property
    def copies(self) -> pd.DataFrame:
        """Pairs of films that are one film or nearly: a, b, kind, correlation, similarity, hash_bits."""
        return self._frame(self._made("audit/copies/pairs.parquet", "search for copies"))

    @cached_property
    def copy_rule(self) -> dict[str, Any]:
        """threshold of the correlation, rule and n_pairs."""
        return self._json(self._made("audit/copies/rule.json", "search for copies"))

    @property
    def audited_regimes(self) -> tuple[RegimeRecord, ...]:
        """Regimes whose out-of-sample probabilities the labels were held against."""
        made = self.manifest.artefacts
        return tuple(r for r in self.regimes if f"audit/labels/{r.name}/quality.npy" in made)

    def label_audit(self, regime: str) -> LabelAudit:
        """What a regime makes of the labels, where it has not seen the film."""
        where = f"audit/labels/{regime}"
        self._made(f"{where}/quality.npy", "search for label errors")
        return LabelAudit(*(self._array(f"{where}/{name}.npy") for name in LabelAudit._fields))

    def shortcuts(self, which: Literal["labels", "embeddings", "acquisition", "attributes"]) -> pd.DataFrame:
        """One of the shortcut tables."""
        return self._frame(self._made(f"audit/shortcuts/{which}.parquet", "search for shortcuts"))

    @cached_property
    def attribute_facts(self) -> dict[str, dict[str, str]]:
        """kinds: attribute to kind; lacking: what the set does not tell, and why."""
        return self._json(self._made("audit/shortcuts/attributes.json", "search for shortcuts"))

    def _made(self, relative: str, what: str) -> str:
        """The path of a file that runs made by an earlier version lack."""
        if relative not in self.manifest.artefacts:
            raise UserError(
                f"The run {self.manifest.run_id} has no {what}: an earlier version made it.",
                "Run precompute again with the same command; a demo with `python -m precompute demo`.",
            )
        return relative

    # --- checking --------------------------------------------------------------------------------------------------

    def verify(self) -> list[str]:
        """Read every byte and return what is wrong, one line a file; an empty list where all is well."""
        problems = []
        for relative in self.manifest.artefacts:
            if wrong := self._wrong(relative):
                problems.append(f"{relative} {wrong}")
        if not problems:
            problems += self._check_contents()
        return problems

    def _check_contents(self) -> list[str]:
        problems = []
        samples = self.samples
        if len(samples) != self.n:
            problems.append(f"samples.parquet: {len(samples)} rows, the manifest says {self.n}")
        if samples["sample_id"].duplicated().any():
            problems.append("samples.parquet: a sample_id occurs twice")
        if not samples["split"].isin(SPLITS).all():
            problems.append("samples.parquet: a split other than train, val, test")
        crossing = samples.groupby("patient_id")["split"].nunique().gt(1).sum()
        if crossing:
            problems.append(f"samples.parquet: {crossing} patients are in more than one split")
        for space in self.manifest.spaces:
            norms = np.linalg.norm(self.vectors(space.name), axis=1)
            if not np.allclose(norms, 1, atol=1e-3):
                problems.append(f"spaces/{space.name}: vectors are not of unit norm")
            if self.index(space.name)[0].ntotal != self.n:
                problems.append(f"spaces/{space.name}/index.faiss: not {self.n} vectors")
        return problems

    def _wrong(self, relative: str) -> str:
        """What is wrong with a file, by its hash; empty where nothing is."""
        file = self.path / relative
        if not file.is_file():
            return "is missing"
        return "" if sha256_file(file) == self.manifest.artefacts[relative].sha256 else "is not what the manifest says"

    def _check_files(self) -> None:
        for relative, artefact in self.manifest.artefacts.items():
            path = (self.path / relative).resolve()
            if not path.is_relative_to(self.path.resolve()):
                raise UserError(
                    f"{self.path}/manifest.json names {relative}, outside the run.", "Do not use this store."
                )
            if path.name == INDEX:
                continue  # made again from its vectors where it is lost
            if not path.is_file():
                raise UserError(
                    f"The store lacks {self.path / relative}.", "Copy the run again, or run precompute again."
                )
            if path.stat().st_size != artefact.bytes:
                raise self._damaged(relative)
            if relative.endswith(".npy"):
                array = self._array(relative)
                if array.shape != artefact.shape or str(array.dtype) != artefact.dtype:
                    raise self._damaged(relative)

    def _damaged(self, relative: str) -> UserError:
        return UserError(
            f"{self.path / relative} is damaged: it is not what the manifest describes.",
            f"Copy the run again, or delete {self.path} and run precompute again.",
        )

    def _array(self, relative: str) -> NDArray[Any]:
        try:
            array: NDArray[Any] = np.load(self.path / relative, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise self._damaged(relative) from error
        return array

    def _frame(self, relative: str) -> pd.DataFrame:
        try:
            return pd.read_parquet(self.path / relative)
        except (pa.ArrowException, ValueError, OSError) as error:
            raise self._damaged(relative) from error

    def _later_frame(self, relative: str) -> pd.DataFrame:
        """A table that runs made by an earlier version lack."""
        if relative not in self.manifest.artefacts:
            raise UserError(
                f"This run was made before {relative} was kept.", "Run the same precompute command again to have it."
            )
        return self._frame(relative)

    def _json(self, relative: str) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads((self.path / relative).read_text(encoding="utf-8"))
        except ValueError as error:
            raise self._damaged(relative) from error
        return value


def read_manifest(path: Path) -> Manifest:
    """The manifest of a complete run's folder.

    Raises
    ------
    UserError
        Where there is none, it is damaged, or of another major version.
    """
    file = path / "manifest.json"
    if not file.is_file():
        raise UserError(f"{path} is not a complete run: it has no manifest.json.", "Run precompute again to finish it.")
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        version = str(raw["schema_version"])
        if version.split(".")[0] != str(SCHEMA_MAJOR):
            raise UserError(
                f"{file} is of schema version {version}; this explorer reads version {SCHEMA_MAJOR}.",
                "Run precompute again with this version, or open it with the version that made it.",
            )
        return Manifest.model_validate(raw)
    except (ValidationError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged: {error}", "Copy the run again, or run precompute again.") from error


def _named(records: tuple[_Record, ...], name: str) -> _Record:
    return next(record for record in records if record.name == name)
