"""Apply curation and captions to a training set: decide about windows, move images, write the manifest.

No song is read, so thresholds and captions can be changed in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from riffusion_ext.analysis.beat_tracking import MIN_CONFIDENCE
from riffusion_ext.dataset.analysis.features import Features
from riffusion_ext.dataset.captions.tags import SongTags, song_tags
from riffusion_ext.dataset.captions.template import caption_for, file_fields, normalize_caption
from riffusion_ext.dataset.curation.curate import Verdict, curate
from riffusion_ext.dataset.decisions import REVIEW, StoredDecision, collect_decisions
from riffusion_ext.dataset.export.formats import ExportItem, ExportResult, export
from riffusion_ext.dataset.manifest import Manifest, SongEntry, WindowEntry, round_finite
from riffusion_ext.dataset.settings import DatasetSettings
from riffusion_ext.dataset.slicing.slice_song import SongRecord
from riffusion_ext.dataset.songs import Song
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError

__all__ = [
    "MANIFEST",
    "SOURCE",
    "CuratedSet",
    "apply_decision",
    "curate_set",
    "export_set",
    "read_manifest",
    "song_locator",
    "write_manifest",
]

MANIFEST = "manifest.json"
SOURCE = ".riffusion/source.json"  # paths of the songs, which differ between machines, so not in the manifest
_MIN_KEY_CONFIDENCE = 0.3  # confidence from which a measured key is used in captions


@dataclass(frozen=True)
class CuratedSet:
    """The manifest after curation, and notes such as sidecar files that were skipped."""

    manifest: Manifest
    notes: tuple[str, ...] = ()


def curate_set(
    store: Store,
    songs: Sequence[tuple[Song, str]],
    settings: DatasetSettings,
    *,
    root: Path | None = None,
    unfinished: Collection[str] = (),
) -> CuratedSet:
    """Decide about every window, and move images and write the manifest accordingly.

    Parameters
    ----------
    store
        Folder of the training set, locked.
    songs
        Songs with the keys of their records.
    settings
        Settings of the training set.
    root
        Topmost folder whose caption tables are read; None for each song's own folder.
    unfinished
        Names of songs that the run did not reach. Their windows from earlier runs stay as they are.

    Raises
    ------
    RiffusionError
        A file cannot be written, or the user's decisions cannot be read.
    """
    records = [(song, record) for song, key in songs if (record := store.load_record(key)) is not None]
    verdicts = _verdicts([record for _, record in records], settings)
    before = read_manifest(store)
    decisions = collect_decisions(store, [window.file for window in before.windows])
    seconds = settings.slicing.params.hop_length / settings.slicing.params.sample_rate
    renamed = _carry_over(decisions, before, [record for _, record in records], seconds)
    files = [file for _, record in records for file in record.files]
    entries: list[SongEntry] = []
    windows: list[WindowEntry] = []
    notes: list[str] = list(renamed)
    for song, record in records:
        entries.append(_song_entry(record))
        tags = song_tags(song.whole or song.path, root)
        notes += tags.notes
        if not record.files:
            width = settings.slicing.columns * seconds
            notes.append(
                f"nothing of {record.name} is used: its {record.duration:.1f} s hold no window of {width:.1f} s"
            )
        fields = _fields(song, record, tags)
        caption = caption_for(fields, settings.captions)
        for number, file in enumerate(record.files):
            decision: StoredDecision = decisions.get(file, {})
            text = normalize_caption(str(decision["caption"]), fields) if decision.get("caption") else caption
            verdict = verdicts[len(windows)]
            windows.append(_window_entry(record, number, seconds, settings, verdict, decision, text, files))
    leftover = [window for window in before.windows if window.song in unfinished and store.find(window.file)]
    names = {window.song for window in leftover}
    entries += [song for song in before.songs if song.name in names]
    windows += [apply_decision(window, decisions.get(window.file, {})) for window in leftover]
    manifest = Manifest(settings.as_dict(), entries, windows)
    if decisions:  # before captions move: some exist only in their text files
        store.write_json(REVIEW, {"windows": decisions})
    _move_images(store, manifest)
    if not unfinished:
        store.clear_fresh()
    write_manifest(store, manifest)
    return CuratedSet(manifest, tuple(dict.fromkeys(notes)))


def _carry_over(
    decisions: dict[str, StoredDecision], before: Manifest, records: Sequence[SongRecord], seconds: float
) -> list[str]:
    """Carry decisions over to songs that were renamed since, which are recognised by their bytes.

    Parameters
    ----------
    decisions
        Decisions by image name; those carried over are added.
    before
        Manifest of the last run.
    records
        Records of the current songs.
    seconds
        Duration of a column.

    Returns
    -------
    notes
        One sentence for each renamed song.
    """
    present = {record.name for record in records}
    old_names: dict[str, str] = {}
    for song in before.songs:
        if song.name not in present:
            old_names.setdefault(song.sha256, song.name)
    old_files = {(window.song, window.start): window.file for window in before.windows}
    notes = []
    for record in records:
        old = old_names.get(record.digest)
        if old is None:
            continue
        count = 0
        for start, file in zip(record.starts, record.files, strict=True):
            decision = decisions.get(old_files.get((old, round(start * seconds, 3)), ""))
            if decision and file not in decisions:
                decisions[file] = decision.copy()
                count += 1
        if count:
            windows = f"{count} windows" if count > 1 else "1 window"
            notes.append(f"{old} is called {record.name} now: what was decided about {windows} of it was taken over")
    return notes


def _window_entry(
    record: SongRecord,
    number: int,
    seconds: float,
    settings: DatasetSettings,
    verdict: Verdict,
    decision: StoredDecision,
    caption: str,
    files: Sequence[str],
) -> WindowEntry:
    """Build a window's manifest entry; `seconds` is the duration of a column, `files` are the images of all windows."""
    reasons: list[dict[str, str]] = []
    for reason in verdict.reasons:
        other = {} if reason.other is None else {"other": files[reason.other]}
        reasons.append({"kind": reason.kind, "text": reason.text, **other})
    return WindowEntry(
        file=record.files[number],
        song=record.name,
        start=round(record.starts[number] * seconds, 3),
        duration=round(settings.slicing.columns * seconds, 3),
        kept=bool(decision.get("keep", verdict.kept)),
        decided="keep" in decision,
        reasons=tuple(reasons),
        caption=caption,
        level_db=round(float(record.features.level_db[number]), 2),
        transition=round(float(record.features.transition[number]), 4),
        black=record.blacks[number],
    )


def read_manifest(store: Store) -> Manifest:
    """Read the manifest of the last run; an empty one if there was none.

    Raises
    ------
    RiffusionError
        The manifest is damaged.
    """
    values = store.read_json(MANIFEST)
    if not values:
        return Manifest({})
    try:
        return Manifest.from_dict(values)
    except RiffusionError as error:
        raise RiffusionError(f"{store.out / MANIFEST} is damaged ({error}); repair it or move it away") from None


def apply_decision(window: WindowEntry, decision: StoredDecision) -> WindowEntry:
    """Return a window with the user's decision applied."""
    caption = normalize_caption(str(decision.get("caption") or window.caption), {"title": window.caption})
    return replace(window, kept=bool(decision.get("keep", window.kept)), decided="keep" in decision, caption=caption)


def write_manifest(store: Store, manifest: Manifest) -> None:
    """Write the manifest as JSON and as CSV."""
    store.write_json(MANIFEST, manifest.as_dict())
    store.write_text("manifest.csv", manifest.as_csv())


def export_set(store: Store, manifest: Manifest, progress: Callable[[float], None] | None = None) -> ExportResult:
    """Export the kept windows in the formats of the manifest's settings."""
    locate = song_locator(store)
    digests = {song.name: song.sha256 for song in manifest.songs}
    items = [
        ExportItem(
            store.images / window.file,
            window.caption,
            locate(window.song),
            window.start,
            window.duration,
            digests.get(window.song, ""),
        )
        for window in manifest.kept
    ]
    return export(items, store.out, DatasetSettings.from_dict(manifest.settings).export, progress=progress)


def song_locator(store: Store) -> Callable[[str], Path]:
    """Return a function from a song's name to its path in the last run."""
    source = store.read_json(SOURCE)
    stems, collection = source.get("stems", {}), source.get("collection", "")
    if not isinstance(stems, dict) or not all(map(_is_path, (collection, *stems.values()))):
        raise RiffusionError(f"{store.out / SOURCE} must say where the songs are; repair it or move it away")
    songs = Path(str(collection))
    return lambda name: Path(stems[name]) if name in stems else songs if songs.is_file() else songs / name


def _is_path(value: object) -> bool:
    return isinstance(value, str) and "\0" not in value and len(value) < 1 << 14


def _verdicts(records: Sequence[SongRecord], settings: DatasetSettings) -> list[Verdict]:
    if not any(record.files for record in records):
        return []
    features = Features.concatenate([record.features for record in records])
    song_of = np.repeat(np.arange(len(records)), [len(record.files) for record in records])
    starts = np.array([start for record in records for start in record.starts], dtype=np.int64)
    cut = settings.slicing
    seconds = cut.params.hop_length / cut.params.sample_rate
    return curate(features, song_of, starts, cut.columns, settings.curation, step=cut.step, column_seconds=seconds)


def _fields(song: Song, record: SongRecord, tags: SongTags) -> dict[str, str]:
    """Return the values of the fields for caption templates."""
    fields = {**file_fields(song.whole or song.path), **tags.fields}
    if song.whole is not None:
        fields["stem"] = song.path.stem
    if record.tempo_confidence >= MIN_CONFIDENCE:
        fields["tempo"] = f"{record.tempo:.0f}"
    if record.key_confidence >= _MIN_KEY_CONFIDENCE:
        fields["measured_key"] = record.key
    loudness = round_finite(record.loudness, 0)
    if loudness is not None:
        fields["loudness"] = f"{loudness:.0f}"
    return fields


def _song_entry(record: SongRecord) -> SongEntry:
    return SongEntry(
        name=record.name,
        sha256=record.digest,
        duration=round(record.duration, 3),
        sample_rate=record.sample_rate,
        channels=record.channels,
        loudness=round_finite(record.loudness, 2),
        tempo=round_finite(record.tempo, 2) if record.tempo_confidence >= MIN_CONFIDENCE else None,
        key=record.key if record.key_confidence >= _MIN_KEY_CONFIDENCE else None,
    )


def _move_images(store: Store, manifest: Manifest) -> None:
    """Move every image to the kept or rejected ones, and images that belong to no window out of the set."""
    for window in manifest.windows:
        store.place(window.file, kept=window.kept)
    store.reject_others({window.file for window in manifest.windows})
