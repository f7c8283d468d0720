"""Batches that the backend gives the host: in Forge and reForge, prompts of a batch must have the same parts."""

from __future__ import annotations

import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image

from riffusion_ext.generate.backends.base import Request
from tests.contract.fake_webui import FakeWebui

PROMPTS = ["a", "b AND c", "d", "e AND f"]


class Processing:
    """The parts of a host job that the backend uses."""

    sd_model: Any = None

    def __init__(self, **values: Any) -> None:
        self.prompts, self.width, self.height = values["prompt"], values["width"], values["height"]

    def setup_conds(self) -> None:
        entries = [SimpleNamespace(end_at_step=5, cond=torch.zeros(77, 4))]
        self.c = SimpleNamespace(
            batch=[
                [SimpleNamespace(schedules=entries, weight=1.0) for _ in prompt.split(" AND ")]
                for prompt in self.prompts
            ]
        )

    def close(self) -> None:
        """Do nothing."""


@pytest.fixture
def batches(fake: FakeWebui, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Install a fake generation in the host; returns a list that collects the prompts of each batch."""
    generated: list[list[str]] = []

    def process_images(p: Any) -> Any:
        p.setup_conds()
        generated.append(list(p.prompts))
        colours = [20 * ord(prompt[0]) % 251 + 1 for prompt in p.prompts]
        images = [Image.new("RGB", (p.width, p.height), (colour, 0, 0)) for colour in colours]
        return SimpleNamespace(images=images, infotexts=p.prompts, index_of_first_image=0)

    state, shared = fake.state, sys.modules["modules.shared"]
    for name in ("begin", "end"):
        monkeypatch.setattr(type(state), name, lambda *_, **__: None, raising=False)
    monkeypatch.setattr(shared, "state", state, raising=False)
    monkeypatch.setattr(shared, "total_tqdm", SimpleNamespace(clear=lambda: None), raising=False)
    monkeypatch.setattr(sys.modules["modules.scripts"], "ScriptRunner", object, raising=False)
    classes = dict.fromkeys(("StableDiffusionProcessingTxt2Img", "StableDiffusionProcessingImg2Img"), Processing)
    contents: dict[str, dict[str, Any]] = {
        "call_queue": {"queue_lock": threading.Lock()},
        "extra_networks": {},
        "processing": {**classes, "process_images": process_images},
        "rng": {},
        "sd_samplers": {"visible_samplers": lambda: [SimpleNamespace(name="Euler")]},
    }
    for name, names in contents.items():
        module = ModuleType(f"modules.{name}")
        module.__dict__.update(names)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(sys.modules["modules"], name, module, raising=False)
    return generated


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SimpleNamespace(), [PROMPTS]),
        (SimpleNamespace(forge_objects=None), [["a", "d"], ["b AND c", "e AND f"]]),
    ],
    ids=["A1111", "Forge and reForge"],
)
def test_prompts_of_several_parts_are_batched_by_structure(
    batches: list[list[str]], monkeypatch: pytest.MonkeyPatch, model: Any, expected: list[list[str]]
) -> None:
    from riffusion_ext.host.model.generation import WebuiBackend

    monkeypatch.setattr(Processing, "sd_model", model)
    requests = [Request((prompt, prompt), width=64, height=64) for prompt in PROMPTS]
    reported: list[int] = []
    images = WebuiBackend().generate(requests, lambda number, _: reported.append(number))
    assert batches == expected
    assert [image.info["parameters"] for image in images] == PROMPTS, "in the order of the requests"
    assert reported == [0, 1, 2, 3]
