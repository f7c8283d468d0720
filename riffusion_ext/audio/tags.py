"""The texts a sound file carries about itself, whatever its format calls them."""

from __future__ import annotations

from collections.abc import Mapping

from riffusion_ext.errors import AudioError

__all__ = ["TAG_NAMES", "check_tags"]

TAG_NAMES = ("title", "artist", "album", "comment", "software", "date", "genre")


def check_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return the tags that have a text, in a form that every format can hold.

    NUL ends a text in most formats and is taken out; half surrogates (from file names that are not UTF-8) become ``?``.

    Raises
    ------
    AudioError
        A name is not one of :data:`TAG_NAMES`, or a value is not a text.
    """
    checked: dict[str, str] = {}
    for name, value in (tags or {}).items():
        if name not in TAG_NAMES:
            raise AudioError(f"unknown tag {name!r}, a sound file takes {', '.join(TAG_NAMES)}")
        if not isinstance(value, str):
            raise AudioError(f"the tag {name!r} must be a text, got {type(value).__name__}")
        text = value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
        if text:
            checked[name] = text
    return checked
