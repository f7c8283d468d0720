"""Options of the conversion of images to sound.

The Script in txt2img and img2img, the tab, the command line and the API derive from :data:`CONTROLS`.

Labels and order must not change: the webui stores a user's defaults by label (``ui-config.json``), and API clients pass
the values by position. New controls go to the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riffusion_ext.errors import RiffusionError
from riffusion_ext.options.option import AUTO, OFF, ON, Option, by_id
from riffusion_ext.params import PRESETS, SpectrogramParams

__all__ = [
    "AUTO",
    "CONTROLS",
    "CUSTOM",
    "FROM_IMAGE",
    "OFF",
    "ON",
    "SoundOptions",
    "chosen_params",
    "control",
    "options_from_args",
]

FROM_IMAGE, CUSTOM = "from the picture", "custom"


CONTROLS: tuple[Option, ...] = (
    Option(
        id="mode",
        label="Turn pictures into sound",
        kind="radio",
        default=AUTO,
        help="Auto: while a Riffusion checkpoint is loaded. The sound file is saved beside the image.",
        infotext="Riffusion sound",
        interfaces=("page",),
        choices=(AUTO, ON, OFF),
    ),
    Option(
        id="engine",
        label="Engine",
        kind="dropdown",
        default="fast",
        help="best sounds cleaner and takes longer; reference is the original recipe and needs torchaudio",
        infotext="Riffusion engine",
        choices=("fast", "best", "reference"),
    ),
    Option(
        id="level",
        label="Level",
        kind="dropdown",
        default="peak",
        help="peak: as loud as possible; loudness: the same RMS for every clip; recorded: as recorded in the image",
        infotext="Riffusion level",
        choices=("peak", "loudness", "recorded"),
    ),
    Option(
        id="format",
        label="Sound file",
        kind="dropdown",
        default="wav",
        help="wav and flac are lossless, flac is half as large; ogg and mp3 are small",
        infotext="Riffusion format",
        choices=("wav", "flac", "ogg", "mp3"),
    ),
    Option(
        id="channels",
        label="Channels",
        kind="dropdown",
        default="auto",
        help="auto: stereo where the image is a stereo spectrogram",
        infotext="Riffusion channels",
        choices=("auto", "mono", "stereo"),
    ),
    Option(
        id="joined",
        label="Also join the batch into one clip",
        kind="checkbox",
        default=False,
        help="writes one more sound file with all clips in sequence",
        infotext="Riffusion joined",
        interfaces=("page",),
    ),
    Option(
        id="crossfade",
        label="Crossfade of the joined clip (seconds)",
        kind="slider",
        default=0.0,
        help="length of the fade from each clip to the next; 0 puts them end to end",
        infotext="Riffusion crossfade",
        interfaces=("page",),
        bounds=(0.0, 4.0),
        step=0.05,
    ),
    Option(
        id="preset",
        label="Spectrogram",
        kind="dropdown",
        default=FROM_IMAGE,
        help="what the model was trained on; from the picture: as recorded in the image, else riffusion-v1",
        infotext="Riffusion spectrogram",
        interfaces=("page",),
        choices=(FROM_IMAGE, *PRESETS, CUSTOM),
    ),
    Option(
        id="custom",
        label="Custom spectrogram",
        kind="text",
        default="",
        help="used when Spectrogram is custom, e.g. max_frequency=16000, stereo=true; the rest is as in riffusion-v1",
        infotext="Riffusion parameters",
        interfaces=("page",),
    ),
    Option(
        id="high_frequencies",
        label="High frequencies",
        kind="dropdown",
        default="auto",
        help="predict the sound above the image, up to 20 kHz; auto: if the image ends below 16 kHz",
        infotext="Riffusion high frequencies",
        choices=("auto", "on", "off"),
    ),
)
"""Controls of the Script, in the order of its API arguments."""

_BY_ID = by_id(CONTROLS)


def control(id_: str) -> Option:
    """Return a control by its id.

    Raises
    ------
    KeyError
        There is no such control.
    """
    return _BY_ID[id_]


@dataclass(frozen=True)
class SoundOptions:
    """Checked values of all controls of :data:`CONTROLS`."""

    mode: str = AUTO
    engine: str = "fast"
    level: str = "peak"
    format: str = "wav"
    channels: str = "auto"
    joined: bool = False
    crossfade: float = 0.0
    preset: str = FROM_IMAGE
    custom: str = ""
    high_frequencies: str = "auto"

    @property
    def params(self) -> SpectrogramParams | None:
        """Spectrogram parameters; None for those of the image. Raises as :func:`chosen_params`."""
        return chosen_params(self.preset, self.custom)


def chosen_params(preset: str, custom: str) -> SpectrogramParams | None:
    """Return the spectrogram parameters of the controls ``preset`` and ``custom``; None for those of the image.

    Raises
    ------
    RiffusionError
        The preset is custom, and the text is invalid.
    """
    if preset == CUSTOM:
        return SpectrogramParams.from_text(str(control("custom").clean(custom)))
    return PRESETS.get(preset)


def options_from_args(args: Sequence[object], override: Mapping[str, object] | None = None) -> SoundOptions:
    """Convert the arguments of the Script to options.

    Parameters
    ----------
    args
        Values in the order of :data:`CONTROLS`, or one mapping of values by id. A missing value, or None, takes its
        default.
    override
        Values by id that take precedence over ``args`` (of the X/Y/Z plot).

    Raises
    ------
    RiffusionError
        A name is unknown, or a value is not allowed.
    """
    values: dict[str, object]
    if args and isinstance(args[0], Mapping):
        values = {str(key): value for key, value in args[0].items()}
    else:
        values = {item.id: value for item, value in zip(CONTROLS, args, strict=False)}
    values.update(override or {})
    unknown = sorted(set(values) - set(_BY_ID))
    if unknown:
        raise RiffusionError(f"Riffusion: unknown argument {', '.join(unknown)}; known are {', '.join(_BY_ID)}.")
    clean = {key: _BY_ID[key].clean(value) for key, value in values.items() if value is not None}
    return SoundOptions(**clean)  # type: ignore[arg-type]
