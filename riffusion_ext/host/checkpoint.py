"""Which checkpoint the host was told to use, without loading it: Forge loads one only when it is first needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modules import sd_models, shared

__all__ = ["chosen_checkpoint", "chosen_name"]


def chosen_checkpoint(title: str = "") -> tuple[list[str], list[str]]:
    """Return names and hashes of a checkpoint.

    Parameters
    ----------
    title
        The checkpoint's title; the host's choice when empty.
    """
    title, info = _chosen(title)
    if info is None:
        return [title], []
    hashes = [getattr(info, name, None) for name in ("sha256", "shorthash", "hash")]
    return [info.name_for_extra, title, Path(info.filename).stem], [str(value) for value in hashes if value]


def chosen_name() -> str:
    """Return the name of the host's choice as it stands in records; empty where there is none."""
    title, info = _chosen("")
    return title if info is None else str(info.name_for_extra)


def _chosen(title: str) -> tuple[str, Any]:
    title = title or str(getattr(shared.opts, "sd_model_checkpoint", "") or "")
    return title, getattr(sd_models, "checkpoint_aliases", {}).get(title)
