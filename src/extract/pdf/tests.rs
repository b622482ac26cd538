use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::*;

const LIMITS: Limits = Limits {
    time_max: Duration::from_secs(20),
    memory_max: 1 << 30,
    expansion_max: 1 << 20,
    text_max: 1 << 20,
};

fn corpus(name: &str) -> Text {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/corpus").join(name);
    read(std::fs::read(path).unwrap(), &LIMITS).unwrap()
}

/// A PDF of one page for each content stream, with Helvetica as `/F` and `font` as `/G`.
fn pdf(contents: &[&[u8]], filter: &str, font: &str) -> Vec<u8> {
    let mut objects = vec![b"<< /Type /Catalog /Pages 2 0 R >>".to_vec()];
    let kids: Vec<String> = (0..contents.len()).map(|n| format!("{} 0 R", 5 + 2 * n)).collect();
    objects.push(format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), contents.len()).into());
    objects.push(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_vec());
    objects.push(font.into());
    for (n, content) in contents.iter().enumerate() {
        let page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents";
        let resources = "/Resources << /Font << /F 3 0 R /G 4 0 R >> >> >>";
        objects.push(format!("{page} {} 0 R {resources}", 6 + 2 * n).into());
        let mut stream = format!("<< /Length {} {filter} >>\nstream\n", content.len()).into_bytes();
        stream.extend_from_slice(content);
        stream.extend_from_slice(b"\nendstream");
        objects.push(stream);
    }
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (n, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", out.len()));
        out.extend_from_slice(format!("{} 0 obj\n", n + 1).as_bytes());
        out.extend_from_slice(object);
        out.extend_from_slice(b"\nendobj\n");
    }
    let end =
        format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{}\n%%EOF\n", objects.len() + 1, out.len());
    out.extend_from_slice(table.as_bytes());
    out.extend_from_slice(end.as_bytes());
    out
}

fn text(content: &str) -> String {
    read(pdf(&[content.as_bytes()], "", "null"), &LIMITS).unwrap().markdown
}

#[test]
fn japanese_in_fonts_that_only_name_a_predefined_cmap_comes_out_right() {
    let leave = corpus("leave-policy.ja.pdf");
    assert!(leave.markdown.contains("暦年ごとに二十二日の年次有給休暇を与える。"), "{}", leave.markdown);
    assert_eq!(leave.title.as_deref(), Some("休暇規程"));
    let manual = corpus("hs200-manual.ja.pdf");
    assert!(manual.markdown.contains("# 土壌センサーHS-200 取扱説明書"), "{}", manual.markdown);
    assert!(
        manual.markdown.contains("リチウム電池は、測定間隔が十五分のとき約四年もちます。"),
        "{}",
        manual.markdown
    );
}

#[test]
fn an_embedded_cmap_says_what_the_glyphs_are() {
    let font = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /ToUnicode 6 0 R >>";
    let cmap =
        b"/CIDInit /ProcSet findresource begin begincmap 1 begincodespacerange <00> <ff> endcodespacerange \
                 2 beginbfchar <01> <65E5> <02> <672C> endbfchar endcmap";
    // The CMap stands where the first page's content stands, and the text on the second page.
    let text = read(pdf(&[cmap, b"BT /G 10 Tf <0102> Tj ET"], "", font), &LIMITS).unwrap();
    assert_eq!(text.markdown, "日本");
}

#[test]
fn lines_of_a_paragraph_are_joined_and_divided_words_made_whole() {
    let english = corpus("incident-response.pdf").markdown;
    assert!(
        english.contains("acknowledges a severity 1 incident within 5 minutes and a severity 2 incident"),
        "{english}"
    );
    assert!(english.starts_with("## Incident response\n\nThis plan says who does what"), "{english}");
    let divided = "BT /F 10 Tf 14 TL 72 700 Td (The quick brown fox is hyphen-) Tj T* (ated at the end of a line.) Tj ET";
    assert_eq!(text(divided), "The quick brown fox is hyphenated at the end of a line.");
}

#[test]
fn gaps_between_glyphs_are_spaces_and_kerning_is_not() {
    assert_eq!(text("BT /F 10 Tf [(Ker) 80 (ning) -300 (makes) -300 (words)] TJ ET"), "Kerning makes words");
    assert_eq!(
        text("BT /F 10 Tf 1 0 0 1 72 700 Tm (left) Tj 1 0 0 1 200 700 Tm (right) Tj ET"),
        "left right"
    );
}

#[test]
fn text_that_is_drawn_twice_to_look_bold_is_read_once() {
    assert_eq!(
        text(
            "BT /F 10 Tf 72 700 Td (B) Tj ET BT /F 10 Tf 72.3 700 Td (B) Tj ET BT /F 10 Tf 78.7 700 Td (old) Tj ET"
        ),
        "Bold"
    );
}

#[test]
fn pages_start_at_their_offsets_and_running_lines_are_left_out() {
    let pages: Vec<String> = (1..=9)
        .map(|n| format!("BT /F 8 Tf 72 800 Td (The handbook) Tj 0 -100 Td (Body {n} of the page, {n}) Tj 0 -650 Td (Page {n} / 9) Tj ET"))
        .collect();
    let contents: Vec<&[u8]> = pages.iter().map(|p| p.as_bytes()).collect();
    let text = read(pdf(&contents, "", "null"), &LIMITS).unwrap();
    assert_eq!(text.pages.len(), 9);
    assert_eq!(&text.markdown[text.pages[4]..text.pages[5]], "Body 5 of the page, 5\n\n");
    assert!(!text.markdown.contains("handbook") && !text.markdown.contains("/ 9"));
}

#[test]
fn a_pdf_without_its_end_is_corrupt() {
    let mut bytes = pdf(&[b"BT /F 10 Tf (x) Tj ET"], "", "null");
    bytes.truncate(bytes.len() - 40);
    assert_eq!(read(bytes, &LIMITS).unwrap_err().code, Code::ParseCorrupt);
}

#[test]
fn glyphs_without_characters_are_no_known_encoding() {
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /Identity-H /DescendantFonts [<< /Type /Font \
                /Subtype /CIDFontType2 /BaseFont /X /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) >> >>] >>";
    let fault = read(pdf(&[b"BT /G 10 Tf <00010002> Tj ET"], "", font), &LIMITS).unwrap_err();
    assert_eq!(fault.code, Code::ParseEncoding);
}

#[test]
fn streams_that_unpack_to_more_than_the_limit_are_refused_before_they_are_parsed() {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..33 {
        packed.write_all(&[b' '; 32 << 10]).unwrap();
    }
    let once = packed.finish().unwrap();
    let fault = read(pdf(&[&once], "/Filter /FlateDecode", "null"), &LIMITS).unwrap_err();
    assert_eq!(fault.code, Code::ParseExpansion);

    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(&once).unwrap();
    let twice = packed.finish().unwrap();
    let fault = read(pdf(&[&twice], "/Filter [/FlateDecode /FlateDecode]", "null"), &LIMITS).unwrap_err();
    assert_eq!(fault.code, Code::ParseExpansion);
}

#[test]
fn more_text_than_the_limit_is_too_large() {
    let limits = Limits { text_max: 3, ..LIMITS };
    let fault = read(pdf(&[b"BT /F 10 Tf (four) Tj ET"], "", "null"), &limits).unwrap_err();
    assert_eq!(fault.code, Code::DocumentTooLarge);
}

#[test]
fn titles_that_tools_make_up_are_no_titles() {
    assert_eq!(title(b"thesis.dvi"), None);
    assert_eq!(title(b"untitled"), None);
    assert_eq!(title(b"\xfe\xff\x4f\x11\x66\x87").as_deref(), Some("休暇"));
}
