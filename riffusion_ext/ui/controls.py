"""The one table of controls for turning pictures into sound.

The Script in txt2img and img2img, the tab, the command line's help and the API's arguments are all drawn from
:data:`CONTROLS`, so that a control has one name, one range and one default everywhere. No gradio here:
:mod:`riffusion_ext.ui.gradio_compat` turns the table into components.

Labels and the order are a stored contract: webui keeps a user's defaults by label (``ui-config.json``), and API callers
give the values by position. New controls go to the end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from riffusion_ext.errors import RiffusionError
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.validation.numbers import read_float, shown

__all__ = [
    "AUTO",
    "CONTROLS",
    "CUSTOM",
    "FROM_PICTURE",
    "OFF",
    "ON",
    "Control",
    "SoundOptions",
    "chosen_params",
    "control",
    "options_from_args",
]

AUTO, ON, OFF = "Auto", "On", "Off"

FROM_PICTURE, CUSTOM = "from the picture", "custom"


@dataclass(frozen=True)
class Control:
    """One control: what it is called, what it takes, what it does.

    Parameters
    ----------
    id
        Name in code, in the API's dict form and in element ids.
    label
        What the user reads; also the key of translations and of stored defaults.
    kind
        ``"radio"``, ``"dropdown"``, ``"checkbox"``, ``"slider"`` or ``"text"``.
    default
        Value when nothing is given.
    help
        One short line for the user.
    infotext
        Key in the generation parameters that webui writes into its pictures; letters, digits, blanks, ``-`` and ``/``.
    choices
        Values of a radio or dropdown.
    minimum, maximum, step
        Range of a slider.
    """

    id: str
    label: str
    kind: str
    default: str | bool | float
    help: str
    infotext: str
    choices: tuple[str, ...] = ()
    minimum: float = 0.0
    maximum: float = 1.0
    step: float = 0.1

    def offered(self) -> tuple[str, ...]:
        """Choices to show here: engines that cannot run are left out."""
        if self.id != "engine":
            return self.choices
        from riffusion_ext.spectrogram.settings import available_engines

        return tuple(choice for choice in self.choices if choice in available_engines())

    def clean(self, value: object) -> str | bool | float:
        """Return the value in its proper type.

        Raises
        ------
        RiffusionError
            The value is none of the choices, outside the range, or of a wrong type.
        """
        if self.choices:
            return self._clean_choice(value)
        if self.kind == "checkbox":
            return self._clean_flag(value)
        if self.kind == "text":
            return self._clean_text(value)
        return self._clean_number(value)

    def _clean_choice(self, value: object) -> str:
        if self.id == "mode" and isinstance(value, bool):
            return ON if value else OFF
        for choice in self.choices:
            if isinstance(value, str) and value.strip().lower() == choice.lower():
                return choice
        raise RiffusionError(f"Riffusion: {self.id} is {value!r}; it can be {', '.join(self.choices)}.")

    def _clean_flag(self, value: object) -> bool:
        if isinstance(value, bool):
            return value
        text = str(value).strip().lower()
        if text in ("true", "on", "yes", "1"):
            return True
        if text in ("false", "off", "no", "0"):
            return False
        raise RiffusionError(f"Riffusion: {self.id} is {value!r}; it can be true or false.")

    def _clean_text(self, value: object) -> str:
        if isinstance(value, str):
            return value.strip()
        raise RiffusionError(f"Riffusion: {self.id} is {value!r}; it can be a text.")

    def _clean_number(self, value: object) -> float:
        try:
            number = read_float(value) if isinstance(value, str) else float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if isinstance(value, bool) or not self.minimum <= number <= self.maximum:
            raise RiffusionError(
                f"Riffusion: {self.id} is {shown(value)}; it can be a number from {self.minimum:g} to {self.maximum:g}."
            )
        return number


CONTROLS: tuple[Control, ...] = (
    Control(
        id="mode",
        label="Turn pictures into sound",
        kind="radio",
        default=AUTO,
        help="Auto: while a Riffusion checkpoint is loaded. The sound file is saved beside the picture.",
        infotext="Riffusion sound",
        choices=(AUTO, ON, OFF),
    ),
    Control(
        id="engine",
        label="Engine",
        kind="dropdown",
        default="fast",
        help="best sounds cleaner and takes longer; reference is the original recipe and needs torchaudio",
        infotext="Riffusion engine",
        choices=("fast", "best", "reference"),
    ),
    Control(
        id="level",
        label="Level",
        kind="dropdown",
        default="peak",
        help="peak: as loud as it goes; loudness: the same RMS for every clip; recorded: as kept in the picture",
        infotext="Riffusion level",
        choices=("peak", "loudness", "recorded"),
    ),
    Control(
        id="format",
        label="Sound file",
        kind="dropdown",
        default="wav",
        help="wav and flac are lossless, flac is half as large; ogg and mp3 are small",
        infotext="Riffusion format",
        choices=("wav", "flac", "ogg", "mp3"),
    ),
    Control(
        id="channels",
        label="Channels",
        kind="dropdown",
        default="auto",
        help="auto: stereo where the picture is a stereo spectrogram",
        infotext="Riffusion channels",
        choices=("auto", "mono", "stereo"),
    ),
    Control(
        id="joined",
        label="Also join the batch into one clip",
        kind="checkbox",
        default=False,
        help="one more sound file, with all clips one after the other",
        infotext="Riffusion joined",
    ),
    Control(
        id="crossfade",
        label="Crossfade of the joined clip (seconds)",
        kind="slider",
        default=0.0,
        help="how long each clip fades into the next; 0 puts them end to end",
        infotext="Riffusion crossfade",
        minimum=0.0,
        maximum=4.0,
        step=0.05,
    ),
    Control(
        id="preset",
        label="Spectrogram",
        kind="dropdown",
        default=FROM_PICTURE,
        help="what the model was trained on; from the picture: as recorded there, else riffusion-v1",
        infotext="Riffusion spectrogram",
        choices=(FROM_PICTURE, *PRESETS, CUSTOM),
    ),
    Control(
        id="custom",
        label="Custom spectrogram",
        kind="text",
        default="",
        help="where the choice is custom, e.g. max_frequency=16000, stereo=true; the rest is as in riffusion-v1",
        infotext="Riffusion parameters",
    ),
)
"""Every control of the Script, in the order of its API arguments."""

_BY_ID = {item.id: item for item in CONTROLS}


def control(id_: str) -> Control:
    """Return the control of that id.

    Raises
    ------
    KeyError
        There is none.
    """
    return _BY_ID[id_]


@dataclass(frozen=True)
class SoundOptions:
    """Values of all controls, each already checked. See :data:`CONTROLS` for what they mean."""

    mode: str = AUTO
    engine: str = "fast"
    level: str = "peak"
    format: str = "wav"
    channels: str = "auto"
    joined: bool = False
    crossfade: float = 0.0
    preset: str = FROM_PICTURE
    custom: str = ""

    @property
    def params(self) -> SpectrogramParams | None:
        """Parameters of the spectrogram; None leaves them to the picture. Raises as :func:`chosen_params`."""
        return chosen_params(self.preset, self.custom)


def chosen_params(preset: str, custom: str) -> SpectrogramParams | None:
    """Return what the controls ``preset`` and ``custom`` say together; None leaves the parameters to the picture.

    Raises
    ------
    RiffusionError
        The preset is custom, and the text makes no spectrogram.
    """
    if preset == CUSTOM:
        return SpectrogramParams.from_text(str(control("custom").clean(custom)))
    return PRESETS.get(preset)


def options_from_args(args: Sequence[object], override: Mapping[str, object] | None = None) -> SoundOptions:
    """Read the arguments of the Script.

    Parameters
    ----------
    args
        Either values by position, in the order of :data:`CONTROLS`, or one mapping of ids to values. What is missing,
        or None, takes its default.
    override
        Values by id that win over ``args`` (an axis of the X/Y/Z plot).

    Raises
    ------
    RiffusionError
        A name is unknown, or a value is not allowed.
    """
    given: dict[str, object]
    if args and isinstance(args[0], Mapping):
        given = {str(key): value for key, value in args[0].items()}
    else:
        given = {item.id: value for item, value in zip(CONTROLS, args, strict=False)}
    given.update(override or {})
    unknown = sorted(set(given) - set(_BY_ID))
    if unknown:
        raise RiffusionError(f"Riffusion: unknown argument {', '.join(unknown)}; known are {', '.join(_BY_ID)}.")
    clean = {key: _BY_ID[key].clean(value) for key, value in given.items() if value is not None}
    return SoundOptions(**clean)  # type: ignore[arg-type]
