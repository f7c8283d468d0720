"""What the user decided about windows, apart from everything that is computed, so that it outlives every run.

::

    review.json   {"windows": {"<image>.png": {"keep": false, "caption": "..."}}}
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from riffusion_ext.dataset.captions.text import decode, one_line
from riffusion_ext.dataset.export import ledger
from riffusion_ext.dataset.store import LARGEST_JSON, Store
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.regular import read_regular
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.names import bare_name, is_bare
from riffusion_ext.validation.numbers import shown

__all__ = ["REVIEW", "decisions_of", "merge_review", "reviewed"]

REVIEW = "review.json"


def decisions_of(store: Store, before: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what the user decided, by name of image; captions edited in their files since we wrote them included.

    Parameters
    ----------
    store
        The folder.
    before
        Names of the images in its manifest.

    Raises
    ------
    RiffusionError
        ``review.json`` is damaged.
    """
    decisions = reviewed(store)
    written = ledger.load(store.out, "dreambooth")
    for file in before:
        path = (store.images / bare_name(file, "an image")).with_suffix(".txt")
        if not ledger.is_edited(path, written.get(path.relative_to(store.out).as_posix())):
            continue
        with suppress(OSError, ValueError):
            text = one_line(decode(read_regular(path, ledger.LARGEST_CAPTION))[0])
            if text and text != decisions.get(file, {}).get("caption"):
                decisions[file] = {**decisions.get(file, {}), "caption": text}
    return decisions


def merge_review(store: Store, review: Path) -> None:
    """Add decisions that were saved elsewhere, as by the contact sheet, to those of the folder; the new ones count.

    The sheet saves what it knew before as well, so that its file may lie in the folder as ``review.json``. That may
    be older than what another sheet or the page decided since: where it tells what is new, only that is taken.

    Raises
    ------
    RiffusionError
        The file is missing or is no such file.
    """
    try:
        values = loads(read_regular(review, LARGEST_JSON))
    except (OSError, ValueError) as error:
        raise RiffusionError(f"{review} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    decisions = reviewed(store)
    said_there = _reviewed(values, review)
    if "new" in values:
        said_there = _reviewed({"windows": values["new"]}, review)
    for file, said in said_there.items():
        decisions[file] = {**decisions.get(file, {}), **said}
    store.write_json(REVIEW, {"windows": decisions})


def reviewed(store: Store) -> dict[str, dict[str, Any]]:
    """Return the decisions that ``review.json`` holds, by name of image.

    Raises
    ------
    RiffusionError
        It is damaged.
    """
    return _reviewed(store.read_json(REVIEW), store.out / REVIEW)


def _reviewed(values: object, path: Path) -> dict[str, dict[str, Any]]:
    """Return the decisions of a review, by name of image."""
    windows = values.get("windows", {}) if isinstance(values, dict) else None
    if not isinstance(windows, dict) or not all(
        isinstance(said, dict) and isinstance(said.get("keep", True), bool) and isinstance(said.get("caption", ""), str)
        for said in windows.values()
    ):
        raise RiffusionError(f"{path} must hold decisions by name of image; repair it or move it away")
    for name in windows:
        if not is_bare(name):
            raise RiffusionError(f"{path} must name images, got {shown(name)}; repair it or move it away")
    return dict(windows)
