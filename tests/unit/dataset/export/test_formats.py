"""Exported training sets: readable by trainers, deterministic, and without touching foreign files."""

from __future__ import annotations

import itertools
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio import read_audio
from riffusion_ext.dataset.export import images
from riffusion_ext.dataset.export.audio import Chunk, chunks, read_chunk
from riffusion_ext.dataset.export.formats import FORMATS, ExportItem, check_export_settings, export
from riffusion_ext.dataset.settings import ExportSettings
from riffusion_ext.errors import AudioError, RiffusionError
from tests.unit.dataset.conftest import MakeItems
from tests.unit.dataset.export.dreambooth import dreambooth_problems

ALL = ExportSettings(formats=FORMATS, kohya_repeats=7, kohya_name="my band")


def state(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Return content and modification time of every file by name, without the ledgers."""
    files = (p for p in folder.rglob("*") if p.is_file() and ".export" not in p.parts)
    return {p.relative_to(folder).as_posix(): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def rows(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_all_formats_are_exported_at_once(make_items: MakeItems, tmp_path: Path) -> None:
    items = make_items()
    out = tmp_path / "out"
    result = export(items, out, ALL)
    assert result.places == {
        "dreambooth": out / "concepts_list.json",
        "kohya": out / "kohya",
        "diffusers": out / "pictures",
        "audio": out / "audio",
    }
    assert (result.notes, result.errors) == ((), ())
    stems = [item.image.stem for item in items]
    expected = {"concepts_list.json", "pictures/metadata.jsonl", "audio/metadata.jsonl"}
    expected |= {f"{place}/{stem}.txt" for place in ("pictures", "kohya/7_my band", "audio") for stem in stems}
    expected |= {f"{place}/{stem}.png" for place in ("pictures", "kohya/7_my band") for stem in stems}
    expected |= {f"audio/{stem}.wav" for stem in stems}
    assert state(out).keys() == expected
    for place in ("pictures", "kohya/7_my band", "audio"):
        for number, stem in enumerate(stems):
            assert (out / place / f"{stem}.txt").read_bytes() == f"rfx, {number}".encode()
    assert result.written == len(expected) - len(items)  # the images existed already


def test_repeated_export_in_any_order_changes_nothing(make_items: MakeItems, tmp_path: Path) -> None:
    items = make_items(5)
    export(items, tmp_path / "out", ALL)
    before = state(tmp_path / "out")
    for again in (items, items[::-1]):
        result = export(again, tmp_path / "out", ALL)
        assert (result.written, result.removed) == (0, 0)
        assert result.unchanged == len(before) - len(items)
        assert state(tmp_path / "out") == before


def test_unwanted_files_are_removed(make_items: MakeItems, tmp_path: Path) -> None:
    out = tmp_path / "out"
    items = make_items(4)
    images = {f"pictures/{item.image.name}" for item in items}
    export(items, out, ALL)
    export(items[:1], out, ALL)
    stem = items[0].image.stem
    left = {f"kohya/7_my band/{stem}.png", f"kohya/7_my band/{stem}.txt", f"audio/{stem}.wav", f"audio/{stem}.txt"}
    left |= {"concepts_list.json", "pictures/metadata.jsonl", "audio/metadata.jsonl", f"pictures/{stem}.txt"}
    assert state(out).keys() == images | left
    export(items[:1], out, ExportSettings(formats=("dreambooth",)))
    assert state(out).keys() == images | {"concepts_list.json", f"pictures/{stem}.txt"}
    result = export([], out, ALL)
    assert state(out).keys() == images
    assert result.places == {}
    assert sorted(path.name for path in out.iterdir()) == ["pictures"]


def test_kohya_images_are_links_or_else_copies(make_items: MakeItems, tmp_path: Path, monkeypatch) -> None:
    items = make_items(2)
    settings = ExportSettings(formats=("kohya",))
    export(items, tmp_path / "out", settings)
    for item in items:
        assert item.image.samefile(tmp_path / "out" / "kohya" / "10_music" / item.image.name)
    export(items, tmp_path / "out", ExportSettings(formats=()))

    def no_links(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(images.os, "link", no_links)
    export(items, tmp_path / "out", settings)
    before = state(tmp_path / "out")
    for item in items:
        copy = tmp_path / "out" / "kohya" / "10_music" / item.image.name
        assert not item.image.samefile(copy)
        assert copy.read_bytes() == item.image.read_bytes()
    assert export(items, tmp_path / "out", settings).written == 0
    assert state(tmp_path / "out") == before


def test_changed_image_is_linked_again(make_items: MakeItems, tmp_path: Path) -> None:
    items = make_items(1)
    settings = ExportSettings(formats=("kohya",))
    export(items, tmp_path / "out", settings)
    items[0].image.unlink()
    items[0].image.write_bytes(b"another image")
    export(items, tmp_path / "out", settings)
    assert (tmp_path / "out" / "kohya" / "10_music" / items[0].image.name).read_bytes() == b"another image"
    os.utime(items[0].image, ns=(1, 1))  # the link still points to the same file
    export(items, tmp_path / "out", settings)
    assert list((tmp_path / "out" / "kohya" / "10_music").glob(".*")) == []


def test_images_in_subfolders_get_flat_names(make_items: MakeItems, tmp_path: Path) -> None:
    (item,) = make_items(1)
    moved = item.image.parent / "album" / item.image.name
    moved.parent.mkdir()
    item.image.rename(moved)
    export([replace(item, image=moved)], tmp_path / "out", ALL)
    flat = f"album_{moved.name}"
    assert (tmp_path / "out" / "kohya" / "7_my band" / flat).exists()
    assert (tmp_path / "out" / "audio" / flat.replace(".png", ".wav")).exists()
    assert rows(tmp_path / "out" / "pictures" / "metadata.jsonl") == [
        {"file_name": f"album/{moved.name}", "text": "rfx, 0"}
    ]
    assert dreambooth_problems(tmp_path / "out", [moved]) == []


def test_captions_are_utf_8_without_a_byte_order_mark_and_concepts_are_ascii(
    make_items: MakeItems, tmp_path: Path
) -> None:
    items = make_items(1, caption="Þú\u2028ert,, jörðin \ufeff曲 🎵")
    export(items, tmp_path / "out", ALL)
    text = items[0].image.with_suffix(".txt").read_bytes()
    assert text == "Þú ert, jörðin 曲 🎵".encode()
    (row,) = rows(tmp_path / "out" / "pictures" / "metadata.jsonl")
    assert row == {"file_name": items[0].image.name, "text": "Þú ert, jörðin 曲 🎵"}
    assert "Þú ert, jörðin 曲 🎵" in (tmp_path / "out" / "pictures" / "metadata.jsonl").read_text("utf-8")
    concepts = (tmp_path / "out" / "concepts_list.json").read_bytes()
    assert concepts.isascii()
    (concept,) = json.loads(concepts)
    assert concept["instance_data_dir"] == "pictures"
    assert concept["instance_prompt"] == concept["save_sample_prompt"] == "[filewords]"
    assert (concept["instance_token"], concept["class_token"], concept["class_data_dir"]) == ("", "", "")
    assert concept["num_class_images_per"] == 0


@pytest.mark.parametrize("caption", ["", " \n,\u200b", "\\"])
def test_empty_caption_is_replaced_by_the_song_name(make_items: MakeItems, tmp_path: Path, caption: str) -> None:
    items = make_items(1, caption=caption)
    export(items, tmp_path / "out", ALL)
    for path in (tmp_path / "out").rglob("*.txt"):
        assert path.read_text() == "first"  # the song's name


def test_edited_caption_is_exported_to_every_format_and_kept(make_items: MakeItems, tmp_path: Path) -> None:
    items = make_items(2)
    out = tmp_path / "out"
    export(items, out, ALL)
    items[0].image.with_suffix(".txt").write_bytes("  my own wörds,\n".encode("cp1252"))
    for template in ("rfx, {}", "other, {}"):
        items = make_items(2, caption=template)
        result = export(items, out, ALL)
        assert result.notes == (f"captions edited by hand were taken over into every format: {items[0].image.name}",)
        texts = {path.read_text("utf-8") for path in out.rglob(f"{items[0].image.stem}.txt")}
        assert texts == {"my own wörds"}
        assert rows(out / "pictures" / "metadata.jsonl")[0]["text"] == "my own wörds"
        assert items[1].image.with_suffix(".txt").read_text() == template.format(1)
        assert dreambooth_problems(out) == []
    # Without the file, the generated caption applies again; an emptied one is ignored.
    items[0].image.with_suffix(".txt").unlink()
    export(items, out, ALL)
    items[0].image.with_suffix(".txt").write_text(" ")
    export(items, out, ALL)
    assert dreambooth_problems(out) == []


def test_edited_caption_is_kept_when_its_image_is_removed(make_items: MakeItems, tmp_path: Path) -> None:
    items = make_items(2)
    export(items, tmp_path / "out", ALL)
    items[1].image.with_suffix(".txt").write_text("mine")
    result = export(items[:1], tmp_path / "out", ALL)
    assert items[1].image.with_suffix(".txt").read_text() == "mine"
    assert result.notes == (
        f"changed or made by somebody else, and left as they are: pictures/{items[1].image.stem}.txt",
    )


def test_foreign_concepts_list_is_kept(make_items: MakeItems, tmp_path: Path) -> None:
    items = make_items(1)
    (tmp_path / "out" / "concepts_list.json").write_text("[]")
    result = export(items, tmp_path / "out", ExportSettings())
    assert (tmp_path / "out" / "concepts_list.json").read_text() == "[]"
    assert result.notes == ("changed or made by somebody else, and left as they are: concepts_list.json",)


def test_long_captions_are_kept_and_reported(make_items: MakeItems, tmp_path: Path) -> None:
    tags = ", ".join(f"tag {number}" for number in range(50))
    items = make_items(6, caption=tags)
    result = export(items, tmp_path / "out", ExportSettings())
    assert items[0].image.with_suffix(".txt").read_text() == tags
    (note,) = result.notes
    first = ", ".join(item.image.name for item in items[:3])
    assert note == f"captions longer than about 75 tokens, of which trainers read no more: {first} and 3 more"


def test_progress_rises_to_1(make_items: MakeItems, tmp_path: Path) -> None:
    parts: list[float] = []
    export(make_items(3), tmp_path / "out", ALL, progress=parts.append)
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    assert len(parts) > 10


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"formats": ("dreambooth", "zip")},
            "unknown format 'zip', a training set can be written as dreambooth, kohya",
        ),
        ({"kohya_repeats": 0}, "kohya's repeats must be 1 to 10000, got 0"),
        ({"kohya_name": "a/b"}, "must be a name without any of .*, got 'a/b'"),
        ({"kohya_name": ".."}, "got '..'"),
        ({"kohya_name": "a\n"}, "got 'a"),
        ({"audio_rate": 100}, "must be 8000 to 192000 Hz, got 100"),
        ({"audio_seconds": 0.0}, "must be 0.1 to 600 s, got 0"),
        ({"audio_seconds": float("nan")}, "got nan"),
    ],
)
def test_invalid_export_settings_are_refused(settings: dict[str, object], problem: str) -> None:
    with pytest.raises(RiffusionError, match=problem):
        check_export_settings(ExportSettings(**settings))  # type: ignore[arg-type]


def test_missing_images_and_images_elsewhere_are_refused(make_items: MakeItems, tmp_path: Path) -> None:
    (item,) = make_items(1)
    elsewhere = item.image.rename(tmp_path / "elsewhere.png")
    for image, problem in ((item.image, "no such image: "), (elsewhere, "is not in ")):
        with pytest.raises(RiffusionError, match=problem):
            export([replace(item, image=image)], tmp_path / "out", ExportSettings())


def test_relative_output_folder_is_accepted(make_items: MakeItems, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    export(make_items(1), Path("out"), ALL)
    assert dreambooth_problems(Path("out")) == []


def test_windows_that_share_an_image_are_exported_once(
    make_items: MakeItems, tmp_path: Path, songs: list[Path]
) -> None:
    (item,) = make_items(1)
    export([item, replace(item, start=5.0), replace(item, source=songs[1])], tmp_path / "out", ALL)
    assert len(rows(tmp_path / "out" / "pictures" / "metadata.jsonl")) == 1


# --- sound -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate", "seconds"), [(None, None), (16000, None), (11025, 3.0), (None, 0.5)])
def test_chunks_have_the_chosen_length_and_rate(make_items: MakeItems, tmp_path: Path, rate, seconds) -> None:
    items = make_items(8)
    export(items, tmp_path / "out", ExportSettings(formats=("audio",), audio_rate=rate, audio_seconds=seconds))
    files = sorted((tmp_path / "out" / "audio").glob("*.wav"))
    table = rows(tmp_path / "out" / "audio" / "metadata.jsonl")
    assert sorted(str(row["file_name"]) for row in table) == [file.name for file in files]
    assert len(files) == {None: 8, 3.0: 6, 0.5: 32}[seconds]
    for row in table:
        clip = read_audio(tmp_path / "out" / "audio" / str(row["file_name"]))
        assert clip.sample_rate == (rate or 8000)
        assert clip.samples.shape[1] == round((seconds or 1.99) * clip.sample_rate)
        assert clip.channels == (2 if row["source"] == "first.wav" else 1)
        assert row["text"] == (tmp_path / "out" / "audio" / str(row["file_name"])).with_suffix(".txt").read_text()
        # Steady tones stay steady up to both ends, so resampling does not fade them.
        edge = clip.sample_rate // 50
        levels = [np.sqrt(np.mean(part**2)) for part in (clip.samples[:, :edge], clip.samples[:, -edge:])]
        assert levels == pytest.approx([0.5 / np.sqrt(2)] * 2, rel=0.15)


def test_chunk_has_the_samples_of_the_song(make_items: MakeItems, songs: list[Path]) -> None:
    whole = read_audio(songs[0])
    clip = read_chunk(Chunk("x", "", songs[0], 3.25, 2.0), None)
    np.testing.assert_array_equal(clip.samples, whole.samples[:, 26000:42000])
    finer = read_chunk(Chunk("x", "", songs[0], 3.25, 2.0), 16000)
    np.testing.assert_allclose(finer.samples, whole.resample(16000).samples[:, 52000:84000], atol=1e-6)
    ending = read_chunk(Chunk("x", "", songs[0], 11.0, 2.0), None)
    np.testing.assert_array_equal(ending.samples[:, :8000], whole.samples[:, 88000:])
    assert not ending.samples[:, 8000:].any()
    for start in (12.0, 12.1, 99.0):
        with pytest.raises(AudioError):
            read_chunk(Chunk("x", "", songs[0], start, 2.0), None)


def test_unreadable_song_gives_one_error_and_the_others_are_exported(
    make_items: MakeItems, tmp_path: Path, songs: list[Path]
) -> None:
    items = make_items(6)
    songs[1].write_text("no music")
    result = export(items, tmp_path / "out", ALL)
    (error,) = result.errors
    assert str(songs[1]) in error
    left = rows(tmp_path / "out" / "audio" / "metadata.jsonl")
    assert {row["source"] for row in left} == {"first.wav"}
    assert len(list((tmp_path / "out" / "audio").glob("*.txt"))) == len(left) == 3
    assert len(list((tmp_path / "out" / "pictures").glob("*.txt"))) == 6


def test_audio_chunks_are_written_again_only_when_changed(make_items: MakeItems, tmp_path: Path, monkeypatch) -> None:
    items = make_items(2)
    export(items, tmp_path / "out", ALL)
    monkeypatch.setattr("riffusion_ext.dataset.export.audio.read_audio", lambda *_, **__: pytest.fail("read again"))
    assert export([replace(item, caption="new") for item in items], tmp_path / "out", ALL).errors == ()
    monkeypatch.undo()
    wav = tmp_path / "out" / "audio" / f"{items[0].image.stem}.wav"
    before = wav.read_bytes()
    export(items, tmp_path / "out", replace(ALL, audio_rate=16000))
    assert wav.read_bytes() != before


def test_stretches_shorter_than_a_chunk_are_noted(make_items: MakeItems, tmp_path: Path) -> None:
    settings = ExportSettings(formats=("audio",), audio_seconds=3.0)
    result = export(make_items(3), tmp_path / "out", settings)
    assert result.notes == ("1 stretch of sound is shorter than 3 s and left out",)


PARTS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 60)), min_size=1, max_size=30, unique=True)


@given(PARTS, st.sampled_from([0.01, 0.0]), st.floats(0.5, 20))
def test_chunks_lie_within_kept_windows(parts: list[tuple[int, int]], gap: float, seconds: float) -> None:
    """Each chunk has the length, lies within kept windows of one song, and overlaps its neighbour by at most half."""
    window = 2.0
    named = {
        f"{song}-{number}.png": ExportItem(Path(), f"{song}", Path(f"{song}"), number * window, window - gap)
        for song, number in parts
    }
    cut, left_out = chunks(named, seconds)
    assert len({chunk.name for chunk in cut}) == len(cut)
    kept = {song: sorted(number for other, number in parts if other == song) for song, _ in parts}
    stretches = sum(1 for numbers in kept.values() for number in numbers if number - 1 not in numbers)
    assert left_out <= stretches
    for chunk in cut:
        assert chunk.duration == seconds
        covered = range(int((chunk.start + 1e-6) // window), int((chunk.start + seconds - 0.06) // window) + 1)
        assert set(covered) <= set(kept[int(str(chunk.source))])
        assert chunk.caption == str(chunk.source)
        assert re.fullmatch(r"\d-\d+(_\d{5}ms)?", chunk.name)
    for one, two in itertools.pairwise(cut):
        if one.source == two.source:
            assert two.start - one.start >= seconds / 2 - 1e-6


@given(PARTS)
def test_each_window_is_a_chunk_without_a_chunk_length(parts: list[tuple[int, int]]) -> None:
    named = {f"{a}-{b}.png": ExportItem(Path(), "c", Path(f"{a}"), b * 2.0, 1.99) for a, b in parts}
    cut, left_out = chunks(named, None)
    assert left_out == 0
    assert [(c.name + ".png", c.start, c.duration) for c in cut] == [(n, i.start, i.duration) for n, i in named.items()]
