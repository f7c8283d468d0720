"""A fake of webui's ``modules`` that has what we use and nothing else.

Every name and every signature here is one that A1111 v1.10.1, Forge and reForge have; tests/conformance holds this
file against their sources. An unknown name raises, as does a wrong argument, an unknown field of a job, or a hook out
of order: a fake that takes anything would prove nothing.
"""

from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

OUR_MODULES = tuple(
    f"riffusion_ext.host.{name}"
    for name in ("webui", "script", "status", "model.generation", "model.checkpoint", "routes", "allow_lists")
)


# -- modules.scripts


class Script:
    name = None
    section = None
    filename = None
    args_from = None
    args_to = None
    alwayson = False
    is_txt2img = False
    is_img2img = False
    tabname = None
    group = None
    create_group = True
    infotext_fields = None
    paste_field_names = None
    api_info = None
    setup_for_ui_only = False
    controls = None

    def title(self) -> str:
        raise NotImplementedError

    def ui(self, is_img2img: bool) -> Any: ...
    def show(self, is_img2img: bool) -> Any:
        return True

    def setup(self, p: Any, *args: Any) -> None: ...
    def before_process(self, p: Any, *args: Any) -> None: ...
    def process(self, p: Any, *args: Any) -> None: ...
    def postprocess_image(self, p: Any, pp: Any, *args: Any) -> None: ...
    def postprocess_image_after_composite(self, p: Any, pp: Any, *args: Any) -> None: ...
    def postprocess(self, p: Any, processed: Any, *args: Any) -> None: ...

    def elem_id(self, item_id: str) -> str:
        return f"script_{'img2img' if self.is_img2img else 'txt2img'}_{self.title().lower()}_{item_id}"


class PostprocessImageArgs:
    def __init__(self, image: Image.Image) -> None:
        self.image = image


AlwaysVisible = object()


# -- modules.script_callbacks


class Callbacks:
    """Registered callbacks by kind of event."""

    def __init__(self) -> None:
        self.by_kind: dict[str, list[Callable[..., Any]]] = {}

    def registrar(self, kind: str) -> Callable[..., None]:
        def register(callback: Callable[..., Any], *, name: str | None = None) -> None:
            assert callable(callback)
            self.by_kind.setdefault(kind, []).append(callback)

        return register

    def lists(self) -> dict[str, list[Callable[..., Any]]]:
        return {kind.replace("on_", "callbacks_", 1): self.by_kind.setdefault(kind, []) for kind in CALLBACK_KINDS}

    def forget(self) -> None:
        for callbacks in self.by_kind.values():
            callbacks.clear()

    def fire(self, kind: str, *args: Any, **kwargs: Any) -> list[Any]:
        return [callback(*args, **kwargs) for callback in self.by_kind.get(kind, [])]


class ImageSaveParams:
    def __init__(self, image: Image.Image, p: Any, filename: str, pnginfo: dict[str, Any]) -> None:
        self.image, self.p, self.filename, self.pnginfo = image, p, filename, pnginfo


CALLBACK_KINDS = (
    "on_ui_settings",
    "on_before_ui",
    "on_after_component",
    "on_before_image_saved",
    "on_image_saved",
    "on_ui_tabs",
    "on_app_started",
)


# -- modules.shared


class OptionInfo:
    def __init__(
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        onchange: Any = None,
        section: Any = None,
        refresh: Any = None,
        comment_before: str = "",
        comment_after: str = "",
        infotext: str | None = None,
        restrict_api: bool = False,
        category_id: str | None = None,
    ) -> None:
        self.default, self.label, self.component, self.component_args = default, label, component, component_args
        self.section, self.comment_after = section, comment_after

    def info(self, info: str) -> OptionInfo:
        self.comment_after += info
        return self


class Options:
    """Settings; an unknown one raises AttributeError, as in the host."""

    def __init__(self, **data: Any) -> None:
        self.__dict__["data"] = data
        self.__dict__["data_labels"] = {}

    def add_option(self, key: str, info: OptionInfo) -> None:
        self.data_labels[key] = info
        self.data.setdefault(key, info.default)

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["data"][name]
        except KeyError:
            raise AttributeError(f"no setting {name!r}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.data:
            raise AttributeError(f"no setting {name!r}")
        self.data[name] = value


class State:
    __slots__ = ("interrupted", "job", "job_timestamp", "sampling_step", "sampling_steps", "skipped", "textinfo")

    def __init__(self) -> None:
        self.interrupted, self.skipped, self.textinfo, self.job_timestamp = False, False, None, "20240101000000"
        self.job = ""
        self.sampling_step = self.sampling_steps = 0

    def interrupt(self) -> None:
        self.interrupted = True


class CheckpointInfo:
    def __init__(self, name: str, sha256: str | None = None) -> None:
        self.filename = f"/models/{name}.safetensors"
        self.title = name if sha256 is None else f"{name} [{sha256[:10]}]"
        self.name_for_extra = name
        self.sha256 = sha256
        self.shorthash = sha256[:10] if sha256 else None
        self.hash = "d4317e99"


# -- modules.infotext_utils


class ParamBinding:
    def __init__(
        self,
        paste_button: Any,
        tabname: str,
        source_text_component: Any = None,
        source_image_component: Any = None,
    ) -> None:
        self.paste_button, self.tabname, self.source_image_component = paste_button, tabname, source_image_component
        self.source_text_component = source_text_component


# -- modules.processing


class StableDiffusionProcessing:
    """A job. Additional fields must have our prefix; fields not set yet are None, as in the host."""

    width: int
    height: int
    batch_size: int
    n_iter: int
    extra_generation_params: dict[str, Any]
    comments: dict[str, int]
    iteration: int
    batch_index: int
    all_prompts: list[str]
    all_seeds: list[int]
    prompts: list[str]
    seeds: list[int]
    sd_model_name: str
    sd_model_hash: str
    enable_hr: bool
    mask_for_overlay: Any
    init_images: list[Any] | None
    script_args: Any
    override_settings: dict[str, Any]

    def __init__(self, prompt: str = "funky bass", seed: int = 1, **fields: Any) -> None:
        values: dict[str, Any] = dict.fromkeys(StableDiffusionProcessing.__annotations__)
        values |= {"width": 64, "height": 512, "batch_size": 1, "n_iter": 1, "enable_hr": False, "comments": {}}
        values |= {"override_settings": {}, "extra_generation_params": {}, "prompt": prompt, "seed": seed}
        self.__dict__.update(values | fields)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__dict__ and not name.startswith("_riffusion"):
            raise AttributeError(f"the host's job has no field {name!r}")
        self.__dict__[name] = value


class Processed:
    def __init__(self, p: Any, images_list: list[Any], infotexts: list[str], index_of_first_image: int = 0) -> None:
        self.images = images_list
        self.infotexts = infotexts
        self.index_of_first_image = index_of_first_image
        self.comments = "".join(f"{comment}\n" for comment in p.comments)
        self.all_prompts, self.all_seeds = p.all_prompts, p.all_seeds
        self.extra_generation_params = p.extra_generation_params

    def js(self) -> str:
        obj = {"extra_generation_params": self.extra_generation_params, "infotexts": self.infotexts}
        return json.dumps(obj, default=lambda o: None)


class AxisOption:
    def __init__(
        self,
        label: str,
        type: Any,
        apply: Callable[..., None],
        format_value: Any = None,
        confirm: Any = None,
        cost: float = 0.0,
        choices: Any = None,
        prepare: Any = None,
    ) -> None:
        self.label, self.type, self.apply, self.confirm, self.choices = label, type, apply, confirm, choices


def _forget() -> None:
    """Unload the host's modules, and ours that imported them."""
    import riffusion_ext.host

    for name in [*OUR_MODULES, *(name for name in sys.modules if name == "modules" or name.startswith("modules."))]:
        sys.modules.pop(name, None)
    for name in OUR_MODULES:
        # "from package import module" asks the package before sys.modules.
        package, _, module = name.rpartition(".")
        vars(sys.modules.get(package, riffusion_ext.host)).pop(module, None)


class FakeWebui:
    """The whole host: its modules, and Generate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.callbacks = Callbacks()
        self.opts = Options(
            sd_model_checkpoint="riffusion-tiny.safetensors [c283a100ba]",
            return_mask=False,
            return_mask_composite=False,
            save_images_replace_action="Replace",
            temp_dir="",
            samples_save=True,
            samples_format="png",
            enable_pnginfo=True,
        )
        self.state = State()
        self.log: list[str] = []
        self.served: list[str] = []
        self.demo = types.SimpleNamespace()
        self.paste_fields: dict[str, Any] = {}
        self.bindings: list[ParamBinding] = []
        self.aliases = {"riffusion-tiny.safetensors [c283a100ba]": CheckpointInfo("riffusion-tiny")}
        self.aliases["riffusion-tiny"] = next(iter(self.aliases.values()))
        self.listed = {info.title: info for info in self.aliases.values()}
        self.loaded: Any = None
        self.image: Callable[[int, tuple[int, int]], Image.Image] = lambda seed, size: Image.new("RGB", size, "gray")
        self.mid_run: Callable[[int], None] = lambda index: None

    def modules(self) -> dict[str, types.ModuleType]:
        def report(message: str, *, exc_info: bool = False) -> None:
            if exc_info:
                assert sys.exc_info()[0] is not None, "a traceback was requested outside of an except block"
            self.log.append(message)

        def add_callback(
            callbacks: list[Any], fun: Any, *, name: Any = None, category: str = "unknown", filename: Any = None
        ) -> None:
            assert callable(fun)
            assert callbacks is self.callbacks.by_kind[f"on_{category}"]
            assert Path(filename).is_file()
            callbacks.append(fun)

        def register_tmp_file(gradio: Any, filename: str) -> None:
            assert gradio is self.demo
            assert isinstance(filename, str)
            self.served.append(filename)

        def add_paste_fields(tabname: str, init_img: Any, fields: Any, override_settings_component: Any = None) -> None:
            self.paste_fields[tabname] = {"init_img": init_img, "fields": fields}

        def register_paste_params_button(binding: ParamBinding) -> None:
            self.bindings.append(binding)

        contents: dict[str, dict[str, Any]] = {
            "scripts": {
                "Script": Script,
                "AlwaysVisible": AlwaysVisible,
                "scripts_data": [],
            },
            "script_callbacks": {
                **{kind: self.callbacks.registrar(kind) for kind in CALLBACK_KINDS},
                "callback_map": self.callbacks.lists(),
                "add_callback": add_callback,
            },
            "shared": {
                "opts": self.opts,
                "state": self.state,
                "OptionInfo": OptionInfo,
                "demo": self.demo,
                "cmd_opts": types.SimpleNamespace(hide_ui_dir_config=False, api=False, api_auth=None, subpath=None),
            },
            "devices": {"device": "cpu"},
            "errors": {"report": report},
            "paths_internal": {"data_path": str(self.folder)},
            "ui_tempdir": {"register_tmp_file": register_tmp_file},
            "infotext_utils": {
                "ParamBinding": ParamBinding,
                "add_paste_fields": add_paste_fields,
                "register_paste_params_button": register_paste_params_button,
            },
            "sd_models": {
                "checkpoint_aliases": self.aliases,
                "checkpoints_list": self.listed,
                "model_data": types.SimpleNamespace(sd_model=self.loaded),
            },
        }
        package = types.ModuleType("modules")
        package.__path__ = []
        made = {"modules": package}
        for name, names in contents.items():
            module = types.ModuleType(f"modules.{name}")
            module.__dict__.update(names)
            setattr(package, name, module)
            made[module.__name__] = module
        return made

    @contextmanager
    def installed(self) -> Iterator[FakeWebui]:
        """Install the fake as ``modules``, with our own host modules reloaded."""
        _forget()
        sys.modules.update(self.modules())
        try:
            yield self
        finally:
            _forget()

    # -- Generate, in the host's order of events

    def start(self, script: Script, p: StableDiffusionProcessing, *args: Any) -> StableDiffusionProcessing:
        script.setup(p, *args)
        return p

    def process_images(self, script: Script, p: StableDiffusionProcessing, *args: Any) -> Processed:
        script.before_process(p, *args)
        total = p.batch_size * p.n_iter
        chosen = p.override_settings.get("sd_model_checkpoint", self.opts.sd_model_checkpoint)
        p.sd_model_name = "riffusion-tiny" if "riffusion" in chosen else "photo-model"
        p.sd_model_hash = "c283a100ba"
        p.all_prompts = p.prompt if isinstance(p.prompt, list) else [p.prompt] * total
        p.all_seeds = [p.seed + index for index in range(total)]
        script.process(p, *args)
        images: list[Any] = []
        infotexts: list[str] = []
        for iteration in range(p.n_iter):
            self.state.skipped = False
            if self.state.interrupted:
                break
            p.iteration = iteration
            batch = slice(iteration * p.batch_size, (iteration + 1) * p.batch_size)
            p.prompts, p.seeds = p.all_prompts[batch], p.all_seeds[batch]
            self.mid_run(iteration)
            for index in range(p.batch_size):
                p.batch_index = index
                images += self._one_image(script, p, args, infotexts, index)
        first = 0
        if len(images) > 1:
            grid = Image.new("RGB", (8, 8))
            text = self.infotext(p, p.all_prompts[0], p.all_seeds[0])  # that of the first image
            if self.opts.enable_pnginfo:
                grid.info["parameters"] = text
            images.insert(0, grid)
            infotexts.insert(0, text)
            first = 1
        processed = Processed(p, images, infotexts, first)
        script.postprocess(p, processed, *args)
        return processed

    def _one_image(self, script: Script, p: Any, args: Any, infotexts: list[str], index: int) -> list[Any]:
        size = (p.width // 8 * 8, p.height // 8 * 8)  # multiples of a latent cell
        size = (size[0] * 2, size[1] * 2) if p.enable_hr else size
        pp = PostprocessImageArgs(self.image(p.seeds[index], size))
        script.postprocess_image(p, pp, *args)
        image = pp.image
        if p.mask_for_overlay is not None:
            image = image.convert("RGBA").convert("RGB")  # stands for the overlay, which makes a new image
        pp = PostprocessImageArgs(image)
        script.postprocess_image_after_composite(p, pp, *args)
        image = pp.image
        text = self.infotext(p, p.prompts[index], p.seeds[index])
        if self.opts.samples_save:
            self._save(image, p, text)
        infotexts.append(text)
        if self.opts.enable_pnginfo:
            image.info["parameters"] = text
        images: list[Any] = [image]
        if p.mask_for_overlay is not None:
            self._save(Image.new("RGB", size), p, text, "-mask")
            images += [Image.new("RGB", size)] * bool(self.opts.return_mask)
            images += [Image.new("RGBA", size)] * bool(self.opts.return_mask_composite)
        return images

    def _save(self, image: Image.Image, p: Any, text: str, suffix: str = "") -> None:
        folder = self.folder / "outputs"
        folder.mkdir(exist_ok=True)
        ending = self.opts.samples_format
        path = folder / f"{len(list(folder.glob('*[0-9].' + ending))):05d}{suffix}.{ending}"
        params = ImageSaveParams(image, p, str(path), {"parameters": text})
        self.callbacks.fire("on_before_image_saved", params)
        texts = PngInfo()
        for key, value in params.pnginfo.items() if self.opts.enable_pnginfo else ():
            texts.add_text(key, str(value))
        image.save(path, **({"pnginfo": texts} if ending == "png" else {}))
        image.already_saved_as = str(path)  # type: ignore[attr-defined]
        self.callbacks.fire("on_image_saved", params)

    @staticmethod
    def infotext(p: Any, prompt: str, seed: int) -> str:
        values: dict[str, Any] = {"Steps": 1, "Seed": seed, **p.extra_generation_params}
        for key, value in values.items():
            if isinstance(value, list):
                values[key] = value[0]
            elif callable(value):
                values[key] = value(p=p, index=0)
        return f"{prompt}\n" + ", ".join(f"{key}: {value}" for key, value in values.items() if value is not None)

    def xyz(self, script: Script, p: StableDiffusionProcessing, cells: list[dict[str, Any]], *args: Any) -> Processed:
        """Run one job per cell on shallow copies of ``p``; the result is a copy of the first cell's."""
        template: Processed | None = None
        for cell in cells:
            job = copy(p)
            for name, value in cell.items():
                setattr(job, name, value)
            done = self.process_images(script, job, *args)
            if template is None:
                template = copy(done)
                template.images, template.infotexts = [], []
            template.images.append(done.images[0])
            template.infotexts.append(done.infotexts[0])
        assert template is not None
        return template
