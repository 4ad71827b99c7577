#!/usr/bin/env python3
"""Checks the relative links of the repository's pages: the file exists, and the heading of an anchor as well.

    scripts/check-links.py

Pages of recorded runs (results/*/README.md) are generated and not checked. Standard library only.
Exit code 0: all links lead somewhere; 1: the links that do not, with page and line.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
LINK = re.compile(r"\]\(([^)\s]+)\)")


def without_code(text):
    """The text without fenced blocks and code spans, with the same number of lines."""
    fenced = re.sub(r"^```.*?^```$", lambda block: "\n" * block[0].count("\n"), text, flags=re.S | re.M)
    return re.sub(r"`[^`\n]*`", "", fenced)


def anchors(page):
    """Anchors of a page's headings, as GitHub and GitLab derive them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.S | re.M), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def faults(page):
    for number, line in enumerate(without_code(page.read_text()).splitlines(), 1):
        for link in LINK.findall(line):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, anchor = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            if not target.exists():
                yield f"{page.relative_to(ROOT)}:{number}: no such file: {link}"
            elif anchor and target.suffix == ".md" and anchor not in anchors(target):
                yield f"{page.relative_to(ROOT)}:{number}: no such heading: {link}"


def main():
    listed = subprocess.run(["git", "ls-files", "-z", "*.md"], cwd=ROOT, check=True, capture_output=True, text=True)
    pages = [name for name in listed.stdout.split("\0") if name and not re.match(r"results/.+/", name)]
    found = [fault for name in pages for fault in faults(ROOT / name)]
    print(*found, sep="\n", end="\n" if found else "")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
