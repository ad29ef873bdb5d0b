"""Reading every byte of a run: are the files what the manifest says, and do they agree with each other?"""

from __future__ import annotations

import numpy as np

from explorer.data.samples import SPLITS
from explorer.store import layout
from explorer.store.reader import Store


def verify_store(store: Store) -> list[str]:
    """Read every byte and return what is wrong, one line for each file; an empty list where all is well."""
    wrong = [(file, store.wrong(file)) for file in store.artefacts]
    return [f"{file} {reason}" for file, reason in wrong if reason] or _check_contents(store)


def _check_contents(store: Store) -> list[str]:
    problems = []
    samples = store.samples
    if len(samples) != store.n:
        problems.append(f"{layout.SAMPLES}: {len(samples)} rows, the manifest says {store.n}")
    if samples["sample_id"].duplicated().any():
        problems.append(f"{layout.SAMPLES}: a sample_id occurs twice")
    if not samples["split"].isin(SPLITS).all():
        problems.append(f"{layout.SAMPLES}: a split other than train, val, test")
    crossing = samples.groupby("patient_id")["split"].nunique().gt(1).sum()
    if crossing:
        problems.append(f"{layout.SAMPLES}: {crossing} patients are in more than one split")
    for space in store.spaces:
        files = layout.space_files(space.name)
        norms = np.linalg.norm(store.vectors(space.name), axis=1)
        if not np.allclose(norms, 1, atol=1e-3):
            problems.append(f"{files.folder}: vectors are not of unit norm")
        if store.index(space.name)[0].ntotal != store.n:
            problems.append(f"{files.index}: not {store.n} vectors")
    return problems
