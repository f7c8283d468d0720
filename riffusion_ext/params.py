"""Parameters of the conversion between audio and spectrogram images.

The defaults are those riffusion-model-v1 was trained on. The field names are those of the original library, whose
EXIF tags (:mod:`riffusion_ext.metadata`) exchange them between programs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.numbers import in_range, is_finite, read_float, shown

__all__ = ["BOUNDS", "DEFAULT_MAX_VALUE", "MIN_MAX_VALUE", "PRESETS", "SpectrogramParams"]

DEFAULT_MAX_VALUE = 30e6
"""Mel magnitude of a black pixel in images that do not record theirs (16-bit sample units)."""

MIN_MAX_VALUE = 1e-15
"""Smallest mel magnitude of a black pixel: some 360 dB below full scale."""

# name -> (min, max); metadata of images outside these ranges is taken for damaged.
BOUNDS: dict[str, tuple[float, float]] = {
    "sample_rate": (8000, 192000),
    "step_size_ms": (1, 100),
    "window_duration_ms": (2, 1000),
    "padded_duration_ms": (2, 2000),
    "num_frequencies": (16, 4096),
    "min_frequency": (0, 20000),
    "max_frequency": (100, 96000),
    "power_for_image": (0.05, 2.0),
}
_WHOLE = ("sample_rate", "num_frequencies")

# In samples and in hops: they limit the memory that the metadata of an image can require.
_MAX_WINDOW, _MAX_FFT, _MAX_HOPS = 20000, 131072, 100


@dataclass(frozen=True)
class SpectrogramParams:
    """Parameters of a mel spectrogram image.

    Parameters
    ----------
    sample_rate
        Samples per second of the audio, in Hz, 8000 to 192000.
    stereo
        Two channels, kept in the green (left) and blue (right) channels of the image.
    step_size_ms
        Time between two columns of the image, in ms.
    window_duration_ms
        Length of the Hann analysis window, in ms.
    padded_duration_ms
        Length of the zero-padded FFT, in ms; at least the window.
    num_frequencies
        Mel bands, one for each row of the image. Row 0 (the top) is the highest.
    min_frequency, max_frequency
        Edges of the mel filterbank, in Hz.
    power_for_image
        Exponent between magnitude and pixel: ``pixel = 255 - 255 * (mel / max_value) ** power_for_image``.

    Raises
    ------
    RiffusionError
        A value is not a finite number, lies outside its range, or contradicts another.
    """

    sample_rate: int = 44100
    stereo: bool = False
    step_size_ms: int = 10
    window_duration_ms: int = 100
    padded_duration_ms: int = 400
    num_frequencies: int = 512
    min_frequency: int = 0
    max_frequency: int = 10000
    power_for_image: float = 0.25

    def __post_init__(self) -> None:
        for name, (low, high) in BOUNDS.items():
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or not is_finite(value):
                raise RiffusionError(f"{name} must be a number, got {shown(value)}")
            in_range(name, value, low, high)
            if name in _WHOLE and not isinstance(value, int):
                raise RiffusionError(f"{name} must be a whole number, got {value:g}")
        if not isinstance(self.stereo, bool):
            raise RiffusionError(f"stereo must be true or false, got {self.stereo!r}")
        if self.padded_duration_ms < self.window_duration_ms:
            raise RiffusionError(
                f"padded_duration_ms ({self.padded_duration_ms}) must not be shorter than "
                f"window_duration_ms ({self.window_duration_ms})"
            )
        if self.window_duration_ms < 2 * self.step_size_ms:
            raise RiffusionError(
                f"window_duration_ms ({self.window_duration_ms}) must be at least twice "
                f"step_size_ms ({self.step_size_ms})"
            )
        if self.window_duration_ms > _MAX_HOPS * self.step_size_ms:
            raise RiffusionError(
                f"window_duration_ms ({self.window_duration_ms:g}) must be at most {_MAX_HOPS} times "
                f"step_size_ms ({self.step_size_ms:g})"
            )
        for name, samples, limit in (
            ("window_duration_ms", self.win_length, _MAX_WINDOW),
            ("padded_duration_ms", self.n_fft, _MAX_FFT),
        ):
            if samples > limit:
                raise RiffusionError(
                    f"{name} ({getattr(self, name):g}) must not exceed {limit} samples, "
                    f"which are {1000 * limit / self.sample_rate:.0f} ms at {self.sample_rate} Hz"
                )
        if self.max_frequency <= self.min_frequency:
            raise RiffusionError(
                f"max_frequency ({self.max_frequency}) must be above min_frequency ({self.min_frequency})"
            )
        if self.max_frequency > self.sample_rate / 2:
            raise RiffusionError(
                f"max_frequency ({self.max_frequency}) must not exceed half the sample rate ({self.sample_rate / 2:g})"
            )

    @property
    def hop_length(self) -> int:
        """Samples between two columns."""
        return int(self.step_size_ms / 1000.0 * self.sample_rate)

    @property
    def win_length(self) -> int:
        """Samples in the analysis window."""
        return int(self.window_duration_ms / 1000.0 * self.sample_rate)

    @property
    def n_fft(self) -> int:
        """Samples in the zero-padded FFT."""
        return int(self.padded_duration_ms / 1000.0 * self.sample_rate)

    @property
    def channels(self) -> int:
        """Audio channels: 1 or 2."""
        return 2 if self.stereo else 1

    def samples_of_columns(self, columns: int) -> int:
        """Count the samples of audio in an image of that many columns: ``(columns - 1) * hop_length``.

        512 columns are 5.11 s, as the last column is a point in time and has no length. A song cut into tiles of 512
        columns advances 512 hops (5.12 s) per tile; only the song as a whole is one hop shorter.
        """
        return max(columns - 1, 0) * self.hop_length

    def columns_of_samples(self, samples: int) -> int:
        """Count the columns in the image of that many samples: ``1 + samples // hop_length``."""
        return 1 + samples // self.hop_length

    def replace(self, **changes: object) -> SpectrogramParams:
        """Return a copy with some values changed and all of them checked again."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @classmethod
    def from_text(cls, text: str) -> SpectrogramParams:
        """Parse a text such as ``max_frequency=16000, stereo=true``. Missing names get the defaults.

        Raises
        ------
        RiffusionError
            The text is not a list of known names with values, or the values are invalid.
        """
        values: dict[str, object] = {}
        for part in filter(None, (part.strip() for part in re.split("[,;\\n]", text))):
            name, equals, value = (word.strip() for word in part.partition("="))
            if not equals or name not in {*BOUNDS, "stereo"}:
                raise RiffusionError(
                    f"Spectrogram parameters: {shown(part)} is not understood; write name=value, separated by commas. "
                    f"The names are {', '.join(['stereo', *BOUNDS])}."
                )
            values[name] = _value_of(name, value)
        return cls(**values)  # type: ignore[arg-type]

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> SpectrogramParams:
        """Build from a mapping. Unknown keys are ignored; missing keys get the defaults."""
        names = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in values.items() if k in names})  # type: ignore[arg-type]


def _value_of(name: str, text: str) -> object:
    """Parse a number or boolean; other texts are returned unchanged, and refused by the constructor."""
    if name == "stereo":
        return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(text.lower(), text)
    try:
        number = read_float(text)
    except RiffusionError:
        return text
    return int(number) if number.is_integer() else number


PRESETS: dict[str, SpectrogramParams] = {
    "riffusion-v1": SpectrogramParams(),
    "20khz-stereo": SpectrogramParams(min_frequency=10, max_frequency=20000, stereo=True),
}
"""Parameters of published models. ``riffusion-v1`` is the default everywhere."""
