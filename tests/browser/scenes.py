"""Contents of the gallery page."""

from __future__ import annotations

SCENES: dict[str, tuple[list[str], list[str | None]]] = {
    # images in the gallery, and the images of the players below it
    "batch": (
        ["grid-0000.png", "00000-7.png", "mask.png", "00001-8 été.png"],
        ["00000-7.png", "00001-8 été.png", None],
    ),
    "one": (["00002-9.png"], ["00002-9.png"]),
    "unsaved": (["tmpabc.png"], [""]),
    "two unsaved": (["tmpabc.png", "tmpdef.png"], ["", ""]),
    "silent": (["00002-9.png"], []),
}

SECONDS = 40.0
"""Of each sound: much longer than a busy machine takes to look at what plays."""
