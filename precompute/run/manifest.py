"""The manifest of a finished run, put together from its job and its stages."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

import explorer
from explorer.model.encoder import Clip
from explorer.store import layout
from explorer.store.files import sha256_json
from explorer.store.manifest import FROZEN, SCHEMA_VERSION, Dataset, EncoderRecord, Manifest, Part, PromptSetRecord
from explorer.store.writer import RunWriter
from precompute.run.run import Run
from precompute.training.precision import precision_words

LIBRARIES = (
    "torch",
    "open_clip_torch",
    "timm",
    "transformers",
    "faiss-cpu",
    "umap-learn",
    "scikit-learn",
    "numpy",
)


def manifest(run: Run) -> Manifest:
    """Of a run whose stages are all done."""
    job, settings = run.job, run.settings
    return Manifest(
        schema_version=SCHEMA_VERSION,
        run_id=run.writer.run_id,
        title=job.source.name,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=settings.seed,
        settings={
            **settings.model_dump(mode="json"),
            **({} if job.imported else {"decode": run.tower.fit.decode}),
            "skip_bad": job.skip_bad,
            "allow_burned_in": job.allow_burned_in,
            "allow_empty": job.allow_empty,
        },
        versions={
            "explorer": explorer.__version__,
            "python": platform.python_version(),
            **{name: version(name) for name in LIBRARIES},
        },
        device=_device_name(torch.device("cpu") if job.imported else run.tower.device),
        seconds=run.writer.seconds,
        dataset=_dataset(run),
        labels=run.labels,
        n=len(run.samples),
        encoders=_encoders(run),
        regimes=tuple(
            record.model_copy(update={"recipe": recipe.words(run)})
            for record, recipe in zip(run.regimes, run.recipes, strict=True)
        ),
        prompt_sets=tuple(
            PromptSetRecord(name=s.name, title=s.title, paired=all(p.negative for p in s.labels.values()))
            for s in job.prompt_sets
        ),
        spaces=run.spaces,
        artefacts=run.writer.kept(),
        never_had=_never_had(run),
    )


def _never_had(run: Run) -> tuple[Part, ...]:
    parts: dict[Part, bool] = {"pixels": not run.has_films, "weights": run.job.imported is not None}
    return tuple(part for part, absent in parts.items() if absent)


def _dataset(run: Run) -> Dataset:
    source, seed = run.job.source, run.settings.seed
    # without films they are told apart by their ids
    films = [film["sha256"] for film in run.decoded["kept"]] if run.has_films else run.samples["sample_id"].tolist()
    if run.paper:
        split_origin = f"the paper's: patients shared out at random, not stratified, seed {seed}"
    else:
        shared_out = f"patients shared out by precompute, stratified by label, seed {seed}"
        split_origin = source.split_origin or shared_out
    return Dataset(
        name=source.name,
        licence=source.licence,
        source=source.file.name,
        images="" if source.images is None else _portable(source.images, run.writer),
        fingerprint=sha256_json([run.writer.sha256(layout.SAMPLES), films]),
        content=sha256_json([films, run.labels, np.nan_to_num(run.targets, nan=-1).astype(int).tolist()]),
        label_columns=run.labels,
        label_origin=source.label_origin,
        n_read=len(source.frame),
        n_skipped=len(run.decoded["skipped"]),
        split_origin=split_origin,
    )


def _encoders(run: Run) -> tuple[EncoderRecord, ...]:
    imported = run.job.imported
    if imported is not None:
        return (
            EncoderRecord(
                id=FROZEN,
                title=imported.title,
                source=f"import:{imported.file}",
                licence="not stated",
                weights_sha256=imported.sha256,
                dim=imported.dim,
                reads_text=imported.text is not None,
            ),
        )
    encoder = run.job.model
    frozen = EncoderRecord(
        id=FROZEN,
        title=encoder.title,
        source=encoder.source,
        licence=encoder.licence,
        weights_sha256=run.job.weights_sha256,
        dim=run.job.dim,
        reads_text=isinstance(encoder, Clip),
        precision=run.frozen_config.precision,
        precision_origin=precision_words(run.settings.precision, run.frozen_config.precision_check),
    )
    own = [
        frozen.model_copy(
            update={
                "id": recipe.encoder,
                "title": f"{encoder.title}, {recipe.own_encoder}",
                "source": f"the {recipe.name} regime",
                "weights_sha256": run.writer.sha256(layout.encoder_files(recipe.encoder).weights),
            }
        )
        for recipe in run.recipes
        if recipe.own_encoder
    ]
    return frozen, *own


def _portable(images: Path, writer: RunWriter) -> str:
    """The image folder, relative to the run where it lies inside the store, so that a store can be moved whole."""
    images, root = images.resolve(), writer.root.resolve()
    return os.path.relpath(images, writer.final.resolve()) if images.is_relative_to(root) else str(images)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"
