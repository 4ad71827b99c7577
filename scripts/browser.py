"""Helpers of the browser tests: a session of headless Chromium, and waiting for conditions.

Standard library only: requests go to chromedriver by WebDriver's JSON protocol (Debian packages
chromium and chromium-driver).
"""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request

PATIENCE_S = 30
WIDE = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
NARROW = {"width": 375, "height": 720, "deviceScaleFactor": 2, "mobile": True}


def fail(message):
    sys.exit(f"FAILED: {message}")


def expect(actual, expected, what):
    if actual != expected:
        fail(f"{what}: got {actual!r:.500}, expected {expected!r:.500}")


def until(what, condition):
    """Waits until the condition returns a true value, and returns that value."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > ends:
            fail(f"{what}: not reached within {PATIENCE_S} s")
        time.sleep(0.02)


class Program:
    """A process that prints its port on standard output; ended with the context."""

    def __init__(self, command, pattern, log):
        self.log = log
        with open(log, "w") as errors:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        for line in self.process.stdout:
            found = re.search(pattern, line)
            if found:
                self.port = int(found[1])
                return
        with open(log) as errors:
            fail(f"{command[0]} did not start: {errors.read()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()


class Stale(Exception):
    """Raised if the page replaced an element while it was inspected."""


class Browser:
    """One session of Chromium with its own profile."""

    def __init__(self, driver_port, chromium, profile, with_script=True):
        self.base = f"http://127.0.0.1:{driver_port}/session"
        options = {
            "binary": chromium,
            "args": [
                "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-dev-shm-usage",
                f"--user-data-dir={profile}"],
        }
        if not with_script:
            options["prefs"] = {"profile.managed_default_content_settings.javascript": 2}
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self.command("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
        self.base += "/" + session["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.command("DELETE", "")

    def command(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=2 * PATIENCE_S) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            with error:
                value = json.load(error)["value"]
            # The second message means that the element vanished while chromedriver inspected it.
            if (value["error"] == "stale element reference"
                    or "does not belong to the document" in value["message"]):
                raise Stale from None
            fail(f"{method} {path}: {value['message']}")

    def open(self, url):
        self.command("POST", "/url", {"url": url})

    def run(self, script, *args):
        return self.command("POST", "/execute/sync", {"script": script, "args": list(args)})

    def run_async(self, script, *args):
        return self.command("POST", "/execute/async", {"script": script, "args": list(args)})

    def elements(self, selector):
        found = self.command("POST", "/elements", {"using": "css selector", "value": selector})
        return [next(iter(element.values())) for element in found]

    def texts(self, selector):
        while True:
            try:
                return [self.command("GET", f"/element/{element}/text")
                        for element in self.elements(selector)]
            except Stale:
                pass

    def type_into(self, selector, text):
        self.command("POST", f"/element/{self.elements(selector)[0]}/value", {"text": text})

    def click(self, selector):
        self.command("POST", f"/element/{self.elements(selector)[0]}/click", {})

    def complaints(self):
        entries = self.command("POST", "/se/log", {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def developer(self, command, **params):
        self.command("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def screenshots(self, folder, name):
        for scheme in ("light", "dark"):
            feature = {"name": "prefers-color-scheme", "value": scheme}
            self.developer("Emulation.setEmulatedMedia", features=[feature])
            for width, metrics in (("wide", WIDE), ("narrow", NARROW)):
                self.developer("Emulation.setDeviceMetricsOverride", **metrics)
                png = base64.b64decode(self.command("GET", "/screenshot"))
                with open(os.path.join(folder, f"{name}-{scheme}-{width}.png"), "wb") as file:
                    file.write(png)
                # The page must fit the window's width.
                scrolls = self.run("return document.documentElement.scrollWidth > innerWidth")
                expect(scrolls, False, f"{name}, {scheme}, {width}: wider than the window")
                # A name must not be squeezed into a narrow column.
                heights = self.run("""
                    return [...document.querySelectorAll("#uploads span")].map(span =>
                      Math.round(span.getBoundingClientRect().height / 24));
                """)
                expect([lines for lines in heights if lines > 3], [], f"{name}, {width}: lines")
        self.developer("Emulation.clearDeviceMetricsOverride")


def installed():
    """Returns the paths of chromium and chromedriver; reports a missing one and returns None."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    for name, path in (("chromium", chromium), ("chromedriver (Debian: chromium-driver)", chromedriver)):
        if not path:
            print(f"SKIP: {name} is not installed; the page was not tested")
            return None
    return chromium, chromedriver


def driver(chromedriver, log):
    return Program([chromedriver, "--port=0"], r"started successfully on port (\d+)", log)
