"""Holds what the chart derives from the configuration against what Lazaret derives from it.

usage: derived.py OBJECTS.jsonl TOPICS.json

OBJECTS are those of one values file with Strimzi's topics, one a line; TOPICS is what `lazaret topics list -o json` says of the
configuration among them. Topics must be the same, and what scales must ask for inputs and their groups, and for nothing else.
"""

import json
import sys


def main():
    objects = [json.loads(line) for line in open(sys.argv[1])]
    topology = json.load(open(sys.argv[2]))
    wrong = list(topics(objects, topology)) + list(scaling(objects, topology))
    for line in wrong:
        print(line)
    sys.exit(bool(wrong))


def topics(objects, topology):
    ours = {o["spec"]["topicName"]: told(o["spec"]) for o in objects if o["kind"] == "KafkaTopic"}
    theirs = {topic["name"]: meant(topic) for topic in topology["topics"]}
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            yield f"topic {name}: the chart has {ours.get(name)}, Lazaret {theirs.get(name)}"


def told(spec):
    """A topic as the chart writes it."""
    config = spec["config"]
    return {
        "partitions": spec["partitions"],
        "replication": spec.get("replicas"),
        "retention": config["retention.ms"],
        "max": config["max.message.bytes"],
        "timestamps": config.get("message.timestamp.type"),
    }


def meant(topic):
    """The same as Lazaret has it."""
    by_broker = {"rung": "LogAppendTime", "redrive": "LogAppendTime", "park": "LogAppendTime", "dlq": "CreateTime"}
    return {
        "partitions": topic["partitions"],
        "replication": topic["replication"],
        "retention": -1 if topic["retention"] is None else milliseconds(topic["retention"]),
        "max": int(size(topic["message_max"])),
        "timestamps": by_broker.get(topic["purpose"]),
    }


def milliseconds(span):
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    number = span.rstrip("msdh")
    return int(number) * units[span[len(number) :]]


def size(text):
    units = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
    unit = next(unit for unit in units if text.endswith(unit))
    return int(text.removesuffix(unit)) * units[unit]


def scaling(objects, topology):
    inputs = {(stage["group"], stage["input"]): stage for stage in topology["stages"]}
    partitions = {topic["name"]: topic["partitions"] for topic in topology["topics"]}
    seen = set()
    for scaled in (o for o in objects if o["kind"] == "ScaledObject"):
        name = scaled["metadata"]["name"]
        asked = [(t["metadata"]["consumerGroup"], t["metadata"]["topic"]) for t in scaled["spec"]["triggers"]]
        for pair in asked:
            if pair not in inputs:
                yield f"ScaledObject {name} asks for {pair}, which is no group and its input"
            if pair in seen:
                yield f"ScaledObject {name} asks for {pair}, and so does another"
            seen.add(pair)
        most = max((partitions.get(topic, 0) for _, topic in asked), default=0)
        if scaled["spec"]["maxReplicaCount"] > most:
            yield f"ScaledObject {name} may have more Pods than the {most} partitions of its input"


main()
