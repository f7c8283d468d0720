"""The contact sheet on the page: display, saving, and protection against lost edits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from riffusion_ext.audio.io import read_audio
from riffusion_ext.dataset.review import Decision, decide, open_set
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui.layout.contact_sheet import CELLS, Sheet, load_page, replace_words, save
from riffusion_ext.ui.layout.page_context import PageContext
from riffusion_ext.ui.pages import review
from riffusion_ext.ui.pages.review import cell_html, play_window

# gradio 3 and 4 use parts of their dependencies that those have since deprecated.
pytestmark = pytest.mark.filterwarnings("default")

ALL, KEPT = 21, 17
MARKUP = """<b>&amp;"><script>alert('1')</script>"""


def opened(out: Path, show: str = "all", words: str = "", page: float | None = 1, before: Sheet | None = None) -> Sheet:
    return load_page(before or Sheet(), str(out), show, words, page)[1]


def values_of(sheet: Sheet, **changes: Any) -> list[Any]:
    """Return the values of the page's controls with some changed: ``keep3=False, caption0="..."``."""
    parts = {}
    for number, window in enumerate(sheet.windows):
        parts |= {f"keep{number}": window.kept, f"caption{number}": window.caption}
    assert set(changes) <= set(parts)
    return list((parts | changes).values()) + [False, ""] * (CELLS - len(sheet.windows))


def texts(out: Path) -> dict[str, str]:
    return {path.stem: path.read_text("utf-8").strip() for path in (out / "pictures").glob("*.txt")}


# --- looking ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("show", "words", "count"),
    [
        ("all", "", ALL),
        ("kept", "", KEPT),
        ("left out", "", ALL - KEPT),
        ("intro", "", 2),
        ("ending", "", 2),
        ("silence", "", 0),
        ("all", "ONE", 15),
        ("kept", " two  two ", 4),
        ("all", "one two", 0),
    ],
)
def test_windows_are_filtered_by_decision_and_text(show: str, words: str, count: int, training_set: Path):
    sheet = opened(training_set, show, words)
    assert len(sheet.files) == count
    assert len(sheet.windows) == min(count, CELLS)
    assert sheet.pages == (2 if count > CELLS else 1)


@given(page=st.one_of(st.none(), st.integers(), st.floats(-1e9, 1e9)))
def test_any_page_number_is_clamped_to_an_existing_page(page: float | None, made_once: Path):
    sheet = opened(made_once, page=page)
    assert sheet.page == min(max(int(page or 1), 1), 2)
    assert len(sheet.windows) == (CELLS if sheet.page == 1 else ALL - CELLS)


def test_pages_have_every_window_once_in_order(training_set: Path):
    _, manifest = open_set(training_set)
    first = opened(training_set)
    second = opened(training_set, page=2)
    assert [window.file for window in (*first.windows, *second.windows)] == [w.file for w in manifest.windows]


def test_changed_filter_starts_at_its_first_page_unless_a_page_is_entered(training_set: Path):
    second = opened(training_set, page=2)
    assert opened(training_set, "kept", page=2, before=second).page == 1
    assert opened(training_set, page=2, before=second).page == 2
    assert opened(training_set, "kept", page=2, before=replace(second, page=1)).page == 2


def test_dropped_windows_stay_on_the_page(training_set: Path):
    first = opened(training_set, "kept")
    rest = set(first.files[CELLS:])
    save(first, values_of(first, keep0=False, keep1=False, keep5=False))
    _, second = load_page(first, str(training_set), "kept", "", 2, refresh=False)
    assert {window.file for window in second.windows} == rest
    _, again = load_page(second, str(training_set), "kept", "", 1, refresh=True)
    assert len(again.files) == KEPT - 3


def test_quoted_folders_are_accepted_and_missing_ones_refused(training_set: Path, tmp_path: Path):
    assert load_page(Sheet(), f' "{training_set}" ', "all", "", 1)[1].out == training_set
    for folder, words in (("  ", "No training set yet"), (str(tmp_path), f"there is no training set in {tmp_path}")):
        with pytest.raises(RiffusionError, match=words):
            load_page(Sheet(), folder, "all", "", 1)


# --- saving ----------------------------------------------------------------------------------------------------------


def test_saving_without_changes_writes_no_file(training_set: Path):
    sheet = opened(training_set)
    assert save(sheet, values_of(sheet)) == ""
    assert save(sheet, values_of(sheet, caption1="  ", caption2=f"  {sheet.windows[2].caption}\n")) == ""
    assert save(Sheet(), [True, "words"] * CELLS) == ""
    assert not (training_set / "review.json").exists()


def test_keep_drop_and_caption_reach_the_files(training_set: Path):
    sheet = opened(training_set)
    intro, kept, other = (sheet.windows[number].file for number in (0, 1, 2))
    changes = {"keep0": True, "keep1": False, "caption2": "  quite\n another  one "}
    assert save(sheet, values_of(sheet, **changes)) == "3 changed windows saved."
    assert (training_set / "pictures" / intro).is_file()
    assert (training_set / "rejected" / kept).is_file()
    assert not (training_set / "pictures" / kept).with_suffix(".txt").exists()
    assert texts(training_set)[Path(other).stem] == "quite another one"
    after = opened(training_set)
    assert [after.windows[number].kept for number in (0, 1, 2)] == [True, False, True]
    assert after.windows[2].caption == "quite another one"
    assert save(sheet, values_of(sheet, keep3=False)) == "1 changed window saved."


def test_edits_are_saved_to_the_shown_set_not_to_a_newly_typed_folder(training_set: Path, tmp_path: Path):
    other = Path(shutil.copytree(training_set, tmp_path / "other"))
    sheet = opened(training_set)
    save(sheet, values_of(sheet, keep1=False))
    load_page(sheet, str(other), "all", "", 1)
    assert len(open_set(training_set)[1].kept) == KEPT - 1
    assert len(open_set(other)[1].kept) == KEPT


def test_two_browser_tabs_do_not_undo_each_other(training_set: Path):
    one = two = opened(training_set)
    save(one, values_of(one, keep1=False))
    save(two, values_of(two, keep2=False, caption3="from the other"))
    after = opened(training_set)
    assert [after.windows[number].kept for number in (1, 2, 3)] == [False, False, True]
    assert after.windows[3].caption == "from the other"


def test_page_of_an_older_set_reports_lost_edits(training_set: Path):
    sheet = opened(training_set)
    ghost = replace(sheet.windows[1], file=f"x{sheet.windows[1].file}")
    stale = replace(sheet, windows=(sheet.windows[0], ghost, *sheet.windows[2:]))
    said = save(stale, values_of(stale, keep0=True, keep1=False))
    assert said == "1 changed window saved. 1 changed window lost: another run cut these windows anew."
    shutil.rmtree(training_set)
    assert "1 changed window lost: there is no training set" in save(sheet, values_of(sheet, keep1=False))


def test_locked_set_is_not_changed(training_set: Path):
    sheet = opened(training_set)
    with Store(training_set).locked(), pytest.raises(RiffusionError, match="another run is working"):
        save(sheet, values_of(sheet, keep1=False))
    assert len(open_set(training_set)[1].kept) == KEPT


def test_missing_image_does_not_affect_other_edits(training_set: Path):
    sheet = opened(training_set)
    gone, other = sheet.windows[3], sheet.windows[4]
    decide(training_set, {gone.file: Decision(caption="decided before")})
    (training_set / "pictures" / gone.file).unlink()
    assert save(sheet, values_of(sheet, caption4="still written")) == "1 changed window saved."
    assert texts(training_set)[Path(other.file).stem] == "still written"
    assert Path(gone.file).stem not in texts(training_set)
    after = opened(training_set)
    assert not after.windows[3].kept
    assert "the image is gone" in cell_html(training_set, after.windows[3])
    assert "the next run makes it again" in cell_html(training_set, after.windows[3])
    save(after, values_of(after, keep4=False))
    reasons = opened(training_set).windows[3].reasons
    assert [reason["kind"] for reason in reasons] == ["gone"]


def test_find_and_replace_on_all_pages_of_the_filter(training_set: Path):
    sheet = opened(training_set, "kept", "one")
    assert replace_words(sheet, "one", "$1 <uno>") == "13 captions changed."
    assert sum("$1 <uno>" in caption for caption in texts(training_set).values()) == 13
    assert sum("two" in caption for caption in texts(training_set).values()) == 4
    assert replace_words(opened(training_set), "$1 <uno>", "") == "0 captions changed.", "none may be left empty"
    assert replace_words(opened(training_set, "kept", "two"), "two", "due") == "4 captions changed."
    for empty in (Sheet(), opened(training_set)):
        with pytest.raises(RiffusionError, match="Nothing to replace"):
            replace_words(empty, "", "words")


# --- cells and sound -------------------------------------------------------------------------------------------------


def test_a_cell_shows_image_song_time_and_reasons(training_set: Path):
    sheet = opened(training_set)
    html = cell_html(training_set, sheet.windows[0])
    assert 'src="data:image/' in html
    assert "riffusion-out" in html
    assert ">intro</b>" in html
    assert "one.wav 0:00.0" in html
    assert "riffusion-kept" in cell_html(training_set, sheet.windows[1])
    late = replace(sheet.windows[0], start=59.98)
    assert "1:00.0" in cell_html(training_set, late)


@given(name=st.text(st.characters(), max_size=30), reason=st.sampled_from([MARKUP, "", "plain"]))
def test_names_and_reasons_are_escaped(name: str, reason: str, made_once: Path):
    window = open_set(made_once)[1].windows[0]
    reasons = ({"kind": MARKUP, "text": reason},)
    plain = cell_html(made_once, replace(window, song="", reasons=()))
    html = cell_html(made_once, replace(window, song=f"{MARKUP}{name}", reasons=reasons))
    assert html.encode("utf-8")
    assert html.count("<") == plain.count("<") + 2
    assert "<script" not in html


def test_damaged_image_is_reported_in_its_cell(training_set: Path):
    window = opened(training_set).windows[1]
    (training_set / "pictures" / window.file).write_bytes(b"no image")
    html = cell_html(training_set, window)
    assert "<i>" in html
    assert "<img" not in html


def test_window_is_played_from_its_decoded_image(training_set: Path, context: PageContext, tmp_path: Path):
    sheet = opened(training_set)
    html = play_window(context, sheet, 1)
    (sound,) = (tmp_path / "results" / "listening").glob("*.wav")
    assert f'src="URL/{sound.name}"' in html
    assert "autoplay" in html
    assert "controls" in html
    assert read_audio(sound).samples.shape[1] == 63 * 441
    assert read_audio(sound).samples.any()


def test_only_the_latest_played_sounds_are_kept(
    training_set: Path, context: PageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(review, "_MAX_CLIPS", 2)
    sheet = opened(training_set)
    for number in (5, 4, 3, 2, 1):
        play_window(context, sheet, number)
    heard = {path.name.rsplit("-", 1)[0] for path in (tmp_path / "results" / "listening").glob("*.wav")}
    assert heard == {Path(sheet.windows[number].file).stem for number in (3, 2, 1)}, "the latest ones stay"


def test_unplayable_window_is_reported_in_one_sentence(training_set: Path, context: PageContext):
    sheet = opened(training_set)
    (training_set / "pictures" / sheet.windows[1].file).unlink()
    (training_set / "pictures" / sheet.windows[2].file).write_bytes(b"no image")
    for where, number in ((Sheet(), 0), (sheet, 1), (sheet, 2), (sheet, 99)):
        html = play_window(context, where, number)
        assert 'role="alert"' in html
        assert "<audio" not in html


# --- on the page -----------------------------------------------------------------------------------------------------


class OnPage:
    """The components of the sheet, whose buttons can be pressed as by the host."""

    def __init__(self, context: PageContext) -> None:
        gr = pytest.importorskip("gradio", exc_type=ImportError)
        with gr.Blocks(analytics_enabled=False) as blocks:
            self.opened = review.build(context)
        self.blocks = blocks

    def press(self, elem_id: str, *inputs: Any) -> dict[str, Any]:
        """Return what the button's function returns: note, folder, page, sheet and button by name, cells by number."""
        (button,) = (block for block in self.blocks.blocks.values() if getattr(block, "elem_id", "") == elem_id)
        outcome = self._function_of(button)(*inputs)
        assert len(outcome) == len(self.opened.outputs)
        names = ("note", "folder", "page", "sheet", "send")
        cells = [outcome[start : start + 5] for start in range(5, len(outcome), 5)]
        return dict(zip(names, outcome, strict=False)) | {"cells": cells}

    def _function_of(self, button: Any) -> Callable[..., Any]:
        fns = self.blocks.fns
        if isinstance(fns, dict):  # gradio 4
            return next(fn.fn for fn in fns.values() if (button._id, "click") in fn.targets)
        return next(fns[n].fn for n, event in enumerate(self.blocks.dependencies) if button._id in event["targets"])


@pytest.fixture
def page(context: PageContext) -> OnPage:
    return OnPage(context)


def test_every_button_saves_the_edits_first(page: OnPage, training_set: Path):
    shown = page.press("riffusion_review_show", Sheet(), f'"{training_set}"', "all", "", 1, *[False, ""] * CELLS)
    assert f"{KEPT} of {ALL} windows kept. Page 1 of 2." in shown["note"]
    assert shown["folder"] == str(training_set)
    assert sum(cell[0]["visible"] for cell in shown["cells"]) == CELLS
    for number, (button, said) in enumerate(
        {
            "onward": "Page 2 of 2",
            "back": "Page 1 of 2",
            "save": "Page 1 of 2",
            "show": "Page 1 of 2",
            "replace": "0 captions changed. ",
        }.items(),
        1,
    ):
        sheet = shown["sheet"]
        edited = values_of(sheet, **{f"keep{number + 2}": False, f"caption{number + 2}": f"edit {number}"})
        extra = ["no such words", ""] if button == "replace" else []
        filled = (sheet, str(training_set), "all", "", shown["page"], *edited, *extra)
        shown = page.press(f"riffusion_review_{button}", *filled)
        assert "1 changed window saved." in shown["note"], button
        assert said in shown["note"]
        assert f"{KEPT - number} of {ALL}" in shown["note"]
    second = page.press(
        "riffusion_review_onward", shown["sheet"], str(training_set), "all", "", 1, *values_of(shown["sheet"])
    )
    assert sum(cell[0]["visible"] for cell in second["cells"]) == ALL - CELLS


def test_error_does_not_change_the_page(page: OnPage, training_set: Path, tmp_path: Path):
    nothing = page.press("riffusion_review_show", Sheet(), "", "all", "", 1, *[False, ""] * CELLS)
    assert "No training set yet" in nothing["note"]
    assert "riffusion-info" in nothing["note"]
    sheet = opened(training_set)
    filled = (str(training_set), "all", "", 1, *values_of(sheet, keep1=False))
    with Store(training_set).locked():
        shown = page.press("riffusion_review_save", sheet, *filled)
    assert "another run is working" in shown["note"]
    assert 'role="alert"' in shown["note"]
    assert "value" not in shown["sheet"]
    assert all("value" not in part for cell in shown["cells"] for part in cell)
    shown = page.press("riffusion_review_show", sheet, str(tmp_path / MARKUP), *filled[1:])
    assert "1 changed window saved. there is no training set in" in shown["note"]
    assert "<script" not in shown["note"]
    shown = page.press("riffusion_review_replace", sheet, *filled, "", "")
    assert "Nothing to replace" in shown["note"]


def test_filter_without_matches_is_reported(page: OnPage, training_set: Path):
    shown = page.press("riffusion_review_show", Sheet(), str(training_set), "silence", "", 1, *[False, ""] * CELLS)
    assert "None fits the filter." in shown["note"]
    assert not any(cell[0]["visible"] for cell in shown["cells"])


def test_send_button_needs_a_list_of_concepts(page: OnPage, training_set: Path):
    inputs = (Sheet(), str(training_set), "all", "", 1, *[False, ""] * CELLS)
    assert page.press("riffusion_review_show", *inputs)["send"]["interactive"]
    assert json.loads((training_set / "concepts_list.json").read_text("utf-8"))
    (training_set / "concepts_list.json").unlink()
    assert not page.press("riffusion_review_show", *inputs)["send"]["interactive"]


def test_damaged_manifest_is_reported(training_set: Path):
    (training_set / "manifest.json").write_text("{", "utf-8")
    with pytest.raises(RiffusionError, match=r"manifest\.json"):
        opened(training_set)
