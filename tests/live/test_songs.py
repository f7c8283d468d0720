"""Songs, riffs and loops made on the pages of a real webui in a real browser."""

from __future__ import annotations

import re
import struct
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import read_audio, read_tags, write_audio
from riffusion_ext.generate.restore import settings_in
from riffusion_ext.metadata import parse_audio_comment
from riffusion_ext.params import PRESETS
from riffusion_ext.spectrogram.codec import audio_to_image, song_to_audio
from riffusion_ext.spectrogram.settings import DecodeSettings
from tests.browser.page import Page
from tests.live.client import Webui

pytestmark = [pytest.mark.live, pytest.mark.browser]

WAIT = 300_000  # the model runs on a CPU
RATE = 44100
PARAMS = PRESETS["riffusion-v1"]
WIDTH = 128

PIXELS = """selector => {
    const image = document.querySelector(selector), canvas = document.createElement('canvas');
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    const context = canvas.getContext('2d');
    context.drawImage(image, 0, 0);
    return [canvas.width, canvas.height, ...context.getImageData(0, 0, canvas.width, canvas.height).data];
}"""


class Tab:
    """The tab Riffusion of a webui; removes the sounds that it saved."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.saved: list[Path] = []

    def open(self, name: str) -> str:
        """Open a page of the tab; return the prefix of its element ids."""
        page = self.page
        page.locator("#tabs > .tab-nav > button", has_text=re.compile(r"^\s*Riffusion\s*$")).first.click()
        page.locator("#riffusion_pages button", has_text=re.compile(rf"^\s*{name}\s*$")).first.click()
        start = f"riffusion_{name.lower()}"
        page.locator(f"#{start}_go").wait_for(state="visible")
        return start

    def unfold(self, page: str, *labels: str) -> None:
        for label in labels:
            fold = self.page.locator(f"#riffusion_page_{page} .label-wrap:not(.open)", has_text=label).first
            if fold.count():
                fold.click()

    def fill(self, **values: object) -> None:
        """Fill fields by their ids; for a slider, its number field."""
        for element, value in values.items():
            field = f"#{element} textarea, #{element} input[type=number], #{element} input"
            self.page.locator(field).first.fill(str(value))
            self.page.keyboard.press("Tab")
        self.page.wait_for_timeout(500)

    def until(self, element: str, text: str) -> str:
        self.page.wait_for_function(
            "([id, text]) => document.getElementById(id).innerText.includes(text)", arg=[element, text], timeout=WAIT
        )
        return str(self.page.inner_text(f"#{element}"))

    def result(self, start: str) -> Path:
        """Wait for the end; return the file that the page names, once its player works."""
        path = Path(re.search(r"Saved as (.+\.wav)", self.until(f"{start}_status", "Saved as"))[1])
        self.saved.append(path)
        self.page.wait_for_function(
            "id => document.querySelector(id + ' audio')?.duration > 0", arg=f"#{start}_result", timeout=WAIT
        )
        assert self.page.eval_on_selector(f"#{start}_result audio", "a => a.duration") == pytest.approx(
            read_audio(path).duration, abs=0.01
        )
        return path

    def pixels(self, selector: str, before: str = "") -> list[int]:
        """Wait for an image whose source is not `before`; return its size and its pixels."""
        self.page.wait_for_function(
            "([selector, before]) => { const i = document.querySelector(selector);"
            " return i && i.complete && i.naturalWidth > 0 && i.src !== before; }",
            arg=[selector, before],
            timeout=WAIT,
        )
        return self.page.evaluate(PIXELS, selector)


@pytest.fixture
def open_tab(chromium: Any, webui: Webui) -> Iterator[Callable[[], Tab]]:
    context = chromium.new_context(viewport={"width": 1400, "height": 1000})
    tabs: list[Tab] = []

    def opened() -> Tab:
        tabs.append(Tab(Page(context.new_page(), webui.url).page))
        return tabs[-1]

    yield opened
    context.close()
    for path in (path for tab in tabs for path in tab.saved):
        path.unlink(missing_ok=True)


@pytest.fixture
def tab(open_tab: Callable[[], Tab]) -> Tab:
    return open_tab()


def assert_valid(path: Path, kind: str) -> AudioClip:
    """Check that a sound file is valid and contains its settings; return its clip."""
    with wave.open(str(path)) as sound:
        assert (sound.getframerate(), sound.getsampwidth()) == (RATE, 2)
        assert len(sound.readframes(sound.getnframes())) == sound.getnframes() * 2 * sound.getnchannels()
    assert settings_in(path)[0] == kind
    record = parse_audio_comment(read_tags(path)["comment"])
    assert record is not None
    assert re.search(rf"Steps: 1, .*Seed: \d+, .*Riffusion {kind}: ", record["parameters"], re.DOTALL)
    return read_audio(path)


def chunks(path: Path) -> dict[bytes, bytes]:
    """Return the chunks of a WAV file."""
    data, found, at = path.read_bytes(), {}, 12
    assert struct.unpack("<4sI4s", data[:12]) == (b"RIFF", len(data) - 8, b"WAVE")
    while at < len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        found[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return found


def song(seconds: float) -> AudioClip:
    """Synthesise plucked chords over a beat, loud and soft, high and low."""
    rng = np.random.default_rng(3)
    sound = 0.002 * rng.standard_normal(round(seconds * RATE))
    for start in range(0, len(sound), RATE // 4):
        time = np.arange(min(RATE // 2, len(sound) - start)) / RATE
        for root in rng.choice([110.0, 147.0, 165.0, 196.0, 247.0], 2):
            for overtone in range(1, 12):
                tone = np.sin(2 * np.pi * root * overtone * time) / overtone
                sound[start : start + len(time)] += 0.06 * tone * np.exp(-time * (3 + overtone))
    return AudioClip(sound[None].astype(np.float32), RATE)


def through_the_codec(clip: AudioClip) -> AudioClip:
    """Encode a sound as one image and decode it."""
    samples = clip.samples.shape[1]
    padded = AudioClip(np.pad(clip.samples, ((0, 0), (0, -samples % PARAMS.hop_length))), RATE)
    decoded = song_to_audio([audio_to_image(padded, PARAMS).image], DecodeSettings(level="raw")).clip
    return AudioClip(decoded.samples[:, :samples], RATE)


def column_errors(clip: AudioClip, other: AudioClip) -> np.ndarray:
    """Return the mean difference of the images of two sounds per column, in grey levels."""
    black = audio_to_image(other, PARAMS).max_value
    one, two = (np.asarray(audio_to_image(sound, PARAMS, max_value=black).image) for sound in (clip, other))
    return np.abs(one[..., 0].astype(float) - two[..., 0]).mean(axis=0)


@pytest.mark.parametrize("seconds", [0.5, 7.3])
def test_riff_with_denoising_strength_zero_returns_the_song_at_every_position(
    tab: Tab, tmp_path: Path, seconds: float
) -> None:
    clip = song(seconds)
    start = tab.open("Riff")
    tab.page.set_input_files(f"#{start}_file input[type=file]", str(write_audio(clip, tmp_path / "tune.wav")))
    tab.page.wait_for_selector(f"#{start}_file a[href]")
    tab.fill(**{f"{start}_prompt": "disco", f"{start}_denoise": "0", f"{start}_steps": 1})
    tab.page.click(f"#{start}_go")
    riff = assert_valid(tab.result(start), "riff")
    assert riff.samples.shape == clip.samples.shape
    ours, codec = column_errors(riff, clip), column_errors(through_the_codec(clip), clip)
    assert codec.mean() < 8, "the codec should do better than this"
    assert ours.mean() <= codec.mean() + 0.25
    for first in range(0, len(ours), 20):
        assert ours[first : first + 20].mean() <= codec[first : first + 20].mean() + 1.5


def test_stopped_song_is_resumed_and_its_windows_can_be_sent(tab: Tab) -> None:
    start, page = tab.open("Song"), tab.page
    samples = round(2 * 4 * 60 / 97 * RATE)
    tab.unfold("song", "Transitions", "Sound and model")
    tab.fill(**{f"{start}_score": "1 bars | funky bass\n1 bars | jazz bells", f"{start}_bpm": 97, f"{start}_steps": 1})
    tab.fill(**{f"{start}_width": WIDTH, f"{start}_overlap": 16, f"{start}_batch": 1})
    page.click(f"#{start}_go")
    windows = int(re.search(r"Window 2 of (\d+)", tab.until(f"{start}_status", "Window 2 of "))[1])
    page.click(f"#{start}_stop")
    said = tab.until(f"{start}_status", "Stopped after")
    done = int(re.search(rf"Stopped after (\d+) of {windows} windows; Resume goes on from there\.", said)[1])
    assert 1 <= done < windows
    part = tab.result(start)
    assert part.name.endswith("(unfinished).wav")
    heard = assert_valid(part, "song").samples.shape[1]
    assert 0 < heard < samples

    page.click(f"#{start}_resume")
    page.wait_for_function(
        "id => { const said = document.getElementById(id).innerText;"
        " return said.includes('Saved as') && !said.includes('Stopped'); }",
        arg=f"{start}_status",
        timeout=WAIT,
    )
    whole = tab.result(start)
    assert whole != part
    assert assert_valid(whole, "song").samples.shape == (1, samples)
    assert settings_in(whole)[1] == settings_in(part)[1]

    tab.unfold("song", "Windows of the song")
    tab.fill(**{f"{start}_window": windows})
    page.click(f"#{start}_show")
    window = tab.pixels(f"#{start}_picture img")
    assert window[:2] == [WIDTH, PARAMS.num_frequencies]
    page.click(f"#{start}_send")
    page.locator("#img2img_prompt").wait_for(state="visible")
    assert tab.pixels("#img2img_image img") == window


def test_song_stopped_in_its_first_window_restarts_with_it(tab: Tab) -> None:
    start, page = tab.open("Song"), tab.page
    samples = round(4 * 60 / 113 * RATE)
    tab.unfold("song", "Transitions", "Sound and model")
    tab.fill(**{f"{start}_score": "1 bars | funky bass", f"{start}_bpm": 113, f"{start}_steps": 40})
    tab.fill(**{f"{start}_width": WIDTH, f"{start}_overlap": 16, f"{start}_batch": 1})
    page.click(f"#{start}_go")
    tab.until(f"{start}_status", "Window 1 of ")
    page.click(f"#{start}_stop")
    assert "Saved as" not in tab.until(f"{start}_status", "Stopped after 0 of ")
    page.click(f"#{start}_resume")
    page.wait_for_timeout(1000)
    tab.until(f"{start}_status", "Window 1 of ")
    page.click(f"#{start}_stop")
    tab.until(f"{start}_status", "Stopped after 0 of ")
    tab.fill(**{f"{start}_steps": 1})
    page.click(f"#{start}_go")
    assert assert_valid(tab.result(start), "song").samples.shape == (1, samples)


def test_images_sent_from_a_gallery_start_songs(open_tab: Callable[[], Tab], webui: Webui) -> None:
    tab = open_tab()
    page = tab.page
    page.fill("#txt2img_prompt textarea", "funky bass")
    tab.fill(txt2img_steps=1, txt2img_width=WIDTH, txt2img_height=PARAMS.num_frequencies)
    page.click("#txt2img_generate")
    page.wait_for_selector("#txt2img_gallery img", timeout=WAIT)
    with Image.open(next(webui.folder.rglob("*.png"))) as saved:
        generated = np.asarray(saved.convert("RGBA")).ravel().tolist()
    for name in ("seed_picture", "before"):
        page.locator("#tabs > .tab-nav > button", has_text=re.compile(r"^\s*txt2img\s*$", re.IGNORECASE)).first.click()
        page.click(f"#txt2img_riffusion_{name}")
        page.locator(f"#riffusion_song_{name} img").first.wait_for(state="visible", timeout=WAIT)
        sent = tab.pixels(f"#riffusion_song_{name} img")
        assert sent[:2] == [WIDTH, PARAMS.num_frequencies]
        # Forge's images have an alpha of 254, and a canvas rounds such colours.
        assert np.abs(np.subtract(sent[2:], generated)).max() <= (1 if 254 in generated[3::4] else 0)

    start, samples = "riffusion_song", round(4 * 60 / 240 * RATE)
    tab.unfold("song", "Transitions")
    tab.fill(**{f"{start}_score": "1 bars | jazz bells", f"{start}_bpm": 240, f"{start}_steps": 1})
    tab.fill(**{f"{start}_width": WIDTH, f"{start}_overlap": 16})
    page.click(f"#{start}_go")
    assert assert_valid(tab.result(start), "song").samples.shape == (1, samples)


def test_loop_file_has_the_exact_length_and_its_loop_points(tab: Tab) -> None:
    start = tab.open("Loop")
    samples = round(4 * 60 / 137 * RATE)
    tab.fill(**{f"{start}_prompt": "techno", f"{start}_bars": 1, f"{start}_bpm": 137, f"{start}_steps": 1})
    tab.page.click(f"#{start}_go")
    path = tab.result(start)
    loop = assert_valid(path, "loop")
    assert loop.samples.shape == (1, samples)
    header = struct.unpack("<9I", (found := chunks(path)[b"smpl"])[:36])
    assert header[7] == 1, "one loop"
    kind, first, last, _, times = struct.unpack("<5I", found[40:60])
    assert (kind, first, last, times) == (0, 0, samples - 1, 0), "forwards, all of it, for ever"
    assert len(chunks(path)[b"data"]) == 2 * samples
    assert tab.page.locator(f"#{start}_result audio[loop]").count() == 1
