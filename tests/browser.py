"""A real Chromium without a window, driven over its DevTools protocol (chromedevtools.github.io/devtools-protocol)."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psutil

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
# As root it has no sandbox, and a container's /dev/shm may be small; nothing but loopback is ever asked.
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
         "--disable-breakpad", "--remote-debugging-pipe")
HUNG_SECONDS = 600


@dataclass
class Browser:
    """One tab.

    Attributes:
        said: what the page and its content security policy complained of, in order.
    """

    _into: Any
    _out: Any
    _session: str = ""
    _ids: Iterator[int] = field(default_factory=lambda: count(1))
    said: list[str] = field(default_factory=list)

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """The result of a command."""
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        self._into.write(json.dumps(message | ({"sessionId": self._session} if self._session else {})).encode() + b"\0")
        self._into.flush()
        while (told := self._next()).get("id") != number:
            pass
        assert "error" not in told, told
        result: dict[str, Any] = told["result"]
        return result

    def _next(self) -> dict[str, Any]:
        text = bytearray()
        while (byte := self._out.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            text += byte
        told: dict[str, Any] = json.loads(text)
        if told.get("method") == "Log.entryAdded":
            self.said.append(told["params"]["entry"]["text"])
        return told

    def attach(self) -> None:
        """Open a tab and speak with it."""
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Accessibility"):
            self.ask(f"{domain}.enable")

    def show(self, url: str, width: int, *, height: int = 800, dark: bool = False) -> None:
        """Go there, as a screen of this width and colour scheme; returns once the page has loaded."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                 mobile=width < 600)
        self.ask("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.ask("Page.navigate", url=url)
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def run(self, script: str) -> Any:
        """The value of an expression of JavaScript on the page, whatever its policy lets it run by itself."""
        told = self.ask("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def click(self, selector: str) -> None:
        """The left button of a mouse, in the middle of the first element that the selector finds."""
        x, y = self.run(f"""(() => {{ const found = document.querySelector({json.dumps(selector)});
            found.scrollIntoView({{block: 'center'}}); const box = found.getClientRects()[0];
            return [box.x + box.width / 2, box.y + box.height / 2]; }})()""")
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def wait_for_tab(self, url: str) -> None:
        """Until one of the tabs is at this address."""
        while all(found["url"] != url for found in self.ask("Target.getTargets")["targetInfos"]):
            pass

    def press_tab(self) -> None:
        """The key that goes on to the next control."""
        for kind in ("rawKeyDown", "keyUp"):
            self.ask("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)

    def roles(self) -> list[tuple[str, str]]:
        """What a screen reader is told: role and name of everything that is not hidden from it."""
        nodes = self.ask("Accessibility.getFullAXTree")["nodes"]
        return [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in nodes if not node["ignored"]]

    def picture(self, whole: bool = False) -> bytes:
        """A PNG of what is seen, or of the whole page."""
        return base64.b64decode(self.ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"])


@contextmanager
def chromium(folder: Path) -> Iterator[Browser]:
    """A Chromium whose profile lies in ``folder``, and which ends with the block."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    assert program, f"The Model Board is tested in a real browser, one of {', '.join(NAMES)}: apt-get install chromium"
    (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()

    def as_3_and_4() -> None:
        low, high = os.dup2(theirs_in, 100), os.dup2(theirs_out, 101)
        os.dup2(low, 3)
        os.dup2(high, 4)

    process = subprocess.Popen([program, *FLAGS, f"--user-data-dir={folder}"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder, close_fds=False,
                               preexec_fn=as_3_and_4, start_new_session=True,
                               env={**os.environ, "TMPDIR": str(folder)})
    os.close(theirs_in)
    os.close(theirs_out)
    hung = threading.Timer(HUNG_SECONDS, process.kill)  # a browser that says no more would be read from for ever
    hung.start()
    try:
        with os.fdopen(ours_out, "wb") as into, os.fdopen(ours_in, "rb") as out:
            browser = Browser(into, out)
            browser.attach()
            yield browser
    finally:
        hung.cancel()
        # Its processes are of several groups, and end each in its own time.
        theirs = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for one in theirs:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait()
        psutil.wait_procs(theirs, timeout=30)
