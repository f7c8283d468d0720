"""Settings of the extension on the webui's page Settings.

Ids and labels must not change: settings are stored by id, and translations by label.
"""

from __future__ import annotations

from collections.abc import Sequence

from riffusion_ext.options.convert.to_audio import SUBTYPES as SUBTYPES_OF_BITS
from riffusion_ext.options.option import Option, by_id

__all__ = ["OPTIONS", "SAME_DEVICE", "SUBTYPES", "WEBUI"]

SUBTYPES = {f"{name} bit" if name.isdigit() else f"32 bit {name}": kind for name, kind in SUBTYPES_OF_BITS.items()}
"""Sample formats of :func:`~riffusion_ext.audio.io.write_audio` by their names in the webui."""

SAME_DEVICE = "Same as webui"


def _setting(id_: str, default: bool | str, label: str, help_: str, choices: Sequence[str] = ()) -> Option:
    kind = "radio" if choices else "checkbox" if isinstance(default, bool) else "text"
    return Option(f"riffusion_{id_}", label, kind, default, help_, choices=tuple(choices), interfaces=("settings",))


OPTIONS: tuple[Option, ...] = (
    _setting(
        "auto",
        True,
        "Turn sound on automatically when a Riffusion checkpoint is loaded",
        "what Auto means in the Riffusion panel; off: only On makes sound",
    ),
    _setting(
        "model_patterns",
        "riffusion",
        "Names of Riffusion checkpoints",
        "parts of checkpoint names, separated by commas; * stands for anything",
    ),
    _setting("warn", True, "Warn when sound is on and the checkpoint does not look like a Riffusion model", ""),
    _setting("players", True, "Show players under the gallery", "the sound files are written either way"),
    _setting(
        "click_plays",
        True,
        "A click on an image with sound plays from there",
        "a double click, or the button in its corner, opens the viewer; off: only a click on its lower edge plays",
    ),
    _setting(
        "subtype",
        next(iter(SUBTYPES)),
        "Resolution of WAV and FLAC files",
        "FLAC has no floating point; it takes 24 bit instead",
        tuple(SUBTYPES),
    ),
    _setting(
        "device",
        SAME_DEVICE,
        "Device that turns images into sound",
        "the processor is fast enough for single clips and leaves the graphics memory alone",
        (SAME_DEVICE, "Processor"),
    ),
    _setting(
        "sidecar",
        False,
        "Keep a PNG beside images that are saved as JPEG, WebP or AVIF",
        "the sound is always made from the exact image; a lossy file made into sound again later sounds worse",
    ),
)
"""Settings in the order of the page."""

WEBUI = by_id(OPTIONS)
