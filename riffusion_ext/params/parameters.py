"""Parameters of the conversion between audio and spectrogram images.

The defaults are those riffusion-model-v1 was trained on. The field names are those of the original library, whose
EXIF tags (:mod:`riffusion_ext.metadata`) exchange them between programs. The later fields describe images of other
models; they are recorded only where they differ from the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from riffusion_ext.params.bounds import LATER_FIELDS
from riffusion_ext.params.checks import check
from riffusion_ext.params.fields import SpectrogramFields
from riffusion_ext.params.text import parse

__all__ = ["SpectrogramParams", "recorded_fields", "without_later_defaults"]


@dataclass(frozen=True)
class SpectrogramParams(SpectrogramFields):
    """Parameters of a mel spectrogram image; :class:`~riffusion_ext.params.fields.SpectrogramFields` lists them.

    Raises
    ------
    RiffusionError
        A value is not a finite number, lies outside its range, or contradicts another.
    """

    def __post_init__(self) -> None:
        check(self)

    def __repr__(self) -> str:  # names of files of training sets derive from it
        values = ", ".join(f"{name}={value!r}" for name, value in recorded_fields(self).items())
        return f"{type(self).__name__}({values})"

    @property
    def is_original(self) -> bool:
        """Whether the original library can describe the image, so that its EXIF tags tell all."""
        return not any(name in LATER_FIELDS for name in recorded_fields(self))

    def replace(self, **changes: object) -> SpectrogramParams:
        """Return a copy with some values changed and all of them checked again."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @classmethod
    def from_text(cls, text: str) -> SpectrogramParams:
        """Parse a text such as ``max_frequency=16000, stereo=true``. Missing names get the defaults.

        ``hop_length``, ``win_length`` and ``n_fft`` set the durations in samples.

        Raises
        ------
        RiffusionError
            The text is not a list of known names with values, or the values are invalid.
        """
        return cls(**parse(text))  # type: ignore[arg-type]

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> SpectrogramParams:
        """Build from a mapping. Unknown keys are ignored; missing keys get the defaults."""
        names = {f.name for f in fields(cls)}
        return cls(**{k: v for k, v in values.items() if k in names})  # type: ignore[arg-type]


def recorded_fields(params: SpectrogramParams) -> dict[str, Any]:
    """Return the parameters by name, as they are recorded: later fields only where they differ from the defaults."""
    return asdict(params, dict_factory=without_later_defaults)


def without_later_defaults(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build the dictionary of a dataclass for ``asdict``: of spectrogram parameters, without later fields at default.

    So what was stored before these fields existed, and the keys derived from it, stay as they are.
    """
    values = dict(pairs)
    if not values.keys() >= _NAMES:
        return values
    return {name: value for name, value in values.items() if _LATER.get(name, _MISSING) != value}


_NAMES = frozenset(item.name for item in fields(SpectrogramParams))
_LATER = {item.name: item.default for item in fields(SpectrogramParams) if item.name in LATER_FIELDS}
_MISSING = object()
