"""A headless Chromium for tests of pages, driven over the pipe of its DevTools protocol; needs no driver of its own."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import shutil
import subprocess

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
_FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-pipe"),
]
_KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "Escape": 27, "Tab": 9, "Enter": 13}


class Browser:
    """One page of a headless Chromium.

    Args:
        profile: an empty folder.
        size: of the window, in pixels.
    """

    def __init__(self, profile, size=(1280, 900)):
        to_browser, from_browser = os.pipe(), os.pipe()
        # The browser reads from descriptor 3 and writes to 4; copies above them are not overwritten on the way.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to_browser[0], from_browser[1])]

        def connect():
            os.dup2(ends[0], 3)
            os.dup2(ends[1], 4)

        self._process = subprocess.Popen(
            [CHROMIUM, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(3, 4),
            preexec_fn=connect,
            stderr=subprocess.DEVNULL,
        )
        for end in (to_browser[0], from_browser[1], *ends):
            os.close(end)
        self._input, self._output = os.fdopen(to_browser[1], "wb"), os.fdopen(from_browser[0], "rb")
        self._count, self._session, self.events = 0, None, []
        page = next(t for t in self.send("Target.getTargets")["targetInfos"] if t["type"] == "page")
        attached = self.send("Target.attachToTarget", targetId=page["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")
        self.resize(*size)

    def send(self, method, **parameters):
        """The result of a command; events that come before it are kept in `events`."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        self._input.write(json.dumps(message).encode() + b"\0")
        self._input.flush()
        while True:
            answer = self._receive()
            if answer.get("id") == self._count:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.events.append(answer)

    def _receive(self):
        parts = bytearray()
        while (byte := self._output.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser has ended")
            parts += byte
        return json.loads(parts)

    def open(self, path):
        """Open a file, and wait until it is loaded."""
        self.events.clear()
        self.send("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._receive())

    def run(self, expression):
        """The value of a JavaScript expression."""
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(result["exceptionDetails"]["exception"].get("description"))
        return result["result"].get("value")

    def resize(self, width, height, mobile=False):
        """Give the page a size in pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def media(self, name="", **features):
        """Show the page as a medium, such as "print", and with features such as `prefers_color_scheme="dark"`."""
        given = [{"name": key.replace("_", "-"), "value": value} for key, value in features.items()]
        self.send("Emulation.setEmulatedMedia", media=name, features=given)

    def centre(self, selector):
        """The middle of an element, scrolled into view."""
        find = f"const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'center'}});"
        middle = "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2];"
        where = self.run(f"(() => {{ {find} {middle} }})()")
        return {"x": where[0], "y": where[1]}

    def hover(self, selector):
        """Move the mouse over an element."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", **self.centre(selector))

    def click(self, selector):
        """Click on an element."""
        place = self.centre(selector)
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def press(self, key):
        """Press a key, by its name in JavaScript."""
        code = _KEYS.get(key, ord(key[0].upper()))
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def screenshot(self, full=False):
        """A PNG of the window, or of the full page."""
        return base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=full)["data"])

    def pdf(self):
        """The page as it is printed."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=False)["data"])

    def errors(self):
        """The messages of errors of the page, of its script and of its policy."""
        self.run("1")  # whatever came before the answer is in `events` now
        found = []
        for event in self.events:
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(event["params"]["exceptionDetails"]["exception"].get("description", "exception"))
            elif event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                found.append(event["params"]["entry"]["text"])
        return found

    def requests(self):
        """The addresses that the page asked for."""
        self.run("1")
        return [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]

    def close(self):
        """End the browser."""
        self._session = None
        with contextlib.suppress(RuntimeError, OSError):  # it has ended already
            self.send("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._input.close()
        self._output.close()
