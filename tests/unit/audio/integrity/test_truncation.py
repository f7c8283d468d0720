"""Truncated files are recognised by the length they announce."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.integrity.truncation import find_losses
from riffusion_ext.audio.io import read_audio, write_audio


def write(path: Path, seconds: float, rate: int, channels: int) -> Path:
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, (channels, round(seconds * rate))).astype(np.float32)
    return write_audio(AudioClip(noise, rate), path, tags={"title": "a title", "comment": "x" * 3000})


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (44100, 1), (48000, 2), (22050, 1), (16000, 2)])
@pytest.mark.parametrize("seconds", [0.3, 3.0])
def test_whole_files_report_no_loss(suffix: str, rate: int, channels: int, seconds: float, tmp_path: Path) -> None:
    path = write(tmp_path / f"a.{suffix}", seconds, rate, channels)
    assert find_losses(path, read_audio(path).duration) == ()


@pytest.mark.parametrize("suffix", ["wav", "ogg", "mp3"])
@pytest.mark.parametrize(("rate", "channels"), [(44100, 2), (44100, 1), (22050, 1), (16000, 2)])
@pytest.mark.parametrize("share", [0.4, 0.9])
def test_truncated_files_report_where_they_end(
    suffix: str, rate: int, channels: int, share: float, tmp_path: Path
) -> None:
    path = write(tmp_path / f"a.{suffix}", 4.0, rate, channels)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    seconds = read_audio(path).duration
    (text,) = find_losses(path, seconds)
    assert text.startswith(f"breaks off after {seconds:.1f} ")
    if suffix != "ogg":
        assert " of 4.0 s" in text or " of 4.1 s" in text


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_streamed_wav_files_report_no_loss(size: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", 1.0, 8000, 1)
    data = bytearray(path.read_bytes())
    place = data.index(b"data")
    data[place + 4 : place + 8] = struct.pack("<I", size)
    path.write_bytes(data)
    assert find_losses(path, read_audio(path).duration) == ()


@pytest.mark.parametrize("data", [b"", b"RIFF", b"ID3", b"OggS", b"\xff\xfb\x90", b"ID3\x04\0\0\xff\xff\xff\xff" * 9])
def test_files_without_audio_report_no_loss(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(data)
    assert find_losses(path, 1.0) == () or data == b"OggS"
    assert find_losses(tmp_path / "missing", 1.0) == ()
