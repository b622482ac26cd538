# The commands people type. Each is a short way to a script or to cargo; nothing is decided here.

export CARGO_TARGET_DIR ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/lazaret/target
# A Rust that rustup has just installed is not on the path yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

.PHONY: help demo test bench build lint fmt clean
.DEFAULT_GOAL := help

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Build and run the whole pipeline in one process; ARGS='--documents DIR --ask "…"'
	@scripts/demo.sh $(ARGS)

test: ## Format, lint, and every test against a real Kafka and schema registry; ARGS='name' picks tests
	@scripts/test.sh $(ARGS)

bench: ## Measure beside a bare librdkafka loop, on a Kafka of its own; ARGS='pass --quick'
	@scripts/bench.sh $(ARGS)

build: ## Install what a build needs, and build
	@scripts/setup.sh
	@cargo build --locked

lint: ## Clippy, with warnings as errors
	@cargo clippy --locked --all-targets -- -D warnings

fmt: ## Format the code
	@cargo fmt

clean: ## Remove the build; the fetched servers stay in ~/.cache/lazaret/parts
	@cargo clean
