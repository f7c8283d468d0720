"""Conversions of single values."""

from __future__ import annotations

import pytest

from riffusion_ext.validation.values import number, texts, whole


def test_numbers_and_texts_of_numbers_are_converted() -> None:
    assert (whole("7"), whole(7.0), whole(True)) == (7, 7, 1)
    assert (number("0.5"), number(2)) == (0.5, 2.0)


@pytest.mark.parametrize("value", [None, [1], {}])
def test_other_types_are_refused_as_numbers(value: object) -> None:
    for convert in (whole, number):
        with pytest.raises(TypeError, match="a number is needed"):
            convert(value)


def test_text_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        whole("7.5")


def test_lists_become_tuples_and_an_empty_choice_becomes_an_empty_tuple() -> None:
    assert texts(["a", 1]) == ("a", "1")
    assert texts(None) == ()
    with pytest.raises(TypeError, match="a list is needed"):
        texts("a")
