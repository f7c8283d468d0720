"""A page with a gallery and players as in a webui, for the installed gradio."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import gradio as gr

from riffusion_ext.ui.players import panel, player
from tests.browser.files import png, tone
from tests.browser.scenes import SCENES, SECONDS

ROOT = Path(__file__).resolve().parents[2]


def build(folder: Path) -> Any:
    """Lay out the page; its files are written into the folder."""
    sound = tone(folder / "sound.wav", SECONDS)
    names = {name for images, _ in SCENES.values() for name in images}
    files = {name: str(png(folder / name, 128 if "été" in name else 512)) for name in names}

    def heard(name: str, images: list[str | None]) -> str:
        url = f"file={sound}?{name}".replace(" ", "-")
        return panel(player(url, f"{name} {n}", SECONDS, "a.wav", image=p) for n, p in enumerate(images, 1))

    with gr.Blocks(css=(ROOT / "style.css").read_text("utf-8"), analytics_enabled=False) as page:
        gr.Textbox(label="Prompt", elem_id="txt2img_prompt")
        with gr.Row():
            buttons = {name: gr.Button(name, elem_id="scene_" + name.replace(" ", "_")) for name in SCENES}
        gallery = gr.Gallery(show_label=False, elem_id="txt2img_gallery", columns=4, preview=True, height=500)
        area = gr.HTML(elem_id="txt2img_riffusion_players")
        gr.HTML(heard("tab", [None]), elem_id="riffusion_pictures_players")
        for name, (images, players) in SCENES.items():
            shown = ([files[image] for image in images], heard(name, players))
            buttons[name].click(lambda shown=shown: shown, outputs=[gallery, area])
    return page


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    build(arguments.folder).launch(
        server_port=arguments.port, allowed_paths=[str(arguments.folder)], show_api=False, quiet=True
    )
