#!/bin/sh
# What a build needs. Prints one line naming the fix and exits 2 for the first thing that lacks.
set -u
need=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
CARGO=${CARGO:-cargo}

fail() { printf 'gatewatch: %s\n' "$1" >&2; exit 2; }

command -v "$CARGO" >/dev/null 2>&1 || fail "Rust is missing: install it from https://rustup.rs (needs $need or newer)"
have=$("$CARGO" --version 2>/dev/null | sed -n 's/^cargo \([0-9]*\.[0-9]*\).*/\1/p')
[ -n "$have" ] || fail "\`$CARGO --version\` does not work: run \`rustup default stable\`"
oldest=$(printf '%s\n%s\n' "$need" "$have" | sort -t. -k1,1n -k2,2n | head -n 1)
[ "$oldest" = "$need" ] || fail "Rust $have is too old: run \`rustup update stable\` (needs $need or newer)"
command -v cc >/dev/null 2>&1 || command -v gcc >/dev/null 2>&1 || command -v clang >/dev/null 2>&1 ||
    fail "a C compiler is missing: apt-get install gcc (or your system's package)"
