#!/usr/bin/env bash
# A schema registry with the Confluent API: Apicurio Registry, out of a Maven artifact. Sourced by parts.sh.

# 3.3.3 needs Java 21, 3.0.9 runs on 17.
if java_from 21 >/dev/null; then
	registry_version=3.3.3 registry_java=21
else
	registry_version=3.0.9 registry_java=17
fi
registry_part=apicurio-$registry_version
registry_home=$LAZARET_PARTS/$registry_part

registry_install() {
	java_from "$registry_java" >/dev/null || fail "the registry needs Java 17 or newer; scripts/setup.sh test installs it" 2
	have mvn || fail "Maven is missing; scripts/setup.sh test installs it" 2
	install_once "$registry_part" registry_fetch
}

registry_fetch() {
	mvn -q -B -Dstyle.color=never dependency:copy -Dartifact="io.apicurio:apicurio-registry-app:$registry_version:tar.gz:all" \
		-DoutputDirectory="$1" -Dmdep.useBaseVersion=true </dev/null >&2 &&
		tar -xzf "$1"/*.tar.gz -C "$1" --no-same-owner && rm "$1"/*.tar.gz
}

registry_start() {
	registry_install
	registry_stop
	on_free_ports registry || fail "the schema registry did not start"
}

registry_try() {
	local port jar url
	port=$(free_port)
	url=http://127.0.0.1:$port/apis/ccompat/v7
	for jar in "$registry_home"/quarkus-run.jar "$registry_home"/*-runner.jar; do
		[[ -f $jar ]] && break
	done
	spawn registry "$(java_from "$registry_java")" "${jvm[@]}" -Dquarkus.http.host=127.0.0.1 -Dquarkus.http.port="$port" \
		-Dquarkus.management.host=127.0.0.1 -Dquarkus.management.port="$(free_port)" -jar "$jar"
	await registry curl -sf -m 2 -o /dev/null "$url/subjects" || return 1
	tell LAZARET_TEST_REGISTRY "$url"
	say "the schema registry (Apicurio $registry_version) is up: $url"
}

registry_stop() {
	stop_pid "$run/registry.pid"
	forget LAZARET_TEST_REGISTRY
}
