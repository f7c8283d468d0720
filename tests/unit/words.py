"""Words that texts for users must not use: they say image and generate."""

from __future__ import annotations

import re

__all__ = ["forbidden"]

EXCEPTIONS = (
    "Turn pictures into sound",  # label of the panel's first control; ui-config.json holds its default under it
    "from the picture",  # choice of the control Spectrogram; infotext and API clients hold it
    "Riffusion pictures",  # key of a recipe in sound files
    "from_all_pictures.wav",  # file of the demo
    "from_one_picture.wav",
    "--seed-picture",  # option of the commands song and loop
    "seed_picture",  # field of the API
    "/riffusion/v1/pictures",  # routes of the API
    "/riffusion/v1/paintings",
    "data-picture=",  # attribute and class that the pages' scripts and styles know
    "riffusion-pictures",
)
"""What is stored or public and so keeps its name."""

_WORDS = re.compile(r"(?<![\w/])(?:re)?(?:pictur|paint)\w*", re.IGNORECASE)


def forbidden(text: str) -> list[str]:
    """Return the forbidden words in a text, with some context."""
    for exception in EXCEPTIONS:
        text = text.replace(exception, "")
    return [text[max(0, found.start() - 30) : found.end() + 30] for found in _WORDS.finditer(text)]
