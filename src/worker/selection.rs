//! Which stages of the configuration this process runs. Pure.

use crate::config::{Config, Pipeline, Stage};

/// All stages, those of one pipeline, or one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    pub pipeline: Option<String>,
    pub stage: Option<String>,
}

/// The configuration has no such pipeline or stage.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    #[error("there is no pipeline '{name}'; the configuration has {known}")]
    Pipeline { name: String, known: String },
    #[error("pipeline '{pipeline}' has no stage '{name}'; it has {known}")]
    Stage { pipeline: String, name: String, known: String },
    #[error("a stage is named together with its pipeline: --pipeline NAME --stage {0}")]
    StageAlone(String),
}

impl Selection {
    pub fn all() -> Self {
        Self::default()
    }

    /// Nothing is left out.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// The selected stages with their pipelines' names, in the order of the file.
    pub fn stages<'a>(&'a self, config: &'a Config) -> impl Iterator<Item = (&'a str, &'a Stage)> {
        let chosen = |name: &str| self.pipeline.as_deref().is_none_or(|wanted| wanted == name);
        let pipelines = config.pipelines.iter().filter(move |(name, _)| chosen(name));
        pipelines
            .flat_map(|(name, pipeline)| pipeline.stages.iter().map(move |stage| (name.as_str(), stage)))
            .filter(|(_, stage)| self.stage.as_deref().is_none_or(|wanted| wanted == stage.name))
    }

    /// Says what does not exist.
    pub fn check(&self, config: &Config) -> Result<(), SelectionError> {
        let Some(name) = &self.pipeline else {
            return self.stage.clone().map_or(Ok(()), |stage| Err(SelectionError::StageAlone(stage)));
        };
        let Some(pipeline) = config.pipelines.get(name) else {
            let known = listed(config.pipelines.keys());
            return Err(SelectionError::Pipeline { name: name.clone(), known });
        };
        self.check_stage(name, pipeline)
    }

    fn check_stage(&self, pipeline: &str, of: &Pipeline) -> Result<(), SelectionError> {
        match &self.stage {
            Some(name) if !of.stages.iter().any(|stage| stage.name == *name) => {
                let known = listed(of.stages.iter().map(|stage| &stage.name));
                Err(SelectionError::Stage { pipeline: pipeline.to_owned(), name: name.clone(), known })
            }
            _ => Ok(()),
        }
    }
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config::parse(include_str!("../../lazaret.yaml"), "lazaret.yaml").expect("the shipped configuration")
    }

    fn select(pipeline: Option<&str>, stage: Option<&str>) -> Selection {
        Selection { pipeline: pipeline.map(str::to_owned), stage: stage.map(str::to_owned) }
    }

    #[test]
    fn a_stage_of_one_pipeline_is_not_the_stage_of_that_name_in_another() {
        let config = config();
        let one = select(Some("rag-answer"), Some("validate"));
        assert_eq!(one.check(&config), Ok(()));
        let stages: Vec<_> = one.stages(&config).map(|(p, s)| (p, s.name.as_str())).collect();
        assert_eq!(stages, [("rag-answer", "validate")]);
        assert_eq!(Selection::all().stages(&config).count(), 9);
    }

    #[test]
    fn what_does_not_exist_is_named_with_what_does() {
        let config = config();
        let refused = |p, s| select(p, s).check(&config).expect_err("refused").to_string();
        assert!(refused(Some("rag"), None).contains("rag-answer, rag-ingest"));
        assert!(refused(Some("rag-answer"), Some("parse")).contains("validate, retrieve, generate, ground"));
        assert!(refused(None, Some("parse")).contains("--pipeline"));
    }
}
