#!/bin/sh
# Compares the processor time (user + system) per request of wrk and of this project's load generator
# with each of its engines: one nginx, 64 keep-alive connections.
#
#   scripts/compare-generators.sh [ROUNDS] [SECONDS] [BYTES] [GENERATOR...]
#
# By default 5 rounds of 3 seconds, 1024 bytes, and the generators wrk, epoll and uring. nginx runs
# on core 0, the generators in turn (A B C, C B A, …) on core 1. Prints every run (name, requests/s,
# µs of processor time per request), the medians, and for each generator the ratio of its requests
# per second of processor time to those of the first generator. Only medians are compared. If nginx
# is always busy, requests/s are the server's capacity.
# Needs nginx, taskset, GNU time, and wrk unless it is excluded. PORT sets nginx's port.
# Build first: cargo build --release -p client
set -eu

rounds=${1:-5}
seconds=${2:-3}
bytes=${3:-1024}
if [ $# -gt 3 ]; then shift 3; else set -- wrk epoll uring; fi
generators=$*
port=${PORT:-28899}
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
client=${CARGO_TARGET_DIR:-$root/target}/release/client
time=$(command -v time || echo /usr/bin/time)
tools="nginx taskset $time"
backwards=
for generator in $generators; do
    case $generator in
        wrk) tools="$tools wrk" ;;
        epoll | uring | auto) tools="$tools $client" ;;
        *) echo "unknown generator: $generator; choose wrk, epoll, uring or auto" >&2; exit 2 ;;
    esac
    backwards="$generator $backwards"
done
for tool in $tools; do
    command -v "$tool" >/dev/null || { echo "missing: $tool" >&2; exit 2; }
done

work=$(mktemp -d)
trap 'kill "$(cat "$work/pid")" 2>/dev/null || true; rm -rf "$work"' EXIT
chmod 755 "$work"
mkdir "$work/files" "$work/tmp"
head -c "$bytes" /dev/zero >"$work/files/file"
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
url=http://127.0.0.1:$port/file

# run GENERATOR: prints its name, its requests per second and its processor time per request in µs.
run() {
    name=$1
    case $name in
        wrk) set -- wrk -t1 -c64 "-d${seconds}s" "$url" ;;
        *) set -- "$client" load "$url" --engine "$name" --connections 64 \
            --duration "${seconds}s" --warm-up 0s ;;
    esac
    "$time" -f '%U %S' -o "$work/time" taskset -c 1 "$@" >"$work/out" || {
        echo "$name failed:" >&2; cat "$work/out" "$work/time" >&2; exit 1; }
    requests=$(awk '$1 == "requests" { print $2 } $2 == "requests" && $3 == "in" { print $1 }' "$work/out")
    awk -v name="$name" -v requests="$requests" -v seconds="$seconds" \
        '{ printf "%s %.0f %.3f\n", name, requests / seconds, ($1 + $2) * 1e6 / requests }' "$work/time"
}

: >"$work/runs"
round=0
while [ "$round" -lt "$rounds" ]; do
    order=$generators
    [ $((round % 2)) -eq 0 ] || order=$backwards
    for generator in $order; do
        run "$generator" >"$work/run"
        tee -a "$work/runs" <"$work/run"
    done
    round=$((round + 1))
done

# median GENERATOR COLUMN: prints the median over the generator's runs.
median() { awk -v name="$1" -v column="$2" '$1 == name { print $column }' "$work/runs" | sort -n |
    awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }
first=$1
first_us=$(median "$first" 3)
for generator in $generators; do
    awk -v name="$generator" -v rate="$(median "$generator" 2)" -v us="$(median "$generator" 3)" \
        -v first="$first" -v first_us="$first_us" 'BEGIN {
        printf "median: %-5s %.0f requests/s, %.3f us per request, %.2f times %s\n", \
            name, rate, us, first_us / us, first }'
done
