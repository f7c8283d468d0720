"""Running webuis to test with, named by environment variables.

RIFFUSION_A1111_URL, RIFFUSION_FORGE_URL and RIFFUSION_REFORGE_URL are addresses of hosts that run on this machine with
``--api``, with this checkout among their extensions and a Riffusion checkpoint (of any quality) loaded. CONTRIBUTING
says how to start them.
"""

from __future__ import annotations

import os
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.client import Webui

HOSTS = {"a1111": "RIFFUSION_A1111_URL", "forge": "RIFFUSION_FORGE_URL", "reforge": "RIFFUSION_REFORGE_URL"}


@pytest.fixture(params=sorted(HOSTS))
def webui(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Webui]:
    url = os.environ.get(HOSTS[request.param], "")
    if not url:
        pytest.skip(f"{HOSTS[request.param]} is not set: no running {request.param} to test against")
    host = Webui(request.param, url, tmp_path)
    try:
        host.call("options")
    except (urllib.error.URLError, OSError) as error:
        pytest.fail(f"{HOSTS[request.param]}={url} does not answer: {error}")
    with host.options(
        outdir_txt2img_samples=str(tmp_path / "txt"),
        outdir_img2img_samples=str(tmp_path / "img"),
        outdir_txt2img_grids=str(tmp_path / "grid"),
        outdir_img2img_grids=str(tmp_path / "grid"),
        samples_format="png",
        return_grid=True,
        return_mask=False,
        return_mask_composite=False,
        save_images_add_number=True,
        samples_filename_pattern="",
        save_images_replace_action="Replace",
    ):
        yield host
