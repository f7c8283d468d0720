"""The panel and the area of the players, built with real gradio as the host builds its page."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from riffusion_ext.host import infotext, xyz
from riffusion_ext.options.sound import CONTROLS, options_from_args
from tests.contract.conftest import Bench
from tests.contract.fake_webui import AxisOption

gr = pytest.importorskip("gradio")


def _page(bench: Bench) -> tuple[Any, list[Any]]:
    """Build one tab in the host's order: panel, then the results."""
    fire = bench.host.callbacks.fire
    with gr.Blocks() as page:
        components = bench.script.ui(False)
        with gr.Column():
            with gr.Group(elem_id="txt2img_gallery_container") as group:
                pass
            fire("on_after_component", group, elem_id="txt2img_gallery_container")
            gallery = gr.Gallery(elem_id="txt2img_gallery")
            fire("on_after_component", gallery, elem_id="txt2img_gallery")
            info = gr.Textbox(visible=False, elem_id="generation_info_txt2img")
            fire("on_after_component", info, elem_id="generation_info_txt2img")
        chooser = gr.Dropdown(["a"], elem_id="setting_sd_model_checkpoint")
        fire("on_after_component", chooser, elem_id="setting_sd_model_checkpoint")
    return page, components


def _ids(page: Any) -> list[str]:
    return [component["props"].get("elem_id") for component in page.get_config_file()["components"]]


def test_panel_returns_one_component_per_argument(bench: Bench) -> None:
    _, components = _page(bench)
    assert [component.label for component in components] == [item.label for item in CONTROLS]
    assert [component.value for component in components] == [item.default for item in CONTROLS]


def test_players_are_not_among_the_arguments_and_appear_once(bench: Bench) -> None:
    page, components = _page(bench)
    assert _ids(page).count("txt2img_riffusion_players") == 1
    assert all(component.elem_id != "txt2img_riffusion_players" for component in components)


def test_no_html_component_starts_an_event(bench: Bench) -> None:
    page, _ = _page(bench)
    config = page.get_config_file()
    html = {entry["id"] for entry in config["components"] if entry["type"] == "html"}
    for dependency in config["dependencies"]:
        for target in dependency["targets"]:
            target_id = target[0] if isinstance(target, (list, tuple)) else target
            event = target[1] if isinstance(target, (list, tuple)) else dependency.get("trigger")
            assert not (target_id in html and event == "change")


def test_building_the_panel_again_for_the_api_changes_nothing_on_the_page(bench: Bench) -> None:
    page, _ = _page(bench)
    before = len(page.get_config_file()["dependencies"])
    with gr.Blocks():
        bench.script.ui(False)
    assert len(page.get_config_file()["dependencies"]) == before


def test_the_page_built_after_reload_ui_has_players_and_a_status_line(bench: Bench) -> None:
    from riffusion_ext.host import webui

    first, _ = _page(bench)
    bench.host.callbacks.forget()
    webui.register()
    second, _ = _page(bench)
    assert _ids(second).count("txt2img_riffusion_players") == 1
    assert len(second.get_config_file()["dependencies"]) == len(first.get_config_file()["dependencies"])


def test_checkpoint_chooser_updates_the_status_line_of_the_page(bench: Bench) -> None:
    with gr.Blocks() as page:
        bench.script.ui(False)
        with gr.Blocks():  # as for the API's defaults; its components are on no page
            bench.script.ui(False)
        chooser = gr.Dropdown(["a"], elem_id="setting_sd_model_checkpoint")
        bench.host.callbacks.fire("on_after_component", chooser, elem_id="setting_sd_model_checkpoint")
    config = page.get_config_file()
    status = [entry["id"] for entry in config["components"] if entry["props"].get("elem_id", "").endswith("_status")]
    (wired,) = [entry for entry in config["dependencies"] if chooser._id in entry["inputs"]]
    assert wired["outputs"] == status[:1]


def test_checkpoint_chooser_created_off_the_page_gets_no_events(bench: Bench) -> None:
    """Forge creates one each time a page is opened, to fill in its values; gradio allows no events on it."""
    page, _ = _page(bench)
    before = len(page.get_config_file()["dependencies"])
    chooser = gr.Dropdown(["a"], label="Checkpoint", elem_classes=["model_selection"])
    bench.host.callbacks.fire("on_after_component", chooser, label="Checkpoint", elem_classes=["model_selection"])
    assert len(page.get_config_file()["dependencies"]) == before


def test_pasted_infotext_sets_every_control_and_foreign_infotext_sets_none(bench: Bench) -> None:
    _, components = _page(bench)
    fields = bench.script.infotext_fields
    assert [component for component, _ in fields] == components
    assert [read({"Steps": "20"}) for _, read in fields] == [None] * len(CONTROLS)
    pasted = {"Riffusion sound": "On", "Riffusion engine": "best", "Riffusion crossfade": "0.5"}
    assert [read(pasted) for _, read in fields] == [
        "On",
        "best",
        "peak",
        "wav",
        "auto",
        False,
        0.5,
        "from the picture",
        "",
        "auto",
    ]
    assert bench.script.paste_field_names == list(infotext.KEYS)


def test_the_status_line_follows_the_checkpoint(bench: Bench) -> None:
    from riffusion_ext.host.status import status_html, statuses
    from riffusion_ext.host.webui import HOST

    assert "Sound is on" in status_html(HOST, "Auto")
    assert "Sound is off" in status_html(HOST, "Auto", "photo-model")
    on, off = statuses(HOST, "photo-model", "On", "Off")
    assert "the sound will be noise" in on
    assert off == ""


def test_settings_have_our_prefix_and_one_section(bench: Bench) -> None:
    labels = bench.host.opts.data_labels
    assert all(key.startswith("riffusion_") for key in labels)
    assert {info.section for info in labels.values()} == {("riffusion", "Riffusion")}


def test_xyz_axes_are_added_once(bench: Bench) -> None:
    module = ModuleType("xyz_grid.py")
    module.AxisOption = AxisOption  # type: ignore[attr-defined]
    module.axis_options = [AxisOption("Seed", int, lambda p, x, xs: None)]  # type: ignore[attr-defined]
    data = sys.modules["modules.scripts"].scripts_data
    data.append(SimpleNamespace(path=str(Path("scripts") / "xyz_grid.py"), module=module))
    bench.host.callbacks.fire("on_before_ui")
    bench.host.callbacks.fire("on_before_ui")
    assert [option.label for option in module.axis_options] == ["Seed", *xyz.AXES]


def test_xyz_axis_sets_its_control_for_its_own_cell_only(bench: Bench) -> None:
    module = ModuleType("xyz_grid.py")
    module.AxisOption = AxisOption  # type: ignore[attr-defined]
    module.axis_options = []  # type: ignore[attr-defined]
    xyz.add_axes([SimpleNamespace(path="xyz_grid.py", module=module)])
    engine = next(option for option in module.axis_options if option.label == "[Riffusion] Engine")
    one, two = bench.job(), bench.job()
    engine.apply(one, "BEST", [])
    assert getattr(one, xyz.OVERRIDE) == {"engine": "best"}
    assert not hasattr(two, xyz.OVERRIDE)
    assert engine.choices() == ["fast", "best", "reference"]
    with pytest.raises(ValueError, match="warp"):
        engine.confirm(one, ["warp"])


def test_xyz_axis_of_high_frequencies_reaches_the_options(bench: Bench) -> None:
    module = ModuleType("xyz_grid.py")
    module.AxisOption = AxisOption  # type: ignore[attr-defined]
    module.axis_options = []  # type: ignore[attr-defined]
    xyz.add_axes([SimpleNamespace(path="xyz_grid.py", module=module)])
    axis = next(option for option in module.axis_options if option.label == "[Riffusion] High frequencies")
    job = bench.job()
    axis.apply(job, "OFF", [])
    assert options_from_args(["On"], getattr(job, xyz.OVERRIDE)).high_frequencies == "off"
    assert axis.choices() == ["auto", "on", "off"]


def test_host_gets_the_riffusion_tab(bench: Bench) -> None:
    ((tab, title, elem_id),) = bench.host.callbacks.fire("on_ui_tabs")[0]
    assert (title, elem_id) == ("Riffusion", "riffusion")
    assert isinstance(tab, gr.Blocks)


def _pages(bench: Bench) -> Any:
    ((tab, _, _),) = bench.host.callbacks.fire("on_ui_tabs")[0]
    return tab


def test_host_without_generation_gives_one_sentence_why(bench: Bench) -> None:
    ids = _ids(_pages(bench))
    assert "riffusion_pictures_go" in ids, "the other pages still work"
    assert "riffusion_song_why" in ids
    assert not {"riffusion_song_go", "riffusion_riff_go", "riffusion_loop_go", "riffusion_live_go"} & set(ids)
    (why,) = [block.value for block in _pages(bench).blocks.values() if block.elem_id == "riffusion_song_why"]
    assert "cannot be made in this webui" in why
    assert "modules" in why


@pytest.fixture
def generating(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Enable generation in the host; returns the sizes of the requested batches."""
    import riffusion_ext.host

    batches: list[int] = []
    module = ModuleType("riffusion_ext.host.model.generation")
    module.sampler_names = lambda: ["DPM++ 2M", "Euler"]  # type: ignore[attr-defined]
    module.usual_sampler = lambda: "DPM++ 2M"  # type: ignore[attr-defined]
    module.WebuiBackend = lambda *, max_batch: batches.append(max_batch)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(riffusion_ext.host, "generation", module, raising=False)
    return batches


def test_host_with_generation_has_pages_with_its_samplers(bench: Bench, generating: list[int]) -> None:
    from riffusion_ext.host import webui

    tab = _pages(bench)
    assert {"riffusion_song_go", "riffusion_riff_go", "riffusion_loop_go", "riffusion_live_go"} <= set(_ids(tab))
    (sampler,) = [block for block in tab.blocks.values() if block.elem_id == "riffusion_song_sampler"]
    choices = [choice if isinstance(choice, str) else choice[0] for choice in sampler.choices]
    assert choices == ["automatic", "DPM++ 2M", "Euler"]
    model = webui._model()
    model.backend()
    assert generating == [16]
    assert model.checkpoint_warning() == ""
    bench.host.opts.data["sd_model_checkpoint"] = "cats.safetensors"
    assert "cats.safetensors does not look like a Riffusion model" in model.checkpoint_warning()
    bench.host.opts.data["riffusion_warn"] = False
    assert model.checkpoint_warning() == ""


def test_controls_with_equal_labels_have_equal_defaults(bench: Bench, generating: list[int]) -> None:
    """A webui stores defaults by label for the whole tab, so all controls of a label share a default."""
    seen: dict[tuple[str, str], Any] = {}
    for block in _pages(bench).blocks.values():
        label = getattr(block, "label", None)
        if not label or getattr(block, "do_not_save_to_config", False) or not hasattr(block, "value"):
            continue
        kept = [getattr(block, name, None) for name in ("value", "minimum", "maximum", "step", "visible")]
        assert seen.setdefault((label, type(block).__name__), kept) == kept, label
        assert [kind for name, kind in seen if name == label] == [type(block).__name__], label


def test_galleries_send_images_to_the_song_page_and_windows_to_img2img(bench: Bench, generating: list[int]) -> None:
    page, _ = _page(bench)
    tab = _pages(bench)
    assert set(bench.host.paste_fields) == {"riffusion_seed_picture", "riffusion_before"}
    parts = {block.elem_id: block for blocks in (page, tab) for block in blocks.blocks.values()}
    for name in ("seed_picture", "before"):
        assert bench.host.paste_fields[f"riffusion_{name}"]["init_img"] is parts[f"riffusion_song_{name}"]
    ways = {
        (binding.paste_button.elem_id, binding.tabname): (
            binding.source_image_component or binding.source_text_component
        ).elem_id
        for binding in bench.host.bindings
    }
    assert ways == {
        ("txt2img_riffusion_seed_picture", "riffusion_seed_picture"): "txt2img_gallery",
        ("txt2img_riffusion_before", "riffusion_before"): "txt2img_gallery",
        ("riffusion_song_send", "img2img"): "riffusion_song_picture",
        ("riffusion_song_send_text", "txt2img"): "riffusion_song_parameters",
    }
    for binding in bench.host.bindings:
        assert binding.tabname in {*bench.host.paste_fields, "img2img", "txt2img"}, "the host would not start"


def test_host_without_generation_has_no_send_to_buttons(bench: Bench) -> None:
    page, _ = _page(bench)
    assert not any("riffusion_before" in str(elem_id) for elem_id in _ids(page))
    assert "riffusion_song_send" not in _ids(_pages(bench))
    assert bench.host.bindings == []


def test_host_without_send_to_has_pages_without_those_buttons(
    bench: Bench, generating: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sys.modules["modules.infotext_utils"], "add_paste_fields")
    page, _ = _page(bench)
    assert not any("riffusion_before" in str(elem_id) for elem_id in _ids(page))
    ids = _ids(_pages(bench))
    assert "riffusion_song_go" in ids
    assert "riffusion_song_send" not in ids
