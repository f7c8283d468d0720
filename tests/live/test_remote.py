"""A webui generates the same images over HTTP as for its own pages."""

from __future__ import annotations

import threading
import time
import urllib.error
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio.io import read_audio
from riffusion_ext.cli import main
from riffusion_ext.generate.backends.base import Request
from riffusion_ext.generate.backends.remote import RemoteWebui
from riffusion_ext.generate.backends.remotes import Webuis
from tests.live.client import Webui
from tests.live.test_proofs import BELLS, HEIGHT, SAX, STEPS, WIDTH, Probe, _png, colourful

pytestmark = pytest.mark.live

CASES = {
    "between prompts": Request((SAX, BELLS), 0.3, ("", "noise"), (1, 2), steps=STEPS, width=WIDTH, height=HEIGHT),
    "loop": Request((SAX, SAX), seeds=(3, 3), steps=STEPS, sampler="Euler", width=WIDTH, height=HEIGHT, loop=True),
    "from an image": Request(
        (SAX, BELLS),
        0.5,
        seeds=(5, 6),
        cfg=5.5,
        denoise=0.6,
        steps=4,
        width=WIDTH,
        height=HEIGHT,
        init=Image.fromarray(colourful()),
        mask=Image.linear_gradient("L").resize((WIDTH, HEIGHT)),
    ),
}


@pytest.fixture
def probe(webui: Webui) -> Probe:
    probe = Probe(webui)
    try:
        probe.state()
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        pytest.skip(f"tests/live/probe is not linked into the extensions of {webui.name}: nothing to compare with")
    return probe


@pytest.mark.parametrize("case", sorted(CASES))
def test_remote_image_equals_that_of_the_webui_page(webui: Webui, probe: Probe, case: str) -> None:
    request = CASES[case]
    fields = {name: getattr(request, name) for name in Request.__dataclass_fields__}
    for name in ("init", "mask"):
        fields[name] = None if fields[name] is None else _png(np.asarray(fields[name]))
    probe.plain(BELLS, 3, steps=1)  # seeds the noise of the host's encoder, whose state continues from job to job
    wanted = probe.image(fields)
    probe.plain(BELLS, 3, steps=1)
    (got,) = RemoteWebui(webui.url).generate([request], lambda *_: None)
    assert np.array_equal(np.asarray(got), wanted)
    assert got.info["parameters"].startswith(f"{request.prompts[0]}\n")
    assert f"Seed: {request.seeds[0]}, " in got.info["parameters"]


def test_remote_webui_reports_checkpoint_batch_size_and_samplers(webui: Webui) -> None:
    webuis = Webuis([webui.url])
    backend = webuis.backend()
    # reForge's setting is None until the user chooses; it uses the first of its list then.
    chosen = webui.call("options")["sd_model_checkpoint"] or webui.call("sd-models")[0]["title"]
    assert backend.name in chosen
    assert backend.max_batch > 1
    assert webuis.usual_sampler() in webuis.samplers()


def test_interrupt_reaches_the_remote_sampler(webui: Webui) -> None:
    remote = RemoteWebui(webui.url)
    request = Request((SAX, SAX), steps=150, width=512, height=512)
    generated: list[Image.Image] = []
    thread = threading.Thread(target=lambda: generated.extend(remote.generate([request], lambda *_: None)))
    thread.start()
    end = time.monotonic() + 120
    while remote.activity is None or remote.activity.step < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    remote.interrupt()
    thread.join(60)
    assert not thread.is_alive()
    assert remote.interrupted
    assert generated == []
    end = time.monotonic() + 120  # generation stops between two steps; the client waits for a limited time
    while webui.call("health", api="riffusion/v1")["jobs"]["running"]:
        assert time.monotonic() < end
        time.sleep(0.5)
    assert webui.call("jobs", api="riffusion/v1")["jobs"][0]["state"] == "cancelled"


def test_command_line_generates_a_song_with_a_remote_webui(webui: Webui, tmp_path: Path) -> None:
    song = tmp_path / "song.wav"
    options = ["--width", "128", "--overlap", "32", "--num-frequencies", "128", "--steps", "2", "--quiet"]
    assert main(["song", f"0:03 | {SAX}", f"0:02 | {BELLS}", *options, "--webui", webui.url, "-o", str(song)]) == 0
    assert read_audio(song).samples.shape[1] == 5 * 44100
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != "") == ["song.wav"]
