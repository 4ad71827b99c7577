#!/usr/bin/env bash
# Checks before a commit, except the tests: format, lints, documentation, guards.
set -euo pipefail
cd "$(dirname "$0")/.."

step() { printf '\n== %s\n' "$1"; }

step "format"
cargo fmt --all --check

step "lints"
cargo clippy --workspace --all-targets --quiet -- -D warnings

step "documentation"
RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet

step "charts need no font library"
# plotters' text features need freetype and fontconfig, and break criterion's plots.
if cargo tree --workspace --edges features --invert plotters | grep -E 'ttf|ab_glyph|font-kit'; then
    echo "plotters has a font feature: remove it from the features above" >&2
    exit 1
fi

step "no paths of this machine"
if git grep -nE '(^|[^A-Za-z0-9._/-])/(work|root|home)/' -- . ':!scripts/check.sh'; then
    echo "absolute paths in the files above: replace them by relative ones" >&2
    exit 1
fi

step "unsafe code only where the architecture allows it"
allowed=(servers/host/src/strategy/uring/{ring,provided}.rs client/loadgen/src/engine/uring/{ring,buffers}.rs
    {client/loadgen,servers/host}/tests/no_allocation.rs)
if git grep -nE '\bunsafe ?(\{|\(|impl|fn|extern)|\bunsafe_code\b' -- '*.rs' "${allowed[@]/#/:!}"; then
    echo "unsafe code in the files above: replace it, or move it to one of: ${allowed[*]}" >&2
    exit 1
fi

step "no circles of imports"
scripts/check-imports.py

step "documentation summaries"
if git grep -nE '^\s*//[/!] (What|Who|Whose|Which|That|Whether|How|It,)\b' -- '*.rs'; then
    echo "rewrite the summaries above: they start with a noun or a verb, see CONTRIBUTING.md" >&2
    exit 1
fi

step "documentation has no examples that are not tested"
# To look for them costs each library a compilation in `cargo test`.
if git grep -nE '^\s*//[/!] ```' -- '*.rs'; then
    echo "remove 'doctest = false' from the Cargo.toml of the packages above, and this step" >&2
    exit 1
fi

step "links between pages"
scripts/check-links.py

step "ok"
