"""Where everything lies in a store. No other module spells a path of it.

::

    STORE/<run_id>/
      manifest.json              written last; its presence means complete
      samples.parquet            one row per image, in THE row order of every array
      thumbnails/data.bin        the grey JPEGs one after another
      thumbnails/offsets.npy     (N + 1,) int64: image i is data[offsets[i]:offsets[i + 1]]
      encoders/<id>/embeddings.npy            (N, D) float32, unit norm
      encoders/<id>/norms.npy                 (N,) float32: what each was divided by; embedding x norm is the projection
      encoders/<id>/encoder.json              model config and preprocessing
      encoders/<id>/image_tower.safetensors   the image tower, so that Grad-CAM needs nothing else
      regimes/<name>/head.safetensors         weight (C, D), bias (C,)
      regimes/<name>/logits.npy               (N, C) float32
      regimes/<name>/thresholds.json          per label, with the split and rule they came from
      regimes/<name>/training.json            settings and training curve
      regimes/<name>/seeds/<seed>.npy         (N, C) float32 logits of the same training with another seed
      prompts/<name>/prompts.json, head.safetensors, logits.npy, thresholds.json
                                              zero-shot with each prompt set; the first is the regime's own
      prompts/texts.json, texts.npy           every sentence of the sets, and (T, D) float32 unit norm
      spaces/<name>/index.faiss               flat inner product over unit-norm vectors
      spaces/<name>/vectors.npy               (N, dim) float32 unit norm (decision spaces only)
      spaces/<name>/map.npy                   (N, 2) float32
      spaces/<name>/trust.json                how far the map may be believed, and how it was made
      spaces/<name>/points.npy                (N, 4) float32: trustworthiness, continuity, share of neighbours kept,
                                              density; NaN where not measured
      spaces/<name>/clusters.npy              (N,) int16, 0 the largest
      spaces/<name>/clusters.json             each cluster's name, findings, purity and report words
      spaces/<name>/occurrences.npy           (N,) int32: in how many films' ten nearest each film stands
      retrieval.parquet          long: space, other, label, split, metric, value, ci_low, ci_high, baseline, n_pos, n, k
                                 ("macro" is over all labels here)
      metrics.parquet            long: regime, label, split, metric, value, ci_low, ci_high, n_pos, n_neg, n_unknown,
                                 baseline, in_macro; label is also a domain, "micro", "macro" (over
                                 the labels in_macro) or "macro over all labels"
      differences.parquet        long: split, label, metric, regime, against, difference, ci_low, ci_high, p, p_delong,
                                 n_pos, n_neg
      calibration.parquet        long: regime, split, label, method, metric (ece, brier), value, ci_low, ci_high,
                                 baseline, n_pos, n_neg
      bands.parquet              pointwise 95% bands: regime, split, label, curve (pr, roc), x, y, low, high
      separability.parquet       long: space, split, label, measure, value, ci_low, ci_high, baseline (mean under
                                 shuffled labels), null_low, null_high, p, p_adjusted, n_pos, n_neg, n_unknown
      confusability.parquet      long: space, split, label, other, value, ci_low, ci_high, baseline, p, p_adjusted,
                                 n_label, n_other
      likeness.parquet           long: space, split, other (space), measure, value, ci_low, ci_high, baseline, n
      subgroups.parquet          long: attribute, group, split, regime, label, metric, value, ci_low, ci_high, baseline,
                                 n_pos, n_neg, n_unknown, patients_pos, patients_neg
      subgroup_gaps.parquet      long: attribute, group, split, regime, label, metric, gap (to the attribute's other
                                 films), ci_low, ci_high, p, p_adjusted, against (a regime), change (of the gap),
                                 change_low, change_high, change_p, patients_pos, patients_neg (fewer of both sides)
      slices.parquet             one row for each slice: slice, regime, label, state (positive, negative), error (mean
                                 log-loss on test), elsewhere, excess, ci_low, ci_high, beyond (its probabilities),
                                 beyond_low, beyond_high, p, p_adjusted, wrong (share), wrong_elsewhere, n_val, n,
                                 n_elsewhere, n_alike, patients, patients_elsewhere (of test)
      slice_names.parquet        slice, kind (finding, attribute, word), name, n_with, n, base, lift; patients of train
                                 and val
      slice_films.parquet        slice, row: its films in val and test
      annotations.parquet        boxes and polygons in original pixel coordinates; null where a reader found nothing
      skipped.parquet            images left out and why
      films.parquet              one row per film: bytes, modified_ns and sha256 of its file as it was scored
      audit/outliers/percentiles.npy          (N, 2) float32: share of held-out training films that lie nearer, in
                                              percent; by k-NN and by Mahalanobis distance in the frozen encoder
      audit/outliers/mean.npy, precision.npy, reference.npy
                                              (D,), (D, D), (n_train, 2): what an uploaded film is held against
      audit/copies/pairs.parquet              a, b (rows), kind (exact, near, alike: no copies, only the most alike),
                                              correlation of fine detail, similarity (cosine), hash_bits (of 576)
      audit/copies/rule.json                  from what correlation a pair is a near copy, and why
      audit/labels/<regime>/probabilities.npy, quality.npy (N, C) float32, flagged.npy (N, C) bool
                                              out of sample: the probe cross-fitted by patient, the fine-tune on val and
                                              test; quality is the probability of the given label; NaN where unknown
      audit/labels/trial.parquet              what the probe's flags find of labels inverted on purpose: given (any,
                                              positive, negative), n_judged, n_wrong, n_flagged, n_hits, n_top,
                                              n_top_hits
      audit/labels/truth.npy                  (N, C) float32: what phantom films show; of no other set
      audit/shortcuts/attributes.parquet, attributes.json
                                              (N rows) view, sex, age, device, film, border, picture; kinds, what
                                              is lacking
      audit/shortcuts/labels.parquet          AUROC of each attribute alone for each label, by value and by bins
      audit/shortcuts/embeddings.parquet      AUROC of each encoder's embedding for each attribute, cross-fitted
      audit/shortcuts/kinds.parquet           AUROC of all attributes of a kind together, cross-fitted, by split
    STORE/LATEST                 the run_id to open by default
    STORE/<run_id>.partial/      a run under way, with what only later stages need below scratch/
    STORE/<run_id>/stages/<stage>.json
                                 what each stage was made from and wrote, for later runs to take it from; no reader's
    STORE/cache/<stage>-<key>/   the files of a stage that writes to scratch/, such as the decoded films, for all runs
    STORE/shards/<stage>-<key>.shard
                                 some rows of a stage under way, by any job or engine; deleted when the stage is whole
    STORE/progress.json          how far the job at work is

A published store (``precompute publish``) has no stages/ and no cache/, and beside its run

::

    STORE/README.md, SHA256SUMS  its card, and the hash of every other file
    STORE/films/                 the films, unless they were left out

An imported run has no image tower and no encoder.json. Without films it has none of ``NEED_FILMS`` either, and height
and width are null. Of a regime whose logits were imported there is no head.

Beside a run, and outside its hashes, because they are made later or grow::

    STORE/annotations/<data set>.parquet
                                 marks added since, by all runs of the set: MARK_COLUMNS in marks.py
    STORE/reviews/<run_id>.jsonl reviewers' verdicts on labels, one per line, oldest first
    STORE/<run_id>.few_shot/few_shot.json, few_shot.parquet
                                 made by ``precompute few-shot``; long: regime, label (or "macro"), shots (positives; 0
                                 the reference, -1 all of train), metric, value, ci_low, ci_high, baseline, difference
                                 from the reference with difference_low, difference_high and p, n_films (mean over
                                 draws), n_pos, n_neg (of test), n_draws
    STORE/<run_id>.saliency/<method>-block<b>/
                                 made by ``precompute saliency``
      saliency.json              SaliencyRecord, written last; run_created ties it to the run
      maps/<split>/<regime>.npy  (n, K, g, g) float32 over the model's patches, unscaled; rows ascending, the whole
                                 split's or those of the record's sample
      agreement.parquet          one row per film, label and source (regime, prior, reader): patient, row, label,
                                 source, silent, pointing, energy, iou, dice, average_precision
      sanity.parquet             patient, row, label, regime, check (randomisation and prompts on a sample of positive
                                 films; deletion, insertion and occlusion on all marked ones), step (what is random,
                                 or the opponent: rolled, other film; region is the region against itself rolled; of
                                 occlusion: at region, elsewhere, gap, mirrored), draw (of random weights), value

Paths inside a run are strings relative to its folder, as the manifest names them. Paths beside the runs are whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from explorer.data import tower_files

# --- a run's folder, in the store's ----------------------------------------------------------------------------------

MANIFEST = "manifest.json"
PARTIAL = ".partial"


def latest_file(root: Path) -> Path:
    """The file that names the run to open by default."""
    return root / "LATEST"


def manifest_files(root: Path) -> list[Path]:
    """The manifests of the complete runs."""
    return [path for path in root.glob(f"*/{MANIFEST}") if not path.parent.name.endswith(PARTIAL)]


def card_file(root: Path) -> Path:
    """What a published store says of itself."""
    return root / "README.md"


def croissant_file(root: Path) -> Path:
    """What programs that read data sets are told of a published store."""
    return root / "croissant.json"


def checksums_file(root: Path) -> Path:
    """SHA-256 of every other file of a published store, as ``sha256sum`` writes them."""
    return root / "SHA256SUMS"


def films_folder(root: Path) -> Path:
    """The films of a published store."""
    return root / "films"


def run_folder(root: Path, run_id: str) -> Path:
    """A complete run."""
    return root / run_id


def partial_folders(root: Path) -> list[Path]:
    """The runs that are not complete."""
    return [path for path in root.glob(f"*{PARTIAL}") if path.is_dir()]


def partial_folder(root: Path, run_id: str) -> Path:
    """Where a run grows until it is complete."""
    return root / f"{run_id}{PARTIAL}"


def lock_file(root: Path, run_id: str) -> Path:
    """What a job holds while it writes the run."""
    return root / f".{run_id}.lock"


# --- in a run: one table or array for all films ----------------------------------------------------------------------

SAMPLES = "samples.parquet"
SKIPPED = "skipped.parquet"
FILM_FILES = "films.parquet"
SUBGROUPS = "subgroups.parquet"
SUBGROUP_GAPS = "subgroup_gaps.parquet"
SLICES = "slices.parquet"
SLICE_NAMES = "slice_names.parquet"
SLICE_FILMS = "slice_films.parquet"
ANNOTATIONS = "annotations.parquet"
METRICS = "metrics.parquet"
DIFFERENCES = "differences.parquet"
BANDS = "bands.parquet"
CALIBRATION = "calibration.parquet"
RETRIEVAL = "retrieval.parquet"
SEPARABILITY = "separability.parquet"
CONFUSABILITY = "confusability.parquet"
LIKENESS = "likeness.parquet"

THUMBNAILS = "thumbnails/data.bin"
THUMBNAIL_OFFSETS = "thumbnails/offsets.npy"

TEXTS = "prompts/texts.json"
TEXT_VECTORS = "prompts/texts.npy"


# --- in a run: one folder for each encoder, regime, prompt set and space ---------------------------------------------


@dataclass(frozen=True)
class EncoderFiles:
    """An image tower, and what it makes of every film."""

    folder: str

    @property
    def config(self) -> str:
        return f"{self.folder}/{tower_files.CONFIG}"

    @property
    def weights(self) -> str:
        return f"{self.folder}/{tower_files.WEIGHTS}"

    @property
    def embeddings(self) -> str:
        return f"{self.folder}/embeddings.npy"

    @property
    def norms(self) -> str:
        return f"{self.folder}/norms.npy"


@dataclass(frozen=True)
class HeadFiles:
    """A linear head, and what it makes of every film."""

    folder: str

    @property
    def head(self) -> str:
        return f"{self.folder}/head.safetensors"

    @property
    def logits(self) -> str:
        return f"{self.folder}/logits.npy"

    @property
    def thresholds(self) -> str:
        return f"{self.folder}/thresholds.json"


class RegimeFiles(HeadFiles):
    @property
    def training(self) -> str:
        return f"{self.folder}/training.json"

    def seed_logits(self, seed: int) -> str:
        """Logits of the same training with another seed."""
        return f"{self.folder}/seeds/{seed}.npy"


class PromptFiles(HeadFiles):
    @property
    def prompts(self) -> str:
        return f"{self.folder}/prompts.json"


INDEX = "index.faiss"


@dataclass(frozen=True)
class SpaceFiles:
    """A space's index, map and clusters."""

    folder: str

    @property
    def vectors(self) -> str:
        """Of a decision space only: an embedding space's vectors are its encoder's embeddings."""
        return f"{self.folder}/vectors.npy"

    @property
    def index(self) -> str:
        return f"{self.folder}/{INDEX}"

    @property
    def map(self) -> str:
        return f"{self.folder}/map.npy"

    @property
    def trust(self) -> str:
        return f"{self.folder}/trust.json"

    @property
    def points(self) -> str:
        return f"{self.folder}/points.npy"

    @property
    def cluster_codes(self) -> str:
        return f"{self.folder}/clusters.npy"

    @property
    def clusters(self) -> str:
        return f"{self.folder}/clusters.json"

    @property
    def occurrences(self) -> str:
        return f"{self.folder}/occurrences.npy"


def encoder_files(encoder_id: str) -> EncoderFiles:
    return EncoderFiles(f"encoders/{encoder_id}")


def regime_files(regime: str) -> RegimeFiles:
    return RegimeFiles(f"regimes/{regime}")


def prompt_files(prompt_set: str) -> PromptFiles:
    return PromptFiles(f"prompts/{prompt_set}")


def space_files(space: str) -> SpaceFiles:
    return SpaceFiles(f"spaces/{space}")


# --- in a run: the audit ---------------------------------------------------------------------------------------------

OutlierArray = Literal["percentiles", "mean", "precision", "reference"]
ShortcutTable = Literal["attributes", "labels", "embeddings", "kinds"]

COPIES = "audit/copies/pairs.parquet"
COPY_RULE = "audit/copies/rule.json"
LABEL_TRIAL = "audit/labels/trial.parquet"
LABEL_TRUTH = "audit/labels/truth.npy"
ATTRIBUTE_FACTS = "audit/shortcuts/attributes.json"


NEED_FILMS = (THUMBNAILS, THUMBNAIL_OFFSETS, FILM_FILES, COPIES, COPY_RULE)
"""Files that a run of imported embeddings has only if it was given the films, too."""


def outlier_array(name: OutlierArray) -> str:
    return f"audit/outliers/{name}.npy"


def label_audit_array(regime: str, name: str) -> str:
    """One of the fields of ``LabelAudit``."""
    return f"audit/labels/{regime}/{name}.npy"


def shortcut_table(name: ShortcutTable) -> str:
    return f"audit/shortcuts/{name}.parquet"


# --- in a run under way: what only later stages need, deleted when the run is complete --------------------------------

SCRATCH = "scratch"
PIXELS = f"{SCRATCH}/pixels.bin"
FILMS = f"{SCRATCH}/films.json"


def is_scratch(path: str) -> bool:
    """Whether a file goes when its run is complete."""
    return path.startswith(f"{SCRATCH}/")


def seed_folder(regime: str, seed: int) -> str:
    """Where a training with a seed keeps its checkpoint."""
    return f"{SCRATCH}/{regime}-{seed}"


# --- what stages were made from, in a run and in the cache -----------------------------------------------------------


def stage_record(stage: str) -> str:
    """What a stage was made from and wrote."""
    return f"stages/{stage}.json"


def cache_folder(root: Path) -> Path:
    """Stages whose files a complete run does not keep."""
    return root / "cache"


def cache_entry(root: Path, stage: str, key: str) -> Path:
    """The files of one stage, at their paths in a run, with its record."""
    return cache_folder(root) / f"{stage}-{key[:16]}"


def stage_folders(root: Path, stage: str) -> list[Path]:
    """The entries of the cache and the runs that have a record of the stage."""
    record = stage_record(stage)
    files = [*sorted(cache_folder(root).glob(f"*/{record}")), *sorted(root.glob(f"*/{record}"))]
    return [file.parents[1] for file in files]


# --- parts of a stage under way, of all jobs of the store -------------------------------------------------------------


def shards_folder(root: Path) -> Path:
    """Rows of stages that are not whole yet."""
    return root / "shards"


def shard_file(root: Path, stage: str, key: str) -> Path:
    """Some rows of a stage; the key is a hash of all that decides them."""
    return shards_folder(root) / f"{stage}-{key[:24]}.shard"


def engine_token(root: Path) -> Path:
    """What workers on other machines read to show that they see the store."""
    return shards_folder(root) / "token"


# --- beside the runs -------------------------------------------------------------------------------------------------


def progress_file(root: Path) -> Path:
    """How far the job at work is."""
    return root / "progress.json"


def reviews_file(root: Path, run_id: str) -> Path:
    """The verdicts on a run's labels."""
    return root / "reviews" / f"{run_id}.jsonl"


def added_marks(root: Path, data_set: str) -> Path:
    """The marks added to a data set's films; all its runs in a store share them."""
    slug = re.sub(r"[^a-z0-9]+", "-", data_set.lower()).strip("-") or "films"
    return root / "annotations" / f"{slug[:60]}.parquet"


# --- the few-shot curve, beside its run ------------------------------------------------------------------------------

FEW_SHOT_RECORD = "few_shot.json"
FEW_SHOT_TABLE = "few_shot.parquet"


def few_shot_folder(run: Path) -> Path:
    """The folder of a run's few-shot curve."""
    return run.with_name(f"{run.name}.few_shot")


# --- saliency maps, beside their run ---------------------------------------------------------------------------------

SaliencyTable = Literal["agreement", "sanity"]

SALIENCY_RECORD = "saliency.json"
"""Written last, as a run's manifest is; its name differs, so that a folder of maps never opens as a run."""
SALIENCY_MADE_FROM = "made_from"
SALIENCY_CHECKED_FROM = "checked_from"
"""The marks and films that the sanity checks used."""
MAP_PIECES = "pieces"
"""Maps of a few films each, until a split is whole."""


def saliency_root(run: Path) -> Path:
    """The folder of a run's saliency maps."""
    return run.with_name(f"{run.name}.saliency")


def saliency_folder(run: Path, method: str, block: int) -> Path:
    """The maps of one method at one block, which counts from 1."""
    return saliency_root(run) / f"{method}-block{block}"


def saliency_maps_file(split: str, regime: str) -> str:
    return f"maps/{split}/{regime}.npy"


def map_piece(split: str, regime: str, start: int) -> str:
    """Maps of the films from place ``start`` in the split."""
    return f"{MAP_PIECES}/{split}-{regime}-{start}.npy"


def saliency_table(name: SaliencyTable) -> str:
    return f"{name}.parquet"
