#!/bin/sh
# Each fuzz target for FUZZ_SECONDS (60), from what the tests know already. Works on stable Rust: no sanitizer.
# FUZZ_FLAGS=--dev builds faster and runs slower.
set -eu
CARGO=${CARGO:-cargo}
"$CARGO" fuzz --version >/dev/null 2>&1 || { echo "gatewatch: cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 2; }
for target in $("$CARGO" fuzz list); do
    echo "== $target"
    # The first folder takes what is found, the others are only read.
    mkdir -p "fuzz/corpus/$target"
    set -- "fuzz/corpus/$target"
    [ "$target" != configuration ] || set -- "$@" tests/good_config tests/bad_config
    # What a running agent writes, made by a test.
    [ "$target" != snapshot ] || GATEWATCH_SEEDS="$PWD/fuzz/corpus/snapshot" "$CARGO" test --quiet --locked --lib state::store::tests::seeds
    # shellcheck disable=SC2086 # flags, apart
    "$CARGO" fuzz run -s none ${FUZZ_FLAGS:-} "$target" "$@" -- \
        -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=2048 -max_len=4096
done
