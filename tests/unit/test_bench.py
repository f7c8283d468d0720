"""The benchmark's own parts: recipes that are the original's, measures that point the right way, tables that add up."""

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
from bench import curation, material, measures, recipes, report, seams, timing
from riffusion_ext.audio import AudioClip, write_audio

RATE = recipes.SAMPLE_RATE
COLUMNS = 64


@pytest.fixture(scope="module")
def waveform() -> torch.Tensor:
    """Make a chord with a beat in it, in 16-bit sample units, 64 columns long."""
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


def test_the_filters_are_torchaudios_to_the_bit(oracle: ModuleType) -> None:
    theirs = oracle.functional.melscale_fbanks(8821, 0.0, 10000.0, 512, 44100, norm=None, mel_scale="htk")
    assert torch.equal(recipes.filterbank(), theirs)


def test_the_encoder_is_torchaudios(oracle: ModuleType, waveform: torch.Tensor) -> None:
    spectrogram = oracle.transforms.Spectrogram(n_fft=17640, win_length=4410, hop_length=441, power=None)
    scale = oracle.transforms.MelScale(
        n_mels=512, sample_rate=44100, f_min=0.0, f_max=10000.0, n_stft=8821, norm=None, mel_scale="htk"
    )
    theirs = scale(spectrogram(waveform[None]).abs())[0]
    torch.testing.assert_close(recipes.encode_mel(waveform), theirs, rtol=1e-5, atol=1e-5 * float(theirs.max()))


def test_least_squares_and_griffin_lim_are_torchaudios(oracle: ModuleType, waveform: torch.Tensor) -> None:
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


def test_gradient_descent_comes_nearer_with_every_step_but_not_to_the_bass(waveform: torch.Tensor) -> None:
    mel = recipes.encode_mel(waveform)[:, :16].contiguous()

    def missing(steps: int) -> float:
        magnitude = recipes.unmel_sgd(mel, steps)
        assert float(magnitude.min()) >= 0
        return float((recipes.filterbank().T @ magnitude - mel).norm() / mel.norm())

    first, second, third = missing(2), missing(8), missing(24)
    assert first > second > third > 0.01


def test_the_original_recipe_gives_the_sound_back(piece: material.Piece) -> None:
    samples = recipes.inc_lstsq(piece.image, piece.max_value, iterations=2)
    assert samples.shape == ((COLUMNS - 1) * recipes.HOP_LENGTH,)
    assert measures.evaluate(piece, samples)["psnr"] > 20


def test_levels_and_magnitudes_are_inverse() -> None:
    levels = np.arange(256, dtype=np.uint8)[:, None]
    mel = recipes.levels_to_mel(levels, 30e6)
    assert np.abs(recipes.mel_to_levels(mel, 30e6).astype(int) - levels).max() <= 1
    assert (np.diff(mel[:, 0]) < 0).all()


# -- measures


def test_the_source_itself_is_nearly_perfect(piece: material.Piece) -> None:
    assert piece.source is not None
    found = measures.evaluate(piece, piece.source)
    assert found["mae"] < 1
    assert found["psnr"] > 45
    assert abs(found["bass"]) < 0.1
    assert found["sc_mel"] < -40
    assert all(found[f"sc_{w}"] < -100 and found[f"lsd_{w}"] < 1e-6 for w in measures.WINDOWS)


def test_no_method_gains_by_its_level(piece: material.Piece) -> None:
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


def test_missing_bass_is_told_in_decibels(waveform: torch.Tensor) -> None:
    mel = recipes.encode_mel(waveform).numpy()
    thin = mel.copy()
    thin[:40] /= 2
    assert measures.bass_level(thin, mel) == pytest.approx(-20 * math.log10(2), abs=1e-4)


# -- seams


def _song(seconds: float) -> np.ndarray:
    time = np.arange(int(seconds * RATE)) / RATE
    return (0.2 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.sin(2 * np.pi * 990 * time)).astype(np.float32)


def test_a_break_in_the_waveform_is_a_click() -> None:
    song = _song(3)
    broken = song.copy()
    seam = 150
    broken[seam * recipes.HOP_LENGTH + 100 :] *= -1
    whole, split = (seams.inspect(samples, song, [seam]) for samples in (song, broken))
    assert split.click > 10 > 3 > whole.click
    assert split.error > 2 * split.elsewhere


def test_a_change_of_level_is_a_step() -> None:
    song = _song(3)
    louder = song.copy()
    louder[150 * recipes.HOP_LENGTH :] *= 10 ** (2 / 20)
    assert seams.inspect(louder, song, [150]).largest_step == pytest.approx(2, abs=0.1)
    assert seams.inspect(song, song, [150]).largest_step < 1e-6


# -- clocks, gates, tables


def test_methods_run_by_turns() -> None:
    order: list[str] = []
    times = timing.interleaved({"a": lambda n: order.append(f"a{n}"), "b": lambda n: order.append(f"b{n}")}, 2)
    assert order == ["a0", "b0", "a1", "b1", "a0", "b0"]
    assert len(times["a"].wall) == 2
    assert len(times["a"].cpu) == 1


@pytest.mark.parametrize(
    ("measured", "relation", "limit", "ok"),
    [(1.0, "<=", 1.0, True), (1.0, "<", 1.0, False), (2.0, ">=", 1.0, True), (math.nan, ">=", 1.0, False)],
)
def test_gates_know_their_side(measured: float, relation: str, limit: float, ok: bool) -> None:
    assert report.Gate("gate", measured, relation, limit).ok is ok


def test_tables_say_the_same_in_text_and_markdown() -> None:
    table = report.gate_table([report.Gate("speed", 20.0, ">=", 15, "x"), report.Gate("size", 2.0, "<", 1, "MB")])
    assert "| speed | must | >= 15 x | 20 x | ok |" in report.as_markdown(table)
    assert report.as_text(table).splitlines()[-1].split() == ["size", "must", "<", "1", "MB", "2", "MB", "NO"]


def test_what_is_no_number_is_null() -> None:
    section = report.Section("speed", data={"fast": {"wall_median": math.nan, "wall_s": [1.0]}})
    plain = report.as_json([section], {"python": "3"})
    assert json.loads(json.dumps(plain, allow_nan=False))["speed"] == {"fast": {"wall_median": None, "wall_s": [1.0]}}


# -- material


def test_material_is_made_where_none_is_given() -> None:
    made = material.load(None, [], quick=True)
    assert [piece.kind for piece in made.pieces] == ["music", "model", "music", "model"]
    assert all(piece.image.size == (512, 512) for piece in made.pieces)
    again = material.load(None, [], quick=True)
    assert all(a.image.tobytes() == b.image.tobytes() for a, b in zip(made.pieces, again.pieces, strict=True))


def test_folders_are_searched_for_what_fits(tmp_path: Path, piece: material.Piece) -> None:
    rng = np.random.default_rng(0)
    for name in ("one", "two", "three"):
        noise = rng.standard_normal((1, 16 * RATE)).astype(np.float32) * 0.1
        write_audio(AudioClip(noise, RATE), tmp_path / "music" / f"{name}.wav")
    write_audio(AudioClip(np.zeros((1, RATE), dtype=np.float32), RATE), tmp_path / "music" / "short.wav")
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    Image.fromarray(rng.integers(0, 255, (512, 512, 3), dtype=np.uint8)).save(pictures / "model.png")
    Image.new("L", (512, 512), 128).save(pictures / "mask.png")
    piece.image.save(pictures / "narrow.png")
    found = material.load(tmp_path / "music", [pictures], quick=True)
    assert [piece.name for piece in found.model] == ["model"]
    assert len({piece.name for piece in found.music}) == 2
    assert found.songs[0][1].samples.shape == (1, (3 * 512 - 1) * recipes.HOP_LENGTH)


def test_folders_without_anything_are_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="long enough"):
        material.load(tmp_path, [], quick=True)


# -- the program


def test_quick_means_fewer_runs() -> None:
    assert program.arguments(["--quick"]).sgd_pieces < program.arguments([]).sgd_pieces
    assert program.arguments([]).rounds >= 5


def test_no_runs_at_all_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.arguments(["--rounds", "0"])
    assert "at least 1" in capsys.readouterr().err


@pytest.mark.slow
def test_it_runs_and_writes_its_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "numbers.json"
    program.main(["--quick", "--only", "encode", "gpu", "--rounds", "1", "--json", str(out), "--markdown"])
    assert "### Gates" in capsys.readouterr().out
    numbers = json.loads(out.read_text("utf-8"))
    assert {"machine", "gates", "encode"} <= set(numbers)


# -- windows of a training set


@pytest.mark.parametrize("kind", curation.KINDS)
def test_windows_to_curate_are_what_they_are_called(kind: str) -> None:
    found = curation._run(kind, 2000, 50)
    assert found["kept"] == {"identical": 1}.get(kind, 50)
    assert (found["duplicate"] > 300) == (kind != "unrelated")
    assert found["kept"] + found["duplicate"] + found["surplus"] <= 2000


def test_curation_is_judged_by_the_worst_kind(monkeypatch: pytest.MonkeyPatch) -> None:
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
