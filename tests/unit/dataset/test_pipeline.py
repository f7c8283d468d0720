"""From a folder of songs to a training set, in repeated runs."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.dataset import executor
from riffusion_ext.dataset.pipeline import BuildResult, Progress, build
from riffusion_ext.dataset.settings import CaptionSettings, CurateSettings, DatasetSettings, ExportSettings
from riffusion_ext.errors import RiffusionError
from tests.unit.dataset.conftest import MakeSong, Tree
from tests.unit.dataset.export.dreambooth import dreambooth_problems


def with_slicing(settings: DatasetSettings, **values: object) -> DatasetSettings:
    return replace(settings, slicing=replace(settings.slicing, **values))


def with_curation(settings: DatasetSettings, **values: object) -> DatasetSettings:
    return replace(settings, curation=replace(settings.curation, **values))


def with_template(settings: DatasetSettings, template: str, **values: object) -> DatasetSettings:
    return replace(settings, captions=CaptionSettings(template, **values))


def images(out: Path, folder: str = "pictures") -> list[str]:
    return sorted(path.name for path in (out / folder).glob("*.png")) if (out / folder).is_dir() else []


def captions(out: Path) -> dict[str, str]:
    return {path.stem: path.read_text("utf-8") for path in sorted((out / "pictures").glob("*.txt"))}


def check_whole(built: BuildResult, out: Path) -> None:
    """Check that the folder matches its manifest: no file missing, surplus, incomplete or empty."""
    manifest = json.loads((out / "manifest.json").read_text("utf-8"))
    kept = sorted(window["file"] for window in manifest["windows"] if window["kept"])
    left_out = {window["file"] for window in manifest["windows"] if not window["kept"]}
    assert kept == sorted(window.file for window in built.manifest.kept)
    assert images(out) == kept
    assert left_out <= set(images(out, "rejected"))
    assert set(images(out, "rejected")).isdisjoint(kept)
    assert [f"{name}.png" for name in captions(out)] == kept
    assert all(text.strip() for text in captions(out).values())
    for path in out.rglob("*.png"):
        with Image.open(path) as image:
            image.load()
    assert not [path for path in out.rglob(".*") if path.is_file()], "temporary files"
    assert not images(out, ".riffusion/fresh")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


# --- the first run ---------------------------------------------------------------------------------------------------


def test_songs_become_a_training_set(collection: Path, out: Path, narrow: DatasetSettings) -> None:
    told: list[Progress] = []
    built = build(collection, out, narrow, jobs=1, progress=told.append)
    check_whole(built, out)
    assert (built.songs, built.resumed, built.failed, built.stopped) == (3, 0, [], False)
    assert [song.name for song in built.manifest.songs] == ["album/three.flac", "one.wav", "two.wav"]
    assert len(built.manifest.windows) == 4 + 6 + 5
    assert [window.start for window in built.manifest.windows if window.song == "two.wav"] == [
        0,
        0.64,
        1.28,
        1.92,
        2.56,
    ]
    assert {window.duration for window in built.manifest.windows} == {0.64}
    assert built.manifest.counts() == {"ending": 2, "intro": 2}, "a song of four windows keeps all of them"
    assert [(tell.done, tell.total) for tell in told] == [(1, 3), (2, 3), (3, 3)]
    assert told[-1].left == 0
    assert told[-1].processed == 3


def test_images_of_the_model_size_meet_the_rules_of_the_trainer(make_song: MakeSong, tmp_path: Path) -> None:
    make_song(tmp_path / "songs" / "a.wav", 11.0, seed=1)
    make_song(tmp_path / "songs" / "b.wav", 11.0, seed=2)
    out = tmp_path / "out"
    settings = DatasetSettings(
        curation=CurateSettings(transition=None), captions=CaptionSettings("{trigger}, {title|file}", "rfx")
    )
    built = build(tmp_path / "songs", out, settings, jobs=1)
    check_whole(built, out)
    assert len(built.manifest.kept) == 4
    assert dreambooth_problems(out, [out / "pictures" / window.file for window in built.manifest.kept]) == []
    for path in (out / "pictures").glob("*.png"):
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("RGB", (512, 512))
    assert set(captions(out).values()) == {"rfx, a", "rfx, b"}


def test_single_song_can_be_the_collection(collection: Path, out: Path, narrow: DatasetSettings) -> None:
    built = build(collection / "one.wav", out, narrow, jobs=1)
    check_whole(built, out)
    assert [song.name for song in built.manifest.songs] == ["one.wav"]


@pytest.mark.parametrize("scale", ["window", "song", "set"])
def test_same_input_gives_the_same_bytes(
    scale: str, collection: Path, tmp_path: Path, narrow: DatasetSettings, tree: Tree
) -> None:
    settings = with_slicing(narrow, scale=scale)
    settings = replace(settings, export=ExportSettings(("dreambooth", "diffusers")))
    for out, jobs in (("first", 1), ("second", 1), ("third", 2)):
        built = build(collection, tmp_path / out, settings, jobs=jobs)
        assert not built.failed
    first = tree(tmp_path / "first")
    assert len(first) > 30
    assert tree(tmp_path / "second") == first
    assert tree(tmp_path / "third") == first, "on two cores"
    if scale == "set":
        manifest = json.loads((tmp_path / "first" / "manifest.json").read_text("utf-8"))
        assert len({window["black"] for window in manifest["windows"]}) == 1


def test_number_of_threads_does_not_change_the_output(collection: Path, tmp_path: Path, tree: Tree) -> None:
    """BLAS and OpenMP read their number of threads from these environment variables."""
    options = ["--columns", "64", "--no-sheet", "--verify", "0", "--jobs", "1"]
    for number in ("1", "3", "8"):
        subprocess.run(
            [sys.executable, "-m", "riffusion_ext", "dataset", str(collection), str(tmp_path / number), *options],
            check=True,
            capture_output=True,
            env={**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), number)},
        )
    assert len(tree(tmp_path / "1")) > 30
    for number in ("3", "8"):
        assert tree(tmp_path / number) == tree(tmp_path / "1"), f"{number} threads"


def test_moved_collection_is_resumed_unchanged(
    collection: Path, out: Path, narrow: DatasetSettings, tree: Tree, tmp_path: Path
) -> None:
    build(collection, out, narrow, jobs=1)
    before = tree(out)
    moved = shutil.move(collection, tmp_path / "elsewhere")
    assert build(moved, out, narrow, jobs=1).resumed == 3
    assert tree(out) == before


# --- the next runs ---------------------------------------------------------------------------------------------------


def test_second_run_neither_reads_songs_nor_writes_files(
    collection: Path, out: Path, narrow: DatasetSettings, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(collection, out, narrow, jobs=1)
    before = tree(out)
    times = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file() and path.name != "lock"}
    monkeypatch.setattr(
        "riffusion_ext.dataset.slicing.slice_song.slice_song", None
    )  # calling it would be reported as an error of the song
    built = build(collection, out, narrow, jobs=1)
    assert (built.resumed, built.failed, built.exported.written) == (3, [], 0)
    assert tree(out) == before
    assert {path: path.stat().st_mtime_ns for path in times} == times


def test_level_of_the_set_is_measured_only_once(
    collection: Path, out: Path, narrow: DatasetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_slicing(narrow, scale="set")
    before = build(collection, out, settings, jobs=1).manifest
    monkeypatch.setattr("riffusion_ext.dataset.slicing.slice_song.largest_magnitude", None)
    monkeypatch.setattr("riffusion_ext.dataset.slicing.slice_song.slice_song", None)
    assert build(collection, out, settings, jobs=1).manifest == before


def test_changed_curation_settings_only_judge_again(
    collection: Path, out: Path, narrow: DatasetSettings, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(collection, out, narrow, jobs=1)
    before = tree(out)
    monkeypatch.setattr("riffusion_ext.dataset.slicing.slice_song.slice_song", None)
    built = build(collection, out, with_curation(narrow, first=2, last=0, target=5), jobs=1)
    check_whole(built, out)
    assert (built.resumed, len(built.manifest.kept)) == (3, 5)
    assert {"intro", "surplus"} == set(built.manifest.counts())
    built = build(collection, out, narrow, jobs=1)
    check_whole(built, out)
    assert tree(out) == before, "and back"


def test_images_of_other_settings_replace_the_old_ones_and_keep_them_as_rejected(
    collection: Path, out: Path, narrow: DatasetSettings, tree: Tree, tmp_path: Path
) -> None:
    first = build(collection, out, narrow, jobs=1)
    (out / "pictures" / "mine.png").write_bytes((out / "pictures" / first.manifest.kept[0].file).read_bytes())
    second = build(collection, out, with_slicing(narrow, columns=80), jobs=1)
    assert "mine.png" in images(out), "foreign files are not moved"
    (out / "pictures" / "mine.png").unlink()
    check_whole(second, out)
    assert {window.file for window in first.manifest.windows} <= set(images(out, "rejected"))
    third = build(collection, out, narrow, jobs=1)
    check_whole(third, out)
    assert third.manifest == first.manifest
    assert third.resumed == 3, "earlier records are reused"


def test_songs_can_be_added_and_removed_between_runs(
    collection: Path, out: Path, narrow: DatasetSettings, make_song: MakeSong
) -> None:
    first = build(collection, out, narrow, jobs=1)
    make_song(collection / "zero.wav", 2.0, seed=9)
    second = build(collection, out, narrow, jobs=1)
    check_whole(second, out)
    assert (second.songs, second.resumed) == (4, 3)
    assert second.manifest.windows[: len(first.manifest.windows)] != second.manifest.windows
    (collection / "zero.wav").unlink()
    third = build(collection, out, narrow, jobs=1)
    check_whole(third, out)
    assert third.manifest == first.manifest
    assert set(images(out, "rejected")) > {window.file for window in first.manifest.windows if not window.kept}


def test_changed_song_is_cut_again(collection: Path, out: Path, narrow: DatasetSettings, make_song: MakeSong) -> None:
    before = build(collection, out, narrow, jobs=1)
    make_song(collection / "one.wav", 4.0, seed=77)
    after = build(collection, out, narrow, jobs=1)
    check_whole(after, out)
    assert after.resumed == 2
    files = [{w.file for w in built.manifest.windows if w.song == "one.wav"} for built in (before, after)]
    assert files[0].isdisjoint(files[1])


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 and nothing more", None])
def test_song_with_a_damaged_record_is_processed_again(
    data: bytes | None, collection: Path, out: Path, narrow: DatasetSettings, tree: Tree
) -> None:
    build(collection, out, narrow, jobs=1)
    before = tree(out)
    for path in (out / ".riffusion" / "songs").iterdir():
        path.write_bytes(data) if data is not None else path.unlink()
    built = build(collection, out, narrow, jobs=1)
    check_whole(built, out)
    assert built.resumed == 0
    assert tree(out) == before


def test_missing_image_is_drawn_again(collection: Path, out: Path, narrow: DatasetSettings, tree: Tree) -> None:
    built = build(collection, out, narrow, jobs=1)
    before = tree(out)
    (out / "pictures" / built.manifest.kept[0].file).unlink()
    again = build(collection, out, narrow, jobs=1)
    assert again.resumed == 2
    assert tree(out) == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("manifest.json", "{"),
        ("manifest.json", "[]"),
        ("manifest.json", '{"windows": 3}'),
        ("manifest.json", '{"settings": {}, "songs": [], "windows": [{"file": 1}]}'),
        ("manifest.json", '{"settings": {}, "songs": [{}], "windows": []}'),
        ("review.json", "{"),
        ("review.json", '{"windows": []}'),
        ("review.json", '{"windows": {"a.png": {"keep": "yes"}}}'),
        ("review.json", '{"windows": {"a.png": {"caption": null}}}'),
    ],
)
def test_damaged_caption_file_is_reported_and_nothing_is_lost(
    name: str, text: str, collection: Path, out: Path, narrow: DatasetSettings, tree: Tree
) -> None:
    build(collection / "one.wav", out, narrow, jobs=1)
    good = (out / name).read_bytes() if (out / name).exists() else None
    (out / name).write_text(text)
    before = tree(out)
    with pytest.raises(RiffusionError, match=f"{name}.*repair it or move it away"):
        build(collection / "one.wav", out, narrow, jobs=1)
    assert tree(out) == before
    (out / name).unlink()
    built = build(collection / "one.wav", out, narrow, jobs=1)
    check_whole(built, out)
    assert good is None or (out / name).read_bytes() == good


# --- stopping --------------------------------------------------------------------------------------------------------


class Once:
    """A stop request that comes after a number of songs."""

    def __init__(self, after: int) -> None:
        self.after, self.songs = after, 0

    def tell(self, progress: Progress) -> None:
        self.songs += 1

    def wanted(self) -> bool:
        return self.songs >= self.after


def slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow down each song so that the stop request is seen before the next."""
    cut_one = executor._process

    def cut_and_wait(task: executor.Task) -> executor.SongResult:
        done = cut_one(task)
        for _ in range(10):
            if not done.stopped and not (task.out / ".riffusion" / "stop").exists():
                time.sleep(0.02)
        return done

    monkeypatch.setattr(executor, "_process", cut_and_wait)


def stopped_after(
    songs: int, collection: Path, out: Path, settings: DatasetSettings, monkeypatch: pytest.MonkeyPatch
) -> BuildResult:
    once = Once(songs)
    with monkeypatch.context() as patch:
        patch.setattr("riffusion_ext.dataset.pipeline._POLL_INTERVAL_S", 0.01)
        slowly(patch)
        return build(collection, out, settings, jobs=1, progress=once.tell, cancelled=once.wanted)


@pytest.mark.parametrize("scale", ["window", "set"])
def test_cancelled_run_curates_finished_songs_and_the_next_run_completes_the_set(
    scale: str, collection: Path, tmp_path: Path, narrow: DatasetSettings, tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = with_slicing(narrow, scale=scale)
    out, whole = tmp_path / "out", tmp_path / "whole"
    built = stopped_after(1, collection, out, settings, monkeypatch)
    assert built.stopped
    assert 0 < built.songs < 3
    check_whole(built, out)
    assert built.manifest.kept
    after = build(collection, out, settings, jobs=1)
    assert (after.stopped, after.resumed) == (False, built.songs)
    check_whole(after, out)
    build(collection, whole, settings, jobs=1)
    assert tree(out) == tree(whole)


def test_stopping_at_once_does_not_change_a_finished_set(
    collection: Path, out: Path, narrow: DatasetSettings, tree: Tree
) -> None:
    build(collection, out, narrow, jobs=1)
    before = tree(out)

    def stop(progress: Progress) -> None:
        raise AssertionError("no song was to be done")

    from riffusion_ext.dataset.store import Store

    class Stopped(Store):
        stop_requested = True  # type: ignore[assignment]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("riffusion_ext.dataset.store.Store", Stopped)
        built = build(collection, out, narrow, jobs=1, progress=stop)
    assert built.stopped
    assert built.songs == 0
    assert tree(out) == before
    check_whole(built, out)


def test_run_stopped_while_changing_images_leaves_a_consistent_set(
    collection: Path, out: Path, narrow: DatasetSettings, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(collection, out, narrow, jobs=1)
    wide = with_slicing(narrow, columns=80)
    built = stopped_after(1, collection, out, wide, monkeypatch)
    assert built.stopped
    check_whole(built, out)
    assert len(built.manifest.songs) == 3, "songs not yet processed keep their old images"
    after = build(collection, out, wide, jobs=1)
    check_whole(after, out)
    fresh = build(collection, tmp_path / "fresh", wide, jobs=1)
    assert after.manifest == fresh.manifest
    assert images(out) == images(tmp_path / "fresh")


def test_caption_edited_before_a_stopped_run_is_kept(
    collection: Path, out: Path, narrow: DatasetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(collection, out, narrow, jobs=1)
    window = next(window for window in built.manifest.kept if window.song == "two.wav")
    text = (out / "pictures" / window.file).with_suffix(".txt")
    text.write_text("typed")
    (out / ".riffusion" / "songs").rename(out / ".riffusion" / "was")
    stopped = stopped_after(1, collection, out, narrow, monkeypatch)
    assert stopped.stopped
    assert text.read_text() == "typed"
    after = build(collection, out, with_template(narrow, "{file} again"), jobs=1)
    check_whole(after, out)
    assert text.read_text() == "typed"
    assert {entry.caption for entry in after.manifest.windows if entry.file == window.file} == {"typed"}


# --- captions and decisions ------------------------------------------------------------------------------------------


def test_captions_follow_the_template(collection: Path, out: Path, narrow: DatasetSettings) -> None:
    build(collection, out, with_template(narrow, "{trigger}, {file}", trigger="rfx"), jobs=1)
    assert set(captions(out).values()) == {"rfx, one", "rfx, two", "rfx, three"}
    build(collection, out, with_template(narrow, "{file} of {folder}", replace=(("one", "uno"),)), jobs=1)
    assert set(captions(out).values()) == {"uno of collection", "two of collection", "three of album"}


def test_text_in_sidecar_files_is_used_in_the_caption(collection: Path, out: Path, narrow: DatasetSettings) -> None:
    (collection / "one.txt").write_text("slow waltz with fiddle")
    (collection / "captions.csv").write_text('file,caption\ntwo.wav,"a tune, in stereo"\nalbum/three.flac,other\n')
    build(collection, out, narrow, jobs=1)
    assert set(captions(out).values()) == {"slow waltz with fiddle", "a tune, in stereo", "other"}


def test_captions_edited_by_hand_survive(collection: Path, out: Path, narrow: DatasetSettings) -> None:
    built = build(collection, out, narrow, jobs=1)
    file = built.manifest.kept[0].file
    text = (out / "pictures" / file).with_suffix(".txt")
    text.write_text("my own words")
    for settings in (narrow, with_template(narrow, "{file}, new"), with_curation(narrow, first=0, last=0)):
        built = build(collection, out, settings, jobs=1)
        check_whole(built, out)
        assert text.read_text() == "my own words"
        assert [window.caption for window in built.manifest.windows if window.file == file] == ["my own words"]
    dropped = build(collection, out, with_curation(narrow, silence_db=0.0), jobs=1)
    assert not dropped.manifest.kept
    assert not captions(out)
    build(collection, out, narrow, jobs=1)
    assert text.read_text() == "my own words", "even after being rejected"


@pytest.mark.parametrize("typed", ["", "  \n", "\ufeff", ",,"])
def test_emptied_caption_is_filled_again(typed: str, collection: Path, out: Path, narrow: DatasetSettings) -> None:
    built = build(collection, out, narrow, jobs=1)
    text = (out / "pictures" / built.manifest.kept[0].file).with_suffix(".txt")
    text.write_text(typed, "utf-8")
    check_whole(build(collection, out, narrow, jobs=1), out)


def test_reviews_are_applied_and_remembered(
    collection: Path, out: Path, narrow: DatasetSettings, tmp_path: Path
) -> None:
    built = build(collection, out, narrow, jobs=1)
    bad, good, other = built.manifest.kept[0].file, built.manifest.windows[4].file, built.manifest.kept[1].file
    assert not built.manifest.windows[4].kept
    review = tmp_path / "review (1).json"
    review.write_text(json.dumps({"windows": {bad: {"keep": False}, good: {"keep": True}}}))
    second = tmp_path / "second.json"
    second.write_text(json.dumps({"windows": {other: {"caption": "said"}, good: {"caption": "good"}}}))
    for reviews in ([review, second], [], []):
        built = build(collection, out, narrow, jobs=1, reviews=reviews)
        check_whole(built, out)
        kept = {window.file: window for window in built.manifest.kept}
        assert bad not in kept
        assert kept[good].decided
        assert (kept[good].caption, kept[other].caption) == ("good", "said")
        assert built.manifest.counts()["by hand"] == 1
    second.write_text(json.dumps({"windows": {bad: {"keep": True}}}))
    built = build(collection, out, narrow, jobs=1, reviews=[second])
    check_whole(built, out)
    assert bad in {window.file for window in built.manifest.kept}, "the later decision applies"
    assert good in {window.file for window in built.manifest.kept}, "decisions on other windows are kept"


def test_review_of_one_sheet_keeps_decisions_of_another(
    collection: Path, out: Path, narrow: DatasetSettings, tmp_path: Path
) -> None:
    one, two = (window.file for window in build(collection, out, narrow, jobs=1).manifest.kept[:2])
    known = {one: {"keep": False, "caption": "before"}}
    first, second = tmp_path / "review.json", tmp_path / "review (1).json"
    changed = {**known, one: {"keep": True, "caption": "now"}}
    first.write_text(json.dumps({"windows": changed, "new": {one: {"keep": True, "caption": "now"}}}))
    second.write_text(json.dumps({"windows": {**known, two: {"keep": False}}, "new": {two: {"keep": False}}}))
    built = build(collection, out, narrow, jobs=1, reviews=[first, second])
    kept = {window.file: window.caption for window in built.manifest.kept}
    assert kept[one] == "now"
    assert two not in kept


@pytest.mark.parametrize("text", [None, "", "[]", '{"windows": {"a": 1}}', '{"windows": {}, "new": {"a": 1}}'])
def test_invalid_review_is_refused_before_the_work(
    text: str | None, collection: Path, out: Path, narrow: DatasetSettings, tmp_path: Path
) -> None:
    review = tmp_path / "mine.json"
    if text is not None:
        review.write_text(text)
    with pytest.raises(RiffusionError, match=r"mine\.json"):
        build(collection, out, narrow, jobs=1, reviews=[review])
    assert not (out / "manifest.json").exists()


def test_decisions_about_missing_songs_are_kept(
    collection: Path, out: Path, narrow: DatasetSettings, tmp_path: Path
) -> None:
    built = build(collection, out, narrow, jobs=1)
    window = next(window for window in built.manifest.kept if window.song == "one.wav")
    review = tmp_path / "r.json"
    review.write_text(json.dumps({"windows": {window.file: {"keep": False, "caption": "later"}}}))
    build(collection, out, narrow, jobs=1, reviews=[review])
    shutil.move(collection / "one.wav", tmp_path / "one.wav")
    check_whole(build(collection, out, narrow, jobs=1), out)
    shutil.move(tmp_path / "one.wav", collection / "one.wav")
    back = build(collection, out, narrow, jobs=1)
    check_whole(back, out)
    (again,) = (entry for entry in back.manifest.windows if entry.file == window.file)
    assert (again.kept, again.decided, again.caption) == (False, True, "later")


# --- reasons ---------------------------------------------------------------------------------------------------------


def test_each_faulty_song_gets_its_reason(tmp_path: Path, make_song: MakeSong, narrow: DatasetSettings) -> None:
    songs, rate = tmp_path / "songs", 22050
    rng = np.random.default_rng(3)
    make_song(songs / "good.wav", 2.7, seed=4, rate=rate)
    shutil.copy(songs / "good.wav", songs / "same again.wav")
    noise = 0.2 * rng.standard_normal((1, round(2.7 * rate)))
    write_audio(AudioClip((1e-4 * noise).astype(np.float32), rate), songs / "silent.wav")
    write_audio(AudioClip(np.clip(8 * noise, -0.9, 0.9).astype(np.float32), rate), songs / "clipped.wav")
    write_audio(AudioClip((0.3 * noise + 0.4).astype(np.float32), rate), songs / "shifted.wav")
    settings = replace(narrow, curation=CurateSettings(transition=None))
    built = build(songs, tmp_path / "out", settings, jobs=1)
    check_whole(built, tmp_path / "out")
    found = {
        song.name: {r["kind"] for w in built.manifest.windows if w.song == song.name for r in w.reasons}
        for song in built.manifest.songs
    }
    assert found == {
        "good.wav": set(),
        "same again.wav": {"duplicate"},
        "silent.wav": {"silence"},
        "clipped.wav": {"clipping"},
        "shifted.wav": {"duplicate"},  # duplicate of its own first window: the offset is inaudible
    }
    texts = [reason["text"] for window in built.manifest.windows for reason in window.reasons]
    assert all(any(c.isdigit() for c in text) for text in texts), "each names its value and the limit"
    table = (tmp_path / "out" / "manifest.csv").read_text("utf-8").splitlines()
    assert len(table) == 1 + len(built.manifest.windows)
