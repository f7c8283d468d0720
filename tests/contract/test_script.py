"""The Script in a strict fake of webui, which calls every event in the host's order."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from riffusion_ext.host.images.generated_images import ImageOrigin
from riffusion_ext.host.panel import render_generation_info
from riffusion_ext.library import LIBRARY
from riffusion_ext.params import SpectrogramParams
from tests.contract.conftest import Bench

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def quick_sound(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Replace the inversion, which has tests of its own, by a tone; returns the sizes of its batches."""
    import numpy as np

    from riffusion_ext.audio.clip import AudioClip
    from riffusion_ext.errors import ImageError
    from riffusion_ext.params import PRESETS
    from riffusion_ext.spectrogram import codec

    calls: list[int] = []

    def images_to_audio(images: Any, settings: Any, *, progress: Any = None) -> list[Any]:
        calls.append(len(images))
        if progress is not None:
            progress(0.5)
        results: list[Any] = []
        for image in images:
            if image.size == (1, 1):
                results.append(ImageError("the image is 1 x 1 pixels, which is no spectrogram"))
                continue
            samples = np.sin(np.arange((image.width - 1) * 441) / 20, dtype=np.float32)[None] / 2
            params = PRESETS["riffusion-v1"]
            results.append(codec.Decoded(AudioClip(samples, 44100), params, 30e6, ()))
        return results

    monkeypatch.setattr(codec, "images_to_audio", images_to_audio)
    return calls


def _stems(folder: Path, ending: str) -> list[str]:
    return sorted(path.stem for path in folder.rglob(f"*{ending}"))


def _texts(payload: dict[str, Any]) -> str:
    return "\n".join(entry["text"] for entry in payload["messages"])


def test_scripts_file_registers_one_script_and_no_base_class(bench: Bench) -> None:
    spec = importlib.util.spec_from_file_location("riffusion.py", ROOT / "scripts" / "riffusion.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    import modules.scripts

    classes = [value for value in vars(module).values() if isinstance(value, type)]
    assert [issubclass(value, modules.scripts.Script) for value in classes] == [True]
    assert modules.scripts.Script not in classes


def test_batches_of_a_job_are_inverted_at_once_and_each_image_gets_a_file(bench: Bench, quick_sound: list[int]) -> None:
    _, payload = bench.generate("On", batch_size=2, n_iter=2, seed=5)
    folder = bench.host.folder
    assert quick_sound == [4]
    assert _stems(folder, ".wav") == _stems(folder, ".png")
    assert [clip["seed"] for clip in payload["clips"]] == [5, 6, 7, 8]
    with wave.open(str(folder / "outputs" / payload["clips"][0]["file"])) as sound:
        assert sound.getnframes() == 63 * 441


@pytest.mark.parametrize("with_text", [True, False])
def test_each_clip_is_decoded_from_its_own_image(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, with_text: bool
) -> None:
    from riffusion_ext.spectrogram import codec

    heard: list[tuple[int, int]] = []
    works = codec.images_to_audio

    def listen(images: Any, settings: Any, *, progress: Any) -> Any:
        heard.extend((image.getpixel((0, 0))[0], image.height) for image in images)
        return works(images, settings, progress=progress)

    monkeypatch.setattr(codec, "images_to_audio", listen)
    bench.host.opts.enable_pnginfo = with_text
    bench.host.image = lambda seed, size: Image.new("RGB", size, (seed, 0, 0))
    _, payload = bench.generate("On", batch_size=2, n_iter=2, seed=40)
    assert heard == [(seed, 512) for seed in (40, 41, 42, 43)]
    assert [clip["seed"] for clip in payload["clips"]] == [40, 41, 42, 43]


def test_each_clip_has_the_prompt_of_its_own_image(bench: Bench) -> None:
    """Scripts that vary the prompt, such as Dynamic Prompts, fill in a list of them."""
    prompts = ["slow cello", "fast drums", "funky bass", "church bells"]
    processed, _ = bench.generate("On", batch_size=2, n_iter=2, prompt=prompts)
    page = render_generation_info(processed.js(), _host())
    places = [page.index(f">{number}. {prompt}<") for number, prompt in enumerate(prompts, 1)]
    assert places == sorted(places)


def test_mode_auto_follows_the_checkpoint(bench: Bench) -> None:
    assert len(bench.generate()[1]["clips"]) == 1
    bench.host.opts.sd_model_checkpoint = "photo-model"
    assert bench.generate()[1]["clips"] == []
    bench.host.opts.riffusion_model_patterns = "photo-*"
    assert len(bench.generate()[1]["clips"]) == 1
    bench.host.opts.riffusion_auto = False
    assert bench.generate()[1]["clips"] == []


def test_checkpoint_override_of_a_job_wins_over_the_page(bench: Bench) -> None:
    other = {"override_settings": {"sd_model_checkpoint": "photo-model"}}
    assert bench.generate("Auto", **other)[1]["clips"] == []
    assert "photo-model does not look like" in _texts(bench.generate("On", **other)[1])


def test_comments_of_the_host_are_kept(bench: Bench) -> None:
    processed, _ = bench.generate({"mode": "On", "engine": "warp"}, comments={"said by the host": 1})
    assert processed.comments.splitlines()[0] == "said by the host"
    assert "'warp'" in processed.comments


def test_foreign_checkpoint_warning_is_in_the_players_or_else_in_the_comments(bench: Bench) -> None:
    bench.host.opts.sd_model_checkpoint = "photo-model"
    processed, payload = bench.generate("On")
    assert "photo-model does not look like a Riffusion model" in _texts(payload)
    assert "does not look" not in processed.comments, "the players show the warning already"
    bench.host.opts.riffusion_players = False
    processed, _ = bench.generate("On")
    assert "photo-model does not look like a Riffusion model" in processed.comments
    bench.host.opts.riffusion_warn = False
    assert bench.generate("On")[1]["messages"] == []


def test_mode_off_adds_neither_parameters_nor_files(bench: Bench) -> None:
    processed, _ = bench.generate("Off")
    assert "Riffusion" not in processed.infotexts[0]
    assert processed.extra_generation_params == {}
    assert _stems(bench.host.folder, ".wav") == []


@pytest.mark.parametrize("with_text", [True, False])
def test_masks_and_the_grid_get_no_sound(bench: Bench, monkeypatch: pytest.MonkeyPatch, with_text: bool) -> None:
    bench.host.opts.enable_pnginfo = with_text
    bench.host.opts.return_mask = True
    bench.host.opts.return_mask_composite = True
    bench.host.image = lambda seed, size: Image.new("RGB", size, (seed, 0, 0))
    colours: list[int] = []
    from riffusion_ext.host.images.audio_saver import AudioSaver

    monkeypatch.setattr(
        AudioSaver, "run", lambda _, images: colours.extend(p.image.getpixel((0, 0))[0] for p in images)
    )
    bench.generate("On", batch_size=2, seed=40, mask_for_overlay=Image.new("L", (64, 64)))
    assert colours == [40, 41]


def test_interrupted_images_get_no_sound(bench: Bench, quick_sound: list[int]) -> None:
    def interrupt(iteration: int) -> None:
        bench.host.state.interrupted = iteration == 1

    bench.host.mid_run = interrupt
    processed, payload = bench.generate("On", n_iter=3)
    assert quick_sound == [1]
    assert len(processed.images) == 3  # grid, the whole one and the interrupted one
    assert "1 interrupted image got no sound." in _texts(payload)


def test_skipped_images_get_no_sound(bench: Bench) -> None:
    def skip(iteration: int) -> None:
        bench.host.state.skipped = iteration == 1

    bench.host.mid_run = skip
    _, payload = bench.generate("On", n_iter=3, seed=20)
    assert [clip["seed"] for clip in payload["clips"]] == [20, 22]


def test_an_interrupted_cell_gets_no_sound(bench: Bench) -> None:
    p = bench.host.start(bench.script, bench.job(), "On")
    runs = iter([False, True])
    bench.host.mid_run = lambda _: setattr(bench.host.state, "interrupted", next(runs))
    processed = bench.host.xyz(bench.script, p, [{"seed": 3}, {"seed": 4}], "On")
    clips = json.loads(processed.js())["extra_generation_params"]["riffusion"]["clips"]
    assert [clip["seed"] for clip in clips] == [3]


def test_interrupt_before_the_first_image_makes_no_sound(bench: Bench, quick_sound: list[int]) -> None:
    bench.host.state.interrupted = True
    processed, payload = bench.generate("On")
    assert (processed.images, payload["clips"], quick_sound) == ([], [], [])


def test_interrupt_while_the_sound_is_made_keeps_the_images(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from riffusion_ext.spectrogram import codec

    def slow(images: Any, settings: Any, *, progress: Any) -> None:
        bench.host.state.interrupted = True
        progress(0.1)
        raise AssertionError("it should have stopped")

    monkeypatch.setattr(codec, "images_to_audio", slow)
    processed, payload = bench.generate("On")
    assert len(processed.images) == 1
    assert "interrupted while the sound was being made" in _texts(payload)


def test_bad_image_does_not_affect_the_others(bench: Bench) -> None:
    bench.host.image = lambda seed, size: Image.new("RGB", (1, 1) if seed == 2 else size)
    processed, payload = bench.generate("On", batch_size=3)
    assert [clip["seed"] for clip in payload["clips"]] == [1, 3]
    assert "1 x 1 pixels" in _texts(payload)
    assert "1 x 1 pixels" in processed.comments
    assert len(processed.images) == 4


def test_failed_batch_is_retried_image_by_image(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from riffusion_ext.spectrogram import codec

    works = codec.images_to_audio

    def fragile(images: Any, settings: Any, *, progress: Any) -> Any:
        if len(images) > 1 or images[0].info["parameters"].startswith("funky bass\nSteps: 1, Seed: 2"):
            raise MemoryError("no more memory")
        return works(images, settings, progress=progress)

    monkeypatch.setattr(codec, "images_to_audio", fragile)
    processed, payload = bench.generate("On", batch_size=3)
    assert [clip["seed"] for clip in payload["clips"]] == [1, 3]
    assert "no more memory" in _texts(payload)
    assert "no more memory" in processed.comments
    assert any("no more memory" in line for line in bench.host.log)
    assert len(processed.images) == 4


def test_exception_in_our_code_is_reported_and_keeps_the_images(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from riffusion_ext.host import script

    def broken(*_: Any) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr(script, "pick_generated", broken)
    processed, payload = bench.generate("On", batch_size=2)
    assert len(processed.images) == 3
    assert "a mistake of ours" in processed.comments
    assert "a mistake of ours" in _texts(payload)
    assert any("a mistake of ours" in line for line in bench.host.log)
    assert bench.host.state.textinfo is None


def test_unknown_arguments_are_named(bench: Bench) -> None:
    processed, payload = bench.generate({"mode": "On", "engin": "best"})
    assert "unknown argument engin" in _texts(payload)
    assert "unknown argument engin" in processed.comments
    assert payload["clips"] == []


def test_images_that_are_not_saved_are_served_from_a_scratch_folder(bench: Bench) -> None:
    bench.host.opts.samples_save = False
    processed, payload = bench.generate("On")
    assert _stems(bench.host.folder, ".wav") == []
    page = render_generation_info(processed.js(), _host())
    assert "<audio" in page
    assert "1-funky-bass.wav" in page
    assert payload["clips"][0]["picture"] == ""
    record = LIBRARY.get(payload["clips"][0]["id"])
    assert record is not None
    assert record.path.parent == _host().scratch_folder()


def test_page_gets_clip_ids_and_no_paths(bench: Bench) -> None:
    processed, _ = bench.generate("On")
    text = processed.js()
    assert str(bench.host.folder) not in text
    assert "clips" not in processed.infotexts[0]
    page = render_generation_info(text, _host())
    assert page.count("<audio") == 1
    assert "funky bass" in page


def _host() -> Any:
    from riffusion_ext.host.webui import HOST

    return HOST


def test_forged_generation_info_cannot_read_files(bench: Bench) -> None:
    secret = bench.host.folder / "secret.wav"
    secret.write_bytes(b"RIFF")
    forged = {"extra_generation_params": {"riffusion": {"clips": [{"id": str(secret), "file": str(secret)}, 3, None]}}}
    for text in (
        json.dumps(forged),
        "",
        "null",
        "[1]",
        "{",
        json.dumps({"extra_generation_params": 3, "infotexts": 4}),
    ):
        assert "audio" not in render_generation_info(text, _host())
    assert bench.host.served == []


def test_messages_in_the_page_are_escaped(bench: Bench) -> None:
    evil = {"clips": [], "messages": [{"text": "<script>alert(1)</script>", "kind": "<b>"}]}
    page = render_generation_info(json.dumps({"extra_generation_params": {"riffusion": evil}}), _host())
    assert "<script" not in page
    assert "riffusion-info" in page


def test_clips_of_all_xyz_cells_reach_the_page(bench: Bench) -> None:
    args = ("On",)
    p = bench.host.start(bench.script, bench.job(), *args)
    cells = [{"seed": 3}, {"seed": 4, "_riffusion_override": {"level": "loudness"}}, {"seed": 5}]
    processed = bench.host.xyz(bench.script, p, cells, *args)
    clips = json.loads(processed.js())["extra_generation_params"]["riffusion"]["clips"]
    assert [clip["seed"] for clip in clips] == [3, 4, 5]
    loud = ["Riffusion level: loudness" in text for text in processed.infotexts]
    assert loud == [False, True, False]


def test_grid_cell_with_sound_off_has_no_sound_infotext(bench: Bench) -> None:
    p = bench.host.start(bench.script, bench.job(), "On")
    processed = bench.host.xyz(bench.script, p, [{}, {"_riffusion_override": {"mode": "Off"}}], "On")
    assert ["Riffusion sound" in text for text in processed.infotexts] == [True, False]


def test_hires_image_is_decoded_at_the_size_of_the_first_pass(bench: Bench) -> None:
    processed, payload = bench.generate("On", enable_hr=True)
    assert processed.images[0].size == (128, 1024)
    assert payload["clips"][0]["duration"] == pytest.approx(0.63)
    assert "the first pass, 64 x 512" in _texts(payload)


@pytest.mark.parametrize("mode", ["Off", "Auto"])
def test_invalid_custom_parameters_are_ignored_while_sound_is_off(bench: Bench, mode: str) -> None:
    bench.host.opts.sd_model_checkpoint = "photo-model"
    processed, payload = bench.generate({"mode": mode, "preset": "custom", "custom": "16 kHz"})
    assert processed.comments == ""
    assert payload["messages"] == []
    assert "Riffusion" not in processed.infotexts[0]


def test_image_rounded_to_latent_size_stores_its_parameters(bench: Bench) -> None:
    processed, _ = bench.generate("On", width=68)
    assert processed.images[0].size == (64, 512)
    assert "riffusion" in processed.images[0].info


def test_unusual_height_adds_a_message(bench: Bench) -> None:
    processed, payload = bench.generate("On", height=640)
    assert "The height is 640 px." in _texts(payload)
    assert "Set Height to 512." in _texts(payload)
    assert len(payload["clips"]) == 1
    assert processed.comments == ""


def test_height_message_appears_once_for_all_images_and_cells(bench: Bench) -> None:
    _, payload = bench.generate("On", height=640, batch_size=2, n_iter=2)
    assert _texts(payload).count("The height is") == 1
    p = bench.host.start(bench.script, bench.job(height=640), "On")
    processed = bench.host.xyz(bench.script, p, [{"seed": 1}, {"seed": 2}], "On")
    assert processed.js().count("The height is") == 1


def test_joined_clip_follows_the_single_clips(bench: Bench) -> None:
    _, payload = bench.generate({"mode": True, "joined": True}, batch_size=2)
    assert [clip["joined"] for clip in payload["clips"]] == [False, False, True]
    assert payload["clips"][2]["duration"] == pytest.approx(1.26)
    assert payload["clips"][2]["file"] == "00000-joined.wav"


def test_players_name_their_images_except_the_joined_one(bench: Bench) -> None:
    processed, payload = bench.generate({"mode": True, "joined": True}, batch_size=2)
    page = render_generation_info(processed.js(), _host())
    named = re.findall(r'<li class="riffusion-clip"(?: data-picture="([^"]*)")?>', page)
    assert named == [clip["picture"] for clip in payload["clips"]]
    assert named[2] == ""
    assert page.count("data-picture") == 2
    assert all((bench.host.folder / "outputs" / name).is_file() for name in named[:2])


def test_single_image_is_not_joined(bench: Bench) -> None:
    assert len(bench.generate({"mode": "On", "joined": True})[1]["clips"]) == 1


def test_upscaled_image_is_found_by_its_infotext(bench: Bench) -> None:
    processed, _ = bench.generate("On", seed=77, prompt="only here")
    page = render_generation_info(json.dumps({"infotexts": ["other", processed.infotexts[0]]}), _host())
    assert page.count("<audio") == 1


def test_missing_files_are_reported(bench: Bench) -> None:
    processed, payload = bench.generate("On")
    (bench.host.folder / "outputs" / payload["clips"][0]["file"]).unlink()
    page = render_generation_info(processed.js(), _host())
    assert "<audio" not in page
    assert "no longer on disk" in page


def test_players_can_be_turned_off(bench: Bench) -> None:
    processed, payload = bench.generate("On")
    bench.host.opts.riffusion_players = False
    assert render_generation_info(processed.js(), _host()) == ""
    assert len(payload["clips"]) == 1


def test_players_and_links_use_ids_instead_of_file_names(bench: Bench) -> None:
    """Neither gradio's file= nor a folder appears, even if the folder's name starts with a dot."""
    import re

    processed, payload = bench.generate("On", batch_size=2)
    page = render_generation_info(processed.js(), _host())
    ids = [clip["id"] for clip in payload["clips"]]
    assert re.findall(r' (?:src|href)="([^"]*)"', page) == [f"riffusion/media/{id_}" for id_ in ids for _ in range(2)]
    assert str(bench.host.folder) not in page
    assert bench.host.served == []


def test_generated_image_stores_its_parameters_but_no_level(bench: Bench) -> None:
    from riffusion_ext.metadata import read_record

    processed, payload = bench.generate({"mode": "On", "preset": "20khz-stereo"}, batch_size=2)
    for clip in payload["clips"]:
        with Image.open(bench.host.folder / "outputs" / clip["picture"]) as image:
            record = read_record(image)
            assert image.info["parameters"] in processed.infotexts
        assert (record.params.max_frequency, record.params.stereo, record.max_value) == (20000, True, None)
    assert "riffusion" in processed.images[1].info, "also in what the API returns"
    assert "riffusion" not in processed.images[0].info, "the grid is not a spectrogram"


def test_custom_parameters_are_stored_or_reported_when_invalid(bench: Bench) -> None:
    from riffusion_ext.metadata import read_record

    own = {"mode": "On", "preset": "custom", "custom": "max_frequency=16000, min_frequency=20"}
    processed, payload = bench.generate(own)
    with Image.open(bench.host.folder / "outputs" / payload["clips"][0]["picture"]) as image:
        assert read_record(image).params == SpectrogramParams(max_frequency=16000, min_frequency=20)
    processed, payload = bench.generate({**own, "custom": "max_frequency 16000"})
    assert payload["clips"] == []
    assert "name=value" in payload["messages"][0]["text"]
    assert processed.images


def test_masks_silent_images_and_hires_images_store_no_parameters(bench: Bench) -> None:
    bench.generate("On", mask_for_overlay=Image.new("L", (64, 64)))
    bench.generate("Off")
    bench.generate("On", enable_hr=True)
    carried = {}
    for path in sorted((bench.host.folder / "outputs").glob("*.png")):
        with Image.open(path) as image:
            carried[path.stem] = "riffusion" in image.info
    assert carried == {"00000": True, "00001-mask": False, "00001": False, "00002": False}


def test_jpeg_is_saved_without_messages(bench: Bench) -> None:
    bench.host.opts.samples_format = "jpg"
    _, payload = bench.generate("On")
    assert payload["clips"][0]["picture"].endswith(".jpg")
    assert payload["messages"] == []


def test_img2img_keeps_the_parameters_of_each_start_image(bench: Bench) -> None:
    from riffusion_ext.metadata import read_record, record_text
    from riffusion_ext.params import PRESETS

    starts = [Image.new("RGB", (64, 512)) for _ in range(2)]
    for start, level in zip(starts, (4e6, 5e6), strict=True):
        start.info["riffusion"] = record_text(PRESETS["20khz-stereo"], level)
    options = {"mode": "On", "level": "recorded"}
    processed, payload = bench.generate(options, batch_size=2, n_iter=2, init_images=starts)
    assert payload["messages"] == []
    records = [read_record(image) for image in processed.images[1:]]
    assert [record.max_value for record in records] == [4e6, 5e6, 4e6, 5e6]
    assert {record.params for record in records} == {PRESETS["20khz-stereo"]}
    _, payload = bench.generate(options, init_images=[Image.new("RGB", (64, 512))])
    assert "No level is recorded" in _texts(payload)


def test_codec_gets_the_level_of_the_start_image(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from riffusion_ext.metadata import read_record, record_text
    from riffusion_ext.params import PRESETS
    from riffusion_ext.spectrogram import codec

    heard: list[float | None] = []
    works = codec.images_to_audio

    def listen(images: Any, settings: Any, *, progress: Any) -> Any:
        heard.extend(read_record(image).max_value for image in images)
        return works(images, settings, progress=progress)

    monkeypatch.setattr(codec, "images_to_audio", listen)
    start = Image.new("RGB", (64, 512))
    start.info["riffusion"] = record_text(PRESETS["riffusion-v1"], 7e6)
    bench.generate({"mode": "On", "level": "recorded"}, init_images=[start])
    assert heard == [7e6]


_SCRATCH = """
from pathlib import Path
from tests.contract.fake_webui import FakeWebui
with FakeWebui(Path()).installed():
    from riffusion_ext.host.webui import HOST
    folder = HOST.scratch_folder()
    (folder / "a.wav").touch()
    print(folder)
"""


def test_scratch_folder_is_removed_when_the_host_ends() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRATCH], cwd=ROOT, capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("riffusion-")
    assert not folder.exists()


def test_missing_settings_have_their_defaults(fake: Any) -> None:
    """A host started for its API alone never asks for our settings."""
    from riffusion_ext.host.script import RiffusionScript

    bench = Bench(fake, RiffusionScript())
    assert len(bench.generate("On")[1]["clips"]) == 1


def test_setting_unset_by_an_api_client_has_its_default(bench: Bench) -> None:
    bench.host.opts.riffusion_model_patterns = None
    assert len(bench.generate("Auto")[1]["clips"]) == 1


def _registered(bench: Bench) -> dict[str, int]:
    return {kind: len(callbacks) for kind, callbacks in bench.host.callbacks.by_kind.items()}


def test_reload_ui_registers_each_callback_once(bench: Bench) -> None:
    from riffusion_ext.host import webui

    assert set(_registered(bench).values()) == {1}
    bench.host.callbacks.forget()
    webui.register()
    assert set(_registered(bench).values()) == {1}


@pytest.mark.parametrize("missing", ["add_callback", "callback_map"])
def test_callbacks_are_registered_by_kind_where_the_host_has_no_add_callback(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    import modules.script_callbacks

    from riffusion_ext.host import webui

    expected = _registered(bench)
    bench.host.callbacks.forget()
    monkeypatch.delattr(modules.script_callbacks, missing)
    webui.register()
    assert _registered(bench) == expected


def test_decoding_device_follows_host_and_setting(bench: Bench) -> None:
    import modules.devices

    modules.devices.device = "privateuseone:0"
    assert _host().device() == "privateuseone:0"
    bench.host.opts.riffusion_device = "Processor"
    assert _host().device() == "cpu"


def test_command_line_device_wins_over_the_setting(bench: Bench) -> None:
    import modules.shared

    bench.host.opts.riffusion_device = "Processor"
    modules.shared.cmd_opts.riffusion_device = None  # the flag is known and was not given
    assert _host().device() == "cpu"
    modules.shared.cmd_opts.riffusion_device = "cuda:1"
    assert _host().device() == "cuda:1"


def test_image_records_left_by_another_script_do_not_shift_the_seeds(bench: Bench) -> None:
    from riffusion_ext.host import script

    p = bench.host.start(bench.script, bench.job(batch_size=2), "On")
    processed = bench.host.process_images(bench.script, p, "On")
    job = script._job(p)
    job.origins = [ImageOrigin("left over", 99)]
    images = script._images(p, processed, job)
    assert [image.origin.seed for image in images] == [1, 2]


_START = """
import sys
from pathlib import Path
from tests.contract.fake_webui import FakeWebui
with FakeWebui(Path()).installed():
    before = set(sys.modules)
    from riffusion_ext.host import script, webui
    webui.register()
    print(*sorted(name.partition(".")[0] for name in set(sys.modules) - before))
    print(*(name for name in sys.modules if name.startswith(("riffusion_ext.audio", "riffusion_ext.metadata"))))
"""


def test_startup_imports_no_heavy_package() -> None:
    """The host's startup must not import torch, scipy, gradio or the inversion."""
    done = subprocess.run([sys.executable, "-c", _START], cwd=ROOT, capture_output=True, text=True, check=True)
    names, ours = done.stdout.splitlines()[:2]
    assert not {"torch", "scipy", "gradio", "soundfile", "torchaudio"} & set(names.split())
    assert ours.split() == []


@pytest.mark.parametrize("unset", [None, "", "None"])
@pytest.mark.parametrize("loaded", [False, True])
def test_unset_checkpoint_means_the_one_that_the_host_loads(bench: Bench, unset: Any, loaded: bool) -> None:
    """The setting of reForge is None until the user chooses; it loads the first of its list."""
    from riffusion_ext.host.model.checkpoint import chosen_name
    from tests.contract.fake_webui import CheckpointInfo

    listed = sys.modules["modules.sd_models"].checkpoints_list
    listed.clear()
    listed |= {info.title: info for info in (CheckpointInfo("riffusion-first"), CheckpointInfo("photo-other"))}
    if loaded:
        model = SimpleNamespace(sd_checkpoint_info=listed["photo-other"])
        sys.modules["modules.sd_models"].model_data.sd_model = model
    bench.host.opts.sd_model_checkpoint = unset
    expected = "photo-other" if loaded else "riffusion-first"
    assert chosen_name() == expected
    assert _host().checkpoint_is_riffusion() == (not loaded, expected)
    from riffusion_ext.host.status import status_html
    from riffusion_ext.host.webui import HOST

    assert expected in status_html(HOST, "Auto")


def test_missing_checkpoint_is_no_error(bench: Bench) -> None:
    from riffusion_ext.host.model.checkpoint import chosen_name

    sys.modules["modules.sd_models"].checkpoints_list.clear()
    bench.host.opts.sd_model_checkpoint = None
    assert chosen_name() == ""
    assert _host().checkpoint_is_riffusion() == (False, "")


def test_placeholder_model_of_a_host_counts_as_no_model(bench: Bench) -> None:
    """Forge's FakeInitialModel has no checkpoint."""
    from riffusion_ext.host.model.checkpoint import chosen_name

    sys.modules["modules.sd_models"].model_data.sd_model = object()
    bench.host.opts.sd_model_checkpoint = None
    assert chosen_name() == "riffusion-tiny"


def test_list_of_clips_never_appears_in_infotext(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even if the host writes callable values, and not in later jobs of a script."""

    def plain(p: Any, prompt: str, seed: int) -> str:
        return f"{prompt} {seed} {p.extra_generation_params}"

    monkeypatch.setattr(bench.host, "infotext", plain)
    p = bench.host.start(bench.script, bench.job(), "On")
    processed = bench.host.xyz(bench.script, p, [{"seed": 3}, {"seed": 4}], "On")
    assert [clip["seed"] for clip in processed.extra_generation_params["riffusion"]["clips"]] == [3, 4]
    assert not [text for text in processed.infotexts if "clips" in text]
    again = bench.host.process_images(bench.script, p, "On")  # a loop runs the same job again
    assert not [text for text in again.infotexts if "clips" in text]


def test_reply_of_the_first_job_lists_the_clips_of_all_jobs(bench: Bench) -> None:
    """As "prompts from file" does, which runs copies of the job it was given."""
    from tests.contract.fake_webui import Processed

    p = bench.host.start(bench.script, bench.job(), "On")
    bench.host.xyz(bench.script, p, [{"seed": 3}, {"seed": 4}], "On")
    p.all_prompts, p.all_seeds = ["a", "b"], [3, 4]
    reply = json.loads(Processed(p, [], []).js())["extra_generation_params"]["riffusion"]
    assert [clip["seed"] for clip in reply["clips"]] == [3, 4]


def test_xyz_plot_with_a_silent_first_cell_lists_the_other_clips(bench: Bench) -> None:
    p = bench.host.start(bench.script, bench.job(), "On")
    processed = bench.host.xyz(bench.script, p, [{"_riffusion_override": {"mode": "Off"}}, {}], "On")
    assert len(processed.extra_generation_params["riffusion"]["clips"]) == 1


@pytest.mark.parametrize("ending", ["jpg", "webp"])
def test_jpeg_and_webp_with_host_infotext_get_our_parameters(bench: Bench, tmp_path: Path, ending: str) -> None:
    from riffusion_ext.metadata import read_record
    from tests.contract.fake_sdnext import user_comment
    from tests.contract.fake_webui import ImageSaveParams

    processed, _ = bench.generate("On")
    for name, carried in (("picture", True), ("grid", False)):
        image = processed.images[0] if carried else Image.new("RGB", (8, 8))
        path = tmp_path / f"{name}.{ending}"
        params = ImageSaveParams(image, None, str(path), {"parameters": "funky bass"})
        bench.host.callbacks.fire("on_before_image_saved", params)
        image.save(path, exif=user_comment("funky bass"))
        written = path.read_bytes()
        bench.host.callbacks.fire("on_image_saved", params)
        with Image.open(path) as saved:
            assert (read_record(saved).source == "exif") == carried
            assert saved.getexif().get_ifd(0x8769)[0x9286][8:].decode("utf-16-be") == "funky bass"
        assert (path.read_bytes() == written) != carried
    assert bench.host.log == []
