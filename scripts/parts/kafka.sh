#!/usr/bin/env bash
# Apache Kafka in KRaft mode, out of Maven artifacts. Sourced by parts.sh.

kafka_version=${LAZARET_KAFKA_VERSION:-4.3.1}
kafka_part=kafka-$kafka_version
kafka_home=$LAZARET_PARTS/$kafka_part

kafka_install() {
	java_from 17 >/dev/null || fail "Kafka needs Java 17 or newer; scripts/setup.sh test installs it" 2
	have mvn || fail "Maven is missing; scripts/setup.sh test installs it" 2
	install_once "$kafka_part" kafka_fetch
}

# The broker, the console tools, and a log back end, with all that they depend on.
kafka_fetch() {
	cat >"$1/pom.xml" <<-POM
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>io.lazaret.test</groupId>
		  <artifactId>kafka</artifactId>
		  <version>1</version>
		  <packaging>pom</packaging>
		  <dependencies>
		    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$kafka_version</version></dependency>
		    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$kafka_version</version></dependency>
		    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.25.4</version></dependency>
		  </dependencies>
		</project>
	POM
	cat >"$1/log4j2.properties" <<-'LOG'
		status=warn
		appender.console.type=Console
		appender.console.name=console
		appender.console.target=SYSTEM_ERR
		appender.console.layout.type=PatternLayout
		appender.console.layout.pattern=[%d] %p %m (%c)%n
		rootLogger.level=warn
		rootLogger.appenderRef.console.ref=console
		logger.server.name=kafka.server.KafkaRaftServer
		logger.server.level=info
	LOG
	mvn -q -B -Dstyle.color=never -f "$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1/lib" -DincludeScope=runtime </dev/null >&2
}

kafka_start() {
	local count=$1 proxied=${2:-}
	[[ $count == 1 || $count == 3 ]] || fail "kafka start takes 1 or 3 brokers, not $count" 64
	[[ -z $proxied || $proxied == proxied ]] || fail "kafka start $count takes nothing more but 'proxied'" 64
	kafka_install
	kafka_stop
	on_free_ports kafka "$count" "$proxied" || fail "Kafka did not start"
}

kafka_try() {
	local count=$1 proxied=$2 java cluster n voters='' servers='' proxies='' brokers=() controllers=() behind=() before=()
	java=$(java_from 17)
	for ((n = 1; n <= count; n++)); do
		brokers[n]=$(free_port)
		controllers[n]=$(free_port)
		voters+=${voters:+,}$n@127.0.0.1:${controllers[n]}
		servers+=${servers:+,}127.0.0.1:${brokers[n]}
		if [[ -n $proxied ]]; then
			behind[n]=$(free_port)
			before[n]=$(free_port)
			proxies+=${proxies:+,}127.0.0.1:${before[n]}=127.0.0.1:${behind[n]}
		fi
	done
	cluster=$(kafka_run "$java" kafka.tools.StorageTool random-uuid 2>/dev/null)
	for ((n = 1; n <= count; n++)); do
		rm -rf "$run/kafka-$n"
		kafka_properties "$n" "$count" "${brokers[n]}" "${controllers[n]}" "$voters" "${behind[n]:-}" "${before[n]:-}" \
			>"$run/kafka-$n.properties"
		kafka_run "$java" kafka.tools.StorageTool format -t "$cluster" -c "$run/kafka-$n.properties" >"$run/kafka-$n.log" 2>&1
	done
	for ((n = 1; n <= count; n++)); do
		kafka_spawn "$n" "$java"
	done
	for ((n = 1; n <= count; n++)); do
		kafka_await "$n" || return 1
	done
	tell LAZARET_TEST_KAFKA "$servers"
	tell LAZARET_TEST_KAFKA_TOOLS "$kafka_home/lib/*"
	tell LAZARET_TEST_JAVA "$java"
	if [[ -n $proxies ]]; then
		tell LAZARET_TEST_PROXIES "$proxies"
	fi
	say "Kafka $kafka_version is up: $count broker(s) at $servers"
}

kafka_spawn() {
	spawn "kafka-$1" "$2" "${jvm[@]}" -Dlog4j2.configurationFile="$kafka_home/log4j2.properties" \
		-cp "$kafka_home/lib/*" kafka.Kafka "$run/kafka-$1.properties"
}

kafka_await() {
	await "kafka-$1" grep -q 'Kafka Server started' "$run/kafka-$1.log"
}

# The brokers of a run one by one, to see what becomes of those who depend on them.

kafka_kill() {
	kafka_signal KILL "$1"
}

# Kindly, when it is still there; then anew, with the data and the ports that it had.
kafka_restart() {
	kafka_known "$1"
	stop_pid "$run/kafka-$1.pid"
	kafka_spawn "$1" "$(java_from 17)"
	kafka_await "$1"
}

kafka_pause() {
	kafka_signal STOP "$1"
}

kafka_resume() {
	kafka_signal CONT "$1"
}

kafka_signal() {
	kafka_known "$2"
	kill "-$1" "$(<"$run/kafka-$2.pid")" || fail "broker $2 is not running"
}

kafka_known() {
	[[ ${1:-} =~ ^[1-9]$ && -f $run/kafka-$1.pid ]] || fail "there is no broker '${1:-}' in $run" 64
}

kafka_run() {
	"$1" -XX:TieredStopAtLevel=1 -Dlog4j2.configurationFile="$kafka_home/log4j2.properties" -cp "$kafka_home/lib/*" "${@:2}"
}

# kafka_properties ID COUNT BROKER_PORT CONTROLLER_PORT VOTERS [PROXIED_PORT PROXY_PORT]
# Topics must be made on purpose, as in production. Sessions may be short, so that tests of a killed worker are.
kafka_properties() {
	local replicas=$2 in_sync=$(($2 > 1 ? 2 : 1)) message_max=$((20 * 1024 * 1024)) listener='' advertised=''
	if [[ -n ${6:-} ]]; then
		listener=,PROXIED://127.0.0.1:$6
		advertised=,PROXIED://127.0.0.1:$7
	fi
	cat <<-PROPERTIES
		process.roles=broker,controller
		node.id=$1
		controller.quorum.voters=$5
		listeners=PLAINTEXT://127.0.0.1:$3,CONTROLLER://127.0.0.1:$4$listener
		advertised.listeners=PLAINTEXT://127.0.0.1:$3$advertised
		controller.listener.names=CONTROLLER
		inter.broker.listener.name=PLAINTEXT
		listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT
		log.dirs=$run/kafka-$1
		auto.create.topics.enable=false
		num.partitions=3
		default.replication.factor=$replicas
		min.insync.replicas=$in_sync
		offsets.topic.replication.factor=$replicas
		offsets.topic.num.partitions=3
		transaction.state.log.replication.factor=$replicas
		transaction.state.log.min.isr=$in_sync
		transaction.state.log.num.partitions=3
		transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
		share.coordinator.state.topic.replication.factor=$replicas
		share.coordinator.state.topic.min.isr=$in_sync
		share.coordinator.state.topic.num.partitions=3
		group.initial.rebalance.delay.ms=0
		group.min.session.timeout.ms=1000
		group.consumer.min.session.timeout.ms=1000
		group.consumer.session.timeout.ms=6000
		group.consumer.min.heartbeat.interval.ms=500
		group.consumer.heartbeat.interval.ms=1000
		broker.session.timeout.ms=4000
		broker.heartbeat.interval.ms=500
		replica.lag.time.max.ms=5000
		message.max.bytes=$message_max
		replica.fetch.max.bytes=$((message_max + 1024 * 1024))
		num.network.threads=2
		num.io.threads=4
		background.threads=2
	PROPERTIES
}

kafka_stop() {
	local pid
	for pid in "$run"/kafka-*.pid; do
		# One that is paused would not see that it is to end.
		if [[ -f $pid ]]; then kill -TERM "$(<"$pid")" 2>/dev/null && kill -CONT "$(<"$pid")" 2>/dev/null || true; fi
	done
	for pid in "$run"/kafka-*.pid; do
		stop_pid "$pid"
	done
	forget LAZARET_TEST_KAFKA
	forget LAZARET_TEST_KAFKA_TOOLS
	forget LAZARET_TEST_JAVA
	forget LAZARET_TEST_PROXIES
}
