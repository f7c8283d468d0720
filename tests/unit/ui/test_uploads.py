"""Pages accept only uploaded files, whatever paths a browser sends."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from riffusion_ext.errors import RiffusionError
from riffusion_ext.ui import gradio_compat
from riffusion_ext.ui.layout.cropping_panel import preview
from riffusion_ext.ui.layout.page_context import PageContext, chosen_files
from riffusion_ext.ui.layout.result_panel import values_from_file
from riffusion_ext.ui.pages import inspect
from riffusion_ext.ui.uploads import check_uploaded, upload_folder, uploads_of

gr = pytest.importorskip("gradio", exc_type=ImportError)

# gradio 3, 4 and 6 use parts of their dependencies that those have since deprecated.
pytestmark = pytest.mark.filterwarnings("default")

NOT_OURS = "was not uploaded to this page"
GRADIO = int(gr.__version__.split(".")[0])


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of uploads; other files are beside it."""
    folder = tmp_path / "uploads"
    (folder / "0a1b").mkdir(parents=True)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


def image(path: Path) -> Path:
    Image.new("RGB", (8, 8), "white").save(path)
    return path


def outside(uploads: Path) -> list[Any]:
    """Return paths that are no uploads, some of which look like one."""
    secret = image(uploads.parent / "secret.png")
    link, folder_link = uploads / "0a1b" / "link.png", uploads / "folder"
    link.symlink_to(secret)
    folder_link.symlink_to(uploads.parent, target_is_directory=True)
    os.mkfifo(uploads / "0a1b" / "pipe.wav")
    beside = uploads.parent / "uploads-of-others"
    beside.mkdir()
    return [
        secret,
        link,
        folder_link / "secret.png",
        uploads / ".." / "secret.png",
        f"{uploads}/0a1b/../../secret.png",
        image(beside / "a.png"),
        uploads / "0a1b",
        uploads / "0a1b" / "pipe.wav",
        uploads / "0a1b" / "gone.png",
        uploads,
        "/etc/hostname",
        "/dev/zero",
        "secret.png",
        "",
        "\0",
        f"{uploads}/0a1b/a\0.png",
        "http://127.0.0.1:9/a.png",
        "file:///etc/hostname",
        "~/secret.png",
        7,
        ["a"],
        "a" * 5000,
    ]


def test_upload_is_accepted(uploads: Path) -> None:
    path = image(uploads / "0a1b" / "my song.png")
    assert upload_folder() == uploads
    assert check_uploaded(str(path)) == path
    assert [(item.path, item.name) for item in uploads_of(str(path))] == [(path, "my song.png")]
    wrapper = SimpleNamespace(name=str(path), orig_name="/else/where/né.png")
    assert [item.name for item in uploads_of([wrapper, str(path)])] == ["né.png", "my song.png"]
    assert uploads_of(None) == []


def test_linked_upload_folder_is_accepted(uploads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = image(uploads / "0a1b" / "a.png")
    link = uploads.parent / "by-link"
    link.symlink_to(uploads, target_is_directory=True)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(link))
    assert check_uploaded(link / "0a1b" / "a.png") == link / "0a1b" / "a.png"
    assert check_uploaded(path) == path


def test_other_paths_are_refused(uploads: Path) -> None:
    for path in outside(uploads):
        with pytest.raises(RiffusionError, match=NOT_OURS):
            check_uploaded(path)
        with pytest.raises(RiffusionError, match=NOT_OURS) as caught:
            uploads_of([path])
        assert str(uploads.parent) not in str(caught.value), "the message names no server path"


def test_every_page_refuses_other_paths_with_a_message(
    uploads: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(image(tmp_path / "secret.png"))
    context = PageContext(output_dir=lambda: tmp_path / "out")
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("the file was opened"))
    assert NOT_OURS in inspect.inspect(path)
    assert NOT_OURS in values_from_file(path, "song", lambda _: {})[1]
    assert NOT_OURS in preview(context, [path], "", "", "from the picture", "", {})[1]
    with pytest.raises(RiffusionError, match=NOT_OURS):
        chosen_files([path], None, ())


def sent(path: Any, url: str | None = None) -> dict[str, Any]:
    """Return the value that a browser sends for a file."""
    if GRADIO == 3:
        return {"name": path, "data": None, "size": 3, "is_file": True, "orig_name": "a.png"}
    return {"path": path, "url": url, "orig_name": "a.png", "meta": {"_type": "gradio.FileData"}}


class Pressed:
    """A page of one component and a button.

    Parameters
    ----------
    component
        Makes the component.
    mounted
        Whether gradio is told that it runs as a server, as by the standalone server.
    """

    def __init__(self, component: Any, *, mounted: bool = True) -> None:
        self._seen: list[Any] = []
        with gr.Blocks(analytics_enabled=False) as self._blocks:
            part = component()
            button = gr.Button("Go")
            button.click(fn=self._seen.append, inputs=[part], outputs=[], **gradio_compat.private_event())
        if mounted:
            gradio_compat.mount_options(self._blocks)

    def press(self, value: Any) -> Any:
        """Press the button as a browser does; return the value that the function gets."""
        if GRADIO == 3:
            call = self._blocks.process_api(0, [value], state={})
        else:
            from gradio.context import LocalContext

            LocalContext.blocks.set(self._blocks)
            call = self._blocks.process_api(self._blocks.fns[0], [value])
        asyncio.run(call)
        return self._seen[-1]

    def refuses(self, value: Any, *, ours: bool) -> None:
        """Check that the press is refused, by our own check or by gradio before it."""
        before = len(self._seen)
        with pytest.raises(Exception, match=r".") as caught:
            self.press(value)
        assert len(self._seen) == before
        if ours:
            assert isinstance(caught.value, gr.Error), value
            assert NOT_OURS in str(caught.value), value


def kept(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)


def files() -> Any:
    return gradio_compat.file_input("Files", "files", file_count="multiple")


def one_image() -> Any:
    return gradio_compat.image("Image", "picture")


@pytest.mark.parametrize("mounted", [True, False])
def test_file_component_accepts_uploads_and_refuses_other_paths(uploads: Path, mounted: bool) -> None:
    page = Pressed(files, mounted=mounted)
    path = image(uploads / "0a1b" / "a.png")
    (upload,) = uploads_of(page.press([sent(str(path))]))
    assert upload.path.read_bytes() == path.read_bytes()
    paths = [str(path) for path in outside(uploads) if isinstance(path, (str, Path))]
    before = kept(uploads)
    for other in paths:
        for value in ([sent(str(path)), sent(other)], sent(other)):
            page.refuses(value, ours=GRADIO == 3 or other.startswith("http"))
    assert kept(uploads) == before, "nothing was copied or fetched"


@pytest.mark.skipif(GRADIO == 3, reason="gradio 3 sends images themselves, no paths")
@pytest.mark.parametrize("mounted", [True, False])
def test_an_image_component_refuses_other_paths(uploads: Path, mounted: bool) -> None:
    page = Pressed(one_image, mounted=mounted)
    assert page.press(sent(str(image(uploads / "0a1b" / "a.png")))).size == (8, 8)
    paths = [str(path) for path in outside(uploads) if isinstance(path, (str, Path)) and str(path)]
    before = kept(uploads)
    for other in paths:
        page.refuses(sent(other), ours=other.startswith("http"))
    assert kept(uploads) == before, "nothing was copied or fetched"


@pytest.mark.skipif(GRADIO == 3, reason="gradio 3 sends images themselves, no paths")
def test_values_without_the_file_marker_are_refused(uploads: Path) -> None:
    secret = str(image(uploads.parent / "secret.png"))
    for component in (files, one_image):
        page = Pressed(component)
        for value in ({"path": secret}, {"path": secret, "meta": {}}, {"path": secret, "meta": {"_type": "other"}}):
            page.refuses([value] if component is files else value, ours=False)


@pytest.mark.skipif(GRADIO < 6, reason="earlier ones ask always, or never")
def test_own_check_applies_when_gradio_has_none(uploads: Path) -> None:
    secret = str(image(uploads.parent / "secret.png"))
    Pressed(files, mounted=False).refuses([sent(secret)], ours=True)
    Pressed(one_image, mounted=False).refuses(sent(secret), ours=True)


def test_components_have_the_block_names_of_gradio() -> None:
    with gr.Blocks(analytics_enabled=False):
        assert files().get_block_name() == "file"
        assert one_image().get_block_name() == "image"
    assert isinstance(gradio_compat.file_input("a", "b"), gr.File)
    assert not list(Path(gradio_compat.__file__).parent.rglob("*.pyi")), "gradio writes such files beside subclasses"
