"""Check the types of a dataclass's values in untrusted JSON against its annotations.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.numbers import is_finite, shown

__all__ = ["read_fields"]

_MAX_INT = 2**63
_DICT = "dict[str, object]"
_ITEMS = {f"list[{kind}]": kind for kind in ("str", "int", "float")} | {
    f"tuple[{kind}, ...]": kind for kind in ("str", "int", "float", _DICT)
}
_NAMES = {"str": "a text", "bool": "true or false", "int": "a whole number", "float": "a number", "None": "nothing"}


def read_fields(kind: type[Any], values: object, *, finite: bool = True) -> dict[str, Any]:
    """Return the values for the fields of a dataclass, checked against its annotations.

    Texts, booleans, numbers, and lists or tuples of them are checked. Values of other types are returned unchanged,
    for the class to check. Whole numbers may be written with a decimal point.

    Parameters
    ----------
    kind
        The dataclass.
    values
        Values by field name; unknown names are left out.
    finite
        Whether numbers must be finite.

    Raises
    ------
    RiffusionError
        `values` is not a mapping, or a value has the wrong type.
    """
    if not isinstance(values, Mapping):
        raise RiffusionError(f"an object with values by name was expected, got {shown(values)}")
    # dict[str, Any] and dict[str, object] are checked alike.
    known = {item.name: str(item.type).replace("Any", "object") for item in fields(kind)}
    return {name: _value(name, value, known[name], finite) for name, value in values.items() if name in known}


def _value(name: str, value: object, annotation: str, finite: bool) -> object:
    options = annotation.split(" | ")
    checked = [option for option in options if option in _NAMES or option == _DICT or option in _ITEMS]
    if len(checked) < len(options):  # one of our own classes, which checks itself
        return value
    for option in checked:
        if _fits(value, option, finite):
            return int(value) if option == "int" and isinstance(value, (int, float)) else value
    others = {_DICT: "an object"}
    expected = " or ".join(_NAMES.get(option) or others.get(option, "a list") for option in checked)
    raise RiffusionError(f"{name} must be {expected}, got {shown(value)}")


def _fits(value: object, option: str, finite: bool) -> bool:
    if option == "None":
        return value is None
    if option == "bool":
        return isinstance(value, bool)
    if option == "str":
        return isinstance(value, str)
    if option == "float":
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return number and (is_finite(value) or (not finite and isinstance(value, float)))
    if option == "int":
        return isinstance(value, (int, float)) and is_finite(value) and abs(value) < _MAX_INT and value == int(value)
    if option == _DICT:
        return isinstance(value, dict) and all(isinstance(key, str) for key in value)
    return isinstance(value, (list, tuple)) and all(_fits(item, _ITEMS[option], finite) for item in value)
