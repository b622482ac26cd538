#!/usr/bin/env bash
# An OpenTelemetry collector, built with Go out of the modules that released ones are made of: collector/main.go says which. It takes
# traces over OTLP, and writes them into a file, a line of JSON for each request. Sourced by parts.sh.
# Built from nothing it takes two cores three minutes, so that only what asks for it does so.

collector_version=0.161.0
collector_part=collector-$collector_version
collector_home=$LAZARET_PARTS/$collector_part

collector_install() {
	[[ -e $collector_home/.complete ]] && return
	have go || fail "Go is missing, which builds the collector; get it from https://go.dev/dl" 2
	install_once "$collector_part" collector_fetch
}

collector_fetch() {
	nice go build -C scripts/parts/collector -mod=readonly -trimpath -ldflags "-s -w -X main.version=$collector_version" \
		-o "$1/collector" . >&2
}

collector_start() {
	collector_install
	collector_stop
	on_free_ports collector || fail "the collector did not start"
}

collector_try() {
	local http grpc
	http=$(free_port) grpc=$(free_port)
	cat >"$run/collector.yaml" <<-CONFIG
		receivers:
		  otlp:
		    protocols:
		      http: { endpoint: 127.0.0.1:$http }
		      grpc: { endpoint: 127.0.0.1:$grpc }
		exporters:
		  file: { path: $run/spans.jsonl, flush_interval: 100ms }
		service:
		  telemetry: { metrics: { level: none } }
		  pipelines:
		    traces: { receivers: [otlp], exporters: [file] }
	CONFIG
	spawn collector "$collector_home/collector" --config "$run/collector.yaml"
	await collector grep -q 'Everything is ready' "$run/collector.log" || return 1
	tell LAZARET_TEST_OTLP "http://127.0.0.1:$http"
	tell LAZARET_TEST_OTLP_GRPC "http://127.0.0.1:$grpc"
	tell LAZARET_TEST_OTLP_SPANS "$run/spans.jsonl"
	say "the OpenTelemetry collector $collector_version is up: http://127.0.0.1:$http (gRPC at $grpc), spans in $run/spans.jsonl"
}

collector_stop() {
	stop_pid "$run/collector.pid"
	rm -f "$run/spans.jsonl"
	forget LAZARET_TEST_OTLP
	forget LAZARET_TEST_OTLP_GRPC
	forget LAZARET_TEST_OTLP_SPANS
}
