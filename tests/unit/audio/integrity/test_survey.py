"""Walking the frames of a file terminates for any content."""

from __future__ import annotations

import io
import re
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import read_audio
from riffusion_ext.audio.formats import flac_frames, mp3_frames, ogg_pages
from riffusion_ext.audio.integrity.byte_window import Window
from riffusion_ext.audio.integrity.splice import Splice, append_range
from riffusion_ext.audio.integrity.survey import survey
from riffusion_ext.errors import AudioError

MARKS = (
    b"OggS\0",
    b"fLaC\0\0\0\x22",
    b"\xff\xf8\xc9\x18",
    b"\xff\xfb\x90\x64",
    b"ID3\4\0\0\0\0\0\x0a",
    b"TAG",
    bytes(4),
)


def counted(monkeypatch: pytest.MonkeyPatch, module: object, name: str) -> list[int]:
    calls = [0]
    function = getattr(module, name)

    def count(*values: object) -> object:
        calls[0] += 1
        return function(*values)

    monkeypatch.setattr(module, name, count)
    return calls


@settings(max_examples=200)
@given(
    parts=st.lists(st.one_of(st.sampled_from(MARKS), st.binary(max_size=80)), max_size=30), head=st.sampled_from(MARKS)
)
def test_frame_walkers_never_raise_on_arbitrary_bytes(parts: list[bytes], head: bytes) -> None:
    data = head + b"".join(parts)
    for walk in (mp3_frames.walk, ogg_pages.walk, flac_frames.walk):
        walk(Window(io.BytesIO(data)))


@pytest.mark.parametrize("head", MARKS)
def test_reading_arbitrary_bytes_raises_only_audio_errors(head: bytes, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(20):
        data = head + b"".join(
            random.bytes(random.integers(60)) + MARKS[random.integers(len(MARKS))] for _ in range(50)
        )
        path = tmp_path / f"{number}"
        path.write_bytes(data)
        survey(path)
        with suppress(AudioError):
            read_audio(path)


def test_number_of_checked_false_frame_headers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (mp3_frames, flac_frames):
        monkeypatch.setattr(module, "_MAX_TRIES", 100)
    monkeypatch.setattr(ogg_pages, "_MAX_DAMAGED", 100)
    heads = counted(monkeypatch, flac_frames, "_parse_header")
    flac_frames.walk(Window(io.BytesIO(b"fLaC\x80\0\0\x22" + bytes(34) + b"\xff\xf8\xc9\x18" * 50_000)))
    assert 0 < heads[0] < 1000
    frames = counted(monkeypatch, mp3_frames, "_parse_head")
    good = b"\xff\xfb\x90\x64".ljust(417, b"\0") * 4
    assert mp3_frames.walk(Window(io.BytesIO(good + b"\xff\xfb\x90\x65\x01" * 50_000))) is not None
    assert 0 < frames[0] < 4000
    sums = counted(monkeypatch, ogg_pages, "_checksum")
    assert not ogg_pages.walk(Window(io.BytesIO(b"OggS\0".ljust(27, b"\0") * 50_000)))
    assert 0 < sums[0] < 1000


def test_file_is_surveyed_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(b"\xff\xfb\x90\x64".ljust(417, b"\0") * 50)
    walks = counted(monkeypatch, mp3_frames, "walk")
    for _ in range(5):
        read_audio(path, start=0.1, duration=0.2)
    assert walks == [1]


@given(st.binary(max_size=200), st.lists(st.tuples(st.integers(0, 200), st.integers(0, 60)), max_size=6))
def test_byte_window_returns_the_bytes_of_any_range(data: bytes, places: list[tuple[int, int]]) -> None:
    window = Window(io.BytesIO(data))
    for position, count in places:
        assert window.read(position, count) == data[position : position + count]
        assert window.find(re.compile(rb"[\x00-\x20]"), position, len(data), 1) == next(
            (place for place in range(position, len(data)) if data[place] <= 0x20), -1
        )


def test_splice_reads_as_the_concatenation_of_its_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(100)))
    with io.BufferedReader(Splice(path, [b"head", (10, 20), (50, 53), b"", b"tail"])) as file:
        whole = b"head" + bytes(range(10, 20)) + bytes(range(50, 53)) + b"tail"
        assert file.read() == whole
        for place in range(len(whole) + 2):
            file.seek(place)
            assert file.read(5) == whole[place : place + 5]
        assert file.seek(0, io.SEEK_END) == len(whole)
    parts: list[tuple[int, int]] = []
    for part in ((0, 5), (5, 9), (12, 13)):
        append_range(parts, *part)
    assert parts == [(0, 9), (12, 13)]


@pytest.mark.parametrize("number", [0, 127, 128, 2047, 2048, 65535, 65536, 2**21, 2**31 - 1, 2**31, 2**36 - 1])
def test_flac_frame_numbers_round_trip(number: int) -> None:
    link = flac_frames.FlacLink(bytes(34), 0)
    head = bytes((0xFF, 0xF9, 0xC9, 0x18)) + flac_frames._encode_number(number)
    register = 0
    for byte in head:
        register = flac_frames._CRC8[register ^ byte]
    assert flac_frames._parse_header(head + bytes((register,)), link) == (number, 4096)
