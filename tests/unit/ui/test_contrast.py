"""Our text colours have WCAG 2's contrast of 4.5:1 in gradio's light and dark theme."""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr
import pytest

ROOT = Path(__file__).resolve().parents[3]
LEAST = 4.5
GROUNDS = ("background_fill_primary", "background_fill_secondary", "block_background_fill")
Colour = tuple[float, ...]

_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_NAMES = {"white": "#ffffff", "black": "#000000"}


def _theme_colour(name: str, mode: str) -> Colour:
    theme = gr.themes.Default()
    value = ""
    while not value.startswith("#"):
        dark = getattr(theme, f"{name}_dark", None) if mode == "dark" else None
        value = str(dark or getattr(theme, name))
        value, name = _NAMES.get(value, value), value.removeprefix("*")
    return tuple(int(value[context : context + 2], 16) / 255 for context in (1, 3, 5))


def _luminance(colour: Colour) -> float:
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(text: Colour, ground: Colour, opacity: float) -> float:
    seen = tuple(opacity * a + (1 - opacity) * b for a, b in zip(text, ground, strict=True))
    low, high = sorted((_luminance(seen), _luminance(ground)))
    return (high + 0.05) / (low + 0.05)


def _rules() -> list[tuple[str, str, float]]:
    """Return selector, colour variable and opacity of each rule that uses a colour of the theme."""
    found = []
    for selector, body in _RULE.findall(re.sub(r"/\*.*?\*/", "", (ROOT / "style.css").read_text("utf-8"), flags=re.S)):
        colour = re.search(r"(?<![\w-])color:\s*var\(--([\w-]+)", body)
        opacity = re.search(r"(?<![\w-])opacity:\s*([\d.]+)", body)
        if colour:
            found.append((selector.strip(), colour[1].replace("-", "_"), float(opacity[1]) if opacity else 1.0))
    return found


def test_contrast_of_a_known_faint_colour_is_too_low() -> None:
    grey, white = _theme_colour("body_text_color_subdued", "light"), _theme_colour("background_fill_primary", "light")
    assert _contrast(grey, white, 1.0) < LEAST
    assert _contrast((0.0, 0.0, 0.0), white, 1.0) == pytest.approx(21)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_has_sufficient_contrast(mode: str) -> None:
    rules = _rules()
    assert any(".riffusion-info" in selector for selector, _, _ in rules)
    faint = {
        f"{selector} on {ground}": round(contrast, 2)
        for selector, variable, opacity in rules
        for ground in GROUNDS
        if (contrast := _contrast(_theme_colour(variable, mode), _theme_colour(ground, mode), opacity)) < LEAST
    }
    assert faint == {}
