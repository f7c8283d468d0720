"""Live sessions: the requests to the backend, and the audio."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import read_audio, read_tags
from riffusion_ext.audio.level import CEILING
from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Activity, Request
from riffusion_ext.generate.live import session as module
from riffusion_ext.generate.live.recording import prompts_over_time, recording_infotext, write_recording
from riffusion_ext.generate.live.registry import JamRegistry
from riffusion_ext.generate.live.session import Jam, Recording
from riffusion_ext.generate.live.settings import JamSettings
from riffusion_ext.generate.score.keyframes import Keyframe, Moment
from riffusion_ext.generate.windows.masks import soft_mask
from riffusion_ext.generate.windows.rolling_blend import GAIN_PENALTY, RollingBlend
from riffusion_ext.spectrogram.settings import DecodeSettings
from tests.unit.generate.fake_backends import FakeBackend, InterruptibleBackend, as_it_is, by_seed
from tests.unit.small import LOW
from tests.unit.waiting import until

CPU = DecodeSettings(device="cpu")
STEP = 192 - 64  # new columns per window


def settings_of(**more: Any) -> JamSettings:
    values: dict[str, Any] = {"prompt": "funk", "seed": 3, "ahead": 6.0, "width": 192, "overlap": 64, "params": LOW}
    return JamSettings(**values | more)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Jam]]:
    jams: list[Jam] = []

    def started(backend: Any = None, *, keep: Any = None, **more: Any) -> Jam:
        settings = settings_of(**more)
        jam = Jam(
            settings, backend or FakeBackend(by_seed), tmp_path / f"jam{len(jams)}", CPU, *([keep] if keep else [])
        )
        jams.append(jam)
        jam.start()
        return jam

    yield started
    for jam in jams:
        jam._stop.set()
        jam._last_contact = 0.0
        jam.join(20)
        assert not jam._thread.is_alive()
        assert jam.is_closed
        assert not jam.store.folder.exists(), "nothing is left"


def samples_of(jam: Jam) -> np.ndarray:
    got: list[np.ndarray] = []
    jam.store.with_samples(0, jam.store.samples, lambda clip: got.append(np.array(clip.samples)))
    return got[0]


# --- generation ----------------------------------------------------------------------------------------------------


def test_each_window_continues_the_previous_one(start: Callable[..., Jam]):
    backend = FakeBackend(by_seed)
    jam = start(backend)
    until(lambda: jam.is_ahead)
    first, second, third = backend.requests[:3]
    assert (first.init, first.mask, first.denoise) == (None, None, None)
    for before, request in ((first, second), (second, third)):
        end = np.asarray(by_seed(before))[:, -64:]
        assert request.init is not None
        np.testing.assert_array_equal(np.asarray(request.init)[:, :64], end)
        np.testing.assert_array_equal(np.asarray(request.init)[:, 64:128], end[:, ::-1], "mirrored beyond")
        assert request.mask is not None
        assert request.mask.tobytes() == soft_mask(192, 64, 64, 0).tobytes()  # type: ignore[union-attr]
        assert request.denoise == 1.0
    assert [request.seeds for request in backend.requests[:3]] == [(3, 3), (4, 4), (5, 5)]


def test_beat_image_continues_through_all_windows(start: Callable[..., Jam]):
    backend = FakeBackend(by_seed)
    jam = start(backend, beat="four on the floor", denoise=0.6, params=LOW.replace(max_frequency=3500))
    until(lambda: jam.is_ahead)
    first, second = backend.requests[:2]
    assert (first.denoise, second.denoise) == (0.6, 0.6)
    assert first.mask is None
    from riffusion_ext.generate.windows.init_images import beat_image

    beat = np.asarray(beat_image(120, "four on the floor", jam.settings.params, start=STEP, width=192))
    np.testing.assert_array_equal(np.asarray(second.init)[:, 64:], beat[:, 64:])


def test_queued_prompts_are_reached_in_order(start: Callable[..., Jam]):
    backend = FakeBackend(by_seed)
    studio = InterruptibleBackend(max_batch=1)
    studio.draw = backend.draw
    studio.go_on.clear()
    jam = start(studio, travel=2, ahead=12)
    jam.prompts.add("jazz", "hiss")
    jam.prompts.add("rock")
    studio.go_on.set()
    until(lambda: jam.is_ahead)
    told = [(request.prompts, request.alpha, request.negatives) for request in studio.requests[:6]]
    assert told == [
        (("funk", "funk"), 0.0, ("", "")),
        (("funk", "jazz"), 0.5, ("", "hiss")),
        (("funk", "jazz"), 1.0, ("", "hiss")),
        (("jazz", "rock"), 0.5, ("hiss", "")),
        (("jazz", "rock"), 1.0, ("hiss", "")),
        (("rock", "rock"), 0.0, ("", "")),
    ]
    starts = [turn.start for turn in jam.changes()]
    assert starts == [number * STEP * 80 for number in range(len(starts))]


def test_session_pauses_when_far_enough_ahead_and_resumes_as_playback_advances(start: Callable[..., Jam]):
    backend = FakeBackend(by_seed)
    jam = start(backend, ahead=5)
    until(lambda: jam.is_ahead)
    window = STEP * 80 / 8000
    assert 5 <= jam.store.samples / 8000 < 5 + window
    assert jam._blend.settled * 80 - jam.store.samples < 500, (
        "columns that later windows do not change are decoded at once"
    )
    count = backend.generated
    time.sleep(0.4)
    assert backend.generated == count
    jam.report_position(round(3 * window * 8000))
    until(lambda: jam.is_ahead and backend.generated >= count + 3)
    assert 5 <= (jam.store.samples - jam.position) / 8000 < 5 + window


def test_playback_position_is_limited_to_the_generated_audio(start: Callable[..., Jam]):
    jam = start()
    until(lambda: jam.is_ahead)
    jam.report_position(10**14)
    assert jam.position <= jam.store.samples
    heard = jam.position
    jam.report_position(3)
    assert jam.position == heard, "the playback position never decreases"


def test_failed_window_is_retried_once_with_another_seed(start: Callable[..., Jam]):
    def overflowing(request: Request) -> Image.Image:
        seeds.append(request.seeds[0])
        if len(seeds) == 3:
            raise ArithmeticError("all of it is black")
        return by_seed(request)

    seeds: list[int] = []
    jam = start(FakeBackend(overflowing))
    until(lambda: jam.is_ahead)
    assert jam.error is None
    assert len(set(seeds)) == len(seeds)
    assert [seed - seeds[0] for seed in seeds[:5]] == [0, 1, 2, 2 + 2**16, 3]


# --- sound ---------------------------------------------------------------------------------------------------------


def test_audio_of_all_windows_is_complete_to_the_sample(start: Callable[..., Jam]):
    """An error ends the session after five windows, which are then complete."""

    def five(request: Request) -> Image.Image:
        if backend.generated == 5:
            raise RiffusionError("out of paint")
        return by_seed(request)

    backend = FakeBackend(five)
    jam = start(backend, ahead=60)
    until(lambda: jam.ended)
    assert str(jam.error) == "out of paint"
    samples = samples_of(jam)
    assert samples.shape == (1, (4 * STEP + 192 - 1) * 80)
    assert np.abs(samples).max() <= CEILING + 1 / 32768
    chunks = jam.store.chunks()
    assert [chunk.start for chunk in chunks[1:]] == [chunk.stop for chunk in chunks[:-1]]


def test_seams_have_the_level_of_the_rest_and_no_click(start: Callable[..., Jam]):
    """Steady noise has neither a dip nor a jump between chunks."""

    def steady(request: Request) -> Image.Image:
        rng = np.random.default_rng(request.seeds[0])
        grey = rng.integers(80, 121, (64, 192), np.uint8)
        image = Image.fromarray(grey).convert("RGB")
        if request.init is not None and request.mask is not None:
            image = Image.composite(image, request.init, request.mask)
        return image

    jam = start(FakeBackend(steady), ahead=25)
    until(lambda: jam.is_ahead)
    samples = samples_of(jam)[0].astype(np.float64)
    borders = [chunk.stop for chunk in jam.store.chunks()[:-1]]
    assert len(borders) > 10
    power = np.convolve(samples**2, np.ones(400) / 400, "same")
    seam_db = 10 * np.log10(np.mean([power[border] for border in borders]) / power[4000:-4000].mean())
    assert abs(seam_db) < 1.0
    jumps = np.abs(np.diff(samples))
    at_borders = np.array([jumps[border - 1] for border in borders])
    assert at_borders.max() <= np.quantile(jumps, 0.9999)


def test_louder_image_is_matched_to_the_level_of_the_previous_one():
    moment = Moment(Keyframe("a", seed=1, seconds=1), Keyframe("a", seed=1, seconds=1), 0.0, 0.7, 7.0)
    ribbon = RollingBlend(LOW, 192, 64)
    for grey in (100, 115):
        ribbon.add(Image.new("RGB", (192, 64), (grey,) * 3), moment)
    levels = [20 * np.log10(ribbon.mel(column, column + 1).mean()) for column in (10, 300)]
    plain = RollingBlend(LOW, 192, 64)
    plain.add(Image.new("RGB", (192, 64), (115, 115, 115)), moment)
    before = 20 * np.log10(plain.mel(10, 11).mean())
    assert levels[0] - before > 2
    assert levels[1] - levels[0] == pytest.approx((before - levels[0]) * GAIN_PENALTY / (1 + GAIN_PENALTY), abs=0.05)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 4), st.integers(3, 8))
def test_forgetting_columns_does_not_change_the_rolling_blend(part: int, count: int):
    moment = Moment(Keyframe("a", seed=1, seconds=1), Keyframe("a", seed=1, seconds=1), 0.0, 0.7, 7.0)
    long, short = (RollingBlend(LOW, 128, 16 * part) for _ in range(2))
    rng = np.random.default_rng(count)
    for number in range(count):
        image = Image.fromarray(rng.integers(0, 255, (64, 128, 3), np.uint8))
        for ribbon in (long, short):
            ribbon.add(image, moment)
        needed = max(0, long.settled - 100)
        short.forget(needed)
        np.testing.assert_allclose(short.mel(needed, short.end), long.mel(needed, long.end), rtol=1e-6)
        assert short.end == number * (128 - 16 * part) + 128
    assert len(short._pieces) < 6


def test_an_image_of_another_size_is_refused(start: Callable[..., Jam]):
    jam = start(FakeBackend(lambda request: Image.new("RGB", (64, 64))))
    until(lambda: jam.ended)
    assert "an image of 192 x 64 was asked for, the one generated is 64 x 64" in str(jam.error)
    assert jam.store.samples == 0


# --- ends ----------------------------------------------------------------------------------------------------------


def test_stop_takes_effect_during_an_image(start: Callable[..., Jam]):
    studio = InterruptibleBackend(max_batch=1, delay=60)
    jam = start(studio)
    until(studio.at_work.is_set)
    began = time.monotonic()
    jam.stop()
    until(lambda: jam.ended)
    assert time.monotonic() - began < 30
    assert jam.error is None


def test_closing_the_page_ends_the_session(start: Callable[..., Jam], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "TIMEOUT_S", 0.5)
    jam = start()
    until(lambda: jam.is_closed, 10)
    assert jam.error is None


def test_played_chunks_are_removed(start: Callable[..., Jam], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_HISTORY_S", 2.0)
    jam = start()
    for _ in range(12):
        until(lambda: jam.is_ahead and jam.store.samples - jam.position >= 6 * 8000)
        jam.report_position(jam.store.samples - 8000)
        jam.is_ahead = False
    until(lambda: jam.is_ahead)
    kept = jam.store.chunks()
    assert kept[0].stop > jam.position - 4 * 8000 - 20480
    assert len(kept) < 12
    assert len(jam.changes()) < 14
    assert len(jam._blend._pieces) < 5


def test_external_interrupt_is_reported(start: Callable[..., Jam]):
    jam = start(FakeBackend(by_seed, stop_after=2))
    until(lambda: jam.ended)
    assert "interrupted in the webui" in str(jam.error)
    assert jam.store.samples == (STEP + 192 - 1) * 80


def test_speed_of_a_slow_backend_is_measured(start: Callable[..., Jam]):
    jam = start(InterruptibleBackend(max_batch=1, delay=2.0), ahead=20)
    until(lambda: jam.throughput.speed is not None, 30)
    assert jam.throughput.speed is not None
    assert jam.throughput.speed < 1
    assert 5 < jam.throughput.needed <= 20


def test_activity_shows_waiting_for_the_webui(start: Callable[..., Jam]):
    studio = InterruptibleBackend(max_batch=1, delay=1.0)
    studio.activity = Activity(waiting=True)
    jam = start(studio)
    until(lambda: jam.activity is not None and jam.activity.waiting)
    until(lambda: jam.store.samples > 0)


# --- recording -----------------------------------------------------------------------------------------------------


def test_recording_equals_the_played_audio(start: Callable[..., Jam], tmp_path: Path):
    takes: list[Recording] = []

    def keep(jam: Jam, take: Recording) -> str:
        takes.append(take)
        write_recording(jam, take, tmp_path / "take.wav", title="funk")
        return "kept"

    jam = start(keep=keep, travel=1)
    jam.prompts.add("jazz")
    until(lambda: jam.is_ahead)
    jam.report_position(12345)
    jam.record()
    jam.record()
    assert jam.recording == 0
    jam.report_position(30000)
    assert jam.recording == 30000 - 12345
    whole = samples_of(jam)
    jam.stop_recording(timeout=0.01)
    assert jam.recording is None
    assert jam.recordings == ["kept"]
    assert [(take.first, take.stop) for take in takes] == [(12345, 30000)]
    np.testing.assert_array_equal(read_audio(tmp_path / "take.wav").samples, whole[:, 12345:30000])
    jam.stop_recording(timeout=0.01)
    assert len(takes) == 1
    assert prompts_over_time(takes[0], 8000) == [(0.0, "jazz")]
    text = recording_infotext(jam, takes[0])
    assert text.startswith("jazz\nSteps: 30")
    assert "Riffusion jam: " in text
    assert "Prompts over time: " in text
    assert "Riffusion jam: " in read_tags(tmp_path / "take.wav")["comment"]


def test_recording_keeps_the_chunks_from_its_start(start: Callable[..., Jam], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_HISTORY_S", 0.0)
    jam = start()
    until(lambda: jam.is_ahead)
    jam.report_position(8000)
    jam.record()
    for _ in range(8):
        until(lambda: jam.is_ahead and jam.store.samples - jam.position >= 6 * 8000)
        jam.report_position(jam.store.samples - 8000)
        jam.is_ahead = False
    assert jam.store.chunks()[0].start <= 8000
    jam.store.with_samples(8000, jam.position, lambda clip: None)


def test_page_gets_recent_prompt_changes_only_during_a_long_recording(
    start: Callable[..., Jam], monkeypatch: pytest.MonkeyPatch
):
    """Otherwise each poll of the page, more than twice a second, would return hours of prompt changes."""
    monkeypatch.setattr(module, "_HISTORY_S", 2.0)
    jam = start()
    jam.record()
    for _ in range(12):
        until(lambda: jam.is_ahead and jam.store.samples - jam.position >= 6 * 8000)
        jam.report_position(jam.store.samples - 8000)
        jam.is_ahead = False
    until(lambda: jam.is_ahead)
    told = jam.changes()
    assert told[0].start <= jam.position - 2 * 8000, "includes the prompt at the left edge of the image"
    assert len(told) < 16
    assert jam._changes[0].start == 0, "the recording contains all prompts"
    assert len(jam._changes) > 40


@pytest.mark.parametrize("how", ["stop", "error", "left"])
def test_recording_is_saved_however_the_session_ends(
    start: Callable[..., Jam], how: str, monkeypatch: pytest.MonkeyPatch
):
    takes: list[Recording] = []

    def keep(jam: Jam, take: Recording) -> str:
        jam.store.with_samples(take.first, take.stop, lambda clip: None)
        takes.append(take)
        return ""

    def generate(request: Request) -> Image.Image:
        if how == "error" and backend.generated == 4:
            raise RiffusionError("out of paint")
        return by_seed(request)

    backend = FakeBackend(generate)
    jam = start(backend, keep=keep, ahead=300 if how == "error" else 6)
    until(lambda: jam.store.samples > 20000)
    jam.record()
    jam.report_position(20000)
    if how == "left":
        monkeypatch.setattr(module, "TIMEOUT_S", 0.2)
    elif how == "stop":
        jam.stop()
    else:
        until(lambda: jam.error is not None)
        time.sleep(0.3)
        assert not takes, "generated audio is still being played"
        until(lambda: jam.store.samples == (3 * STEP + 192 - 1) * 80)
        jam.report_position(jam.store.samples)
    until(lambda: jam.ended)
    assert [(take.first, take.stop) for take in takes] == [(0, jam.position)]


def test_recording_of_an_ended_session_is_refused(start: Callable[..., Jam]):
    jam = start(FakeBackend(by_seed, stop_after=0))
    until(lambda: jam.ended)
    with pytest.raises(RiffusionError, match="the jam has ended"):
        jam.record()
    jam.stop_recording(timeout=0.01)
    assert jam.recordings == []


# --- settings and the others ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"prompt": " "}, "Write a prompt first"),
        ({"beat": "waltz"}, "beat must be one of"),
        ({"travel": 0}, "windows of a transition must lie between 1 and 64, got 0"),
        ({"ahead": 2}, "between 5 and 300, got 2"),
        ({"ahead": float("nan")}, "between 5 and 300, got nan"),
        ({"bpm": 500}, "tempo"),
        ({"width": 100}, "multiple of 64"),
        ({"overlap": 128}, "multiple of 16 columns between 16 and 96"),
        ({"cfg": 0}, "CFG"),
        ({"beats_per_bar": 0}, "beats in a bar"),
        ({"bridge_denoise": 2}, "bridges"),
    ],
)
def test_invalid_settings_are_refused(change: dict[str, Any], text: str):
    with pytest.raises(RiffusionError, match=text):
        settings_of(**change)


def test_random_seed_is_chosen_once(start: Callable[..., Jam]):
    jam = start(seed=-1)
    assert jam.settings.seed >= 0


def test_reference_engine_is_refused(tmp_path: Path):
    with pytest.raises(RiffusionError, match="fast, best"):
        Jam(settings_of(), FakeBackend(by_seed), tmp_path, DecodeSettings(engine="reference"))


def test_number_of_sessions_is_limited(tmp_path: Path):
    jams = JamRegistry(max_jams=2)
    made = [Jam(settings_of(), FakeBackend(by_seed), tmp_path / str(number), CPU) for number in range(4)]
    ids = [jams.start(jam) for jam in made[:2]]
    assert len(set(ids)) == 2
    assert min(map(len, ids)) >= 16
    with pytest.raises(RiffusionError, match="2 jams play here already"):
        jams.start(made[2])
    assert jams.get(ids[0]) is made[0]
    assert jams.get("other") is None
    made[0].stop()
    until(lambda: made[0].ended)
    jams.start(made[3])
    for jam in made:
        jam._stop.set()
        jam._last_contact = 0.0
    until(lambda: made[0].is_closed)
    assert jams.get(ids[0]) is None


def test_stopping_session_does_not_count_towards_the_limit(tmp_path: Path):
    """Start stops the page's own session and starts another while the first may still be generating an image."""
    jams = JamRegistry(max_jams=1)
    studio = InterruptibleBackend(max_batch=1)
    studio.go_on.clear()
    studio.interrupt = lambda: None  # type: ignore[method-assign]
    made = [
        Jam(settings_of(), studio, tmp_path / "0", CPU),
        Jam(settings_of(), FakeBackend(by_seed), tmp_path / "1", CPU),
    ]
    jams.start(made[0])
    until(studio.at_work.is_set)
    made[0].stop()
    assert not made[0].ended
    jams.start(made[1])
    studio.go_on.set()
    jams.close()
    assert all(jam.is_closed for jam in made)


def test_recordings_are_saved_when_the_program_ends(tmp_path: Path):
    takes: list[Recording] = []

    def keep(jam: Jam, take: Recording) -> str:
        jam.store.with_samples(take.first, take.stop, lambda clip: None)
        takes.append(take)
        return ""

    jams = JamRegistry()
    jam = Jam(settings_of(), FakeBackend(by_seed), tmp_path / "jam", CPU, keep)
    jams.start(jam)
    until(lambda: jam.is_ahead)
    jam.record()
    jam.report_position(20000)
    began = time.monotonic()
    jams.close()
    assert time.monotonic() - began < 15
    assert [(take.first, take.stop) for take in takes] == [(0, 20000)]
    assert jam.is_closed
    assert not jam.store.folder.exists()


def test_session_with_an_identity_backend_is_audible(start: Callable[..., Jam]):
    jam = start(FakeBackend(lambda r: as_it_is(r) if r.init else by_seed(r)), bridge_denoise=0.0)
    until(lambda: jam.is_ahead)
    assert AudioClip(samples_of(jam).astype(np.float32), 8000).peak > 0.05
