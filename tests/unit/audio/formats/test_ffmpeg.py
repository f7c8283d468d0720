"""Decoding by ffmpeg: with a fake program that records its arguments, and with the real one."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from riffusion_ext.audio import read_audio, write_audio
from riffusion_ext.audio.formats import ffmpeg
from riffusion_ext.audio.formats.wav import write_wav
from riffusion_ext.audio.stream import read_pieces
from riffusion_ext.errors import AudioError
from tests.unit.processes import Program

stand_in = pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a #! line")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Return a function that makes a program called ffmpeg from Python lines and puts it alone on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()

    def make(lines: str) -> Path:
        program = folder / "ffmpeg"
        program.write_text(f"#!{sys.executable}\nimport json, os, pathlib, sys, time\n{lines}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(folder))
        return folder

    return make


@pytest.fixture
def strange(tmp_path: Path) -> Path:
    """Return a file of unknown format, with a name that could be taken for an option."""
    path = tmp_path / "-y strange.m4a"
    path.write_bytes(b"\0\0\0\x18ftypM4A " + bytes(100))
    return path


@stand_in
def test_ffmpeg_gets_the_expected_arguments_and_its_wav_output_is_read(fake, strange: Path, tone) -> None:
    clip = tone(channels=2)
    buffer = io.BytesIO()
    write_wav(buffer, clip, subtype="float", tags={"software": "Lavf"})
    streamed = bytearray(buffer.getvalue())
    place = streamed.index(b"data") + 4
    streamed[4:8] = streamed[place : place + 4] = b"\xff" * 4  # a pipe cannot be rewound to fill in the sizes
    folder = fake(
        "here = pathlib.Path(__file__).parent\n"
        "(here / 'args').write_text(json.dumps(sys.argv[1:]))\n"
        "sys.stderr.write('x' * 200000)\n"
        "sys.stdout.buffer.write((here / 'sound').read_bytes())"
    )
    (folder / "sound").write_bytes(streamed)
    np.testing.assert_array_equal(read_audio(strange).samples, clip.samples)
    args = json.loads((folder / "args").read_text())
    assert args[args.index("-i") + 1] == f"file:{strange}"
    assert args[args.index("-protocol_whitelist") + 1] == "file,pipe"
    assert "-nostdin" in args
    assert "-ss" not in args
    assert "-t" not in args

    read_audio(strange, start=1.5, duration=2)
    args = json.loads((folder / "args").read_text())
    assert float(args[args.index("-ss") + 1]) == 1.5
    assert float(args[args.index("-t") + 1]) == 2
    assert args.index("-ss") > args.index("-i")  # exact to the sample


@stand_in
def test_error_contains_the_last_line_of_ffmpeg_output(fake, strange: Path) -> None:
    fake("print('one\\nlast words\\n', file=sys.stderr); sys.exit(3)")
    with pytest.raises(AudioError, match=r"ffmpeg says: last words$") as caught:
        read_audio(strange)
    assert str(strange) in str(caught.value)
    assert "one" not in str(caught.value).replace(str(strange), "").split("ffmpeg says")[1]


@stand_in
def test_ffmpeg_failure_without_a_message_is_reported(fake, strange: Path) -> None:
    fake("sys.exit(3)")
    with pytest.raises(AudioError, match="ffmpeg says: exit status 3"):
        read_audio(strange)
    fake("pass")
    with pytest.raises(AudioError, match="ffmpeg finds no sound in it"):
        read_audio(strange)


@stand_in
def test_ffmpeg_that_does_not_start_is_reported(fake, strange: Path) -> None:
    folder = fake("")
    (folder / "ffmpeg").write_text("#!/nowhere/python\n")
    with pytest.raises(AudioError, match="ffmpeg does not start"):
        read_audio(strange)


@stand_in
def test_interrupt_stops_ffmpeg(fake, strange: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake("time.sleep(600)")
    started: list[subprocess.Popen[bytes]] = []

    def interrupt(_pipe: object, process: subprocess.Popen[bytes], _errors: object) -> None:
        started.append(process)
        raise KeyboardInterrupt

    monkeypatch.setattr(ffmpeg, "_read_header", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ffmpeg.read(strange)
    assert started[0].returncode not in (None, 0)


@stand_in
def test_ffmpeg_is_not_started_for_files_that_soundfile_reads(fake, tmp_path: Path, tone) -> None:
    fake("sys.exit('called')")
    assert read_audio(write_audio(tone(), tmp_path / "a.wav")).duration == pytest.approx(0.2)
    with pytest.raises(AudioError, match="past the end") as caught:
        read_audio(tmp_path / "a.wav", start=5)
    assert "called" not in str(caught.value)


@stand_in
@pytest.mark.usefixtures("no_soundfile")
def test_ffmpeg_replaces_a_missing_soundfile(fake, tmp_path: Path, tone) -> None:
    folder = fake("sys.stdout.buffer.write((pathlib.Path(__file__).parent / 'sound').read_bytes())")
    write_audio(tone(), tmp_path / "a.wav", subtype="float").rename(folder / "sound")
    (tmp_path / "a.flac").write_bytes(b"fLaC")
    assert read_audio(tmp_path / "a.flac").samples.shape == (1, 8820)


@pytest.mark.usefixtures("real_ffmpeg")
@pytest.mark.parametrize("start", [0.0, 0.7])
def test_installed_ffmpeg_decodes_files(tmp_path: Path, tone, start: float) -> None:
    clip = tone(2.0, channels=2)
    wav, m4a = write_audio(clip, tmp_path / "a.wav"), tmp_path / "- a%d:b.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, "-b:a", "320k", f"file:{m4a}"], check=True)
    back = read_audio(m4a, start=start, duration=1.0)
    assert back.samples.shape == (2, 44100)
    expected = clip.slice(start, start + 1)
    middle = slice(4000, 40000)
    assert np.abs(back.samples - expected.samples)[:, middle].max() < 0.005  # a sample too early or late makes 0.03


@pytest.mark.usefixtures("real_ffmpeg")
@pytest.mark.parametrize("suffix", ["aac", "m4a", "mka", "mpg", "opus", "ts", "tta", "webm", "wma", "wv"])
def test_common_formats_are_read_by_ffmpeg(tmp_path: Path, tone, suffix: str) -> None:
    made = tmp_path / f"a.{suffix}"
    wav = write_audio(tone(2.0, rate=48000), tmp_path / "a.wav")
    subprocess.run(["ffmpeg", "-v", "error", "-i", wav, made], check=True)
    assert ffmpeg.read(made).duration == pytest.approx(2.0, abs=0.1)


@pytest.mark.usefixtures("real_ffmpeg")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n"),
        ("a.mp3", "ffconcat version 1.0\nfile {}\n"),
    ],
)
def test_playlists_are_refused(tmp_path: Path, tone, name: str, text: str) -> None:
    other = tmp_path / "private.aac"
    subprocess.run(["ffmpeg", "-v", "error", "-i", write_audio(tone(2.0), tmp_path / "a.wav"), other], check=True)
    path = tmp_path / name
    path.write_text(text.format(other.name))
    with pytest.raises(AudioError, match="it is a playlist"):
        read_audio(path)
    with pytest.raises(AudioError, match="it is a playlist"):
        list(read_pieces(path))


@pytest.mark.parametrize("name", ["silent.mp4", "silent.mkv", "silent.webm"])
def test_video_without_a_sound_track_is_reported(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    source = ["-f", "lavfi", "-i", "testsrc=d=0.4:s=64x64:r=5"]
    subprocess.run(["ffmpeg", "-v", "error", *source, "-an", path], check=True)
    for read in (read_audio, lambda path: list(read_pieces(path))):
        with pytest.raises(AudioError, match=r"cannot be read: it is a video or image without a sound track$"):
            read(path)


SILENT = """
import sys
from pathlib import Path
from riffusion_ext.audio.formats import ffmpeg
ffmpeg.read(Path(sys.argv[1]))
"""


@stand_in
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it ends when it next writes")
def test_ffmpeg_ends_when_its_parent_is_killed(fake, strange: Path, tmp_path: Path) -> None:
    folder = fake(f"open({str(tmp_path / 'began')!r}, 'w').close()\ntime.sleep(600)")
    with Program("-c", SILENT, str(strange), folder=tmp_path, PATH=str(folder)) as program:
        program.wait_for(lambda: (tmp_path / "began").exists())
        assert len(program.there()) == 2
        program.end(signal.SIGKILL)
        program.wait_until_gone()
