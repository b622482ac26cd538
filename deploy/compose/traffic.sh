#!/usr/bin/env bash
# Sends the corpus of the demo and its questions every LAZARET_EVERY seconds, for one of three tenants, and with every tenth round what
# is broken. Each time as a new version, so that everything is done again. The service `traffic` of docker-compose.yml runs it.
set -u
tenants=(acme globex initech)
for ((round = 0; ; round++)); do
	tenant=${tenants[round % 3]}
	lazaret submit documents /demo/corpus/*.* --tenant "$tenant"
	lazaret submit questions --questions /demo/questions.jsonl --tenant "$tenant"
	((round % 10)) || lazaret submit documents /demo/corpus/broken --tenant "$tenant"
	sleep "${LAZARET_EVERY:-60}"
done
