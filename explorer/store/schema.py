"""The store's schema: what a run's folder holds, and the manifest that vouches for it.

::

    STORE/<run_id>/
      manifest.json              written last; its presence means complete
      samples.parquet            one row an image, in THE row order of every array
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
      annotations.parquet        boxes and polygons in original pixel coordinates; null where a reader found nothing
      skipped.parquet            images left out and why
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
      audit/shortcuts/attributes.parquet, attributes.json
                                              (N rows) view, sex, age, device, film and border; kinds, what is lacking
      audit/shortcuts/labels.parquet          AUROC of each attribute alone for each label
      audit/shortcuts/embeddings.parquet      AUROC of each encoder's embedding for each attribute, cross-fitted
      audit/shortcuts/acquisition.parquet     AUROC of all acquisition attributes together, cross-fitted, by split
    STORE/LATEST                 the run_id to open by default

Beside a run, and outside its hashes, because they are made later or grow (``precompute saliency``)::

    STORE/annotations/<data set>.parquet
                                 marks added since, by all runs of the set: MARK_COLUMNS in marks.py
    STORE/<run_id>.saliency/<method>-block<b>/
      saliency.json              SaliencyRecord, written last; run_created ties it to the run
      maps/<split>/<regime>.npy  (n, K, g, g) float32 over the model's patches, unscaled; the split's rows, ascending
      agreement.parquet          one row a film, label and source (regime, prior, reader): patient, row, label, source,
                                 silent, pointing, energy, iou, dice, average_precision
      proof.parquet              a sample of positive films: patient, row, label, regime, check (randomisation,
                                 deletion, insertion, prompts), step, value
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from explorer.data.saliency_map import MethodName

SCHEMA_MAJOR = 1
SCHEMA_VERSION = f"{SCHEMA_MAJOR}.4"
"""The minor rises when runs hold more, so that the same command makes a run that has it."""

SpaceKind = Literal["embedding", "decision"]


class _Record(BaseModel):
    """Frozen, and tolerant of keys a newer minor version may add."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Artefact(_Record):
    """One file of the run. ``made_from`` holds the hashes of what the stage that wrote it had read."""

    path: str
    sha256: str
    bytes: int
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    stage: str
    made_from: str


class Dataset(_Record):
    """Where the films came from.

    ``fingerprint`` hashes the samples table and every film's bytes; ``content`` only the films' bytes and labels, so
    that two runs that split the same films differently are known to be of the same films.
    """

    name: str
    licence: str
    source: str
    images: str = Field(description="folder of the films; absolute, or relative to the run")
    fingerprint: str
    content: str = ""
    label_columns: tuple[str, ...]
    label_origin: str = Field(default="not recorded", description="labeller or table, and what uncertain became")
    n_read: int
    n_skipped: int
    split_origin: str


class EncoderRecord(_Record):
    id: str
    title: str
    source: str = Field(description="local-dir:… or hf-hub:…, or the regime that trained it")
    licence: str
    weights_sha256: str
    dim: int


class RegimeRecord(_Record):
    """``embedding_space`` and ``decision_space`` name folders under spaces/; two regimes may share the first."""

    name: str
    title: str
    encoder: str
    embedding_space: str
    decision_space: str
    unit: bool = Field(default=True, description="the head reads the unit-norm embedding; else embedding x norm")
    seeds: tuple[int, ...] = Field(default=(), description="the further seeds it was trained with")


class PromptSetRecord(_Record):
    """One set of zero-shot prompts. ``paired``: every label has negatives; else a logit is the scaled cosine."""

    name: str
    title: str
    paired: bool


class SpaceRecord(_Record):
    name: str
    title: str
    kind: SpaceKind
    dim: int


class Manifest(_Record):
    """The whole of manifest.json."""

    schema_version: str
    run_id: str
    title: str
    created: str
    seed: int
    settings: dict[str, object]
    versions: dict[str, str]
    device: str
    seconds: dict[str, float] = Field(description="wall-clock seconds by stage, as measured in the run")
    dataset: Dataset
    labels: tuple[str, ...]
    n: int
    encoders: tuple[EncoderRecord, ...]
    regimes: tuple[RegimeRecord, ...]
    prompt_sets: tuple[PromptSetRecord, ...] = Field(default=(), description="the zero-shot regime's own first")
    spaces: tuple[SpaceRecord, ...]
    artefacts: dict[str, Artefact]

    @property
    def protocol(self) -> str:
        """Whose settings split and trained it: ``sound`` or ``paper``."""
        return str(self.settings.get("protocol", "sound"))


class SaliencyRecord(_Record):
    """The whole of saliency.json. ``block`` counts from 1; ``shares`` are thresholds by source and label, from val."""

    run_id: str
    run_created: str
    method: MethodName
    block: int
    split: str
    labels: tuple[str, ...]
    shares: dict[str, dict[str, float]]
    n_annotated: int = Field(description="pairs of film and label in the split that have a region readers marked")
    n_absent: int = Field(
        default=0, description="pairs readers looked at, of which at most a minority marked one place"
    )
    sha256: dict[str, str] = Field(description="of every file of the folder, by its relative path")
