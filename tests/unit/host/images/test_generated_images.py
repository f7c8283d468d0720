"""Finding the generated images among the returned ones, and their files."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from riffusion_ext.host.images.generated_images import (
    first_pass_size,
    newest_of_sequence,
    pick_generated,
    resize_to_first_pass,
    saved_path,
)


def _image(text: str | None = None) -> Image.Image:
    image = Image.new("L", (4, 4))
    if text is not None:
        image.info["parameters"] = text
    return image


@given(
    count=st.integers(0, 5), grid=st.booleans(), masks=st.integers(0, 2), foreign=st.integers(0, 3), named=st.booleans()
)
def test_generated_images_are_found_among_grids_masks_and_others(
    count: int, grid: bool, masks: int, foreign: int, named: bool
) -> None:
    texts = [f"image {number}" for number in range(count)]
    images = [_image(text if named else None) for text in texts]
    returned = [one for image in images for one in [image, *(_image() for _ in range(masks))]]
    returned += [_image() for _ in range(foreign)]
    infotexts = ["grid"] * grid + texts
    found = pick_generated([_image("grid")] * grid + returned, infotexts, int(grid), 1 + masks)
    assert [image for _, image in found] == images
    assert [infotexts[place] for place, _ in found] == texts


def test_images_with_the_same_infotext_are_all_found() -> None:
    images = [_image("same"), _image("same")]
    assert [image for _, image in pick_generated(images, ["same", "same"], 0)] == images


def test_no_images_are_picked_from_an_empty_list() -> None:
    assert pick_generated([], ["of nothing"], 0) == []


def test_image_is_scaled_back_to_the_first_pass() -> None:
    image = Image.new("RGB", (128, 256), (10, 20, 30))
    image.info["parameters"] = "text"
    small = resize_to_first_pass(image, 64, 128)
    assert small.size == (64, 128)
    assert small.getpixel((5, 5)) == (10, 20, 30)
    assert small.info == image.info
    assert resize_to_first_pass(image, 128, 256) is image


def test_saved_path_is_that_of_an_existing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = _image()
    assert saved_path(image) is None
    (tmp_path / "a.png").touch()
    monkeypatch.chdir(tmp_path)
    image.already_saved_as = "a.png"  # type: ignore[attr-defined]
    assert saved_path(image) == tmp_path / "a.png"
    image.already_saved_as = "gone.png"  # type: ignore[attr-defined]
    assert saved_path(image) is None


def test_newest_file_of_a_sequence_is_found_by_its_time(tmp_path: Path) -> None:
    names = ["a.png", "a-1.png", "a-2.png"]
    for age, name in enumerate(names):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(age, age))
    assert newest_of_sequence(tmp_path / "a.png").name == "a-2.png"
    os.utime(tmp_path / "a.png", ns=(9, 9))  # a host that reuses the plain name
    assert newest_of_sequence(tmp_path / "a.png").name == "a.png"
    assert newest_of_sequence(tmp_path / "b.png").name == "b.png"


def test_inpainting_at_full_resolution_keeps_the_size_of_the_image() -> None:
    job = SimpleNamespace(width=516, height=512)
    large = Image.new("RGB", (1024, 1024))
    assert first_pass_size(job, large) == (512, 512), "multiples of a latent cell"
    assert first_pass_size(job, Image.new("RGB", (2048, 512))) == (2048, 512), "a script extended it without scaling"
    job.inpaint_full_res, job.image_mask = True, None
    assert first_pass_size(job, large) == (512, 512)
    job.image_mask = Image.new("L", (1024, 1024))
    assert first_pass_size(job, large) == (1024, 1024)
