#!/usr/bin/env bash
# Measures the rate of false alarms of a regression gate: `bench ab` compares a program with itself,
# repeatedly, with limits as in continuous integration, and the failures are counted.
#
#   scripts/check-gates.sh [REPETITIONS [OUTPUT.csv]]
#
# The loads are downloads and uploads of 16 KiB over 64 connections, in eight rounds with windows of half a
# second. 40 repetitions (the default) take about 20 minutes on an idle machine. OUTPUT.csv receives a row per gate:
# its exit code, the limits exceeded in the first measurement, and those confirmed by the second.
# Exit code 1: more than one gate in 40 fails.
# Build first: cargo build --release
set -euo pipefail
cd "$(dirname "$0")/.."

repetitions=${1:-40}
rows=${2:-/dev/null}
bench=${CARGO_TARGET_DIR:-target}/release/bench
limits='throughput<-5%,p50>+5%,p99>+20%,p99.9>+50%,cpu_per_request>+5%,memory>+10%,errors>0.1%'
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

failed=0 repeated=0
echo "gate,exit_code,exceeded_once,exceeded_twice" >"$rows"
for ((i = 1; i <= repetitions; i++)); do
    printf '\r%d of %d' "$i" "$repetitions" >&2
    code=0
    "$bench" ab --old "$bench" --new "$bench" --connections 64 --sizes 16KiB \
        --rounds 8 --duration 500ms --seed "$i" --fail-if "$limits" --out "$dir/$i" >"$dir/$i.log" 2>&1 || code=$?
    if [ "$code" -gt 1 ]; then
        cat "$dir/$i.log" >&2
        exit 2
    fi
    once=$(grep -c '^Beyond .*: ' "$dir/$i.log" || true)
    twice=$(grep -c '^Beyond .* twice: ' "$dir/$i.log" || true)
    echo "$i,$code,$((once - twice)),$twice" >>"$rows"
    failed=$((failed + (code == 1))) repeated=$((repeated + (once > twice)))
done
printf '\n' >&2
echo "$failed of $repetitions gates failed; $repeated measured a second time. Limits: $limits"
[ "$((failed * 40))" -le "$repetitions" ]
