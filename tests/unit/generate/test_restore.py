"""Files store how they were made: settings, model and images."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.generate.backends.base import Request
from riffusion_ext.generate.checkpoint.recipe import image_id
from riffusion_ext.generate.loop import Loop, LoopSettings
from riffusion_ext.generate.restore import images_in, settings_in
from riffusion_ext.generate.riff import Riff
from riffusion_ext.generate.riff_settings import RiffSettings
from riffusion_ext.generate.score.keyframes import Keyframe
from riffusion_ext.generate.score.parser import parse_score
from riffusion_ext.generate.song import Song, SongSettings
from riffusion_ext.params import SpectrogramParams
from tests.unit.generate.conftest import MakeSong
from tests.unit.generate.fake_backends import FakeBackend, by_seed


def test_song_files_name_their_model_and_images(tmp_path: Path, small: SpectrogramParams) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 128), np.uint8)
    images = {"seed_picture": Image.fromarray(noise).convert("RGB"), "mask": Image.fromarray(noise)}
    settings = SongSettings(parse_score("0:03 | a | seed 1"), width=128, overlap=32, params=small)
    song = Song(settings, tmp_path / "windows", **images)
    list(song.generate(FakeBackend(by_seed, name="one, two")))
    clip = song.sound()
    assert clip is not None
    sound = song.write(tmp_path / "song.wav", clip)
    window = next(tmp_path.glob("windows/*/windows/00001.png"))
    for path in (sound, window):
        assert settings_in(path) == ("song", settings)
        assert images_in(path) == {name: image_id(image) for name, image in images.items()}
    assert image_id(images["mask"]) != image_id(images["seed_picture"])
    assert 'Size: 128x64, Model: "one, two", Riffusion pictures: ' in song.infotext()


HOST_SAYS = (
    "{prompt}\nNegative prompt: Model hash: none, x\nSteps: 9, Sampler: Euler, Schedule type: Automatic, "
    'Seed: {seed}, Model hash: c283a100ba, VAE: "a, b.pt", Clip skip: 2, Lora hashes: "x: 1, RNG: CPU", '
    "Version: v1.10.1"
)


def _as_a_host(request: Request) -> Image.Image:
    image = by_seed(request)
    image.info["parameters"] = HOST_SAYS.format(prompt=request.prompts[0], seed=request.seeds[0])
    return image


def test_windows_store_their_own_recipe_and_audio_stores_the_infotext(tmp_path: Path, small: SpectrogramParams) -> None:
    """A host's infotext reader restores a window's own prompt and seed, and this program the whole song."""
    settings = SongSettings(parse_score("0:02 | a | seed 1\n0:02 | b | seed 2"), width=128, overlap=32, params=small)
    song = Song(settings, tmp_path / "windows")
    list(song.generate(FakeBackend(_as_a_host, name="model")))
    last = song.plan.windows[-1]
    folder = song.windows_folder
    assert folder is not None
    path = folder / f"{last.number:05d}.png"
    with Image.open(path) as image:
        text = str(image.info["parameters"])
    assert text.startswith(HOST_SAYS.format(prompt="b", seed=last.seeds[0]) + ", Riffusion song: ")
    assert settings_in(path) == ("song", settings)
    said = 'Model: model, Schedule type: Automatic, Model hash: c283a100ba, VAE: "a, b.pt", Clip skip: 2, Version: v1'
    assert said in song.infotext()
    clip = song.sound()
    assert clip is not None
    assert settings_in(song.write(tmp_path / "song.wav", clip)) == ("song", settings)


def test_recipe_text_inside_a_prompt_is_ignored(tmp_path: Path, small: SpectrogramParams) -> None:
    prompt = 'Riffusion loop: "{}", Riffusion pictures: "{\\"mask\\": \\"x\\"}"'
    loop = Loop(
        LoopSettings(prompt, bars=1, params=small), tmp_path / "windows", seed_picture=Image.new("RGB", (64, 64))
    )
    list(loop.generate(FakeBackend(by_seed, name="model")))
    window = next(tmp_path.glob("windows/*/windows/*.png"))
    assert settings_in(window) == ("loop", loop.settings)
    assert list(images_in(window)) == ["seed_picture"]
    assert "Model: model" in loop.infotext()


def test_riff_files_name_their_model(tmp_path: Path, small: SpectrogramParams, song: MakeSong) -> None:
    settings = RiffSettings((Keyframe("a", seed=1, seconds=1.0),), width=128, overlap=32, params=small)
    riff = Riff(song(1.0), settings, tmp_path / "windows")
    list(riff.generate(FakeBackend(by_seed, name="model")))
    wet = riff.wet()
    assert wet is not None
    path = riff.write(tmp_path / "riff.wav", wet)
    assert settings_in(path) == ("riff", settings)
    assert images_in(path) == {}
    assert "Model: model" in riff.infotext()


def test_foreign_files_name_no_images(tmp_path: Path) -> None:
    plain = write_audio(AudioClip(np.zeros((1, 100), np.float32), 8000), tmp_path / "plain.wav")
    foreign = tmp_path / "foreign.png"
    Image.new("RGB", (8, 8)).save(foreign)
    odd = {"riffusion": {"parameters": 'Riffusion pictures: "[1]"'}}
    strange = write_audio(
        AudioClip(np.zeros((1, 100), np.float32), 8000), tmp_path / "b.wav", tags={"comment": json.dumps(odd)}
    )
    for path in (plain, foreign, strange, tmp_path / "nowhere.wav"):
        assert images_in(path) == {}
