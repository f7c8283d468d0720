"""The user's decisions on windows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from riffusion_ext.dataset import review
from riffusion_ext.dataset.decisions import collect_decisions, merge_review
from riffusion_ext.dataset.manifest import Manifest
from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.review import Decision, decide, filter_windows, open_set, replace_in_captions
from riffusion_ext.dataset.settings import DatasetSettings
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError


@pytest.fixture
def out(collection: Path, tmp_path: Path, narrow: DatasetSettings) -> Path:
    """Return a training set of three songs."""
    build(collection, tmp_path / "out", narrow, jobs=1)
    return tmp_path / "out"


def text_of(out: Path, file: str) -> Path:
    return (out / "pictures" / file).with_suffix(".txt")


def check_folder(out: Path) -> Manifest:
    """Check that images and captions match the manifest and none is empty; return the manifest."""
    store, manifest = open_set(out)
    kept = {window.file: window.caption for window in manifest.kept}
    assert {path.name for path in store.images.glob("*.png")} == set(kept)
    assert {path.name for path in store.images.glob("*.txt")} == {text_of(out, file).name for file in kept}
    assert all(text_of(out, file).read_text("utf-8") == caption for file, caption in kept.items())
    assert all(caption.strip() for caption in kept.values())
    return manifest


# --- decide ----------------------------------------------------------------------------------------------------------


def test_windows_can_be_rejected_and_kept_again(out: Path, collection: Path, narrow: DatasetSettings) -> None:
    before = check_folder(out)
    file = before.kept[0].file
    decide(out, {file: Decision(keep=False)})
    after = check_folder(out)
    assert file not in {window.file for window in after.kept}
    assert (out / "rejected" / file).is_file()
    assert after.counts()["by hand"] == 1
    assert build(collection, out, narrow, jobs=1).manifest.windows == after.windows, "a run agrees"
    decide(out, {file: Decision(keep=True)})
    assert [window.file for window in check_folder(out).kept] == [window.file for window in before.kept]


def test_a_rejected_window_can_be_kept(out: Path, collection: Path, narrow: DatasetSettings) -> None:
    window = next(window for window in check_folder(out).windows if not window.kept)
    decide(out, {window.file: Decision(keep=True, caption="  brought\n back ")})
    after = check_folder(out)
    (now,) = (entry for entry in after.windows if entry.file == window.file)
    assert (now.kept, now.decided, now.caption) == (True, True, "brought back")
    assert now.reasons == window.reasons, "the reasons are still told"
    assert build(collection, out, narrow, jobs=1).manifest.windows == after.windows


def test_decided_caption_is_written_and_remembered(out: Path, collection: Path, narrow: DatasetSettings) -> None:
    first, second = check_folder(out).kept[:2]
    text_of(out, first.file).write_text("typed there")
    text_of(out, second.file).write_text("typed too")
    decide(out, {first.file: Decision(caption="said here")})
    assert text_of(out, first.file).read_text() == "said here", "the later word counts"
    assert text_of(out, second.file).read_text() == "typed too", "and others are not lost"
    manifest = check_folder(out)
    assert [window.caption for window in manifest.kept[:2]] == ["said here", "typed too"]
    assert build(collection, out, narrow, jobs=1).manifest.windows == manifest.windows


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    captions=st.lists(
        st.one_of(st.none(), st.text(max_size=12), st.sampled_from(["", " ", ",", "\\", "\0"])), max_size=6
    ),
    keeps=st.lists(st.one_of(st.none(), st.booleans()), min_size=6, max_size=6),
)
def test_any_decisions_leave_a_consistent_folder(
    captions: list[str | None], keeps: list[bool | None], out: Path
) -> None:
    windows = open_set(out)[1].windows
    said = [Decision(keep, caption) for keep, caption in zip(keeps, captions, strict=False)]
    decide(out, {window.file: decision for window, decision in zip(windows, said, strict=False)})
    check_folder(out)


def test_decisions_on_unknown_images_are_ignored(out: Path) -> None:
    before = check_folder(out)
    assert decide(out, {"../../etc/passwd": Decision(keep=False), "x.png": Decision(caption="x")}) == before
    assert json.loads((out / "review.json").read_text()) == {"windows": {}}


def test_decisions_are_refused_while_another_run_uses_the_folder(out: Path) -> None:
    with Store(out).locked(), pytest.raises(RiffusionError, match="another run"):
        decide(out, {})


def test_a_decision_survives_a_kill_before_anything_moved(
    out: Path, collection: Path, narrow: DatasetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An edited caption file is recorded before it is removed."""
    first, second = check_folder(out).kept[:2]
    text_of(out, first.file).write_text("typed")

    def killed(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(review, "write_manifest", killed)
        with pytest.raises(KeyboardInterrupt):
            decide(out, {first.file: Decision(keep=False), second.file: Decision(caption="said")})
    assert not text_of(out, first.file).exists()
    build(collection, out, narrow, jobs=1)
    decide(out, {first.file: Decision(keep=True)})
    assert text_of(out, first.file).read_text() == "typed"
    assert text_of(out, second.file).read_text() == "said"


def test_folder_without_a_valid_training_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RiffusionError, match="there is no training set in"):
        open_set(tmp_path)
    (tmp_path / "manifest.json").write_text('{"songs": 3}')
    with pytest.raises(RiffusionError, match=r"manifest\.json is damaged"):
        open_set(tmp_path)


# --- replacing and filtering -----------------------------------------------------------------------------------------


def test_replacing_text_never_empties_a_caption(out: Path) -> None:
    windows = open_set(out)[1].windows
    assert {decision.caption for decision in replace_in_captions(windows, "one", "uno").values()} == {"uno"}
    assert replace_in_captions(windows, "one", "") == {}
    assert replace_in_captions(windows, "", "x") == {}
    assert replace_in_captions(windows, "absent", "x") == {}


def test_windows_are_filtered_by_decision_reason_and_text(out: Path) -> None:
    manifest = open_set(out)[1]
    assert filter_windows(manifest, "all") == manifest.windows
    assert filter_windows(manifest, "kept") == manifest.kept
    assert all(not window.kept for window in filter_windows(manifest, "left out"))
    assert {reason["kind"] for window in filter_windows(manifest, "intro") for reason in window.reasons} == {"intro"}
    assert {window.song for window in filter_windows(manifest, "all", "ONE  wav")} == {"one.wav"}
    assert filter_windows(manifest, "all", "one nothing") == []


# --- decisions -------------------------------------------------------------------------------------------------------


def test_typed_captions_are_decisions_and_generated_ones_are_not(out: Path) -> None:
    store = Store(out)
    files = [window.file for window in open_set(out)[1].windows]
    assert collect_decisions(store, files) == {}
    kept = open_set(out)[1].kept
    text_of(out, kept[0].file).write_bytes("getippt: 名\r\nzwei".encode())
    text_of(out, kept[1].file).write_text(" \n")
    text_of(out, kept[2].file).unlink()
    assert collect_decisions(store, files) == {kept[0].file: {"caption": "getippt: 名 zwei"}}


def test_later_decisions_add_to_earlier_ones(out: Path, tmp_path: Path) -> None:
    store, saved = Store(out), tmp_path / "saved.json"
    for windows in ({"a.png": {"keep": False}}, {"a.png": {"caption": "x"}, "b.png": {"keep": True}}):
        saved.write_text(json.dumps({"windows": windows}))
        merge_review(store, saved)
    assert store.read_json("review.json") == {
        "windows": {"a.png": {"keep": False, "caption": "x"}, "b.png": {"keep": True}}
    }
