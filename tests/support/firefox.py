"""A real Firefox, spoken to in WebDriver BiDi, which it understands by itself.

Only what the tests need of it: open a page, press keys, look. Playwright brings a Firefox of its
own, which no distribution ships.
"""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from tests.support.patience import PATIENCE_SECONDS, wait_until

LISTENING = re.compile(r"BiDi listening on (ws://\S+)")
KEYS = {
    "Shift": "\ue008",
    "Control": "\ue009",
    "Tab": "\ue004",
    "Enter": "\ue007",
    "Escape": "\ue00c",
}


def program() -> str | None:
    """Where Firefox is; None if it is not installed."""
    return shutil.which("firefox-esr") or shutil.which("firefox")


class Firefox:
    """A window with one page. `socket` is a connection on which a session was begun."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._sent = 0
        self._call("session.new", capabilities={})
        self._context = self._call("browsingContext.getTree")["contexts"][0]["context"]

    def open(self, url: str) -> None:
        """Load a page, with all that belongs to it."""
        self._call("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def resize(self, width: int, height: int) -> None:
        """The size of the page, in pixels."""
        viewport = {"width": width, "height": height}
        self._call("browsingContext.setViewport", context=self._context, viewport=viewport)

    def look(self, expression: str) -> Any:
        """The value of an expression of the page's, as JSON has it."""
        words = {"target": {"context": self._context}, "awaitPromise": True}
        found = self._call("script.evaluate", expression=f"JSON.stringify({expression})", **words)
        assert found["type"] == "success", found
        return json.loads(found["result"].get("value", "null"))

    def text(self, selector: str) -> str:
        """The text of an element, as it stands on screen."""
        return str(self.look(f"document.querySelector({json.dumps(selector)}).innerText"))

    def wait_for(self, expression: str) -> None:
        """Until an expression of the page's is true."""
        wait_until(lambda: self.look(expression), expression)

    def press(self, key: str) -> None:
        """Press a key; "Shift+!" is what types a ! with Shift."""
        names = [KEYS.get(name, name) for name in key.split("+")]
        down = [{"type": "keyDown", "value": name} for name in names]
        up = [{"type": "keyUp", "value": name} for name in reversed(names)]
        actions = [{"type": "key", "id": "keyboard", "actions": [*down, *up]}]
        self._call("input.performActions", context=self._context, actions=actions)

    def type(self, text: str) -> None:
        """Type a text where the focus is."""
        for letter in text:
            self.press(letter)

    def screenshot(self, file: Path) -> None:
        """What is in the window, as a PNG."""
        shot = self._call("browsingContext.captureScreenshot", context=self._context)
        file.write_bytes(base64.b64decode(shot["data"]))

    def _call(self, method: str, **params: Any) -> Any:
        """The answer to a command; what the browser says meanwhile is passed over."""
        self._sent += 1
        self._socket.send(json.dumps({"id": self._sent, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(timeout=PATIENCE_SECONDS))
            if answer.get("id") == self._sent:
                assert answer["type"] == "success", answer
                return answer["result"]


@contextmanager
def firefox(folder: Path) -> Iterator[Firefox]:
    """A new one with a profile of its own in this folder, without a window on any screen."""
    from websockets.sync.client import connect

    found = program()
    assert found is not None
    words = [found, "--headless", "--no-remote", "--remote-debugging-port=0"]
    environment = os.environ | {"HOME": str(folder), "MOZ_REMOTE_SETTINGS_DEVTOOLS": "0"}
    process = subprocess.Popen(
        [*words, "--profile", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stderr is not None
        with connect(_address(process.stderr) + "/session", proxy=None, max_size=None) as socket:
            yield Firefox(socket)
    finally:
        process.terminate()
        process.communicate()


def _address(output: IO[str]) -> str:
    """Where it listens, as soon as it says so."""
    for line in output:
        if found := LISTENING.search(line):
            return found[1]
    raise OSError("Firefox has ended without listening")
