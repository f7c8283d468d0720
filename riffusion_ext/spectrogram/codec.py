"""Convert images to audio and audio to images.

::

    images --pixels_of--> pixels --pixels_to_mel--> mel --reconstruct--> waveform
    waveform --extend_waveform, if wanted--> waveform --apply_level--> AudioClip
    AudioClip --mel_spectrogram--> mel --mel_to_image--> images

Internal waveforms are in 16-bit sample units, as in the original; clips have full scale 1.0.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from riffusion_ext.audio import LEVELS, AudioClip, apply_level
from riffusion_ext.audio.fit import fit_pieces
from riffusion_ext.audio.resampling import resampled_length
from riffusion_ext.audio.workload import check, current_allowance
from riffusion_ext.errors import ImageError, RiffusionError
from riffusion_ext.metadata import record_text, with_record_text
from riffusion_ext.params import MIN_MAX_VALUE, PRESETS, SpectrogramParams
from riffusion_ext.spectrogram.device import resolve_device, with_fallback
from riffusion_ext.spectrogram.emphasis import Deemphasis
from riffusion_ext.spectrogram.encode import mel_pieces, mel_spectrogram
from riffusion_ext.spectrogram.framing import Framing
from riffusion_ext.spectrogram.high_frequencies import Extension, extend_waveform, plan_extension
from riffusion_ext.spectrogram.image import mel_to_image, read_image
from riffusion_ext.spectrogram.inversion import reference
from riffusion_ext.spectrogram.inversion.blocks import reconstruct_long
from riffusion_ext.spectrogram.inversion.griffin_lim import PROGRAMS
from riffusion_ext.spectrogram.inversion.resample import to_sample_rate
from riffusion_ext.spectrogram.pixel_law import full_scale_of
from riffusion_ext.spectrogram.settings import CHANNELS, ENGINES, HIGH_FREQUENCIES, DecodeSettings, available_engines
from riffusion_ext.spectrogram.source import Source, join_sources, source_from_image
from riffusion_ext.spectrogram.threads import SERIAL, ThreadGroup, run_on
from riffusion_ext.spectrogram.workload import MAX_WHOLE_SAMPLES, decode_workload, encode_workload

__all__ = [
    "CHANNELS",
    "ENGINES",
    "HIGH_FREQUENCIES",
    "LEVELS",
    "DecodeSettings",
    "Decoded",
    "EncodedImage",
    "audio_to_image",
    "audio_to_images",
    "available_engines",
    "image_to_audio",
    "images_to_audio",
    "read_image",
    "song_to_audio",
    "source_to_audio",
]


_FULL_SCALE = 32768.0
_MIN_PEAK = 1e-9  # of a sound that is normalised
_DEFAULT = DecodeSettings()
_GPU_COLUMNS = 32768  # columns in a batch on a GPU; about 1.5 GB
_CPU_COLUMNS = 4096  # on a CPU: eight images
_EXTENSION_SHARE = 0.1  # of the time, if high frequencies are added
_PIECE_SAMPLES = 1 << 22  # approximate length of the pieces in which long clips are resampled

Progress = Callable[[float], None]


@dataclass(frozen=True)
class Decoded:
    """A decoded image.

    Attributes
    ----------
    clip
        The audio.
    params
        Parameters it was decoded with.
    max_value
        Magnitude of black, in 16-bit sample units.
    notes
        Sentences about anything assumed or ignored.
    recorded
        Whether the image records `max_value`.
    extension
        What was added above the image's highest frequency; None for nothing. The clip has its output rate.
    """

    clip: AudioClip
    params: SpectrogramParams
    max_value: float
    notes: tuple[str, ...] = ()
    recorded: bool = False
    extension: Extension | None = None

    @property
    def recipe(self) -> dict[str, object]:
        """What was done beyond reconstruction, for the tags of a sound file."""
        return {} if self.extension is None else self.extension.recipe


@dataclass(frozen=True)
class EncodedImage:
    """A spectrogram image (RGB), its parameters, and the magnitude of black."""

    image: Image.Image
    params: SpectrogramParams
    max_value: float


def image_to_audio(image: Image.Image, settings: DecodeSettings = _DEFAULT) -> Decoded:
    """Decode one image to ``(width - 1) * hop_length`` samples.

    Raises
    ------
    ImageError
        The image cannot be decoded; the message says why.
    """
    result = images_to_audio([image], settings)[0]
    if isinstance(result, ImageError):
        raise result
    return result


@torch.no_grad()
def images_to_audio(
    images: Sequence[Image.Image], settings: DecodeSettings = _DEFAULT, *, progress: Progress | None = None
) -> list[Decoded | ImageError]:
    """Decode images one by one; images of equal size are batched on the device.

    Parameters
    ----------
    images
        Images of any mode and size.
    settings
        Settings for all images.
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    list
        In the order of `images`: the decoded sound, or the error.
    """
    results: list[Decoded | ImageError] = []
    groups: dict[tuple[SpectrogramParams, int], list[tuple[int, Source]]] = {}
    for index, image in enumerate(images):
        try:
            source = _read_source(image, settings)
        except ImageError as error:
            results.append(error)
            continue
        results.append(ImageError("not reached"))
        groups.setdefault((source.params, source.columns), []).append((index, source))
    columns = sum(width * len(members) for (_, width), members in groups.items())
    done = 0
    for (params, width), members in groups.items():
        extension = plan_extension(params, settings.high_frequencies)
        workload = decode_workload(params, width, engine=settings.engine, factor=extension.factor)
        room = current_allowance().memory / workload.memory
        for batch in _batches(members, width, settings, max(1, int(min(room, _GPU_COLUMNS)))):
            share = width * len(batch) / columns

            def tick(part: float, base: float = done / columns, share: float = share) -> None:
                if progress is not None:
                    progress(base + share * part)

            try:
                decoded = _decode([source for _, source in batch], extension, settings, tick)
            except ImageError as error:
                for index, _ in batch:
                    results[index] = error
            else:
                for (index, _), sound in zip(batch, decoded, strict=True):
                    results[index] = sound
            done += width * len(batch)
    return results


@torch.no_grad()
def song_to_audio(
    images: Iterable[Image.Image], settings: DecodeSettings = _DEFAULT, *, progress: Progress | None = None
) -> Decoded:
    """Decode the tiles of a song with a single reconstruction.

    Tiles are concatenated without gaps. N columns in all give ``(N - 1) * hop_length`` samples, and column `c` is at
    exactly sample ``c * hop_length``. Tiles that record their level keep their relative levels.

    Parameters
    ----------
    images
        In order, all of equal height. The song is stereo if any tile is.

    Raises
    ------
    ImageError
        A tile cannot be read, or its parameters differ from the first one's.
    """
    tiles: list[Source] = []
    for number, image in enumerate(images, 1):
        try:
            tiles.append(_read_source(image, settings))
        except ImageError as error:
            raise ImageError(f"image {number}: {error}") from error
    if not tiles:
        raise ImageError("there are no images to join")
    return source_to_audio(join_sources(tiles), settings, progress=progress)


@torch.no_grad()
def source_to_audio(
    source: Source, settings: DecodeSettings = _DEFAULT, *, progress: Progress | None = None
) -> Decoded:
    """Decode a source of mel magnitudes to ``(columns - 1) * hop_length`` samples, times the factor of the extension.

    Reads overlapping blocks of columns from left to right. Memory beyond the samples is that of one block.
    """
    extension = plan_extension(source.params, settings.high_frequencies)
    check(decode_workload(source.params, source.columns, engine=settings.engine, factor=extension.factor))
    return _decode([source], extension, settings, progress or (lambda part: None))[0]


def _read_source(image: Image.Image, settings: DecodeSettings) -> Source:
    """Read an image after checking that its sound fits into memory.

    Raises
    ------
    ImageError
        It does not fit, or the image cannot be decoded.
    """
    source = source_from_image(image, settings)
    pixels = image.width * image.height
    factor = plan_extension(source.params, settings.high_frequencies).factor
    try:
        check(decode_workload(source.params, source.columns, engine=settings.engine, pixels=pixels, factor=factor))
    except ImageError:
        raise
    except RiffusionError as error:
        raise ImageError(str(error)) from None
    return source


def _batches(
    members: list[tuple[int, Source]], width: int, settings: DecodeSettings, max_size: int = _GPU_COLUMNS
) -> Iterable[list[tuple[int, Source]]]:
    """Split a group into batches for the device, of at most `max_size`.

    The reference engine gets batches of one: it needs too much memory, and its random phases would depend on the batch.
    """
    on_cpu = resolve_device(settings.device).type == "cpu"
    size = 1 if settings.engine == "reference" else max(1, (_CPU_COLUMNS if on_cpu else _GPU_COLUMNS) // width)
    size = min(size, max_size)
    for start in range(0, len(members), size):
        yield members[start : start + size]


def _decode(sources: Sequence[Source], extension: Extension, settings: DecodeSettings, tick: Progress) -> list[Decoded]:
    """Decode sources of equal size and parameters to clips at the chosen level."""
    extended = 0.0 if extension.cutoff is None else _EXTENSION_SHARE
    waveforms = _invert(sources, settings, lambda part: tick((1.0 - extended) * part))
    done = dict.fromkeys(range(len(sources)), 0.0)

    def finish(number: int) -> Decoded:
        def advance(part: float) -> None:
            done[number] = part
            tick(1.0 - extended + extended * sum(done.values()) / len(sources))

        return _to_decoded(waveforms[number], sources[number], extension, settings, advance)

    if extension.cutoff is None:
        return [finish(number) for number in done]
    return run_on(resolve_device(settings.device), lambda threads: threads.map(finish, list(done)))


def _invert(sources: Sequence[Source], settings: DecodeSettings, tick: Progress) -> list[np.ndarray]:
    """Reconstruct waveforms [C, samples] at the sample rate, from sources of equal size and parameters."""
    stopped = threading.Event()

    def advance(part: float) -> None:
        if stopped.is_set():
            raise RiffusionError("the sound was not finished")
        tick(part)

    def compute(device: torch.device) -> list[np.ndarray]:
        if settings.engine == "reference":  # uses torch's own parallelism
            return _invert_batch(sources, settings, advance, device, SERIAL)
        return run_on(device, lambda threads: _invert_in_threads(sources, settings, advance, device, threads))

    try:
        return with_fallback(resolve_device(settings.device), compute)
    except BaseException:  # Ctrl-C in the waiting thread, or an error in a worker: stop the others
        stopped.set()
        raise


def _invert_in_threads(
    sources: Sequence[Source], settings: DecodeSettings, tick: Progress, device: torch.device, threads: ThreadGroup
) -> list[np.ndarray]:
    """Distribute the images over the threads if there are enough of them, otherwise the frames of each image."""
    if device.type != "cpu":
        return _invert_batch(sources, settings, tick, device, SERIAL)
    done = dict.fromkeys(range(len(sources)), 0.0)

    def invert_one(number: int, threads: ThreadGroup) -> np.ndarray:
        def advance(part: float) -> None:
            done[number] = part
            tick(sum(done.values()) / len(sources))

        return _invert_batch([sources[number]], settings, advance, device, threads)[0]

    if len(sources) < threads.size:
        return [invert_one(number, threads) for number in done]
    return threads.map(lambda number: invert_one(number, SERIAL), done)


def _invert_batch(
    sources: Sequence[Source], settings: DecodeSettings, tick: Progress, device: torch.device, threads: ThreadGroup
) -> list[np.ndarray]:
    """Reconstruct all sources as one batch of tensors."""
    params, frames = sources[0].params, sources[0].columns
    framing = Framing(params)

    def mel_between(start: int, stop: int) -> torch.Tensor:
        return torch.from_numpy(np.concatenate([source.mel(start, stop) for source in sources])).to(device)

    if settings.engine == "reference":
        sources = [source.in_sample_units() for source in sources]  # as the original, whose result depends on the scale
        extended = framing.extend(mel_between, frames)(0, frames + 2 * framing.columns)
        waveforms = reference.invert(extended, params, settings.seed).cpu().numpy()
        tick(1.0)
    else:
        program = PROGRAMS[settings.engine]
        extended_frames = frames + 2 * framing.columns
        signal = reconstruct_long(
            framing.extend(mel_between, frames), extended_frames, params, program, tick=tick, threads=threads
        )
        waveforms = to_sample_rate(signal, params)
    waveforms = waveforms[:, framing.skip :][:, : params.samples_of_columns(frames)]
    waveforms = Deemphasis(params.pre_emphasis).filter(waveforms)
    parts = [waveforms[i * params.channels : (i + 1) * params.channels] for i in range(len(sources))]
    for part, source in zip(parts, sources, strict=True):
        part *= np.float32(source.unit)
    return parts


def _to_decoded(
    waveform: np.ndarray, source: Source, extension: Extension, settings: DecodeSettings, tick: Progress
) -> Decoded:
    """Convert a waveform in 16-bit sample units to a clip with its high frequencies, at the chosen level."""
    waveform *= np.float32(1.0 / _FULL_SCALE)  # in place: the array of a long song is large
    samples = extend_waveform(np.ascontiguousarray(waveform), extension, settings.device, tick=tick)
    clip = apply_level(AudioClip(samples, extension.output_rate), settings.level)
    notes = (*source.notes, *extension.notes)
    return Decoded(clip, source.params, source.max_value, notes, source.recorded, extension)


@torch.no_grad()
def audio_to_image(
    clip: AudioClip,
    params: SpectrogramParams = PRESETS["riffusion-v1"],
    *,
    max_value: float | None = None,
) -> EncodedImage:
    """Encode a clip as one image of ``1 + samples // hop_length`` columns.

    Parameters
    ----------
    clip
        Resampled to ``params.sample_rate`` and mixed to one or two channels if necessary.
    params
        Parameters of the image.
    max_value
        Magnitude of black. Default: the largest in the clip.

    Raises
    ------
    RiffusionError
        The clip is shorter than one column, or `max_value` is not a positive number.
    """
    if max_value is not None and not MIN_MAX_VALUE <= max_value < math.inf:
        raise RiffusionError(f"the magnitude of black must be a positive number, got {max_value:g}")
    mel, clip = _mel_of_normalised(clip, params)
    if max_value is None:
        max_value = full_scale_of(params, float(mel.max()), clip.peak)
    return _draw(mel, params, max_value)


@torch.no_grad()
def audio_to_images(
    clip: AudioClip,
    params: SpectrogramParams = PRESETS["riffusion-v1"],
    *,
    columns: int = 512,
    level: str = "song",
) -> list[EncodedImage]:
    """Encode a clip as consecutive images of equal width; the last is padded with silence.

    Parameters
    ----------
    columns
        Width of each image.
    level
        ``"song"``: the same magnitude is black in all images, so that they can be joined. ``"tile"``: each image
        is normalised on its own.

    Raises
    ------
    RiffusionError
        The clip is shorter than one column, `columns` is below 2, or `level` is unknown.
    """
    if columns < 2:
        raise RiffusionError(f"an image needs at least 2 columns, got {columns}")
    if level not in ("song", "tile"):
        raise RiffusionError(f"level must be song or tile, got {level!r}")
    mel, clip = _mel_of_normalised(clip, params)
    song_peak = full_scale_of(params, float(mel.max()), clip.peak)
    images = []
    for start in range(0, mel.shape[1], columns):
        tile = mel[:, start : start + columns]
        tile = np.pad(tile, ((0, 0), (0, columns - tile.shape[1]), (0, 0)))
        if level == "tile":
            samples = clip.samples[:, start * params.hop_length : (start + columns) * params.hop_length]
            song_peak = full_scale_of(params, float(tile.max()), AudioClip(samples, clip.sample_rate).peak)
        images.append(_draw(tile, params, song_peak))
    return images


def _mel_of_normalised(clip: AudioClip, params: SpectrogramParams) -> tuple[np.ndarray, AudioClip]:
    """Compute the mel magnitudes of a clip, and the clip whose peak :func:`full_scale_of` wants.

    With the law ``"ln"`` this is the resampled clip, and the analysis is done on normalised sound, as by Auffusion.
    """
    if params.pixel_law != "ln":
        return _mel_of(clip, params), clip
    check(encode_workload(params, clip.duration))
    clip = clip.to_channels(params.channels).resample(params.sample_rate)
    gain = np.float32(max(clip.peak, _MIN_PEAK))
    return _mel_of(AudioClip(clip.samples / gain, clip.sample_rate), params) * gain, clip


def _draw(mel: np.ndarray, params: SpectrogramParams, peak: float) -> EncodedImage:
    """Convert mel magnitudes to an image that records its parameters like an image file."""
    if peak < MIN_MAX_VALUE:  # inaudible, and dividing by it would overflow
        peak = 0.0
    image = mel_to_image(mel, params, peak)
    peak = peak or params.default_max_value
    with_record_text(image, record_text(params, peak))
    return EncodedImage(image, params, peak)


def _mel_of(clip: AudioClip, params: SpectrogramParams) -> np.ndarray:
    """Compute the mel magnitudes [C, T, n_mels] of a clip, in 16-bit sample units."""
    length = resampled_length(clip.samples.shape[1], clip.sample_rate, params.sample_rate)
    if length < params.hop_length:
        raise RiffusionError(
            f"the sound is {1000 * clip.duration:.1f} ms long; an image needs at least {params.step_size_ms} ms"
        )
    check(encode_workload(params, clip.duration))
    if length * max(params.channels, clip.channels) > MAX_WHOLE_SAMPLES:
        return run_on(torch.device("cpu"), lambda threads: _mel_in_pieces(clip, params, threads))
    clip = clip.to_channels(params.channels).resample(params.sample_rate)
    waveform = torch.from_numpy(_to_sample_units(clip.samples))
    return mel_spectrogram(waveform, params).numpy()


def _to_sample_units(samples: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):  # the encoder reports infinity as too loud
        return samples * np.float32(_FULL_SCALE)


def _mel_in_pieces(clip: AudioClip, params: SpectrogramParams, threads: ThreadGroup) -> np.ndarray:
    """Compute the mel magnitudes of a long clip, which would use too much memory if resampled as a whole."""
    step = max(1, _PIECE_SAMPLES // params.channels * clip.sample_rate // params.sample_rate)
    pieces = (
        AudioClip(clip.samples[:, start : start + step], clip.sample_rate)
        for start in range(0, clip.samples.shape[1], step)
    )
    fitted = fit_pieces(pieces, params.sample_rate, params.channels)
    scaled = (_to_sample_units(piece) for piece in fitted)
    length = resampled_length(clip.samples.shape[1], clip.sample_rate, params.sample_rate)
    mel = np.empty((params.channels, params.columns_of_samples(length), params.num_frequencies), np.float32)
    first = 0
    for part in mel_pieces(scaled, params, threads=threads):
        mel[:, first : first + part.shape[1]] = part
        first += part.shape[1]
    return mel
