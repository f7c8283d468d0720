"""How the weights of bandwidth extension are made, on a small scale."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from riffusion_ext.bandwidth.grid import HIGH_BANDS, LOW_BANDS
from training.bandwidth import __main__ as program
from training.bandwidth import fit as fitting
from training.bandwidth.alter import alter_image, alter_sound, low_pass
from training.bandwidth.pairs import Pairs, make_pairs
from training.bandwidth.songs import RATE, WINDOW, Songs, fetch
from training.bandwidth.sources import HELD_OUT, TRAINING, MusicSource
from training.bandwidth.synthesis import synthesise


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a package of one song of noise, 20 s."""
    folder = tmp_path_factory.mktemp("music")
    (folder / TRAINING[0].package).mkdir()
    samples = 0.1 * np.random.default_rng(0).normal(size=(20 * RATE, 2))
    soundfile.write(folder / TRAINING[0].package / "song.flac", samples, RATE)
    return folder


@pytest.fixture(scope="module")
def pairs(music: Path) -> Pairs:
    return make_pairs(3, music, 5, 1)


def test_no_source_is_both_trained_on_and_held_out() -> None:
    trained, held = ({source.package for source in sources} for sources in (TRAINING, HELD_OUT))
    assert len(trained) >= 6
    assert len(held) >= 6
    assert not trained & held
    assert all(source.genre and source.licence for source in (*TRAINING, *HELD_OUT))


def test_songs_are_read_as_mono_windows(music: Path) -> None:
    package, window = Songs(TRAINING, music).draw(np.random.default_rng(0))
    assert package == TRAINING[0].package
    assert window.shape == (WINDOW,)


def test_packages_that_are_there_are_not_fetched_again(music: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*command: object, **_: object) -> None:
        raise AssertionError(command)

    monkeypatch.setattr("subprocess.run", refuse)
    fetch([TRAINING[0]], music)
    with redirect_stdout(io.StringIO()), pytest.raises(AssertionError, match="another"):
        fetch([MusicSource("another", "pop", "CC0-1.0")], music)
    assert not (music / "another").exists()


@pytest.mark.parametrize("seed", range(12))
def test_synthesised_sounds_fill_the_window(seed: int) -> None:
    sound = synthesise(np.random.default_rng(seed))
    assert sound.shape == (WINDOW,)
    assert np.isfinite(sound).all()
    assert np.abs(sound).max() > 0.01


@pytest.mark.parametrize("seed", range(20))
def test_altered_sounds_keep_length_and_peak(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sound = alter_sound(rng.normal(size=WINDOW).astype(np.float32), rng)
    assert sound.shape == (WINDOW,)
    assert np.abs(sound).max() == pytest.approx(0.7, rel=1e-3)


def test_a_low_pass_removes_what_is_above() -> None:
    noise = np.random.default_rng(0).normal(size=WINDOW).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(low_pass(noise, 8000) * np.hanning(WINDOW)))
    frequency = np.fft.rfftfreq(WINDOW, 1 / RATE)
    assert spectrum[frequency > 8500].max() < 1e-2 * spectrum[frequency < 7500].mean()


def test_altered_images_keep_their_size() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 80, 3), np.uint8))
    altered = [alter_image(image, np.random.default_rng(seed)) for seed in range(8)]
    assert {one.size for one in altered} == {(80, 64)}
    assert any(np.asarray(one).tobytes() != np.asarray(image).tobytes() for one in altered)


def test_pairs_depend_on_seed_and_number_only(pairs: Pairs, music: Path) -> None:
    again = make_pairs(2, music, 5, 2)
    for name in ("low", "high", "noise", "cutoff"):
        assert np.array_equal(getattr(pairs, name)[:2], getattr(again, name)), name


def test_pairs_have_the_bands_of_both_sides(pairs: Pairs, tmp_path: Path) -> None:
    frames = pairs.low.shape[1]
    assert pairs.low.shape == (3, frames, LOW_BANDS)
    assert pairs.high.shape == (3, frames, HIGH_BANDS)
    assert pairs.noise.shape == (3, frames, 3)
    assert frames % 32 == 0
    pairs.save(tmp_path / "pairs.npz")
    assert np.array_equal(Pairs.load(tmp_path / "pairs.npz").high, pairs.high)


def test_fitting_lowers_the_error_and_repeats(pairs: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_BATCH", 3)
    data = fitting._Data(pairs, np.random.default_rng(0))
    errors = []
    for steps in (1, 80):
        network = fitting.fit(pairs, steps, 0)
        with torch.no_grad():
            errors.append(np.mean([data.loss(network)[1] for _ in range(4)]))
    assert errors[1] < 0.7 * errors[0]
    weights = [fitting.fit(pairs, 3, 0).last.weight for _ in range(2)]
    assert torch.equal(*weights)


def test_one_command_makes_the_weights(
    music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairs: Pairs
) -> None:
    monkeypatch.setattr(program, "fetch", lambda sources, folder: None)
    monkeypatch.setattr(program, "make_pairs", lambda *arguments: pairs)
    monkeypatch.setattr(fitting, "_BATCH", 3)
    out = tmp_path / "weights.npz"
    with redirect_stdout(io.StringIO()):
        program.main(["--music", str(tmp_path), "--steps", "1", "--out", str(out)])
    assert out.stat().st_size < 500_000
