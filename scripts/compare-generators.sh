#!/bin/sh
# Compares what a request costs this project's load generator and wrk: processor time (user +
# system) per request against one and the same nginx, 1 KiB, 64 keep-alive connections.
#
#   scripts/compare-generators.sh [PAIRS] [SECONDS]
#
# nginx runs on core 0, the generators in turn (A B B A …) on core 1. Prints every run, the medians
# and their ratio. Needs nginx, wrk, taskset and GNU time, and `cargo build --release -p loadgen`.
set -eu

pairs=${1:-5}
seconds=${2:-3}
port=${PORT:-28899}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
client=${CARGO_TARGET_DIR:-$root/target}/release/client
time=$(command -v time || echo /usr/bin/time)
for tool in nginx wrk taskset "$client" "$time"; do
    command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 2; }
done

work=$(mktemp -d)
trap 'kill "$(cat "$work/pid")" 2>/dev/null || true; rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/files" "$work/tmp"
head -c 1024 /dev/zero >"$work/files/1k"
cat >"$work/nginx.conf" <<CONF
worker_processes 1;
pid $work/pid;
error_log $work/error.log;
events { worker_connections 1024; }
http {
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000000; open_file_cache max=16;
  client_body_temp_path $work/tmp; proxy_temp_path $work/tmp; fastcgi_temp_path $work/tmp;
  uwsgi_temp_path $work/tmp; scgi_temp_path $work/tmp;
  server { listen 127.0.0.1:$port; root $work/files; }
}
CONF
taskset -c 0 nginx -e "$work/error.log" -c "$work/nginx.conf" -p "$work"
url=http://127.0.0.1:$port/1k

# Each prints its name, its requests, and its processor time per request in microseconds.
run() {
    case $1 in
        client) set -- "$1" "$client" load "$url" --connections 64 --duration "${seconds}s" --warm-up 0s ;;
        wrk) set -- "$1" wrk -t1 -c64 "-d${seconds}s" "$url" ;;
    esac
    name=$1; shift
    "$time" -f '%U %S' -o "$work/time" taskset -c 1 "$@" >"$work/out"
    requests=$(awk '$1 == "requests" { print $2 } $2 == "requests" && $3 == "in" { print $1 }' "$work/out")
    awk -v name="$name" -v requests="$requests" \
        '{ printf "%s %d %.3f\n", name, requests, ($1 + $2) * 1e6 / requests }' "$work/time"
}

pair=0
while [ "$pair" -lt "$pairs" ]; do
    if [ $((pair % 2)) -eq 0 ]; then run client; run wrk; else run wrk; run client; fi
    pair=$((pair + 1))
done | tee "$work/runs"

median() { awk -v name="$1" '$1 == name { print $3 }' "$work/runs" | sort -n |
    awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
awk -v client="$(median client)" -v wrk="$(median wrk)" 'BEGIN {
    printf "median: client %.3f us, wrk %.3f us, ratio %.3f\n", client, wrk, client / wrk }'
