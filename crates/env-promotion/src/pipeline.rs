//! Pipelines: the order in which versions travel through environments.

use std::collections::{BTreeMap, BTreeSet};

use object_model::{Duration, parse_go_duration};

use crate::edits::Artifact;

/// One environment of a pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PipelineStage {
    /// The environment's name.
    pub name: String,
    /// The environments whose versions it takes; empty for the first one.
    pub from: Vec<String>,
    /// How long a version must have been healthy in each `from`, as a Go duration.
    pub soak: String,
    /// How many people must approve.
    pub approvals: u32,
    /// Groups of which an approver must be in one; anybody may approve when empty.
    pub approver_groups: Vec<String>,
    /// Whether the one who asked may not approve.
    pub not_requester: bool,
    /// Whether versions come by themselves once the gates are open.
    pub auto: bool,
}

/// A pipeline as it was written; its wire form is not this crate's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PipelineSpec {
    /// What travels.
    pub versions: Vec<Artifact>,
    /// Through which environments.
    pub environments: Vec<PipelineStage>,
}

/// Why a pipeline can't be used.
#[derive(Debug, thiserror::Error)]
pub enum PipelineError {
    /// There are more environments than a pipeline has.
    #[error("the pipeline has {count} environments, at most 256 are taken")]
    TooMany {
        /// How many there are.
        count: usize,
    },
    /// An environment or a version stands twice.
    #[error("`{name}` stands twice in the pipeline")]
    Twice {
        /// Its name.
        name: String,
    },
    /// `from` names an environment that is not in the pipeline.
    #[error("environment `{name}` takes versions from `{from}`, which is not in the pipeline")]
    UnknownFrom {
        /// The environment.
        name: String,
        /// What it names.
        from: String,
    },
    /// Environments take versions from each other.
    #[error("environments {} take versions from each other", .names.join(", "))]
    Cycle {
        /// The environments.
        names: Vec<String>,
    },
    /// A soak time is not a duration.
    #[error("the soak time of environment `{name}` can't be read")]
    Soak {
        /// The environment.
        name: String,
        /// What is wrong.
        source: object_model::DurationError,
    },
}

/// More environments than a pipeline has.
const ENVIRONMENTS_MAX: usize = 256;

/// A checked pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// What travels.
    pub artifacts: Vec<Artifact>,
    /// The environments, each after all that it takes versions from.
    pub stages: Vec<PipelineStage>,
}

impl Pipeline {
    /// Checks a spec and puts its environments in order.
    ///
    /// # Errors
    /// When a name stands twice, `from` names nothing, or the environments have no order.
    pub fn new(spec: PipelineSpec) -> Result<Self, PipelineError> {
        if spec.environments.len() > ENVIRONMENTS_MAX {
            return Err(PipelineError::TooMany { count: spec.environments.len() });
        }
        unique(spec.environments.iter().map(|stage| &stage.name))?;
        unique(spec.versions.iter().map(|artifact| &artifact.name))?;
        let known: BTreeSet<&String> = spec.environments.iter().map(|stage| &stage.name).collect();
        for stage in &spec.environments {
            if let Some(from) = stage.from.iter().find(|from| !known.contains(from)) {
                return Err(PipelineError::UnknownFrom { name: stage.name.clone(), from: from.clone() });
            }
            stage.soak_time()?;
        }
        let PipelineSpec { versions: artifacts, environments } = spec;
        Ok(Self { artifacts, stages: ordered(environments)? })
    }

    /// One environment.
    pub fn stage(&self, name: &str) -> Option<&PipelineStage> {
        self.stages.iter().find(|stage| stage.name == name)
    }

    /// The environments that take versions from `name` directly.
    pub fn next<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a PipelineStage> {
        self.stages.iter().filter(move |stage| stage.from.iter().any(|from| from == name))
    }
}

impl PipelineStage {
    /// The soak time, zero when there is none.
    ///
    /// # Errors
    /// When it is not a duration.
    pub fn soak_time(&self) -> Result<Duration, PipelineError> {
        if self.soak.is_empty() {
            return Ok(Duration::ZERO);
        }
        parse_go_duration(&self.soak).map_err(|source| PipelineError::Soak { name: self.name.clone(), source })
    }
}

fn unique<'a>(names: impl Iterator<Item = &'a String>) -> Result<(), PipelineError> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(PipelineError::Twice { name: name.clone() });
        }
    }
    Ok(())
}

/// Puts each environment after those that it takes from; otherwise they stay as they stand.
fn ordered(stages: Vec<PipelineStage>) -> Result<Vec<PipelineStage>, PipelineError> {
    let mut waiting: BTreeMap<usize, PipelineStage> = stages.into_iter().enumerate().collect();
    let mut done: Vec<PipelineStage> = Vec::with_capacity(waiting.len());
    while !waiting.is_empty() {
        let is_ready = |stage: &PipelineStage| stage.from.iter().all(|from| done.iter().any(|have| have.name == *from));
        let ready = waiting.iter().find(|(_, stage)| is_ready(stage)).map(|(index, _)| *index);
        match ready.and_then(|index| waiting.remove(&index)) {
            Some(stage) => done.push(stage),
            None => {
                return Err(PipelineError::Cycle { names: waiting.into_values().map(|stage| stage.name).collect() });
            }
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(name: &str, from: &[&str]) -> PipelineStage {
        let from = from.iter().map(|from| (*from).to_owned()).collect();
        PipelineStage { name: name.to_owned(), from, ..PipelineStage::default() }
    }

    fn pipeline(environments: Vec<PipelineStage>) -> Result<Pipeline, PipelineError> {
        Pipeline::new(PipelineSpec { versions: Vec::new(), environments })
    }

    #[test]
    fn environments_come_after_what_they_take_from() {
        let pipeline = pipeline(vec![
            stage("prod", &["stage", "e2e"]),
            PipelineStage { soak: "30m".to_owned(), ..stage("stage", &["e2e"]) },
            stage("qa", &[]),
            stage("e2e", &["qa"]),
        ])
        .unwrap();
        let names: Vec<&str> = pipeline.stages.iter().map(|stage| stage.name.as_str()).collect();
        assert_eq!(names, ["qa", "e2e", "stage", "prod"]);
        assert_eq!(pipeline.next("e2e").map(|stage| stage.name.as_str()).collect::<Vec<_>>(), ["stage", "prod"]);
        assert_eq!(pipeline.stage("stage").unwrap().soak_time().unwrap(), Duration::from_secs(1800));
    }

    #[test]
    fn what_has_no_order_is_refused() {
        for (environments, message) in [
            (vec![stage("qa", &[]), stage("qa", &[])], "`qa` stands twice in the pipeline"),
            (vec![stage("qa", &["dev"])], "environment `qa` takes versions from `dev`, which is not in the pipeline"),
            (
                vec![stage("a", &["b"]), stage("b", &["a"]), stage("c", &[])],
                "environments a, b take versions from each other",
            ),
            (
                vec![PipelineStage { soak: "soon".to_owned(), ..stage("qa", &[]) }],
                "the soak time of environment `qa` can't be read",
            ),
            (vec![stage("qa", &[]); 257], "the pipeline has 257 environments, at most 256 are taken"),
        ] {
            assert_eq!(pipeline(environments).unwrap_err().to_string(), message);
        }
    }
}
