"""The commands that work through folders: images-to-audio, and those of the original library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext import metadata
from riffusion_ext.audio import AudioClip, read_audio, write_audio
from riffusion_ext.cli import main
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram import threads as crew
from tests.unit.tones import HOP, length, tones


def hits(width: int = 300, period: int = 50, first: int = 10) -> Image.Image:
    since = (np.arange(width) - first) % period
    row = np.where(np.arange(width) < first, 240, 240 - 200 * np.exp(-since / 12)).astype(np.uint8)
    return Image.fromarray(np.tile(row, (512, 1))).convert("RGB")


def make_images(folder: Path, *names: str, width: int = 40) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        tones(width, number).save(folder / name)
    return folder


def make_sounds(folder: Path, *names: str, seconds: float = 1.0, channels: int = 2) -> Path:
    rng = np.random.default_rng(0)
    for name in names:
        wave = 0.3 * rng.standard_normal((channels, round(seconds * 44100))).astype(np.float32)
        write_audio(AudioClip(wave, 44100), folder / name)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# --- images-to-audio -------------------------------------------------------------------------------------------------


def test_a_folder_becomes_clips_and_a_track(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_images(tmp_path / "in", "t10.png", "t2.png", "t1.jpg")
    assert main(["images-to-audio", "--image", str(folder), "--output-dir", f"{tmp_path}/out"]) == 0
    assert names(tmp_path / "out") == ["joined.wav", "t1.wav", "t10.wav", "t2.wav"]
    assert length(tmp_path / "out" / "joined.wav") == 3 * 39 * HOP
    captured = capsys.readouterr()
    order = [line.split(" -> ")[1].split("/")[-1].split()[0] for line in captured.out.splitlines()]
    assert order == ["t1.wav", "t2.wav", "t10.wav", "joined.wav"]
    assert "4 done" in captured.err


def test_sound_goes_beside_the_images_by_default(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "a.png", "b.png")
    assert main(["images-to-audio", "--image", str(folder), "--crossfade", "0.1", "-q"]) == 0
    assert names(folder) == ["a.png", "a.wav", "b.png", "b.wav", "joined.wav"]
    assert length(folder / "joined.wav") == 2 * 39 * HOP - 4410


@pytest.mark.parametrize(
    ("options", "made"),
    [
        (["--no-each"], ["joined.wav"]),
        (["--no-join"], ["a.wav", "b.wav"]),
        (["--no-each", "--joined-name", "mix of {folder}", "--format", "flac"], ["mix of out.flac"]),
        (["--glob", "B*"], ["b.wav"]),
        (["--glob", "a.*, *.jpg", "--no-each"], ["joined.wav"]),
    ],
)
def test_kind_of_result_can_be_chosen(options: list[str], made: list[str], tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "a.png", "b.png")
    args = ["images-to-audio", "--image", str(folder), "--output-dir", f"{tmp_path}/out", "-q", *options]
    assert main(args) == 0
    assert names(tmp_path / "out") == made


def test_clip_named_like_the_joined_track_gets_another_name(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "in", "joined.png", "b.png")
    assert main(["images-to-audio", "--image", str(folder), "--output-dir", f"{tmp_path}/out", "-q"]) == 0
    assert names(tmp_path / "out") == ["b.wav", "joined.wav", "joined_png.wav"]
    assert length(tmp_path / "out" / "joined.wav") == 2 * 39 * HOP


def test_cuts_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, first in (("a.png", 10), ("b.png", 30)):
        hits(first=first).save(tmp_path / name)
    make_images(tmp_path, "c.png")
    args = ["images-to-audio", "--image", str(tmp_path), "--output-dir", f"{tmp_path}/out", "--crop", "every"]
    assert main([*args, "--band-start", "0", "--band-length", "1", "--json"]) == 0
    captured = capsys.readouterr()
    one, two, whole, track = json.loads(captured.out)["results"]
    assert one["cut"]["bars"] == two["cut"]["bars"] == 1
    assert one["cut"]["duration"] == pytest.approx(2.0, abs=0.01)
    assert two["cut"]["start"] - one["cut"]["start"] == pytest.approx(0.2, abs=0.01)
    assert "cut" not in whole
    assert "heard whole" in whole["notes"][0]
    assert track["duration"] == pytest.approx(4.0 + 0.39, abs=0.02)
    assert "1 bar of 4 beats at 120" in captured.err


def test_a_preview_makes_no_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hits().save(tmp_path / "a.png")
    hits(period=40).save(tmp_path / "b.png")
    args = ["images-to-audio", "--image", f"{tmp_path}/*.png", "--crop", "once", "--preview"]
    assert main([*args, f"{tmp_path}/cuts/"]) == 0
    assert main([*args, f"{tmp_path}/one.png"]) == 0
    assert names(tmp_path / "cuts") == ["a_cut.png", "b_cut.png"]
    assert names(tmp_path) == ["a.png", "b.png", "cuts", "one.png"]
    assert main([*args, f"{tmp_path}/one.png"]) == 1
    assert "file exists" in capsys.readouterr().err
    with Image.open(tmp_path / "one.png") as image:
        assert image.width == 300


def test_bad_images_are_reported_in_one_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_images(tmp_path / "in", "a.png", "c.png")
    (folder / "b.png").write_text("no image")
    args = ["images-to-audio", "--image", str(folder), "--output-dir", f"{tmp_path}/out", "--crop", "every"]
    assert main(args) == 1
    err = capsys.readouterr().err
    assert len([line for line in err.splitlines() if line.startswith("failed: ")]) == 1
    assert "b.png" in err
    assert length(tmp_path / "out" / "joined.wav") == 2 * 39 * HOP
    assert main([*args[:-2], "--preview", f"{tmp_path}/cuts/", "--crop", "every"]) == 1
    assert names(tmp_path / "cuts") == ["a_cut.png", "c_cut.png"]


# --- sample-clips ----------------------------------------------------------------------------------------------------


def test_clips_are_named_as_by_the_original(tmp_path: Path) -> None:
    make_sounds(tmp_path, "song.wav", seconds=7)
    args = ["sample-clips", "--audio", f"{tmp_path}/song.wav", "--num-clips", "2", "--seed", "5"]
    assert main([*args, "--output-dir", f"{tmp_path}/out", "-q"]) == 0
    random = np.random.RandomState(5)
    starts = [random.randint(0, 7000 - 5120) for _ in range(2)]
    expected = [f"clip_{i}_start_{start}_ms_duration_5120_ms.wav" for i, start in enumerate(starts)]
    assert names(tmp_path / "out") == sorted(expected)
    clip = read_audio(tmp_path / "out" / expected[0])
    assert clip.samples.shape == (2, 5120 * 44100 // 1000)


def test_sample_clips_honours_its_other_options(tmp_path: Path) -> None:
    make_sounds(tmp_path, "song.wav")
    args = [
        "sample-clips",
        "--audio",
        f"{tmp_path}/song.wav",
        "--output-dir",
        f"{tmp_path}/out",
        "--duration-ms",
        "400",
    ]
    assert main([*args, "--mono", "--extension", "flac", "-q"]) == 0
    (path,) = (tmp_path / "out").iterdir()
    assert path.suffix == ".flac"
    assert read_audio(path).samples.shape == (1, 17640)


@pytest.mark.parametrize("threads", ["1", "3"])
def test_clips_depend_on_the_seed_but_not_on_the_number_of_threads(threads: str, tmp_path: Path) -> None:
    make_sounds(tmp_path / "in", "b.wav", "a.flac", "c 10.wav")
    args = ["sample-clips-batch", "--audio-dir", f"{tmp_path}/in", "--output-dir", f"{tmp_path}/out", "--seed", "1"]
    options = ["--num-clips-per-file", "2", "--duration-ms", "300", "--extension", "wav", "--num-threads", threads]
    assert main([*args, *options, "-q"]) == 0
    assert names(tmp_path / "out") == [
        "a_0_start_41_ms_dur_300_ms.wav",
        "a_1_start_243_ms_dur_300_ms.wav",
        "b_0_start_421_ms_dur_300_ms.wav",
        "b_1_start_372_ms_dur_300_ms.wav",
        "c 10_0_start_381_ms_dur_300_ms.wav",
        "c 10_1_start_158_ms_dur_300_ms.wav",
    ]


def test_files_of_the_folder_are_chosen_by_glob_and_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_sounds(tmp_path / "in", "a.wav", "deep/b.wav", "deep/a.wav")
    for name in ("cover.jpg", "list.json", "broken.mp3"):
        (folder / name).write_text("{}")
    args = ["sample-clips-batch", "--audio-dir", str(folder), "--duration-ms", "300", "--extension", "wav"]

    def run(*options: str) -> tuple[int, set[str]]:
        out = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        code = main([*args, "--output-dir", str(out), *options])
        return code, {path.name.split("_start")[0] for path in out.iterdir()} if out.is_dir() else set()

    assert run() == (1, {"a_0"})  # images and lists are skipped; a text file with a sound suffix is reported
    assert "broken.mp3" in capsys.readouterr().err
    assert run("--glob", "*.wav") == (0, {"a_0"})
    assert run("--glob", "**/*.wav") == (0, {"a_wav_in_0", "a_wav_deep_0", "b_0"})
    assert run("--glob", "**/*.wav", "--limit", "1") == (0, {"a_0"})
    assert run("--glob", "*.xyz") == (1, set())
    assert "no file of" in capsys.readouterr().err


def test_existing_files_are_refused_skipped_or_overwritten_by_option(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_sounds(tmp_path / "in", "a.wav")
    args = ["sample-clips-batch", "--audio-dir", f"{tmp_path}/in", "--output-dir", f"{tmp_path}/out", "--seed", "1"]
    args += ["--duration-ms", "300", "--extension", "wav"]
    assert [main(args), main(args), main([*args, "--skip-existing"]), main([*args, "--overwrite"])] == [0, 1, 0, 0]
    assert "file exists" in capsys.readouterr().err


def test_too_short_sound_is_reported_and_the_others_are_sampled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_sounds(tmp_path / "in", "b.wav")
    make_sounds(tmp_path / "in", "a.wav", seconds=0.2)
    args = ["sample-clips-batch", "--audio-dir", f"{tmp_path}/in", "--output-dir", f"{tmp_path}/out", "--json"]
    assert main([*args, "--duration-ms", "300", "--extension", "wav"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["done"], document["failed"]) == (1, 1)
    assert "shorter than a clip" in document["results"][0]["error"]
    assert len(document["results"][1]["starts"]) == 1


def test_long_names_are_shortened(tmp_path: Path) -> None:
    make_sounds(tmp_path / "in", "x" * 240 + ".wav")
    args = ["sample-clips-batch", "--audio-dir", f"{tmp_path}/in", "--output-dir", f"{tmp_path}/out", "-q"]
    assert main([*args, "--duration-ms", "300", "--extension", "wav"]) == 0
    (path,) = (tmp_path / "out").iterdir()
    assert path.name.startswith("x" * 150)
    assert path.name.endswith("_ms_dur_300_ms.wav")


# --- audio-to-images-batch -------------------------------------------------------------------------------------------


def test_images_are_mono_png_by_default(tmp_path: Path) -> None:
    make_sounds(tmp_path / "in", "a.wav", "b.flac", seconds=0.5)
    args = ["audio-to-images-batch", "--audio-dir", f"{tmp_path}/in", "-q", "--output-dir"]
    assert main([*args, f"{tmp_path}/out"]) == 0
    assert names(tmp_path / "out") == ["a.png", "b.png"]
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert (image.size, image.mode) == ((51, 512), "RGB")
        assert metadata.read_record(image).params == PRESETS["riffusion-v1"]
    assert main([*args, f"{tmp_path}/jpg", "--stereo", "--image-extension", "jpg", "--limit", "1"]) == 0
    assert names(tmp_path / "jpg") == ["a.jpg"]
    with Image.open(tmp_path / "jpg" / "a.jpg") as image:
        assert metadata.read_record(image).params.stereo


def test_original_options_of_audio_to_images_batch_are_accepted(tmp_path: Path) -> None:
    make_sounds(tmp_path / "in", "a.wav", seconds=0.5)
    options = "--image-extension png --step-size-ms 20 --num-frequencies 256 --min-frequency 20 --max-frequency 8000"
    options += " --power-for-image 0.5 --mono --sample-rate 22050 --device cpu --num-threads 2 --limit -1"
    args = ["audio-to-images-batch", "--audio-dir", f"{tmp_path}/in", "--output-dir", f"{tmp_path}/out"]
    assert main([*args, *options.split()]) == 0
    with Image.open(tmp_path / "out" / "a.png") as image:
        assert metadata.read_record(image).params == SpectrogramParams(22050, False, 20, 100, 400, 256, 20, 8000, 0.5)


def test_number_of_threads_does_not_change_the_batch(tmp_path: Path) -> None:
    make_sounds(tmp_path / "in", *(f"{n}.wav" for n in range(5)), seconds=0.7)
    for threads in ("1", "4"):
        args = ["audio-to-images-batch", "--audio-dir", f"{tmp_path}/in", "--output-dir", f"{tmp_path}/out{threads}"]
        assert main([*args, "--num-threads", threads, "-q"]) == 0
    for path in (tmp_path / "out1").iterdir():
        assert path.read_bytes() == (tmp_path / "out4" / path.name).read_bytes()


def test_files_of_a_batch_are_encoded_in_parallel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    monkeypatch.setattr(crew, "single_core_threads", lambda count: started.append(count) or real(count))
    real = crew.ThreadPoolExecutor
    make_sounds(tmp_path / "in", *(f"{n}.wav" for n in range(5)), seconds=0.1)
    args = ["audio-to-images-batch", "--audio-dir", f"{tmp_path}/in", "--output-dir", f"{tmp_path}/out"]
    assert main([*args, "--num-threads", "3", "-q"]) == 0
    assert started == [3]


def test_bad_sounds_of_a_batch_are_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_sounds(tmp_path / "in", "a.wav", "c.wav", seconds=0.3)
    (folder / "b.mp3").write_text("a text")
    (folder / "empty.wav").write_bytes(b"")
    assert main(["audio-to-images-batch", "--audio-dir", str(folder), "--output-dir", f"{tmp_path}/out"]) == 1
    err = capsys.readouterr().err
    assert len([line for line in err.splitlines() if line.startswith("failed: ")]) == 2
    assert "2 done, 2 failed" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "args",
    [
        ["images-to-audio"],
        ["images-to-audio", "--image", "{in}", "--no-each", "--no-join"],
        ["images-to-audio", "--image", "{in}", "--crop", "sometimes"],
        ["images-to-audio", "--image", "{in}", "--crop", "fixed", "--crop-width", "3.5"],
        ["images-to-audio", "--image", "{in}", "--threshold", "2"],
        ["images-to-audio", "--image", "{in}", "--preview", "a.png"],
        ["images-to-audio", "--image", "{in}", "--crop", "every", "--preview", "a.bmp"],
        ["sample-clips", "--audio", "a.wav"],
        ["sample-clips", "--audio", "a.wav", "--output-dir", "out", "--num-clips", "0"],
        ["sample-clips", "--audio", "a.wav", "--output-dir", "out", "--seed", "-2"],
        ["sample-clips", "--audio", "a.wav", "--output-dir", "out", "--extension", "m4a"],
        ["sample-clips-batch", "--audio-dir", "{in}", "--output-dir", "out", "--duration-ms", "x"],
        ["sample-clips-batch", "--audio-dir", "{in}", "--output-dir", "out", "--glob", "/tmp/*"],
        ["audio-to-images-batch", "--audio-dir", "{in}", "--output-dir", "out", "--mono", "--stereo"],
        ["audio-to-images-batch", "--audio-dir", "{in}", "--output-dir", "out", "--image-extension", "gif"],
        ["audio-to-images-batch", "--audio-dir", "{in}", "--output-dir", "out", "--device", "banana"],
    ],
)
def test_invalid_usage_exits_with_code_2_and_writes_nothing(
    args: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = make_images(tmp_path / "in", "a.png", "b.png")
    with pytest.raises(SystemExit) as end:
        main([arg.replace("{in}", str(folder)) for arg in args])
    assert end.value.code == 2
    assert "error" in capsys.readouterr().err
    assert names(tmp_path) == ["in"]
    assert names(folder) == ["a.png", "b.png"]


def test_joined_name_with_a_folder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_images(tmp_path / "in", "a.png", "b.png")
    assert main(["images-to-audio", "--image", str(folder), "--joined-name", "../x"]) == 1
    assert "without folders" in capsys.readouterr().err
    assert names(folder) == ["a.png", "b.png"]
