#!/usr/bin/env bash
# Installs the real servers of the comparison from Debian's packages, without starting them as
# services: the harness starts its own with its own configuration.
set -euo pipefail

packages=(nginx-light apache2-bin lighttpd lighttpd-mod-webdav)

if ! command -v apt-get >/dev/null; then
    echo "this script knows Debian's apt-get only; install by hand: nginx, apache2, lighttpd" >&2
    exit 2
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi

# A policy that forbids it keeps packages from starting their services, where there is none yet.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod +x "$policy"
    trap '"${as_root[@]}" rm -f "$policy"' EXIT
fi

"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
for binary in nginx apache2 lighttpd; do
    PATH="$PATH:/usr/sbin" command -v "$binary"
done
