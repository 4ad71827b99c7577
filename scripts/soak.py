#!/usr/bin/env python3
"""Soak: strategies at work for minutes beside clients that disconnect at random, against the release program.

For each strategy, six clients download and upload files, compare every byte by its SHA-256, and disconnect
at random: by a reset or a close, before, within and after a request, with the sending side closed or open.
Once a minute the clients pause until the server's timeouts have closed what was left. Then descriptors,
threads and anonymous memory of the server and its processes are sampled.

A strategy passes if no byte was wrong, no client failed otherwise than by its own disconnection, the server
still ran, and no sample of the second half exceeded the largest of the first half by more than 4 descriptors,
0 threads, or 10 % of memory (`hybrid` and `tokio`: and 1 MiB, as their memory depends on how many of their threads
worked at once so far). The allocator is set to keep little freed memory, so that growth is memory in use: see
ALLOCATOR. `--as-is` leaves it as it is, to see what it keeps, and allows 2 MiB more. The pause is long enough for
`prefork` to retire the processes that it does not need.

Usage: scripts/soak.py [--as-is] [SECONDS] [STRATEGY ...]     default: 600, the six strategies below, all at once
"""

import hashlib
import multiprocessing
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

STRATEGIES = ["uring", "selector", "multi-selector", "hybrid", "tokio", "prefork"]
TARGET = os.environ.get("CARGO_TARGET_DIR") or pathlib.Path(__file__).resolve().parent.parent / "target"
SERVER = pathlib.Path(TARGET) / "release/server"
CLIENTS = 6
SIZES = [0, 100, 4_000, 60_000, 300_000, 2_000_000]
WORK_S = 46
# Twice the timeouts, 6 s until prefork has retired a process, and time for the sample.
REST_S = 14
TIMEOUT_S = 30
LIMITS = ["--head-timeout", "2s", "--idle-timeout", "2s", "--stall-timeout", "2s", "--durability", "none",
          "--on-conflict", "overwrite"]
# By default glibc keeps freed memory, in up to 8 arenas per core. One arena, and larger pieces freed at once.
ALLOCATOR = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": "4096", "MALLOC_TRIM_THRESHOLD_": "4096"}
# KiB by which the memory of strategies may grow that depends on how many threads worked at once so far.
SETTLING_KIB = {"hybrid": 1024, "tokio": 1024}
AS_IS_KIB = 2048


def content(name):
    """Bytes of a served file, which depend on its name."""
    size = SIZES[int(name.split("-")[1])]
    return random.Random(name).randbytes(size)


class Client:
    """One client; every method is one exchange on a new or kept connection."""

    def __init__(self, port, number, counts):
        self.port, self.number, self.counts = port, number, counts
        self.rng = random.Random(number)
        self.digests = {f"f-{size}": hashlib.sha256(content(f"f-{size}")).digest() for size in range(len(SIZES))}
        self.socket = self.reader = None

    def connect(self):
        if self.socket is None:
            self.socket = socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)
            self.reader = self.socket.makefile("rb")

    def leave(self):
        """Closes or resets."""
        if self.socket is None:
            return
        if self.rng.random() < 0.5:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.reader.close()
        self.socket.close()
        self.socket = self.reader = None

    def head(self):
        status = self.reader.readline().split()
        if not status:
            raise ConnectionError("closed without a reply")
        length = 0
        while (line := self.reader.readline()) != b"\r\n":
            if not line:
                raise ConnectionError("closed within a head")
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return int(status[1]), length

    def download(self, name, half_closed):
        self.socket.sendall(f"GET /{name} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        if half_closed:
            self.socket.shutdown(socket.SHUT_WR)
        status, length = self.head()
        body = self.reader.read(length)
        return status == 200 and hashlib.sha256(body).digest() == self.digests[name]

    def upload(self, size):
        body = self.rng.randbytes(SIZES[size])
        name = f"up-{self.number}"
        self.socket.sendall(f"PUT /{name} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        status, length = self.head()
        self.reader.read(length)
        self.digests[name] = hashlib.sha256(body).digest()
        return status in (200, 201, 204) and self.download(name, False)

    def disconnect(self):
        """Leaves in the middle of something."""
        way = self.rng.randrange(4)
        if way == 1:
            self.socket.sendall(b"GET /f-5 HT")
        elif way == 2:
            self.socket.sendall(b"GET /f-5 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.socket.recv(self.rng.randrange(1, 5000))
        elif way == 3:
            self.socket.sendall(b"PUT /gone HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n" + bytes(50_000))
        self.leave()

    def step(self):
        self.connect()
        draw = self.rng.random()
        if draw < 0.25:
            self.disconnect()
            self.counts["disconnects"] += 1
            return
        size = self.rng.randrange(len(SIZES))
        half_closed = draw > 0.9
        is_right = self.upload(size) if draw < 0.5 else self.download(f"f-{size}", half_closed)
        self.counts["transfers"] += 1
        if not is_right:
            self.counts["wrong"] += 1
        if half_closed or self.rng.random() < 0.1:
            self.leave()

    def work(self, until):
        while time.monotonic() < until:
            try:
                self.step()
            except OSError as error:
                self.counts["failures"] += 1
                self.counts.setdefault("failure", repr(error))
                self.leave()
            # Six strategies share the machine: the soak is long, not heavy.
            time.sleep(self.rng.random() * 0.02)
        self.leave()


def client(port, number, start, rounds, queue):
    counts = {"transfers": 0, "wrong": 0, "failures": 0, "disconnects": 0}
    worker = Client(port, number, counts)
    for index in range(rounds):
        begin = start + index * (WORK_S + REST_S)
        time.sleep(max(0, begin - time.monotonic()))
        worker.work(begin + WORK_S)
    queue.put(counts)


def processes(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [child for each in children for child in processes(int(each))]


def sample(pid):
    """Descriptors, threads and anonymous memory in KiB of a server and its processes."""
    descriptors = threads = memory = 0
    for each in processes(pid):
        root = pathlib.Path(f"/proc/{each}")
        descriptors += len(os.listdir(root / "fd"))
        threads += len(os.listdir(root / "task"))
        rollup = (root / "smaps_rollup").read_text()
        memory += next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Anonymous:"))
    return descriptors, threads, memory


def is_flat(strategy, samples, is_as_is):
    half = (len(samples) + 1) // 2
    first, second = ([max(column) for column in zip(*part)] for part in (samples[:half], samples[half:]))
    allowed_kib = AS_IS_KIB if is_as_is else SETTLING_KIB.get(strategy, 0)
    return second[0] <= first[0] + 4 and second[1] <= first[1] and second[2] <= first[2] * 1.1 + allowed_kib


def soak(strategy, seconds, is_as_is, result):
    with tempfile.TemporaryDirectory() as root:
        for size in range(len(SIZES)):
            (pathlib.Path(root) / f"f-{size}").write_bytes(content(f"f-{size}"))
        command = [SERVER, "--listen", "127.0.0.1:0", "--quiet", "--strategy", strategy, "--root", root, *LIMITS]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
                                  env=os.environ | ({} if is_as_is else ALLOCATOR))
        port = int(server.stdout.readline().rsplit(":", 1)[1])
        rounds = max(2, seconds // (WORK_S + REST_S))
        queue, start = multiprocessing.Queue(), time.monotonic() + 1
        clients = [multiprocessing.Process(target=client, args=(port, number, start, rounds, queue))
                   for number in range(CLIENTS)]
        for each in clients:
            each.start()
        samples = []
        try:
            for index in range(1, rounds + 1):
                time.sleep(max(0, start + index * (WORK_S + REST_S) - 0.5 - time.monotonic()))
                if server.poll() is not None:
                    break
                samples.append(sample(server.pid))
            is_running = server.poll() is None
            counts = [queue.get(timeout=4 * TIMEOUT_S) for _ in clients]
        finally:
            server.terminate()
            server.wait()
        for each in clients:
            each.join()
        total = {key: sum(count[key] for count in counts) for key in ("transfers", "wrong", "failures", "disconnects")}
        reasons = {count["failure"] for count in counts if "failure" in count}
        is_passed = is_running and is_flat(strategy, samples, is_as_is) and total["wrong"] == total["failures"] == 0
        result.put((strategy, total, samples, is_passed, reasons))


def main():
    arguments = sys.argv[1:]
    is_as_is = "--as-is" in arguments
    arguments = [argument for argument in arguments if argument != "--as-is"]
    seconds = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 600
    strategies = arguments or STRATEGIES
    os.nice(10)
    result = multiprocessing.Queue()
    soaks = [multiprocessing.Process(target=soak, args=(strategy, seconds, is_as_is, result)) for strategy in strategies]
    for each in soaks:
        each.start()
    for each in soaks:
        each.join()
    rows = {row[0]: row for row in (result.get(timeout=1) for _ in soaks)}
    print("| strategy | transfers | disconnections | wrong | failed | descriptors | threads | memory, KiB | |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for strategy in strategies:
        _, total, samples, is_passed, _ = rows[strategy]
        shown = [f"{samples[0][at]} → {samples[-1][at]} (most {max(each[at] for each in samples)})" for at in range(3)]
        print(f"| `{strategy}` | {total['transfers']} | {total['disconnects']} | {total['wrong']} | "
              f"{total['failures']} | {' | '.join(shown)} | {'passed' if is_passed else 'FAILED'} |")
    print("\nMemory after each minute, KiB:")
    for strategy in strategies:
        _, _, samples, _, reasons = rows[strategy]
        print(f"- `{strategy}`: {', '.join(str(each[2]) for each in samples)}")
        for reason in sorted(reasons):
            print(f"{strategy}: {reason}", file=sys.stderr)
    return 0 if all(row[3] for row in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
