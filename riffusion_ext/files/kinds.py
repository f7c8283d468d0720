"""Which files of a folder are images and sound, and what is said about the others.

Standard library only.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

__all__ = ["IMAGE_SUFFIXES", "SOUND_SUFFIXES", "is_known", "passed_over", "passed_over_line", "suffix_of"]

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif"})
"""What is taken from a folder as an image. A file named outright is tried whatever its suffix."""

# fmt: off
_BY_FFMPEG = frozenset(
    {
        ".wv", ".tta", ".mka", ".ape", ".mpc", ".tak", ".ac3", ".eac3", ".dts", ".amr", ".m4b", ".m4r", ".3gp",
        ".spx", ".ra", ".dsf", ".dff", ".oma", ".shn", ".weba", ".mkv", ".mov", ".m4v", ".avi", ".flv", ".ogv",
        ".mpg", ".mpeg",
    }
)
# fmt: on
"""Sound that ffmpeg alone reads: taken from a folder where it is installed, else among the files passed over."""

# fmt: off
SOUND_SUFFIXES = _BY_FFMPEG | frozenset(
    {
        ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".mpga",
        ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".voc", ".m4a", ".aac", ".wma", ".mp4", ".webm",
    }
)
# fmt: on
"""What is taken from a folder as sound."""

# fmt: off
_COMPANIONS = frozenset(
    {
        ".txt", ".json", ".jsonl", ".csv", ".tsv", ".md", ".rst", ".html", ".htm", ".pdf", ".rtf", ".xml", ".yaml",
        ".yml", ".toml", ".ini", ".log", ".cue", ".m3u", ".m3u8", ".pls", ".nfo", ".sfv", ".md5", ".sha256",
        ".accurip", ".lrc", ".srt", ".part", ".db", ".py", ".sh", ".bat",
    }
)
# fmt: on
"""Texts and lists that lie beside songs and images, and are neither; passed over without a word."""

_FFMPEG = "RIFFUSION_FFMPEG"  # as in audio.ffmpeg

_MAX_KINDS = 6


def suffix_of(path: Path) -> str:
    """Return the suffix in lower case; spaces and dots that a name ends with do not hide it: ``"a.WAV "``."""
    return Path(path.name.rstrip(" .\t\u00a0")).suffix.lower()


def is_known(path: Path, suffixes: Iterable[str]) -> bool:
    """Whether a file found in a folder is of one of the kinds, and there is something that reads it."""
    suffix = suffix_of(path)
    return suffix in suffixes and (suffix not in _BY_FFMPEG or _has_ffmpeg())


def _has_ffmpeg() -> bool:
    return bool(os.environ.get(_FFMPEG, shutil.which("ffmpeg")))


def passed_over(files: Iterable[Path], suffixes: Iterable[str]) -> list[Path]:
    """Return those files of a folder that somebody may miss: neither of the kinds, nor something that lies beside them.

    Images lie beside songs, and sound beside images, as our own results do.
    """
    wanted = frozenset(suffixes)
    beside = (IMAGE_SUFFIXES | SOUND_SUFFIXES | _COMPANIONS) - (_BY_FFMPEG if wanted & SOUND_SUFFIXES else frozenset())
    return [path for path in files if not is_known(path, wanted) and suffix_of(path) not in beside]


def passed_over_line(files: Sequence[Path]) -> str:
    """Return one line about files that were passed over: ``"2 files passed over: 2 .mid (a.mid, ...)"``.

    Kinds that only ffmpeg reads say that it is missing.
    """
    kinds = Counter(suffix_of(path) for path in files)
    shown = []
    for suffix, count in sorted(kinds.items(), key=lambda item: (-item[1], item[0]))[:_MAX_KINDS]:
        example = next(path.name for path in files if suffix_of(path) == suffix)
        more = ", ..." if count > 1 else ""
        need = "; needs ffmpeg" if suffix in _BY_FFMPEG else ""
        shown.append(f"{count} {suffix or 'without suffix'} ({example}{more}{need})")
    if len(kinds) > _MAX_KINDS:
        shown.append("...")
    return f"{len(files)} {'files' if len(files) != 1 else 'file'} passed over: {', '.join(shown)}"
