#!/usr/bin/env python3
"""Tests a running server with Python's http.client and urllib; standard library only.

    scripts/test-http-client.py HOST PORT ROOT

ROOT is the served folder. Exit code 1: the first difference.
"""

import base64
import email.utils
import hashlib
import http.client
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request

HOST, PORT, ROOT = sys.argv[1], int(sys.argv[2]), sys.argv[3]
CONTENT = bytes(range(256)) * 4000


def expect(actual, expected, what):
    if actual != expected:
        sys.exit(f"{what}: got {actual!r:.300}, expected {expected!r:.300}")


def on_disk(name):
    with open(os.path.join(ROOT, name), "rb") as file:
        return file.read()


def ask(connection, method, target, body=None, headers=None, **options):
    connection.request(method, target, body, headers or {}, **options)
    response = connection.getresponse()
    return response, response.read()


def digest(content):
    return "sha-256=:" + base64.b64encode(hashlib.sha256(content).digest()).decode() + ":"


def main():
    connection = http.client.HTTPConnection(HOST, PORT, timeout=20)
    connection.connect()
    socket = connection.sock

    name = "python é & <1>.bin"
    target = "/" + urllib.parse.quote(name)
    response, body = ask(connection, "PUT", target, CONTENT, {"Repr-Digest": digest(CONTENT)})
    expect((response.status, body.decode()), (201, name + "\n"), "PUT")
    expect(response.headers["Location"], target, "Location")
    expect(on_disk(name) == CONTENT, True, "stored content")
    response, _ = ask(connection, "PUT", "/wrong", CONTENT, {"Repr-Digest": digest(b"else")})
    expect((response.status, os.path.exists(os.path.join(ROOT, "wrong"))), (400, False), "wrong digest")

    pieces = (CONTENT[at:at + 9999] for at in range(0, len(CONTENT), 9999))
    response, _ = ask(connection, "PUT", "/chunked", pieces, encode_chunked=True,
                      headers={"Transfer-Encoding": "chunked"})
    expect((response.status, on_disk("chunked") == CONTENT), (201, True), "chunked PUT")

    boundary = "a-boundary"
    form = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="f"; filename="{file}"\r\n\r\n'.encode()
        + content + b"\r\n" for file, content in [("form1", b"one"), ("form2", CONTENT)])
    form += f"--{boundary}--\r\n".encode()
    response, body = ask(connection, "POST", "/", form,
                         {"Content-Type": f"multipart/form-data; boundary={boundary}"})
    expect((response.status, body), (303, b"form1\nform2\n"), "form")
    expect(on_disk("form2") == CONTENT, True, "the form's file")

    response, body = ask(connection, "GET", target)
    expect((response.status, body == CONTENT), (200, True), "GET")
    tag, modified = response.headers["ETag"], response.headers["Last-Modified"]
    age = (email.utils.parsedate_to_datetime(response.headers["Date"])
           - email.utils.parsedate_to_datetime(modified)).total_seconds()
    expect(0 <= age < 3600, True, "Last-Modified before Date")
    response, body = ask(connection, "HEAD", target)
    expect((response.status, int(response.headers["Content-Length"]), body),
           (200, len(CONTENT), b""), "HEAD")
    for headers, status, part in [
            ({"Range": "bytes=10-19"}, 206, CONTENT[10:20]),
            ({"Range": "bytes=-7"}, 206, CONTENT[-7:]),
            ({"Range": "bytes=1000000-", "If-Range": tag}, 206, CONTENT[1000000:]),
            ({"Range": "bytes=1000000-", "If-Range": '"other"'}, 200, CONTENT),
            ({"If-None-Match": tag}, 304, b""),
            ({"If-Modified-Since": modified}, 304, b"")]:
        response, body = ask(connection, "GET", target, headers=headers)
        expect((response.status, body == part), (status, True), str(headers))

    response, body = ask(connection, "GET", "/", headers={"Accept": "application/json"})
    entries = {entry["name"]: entry["size_bytes"] for entry in json.loads(body)}
    expect(entries[name], len(CONTENT), "JSON")
    response, body = ask(connection, "GET", "/", headers={"Accept": "text/html"})
    expect((response.headers.get_content_type(), b"&lt;1&gt;" in body), ("text/html", True), "page")

    for number in range(200):
        response, body = ask(connection, "GET", "/form1")
        expect((response.status, body), (200, b"one"), f"request {number} of 200")
    expect(connection.sock is socket, True, "one connection for all requests")
    response, _ = ask(connection, "DELETE", "/form1")
    expect((response.status, response.headers["Allow"]), (405, "GET, HEAD, PUT, OPTIONS"), "DELETE")
    connection.close()

    base = f"http://{HOST}:{PORT}"
    with urllib.request.urlopen(base + "/form1", timeout=20) as response:
        expect(response.read(), b"one", "urllib")
    try:
        urllib.request.urlopen(base + "/missing", timeout=20)
        sys.exit("urllib: the request for a missing file succeeded")
    except urllib.error.HTTPError as error:
        with error:
            expect((error.code, error.read()), (404, b"no such file\n"), "urllib, missing")


main()
