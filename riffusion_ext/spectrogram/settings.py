"""How images shall become audio: the choices, and one object that holds them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata

from riffusion_ext.audio import LEVELS, RAW
from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import SpectrogramParams

__all__ = ["CHANNELS", "ENGINES", "DecodeSettings", "available_engines"]

ENGINES = ("fast", "best", "reference")
CHANNELS = ("auto", "mono", "stereo")


@lru_cache(maxsize=1)
def available_engines() -> tuple[str, ...]:
    """Engines to offer here: ``reference`` only where a torchaudio of torch's own version is installed.

    Asks for versions and imports neither: a torchaudio that does not match may not be importable at all.
    """
    try:
        torch, torchaudio = (metadata.version(name).split("+")[0] for name in ("torch", "torchaudio"))
    except (metadata.PackageNotFoundError, AttributeError, KeyError):  # the last two: the remains of a broken install
        return ENGINES[:2]
    return ENGINES if torch == torchaudio else ENGINES[:2]


@dataclass(frozen=True)
class DecodeSettings:
    """How images become audio.

    Parameters
    ----------
    engine
        ``"fast"``, ``"best"`` (about five times slower, cleaner), or ``"reference"`` (the original recipe).
    level
        ``"peak"``: the loudest sample at -0.1 dBFS. ``"loudness"``: -12 dBFS RMS, peaks limited. ``"recorded"``: the
        level the image records, so that tiles of one song fit together. ``"raw"`` is for clips to be joined and
        levelled as a whole: the recorded level, even where it passes full scale.
    channels
        ``"auto"`` follows the image; ``"mono"`` and ``"stereo"`` insist.
    params
        Parameters to use instead of the image's own.
    seed
        For the reference engine's random phases. The others need none: the same image gives the same sound.
    device
        A torch device, or ``"auto"``.

    Raises
    ------
    RiffusionError
        An unknown engine, level or channel choice.
    """

    engine: str = "fast"
    level: str = "peak"
    channels: str = "auto"
    params: SpectrogramParams | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, choices in (("engine", ENGINES), ("level", LEVELS), ("channels", CHANNELS)):
            value = getattr(self, name)
            if value not in choices and (name, value) != ("level", RAW):
                raise RiffusionError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
