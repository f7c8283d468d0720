"""Recognize checkpoints of Riffusion models by name and hash, without reading the weights."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["KNOWN_HASHES", "looks_like_riffusion", "patterns_from_text"]

KNOWN_HASHES = (
    "99a6eb51c18e16a6121180f3daa69344e571618b195533f67ae94be4eb135a57",  # riffusion-model-v1.ckpt, sha256
    "3aafa6fe",  # the same file by webui's old short hash
)
"""Hashes of published Riffusion checkpoints. The webui also shows the first ten digits of a sha256."""

_MIN_HASH_DIGITS = 8


def patterns_from_text(text: str) -> tuple[str, ...]:
    """Split a user's list of name patterns at commas and line breaks."""
    return tuple(part.strip() for part in re.split(r"[,\n]", text or "") if part.strip())


def _is_known_hash(text: str) -> bool:
    digits = text.strip().strip("[]").lower()
    return len(digits) >= _MIN_HASH_DIGITS and any(known.startswith(digits) for known in KNOWN_HASHES)


def _matches(pattern: str, name: str) -> bool:
    # A pattern matches anywhere in the name; * matches any text.
    name, position = name.lower(), 0
    for part in pattern.lower().split("*"):  # each part at its first position after the previous one
        position = name.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return True


def looks_like_riffusion(
    names: Iterable[str], hashes: Iterable[str] = (), patterns: Iterable[str] = ("riffusion",)
) -> bool:
    """Return whether a name matches a pattern, or a hash is that of a published Riffusion checkpoint.

    Parameters
    ----------
    names
        Names of the checkpoint in the host: title, file name.
    hashes
        sha256, whole or its first digits, and the former short hash.
    patterns
        Parts of names, case-insensitive; ``*`` stands for any text.
    """
    patterns = tuple(patterns)
    names = [name for name in names if name]
    if any(_is_known_hash(text) for text in hashes if text):
        return True
    # A title ends with the short hash in brackets, which a host shows even before the checkpoint is loaded.
    if any(_is_known_hash(found) for name in names for found in re.findall(r"\[([0-9a-fA-F]{8,64})\]", name)):
        return True
    return any(_matches(pattern, name) for pattern in patterns for name in names)
