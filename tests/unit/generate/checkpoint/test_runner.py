"""Checkpointed runs: no window is lost or generated twice."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import OnImage, Request
from riffusion_ext.generate.checkpoint.runner import (
    Finished,
    Progress,
    ReadImage,
    RenderFolder,
    RenderJob,
    Stopped,
    run,
)
from riffusion_ext.generate.score.keyframes import Keyframe, Score
from riffusion_ext.generate.windows.plan import Window, plan_song
from riffusion_ext.metadata import read_record, save_image
from tests.unit.generate.fake_backends import FakeBackend, by_seed
from tests.unit.small import SMALL


def job_of(seconds: float = 6.0, **record: object) -> RenderJob:
    plan = plan_song(Score((Keyframe("a", seed=3, seconds=seconds),)), SMALL, width=128, overlap=32)

    def request(window: Window, read_image: ReadImage) -> Request:
        for number in plan.needs(window):  # its inputs exist
            assert read_image(number).size == (128, 64)
        return Request(("a", "a"), seeds=window.seeds, width=window.width, height=64)

    return RenderJob(plan, request, lambda number: 1e6 + number, record)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*.png"))}


@pytest.mark.parametrize("max_batch", [1, 2, 3, 4, 50])
def test_every_window_is_generated_once(tmp_path: Path, max_batch: int) -> None:
    job, backend = job_of(), FakeBackend(by_seed, max_batch=max_batch)
    events = list(run(RenderFolder(tmp_path, job), backend))
    total = len(job.plan.windows)
    assert sorted(event.window.number for event in events if isinstance(event, Finished)) == list(range(total))
    assert len(backend.requests) == total
    progress = [event for event in events if isinstance(event, Progress)]
    assert [event.done for event in progress] == sorted({event.done for event in progress})
    assert (progress[0], progress[-1].done, progress[-1].total) == (Progress(0, total, None), total, total)
    assert all(event.seconds_left is not None and event.seconds_left >= 0 for event in progress[1:])
    assert progress[-1].seconds_left == 0


def test_windows_are_generated_roughly_in_order(tmp_path: Path) -> None:
    job = job_of(30.0)
    generated: list[int] = []
    for event in run(RenderFolder(tmp_path, job), FakeBackend(by_seed, max_batch=2)):
        if isinstance(event, Finished):
            generated.append(event.window.number)
            assert event.window.number <= len(generated) + 4
    assert len(generated) > 20


def test_batches_are_full_where_possible(tmp_path: Path) -> None:
    backend = FakeBackend(by_seed, max_batch=4)
    list(run(RenderFolder(tmp_path, job_of(30.0)), backend))
    assert sum(len(batch) < 4 for batch in backend.batches) <= 4


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 7), st.integers(1, 4), st.booleans())
def test_killed_run_is_completed_with_the_same_images(
    tmp_path_factory: pytest.TempPathFactory, after: int, max_batch: int, stop: bool
) -> None:
    straight, broken = tmp_path_factory.mktemp("straight"), tmp_path_factory.mktemp("broken")
    list(run(RenderFolder(straight, job_of()), FakeBackend(by_seed)))
    first = FakeBackend(by_seed, max_batch=max_batch, **({"stop_after": after} if stop else {"fail_after": after}))
    total = len(job_of().plan.windows)
    if stop or after >= total:
        events = list(run(RenderFolder(broken, job_of()), first))
        assert (events[-1] == Stopped(after, total)) == (after < total)
    else:
        with pytest.raises(KeyboardInterrupt):
            list(run(RenderFolder(broken, job_of()), first))
    kept = bytes_of(broken)
    assert len(kept) == min(after, total)
    second = FakeBackend(by_seed, max_batch=max_batch)
    events = list(run(RenderFolder(broken, job_of()), second))
    assert events[0] == Progress(len(kept), total, None)
    assert first.generated + second.generated == total
    assert bytes_of(broken) == bytes_of(straight)
    assert kept.items() <= bytes_of(broken).items()


def test_temporary_files_of_a_killed_writer_are_removed(tmp_path: Path) -> None:
    work = RenderFolder(tmp_path, job_of())
    list(run(work, FakeBackend(by_seed)))
    leftover = tmp_path / "windows" / ".0123456789ab.png"
    leftover.write_bytes(b"half")
    work.path(2).write_bytes(b"damaged")
    Image.new("RGB", (64, 64)).save(work.path(4))
    again = FakeBackend(by_seed)
    list(run(RenderFolder(tmp_path, job_of()), again))
    assert again.generated == 2
    assert not leftover.exists()
    assert work.image(2).size == (128, 64)


def test_damaged_window_images_are_generated_again(tmp_path: Path) -> None:
    """Including images whose header is intact, so that their size can be read."""
    straight = RenderFolder(tmp_path / "straight", job_of())
    list(run(straight, FakeBackend(by_seed)))
    work = RenderFolder(tmp_path / "cut", job_of())
    list(run(work, FakeBackend(by_seed)))
    whole = work.path(1).read_bytes()
    work.path(1).write_bytes(whole[: len(whole) // 2])
    work.path(3).write_bytes(whole[:-400] + bytes(400))
    (work.folder / "plan.json").write_bytes(b"")
    again, backend = RenderFolder(work.folder, job_of()), FakeBackend(by_seed)
    playable = again.playable()
    assert playable is not None
    assert len(playable.windows) == 1
    list(run(again, backend))
    assert backend.generated == 2
    assert bytes_of(work.folder) == bytes_of(straight.folder)
    assert (work.folder / "plan.json").read_bytes() == (straight.folder / "plan.json").read_bytes()


def test_playable_length_is_known_without_reading_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called after each batch, so reading all images each time would take longer and longer."""
    work = RenderFolder(tmp_path, job_of())
    counts = []
    for _ in run(work, FakeBackend(by_seed)):
        with monkeypatch.context() as blind:
            blind.setattr(Image, "open", None)
            playable = work.playable()
        counts.append(len(playable.windows) if playable else 0)
    assert counts[-1] == len(work.job.plan.windows)


def test_full_disk_ends_the_run_and_keeps_finished_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = RenderFolder(tmp_path, job_of())
    written = 0

    def save(*args: object, **text: str) -> Path:
        nonlocal written
        written += 1
        if written == 4:
            raise RiffusionError("the disk is full")
        return save_image(*args, **text)

    with monkeypatch.context() as full:
        full.setattr("riffusion_ext.generate.checkpoint.runner.save_image", save)
        with pytest.raises(RiffusionError, match="the disk is full"):
            list(run(work, FakeBackend(by_seed, max_batch=2)))
    assert len(work.finished()) == len(bytes_of(tmp_path)) == 3
    rest = FakeBackend(by_seed, max_batch=2)
    list(run(RenderFolder(tmp_path, job_of()), rest))
    assert rest.generated == len(work.job.plan.windows) - 3


def test_window_images_store_their_parameters_and_level(tmp_path: Path) -> None:
    work = RenderFolder(tmp_path, job_of())
    list(run(work, FakeBackend(by_seed)))
    record = read_record(work.image(3))
    assert record.params == SMALL
    assert record.max_value == pytest.approx(1e6 + 3)


def test_limit_generates_the_first_windows_only(tmp_path: Path) -> None:
    work = RenderFolder(tmp_path, job_of())
    backend = FakeBackend(by_seed)
    events = list(run(work, backend, limit=1))
    assert work.finished() == {0}
    assert events[-1].total == 1
    list(run(work, backend, limit=2))  # the second needs the third
    assert work.finished() == {0, 1, 2}
    list(run(work, backend))
    assert backend.generated == len(work.job.plan.windows)


def test_beginning_covers_the_windows_finished_without_a_gap(tmp_path: Path) -> None:
    work = RenderFolder(tmp_path, job_of())
    assert work.playable() is None
    list(run(work, FakeBackend(by_seed, stop_after=4, max_batch=2)))
    assert work.finished() == {0, 1, 2, 4} or work.finished() == {0, 1, 2, 3}
    playable = work.playable()
    assert playable is not None
    count = len(playable.windows)
    assert work.finished() >= set(range(count))
    assert count not in work.finished()
    list(run(work, FakeBackend(by_seed)))
    assert work.playable() == work.job.plan


def test_interrupt_after_the_last_window_is_not_reported_as_stopped(tmp_path: Path) -> None:
    class Late(FakeBackend):
        def generate(self, requests: Sequence[Request], on_image: OnImage) -> list[Image.Image]:
            images = super().generate(requests, on_image)
            self.interrupted = self.generated == len(job_of().plan.windows)
            return images

    assert isinstance(list(run(RenderFolder(tmp_path, job_of()), Late(by_seed)))[-1], Progress)


def test_folder_with_windows_of_another_song_is_refused(tmp_path: Path) -> None:
    RenderFolder(tmp_path, job_of(model="one"))
    RenderFolder(tmp_path, job_of(model="one"))
    for other in (job_of(model="two"), job_of(7.0, model="one")):
        with pytest.raises(RiffusionError, match="holds the windows of another song"):
            RenderFolder(tmp_path, other)


def test_backend_returning_wrong_images_is_refused(tmp_path: Path) -> None:
    wrong = FakeBackend(lambda request: Image.new("RGB", (64, 64)))
    with pytest.raises(RiffusionError, match="an image of 128 x 64 was asked for, the one generated is 64 x 64"):
        list(run(RenderFolder(tmp_path, job_of()), wrong))

    class Silent(FakeBackend):
        def generate(self, requests: object, on_image: object) -> list[Image.Image]:
            return []

    with pytest.raises(RiffusionError, match="gave 0 images where 1 were asked for"):
        list(run(RenderFolder(tmp_path, job_of()), Silent(by_seed)))


def test_requests_with_different_batch_keys_are_generated_separately(tmp_path: Path) -> None:
    plan = job_of().plan
    job = RenderJob(
        plan, lambda w, _: Request(("a", "a"), steps=10 + w.number, width=128, height=64), lambda number: 1e6
    )
    backend = FakeBackend(by_seed, max_batch=4)
    list(run(RenderFolder(tmp_path, job), backend))
    assert [len(batch) for batch in backend.batches] == [1] * len(plan.windows)
