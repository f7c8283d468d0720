"""Caption files beside songs, in common formats and encodings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riffusion_ext.dataset.captions.fields import SONG_FIELDS
from riffusion_ext.dataset.captions.sidecars import TABLE_NAMES, read_sidecars, read_tables


def song(folder: Path, name: str = "song.mp3") -> Path:
    return folder / name


def write(path: Path, text: str, encoding: str = "utf-8") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode(encoding))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_captions_in_any_encoding_are_read(tmp_path: Path, encoding: str) -> None:
    write(tmp_path / "song.txt", "Genre: Schlager\nein müdes Lied\r\n", encoding)
    fields, notes = read_sidecars(song(tmp_path))
    assert fields == {"genre": "Schlager", "song_caption": "ein müdes Lied"}
    unmarked = encoding in ("cp1252", "utf-16-le", "utf-16-be")
    assert len(notes) == unmarked
    assert all(note.startswith("song.txt: it is not UTF-8 and was read as ") for note in notes)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("slow waltz with fiddle", {"song_caption": "slow waltz with fiddle"}),
        ("slow waltz\nfiddle\n\n", {"song_caption": "slow waltz, fiddle"}),
        ("A slow waltz.\nWith fiddle,\nand drums", {"song_caption": "A slow waltz. With fiddle, and drums"}),
        ("Artist: A: B\nBPM: 90.4\nInitial Key: 8A", {"artist": "A: B", "bpm": "90", "key": "A minor"}),
        ("BPM: 90\nslow: very slow", {"bpm": "90", "song_caption": "slow: very slow"}),
        ("caption: slow\nfiddle", {"song_caption": "slow"}),
        ("artist: unknown artist\nbpm: ", {}),
        ("", {}),
        (" \n\u200b\n", {}),
    ],
)
def test_text_sidecars_give_fields_and_captions(tmp_path: Path, text: str, fields: dict[str, str]) -> None:
    write(tmp_path / "song.txt", text)
    assert read_sidecars(song(tmp_path)) == (fields, ())


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        ("slow", {"song_caption": "slow"}),
        (["slow", "fiddle"], {"song_caption": "slow, fiddle"}),
        ({"title": "T", "bpm": 90, "tags": ["a", "b"]}, {"title": "T", "bpm": "90", "song_caption": "a, b"}),
        ({"key": "", "name": "n", "description": "d", "keywords": "k", "moods": []}, {"song_caption": "d"}),
        ({"format": {"duration": "3", "tags": {"ARTIST": "A"}}}, {"artist": "A"}),
        ({"title": "T", "tags": {"title": "U", "genre": "g"}}, {"title": "T", "genre": "g"}),
        (None, {}),
        (7, {"song_caption": "7"}),
    ],
)  # fmt: skip
def test_json_sidecars_give_fields_and_captions(tmp_path: Path, content: object, fields: dict[str, str]) -> None:
    write(tmp_path / "song.json", json.dumps(content))
    assert read_sidecars(song(tmp_path)) == (fields, ())


def test_json_wins_over_text_and_short_names_over_long_ones(tmp_path: Path) -> None:
    write(tmp_path / "song.json", '{"title": "1"}')
    write(tmp_path / "song.mp3.json", '{"title": "2", "genre": "2"}')
    write(tmp_path / "song.txt", "title: 3\ngenre: 3\nyear: 2003")
    write(tmp_path / "song.mp3.txt", "title: 4\nyear: 2004\nbpm: 4")
    assert read_sidecars(song(tmp_path))[0] == {"title": "1", "genre": "2", "year": "2003", "bpm": "4"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\xff\xfe\x00", "truncated data"),
        (b"ID3\x04\0\0\0\0\0\x7f\0\0\0", "it has NUL bytes, so it is no text"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"a": ', "Expecting value"),
        (b" " * ((1 << 20) + 1), "it has 1048577 bytes, more than 1048576"),
    ],
)
def test_unusable_sidecars_are_skipped_with_a_note(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "song.json").write_bytes(data)
    write(tmp_path / "song.txt", "slow")
    fields, (note,) = read_sidecars(song(tmp_path))
    assert fields == {"song_caption": "slow"}
    assert note.startswith("song.json was passed over: ")
    assert why in note
    assert len(note.splitlines()) == 1


def test_folder_named_like_a_sidecar_is_skipped_with_a_note(tmp_path: Path) -> None:
    (tmp_path / "song.txt").mkdir()
    fields, (note,) = read_sidecars(song(tmp_path))
    assert fields == {}
    assert note == "song.txt was passed over: it is a folder, not a file"


# --- tables ----------------------------------------------------------------------------------------------------------

ROWS = {"song.mp3": {"artist": "A", "song_caption": "slow, sad"}, "b/other.ogg": {"bpm": "90"}}
CSV = 'file{0}Artist{0}caption{0}bpm\nsong.mp3{0}A{0}"slow, sad"{0}\n\nb/other.ogg{0}{0}{0}90\n'


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_with_any_delimiter_are_read(tmp_path: Path, delimiter: str, encoding: str) -> None:
    write(tmp_path / "captions.csv", CSV.format(delimiter), encoding)
    assert read_tables(song(tmp_path)) == (ROWS["song.mp3"], ())
    assert read_tables(tmp_path / "b" / "other.ogg", tmp_path) == (ROWS["b/other.ogg"], ())
    assert read_tables(tmp_path / "b" / "other.ogg") == ({}, ())


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\r\nfile_name;text\r\nsong.mp3;slow, sad\r\n",
        "song.mp3,slow,sad\nother.mp3,fast\n",
        '"a;b;c;d.mp3",fast\nsong.mp3,"slow, sad"\n',
        'Caption,File Path\n"slow, sad",song.mp3\n',
        "caption\tpath\nslow, sad\tC:\\Music\\SONG.MP3\n",
        'name,prompt\nsong,"slow,\n sad"\n',
        'file,caption\n./song.mp3,"slow, sad"\nsong.mp3,fast\n',
        'file,caption,extra\nother.mp3\nsong.mp3,"slow, sad",1,2,3\n',
    ],
)
def test_tables_of_many_programs_are_read(tmp_path: Path, text: str) -> None:
    write(tmp_path / "captions.csv", text)
    assert read_tables(song(tmp_path)) == ({"song_caption": "slow, sad"}, ())


@pytest.mark.parametrize(
    "content",
    [
        {"song.mp3": "slow"},
        {"song": ["slow"]},
        {"SONG.mp3": {"caption": "slow"}, "x.mp3": {}},
        [{"file": "song.mp3", "caption": "slow"}],
        [{"file_name": "x.wav", "text": "y"}, {"file_name": "song.mp3", "text": "slow"}],
        {"version": 1, "songs": [{"path": "/data/song.mp3", "prompt": "slow"}]},
        [["song.mp3", "slow"]],
    ],
)
def test_json_tables_of_many_shapes_are_read(tmp_path: Path, content: object) -> None:
    write(tmp_path / "captions.json", json.dumps(content))
    assert read_tables(song(tmp_path)) == ({"song_caption": "slow"}, ())


def test_json_lines_tables_are_read(tmp_path: Path) -> None:
    write(
        tmp_path / "captions.jsonl",
        '{"file_name": "x.mp3", "text": "fast"}\n{"file_name": "song.mp3", "text": "slow"}\n',
    )
    assert read_tables(song(tmp_path)) == ({"song_caption": "slow"}, ())


def test_composed_and_decomposed_accents_match(tmp_path: Path) -> None:
    write(tmp_path / "captions.json", json.dumps({"Ame\u0301lie.mp3": "slow"}))
    assert read_tables(tmp_path / "Am\u00e9lie.mp3")[0] == {"song_caption": "slow"}


def test_nearest_table_wins_and_a_bare_name_means_its_own_folder(tmp_path: Path) -> None:
    write(tmp_path / "captions.csv", "file,artist,genre\nalbum/01.mp3,far,folk\n01.mp3,wrong,wrong\n")
    write(tmp_path / "album" / "captions.csv", "file,artist\n01.mp3,near\n")
    assert read_tables(tmp_path / "album" / "01.mp3", tmp_path)[0] == {"artist": "near", "genre": "folk"}
    # Tables in folders that do not contain the song are not read.
    assert read_tables(tmp_path / "album" / "01.mp3", tmp_path / "else")[0] == {"artist": "near"}


def test_changed_table_is_read_again(tmp_path: Path) -> None:
    write(tmp_path / "captions.json", '{"song": "slow"}')
    assert read_tables(song(tmp_path))[0] == {"song_caption": "slow"}
    write(tmp_path / "captions.json", '{"song": "faster"}')
    assert read_tables(song(tmp_path))[0] == {"song_caption": "faster"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("artist,caption\nA,slow\n", "its first row names no column of files (file, file name, filename)"),
        ("", "it is empty"),
        ("file,caption\nsong.mp3," + "x" * 200_000, "field larger than field limit"),
    ],
)
def test_unusable_table_is_skipped_with_a_note(tmp_path: Path, text: str, why: str) -> None:
    write(tmp_path / "captions.csv", text)
    fields, (note,) = read_tables(song(tmp_path))
    assert fields == {}
    assert note.startswith("captions.csv was passed over: ")
    assert why in note


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=80)
    | st.text(st.sampled_from(list('{}[],;:"\n\tsong.mp3filecaption12\\u')), max_size=80).map(str.encode)
)
def test_damaged_sidecars_never_raise(tmp_path: Path, data: bytes) -> None:
    for name in ("song.txt", "song.json", *TABLE_NAMES):
        (tmp_path / name).write_bytes(data)
    for fields, notes in (read_sidecars(song(tmp_path)), read_tables(song(tmp_path), tmp_path)):
        assert fields.keys() <= set(SONG_FIELDS)
        assert all(len(note.splitlines()) == 1 for note in notes)
