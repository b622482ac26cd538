#!/usr/bin/env bash
# What says whether a bill of materials is valid: the validator of CycloneDX, which carries its schemas. Sourced by parts.sh.

sbom_version=11.12.0
sbom_part=cyclonedx-$sbom_version
sbom_home=$LAZARET_PARTS/$sbom_part

sbom_install() {
	[[ -e $sbom_home/.complete ]] && return
	have python3 || fail "python3 is missing, which checks the bill of materials; scripts/setup.sh test installs it" 2
	install_once "$sbom_part" sbom_fetch
}

sbom_fetch() {
	local pip=(python3 -m pip)
	"${pip[@]}" --version >/dev/null 2>&1 || pip=(pip)
	PIP_ROOT_USER_ACTION=ignore "${pip[@]}" install -q --disable-pip-version-check --only-binary=:all: --target "$1" \
		"cyclonedx-python-lib[json-validation]==$sbom_version" </dev/null >&2
}
