# gatewatch: `make demo` shows it, `make test` proves it. Needs make, a C compiler and Rust; the rest is said when it lacks.
SHELL := /bin/sh
export CARGO ?= cargo
.DEFAULT_GOAL := help

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

toolchain:       ## is what a build needs here? one line naming the fix, exit 2, if not
	@sh packaging/scripts/toolchain.sh

demo: toolchain  ## build, then watch one of three upstreams fail and the alert arrive (≤ 30 s, no root, no configuration)
	@$(CARGO) build --quiet --locked
	@$(CARGO) run --quiet --locked -- demo

test: toolchain  ## install what the tests need if it lacks (nginx, HAProxy, aiosmtpd), then run every test
	@sh packaging/scripts/test-needs.sh
	@PATH="$$PATH:/usr/sbin:/sbin" sh packaging/scripts/test.sh

lint: toolchain  ## fmt, clippy, doc, each core crate alone
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	$(CARGO) check --locked -p gatewatch-parsers
	$(CARGO) check --locked -p gatewatch-rules
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --locked --quiet

deny: toolchain  ## licences, bans, sources (needs cargo-deny)
	$(CARGO) deny --locked check bans licenses sources

bench: toolchain ## the numbers of the README: against halog, mawk, goaccess and mtail on a generated log
	@sh packaging/scripts/bench.sh

eval: toolchain  ## how good the presets are, on generated traffic with known faults (minutes): rules/EVALUATION.md
	@$(CARGO) run --quiet --release --locked -p gatewatch-rules --example eval -- $(EVAL) > target/evaluation.md
	@mv target/evaluation.md rules/EVALUATION.md && cat rules/EVALUATION.md

chaos: toolchain ## a writer, logrotate and kill -9 for CHAOS_SECONDS (60): exact in the end
	@sh packaging/scripts/chaos.sh

fuzz: toolchain  ## 60 s for each fuzz target (needs cargo-fuzz)
	@sh packaging/scripts/fuzz.sh

.PHONY: help toolchain demo test lint deny bench eval chaos fuzz
