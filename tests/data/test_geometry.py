"""The preprocessing geometry is open_clip's own, bit for bit, and its inverse lands where it came from."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import explorer.model  # noqa: F401  (torchvision, which open_clip imports, can be imported after it)
from explorer.data.geometry import Fit

from open_clip.transform import PreprocessCfg, image_transform_v2  # isort: skip
from timm.data.transforms_factory import transforms_imagenet_eval  # isort: skip

FITS = [
    Fit(size=32, interpolation=interpolation, resize_mode=mode)  # type: ignore[arg-type]
    for interpolation in ("bicubic", "bilinear")
    for mode in ("shortest", "longest", "squash")
]
sides = st.integers(5, 150)


def noise(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(height * 1000 + width).integers(0, 256, (height, width), np.uint8))


@pytest.mark.parametrize("fit", FITS, ids=str)
@settings(deadline=None, max_examples=40)
@given(height=sides, width=sides)
def test_pixels_are_open_clips_own(fit: Fit, height: int, width: int) -> None:
    mean, std = (0.481, 0.457, 0.408), (0.268, 0.261, 0.275)
    config = PreprocessCfg(
        size=fit.size, interpolation=fit.interpolation, resize_mode=fit.resize_mode, mean=mean, std=std
    )
    theirs = image_transform_v2(config, is_train=False)(noise(height, width)).numpy()  # (3, S, S)
    grey = fit.apply(noise(height, width))
    assert grey.shape == (fit.size, fit.size)
    assert grey.dtype == np.uint8
    for channel in range(3):
        back = theirs[channel] * std[channel] + mean[channel]
        assert np.array_equal(np.round(back * 255).astype(np.uint8), grey)


@pytest.mark.parametrize("mode", ["shortest", "longest"])
@pytest.mark.parametrize("size", [(2544, 3056), (3056, 2544), (512, 512), (225, 224), (224, 225), (2021, 2020)])
def test_pixels_of_films_of_real_sizes(size: tuple[int, int], mode: str) -> None:
    config = PreprocessCfg(size=224, interpolation="bicubic", resize_mode=mode, mean=(0, 0, 0), std=(1, 1, 1))
    theirs = image_transform_v2(config, is_train=False)(noise(*size)).numpy()[0]
    fit = Fit(size=224, resize_mode=mode)  # type: ignore[arg-type]
    assert np.array_equal(np.round(theirs * 255).astype(np.uint8), fit.apply(noise(*size)))


@pytest.mark.parametrize(("mode", "named"), [("shortest", "center"), ("squash", "squash")])
@given(height=sides, width=sides, resize=st.integers(32, 60))
def test_a_margin_is_cut_off_as_by_timm(mode: str, named: str, height: int, width: int, resize: int) -> None:
    theirs = transforms_imagenet_eval(32, 32 / (resize + 0.5), named, interpolation="bilinear", normalize=False)
    fit = Fit(size=32, interpolation="bilinear", resize_mode=mode, resize_to=resize)  # type: ignore[arg-type]
    np.testing.assert_array_equal(fit.apply(noise(height, width)), theirs(noise(height, width))[0])
    x, y, w, h = fit.window(height, width)
    middle = (x + w / 2, y + h / 2)
    assert middle == pytest.approx((width / 2, height / 2), abs=0.75 * max(width, height) / resize)


def test_a_resize_below_the_input_is_refused() -> None:
    for given_fit in ({"resize_to": 31}, {"resize_to": 40, "resize_mode": "longest"}, {"resize_to": 0}):
        with pytest.raises(ValueError, match=r"resize_to|cover"):
            Fit(size=32, **given_fit)  # type: ignore[arg-type]
    assert "resize_to" not in Fit(size=32).model_dump(), "what earlier runs were made from keeps its hash"


@pytest.mark.parametrize(
    ("height", "width", "by"),
    [(2500, 2048, 4), (448, 448, 1), (896, 896, 2), (896, 895, 1), (3584, 3584, 8), (3583, 4000, 4), (60_000, 896, 2)],
)
def test_a_reduced_film_keeps_twice_the_pixels_that_the_model_sees(height: int, width: int, by: int) -> None:
    assert Fit(size=224, decode="fast").reduction(height, width) == by
    assert Fit(size=224).reduction(height, width) == 1


def test_how_films_are_decoded_is_recorded_only_where_it_is_not_exact() -> None:
    """Keys of stages that were made before there was a choice hold."""
    assert "decode" not in Fit(size=224).model_dump()
    fast = Fit(size=224, decode="fast")
    assert Fit.model_validate_json(fast.model_dump_json()) == fast
    assert "halved" in fast.words


@given(sides, sides)
def test_the_window_is_the_middle_square(height: int, width: int) -> None:
    x, y, w, h = Fit(size=32).window(height, width)
    short = min(height, width)
    assert w == pytest.approx(short, rel=0.04)  # the long side is cut to whole pixels
    assert h == pytest.approx(short, rel=0.04)
    assert -1e-9 <= x
    assert -1e-9 <= y
    assert x + w <= width + 1e-9
    assert y + h <= height + 1e-9
    middle = (x + w / 2, y + h / 2)
    pixel = short / 32
    assert middle == pytest.approx((width / 2, height / 2), abs=0.75 * pixel + 1e-9)


@given(sides, sides)
def test_a_squash_sees_the_whole_film(height: int, width: int) -> None:
    fit = Fit(size=32, resize_mode="squash")
    assert fit.window(height, width) == (0, 0, width, height)
    assert np.isfinite(fit.to_film(np.ones((4, 4), np.float32), height, width)).all()


@given(sides, sides)
def test_a_pad_sees_the_whole_film_and_black(height: int, width: int) -> None:
    fit = Fit(size=32, resize_mode="longest")
    x, y, w, h = fit.window(height, width)
    assert x <= 0
    assert y <= 0
    assert x + w >= width - 1e-9
    assert y + h >= height - 1e-9
    white = fit.apply(Image.new("L", (width, height), 255))
    assert (white == 255).sum() == np.prod(fit.resized(height, width))
    assert ((white == 0) | (white == 255)).all()
    assert np.isfinite(fit.to_film(np.ones((4, 4), np.float32), height, width)).all()


def test_every_way_is_told_in_words() -> None:
    assert Fit(size=224).words == "a film's middle square, at 224 x 224 pixels"
    assert len({fit.words for fit in FITS}) == 3


def test_the_window_by_hand() -> None:
    pad = Fit(size=224, resize_mode="longest")
    assert pad.window(448, 896) == (0, -224, 896, 896)
    assert pad.window(896, 448) == (-224, 0, 896, 896)
    assert Fit(size=224).window(448, 896) == (224, 0, 448, 448)
    assert Fit(size=224).window(896, 448) == (0, 224, 448, 448)


@settings(deadline=None)
@given(st.integers(16, 150), st.integers(16, 150), st.sampled_from(["shortest", "longest", "squash"]))
def test_back_on_the_film_what_was_seen_lies_where_it_was(height: int, width: int, mode: str) -> None:
    fit = Fit(size=64, resize_mode=mode)  # type: ignore[arg-type]
    # a film whose value is its own column and row, seen by the model and carried back
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    for plane in (rows, cols):
        small = Image.fromarray(plane).resize(fit.resized(height, width)[::-1], Image.Resampling.BILINEAR)
        top, left = fit.offset(height, width)
        back = fit.to_film(np.asarray(small.crop((left, top, left + 64, top + 64))), height, width)
        assert back.shape == (height, width)
        known = np.isfinite(back)
        x, y, w, h = fit.window(height, width)
        x, right, y, bottom = max(x, 0), min(x + w, width), max(y, 0), min(y + h, height)
        assert known.sum() == pytest.approx((right - x) * (bottom - y), rel=0.15)
        inner = known.copy()
        margin = 1 + max(height, width) // 32  # the resize's own edge
        inner[: int(y) + margin], inner[int(bottom) - margin :] = False, False
        inner[:, : int(x) + margin], inner[:, int(right) - margin :] = False, False
        assert np.abs(back - plane)[inner].max(initial=0) < 0.6


def test_one_hot_patch_lands_on_its_own_part_of_the_film() -> None:
    fit = Fit(size=224)
    patches = np.zeros((14, 14), np.float32)
    patches[3, 10] = 1
    film = fit.to_film(patches, 400, 700)
    x, y, w, _ = fit.window(400, 700)
    row, col = np.unravel_index(np.nanargmax(film), film.shape)
    side = w / 14
    assert col == pytest.approx(x + 10.5 * side, abs=1)
    assert row == pytest.approx(y + 3.5 * side, abs=1)
    assert np.nanmax(film) == pytest.approx(1, abs=0.05)
    assert np.isnan(film[:, : int(x) - 1]).all()
    assert np.isnan(film[:, int(x + w) + 2 :]).all()
    assert np.isfinite(film[:, int(x) + 1 : int(x + w) - 1]).all()
