#!/usr/bin/env bash
# Measures Lazaret beside a bare librdkafka loop, on a Kafka of its own, and tells what is reached: docs/benchmarks.md.
#
#   scripts/bench.sh                      all workloads
#   scripts/bench.sh pass fair            those whose names begin so
#   scripts/bench.sh --list               which there are
#   scripts/bench.sh --quick              small numbers: whether it all works, not how fast
#   scripts/bench.sh --repeat 5 pass      each pair of sides five times
#   scripts/bench.sh --json FILE          the rows as JSON, one a line, too
#   scripts/bench.sh --save               puts the table into docs/benchmarks.md, with date and command
#
# Other flags are those of the program (`--help`). LAZARET_TEST_KAFKA=host:port, when given, is used instead of an own
# Kafka; it should be on this machine. `ledger` measures SQLite and PostgreSQL with `cargo bench --bench ledger`.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
find_cargo

page=docs/benchmarks.md
begin='<!-- scripts/bench.sh --save: begin -->'
end='<!-- scripts/bench.sh --save: end -->'
command="scripts/bench.sh $*"
save='' ledger='' list='' named='' args=() scratch=''

while (($#)); do
	case $1 in
	--save) save=1 ;;
	--list | --help | -h)
		list=1
		args+=("$1")
		;;
	--repeat | --records | --property | --window | --kafka | --json | --markdown)
		(($# > 1)) || fail "$1 wants a value" 64
		args+=("$1" "$2")
		shift
		;;
	-*) args+=("$1") ;;
	ledger) ledger=1 ;;
	*)
		named=1
		args+=("$1")
		;;
	esac
	shift
done

cleanup() {
	[[ -z ${started_kafka:-} ]] || scripts/parts.sh kafka stop
	[[ -z $scratch ]] || rm -rf "$scratch"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# The program itself, so that nothing but it runs while it measures.
build() {
	cargo bench --locked --no-run --bench load --message-format=json-render-diagnostics |
		sed -nE '/"kind":\["bench"\]/ s/.*"executable":"([^"]+)".*/\1/p' | tail -n 1
}

load() {
	local program
	program=$(build)
	[[ -x $program ]] || fail "the benchmark was not built"
	if [[ -n $list ]]; then
		"$program" "${args[@]}"
		echo "ledger           1 KiB results stored: SQLite, and PostgreSQL where LAZARET_TEST_POSTGRES names one"
		return
	fi
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/lazaret-bench.XXXXXX")
	if [[ -z ${LAZARET_TEST_KAFKA:-} ]]; then
		export LAZARET_RUN=$scratch/run
		started_kafka=1
		scripts/parts.sh kafka start
		# shellcheck disable=SC1091
		. "$LAZARET_RUN/env"
		export LAZARET_TEST_KAFKA
	fi
	"$program" "${args[@]}" --markdown "$scratch/table.md"
	[[ -z $save ]] || save_table
}

# Between two marks of the page stands the table of the last run that was kept.
save_table() {
	{
		printf "\`%s\`, %s, %s processors, load average %s before and %s after.\n\n" "${command% }" "$(date -u +%F)" \
			"$(nproc)" "$load_before" "$(cut -d ' ' -f 1 /proc/loadavg)"
		cat "$scratch/table.md"
	} >"$scratch/new.md"
	awk -v begin="$begin" -v end="$end" -v new="$scratch/new.md" '
		$0 == begin { print; print ""; while ((getline line < new) > 0) print line; print ""; skip = 1 }
		$0 == end { skip = 0 }
		!skip
	' "$page" | awk -v begin="$begin" '$0 == begin && seen++ { next } { print }' >"$scratch/page.md"
	cp "$scratch/page.md" "$page"
	say "the table is in $page"
}

load_before=$(cut -d ' ' -f 1 /proc/loadavg)
if [[ -z $ledger || -n $named || -n $list ]]; then
	load
fi
if [[ -z $list ]] && [[ -n $ledger || -z $named ]]; then
	cargo bench --locked --bench ledger
fi
