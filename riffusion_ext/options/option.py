"""The declaration of one setting, from which pages, command line, HTTP API and documentation derive."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.numbers import read_float, shown

__all__ = ["AUTO", "INTERFACES", "OFF", "ON", "REQUIRED", "UNSET", "Option", "by_id"]

AUTO, ON, OFF = "Auto", "On", "Off"

INTERFACES = ("page", "command", "api")
"""Where a setting can appear: on a page, as an option of the command line, as a field of a request body. What users set
on the webui's page Settings has the face ``"settings"``."""

UNSET: Any = object()
"""Stands for "the same as elsewhere" where None is a value."""

REQUIRED: Any = ...
"""Default of a field of the API that must be given."""


@dataclass(frozen=True)
class Option:
    """One setting: its name, the values that it takes, and what it does.

    Parameters
    ----------
    id
        Name in code, on the command line (with dashes), in the API and in element ids.
    label
        What the page shows; also the key of translations and of stored defaults.
    kind
        ``"radio"``, ``"dropdown"``, ``"checkbox"``, ``"slider"``, ``"number"`` (a box for a number), ``"text"`` or
        ``"multiple"`` (any number of the choices).
    default
        Value when nothing is given.
    help
        One short line for the command line, the API and the documentation.
    infotext
        Key in the generation parameters that the webui writes into images; letters, digits, blanks, ``-`` and ``/``.
    choices
        Values of a radio, dropdown or multiple.
    bounds
        Least and greatest number, both included; infinite where there is none. They come from the core; a declaration
        with a narrower range says why.
    step
        Step of a slider.
    whole
        Whether the number must be whole; None: where the step is.
    page_bounds
        A narrower range for the slider of a page, where the whole range would make it unwieldy.
    hint
        One short line below the control of a page: None for `help`, empty for none.
    interfaces
        Where the setting appears, some of :data:`INTERFACES`.
    max_length
        Most characters of a text in the API.
    page_default, api_default
        Default on the page and in the API where it is another one.
    api_name, command_name
        Name in the API and on the command line where it is another one.
    placeholder
        What an empty text box of a page shows.
    lines
        Least and most lines of the text box of a page.
    transient
        Whether webuis keep no default of the user's own for it in ``ui-config.json``, as for prompts and seeds.
    """

    id: str
    label: str
    kind: str
    default: Any
    help: str
    infotext: str = ""
    choices: tuple[str, ...] = ()
    bounds: tuple[float, float] = (0.0, 1.0)
    step: float = 0.1
    whole: bool | None = None
    page_bounds: tuple[float, float] | None = None
    hint: str | None = None
    interfaces: tuple[str, ...] = INTERFACES
    max_length: int | None = None
    page_default: Any = UNSET
    api_default: Any = UNSET
    api_name: str = ""
    command_name: str = ""
    placeholder: str | None = None
    lines: tuple[int, int] = (1, 1)
    transient: bool = False

    @property
    def is_number(self) -> bool:
        """Whether the value is a number."""
        return self.kind in ("slider", "number")

    @property
    def is_whole(self) -> bool:
        """Whether the value is a whole number."""
        return self.is_number and (float(self.step).is_integer() if self.whole is None else self.whole)

    @property
    def range_text(self) -> str:
        """The range, for messages and documentation; empty for a number without bounds."""
        low, high = self.bounds
        if math.isinf(high):
            return "" if math.isinf(low) else f"{low:.10g} or more"
        return f"{low:.10g} to {high:.10g}"

    @property
    def minimum(self) -> float:
        """Least number."""
        return self.bounds[0]

    @property
    def maximum(self) -> float:
        """Greatest number."""
        return self.bounds[1]

    @property
    def page_range(self) -> tuple[float, float]:
        """Ends of the slider on a page."""
        return self.page_bounds or self.bounds

    @property
    def page_hint(self) -> str | None:
        """The line below the control of a page; None for no line."""
        return self.help if self.hint is None else self.hint or None

    @property
    def on_page(self) -> Any:
        """Default on a page."""
        return self.default if self.page_default is UNSET else self.page_default

    @property
    def in_api(self) -> Any:
        """Default in the API."""
        return self.default if self.api_default is UNSET else self.api_default

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return f"--{(self.command_name or self.id).replace('_', '-')}"

    @property
    def field(self) -> str:
        """The field of the API."""
        return self.api_name or self.id

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
        within = math.isfinite(number) and self.minimum <= number <= self.maximum
        if isinstance(value, bool) or not within:
            allowed = f"from {self.minimum:g} to {self.maximum:g}" if math.isfinite(self.maximum) else self.range_text
            raise RiffusionError(f"Riffusion: {self.id} is {shown(value)}; it can be a number {allowed}.")
        return number


def by_id(options: Iterable[Option]) -> dict[str, Option]:
    """Return options by their ids."""
    return {item.id: item for item in options}
