"""ID3 tags: written by the standard, and read as other programs write them."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio.formats.id3 import build_tag, read_tag, tag_size
from riffusion_ext.audio.tags import TAG_NAMES

texts = st.text(st.characters(exclude_characters="\0\ufeff", codec="utf-8"), min_size=1, max_size=400)


def tag(version: int, frames: bytes, flags: int = 0, size: int | None = None) -> io.BytesIO:
    size = len(frames) if size is None else size
    return io.BytesIO(struct.pack(">3s3B4s", b"ID3", version, 0, flags, synchsafe(size)) + frames + b"\xff\xfb")


def synchsafe(number: int) -> bytes:
    return bytes([number >> 21 & 127, number >> 14 & 127, number >> 7 & 127, number & 127])


def frame3(name: bytes, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">4sIH", name, len(body), flags) + body


def frame4(name: bytes, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">4s4sH", name, synchsafe(len(body)), flags) + body


@given(st.dictionaries(st.sampled_from(TAG_NAMES), texts))
def test_written_id3_tags_are_read_back(tags: dict[str, str]) -> None:
    built = build_tag(tags)
    assert read_tag(io.BytesIO(built + b"\xff\xfb\x90\x00")) == tags
    assert tag_size(built[:10]) == len(built)


def test_written_tag_has_the_specified_bytes() -> None:
    built = build_tag({"title": "é" * 100, "comment": "c"})
    assert built[:10] == b"ID3\4\0\0" + synchsafe(len(built) - 10)
    assert built[10:22] == b"TIT2" + synchsafe(201) + b"\0\0\3\xc3"  # a plain number would be 0xC9
    assert built.endswith(b"COMM" + synchsafe(6) + b"\0\0\3eng\0c")
    assert build_tag({}) == b""


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"\0Gr\xf6\xdfe", "Größe"),
        (b"\1" + "Größe".encode("utf-16"), "Größe"),
        (b"\1\xfe\xff" + "日本".encode("utf-16-be"), "日本"),
        (b"\2" + "日本".encode("utf-16-be"), "日本"),
        (b"\3" + "日本".encode(), "日本"),
        (b"\3one\0two", "one"),
        (b"\3ended\0", "ended"),
    ],
)
def test_text_encodings_are_decoded(body: bytes, text: str) -> None:
    assert read_tag(tag(3, frame3(b"TIT2", body))) == {"title": text}
    assert read_tag(tag(4, frame4(b"TIT2", body))) == {"title": text}


def test_frame_sizes_of_version_3_are_plain_numbers() -> None:
    frames = frame3(b"TIT2", b"\0" + b"x" * 300) + frame3(b"TYER", b"\x001999") + bytes(20)
    assert read_tag(tag(3, frames)) == {"title": "x" * 300, "date": "1999"}


@pytest.mark.parametrize(
    "own", [b"\0eng\0own", b"\3deu\0own", b"\1eng" + "\0".encode("utf-16") + "own".encode("utf-16")]
)
def test_comment_without_a_description_is_used(own: bytes) -> None:
    others = frame3(b"COMM", b"\0engiTunNORM\0 0001"), frame3(b"COMM", b"\0engnote\0mine")
    assert read_tag(tag(3, others[0] + frame3(b"COMM", own) + others[1])) == {"comment": "own"}


def test_comment_in_a_user_defined_text_frame_is_read() -> None:
    frames = frame4(b"TXXX", b"\3comment\0kept") + frame4(b"TXXX", b"\3mood\0good")
    assert read_tag(tag(4, frames)) == {"comment": "kept"}


def test_extended_headers_are_skipped() -> None:
    assert read_tag(tag(4, synchsafe(6) + b"\1\0" + frame4(b"TIT2", b"\3a"), 0x40)) == {"title": "a"}
    assert read_tag(tag(3, struct.pack(">I", 6) + bytes(6) + frame3(b"TIT2", b"\0a"), 0x40)) == {"title": "a"}


def test_unsynchronised_text_is_decoded() -> None:
    body = b"\0" + b"\xff\xe0y"
    stuffed = body.replace(b"\xff", b"\xff\0")
    assert read_tag(tag(4, frame4(b"TIT2", stuffed, 0x02), 0x80)) == {"title": "ÿày"}
    whole = frame3(b"TIT2", body).replace(b"\xff", b"\xff\0")
    assert read_tag(tag(3, whole, 0x80)) == {"title": "ÿày"}


def test_data_length_and_group_of_a_frame_are_skipped() -> None:
    assert read_tag(tag(4, frame4(b"TIT2", synchsafe(2) + b"\3a", 0x01))) == {"title": "a"}
    assert read_tag(tag(4, frame4(b"TIT2", b"g\3a", 0x40))) == {"title": "a"}


def test_compressed_and_encrypted_frames_are_left_out() -> None:
    for flag in (0x08, 0x04):
        assert read_tag(tag(4, frame4(b"TIT2", b"\3a", flag) + frame4(b"TPE1", b"\3b"))) == {"artist": "b"}
    assert read_tag(tag(3, frame3(b"TIT2", b"\3a", 0x80) + frame3(b"TPE1", b"\3b"))) == {"artist": "b"}


def test_tag_size_includes_the_footer() -> None:
    assert tag_size(b"ID3\4\0\x10" + synchsafe(300)) == 320
    assert tag_size(b"ID3\4\0\0" + synchsafe(300)) == 310
    assert tag_size(b"\xff\xfb\x90\x00" + bytes(6)) == 0
    assert tag_size(b"ID3") == 0


@given(st.binary(max_size=100), st.sampled_from([2, 3, 4]), st.integers(0, 255))
def test_arbitrary_bytes_never_raise(data: bytes, version: int, flags: int) -> None:
    for frames in (data, frame3(b"COMM", data), frame4(b"TXXX", data), frame4(b"TIT2", data, flags)):
        found = read_tag(tag(version, frames, flags, size=len(frames) + 5))
        assert set(found) <= set(TAG_NAMES)
