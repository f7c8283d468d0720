"""Audio clips: files, levels and joining.

Requires only numpy. scipy (resampling, limiter) and soundfile (FLAC, OGG, MP3) are imported on first use.
"""

from __future__ import annotations

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.crossfade import join, join_at_level
from riffusion_ext.audio.io import (
    FORMATS,
    SUBTYPES,
    available_formats,
    read_audio,
    read_tags,
    sound_length,
    write_audio,
)
from riffusion_ext.audio.level import LEVELS, RAW, apply_level
from riffusion_ext.audio.save import save_clip
from riffusion_ext.audio.tags import TAG_NAMES

__all__ = [
    "FORMATS",
    "LEVELS",
    "RAW",
    "SUBTYPES",
    "TAG_NAMES",
    "AudioClip",
    "apply_level",
    "available_formats",
    "join",
    "join_at_level",
    "read_audio",
    "read_tags",
    "save_clip",
    "sound_length",
    "write_audio",
]
