#!/usr/bin/env bash
# Installs the reference servers from Debian's packages without starting them as services: the
# harness starts them with its own configuration.
set -euo pipefail

packages=(nginx-light apache2-bin lighttpd lighttpd-mod-webdav)

if ! command -v apt-get >/dev/null; then
    echo "missing: apt-get; install nginx, apache2 and lighttpd by hand" >&2
    exit 2
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    as_root=(sudo)
fi

# Without an existing policy, a temporary one prevents packages from starting their services.
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
