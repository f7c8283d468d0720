"""Songs whose prompts change over time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio import read_audio, read_tags
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.checkpoint.recipe import read_record
from riffusion_ext.generate.checkpoint.runner import Finished, Stopped
from riffusion_ext.generate.score.keyframes import Score
from riffusion_ext.generate.score.parser import parse_score
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.generate.windows import preview
from riffusion_ext.generate.windows.blend import BlendedSpectrogram
from riffusion_ext.generate.windows.init_images import beat_image
from riffusion_ext.metadata import parse_audio_comment
from riffusion_ext.metadata import read_record as read_image_record
from riffusion_ext.params import SpectrogramParams
from tests.unit.generate.fake_backends import FakeBackend, as_it_is, by_seed, flat

SCORE = parse_score("2 bars | sax -- vocals | seed 5\n1 bar | piano", bpm=101)


def settings_of(params: SpectrogramParams, score: Score = SCORE, **values: object) -> SongSettings:
    return SongSettings(score, **{"width": 128, "overlap": 32, "params": params, **values})


def test_song_has_the_exact_length_of_its_bars(tmp_path: Path, small: SpectrogramParams) -> None:
    for bpm in (60.0, 101.0, 117.3, 180.0):
        score = parse_score("1 bar | a | seed 1\n0.5 bars | b", bpm=bpm)
        song = Song(settings_of(small, score), tmp_path)
        list(song.generate(FakeBackend(by_seed, max_batch=4)))
        clip = song.sound()
        assert clip is not None
        assert clip.samples.shape == (1, round(1.5 * 4 * 60 / bpm * 8000))
        path = song.write(tmp_path / "song.wav", clip)
        assert read_audio(path).samples.shape == clip.samples.shape


def test_windows_of_the_second_pass_continue_both_neighbours(tmp_path: Path, small: SpectrogramParams) -> None:
    song, backend = Song(settings_of(small), tmp_path), FakeBackend(by_seed, max_batch=4)
    images = {}
    for event in song.generate(backend):
        if isinstance(event, Finished):
            images[event.window.number] = np.asarray(Image.open(event.path).convert("RGB"))
    requests = {(*request.seeds, request.alpha): request for request in backend.requests}
    assert len(requests) == len(song.plan.windows)
    for window in song.plan.windows:
        request = requests[(*window.seeds, window.moment.alpha)]
        if window.pass_ == 0:
            assert (request.init, request.mask, request.denoise) == (None, None, None)
            continue
        assert request.init is not None
        assert request.mask is not None
        assert request.denoise == 1.0
        init = np.asarray(request.init)
        np.testing.assert_array_equal(init[:, :32], images[window.number - 1][:, -32:])
        if window.known_right:
            np.testing.assert_array_equal(init[:, -32:], images[window.number + 1][:, :32])
        assert init[:, 32:-32].std() > 0  # the surrounding music continues into the middle instead of white


def test_plain_windows_are_generated_independently_without_gains(tmp_path: Path, small: SpectrogramParams) -> None:
    song, backend = Song(settings_of(small, join="plain"), tmp_path), FakeBackend(by_seed)
    list(song.generate(backend))
    assert all(request.init is None for request in backend.requests)
    weave = BlendedSpectrogram(song.plan, song._works[0].image)
    assert weave.gains == (1.0,) * len(song.plan.windows)


def test_seams_keep_the_level_of_steady_images(tmp_path: Path, small: SpectrogramParams) -> None:
    """Seams are inaudible: the level over time of noise images stays within a decibel."""
    rng = np.random.default_rng(0)

    def noise(request: object) -> Image.Image:
        level = 255 - 160 * rng.rayleigh(0.8, (64, 128)) ** 0.25
        return Image.fromarray(np.clip(level, 0, 255).astype(np.uint8)).convert("RGB")

    song = Song(settings_of(small, parse_score("0:20 | a | seed 1")), tmp_path)
    list(song.generate(FakeBackend(noise)))
    clip = song.sound()
    assert clip is not None
    energy = np.square(clip.samples[0].astype(np.float64))
    seams = np.zeros(len(energy), bool)
    for window in song.plan.windows[:-1]:
        seams[(window.last - 16) * 80 : (window.last + 16) * 80] = True
    assert abs(10 * np.log10(energy[seams].mean() / energy[~seams].mean())) < 1.0


def test_seed_picture_repeats_across_windows(tmp_path: Path, small: SpectrogramParams) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 100), np.uint8))
    song, backend = Song(settings_of(small), tmp_path, seed_picture=image), FakeBackend(as_it_is)
    list(song.generate(backend))
    pixels = np.asarray(image)
    for window in song.plan.windows:
        woven = np.asarray(song._works[0].image(window.number))[..., 0]
        columns = np.arange(window.start, window.end) % 100
        np.testing.assert_array_equal(woven, pixels[:, columns])
    assert all(request.denoise == 0.75 for request in backend.requests)


def test_beat_image_follows_the_tempo(tmp_path: Path, small: SpectrogramParams) -> None:
    song, backend = Song(settings_of(small, beat="backbeat"), tmp_path), FakeBackend(as_it_is)
    list(song.generate(backend))
    expected = beat_image(101, "backbeat", small, start=song.plan.windows[2].start, width=128)
    np.testing.assert_array_equal(np.asarray(song._works[0].image(2)), np.asarray(expected))
    with pytest.raises(RiffusionError, match="needs a tempo"):
        settings_of(small, parse_score("0:10 | a"), beat="backbeat")


def test_mask_keeps_parts_of_the_seed_picture(tmp_path: Path, small: SpectrogramParams) -> None:
    mask = Image.new("L", (64, 64), 255)
    mask.paste(0, (0, 0, 64, 32))
    seed = Image.new("RGB", (128, 64), (10, 10, 10))
    song, backend = Song(settings_of(small), tmp_path, seed_picture=seed, mask=mask), FakeBackend(by_seed)
    list(song.generate(backend))
    for window in song.plan.windows:
        assert (np.asarray(song._works[0].image(window.number))[:32] == 10).all()
    with pytest.raises(RiffusionError, match="a mask keeps parts of an init image"):
        Song(settings_of(small), tmp_path, mask=mask)


def test_song_continues_from_a_given_image(tmp_path: Path, small: SpectrogramParams) -> None:
    before = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 200), np.uint8)).convert("RGB")
    song, backend = Song(settings_of(small), tmp_path, before=before), FakeBackend(by_seed)
    list(song.generate(backend))
    first = backend.requests[0]
    assert first.init is not None
    assert first.mask is not None
    np.testing.assert_array_equal(np.asarray(first.init)[:, :32], np.asarray(before)[:, -32:])
    assert np.asarray(first.mask)[0, 0] < 10
    with pytest.raises(RiffusionError, match="goes on from an image"):
        Song(settings_of(small, join="plain"), tmp_path, before=before)


def test_end_of_a_song_can_be_continued(tmp_path: Path, small: SpectrogramParams) -> None:
    song = Song(settings_of(small), tmp_path)
    assert song.image() is None
    list(song.generate(FakeBackend(by_seed)))
    whole, end = song.image(), song.image(columns=100)
    assert whole is not None
    assert end is not None
    assert whole.size == (song.plan.columns, 64)
    assert end.size == (100, 64)
    record = read_image_record(end)
    assert record.params == small
    factor = (read_image_record(whole).max_value or 0) / (record.max_value or 1)
    one, other = (255.0 - np.asarray(image)[:, -100:, 0] for image in (whole, end))
    np.testing.assert_allclose(one * factor**0.25, other, atol=2)
    Song(settings_of(small), tmp_path, before=end)


def test_stopped_song_keeps_its_playable_part(tmp_path: Path, small: SpectrogramParams) -> None:
    total = len(Song(settings_of(small), tmp_path).plan.windows)
    for after in range(total):
        song = Song(settings_of(small), tmp_path / str(after))
        assert song.sound() is None
        events = list(song.generate(FakeBackend(by_seed, max_batch=2, stop_after=after)))
        assert events[-1] == Stopped(after, total)
        clip = song.sound()
        assert (clip is None) == (after == 0)
        if clip is not None:
            plan = song.playable()
            assert plan is not None
            assert clip.samples.shape[1] == plan.samples < song.plan.samples
            assert read_audio(song.write(tmp_path / "part.flac", clip)).samples.shape == clip.samples.shape


def test_resumed_song_equals_an_uninterrupted_one(tmp_path: Path, small: SpectrogramParams) -> None:
    straight, broken = Song(settings_of(small), tmp_path / "a"), Song(settings_of(small), tmp_path / "b")
    list(straight.generate(FakeBackend(by_seed, max_batch=2)))
    list(broken.generate(FakeBackend(by_seed, max_batch=2, stop_after=3)))
    again, backend = Song(broken.settings, tmp_path / "b"), FakeBackend(by_seed, max_batch=2)
    list(again.generate(backend))
    assert backend.generated == len(again.plan.windows) - 3
    one, other = straight.sound(), again.sound()
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.samples, other.samples)


@pytest.mark.parametrize("change", [{"steps": 9}, {"sampler": "DDIM"}, {"seeds": "new"}, {"bridge_denoise": 0.9}])
def test_changed_settings_generate_another_song(
    tmp_path: Path, small: SpectrogramParams, change: dict[str, object]
) -> None:
    backend = FakeBackend(by_seed)
    list(Song(settings_of(small), tmp_path).generate(backend))
    count = backend.generated
    list(Song(settings_of(small, **change), tmp_path).generate(backend))
    assert backend.generated == 2 * count
    list(Song(settings_of(small, level="loudness"), tmp_path).generate(backend))  # uses the same images
    assert backend.generated == 2 * count
    list(Song(settings_of(small), tmp_path).generate(FakeBackend(flat(9), name="another model")))
    assert len(list(tmp_path.iterdir())) == 3


def test_files_store_their_recipe(tmp_path: Path, small: SpectrogramParams) -> None:
    score = replace(parse_score("1 bar | a, b: [c|d] -- e\n1 bar | f | cfg 9", bpm=140), power=2.0, loop=True)
    song = Song(settings_of(small, score, steps=12, sampler="Euler a"), tmp_path)
    list(song.generate(FakeBackend(by_seed)))
    clip = song.sound()
    assert clip is not None
    comment = parse_audio_comment(read_tags(song.write(tmp_path / "song.wav", clip))["comment"])
    assert comment is not None
    again = read_record(SongSettings, comment["song"])
    assert again == song.settings
    assert Song(again, tmp_path).plan == song.plan
    seed = song.settings.score.keyframes[0].seed
    assert comment["parameters"].startswith(
        f"a, b: [c|d]\nNegative prompt: e\nSteps: 12, Sampler: Euler a, CFG scale: 7, Seed: {seed}, Size: 128x64, "
    )
    with pytest.raises(RiffusionError, match="record of the settings"):
        read_record(SongSettings, {})


def test_decoding_reads_one_block_at_a_time(
    tmp_path: Path, small: SpectrogramParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory does not grow with the song: at most one block of the reconstruction is read at a time."""
    asked: list[int] = []

    class Watched(BlendedSpectrogram):
        def mel(self, start: int, stop: int) -> np.ndarray:
            asked.append(stop - start)
            return super().mel(start, stop)

    monkeypatch.setattr(preview, "BlendedSpectrogram", Watched)
    song = Song(settings_of(small, parse_score("0:40 | a")), tmp_path)
    list(song.generate(FakeBackend(flat(100), max_batch=8)))
    song.sound()
    assert len(asked) > 5
    assert max(asked) <= 600


@pytest.mark.parametrize(("values", "words"), [({"join": "x"}, "outpaint, plain"), ({"beat": "x"}, "half time")])
def test_unknown_choices_are_refused(small: SpectrogramParams, values: dict[str, object], words: str) -> None:
    with pytest.raises(RiffusionError, match=words):
        settings_of(small, **values)
