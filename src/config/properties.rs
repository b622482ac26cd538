//! librdkafka properties that may not stand under `kafka.properties`. Pure; the one list for the check of the file
//! and for the clients.

/// Set by Lazaret itself, because its guarantees rest on them, and where the user says it instead.
const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", "use kafka.bootstrap"),
    ("metadata.broker.list", "use kafka.bootstrap"),
    ("group.id", "use kafka.group_prefix; groups are named <prefix><pipeline>.<stage>"),
    ("group.protocol", "use kafka.membership.protocol"),
    ("partition.assignment.strategy", "use kafka.membership.assignor"),
    ("group.remote.assignor", "use kafka.membership.assignor"),
    ("enable.auto.commit", "remove it; offsets are committed without gaps, by Lazaret"),
    ("auto.commit.interval.ms", "remove it; offsets are committed without gaps, by Lazaret"),
    ("enable.auto.offset.store", "remove it; offsets are committed without gaps, by Lazaret"),
    ("auto.offset.reset", "remove it; a new group starts at the first record, so that none is missed"),
    ("isolation.level", "remove it; only committed records are read"),
    ("enable.idempotence", "remove it; the producer is idempotent"),
    ("transactional.id", "remove it; Lazaret names its transactions"),
    ("transaction.timeout.ms", "use kafka.transaction_timeout"),
    ("acks", "remove it; a record counts as written when all in-sync replicas have it"),
    ("request.required.acks", "remove it; a record counts as written when all in-sync replicas have it"),
    ("delivery.timeout.ms", "use kafka.delivery_timeout"),
    ("message.timeout.ms", "use kafka.delivery_timeout"),
    ("message.max.bytes", "use record_max of the pipeline"),
    ("security.protocol", "use kafka.security.protocol"),
    ("sasl.mechanism", "use kafka.security.mechanism"),
    ("sasl.mechanisms", "use kafka.security.mechanism"),
    ("sasl.username", "use kafka.security.username"),
    ("sasl.oauthbearer.method", "use kafka.security.token"),
    ("sasl.oauthbearer.client.id", "use kafka.security.token.endpoint.client_id"),
    ("sasl.oauthbearer.token.endpoint.url", "use kafka.security.token.endpoint.url"),
    ("sasl.oauthbearer.scope", "use kafka.security.token.endpoint.scope"),
    ("sasl.oauthbearer.extensions", "use kafka.security.token.endpoint.extensions"),
    ("https.ca.location", "use kafka.security.token.endpoint.ca_file"),
    ("ssl.ca.location", "use kafka.security.ca_file"),
    ("ssl.certificate.location", "use kafka.security.certificate_file"),
    ("ssl.key.location", "use kafka.security.key_file"),
    ("client.id", "remove it; it names the verb"),
    ("group.instance.id", "use kafka.membership.static"),
    ("partitioner", "remove it; a key must land where Java producers put it"),
    ("batch.size", "use record_max of the pipeline"),
    ("receive.message.max.bytes", "use record_max of the pipeline"),
    ("fetch.max.bytes", "use record_max of the pipeline"),
    ("enable.partition.eof", "remove it; it is how the end of a topic is told"),
];

/// Settings of a member that the broker decides under the group protocol `consumer`: a client that has them is refused.
pub const CLASSIC_ONLY: [&str; 2] = ["session.timeout.ms", "heartbeat.interval.ms"];

/// Words in the names of properties that hold secrets.
const SECRETS: &[&str] = &["password", "secret", "key.pem", "sasl.jaas.config", "sasl.oauthbearer.config"];

/// Why a property may not be given, and what to do instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// Follows the property's name.
    pub why: &'static str,
    pub instead: &'static str,
}

/// Whether this property is not the user's to set.
pub fn reserved(property: &str) -> Option<Reserved> {
    if let Some((_, instead)) = OWNED.iter().find(|(name, _)| *name == property) {
        return Some(Reserved { why: "belongs to Lazaret", instead });
    }
    SECRETS.iter().any(|word| property.contains(word)).then_some(Reserved {
        why: "is a secret, and secrets are never written into this file",
        instead: "use kafka.security.password or token with { env: VARIABLE } or { file: PATH }, or a key file",
    })
}
