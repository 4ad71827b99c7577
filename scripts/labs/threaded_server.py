#!/usr/bin/env python3
"""An echo server with one blocking thread per client.

    python3 threaded_server.py 8800
    telnet localhost 8800

The thread of a client sleeps in recv() until bytes arrive, and in sendall() until the socket has
accepted them. Other clients are not delayed. The cost is a thread with its stack per client.
"""

import argparse
import signal
import socket
import sys
import threading
import time

BLOCK_BYTES = 64 * 1024


def serve_client(connection):
    """Sends all bytes back until the client sends no more."""
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            # TCP is a stream: recv() returns what has arrived so far, such as half a line or ten lines.
            while data := connection.recv(BLOCK_BYTES):
                # send() may accept only a part; sendall() continues until all of it is accepted.
                connection.sendall(data)
        except OSError:
            # The client has disconnected. The others are not affected.
            pass


def serve(listener):
    """Accepts clients forever."""
    while True:
        try:
            connection, _ = listener.accept()
        except OSError as error:
            # Out of descriptors: a client must disconnect before another can be accepted.
            print(f"cannot accept: {error}", file=sys.stderr)
            time.sleep(0.1)
            continue
        try:
            # The program can end while daemon threads run.
            threading.Thread(target=serve_client, args=[connection], daemon=True).start()
        except RuntimeError as error:
            print(f"cannot serve another client: {error}", file=sys.stderr)
            connection.close()


def main():
    parser = argparse.ArgumentParser(description="An echo server with one blocking thread per client.")
    parser.add_argument("port", type=int, help="the port to listen on; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on [%(default)s]")
    args = parser.parse_args()

    # SIGTERM is the regular way to end the server, so its exit code is 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        listener = socket.create_server((args.host, args.port), backlog=1024)
    except (OSError, OverflowError) as error:
        sys.exit(f"cannot listen on {args.host}:{args.port}: {error}")
    with listener:
        host, port = listener.getsockname()[:2]
        print(f"listening on {host}:{port}", flush=True)
        try:
            serve(listener)
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
