"""WAV files: all common variants are read, and other programs can read the written ones."""

from __future__ import annotations

import io
import struct
import wave
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from riffusion_ext.audio import AudioClip
from riffusion_ext.audio.formats import wav as module
from riffusion_ext.audio.formats.wav import UnsupportedError, read_layout, read_wav, write_wav
from riffusion_ext.audio.tags import TAG_NAMES
from riffusion_ext.errors import AudioError

GUID_TAIL = b"\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
TEXTS = dict.fromkeys(TAG_NAMES, "") | {"title": "Größe “x” 日本", "comment": '{"a": "ü😀"}', "software": "s"}


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return struct.pack("<4sI", name, len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def fmt(codec: int = 1, channels: int = 1, rate: int = 8000, width: int = 2, bits: int | None = None) -> bytes:
    align = channels * width
    return struct.pack("<HHIIHH", codec, channels, rate, rate * align, align, 8 * width if bits is None else bits)


def riff(*chunks: bytes) -> io.BytesIO:
    body = b"WAVE" + b"".join(chunks)
    return io.BytesIO(struct.pack("<4sI", b"RIFF", len(body)) + body)


def written(clip: AudioClip, subtype: str = "pcm16", tags: dict[str, str] | None = None) -> io.BytesIO:
    file = io.BytesIO()
    write_wav(file, clip, subtype=subtype, tags=tags or {})
    return file


SIXTEEN = struct.pack("<4h", 0, 16384, -16384, -32768)
AS_FLOATS = [0.0, 0.5, -0.5, -1.0]

clips = st.builds(
    AudioClip,
    arrays(np.float32, st.tuples(st.integers(1, 8), st.integers(1, 300)), elements=st.floats(-1, 0.96875, width=32)),
    st.sampled_from([1000, 8000, 44100, 96000, 768000]),
)


@given(clips, st.sampled_from(["pcm16", "pcm24", "float"]))
def test_written_wav_is_read_back(clip: AudioClip, subtype: str) -> None:
    back = read_wav(written(clip, subtype))
    assert back.sample_rate == clip.sample_rate
    assert back.samples.shape == clip.samples.shape
    largest = {"pcm16": 2.0**-16, "pcm24": 2.0**-24, "float": 0.0}[subtype]
    assert np.abs(back.samples - clip.samples).max() <= largest


@given(clips)
def test_writing_read_samples_again_gives_the_same_bytes(clip: AudioClip) -> None:
    once = written(clip, "pcm24")
    assert written(read_wav(once), "pcm24").getvalue() == once.getvalue()


@pytest.mark.parametrize("channels", [1, 2, 3, 8])
@pytest.mark.parametrize(("subtype", "width"), [("pcm16", 2), ("pcm24", 3), ("float", 4)])
def test_header_bytes_are_as_the_format_says(tone, channels: int, subtype: str, width: int) -> None:
    clip = tone(0.0101, channels=channels)
    data = written(clip, subtype, {"title": "odd"}).getvalue()
    assert struct.unpack_from("<I", data, 4)[0] == len(data) - 8
    assert len(data) % 2 == 0
    codec, count, rate, speed, align, bits = struct.unpack_from("<HHIIHH", data, 20)
    assert (count, rate, align, bits, speed) == (channels, 44100, channels * width, 8 * width, 44100 * channels * width)
    plain = 3 if subtype == "float" else 1
    assert codec == (plain if channels <= 2 else 0xFFFE)
    if channels > 2:
        valid, mask, inner = struct.unpack_from("<HIH", data, 38)
        assert (valid, bin(mask).count("1"), inner) == (8 * width, channels, plain)
        assert data[46:60] == GUID_TAIL
    if subtype == "float":
        assert struct.pack("<4sII", b"fact", 4, clip.samples.shape[1]) in data


@pytest.mark.parametrize("channels", [1, 2])
def test_written_wav_is_read_by_the_standard_library(tone, channels: int) -> None:
    clip = tone(channels=channels)
    with wave.open(io.BytesIO(written(clip, tags=TEXTS | {"title": "ü"}).getvalue())) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (channels, 44100, 2)
        numbers = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, channels).T
    np.testing.assert_array_equal(numbers, np.rint(clip.samples * 32768).astype(int))


@pytest.mark.parametrize("subtype", ["pcm16", "pcm24", "float"])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_written_wav_is_read_by_libsndfile(tone, tmp_path, subtype: str, channels: int) -> None:
    soundfile = pytest.importorskip("soundfile")
    clip = tone(channels=channels)
    (tmp_path / "a.wav").write_bytes(written(clip, subtype, {"title": "ü", "artist": "abc"}).getvalue())
    with soundfile.SoundFile(tmp_path / "a.wav") as file:
        assert file.subtype == {"pcm16": "PCM_16", "pcm24": "PCM_24", "float": "FLOAT"}[subtype]
        assert file.copy_metadata() == {"title": "ü", "artist": "abc"}
        samples = file.read(dtype="float32", always_2d=True).T
    np.testing.assert_array_equal(samples, read_wav(written(clip, subtype)).samples)


def test_wav_files_of_libsndfile_are_read(tone, tmp_path) -> None:
    soundfile = pytest.importorskip("soundfile")
    clip = tone(channels=2)
    for form in ("WAV", "WAVEX"):
        for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
            soundfile.write(tmp_path / "a.wav", clip.samples.T, 44100, format=form, subtype=subtype)
            with (tmp_path / "a.wav").open("rb") as file:
                back = read_wav(file)
            np.testing.assert_allclose(back.samples, clip.samples, atol=2**-7 if subtype == "PCM_U8" else 2**-15)


def test_block_size_does_not_change_the_result(monkeypatch: pytest.MonkeyPatch, tone) -> None:
    clip = tone(0.1, channels=2)
    whole = written(clip, "pcm24").getvalue()
    monkeypatch.setattr(module, "BLOCK", 1000)
    assert written(clip, "pcm24").getvalue() == whole
    np.testing.assert_array_equal(read_wav(io.BytesIO(whole)).samples, np.rint(clip.samples * 2**23) / 2**23)


@pytest.mark.parametrize("start", [0.0, 0.00021, 0.1])
@pytest.mark.parametrize("duration", [None, 0.05, 99.0])
def test_part_of_a_file_is_read(tone, start: float, duration: float | None) -> None:
    clip = tone(0.2, channels=2)
    part = read_wav(written(clip, "float"), start=start, duration=duration)
    np.testing.assert_array_equal(
        part.samples,
        clip.samples[:, round(start * 44100) :][:, : None if duration is None else round(duration * 44100)],
    )


def test_part_past_the_end_is_refused(tone) -> None:
    with pytest.raises(AudioError, match=r"3 s, lies past the end of the sound at 0\.2 s"):
        read_wav(written(tone()), start=3)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFF000, 9])
def test_placeholder_or_excessive_data_size_reads_to_the_end(size: int) -> None:
    """9 is one more than the actual size: a truncated file."""
    file = riff(chunk(b"fmt ", fmt()), chunk(b"data", SIXTEEN, size))
    assert read_wav(file).samples.tolist() == [AS_FLOATS]


def test_an_incomplete_last_frame_is_dropped() -> None:
    file = riff(chunk(b"fmt ", fmt(channels=2)), chunk(b"data", SIXTEEN + b"\1", 0xFFFFFFFF))
    assert read_wav(file).samples.T.tolist() == [AS_FLOATS[:2], AS_FLOATS[2:]]


@pytest.mark.parametrize("after", [b"", chunk(b"LIST", b"INFO" + chunk(b"INAM", b"abc\0")), chunk(b"junk", b"x")])
def test_data_size_zero_before_other_chunks_means_an_empty_clip(after: bytes) -> None:
    clip = read_wav(riff(chunk(b"fmt ", fmt(channels=2)), chunk(b"data", b""), after))
    assert clip.samples.shape == (2, 0)


def test_unknown_chunks_are_skipped() -> None:
    odd, even = chunk(b"bext", b"123"), chunk(b"cue ", b"1234")
    file = riff(odd, even, chunk(b"fmt ", fmt()), odd, chunk(b"data", SIXTEEN), odd)
    assert read_wav(file).samples.tolist() == [AS_FLOATS]


def test_missing_padding_byte_is_tolerated() -> None:
    file = riff(chunk(b"bext", b"123")[:-1], chunk(b"fmt ", fmt()), chunk(b"data", SIXTEEN))
    assert read_wav(file).samples.tolist() == [AS_FLOATS]


def test_tags_after_odd_samples_are_found() -> None:
    info = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"abc\0") + chunk(b"IART", b"de\0"))
    layout = read_layout(riff(chunk(b"fmt ", fmt(width=1)), chunk(b"data", b"\x80\x80\x80"), info))
    assert layout.frames == 3
    assert layout.tags == {"title": "abc", "artist": "de"}


@pytest.mark.parametrize(
    ("codec", "width", "raw", "expected"),
    [
        (1, 1, bytes([0, 128, 192]), [-1, 0, 0.5]),
        (1, 2, struct.pack("<3h", -32768, 0, 16384), [-1, 0, 0.5]),
        (1, 3, b"\x00\x00\x80\x00\x00\x00\x00\x00\x40", [-1, 0, 0.5]),
        (1, 4, struct.pack("<3i", -(2**31), 0, 2**30), [-1, 0, 0.5]),
        (3, 4, struct.pack("<3f", -1, 0, 1.5), [-1, 0, 1.5]),
        (3, 8, struct.pack("<3d", -1, 0, 1.5), [-1, 0, 1.5]),
    ],
)
@pytest.mark.parametrize("extensible", [False, True])
def test_every_supported_codec_is_read(
    codec: int, width: int, raw: bytes, expected: list[float], extensible: bool
) -> None:
    header = fmt(codec, width=width)
    if extensible:
        header = fmt(0xFFFE, width=width) + struct.pack("<HHIH", 22, 8 * width, 4, codec) + GUID_TAIL
    assert read_wav(riff(chunk(b"fmt ", header), chunk(b"data", raw))).samples.tolist() == [expected]


def test_twenty_bit_samples_are_left_aligned_in_three_bytes() -> None:
    header = fmt(width=3, bits=20)
    assert read_wav(riff(chunk(b"fmt ", header), chunk(b"data", b"\x00\x00\x40"))).samples.tolist() == [[0.5]]


def test_wrong_block_size_in_the_header_is_ignored() -> None:
    header = struct.pack("<HHIIHH", 1, 1, 8000, 0, 0, 16)
    assert read_wav(riff(chunk(b"fmt ", header), chunk(b"data", SIXTEEN))).samples.tolist() == [AS_FLOATS]


@pytest.mark.parametrize(
    "file",
    [
        io.BytesIO(b""),
        io.BytesIO(b"RIFF"),
        io.BytesIO(b"OggS" + bytes(50)),
        riff(),
        riff(chunk(b"fmt ", fmt())),
        riff(chunk(b"data", SIXTEEN)),
        riff(chunk(b"fmt ", fmt()[:10]), chunk(b"data", SIXTEEN)),
        riff(chunk(b"fmt ", fmt(2)), chunk(b"data", SIXTEEN)),
        riff(chunk(b"fmt ", fmt(0xFFFE)), chunk(b"data", SIXTEEN)),
        riff(chunk(b"fmt ", fmt(0xFFFE) + bytes(24)), chunk(b"data", SIXTEEN)),
        riff(chunk(b"fmt ", fmt(channels=0)), chunk(b"data", SIXTEEN)),
        riff(chunk(b"fmt ", fmt(rate=0)), chunk(b"data", SIXTEEN)),
        riff(chunk(b"fmt ", fmt(width=8)), chunk(b"data", SIXTEEN)),
        riff(chunk(b"fmt ", fmt(3, width=2)), chunk(b"data", SIXTEEN)),
    ],
)
def test_unsupported_wav_raises_unsupported_error(file: io.BytesIO) -> None:
    with pytest.raises(UnsupportedError):
        read_wav(file)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_audio_errors(data: bytes) -> None:
    for file in (io.BytesIO(data), riff(data), riff(chunk(b"fmt ", data)), riff(chunk(b"fmt ", fmt()), data)):
        with suppress(AudioError):
            assert np.isfinite(read_wav(file).samples).all()


@given(
    st.dictionaries(
        st.sampled_from(TAG_NAMES), st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1)
    )
)
def test_any_tag_text_round_trips(tags: dict[str, str]) -> None:
    file = written(AudioClip(np.zeros((1, 3), np.float32), 8000), tags=tags)
    layout = read_layout(file)
    assert layout.tags == tags
    assert layout.frames == 3


def test_tags_without_utf_8_are_decoded_as_cp1252() -> None:
    info = chunk(b"LIST", b"INFO" + chunk(b"INAM", "Größe".encode("cp1252")))
    assert read_layout(riff(chunk(b"fmt ", fmt()), info, chunk(b"data", SIXTEEN))).tags == {"title": "Größe"}


def test_non_finite_samples_are_refused() -> None:
    raw = struct.pack("<2d", 1e300, -1e300)  # infinity in float32
    with pytest.raises(AudioError, match="finite"):
        read_wav(riff(chunk(b"fmt ", fmt(3, width=8)), chunk(b"data", raw)))


def test_more_than_four_gigabytes_are_refused() -> None:
    endless = np.broadcast_to(np.zeros((1, 1), np.float32), (8, 2**28))
    clip = object.__new__(AudioClip)  # checking every sample is not the point here
    object.__setattr__(clip, "samples", endless)
    object.__setattr__(clip, "sample_rate", 44100)
    with pytest.raises(AudioError, match="101 minutes do not fit"):
        write_wav(io.BytesIO(), clip, subtype="pcm16", tags={})
