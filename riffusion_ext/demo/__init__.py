"""The demo: a synthesised tune to training images and back to sound.

It needs no download, no model, no webui and no GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from PIL import Image

    from riffusion_ext.spectrogram.codec import Decoded, EncodedImage

__all__ = ["DemoResult", "image_difference", "run_demo"]


class DemoResult(TypedDict):
    """Result of the demo: files by name, mean difference in grey levels, engine, and seconds that it took."""

    files: dict[str, Path | list[Path]]
    difference: float
    engine: str
    seconds: float


def image_difference(one: Image.Image, other: Image.Image) -> float:
    """Return the mean difference of two images of one size in levels, 0 (the same) to 255."""
    import numpy as np

    a, b = (np.asarray(image.convert("RGB"), dtype=np.float32)[..., 0] for image in (one, other))
    width = min(a.shape[1], b.shape[1])
    return float(np.abs(a[:, :width] - b[:, :width]).mean())


def run_demo(
    folder: Path,
    *,
    engine: str = "fast",
    device: str = "auto",
    high_frequencies: str = "off",
    program: str = "riffusion-ext",
    say: Callable[[str], None],
) -> DemoResult:
    """Run the demo.

    Parameters
    ----------
    folder
        Folder for the files; created if missing.
    engine, device, high_frequencies
        See :class:`~riffusion_ext.spectrogram.settings.DecodeSettings`. The difference is measured without added
        high frequencies.
    program
        Command with which the user calls the command line, for the hints at the end.
    say
        Called with each line for the user.

    Returns
    -------
    dict
        ``files`` by name, ``difference`` (mean in grey levels, 0 to 255, between the images and those of the new sound)
        and ``seconds``.

    Raises
    ------
    RiffusionError
        A file cannot be written.
    """
    start = time.perf_counter()
    from riffusion_ext.audio.clip import AudioClip
    from riffusion_ext.audio.io import write_audio
    from riffusion_ext.audio.save import save_clip
    from riffusion_ext.demo.tune import SAMPLE_RATE, make_tune
    from riffusion_ext.metadata import save_image
    from riffusion_ext.spectrogram.codec import (
        DecodeSettings,
        audio_to_images,
        image_to_audio,
        read_image,
        song_to_audio,
    )

    say("1. A short tune, made on the spot: six bars of electric piano, bass, drums and a melody.")
    tune = AudioClip(make_tune(), SAMPLE_RATE)
    tune_path = write_audio(tune, folder / "tune.wav", tags={"title": "Riffusion demo tune"})
    say(f"   {tune_path}  ({tune.duration:.2f} s)\n")

    say("2. The tune as training images: time runs to the right, pitch upwards, dark is loud.")
    images = audio_to_images(tune)
    tiles = [
        save_image(image.image, folder / "pictures" / f"tune_{number:05d}.png", image.params, image.max_value)
        for number, image in enumerate(images)
    ]
    size = f"{images[0].image.width} x {images[0].image.height}"
    say(f"   {tiles[0]} ... {tiles[-1].name}  ({len(tiles)} images of {size}, two bars each)\n")

    say("3. The images back into sound. An image holds no phases; they are found anew.")

    def write(name: str, sound: Decoded, seconds: float) -> Path:
        path = save_clip(
            sound.clip,
            folder / name,
            sound.params,
            max_value=sound.max_value,
            title=Path(name).stem,
            recipe=sound.recipe,
        )
        say(f"   {path}  ({sound.clip.duration:.2f} s of sound, made in {seconds:.2f} s)")
        return path

    settings = DecodeSettings(engine=engine, device=device, high_frequencies=high_frequencies)
    tile_images = [read_image(tile) for tile in tiles]
    one, one_seconds = _measure_time(lambda: image_to_audio(tile_images[0], settings))
    one_path = write("from_one_picture.wav", one, one_seconds)
    song, song_seconds = _measure_time(lambda: song_to_audio(tile_images, settings))
    song_path = write("from_all_pictures.wav", song, song_seconds)

    plain = song_to_audio(tile_images, replace(settings, high_frequencies="off")) if song.recipe else song
    difference = _round_trip(plain, images)
    say("\n4. How close is it? The new sound, made into images again, differs from the first images by")
    say(f"   {difference:.1f} of 255 grey levels on average (0 would be the same).\n")
    seconds = time.perf_counter() - start
    say(f"Done in {seconds:.1f} s. Listen to tune.wav and from_all_pictures.wav in {folder.resolve()}")
    say(f"Your own files: {program} audio-to-image --audio song.mp3 --image tiles/ --tiles")
    say(f"                {program} image-to-audio --image tiles/ --join song --audio song.wav")
    say(f"In the browser: {program} ui --open")
    files: dict[str, Path | list[Path]] = {
        "tune": tune_path,
        "pictures": tiles,
        "from_one_picture": one_path,
        "from_all_pictures": song_path,
    }
    return {"files": files, "difference": round(difference, 3), "engine": engine, "seconds": round(seconds, 3)}


def _measure_time(make: Callable[[], Decoded]) -> tuple[Decoded, float]:
    start = time.perf_counter()
    return make(), time.perf_counter() - start


def _round_trip(song: Decoded, images: Sequence[EncodedImage]) -> float:
    """Return the mean difference between the images and those of the sound made from them."""
    from riffusion_ext.spectrogram.codec import audio_to_images

    again = audio_to_images(song.clip, images[0].params)
    return sum(image_difference(a.image, b.image) for a, b in zip(images, again, strict=False)) / len(images)
