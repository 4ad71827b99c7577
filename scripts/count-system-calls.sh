#!/usr/bin/env bash
# Counts the system calls per 1,000 small requests: 1 KiB over 64 keep-alive connections (iterative:
# 1), the server on one core.
#
#   scripts/count-system-calls.sh [STRATEGY…]        default: all strategies
#
# Needs strace. Build first: cargo build --release
#
# Each server runs for a short and for a longer time. The difference of the two runs is the cost of the
# requests, without start and end. strace slows a server down, so more connections are ready at each
# call of a selector; without strace a selector calls epoll_wait more often.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=${CARGO_TARGET_DIR:-target}/release
strategies=("$@")
if [ $# -eq 0 ]; then
    strategies=(iterative prefork threaded thread-pool selector multi-selector hybrid uring tokio)
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/root"
head -c 1024 /dev/urandom >"$dir/root/file"

# trace STRATEGY CONNECTIONS TIME RESULT: writes requests and calls of a whole run as "name count" lines.
trace() {
    : >"$dir/out"
    taskset -c 0 strace -f -c -U name,calls -o "$dir/calls" \
        "$programs/server" --strategy "$1" --listen 0 --root "$dir/root" --quiet \
        >"$dir/out" 2>"$dir/err" &
    local tracer=$! address
    until grep -q '^listening on ' "$dir/out"; do
        kill -0 "$tracer" 2>/dev/null || return 1
        sleep 0.05
    done
    address=$(sed -n 's/^listening on //p' "$dir/out")
    # Long enough for prefork to start all its processes.
    local warm_up=200ms
    [ "$1" != prefork ] || warm_up=3s
    "$programs/client" load "http://$address/file" -c "$2" --warm-up "$warm_up" -d "$3" >"$dir/load"
    kill -TERM "$(pgrep -P "$tracer")"
    wait "$tracer" || true
    {
        sed -n 's/^ended .* *requests=\([0-9]*\).*/requests \1/p' "$dir/out"
        awk '$1 ~ /^[a-z_0-9]+$/ && $1 != "total" && $2 ~ /^[0-9]+$/ { print $1, $2 }' "$dir/calls"
    } >"$4"
}

for strategy in "${strategies[@]}"; do
    connections=64
    [ "$strategy" != iterative ] || connections=1
    if ! trace "$strategy" "$connections" 100ms "$dir/short" ||
        ! trace "$strategy" "$connections" 3s "$dir/long"; then
        printf '%-15s %s\n' "$strategy" "$(tail -n 1 "$dir/err")"
        continue
    fi
    awk -v strategy="$strategy" '
        NR == FNR { short[$1] = $2; next }
        $1 == "requests" { requests = $2 - short[$1]; next }
        {
            per = ($2 - short[$1]) * 1000 / requests
            total += per
            if (per >= 1) names[++n] = sprintf("%s %.0f", $1, per)
        }
        END {
            printf "%-15s %6.0f  ", strategy, total
            for (i = 1; i <= n; i++) printf "%s%s", names[i], i < n ? ", " : "\n"
        }' "$dir/short" "$dir/long"
done
