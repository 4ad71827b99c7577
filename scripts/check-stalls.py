#!/usr/bin/env python3
"""Counts the replies of a server that take longer than 20 ms on one idle keep-alive connection.

    scripts/check-stalls.py [REQUESTS] [STRATEGY[:SEND_PATH]...]

By default 100,000 requests for a file of 64 KiB to each of threaded, iterative, prefork and
threaded:splice. The delayed acknowledgement of TCP takes 40 ms, so a send that waits for one shows
here. Exits with 1 if any reply took longer. The client uses nothing of this project. Needs
`cargo build --release -p fileserver`, an otherwise idle machine and, to be sure of it, two cores.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time

FILE_BYTES = 64 << 10
LIMIT_S = 0.020
DEFAULT = ["threaded", "iterative", "prefork", "threaded:splice"]


def reply_times(port, requests):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    request = b"GET /file HTTP/1.1\r\nHost: localhost\r\n\r\n"
    room = memoryview(bytearray(1 << 20))
    times = []
    for _ in range(requests):
        begun = time.perf_counter()
        connection.sendall(request)
        received, end = 0, None
        while end is None or received < end:
            count = connection.recv_into(room[received:])
            if count == 0:
                sys.exit("the server closed the connection")
            received += count
            head, found, _ = bytes(room[:4096]).partition(b"\r\n\r\n") if end is None else ("", "", "")
            if end is None and found:
                length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
                end = len(head) + 4 + int(length[1])
                if not head.startswith(b"HTTP/1.1 200 ") or int(length[1]) != FILE_BYTES:
                    sys.exit(f"not the file: {head.decode()}")
        times.append(time.perf_counter() - begun)
    return sorted(times)


def check(server, root, what, requests):
    strategy, _, path = what.partition(":")
    command = [server, "--strategy", strategy, "--send-path", path or "auto", "--root", root]
    command += ["--listen", "127.0.0.1:0", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(process.stdout.readline().rpartition(":")[2])
        times = reply_times(port, requests)
    finally:
        process.terminate()
        process.wait()
    slow = sum(taken > LIMIT_S for taken in times)
    p50, p999 = (times[int(len(times) * share)] * 1e6 for share in (0.5, 0.999))
    print(
        f"{what}: {slow} of {requests} replies above {LIMIT_S * 1e3:.0f} ms; "
        f"p50 {p50:.0f} us, p99.9 {p999:.0f} us, longest {times[-1] * 1e3:.1f} ms",
        flush=True,
    )
    return slow


def main():
    arguments = sys.argv[1:]
    requests = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 100_000
    project = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(project, "target"))
    server = os.path.join(target, "release", "server")
    if not os.access(server, os.X_OK):
        sys.exit(f"missing: {server}; build it: cargo build --release -p fileserver")
    with tempfile.TemporaryDirectory() as root:
        with open(os.path.join(root, "file"), "wb") as file:
            file.write(os.urandom(FILE_BYTES))
        slow = sum(check(server, root, what, requests) for what in arguments or DEFAULT)
    sys.exit(1 if slow else 0)


if __name__ == "__main__":
    main()
