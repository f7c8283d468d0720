"""Names in files made by others, and special files."""

from __future__ import annotations

import json
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from riffusion_ext.addresses import Address
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.regular import check_regular, open_regular, read_regular
from riffusion_ext.validation.json_text import MAX_DEPTH, loads
from riffusion_ext.validation.names import bare_name, below, check_folders, is_bare, is_below, is_link, is_relative

LEADS_ELSEWHERE = [
    *("", ".", "..", "/", "\\", "../x.png", "..\\x.png", "/etc/x.png", "C:x.png", "C:\\x.png", "C:/x.png"),
    *(
        "\\\\server\\share\\x.png",
        "//server/x.png",
        "\\\\?\\C:\\x",
        "a/../../x.png",
        "a//x.png",
        "./x.png",
        "x/",
        "x\\",
    ),
    *("NUL", "nul.png", "Con", "COM1.txt", "com¹", "LPT9", "aux.tar.gz", "CONIN$", "prn .png", "x.", "x ", "x.png. ."),
    *("x.png:stream", "x\0.png", "x\n.png", "\x7f", "x" * 256, "ä" * 200, "\ud800.png", "x" * 10**6),
]
FINE = [
    "x.png",
    "a b.png",
    ".hidden",
    "..x",
    "x..y",
    "nulls.png",
    "com10",
    "ä.png",
    "x" * 255,
    "con-x.png",
    "\udce4.png",
]


@pytest.mark.parametrize("name", [*LEADS_ELSEWHERE, None, 1, True, [], {}, b"x"], ids=lambda name: repr(name)[:30])
def test_unsafe_names_are_refused(name: object, tmp_path: Path) -> None:
    assert not is_bare(name)
    assert not is_below(f"pictures/{name}" if isinstance(name, str) and name else name)
    with pytest.raises(RiffusionError, match="an image must be the bare name of a file, got ") as raised:
        bare_name(name, "an image")
    assert len(str(raised.value)) < 120
    with pytest.raises(RiffusionError):
        below(tmp_path, name)


@pytest.mark.parametrize("name", FINE, ids=lambda name: repr(name)[:30])
def test_valid_file_names_are_accepted(name: str, tmp_path: Path) -> None:
    if sys.platform == "win32" and "\udce4" in name:
        pytest.skip("no name on Windows")
    assert bare_name(name, "it") == name
    assert below(tmp_path, f"a/{name}") == tmp_path / "a" / name


def test_song_names_invalid_on_another_system_are_accepted() -> None:
    assert all(map(is_relative, ["AC:DC/Who?.mp3", "a./b .mp3", "NUL.wav"])) or sys.platform == "win32"
    for name in ("../x", "a/../../x", "..\\x", "/x", "", ".", "x\0", "\ud800", "x" * 10**5, None, 5):
        assert not is_relative(name), name


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")
def test_links_inside_the_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "set" / "pictures").symlink_to(tmp_path / "elsewhere")
    assert is_link(tmp_path / "set" / "pictures")
    assert not is_link(tmp_path / "set")
    for name in ("pictures/x.png", "pictures/a/x.png"):
        with pytest.raises(RiffusionError, match="is a link to another place"):
            below(tmp_path / "set", name)
    assert below(tmp_path / "set", "others/x.png").name == "x.png"
    (tmp_path / "link").symlink_to(tmp_path / "set")  # the folder named by the user may be a link
    check_folders(tmp_path / "link", tmp_path / "link" / "others")


# --- files -----------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["pipe", "socket", "device", "folder", "linked pipe"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Yield the path of a special file: pipe, device, socket or folder."""
    if sys.platform == "win32":
        pytest.skip("Windows has none of them among files")
    path = tmp_path / "x.wav"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "linked pipe":
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    elif request.param == "folder":
        path.mkdir()
    else:
        here = Path.cwd()
        os.chdir(tmp_path)  # names of sockets must be short
        listening = socket.socket(socket.AF_UNIX)
        listening.bind("x.wav")
        os.chdir(here)
        yield path
        listening.close()
        return
    yield path


def test_only_regular_files_are_opened(no_file: Path) -> None:
    for act in (check_regular, open_regular, read_regular):
        with pytest.raises(OSError, match=r"it is .*, not a file"):
            act(no_file)


def test_every_reader_refuses_special_files(no_file: Path) -> None:
    """Without the check, these calls would block or read without end."""
    from riffusion_ext.audio.io import read_audio, read_tags, sound_length, sound_shape
    from riffusion_ext.audio.stream import read_pieces
    from riffusion_ext.commands.shared.generation import score_of
    from riffusion_ext.commands.shared.options import UsageError
    from riffusion_ext.dataset.captions.sidecars import read_sidecars
    from riffusion_ext.dataset.captions.tags import song_tags
    from riffusion_ext.generate.restore import settings_in
    from riffusion_ext.spectrogram.image import is_intact_png, read_image

    for act in (read_audio, read_tags, sound_length, sound_shape, read_pieces, read_image, settings_in):
        with pytest.raises(RiffusionError):
            act(no_file)
    with pytest.raises(UsageError):
        score_of([str(no_file)])
    assert not is_intact_png(no_file, 1, 1)
    assert song_tags(no_file).fields == {}
    no_file.rename(no_file.with_suffix(".json"))
    fields, notes = read_sidecars(no_file.with_suffix(".mp3"))
    assert fields == {}
    assert "not a file" in notes[0]


def test_file_replaced_while_it_is_opened_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if sys.platform == "win32":
        pytest.skip("no named pipes among files")
    path, other = tmp_path / "x.wav", tmp_path / "file"
    os.mkfifo(path)
    other.write_bytes(b"x")
    looked = Path.stat
    monkeypatch.setattr(Path, "stat", lambda self, **how: looked(other if self == path else self, **how))
    with pytest.raises(OSError, match="a named pipe, not a file"):
        open_regular(path)


def test_regular_files_are_read_up_to_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\r\nabc\x1a")
    assert read_regular(path) == read_regular(path, 6) == b"\r\nabc\x1a"
    assert stat.S_ISREG(check_regular(path).st_mode)
    with pytest.raises(OSError, match="more than 5 bytes"):
        read_regular(path, 5)
    for name in ("a\0b", "\ud800"):
        with pytest.raises(OSError, match="no file can have that name"):
            open_regular(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "absent")


# --- texts -----------------------------------------------------------------------------------------------------------


def test_json_nesting_is_limited() -> None:
    deep = {"a": [1, {"b": None}]}
    assert loads(json.dumps(deep)) == deep
    assert loads("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    for depth in (MAX_DEPTH + 1, 900, 100_000):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            with pytest.raises(ValueError, match="nested deeper"):
                loads(opening * depth + "1" + closing * depth)


@pytest.mark.parametrize("part", ["\ud800", "\0", "\n", "\u202e", " ", "\x7f"], ids=ascii)
@pytest.mark.parametrize(
    "form", ["http://a{}b:7860", "http://u{}:p@h", "http://u:p{}@h", "http://h/{}x", "http://h:78{}60"]
)
def test_addresses_with_forbidden_characters_are_refused(form: str, part: str) -> None:
    with pytest.raises(RiffusionError, match="an address of a webui looks like"):
        Address.parse(form.format(part))


def test_addresses_are_encoded_as_ascii() -> None:
    address = Address.parse("http://münchen.local:7860/ä b".replace(" ", ""))
    assert address.url == "http://xn--mnchen-3ya.local:7860/%C3%A4b"
    assert address.host == "xn--mnchen-3ya.local"
    assert Address.parse("http://h/a%20b/").url == "http://h/a%20b"
    with pytest.raises(RiffusionError):
        Address.parse("http://" + "ä" * 100)
    with pytest.raises(RiffusionError):
        Address.parse("http://h/" + "x" * 10**6)
