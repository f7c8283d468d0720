"""A fake SD.Next (058a7f0c): its differences from A1111 that concern the Script.

tests/conformance compares it with the sources.
"""

from __future__ import annotations

import json
import struct
import types
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.contract import fake_webui
from tests.contract.fake_webui import (
    CALLBACK_KINDS,
    FakeWebui,
    ImageSaveParams,
    PostprocessImageArgs,
    StableDiffusionProcessing,
)


class Script:
    """``setup`` is never called, and ``postprocess_image_after_composite`` does not exist."""

    parent = None
    name = None
    filename = None
    args_from = 0
    args_to = 0
    alwayson = False
    is_txt2img = False
    is_img2img = False
    api_info = None
    group = None
    infotext_fields = None
    paste_field_names = None
    section = None
    standalone = False
    external = False

    def title(self) -> str:
        raise NotImplementedError

    def ui(self, is_img2img: bool) -> Any: ...
    def show(self, is_img2img: bool) -> Any:
        return True

    def setup(self, p: Any, *args: Any) -> None: ...
    def before_process(self, p: Any, *args: Any) -> None: ...
    def process(self, p: Any, *args: Any) -> None: ...
    def postprocess_image(self, p: Any, pp: Any, *args: Any) -> None: ...
    def postprocess(self, p: Any, processed: Any, *args: Any) -> None: ...

    def elem_id(self, item_id: str) -> str:
        return f"script_{self.parent}_{self.title().lower()}_{item_id}"


class CheckpointInfo:
    def __init__(self, name: str, sha: str | None = None) -> None:
        self.filename = f"/models/{name}.safetensors"
        self.name = self.model_name = name
        self.sha256 = sha
        self.shorthash = sha[:10] if sha else None
        self.hash = None
        self.title = name if sha is None else f"{name} [{sha[:10]}]"


class Processed(fake_webui.Processed):
    def __init__(self, p: Any, images_list: list[Any], infotexts: list[str], index_of_first_image: int = 0) -> None:
        super().__init__(p, images_list, infotexts, index_of_first_image)
        self.comments = ""

    def js(self) -> str:
        return json.dumps({"extra_generation_params": self.extra_generation_params, "infotexts": self.infotexts})


class Log:
    """The host's logger, which keeps its messages."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def error(self, message: str) -> None:
        assert isinstance(message, str)
        self._lines.append(message)


class FakeSdNext(FakeWebui):
    """The whole host."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        data = self.opts.__dict__["data"]
        for name in ("return_mask", "return_mask_composite", "save_images_replace_action", "enable_pnginfo"):
            del data[name]
        data |= {"samples_format": "jpg", "image_metadata": True, "theme_type": "Standard"}
        info = CheckpointInfo("riffusion-tiny", "c283a100ba" + "0" * 54)
        data["sd_model_checkpoint"] = info.title
        self.listed = {info.title: info}  # type: ignore[dict-item]

    def modules(self) -> dict[str, types.ModuleType]:
        made = super().modules()

        def add_callback(callbacks: list[Any], fun: Any) -> None:
            callbacks.append(fun)

        def registrar(kind: str) -> Any:
            def register(callback: Any) -> None:
                self.callbacks.by_kind.setdefault(kind, []).append(callback)

            return register

        def change(module: str, gone: tuple[str, ...] = (), **names: Any) -> None:
            namespace = vars(made[f"modules.{module}"])
            for name in gone:
                del namespace[name]
            namespace.update(names)

        change("scripts", Script=Script)
        change("script_callbacks", **{kind: registrar(kind) for kind in CALLBACK_KINDS}, add_callback=add_callback)
        change("errors", ("report",), log=Log(self.log))
        change("infotext_utils", ("ParamBinding", "add_paste_fields", "register_paste_params_button"))
        change("paths_internal", ("data_path",))
        change("sd_models", ("checkpoint_aliases",))
        made["modules.shared"].cmd_opts.api = True  # type: ignore[attr-defined]
        made["modules.gr_tempdir"] = made.pop("modules.ui_tempdir")
        made["modules.paths"] = types.ModuleType("modules.paths")
        made["modules.paths"].data_path = str(self.folder)  # type: ignore[attr-defined]
        for name in ("gr_tempdir", "paths"):
            setattr(made["modules"], name, made[f"modules.{name}"])
        del made["modules"].ui_tempdir
        return made

    def start(self, script: Any, p: StableDiffusionProcessing, *args: Any) -> StableDiffusionProcessing:
        return p  # no setup

    def process_images(self, script: Any, p: StableDiffusionProcessing, *args: Any) -> Processed:  # type: ignore[override]
        script.before_process(p, *args)
        total = p.batch_size * p.n_iter
        p.all_prompts = [p.prompt] * total
        p.all_seeds = [p.seed + index for index in range(total)]
        script.process(p, *args)
        images: list[Any] = []
        infotexts: list[str] = []
        for iteration in range(p.n_iter):
            p.iteration = iteration
            batch = slice(iteration * p.batch_size, (iteration + 1) * p.batch_size)
            p.prompts, p.seeds = p.all_prompts[batch], p.all_seeds[batch]
            self.mid_run(iteration)
            for index in range(p.batch_size):
                p.batch_index = index
                images += self._one_image(script, p, args, infotexts, index)
        processed = Processed(p, images, infotexts)
        if not (self.state.interrupted or self.state.skipped):
            script.postprocess(p, processed, *args)
        return processed

    def _one_image(self, script: Any, p: Any, args: Any, infotexts: list[str], index: int) -> list[Any]:
        pp = PostprocessImageArgs(self.image(p.seeds[index], (p.width, p.height)))
        script.postprocess_image(p, pp, *args)
        text = self.infotext(p, p.prompts[index], p.seeds[index])
        if self.opts.samples_save:
            self._save(pp.image, p, text)
        pp.image.info["parameters"] = text
        infotexts.append(text)
        return [pp.image]

    def _save(self, image: Image.Image, p: Any, text: str, suffix: str = "") -> None:
        folder = self.folder / "outputs"
        folder.mkdir(exist_ok=True)
        ending = self.opts.samples_format
        path = folder / f"{len(list(folder.glob('*.' + ending))):05d}{suffix}.{ending}"
        params = ImageSaveParams(image, p, str(path), {"parameters": text})
        self.callbacks.fire("on_before_image_saved", params)
        arguments: dict[str, Any] = {}
        if self.opts.image_metadata and ending == "png":
            arguments["pnginfo"] = PngInfo()
            for key, value in params.pnginfo.items():
                arguments["pnginfo"].add_text(key, str(value))
        elif self.opts.image_metadata:
            arguments["exif"] = user_comment(params.pnginfo["parameters"])
        image.save(path, **arguments)
        image.already_saved_as = str(path)  # type: ignore[attr-defined]
        self.callbacks.fire("on_image_saved", params)

    @staticmethod
    def infotext(p: Any, prompt: str, seed: int) -> str:
        """Write the infotext as the host does: all extra parameters, callable or not."""
        values = {"Steps": 1, "Seed": seed, **p.extra_generation_params}
        return f"{prompt}\n" + ", ".join(f"{key}: {value}" for key, value in values.items() if value is not None)


def user_comment(text: str) -> bytes:
    """Return the EXIF block that piexif makes of an image's text."""
    comment = b"UNICODE\0" + text.encode("utf-16-be")
    inner = struct.pack(">HHHII", 1, 0x9286, 7, len(comment), 40) + comment
    return b"Exif\0\0MM\0*" + struct.pack(">I", 8) + struct.pack(">HHHIII", 1, 0x8769, 4, 1, 26, 0) + inner
