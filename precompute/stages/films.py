"""Films, samples, readers' marks: what is read, before any model sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from explorer.data.samples import SAMPLE_COLUMNS, SPLITS, assign_splits
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.files import write_frame
from explorer.store.marks import SHAPE
from precompute.marks.annotate import carried
from precompute.reporter import ReportProgress
from precompute.run.films import FilmDecoder, FilmPart, decode_films
from precompute.run.job import Job
from precompute.run.run import Run
from precompute.run.shards import remove_shards
from precompute.sources.table import check_positives
from precompute.training import paper

MIN_FILMS = 4
"""Of fewer points there is no spectral layout to start a map from."""

VERSIONS = {"films": 2, "samples": 1, "annotations": 1}
"""Raise a stage's number when its code gives another result: then runs make it anew, and nothing else."""


def decoder(job: Job) -> FilmDecoder:
    """How the films of a job are decoded."""
    return FilmDecoder(
        images=Path(job.images_folder),
        fit=job.fit,
        side=job.settings.thumbnail,
        code=VERSIONS["films"],
        skip_bad=job.skip_bad,
        allow_burned_in=job.allow_burned_in,
    )


def film_parts(job: Job, root: Path) -> list[FilmPart]:
    """The parts in which the films of a job are decoded."""
    return decoder(job).parts(job.source.frame["image"].tolist(), job.film_versions, root)


def films(run: Run) -> None:
    """Every film decoded once, to thumbnails and the model's pixels."""
    job, settings = run.job, run.settings
    if not run.has_films:
        return
    parts: list[FilmPart] = []

    def make(folder: Path, report: ReportProgress) -> list[str]:
        parts.extend(film_parts(job, run.writer.root))
        decode_films(job.source, decoder(job), parts, folder, run.engine, report)
        return [layout.THUMBNAILS, layout.THUMBNAIL_OFFSETS, layout.PIXELS, layout.FILMS]

    inputs = {
        "list of films": job.source.frame["image"].tolist(),
        "images": job.images_folder,
        "sizes or times of films": job.film_versions,
        "fit": job.fit and job.fit.model_dump(),
        "side": settings.thumbnail,
        "skip_bad": job.skip_bad,
        "allow_burned_in": job.allow_burned_in,
    }
    run.stage("films", inputs, make)
    remove_shards(parts)


def samples(run: Run) -> None:
    """The table whose order is every array's, with each film's split."""
    source, settings = run.job.source, run.settings

    def make(folder: Path, report: ReportProgress) -> list[str]:
        kept = pd.DataFrame(run.decoded["kept"])
        frame = source.frame.iloc[kept["row"]].reset_index(drop=True)
        frame["height"], frame["width"] = (kept["height"], kept["width"]) if run.has_films else (np.nan, np.nan)
        if run.has_films:
            frame["view"] = frame["view"].where(frame["view"] != "", kept["view"])
        patients = frame["patient_id"].to_numpy(object)
        if run.paper:
            frame["split"] = paper.split(patients, settings.fractions, settings.seed)
        elif source.split_origin is None:
            before = source.frame if source.uncorrected is None else source.uncorrected
            targets = before.iloc[kept["row"]][list(source.labels)].to_numpy(np.float32)
            frame["split"] = assign_splits(patients, targets, settings.fractions, settings.seed)
        empty = [split for split in SPLITS if not (frame["split"] == split).any()]
        if empty or len(frame) < MIN_FILMS:
            raise UserError(
                f"{source.file}: {len(frame)} films are too few"
                + (f", none is in {' or '.join(empty)}." if empty else "."),
                f"Give at least {MIN_FILMS}, of patients enough to share out among train, val and test.",
            )
        if not run.job.allow_empty and not run.paper:  # the paper's split does not look at labels
            check_positives(frame, source.labels, source.file)
        frame[list(source.labels)] = frame[list(source.labels)].astype("Int8")  # nullable: unknown is null on disk
        skipped = pd.DataFrame(run.decoded["skipped"], columns=["row", "reason"])
        skipped["image"] = source.frame["image"].reindex(skipped["row"]).to_numpy()
        write_frame(folder / layout.SAMPLES, frame[[*SAMPLE_COLUMNS, *source.labels]])
        write_frame(folder / layout.SKIPPED, skipped[["image", "reason"]])
        if not run.has_films:
            return [layout.SAMPLES, layout.SKIPPED]
        write_frame(folder / layout.FILM_FILES, kept[["bytes", "modified_ns", "sha256"]])
        return [layout.SAMPLES, layout.SKIPPED, layout.FILM_FILES]

    inputs = {
        "csv": source.sha256,
        "label_origin": source.label_origin,
        "split given": source.split_origin is not None,
        "films": run.film_hashes().get(layout.FILMS),
        "labels": source.labels,
        "fractions": settings.fractions,
        "protocol": settings.protocol,
        "seed": settings.seed,
        "allow_empty": run.job.allow_empty,
    }
    run.stage("samples", inputs, make)


def marks(run: Run) -> None:
    """The readers' boxes and polygons, each with its film's row."""
    source = run.job.source

    def make(folder: Path, report: ReportProgress) -> list[str]:
        frame = run.samples
        row_of = {image: row for row, image in enumerate(frame["image"])}
        ids, widths, heights = (frame[column].to_numpy() for column in ("sample_id", "width", "height"))
        records = []
        for mark in source.annotations:
            if mark.image in row_of:  # not of a skipped film
                row = row_of[mark.image]
                shape = carried(mark, float(widths[row]), float(heights[row]))
                records.append(
                    {"sample_id": ids[row], "row": row, "label": mark.label, "annotator": mark.reader, **shape}
                )
        numbers = {"row": np.int64, **dict.fromkeys(SHAPE, np.float64)}
        table = pd.DataFrame(records, columns=["sample_id", "row", "label", "annotator", *SHAPE, "polygon"])
        write_frame(folder / layout.ANNOTATIONS, table.astype(numbers))
        return [layout.ANNOTATIONS]

    run.stage("annotations", {"csv": source.sha256, "samples": run.writer.sha256(layout.SAMPLES)}, make)
