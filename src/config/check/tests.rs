//! What is allowed. What is not is told by `tests/it/config`.

use super::*;
use crate::config::load::load_text;
use crate::config::model::Protocol;

fn config(pipelines: &str) -> Config {
    let text = format!(
        "version: 1\nkafka: {{ bootstrap: 'a:1, [::1]:2' }}\nproviders: {{ p: {{ base_url: 'http://h/v1' }} }}\npipelines:\n{pipelines}"
    );
    load_text(&text, "test.yaml", &|_| None).unwrap_or_else(|e| panic!("{e}")).config
}

fn pipeline(name: &str, input: &str, output: &str) -> String {
    format!(
        "  {name}: {{ input: {{ topic: {input} }}, output: {{ topic: {output} }}, stages: [{{ name: v, kind: validate }}] }}\n"
    )
}

#[test]
fn two_pipelines_may_read_the_same_topic_or_write_the_same() {
    config(&(pipeline("a", "in", "one") + &pipeline("b", "in", "two")));
    config(&(pipeline("a", "in", "out") + &pipeline("b", "other", "out")));
}

#[test]
fn a_pipeline_may_feed_another() {
    config(&(pipeline("a", "one", "two") + &pipeline("b", "two", "three") + &pipeline("c", "two", "four")));
}

#[test]
fn a_side_branch_of_a_circle_is_not_part_of_it() {
    let mut config =
        config(&(pipeline("a", "x", "one") + &pipeline("b", "one", "two") + &pipeline("c", "two", "z")));
    config.pipelines.get_mut("c").unwrap().output.as_mut().unwrap().topic = "one".into();
    let found = check(&config);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].message.ends_with("b → c → b"), "{}", found[0].message);
}

#[test]
fn an_ipv6_loopback_address_is_loopback() {
    let mut config = config(&pipeline("a", "in", "out"));
    for (listen, found) in
        [("[::1]:9464", 0), ("localhost:0", 0), ("[::]:9464", 1), ("::1:9464", 1), ("h:99999", 1)]
    {
        config.http.listen = listen.into();
        assert_eq!(check(&config).len(), found, "{listen}");
    }
}

#[test]
fn a_login_that_leaves_the_machine_as_it_is_is_told_of_and_no_other() {
    let mut config = config(&pipeline("a", "in", "out"));
    let mut told = |protocol, mechanism: &str, bootstrap: &str| {
        config.kafka.bootstrap = bootstrap.into();
        config.kafka.security.protocol = protocol;
        config.kafka.security.mechanism = Some(mechanism.into());
        in_the_clear(&config.kafka).map(|open| open.message)
    };
    let (open, tls) = (Protocol::SaslPlaintext, Protocol::SaslSsl);
    let message = told(open, "PLAIN", "localhost:9092, kafka:9092").expect("a warning");
    assert!(message.starts_with("the password goes to kafka:9092"), "{message}");
    assert!(told(open, "OAUTHBEARER", "10.0.0.1:9092").is_some_and(|told| told.starts_with("the token")));
    for (protocol, mechanism, bootstrap) in [
        (open, "PLAIN", "localhost:9092,127.0.0.1:9093,[::1]:9094"),
        (open, "SCRAM-SHA-512", "kafka:9092"),
        (tls, "PLAIN", "kafka:9092"),
        (tls, "OAUTHBEARER", "kafka:9092"),
    ] {
        assert_eq!(told(protocol, mechanism, bootstrap), None, "{mechanism} {bootstrap}");
    }
}

#[test]
fn a_factor_that_is_no_number_is_refused() {
    let mut config = config(&pipeline("a", "in", "out"));
    for factor in [f64::NAN, f64::INFINITY, -1.0] {
        config.pipelines.get_mut("a").unwrap().retry.factor = factor;
        assert_eq!(check(&config).len(), 1, "{factor}");
    }
}

#[test]
fn a_topic_of_the_longest_name_is_allowed_and_one_more_letter_is_not() {
    let mut config = config(&pipeline("a", "in", "out"));
    // "a." + name + ".retry.10m" is the longest; "a." + name + ".redrive" is shorter.
    let name = "v".repeat(249 - "a.".len() - ".retry.10m".len());
    config.pipelines.get_mut("a").unwrap().stages[0].name = name.clone();
    assert_eq!(check(&config), []);
    config.pipelines.get_mut("a").unwrap().stages[0].name = name + "v";
    assert_eq!(check(&config).len(), 1);
}
