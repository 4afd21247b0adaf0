#!/bin/sh
# Installs what the end-to-end tests need and this machine lacks, with no service started by it: nginx, HAProxy, aiosmtpd,
# openssl. As root, or with `sudo -n`; else prints the one line to run and exits 2.
set -u
PATH="$PATH:/usr/sbin:/sbin"

missing=""
command -v nginx >/dev/null 2>&1 || missing="$missing nginx-light"
command -v haproxy >/dev/null 2>&1 || missing="$missing haproxy"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
command -v setpriv >/dev/null 2>&1 || missing="$missing util-linux"
/usr/bin/python3 -c 'import aiosmtpd' >/dev/null 2>&1 || missing="$missing python3-aiosmtpd"
[ -z "$missing" ] && exit 0

line="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    printf 'gatewatch: the tests need%s; install them with your package manager\n' "$missing" >&2
    exit 2
fi
if [ "$(id -u)" = 0 ]; then
    as=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1; then
    as="sudo -n"
else
    printf 'gatewatch: the tests need packages; run this once: sudo %s\n' "$line" >&2
    exit 2
fi

# A package's service must not start: policy-rc.d says so, and is gone on every exit, also an interrupted one.
policy=/usr/sbin/policy-rc.d
ours=""
cleanup() { [ -n "$ours" ] && $as rm -f "$policy"; }
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' | $as tee "$policy" >/dev/null && $as chmod 755 "$policy"
fi

set -- $missing
if ! apt-cache show "$1" >/dev/null 2>&1; then
    $as apt-get update -qq || exit 2
fi
printf 'gatewatch: installing%s\n' "$missing" >&2
$as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null || {
    # Lists may be stale: once more with fresh ones.
    $as apt-get update -qq && $as env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends "$@" >/dev/null || exit 2
}
