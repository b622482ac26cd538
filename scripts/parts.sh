#!/usr/bin/env bash
# The real servers that the tests run against: Apache Kafka (KRaft), one that asks who one is, a schema registry, PostgreSQL, an
# S3-compatible store, an OpenTelemetry collector, a Kubernetes API server; Prometheus and Alertmanager; and programs that check files:
# Helm and its like, and a reader of Compose files.
#
#   scripts/parts.sh kafka install            fetch Apache Kafka from Maven Central
#   scripts/parts.sh kafka start [1|3]        start one broker or a cluster of three
#   scripts/parts.sh kafka start 3 proxied    with a second listener each, advertised where a proxy is to listen
#   scripts/parts.sh kafka kill|restart|pause|resume N    one broker of those that run
#   scripts/parts.sh kafka stop
#   scripts/parts.sh secured start|stop       one more that asks everybody who they are and what they may
#   scripts/parts.sh registry install|start|stop
#   scripts/parts.sh postgres install|stop
#   scripts/parts.sh postgres start [durable] without that word it does not wait for the disk
#   scripts/parts.sh postgres kill|restart|pause|resume
#   scripts/parts.sh s3 install|start|stop
#   scripts/parts.sh collector install|start|stop    an OpenTelemetry collector that writes spans into a file
#   scripts/parts.sh prometheus install       Prometheus and promtool
#   scripts/parts.sh alertmanager install
#   scripts/parts.sh foreign install          what others write dead letters with
#   scripts/parts.sh chart install            what checks the Helm chart
#   scripts/parts.sh compose install          what reads docker-compose.yml
#   scripts/parts.sh sbom install             what checks the bill of materials
#   scripts/parts.sh kube install|start|stop  an API server, without anything that runs Pods
#   scripts/parts.sh kafka|registry|postgres|s3|collector|prometheus|alertmanager|foreign|chart|compose|sbom|kube home    where the programs are; for
#                                             prometheus the promtool beside it, for alertmanager the program itself
#
# Programs live below $LAZARET_PARTS (default ~/.cache/lazaret/parts) and are fetched once. A run lives in the folder
# $LAZARET_RUN (default $LAZARET_PARTS/run): data, logs, process ids, and `env`, which tells where the servers
# listen. Ports are free ones on 127.0.0.1, so runs in different folders do not meet.
#
#   export LAZARET_RUN=$(mktemp -d); scripts/parts.sh kafka start; . "$LAZARET_RUN/env"
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

run=${LAZARET_RUN:-$LAZARET_PARTS/run}
start_seconds=120
# Small heap, quick start: the tests need a broker that is up soon, not one that is fast for days.
jvm=(-Xms64m -Xmx640m -XX:+UseSerialGC -XX:TieredStopAtLevel=1)

# shellcheck source=scripts/parts/kafka.sh
. scripts/parts/kafka.sh
# shellcheck source=scripts/parts/secured.sh
. scripts/parts/secured.sh
# shellcheck source=scripts/parts/registry.sh
. scripts/parts/registry.sh
# shellcheck source=scripts/parts/postgres.sh
. scripts/parts/postgres.sh
# shellcheck source=scripts/parts/s3.sh
. scripts/parts/s3.sh
# shellcheck source=scripts/parts/collector.sh
. scripts/parts/collector.sh
# shellcheck source=scripts/parts/prometheus.sh
. scripts/parts/prometheus.sh
# shellcheck source=scripts/parts/foreign.sh
. scripts/parts/foreign.sh
# shellcheck source=scripts/parts/chart.sh
. scripts/parts/chart.sh
# shellcheck source=scripts/parts/compose.sh
. scripts/parts/compose.sh
# shellcheck source=scripts/parts/sbom.sh
. scripts/parts/sbom.sh
# shellcheck source=scripts/parts/kube.sh
. scripts/parts/kube.sh

# install_once NAME FUNCTION: runs the function in a fresh folder and puts the folder in its place when it succeeded,
# so that a broken download never looks like an installation and two installers never write into one folder.
install_once() {
	local target=$LAZARET_PARTS/$1 fresh
	[[ -e $target/.complete ]] && return
	mkdir -p "$LAZARET_PARTS"
	exec 9>"$LAZARET_PARTS/.lock"
	flock -w 1200 9 || fail "another installation holds $LAZARET_PARTS/.lock for more than 20 minutes"
	if [[ ! -e $target/.complete ]]; then
		say "fetching $1 into $target"
		fresh=$(mktemp -d "$LAZARET_PARTS/.fresh.XXXXXX")
		("$2" "$fresh") || {
			rm -rf "$fresh"
			fail "could not install $1; is the network there?"
		}
		touch "$fresh/.complete"
		rm -rf "$target"
		mv "$fresh" "$target"
	fi
	exec 9>&-
}

# spawn NAME COMMAND…: starts a server in the background; its id and its log lie in the run folder.
spawn() {
	local name=$1
	shift
	"$@" </dev/null >"$run/$name.log" 2>&1 9>&- &
	echo $! >"$run/$name.pid"
}

# await NAME CONDITION…: until the condition holds; fails with the end of the log when the server dies or is too slow.
await() {
	local name=$1
	shift
	wait_until "$start_seconds" ended_or "$run/$name.pid" "$@" && "$@" && return
	say "$name did not start; the end of $run/$name.log:"
	tail -n 20 "$run/$name.log" >&2
	return 1
}

ended_or() {
	gone "$(<"$1")" || "${@:2}"
}

# on_free_ports PART ARGUMENTS…: starts it by PART_try, and once more with other ports when one was taken between the moment it was
# found free and the server's bind.
on_free_ports() {
	local part=$1 try
	shift
	for try in 1 2 3; do
		"${part}_try" "$@" && return
		"${part}_stop"
		grep -qi 'already in use' "$run/$part"*.log || return
		say "a port was taken meanwhile (try $try)"
	done
	return 1
}

# tell NAME VALUE: puts a variable into the run's env file, in place of an earlier value.
tell() {
	forget "$1"
	printf "export %s='%s'\n" "$1" "$2" >>"$run/env"
}

forget() {
	[[ -f $run/env ]] || return 0
	sed -i "/^export $1=/d" "$run/env"
}

mkdir -p "$run"
case "${1:-} ${2:-}" in
"kafka install" | "registry install" | "postgres install" | "s3 install" | "foreign install") "$1_$2" ;;
"collector install" | "collector start" | "collector stop") "$1_$2" ;;
"prometheus install" | "alertmanager install") "$1_$2" ;;
"chart install" | "compose install" | "sbom install" | "kube install" | "kube start" | "kube stop") "$1_$2" ;;
"secured start" | "secured stop" | "registry start" | "s3 start" | "kafka stop" | "registry stop" | "postgres stop" | "s3 stop") "$1_$2" ;;
"postgres start") postgres_start "${3:-}" ;;
"postgres kill" | "postgres restart" | "postgres pause" | "postgres resume") "$1_$2" ;;
"kafka start") kafka_start "${3:-1}" "${4:-}" ;;
"kafka kill" | "kafka restart" | "kafka pause" | "kafka resume") "$1_$2" "${3:-}" ;;
"kafka home") echo "$kafka_home" ;;
"registry home") echo "$registry_home" ;;
"postgres home") echo "$postgres_home" ;;
"s3 home") echo "$s3_home" ;;
"collector home") echo "$collector_home" ;;
"prometheus home") promtool_path ;;
"alertmanager home") alertmanager_path ;;
"foreign home") echo "$foreign_home" ;;
"chart home") echo "$chart_home" ;;
"compose home") echo "$compose_home" ;;
"sbom home") echo "$sbom_home" ;;
"kube home") echo "$kube_home" ;;
*) fail "usage: scripts/parts.sh kafka|secured|registry|postgres|s3|collector|prometheus|alertmanager|foreign|chart|compose|sbom|kube install|start|stop|home; the head of the script says more" 64 ;;
esac
