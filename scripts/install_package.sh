#!/bin/sh
# Installs a Debian package where its program is missing and we may, without leaving a system service running:
#   scripts/install_package.sh PACKAGE PROGRAM...      any of the programs, by name or path, will do
set -eu
package=$1
shift

for program in "$@"; do
    if [ -x "$program" ] || command -v "$program" >/dev/null 2>&1; then
        exit 0
    fi
done

if ! command -v apt-get >/dev/null 2>&1; then
    exit 0 # whoever needs it says what to do
elif [ "$(id -u)" = 0 ]; then
    as_root=
elif sudo -n true >/dev/null 2>&1; then
    as_root="sudo -n"
else
    exit 0
fi

echo "setup: installing $package"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    trap '$as_root rm -f "$policy"' EXIT
fi

install_package() {
    $as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install --yes --quiet --quiet --no-install-recommends "$package" >/dev/null
}

log=$(mktemp)
if ! install_package 2>"$log"; then
    $as_root apt-get update --quiet --quiet >/dev/null 2>&1 || true
    install_package 2>"$log" || { tail -n 3 "$log" >&2; echo "setup: $package could not be installed" >&2; }
fi
rm -f "$log"

if [ -d /run/systemd/system ]; then
    $as_root systemctl disable --now --quiet "$package" || true
fi
