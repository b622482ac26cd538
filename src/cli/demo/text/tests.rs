use super::*;
use crate::demo::account::Balance;

fn conservation(balance: Balance) -> Conservation {
    Conservation {
        holds: balance.is_even(),
        balance,
        on_rungs: 0,
        uncommitted: 0,
        partitions: 3,
        missing: Vec::new(),
    }
}

#[test]
fn what_does_not_add_up_is_named() {
    let mut wrong = conservation(Balance { submitted: 9, open: 7, doubled: 1, ..Balance::default() });
    wrong.missing = (1..=7).map(|n| format!("{n}.pdf")).collect();
    (wrong.on_rungs, wrong.uncommitted) = (2, 5);
    assert_eq!(
        imbalance(&wrong),
        "7 have not ended (1.pdf, 2.pdf, 3.pdf, 4.pdf, 5.pdf, …); 1 ended more than once; \
         2 records wait on rungs; 3 records of other topics are not committed"
    );
}

#[test]
fn an_answer_cannot_steer_the_terminal() {
    let citation = Citation { quote: "a\x1b[2Jb\nc".into(), ..Citation::default() };
    let line = cited(&citation);
    assert!(!line.contains('\x1b') && !line.contains('\n'), "{line:?}");
}

#[test]
fn codes_are_counted_in_all_and_one_by_one() {
    let counts = BTreeMap::from([(Code::LlmTimeout, 2), (Code::LlmServerError, 1)]);
    assert_eq!(by_code(&counts), "3: 1 llm.server_error, 2 llm.timeout");
    assert_eq!(by_code(&BTreeMap::new()), "0");
}

#[test]
fn a_path_with_a_space_can_be_pasted() {
    assert_eq!(quoted("/tmp/a b's"), r"'/tmp/a b'\''s'");
    assert_eq!(quoted("/tmp/ab"), "/tmp/ab");
}
