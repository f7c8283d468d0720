"""The command line, run in this process."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from riffusion_ext import __version__, metadata
from riffusion_ext.audio import io
from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.io import read_audio, read_tags, write_audio
from riffusion_ext.cli import main
from riffusion_ext.convert import decode
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram import codec
from tests.unit.tones import HOP, length, tones


def make_images(folder: Path, *names: str, width: int = 40) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        tones(width, seed=number).save(folder / name)
    return [folder / name for name in names]


def make_sound(path: Path, seconds: float = 0.6, *, channels: int = 1) -> Path:
    t = np.arange(int(seconds * 44100)) / 44100
    wave = 0.4 * np.sin(2 * np.pi * 440 * t)
    return write_audio(AudioClip(np.tile(wave.astype(np.float32), (channels, 1)), 44100), path)


def leftovers(folder: Path, expected: Sequence[str]) -> list[str]:
    return sorted(p.name for p in folder.rglob("*") if p.is_file() and p.name not in expected)


# --- the program itself ----------------------------------------------------------------------------------------------


def test_help_imports_nothing_heavy():
    code = (
        "import sys, riffusion_ext.cli as cli; cli.build_parser().format_help(); "
        "print(sorted({'torch', 'numpy', 'scipy', 'PIL', 'gradio', 'soundfile', 'tqdm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_option_version_prints_the_version(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        main(["--version"])
    assert end.value.code == 0
    assert __version__ in capsys.readouterr().out


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["image-to-audio"],
        ["image-to-audio", "--image", "{pictures}", "--audio", "one.wav"],
        ["image-to-audio", "--image", "{pictures}", "--audio", "one.aiff"],
        ["image-to-audio", "--image", "{picture}", "--audio", "one.wav", "--format", "flac"],
        ["image-to-audio", "--image", "{pictures}", "--join", "song", "--crossfade", "1"],
        ["image-to-audio", "--image", "{pictures}", "--crossfade", "-1"],
        ["image-to-audio", "--image", "{pictures}", "--crossfade", "nan"],
        ["image-to-audio", "--image", "{pictures}", "--max-frequency", "50", "--min-frequency", "90"],
        ["image-to-audio", "--image", "{pictures}", "--overwrite", "--skip-existing"],
        ["audio-to-image", "--audio", "{pictures}", "--columns", "1"],
        ["audio-to-image", "--audio", "{pictures}", "--power-for-image", "nan"],
        ["info"],
        ["image-to-audio", "--image", "{picture}", "--device", "banana"],
        ["audio-to-image", "--audio", "{pictures}", "--device", "banana"],
        ["audio-to-image", "--audio", "{pictures}", "--sample-rate", "own"],
        ["demo", "--device", "banana"],
        ["image-to-audio", "--image", "{picture}", "--sample-rate", "file"],
    ],
)
def test_invalid_usage_exits_with_code_2_and_a_message(
    args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    images = make_images(tmp_path / "pictures", "a.png", "b.png")
    with pytest.raises(SystemExit) as end:
        main([arg.format(pictures=tmp_path / "pictures", picture=images[0]) for arg in args])
    assert end.value.code == 2
    assert "error" in capsys.readouterr().err
    assert leftovers(tmp_path, ["a.png", "b.png"]) == []


# --- images to sound -----------------------------------------------------------------------------------------------


def test_single_image_is_decoded_to_the_named_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (image,) = make_images(tmp_path, "clip.png")
    assert main(["image-to-audio", "--image", str(image), "--audio", str(tmp_path / "clip.wav")]) == 0
    clip = read_audio(tmp_path / "clip.wav")
    assert clip.samples.shape == (1, 39 * HOP)
    assert clip.peak > 0.9
    out = capsys.readouterr().out
    assert "clip.wav" in out
    assert "0.39 s" in out
    comment = metadata.parse_audio_comment(read_tags(tmp_path / "clip.wav")["comment"])
    assert comment is not None
    assert SpectrogramParams.from_mapping(comment) == PRESETS["riffusion-v1"]


def test_sound_goes_beside_the_image_by_default(tmp_path: Path):
    (image,) = make_images(tmp_path / "deep", "clip.png")
    assert main(["image-to-audio", "--image", str(image)]) == 0
    assert (tmp_path / "deep" / "clip.wav").is_file()


def test_folder_is_decoded_into_a_folder_in_natural_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    make_images(tmp_path / "in", "img10.png", "img2.png", "img1.jpg", "._img1.png")
    assert main(["image-to-audio", "--image", f"{tmp_path}/in", "--audio", f"{tmp_path}/out", "--format", "flac"]) == 0
    assert re.findall(r"-> .*?(img\d+\.flac)", capsys.readouterr().out) == ["img1.flac", "img2.flac", "img10.flac"]
    assert leftovers(tmp_path / "out", ["img1.flac", "img2.flac", "img10.flac"]) == []


def test_option_json_prints_only_json_to_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    make_images(tmp_path / "in", "a.png", "b.png")
    (tmp_path / "in" / "bad.png").write_text("not an image")
    assert main(["image-to-audio", "--image", f"{tmp_path}/in", "--audio", f"{tmp_path}/out/", "--json"]) == 1
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert (document["done"], document["failed"], document["skipped"], document["stopped"]) == (2, 1, 0, False)
    first = document["results"][0]
    assert Path(first["outputs"][0]).is_file()
    assert (first["duration"], first["sample_rate"], first["channels"]) == (pytest.approx(0.39), 44100, 1)
    assert "bad.png" in captured.err


def test_option_quiet_prints_nothing_on_success(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    make_images(tmp_path, "a.png", "b.png")
    assert main(["image-to-audio", "--image", str(tmp_path), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (512, 64, 3), np.uint8))


def exif_of_nonsense() -> Image.Exif:
    exif = Image.Exif()
    exif[11000], exif[11020], exif[11070], exif[11080] = 44100, 100, float("nan"), float("nan")
    exif[274] = 1
    return exif


BAD: dict[str, Callable[[Path], object]] = {
    "not an image": lambda path: path.write_text("hello"),
    "empty file": lambda path: path.write_bytes(b""),
    "truncated": lambda path: (noise().save(path), path.write_bytes(path.read_bytes()[:3000])),
    "1 px": lambda path: Image.new("RGB", (1, 1), "black").save(path),
    "a folder": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_image_is_reported_in_one_line_and_the_others_are_decoded(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    first, last = make_images(tmp_path, "a.png", "z.png")
    bad = tmp_path / "m.png"
    BAD[kind](bad)
    names = [str(first), str(bad), str(last)]
    assert main(["image-to-audio", "--image", *names, "--audio", f"{tmp_path}/out/"]) == 1
    captured = capsys.readouterr()
    assert len([line for line in captured.err.splitlines() if line.startswith("failed: ")]) == 1
    assert "m.png" in captured.err
    assert "Traceback" not in captured.err
    assert "2 done, 1 failed" in captured.err
    assert leftovers(tmp_path / "out", ["a.wav", "z.wav"]) == []


@pytest.mark.parametrize(
    "kind", ["all white", "all black", "NaN in EXIF", pytest.param("20,000 px", marks=pytest.mark.slow)]
)
def test_unusual_images_give_complete_files(kind: str, tmp_path: Path):
    path = tmp_path / "odd.png"
    options = {"exif": exif_of_nonsense()} if kind == "NaN in EXIF" else {}
    width, hop, words = 64, HOP, []
    image = Image.new("RGB", (width, 512), kind.split()[1]) if kind.startswith("all") else tones(width)
    if kind == "20,000 px":  # few rows and a low sample rate, to be fast
        width, hop = 20_000, 80
        words = ["--num-frequencies", "64", "--sample-rate", "8000", "--max-frequency", "4000"]
        image = tones(width).resize((width, 64), Image.Resampling.NEAREST)
    image.save(path, **options)
    assert main(["image-to-audio", "--image", str(path), "--quiet", *words]) == 0
    clip = read_audio(tmp_path / "odd.wav")
    assert clip.samples.shape == (1, (width - 1) * hop)
    assert np.isfinite(clip.samples).all()
    assert (clip.peak == 0) == (kind == "all white")


def test_existing_files_are_not_overwritten_by_default(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (image,) = make_images(tmp_path, "a.png")
    sound = tmp_path / "a.wav"
    sound.write_bytes(b"mine")
    assert main(["image-to-audio", "--image", str(image)]) == 1
    assert "exists" in capsys.readouterr().err
    assert main(["image-to-audio", "--image", str(image), "--skip-existing"]) == 0
    assert sound.read_bytes() == b"mine"
    assert main(["image-to-audio", "--image", str(image), "--overwrite"]) == 0
    assert length(sound) == 39 * HOP


@pytest.mark.parametrize("name", ['quote\'s "double" $HOME.png', "sax 🎷 日本.png", "x" * 251 + ".png", "-dash.png"])
def test_unusual_file_names_are_decoded(name: str, tmp_path: Path):
    make_images(tmp_path / "in", name)
    assert main(["image-to-audio", "--image", f"{tmp_path}/in", "--audio", f"{tmp_path}/out/", "--quiet"]) == 0
    (made,) = (tmp_path / "out").iterdir()
    assert made.suffix == ".wav"
    assert name.startswith(made.stem)


@pytest.mark.parametrize("target", ["{}/" + "y" * 300 + ".wav", "{}/file.txt/a.wav", "{}/file.txt/sub/"])
def test_unwritable_output_is_reported(target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (image,) = make_images(tmp_path, "a.png")
    (tmp_path / "file.txt").write_text("in the way")
    assert main(["image-to-audio", "--image", str(image), "--audio", target.format(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 2
    assert "Traceback" not in err
    assert ("file name is too long (304 bytes" if "yyy" in target else "is not a folder") in err
    assert leftovers(tmp_path, ["a.png", "file.txt"]) == []


def test_without_soundfile_other_formats_are_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(io, "available_formats", lambda: ("wav",))
    monkeypatch.setattr(codec, "images_to_audio", None)
    (image,) = make_images(tmp_path, "a.png")
    assert main(["image-to-audio", "--image", str(image), "--format", "mp3"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "soundfile" in line


def test_joined_song_has_the_length_of_all_tiles(tmp_path: Path):
    make_images(tmp_path / "tiles", "t1.png", "t2.png", "t10.png", width=30)
    song = tmp_path / "song.wav"
    assert main(["image-to-audio", "--image", f"{tmp_path}/tiles", "--join", "song", "--audio", str(song), "-q"]) == 0
    assert length(song) == (3 * 30 - 1) * HOP
    assert leftovers(tmp_path, ["t1.png", "t2.png", "t10.png", "song.wav"]) == []


def test_tiles_in_shell_order_are_joined_in_natural_order(tmp_path: Path):
    paths = make_images(tmp_path, "t1.png", "t10.png", "t2.png")
    for path, width in zip(paths, (20, 40, 30), strict=True):
        metadata.save_image(tones(width), path, PRESETS["riffusion-v1"], {20: 1e6, 30: 2e6, 40: 8e6}[width])
    loudness = {}
    for order in ("natural", "given"):
        song = tmp_path / f"{order}.wav"
        args = ["image-to-audio", "--image", *map(str, paths), "--join", "clips", "--order", order]
        assert main([*args, "--level", "recorded", "--audio", str(song), "-q"]) == 0
        samples = read_audio(song).samples[0]
        loudness[order] = [float(np.abs(part).mean()) for part in np.array_split(samples, 9)]
    assert np.argmax(loudness["natural"]) > 4
    assert np.argmax(loudness["given"]) < 6
    assert loudness["natural"][-1] > 2 * loudness["natural"][3]
    assert loudness["given"][-1] < loudness["given"][3] / 2


def test_silence_replaces_an_unreadable_tile(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    paths = make_images(tmp_path / "tiles", "t1.png", "t2.png", "t3.png", width=40)
    paths[1].write_text("no image")
    song = tmp_path / "song.wav"
    assert main(["image-to-audio", "--image", f"{tmp_path}/tiles", "--join", "song", "--audio", str(song)]) == 1
    err = capsys.readouterr().err
    assert "silence stands in the place of t2.png" in err
    assert "failed: " in err
    samples = read_audio(song).samples[0]
    assert len(samples) == (3 * 40 - 1) * HOP
    first, missing, last = (np.abs(samples[at * HOP : (at + 8) * HOP]).mean() for at in (16, 56, 96))
    assert missing < 0.01 * min(first, last)


def test_silence_replaces_an_unreadable_first_tile(tmp_path: Path):
    paths = make_images(tmp_path / "tiles", "t1.png", "t2.png", width=40)
    paths[0].write_text("no image")
    song = tmp_path / "song.wav"
    assert main(["image-to-audio", "--image", f"{tmp_path}/tiles", "--join", "song", "--audio", str(song), "-q"]) == 1
    assert length(song) == (2 * 40 - 1) * HOP


def test_joined_sound_is_written_into_a_new_folder(tmp_path: Path):
    make_images(tmp_path / "tiles", "t1.png", "t2.png", width=20)
    args = ["image-to-audio", "--image", f"{tmp_path}/tiles", "--join", "song", "--audio", f"{tmp_path}/new", "-q"]
    assert main(args) == 0
    assert length(tmp_path / "new" / "joined.wav") == 39 * HOP


def test_other_devices_are_accepted_with_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (image,) = make_images(tmp_path, "a.png", width=20)
    assert main(["image-to-audio", "--image", str(image), "--device", "mps"]) == 0
    assert "note: --device mps: the CPU does the work" in capsys.readouterr().err


def test_joined_clips_overlap_by_the_crossfade(tmp_path: Path):
    make_images(tmp_path / "tiles", "t1.png", "t2.png", width=30)
    (tmp_path / "tiles" / "t3.png").write_text("no image")
    assert main(["image-to-audio", "--image", f"{tmp_path}/tiles", "--crossfade", "0.1", "-q"]) == 1
    assert length(tmp_path / "tiles" / "joined.wav") == 2 * 29 * HOP - 4410


def test_a_quiet_image_stays_quiet_in_joined_clips(tmp_path: Path):
    for name, max_value in (("1.png", 4e6), ("2.png", 4e5)):
        metadata.save_image(tones(60), tmp_path / name, PRESETS["riffusion-v1"], max_value)
    assert main(["image-to-audio", "--image", str(tmp_path), "--join", "clips", "-q"]) == 0
    clip = read_audio(tmp_path / "joined.wav")
    half = clip.samples.shape[1] // 2
    loud, quiet = (np.sqrt((part**2).mean()) for part in (clip.samples[:, :half], clip.samples[:, half:]))
    assert loud / quiet == pytest.approx(10, rel=0.15)


def test_gpu_decodes_eight_images_per_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_images(tmp_path, *(f"{n}.png" for n in range(10)), width=20)
    make_images(tmp_path, "wide.png", width=200)
    monkeypatch.setattr(decode, "BATCH_COLUMNS", 8 * 20)
    monkeypatch.setattr(decode, "images_per_batch", lambda device: 8)
    real, sizes = codec.images_to_audio, []

    def spy(images: Sequence[Image.Image], *args: object, **kwargs: object) -> object:
        sizes.append([image.width for image in images])
        return real(images[:1], *args, **kwargs) * len(images)

    monkeypatch.setattr(codec, "images_to_audio", spy)
    assert main(["image-to-audio", "--image", str(tmp_path), "-q"]) == 0
    assert sizes == [[20] * 8, [20] * 2, [200]]


def test_failed_batch_is_retried_image_by_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_images(tmp_path, "a.png", "b.png", "c.png")
    real = codec.images_to_audio

    def brittle(images: Sequence[Image.Image], *args: object, **kwargs: object) -> object:
        if len(images) > 1:
            raise MemoryError("out of memory")
        return real(images, *args, **kwargs)

    monkeypatch.setattr(codec, "images_to_audio", brittle)
    monkeypatch.setattr(decode, "images_per_batch", lambda device: 8)
    assert main(["image-to-audio", "--image", str(tmp_path), "-q"]) == 0
    assert length(tmp_path / "c.wav") == 39 * HOP


def test_one_image_per_core_is_decoded_at_once(monkeypatch: pytest.MonkeyPatch):
    for cores, images in ((1, 1), (3, 3), (64, decode.BATCH_IMAGES)):
        monkeypatch.setattr(torch, "get_num_threads", lambda cores=cores: cores)
        assert decode.images_per_batch("cpu") == images


def test_ctrl_c_leaves_only_complete_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    make_images(tmp_path / "in", *(f"{n}.png" for n in range(4)), width=20)
    real, calls = codec.images_to_audio, []

    def stopped(images: Sequence[Image.Image], *args: object, **kwargs: object) -> object:
        calls.append(len(images))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(images, *args, **kwargs)

    monkeypatch.setattr(codec, "images_to_audio", stopped)
    monkeypatch.setattr(decode, "images_per_batch", lambda device: 1)
    assert main(["image-to-audio", "--image", f"{tmp_path}/in", "--audio", f"{tmp_path}/out/", "--json"]) == 130
    document = json.loads(capsys.readouterr().out)
    assert document["stopped"] is True
    assert document["done"] == 2
    made = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in made] == [f"{n}.wav" for n in range(2)]
    assert {length(path) for path in made} == {19 * HOP}


# --- sound to images -----------------------------------------------------------------------------------------------


def test_sound_is_encoded_into_one_wide_image(tmp_path: Path):
    make_sound(tmp_path / "song.wav", 0.6)
    assert main(["audio-to-image", "--audio", f"{tmp_path}/song.wav", "--image", f"{tmp_path}/song.png"]) == 0
    with Image.open(tmp_path / "song.png") as image:
        assert (image.size, image.mode) == ((61, 512), "RGB")
        record = metadata.read_record(image)
    assert record.params == PRESETS["riffusion-v1"]
    assert record.max_value is not None


def test_tiles_are_padded_with_silence_and_share_a_level(tmp_path: Path):
    make_sound(tmp_path / "song.wav", 0.6)
    args = ["audio-to-image", "--audio", f"{tmp_path}/song.wav", "--image", f"{tmp_path}/tiles/", "--columns", "40"]
    assert main(args) == 0
    paths = sorted((tmp_path / "tiles").iterdir())
    assert [path.name for path in paths] == ["song_00000.png", "song_00001.png"]
    images = [codec.read_image(path) for path in paths]
    assert {image.size for image in images} == {(40, 512)}
    assert len({metadata.read_record(image).max_value for image in images}) == 1
    assert np.asarray(images[1])[:, 25:].min() > 200
    assert main(args) == 1
    assert main([*args, "--skip-existing"]) == 0


def test_the_original_options_are_accepted(tmp_path: Path):
    make_sound(tmp_path / "song.wav", 0.6, channels=2)
    options = "--step-size-ms 20 --num-frequencies 256 --min-frequency 20 --max-frequency 8000 --window-duration-ms 80"
    options += " --padded-duration-ms 200 --power-for-image 0.5 --stereo --device cpu"
    args = ["audio-to-image", "--audio", f"{tmp_path}/song.wav", "--image", f"{tmp_path}/song.png", *options.split()]
    assert main(args) == 0
    with Image.open(tmp_path / "song.png") as image:
        params = metadata.read_record(image).params
        assert image.size == (31, 256)
    assert params == SpectrogramParams(44100, True, 20, 80, 200, 256, 20, 8000, 0.5)
    assert main(["image-to-audio", "--image", f"{tmp_path}/song.png", "--audio", f"{tmp_path}/b.wav"]) == 0
    assert read_audio(tmp_path / "b.wav").samples.shape == (2, 30 * 882)


def test_option_no_stereo_overrides_the_preset(tmp_path: Path):
    make_sound(tmp_path / "song.wav", 0.3, channels=2)
    args = ["audio-to-image", "--audio", f"{tmp_path}/song.wav", "--preset", "20khz-stereo", "--no-stereo"]
    assert main([*args, "--image", f"{tmp_path}/song.png", "-q"]) == 0
    with Image.open(tmp_path / "song.png") as image:
        assert metadata.read_record(image).params == PRESETS["20khz-stereo"].replace(stereo=False)


@pytest.mark.parametrize(("option", "rate"), [([], 44100), (["file"], 32000), (["22050"], 22050)])
def test_sample_rate_is_that_of_the_model_unless_requested(option: list[str], rate: int, tmp_path: Path):
    write_audio(AudioClip(np.full((1, 16000), 0.1, np.float32), 32000), tmp_path / "song.wav")
    given = ["--sample-rate", *option] if option else []
    args = ["audio-to-image", "--audio", f"{tmp_path}/song.wav", "--image", f"{tmp_path}/song.png", "-q", *given]
    assert main(args) == 0
    with Image.open(tmp_path / "song.png") as image:
        assert metadata.read_record(image).params.sample_rate == rate
        assert image.width in (51, 52)  # half a second at any rate


def test_tiles_left_by_a_longer_song_are_noted_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    args = ["audio-to-image", "--audio", f"{tmp_path}/song.wav", "--image", f"{tmp_path}/tiles/", "--columns", "20"]
    make_sound(tmp_path / "song.wav", 0.9)
    assert main(args) == 0
    assert "older tiles" not in capsys.readouterr().err
    (tmp_path / "tiles" / "song_00009x.png").touch()
    make_sound(tmp_path / "song.wav", 0.5)
    assert main([*args, "--overwrite"]) == 0
    (note,) = [line for line in capsys.readouterr().err.splitlines() if "older tiles" in line]
    assert note.endswith("would be joined with them: song_00003.png, song_00004.png")
    assert len(list((tmp_path / "tiles").iterdir())) == 6


def test_bad_sounds_are_reported_in_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    make_sound(tmp_path / "good.wav")
    (tmp_path / "bad.mp3").write_text("nothing to hear")
    (tmp_path / "empty.wav").write_bytes(b"")
    assert main(["audio-to-image", "--audio", str(tmp_path), "--image", f"{tmp_path}/out/"]) == 1
    err = capsys.readouterr().err
    assert len([line for line in err.splitlines() if line.startswith("failed: ")]) == 2
    assert "1 done, 2 failed" in err
    assert leftovers(tmp_path / "out", ["good.png"]) == []


def test_image_too_wide_for_its_format_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    make_sound(tmp_path / "song.wav", 164.0)
    args = ["audio-to-image", "--audio", f"{tmp_path}/song.wav", "--image", f"{tmp_path}/song.webp"]
    assert main(args) == 1
    assert "16383" in capsys.readouterr().err
    assert main([*args, "--duration", "0.5"]) == 0


# --- info ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["info"], ["info", "--image"], ["print-exif", "--image"]])
def test_info_shows_what_is_recorded(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = metadata.save_image(tones(64), tmp_path / "a.png", PRESETS["20khz-stereo"], 1234567.0)
    assert main([*command, str(path)]) == 0
    out = capsys.readouterr().out
    for expected in ("64 x 512", "10 to 20000 Hz", "stereo", "0.63 s", "44100 Hz"):
        assert expected in out


def test_info_shows_the_height_of_an_image_without_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    Image.new("RGB", (30, 1024), "white").save(tmp_path / "tall.png")
    assert main(["info", f"{tmp_path}/tall.png"]) == 0
    assert re.search(r"frequencies +1024, 0 to 10000 Hz", capsys.readouterr().out)


def test_info_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    image = metadata.save_image(tones(64), tmp_path / "a.png", PRESETS["riffusion-v1"], 5e6)
    sound = make_sound(tmp_path / "b.wav")
    (tmp_path / "c.png").write_text("no")
    assert main(["info", "--json", str(image), str(sound), f"{tmp_path}/c.png", f"{tmp_path}/none.png"]) == 1
    results = {Path(item["source"]).name: item for item in json.loads(capsys.readouterr().out)["results"]}
    assert results["a.png"]["params"]["num_frequencies"] == 512
    assert results["a.png"]["max_value"] == pytest.approx(5e6)
    assert results["b.wav"]["duration"] == pytest.approx(0.6)
    assert results["c.png"]["error"]
    assert results["none.png"]["error"]


def test_messages_of_c_libraries_do_not_reach_the_terminal(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, (1, 44100)).astype(np.float32)
    path = write_audio(AudioClip(noise, 44100), tmp_path / "a.mp3")
    data = bytearray(path.read_bytes())
    data[8000:12000] = bytes(range(250)) * 16
    path.write_bytes(data)
    command = [sys.executable, "-m", "riffusion_ext", "audio-to-image", "-i", str(path), "-o", f"{tmp_path}/out/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not re.search("mpg123|resync|Illegal|Xing", done.stderr), done.stderr
    loud = subprocess.run([*command, "--verbose", "--overwrite"], capture_output=True, text=True, check=False)
    assert re.search("mpg123|resync|Illegal|Xing", loud.stderr), "the file makes the libraries print something"
    missing = subprocess.run([*command[:5], "gone.mp3"], capture_output=True, text=True, check=False)
    assert "no such file or folder: gone.mp3" in missing.stderr, "our own messages still appear"


def test_control_characters_in_names_are_escaped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = tmp_path / "a\x1b[31m\n\u202ered.txt"
    odd.write_text("no sound")
    for command in (["info", str(odd)], ["audio-to-image", "-i", str(odd)]):
        assert main(command) == 1
        said = capsys.readouterr().err
        assert "\\x1b[31m\\x0a\\x202ered.txt" in said
        assert "\x1b" not in said


def test_empty_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", ""]) == 1
    assert "an empty name names no file" in capsys.readouterr().err


def test_info_reads_long_sounds_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from riffusion_ext.audio import stream

    seen: list[int] = []
    read = stream.read_wav

    def counted(*args: Any, **kwargs: Any) -> Any:
        clip = read(*args, **kwargs)
        seen.append(clip.samples.size)
        return clip

    monkeypatch.setattr(stream, "read_wav", counted)
    monkeypatch.setattr(stream, "PIECE_SECONDS", 2)
    samples = np.zeros((1, 8000 * 9), np.float32)
    samples[0, -5] = 0.5
    write_audio(AudioClip(samples, 8000), tmp_path / "a.wav")
    assert main(["info", str(tmp_path / "a.wav")]) == 0
    said = capsys.readouterr().out
    assert "9.000 s" in said
    assert "0.500 of full scale" in said
    assert max(seen) == 16000
