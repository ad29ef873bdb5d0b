"""The audit: what it would have found

Phantoms of the demo's kind, whose truth is known. Flags: the linear probe's, of 5% of labels inverted, and of the
records' own mix-ups and slips. "Given negative" are films that have the finding and are recorded without it.

Shortcuts: in each set a label of one film in five, which follows nothing else, goes with one attribute. Its positive
films are changed with probability 0.6 and its negative ones with 0.15. For age, its rate is 0.5 beyond 22 years from
55, else 0.1. Found means that the kind's interval lies above 0.5 and that its strongest attribute is the planted one.

Outliers: phantoms laid on their side, or shown as negatives, called outlying from percentile 99 on.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image

from explorer.analysis.acquisition import measure
from explorer.analysis.crossfit import cross_fit
from explorer.analysis.flag_power import TRIAL_SHARE, flag_power, invert
from explorer.analysis.outliers import DISTANCES, OUTLYING, fit_cloud, outlyingness
from explorer.analysis.shortcuts import KINDS, AttributeKind, attributes, kind_scores, of_kind, of_labels, strongest
from explorer.model.encoder import load_clip
from precompute.audit.label_errors import label_quality
from precompute.phantom.dataset import plan, true_labels
from precompute.phantom.film import render
from precompute.phantom.labels import LABELS
from tests.validation import Row, share

ENCODER = Path(__file__).parents[2] / "encoders" / "phantom-clip"
N_FILMS = 600
N_SHORTCUT_FILMS = 300
SETS = 30
THUMBNAIL = 256
ALARMS = (0.0, 0.05)
"""Of kinds that have nothing to do with the label, how many may have an interval above 0.5."""
CHANGES = ("brighter", "noisier", "blurred", "white marker", "grey marker", "cut edge")
ATTRIBUTES = dict(
    zip(
        CHANGES,
        ("brightness", "noise", "sharpness", "marker in the margin", "marker in the margin", "collimated"),
        strict=True,
    )
)


class Phantoms(NamedTuple):
    """n films: pictures, patients (n,), true and recorded labels (n, C), the latter NaN where unknown."""

    films: list[NDArray[np.uint8]]
    patients: NDArray[np.int64]
    truth: NDArray[np.float32]
    records: NDArray[np.float32]


@lru_cache(maxsize=1)
def phantoms(n: int, seed: int) -> Phantoms:
    specs = plan(n, "target", seed)
    records = pd.DataFrame([spec.labels for spec in specs], dtype=float)
    return Phantoms(
        [render(spec).image for spec in specs],
        pd.factorize(np.array([spec.patient_id for spec in specs], object))[0],
        true_labels(specs),
        records.where(records >= 0).to_numpy(np.float32),
    )


def flags_and_outliers(rng: np.random.Generator) -> list[Row]:
    """Both need the frozen encoder's embeddings."""
    films, patients, truth, records = phantoms(N_FILMS, int(rng.integers(2**31)))
    tower = load_clip(f"local-dir:{ENCODER}", torch.device("cpu")).tower
    pixels = np.stack([tower.fit.apply(Image.fromarray(film)) for film in films])
    vectors = tower.embed(pixels, batch_size=32)
    rows = []
    known = np.where(np.isnan(records), np.nan, truth)
    trials = []
    for _ in range(3):
        wrong = invert(known, int(rng.integers(2**31)))
        trials.append((np.where(wrong, 1 - known, known).astype(np.float32), wrong))
    own = [(records, ~np.isnan(records) & (records != truth))]
    for name, cases in ((f"{TRIAL_SHARE:.0%} inverted", trials), ("the records' own errors", own)):
        tables = [
            flag_power(given, wrong, *label_quality(given, cross_fit(vectors, given, patients)))
            for given, wrong in cases
        ]
        table = pd.concat(tables).groupby("given", sort=False).sum()
        for given, title in (("any", "any label"), ("positive", "given positive"), ("negative", "given negative")):
            one = table.loc[given]
            rows += [
                share(f"{name}, {title}: wrong (the baseline)", one["n_wrong"], one["n_judged"]),
                share(f"{name}, {title}: flags that are wrong", one["n_hits"], one["n_flagged"]),
                share(f"{name}, {title}: wrong that are flagged", one["n_hits"], one["n_wrong"]),
            ]
        rows.append(
            share(f"{name}: first ten flags that are wrong", table.at["any", "n_top_hits"], table.at["any", "n_top"])
        )
    train = patients < patients.max() * 0.6
    cloud, _ = fit_cloud(vectors[train], patients[train])
    odd = {
        "as they are": pixels[~train],
        "on their side": np.rot90(pixels[~train], axes=(1, 2)),
        "negatives": 255 - pixels[~train],
    }
    for name, changed in odd.items():
        far = outlyingness(cloud, tower.embed(np.ascontiguousarray(changed), batch_size=32)) >= OUTLYING
        rows += [
            share(f"films {name}: outlying by {distance}", far[:, i].sum(), len(far))
            for i, distance in enumerate(DISTANCES)
        ]
    return rows


def shortcuts(rng: np.random.Generator) -> list[Row]:
    """Planted shortcuts that are found and rightly named, and false alarms."""
    films, patients, _, _ = phantoms(N_SHORTCUT_FILMS, int(rng.integers(2**31)))
    small = [cv2.resize(film, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA) for film in films]
    plain = np.stack([measure(film) for film in small])
    rows, alarms = [], []
    for change in CHANGES:
        changed = np.stack([measure(alter(film, change, rng)) for film in small])
        hits = 0
        for _ in range(SETS):
            label = rng.random(len(small)) < 0.2
            at = rng.random(len(small)) < np.where(label, 0.6, 0.15)
            named, others = judge(rng, label, np.where(at[:, None], changed, plain), patients)
            hits += named["picture"] == ATTRIBUTES[change] or named["acquisition"] == ATTRIBUTES[change]
            alarms += others
        rows.append(share(f"{change}: found", hits, SETS))
    hits = 0
    for _ in range(SETS):
        age = rng.uniform(20, 90, len(small))
        label = rng.random(len(small)) < np.where(np.abs(age - 55) > 22, 0.5, 0.1)
        hits += judge(rng, label, plain, patients, age)[0]["patient"] == "age"
    rows.append(share("age, common at both ends: found", hits, SETS))
    alarms += [
        name for _ in range(SETS) for name in judge(rng, rng.random(len(small)) < 0.2, plain, patients)[0].values()
    ]
    return [
        *rows,
        share("kinds that have nothing to do with the label: named", sum(map(bool, alarms)), len(alarms), ALARMS),
    ]


def judge(
    rng: np.random.Generator,
    label: NDArray[np.bool_],
    measures: NDArray[np.float32],
    patients: NDArray[np.int64],
    age: NDArray[np.float64] | None = None,
) -> tuple[dict[AttributeKind, str], list[str]]:
    """The attribute named by each kind, empty where its interval holds 0.5; and what the kind "patient" names."""
    n = len(label)
    years = rng.uniform(20, 90, n) if age is None else age
    sides = {"height": 384, "width": rng.choice([320, 340, 360], n)}
    samples = pd.DataFrame({"view": "", "sex": rng.choice(["F", "M"], n), "age": years, **sides})
    given = attributes(samples, LABELS[:1], measures)
    targets = label[:, None].astype(np.float32)
    named: dict[AttributeKind, str] = {}
    for kind in KINDS:
        scores = kind_scores(given, kind, targets, patients, 0)
        if scores is not None:
            named[kind] = ""
            if float(of_kind(kind, LABELS[:1], targets, scores, patients)["ci_low"].iat[0]) > 0.5:
                mine = replace(given, kinds={name: of for name, of in given.kinds.items() if of == kind})
                named[kind] = strongest(of_labels(mine, LABELS[:1], targets, patients), kind, LABELS[0])
    return named, [named["patient"]]


def alter(film: NDArray[np.uint8], change: str, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A thumbnail as another scanner would have given it."""
    grey = film.astype(np.float64)
    match change:
        case "brighter":
            grey = grey + 30
        case "noisier":
            grey += rng.normal(0, 8, grey.shape)
        case "blurred":
            grey = cv2.GaussianBlur(grey, (0, 0), 1.5)
        case "white marker" | "grey marker":
            grey[8:20, 8:16] = 250 if change == "white marker" else 150
        case "cut edge":
            grey[:, :24] = 2
    return grey.clip(0, 255).astype(np.uint8)


PARTS = [flags_and_outliers, shortcuts]
