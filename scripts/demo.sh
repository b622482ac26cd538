#!/usr/bin/env bash
# Installs what a build needs, builds, and runs the whole pipeline in one process: `make demo` without make.
#
#   scripts/demo.sh                                     the documents and questions that come with Lazaret
#   scripts/demo.sh --documents DIR --ask "…" …         whatever `lazaret demo --help` lists
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
# shellcheck source=scripts/lib.sh
. "$root/scripts/lib.sh"

export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$LAZARET_CACHE/target}
"$root/scripts/setup.sh"
find_cargo
cargo build --locked --manifest-path "$root/Cargo.toml"
# From the folder of the caller, so that paths among the arguments mean what they say.
exec "$CARGO_TARGET_DIR/debug/lazaret" demo "$@"
