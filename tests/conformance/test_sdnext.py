"""The fake SD.Next has what its sources (058a7f0c) have; RIFFUSION_SDNEXT_ROOT names them. Nothing in them is run."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.conformance.sources import read_module
from tests.contract import fake_sdnext
from tests.contract.fake_webui import CALLBACK_KINDS


@pytest.fixture
def root() -> Path:
    folder = os.environ.get("RIFFUSION_SDNEXT_ROOT", "")
    if not folder:
        pytest.skip("RIFFUSION_SDNEXT_ROOT is not set: no sources of SD.Next to compare with")
    path = Path(folder)
    assert (path / "modules" / "scripts_manager.py").is_file(), f"RIFFUSION_SDNEXT_ROOT={folder} is not SD.Next"
    return path


def _text(root: Path, *names: str) -> str:
    return (root / "modules").joinpath(*names).read_text("utf-8")


def test_script_has_the_hooks_of_the_fake_webui(root: Path) -> None:
    theirs = read_module(root / "modules" / "scripts_manager.py").classes["Script"]
    ours = {name for name in vars(fake_sdnext.Script) if not name.startswith("_")}
    assert ours <= theirs.names
    assert "postprocess_image_after_composite" not in theirs.names
    assert "script.setup(" not in _text(root, "scripts_manager.py"), "setup is never called"
    assert "from modules.scripts_manager import *" in _text(root, "scripts.py")


def test_modules_have_and_lack_the_expected_names(root: Path) -> None:
    names = {name: read_module(root / "modules" / f"{name}.py").names for name in ("errors", "paths", "sd_models")}
    assert "report" not in names["errors"]
    assert {"log", "display"} <= names["errors"]
    assert "data_path" in names["paths"]
    assert {"checkpoints_list", "model_data"} <= names["sd_models"]
    assert "checkpoint_aliases" not in names["sd_models"]
    for stub in ("paths_internal", "infotext_utils"):
        assert read_module(root / "modules" / f"{stub}.py").names == set()
    assert not (root / "modules" / "ui_tempdir.py").exists()
    assert "register_tmp_file" in read_module(root / "modules" / "gr_tempdir.py").functions
    assert not (root / "modules" / "rng.py").exists(), "songs need it"


def test_callbacks_have_the_expected_parameters(root: Path) -> None:
    functions = read_module(root / "modules" / "script_callbacks.py").functions
    for kind in CALLBACK_KINDS:
        assert functions[kind].positional == ("callback",)
    assert functions["add_callback"].positional == ("callbacks", "fun")


def test_checkpoint_info_has_the_fields_of_the_fake_webui(root: Path) -> None:
    facts = read_module(root / "modules" / "sd_checkpoint.py").classes["CheckpointInfo"]
    assert set(vars(fake_sdnext.CheckpointInfo("x"))) <= facts.names
    assert "name_for_extra" not in facts.names
    assert "self.sd_model: DiffusionPipeline | None = None" in _text(root, "modeldata.py"), "no property"


def test_infotext_includes_every_extra_parameter_without_calling_it(root: Path) -> None:
    source = _text(root, "processing_info.py")
    assert "args.update(p.extra_generation_params)" in source
    assert "callable(" not in source
    assert "return json.dumps(obj)\n" in _text(root, "processing.py")


def test_image_is_saved_between_our_hook_and_the_saved_callback(root: Path) -> None:
    source = _text(root, "processing.py")
    assert source.index("p.scripts.postprocess_image(p, pp)") < source.index("# main save image")
    assert "not (shared.state.interrupted or shared.state.skipped):\n        p.scripts.postprocess(" in source
    save = _text(root, "image", "save.py")
    asked, saved = (
        save.index("before_image_saved_callback(params)"),
        save.index("    script_callbacks.image_saved_callback"),
    )
    assert asked < save.index("save_queue.join()") < saved
    assert "for k, v in params.pnginfo.items():\n                pnginfo_data.add_text(k, str(v))" in save
    assert "piexif.ExifIFD.UserComment: exifinfo_dump" in save


def test_page_has_the_expected_element_ids_and_settings(root: Path) -> None:
    panel = _text(root, "ui_common.py")
    assert 'elem_id=f"{tabname}_gallery_container"' in panel
    assert "elem_id=f'generation_info_{tabname}'" in panel
    settings = _text(root, "ui_definitions.py")
    theme = re.search(r'"theme_type": OptionInfo\("Modern", "Theme type", gr.Radio, (.*)\)', settings)
    assert theme is not None
    assert '"Standard"' in theme[1]
    assert "options_section(('ui', \"User Interface\")" in settings
    style = (root / "ui" / "css" / "sdnext.css").read_text("utf-8")
    assert "object-position: top;" in style
    assert re.search(r"\.gradio-radio \{[^}]*width: max-content !important;", style), "tests/browser imitates it"
