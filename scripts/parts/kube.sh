#!/usr/bin/env bash
# A Kubernetes API server with its etcd, built with Go: objects are admitted, defaulted, validated and stored as in a real cluster,
# and nothing runs them. Sourced by parts.sh. Built from nothing it takes two cores ten minutes, so that only what asks for it
# does so.

kube_version=v1.36.3
kube_etcd=v3.6.8
kube_part=kubernetes-$kube_version-$kube_etcd
kube_home=$LAZARET_PARTS/$kube_part
kube_run=$run/kube

kube_install() {
	[[ -e $kube_home/.complete ]] && return
	have go || fail "Go is missing, which builds the API server; get it from https://go.dev/dl" 2
	install_once "$kube_part" kube_fetch
}

kube_fetch() {
	kube_build_server "$1" >&2 && kube_build_etcd "$1" >&2
}

# Kubernetes' own module names its parts by the version v0.0.0, in place of which those that were published with it are taken.
kube_build_server() {
	local folder=$1/build gomod staging=v0.${kube_version#v1.} package=k8s.io/component-base/version
	gomod=$(go_module "k8s.io/kubernetes@$kube_version" GoMod) && mkdir "$folder" || return
	(
		cd "$folder" || exit
		{
			echo "module build"
			grep '^go ' "$gomod"
			echo "require k8s.io/kubernetes $kube_version"
			sed -nE "s|^\s+(k8s.io/[a-z0-9.-]+) v0\.0\.0(\s.*)?$|replace \1 => \1 $staging|p" "$gomod"
		} >go.mod
		printf '//go:build tools\n\npackage build\n\nimport _ "k8s.io/kubernetes/cmd/kube-apiserver"\n' >build.go
		go mod tidy && nice -n 19 go build -trimpath \
			-ldflags "-s -w -X $package.gitVersion=$kube_version -X $package.gitMajor=1 -X $package.gitMinor=$(cut -d . -f 2 <<<"$kube_version")" \
			-o "$1/kube-apiserver" k8s.io/kubernetes/cmd/kube-apiserver
	) && rm -rf "$folder"
}

kube_build_etcd() {
	local folder=$1/build
	mkdir "$folder"
	(
		cd "$folder" || exit
		printf 'module build\n\ngo 1.24\n\nrequire go.etcd.io/etcd/server/v3 %s\n' "$kube_etcd" >go.mod
		printf 'package main\n\nimport (\n\t"os"\n\n\t"go.etcd.io/etcd/server/v3/etcdmain"\n)\n\nfunc main() { etcdmain.Main(os.Args) }\n' >main.go
		go mod tidy && nice -n 19 go build -trimpath -ldflags '-s -w' -o "$1/etcd" .
	) && rm -rf "$folder"
}

# On loopback, with certificates of its own and one administrator, whose kubeconfig lies in the run folder.
kube_start() {
	local store peer port
	kube_install
	kube_stop
	store=$(free_port) peer=$(free_port) port=$(free_port)
	mkdir -p "$kube_run"
	openssl genrsa -out "$kube_run/accounts.key" 2048 2>/dev/null
	openssl rsa -in "$kube_run/accounts.key" -pubout -out "$kube_run/accounts.pub" 2>/dev/null
	kube_token=$(openssl rand -hex 16)
	echo "$kube_token,admin,admin,system:masters" >"$kube_run/tokens.csv"
	chmod 600 "$kube_run"/*
	# Its data is thrown away: it does not wait for the disk.
	spawn etcd "$kube_home/etcd" --data-dir "$kube_run/etcd" --unsafe-no-fsync --log-level warn \
		--listen-client-urls "http://127.0.0.1:$store" --advertise-client-urls "http://127.0.0.1:$store" \
		--listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
		--initial-cluster "default=http://127.0.0.1:$peer"
	# No controllers make service accounts here, so that Pods need none.
	spawn kube "$kube_home/kube-apiserver" --etcd-servers "http://127.0.0.1:$store" --cert-dir "$kube_run/certificates" \
		--bind-address 127.0.0.1 --advertise-address 127.0.0.1 --secure-port "$port" --endpoint-reconciler-type none \
		--service-account-issuer https://kubernetes.default.svc --service-account-key-file "$kube_run/accounts.pub" \
		--service-account-signing-key-file "$kube_run/accounts.key" --service-cluster-ip-range 10.0.0.0/24 \
		--authorization-mode RBAC --token-auth-file "$kube_run/tokens.csv" --disable-admission-plugins ServiceAccount
	kube_config "$port" >"$kube_run/kubeconfig"
	await kube kube_ready "$port" || fail "the API server did not start"
	tell LAZARET_TEST_KUBECONFIG "$kube_run/kubeconfig"
	say "Kubernetes API server $kube_version is up: 127.0.0.1:$port"
}

kube_ready() {
	[[ $(curl -sk -m 2 -H "Authorization: Bearer $kube_token" "https://127.0.0.1:$1/readyz") == ok ]]
}

kube_config() {
	cat <<-CONFIG
		apiVersion: v1
		kind: Config
		clusters: [{ name: test, cluster: { server: "https://127.0.0.1:$1", insecure-skip-tls-verify: true } }]
		users: [{ name: admin, user: { token: "$kube_token" } }]
		contexts: [{ name: test, context: { cluster: test, user: admin } }]
		current-context: test
	CONFIG
}

kube_stop() {
	stop_pid "$run/kube.pid"
	stop_pid "$run/etcd.pid"
	rm -rf "$kube_run"
	forget LAZARET_TEST_KUBECONFIG
}
