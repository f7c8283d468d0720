"""Songs to images."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from riffusion_ext.audio import AudioClip, read_audio, write_audio
from riffusion_ext.dataset.settings import SliceSettings
from riffusion_ext.dataset.slicing import slice_song as cutting
from riffusion_ext.dataset.slicing.slice_song import SongRecord, largest_magnitude, slice_song
from riffusion_ext.dataset.songs import Song
from riffusion_ext.errors import AudioError
from riffusion_ext.metadata import read_record
from riffusion_ext.params import PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.codec import audio_to_image
from tests.unit.dataset.conftest import MakeSong

EDGE = 6  # columns at both ends where the STFT window extends past the excerpt


def cut(path: Path, folder: Path, settings: SliceSettings, max_value: float | None = None) -> SongRecord:
    folder.mkdir(exist_ok=True)
    return slice_song(Song(path, path.name), "digest", settings, folder, lambda: None, max_value)


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"), np.int16)


@pytest.mark.parametrize("rate", [44100, 48000, 8000])
@pytest.mark.parametrize(("params", "columns"), [(PRESETS["riffusion-v1"], 512), (PRESETS["20khz-stereo"], 100)])
def test_images_equal_those_of_the_same_parts_encoded_alone(
    rate: int, params: SpectrogramParams, columns: int, make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "a.wav", 1.1 + 0.02 * columns, channels=2, rate=rate)
    record = cut(song, tmp_path / "out", SliceSettings(params, columns))
    assert record.starts[:2] == [0, columns]
    whole = read_audio(song)
    for file, start, max_value in zip(record.files, record.starts, record.blacks, strict=True):
        path = tmp_path / "out" / file
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "RGB", (columns, 512))
            known = read_record(image)
        assert known.params == params
        assert known.max_value == pytest.approx(max_value)
        first = round(start * 0.01 * rate)
        part = np.ascontiguousarray(whole.samples[:, first : first + round(columns * 0.01 * rate)])
        alone = audio_to_image(AudioClip(part, rate), params, max_value=max_value).image
        difference = np.abs(pixels(path) - np.asarray(alone.convert("RGB"), np.int16)[:, :columns])
        assert difference[:, EDGE:-EDGE].max() <= (0 if rate == 44100 else 1)


def test_record_describes_the_song(make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song(tmp_path / "a.wav", 3.0, channels=2, rate=22050)
    record = cut(song, tmp_path / "out", SliceSettings(columns=64))
    assert (record.name, record.digest, record.sample_rate, record.channels) == ("a.wav", "digest", 22050, 2)
    assert record.duration == pytest.approx(3.0)
    assert record.starts == [0, 64, 128, 192]
    assert len(record.files) == len(record.blacks) == len(record.features) == 4
    assert sorted(record.files) == sorted(path.name for path in (tmp_path / "out").iterdir())


def test_file_names_contain_song_and_time_and_are_unique(make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song(tmp_path / "01 - Ärger? & (Co)  名.wav", 2.0)
    files = cut(song, tmp_path / "out", SliceSettings(columns=64)).files
    assert [file[:21] for file in files] == [f"01-Arger-Co_{ms:08d}_" for ms in (0, 640, 1280)]
    assert len(set(files)) == 3
    assert all(file.isascii() for file in files)


@pytest.mark.parametrize("name", ["名前", "😀", "...", "x" * 240, "CON", "-rf"])
def test_odd_song_names_give_plain_file_names(name: str, make_song: MakeSong, tmp_path: Path) -> None:
    plain = make_song(tmp_path / "plain.wav", 0.7)
    song = Song(plain, f"{name}.wav")
    (tmp_path / "out").mkdir()
    (file,) = slice_song(song, "", SliceSettings(columns=64), tmp_path / "out", lambda: None).files
    assert file.isascii()
    assert len(file) < 120
    assert file[0].isalnum()


def test_songs_of_the_same_sound_and_stem_do_not_share_images(make_song: MakeSong, tmp_path: Path) -> None:
    path = make_song(tmp_path / "a.wav", 1.0)
    (tmp_path / "out").mkdir()
    settings = SliceSettings(columns=64)
    files = [
        slice_song(Song(path, name), "", settings, tmp_path / "out", lambda: None).files
        for name in ("one/a.wav", "two/a.wav")
    ]
    assert set(files[0]).isdisjoint(files[1])
    assert len(list((tmp_path / "out").iterdir())) == len(files[0]) + len(files[1])


def test_overlapping_windows_share_columns(make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song(tmp_path / "a.wav", 2.0)
    record = cut(song, tmp_path / "out", SliceSettings(columns=64, overlap=0.5, scale="song"))
    assert record.starts == [0, 32, 64, 96, 128]
    images = [pixels(tmp_path / "out" / file) for file in record.files]
    for before, after in pairwise(images):
        assert np.array_equal(before[:, 32:], after[:, :32])


def test_scale_sets_the_level_per_window_song_or_set(make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song(tmp_path / "a.wav", 2.0)
    settings = SliceSettings(columns=64)
    window = cut(song, tmp_path / "window", settings)
    assert len(set(window.blacks)) == 3
    assert all(pixels(tmp_path / "window" / file).min() == 0 for file in window.files)
    of_song = cut(song, tmp_path / "song", replace(settings, scale="song"))
    loudest = largest_magnitude(Song(song, "a.wav"), settings, _nothing)
    assert of_song.blacks == pytest.approx([loudest] * 3)
    assert loudest >= max(window.blacks)
    of_set = cut(song, tmp_path / "set", replace(settings, scale="set"), max_value=2 * loudest)
    assert of_set.blacks == [2 * loudest] * 3
    lightest = [
        min(int(pixels(tmp_path / n / f).min()) for f in r.files) for n, r in (("song", of_song), ("set", of_set))
    ]
    assert lightest[0] < lightest[1]


def _nothing() -> None:
    """Do nothing."""


@pytest.mark.parametrize(
    ("last", "starts"), [("drop", [0, 64, 128]), ("pad", [0, 64, 128, 192]), ("back", [0, 64, 128, 137])]
)
def test_end_of_the_song_is_dropped_padded_or_shifted_back(
    last: str, starts: list[int], make_song: MakeSong, tmp_path: Path
) -> None:
    song = make_song(tmp_path / "a.wav", 2.0)  # 201 columns
    record = cut(song, tmp_path / "out", SliceSettings(columns=64, last=last))
    assert record.starts == starts
    end = pixels(tmp_path / "out" / record.files[-1])
    assert end.shape == (512, 64, 3)
    silent = (end == 255).all(axis=(0, 2))
    assert silent.sum() == (55 if last == "pad" else 0)


def test_song_shorter_than_a_window_gives_one_window_or_none(make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song(tmp_path / "a.wav", 0.3)
    assert cut(song, tmp_path / "out", SliceSettings(columns=64)).files == []
    for last in ("pad", "back"):
        record = cut(song, tmp_path / last, SliceSettings(columns=64, last=last))
        assert record.starts == [0]
        assert pixels(tmp_path / last / record.files[0]).shape == (512, 64, 3)


def clicks(path: Path, seconds: float, beat: float, first: float) -> Path:
    rate = 44100
    rng = np.random.default_rng(1)
    wave = 0.001 * rng.standard_normal(round(seconds * rate))
    hit = rng.standard_normal(2000) * np.exp(-np.arange(2000) / 300)
    for number, start in enumerate(np.arange(first, seconds - 0.1, beat)):
        place = round(start * rate)
        wave[place : place + 2000] += hit * (0.5 if number % 4 == 0 else 0.2)
    return write_audio(AudioClip(wave[None].astype(np.float32), rate), path)


@pytest.mark.parametrize(("align", "marks"), [("beat", 0.5), ("bar", 2.0)])
def test_windows_begin_on_beats_and_bars(align: str, marks: float, tmp_path: Path) -> None:
    song = clicks(tmp_path / "a.wav", 20.0, 0.5, 0.8)
    record = cut(song, tmp_path / "out", SliceSettings(columns=128, align=align))
    away = (np.array(record.starts) * 0.01 - 0.8) / marks
    assert len(record.starts) >= 8
    assert np.abs(away - away.round()).max() * marks < 0.06
    if align == "beat":
        assert np.diff(record.starts) == pytest.approx(150, abs=6), (
            "each window starts at the first beat after the previous one"
        )
    loud = [255 - pixels(tmp_path / "out" / file).mean(axis=(0, 2)) for file in record.files]
    assert np.mean([image[:10].max() - image[20:40].max() for image in loud]) > 10, "each begins with its beat"


def test_silence_gives_white_images(tmp_path: Path) -> None:
    song = write_audio(AudioClip(np.zeros((1, 44100), np.float32), 44100), tmp_path / "a.wav")
    for scale in ("window", "song"):
        record = cut(song, tmp_path / scale, SliceSettings(columns=64, scale=scale))
        path = tmp_path / scale / record.files[0]
        assert (pixels(path) == 255).all()
        with Image.open(path) as image:
            assert read_record(image).params == PRESETS["riffusion-v1"]


@pytest.mark.parametrize("last", ["drop", "pad", "back"])
@pytest.mark.parametrize("overlap", [0.0, 0.6])
def test_long_song_read_twice_gives_the_same_images(
    last: str, overlap: float, make_song: MakeSong, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = make_song(tmp_path / "a.wav", 21.5, rate=8000)  # more than a piece
    params = PRESETS["riffusion-v1"].replace(num_frequencies=64)
    settings = SliceSettings(params, 300, last=last, overlap=overlap)
    first = cut(song, tmp_path / "kept", settings)
    monkeypatch.setattr(cutting, "_MAX_CELLS_IN_MEMORY", 10 * params.num_frequencies)
    second = cut(song, tmp_path / "again", settings)
    assert (second.files, second.blacks, second.starts) == (first.files, first.blacks, first.starts)
    assert all((tmp_path / "kept" / f).read_bytes() == (tmp_path / "again" / f).read_bytes() for f in first.files)


def test_existing_images_are_not_drawn_again(make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song(tmp_path / "a.wav", 1.0)
    (file,) = cut(song, tmp_path / "out", SliceSettings(columns=64)).files
    before = (tmp_path / "out" / file).stat()
    cut(song, tmp_path / "out", SliceSettings(columns=64))
    assert (tmp_path / "out" / file).stat().st_mtime_ns == before.st_mtime_ns


def test_error_in_the_progress_callback_leaves_complete_images(make_song: MakeSong, tmp_path: Path) -> None:
    song = make_song(tmp_path / "a.wav", 3.0)
    calls = iter(range(100))

    def tick() -> None:
        if next(calls) == 3:
            raise KeyboardInterrupt

    (tmp_path / "out").mkdir()
    with pytest.raises(KeyboardInterrupt):
        slice_song(Song(song, "a.wav"), "", SliceSettings(columns=64), tmp_path / "out", tick)
    images = list((tmp_path / "out").iterdir())
    assert len(images) == 2
    assert all(pixels(path).shape == (512, 64, 3) for path in images)


def test_few_bad_samples_are_repaired_with_a_note(tmp_path: Path) -> None:
    samples = np.full((1, 44100), 0.1, np.float32)
    song = write_audio(AudioClip(samples, 44100), tmp_path / "a.wav", subtype="float")
    data = bytearray(song.read_bytes())
    data[-4:] = np.float32(3e38).tobytes()
    song.write_bytes(bytes(data))
    record = cut(song, tmp_path / "out", SliceSettings(columns=64))
    assert "1 bad sample was repaired, at 1.000 s" in record.notes[0]
    assert record.trouble == ""
    assert np.isfinite(record.blacks).all()
    assert np.isfinite(record.loudness)


def test_song_with_too_many_bad_samples_leaves_no_images(tmp_path: Path) -> None:
    song = write_audio(AudioClip(np.full((1, 44100), 0.1, np.float32), 44100), tmp_path / "a.wav", subtype="float")
    data = bytearray(song.read_bytes())
    data[-4000:] = np.full(1000, np.nan, np.float32).tobytes()
    song.write_bytes(bytes(data))
    with pytest.raises(AudioError):
        cut(song, tmp_path / "out", SliceSettings(columns=16))
    assert not list((tmp_path / "out").iterdir())
