#!/usr/bin/env bash
# A broker that asks everybody who they are and what they may: SASL/PLAIN, SCRAM and OAUTHBEARER over TLS, certificates of clients,
# and rights that nobody has before they are granted. Sourced by parts.sh, after kafka.sh.
#
# Its folder, $LAZARET_RUN/secured, has what clients need: ca.pem, and NAME.pem with NAME.key for each user of a certificate. The
# password of user NAME is `NAME-secret`. Who signs with issuer.key (RS256, kid `tests`) is believed to be the issuer
# https://issuer.test; the audience is `kafka`, and `sub` names the user.

secured_users=(lazaret stage ops topics producers)

secured_start() {
	kafka_install
	have openssl || fail "openssl is missing; scripts/setup.sh test installs it" 2
	secured_stop
	on_free_ports secured || fail "the secured Kafka did not start"
}

secured_try() {
	local java folder=$run/secured inside controller sasl certified tokens user scram=()
	java=$(java_from 17)
	inside=$(free_port) controller=$(free_port) sasl=$(free_port) certified=$(free_port) tokens=$(free_port)
	rm -rf "$folder"
	mkdir -p "$folder"
	secured_certificates "$folder"
	secured_issuer "$folder"
	for user in "${secured_users[@]}"; do
		scram+=(--add-scram "SCRAM-SHA-256=[name=$user,password=$user-secret]" --add-scram "SCRAM-SHA-512=[name=$user,password=$user-secret]")
	done
	secured_properties "$folder" "$inside" "$controller" "$sasl" "$certified" "$tokens" >"$folder/server.properties"
	kafka_run "$java" kafka.tools.StorageTool format -t "$(kafka_run "$java" kafka.tools.StorageTool random-uuid 2>/dev/null)" \
		-c "$folder/server.properties" "${scram[@]}" >"$run/secured.log" 2>&1 || return 1
	spawn secured "$java" "${jvm[@]}" "-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=file://$folder/jwks.json" \
		"-Dorg.apache.kafka.sasl.oauthbearer.allowed.files=$folder/jwks.json" -Dlog4j2.configurationFile="$kafka_home/log4j2.properties" \
		-cp "$kafka_home/lib/*" kafka.Kafka "$folder/server.properties"
	await secured grep -q 'Kafka Server started' "$run/secured.log" || return 1
	tell LAZARET_TEST_SECURED "127.0.0.1:$sasl"
	tell LAZARET_TEST_SECURED_CERTIFIED "127.0.0.1:$certified"
	tell LAZARET_TEST_SECURED_TOKENS "127.0.0.1:$tokens"
	tell LAZARET_TEST_SECURED_ADMIN "127.0.0.1:$inside"
	tell LAZARET_TEST_SECURED_FOLDER "$folder"
	say "a Kafka $kafka_version that asks who one is is up: SASL at 127.0.0.1:$sasl, tokens at 127.0.0.1:$tokens, certificates at 127.0.0.1:$certified"
}

# An authority, the server's certificate, and one for each user, good for some days.
secured_certificates() {
	local folder=$1 user
	openssl req -x509 -newkey rsa:2048 -nodes -days 7 -subj "/CN=lazaret tests" -keyout "$folder/ca.key" -out "$folder/ca.pem" 2>/dev/null
	for user in server "${secured_users[@]}"; do
		openssl req -newkey rsa:2048 -nodes -subj "/CN=$user" -keyout "$folder/$user.key" -out "$folder/$user.csr" 2>/dev/null
		openssl x509 -req -in "$folder/$user.csr" -CA "$folder/ca.pem" -CAkey "$folder/ca.key" -CAcreateserial -days 7 \
			-extfile <(echo "subjectAltName=IP:127.0.0.1,DNS:localhost") -out "$folder/$user.pem" 2>/dev/null
	done
	cat "$folder/server.key" "$folder/server.pem" >"$folder/keystore.pem"
}

# The key of an issuer of tokens, and the half of it that everybody may know as brokers want it.
secured_issuer() {
	local folder=$1 modulus
	openssl genrsa -out "$folder/issuer.key" 2048 2>/dev/null
	modulus=$(openssl rsa -in "$folder/issuer.key" -noout -modulus)
	# shellcheck disable=SC2001
	modulus=$(printf '%b' "$(sed 's/../\\x&/g' <<<"${modulus#*=}")" | base64 -w0 | tr '+/' '-_' | tr -d '=')
	echo "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"tests\",\"alg\":\"RS256\",\"use\":\"sig\",\"e\":\"AQAB\",\"n\":\"$modulus\"}]}" >"$folder/jwks.json"
}

# secured_properties FOLDER INSIDE_PORT CONTROLLER_PORT SASL_PORT CERTIFIED_PORT TOKENS_PORT
# Whoever is on the inner listener has all rights: the broker itself, and whoever grants them to others.
secured_properties() {
	local folder=$1 plain='' user module=org.apache.kafka.common.security
	for user in "${secured_users[@]}"; do
		plain+=" user_$user=\"$user-secret\""
	done
	kafka_properties secured 1 "$2" "$3" "1@127.0.0.1:$3" |
		grep -vE '^(node.id|listeners|advertised.listeners|listener.security.protocol.map|log.dirs)='
	cat <<-PROPERTIES
		node.id=1
		listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$3,SASL://127.0.0.1:$4,CERTIFIED://127.0.0.1:$5,TOKENS://127.0.0.1:$6
		advertised.listeners=PLAINTEXT://127.0.0.1:$2,SASL://127.0.0.1:$4,CERTIFIED://127.0.0.1:$5,TOKENS://127.0.0.1:$6
		listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_SSL,CERTIFIED:SSL,TOKENS:SASL_SSL
		log.dirs=$folder/data
		authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
		super.users=User:ANONYMOUS
		allow.everyone.if.no.acl.found=false
		ssl.keystore.type=PEM
		ssl.keystore.location=$folder/keystore.pem
		ssl.truststore.type=PEM
		ssl.truststore.location=$folder/ca.pem
		listener.name.certified.ssl.client.auth=required
		ssl.principal.mapping.rules=RULE:^CN=([^,]*).*\$/\$1/
		sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
		listener.name.sasl.plain.sasl.jaas.config=$module.plain.PlainLoginModule required$plain;
		listener.name.sasl.scram-sha-256.sasl.jaas.config=$module.scram.ScramLoginModule required;
		listener.name.sasl.scram-sha-512.sasl.jaas.config=$module.scram.ScramLoginModule required;
		listener.name.tokens.sasl.enabled.mechanisms=OAUTHBEARER
		listener.name.tokens.oauthbearer.sasl.jaas.config=$module.oauthbearer.OAuthBearerLoginModule required;
		listener.name.tokens.oauthbearer.sasl.server.callback.handler.class=$module.oauthbearer.OAuthBearerValidatorCallbackHandler
		# Who does not log in again before the token is out of date is hung up on.
		listener.name.tokens.oauthbearer.connections.max.reauth.ms=3600000
		sasl.oauthbearer.jwks.endpoint.url=file://$folder/jwks.json
		sasl.oauthbearer.expected.audience=kafka
		sasl.oauthbearer.expected.issuer=https://issuer.test
	PROPERTIES
}

secured_stop() {
	stop_pid "$run/secured.pid"
	forget LAZARET_TEST_SECURED
	forget LAZARET_TEST_SECURED_CERTIFIED
	forget LAZARET_TEST_SECURED_TOKENS
	forget LAZARET_TEST_SECURED_ADMIN
	forget LAZARET_TEST_SECURED_FOLDER
}
