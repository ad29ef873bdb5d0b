"""All settings of a run, decided once at the edge and recorded in its manifest."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from explorer.analysis.evidence import ENOUGH
from explorer.analysis.subgroups import AGES

Protocol = Literal["sound", "paper"]
AskedPrecision = Literal["auto", "float32", "bfloat16"]
LossName = Literal["plain", "weighted", "focal", "asymmetric"]


class Settings(BaseModel):
    """Everything besides the data and the encoder that decides a run's result. The defaults are the sound protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Protocol = "sound"
    seed: int = Field(default=0, description="Makes the run repeat exactly.")
    seeds: int = Field(default=1, ge=1, description="Trainings with seed, seed + 1, …; the first is the run's own.")
    fractions: tuple[float, float, float] = Field(
        default=(0.7, 0.15, 0.15), description="Shares of train, val and test where the source gives no split."
    )
    batch_size: int = Field(default=64, ge=1, description="Films embedded at once.")
    precision: AskedPrecision = Field(
        default="auto",
        description="What encoders multiply in. auto: bfloat16 where the device has it and a sample of the films shows "
        "that nothing moves, else float32.",
    )
    epochs: int = Field(default=10, ge=1, description="Fine-tune for at most this many epochs.")
    patience: int = Field(default=3, ge=1, description="Epochs without a better validation loss before training stops.")
    learning_rate: float = Field(default=2e-5, gt=0, description="Fine-tune: rate of the encoder's last layer.")
    layer_decay: float = Field(
        default=0.75, gt=0, le=1, description="Fine-tune: each layer's rate is this share of the next layer's."
    )
    head_learning_rate: float = Field(
        default=1e-3, gt=0, description="Rate of the fine-tune's head, and of the paper's probe."
    )
    weight_decay: float = Field(default=0.01, ge=0)
    train_batch_size: int = Field(default=24, ge=1, description="Films per training step.")
    patch_dropout: float = Field(
        default=0.0, ge=0, le=0.9, description="Fine-tune: share of patches dropped, as FLIP does."
    )
    losses: tuple[LossName, ...] = Field(
        default=("plain", "weighted", "focal", "asymmetric"), min_length=1, description="Tried on validation."
    )
    penalties: tuple[float, ...] = Field(
        default=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        description="Linear probe: inverse L2 penalties tried on validation.",
    )
    neighbours: int = Field(default=15, ge=2, description="Neighbours of UMAP and of the maps' trust figures.")
    resamples: int = Field(default=1000, ge=2, description="Resamples of the patient-level bootstrap.")
    macro_patients: int = Field(
        default=ENOUGH,
        ge=2,
        description="The mean over labels leaves out labels with fewer positive or negative patients, in val or test.",
    )
    age_cuts: list[int] = Field(
        default=list(AGES),
        min_length=1,
        max_length=10,
        description="Subgroups: the years at which a band of ages begins; give the option once for each.",
    )
    permutations: int = Field(
        default=500,
        ge=1,
        description="Separability: shuffles of labels by patient; 14 labels need some 300 for one to be significant.",
    )
    thumbnail: int = Field(default=256, ge=32, description="A thumbnail's long side in pixels.")

    @field_validator("age_cuts")
    @classmethod
    def _ascending(cls, cuts: list[int]) -> list[int]:
        """The order in which they are given does not matter, so it decides no key."""
        if not all(1 <= cut <= 120 for cut in cuts):
            raise ValueError("years from 1 to 120 are asked for")
        return sorted(set(cuts))


PAPER: dict[str, object] = {
    "protocol": "paper",
    "seed": 42,
    "fractions": (0.7, 0.15, 0.15),
    "epochs": 10,
    "patience": 5,
    "learning_rate": 1e-5,
    "layer_decay": 1.0,
    "head_learning_rate": 1e-4,
    "weight_decay": 0.01,
    "train_batch_size": 24,
    "patch_dropout": 0.0,
    "losses": ("plain",),
    "penalties": (),
}
"""What Sadman et al. (BIOKDD 2025, section 3 and the published notebook) decide about split and training;
``precompute/training/paper.py`` is the recipe. A command cannot change them and still be the paper's protocol."""
