"""The last resort for reading: the program ffmpeg, where one is installed."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.wav import UnsupportedError, read_wav

__all__ = ["read"]


def read(path: Path, *, start: float = 0.0, duration: float | None = None) -> AudioClip:
    """Read the first sound track of any file that ffmpeg knows.

    It takes as long as ffmpeg does; where the waiting is interrupted, ffmpeg is stopped.

    Raises
    ------
    UnsupportedError
        ffmpeg is not on PATH, or fails; then its last line is in the message.
    """
    program = shutil.which("ffmpeg")
    if program is None:
        raise UnsupportedError("ffmpeg is not installed")
    command = [program, "-nostdin", "-v", "error", "-protocol_whitelist", "file,pipe"]
    # "file:" and the whole path, lest a name be taken for an option or an address.
    command += ["-i", f"file:{path.absolute()}", "-map", "0:a:0", "-vn"]
    # After the input: ffmpeg decodes from the beginning, and does not miss the place by a frame of the codec.
    command += ["-ss", f"{start:.9f}"] if start else []
    command += ["-t", f"{duration:.9f}"] if duration is not None else []
    command += ["-c:a", "pcm_f32le", "-f", "wav", "pipe:1"]
    sound = _output(command)
    return read_wav(io.BytesIO(sound))


def _output(command: list[str]) -> bytes:
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError as error:
        raise UnsupportedError(f"ffmpeg does not start: {error.strerror or error}") from error
    with process:
        try:
            sound, errors = process.communicate()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        lines = errors.decode("utf-8", "replace").strip().splitlines()
        raise UnsupportedError(f"ffmpeg says: {lines[-1].strip() if lines else f'exit status {process.returncode}'}")
    return sound
