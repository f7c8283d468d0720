"""The declaration of a setting, from which pages, command line, HTTP API and documentation derive."""

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
"""Interfaces of a setting: a page, an option of the command line, a field of a request body. Settings of the webui's
page Settings have the interface ``"settings"``."""

UNSET: Any = object()
"""Marks a value that is not set, where None is a value."""

REQUIRED: Any = ...
"""Default of a required field of the API."""


@dataclass(frozen=True)
class Option:
    """Declaration of one setting.

    Parameters
    ----------
    id
        Name in code, on the command line (with dashes), in the API and in element ids.
    label
        Label on the page; also the key of translations and of stored defaults.
    kind
        ``"radio"``, ``"dropdown"``, ``"checkbox"``, ``"slider"``, ``"number"`` (a number box), ``"text"`` or
        ``"multiple"`` (any number of the choices).
    default
        Default value.
    help
        One short line for the command line, the API and the documentation.
    infotext
        Key in the generation parameters that the webui writes into images; letters, digits, blanks, ``-`` and ``/``.
    choices
        Values of a radio, dropdown or multiple.
    bounds
        Minimum and maximum of a number, inclusive; infinite for none. They come from the core; a comment explains a
        narrower range.
    step
        Step of a slider.
    whole
        Whether the number must be an integer; None: if the step is one.
    page_bounds
        Narrower range of the slider on a page, for a better resolution.
    hint
        One short line at the component on a page: None for `help`, "" for none.
    interfaces
        Interfaces that have the setting, some of :data:`INTERFACES`.
    max_length
        Maximum number of characters of a text in the API.
    page_default, api_default
        Default on the page and in the API, if it differs.
    api_name, command_name
        Name in the API and on the command line, if it differs.
    placeholder
        Placeholder of a text box on a page.
    lines
        Minimum and maximum number of lines of a text box on a page.
    transient
        Whether the value is excluded from the user's defaults in the webui's ``ui-config.json``, as prompts and seeds.
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
        """Whether the value is an integer."""
        return self.is_number and (float(self.step).is_integer() if self.whole is None else self.whole)

    @property
    def range_text(self) -> str:
        """The range, for messages and documentation; "" for a number without bounds."""
        low, high = self.bounds
        if math.isinf(high):
            return "" if math.isinf(low) else f"{low:.10g} or more"
        return f"{low:.10g} to {high:.10g}"

    @property
    def minimum(self) -> float:
        """Minimum of a number."""
        return self.bounds[0]

    @property
    def maximum(self) -> float:
        """Maximum of a number."""
        return self.bounds[1]

    @property
    def page_range(self) -> tuple[float, float]:
        """Range of the slider on a page."""
        return self.page_bounds or self.bounds

    @property
    def page_hint(self) -> str | None:
        """The line at the component on a page; None for no line."""
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
        """Return the choices that are available on this machine: some engines may not be."""
        if self.id != "engine":
            return self.choices
        from riffusion_ext.spectrogram.settings import available_engines

        return tuple(choice for choice in self.choices if choice in available_engines())

    def clean(self, value: object) -> str | bool | float:
        """Return a value converted to the option's type.

        Raises
        ------
        RiffusionError
            The value is not one of the choices, outside the range, or of a wrong type.
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
    """Return a mapping of options by id."""
    return {item.id: item for item in options}
