"""Reading images of every mode and format, or refusing them in one sentence."""

from __future__ import annotations

import io
import os
import struct
import sys
import warnings
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile

from riffusion_ext.audio import AudioClip
from riffusion_ext.errors import ImageError
from riffusion_ext.metadata import read_record, record_text
from riffusion_ext.spectrogram import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.codec import audio_to_image
from riffusion_ext.spectrogram.image import is_stereo, mel_to_image, open_image, pixels_of, pixels_to_mel, read_image

RNG = np.random.default_rng(4)
GREY = RNG.integers(0, 256, (64, 40), dtype=np.uint8)
V1 = PRESETS["riffusion-v1"]


def grey_image() -> Image.Image:
    return Image.fromarray(GREY)


def stacked(grey: np.ndarray) -> np.ndarray:
    return np.repeat(np.asarray(grey)[:, :, None], 3, axis=2)


def noise(width: int = 40, height: int = 64) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (height, width), dtype=np.uint8))


# Modes


@pytest.mark.parametrize(
    "mode", ["L", "P", "RGB", "RGBA", "LA", "CMYK", "YCbCr", "HSV", "RGBX", "RGBa", "La", "PA", "I", "F"]
)
def test_modes_of_a_grey_image_give_the_same_pixels(mode: str) -> None:
    image = grey_image()
    if mode == "PA":
        image = Image.merge("LA", (image, Image.new("L", image.size, 255))).convert("PA")
    elif mode in ("RGBa", "La"):
        image = image.convert({"RGBa": "RGBA", "La": "LA"}[mode]).convert(mode)
    else:
        image = image.convert(mode)
    assert image.mode == mode
    pixels = pixels_of(image)
    assert pixels.shape == (64, 40, 3)
    assert np.abs(pixels.astype(float) - stacked(GREY)).max() <= (2 if mode == "YCbCr" else 0)


def test_one_bit_images_are_black_and_white() -> None:
    image = grey_image().convert("1")
    assert np.array_equal(pixels_of(image), stacked(np.asarray(image) * np.uint8(255)))


@pytest.mark.parametrize("kind", ["<u2", ">u2"])
def test_sixteen_bit_images_keep_their_depth(kind: str) -> None:
    deep = RNG.integers(0, 65536, (64, 40)).astype(kind)
    image = Image.frombytes("I;16" if kind == "<u2" else "I;16B", (40, 64), deep.tobytes())
    assert pixels_of(image)[..., 0] == pytest.approx(deep.astype(float) * 255 / 65535, abs=1e-3)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bit_files_keep_their_depth(tmp_path: Path, suffix: str) -> None:
    deep = RNG.integers(0, 65536, (64, 40)).astype(np.uint16)
    path = tmp_path / f"deep{suffix}"
    Image.frombytes("I;16", (40, 64), deep.tobytes()).save(path)
    assert pixels_of(read_image(path))[..., 1] == pytest.approx(deep.astype(float) * 255 / 65535, abs=1e-3)


def test_float_images_may_range_to_1_or_to_255() -> None:
    unit = GREY.astype(np.float32) / 255
    for values in (unit, unit * 255):
        assert pixels_of(Image.fromarray(values))[..., 2] == pytest.approx(GREY, abs=1e-3)


def test_non_finite_pixels_are_refused() -> None:
    values = GREY.astype(np.float32)
    values[3, 3] = np.nan
    with pytest.raises(ImageError, match="not numbers"):
        pixels_of(Image.fromarray(values))


def test_transparency_is_silence() -> None:
    alpha = np.zeros_like(GREY)
    alpha[:, 20:] = 255
    image = Image.merge("RGBA", (*grey_image().convert("RGB").split(), Image.fromarray(alpha)))
    pixels = pixels_of(image)
    assert (pixels[:, :20] == 255).all()
    assert np.array_equal(pixels[:, 20:], stacked(GREY)[:, 20:])


def test_last_bit_of_alpha_is_ignored() -> None:
    """Forge hides the infotext there, which must not change the sound."""
    rng = np.random.default_rng(3)
    grey = grey_image().convert("RGB")
    alpha = rng.integers(254, 256, (grey.height, grey.width), dtype=np.uint8)
    marked = Image.merge("RGBA", (*grey.split(), Image.fromarray(alpha)))
    np.testing.assert_array_equal(pixels_of(marked), pixels_of(grey))


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_single_transparent_colour_is_silence(mode: str, tmp_path: Path) -> None:
    levels = np.where(GREY < 128, 10, 200).astype(np.uint8)
    image = Image.fromarray(levels).convert(mode)
    transparent: Any = {"P": 10, "L": 10, "RGB": (10, 10, 10)}[mode]
    if mode == "P":
        image = Image.fromarray(levels).quantize(2)
        transparent = int(np.asarray(image)[levels == 10][0])
    image.save(tmp_path / "a.png", transparency=transparent)
    pixels = pixels_of(read_image(tmp_path / "a.png"))
    assert (pixels[levels == 10] == 255).all()
    assert (pixels[levels == 200] == 200).all()


def test_transparent_palette_entries_are_silence(tmp_path: Path) -> None:
    image = Image.fromarray(np.where(GREY < 128, 0, 1).astype(np.uint8))
    image.putpalette([0, 0, 0, 100, 100, 100])
    image.save(tmp_path / "a.png", transparency=bytes([0, 255]))
    pixels = pixels_of(read_image(tmp_path / "a.png"))
    assert set(pixels[..., 0][GREY < 128]) == {255}
    assert set(pixels[..., 0][GREY >= 128]) == {100}


# Files


@pytest.mark.parametrize(
    ("suffix", "options", "error"),
    [
        (".png", {}, 0),
        (".gif", {}, 0),
        (".bmp", {}, 0),
        (".tiff", {}, 0),
        (".webp", {"lossless": True}, 0),
        (".webp", {"quality": 95}, 12),
        (".jpg", {"quality": 95}, 8),
    ],
)
def test_image_formats_are_read(tmp_path: Path, suffix: str, options: dict[str, Any], error: int) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(40) * 3).astype(np.uint8)
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(smooth).convert("P" if suffix == ".gif" else "RGB").save(path, **options)
    assert np.abs(pixels_of(read_image(path)).astype(float) - stacked(smooth)).max() <= error


def test_cmyk_jpeg_is_read(tmp_path: Path) -> None:
    smooth = np.add.outer(np.arange(64), np.arange(40) * 3).astype(np.uint8)
    Image.fromarray(smooth).convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    assert np.abs(pixels_of(read_image(tmp_path / "a.jpg")).astype(float) - stacked(smooth)).max() <= 8


def test_first_frame_of_an_animation_is_read_and_the_file_closed(tmp_path: Path) -> None:
    path = tmp_path / "a.gif"
    first, second = (Image.fromarray(np.full((64, 40), level, np.uint8)) for level in (30, 200))
    first.save(path, save_all=True, append_images=[second])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = pixels_of(read_image(path))
        path.unlink()
    assert set(pixels.ravel()) == {30}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tiff", ".webp"])
def test_orientation_is_undone(tmp_path: Path, orientation: int, suffix: str) -> None:
    turns: dict[int, Any] = {
        2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: np.transpose,
        6: lambda a: np.rot90(a, 1), 7: lambda a: np.rot90(a, 2).T, 8: lambda a: np.rot90(a, 3),
    }  # fmt: skip
    stored = np.ascontiguousarray(turns.get(orientation, lambda a: a)(GREY))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(stored).convert("RGB").save(tmp_path / f"a{suffix}", exif=exif, **options)
    assert np.array_equal(pixels_of(read_image(tmp_path / f"a{suffix}"))[..., 0], GREY)


@pytest.mark.parametrize("orientation", [0, 9, 6.5, "6", b"\x00", (6, 1)])
def test_invalid_orientation_is_ignored(orientation: object) -> None:
    image = grey_image()
    image.getexif()[0x0112] = orientation
    assert np.array_equal(pixels_of(image)[..., 0], GREY)


def test_unwritable_exif_does_not_prevent_the_rotation() -> None:
    image = grey_image()
    exif = image.getexif()
    exif[0x0112] = 3
    exif[11000] = object()  # cannot be encoded again
    assert np.array_equal(pixels_of(image)[..., 0], np.rot90(GREY, 2))


def test_height_is_checked_after_rotation() -> None:
    image = Image.fromarray(RNG.integers(0, 256, (10, 64), dtype=np.uint8))
    with pytest.raises(ImageError, match="10 pixels high"):
        pixels_of(image)
    image.getexif()[0x0112] = 6
    assert pixels_of(image).shape == (64, 10, 3)


# Refused images


@pytest.mark.parametrize(
    ("width", "height", "message"),
    [
        (1, 64, "1 pixel wide; sound needs at least 2 columns"),
        (40, 15, "15 pixels high; between 16 and 4096"),
        (40, 4097, "4097 pixels high; between 16 and 4096"),
    ],
)
def test_too_small_or_large_images_are_refused(width: int, height: int, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        pixels_of(Image.new("RGB", (width, height)))


@pytest.mark.parametrize(("width", "height"), [(2, 16), (2, 4096), (20000, 16)])
def test_smallest_and_largest_sizes_are_accepted(width: int, height: int) -> None:
    assert pixels_of(Image.new("L", (width, height))).shape == (height, width, 3)


def test_files_that_are_not_images_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("this is no image")
    (tmp_path / "empty.png").touch()
    with pytest.raises(ImageError, match=r"^text\.png is not an image$"):
        read_image(tmp_path / "text.png")
    with pytest.raises(ImageError, match=r"^empty\.png is empty$"):
        read_image(tmp_path / "empty.png")
    with pytest.raises(ImageError, match=r"is a folder, not an image$"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match=r"gone\.png does not exist$"):
        read_image(tmp_path / "gone.png")
    with pytest.raises(ImageError, match=r"cannot be read: File name too long|does not exist"):
        read_image(tmp_path / ("x" * 300 + ".png"))
    with pytest.raises(ImageError, match=r"damaged|cannot be read"):
        read_image("a\0b.png")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_unreadable_file_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    grey_image().save(path)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    with pytest.raises(ImageError, match="may not be read"):
        read_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "gif", "tiff", "bmp"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"cut.{suffix}"
    noise(200, 200).convert("RGB").save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ImageError, match=rf"^cut\.{suffix} (is damaged: |is not an image)"):
        read_image(path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damaged_files_raise_no_other_error(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    buffer = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112], exif[11000] = 6, 44100
    suffix = data.draw(st.sampled_from(["PNG", "JPEG", "TIFF", "GIF"]))
    grey_image().save(buffer, suffix, **({} if suffix == "GIF" else {"exif": exif}))
    damaged = bytearray(buffer.getvalue())
    for position in data.draw(st.lists(st.integers(0, len(damaged) - 1), max_size=8)):
        damaged[position] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "a.bin"
    path.write_bytes(damaged)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with suppress(ImageError):
            assert pixels_of(read_image(path)).shape[2] == 3


def test_decompression_bomb_is_refused(tmp_path: Path) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(ImageError, match=r"^bomb\.png has too many pixels: more than 178,956,970$"):
        read_image(path)


# Stereo or mono


def stereo_image(params: SpectrogramParams = V1, kind: str = "music") -> Image.Image:
    rng = np.random.default_rng(1)
    sides = rng.standard_normal((2, 30000)).astype(np.float32) * np.linspace(0.01, 0.3, 30000, dtype=np.float32)
    if kind == "left only":
        sides[1] = 0
    elif kind == "silent":
        sides[:] = 0
    return audio_to_image(AudioClip(sides, 44100), params.replace(stereo=True)).image


@pytest.mark.parametrize("kind", ["music", "left only", "silent"])
@pytest.mark.parametrize("quality", [None, 95, 75, 50, 20])
def test_stereo_is_recognised_even_after_jpeg(kind: str, quality: int | None) -> None:
    image = stereo_image(kind=kind)
    if quality is not None:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)  # with chroma subsampling, as the original library saves them
        image = Image.open(buffer)
    assert is_stereo(pixels_of(image))


@pytest.mark.parametrize("level", [0, 3, 20, 24, 128, 255])
def test_uniform_grey_image_is_mono(level: int) -> None:
    assert not is_stereo(pixels_of(Image.new("L", (40, 64), level)))


@settings(max_examples=100, deadline=None)
@given(
    mean=st.integers(0, 255),
    contrast=st.integers(0, 120),
    colour=st.integers(0, 29),
    tint=st.integers(-20, 20),
    seed=st.integers(0, 99),
)
def test_colourful_images_of_a_model_are_mono(mean: int, contrast: int, colour: int, tint: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grey = mean + contrast * rng.standard_normal((64, 40, 1))
    pixels = grey + rng.uniform(-colour, colour, (64, 40, 3)) + np.array([-tint, tint, 0]) / 2
    assert not is_stereo(np.clip(pixels, 0, 255).astype(np.uint8))


# Pixels and magnitudes


@settings(max_examples=40, deadline=None)
@given(power=st.floats(0.1, 1.0), peak=st.floats(1e-3, 1e9), stereo=st.booleans(), seed=st.integers(0, 99))
def test_pixels_round_trip_through_magnitudes(power: float, peak: float, stereo: bool, seed: int) -> None:
    params = V1.replace(num_frequencies=16, power_for_image=power, stereo=stereo)
    rows = np.random.default_rng(seed).integers(0, 256, (16, 9, 3), dtype=np.uint8)
    pixels = rows if stereo else stacked(rows[..., 0])
    mel = pixels_to_mel(pixels, params, peak)
    assert mel.shape == (params.channels, 9, 16)
    assert mel.dtype == np.float32
    assert float(mel.max()) <= peak * (1 + 1e-6)
    again = np.asarray(mel_to_image(mel, params, peak)).astype(int)
    # Levels are truncated, not rounded, so rounding errors may change a level by one.
    assert np.abs(again - (pixels * [0, 1, 1] if stereo else pixels)).max() <= 1


def test_magnitude_is_the_fourth_power_of_the_darkness() -> None:
    for level, expected in ((255, 0.0), (0, 30e6), (127, 30e6 * (128 / 255) ** 4)):
        mel = pixels_to_mel(np.full((16, 2, 3), level, np.uint8), V1, 30e6)
        np.testing.assert_allclose(mel, expected, rtol=1e-6, equal_nan=False)


def test_top_row_is_the_highest_band_and_left_column_the_earliest() -> None:
    pixels = np.full((16, 5, 3), 255, np.uint8)
    pixels[0, 3] = 0
    mel = pixels_to_mel(pixels, V1, 1.0)
    assert [tuple(index) for index in np.argwhere(mel)] == [(0, 3, 15)]


def test_left_channel_is_green_right_is_blue_and_red_is_zero() -> None:
    mel = np.zeros((2, 4, 16), np.float32)
    mel[0, 1, 0], mel[1, 2, 0] = 1.0, 1.0
    pixels = np.asarray(mel_to_image(mel, V1.replace(stereo=True), 1.0))
    assert not pixels[..., 0].any()
    assert [tuple(index) for index in np.argwhere(pixels[..., 1] == 0)] == [(15, 1)]
    assert [tuple(index) for index in np.argwhere(pixels[..., 2] == 0)] == [(15, 2)]


def test_fractional_pixel_values_are_used() -> None:
    levels = np.full((16, 2, 3), 100.5, np.float32)
    mel = pixels_to_mel(levels, V1, 1.0)
    assert mel == pytest.approx((154.5 / 255) ** 4, rel=1e-6)


def test_magnitudes_above_max_value_are_black_and_silence_is_white() -> None:
    mel = np.array([[[2.0] * 16, [0.0] * 16]], np.float32)
    assert np.asarray(mel_to_image(mel, V1, 1.0))[0, :, 0].tolist() == [0, 255]
    assert (np.asarray(mel_to_image(np.zeros_like(mel), V1, 0.0)) == 255).all()


def test_number_of_channels_must_match_the_parameters() -> None:
    with pytest.raises(ValueError, match="mel has 1 channels, the parameters say 2"):
        mel_to_image(np.zeros((1, 4, 16), np.float32), V1.replace(stereo=True), 1.0)


@pytest.mark.parametrize("red", [0, 128, 255])
def test_constant_red_channel_means_stereo(red: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 40, 3), dtype=np.uint8)
    pixels[..., 0] = red
    assert is_stereo(pixels)


def _png(*texts: bytes, behind: bool = False) -> bytes:
    """Return a PNG file with text chunks before or after its pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32), "grey").save(buffer, "PNG")
    data = buffer.getvalue()
    place = len(data) - 12 if behind else 33
    return data[:place] + b"".join(texts) + data[place:]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("kind", ["zTXt", "iTXt", "iCCP"])
def test_image_with_a_huge_text_chunk_is_read_without_it(tmp_path: Path, kind: str, behind: bool) -> None:
    packed = zlib.compress(b"x" * (3 << 20))
    body = b"huge\0" + {"zTXt": b"\0", "iTXt": b"\1\0\0\0", "iCCP": b"\0"}[kind] + packed
    small = _chunk(b"tEXt", b"riffusion\0" + record_text(SpectrogramParams(step_size_ms=20)).encode())
    path = tmp_path / "a.png"
    path.write_bytes(_png(_chunk(kind.encode(), body), small, behind=behind and kind != "iCCP"))
    image = read_image(path)
    assert image.size == (32, 32)
    record = read_record(image)
    assert record.params.step_size_ms == 20
    assert record.notes == ("texts of the image too large to be read were left out: huge",)


def test_text_chunks_are_read_up_to_a_total_limit(tmp_path: Path) -> None:
    texts = [_chunk(b"zTXt", b"t%d\0\0" % n + zlib.compress(b"x" * (1 << 20))) for n in range(70)]
    path = tmp_path / "a.png"
    path.write_bytes(_png(*texts))
    image = read_image(path)
    assert len(image.info["t0"]) == 1 << 20
    assert "t69" not in image.info
    (note,) = read_record(image).notes
    assert note.endswith("left out: t16, t17, t18, t19, ...")


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (b"\0\0\0\x20ftypheic", "HEIF"),
        (b"\xff\x0a", "JPEG XL"),
        (b"\0\0\0\x20ftypavif", "AVIF"),
        (b"\0\0\0\x20ftypisom", "is not an image"),
    ],
)
def test_unsupported_image_formats_are_named(tmp_path: Path, head: bytes, said: str) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(head.ljust(64, b"\0"))
    with pytest.raises(ImageError, match=said):
        read_image(path)


def test_avif_is_read_by_the_plugin_or_the_plugin_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(b"\0\0\0\x20ftypavif".ljust(64, b"\0"))
    others = {name: reader for name, reader in Image.OPEN.items() if name != "AVIF"}
    monkeypatch.setattr(Image, "OPEN", others)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "AVIF"])
    monkeypatch.setattr(Image, "init", lambda: True)
    monkeypatch.setitem(sys.modules, "pillow_avif", None)
    with pytest.raises(ImageError, match="pillow-avif-plugin"):
        read_image(path)

    class Plugin(ImageFile.ImageFile):
        format = "AVIF"

        def _open(self) -> None:
            self._size, self._mode, self.tile = (16, 16), "RGB", []
            if self.mode != "RGB":  # Pillow before 10.1
                self.mode = "RGB"

    def load(name: str) -> None:
        Image.OPEN["AVIF"] = (Plugin, lambda prefix: prefix[4:12] == b"ftypavif")
        Image.ID.append("AVIF")

    monkeypatch.setattr("riffusion_ext.spectrogram.image.import_module", load)
    with path.open("rb") as file:
        assert open_image(file).format == "AVIF"
