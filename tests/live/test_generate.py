"""Images of a real webui are decoded to sound, in every way of generating and of failing."""

from __future__ import annotations

import base64
import io
import threading
from pathlib import Path

import pytest
from PIL import Image

from tests.live.client import HEIGHT, SECONDS, WIDTH, Webui

pytestmark = pytest.mark.live


def _image() -> str:
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((WIDTH, HEIGHT)).convert("RGB").save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _mask() -> str:
    buffer = io.BytesIO()
    mask = Image.new("L", (WIDTH, HEIGHT), 0)
    mask.paste(255, (0, 0, WIDTH // 2, HEIGHT))
    mask.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _stems(names: list[str]) -> list[str]:
    return sorted(Path(name).stem for name in names)


def test_mode_auto_makes_sound_with_a_riffusion_checkpoint(webui: Webui) -> None:
    reply = webui.generate()
    assert len(reply.clips) == 1
    clip = reply.clips[0]
    assert _stems(webui.files(".wav")) == _stems(webui.files(".png")) == [Path(clip["file"]).stem]
    assert webui.seconds(clip["file"]) == pytest.approx(SECONDS, abs=1e-6)
    assert clip["duration"] == pytest.approx(SECONDS, abs=1e-3)
    assert clip["seed"] == 7
    assert "Riffusion sound: Auto" in reply.info["infotexts"][0]
    assert "clips" not in reply.info["infotexts"][0]


def test_mode_off_adds_neither_parameters_nor_files(webui: Webui) -> None:
    reply = webui.generate(riffusion=["Off"])
    assert reply.clips == []
    assert webui.files(".wav") == []
    assert "Riffusion" not in reply.info["infotexts"][0].replace("riffusion-", "")


def test_every_image_of_batches_has_its_own_sound(webui: Webui) -> None:
    reply = webui.generate(batch_size=2, n_iter=2)
    assert reply.info["index_of_first_image"] == 1, "the reply should begin with a grid, to show it gets no sound"
    assert [clip["seed"] for clip in reply.clips] == [7, 8, 9, 10]
    images = [path.name for path in (webui.folder / "txt").rglob("*.png")]
    assert _stems(webui.files(".wav")) == _stems(images)
    for clip in reply.clips:
        assert str(clip["seed"]) in clip["file"]
        assert Path(clip["picture"]).stem == Path(clip["file"]).stem


def test_joining_a_batch_adds_one_clip(webui: Webui) -> None:
    fade = 0.2
    reply = webui.generate(riffusion=[{"mode": "On", "joined": True, "crossfade": fade}], batch_size=3)
    *single, whole = reply.clips
    assert [clip["joined"] for clip in reply.clips] == [False] * 3 + [True]
    assert whole["duration"] == pytest.approx(3 * SECONDS - 2 * fade, abs=0.01)
    assert whole["file"] in webui.files("-joined.wav")
    assert len(single) == 3


def test_unsaved_images_have_clips(webui: Webui) -> None:
    reply = webui.generate(save_images=False)
    assert webui.files("") == []
    (clip,) = reply.clips
    assert clip["picture"] == ""
    assert clip["id"]
    assert clip["duration"] > 0


def test_hires_clip_has_the_duration_of_the_first_pass(webui: Webui) -> None:
    # Forge's API answers 500 to Hires fix without this field, with or without us.
    forge = {"hr_additional_modules": ["Use same choices"]} if webui.name == "forge" else {}
    reply = webui.generate(enable_hr=True, hr_scale=1.5, hr_upscaler="Latent", denoising_strength=0.5, **forge)
    assert reply.images[0].size == (WIDTH * 3 // 2, HEIGHT * 3 // 2)
    (clip,) = reply.clips
    assert clip["duration"] == pytest.approx(SECONDS, abs=1e-3)


def test_img2img_with_masks_makes_sound_of_the_images_only(webui: Webui) -> None:
    with webui.options(return_mask=True, return_mask_composite=True):
        reply = webui.generate(
            route="img2img",
            init_images=[_image()],
            mask=_mask(),
            inpaint_full_res=False,
            mask_blur=0,
            batch_size=2,
            denoising_strength=0.9,
        )
    assert len(reply.images) == 7, "grid, and two times image, mask, composite"
    assert [clip["seed"] for clip in reply.clips] == [7, 8]
    images = [path.name for path in (webui.folder / "img").rglob("*.png")]
    assert _stems(webui.files(".wav")) == _stems(images)


def test_xyz_plot_varies_a_riffusion_axis(webui: Webui) -> None:
    # After three axes of (type, values, chosen values): legend, sub-images, sub-grids, seeds of -1, vary seeds by x, y
    # and z, margin, values as text.
    rest = [False, True, False, False, False, False, False, 0, True]
    if webui.name == "reforge":  # after the legend: labels on each image, no grid, images in a grid
        rest[1:1] = [False, False, 0]
    reply = webui.generate(
        script_name="X/Y/Z plot",
        script_args=[
            *(_axis(webui, "Seed"), "3,4", []),
            *(_axis(webui, "[Riffusion] Level"), "peak,loudness", []),
            *(_axis(webui, "Nothing"), "", []),
            *rest,
        ],
    )
    assert [clip["seed"] for clip in reply.clips] == [3, 4, 3, 4]
    assert len(webui.files(".wav")) == 4
    levels = ["Riffusion level: loudness" in text for text in reply.info["infotexts"][-4:]]
    assert sorted(levels) == [False, False, True, True]


def _axis(webui: Webui, label: str) -> int:
    (script,) = [
        entry for entry in webui.call("script-info") if entry["name"] == "x/y/z plot" and not entry["is_img2img"]
    ]
    return script["args"][0]["choices"].index(label)


def test_prompts_from_a_list_have_their_own_clips(webui: Webui) -> None:
    reply = webui.generate(
        script_name="Prompts from file or textbox", script_args=[False, False, "start", "slow cello\nfast drums"]
    )
    assert len(reply.clips) == 2
    assert len(webui.files(".wav")) == 2


def test_interrupted_images_get_no_sound(webui: Webui) -> None:
    answered = threading.Event()

    def press_interrupt() -> None:
        while not answered.wait(0.1):  # a slow machine takes minutes to reach the second image
            state = webui.call("progress?skip_current_image=true")["state"]
            if state["job_no"] >= 1 and state["sampling_step"] >= 2:
                webui.call("interrupt", {})
                return

    presser = threading.Thread(target=press_interrupt)
    presser.start()
    try:
        reply = webui.generate(n_iter=3, steps=12)
    finally:
        answered.set()
        presser.join()
    assert 1 <= len(reply.clips) < 3
    assert [clip["seed"] for clip in reply.clips] == list(range(7, 7 + len(reply.clips)))
    assert "interrupted" in reply.messages


def test_unwritable_sound_file_is_reported_and_keeps_the_images(webui: Webui) -> None:
    with webui.options(save_images_add_number=False, samples_filename_pattern="[seed]", save_to_dirs=False):
        (webui.folder / "txt" / "8.wav").mkdir(parents=True)
        reply = webui.generate(batch_size=3)
    assert {"7.png", "8.png", "9.png", "7.wav", "9.wav"} <= set(webui.files(""))
    assert len(reply.clips) == 3, "the one in the way can still be played"
    assert "8.wav" in reply.messages
    assert len(reply.images) == 4


def test_add_number_suffix_gives_sound_and_image_the_same_name(webui: Webui) -> None:
    with webui.options(
        save_images_add_number=False,
        samples_filename_pattern="song",
        save_images_replace_action="Add number suffix",
        save_to_dirs=False,
    ):
        webui.generate(batch_size=2)
        reply = webui.generate(seed=20)
    assert webui.files(".wav") == ["song-1.wav", "song-2.wav", "song.wav"]
    assert [clip["file"] for clip in reply.clips] == ["song-2.wav"]


def test_lossy_image_has_a_png_beside_it_when_enabled(webui: Webui) -> None:
    with webui.options(samples_format="jpg", riffusion_sidecar=True):
        webui.generate()
    assert _stems(webui.files(".jpg")) == _stems(webui.files(".png")) == _stems(webui.files(".wav"))


def test_invalid_argument_is_reported_and_keeps_the_image(webui: Webui) -> None:
    reply = webui.generate(riffusion=[{"mode": "On", "engine": "warp"}])
    assert len(reply.images) == 1
    assert reply.clips == []
    assert "'warp'" in reply.messages
    assert "fast, best, reference" in reply.messages


def test_foreign_checkpoint_is_warned_about(webui: Webui) -> None:
    with webui.options(riffusion_model_patterns="no-such-name"):
        reply = webui.generate(riffusion=["On"])
        quiet = webui.generate()
    assert "does not look like a Riffusion model" in reply.messages
    assert len(reply.clips) == 1
    assert quiet.clips == []


def test_infotext_of_an_image_restores_our_settings(webui: Webui) -> None:
    if webui.name == "forge":
        pytest.skip("Forge's API answers 500 to any infotext (isinstance with list[str]); its page is tested instead")
    first = webui.generate(riffusion=["On", "best", "loudness"])
    text = first.info["infotexts"][0]
    assert "Riffusion engine: best" in text
    again = webui.call("txt2img", {"infotext": text, "steps": 1, "width": WIDTH, "height": HEIGHT})
    assert "Riffusion engine: best" in again["info"]
    assert "Riffusion level: loudness" in again["info"]


def test_flac_is_written_or_soundfile_is_named_as_missing(webui: Webui) -> None:
    reply = webui.generate(riffusion=["On", "fast", "peak", "flac"])
    assert reply.clips[0]["file"].endswith(".flac") or "soundfile" in reply.messages
