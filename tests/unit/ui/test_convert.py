"""The conversion pages of the tab: results for good and bad files, and building them with this gradio."""

from __future__ import annotations

import base64
import errno
import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from riffusion_ext import metadata
from riffusion_ext.audio.clip import AudioClip
from riffusion_ext.audio.formats.wav import read_layout
from riffusion_ext.audio.io import read_audio, read_tags, write_audio
from riffusion_ext.errors import RiffusionError
from riffusion_ext.library import LIBRARY
from riffusion_ext.params import PRESETS
from riffusion_ext.ui.layout.cropping_panel import preview
from riffusion_ext.ui.layout.page_context import PageContext, chosen_files, media_url
from riffusion_ext.ui.pages import audio_to_images, images_to_audio, inspect
from riffusion_ext.ui.pages.images_to_audio import CLIPS, EACH, JOINED, SONG
from tests.unit.extenders import use

# gradio 3 and 4 use parts of their dependencies that those have since deprecated.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def context(tmp_path: Path) -> PageContext:
    return PageContext(output_dir=lambda: tmp_path / "out", url_of=lambda path: f"URL/{path.name}")


def image(path: Path, width: int = 30) -> Path:
    rows = np.full(512, 255, np.uint8)
    rows[[200, 300, 400]] = 10
    return metadata.save_image(
        Image.fromarray(np.repeat(rows[:, None], width, 1)).convert("RGB"), path, PRESETS["riffusion-v1"], 5e6
    )


def sound(path: Path, seconds: float = 0.4) -> Path:
    t = np.arange(int(seconds * 44100)) / 44100
    return write_audio(AudioClip((0.4 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[None], 44100), path)


def to_sound(context: PageContext, files: Any, folder: str = "", kind: str = EACH, crossfade: float = 0.0) -> Any:
    return images_to_audio.convert(context, files, folder, kind, crossfade, "fast", "peak", "wav", "auto")


def to_images(context: PageContext, files: Any, cut: str = audio_to_images.TILES) -> Any:
    return audio_to_images.convert(context, files, "", cut, audio_to_images.SONG, "riffusion-v1", "png")


def test_each_image_gets_a_player(context: PageContext, tmp_path: Path):
    html, archive = to_sound(context, [str(image(tmp_path / f"b{n}.png")) for n in (10, 2)])
    assert re.findall(r'<audio[^>]* src="URL/(\w+\.wav)"', html) == ["b2.wav", "b10.wav"]
    (made,) = (tmp_path / "out" / "sounds").iterdir()
    assert 'href="URL/sounds.zip" download="sounds.zip"' in archive
    with zipfile.ZipFile(made / "sounds.zip") as files:
        assert files.namelist() == ["b2.wav", "b10.wav"]
    assert sorted(path.name for path in made.iterdir()) == ["b10.wav", "b2.wav", "sounds.zip"]
    assert str(made) in html


def test_joined_clip_and_song_are_made(context: PageContext, tmp_path: Path):
    files = [str(image(tmp_path / f"{n}.png")) for n in (1, 2)]
    html, _ = to_sound(context, files, kind=CLIPS, crossfade=0.05)
    assert html.count("<audio") == 3
    assert "joined.wav" in html
    html, archive = to_sound(context, files, kind=SONG)
    assert html.count("<audio") == 1
    assert archive == ""
    (song,) = (tmp_path / "out" / "sounds").glob("*/song.wav")
    assert read_audio(song).samples.shape[1] == 59 * 441


@pytest.mark.parametrize("kind", [EACH, CLIPS, JOINED, SONG])
def test_files_have_the_configured_sample_format(context: PageContext, tmp_path: Path, kind: str):
    files = [str(image(tmp_path / f"{n}.png")) for n in (1, 2)]
    to_sound(replace(context, subtype=lambda: "pcm24"), files, kind=kind)
    paths = list((tmp_path / "out" / "sounds").glob("*/*.wav"))
    assert paths
    for path in paths:
        with path.open("rb") as file:
            assert read_layout(file).width == 3


def test_folder_on_the_server_can_be_named(context: PageContext, tmp_path: Path):
    image(tmp_path / "in" / "a.png")
    html, _ = to_sound(context, None, folder=f' "{tmp_path}/in" ')
    assert html.count("<audio") == 1


def test_hidden_folder_field_is_ignored(tmp_path: Path):
    closed = PageContext(output_dir=lambda: tmp_path / "out", folders=False)
    image(tmp_path / "in" / "a.png")
    sound(tmp_path / "in" / "a.wav")
    html, archive = to_sound(closed, None, folder=f"{tmp_path}/in")
    assert "choose files first" in html
    assert archive == ""
    values = ("", audio_to_images.SONG, "riffusion-v1", "png")
    html, _, made = audio_to_images.convert(closed, None, f"{tmp_path}/in", *values)
    assert "choose files first" in html
    assert made == ""
    assert not (tmp_path / "out").exists()


def test_full_disk_while_archiving_is_reported(context: PageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(zipfile, "ZipFile", full)
    html, archive = to_sound(context, [str(image(tmp_path / f"{n}.png")) for n in (1, 2)])
    assert html.count("<audio") == 2
    assert "the disk is full" in html
    assert archive == ""
    html, shown, made = to_images(context, [str(sound(tmp_path / "song.wav", 6.0))])
    assert "the disk is full" in html
    assert len(re.findall(r'href="URL/song_\d+\.png" download', shown)) == 2
    assert made == ""
    assert list(tmp_path.rglob("*.zip")) == []


def test_failure_to_remove_a_folder_is_no_error(context: PageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(self: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "rmdir", refuse)
    (tmp_path / "bad.png").write_text("no")
    (tmp_path / "bad.wav").write_text("no")
    assert 'role="alert"' in to_sound(context, [str(tmp_path / "bad.png")])[0]
    assert 'role="alert"' in to_images(context, [str(tmp_path / "bad.wav")])[0]


def test_missing_input_is_reported_in_one_sentence(context: PageContext, tmp_path: Path):
    html, archive = to_sound(context, None)
    assert "choose files first" in html
    assert archive == ""
    assert not (tmp_path / "out").exists()


def test_bad_images_are_reported_by_their_original_names(context: PageContext, tmp_path: Path):
    good, bad = image(tmp_path / "good.png"), tmp_path / "k3jx.png"
    bad.write_text("no")
    wrapper = SimpleNamespace(name=str(bad), orig_name="<b>my song.png")
    html, _ = to_sound(context, [str(good), wrapper])
    assert html.count("<audio") == 1
    assert html.count('role="alert"') == 1
    assert "&lt;b&gt;my song.png" in html
    assert "k3jx" not in html
    html, _ = to_sound(context, [wrapper])
    assert "<audio" not in html
    assert list((tmp_path / "out" / "sounds").iterdir()) != []  # the first press's
    assert len(list((tmp_path / "out" / "sounds").iterdir())) == 1


def test_unwritable_results_folder_is_reported(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    html, _ = to_sound(PageContext(output_dir=lambda: tmp_path / "file"), [str(image(tmp_path / "a.png"))])
    assert 'role="alert"' in html
    assert "folder" in html


def test_song_is_encoded_into_tiles(context: PageContext, tmp_path: Path):
    html, shown, made = to_images(context, [str(sound(tmp_path / "song.wav", 6.0))])
    assert re.findall(r'<img src="URL/([^"]+)"', shown) == ["song_00000.png", "song_00001.png"]
    assert re.findall(r'download="([^"]+)"', shown + made) == ["song_00000.png", "song_00001.png", "pictures.zip"]
    assert "2 images made" in html


def test_song_is_encoded_into_one_wide_image(context: PageContext, tmp_path: Path):
    _, shown, made = to_images(context, [str(sound(tmp_path / "long.wav", 45.0))], audio_to_images.WIDE)
    (path,) = (tmp_path / "out").glob("pictures/*/*.png")
    with Image.open(path) as image:
        assert image.size == (4501, 512)
    assert made == ""
    assert f'download="{path.name}"' in shown
    (small,) = re.findall(r'<img src="data:image/jpeg;base64,([^"]+)"', shown)
    with Image.open(io.BytesIO(base64.b64decode(small))) as image:
        assert image.size == (1024, 256)  # the size that browsers can show


def test_bad_song_is_reported(context: PageContext, tmp_path: Path):
    (tmp_path / "bad.mp3").write_text("nothing")
    html, shown, made = to_images(context, [str(tmp_path / "bad.mp3")])
    assert 'role="alert"' in html
    assert (shown, made) == ("", "")


def test_inspect_shows_an_escaped_table(tmp_path: Path):
    path = image(tmp_path / "a.png")
    table = inspect.inspect(SimpleNamespace(name=str(path), orig_name="<i>.png"))
    assert "30 x 512" in table
    assert "<i>" not in table
    (tmp_path / "b.png").write_text("no")
    assert 'role="alert"' in inspect.inspect(str(tmp_path / "b.png"))
    assert "<table" not in inspect.inspect(None)


def test_each_run_has_its_own_folder(context: PageContext):
    folders = {context.new_folder("sounds") for _ in range(3)}
    assert len(folders) == 3


def test_results_are_shown_by_an_id_that_names_no_file(tmp_path: Path):
    path = tmp_path / "a b" / "ü?#.wav"
    url = media_url(path)
    assert re.fullmatch(r"riffusion/media/[\w-]{16}", url)
    record = LIBRARY.get(url.rsplit("/", 1)[1])
    assert record is not None
    assert (record.path, record.download_name) == (path, path.name)
    assert media_url(path) != url


def test_empty_choice_of_files_is_refused():
    with pytest.raises(RiffusionError, match="choose files"):
        chosen_files(None, "  ", ())


def test_pages_are_built_with_unique_labels(tmp_path: Path):
    pytest.importorskip("gradio", exc_type=ImportError)
    from riffusion_ext.ui.app import build_app
    from riffusion_ext.ui.pages.tab import build_tab

    labels = [
        block.label
        for block in build_tab(PageContext(output_dir=lambda: tmp_path)).blocks.values()
        if getattr(block, "label", None) and hasattr(block, "value")
        if not getattr(block, "do_not_save_to_config", False)
    ]
    assert len(labels) == len(set(labels)), "webui keeps a user's defaults by label"
    assert build_app(tmp_path) is not None


def test_webuis_keep_no_default_of_options_that_are_declared_transient():
    gr = pytest.importorskip("gradio", exc_type=ImportError)
    from riffusion_ext.options.convert.to_audio import TO_AUDIO
    from riffusion_ext.ui.gradio_compat import component

    with gr.Blocks():
        kept_out = {name: getattr(component(TO_AUDIO[name]), "do_not_save_to_config", False) for name in TO_AUDIO}
    assert {name for name, out in kept_out.items() if out} == {"patterns", "joined_name"}


def test_the_preset_of_the_page_wins_over_the_image(context: PageContext, tmp_path: Path):
    path = str(image(tmp_path / "a.png"))
    values = ("", EACH, 0.0, "fast", "peak", "wav", "stereo")
    html, _ = images_to_audio.convert(context, [path], *values, "20khz-stereo")
    assert html.count("<audio") == 1
    (made,) = (tmp_path / "out" / "sounds").glob("*/a.wav")
    assert '"max_frequency": 20000' in read_tags(made)["comment"]
    html, _ = images_to_audio.convert(context, [path], *values, "40khz")
    assert "preset is &#x27;40khz&#x27;" in html
    html, _ = images_to_audio.convert(context, [path], *values, "custom", "max_frequency=12000")
    made = max((tmp_path / "out" / "sounds").glob("*/a.wav"), key=lambda file: file.stat().st_mtime_ns)
    assert '"max_frequency": 12000' in read_tags(made)["comment"]
    html, _ = images_to_audio.convert(context, [path], *values, "custom", "max_frequency=high")
    assert "max_frequency must be a number" in html


# --- cutting and joining ---------------------------------------------------------------------------------------------


def with_beats(path: Path, first: int = 10, width: int = 300) -> Path:
    """Write an image of hits 50 columns apart: 120 a minute."""
    since = (np.arange(width) - first) % 50
    row = np.where(np.arange(width) < first, 240, 240 - 200 * np.exp(-since / 12)).astype(np.uint8)
    return metadata.save_image(
        Image.fromarray(np.tile(row, (512, 1))).convert("RGB"), path, PRESETS["riffusion-v1"], 5e6
    )


def cut_to_sound(context: PageContext, files: Any, folder: str = "", kind: str = CLIPS, **options: Any) -> Any:
    values = (files, folder, kind, 0.1, "fast", "peak", "wav", "auto")
    return images_to_audio.convert(context, *values, **options)


def made_files(tmp_path: Path) -> dict[str, int]:
    found = (tmp_path / "out").glob("sounds/*/*.wav")
    return {path.name: read_audio(path).samples.shape[1] for path in found}


def test_clips_are_cut_on_the_beat_and_joined_in_time(context: PageContext, tmp_path: Path):
    files = [str(with_beats(tmp_path / f"{n}.png", first)) for n, first in ((1, 10), (2, 30))]
    html, archive = cut_to_sound(context, files, crop={"crop": "every"}, joined_name="take {date}")
    made = made_files(tmp_path)
    joined = next(name for name in made if name.startswith("take 20"))
    assert set(made) == {"1.wav", "2.wav", joined}
    assert made["1.wav"] == pytest.approx(2 * 44100, abs=400)
    assert made[joined] == pytest.approx(made["1.wav"] + made["2.wav"], abs=2)  # whatever the crossfade
    assert html.count("1 bar of 4 beats at 120") == 2
    assert archive is not None


def test_image_without_a_beat_is_reported_and_decoded_whole(context: PageContext, tmp_path: Path):
    html, _ = cut_to_sound(context, [str(image(tmp_path / "a.png"))], kind=EACH, crop={"crop": "once"})
    assert "heard whole" in html
    assert made_files(tmp_path) == {"a.wav": 29 * 441}


def test_joined_result_is_one_file(context: PageContext, tmp_path: Path):
    files = [str(image(tmp_path / f"b{n}.png")) for n in (10, 2)]
    html, archive = cut_to_sound(context, files, kind=JOINED, joined_name="b2.wav")
    assert html.count("<audio") == 1
    assert archive == ""
    assert set(made_files(tmp_path)) == {"b2.wav"}


def test_joined_file_does_not_clash_with_an_image_name(context: PageContext, tmp_path: Path):
    files = [str(image(tmp_path / name)) for name in ("joined.png", "other.png")]
    cut_to_sound(context, files)
    assert set(made_files(tmp_path)) == {"joined.wav", "joined_png.wav", "other.wav"}


def test_only_files_matching_the_pattern_are_converted(context: PageContext, tmp_path: Path):
    for name in ("a1.png", "a2.png", "b.png"):
        image(tmp_path / "in" / name)
    html, _ = cut_to_sound(context, [str(image(tmp_path / "up.png"))], f"{tmp_path}/in", kind=EACH, patterns="A*, U*")
    assert re.findall(r'src="URL/(\w+)', html) == ["a1", "a2", "up"]
    html, _ = cut_to_sound(context, None, f"{tmp_path}/in", kind=EACH, patterns="*.jpg")
    assert "None of the 3 images has a name that fits *.jpg" in html


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"joined_name": "../up"}, "without folders"),
        ({"crop": {"crop": "sometimes"}}, "none, fixed, once, every"),
        ({"crop": {"crop": "fixed", "crop_width": 1}}, "2 to 65536"),
    ],
)
def test_invalid_values_are_refused_before_the_work(
    options: dict[str, Any], words: str, context: PageContext, tmp_path: Path
):
    html, archive = cut_to_sound(context, [str(image(tmp_path / "a.png"))], **options)
    assert words in html
    assert archive == ""
    assert not (tmp_path / "out").exists()


def test_a_preview_shows_the_first_image_in_natural_order(context: PageContext, tmp_path: Path):
    files = [str(with_beats(tmp_path / name, first)) for name, first in (("p10.png", 30), ("p2.png", 10))]
    shown, html = preview(context, files, "", "", "from the picture", "", {"crop": "every"})
    assert shown.width == 300
    assert "p2.png: 1 bar of 4 beats at 120" in html
    shown, html = preview(context, files, "", "p10*", "from the picture", "", {"crop": "fixed", "crop_width": 200})
    assert "p10.png: 2.00 s" in html
    assert not (tmp_path / "out").exists()


def test_preview_without_images_is_reported_in_one_sentence(context: PageContext, tmp_path: Path):
    shown, html = preview(context, None, "", "", "from the picture", "", {"crop": "every"})
    assert shown is None
    assert "choose files first" in html
    bad = tmp_path / "k3jx.png"
    bad.write_text("no")
    wrapper = SimpleNamespace(name=str(bad), orig_name="mine.png")
    shown, html = preview(context, [wrapper], "", "", "from the picture", "", {"crop": "every"})
    assert shown is None
    assert "mine.png" in html
    assert "k3jx" not in html
    assert "choose files first" in preview(PageContext(context.output_dir, folders=False), None, "/", "", "", "", {})[1]


def test_high_frequencies_are_added_unless_they_are_off(
    context: PageContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    use(monkeypatch)
    files = [SimpleNamespace(name=str(image(tmp_path / "a.png")))]
    for choice, added in (("auto", "added from 10000 Hz"), ("off", None)):
        images_to_audio.convert(context, files, "", EACH, 0.0, "fast", "peak", "wav", "auto", high_frequencies=choice)
        path = max((tmp_path / "out").rglob("*.wav"), key=lambda file: file.stat().st_mtime_ns)
        record = metadata.parse_audio_comment(read_tags(path)["comment"])
        assert record is not None
        assert record.get("high_frequencies") == added
