"""browser.py - a headless Chromium of our own, spoken to by its DevTools protocol over a pipe. Needs nothing but Python.

    browser = Browser(place)                    place.close() ends it
    browser.open("http://127.0.0.1:9899/", width=360, dark=True, script=False)
    browser.run("document.title")               what the expression gives
    browser.screenshot(path)
    browser.complaints                          what the console, the page's policy or a failed request had to say
    browser.requests                            every address that was asked for
"""
import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import signal
import time

from crm import PATIENCE, Failed, start

NAMES = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome")
# The sandbox needs rights that containers and root do not have; what is opened is a page of ours. And no word to anybody else.
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe", "--no-first-run",
           "--no-default-browser-check", "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--disable-extensions", "--disable-default-apps", "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
# How far it scrolls sideways.
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# Texts whose colour stands out less from what is behind them than WCAG wants of small ones.
PALE = """(() => {
    const light = colour => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = e => {
        const colour = getComputedStyle(e).backgroundColor;
        return colour !== "rgba(0, 0, 0, 0)" || !e.parentElement ? colour : ground(e.parentElement);
    };
    const contrast = e => {
        const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a);
        return (a + 0.05) / (b + 0.05);
    };
    return [...document.querySelectorAll("body *")].filter(e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()))
        .filter(e => !["SCRIPT", "STYLE"].includes(e.tagName) && contrast(e) < 4.5).map(e => e.outerHTML);
})()"""


def _find():
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    raise Failed("Chromium is not here, so nobody saw the status page in a browser; Debian's package is chromium")


def _high(fd):
    """The same beyond 10: what the child gets as 3 and 4 must not stand in its own way."""
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(fd)
    return high


class Browser:
    def __init__(self, place):
        home = place.path / "browser"
        home.mkdir()
        theirs, self.to = map(_high, os.pipe())
        self.frm, ours = map(_high, os.pipe())

        def hand_over():
            os.dup2(theirs, 3)
            os.dup2(ours, 4)

        self.process = start([_find(), *OPTIONS, f"--user-data-dir={home}", "about:blank"], place.log_file("browser"), signal.SIGKILL,
                             prepare=hand_over, close_fds=False, env={**os.environ, "HOME": str(home)})
        os.close(theirs)
        os.close(ours)
        place.running.append(self)
        self.numbers, self.waiting = itertools.count(1), b""
        self.session = None
        self.complaints, self.requests, self.loaded = [], [], False
        page = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _read(self, end):
        """The next message; None when it is not there by then."""
        while b"\0" not in self.waiting:
            if not select.select([self.frm], [], [], max(0, end - time.monotonic()))[0]:
                return None
            piece = os.read(self.frm, 1 << 20)
            if not piece:
                raise Failed("Chromium ended")
            self.waiting += piece
        message, self.waiting = self.waiting.split(b"\0", 1)
        return json.loads(message)

    def _note(self, message):
        kind, what = message.get("method"), message.get("params")
        if kind == "Page.loadEventFired":
            self.loaded = True
        elif kind == "Network.requestWillBeSent":
            self.requests.append(what["request"]["url"])
        elif kind == "Log.entryAdded":
            self.complaints.append(what["entry"]["text"])
        elif kind == "Runtime.exceptionThrown":
            self.complaints.append(what["exceptionDetails"]["exception"]["description"])
        elif kind == "Runtime.consoleAPICalled":
            self.complaints.append(str([a.get("value") for a in what["args"]]))

    def call(self, method, **params):
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to, json.dumps(message).encode() + b"\0")
        end = time.monotonic() + PATIENCE
        while (answer := self._read(end)) is not None:
            if answer.get("id") != number:
                self._note(answer)
            elif "error" in answer:
                raise Failed(f"{method}: {answer['error']}")
            else:
                return answer["result"]
        raise Failed(f"Chromium does not answer to {method}")

    def resize(self, width, height=800):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def open(self, url, width=1280, dark=False, script=True):
        self.resize(width)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.complaints, self.requests, self.loaded = [], [], False
        self.call("Page.navigate", url=url)
        end = time.monotonic() + PATIENCE
        while not self.loaded:
            message = self._read(end)
            if message is None:
                raise Failed(f"{url} was not loaded")
            self._note(message)

    def run(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise Failed(f"{expression}: {result['exceptionDetails']['exception']['description']}")
        return result["result"].get("value")

    def screenshot(self, path):
        """The whole page, not only what fits on the screen."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def stop(self):
        self.process.kill()
        self.process.wait()
        os.close(self.to)
        os.close(self.frm)
