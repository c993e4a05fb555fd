//! flagger.app/v1beta1: the fields of a Canary that its lowering reads.

use object_model::{Duration, Object};

use crate::{Fields, Problem};

/// The typed fields of a Flagger Canary's analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    /// `spec.targetRef.name`: the Deployment.
    pub target: String,
    /// `spec.progressDeadlineSeconds`, 600.
    pub progress_deadline: Duration,
    /// `spec.analysis.interval`, 60 s.
    pub interval: Duration,
    /// `spec.analysis.threshold`: failed checks before a rollback.
    pub threshold: u32,
    /// `spec.analysis.iterations`: checks without weights (A/B and blue/green).
    pub iterations: u32,
    /// `spec.analysis.stepWeight`.
    pub step_weight: u32,
    /// `spec.analysis.maxWeight`, 100.
    pub max_weight: u32,
    /// `spec.analysis.stepWeights`.
    pub step_weights: Vec<u32>,
    /// `spec.analysis.mirror`.
    pub mirror: bool,
    /// `spec.skipAnalysis`.
    pub skip_analysis: bool,
    /// `spec.analysis.webhooks[]`: (name, type).
    pub webhooks: Vec<(String, String)>,
}

impl Canary {
    /// Reads a Canary; problems name their fields.
    pub fn parse(object: &Object) -> (Self, Vec<Problem>) {
        let mut fields = Fields::of(object);
        let numbers = object.list_at("/spec/analysis/stepWeights");
        let webhooks = object.list_at("/spec/analysis/webhooks").iter().filter_map(|hook| {
            let text = |key: &str| hook.get(key).and_then(serde_json::Value::as_str);
            Some((text("name")?.to_owned(), text("type").unwrap_or("rollout").to_owned()))
        });
        let canary = Self {
            target: fields.required_text("spec.targetRef.name"),
            progress_deadline: Duration::from_secs(u64::from(
                fields.count("spec.progressDeadlineSeconds").unwrap_or(600),
            )),
            interval: fields.duration("spec.analysis.interval").unwrap_or(Duration::from_secs(60)),
            threshold: fields.count("spec.analysis.threshold").unwrap_or(0),
            iterations: fields.count("spec.analysis.iterations").unwrap_or(0),
            step_weight: fields.count("spec.analysis.stepWeight").unwrap_or(0),
            max_weight: fields.count("spec.analysis.maxWeight").unwrap_or(100),
            step_weights: numbers.iter().filter_map(|number| u32::try_from(number.as_u64()?).ok()).collect(),
            mirror: fields.boolean("spec.analysis.mirror").unwrap_or(false),
            skip_analysis: fields.boolean("spec.skipAnalysis").unwrap_or(false),
            webhooks: webhooks.collect(),
        };
        (canary, fields.into_problems())
    }
}
