"""Tags of songs in every format, synthesised here byte by byte where our own writer has no such field.

Sources: id3.org (ID3v1, v2.3, v2.4), xiph.org (Vorbis comment, FLAC, Ogg), Apple's QuickTime File Format, Microsoft's
ASF Specification.
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.dataset.captions.fields import SONG_FIELDS
from riffusion_ext.dataset.captions.tags import song_tags

TONE = AudioClip(np.sin(np.arange(22050, dtype=np.float32) * 0.06)[None] * 0.5, 22050)
FULL = {
    "title": "Þú ert 曲",
    "artist": "Ærø Ensemble",
    "album": "No. 5",
    "genre": "folk",
    "year": "1994",
    "bpm": "96",
    "key": "A minor",
}
BASIC = {name: FULL[name] for name in ("title", "artist", "album", "genre", "year")}


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


# --- our own writer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("tinytag", [True, False])
def test_written_tags_are_read_back(tmp_path: Path, monkeypatch, suffix: str, tinytag: bool) -> None:
    if not tinytag:
        monkeypatch.setitem(sys.modules, "tinytag", None)
    tags = {name: BASIC[name] for name in ("title", "artist", "album", "genre")} | {"date": "1994-05-01"}
    path = write_audio(TONE, tmp_path / f"song.{suffix}", tags={**tags, "comment": "said", "software": "made by"})
    assert song_tags(path).fields == BASIC


def test_format_is_recognised_by_content_not_by_suffix(tmp_path: Path) -> None:
    flac = write_audio(TONE, tmp_path / "song.flac", tags={"title": "x"})
    for suffix in ("mp3", "wav", "m4a", "dat"):
        assert song_tags(write(tmp_path / f"song.{suffix}", flac.read_bytes())).fields == {"title": "x"}
        assert song_tags(write(tmp_path / f"apple.{suffix}", m4a())).fields == FULL


def test_files_recognised_only_by_suffix_are_read(tmp_path: Path, mp3: bytes) -> None:
    assert song_tags(write(tmp_path / "song.mp3", b"\0" * 40 + mp3 + id3v1())).fields == ID3V1


# --- ID3 -------------------------------------------------------------------------------------------------------------

FRAMES = {"TIT2": "title", "TPE1": "artist", "TALB": "album", "TCON": "genre", "TBPM": "bpm"}


def synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 127 for shift in (21, 14, 7, 0))


def id3v2(version: int, frames: dict[str, bytes]) -> bytes:
    body = b""
    for name, content in frames.items():
        length = synchsafe(len(content)) if version == 4 else len(content).to_bytes(4, "big")
        body += name.encode() + length + b"\0\0" + content
    return b"ID3" + bytes([version, 0, 0]) + synchsafe(len(body)) + body


@pytest.fixture(scope="module")
def mp3(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_audio(TONE, tmp_path_factory.mktemp("mp3") / "plain.mp3").read_bytes()


@pytest.mark.parametrize(
    ("version", "encoding", "year"),
    [(3, 1, "TYER"), (4, 3, "TDRC"), (4, 1, "TDRC"), (4, 2, "TDRC")],
)
def test_id3v2_tags_are_read_in_all_versions_and_encodings(
    tmp_path: Path, mp3: bytes, version: int, encoding: int, year: str
) -> None:
    codec = ("latin-1", "utf-16", "utf-16-be", "utf-8")[encoding]
    frames = {frame: FULL[name] for frame, name in FRAMES.items()} | {year: "1994", "TKEY": "Am"}
    tag = id3v2(version, {frame: bytes([encoding]) + text.encode(codec) for frame, text in frames.items()})
    assert song_tags(write(tmp_path / "song.mp3", tag + mp3)).fields == FULL


def test_id3v2_genre_numbers_and_multiple_artists_are_read(tmp_path: Path, mp3: bytes) -> None:
    tag = id3v2(3, {"TCON": b"\0(80)", "TPE1": b"\0A", "TBPM": b"\x000"})
    assert song_tags(write(tmp_path / "a.mp3", tag + mp3)).fields == {"genre": "Folk", "artist": "A"}
    tag = id3v2(4, {"TPE1": b"\x03A\0B", "TCON": b"\x03jazz\0funk", "TXXX": b"\x03initialkey\x008A"})
    assert song_tags(write(tmp_path / "b.mp3", tag + mp3)).fields == {
        "artist": "A, B",
        "genre": "jazz, funk",
        "key": "A minor",
    }


ID3V1 = {"title": "Air", "artist": "A", "album": "Al", "year": "1994", "genre": "Folk"}


def id3v1() -> bytes:
    tag = b"TAG" + b"".join(text.ljust(size, b"\0") for text, size in ((b"Air", 30), (b"A", 30), (b"Al", 30)))
    tag += b"1994" + b"".ljust(30, b"\0") + bytes([80])
    assert len(tag) == 128
    return tag


def test_id3v1_tags_are_read(tmp_path: Path, mp3: bytes) -> None:
    assert song_tags(write(tmp_path / "song.mp3", mp3 + id3v1())).fields == ID3V1


# --- Vorbis comments -------------------------------------------------------------------------------------------------


def vorbis_comment(fields: dict[str, str], *names: str) -> bytes:
    texts = [f"{name}={fields[field]}".encode() for name, field in zip(names[::2], names[1::2], strict=True)]
    return struct.pack("<I4sI", 4, b"test", len(texts)) + b"".join(struct.pack("<I", len(t)) + t for t in texts)


COMMENT = vorbis_comment(
    {**FULL, "year": "1994-05", "key": "Am"},
    *("TITLE", "title", "artist", "artist", "Album", "album", "GENRE", "genre", "DATE", "year", "BPM", "bpm"),
    *("INITIALKEY", "key"),
)


def test_flac_tags_are_read(tmp_path: Path) -> None:
    plain = write_audio(TONE, tmp_path / "plain.flac").read_bytes()
    info = plain[4 : 8 + 34]  # STREAMINFO is always the first block, and 34 bytes long
    assert info[:4] in (b"\0\0\0\x22", b"\x80\0\0\x22")
    block = bytes([0x84]) + len(COMMENT).to_bytes(3, "big") + COMMENT
    assert song_tags(write(tmp_path / "song.flac", b"fLaC\0" + info[1:] + block)).fields == FULL


def ogg_page(packet: bytes, number: int) -> bytes:
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    head = b"OggS\0" + bytes([2 if number == 0 else 0]) + struct.pack("<qIIIB", 0, 7, number, 0, len(lacing))
    page = head + lacing + packet
    register = 0
    for byte in page:
        register ^= byte << 24
        for _ in range(8):
            register = (register << 1 ^ (0x04C11DB7 if register >> 31 else 0)) & 0xFFFFFFFF
    return page[:22] + struct.pack("<I", register) + page[26:]


def test_ogg_vorbis_tags_are_read(tmp_path: Path) -> None:
    identity = b"\x01vorbis" + struct.pack("<IBIiiiBB", 0, 1, 22050, 0, 64000, 0, 0xB8, 1)
    pages = ogg_page(identity, 0) + ogg_page(b"\x03vorbis" + COMMENT + b"\x01", 1)
    assert song_tags(write(tmp_path / "song.ogg", pages)).fields == FULL


def test_ogg_opus_tags_are_read(tmp_path: Path) -> None:
    identity = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48000, 0, 0)
    assert (
        song_tags(write(tmp_path / "song.opus", ogg_page(identity, 0) + ogg_page(b"OpusTags" + COMMENT, 1))).fields
        == FULL
    )


# --- MP4, ASF, AIFF --------------------------------------------------------------------------------------------------


def atom(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


def m4a() -> bytes:
    def text(name: bytes, value: str) -> bytes:
        return atom(name, atom(b"data", struct.pack(">II", 1, 0) + value.encode()))

    names = {b"\xa9nam": "title", b"\xa9ART": "artist", b"\xa9alb": "album", b"\xa9gen": "genre", b"\xa9day": "year"}
    items = b"".join(text(name, FULL[field]) for name, field in names.items())
    items += atom(b"tmpo", atom(b"data", struct.pack(">IIH", 21, 0, 96)))
    free = atom(b"mean", b"\0\0\0\0com.apple.iTunes") + atom(b"name", b"\0\0\0\0initialkey")
    items += atom(b"----", free + atom(b"data", struct.pack(">II", 1, 0) + b"8A"))
    handler = atom(b"hdlr", b"\0" * 8 + b"mdirappl" + b"\0" * 9)
    meta = atom(b"meta", b"\0\0\0\0" + handler + atom(b"ilst", items))
    return atom(b"ftyp", b"M4A \0\0\0\0M4A mp42isom") + atom(b"moov", atom(b"udta", meta)) + atom(b"mdat", b"\0" * 64)


def wma() -> bytes:
    def utf16(value: str) -> bytes:
        return value.encode("utf-16-le") + b"\0\0"

    def guided(guid: str, content: bytes) -> bytes:
        return bytes.fromhex(guid) + struct.pack("<Q", 24 + len(content)) + content

    title, artist = utf16(FULL["title"]), utf16(FULL["artist"])
    basic = struct.pack("<5H", len(title), len(artist), 0, 0, 0) + title + artist
    names = {"WM/AlbumTitle": "album", "WM/Genre": "genre", "WM/Year": "year", "WM/BeatsPerMinute": "bpm"}
    values = {name: FULL[field] for name, field in names.items()} | {"WM/InitialKey": "Am"}
    more = struct.pack("<H", len(values))
    for name, value in values.items():
        more += (
            struct.pack("<H", len(utf16(name))) + utf16(name) + struct.pack("<HH", 0, len(utf16(value))) + utf16(value)
        )
    objects = guided("3326b2758e66cf11a6d900aa0062ce6c", basic) + guided("40a4d0d207e3d21197f000a0c95ea850", more)
    head = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<QIBB", 30 + len(objects), 2, 1, 2)
    return head + objects


def aiff() -> bytes:
    frames = {frame: FULL[name] for frame, name in FRAMES.items()} | {"TDRC": "1994", "TKEY": "Am"}
    tag = id3v2(4, {frame: b"\x03" + text.encode() for frame, text in frames.items()})
    common = struct.pack(">hIh", 1, 0, 16) + bytes.fromhex("400dac44000000000000")
    chunks = b"COMM" + struct.pack(">I", len(common)) + common
    chunks += b"ID3 " + struct.pack(">I", len(tag)) + tag + b"\0" * (len(tag) % 2)
    return b"FORM" + struct.pack(">I", 4 + len(chunks)) + b"AIFF" + chunks


@pytest.mark.parametrize(("name", "make"), [("song.m4a", m4a), ("song.wma", wma), ("song.aiff", aiff)])
def test_tags_that_only_tinytag_supports_are_read(tmp_path: Path, monkeypatch, name: str, make) -> None:
    path = write(tmp_path / name, make())
    assert song_tags(path).fields == FULL
    monkeypatch.setitem(sys.modules, "tinytag", None)
    assert "bpm" not in song_tags(path).fields


# --- precedence and bad input ----------------------------------------------------------------------------------------


def test_sidecar_files_win_over_the_tags_of_the_song(tmp_path: Path) -> None:
    path = write_audio(TONE, tmp_path / "song.wav", tags={"title": "in", "artist": "in", "album": "in", "genre": "in"})
    (tmp_path / "captions.csv").write_text("file,title,artist,album\nsong.wav,table,table,table\n")
    (tmp_path / "song.txt").write_text("title: text\nartist: text")
    (tmp_path / "song.json").write_text(json.dumps({"title": "json"}))
    assert song_tags(path).fields == {"title": "json", "artist": "text", "album": "table", "genre": "in"}


def test_table_in_a_parent_folder_is_read_only_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "captions.json").write_text('{"album/song.mp3": "slow"}')
    path = tmp_path / "album" / "song.mp3"
    assert song_tags(path).fields == {}
    assert song_tags(path, tmp_path).fields == {"song_caption": "slow"}
    assert song_tags(str(path), str(tmp_path)).fields == {"song_caption": "slow"}


def test_description_tag_is_not_used_as_a_caption(tmp_path: Path) -> None:
    comment = vorbis_comment({"d": "Buy at example.org", "t": "x"}, "KEYWORDS", "d", "TITLE", "t")
    pages = ogg_page(b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48000, 0, 0), 0) + ogg_page(b"OpusTags" + comment, 1)
    assert song_tags(write(tmp_path / "song.opus", pages)).fields == {"title": "x"}


def test_notes_name_the_files_they_are_about(tmp_path: Path) -> None:
    (tmp_path / "song.txt").write_bytes("müde".encode("cp1252"))
    (tmp_path / "captions.json").write_text("{")
    tags = song_tags(tmp_path / "song.mp3")
    assert tags.fields == {"song_caption": "müde"}
    assert [note.partition(":")[0] for note in tags.notes] == ["song.txt", "captions.json was passed over"]


@pytest.mark.parametrize(
    "name", ["absent.mp3", "folder.mp3", "empty.flac", "text.mp3", "nul\0.mp3", "x" * 400 + ".mp3", ""]
)
def test_unreadable_songs_have_no_tags(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.mp3").mkdir()
    (tmp_path / "empty.flac").touch()
    (tmp_path / "text.mp3").write_text("I am no music, " * 20)
    assert song_tags(tmp_path / name).fields == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(st.sampled_from(["m4a", "wma", "aiff", "mp3", "ogg", "flac", "wav"]), st.data())
def test_damaged_songs_never_raise(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    whole = {
        "m4a": m4a,
        "wma": wma,
        "aiff": aiff,
        "mp3": lambda: id3v2(4, {"TIT2": b"\x03x", "COMM": b"\x03eng\0x", "TXXX": b"\x03a\0b"}),
        "ogg": lambda: ogg_page(b"\x01vorbis" + b"\0" * 23, 0) + ogg_page(b"\x03vorbis" + COMMENT, 1),
        "flac": lambda: b"fLaC\x84" + len(COMMENT).to_bytes(3, "big") + COMMENT,
        "wav": lambda: b"RIFF\x30\0\0\0WAVELIST\x10\0\0\0INFOINAM\x04\0\0\0abc\0" + b"\0" * 20,
    }[suffix]()
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4)):
        if place < len(broken):
            broken[place] = byte
    fields = song_tags(write(tmp_path / f"song.{suffix}", bytes(broken))).fields
    assert fields.keys() <= set(SONG_FIELDS)
    assert all(len(text.splitlines()) == 1 for text in fields.values())


def test_invalid_tempo_is_left_out_with_a_note(tmp_path: Path, mp3: bytes) -> None:
    path = write(tmp_path / "song.mp3", id3v2(3, {"TBPM": b"\x0012800", "TIT2": b"\0x"}) + mp3)
    found = song_tags(path)
    assert found.fields == {"title": "x"}
    assert found.notes == ("song.mp3: its tags say a tempo of 12800, which is none, and was left out",)
    for text, bpm in (("128.00", "128"), ("128,4", "128"), ("~ 96 BPM", "96"), ("0", None), ("", None)):
        write(path, id3v2(3, {"TBPM": b"\0" + text.encode(), "TIT2": b"\0x"}) + mp3)
        assert song_tags(path).fields.get("bpm") == bpm
        assert song_tags(path).notes == ()


def test_utf_8_in_a_latin_1_frame_is_repaired(tmp_path: Path, mp3: bytes) -> None:
    path = write(tmp_path / "song.mp3", id3v2(3, {"TIT2": b"\0" + "F\u00fcr \u00c9lise".encode()}) + mp3)
    assert song_tags(path).fields == {"title": "F\u00fcr \u00c9lise"}
    assert song_tags(path).notes == ("song.mp3: its tags are in UTF-8, not as they say, and were read so",)
