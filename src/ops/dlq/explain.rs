//! Words for what is told of dead letters: spans, commands to paste, and texts that steer no terminal. Pure.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Timestamp;

use crate::config::DEFAULT_FILE;

/// Most bytes of a text that are shown.
const TEXT_MAX: usize = 16 * 1024;
/// Most bytes of what is no text.
const HEX_MAX: usize = 256;

/// How a command begins that works on the same configuration as this one.
pub fn command(config: &Path) -> String {
    match config.to_string_lossy() {
        path if path == DEFAULT_FILE => "lazaret".to_owned(),
        path => format!("lazaret --config {}", quoted(&path)),
    }
}

/// The beginning of a text, printable, and how much is left out.
pub fn bounded(text: &str) -> String {
    let cut = text.floor_char_boundary(TEXT_MAX);
    let (head, rest) = text.split_at(cut);
    let mut shown = printable(head);
    if !rest.is_empty() {
        let _ = write!(shown, "\n… {} more bytes", rest.len());
    }
    shown
}

/// The first bytes in hexadecimal, and how many are left out.
pub fn hex(value: &[u8]) -> String {
    let mut lines = String::new();
    for (row, bytes) in value.chunks(16).take(HEX_MAX / 16).enumerate() {
        let codes: Vec<String> = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let signs: String =
            bytes.iter().map(|b| if b.is_ascii_graphic() { char::from(*b) } else { '.' }).collect();
        let _ = writeln!(lines, "{:08x}  {:<47}  {signs}", row * 16, codes.join(" "));
    }
    if value.len() > HEX_MAX {
        let _ = write!(lines, "… {} more bytes", value.len() - HEX_MAX);
    }
    lines.trim_end().to_owned()
}

/// Without control characters other than line breaks and tabs, so that no text from a record steers the terminal.
pub fn printable(text: &str) -> String {
    let sign = |c: char| if c.is_control() && !matches!(c, '\n' | '\t') { '\u{fffd}' } else { c };
    text.chars().map(sign).collect()
}

/// Ready to be pasted into a POSIX shell: these words come from record headers.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// How long ago, in the largest unit that fits: `3d`, `5h`, `12m`, `40s`.
pub fn age(then: Timestamp, now: Timestamp) -> String {
    span(now.as_second().saturating_sub(then.as_second()).max(0))
}

/// So many seconds, in the largest unit that says something of them.
pub fn span(secs: i64) -> String {
    match secs {
        86_400.. => format!("{}d", secs / 86_400),
        3_600.. => format!("{}h", secs / 3_600),
        60.. => format!("{}m", secs / 60),
        _ => format!("{secs}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_shown_in_hexadecimal_and_cut() {
        let bytes: Vec<u8> = (0..=255).cycle().take(300).collect();
        let text = hex(&bytes);
        assert!(text.starts_with("00000000  00 01 02 03"), "{text}");
        assert!(text.ends_with("… 44 more bytes"), "{text}");
    }

    #[test]
    fn a_text_cannot_steer_the_terminal_and_has_an_end() {
        assert_eq!(bounded("a\x1b[2Jb\x07\n\tc"), "a\u{fffd}[2Jb\u{fffd}\n\tc");
        assert!(bounded(&"é".repeat(20_000)).ends_with("more bytes"));
    }

    #[test]
    fn an_age_has_one_unit() {
        let time = |second| Timestamp::from_second(second).expect("a time");
        let ages = [(5, "5s"), (65, "1m"), (7_300, "2h"), (200_000, "2d")];
        for (seconds, expected) in ages {
            assert_eq!(age(time(0), time(seconds)), expected);
        }
        assert_eq!(age(time(9), time(0)), "0s");
    }

    #[test]
    fn commands_name_the_configuration_that_was_named() {
        let command = |path: &str| command(Path::new(path));
        assert_eq!(command("lazaret.yaml"), "lazaret");
        assert_eq!(command("my demo/lazaret.yaml"), "lazaret --config 'my demo/lazaret.yaml'");
        assert_eq!(quoted("j 1'"), r"'j 1'\'''");
    }
}
