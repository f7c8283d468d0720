"""Names and checks of tags, independent of the file format."""

from __future__ import annotations

from collections.abc import Mapping

from riffusion_ext.errors import AudioError

__all__ = ["TAG_NAMES", "check_tags"]

TAG_NAMES = ("title", "artist", "album", "comment", "software", "date", "genre")


def check_tags(tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return the tags that are not empty, in a form that every format can hold.

    NUL terminates a string in most formats and is removed. Lone surrogates (from file names that are not UTF-8) become
    ``?``.

    Raises
    ------
    AudioError
        A name is not one of :data:`TAG_NAMES`, or a value is not a string.
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
