"""Files of clips store how they were made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip, read_tags, save_clip
from riffusion_ext.errors import RiffusionError
from riffusion_ext.metadata import parse_audio_comment
from riffusion_ext.params import PRESETS

CLIP = AudioClip(np.zeros((1, 100), np.float32), 44100)
PARAMS = PRESETS["riffusion-v1"]


def test_title_parameters_and_recipe_are_in_the_tags(tmp_path: Path) -> None:
    path = save_clip(CLIP, tmp_path / "a.wav", PARAMS, max_value=2.5, title="sax", recipe={"seed": 7})
    tags = read_tags(path)
    record = parse_audio_comment(tags["comment"])
    assert tags["title"] == "sax"
    assert record is not None
    assert (record["seed"], record["max_value"]) == (7, 2.5)


def test_recipe_that_json_cannot_represent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RiffusionError, match="finite numbers"):
        save_clip(CLIP, tmp_path / "a.wav", PARAMS, recipe={"gain": float("nan")})
    assert not (tmp_path / "a.wav").exists()
