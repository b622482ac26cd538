//! What conditions can ask a dead letter for. Pure.

use jiff::Timestamp;

use super::Known;
use crate::config::expression::Operand;

/// The value of one of the variables of conditions. A text that the letter does not have is empty.
pub fn operand(letter: &Known, name: &str, now: Timestamp) -> Operand {
    let entry = &letter.entry;
    let text = |text: &str| Operand::Text(text.to_owned());
    let maybe = |text: &Option<String>| Operand::Text(text.clone().unwrap_or_default());
    let number = |number: u64| Operand::Number(i64::try_from(number).unwrap_or(i64::MAX));
    match name {
        "id" => text(&entry.id),
        "pipeline" => text(&entry.pipeline),
        "stage" => text(&entry.stage),
        "revision" => maybe(&entry.revision),
        "code" => text(&entry.code),
        "class" => text(&entry.class),
        "message" => text(&entry.message),
        "group" => text(&entry.fingerprint),
        "job" => text(&entry.job),
        "tenant" => maybe(&entry.tenant),
        "resource" => maybe(&entry.resource),
        "trace" => maybe(&entry.trace),
        "producer" => maybe(&entry.producer),
        "feature" => maybe(&entry.feature),
        "model" => maybe(&entry.model),
        "topic" => text(&entry.at.topic),
        "state" => text(letter.state.as_str()),
        "owner" => maybe(&letter.remarks.owner),
        "ticket" => maybe(&letter.remarks.ticket),
        "attempts" => number(entry.attempts.into()),
        "redrives" => number(entry.redrives.into()),
        "size" => number(entry.size),
        "first_failure" => Operand::Time(entry.first_failure),
        "last_failure" => Operand::Time(entry.last_failure),
        "age" => Operand::Span(now.duration_since(entry.last_failure).try_into().unwrap_or_default()),
        // Expressions that ask for something else are refused when they are read.
        _ => Operand::Text(String::new()),
    }
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;

    use super::*;
    use crate::config::expression::{Expression, VARIABLES};
    use crate::ops::dlq::fixture;

    #[test]
    fn each_variable_has_a_value_of_its_type() {
        let letter = fixture::known(60);
        for (name, kind) in VARIABLES {
            let value = operand(&letter, name, fixture::time(120));
            assert_eq!(discriminant(&value), discriminant(&kind.sample()), "{name}: {value:?}");
        }
    }

    #[test]
    fn a_condition_is_held_against_a_letter() {
        let (mut letter, now) = (fixture::known(60), fixture::time(120));
        letter.remarks.owner = Some("kim".into());
        for (text, expected) in [
            ("pipeline == 'rag' && stage == 'parse' && revision == 'r1' && topic == 'rag.parse.dlq'", true),
            ("code == 'parse.corrupt' && class == 'permanent' && message.contains('page tree')", true),
            ("job == 'j1' && tenant == 'acme' && resource == 'a.pdf' && trace.startsWith('0af7')", true),
            ("owner == 'kim' && ticket == '' && state == 'open' && size(group) > 0 && size(id) > 0", true),
            ("producer == '' && feature == '' && model == ''", true),
            ("attempts == 3 && redrives == 0 && size > 10", true),
            ("age == duration('1m') && last_failure - first_failure == duration('1m')", true),
            ("age > duration('1m')", false),
        ] {
            let condition = Expression::parse(text).expect(text);
            assert_eq!(condition.holds(|name| operand(&letter, name, now)), Ok(expected), "{text}");
        }
    }
}
