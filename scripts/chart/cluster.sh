#!/usr/bin/env bash
# The chart against a Kubernetes API server. Sourced by chart.sh. Nothing runs the Pods here, and no controllers work: what is
# seen is what the server says of objects, and what Helm makes of a release.

# helm_there VERB…: a change of the release, which waits for hooks as it does in a cluster. With jobs_end=failed they fail.
helm_there() {
	local rc=0
	end_jobs "${jobs_end:-succeeded}" &
	local ending=$!
	helm "$@" --namespace lazaret --timeout 60s >/dev/null || rc=$?
	kill "$ending"
	wait "$ending" 2>/dev/null || true
	return "$rc"
}

# end_jobs succeeded|failed: plays the part of the controller of Jobs, each of which ends at once. Notes which there were.
end_jobs() {
	local job now status
	while :; do
		for job in $(kubectl get jobs -o name 2>/dev/null); do
			now=$(date -u +%Y-%m-%dT%H:%M:%SZ)
			case $1 in
			succeeded) status="\"succeeded\": 1, \"completionTime\": \"$now\", $(conditions "$now" SuccessCriteriaMet Complete)" ;;
			failed) status="\"failed\": 1, $(conditions "$now" FailureTarget Failed)" ;;
			esac
			kubectl patch "$job" --subresource=status --type=merge \
				-p "{\"status\": {\"startTime\": \"$now\", $status}}" >/dev/null 2>&1 || continue
			grep -qx "${job#*/}" "$work/jobs" || echo "${job#*/}" >>"$work/jobs"
		done
		sleep 0.3
	done
}

# conditions TIME FIRST SECOND: of a Job that has ended.
conditions() {
	printf '"conditions": [{"type": "%s", "status": "True", "lastTransitionTime": "%s"}, {"type": "%s", "status": "True", "lastTransitionTime": "%s"}]' \
		"$2" "$1" "$3" "$1"
}

prepare_cluster() {
	kubectl create -f "$tools/crds" -f scripts/chart/strimzi.crds.yaml || return
	kubectl wait --for=condition=Established --timeout=60s crd --all || return
	kubectl create namespace kafka && kubectl create namespace monitoring && kubectl create namespace lazaret || return
	kubectl config set-context --current --namespace lazaret || return
	# What is not allowed to a Pod is refused, and said of what would make such a Pod.
	kubectl label namespace lazaret pod-security.kubernetes.io/enforce=restricted pod-security.kubernetes.io/warn=restricted || return
	kubectl create -f - <<-CLASSES
		{"apiVersion": "v1", "kind": "List", "items": [
		{"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "business"}, "value": 1000},
		{"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "batch"}, "value": 100}]}
	CLASSES
}

# Not `helm install --dry-run=server`: that one takes unknown fields and wrong types.
server_takes() {
	local said=$work/said
	kubectl apply --dry-run=server --validate=strict -f "$1" >"$said" 2>&1 || {
		cat "$said"
		return 1
	}
	# A warning is something that does not work as meant, such as a Pod that may do too much.
	! grep -i warning "$said"
}

# What the checks above are worth: it must refuse a field that does not exist, and a Pod that may do too much.
server_refuses() {
	local values=$chart/ci/minimal-values.yaml
	render "$values" --set probes.startup.successThreshold=3 >"$work/wrong" && ! server_takes "$work/wrong" >/dev/null || return
	render "$values" --set pod.containerSecurityContext.allowPrivilegeEscalation=true >"$work/wrong" && ! server_takes "$work/wrong" >/dev/null || return
	render "$values" --set pod.affinity.nonsense=true >"$work/wrong" && ! server_takes "$work/wrong" >/dev/null
}

# live FILE: every object of the release as the server has it; false when it has not all of them.
live() {
	helm get manifest lazaret --namespace lazaret >"$work/manifest" || return
	lines "$work/manifest" >"$work/manifest.jsonl"
	kubectl get -f "$work/manifest" -o json >"$1"
}

# The server has what the chart says, and more only where it has defaults.
release_is_there() {
	live "$work/live.json" && python3 scripts/chart/subset.py "$work/manifest.jsonl" "$work/live.json"
}

# What a release is made of, without what changes with every writing of it.
release_now() {
	live "$work/live.json" && python3 -c '
import json, sys
for o in json.load(open(sys.argv[1]))["items"]:
    meta = o["metadata"]
    print(json.dumps([o["kind"], meta["name"], meta.get("labels"), o.get("spec"), o.get("data")], sort_keys=True))
' "$work/live.json" | sort
}

nothing_is_left_but() {
	kubectl get deployments,jobs,cronjobs,configmaps,services,serviceaccounts,networkpolicies,poddisruptionbudgets,ingresses,httproutes,scaledobjects,podmonitors,servicemonitors,prometheusrules,horizontalpodautoscalers \
		-l app.kubernetes.io/instance=lazaret -o name >"$work/left" || return
	kubectl get persistentvolumeclaims -l app.kubernetes.io/instance=lazaret -o name >>"$work/left" || return
	kubectl get -n kafka kafkatopics -o name | sed 's|/.*||' | uniq >>"$work/left" || return
	diff "$work/left" <(printf '%s' "$1")
}

# is WHAT EXPECTED COMMAND…: says what it is when it is something else.
is() {
	local what=$1 expected=$2 found
	shift 2
	found=$("$@") || return
	[[ $found == "$expected" ]] || {
		echo "$what: $found, not $expected"
		return 1
	}
}

of_chunk() { kubectl get deployment lazaret-rag-ingest-chunk -o jsonpath="{$1}"; }

deployments() { kubectl get deployments -o name | wc -l; }

# What a failed check has left must not be in the way of the next one.
install() {
	: >"$work/jobs"
	helm_there uninstall lazaret --ignore-not-found && helm_there install lazaret "$packed" --values "$1" && release_is_there
}

# One release through its life: more of it, other than it was, back, and gone.
life_of_a_release() {
	local values=$chart/ci/production-values.yaml
	install "$values" && release_now >"$work/first" || return
	diff "$work/jobs" <(printf 'lazaret-topics\nlazaret-schemas\n') || return
	! kubectl get configmap/lazaret-topics job/lazaret-topics >/dev/null 2>&1 || return
	# A Job that fails: nothing is changed, and its log can be read.
	! jobs_end=failed helm_there upgrade lazaret "$packed" --values "$values" --set workers.replicas=7 || return
	is "replicas" 2 of_chunk .spec.replicas && is "generation" 1 of_chunk .metadata.generation || return
	kubectl get job/lazaret-topics >/dev/null || return
	# Another configuration, another number of Pods, and a pipeline less.
	: >"$work/jobs"
	helm_there upgrade lazaret "$packed" --values "$values" --set config.kafka.timeout=30s --set workers.replicas=5 \
		--set-json 'config.pipelines.rag-answer=null' --set-json 'workers.stages={}' && release_is_there || return
	release_now >"$work/second" || return
	diff "$work/jobs" <(printf 'lazaret-topics\nlazaret-schemas\n') || return
	is "Deployments" 6 deployments && is "replicas" 5 of_chunk .spec.replicas && is "generation" 2 of_chunk .metadata.generation || return
	helm_there rollback lazaret 1 && release_is_there || return
	release_now | diff "$work/first" - || return
	# The same again changes nothing: no Pod is replaced.
	helm_there upgrade lazaret "$packed" --values "$values" || return
	release_now | diff "$work/first" - || return
	is "generation" 3 of_chunk .metadata.generation || return
	helm_there uninstall lazaret && nothing_is_left_but ''
}

install_and_uninstall() {
	install "$1" && helm_there uninstall lazaret && nothing_is_left_but "$2"
}

check_cluster() {
	local values name folder left
	have kubectl || fail "kubectl is missing; get it from https://kubernetes.io/docs/tasks/tools" 2
	export LAZARET_RUN=$work/run
	trap 'scripts/parts.sh kube stop; rm -rf "$work"' EXIT
	scripts/parts.sh kube start
	# shellcheck disable=SC1091
	. "$LAZARET_RUN/env"
	export KUBECONFIG=$LAZARET_TEST_KUBECONFIG
	check "definitions and namespaces" prepare_cluster
	check "what is wrong is refused" server_refuses
	for values in "$chart"/ci/*-values.yaml; do
		name=${values##*/}
		render "$values" >"$work/$name.objects"
		check "$name: server-side dry run" server_takes "$work/$name.objects"
	done
	check "production-values.yaml: install, upgrade, rollback, uninstall" life_of_a_release
	left=''
	for name in air-gapped keda minimal tls-everywhere; do
		# What holds records and state stays.
		[[ $name == minimal ]] && left+=$'persistentvolumeclaim/lazaret-data\n'
		[[ $name == tls-everywhere ]] && left+=$'kafkatopic.kafka.strimzi.io\n'
		check "$name-values.yaml: install, uninstall" install_and_uninstall "$chart/ci/$name-values.yaml" "$left"
	done
}
