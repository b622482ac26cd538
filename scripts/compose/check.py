#!/usr/bin/env python3
"""Starts what docker-compose.yml says, and looks whether all of it works together. scripts/compose.sh calls it.

    check.py check|shell FOLDER
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

import engine
from programs import folders, programs

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROMETHEUS = "http://prometheus:9090"
ALERTMANAGER = "http://alertmanager:9093"
API = "http://ops:9465/v1/dlq/count"
# Every few seconds instead of every minute, so that numbers move.
EVERY = "5"
# Panels that may be empty: of an outage, of a stage that keeps an order, of letters that Kafka is about to delete.
LATER = {"pipeline: Paused", "providers: Stages that pause for it", "lag: Parked", "dlq: Archived"}


def main(what, folder):
    folder = engine.fresh(pathlib.Path(folder))
    said = engine.load(os.environ["COMPOSE_READER"], ROOT)
    said["services"]["traffic"]["environment"]["LAZARET_EVERY"] = EVERY
    known = programs(folders(os.environ["COMPOSE_PARTS"]), image_of(os.environ["LAZARET_BIN"], said, folder), folder)
    stack = engine.Stack(said, known, folder)
    tell(f"without {', '.join(stack.left_out)}, for which there is no program here")
    begun = time.monotonic()
    try:
        stack.up(lambda name: tell(f"starting {name}"))
        tell(f"everything is up and healthy after {time.monotonic() - begun:.0f} s")
        if what == "shell":
            subprocess.run([os.environ.get("SHELL", "bash")], env={**os.environ, "PS1": "compose$ "}, check=False)
        else:
            for check in CHECKS:
                tell(check(stack) or f"ok: {check.__doc__}")
    except engine.Broken:
        for died in stack.ended():
            tell(f"error: {died}")
        raise
    finally:
        ended = stack.down()
    if what == "check":
        kindly(stack, ended)
        tell(f"all is well, after {time.monotonic() - begun:.0f} s")


def image_of(binary, said, folder):
    """The root of our image as the Dockerfile makes it; `setpriv` besides, by which one becomes its user."""
    tools = said["services"]["lazaret"]["build"]["args"]["TOOLS"].split()
    engine.run("scripts/image/rootfs.sh", binary, folder / "rootfs", *tools, "setpriv", cwd=ROOT)
    return folder / "rootfs"


def tell(text):
    print(text, file=sys.stderr, flush=True)


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as reply:
        return json.load(reply)


def ask(query):
    """What an instant query finds."""
    return get(f"{PROMETHEUS}/api/v1/query?{urllib.parse.urlencode({'query': query})}")["data"]["result"]


def number(query):
    return sum(float(one["value"][1]) for one in ask(query))


def eventually(what, condition, limit=60):
    found = engine.wait_until(time.monotonic() + limit, condition)
    if not found:
        raise engine.Broken(f"not within {limit} s: {what}")
    return found


def documents_are_indexed_and_questions_are_answered(_):
    """documents are indexed, and questions are answered"""
    for pipeline, stage in (("rag-ingest", "index"), ("rag-answer", "ground")):
        processed = f'lazaret_records_processed_total{{pipeline="{pipeline}",stage="{stage}",outcome="ok"}}'
        eventually(f"{pipeline} does something", lambda: number(processed) > 0)


def the_command_line_finds_nothing_wrong(stack):
    """`lazaret doctor` finds nothing wrong"""
    told = stack.services["ops"].output("lazaret", "doctor")
    (stack.folder / "doctor.txt").write_text(told)


def the_api_knows_its_token(stack):
    """the API tells dead letters to whoever has the token, and to nobody else"""
    eventually("dead letters are counted", lambda: get(API, **authorized(stack))["count"] > 0)
    try:
        get(API)
    except urllib.error.HTTPError as error:
        if error.code == 401:
            return
        raise
    raise engine.Broken(f"{API} answers without a token")


def authorized(stack):
    return {"Authorization": "Bearer " + stack.services["ops"].output("cat", "token").strip()}


def prometheus_reaches_all(_):
    """Prometheus reaches all its targets, and all rules can be evaluated"""

    def down():
        targets = get(f"{PROMETHEUS}/api/v1/targets")["data"]["activeTargets"]
        return [target["scrapeUrl"] for target in targets if target["health"] != "up"]

    eventually("all targets are up", lambda: not down())
    groups = get(f"{PROMETHEUS}/api/v1/rules")["data"]["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    shipped = sum(len(re.findall(r"^ *- (?:alert|record):", file.read_text(), re.M)) for file in (ROOT / "deploy/prometheus").glob("*.rules.yml"))
    wrong = [rule["name"] for rule in rules if rule["health"] == "err"]
    if wrong or len(rules) != shipped:
        raise engine.Broken(f"{len(rules)} of {shipped} rules are there, and these fail: {wrong}")


def dead_letters_call_somebody(_):
    """dead letters are told to Alertmanager"""
    wanted = ("LazaretDeadLettersNewGroup", "LazaretDeadLettersInflow")

    def heard():
        return any(alert["labels"]["alertname"] in wanted for alert in get(f"{ALERTMANAGER}/api/v2/alerts"))

    eventually("an alert about dead letters comes to Alertmanager", heard)


def dead_letters_are_sent_back(stack):
    """dead letters can be sent back, and what becomes of them is seen"""
    ops = stack.services["ops"]
    plan = json.loads(ops.output("lazaret", "redrive", "plan", "--stage", "parse", "--code", "parse.corrupt", "--output", "json"))
    orders = ["--override", "changed", "--reason", "to see it", "--by", "check", "--detach", "--yes"]
    ops.output("lazaret", "redrive", "start", plan["id"], *orders)
    eventually("the canary is judged", lambda: number("lazaret_redrive_records_total") > 0)


def grafana_finds_what_it_reads(stack):
    """what Grafana is to read is there, and every panel has something to show"""
    said = json.loads(engine.run(os.environ["COMPOSE_READER"], "-format", "json", "docker-compose.yml", cwd=ROOT, capture_output=True).stdout)
    mounts = {volume["target"]: pathlib.Path(volume["source"]) for volume in said["services"]["grafana"]["volumes"]}
    provisioning = mounts["/etc/grafana/provisioning"]
    source = (provisioning / "datasources/prometheus.yaml").read_text()
    url = re.search(r"url: (\S+)", source).group(1)
    if get(f"{url}/api/v1/status/buildinfo")["status"] != "success":
        raise engine.Broken(f"{url} is no Prometheus")
    path = re.search(r"path: (\S+?) }", (provisioning / "dashboards/lazaret.yaml").read_text()).group(1)
    boards = sorted(mounts[path].glob("*.json"))
    home = said["services"]["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    if pathlib.Path(home).name not in [board.name for board in boards]:
        raise engine.Broken(f"{home} is not among the dashboards")

    def empty():
        # Of the API there is something to show while somebody asks it.
        get(API, **authorized(stack))
        return [f"{title}: {query}" for title, query in panels(boards) if title not in LATER and not shows(query)]

    if not engine.wait_until(time.monotonic() + 60, lambda: not empty()):
        raise engine.Broken("panels without data:\n" + "\n".join(empty()))


def panels(boards):
    """Title and query of everything that is drawn, as Grafana fills it in when everything is chosen."""
    for board in boards:
        for panel in json.loads(board.read_text())["panels"]:
            for target in panel.get("targets", []):
                query = re.sub(r"\$(namespace|pipeline|stage|provider)", ".*", target["expr"])
                query = query.replace("$__rate_interval", "2m").replace("$__range", "5m")
                yield f"{board.stem}: {panel['title']}", query


def shows(query):
    return any(one["value"][1] not in ("NaN", "+Inf") for one in ask(query))


def spans_arrive(stack):
    """spans come to the collector"""
    if b"OTEL_EXPORTER_OTLP_ENDPOINT" not in pathlib.Path(os.environ["LAZARET_BIN"]).read_bytes():
        return "passed over: this binary sends no spans"
    # Some versions of it put `_total` at the end.
    eventually("spans come to the collector", lambda: number('{__name__=~"otelcol_exporter_sent_spans(_total)?"}') > 0)
    eventually("the collector shows them", lambda: "process documents" in stack.services["otel-collector"].log.read_text())
    return None


def kindly(stack, ended):
    """Lazaret and the others end by themselves when they are told to."""
    wrong = {name: code for name, code in ended.items() if stack.services[name].said["image"].startswith("lazaret") and code not in (0, 143)}
    if wrong:
        raise engine.Broken(f"these did not end as they should: {wrong}")
    tell("ok: all end when they are told to")


CHECKS = [
    documents_are_indexed_and_questions_are_answered,
    prometheus_reaches_all,
    the_api_knows_its_token,
    the_command_line_finds_nothing_wrong,
    dead_letters_call_somebody,
    dead_letters_are_sent_back,
    grafana_finds_what_it_reads,
    spans_arrive,
]

def end(*_):
    """Told to end, it ends what it has started first."""
    sys.exit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    try:
        main(*sys.argv[1:])
    except engine.Broken as broken:
        tell(f"error: {broken}")
        sys.exit(1)
