"""Encode a song as the init images of its windows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from riffusion_ext.audio import AudioClip
from riffusion_ext.files.atomic import remove_leftovers
from riffusion_ext.files.regular import open_regular
from riffusion_ext.generate.windows.plan import Plan, Window
from riffusion_ext.metadata import read_record, save_image
from riffusion_ext.spectrogram.encode import mel_pieces
from riffusion_ext.spectrogram.image import is_intact_png, mel_to_image, read_image
from riffusion_ext.spectrogram.pixel_law import full_scale_of
from riffusion_ext.validation.names import check_folders

__all__ = ["SongImages"]

_FULL_SCALE = np.float32(32768.0)
_PIECE_SECONDS = 20
_MIN_MAX_VALUE = 1000.0
"""Magnitude of black in a silent window: about the least significant bit of 16-bit sound."""


class SongImages:
    """Init images in a folder, each of which uses the whole range of grey and records its own magnitude of black.

    Parameters
    ----------
    folder
        Created if missing.
    plan
        Plan of the song.
    song
        Song at the sample rate of the plan's parameters, from the plan's first sample on.
    channel
        Channel to draw; None mixes all to as many as the images hold.
    """

    def __init__(self, folder: Path, plan: Plan, song: AudioClip, channel: int | None) -> None:
        self.folder, self._plan, self._song, self._channel = folder, plan, song, channel
        self._max_values: dict[int, float] = {}

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:05d}.png"

    def image(self, number: int) -> Image.Image:
        """Open the image of a window."""
        return read_image(self._path(number))

    def max_value(self, number: int) -> float:
        """Return the magnitude of black in the image of a window, in 16-bit sample units."""
        if number not in self._max_values:
            # The record precedes the pixels, which are not decompressed.
            with open_regular(self._path(number)) as file, Image.open(file) as image:
                self._max_values[number] = read_record(image).max_value or self._plan.params.default_max_value
        return self._max_values[number]

    def draw(self, count: int | None = None) -> None:
        """Draw all windows, or the first `count`, in one pass through the song; complete images are kept."""
        check_folders(self.folder.parent.parent, self.folder)
        remove_leftovers(self.folder)
        windows = [window for window in self._plan.windows[:count] if not self._is_drawn(window)]
        if not windows:
            return
        params = self._plan.params
        held = np.zeros((params.channels, 0, params.num_frequencies), np.float32)
        begin = 0  # first column of `held`
        pending = iter(windows)
        window = next(pending, None)
        for piece in chain(mel_pieces(self._pieces(), params), [None]):
            if piece is not None:
                held = np.concatenate([held, piece], axis=1)
            while window is not None and (piece is None or window.end <= begin + held.shape[1]):
                mel = held[:, window.start - begin : window.end - begin]
                self._draw(window, np.pad(mel, ((0, 0), (0, window.width - mel.shape[1]), (0, 0))))
                window = next(pending, None)
            if window is None:
                return
            drop = min(max(window.start - begin, 0), held.shape[1])
            held, begin = held[:, drop:], begin + drop

    def _is_drawn(self, window: Window) -> bool:
        return is_intact_png(self._path(window.number), window.width, self._plan.params.num_frequencies)

    def _draw(self, window: Window, mel: npt.NDArray[np.float32]) -> None:
        params = self._plan.params
        first = window.start * params.hop_length
        samples = self._song.samples[:, first : first + params.samples_of_columns(window.width)]
        peak = float(np.abs(samples).max()) if samples.size else 0.0
        max_value = max(full_scale_of(params, float(mel.max()), peak), _MIN_MAX_VALUE)
        save_image(mel_to_image(mel, params, max_value), self._path(window.number), params, max_value)

    def _pieces(self) -> Iterator[npt.NDArray[np.float32]]:
        """Yield samples [C, n] in 16-bit units, then silence up to the last column."""
        params, samples = self._plan.params, self._song.samples
        piece = _PIECE_SECONDS * params.sample_rate
        for start in range(0, samples.shape[1], piece):
            clip = AudioClip(samples[:, start : start + piece], params.sample_rate)
            if self._channel is None:
                clip = clip.to_channels(params.channels)
            else:
                clip = AudioClip(clip.to_channels(2).samples[self._channel, None], params.sample_rate)
            yield clip.samples * _FULL_SCALE
        missing = params.samples_of_columns(self._plan.columns) - samples.shape[1]
        if missing > 0:
            yield np.zeros((params.channels, missing), np.float32)
