#!/usr/bin/env bash
# What checks the Helm chart: helm, helm-unittest, helm-docs and kubeconform, built with Go, and the schemas that kubeconform
# holds objects against. Sourced by parts.sh.

chart_helm=v3.22.0
chart_unittest=v1.1.2
chart_docs=v1.14.2
chart_kubeconform=v0.8.0
# Of Kubernetes' own kinds: a Python package that carries the schemas of many versions, and the version that we take.
chart_schemas=kubernetes-validate==1.37.0
chart_kubernetes=1.36.0
# Of the kinds of others: their Go modules carry them.
chart_keda=github.com/kedacore/keda/v2@v2.21.0
chart_prometheus=github.com/prometheus-operator/prometheus-operator@v0.85.0
chart_gateway=sigs.k8s.io/gateway-api@v1.6.3
chart_part=chart-$chart_helm-$chart_kubernetes
chart_home=$LAZARET_PARTS/$chart_part

chart_install() {
	[[ -e $chart_home/.complete ]] && return
	have go || fail "Go is missing, which builds helm and its like; get it from https://go.dev/dl" 2
	install_once "$chart_part" chart_fetch
}

# What `helm template` says of the cluster that it does not ask.
chart_flags="-s -w -X helm.sh/helm/v3/internal/version.version=$chart_helm"
for flag in pkg/lint/rules pkg/chartutil; do
	chart_flags+=" -X helm.sh/helm/v3/$flag.k8sVersionMajor=1 -X helm.sh/helm/v3/$flag.k8sVersionMinor=$(cut -d . -f 2 <<<"$chart_kubernetes")"
done

chart_fetch() {
	export GOBIN=$1/bin
	nice go install -trimpath -ldflags "$chart_flags" helm.sh/helm/v3/cmd/helm@$chart_helm >&2 &&
		nice go install -trimpath -ldflags '-s -w' github.com/yannh/kubeconform/cmd/kubeconform@$chart_kubeconform >&2 &&
		nice go install -trimpath -ldflags '-s -w' github.com/norwoodj/helm-docs/cmd/helm-docs@$chart_docs >&2 &&
		go_build "$1/bin/helm-unittest" github.com/helm-unittest/helm-unittest $chart_unittest cmd/helm-unittest \
			-ldflags "$chart_flags" >&2 &&
		chart_schemas_fetch "$1"
}

# The definitions of others' kinds, and of all kinds the schemas for kubeconform.
chart_schemas_fetch() {
	local module folder file pip=(python3 -m pip)
	"${pip[@]}" --version >/dev/null 2>&1 || pip=(pip)
	mkdir -p "$1/crds" "$1/schemas"
	"${pip[@]}" download -q --disable-pip-version-check --no-deps -d "$1" "$chart_schemas" </dev/null >&2 || return
	for module in "$chart_keda" "$chart_prometheus" "$chart_gateway"; do
		folder=$(go_module "$module" Dir) || return
		for file in config/crd/bases/keda.sh_{scaledobjects,triggerauthentications}.yaml \
			example/prometheus-operator-crd/monitoring.coreos.com_{podmonitors,servicemonitors,prometheusrules}.yaml \
			config/crd/standard/gateway.networking.k8s.io_httproutes.yaml; do
			[[ ! -f $folder/$file ]] || cp "$folder/$file" "$1/crds/"
		done
	done
	chmod -R u+w "$1/crds"
	for file in "$1"/crds/*.yaml scripts/chart/strimzi.crds.yaml; do
		"$1/bin/helm" template lines scripts/chart/lines --set-file text="$file" | grep '^{' || return
	done >"$1/crds.jsonl"
	python3 scripts/chart/schemas.py "$1"/*.whl "$chart_kubernetes" "$1/crds.jsonl" "$1/schemas" >&2 && rm "$1"/*.whl
}

# go_module MODULE@VERSION Dir|GoMod: where that part of a module lies, fetched if it is missing.
go_module() { go mod download -json "$1" | sed -n 's/^\t"'"$2"'": "\(.*\)",$/\1/p' | grep .; }

# go_build PROGRAM MODULE VERSION PACKAGE FLAGS…: what `go install` refuses, since the module replaces some of its dependencies.
go_build() {
	local program=$1 module=$2 version=$3 package=$2/$4 folder gomod
	shift 4
	gomod=$(go_module "$module@$version" GoMod) || return
	folder=$(mktemp -d "$(dirname "$program")/build.XXXXXX")
	(
		cd "$folder" || exit
		{
			echo "module build"
			grep '^go ' "$gomod"
			echo "require $module $version"
			sed -n '/^replace (/,/^)/p; /^replace [^(]/p' "$gomod"
		} >go.mod
		printf '//go:build tools\n\npackage build\n\nimport _ "%s"\n' "$package" >build.go
		go mod tidy && nice go build -trimpath "$@" -o "$program" "$package"
	) && rm -rf "$folder"
}
