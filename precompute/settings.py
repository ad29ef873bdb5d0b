"""All settings of a run, decided once at the edge and recorded in its manifest."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class Settings(BaseModel):
    """Everything besides the data and the encoder that decides a run's result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    fractions: tuple[float, float, float] = Field(
        default=(0.7, 0.15, 0.15), description="train, val, test, where none is given"
    )
    batch_size: int = Field(default=64, ge=1, description="films embedded at once")
    epochs: int = Field(default=10, ge=1, description="fine-tune at most so long")
    patience: int = Field(
        default=3, ge=1, description="epochs without a better validation loss before the fine-tune stops"
    )
    learning_rate: float = Field(default=2e-5, gt=0, description="fine-tune, encoder")
    head_learning_rate: float = Field(default=1e-3, gt=0, description="fine-tune, head")
    weight_decay: float = Field(default=0.01, ge=0)
    train_batch_size: int = Field(default=24, ge=1)
    patch_dropout: float = Field(
        default=0.0, ge=0, lt=1, description="share of patches dropped in training, as FLIP does"
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
