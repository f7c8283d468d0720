"""The numeric tests repeated for each older instruction set of this processor.

torch chooses its kernels by the processor, and each rounds differently. ``ATEN_CPU_CAPABILITY`` overrides the choice.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

NAMES = ("DEFAULT", "AVX2", "AVX512")  # from the oldest to the newest, as torch calls them
HERE = Path(__file__).parent
TESTS = ("encode", "mel", "stft", "codec")
INVERSION = ("gain", "griffin_lim", "loop", "phase", "resample")
LONG = "memory_of_a_long_image or any_valid_parameters or every_width"


@pytest.mark.parametrize("name", NAMES[:-1])
def test_spectrogram_tests_pass_with_older_cpu_instructions(name: str) -> None:
    present = torch.backends.cpu.get_cpu_capability()
    if present not in NAMES or NAMES.index(present) <= NAMES.index(name):
        pytest.skip(f"this run uses {present} itself")
    files = [str(HERE / f"test_{part}.py") for part in TESTS]
    files += [str(HERE / "inversion" / f"test_{part}.py") for part in INVERSION]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", f"not ({LONG})"]
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": name.lower()}
    done = subprocess.run(command, env=environment, cwd=HERE.parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
