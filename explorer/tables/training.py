"""How a run was split and trained, in words and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from explorer.data.samples import SPLITS

if TYPE_CHECKING:
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


def fine_tune_start(store: Store) -> str:
    """What the fine-tune starts from, at epoch 0."""
    return "an untrained head" if store.manifest.protocol == "paper" else "the linear probe"


def recipe(store: Store) -> dict[str, str]:
    """How a run was split and trained, in words."""
    settings, paper_way = store.manifest.settings, store.manifest.protocol == "paper"
    sizes = " / ".join(f"{len(store.rows(part)):,}" for part in SPLITS)
    rate, head, batch, epochs, patience, penalty = (
        f"{value:g}" if isinstance(value, int | float) else "not recorded"
        for value in (
            *map(settings.get, ("learning_rate", "head_learning_rate", "train_batch_size", "epochs", "patience")),
            store.training("linear_probe").get("C"),
        )
    )
    stop = f"batches of {batch}, at most {epochs} epochs, patience {patience} on val loss"
    if paper_way:
        return {
            "Split": f"{sizes}; {store.manifest.dataset.split_origin}",
            "Prompts": "bare names",
            "Loss": "cross-entropy; every label and class alike",
            "Linear probe": f"on the projection before unit norm; Xavier start; AdamW, {head}, cosine; {stop}",
            "Fine-tune": f"a new head; one constant rate of {rate}, a new AdamW every epoch; {stop}",
            "Augmentation": "none",
        }
    chosen = store.training("linear_probe")
    decay = f", each lower layer {settings['layer_decay']} of the next" if "layer_decay" in settings else ""
    return {
        "Split": f"{sizes}; {store.manifest.dataset.split_origin}",
        "Prompts": store.manifest.prompt_sets[0].title if store.manifest.prompt_sets else "",
        "Loss": LOSSES.get(str(chosen.get("loss")), LOSSES["plain"]) + ", chosen on val",
        "Linear probe": f"on the unit-norm embedding; L-BFGS, L2 penalty C = {penalty} chosen on val",
        "Fine-tune": f"from the probe's head; rates {rate}{decay} and {head} (head), warm-up and cosine; {stop}",
        "Augmentation": "small turns, shifts, zooms and exposure; no mirroring",
    }


def losses_tried(store: Store) -> pd.DataFrame | None:
    """Each loss tried for the probe, at its own best penalty; None where the run tried none."""
    tried = store.training("linear_probe").get("tried")
    if not tried:
        return None
    chosen = store.training("linear_probe")["loss"]
    frame = pd.DataFrame(tried)
    best = frame.loc[frame.groupby("loss", sort=False)["val_loss"].idxmin()]
    return pd.DataFrame(
        {
            "Loss": best["loss"].map(LOSSES).to_numpy(),
            "C": [f"{value:g}" for value in best["C"]],
            "Val macro AP": [f"{value:.3f}" for value in best["val_macro_ap"]],
            "": ["chosen" if name == chosen else "" for name in best["loss"]],
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
