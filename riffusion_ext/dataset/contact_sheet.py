"""Contact sheets: HTML pages with thumbnail, sound, caption and a keep box for every window of a training set.

A page is self-contained: it loads no other file and nothing from the network. It saves the user's decisions as
``review.json``, which the next run merges.
"""

from __future__ import annotations

import base64
import html
import io
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from riffusion_ext.dataset.decisions import StoredDecision, load_review
from riffusion_ext.dataset.manifest import Manifest, WindowEntry, reason_text
from riffusion_ext.dataset.store import Store
from riffusion_ext.errors import RiffusionError
from riffusion_ext.files.atomic import write_atomically
from riffusion_ext.files.regular import read_regular

__all__ = ["PAGE", "thumbnail", "write_sheets"]

PAGE = 1500
"""Windows on one sheet; a larger set gets several sheets."""

_THUMBNAIL = 144
_SOUND_RATE = 22050


def write_sheets(
    store: Store, manifest: Manifest, *, title: str, sounds: int = 60, progress: Callable[[float], None] | None = None
) -> list[Path]:
    """Write the contact sheets into the folder of the training set, and remove those of an earlier run.

    Parameters
    ----------
    store, manifest
        The training set.
    title
        Title of the pages.
    sounds
        Number of windows that can be played, spread over kept and rejected ones. Each adds about 30 kB, and takes a
        third of a second to decode the first time.
    progress
        Called with the fraction done, 0 to 1.

    Returns
    -------
    list of Path
        ``contact-sheet.html``; for more than 1500 windows, ``contact-sheet-1.html`` and so on.

    Raises
    ------
    RiffusionError
        A sheet cannot be written.
    """
    playable = _spread(manifest.windows, sounds)
    decisions = load_review(store)
    pages = [manifest.windows[start : start + PAGE] for start in range(0, max(len(manifest.windows), 1), PAGE)]
    names = [f"contact-sheet-{number}.html" for number in range(1, len(pages) + 1)]
    names = names if len(pages) > 1 else ["contact-sheet.html"]
    done = 0
    for number, windows in enumerate(pages):
        cells = []
        for window in windows:
            path = store.find(window.file)
            cells.append(
                _cell(store, window, path, _audio_uri(store, path) if path and window.file in playable else "")
            )
            done += 1
            if progress is not None:
                progress(done / len(manifest.windows))
        more = f", {number + 1} of {len(pages)}" if len(pages) > 1 else ""
        store.write_text(names[number], _page(title + more, manifest, cells, decisions, len(playable)))
    for old in store.out.glob("contact-sheet*.html"):
        if old.name not in names:
            with suppress(OSError):  # a folder of that name is not one of our files
                old.unlink()
    return [store.out / name for name in names]


def _spread(windows: Sequence[WindowEntry], count: int) -> set[str]:
    """Choose the names of `count` windows to be playable: two thirds kept, the rest rejected, each evenly spread."""
    kept = [window.file for window in windows if window.kept]
    others = [window.file for window in windows if not window.kept]
    rejected_count = min(len(others), max(count // 3, count - len(kept)))
    return {
        name for names, n in ((kept, count - rejected_count), (others, rejected_count)) for name in _evenly(names, n)
    }


def _evenly(names: Sequence[str], count: int) -> list[str]:
    count = min(count, len(names))
    return [names[place * len(names) // count] for place in range(count)]


def _audio_uri(store: Store, path: Path) -> str:
    """Return the sound of an image as a data URI for ``<audio>``; "" if it cannot be decoded."""
    kept = [store.work_folder / "heard" / f"{path.stem}{suffix}" for suffix in (".mp3", ".wav")]
    found = next((sound for sound in kept if sound.is_file()), None)
    try:
        found = found or _render_audio(path, kept)
        kind = "audio/mpeg" if found.suffix == ".mp3" else "audio/wav"
        return f"data:{kind};base64,{_base64(read_regular(found))}"
    except (RiffusionError, OSError):
        return ""


def _render_audio(path: Path, paths: Sequence[Path]) -> Path:
    """Decode an image to a small audio file, in the first of two formats that can be written.

    MP3 is preferred to OGG, which stores a random number in each file.
    """
    from riffusion_ext.audio import available_formats, write_audio
    from riffusion_ext.spectrogram.codec import image_to_audio, read_image

    clip = image_to_audio(read_image(path)).clip.resample(_SOUND_RATE)
    mp3, wav = paths
    return write_audio(clip, mp3 if "mp3" in available_formats() else wav)


def thumbnail(store: Store, path: Path) -> str:
    """Return a small version of an image as a data URI for ``<img>``.

    It is cached on disk, since shrinking takes 20 times as long as reading.

    Raises
    ------
    ImageError
        The image cannot be read.
    """
    small = store.work_folder / "thumbnails" / f"{path.stem}.jpg"
    try:
        data = read_regular(small) if small.stat().st_mtime_ns >= path.stat().st_mtime_ns else b""
    except OSError:
        data = b""
    if not data:
        data = _shrink(path)
        with suppress(RiffusionError):  # the cache is optional
            write_atomically(small, lambda file: file.write(data))
    return "data:image/jpeg;base64," + _base64(data)


def _shrink(path: Path) -> bytes:
    from PIL import Image

    from riffusion_ext.spectrogram.image import read_image

    image = read_image(path).convert("RGB")
    image = image.resize((max(_THUMBNAIL * image.width // image.height, 1), _THUMBNAIL), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60)
    return buffer.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _cell(store: Store, window: WindowEntry, path: Path | None, sound: str) -> str:
    minutes, seconds = divmod(round(window.start, 1), 60)
    try:
        small = "" if path is None else thumbnail(store, path)
        image = f'<img loading="lazy" alt="" src="{small}">' if small else "<i>image is gone</i>"
    except RiffusionError as error:
        image = f"<i>{html.escape(str(error))}</i>"
    badges = "".join(
        f'<b title="{html.escape(reason_text(r), quote=True)}">{html.escape(r["kind"])}</b>' for r in window.reasons
    )
    kinds = " ".join(reason["kind"] for reason in window.reasons)
    play = f'<button class="play" type="button" data-sound="{sound}">Play</button>' if sound else ""
    return (
        f'<article data-file="{html.escape(window.file, quote=True)}" data-kinds="{html.escape(kinds, quote=True)}" '
        f'data-kept="{int(window.kept)}">{image}<p class="bar"><label><input type="checkbox"'
        f'{" checked" if window.kept else ""}> keep</label>{play}</p><p class="badges">{badges}</p>'
        f'<p class="song">{html.escape(window.song)} <time>{int(minutes)}:{seconds:04.1f}</time></p>'
        f'<textarea rows="2" aria-label="Caption">{html.escape(window.caption)}</textarea></article>'
    )


def _page(
    title: str, manifest: Manifest, cells: Sequence[str], decisions: Mapping[str, StoredDecision], playable: int
) -> str:
    kinds = sorted({reason["kind"] for window in manifest.windows for reason in window.reasons})
    filters = "".join(f'<option value="{html.escape(kind, quote=True)}">{html.escape(kind)}</option>' for kind in kinds)
    counts = ", ".join(f"{kind} {count}" for kind, count in manifest.counts().items())
    summary = f"{len(manifest.kept)} of {len(manifest.windows)} windows kept" + (
        f"; left out: {counts}" if counts else ""
    )
    if playable < len(manifest.windows):
        summary += f". {playable} of them can be heard here; --sounds all makes the rest"
    # A name or caption may contain "</script>".
    decisions_json = json.dumps(decisions, ensure_ascii=True).replace("<", "\\u003c")
    return _HTML.format(
        title=html.escape(title),
        summary=html.escape(summary),
        filters=filters,
        cells="\n".join(cells) or "<p>There are no windows.</p>",
        script=_SCRIPT.replace("DECISIONS", decisions_json),
        style=_STYLE,
    )


_HTML = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>{style}</style></head><body>
<header><h1>{title}</h1><p>{summary}</p>
<p><label>Show <select id="show"><option value="all">all</option><option value="kept">kept</option>
<option value="out">left out</option><option value="changed">changed here</option>{filters}</select></label>
<label>with <input id="text" type="search" placeholder="words of song or caption"></label>
<button id="save" type="button" disabled>Save review.json</button>
<span id="note">Nothing changed yet.</span></p></header>
<main>
{cells}
</main><script>{script}</script></body></html>
"""

_STYLE = """
:root{color-scheme:light dark;font:14px/1.4 system-ui,sans-serif}
body{margin:0}header{position:sticky;top:0;background:Canvas;padding:.5rem 1rem;border-bottom:1px solid #8888;z-index:1}
h1{font-size:1.2rem;margin:0}header p{margin:.3rem 0}header label{margin-right:1rem}
main{display:grid;grid-template-columns:repeat(auto-fill,minmax(170px,1fr));gap:12px;padding:1rem}
article{border:1px solid #8886;border-radius:6px;padding:8px;overflow:hidden}
article[data-kept="0"]{background:#8882}article[data-kept="0"] img{opacity:.45}
img{width:100%;height:144px;object-fit:cover;object-position:left;border-radius:4px;background:#fff;display:block}
article p{margin:.35rem 0 0}.bar{display:flex;justify-content:space-between;align-items:center}
.badges b{font-size:.75rem;background:#c60;color:#fff;border-radius:4px;padding:0 .4em;margin-right:.3em;cursor:help}
.song{font-size:.8rem;overflow-wrap:anywhere}time{opacity:.7;white-space:nowrap}
textarea{width:100%;box-sizing:border-box;font:inherit;font-size:.8rem;resize:vertical}
[hidden]{display:none!important}
"""

_SCRIPT = """
const cells=[...document.querySelectorAll('article')],changes=DECISIONS,fresh={},player=new Audio();let playing=null;
const show=document.getElementById('show'),text=document.getElementById('text'),save=document.getElementById('save');
function filter(){const what=show.value,words=text.value.toLowerCase().split(/\\s+/).filter(Boolean);
 for(const c of cells){const kept=c.dataset.kept==='1',changed=c.dataset.file in fresh;
  const fits=what==='all'||(what==='kept'&&kept)||(what==='out'&&!kept)||(what==='changed'&&changed)||
   c.dataset.kinds.split(' ').includes(what);
  const all=(c.textContent+' '+c.querySelector('textarea').value).toLowerCase();
  c.hidden=!(fits&&words.every(w=>all.includes(w)));}}
function change(c,values){changes[c.dataset.file]={...changes[c.dataset.file],...values};
 fresh[c.dataset.file]={...fresh[c.dataset.file],...values};save.disabled=false;
 document.getElementById('note').textContent=Object.keys(fresh).length+' changed. '+
  'Save review.json, then run the same command again with --review and the saved file.';}
function stop(){player.pause();if(playing)playing.textContent='Play';playing=null;}
player.onended=stop;show.onchange=filter;text.oninput=filter;
for(const c of cells){const box=c.querySelector('input'),area=c.querySelector('textarea'),play=c.querySelector('.play');
 box.onchange=()=>{c.dataset.kept=box.checked?'1':'0';change(c,{keep:box.checked});};
 area.onchange=()=>change(c,{caption:area.value.trim()});
 if(play)play.onclick=()=>{const again=playing===play;stop();if(again)return;
  player.src=play.dataset.sound;player.play();playing=play;play.textContent='Stop';};}
save.onclick=()=>{const a=document.createElement('a');
 a.href=URL.createObjectURL(new Blob([JSON.stringify({windows:changes,new:fresh},null,1)],{type:'application/json'}));
 a.download='review.json';a.click();};
"""
