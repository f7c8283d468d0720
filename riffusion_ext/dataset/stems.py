"""Source separation of songs into stems with demucs, if that package is installed.

demucs is not a dependency: it needs torchaudio, and a torchaudio that does not match torch can keep a webui from
starting. Stems that already exist as files need no demucs, since each file is a song.

Source: Rouard, Massa, Défossez, "Hybrid Transformers for Music Source Separation" (ICASSP 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from riffusion_ext.dataset.songs import Song
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError
from riffusion_ext.validation.names import bare_name, check_folders

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["can_separate", "check_model", "separate"]


class _Model(Protocol):
    """The attributes of a demucs model that are used here."""

    sources: list[str]
    samplerate: int
    audio_channels: int


def can_separate() -> bool:
    """Whether demucs is installed."""
    return find_spec("demucs") is not None


def check_model(model: str, stems: tuple[str, ...]) -> None:
    """Check that a model can be loaded and has the given stems.

    Raises
    ------
    RiffusionError
        demucs or the model is missing, or the model lacks a stem.
    """
    sources = _load_model(model).sources
    missing = [stem for stem in stems if stem not in sources]
    if missing:
        raise RiffusionError(f"the model {model} has no {missing[0]}; it has {', '.join(sources)}")


def separate(
    store: Store, song: Song, stems: tuple[str, ...], model: str, tick: Callable[[], None] = lambda: None
) -> list[Song]:
    """Separate a song, and return its stems as songs.

    The stems are stored in the work folder of the training set, and reused by the next run. Memory grows with the
    length of the song: about 60 MB per minute.

    Parameters
    ----------
    store
        The training set.
    song
        Any sound file.
    stems
        Names from :data:`~riffusion_ext.dataset.settings.STEMS`.
    model
        Name of a demucs model.
    tick
        Called between the steps; may raise to end the work.

    Raises
    ------
    RiffusionError
        The song cannot be read, or :func:`check_model` fails.
    """
    from riffusion_ext.audio import AudioClip, available_formats, read_audio, write_audio

    suffix = "flac" if "flac" in available_formats() else "wav"
    folder = store.work_folder / "stems" / song.digest()[:16] / bare_name(model, "the model")
    check_folders(store.work_folder, folder)
    files = {stem: folder / f"{stem}.{suffix}" for stem in stems}
    if not all(path.is_file() for path in files.values()):
        separator = _load_model(model)
        clip = read_audio(song.path).to_channels(separator.audio_channels).resample(separator.samplerate)
        tick()
        parts = _separate_sources(separator, clip.samples)
        tick()
        for stem, path in files.items():
            samples = parts[separator.sources.index(stem)]
            write_audio(AudioClip(samples, separator.samplerate), path, subtype="pcm16")
    return [replace(song, path=path, name=f"{song.name}/{stem}", whole=song.path) for stem, path in files.items()]


@lru_cache(maxsize=1)
def _load_model(model: str) -> _Model:
    try:
        from demucs.pretrained import get_model
    except (ImportError, OSError) as error:  # OSError: torchaudio does not match torch
        raise RiffusionError(
            f"stems need the package demucs, which cannot be used here ({error}); or put stems as files into the folder"
        ) from None
    try:
        return get_model(model).eval()
    except BaseException as error:  # demucs calls sys.exit() for an unknown name
        if isinstance(error, KeyboardInterrupt):
            raise
        raise RiffusionError(f"demucs cannot load the model {model}: {error}") from None


def _separate_sources(model: _Model, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the stems [stem, C, n] of samples [C, n]."""
    import torch
    from demucs.apply import apply_model

    device = "cuda" if torch.cuda.is_available() else "cpu"
    mix = torch.from_numpy(samples)[None]
    # The models expect zero mean and unit standard deviation.
    mean, spread = mix.mean(), mix.std() + 1e-8
    with torch.inference_mode():
        parts = apply_model(model, (mix - mean) / spread, device=device, shifts=0, split=True, overlap=0.25)[0]
    return (parts * spread + mean).clamp_(-1, 1).cpu().numpy()
