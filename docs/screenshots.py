"""Take the screenshots of the documentation anew.

The standalone server is started here. A running webui is named by ``--webui``; it needs ``--api``, this extension and a
Riffusion checkpoint of any quality: images of the demo's tune go through img2img at denoising strength 0, so they stay
what they are. Without a webui, the screenshots that need a model are left as they are.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import read_audio, write_audio
from riffusion_ext.demo.tune import SAMPLE_RATE, make_tune
from riffusion_ext.metadata import save_image
from riffusion_ext.spectrogram.codec import audio_to_images

DOCS = Path(__file__).resolve().parent
SHOWN = "/music"
"""What stands on the screenshots in place of the folder of the files."""

SONGS = {"Neon Walk": (1.0, 2), "Paper Boats": (1.12, 1), "Slow Lanterns": (0.84, 1)}
"""Titles; how much faster than the demo's tune they are played, and how often it is repeated."""

SCORE = """8 bars | funky saxophone, upbeat -- vocals
8 bars | jazz piano trio | seed 42 | cfg 8
0:10 | slow solo piano"""

FLAGS = ["--no-sandbox", "--disable-gpu", "--no-proxy-server"]
TIMEOUT_MS = 600_000


def main() -> None:
    """Take all screenshots that can be taken."""
    parser = argparse.ArgumentParser(prog="dev.py screenshots", description=__doc__)
    parser.add_argument("--webui", metavar="URL", help="running webui, such as http://127.0.0.1:7860")
    parser.add_argument("--only", metavar="NAME", nargs="+", choices=[*OWN, *OF_WEBUI], help="some of them")
    args = parser.parse_args()
    wanted = [*(args.only or [*OWN, *OF_WEBUI])]
    if not args.webui:
        print(
            "Left as they are, because they need --webui:",
            *(name for name in wanted if name not in ("tab", "training")),
        )
        wanted = [name for name in wanted if name in ("tab", "training")]
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("RIFFUSION_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium found; RIFFUSION_CHROMIUM may name one")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        images = make_music(folder)
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        own = [name for name in wanted if name in OWN]
        if own:
            with serving(folder, args.webui) as address:
                for name in own:
                    OWN[name](new_page(browser, address, "#riffusion_pictures_go"), images, folder)
        for name in wanted:
            if name in OF_WEBUI:
                OF_WEBUI[name](new_page(browser, args.webui.rstrip("/"), "#txt2img_prompt textarea"), images, folder)
        browser.close()


def make_music(folder: Path) -> list[Path]:
    """Write songs with captions, and the images of the first one; returns the images."""
    tune = make_tune()
    for title, (speed, times) in SONGS.items():
        moments = np.arange(0, tune.shape[-1] - 1, speed)
        samples = np.stack([np.interp(moments, np.arange(len(side)), side) for side in np.atleast_2d(tune)])
        clip = AudioClip(np.tile(samples.astype(np.float32), times), SAMPLE_RATE)
        write_audio(clip, folder / "songs" / f"{title}.wav")
        text = f"artist: The Demo Band\ntitle: {title}\ngenre: synth pop\n"
        (folder / "songs" / f"{title}.txt").write_text(text, "utf-8")
    images = []
    for number, encoded in enumerate(audio_to_images(read_audio(folder / "songs" / "Neon Walk.wav"))[:3], 1):
        path = folder / "images" / f"neon_walk_{number}.png"
        images.append(save_image(encoded.image, path, encoded.params, encoded.max_value))
    return images


@contextmanager
def serving(folder: Path, webui: str | None) -> Iterator[str]:
    """Serve the tab; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "riffusion_ext",
        "ui",
        "--port",
        str(port),
        "--output-dir",
        str(folder / "results"),
    ]
    address = f"http://127.0.0.1:{port}"
    with (
        (folder / "log.txt").open("w") as log,
        subprocess.Popen([*command, *(["--webui", webui] if webui else [])], stdout=log, stderr=log) as server,
    ):
        try:
            for _ in range(240):
                if server.poll() is not None:
                    sys.exit(f"the server ended: {(folder / 'log.txt').read_text('utf-8')}")
                try:
                    urllib.request.urlopen(address, timeout=5).close()
                    break
                except OSError:
                    time.sleep(0.5)
            yield address
        finally:
            server.terminate()
            server.wait(20)


def new_page(browser: Any, address: str, ready: str) -> Any:
    """Open a page in the light theme, once an element of it is there."""
    page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(f"{address}/?__theme=light", wait_until="domcontentloaded")
    page.wait_for_selector(ready)
    page.wait_for_timeout(3000)  # gradio's own scripts settle
    return page


HIDE = """([folder, shown]) => {
    for (const box of document.querySelectorAll("input:not([type=file]), textarea"))
        if (box.value.includes(folder)) box.value = box.value.replaceAll(folder, shown);
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode())
        if (texts.currentNode.data.includes(folder))
            texts.currentNode.data = texts.currentNode.data.replaceAll(folder, shown);
}"""
"""Puts another folder in the place of the one that this run uses."""


def take(page: Any, name: str, folder: Path) -> None:
    """Save a page as a small PNG, and close it."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(1500)
    page.evaluate(HIDE, [str(folder), SHOWN])
    image = Image.open(BytesIO(page.screenshot(full_page=True))).convert("RGB")
    image.quantize(128, dither=Image.Dither.NONE).save(DOCS / name, optimize=True)
    print(f"{name}: {image.width} x {image.height}, {(DOCS / name).stat().st_size // 1024} KiB")
    page.close()


def open_tab(page: Any, name: str, ready: str) -> None:
    """Open a page of the tab by its name."""
    page.locator("#riffusion_pages button:not([tabindex='-1'])", has_text=name).first.click()
    page.wait_for_selector(ready)


def upload(page: Any, element: str, *paths: Path) -> None:
    """Upload files, and wait until they are there."""
    page.set_input_files(f"#{element} input[type=file]", [str(path) for path in paths])
    page.wait_for_timeout(3000)


def fill(page: Any, element: str, text: str) -> None:
    """Fill in a text or number."""
    page.locator(f"#{element} textarea, #{element} input").first.fill(text)
    page.keyboard.press("Tab")


def take_tab(page: Any, images: list[Path], folder: Path) -> None:
    """Convert images on the page Images to audio."""
    upload(page, "riffusion_pictures", *images)
    page.click("#riffusion_pictures_go")
    page.wait_for_function(
        "count => document.querySelectorAll('#riffusion_pictures_players audio').length >= count", arg=len(images)
    )
    take(page, "tab.png", folder)


def take_training(page: Any, _: list[Path], folder: Path) -> None:
    """Make a training set, and show its review."""
    open_tab(page, "Training set", "#riffusion_training_go")
    fill(page, "riffusion_training_songs", str(folder / "songs"))
    fill(page, "riffusion_training_out", str(folder / "my-set"))
    page.click("#riffusion_training_go")
    page.wait_for_function("() => document.querySelectorAll('#riffusion_review img').length > 4")
    take(page, "training.png", folder)


def take_song(page: Any, images: list[Path], folder: Path) -> None:
    """Begin a song, until there are finished segments to listen to."""
    open_tab(page, "Song", "#riffusion_song_go")
    fill(page, "riffusion_song_score", SCORE)
    for element, value in (("riffusion_song_denoise", "0"), ("riffusion_song_steps", "20")):
        page.fill(f"#{element} input[type=number]", value)
        page.keyboard.press("Tab")
    page.click("#riffusion_song_pictures .label-wrap")
    upload(page, "riffusion_song_seed_picture", images[0])
    page.click("#riffusion_song_pictures .label-wrap")
    page.click("#riffusion_song_go")
    page.wait_for_function(
        "() => document.querySelectorAll('.riffusion-stretches audio').length >= 3"
        " || document.querySelector('#riffusion_song_result audio')"
    )
    take(page, "song.png", folder)


def take_img2img(page: Any, images: list[Path], folder: Path) -> None:
    """Generate with img2img, with the panel open.

    The mask lets the model change a single pixel, so any model will do.
    """
    mask = Image.new("L", (512, 512), 0)
    mask.putpixel((0, 0), 255)
    mask.save(folder / "mask.png")
    page.set_default_timeout(60_000)
    page.click("#tabs button:has-text('img2img')")
    page.fill("#img2img_prompt textarea", "funky synth solo")
    page.click("#mode_img2img button:has-text('Inpaint upload')")
    page.set_input_files("#img_inpaint_base input[type=file]", str(images[0]))
    page.set_input_files("#img_inpaint_mask input[type=file]", str(folder / "mask.png"))
    page.fill("#img2img_sampling input", "DDIM")  # not all samplers can denoise by 0
    page.keyboard.press("Enter")
    for element, value in (
        ("img2img_denoising_strength", "0"),
        ("img2img_batch_count", "2"),
        ("img2img_seed", "2718"),
    ):
        page.fill(f"#{element} input[type=number]", value)
        page.keyboard.press("Tab")
    page.locator("#tab_img2img .label-wrap:visible", has_text="Riffusion").first.click()
    page.click("#img2img_generate")
    page.wait_for_function("() => document.querySelector('#img2img_riffusion_players audio')", timeout=180_000)
    page.locator("#img2img_gallery .thumbnail-small").nth(1).click()  # the first one is the grid
    page.evaluate(
        "() => document.querySelectorAll('#mode_img2img, #inpaint_controls').forEach(e => e.style.display = 'none')"
    )
    take(page, "screenshot.png", folder)


OWN = {"tab": take_tab, "training": take_training, "song": take_song}
"""Of the standalone server; the song needs a webui to generate with."""

OF_WEBUI = {"screenshot": take_img2img}


if __name__ == "__main__":
    main()
