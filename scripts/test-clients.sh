#!/usr/bin/env bash
# Tests the server with independent clients: curl, Python's http.client, tuspy, wrk, ab, nc and
# telnet. Clients that are not installed are reported and skipped.
#
#   scripts/test-clients.sh [STRATEGY…]        default: all strategies
#
# Needs curl and python3. Build first: cargo build --release -p fileserver
# Exit code 0: all tests passed; 1: the first failure; 2: the tests could not start.
set -euo pipefail

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
server=${CARGO_TARGET_DIR:-$here/../target}/release/server
[ -x "$server" ] || { echo "missing: $server; build it: cargo build --release -p fileserver" >&2; exit 2; }
for tool in curl python3; do
    command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 2; }
done

work=$(mktemp -d)
pid=
# Ends only the process that was started here.
clean_up() {
    if [ -n "$pid" ]; then kill -KILL "$pid" && wait "$pid"; fi 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $strategy: $*" >&2
    if [ -s "$work/stderr" ]; then sed 's/^/  server: /' "$work/stderr" >&2; fi
    exit 1
}
ok() { printf '  ok    %s\n' "$1"; }
skip() { printf '  SKIP  %s\n' "$1"; }
same() { cmp -s "$1" "$2" || fail "$3: $1 and $2 differ"; }
# status EXPECTED WHAT CURL-ARGUMENT…
status() {
    local expected=$1 what=$2 got
    shift 2
    got=$(curl -sS --max-time 20 -o "$work/body" -w '%{http_code}' "$@") || fail "$what: curl exited with $?"
    [ "$got" = "$expected" ] || fail "$what: $got instead of $expected: $(head -c 200 "$work/body")"
}

start_server() {
    root=$work/$strategy
    mkdir "$root"
    cp "$work/small.txt" "$work/large.bin" "$root"
    mkfifo "$work/stdout"
    "$server" --strategy "$strategy" --listen 127.0.0.1:0 --root "$root" --durability none --quiet \
        >"$work/stdout" 2>"$work/stderr" &
    pid=$!
    read -r _ _ address <"$work/stdout" || fail "the server did not start"
    rm "$work/stdout"
    url=http://$address
}

stop_server() {
    local code=0
    kill -TERM "$pid"
    wait "$pid" || code=$?
    pid=
    [ "$code" -eq 0 ] || fail "the server ended with exit code $code"
    [ ! -s "$work/stderr" ] || fail "the server wrote to standard error"
    # Names of unfinished uploads begin with a control character.
    [ -z "$(find "$root" -name $'\001*')" ] || fail "an unfinished upload is left in the folder"
}

test_curl() {
    local tag

    status 201 "upload" -T "$work/large.bin" "$url/up.bin"
    same "$work/large.bin" "$root/up.bin" "upload"
    status 201 "name taken" -T "$work/small.txt" "$url/up.bin"
    same "$work/small.txt" "$root/up_copy1.bin" "name taken"
    status 201 "upload to a folder's address" -T "$work/small.txt" "$url/"
    same "$work/small.txt" "$root/small_copy1.txt" "upload to a folder's address"
    status 201 "upload of unknown length" -T - "$url/piped" <"$work/large.bin"
    same "$work/large.bin" "$root/piped" "upload of unknown length"
    status 201 "upload without Expect" -H 'Expect:' -T "$work/large.bin" "$url/unexpected"
    same "$work/large.bin" "$root/unexpected" "upload without Expect"
    status 201 "upload with Expect" -H 'Expect: 100-continue' -T "$work/large.bin" "$url/expected"
    same "$work/large.bin" "$root/expected" "upload with Expect"
    status 201 "upload over HTTP/1.0" --http1.0 -T "$work/large.bin" "$url/old"
    same "$work/large.bin" "$root/old" "upload over HTTP/1.0"
    status 400 "resumed plain upload" -C 100 -T "$work/large.bin" "$url/continued"
    [ ! -e "$root/continued" ] || fail "a partial upload was stored"
    status 303 "form" -F "file=@$work/small.txt;filename=form 1.txt" \
        -F "file=@$work/large.bin;filename=form-2.bin" -F note=ignored "$url/"
    same "$work/small.txt" "$root/form 1.txt" "form"
    same "$work/large.bin" "$root/form-2.bin" "form"
    status 200 "form with redirect" -L -F "file=@$work/small.txt;filename=form3" "$url/"
    ok "curl: -T, -T -, -F, -L, --http1.0, with and without Expect"

    status 200 "download" "$url/large.bin"
    same "$work/large.bin" "$work/body" "download"
    status 200 "download over HTTP/1.0" --http1.0 "$url/large.bin"
    same "$work/large.bin" "$work/body" "download over HTTP/1.0"
    status 206 "range" -r 1000-1999 "$url/large.bin"
    same <(tail -c +1001 "$work/large.bin" | head -c 1000) "$work/body" "range"
    status 206 "suffix" -r -5 "$url/large.bin"
    same <(tail -c 5 "$work/large.bin") "$work/body" "suffix"
    status 416 "range beyond the end" -r 99999999- "$url/large.bin"
    status 200 "head" -I "$url/large.bin"
    grep -qi "^content-length: $(wc -c <"$work/large.bin")" "$work/body" || fail "head: no length"
    # Interrupted by the reader, then resumed.
    { curl -sS --max-time 20 "$url/large.bin" 2>/dev/null || true; } | head -c 1000000 >"$work/cut"
    curl -sS --max-time 20 -C - -o "$work/cut" "$url/large.bin" || fail "resumed download: curl exited with $?"
    same "$work/large.bin" "$work/cut" "resumed download"
    rm "$work/cut"
    ok "curl: -r, -I, -C - after an interruption, --http1.0"

    curl -sS --etag-save "$work/etag" -o /dev/null "$url/small.txt"
    tag=$(cat "$work/etag")
    status 304 "same entity tag" -H "If-None-Match: $tag" "$url/small.txt"
    status 304 "not modified since" -z "$root/small.txt" "$url/small.txt"
    status 200 "modified since" -z '1994-11-06' "$url/small.txt"
    status 400 "path outside the root" --path-as-is "$url/../../etc/passwd"
    status 404 "missing" "$url/missing"
    status 405 "deleting" -X DELETE "$url/small.txt"
    status 403 "upload from another origin" -H 'Origin: http://evil.example' -T "$work/small.txt" "$url/x"
    [ ! -e "$root/x" ] || fail "an upload from another origin was stored"
    status 204 "options" -X OPTIONS "$url/"
    [ "$(curl -sS --max-time 20 -o /dev/null -o /dev/null -o /dev/null -w '%{num_connects}' \
        "$url/small.txt" "$url/large.bin" "$url/missing")" = 100 ] || fail "keep-alive: not one connection for three requests"
    ok "curl: caching, refusals, one connection for several requests"
}

test_python() {
    python3 "$here/test-http-client.py" "${address%:*}" "${address##*:}" "$root" || fail "http.client"
    ok "Python: http.client and urllib"
}

# Installs tuspy, the tus project's Python client for resumable uploads, in a virtual environment.
prepare_tuspy() {
    tuspy=
    if python3 -m venv "$work/venv" >"$work/pip" 2>&1 &&
        "$work/venv/bin/pip" install --quiet --disable-pip-version-check --retries 0 --timeout 10 \
            'tuspy==1.1.*' >>"$work/pip" 2>&1; then
        tuspy=$work/venv/bin/python
    fi
}

test_tuspy() {
    if [ -z "$tuspy" ]; then
        skip "tuspy: cannot be installed (offline?): $(tail -n 1 "$work/pip")"
        return
    fi
    timeout 30 "$tuspy" - "$url" "$work" <<'PYTHON' || fail "tuspy"
import sys
from tusclient.client import TusClient
from tusclient.storage.filestorage import FileStorage

url, work = sys.argv[1:]
storage = FileStorage(work + "/tus-urls")


def uploader():
    return TusClient(url + "/").uploader(
        work + "/large.bin", chunk_size=1_000_003, metadata={"filename": "tus é.bin"},
        store_url=True, url_storage=storage)


first = uploader()
first.upload_chunk()
first.upload_chunk()
assert first.offset == 2_000_006, first.offset
# A second uploader finds the upload at the same offset, as another process would.
second = uploader()
assert (second.url, second.offset) == (first.url, first.offset), second.offset
second.upload()
storage.close()
PYTHON
    rm "$work/tus-urls"
    same "$work/large.bin" "$root/tus é.bin" "tuspy"
    ok "tuspy: a resumed upload in pieces"
}

test_generators() {
    # The iterative strategy serves one connection at a time.
    local connections=16
    [ "$strategy" != iterative ] || connections=1
    if command -v wrk >/dev/null; then
        wrk -t1 -c"$connections" -d1s "$url/small.txt" >"$work/out" || fail "wrk exited with $?"
        grep -qE 'Socket errors|Non-2xx' "$work/out" && fail "wrk: $(grep -E 'Socket errors|Non-2xx' "$work/out")"
        awk '$2 == "requests" && $3 == "in" && $1 > 0 { found = 1 } END { exit !found }' "$work/out" || fail "wrk: no request"
        ok "wrk: $(awk '$1 == "Requests/sec:" { print $2 }' "$work/out") requests/s, no error"
    else
        skip "wrk is not installed"
    fi
    if command -v ab >/dev/null; then
        local mode
        for mode in -k ''; do
            # shellcheck disable=SC2086 # an empty mode is none
            ab -q $mode -c "$connections" -n 2000 "$url/small.txt" >"$work/out" 2>&1 || fail "ab $mode: $(tail -n 1 "$work/out")"
            grep -qE '^Complete requests: +2000$' "$work/out" || fail "ab $mode: some requests were not answered"
            grep -qE '^Failed requests: +0$' "$work/out" || fail "ab $mode: $(grep '^Failed' "$work/out")"
            grep -q 'Non-2xx' "$work/out" && fail "ab $mode: $(grep 'Non-2xx' "$work/out")"
        done
        ok "ab: with and without keep-alive, no error"
    else
        skip "ab is not installed (Debian: apache2-utils)"
    fi
}

test_text() {
    local host=${address%:*} port=${address##*:}
    if command -v nc >/dev/null; then
        printf 'small.txt\r\n' | timeout 10 nc "$host" "$port" >"$work/out" || fail "nc exited with $?"
        same "$work/small.txt" "$work/out" "nc"
        ok "nc: a line of text"
    else
        skip "nc is not installed"
    fi
    if command -v telnet >/dev/null; then
        # The fifo stays open, because telnet ends at the end of its input.
        mkfifo "$work/typed"
        exec 3<>"$work/typed"
        # telnet converts LF to CR LF.
        printf 'small.txt\n' >&3
        timeout 10 telnet "$host" "$port" <"$work/typed" >"$work/out" 2>/dev/null || true
        exec 3>&-
        rm "$work/typed"
        grep -qF "$(head -n 1 "$work/small.txt")" "$work/out" || fail "telnet: $(cat "$work/out")"
        ok "telnet: a line of text"
    else
        skip "telnet is not installed"
    fi
}

if [ $# -gt 0 ]; then
    strategies=("$@")
else
    mapfile -t strategies < <("$server" --help | awk '
        /--strategy/ { listed = 1 }
        listed && /\[default/ { exit }
        listed && $1 == "-" && $2 ~ /:$/ { sub(":", "", $2); print $2 }')
fi
[ ${#strategies[@]} -gt 0 ] || { echo "server --help lists no strategies" >&2; exit 2; }

printf 'a small file of text, from its first byte to its last\n' >"$work/small.txt"
head -c 6000000 /dev/urandom >"$work/large.bin"
prepare_tuspy
for strategy in "${strategies[@]}"; do
    echo "$strategy"
    start_server
    test_curl
    test_python
    test_tuspy
    test_generators
    test_text
    stop_server
done
