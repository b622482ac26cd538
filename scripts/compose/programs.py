"""Which program stands for which image, and what the image's own start script does with the environment before it."""

import dataclasses
import os
import pathlib
import re

from engine import PARTS


@dataclasses.dataclass
class Program:
    """An image, as far as engine.py needs to know it."""

    entrypoint: list
    user: int = 0
    folder: str = "/"
    # The root file system, where there is one; else what programs need of this machine's.
    root: pathlib.Path | None = None
    # What stands on this machine, and where in the service.
    files: dict = dataclasses.field(default_factory=dict)
    environment: dict = dataclasses.field(default_factory=dict)
    # Put before the command: a script that prepares and then runs what follows.
    before: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.environment = {"PATH": "/usr/bin:/bin", "HOME": "/tmp", **self.environment}


def prepared(script):
    return ["bash", "-euc", script, "start"]


def programs(parts, lazaret, scratch):
    """By the name of the image. `parts` names the folders of scripts/parts.sh by part, `lazaret` the root of our image."""

    def of(part):
        return {parts[part]: PARTS / part}

    def kafka(service):
        # The image writes its properties from the variables: KAFKA_LOG_DIRS is log.dirs.
        named = {name: value for name, value in service["environment"].items() if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"}
        line = lambda name: name.removeprefix("KAFKA_").lower().replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_")
        properties = scratch / "kafka.properties"
        properties.write_text("".join(f"{line(name)}={value}\n" for name, value in named.items()))
        java = f"java -Dlog4j2.configurationFile={PARTS}/kafka/log4j2.properties -XX:TieredStopAtLevel=1 -cp '{PARTS}/kafka/lib/*'"
        tools = scratch / "kafka-bin"
        tools.mkdir(exist_ok=True)
        tool = tools / "kafka-topics.sh"
        tool.write_text(f'#!/bin/sh\nexec {java} org.apache.kafka.tools.TopicCommand "$@"\n')
        tool.chmod(0o755)
        start = f"""
            {java} kafka.tools.StorageTool format --ignore-formatted -t "$CLUSTER_ID" -c /opt/kafka/server.properties
            exec {java} $KAFKA_HEAP_OPTS kafka.Kafka /opt/kafka/server.properties"""
        files = {**of("kafka"), properties: "/opt/kafka/server.properties", tools: "/opt/kafka/bin"}
        return Program([], user=1000, files=files, before=prepared(start))

    def registry(_):
        java = os.environ["REGISTRY_JAVA"]
        return Program([java, "-XX:TieredStopAtLevel=1", "-jar", f"{PARTS}/registry/quarkus-run.jar"], user=1001, files=of("registry"))

    def postgres(_):
        # What the image does on an empty volume; root may not, hence the user.
        start = """
            export PGDATA=/var/lib/postgresql/data
            if [ ! -s $PGDATA/PG_VERSION ]; then
                initdb --username=postgres --auth="$POSTGRES_HOST_AUTH_METHOD" --no-sync --encoding=UTF8 --locale=C
                echo "host all all all $POSTGRES_HOST_AUTH_METHOD" >>$PGDATA/pg_hba.conf
                echo "create database $POSTGRES_DB;" | postgres --single postgres
            fi
            exec postgres -c listen_addresses='*' -c unix_socket_directories= -c fsync=off"""
        environment = {
            "PATH": f"{PARTS}/postgres/bin:/usr/bin:/bin",
            "LD_LIBRARY_PATH": f"{PARTS}/postgres/lib",
        }
        return Program([], user=999, files=of("postgres"), environment=environment, before=prepared(start))

    def ours(_):
        path = {"PATH": "/usr/local/bin:/usr/bin"}
        return Program(["lazaret"], user=65532, folder="/var/lib/lazaret", root=lazaret, environment=path)

    def plain(part, user, program):
        return lambda _: Program([f"{PARTS}/{part}/{program}"], user=user, files=of(part))

    return {
        "apache/kafka": kafka,
        "apicurio/apicurio-registry": registry,
        "pgvector/pgvector": postgres,
        "lazaret": ours,
        "prom/prometheus": plain("prometheus", 65534, "prometheus"),
        "prom/alertmanager": plain("alertmanager", 65534, "alertmanager"),
        "otel/opentelemetry-collector": plain("collector", 10001, "collector"),
    }


def folders(text):
    """`kafka=/folder registry=/folder`, as compose.sh tells it."""
    return {part: pathlib.Path(folder) for part, folder in re.findall(r"(\S+?)=(\S+)", text)}
