"""The perceptual judge of the benchmark, with doubles of its measures, and once with the real ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample_poly

from bench import __main__ as program
from bench import material, methods, recipes, report
from bench.perceptual import checks, clips, evaluation, images, metrics, riffs, section, sounds, spectra, summary
from bench.perceptual.metrics import Score
from bench.timing import Times
from riffusion_ext.audio import AudioClip, write_audio

RATE = recipes.SAMPLE_RATE


def noise(seconds: float, seed: int = 0, peak: float = 0.7) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return np.asarray(peak * samples / np.abs(samples).max(), dtype=np.float32)


def sine(hertz: float, seconds: float = 1.0) -> np.ndarray:
    return np.asarray(np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE), dtype=np.float32)


def clip(source: str, second: float = 1.0, kind: str = clips.FULL, samples: np.ndarray | None = None) -> clips.Clip:
    return clips.Clip(source, "track", second, kind, noise(1.0) if samples is None else samples)


def compare(reference: np.ndarray, candidate: np.ndarray, sample_rate: int) -> Score:
    """Stand in for both measures: what is missing above 10 kHz."""
    missing = abs(spectra.octave_ratio(reference, sample_rate) - spectra.octave_ratio(candidate, sample_rate))
    return Score(missing / 1e4, 4.7 - missing / 40)


# -- spectra


def test_power_of_a_band_is_that_of_the_sines_in_it() -> None:
    samples = sine(1000) + 0.1 * sine(12000)
    assert spectra.band_power(samples, RATE, 500, 2000) == pytest.approx(0.5, rel=1e-3)
    assert spectra.band_power(samples, RATE, 10000, 20000) == pytest.approx(0.005, rel=1e-3)
    assert spectra.band_power(samples, RATE, 3000, 9000) < 1e-9
    assert spectra.band_power(samples[:0], RATE, 0, 9000) == 0.0
    assert spectra.octave_ratio(sine(7000) + 0.1 * sine(15000), RATE) == pytest.approx(-20, abs=0.01)


def test_low_pass_filter_keeps_place_and_level_below_its_cutoff() -> None:
    low = spectra.low_pass(sine(1000) + sine(12000), RATE, 10000)
    assert np.abs(low - sine(1000))[2000:-2000].max() < 2e-3
    assert spectra.band_power(low, RATE, 11000, 20000) < 1e-5


# -- measures


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, np.ndarray]]:
    """Record what the two packages receive."""
    calls: list[tuple[np.ndarray, np.ndarray]] = []

    class Judge:
        moslqo = 4.0

        def distance(self, reference: np.ndarray, candidate: np.ndarray) -> float:
            calls.append((reference, candidate))
            return 0.25

        def measure_from_arrays(self, reference: np.ndarray, candidate: np.ndarray, rate: int) -> Judge:
            assert rate == 48000
            calls.append((reference, candidate))
            return self

    monkeypatch.setattr(metrics, "_zimtohrli", Judge)
    monkeypatch.setattr(metrics, "_visqol", Judge)
    return calls


def test_sounds_are_compared_at_one_level_length_and_rate(heard: list[tuple[np.ndarray, np.ndarray]]) -> None:
    source = noise(1.0)
    assert metrics.score(source, np.append(source * 0.01, np.zeros(500)), RATE) == Score(0.25, 4.0)
    assert len(heard) == 2
    for reference, candidate in heard:
        assert reference.shape == candidate.shape == (48000,)
        assert np.allclose(reference, candidate, atol=1e-4)
    assert np.allclose(heard[0][0], resample_poly(source.astype(float), 160, 147), atol=1e-6)


def test_level_does_not_depend_on_the_high_frequencies() -> None:
    low = sine(1000)
    bright = low + 3 * sine(12000)
    assert metrics.fitted_gain(bright, 0.5 * low, RATE) == pytest.approx(2, rel=1e-3)
    assert metrics.fitted_gain(low, 0.5 * bright, RATE) == pytest.approx(2, rel=1e-3)
    assert metrics.fitted_gain(low, np.zeros_like(low), RATE) == 1.0


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(metrics.importlib, "import_module", absent)
    assert metrics.unavailable() == "the packages of the extra [bench] are missing or do not load: " + (
        "No module named 'zimtohrli'"
    )


def test_real_measures_prefer_the_source_to_its_low_frequencies() -> None:
    if reason := metrics.unavailable():
        pytest.skip(reason)
    source = noise(1.5) * np.exp(-6 * (np.arange(round(1.5 * RATE)) / RATE % 0.3)).astype(np.float32)
    itself = metrics.score(source, 0.1 * source, RATE)
    dull = metrics.score(source, spectra.low_pass(source, RATE, 9800), RATE)
    assert itself.zimtohrli == pytest.approx(0, abs=1e-5)
    assert itself.visqol > 4.6
    assert dull.zimtohrli > 0.002
    assert dull.visqol < itself.visqol - 0.5


# -- clips


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return two full-band sources of three tracks, a dull one, one that ends at 11 kHz, and files to leave out."""
    root = tmp_path_factory.mktemp("music")
    bright = {f"{source}/deep/{track}": noise(21, ord(track)) for source in ("one", "two") for track in "abc"}
    whole = noise(21, 5)
    others = {
        "dull/x": spectra.low_pass(whole, RATE, 8000),
        "middle/x": spectra.low_pass(whole, RATE, 11000),
        "one/effect": noise(3),
        "one/a-pause": np.where(np.arange(len(whole)) % (5 * RATE) < 2.5 * RATE, whole, 0),
    }
    for name, samples in {**bright, **others}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        data = np.asarray(samples[None], dtype=np.float32)
        write_audio(AudioClip(data, RATE), root / f"{name}.wav")
    (root / "one" / "broken.ogg").write_bytes(b"no sound")
    return root


def test_clips_come_from_all_sources_and_different_tracks_first(folder: Path) -> None:
    choice = clips.choose(folder, clips=6, low_passed=2)
    assert choice.sources == ["one", "two"]
    assert [(one.source, one.track) for one in choice.full] == [(s, t) for s in ("one", "two") for t in "abc"]
    assert [(one.kind, one.source) for one in choice.dull] == [
        (clips.FILTERED, "one"),
        (clips.FILTERED, "two"),
        (clips.DARK, "dull"),
    ]
    for one in [*choice.full, *choice.dull]:
        assert one.samples.shape == (material.CLIP_SAMPLES,)
        assert one.samples.dtype == np.float32
        assert np.abs(one.samples).max() == pytest.approx(clips.PEAK, rel=1e-3)
    assert len({one.name for one in [*choice.full, *choice.dull]}) == 9
    for one in choice.dull:
        assert spectra.band_power(one.samples, RATE, clips.DULL_CUTOFF, 22050) < 1e-8


def test_choice_of_clips_is_deterministic_and_repeats_no_window(folder: Path) -> None:
    one, other = (clips.choose(folder, clips=10) for _ in range(2))
    assert [(a.name, a.samples.tobytes()) for a in one.full] == [(b.name, b.samples.tobytes()) for b in other.full]
    assert len({(clip.source, clip.track, clip.second) for clip in one.full}) == len(one.full) == 10


def test_every_source_gets_its_clips_however_many_sources_there_are(folder: Path) -> None:
    assert len(clips.choose(folder, clips=1, per_source=2).full) == 4


def test_folder_without_full_band_music_is_reported(folder: Path) -> None:
    with pytest.raises(SystemExit, match="no full-band music"):
        clips.choose(folder / "dull")


# -- methods


@pytest.fixture
def decoder(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the engines by a low-pass filter of the source, at half its level; return the names of the calls."""
    calls: list[str] = []

    def way(name: str) -> Callable[[material.Piece], np.ndarray]:
        def decode(piece: material.Piece) -> np.ndarray:
            calls.append(name)
            if piece.source is None:
                return spectra.low_pass(noise(5.11), RATE, 9800)
            return spectra.low_pass(piece.source / 65536, RATE, 9800)

        return decode

    monkeypatch.setattr(methods, "engine", way)
    monkeypatch.setattr(methods, "lstsq", way("lstsq"))
    monkeypatch.setattr(methods, "extend", lambda samples: samples)
    monkeypatch.setattr(sounds, "extend_by_source", lambda samples, source: samples)
    return calls


def test_every_method_has_a_label() -> None:
    assert set(sounds.ALL) <= methods.LABELS.keys()
    assert {*sounds.PAIRS, *sounds.PAIRS.values()} <= set(sounds.ALL)


def test_each_engine_decodes_a_clip_once(decoder: list[str]) -> None:
    made = dict(sounds.make(clip("one"), sounds.ALL))
    assert sorted(decoder) == ["best", "fast", "lstsq"]
    assert tuple(made) == sounds.ALL
    assert all(samples.shape == (RATE,) for samples in made.values())


def test_band_of_the_source_restores_what_the_image_does_not_hold(decoder: list[str]) -> None:
    source = np.asarray(0.3 * (sine(1000) + sine(15000)), dtype=np.float32)
    made = dict(sounds.make(clip("one", samples=source), ["fast", "fast_source_band"]))
    assert np.abs(made["fast_source_band"] - source)[2000:-2000].max() < 2e-3
    assert spectra.octave_ratio(made["fast"], RATE) < spectra.octave_ratio(source, RATE) - 40


def test_oracle_gets_the_decoded_sound_at_the_level_of_its_source(
    decoder: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sounds, "extend_by_source", lambda samples, source: samples - source)
    made = dict(sounds.make(clip("one", samples=0.5 * sine(1000)), ["fast_oracle"]))
    assert np.abs(made["fast_oracle"])[2000:-2000].max() < 1e-3


def test_engines_of_the_bench_leave_the_extension_off() -> None:
    piece = material.draw("noise", AudioClip(noise(1.0)[None], RATE))
    plain = methods.engine("fast")(piece)
    assert spectra.band_power(plain, RATE, 11000, 20000) < 1e-6 * spectra.band_power(plain, RATE, 5000, 10000)


def test_extension_of_the_bench_keeps_the_shape() -> None:
    for shape in ((RATE,), (1, RATE), (2, RATE)):
        assert methods.extend(np.zeros(shape, dtype=np.float32)).shape == shape


# -- evaluation


def test_dull_clips_meet_only_the_engine_with_and_without_extension(
    decoder: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    found = evaluation.evaluate([clip("one"), clip("two", kind=clips.DARK)], processes=1, compare=compare)
    assert set(found["two/track@1s"]) == {"fast", "fast_extended"}
    assert set(found["one/track@1s"]) == set(sounds.ALL)
    assert found["one/track@1s"]["fast_source_band"].zimtohrli < found["one/track@1s"]["fast"].zimtohrli / 10
    assert found.changes == dict.fromkeys(found, -200.0)
    assert "perceptual: 2 of 2 clips" in capsys.readouterr().err


@pytest.mark.slow
def test_several_processes_give_the_same_scores() -> None:
    some = [clip("one", kind=clips.DARK), clip("two", kind=clips.DARK, samples=noise(1.0, 1))]
    one, two = (evaluation.evaluate(some, processes=count, compare=metrics.fitted_gain) for count in (1, 2))
    assert one == two
    assert one.changes == two.changes


def test_change_below_the_cutoff_ignores_what_is_above() -> None:
    low = sine(1000)
    assert evaluation.change_below(low, low + sine(12000)) < -120
    assert evaluation.change_below(low, 1.01 * low + sine(12000)) == pytest.approx(-40, abs=0.1)


# -- summary and gates


def scored(off: Iterable[Score], on: Iterable[Score], dull: float = 1.0) -> tuple[evaluation.Evaluation, clips.Choice]:
    """Return an evaluation of clips in six sources, and of a dull one whose distance changes."""
    found, full = evaluation.Evaluation(), []
    for number, (plain, extended) in enumerate(zip(off, on, strict=True)):
        full.append(clip(f"s{number % 6}", number))
        found[full[-1].name] = dict.fromkeys(sounds.ALL, plain) | dict.fromkeys(sounds.PAIRS.values(), extended)
    dark = clip("dull", kind=clips.DARK)
    found[dark.name] = {"fast": Score(0.001, 4.6), "fast_extended": Score(0.001 * dull, 4.6)}
    found.changes = dict.fromkeys(found, -90.0)
    return found, clips.Choice(full, [dark])


GOOD = [Score(0.002, 3.5)] * 24
PLAIN = [Score(0.006, 2.7)] * 24


def failed(found: evaluation.Evaluation, choice: clips.Choice) -> list[str]:
    gates = summary.gates(found, choice, quick=False)
    assert all(gate.kind == report.MUST for gate in gates if "best" not in gate.name)
    return [gate.name for gate in gates if not gate.ok]


def test_gates_hold_for_a_good_extension() -> None:
    assert failed(*scored(PLAIN, GOOD)) == []


@pytest.mark.parametrize(
    ("off", "on", "dull", "gates"),
    [
        ([Score(0.006, 2.8)] * 24, GOOD, 1.0, ["mean ViSQOL over fast", "mean ViSQOL over best"]),
        ([Score(0.0065, 2.7)] * 24, [Score(0.0025, 3.5)] * 24, 1.0, ["mean Zimtohrli, fast"]),
        ([Score(0.0049, 2.7)] * 24, GOOD, 1.0, ["mean Zimtohrli against that without, fast"]),
        (PLAIN, [*GOOD[1:], Score(0.002, 2.59)], 1.0, ["least gain, s5/track@23s"]),
        ([*PLAIN[1:], Score(0.001, 2.7)], GOOD, 1.0, ["largest ratio of distances, s5/track@23s"]),
        (PLAIN, GOOD, 1.021, ["change of the distance of dull clips, dull/track@1s"]),
        (PLAIN, GOOD, 0.979, ["change of the distance of dull clips, dull/track@1s"]),
        (PLAIN[:23], GOOD[:23], 1.0, ["full-band clips"]),
    ],
)
def test_each_gate_fails_alone(off: list[Score], on: list[Score], dull: float, gates: list[str]) -> None:
    assert failed(*scored(off, on, dull)) == [f"extension: {name}" for name in gates]


def test_change_below_the_cutoff_and_few_sources_fail() -> None:
    found, choice = scored(PLAIN, GOOD)
    found.changes[choice.full[3].name] = -79.0
    assert failed(found, choice) == ["extension: change below 9.5 kHz"]
    found, choice = scored(PLAIN, GOOD)
    few = [one for one in choice.full if one.source != "s0"]
    assert failed(found, clips.Choice(few, [])) == ["extension: full-band clips", "extension: sources"]


def test_silent_result_counts_as_the_worst() -> None:
    found, choice = scored(PLAIN, [*GOOD[:5], Score(0.002, math.nan), *GOOD[6:]])
    assert "extension: least gain, s5/track@5s" in failed(found, choice)


def test_tables_name_the_worst_clip_by_both_measures_and_mark_worse_ones() -> None:
    on = [*GOOD[:22], Score(0.009, 3.5), Score(0.002, 1.5)]
    found, choice = scored(PLAIN, on)
    rows = {row[0]: row[1:] for row in summary.means_table(found, choice).rows}
    assert rows["fast + extension"] == [
        *("0.0023", "0.38", "3.42", "+0.72"),
        *("0.0090 s4/track@22s", "1.50 s5/track@23s"),
    ]
    assert rows["fast (default)"][:4] == ["0.0060", "1.00", "2.70", "+0.00"]
    assert [row[-1] for row in summary.clips_table(found, choice).rows] == ["ok"] * 22 + ["worse"] * 2
    by_source = summary.sources_table(found, choice).rows
    assert [row[0] for row in by_source] == [f"s{number} (4)" for number in range(6)]
    assert by_source[4][1:4] == ["0.0060", "0.0037", "0.62"]
    assert summary.dull_table(found, choice).rows[0][-1] == "+0.00 %"


# -- model images


def _octave(samples: np.ndarray, level: float) -> np.ndarray:
    """Add the octave above 10 kHz at a level over the octave below, whatever the sound does."""
    middle = spectra.band_power(samples, RATE, 5000, 10000)
    high = noise(len(samples) / RATE)
    high = high - spectra.low_pass(high, RATE, 10300)
    return samples + high * math.sqrt(middle / spectra.band_power(high, RATE, 10000, 20000)) * 10 ** (level / 20)


@pytest.mark.parametrize(
    ("level", "pause", "failing"),
    [(-10.0, True, set()), (-10.0, False, {"pauses"}), (5.0, True, {"most above"}), (-40.0, True, {"most below"})],
)
def test_model_images_must_be_as_bright_as_music_without_hiss(
    decoder: list[str], monkeypatch: pytest.MonkeyPatch, level: float, pause: bool, failing: set[str]
) -> None:
    def extend(samples: np.ndarray) -> np.ndarray:
        extended = _octave(samples, level)
        if pause:
            columns = slice(images.PAUSE.start * recipes.HOP_LENGTH, images.PAUSE.stop * recipes.HOP_LENGTH)
            extended[columns] = 0
        return extended

    monkeypatch.setattr(methods, "extend", extend)
    low = spectra.low_pass(noise(1.0), RATE, 9800)
    music = [clip("one", second, samples=_octave(low, high)) for second, high in enumerate((-20.0, -15.0, -5.0, 0.0))]
    piece = material.Piece("grey", "model", images.Image.new("RGB", (512, 512), (99, 99, 99)), 30e6)
    table, gates, data = images.measure([piece], music)
    words = ("most above", "most below", "pauses")
    assert {word for gate, word in zip(gates, words, strict=True) if not gate.ok} == failing
    assert all(word in gate.name for gate, word in zip(gates, words, strict=True))
    assert data["ratio_db"] == {"grey": pytest.approx(level, abs=2)}
    assert table.rows[0][-1] == ("NO" if failing else "ok")


def test_imitated_images_complete_those_of_a_model() -> None:
    piece = material.Piece("grey", "model", images.Image.new("RGB", (512, 512), (99, 99, 99)), 30e6)
    some = [clip(f"s{number}", samples=noise(5.11, number)) for number in range(15)]
    pieces = images.complete([piece], some)
    assert [one.name for one in pieces] == ["grey", *(f"imitated-s{number}-track" for number in range(0, 14, 2))]
    assert {one.image.size for one in pieces} == {(512, 512)}
    assert images.complete([piece] * 9, some) == [piece] * 9


def test_pause_of_an_image_is_nearly_white_and_its_surroundings_stay() -> None:
    piece = material.Piece("grey", "model", images.Image.new("RGB", (512, 512), (99, 99, 99)), 30e6)
    levels = np.asarray(images.with_pause(piece).image)
    assert levels[:, images.PAUSE].min() >= 235
    assert (levels[..., 0] == levels[..., 2]).all()
    outside = np.delete(levels, np.arange(images.PAUSE.start, images.PAUSE.stop), axis=1)
    assert (outside == 99).all()


def test_level_of_a_pause_leaves_out_the_ends_of_its_neighbours() -> None:
    samples = noise(5.11)
    samples[(images.PAUSE.start + 10) * recipes.HOP_LENGTH : (images.PAUSE.stop - 10) * recipes.HOP_LENGTH] = 0
    assert images.hiss(samples) == -200


def test_pause_between_loud_parts_is_silent_without_extension() -> None:
    piece = material.Piece("grey", "model", images.Image.new("RGB", (512, 512), (99, 99, 99)), 30e6)
    plain = methods.engine("fast")(images.with_pause(piece))
    assert images.hiss(plain) < -90
    assert images.hiss(plain + 1e-2 * np.float32(np.abs(plain).max()) * noise(len(plain) / RATE)) > -70


# -- cost and unusual sounds


def test_weights_are_what_is_neither_code_nor_text(tmp_path: Path) -> None:
    assert math.isnan(checks.weights_size(tmp_path))
    for name, size in (("weights.npz", 300), ("more/weights.bin", 50), ("code.py", 7), ("card.md", 7)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(size))
    assert checks.weights_size(tmp_path) == 350


@pytest.mark.parametrize(
    ("extension", "size", "held"),
    [(0.02, 4e5, [True] * 3), (0.04, 4e5, [False, False, True]), (0.02, 6e5, [True, True, False])],
)
def test_cost_gates_compare_with_fast(extension: float, size: float, held: list[bool]) -> None:
    times = {"fast": Times([0.25, 0.2], [0.3]), "extension": Times([extension, extension], [extension])}
    gates = checks.cost_gates(times, size)
    assert [gate.ok for gate in gates] == held
    assert len(checks.cost_table(times, size).rows) == 2


def test_extension_is_timed_apart_from_the_engine(decoder: list[str]) -> None:
    times = checks.time_extension([clip("one"), clip("two", 2.0)], rounds=3)
    assert {name: len(one.wall) for name, one in times.items()} == {"fast": 3, "extension": 3}


def test_unusual_sounds_pass_without_extension(decoder: list[str]) -> None:
    found, side = checks.try_unusual(), checks.silent_side(clip("one"))
    assert [gate.name for gate in checks.unusual_gates(found, side) if not gate.ok] == []
    assert [row[0] for row in checks.unusual_table(found, side).rows] == [*found, "stereo, one side silent"]
    assert found["white noise"].original > found["white noise"].added + 40


def _with_hiss(samples: np.ndarray) -> np.ndarray:
    return samples + np.float32(1e-2) * noise(samples.shape[-1] / RATE)


@pytest.mark.parametrize(
    ("extension", "gates"),
    [
        (lambda samples: samples[..., :-1], ["unusual sounds with wrong length or not finite"]),
        (
            lambda samples: samples + np.float32("nan"),
            ["unusual sounds with wrong length or not finite", "silent side"],
        ),
        (_with_hiss, ["silence above 10 kHz", "silent side", "sine of 1 kHz"]),
    ],
)
def test_faults_of_an_extension_are_found(
    decoder: list[str],
    monkeypatch: pytest.MonkeyPatch,
    extension: Callable[[np.ndarray], np.ndarray],
    gates: list[str],
) -> None:
    monkeypatch.setattr(methods, "extend", extension)
    found, side = checks.try_unusual(), checks.silent_side(clip("one"))
    failing = " ".join(gate.name for gate in checks.unusual_gates(found, side) if not gate.ok)
    assert [name for name in gates if name not in failing] == []


# -- the section


def _material() -> material.Material:
    grey = material.Piece("grey", "model", images.Image.new("RGB", (512, 512), (99, 99, 99)), 30e6)
    return material.Material((), (grey,), (), "")


@pytest.mark.parametrize(("music", "reason"), [(None, "it needs music"), (Path("x"), "not here")])
def test_section_is_skipped_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], music: Path | None, reason: str
) -> None:
    monkeypatch.setattr(section, "unavailable", lambda: "not here")
    assert section.measure(music, _material(), rounds=1, quick=True, imitated=True) is None
    assert f"perceptual: {reason}" in capsys.readouterr().err


def test_section_contains_all_tables_and_gates(
    decoder: list[str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(section, "unavailable", lambda: "")
    monkeypatch.setattr(riffs, "_distance", lambda *sounds: 0.001)

    def run(some: list[clips.Clip], *, processes: int) -> evaluation.Evaluation:
        return evaluation.evaluate(
            [replace(one, samples=one.samples[:RATE]) for one in some], processes=1, compare=compare
        )

    found = section.measure(folder, _material(), rounds=1, quick=True, imitated=True, run=run)
    assert found is not None
    titles = [table.title for table in found.tables]
    assert len(titles) == 8
    assert titles[0] == "Perceptual quality, full-band clips"
    kinds = {gate.name: gate.kind for gate in found.gates}
    assert len(kinds) == len(found.gates)
    assert kinds["extension: mean ViSQOL over fast"] == report.AIM, "few clips prove nothing"
    numbers = json.loads(json.dumps(report.as_json([found], {}), allow_nan=False))["perceptual"]
    assert set(numbers["scores"]) == set(numbers["kinds"])
    assert all(len(row) == len(table.columns) for table in found.tables for row in table.rows)


def test_band_of_the_source_follows_what_a_riff_did_below() -> None:
    source = np.asarray(0.2 * (sine(7000) + sine(14000)), np.float32)
    same, halved = riffs.scaled_band(source, source), riffs.scaled_band(source, source / 2)
    inside = slice(4000, -4000)
    assert np.abs(same - 0.2 * sine(14000))[inside].max() < 2e-3
    assert np.abs(halved - same / 2)[inside].max() < 1e-3


def test_riffs_are_compared_at_each_change(decoder: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(riffs, "_distance", lambda target, sound: float(np.mean((target - sound) ** 2)))
    some = [clip("one", samples=0.3 * (sine(7000) + sine(14000))), clip("two", samples=0.3 * sine(900))]
    rows = riffs.compare(some)
    assert list(rows) == list(riffs.CHANGES)
    assert rows[0.0]["source's band"] < 0.1 * rows[0.0]["predicted"]
    assert rows[1.0]["source's band"] > rows[0.0]["source's band"]
    assert riffs.riffs_table(rows).rows[0][0] == "0 %"


def test_program_offers_the_section() -> None:
    assert program.arguments(["--only", "perceptual"]).only == ["perceptual"]
