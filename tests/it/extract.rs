//! Documents through the real child process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lazaret::demo::corpus;
use lazaret::extract::{Extract as _, Extraction, Extractor, Limits};
use lazaret::flow::{Class, Code};

const LIMITS: Limits = Limits {
    time_max: Duration::from_secs(60),
    memory_max: 1 << 30,
    expansion_max: 200 << 20,
    text_max: 6 << 20,
};

fn extractor() -> Extractor {
    Extractor { program: env!("CARGO_BIN_EXE_lazaret").into() }
}

fn document(path: &Path) -> Extraction {
    Extraction {
        bytes: fs::read(path).unwrap(),
        media_type: None,
        file_name: Some(path.file_name().unwrap().to_string_lossy().into_owned()),
    }
}

fn demo(name: &str) -> Extraction {
    document(&Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/corpus").join(name))
}

/// An executable shell script in `dir` that plays the child.
fn script(dir: &Path, commands: &str) -> Extractor {
    let program = dir.join("child");
    fs::write(&program, format!("#!/bin/sh\n{commands}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    Extractor { program }
}

fn is_alive(process: &str) -> bool {
    Path::new("/proc").join(process.trim()).exists()
}

/// Waits for what must become true soon.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn every_healthy_document_of_the_demo_ends_as_text() {
    let dir = tempfile::tempdir().unwrap();
    corpus::write(dir.path()).unwrap();
    let mut read = 0;
    for entry in fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = extractor().extract(document(&path), LIMITS).await.unwrap();
            assert!(text.markdown.chars().count() > 150, "{}: {}", path.display(), text.markdown);
            read += 1;
        }
    }
    assert_eq!(read, 24);
}

#[tokio::test]
async fn japanese_is_read_from_every_encoding_and_format() {
    for (name, words) in [
        ("safety-rules.ja.txt", "ヘルメットは、クレーンのある組立場"),
        ("commuting.ja.txt", "駐車場の利用料は月額三千五百円"),
        ("calibration-lab.ja.txt", "標準の納期は五営業日である"),
        ("visitors.ja.txt", "入館証は、本館一階の受付で受け取る"),
        ("canteen.ja.txt", "毎週水曜日は野菜の日"),
        ("vpn-access.ja.html", "自動時刻合わせを有効にして、もう一度接続する"),
        ("expense-rules.ja.docx", "国内 | 二千八百円 | 一万六千円"),
        ("leave-policy.ja.pdf", "二十二日の年次有給休暇を与える"),
        ("hs200-manual.ja.pdf", "測定間隔が十五分のとき約四年もちます"),
    ] {
        let text = extractor().extract(demo(name), LIMITS).await.unwrap();
        assert!(text.markdown.contains(words), "{name}: {}", text.markdown);
    }
}

/// The table in `demo/README.md` is the promise; this is its proof.
#[tokio::test]
async fn every_broken_document_of_the_demo_gets_the_code_its_readme_promises() {
    let dir = tempfile::tempdir().unwrap();
    corpus::write(dir.path()).unwrap();
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/README.md")).unwrap();
    let mut promised = 0;
    for row in readme.lines().filter(|line| line.matches('|').count() == 4) {
        let cells: Vec<&str> = row.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let Ok(code) = cells[3].parse::<Code>() else { continue };
        // The endless document must run into the limit; a short one makes the same point sooner.
        let time_max = if code == Code::ParseTimeout { Duration::from_secs(2) } else { LIMITS.time_max };
        let path = dir.path().join("broken").join(cells[1]);
        let fault = extractor().extract(document(&path), Limits { time_max, ..LIMITS }).await.unwrap_err();
        assert_eq!(fault.code, code, "{}: {fault}", cells[1]);
        promised += 1;
    }
    assert_eq!(promised, fs::read_dir(dir.path().join("broken")).unwrap().count());
}

#[tokio::test]
async fn a_parser_that_needs_more_memory_than_it_may_have_has_crashed() {
    let dir = tempfile::tempdir().unwrap();
    corpus::generated(dir.path()).unwrap();
    let limits = Limits { memory_max: 256 << 20, expansion_max: 1 << 40, ..LIMITS };
    let fault = extractor().extract(document(&dir.path().join("bomb.docx")), limits).await.unwrap_err();
    assert_eq!(fault.code, Code::ParseCrashed);
    assert!(fault.message.contains("memory limit"), "{fault}");
}

#[tokio::test]
async fn a_document_larger_than_a_pipe_holds_is_passed_whole() {
    let words = "plenty of words. ".repeat(200_000);
    let document = Extraction { bytes: words.clone().into(), media_type: None, file_name: None };
    assert_eq!(extractor().extract(document, LIMITS).await.unwrap().markdown, words.trim());
}

#[tokio::test]
async fn a_child_out_of_time_is_gone_when_the_fault_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let slow = script(dir.path(), "echo $$ > \"${0%child}pid\"\nexec sleep 600");
    let limits = Limits { time_max: Duration::from_secs(2), ..LIMITS };
    let fault = slow.extract(demo("leave-policy.md"), limits).await.unwrap_err();
    assert_eq!(fault.code, Code::ParseTimeout);
    assert!(fault.message.contains("2s"), "{fault}");
    assert!(!is_alive(&fs::read_to_string(dir.path().join("pid")).unwrap()));
}

#[tokio::test]
async fn a_child_whose_answer_nobody_waits_for_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let slow = script(dir.path(), "echo $$ > \"${0%child}pid\"\nexec sleep 600");
    let pid = dir.path().join("pid");
    let waiting = tokio::spawn(async move { slow.extract(demo("leave-policy.md"), LIMITS).await });
    until("the child has started", || fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))).await;
    waiting.abort();
    let process = fs::read_to_string(&pid).unwrap();
    until("the child is gone", || !is_alive(&process)).await;
}

#[tokio::test]
async fn a_child_that_ends_without_an_answer_or_with_nonsense_has_crashed() {
    for commands in ["exit 3", "kill -SEGV $$", "echo '{\"Ok\":'", "exec cat /dev/zero"] {
        let dir = tempfile::tempdir().unwrap();
        let fault = script(dir.path(), commands).extract(demo("leave-policy.md"), LIMITS).await.unwrap_err();
        assert_eq!(fault.code, Code::ParseCrashed, "{commands}: {fault}");
    }
}

#[tokio::test]
async fn a_child_that_cannot_be_started_is_not_the_document_s_fault() {
    let missing = Extractor { program: PathBuf::from("/does/not/exist") };
    let fault = missing.extract(demo("leave-policy.md"), LIMITS).await.unwrap_err();
    assert_eq!(fault.class, Class::Transient);
}

#[tokio::test]
async fn the_child_sees_nothing_of_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let spy = script(
        dir.path(),
        "cat > /dev/null\necho \"{\\\"Ok\\\":{\\\"markdown\\\":\\\"$CARGO_MANIFEST_DIR\\\",\\\"pages\\\":[],\\\"title\\\":null,\\\"media_type\\\":\\\"\\\"}}\"",
    );
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
    assert_eq!(spy.extract(demo("leave-policy.md"), LIMITS).await.unwrap().markdown, "");
}
