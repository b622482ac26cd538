use super::*;
use crate::config::Sources;
use crate::stage::fakes::{FakeExtract, FakeIndex, FakeModel};

fn resources() -> Resources {
    let model: Arc<dyn Model> = Arc::new(FakeModel::default());
    Resources {
        models: BTreeMap::from([("local".to_owned(), model)]),
        index: Some(Arc::new(FakeIndex::default())),
        extractor: Arc::new(FakeExtract::default()),
        fetcher: Fetcher::new(&Sources::default()).expect("sources"),
    }
}

fn kind(yaml: &str) -> Kind {
    serde_saphyr::from_str(yaml).expect("a kind")
}

fn error(yaml: &str, with: &Resources) -> String {
    build(&kind(yaml), with).err().expect("refused").to_string()
}

#[test]
fn every_kind_can_be_built() {
    let model = "{ provider: local, model: m }";
    let kinds = ["validate", "parse", "chunk", "index", "ground"].map(str::to_owned);
    let asking = ["embed", "retrieve", "generate"].map(|name| format!("{name}: {model}"));
    for yaml in kinds.into_iter().chain(asking) {
        assert!(build(&kind(&yaml), &resources()).is_ok(), "{yaml}");
    }
}

#[test]
fn what_is_missing_is_named() {
    assert!(error("embed: { provider: remote, model: m }", &resources()).contains("'remote'"));
    let without = Resources { index: None, ..resources() };
    assert!(error("index", &without).contains("index"));
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let settings =
        ["{ overlap: 320 }", "{ tokens_max: 3, overlap: 0 }", "{ part: 0 }", "{ passages_max: 0 }"];
    for settings in settings {
        assert!(error(&format!("chunk: {settings}"), &resources()).starts_with("chunk:"), "{settings}");
    }
}
