#!/bin/sh
# The proof on a whole host (tests/chaos): CHAOS_SECONDS of writing (60; 600 by hand), CHAOS_SEED to repeat one. Built with
# optimisation, since at 20,000 lines/s with a restart every 0.3 s a debug build does not keep up.
set -eu
CARGO=${CARGO:-cargo}
PATH="$PATH:/usr/sbin:/sbin"
export PATH CHAOS_SECONDS="${CHAOS_SECONDS:-60}"
command -v logrotate >/dev/null 2>&1 || { echo "gatewatch: logrotate is missing: apt-get install logrotate" >&2; exit 2; }
exec "$CARGO" test --profile chaos --locked --test chaos -- --nocapture --test-threads 1
