#!/usr/bin/env python3
"""Lists circles of imports between the source files of the workspace.

    scripts/check-imports.py

A file that declares another one with `mod` may import from it, and the other way round; every other
circle is reported. Test modules do not count. Prints the number of non-test lines as well. Exit code 1
if there is a circle.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOTS = {"mod", "lib", "main"}
TESTS = "#[cfg(test)]\nmod tests {"


def sources():
    listed = subprocess.run(["git", "ls-files", "*.rs"], capture_output=True, text=True, check=True)
    for name in listed.stdout.split():
        is_test = name.endswith("tests.rs") or re.search("/(tests|testkit|fuzz)/", name)
        if "/src/" in name and not is_test:
            yield name


def without_tests(name):
    return Path(name).read_text().split(TESTS)[0]


def imports(text):
    """Yields base (crate, super, self), path and the last part, which may be a list in braces."""
    code = re.sub(r"//.*", "", text)
    for match in re.finditer(r"\b(crate|super|self)((?:::\w+)*)::(\{[^;]*?\}|\w+)", code):
        yield match[1], [part for part in match[2].split("::") if part], match[3]


def edges(modules, package, module, text):
    own = modules[package, module]
    for base, path, last in imports(text):
        start = {"crate": (), "super": module[:-1], "self": module}[base]
        while path and path[0] == "super":
            start, path = start[:-1], path[1:]
        names = re.findall(r"(?:^|[{,\s])((?:\w+::)*\w+)", last) if last[0] == "{" else [last]
        for name in names:
            full = start + tuple(path) + tuple(name.split("::"))
            while full and (package, full) not in modules:
                full = full[:-1]
            other = modules.get((package, full))
            is_kin = full == module[: len(full)] or module == full[: len(module)]
            if other and other != own and not is_kin:
                yield other


def circles(graph):
    """Strongly connected components of more than one file (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in graph[node]:
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            at = stack.index(node)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for node in graph:
        if node not in index:
            visit(node)
    return found


def main():
    sys.setrecursionlimit(10_000)
    modules = {}
    for name in sources():
        package, path = name.split("/src/", 1)
        parts = path.removesuffix(".rs").split("/")
        modules[package, tuple(parts[:-1] if parts[-1] in ROOTS else parts)] = name
    texts = {name: without_tests(name) for name in modules.values()}
    graph = {name: set(edges(modules, package, module, texts[name]))
             for (package, module), name in modules.items()}
    found = circles(graph)
    for circle in found:
        print("circle:", *circle)
    lines = sum(text.count("\n") for text in texts.values())
    print(f"{len(found)} circles of imports, {lines} lines without tests")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
