"""Players and messages: valid, escaped HTML whatever the prompt says."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from riffusion_ext.ui.players import format_duration, message, panel, player

VOID = {"br", "img", "input"}


class Reader(HTMLParser):
    """Collects tags, and checks that they close in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


TEXTS = st.text(st.characters(blacklist_categories=("Cs", "Cc")))
MARKUP = """<b>&amp;"><script>alert('1')</script><a onclick="x" 'y"""


@given(TEXTS, TEXTS, TEXTS)
@example(MARKUP, MARKUP, MARKUP)
@example(MARKUP, "", MARKUP)
def test_prompts_and_names_are_escaped(url: str, label: str, name: str) -> None:
    page = Reader(panel([player(url, label, 5.11, name, seed=3)], [message(label, "error")]))
    assert [tag for tag, _ in page.tags] == ["section", "p", "ul", "li", "div", "audio", "div", "span", "span", "a"]
    audio, link = dict(page.tags)["audio"], dict(page.tags)["a"]
    assert (audio["src"], link["href"], link["download"]) == (url, url, name)
    assert audio["preload"] == "metadata"
    assert "controls" in audio
    assert not any(key.startswith("on") for _, attributes in page.tags for key in attributes)


def test_player_shows_title_seed_duration_and_download() -> None:
    page = Reader(player("file=a.wav", "funky  bass", 5.11, "7.wav", seed=7, number=2))
    assert page.text == "2. funky bassseed 75.11 sDownload"
    tags = dict(page.tags)
    assert tags["a"]["download"] == "7.wav"
    assert tags["a"]["aria-label"] == "Download 7.wav"
    assert tags["audio"]["aria-label"] == "2. funky bass, seed 7"


def test_long_prompts_are_cut_and_kept_in_the_tooltip() -> None:
    page = Reader(player("u", "word " * 100, 1.0, "a.wav"))
    (title,) = [attributes["title"] for tag, attributes in page.tags if attributes.get("class") == "riffusion-title"]
    assert title == ("word " * 100).strip()
    assert "…" in page.text
    assert len(page.text) < 150


def test_without_a_prompt_the_file_name_is_the_title() -> None:
    assert "7.wav" in Reader(player("u", "", 1.0, "7.wav")).text


def test_empty_player_list_is_empty_html() -> None:
    assert panel([]) == ""


@pytest.mark.parametrize("name", ["00001-7.png", "", 'a"b.png'])
def test_a_player_names_its_image(name: str) -> None:
    page = Reader(player("u", "a", 1.0, "a.wav", image=name))
    assert dict(page.tags)["li"]["data-picture"] == name


def test_player_without_a_single_image_names_none() -> None:
    assert "data-picture" not in player("u", "a", 1.0, "a.wav")


def test_messages_have_the_role_of_their_kind() -> None:
    assert 'role="status"' in message("done")
    assert 'role="alert"' in message("no", "error")
    with pytest.raises(ValueError, match=r"'loud'.*info, warning or error"):
        message("no", "loud")


@pytest.mark.parametrize(("seconds", "text"), [(0, "0.00 s"), (5.11, "5.11 s"), (59.999, "60.00 s"), (65, "1:05 min")])
def test_durations_are_formatted(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
