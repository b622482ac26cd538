//! The commands of the runbooks, as somebody types them.

use std::collections::BTreeMap;

use futures::StreamExt as _;

use super::{at, files, read};
use crate::rig::{Rig, eventually};

/// What asks before it does something; whoever types on no terminal says yes at once.
const ASKS: [&str; 6] = ["dlq assign", "dlq note", "dlq link", "dlq resolve", "dlq discard", "redrive start"];
/// Done, or nothing matched.
const WELL: [i32; 2] = [0, 3];
const TIMED_OUT: i32 = 8;

/// The commands in the blocks of a page, in their order.
pub fn commands(page: &str) -> Vec<Vec<String>> {
    let blocks = page.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().expect("a block"));
    blocks.flat_map(str::lines).map(words).collect()
}

/// The words of a command line. Only double quotes are known; pages use nothing else.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('"').enumerate() {
        if n % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    assert_eq!(
        words.first().map(String::as_str),
        Some("lazaret"),
        "blocks of runbooks have commands of Lazaret: {line}"
    );
    words.remove(0);
    words
}

/// What the capital words of the pages stand for.
pub struct Known(pub BTreeMap<&'static str, String>);

impl Known {
    fn fill(&self, words: &[String]) -> Vec<String> {
        let is_left = |word: &String| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
        let fill = |word: &String| self.0.get(word.as_str()).cloned().unwrap_or_else(|| word.clone());
        let filled: Vec<String> = words.iter().map(fill).collect();
        assert!(!filled.iter().any(is_left), "nobody knows what a word stands for in {words:?}");
        filled
    }
}

/// Types a command, and says with which code it ended and what it said. On a busy machine Kafka may not answer in time; whoever is on
/// call types it again.
async fn types(rig: &Rig, known: &Known, command: &[String]) -> (i32, String) {
    let mut told = types_once(rig, known, command).await;
    for _ in 0..3 {
        if told.0 == TIMED_OUT {
            told = types_once(rig, known, command).await;
        }
    }
    told
}

async fn types_once(rig: &Rig, known: &Known, command: &[String]) -> (i32, String) {
    let mut args = known.fill(command);
    if ASKS.iter().any(|asks| args.join(" ").starts_with(asks)) && !args.iter().any(|arg| arg == "--dry-run")
    {
        args.push("--yes".into());
    }
    let mut lazaret = tokio::process::Command::new(env!("CARGO_BIN_EXE_lazaret"));
    lazaret
        .arg("--config")
        .arg(rig.path("lazaret.yaml"))
        .args(&args)
        .env("USER", "kim")
        .env("LAZARET_LOG", "error");
    let output = lazaret.output().await.expect("lazaret runs");
    let said = format!(
        "{args:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code().unwrap_or(-1), said)
}

/// Carries out the page on a dead letter queue that is not empty, from its beginning to its end.
pub async fn carry_out(rig: &Rig, mut known: Known) {
    for command in commands(&read(&at("docs/runbooks/dlq-not-empty.md"))) {
        let (code, said) = types(rig, &known, &command).await;
        assert!(WELL.contains(&code), "{code}: {said}");
        let is = |verb: [&str; 2]| command.iter().zip(verb).all(|(word, wanted)| word == wanted);
        if is(["redrive", "attach"]) || is(["redrive", "start"]) {
            assert_eq!(code, 0, "{said}");
        }
        if is(["redrive", "plan"]) && !command.iter().any(|word| word == "--dry-run") {
            let latest = rig.ask(&["redrive", "ls", "--limit", "1", "-o", "json"]).await;
            known.0.insert("PLAN", latest["redrives"][0]["id"].as_str().expect("an id").to_owned());
        }
        // Whoever attaches at once runs it; here `lazaret ops` is to do it, whose metrics tell of it.
        if is(["redrive", "start"]) {
            let plan = &known.0["PLAN"];
            eventually("lazaret ops has run it", async || {
                let status = rig.ask(&["redrive", "status", plan, "-o", "json"]).await;
                (status["state"] == "finished").then_some(())
            })
            .await;
        }
    }
    let plan = &known.0["PLAN"];
    let status = rig.ask(&["redrive", "status", plan, "-o", "json"]).await;
    assert_eq!(status["state"], "finished", "{status}");
    let (code, said) =
        types(rig, &known, &["dlq", "count", "--group", "FINGERPRINT"].map(str::to_owned)).await;
    assert_eq!(code, 3, "none of the group is left: {said}");
}

/// Types every command of every page once.
pub async fn type_all(rig: &Rig, known: &Known) {
    let mut all: Vec<Vec<String>> =
        files("docs/runbooks", ".md").iter().flat_map(|page| commands(&read(page))).collect();
    all.sort();
    all.dedup();
    // These belong to the way from one end to the other, and were typed there.
    let elsewhere = ["start", "attach", "resolve"];
    all.retain(|command| !command.get(1).is_some_and(|verb| elsewhere.contains(&verb.as_str())));
    assert!(all.len() > 40, "{}", all.len());
    let typed = futures::stream::iter(&all).map(|command| types(rig, known, command)).buffer_unordered(2);
    let wrong: Vec<String> = typed
        .filter_map(async |(code, said)| (!WELL.contains(&code)).then(|| format!("{code}: {said}")))
        .collect()
        .await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
