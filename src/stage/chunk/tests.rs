use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::stage::fakes::{code_of, document_ref, job, payload};

fn split(text: &str) -> Vec<Passage> {
    split_by(text, 40, 8)
}

fn split_by(text: &str, tokens_max: usize, overlap: usize) -> Vec<Passage> {
    splitter(tokens_max, overlap).split(text, &[]).expect("passages")
}

fn parsed(text: &str) -> Parsed {
    Parsed { document: document_ref("a"), text: text.into(), pages: Vec::new() }
}

fn stage(part: usize, passages_max: usize) -> Chunk {
    Chunk::new(&config::Chunk { tokens_max: 20, overlap: 4, part, passages_max }).expect("settings")
}

fn splitter(tokens_max: usize, overlap: usize) -> Splitter {
    Splitter::new(tokens_max, overlap, 100_000).expect("settings")
}

/// The characters that are in no piece, white space aside.
fn uncovered(text: &str, pieces: &[(usize, &str)]) -> String {
    let mut covered = vec![false; text.len()];
    for (at, piece) in pieces {
        assert_eq!(&text[*at..at + piece.len()], *piece);
        covered[*at..at + piece.len()].fill(true);
    }
    text.char_indices().filter(|(at, c)| !covered[*at] && !c.is_whitespace()).map(|(_, c)| c).collect()
}

#[test]
fn passages_know_the_headings_above_them() {
    let text = "# Guide\n\nThis is what the service is and what it does.\n\n\
        ## Set-up\n\nInstall it with the package manager of your system.\n\n\
        ## Use\n\nRun it with the path of your configuration file.";
    let passages = split_by(text, 16, 0);
    let of = |needle: &str| {
        let passage = passages.iter().find(|p| p.text.contains(needle)).expect("a passage");
        passage.heading.clone()
    };
    assert_eq!(of("Install").as_deref(), Some("Guide > Set-up"));
    assert_eq!(of("Run").as_deref(), Some("Guide > Use"));
    let ordinals: Vec<u32> = passages.iter().map(|p| p.ordinal).collect();
    assert_eq!(ordinals, (0..passages.len() as u32).collect::<Vec<_>>());
}

#[test]
fn passages_know_the_page_on_which_they_start() {
    let pages: Vec<String> = (1..=3).map(|n| format!("Page {n} says something about {n}.\n\n")).collect();
    let starts: Vec<usize> = (0..3).map(|n| pages[..n].concat().len()).collect();
    let passages = splitter(16, 0).split(&pages.concat(), &starts).expect("passages");
    let found: Vec<Option<u32>> = passages.iter().map(|p| p.page).collect();
    assert_eq!(found, [Some(1), Some(2), Some(3)]);
}

#[test]
fn japanese_is_cut_at_the_ends_of_sentences() {
    let sentence = "検疫所は失敗した記録を保管し、他の記録を待たせません。";
    let text = sentence.repeat(20);
    let passages = split_by(&text, 64, 0);
    assert!(passages.len() > 3);
    assert!(passages.iter().all(|p| p.text.ends_with('。')), "{passages:?}");
}

#[test]
fn neighbours_overlap_by_some_sentences() {
    let text: String = (0..60).map(|n| format!("Fact number {n} is here. ")).collect();
    let passages = split_by(&text, 40, 16);
    let last = passages[0].text.split_inclusive(". ").last().expect("a sentence").trim();
    assert!(passages[1].text.contains(last), "{last} / {}", passages[1].text);
}

#[test]
fn text_without_any_break_is_cut_all_the_same() {
    for piece in ["a", "漢", "=", "🦀", "7"] {
        let text = piece.repeat(20_000);
        let splitter = splitter(40, 8);
        let pieces: Vec<_> = splitter.pieces(&text).collect();
        assert!(pieces.iter().all(|(_, p)| Tokens::new().count(p) <= 40), "{piece}");
        assert_eq!(uncovered(&text, &pieces), "", "{piece}");
    }
}

#[test]
fn a_desert_of_white_space_is_crossed_in_one_step() {
    for blank in ["\n", " ", "\t \n", "\u{3000}"] {
        let text = format!("before{}after", blank.repeat(300_000));
        let texts: Vec<String> = split(&text).into_iter().map(|p| p.text).collect();
        assert_eq!(texts, ["before", "after"], "{blank:?}");
    }
}

#[tokio::test]
async fn parts_are_children_of_the_document_s_job() {
    let text: String = (0..40).map(|n| format!("Fact number {n} stands here on its own line.\n\n")).collect();
    let outputs = stage(4, 1_000).run(&job(parsed(&text))).await.expect("parts");
    assert!(outputs.len() > 2);
    let mut ordinal = 0;
    for (n, output) in outputs.iter().enumerate() {
        assert_eq!(output.child, Some(n as u32));
        let part: Passages = payload(output);
        assert_eq!((part.part as usize, part.parts as usize), (n, outputs.len()));
        assert_eq!(part.document, document_ref("a"));
        assert!((1..=4).contains(&part.passages.len()));
        for passage in part.passages {
            assert_eq!(passage.ordinal, ordinal);
            ordinal += 1;
        }
    }
}

#[tokio::test]
async fn a_document_of_too_many_passages_is_permanent() {
    let text = "A sentence that fills some room here. ".repeat(100);
    assert_eq!(code_of(&stage(4, 5), job(parsed(&text))).await, Code::ChunkTooMany);
}

#[tokio::test]
async fn a_document_without_text_is_permanent() {
    assert_eq!(code_of(&stage(4, 5), job(parsed(" \n\n"))).await, Code::DocumentEmpty);
    assert_eq!(code_of(&stage(4, 5), job(json!({"text": 1}))).await, Code::RecordSchemaViolation);
}

#[test]
fn no_passage_says_next_to_nothing() {
    let body: String = (0..7).map(|n| format!("Fact {n} is here. ")).collect();
    let text = (0..6).map(|n| format!("## Section {n}\n\n{body}\n\n```\nls\n```\n\n")).collect::<String>();
    let passages = split_by(&text, 64, 0);
    assert!(passages.len() > 5);
    for passage in &passages {
        assert!(Tokens::new().count(&passage.text) > 64 / 8, "{passage:?}");
        assert!(
            !passage.text.trim_end().lines().last().is_some_and(|line| line.starts_with('#')),
            "{passage:?}"
        );
    }
}

/// Markdown-like text: words, Japanese, headings, lists, tables, fences, odd white space, long runs.
fn texts() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[a-z]{1,9}[ .,]",
        4 => "[ぁ-ん一-十]{1,9}[。、]?",
        2 => Just("\n\n".to_owned()),
        1 => Just("\n# Heading\n\n".to_owned()),
        1 => Just("\n- item [link](http://a.b/c) **bold**\n".to_owned()),
        1 => Just("\n| a | b |\n|---|---|\n| 1 | 2 |\n".to_owned()),
        1 => Just("\n```\nlet x = 1;\n    indented\n```\n".to_owned()),
        1 => "[ \t\n\u{3000}]{1,40}",
        1 => "[A-Za-z0-9+/]{200,700}",
        1 => "\\PC{0,20}",
    ];
    prop::collection::vec(piece, 0..120).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_character_is_in_a_passage_and_no_passage_is_too_long(
        text in texts(), overlap in 0usize..12, times in 1usize..6,
    ) {
        // Long texts are cut into sections first.
        let text = text.repeat(times);
        let splitter = splitter(32, overlap);
        let pieces: Vec<_> = splitter.pieces(&text).collect();
        prop_assert_eq!(uncovered(&text, &pieces), "");
        for (_, piece) in pieces {
            prop_assert!(Tokens::new().count(piece) <= 32, "{:?}", piece);
        }
    }
}
