"""From images to files, players and messages, with the real inversion and a minimal host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio.io import available_formats, read_audio, read_tags
from riffusion_ext.files.paths import without_folders
from riffusion_ext.host.images.audio_saver import AudioSaver
from riffusion_ext.host.images.generated_images import GeneratedImage, ImageOrigin
from riffusion_ext.host.images.generation_job import GenerationJob
from riffusion_ext.library import ClipLibrary
from riffusion_ext.options.sound import SoundOptions
from tests.unit.extenders import WithoutWeights, use


class SmallHost:
    """A host with a folder and settings."""

    name = "test"

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.folder, self.settings, self.log = folder, settings, []  # type: ignore[var-annotated]

    def device(self) -> str:
        return "cpu"

    def setting(self, key: str, default: Any) -> Any:
        return self.settings.get(key, default)

    def output_folder(self) -> Path:
        return self.folder

    def scratch_folder(self) -> Path:
        return self.folder

    def report(self, text: str, error: BaseException | None = None) -> None:
        self.log.append((text, error))


def _image(folder: Path, seed: int, *, width: int = 40, suffix: str = ".png", save: bool = True) -> GeneratedImage:
    pixels = np.random.default_rng(seed).integers(0, 255, (512, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    path = folder / f"{seed:05d}{suffix}"
    if save:
        image.save(path)
    return GeneratedImage(
        image, ImageOrigin(f"prompt {seed}", seed), f"prompt {seed}\nSeed: {seed}", path if save else None
    )


def _run(
    folder: Path, images: list[GeneratedImage], options: SoundOptions, **settings: Any
) -> tuple[GenerationJob, SmallHost]:
    job, host = GenerationJob(), SmallHost(folder, **settings)
    AudioSaver(host, job, options, library=ClipLibrary()).run(images)
    return job, host


def test_each_clip_is_saved_beside_its_image(tmp_path: Path) -> None:
    job, host = _run(tmp_path, [_image(tmp_path, 1), _image(tmp_path, 2, width=60)], SoundOptions())
    assert [clip["file"] for clip in job.payload["clips"]] == ["00001.wav", "00002.wav"]
    assert [round(read_audio(tmp_path / f"0000{n}.wav").duration, 4) for n in (1, 2)] == [0.39, 0.59]
    assert job.payload["messages"] == []
    assert host.log == []


def test_tags_contain_prompt_and_seed(tmp_path: Path) -> None:
    _run(tmp_path, [_image(tmp_path, 7)], SoundOptions())
    tags = read_tags(tmp_path / "00007.wav")
    assert tags["title"] == "prompt 7"
    assert '"seed": 7' in tags["comment"]


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("wav", "24 bit"), ("wav", "32 bit float"), ("flac", "32 bit float"), ("ogg", "16 bit"), ("mp3", "16 bit")],
)
def test_every_format_and_resolution_is_saved(tmp_path: Path, name: str, subtype: str) -> None:
    if name not in available_formats():
        pytest.skip(f"{name} files need soundfile")
    job, _ = _run(tmp_path, [_image(tmp_path, 1)], SoundOptions(format=name), riffusion_subtype=subtype)
    assert [clip["file"] for clip in job.payload["clips"]] == [f"00001.{name}"]
    assert read_audio(tmp_path / f"00001.{name}").duration == pytest.approx(0.39, abs=0.06)


def test_without_soundfile_wav_is_written_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riffusion_ext.audio.io.available_formats", lambda: ("wav",))
    job, _ = _run(tmp_path, [_image(tmp_path, 1)], SoundOptions(format="mp3"))
    assert [clip["file"] for clip in job.payload["clips"]] == ["00001.wav"]
    assert "soundfile" in job.payload["messages"][0]["text"]


def test_joined_clip_has_its_crossfade(tmp_path: Path) -> None:
    images = [_image(tmp_path, 1), _image(tmp_path, 2)]
    job, _ = _run(tmp_path, images, SoundOptions(joined=True, crossfade=0.1))
    assert job.payload["clips"][2]["file"] == "00001-joined.wav"
    assert read_audio(tmp_path / "00001-joined.wav").duration == pytest.approx(2 * 0.39 - 0.1, abs=1e-3)


def test_broken_image_and_taken_name_do_not_affect_other_images(tmp_path: Path) -> None:
    images = [_image(tmp_path, 1), _image(tmp_path, 2, width=1), _image(tmp_path, 3)]
    (tmp_path / "00003.wav").mkdir()
    job, host = _run(tmp_path, images, SoundOptions())
    assert [clip["seed"] for clip in job.payload["clips"]] == [1, 3]
    texts = "\n".join(entry["text"] for entry in job.payload["messages"])
    assert "00002.png: no sound:" in texts
    assert "only playable here" in texts
    assert len(host.log) == 2


@pytest.mark.parametrize("stem", ["x" * 251, "Ä" * 120, "a 'quote\" #?&", "drum 🥁"])
def test_odd_and_long_image_names_are_kept(tmp_path: Path, stem: str) -> None:
    image = _image(tmp_path, 1)
    path = tmp_path / f"{stem}.png"
    image.image.save(path)
    job, _ = _run(tmp_path, [GeneratedImage(image.image, image.origin, "", path)], SoundOptions())
    assert job.payload["messages"] == []
    (sound,) = tmp_path.glob("*.wav")
    assert sound.stem[:100] == stem[:100]


def test_png_is_saved_beside_a_lossy_image(tmp_path: Path) -> None:
    image = _image(tmp_path, 1, suffix=".jpg")
    _run(tmp_path, [image], SoundOptions(), riffusion_sidecar=True)
    kept = Image.open(tmp_path / "00001.png")
    assert np.array_equal(np.asarray(kept), np.asarray(image.image))
    assert kept.info["parameters"] == image.infotext


def test_no_png_is_saved_when_disabled(tmp_path: Path) -> None:
    _run(tmp_path, [_image(tmp_path, 1, suffix=".jpg")], SoundOptions())
    assert not (tmp_path / "00001.png").exists()


def test_unsaved_images_get_temporary_clips_named_by_seed_and_prompt(tmp_path: Path) -> None:
    image = _image(tmp_path, 1, save=False)
    job, host = GenerationJob(), SmallHost(tmp_path)
    library = ClipLibrary()
    AudioSaver(host, job, SoundOptions(), library=library).run([image])
    record = library.get(job.payload["clips"][0]["id"])
    assert record is not None
    assert record.temporary
    assert record.download_name == "1-prompt-1.wav"
    library.clear()
    assert list(tmp_path.iterdir()) == []


def test_joined_clip_keeps_relative_levels_and_is_levelled_once(tmp_path: Path) -> None:
    from riffusion_ext.metadata import ImageRecord
    from riffusion_ext.params import SpectrogramParams

    same = _image(tmp_path, 1)
    second = tmp_path / "00002.png"
    images = [
        GeneratedImage(same.image, same.origin, "", path, ImageRecord(SpectrogramParams(), level, "text"))
        for path, level in ((same.saved_as, 30e6), (second, 3e6))
    ]
    second.touch()
    _run(tmp_path, images, SoundOptions(joined=True))
    single = [read_audio(tmp_path / f"0000{n}.wav").peak for n in (1, 2)]
    assert single == pytest.approx([0.9886, 0.9886], abs=1e-3), "each clip is levelled on its own"
    joined = read_audio(tmp_path / "00001-joined.wav")
    halves = joined.slice(0, 0.38), joined.slice(0.4, 0.78)
    assert joined.peak == pytest.approx(0.9886, abs=1e-3)
    assert halves[0].rms / halves[1].rms == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("level", ["peak", "loudness", "recorded"])
def test_a_crossfade_does_not_pass_full_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: str) -> None:
    from riffusion_ext.audio import save

    peaks: list[float] = []
    write = save.write_audio

    def listen(clip: Any, path: Path, **options: Any) -> Path:
        peaks.append(clip.peak)
        return write(clip, path, **options)

    monkeypatch.setattr(save, "write_audio", listen)
    first = _image(tmp_path, 1)
    again = tmp_path / "00002.png"
    again.touch()
    images = [first, GeneratedImage(first.image, first.origin, "", again)]
    _run(tmp_path, images, SoundOptions(joined=True, crossfade=0.15, level=level))
    assert len(peaks) == 3
    assert max(peaks) <= 1.0


def test_preset_determines_the_decoding_parameters(tmp_path: Path) -> None:
    _run(tmp_path, [_image(tmp_path, 1)], SoundOptions(preset="20khz-stereo"))
    assert read_audio(tmp_path / "00001.wav").channels == 2
    assert '"max_frequency": 20000' in read_tags(tmp_path / "00001.wav")["comment"]
    _run(tmp_path, [_image(tmp_path, 2)], SoundOptions(preset="custom", custom="max_frequency=16000"))
    assert '"max_frequency": 16000' in read_tags(tmp_path / "00002.wav")["comment"]


def test_parameters_of_the_start_image_apply_unless_a_preset_is_chosen() -> None:
    from riffusion_ext.host.images.image_record import record_of
    from riffusion_ext.metadata import ImageRecord
    from riffusion_ext.params import PRESETS, SpectrogramParams

    start = ImageRecord(PRESETS["20khz-stereo"], 5e6, "exif")
    assert json.loads(record_of(None, start, 512))["max_frequency"] == 20000
    chosen = json.loads(record_of(SpectrogramParams(), start, 512))
    assert (chosen["max_frequency"], chosen["max_value"]) == (10000, 5e6)
    plain = json.loads(record_of(None, None, 640))
    assert (plain["num_frequencies"], "max_value" in plain) == (640, False)
    assert record_of(None, None, 3) == ""


def test_missing_level_metadata_is_reported_once(tmp_path: Path) -> None:
    images = [_image(tmp_path, 1), _image(tmp_path, 2)]
    job, _ = _run(tmp_path, images, SoundOptions(level="recorded"))
    assert [entry["text"].partition(";")[0] for entry in job.payload["messages"]] == [
        "No level is recorded in these images"
    ]


def test_existing_png_is_never_overwritten(tmp_path: Path) -> None:
    image = _image(tmp_path, 1, suffix=".jpg")
    (tmp_path / "00001.png").write_bytes(b"mine")
    job, _ = _run(tmp_path, [image], SoundOptions(), riffusion_sidecar=True)
    assert (tmp_path / "00001.png").read_bytes() == b"mine"
    assert "00001.png exists already" in job.payload["messages"][0]["text"]
    assert (tmp_path / "00001.wav").is_file()


def test_png_beside_a_lossy_image_stores_no_level(tmp_path: Path) -> None:
    from riffusion_ext.metadata import read_record

    _run(tmp_path, [_image(tmp_path, 1, suffix=".jpg")], SoundOptions(), riffusion_sidecar=True)
    with Image.open(tmp_path / "00001.png") as kept:
        record = read_record(kept)
    assert (record.source, record.max_value) == ("exif", None)


def test_large_batches_are_decoded_in_groups_and_an_interrupt_keeps_finished_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from riffusion_ext.spectrogram import codec

    sizes: list[int] = []
    works = codec.images_to_audio

    def count(batch: Any, settings: Any, *, progress: Any) -> Any:
        sizes.append(len(batch))
        return works(batch, settings, progress=progress)

    monkeypatch.setattr(codec, "images_to_audio", count)
    images = [_image(tmp_path, seed, width=8) for seed in range(10)]
    job = GenerationJob()
    saver = AudioSaver(
        SmallHost(tmp_path),
        job,
        SoundOptions(joined=True),
        library=ClipLibrary(),
        cancelled=lambda: bool(list(tmp_path.glob("*.wav"))),
    )
    saver.run(images)
    assert sizes == [8]
    assert len(list(tmp_path.glob("*.wav"))) == len(job.payload["clips"]) == 8
    assert job.payload["messages"] == [
        {"text": "2 images got no sound: interrupted while the sound was being made.", "kind": "warning"}
    ]


def test_clips_are_kept_in_memory_only_when_joined(tmp_path: Path) -> None:
    images = [_image(tmp_path, 1, width=8)]
    for joined, kept in ((False, 0), (True, 1)):
        saver = AudioSaver(SmallHost(tmp_path), GenerationJob(), SoundOptions(joined=joined), library=ClipLibrary())
        assert len(saver._make(images, ".wav")) == kept


def test_messages_name_no_folder_of_the_server(tmp_path: Path) -> None:
    host = SmallHost(tmp_path / "secret place" / "gone")

    def scratch() -> Path:
        raise PermissionError(13, "Permission denied", str(host.folder))

    host.scratch_folder = scratch  # type: ignore[method-assign]
    job = GenerationJob()
    AudioSaver(host, job, SoundOptions(), library=ClipLibrary()).run([_image(tmp_path, 1, save=False)])
    (entry,) = job.payload["messages"]
    assert "Permission denied" in entry["text"]
    assert "secret" not in entry["text"]
    assert "secret place" in host.log[0][0], "the console shows the full path"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cannot write /tmp/x y/c.wav: the disk is full", "cannot write c.wav: the disk is full"),
        ("[Errno 13] Permission denied: 'C:\\Users\\me\\c.wav'", "[Errno 13] Permission denied: 'c.wav'"),
        ("the checkpoint sub/model.ckpt and/or 1/2", "the checkpoint sub/model.ckpt and/or 1/2"),
    ],
)
def test_folders_are_removed_from_messages(text: str, said: str) -> None:
    assert without_folders(text) == said


@pytest.mark.parametrize(("choice", "added"), [("auto", True), ("on", True), ("off", False)])
def test_high_frequencies_are_added_to_every_clip_and_the_joined_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, choice: str, added: bool
) -> None:
    use(monkeypatch)
    images = [_image(tmp_path, 1), _image(tmp_path, 2)]
    job, _ = _run(tmp_path, images, SoundOptions(joined=True, high_frequencies=choice))
    assert job.payload["messages"] == []
    for name in ("00001.wav", "00002.wav", "00001-joined.wav"):
        assert ("added from 10000 Hz" in read_tags(tmp_path / name)["comment"]) == added


def test_missing_weights_are_reported_once_for_all_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, WithoutWeights)
    job, _ = _run(tmp_path, [_image(tmp_path, 1), _image(tmp_path, 2)], SoundOptions())
    texts = [entry["text"] for entry in job.payload["messages"]]
    assert texts == ["No high frequencies are added: the weights are missing."]
    assert [clip["file"] for clip in job.payload["clips"]] == ["00001.wav", "00002.wav"]
