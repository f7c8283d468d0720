"""HTML of players and messages. All functions are pure and escape their arguments.

Plain ``<audio>`` elements work the same in every gradio version, for any number of clips, and without copies of files.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape as escape_html
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["details", "download", "escape", "format_duration", "image_url", "images", "message", "panel", "player"]

_MAX_LABEL = 120


def escape(text: str) -> str:
    """Escape a text for HTML. Bytes of file names that are not UTF-8 become question marks."""
    return escape_html(text.encode("utf-8", "replace").decode())


def format_duration(seconds: float) -> str:
    """Format a duration in seconds: ``5.11 s``, from one minute on ``1:05 min``."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"


def player(
    src_url: str,
    label: str,
    duration: float,
    download_name: str,
    *,
    seed: int | None = None,
    number: int | None = None,
    loop: bool = False,
    image: str | None = None,
) -> str:
    """Return the HTML of one player.

    Parameters
    ----------
    src_url
        URL of the clip.
    label
        Prompt or title; a long one is truncated, and whole in the tooltip.
    duration
        Seconds.
    download_name
        File name of the download.
    seed
        Seed of the image.
    number
        Position of the clip in its list, from 1; with it, screen readers distinguish players of the same prompt.
    loop
        Whether playback repeats.
    image
        File name of the clip's image, by which javascript/riffusion_gallery.js finds it in the gallery; "" if the image
        was not saved, None if the clip has no single image.
    """
    text = " ".join(label.split())
    short = text if len(text) <= _MAX_LABEL else text[: _MAX_LABEL - 1].rstrip() + "…"
    heading = (f"{number}. " if number is not None else "") + (short or download_name)
    aria_label = f"{heading}, seed {seed}" if seed is not None else heading
    data = f' data-picture="{escape(image)}"' if image is not None else ""
    facts = []
    if seed is not None:
        facts.append(f'<span class="riffusion-fact">seed {seed}</span>')
    facts.append(f'<span class="riffusion-fact">{escape(format_duration(duration))}</span>')
    return (
        f'<li class="riffusion-clip"{data}>'
        f'<div class="riffusion-title" title="{escape(text)}">{escape(heading)}</div>'
        f'<audio controls{" loop" if loop else ""} preload="metadata" src="{escape(src_url)}"'
        f' aria-label="{escape(aria_label)}"></audio>'
        f'<div class="riffusion-facts">{"".join(facts)}'
        f'<a class="riffusion-download" href="{escape(src_url)}" download="{escape(download_name)}"'
        f' title="{escape(download_name)}" aria-label="{escape("Download " + download_name)}">Download</a></div>'
        "</li>"
    )


def download(url: str, name: str) -> str:
    """Return the HTML of a download link."""
    return (
        f'<p class="riffusion-file"><a class="riffusion-download" href="{escape(url)}" download="{escape(name)}"'
        f' aria-label="{escape("Download " + name)}">{escape(name)}</a></p>'
    )


def images(items: Iterable[tuple[str, str, str]]) -> str:
    """Return the HTML of images side by side, each a link to its file; "" for no images.

    Parameters
    ----------
    items
        For each image the URL of the thumbnail, the URL of the file, and the file name.
    """
    shown = "".join(
        f'<figure><a href="{escape(file)}" target="_blank" rel="noopener"><img src="{escape(thumbnail)}" loading="lazy"'
        f' alt="{escape(name)}"></a><figcaption>{download(file, name)}</figcaption></figure>'
        for thumbnail, file, name in items
    )
    return f'<div class="riffusion-pictures">{shown}</div>' if shown else ""


def image_url(image: Image.Image, format: str = "PNG") -> str:
    """Encode an image as a data URL, for images that are in no file."""
    file = io.BytesIO()
    image.save(file, format=format)
    data = base64.b64encode(file.getvalue()).decode()
    return f"data:image/{format.lower()};base64,{data}"


def message(text: str, kind: str = "info") -> str:
    """Return the HTML of a message; ``kind`` is ``"info"``, ``"warning"`` or ``"error"``."""
    if kind not in ("info", "warning", "error"):
        raise ValueError(f"kind is {kind!r}; it can be info, warning or error")
    role = "status" if kind == "info" else "alert"
    return f'<p class="riffusion-message riffusion-{kind}" role="{role}">{escape(text)}</p>'


def details(heading: str, text: str) -> str:
    """Return the HTML of a text of several lines that is collapsed under a heading."""
    return f'<details class="riffusion-details"><summary>{escape(heading)}</summary><pre>{escape(text)}</pre></details>'


def panel(players: Iterable[str], messages: Iterable[str] = ()) -> str:
    """Return the HTML of players and messages; "" for none, which takes no space on the page."""
    clips, notes = "".join(players), "".join(messages)
    if not clips and not notes:
        return ""
    items = f'<ul class="riffusion-clips">{clips}</ul>' if clips else ""
    return f'<section class="riffusion-players" aria-label="Sound of the images">{notes}{items}</section>'
