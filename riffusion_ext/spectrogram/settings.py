"""Settings of decoding images to audio."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata

from riffusion_ext.audio import LEVELS, RAW
from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import SpectrogramParams

__all__ = ["CHANNELS", "ENGINES", "HIGH_FREQUENCIES", "DecodeSettings", "available_engines"]

ENGINES = ("fast", "best", "reference")
CHANNELS = ("auto", "mono", "stereo")
HIGH_FREQUENCIES = ("auto", "on", "off")


@lru_cache(maxsize=1)
def available_engines() -> tuple[str, ...]:
    """Return the available engines: ``reference`` only if torchaudio is installed in the version of torch.

    Compares the versions without importing: a mismatched torchaudio may fail to import.
    """
    try:
        torch, torchaudio = (metadata.version(name).split("+")[0] for name in ("torch", "torchaudio"))
    except (metadata.PackageNotFoundError, AttributeError, KeyError):  # the last two: a broken installation
        return ENGINES[:2]
    return ENGINES if torch == torchaudio else ENGINES[:2]


@dataclass(frozen=True)
class DecodeSettings:
    """Settings of decoding images to audio.

    Parameters
    ----------
    engine
        ``"fast"``, ``"best"`` (about five times slower, cleaner), or ``"reference"`` (the original recipe).
    level
        ``"peak"``: the loudest sample at -0.1 dBFS. ``"loudness"``: -12 dBFS RMS, peaks limited. ``"recorded"``: the
        level recorded in the image, so that tiles of one song fit together. ``"raw"`` is for clips that are joined and
        then levelled as a whole: the recorded level, even above full scale.
    channels
        ``"auto"`` follows the image; ``"mono"`` and ``"stereo"`` override it.
    params
        Parameters to use instead of the image's own.
    seed
        Seed of the random phases of the reference engine. The others are deterministic.
    device
        A torch device, or ``"auto"``.
    high_frequencies
        ``"off"``: the sound is what the image holds, as measurements need it. ``"auto"``: sound is predicted from the
        image's highest frequency to 20 kHz, if it lies below 16 kHz. ``"on"``: the same, and a note says why nothing
        was added. The clip then may have a multiple of the image's sample rate.

    Raises
    ------
    RiffusionError
        An unknown engine, level, or choice of channels or high frequencies.
    """

    engine: str = "fast"
    level: str = "peak"
    channels: str = "auto"
    params: SpectrogramParams | None = None
    seed: int = 0
    device: str = "auto"
    high_frequencies: str = "off"

    def __post_init__(self) -> None:
        for name, choices in (
            ("engine", ENGINES),
            ("level", LEVELS),
            ("channels", CHANNELS),
            ("high_frequencies", HIGH_FREQUENCIES),
        ):
            value = getattr(self, name)
            if value not in choices and (name, value) != ("level", RAW):
                raise RiffusionError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
