#!/usr/bin/env bash
# docker-compose.yml without a container engine.
#
#   scripts/compose.sh config    is it right? By the reader of Compose files that `docker compose config` is built on
#   scripts/compose.sh check     starts its services from real programs, each in a network namespace and a root file system of its own,
#                                with the mounts, users, commands and order of the file, and looks whether all of it works
#   scripts/compose.sh shell     starts them, and a shell in their network; `exit` ends them
#
# Grafana is the one that is left out, since it is in no registry of packages: what it would read is held against the others. `check`
# takes two minutes once everything is built. It needs root, for namespaces, and the Debian packages bubblewrap and iproute2.
#
# LAZARET_BIN names a binary to take instead of building one. The run folder, with a log for each service, is $LAZARET_RUN
# (default: a new one below /tmp, which is removed when all went well).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

parts=(kafka registry postgres collector prometheus alertmanager)

config() {
	scripts/parts.sh compose install
	"$(scripts/parts.sh compose home)/compose-spec" -format json docker-compose.yml >/dev/null
	say "docker-compose.yml is right"
}

needs() {
	local missing=()
	((EUID == 0)) || fail "scripts/compose.sh $1 makes network namespaces, which needs root" 2
	have bwrap || missing+=(bubblewrap)
	have ip || missing+=(iproute2)
	have setpriv || missing+=(util-linux)
	have wget || missing+=(wget)
	((${#missing[@]} == 0)) || apt_install "${missing[@]}"
	for part in compose "${parts[@]}"; do
		scripts/parts.sh "$part" install
	done
}

# What programs.py needs to know: where the parts are.
homes() {
	local part home
	for part in "${parts[@]}"; do
		home=$(scripts/parts.sh "$part" home)
		# Of these two it is a program.
		[[ $part != prometheus && $part != alertmanager ]] || home=${home%/*}
		# The users of the images are to read it.
		[[ $home != "$LAZARET_PARTS"/* ]] || chmod a+rx "$home"
		printf '%s=%s ' "$part" "$home"
	done
}

stack() {
	local run=${LAZARET_RUN:-} made='' status=0
	needs "$1"
	if [[ -z $run ]]; then
		run=$(mktemp -d "${TMPDIR:-/tmp}/lazaret-compose.XXXXXX")
		made=1
	fi
	LAZARET_BIN=$(built_lazaret)
	COMPOSE_READER=$(scripts/parts.sh compose home)/compose-spec
	COMPOSE_PARTS=$(homes)
	REGISTRY_JAVA=$(java_from 21 || java_from 17)
	export LAZARET_BIN COMPOSE_READER COMPOSE_PARTS REGISTRY_JAVA
	# Some containers do not let anybody mount /proc; then the services end with the program that started them, as far as they can.
	local apart=(--pid --fork --kill-child --mount-proc)
	unshare --mount "${apart[@]}" true 2>/dev/null || apart=()
	# Its own mounts, network and processes: nothing of it is seen outside, and all of it is gone when it ends. When this script is
	# killed, whoever waits for them is, too, and they with it.
	setpriv --pdeathsig KILL -- unshare --mount --net ${apart[@]+"${apart[@]}"} python3 scripts/compose/check.py "$1" "$run/compose" || status=$?
	if [[ -n $made ]] && ((status == 0)); then rm -rf "$run"; else say "the logs are in $run/compose"; fi
	return "$status"
}

case ${1:-} in
config) config ;;
check | shell) stack "$1" ;;
*) fail "usage: scripts/compose.sh config|check|shell; the head of the script says more" 64 ;;
esac
