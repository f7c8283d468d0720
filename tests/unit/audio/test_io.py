"""Sound files of every format, with and without soundfile."""

from __future__ import annotations

import io
import json
import math
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from riffusion_ext.audio import FORMATS, AudioClip, available_formats, read_audio, read_tags, write_audio
from riffusion_ext.audio.formats import soundfile_io
from riffusion_ext.audio.tags import check_tags
from riffusion_ext.errors import AudioError

COMMENT = json.dumps(
    {
        "riffusion": {
            "name": "Größe 日本 😀 “quoted” \\ \n",
            "max_value": 30e6,
            "fields": [f"Ünïcode {n}" for n in range(30)],
        }
    },
    ensure_ascii=False,
)
TAGS = {
    "title": "Tïtle “x” 日本 😀",
    "artist": "Ärtist",
    "album": "Älbum",
    "comment": COMMENT,
    "software": "riffusion-ext 0.1.0 é",
    "date": "2024-01-02",
    "genre": "Jäzz",
}

needs_soundfile = pytest.mark.skipif(soundfile_io.load() is None, reason="needs soundfile")
every_format = pytest.mark.parametrize("form", ["wav", *(pytest.param(f, marks=needs_soundfile) for f in FORMATS[1:])])


def signal_to_noise(sound: AudioClip, original: AudioClip) -> float:
    noise = np.mean((sound.samples - original.samples) ** 2, dtype=np.float64)
    return 10 * math.log10(original.rms**2 / max(noise, 1e-30))


# --- every format ----------------------------------------------------------------------------------------------------


@every_format
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("subtype", "decibels"), [("pcm16", 85), ("pcm24", 130), ("float", 130)])
def test_written_audio_is_read_back(
    tmp_path: Path, tone, form: str, channels: int, subtype: str, decibels: float
) -> None:
    clip = tone(1.0, channels=channels)
    path = write_audio(clip, tmp_path / f"a.{form}", subtype=subtype)
    back = read_audio(path)
    assert back.sample_rate == 44100
    assert back.samples.shape == clip.samples.shape  # MP3 too: no silence is added in front
    assert back.samples.flags.c_contiguous
    assert signal_to_noise(back, clip) > (decibels if form in ("wav", "flac") else 30)


@every_format
def test_suffix_may_be_in_capitals(tmp_path: Path, tone, form: str) -> None:
    path = write_audio(tone(), tmp_path / f"a.{form.upper()}")
    assert read_audio(path).duration == pytest.approx(0.2)


@every_format
@pytest.mark.parametrize("rate", [8000, 22050, 32000, 48000])
def test_sample_rates_are_kept(tmp_path: Path, tone, form: str, rate: int) -> None:
    back = read_audio(write_audio(tone(rate=rate), tmp_path / f"a.{form}"))
    assert back.sample_rate == rate
    assert back.samples.shape == (1, round(0.2 * rate))


@every_format
@pytest.mark.parametrize("subtype", ["pcm16", "pcm24"])
def test_samples_above_full_scale_are_clipped_and_never_wrap(tmp_path: Path, tone, form: str, subtype: str) -> None:
    clip = tone(channels=2, amplitude=3.0)
    back = read_audio(write_audio(clip, tmp_path / f"a.{form}", subtype=subtype))
    clipped = AudioClip(np.clip(clip.samples, -1, 1), 44100)
    assert signal_to_noise(back, clipped) > (80 if form in ("wav", "flac") else 15)


def test_float_wav_keeps_samples_above_full_scale(tmp_path: Path, tone) -> None:
    clip = tone(amplitude=3.0)
    np.testing.assert_array_equal(
        read_audio(write_audio(clip, tmp_path / "a.wav", subtype="float")).samples, clip.samples
    )


@pytest.mark.parametrize("form", ["wav", pytest.param("flac", marks=needs_soundfile)])
def test_sixteen_bit_samples_are_rounded(tmp_path: Path, form: str) -> None:
    steps = np.array([[0.4, 0.6, 1.4, 1.6, -0.4, -0.6, -1.6, 40000, -40000]], np.float32) / 32768
    back = read_audio(write_audio(AudioClip(steps, 44100), tmp_path / f"a.{form}"))
    assert (back.samples * 32768).tolist() == [[0, 1, 1, 2, 0, -1, -2, 32767, -32768]]


@needs_soundfile
def test_wav_and_flac_store_the_same_samples(tmp_path: Path, tone) -> None:
    clip = tone(channels=6)
    for subtype in ("pcm16", "pcm24"):
        one, other = (read_audio(write_audio(clip, tmp_path / f"a.{f}", subtype=subtype)) for f in ("wav", "flac"))
        np.testing.assert_array_equal(one.samples, other.samples)


@every_format
@pytest.mark.parametrize("start", [0.0, 0.3])
@pytest.mark.parametrize("duration", [None, 0.25, 50.0])
def test_part_of_a_file_equals_the_slice_of_the_whole(
    tmp_path: Path, tone, form: str, start: float, duration: float | None
) -> None:
    path = write_audio(tone(1.0, channels=2), tmp_path / f"a.{form}")
    part = read_audio(path, start=start, duration=duration)
    whole = read_audio(path).slice(start, None if duration is None else start + duration)
    assert part.samples.shape == whole.samples.shape
    assert np.abs(part.samples - whole.samples).max() < (1e-6 if form in ("wav", "flac") else 2e-3)


@every_format
def test_part_past_the_end_is_refused(tmp_path: Path, tone, form: str) -> None:
    path = write_audio(tone(), tmp_path / f"a.{form}")
    with pytest.raises(AudioError, match="7 s, lies past the end") as caught:
        read_audio(path, start=7)
    assert str(path) in str(caught.value)


@every_format
def test_clip_of_one_sample_round_trips(tmp_path: Path, form: str) -> None:
    path = write_audio(AudioClip(np.array([[0.5]], np.float32), 44100), tmp_path / f"a.{form}")
    assert read_audio(path).samples.shape == (1, 1)


# --- tags ------------------------------------------------------------------------------------------------------------


@every_format
def test_tags_round_trip(tmp_path: Path, tone, form: str) -> None:
    assert len(COMMENT) > 400
    path = write_audio(tone(), tmp_path / f"a.{form}", tags=TAGS)
    assert read_tags(path) == TAGS
    assert json.loads(read_tags(path)["comment"])["riffusion"]["max_value"] == 30e6
    assert read_audio(path).samples.shape == (1, 8820)


@every_format
def test_single_tags_and_no_tags_round_trip(tmp_path: Path, tone, form: str) -> None:
    for name, text in TAGS.items():
        assert read_tags(write_audio(tone(0.01), tmp_path / f"a.{form}", tags={name: text})) == {name: text}
    for tags in (None, {}, {"title": ""}):
        assert read_tags(write_audio(tone(0.01), tmp_path / f"a.{form}", tags=tags)) in ({}, {"software": ""})


@every_format
@settings(max_examples=20)
@given(text=st.text(min_size=1, max_size=3000))
def test_any_tag_text_round_trips(tmp_path_factory: pytest.TempPathFactory, form: str, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{form}"
    write_audio(AudioClip(np.zeros((1, 100), np.float32), 44100), path, tags={"comment": text})
    assert read_tags(path) == check_tags({"comment": text})


@needs_soundfile
@pytest.mark.parametrize("form", ["flac", "ogg"])
def test_tags_are_readable_by_other_libraries(tmp_path: Path, tone, form: str) -> None:
    data = write_audio(tone(), tmp_path / f"a.{form}", tags=TAGS).read_bytes().lower()
    for name in ("title", "artist", "album", "comment", "date", "genre"):
        assert f"{name}={TAGS[name]}".encode().lower() in data


@needs_soundfile
def test_mp3_contains_only_our_tag(tmp_path: Path, tone) -> None:
    data = write_audio(tone(), tmp_path / "a.mp3", tags=TAGS).read_bytes()
    assert data.startswith(b"ID3\4")
    assert data.count(b"ID3") == 1
    assert TAGS["title"].encode() in data
    assert data[-128:-125] != b"TAG"
    bare = write_audio(tone(), tmp_path / "b.mp3").read_bytes()
    assert bare[0] == 0xFF
    assert data.endswith(bare)


def test_tags_are_cleaned_and_unknown_tags_refused() -> None:
    assert check_tags({"title": "a\0b", "artist": "", "album": "\udcff"}) == {"title": "ab", "album": "?"}
    assert check_tags(None) == {}
    with pytest.raises(AudioError, match="unknown tag 'Title'"):
        check_tags({"Title": "x"})
    with pytest.raises(AudioError, match="'title' must be a text, got int"):
        check_tags({"title": 3})  # type: ignore[dict-item]


# --- MP3 and OGG -----------------------------------------------------------------------------------------------------


@needs_soundfile
@pytest.mark.parametrize(("rate", "written"), [(96000, 48000), (88200, 44100), (176400, 44100), (64000, 48000)])
def test_mp3_resamples_unsupported_rates(tmp_path: Path, tone, rate: int, written: int) -> None:
    back = read_audio(write_audio(tone(1.0, rate=rate), tmp_path / "a.mp3"))
    assert back.sample_rate == written
    assert back.samples.shape == (1, written)
    assert signal_to_noise(back.slice(0.1, 0.9), tone(1.0, rate=written).slice(0.1, 0.9)) > 30


@needs_soundfile
def test_mp3_refuses_surround(tmp_path: Path, tone) -> None:
    with pytest.raises(AudioError, match="one or two channels, got 3"):
        write_audio(tone(channels=3), tmp_path / "a.mp3")
    assert list(tmp_path.iterdir()) == []


@needs_soundfile
@pytest.mark.parametrize("form", ["flac", "ogg", "mp3"])
def test_libsndfile_gets_no_more_than_a_block_at_once(monkeypatch, tmp_path: Path, tone, form: str) -> None:
    import soundfile

    sizes: list[int] = []
    plain = soundfile.SoundFile.write

    def spy(self: object, data: np.ndarray) -> None:
        sizes.append(len(data))
        plain(self, data)

    monkeypatch.setattr(soundfile.SoundFile, "write", spy)
    clip = tone(3.2)
    write_audio(clip, tmp_path / f"a.{form}")
    assert max(sizes) <= 65536
    assert sum(sizes) == clip.samples.shape[1] == 141120


@needs_soundfile
@pytest.mark.slow
def test_long_ogg_file_is_written_and_read(tmp_path: Path, tone) -> None:
    clip = tone(600.0, rate=8000)
    assert read_audio(write_audio(clip, tmp_path / "a.ogg")).samples.shape == clip.samples.shape


@needs_soundfile
@pytest.mark.parametrize("form", ["flac", "ogg", "mp3"])
@pytest.mark.parametrize("kind", ["LibsndfileError", "AssertionError"])
def test_limits_of_libsndfile_are_reported(monkeypatch, tmp_path: Path, tone, form: str, kind: str) -> None:
    import soundfile

    def fail(*_: object) -> None:
        raise soundfile.LibsndfileError(2) if kind == "LibsndfileError" else AssertionError

    path = tmp_path / f"a.{form}"
    path.write_bytes(b"old")
    monkeypatch.setattr(soundfile.SoundFile, "write", fail)
    with pytest.raises(AudioError, match=f"1 channels at 44100 Hz cannot be written as {form.upper()}: .+"):
        write_audio(tone(), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


@needs_soundfile
def test_older_soundfile_versions_can_write(monkeypatch, tmp_path: Path, tone) -> None:
    import soundfile

    plain = soundfile.SoundFile

    def old(file, mode="r", samplerate=None, channels=None, subtype=None, endian=None, format=None):
        return plain(file, mode, samplerate, channels, subtype, endian, format)

    monkeypatch.setattr(soundfile, "SoundFile", old)
    for form in ("flac", "ogg", "mp3"):
        assert read_audio(write_audio(tone(), tmp_path / f"a.{form}")).duration == pytest.approx(0.2)


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a", "a.", "a.aiff", "a.wave", "a.wav.tmp", ".wav"])
def test_unknown_suffix_is_refused(tmp_path: Path, tone, name: str) -> None:
    with pytest.raises(AudioError, match=r"one of \.wav, \.flac, \.ogg, \.mp3, got"):
        write_audio(tone(), tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_unknown_subtype_is_refused(tmp_path: Path, tone) -> None:
    with pytest.raises(AudioError, match="pcm16, pcm24, float, got 'PCM_16'"):
        write_audio(tone(), tmp_path / "a.wav", subtype="PCM_16")


@every_format
def test_empty_clip_is_refused(tmp_path: Path, form: str) -> None:
    with pytest.raises(AudioError, match="no samples"):
        write_audio(AudioClip(np.zeros((1, 0), np.float32), 44100), tmp_path / f"a.{form}")
    assert list(tmp_path.iterdir()) == []


@every_format
def test_nan_written_into_a_clip_later_is_refused(tmp_path: Path, tone, form: str) -> None:
    clip = tone()
    clip.samples[0, 5] = np.nan
    with pytest.raises(AudioError, match="finite"):
        write_audio(clip, tmp_path / f"a.{form}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read", [read_audio, read_tags])
@pytest.mark.usefixtures("no_ffmpeg")
def test_files_that_are_not_audio_are_refused(tmp_path: Path, read) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("not a sound, only words " * 20)
    (tmp_path / "text.raw").write_text("not a sound, only words " * 20)
    (tmp_path / "cut.wav").write_bytes(b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0\1\0")
    for name, said in [
        ("missing.wav", "no such file"),
        ("", "is a folder"),
        ("empty.wav", "empty"),
        ("text.wav", "cannot be read"),
        ("text.raw", "cannot be read"),
        ("cut.wav", "cannot be read"),
        ("a\0b.wav", "cannot be read|no such file"),
        ("x" * 300, "too long|no such file"),
    ]:
        with pytest.raises(AudioError, match=said):
            read(tmp_path / name)


@pytest.mark.parametrize(
    "part", [{"start": -1}, {"start": math.nan}, {"start": math.inf}, {"duration": 0}, {"duration": math.nan}]
)
def test_invalid_parts_are_refused(tmp_path: Path, tone, part: dict[str, float]) -> None:
    path = write_audio(tone(), tmp_path / "a.wav")
    with pytest.raises(AudioError, match="must be"):
        read_audio(path, **part)


@needs_soundfile
@pytest.mark.usefixtures("no_ffmpeg")
@pytest.mark.parametrize("form", ["flac", "ogg"])
def test_truncated_file_does_not_crash(tmp_path: Path, tone, form: str) -> None:
    path = write_audio(tone(2.0), tmp_path / f"a.{form}")
    data = path.read_bytes()
    for size in (10, 60, len(data) // 2, len(data) - 7):
        path.write_bytes(data[:size])
        with suppress(AudioError):
            assert read_audio(path).duration <= 2.01


@needs_soundfile
@pytest.mark.parametrize("seconds", [0.2, 65536 / 44100, 4.0])
def test_file_with_a_length_unknown_to_libsndfile_is_read_whole(
    monkeypatch, tmp_path: Path, tone, seconds: float
) -> None:
    import soundfile

    clip = tone(seconds, channels=2)
    path = write_audio(clip, tmp_path / "a.flac")
    monkeypatch.setattr(soundfile.SoundFile, "frames", property(lambda _: 2**63 - 1))
    assert read_audio(path).samples.shape == clip.samples.shape
    assert read_audio(path, start=0.1).samples.shape[1] == clip.samples.shape[1] - 4410


@needs_soundfile
def test_too_many_channels_are_refused(tmp_path: Path) -> None:
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros((10, 9)), 44100)
    with pytest.raises(AudioError, match=r"a\.wav cannot be read: .*1 to 8 channels"):
        read_audio(tmp_path / "a.wav")


# --- which reader ----------------------------------------------------------------------------------------------------


def test_format_is_recognised_by_content_not_by_suffix(tmp_path: Path, tone) -> None:
    path = write_audio(tone(), tmp_path / "a.wav", tags={"title": "t"}).rename(tmp_path / "a.mp3")
    assert read_audio(path).samples.shape == (1, 8820)
    assert read_tags(path) == {"title": "t"}


@needs_soundfile
@pytest.mark.usefixtures("no_ffmpeg")
def test_other_formats_are_read_by_libsndfile(tmp_path: Path, tone) -> None:
    import soundfile

    clip = tone(channels=2)
    for name, options in {"a.aiff": {}, "a.au": {}, "a.w64": {}, "a.wav": {"subtype": "IMA_ADPCM"}}.items():
        soundfile.write(tmp_path / name, clip.samples.T, 44100, **options)
        back = read_audio(tmp_path / name)
        assert signal_to_noise(AudioClip(back.samples[:, :8820], 44100), clip) > 25


def test_available_formats_depend_on_soundfile() -> None:
    assert available_formats() in (FORMATS, ("wav",), FORMATS[:3])
    assert (available_formats() == ("wav",)) == (soundfile_io.load() is None)


@pytest.mark.usefixtures("no_soundfile", "no_ffmpeg")
class TestWithoutSoundfile:
    def test_only_wav_can_be_written(self, tmp_path: Path, tone) -> None:
        assert available_formats() == ("wav",)
        for form in ("flac", "ogg", "mp3"):
            with pytest.raises(AudioError, match=f"{form.upper()} needs the package soundfile"):
                write_audio(tone(), tmp_path / f"a.{form}")
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("subtype", ["pcm16", "pcm24", "float"])
    def test_wav_needs_no_optional_package(self, tmp_path: Path, tone, subtype: str) -> None:
        clip = tone(channels=2)
        path = write_audio(clip, tmp_path / "a.wav", subtype=subtype, tags=TAGS)
        np.testing.assert_allclose(read_audio(path).samples, clip.samples, atol=2**-16)
        assert read_tags(path) == TAGS

    def test_other_formats_name_the_missing_package(self, tmp_path: Path) -> None:
        (tmp_path / "a.flac").write_bytes(b"fLaC" + bytes(100))
        with pytest.raises(AudioError, match=r"soundfile is not installed.*ffmpeg is not installed"):
            read_audio(tmp_path / "a.flac")
        with pytest.raises(AudioError, match="soundfile is not installed"):
            read_tags(tmp_path / "a.flac")


def test_soundfile_without_its_library_counts_as_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    plain = builtins.__import__

    def without_library(name: str, *rest: object) -> object:
        if name == "soundfile":
            raise OSError("sndfile library not found")
        return plain(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without_library)
    assert available_formats() == ("wav",)


@needs_soundfile
@pytest.mark.usefixtures("no_soundfile")
def test_the_tag_of_an_mp3_is_read_without_soundfile(monkeypatch, tmp_path: Path, tone) -> None:
    monkeypatch.undo()
    path = write_audio(tone(), tmp_path / "a.mp3", tags=TAGS)
    monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    assert read_tags(path) == TAGS


def test_encoding_returns_bytes_without_a_file(tone) -> None:
    """The file is never written by libsndfile itself, so a full disk cannot make it fail."""
    pytest.importorskip("soundfile")
    data = soundfile_io.encode(tone(), "flac", subtype="pcm16", tags={})
    assert io.BytesIO(data).read(4) == b"fLaC"
