"""High frequencies of songs, riffs, loops, interpolations and live sessions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip, read_audio, read_tags
from riffusion_ext.generate.interpolation import Interpolation, InterpolationSettings, PromptInput
from riffusion_ext.generate.live.recording import prompts_over_time, write_recording
from riffusion_ext.generate.live.session import Jam, Recording
from riffusion_ext.generate.live.settings import JamSettings
from riffusion_ext.generate.loop import Loop, LoopSettings, decode_loop
from riffusion_ext.generate.piece import Piece
from riffusion_ext.generate.riff import Riff
from riffusion_ext.generate.riff_settings import RiffSettings
from riffusion_ext.generate.score.automation import Curve
from riffusion_ext.generate.score.keyframes import Keyframe
from riffusion_ext.generate.score.parser import parse_score
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.metadata import parse_audio_comment
from riffusion_ext.spectrogram.high_frequencies import extend_period
from riffusion_ext.spectrogram.settings import DecodeSettings
from tests.unit.extenders import FACTOR, MIDDLE, WithoutWeights, use
from tests.unit.generate.conftest import MakeSong
from tests.unit.generate.fake_backends import FakeBackend, as_it_is, by_seed
from tests.unit.waiting import until

OFF, AUTO = (DecodeSettings(device="cpu", high_frequencies=choice) for choice in ("off", "auto"))
TAG = {"high_frequencies": "added from 7000 Hz"}
NO_WEIGHTS = "no high frequencies are added: the weights are missing"


@pytest.fixture(autouse=True)
def tone(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch)


def song_of(folder: Path, decode: DecodeSettings) -> Song:
    settings = SongSettings(parse_score("0:03 | a | seed 1"), width=128, overlap=32, params=MIDDLE, level="recorded")
    return Song(settings, folder, decode=decode)


def riff_of(folder: Path, song: AudioClip, decode: DecodeSettings, wet: float = 1.0, channels: str = "mono") -> Riff:
    """Return a riff that changes nothing; high frequencies are on in place of auto, which would leave them out."""
    if decode.high_frequencies == "auto":
        decode = replace(decode, high_frequencies="on")
    settings = RiffSettings(
        (Keyframe("", seed=1, denoise=0.0, seconds=1.0),),
        wet=Curve.constant(wet),
        channels=channels,
        width=128,
        overlap=32,
        params=MIDDLE,
        level="recorded",
    )
    return Riff(song, settings, folder, decode=decode)


@pytest.mark.parametrize(
    ("choice", "denoise", "added"), [("auto", 0.0, 0), ("on", 0.0, 1), ("auto", 0.3, 1), ("off", 0.3, 0)]
)
def test_auto_adds_nothing_to_a_riff_that_changes_nothing(
    tmp_path: Path, choice: str, denoise: float, added: int
) -> None:
    song = AudioClip(np.zeros((1, 16000), np.float32), 16000)
    decode = DecodeSettings(high_frequencies=choice, device="cpu")
    for curve, strength in ((None, denoise), (Curve.constant(denoise), 0.7)):
        keyframe = Keyframe("", seed=1, denoise=strength, seconds=1.0)
        settings = RiffSettings((keyframe,), denoise=curve, width=128, overlap=32, params=MIDDLE)
        riff = Riff(song, settings, tmp_path, decode=decode)
        assert (riff.extension.cutoff is not None) == added


def sound_of(piece: Piece, backend: FakeBackend | None = None) -> AudioClip:
    list(piece.generate(backend or FakeBackend(by_seed, max_batch=4)))
    clip = piece.sound()
    assert clip is not None
    return clip


def tag_of(piece: Piece, clip: AudioClip, path: Path) -> dict[str, object]:
    """Write a clip; return what its tags say of high frequencies."""
    piece.write(path, clip)
    record = parse_audio_comment(read_tags(path)["comment"])
    assert record is not None
    return {name: value for name, value in record.items() if name == "high_frequencies"}


def test_song_is_extended_at_its_exact_length_and_its_file_says_so(tmp_path: Path) -> None:
    plain, high = (sound_of(song_of(tmp_path / "song", decode)) for decode in (OFF, AUTO))
    assert (plain.sample_rate, plain.samples.shape) == (16000, (1, 48000))
    assert (high.sample_rate, high.samples.shape) == (48000, (1, FACTOR * 48000))
    np.testing.assert_allclose(high.samples[:, ::FACTOR], plain.samples, atol=0.021)
    assert np.abs(high.samples[:, ::FACTOR] - plain.samples).max() > 0.001
    song = song_of(tmp_path / "song", AUTO)
    assert (tag_of(song, high, tmp_path / "high.wav"), song.notes) == (TAG, [])
    assert tag_of(song_of(tmp_path / "song", OFF), plain, tmp_path / "plain.wav") == {}
    assert read_audio(tmp_path / "high.wav").sample_rate == 48000


def test_part_of_a_song_is_extended_by_itself(tmp_path: Path) -> None:
    song = song_of(tmp_path, AUTO)
    list(song.generate(FakeBackend(by_seed, max_batch=4)))
    part = song.part(1, 2)
    assert part.sample_rate == 48000
    assert part.samples.shape[1] % (FACTOR * MIDDLE.hop_length) == 0


def test_songs_and_riffs_without_weights_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, song: MakeSong
) -> None:
    use(monkeypatch, WithoutWeights)
    for piece in (song_of(tmp_path / "song", AUTO), riff_of(tmp_path / "riff", song(2.0, rate=16000), AUTO)):
        assert sound_of(piece, FakeBackend(by_seed, max_batch=4)).sample_rate == 16000
        assert piece.notes == [NO_WEIGHTS]
    assert song_of(tmp_path / "song", OFF).notes == []


@pytest.mark.parametrize("channels", ["mono", "stereo", "double"])
def test_riff_is_mixed_with_its_song_at_the_higher_sample_rate(tmp_path: Path, song: MakeSong, channels: str) -> None:
    source = song(3.0, rate=16000, channels=2)
    backend = FakeBackend(as_it_is, max_batch=4)
    plain, high = (
        sound_of(riff_of(tmp_path / "riff", source, decode, 0.5, channels), backend) for decode in (OFF, AUTO)
    )
    assert (plain.sample_rate, high.sample_rate) == (16000, 48000)
    assert high.samples.shape == (plain.channels, FACTOR * plain.samples.shape[1])
    # In time with one another: what was mixed is the same at the samples that both have.
    difference = high.samples[:, ::FACTOR][:, 400:-400] - plain.samples[:, 400:-400]
    assert np.abs(difference).max() < 0.05


def test_part_of_a_riff_is_mixed_with_the_same_part_of_its_song(tmp_path: Path, song: MakeSong) -> None:
    riff = riff_of(tmp_path, song(3.0, rate=16000), AUTO, wet=0.0)
    whole = sound_of(riff, FakeBackend(as_it_is, max_batch=4))
    part = riff.part(1, 2)
    begin = FACTOR * riff.plan.windows[1].first * MIDDLE.hop_length
    assert part.sample_rate == whole.sample_rate == 48000
    middle = slice(1000, part.samples.shape[1] - 1000)
    np.testing.assert_allclose(part.samples[:, middle], whole.samples[:, begin:][:, middle], atol=1e-4)


def test_loop_keeps_its_exact_length_and_loop_points(tmp_path: Path) -> None:
    settings = LoopSettings("a", seed=1, bars=1, bpm=110, params=MIDDLE, level="recorded")
    samples = round(4 * 60 / 110 * 16000)
    loop = Loop(settings, tmp_path / "loop", decode=AUTO)
    clip = sound_of(loop)
    assert (clip.sample_rate, clip.samples.shape) == (48000, (1, FACTOR * samples))
    assert tag_of(loop, clip, tmp_path / "loop.wav") == TAG
    plain = sound_of(Loop(settings, tmp_path / "loop", decode=OFF))
    assert plain.samples.shape == (1, samples)
    image = loop.image()
    assert image is not None
    low, high = (decode_loop(image, loop.fit, decode).samples for decode in (OFF, AUTO))
    np.testing.assert_array_equal(high, extend_period(low, loop.extension, "cpu"))


def test_interpolation_is_extended(tmp_path: Path) -> None:
    settings = InterpolationSettings(PromptInput("a"), PromptInput("b"), width=64, height=64)
    decode = DecodeSettings(params=MIDDLE, device="cpu", high_frequencies="auto")
    piece = Interpolation(settings, [0.0, 1.0], decode)
    clip = sound_of(piece)
    assert (clip.sample_rate, clip.samples.shape[1]) == (48000, FACTOR * 127 * MIDDLE.hop_length)
    assert tag_of(piece, clip, tmp_path / "two.wav") == TAG


def test_jam_plays_and_records_at_the_higher_sample_rate(tmp_path: Path) -> None:
    settings = JamSettings("funk", seed=3, ahead=6.0, width=192, overlap=64, params=MIDDLE)
    jam = Jam(settings, FakeBackend(by_seed), tmp_path / "jam", AUTO)
    jam.start()
    try:
        until(lambda: jam.is_ahead)
        assert jam.store.sample_rate == 48000
        assert jam.store.samples >= 6 * 48000
        hop = FACTOR * MIDDLE.hop_length
        assert [change.start for change in jam.changes()][:3] == [0, 128 * hop, 256 * hop]
        strips = jam.store.strips()
        assert strips[0].stop * hop >= jam.store.chunks()[0].stop
        jam.report_position(jam.store.samples)
        recording = Recording(0, 48000, tuple(jam.changes()[:1]))
        path = write_recording(jam, recording, tmp_path / "jam.wav")
        assert prompts_over_time(Recording(0, 99, tuple(jam.changes()[:2])), 48000) == [(0.0, "funk")]
    finally:
        jam.close()
        jam.join(20)
    clip = read_audio(path)
    assert (clip.sample_rate, clip.duration) == (48000, 1.0)
    record = parse_audio_comment(read_tags(path)["comment"])
    assert record is not None
    assert record["high_frequencies"] == TAG["high_frequencies"]


def test_jam_emits_nothing_that_a_later_window_changes(tmp_path: Path) -> None:
    """The reconstruction may read only as many columns beyond the settled ones as it needs itself."""
    settings = JamSettings("funk", seed=3, ahead=6.0, width=192, overlap=64, params=MIDDLE)
    heard = {}
    for name, decode in (("off", OFF), ("auto", AUTO)):
        jam = Jam(settings, FakeBackend(by_seed), tmp_path / name, decode)
        jam.start()
        until(lambda jam=jam: jam.is_ahead)  # type: ignore[misc]
        clips: list[np.ndarray] = []
        jam.store.with_samples(
            0, 2 * jam.store.sample_rate, lambda clip, clips=clips: clips.append(clip.samples.copy())
        )  # type: ignore[misc]
        jam.close()
        jam.join(20)
        heard[name] = clips[0]
    off, auto = heard["off"], heard["auto"][:, ::FACTOR]
    gain = float((off * auto).sum() / (off * off).sum())  # the automatic level follows what it is given
    assert np.abs(auto - gain * off).max() < 0.1 * np.abs(off).max()
