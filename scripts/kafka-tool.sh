#!/usr/bin/env bash
# Runs one of Kafka's own command line tools, against the broker of the run folder unless told otherwise.
#
#   scripts/kafka-tool.sh topics --list
#   scripts/kafka-tool.sh console-consumer --topic t --from-beginning --formatter-property print.headers=true
#   scripts/kafka-tool.sh consumer-groups --describe --all-groups
#
# The broker is LAZARET_TEST_KAFKA, else the one that `scripts/parts.sh kafka start` left in $LAZARET_RUN.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

run=${LAZARET_RUN:-$LAZARET_PARTS/run}
if [[ -z ${LAZARET_TEST_KAFKA:-} ]]; then
	[[ -f $run/env ]] || fail "no broker: there is no $run/env; start one with scripts/parts.sh kafka start" 2
	# shellcheck disable=SC1091
	. "$run/env"
fi

case ${1:-} in
topics) class=org.apache.kafka.tools.TopicCommand ;;
configs) class=kafka.admin.ConfigCommand ;;
get-offsets) class=org.apache.kafka.tools.GetOffsetShell ;;
consumer-groups) class=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
console-consumer) class=org.apache.kafka.tools.consumer.ConsoleConsumer ;;
console-producer) class=org.apache.kafka.tools.ConsoleProducer ;;
org.* | kafka.*) class=$1 ;;
*) fail "usage: scripts/kafka-tool.sh topics|configs|get-offsets|consumer-groups|console-consumer|console-producer|<class> …" 64 ;;
esac
shift
[[ -n ${LAZARET_TEST_KAFKA:-} ]] || fail "no broker: set LAZARET_TEST_KAFKA, or run scripts/parts.sh kafka start" 2
home=$("$(dirname "$0")/parts.sh" kafka home)
[[ -d $home ]] || fail "Kafka's tools are not here; scripts/parts.sh kafka install fetches them" 2
exec "$(java_from 17)" -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$home/log4j2.properties" \
	-cp "$home/lib/*" "$class" --bootstrap-server "$LAZARET_TEST_KAFKA" "$@"
