//! Random lives of a stage. Whatever happens in which order, the world checks every step, then everything must
//! come to rest with every record ended and every offset committed.

use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{Action, Step, World};
use crate::flow::Code;

fn scripts() -> impl Strategy<Value = Vec<Vec<Step>>> {
    let step = prop_oneof![
        4 => Just(Step::Output),
        3 => Just(Step::Transient),
        1 => Just(Step::RateLimited),
        1 => Just(Step::TooLarge),
        1 => Just(Step::Permanent),
        1 => Just(Step::Busy),
    ];
    vec(vec(step, 0..4), 1..60)
}

fn work() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => any::<u8>().prop_map(Action::Poll),
        6 => any::<u8>().prop_map(Action::Finish),
        6 => any::<u8>().prop_map(Action::Answer),
        2 => (1u16..6000).prop_map(Action::Pass),
    ]
}

fn planned() -> impl Strategy<Value = Action> {
    prop_oneof![
        60 => work(),
        2 => any::<u8>().prop_map(Action::Revoke),
        8 => any::<u8>().prop_map(Action::Assign),
        1 => Just(Action::Stop),
    ]
}

fn troubled() -> impl Strategy<Value = Action> {
    let code =
        prop_oneof![Just(Code::LlmUnauthorized), Just(Code::LlmConnection), Just(Code::LedgerUnavailable)];
    prop_oneof![
        60 => planned(),
        1 => any::<u8>().prop_map(Action::PollAgain),
        1 => any::<u8>().prop_map(Action::LateAnswer),
        1 => (1u16.., code).prop_map(|(time, code)| Action::Trouble(time, code)),
        1 => (1u16.., any::<bool>()).prop_map(|(time, only_dead)| Action::Refuse(time, only_dead)),
        1 => any::<u8>().prop_map(Action::Lose),
        1 => Just(Action::DrainDeadline),
        1 => Just(Action::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 250, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_every_record_ends_and_no_promise_is_broken(
        scripts in scripts(),
        actions in vec(troubled(), 0..400),
        concurrency in 1usize..6,
        window in 1usize..9,
        ledger in any::<bool>(),
    ) {
        let mut world = World::new(scripts, concurrency, window, ledger);
        actions.into_iter().for_each(|action| world.act(action));
        world.settle();
        if ledger {
            prop_assert!(world.ends().iter().all(|ends| *ends == 1), "the ledger knows what has ended");
        }
    }

    #[test]
    fn a_planned_rebalance_runs_nothing_twice(
        scripts in scripts(),
        actions in vec(planned(), 0..400),
        concurrency in 1usize..6,
        window in 1usize..9,
    ) {
        let mut world = World::new(scripts, concurrency, window, true);
        actions.into_iter().for_each(|action| world.act(action));
        world.settle();
        prop_assert_eq!(world.most_runs(), 1);
        prop_assert!(world.ends().iter().all(|ends| *ends == 1));
    }
}
