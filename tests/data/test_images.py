"""Films as they come: good, bad and hostile."""

from __future__ import annotations

import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from explorer.data import limits
from explorer.data.geometry import Fit
from explorer.data.images import decode_film, read_film, read_for, thumbnail
from explorer.data.limits import BadImage, inside

FAST = Fit(size=4, decode="fast")
ROUTES: dict[str, Callable[[Path], Image.Image]] = {
    "exact": read_film,
    "fast": lambda path: read_for(FAST, path).picture,
}


@pytest.fixture(params=ROUTES)
def read(request: pytest.FixtureRequest) -> Callable[[Path], Image.Image]:
    """Either way to decode a film: what is refused is the same."""
    return ROUTES[request.param]


def film(width: int = 60, height: int = 40) -> Image.Image:
    """Smooth, so that JPEG keeps it."""
    y, x = np.mgrid[:height, :width]
    return Image.fromarray(((x * 2 + y * 3) % 256).astype(np.uint8))


def encoded(kind: str, **options: object) -> bytes:
    out = io.BytesIO()
    film().save(out, kind, **options)
    return out.getvalue()


# --- reading -------------------------------------------------------------------------------------------------


def test_a_good_film_is_read_as_it_is(tmp_path: Path) -> None:
    film().save(tmp_path / "a.png")
    read = read_film(tmp_path / "a.png")
    assert (read.mode, read.size) == ("L", (60, 40))
    assert np.array_equal(read, film())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_mode_becomes_grey(tmp_path: Path, mode: str) -> None:
    film().convert(mode).save(tmp_path / "a.png")
    assert read_film(tmp_path / "a.png").mode == "L"


@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_exif_orientation_is_applied(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera lay on its side: show it turned a quarter clockwise
    film().save(tmp_path / f"a.{kind}", exif=exif, **({"quality": 100} if kind == "jpeg" else {}))
    read = read_film(tmp_path / f"a.{kind}")
    assert read.size == (40, 60)
    assert np.abs(np.int16(read) - np.rot90(np.asarray(film()), -1)).max() <= 6


@pytest.mark.parametrize(
    ("top", "step"),
    [(255, 1), (1023, 4), (2048, 16), (4095, 16), (4096, 32), (8191, 32), (16383, 64), (32767, 128), (65535, 256)],
)
def test_the_depth_of_a_16_bit_film_is_the_least_that_holds_it(tmp_path: Path, top: int, step: int) -> None:
    deep = np.linspace(0, top, 60 * 40).reshape(40, 60).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert np.array_equal(np.asarray(read_film(tmp_path / "a.png")), deep // step)


def luma(rgb: np.ndarray) -> np.ndarray:
    """ITU-R 601-2."""
    return rgb.astype(float) @ [0.299, 0.587, 0.114]


def test_a_palette_becomes_the_luma_of_its_colours(tmp_path: Path) -> None:
    """The stored numbers are places in the palette, here in an order that is not that of the grey."""
    places = np.arange(2400, dtype=np.uint8).reshape(40, 60)
    colours = np.random.default_rng(0).integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(places)
    image.putpalette(colours.tobytes())  # which makes it a palette's
    assert image.mode == "P"
    for options in ({}, {"transparency": 7}):
        image.save(tmp_path / "a.png", **options)
        assert np.abs(np.asarray(read_film(tmp_path / "a.png")) - luma(colours[places])).max() <= 1


def test_cmyk_becomes_luma(tmp_path: Path) -> None:
    grey = np.asarray(film())
    ink = np.zeros((*grey.shape, 4), np.uint8)
    ink[..., 3] = 255 - grey  # black ink alone
    Image.fromarray(ink, "CMYK").save(tmp_path / "a.jpg", quality=100)
    assert Image.open(tmp_path / "a.jpg").mode == "CMYK"
    assert np.abs(np.asarray(read_film(tmp_path / "a.jpg")).astype(int) - grey).max() <= 3
    ink[..., :3], ink[..., 3] = (255, 0, 0), 0  # cyan alone: red 0, green and blue 255
    Image.fromarray(ink, "CMYK").save(tmp_path / "a.jpg", quality=100)
    assert np.abs(np.asarray(read_film(tmp_path / "a.jpg")) - luma(np.array([0, 255, 255]))).max() <= 3


def test_few_bits_span_black_to_white(tmp_path: Path) -> None:
    for bits in (1, 2, 4):
        steps = np.arange(2400).reshape(40, 60) % 2**bits
        single = np.unpackbits(steps.astype(np.uint8)[..., None], axis=2)[..., 8 - bits :].reshape(40, -1)
        rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(single, axis=1))
        (tmp_path / "a.png").write_bytes(png_of(60, 40, bits, rows))
        assert np.array_equal(np.asarray(read_film(tmp_path / "a.png")), steps * (255 // (2**bits - 1)))


def test_transparency_is_left_out(tmp_path: Path) -> None:
    clear = film().convert("LA")
    clear.putalpha(0)
    clear.save(tmp_path / "a.png")
    assert np.array_equal(read_film(tmp_path / "a.png"), film())


def test_orientation_of_a_16_bit_film(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = (np.arange(2400).reshape(40, 60) * 27).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_film(tmp_path / "a.png"), np.rot90(deep // 256, -1))


# --- films that are reduced as they are decoded --------------------------------------------------------------

SAVED: dict[str, dict[str, object]] = {
    "jpg": {"quality": 95},
    "progressive.jpg": {"quality": 95, "progressive": True},
    "png": {},
}


@pytest.mark.parametrize("name", SAVED)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_a_reduced_film_lies_where_the_whole_one_lies(tmp_path: Path, name: str, orientation: int, mode: str) -> None:
    """Sides that no factor divides: half a pixel of the model's aside, these blobs would differ by 6 grey levels."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    blobs(541, 427).save(tmp_path / f"a.{name}", exif=exif, **SAVED[name])  # type: ignore[arg-type]
    exact = Fit(size=32, resize_mode=mode)  # type: ignore[arg-type]
    fast = exact.model_copy(update={"decode": "fast"})
    whole, reduced = read_film(tmp_path / f"a.{name}"), read_for(fast, tmp_path / f"a.{name}")
    by = fast.reduction(whole.height, whole.width)
    assert by > 1
    assert reduced.size == whole.size
    assert reduced.picture.size == (-(-whole.width // by), -(-whole.height // by))
    assert not reduced.picture.info, "comments are dropped on either route"
    apart = np.abs(reduced.fitted(fast).astype(int) - exact.apply(whole))
    assert apart.mean() < 1
    assert apart.max() <= 4


@pytest.mark.parametrize("kind", ["RGB", "CMYK", "16 bits"])
def test_other_kinds_of_film_are_reduced_as_they_are_read(tmp_path: Path, kind: str) -> None:
    grey = blobs(400, 300)
    if kind == "16 bits":
        Image.fromarray(np.asarray(grey).astype(np.uint16) << 4).save(tmp_path / "a.png")
    else:
        grey.convert(kind).save(tmp_path / "a.png" if kind == "PNG" else tmp_path / "a.jpg", quality=95)
    (file,) = tmp_path.iterdir()
    fast = Fit(size=32, decode="fast")
    apart = read_for(fast, file).fitted(fast).astype(int) - Fit(size=32).apply(read_film(file))
    assert np.abs(apart).max() <= 4


def test_exact_decoding_is_untouched_and_small_films_are_never_reduced(tmp_path: Path) -> None:
    blobs(541, 427).save(tmp_path / "a.jpg")
    exact, fast = Fit(size=32), Fit(size=256, decode="fast")
    for fit in (exact, fast):
        assert fit.reduction(541, 427) == 1
        read = read_for(fit, tmp_path / "a.jpg")
        assert np.array_equal(read.fitted(fit), fit.apply(read_film(tmp_path / "a.jpg")))
        assert np.array_equal(read.picture, read_film(tmp_path / "a.jpg"))


def blobs(width: int, height: int) -> Image.Image:
    """Blurred noise, as detailed as a model of 32 pixels a side can see."""
    coarse = np.random.default_rng(0).integers(0, 256, (12, 16), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


# --- what cannot be used -------------------------------------------------------------------------------------

BAD = {
    "empty.png": (b"", "empty"),
    "text.png": (b"not an image at all", "not a PNG, JPEG or DICOM"),
    "page.jpg": (b"<html></html>" * 100, "not a PNG, JPEG or DICOM"),
    "half.png": (encoded("PNG")[:-30], "truncated"),
    "half.jpg": (encoded("JPEG")[:-300], "truncated"),
    "head.png": (encoded("PNG")[:40], "truncated|not a PNG"),
    "head.jpg": (encoded("JPEG")[:40], "truncated|not a PNG"),
    "gif.png": (encoded("GIF"), "not a PNG, JPEG or DICOM"),  # a decoder nobody asked for stays shut
    "tiff.png": (encoded("TIFF"), "not a PNG, JPEG or DICOM"),
    "eps.png": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a PNG, JPEG or DICOM"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_says_why(tmp_path: Path, name: str, read: Callable[[Path], Image.Image]) -> None:
    content, why = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadImage, match=why):
        read(tmp_path / name)


def test_missing_folder_and_endless_name(tmp_path: Path, read: Callable[[Path], Image.Image]) -> None:
    with pytest.raises(BadImage, match="missing"):
        read(tmp_path / "none.png")
    with pytest.raises(BadImage, match="missing"):
        read(tmp_path)
    with pytest.raises(BadImage, match="reached"):
        read(tmp_path / ("a" * 400 + ".png"))


def png_of(width: int, height: int, bits: int, rows: bytes) -> bytes:
    """A grey PNG of these rows, each with its filter's byte first; it may promise more than it holds."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + pixels + chunk(b"IEND", b"")


def header_of(width: int, height: int) -> bytes:
    """A PNG that promises any size and holds next to nothing."""
    return png_of(width, height, 8, b"\0" * 1000)


@pytest.mark.parametrize("size", [(8001, 8000), (30_000, 30_000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_decoded(
    tmp_path: Path, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Image.Image]
) -> None:
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    (tmp_path / "bomb.png").write_bytes(header_of(*size))
    with pytest.raises(BadImage, match=r"pixels|exceeds limit"):
        read(tmp_path / "bomb.png")


def test_the_cap_lets_the_largest_films_through(tmp_path: Path) -> None:
    assert limits.MAX_PIXELS >= 4280 * 3520 * 4  # a 43 x 35 cm plate at 50 um is the largest in use
    Image.new("L", (4280, 3520)).save(tmp_path / "large.png")
    assert read_film(tmp_path / "large.png").size == (4280, 3520)


def test_a_strip_is_refused(tmp_path: Path, read: Callable[[Path], Image.Image]) -> None:
    Image.new("L", (60_000, 1)).save(tmp_path / "strip.png")
    with pytest.raises(BadImage, match="strip"):
        read(tmp_path / "strip.png")
    Image.new("L", (20, 1)).save(tmp_path / "long.png")
    assert read_film(tmp_path / "long.png").size == (20, 1)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from([encoded("PNG"), encoded("JPEG"), encoded("JPEG", progressive=True)]),
    st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), min_size=1, max_size=6),
    st.floats(0.05, 1),
)
def test_bytes_gone_wrong_give_a_film_or_a_bad_image_and_nothing_else(
    tmp_path: Path, content: bytes, flips: list[tuple[float, int]], kept: float
) -> None:
    damaged = bytearray(content[: max(1, int(len(content) * kept))])
    for place, value in flips:
        damaged[int(place * len(damaged))] = value
    (tmp_path / "film").write_bytes(damaged)
    for read in ROUTES.values():
        try:
            assert read(tmp_path / "film").mode == "L"
        except BadImage as error:
            assert str(tmp_path) not in str(error)


# --- paths ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["../secret.png", "a/../../secret.png", "/etc/passwd", "a\0.png", "..", "~/../../x"])
def test_a_path_stays_inside(tmp_path: Path, path: str) -> None:
    root = tmp_path / "images"
    root.mkdir()
    (tmp_path / "secret.png").touch()
    if path.startswith("~"):
        assert inside(root, path.replace("../", "", 1)).is_relative_to(root)  # a tilde is a name like any other
    with pytest.raises(BadImage, match="path"):
        inside(root, path)


def test_an_absolute_path_is_refused_even_inside(tmp_path: Path) -> None:
    with pytest.raises(BadImage, match="leaves"):
        inside(tmp_path, str(tmp_path / "a.png"))


def test_links_may_not_lead_out(tmp_path: Path) -> None:
    root = tmp_path / "images"
    (root / "sub").mkdir(parents=True)
    film().save(root / "a.png")
    film().save(tmp_path / "outside.png")
    (root / "sub" / "in.png").symlink_to(root / "a.png")
    (root / "out.png").symlink_to(tmp_path / "outside.png")
    (root / "away").symlink_to(tmp_path)
    (root / "round").symlink_to("round")
    assert inside(root, "sub/in.png") == (root / "a.png").resolve()
    for name in ("out.png", "away/outside.png", "round"):
        with pytest.raises(BadImage, match="path"):
            inside(root, name)


def test_a_root_that_is_a_link_itself_is_fine(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    film().save(tmp_path / "real/a.png")
    (tmp_path / "link").symlink_to("real")
    assert inside(tmp_path / "link", "sub/../a.png").is_file()
    assert os.fspath(inside(tmp_path / "link", "a.png")) == os.fspath((tmp_path / "real/a.png").resolve())


# --- thumbnails ----------------------------------------------------------------------------------------------


def test_a_thumbnail_is_small_and_grey() -> None:
    small = Image.open(io.BytesIO(thumbnail(film(600, 400), 128)))
    assert (small.format, small.mode, small.size) == ("JPEG", "L", (128, 85))
    assert Image.open(io.BytesIO(thumbnail(film(30, 20), 128))).size == (30, 20)  # never enlarged


def _with_texts(kind: str, mode: str) -> bytes:
    """A film whose file names a patient wherever its format has room for text."""
    name = "JANE DOE"
    exif = Image.Exif()
    exif[0x010E] = name
    texts = PngInfo()
    texts.add_text("comment", name)
    texts.add_itxt("XML:com.adobe.xmp", name)
    options = {
        "JPEG": {"exif": exif, "comment": name.encode(), "icc_profile": name.encode(), "xmp": name.encode()},
        "PNG": {"exif": exif, "pnginfo": texts, "icc_profile": name.encode()},
    }
    out = io.BytesIO()
    film().convert(mode).save(out, kind, **options[kind])
    return out.getvalue()


@pytest.mark.parametrize("kind,mode", [("JPEG", "L"), ("JPEG", "RGB"), ("PNG", "L"), ("PNG", "P"), ("PNG", "I;16")])
def test_no_text_of_a_film_s_file_comes_with_its_pixels(kind: str, mode: str) -> None:
    data = _with_texts(kind, mode)
    assert b"JANE DOE" in data
    read = decode_film(io.BytesIO(data))
    for again in ("PNG", "JPEG"):
        saved = io.BytesIO()
        read.save(saved, again)
        assert b"JANE" not in saved.getvalue()
        assert not Image.open(saved).getexif()
    assert b"JANE" not in thumbnail(read, 128)
