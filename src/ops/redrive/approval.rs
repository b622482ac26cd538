//! Four eyes: plans that another person has to approve before they are started.

use std::sync::Arc;

use futures::TryStreamExt as _;
use jiff::Timestamp;

use super::RunError;
use super::checks::{APPROVED, Check, Starting};
use crate::config::Config;
use crate::ops::advice::Advice;
use crate::ops::quarantine::pages;
use crate::quarantine::{Approval, Edition, Entry, Plan, Quarantine, Run};

/// Letters that are looked at together.
const PAGE: usize = 1000;

const HINT: &str =
    "plan it with `lazaret redrive plan`, and let somebody else approve it with `lazaret redrive approve`";

/// Whether edited letters are not sent before another person has looked at them.
pub fn minds_edits(config: &Config) -> bool {
    config.quarantine.four_eyes.is_some_and(|four_eyes| four_eyes.edited)
}

/// More than one person may send back at once is planned, so that another one can look at it.
pub fn ensure_few(config: &Config, letters: usize) -> Result<(), Advice> {
    let most = config.quarantine.four_eyes.and_then(|four_eyes| four_eyes.letters);
    let Some(most) = most.filter(|most| letters as u64 > *most) else { return Ok(()) };
    let message = format!("{letters} dead letters are more than the {most} that one person may send back");
    Err(Advice::new(message, HINT))
}

/// Why a letter that was edited is not sent without a plan.
pub fn unseen(letter: &Entry, edit: &Edition) -> Advice {
    let message =
        format!("dead letter {} was edited by '{}', and nobody else has looked at it", letter.id, edit.by);
    Advice::new(message, HINT)
}

/// Whether somebody else than who made this edit has approved the run after it.
pub fn was_seen(run: &Run, edit: &Edition) -> bool {
    run.approvals.iter().any(|approval| approval.by != edit.by && approval.at > edit.at)
}

/// Why somebody else has to look at this plan; `None` when one person is enough.
pub fn wanted(config: &Config, plan: &Plan) -> Option<String> {
    let four_eyes = config.quarantine.four_eyes.as_ref()?;
    if four_eyes.edited && plan.edited > 0 {
        return Some(format!("{} of its letters were edited", plan.edited));
    }
    let most = four_eyes.letters.filter(|most| plan.letters > *most)?;
    Some(format!("it has {} letters, more than {most}", plan.letters))
}

/// Whether somebody has, who is neither the one who planned it nor the one who starts it.
pub async fn approved(
    config: &Config,
    index: &Arc<dyn Quarantine>,
    plan: &Plan,
    starting: Option<Starting<'_>>,
) -> Result<Check, RunError> {
    // What was edited since it was planned goes as it was edited, too.
    let edits = match starting.filter(|_| minds_edits(config)) {
        Some(starting) => edits(index, &starting.run.id).await?,
        None => Edits { letters: plan.edited, last: None },
    };
    Ok(judge(config, plan, starting, edits))
}

/// How many letters of a run are edited, and when the last of them was.
#[derive(Clone, Copy, Default)]
struct Edits {
    letters: u64,
    last: Option<Timestamp>,
}

async fn edits(index: &Arc<dyn Quarantine>, run: &str) -> Result<Edits, RunError> {
    let (mut pages, mut edits) = (pages::in_run(&**index, run, PAGE), Edits::default());
    while let Some(letters) = pages.try_next().await? {
        for edit in letters.into_iter().filter_map(|one| one.letter?.edit) {
            edits.letters += 1;
            edits.last = edits.last.max(Some(edit.at));
        }
    }
    Ok(edits)
}

/// Who approved it before the last edit has not seen that.
fn judge(config: &Config, plan: &Plan, starting: Option<Starting<'_>>, edits: Edits) -> Check {
    let found = |holds, found| Check { name: APPROVED, holds, found };
    // What was wanted when it was planned is wanted whatever the configuration says by now.
    let frozen = || plan.approval.then(|| "it was planned so".to_owned());
    let now = Plan { edited: edits.letters, ..plan.clone() };
    let Some(why) = wanted(config, &now).or_else(frozen) else {
        return found(true, "one person is enough".into());
    };
    let has_seen_all = |approval: &&Approval| edits.last.is_none_or(|last| last < approval.at);
    let approval = starting.and_then(|Starting { run, by }| run.approved_for(by).find(has_seen_all));
    match (approval, edits.last) {
        (Some(approval), _) => found(true, format!("'{}' approved it", approval.by)),
        (None, None) => found(
            false,
            format!("{why}: somebody else than who planned it and who starts it has to approve it"),
        ),
        (None, Some(last)) => {
            found(false, format!("{why}, the last at {last:.0}: somebody else has to approve it after that"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::FourEyes;
    use crate::quarantine::contract::{act, plan};
    use crate::quarantine::{Act, Deed};

    fn of(letters: u64, edited: u64, four_eyes: FourEyes) -> Option<String> {
        let mut config = Config::blank();
        config.quarantine.four_eyes = Some(four_eyes);
        wanted(&config, &Plan { letters, edited, ..plan() })
    }

    #[test]
    fn large_plans_and_those_with_edited_letters_need_another_person_where_the_configuration_says_so() {
        let both = FourEyes { letters: Some(1000), edited: true };
        assert_eq!(of(1000, 0, both), None);
        assert!(of(1001, 0, both).is_some_and(|why| why.contains("1001 letters, more than 1000")));
        assert!(of(1, 1, both).is_some_and(|why| why.contains("edited")));
        assert_eq!(of(1_000_000, 0, FourEyes { letters: None, edited: true }), None);
        assert_eq!(of(10, 10, FourEyes { letters: Some(10), edited: false }), None);
        assert_eq!(wanted(&Config::blank(), &Plan { letters: 1_000_000, edited: 5, ..plan() }), None);
    }

    #[test]
    fn what_was_planned_so_is_not_started_alone_whatever_the_configuration_says_later() {
        let config = Config::blank();
        let none = Edits::default();
        assert!(judge(&config, &plan(), None, none).holds);
        assert!(!judge(&config, &Plan { approval: true, ..plan() }, None, none).holds);
    }

    #[test]
    fn who_approved_it_before_the_last_edit_has_not_seen_that() {
        let at = |second| Timestamp::from_second(second).expect("a time");
        let mut config = Config::blank();
        config.quarantine.four_eyes = Some(FourEyes { letters: None, edited: true });
        let act = |n, by: &str, deed| Act { by: by.into(), at: at(n), ..act(n, &[], deed).1 };
        let acts = [act(1, "kim", Deed::Planned { plan: Box::new(plan()) }), act(5, "ada", Deed::Approved)];
        let run = Run::of(&acts, plan().letters).expect("a run");
        let holds = |by, letters, last: Option<i64>| {
            judge(&config, &run.plan, Some(Starting { run: &run, by }), Edits { letters, last: last.map(at) })
                .holds
        };
        assert!(holds("kim", 0, None), "nothing is edited by now");
        assert!(holds("kim", 1, Some(4)));
        assert!(!holds("kim", 1, Some(5)) && !holds("kim", 1, Some(6)), "it was edited after she had looked");
        assert!(!holds("ada", 1, Some(4)), "who approved it does not start it");
    }
}
