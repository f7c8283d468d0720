"""For tests only: tests/live generates through it in a running webui as the Riffusion tab does, and inspects its state.

A webui extension of its own. Link it into the extensions of a webui that is there for testing, and nowhere else: its
two routes ask for no password. They do a fixed set of things, and execute nothing that they are sent.

``POST /riffusion-probe/paint`` generates requests by the Riffusion extension's own backend. Body, all but `requests`
optional::

    requests          list of the fields of riffusion_ext.generate.backends.base.Request; images as PNG in base64
    roll              latent columns by which the noise at the start is rolled
    interrupt_after   seconds after which the backend is interrupted, and again until it returns, as the pages do
    fail_at_noise     number, from 1, of the call for noise that fails

It answers with ``images``, the order in which they were ``reported``, ``interrupted``, ``error`` and ``patches``.
``GET /riffusion-probe/state`` answers with the last one only, and whether the host is ``busy``.
"""

import base64
import hashlib
import io
import threading
from contextlib import contextmanager

import torch
from modules import call_queue, processing, rng, script_callbacks, shared
from PIL import Image

_AGAIN = 0.05


def _image(text, mode):
    return None if text is None else Image.open(io.BytesIO(base64.b64decode(text))).convert(mode)


def _png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _request(fields):
    from riffusion_ext.generate.backends.base import Request

    pairs = {name: tuple(fields[name]) for name in ("prompts", "negatives", "seeds") if name in fields}
    images = {"init": _image(fields.get("init"), "RGB"), "mask": _image(fields.get("mask"), "L")}
    return Request(**{**fields, **pairs, **images})


@contextmanager
def _noise(roll, fail_at):
    """Roll the initial noise, or make the host fail during sampling; for one job at a time."""
    first, following, calls = rng.ImageRNG.first, rng.ImageRNG.next, []

    def rolled(self):
        return torch.roll(first(self), roll, dims=3)

    def failing(self):
        calls.append(1)
        if len(calls) == fail_at:
            raise RuntimeError("the noise failed, as the test wanted")
        return following(self)

    rng.ImageRNG.first, rng.ImageRNG.next = rolled if roll else first, failing if fail_at else following
    try:
        yield
    finally:
        rng.ImageRNG.first, rng.ImageRNG.next = first, following


@contextmanager
def _interrupting(backend, after):
    over = threading.Event()

    def interrupt():
        wait = after
        while not over.wait(wait):
            backend.interrupt()
            wait = _AGAIN

    if after is not None:
        threading.Thread(target=interrupt, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _convolutions():
    model = shared.sd_model
    forge = getattr(model, "forge_objects", None)
    if forge is not None:
        parts = {"unet": forge.unet.model.diffusion_model, "vae": forge.vae.first_stage_model}
    elif hasattr(model, "first_stage_model"):
        parts = {"unet": model.model.diffusion_model, "vae": model.first_stage_model}
    else:  # Forge before its first generation
        return
    for part, module in parts.items():
        for name, layer in module.named_modules():
            if isinstance(layer, torch.nn.Conv2d):
                yield f"{part}.{name}", layer


def _patches():
    """Count patches that a generation may leave on the model's convolutions, and hash the classes it uses."""
    counts = {"convolutions": 0, "hooks": 0, "uneven": 0, "circular": 0, "replaced": 0}
    for _, layer in _convolutions():
        counts["convolutions"] += 1
        counts["hooks"] += len(layer._forward_pre_hooks) + len(layer._forward_hooks)
        counts["uneven"] += len(set(layer.padding)) > 1 if isinstance(layer.padding, tuple) else 0
        counts["circular"] += layer.padding_mode != "zeros"
        counts["replaced"] += any(callable(vars(layer).get(name)) for name in ("forward", "_conv_forward"))
    owners = (
        processing,
        processing.StableDiffusionProcessing,
        processing.StableDiffusionProcessingTxt2Img,
        processing.StableDiffusionProcessingImg2Img,
        rng,
        rng.ImageRNG,
        torch.nn.Conv2d,
    )
    functions = [
        f"{owner.__name__}.{name} {id(value)}"
        for owner in owners
        for name, value in sorted(vars(owner).items())
        if callable(value)
    ]
    return {**counts, "functions": hashlib.sha256("\n".join(functions).encode()).hexdigest()}


def _generate(body):
    from riffusion_ext.host.model.generation import WebuiBackend

    backend, reported, images, error = WebuiBackend(max_batch=16), [], [], ""
    roll, fail_at, after = (body.get(name) for name in ("roll", "fail_at_noise", "interrupt_after"))
    try:
        requests = [_request(fields) for fields in body["requests"]]
        with _noise(roll, fail_at), _interrupting(backend, after):
            images = backend.generate(requests, lambda number, image: reported.append(number))
    except Exception as caught:
        error = f"{type(caught).__name__}: {caught}"
    return {
        "pictures": [_png(image) for image in images],
        "reported": reported,
        "interrupted": backend.interrupted,
        "error": error,
        "patches": _patches(),
    }


def _state():
    lock = call_queue.queue_lock
    return {"patches": _patches(), "busy": not lock.acquire(False) or bool(lock.release())}


def _add_routes(_demo, app):
    def generate(body: dict):
        return _generate(body)

    app.add_api_route("/riffusion-probe/paint", generate, methods=["POST"])
    app.add_api_route("/riffusion-probe/state", _state, methods=["GET"])


script_callbacks.on_app_started(_add_routes)
