#!/usr/bin/env python3
"""Opens the server's page in headless Chromium and uploads files with it, with script and without.

    scripts/test-page.py [--strategy NAME]… [--screenshots FOLDER]

Standard library only: it speaks WebDriver's JSON protocol to chromedriver itself (Debian packages
chromium and chromium-driver; where they are missing it says so and exits 0). Needs
`cargo build --release -p fileserver`. Exits 1 at the first failure, 2 where it cannot begin.
"""

import argparse
import base64
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

PATIENCE_S = 30
WIDE = {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
NARROW = {"width": 375, "height": 720, "deviceScaleFactor": 2, "mobile": True}
HOSTILE = "<img src=x onerror=\"document.title='taken over'\"> & 'a' 100%2e é #1?.txt"


def fail(message):
    sys.exit(f"FAILED: {message}")


def expect(actual, expected, what):
    if actual != expected:
        fail(f"{what}: {actual!r:.500} instead of {expected!r:.500}")


def until(what, condition):
    """Waits for something true, and returns it."""
    ends = time.monotonic() + PATIENCE_S
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > ends:
            fail(f"{what}: it does not come about")
        time.sleep(0.02)


class Program:
    """A process that tells its port in a line of its standard output; ended at the end."""

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
            fail(f"{command[0]} does not start: {errors.read()}")

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
    """The page replaced an element while it was looked at."""


class Browser:
    """One session of Chromium, with a profile of its own."""

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
            if value["error"] == "stale element reference":
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
                # Nothing may stick out to the right.
                scrolls = self.run("return document.documentElement.scrollWidth > innerWidth")
                expect(scrolls, False, f"{name}, {scheme}, {width}: scrolls sideways")
                # Nor may a name be squeezed into a column of letters.
                heights = self.run("""
                    return [...document.querySelectorAll("#uploads span")].map(span =>
                      Math.round(span.getBoundingClientRect().height / 24));
                """)
                expect([lines for lines in heights if lines > 3], [], f"{name}, {width}: lines")
        self.developer("Emulation.clearDeviceMetricsOverride")


class Files:
    """Files to upload, and the served folder."""

    def __init__(self, folder):
        self.outbox = os.path.join(folder, "outbox")
        self.root = os.path.join(folder, "root")
        os.mkdir(self.outbox)
        os.mkdir(self.root)

    def make(self, name, content):
        path = os.path.join(self.outbox, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    def stored(self, name):
        with open(os.path.join(self.root, name), "rb") as file:
            return file.read()


def names(browser):
    return browser.texts("#list a")


def upload(browser, path, number, expected):
    """Chooses a file, and waits for the words in the row of the so many-th upload."""
    browser.type_into("input[type=file]", path)
    browser.click("form button")
    until(f"{path}: {expected}",
          lambda: browser.texts("#uploads li span:nth-child(2)")[number:] == [expected])


def with_script(browser, url, strategy, files, screenshots):
    browser.open(url)
    expect(browser.texts("header code"), [strategy], "the strategy's name")
    expect(browser.texts("#list td"), ["No files yet"], "an empty folder")

    # What the state said, in order.
    browser.run("""
        window.said = [];
        new MutationObserver(() => {
          const text = document.querySelector("#uploads li:last-child span:nth-child(2)")?.textContent;
          if (text && text !== said.at(-1)) said.push(text);
        }).observe(document.querySelector("#uploads"), {childList: true, subtree: true, characterData: true});
    """)
    content = os.urandom(20_000_000)
    picture = files.make("sea at night.bin", content)
    upload(browser, picture, 0, "100 %, saved as sea at night.bin")
    expect(files.stored("sea at night.bin") == content, True, "the bytes on disk")
    until("a new row", lambda: names(browser) == ["sea at night.bin"])
    expect(browser.texts("#list td:nth-child(2)"), ["19.1 MiB"], "the size in the row")
    said = browser.run("return window.said")
    percents = [int(text[:-2]) for text in said[:-1]]
    expect((percents[0], percents), (0, sorted(percents)), "progress only grows")
    print(f"  ok    upload with progress: {', '.join(said)}")

    upload(browser, picture, 1, "100 %, saved as sea at night_copy1.bin")
    expect(files.stored("sea at night_copy1.bin") == content, True, "the copy on disk")
    upload(browser, files.make("empty.txt", b""), 2, "100 %, saved as empty.txt")
    expect(files.stored("empty.txt"), b"", "the empty file")
    upload(browser, files.make(HOSTILE, b"hostile"), 3, f"100 %, saved as {HOSTILE}")
    expect(files.stored(HOSTILE), b"hostile", "the file of a hostile name")
    until("its row", lambda: HOSTILE in names(browser))
    browser.open(url)
    expect(sorted(names(browser)), sorted(os.listdir(files.root)), "the rows")
    expect(browser.run("return document.title"), "Files · Threads vs Selectors", "the title")
    expect(browser.elements("img"), [], "elements made of a name")
    content = browser.run_async("""
        const [name, done] = arguments;
        const link = [...document.querySelectorAll("#list a")].find(a => a.textContent === name);
        fetch(link.href).then(response => response.text()).then(done, error => done(String(error)));
    """, HOSTILE)
    expect(content, "hostile", "what the link of a hostile name leads to")
    print("  ok    the same name twice, an empty file, a hostile name")

    browser.run("""
        const files = new DataTransfer();
        files.items.add(new File(["dropped"], "dropped.txt"));
        files.items.add(new File(["too"], "dropped too.txt"));
        document.querySelector("form").dispatchEvent(
          new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
    """)
    until("two rows for two dropped files",
          lambda: {"dropped.txt", "dropped too.txt"} <= set(names(browser)))
    expect((files.stored("dropped.txt"), files.stored("dropped too.txt")), (b"dropped", b"too"),
           "dropped files")
    expect(browser.complaints(), [], "complaints in the browser's console")
    print("  ok    two dropped files, and no complaint of the browser")

    upload(browser, files.make("back\\slash.txt", b"x"), 2,
           "refused: the name has a backslash or a control character")
    if screenshots:
        # Once more, so slowly that it can be looked at.
        browser.developer("Network.enable")
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4_000_000}
        browser.developer("Network.emulateNetworkConditions", **slow)
        browser.type_into("input[type=file]", picture)
        browser.click("form button")
        until("progress", lambda: browser.texts("#uploads li:last-child span:nth-child(2)") > ["0 %"])
        browser.screenshots(screenshots, "page")
        browser.developer("Network.emulateNetworkConditions", **dict(slow, uploadThroughput=-1))
        until("a third copy", lambda: "sea at night_copy2.bin" in names(browser))
    print("  ok    a refused name is told")

    # Another origin, which a browser lets send forms: this machine by another name, and a document
    # without the page's own policy. The same from the server's own origin shows that it would work.
    for origin, answer, stored in [
            (url.replace("127.0.0.1", "localhost"), "opaque", False), (url, "basic", True)]:
        browser.open(origin + "dropped.txt")
        expect(browser.run_async("""
            const [url, done] = arguments, form = new FormData();
            form.append("file", new File(["intrus"], "intrus.txt"));
            fetch(url, {method: "POST", body: form, mode: "no-cors"})
              .then(response => done(response.type), error => done(String(error)));
        """, url), answer, f"the answer to a form from {origin}")
        expect("intrus.txt" in os.listdir(files.root), stored, f"stored from {origin}")
    print("  ok    another site's form stores nothing")


def without_script(browser, url, strategy, files, screenshots):
    browser.open(url)
    expect(browser.texts("header code"), [strategy], "the strategy's name")
    hint = browser.texts("form p")[0]
    expect("drop" in hint, False, "script is disabled")
    before = len(names(browser))
    content = os.urandom(3_000_000)
    browser.type_into("input[type=file]", files.make("without script.bin", content))
    browser.click("form button")
    until("a new row", lambda: len(names(browser)) == before + 1)
    expect("without script.bin" in names(browser), True, "its name")
    expect(files.stored("without script.bin") == content, True, "the bytes on disk")
    expect(browser.command("GET", "/url"), url, "the address after the upload")
    if screenshots:
        browser.screenshots(screenshots, "without-script")
    print("  ok    without script: the form alone")


def strategies(server):
    help_text = subprocess.run([server, "--help"], check=True, capture_output=True, text=True).stdout
    listed = re.search(r"--strategy.*?\[default", help_text, re.DOTALL)
    return re.findall(r"^\s+- ([\w-]+):", listed[0], re.MULTILINE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strategy", action="append", help="default: all")
    parser.add_argument("--screenshots", metavar="FOLDER", help="save the page as it looks")
    arguments = parser.parse_args()

    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(os.path.dirname(__file__), "..", "target"))
    server = os.path.join(target, "release", "server")
    if not os.access(server, os.X_OK):
        print(f"no {server}: run cargo build --release -p fileserver", file=sys.stderr)
        sys.exit(2)
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    for name, path in (("chromium", chromium), ("chromedriver (Debian: chromium-driver)", chromedriver)):
        if not path:
            print(f"SKIP: {name} is not installed: the page was not tested")
            return
    if arguments.screenshots:
        os.makedirs(arguments.screenshots, exist_ok=True)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work, \
            Program([chromedriver, "--port=0"], r"started successfully on port (\d+)", work + "/driver.log") as driver:
        chosen = arguments.strategy or strategies(server)
        for strategy in chosen:
            screenshots = arguments.screenshots if strategy == chosen[-1] else None
            print(strategy, flush=True)
            folder = os.path.join(work, strategy)
            os.mkdir(folder)
            files = Files(folder)
            # The iterative strategy serves a browser's next connection when the last one is idle.
            command = [server, "--strategy", strategy, "--listen", "127.0.0.1:0", "--quiet",
                       "--root", files.root, "--durability", "none", "--idle-timeout", "1s"]
            with Program(command, r"^listening on .*:(\d+)$", folder + "/server.log") as program:
                url = f"http://127.0.0.1:{program.port}/"
                with Browser(driver.port, chromium, folder + "/profile") as browser:
                    with_script(browser, url, strategy, files, screenshots)
                with Browser(driver.port, chromium, folder + "/profile-2", with_script=False) as browser:
                    without_script(browser, url, strategy, files, screenshots)
            with open(folder + "/server.log") as log:
                expect(log.read(), "", "what the server complained of")


main()
