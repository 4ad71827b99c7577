#!/usr/bin/env python3
"""Tests the server's page in headless Chromium, with and without script.

    scripts/test-page.py [--strategy NAME]… [--screenshots FOLDER]

Standard library only, see browser.py. Build first: cargo build --release -p fileserver
Exit code 0: all tests passed, or Chromium is missing, which is reported; 1: the first failure; 2: the
tests could not start.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

from browser import Browser, Program, driver, expect, installed, until

HOSTILE = "<img src=x onerror=\"document.title='taken over'\"> & 'a' 100%2e é #1?.txt"


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
    """Uploads a file, and waits for the text in the row of the upload with this number, from 0."""
    browser.type_into("input[type=file]", path)
    browser.click("form button")
    until(f"{path}: {expected}",
          lambda: browser.texts("#uploads li span:nth-child(2)")[number:] == [expected])


def with_script(browser, url, strategy, files, screenshots):
    browser.open(url)
    expect(browser.texts("header code"), [strategy], "the strategy's name")
    expect(browser.texts("#list td"), ["No files yet"], "an empty folder")

    # Records the texts of the upload's state in order.
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
    expect(browser.elements("img"), [], "elements created from a name")
    content = browser.run_async("""
        const [name, done] = arguments;
        const link = [...document.querySelectorAll("#list a")].find(a => a.textContent === name);
        fetch(link.href).then(response => response.text()).then(done, error => done(String(error)));
    """, HOSTILE)
    expect(content, "hostile", "the file behind the link of a hostile name")
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
    expect(browser.complaints(), [], "warnings in the browser's console")
    print("  ok    two dropped files, no warning in the browser's console")

    upload(browser, files.make("back\\slash.txt", b"x"), 2,
           "refused: the name has a backslash or a control character")
    if screenshots:
        # A slow upload for screenshots of the progress.
        browser.developer("Network.enable")
        slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4_000_000}
        browser.developer("Network.emulateNetworkConditions", **slow)
        browser.type_into("input[type=file]", picture)
        browser.click("form button")
        until("progress", lambda: browser.texts("#uploads li:last-child span:nth-child(2)") > ["0 %"])
        browser.screenshots(screenshots, "page")
        browser.developer("Network.emulateNetworkConditions", **dict(slow, uploadThroughput=-1))
        until("a third copy", lambda: "sea at night_copy2.bin" in names(browser))
    print("  ok    a refused name is reported")

    # Browsers allow forms to another origin. The other origin is this machine by another name, with a
    # document without the page's policy. Its script does not see the refusal either, because the
    # server forbids embedding by other origins. The same form from the server's origin must succeed.
    for origin, answer, stored in [
            (url.replace("127.0.0.1", "localhost"), "TypeError: Failed to fetch", False), (url, "basic", True)]:
        browser.open(origin + "dropped.txt")
        expect(browser.run_async("""
            const [url, done] = arguments, form = new FormData();
            form.append("file", new File(["intrus"], "intrus.txt"));
            fetch(url, {method: "POST", body: form, mode: "no-cors"})
              .then(response => done(response.type), error => done(String(error)));
        """, url), answer, f"the answer to a form from {origin}")
        expect("intrus.txt" in os.listdir(files.root), stored, f"stored from {origin}")
    print("  ok    a form from another origin stores nothing")


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
    print("  ok    without script: upload by the form")


def strategies(server):
    help_text = subprocess.run([server, "--help"], check=True, capture_output=True, text=True).stdout
    listed = re.search(r"--strategy.*?\[default", help_text, re.DOTALL)
    return re.findall(r"^\s+- ([\w-]+):", listed[0], re.MULTILINE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strategy", action="append", help="default: all")
    parser.add_argument("--screenshots", metavar="FOLDER", help="save screenshots of the page")
    arguments = parser.parse_args()

    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(os.path.dirname(__file__), "..", "target"))
    server = os.path.join(target, "release", "server")
    if not os.access(server, os.X_OK):
        print(f"missing: {server}; build it: cargo build --release -p fileserver", file=sys.stderr)
        sys.exit(2)
    programs = installed()
    if not programs:
        return
    chromium, chromedriver = programs
    if arguments.screenshots:
        os.makedirs(arguments.screenshots, exist_ok=True)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work, \
            driver(chromedriver, work + "/driver.log") as session:
        chosen = arguments.strategy or strategies(server)
        for strategy in chosen:
            screenshots = arguments.screenshots if strategy == chosen[-1] else None
            print(strategy, flush=True)
            folder = os.path.join(work, strategy)
            os.mkdir(folder)
            files = Files(folder)
            # The iterative strategy serves a browser's next connection after the idle timeout of the last one.
            command = [server, "--strategy", strategy, "--listen", "127.0.0.1:0", "--quiet",
                       "--root", files.root, "--durability", "none", "--idle-timeout", "1s"]
            with Program(command, r"^listening on .*:(\d+)$", folder + "/server.log") as program:
                url = f"http://127.0.0.1:{program.port}/"
                with Browser(session.port, chromium, folder + "/profile") as browser:
                    with_script(browser, url, strategy, files, screenshots)
                with Browser(session.port, chromium, folder + "/profile-2", with_script=False) as browser:
                    without_script(browser, url, strategy, files, screenshots)
            with open(folder + "/server.log") as log:
                expect(log.read(), "", "the server's standard error")


main()
