"""Films that are one film: identical pixels, and near duplicates (cropped, exposed anew, compressed).

Chest films resemble each other so much that no single likeness tells a copy from another film: two patients' embeddings
reach a cosine of 0.99, and their perceptual hashes two bits' difference. So both only propose pairs, and the pair is
then laid one film on the other and compared in its fine detail, which two exposures never share and a copy keeps.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import faiss
import numpy as np
import pandas as pd

from explorer.analysis.neighbours import knn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HASH_SIDE = 24
"""A hash: one bit per cell of 24 x 24, above the median after evening local contrast (after Yang, Gu & Niu 2006)."""
CROPS = ((0.0, 0.0, 1.0), *((x, y, s) for s in (0.94, 0.88) for x in (0, 0.5, 1) for y in (0, 0.5, 1)))
"""Parts of a film hashed besides the whole: the share of the free margin left and above, and the side kept."""
PROPOSED = {"hash": 8, "embedding": 2}
"""Nearest films of other patients proposed for each film."""

COARSE, FINE = 64, 192
"""Long side in pixels where two films are laid on each other, and where they are compared."""
DETAIL = {COARSE: 2.5, FINE: 1.5}
"""Widest detail compared, as the standard deviation of a Gaussian in pixels."""
MIDDLE = 0.22
"""Left out on every side of the film that is laid on the other, which a crop may lack."""
SCALES = np.geomspace(1 / 1.22, 1.22, 11)
FINE_SCALES = np.linspace(0.97, 1.03, 9)
SHIFT = 6
"""Pixels at FINE by which the coarse placing may be off."""
ROUGH = 0.8
"""Films that agree less than this when laid on each other are not compared in detail: copies reach 0.9."""

CAP, FEWEST, MARGIN = 0.5, 20, 0.02
"""The threshold lies MARGIN above the highest correlation of two different films of one patient, since many more pairs
are compared than those; but at most at CAP, since those may be copies too, and at CAP where they are fewer than FEWEST.
"""
KEPT = 50
"""Pairs kept for the reader even where none reaches the threshold: the most alike."""

HELD, BATCH, OWN = 8192, 2048, 32
"""Films whose details are held at once (about 1 GB), films and pairs worked on at once, and films of its own patient
that a film's search passes over: what bounds memory on a large set."""

Picture = Callable[[int], "NDArray[np.uint8]"]
"""A row's thumbnail, (h, w) grey."""


@dataclass(frozen=True)
class Details:
    """One film's local detail at both sizes, float32."""

    coarse: NDArray[np.float32]
    fine: NDArray[np.float32]


def exact_pairs(pixel_hashes: Sequence[str]) -> NDArray[np.int64]:
    """(p, 2) rows with the same pixels: each later film with the first of its kind."""
    first: dict[str, int] = {}
    return np.array(
        [(first[h], row) for row, h in enumerate(pixel_hashes) if first.setdefault(h, row) != row], dtype=np.int64
    ).reshape(-1, 2)


def near_pairs(
    picture: Picture,
    vectors: NDArray[np.float32],
    patients: NDArray[np.int64],
    views: NDArray[np.object_],
    report: Callable[[int, int], None],
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, float | int | str]]:
    """Pairs of different patients' films that may be one film, the most alike first.

    Parameters
    ----------
    picture : callable
    vectors : (N, D) unit norm, of the frozen encoder
    patients, views : (N,)

    Returns
    -------
    DataFrame
        a, b (rows, a < b), correlation, similarity (cosine), hash_bits (of 576, the best crop), near (whether it
        reaches the threshold): every pair that does, and the most alike of the rest up to KEPT; none that differs in
        the rough already.
    dict
        threshold, how it was found, and of how many pairs.
    """
    n = len(vectors)
    cv2.setNumThreads(1)  # the pool already shares the cores
    film = lru_cache(HELD)(lambda row: details(picture(row)))
    with ThreadPoolExecutor() as pool:  # OpenCV works outside the interpreter's lock
        hashes = np.stack(list(pool.map(lambda row: crop_hashes(picture(row)), range(n))))  # (N, crops, 72)
        pairs = propose(hashes, vectors, patients)
        null = _same_patient(patients, views, seed)
        everything = np.concatenate([null, pairs])
        correlation = np.empty(len(everything))
        for start in range(0, len(everything), BATCH):  # bounded: map would queue every pair at once
            batch = everything[start : start + BATCH].tolist()
            correlation[start : start + BATCH] = list(
                pool.map(lambda pair: aligned(film(pair[0]), film(pair[1])), batch)
            )
            report(start + len(batch), len(everything))
    rule = choose_threshold(correlation[: len(null)])
    frame = pd.DataFrame(pairs, columns=["a", "b"])
    frame["correlation"] = correlation[len(null) :].astype(np.float32)
    frame["similarity"] = np.einsum("pd,pd->p", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    frame["hash_bits"] = [_bits(hashes[a], hashes[b]) for a, b in pairs.tolist()]
    frame["near"] = frame["correlation"] >= rule["threshold"]
    frame = frame[frame["correlation"] > 0]
    frame = frame.sort_values("correlation", ascending=False, kind="stable", ignore_index=True)
    return frame[: max(KEPT, int(frame["near"].sum()))], rule


def choose_threshold(null: NDArray[np.float64]) -> dict[str, float | int | str]:
    """The correlation from which a pair counts as near duplicates, from pairs that are different films of one patient.

    They share the body and often the hospital, so they are the most alike that two films can honestly be.
    """
    if len(null) < FEWEST:
        return {"threshold": CAP, "n_pairs": len(null), "rule": "for want of patients with several films of one view"}
    above = int((null > CAP).sum())
    threshold = min(float(null.max()) + MARGIN, CAP)
    if above:
        rule = f"{above} of one patient's pairs lie above it and may be copies themselves"
        return {"threshold": threshold, "n_pairs": len(null), "rule": rule}
    rule = f"just above {null.max():.2f}, the most alike of different films of one patient and view"
    return {"threshold": threshold, "n_pairs": len(null), "rule": rule}


# --- proposing -------------------------------------------------------------------------------------------------------


def crop_hashes(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(crops, 72) the packed hash of the film and of its CROPS."""
    film = _sized(picture, 128)
    height, width = film.shape
    bits = []
    for x, y, side in CROPS:
        h, w = round(height * side), round(width * side)
        top, left = round((height - h) * y), round((width - w) * x)
        part = film[top : top + h, left : left + w]
        small = cv2.resize(part, (HASH_SIDE, HASH_SIDE), interpolation=cv2.INTER_AREA)
        even = _even(small.astype(np.float32), 2.5).ravel()
        bits.append(even > np.median(even))
    return np.packbits(bits, axis=1)


def propose(hashes: NDArray[np.uint8], vectors: NDArray[np.float32], patients: NDArray[np.int64]) -> NDArray[np.int64]:
    """(p, 2) pairs a < b of different patients worth a closer look: nearest by hash of any crop, and by embedding."""
    n, crops, size = hashes.shape
    # a film's own patient takes up places
    most = min(OWN, int(np.unique(patients, return_counts=True)[1].max()))
    wholes = faiss.IndexBinaryFlat(size * 8)
    wholes.add(np.ascontiguousarray(hashes[:, 0]))
    found = []
    for start in range(0, n, BATCH):
        some = hashes[start : start + BATCH]
        apart, rows = wholes.search(some.reshape(-1, size), min(n, PROPOSED["hash"] + most))
        mine = np.repeat(np.arange(start, start + len(some)), crops)
        found.append(_closest(mine, rows, apart.astype(np.float64), patients, PROPOSED["hash"]))
    rows, distances = knn(np.asarray(vectors), min(n, PROPOSED["embedding"] + most))
    found.append(_closest(np.arange(n), rows, distances.astype(np.float64), patients, PROPOSED["embedding"]))
    return np.unique(np.sort(np.concatenate(found), axis=1), axis=0)


def _closest(
    mine: NDArray[np.int64],
    rows: NDArray[np.int64],
    apart: NDArray[np.float64],
    patients: NDArray[np.int64],
    k: int,
) -> NDArray[np.int64]:
    """The k nearest other patients' films of each film, whichever of its queries found them."""
    frame = pd.DataFrame({"a": np.repeat(mine, rows.shape[1]), "b": rows.ravel(), "apart": apart.ravel()}, copy=False)
    frame = frame[patients[frame["a"]] != patients[frame["b"]]]
    frame = frame.sort_values(["a", "apart"], kind="stable").drop_duplicates(["a", "b"])
    pairs: NDArray[np.int64] = frame.groupby("a").head(k)[["a", "b"]].to_numpy(dtype=np.int64)
    return pairs


def _same_patient(patients: NDArray[np.int64], views: NDArray[np.object_], seed: int) -> NDArray[np.int64]:
    """(p, 2) pairs of one patient's films of one view, at most 500: films next to each other in the table."""
    order = np.lexsort((np.arange(len(patients)), pd.factorize(views)[0], patients))
    pairs = [(a, b) for a, b in pairwise(order.tolist()) if patients[a] == patients[b] and views[a] == views[b]]
    chosen = np.random.default_rng(seed).permutation(len(pairs))[:500]
    return np.array([pairs[i] for i in np.sort(chosen)], dtype=np.int64).reshape(-1, 2)


def _bits(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    """Bits in which one film's whole differs from the best crop of the other, either way round."""
    return int(min(np.bitwise_count(a ^ b[0]).sum(axis=1).min(), np.bitwise_count(b ^ a[0]).sum(axis=1).min()))


# --- comparing -------------------------------------------------------------------------------------------------------


def details(picture: NDArray[np.uint8]) -> Details:
    """A film's local detail, its contrast made even, so that exposure and windowing drop out."""
    return Details(*(_even(_sized(picture, side), DETAIL[side]) for side in (COARSE, FINE)))


def aligned(a: Details, b: Details) -> float:
    """Correlation of fine detail where the middle of one film fits best onto the other, over shifts and scales.

    Returns
    -------
    float
        -1 to 1, the better of both ways round; about 0.2 for two films, 0.7 for a copy cropped by a tenth and
        compressed. 0 where they differ in the rough already.
    """
    one = _laid(a, b)
    return max(one, _laid(b, a)) if one else 0.0


def _laid(a: Details, b: Details) -> float:
    """The same with the middle of ``a`` laid on ``b``."""
    centre, scale = (b.coarse.shape[1] / 2, b.coarse.shape[0] / 2), 1.0
    best = -1.0
    middle = _middle(a.coarse)
    for s in SCALES:
        piece = cv2.resize(middle, None, fx=s, fy=s)
        if piece.shape[0] > b.coarse.shape[0] or piece.shape[1] > b.coarse.shape[1]:
            continue
        _, value, _, (x, y) = cv2.minMaxLoc(cv2.matchTemplate(b.coarse, piece, cv2.TM_CCOEFF_NORMED))
        if value > best:
            best, scale = value, s
            centre = x + piece.shape[1] / 2, y + piece.shape[0] / 2
    if best < ROUGH:
        return 0.0
    enlarged = b.fine.shape[1] / b.coarse.shape[1]
    middle = _middle(a.fine)
    best = -1.0
    for s in scale * FINE_SCALES:
        piece = cv2.resize(middle, None, fx=s, fy=s)
        h, w = piece.shape
        top = max(0, round(centre[1] * enlarged - h / 2) - SHIFT)
        left = max(0, round(centre[0] * enlarged - w / 2) - SHIFT)
        window = b.fine[top : top + h + 2 * SHIFT, left : left + w + 2 * SHIFT]
        if window.shape[0] < h or window.shape[1] < w:
            continue
        best = max(best, float(cv2.matchTemplate(window, piece, cv2.TM_CCOEFF_NORMED).max()))
    return best


def _middle(film: NDArray[np.float32]) -> NDArray[np.float32]:
    h, w = film.shape
    return film[round(h * MIDDLE) : round(h * (1 - MIDDLE)), round(w * MIDDLE) : round(w * (1 - MIDDLE))]


def _sized(picture: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """The film with its long side at ``side`` pixels."""
    factor = side / max(picture.shape)
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    return small.astype(np.float32)


def _even(film: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Local detail over its local spread; two grey levels are added to the spread, so that flat ground stays flat."""
    detail = film - cv2.GaussianBlur(film, (0, 0), sigma)
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2 * sigma))
    even: NDArray[np.float32] = detail / (spread + 2)
    return even
