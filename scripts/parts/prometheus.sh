#!/usr/bin/env bash
# promtool, which checks our metrics and rules. Sourced by parts.sh.
# Taken out of Debian's package without installing it: an installed package would start a Prometheus server.

promtool_path() {
	if have promtool; then
		command -v promtool
	else
		echo "$LAZARET_PARTS/prometheus/usr/bin/promtool"
	fi
}

prometheus_install() {
	have promtool || install_once prometheus prometheus_fetch
	"$(promtool_path)" --version >/dev/null 2>&1 || fail "promtool does not run: $(promtool_path)"
}

prometheus_fetch() {
	have apt-get || fail "promtool is missing; install Prometheus with your package manager" 2
	cd "$1" || return
	# As this user: apt's own may not write here.
	local download=(apt-get -q -o APT::Sandbox::User=root download prometheus)
	"${download[@]}" >&2 || {
		((EUID == 0)) && apt-get update -q >&2 && "${download[@]}" >&2
	} || return
	dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb
}
