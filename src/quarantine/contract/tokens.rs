//! What letters have taken of providers.

use std::sync::Arc;

use super::{By, Entry, Filter, Open, Quarantine, Share, Tokens, TokensOf, all, apply, groups, letter};
use crate::message::Spent;

pub async fn tokens(open: &impl Open) {
    a_letter_tells_what_it_has_taken_or_that_nobody_knows(open().await).await;
    groups_and_values_add_up_what_is_known(open().await).await;
}

fn took(n: i64, stage: &str, tenant: &str, spent: Option<(u64, u64)>) -> Entry {
    let spent = spent.map(|(input, output)| Spent { input, output, calls: 2 });
    Entry { stage: stage.into(), tenant: Some(tenant.into()), spent, ..letter(n) }
}

async fn a_letter_tells_what_it_has_taken_or_that_nobody_knows(index: Arc<dyn Quarantine>) {
    let most = 1_000_000_000_000;
    let entries = [
        took(1, "embed", "acme", Some((1200, 30))),
        took(2, "embed", "acme", Some((0, 0))),
        took(3, "embed", "acme", None),
        took(4, "embed", "acme", Some((most, most))),
    ];
    apply(&*index, &entries, &[]).await;
    let mut found: Vec<Entry> =
        all(&*index, &Filter::default(), 10).await.into_iter().map(|known| known.entry).collect();
    found.reverse();
    assert_eq!(found, entries);
}

async fn groups_and_values_add_up_what_is_known(index: Arc<dyn Quarantine>) {
    let unknown: Vec<Entry> = (0..40).map(|n| took(n, "parse", "beta", None)).collect();
    apply(&*index, &unknown, &[]).await;
    assert_eq!(groups(&*index).await[0].tokens, None);
    let known = [
        took(50, "embed", "acme", Some((100, 0))),
        took(51, "embed", "acme", Some((20, 0))),
        took(52, "generate", "acme", Some((7, 5))),
        took(53, "generate", "beta", Some((1, 1))),
    ];
    apply(&*index, &known, &[]).await;
    let sum = |input, output, letters| Tokens { input, output, letters };
    let group = groups(&*index).await.remove(0);
    assert_eq!((group.count, group.tokens), (44, Some(sum(128, 6, 4))));

    let shares = index.shares(&Filter::default(), By::Tenant, 10).await.expect("works");
    let told = |share: &Share| (share.value.clone(), share.tokens, share.by_stage.clone());
    let of = |stage: &str, tokens| TokensOf { pipeline: "rag".into(), stage: stage.into(), tokens };
    let beta = (Some("beta".into()), Some(sum(1, 1, 1)), vec![of("generate", sum(1, 1, 1))]);
    let acme = vec![of("embed", sum(120, 0, 2)), of("generate", sum(7, 5, 1))];
    assert_eq!(
        shares.iter().map(told).collect::<Vec<_>>(),
        [beta, (Some("acme".into()), Some(sum(127, 5, 3)), acme)]
    );
}
