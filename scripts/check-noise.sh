#!/usr/bin/env bash
# Checks the rule by which differences are claimed: repeats a short run with two further copies of
# one server, a and b, and counts in how many a difference between them is claimed. The floor comes
# from another pair, the selector and its A/A control, so that nothing is compared with itself.
#
#   scripts/check-noise.sh [REPETITIONS [ROWS.csv]]
#
# Each asks for 16 KiB over 64 connections: with smaller files the generator is now and then the
# limit, and such a round supports no claim anyway. 20 repetitions (the default) take under five
# minutes on an idle machine. All rows go to ROWS.csv, behind the number of their repetition. Exit
# code 1: throughput is claimed to differ more often than once in twenty.
# Needs the programs built by: cargo build --release
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
        # A trial that failed is for the count to tell; a run without rows is not.
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
