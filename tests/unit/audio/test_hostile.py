"""Sound files made to take long, and files that change while they are read. Work is counted, not timed."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip, stream, write_audio
from riffusion_ext.audio import io as audio_io
from riffusion_ext.audio.formats import ffmpeg, id3, soundfile_io
from riffusion_ext.audio.formats.riff_chunks import MAX_CHUNKS, chunks
from riffusion_ext.audio.formats.wav import UnsupportedError, read_layout, read_wav
from riffusion_ext.audio.integrity.truncation import find_losses
from riffusion_ext.dataset.captions import tags
from riffusion_ext.errors import AudioError, ImageError
from riffusion_ext.files.regular import open_regular
from riffusion_ext.spectrogram.image import read_image

FMT = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16)
DATA = struct.pack("<4sI", b"data", 8) + bytes(8)
MANY = 500_000
"""Empty parts in a file: far more than a reader may look at."""
MOST_READS = 250_000


class Counted(io.BytesIO):
    """A file that counts its reads."""

    reads = 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        return super().read(size)


def riff(*parts: bytes) -> bytes:
    body = b"WAVE" + b"".join(parts)
    return struct.pack("<4sI", b"RIFF", len(body)) + body


EMPTY = b"junk\0\0\0\0"
ODD = b"junk\1\0\0\0x\0"
INFO = struct.pack("<4sI4s", b"LIST", 4 + 8 * MANY, b"INFO") + b"IXXX\0\0\0\0" * MANY
LISTS = struct.pack("<4sI4s", b"LIST", 12, b"INFO") + b"INAM\0\0\0\0"
CROWDED = {
    "before": riff(FMT, EMPTY * MANY, DATA),
    "behind": riff(FMT, DATA, EMPTY * MANY),
    "no data": riff(FMT, EMPTY * MANY),
    "behind empty data": riff(FMT, b"data\0\0\0\0", EMPTY * MANY),
    "odd": riff(FMT, ODD * MANY, DATA),
    "formats": riff(FMT * MANY, DATA),
}


@pytest.mark.parametrize("data", CROWDED.values(), ids=CROWDED)
def test_wav_files_with_too_many_chunks_are_refused_after_few_reads(data: bytes, tmp_path: Path) -> None:
    file = Counted(data)
    with pytest.raises(AudioError, match="more than 10000 chunks") as raised:
        read_layout(file)
    assert not isinstance(raised.value, UnsupportedError), "no other reader tries it"
    assert file.reads < 4 * MAX_CHUNKS
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    readers: list[Callable[[Path], object]] = [
        audio_io.read_audio,
        audio_io.read_tags,
        audio_io.sound_length,
        audio_io.sound_shape,
        stream.read_pieces,
    ]
    for act in readers:
        with pytest.raises(AudioError, match="more than 10000 chunks") as raised:
            act(path)
        assert str(raised.value).count(str(path)) == 1
    assert find_losses(path, 1.0) == ()


def test_wav_file_with_the_maximum_number_of_chunks_is_read() -> None:
    data = riff(FMT, EMPTY * (MAX_CHUNKS - 2), DATA)
    assert read_wav(io.BytesIO(data)).samples.shape == (1, 4)
    assert len(list(chunks(io.BytesIO(data), 12, len(data)))) == MAX_CHUNKS


@pytest.mark.parametrize("data", [riff(FMT, INFO, DATA), riff(FMT, LISTS * 9000, DATA)], ids=["tags", "lists"])
def test_number_of_reads_for_wav_tag_lists_is_bounded(data: bytes) -> None:
    file = Counted(data)
    assert read_layout(file).frames == 4
    assert file.reads < 4 * MAX_CHUNKS


def test_number_of_parsed_id3_frames_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 10 * MANY
    head = b"ID3\x03\0\0" + bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    asked = []
    monkeypatch.setattr(id3, "_NAMES", Noting(asked))
    assert id3.read_tag(io.BytesIO(head + b"TXYZ\0\0\0\0\0\0" * MANY)) == {}
    assert 0 < len(asked) <= id3._MAX_FRAMES
    file = io.BytesIO(b"ID3\x03\0\0\x7f\x7f\x7f\x7fTIT2" + b"\xff" * 100)
    assert isinstance(id3.read_tag(file), dict)


class Noting(dict[bytes, str]):
    """A table that records look-ups."""

    def __init__(self, asked: list[bytes]) -> None:
        self.asked = asked

    def get(self, name: bytes, default: Any = None) -> Any:
        self.asked.append(name)
        return default


@pytest.mark.parametrize(
    "data",
    [
        CROWDED["before"],
        b"FORM" + struct.pack(">I", 4 + 8 * MANY) + b"AIFF" + EMPTY * MANY,
        b"\0\0\0\x14ftypM4A \0\0\0\0M4A " + b"\0\0\0\x08free" * MANY,
        b"ID3\x03\0\0\1\x30\x20\x10" + b"TXYZ\0\0\0\1\0\0x" * MANY,
        b"fLaC" + b"\1\0\0\0" * MANY,
    ],
    ids=["wav", "aiff", "mp4", "id3", "flac"],
)
def test_number_of_reads_for_tags_is_bounded(data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    opened: list[Counted] = []

    def counting(_: Path) -> BinaryIO:
        opened.append(Counted(data))
        return opened[-1]

    monkeypatch.setattr(tags, "open_regular", counting)
    assert tags.song_tags(path).fields == {}
    assert sum(file.reads for file in opened) < MOST_READS


# --- files that change while they are read ---------------------------------------------------------------------------


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    return write_audio(AudioClip(rng.uniform(-0.5, 0.5, (1, 200_000)).astype(np.float32), 8000), tmp_path / "x.wav")


@contextmanager
def shrinking(path: Path, monkeypatch: pytest.MonkeyPatch, reads: int, size: int) -> Iterator[None]:
    """Truncate the file after a number of reads."""
    left = [reads]

    class Shrinking(io.BufferedReader):
        def read(self, count: int | None = -1) -> bytes:
            left[0] -= 1
            if left[0] == 0:
                os.truncate(path, size)
            return super().read(count)

    def opened(name: Path) -> BinaryIO:
        open_regular(name).close()
        return Shrinking(io.FileIO(name))

    with monkeypatch.context() as patch:
        for module in (audio_io, stream):
            patch.setattr(module, "open_regular", opened)
        yield


@pytest.mark.parametrize("size", [0, 4, 12, 30, 44, 50_000])
@pytest.mark.parametrize("reads", [*range(2, 10)])
def test_wav_files_that_shrink_while_read_raise_only_audio_errors(
    sound: Path, reads: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, said = sound.read_bytes(), []
    for act in (audio_io.read_audio, lambda path: list(stream.read_pieces(path)), audio_io.sound_shape):
        sound.write_bytes(whole)
        with shrinking(sound, monkeypatch, reads, size):
            try:
                act(sound)  # type: ignore[operator]
            except AudioError as error:
                said.append(str(error))
    assert all(str(sound) in text for text in said)


def test_file_that_shrinks_while_read_is_reported(sound: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        shrinking(sound, monkeypatch, 8, 1000),
        pytest.raises(AudioError, match=r"x\.wav cannot be read: it became shorter while it was read"),
    ):
        audio_io.read_audio(sound)


@pytest.mark.parametrize("then", ["nothing", "a folder", "empty"])
@pytest.mark.parametrize("suffix", ["wav", "flac", "txt"])
def test_file_that_vanishes_while_read_is_reported(
    sound: Path, suffix: str, then: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sound.with_suffix(f".{suffix}")
    if suffix == "flac" and "flac" in audio_io.available_formats():
        write_audio(audio_io.read_audio(sound), path)
    elif suffix == "txt":
        path.write_bytes(b"no sound at all")
    whole, head = path.read_bytes(), audio_io.file_head

    def vanishing(name: Path) -> bytes:
        found = head(name)
        if name.is_file():
            name.unlink()
            if then == "a folder":
                name.mkdir()
            elif then == "empty":
                name.touch()
        return found

    for module in (audio_io, stream):
        monkeypatch.setattr(module, "file_head", vanishing)
    for act in (audio_io.read_audio, audio_io.read_tags, stream.read_pieces, audio_io.sound_length):
        if path.is_dir():
            path.rmdir()
        path.write_bytes(whole)
        with pytest.raises(AudioError, match="cannot be read"):
            act(path)


def test_image_that_vanishes_while_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"no image")

    def vanishing(name: Path) -> BinaryIO:
        file = io.BytesIO(name.read_bytes())
        name.unlink()
        return file

    monkeypatch.setattr("riffusion_ext.spectrogram.image.open_regular", vanishing)
    with pytest.raises(ImageError, match=r"x\.png is not an image"):
        read_image(path)


# --- ffmpeg ----------------------------------------------------------------------------------------------------------

HEAD = b"RIFF\xff\xff\xff\xffWAVE"


class Process:
    """A program that has exited with code 0."""

    def wait(self) -> int:
        return 0


@pytest.mark.parametrize(
    "parts",
    [
        struct.pack("<4sI", b"fmt ", 2**32 - 1),
        struct.pack("<4sI", b"fmt ", 4) + b"\0" * 4,
        struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 0, 8000, 0, 0, 32) + struct.pack("<4sI", b"data", 0),
        struct.pack("<4sIHHIIHH", b"fmt ", 16, 3, 1, 0, 0, 0, 32) + struct.pack("<4sI", b"data", 0),
        b"data\0\0\0\0",
        b"dat",
        b"",
    ],
)
def test_any_output_of_ffmpeg_is_handled(parts: bytes) -> None:
    with pytest.raises(UnsupportedError):
        ffmpeg._read_header(io.BytesIO(HEAD + parts), Process(), io.BytesIO())  # type: ignore[arg-type]


def test_endless_error_output_of_ffmpeg_is_bounded() -> None:
    errors = io.BytesIO(b"x\n" * 10**6 + b"file:/a: b.mp3: Invalid data\n")
    with pytest.raises(UnsupportedError, match=r"^ffmpeg says: Invalid data$"):
        ffmpeg._check(1, errors)
    assert soundfile_io.CODECS
