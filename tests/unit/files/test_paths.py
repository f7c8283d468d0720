"""Expanding lists of file names, and the names of results."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio.formats import ffmpeg
from riffusion_ext.files.kinds import SOUND_SUFFIXES, passed_over_line
from riffusion_ext.files.paths import (
    IMAGE_SUFFIXES,
    expand,
    folders_below,
    is_folder_name,
    matches_any,
    natural_key,
    shorten_name,
    user_path,
)


def touch(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return paths


def test_numbers_in_names_sort_by_value_and_case_is_ignored():
    names = ["img10.png", "img2.png", "IMG1.png", "img2b.png", "a.png", "10.png", "9.png"]
    assert sorted(names, key=natural_key) == [
        "9.png",
        "10.png",
        "a.png",
        "IMG1.png",
        "img2.png",
        "img2b.png",
        "img10.png",
    ]


@given(st.lists(st.integers(0, 10**30)))
def test_numbers_are_ordered_by_value(numbers: list[int]):
    assert sorted((f"tile {n}.png" for n in numbers), key=natural_key) == [f"tile {n}.png" for n in sorted(numbers)]


@given(st.lists(st.text(max_size=20)))
def test_natural_order_is_total_for_any_names(names: list[str]):
    assert sorted(sorted(names, key=natural_key), key=natural_key) == sorted(names, key=natural_key)


def test_folder_gives_its_images_in_natural_order(tmp_path: Path):
    touch(tmp_path, "b10.png", "b2.PNG", "b1.jpeg", "notes.txt", "._b1.png", "sub/c.png")
    files, missing = expand([tmp_path], IMAGE_SUFFIXES)
    assert [path.name for path in files] == ["b1.jpeg", "b2.PNG", "b10.png"]
    assert missing == []


def test_patterns_and_lists_of_patterns_are_expanded(tmp_path: Path):
    touch(tmp_path, "a10.png", "a2.png", "b.jpg", "c.txt", "sub/d.png")
    files, _ = expand([f"{tmp_path}/*.jpg, {tmp_path}/*.png"], IMAGE_SUFFIXES)
    assert [path.name for path in files] == ["b.jpg", "a2.png", "a10.png"]
    files, _ = expand([f"{tmp_path}/**/*.png"], IMAGE_SUFFIXES)
    assert [path.name for path in files] == ["a2.png", "a10.png", "d.png"]


def test_files_in_shell_order_are_sorted_naturally_on_request(tmp_path: Path):
    names = touch(tmp_path, "clip_1.png", "clip_10.png", "clip_2.png")
    assert [path.name for path in expand(names, IMAGE_SUFFIXES)[0]] == ["clip_1.png", "clip_10.png", "clip_2.png"]
    files, _ = expand(names, IMAGE_SUFFIXES, sort_named=True)
    assert [path.name for path in files] == ["clip_1.png", "clip_2.png", "clip_10.png"]


def test_folders_and_patterns_keep_their_position(tmp_path: Path):
    z10, z2, b, a = touch(tmp_path, "z10.png", "z2.png", "second/b.png", "first/a.png")
    names = [z10, z2, f"{tmp_path}/second", f"{tmp_path}/first/*.png", "x" * 300]
    assert expand(names, IMAGE_SUFFIXES, sort_named=True)[0] == [z2, z10, b, a]


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        *((name, True) for name in ("out/", "out\\", "out", "{}", "y" * 300)),
        *((name, False) for name in ("{}/out.wav", "out.d", "y" * 300 + ".wav")),
    ],
)
def test_output_names_that_mean_a_folder_are_recognised(name: str, folder: bool, tmp_path: Path):
    there = tmp_path / "there.wav"
    there.mkdir()
    assert is_folder_name(name.format(there)) == folder


def test_existing_file_wins_over_a_pattern_of_that_name(tmp_path: Path):
    (path,) = touch(tmp_path, "take [1], final*.png")
    assert expand([path], IMAGE_SUFFIXES) == ([path], [])


def test_file_named_twice_is_listed_once(tmp_path: Path):
    (path,) = touch(tmp_path, "a.png")
    assert expand([path, tmp_path, f"{tmp_path}/*.png"], IMAGE_SUFFIXES)[0] == [path]


@pytest.mark.parametrize(
    ("name", "why"),
    [("none.png", "no such file"), ("*.gif", "matches no file"), ("empty", "holds no file"), ("x" * 300 + ".png", "")],
)
def test_names_without_files_give_the_reason(tmp_path: Path, name: str, why: str):
    (tmp_path / "empty").mkdir()
    files, missing = expand([f"{tmp_path}/{name}"], IMAGE_SUFFIXES)
    assert files == []
    assert len(missing) == 1
    assert why in missing[0][1]


@given(st.text(min_size=1, max_size=400), st.sampled_from([".wav", "_00012.png"]))
def test_shortened_names_fit_into_240_bytes(stem: str, ending: str):
    name = shorten_name(stem, ending)
    assert name.endswith(ending)
    assert len(name) > len(ending)
    assert len(name.encode("utf-8", "surrogateescape")) <= 240


def test_short_names_are_unchanged():
    assert shorten_name("sax 🎷 'solo'", ".wav") == "sax 🎷 'solo'.wav"


@pytest.mark.parametrize("ending", [".aifc", ".w64", ".caf", ".voc", ".mp2", ".WAV ", ".mp3 . ", ".rf64"])
def test_all_sound_formats_in_a_folder_are_listed(tmp_path: Path, ending: str):
    (path,) = touch(tmp_path, f"song{ending}")
    passed: list[Path] = []
    assert expand([tmp_path], SOUND_SUFFIXES, passed=passed) == ([path], [])
    assert passed == []


@pytest.mark.parametrize("ending", [".wv", ".tta", ".mka", ".ape"])
def test_formats_of_ffmpeg_are_accepted_when_it_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
):
    (path,) = touch(tmp_path, f"song{ending}")
    monkeypatch.setenv(ffmpeg.VARIABLE, "/somewhere/ffmpeg")
    assert expand([tmp_path], SOUND_SUFFIXES)[0] == [path]
    monkeypatch.setenv(ffmpeg.VARIABLE, "")
    passed: list[Path] = []
    assert expand([tmp_path], SOUND_SUFFIXES, passed=passed)[0] == []
    assert passed_over_line(passed) == f"1 file passed over: 1 {ending} (song{ending}; needs ffmpeg)"


def test_one_line_names_skipped_files(tmp_path: Path):
    touch(
        tmp_path, "a.wav", "a.txt", "captions.csv", "cover.jpg", ".hidden.xyz", "b.mid", "c.MID", "noext", "sub/x.mid"
    )
    passed: list[Path] = []
    expand([tmp_path, tmp_path, f"{tmp_path}/*.mid"], SOUND_SUFFIXES, passed=passed)
    assert [path.name for path in passed] == ["c.MID", "noext"], "explicitly named files are not skipped"
    expand([tmp_path], SOUND_SUFFIXES, passed=(again := []))
    assert passed_over_line(again) == "3 files passed over: 2 .mid (b.mid, ...), 1 without suffix (noext)"


def test_known_results_in_a_folder_are_not_reported_as_skipped(tmp_path: Path):
    touch(tmp_path, "a.png", "a.wav", "b.mp3", "c.heic")
    for suffixes, names in ((IMAGE_SUFFIXES, ["c.heic"]), (SOUND_SUFFIXES, ["c.heic"])):
        expand([tmp_path], suffixes, passed=(passed := []))
        assert [path.name for path in passed] == names


def test_links_to_folders_are_followed_once(tmp_path: Path):
    touch(tmp_path, "top/a.wav", "top/sub/b.wav", "other/c.wav", "other/deep/d.wav")
    for link, target in (
        ("top/x", "other"),
        ("top/y", "other"),
        ("top/again", "top"),
        ("top/up", "."),
        ("top/1", "top/sub"),
    ):
        (tmp_path / link).symlink_to(tmp_path / target)
    (tmp_path / "other/deep/back").symlink_to(tmp_path / "other")
    found = [
        str((folder / name).relative_to(tmp_path))
        for folder, names in folders_below(tmp_path / "top")
        for name in names
    ]
    assert sorted(found) == ["top/a.wav", "top/sub/b.wav", "top/x/c.wav", "top/x/deep/d.wav"]
    files, _ = expand([f"{tmp_path}/top/**/*.wav"], SOUND_SUFFIXES)
    assert sorted(str(path.relative_to(tmp_path)) for path in files) == sorted(found)


@pytest.mark.parametrize(
    "pattern", ["take [1]*.wav", "[2020] Album/*.wav", "[2020] Album/take [12].wav", "**/take [[]1].wav"]
)
def test_brackets_in_patterns_may_be_literal(tmp_path: Path, pattern: str):
    touch(tmp_path, "take [1].wav", "[2020] Album/take 1.wav", "[2020] Album/take 2.wav")
    assert expand([f"{tmp_path}/{pattern}"], SOUND_SUFFIXES)[0], pattern


def test_matching_brackets_are_a_pattern_before_a_literal_name(tmp_path: Path):
    one, _ = touch(tmp_path, "take 1.wav", "take [1].wav")
    assert expand([f"{tmp_path}/take [1].wa[v]"], SOUND_SUFFIXES)[0] == [one]
    assert matches_any("take [1].png", "take [1]*.png")
    assert matches_any("take 1.png", "take [1]*.png")


def test_comma_may_be_part_of_a_name(tmp_path: Path):
    (path,) = touch(tmp_path, "Hello, World (1).wav")
    assert expand([f"{tmp_path}/Hello, World*.wav"], SOUND_SUFFIXES)[0] == [path]


def test_names_starting_with_a_tilde_are_files_unless_a_user_exists(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (path,) = touch(Path(), "~tilde.wav")
    assert expand(["~tilde.wav"], SOUND_SUFFIXES) == ([path], [])
    assert expand(["~til*.wav"], SOUND_SUFFIXES) == ([path], [])
    assert expand(["~nosuchuser.wav"], SOUND_SUFFIXES)[1][0][1] == "no such file or folder: ~nosuchuser.wav"
    assert user_path("~nosuchuser/x.wav") == Path("~nosuchuser/x.wav")
    assert user_path("~/x.wav") == tmp_path / "home" / "x.wav"
    assert not is_folder_name("~tilde.wav")
