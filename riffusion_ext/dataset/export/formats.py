"""Export formats: the Dreambooth extension, kohya's scripts, diffusers, and audio chunks for audio models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from riffusion_ext.dataset.captions.template import TOKEN_LIMIT, estimate_tokens, normalize_caption
from riffusion_ext.dataset.captions.text import decode
from riffusion_ext.dataset.export import ledger
from riffusion_ext.dataset.export.audio import audio_files, audio_text_files
from riffusion_ext.dataset.export.images import diffusers_files, dreambooth_files, kohya_files, stem
from riffusion_ext.dataset.export.item import ExportItem
from riffusion_ext.dataset.export.ledger import MAX_CAPTION_BYTES, OutFile, SyncResult, sync
from riffusion_ext.dataset.settings import BOUNDS, FORMATS, ExportSettings
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.regular import read_regular
from riffusion_ext.validation.names import is_link
from riffusion_ext.validation.numbers import is_finite, shown

__all__ = ["FORMATS", "IMAGES", "ExportItem", "ExportResult", "check_export_settings", "export"]

IMAGES = "pictures"
"""Folder of the images, within the export folder."""

_FORBIDDEN = '/\\:*?"<>|'


@dataclass(frozen=True)
class ExportResult:
    """Result of an export.

    Attributes
    ----------
    places
        Path to give to the trainer, by format.
    written, unchanged, removed
        Number of files.
    notes
        Sentences for the user about files kept because they were edited, long captions, and omitted audio.
    errors
        Sentences about songs whose audio could not be read.
    """

    places: Mapping[str, Path]
    written: int
    unchanged: int
    removed: int
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def export(
    items: Sequence[ExportItem],
    out: Path,
    settings: ExportSettings,
    *,
    progress: Callable[[float], None] | None = None,
) -> ExportResult:
    """Write a training set in the chosen formats, and remove files of earlier exports that are no longer needed.

    The export is deterministic and idempotent, and the next run completes a killed one. Captions that were edited in
    ``pictures/*.txt`` are used in every format.

    Parameters
    ----------
    items
        In any order; an empty sequence removes the previous export.
    out
        Export folder, which holds the folder of images.
    settings
        Formats and their settings.
    progress
        Called with the fraction done, 0 to 1; may raise to end the work.

    Raises
    ------
    RiffusionError
        A setting is out of range, an image is missing or elsewhere, or a file cannot be written.
    """
    check_export_settings(settings)
    on_progress = progress or (lambda part: None)
    original = _items_by_name(items, out)
    edited = _edited_captions(original, out)
    named = {name: replace(item, caption=edited.get(name, item.caption)) for name, item in original.items()}
    share = 1 / max(len(settings.formats), 1)  # the other formats only remove files
    finished = 0.0
    synced: dict[str, SyncResult] = {}
    notes: list[str] = []
    for format_name in FORMATS:
        selected = named if format_name in settings.formats else {}

        def report_part(part: float, finished: float = finished, share: float = share if selected else 0.0) -> None:
            on_progress(min(finished + part * share, 1.0))

        if format_name == "audio":
            audio, audio_notes = audio_files(selected, settings)
            notes += audio_notes
            synced[format_name] = sync(out, format_name, audio, progress=report_part)
            synced["audio-texts"] = sync(
                out, "audio-texts", audio_text_files(selected, settings, synced[format_name].failed)
            )
        else:
            synced[format_name] = sync(
                out, format_name, _files(format_name, selected, edited, settings), progress=report_part
            )
        report_part(1.0)
        finished += share if format_name in settings.formats else 0.0
    changed = [name for name, caption in edited.items() if caption != original[name].caption]
    return _result(out, settings, named, changed, synced, notes)


def _files(
    format_name: str, named: Mapping[str, ExportItem], edited: Collection[str], settings: ExportSettings
) -> list[OutFile]:
    if format_name == "dreambooth":
        return dreambooth_files(named, edited)
    return kohya_files(named, settings) if format_name == "kohya" else diffusers_files(named)


def check_export_settings(settings: ExportSettings) -> None:
    """Raise a RiffusionError if a setting is out of range."""
    unknown = [format_name for format_name in settings.formats if format_name not in FORMATS]
    if unknown:
        raise RiffusionError(f"unknown format {unknown[0]!r}, a training set can be written as {', '.join(FORMATS)}")
    repeats, (low, high) = settings.kohya_repeats, BOUNDS["kohya_repeats"]
    if not (is_finite(repeats) and low <= repeats <= high):
        raise RiffusionError(f"kohya's repeats must be {low} to {high}, got {shown(repeats)}")
    name = settings.kohya_name
    if name != name.strip(" .") or any(c in _FORBIDDEN or not c.isprintable() for c in name) or len(name) > 100:
        raise RiffusionError(f"kohya's folder name must be a name without any of {_FORBIDDEN}, got {shown(name)}")
    rate, (low, high) = settings.audio_rate, BOUNDS["audio_rate"]
    if rate is not None and not (is_finite(rate) and low <= rate <= high):
        raise RiffusionError(f"the rate of audio chunks must be {low} to {high} Hz, got {shown(rate)}")
    seconds, (low, high) = settings.audio_seconds, BOUNDS["audio_seconds"]
    if seconds is not None and not (is_finite(seconds) and low <= seconds <= high):
        raise RiffusionError(f"the length of audio chunks must be {low} to {high} s, got {shown(seconds)}")


def _items_by_name(items: Sequence[ExportItem], out: Path) -> dict[str, ExportItem]:
    """Return the items by the name of their image within the folder of images, sorted, with normalized captions.

    Windows that are identical to the last sample share an image; the first of them is used.
    """
    folder = (out / IMAGES).absolute()
    named: dict[str, ExportItem] = {}
    for item in items:
        image = item.image.absolute()
        if not image.is_relative_to(folder):
            raise RiffusionError(f"{item.image} is not in {folder}")
        if not image.is_file() or is_link(image):
            raise RiffusionError(f"no such image: {item.image}")
        caption = normalize_caption(item.caption, {"file": item.source.stem})
        named.setdefault(image.relative_to(folder).as_posix(), replace(item, caption=caption))
    return dict(sorted(named.items()))


def _edited_captions(named: Mapping[str, ExportItem], out: Path) -> dict[str, str]:
    """Return the captions that were edited in the text files beside the images, by image name.

    If nothing remains of an edited caption once it is normalized, the item's own is used.
    """
    entries = ledger.load(out, "dreambooth")
    edited: dict[str, str] = {}
    for name, item in named.items():
        text_name = f"{IMAGES}/{stem(name)}.txt"
        if ledger.is_edited(out / text_name, entries.get(text_name)):
            with suppress(OSError, ValueError):
                caption = decode(read_regular(out / text_name, MAX_CAPTION_BYTES))[0]
                edited[name] = normalize_caption(caption, {"title": item.caption})
    return edited


def _result(
    out: Path,
    settings: ExportSettings,
    named: Mapping[str, ExportItem],
    changed: Sequence[str],
    synced: Mapping[str, SyncResult],
    notes: Sequence[str],
) -> ExportResult:
    places = {"dreambooth": "concepts_list.json", "kohya": "kohya", "diffusers": IMAGES, "audio": "audio"}
    sentences = list(notes)
    if changed:
        sentences.append(f"captions edited by hand were taken over into every format: {_first_names(changed)}")
    kept = sorted(name for result in synced.values() for name in result.kept)
    if kept:
        sentences.append(f"changed or made by somebody else, and left as they are: {_first_names(kept)}")
    long = [name for name, item in named.items() if estimate_tokens(item.caption) > TOKEN_LIMIT]
    if long and settings.formats:
        sentences.append(
            f"captions longer than about {TOKEN_LIMIT} tokens, of which trainers read no more: {_first_names(long)}"
        )
    failed = dict.fromkeys(why for result in synced.values() for why in result.failed.values())
    return ExportResult(
        places={
            format_name: out / places[format_name]
            for format_name in FORMATS
            if format_name in settings.formats and named
        },
        written=sum(len(result.written) for result in synced.values()),
        unchanged=sum(len(result.unchanged) for result in synced.values()),
        removed=sum(len(result.removed) for result in synced.values()),
        notes=tuple(sentences),
        errors=tuple(failed),
    )


def _first_names(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 3} more" if len(names) > 4 else ""
    return ", ".join(names[: 3 if rest else 4]) + rest
