"""Choose the output file of each input."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from riffusion_ext.files.kinds import IMAGE_SUFFIXES
from riffusion_ext.files.result_names import result_names

__all__ = ["pair_with_targets", "source_name"]


def pair_with_targets(
    sources: Sequence[Path],
    folder: Path | None,
    ending: str,
    *,
    taken: Iterable[Path] = (),
    first: Callable[[Path], Path] = lambda path: path,
) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Pair input files with output files.

    Parameters
    ----------
    sources
        Input files.
    folder
        Output folder; None for the folder of each input.
    ending
        Ending of the output names.
    taken
        Paths that must not be used.
    first
        Maps an output to the first of its files, for outputs written as several files.

    Returns
    -------
    pairs
        (input, output) in the order of the inputs.
    notes
        Sentences about conflicting names.
    """
    targets, notes = result_names(
        sources,
        lambda source: folder or source.parent,
        ending,
        taken=taken,
        made_from=lambda path: source_name(first(path)),
    )
    return list(zip(sources, targets, strict=True)), notes


def source_name(path: Path) -> str | None:
    """Return the recorded source of an output file; "" if the file does not exist, None if it has no record."""
    with suppress(Exception):  # damaged, or written by another program
        if not path.is_file():
            return ""
        if path.suffix.lower() in IMAGE_SUFFIXES:
            return _image_source(path)
        from riffusion_ext.audio.io import read_tags
        from riffusion_ext.metadata import parse_audio_comment

        source = (parse_audio_comment(read_tags(path).get("comment", "")) or {}).get("source")
        return source if isinstance(source, str) and source else None
    return None


def _image_source(path: Path) -> str | None:
    from PIL import Image

    from riffusion_ext.files.regular import open_regular
    from riffusion_ext.metadata import read_source

    with open_regular(path) as file, Image.open(file) as image:
        return read_source(image) or None
