#!/usr/bin/env python3
"""Runs every command of README.md and docs/measuring.md as printed, in a temporary folder.

    scripts/test-readme.py [--list] [TEXT]      only commands that contain TEXT

A command is a line of a block ```sh, or inline code that begins with cargo, curl or telnet. A command without an
entry in CASES is a failure, and so is an entry without a command. These substitutions are made:

- `cargo run --release`, `cargo server` and `cargo client` start the programs that are already built, since the
  temporary folder contains no sources; the aliases are those of .cargo/config.toml.
- `cargo bench` runs in the repository and with --test: each benchmark once.
- `cargo install` runs in the repository, without the network, and installs into the temporary folder.
- The flags in `more` are added to a command. Most of them shorten a run (SHORT).
- `cargo test` and `cargo build --release` are run by .ci/run itself, which is checked.

Ports are as printed: as root, everything runs in a network namespace of its own.

Standard library only. Build first: cargo build --release && cargo bench --no-run
Exit code 0: all commands succeeded, or a tool that they need is missing, which is reported; 1: a command failed, or
is not known; 2: the test could not start.
"""

import argparse
import contextlib
import fcntl
import functools
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = ["README.md", "docs/measuring.md"]
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
# A test reaches it only if a command hangs.
PATIENCE_S = 300

# One round of short trials; other programs may run meanwhile.
SHORT = "--rounds 1 --warm-up 20ms --duration 50ms --allow-busy"
FILES = "cargo server --strategy selector --listen 127.0.0.1:8800 --root ./shared-files"
ECHO = "cargo server --service echo"


@dataclass
class Case:
    """How a command is run, and what it must do."""

    more: str = ""  # flags to add
    servers: tuple = ()  # commands of servers that run meanwhile
    typed: str = ""  # standard input
    shows: str = ""  # pattern in the output
    makes: tuple = ()  # files that it leaves
    codes: tuple = (0,)  # exit codes
    needs: str = ""  # tool without which the command cannot run
    before: tuple = ()  # preparations
    listens: str = ""  # address of a server, which is then ended by SIGTERM
    in_ci: bool = False  # run by .ci/run itself


def short(more="", **rest):
    return Case(more=f"{SHORT} {more}".strip(), **rest)


def server(address):
    return Case(listens=address)


# --- Preparations: what a reader has before typing the command ---


def some_files():
    for name, size in [("meme.png", 300_000), ("big.iso", 30_000_000)]:
        if not pathlib.Path(name).exists():
            pathlib.Path(name).write_bytes(os.urandom(size))


def uploaded():
    some_files()
    for name in ["meme.png", "LICENSE"]:
        shutil.copy(name, "shared-files")


def lab_files():
    for name in ["eagle.jpg", "turtle.jpg"]:
        path = pathlib.Path("shared-files", name)
        if not path.exists():
            path.write_bytes(os.urandom(1000))


def own_server():
    shutil.copy("scripts/labs/selector_server.py", "my_server.py")


def a_run():
    """A complete run."""
    if not os.path.exists("results/latest/report.html"):
        shell(f"cargo run --release -- run --quick {SHORT} --strategies threaded,selector")


def interrupted_run():
    """A run that Ctrl-C has interrupted after a few trials."""
    before = os.path.realpath("results/latest")
    command = f"exec cargo run --release -- run --quick {SHORT} --rounds 3 --strategies threaded,selector"
    command = command.replace("--rounds 1 ", "")
    with started(command) as run:
        until("a trial is recorded", lambda: os.path.realpath("results/latest") != before
              and lines_of("results/latest/trials.csv") > 2)
        run.send_signal(signal.SIGINT)
        output, _ = run.communicate(timeout=PATIENCE_S)
        expect(run.returncode == 130, f"the interrupted run ended with {run.returncode}: {output}")


def own_plan():
    a_run()
    shutil.copy("results/latest/plan.toml", "my-plan.toml")


def two_runs():
    """Two runs: the same records, so that no limit is exceeded."""
    recorded = max((ROOT / "bench/harness/tests/fixtures").iterdir())
    for name in ["OLD", "NEW"]:
        shutil.copytree(recorded, f"results/{name}", dirs_exist_ok=True)


def two_builds():
    for name in ["OLD", "NEW"]:
        os.makedirs(name, exist_ok=True)
        shutil.copy(TARGET / "release/server", name)


def perf_codes():
    """Exit codes of `bench calls`: 0 where perf may count system calls, 2 elsewhere."""
    with contextlib.suppress(FileNotFoundError):
        counted = subprocess.run(["perf", "stat", "-a", "-e", "raw_syscalls:sys_enter", "true"], capture_output=True)
        return (0,) if counted.returncode == 0 else (2,)
    return (2,)


CASES = {
    # README: the answer on your machine
    "cargo run --release -- run --quick": short(shows=r"report +results/", makes=("results/latest/report.html",)),
    "cargo run --release": short(shows=r"report +results/", makes=("results/latest/report.html",)),
    # Make charts for a lab report
    "cargo run --release -- list": Case(shows=r"(?s)concurrency.*multi-selector.*nginx"),
    "cargo run --release -- run --strategies all": short(shows="multi-selector"),
    "cargo run --release -- run concurrency idle":
        short("--strategies threaded,selector --connections 1,4 --idle 0,20",
              shows=r"concurrency\+idle", makes=("results/latest/report.html",)),
    "cargo run --release -- run --strategies threaded,selector --connections 1,16,256 --sizes 1KiB,1MiB":
        short(shows="256 connections"),
    "cargo run --release -- run --resume results/latest":
        Case(more="--allow-busy", before=(interrupted_run,), makes=("results/latest/report.html",)),
    "cargo run --release -- report results/latest --png --pdf --author 'Ada Lovelace' --course 'Networks II'":
        Case(before=(a_run,), makes=("results/latest/report.pdf", "results/latest/plots/answer.png")),
    # Launch a server
    FILES: server("127.0.0.1:8800"),
    "curl -T LICENSE http://127.0.0.1:8800/": Case(servers=(FILES,), needs="curl", makes=("shared-files/LICENSE",)),
    "curl -f http://127.0.0.1:8800/LICENSE": Case(servers=(FILES,), needs="curl", before=(uploaded,), shows="MIT License"),
    "telnet 127.0.0.1 8800":
        Case(servers=(FILES,), needs="telnet", before=(uploaded,), typed="LICENSE\n", shows="MIT License", codes=(0, 1)),
    "curl http://127.0.0.1:8800/.status": Case(servers=(FILES,), needs="curl", shows=r"\{.*connections"),
    # Upload a file by hand
    "cargo client send meme.png localhost 8800":
        Case(servers=(FILES,), before=(some_files,), shows=r"saved as meme\w*\.png"),
    "cargo client send big.iso localhost 8800 --resume":
        Case(servers=(FILES,), before=(some_files,), shows=r"saved as big\w*\.iso"),
    "cargo client get meme.png localhost 8800 -o copy.png":
        Case(servers=(FILES,), before=(uploaded,), shows=r"saved copy\.png", makes=("copy.png",)),
    "cargo client say localhost 8800 meme.png": Case(servers=(FILES,), before=(uploaded,)),
    "cargo client load http://127.0.0.1:8800/meme.png --connections 64":
        Case(more="--duration 500ms", servers=(FILES,), before=(uploaded,), shows="p99"),
    # Compare with reference servers, or with your own. A reference server may fail on a busy machine.
    "cargo run --release -- run --against all":
        short("--strategies selector --connections 4 --sizes 1KiB --direction download", codes=(0, 1), shows="selector"),
    "cargo run --release -- run --against nginx --no-keep-alive --target mine='python3 -m http.server {port} -d {root}'":
        short("--strategies selector --connections 4 --sizes 1KiB", codes=(0, 1), shows="mine"),
    "cargo run --release -- run --service echo --wire text --target mine='python3 my_server.py {port}'":
        short("--connections 4", before=(own_server,), shows="mine"),
    # Measure a change of the code
    "cargo bench": Case(shows=r"upload/threaded/1KiB"),
    "cargo bench -- download/selector": Case(shows=r"download/selector/1KiB"),
    "cargo build --release": Case(in_ci=True),
    "cargo install --path servers/host --locked": Case(more="--offline", makes=("installed/bin/server",)),
    "cargo install --path client/cli --locked": Case(more="--offline", makes=("installed/bin/client",)),
    "cargo install --path bench/harness --locked": Case(more="--offline", makes=("installed/bin/bench",)),
    # With a lab sheet in hand
    "mkdir -p shared-files && head -c 55696 /dev/urandom > shared-files/eagle.jpg "
    "&& head -c 583163 /dev/urandom > shared-files/turtle.jpg":
        Case(makes=("shared-files/eagle.jpg", "shared-files/turtle.jpg")),
    "cargo server --strategy threaded": server("127.0.0.1:8800"),
    "cargo server --strategy selector": server("127.0.0.1:8800"),
    "telnet localhost 8800": Case(servers=("cargo server --strategy threaded",), needs="telnet", before=(uploaded,),
                                  typed="LICENSE\n", shows="MIT License", codes=(0, 1)),
    "cargo server --service hello": server("127.0.0.1:65432"),
    "cargo server --listen 6565": server("127.0.0.1:6565"),
    "cargo client get eagle.jpg localhost 6565 --report-to localhost:65432":
        Case(servers=("cargo server --service hello", "cargo server --listen 6565"), before=(lab_files,),
             shows="I got \"The size of eagle.jpg is ", makes=("eagle.jpg",)),
    "cargo server --service greet-close": server("127.0.0.1:9000"),
    "cargo server --service message": server("127.0.0.1:9000"),
    "cargo server --service ack": server("127.0.0.1:9000"),
    "cargo client knock localhost 9000":
        Case(servers=("cargo server --service greet-close",), typed="\n\n", shows="2: connected from"),
    "cargo server": server("127.0.0.1:8800"),
    "cargo client console localhost 8800":
        Case(servers=("cargo server",), typed="1\nhello.bin\n2\n200\nq\n", shows="SAVED hello"),
    ECHO: server("127.0.0.1:65432"),
    "cargo client say localhost 65432 hello": Case(servers=(ECHO,), shows="^hello$"),
    "cargo server --service date": server("127.0.0.1:6015"),
    "cargo server --service date-log": server("127.0.0.1:6015"),
    "cargo client say localhost 6015 'what time is it?'":
        Case(servers=("cargo server --service date",), shows=r"\d\d:\d\d:\d\d UTC"),
    "cargo server --service transform": server("127.0.0.1:9001"),
    "cargo client say localhost 9001 hello": Case(servers=("cargo server --service transform",), shows="(?i)hello|olleh|5"),
    "cargo server --service chat": server("127.0.0.1:9002"),
    "cargo client chat localhost 9002": Case(servers=("cargo server --service chat",), typed="hello\n"),
    "cargo server --listen 0.0.0.0:8800": server("0.0.0.0:8800"),
    "cargo client load localhost 65432 --service echo": Case(more="--duration 500ms", servers=(ECHO,), shows="p99"),
    # How to trust the numbers
    "scripts/recompute.py results/latest": Case(before=(a_run,), needs="numpy"),
    "cargo run --release -- witness": Case(more="--rounds 1 --duration 1s --connections 4", shows="built-in"),
    "cargo test": Case(in_ci=True),
    # docs/measuring.md
    "cargo run --release -- run --slo p99=5ms --connections 64 --sizes 1KiB":
        short("--strategies selector --direction download", shows="selector"),
    "cargo run --release -- run --no-keep-alive --sizes 1KiB --direction download": short("--connections 4"),
    "cargo run --release -- run heavy": short("--strategies hybrid,selector", codes=(0, 1), shows="hybrid"),
    "cargo run --release -- run full --dry-run": Case(shows="trials"),
    "cargo run --release -- run --plan my-plan.toml": short(before=(own_plan,)),
    "cargo run --release -- xray --scene block --strategies threaded,selector": Case(shows="xray.html"),
    "cargo run --release -- chat": Case(more="--rounds 1 --messages 3", shows="1000 receivers"),
    "cargo run --release -- report results/latest": Case(before=(a_run,), makes=("results/latest/report.html",)),
    "cargo run --release -- calls results/latest": Case(before=(a_run,), codes=perf_codes),
    "cargo run --release -- diff results/OLD results/NEW --fail-if 'throughput<-5%'": Case(before=(two_runs,), shows="No limit is broken"),
    "cargo run --release -- gather results/OLD results/NEW": Case(before=(two_runs,), shows="gathered.html"),
    "cargo run --release -- diff results/OLD results/NEW --markdown --changed-only":
        Case(before=(two_runs,), shows=r"\*\*0 faster, 0 slower"),
    "cargo run --release -- report results/latest --format json": Case(before=(a_run,), shows='"document": "run"'),
    "cargo run --release -- export results/NEW --github=bigger": Case(before=(two_runs,), shows="/requests_per_s"),
    "cargo run --release -- ab --old OLD/server --new NEW/server":
        Case(more="--rounds 2 --duration 50ms --connections 4 --sizes 1KiB --allow-busy", before=(two_builds,)),
}

# --- Commands of a page ---


def commands_of(page):
    """Commands in their order, without trailing comments."""
    text = (ROOT / page).read_text()
    for block in re.finditer(r"^```(\w*)\n(.*?)^```$|(?<!`)`([^`\n]+)`(?!`)", text, re.S | re.M):
        language, lines, inline = block.groups()
        if inline and re.match(r"(cargo|curl|telnet) ", inline):
            yield inline
        if language != "sh":
            continue
        for line in lines.replace("\\\n", " ").splitlines():
            command = re.sub(r"(^|\s+)#\s.*$", "", line).strip()
            if command:
                yield command


# --- Running ---


def expect(holds, message):
    if not holds:
        raise AssertionError(message)


def until(what, condition):
    ends = time.monotonic() + PATIENCE_S
    while not condition():
        expect(time.monotonic() < ends, f"{what}: not within {PATIENCE_S} s")
        time.sleep(0.01)


def lines_of(path):
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path(path).read_text().count("\n")
    return 0


@contextlib.contextmanager
def started(command):
    """A command in a process group of its own, which is ended with the context."""
    process = subprocess.Popen(["sh", "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close() if not process.stdin.closed else None
        process.stdout.close()


def shell(command):
    """Runs a preparation."""
    done = subprocess.run(["sh", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          errors="replace", timeout=PATIENCE_S)
    expect(done.returncode == 0, f"{command}: exit code {done.returncode}: {done.stdout}{done.stderr}")


@contextlib.contextmanager
def serving(command):
    """A server, from its first line on; SIGTERM must end it with exit code 0."""
    address = CASES[command].listens
    with started(f"exec {command}") as process:
        line = process.stdout.readline()
        expect(line == f"listening on {address}\n", f"{command}: {line}{'' if line else process.stdout.read()}")
        yield
        process.send_signal(signal.SIGTERM)
        output = process.stdout.read()
        expect(process.wait() == 0, f"{command}: exit code {process.returncode}: {output}")


def run(command, case):
    """Runs a command and checks its result."""
    pathlib.Path("shared-files").mkdir(exist_ok=True)
    for prepare in case.before:
        prepare()
    if case.listens:
        with serving(command):
            return
    codes = case.codes() if callable(case.codes) else case.codes
    with contextlib.ExitStack() as stack:
        for other in case.servers:
            stack.enter_context(serving(other))
        process = stack.enter_context(started(f"{command} {case.more}"))
        output = conversation(process, case)
    problem = f"exit code {process.returncode}" if process.returncode not in codes else None
    if not re.search(case.shows, output, re.M):
        problem = problem or f"no {case.shows!r} in the output"
    missing = [path for path in case.makes if not os.path.exists(path) or os.path.getsize(path) == 0]
    if missing:
        problem = problem or f"missing or empty: {', '.join(missing)}"
    expect(problem is None, f"{problem}\n{output[-4000:]}")


def conversation(process, case):
    """Types the input and returns the output. telnet ends with its input, so that remains open until the reply."""
    if not case.typed:
        return process.communicate(timeout=PATIENCE_S)[0]
    process.stdin.write(case.typed)
    process.stdin.flush()
    output = ""
    if case.needs == "telnet":
        while not re.search(case.shows, output, re.M):
            line = process.stdout.readline()
            expect(line, f"no {case.shows!r} in the output\n{output}")
            output += line
    rest, _ = process.communicate(timeout=PATIENCE_S)
    return output + rest


# --- Surroundings ---


def cargo_script():
    """The program `cargo` of the test: see the substitutions above."""
    aliases = tomllib.loads((ROOT / ".cargo/config.toml").read_text())["alias"]
    real = shutil.which("cargo") or sys.exit("missing: cargo")
    expanded = "".join(f'    {name}) shift; exec "$0" {words} "$@" ;;\n' for name, words in aliases.items())
    return f"""#!/bin/sh
set -eu
case "$1" in
{expanded}    run)
        [ "$2" = --release ] || {{ echo "not a release: $*" >&2; exit 2; }}
        shift 2
        program=bench
        if [ "${{1-}}" = --bin ]; then program=$2; shift 2; fi
        # Flags that the test adds follow a command without --.
        if [ "${{1-}}" = -- ]; then shift; fi
        exec '{TARGET.resolve()}/release/'"$program" "$@" ;;
    bench)
        shift
        [ "${{1-}}" = -- ] || set -- -- "$@"
        cd '{ROOT}' && exec '{real}' bench "$@" --test ;;
    install)
        folder=$PWD
        cd '{ROOT}' && exec '{real}' "$@" --root "$folder/installed" ;;
    *) echo "the test does not know: cargo $*" >&2; exit 2 ;;
esac
"""


@functools.cache
def python_with_numpy():
    for python in [shutil.which("python3"), "/usr/bin/python3"]:
        with contextlib.suppress(TypeError, FileNotFoundError):
            if subprocess.run([python, "-c", "import numpy, scipy"], capture_output=True).returncode == 0:
                return python
    return None


def is_missing(tool):
    return python_with_numpy() is None if tool == "numpy" else shutil.which(tool) is None


def prepare_folder(folder):
    """A copy of what the commands name, and the test's own `cargo` at the front of the path."""
    shutil.copy(ROOT / "LICENSE", folder)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    programs = folder / ".programs"
    programs.mkdir()
    (programs / "cargo").write_text(cargo_script())
    (programs / "cargo").chmod(0o755)
    if python_with_numpy():
        (programs / "python3").symlink_to(python_with_numpy())
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]:
        os.environ.pop(name, None)
    os.chdir(folder)


def enter_namespace():
    """Starts this script again in a network namespace of its own, if that is possible, so that no port is taken."""
    if os.geteuid() != 0 or "README_NAMESPACE" in os.environ:
        return
    possible = subprocess.run(["unshare", "--net", "true"], capture_output=True) if shutil.which("unshare") else None
    if possible and possible.returncode == 0:
        os.environ["README_NAMESPACE"] = "1"
        os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def start_loopback():
    """Switches the loopback interface of a new namespace on."""
    switch_on = struct.pack("16sH22x", b"lo", 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, switch_on)  # SIOCSIFFLAGS, IFF_UP


def unknown(found):
    """Faults of the table: commands that it lacks, and entries that no page has."""
    faults = [f"{page}: the test does not know: {command}" for page, command in found if command not in CASES]
    printed = {command for _, command in found}
    faults += [f"no page contains: {command}" for command in CASES if command not in printed]
    steps = (ROOT / ".ci/run").read_text().splitlines()
    for command in [command for command, case in CASES.items() if case.in_ci]:
        if not any(re.fullmatch(rf"(time )?(\w+=\S+ )*{re.escape(command)}", step.strip()) for step in steps):
            faults.append(f".ci/run does not contain: {command}")
    return faults


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--list", action="store_true", help="print the commands, and run none")
    arguments.add_argument("text", nargs="?", default="", help="run only commands that contain this text")
    options = arguments.parse_args()
    found = [(page, command) for page in PAGES for command in commands_of(page)]
    faults = unknown(found)
    if options.list or faults:
        print(*(faults or [command for _, command in found]), sep="\n")
        sys.exit(1 if faults else 0)
    for program in ["server", "client", "bench"]:
        if not (TARGET / "release" / program).exists():
            print(f"missing: {TARGET}/release/{program}; build it: cargo build --release", file=sys.stderr)
            sys.exit(2)
    enter_namespace()
    if "README_NAMESPACE" in os.environ:
        start_loopback()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        prepare_folder(pathlib.Path(folder))
        for command in dict.fromkeys(command for _, command in found if options.text in command):
            case = CASES[command]
            if case.in_ci:
                continue
            if case.needs and is_missing(case.needs):
                print(f"SKIP    {command}: {case.needs} is missing", flush=True)
                continue
            begun = time.monotonic()
            try:
                run(command, case)
                print(f"ok {time.monotonic() - begun:5.1f} s  {command}", flush=True)
            except (AssertionError, subprocess.TimeoutExpired) as failure:
                failed += 1
                print(f"FAILED  {command} {case.more}\n{failure}", flush=True)
        os.chdir(ROOT)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
