"""Reading every byte of a run: are the files what the manifest says, and do they agree with each other?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property, partial
from typing import get_args

import numpy as np

from explorer.errors import UserError
from explorer.store import layout
from explorer.store.few_shot import read_few_shot
from explorer.store.folder import DamagedFile
from explorer.store.reader import Store


def verify_store(store: Store) -> list[str]:
    """Read every byte and return what is wrong, one line for each file; an empty list where all is well."""
    wrong = [f"{error.file}: {error.why}" for error in check_files(store) if error is not None]
    return wrong or _check_contents(store)


def check_files(store: Store) -> Iterator[DamagedFile | None]:
    """Hash one file of the run after the other: what is wrong with it, or None."""
    for file in store.artefacts:
        try:
            store.check_hash(file)
        except DamagedFile as error:
            yield error
        else:
            yield None


def readings(store: Store) -> Iterator[Callable[[], object]]:
    """All that the pages read of a run, one function for each table or array."""
    yield lambda: store.samples
    yield lambda: store.film_files
    for part in (store.tables, store.audit):
        properties = [name for name, value in vars(type(part)).items() if isinstance(value, cached_property)]
        yield from (partial(getattr, part, name) for name in properties)
    yield from (partial(store.audit.shortcuts, table) for table in get_args(layout.ShortcutTable))
    yield from (partial(store.audit.labels, regime.name) for regime in store.audit.regimes)
    for regime in store.regimes:
        of_regime = (store.head, store.training, store.logits, store.threshold_array, store.seed_logits)
        yield from (partial(read, regime.name) for read in of_regime)
    for encoder in store.manifest.encoders:
        of_encoder = (store.embeddings, store.projections, store.fit)
        yield from (partial(read, encoder.id) for read in of_encoder)
    for space in store.spaces:
        of_space = (store.vectors, store.index, store.map, store.trust, store.points, store.clusters, store.occurrences)
        yield from (partial(read, space.name) for read in of_space)
    for prompt_set in store.manifest.prompt_sets:
        of_set = (store.prompts, store.prompt_head, store.prompt_logits, store.prompt_thresholds)
        yield from (partial(read, prompt_set.name) for read in of_set)
    if store.text_space:
        yield store.text_vectors
        yield lambda: store.logit_scale
    yield partial(read_few_shot, store)
    yield from (partial(store.thumbnail, row) for row in (0, store.n - 1))


def _check_contents(store: Store) -> list[str]:
    problems = []
    for read in readings(store):
        try:
            read()
        except DamagedFile as error:
            problems.append(f"{error.file}: {error.why}")
        except UserError:
            continue  # a file that the earlier version which made the run did not write
    return list(dict.fromkeys(problems)) or _check_figures(store)


def _check_figures(store: Store) -> list[str]:
    problems = []
    crossing = store.samples.groupby("patient_id")["split"].nunique().gt(1).sum()
    if crossing:
        problems.append(f"{layout.SAMPLES}: {crossing} patients are in more than one split")
    for regime in store.regimes:
        if not np.isfinite(store.logits(regime.name)).all():
            problems.append(f"{layout.regime_files(regime.name).logits}: not all numbers are finite")
    for space in store.spaces:
        files = layout.space_files(space.name)
        if not np.allclose(np.linalg.norm(store.vectors(space.name), axis=1), 1, atol=1e-3):
            problems.append(f"{files.folder}: vectors are not of unit norm")
        if not np.isfinite(store.map(space.name)).all():
            problems.append(f"{files.map}: not all numbers are finite")
    return problems
