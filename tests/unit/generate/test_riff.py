"""Riffs: regenerated songs stay aligned with the original."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip, read_audio, read_tags
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.checkpoint.recipe import read_record
from riffusion_ext.generate.checkpoint.runner import Finished, Progress, Stopped
from riffusion_ext.generate.riff import Riff
from riffusion_ext.generate.riff_settings import PRESETS_RIFF, RiffSettings
from riffusion_ext.generate.score.automation import Curve, parse_curve
from riffusion_ext.generate.score.keyframes import Keyframe
from riffusion_ext.metadata import parse_audio_comment
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.codec import audio_to_image, song_to_audio
from riffusion_ext.spectrogram.settings import DecodeSettings
from tests.unit.generate.conftest import MakeSong
from tests.unit.generate.fake_backends import FakeBackend, as_it_is, by_seed
from tests.unit.small import SMALL

NOTHING = (Keyframe("", seed=1, denoise=0.0, seconds=1.0),)
RAW = DecodeSettings(level="raw")


def settings_of(params: SpectrogramParams, **values: object) -> RiffSettings:
    return RiffSettings(NOTHING, **{"width": 128, "overlap": 32, "params": params, **values})


def generated(riff: Riff, backend: FakeBackend | None = None) -> AudioClip:
    list(riff.generate(backend or FakeBackend(as_it_is, max_batch=4)))
    wet = riff.wet()
    assert wet is not None
    return wet


def whole(clip: AudioClip, params: SpectrogramParams) -> AudioClip:
    """Decode the song from one image of all of it."""
    samples = clip.samples.shape[1]
    padded = AudioClip(np.pad(clip.samples, ((0, 0), (0, -samples % params.hop_length or 0))), clip.sample_rate)
    decoded = song_to_audio([audio_to_image(padded, params).image], RAW).clip
    return AudioClip(decoded.samples[:, :samples], clip.sample_rate)


def column_errors(clip: AudioClip, other: AudioClip, params: SpectrogramParams) -> np.ndarray:
    """Return the mean difference of the images of two sounds per column, in grey levels."""
    one, two = (np.asarray(audio_to_image(sound, params, max_value=3e6).image) for sound in (clip, other))
    return np.abs(one[..., 0].astype(float) - two[..., 0]).mean(axis=0)


@pytest.mark.parametrize("seconds", [0.5, 1.0, 1.28, 3.337, 9.0, 20.0001])
def test_denoising_strength_zero_returns_the_song(
    tmp_path: Path, small: SpectrogramParams, song: MakeSong, seconds: float
) -> None:
    clip = song(seconds)
    wet = generated(Riff(clip, settings_of(small), tmp_path))
    assert wet.samples.shape == clip.samples.shape
    ours, codec = column_errors(wet, clip, small), column_errors(whole(clip, small), clip, small)
    assert ours.mean() <= codec.mean() + 0.25
    for first in range(0, len(ours), 20):  # at every position, not only on average
        assert ours[first : first + 20].mean() <= codec[first : first + 20].mean() + 1.5


SHORT_WINDOWS = SMALL.replace(window_duration_ms=20, padded_duration_ms=40)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("minutes", "params"), [(0.5, PRESETS["riffusion-v1"]), (11, SHORT_WINDOWS)], ids=["model", "long"]
)
def test_denoising_strength_zero_returns_a_long_song(
    tmp_path: Path, song: MakeSong, minutes: float, params: SpectrogramParams
) -> None:
    """Half a minute in images of the model, and eleven minutes, with that many windows and columns, in small ones."""
    clip = song(60.0 * minutes + 0.123, rate=params.sample_rate)
    wet = generated(Riff(clip, settings_of(params, width=512, overlap=128), tmp_path))
    assert wet.samples.shape == clip.samples.shape
    ours, codec = column_errors(wet, clip, params), column_errors(whole(clip, params), clip, params)
    assert ours.mean() <= codec.mean() + 0.25
    for first in range(0, len(ours), 20):
        assert ours[first : first + 20].mean() <= codec[first : first + 20].mean() + 1.5


def test_clicks_keep_their_position(tmp_path: Path, small: SpectrogramParams) -> None:
    """Aligned to the sample: the mean energy centroid of the clicks does not move."""
    places = np.arange(1000, 8000 * 9, 3517)
    clicks = np.zeros((1, 8000 * 9 + 57), np.float32)
    tone = np.hanning(65) * np.sin(np.arange(65))
    for place in places:
        clicks[0, place - 32 : place + 33] = tone
    wet = generated(Riff(AudioClip(clicks, 8000), settings_of(small), tmp_path)).samples[0]
    found = [place - 200 + np.average(np.arange(401), weights=wet[place - 200 : place + 201] ** 2) for place in places]
    assert abs(np.mean(found - places)) < 8
    assert np.abs(found - places).max() < 40


def test_part_starts_and_ends_on_its_sample(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    clip = song(10.0)
    riff = Riff(clip, settings_of(small, start=2.5, duration=4.25), tmp_path)
    wet = generated(riff)
    assert wet.samples.shape[1] == 34000
    np.testing.assert_array_equal(riff.dry.samples, clip.samples[:, 20000:54000])
    np.testing.assert_array_equal(riff.mix(wet, share=Curve.constant(0.0)).samples, clip.samples[:, 20000:54000])


def test_stereo_generates_both_channels_with_the_same_seeds(
    tmp_path: Path, small: SpectrogramParams, song: MakeSong
) -> None:
    clip = song(3.0, channels=2)
    backend = FakeBackend(as_it_is)
    riff = Riff(clip, settings_of(small, channels="stereo"), tmp_path)
    wet = generated(riff, backend)
    count = len(riff.plan.windows)
    seeds = [request.seeds for request in backend.requests]
    assert len(seeds) == 2 * count
    assert seeds[::2] == seeds[1::2]
    for side in range(2):
        mono = AudioClip(np.ascontiguousarray(clip.samples[side, None]), 8000)
        own = AudioClip(np.ascontiguousarray(wet.samples[side, None]), 8000)
        assert column_errors(own, mono, small).mean() < column_errors(whole(mono, small), mono, small).mean() + 0.3


def test_doubling_renders_twice_with_two_noises(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    backend = FakeBackend(by_seed)
    riff = Riff(song(3.0, channels=2), settings_of(small, channels="double", spread=1.0), tmp_path)
    wet = generated(riff, backend)
    count = len(riff.plan.windows)
    assert [request.seeds for request in backend.requests] == [(1, 1), (2, 2)] * count
    assert wet.channels == 2
    assert abs(np.corrcoef(wet.samples)[0, 1]) < 0.5
    middle = Riff(song(3.0, channels=2), settings_of(small, channels="double", spread=0.0), tmp_path)
    np.testing.assert_allclose(*generated(middle, FakeBackend(by_seed)).samples, atol=1e-5)


def test_stereo_images_are_generated_once(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    stereo = small.replace(stereo=True)
    clip = song(2.0, channels=2)
    wet = generated(Riff(clip, settings_of(stereo), tmp_path))
    assert wet.channels == 2
    with pytest.raises(RiffusionError, match="images in stereo hold both sides already"):
        settings_of(stereo, channels="double")


def test_curves_and_prompts_follow_the_song_time(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    settings = replace(
        settings_of(small),
        keyframes=(Keyframe("a", seed=4, seconds=1.0), Keyframe("b", seed=9, seconds=0.0)),
        denoise=parse_curve("0:00 0.2, 0:10 0.4", name="denoise", low=0, high=1),
        cfg=Curve.constant(5.0),
    )
    backend = FakeBackend(by_seed)
    riff = Riff(song(10.0), settings, tmp_path)
    generated(riff, backend)
    alphas = [request.alpha for request in backend.requests]
    assert (alphas[0], alphas[-1]) == (0.0, 1.0)  # from one prompt to the other
    shares = [(window.first + window.last) / 2000 for window in riff.plan.windows]
    for share, request in zip([0.0, *shares[1:-1], 1.0], backend.requests, strict=True):
        assert (request.prompts, request.seeds, request.cfg) == (("a", "b"), (4, 9), 5.0)
        assert request.alpha == pytest.approx(share)
        assert request.denoise == pytest.approx(0.2 + 0.2 * share, abs=0.0051)


def test_windows_with_changing_values_share_batches(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    settings = settings_of(small, denoise=parse_curve("0:00 0.2, 1:00 0.3", name="denoise", low=0, high=1))
    backend = FakeBackend(as_it_is, max_batch=4)
    riff = Riff(song(60.0), settings, tmp_path)
    list(riff.generate(backend))
    assert len(backend.batches) <= len(riff.plan.windows) / 2
    fixed = Riff(song(1.0), settings_of(small, denoise=Curve.constant(0.3125), cfg=Curve.constant(5.25)), tmp_path)
    assert (fixed.plan.windows[0].moment.denoise, fixed.plan.windows[0].moment.cfg) == (0.3125, 5.25)


def test_each_window_uses_the_whole_range_of_an_image(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    clip = song(6.0)
    quiet_end = np.linspace(1.0, 0.01, clip.samples.shape[1], dtype=np.float32)
    backend = FakeBackend(as_it_is)
    generated(Riff(AudioClip(clip.samples * quiet_end, 8000), settings_of(small), tmp_path), backend)
    assert all(np.asarray(request.init).min() == 0 for request in backend.requests)


def test_last_samples_are_in_the_last_column(tmp_path: Path, small: SpectrogramParams) -> None:
    tone = (0.5 * np.sin(np.arange(8000 + 79))).astype(np.float32)[None]
    backend = FakeBackend(as_it_is)
    riff = Riff(AudioClip(tone, 8000), settings_of(small), tmp_path)
    generated(riff, backend)
    assert riff.plan.columns == 102
    drawn = np.asarray(backend.requests[0].init)[..., 0].min(axis=0)
    assert drawn[101] < 128
    assert (drawn[102:] == 255).all()


def test_another_song_of_the_same_length_is_generated_anew(
    tmp_path: Path, small: SpectrogramParams, song: MakeSong
) -> None:
    wets = [generated(Riff(song(2.0, seed=seed), settings_of(small), tmp_path)).samples for seed in (1, 2)]
    assert np.abs(wets[0] - wets[1]).max() > 0.01


def test_silence_stays_silence(tmp_path: Path, small: SpectrogramParams) -> None:
    wet = generated(Riff(AudioClip(np.zeros((1, 20000), np.float32), 8000), settings_of(small), tmp_path))
    assert wet.peak < 1e-6


def test_preview_is_followed_by_the_whole_riff(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    riff, backend = Riff(song(6.0), settings_of(small), tmp_path), FakeBackend(as_it_is)
    assert riff.wet() is None
    events = list(riff.generate(backend, limit=1))
    assert events[-1] == Progress(1, 1, 0.0)
    preview = riff.wet()
    assert preview is not None
    assert preview.samples.shape[1] == 127 * 80
    assert riff.mix(preview, share=Curve.constant(0.5)).samples.shape == preview.samples.shape
    list(riff.generate(backend))
    assert backend.generated == len(riff.plan.windows)
    full = riff.wet()
    assert full is not None
    assert full.samples.shape[1] == 48000


def test_init_images_are_drawn_once(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    def drawn() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "sources").rglob("*.png")}

    clip = song(6.0)
    riff = Riff(clip, settings_of(small), tmp_path)
    list(riff.generate(FakeBackend(as_it_is), limit=2))
    assert [path.name for path in sorted(drawn())] == ["00000.png", "00001.png"]  # a preview draws no more
    assert riff.difference() is not None
    assert len(drawn()) == 2
    generated(riff)
    first = drawn()
    assert len(first) == len(riff.plan.windows)
    other = replace(settings_of(small, steps=9, channels="double"), keyframes=(Keyframe("b", seconds=1.0),))
    generated(Riff(clip, other, tmp_path))
    assert drawn() == first
    generated(Riff(song(6.0, seed=2), settings_of(small), tmp_path))
    assert len(drawn()) == 2 * len(first)


def test_stereo_riff_of_a_mono_song_is_generated_once(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    backend = FakeBackend(as_it_is)
    riff = Riff(song(3.0), settings_of(small, channels="stereo"), tmp_path)
    wet = generated(riff, backend)
    assert backend.generated == len(riff.plan.windows)
    assert riff.mix(wet).samples.shape == (1, 24000)


def test_stopped_and_resumed_riff_equals_an_uninterrupted_one(
    tmp_path: Path, small: SpectrogramParams, song: MakeSong
) -> None:
    settings = settings_of(small, channels="stereo")
    clip = song(6.0, channels=2)
    straight = generated(Riff(clip, settings, tmp_path / "straight"), FakeBackend(by_seed))
    total = 2 * len(Riff(clip, settings, tmp_path).plan.windows)
    for after in range(total):
        folder = tmp_path / str(after)
        riff = Riff(clip, settings, folder)
        events = list(riff.generate(FakeBackend(by_seed, stop_after=after)))
        assert events[-1] == Stopped(after, total)
        heard = riff.wet()
        playable = riff.playable()
        assert (len(playable.windows) if playable else 0) == after // 2  # both channels, from the first window on
        assert (heard is None) == (after < 2)
        if heard is not None:
            assert read_audio(riff.write(folder / "part.wav", riff.mix(heard))).samples.shape == heard.samples.shape
        if after % 4 == 1:
            rest = FakeBackend(by_seed)
            riff = Riff(clip, riff.settings, folder)
            events = list(riff.generate(rest))
            assert rest.generated == total - after
            assert sum(isinstance(event, Finished) for event in events) == total - after
            wet = riff.wet()
            assert wet is not None
            np.testing.assert_array_equal(wet.samples, straight.samples)


def test_progress_counts_all_layers(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    riff = Riff(song(4.0), settings_of(small, channels="double"), tmp_path)
    progress = [event for event in riff.generate(FakeBackend(by_seed)) if isinstance(event, Progress)]
    assert all(one.done <= other.done for one, other in pairwise(progress))
    assert (progress[-1].done, progress[-1].total) == (2 * len(riff.plan.windows),) * 2


def test_layers_share_batches(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    backend = FakeBackend(by_seed, max_batch=4)
    riff = Riff(song(4.5), settings_of(small, channels="double"), tmp_path)
    generated(riff, backend)
    count = len(riff.plan.windows)
    assert count % 2 == 1  # windows of a single layer would leave batches half empty
    assert [len(batch) for batch in backend.batches] == [4] * (count // 2) + [2]
    assert [request.seeds for request in backend.batches[0]] == [(1, 1), (2, 2)] * 2


def test_difference_is_the_result_minus_the_song(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    clip = song(3.0)
    riff = Riff(clip, settings_of(small), tmp_path)
    assert riff.difference() is None
    generated(riff)
    for lost in (False, True):
        sound = riff.difference(lost=lost)
        assert sound is not None
        assert sound.samples.shape == clip.samples.shape
        assert sound.rms < 1e-6  # nothing was changed
    changed = Riff(clip, settings_of(small, seeds="new"), tmp_path)
    generated(changed, FakeBackend(lambda request: request.init.point(lambda level: max(level - 25, 0))))
    added, lost_sound = changed.difference(), changed.difference(lost=True)
    assert added is not None
    assert lost_sound is not None
    assert added.rms > 100 * lost_sound.rms


def test_files_store_their_recipe(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    settings = replace(
        settings_of(small, wet=parse_curve("0:00 0.2, 0:01 0.9", name="mix", low=0, high=1)),
        keyframes=(Keyframe('a "quoted", prompt', "not: this", denoise=0.3, seconds=1.0),),
    )
    riff = Riff(song(1.5), settings, tmp_path)
    path = riff.write(tmp_path / "out" / "riff.wav", riff.mix(generated(riff)))
    comment = parse_audio_comment(read_tags(path)["comment"])
    assert comment is not None
    assert read_record(RiffSettings, comment["riff"]) == riff.settings
    assert riff.settings.keyframes[0].seed >= 0
    assert comment["parameters"].startswith('a "quoted", prompt\nNegative prompt: not: this\nSteps: 30, ')


def test_songs_of_other_rates_are_resampled(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    riff = Riff(song(2.0, rate=12000, channels=2), settings_of(small), tmp_path)
    assert generated(riff).samples.shape == (1, 16000)
    assert riff.dry.samples.shape == (2, 16000)


def test_riff_presets_are_valid_settings(small: SpectrogramParams) -> None:
    for values in PRESETS_RIFF.values():
        keyframe = Keyframe("a", denoise=values["denoise"], cfg=values["cfg"], seconds=1.0)
        assert RiffSettings((keyframe,), steps=int(values["steps"])).keyframes[0].denoise <= 0.4


@pytest.mark.parametrize(
    ("values", "words"), [({"channels": "both"}, "mono, stereo, double"), ({"law": "loud"}, "equal-power, linear")]
)
def test_unknown_choices_are_refused(small: SpectrogramParams, values: dict[str, object], words: str) -> None:
    with pytest.raises(RiffusionError, match=words):
        settings_of(small, **values)
    with pytest.raises(RiffusionError, match="no samples"):
        Riff(AudioClip(np.zeros((1, 0), np.float32), 8000), settings_of(small), Path())
