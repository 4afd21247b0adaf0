#!/bin/sh
# Installs what the end-to-end tests need and this machine lacks, with no service started by it: nginx, HAProxy, logrotate,
# aiosmtpd, openssl, setpriv, systemd-analyze, promtool, Alertmanager. As root, or with `sudo -n`; else prints the one line to run and exits 2.
set -u
PATH="$PATH:/usr/sbin:/sbin"

missing=""
command -v nginx >/dev/null 2>&1 || missing="$missing nginx"
command -v haproxy >/dev/null 2>&1 || missing="$missing haproxy"
command -v logrotate >/dev/null 2>&1 || missing="$missing logrotate"
command -v openssl >/dev/null 2>&1 || missing="$missing openssl"
command -v promtool >/dev/null 2>&1 || missing="$missing prometheus"
command -v prometheus-alertmanager >/dev/null 2>&1 || missing="$missing prometheus-alertmanager"
command -v setpriv >/dev/null 2>&1 || missing="$missing util-linux"
command -v systemd-analyze >/dev/null 2>&1 || missing="$missing systemd"
/usr/bin/python3 -c 'import aiosmtpd' >/dev/null 2>&1 || missing="$missing python3-aiosmtpd"
[ -z "$missing" ] && exit 0

line="apt-get install -y --no-install-recommends$missing"
if ! command -v apt-get >/dev/null 2>&1; then
    printf 'gatewatch: the tests need%s: install them with your package manager\n' "$missing" >&2
    exit 2
fi
# Whether apt knows them: without lists it does not.
# shellcheck disable=SC2086 # names of packages, apart
set -- $missing
known=yes
if ! apt-cache show "$@" >/dev/null 2>&1; then
    known=""
    line="apt-get update && $line"
fi
if [ "$(id -u)" = 0 ]; then
    as=""
elif command -v sudo >/dev/null 2>&1 && sudo -n true >/dev/null 2>&1; then
    as="sudo -n"
else
    printf 'gatewatch: the tests need packages; run once as root: %s\n' "$line" >&2
    exit 2
fi

# A package's service must not start: policy-rc.d says so, and is gone on every exit, also an interrupted one. One that is
# there already is somebody else's, and stays; one that an earlier run could not remove (kill -9) is known by its mark.
policy=/usr/sbin/policy-rc.d
mark="# gatewatch: make test"
ours=""
cleanup() {
    if [ -n "$ours" ] && grep -qsxF "$mark" "$policy"; then $as rm -f "$policy"; fi
}
trap cleanup EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 131' QUIT
trap 'exit 143' TERM
if grep -qsxF "$mark" "$policy"; then
    ours=yes
elif [ ! -e "$policy" ] && [ ! -L "$policy" ]; then
    # Set before it is made: no signal comes between.
    ours=yes
    # noclobber: if somebody makes one at this moment, theirs stays.
    # shellcheck disable=SC2016 # for the inner shell
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" |
        $as sh -c 'set -C; cat > "$1" && chmod 755 "$1"' sh "$policy" || exit 2
fi

apt_get() { $as env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >/dev/null </dev/null; }

[ -n "$known" ] || apt_get update || exit 2
printf 'gatewatch: installing%s\n' "$missing" >&2
apt_get install -y --no-install-recommends "$@" || {
    # Lists may be stale: once more with fresh ones.
    apt_get update && apt_get install -y --no-install-recommends "$@"
} || {
    printf 'gatewatch: could not install the packages that the tests need: %s\n' "$line" >&2
    exit 2
}
