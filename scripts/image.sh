#!/usr/bin/env bash
# What can be said of the image without a container engine.
#
#   scripts/image.sh check    that the empty crate of the Dockerfile is one by Cargo.toml, that the bill of materials is valid, and that
#                             the demo runs in a root file system made as the Dockerfile makes it: read-only, as its user, without a
#                             network and without a shell
#
# LAZARET_BIN names a binary to take instead of building one.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# The layer of the dependencies fails when Cargo.toml names a target for which there is no file, and nothing else here would say so.
empty_crate() {
	sed -n '/^RUN mkdir -p src/,/^ && touch src\/lib.rs/p' Dockerfile | sed 's/^RUN //; s/ \\$//' >"$work/make.sh"
	cp Cargo.toml Cargo.lock "$work/"
	(cd "$work" && tr '\n' ' ' <make.sh | bash -eu >/dev/null && cargo metadata --format-version 1 --no-deps >/dev/null) ||
		fail "the empty crate in Dockerfile is not what Cargo.toml says; give each target a file there"
	say "ok: the empty crate is one by Cargo.toml"
}

materials() {
	scripts/parts.sh sbom install
	say "ok: bill of materials: $(scripts/sbom.py --check)"
}

demo() {
	local binary inside
	binary=$(built_lazaret)
	have bwrap || apt_install bubblewrap
	scripts/image/rootfs.sh "$binary" "$work/rootfs"
	[[ ! -e $work/rootfs/usr/bin ]] || fail "there are programs in the root file system that nobody asked for"
	inside=(bwrap --unshare-all --uid 65532 --gid 65532 --ro-bind "$work/rootfs" / --proc /proc --dev /dev --tmpfs /tmp
		--tmpfs /var/lib/lazaret --chdir /var/lib/lazaret --clearenv /usr/local/bin/lazaret)
	"${inside[@]}" --version --json
	"${inside[@]}" demo >"$work/demo.log" 2>&1 || {
		tail -n 20 "$work/demo.log" >&2
		fail "the demo does not run in the image"
	}
	grep -F 'every input has ended exactly once' "$work/demo.log" >&2
	say "ok: the demo runs in what the Dockerfile puts into the image"
}

[[ ${1:-} == check ]] || fail "usage: scripts/image.sh check; the head of the script says more" 64
find_cargo
work=$(mktemp -d "${TMPDIR:-/tmp}/lazaret-image.XXXXXX")
trap 'rm -rf "$work"' EXIT
empty_crate
materials
demo
