"""README and docs: length, links, command lines, options and labels."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from riffusion_ext.cli import build_parser

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.DOTALL | re.MULTILINE)

QUOTING = ("panel", "tab", "songs", "riffs", "loops", "live", "remote", "training-set", "clips-in-time", "hosts")
"""Pages on which whatever is bold is a label of our own, or one of those below."""

LABELS_OF_WEBUIS = {"PNG Info → Send to txt2img", "Settings → Riffusion", "ModernUI"}

OPTIONS_OF_OTHERS = {
    *("--api", "--api-auth", "--cors-allow-origins", "--cors-allow-origins-regex", "--cors-origins", "--cors-regex"),
    *("--data-dir", "--gradio-allowed-path", "--gradio-auth", "--listen", "--ngrok", "--port", "--server-name"),
    *("--share", "--skip-install", "--subpath", "--use-cpu", "--always-cpu", "--no-half"),  # webuis
    *("--no-deps", "--json", "--strict", "--only", "--music"),  # pip, curl, mkdocs, dev.py, bench
    "--triple-res-mono",  # of the original, documented as missing
}


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def without_fences(page: Path) -> str:
    return FENCE.sub("", text_of(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and mkdocs make them."""
    headings = re.findall(r"^#+ (.+)$", without_fences(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.replace("`", "")).strip().lower() for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def links(page: Path) -> Iterator[tuple[str, str]]:
    """Yield path and anchor of each relative link and image of a page."""
    yield from re.findall(r"\]\(([^)#\s:]*)(?:#([^)\s]*))?\)", without_fences(page))


def commands(page: Path) -> list[str]:
    """Return the command lines of ours in a page's fenced blocks."""
    lines = "\n".join(FENCE.findall(text_of(page))).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("riffusion-ext ")]


def test_readme_has_at_most_150_lines() -> None:
    assert len(text_of(README).splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(f"{path}#{anchor}")
    assert broken == []


def test_every_page_is_in_the_navigation() -> None:
    named = set(re.findall(r": ([\w-]+\.md)$", (ROOT / "mkdocs.yml").read_text("utf-8"), re.MULTILINE))
    assert named == {page.name for page in PAGES if page.parent == ROOT / "docs"}


def test_every_page_is_linked_from_the_home_page() -> None:
    home = ROOT / "docs" / "index.md"
    pages = {page.name for page in PAGES if page.parent == ROOT / "docs"} - {home.name}
    assert pages <= {path for path, _ in links(home)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_documented_command_line_is_valid(page: Path) -> None:
    parser = build_parser()
    for line in commands(page):
        try:
            parser.parse_args(shlex.split(line, comments=True)[1:])
        except SystemExit:
            pytest.fail(f"{page.name}: {line}")


def test_documented_command_lines_are_found() -> None:
    assert len(commands(README)) == 6
    assert sum(len(commands(page)) for page in PAGES) > 20


def test_every_option_is_one_of_a_command() -> None:
    import argparse

    import preload

    webui = argparse.ArgumentParser()
    preload.preload(webui)
    known = {option for action in webui._actions for option in action.option_strings} | OPTIONS_OF_OTHERS
    for action in build_parser()._actions:
        known |= {
            option
            for command in (action.choices.values() if isinstance(action, argparse._SubParsersAction) else ())
            for inner in command._actions
            for option in inner.option_strings
        }
    unknown = {
        f"{page.name}: {option}"
        for page in PAGES
        for code in re.findall(r"`([^`\n]+)`", without_fences(page))
        for option in re.findall(r"(?<!\S)(--[a-z][\w-]+)", code)
        if option not in known
    }
    assert unknown == set()


def labels() -> set[str]:
    """Return all strings in the code of pages and webui, which include every label."""
    sources = [path for part in ("options", "ui", "host") for path in (ROOT / "riffusion_ext" / part).rglob("*.py")]
    nodes = (node for path in sources for node in ast.walk(ast.parse(path.read_text("utf-8"))))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


@pytest.mark.parametrize("name", QUOTING)
def test_every_label_is_quoted_as_it_is_on_the_page(name: str) -> None:
    """Finds pages that quote a label that was renamed."""
    text = re.sub(
        r"\s+", " ", re.sub(r"^\|.*\|$", "", without_fences(ROOT / "docs" / f"{name}.md"), flags=re.MULTILINE)
    )
    quoted = set(re.findall(r"\*\*(.+?)\*\*", text))
    assert quoted - labels() - LABELS_OF_WEBUIS == set()


def test_every_control_of_the_panel_is_in_its_table() -> None:
    from riffusion_ext.options.sound import CONTROLS
    from riffusion_ext.options.webui import OPTIONS

    rows = re.findall(r"^\| ([^|]+?) \|", text_of(ROOT / "docs" / "panel.md"), re.MULTILINE)
    assert [row for row in rows if row in {item.label for item in CONTROLS}] == [item.label for item in CONTROLS]
    assert {item.label for item in OPTIONS} <= set(rows)


def test_the_architecture_names_every_package_and_only_files_that_exist() -> None:
    text = text_of(ROOT / "docs" / "architecture.md")
    packages = {path.parent.name for path in (ROOT / "riffusion_ext").glob("*/__init__.py")}
    assert [package for package in sorted(packages) if f"`{package}/`" not in text] == []
    named = set(re.findall(r"(?<![\w/.])([\w]+(?:/\w+)+\.py)\b", text)) - {"tests/unit/test_architecture.py"}
    missing = [path for path in named if not ((ROOT / "riffusion_ext" / path).exists() or (ROOT / path).exists())]
    assert missing == []


def test_every_screenshot_is_shown_and_can_be_taken_anew() -> None:
    images = {path.name for path in (ROOT / "docs").glob("*.png")}
    assert images == {Path(path).name for page in PAGES for path, _ in links(page) if path.endswith(".png")}
    script = (ROOT / "docs" / "screenshots.py").read_text("utf-8")
    assert images == set(re.findall(r'take\(page, "([\w.]+)"', script))


def test_links_and_anchors_are_extracted(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# One heading\n[a](#one-heading) [b](#other) ![c](none.png)\n```\n[d](gone.md)\n```\n")
    assert list(links(page)) == [("", "one-heading"), ("", "other"), ("none.png", "")]
    assert anchors(page) == {"one-heading"}
