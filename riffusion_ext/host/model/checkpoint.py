"""Which checkpoint the host works with, without loading it: Forge loads one only when it is first needed.

Until the user chooses one, reForge's setting is None, and Forge's was; the host takes the first of its list then.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modules import sd_models, shared

__all__ = ["chosen_checkpoint", "chosen_name"]

_UNSET = ("", "None", "none")
"""What stands for no choice, beside None."""


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
    return [_name_of(info), title, Path(info.filename).stem], [str(value) for value in hashes if value]


def chosen_name() -> str:
    """Return the name of the host's choice as it stands in records; empty where there is none."""
    title, info = _chosen("")
    return title if info is None else _name_of(info)


def _chosen(title: str) -> tuple[str, Any]:
    title = title or str(getattr(shared.opts, "sd_model_checkpoint", None) or "")
    if title not in _UNSET:
        return title, _find(title)
    info = _loaded() or next(iter(_checkpoints().values()), None)
    return str(getattr(info, "title", "")), info


def _find(title: str) -> Any:
    return getattr(sd_models, "checkpoint_aliases", {}).get(title) or _checkpoints().get(title)


def _checkpoints() -> dict[str, Any]:
    return getattr(sd_models, "checkpoints_list", {})


def _loaded() -> Any:
    """Return what is known of the model in memory. ``shared.sd_model`` would load one where there is none."""
    model = getattr(getattr(sd_models, "model_data", None), "sd_model", None)
    return getattr(model, "sd_checkpoint_info", None)


def _name_of(info: Any) -> str:
    # The latter in SD.Next, where it is the name in its records.
    return str(getattr(info, "name_for_extra", None) or getattr(info, "model_name", None) or getattr(info, "title", ""))
