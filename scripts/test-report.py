#!/usr/bin/env python3
"""Tests a report and its charts in headless Chromium, with and without script.

    scripts/test-report.py [RESULTS_FOLDER] [--screenshots FOLDER]

The report is regenerated in a temporary folder, by default from the newest committed run with reference
servers. Standard library only, see browser.py. Build first: cargo build --release
Exit code 0: all tests passed, or Chromium is missing, which is reported; 1: the first failure; 2: the
tests could not start.
"""

import argparse
import base64
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from browser import NARROW, WIDE, Browser, driver, expect, fail, installed

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = ("trials.csv", "latency.csv", "timeseries.csv", "plan.toml", "environment.toml")
WHERE_COUNTED = "system-calls.csv"


def newest_with_peers():
    def begun(folder):
        with open(f"{folder}/environment.toml") as environment:
            return re.search(r'^started_at = "(.*)"', environment.read(), re.MULTILINE)[1]

    return max((os.path.dirname(path) for path in glob.glob(f"{HERE}/../results/2*/peers")), key=begun)


def drawn(browser, server):
    """Returns the number of live charts that contain a server."""
    return browser.run("""
        return [...document.querySelectorAll("svg.live")]
          .filter(svg => [...svg.querySelectorAll("g[data-server]")].some(g => g.dataset.server === arguments[0])).length;
    """, server)


def choose(browser, name, value):
    browser.run("""
        const select = document.querySelector(`select[name=${arguments[0]}]`);
        select.value = arguments[1];
        select.dispatchEvent(new Event("change"));
    """, name, value)


def texts_of(browser, selector):
    return browser.run("return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", selector)


def with_script(browser, url, screenshots):
    browser.open(url)
    expect(browser.complaints(), [], "warnings in the browser's console")
    expect(browser.run("return performance.getEntriesByType('resource').length"), 0, "network requests")
    charts = len(browser.elements("figure:not(#forest)"))
    expect(charts > 0, True, "there are charts")
    expect(len(browser.elements("svg.live")), charts, "charts that the script drew")
    expect(len(browser.elements(".still")), 0, "charts that it replaced")
    order = browser.run("""
        return [...document.querySelectorAll(".answer-of-run, #forest, #choice, #overview, #experiments, #claims, #tables, #setup, #outliers, #methods")]
          .map(e => e.id || e.className)""")
    expect(order, ["answer-of-run", "forest", "choice", "overview", "experiments", "claims", "tables", "setup", "outliers", "methods"], "the order")
    for shown, hidden, metrics in (("wide", "narrow", WIDE), ("narrow", "wide", NARROW)):
        look(browser, metrics, "light")
        plot = browser.run("""
            return arguments[0].map(name => document.querySelector(`#forest .${name}`).getClientRects().length)""", [shown, hidden])
        expect(plot, [1, 0], f"the forest plot for {shown} windows is shown alone")
    judged = texts_of(browser, ".claims article strong")
    parts = ("Direction: ", "Magnitude: ")
    expect([text for text in judged if not text.startswith(parts)], [], "claims, each with its judgement")
    look(browser, WIDE, "light")
    wide = browser.run("""
        const table = document.querySelector(".matrix"), box = table.closest(".scroll");
        return [table.rows.length > 1, box.scrollWidth - box.clientWidth]""")
    expect(wide, [True, 0], "the matrix has rows and fits without scrolling")
    broken = browser.run("""return [...document.querySelectorAll("nav a, .matrix a")]
      .filter(a => !document.getElementById(a.getAttribute("href").slice(1))).length""")
    expect(broken, 0, "links that lead nowhere")
    fits_of = browser.run("return [...document.querySelectorAll('table.usl tbody td:nth-child(5)')].map(e => +e.textContent)")
    expect(all(0.9 <= r_squared <= 1 for r_squared in fits_of), True, f"only good fits are shown: {fits_of}")
    print(f"  ok    {charts} charts, drawn by the script, no network request")

    server = browser.run("return document.querySelector('[data-toggle]').dataset.toggle")
    rounds = browser.run("return document.querySelectorAll('svg.live circle').length")
    expect(rounds > 50, True, "a dot for every round")
    said = browser.run("""
        const mark = document.querySelector("svg.live polygon"), box = mark.getBoundingClientRect();
        const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
        mark.closest("svg").dispatchEvent(new PointerEvent("pointermove", {clientX: x, clientY: y, bubbles: true}));
        const tip = document.getElementById("tip");
        return tip.hidden ? "" : tip.textContent;
    """)
    for part in (server, "rounds"):
        expect(part in said, True, f"{part} in the tooltip: {said}")
    print(f"  ok    tooltip: {said}")

    before = drawn(browser, server)
    expect(before > 0, True, f"charts with {server}")
    browser.run("document.querySelector('[data-toggle]').click()")
    expect(drawn(browser, server), 0, f"charts with {server} after a click on its name")
    rows = """return [...document.querySelectorAll("tr[data-server]")]
      .filter(row => row.dataset.server === arguments[0] && !row.hidden).length"""
    expect(browser.run(rows, server), 0, "its rows")
    pressed = browser.run("""return [...document.querySelectorAll("[data-toggle]")]
      .filter(b => b.dataset.toggle === arguments[0]).every(b => b.getAttribute("aria-pressed") === "false")""", server)
    expect(pressed, True, "every legend shows it as hidden")
    browser.run("document.querySelector('button[name=all]').click()")
    expect(drawn(browser, server), before, "charts with it after showing all")
    expect(browser.run(rows, server) > 0, True, "its rows")
    print("  ok    a click on a name hides a server everywhere; a button shows it again")

    as_drawn = texts_of(browser, "svg.live .tick")
    choose(browser, "scale", "log")
    log = texts_of(browser, "svg.live .tick")
    choose(browser, "scale", "linear")
    linear = texts_of(browser, "svg.live .tick")
    expect(len({tuple(as_drawn), tuple(log), tuple(linear)}), 3, "three scales")
    bad = [text for text in log + linear if "NaN" in text or "Infinity" in text or "undefined" in text]
    expect(bad, [], "ticks that are not numbers")
    choose(browser, "scale", "as drawn")
    expect(texts_of(browser, "svg.live .tick"), as_drawn, "the original scale")
    baseline = browser.run("return document.querySelector('select[name=baseline]').options[2].value")
    choose(browser, "baseline", baseline)
    labels = texts_of(browser, "svg.live text")
    expect(any(f"relative to {baseline}" in label for label in labels), True, "labels name the baseline")
    expect(any(label.endswith("×") for label in labels), True, "ticks are multiples")
    if screenshots:
        whole_page(browser, screenshots, "relative", WIDE, "light")
    choose(browser, "baseline", "")
    expect(browser.complaints(), [], "warnings in the browser's console")
    print(f"  ok    logarithmic, linear, and relative to {baseline}")
    fits(browser, screenshots, "report")


def without_script(browser, url, screenshots):
    browser.open(url)
    expect(len(browser.elements("#controls")), 0, "controls without script")
    stills = len(browser.elements(".still svg"))
    expect((stills > 0, stills), (True, len(browser.elements("figure:not(#forest)"))), "static charts")
    expect(all(text.strip() for text in browser.texts("section > figure > figcaption")), True, "captions")
    fits(browser, screenshots, "without-script")
    print("  ok    without script: the same charts, static")


def fits(browser, screenshots, name):
    """Checks that the page fits a desktop's and a telephone's width, in light and dark."""
    for scheme in ("light", "dark"):
        for width, metrics in (("wide", WIDE), ("narrow", NARROW)):
            if screenshots:
                whole_page(browser, screenshots, f"{name}-{scheme}-{width}", metrics, scheme)
            else:
                look(browser, metrics, scheme)
            sticks_out = browser.run("return document.documentElement.scrollWidth - innerWidth")
            expect(sticks_out <= 0, True, f"{name}, {scheme}, {width}: {sticks_out} pixels wider than the window")
    if screenshots:
        paper = browser.command("POST", "/print", {"page": {"width": 21, "height": 29.7}})
        with open(os.path.join(screenshots, f"{name}.pdf"), "wb") as file:
            file.write(base64.b64decode(paper))


def look(browser, metrics, scheme):
    browser.developer("Emulation.setEmulatedMedia",
                      features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.developer("Emulation.setDeviceMetricsOverride", **metrics)
    if browser.run("return document.documentElement.classList.contains('scripted')"):
        # The charts are redrawn for the width.
        browser.run_async("requestAnimationFrame(() => requestAnimationFrame(() => arguments[0]()))")


def whole_page(browser, folder, name, metrics, scheme):
    look(browser, metrics, scheme)
    shot = browser.command("POST", "/goog/cdp/execute", {
        "cmd": "Page.captureScreenshot", "params": {"captureBeyondViewport": True}})
    with open(os.path.join(folder, f"{name}.png"), "wb") as file:
        file.write(base64.b64decode(shot["data"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default=newest_with_peers())
    parser.add_argument("--screenshots", metavar="FOLDER", help="save screenshots of the page")
    arguments = parser.parse_args()
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(HERE, "..", "target"))
    bench = os.path.join(target, "release", "bench")
    if not os.access(bench, os.X_OK):
        print(f"missing: {bench}; build it: cargo build --release", file=sys.stderr)
        sys.exit(2)
    programs = installed()
    if not programs:
        return
    chromium, chromedriver = programs
    if arguments.screenshots:
        os.makedirs(arguments.screenshots, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        run = os.path.join(work, "run")
        os.mkdir(run)
        for name in SOURCES:
            path = os.path.join(arguments.folder, name)
            shutil.copy(path if os.path.exists(path) else path + ".gz", run)
        if os.path.exists(os.path.join(arguments.folder, WHERE_COUNTED)):
            shutil.copy(os.path.join(arguments.folder, WHERE_COUNTED), run)
        made = subprocess.run([bench, "report", run], capture_output=True, text=True)
        if made.returncode:
            fail(f"bench report failed: {made.stderr}")
        # A page alone, without the other files of its folder.
        alone = os.path.join(work, "report.html")
        shutil.copy(os.path.join(run, "report.html"), alone)
        url = f"file://{alone}"
        with driver(chromedriver, work + "/driver.log") as session:
            with Browser(session.port, chromium, work + "/profile") as browser:
                with_script(browser, url, arguments.screenshots)
            with Browser(session.port, chromium, work + "/profile-2", with_script=False) as browser:
                without_script(browser, url, arguments.screenshots)


main()
