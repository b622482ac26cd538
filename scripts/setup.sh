#!/usr/bin/env bash
# Makes a Debian or Ubuntu machine able to build Lazaret, or says exactly what is missing.
#
#   scripts/setup.sh         what a build needs: a C and C++ compiler, make, OpenSSL and zlib headers, Rust
#   scripts/setup.sh test    that, and what the tests need on top: Java and Maven for Kafka and the registry, Python to
#                            fetch PostgreSQL
#
# Installs with apt as root or through sudo. Where it may not, it prints the command to run and exits with 2.
# Does nothing, and needs no network, when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# What Cargo refuses to build with less than.
rust_min=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[[ -n $rust_min ]] || fail "Cargo.toml says no rust-version"

# Adds a package to `missing` unless the command that shows its presence succeeds.
missing=()
want() {
	local package=$1
	shift
	"$@" >/dev/null 2>&1 || missing+=("$package")
}

# True when a C program that includes this header compiles, whatever package manager it came from.
header() { echo "#include <$1>" | cc -E -o /dev/null -; }

build_needs() {
	want gcc have cc          # SQLite, librdkafka and zstd are built from source
	want g++ have c++         # librdkafka's configure asks for it
	want libc6-dev header stdio.h
	want make have make       # librdkafka
	want cmake have cmake     # the same
	want pkg-config have pkg-config
	want libssl-dev header openssl/ssl.h
	want zlib1g-dev header zlib.h
	want ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
}

pip_there() { python3 -m pip --version || pip --version; }

test_needs() {
	want curl have curl
	want sqlite3 have sqlite3 # the copies of docs/upgrading.md
	want openssl have openssl # certificates of the broker that asks who one is
	want maven have mvn
	want python3-pip pip_there # PostgreSQL with pgvector comes in a Python package
	want util-linux have setpriv
	want bubblewrap have bwrap # runs what is in the image
	# Java 21 runs the newest registry; Debian 12 has only 17, for which parts.sh takes an older one.
	want 'openjdk-21-jre-headless|openjdk-17-jre-headless' java_from 17
}

check_rust() {
	local version
	find_cargo
	if ! have cargo || ! have rustc; then
		fail "Rust is missing; get it from https://rustup.rs:
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y && . ~/.cargo/env" 2
	fi
	version=$(rustc --version | cut -d ' ' -f 2)
	[[ $(printf '%s\n' "$rust_min" "$version" | sort -V | head -n 1) == "$rust_min" ]] ||
		fail "Rust $version is too old, Lazaret needs $rust_min or newer; please run
  rustup update stable" 2
}

build_needs
case ${1:-build} in
build) ;;
test) test_needs ;;
*) fail "usage: scripts/setup.sh [build|test]" 64 ;;
esac
if ((${#missing[@]})); then
	apt_install "${missing[@]}"
fi
check_rust
