#!/usr/bin/env python3
"""An echo server with non-blocking sockets and a selector: one thread for all clients.

    python3 selector_server.py 8800
    telnet localhost 8800

The thread sleeps in select() until any socket can be read or written, and never in recv() or send().
Bytes that a socket does not accept at once stay in the client's buffer until the socket is writable
again. Until then nothing more is read from that client, so that the buffer stays small.
"""

import argparse
import selectors
import signal
import socket
import sys
import time

BLOCK_BYTES = 64 * 1024
READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Client:
    """A connection and its unsent bytes."""

    def __init__(self, connection, selector):
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = connection
        self.selector = selector
        self.unsent = b""
        self.interest = READ
        selector.register(connection, READ, self)

    def on_ready(self, events):
        """Receives and sends as much as the socket allows."""
        try:
            if events & READ:
                data = self.connection.recv(BLOCK_BYTES)
                if not data:
                    # The client sends no more. Nothing is unsent, because the server reads only
                    # when it has sent everything back.
                    self.close()
                    return
                self.unsent = data
            if self.unsent:
                # send() accepts what fits into the socket's buffer, perhaps only a part.
                sent = self.connection.send(self.unsent)
                self.unsent = self.unsent[sent:]
        except BlockingIOError:
            # The socket was not ready after all; the selector will report it when it is.
            pass
        except OSError:
            # The client has disconnected. The others are not affected.
            self.close()
            return
        self.wait_for(WRITE if self.unsent else READ)

    def wait_for(self, interest):
        """Sets the events that the selector reports for this socket."""
        if interest != self.interest:
            self.interest = interest
            self.selector.modify(self.connection, interest, self)

    def close(self):
        self.selector.unregister(self.connection)
        self.connection.close()


def accept(listener, selector):
    """Accepts a new client."""
    try:
        connection, _ = listener.accept()
    except BlockingIOError:
        # The client has disconnected already.
        return
    except OSError as error:
        # Out of descriptors: a client must disconnect before another can be accepted.
        print(f"cannot accept: {error}", file=sys.stderr)
        time.sleep(0.1)
        return
    Client(connection, selector)


def serve(listener, selector):
    """Handles one event after the other, forever."""
    listener.setblocking(False)
    selector.register(listener, READ, None)
    while True:
        for key, events in selector.select():
            if key.data is None:
                accept(listener, selector)
            else:
                key.data.on_ready(events)


def main():
    parser = argparse.ArgumentParser(description="An echo server with one thread and a selector.")
    parser.add_argument("port", type=int, help="the port to listen on; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on [%(default)s]")
    args = parser.parse_args()

    # SIGTERM is the regular way to end the server, so its exit code is 0.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        listener = socket.create_server((args.host, args.port), backlog=1024)
    except (OSError, OverflowError) as error:
        sys.exit(f"cannot listen on {args.host}:{args.port}: {error}")
    with listener, selectors.DefaultSelector() as selector:
        host, port = listener.getsockname()[:2]
        print(f"listening on {host}:{port}", flush=True)
        try:
            serve(listener, selector)
        except KeyboardInterrupt:
            sys.exit(130)


if __name__ == "__main__":
    main()
