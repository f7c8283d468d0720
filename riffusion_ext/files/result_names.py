"""Choose the file names of results.

Each input has candidate names, from short to long: ``song``, ``song_ogg``, ``song_ogg_album``, ``song_ogg_3f2a91c0``.
It gets the first, unless another input of the run has the same: then both get the next one. So the result does not
depend on the order of the inputs. An existing file that records its input stays the result of that input. Standard
library only.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from riffusion_ext.files.paths import shorten_name

__all__ = ["names_of", "result_names"]

_MAX_NOTES = 3

MadeFrom = Callable[[Path], "str | None"]
"""Returns the name of the input of a file; "" if the file does not exist, None if it does not record it."""


def names_of(source: Path, ending: str) -> list[str]:
    """Return the candidate names for the result of an input, the usual one first. They depend only on its path."""
    kind = f"{source.stem}_{source.suffix.strip(' .').lower()}"
    folder = source.parent.name
    number = zlib.crc32(source.as_posix().encode("utf-8", "surrogateescape"))
    stems = [source.stem, kind, *([f"{kind}_{folder}"] if folder else []), f"{kind}_{number:08x}"]
    return [shorten_name(stem, ending) for stem in stems]


def result_names(
    sources: Sequence[Path],
    folder: Callable[[Path], Path],
    ending: str,
    *,
    taken: Iterable[Path] = (),
    made_from: MadeFrom = lambda path: "",
) -> tuple[list[Path], list[str]]:
    """Choose unique names for the results of a run: ``a.png`` and ``a.jpg`` must not both become ``a.wav``.

    Parameters
    ----------
    sources
        The inputs.
    folder
        Returns the folder for the result of an input.
    ending
        End of all names.
    taken
        Paths that must not be used.
    made_from
        Returns the input of an existing file.

    Returns
    -------
    targets
        One path for each input.
    notes
        Sentences about names that several inputs share.
    """
    names = [[folder(source) / name for name in names_of(source, ending)] for source in sources]
    forbidden = {_key(path) for path in taken}
    levels = _levels([[_key(path) for path in paths] for paths in names], forbidden)
    targets = [paths[level] for paths, level in zip(names, levels, strict=True)]
    notes: list[str] = []
    used = Counter(map(_key, targets)) + Counter(forbidden)
    for number, source in enumerate(sources):
        used[_key(targets[number])] -= 1
        target = _choose_target(source, names[number], levels[number], used, made_from)
        if target != targets[number] and target not in names[number][: levels[number]]:
            notes.append(f"{targets[number].name} belongs to another input; that of {source.name} is {target.name}")
        targets[number] = target
        used[_key(target)] += 1
    return targets, [*_shared_notes(sources, names, levels, targets), *_limit_notes(notes)]


def _limit_notes(notes: list[str]) -> list[str]:
    more = len(notes) - _MAX_NOTES
    return notes if more <= 0 else [*notes[:_MAX_NOTES], f"{more} more names belong to other inputs"]


def _key(path: Path) -> str:
    return str(path).casefold()  # many file systems ignore case


def _levels(keys: Sequence[Sequence[str]], forbidden: set[str]) -> list[int]:
    """Return the index of the name that each input gets, so that all names are unique."""
    levels = [0] * len(keys)
    while True:
        present = [own[level] for own, level in zip(keys, levels, strict=True)]
        counts = Counter(present)
        shared = [
            number
            for number, key in enumerate(present)
            if (counts[key] > 1 or key in forbidden) and levels[number] + 1 < len(keys[number])
        ]
        if not shared:
            return levels
        for number in shared:
            levels[number] += 1


def _choose_target(source: Path, paths: Sequence[Path], level: int, used: Counter[str], made_from: MadeFrom) -> Path:
    """Return the target of an input: the file that was made from it, else the first free name."""
    free = [path for path in paths if not used[_key(path)]]
    for path in free:
        if made_from(path) == source.name:
            return path
    for path in paths[level:]:
        if path in free and made_from(path) in ("", None):
            return path
    number = 2
    last = paths[-1]
    while used[_key(last)]:  # one file under two names
        last = paths[-1].with_name(shorten_name(f"{paths[-1].stem}-{number}", paths[-1].suffix))
        number += 1
    return last


def _shared_notes(
    sources: Sequence[Path], names: Sequence[Sequence[Path]], levels: Sequence[int], targets: Sequence[Path]
) -> list[str]:
    groups: dict[str, list[int]] = {}
    for number, level in enumerate(levels):
        if level:
            groups.setdefault(_key(names[number][0]), []).append(number)
    notes = []
    for group in list(groups.values())[:_MAX_NOTES]:
        inputs = ", ".join(sources[number].name for number in group[:_MAX_NOTES])
        assigned = ", ".join(targets[number].name for number in group[:_MAX_NOTES])
        more = ", ..." if len(group) > _MAX_NOTES else ""
        notes.append(
            f"{names[group[0]][0].name} would be the result of {inputs}{more}; they are called {assigned}{more}"
        )
    if len(groups) > _MAX_NOTES:
        notes.append(
            f"{len(groups) - _MAX_NOTES} more names would be those of several results, and are made longer too"
        )
    return notes
