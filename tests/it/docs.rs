//! The documentation keeps its promises: every code has its page, every table is complete, every link leads
//! somewhere, every shipped configuration is one. Reads the working tree, changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lazaret::config::{Config, Pipeline};
use lazaret::flow::Code;

const SECTIONS: [&str; 5] =
    ["## What happened", "## Likely causes", "## What Lazaret does", "## What to do", "## When to redrive"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The Markdown files of a folder and of those below it.
fn pages_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut pages = Vec::new();
    for entry in entries {
        let path = entry.expect("a folder entry").path();
        if path.is_dir() {
            pages.extend(pages_below(&path));
        } else if path.extension().is_some_and(|e| e == "md") {
            pages.push(path);
        }
    }
    pages
}

#[test]
fn every_code_has_a_page_with_all_sections() {
    for code in Code::ALL {
        let page = code.page();
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines.first(), Some(&format!("# {code}").as_str()), "the heading is the code");
        assert_eq!(
            lines.get(2),
            Some(&format!("Class: {}", code.class()).as_str()),
            "{code}: the class line"
        );

        let headings: Vec<&str> = lines.iter().copied().filter(|l| l.starts_with("## ")).collect();
        assert_eq!(headings, SECTIONS, "{code}: the sections, in this order");
        for section in page.split("\n## ").skip(1) {
            let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
            assert!(!body.trim().is_empty(), "{code}: '{heading}' says nothing");
        }
    }
}

#[test]
fn every_page_belongs_to_a_code() {
    let known: BTreeSet<&str> = Code::ALL.iter().map(|c| c.as_str()).chain(["README"]).collect();
    for page in pages_below(&root().join("docs/codes")) {
        let name = page.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        assert!(known.contains(name.as_str()), "docs/codes/{name}.md is about no code");
    }
}

#[test]
fn the_table_of_codes_is_the_list_in_the_code() {
    let table: String = Code::ALL
        .iter()
        .map(|c| format!("| [`{c}`]({c}.md) | {} | {} |\n", c.class(), c.summary()))
        .collect();
    let page = read(&root().join("docs/codes/README.md"));
    assert!(page.ends_with(&table), "the table at the end of docs/codes/README.md should read:\n{table}");
}

#[test]
fn every_link_between_pages_leads_to_a_file() {
    let mut pages = pages_below(&root().join("docs"));
    pages.extend(["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map(|p| root().join(p)));
    for page in pages.iter().filter(|p| p.exists()) {
        let text = read(page);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let path = page.parent().unwrap_or(root()).join(target);
            assert!(path.exists(), "{} links to {target}, which is not there", page.display());
        }
    }
}

/// Whoever is on call reads one of the two, and types the same.
#[test]
fn every_runbook_is_there_in_japanese_with_the_same_commands() {
    let (english, japanese) = (root().join("docs/runbooks"), root().join("docs/runbooks/ja"));
    let names = |folder: &Path| -> BTreeSet<String> {
        let pages = pages_below(folder).into_iter().filter(|page| page.parent() == Some(folder));
        pages.filter_map(|page| Some(page.file_name()?.to_str()?.to_owned())).collect()
    };
    assert_eq!(names(&japanese), names(&english), "the runbooks in Japanese are those in English");

    let blocks =
        |page: &str| -> Vec<String> { page.split("\n```").skip(1).step_by(2).map(str::to_owned).collect() };
    let list = read(&japanese.join("README.md"));
    for name in names(&english) {
        let (page, original) = (read(&japanese.join(&name)), read(&english.join(&name)));
        assert_eq!(blocks(&page), blocks(&original), "docs/runbooks/ja/{name}: the commands, in this order");
        assert!(
            name == "README.md" || list.contains(&format!("({name})")),
            "docs/runbooks/ja/README.md does not list {name}"
        );
    }
}

#[test]
fn the_configuration_for_compose_is_understood() {
    let text = read(&root().join("deploy/compose/lazaret.yaml"));
    let config: Config = serde_saphyr::from_str(&text).unwrap_or_else(|e| panic!("{e}"));
    let stages = |pipeline: &Pipeline| pipeline.stages.iter().map(|s| s.name.clone()).collect::<Vec<_>>();
    assert_eq!(
        config.pipelines.iter().map(|(name, p)| (name.as_str(), stages(p).join(" "))).collect::<Vec<_>>(),
        [
            ("rag-answer", "validate retrieve generate ground".to_owned()),
            ("rag-ingest", "validate parse chunk embed index".to_owned())
        ]
    );
}

#[test]
fn every_page_is_in_the_list_of_pages() {
    let list = read(&root().join("docs/README.md"));
    for page in fs::read_dir(root().join("docs")).expect("docs").map(|entry| entry.expect("an entry").path())
    {
        let name = page.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let listed = list.contains(&format!("({name})"));
        assert!(listed || name == "README.md" || page.is_dir(), "docs/README.md does not list {name}");
    }
}

/// `file`: `test`, `test`; `file`: `test` … in the last column.
#[test]
fn the_tests_that_guard_the_invariants_are_there() {
    let page = read(&root().join("ARCHITECTURE.md"));
    let table =
        page.split("## Invariants").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a table");
    let mut found = 0;
    for cell in table.lines().filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next()) {
        let mut file = String::new();
        for name in cell.split('`').skip(1).step_by(2) {
            if let Some(path) = name.strip_suffix(".rs") {
                let below = if name.starts_with("tests/") { "" } else { "src/" };
                file = read(&root().join(format!("{below}{path}.rs")));
            } else if name.contains('_') {
                assert!(file.contains(&format!("fn {name}(")), "there is no test {name} in: {cell}");
                found += 1;
            }
        }
    }
    assert!(found >= 8, "one test for each invariant, not {found}");
}

/// Cargo refuses a manifest whose targets have no file, so the image's first layer must make one for each.
#[test]
fn the_image_is_built_with_a_file_for_every_target_of_the_manifest() {
    let (manifest, image) = (read(&root().join("Cargo.toml")), read(&root().join("Dockerfile")));
    let mut benches = 0;
    for target in manifest.split("[[bench]]").skip(1) {
        let target = target.split("[[").next().expect("its lines");
        let field = |key: &str| target.lines().find_map(|line| line.strip_prefix(key)?.split('"').nth(1));
        let name = field("name").expect("a name");
        let path = field("path").map_or_else(|| format!("benches/{name}.rs"), str::to_owned);
        assert!(image.contains(&path), "the Dockerfile makes no {path}");
        benches += 1;
    }
    assert!(benches > 0 && image.contains("tests/it/main.rs"));
}
