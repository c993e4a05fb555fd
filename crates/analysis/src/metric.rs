//! One metric of an AnalysisTemplate or AnalysisRun, lowered from raw JSON.

use object_model::{Duration, parse_go_duration};
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::provider::Provider;

/// A metric whose arguments are resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// Its name, unique in a run.
    pub name: String,
    /// Time between measurements; absent means that one is enough.
    pub interval: Option<Duration>,
    /// Time from the start of the run to the first measurement.
    pub initial_delay: Option<Duration>,
    /// How many measurements are wanted; 0 when not said.
    pub count: i64,
    /// Condition for success, in the condition language.
    pub success_condition: String,
    /// Condition for failure, in the condition language.
    pub failure_condition: String,
    /// Failures that are borne; -1 means any number.
    pub failure_limit: Option<i64>,
    /// Inconclusive measurements that are borne.
    pub inconclusive_limit: i64,
    /// Errors in a row that are borne.
    pub consecutive_error_limit: i64,
    /// Successes in a row that end the metric; 0 when not said.
    pub consecutive_success_limit: i64,
    /// Where readings come from.
    pub provider: Provider,
}

/// Errors in a row that are borne when the metric does not say.
const CONSECUTIVE_ERROR_LIMIT: i64 = 4;

/// Why a metric, or a list of them, can't be used; worded as Argo Rollouts words it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// The list is empty.
    #[error("no metrics specified")]
    NoMetrics,
    /// Two metrics share a name.
    #[error("metrics[{index}]: duplicate name '{name}'")]
    DuplicateName {
        /// Place of the second one.
        index: usize,
        /// Their name.
        name: String,
    },
    /// A metric breaks a rule.
    #[error("metrics[{index}]: {rule}")]
    Rule {
        /// Place of the metric.
        index: usize,
        /// The rule.
        rule: String,
    },
}

impl Metric {
    /// Lowers one metric. What can't be read is left at its default and told in `diagnostics`, under `path`.
    pub fn parse(json: &Value, path: &str, diagnostics: &mut Vec<Diagnostic>) -> Self {
        let mut fields = Fields { json, path, diagnostics };
        if !json.is_object() {
            fields.tell("", "a metric must be a mapping");
        }
        Self {
            name: fields.text("name"),
            interval: fields.duration("interval", "invalid interval string"),
            initial_delay: fields.duration("initialDelay", "invalid startDelay string"),
            count: fields.integer("count").unwrap_or(0),
            success_condition: fields.text("successCondition"),
            failure_condition: fields.text("failureCondition"),
            failure_limit: fields.integer("failureLimit"),
            inconclusive_limit: fields.integer("inconclusiveLimit").unwrap_or(0),
            consecutive_error_limit: fields.integer("consecutiveErrorLimit").unwrap_or(CONSECUTIVE_ERROR_LIMIT),
            consecutive_success_limit: fields.integer("consecutiveSuccessLimit").unwrap_or(0),
            provider: Provider::parse(json.get("provider").unwrap_or(&Value::Null)),
        }
    }

    /// How many measurements end the metric; `None` means that it goes on until it is terminated.
    pub fn effective_count(&self) -> Option<i64> {
        match (self.count, self.interval) {
            (0, None) => Some(1),
            (0, Some(_)) => None,
            (count, _) => Some(count),
        }
    }

    fn rules(&self) -> Result<(), String> {
        let failure_limit = self.failure_limit.unwrap_or(0);
        let (count, success_limit) = (self.count, self.consecutive_success_limit);
        if success_limit < 0 {
            return Err("consecutiveSuccessLimit must be >= 0".to_owned());
        }
        if failure_limit < -1 {
            return Err("failureLimit must be >= 0, or -1 to be disabled".to_owned());
        }
        if success_limit == 0 && failure_limit == -1 {
            return Err("failureLimit and consecutiveSuccessLimit cannot both be disabled".to_owned());
        }
        if self.inconclusive_limit < 0 {
            return Err("inconclusiveLimit must be >= 0".to_owned());
        }
        if self.consecutive_error_limit < 0 {
            return Err("consecutiveErrorLimit must be >= 0".to_owned());
        }
        if count > 0 {
            if failure_limit >= 0 && count < failure_limit.saturating_add(success_limit) {
                return Err(format!(
                    "count ({count}) must be >= failureLimit + consecutiveSuccessLimit ({failure_limit} + {success_limit}) if both >= 0"
                ));
            }
            if failure_limit < 0 && count < success_limit {
                return Err("count must be >= consecutiveSuccessLimit".to_owned());
            }
            if count < self.inconclusive_limit {
                return Err("count must be >= inconclusiveLimit".to_owned());
            }
        }
        if count > 1 && self.interval.is_none() {
            return Err("interval must be specified when count > 1".to_owned());
        }
        match &self.provider {
            Provider::Missing => Err("no provider specified".to_owned()),
            Provider::Several(_) => Err("multiple providers specified".to_owned()),
            _ => Ok(()),
        }
    }
}

/// Lowers and checks a list of metrics whose arguments are resolved.
///
/// # Errors
/// With the first rule that is broken; a field that can't be read counts as one.
pub fn parse_metrics(metrics: &[Value]) -> Result<Vec<Metric>, MetricError> {
    if metrics.is_empty() {
        return Err(MetricError::NoMetrics);
    }
    let mut parsed: Vec<Metric> = Vec::with_capacity(metrics.len());
    for (index, json) in metrics.iter().enumerate() {
        let mut diagnostics = Vec::new();
        let metric = Metric::parse(json, "", &mut diagnostics);
        if parsed.iter().any(|known| known.name == metric.name) {
            return Err(MetricError::DuplicateName { index, name: metric.name });
        }
        if let Some(first) = diagnostics.into_iter().next() {
            return Err(MetricError::Rule { index, rule: first.message });
        }
        metric.rules().map_err(|rule| MetricError::Rule { index, rule })?;
        parsed.push(metric);
    }
    Ok(parsed)
}

/// Reads the fields of one mapping and tells what can't be read.
struct Fields<'a> {
    json: &'a Value,
    path: &'a str,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Fields<'_> {
    fn tell(&mut self, field: &str, message: impl Into<String>) {
        let path = match (self.path.is_empty(), field.is_empty()) {
            (true, _) => field.to_owned(),
            (false, true) => self.path.to_owned(),
            (false, false) => format!("{}.{field}", self.path),
        };
        self.diagnostics.push(Diagnostic { field: path, message: message.into() });
    }

    fn text(&mut self, field: &str) -> String {
        match self.json.get(field) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(_) => {
                self.tell(field, format!("{field} must be a string"));
                String::new()
            }
        }
    }

    /// A whole number, or a string that holds one (where an argument was put in).
    fn integer(&mut self, field: &str) -> Option<i64> {
        let found = match self.json.get(field)? {
            Value::Null => return None,
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        if found.is_none() {
            self.tell(field, format!("{field} must be a whole number or a string that holds one"));
        }
        found
    }

    fn duration(&mut self, field: &str, complaint: &str) -> Option<Duration> {
        let text = self.text(field);
        if text.is_empty() {
            return None;
        }
        match parse_go_duration(&text) {
            Ok(duration) => Some(duration),
            Err(error) => {
                self.tell(field, format!("{complaint}: {error}"));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(fields: Value) -> Value {
        let mut metric = json!({"name": "m", "provider": {"prometheus": {"address": "http://p", "query": "up"}}});
        for (key, value) in fields.as_object().unwrap() {
            metric[key] = value.clone();
        }
        metric
    }

    #[test]
    fn each_rule_is_told_in_the_known_words() {
        for (fields, message) in [
            (json!({"consecutiveSuccessLimit": -1}), "consecutiveSuccessLimit must be >= 0"),
            (json!({"failureLimit": -2}), "failureLimit must be >= 0, or -1 to be disabled"),
            (json!({"failureLimit": -1}), "failureLimit and consecutiveSuccessLimit cannot both be disabled"),
            (json!({"inconclusiveLimit": -1}), "inconclusiveLimit must be >= 0"),
            (json!({"consecutiveErrorLimit": -1}), "consecutiveErrorLimit must be >= 0"),
            (
                json!({"count": 3, "interval": "1s", "failureLimit": 2, "consecutiveSuccessLimit": 2}),
                "count (3) must be >= failureLimit + consecutiveSuccessLimit (2 + 2) if both >= 0",
            ),
            (
                json!({"count": 1, "failureLimit": -1, "consecutiveSuccessLimit": 2}),
                "count must be >= consecutiveSuccessLimit",
            ),
            (json!({"count": 1, "inconclusiveLimit": 2}), "count must be >= inconclusiveLimit"),
            (json!({"count": 2}), "interval must be specified when count > 1"),
            (
                json!({"interval": "5"}),
                "invalid interval string: `5` is not a duration: a number needs a unit: ns, us, ms, s, m or h",
            ),
            (
                json!({"initialDelay": "x"}),
                "invalid startDelay string: `x` is not a duration: a number needs a unit: ns, us, ms, s, m or h",
            ),
            (json!({"count": "many"}), "count must be a whole number or a string that holds one"),
            (json!({"successCondition": 1}), "successCondition must be a string"),
            (json!({"provider": {}}), "no provider specified"),
            (json!({"provider": {"web": {}, "prometheus": {}}}), "multiple providers specified"),
        ] {
            let error = parse_metrics(&[with(json!({"name": "first"})), with(fields.clone())]).unwrap_err();
            assert_eq!(error.to_string(), format!("metrics[1]: {message}"), "{fields}");
        }
        assert_eq!(parse_metrics(&[]).unwrap_err().to_string(), "no metrics specified");
        let twice = [with(json!({})), with(json!({}))];
        assert_eq!(parse_metrics(&twice).unwrap_err().to_string(), "metrics[1]: duplicate name 'm'");
    }

    #[test]
    fn the_effective_count_depends_on_the_interval() {
        for (fields, count) in [
            (json!({}), Some(1)),
            (json!({"interval": "1s"}), None),
            (json!({"interval": "1s", "count": 3}), Some(3)),
            (json!({"interval": "1s", "count": "4"}), Some(4)),
            (json!({"interval": "1s", "count": 0}), None),
        ] {
            let metrics = parse_metrics(&[with(fields.clone())]).unwrap();
            assert_eq!(metrics[0].effective_count(), count, "{fields}");
        }
    }

    #[test]
    fn a_field_of_a_wrong_type_is_named_and_the_rest_is_read() {
        let mut diagnostics = Vec::new();
        let metric = Metric::parse(&with(json!({"count": [], "interval": "2s"})), "spec.metrics[0]", &mut diagnostics);
        assert_eq!(metric.interval, Some(Duration::from_secs(2)));
        assert_eq!(diagnostics[0].field, "spec.metrics[0].count");
    }
}
