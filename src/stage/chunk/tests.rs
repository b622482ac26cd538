use super::*;
#[test]
fn measure() {
    let prose = "The quarantine station holds records that failed. Nobody else waits for them, and each is sent back when it is well.\n";
    let ja = "検疫所は失敗した記録を保管します。他の記録は待たされません。原因が取り除かれると、記録は元の流れに戻されます。";
    let mut md = String::new();
    let mut i = 0;
    while md.len() < 1 << 20 {
        md.push_str(&format!("\n## Section {i}\n\n"));
        for _ in 0..(i % 13) {
            md.push_str(prose);
        }
        md.push_str("\n- item one\n- item two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n");
        i += 1;
    }
    let cases = [
        ("md", md),
        ("prose-1par", prose.replace('\n', " ").repeat((1 << 20) / prose.len())),
        ("prose-lines", prose.repeat((1 << 20) / prose.len())),
        ("ja", ja.repeat((1 << 20) / ja.len())),
        ("kanji", "漢字".repeat((1 << 20) / 6)),
        ("aaaa", "a".repeat(1 << 20)),
        ("spaces", format!("x{}y", " ".repeat(1 << 20))),
        ("dashes", "-".repeat(1 << 20)),
        ("newlines", format!("x{}y", "\n".repeat(1 << 20))),
        ("digits", "0123456789".repeat((1 << 20) / 10)),
        ("stars", "**a _b".repeat((1 << 20) / 6)),
        ("quotes", "> ".repeat(1 << 18)),
        ("base64", {
            use base64::Engine;
            base64::engine::general_purpose::STANDARD.encode(
                (0..(3u32 << 18)).map(|i| (i.wrapping_mul(2654435761) >> 24) as u8).collect::<Vec<_>>(),
            )
        }),
    ];
    let t = std::time::Instant::now();
    let s = Splitter::new(320, 32, 20_000_000).unwrap();
    eprintln!("vocabulary {:?}", t.elapsed());
    for (name, text) in cases {
        let t = std::time::Instant::now();
        let tok = Tokens::new().count(&text);
        let once = t.elapsed();
        let t = std::time::Instant::now();
        let p = s.split(&text, &[]).unwrap();
        eprintln!("{name}: count {tok} in {once:?}; {} passages {:?}", p.len(), t.elapsed());
    }
}
