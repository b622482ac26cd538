#!/usr/bin/env bash
# What others write dead letters with, out of Maven artifacts: Spring for Apache Kafka and Kafka Streams, and a compiler
# for the small applications in tests/it/foreign, since a Java that only runs programs has none. Sourced by parts.sh.

foreign_spring=4.1.2
# The newest that Java 17 runs.
foreign_compiler=3.37.0
foreign_part=foreign-$foreign_spring-$kafka_version
foreign_home=$LAZARET_PARTS/$foreign_part

foreign_install() {
	java_from 17 >/dev/null || fail "Spring and Kafka Streams need Java 17 or newer; scripts/setup.sh test installs it" 2
	have mvn || fail "Maven is missing; scripts/setup.sh test installs it" 2
	install_once "$foreign_part" foreign_fetch
}

foreign_fetch() {
	cat >"$1/pom.xml" <<-POM
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>io.lazaret.test</groupId>
		  <artifactId>foreign</artifactId>
		  <version>1</version>
		  <packaging>pom</packaging>
		  <dependencies>
		    <dependency><groupId>org.springframework.kafka</groupId><artifactId>spring-kafka</artifactId><version>$foreign_spring</version></dependency>
		    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-streams</artifactId><version>$kafka_version</version></dependency>
		    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-clients</artifactId><version>$kafka_version</version></dependency>
		    <dependency><groupId>org.eclipse.jdt</groupId><artifactId>ecj</artifactId><version>$foreign_compiler</version></dependency>
		  </dependencies>
		</project>
	POM
	mvn -q -B -Dstyle.color=never -f "$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1/lib" -DincludeScope=runtime </dev/null >&2
}
