"""The Dreambooth extension's rules, each broken once. Its reaction to each was found by running its code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.dataset.export.formats import export
from riffusion_ext.dataset.settings import ExportSettings
from tests.unit.dataset.export.dreambooth import dreambooth_problems, trained_size

Break = Callable[[Path], object]


@pytest.fixture
def folder(make_items, tmp_path: Path) -> Path:
    export(make_items(2), tmp_path / "out", ExportSettings())
    return tmp_path / "out"


def first(folder: Path) -> Path:
    return sorted((folder / "pictures").glob("*.png"))[0]


def resaved(**change: object) -> Break:
    def save(folder: Path) -> None:
        with Image.open(first(folder)) as image:
            changed = image.convert(str(change.get("mode", "RGB"))).resize(change.get("size", (512, 512)))  # type: ignore[arg-type]
        exif = Image.Exif()
        if "orientation" in change:
            exif[274] = change["orientation"]
        changed.save(first(folder), exif=exif)

    return save


def text(data: bytes) -> Break:
    return lambda folder: first(folder).with_suffix(".txt").write_bytes(data)


def concept(**values: object) -> Break:
    def change(folder: Path) -> None:
        path = folder / "concepts_list.json"
        concepts = json.loads(path.read_text())
        concepts[0].update(values)
        path.write_text(json.dumps(concepts))

    return change


def concepts(data: bytes) -> Break:
    return lambda folder: (folder / "concepts_list.json").write_bytes(data)


def stray(folder: Path) -> None:
    (folder / "pictures" / ".thumbs").mkdir()
    Image.new("RGB", (512, 512)).save(folder / "pictures" / ".thumbs" / "x.JPG", format="JPEG")
    (folder / "pictures" / ".thumbs" / "x.txt").write_text("x")


def twin(folder: Path) -> None:
    Image.new("RGB", (512, 512)).save(first(folder).with_suffix(".bmp"))


def test_exported_folder_breaks_no_rule(folder: Path) -> None:
    assert dreambooth_problems(folder) == []
    assert dreambooth_problems(folder, (folder / "pictures").glob("*.png")) == []


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda folder: first(folder).write_bytes(first(folder).read_bytes()[:-30]), "cannot be read, so it would be"),
        (lambda folder: first(folder).write_bytes(b"no image"), "dropped without a word or end the training"),
        (resaved(size=(513, 512)), "is 513 x 512 and would be scaled and cropped to 512 x 512"),
        (resaved(size=(1024, 512)), "is 1024 x 512 and would be scaled and cropped to 720 x 360"),
        (resaved(size=(720, 360)), "is 720 x 360, not 512 x 512"),
        (resaved(size=(256, 256)), "is 256 x 256 and would be scaled"),
        (resaved(mode="RGBA"), "is RGBA, not RGB"),
        (resaved(mode="L"), "is L, not RGB"),
        (resaved(orientation=6), "would be turned, its EXIF orientation is 6"),
        (text(b" \n"), "has an empty caption"),
        (text("\u200b".encode()), "has an empty caption"),
        (text("é".encode("cp1252")), "is not UTF-8, which would end the whole scan"),
        (text("\ufeffrfx".encode()), "has a caption with a byte order mark"),
        (text(b"rfx\nsecond"), "of several lines"),
        (text(b"rfx,  second"), "doubled spaces"),
        (text(b"rfx \\(live\\)"), "with backslashes, which would be taken out"),
        (text(b"word " * 80), "of more than about 75 tokens"),
        (lambda folder: first(folder).with_suffix(".txt").unlink(), "has no .txt beside it"),
        (lambda folder: first(folder).unlink(), "is a caption without an image"),
        (twin, "shares its caption with"),
        (concept(instance_data_dir="elsewhere"), "is left out, because there is no folder"),
        (concept(instance_data_dir=""), "instance_data_dir is missing"),
        (concept(instance_data_dir=["pictures"]), "instance_data_dir must be a text"),
        (concept(instance_prompt="rfx"), "lacks [filewords], so captions are not used"),
        (concept(instance_token="rfx"), "instance_token is 'rfx', which is put into every caption"),
        (concept(class_data_dir="classes"), "class_data_dir 'classes' would be looked for in the folder that"),
        (concept(num_class_images_per=10), "class images would be made before training"),
        (concepts(b"{}"), "must be an array of one or more objects"),
        (concepts(b"[]"), "must be an array of one or more objects"),
        (concepts(b"["), "concepts_list.json is no JSON"),
        (concepts('["é"]'.encode()), "has letters beyond ASCII"),
        (lambda folder: (folder / "concepts_list.json").unlink(), "cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_each_broken_rule_is_reported(folder: Path, damage: Break, problem: str) -> None:
    damage(folder)
    found = dreambooth_problems(folder)
    assert any(problem in sentence for sentence in found), found
    assert all(len(sentence.splitlines()) == 1 for sentence in found)


def test_stray_image_in_a_hidden_folder_is_reported(folder: Path) -> None:
    images = list((folder / "pictures").glob("*.png"))
    stray(folder)
    assert dreambooth_problems(folder, images) == [".thumbs/x.JPG: would be trained on too"]
    assert dreambooth_problems(folder) == []


def test_image_outside_the_listed_folders_is_reported(folder: Path) -> None:
    images = [*(folder / "pictures").glob("*.png"), folder / "else.png"]
    assert dreambooth_problems(folder, images) == ["else.png: is not found in any folder of the list"]


def test_empty_folder_is_reported(folder: Path) -> None:
    for path in (folder / "pictures").iterdir():
        path.unlink()
    assert dreambooth_problems(folder) == [f"there is no image in {folder / 'pictures'}"]


def test_many_files_with_the_same_fault_give_one_message(make_items, tmp_path: Path) -> None:
    items = make_items(6)
    export(items, tmp_path / "out", ExportSettings())
    for item in items:
        item.image.with_suffix(".txt").unlink()
    (sentence,) = dreambooth_problems(tmp_path / "out")
    assert sentence.startswith(", ".join(item.image.name for item in items[:3]) + " and 3 more: has no .txt")


def test_problem_names_the_number_of_its_concept(folder: Path) -> None:
    path = folder / "concepts_list.json"
    (one,) = json.loads(path.read_text())
    absolute = {**one, "instance_data_dir": str(folder / "pictures")}
    path.write_text(json.dumps([absolute, {**one, "instance_data_dir": "elsewhere"}]))
    assert dreambooth_problems(folder) == [f"concept 2 is left out, because there is no folder {folder / 'elsewhere'}"]


@given(st.integers(1, 4000), st.integers(1, 4000))
def test_trained_size_is_a_multiple_of_8_and_keeps_the_orientation(width: int, height: int) -> None:
    size = trained_size(width, height)
    assert all(side % 8 == 0 for side in size)
    assert (size[0] >= size[1]) or width < height
    assert trained_size(*size) == size
    assert trained_size(512, 512) == (512, 512)
    assert trained_size(2048, 512) == (720, 360)
    assert trained_size(512, 2048) == (360, 720)
