"""Our section on webui's Settings page. Every value is read with a default: the host may not know the key (yet)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["DEFAULTS", "SECTION", "SUBTYPES", "add_to"]

SECTION = ("riffusion", "Riffusion")

SUBTYPES = {"16 bit": "pcm16", "24 bit": "pcm24", "32 bit float": "float"}
"""What the user reads -> what the writer of sound files takes."""

_OPTIONS: tuple[tuple[str, Any, str, str, tuple[str, ...]], ...] = (
    # key, default, label, help, choices
    (
        "riffusion_auto",
        True,
        "Turn sound on automatically when a Riffusion checkpoint is loaded",
        "what Auto means in the Riffusion panel; off: only On makes sound",
        (),
    ),
    (
        "riffusion_model_patterns",
        "riffusion",
        "Names of Riffusion checkpoints",
        "parts of checkpoint names, separated by commas; * stands for anything",
        (),
    ),
    (
        "riffusion_warn",
        True,
        "Warn when sound is on and the checkpoint does not look like a Riffusion model",
        "",
        (),
    ),
    ("riffusion_players", True, "Show players under the gallery", "the sound files are written either way", ()),
    (
        "riffusion_click_plays",
        True,
        "A click on an image with sound plays from there",
        "a double click, or the button in its corner, opens the viewer; off: only a click on its lower edge plays",
        (),
    ),
    (
        "riffusion_subtype",
        "16 bit",
        "Resolution of WAV and FLAC files",
        "FLAC has no floating point; it takes 24 bit instead",
        tuple(SUBTYPES),
    ),
    (
        "riffusion_device",
        "Same as webui",
        "Device that turns images into sound",
        "the processor is fast enough for single clips and leaves the graphics memory alone",
        ("Same as webui", "Processor"),
    ),
    (
        "riffusion_sidecar",
        False,
        "Keep a PNG beside images that are saved as JPEG, WebP or AVIF",
        "the sound is always made from the exact image; a lossy file made into sound again later sounds worse",
        (),
    ),
)

DEFAULTS: dict[str, Any] = {key: default for key, default, *_ in _OPTIONS}
"""Default of every setting."""


def add_to(opts: Any, option_info: Callable[..., Any], radio: Any) -> None:
    """Add the section to a host's settings.

    Parameters
    ----------
    opts
        The host's settings; has ``add_option(key, info)``.
    option_info
        The host's class of one setting.
    radio
        The component for a choice.
    """
    for key, default, label, help_, choices in _OPTIONS:
        extra = {"component": radio, "component_args": {"choices": list(choices)}} if choices else {}
        info = option_info(default, label, section=SECTION, **extra)
        opts.add_option(key, info.info(help_) if help_ else info)
