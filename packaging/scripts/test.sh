#!/bin/sh
# Every test. cargo-nextest where it is installed (it prints one line a test and runs them apart), else cargo test. Both
# swallow what a passing test says, so tests that the machine refuses write `skipped: why` to a file, shown at the end.
set -u
CARGO=${CARGO:-cargo}
GATEWATCH_SKIPPED=$(mktemp) || exit 2
export GATEWATCH_SKIPPED
trap 'rm -f "$GATEWATCH_SKIPPED"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if "$CARGO" nextest --version >/dev/null 2>&1; then
    "$CARGO" nextest run --workspace --locked --no-fail-fast &&
        "$CARGO" test --workspace --locked --doc --quiet
else
    "$CARGO" test --workspace --locked --no-fail-fast
fi
code=$?
sort -u "$GATEWATCH_SKIPPED"
exit "$code"
