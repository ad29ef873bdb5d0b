"""How a run was split and trained, in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from explorer.data.samples import SPLITS

if TYPE_CHECKING:
    from explorer.store.manifest import RegimeRecord
    from explorer.store.reader import Store


LOSSES = {
    "plain": "Cross-entropy",
    "weighted": "Cross-entropy, positives weighted by negatives per positive",
    "focal": "Focal, γ = 2",
    "asymmetric": "Asymmetric, γ− = 4, margin 0.05",
}


def protocol_title(store: Store) -> str:
    """The protocol a run was trained by."""
    return "Paper’s protocol" if store.manifest.protocol == "paper" else "Sound protocol"


def start_of(store: Store, regime: RegimeRecord) -> str:
    """What a regime's training starts from, at epoch 0."""
    if regime.parent is None:
        return "an untrained head"
    title = store.regime(regime.parent).title
    return f"the {title[0].lower()}{title[1:]}"


def recipe(store: Store) -> dict[str, str]:
    """How a run was split, and how each of its regimes was made, in words."""
    sizes = " / ".join(f"{len(store.rows(part)):,}" for part in SPLITS)
    made = {regime.title: regime.recipe or "not recorded: run precompute again" for regime in store.all_regimes}
    return {"Split": f"{sizes}; {store.manifest.dataset.split_origin}", **made}


def losses_tried(store: Store) -> pd.DataFrame | None:
    """Each loss tried for the run's probe, at its own best penalty; None where the run tried none."""
    training = next((store.training(regime.name) for regime in store.all_regimes if regime.kind == "probe"), {})
    if not training.get("tried"):
        return None
    frame = pd.DataFrame(training["tried"])
    best = frame.loc[frame.groupby("loss", sort=False)["val_loss"].idxmin()]
    return pd.DataFrame(
        {
            "Loss": best["loss"].map(LOSSES).to_numpy(),
            "C": [f"{value:g}" for value in best["C"]],
            "Val macro AP": [f"{value:.3f}" for value in best["val_macro_ap"]],
            "": ["chosen" if name == training["loss"] else "" for name in best["loss"]],
        }
    )


def learning_frame(store: Store) -> pd.DataFrame:
    """Loss by epoch of every regime trained in epochs: regime, epoch, train_loss, val_loss, kept."""
    frames = []
    for regime in store.regimes:
        training = store.training(regime.name)
        if "curve" in training:
            frame = pd.DataFrame(training["curve"], columns=["epoch", "train_loss", "val_loss"])
            frames.append(frame.assign(regime=regime.title, kept=frame["epoch"] == training["best_epoch"]))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame({"regime": []})
