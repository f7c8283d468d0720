"""Properties that songs rely on, checked with the model of a real webui through the extension tests/live/probe."""

from __future__ import annotations

import base64
import io
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.live.client import Webui

pytestmark = pytest.mark.live

WIDTH, HEIGHT = 128, 64
STEPS = 3
# A checkpoint of random numbers gives NaN for some words; these are safe.
SAX, BELLS = "funky sax, loud", "jazz bells"
LONG = "very long prompt with many words, " * 20  # more than one chunk of tokens
EDITED = "[slow strings:funky bass:0.5], loud"
BOTH = "jazz bells AND slow strings, loud"
LEAST = 1  # of 255, because images are rounded
BATCHED = 4  # in a batch: rounding differs, and random weights
# amplify it

Fields = dict[str, Any]


@dataclass(frozen=True)
class Generated:
    """Reply of the probe."""

    images: list[np.ndarray]
    reported: list[int]
    interrupted: bool
    error: str
    patches: dict[str, Any]


class Probe:
    """Generates in the webui as the Riffusion tab does, or by the host's API."""

    def __init__(self, webui: Webui) -> None:
        self.webui = webui

    def state(self) -> dict[str, Any]:
        return self.webui.call("state", api="riffusion-probe")

    def generate(self, *requests: Fields, **options: Any) -> Generated:
        answer = self.webui.call("paint", {"requests": requests, **options}, api="riffusion-probe")
        images = [_pixels(text) for text in answer.pop("pictures")]
        return Generated(images, **answer)

    def image(self, request: Fields, **options: Any) -> np.ndarray:
        generated = self.generate(request, **options)
        assert generated.error == ""
        (image,) = generated.images
        return image

    def plain(self, prompt: str, seed: int, negative: str = "", **fields: Any) -> np.ndarray:
        """Generate by the API of the host, without the extension."""
        size = {"width": WIDTH, "height": HEIGHT, "steps": STEPS, "sampler_name": "Euler a", "cfg_scale": 7}
        texts = {"prompt": prompt, "negative_prompt": negative, "seed": seed}
        reply = self.webui.generate(riffusion=["Off"], save_images=False, **{**size, **texts, **fields})
        return np.asarray(reply.images[0].convert("RGB"))


@pytest.fixture
def probe(webui: Webui) -> Probe:
    probe = Probe(webui)
    try:
        if not probe.state()["patches"]["convolutions"]:
            probe.plain(SAX, 1, steps=1)  # Forge loads its model at the first generation
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        pytest.skip(f"tests/live/probe is not linked into the extensions of {webui.name}: nothing to generate with")
    return probe


def _pixels(text: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


def _png(pixels: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def between(first: str, second: str, alpha: float, **fields: Any) -> Fields:
    """Return a request between two prompts, with two noises and two negative prompts."""
    size = {"width": WIDTH, "height": HEIGHT, "steps": STEPS, "sampler": "Euler a", "cfg": 7}
    texts = {"prompts": [first, second], "negatives": ["", "noise"], "seeds": [1, 2]}
    return {**size, **texts, "alpha": alpha, **fields}


def at(prompt: str, seed: int, **fields: Any) -> Fields:
    return between(prompt, prompt, 0.0, seeds=[seed, seed], negatives=["", ""], **fields)


def distance(one: np.ndarray, other: np.ndarray) -> int:
    assert one.shape == other.shape
    return int(np.abs(one.astype(int) - other).max())


def colourful(width: int = WIDTH, phase: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[:HEIGHT, :width]
    layers = [128 + 100 * np.sin(0.11 * x + 0.05 * (n + 1) * y + phase + n) for n in range(3)]
    return np.stack(layers, axis=-1).astype(np.uint8)


def assert_clean(patches: dict[str, Any], before: dict[str, Any]) -> None:
    assert patches["convolutions"] > 50
    assert {name: patches[name] for name in ("hooks", "uneven", "circular")} == dict.fromkeys(
        ("hooks", "uneven", "circular"), 0
    )
    assert patches == before


# --- between prompts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "second"),
    [(SAX, BELLS), (SAX, LONG), (EDITED, BELLS), (SAX, BOTH), (EDITED, BOTH)],
    ids=["plain", "longer", "edited", "and", "edited and"],
)
def test_ends_of_an_interpolation_equal_the_images_of_its_prompts(probe: Probe, first: str, second: str) -> None:
    one, other = probe.plain(first, 1), probe.plain(second, 2, "noise")
    assert distance(probe.image(between(first, second, 0.0)), one) <= LEAST
    assert distance(probe.image(between(first, second, 1.0)), other) <= LEAST
    generated = probe.generate(*(between(first, second, alpha) for alpha in (0.0, 0.5, 1.0)))
    assert generated.error == ""
    assert generated.reported == [0, 1, 2]
    start, middle, end = generated.images
    assert distance(start, one) <= BATCHED
    assert distance(end, other) <= BATCHED
    assert distance(one, other) > 50, "these prompts should show anything"
    assert min(distance(middle, one), distance(middle, other)) > 50
    assert distance(middle, probe.image(between(first, second, 0.5))) <= BATCHED, "alone or in a batch"


def test_prompts_of_any_kind_in_one_batch_equal_single_images(probe: Probe) -> None:
    wanted = [(SAX, 1), (LONG, 5), (EDITED, 3), (BOTH, 4), (f"{BELLS} <lora:none:0.5>", 6)]
    generated = probe.generate(*(at(prompt, seed) for prompt, seed in wanted))
    assert generated.error == ""
    for image, (prompt, seed) in zip(generated.images, wanted, strict=True):
        assert distance(image, probe.plain(prompt, seed)) <= BATCHED, prompt


def test_prompt_parts_have_the_same_weight_in_a_batch_as_alone(probe: Probe) -> None:
    fading = [between(SAX, BOTH, alpha, seeds=[1, 1]) for alpha in (0.0, 0.3, 0.7, 1.0)]
    generated = probe.generate(*fading)
    assert generated.error == ""
    for image, request in zip(generated.images, fading, strict=True):
        assert distance(image, probe.image(request)) <= BATCHED, request["alpha"]


def test_ends_of_an_img2img_interpolation_equal_the_images_of_its_prompts(probe: Probe) -> None:
    init = _png(colourful())
    fields = {"route": "img2img", "init_images": [init], "denoising_strength": 0.5, "steps": 4}
    for alpha, text in ((0.0, (SAX, 1)), (1.0, (BELLS, 2, "noise"))):
        # The encoder of a random checkpoint adds noise, which the host seeds by the previous job.
        probe.plain(BELLS, 3, steps=1)
        wanted = probe.plain(*text, **fields)
        probe.plain(BELLS, 3, steps=1)
        request = between(SAX, BELLS, alpha, denoise=0.5, init=init, steps=4)
        assert distance(probe.image(request), wanted) <= LEAST


# --- loops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["Euler", "DPM++ 2M"])
def test_rolling_the_noise_rolls_a_loop_but_not_a_plain_image(probe: Probe, sampler: str) -> None:
    roll = 8  # latent columns: the denoiser halves its image three times
    before = probe.state()["patches"]
    loop, plain = at(SAX, 5, sampler=sampler, loop=True), at(SAX, 5, sampler=sampler)
    still, rolled = probe.image(loop), probe.image(loop, roll=roll)
    assert distance(np.roll(still, 8 * roll, axis=1), rolled) <= 2
    assert distance(still, rolled) > 50
    open_ended = probe.image(plain)
    assert distance(np.roll(open_ended, 8 * roll, axis=1), probe.image(plain, roll=roll)) > 10
    assert distance(open_ended, still) > 10
    assert distance(open_ended, probe.plain(SAX, 5, sampler_name=sampler)) <= LEAST
    assert_clean(probe.state()["patches"], before)


def test_rolling_the_noise_rolls_a_loop_between_two_prompts(probe: Probe) -> None:
    loop = between(SAX, LONG, 0.4, sampler="Euler", loop=True)
    assert distance(np.roll(probe.image(loop), 64, axis=1), probe.image(loop, roll=8)) <= 2


# --- images to start from ------------------------------------------------------------------------------------------


def test_black_mask_columns_are_kept_exactly(probe: Probe) -> None:
    ramp = np.concatenate([np.zeros(48), np.linspace(0, 255, 32), np.full(48, 255)])
    mask = np.tile(ramp.round().astype(np.uint8), (HEIGHT, 1))
    inits = [colourful(), colourful(phase=1.0)]
    requests = [between(SAX, BELLS, 0.5, denoise=0.8, init=_png(init), mask=_png(mask), steps=4) for init in inits]
    generated = probe.generate(*requests)
    assert generated.error == ""
    for image, init in zip(generated.images, inits, strict=True):
        assert distance(image[:, :48], init[:, :48]) == 0
        assert distance(image[:, 80:], init[:, 80:]) > 50


def test_fully_masked_image_is_returned_unchanged(probe: Probe) -> None:
    init, black = colourful(), np.zeros((HEIGHT, WIDTH), np.uint8)
    assert distance(probe.image(at(SAX, 1, denoise=0.8, init=_png(init), mask=_png(black), steps=4)), init) == 0


def test_denoising_strength_zero_returns_the_image(probe: Probe) -> None:
    init = colourful()
    assert distance(probe.image(at(SAX, 1, denoise=0, init=_png(init))), init) == 0


# --- what goes wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "fields"),
    [
        (0.0, {"loop": True}),
        (0.03, {"loop": True, "alpha": 0.4}),
        (0.1, {"loop": True, "denoise": 0.9}),
        (0.3, {"loop": True, "alpha": 0.4}),
        (2.0, {"loop": True}),
        (2.0, {"alpha": 0.4, "denoise": 0.9}),
    ],
    ids=str,
)
def test_interrupt_at_any_time_restores_the_patched_host(probe: Probe, after: float, fields: Fields) -> None:
    before, image = probe.state()["patches"], probe.plain(SAX, 1)
    init = {"init": _png(colourful())} if "denoise" in fields else {}
    generated = probe.generate(
        between(SAX, LONG, **{"alpha": 0.0, **fields, **init, "steps": 150}), interrupt_after=after
    )
    assert generated.error == ""
    assert generated.interrupted
    assert len(generated.images) == len(generated.reported) == 0, "one that was interrupted is noise still"
    assert_clean(generated.patches, before)
    assert not probe.state()["busy"]
    assert distance(probe.plain(SAX, 1), image) == 0


@pytest.mark.parametrize("button", ["interrupt", "skip"])
def test_interrupt_and_skip_buttons_of_the_host_stop_the_generation(probe: Probe, button: str) -> None:
    before, generated = probe.state()["patches"], []
    request = at(SAX, 1, loop=True, steps=150)
    job = threading.Thread(target=lambda: generated.append(probe.generate(request)))
    job.start()
    try:
        _until(lambda: probe.webui.call("progress?skip_current_image=true")["state"]["sampling_step"] >= 1)
    finally:
        probe.webui.call(button, {})
        job.join()
    (found,) = generated
    assert found.error == ""
    assert found.interrupted
    assert len(found.images) == len(found.reported) == 0
    assert_clean(found.patches, before)


def test_sampler_error_restores_the_patched_host(probe: Probe) -> None:
    before, image = probe.state()["patches"], probe.plain(SAX, 1)
    for call in (1, 3):  # before the first step, and between two steps
        generated = probe.generate(between(SAX, BELLS, 0.4, loop=True), fail_at_noise=call)
        assert "the noise failed" in generated.error
        assert len(generated.images) == len(generated.reported) == 0
        assert_clean(generated.patches, before)
        assert not probe.state()["busy"]
    assert distance(probe.plain(SAX, 1), image) == 0


def test_impossible_request_is_reported(probe: Probe) -> None:
    before = probe.state()["patches"]
    assert "multiple of 64" in probe.generate(at(SAX, 1, width=100)).error
    assert_clean(probe.state()["patches"], before)


# --- while the host is at work ---------------------------------------------------------------------------------------


@contextmanager
def another_job(probe: Probe, into: list[np.ndarray]) -> Iterator[None]:
    """Run another job in the host meanwhile."""
    job = threading.Thread(target=lambda: into.append(probe.plain(BELLS, 9, steps=12)))
    job.start()
    try:
        _until(lambda: probe.state()["busy"])
        yield
    finally:
        job.join()


def _until(done: Callable[[], bool]) -> None:
    for _ in range(300):
        if done():
            return
        time.sleep(0.1)
    pytest.fail("the host did not come to what was waited for")


def test_generation_waits_for_the_running_job(probe: Probe) -> None:
    alone, theirs, after = probe.image(at(SAX, 1, loop=True)), probe.plain(BELLS, 9, steps=12), []
    with another_job(probe, after):
        assert not after
        image = probe.image(at(SAX, 1, loop=True))
        assert after, "it should have waited"
    assert distance(image, alone) <= LEAST
    assert distance(after[0], theirs) == 0


def test_interrupting_a_waiting_generation_does_not_affect_the_running_job(probe: Probe) -> None:
    before, theirs, after = probe.state()["patches"], probe.plain(BELLS, 9, steps=12), []
    with another_job(probe, after):
        generated = probe.generate(at(SAX, 1, loop=True), interrupt_after=0.1)
    assert generated.interrupted
    assert len(generated.images) == 0
    assert distance(after[0], theirs) == 0
    assert_clean(probe.state()["patches"], before)
