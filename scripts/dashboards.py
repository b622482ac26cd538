#!/usr/bin/env python3
"""Writes the dashboards for Grafana, deploy/grafana/*.json, from the lists of panels below.

    scripts/dashboards.py            writes them
    scripts/dashboards.py --check    fails when what is there is not what would be written

Written rather than drawn, so that all have the same variables, links and units, and so that a change is a line. The names of
metrics and the queries are proven by tests/it/watch against a real Prometheus that scrapes a real run.
"""

import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "deploy" / "grafana"
DOCS = "https://github.com/lazaret/lazaret/blob/main/docs"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

# What panels select by: all that a stage tells, and what a process tells as a whole.
STAGE = 'namespace=~"$namespace",pipeline=~"$pipeline",stage=~"$stage"'
ALL = 'namespace=~"$namespace"'
PROVIDER = 'namespace=~"$namespace",provider=~"$provider"'
RATE = "[$__rate_interval]"
# Several `lazaret ops` see the same of these: the highest counts, not their sum. By what else they are told.
SEEN_BY_ALL = {"dlq_open_records": "class", "lag_records": "topic, partition", "dlq_sla_breaches": "sla"}


def stage(metric, by="", **labels):
    """A sum by pipeline and stage of a rate, or of a gauge where the name does not end in _total."""
    inside = f"lazaret_{metric}{{{STAGE}{matchers(labels)}}}"
    inside = f"rate({inside}{RATE})" if metric.endswith("_total") else inside
    if metric in SEEN_BY_ALL:
        inside = f"max by (pipeline, stage, {SEEN_BY_ALL[metric]}) ({inside})"
    return f"sum by ({', '.join(['pipeline', 'stage', *by.split()])}) ({inside})"


def matchers(labels):
    return "".join(f',{name}{"" if "=" in value[:2] else "="}{quoted(value)}' for name, value in labels.items())


def quoted(value):
    operator, text = (value[:2], value[2:]) if value[:2] in ("=~", "!=", "!~") else ("", value)
    return f'{operator}"{text}"'


def highest(metric, by="", selected=STAGE, more=""):
    return f"max by ({', '.join(['pipeline', 'stage', *by.split()])}) (lazaret_{metric}{{{selected}{more}}})"


def quantile(of, metric, by, selected):
    return f"histogram_quantile({of}, sum by ({by}, le) (rate(lazaret_{metric}_bucket{{{selected}}}{RATE})))"


def quantiles(metric, by, selected, legend):
    return [(quantile(of, metric, by, selected), f"{legend} p{of[2:].ljust(2, '0')}") for of in ("0.5", "0.95", "0.99")]


NAME = "{{pipeline}}.{{stage}}"


def panel(title, targets, says, unit="short", kind="timeseries", page="metrics.md", width=8, **more):
    return {"title": title, "targets": targets, "says": says, "unit": unit, "kind": kind, "page": page, "width": width, **more}


PIPELINE = [
    panel("Records read", [(stage("records_read_total", "lane"), NAME + " {{lane}}")],
          "Records that stages took in, by where they came from.", "cps"),
    panel("Records ended", [(stage("records_processed_total", "outcome"), NAME + " {{outcome}}")],
          "Records that reached a durable end, by how they ended.", "cps"),
    panel("Share of dead letters",
          [(stage("records_processed_total", outcome="dlq") + " / " + stage("records_processed_total", outcome="=~ok|dlq"), NAME),
           ("vector(0.005)", "objective")],
          "Of what ended well or as a dead letter. Alerts ask how fast the objective's budget of errors is used up.",
          "percentunit", page="runbooks/LazaretErrorBudgetBurnFast.md"),
    panel("Left to do", [(stage("lag_records", lane="=~input|redrive"), NAME)],
          "Records of input and redrive topics that have not ended, as the broker has them.", page="runbooks/LazaretStageFallingBehind.md"),
    panel("Oldest record left", [(highest("lag_seconds", more=',lane=~"input|redrive"'), NAME)],
          "How long the oldest of them has waited.", "s", page="runbooks/LazaretStageLate.md"),
    panel("How stages get on", [(highest("lag_state", "state") + " == 1", NAME + " {{state}}")],
          "ok, warn (falls behind), stall (stands still), stop (nobody runs it), rewind (what was committed went back).",
          page="runbooks/LazaretStageStuck.md"),
    panel("Attempts take", quantiles("stage_duration_seconds", "pipeline, stage", STAGE, NAME),
          "From the start of an attempt to its outcome.", "s"),
    panel("Paused", [(highest("stage_paused", "reason"), NAME + " {{reason}}")],
          "1 while a stage pauses for this reason; `lazaret codes REASON` says what to do. Empty until one has paused.",
          page="runbooks/LazaretStagePaused.md"),
    panel("Breaker", [(highest("breaker_state", "state") + " == 1", NAME + " {{state}}")],
          "closed, open (the provider counts as down), half_open (one record tries it).", page="runbooks/LazaretProviderUnavailable.md"),
    panel("Waiting on rungs", [(stage("lag_records", "topic", lane="rung"), "{{topic}}")],
          "Records that wait until they are due. That they wait is no delay.", page="concepts.md"),
    panel("Rungs overdue", [(highest("retry_overdue_seconds", "rung"), NAME + " {{rung}}")],
          "How long the oldest record of a rung is overdue.", "s", page="runbooks/LazaretRungOverdue.md"),
    panel("Retries late", quantiles("retry_lateness_seconds", "pipeline, stage", STAGE, NAME),
          "From a record's due time to the start of its next attempt. No retry is early.", "s"),
    panel("Held", [(stage("window_records"), NAME + " held"), (stage("in_flight_records"), NAME + " worked on"),
                   (stage("blocked_records"), NAME + " behind their key")],
          "Records that a process holds: worked on, waiting for their time or turn, on their way to Kafka."),
    panel("Transactions", [(stage("transactions_total", "end"), NAME + " {{end}}")],
          "By how they ended.", "cps", page="runbooks/LazaretTransactionsFailing.md"),
    panel("Commits take", quantiles("transaction_duration_seconds", "pipeline, stage", STAGE, NAME),
          "From the start of a transaction to Kafka's answer.", "s"),
    panel("Unaccounted", [(highest("records_unaccounted"), NAME)],
          "Records read, less those that ended, were handed back, or are held: 0, or one was lost.", page="runbooks/LazaretRecordsUnaccounted.md"),
    panel("Done before", [(stage("ledger_duplicates_suppressed_total"), NAME)],
          "Records whose stage had finished before: their stored result was used, nothing was paid twice.", "cps"),
    panel("Ledger failures", [(f"sum by (operation) (rate(lazaret_ledger_errors_total{{{ALL}}}{RATE}))", "{{operation}}")],
          "Operations that the ledger did not carry out.", "cps", page="runbooks/LazaretLedgerFailing.md"),
    panel("Records in a transaction", quantiles("transaction_records", "pipeline, stage", STAGE, NAME),
          "More in one transaction is cheaper.", width=8),
    panel("Builds", [(f"count by (version, revision) (lazaret_build_info{{{ALL}}})", "{{version}} {{revision}}")],
          "How many processes run which build."),
]

LETTERS = [
    panel("Open now", [(stage("dlq_open_records"), NAME)], "Dead letters that somebody has to look at.",
          kind="stat", page="runbooks/dlq-not-empty.md"),
    panel("Oldest open", [(highest("dlq_oldest_open_age_seconds"), NAME)], "Since the death of the oldest open one.",
          "s", kind="stat", page="runbooks/LazaretDeadLettersOldestOpen.md"),
    panel("Kafka keeps the oldest for", [(f"min by (pipeline, stage) (lazaret_dlq_retention_headroom_seconds{{{STAGE}}})", NAME)],
          "Until Kafka may delete the oldest open one that is not archived, of stages with a `dlq_retention`.",
          "s", kind="stat", page="runbooks/LazaretDeadLettersRetentionAtRisk.md"),
    panel("Open, by class", [(stage("dlq_open_records", "class"), NAME + " {{class}}")],
          "transient: redrive when the cause is over. permanent: mend something first.", page="runbooks/LazaretDeadLettersOpen.md"),
    panel("Written and dealt with",
          [(stage("records_processed_total", outcome="dlq"), NAME + " written"),
           (stage("redrive_records_total", result="succeeded"), NAME + " redriven")],
          "When more are written than are dealt with, open ones grow.", "cps", page="runbooks/LazaretDeadLettersGrowing.md"),
    panel("Written, by cause", [(stage("dlq_records_total", "code"), NAME + " {{code}}")],
          "By failure code; `lazaret codes CODE` says what each is.", "cps", page="codes/README.md"),
    panel("New and returned groups",
          [(f"sum by (pipeline, stage) (increase(lazaret_dlq_groups_opened_total{{{STAGE}}}{RATE}))", NAME + " new"),
           (f"sum by (pipeline, stage) (increase(lazaret_dlq_groups_reopened_total{{{STAGE}}}{RATE}))", NAME + " came back")],
          "Kinds of dead letters that were not there before, and such that were said to be resolved.", page="runbooks/LazaretDeadLettersNewGroup.md"),
    panel("Late", [(stage("dlq_sla_breaches", "sla"), NAME + " {{sla}}")],
          "Not looked at, or not over, in the time that `sla` gives. Empty where no stage has one.",
          page="runbooks/LazaretDeadLettersLookOverdue.md"),
    panel("Kafka did not take", [(stage("dlq_publish_failures_total"), NAME)],
          "Dead letters that Kafka refused: their records are held, not lost.", "cps", page="runbooks/LazaretDeadLettersUnwritable.md"),
    panel("Room in Kafka", [(highest("dlq_standing_bytes"), NAME + " taken"), (highest("dlq_budget_bytes"), NAME + " budget")],
          "Bytes of all that lie there, whatever their state, and what `dlq_budget` allows.", "bytes",
          page="runbooks/LazaretDeadLettersOverBudget.md"),
    panel("Only in the archive", [(highest("dlq_archived_records"), NAME)], "Open ones that Kafka has deleted.", page="archive.md"),
    panel("Archived", [(stage("archive_records_total"), NAME), (f"sum(rate(lazaret_archive_failures_total{{{ALL}}}{RATE})) or vector(0)", "failed passes")],
          "Letters that go into the archive, and passes that did not succeed.", "cps", page="runbooks/LazaretArchiveFailing.md"),
    panel("What people and rules do", [(f"sum by (deed) (rate(lazaret_acts_total{{{ALL}}}{RATE}))", "{{deed}}")],
          "Acts on dead letters, as they stand on the topic of operations.", "cps", page="cli.md#lazaret-dlq"),
    panel("Sweeps", [(f"sum by (outcome) (rate(lazaret_sweeps_total{{{ALL}}}{RATE}))", "{{outcome}}"),
                     (f"sum by (rule, outcome) (rate(lazaret_sweep_records_total{{{ALL}}}{RATE}))", "{{rule}} {{outcome}}")],
          "How sweeps by schedule ended, and what rules did. Empty where there are no rules.", "cps", page="runbooks/LazaretSweepFailing.md"),
    panel("Index behind", [(f"max(lazaret_dlq_index_lag_records{{{ALL}}})", "records")],
          "Records in Kafka that the index has not taken in. Not 0 for long: the other numbers here are too small.",
          page="runbooks/LazaretDeadLettersIndexStale.md"),
    panel("Index took in last", [(f"time() - max(lazaret_dlq_index_last_applied_timestamp_seconds{{{ALL}}})", "ago")],
          "How long ago. While no letter is written it stands still for a good reason.", "s", page="runbooks/LazaretDeadLettersIndexStale.md"),
]

REDRIVE = [
    panel("Redrives, by state", [(f"max by (state) (lazaret_redrive_runs{{{ALL}}})", "{{state}}")],
          "The latest 200. `lazaret redrive ls` lists them.", page="cli.md#lazaret-redrive"),
    panel("What becomes of letters", [(stage("redrive_records_total", "result"), NAME + " {{result}}")],
          "Of redrives that `lazaret ops` runs: processed is what counts, not sent.", "cps"),
    panel("Succeed",
          [(stage("redrive_records_total", result="succeeded") + " / " + stage("redrive_records_total", result="=~succeeded|failed"), NAME),
           ("vector(0.95)", "gate, if the plan names no other")],
          "Of those that ended. A run below its gate stops itself.", "percentunit", page="runbooks/LazaretRedriveBouncing.md"),
    panel("Stopped themselves", [(stage("redrive_gate_stops_total"), NAME)], "Runs that went below their gate, or met something new.",
          "cps", page="runbooks/LazaretRedriveStopped.md"),
    panel("On their way", [(stage("lag_records", lane="redrive"), NAME)], "Letters on redrive topics that their stage has not ended.",
          page="runbooks/LazaretRedriveStalled.md"),
    panel("Nothing run twice", [(stage("ledger_duplicates_suppressed_total"), NAME)],
          "Records whose stage had finished before: their stored result was used.", "cps"),
    panel("Planned, started, ended", [(f'sum by (deed) (increase(lazaret_acts_total{{{ALL},deed=~"planned|approved|started|paused|resumed|cancelled|stopped|finished"}}{RATE}))', "{{deed}}")],
          "What was done with redrives as a whole.", page="cli.md#lazaret-redrive"),
    panel("Acts not written down", [(f"sum(rate(lazaret_audit_write_failures_total{{{ALL}}}{RATE}))", "refused")],
          "What cannot be written down is not done.", "cps", page="runbooks/LazaretAuditFailing.md"),
    panel("API", [(f"sum by (route, status) (rate(lazaret_api_requests_total{{{ALL}}}{RATE}))", "{{route}} {{status}}")],
          "Requests, by route and status. Empty where it is not served.", "cps", page="api.md"),
    panel("API takes", quantiles("api_request_duration_seconds", "route", ALL, "{{route}}"),
          "From a request to the beginning of its answer.", "s", page="api.md"),
]


def calls(by, status=None):
    more = f",status=~\"{status}\"" if status else ""
    return f"sum by ({by}) (rate(lazaret_provider_requests_total{{{PROVIDER}{more}}}{RATE}))"


def share(status):
    by = "provider, model"
    return f"({calls(by, status)} or 0 * {calls(by)}) / {calls(by)}"


MODEL = "{{provider}} {{model}}"
PROVIDERS = [
    panel("Calls", [(calls("provider, model, operation, status"), MODEL + " {{operation}} {{status}}")],
          "By HTTP status, or `timeout` or `connect` where there was none.", "cps"),
    panel("Refused for their rate", [(share("429"), MODEL)], "Share of calls.", "percentunit", page="runbooks/LazaretProviderThrottled.md"),
    panel("Not answered", [(share("5..|timeout|connect"), MODEL)], "Share of calls.", "percentunit", page="runbooks/LazaretProviderUnavailable.md"),
    panel("Credentials refused", [(share("401|403|407"), MODEL)], "Share of calls.", "percentunit",
          page="runbooks/LazaretProviderCredentialsRejected.md"),
    panel("Calls take", quantiles("provider_request_duration_seconds", "provider, model, operation", PROVIDER, MODEL + " {{operation}}"),
          "From connect to the last byte.", "s"),
    panel("Tokens", [(f"sum by (provider, model, token_type) (rate(lazaret_provider_tokens_total{{{PROVIDER}}}{RATE}))", MODEL + " {{token_type}}")],
          "As the provider counts them, a second.", "cps"),
    panel("Tokens, by what they were for", [(f"sum by (purpose) (rate(lazaret_provider_tokens_total{{{PROVIDER}}}{RATE}))", "{{purpose}}")],
          "A record's first attempt, a retry, a redrive, or a probe of the provider.", "cps", page="runbooks/LazaretRetrySpendHigh.md"),
    panel("Cost in the time shown", [(f"sum by (provider, model, currency) (increase(lazaret_provider_cost_total{{{PROVIDER}}}[$__range]))", MODEL + " {{currency}}")],
          "By the prices of the configuration; empty where it has none.", kind="stat"),
    panel("Tokens in the time shown", [(f"sum by (provider, model, token_type) (increase(lazaret_provider_tokens_total{{{PROVIDER}}}[$__range]))", MODEL + " {{token_type}}")],
          "What the providers will count in their bills.", kind="stat"),
    panel("Paid once", [(f"sum(rate(lazaret_ledger_duplicates_suppressed_total{{{ALL}}}{RATE}))", "calls not made again")],
          "Records whose result was in the ledger.", "cps"),
    panel("Stages that pause for it", [(f'max by (pipeline, stage, reason) (lazaret_stage_paused{{{ALL},reason=~"llm[.].+"}})', NAME + " {{reason}}")],
          "Nothing is dead-lettered meanwhile. Empty until one has paused.", page="runbooks/LazaretStagePaused.md"),
]

LAG = [
    panel("Left to do, by stage", [(stage("lag_records", lane="=~input|redrive"), NAME)],
          "Records of input and redrive topics that have not ended.", page="runbooks/LazaretStageFallingBehind.md"),
    panel("Left, by partition", [(f"max by (topic, partition) (lazaret_lag_records{{{STAGE},lane=\"input\"}})", "{{topic}} {{partition}}")],
          "One partition alone: a record that takes long, or keys that are not spread."),
    panel("Oldest record left", [(highest("lag_seconds", more=',lane=~"input|redrive"'), NAME)],
          "How long it has waited.", "s", page="runbooks/LazaretStageLate.md"),
    panel("Members", [(f"max by (pipeline, stage) (lazaret_lag_members{{{STAGE}}})", NAME)],
          "How many run the stage. Empty with the group protocol `consumer`, of which nobody can ask.", page="runbooks/LazaretStageNotRun.md"),
    panel("How stages get on", [(highest("lag_state", "state") + " == 1", NAME + " {{state}}")],
          "ok, warn (falls behind), stall (stands still), stop (nobody runs it), rewind (what was committed went back).",
          page="runbooks/LazaretStageStuck.md"),
    panel("Waiting on rungs", [(stage("lag_records", "topic", lane="rung"), "{{topic}}")], "That they wait is no delay.", page="concepts.md"),
    panel("Parked", [(stage("lag_records", lane="park"), NAME)], "Records behind an earlier one of their key. Always 0 without an order.",
          page="concepts.md"),
    panel("Ended", [(stage("records_processed_total"), NAME)], "Records that reached a durable end.", "cps"),
    panel("As workers see it", [(f"max by (topic, partition) (lazaret_consumer_lag_records{{{STAGE}}})", "{{topic}} {{partition}}")],
          "The lag of partitions that a process has now; gone when the process is."),
    panel("Spread of offsets", [(highest("offset_span_records"), NAME)],
          "Between the committed offset and the highest one read: how far others have gone on while one record takes long."),
    panel("Offset maps", [(highest("offset_map_bytes"), NAME)], "Bytes beside the committed offset; Kafka takes 4096.", "bytes",
          page="runbooks/LazaretOffsetMapDamaged.md"),
    panel("Damaged offset maps", [(stage("offset_map_damaged_total"), NAME)], "Found in commits and ignored.", "cps",
          page="runbooks/LazaretOffsetMapDamaged.md"),
]

SELECTED = "--pipeline $pipeline --stage $stage"
DASHBOARDS = {
    "pipeline": ("Lazaret / Pipeline", PIPELINE, [f"lazaret lag {SELECTED}", "lazaret verify", "lazaret codes CODE"]),
    "dlq": ("Lazaret / Dead letters", LETTERS,
            [f"lazaret dlq groups {SELECTED}", f"lazaret dlq ls {SELECTED} --unseen", "lazaret dlq runbook ID"]),
    "redrive": ("Lazaret / Redrive", REDRIVE,
                ["lazaret redrive ls", "lazaret redrive status PLAN", "lazaret redrive report PLAN --only failed"]),
    "providers": ("Lazaret / Providers and cost", PROVIDERS,
                  ["lazaret dlq count --code llm --by model", "lazaret codes llm.unauthorized"]),
    "lag": ("Lazaret / Kafka lag", LAG, [f"lazaret lag {SELECTED} --partitions"]),
}


def variable(name, metric, label, within):
    query = f"label_values({metric}{{{within}}}, {label})" if within else f"label_values({metric}, {label})"
    return {
        "name": name, "type": "query", "datasource": SOURCE, "definition": query,
        "query": {"query": query, "refId": f"Variable-{name}"}, "refresh": 2, "sort": 1,
        "includeAll": True, "allValue": ".*", "multi": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
    }


def variables(uid):
    every = [
        {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source", "refresh": 1, "current": {}},
        variable("namespace", "lazaret_build_info", "namespace", ""),
    ]
    if uid == "providers":
        return every + [variable("provider", "lazaret_provider_requests_total", "provider", ALL)]
    return every + [
        variable("pipeline", "lazaret_lag_state", "pipeline", ALL),
        variable("stage", "lazaret_lag_state", "stage", ALL + ',pipeline=~"$pipeline"'),
    ]


def annotations():
    def of(name, colour, query, text):
        return {"name": name, "datasource": SOURCE, "enable": True, "iconColor": colour, "expr": query, "titleFormat": name,
                "textFormat": text, "step": "60s", "useValueForTime": False}

    build = f"count by (version, revision) (lazaret_build_info{{{ALL}}}"
    return [
        of("Deployed", "blue", f"{build}) unless {build} offset 5m)", "{{version}} {{revision}}"),
        of("Redrive", "purple", f'sum(lazaret_redrive_runs{{{ALL},state="running"}}) > 0', "lazaret redrive ls"),
    ]


def drawn(at, place, one):
    targets = [{"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": query, "legendFormat": legend}
               for n, (query, legend) in enumerate(one["targets"])]
    page = one["page"]
    title = "Runbook" if page.startswith("runbooks/") else "Documentation"
    options = {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
    if one["kind"] == "stat":
        options = {"reduceOptions": {"calcs": ["lastNotNull"]}, "colorMode": "value", "textMode": "auto"}
    return {
        "id": at, "type": one["kind"], "title": one["title"], "description": one["says"], "datasource": SOURCE,
        "gridPos": place, "fieldConfig": {"defaults": {"unit": one["unit"], "min": 0}, "overrides": []},
        "options": options, "links": [{"title": title, "url": f"{DOCS}/{page}", "targetBlank": True}], "targets": targets,
    }


def dashboard(uid, title, panels, commands):
    words = "On the command line: " + " · ".join(f"`{command}`" for command in commands)
    note = {"id": 1, "type": "text", "title": "", "gridPos": {"x": 0, "y": 0, "w": 24, "h": 2},
            "options": {"mode": "markdown", "content": words}}
    all_panels, x, y = [note], 0, 2
    for at, one in enumerate(panels, 2):
        if x + one["width"] > 24:
            x, y = 0, y + 8
        all_panels.append(drawn(at, {"x": x, "y": y, "w": one["width"], "h": 8}, one))
        x += one["width"]
    return {
        "uid": f"lazaret-{uid}", "title": title, "tags": ["lazaret"], "schemaVersion": 39, "version": 1, "editable": True,
        "graphTooltip": 1, "refresh": "30s", "time": {"from": "now-6h", "to": "now"}, "timezone": "",
        "links": [
            {"type": "dashboards", "title": "Lazaret", "tags": ["lazaret"], "asDropdown": True, "keepTime": True, "includeVars": True},
            {"type": "link", "title": "Runbooks", "url": f"{DOCS}/runbooks/README.md", "targetBlank": True},
        ],
        "annotations": {"list": annotations()}, "templating": {"list": variables(uid)}, "panels": all_panels,
    }


def main():
    check = sys.argv[1:] == ["--check"]
    TARGET.mkdir(parents=True, exist_ok=True)
    stale = {path.name for path in TARGET.glob("*.json")}
    for uid, (title, panels, commands) in DASHBOARDS.items():
        path = TARGET / f"{uid}.json"
        text = json.dumps(dashboard(uid, title, panels, commands), indent=2, ensure_ascii=False) + "\n"
        if not check:
            path.write_text(text)
        if path.exists() and path.read_text() == text:
            stale.discard(path.name)
        elif check:
            stale.add(path.name)
    if stale:
        sys.exit(f"not what scripts/dashboards.py would write: {', '.join(sorted(stale))}; remedy: scripts/dashboards.py")


main()
