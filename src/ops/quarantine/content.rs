//! What the records had that died: key, headers and payload, read from where the letters stand.

use bytes::Bytes;
use serde::{Serialize, Serializer};

use super::Acts;
use crate::config::Config;
use crate::kafka::ProduceError;
use crate::message::Record;
use crate::message::deadletter::DeadLetter;
use crate::ops::archive::find::{FindError, Finder};
use crate::quarantine::{Deed, Entry, Known, Mask, Owner};

/// About as many bytes are read together, so that memory stays as it is however many letters there are.
pub const BYTES_MAX: u64 = 16 << 20;

/// Key, headers and payload of a record. As JSON, bytes are text, or `{"base64": …}` where they are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Content {
    #[serde(serialize_with = "bytes")]
    #[schemars(with = "Option<Shown>")]
    pub key: Option<Bytes>,
    /// In the order of the record.
    pub headers: Vec<Header>,
    #[serde(serialize_with = "bytes")]
    #[schemars(with = "Option<Shown>")]
    pub payload: Option<Bytes>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Header {
    pub name: String,
    #[serde(serialize_with = "bytes")]
    #[schemars(with = "Option<Shown>")]
    pub value: Option<Bytes>,
}

impl Content {
    /// Of a letter of ours without the block that says why it died; without what the mask hides.
    pub fn of(record: Record, mask: &Mask) -> Self {
        // Others say in headers, among those of the record, why it died.
        let (headers, is_ours) = match DeadLetter::read(&record) {
            Ok((_, original)) => (original, true),
            Err(_) => (record.headers, false),
        };
        let shown = |name: &str, value: &Bytes| {
            let value = mask.header(name, value.clone());
            if is_ours { value } else { mask.said(value) }
        };
        let header = |(name, value): (&str, Option<&Bytes>)| Header {
            name: name.into(),
            value: value.map(|value| shown(name, value)),
        };
        let headers = headers.shared().map(header);
        Self {
            headers: headers.collect(),
            key: record.key.map(|key| mask.key(key)),
            payload: record.value.map(|payload| mask.payload(payload)),
        }
    }
}

/// Text, or bytes that are none.
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "it describes what `bytes` writes")]
enum Shown {
    Text(String),
    Bytes { base64: String },
}

fn bytes<S: Serializer>(bytes: &Option<Bytes>, to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Coded {
        base64: String,
    }
    match bytes.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => to.serialize_none(),
        Some((_, Ok(text))) => to.serialize_str(text),
        Some((bytes, Err(_))) => Coded { base64: base64(bytes) }.serialize(to),
    }
}

pub fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// It is not known what records had, or must not be shown.
#[derive(Debug, thiserror::Error)]
pub enum ContentError {
    #[error(transparent)]
    Unread(#[from] FindError),
    #[error("it cannot be written down who sees what is masked, and so nobody does: {0}")]
    Unnoted(ProduceError),
}

/// Reads what records had, without what is masked. Holds one connection.
pub struct Contents<'a> {
    finder: Finder,
    mask: Mask,
    unmasked: Option<Acts<'a>>,
}

impl<'a> Contents<'a> {
    /// Connects to nothing yet.
    pub fn new(config: &Config, verb: &str) -> Self {
        let finder = Finder::new(config, verb);
        Self { finder, mask: Mask::of(&config.quarantine.masking), unmasked: None }
    }

    /// With everything that is masked, in somebody's name. It is written down which letters these are, before anything of them
    /// is read.
    pub fn unmasked(self, acts: Acts<'a>) -> Self {
        Self { mask: Mask::default(), unmasked: Some(acts), ..self }
    }

    /// These letters with what their records had; `None` for one that neither Kafka nor the archive has.
    pub async fn of(&mut self, letters: Vec<Known>) -> Result<Vec<(Known, Option<Content>)>, ContentError> {
        if let Some(acts) = &self.unmasked {
            let ids: Vec<String> = letters.iter().map(|letter| letter.entry.id.clone()).collect();
            acts.note(&ids, &Deed::Unmasked).await.map_err(ContentError::Unnoted)?;
        }
        let wanted = letters.iter().map(|letter| (&letter.entry, letter.archived.as_deref()));
        let mut found = self.finder.find(wanted).await?;
        let content = |mut letter: Known| {
            let Some(record) = found.remove(&letter.entry.id) else { return (letter, None) };
            let entry = Entry::read(&record, &Owner::default());
            if self.unmasked.is_some() {
                (letter.entry.message, letter.entry.chain) = (entry.message, entry.chain);
            }
            (letter, Some(Content::of(record, &self.mask)))
        };
        Ok(letters.into_iter().map(content).collect())
    }
}

/// Letters in order, as many together as may be read together: at most `most` and about [`BYTES_MAX`], and at least one.
pub fn portions<T>(letters: Vec<T>, most: usize, size: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let (mut portions, mut bytes) = (Vec::<Vec<T>>::new(), 0);
    for letter in letters {
        bytes += size(&letter);
        match portions.last_mut() {
            Some(portion) if portion.len() < most && bytes <= BYTES_MAX => portion.push(letter),
            _ => {
                bytes = size(&letter);
                portions.push(vec![letter]);
            }
        }
    }
    portions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quarantine::contract::letter;
    use crate::quarantine::{Kept, Remarks, State};

    #[test]
    fn bytes_are_text_where_they_are_and_nothing_is_lost_where_they_are_not() {
        let header = |name: &str, value: Option<&'static [u8]>| Header {
            name: name.into(),
            value: value.map(Bytes::from_static),
        };
        let content = Content {
            key: None,
            headers: vec![header("a", Some(b"x")), header("a", None), header("b", Some(b"\xff\x00"))],
            payload: Some(Bytes::from_static(b"{\"a\": 1}")),
        };
        assert_eq!(
            serde_json::to_string(&content).expect("JSON"),
            r#"{"key":null,"headers":[{"name":"a","value":"x"},{"name":"a","value":null},{"name":"b","value":{"base64":"/wA="}}],"payload":"{\"a\": 1}"}"#
        );
    }

    #[test]
    fn letters_are_read_in_portions_of_about_as_many_bytes() {
        let sized = |n: i64, size: u64| Known {
            entry: Entry { size, ..letter(n) },
            state: State::Open,
            looked_at: false,
            remarks: Remarks::default(),
            kept: Kept::Kafka,
            archived: None,
            edit: None,
        };
        let sizes = [1, BYTES_MAX - 1, 1, BYTES_MAX + 1, 5, 5];
        let letters: Vec<Known> = (0..).zip(sizes).map(|(n, size)| sized(n, size)).collect();
        let counts: Vec<usize> =
            portions(letters, 100, |known| known.entry.size).iter().map(Vec::len).collect();
        assert_eq!(counts, [2, 1, 1, 2]);
        assert!(portions(Vec::<Known>::new(), 100, |known| known.entry.size).is_empty());
    }
}
