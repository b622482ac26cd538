//! Who looks after a letter, by when, and for how long it is there.

use super::*;
use crate::ops::dlq::fixture::{known, time};

const HOUR: i64 = 3600;

fn config(more: &str) -> Config {
    let yaml = format!(
        "version: 1
kafka: {{ bootstrap: 'localhost:9092' }}
pipelines:
  rag:
    input: {{ topic: d }}
    output: {{ topic: i }}
    owner: team-rag
    runbook: https://wiki/rag
    sla: 4h
    stages: [ {{ name: parse, kind: parse, owner: team-pdf{more} }} ]
"
    );
    serde_saphyr::from_str(&yaml).expect("a valid configuration")
}

fn care(more: &str, letter: &Known, second: i64) -> Care {
    Care::of_letter(&config(more), letter, time(second))
}

#[test]
fn a_stage_names_its_owner_and_its_pipeline_the_rest() {
    let expected = Care {
        owner: Some("team-pdf".into()),
        runbook: Some("https://wiki/rag".into()),
        sla: Some(Sla { look: Some(Span::secs(4 * 3600)), resolve: None }),
        look_by: Some(time(60 + 4 * HOUR)),
        ..Care::default()
    };
    assert_eq!(care("", &known(60), 61), expected);
    let elsewhere =
        Known { entry: crate::quarantine::Entry { pipeline: String::new(), ..known(0).entry }, ..known(0) };
    assert_eq!(care("", &elsewhere, 61), Care::default(), "nothing is known of what others wrote");
}

#[test]
fn what_is_late_is_what_nobody_has_looked_at_or_what_is_not_over_in_time() {
    let both = ", sla: { look: 1h, resolve: 2h }";
    let late = |letter: &Known, hours: i64| care(both, letter, hours * HOUR + 1).overdue;
    let fresh = known(0);
    assert_eq!(late(&fresh, 0), []);
    assert_eq!(late(&fresh, 1), [Due::Look]);
    assert_eq!(late(&fresh, 2), [Due::Look, Due::Resolve]);
    let seen = Known { looked_at: true, state: State::Redriving, ..known(0) };
    assert_eq!((late(&seen, 1), late(&seen, 2)), (vec![], vec![Due::Resolve]));
    assert_eq!(care(both, &seen, 0).look_by, None, "somebody has");
    for state in [State::Resolved, State::Superseded, State::Discarded, State::Expired] {
        assert_eq!(late(&Known { state, ..known(0) }, 99), [], "{state:?}");
    }
}

#[test]
fn an_open_letter_is_kept_until_its_retention_is_over() {
    let mut config = config("");
    assert_eq!(Care::of_letter(&config, &known(0), time(0)).kept_until, None, "for ever");
    if let Some(pipeline) = config.pipelines.get_mut("rag") {
        pipeline.dlq_retention = Some(Span::secs(10));
    }
    let kept = |letter: &Known| Care::of_letter(&config, letter, time(0)).kept_until;
    assert_eq!(kept(&known(0)), Timestamp::from_millisecond(10_005).ok(), "by the time of the record");
    assert_eq!(kept(&Known { state: State::Resolved, ..known(0) }), None, "nobody needs it any more");
}
