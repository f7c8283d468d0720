"""Find the real length of a sound file and the gaps in it, before decoding.

Decoders trust the length in the header, play only the first of several streams, and skip damage silently. So MP3, Ogg
and FLAC files are first scanned frame by frame or page by page::

    file --survey--> plain: the decoder can read the file itself
                     or segments: what the decoder reads instead, in sequence

Nothing is decoded here. The surveys of the most recent files are cached.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

from riffusion_ext.audio.formats import flac_frames, mp3_frames, ogg_pages
from riffusion_ext.audio.formats.id3 import tag_size
from riffusion_ext.audio.integrity.byte_window import Window
from riffusion_ext.audio.integrity.splice import Piece, append_range
from riffusion_ext.files.regular import check_regular, open_regular

__all__ = ["Gap", "Segment", "Survey", "survey", "survey_deep"]

_MIN_TRAILING = 4096
"""Fewest bytes after the sound that are reported."""
_DECODER_DELAY = 529
"""Delay of layer 3 decoders, in samples."""
_MAX_TRIMMED = 4096
_XING_SLACK = 1
"""In frames: some encoders count the Xing frame itself, others do not."""
_OTHER_FORMATS = (b"RIFF", b"FORM", b"RF64", b"caff", b".snd", b"riff", b"\x1aE\xdf\xa3")
"""First bytes of other formats."""


@dataclass(frozen=True)
class Segment:
    """A part of a sound that a decoder can read without interruption.

    Attributes
    ----------
    pieces
        Contents of the file for the decoder, see :class:`~riffusion_ext.audio.integrity.splice.Splice`.
    rate, channels
        Sample rate in Hz, and number of channels.
    link
        Number of its stream in the file.
    end
        End of the segment in samples of the stream, if only its end is known.
    seekable_end
        Last sample to which the decoder can seek exactly: libsndfile mistakes the last page of an Ogg stream, which
        is cut at its end, for a full one. None for no limit.
    """

    pieces: tuple[Piece, ...]
    rate: int
    channels: int
    link: int = 0
    end: int | None = None
    seekable_end: int | None = None


@dataclass(frozen=True)
class Gap:
    """Missing sound: start in s, approximate length in s (None for unknown), and the segment after it."""

    start: float
    length: float | None
    segment: int = -1


@dataclass(frozen=True)
class Survey:
    """Result of scanning a file.

    Attributes
    ----------
    plain
        Whether the decoder can read the file itself, if it reports `samples` as its length (None: any length).
    segments
        What the decoder reads otherwise.
    seconds
        Approximate duration of the sound.
    declared
        Duration according to the header; None if it has none, or a shorter one.
    cut
        Whether the file is truncated.
    gaps
        In ascending order.
    filled
        Whether the lengths of the gaps between segments are known.
    trailing
        Number of bytes after the sound that are not sound.
    trimmed
        Most seconds that decoders drop at the ends.
    counts, silences
        Samples of each segment and of the silence before it, at the rate of the first segment; filled by decoding.
    deep_surveys
        Results of :func:`survey_deep`.
    """

    plain: bool
    segments: tuple[Segment, ...]
    seconds: float
    samples: int | None = None
    declared: float | None = None
    cut: bool = False
    gaps: tuple[Gap, ...] = ()
    filled: bool = False
    trailing: int = 0
    trimmed: float = 0.0
    counts: dict[int, int] = field(default_factory=dict)
    silences: dict[int, int] = field(default_factory=dict)
    deep_surveys: list[Survey] = field(default_factory=list)


def survey(path: Path) -> Survey | None:
    """Scan an MP3, Ogg or FLAC file; None for other formats.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    state = check_regular(path)
    found = _survey(path, state.st_size, state.st_mtime_ns, state.st_ino, False)
    return found.deep_surveys[-1] if found is not None and found.deep_surveys else found


def survey_deep(path: Path) -> Survey | None:
    """Check the contents of FLAC frames after a decoding error; :func:`survey` then returns this result."""
    state = check_regular(path)
    key = (path, state.st_size, state.st_mtime_ns, state.st_ino)
    first, found = _survey(*key, False), _survey(*key, True)
    if first is not None and found is not None:
        first.deep_surveys.append(found)
    return found


@lru_cache(maxsize=32)
def _survey(path: Path, _size: int, _time: int, _inode: int, deep: bool) -> Survey | None:
    with open_regular(path) as file:
        window = Window(file)
        head = window.read(tag_size(window.read(0, 10)), 12)
        if head[:4] == b"OggS":
            links = ogg_pages.walk(window)
            return _survey_ogg(links) if links else None
        if head[:4] == b"fLaC":
            streams = flac_frames.walk(window)
            return _survey_flac(window, streams, deep) if streams else None
        if head[:4] in _OTHER_FORMATS or head[4:8] == b"ftyp":
            return None
        found = mp3_frames.walk(window)
        return None if found is None else _survey_mpeg(window, found)


# --- MP3 -------------------------------------------------------------------------------------------------------------


def _survey_mpeg(window: Window, found: mp3_frames.MpegFile) -> Survey:
    seconds = sum(part.frames * part.form.samples / part.form.rate for part in found.parts)
    lost = sum(_lost_seconds(window, part) for part in found.parts)
    first = found.parts[0]
    plain = len(found.parts) == 1 and not found.damage and not lost
    has_count = first.xing is not None and first.xing.frames > 0
    plain &= not has_count or first.xing is None or first.xing.frames == first.frames
    return Survey(
        plain=plain,
        segments=tuple(
            Segment((_info_frame(part), *part.ranges), part.form.rate, part.form.channels, number)
            for number, part in enumerate(found.parts)
        ),
        seconds=seconds,
        samples=None if has_count else first.frames * first.form.samples,
        declared=seconds + lost if lost else None,
        cut=found.cut or (lost > 0 and not found.damage),
        gaps=tuple(Gap(start, (0.0 if n else lost) if lost else None) for n, (start, _) in enumerate(found.damage)),
        trimmed=sum(_MAX_TRIMMED / part.form.rate for part in found.parts),
        trailing=found.trailing if found.trailing >= _MIN_TRAILING else 0,
    )


def _lost_seconds(window: Window, part: mp3_frames.MpegPart) -> float:
    """Return the seconds missing according to the Xing frame; 0 if the Xing frame itself is wrong."""
    xing = part.xing
    if xing is None or xing.frames <= part.frames + _XING_SLACK:
        return 0.0
    size = part.ranges[-1][1] - part.ranges[0][0]
    if xing.size and size + part.lead + size / part.frames >= xing.size:  # no bytes are missing
        return 0.0
    return (xing.frames - part.frames) * part.form.samples / part.form.rate


def _info_frame(part: mp3_frames.MpegPart) -> bytes:
    """Build an Info frame with the number of frames; keeps the encoder delay and padding of a LAME tag.

    After such a frame, decoders drop the encoder delay, at least 529 samples. If there was no LAME tag, a silent frame
    follows, which is dropped instead, so that no sound is lost.
    """
    form = part.form
    if form.layer != 3:
        return b""
    lame = part.xing.lame if part.xing is not None and len(part.xing.lame) == 24 else b""
    known = lame[:1].isalpha()
    if not known:
        lame = b"LAME".ljust(21, b"\0") + (form.samples - _DECODER_DELAY << 12 | _DECODER_DELAY).to_bytes(3, "big")
    elif part.xing is not None and part.xing.frames != part.frames:  # no padding at this end
        lame = lame[:22] + bytes((lame[22] & 0xF0, 0))
    head = bytes((part.head[0], part.head[1] | 1, part.head[2] & 0x0C | 0x90, part.head[3]))
    small = bytes((*head[:2], head[2] & 0x0C | 0x10, head[3]))
    frames = part.frames + (not known)
    has_count = (
        head + bytes(mp3_frames.side_size(form)) + b"Info" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big") + lame
    )
    return has_count.ljust(mp3_frames.frame_size(head), b"\0") + (
        b"" if known else small.ljust(mp3_frames.frame_size(small), b"\0")
    )


# --- Ogg -------------------------------------------------------------------------------------------------------------


def _survey_ogg(links: Sequence[ogg_pages.OggLink]) -> Survey:
    segments: list[Segment] = []
    gaps: list[Gap] = []
    before = 0.0
    for number, link in enumerate(links):
        start, mean = _stream_start(link)
        for run in link.runs:
            pieces = (*link.headers, *run.ranges)
            end = run.last - start if run.last is not None and not link.whole else None
            seekable_end = max(run.seekable_end - start, 0) if link.whole else 0
            segments.append(Segment(pieces, link.rate, link.channels, number, end, seekable_end))
        for place, run in enumerate(link.runs):
            last = link.runs[place - 1].last if place else start
            if not run.follows and run.first is not None and last is not None:
                lost = max(run.first - last - mean, 0) / link.rate
                gaps.append(Gap(before + (last - start) / link.rate, lost, len(segments) - len(link.runs) + place))
        ends = [run.last for run in link.runs if run.last is not None]
        before += max(ends[-1] - start, 0) / link.rate if ends else 0.0
        if not link.ends and number < len(links) - 1:
            gaps.append(Gap(before, None))
    plain = len(links) == 1 and links[0].whole
    return Survey(plain, tuple(segments), before, cut=not links[-1].ends, gaps=tuple(gaps), filled=True)


def _stream_start(link: ogg_pages.OggLink) -> tuple[int, float]:
    """Return the first sample of a stream, not 0 if recording began inside it, and the mean samples per page."""
    run = link.runs[0]
    if run.first is None or run.last is None:
        return 0, 0.0
    mean = sum((r.last or 0) - (r.first or 0) for r in link.runs) / max(link.pages - len(link.runs), 1)
    late = run.first > 8 * mean + 10 * link.rate
    return (max(round(run.first - mean), 0) if late else 0), mean


# --- FLAC ------------------------------------------------------------------------------------------------------------


def _survey_flac(window: Window, links: Sequence[flac_frames.FlacLink], deep: bool) -> Survey:
    segments: list[Segment] = []
    gaps: list[Gap] = []
    before, declared, plain, cut = 0.0, 0.0, len(links) == 1 and not deep, False
    for number, link in enumerate(links):
        end = link.frames[-1].first + link.frames[-1].samples
        even = all(a.first + a.samples == b.first for a, b in pairwise(link.frames)) and not link.frames[0].first
        fine = even and end == link.declared and flac_frames.intact_frames(window, link.frames[-1:])[0]
        plain &= fine
        good = [True] * len(link.frames) if fine and not deep else flac_frames.intact_frames(window, link.frames)
        good[-1] |= end == link.declared and not deep  # tags may follow it
        pieces: list[tuple[int, int]] = []
        stream: list[Piece] = []
        position = 0
        for frame, whole in zip(link.frames, good, strict=True):
            if not whole:
                continue
            if frame.first > position:
                gaps.append(Gap(before + position / link.rate, (frame.first - position) / link.rate))
                stream += [*pieces, flac_frames.silence(link, position, frame.first)]
                pieces = []
            append_range(pieces, frame.start, frame.stop)
            position = frame.first + frame.samples
        head = flac_frames.head(link, position)
        segments.append(Segment((head, *stream, *pieces), link.rate, link.channels, number))
        before += position / link.rate
        declared += max(link.declared, position) / link.rate
        cut |= position < link.declared
    return Survey(
        plain, tuple(segments), before, declared=declared if cut else None, cut=cut, gaps=tuple(gaps), filled=True
    )
