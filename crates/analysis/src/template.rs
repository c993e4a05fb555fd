//! AnalysisTemplates: one or several, with templates nested in them, become the spec of one run.

use std::collections::{BTreeMap, BTreeSet};

use object_model::Object;
use serde_json::{Map, Value};

use crate::argument::{Argument, ArgumentError, join_arguments, merge_arguments};
use crate::spec::names;

/// The most templates that one run is made of.
const TEMPLATES_MAX: usize = 100;

/// Names a template from where it is used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateRef {
    /// Name of the AnalysisTemplate or ClusterAnalysisTemplate.
    pub name: String,
    /// Whether it is a ClusterAnalysisTemplate.
    pub cluster_scope: bool,
}

/// The templates that can be seen from a namespace.
#[derive(Debug, Clone, Default)]
pub struct Templates<'a> {
    found: BTreeMap<TemplateRef, &'a Object>,
}

/// What else a run is given besides its templates.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunRequest {
    /// Arguments, which override those of the templates.
    pub arguments: Vec<Argument>,
    /// `dryRun` rules, before those of the templates.
    pub dry_run: Vec<Value>,
    /// `measurementRetention` rules, before those of the templates.
    pub measurement_retention: Vec<Value>,
}

/// Why templates make no run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A template is not there.
    #[error("{kind} '{name}' not found")]
    NotFound {
        /// AnalysisTemplate or ClusterAnalysisTemplate.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// Templates refer to each other in a circle.
    #[error("analysis templates refer to each other in a circle: {path}")]
    Cycle {
        /// The way around.
        path: String,
    },
    /// There are too many.
    #[error("more than {TEMPLATES_MAX} analysis templates in one run")]
    TooMany,
    /// Two templates have a metric of the same name.
    #[error("two metrics have the same name '{name}'")]
    SameMetric {
        /// The name.
        name: String,
    },
    /// Two rules have the same pattern.
    #[error("two {what} metric rules have the same name '{name}'")]
    SameRule {
        /// Dry-Run or Measurement Retention.
        what: &'static str,
        /// The pattern.
        name: String,
    },
    /// Arguments do not fit.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
}

impl TemplateRef {
    /// Reads a list of `{templateName, clusterScope}`; entries without a name are left out.
    pub fn parse_list(list: Option<&Value>) -> Vec<Self> {
        let items = list.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items
            .iter()
            .filter_map(|item| {
                let name = item.get("templateName")?.as_str()?.to_owned();
                Some(Self { name, cluster_scope: item.get("clusterScope").and_then(Value::as_bool).unwrap_or(false) })
            })
            .collect()
    }

    fn kind(&self) -> &'static str {
        if self.cluster_scope { "ClusterAnalysisTemplate" } else { "AnalysisTemplate" }
    }
}

impl<'a> Templates<'a> {
    /// Takes the AnalysisTemplates of one namespace and the ClusterAnalysisTemplates of the cluster.
    pub fn new(objects: impl IntoIterator<Item = &'a Object>) -> Self {
        let reference = |object: &Object| TemplateRef {
            name: object.name().to_owned(),
            cluster_scope: object.kind() == "ClusterAnalysisTemplate",
        };
        Self { found: objects.into_iter().map(|object| (reference(object), object)).collect() }
    }

    /// The templates named by `references` and those nested in them, each once: namespaced ones first.
    ///
    /// # Errors
    /// When one is not there, or when they go round in a circle.
    pub fn flatten(&self, references: &[TemplateRef]) -> Result<Vec<&'a Object>, TemplateError> {
        let mut all = Vec::new();
        let mut done = BTreeSet::new();
        for reference in references {
            self.collect(reference, &mut Vec::new(), &mut done, &mut all)?;
        }
        all.sort_by_key(|object| object.kind() == "ClusterAnalysisTemplate");
        Ok(all)
    }

    fn collect(
        &self,
        reference: &TemplateRef,
        way: &mut Vec<TemplateRef>,
        done: &mut BTreeSet<TemplateRef>,
        all: &mut Vec<&'a Object>,
    ) -> Result<(), TemplateError> {
        if way.contains(reference) {
            let names: Vec<_> = way.iter().chain([reference]).map(|step| step.name.as_str()).collect();
            return Err(TemplateError::Cycle { path: names.join(" -> ") });
        }
        if done.contains(reference) {
            return Ok(());
        }
        if done.len() >= TEMPLATES_MAX || way.len() >= TEMPLATES_MAX {
            return Err(TemplateError::TooMany);
        }
        let object = self
            .found
            .get(reference)
            .ok_or_else(|| TemplateError::NotFound { kind: reference.kind(), name: reference.name.clone() })?;
        all.push(object);
        way.push(reference.clone());
        for nested in TemplateRef::parse_list(object.pointer("/spec/templates")) {
            self.collect(&nested, way, done, all)?;
        }
        way.pop();
        done.insert(reference.clone());
        Ok(())
    }

    /// The spec of a run made of the templates named by `references`.
    ///
    /// # Errors
    /// When a template is missing, names clash, or an argument is left without a value.
    pub fn run_spec(&self, references: &[TemplateRef], request: &RunRequest) -> Result<Value, TemplateError> {
        let templates = self.flatten(references)?;
        let declared: Vec<Vec<Argument>> = templates
            .iter()
            .map(|object| Argument::parse_list(object.pointer("/spec/args"), "spec.args", &mut Vec::new()))
            .collect();
        let declared = join_arguments(declared.iter().map(Vec::as_slice))?;
        let arguments = merge_arguments(&request.arguments, &declared)?;
        let mut spec = Map::new();
        spec.insert("metrics".to_owned(), Value::Array(metrics(&templates)?));
        if !arguments.is_empty() {
            spec.insert("args".to_owned(), arguments.iter().map(Argument::to_json).collect());
        }
        for (field, what, given) in [
            ("dryRun", "Dry-Run", &request.dry_run),
            ("measurementRetention", "Measurement Retention", &request.measurement_retention),
        ] {
            let rules = rules(field, what, given, &templates)?;
            if !rules.is_empty() {
                spec.insert(field.to_owned(), Value::Array(rules));
            }
        }
        Ok(Value::Object(spec))
    }
}

fn metrics(templates: &[&Object]) -> Result<Vec<Value>, TemplateError> {
    let mut seen = BTreeSet::new();
    let mut all = Vec::new();
    for metric in templates.iter().flat_map(|object| object.list_at("/spec/metrics")) {
        let name = metric.get("name").and_then(Value::as_str).unwrap_or_default();
        if !seen.insert(name) {
            return Err(TemplateError::SameMetric { name: name.to_owned() });
        }
        all.push(metric.clone());
    }
    Ok(all)
}

fn rules(field: &str, what: &'static str, given: &[Value], templates: &[&Object]) -> Result<Vec<Value>, TemplateError> {
    let pointer = format!("/spec/{field}");
    let of_templates = templates.iter().flat_map(|object| object.list_at(&pointer));
    let all: Vec<Value> = given.iter().chain(of_templates).cloned().collect();
    let mut seen = BTreeSet::new();
    let mut wrapped = Map::new();
    wrapped.insert(field.to_owned(), Value::Array(all.clone()));
    for (name, _) in names(&Value::Object(wrapped), field, &mut Vec::new()) {
        if !seen.insert(name.clone()) {
            return Err(TemplateError::SameRule { what, name });
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(kind: &str, name: &str, spec: Value) -> Object {
        Object::parse(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
        }))
        .unwrap()
    }

    fn references(names: &[&str]) -> Vec<TemplateRef> {
        names.iter().map(|name| TemplateRef { name: (*name).to_owned(), cluster_scope: false }).collect()
    }

    fn spec(objects: &[Object], names: &[&str], arguments: Value) -> Result<Value, String> {
        let arguments = Argument::parse_list(Some(&arguments), "args", &mut Vec::new());
        let request = RunRequest { arguments, ..RunRequest::default() };
        Templates::new(objects).run_spec(&references(names), &request).map_err(|error| error.to_string())
    }

    #[test]
    fn nested_templates_are_joined_namespaced_ones_first() {
        let objects = [
            template(
                "AnalysisTemplate",
                "a",
                json!({
                    "metrics": [{"name": "one"}], "args": [{"name": "x"}], "dryRun": [{"metricName": "one"}],
                    "templates": [{"templateName": "c", "clusterScope": true}, {"templateName": "b"}],
                }),
            ),
            template(
                "AnalysisTemplate",
                "b",
                json!({"metrics": [{"name": "two"}], "args": [{"name": "x", "value": "1"}]}),
            ),
            template("ClusterAnalysisTemplate", "c", json!({"metrics": [{"name": "three"}]})),
        ];
        assert_eq!(
            spec(&objects, &["a", "b"], json!([])).unwrap(),
            json!({
                "metrics": [{"name": "one"}, {"name": "two"}, {"name": "three"}],
                "args": [{"name": "x", "value": "1"}],
                "dryRun": [{"metricName": "one"}],
            })
        );
        let overridden =
            spec(&objects, &["a"], json!([{"name": "x", "value": "2"}, {"name": "y", "value": "3"}])).unwrap();
        assert_eq!(overridden["args"], json!([{"name": "x", "value": "2"}]));
    }

    #[test]
    fn a_template_that_refers_to_itself_is_an_error() {
        let objects = [
            template("AnalysisTemplate", "a", json!({"templates": [{"templateName": "b"}]})),
            template("AnalysisTemplate", "b", json!({"templates": [{"templateName": "a"}]})),
        ];
        assert_eq!(
            spec(&objects, &["a"], json!([])).unwrap_err(),
            "analysis templates refer to each other in a circle: a -> b -> a"
        );
    }

    #[test]
    fn clashes_and_gaps_are_told() {
        let metric = json!({"metrics": [{"name": "m"}], "dryRun": [{"metricName": "m"}]});
        let objects = [
            template("AnalysisTemplate", "a", metric.clone()),
            template("AnalysisTemplate", "b", metric),
            template("AnalysisTemplate", "c", json!({"metrics": [{"name": "n"}], "dryRun": [{"metricName": "m"}]})),
            template("AnalysisTemplate", "d", json!({"args": [{"name": "x"}]})),
        ];
        for (names, message) in [
            (vec!["a", "b"], "two metrics have the same name 'm'"),
            (vec!["a", "c"], "two Dry-Run metric rules have the same name 'm'"),
            (vec!["d"], "args.x was not resolved"),
            (vec!["z"], "AnalysisTemplate 'z' not found"),
        ] {
            assert_eq!(spec(&objects, &names, json!([])).unwrap_err(), message);
        }
    }
}
