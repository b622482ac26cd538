#!/usr/bin/env bash
# promtool, which checks our metrics and rules, the Prometheus that evaluates them, and the Alertmanager that calls. Sourced by
# parts.sh.
# Taken out of Debian's packages without installing them: an installed package would start a server.

promtool_path() {
	if have promtool && have prometheus; then
		command -v promtool
	else
		echo "$LAZARET_PARTS/prometheus/usr/bin/promtool"
	fi
}

alertmanager_path() {
	# Debian gives it a name of its own.
	command -v alertmanager || command -v prometheus-alertmanager || echo "$LAZARET_PARTS/alertmanager/alertmanager"
}

prometheus_install() {
	local promtool
	promtool=$(promtool_path)
	[[ $promtool != "$LAZARET_PARTS"/* ]] || install_once prometheus prometheus_fetch
	"$promtool" --version >/dev/null 2>&1 || fail "promtool does not run: $promtool"
	"${promtool%/*}/prometheus" --version >/dev/null 2>&1 || fail "Prometheus does not run: ${promtool%/*}/prometheus"
}

alertmanager_install() {
	local program
	program=$(alertmanager_path)
	[[ $program != "$LAZARET_PARTS"/* ]] || install_once alertmanager alertmanager_fetch
	"$program" --version >/dev/null 2>&1 || fail "Alertmanager does not run: $program"
}

prometheus_fetch() { package_fetch "$1" prometheus; }

# Debian's reads its templates where the package is installed. It is made to look below the folder that it runs in: a path of the
# same length, so that nothing else in the program moves.
alertmanager_fetch() {
	local installed=/usr/share/prometheus/alertmanager
	package_fetch "$1" prometheus-alertmanager || return
	sed -i "s|$installed|usr//${installed#/usr/}|g" usr/bin/prometheus-alertmanager
	printf '#!/bin/sh\ncd "$(dirname "$0")" && exec usr/bin/prometheus-alertmanager "$@"\n' >alertmanager
	chmod +x alertmanager
}

package_fetch() {
	have apt-get || fail "$2 is missing; install it with your package manager" 2
	cd "$1" || return
	# As this user: apt's own may not write here.
	local download=(apt-get -q -o APT::Sandbox::User=root download "$2")
	"${download[@]}" >&2 || {
		((EUID == 0)) && apt-get update -q >&2 && "${download[@]}" >&2
	} || return
	dpkg-deb -x "$2"_*.deb . && rm "$2"_*.deb
}
