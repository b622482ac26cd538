//! Which of many lines of librdkafka is told as the cause, and for how long.

use super::*;

const ISSUER: &str = "[thrd:app]: Failed to retrieve OIDC token from \"http://id.test/token\": Could not connect to server (-1)";
const NO_ISSUER: &str = "Failed to acquire SASL OAUTHBEARER token: Could not connect to server";
const REFUSED: &str =
    "sasl_ssl://broker:9092/1: SASL OAUTHBEARER authentication failed: {\"status\":\"invalid_token\"}";

const AUTHENTICATION: Option<RDKafkaErrorCode> = Some(RDKafkaErrorCode::Authentication);

fn login_error() -> KafkaError {
    KafkaError::MessageConsumption(RDKafkaErrorCode::Authentication)
}

fn kind(context: &Context) -> Option<TroubleKind> {
    context.trouble().map(|trouble| trouble.kind)
}

#[test]
fn a_facility_that_repeats_itself_is_heard_once_in_ten_seconds_with_the_count_of_the_rest() {
    let (mut limiter, start) = (Limiter::default(), Instant::now());
    assert_eq!(limiter.admit("FAIL", start), Some(0));
    assert_eq!(limiter.admit("FAIL", start + Duration::from_secs(1)), None);
    assert_eq!(limiter.admit("REQTMOUT", start + Duration::from_secs(1)), Some(0));
    assert_eq!(limiter.admit("FAIL", start + Duration::from_secs(9)), None);
    assert_eq!(limiter.admit("FAIL", start + Duration::from_secs(11)), Some(2));
}

#[test]
fn a_refused_password_is_not_hidden_by_the_disconnect_that_follows() {
    let (context, now) = (Context::default(), Instant::now());
    context.note(None, "Connect to ipv4#127.0.0.1:1 failed: Connection refused", now);
    context.note(AUTHENTICATION, "SASL authentication error: invalid credentials", now);
    context.note(None, "Disconnected while requesting ApiVersion", now);
    context.note(Some(RDKafkaErrorCode::AllBrokersDown), "1/1 brokers are down", now);
    let trouble = context.trouble().expect("trouble was noted");
    assert_eq!(trouble.kind, TroubleKind::Authentication);
    assert!(trouble.text.contains("invalid credentials"));
}

#[test]
fn a_trouble_that_says_more_hides_others_for_a_minute_and_not_for_ever() {
    let (context, now) = (Context::default(), Instant::now());
    context.note(None, ISSUER, now);
    context.note(None, "Disconnected while requesting ApiVersion", now + HIDES / 2);
    assert_eq!(kind(&context), Some(TroubleKind::Issuer));
    context.note(None, "Disconnected while requesting ApiVersion", now + HIDES);
    assert_eq!(kind(&context), Some(TroubleKind::Connection));
    context.clear();
    assert_eq!(context.trouble(), None);
}

#[test]
fn a_token_endpoint_that_may_be_starting_is_told_from_one_that_refuses() {
    let told = |answer: &str| {
        let context = Context::default();
        context.note(
            None,
            &format!("Failed to retrieve OIDC token from \"http://id.test/\": {answer}"),
            Instant::now(),
        );
        kind(&context).expect("a trouble")
    };
    assert_eq!(told("Could not connect to server (-1)"), TroubleKind::Issuer);
    assert_eq!(told("<html>not yet (really)</html> (503)"), TroubleKind::Issuer);
    assert_eq!(told("{\"error\":\"invalid_client\"} (401)"), TroubleKind::Token);
    assert_eq!(told("SSL certificate problem: self-signed certificate (-1)"), TroubleKind::Token);
    assert_eq!(told("cut off"), TroubleKind::Token);
}

#[test]
fn an_error_that_repeats_what_the_log_said_of_the_endpoint_is_of_the_same_kind() {
    let (context, now) = (Context::default(), Instant::now());
    context.note(None, ISSUER, now);
    context.note(AUTHENTICATION, NO_ISSUER, now);
    let trouble = context.trouble().expect("a trouble");
    assert_eq!(trouble.kind, TroubleKind::Issuer);
    assert!(trouble.text.contains("http://id.test/token"), "{}", trouble.text);
    context.note(
        AUTHENTICATION,
        "Failed to acquire SASL OAUTHBEARER token: Must supply an unexpired token",
        now,
    );
    assert_eq!(kind(&context), Some(TroubleKind::Token));
}

#[test]
fn a_token_that_is_not_renewed_is_no_refused_login_and_a_refused_login_is_told_with_it() {
    let (context, now) = (Context::default(), Instant::now());
    assert!(!context.lacks_token(&login_error()));
    context.note(None, ISSUER, now);
    context.note(AUTHENTICATION, NO_ISSUER, now);
    assert!(context.lacks_token(&login_error()));
    assert!(!context.lacks_token(&KafkaError::MessageConsumption(RDKafkaErrorCode::Fatal)));
    // The present token has come to its end, and the broker says so.
    context.note(AUTHENTICATION, REFUSED, now);
    assert!(!context.lacks_token(&login_error()));
    let problem = context.problem("read topic 'x'", &login_error()).to_string();
    assert!(problem.contains("there is no token") && problem.contains("Could not connect"), "{problem}");
}

#[test]
fn a_refused_login_is_told_with_what_the_broker_said() {
    let context = Context::default();
    context.note(AUTHENTICATION, REFUSED, Instant::now());
    let problem = context.problem("read topic 'x'", &login_error()).to_string();
    assert!(problem.contains("read topic 'x'") && problem.contains("invalid_token"), "{problem}");
}
