"""What the user decided about windows, apart from everything that is computed, so that it outlives every run.

::

    review.json   {"windows": {"<picture>.png": {"keep": false, "caption": "..."}}}
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from riffusion_ext.dataset import ledger
from riffusion_ext.dataset.store import Store
from riffusion_ext.dataset.texts import decode, one_line
from riffusion_ext.errors import RiffusionError

__all__ = ["REVIEW", "decisions_of", "take_in"]

REVIEW = "review.json"


def decisions_of(store: Store, before: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what the user decided, by name of picture; captions edited in their files since we wrote them included.

    Parameters
    ----------
    store
        The folder.
    before
        Names of the pictures in its manifest.

    Raises
    ------
    RiffusionError
        ``review.json`` is damaged.
    """
    decisions = _reviewed(store.read_json(REVIEW), store.out / REVIEW)
    written = ledger.load(store.out, "dreambooth")
    for file in before:
        path = (store.pictures / file).with_suffix(".txt")
        if not ledger.is_edited(path, written.get(path.relative_to(store.out).as_posix())):
            continue
        with suppress(OSError, ValueError):
            text = one_line(decode(path.read_bytes())[0])
            if text and text != decisions.get(file, {}).get("caption"):
                decisions[file] = {**decisions.get(file, {}), "caption": text}
    return decisions


def take_in(store: Store, review: Path) -> None:
    """Add decisions that were saved elsewhere, as by the contact sheet, to those of the folder; the new ones count.

    The sheet saves what it knew before as well, so that its file may lie in the folder as ``review.json``. That may
    be older than what another sheet or the page decided since: where it tells what is new, only that is taken.

    Raises
    ------
    RiffusionError
        The file is missing or is no such file.
    """
    try:
        values = json.loads(review.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RiffusionError(f"{review} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    decisions = _reviewed(store.read_json(REVIEW), store.out / REVIEW)
    said_there = _reviewed(values, review)
    if "new" in values:
        said_there = _reviewed({"windows": values["new"]}, review)
    for file, said in said_there.items():
        decisions[file] = {**decisions.get(file, {}), **said}
    store.write_json(REVIEW, {"windows": decisions})


def _reviewed(values: object, path: Path) -> dict[str, dict[str, Any]]:
    """Return the decisions of a review, by name of picture."""
    windows = values.get("windows", {}) if isinstance(values, dict) else None
    if not isinstance(windows, dict) or not all(
        isinstance(said, dict) and isinstance(said.get("keep", True), bool) and isinstance(said.get("caption", ""), str)
        for said in windows.values()
    ):
        raise RiffusionError(f"{path} must hold decisions by name of picture; repair it or move it away")
    return dict(windows)
