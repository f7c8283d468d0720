"""Tell images and audio files in a folder from others, and report the files that are skipped.

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
"""Suffixes of images in a folder. A file named explicitly is tried whatever its suffix."""

# fmt: off
_BY_FFMPEG = frozenset(
    {
        ".wv", ".tta", ".mka", ".ape", ".mpc", ".tak", ".ac3", ".eac3", ".dts", ".amr", ".m4b", ".m4r", ".3gp",
        ".spx", ".ra", ".dsf", ".dff", ".oma", ".shn", ".weba", ".mkv", ".mov", ".m4v", ".avi", ".flv", ".ogv",
        ".mpg", ".mpeg",
    }
)
# fmt: on
"""Suffixes of audio that only ffmpeg reads. Without ffmpeg, such files are skipped."""

# fmt: off
SOUND_SUFFIXES = _BY_FFMPEG | frozenset(
    {
        ".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".mp2", ".mpga",
        ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".voc", ".m4a", ".aac", ".wma", ".mp4", ".webm",
    }
)
# fmt: on
"""Suffixes of audio files in a folder."""

# fmt: off
_COMPANIONS = frozenset(
    {
        ".txt", ".json", ".jsonl", ".csv", ".tsv", ".md", ".rst", ".html", ".htm", ".pdf", ".rtf", ".xml", ".yaml",
        ".yml", ".toml", ".ini", ".log", ".cue", ".m3u", ".m3u8", ".pls", ".nfo", ".sfv", ".md5", ".sha256",
        ".accurip", ".lrc", ".srt", ".part", ".db", ".py", ".sh", ".bat",
    }
)
# fmt: on
"""Suffixes of texts and lists that often accompany songs and images; skipped without a message."""

_FFMPEG = "RIFFUSION_FFMPEG"  # as in audio.formats.ffmpeg

_MAX_KINDS = 6


def suffix_of(path: Path) -> str:
    """Return the suffix in lower case, ignoring spaces and dots at the end of the name: ``"a.WAV "``."""
    return Path(path.name.rstrip(" .\t\u00a0")).suffix.lower()


def is_known(path: Path, suffixes: Iterable[str]) -> bool:
    """Whether a file has one of the suffixes, and can be read here."""
    suffix = suffix_of(path)
    return suffix in suffixes and (suffix not in _BY_FFMPEG or _has_ffmpeg())


def _has_ffmpeg() -> bool:
    return bool(os.environ.get(_FFMPEG, shutil.which("ffmpeg")))


def passed_over(files: Iterable[Path], suffixes: Iterable[str]) -> list[Path]:
    """Return the skipped files of a folder that should be reported: neither of the kinds, nor their usual companions.

    Images beside songs, and audio beside images, are companions: our own results lie there.
    """
    wanted = frozenset(suffixes)
    beside = (IMAGE_SUFFIXES | SOUND_SUFFIXES | _COMPANIONS) - (_BY_FFMPEG if wanted & SOUND_SUFFIXES else frozenset())
    return [path for path in files if not is_known(path, wanted) and suffix_of(path) not in beside]


def passed_over_line(files: Sequence[Path]) -> str:
    """Return one line about skipped files: ``"2 files passed over: 2 .mid (a.mid, ...)"``.

    For kinds that only ffmpeg reads, it says so.
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
