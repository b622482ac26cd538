"""Runs the services of a Compose file without a container engine: each in a network namespace and a root file system of its own, as
the user of its image, with its command, environment, mounts and order of start. What it runs are the programs of scripts/parts.sh.

What an engine does and this does not: images, limits of memory, published ports, restarts. Needs root.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

SUBNET = "172.31.254"
# Where the parts lie in every service.
PARTS = pathlib.Path("/opt/parts")
POLL = 0.2
# Of /etc: how names are found, where libraries lie, and whom to trust. Who is who is told by Service.users.
ETC = ("nsswitch.conf", "ld.so.cache", "alternatives", "ssl", "localtime")


class Broken(Exception):
    """A service did not become what others wait for; carries what is to be told."""


def run(*command, **more):
    return subprocess.run(command, check=True, **more)


def seconds(span):
    """Of `1m30s` and the like."""
    units = {"h": 3600, "m": 60, "s": 1}
    return sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([hms])", span))


def wait_until(deadline, condition):
    """What the condition says as soon as it is true; false when the time is over."""
    while not (met := condition()):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL)
    return met


class Network:
    """A bridge in the namespace that this process is in, and a namespace for each service."""

    def __init__(self, folder, names):
        self.addresses = {name: f"{SUBNET}.{at}" for at, name in enumerate(names, start=10)}
        self.hosts = folder / "hosts"
        lines = ["127.0.0.1 localhost", *(f"{address} {name}" for name, address in self.addresses.items())]
        self.hosts.write_text("\n".join(lines) + "\n")
        ip = ["link set lo up", "link add services type bridge", f"addr add {SUBNET}.1/24 dev services", "link set services up"]
        pathlib.Path("/run/netns").mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "none", "/run/netns")
        run("mount", "--bind", self.hosts, "/etc/hosts")
        for line in ip:
            run("ip", *line.split())
        for number, (name, address) in enumerate(self.addresses.items()):
            run("ip", "netns", "add", name)
            run("ip", "link", "add", f"to-{number}", "type", "veth", "peer", "name", "eth0", "netns", name)
            run("ip", "link", "set", f"to-{number}", "master", "services", "up")
            for line in (f"addr add {address}/24 dev eth0", "link set eth0 up", "link set lo up"):
                run("ip", "-netns", name, *line.split())


class Service:
    """One of the file, and the program that stands for its image."""

    def __init__(self, name, said, program, folder, network):
        self.name, self.said, self.program, self.folder, self.network = name, said, program, folder, network
        self.log = folder / f"{name}.log"
        self.process = None

    def mounts(self):
        """The root file system: what the image has, or of this machine what programs need, and what the file mounts."""
        root, base = self.base()
        binds = [("--ro-bind", path, pathlib.Path("/") / path.relative_to(root)) for path in base]
        binds += [("--ro-bind", self.network.hosts, "/etc/hosts"), ("--ro-bind", self.users(), "/etc/passwd")]
        binds += [("--ro-bind", source, target) for source, target in self.program.files.items()]
        binds += [self.volume(volume) for volume in self.said.get("volumes", [])]
        flags = ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/tmp"]
        for name in ("bin", "lib", "lib64", "sbin"):
            if root / name not in base:
                flags += ["--symlink", f"usr/{name}", f"/{name}"]
        # Otherwise root alone might enter them.
        entered = {folder for _, _, target in binds for folder in pathlib.Path(target).parents} | {pathlib.Path(self.program.folder)}
        for folder in sorted(entered):
            flags += ["--perms", "0755", "--dir", folder]
        for path in self.said.get("tmpfs", []):
            flags += ["--perms", "1777", "--tmpfs", path]
        for bind in binds:
            flags += bind
        if self.said.get("read_only"):
            flags += ["--remount-ro", "/"]
        return [str(flag) for flag in flags]

    def base(self):
        """A root, and what of it the service sees: not whole folders where something is mounted into them."""
        root = self.program.root or pathlib.Path("/")
        tops = [root / name for name in ("usr", "lib", "lib64")]
        etc = [path for path in (root / "etc").iterdir() if path.name in ETC or path.name.startswith("java-")]
        return root, [path for path in tops if path.exists() and not path.is_symlink()] + etc

    def users(self):
        """As in the image: some programs do not start for a user without a name."""
        file = self.folder / f"passwd-{self.program.user}"
        file.write_text(f"root:x:0:0::/tmp:/bin/sh\nimage:x:{self.program.user}:{self.program.user}::/tmp:/bin/sh\n")
        return file

    def volume(self, volume):
        if volume["type"] == "bind":
            return "--ro-bind" if volume.get("read_only") else "--bind", volume["source"], volume["target"]
        source = self.folder / "volumes" / volume["source"]
        source.mkdir(parents=True, exist_ok=True)
        # As a new volume takes the owner of what the image has in its place.
        os.chown(source, self.program.user, self.program.user)
        return "--bind", source, volume["target"]

    def command(self, program, flags=()):
        """The program as the service would start it, in its namespaces and as its user."""
        told = {**self.program.environment, **{name: str(value) for name, value in self.said.get("environment", {}).items()}}
        environment = [word for name, value in told.items() for word in ("--setenv", name, value)]
        user = str(self.program.user)
        rights = [] if user == "0" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all"]
        inside = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", self.name, "--clearenv"]
        space = ["nsenter", f"--net=/run/netns/{self.name}"]
        return [*space, *inside, *environment, *self.mounts(), "--chdir", self.program.folder, *flags, *rights, *program]

    def start(self):
        words = [*self.said.get("entrypoint", self.program.entrypoint), *(self.said.get("command") or [])]
        # As in a container, where the program is the first process unless there is an `init`.
        flags = [] if self.said.get("init") else ["--as-pid-1"]
        with self.log.open("wb") as log:
            command = self.command([*self.program.before, *words], flags)
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def output(self, *program):
        """What a command says in the service, as with `docker compose exec`; an error when it fails."""
        done = subprocess.run(self.command(program), capture_output=True, text=True, check=False)
        if done.returncode:
            raise Broken(f"{' '.join(program)} in {self.name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def is_healthy(self):
        test = self.said["healthcheck"]["test"]
        kind, words = test[0], test[1:]
        words = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
        quiet = subprocess.DEVNULL
        with contextlib.suppress(subprocess.TimeoutExpired):
            return not subprocess.run(self.command(words), stdout=quiet, stderr=quiet, timeout=10, check=False).returncode
        return False

    def become(self, condition):
        """Waits until it is what another service waits for."""
        check = self.said.get("healthcheck", {})
        limit = seconds(check.get("start_period", "0s")) + check.get("retries", 3) * seconds(check.get("interval", "30s"))
        ended = lambda: self.process.poll() is not None
        if condition == "service_completed_successfully":
            if not wait_until(time.monotonic() + 120, ended) or self.process.returncode:
                raise self.broken("did not complete")
        elif condition == "service_healthy":
            if not wait_until(time.monotonic() + limit, lambda: ended() or self.is_healthy()) or ended():
                raise self.broken("is not healthy")

    def broken(self, what):
        code = self.process.poll()
        state = "it runs" if code is None else f"it ended with {code}"
        return Broken(f"{self.name} {what}; {state}, and said at the end of {self.log}:\n{self.tail()}")

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])

    def stop(self):
        """As an engine does: SIGTERM, and SIGKILL after the grace period. How it ended; None when it had ended already."""
        if self.process is None or self.process.poll() is not None:
            return None
        # An `init` passes it on to the program, which bwrap's does not.
        told = children(self.process.pid)
        if self.said.get("init"):
            told = [pid for init in told for pid in children(init)]
        for pid in told:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds(self.said.get("stop_grace_period", "10s")))
        self.process.kill()
        return self.process.wait()


def children(pid):
    return [int(child) for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


class Stack:
    """All services that there are programs for."""

    def __init__(self, said, programs, folder):
        self.folder = folder
        known = {name: service for name, service in said["services"].items() if image(service) in programs}
        self.left_out = sorted(said["services"].keys() - known.keys())
        network = Network(folder, sorted(said["services"]))
        self.services = {
            name: Service(name, service, programs[image(service)](service), folder, network) for name, service in known.items()
        }

    def up(self, report):
        """Starts each when what it depends on is as it asks."""
        for name in self.order():
            service = self.services[name]
            for other, wanted in self.needs(name).items():
                self.services[other].become(wanted)
            service.start()
            report(name)
        for service in self.services.values():
            if "healthcheck" in service.said:
                service.become("service_healthy")

    def needs(self, name):
        wanted = self.services[name].said.get("depends_on", {})
        return {other: how["condition"] for other, how in wanted.items() if other in self.services}

    def order(self):
        """Those first on which others depend; among equals those that nobody waits for long."""
        order = []

        def add(name):
            for other in self.needs(name):
                add(other)
            if name not in order:
                order.append(name)

        for name in sorted(self.services, key=lambda name: len(self.needs(name))):
            add(name)
        return order

    def ended(self):
        """What each said that has ended and should not have."""
        wrong = [service for service in self.services.values() if service.process and service.process.poll()]
        return [str(service.broken("is not there any more")) for service in wrong]

    def down(self):
        """Stops all, those first that depend on others. How each ended that ran."""
        ended = {name: self.services[name].stop() for name in reversed(self.order())}
        return {name: code for name, code in ended.items() if code is not None}


def image(service):
    return service["image"].rsplit(":", 1)[0]


def load(reader, root):
    """The file with all that is implied, as `docker compose config` prints it."""
    told = run(reader, "-format", "json", "docker-compose.yml", cwd=root, capture_output=True, text=True).stdout
    return json.loads(told)


def fresh(folder):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    return folder
