"""The contact sheet: one file without external resources, with all names escaped."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from riffusion_ext.audio import read_audio
from riffusion_ext.dataset import contact_sheet
from riffusion_ext.dataset.contact_sheet import write_sheets
from riffusion_ext.dataset.manifest import Manifest, WindowEntry
from riffusion_ext.dataset.pipeline import build
from riffusion_ext.dataset.settings import DatasetSettings
from riffusion_ext.dataset.store import Store

HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)> & {title} DECISIONS </textarea>"


class Page(HTMLParser):
    """Elements of a page, with their attributes and text."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._open.append(tag)
        self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._open:
            while self._open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]][-1] += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def made(collection: Path, tmp_path: Path, narrow: DatasetSettings) -> tuple[Store, Manifest]:
    return Store(tmp_path / "out"), build(collection, tmp_path / "out", narrow, jobs=1).manifest


def page_of(store: Store, manifest: Manifest, *, title: str = "set", sounds: int = 0) -> tuple[str, Page]:
    (path,) = write_sheets(store, manifest, title=title, sounds=sounds)
    text = path.read_text("utf-8")
    return text, Page(text)


def test_every_window_has_a_cell_with_its_decision_caption_and_reasons(made: tuple[Store, Manifest]) -> None:
    store, manifest = made
    _, page = page_of(store, manifest)
    cells = page.all("article")
    assert [cell["data-file"] for cell in cells] == [window.file for window in manifest.windows]
    assert [cell["data-kept"] for cell in cells] == [str(int(window.kept)) for window in manifest.windows]
    boxes = [box for box in page.all("input") if box.get("type") == "checkbox"]
    assert ["checked" in box for box in boxes] == [window.kept for window in manifest.windows]
    assert page.texts["textarea"] == [window.caption for window in manifest.windows]
    badges = [badge["title"] for badge in page.all("b")]
    assert badges == [reason["text"] for window in manifest.windows for reason in window.reasons]


def test_contact_sheet_loads_no_external_resources(made: tuple[Store, Manifest]) -> None:
    text, page = page_of(*made, sounds=1)
    for _, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not page.all("link")
    assert not page.all("iframe")
    without_data = re.sub(r"data:[a-z]+/[a-z]+;base64,[A-Za-z0-9+/=]*", "", text)
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|XMLHttp|import\(", without_data)


def test_sheet_contains_images_and_sounds(made: tuple[Store, Manifest]) -> None:
    store, manifest = made
    _, page = page_of(store, manifest, sounds=2)
    images = [image["src"] for image in page.all("img")]
    assert len(images) == len(manifest.windows)
    with Image.open(io.BytesIO(base64.b64decode(images[0].split(",")[1]))) as image:
        assert image.height == 144
    sounds = [button["data-sound"] for button in page.all("button") if button.get("class") == "play"]
    assert len(sounds) == 2
    path = store.out / "heard.mp3"
    path.write_bytes(base64.b64decode(sounds[0].split(",")[1]))
    clip = read_audio(path)
    assert clip.duration == pytest.approx(0.63, abs=0.2), "the decoded image"
    assert clip.rms > 0.005
    assert "2 of them can be heard here" in page.texts["p"][0]


def test_thumbnails_are_made_again_only_when_the_image_changes(
    made: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, manifest = made
    first, _ = page_of(store, manifest)
    again: list[Path] = []
    shrunk = contact_sheet._shrink
    monkeypatch.setattr(contact_sheet, "_shrink", lambda path: again.append(path) or shrunk(path))
    assert page_of(store, manifest)[0] == first
    assert not again
    path = store.images / manifest.kept[0].file
    with Image.open(path) as image:
        Image.new("RGB", image.size, "red").save(path)
    assert page_of(store, manifest)[0] != first
    assert again == [path], "only the changed image"


def test_hostile_names_are_escaped(made: tuple[Store, Manifest]) -> None:
    store, manifest = made
    reasons = ({"kind": HOSTILE, "text": HOSTILE},)
    bad = [replace(window, song=HOSTILE, caption=HOSTILE, reasons=reasons, kept=False) for window in manifest.windows]
    bad[0] = replace(bad[0], file=HOSTILE.replace("/", ""))
    store.write_json("review.json", {"windows": {HOSTILE.replace("/", ""): {"caption": HOSTILE}}})
    text, page = page_of(store, replace(manifest, windows=bad), title=HOSTILE)
    assert len(page.all("script")) == 1
    assert not [image for image in page.all("img") if "onerror" in image]
    assert page.texts["title"] == [HOSTILE]
    assert page.texts["textarea"] == [HOSTILE] * len(bad)
    assert page.all("article")[0]["data-file"] == HOSTILE.replace("/", "")
    assert text.count("</script>") == 1
    found = re.search(r"changes=(\{.*?\}),fresh=", text)
    assert found is not None
    assert json.loads(found[1]) == {HOSTILE.replace("/", ""): {"caption": HOSTILE}}


def test_earlier_decisions_are_in_the_sheet(made: tuple[Store, Manifest]) -> None:
    store, manifest = made
    said = {manifest.windows[0].file: {"keep": True, "caption": "ü"}}
    store.write_json("review.json", {"windows": said})
    text, _ = page_of(store, manifest)
    found = re.search(r"changes=(\{.*?\}),fresh=", text)
    assert found is not None
    assert json.loads(found[1]) == said


def test_filters_list_the_reasons(made: tuple[Store, Manifest]) -> None:
    _, page = page_of(*made)
    values = [option["value"] for option in page.all("option")]
    assert values == ["all", "kept", "out", "changed", "ending", "intro"]


def test_missing_or_damaged_image_affects_its_cell_only(made: tuple[Store, Manifest]) -> None:
    store, manifest = made
    (store.images / manifest.kept[0].file).unlink()
    (store.images / manifest.kept[1].file).write_bytes(b"none")
    _, page = page_of(store, manifest, sounds=99)
    assert len(page.all("article")) == len(manifest.windows)
    assert len(page.all("img")) == len(manifest.windows) - 2
    assert "image is gone" in page.texts["i"]


def test_many_windows_are_split_into_several_sheets(
    made: tuple[Store, Manifest], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, manifest = made
    page_of(store, manifest)
    monkeypatch.setattr(contact_sheet, "PAGE", 6)
    told: list[float] = []
    paths = write_sheets(store, manifest, title="set", sounds=0, progress=told.append)
    assert [path.name for path in paths] == [f"contact-sheet-{number}.html" for number in (1, 2, 3)]
    assert not (store.out / "contact-sheet.html").exists(), "the previous sheet"
    assert told == sorted(told)
    assert told[-1] == 1.0
    counts = [len(Page(path.read_text("utf-8")).all("article")) for path in paths]
    assert counts == [6, 6, 3]
    monkeypatch.undo()
    page_of(store, manifest)
    assert sorted(path.name for path in store.out.glob("*.html")) == ["contact-sheet.html"]


def test_an_empty_set_has_a_sheet(tmp_path: Path) -> None:
    text, page = page_of(Store(tmp_path / "out"), Manifest({}))
    assert "There are no windows." in text
    assert not page.all("article")


def test_sheet_is_deterministic(made: tuple[Store, Manifest]) -> None:
    first, _ = page_of(*made, sounds=2)
    second, _ = page_of(*made, sounds=2)
    assert first == second


def test_sounds_are_spread_over_kept_and_rejected(made: tuple[Store, Manifest]) -> None:
    _, manifest = made
    windows: list[WindowEntry] = manifest.windows
    for count in (0, 1, 3, 6, 9, 100):
        heard = contact_sheet._spread(windows, count)
        assert len(heard) == min(count, len(windows))
    heard = contact_sheet._spread(windows, 9)
    assert sum(window.file in heard for window in windows if not window.kept) == 3
