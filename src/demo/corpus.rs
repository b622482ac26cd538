//! The demo's documents and questions, carried inside the binary so that the demo works in any directory.
//!
//! `demo/README.md` says what each broken document is and which code it must get.

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::config::Parse;

macro_rules! files {
    ($($name:literal)*) => {
        &[$(($name, include_bytes!(concat!("../../demo/corpus/", $name))),)*]
    };
}

/// Name below the corpus's folder, and content.
const FILES: &[(&str, &[u8])] = files! {
    "backup-and-restore.pdf"
    "calibration-lab.ja.txt"
    "canteen.ja.txt"
    "commuting.ja.txt"
    "expense-rules.docx"
    "expense-rules.ja.docx"
    "hg10-gateway-setup.html"
    "hs200-manual.ja.pdf"
    "hs200-manual.pdf"
    "incident-response.ja.md"
    "incident-response.pdf"
    "leave-policy.ja.pdf"
    "leave-policy.md"
    "meeting-rooms.txt"
    "onboarding.docx"
    "password-policy.txt"
    "release-process.md"
    "remote-work.md"
    "safety-rules.ja.txt"
    "support-levels.txt"
    "travel-booking.html"
    "visitors.ja.txt"
    "vpn-access.html"
    "vpn-access.ja.html"
    "broken/cut-off.docx"
    "broken/empty.txt"
    "broken/endless.pdf"
    "broken/locked.pdf"
    "broken/logo.png"
    "broken/noise.txt"
    "broken/picture.html"
    "broken/truncated.pdf"
};

/// The demo's questions, one JSON object a line: `id`, `text`, and `document`, the name of the file that
/// answers it.
pub const QUESTIONS: &str = include_str!("../../demo/questions.jsonl");

/// Writes the whole corpus into `dir`, which need not exist, and overwrites what is there.
pub fn write(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir.join("broken"))?;
    for (name, content) in FILES {
        fs::write(dir.join(name), content)?;
    }
    generated(&dir.join("broken"))
}

/// Writes the two documents that are too big for the repository: one over the default size limit, and a DOCX of
/// a few hundred kilobytes that unpacks to more than the default limit.
pub fn generated(dir: &Path) -> io::Result<()> {
    let limits = Parse::default();
    oversize(&dir.join("oversize.txt"), limits.size_max.0)?;
    bomb(&dir.join("bomb.docx"), limits.expansion_max.0)
}

fn oversize(path: &Path, limit: u64) -> io::Result<()> {
    const LINE: &[u8] = b"All work and no rest makes a long report.\n";
    let mut file = BufWriter::new(fs::File::create(path)?);
    for _ in 0..=limit / LINE.len() as u64 {
        file.write_all(LINE)?;
    }
    file.flush()
}

fn bomb(path: &Path, limit: u64) -> io::Result<()> {
    const SPACES: &[u8] = &[b' '; 64 << 10];
    let mut archive = ZipWriter::new(BufWriter::new(fs::File::create(path)?));
    archive.start_file("[Content_Types].xml", SimpleFileOptions::default())?;
    archive.write_all(b"<Types/>")?;
    archive.start_file("word/document.xml", SimpleFileOptions::default())?;
    archive.write_all(b"<document>")?;
    for _ in 0..=limit / SPACES.len() as u64 {
        archive.write_all(SPACES)?;
    }
    archive.write_all(b"</document>")?;
    archive.finish()?.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_names_a_document_of_the_corpus() {
        let mut ids = std::collections::BTreeSet::new();
        for line in QUESTIONS.lines() {
            let question: serde_json::Value = serde_json::from_str(line).unwrap();
            let document = question["document"].as_str().unwrap();
            assert!(FILES.iter().any(|(name, _)| *name == document), "{document}");
            assert!(ids.insert(question["id"].as_str().unwrap().to_owned()));
        }
        assert!(ids.len() >= 14);
    }
}
