#!/usr/bin/env bash
# Looks for inputs that a target of src/fuzz minds, with libFuzzer and the stable compiler. Not part of the tests: those
# run the same targets over fuzz/seeds and small changes of them.
#
#   scripts/fuzz.sh TARGET SECONDS            look for so long
#   scripts/fuzz.sh all SECONDS               every target in turn, so long each
#   scripts/fuzz.sh TARGET FILE…              run the target on these inputs only, as after a find
#
# What is found lies in $CARGO_TARGET_DIR/fuzz/finds. Make it small, put it into fuzz/seeds, and mend the code: then it
# is a test. Inputs that reach new code are kept beside it, in corpus, and are where the next run begins.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$LAZARET_CACHE/target}/fuzz

# What cargo-fuzz would set, without the sanitizers, which find nothing in code that is safe.
flags=(
	--cfg fuzzing
	-Cpasses=sancov-module
	-Cllvm-args=-sanitizer-coverage-level=4
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters
	-Cllvm-args=-sanitizer-coverage-pc-table
	-Cllvm-args=-sanitizer-coverage-trace-compares
	-Cforce-frame-pointers
)

# One input must not take longer, nor more memory, and need not be longer.
slow_seconds=20
memory_mib=2048
bytes_max=65536

# Parsers may recurse as deep as the child process in which they run otherwise lets them.
stack_kib=32768

names() { find fuzz/seeds -mindepth 1 -maxdepth 1 -type d -printf '%f\n' | sort; }

build() {
	local host
	host=$(rustc -vV | sed -n 's/^host: //p')
	cp Cargo.lock fuzz/Cargo.lock
	# With a target named, build scripts and macros are not instrumented.
	RUSTFLAGS="${flags[*]}" cargo build --release --manifest-path fuzz/Cargo.toml --target "$host"
	program=$CARGO_TARGET_DIR/$host/release/lazaret-fuzz
}

# fuzz TARGET ARGUMENT…: libFuzzer's own arguments.
fuzz() {
	local target=$1
	shift
	mkdir -p "$CARGO_TARGET_DIR/finds" "$CARGO_TARGET_DIR/corpus/$target"
	LAZARET_FUZZ_TARGET=$target "$program" -timeout=$slow_seconds -rss_limit_mb=$memory_mib -max_len=$bytes_max \
		-artifact_prefix="$CARGO_TARGET_DIR/finds/$target-" "$@"
}

look() { fuzz "$1" -max_total_time="$2" -print_final_stats=1 "$CARGO_TARGET_DIR/corpus/$1" "fuzz/seeds/$1"; }

find_cargo
target=${1:-}
[[ $target == all || -d fuzz/seeds/$target && -n $target && -n ${2:-} ]] ||
	fail "usage: scripts/fuzz.sh TARGET SECONDS|FILE…; targets: all $(names | xargs)" 2
shift
build
ulimit -s "$stack_kib"
if [[ $target == all ]]; then
	failed=()
	for name in $(names); do
		say "== $name"
		look "$name" "${1:-60}" || failed+=("$name")
	done
	((${#failed[@]} == 0)) || fail "found something for: ${failed[*]}; see $CARGO_TARGET_DIR/finds"
elif [[ $1 =~ ^[0-9]+$ ]]; then
	look "$target" "$1"
else
	fuzz "$target" "$@"
fi
