#!/bin/bash
# Compares the processor time that an upload costs the server, by several strategies and nginx.
#
#   scripts/compare-uploads.sh [DIR] [ROUNDS] [STRATEGY...]
#
# By default a folder beneath /dev/shm (tmpfs), 5 rounds, and selector, threaded and uring. DIR is a
# folder of the file system to measure. ab (apache2-utils) sends PUT requests for one name over 4
# keep-alive connections: every upload overwrites the last. Nothing is synced on either side. The
# server runs on core 0, ab on core 1. In every round nginx and the strategies run in turn, each in a
# new process; every second round runs backwards. Prints each run, then, for each size and strategy,
# the median over rounds of nginx's processor time (user + system) divided by the server's.
# SIZES sets bytes:uploads pairs. Needs nginx, ab, taskset and `cargo build --release -p fileserver`.
set -eu

dir=$(realpath -- "${1:-/dev/shm}")
rounds=${2:-5}
if [ $# -gt 2 ]; then shift 2; else set -- selector threaded uring; fi
strategies=$*
sizes=${SIZES:-1024:40000 65536:15000 1048576:1500 67108864:25}
port=${PORT:-28898}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
server=${CARGO_TARGET_DIR:-$root/target}/release/server
for tool in nginx ab taskset "$server"; do
    command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 2; }
done

work=$(mktemp -d -p "$dir")
pid=
stop() {
    [ -z "$pid" ] || { kill "$pid" 2>/dev/null || true; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; }
    pid=
}
trap 'stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/files" "$work/tmp"
chmod 777 "$work" "$work/files" "$work/tmp"
ticks=$(getconf CLK_TCK)
cat >"$work/nginx.conf" <<CONF
daemon off;
master_process off;
pid $work/pid;
error_log $work/error.log;
events { worker_connections 1024; multi_accept on; }
http {
  access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; keepalive_requests 1000000000;
  client_max_body_size 0; client_body_buffer_size 128k;
  client_body_temp_path $work/tmp; proxy_temp_path $work/tmp; fastcgi_temp_path $work/tmp;
  uwsgi_temp_path $work/tmp; scgi_temp_path $work/tmp;
  server { listen 127.0.0.1:$port; root $work/files; location / { dav_methods PUT; } }
}
CONF

# Prints the size, the name, and the processor time per upload in microseconds.
run() {
    name=$1 bytes=$2 uploads=$3
    rm -rf "$work/files/"*
    if [ "$name" = nginx ]; then
        at=$port
        taskset -c 0 nginx -e "$work/error.log" -c "$work/nginx.conf" -p "$work" & pid=$!
        until (: <"/dev/tcp/127.0.0.1/$at") 2>/dev/null; do sleep 0.05; kill -0 "$pid"; done
    else
        taskset -c 0 "$server" --strategy "$name" --root "$work/files" --listen 127.0.0.1:0 --quiet \
            --durability none --on-conflict overwrite >"$work/out" & pid=$!
        at=
        while [ -z "$at" ]; do
            sleep 0.05; kill -0 "$pid"; at=$(sed -n 's/^listening on .*://p' "$work/out")
        done
    fi
    cpu() { sed 's/.*) //' "/proc/$pid/stat" | awk '{ print $12 + $13 }'; }
    before=$(cpu)
    taskset -c 1 ab -q -k -n "$uploads" -c 4 -u "$work/body" "http://127.0.0.1:$at/file" >"$work/ab" 2>&1 ||
        { cat "$work/ab" >&2; exit 1; }
    after=$(cpu)
    stop
    if ! grep -Eq '^Failed requests: +0$' "$work/ab" || grep -q '^Non-2xx' "$work/ab"; then
        cat "$work/ab" >&2; exit 1
    fi
    cmp -s "$work/body" "$work/files/file" || { echo "$name: the file is not the body" >&2; exit 1; }
    awk -v name="$name" -v bytes="$bytes" -v uploads="$uploads" -v used=$((after - before)) -v ticks="$ticks" \
        'BEGIN { printf "%d %s %.2f\n", bytes, name, used * 1e6 / ticks / uploads }'
}

: >"$work/runs"
for size in $sizes; do
    bytes=${size%:*}
    head -c "$bytes" /dev/urandom >"$work/body"
    order="nginx $strategies"
    for round in $(seq "$rounds"); do
        for name in $order; do
            run "$name" "$bytes" "${size#*:}" >"$work/run"
            sed "s/^/$round /" "$work/run" | tee -a "$work/runs"
        done
        order=$(printf '%s\n' $order | tac | tr '\n' ' ')
    done
done

echo "bytes strategy nginx÷strategy (median, least, most)"
for size in $sizes; do
    for strategy in $strategies; do
        awk -v bytes="${size%:*}" -v strategy="$strategy" '$2 == bytes {
            if ($3 == "nginx") nginx[$1] = $4
            if ($3 == strategy) ours[$1] = $4
        } END { for (round in ours) print nginx[round] / ours[round] }' "$work/runs" | sort -n |
            awk -v bytes="${size%:*}" -v strategy="$strategy" '{ v[NR] = $1 } END {
                m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
                printf "%d %s %.2f (%.2f, %.2f)\n", bytes, strategy, m, v[1], v[NR] }'
    done
done
