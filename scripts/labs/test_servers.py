#!/usr/bin/env python3
"""Tests of the two echo servers. Run: python3 scripts/labs/test_servers.py"""

import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import unittest

FOLDER = pathlib.Path(__file__).parent


class Echo:
    """Tests that each of the servers must pass."""

    script = None

    def setUp(self):
        command = [sys.executable, FOLDER / self.script, "0"]
        self.server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.server.stdout.close)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        line = self.server.stdout.readline()
        self.assertRegex(line, r"^listening on 127\.0\.0\.1:\d+$")
        self.port = int(line.rpartition(":")[2])

    def connect(self):
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        self.addCleanup(client.close)
        return client

    def receive(self, client, length):
        data = bytearray()
        while len(data) < length and (piece := client.recv(65536)):
            data += piece
        return bytes(data)

    def test_lines_come_back(self):
        client = self.connect()
        for line in [b"hello\r\n", b"\n", "grüße\r\n".encode(), b"\xff\x00\n"]:
            client.sendall(line)
            self.assertEqual(self.receive(client, len(line)), line)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(client.recv(1), b"")

    def test_bytes_without_a_line_end_come_back(self):
        client = self.connect()
        client.sendall(b"no end of line")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive(client, 100), b"no end of line")

    def test_many_clients_at_once(self):
        clients = [self.connect() for _ in range(200)]
        for turn in range(3):
            for number, client in enumerate(clients):
                client.sendall(b"%d %d\r\n" % (turn, number))
            for number, client in enumerate(clients):
                line = b"%d %d\r\n" % (turn, number)
                self.assertEqual(self.receive(client, len(line)), line)

    def test_more_than_the_buffers_hold(self):
        data = random.Random(1).randbytes(32 << 20)
        # The client reads nothing until its sends block, so the server must stop reading, too.
        client = self.connect()
        client.setblocking(False)
        sent = 0
        while sent < len(data):
            try:
                sent += client.send(data[sent : sent + 65536])
            except BlockingIOError:
                break
        self.assertLess(sent, len(data))
        # Another client is served meanwhile.
        other = self.connect()
        other.sendall(b"still there?\n")
        self.assertEqual(self.receive(other, 13), b"still there?\n")
        client.settimeout(20)
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(self.receive(client, sent), data[:sent])

    def test_a_reset_does_not_affect_other_clients(self):
        other = self.connect()
        for _ in range(20):
            client = self.connect()
            client.sendall(b"x" * 100_000)
            # Close by a reset.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        other.sendall(b"a\n")
        self.assertEqual(self.receive(other, 2), b"a\n")

    def test_sigterm_ends_the_server(self):
        self.connect()
        self.server.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait(20), 0)

    def test_a_port_in_use_is_reported(self):
        command = [sys.executable, FOLDER / self.script, str(self.port)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=20)
        self.assertEqual(second.returncode, 1)
        self.assertIn("cannot listen on 127.0.0.1", second.stderr)
        self.assertNotIn("Traceback", second.stderr)


class ThreadedServer(Echo, unittest.TestCase):
    script = "threaded_server.py"


class SelectorServer(Echo, unittest.TestCase):
    script = "selector_server.py"


if __name__ == "__main__":
    unittest.main()
