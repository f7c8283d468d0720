"""What the user decides, window by window: keep or leave out, and another caption.

Decisions are written down apart from everything that is computed, and outlive every later run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from riffusion_ext.dataset.curation.apply import MANIFEST, apply_decision, export_set, read_manifest, write_manifest
from riffusion_ext.dataset.decisions import REVIEW, collect_decisions
from riffusion_ext.dataset.manifest import Manifest, WindowEntry
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError

__all__ = ["Decision", "decide", "filter_windows", "open_set", "replace_in_captions"]


@dataclass(frozen=True)
class Decision:
    """What the user said about a window; None where nothing."""

    keep: bool | None = None
    caption: str | None = None


def open_set(out: Path) -> tuple[Store, Manifest]:
    """Open a training set that was made before.

    Raises
    ------
    RiffusionError
        There is none in the folder, or its manifest is damaged.
    """
    store = Store(out)
    if not (out / MANIFEST).exists():
        raise RiffusionError(f"there is no training set in {out}")
    return store, read_manifest(store)


def decide(out: Path, decisions: Mapping[str, Decision]) -> Manifest:
    """Put decisions into effect: move images, write captions, and remember.

    Parameters
    ----------
    out
        Folder of the training set.
    decisions
        By name of image.

    Raises
    ------
    RiffusionError
        Another run is working there, or something cannot be written.
    """
    store = Store(out)
    with store.locked():
        _, manifest = open_set(out)
        remembered = collect_decisions(store, [window.file for window in manifest.windows])
        known = {window.file for window in manifest.windows}
        for file, decision in decisions.items():
            if file in known:
                remembered[file] = {**remembered.get(file, {}), **_to_json(decision)}
        store.write_json(REVIEW, {"windows": remembered})  # before captions go: some are known from their files alone
        windows = []
        for window in manifest.windows:
            if window.file in remembered:
                window = apply_decision(window, remembered[window.file])
                if decisions.get(window.file, Decision()).caption is not None:
                    store.drop_caption(window.file)  # else what was typed there before would count
                if store.find(window.file) is not None:
                    store.place(window.file, kept=window.kept)
            windows.append(window if not window.kept or store.find(window.file) is not None else _without_image(window))
        manifest = replace(manifest, windows=windows)
        write_manifest(store, manifest)
        export_set(store, manifest)
    return manifest


def _without_image(window: WindowEntry) -> WindowEntry:
    """Leave out a window whose image someone removed; that must not keep the others from being written."""
    reason = {"kind": "gone", "text": "its image was removed; the next run makes it again"}
    return replace(window, kept=False, reasons=(*(r for r in window.reasons if r["kind"] != "gone"), reason))


def _to_json(decision: Decision) -> dict[str, Any]:
    values: dict[str, Any] = {} if decision.keep is None else {"keep": decision.keep}
    caption = " ".join((decision.caption or "").split())
    return values | ({"caption": caption} if caption else {})


def replace_in_captions(windows: Iterable[WindowEntry], find: str, put: str) -> dict[str, Decision]:
    """Return the decisions that replace a text in captions; none where a caption would be left empty."""
    if not find:
        return {}
    changed = {window.file: window.caption.replace(find, put) for window in windows if find in window.caption}
    return {file: Decision(caption=caption) for file, caption in changed.items() if caption.strip(" ,")}


def filter_windows(manifest: Manifest, show: str, words: str = "") -> list[WindowEntry]:
    """Filter windows.

    Parameters
    ----------
    show
        ``"all"``, ``"kept"``, ``"left out"``, or the kind of a reason.
    words
        All of them must occur in the song's name or the caption.
    """
    required = words.lower().split()

    def matches(window: WindowEntry) -> bool:
        kinds = {reason["kind"] for reason in window.reasons}
        state = "kept" if window.kept else "left out"
        text = f"{window.song} {window.caption}".lower()
        return (show in ("all", state) or show in kinds) and all(word in text for word in required)

    return [window for window in manifest.windows if matches(window)]
