#!/bin/sh
# What a build needs. Prints one line naming the fix and exits 2 for the first thing that lacks.
set -u
need=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
CARGO=${CARGO:-cargo}
RUSTC=${RUSTC:-rustc}

fail() { printf 'gatewatch: %s\n' "$1" >&2; exit 2; }

# The number of `rustc 1.88.0 (…)`; nothing if the program does not run.
version() { "$1" --version 2>/dev/null | sed -n 's/^[a-z]* \([0-9]*\.[0-9]*\).*/\1/p'; }

if ! command -v "$CARGO" >/dev/null 2>&1; then
    [ -x "${HOME:-}/.cargo/bin/cargo" ] && fail "Rust is installed, but not in PATH: run \`. \"\$HOME/.cargo/env\"\`"
    fail "Rust is missing: install it from https://rustup.rs (needs $need or newer)"
fi
for program in "$CARGO" "$RUSTC"; do
    have=$(version "$program")
    [ -n "$have" ] || fail "\`$program --version\` does not work: run \`rustup default stable\` (needs $need or newer)"
    oldest=$(printf '%s\n%s\n' "$need" "$have" | sort -t. -k1,1n -k2,2n | head -n 1)
    [ "$oldest" = "$need" ] || fail "Rust $have is too old: run \`rustup update stable\` (needs $need or newer)"
done

# rustc links with `cc`, and some crates compile C with it. One that lacks the C library's headers is none.
fix="apt-get install gcc libc6-dev (or your system's packages)"
command -v cc >/dev/null 2>&1 || fail "a C compiler is missing (cc): $fix"
try=$(mktemp -d) || exit 2
trap 'rm -rf "$try"' EXIT
printf '#include <stdlib.h>\nint main(void) { return EXIT_SUCCESS; }\n' > "$try/try.c"
cc -o "$try/try" "$try/try.c" >/dev/null 2>&1 || fail "the C compiler (cc) cannot build a program: $fix"
