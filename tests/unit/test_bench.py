"""The parts of the benchmark: the original's recipes, the measures, and the tables."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from bench import __main__ as program
from bench import (
    clipping,
    collection,
    copies,
    curation,
    fake_backend,
    length,
    making,
    material,
    measures,
    pipeline,
    recipes,
    report,
    seams,
    slicing,
    timing,
)
from riffusion_ext.audio import AudioClip, read_audio, write_audio
from riffusion_ext.spectrogram.image import read_image

RATE = recipes.SAMPLE_RATE
COLUMNS = 64


@pytest.fixture(scope="module")
def waveform() -> torch.Tensor:
    """Return a chord with a beat, 64 columns long, in 16-bit units."""
    time = np.arange((COLUMNS - 1) * recipes.HOP_LENGTH) / RATE
    chord = sum(np.sin(2 * np.pi * hertz * time) for hertz in (110, 330, 440, 1760, 5000))
    beat = np.exp(-8 * (time % 0.2))
    noise = np.random.default_rng(0).standard_normal(len(time))
    return torch.from_numpy(((chord + noise * beat) * beat * 3000).astype(np.float32))


@pytest.fixture(scope="module")
def piece(waveform: torch.Tensor) -> material.Piece:
    return material.draw("chord", AudioClip(waveform.numpy()[None] / np.float32(32768), RATE))


@pytest.fixture(scope="module")
def oracle() -> ModuleType:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import torchaudio
        except Exception as error:  # one that does not match torch raises OSError or RuntimeError as well
            pytest.skip(f"torchaudio cannot be imported: {error}")
    return torchaudio


# -- recipes


def test_filters_equal_torchaudio_to_the_bit(oracle: ModuleType) -> None:
    theirs = oracle.functional.melscale_fbanks(8821, 0.0, 10000.0, 512, 44100, norm=None, mel_scale="htk")
    assert torch.equal(recipes.filterbank(), theirs)


def test_encoder_equals_torchaudio(oracle: ModuleType, waveform: torch.Tensor) -> None:
    spectrogram = oracle.transforms.Spectrogram(n_fft=17640, win_length=4410, hop_length=441, power=None)
    scale = oracle.transforms.MelScale(
        n_mels=512, sample_rate=44100, f_min=0.0, f_max=10000.0, n_stft=8821, norm=None, mel_scale="htk"
    )
    theirs = scale(spectrogram(waveform[None]).abs())[0]
    torch.testing.assert_close(recipes.encode_mel(waveform), theirs, rtol=1e-5, atol=1e-5 * float(theirs.max()))


def test_least_squares_and_griffin_lim_equal_torchaudio(oracle: ModuleType, waveform: torch.Tensor) -> None:
    mel = recipes.encode_mel(waveform)[:, :24].contiguous()
    unmel = oracle.transforms.InverseMelScale(
        n_stft=8821, n_mels=512, sample_rate=44100, f_min=0.0, f_max=10000.0, norm=None, mel_scale="htk"
    )
    magnitude = recipes.unmel_lstsq(mel)
    torch.testing.assert_close(magnitude, unmel(mel), rtol=1e-4, atol=1e-4 * float(magnitude.max()))
    griffin_lim = oracle.transforms.GriffinLim(
        n_fft=17640, n_iter=4, win_length=4410, hop_length=441, power=1.0, momentum=0.99
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        theirs = griffin_lim(magnitude)
    ours = recipes.griffin_lim(magnitude, iterations=4, seed=3)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))


def test_gradient_descent_improves_with_every_step_but_misses_the_bass(waveform: torch.Tensor) -> None:
    mel = recipes.encode_mel(waveform)[:, :16].contiguous()

    def missing(steps: int) -> float:
        magnitude = recipes.unmel_sgd(mel, steps)
        assert float(magnitude.min()) >= 0
        return float((recipes.filterbank().T @ magnitude - mel).norm() / mel.norm())

    first, second, third = missing(2), missing(8), missing(24)
    assert first > second > third > 0.01


def test_original_recipe_restores_the_sound(piece: material.Piece) -> None:
    samples = recipes.inc_lstsq(piece.image, piece.max_value, iterations=2)
    assert samples.shape == ((COLUMNS - 1) * recipes.HOP_LENGTH,)
    assert measures.evaluate(piece, samples)["psnr"] > 20


def test_levels_and_magnitudes_are_inverse() -> None:
    levels = np.arange(256, dtype=np.uint8)[:, None]
    mel = recipes.levels_to_mel(levels, 30e6)
    assert np.abs(recipes.mel_to_levels(mel, 30e6).astype(int) - levels).max() <= 1
    assert (np.diff(mel[:, 0]) < 0).all()


# -- measures


def test_source_itself_scores_nearly_perfectly(piece: material.Piece) -> None:
    assert piece.source is not None
    found = measures.evaluate(piece, piece.source)
    assert found["mae"] < 1
    assert found["psnr"] > 45
    assert abs(found["bass"]) < 0.1
    assert found["sc_mel"] < -40
    assert all(found[f"sc_{w}"] < -100 and found[f"lsd_{w}"] < 1e-6 for w in measures.WINDOWS)


def test_measures_do_not_depend_on_the_level(piece: material.Piece) -> None:
    assert piece.source is not None
    one, other = (measures.evaluate(piece, piece.source * gain) for gain in (1.0, 0.01))
    for key in one:
        assert one[key] == pytest.approx(other[key], abs=0.02) or one[key] < -100, key


def test_more_noise_is_worse_in_every_measure(piece: material.Piece) -> None:
    assert piece.source is not None
    noise = np.random.default_rng(1).standard_normal(len(piece.source)).astype(np.float32) * np.abs(piece.source).max()
    little, much = (measures.evaluate(piece, piece.source + noise * share) for share in (0.01, 0.1))
    assert much["psnr"] < little["psnr"]
    worse = {key for key in measures.LOWER_IS_BETTER if much[key] > little[key]}
    assert worse == measures.LOWER_IS_BETTER


def test_missing_bass_is_reported_in_decibels(waveform: torch.Tensor) -> None:
    mel = recipes.encode_mel(waveform).numpy()
    thin = mel.copy()
    thin[:40] /= 2
    assert measures.bass_level(thin, mel) == pytest.approx(-20 * math.log10(2), abs=1e-4)


# -- seams


def _song(seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.sin(2 * np.pi * 990 * time)).astype(np.float32)


def test_break_in_the_waveform_counts_as_a_click() -> None:
    song = _song(3)
    broken = song.copy()
    seam = 150
    broken[seam * recipes.HOP_LENGTH + 100 :] *= -1
    whole, split = (seams.inspect(samples, song, [seam]) for samples in (song, broken))
    assert split.click > 10 > 3 > whole.click
    assert split.error > 2 * split.elsewhere


def test_change_of_level_counts_as_a_step() -> None:
    song = _song(3)
    louder = song.copy()
    louder[150 * recipes.HOP_LENGTH :] *= 10 ** (2 / 20)
    assert seams.inspect(louder, song, [150]).largest_step == pytest.approx(2, abs=0.1)
    assert seams.inspect(song, song, [150]).largest_step < 1e-6


# -- clocks, gates, tables


def test_methods_are_timed_in_alternation() -> None:
    order: list[str] = []
    times = timing.interleaved({"a": lambda n: order.append(f"a{n}"), "b": lambda n: order.append(f"b{n}")}, 2)
    assert order == ["a0", "b0", "a1", "b1", "a0", "b0"]
    assert len(times["a"].wall) == 2
    assert len(times["a"].cpu) == 1


@pytest.mark.parametrize(
    ("measured", "relation", "limit", "ok"),
    [(1.0, "<=", 1.0, True), (1.0, "<", 1.0, False), (2.0, ">=", 1.0, True), (math.nan, ">=", 1.0, False)],
)
def test_gates_compare_by_their_relation(measured: float, relation: str, limit: float, ok: bool) -> None:
    assert report.Gate("gate", measured, relation, limit).ok is ok


def test_tables_have_the_same_cells_in_text_and_markdown() -> None:
    table = report.gate_table([report.Gate("speed", 20.0, ">=", 15, "x"), report.Gate("size", 2.0, "<", 1, "MB")])
    assert "| speed | must | >= 15 x | 20 x | ok |" in report.as_markdown(table)
    assert report.as_text(table).splitlines()[-1].split() == ["size", "must", "<", "1", "MB", "2", "MB", "NO"]


def test_non_finite_numbers_are_written_as_null() -> None:
    section = report.Section("speed", data={"fast": {"wall_median": math.nan, "wall_s": [1.0]}})
    plain = report.as_json([section], {"python": "3"})
    assert json.loads(json.dumps(plain, allow_nan=False))["speed"] == {"fast": {"wall_median": None, "wall_s": [1.0]}}


# -- material


def test_material_is_synthesised_when_no_folder_is_given() -> None:
    made = material.load(None, [], quick=True)
    assert [piece.kind for piece in made.pieces] == ["music", "model", "music", "model"]
    assert all(piece.image.size == (512, 512) for piece in made.pieces)
    again = material.load(None, [], quick=True)
    assert all(a.image.tobytes() == b.image.tobytes() for a, b in zip(made.pieces, again.pieces, strict=True))


def test_material_folders_are_searched_for_suitable_files(tmp_path: Path, piece: material.Piece) -> None:
    rng = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        noise = rng.standard_normal((1, 16 * RATE)).astype(np.float32) * 0.1
        write_audio(AudioClip(noise, RATE), tmp_path / "music" / f"{name}.wav")
    write_audio(AudioClip(np.zeros((1, RATE), dtype=np.float32), RATE), tmp_path / "music" / "short.wav")
    images = tmp_path / "pictures"
    images.mkdir()
    Image.fromarray(rng.integers(0, 255, (512, 512, 3), dtype=np.uint8)).save(images / "model.png")
    Image.new("L", (512, 512), 128).save(images / "mask.png")
    piece.image.save(images / "narrow.png")
    found = material.load(tmp_path / "music", [images], quick=True)
    assert [piece.name for piece in found.model] == ["model"]
    assert len({piece.name for piece in found.music}) == 2
    assert found.songs[0][1].samples.shape == (1, (3 * 512 - 1) * recipes.HOP_LENGTH)


def test_folder_without_material_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="long enough"):
        material.load(tmp_path, [], quick=True)


# -- the program


def test_option_quick_reduces_the_runs() -> None:
    assert program.arguments(["--quick"]).sgd_pieces < program.arguments([]).sgd_pieces
    assert program.arguments(["--quick"]).tracks < program.arguments([]).tracks
    assert program.arguments([]).rounds >= 5


def test_zero_rounds_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.arguments(["--rounds", "0"])
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_bench_runs_and_writes_its_results(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "numbers.json"
    program.main(["--quick", "--only", "encode", "gpu", "--rounds", "1", "--json", str(out), "--markdown"])
    assert "### Gates" in capsys.readouterr().out
    numbers = json.loads(out.read_text("utf-8"))
    assert {"machine", "gates", "encode"} <= set(numbers)


# -- windows of a training set


@pytest.mark.parametrize("kind", curation.KINDS)
def test_windows_of_the_curation_bench_are_of_the_named_kind(kind: str) -> None:
    found = curation._run(kind, 2000, 50)
    assert found["kept"] == {"identical": 1}.get(kind, 50)
    assert (found["duplicate"] > 300) == (kind != "unrelated")
    assert found["kept"] + found["duplicate"] + found["surplus"] <= 2000


def test_clean_chiptunes_are_not_clipped_and_loud_music_is(song: Path) -> None:
    section = clipping.measure(song.parent, tracks=1)
    (table,) = section.tables
    assert [row[2] for row in table.rows] == ["0"] * 2
    assert [gate.ok for gate in section.gates] == [True] * len(section.gates)
    assert clipping.found(np.sin(np.arange(300_000) / 9)).tolist() == [0]
    assert clipping.found(np.clip(2 * np.sin(np.arange(300_000) / 9), -1, 1)) > 0.3


def test_curation_gates_use_the_worst_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = {
        kind: {"seconds": 1.0 + n, "cpu": 1.0, "peak": 1e9 - n, "kept": 5, "duplicate": 6, "surplus": 7}
        for n, kind in enumerate(curation.KINDS)
    }
    monkeypatch.setattr(curation, "in_new_process", lambda module, kind, *counts: runs[kind])
    section = curation.measure()
    assert [gate.measured for gate in section.gates] == [4.0, 1000.0]
    assert [row[0] for row in section.tables[0].rows] == list(curation.KINDS)
    for run in runs.values():
        run["peak"] = math.nan
    assert len(curation.measure().gates) == 1, "memory can be read on Linux only"


def test_copies_are_found_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copies.shutil, "which", lambda name: None)
    monkeypatch.setattr(copies, "SHIFTS", (2.0,))
    monkeypatch.setattr(copies, "_SECONDS", 16)
    monkeypatch.setattr(copies, "_MIN_SECONDS", 16)
    section = copies.measure(None, tracks=1)
    rows = {row[0]: row[1:] for row in section.tables[0].rows}
    assert set(rows) == {"same file, 2 s", "-6 dB, 2 s", "1 % faster, 2 s"}
    assert rows["same file, 2 s"] == ["3", "0", "3", "100.0%"]
    assert section.tables[1].rows == [["3", "0", "0"]]
    assert [gate.ok for gate in section.gates] == [True, True]


# -- from songs to a training set


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collection.write_song(tmp_path_factory.mktemp("songs") / "made.flac", 12.0, 3)


def test_synthesised_songs_have_the_requested_length_and_are_deterministic(song: Path, tmp_path: Path) -> None:
    clip = read_audio(song)
    assert clip.samples.shape == (2, 12 * RATE)
    assert 0.1 < np.abs(clip.samples).max() <= 1
    again, other = (read_audio(collection.write_song(tmp_path / f"{seed}.flac", 12.0, seed)).samples for seed in (3, 4))
    assert np.array_equal(again, clip.samples)
    assert not np.array_equal(other, clip.samples)


def test_songs_of_a_folder_are_spread_over_it(tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.ogg").touch()
    (tmp_path / "cover.png").touch()
    assert [path.stem for path in collection.songs(tmp_path, 3, tmp_path)] == ["0", "2", "4"]
    assert len(collection.songs(tmp_path, 0, tmp_path)) == 6
    with pytest.raises(SystemExit, match="no sound files"):
        collection.songs(tmp_path / "none", 3, tmp_path)


@pytest.mark.parametrize(("name", "count"), [*zip(slicing.METHODS, (2, 2, 2, 3), strict=True)])
def test_every_method_of_slicing_draws_the_same_windows(song: Path, tmp_path: Path, name: str, count: int) -> None:
    slicing.METHODS[name](song, tmp_path)
    images = [read_image(path) for path in sorted(tmp_path.iterdir())]
    assert len(images) == count, "only tiles pad the last one"
    assert {image.format for image in images} == {"PNG"}
    assert {image.mode for image in images} == {"RGB"}
    assert {image.size for image in images} == {(513 if name == slicing.ORIGINAL else 512, 512)}
    # Equal except at the ends, where the original mirrors its clip and ours continues with the song.
    clip = read_audio(song).to_mono().samples[:, : round(slicing.WINDOW_SECONDS * RATE)]
    drawn, _ = recipes.encode(torch.from_numpy(clip[0] * np.float32(material.FULL_SCALE)))
    inner = (slice(None), slice(8, 500), 0)
    assert np.abs(np.asarray(images[0], int)[inner] - np.asarray(drawn, int)[inner]).max() <= 1


def test_slicing_gates_compare_with_the_original(monkeypatch: pytest.MonkeyPatch, song: Path) -> None:
    methods = {
        name: {"wall_s": [seconds] * 3, "cpu_s": [seconds - 1] * 3, "pictures": 2}
        for name, seconds in zip(slicing.METHODS, (11.0, 5.0, 6.0, 3.0), strict=True)
    }
    found = {"songs": ["made"], "sound_s": 110.0, "methods": methods}
    monkeypatch.setattr(slicing, "in_new_process", lambda *arguments: found)
    section = slicing.measure(song.parent, tracks=1, rounds=3)
    assert [(gate.measured, gate.ok) for gate in section.gates] == [(2.2, False), (2.5, True)]
    assert [row[0] for row in section.tables[0].rows] == list(slicing.METHODS)
    assert section.tables[0].rows[0][1:] == ["2", "11.00", "10.00", "10.0", "1.00", "1.00"]


def _run_of_pipeline(wall: float, sound: float = 4000.0) -> dict[str, float]:
    return {"wall_s": wall, "cpu_s": wall, "sound_s": sound, "songs": 2, "failed": 0, "windows": 9, "kept": 8}


def test_pipeline_gates_use_medians(monkeypatch: pytest.MonkeyPatch, song: Path) -> None:
    walls = {"1": iter([80.0, 300.0, 90.0]), "2": iter([50.0, 50.0, 50.0])}
    seen: list[list[str]] = []

    def run(module: str, jobs: str, folder: str) -> dict[str, float]:
        seen.append([jobs, *(path.name for path in Path(folder).iterdir())])
        return _run_of_pipeline(next(walls[jobs]))

    monkeypatch.setattr(pipeline, "in_new_process", run)
    monkeypatch.setattr(pipeline, "cores", lambda: 4)
    section = pipeline.measure(song.parent, tracks=0, rounds=3)
    assert seen == [["1", "00000-made.flac"], ["2", "00000-made.flac"]] * 3
    assert [gate.measured for gate in section.gates] == [pytest.approx(4000 / 90), 1.8]
    assert [row[-2:] for row in section.tables[0].rows] == [["44.44", "1.00"], ["40.00", "1.80"]]


def test_two_core_gate_is_skipped_on_one_core(monkeypatch: pytest.MonkeyPatch, song: Path) -> None:
    monkeypatch.setattr(pipeline, "in_new_process", lambda *arguments: _run_of_pipeline(10.0))
    monkeypatch.setattr(pipeline, "cores", lambda: 1)
    assert [gate.limit for gate in pipeline.measure(song.parent, tracks=0, rounds=1).gates] == [40]


def test_short_collections_have_no_speed_gate_for_two_cores(monkeypatch: pytest.MonkeyPatch, song: Path) -> None:
    monkeypatch.setattr(pipeline, "in_new_process", lambda *arguments: _run_of_pipeline(10.0, sound=600.0))
    monkeypatch.setattr(pipeline, "cores", lambda: 2)
    gates = pipeline.measure(song.parent, tracks=0, rounds=1).gates
    assert [(gate.kind, gate.ok) for gate in gates] == [(report.MUST, True), (report.AIM, False)]


def test_memory_gate_uses_the_longest_song(monkeypatch: pytest.MonkeyPatch) -> None:
    if not length.STATUS.is_file():
        pytest.skip("memory can be read on Linux only")
    asked: list[tuple[str, float]] = []
    monkeypatch.setattr(length.collection, "write_song", lambda path, seconds, seed: asked.append((path.name, seconds)))
    peaks = iter([2e8, 5e8, 6.5e8])
    run = {"wall_s": 60.0, "windows": 30}
    monkeypatch.setattr(length, "in_new_process", lambda *arguments: {**run, "peak": next(peaks)})
    section = length.measure(quick=False)
    assert section is not None
    assert [seconds for _, seconds in asked] == [180, 1140, 10800]
    assert [(gate.measured, gate.ok) for gate in section.gates] == [(650.0, False)]


@pytest.mark.slow
def test_slicing_and_pipeline_run_in_separate_processes(song: Path) -> None:
    found = timing.in_new_process("bench.slicing", "1", str(song))
    assert found["sound_s"] == pytest.approx(12.0)
    assert {name: run["pictures"] for name, run in found["methods"].items()} == dict(
        zip(slicing.METHODS, (2, 2, 2, 3), strict=True)
    )
    built = timing.in_new_process("bench.pipeline", "1", str(song.parent))
    assert (built["songs"], built["failed"], built["windows"]) == (1, 0, 2)
    assert built["wall_s"] > 0
    assert built["cpu_s"] > 0


# -- songs, riffs and loops


def test_nested_timings_are_subtracted_from_the_outer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 3.0, 10.0, 20.0, 21.0])
    monkeypatch.setattr(fake_backend.time, "perf_counter", lambda: next(ticks))
    clock = fake_backend.Clock()
    with clock.on("outer"):
        assert clock.time("inner", lambda: 5) == 5
    clock.time("outer", lambda: None)
    assert clock.seconds == {"inner": 2.0, "outer": 9.0}


def test_clips_are_appended_with_a_crossfade() -> None:
    loud, quiet = np.full(100, 8.0, np.float32), np.full(100, -2.0, np.float32)
    joined = recipes.append_clips([loud, quiet, loud], 20)
    assert joined.dtype == np.int16
    assert joined.shape == (260,)
    assert (joined[:80] == 32767).all()
    assert (joined[100:160] == -32767).all()
    assert (np.diff(joined[80:100].astype(int)) < 0).all()
    assert recipes.append_clips([loud, quiet], 0).shape == (200,)
    assert recipes.append_clips([], 20).shape == (0,)


def _making(share: float = 0.5, own: float = 4.0) -> making.Run:
    stages = {name: own / len(making.STAGES) for name in making.STAGES}
    return making.Run(stages, cpu=6.0, music=30.0, windows=8, window_columns=8 * 512, preview_share=share)


def test_share_is_relative_to_fifty_steps_per_window() -> None:
    assert _making().share(0.1) == pytest.approx(100 * 4 / (8 * 50 * 0.1))
    wide = making.Run({"sound": 1.0}, 1.0, 8.0, 1, 1024, 0.0)
    assert wide.share(0.02) == pytest.approx(100 * 1 / (2 * 50 * 0.02))


@pytest.mark.parametrize(("seconds", "device", "gates"), [(None, math.nan, 2), (0.1, math.nan, 3), (0.1, 1e9, 4)])
def test_generation_gates_depend_on_what_was_measured(seconds: float | None, device: float, gates: int) -> None:
    memory = {1: {"peak": 1e8, "result": 1e7, "device": 1e9}, 10: {"peak": 4e8, "result": 1e8, "device": device}}
    found = making._gates({"song": [_making(), _making(), _making(1.2, 400.0)], "riff": [_making()]}, memory, seconds)
    assert len(found) == gates
    assert (found[0].measured, found[0].ok) == (1.2, False), "the worst of all runs"
    if seconds is not None:
        assert found[1].measured == pytest.approx(10.0), "the median"
    if device > 0:
        assert (found[-1].measured, found[-1].ok) == (1.0, True)


def test_sampler_times_are_labelled_as_such() -> None:
    runs = {"song": [_making()]}
    assumed, given = making._shares(runs, None), making._shares(runs, 0.5)
    assert len(assumed.rows) == len(making.ASSUMED)
    assert all("assumed" in row[0] for row in assumed.rows)
    assert given.rows == [["0.5, given", "2.00"]]
    with pytest.raises(SystemExit):
        program.arguments(["--sampler-seconds-per-step", "0"])


@pytest.mark.slow
def test_generation_bench_renders_complete_songs_and_loops(tmp_path: Path) -> None:
    images = [piece.image.convert("RGB") for piece in material.load(None, [], quick=True).music]
    song = making.make_song(images, tmp_path / "song", seconds=12.0)
    assert (song.windows, song.music) == (3, pytest.approx(12.0))
    assert 0 < song.preview_share < 1
    assert min(song.stages[name] for name in ("requests", "keep", "previews", "sound", "write")) > 0
    sound = making._song_file(None, tmp_path, 6.0)
    riff = making.make_riff(images, tmp_path / "riff", song=sound)
    assert (riff.windows, riff.music) == (2, pytest.approx(6.0))
    assert min(riff.stages[name] for name in ("read", "prepare", "mix")) > 0
    loop = making.make_loop(images, tmp_path / "loop")
    assert (loop.windows, loop.music, loop.window_columns) == (1, pytest.approx(8.0), 768)
