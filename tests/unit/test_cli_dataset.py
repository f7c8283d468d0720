"""The command `dataset`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from riffusion_ext.audio import AudioClip, write_audio
from riffusion_ext.cli import build_parser, main
from riffusion_ext.commands.dataset import settings_of
from riffusion_ext.dataset import pipeline as building
from riffusion_ext.dataset.settings import DatasetSettings
from riffusion_ext.params.parameters import recorded_fields

QUICK = ("--columns", "64", "-j", "1", "--transition", "off", "--duplicate", "off")


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for name, seconds in (("a.wav", 3.5), ("b.wav", 1.4)):
        wave = 0.2 * rng.standard_normal((1, round(seconds * 22050)))
        write_audio(AudioClip(wave.astype(np.float32), 22050), tmp_path / "songs" / name)
    return tmp_path / "songs"


def settings(*options: str) -> DatasetSettings:
    return settings_of(build_parser().parse_args(["dataset", "songs", "out", *options]))


# --- options ---------------------------------------------------------------------------------------------------------


def test_omitted_options_have_their_defaults() -> None:
    assert settings() == DatasetSettings()


def test_every_option_reaches_the_settings() -> None:
    made = settings(
        *("--columns", "256", "--overlap", "0.25", "--align", "bar", "--last", "back", "--scale", "song"),
        *("--stems", "drums", "bass", "--stems-model", "htdemucs_ft"),
        *("--silence-db", "-40", "--transition", "off", "--duplicate", "0.7", "--clipping", "OFF", "--keep-broken"),
        *("--first", "2", "--final", "3", "--target", "50", "--caption", "{trigger} {title}", "--trigger", "rfx"),
        *("--replace", "a", "b", "--replace", "c", "d", "--format", "kohya", "audio", "--repeats", "7"),
        *("--name", "mine", "--audio-rate", "32000", "--audio-seconds", "10.5", "--preset", "20khz-stereo"),
    )
    assert made.as_dict() == {
        "slicing": {
            "params": recorded_fields(made.slicing.params),
            "columns": 256,
            "overlap": 0.25,
            "align": "bar",
            "last": "back",
            "scale": "song",
            "stems": ("drums", "bass"),
            "stems_model": "htdemucs_ft",
        },
        "curation": {
            "first": 2,
            "last": 3,
            "silence_db": -40.0,
            "transition": None,
            "duplicate": 0.7,
            "clipping": None,
            "broken": False,
            "target": 50,
        },
        "captions": {"template": "{trigger} {title}", "trigger": "rfx", "replace": (("a", "b"), ("c", "d"))},
        "export": {
            "formats": ("kohya", "audio"),
            "kohya_repeats": 7,
            "kohya_name": "mine",
            "audio_rate": 32000,
            "audio_seconds": 10.5,
        },
    }
    assert made.slicing.params.stereo
    assert DatasetSettings.from_dict(json.loads(json.dumps(made.as_dict()))) == made


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--columns", "8"], "columns must lie between 16 and 16384, got 8"),
        (["--columns", "wide"], "wide"),
        (["--overlap", "0.95"], "overlap must lie between 0 and 0.9, got 0.95"),
        (["--overlap", "nan"], "overlap must be a number, got nan"),
        (["--align", "note"], "note"),
        (["--last", "cut"], "cut"),
        (["--scale", "loud"], "loud"),
        (["--silence-db", "3"], "silence_db must lie between -120 and 0, got 3"),
        (["--silence-db", "quiet"], "must be a number, or off, got 'quiet'"),
        (["--transition", "2"], "transition must lie between 0 and 1, got 2"),
        (["--duplicate", "-1"], "duplicate must lie between 0 and 1, got -1"),
        (["--clipping", "inf"], "clipping must be a number, got inf"),
        (["--first", "-1"], "first must lie between 0 and 1000, got -1"),
        (["--final", "1001"], "last must lie between 0 and 1000, got 1001"),
        (["--target", "0"], "target must lie between 1 and"),
        (["--caption", "{mood}"], "knows no {mood}"),
        (["--caption", "{title"], "without its partner"),
        (["--replace", "", "x"], "the text to find is empty"),
        (["--replace", "x"], "expected 2 arguments"),
        (["--format", "lora"], "lora"),
        (["--repeats", "0"], "repeats must be 1 to 10000, got 0"),
        (["--name", "a/b"], "must be a name without any of"),
        (["--audio-rate", "100"], "must be 8000 to 192000 Hz, got 100"),
        (["--audio-seconds", "0"], "must be 0.1 to 600 s, got 0"),
        (["--jobs", "-1"], "--jobs must be 0 or more, got -1"),
        (["--verify", "-1"], "--verify must be 0 or more, got -1"),
        (["--sounds", "-2"], "--sounds must be 0 or more, got -2"),
        (["--sample-rate", "0"], "sample_rate must lie between"),
        (["--preset", "v9"], "v9"),
    ],
)
def test_invalid_values_exit_with_code_2_before_any_work(
    options: list[str], words: str, songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dataset", str(songs), str(tmp_path / "out"), *options])
    assert ended.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("riffusion-ext dataset: error: ")
    assert words in last
    assert not (tmp_path / "out").exists()


def test_help_shows_the_default_of_each_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dataset", "--help"])
    assert ended.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    for words in ("SONGS", "OUT", "(-50)", "(0.5)", "(0.8)", "(0.01)", "tcp://host:8786", "review.json", "--json"):
        assert words in text, words


# --- what is said ----------------------------------------------------------------------------------------------------


def test_summary_lists_windows_reasons_and_formats(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["dataset", str(songs), str(out), *QUICK, "--verify", "2", "--sounds", "1"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0].startswith("2 songs, 0.1 min of music, in ")
    assert lines[0].endswith(": 7 windows")
    assert [line.split()[:2] for line in lines[1:4]] == [["kept", "5"], ["ending", "1"], ["intro", "1"]]
    assert f"dreambooth: {out / 'concepts_list.json'}" in lines
    assert f"contact sheet: {out / 'contact-sheet.html'}" in lines
    assert any(line.startswith("turned back into sound and measured: 2 images") for line in lines)
    assert said.err.splitlines()[0].startswith("1/2  a.wav: 5 windows  [")
    assert main(["dataset", str(songs), str(out), *QUICK, "--verify", "0", "--no-sheet"]) == 0
    said = capsys.readouterr()
    assert "(2 of the songs were there already)" in said.out
    assert "a.wav: 5 windows (there already)" in said.err


def test_unreached_target_is_noted(songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["dataset", str(songs), str(out), *QUICK, "--target", "20", "--verify", "0", "--no-sheet"]) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "were wanted" in line]
    assert re.fullmatch(
        r"note: \d windows are kept, 20 were wanted; the most were left out as .+ of songs \(\d\), "
        r"and the songs have no more than \d+ in all",
        line,
    )
    assert main(["dataset", str(songs), str(out), *QUICK, "--target", "20", "--verify", "0", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["notes"] == [line.removeprefix("note: ")]
    assert main(["dataset", str(songs), str(out), *QUICK, "--target", "2", "--verify", "0", "--no-sheet"]) == 0
    assert "wanted" not in capsys.readouterr().out


def test_option_json_prints_only_json_to_stdout(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (songs / "bad.mp3").write_text("no music")
    out = tmp_path / "out"
    assert main(["dataset", str(songs), str(out), *QUICK, "--json", "--verify", "1", "--sounds", "0"]) == 1
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert document["program"] == "riffusion-ext"
    assert document["command"] == "dataset"
    assert (document["songs"], document["windows"], document["kept"], document["stopped"]) == (2, 7, 5, False)
    assert document["rejected"] == {"ending": 1, "intro": 1}
    assert [entry["source"] for entry in document["failed"]] == [str(songs / "bad.mp3")]
    assert document["music_seconds"] == pytest.approx(4.9)
    assert document["sheets"] == [str(out / "contact-sheet.html")]
    assert len(document["verified"]) == 1
    assert said.err.splitlines() == [f"failed: {songs / 'bad.mp3'}" + said.err.split("bad.mp3", 1)[1].rstrip("\n")]


def test_option_quiet_prints_nothing_on_success(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["dataset", str(songs), str(tmp_path / "out"), *QUICK, "-q", "--verify", "0", "--no-sheet"]
    assert main(arguments) == 0
    assert capsys.readouterr() == ("", "")


def test_all_formats_are_exported_and_removed_again(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    formats = ("dreambooth", "kohya", "diffusers", "audio")
    out = tmp_path / "out"
    arguments = ["dataset", str(songs), str(out), *QUICK, "--verify", "0", "--no-sheet", "--format", *formats]
    assert main([*arguments, "--name", "mine", "--repeats", "3"]) == 0
    assert len(list((out / "kohya" / "3_mine").glob("*.png"))) == 5
    assert len(list((out / "audio").glob("*.wav"))) == 5
    assert len((out / "pictures" / "metadata.jsonl").read_text().splitlines()) == 5
    assert main([*arguments[: arguments.index("--format")], "--format", "diffusers"]) == 0
    assert not list(out.glob("kohya/*/*"))
    assert not list(out.glob("audio/*"))
    assert not list(out.glob("pictures/*.txt"))


def test_output_bytes_do_not_depend_on_the_parent_folder(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for parent in ("x", "y"):
        main(["dataset", str(songs), str(tmp_path / parent / "set"), *QUICK, "--verify", "0", "--sounds", "2", "-q"])
    found = [
        {
            path.relative_to(tmp_path / parent).as_posix(): path.read_bytes()
            for path in (tmp_path / parent).rglob("*")
            if path.is_file() and path.name not in ("lock", "source.json")
        }
        for parent in ("x", "y")
    ]
    assert found[0].keys() == found[1].keys()
    assert [name for name, data in found[0].items() if found[1][name] != data] == []


def test_ctrl_c_exits_with_code_130_and_a_message(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "curate_set", stop)
    assert main(["dataset", str(songs), str(tmp_path / "out"), *QUICK]) == 130
    assert "the songs done so far are kept, the same command goes on from there" in capsys.readouterr().err
    monkeypatch.undo()
    assert main(["dataset", str(songs), str(tmp_path / "out"), *QUICK, "--verify", "0", "--no-sheet"]) == 0
    assert "(2 of the songs were there already)" in capsys.readouterr().out


def test_progress_shows_songs_and_remaining_time(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["dataset", str(songs), str(tmp_path / "out"), *QUICK, "--verify", "0", "--no-sheet"])
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines[:2]] == ["1/2", "2/2"]
    assert re.fullmatch(r"1/2 .* \[\d+\.\d\d songs/s, \d+:\d\d min left for reading\]", lines[0])
    assert lines[1].endswith(" songs/s]"), "no remaining time after the last song, because other stages follow"
    assert "0:00" not in "".join(lines)


def test_total_time_includes_every_stage(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from riffusion_ext.dataset import verify

    clock = [1000.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    real = verify._check

    def slow(*arguments: Any) -> Any:
        clock[0] += 50.0
        return real(*arguments)

    monkeypatch.setattr(verify, "_check", slow)
    main(["dataset", str(songs), str(tmp_path / "out"), *QUICK, "--verify", "2", "--sounds", "1", "--jobs", "1"])
    said = capsys.readouterr()
    stages = [line.partition(":")[0] for line in said.err.splitlines()]
    assert list(dict.fromkeys(stages[2:])) == ["curating", "exporting", "verifying", "contact sheet"]
    assert "verifying: 1 of 2 images, 0:50 min left" in said.err
    assert "verifying: 2 of 2 images\n" in said.err
    assert re.search(r"contact sheet: (\d+) of \1 windows\n", said.err)
    assert ", in 100.0 s: " in said.out


def test_decisions_of_a_contact_sheet_are_applied(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    arguments = ["dataset", str(songs), str(out), *QUICK, "--verify", "0", "--no-sheet"]
    main(arguments)
    file = next((out / "pictures").glob("*.png")).name
    review = tmp_path / "review.json"
    review.write_text(json.dumps({"windows": {file: {"keep": False}}}))
    assert main([*arguments, "--review", str(review)]) == 0
    assert (out / "rejected" / file).is_file()
    capsys.readouterr()
    assert main([*arguments, "--review", str(tmp_path / "no.json")]) == 1
    assert "no.json cannot be read: No such file" in capsys.readouterr().err


def test_missing_cluster_packages_are_reported_in_one_sentence(
    songs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    arguments = ["dataset", str(songs), str(tmp_path / "out"), *QUICK, "--cluster", "tcp://127.0.0.1:1"]
    assert main(arguments) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("pip install joblib distributed")
