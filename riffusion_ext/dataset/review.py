"""Review of a training set: keep or reject single windows, and edit their captions.

Decisions are stored apart from everything computed, and survive every later run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from riffusion_ext.dataset.curation.apply import MANIFEST, apply_decision, export_set, read_manifest, write_manifest
from riffusion_ext.dataset.decisions import REVIEW, StoredDecision, collect_decisions
from riffusion_ext.dataset.manifest import Manifest, WindowEntry
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError

__all__ = ["Decision", "decide", "filter_windows", "open_set", "replace_in_captions"]


@dataclass(frozen=True)
class Decision:
    """The user's decision about a window; None leaves the value as it is."""

    keep: bool | None = None
    caption: str | None = None


def open_set(out: Path) -> tuple[Store, Manifest]:
    """Open an existing training set.

    Raises
    ------
    RiffusionError
        The folder has no training set, or its manifest is damaged.
    """
    store = Store(out)
    if not (out / MANIFEST).exists():
        raise RiffusionError(f"there is no training set in {out}")
    return store, read_manifest(store)


def decide(out: Path, decisions: Mapping[str, Decision]) -> Manifest:
    """Apply and store decisions: move images, write captions, update the manifest.

    Parameters
    ----------
    out
        Folder of the training set.
    decisions
        By image name.

    Raises
    ------
    RiffusionError
        Another run is using the folder, or a file cannot be written.
    """
    store = Store(out)
    with store.locked():
        _, manifest = open_set(out)
        remembered = collect_decisions(store, [window.file for window in manifest.windows])
        known = {window.file for window in manifest.windows}
        for file, decision in decisions.items():
            if file in known:
                remembered[file] = {**remembered.get(file, {}), **_to_json(decision)}
        store.write_json(REVIEW, {"windows": remembered})  # before captions go: some exist only as files
        windows = []
        for window in manifest.windows:
            if window.file in remembered:
                window = apply_decision(window, remembered[window.file])
                if decisions.get(window.file, Decision()).caption is not None:
                    store.drop_caption(window.file)  # else an earlier edit of the text file would win
                if store.find(window.file) is not None:
                    store.place(window.file, kept=window.kept)
            windows.append(window if not window.kept or store.find(window.file) is not None else _without_image(window))
        manifest = replace(manifest, windows=windows)
        write_manifest(store, manifest)
        export_set(store, manifest)
    return manifest


def _without_image(window: WindowEntry) -> WindowEntry:
    """Reject a window whose image was deleted, so that the others can still be exported."""
    reason = {"kind": "gone", "text": "its image was removed; the next run makes it again"}
    return replace(window, kept=False, reasons=(*(r for r in window.reasons if r["kind"] != "gone"), reason))


def _to_json(decision: Decision) -> StoredDecision:
    values: StoredDecision = {} if decision.keep is None else {"keep": decision.keep}
    caption = " ".join((decision.caption or "").split())
    return {**values, "caption": caption} if caption else values


def replace_in_captions(windows: Iterable[WindowEntry], find: str, put: str) -> dict[str, Decision]:
    """Return decisions that replace a text in captions; captions that would become empty are skipped."""
    if not find:
        return {}
    changed = {window.file: window.caption.replace(find, put) for window in windows if find in window.caption}
    return {file: Decision(caption=caption) for file, caption in changed.items() if caption.strip(" ,")}


def filter_windows(manifest: Manifest, show: str, words: str = "") -> list[WindowEntry]:
    """Filter the windows of a training set.

    Parameters
    ----------
    show
        ``"all"``, ``"kept"``, ``"left out"``, or the kind of a reason.
    words
        Words that must all occur in the song's name or the caption.
    """
    required = words.lower().split()

    def matches(window: WindowEntry) -> bool:
        kinds = {reason["kind"] for reason in window.reasons}
        state = "kept" if window.kept else "left out"
        text = f"{window.song} {window.caption}".lower()
        return (show in ("all", state) or show in kinds) and all(word in text for word in required)

    return [window for window in manifest.windows if matches(window)]
