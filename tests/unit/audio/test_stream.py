"""Sound read in pieces equals sound read as a whole."""

from __future__ import annotations

import struct
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip, read_audio, write_audio
from riffusion_ext.audio.fit import fit_pieces
from riffusion_ext.audio.formats.wav import write_wav
from riffusion_ext.audio.stream import PIECE_SECONDS, read_pieces
from riffusion_ext.errors import AudioError


def noise(channels: int, samples: int, rate: int, seed: int = 1) -> AudioClip:
    values = np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, samples))
    return AudioClip(values.astype(np.float32), rate)


def pieces_of(clip: AudioClip, *cuts: int) -> list[AudioClip]:
    edges = [0, *sorted(min(cut, clip.samples.shape[1]) for cut in cuts), clip.samples.shape[1]]
    parts = [clip.samples[:, a:b] for a, b in pairwise(edges)]
    return [AudioClip(np.ascontiguousarray(part), clip.sample_rate) for part in parts]


@settings(max_examples=60, deadline=None)
@given(
    rates=st.sampled_from(
        [(44100, 44100), (48000, 44100), (8000, 44100), (96000, 44100), (22050, 48000), (44100, 8000)]
    ),
    channels=st.integers(1, 3),
    target=st.integers(1, 2),
    samples=st.integers(1, 9000),
    cuts=st.lists(st.integers(0, 9000), max_size=5),
)
def test_resampling_in_pieces_equals_resampling_the_whole(
    rates: tuple[int, int], channels: int, target: int, samples: int, cuts: list[int]
) -> None:
    clip = noise(channels, samples, rates[0])
    whole = clip.to_channels(target).resample(rates[1]).samples
    fitted = np.concatenate(list(fit_pieces(pieces_of(clip, *cuts), rates[1], target)), axis=1)
    assert fitted.shape == whole.shape
    np.testing.assert_allclose(fitted, whole, rtol=0, atol=1e-6, equal_nan=False)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_every_file_format_is_read_in_pieces(tmp_path: Path, suffix: str) -> None:
    path = write_audio(noise(2, (2 * PIECE_SECONDS + 3) * 8000, 8000), tmp_path / f"a.{suffix}")
    pieces = list(read_pieces(path))
    assert [piece.samples.shape[1] for piece in pieces[:2]] == [PIECE_SECONDS * 8000] * 2
    whole = read_audio(path).samples
    np.testing.assert_allclose(
        np.concatenate([piece.samples for piece in pieces], axis=1), whole, rtol=0, atol=1e-6, equal_nan=False
    )


@pytest.mark.usefixtures("real_ffmpeg")
def test_formats_read_only_by_ffmpeg_are_read_in_pieces(tmp_path: Path) -> None:
    write_audio(noise(2, 25 * 44100, 44100), tmp_path / "a.wav")
    made = tmp_path / "a.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.wav"), str(made)], check=True)
    pieces = list(read_pieces(made))
    assert len(pieces) == 2
    assert np.array_equal(np.concatenate([piece.samples for piece in pieces], axis=1), read_audio(made).samples)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"no music at all, just text", "cannot be read"),
        (b"RIFF", "cannot be read"),
    ],
)
def test_unreadable_files_give_the_reason(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "a.mp3"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=words):
        list(read_pieces(path))


def test_file_without_samples_is_reported(tmp_path: Path) -> None:
    whole = write_audio(noise(1, 100, 8000), tmp_path / "a.wav").read_bytes()
    empty = bytearray(whole[: whole.index(b"data") + 8])
    empty[-4:] = bytes(4)
    path = tmp_path / "b.wav"
    path.write_bytes(bytes(empty))
    with pytest.raises(AudioError, match=r"no samples|cut off"):
        list(read_pieces(path))


def test_damage_is_reported_after_the_good_pieces(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        write_wav(file, noise(1, 2 * PIECE_SECONDS * 1000, 1000), subtype="float", tags={})
    raw = bytearray(path.read_bytes())
    place = raw.index(b"data") + 8 + 4 * (PIECE_SECONDS * 1000 + 5)
    raw[place : place + 4 * 300] = struct.pack("<f", float("nan")) * 300
    path.write_bytes(bytes(raw))
    pieces = read_pieces(path)
    assert next(pieces).samples.shape == (1, PIECE_SECONDS * 1000)
    with pytest.raises(AudioError, match=r"to its end.*finite"):
        next(pieces)
