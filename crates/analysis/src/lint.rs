//! What can be told about an AnalysisTemplate before anything runs.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::argument::Argument;
use crate::diagnostic::Diagnostic;
use crate::expression::Expression;
use crate::spec::names;
use crate::{Metric, RunSpec, parse_metrics};

/// Whether a template may have metrics that go on until they are terminated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endless {
    /// It is used in the background.
    Allowed,
    /// It is a step or a gate: somebody waits for its end.
    Refused,
}

/// Checks the spec of a template: shapes, rules, conditions, arguments and patterns. Fields that hold an argument which
/// has no value yet are left to the run.
///
/// ```
/// use analysis::{Endless, check_template};
///
/// let spec = serde_json::json!({"metrics": [{
///     "name": "m", "successCondition": "result[0] >", "provider": {"prometheus": {"query": "{{args.query}}"}},
/// }]});
/// let told: Vec<_> = check_template(&spec, Endless::Refused).iter().map(ToString::to_string).collect();
/// assert_eq!(told, [
///     "spec.metrics[0].successCondition: unexpected token EOF (at 11)",
///     "spec.metrics[0]: argument `query` is not declared in spec.args",
/// ]);
/// ```
pub fn check_template(spec: &Value, endless: Endless) -> Vec<Diagnostic> {
    let (parsed, mut found) = RunSpec::parse(spec);
    let declared: BTreeSet<&str> = parsed.arguments.iter().map(|argument| argument.name.as_str()).collect();
    let mut seen = BTreeSet::new();
    for (index, json) in parsed.metrics.iter().enumerate() {
        let path = format!("spec.metrics[{index}]");
        let metric = Metric::parse(json, &path, &mut Vec::new());
        check_metric(&metric, json, &path, endless, &mut found);
        for name in used_arguments(json).difference(&declared) {
            tell(&mut found, &path, format!("argument `{name}` is not declared in spec.args"));
        }
        if !seen.insert(metric.name.clone()) {
            tell(&mut found, &path, format!("duplicate name '{}'", metric.name));
        }
    }
    check_patterns(spec, &seen, &mut found);
    check_arguments(&parsed.arguments, &mut found);
    found
}

fn tell(found: &mut Vec<Diagnostic>, field: &str, message: impl Into<String>) {
    found.push(Diagnostic { field: field.to_owned(), message: message.into() });
}

fn is_open(text: &str) -> bool {
    text.contains("{{")
}

fn check_metric(metric: &Metric, json: &Value, path: &str, endless: Endless, found: &mut Vec<Diagnostic>) {
    if metric.name.is_empty() {
        tell(found, &format!("{path}.name"), "is missing");
    }
    for (field, condition) in
        [("successCondition", &metric.success_condition), ("failureCondition", &metric.failure_condition)]
    {
        if condition.is_empty() || is_open(condition) {
            continue;
        }
        if let Err(error) = Expression::parse(condition) {
            tell(found, &format!("{path}.{field}"), format!("{} (at {})", error.message, error.at));
        }
    }
    let paced = ["count", "interval", "failureLimit", "inconclusiveLimit", "consecutiveSuccessLimit"];
    if paced.iter().any(|field| json.get(field).and_then(Value::as_str).is_some_and(is_open)) {
        return;
    }
    if endless == Endless::Refused && metric.effective_count().is_none() {
        tell(found, path, format!("metric '{}' runs indefinitely: it has an interval and no count", metric.name));
    }
    if let Err(crate::MetricError::Rule { rule, .. }) = parse_metrics(std::slice::from_ref(json)) {
        let is_told = found.iter().any(|told| told.message == rule);
        if !is_told {
            tell(found, path, rule);
        }
    }
}

/// The names in every `{{args.name}}` of a metric.
fn used_arguments(json: &Value) -> BTreeSet<&str> {
    let mut used = BTreeSet::new();
    let mut waiting = vec![json];
    while let Some(value) = waiting.pop() {
        match value {
            Value::String(text) => {
                for part in text.split("{{").skip(1) {
                    let tag = part.split_once("}}").map(|(tag, _)| tag.trim());
                    used.extend(tag.and_then(|tag| tag.strip_prefix("args.")));
                }
            }
            Value::Array(items) => waiting.extend(items),
            Value::Object(map) => waiting.extend(map.values()),
            _ => {}
        }
    }
    used
}

fn check_patterns(spec: &Value, metrics: &BTreeSet<String>, found: &mut Vec<Diagnostic>) {
    for list in ["dryRun", "measurementRetention"] {
        for (index, (pattern, _)) in names(spec, list, &mut Vec::new()).into_iter().enumerate() {
            let field = format!("spec.{list}[{index}].metricName");
            match regex_lite::Regex::new(&pattern) {
                Err(error) => tell(found, &field, format!("is not a pattern: {error}")),
                // A template that is nested in others may be about their metrics.
                Ok(regex) if !metrics.is_empty() && !metrics.iter().any(|name| regex.is_match(name)) => {
                    tell(found, &field, "matches no metric of this template");
                }
                Ok(_) => {}
            }
        }
    }
}

fn check_arguments(arguments: &[Argument], found: &mut Vec<Diagnostic>) {
    let mut seen = BTreeSet::new();
    for (index, argument) in arguments.iter().enumerate() {
        let field = format!("spec.args[{index}]");
        if !seen.insert(&argument.name) {
            tell(found, &field, format!("argument `{}` is declared twice", argument.name));
        }
        if argument.value.is_some() && argument.value_from.is_some() {
            tell(found, &field, format!("argument `{}` has both value and valueFrom", argument.name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told(spec: &Value, endless: Endless) -> Vec<String> {
        check_template(spec, endless).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_template_has_nothing_to_tell() {
        let spec = json!({
            "args": [{"name": "service"}, {"name": "count", "value": "3"}],
            "dryRun": [{"metricName": "lat.*"}],
            "metrics": [
                {"name": "rate", "interval": "1s", "count": "{{args.count}}", "failureLimit": 2,
                 "successCondition": "len(result) == 0 || result[0] >= 0.95",
                 "provider": {"prometheus": {"query": "rate({{ args.service }})"}}},
                {"name": "latency", "failureCondition": "result > {{args.count}}", "provider": {"web": {"url": "http://x"}}},
            ],
        });
        assert_eq!(told(&spec, Endless::Refused), [] as [&str; 0]);
    }

    #[test]
    fn each_mistake_is_told_with_its_field() {
        let spec = json!({
            "args": [{"name": "a", "value": "1", "valueFrom": {"secretKeyRef": {}}}, {"name": "a"}],
            "dryRun": [{"metricName": "("}, {"metricName": "zzz"}],
            "metrics": [
                {"name": "m", "interval": "1s", "provider": {"web": {}}},
                {"name": "m", "count": 2, "provider": {}},
                {"failureCondition": "foo > 1", "provider": {"web": {"url": "{{args.b}}"}}, "count": []},
            ],
        });
        insta::assert_snapshot!(told(&spec, Endless::Refused).join("\n"), @r"
spec.metrics[2].count: count must be a whole number or a string that holds one
spec.metrics[0]: metric 'm' runs indefinitely: it has an interval and no count
spec.metrics[1]: interval must be specified when count > 1
spec.metrics[1]: duplicate name 'm'
spec.metrics[2].name: is missing
spec.metrics[2].failureCondition: unknown name foo (at 0)
spec.metrics[2]: argument `b` is not declared in spec.args
spec.dryRun[0].metricName: is not a pattern: found open group without closing ')'
spec.dryRun[1].metricName: matches no metric of this template
spec.args[0]: argument `a` has both value and valueFrom
spec.args[1]: argument `a` is declared twice
");
        let endless = json!({"metrics": [{"name": "m", "interval": "1s", "provider": {"web": {}}}]});
        assert_eq!(told(&endless, Endless::Allowed), [] as [&str; 0]);
    }
}
