use super::*;

fn config(ingest_between: &str) -> Config {
    let yaml = format!(
        "version: 1
kafka: {{ bootstrap: 'localhost:9092' }}
pipelines:
  ingest:
    input: {{ topic: documents, format: bytes }}
    output: {{ topic: indexed, format: avro }}
    between: {ingest_between}
    stages:
      - {{ name: check, kind: validate }}
      - {{ name: parse, kind: parse }}
      - {{ name: chunk, kind: chunk }}
      - {{ name: embed, kind: {{ embed: {{ provider: p, model: m }} }} }}
      - {{ name: index, kind: index }}
  answer:
    input: {{ topic: questions, format: avro }}
    output: {{ topic: answers }}
    stages:
      - {{ name: check, kind: {{ validate: {{ of: question }} }} }}
      - {{ name: retrieve, kind: {{ retrieve: {{ provider: p, model: m }} }} }}
      - {{ name: generate, kind: {{ generate: {{ provider: p, model: m }} }} }}
      - {{ name: ground, kind: ground }}
"
    );
    serde_saphyr::from_str(&yaml).unwrap()
}

fn around(config: &Config, pipeline: &str, stage: &str) -> (Plan, Plan) {
    let topology = Topology::derive(config);
    Plan::around(&config.pipelines[pipeline], topology.stage(pipeline, stage).unwrap()).unwrap()
}

fn plan(topic: &str, format: Format, shape: Shape) -> Plan {
    Plan { topic: topic.into(), format, shape, ours: topic != "documents" }
}

#[test]
fn the_ends_have_their_own_formats_and_everything_between_has_one() {
    let config = config("avro");
    assert_eq!(
        around(&config, "ingest", "check"),
        (
            plan("documents", Format::Bytes, Shape::Document),
            plan("ingest.parse", Format::Avro, Shape::Document)
        )
    );
    assert_eq!(
        around(&config, "ingest", "index"),
        (plan("ingest.index", Format::Avro, Shape::Passages), plan("indexed", Format::Avro, Shape::Indexed))
    );
    assert_eq!(
        around(&config, "answer", "retrieve"),
        (
            plan("answer.retrieve", Format::Json, Shape::Question),
            plan("answer.generate", Format::Json, Shape::Retrieved)
        )
    );
}

#[test]
fn what_a_stage_writes_is_what_the_next_one_reads() {
    let config = config("json");
    for pipeline in config.pipelines.values() {
        for pair in pipeline.stages.windows(2) {
            assert_eq!(Shape::written_by(&pair[0].kind), Shape::read_by(&pair[1].kind));
        }
    }
}

#[test]
fn only_avro_topics_have_a_subject_and_each_has_one() {
    let subjects =
        |config: &Config| -> Vec<String> { Plan::avro_topics(config).iter().map(Plan::subject).collect() };
    assert_eq!(subjects(&config("json")), ["questions-value", "indexed-value"]);
    assert_eq!(
        subjects(&config("avro")),
        [
            "questions-value",
            "ingest.parse-value",
            "ingest.chunk-value",
            "ingest.embed-value",
            "ingest.index-value",
            "indexed-value"
        ]
    );
}

#[test]
fn a_topic_is_ours_when_any_stage_of_ours_writes_it() {
    let mut config = config("json");
    let ours = |config: &Config| {
        let plans = Plan::avro_topics(config);
        plans.iter().find(|plan| plan.topic == "questions").unwrap().ours
    };
    assert!(!ours(&config));
    config.pipelines.get_mut("ingest").unwrap().output.as_mut().unwrap().topic = "questions".into();
    assert!(ours(&config));
}

#[test]
fn a_stage_that_the_pipeline_does_not_have_has_no_plans() {
    let config = config("json");
    let topology = Topology::derive(&config);
    let elsewhere = topology.stage("answer", "ground").unwrap();
    assert_eq!(Plan::around(&config.pipelines["ingest"], elsewhere), None);
}
