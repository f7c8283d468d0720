"""Names of results, which depend on the inputs alone."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.convert.targets import pair_with_targets, source_name
from riffusion_ext.files.result_names import result_names
from riffusion_ext.metadata import save_image
from riffusion_ext.params import SpectrogramParams


def given_names(*sources: str, there: dict[str, str | None] | None = None) -> dict[str, str]:
    files = {f"out/{name}": source for name, source in (there or {}).items()}
    paths = [Path(source) for source in sources]
    targets, _ = result_names(
        paths, lambda source: Path("out"), ".png", made_from=lambda path: files.get(path.as_posix(), "")
    )
    return dict(zip(sources, (path.name for path in targets), strict=True))


def test_unique_names_stay_short():
    assert given_names("a.ogg", "b.aiff", "x/c d.wav ") == {
        "a.ogg": "a.png",
        "b.aiff": "b.png",
        "x/c d.wav ": "c d.png",
    }


def test_order_of_the_inputs_does_not_change_the_names():
    sources = ["song.ogg", "song.aiff", "song_ogg.wav", "x/song.ogg", "SONG.ogg", "other.wav"]
    first = given_names(*sources)
    assert first["other.wav"] == "other.png"
    assert "song.png" not in first.values()
    assert len({name.casefold() for name in first.values()}) == len(sources)
    assert all(given_names(*order) == first for order in permutations(sources))


@pytest.mark.parametrize("order", [("song.ogg", "song.aiff"), ("song.aiff", "song.ogg")])
def test_earlier_result_names_stay_with_their_inputs(order: tuple[str, str]):
    one, other = order
    (suffix,) = {Path(other).suffix[1:]}
    assert given_names(one, other, there={"song.png": one}) == {one: "song.png", other: f"song_{suffix}.png"}
    assert given_names(other, there={"song.png": one}) == {other: f"song_{suffix}.png"}
    assert given_names(other, there={f"song_{suffix}.png": other}) == {other: f"song_{suffix}.png"}
    assert given_names(one, there={"song.png": None}) == {one: "song.png"}, "an older file does not record its source"


def test_taken_name_is_not_used():
    targets, notes = result_names(
        [Path("joined.png"), Path("b.png")], lambda _: Path("o"), ".wav", taken=[Path("o/Joined.wav")]
    )
    assert [path.name for path in targets] == ["joined_png.wav", "b.wav"]
    assert len(notes) == 1


def test_note_names_the_changed_result():
    _, notes = result_names([Path("song.aiff"), Path("song.ogg")], lambda source: source.parent, ".png")
    assert notes == ["song.png would be the result of song.aiff, song.ogg; they are called song_aiff.png, song_ogg.png"]
    assert result_names([Path("a.ogg"), Path("b.ogg")], lambda source: source.parent, ".png")[1] == []


@given(st.lists(st.sampled_from(["a.wav", "a.ogg", "A.ogg", "x/a.wav", "a_wav.ogg", "a_wav_x.ogg", "a"]), max_size=8))
def test_results_never_share_a_name(sources: list[str]):
    targets, _ = result_names([Path(source) for source in sources], lambda source: Path("out"), ".png")
    assert len({str(path).casefold() for path in targets}) == len(sources)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("source", ["song.ogg", "Ænima - 月.mp3", b"x\xff.wav".decode("utf-8", "surrogateescape")])
def test_source_name_is_read_from_the_image(tmp_path: Path, suffix: str, source: str):
    from PIL import Image

    path = tmp_path / f"a{suffix}"
    assert source_name(path) == ""
    save_image(Image.new("RGB", (32, 32)), path, SpectrogramParams(), 1.0, source)
    assert source_name(path) == source
    save_image(Image.new("RGB", (32, 32)), path, SpectrogramParams(), 1.0)
    assert source_name(path) is None
    path.write_bytes(b"no image")
    assert source_name(path) is None


def test_first_tile_gives_the_source_of_all_tiles(tmp_path: Path):
    from PIL import Image

    from riffusion_ext.convert.to_images import tile_path

    first = tile_path(tmp_path / "song.png", 0)
    save_image(Image.new("RGB", (32, 32)), first, SpectrogramParams(), 1.0, "song.aiff")
    pairs, notes = pair_with_targets([Path("song.ogg")], tmp_path, ".png", first=lambda path: tile_path(path, 0))
    assert pairs == [(Path("song.ogg"), tmp_path / "song_ogg.png")]
    assert notes == ["song.png belongs to another input; that of song.ogg is song_ogg.png"]
