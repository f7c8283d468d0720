"""Images and sounds for the browser tests, written with the standard library only."""

from __future__ import annotations

import math
import struct
import wave
import zlib
from pathlib import Path


def png(path: Path, width: int = 128, height: int = 512) -> Path:
    """Write a grey image."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes([128, 128, 128]) * width for _ in range(height))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    return path


def tone(path: Path, seconds: float, rate: int = 8000) -> Path:
    """Write a quiet tone."""
    samples = [round(2000 * math.sin(2 * math.pi * 220 * n / rate)) for n in range(round(seconds * rate))]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, len(samples), "NONE", ""))
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return path
