"""The few-shot curve: stored-embedding regimes fitted again to ever more positives, and scored on test."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from explorer.analysis.few_shot import ALL_SHOTS, FEW_SHOT_COLUMNS, few_shot_frame, nested_draws, patients_with
from explorer.errors import UserError
from explorer.store import layout
from explorer.store.few_shot import FewShotRecord
from explorer.store.files import sha256_file, write_frame, write_json
from explorer.store.manifest import FROZEN
from explorer.store.reader import Store
from precompute.regimes import recipes
from precompute.reporter import ReportProgress
from precompute.run.recipe import HeadRecipe
from precompute.settings import Settings
from precompute.training.data import TrainingData

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESAMPLES = 500


def parse_shots(text: str) -> tuple[int, ...]:
    """``1,2,4,all`` as ascending numbers, all of train last.

    Raises
    ------
    UserError
        Where a part is neither a positive whole number nor "all".
    """
    parts = [part.strip() for part in text.split(",")]
    wrong = [part for part in parts if part != "all" and not (part.isdecimal() and 0 < int(part) < 10**6)]
    if wrong:
        raise UserError(f"--shots: {wrong[0]!r} is no number of positives.", "Give numbers and all: 1,2,4,8,16,all.")
    numbers = sorted({int(part) for part in parts if part != "all"})
    return (*numbers, *([ALL_SHOTS] if "all" in parts else []))


def choose_heads(store: Store, names: str | None) -> tuple[HeadRecipe, ...]:
    """The regimes to fit: those named, else every one whose head is fitted to stored embeddings.

    Raises
    ------
    UserError
        A name is unknown or of a regime that trains an encoder, the run lacks what it starts from, or the run is by the
        paper's protocol.
    """
    if store.manifest.protocol != "sound":
        raise UserError(
            f"The run {store.run_id} is by the paper's protocol, whose heads have no settings to choose.",
            "Name a run by the sound protocol.",
        )
    heads = {name: recipe for name, recipe in recipes().items() if isinstance(recipe, HeadRecipe)}
    there = {regime.name for regime in store.all_regimes}
    possible = [name for name, recipe in heads.items() if there >= set(recipe.needs)]
    chosen = list(dict.fromkeys(part.strip() for part in names.split(","))) if names is not None else possible
    for name in chosen:
        if name not in heads:
            raise UserError(
                f"--regimes: {name!r} is no regime with a head on stored embeddings.",
                f"Choose among {', '.join(heads)}.",
            )
        if name not in possible:
            raise UserError(
                f"--regimes: {name} starts from {', '.join(heads[name].needs)}, which the run {store.run_id} has not.",
                f"Choose among {', '.join(possible)}, or make a run with it.",
            )
    return tuple(heads[name] for name in chosen)


def check_shots(store: Store, shots: Sequence[int]) -> None:
    """Refuse a number of positives that no label has.

    Raises
    ------
    UserError
    """
    train = store.rows("train")
    most = int(patients_with(store.targets[train], store.patients[train]).max())
    if max(shots) > most:
        raise UserError(
            f"--shots: no label has {max(shots):,} positive patients in train; the most frequent has {most:,}.",
            f"Give at most {most:,}, or all.",
        )


def make_few_shot(
    store: Store, heads: Sequence[HeadRecipe], shots: Sequence[int], draws: int, seed: int, report: ReportProgress
) -> None:
    """Draw, fit, score on test, and write the curve beside the run in place of an earlier one."""
    settings = _settings(store)
    train, test = store.rows("train"), store.rows("test")
    embeddings = np.asarray(store.embeddings(FROZEN))
    numbers = [k for k in shots if k != ALL_SHOTS]
    drawn = [nested_draws(store.targets[train], store.patients[train], numbers, seed + draw) for draw in range(draws)]
    films = {k: [train[one[k]] for one in drawn] for k in numbers} | (
        {ALL_SHOTS: [train]} if ALL_SHOTS in shots else {}
    )
    held = patients_with(store.targets[train], store.patients[train])
    enough = {0: held > 0, **{k: held >= (1 if k == ALL_SHOTS else k) for k in films}}
    averaged = enough[max(films) if numbers else ALL_SHOTS]
    reference = next((regime for regime in store.all_regimes if regime.from_prompts), None)
    logits = None if reference is None else np.asarray(store.logits(reference.name)[test])
    scored = (store.labels, store.targets[test], store.patients[test])
    n_films = {0: 0.0, **{k: float(np.mean([len(rows) for rows in of_k])) for k, of_k in films.items()}}
    parts = []
    if reference is not None and logits is not None:
        frame = few_shot_frame(*scored, {0: [logits]}, enough, averaged, None, resamples=RESAMPLES, seed=seed)
        parts.append(frame.assign(regime=reference.name))
    done, total = 0, len(heads) * sum(map(len, films.values()))
    for recipe in heads:
        by_shots: dict[int, list[NDArray[np.float32]]] = {}
        for k, of_k in films.items():
            by_shots[k] = []
            for rows in of_k:
                data = TrainingData(embeddings, store.targets, rows, store.rows("val"))
                head, _ = recipe.fit_head(store, data, settings, lambda _done, _total: None)
                by_shots[k].append(head.logits(embeddings[test]))
                done += 1
                report(done, total)
        parts.append(
            few_shot_frame(*scored, by_shots, enough, averaged, logits, resamples=RESAMPLES, seed=seed).assign(
                regime=recipe.name
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    frame["n_films"] = frame["shots"].map(n_films)
    titles = {recipe.name: recipe.title for recipe in heads}
    _write(store, frame[list(FEW_SHOT_COLUMNS)], titles, reference.title if reference else "", shots, draws, seed)


def _settings(store: Store) -> Settings:
    """The run's own, with the plain loss alone: a few positives cannot choose among losses."""
    kept: Mapping[str, object] = {
        name: value for name, value in store.manifest.settings.items() if name in Settings.model_fields
    }
    return Settings.model_validate({**kept, "losses": ("plain",)})


def _write(
    store: Store,
    frame: pd.DataFrame,
    titles: dict[str, str],
    reference: str,
    shots: Sequence[int],
    draws: int,
    seed: int,
) -> None:
    folder = layout.few_shot_folder(store.path)
    table = folder / layout.FEW_SHOT_TABLE
    (folder / layout.FEW_SHOT_RECORD).unlink(missing_ok=True)  # a table without its record is no curve
    shutil.rmtree(folder, ignore_errors=True)
    write_frame(table, frame)
    record = FewShotRecord(
        run_created=store.manifest.created,
        titles=titles,
        reference=reference,
        shots=list(shots),
        draws=draws,
        seed=seed,
        resamples=RESAMPLES,
        sha256=sha256_file(table),
    )
    write_json(folder / layout.FEW_SHOT_RECORD, record.model_dump())
