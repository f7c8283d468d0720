"""The fake webui of tests/contract has only what the sources of the real hosts have.

RIFFUSION_A1111_ROOT, RIFFUSION_FORGE_ROOT and RIFFUSION_REFORGE_ROOT name checkouts of A1111 v1.10.1, Forge and
reForge. Nothing in them is run.
"""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.conformance.sources import ClassFacts, FunctionFacts, read_module
from tests.contract import fake_webui
from tests.contract.fake_webui import FakeWebui

ROOTS = {
    "a1111": "RIFFUSION_A1111_ROOT",
    "forge": "RIFFUSION_FORGE_ROOT",
    "reforge": "RIFFUSION_REFORGE_ROOT",
}


@pytest.fixture(params=sorted(ROOTS))
def root(request: pytest.FixtureRequest) -> Path:
    folder = os.environ.get(ROOTS[request.param], "")
    if not folder:
        pytest.skip(f"{ROOTS[request.param]} is not set: no sources of {request.param} to compare with")
    path = Path(folder)
    assert (path / "modules" / "scripts.py").is_file(), f"{ROOTS[request.param]}={folder} is not a webui checkout"
    return path


def _compare_call(ours: Callable[..., Any], theirs: FunctionFacts, where: str, *, method: bool) -> None:
    """Check that the host accepts every call that the fake accepts."""
    parameters = list(inspect.signature(ours).parameters.values())
    parameters = parameters[1:] if method else parameters
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in positional if p.default is p.empty]
    assert theirs.any_positional or len(positional) <= len(theirs.positional), (
        f"{where}: the host takes fewer arguments"
    )
    assert len(required) >= theirs.required, f"{where}: the host needs more arguments: {theirs.positional}"
    for p in parameters:
        if p.kind == p.KEYWORD_ONLY:
            known = p.name in theirs.keyword_only or p.name in theirs.positional or theirs.any_keyword
            assert known, f"{where}: the host knows no keyword {p.name}"
        if p.kind == p.VAR_POSITIONAL:
            assert theirs.any_positional, f"{where}: the host takes no *args"


def _compare_class(ours: type, theirs: ClassFacts, where: str) -> None:
    for name, value in vars(ours).items():
        if name == "__init__" or not name.startswith("_"):
            if inspect.isfunction(value):
                assert name in theirs.methods, f"{where} has no method {name}"
                _compare_call(value, theirs.methods[name], f"{where}.{name}", method=True)
            else:
                assert name in theirs.names, f"{where} has no {name}"


def _modules(tmp_path: Path) -> dict[str, ModuleType]:
    made = FakeWebui(tmp_path).modules()
    return {name.partition(".")[2]: module for name, module in made.items() if "." in name}


def test_every_name_and_signature_of_the_fake_webui_exists(root: Path, tmp_path: Path) -> None:
    checked = 0
    for name, module in _modules(tmp_path).items():
        facts = read_module(root / "modules" / f"{name}.py")
        for attribute, value in vars(module).items():
            if attribute.startswith("__"):
                continue
            where = f"{root.name}: modules.{name}.{attribute}"
            if name == "shared" and attribute == "OptionInfo":
                source = read_module(root / "modules" / "options.py").classes["OptionInfo"]
                _compare_class(value, source, where)
            elif inspect.isclass(value):
                assert attribute in facts.classes, f"{where} does not exist"
                _compare_class(value, facts.classes[attribute], where)
            elif inspect.isfunction(value):
                assert attribute in facts.functions, f"{where} does not exist"
                _compare_call(value, facts.functions[attribute], where, method=False)
            else:
                assert attribute in facts.names, f"{where} does not exist"
            checked += 1
    assert checked >= 17


def _all_names(root: Path, module: str, cls: str) -> set[str]:
    classes = read_module(root / "modules" / f"{module}.py").classes
    names = set(classes[cls].names)
    for other in classes.values():
        if cls in other.bases:
            names |= other.names
    return names


def test_fields_of_a_job_exist(root: Path) -> None:
    theirs = _all_names(root, "processing", "StableDiffusionProcessing")
    ours = set(fake_webui.StableDiffusionProcessing.__annotations__)
    # Set on the job by the host, outside of the class.
    source = (root / "modules" / "processing.py").read_text("utf-8")
    theirs |= set(re.findall(r"\bp\.(\w+) = ", source)) | set(re.findall(r"for i, .*:\n\s+p\.(\w+) = i", source))
    assert ours - theirs == set()


def test_fields_of_a_result_exist(root: Path) -> None:
    theirs = _all_names(root, "processing", "Processed")
    ours = {"images", "infotexts", "index_of_first_image", "comments", "all_prompts", "all_seeds", "js"}
    assert ours - theirs == set()


def test_fields_of_the_state_exist(root: Path) -> None:
    theirs = read_module(root / "modules" / "shared_state.py").classes["State"].names
    assert set(fake_webui.State.__slots__) - theirs == set()


def test_fields_of_a_checkpoint_exist(root: Path) -> None:
    theirs = read_module(root / "modules" / "sd_models.py").classes["CheckpointInfo"].names
    assert set(vars(fake_webui.CheckpointInfo("x"))) - theirs == set()


def test_host_options_exist(root: Path, tmp_path: Path) -> None:
    sources = [root / "modules" / "shared_options.py", *(root / "modules_forge").glob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in sources if path.is_file())
    for key in vars(FakeWebui(tmp_path).opts)["data"]:
        assert f'"{key}"' in text or f"'{key}'" in text, f"{root.name} has no setting {key}"


def test_hooks_are_called_in_the_order_of_the_fake_webui(root: Path) -> None:
    source = (root / "modules" / "processing.py").read_text("utf-8")
    hooks = ("before_process", "process", "postprocess_image", "postprocess_image_after_composite", "postprocess")
    places = [source.index(f"p.scripts.{hook}(p") for hook in hooks]
    assert places == sorted(places)
    assert source.index("p.scripts.postprocess_image(p") < source.index('image.info["parameters"] = text')


def test_image_hook_runs_before_saving_and_not_for_masks_and_grids(root: Path) -> None:
    source = (root / "modules" / "processing.py").read_text("utf-8")
    hook = source.index("p.scripts.postprocess_image_after_composite(p")
    assert source.index("image, original_denoised_image = apply_overlay(") < hook
    assert hook < source.index("images.save_image(image, p.outpath_samples")
    assert "image_mask = mask_for_overlay.convert(" in source
    assert "images.image_grid(output_images" in source


def test_png_files_take_added_texts_and_lossy_files_do_not(root: Path) -> None:
    """PNG files get every text that a callback adds; JPEG, WebP and AVIF only the host's own."""
    source = (root / "modules" / "images.py").read_text("utf-8")
    asked = source.index("script_callbacks.before_image_saved_callback(params)")
    assert asked < source.index("info = params.pnginfo.get(pnginfo_section_name, None)")
    assert "existing_pnginfo=params.pnginfo" in source
    png = source.index("for k, v in (existing_pnginfo or {}).items():")
    lossy = source.index('elif extension.lower() in (".jpg", ".jpeg", ".webp"):')
    assert png < source.index("pnginfo_data.add_text(k, str(v))") < lossy
    assert "existing_pnginfo" not in source[lossy : source.index('elif extension.lower() == ".gif":')]


def test_host_calls_callable_parameters_and_skips_none_values(root: Path) -> None:
    """The list of clips travels among a job's extra parameters and must stay out of an image's text."""
    source = (root / "modules" / "processing.py").read_text("utf-8")
    assert "elif callable(value):" in source
    assert "value(**locals())" in source
    assert "if v is not None])" in source


def test_element_ids_used_by_the_scripts_exist(root: Path) -> None:
    panel = (root / "modules" / "ui_common.py").read_text("utf-8")
    assert 'elem_id=f"{tabname}_gallery_container"' in panel
    assert "elem_id=f'generation_info_{tabname}'" in panel
    chooser = (root / "modules" / "ui_settings.py").read_text("utf-8")
    forge = root / "modules_forge" / "main_entry.py"  # reForge has the setting of A1111
    if forge.is_file():
        text = forge.read_text("utf-8")
        assert 'label="Checkpoint"' in text
        assert "elem_classes=['model_selection']" in text
    else:
        assert 'elem_id = f"setting_{key}"' in chooser or 'elem_id=f"setting_{key}"' in chooser


def test_axis_option_has_the_expected_parameters(root: Path) -> None:
    facts = read_module(root / "scripts" / "xyz_grid.py")
    assert "axis_options" in facts.names
    theirs = facts.classes["AxisOption"].methods["__init__"]
    assert theirs.positional[:3] == ("label", "type", "apply")
    assert {"confirm", "choices"} <= set(theirs.positional)


def test_loaded_model_can_be_read_without_loading_it(root: Path) -> None:
    source = (root / "modules" / "sd_models.py").read_text("utf-8")
    assert "self.sd_model = None" in source or "self.sd_model = FakeInitialModel()" in source, "no property"
    assert "checkpoint_info = next(iter(checkpoints_list.values()))" in source, "what is taken where none is chosen"
    places = [root / "modules" / "sd_models.py", root / "modules_forge" / "forge_loader.py"]
    text = "".join(path.read_text("utf-8") for path in places if path.is_file())
    assert "model.sd_checkpoint_info = checkpoint_info" in text


def test_xyz_plot_has_the_expected_arguments(root: Path) -> None:
    """tests/live fills them in by number; reForge has three more."""
    run = read_module(root / "scripts" / "xyz_grid.py").classes["Script"].methods["run"]
    more = ("draw_individual_labels", "skip_grid", "items_per_grid")
    rest = (*("include_lone_images", "include_sub_grids", "no_fixed_seeds"), *(f"vary_seeds_{axis}" for axis in "xyz"))
    expected = ("draw_legend", *(more if "skip_grid" in run.positional else ()), *rest, "margin_size", "csv_mode")
    assert run.positional[10:] == expected


def test_forge_applies_one_prompt_part_weight_to_the_whole_batch(root: Path) -> None:
    """Where models have forge_objects, and there only; see riffusion_ext/host/model/batches.py."""
    places = [root / "modules_forge" / "forge_sampler.py", root / "backend" / "sampling" / "condition.py"]
    source = "".join(path.read_text("utf-8") for path in places if path.is_file())
    forge = "transposed = list(map(list, zip(*weights)))" in source and "['strength'] = current_weight" in source
    models = [*(root / "modules").glob("*.py"), *(root / "modules_forge").glob("*.py")]
    models += (root / "backend").rglob("*.py")
    assert any(
        "self.forge_objects = " in text or "sd_model.forge_objects = " in text for text in map(_text, models)
    ) is (forge)


def _text(path: Path) -> str:
    return path.read_text("utf-8")
