"""The Script in the fake webui, ready to generate."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.contract.fake_webui import FakeWebui, StableDiffusionProcessing


@dataclass
class Bench:
    """The fake host with our Script."""

    host: FakeWebui
    script: Any

    def job(self, **fields: Any) -> StableDiffusionProcessing:
        return StableDiffusionProcessing(**fields)

    def generate(self, *args: Any, **fields: Any) -> tuple[Any, dict[str, Any]]:
        p = self.host.start(self.script, self.job(**fields), *args)
        processed = self.host.process_images(self.script, p, *args)
        return processed, dict(processed.extra_generation_params.get("riffusion", {"clips": [], "messages": []}))


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeWebui]:
    with FakeWebui(tmp_path).installed() as host:
        rng = np.random.default_rng(0)
        host.image = lambda seed, size: Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), dtype=np.uint8))
        yield host


@pytest.fixture
def bench(fake: FakeWebui) -> Bench:
    from riffusion_ext.host import webui
    from riffusion_ext.host.script import RiffusionScript

    webui.register()
    fake.callbacks.fire("on_ui_settings")
    script = RiffusionScript()
    assert script.show(False) is script.show(True) is sys.modules["modules.scripts"].AlwaysVisible
    return Bench(fake, script)
