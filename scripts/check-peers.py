#!/usr/bin/env python3
"""Checks that the reference servers run with good settings: the configurations that `bench` writes, against variants.

`bench` writes the configuration of each installed reference server. Each variant replaces one setting. Under
downloads over 64 connections, shipped configuration and variants are measured in the same rounds, one run per
server. Compared is the processor time of the server per request, within each round. Exit code 1: under some size,
a variant needs less than 97 % of the shipped configuration's time (median over the rounds).

Usage: scripts/check-peers.py [ROUNDS] [SERVER ...]     default: 5 rounds, every installed server below
Build first: cargo build --release
"""

import collections
import csv
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
BENCH = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "release/bench"
SIZES = {"1KiB": 1 << 10, "64KiB": 1 << 16, "1MiB": 1 << 20}
LIMIT = 0.97
MODULES = ["/usr/lib/apache2/modules", "/usr/lib64/httpd/modules", "/usr/lib/httpd/modules"]

# Name of a variant, pattern in the shipped configuration, replacement.
NGINX = [
    ("sendfile-off", r"sendfile on;", "sendfile off;"),
    ("nopush-off", r"tcp_nopush on;", "tcp_nopush off;"),
    ("chunk-2m", r"sendfile_max_chunk 128k;", "sendfile_max_chunk 2m;"),
    ("accept-one", r"multi_accept on;", "multi_accept off;"),
    ("no-file-cache", r"open_file_cache max=10000 inactive=60s;", "open_file_cache off;"),
]
APACHE = [
    ("sendfile-off", r"EnableSendfile On", "EnableSendfile Off"),
    ("mmap", r"EnableSendfile On\nEnableMMAP Off", "EnableSendfile Off\nEnableMMAP On"),
    ("no-etag", r"FileETag MTime Size", "FileETag None"),
]
LIGHTTPD = [
    ("writev", r'network-backend = "sendfile"', 'network-backend = "writev"'),
    ("stat-cache-off", r'stat-cache-engine = "simple"', 'stat-cache-engine = "disable"'),
]
SERVERS = {"nginx": NGINX, "apache-event": APACHE, "apache-worker": APACHE, "apache-prefork": APACHE, "lighttpd": LIGHTTPD}


def start(server, template, port, root):
    """Becomes the server, with a configuration in which the places are filled in."""
    folder = tempfile.mkdtemp(dir=pathlib.Path(template).parent)
    os.chmod(folder, 0o777)
    modules = next((path for path in MODULES if os.path.isdir(path)), "")
    text = pathlib.Path(template).read_text()
    for name, value in [("dir", folder), ("root", root), ("port", port), ("modules", modules)]:
        text = text.replace("{%s}" % name, value)
    configuration = f"{folder}/server.conf"
    pathlib.Path(configuration).write_text(text)
    if server == "nginx":
        words = ["nginx", "-c", configuration, "-e", f"{folder}/error.log"]
    elif server == "lighttpd":
        words = ["lighttpd", "-D", "-f", configuration]
    else:
        words = [shutil.which("apache2") or "httpd", "-f", configuration, "-D", "FOREGROUND"]
    os.execvp(words[0], words)


def run(*arguments):
    """A run of bench, whose failed trials are in its records."""
    done = subprocess.run([BENCH, "run", "--strategies", "none", *arguments], capture_output=True, text=True)
    if done.returncode not in (0, 1):
        sys.exit(f"bench run: {done.stderr.strip()}")


def cpu_per_request(path):
    """Processor time of the server per request, by target, size and round."""
    times = collections.defaultdict(dict)
    with open(path, newline="") as rows:
        for row in csv.DictReader(rows):
            if row["outcome"] != "ok":
                print(f"{row['target']}: {row['outcome']}, {row['outcome_reason']}", file=sys.stderr)
            if row["outcome"] == "ok" and row["server_cpu_s"] and int(row["requests"]) > 0:
                cpu = float(row["server_cpu_s"]) / int(row["requests"])
                times[row["target"], int(row["size_bytes"])][row["round"]] = cpu
    return times


def main():
    arguments = sys.argv[1:]
    if arguments[:1] == ["start"]:
        start(*arguments[1:])
    rounds = arguments.pop(0) if arguments and arguments[0].isdigit() else "5"
    servers = arguments or list(SERVERS)
    if unknown := [server for server in servers if server not in SERVERS]:
        sys.exit(f"unknown server {unknown[0]}: choose from {', '.join(SERVERS)}")
    load = ["--connections", "64", "--sizes", ",".join(SIZES), "--direction", "download"]
    failed = False
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        # Server processes of another account read it.
        scratch.chmod(0o755)
        first = scratch / "first"
        run(*load, "--against", ",".join(servers), "--rounds", "1", "--duration", "50ms", "--out", first)
        print(f"{'server':<16}{'variant':<16}{'size':>9}  CPU per request, variant ÷ shipped: median [range]")
        for server in servers:
            shipped = first / "peers" / f"{server}.conf"
            if not shipped.exists():
                print(f"{server:<16}not installed")
                continue
            targets = []
            for name, pattern, replacement in [("shipped", "", ""), *SERVERS[server]]:
                text, count = re.subn(pattern, replacement, shipped.read_text(), count=1)
                if count == 0:
                    sys.exit(f"{server}, {name}: the shipped configuration has no '{pattern}'")
                template = scratch / f"{server}.{name}.conf"
                template.write_text(text)
                command = f"{sys.executable} {__file__} start {server} {template} {{port}} {{root}}"
                targets += ["--target", f"{name}={command}"]
            out = scratch / server
            run(*load, *targets, "--rounds", rounds, "--duration", "500ms", "--order", "shuffled", "--out", out)
            times = cpu_per_request(out / "trials.csv")
            for size, count in SIZES.items():
                for name, _, _ in SERVERS[server]:
                    ours, theirs = times["shipped", count], times[name, count]
                    ratios = [theirs[key] / ours[key] for key in ours if key in theirs]
                    if not ratios:
                        print(f"{server:<16}{name:<16}{size:>9}  no sound trial")
                        failed = True
                        continue
                    middle = statistics.median(ratios)
                    mark = "  better than the shipped one" if middle < LIMIT else ""
                    failed |= middle < LIMIT
                    print(f"{server:<16}{name:<16}{size:>9}  {middle:.3f} [{min(ratios):.3f}, {max(ratios):.3f}]{mark}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
