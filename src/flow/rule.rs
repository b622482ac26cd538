//! Rules of the pipeline file that give a failure another class. Pure.

use super::{Class, Code, Fault};

/// Matches when everything it names matches; a rule that names nothing matches every failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub code: Option<Code>,
    pub status: Option<u16>,
    /// Text the message contains.
    pub message: Option<String>,
    pub class: Class,
}

impl Rule {
    fn matches(&self, fault: &Fault) -> bool {
        self.code.is_none_or(|code| code == fault.code)
            && self.status.is_none_or(|status| Some(status) == fault.status)
            && self.message.as_ref().is_none_or(|text| fault.message.contains(text))
    }
}

/// That of the first rule that matches, else its own.
pub fn class_of(rules: &[Rule], fault: &Fault) -> Class {
    rules.iter().find(|rule| rule.matches(fault)).map_or(fault.class, |rule| rule.class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_matches_decides_and_a_fault_no_rule_knows_keeps_its_class() {
        let rules = [
            Rule {
                code: Some(Code::LlmBadRequest),
                status: Some(400),
                message: None,
                class: Class::Transient,
            },
            Rule { code: None, status: None, message: Some("tenant".into()), class: Class::Systemic },
        ];
        let class = |fault: Fault| class_of(&rules, &fault);
        assert_eq!(class(Fault::new(Code::LlmBadRequest, "x").with_status(400)), Class::Transient);
        assert_eq!(class(Fault::new(Code::LlmBadRequest, "a tenant's").with_status(422)), Class::Systemic);
        assert_eq!(class(Fault::new(Code::LlmBadRequest, "x")), Class::Permanent);
    }
}
