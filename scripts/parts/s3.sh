#!/usr/bin/env bash
# An S3-compatible store that checks signatures: S3Proxy over a folder, out of Maven artifacts. Sourced by parts.sh.

s3_version=2.6.0
s3_part=s3proxy-$s3_version
s3_home=$LAZARET_PARTS/$s3_part
s3_bucket=archive

s3_install() {
	java_from 17 >/dev/null || fail "the S3 store needs Java 17 or newer; scripts/setup.sh test installs it" 2
	have mvn || fail "Maven is missing; scripts/setup.sh test installs it" 2
	install_once "$s3_part" s3_fetch
}

s3_fetch() {
	cat >"$1/pom.xml" <<-POM
		<project xmlns="http://maven.apache.org/POM/4.0.0">
		  <modelVersion>4.0.0</modelVersion>
		  <groupId>io.lazaret.test</groupId>
		  <artifactId>s3</artifactId>
		  <version>1</version>
		  <packaging>pom</packaging>
		  <dependencies>
		    <dependency><groupId>org.gaul</groupId><artifactId>s3proxy</artifactId><version>$s3_version</version></dependency>
		  </dependencies>
		</project>
	POM
	mvn -q -B -Dstyle.color=never -f "$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$1/lib" -DincludeScope=runtime </dev/null >&2
}

s3_start() {
	s3_install
	s3_stop
	on_free_ports s3 || fail "the S3 store did not start"
}

s3_try() {
	local port url
	port=$(free_port)
	url=http://127.0.0.1:$port
	# A folder below the one of the store is a bucket. One that everybody may read would be a public one.
	mkdir -p "$run/s3/$s3_bucket"
	chmod 700 "$run/s3/$s3_bucket"
	cat >"$run/s3.properties" <<-PROPERTIES
		s3proxy.endpoint=$url
		s3proxy.authorization=aws-v4
		s3proxy.identity=lazaret-access
		s3proxy.credential=lazaret-secret
		jclouds.provider=filesystem-nio2
		jclouds.identity=local
		jclouds.credential=local
		jclouds.filesystem.basedir=$run/s3
	PROPERTIES
	# It tells every step of every request otherwise.
	echo '<configuration><root level="OFF"/></configuration>' >"$run/s3-logback.xml"
	spawn s3 "$(java_from 17)" "${jvm[@]}" -Dlogback.configurationFile="$run/s3-logback.xml" -cp "$s3_home/lib/*" org.gaul.s3proxy.Main --properties "$run/s3.properties"
	await s3 listening "$port" || return 1
	tell LAZARET_TEST_S3 "$url"
	tell LAZARET_TEST_S3_BUCKET "$s3_bucket"
	tell LAZARET_TEST_S3_ACCESS_KEY lazaret-access
	tell LAZARET_TEST_S3_SECRET_KEY lazaret-secret
	say "the S3 store (S3Proxy $s3_version) is up: $url"
}

s3_stop() {
	stop_pid "$run/s3.pid"
	forget LAZARET_TEST_S3
	forget LAZARET_TEST_S3_BUCKET
	forget LAZARET_TEST_S3_ACCESS_KEY
	forget LAZARET_TEST_S3_SECRET_KEY
}
