#!/usr/bin/env bash
# Attacks every strategy by every case in full, against the release program, and prints a table:
# case × strategy, the figure of the case or FAILED. Some cases take root; without, they are skipped.
# Usage: scripts/attack.sh [FILTER]     e.g. scripts/attack.sh uring::
set -uo pipefail
cd "$(dirname "$0")/.."

cargo build --release --quiet -p fileserver --bin server || exit 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
ATTACK=full ATTACK_SERVER="$(realpath "${CARGO_TARGET_DIR:-target}")/release/server" \
    cargo test --quiet -p fileserver --test suite -- "attack::${1:-}" --include-ignored --test-threads=1 --format=pretty \
    >"$folder/tests" 2>"$folder/figures"
status=$?

strategies=(iterative prefork threaded thread-pool selector multi-selector hybrid uring tokio)
printf '| case |'; printf ' %s |' "${strategies[@]}"; printf '\n| --- |'
printf ' --- |%.0s' "${strategies[@]}"; printf '\n'
sed -nE 's/^test attack::[a-z_]+::([a-z_]+) .*/\1/p' "$folder/tests" | sort -u | while read -r case; do
    printf '| %s |' "${case//_/ }"
    for strategy in "${strategies[@]}"; do
        figure=$(awk -F'\t' -v case="$case" -v strategy="$strategy" \
            '$1 ~ /attack$/ && $2 == case && $3 == strategy { print $4 }' "$folder/figures")
        if grep -qE "^    attack::${strategy//-/_}::$case\$" "$folder/tests"; then figure=FAILED; fi
        printf ' %s |' "${figure:-–}"
    done
    printf '\n'
done
if [ "$status" -ne 0 ]; then grep -E 'panicked at|^test result' -A1 "$folder/tests" >&2; fi
exit "$status"
