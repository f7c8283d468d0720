"""Fit the pages to the site: links to files outside docs/ work in the repository, and become the files' names here."""

from __future__ import annotations

import re

_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./([^)#\s]+)(?:#[^)\s]*)?\)")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace ``[text](../path)`` by the text and the path, as mkdocs calls it for each page."""
    return _OUTSIDE.sub(lambda link: f"{link[1]} (`{link[2]}` in the repository)", markdown)
