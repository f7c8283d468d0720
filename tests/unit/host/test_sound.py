"""From pictures to files, players and messages, with the real inversion and a host of a few lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio.io import available_formats, read_audio, read_tags
from riffusion_ext.host.job import Job
from riffusion_ext.host.pictures import Made, Picture
from riffusion_ext.host.sound import SoundMaker
from riffusion_ext.library import ClipLibrary
from riffusion_ext.ui.controls import SoundOptions


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

    def url(self, path: Path) -> str:
        return f"file={path}"

    def report(self, text: str, error: BaseException | None = None) -> None:
        self.log.append((text, error))


def _picture(folder: Path, seed: int, *, width: int = 40, suffix: str = ".png", save: bool = True) -> Picture:
    pixels = np.random.default_rng(seed).integers(0, 255, (512, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    path = folder / f"{seed:05d}{suffix}"
    if save:
        image.save(path)
    return Picture(image, Made(f"prompt {seed}", seed), f"prompt {seed}\nSeed: {seed}", path if save else None)


def _run(folder: Path, pictures: list[Picture], options: SoundOptions, **settings: Any) -> tuple[Job, SmallHost]:
    job, host = Job(), SmallHost(folder, **settings)
    SoundMaker(host, job, options, library=ClipLibrary()).run(pictures)
    return job, host


def test_each_picture_has_its_sound_beside_it(tmp_path: Path) -> None:
    job, host = _run(tmp_path, [_picture(tmp_path, 1), _picture(tmp_path, 2, width=60)], SoundOptions())
    assert [clip["file"] for clip in job.payload["clips"]] == ["00001.wav", "00002.wav"]
    assert [round(read_audio(tmp_path / f"0000{n}.wav").duration, 4) for n in (1, 2)] == [0.39, 0.59]
    assert job.payload["messages"] == []
    assert host.log == []


def test_tags_say_where_the_sound_came_from(tmp_path: Path) -> None:
    _run(tmp_path, [_picture(tmp_path, 7)], SoundOptions())
    tags = read_tags(tmp_path / "00007.wav")
    assert tags["title"] == "prompt 7"
    assert '"seed": 7' in tags["comment"]


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("wav", "24 bit"), ("wav", "32 bit float"), ("flac", "32 bit float"), ("ogg", "16 bit"), ("mp3", "16 bit")],
)
def test_every_format_and_resolution(tmp_path: Path, name: str, subtype: str) -> None:
    if name not in available_formats():
        pytest.skip(f"{name} files need soundfile")
    job, _ = _run(tmp_path, [_picture(tmp_path, 1)], SoundOptions(format=name), riffusion_subtype=subtype)
    assert [clip["file"] for clip in job.payload["clips"]] == [f"00001.{name}"]
    assert read_audio(tmp_path / f"00001.{name}").duration == pytest.approx(0.39, abs=0.06)


def test_without_soundfile_it_is_wav_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("riffusion_ext.audio.io.available_formats", lambda: ("wav",))
    job, _ = _run(tmp_path, [_picture(tmp_path, 1)], SoundOptions(format="mp3"))
    assert [clip["file"] for clip in job.payload["clips"]] == ["00001.wav"]
    assert "soundfile" in job.payload["messages"][0]["text"]


def test_joined_and_crossfaded(tmp_path: Path) -> None:
    pictures = [_picture(tmp_path, 1), _picture(tmp_path, 2)]
    job, _ = _run(tmp_path, pictures, SoundOptions(joined=True, crossfade=0.1))
    assert job.payload["clips"][2]["file"] == "00001-joined.wav"
    assert read_audio(tmp_path / "00001-joined.wav").duration == pytest.approx(2 * 0.39 - 0.1, abs=1e-3)


def test_a_broken_picture_and_a_taken_name_cost_only_themselves(tmp_path: Path) -> None:
    pictures = [_picture(tmp_path, 1), _picture(tmp_path, 2, width=1), _picture(tmp_path, 3)]
    (tmp_path / "00003.wav").mkdir()
    job, host = _run(tmp_path, pictures, SoundOptions())
    assert [clip["seed"] for clip in job.payload["clips"]] == [1, 3]
    texts = "\n".join(entry["text"] for entry in job.payload["messages"])
    assert "00002.png: no sound:" in texts
    assert "only playable here" in texts
    assert len(host.log) == 2


@pytest.mark.parametrize("stem", ["x" * 251, "Ä" * 120, "a 'quote\" #?&", "drum 🥁"])
def test_odd_and_long_names(tmp_path: Path, stem: str) -> None:
    picture = _picture(tmp_path, 1)
    path = tmp_path / f"{stem}.png"
    picture.image.save(path)
    job, _ = _run(tmp_path, [Picture(picture.image, picture.made, "", path)], SoundOptions())
    assert job.payload["messages"] == []
    (sound,) = tmp_path.glob("*.wav")
    assert sound.stem[:100] == stem[:100]


def test_a_png_is_kept_beside_a_lossy_picture(tmp_path: Path) -> None:
    picture = _picture(tmp_path, 1, suffix=".jpg")
    _run(tmp_path, [picture], SoundOptions(), riffusion_sidecar=True)
    kept = Image.open(tmp_path / "00001.png")
    assert np.array_equal(np.asarray(kept), np.asarray(picture.image))
    assert kept.info["parameters"] == picture.infotext


def test_no_second_png(tmp_path: Path) -> None:
    _run(tmp_path, [_picture(tmp_path, 1, suffix=".jpg")], SoundOptions())
    assert not (tmp_path / "00001.png").exists()


def test_unsaved_pictures_get_temporary_clips_with_a_telling_name(tmp_path: Path) -> None:
    picture = _picture(tmp_path, 1, save=False)
    job, host = Job(), SmallHost(tmp_path)
    library = ClipLibrary()
    SoundMaker(host, job, SoundOptions(), library=library).run([picture])
    record = library.get(job.payload["clips"][0]["id"])
    assert record is not None
    assert record.temporary
    assert record.download_name == "1-prompt-1.wav"
    library.clear()
    assert list(tmp_path.iterdir()) == []
