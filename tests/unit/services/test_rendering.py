"""Rendering pieces: generating, stopping, resuming and decoding."""

from __future__ import annotations

from pathlib import Path

import pytest

from riffusion_ext.generate.loop import Loop, LoopSettings
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.progress import Stage
from riffusion_ext.services.rendering import render_piece, sound_of_piece
from tests.unit.generate.fake_backends import FakeBackend, by_seed
from tests.unit.small import SMALL


@pytest.fixture
def song(tmp_path: Path) -> Song:
    return Song(SongSettings(Score((Keyframe("sax", seed=1, seconds=12.0),)), params=SMALL), tmp_path)


def test_song_is_rendered_and_decoded_with_progress(song: Song) -> None:
    told: list[object] = []
    rendered = render_piece(song, FakeBackend(by_seed), on_progress=told.append)
    windows = len(song.plan.windows)
    assert (rendered.done, rendered.total, rendered.complete) == (windows, windows, True)
    clip = sound_of_piece(song, rendered, told.append)
    assert clip is not None
    stages = [item for item in told if isinstance(item, Stage)]
    assert {stage.total for stage in stages} == {windows}


def test_cancelled_rendering_continues_where_it_stopped(song: Song) -> None:
    backend = FakeBackend(by_seed, max_batch=1)
    rendered = render_piece(song, backend, cancelled=lambda: backend.generated >= 1)
    assert (rendered.done, rendered.stopped, rendered.complete) == (1, True, False)
    assert sound_of_piece(song, rendered) is not None
    assert render_piece(song, backend).complete
    assert backend.generated == len(song.plan.windows)


def test_backend_error_is_returned_with_the_finished_windows(song: Song) -> None:
    def fail_later(request: object) -> object:
        if backend.generated >= 1:
            raise ZeroDivisionError
        return by_seed(request)  # type: ignore[arg-type]

    backend = FakeBackend(fail_later, max_batch=1)  # type: ignore[arg-type]
    rendered = render_piece(song, backend)
    assert isinstance(rendered.error, ZeroDivisionError)
    assert (rendered.done, rendered.complete) == (1, False)


def test_error_in_the_after_batch_callback_ends_the_rendering(song: Song) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    assert isinstance(render_piece(song, FakeBackend(by_seed), after_batch=fail).error, ZeroDivisionError)


def test_keyboard_interrupt_in_the_progress_callback_stops_the_rendering(song: Song) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    assert render_piece(song, FakeBackend(by_seed), on_progress=interrupt).stopped


def test_decoding_a_loop_reports_no_stage(tmp_path: Path) -> None:
    loop = Loop(LoopSettings("sax", bars=1, params=SMALL), tmp_path)
    told: list[object] = []
    rendered = render_piece(loop, FakeBackend(by_seed))
    assert sound_of_piece(loop, rendered, told.append) is not None
    assert told == []
