//! Analyses as a Rollout refers to them.

use serde_json::Value;

use crate::Fields;
use crate::fields::kind_of;

/// Templates with arguments, as a Rollout refers to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnalysisRef {
    /// (template name, whether cluster-scoped).
    pub templates: Vec<(String, bool)>,
    /// `args[]` as written.
    pub args: Vec<Value>,
    /// `dryRun[]` as written.
    pub dry_run: Vec<Value>,
    /// `measurementRetention[]` as written.
    pub measurement_retention: Vec<Value>,
    /// `analysisRunMetadata` as written.
    pub run_metadata: Value,
    /// First step (index) at which a background analysis runs.
    pub starting_step: u32,
}

pub(crate) fn read_analysis(fields: &mut Fields<'_>, at: &str, value: &Value) -> AnalysisRef {
    let list = |key: &str| value.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut templates = Vec::new();
    for (index, item) in list("templates").iter().enumerate() {
        match item.get("templateName").and_then(Value::as_str) {
            Some(name) => {
                templates.push((name.to_owned(), item.get("clusterScope").and_then(Value::as_bool).unwrap_or(false)))
            }
            None => fields.problem(
                &format!("{at}.templates[{index}].templateName"),
                format!("Required value, not {}", kind_of(item)),
            ),
        }
    }
    if templates.is_empty() {
        fields.problem(&format!("{at}.templates"), "Required value: needs at least one template");
    }
    let starting_step = value.get("startingStep").and_then(Value::as_u64).and_then(|step| u32::try_from(step).ok());
    AnalysisRef {
        templates,
        args: list("args"),
        dry_run: list("dryRun"),
        measurement_retention: list("measurementRetention"),
        run_metadata: value.get("analysisRunMetadata").cloned().unwrap_or(Value::Null),
        starting_step: starting_step.unwrap_or(0),
    }
}
