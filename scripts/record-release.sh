#!/usr/bin/env bash
# Records what a release leaves behind in Kafka, ledger and index when it is killed in the middle of its work. Whoever
# comes after it is tested with that: tests/it/upgrade.rs.
#
#   scripts/record-release.sh COMMIT          builds it and writes tests/fixtures/release-COMMIT
#   LAZARET_BIN=… scripts/record-release.sh COMMIT    takes this program for it, instead of building one
#
# When a release is made: record it, name the new folder in tests/it/upgrade.rs, and delete the one before: data of two
# versions is understood, docs/upgrading.md. Record it before the format of the ledger goes on, since the recorder reads the
# ledger with the code of the working tree. Needs what the tests need: Kafka and PostgreSQL are started for it.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

[[ $# == 1 ]] || fail "usage: scripts/record-release.sh COMMIT" 64
commit=$(git rev-parse --short=7 --verify "$1^{commit}") || fail "there is no commit $1"
find_cargo
work=$(mktemp -d "${TMPDIR:-/tmp}/lazaret-release.XXXXXX")
trap finish EXIT

finish() {
	[[ -z ${started_postgres:-} ]] || scripts/parts.sh postgres stop
	[[ ! -d $work/source ]] || git worktree remove --force "$work/source"
	rm -rf "$work"
}

if [[ -n ${LAZARET_BIN:-} ]]; then
	program=$(realpath "$LAZARET_BIN")
else
	git worktree add --quiet --detach "$work/source" "$commit"
	# A folder of its own: what is built here and there has the same name.
	CARGO_TARGET_DIR=$LAZARET_CACHE/release-$commit cargo build --locked --bin lazaret \
		--manifest-path "$work/source/Cargo.toml"
	program=$LAZARET_CACHE/release-$commit/debug/lazaret
fi

if [[ -z ${LAZARET_TEST_POSTGRES:-} ]]; then
	export LAZARET_RUN=$work/run
	started_postgres=1
	scripts/parts.sh postgres start
	# shellcheck disable=SC1091
	. "$LAZARET_RUN/env"
fi
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$LAZARET_CACHE/target}
# The recorder starts a Kafka of its own for each ledger. It only has to know that it may.
export LAZARET_TEST_KAFKA=${LAZARET_TEST_KAFKA:-its-own}
LAZARET_RECORD_PROGRAM=$program LAZARET_RECORD_TO=$PWD/tests/fixtures/release-$commit \
	cargo test --locked --test it -- --ignored --exact \
	upgrade::record::what_a_release_leaves_behind_when_it_is_killed_is_recorded
