"""Requests: impossible ones are refused on creation, and batch keys tell which can share a batch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Backend, Request
from tests.unit.generate.fake_backends import FakeBackend, flat

WHITE = Image.new("RGB", (512, 512), "white")
MASK = Image.new("L", (512, 512), 255)
PLAIN = Request(("a", "b"), 0.5)
REGENERATED = Request(("a", "b"), init=WHITE, denoise=0.5, mask=MASK)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"alpha": 1.1}, "position between the prompts must lie between 0 and 1, got 1.1"),
        ({"cfg": 0.5}, "CFG"),
        ({"steps": 0}, "number of steps"),
        ({"denoise": 2.0}, "denoising strength must lie between 0 and 1"),
        ({"width": 500}, "width must be a multiple of 64"),
        ({"height": 0}, "height must be a multiple of 64"),
        ({"denoise": 0.5}, "only one of them"),
        ({"init": WHITE}, "only one of them"),
        ({"mask": MASK}, "a mask needs an image"),
        ({"init": MASK, "denoise": 0.5}, "must be RGB of 512 x 512, got L"),
        ({"init": WHITE, "denoise": 0.5, "mask": MASK.resize((64, 64))}, "got L of 64 x 64"),
    ],
)
def test_invalid_requests_are_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(RiffusionError, match=words):
        replace(PLAIN, **values)


def test_requests_with_different_prompts_and_seeds_share_a_batch_key() -> None:
    assert replace(PLAIN, prompts=("c", "d"), alpha=1.0, seeds=(1, 2)).batch_key == PLAIN.batch_key
    other_init = replace(REGENERATED, init=Image.new("RGB", (512, 512)), mask=MASK.copy())
    assert other_init.batch_key == REGENERATED.batch_key


@pytest.mark.parametrize(
    "values", [{"cfg": 8.0}, {"denoise": 0.6}, {"steps": 31}, {"sampler": "DDIM"}, {"loop": True}, {"mask": None}]
)
def test_requests_with_different_settings_per_batch_have_different_batch_keys(values: dict[str, object]) -> None:
    assert replace(REGENERATED, **values).batch_key != REGENERATED.batch_key


def test_fake_backend_satisfies_the_protocol() -> None:
    backend: Backend = FakeBackend(flat(9))
    images = backend.generate([PLAIN], lambda index, image: None)
    assert [image.size for image in images] == [(512, 512)]
