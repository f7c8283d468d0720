"""Stop interrupts our own generation and no other job."""

from __future__ import annotations

import sys
import threading
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.generate.backends.base import Activity, Request
from tests.contract.fake_webui import FakeWebui


class Generation:
    """The parts of the host that the backend uses."""

    def __init__(self, state: Any) -> None:
        self.state = state
        self.lock = threading.Lock()
        self.began = threading.Event()
        self.generated = 0

    def process(self, requests: list[Request]) -> list[Image.Image]:
        """Generate until interrupted, as a sampler does, with a time limit."""
        self.began.set()
        for _ in range(200):
            if self.state.interrupted:
                break
            threading.Event().wait(0.02)
        self.generated += len(requests)
        return [Image.new("RGB", (request.width, request.height)) for request in requests]


@pytest.fixture
def generating(fake: FakeWebui, monkeypatch: pytest.MonkeyPatch) -> tuple[Generation, Any]:
    made = Generation(fake.state)
    shared = sys.modules["modules.shared"]
    monkeypatch.setattr(type(fake.state), "begin", _begin, raising=False)
    monkeypatch.setattr(type(fake.state), "end", lambda state: setattr(state, "job", ""), raising=False)
    monkeypatch.setattr(shared, "state", fake.state, raising=False)
    monkeypatch.setattr(shared, "total_tqdm", SimpleNamespace(clear=lambda: None), raising=False)
    contents: dict[str, dict[str, Any]] = {
        "call_queue": {"queue_lock": made.lock},
        "extra_networks": {},
        "processing": {"StableDiffusionProcessingTxt2Img": object, "StableDiffusionProcessingImg2Img": object},
        "rng": {},
        "sd_samplers": {},
    }
    for name, names in contents.items():
        module = ModuleType(f"modules.{name}")
        module.__dict__.update(names)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        monkeypatch.setattr(sys.modules["modules"], name, module, raising=False)
    from riffusion_ext.host.model.generation import WebuiBackend

    backend = WebuiBackend()
    monkeypatch.setattr(backend, "_process", made.process)
    return made, backend


def _begin(state: Any, job: str) -> None:
    state.job, state.interrupted, state.skipped = job, False, False


def _started(backend: Any) -> tuple[threading.Thread, list[Any]]:
    images: list[Any] = []
    request = Request(("a", "a"), width=64, height=64)
    thread = threading.Thread(target=lambda: backend.generate([request], lambda *item: images.append(item)))
    thread.start()
    return thread, images


def test_interrupt_stops_the_running_generation(generating: tuple[Generation, Any]) -> None:
    host, backend = generating
    thread, images = _started(backend)
    assert host.began.wait(5)
    backend.interrupt()
    thread.join(5)
    assert not thread.is_alive()
    assert backend.interrupted
    assert images == [], "an interrupted image is noise"
    assert host.state.job == ""


def test_interrupting_a_waiting_job_does_not_affect_the_running_one(generating: tuple[Generation, Any]) -> None:
    host, backend = generating
    with host.lock:
        thread, images = _started(backend)
        threading.Event().wait(0.1)
        backend.interrupt()
        assert not host.state.interrupted, "the job belongs to another client"
    thread.join(5)
    assert backend.interrupted
    assert host.generated == 0
    assert images == []


def test_interrupt_does_not_affect_the_next_job(generating: tuple[Generation, Any]) -> None:
    host, backend = generating
    backend.interrupt()
    thread, _ = _started(backend)
    assert host.began.wait(5)
    assert thread.is_alive()
    backend.interrupt()
    thread.join(5)


def test_interrupt_at_the_end_does_not_affect_the_next_job(
    generating: tuple[Generation, Any], fake: FakeWebui, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next job of the host starts as soon as this one has ended."""
    made, backend = generating
    over = threading.Event()
    thread, _ = _started(backend)
    made.began.wait(5)

    def interrupt(state: Any) -> None:
        state.interrupted = True
        assert not over.wait(0.3), "the generation has ended in between"

    monkeypatch.setattr(type(fake.state), "interrupt", interrupt)
    monkeypatch.setattr(type(fake.state), "end", lambda state: over.set())
    backend.interrupt()
    thread.join(5)
    assert over.is_set()


def test_activity_shows_waiting_then_only_the_steps_of_its_own_job(generating: tuple[Generation, Any]) -> None:
    host, backend = generating
    assert backend.activity is None
    host.lock.acquire()
    host.state.sampling_step, host.state.sampling_steps = 6, 20
    thread = threading.Thread(target=backend.generate, args=([Request(("a", "a"))], lambda *_: None), daemon=True)
    thread.start()
    while backend.activity is None:
        threading.Event().wait(0.01)
    assert backend.activity == Activity(waiting=True), "those steps belong to another job"
    host.lock.release()
    assert host.began.wait(5)
    assert backend.activity is None, "the sampler has not reported a step yet"
    host.state.sampling_step, host.state.sampling_steps = 6, 20
    assert backend.activity == Activity(7, 20)
    host.state.sampling_step = 20  # after the last one
    assert backend.activity == Activity(20, 20)
    backend.interrupt()
    thread.join(5)
    assert backend.activity is None


def test_backend_name_is_the_chosen_checkpoint_before_it_is_loaded(generating: tuple[Generation, Any], fake: FakeWebui):
    """A song started before the model was loaded can be resumed afterwards."""
    _, backend = generating
    assert backend.name == "riffusion-tiny"
    fake.opts.data["sd_model_checkpoint"] = "away.safetensors"
    assert type(backend)().name == "away.safetensors"
    assert backend.name == "riffusion-tiny", "a backend keeps its model"


def test_changed_checkpoint_is_refused_before_generation(generating: tuple[Generation, Any], fake: FakeWebui) -> None:
    """Between two batches, another user of the webui may choose another checkpoint."""
    host, backend = generating
    host.state.interrupted = True  # generate at once

    def generate() -> None:
        backend.generate([Request(("a", "a"), width=64, height=64)], lambda *_: None)

    fake.opts.data["sd_model_checkpoint"] = "away.safetensors"
    with pytest.raises(RiffusionError, match=r"from riffusion-tiny to away\.safetensors; .* with riffusion-tiny only"):
        generate()
    assert host.generated == 0
    assert not host.lock.locked()
    assert backend.activity is None
    fake.opts.data["sd_model_checkpoint"] = "riffusion-tiny.safetensors [c283a100ba]"
    generate()
    assert host.generated == 1


def test_black_images_are_refused_also_after_inpainting(generating: tuple[Generation, Any]) -> None:
    """A host turns NaN into black images, which would be decoded as noise at full level."""
    from riffusion_ext.host.model import generation

    mask, kept = Image.new("L", (64, 64), 255), Image.new("RGB", (64, 64))
    mask.paste(0, (0, 0, 16, 64))
    mask.paste(128, (16, 0, 24, 64))
    kept.paste((200, 200, 200), (0, 0, 24, 64))
    for image, where in ((Image.new("RGB", (64, 64)), None), (kept, mask)):
        with pytest.raises(RiffusionError, match="nothing but black"):
            generation._check_generated(image, where)
        dot = image.copy()
        dot.putpixel((63, 63), (9, 9, 9))
        generation._check_generated(dot, where)
    generation._check_generated(Image.new("RGB", (64, 64)), Image.new("L", (64, 64), 128))
