"""The ordered stages of a run, from a checked source to a complete store."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import faiss
import numpy as np
import pandas as pd
import torch

import explorer
from explorer.analysis.calibration import CALIBRATION_COLUMNS, calibration, probabilities
from explorer.analysis.clusters import describe_clusters, find_clusters
from explorer.analysis.curves import BAND_COLUMNS, bands
from explorer.analysis.differences import DIFFERENCE_COLUMNS, differences
from explorer.analysis.map_trust import trust
from explorer.analysis.maps import stability, umap_map
from explorer.analysis.metrics import METRIC_COLUMNS, Scored, resample, summarise
from explorer.analysis.neighbours import build_index, decision_vectors
from explorer.analysis.thresholds import Thresholds, choose_max_f1
from explorer.data.samples import SAMPLE_COLUMNS, SPLITS, assign_splits
from explorer.errors import UserError
from explorer.model.encoder import Clip, ImageTower
from explorer.model.head import Head, prompt_head
from explorer.store.files import atomic_path, sha256_file, sha256_json, write_array, write_frame, write_json
from explorer.store.reader import Store
from explorer.store.schema import (
    SCHEMA_VERSION,
    Dataset,
    EncoderRecord,
    Manifest,
    PromptSetRecord,
    RegimeRecord,
    SpaceRecord,
)
from explorer.store.writer import SCRATCH, RunWriter
from precompute import paper
from precompute.audit import write_copies, write_label_errors, write_outliers, write_shortcuts
from precompute.films import decode_films
from precompute.finetune import fine_tune
from precompute.loop import Curve, best_epoch
from precompute.losses import make_loss
from precompute.probe import fit_probe
from precompute.prompts import PromptSet
from precompute.reporter import SEEDS, Report, Reporter
from precompute.retrieval import measure
from precompute.separability import SEPARABILITY_SPLITS, write_separability
from precompute.settings import Settings
from precompute.sources.table import Source, check_positives
from precompute.zero_shot import embed_prompts, sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray

REGIMES = (
    RegimeRecord(
        name="zero_shot",
        title="Zero-shot",
        encoder="frozen",
        embedding_space="frozen",
        decision_space="zero_shot-decision",
    ),
    RegimeRecord(
        name="linear_probe",
        title="Linear probe",
        encoder="frozen",
        embedding_space="frozen",
        decision_space="linear_probe-decision",
    ),
    RegimeRecord(
        name="fine_tune",
        title="Full fine-tune",
        encoder="fine_tune",
        embedding_space="fine_tune",
        decision_space="fine_tune-decision",
    ),
)
MIN_FILMS = 4
"""Of fewer points there is no spectral layout to start a map from."""


@dataclass(frozen=True)
class Job:
    """What is to be run."""

    source: Source
    clip: Clip
    prompt_sets: tuple[PromptSet, ...]
    settings: Settings
    skip_bad: bool
    allow_empty: bool
    allow_burned_in: bool = False

    @cached_property
    def identity(self) -> dict[str, object]:
        """All that decides the result; its hash names the run, so that the same command resumes or finds it."""
        return {
            "schema": SCHEMA_VERSION,
            "code": explorer.__version__,
            "csv": self.source.sha256,
            "label_origin": self.source.label_origin,
            "images": str(self.source.images.resolve()),
            "labels": self.source.labels,
            "weights": self.weights_sha256,
            "tower": self.clip.tower.config.model_dump(),
            "prompts": [asdict(prompt_set) for prompt_set in self.prompt_sets],
            "settings": self.settings.model_dump(),
            "skip_bad": self.skip_bad,
            "allow_burned_in": self.allow_burned_in,
            "allow_empty": self.allow_empty,
        }

    @cached_property
    def weights_sha256(self) -> str:
        return sha256_file(self.clip.weights)

    @property
    def run_id(self) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", self.source.name.lower()).strip("-") or "run"
        paper = "-paper" if self.settings.protocol == "paper" else ""  # so that two runs of one set are told apart
        return f"{slug[:40]}{paper}-{sha256_json(self.identity)[:8]}"


def run(job: Job, root: Path, reporter: Reporter) -> Store:
    """Run every stage that is not already done, and return the finished run.

    Parameters
    ----------
    job : Job
    root : Path
        The store's folder.
    reporter : Reporter
        Of a job under way.
    """
    writer = RunWriter(root, job.run_id)
    with writer.locked():
        if (writer.final / "manifest.json").is_file():
            writer.settle()
            reporter.console.print(f"The run {writer.run_id} is complete already; nothing to do.")
        else:
            _Run(job, writer, reporter).all()
    return Store(writer.final)


class _Run:
    """One run's stages as methods, in order, each reading what the earlier ones wrote."""

    def __init__(self, job: Job, writer: RunWriter, reporter: Reporter) -> None:
        self.job = job
        self.writer = writer
        self.reporter = reporter
        self.tower = job.clip.tower
        self.settings = job.settings
        self.labels = job.source.labels
        self.paper = job.settings.protocol == "paper"
        seeds = tuple(range(self.settings.seed + 1, self.settings.seed + self.settings.seeds))
        changed = {
            # the sound probe is the one minimum of its objective: no seed could change it
            "linear_probe": {"unit": not self.paper, "seeds": seeds if self.paper else ()},
            "fine_tune": {"unit": not self.paper, "seeds": seeds},
        }
        self.regimes = tuple(record.model_copy(update=changed.get(record.name, {})) for record in REGIMES)

    def all(self) -> Path:
        self.films()
        self.samples()
        self.annotations()  # a box outside its film is to be told before the hours of training, not after
        self.embed_frozen()
        self.zero_shot()
        self.linear_probe()
        self.fine_tune()
        self.embed_fine_tune()
        self.other_seeds()
        self.score()
        self.maps()
        self.map_trust()
        self.clusters()
        self.metrics()
        self.curves()
        self.calibration()
        self.separability()
        self.outliers()
        self.retrieval()
        self.copies()
        self.label_errors()
        self.shortcuts()
        return self.writer.finish(self.manifest())

    # --- stages ------------------------------------------------------------------------------------------------------

    def films(self) -> None:
        job = self.job

        def make(folder: Path, report: Report) -> list[str]:
            scratch = self.writer.scratch
            decode_films(
                job.source,
                self.tower.fit,
                self.settings.thumbnail,
                folder,
                scratch,
                report,
                skip_bad=job.skip_bad,
                allow_burned_in=job.allow_burned_in,
            )
            return ["thumbnails/data.bin", "thumbnails/offsets.npy", f"{SCRATCH}/pixels.bin", f"{SCRATCH}/films.json"]

        given = {
            "csv": job.source.sha256,
            "images": str(job.source.images.resolve()),
            "fit": self.tower.fit.model_dump(),
            "side": self.settings.thumbnail,
            "skip_bad": job.skip_bad,
            "allow_burned_in": job.allow_burned_in,
        }
        self._stage("films", given, make)

    @cached_property
    def decoded(self) -> dict[str, Any]:
        """What the film pass kept and skipped."""
        value: dict[str, Any] = json.loads((self.writer.scratch / "films.json").read_text(encoding="utf-8"))
        return value

    @cached_property
    def pixels(self) -> NDArray[np.uint8]:
        """(N, S, S) uint8, memory-mapped."""
        size = self.tower.fit.size
        return np.memmap(
            self.writer.scratch / "pixels.bin", dtype=np.uint8, mode="r", shape=(len(self.decoded["kept"]), size, size)
        )

    def samples(self) -> None:
        source, settings = self.job.source, self.settings

        def make(folder: Path, report: Report) -> list[str]:
            kept = pd.DataFrame(self.decoded["kept"])
            frame = source.frame.iloc[kept["row"]].reset_index(drop=True)
            frame["height"], frame["width"] = kept["height"], kept["width"]
            targets = frame[list(source.labels)].to_numpy(np.float32)
            frame["view"] = frame["view"].where(frame["view"] != "", kept["view"])
            patients = frame["patient_id"].to_numpy(object)
            if self.paper:
                frame["split"] = paper.split(patients, settings.fractions, settings.seed)
            elif source.split_origin is None:
                frame["split"] = assign_splits(patients, targets, settings.fractions, settings.seed)
            empty = [split for split in SPLITS if not (frame["split"] == split).any()]
            if empty or len(frame) < MIN_FILMS:
                raise UserError(
                    f"{source.file}: {len(frame)} films are too few"
                    + (f", none is in {' or '.join(empty)}." if empty else "."),
                    f"Give at least {MIN_FILMS}, of patients enough to share out among train, val and test.",
                )
            if not self.job.allow_empty and not self.paper:  # the paper's split does not look at labels
                check_positives(frame, source.labels, source.file)
            frame[list(source.labels)] = frame[list(source.labels)].astype("Int8")  # nullable: unknown is null on disk
            skipped = pd.DataFrame(self.decoded["skipped"], columns=["row", "reason"])
            skipped["image"] = source.frame["image"].reindex(skipped["row"]).to_numpy()
            write_frame(folder / "samples.parquet", frame[[*SAMPLE_COLUMNS, *source.labels]])
            write_frame(folder / "skipped.parquet", skipped[["image", "reason"]])
            return ["samples.parquet", "skipped.parquet"]

        given = {
            "csv": source.sha256,
            "label_origin": source.label_origin,
            "films": self.writer.sha256(f"{SCRATCH}/films.json"),
            "labels": source.labels,
            "fractions": settings.fractions,
            "protocol": settings.protocol,
            "seed": settings.seed,
            "allow_empty": self.job.allow_empty,
        }
        self._stage("samples", given, make)

    @cached_property
    def frame(self) -> pd.DataFrame:
        return pd.read_parquet(self.writer.folder / "samples.parquet")

    @cached_property
    def targets(self) -> NDArray[np.float32]:
        """(N, C) 1, 0 or NaN."""
        return self.frame[list(self.labels)].astype("Float32").to_numpy(dtype=np.float32, na_value=np.nan)

    @cached_property
    def patients(self) -> NDArray[np.int64]:
        """(N,) an integer code for each row's patient."""
        return pd.factorize(self.frame["patient_id"])[0]

    def rows(self, split: str) -> NDArray[np.int64]:
        return np.flatnonzero(self.frame["split"].to_numpy() == split)

    def embed_frozen(self) -> None:
        self._embed("embed frozen", "frozen", lambda: self.tower, {"weights": self.job.weights_sha256})

    def embed_fine_tune(self) -> None:
        file = f"{SCRATCH}/fine_tune/image_tower.safetensors"
        folder = self.writer.scratch / "fine_tune"
        self._embed(
            "embed fine-tune",
            "fine_tune",
            lambda: ImageTower.load(folder, self.tower.device),
            {"weights": self.writer.sha256(file)},
        )

    def _embed(self, stage: str, encoder: str, tower: Callable[[], ImageTower], given: Mapping[str, object]) -> None:
        def make(folder: Path, report: Report) -> list[str]:
            where = folder / "encoders" / encoder
            loaded = tower()
            files = loaded.save(where)
            projections = loaded.unnormalised().embed(self.pixels, self.settings.batch_size, report)
            norms = np.linalg.norm(projections, axis=1)
            write_array(where / "embeddings.npy", projections / norms[:, None])
            write_array(where / "norms.npy", norms)
            return [f"encoders/{encoder}/{name}" for name in ("embeddings.npy", "norms.npy", *files)]

        pixels = self.writer.sha256(f"{SCRATCH}/pixels.bin")
        self._stage(stage, {**given, "pixels": pixels, "config": self.tower.config.model_dump()}, make)

    def embeddings(self, encoder: str) -> NDArray[np.float32]:
        """(N, D) unit norm."""
        array: NDArray[np.float32] = np.load(self.writer.folder / f"encoders/{encoder}/embeddings.npy", mmap_mode="r")
        return array

    def zero_shot(self) -> None:
        """A head from every prompt set, so that the explorer can switch among them; the first is the regime's own."""

        def make(folder: Path, report: Report) -> list[str]:
            clip, paths = self.job.clip, []
            for i, prompt_set in enumerate(self.job.prompt_sets):
                head = prompt_head(*embed_prompts(clip, prompt_set.labels), clip.logit_scale)
                head.save(folder / f"prompts/{prompt_set.name}/head.safetensors")
                write_json(folder / f"prompts/{prompt_set.name}/prompts.json", asdict(prompt_set))
                paths += [f"prompts/{prompt_set.name}/{name}" for name in ("head.safetensors", "prompts.json")]
                if i == 0:
                    training = {**asdict(prompt_set), "logit_scale": clip.logit_scale}
                    paths += _write_regime(folder, "zero_shot", head, training)
                report(i + 1, len(self.job.prompt_sets))
            texts = sentences(self.job.prompt_sets)
            write_json(folder / "prompts/texts.json", {"texts": texts})
            write_array(folder / "prompts/texts.npy", clip.embed_text(texts))
            return [*paths, "prompts/texts.json", "prompts/texts.npy"]

        given = {"weights": self.job.weights_sha256, "prompts": self.job.identity["prompts"]}
        self._stage("zero-shot head", given, make)

    def inputs(self, regime: RegimeRecord) -> NDArray[np.float32]:
        """(N, D) what the regime's head reads."""
        embeddings = self.embeddings(regime.encoder)
        if regime.unit:
            return embeddings
        norms: NDArray[np.float32] = np.load(self.writer.folder / f"encoders/{regime.encoder}/norms.npy")
        return embeddings * norms[:, None]

    def linear_probe(self) -> None:
        settings = self.settings

        def make(folder: Path, report: Report) -> list[str]:
            if self.paper:
                head, curve = self._paper_probe(settings.seed, report)
                return _write_regime(folder, "linear_probe", head, self._record(curve))
            head, chosen, tried = fit_probe(
                self.embeddings("frozen"),
                self.targets,
                self.rows("train"),
                self.rows("val"),
                self.patients,
                settings.penalties,
                settings.losses,
                report,
            )
            training = {**chosen._asdict(), "tried": [point._asdict() for point in tried]}
            return _write_regime(folder, "linear_probe", head, training)

        given = {
            "embeddings": self.writer.sha256("encoders/frozen/embeddings.npy"),
            "norms": self.writer.sha256("encoders/frozen/norms.npy"),
            "samples": self.writer.sha256("samples.parquet"),
            "settings": self._training_settings(),
        }
        self._stage("linear probe", given, make)

    def _paper_probe(self, seed: int, report: Report) -> tuple[Head, Curve]:
        return paper.fit_probe(
            self.inputs(self.regimes[1]),
            self.targets,
            self.rows("train"),
            self.rows("val"),
            self.settings,
            seed,
            self.writer.scratch / f"linear_probe-{seed}",
            report,
        )

    def fine_tune(self) -> None:
        work = self.writer.scratch / "fine_tune"

        def make(folder: Path, report: Report) -> list[str]:
            tower, head, curve = self._tuned(self.settings.seed, work, report)
            files = tower.save(work)
            paths = _write_regime(folder, "fine_tune", head, self._record(curve))
            return [*paths, *(f"{SCRATCH}/fine_tune/{f}" for f in files)]

        self._stage("full fine-tune", self._fine_tune_given(), make)

    def _fine_tune_given(self) -> dict[str, object]:
        return {
            "encoder": self.writer.sha256("encoders/frozen/image_tower.safetensors"),
            "head": self.writer.sha256("regimes/linear_probe/head.safetensors"),
            "pixels": self.writer.sha256(f"{SCRATCH}/pixels.bin"),
            "samples": self.writer.sha256("samples.parquet"),
            "settings": self._training_settings(),
        }

    def _tuned(self, seed: int, work: Path, report: Report) -> tuple[ImageTower, Head, Curve]:
        """The tower, giving what its head reads, and the head, trained with a seed."""
        tower = ImageTower.load(self.writer.folder / "encoders/frozen", self.tower.device)
        data = (self.pixels, self.targets, self.rows("train"), self.rows("val"), self.settings, seed, work, report)
        if self.paper:
            tower = tower.unnormalised()
            return tower, *paper.fine_tune(tower, *data)
        chosen = json.loads((self.writer.folder / "regimes/linear_probe/training.json").read_text(encoding="utf-8"))
        loss = make_loss(chosen["loss"], self.targets[self.rows("train")])
        return tower, *fine_tune(tower, _read_head(self.writer.folder, "linear_probe"), loss, *data)

    def other_seeds(self) -> None:
        """The trainings again with further seeds, their logits alone kept: how far a figure hangs on the seed."""
        seeds = self.regimes[-1].seeds
        if not seeds:
            return
        given = self._fine_tune_given()
        with self.reporter.stage(SEEDS) as report:
            for i, seed in enumerate(seeds):

                def make(folder: Path, i: int = i, seed: int = seed) -> list[str]:
                    return self._seed(seed, lambda done, total: report(i * total + done, len(seeds) * total))

                self.writer.stage(f"seed_{seed}", {**given, "seed": seed}, make)

    def _seed(self, seed: int, report: Report) -> list[str]:
        work = self.writer.scratch / f"fine_tune-{seed}"
        tower, head, _ = self._tuned(seed, work, report)
        logits = {"fine_tune": head.logits(tower.embed(self.pixels, self.settings.batch_size))}
        if self.paper:
            probe, _ = self._paper_probe(seed, lambda done, total: None)
            logits["linear_probe"] = probe.logits(self.inputs(self.regimes[1]))
        paths = []
        for regime, values in logits.items():
            paths.append(f"regimes/{regime}/seeds/{seed}.npy")
            write_array(self.writer.folder / paths[-1], values)
        return paths

    def _training_settings(self) -> dict[str, object]:
        """What decides a training: settings that only measure, or number the seeds, are left out."""
        measuring = {"seeds", "fractions", "batch_size", "neighbours", "resamples", "thumbnail"}
        return self.settings.model_dump(mode="json", exclude=measuring)

    def _record(self, curve: Curve) -> dict[str, Any]:
        best = best_epoch(curve, paper.GAIN if self.paper else 0.0)
        return {"settings": self._training_settings(), "curve": curve, "best_epoch": best}

    def score(self) -> None:
        """Logits of every film in every regime, and the operating points, from validation alone."""

        def make(folder: Path, report: Report) -> list[str]:
            paths = []
            val = self.rows("val")
            for i, regime in enumerate(self.regimes):
                where = f"regimes/{regime.name}"
                logits = _read_head(folder, regime.name).logits(self.inputs(regime))
                write_array(folder / where / "logits.npy", logits)
                thresholds = choose_max_f1(self.labels, self.targets[val], logits[val])
                write_json(folder / where / "thresholds.json", thresholds.model_dump())
                paths += [f"{where}/logits.npy", f"{where}/thresholds.json"]
                report(i + 1, len(self.regimes))
            for prompt_set in self.job.prompt_sets:
                where = f"prompts/{prompt_set.name}"
                logits = _load_head(folder / where).logits(self.embeddings("frozen"))
                write_array(folder / where / "logits.npy", logits)
                thresholds = choose_max_f1(self.labels, self.targets[val], logits[val])
                write_json(folder / where / "thresholds.json", thresholds.model_dump())
                paths += [f"{where}/logits.npy", f"{where}/thresholds.json"]
            return paths

        given = {s.name: self.writer.sha256(f"prompts/{s.name}/head.safetensors") for s in self.job.prompt_sets}
        given |= {regime.name: self.writer.sha256(f"regimes/{regime.name}/head.safetensors") for regime in self.regimes}
        given |= {
            encoder: self.writer.sha256(f"encoders/{encoder}/embeddings.npy") for encoder in ("frozen", "fine_tune")
        }
        self._stage("score", {**given, "samples": self.writer.sha256("samples.parquet")}, make)

    def maps(self) -> None:
        """Index and map of every space; all maps start from the frozen space's, to be laid out alike."""

        def make(folder: Path, report: Report) -> list[str]:
            paths, first = [], None
            for i, space in enumerate(self.spaces()):
                where = f"spaces/{space.name}"
                vectors = self._vectors(space)
                if space.kind == "decision":
                    write_array(folder / where / "vectors.npy", vectors)
                    paths.append(f"{where}/vectors.npy")
                with atomic_path(folder / where / "index.faiss") as temp:
                    faiss.write_index(build_index(vectors), str(temp))
                k, seed = self.settings.neighbours, self.settings.seed
                layout = umap_map(vectors, k, seed, init="spectral" if first is None else first)
                write_array(folder / where / "map.npy", layout)
                paths += [f"{where}/{name}" for name in ("index.faiss", "map.npy")]
                first = layout if first is None else first
                report(i + 1, len(self.spaces()))
            return paths

        given: dict[str, object] = {
            f: self.writer.sha256(f"encoders/{f}/embeddings.npy") for f in ("frozen", "fine_tune")
        }
        given |= {r.name: self.writer.sha256(f"regimes/{r.name}/logits.npy") for r in self.regimes}
        self._stage("maps", {**given, "k": self.settings.neighbours, "seed": self.settings.seed}, make)

    def map_trust(self) -> None:
        """How far every map may be believed: for every film, as a whole, and across seeds."""
        k, seed = self.settings.neighbours, self.settings.seed

        def make(folder: Path, report: Report) -> list[str]:
            paths = []
            for i, space in enumerate(self.spaces()):
                where = f"spaces/{space.name}"
                vectors, layout = self._vectors(space), np.load(folder / where / "map.npy")
                points, figures = trust(vectors, layout, k, seed)
                write_array(folder / where / "points.npy", points)
                start = "spectral" if i == 0 else "the frozen embedding's map"
                params = {"n_neighbors": k + 1, "metric": "cosine", "init": start}
                record = {"method": "UMAP", "params": params, "seed": seed, **figures}
                write_json(folder / where / "trust.json", record | stability(vectors, layout, k, seed))
                paths += [f"{where}/points.npy", f"{where}/trust.json"]
                report(i + 1, len(self.spaces()))
            return paths

        maps = {s.name: self.writer.sha256(f"spaces/{s.name}/map.npy") for s in self.spaces()}
        self._stage("map trust", {**maps, "k": k, "seed": seed}, make)

    def clusters(self) -> None:
        """Groups of films in every space, named after the findings they have more of than the rest."""

        def make(folder: Path, report: Report) -> list[str]:
            paths = []
            reports, train = self.frame["report"].fillna("").tolist(), (self.frame["split"] == "train").to_numpy()
            for i, space in enumerate(self.spaces()):
                where = f"spaces/{space.name}"
                codes = find_clusters(self._vectors(space), self.settings.seed)
                write_array(folder / where / "clusters.npy", codes)
                found = describe_clusters(codes, self.targets, self.labels, reports, train)
                write_json(folder / where / "clusters.json", {"clusters": [cluster.model_dump() for cluster in found]})
                paths += [f"{where}/clusters.npy", f"{where}/clusters.json"]
                report(i + 1, len(self.spaces()))
            return paths

        maps = {s.name: self.writer.sha256(f"spaces/{s.name}/map.npy") for s in self.spaces()}
        given = {**maps, "samples": self.writer.sha256("samples.parquet"), "seed": self.settings.seed}
        self._stage("clusters", given, make)

    def spaces(self) -> list[SpaceRecord]:
        decision = [
            SpaceRecord(name=r.decision_space, title=f"{r.title} logits", kind="decision", dim=len(self.labels))
            for r in self.regimes
        ]
        return [
            SpaceRecord(name="frozen", title="Frozen encoder", kind="embedding", dim=self.tower.dim),
            SpaceRecord(name="fine_tune", title="Fine-tuned encoder", kind="embedding", dim=self.tower.dim),
            *decision,
        ]

    def _vectors(self, space: SpaceRecord) -> NDArray[np.float32]:
        """(N, dim) unit norm."""
        if space.kind == "embedding":
            return np.asarray(self.embeddings(space.name))
        regime = next(r.name for r in self.regimes if r.decision_space == space.name)
        logits = np.load(self.writer.folder / f"regimes/{regime}/logits.npy")
        return decision_vectors(logits, logits)

    def scored(self, rows: NDArray[np.int64]) -> dict[str, Scored]:
        """Every regime's logits of some films, with its thresholds."""
        folder = self.writer.folder
        return {
            r.name: Scored(
                np.load(folder / f"regimes/{r.name}/logits.npy")[rows], _thresholds(folder, r.name, self.labels)
            )
            for r in self.regimes
        }

    @cached_property
    def scored_from(self) -> dict[str, object]:
        """What :meth:`scored` and the resamples hang on."""
        given: dict[str, object] = {
            r.name: [self.writer.sha256(f"regimes/{r.name}/{f}") for f in ("logits.npy", "thresholds.json")]
            for r in self.regimes
        }
        samples = self.writer.sha256("samples.parquet")
        return {**given, "samples": samples, "resamples": self.settings.resamples, "seed": self.settings.seed}

    def metrics(self) -> None:
        """Every figure with its interval, and every difference between regimes, from the same resamples."""

        def make(folder: Path, report: Report) -> list[str]:
            values, changes = [], []
            for i, split in enumerate(SPLITS):
                rows = self.rows(split)
                scored = self.scored(rows)
                given = (self.labels, self.targets[rows], scored, self.patients[rows])
                draws = resample(*given, resamples=self.settings.resamples, seed=self.settings.seed)
                values += [summarise(drawn).assign(regime=name, split=split) for name, drawn in draws.items()]
                changes.append(differences(*given, draws).assign(split=split))
                report(i + 1, len(SPLITS))
            write_frame(folder / "metrics.parquet", pd.concat(values, ignore_index=True)[list(METRIC_COLUMNS)])
            write_frame(folder / "differences.parquet", pd.concat(changes, ignore_index=True)[list(DIFFERENCE_COLUMNS)])
            return ["metrics.parquet", "differences.parquet"]

        self._stage("metrics", {**self.scored_from, "tables": ["metrics", "differences"]}, make)

    def curves(self) -> None:
        """How far each curve may be off, on the splits that are shown."""

        def make(folder: Path, report: Report) -> list[str]:
            parts, shown = [], ("test", "val")
            for i, split in enumerate(shown):
                rows = self.rows(split)
                part = bands(
                    self.labels,
                    self.targets[rows],
                    self.scored(rows),
                    self.patients[rows],
                    resamples=self.settings.resamples,
                    seed=self.settings.seed,
                )
                parts.append(part.assign(split=split))
                report(i + 1, len(shown))
            write_frame(folder / "bands.parquet", pd.concat(parts, ignore_index=True)[list(BAND_COLUMNS)])
            return ["bands.parquet"]

        self._stage("curves", self.scored_from, make)

    def calibration(self) -> None:
        """What probabilities are worth, as they are and fitted on val."""

        def make(folder: Path, report: Report) -> list[str]:
            parts, shown, val = [], ("test", "val"), self.rows("val")
            fitted_on = {name: scored.logits for name, scored in self.scored(val).items()}
            for i, split in enumerate(shown):
                rows = self.rows(split)
                part = calibration(
                    self.labels,
                    (self.targets[val], fitted_on),
                    self.targets[rows],
                    {name: scored.logits for name, scored in self.scored(rows).items()},
                    self.patients[rows],
                    resamples=self.settings.resamples,
                    seed=self.settings.seed,
                )
                parts.append(part.assign(split=split))
                report(i + 1, len(shown))
            write_frame(folder / "calibration.parquet", pd.concat(parts, ignore_index=True)[list(CALIBRATION_COLUMNS)])
            return ["calibration.parquet"]

        self._stage("calibration", self.scored_from, make)

    def separability(self) -> None:
        """How far each label separates in every space, in full, on films that no regime was fitted on."""
        settings = self.settings
        spaces, splits = self.spaces(), {split: self.rows(split) for split in SEPARABILITY_SPLITS}

        def make(folder: Path, report: Report) -> list[str]:
            return write_separability(
                folder,
                {space.name: self._vectors(space) for space in spaces},
                self.labels,
                self.targets,
                self.patients,
                splits,
                report,
                permutations=settings.permutations,
                resamples=settings.resamples,
                seed=settings.seed,
            )

        sources = [f"encoders/{e}/embeddings.npy" for e in ("frozen", "fine_tune")]
        sources += [f"regimes/{regime.name}/logits.npy" for regime in self.regimes]
        given: dict[str, object] = {file: self.writer.sha256(file) for file in (*sources, "samples.parquet")}
        given |= {name: getattr(settings, name) for name in ("permutations", "resamples", "seed")}
        self._stage("separability", given, make)

    def outliers(self) -> None:
        """How far every film lies from the training films, in the frozen encoder."""

        def make(folder: Path, report: Report) -> list[str]:
            return write_outliers(
                folder, self.embeddings("frozen"), self.rows("train"), self.patients, self.settings.seed
            )

        given = self._hashes("encoders/frozen/embeddings.npy", "samples.parquet")
        self._stage("outliers", {**given, "seed": self.settings.seed}, make)

    def retrieval(self) -> None:
        """What lies near what: figures of every space, and how often each film is another's neighbour."""

        def make(folder: Path, report: Report) -> list[str]:
            frame, occurrences = measure(
                self.spaces(),
                self._vectors,
                self.frame,
                self.labels,
                self.targets,
                report,
                resamples=self.settings.resamples,
                seed=self.settings.seed,
            )
            write_frame(folder / "retrieval.parquet", frame)
            for space, counts in occurrences.items():
                write_array(folder / f"spaces/{space}/occurrences.npy", counts)
            return ["retrieval.parquet", *(f"spaces/{space}/occurrences.npy" for space in occurrences)]

        given: dict[str, object] = {
            encoder: self.writer.sha256(f"encoders/{encoder}/embeddings.npy") for encoder in ("frozen", "fine_tune")
        }
        given |= {r.name: self.writer.sha256(f"regimes/{r.name}/logits.npy") for r in self.regimes}
        given |= {"samples": self.writer.sha256("samples.parquet"), "resamples": self.settings.resamples}
        self._stage("retrieval", {**given, "seed": self.settings.seed}, make)

    def copies(self) -> None:
        """Films that are in the set twice, by their pixels and nearly."""

        def make(folder: Path, report: Report) -> list[str]:
            pixels = [film["pixels_sha256"] for film in self.decoded["kept"]]
            vectors = np.asarray(self.embeddings("frozen"))
            return write_copies(folder, pixels, self.frame, vectors, report, self.settings.seed)

        files = ("thumbnails/data.bin", "encoders/frozen/embeddings.npy", "samples.parquet", f"{SCRATCH}/films.json")
        self._stage("copies", {**self._hashes(*files), "seed": self.settings.seed}, make)

    def label_errors(self) -> None:
        """Labels that a probe which has not seen the film, or the fine-tune on films it has not trained on, doubts."""

        def make(folder: Path, report: Report) -> list[str]:
            val, seen = self.rows("val"), self.frame["split"].to_numpy() == "train"
            logits = np.load(folder / "regimes/fine_tune/logits.npy")
            unseen = np.full(logits.shape, np.nan, dtype=np.float32)
            unseen[~seen] = probabilities("platt", self.targets[val], logits[val], logits[~seen])
            return write_label_errors(
                folder,
                self.targets,
                np.asarray(self.embeddings("frozen")),
                self.patients,
                {"fine_tune": unseen},
                report,
            )

        files = ("encoders/frozen/embeddings.npy", "samples.parquet", "regimes/fine_tune/logits.npy")
        self._stage("label errors", self._hashes(*files), make)

    def shortcuts(self) -> None:
        """What view, patient, device and border tell of the labels, and the embeddings of them."""

        def make(folder: Path, report: Report) -> list[str]:
            vectors = {name: np.asarray(self.embeddings(name)) for name in ("frozen", "fine_tune")}
            return write_shortcuts(folder, self.frame, self.labels, vectors, report, self.settings.seed)

        files = ("thumbnails/data.bin", "samples.parquet")
        encoders = [f"encoders/{name}/embeddings.npy" for name in ("frozen", "fine_tune")]
        self._stage("shortcuts", {**self._hashes(*files, *encoders), "seed": self.settings.seed}, make)

    def _hashes(self, *files: str) -> dict[str, object]:
        return {file: self.writer.sha256(file) for file in files}

    def annotations(self) -> None:
        source = self.job.source

        def make(folder: Path, report: Report) -> list[str]:
            row_of = pd.Series(self.frame.index, index=self.frame["image"])
            boxes = source.annotations[source.annotations["image"].isin(row_of.index)].copy()  # not of skipped films
            boxes["row"] = row_of.reindex(boxes["image"]).to_numpy(dtype=np.int64)
            boxes["sample_id"] = self.frame["sample_id"].to_numpy()[boxes["row"]]
            heights, widths = (self.frame[side].to_numpy()[boxes["row"]] for side in ("height", "width"))
            outside = (boxes["x"] < -1) | (boxes["y"] < -1)
            outside |= (boxes["x"] + boxes["w"] > widths + 1) | (boxes["y"] + boxes["h"] > heights + 1)
            if outside.any():
                bad = boxes[outside].iloc[0]
                raise UserError(
                    f"An annotation of {bad['image']} ({bad['label']}) reaches outside its film.",
                    "Annotations are in pixels of the original film: x, y, w, h from its top left corner.",
                )
            columns = ["sample_id", "row", "label", "annotator", "x", "y", "w", "h", "polygon"]
            write_frame(folder / "annotations.parquet", boxes[columns].reset_index(drop=True))
            return ["annotations.parquet"]

        self._stage("annotations", {"csv": source.sha256, "samples": self.writer.sha256("samples.parquet")}, make)

    # --- the manifest ------------------------------------------------------------------------------------------------

    def manifest(self) -> Manifest:
        job = self.job
        films = [film["sha256"] for film in self.decoded["kept"]]
        fingerprint = sha256_json([self.writer.sha256("samples.parquet"), films])
        content = sha256_json([films, self.labels, np.nan_to_num(self.targets, nan=-1).astype(int).tolist()])
        frozen = EncoderRecord(
            id="frozen",
            title=job.clip.title,
            source=job.clip.source,
            licence=job.clip.licence,
            weights_sha256=job.weights_sha256,
            dim=self.tower.dim,
        )
        tuned = frozen.model_copy(
            update={
                "id": "fine_tune",
                "title": f"{job.clip.title}, fine-tuned",
                "source": "the fine_tune regime",
                "weights_sha256": self.writer.sha256("encoders/fine_tune/image_tower.safetensors"),
            }
        )
        libraries = (
            "torch",
            "open_clip_torch",
            "timm",
            "transformers",
            "faiss-cpu",
            "umap-learn",
            "scikit-learn",
            "numpy",
        )
        return Manifest(
            schema_version=SCHEMA_VERSION,
            run_id=self.writer.run_id,
            title=job.source.name,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            seed=self.settings.seed,
            settings={
                **self.settings.model_dump(mode="json"),
                "skip_bad": job.skip_bad,
                "allow_burned_in": job.allow_burned_in,
                "allow_empty": job.allow_empty,
            },
            versions={
                "explorer": explorer.__version__,
                "python": platform.python_version(),
                **{name: version(name) for name in libraries},
            },
            device=_device_name(self.tower.device),
            seconds=self.writer.seconds,
            dataset=Dataset(
                name=job.source.name,
                licence=job.source.licence,
                source=job.source.file.name,
                images=_portable(job.source.images, self.writer),
                fingerprint=fingerprint,
                content=content,
                label_columns=self.labels,
                label_origin=job.source.label_origin,
                n_read=len(job.source.frame),
                n_skipped=len(self.decoded["skipped"]),
                split_origin=f"the paper's: patients shared out at random, not stratified, seed {self.settings.seed}"
                if self.paper
                else job.source.split_origin
                or f"patients shared out by precompute, stratified by label, seed {self.settings.seed}",
            ),
            labels=self.labels,
            n=len(self.frame),
            encoders=(frozen, tuned),
            regimes=self.regimes,
            prompt_sets=tuple(
                PromptSetRecord(name=s.name, title=s.title, paired=all(p.negative for p in s.labels.values()))
                for s in job.prompt_sets
            ),
            spaces=tuple(self.spaces()),
            artefacts=self.writer.kept(),
        )

    def _stage(self, name: str, made_from: Mapping[str, object], make: Callable[[Path, Report], list[str]]) -> None:
        with self.reporter.stage(name) as report:
            self.writer.stage(name.replace(" ", "_"), made_from, lambda folder: make(folder, report))


def _portable(images: Path, writer: RunWriter) -> str:
    """The image folder, relative to the run where it lies inside the store, so that a store can be moved whole."""
    images, root = images.resolve(), writer.root.resolve()
    return os.path.relpath(images, writer.final.resolve()) if images.is_relative_to(root) else str(images)


def _write_regime(folder: Path, regime: str, head: Head, training: dict[str, Any]) -> list[str]:
    where = f"regimes/{regime}"
    head.save(folder / where / "head.safetensors")
    write_json(folder / where / "training.json", training)
    return [f"{where}/head.safetensors", f"{where}/training.json"]


def _read_head(folder: Path, regime: str) -> Head:
    return _load_head(folder / f"regimes/{regime}")


def _load_head(folder: Path) -> Head:
    from safetensors.numpy import load_file

    tensors = load_file(folder / "head.safetensors")
    return Head(tensors["weight"], tensors["bias"])


def _thresholds(folder: Path, regime: str, labels: tuple[str, ...]) -> NDArray[np.float32]:
    text = (folder / f"regimes/{regime}/thresholds.json").read_text(encoding="utf-8")
    chosen = Thresholds.model_validate_json(text)
    return chosen.values(labels)


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.get_num_threads()} threads)"
