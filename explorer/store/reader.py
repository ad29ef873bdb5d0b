"""A complete run, opened. Arrays are memory-mapped; nothing here imports torch."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from explorer.analysis.clusters import Cluster
from explorer.data.geometry import Fit
from explorer.data.limits import BadImage, inside
from explorer.data.samples import projections
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.audit import Audit
from explorer.store.files import sha256_file
from explorer.store.folder import RunFolder
from explorer.store.manifest import EncoderRecord, SpaceKind, SpaceRecord, read_manifest
from explorer.store.tables import Tables

if TYPE_CHECKING:
    import faiss
    import pandas as pd
    from numpy.typing import NDArray


class Store(RunFolder):
    """One complete run.

    Attributes
    ----------
    manifest : Manifest
    tables : Tables
        Metrics and other tables.
    audit : Audit
        Outliers, near copies, label errors and shortcuts.

    Raises
    ------
    UserError
        Where the run is not complete, it is of another major version, or a file is missing or of the wrong size.
    """

    def __init__(self, path: Path) -> None:
        self.manifest = manifest = read_manifest(path)
        super().__init__(path, manifest.run_id, manifest.labels, manifest.regimes, manifest.spaces, manifest.artefacts)
        self._check_files()
        self.tables = Tables(self)
        self.audit = Audit(self)

    def __repr__(self) -> str:
        names = ", ".join(r.name for r in self.regimes)
        return f"Store({self.run_id!r}, n={self.n}, labels={len(self.labels)}, regimes=[{names}])"

    @property
    def n(self) -> int:
        return self.manifest.n

    # --- films -----------------------------------------------------------------------------------------------------

    @cached_property
    def views(self) -> NDArray[np.str_]:
        """(N,) "frontal", "lateral" or "" for unknown."""
        return projections(self.samples["view"].astype(str).tolist())

    def peers(self, row: int) -> NDArray[np.int64]:
        """Rows of a film's own split, itself among them, ascending."""
        return np.flatnonzero(self.samples["split"].to_numpy() == self.samples["split"].iat[row])

    def row_of(self, sample_id: str) -> int | None:
        """The row of a sample, or None where this run has no such sample."""
        rows = self.samples.index[self.samples["sample_id"] == sample_id]
        return int(rows[0]) if len(rows) else None

    @cached_property
    def _thumbnail_offsets(self) -> NDArray[np.int64]:
        return self.read_array(layout.THUMBNAIL_OFFSETS)

    @cached_property
    def _thumbnail_bytes(self) -> NDArray[np.uint8]:
        return np.memmap(self.file(layout.THUMBNAILS), dtype=np.uint8, mode="r")

    def thumbnail(self, row: int) -> bytes:
        """The row's grey JPEG thumbnail."""
        start, stop = self._thumbnail_offsets[row : row + 2]
        return self._thumbnail_bytes[start:stop].tobytes()

    @cached_property
    def film_files(self) -> pd.DataFrame:
        """(N rows) size, time and SHA-256 of each film's file as it was scored: bytes, modified_ns, sha256."""
        return self.read_frame(layout.FILM_FILES)

    def film(self, row: int) -> Path:
        """Path of the row's original film, as it was scored.

        Raises
        ------
        UserError
            Where the films are not on this machine, or this one has changed since. A run of an earlier version kept no
            hashes to tell by.
        """
        name = str(self.samples["image"].iat[row])
        try:
            path = inside(self.path / self.manifest.dataset.images, name)
        except BadImage as error:
            raise UserError(
                f"{self.file(layout.SAMPLES)} row {row} names {name}: {error}.", "Do not use this store."
            ) from error
        if not path.is_file():
            raise UserError(
                f"The film {name} is not on this machine; the store holds thumbnails only.",
                "Put the films back where precompute found them, or run precompute again with their new folder.",
            )
        try:
            changed = layout.FILM_FILES in self.artefacts and sha256_file(path) != self.film_files["sha256"].iat[row]
        except OSError as error:
            raise UserError(f"The film {name} cannot be read ({error.strerror}).", "Restore it.") from error
        if changed:
            raise UserError(
                f"The film {name} has changed since it was scored: its scores and its place are another picture's.",
                "Restore the film that was scored, or run precompute again.",
            )
        return path

    # --- encoders and regimes --------------------------------------------------------------------------------------

    def encoder(self, encoder_id: str) -> EncoderRecord:
        return next(e for e in self.manifest.encoders if e.id == encoder_id)

    def encoder_folder(self, encoder_id: str) -> Path:
        return self.path / layout.encoder_files(encoder_id).folder

    def fit(self, encoder_id: str) -> Fit:
        """An encoder's preprocessing geometry, read without loading the encoder."""
        config = layout.encoder_files(encoder_id).config
        try:
            return Fit.model_validate(self.read_json(config)["fit"])
        except (ValidationError, KeyError) as error:
            raise self.damaged(config) from error

    def seed_logits(self, regime: str) -> list[NDArray[np.float32]]:
        """(N, C) logits of the regime's training with every seed, its own first."""
        files = layout.regime_files(regime)
        others = (self.read_array(files.seed_logits(seed)) for seed in self.regime(regime).seeds)
        return [self.logits(regime), *others]

    # --- zero-shot prompts -----------------------------------------------------------------------------------------

    @cached_property
    def logit_scale(self) -> float:
        """The frozen encoder's trained temperature s of cosine similarities."""
        return float(self.training("zero_shot")["logit_scale"])

    @cached_property
    def texts(self) -> list[str]:
        """Every sentence of the prompt sets, T of them."""
        texts: list[str] = self.read_json(layout.TEXTS)["texts"]
        return texts

    def text_vectors(self) -> NDArray[np.float32]:
        """(T, D) unit norm: ``texts`` as the frozen encoder's text tower embeds them."""
        return self.read_array(layout.TEXT_VECTORS)

    def prompts(self, prompt_set: str) -> dict[str, dict[str, list[str]]]:
        """Each label's positive and negative sentences in a prompt set."""
        labels: dict[str, dict[str, list[str]]] = self.read_json(layout.prompt_files(prompt_set).prompts)["labels"]
        return labels

    def prompt_head(self, prompt_set: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (C, D) and bias (C,) of zero-shot with a prompt set."""
        return self.read_head(layout.prompt_files(prompt_set).head)

    def prompt_logits(self, prompt_set: str) -> NDArray[np.float32]:
        """(N, C) zero-shot logits of a prompt set."""
        return self.read_array(layout.prompt_files(prompt_set).logits)

    def prompt_thresholds(self, prompt_set: str) -> NDArray[np.float32]:
        """(C,) logit thresholds of a prompt set, from validation, NaN where it could not decide."""
        return self.read_thresholds(layout.prompt_files(prompt_set).thresholds).values(self.labels)

    # --- spaces ----------------------------------------------------------------------------------------------------

    def space_of(self, regime: str, kind: SpaceKind) -> SpaceRecord:
        """The regime's embedding or decision space; zero-shot and linear probe share their embedding space."""
        record = self.regime(regime)
        return self.space(record.embedding_space if kind == "embedding" else record.decision_space)

    def index(self, space: str) -> tuple[faiss.Index, str]:
        """The FAISS index of a space, and a word to the reader where its file could not be used.

        It is memory-mapped once its hash agrees with the manifest: no index file is trusted unread. One that
        is missing or damaged is built again in memory from the space's vectors, whose hash is checked: the same index.

        Raises
        ------
        UserError
            Where the vectors are damaged, too.
        """
        import faiss

        from explorer.analysis.neighbours import build_index

        file = layout.space_files(space).index
        wrong = self.wrong(file)
        if not wrong:
            return faiss.read_index(str(self.path / file), faiss.IO_FLAG_MMAP_IFC), ""
        vectors = self.vectors_file(space)
        if self.wrong(vectors):
            raise self.damaged(vectors)
        return build_index(self.vectors(space)), (
            f"{file} {wrong}: the index was built again in memory from {vectors}. Results are the same."
        )

    def has_occurrences(self, space: str) -> bool:
        """Whether the run is new enough to have counted neighbours."""
        return layout.space_files(space).occurrences in self.artefacts

    def occurrences(self, space: str) -> NDArray[np.int32]:
        """(N,) for each film, how many films have it among their ten nearest."""
        return self.read_array(layout.space_files(space).occurrences)

    def map(self, space: str) -> NDArray[np.float32]:
        """(N, 2) map coordinates."""
        return self.read_array(layout.space_files(space).map)

    def trust(self, space: str) -> dict[str, Any]:
        """Method, parameters, seed and trust figures of a map."""
        return self.read_json(layout.space_files(space).trust)

    def points(self, space: str) -> NDArray[np.float32]:
        """(N, 4) how far each film's place on the map may be believed, and its density (``map_trust.point_trust``)."""
        return self.read_array(layout.space_files(space).points)

    def clusters(self, space: str) -> tuple[NDArray[np.int16], list[Cluster]]:
        """(N,) cluster of every film, and the clusters, largest first."""
        files = layout.space_files(space)
        clusters = self.read_json(files.clusters)["clusters"]
        return self.read_array(files.cluster_codes), [Cluster.model_validate(cluster) for cluster in clusters]

    # --- checks ----------------------------------------------------------------------------------------------------

    def wrong(self, relative: str) -> str:
        """What is wrong with a file, by its hash; empty where nothing is."""
        file = self.path / relative
        if not file.is_file():
            return "is missing"
        return "" if sha256_file(file) == self.artefacts[relative].sha256 else "is not what the manifest says"

    def _check_files(self) -> None:
        for relative, artefact in self.artefacts.items():
            path = (self.path / relative).resolve()
            if not path.is_relative_to(self.path.resolve()):
                raise UserError(
                    f"{self.path / layout.MANIFEST} names {relative}, outside the run.", "Do not use this store."
                )
            if path.name == layout.INDEX:
                continue  # made again from its vectors where it is lost
            if not path.is_file():
                raise UserError(
                    f"The store lacks {self.path / relative}.", "Copy the run again, or run precompute again."
                )
            if path.stat().st_size != artefact.bytes:
                raise self.damaged(relative)
            if relative.endswith(".npy"):
                array = self.read_array(relative)
                if array.shape != artefact.shape or str(array.dtype) != artefact.dtype:
                    raise self.damaged(relative)
