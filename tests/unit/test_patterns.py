"""Every regular expression of the product takes time proportional to the length of the text."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit import redos

PATIENCE = 300.0
"""Seconds for what takes about ten; an expression whose work grows with the square of a text's length takes hours."""


def tried(*expressions: str, patience: float) -> str:
    """Try expressions in another process, because a search cannot be interrupted; return those tried, latest first."""
    environment = {**os.environ, "PYTHONPATH": str(redos.ROOT)}
    command = [sys.executable, str(Path(redos.__file__)), *expressions]
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=patience,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        lines = (error.stdout or b"").decode().splitlines()
        pytest.fail(f"it takes too long: {lines[-1] if lines else 'to start'}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


def test_every_regular_expression_takes_linear_time() -> None:
    count = int(tried(patience=PATIENCE).split()[0])
    assert count >= 40


@pytest.mark.parametrize(
    "expression",
    [r"(\w[\w \-/]+): ([^,]+)(?:, |$)", r"\s*,(?:\s*,)*", r"[\\/]+$", r"(a+)+$", r"(?:\d+)*x"],
    ids=["a name", "spaces", "the end", "nested", "digits"],
)
def test_slow_regular_expressions_are_detected(expression: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="too long"):
        tried(expression, patience=6.0)


def test_expressions_built_at_run_time_are_known() -> None:
    """They are checked by hand: escaped names, and disjoint classes of characters."""
    made = {where.partition(":")[0] for where, expression, _, _ in redos.expressions() if not expression}
    assert made == {
        "riffusion_ext/api/access/allow_list.py",  # the user's own, for origins of 300 characters at most
        "riffusion_ext/audio/formats/mp3_frames.py",
        "riffusion_ext/convert/to_images.py",
        "riffusion_ext/dataset/captions/template.py",
        "riffusion_ext/dataset/captions/mojibake.py",
    }
