"""Convert lists of files between sound and images, for the command line and the Riffusion tab.

A bad file never stops the others: every input yields a :class:`Result` with its output files, or one sentence about the
error. Files are written atomically, so an interrupt leaves no partial files.
"""

from riffusion_ext.convert.clips import images_to_clips, join_clips, joined_path
from riffusion_ext.convert.decode import check_format
from riffusion_ext.convert.result import Existing, Result, explain
from riffusion_ext.convert.to_audio import images_to_sounds, song_to_sound
from riffusion_ext.convert.to_images import sounds_to_images

__all__ = [
    "Existing",
    "Result",
    "check_format",
    "explain",
    "images_to_clips",
    "images_to_sounds",
    "join_clips",
    "joined_path",
    "song_to_sound",
    "sounds_to_images",
]
