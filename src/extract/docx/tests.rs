use std::io::Write;
use std::time::Duration;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

const LIMITS: Limits = Limits {
    time_max: Duration::from_secs(20),
    memory_max: 1 << 30,
    expansion_max: 1 << 20,
    text_max: 1 << 20,
};

fn docx(parts: &[(&str, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in parts {
        archive.start_file(*name, SimpleFileOptions::default()).unwrap();
        archive.write_all(content.as_bytes()).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn text(body: &str) -> String {
    let xml = format!("<w:document xmlns:w='w'><w:body>{body}</w:body></w:document>");
    crate::extract::tidy::tidy(&read(&docx(&[(DOCUMENT, &xml)]), &LIMITS).unwrap().0)
}

#[test]
fn paragraphs_runs_and_references_are_put_together() {
    let body = "<w:p><w:r><w:t xml:space='preserve'>R&amp;D is </w:t></w:r><w:r><w:t>one&#x2026;</w:t></w:r></w:p><w:p><w:r><w:t>Two</w:t><w:br/><w:t>lines</w:t></w:r></w:p>";
    assert_eq!(text(body), "R&D is one…\n\nTwo\nlines");
}

#[test]
fn deleted_text_field_codes_and_repetitions_for_old_readers_are_left_out() {
    let body = "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText></w:r>\
                <mc:AlternateContent><mc:Choice><w:r><w:t>once</w:t></w:r></mc:Choice><mc:Fallback><w:p><w:r><w:t>once</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent></w:p>";
    assert_eq!(text(body), "once");
}

#[test]
fn table_cells_stand_side_by_side_and_list_items_below_each_other() {
    let cell = |t: &str| format!("<w:tc><w:p><w:r><w:t>{t}</w:t></w:r></w:p></w:tc>");
    let row = |a: &str, b: &str| format!("<w:tr>{}{}</w:tr>", cell(a), cell(b));
    assert_eq!(
        text(&format!("<w:tbl>{}{}</w:tbl>", row("区分", "日当"), row("国内", "二千八百円"))),
        "区分 | 日当\n国内 | 二千八百円"
    );
    let item = "<w:p><w:pPr><w:numPr/></w:pPr><w:r><w:t>x</w:t></w:r></w:p>";
    assert_eq!(text(&item.repeat(2)), "- x\n- x");
}

#[test]
fn headings_follow_the_style_and_the_title_the_properties() {
    let styles = "<w:styles><w:style w:styleId='a'><w:name w:val='Heading 2'/></w:style>\
                  <w:style w:styleId='b'><w:pPr><w:outlineLvl w:val='0'/></w:pPr></w:style></w:styles>";
    let paragraph = |style: &str| {
        format!("<w:p><w:pPr><w:pStyle w:val='{style}'/></w:pPr><w:r><w:t>{style}</w:t></w:r></w:p>")
    };
    let xml = format!("<w:document>{}{}{}</w:document>", paragraph("b"), paragraph("a"), paragraph("c"));
    let core = "<cp:coreProperties><dc:title>Rules &amp; rights</dc:title><dc:creator>me</dc:creator></cp:coreProperties>";
    let (markdown, title) =
        read(&docx(&[(DOCUMENT, &xml), (STYLES, styles), (CORE, core)]), &LIMITS).unwrap();
    assert_eq!(markdown.trim(), "# b\n\n## a\n\nc");
    assert_eq!(title.as_deref(), Some("Rules & rights"));
}

#[test]
fn a_paragraph_that_begins_with_a_number_sign_is_no_heading() {
    let xml = "<w:document><w:p><w:r><w:t># apt update</w:t></w:r></w:p></w:document>";
    let (markdown, _) = read(&docx(&[(DOCUMENT, xml)]), &LIMITS).unwrap();
    assert_eq!(markdown.trim_end(), "    # apt update");
}

#[test]
fn a_part_that_unpacks_to_more_than_the_limit_is_refused() {
    let fault = read(&docx(&[(DOCUMENT, &" ".repeat(1 + (1 << 20)))]), &LIMITS).unwrap_err();
    assert_eq!(fault.code, Code::ParseExpansion);
}

#[test]
fn damage_is_told_from_other_archives_and_from_passwords() {
    let whole = docx(&[("[Content_Types].xml", ""), (DOCUMENT, "<w:document/>")]);
    assert!(is_docx(&whole).unwrap());
    assert_eq!(is_docx(&whole[..whole.len() / 2]).unwrap_err().code, Code::ParseCorrupt);
    assert!(!is_docx(&docx(&[("a.txt", "a")])).unwrap());
    assert_eq!(read(&docx(&[(DOCUMENT, "<w:p></w:q>")]), &LIMITS).unwrap_err().code, Code::ParseCorrupt);

    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(refuse_encrypted(&name).unwrap_err().code, Code::ParseEncrypted);
}
