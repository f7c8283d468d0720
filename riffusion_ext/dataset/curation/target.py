"""Report a training set that has fewer windows than its target, and why."""

from __future__ import annotations

from riffusion_ext.dataset.manifest import Manifest

__all__ = ["shortfall"]

_REASON_PHRASES = {
    "intro": "as beginnings of songs",
    "ending": "as endings of songs",
    "silence": "as silence",
    "transition": "for a transition",
    "duplicate": "as duplicates",
    "clipping": "as clipped",
    "broken": "as broken",
}


def shortfall(manifest: Manifest, target: int | None) -> list[str]:
    """Report in one sentence that fewer windows are kept than the target, and which check rejected most.

    If the songs have fewer windows than the target, kept or not, it says so, too: no other limit would help.

    Parameters
    ----------
    manifest
        The training set.
    target
        Number of windows requested; None for all.

    Returns
    -------
    list of str
        The sentence; empty if there are enough windows.
    """
    kept = len(manifest.kept)
    if target is None or kept >= target:
        return []
    verb = "window is" if kept == 1 else "windows are"
    text = f"{kept:,} {verb} kept, {target:,} {'was' if target == 1 else 'were'} wanted"
    counts = manifest.counts()
    counts.pop("surplus", None)  # some were chosen by an earlier run, and rejected by hand since
    if not counts:
        return [f"{text}; the songs have no more"]
    kind, count = next(iter(counts.items()))
    text = f"{text}; the most were left out {_REASON_PHRASES.get(kind, kind)} ({count:,})"
    available = len(manifest.windows)
    return [text if available >= target else f"{text}, and the songs have no more than {available:,} in all"]
