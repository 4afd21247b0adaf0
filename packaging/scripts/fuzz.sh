#!/bin/sh
# Each fuzz target for FUZZ_SECONDS (60). Works on stable Rust: no sanitizer.
set -eu
CARGO=${CARGO:-cargo}
"$CARGO" fuzz --version >/dev/null 2>&1 || { echo "gatewatch: cargo-fuzz is missing: cargo install cargo-fuzz" >&2; exit 2; }
for target in $("$CARGO" fuzz list); do
    echo "== $target"
    "$CARGO" fuzz run -s none "$target" -- -max_total_time="${FUZZ_SECONDS:-60}" -rss_limit_mb=2048
done
