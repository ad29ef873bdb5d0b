"""Films that are one film: identical pixels, and near copies (cropped, turned, mirrored, in negative, compressed).

Chest films resemble each other so much that no single likeness tells a copy from another film. So a hash only proposes
pairs, in every variant of a film that is sought. Each pair is then registered and compared in two bands of detail:
a copy agrees in both, another film at best in the coarse one. A copy's parts also lie still, where another film's agree
better when each is moved.
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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

HASH_SIDE = 24
"""A hash has one bit per cell of 24 x 24: whether local detail is brighter than its surroundings."""
SQUARE = 128
"""Side in pixels of the square that a film is resized to before it is hashed."""
HASHED = (2.0, 6.0)
"""Detail that is hashed, as standard deviations of Gaussians in pixels of that square."""
CROPS = ((1.0, 1), (0.96, 3), (0.92, 5), (0.88, 7), (0.84, 9), (0.8, 11))
"""Parts of a film that are hashed: the share of its sides, and at how many places from edge to edge."""
FEW_CROPS = ((1.0, 1), (0.94, 2))
"""The same for a film that is also mirrored, turned or in negative."""
TURN = 3.5
"""Degrees by which a film is turned, to one side only: either film of a pair may be the turned one."""
PROPOSED, BY_VARIANT = 6, 4
"""Nearest films of other patients proposed for each film, and for each of its variants, of which those are taken."""
BITS = 11
"""Bits that hold a pair's place in a film's list, at most 3 x 576."""

COARSE, FINE = 64, 128
"""Long side in pixels at which two films are first registered, and at which the place is refined."""
REGISTERED = {COARSE: 2.5, FINE: 4.0}
"""Detail by which they are registered, as the standard deviation of a Gaussian in pixels."""
STEPS = {COARSE: 8, FINE: 4}
"""Iterations of the registration at each size."""
EDGE = 3
"""Pixels along a film's edge that are not registered: detail there depends on where the film was cut."""
ROUGH = 0.84
"""Films whose coarse registration correlates less than this are not compared further: copies reach 0.88."""
COVERED = 0.6
"""Share of the one film that the other must cover once registered; less is a registration that went astray."""
BANDS = ((COARSE, 4.0, 1), (FINE, 1.5, 2))
"""Where registered films are compared: long side, the widest detail as the standard deviation of a Gaussian in pixels,
and the band's weight."""

BLOCKS, REACH = 6, 6
"""Rows and columns of blocks that may move on registered films, and how far, in pixels at FINE."""

THRESHOLD = 0.78
"""The agreement from which a pair counts as a copy, fixed by trials on seven sets of 200 to 1,500 films. Two
patients' films never reached 0.76; 3 of 1,261 planted copies stayed below 0.79."""
RULE = "fixed by trials with planted copies"
LIMITS = (
    "Sought are copies that are compressed, resized, noisy, of other contrast, mirrored or in negative. Also "
    "sought are copies cropped by up to a fifth, turned by up to 5 degrees, or stretched by a tenth. Not sought are "
    "larger crops, turns and stretches, quarter turns, and several of mirroring, turning, negative and large crops "
    "at once. A nearly flat film can be missed."
)
"""What the search covers, for the reader of its result."""
KEPT = 50
"""Pairs kept for the reader even where none reaches the threshold: the most alike."""

HELD, BATCH, BLOCK, OWN = 8192, 2048, 256, 32
"""Films held at once (about 1.5 GB), pairs compared and films sought at once, and films of its own patient that a
film's search passes over: what bounds memory on a large set."""

Picture = Callable[[int], "NDArray[np.uint8]"]
"""A row's thumbnail, (h, w) grey."""


@dataclass(frozen=True)
class Film:
    """What is compared of a film.

    Attributes
    ----------
    hashes : (V, 72) of its variants, the first as it is
    pictures : long side to (h, w) float32
    """

    hashes: NDArray[np.uint8]
    pictures: dict[int, NDArray[np.float32]]
    details: dict[int, NDArray[np.float32]]


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
    report: Callable[[int, int], None],
) -> tuple[pd.DataFrame, dict[str, float | int | str]]:
    """Pairs of different patients' films that may be one film, the most alike first.

    Parameters
    ----------
    picture : callable
    vectors : (N, D) unit norm, of the frozen encoder
    patients : (N,)

    Returns
    -------
    DataFrame
        a, b (rows, a < b), correlation (see :func:`agreement`), similarity (cosine), hash_bits (of 576, the best
        variant), near (whether it reaches THRESHOLD): every pair that does, and the most alike of the rest up to KEPT;
        none whose registration correlates less than ROUGH.
    dict
        threshold, how it was chosen, how many pairs were compared, and the limits of the search.
    """
    n = len(vectors)
    cv2.setNumThreads(1)  # the pool already shares the cores
    film = lru_cache(HELD)(lambda row: prepare(picture(row)))
    with ThreadPoolExecutor() as pool:  # OpenCV works outside the interpreter's lock
        wholes = np.stack(list(pool.map(lambda row: film(row).hashes[0], range(n))))  # (N, 72)
        pairs = propose(lambda row: film(row).hashes, wholes, patients)
        correlation = np.empty(len(pairs), dtype=np.float32)
        for start in range(0, len(pairs), BATCH):  # bounded: map would queue every pair at once
            batch = pairs[start : start + BATCH].tolist()
            correlation[start : start + BATCH] = list(pool.map(lambda pair: agreement(*map(film, pair)), batch))
            report(start + len(batch), len(pairs))
    frame = pd.DataFrame(pairs, columns=["a", "b"]).assign(correlation=correlation)
    frame = frame[correlation > 0].sort_values("correlation", ascending=False, kind="stable", ignore_index=True)
    near = frame["correlation"] >= THRESHOLD
    frame = frame[: max(KEPT, int(near.sum()))]
    a, b = frame["a"].to_numpy(), frame["b"].to_numpy()
    frame["similarity"] = np.einsum("pd,pd->p", vectors[a], vectors[b])
    frame["hash_bits"] = [
        min(int(_bits_apart(film(one), film(other)).min()), int(_bits_apart(film(other), film(one)).min()))
        for one, other in zip(a.tolist(), b.tolist(), strict=True)
    ]
    frame["near"] = near
    return frame, {"threshold": THRESHOLD, "n_pairs": len(pairs), "rule": RULE, "limits": LIMITS}


# --- proposing -------------------------------------------------------------------------------------------------------


def _variants() -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """The ways in which a film is sought: (V, 2, 3) from the variant onto the film in shares of sides, (V,) sign."""
    places, signs = [], []
    for mirrored in (False, True):
        for degrees in (0.0, TURN):
            for sign in (1, -1):
                cos, sin = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
                turned = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1 if mirrored else 1, 1])
                plain = not mirrored and not degrees and sign == 1
                for side, steps in CROPS if plain else FEW_CROPS:
                    margin = (1 - side) / 2
                    for y in np.linspace(-margin, margin, steps):
                        for x in np.linspace(-margin, margin, steps):
                            centre = np.array([0.5 + x, 0.5 + y])
                            places.append(np.c_[side * turned, centre - side * turned @ [0.5, 0.5]])
                            signs.append(sign)
    return np.array(places), np.array(signs, dtype=np.float32)


PLACES, SIGNS = _variants()


@lru_cache(1)
def _cells() -> NDArray[np.int64]:
    """(V, 576) pixel of the square under each cell of each variant's hash."""
    at = (np.arange(HASH_SIDE) + 0.5) / HASH_SIDE
    x, y = (grid.ravel() for grid in np.meshgrid(at, at))
    column, row = ((PLACES @ np.stack([x, y, np.ones_like(x)]))[:, i] for i in (0, 1))
    pixel = [np.clip(np.floor(share * SQUARE), 0, SQUARE - 1).astype(np.int64) for share in (row, column)]
    return pixel[0] * SQUARE + pixel[1]


def variant_hashes(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(V, 72) the packed hash of every variant of the film, the first of the film as it is."""
    square = cv2.resize(picture, (SQUARE, SQUARE), interpolation=cv2.INTER_AREA).astype(np.float32)
    finest, widest = HASHED
    brighter = cv2.GaussianBlur(_detail(square, widest), (0, 0), finest).ravel() > 0
    return np.packbits(brighter[_cells()] ^ (SIGNS < 0)[:, None], axis=1)


def propose(
    hashes: Callable[[int], NDArray[np.uint8]], wholes: NDArray[np.uint8], patients: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(p, 2) pairs a < b of different patients worth a closer look: nearest by the hash of any variant.

    Some variants of a film lie near many films. So a neighbour's place in the film's list is twice its distance, less
    that of the variant's last neighbour: a variant's copy stands out from its other neighbours.

    Parameters
    ----------
    hashes : callable
        A row's (V, 72) hashes.
    wholes : (N, 72) each film's hash as it is
    """
    n, size = wholes.shape
    # a film's own patient takes up places
    most = min(OWN, int(np.unique(patients, return_counts=True)[1].max()))
    index = faiss.IndexBinaryFlat(size * 8)
    index.add(np.ascontiguousarray(wholes))
    blocks = []
    for start in range(0, n, BLOCK):
        stop = min(n, start + BLOCK)
        queries = np.concatenate([hashes(row) for row in range(start, stop)])
        bits, rows = index.search(queries, min(n, BY_VARIANT + most))
        mine = np.repeat(np.arange(start, stop), bits.size // (stop - start))
        places = 2 * bits - bits[:, -1:] + size * 8
        # of the variants that reach one film, the best placed: sorted as one number, which is quicker than as three
        keys = np.sort(((mine * n + rows.ravel()) << BITS) | places.ravel())
        keys = keys[np.append(True, np.diff(keys >> BITS) > 0)]
        a, b = np.divmod(keys >> BITS, n)
        frame = pd.DataFrame({"a": a, "b": b, "place": keys & ((1 << BITS) - 1)})
        frame = frame[patients[a] != patients[b]].sort_values(["a", "place"], kind="stable")
        blocks.append(frame.groupby("a").head(PROPOSED)[["a", "b"]].to_numpy(dtype=np.int64))
    return np.unique(np.sort(np.concatenate(blocks), axis=1), axis=0)


def _bits_apart(a: Film, b: Film) -> NDArray[np.int64]:
    """(V,) bits in which each variant of one film differs from the other as it is."""
    apart = np.bitwise_count(a.hashes.view(np.uint64) ^ b.hashes[0].view(np.uint64))
    bits: NDArray[np.int64] = apart.sum(axis=1, dtype=np.int64)
    return bits


# --- comparing -------------------------------------------------------------------------------------------------------


def prepare(picture: NDArray[np.uint8]) -> Film:
    """What is compared of a film."""
    pictures = {side: _resized(picture, side) for side in (COARSE, FINE)}
    details = {side: _detail(pictures[side], REGISTERED[side]) for side in (COARSE, FINE)}
    return Film(variant_hashes(picture), pictures, details)


def agreement(a: Film, b: Film) -> float:
    """How well two films agree in local detail once registered.

    The nearest variant by hash tells where the registration starts: an affine one, by enhanced correlation (Evangelidis
    & Psarakis 2008). Then the one film is resampled onto the other, and their local detail correlated in two bands. In
    a copy every block then lies where it fits best. In another film ribs and vessels still lie beside each other, and
    blocks correlate better when moved.

    Returns
    -------
    float
        The weighted mean of both correlations on Fisher's scale, less what a quarter of the blocks gain by moving: 0.5
        for two films, 0.95 for a copy cropped by a tenth and compressed. 0 where the films differ already in coarse
        detail.
    """
    one, other = _bits_apart(a, b), _bits_apart(b, a)
    whole, part, bits = (a, b, one) if one.min() <= other.min() else (b, a, other)
    variant = int(bits.argmin())
    place, sign = PLACES[variant], SIGNS[variant]
    for side in (COARSE, FINE):
        place, correlation = _registered(sign * part.details[side], whole.details[side], place, STEPS[side])
        if correlation < ROUGH and side == COARSE:
            return 0.0
    pairs = [_detail_of_both(part.pictures[side], whole.pictures[side], place, sigma) for side, sigma, _ in BANDS]
    bands = [_correlation(*pair) for pair in pairs]
    on_scale = np.arctanh(np.clip(sign * np.array(bands), 0, 1 - 1e-6))
    together = float(np.tanh(np.average(on_scale, weights=[weight for _, _, weight in BANDS])))
    return max(0.0, together - _gain_by_moving(*pairs[-1], sign))


def _registered(
    part: NDArray[np.float32], whole: NDArray[np.float32], place: NDArray[np.float64], steps: int
) -> tuple[NDArray[np.float64], float]:
    """Where ``part`` lies in ``whole``, (2, 3) in shares of their sides, from a first guess, and their correlation."""
    inner = np.s_[EDGE:-EDGE, EDGE:-EDGE]
    used = np.zeros(whole.shape, dtype=np.uint8)
    used[inner] = 1
    start = _in_pixels(place, part.shape, whole.shape) @ [[1, 0, EDGE], [0, 1, EDGE], [0, 0, 1]]
    stop = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, steps, 1e-3)
    try:
        correlation, warp = cv2.findTransformECC(
            np.ascontiguousarray(part[inner]), whole, start.astype(np.float32), cv2.MOTION_AFFINE, stop, used, 1
        )
    except cv2.error:  # it does not converge, or nothing overlaps: two films
        return place, 0.0
    warp = warp @ [[1, 0, -EDGE], [0, 1, -EDGE], [0, 0, 1]]
    shares = np.linalg.inv(_pixels(whole.shape)) @ np.vstack([warp, [0, 0, 1]]) @ _pixels(part.shape)
    return shares[:2], float(correlation)


def _detail_of_both(
    part: NDArray[np.float32], whole: NDArray[np.float32], place: NDArray[np.float64], sigma: float
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """(h, w) detail up to ``sigma`` pixels wide of ``part`` and of ``whole`` laid onto it, and where they overlap."""
    h, w = part.shape
    warp = _in_pixels(place, part.shape, whole.shape)
    onto = cv2.warpAffine(
        whole, warp, (w, h), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE
    )
    inside = cv2.warpAffine(
        np.ones(whole.shape, np.uint8), warp, (w, h), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    eroded = cv2.erode(inside, np.ones((5, 5), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    return _detail(part, sigma), _detail(onto.astype(np.float32, copy=False), sigma), eroded > 0


def _correlation(part: NDArray[np.float32], whole: NDArray[np.float32], compared: NDArray[np.bool_]) -> float:
    """Correlation of detail where the films overlap; 0 where that is too little."""
    if compared.mean() < COVERED:
        return 0.0
    x, y = part[compared], whole[compared]
    x, y = x - x.mean(), y - y.mean()
    return float(x @ y / np.sqrt((x @ x) * (y @ y) + 1e-6))  # a flat film correlates with nothing


def _gain_by_moving(
    part: NDArray[np.float32], whole: NDArray[np.float32], compared: NDArray[np.bool_], sign: np.float32
) -> float:
    """What the correlation of a quarter of the blocks gains at least when each moves to its best place within REACH.

    The upper quartile: a few blocks without detail move by chance, in a copy too.
    """
    rows, columns = (np.linspace(REACH, side - REACH, BLOCKS + 1).astype(int) for side in part.shape)
    gains = []
    for top, bottom in pairwise(rows):
        for left, right in pairwise(columns):
            around = np.s_[top - REACH : bottom + REACH, left - REACH : right + REACH]
            if bottom - top > REACH and right - left > REACH and compared[around].mean() > 0.9:
                fits = cv2.matchTemplate(sign * part[around], whole[top:bottom, left:right], cv2.TM_CCOEFF_NORMED)
                gains.append(float(fits.max() - fits[REACH, REACH]))
    return float(np.quantile(gains, 0.75)) if gains else 0.0


def _in_pixels(place: NDArray[np.float64], part: tuple[int, ...], whole: tuple[int, ...]) -> NDArray[np.float64]:
    """(2, 3) the same place from pixels of the one to pixels of the other."""
    onto: NDArray[np.float64] = _pixels(whole) @ np.vstack([place, [0, 0, 1]]) @ np.linalg.inv(_pixels(part))
    return onto[:2]


def _pixels(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """(3, 3) from shares of a film's sides to its pixels."""
    h, w = shape
    return np.array([[w, 0, -0.5], [0, h, -0.5], [0, 0, 1]])


def _resized(picture: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """The film with its long side at ``side`` pixels."""
    factor = side / max(picture.shape)
    size = max(1, round(picture.shape[1] * factor)), max(1, round(picture.shape[0] * factor))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    return small.astype(np.float32)


def _detail(film: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Local detail over its local spread; two grey levels are added to the spread, so that flat ground stays flat."""
    detail = film - cv2.GaussianBlur(film, (0, 0), sigma)
    spread = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 2 * sigma))
    even: NDArray[np.float32] = detail / (spread + 2)
    return even
