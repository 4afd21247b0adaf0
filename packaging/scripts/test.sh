#!/bin/sh
# Every test. cargo-nextest where it is installed (it prints one line a test and runs them apart), else cargo test.
set -eu
CARGO=${CARGO:-cargo}
if "$CARGO" nextest --version >/dev/null 2>&1; then
    "$CARGO" nextest run --workspace --locked --no-fail-fast
    "$CARGO" test --workspace --locked --doc --quiet
else
    "$CARGO" test --workspace --locked --no-fail-fast
fi
