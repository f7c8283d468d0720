"""Which checkpoints look like Riffusion models."""

from __future__ import annotations

import pytest

from riffusion_ext.host.model.identity import KNOWN_HASHES, looks_like_riffusion, patterns_from_text


@pytest.mark.parametrize(
    ("names", "hashes", "expected"),
    [
        (["riffusion-model-v1.ckpt [99a6eb51c1]"], [], True),
        (["Riffusion_Finetune"], [], True),
        (["renamed.ckpt [99a6eb51c1]"], [], True),
        (["renamed.ckpt [3aafa6fe]"], [], True),
        (["renamed"], [KNOWN_HASHES[0]], True),
        (["renamed"], ["99A6EB51"], True),
        (["v1-5-pruned-emaonly.safetensors [6ce0161689]"], ["6ce0161689"], False),
        (["x"], ["99a6"], False),
        (["[]"], ["", "[]"], False),
        ([], [], False),
        (["", None], [None], False),
    ],
)
def test_riffusion_models_are_recognised_by_name_or_hash(names: list[str], hashes: list[str], expected: bool) -> None:
    assert looks_like_riffusion(names, hashes) is expected


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("riffusion, my-music", "My-Music-v2", True),
        ("riffusion\nmusic-*-v2", "music-jazz-v2", True),
        ("music-*-v2", "music-jazz-v3", False),
        ("a.b", "axb", False),
        ("[x]", "model [x]", True),
        (" , ,", "riffusion", False),
    ],
)
def test_user_patterns_determine_riffusion_models(text: str, name: str, expected: bool) -> None:
    assert looks_like_riffusion([name], (), patterns_from_text(text)) is expected
