#!/usr/bin/env bash
# Builds the pure core alone: `src/message` and `src/flow` in a throw-away crate with the few dependencies they need,
# at the versions of Cargo.lock. It proves that the core needs nothing else, and it is built in seconds.
#
#   scripts/core.sh check                     compile it, and run its tests
#   scripts/core.sh simulate SEEDS [FROM]     run so many seeds of the engine's simulator, optimised, beginning at FROM
#   scripts/core.sh mutants [FILE…] [-- TEST] change the code in every small way and see which change no test notices;
#                                             docs/mutants.md says what came of it
#
# `flow::topology` and `flow::grants` are left out: they turn the configuration file into names and rights, and the configuration is no
# part of the core.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

usage() { fail "usage: scripts/core.sh check | simulate SEEDS [FROM] | mutants [FILE…] [-- TEST]" 2; }

# Everything that the core may use. A new name here is a decision, not a detail.
dependencies='base64 blake3 bytes httpdate jiff schemars serde serde_json thiserror'
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
	# A mutant is built once and run once: with few cases the compiler takes the time, with many the tests do.
	printf '\n[profile.quick]\ninherits = "dev"\ndebug = false\n'
	printf '\n[profile.thorough]\ninherits = "quick"\nopt-level = 1\n'
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
		topology | topology.rs | grants | grants.rs) ;;
		mod.rs) sed "/topology/d; /grants/d" "$file" >"$crate/$file" ;;
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

# The sources are copied, because they are changed in place. Every mutant is tried with a few cases and seeds, which
# takes two or three seconds, or less with those tests alone whose names have TEST in them; those that nothing notices
# are tried again with all tests and many cases and seeds. Chance is the same in every run.
mutants() {
	local files=() code=0
	while (($#)) && [[ $1 != -- ]]; do
		files+=(--file "$1")
		shift
	done
	if ! cargo mutants --version >/dev/null 2>&1; then
		say "installing cargo-mutants; this takes some minutes"
		cargo install cargo-mutants --locked
	fi
	assemble cp -r
	rm -rf "$CARGO_TARGET_DIR"/mutants.out*
	export PROPTEST_RNG_SEED=1 PROPTEST_MAX_SHRINK_ITERS=0 PROPTEST_DISABLE_FAILURE_PERSISTENCE=true
	PROPTEST_CASES=12 LAZARET_SIM_SEEDS=100 try_mutants quick 20 "$@" || code=$?
	# 2: nothing noticed some of them. 3: some did not end, which is a way to be noticed.
	if ((code == 2)); then
		code=0
		say "those that are left, once more with many cases and seeds"
		PROPTEST_CASES=256 LAZARET_SIM_SEEDS=5000 try_mutants thorough 90 --iterate || code=$?
	fi
	tally
	((code == 3)) || return "$code"
}

# try_mutants PROFILE SECONDS [FLAG…]: those of the files, each with so much time for the tests.
try_mutants() {
	cargo mutants --in-place --profile "$1" --output "$CARGO_TARGET_DIR" --timeout "$2" --cargo-arg=--lib \
		"${files[@]}" "${@:3}"
}

# How many of each file there were, and what became of them in both rounds.
tally() {
	local kind
	cd "$CARGO_TARGET_DIR"
	# The second round has those again that did not end in the first one.
	{
		for kind in caught unviable; do
			cat mutants.out{.old,}/$kind.txt 2>/dev/null | sed "s/:.*/ $kind/" || true
		done
		for kind in timeout missed; do
			sed "s/:.*/ $kind/" mutants.out/$kind.txt
		done
	} | sort | awk '
		function line(name) {
			printf "| `%s` | %d | %d | %d | %d | %d |\n", name, all[name], n[name, "caught"], n[name, "unviable"],
				n[name, "timeout"], n[name, "missed"]
		}
		!all[$1]++ { names[++count] = $1 }
		{ n[$1, $2]++; all["all"]++; n["all", $2]++ }
		END {
			print "| file | mutants | caught | unviable | timeout | survivors |\n|---|---|---|---|---|---|"
			for (i = 1; i <= count; i++) line(names[i])
			line("all")
		}'
}

find_cargo
command=${1:-}
shift || usage
case $command in
check | simulate | mutants) "$command" "$@" ;;
*) usage ;;
esac
