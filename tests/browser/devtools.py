"""A Chromium whose tabs can be hidden; Playwright reports every page as visible.

Controlled through the Chrome DevTools Protocol.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect


class Tab:
    """A tab in which scripts can be run, visible or not."""

    def __init__(self, id_: str, socket: ClientConnection) -> None:
        self.id, self._socket, self._number = id_, socket, 0

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=60))
            if told.get("id") == self._number:
                assert "error" not in told, told["error"]
                return dict(told["result"])

    def run(self, script: str) -> Any:
        """Return the value of an expression, as if the user had just pressed a key."""
        told = self.ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True, userGesture=True)
        assert "exceptionDetails" not in told, told["exceptionDetails"]
        return told["result"].get("value")

    def close(self) -> None:
        """Close the connection, which ends the listening thread."""
        self._socket.close()

    def until(self, script: str, seconds: float = 120.0) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"this takes too long: {script}"
            time.sleep(0.2)


class Tabs:
    """The tabs of a browser."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._open: list[Tab] = []

    def open(self, url: str = "about:blank", script: str = "") -> Tab:
        """Open a tab in front of the others; the script runs in it before those of its page."""
        told = self._call("/json/new?about:blank", "PUT")
        tab = Tab(told["id"], connect(told["webSocketDebuggerUrl"], max_size=None, close_timeout=1))
        self._open.append(tab)
        tab.ask("Page.enable")
        tab.ask("Page.addScriptToEvaluateOnNewDocument", source=script)
        tab.ask("Page.navigate", url=url)
        self.show(tab)
        return tab

    def show(self, tab: Tab) -> None:
        """Bring a tab to the front, which hides the others."""
        self._call(f"/json/activate/{tab.id}")

    def close(self) -> None:
        """Close the connections to all tabs."""
        for tab in self._open:
            tab.close()

    def _call(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{path}", method=method)
        with urllib.request.urlopen(request, timeout=30) as reply:
            text = reply.read()
        return json.loads(text) if text.startswith(b"{") else None


@contextmanager
def tabs(program: str, flags: Sequence[str], folder: Path) -> Iterator[Tabs]:
    """Start a browser with a profile of its own; yields its tabs."""
    command = [
        program,
        *flags,
        "--headless=new",
        "--window-size=1280,900",
        "--remote-debugging-port=0",
        f"--user-data-dir={folder}",
    ]
    command += ["--no-first-run", "--disable-component-update", "about:blank"]
    silent = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=silent, stderr=silent) as process:
        try:
            told = folder / "DevToolsActivePort"
            end = time.monotonic() + 60
            while not (told.is_file() and told.read_text().count("\n")):
                assert process.poll() is None, "the browser does not start"
                assert time.monotonic() < end, "the browser prints nothing"
                time.sleep(0.1)
            with closing(Tabs(int(told.read_text().split()[0]))) as opened:
                yield opened
        finally:
            process.terminate()
