"""Does a checkpoint look like a Riffusion model? Asked by name and hash; the weights are not looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["KNOWN_HASHES", "looks_like_riffusion", "patterns_from_text"]

KNOWN_HASHES = (
    "99a6eb51c18e16a6121180f3daa69344e571618b195533f67ae94be4eb135a57",  # riffusion-model-v1.ckpt, sha256
    "3aafa6fe",  # the same file by webui's old short hash
)
"""Hashes of published Riffusion checkpoints. webui also shows the first ten digits of a sha256."""

_MIN_HASH_DIGITS = 8


def patterns_from_text(text: str) -> tuple[str, ...]:
    """Read a user's list of name patterns, separated by commas or lines."""
    return tuple(part.strip() for part in re.split(r"[,\n]", text or "") if part.strip())


def _is_known_hash(text: str) -> bool:
    digits = text.strip().strip("[]").lower()
    return len(digits) >= _MIN_HASH_DIGITS and any(known.startswith(digits) for known in KNOWN_HASHES)


def _matches(pattern: str, name: str) -> bool:
    # "riffusion" is found anywhere in the name; "*-music-*" is taken as a shell pattern for a part of it.
    name, position = name.lower(), 0
    for part in pattern.lower().split("*"):  # each at the first place behind the one before
        position = name.find(part, position)
        if position < 0:
            return False
        position += len(part)
    return True


def looks_like_riffusion(
    names: Iterable[str], hashes: Iterable[str] = (), patterns: Iterable[str] = ("riffusion",)
) -> bool:
    """Whether any name holds any of the patterns, or any hash is that of a published Riffusion checkpoint.

    Parameters
    ----------
    names
        What the host calls the checkpoint: title, file name.
    hashes
        sha256 (whole or its first digits) and old short hash.
    patterns
        Parts of names, case ignored; ``*`` stands for anything.
    """
    patterns = tuple(patterns)
    names = [name for name in names if name]
    if any(_is_known_hash(text) for text in hashes if text):
        return True
    # A title ends with its short hash in brackets, which a host shows even before the checkpoint is loaded.
    if any(_is_known_hash(found) for name in names for found in re.findall(r"\[([0-9a-fA-F]{8,64})\]", name)):
        return True
    return any(_matches(pattern, name) for pattern in patterns for name in names)
