"""All settings of a run, decided once at the edge and recorded in its manifest."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Protocol = Literal["sound", "paper"]
LossName = Literal["plain", "weighted", "focal", "asymmetric"]


class Settings(BaseModel):
    """Everything besides the data and the encoder that decides a run's result. The defaults are the sound protocol."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protocol: Protocol = "sound"
    seed: int = 0
    seeds: int = Field(default=1, ge=1, description="trainings from seed, seed + 1, …; the first is the run's own")
    fractions: tuple[float, float, float] = Field(
        default=(0.7, 0.15, 0.15), description="train, val, test, where none is given"
    )
    batch_size: int = Field(default=64, ge=1, description="films embedded at once")
    epochs: int = Field(default=10, ge=1, description="train at most so long")
    patience: int = Field(default=3, ge=1, description="epochs without a better validation loss before training stops")
    learning_rate: float = Field(default=2e-5, gt=0, description="fine-tune, the encoder's last layer")
    layer_decay: float = Field(
        default=0.75, gt=0, le=1, description="fine-tune: each layer's rate is this share of the rate of the next"
    )
    head_learning_rate: float = Field(default=1e-3, gt=0, description="fine-tune's head; the paper's probe")
    weight_decay: float = Field(default=0.01, ge=0)
    train_batch_size: int = Field(default=24, ge=1)
    patch_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of patches dropped in training, as FLIP does"
    )
    losses: tuple[LossName, ...] = Field(
        default=("plain", "weighted", "focal", "asymmetric"), min_length=1, description="tried on validation"
    )
    penalties: tuple[float, ...] = Field(
        default=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
        description="linear probe: inverse L2 penalties tried on validation",
    )
    neighbours: int = Field(default=15, ge=2, description="UMAP and trust figures")
    resamples: int = Field(default=1000, ge=2, description="patient-level bootstrap")
    permutations: int = Field(
        default=500,
        ge=1,
        description="separability: labels shuffled by patient; 14 labels need some 300 to tell one apart",
    )
    thumbnail: int = Field(default=256, ge=32, description="long side in pixels")


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
"""What Sadman et al. (BIOKDD 2025, section 3 and the published notebook) decide about split and training; see
``precompute/paper.py`` for the recipe. Fixed: a command cannot change them and still be the paper's protocol."""
