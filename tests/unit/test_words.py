"""Texts for users say image and generate, as the webuis and the original library do; see :mod:`tests.unit.words`."""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from riffusion_ext.cli import build_parser
from tests.unit.words import forbidden

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [
    *(path for path in sorted((ROOT / "riffusion_ext").rglob("*.py")) if path.name != "renamed_labels.py"),
    *sorted((ROOT / "scripts").glob("*.py")),
    *(ROOT / name for name in ("install.py", "preload.py", "dev.py")),
]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / ".github").rglob("*.md")), ROOT / "README.md"]
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def texts(source: str) -> Iterator[str]:
    """Yield the string literals of a module that are text: those with a space, except docstrings."""
    tree = ast.parse(source)
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        read = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings
        if read and " " in node.value.strip():
            yield node.value


def helps(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the help of a parser and of its commands."""
    yield parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from helps(command)


def test_messages_and_labels_in_the_source_say_image_and_generate() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {place}"
        for path in SOURCES
        for text in texts(path.read_text("utf-8"))
        for place in forbidden(text)
    ]
    assert found == []


def test_help_of_every_command_says_image_and_generate() -> None:
    assert [place for text in helps(build_parser()) for place in forbidden(text)] == []


def test_texts_of_the_scripts_say_image_and_generate() -> None:
    scripts = "\n".join(path.read_text("utf-8") for path in (ROOT / "javascript").glob("*.js"))
    shown = re.findall(r'\b(?:translated|say)\(\s*"([^"]+)"', scripts)
    assert shown
    assert [place for text in shown for place in forbidden(text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_documentation_says_image_and_generate(page: Path) -> None:
    assert forbidden(CODE.sub("", page.read_text("utf-8"))) == []


@pytest.mark.filterwarnings("default")  # deprecations in gradio's dependencies
def test_pages_say_image_and_generate() -> None:
    pytest.importorskip("gradio", exc_type=ImportError)
    from riffusion_ext.ui.pages.tab import build_tab
    from tests.unit.ui.studio import Studio

    place = Studio().context(Path(), send=lambda *_: None, send_text=lambda *_: None)
    found = []
    for block in build_tab(place).blocks.values():
        for name in ("label", "info", "placeholder", "value", "choices"):
            found += forbidden(str(getattr(block, name, None) or ""))
    assert found == []


@pytest.mark.parametrize("text", ["a picture", "Painted", "repainted", "Pictures to audio", "paints it"])
def test_forbidden_words_are_detected(text: str) -> None:
    assert forbidden(text)


@pytest.mark.parametrize("text", ["inpainted", "outpaint", "the choice from the picture", "depict"])
def test_similar_words_are_allowed(text: str) -> None:
    assert not forbidden(text)
