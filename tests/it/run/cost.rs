//! What failed calls to a provider have cost, on the real Kafka: from the answer that was billed to the estimate of a redrive.

use serde_json::{Value, json};

use super::EMBED;
use super::redrive::{self, all_dead, of, passage, told};
use crate::rig::{Rig, Worker};

const LETTERS: u64 = 3;
/// Of each record.
const ATTEMPTS: u64 = 2;

/// A stage whose provider bills answers of no use, and letters that were dead of it. A token costs a thousandth.
async fn dead(test: &str) -> Option<(Rig, Worker)> {
    let pipeline = EMBED.replacen("max_attempts: 50", &format!("max_attempts: {ATTEMPTS}"), 1);
    let rig = Rig::new(test, &pipeline, "").await?;
    rig.reconfigure("timeout: 2s }", "timeout: 2s, prices: { lazaret-embed: { input: 1000 } } }");
    rig.faults(json!({ "spoiled": "SPOILED" })).await;
    rig.send((0..LETTERS as usize).map(|n| passage(&rig, n, "a SPOILED passage")).collect()).await;
    let worker = rig.worker(&[]).await;
    all_dead(&rig, LETTERS).await;
    Some((rig, worker))
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no number"))
}

fn costs(value: &Value, tokens: u64) -> bool {
    let amount = value["amount"].as_f64().unwrap_or(-1.0);
    value["currency"] == "USD" && (amount - tokens as f64 / 1000.0).abs() < 1e-9
}

/// A plan of all letters; its id, and what `plan` said.
async fn plan(rig: &Rig, flags: &[&str]) -> (String, Value) {
    let stage = ["redrive", "plan", "--stage", "embed", "--by", "kim", "-o", "json"];
    let said = rig.ask(&[&stage, flags].concat()).await;
    (said["id"].as_str().expect("an id").to_owned(), said)
}

async fn start(rig: &Rig, id: &str, flags: &[&str]) -> (i32, Value) {
    let start = ["redrive", "start", id, "--by", "kim", "--reason", "the answers are good again", "--yes"];
    told(rig, &[&start[..], &["-o", "json"], flags].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_calls_have_taken_is_known_of_letters_groups_and_plans_and_bounds_a_redrive() {
    let Some((rig, worker)) = dead("cost").await else { return };
    let letters = rig.records("embed.dlq").await;
    let header =
        |name: &str| number(&json!(letters[0].headers.text(name).and_then(|text| text.parse::<u64>().ok())));
    assert_eq!((header("dlq.tokens.calls"), header("dlq.tokens.output")), (ATTEMPTS, 0));
    let each = header("dlq.tokens.input") / ATTEMPTS;
    assert!(each > 0);
    let waited = rig.records("embed.retry.200ms").await;
    let before = waited[0].headers.text("lazaret.tokens.input").map(str::to_owned);
    assert_eq!(before, Some(each.to_string()), "what waits tells what it has taken so far");

    let all = each * ATTEMPTS * LETTERS;
    let groups = async || rig.ask(&["dlq", "groups", "-o", "json"]).await["groups"].clone();
    let known = groups().await;
    assert_eq!(known[0]["tokens"], json!({ "input": all, "output": 0, "letters": LETTERS }), "{known}");
    assert!(costs(&known[0]["cost"], all), "{known}");
    let shares = rig.ask(&["dlq", "count", "--by", "tenant", "-o", "json"]).await;
    assert!(costs(&shares["shares"][0]["cost"], each * ATTEMPTS), "{shares}");
    let listed = rig.ask(&["dlq", "ls", "-o", "json"]).await;
    let letter = &listed["letters"][0];
    assert_eq!(
        letter["spent"],
        json!({ "input": each * ATTEMPTS, "output": 0, "calls": ATTEMPTS }),
        "{letter}"
    );
    let shown = rig.ask(&["dlq", "show", letter["id"].as_str().expect("an id"), "-o", "json"]).await;
    assert!(costs(&shown["cost"]["price"], each * ATTEMPTS), "{shown}");
    let rebuilt = rig.output(&["ops", "rebuild"]).await;
    assert!(rebuilt.status.success(), "{}", String::from_utf8_lossy(&rebuilt.stderr));
    assert_eq!(groups().await, known, "Kafka has all of it");

    let (free, said) = plan(&rig, &[]).await;
    let estimate = &said["plan"]["estimate"];
    let told = ["calls", "input", "output", "measured"].map(|name| number(&estimate[name]));
    assert_eq!(told, [LETTERS, each * LETTERS, 0, ATTEMPTS * LETTERS], "{estimate}");
    let table = rig.output(&["redrive", "status", &free]).await;
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("that it has counted"), "{table}");

    let (code, refused) = start(&rig, &free, &["--max-cost", "0.0001"]).await;
    assert_eq!((code, &refused["error"]["at"]), (4, &json!("cost")), "{refused}");
    let (dear, said) = plan(&rig, &["--max-cost", "0.0001"]).await;
    let check = said["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "cost");
    assert_eq!(check.expect("a check")["holds"], false, "{said}");
    let (code, refused) = start(&rig, &dear, &["--max-cost", "1000"]).await;
    assert_eq!((code, &refused["error"]["at"]), (4, &json!("cost")), "the plan's own limit stays: {refused}");

    rig.faults(json!({ "spoiled": null })).await;
    let (code, ended) = start(&rig, &dear, &["--override", "cost"]).await;
    assert_eq!(
        (code, &ended["state"], &ended["overridden"]),
        (0, &json!("finished"), &json!(["cost"])),
        "{ended}"
    );
    let report = rig.ask(&["redrive", "report", &dear, "-o", "json"]).await;
    let succeeded = report["tally"]["succeeded"].as_u64();
    assert_eq!(of([("succeeded", succeeded.unwrap_or_default())]), of([("succeeded", LETTERS)]), "{report}");
    let metrics = worker.metrics().await;
    let labels = r#"provider="local",model="lazaret-embed""#;
    for (purpose, tokens) in
        [("first", each * LETTERS), ("retry", each * LETTERS), ("redrive", each * LETTERS)]
    {
        let counted = format!(
            r#"lazaret_provider_tokens_total{{{labels},token_type="prompt",purpose="{purpose}"}} {tokens}"#
        );
        assert!(metrics.contains(&counted), "{counted}\n{metrics}");
        let (whole, parts) = (tokens / 1000, tokens % 1000);
        let cost = format!(
            r#"lazaret_provider_cost_total{{{labels},purpose="{purpose}",currency="USD"}} {whole}.{parts:03}000000"#
        );
        assert!(metrics.contains(&cost), "{cost}\n{metrics}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_counted_is_unknown_and_what_has_no_price_is_below_no_limit() {
    let Some((rig, _worker)) = redrive::dead("cost-unknown", 2).await else { return };
    let letters = rig.records("embed.dlq").await;
    assert!(letters.iter().all(|letter| !letter.headers.contains("dlq.tokens.input")));
    let groups = rig.ask(&["dlq", "groups", "-o", "json"]).await;
    let group = &groups["groups"][0];
    assert!(group.get("tokens").is_none() && group.get("cost").is_none(), "{group}");
    let (id, said) = plan(&rig, &["--max-cost", "1000"]).await;
    let estimate = &said["plan"]["estimate"];
    assert_eq!(
        (&estimate["calls"], &estimate["measured"], estimate.get("cost")),
        (&json!(2), &json!(0), None),
        "{said}"
    );
    assert!(number(&estimate["input"]) > 0, "by bytes: {estimate}");
    let (code, refused) = start(&rig, &id, &["--override", "changed"]).await;
    assert_eq!((code, &refused["error"]["at"]), (4, &json!("cost")), "{refused}");
    assert!(refused["error"]["message"].as_str().is_some_and(|why| why.contains("no price")), "{refused}");
}
