#!/usr/bin/env bash
# Runs the long forms of tests, which `cargo test` leaves out: attacks on strategies whose model of I/O another strategy
# has as well, simulations of thousands of runs, and 10,000 random inputs for each property of the protocol. Takes about
# two minutes on two cores, after `cargo test`.
# Usage: scripts/test-long.sh [FILTER]
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace --lib --test suite -- --ignored "$@"
if [ $# -eq 0 ]; then PROPTEST_CASES=10000 cargo test --workspace --test suite -- properties::; fi
