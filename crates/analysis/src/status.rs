//! `AnalysisRun.status`, field by field as the API has it, so that it round-trips with other controllers.

use std::collections::BTreeMap;

use object_model::{Timestamp, format_time, parse_time};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::Phase;

/// A status that is not of the API's shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("analysis run status can't be read: {reason}")]
pub struct StatusError {
    /// What is wrong with it.
    pub reason: String,
}

/// The status of an AnalysisRun.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunStatus {
    /// How the run stands; absent means that nothing has been done yet.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "phase_or_nothing")]
    pub phase: Option<Phase>,
    /// Why.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub message: String,
    /// One entry a metric that has been measured.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub metric_results: Vec<MetricResult>,
    /// When the run began.
    #[serde(skip_serializing_if = "Option::is_none", with = "moment")]
    pub started_at: Option<Timestamp>,
    /// Counts over the metrics that are not dry runs.
    #[serde(deserialize_with = "or_default")]
    pub run_summary: Summary,
    /// Counts over the metrics that are dry runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run_summary: Option<Summary>,
    /// When the run ended.
    #[serde(skip_serializing_if = "Option::is_none", with = "moment")]
    pub completed_at: Option<Timestamp>,
    /// Fields that are not known here, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// How many metrics stand how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// All of them.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub count: u32,
    /// Those that succeeded.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub successful: u32,
    /// Those that failed.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub failed: u32,
    /// Those that could not be told.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub inconclusive: u32,
    /// Those that could not be measured.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub error: u32,
}

/// The measurements of one metric and their counts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MetricResult {
    /// The name of the metric.
    #[serde(deserialize_with = "or_default")]
    pub name: String,
    /// How the metric stands.
    #[serde(deserialize_with = "or_default")]
    pub phase: Phase,
    /// The newest measurements, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "or_default")]
    pub measurements: Vec<Measurement>,
    /// Why the metric stands so.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub message: String,
    /// Measurements that were not errors.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub count: u32,
    /// Measurements that succeeded.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub successful: u32,
    /// Measurements that failed.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub failed: u32,
    /// Measurements that could not be told.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub inconclusive: u32,
    /// Measurements that were errors.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub error: u32,
    /// Errors since the last measurement that was none.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub consecutive_error: u32,
    /// Whether the metric's outcome does not count.
    #[serde(skip_serializing_if = "std::ops::Not::not", deserialize_with = "or_default")]
    pub dry_run: bool,
    /// What the provider tells about the metric, such as the query with its arguments.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub metadata: BTreeMap<String, String>,
    /// Successes since the last measurement that was none.
    #[serde(skip_serializing_if = "is_zero", deserialize_with = "or_default")]
    pub consecutive_success: u32,
    /// Fields that are not known here, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// One reading of a metric.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Measurement {
    /// What the conditions said of it.
    #[serde(deserialize_with = "or_default")]
    pub phase: Phase,
    /// Why it is an error.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub message: String,
    /// When it was asked for.
    #[serde(skip_serializing_if = "Option::is_none", with = "moment")]
    pub started_at: Option<Timestamp>,
    /// When the answer was there.
    #[serde(skip_serializing_if = "Option::is_none", with = "moment")]
    pub finished_at: Option<Timestamp>,
    /// The value, as JSON text.
    #[serde(skip_serializing_if = "String::is_empty", deserialize_with = "or_default")]
    pub value: String,
    /// What the provider tells about the measurement.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", deserialize_with = "or_default")]
    pub metadata: BTreeMap<String, String>,
    /// When an unfinished measurement is looked at again.
    #[serde(skip_serializing_if = "Option::is_none", with = "moment")]
    pub resume_at: Option<Timestamp>,
    /// Fields that are not known here, kept.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl RunStatus {
    /// Reads a status; an absent one is that of a run which has not begun.
    ///
    /// # Errors
    /// When a field has a type that the API does not allow.
    pub fn parse(status: Option<&Value>) -> Result<Self, StatusError> {
        match status {
            None | Some(Value::Null) => Ok(Self::default()),
            Some(value) => Self::deserialize(value).map_err(|error| StatusError { reason: error.to_string() }),
        }
    }

    /// The status as the API has it.
    pub fn to_json(&self) -> Value {
        // Maps with text keys and numbers always have a JSON form.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }

    /// The result of one metric.
    pub fn result(&self, metric: &str) -> Option<&MetricResult> {
        self.metric_results.iter().find(|result| result.name == metric)
    }

    /// The result of one metric, to change it.
    pub(crate) fn result_mut(&mut self, metric: &str) -> Option<&mut MetricResult> {
        self.metric_results.iter_mut().find(|result| result.name == metric)
    }
}

impl MetricResult {
    /// The number of the next measurement: 1, 2, 3, ...
    ///
    /// It grows with every measurement that is counted and never otherwise, so a query under this number is asked
    /// again after a crash and its answer is used once.
    pub fn next_ordinal(&self) -> u32 {
        self.count.saturating_add(self.error).saturating_add(1)
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Reads an explicit null as absent.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads an empty phase as absent.
fn phase_or_nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Phase>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
    text.map(|text| Phase::deserialize(serde::de::value::StringDeserializer::new(text))).transpose()
}

/// Moments in whole seconds, as the API has them.
mod moment {
    use super::{Deserialize, Deserializer, Serializer, Timestamp, format_time, parse_time};

    #[expect(clippy::ref_option, reason = "serde wants this signature")]
    pub(super) fn serialize<S: Serializer>(moment: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
        match moment {
            Some(moment) => serializer.serialize_str(&format_time(*moment)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?.filter(|text| !text.is_empty());
        let Some(text) = text else { return Ok(None) };
        parse_time(&text).map(Some).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is not a time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_status_written_by_another_controller_round_trips() {
        let status = json!({
            "phase": "Running",
            "startedAt": "2026-01-01T00:00:00Z",
            "metricResults": [{
                "name": "success-rate", "phase": "Running", "count": 1, "failed": 1, "dryRun": true,
                "metadata": {"ResolvedPrometheusQuery": "up"},
                "measurements": [{
                    "phase": "Failed", "value": "[0.5]",
                    "startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:02Z",
                    "metadata": {"job-name": "x"}, "someday": [1],
                }],
            }],
            "runSummary": {"count": 1},
            "dryRunSummary": {},
            "fromTheFuture": {"a": 1},
        });
        let parsed = RunStatus::parse(Some(&status)).unwrap();
        assert_eq!(parsed.to_json(), status);
        assert_eq!(parsed.result("success-rate").unwrap().next_ordinal(), 2);
    }

    #[test]
    fn nulls_read_as_absent_and_a_wrong_type_is_told() {
        let parsed = RunStatus::parse(Some(&json!({"phase": "", "metricResults": null, "startedAt": null}))).unwrap();
        assert_eq!(parsed, RunStatus::default());
        let error = RunStatus::parse(Some(&json!({"startedAt": "soon"}))).unwrap_err();
        assert_eq!(error.to_string(), "analysis run status can't be read: `soon` is not a time");
    }
}
