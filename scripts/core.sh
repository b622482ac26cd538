#!/usr/bin/env bash
# Builds the pure core alone: `src/message` and `src/flow` in a throw-away crate with the few dependencies they need,
# at the versions of Cargo.lock. It proves that the core needs nothing else, and it is built in seconds.
#
#   scripts/core.sh check                     compile it, and run its tests
#   scripts/core.sh simulate SEEDS [FROM]     run so many seeds of the engine's simulator, optimised, beginning at FROM
#   scripts/core.sh mutants [FILE…]           change the code in every small way and see which change no test notices
#
# `flow::topology` is left out: it turns the configuration file into names, and the configuration is no part of the core.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

usage() { fail "usage: scripts/core.sh check | simulate SEEDS [FROM] | mutants [FILE…]" 2; }

# Everything that the core may use. A new name here is a decision, not a detail.
dependencies='base64 blake3 httpdate jiff schemars serde serde_json thiserror'
dev_dependencies='proptest'

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$LAZARET_CACHE/target}
crate=$CARGO_TARGET_DIR/core

# section NAME: the lines of a section of Cargo.toml, without its heading.
section() { awk -v heading="[$1]" '/^\[/ { inside = $0 == heading; next } inside' Cargo.toml; }

# pick SECTION NAME…: the lines of a section of Cargo.toml that set these names.
pick() {
	local section=$1 name
	shift
	for name; do
		section "$section" | grep "^$name = " || fail "'$name' is not in [$section] of Cargo.toml"
	done
}

# Two kinds of names: those of the core go in as they stand, with their lints and the versions that are locked.
manifest() {
	printf '[package]\nname = "lazaret-core"\nversion = "0.0.0"\npublish = false\n'
	pick package edition rust-version
	# shellcheck disable=SC2086
	printf '\n[dependencies]\n' && pick dependencies $dependencies
	# shellcheck disable=SC2086
	printf '\n[dev-dependencies]\n' && pick dev-dependencies $dev_dependencies
	local table
	for table in lints.rust lints.clippy profile.dev 'profile.dev.package."*"'; do
		printf '\n[%s]\n' "$table" && section "$table"
	done
	# The simulator is to be fast and to see every overflow.
	printf '\n[profile.release]\nincremental = true\noverflow-checks = true\ndebug-assertions = true\n'
	printf '\n[workspace]\n'
}

# assemble COMMAND…: makes the crate afresh, with `ln -s` or `cp -r` for its sources.
assemble() {
	local file
	rm -rf "$crate"
	mkdir -p "$crate/src/flow"
	manifest >"$crate/Cargo.toml"
	cp Cargo.lock clippy.toml "$crate"
	printf '//! The pure core alone; see scripts/core.sh.\n\npub mod flow;\npub mod message;\n' >"$crate/src/lib.rs"
	"$@" "$PWD/docs" "$PWD/proptest-regressions" "$crate"
	"$@" "$PWD/src/message" "$crate/src"
	for file in src/flow/*; do
		case ${file##*/} in
		topology | topology.rs) ;;
		mod.rs) sed '/topology/d' "$file" >"$crate/$file" ;;
		*) "$@" "$PWD/$file" "$crate/src/flow" ;;
		esac
	done
	cd "$crate"
}

check() {
	assemble ln -s
	cargo check
	cargo test --lib
}

simulate() {
	[[ ${1:-} =~ ^[0-9]+$ && ${2:-0} =~ ^[0-9]+$ ]] || usage
	grep -rq 'fn seeds()' src/flow/engine || fail "there is no test 'seeds' below src/flow/engine/sim"
	assemble ln -s
	LAZARET_SIM_SEEDS=$1 LAZARET_SIM_FROM=${2:-0} cargo test --release --lib -- --nocapture seeds
}

# The sources are copied, because they are changed in place.
mutants() {
	local files=() file
	for file; do
		files+=(--file "$file")
	done
	if ! cargo mutants --version >/dev/null 2>&1; then
		say "installing cargo-mutants; this takes some minutes"
		cargo install cargo-mutants --locked
	fi
	assemble cp -r
	cargo mutants --in-place --no-shuffle "${files[@]}" -- --lib
}

find_cargo
command=${1:-}
shift || usage
case $command in
check | simulate | mutants) "$command" "$@" ;;
*) usage ;;
esac
