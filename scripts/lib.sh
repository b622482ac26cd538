#!/usr/bin/env bash
# What the other scripts share: words to the user, waiting for conditions, finding Java, installing packages.
# Sourced, never run. Needs bash 4 and coreutils, nothing else.

LAZARET_CACHE=${LAZARET_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/lazaret}
LAZARET_PARTS=${LAZARET_PARTS:-$LAZARET_CACHE/parts}

say() { printf '%s\n' "$*" >&2; }

# The caller sees one message; 2 says that a person has to do something first.
fail() {
	say "error: $1"
	exit "${2:-1}"
}

have() { command -v "$1" >/dev/null 2>&1; }

# wait_until SECONDS COMMAND…: true as soon as the command succeeds, false when the time is over.
wait_until() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < deadline)) || return 1
		sleep 0.1
	done
}

listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port nobody listens on, below the range from which the kernel hands out ports of its own.
free_port() {
	local port
	while :; do
		port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
		listening "$port" || break
	done
	echo "$port"
}

# java_from VERSION: path of a Java of at least this major version; false when there is none.
java_from() {
	local java major
	for java in ${JAVA_HOME:+"$JAVA_HOME/bin/java"} "$(command -v java)" /usr/lib/jvm/*/bin/java; do
		[[ -x $java ]] || continue
		major=$("$java" -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p;' | head -n 1)
		if ((${major:-0} >= $1)); then
			echo "$java"
			return
		fi
	done
	return 1
}

# A Rust that rustup has just installed is not on the path yet.
find_cargo() {
	have cargo || PATH=${CARGO_HOME:-$HOME/.cargo}/bin:$PATH
}

# Path of the program: the one that LAZARET_BIN names, else it is built.
built_lazaret() {
	if [[ -n ${LAZARET_BIN:-} ]]; then
		realpath "$LAZARET_BIN"
		return
	fi
	export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$LAZARET_CACHE/target}
	find_cargo
	cargo build --locked --bin lazaret >&2 || return
	echo "$CARGO_TARGET_DIR/debug/lazaret"
}

# stop_pid FILE [SECONDS]: ends the process whose id stands in the file, kindly first, and removes the file.
stop_pid() {
	local pid
	[[ -f $1 ]] || return 0
	pid=$(<"$1")
	if kill "$pid" 2>/dev/null && ! wait_until "${2:-20}" gone "$pid"; then
		kill -KILL "$pid" 2>/dev/null || true
	fi
	rm -f "$1"
}

gone() { ! kill -0 "$1" 2>/dev/null; }

# Debian packages, as root or through sudo; where that cannot be, says what to run and exits with 2.
# `a|b` means a, or b where the distribution has no a.
apt_install() {
	local sudo=() packages
	have apt-get || fail "please install the equivalents of these Debian packages: $*" 2
	if ((EUID != 0)); then
		sudo=(sudo)
		# Without a terminal nobody can type a password.
		[[ -t 0 ]] || sudo=(sudo -n)
		if ! have sudo || ! "${sudo[@]}" true 2>/dev/null; then
			mapfile -t packages < <(apt_choose "$@")
			fail "packages are missing and this user may not install them; please run
  sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]}" 2
		fi
	fi
	"${sudo[@]}" apt-get update -q </dev/null >&2 || fail "apt-get update failed; its messages stand above" 2
	mapfile -t packages < <(apt_choose "$@")
	say "installing with apt: ${packages[*]}"
	"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get install -y -q --no-install-recommends "${packages[@]}" </dev/null >&2 ||
		fail "apt-get could not install: ${packages[*]}; its messages stand above" 2
}

# One package per line: of each `a|b` the first that can be installed, else the last.
apt_choose() {
	local wanted package
	for wanted; do
		for package in ${wanted//|/ }; do
			if apt-cache policy "$package" | grep -q 'Candidate: [0-9]'; then
				break
			fi
		done
		echo "$package"
	done
}
