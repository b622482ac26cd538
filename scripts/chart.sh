#!/usr/bin/env bash
# Checks the Helm chart.
#
#   scripts/chart.sh            lint, unit tests, every object of every values file in helm/lazaret/ci against the schemas of
#                               Kubernetes, and what the chart derives from the configuration against Lazaret itself
#   scripts/chart.sh cluster    against a Kubernetes API server of its own: the same objects as a server-side dry run, and one
#                               release installed, upgraded, rolled back and uninstalled
#   scripts/chart.sh docs       writes helm/lazaret/README.md anew
#
# LAZARET_BIN names the program that checks configurations, instead of building one.
# `check` runs most functions, which nobody calls by name.
# shellcheck disable=SC2317,SC2329
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

chart=helm/lazaret
tools=$(scripts/parts.sh chart home)
work=$(mktemp -d "${TMPDIR:-/tmp}/lazaret-chart.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# Helm says of every link that it follows it.
helm() { "$tools/bin/helm" "$@" 2> >(grep -v 'found symbolic link' >&2); }

# check NAME COMMAND…: runs it, whatever went before; says what it said when it failed.
check() {
	local name=$1
	shift
	if "$@" >"$work/output" 2>&1; then
		printf 'ok      %s\n' "$name"
	else
		printf 'FAILED  %s\n' "$name"
		sed 's/^/        /' "$work/output"
		failed=1
	fi
}

lazaret() { "$program" "$@"; }

# What is checked is what is installed: the packed chart.
pack() { helm package "$chart" --destination "$work" && packed=$(echo "$work"/lazaret-*.tgz); }

# render VALUES ARGUMENTS…: all objects, those of hooks and tests included.
render() {
	local values=$1
	shift
	helm template lazaret "$packed" --namespace lazaret --values "$values" "$@"
}

# lines FILE: each of its documents as a line of JSON.
lines() { "$tools/bin/helm" template lines scripts/chart/lines --set-file text="$1" | grep '^{'; }

readme_is_up_to_date() {
	mkdir "$work/docs"
	cp "$chart"/{Chart.yaml,values.yaml,README.md.gotmpl} "$work/docs"
	"$tools/bin/helm-docs" --log-level error --chart-search-root "$work/docs" || return
	diff -u "$chart/README.md" "$work/docs/README.md" || {
		echo "remedy: scripts/chart.sh docs"
		return 1
	}
	if grep -E '^\| .*\|  \|$' "$chart/README.md"; then
		echo "remedy: say in values.yaml what these are, with '# -- '; no further ' --' may stand in that line"
		return 1
	fi
}

# The chart has them by a link, so that there is one of each.
files_are_those_of_deploy() {
	local file
	for file in deploy/prometheus/*.rules.yml deploy/grafana/*.json; do
		tar -xzOf "$packed" "lazaret/files/${file#deploy/}" | cmp - "$file" || return
	done
}

# Kinds of Kubernetes' own have the schemas of one version; of KEDA, the Prometheus operator and the Gateway API those of their
# definitions; of Strimzi what scripts/chart/strimzi.crds.yaml has. Nothing is skipped: a kind without a schema is an error.
objects_are_valid() {
	"$tools/bin/kubeconform" -strict -schema-location "$tools/schemas/{{.ResourceKind}}{{.KindSuffix}}.json" "$1"
}

# The configuration as it stands in the ConfigMap of the release.
configuration_of() {
	python3 -c '
import json, sys
of = [json.loads(line) for line in open(sys.argv[1])]
maps = [o["data"] for o in of if o["kind"] == "ConfigMap" and "helm.sh/hook" not in o["metadata"].get("annotations", {})]
for name in maps[0]:
    if name.endswith(".yaml"):
        open(sys.argv[2] + "/" + name, "w").write(maps[0][name])
' "$1" "$2"
}

configuration_is_good() {
	local file
	for file in "$1"/*.yaml; do
		lazaret --config "$file" check || return
	done
}

derived_is_what_lazaret_derives() {
	local values=$1 folder=$2
	render "$values" --set strimzi.topics.enabled=true,strimzi.cluster=kafka,topicsJob.enabled=false >"$folder/strimzi" &&
		lines "$folder/strimzi" >"$folder/strimzi.jsonl" &&
		lazaret --config "$folder/lazaret.yaml" topics list -o json >"$folder/topics.json" &&
		python3 scripts/chart/derived.py "$folder/strimzi.jsonl" "$folder/topics.json"
}

check_values() {
	local values=$1 name=${1##*/} folder
	folder=$work/${name%-values.yaml}
	mkdir "$folder"
	check "$name: lint" helm lint --strict --quiet "$packed" --values "$values"
	if ! render "$values" >"$folder/objects"; then
		printf 'FAILED  %s: render\n' "$name"
		failed=1
		return
	fi
	check "$name: objects" objects_are_valid "$folder/objects"
	lines "$folder/objects" >"$folder/objects.jsonl"
	configuration_of "$folder/objects.jsonl" "$folder"
	check "$name: configuration" configuration_is_good "$folder"
	check "$name: topics and scaling" derived_is_what_lazaret_derives "$values" "$folder"
}

check_all() {
	local values
	check "README" readme_is_up_to_date
	check "alert rules and dashboards" files_are_those_of_deploy
	check "unit tests" "$tools/bin/helm-unittest" --strict "$chart"
	for values in "$chart"/ci/*-values.yaml; do
		check_values "$values"
	done
}

scripts/parts.sh chart install
case ${1:-} in
'')
	program=$(built_lazaret)
	pack >/dev/null
	check_all
	;;
docs) "$tools/bin/helm-docs" --log-level error --chart-search-root "$chart" ;;
cluster)
	pack >/dev/null
	# shellcheck source=scripts/chart/cluster.sh
	. scripts/chart/cluster.sh
	check_cluster
	;;
*) fail "usage: scripts/chart.sh [cluster|docs]" 64 ;;
esac
exit "$failed"
