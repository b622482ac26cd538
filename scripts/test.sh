#!/usr/bin/env bash
# Runs everything that must hold before a change is merged: format, lint, all tests against a real Kafka, a real
# schema registry, a real PostgreSQL and a real S3 store, and the checks of files that are not Rust. Starts what it needs and stops it again.
#
#   scripts/test.sh                 everything
#   scripts/test.sh kafka::ladder   everything, but only the tests whose names contain this
#
# LAZARET_TEST_KAFKA=host:port, LAZARET_TEST_REGISTRY=url, LAZARET_TEST_POSTGRES=url and LAZARET_TEST_S3=url (with
# LAZARET_TEST_S3_BUCKET, LAZARET_TEST_S3_ACCESS_KEY and LAZARET_TEST_S3_SECRET_KEY), when given, are used instead of own
# servers.
# LAZARET_TEST_CLUSTER, LAZARET_TEST_CLUSTER_RUN and LAZARET_TEST_PROXIES likewise name a cluster of three that
# `scripts/parts.sh kafka start 3 proxied` has started, for the tests that break brokers; LAZARET_CHAOS_SEED=n repeats
# their dice.
# LAZARET_TEST_KEEP=1 leaves the run folder with the servers' logs behind.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$LAZARET_CACHE/target}
export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-auto}

summary=()
failed=0
# What the tests with broken brokers may take; they need about half of it.
chaos_seconds=2000

# step NAME COMMAND…: runs it, whatever went before, and remembers how it ended.
step() {
	local name=$1 begun=$SECONDS result=ok
	shift
	printf '\n== %s\n' "$name"
	"$@" </dev/null || result=FAILED
	summary+=("$(printf '%-7s %-28s %4d s' "$result" "$name" $((SECONDS - begun)))")
	[[ $result == ok ]] || {
		failed=1
		return 1
	}
}

skip() { summary+=("$(printf '%-7s %-28s %s' skipped "$1" "$2")"); }

finish() {
	local line
	trap - EXIT INT TERM
	[[ -z ${started_kafka:-} ]] || scripts/parts.sh kafka stop
	[[ -z ${started_secured:-} ]] || scripts/parts.sh secured stop
	[[ -z ${started_registry:-} ]] || scripts/parts.sh registry stop
	[[ -z ${started_postgres:-} ]] || scripts/parts.sh postgres stop
	[[ -z ${started_s3:-} ]] || scripts/parts.sh s3 stop
	[[ -z ${started_cluster:-} ]] || scripts_of_cluster kafka stop
	if [[ -n ${LAZARET_TEST_KEEP:-} ]]; then
		say "the run folder is $LAZARET_RUN"
	else
		rm -rf "$LAZARET_RUN"
	fi
	printf '\n== summary\n'
	for line in "${summary[@]}"; do
		printf '%s\n' "$line"
	done
	((failed == 0)) && printf 'all is well\n' || printf 'FAILED\n'
	exit "$failed"
}

# Something without which the rest makes no sense: then this is the end.
must() { step "$@" || exit; }

start_servers() {
	if [[ -z ${LAZARET_TEST_KAFKA:-} ]]; then
		started_kafka=1
		must "start Kafka" scripts/parts.sh kafka start
	fi
	if [[ -z ${LAZARET_TEST_SECURED:-} ]]; then
		started_secured=1
		must "start a secured Kafka" scripts/parts.sh secured start
	fi
	if [[ -z ${LAZARET_TEST_REGISTRY:-} ]]; then
		started_registry=1
		must "start the schema registry" scripts/parts.sh registry start
	fi
	if [[ -z ${LAZARET_TEST_POSTGRES:-} ]]; then
		started_postgres=1
		must "start PostgreSQL" scripts/parts.sh postgres start
	fi
	if [[ -z ${LAZARET_TEST_S3:-} ]]; then
		started_s3=1
		must "start the S3 store" scripts/parts.sh s3 start
	fi
	if [[ -f $LAZARET_RUN/env ]]; then
		# shellcheck disable=SC1091
		. "$LAZARET_RUN/env"
	fi
	# The console tools are of use with a foreign broker, too.
	if [[ -z ${LAZARET_TEST_KAFKA_TOOLS:-} ]]; then
		LAZARET_TEST_KAFKA_TOOLS="$(scripts/parts.sh kafka home)/lib/*"
		export LAZARET_TEST_KAFKA_TOOLS
	fi
	export LAZARET_TEST_KAFKA LAZARET_TEST_REGISTRY LAZARET_TEST_POSTGRES
}

# Three brokers of their own for the tests that break them, in a run folder of their own.
start_cluster() {
	[[ -z ${LAZARET_TEST_CLUSTER:-} ]] || return 0
	started_cluster=1
	step "start three brokers" scripts_of_cluster kafka start 3 proxied || return
	LAZARET_TEST_CLUSTER_RUN=$LAZARET_RUN/cluster
	# shellcheck disable=SC1091
	LAZARET_TEST_CLUSTER=$(. "$LAZARET_TEST_CLUSTER_RUN/env" && echo "$LAZARET_TEST_KAFKA")
	# shellcheck disable=SC1091
	LAZARET_TEST_PROXIES=$(. "$LAZARET_TEST_CLUSTER_RUN/env" && echo "$LAZARET_TEST_PROXIES")
	export LAZARET_TEST_CLUSTER LAZARET_TEST_CLUSTER_RUN LAZARET_TEST_PROXIES
}

scripts_of_cluster() { LAZARET_RUN=$LAZARET_RUN/cluster scripts/parts.sh "$@"; }

# Alert rules and their tests, wherever they lie.
prometheus_rules() {
	local file found=0
	while IFS= read -r file; do
		found=1
		case $file in
		*_test.yml) "$LAZARET_TEST_PROMTOOL" test rules "$file" || return ;;
		*) "$LAZARET_TEST_PROMTOOL" check rules "$file" || return ;;
		esac
	done < <(find . -name target -prune -o \( -name '*.rules.yml' -o -name '*.rules_test.yml' \) -print)
	((found)) || echo "no rule files"
}

LAZARET_RUN=$(mktemp -d "${TMPDIR:-/tmp}/lazaret-test.XXXXXX")
export LAZARET_RUN
trap 'failed=1; exit 130' INT TERM
trap finish EXIT

must "set up" scripts/setup.sh test
find_cargo
must "fetch Kafka" scripts/parts.sh kafka install
must "fetch the schema registry" scripts/parts.sh registry install
must "fetch PostgreSQL" scripts/parts.sh postgres install
must "fetch the S3 store" scripts/parts.sh s3 install
must "fetch Prometheus" scripts/parts.sh prometheus install
must "fetch Alertmanager" scripts/parts.sh alertmanager install
must "fetch what others use" scripts/parts.sh foreign install
LAZARET_TEST_PROMTOOL=$(scripts/parts.sh prometheus home)
LAZARET_TEST_PROMETHEUS=${LAZARET_TEST_PROMTOOL%/*}/prometheus
LAZARET_TEST_ALERTMANAGER=$(scripts/parts.sh alertmanager home)
LAZARET_TEST_FOREIGN="$(scripts/parts.sh foreign home)/lib/*"
export LAZARET_TEST_PROMTOOL LAZARET_TEST_PROMETHEUS LAZARET_TEST_ALERTMANAGER LAZARET_TEST_FOREIGN

step "format" cargo fmt --check
step "lint" cargo clippy --locked --all-targets -- -D warnings
step "the core alone, simulated" scripts/core.sh simulate 6000
step "build the tests" cargo test --locked --no-run
start_servers
step "tests" env -u LAZARET_TEST_CLUSTER cargo test --locked --no-fail-fast "$@"

if (($# > 0)) && [[ $1 != chaos* ]]; then
	skip "chaos" "other tests were asked for"
elif start_cluster; then
	step "chaos" timeout -k 10 "$chaos_seconds" cargo test --locked --test it chaos:: -- --nocapture --test-threads=1
	scripts_of_cluster kafka stop
fi

step "Prometheus rules" prometheus_rules
step "dashboards" scripts/dashboards.py --check
if have go || [[ -x $(scripts/parts.sh chart home)/bin/helm ]]; then
	step "Helm chart" env LAZARET_BIN="$CARGO_TARGET_DIR/debug/lazaret" scripts/chart.sh
else
	skip "Helm chart" "Go is not installed, which builds helm"
fi
if have shellcheck; then
	step "shell scripts" shellcheck -x scripts/*.sh scripts/image/*.sh deploy/compose/*.sh .ci/run
else
	skip "shell scripts" "shellcheck is not installed"
fi
# The program of the tests: to build it by itself takes minutes, since tests have some crates with more features.
step "image" env LAZARET_BIN="$CARGO_TARGET_DIR/debug/lazaret" scripts/image.sh check
if have docker && docker compose version >/dev/null 2>&1; then
	step "docker compose" docker compose config --quiet
elif have go || [[ -x $(scripts/parts.sh compose home)/compose-spec ]]; then
	step "docker compose" scripts/compose.sh config
else
	skip "docker compose" "neither docker compose nor Go is installed"
fi
