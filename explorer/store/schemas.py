"""What the tables and JSON files of a run hold, as far as anything reads them; more is passed over."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, RootModel

from explorer.analysis.clusters import Cluster
from explorer.data.geometry import Fit
from explorer.data.samples import SAMPLE_COLUMNS
from explorer.store.checked import NUMBER, ColumnKind
from explorer.store.manifest import RegimeKind

# --- tables ----------------------------------------------------------------------------------------------------------

_KEYS = (
    *("sample_id", "patient_id", "split", "image", "sha256", "label", "annotator", "reason", "regime", "against"),
    *("space", "other", "given", "metric", "measure", "method", "curve", "attribute", "encoder", "kind", "source"),
    *("check", "step", "mark_id", "made", "origin", "group", "state", "name"),
)
_TEXTS = ("study_id", "view", "report", "sex")
_INTEGERS = (
    *("row", "a", "b", "patient", "height", "width", "n", "k", "shots", "n_draws", "draw", "bytes", "modified_ns"),
    *("n_pos", "n_neg", "n_unknown", "patients_pos", "patients_neg", "n_label", "n_other"),
    *("slice", "n_val", "n_elsewhere", "n_alike", "n_with", "patients", "patients_elsewhere"),
    *("n_judged", "n_wrong", "n_flagged", "n_hits", "n_top", "n_top_hits"),
)
_KINDS: dict[str, ColumnKind] = {
    **dict.fromkeys(_KEYS, "key"),
    **dict.fromkeys(_TEXTS, "text"),
    **dict.fromkeys(_INTEGERS, "integer"),
    **dict.fromkeys(("in_macro", "silent", "blind"), "flag"),
    "polygon": "numbers",
}


def column_kinds(*columns: str) -> dict[str, ColumnKind]:
    """The kind of each column; one that is named nowhere here holds numbers."""
    return {name: _KINDS.get(name, NUMBER) for name in columns}


def sample_kinds(labels: tuple[str, ...], *, sized: bool) -> dict[str, ColumnKind]:
    """Of ``samples.parquet``: a label's column holds numbers whatever its name is.

    Where the films are not ``sized``, since the run never had them, height and width are null.
    """
    sizes = {} if sized else dict.fromkeys(("height", "width"), NUMBER)
    return column_kinds(*SAMPLE_COLUMNS) | sizes | dict.fromkeys(labels, NUMBER)


ANNOTATION_COLUMNS = ("sample_id", "row", "label", "annotator", "x", "y", "w", "h", "polygon")
FILM_FILE_COLUMNS = ("bytes", "modified_ns", "sha256")
SKIPPED_COLUMNS = ("image", "reason")
TRIAL_COLUMNS = ("given", "n_judged", "n_wrong", "n_flagged", "n_hits", "n_top", "n_top_hits")
PAIR_COLUMNS = ("a", "b", "kind", "correlation", "similarity", "hash_bits")
_MERIT_COLUMNS = ("value", "ci_low", "ci_high", "n_pos", "n_neg", "baseline")
SHORTCUT_COLUMNS = {
    "labels": ("attribute", "kind", "label", *_MERIT_COLUMNS, "binned", "binned_low", "binned_high"),
    "embeddings": ("attribute", "kind", *_MERIT_COLUMNS, "encoder"),
    "kinds": ("kind", "label", *_MERIT_COLUMNS, "split"),
}
FEW_SHOT_COLUMNS = (
    *("regime", "label", "shots", "metric", "value", "ci_low", "ci_high", "baseline"),
    *("difference", "difference_low", "difference_high", "p", "n_films", "n_pos", "n_neg", "n_draws"),
)
SALIENCY_COLUMNS = {
    "agreement": (
        *("patient", "row", "label", "source", "silent"),
        *("pointing", "energy", "iou", "dice", "average_precision"),
    ),
    "sanity": ("patient", "row", "label", "regime", "check", "step", "draw", "value"),
}


# --- JSON ------------------------------------------------------------------------------------------------------------


class _Json(BaseModel):
    """Further keys are kept: a newer minor version may add some."""

    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class AnyJson(_Json):
    """An object of whatever keys."""


class Epoch(_Json):
    epoch: int
    val_loss: float


class Trial(_Json):
    """A loss and penalty that was tried."""

    loss: str
    C: float
    val_loss: float
    val_macro_ap: float


class ZeroShotTraining(_Json):
    logit_scale: float


class ProbeTraining(_Json):
    loss: str = "plain"
    C: float
    tried: list[Trial] = []


class EpochTraining(_Json):
    curve: list[Epoch]
    best_epoch: int


class AnyProbeTraining(RootModel[EpochTraining | ProbeTraining]):
    """A head is fitted, or trained in epochs as the paper's probe is."""


TRAINING: Mapping[RegimeKind, type[BaseModel]] = {
    "zero-shot": ZeroShotTraining,
    "probe": AnyProbeTraining,
    "adapted": AnyProbeTraining,
    "trained": EpochTraining,
    "imported": AnyJson,
}
"""What pages read of a regime's training, by its kind."""


class Texts(_Json):
    texts: list[str]


class Sides(_Json):
    positive: list[str]
    negative: list[str]


class Prompts(_Json):
    labels: dict[str, Sides]


class Trust(_Json):
    """How far a map may be believed; what else it holds was not measured in every run."""

    method: str
    params: dict[str, str | int | float]
    seed: int
    k: int
    n: int
    trustworthiness: float
    knn_overlap: float
    knn_overlap_baseline: float


class Clusters(_Json):
    clusters: list[Cluster]


class Preprocessing(_Json):
    """What is read of an encoder's config without loading the encoder."""

    fit: Fit


class CopyRule(_Json):
    threshold: float
    rule: str
    n_pairs: int


class AttributeFacts(_Json):
    kinds: dict[str, str]
    lacking: dict[str, str]
