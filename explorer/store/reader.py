"""A complete run, opened. Arrays are memory-mapped; nothing here imports torch."""

from __future__ import annotations

import io
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from explorer.analysis.clusters import Cluster
from explorer.data.geometry import Fit
from explorer.data.images import blank, open_picture
from explorer.data.limits import BadImage, inside
from explorer.data.samples import projections
from explorer.errors import UserError
from explorer.store import checked, layout, schemas
from explorer.store.audit import Audit
from explorer.store.files import sha256_file
from explorer.store.film_folders import film_folder
from explorer.store.folder import DamagedFile, LeftOut, RunFolder
from explorer.store.manifest import FROZEN, EncoderRecord, Part, SpaceKind, SpaceRecord, read_manifest
from explorer.store.tables import Tables

if TYPE_CHECKING:
    from collections.abc import Collection

    import faiss
    import pandas as pd
    from numpy.typing import NDArray

_TO_HAVE: dict[Part, str] = {
    "pixels": "Import the embeddings again with `--images`, the folder of the films.",
    "weights": "Make a run with the encoder itself: `python -m precompute run --encoder … --images …`.",
}
"""What makes a run that has a part which an imported one lacks."""


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
        Where the run is not complete, it is of another major version, or its manifest is damaged. Its other files are
        checked when they are read.
    """

    def __init__(self, path: Path) -> None:
        self.manifest = manifest = read_manifest(path)
        super().__init__(
            path,
            manifest.run_id,
            manifest.labels,
            manifest.regimes,
            manifest.spaces,
            manifest.artefacts,
            manifest.n,
            has_films="pixels" not in manifest.never_had,
        )
        self.tables = Tables(self)
        self.audit = Audit(self)

    def __repr__(self) -> str:
        names = ", ".join(r.name for r in self.regimes)
        return f"Store({self.run_id!r}, n={self.n}, labels={len(self.labels)}, regimes=[{names}])"

    def showing(self, regimes: Collection[str]) -> Store:
        """The same run with only these regimes to compare, in the run's order; what was read already is shared."""
        if set(regimes) >= {regime.name for regime in self.all_regimes}:
            return self
        shown = copy(self)
        shown.regimes = tuple(regime for regime in self.all_regimes if regime.name in regimes)
        return shown

    def place(self, regime: str) -> int:
        """The regime's place among all of the run's: its colour and marks, whichever others are shown."""
        return self.all_regimes.index(self.regime(regime))

    # --- what the run lacks ----------------------------------------------------------------------------------------

    def left_out(self, part: Part, what: str) -> LeftOut:
        """The error to raise where a page needs a part that this run is without; ``what`` it then lacks."""
        if part in self.manifest.never_had:
            return LeftOut(f"This run was imported without {part}: it has {what}.", _TO_HAVE[part])
        return LeftOut(
            f"This store was published without {part}: it has {what}.",
            "Ask whoever published the store for a copy that has it.",
        )

    def file(self, relative: str) -> Path:
        part = next((part for part, files in self._never_had.items() if relative in files), None)
        if part is not None:
            raise self.left_out(part, f"no {relative}")
        return super().file(relative)

    @cached_property
    def _never_had(self) -> dict[Part, frozenset[str]]:
        """The files that a run of imported embeddings is made without, by the part that they need."""
        towers = [layout.encoder_files(record.id) for record in self.manifest.encoders]
        need: dict[Part, frozenset[str]] = {
            "pixels": frozenset(layout.NEED_FILMS),
            "weights": frozenset(path for tower in towers for path in (tower.config, tower.weights)),
        }
        return {part: files for part, files in need.items() if part in self.manifest.never_had}

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
        offsets = self.read_array(layout.THUMBNAIL_OFFSETS, "int64", self.n + 1)
        size = self.artefacts[layout.THUMBNAILS].bytes if layout.THUMBNAILS in self.artefacts else 0
        if offsets[0] != 0 or offsets[-1] != size or (np.diff(offsets) <= 0).any():
            raise self.damaged(layout.THUMBNAIL_OFFSETS, f"its places do not part {layout.THUMBNAILS}")
        return offsets

    @cached_property
    def _thumbnail_bytes(self) -> NDArray[np.uint8]:
        return self.read_packed(layout.THUMBNAILS)

    def thumbnail(self, row: int) -> bytes:
        """The row's grey JPEG thumbnail; in a run without pixels a blank of the film's shape, as far as it is known."""
        if self.manifest.leaves_out("pixels"):
            width, height = self.film_size(row) if self.has_films else (1, 1)
            return blank(height, width)
        start, stop = self._thumbnail_offsets[row : row + 2]
        jpeg = self._thumbnail_bytes[start:stop].tobytes()
        try:
            with open_picture(io.BytesIO(jpeg)) as picture:
                picture.load()  # Streamlit decodes it to shrink it, and has no word for one that is damaged
        except BadImage as error:
            raise self.damaged(layout.THUMBNAILS, f"the thumbnail of row {row} cannot be read, {error}") from error
        return jpeg

    def film_size(self, row: int) -> tuple[int, int]:
        """Width and height of the row's film in pixels.

        Raises
        ------
        LeftOut
            Where the run never had the film.
        """
        if not self.has_films:
            raise self.left_out("pixels", f"no film {self.samples['sample_id'].iat[row]!s}")
        width, height = self.samples[["width", "height"]].iloc[row]
        return int(width), int(height)

    @cached_property
    def film_files(self) -> pd.DataFrame:
        """(N rows) size, time and SHA-256 of each film's file as it was scored: bytes, modified_ns, sha256."""
        return self.read_frame(layout.FILM_FILES, schemas.column_kinds(*schemas.FILM_FILE_COLUMNS), self.n)

    def film(self, row: int) -> Path:
        """Path of the row's original film, as it was scored.

        Raises
        ------
        UserError
            The films are not on this machine, the host does not let a store read where they lie, or this one has
            changed since. A run of an earlier version kept no hashes to tell by.
        """
        name = str(self.samples["image"].iat[row])
        if self.manifest.leaves_out("pixels"):
            raise self.left_out("pixels", f"no film {name or str(self.samples['sample_id'].iat[row])}")
        folder = film_folder(self.path, self.manifest.dataset.images)
        try:
            path = inside(folder, name)
        except BadImage as error:
            raise UserError(
                f"{layout.SAMPLES} of the run {self.run_id}, row {row}, names {name}: {error}.",
                "Do not use this store.",
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
        return self._named("encoder", encoder_id, {record.id: record for record in self.manifest.encoders})

    def weights(self, encoder_id: str) -> Path:
        """The file of an image tower's weights.

        Raises
        ------
        UserError
            Where this copy of the run does not have it.
        """
        file = layout.encoder_files(encoder_id).weights
        if self.manifest.leaves_out("weights"):
            raise self.left_out("weights", f"none of the encoder {encoder_id}")
        if file not in self.artefacts:
            raise UserError(
                f"The store holds no weights of the encoder {encoder_id}.",
                f"Copy {file} from the original run, or run precompute again: saliency maps need it.",
            )
        return self.file(file)

    def encoder_folder(self, encoder_id: str) -> Path:
        """The folder of an image tower, once the hashes of its files agree."""
        files = layout.encoder_files(encoder_id)
        self.weights(encoder_id)
        self.check_hash(files.config)
        self.check_hash(files.weights)
        return self.path / files.folder

    def fit(self, encoder_id: str) -> Fit:
        """An encoder's preprocessing geometry, read without loading the encoder."""
        return self.read_json(layout.encoder_files(encoder_id).config, schemas.Preprocessing).fit

    def seed_logits(self, regime: str) -> list[NDArray[np.float32]]:
        """(N, C) logits of the regime's training with every seed, its own first."""
        files = layout.regime_files(regime)
        others = (self.read_scores(files.seed_logits(seed)) for seed in self.regime(regime).seeds)
        return [self.logits(regime), *others]

    # --- zero-shot prompts -----------------------------------------------------------------------------------------

    @cached_property
    def logit_scale(self) -> float:
        """The frozen encoder's trained temperature s of cosine similarities.

        Raises
        ------
        UserError
            Where the run has no prompts.
        """
        for regime in self.all_regimes:
            if regime.from_prompts:
                return float(self.training(regime.name)["logit_scale"])
        raise UserError(
            f"The run {self.run_id} has no regime from prompts.", "Run precompute again with zero-shot among --regimes."
        )

    @property
    def text_space(self) -> str | None:
        """The embedding space in which prompts lie; None where the run has no prompts."""
        return FROZEN if self.manifest.prompt_sets else None

    @cached_property
    def texts(self) -> list[str]:
        """Every sentence of the prompt sets, T of them."""
        return self.read_json(layout.TEXTS, schemas.Texts).texts

    def text_vectors(self) -> NDArray[np.float32]:
        """(T, D) unit norm: ``texts`` as the frozen encoder's text tower embeds them."""
        return self.read_array(layout.TEXT_VECTORS, "float32", len(self.texts), self.dim(FROZEN))

    def prompts(self, prompt_set: str) -> dict[str, dict[str, list[str]]]:
        """Each label's positive and negative sentences in a prompt set."""
        file = layout.prompt_files(prompt_set).prompts
        labels = self.read_json(file, schemas.Prompts).labels
        if missing := set(self.labels) - set(labels):
            raise self.damaged(file, f"it has nothing for {min(missing)}")
        return {label: {"positive": sides.positive, "negative": sides.negative} for label, sides in labels.items()}

    def prompt_head(self, prompt_set: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Weight (C, D) and bias (C,) of zero-shot with a prompt set."""
        return self.read_head(layout.prompt_files(prompt_set).head, self.dim(FROZEN))

    def prompt_logits(self, prompt_set: str) -> NDArray[np.float32]:
        """(N, C) zero-shot logits of a prompt set."""
        return self.read_scores(layout.prompt_files(prompt_set).logits)

    def prompt_thresholds(self, prompt_set: str) -> NDArray[np.float32]:
        """(C,) logit thresholds of a prompt set, from validation, NaN where it could not decide."""
        return self.read_thresholds(layout.prompt_files(prompt_set).thresholds).values(self.labels)

    # --- spaces ----------------------------------------------------------------------------------------------------

    def space_of(self, regime: str, kind: SpaceKind) -> SpaceRecord:
        """The regime's embedding or decision space; regimes of one encoder share their embedding space."""
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
        from explorer.analysis.neighbours import build_index

        try:
            return self._stored_index(space), ""
        except DamagedFile as error:
            damage = f"{error.file} is damaged: {error.why}."
        vectors = self.vectors_file(space)
        self.check_hash(vectors)
        return build_index(self.vectors(space)), (
            f"{damage} The index was built again in memory from {vectors}. Results are the same."
        )

    def _stored_index(self, space: str) -> faiss.Index:
        file = layout.space_files(space).index
        self.check_hash(file)
        with self._reading(file) as path:
            return checked.map_index(path, self.n, self.space(space).dim)

    def has_occurrences(self, space: str) -> bool:
        """Whether the run is new enough to have counted neighbours."""
        return layout.space_files(space).occurrences in self.artefacts

    def occurrences(self, space: str) -> NDArray[np.int32]:
        """(N,) for each film, how many films have it among their ten nearest."""
        return self.read_array(layout.space_files(space).occurrences, "int32", self.n)

    def trust(self, space: str) -> dict[str, Any]:
        """Method, parameters, seed and trust figures of a map."""
        return self.read_json(layout.space_files(space).trust, schemas.Trust).model_dump()

    def points(self, space: str) -> NDArray[np.float32]:
        """(N, 4) how far each film's place on the map may be believed, and its density (``map_trust.point_trust``)."""
        return self.read_array(layout.space_files(space).points, "float32", self.n, 4)

    def clusters(self, space: str) -> tuple[NDArray[np.int16], list[Cluster]]:
        """(N,) cluster of every film, and the clusters, largest first."""
        files = layout.space_files(space)
        clusters = self.read_json(files.clusters, schemas.Clusters).clusters
        codes = self.read_array(files.cluster_codes, "int16", self.n)
        if not 0 <= codes.min() <= codes.max() < len(clusters):
            raise self.damaged(files.cluster_codes, f"it names other clusters than the {len(clusters)} of the space")
        return codes, clusters
