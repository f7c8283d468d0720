"""State of the contact sheet, and its edits: the part that is independent of gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.layout.page_context import parse_folder

if TYPE_CHECKING:
    from riffusion_ext.dataset.manifest import Manifest, WindowEntry

__all__ = ["CELLS", "Sheet", "load_page", "replace_words", "save"]

CELLS = 12
"""Windows per page."""


@dataclass(frozen=True)
class Sheet:
    """State of the contact sheet. Edits apply to these windows, even if the folder or the filter was changed since.

    Attributes
    ----------
    out, show, words
        Folder of the training set, and the filter.
    files
        Names of all images that matched the filter. A window that is left out afterwards keeps its position, so that
        none is skipped on the way to the next page.
    page
        Number of the page, from 1.
    windows
        Windows on the page.
    """

    out: Path | None = None
    show: str = "all"
    words: str = ""
    files: tuple[str, ...] = ()
    page: int = 1
    windows: tuple[WindowEntry, ...] = ()

    @property
    def pages(self) -> int:
        """Number of pages."""
        return max(-(-len(self.files) // CELLS), 1)


def load_page(
    before: Sheet, out: str, show: str, words: str, page: float | None, *, refresh: bool = True
) -> tuple[Manifest, Sheet]:
    """Read the windows of a page from the manifest.

    Parameters
    ----------
    before
        State before.
    out, show, words
        The folder as the user named it, and the filter of :func:`riffusion_ext.dataset.review.filter_windows`.
    page
        Number of the page, clipped to those that exist. With a changed filter, the first one is read.
    refresh
        Whether to filter again if folder and filter are unchanged.

    Raises
    ------
    RiffusionError
        There is no training set.
    """
    from riffusion_ext.dataset.review import filter_windows, open_set

    if not out.strip():
        raise RiffusionError("No training set yet: make one above, or name the folder of one made before.")
    base = parse_folder(out)
    _, manifest = open_set(base)
    windows = {window.file: window for window in manifest.windows}
    same = (before.out, before.show, before.words) == (base, show, words)
    if same and not refresh:
        files = tuple(file for file in before.files if file in windows)
    else:
        files = tuple(dict.fromkeys(window.file for window in filter_windows(manifest, show, words)))
    sheet = Sheet(base, show, words, files)
    requested = int(page or 1) if same or page != before.page else 1
    number = min(max(requested, 1), sheet.pages)
    shown = tuple(windows[file] for file in files[(number - 1) * CELLS : number * CELLS])
    return manifest, replace(sheet, page=number, windows=shown)


def save(sheet: Sheet, values: Sequence[object]) -> str:
    """Save the edits of a page.

    Parameters
    ----------
    sheet
        State of the page.
    values
        For each window in turn, whether to keep it, and its caption.

    Returns
    -------
    str
        One sentence on what was saved; "" if nothing was edited.

    Raises
    ------
    RiffusionError
        Another run is working in the folder, or a file cannot be written.
    """
    from riffusion_ext.dataset.curation.apply import MANIFEST
    from riffusion_ext.dataset.review import Decision, decide

    changes = {}
    for window, keep, text in zip(sheet.windows, values[::2], values[1::2], strict=False):
        caption = " ".join(str(text).split())
        decision = Decision(
            bool(keep) if bool(keep) != window.kept else None,
            caption if caption and caption != window.caption else None,
        )
        if decision != Decision():
            changes[window.file] = decision
    if not changes or sheet.out is None:
        return ""
    if not (sheet.out / MANIFEST).is_file():
        return f"{_changes(len(changes))} lost: there is no training set in {sheet.out} any more."
    existing = {window.file for window in decide(sheet.out, changes).windows}
    lost = len(changes.keys() - existing)
    saved = f"{_changes(len(changes) - lost)} saved."
    return saved + (f" {_changes(lost)} lost: another run cut these windows anew." if lost else "")


def _changes(count: int) -> str:
    return f"{count} changed window" if count == 1 else f"{count} changed windows"


def replace_words(sheet: Sheet, find: str, replacement: str) -> str:
    """Replace a text in the captions of all windows that match the filter, on every page.

    Returns
    -------
    str
        One sentence with the number of changed captions.

    Raises
    ------
    RiffusionError
        As :func:`save`, or `find` is empty.
    """
    from riffusion_ext.dataset.review import decide, open_set, replace_in_captions

    if sheet.out is None or not find:
        raise RiffusionError("Nothing to replace: show a training set, and name the words to find in its captions.")
    matching = set(sheet.files)
    changes = replace_in_captions(
        (window for window in open_set(sheet.out)[1].windows if window.file in matching), find, replacement
    )
    if changes:
        decide(sheet.out, changes)
    return f"{len(changes)} caption{'' if len(changes) == 1 else 's'} changed."
