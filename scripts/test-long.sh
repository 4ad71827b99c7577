#!/usr/bin/env bash
# Runs the long forms of tests, which `cargo test` leaves out: attacks on strategies whose model of I/O another strategy
# has as well, and simulations of thousands of runs. Takes about five minutes on two cores.
# Usage: scripts/test-long.sh [FILTER]
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test --workspace --lib --test attack -- --ignored "$@"
