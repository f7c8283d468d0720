"""The selected checkpoint, without loading it: Forge loads a checkpoint only when it is first needed.

Until the user selects one, the setting is None in reForge, and in earlier versions of Forge. Then the host uses the
first one of its list.
"""

from __future__ import annotations

from pathlib import Path

from modules import sd_models, shared

from riffusion_ext.host.base import HostObject

__all__ = ["chosen_checkpoint", "chosen_name"]

_UNSET = ("", "None", "none")
"""Values of the setting that mean no choice, beside None."""


def chosen_checkpoint(title: str = "") -> tuple[list[str], list[str]]:
    """Return names and hashes of a checkpoint.

    Parameters
    ----------
    title
        Title of the checkpoint; "" for the selected one.
    """
    title, info = _chosen(title)
    if info is None:
        return [title], []
    hashes = [getattr(info, name, None) for name in ("sha256", "shorthash", "hash")]
    return [_name_of(info), title, Path(info.filename).stem], [str(value) for value in hashes if value]


def chosen_name() -> str:
    """Return the name of the selected checkpoint, as in infotexts; "" if there is none."""
    title, info = _chosen("")
    return title if info is None else _name_of(info)


def _chosen(title: str) -> tuple[str, HostObject]:
    title = title or str(getattr(shared.opts, "sd_model_checkpoint", None) or "")
    if title not in _UNSET:
        return title, _find(title)
    info = _loaded() or next(iter(_checkpoints().values()), None)
    return str(getattr(info, "title", "")), info


def _find(title: str) -> HostObject:
    return getattr(sd_models, "checkpoint_aliases", {}).get(title) or _checkpoints().get(title)


def _checkpoints() -> dict[str, HostObject]:
    return getattr(sd_models, "checkpoints_list", {})


def _loaded() -> HostObject:
    """Return the checkpoint info of the loaded model. Reading ``shared.sd_model`` would load one."""
    model = getattr(getattr(sd_models, "model_data", None), "sd_model", None)
    return getattr(model, "sd_checkpoint_info", None)


def _name_of(info: HostObject) -> str:
    # model_name is the name in SD.Next's infotexts.
    return str(getattr(info, "name_for_extra", None) or getattr(info, "model_name", None) or getattr(info, "title", ""))
