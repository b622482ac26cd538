//! Bytes of a text to characters: byte order mark, then what the document says, then what the bytes look like.
//!
//! It never guesses through: bytes that are no text in any encoding give `None`.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, UTF_16BE, UTF_16LE};

/// One wrong byte among so many characters is damage, not another encoding.
const DAMAGE: usize = 400;
/// The same for UTF-8, whose longer sequences hardly ever come about by accident.
const DAMAGE_UTF_8: usize = 20;
/// One control character among so many characters is an oddity, not binary data.
const CONTROLS: usize = 100;

/// The text, or `None` when it is in no encoding that could be told. `declared` is a charset label, believed
/// when the bytes agree.
pub fn decode(bytes: &[u8], declared: Option<&str>) -> Option<String> {
    if let Some((encoding, length)) = Encoding::for_bom(bytes) {
        return decode_as(encoding, bytes.get(length..).unwrap_or_default());
    }
    // Text in another encoding is never valid UTF-8 by accident, and labels are copied without thought.
    if !bytes.is_ascii() && !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() {
        // A replacement character in it was written by somebody; it is not damage.
        return judged(String::from_utf8_lossy(bytes).into_owned(), 0);
    }
    let declared = declared.and_then(|label| Encoding::for_label(label.trim().as_bytes()));
    let declared = declared.and_then(|encoding| decode_as(encoding, bytes));
    declared.or_else(|| guess(bytes))
}

/// The charset that an HTML document names in its first kilobyte (HTML, 13.2.3.2).
pub fn html_charset(bytes: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(bytes.get(..1024).unwrap_or(bytes)).to_ascii_lowercase();
    ["charset=", "encoding="].iter().find_map(|mark| {
        let (_, after) = head.split_once(mark)?;
        let label = after.trim_start_matches(['"', '\'', ' ']);
        let end = label.find(|c: char| !(c.is_ascii_alphanumeric() || "-_:.".contains(c)))?;
        // A document that could be read as ASCII up to here is not UTF-16, whatever it says.
        label.get(..end).filter(|l| !l.is_empty() && !l.starts_with("utf-16")).map(str::to_owned)
    })
}

fn guess(bytes: &[u8]) -> Option<String> {
    if has_iso_2022_jp_escape(bytes) {
        return decode_as(ISO_2022_JP, bytes);
    }
    if let Some(encoding) = utf_16(bytes) {
        return decode_as(encoding, bytes);
    }
    decode_as(UTF_8, bytes).or_else(|| {
        let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
        detector.feed(bytes, true);
        decode_as(detector.guess(None, Utf8Detection::Deny), bytes)
    })
}

/// `None` when the bytes are not text in this encoding, apart from a little damage.
fn decode_as(encoding: &'static Encoding, bytes: &[u8]) -> Option<String> {
    let (text, _) = encoding.decode_without_bom_handling(bytes);
    let replaced = text.chars().filter(|c| *c == '\u{fffd}').count();
    judged(text.into_owned(), replaced * if encoding == UTF_8 { DAMAGE_UTF_8 } else { DAMAGE })
}

/// The text, unless it has too few characters beyond ASCII for its damage or too many control characters.
fn judged(text: String, beyond_ascii_min: usize) -> Option<String> {
    let (mut characters, mut beyond_ascii, mut controls) = (0, 0, 0);
    for c in text.chars() {
        characters += 1;
        beyond_ascii += usize::from(!c.is_ascii());
        controls +=
            usize::from(c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}' | '\u{8}' | '\u{1b}'));
    }
    (beyond_ascii >= beyond_ascii_min && controls * CONTROLS <= characters).then_some(text)
}

/// The escape sequences to JIS X 0208 and back to ASCII or JIS X 0201 (RFC 1468).
fn has_iso_2022_jp_escape(bytes: &[u8]) -> bool {
    bytes.is_ascii()
        && (memchr::memmem::find(bytes, b"\x1b$B").is_some()
            || memchr::memmem::find(bytes, b"\x1b$@").is_some())
}

/// UTF-16 without a byte order mark: read one way nearly everything is a character of an everyday script, read
/// the other way it is not. UTF-8 text fails this both ways, or has no NUL and no newline as 16 bits.
fn utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let sample = bytes.get(..8192).unwrap_or(bytes);
    let sample = sample.get(..sample.len() & !1)?;
    if !bytes.len().is_multiple_of(2)
        || sample.len() < 4
        || !sample.contains(&0) && std::str::from_utf8(bytes).is_ok()
    {
        return None;
    }
    let share = |read: fn([u8; 2]) -> u16| {
        let units = sample.chunks_exact(2).filter_map(|pair| Some(read(pair.try_into().ok()?)));
        units.filter(|unit| everyday(*unit)).count() * 200 / sample.len()
    };
    let (little, big) = (share(u16::from_le_bytes), share(u16::from_be_bytes));
    match (little >= 97, big >= 97) {
        (true, _) if little > big => Some(UTF_16LE),
        (_, true) if big > little => Some(UTF_16BE),
        _ => None,
    }
}

fn everyday(unit: u16) -> bool {
    matches!(unit, 9 | 10 | 13 | 0x20..=0x7e | 0xa0..=0x17f | 0x2010..=0x203f | 0x3000..=0x30ff | 0x4e00..=0x9faf | 0xff00..=0xff9f)
}

#[cfg(test)]
mod tests;
