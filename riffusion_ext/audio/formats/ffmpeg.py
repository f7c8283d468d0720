"""Read sound files through the program ffmpeg, if it is installed."""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import IO, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from riffusion_ext.audio.clip import AudioClip, check_clip_format
from riffusion_ext.audio.formats.wav import BLOCK, UnsupportedError
from riffusion_ext.audio.integrity.repair import repair_samples
from riffusion_ext.audio.integrity.truncation import decoder_note
from riffusion_ext.audio.workload import check, read_workload
from riffusion_ext.errors import AudioError
from riffusion_ext.files.regular import check_regular

__all__ = ["VARIABLE", "open_stream", "read"]

VARIABLE = "RIFFUSION_FFMPEG"
"""Environment variable with the path of ffmpeg if it is not on PATH; empty disables ffmpeg."""

_FORMATS = (
    "aa aac aax ac3 ac4 acm act adp ads adx aea afc aiff aix amr amrnb amrwb apc ape aptx aptx_hd asf ast au "
    "avi avr bfstm bink binka bit bonk brstm caf codec2 dsf dss dts dtshd dv eac3 epaf flac flv fsb fwse g722 "
    "g723_1 g726 g726le g729 genh gsm gxf hca hcom iamf iff ilbc ircam ivr kux laf lc3 libgme libmodplug "
    "libopenmpt loas matroska mlp mmf mov mp3 mpc mpc8 mpeg mpegts mpegvideo msf mtaf mxf nistsphere nsv nut "
    "nuv ogg oma osq pva pvf qcp qoa rka rm rsd sbc shn sln smk sox spdif svag swf tak truehd tta ty vag voc "
    "vpk vqf w64 wav wavarc webm wsd wtv wv wve xa xvag xwma"
).replace(" ", ",")
"""Formats that contain their sound. Excludes playlists and the like, which make ffmpeg read other files."""

_MAX_HEADER_BYTES = 1 << 20


def read(path: Path, *, start: float = 0.0, duration: float | None = None) -> AudioClip:
    """Read the first sound track of a file in one of the allowed formats.

    Blocks until ffmpeg ends. An interrupt stops ffmpeg.

    Raises
    ------
    UnsupportedError
        ffmpeg is not on PATH, or fails; the message contains its last line.
    """
    # Placed after the input: ffmpeg then decodes from the beginning, and the seek is exact to the sample.
    options = ["-ss", f"{start:.9f}"] if start else []
    options += ["-t", f"{duration:.9f}"] if duration is not None else []
    complaints: list[str] = []
    with open_stream(path, *options, complaints=complaints) as (pipe, channels, sample_rate):
        check_clip_format(channels, sample_rate)
        frame = 4 * channels
        blocks: list[npt.NDArray[np.float32]] = []
        count = 0
        while raw := pipe.read(BLOCK * frame):
            block = np.frombuffer(raw[: len(raw) // frame * frame], "<f4").reshape(-1, channels)
            blocks.append(block.T.astype(np.float32))
            count += len(block)
            check(read_workload(channels, count, sample_rate))
    samples = np.concatenate([np.empty((channels, 0), np.float32), *blocks], axis=1)
    clip = repair_samples(samples, sample_rate, start=round(start * sample_rate))
    return replace(clip, notes=(*clip.notes, *map(decoder_note, complaints)))


@contextmanager
def open_stream(path: Path, *options: str, complaints: list[str] | None = None) -> Iterator[tuple[BinaryIO, int, int]]:
    """Run ffmpeg inside a ``with``; yields a pipe of 32-bit float samples, the number of channels and the sample rate.

    `options` are passed to ffmpeg to select a part. Errors that do not stop ffmpeg are appended to `complaints` at the
    end.

    Raises
    ------
    UnsupportedError
        ffmpeg is not on PATH, cannot read the file, or fails before its end.
    """
    with tempfile.TemporaryFile() as errors:
        process = _start(_command(path, *options), errors)
        assert process.stdout is not None
        pipe = cast(BinaryIO, process.stdout)
        try:
            yield (pipe, *_read_header(pipe, process, errors))
            _check(process.wait(), errors)
            if complaints is not None and (message := _last_line(errors)):
                complaints.append(f"ffmpeg says: {message}")
        finally:
            process.kill()
            pipe.close()
            process.wait()


def _read_header(pipe: BinaryIO, process: subprocess.Popen[bytes], errors: IO[bytes]) -> tuple[int, int]:
    """Read the header of the WAV stream that ffmpeg writes; return its channels and sample rate."""
    pipe.read(12)
    channels = sample_rate = 0
    while len(head := pipe.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"data" and channels and sample_rate:
            return channels, sample_rate
        if size > _MAX_HEADER_BYTES:
            break
        body = pipe.read(size + size % 2)
        if name == b"fmt " and len(body) >= 8:
            channels, sample_rate = struct.unpack_from("<HI", body, 2)
    pipe.close()
    _check(process.wait(), errors)
    raise UnsupportedError("ffmpeg finds no sound in it")


def _command(path: Path, *options: str) -> list[str]:
    check_regular(path)
    program = os.environ.get(VARIABLE, shutil.which("ffmpeg"))
    if not program:
        raise UnsupportedError("ffmpeg is not installed")
    command = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    command += ["-format_whitelist", _FORMATS]
    # "file:" and the absolute path: a name cannot be mistaken for an option or a URL.
    command += ["-i", f"file:{path.absolute()}", "-map", "0:a:0", "-vn"]
    return [*command, *options, "-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]


def _start(command: list[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that ends with this one, however this one ends.

    It has its own session, so signals from the terminal do not reach it; the caller that waits for it stops it.
    """
    if sys.platform == "linux" and sys.executable:
        command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
    # On Linux the signal is sent when the starting thread ends, so a thread that never ends starts it.
    with _starter_lock:
        starter = _starter(os.getpid())
    started = starter.submit(_popen, command, errors)
    try:
        return started.result()
    except OSError as error:
        raise UnsupportedError(f"{_START_FAILED}{error.strerror or error}") from error
    except BaseException:  # interrupted while waiting for the start
        started.add_done_callback(_stop)
        raise


def _popen(command: list[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, start_new_session=True
    )


_START_FAILED = "ffmpeg does not start: "
_LAUNCHER = f"""
import os, sys
try:
    import ctypes
    ctypes.CDLL(None).prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
except Exception:
    pass
if os.getppid() == int(sys.argv[1]):
    try:
        os.execv(sys.argv[2], sys.argv[2:])
    except OSError as error:
        sys.exit({_START_FAILED!r} + str(error.strerror))
"""


_starter_lock = threading.Lock()


@lru_cache(maxsize=1)
def _starter(_process: int) -> Executor:
    return ThreadPoolExecutor(1, "riffusion-ffmpeg")


def _stop(started: Future[subprocess.Popen[bytes]]) -> None:
    if not started.cancelled() and started.exception() is None:
        started.result().kill()


def _stderr_text(errors: IO[bytes]) -> str:
    errors.seek(max(errors.seek(0, os.SEEK_END) - _MAX_HEADER_BYTES, 0))
    return errors.read().decode("utf-8", "replace").strip()


def _last_line(errors: IO[bytes]) -> str:
    """Return the last line of ffmpeg's output without its ``[component]`` prefix; empty if there is none."""
    line = re.sub(r"^\[[^\]]*\] ", "", _stderr_text(errors).rpartition("\n")[2].strip()).rstrip(".")
    return line.rpartition(": ")[2] if line.startswith("file:") else line  # no path


def _check(status: int, errors: IO[bytes]) -> None:
    if status:
        text = _stderr_text(errors)
        if "not on whitelist" in text:
            raise UnsupportedError("it is a playlist, or of a kind that is not read here")
        if "matches no streams" in text:  # ffmpeg could open it: no other reader will find sound
            raise AudioError("it is a video or image without a sound track")
        last = text.splitlines()[-1].strip() if text else f"exit status {status}"
        if last.startswith(_START_FAILED):
            raise UnsupportedError(last)
        reason = last.rpartition(": ")[2] if last.startswith("file:") else last  # the message contains the path already
        raise UnsupportedError(f"ffmpeg says: {reason}")
