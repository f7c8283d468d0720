"""A small client of webui's API, for tests with a webui running on this machine."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from riffusion_ext.host.settings import DEFAULTS

WIDTH, HEIGHT = 128, 512  # narrow for speed; 512 rows, as the model generates
SECONDS = (WIDTH - 1) * 0.01

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Reply:
    """Reply of txt2img or img2img."""

    images: list[Image.Image]
    info: dict[str, Any]

    @property
    def riffusion(self) -> dict[str, Any]:
        return self.info["extra_generation_params"].get("riffusion", {"clips": [], "messages": []})

    @property
    def clips(self) -> list[dict[str, Any]]:
        return self.riffusion["clips"]

    @property
    def messages(self) -> str:
        return "\n".join(entry["text"] for entry in self.riffusion["messages"])


class Webui:
    """A running webui, and a folder of our own where it saves."""

    def __init__(self, name: str, url: str, folder: Path) -> None:
        self.name, self.url, self.folder = name, url.rstrip("/"), folder

    def call(self, route: str, body: object = None, *, api: str = "sdapi/v1") -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/{api}/{route}", data, {"Content-Type": "application/json"})
        with _opener.open(request, timeout=600) as answer:
            return json.loads(answer.read())

    def generate(self, *, riffusion: list[Any] | None = None, route: str = "txt2img", **fields: Any) -> Reply:
        body = {"prompt": "funky bass", "steps": 1, "width": WIDTH, "height": HEIGHT, "seed": 7, "save_images": True}
        body |= fields
        if riffusion is not None:
            body["alwayson_scripts"] = {"riffusion": {"args": riffusion}}
        reply = self.call(route, body)
        images = [Image.open(io.BytesIO(base64.b64decode(text))) for text in reply["images"]]
        return Reply(images, json.loads(reply["info"]))

    @contextmanager
    def options(self, **values: Any) -> Iterator[None]:
        # Forge lists none of the settings that extensions add, but takes them.
        before = DEFAULTS | self.call("options")
        self.call("options", values)
        try:
            yield
        finally:
            self.call("options", {key: before[key] for key in values})

    def files(self, ending: str) -> list[str]:
        return sorted(path.name for path in self.folder.rglob(f"*{ending}") if path.is_file())

    def seconds(self, name: str) -> float:
        (path,) = self.folder.rglob(name)
        with wave.open(str(path)) as sound:
            return sound.getnframes() / sound.getframerate()
