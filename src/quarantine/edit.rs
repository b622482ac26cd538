//! Another value, or other headers, for a dead letter's record when it is sent back, as it stands on the topic of operations;
//! and which edit of a letter counts. Plain data and pure functions.
//!
//! The dead letter itself stays as it is. What was edited is large and may be what not everybody is to see, so that the index
//! keeps only where it stands.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::act::{Act, Deed, Outcome};
use super::state::State;
use crate::message::Headers;

/// What an act says of an edit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edit {
    /// Hash of the value and the headers that it was made of.
    pub was: String,
    /// Hash of those that it made.
    pub is: String,
    /// How long those are.
    pub bytes: u64,
    /// Where the act with the content stands on the topic of operations: what the index keeps of the content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Edited>,
}

/// Value and headers of a record, as base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Edited {
    value: Option<String>,
    /// All of them, in order.
    headers: Vec<(String, Option<String>)>,
}

impl Edit {
    pub fn new(was: String, value: Option<&Bytes>, headers: &Headers) -> Self {
        let code = |bytes: &[u8]| STANDARD.encode(bytes);
        let header = |(name, value): (&str, Option<&[u8]>)| (name.to_owned(), value.map(code));
        let content =
            Edited { value: value.map(|value| code(value)), headers: headers.iter().map(header).collect() };
        let bytes = value.map_or(0, Bytes::len) + headers.size();
        Self { was, is: digest(value, headers), bytes: bytes as u64, offset: None, content: Some(content) }
    }

    /// What the index keeps of one that stands there.
    pub fn bare(&self, offset: i64) -> Self {
        Self { offset: Some(offset), content: None, ..self.clone() }
    }

    /// Value and headers; `None` when they are not there, or not those that the hash names.
    pub fn content(&self) -> Option<(Option<Bytes>, Headers)> {
        let Edited { value, headers } = self.content.as_ref()?;
        let bytes = |text: &String| STANDARD.decode(text).ok();
        let value = value.as_ref().map(|value| bytes(value).map(Bytes::from));
        let value = value.map_or(Some(None), |value| value.map(Some))?;
        let mut all = Headers::new();
        for (name, value) in headers {
            let value = value.as_ref().map(|value| bytes(value).map(Bytes::from));
            all.push_bytes(name.clone(), value.map_or(Some(None), |value| value.map(Some))?);
        }
        (digest(value.as_ref(), &all) == self.is).then_some((value, all))
    }
}

/// Names a value with its headers.
pub fn digest(value: Option<&Bytes>, headers: &Headers) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: Option<&[u8]>| {
        // Lengths keep neighbours apart, and null from what is empty.
        let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
        hasher.update(&length.to_be_bytes()).update(bytes.unwrap_or_default());
    };
    part(value.map(|value| &**value));
    for (name, value) in headers.iter() {
        part(Some(name.as_bytes()));
        part(value);
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

/// The edit of a letter that counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Edition {
    /// The act that made it.
    pub act: String,
    /// Where that stands on the topic of operations.
    pub offset: Option<i64>,
    pub at: Timestamp,
    pub by: String,
    pub reason: Option<String>,
    /// Hashes of what it was made of, and of what it is.
    pub was: String,
    pub is: String,
    /// How long value and headers are.
    pub bytes: u64,
    /// It was sent back so.
    pub sent: bool,
}

impl Edition {
    /// `acts` are those on the letter, in the order of their topic. Only what is open can be edited; of several edits the
    /// first counts, unless it was taken back before it was sent.
    pub fn of<'a>(acts: impl IntoIterator<Item = &'a Act>) -> Option<Self> {
        let (mut state, mut edition) = (State::Open, None::<Self>);
        for act in acts {
            match (&act.deed, &mut edition) {
                (Deed::Edited { edit }, None) if state == State::Open => {
                    edition = Some(Self {
                        act: act.id.clone(),
                        offset: edit.offset,
                        at: act.at,
                        by: act.by.clone(),
                        reason: act.reason.clone(),
                        was: edit.was.clone(),
                        is: edit.is.clone(),
                        bytes: edit.bytes,
                        sent: false,
                    });
                }
                (Deed::Unedited { edit }, Some(counts)) if state == State::Open && *edit == counts.act => {
                    edition = None;
                }
                (Deed::Redriven, Some(counts)) => counts.sent = true,
                (Deed::Settled { outcome: Outcome::Returned }, Some(counts)) => counts.sent = false,
                (Deed::Restored, Some(counts)) if state == State::Discarded => counts.sent = false,
                _ => {}
            }
            state = state.after(&act.deed);
        }
        edition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(id: &str, deed: Deed) -> Act {
        Act {
            id: id.into(),
            operation: String::new(),
            at: Timestamp::UNIX_EPOCH,
            by: id.into(),
            reason: None,
            letters: vec!["letter".into()],
            group: None,
            deed,
        }
    }

    fn edited(id: &str) -> Act {
        act(id, Deed::Edited { edit: Box::new(Edit::new("was".into(), None, &Headers::new())) })
    }

    fn undone(edit: &str) -> Act {
        act("undo", Deed::Unedited { edit: edit.into() })
    }

    /// Who made the edit that counts, and whether it was sent.
    fn counts(acts: &[Act]) -> Option<(String, bool)> {
        Edition::of(acts).map(|edition| (edition.act, edition.sent))
    }

    fn is(id: &str, sent: bool) -> Option<(String, bool)> {
        Some((id.to_owned(), sent))
    }

    #[test]
    fn of_two_edits_the_first_counts_until_it_is_taken_back() {
        assert_eq!(counts(&[]), None);
        assert_eq!(counts(&[edited("a"), edited("b")]), is("a", false));
        assert_eq!(counts(&[edited("a"), undone("a"), edited("b")]), is("b", false));
        assert_eq!(counts(&[edited("a"), undone("a")]), None);
        assert_eq!(counts(&[edited("a"), undone("b")]), is("a", false), "who takes back must know what");
        let twice = [edited("a"), undone("a"), edited("b"), undone("a")];
        assert_eq!(counts(&twice), is("b", false), "what comes late takes nothing back that came after");
    }

    #[test]
    fn what_was_sent_back_is_edited_no_more_and_what_was_sent_edited_is_not_taken_back() {
        let sent = || act("send", Deed::Redriven);
        let returned = || act("settle", Deed::Settled { outcome: Outcome::Returned });
        assert_eq!(counts(&[sent(), edited("a")]), None);
        assert_eq!(counts(&[edited("a"), sent(), undone("a"), edited("b")]), is("a", true));
        assert_eq!(
            counts(&[edited("a"), sent(), returned()]),
            is("a", false),
            "it goes so the next time, too"
        );
        assert_eq!(counts(&[edited("a"), sent(), returned(), undone("a"), edited("b")]), is("b", false));
        assert_eq!(counts(&[sent(), returned(), edited("a")]), is("a", false));
        let discarded = || act("discard", Deed::Discarded);
        assert_eq!(counts(&[discarded(), edited("a")]), None);
        assert_eq!(counts(&[edited("a"), discarded()]), is("a", false));
        let restored = || act("restore", Deed::Restored);
        let back = [edited("a"), sent(), discarded(), restored()];
        assert_eq!(counts(&back), is("a", false), "it is open, and goes so when it is sent again");
        assert_eq!(
            counts(&[edited("a"), sent(), restored()]),
            is("a", true),
            "only what was given up is restored"
        );
    }

    #[test]
    fn what_was_edited_comes_back_byte_for_byte_and_nothing_else_is_believed() {
        let mut headers = Headers::new();
        headers.push("a", Some(vec![0, 255]));
        headers.push("a", None);
        for value in [None, Some(Bytes::new()), Some(Bytes::from_static(b"\xff\x00"))] {
            let edit = Edit::new("was".into(), value.as_ref(), &headers);
            let json = serde_json::to_string(&edit).expect("JSON");
            let read: Edit = serde_json::from_str(&json).expect("an edit");
            assert_eq!(read.content(), Some((value, headers.clone())));
            assert_eq!(read.bare(7).content(), None);
            assert_eq!(read.bare(7).offset, Some(7));
            let forged = Edit { is: "another".into(), ..read };
            assert_eq!(forged.content(), None);
        }
    }

    #[test]
    fn different_records_have_different_names() {
        let header = |name: &str, value: Option<&[u8]>| {
            let mut headers = Headers::new();
            headers.push(name.to_owned(), value.map(<[u8]>::to_vec));
            headers
        };
        let all = [
            digest(None, &Headers::new()),
            digest(Some(&Bytes::new()), &Headers::new()),
            digest(None, &header("a", None)),
            digest(None, &header("a", Some(b""))),
            digest(None, &header("", Some(b"a"))),
            digest(Some(&Bytes::from_static(b"a")), &Headers::new()),
        ];
        let different: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }
}
