# SPDX-License-Identifier: MIT
"""A headless Chromium, driven by chromedriver over its HTTP protocol (W3C WebDriver): nothing but the standard library."""

import base64
import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from harness import Skip

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Escape": "\ue00c", "Enter": "\ue007", "Tab": "\ue004", "Home": "\ue011", "Left": "\ue012", "Up": "\ue013", "Right": "\ue014",
        "Down": "\ue015", "F3": "\ue033", "Control": "\ue009", "Shift": "\ue008"}


class Browser:
    def __init__(self, run, width=1280, height=800, dark=False, script=True):
        browser = shutil.which("chromium") or shutil.which("google-chrome")
        driver = shutil.which("chromedriver")
        if not browser or not driver:
            raise Skip("chromium and chromium-driver are not installed")
        self.process = run.start(driver, "--port=0", stderr=subprocess.DEVNULL)
        self.address = f"http://127.0.0.1:{self._port()}"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={run.path('profile')}",
                     "--disable-background-networking", "--no-first-run"]
        options = {"binary": browser, "args": arguments}
        started = self._call("POST", "/session", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.session = "/session/" + started["sessionId"]
        self.resize(width, height)
        self.devtools("Emulation.setScriptExecutionDisabled", value=not script)
        self.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def _port(self):
        for line in self.process.stdout:
            if "started successfully on port" in line:
                return int(line.rsplit(" ", 1)[1].strip(" .\n"))
        raise AssertionError("chromedriver did not start")

    def _call(self, method, path, body=None):
        request = urllib.request.Request(self.address + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()[:500]}") from None

    def devtools(self, command, **parameters):
        return self._call("POST", self.session + "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def resize(self, width, height):
        self.devtools("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, path, state=""):
        self._call("POST", self.session + "/url", {"url": f"file://{path}{state}"})

    def back(self):
        self._call("POST", self.session + "/back", {})

    def js(self, script, *arguments):
        return self._call("POST", self.session + "/execute/sync", {"script": script, "args": arguments})

    def _act(self, kind, actions, **more):
        self._call("POST", self.session + "/actions", {"actions": [{"type": kind, "id": kind, "actions": actions, **more}]})

    def press(self, *keys):
        """The keys together, as in press("Control", "f")."""
        values = [KEYS.get(key, key) for key in keys]
        self._act("key", [{"type": "keyDown", "value": value} for value in values] +
                  [{"type": "keyUp", "value": value} for value in reversed(values)])

    def type(self, text):
        self._act("key", [{"type": kind, "value": letter} for letter in text for kind in ("keyDown", "keyUp")])

    def point(self, x, y, click=False):
        buttons = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}] if click else []
        self._act("pointer", [{"type": "pointerMove", "duration": 0, "x": int(x), "y": int(y)}] + buttons, parameters={"pointerType": "mouse"})

    def screenshot(self):
        return base64.b64decode(self._call("GET", self.session + "/screenshot"))

    def complaints(self):
        """What the console holds since the last call."""
        return [entry["message"] for entry in self._call("POST", self.session + "/se/log", {"type": "browser"})]

    def close(self):
        with contextlib.suppress(Exception):
            self._call("DELETE", self.session)
        self.process.terminate()
        self.process.wait()

    def wait(self, script, what, seconds=20):
        end = time.monotonic() + seconds
        while not self.js(script):
            if time.monotonic() > end:
                raise AssertionError(f"{what}: not within {seconds} s")
            time.sleep(.05)
