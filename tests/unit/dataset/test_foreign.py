"""Training sets made by others: whatever names they contain, no file outside of them is written or removed."""

from __future__ import annotations

import copy
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riffusion_ext.dataset.contact_sheet import write_sheets
from riffusion_ext.dataset.decisions import merge_review
from riffusion_ext.dataset.export import ledger
from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.review import Decision, decide, open_set
from riffusion_ext.dataset.settings import CurateSettings, DatasetSettings, ExportSettings, SliceSettings
from riffusion_ext.dataset.store import Store
from riffusion_ext.dataset.verify import verify
from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import SpectrogramParams

PARAMS = SpectrogramParams(sample_rate=8000, num_frequencies=64, max_frequency=4000)
SETTINGS = DatasetSettings(
    SliceSettings(PARAMS, 64),
    CurateSettings(transition=None, duplicate=None),
    export=ExportSettings(("dreambooth", "kohya", "diffusers", "audio")),
)
NAMES = [
    *("../../docs/photo.png", "../docs/photo.png", "{docs}/photo.png", "..", ".", "", "pictures/../../docs/photo.png"),
    *(
        "..\\..\\docs\\photo.png",
        "C:photo.png",
        "\\\\server\\photo.png",
        "NUL.png",
        "x.png.",
        "x\0.png",
        "x" * 300 + ".png",
    ),
    *("\ud800.png", "x" * 10**6, "../collection/one.wav", "metadata.jsonl"),
]
WEIRD: list[Any] = [None, True, -1, 1.5, 10**400, "x", "\ud800", [], [[]], {}, {"a": 1}, ["x"], "../../docs/photo.png"]
posix = pytest.mark.skipif(sys.platform == "win32", reason="links need a right there")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, make_song: Callable[..., Path]) -> Path:
    """Return a folder with songs, a training set of them, and foreign files beside it."""
    folder = tmp_path_factory.mktemp("made")
    make_song(folder / "collection" / "one.wav", 2.0, seed=1)
    make_song(folder / "collection" / "two.wav", 2.0, seed=2)
    build(folder / "collection", folder / "sets" / "out", SETTINGS, jobs=1)
    manifest = json.loads((folder / "sets" / "out" / "manifest.json").read_text("utf-8"))
    (folder / "docs").mkdir()
    for name in ("photo.png", *(window["file"] for window in manifest["windows"])):
        (folder / "docs" / name).write_bytes(b"a photo")
        (folder / "docs" / name).with_suffix(".txt").write_bytes(b"about it")
    (folder / "docs" / f".{'0' * 12}.png").write_bytes(b"called like a leftover")
    return folder


@pytest.fixture
def world(made: Path, tmp_path: Path) -> Path:
    """Return a copy of `made`."""
    shutil.copytree(made, tmp_path / "world", symlinks=True)
    source = tmp_path / "world" / "sets" / "out" / ".riffusion" / "source.json"
    source.write_text(source.read_text("utf-8").replace(str(made), str(tmp_path / "world")), "utf-8")
    return tmp_path / "world"


def outside(world: Path) -> dict[str, object]:
    """Return all files outside of the training set by name."""
    found: dict[str, object] = {}
    for top, folders, files in os.walk(world):
        folders[:] = [name for name in folders if Path(top, name) != world / "sets" / "out"]
        for name in (*folders, *files):
            path = Path(top, name)
            found[str(path)] = path.read_bytes() if path.is_file() else None
    return found


def use(world: Path) -> None:
    """Use a training set in every way; refusals must be RiffusionErrors."""
    out = world / "sets" / "out"

    def decide_all(keep: bool) -> None:
        _, manifest = open_set(out)
        decide(out, {window.file: Decision(keep=keep, caption="mine") for window in manifest.windows})

    def look() -> None:
        store, manifest = open_set(out)
        write_sheets(store, manifest, title="x", sounds=1)
        list(verify(store, manifest.kept[:2]))

    for act in (look, lambda: decide_all(False), lambda: decide_all(True), lambda: build_again(world)):
        with suppress(RiffusionError):
            act()


def build_again(world: Path) -> None:
    formats = replace(SETTINGS, export=ExportSettings(()))
    build(world / "collection", world / "sets" / "out", formats, jobs=1)


def change(path: Path, edit: Callable[[Any], None]) -> None:
    values = json.loads(path.read_text("utf-8"))
    edit(values)
    path.write_text(json.dumps(values), "utf-8")


def test_own_training_set_is_used_without_errors(world: Path) -> None:
    before = outside(world)
    _, manifest = open_set(world / "sets" / "out")
    file = manifest.windows[0].file
    decide(world / "sets" / "out", {file: Decision(keep=False)})
    assert decide(world / "sets" / "out", {file: Decision(keep=True)}).kept
    build_again(world)
    assert outside(world) == before


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_unsafe_image_names_in_the_manifest_are_refused(name: str, world: Path) -> None:
    name = name.replace("{docs}", str(world / "docs"))
    before = outside(world)
    for kept in (True, False):
        change(world / "sets" / "out" / "manifest.json", lambda v, k=kept: v["windows"][0].update(file=name, kept=k))
        with pytest.raises(RiffusionError, match=r"manifest\.json is damaged"):
            open_set(world / "sets" / "out")
        use(world)
    assert outside(world) == before


@pytest.mark.parametrize("name", ["../docs/photo.png", "/etc/passwd", "..", "a/../../x", "..\\x", "x\0", ""])
def test_unsafe_song_names_in_the_manifest_are_refused(name: str, world: Path) -> None:
    before = outside(world)
    change(world / "sets" / "out" / "manifest.json", lambda values: values["windows"][0].update(song=name))
    with pytest.raises(RiffusionError, match="a song must be named below its folder"):
        open_set(world / "sets" / "out")
    use(world)
    assert outside(world) == before


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_unsafe_names_in_the_ledgers_touch_no_foreign_file(name: str, world: Path) -> None:
    name = name.replace("{docs}", str(world / "docs"))
    before = outside(world)
    size = (world / "collection" / "one.wav").stat().st_size
    for path in (world / "sets" / "out" / ".export").iterdir():
        entry = [["pending", "size:7", f"size:{size}"], ""]
        change(path, lambda values, e=entry: values["files"].update({name: e, f"pictures/{name}": e}))
        assert (
            name == "metadata.jsonl" or not {name, f"pictures/{name}"} & ledger.load(path.parents[1], path.stem).keys()
        )
    use(world)
    assert outside(world) == before


@pytest.mark.parametrize(
    "name", [name for name in NAMES if name != "metadata.jsonl"], ids=lambda name: ascii(name)[:30]
)
def test_unsafe_names_in_reviews_are_refused(name: str, world: Path) -> None:
    name = name.replace("{docs}", str(world / "docs"))
    before = outside(world)
    for place in ("sets/review.json", "sets/out/review.json"):
        (world / place).write_text(json.dumps({"windows": {name: {"keep": False, "caption": "x"}}}), "utf-8")
    with pytest.raises(RiffusionError, match="must name images"):
        merge_review(Store(world / "sets" / "out"), world / "sets" / "review.json")
    use(world)
    (world / "sets" / "review.json").unlink()
    assert outside(world) == before


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:30])
def test_unsafe_names_in_song_records_touch_no_foreign_file(name: str, world: Path) -> None:
    name = name.replace("{docs}", str(world / "docs"))
    before = outside(world)
    for path in (world / "sets" / "out" / ".riffusion" / "songs").iterdir():
        with np.load(path) as archive:
            arrays = dict(archive)
        values = json.loads(bytes(arrays["record"]))
        values["files"][0] = name
        arrays["record"] = np.frombuffer(json.dumps(values).encode(), np.uint8)
        np.savez(path, **arrays)
        if name != "metadata.jsonl":
            assert Store(world / "sets" / "out").load_record(path.stem) is None
    use(world)
    assert outside(world) == before


FOLDERS = [
    *("pictures", "rejected", ".riffusion", ".riffusion/fresh", ".riffusion/songs", ".export", "kohya", "audio"),
    *("kohya/10_music", ".riffusion/heard", ".riffusion/thumbnails", ".riffusion/loudest", ".riffusion/stems"),
]


@posix
@pytest.mark.parametrize("emptied", [False, True])
@pytest.mark.parametrize("name", FOLDERS)
def test_linked_folders_do_not_lead_to_foreign_files(name: str, emptied: bool, world: Path) -> None:
    out = world / "sets" / "out"
    moved = world / "docs"
    if (out / name).is_dir():
        for path in (out / name).rglob("*"):
            if path.is_file() and not emptied:
                (moved / path.relative_to(out / name)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, moved / path.relative_to(out / name))
        shutil.rmtree(out / name)
    (out / name).parent.mkdir(parents=True, exist_ok=True)
    (out / name).symlink_to(moved)
    before = outside(world)
    use(world)
    assert outside(world) == before


@posix
@pytest.mark.parametrize(
    "name", [".riffusion/lock", ".riffusion/stop", "manifest.json", "review.json", "contact-sheet.html"]
)
def test_linked_files_do_not_change_their_targets(name: str, world: Path) -> None:
    link = world / "sets" / "out" / name
    target = world / "docs" / "target"
    target.write_bytes(link.read_bytes() if link.is_file() and name.endswith("n") else b"{}")
    link.unlink(missing_ok=True)
    link.symlink_to(target)
    before = outside(world)
    use(world)
    assert outside(world) == before


@posix
def test_linked_images_and_captions_are_neither_used_nor_changed(world: Path) -> None:
    out = world / "sets" / "out"
    for path in sorted((out / "pictures").iterdir()):
        if path.suffix in (".png", ".txt"):
            path.unlink()
            path.symlink_to(world / "docs" / path.name)
    assert not any(Store(out).find(path.name) for path in (out / "pictures").glob("*.png"))
    before = outside(world)
    use(world)
    assert outside(world) == before
    exported = [path for place in ("kohya", "audio") for path in (out / place).rglob("*.png")]
    assert all(path.read_bytes() != b"a photo" for path in exported), "it is not copied into the set"


# --- what is written in them -----------------------------------------------------------------------------------------


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each value in JSON; of lists only the first item."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def with_value(values: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy with another value at a path."""
    if not path:
        return value
    changed = copy.deepcopy(values)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return changed


@pytest.mark.parametrize("name", ["manifest.json", ".riffusion/source.json", ".export/kohya.json", "review.json"])
def test_values_of_any_type_are_refused_or_harmless(name: str, world: Path) -> None:
    out = world / "sets" / "out"
    _, manifest = open_set(out)
    decide(out, {manifest.windows[0].file: Decision(keep=True, caption="a")})
    before = outside(world)
    values = json.loads((out / name).read_text("utf-8"))
    deep: Any = []
    for _ in range(200):
        deep = [deep]
    harmless = longest = 0
    for path in places(values):
        for weird in (*WEIRD, deep):
            (out / name).write_text(json.dumps(with_value(values, path, weird)), "utf-8")
            try:
                _, manifest = open_set(out)
                DatasetSettings.from_dict(manifest.settings)
                if harmless % 10 == 0:  # only some of hundreds, because each writes all formats
                    decide(out, {})
                harmless += 1
            except RiffusionError as error:
                longest = max(longest, len(str(error)))
            (out / name).parent.mkdir(exist_ok=True)
    assert longest < 1000
    assert outside(world) == before


@pytest.mark.parametrize(
    "text", ["[" * 10**5, '{"windows":' * 10**5, "1" * 5000, '{"files": {"": [[], ""]}}', "\0", ""]
)
@pytest.mark.parametrize("name", ["manifest.json", "review.json", ".riffusion/source.json", ".export/dreambooth.json"])
def test_invalid_json_touches_no_foreign_file(name: str, text: str, world: Path) -> None:
    (world / "sets" / "out" / name).write_text(text, "utf-8")
    before = outside(world)
    use(world)
    assert outside(world) == before


def test_record_archive_that_expands_too_far_is_not_unpacked(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = world / "sets" / "out"
    path = next((out / ".riffusion" / "songs").iterdir())
    with np.load(path) as archive:
        arrays = dict(archive)
    np.savez_compressed(path, **arrays, more=np.zeros((1 << 28) + 1, np.uint8))
    monkeypatch.setattr(np, "load", lambda *_: pytest.fail("it was unpacked"))
    assert Store(out).load_record(path.stem) is None


# --- the same bytes --------------------------------------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_songs_give_the_same_bytes_of_every_file(made: Path, world: Path) -> None:
    """Including hidden files, independent of the modification times of songs and images."""
    collection, out = world / "collection", world / "sets" / "out"
    first = contents(out)
    assert {".export/kohya.json", ".export/audio.json", ".export/dreambooth.json"} <= first.keys()
    for path in (*collection.rglob("*"), *out.rglob("*")):
        os.utime(path, (1e9, 1e9))
    again = build(collection, out, SETTINGS, jobs=1)
    assert contents(out) == first
    assert again.exported.written == 0, "existing files are not written again"
    assert all(path.stat().st_mtime == 1e9 for path in (out / ".export").iterdir())
    other = world / "sets" / "other"
    build(collection, other, SETTINGS, jobs=1)
    assert contents(other) == first


def test_changed_song_is_cut_again_and_its_images_linked_again(world: Path) -> None:
    collection, out = world / "collection", world / "sets" / "out"
    (collection / "one.wav").write_bytes((collection / "two.wav").read_bytes())
    built = build(collection, out, SETTINGS, jobs=1)
    assert built.exported.written > 0
    for window in built.manifest.kept:
        linked = out / "kohya" / "10_music" / window.file
        copied = linked.read_bytes()
        assert copied == (out / "pictures" / window.file).read_bytes()
        linked.unlink()
        linked.write_bytes(copied)  # as on systems without hard links
    again = build(collection, out, SETTINGS, jobs=1)
    assert again.exported.written == 0
    file = again.manifest.kept[0].file
    (out / "kohya" / "10_music" / file).write_bytes(b"\0" * (out / "pictures" / file).stat().st_size)
    build(collection, out, SETTINGS, jobs=1)
    assert (out / "kohya" / "10_music" / file).read_bytes() == (out / "pictures" / file).read_bytes()
