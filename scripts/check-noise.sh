#!/usr/bin/env bash
# Measures the rate of false differences: repeats a short run with two identical servers, a and b,
# and counts the runs that report a difference between them, by the rules of the report.
#
#   scripts/check-noise.sh [REPETITIONS [ROWS.csv]]
#
# The load is downloads of 16 KiB over 64 connections: with smaller files the generator is sometimes
# the bottleneck, and such rounds are excluded. 20 repetitions (the default) take about six minutes
# on an idle machine. ROWS.csv receives all rows, each with the number of its repetition. Exit code
# 1: more than one run in twenty reports a difference in throughput.
# Build first: cargo build --release
set -euo pipefail
cd "$(dirname "$0")/.."

repetitions=${1:-20}
rows=${2:-}
bench=${CARGO_TARGET_DIR:-target}/release/bench
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

for ((i = 1; i <= repetitions; i++)); do
    printf '\r%d of %d' "$i" "$repetitions" >&2
    "$bench" run --strategies selector --variant a=selector --variant b=selector \
        --connections 64 --sizes 16KiB --direction download --rounds 5 --order shuffled --seed "$i" \
        --warm-up 100ms --duration 400ms --out "$dir/$i" >"$dir/$i.log" 2>&1 || {
        # A failed trial is part of the count; a run without rows is an error.
        [ -s "$dir/$i/trials.csv" ] || { cat "$dir/$i.log" >&2; exit 2; }
    }
    if [ -n "$rows" ]; then
        [ "$i" -gt 1 ] || sed -n '1s/^/repetition,/p' "$dir/$i/trials.csv" >"$rows"
        sed "1d; s/^/$i,/" "$dir/$i/trials.csv" >>"$rows"
    fi
done
printf '\n' >&2
folders=()
for ((i = 1; i <= repetitions; i++)); do folders+=("$dir/$i"); done
"$bench" false-alarms "${folders[@]}" | sed "s|^$dir/||"
exit "${PIPESTATUS[0]}"
