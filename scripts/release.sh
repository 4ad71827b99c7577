#!/usr/bin/env bash
# Builds archives of the programs server, client and bench, statically linked and stripped, with completions, man
# pages, documentation and checksums, and shows that the programs run in a root folder that contains nothing else.
#
#   scripts/release.sh [FOLDER]        default: target/archives
#
# Targets: glibc (with crt-static), and musl if it is installed (rustup target add ARCH-unknown-linux-musl). Needs
# root, or the permission to create user namespaces, for the check in an empty root folder.
# Exit code 0: all archives are complete; 1: a check failed; 2: the build could not start.
set -euo pipefail
cd "$(dirname "$0")/.."

programs=(server client bench)
most_bytes=$((15 * 1000 * 1000))

target_folder=$(cargo metadata --no-deps --format-version 1 | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')
mkdir -p "${1:-$target_folder/archives}"
out=$(realpath "${1:-$target_folder/archives}")
version=$(sed -nE 's/^version = "(.*)"$/\1/p' Cargo.toml | head -n 1)
# The archive of a commit is the same wherever and whenever it is made, if the compiler is the same.
time=$(git log -1 --format=%ct)

work=$(mktemp -d)
pid=
clean_up() {
    if [ -n "$pid" ]; then kill -KILL "$pid" && wait "$pid"; fi 2>/dev/null || true
    rm -rf "$work"
}
trap clean_up EXIT

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# in_root FOLDER COMMAND…: runs a command with this folder as its root. Becomes the command, so that signals reach it.
in_root() {
    if [ "$(id -u)" -eq 0 ]; then exec chroot "$@"; fi
    exec unshare --map-root-user chroot "$@"
}

# Shows that the programs need no other file: no libraries, no configuration, no user database, no time zones.
check_alone() {
    local bin=$1 root=$work/root address program code=0
    rm -rf "$root"
    mkdir "$root"
    for program in "${programs[@]}"; do
        cp "$bin/$program" "$root"
        (in_root "$root" "/$program" --version) || fail "$program does not run alone"
    done
    (in_root "$root" /bench list) >"$work/list" || fail "bench list does not run alone"
    grep -q multi-selector "$work/list" || fail "bench list does not list the strategies"

    mkdir "$root/served"
    head -c 5000000 /dev/urandom >"$root/sent"
    mkfifo "$work/stdout"
    (in_root "$root" /server --listen 127.0.0.1:0 --root /served --quiet) >"$work/stdout" 2>"$work/stderr" &
    pid=$!
    exec 3<"$work/stdout"
    read -r _ _ address <&3 || fail "the server does not start: $(cat "$work/stderr")"
    (in_root "$root" /client send /sent "$address") >"$work/output" || fail "the upload fails: $(cat "$work/output")"
    (in_root "$root" /client get sent "$address" -o /received) >"$work/output" ||
        fail "the download fails: $(cat "$work/output")"
    cmp "$root/sent" "$root/served/sent" || fail "the upload has other bytes"
    cmp "$root/sent" "$root/received" || fail "the download has other bytes"
    kill -TERM "$pid"
    wait "$pid" || code=$?
    pid=
    exec 3<&-
    rm "$work/stdout"
    [ "$code" -eq 0 ] || fail "the server ended with exit code $code: $(cat "$work/stderr")"
    echo "  ran alone: versions, list, an upload and a download"
}

# Builds for a target and writes its archive.
archive() {
    local target=$1 flags=$2
    local name=threads-vs-selectors-$version-$target
    local bin=$target_folder/$target/dist folder=$work/$name program shell bytes
    echo "== $target"
    # An explicit target, so that the flags do not apply to build scripts and macros.
    RUSTFLAGS="$flags -C strip=symbols" cargo build --quiet --locked --profile dist --target "$target" \
        -p fileserver -p client -p bench --bins || exit 2
    mkdir -p "$folder"/{bin,completions,man/man1,docs,results}
    for program in "${programs[@]}"; do
        bytes=$(stat -c %s "$bin/$program")
        [ "$bytes" -le "$most_bytes" ] || fail "$program has $bytes bytes, more than $most_bytes"
        printf '  %-7s %5.1f MB\n' "$program" "$(echo "$bytes" | awk '{ print $1 / 1e6 }')"
        cp "$bin/$program" "$folder/bin"
        for shell in bash zsh fish; do
            "$bin/$program" completions "$shell" >"$folder/completions/$program.$shell"
        done
        "$bin/$program" man "$folder/man/man1" >/dev/null
        [ -s "$folder/man/man1/$program.1" ] || fail "$program wrote no man page $program.1"
    done
    check_alone "$bin"
    cp LICENSE README.md CHANGELOG.md CITATION.cff "$folder"
    cp docs/*.md "$folder/docs"
    cp results/SCHEMA.md "$folder/results"
    tar --create --sort=name --owner=0 --group=0 --numeric-owner --mode=go=rX,u+w --mtime="@$time" \
        --directory "$work" "$name" | gzip --no-name --best >"$out/$name.tar.gz"
    archives+=("$name.tar.gz")
}

archives=()
arch=$(uname -m)
archive "$arch-unknown-linux-gnu" "-C target-feature=+crt-static"
musl=$arch-unknown-linux-musl
if [ -d "$(rustc --print target-libdir --target "$musl" 2>/dev/null)" ]; then
    archive "$musl" ""
else
    echo "== $musl: skipped, not installed: rustup target add $musl"
fi

cd "$out"
sha256sum "${archives[@]}" | tee SHA256SUMS
sha256sum --check --quiet SHA256SUMS
echo "archives in $out"
