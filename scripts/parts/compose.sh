#!/usr/bin/env bash
# The reader of Compose files that `docker compose` itself is built on, as a program: it says what is wrong with a file, or prints it
# with all that is implied, as `docker compose config` does. Built with Go. Sourced by parts.sh.

compose_version=v2.16.2
compose_part=compose-$compose_version
compose_home=$LAZARET_PARTS/$compose_part

compose_install() {
	[[ -e $compose_home/.complete ]] && return
	have go || fail "Go is missing, which builds the reader of Compose files; get it from https://go.dev/dl" 2
	install_once "$compose_part" compose_fetch
}

compose_fetch() {
	GOBIN=$1 nice go install -trimpath -ldflags '-s -w' "github.com/compose-spec/compose-go/v2/cmd@$compose_version" >&2 &&
		mv "$1/cmd" "$1/compose-spec"
}
