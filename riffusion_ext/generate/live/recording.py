"""Write the recording of a jam, with its settings and its prompts over time."""

from __future__ import annotations

from pathlib import Path

from riffusion_ext.audio import AudioClip
from riffusion_ext.audio.save import save_clip
from riffusion_ext.generate.checkpoint.recipe import infotext, to_record
from riffusion_ext.generate.live.session import Jam, Recording
from riffusion_ext.generate.live.settings import INFOTEXT_KEY
from riffusion_ext.generate.score.timecode import format_time

__all__ = ["prompts_over_time", "recording_infotext", "write_recording"]

_PROMPTS_KEY = "Prompts over time"


def prompts_over_time(recording: Recording, sample_rate: int) -> list[tuple[float, str]]:
    """Return (seconds, prompt) for each change of the prompt in a recording."""
    prompts: list[tuple[float, str]] = []
    for change in recording.changes:
        label = {0.0: change.prompt, 1.0: change.to}.get(change.alpha, f"{change.prompt} > {change.to}")
        if not prompts or prompts[-1][1] != label:
            prompts.append((max(round((change.start - recording.first) / sample_rate, 2), 0.0), label))
    return prompts


def recording_infotext(jam: Jam, recording: Recording) -> str:
    """Return generation parameters as webuis write and read them, with the settings and the prompts over time."""
    settings = jam.settings
    times = prompts_over_time(recording, jam.store.sample_rate)
    return infotext(
        INFOTEXT_KEY,
        settings,
        prompt=times[0][1],
        negative=settings.negative,
        size=(settings.width, settings.params.num_frequencies),
        extra={
            "CFG scale": settings.cfg,
            "Seed": settings.seed,
            _PROMPTS_KEY: "; ".join(f"{format_time(time)} {label}" for time, label in times),
        },
        host=jam.host,
        model=jam.backend.name,
    )


def write_recording(jam: Jam, recording: Recording, path: Path, *, title: str = "") -> Path:
    """Write a recording, with exactly the samples that were played.

    Parameters
    ----------
    jam
        Jam whose store still holds the samples.
    recording
        Recording to write.
    path
        Sound file; its suffix chooses the format, ``.wav`` or ``.flac`` for lossless ones.
    title
        Title tag; the name of the file if empty.

    Raises
    ------
    RiffusionError
        The file cannot be written.
    """
    times = prompts_over_time(recording, jam.store.sample_rate)
    extra: dict[str, object] = {"jam": to_record(jam.settings), "prompts": times}
    extra |= {"parameters": recording_infotext(jam, recording), **jam.extension.recipe}

    def write(clip: AudioClip) -> None:
        save_clip(clip, path, jam.settings.params, title=title or path.stem, recipe=extra)

    jam.store.with_samples(recording.first, recording.stop, write)
    return path
