"""The user's decisions about windows, stored apart from everything computed so that they survive every run.

::

    review.json   {"windows": {"<image>.png": {"keep": false, "caption": "..."}}}
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TypedDict

from riffusion_ext.dataset.captions.text import decode, one_line
from riffusion_ext.dataset.export import ledger
from riffusion_ext.dataset.store import MAX_JSON_BYTES, Store
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.regular import read_regular
from riffusion_ext.validation.json_text import loads
from riffusion_ext.validation.names import bare_name, is_bare
from riffusion_ext.validation.numbers import shown

__all__ = ["REVIEW", "StoredDecision", "collect_decisions", "load_review", "merge_review"]

REVIEW = "review.json"


class StoredDecision(TypedDict, total=False):
    """A decision as ``review.json`` holds it."""

    keep: bool
    caption: str


def collect_decisions(store: Store, files: Iterable[str]) -> dict[str, StoredDecision]:
    """Return the user's decisions by image name, including captions edited in their text files since the last run.

    Parameters
    ----------
    store
        Folder of the training set.
    files
        Names of the images in its manifest.

    Raises
    ------
    RiffusionError
        ``review.json`` is damaged.
    """
    decisions = load_review(store)
    ledger_entries = ledger.load(store.out, "dreambooth")
    for file in files:
        path = (store.images / bare_name(file, "an image")).with_suffix(".txt")
        if not ledger.is_edited(path, ledger_entries.get(path.relative_to(store.out).as_posix())):
            continue
        with suppress(OSError, ValueError):
            text = one_line(decode(read_regular(path, ledger.MAX_CAPTION_BYTES))[0])
            if text and text != decisions.get(file, {}).get("caption"):
                decisions[file] = {**decisions.get(file, {}), "caption": text}
    return decisions


def merge_review(store: Store, review: Path) -> None:
    """Merge the decisions of a contact sheet into those of the folder; those of the sheet take precedence.

    A contact sheet also saves the decisions it was made with, so that its file can serve as ``review.json`` itself.
    Those may be older than decisions made since on another sheet or page, so only the entries under ``new`` are
    merged, if the file has them.

    Raises
    ------
    RiffusionError
        The file is missing, or does not hold decisions.
    """
    try:
        values = loads(read_regular(review, MAX_JSON_BYTES))
    except (OSError, ValueError) as error:
        raise RiffusionError(f"{review} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    decisions = load_review(store)
    review_decisions = _parse_review(values, review)
    if "new" in values:
        review_decisions = _parse_review({"windows": values["new"]}, review)
    for file, decision in review_decisions.items():
        decisions[file] = {**decisions.get(file, {}), **decision}
    store.write_json(REVIEW, {"windows": decisions})


def load_review(store: Store) -> dict[str, StoredDecision]:
    """Return the decisions in ``review.json``, by image name.

    Raises
    ------
    RiffusionError
        The file is damaged.
    """
    return _parse_review(store.read_json(REVIEW), store.out / REVIEW)


def _parse_review(values: object, path: Path) -> dict[str, StoredDecision]:
    """Check the content of a review file, and return its decisions by image name."""
    windows = values.get("windows", {}) if isinstance(values, dict) else None
    if not isinstance(windows, dict) or not all(
        isinstance(decision, dict)
        and isinstance(decision.get("keep", True), bool)
        and isinstance(decision.get("caption", ""), str)
        for decision in windows.values()
    ):
        raise RiffusionError(f"{path} must hold decisions by name of image; repair it or move it away")
    for name in windows:
        if not is_bare(name):
            raise RiffusionError(f"{path} must name images, got {shown(name)}; repair it or move it away")
    return dict(windows)
