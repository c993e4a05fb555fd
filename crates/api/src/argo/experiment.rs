//! Experiments: temporary ReplicaSets side by side, with analyses; as an object and as the step of a canary.

use object_model::{Duration, LabelSelector, Object, Timestamp, parse_time};
use serde_json::Value;

use super::sizes::{read_count, read_text};
use crate::Fields;
use crate::fields::read_duration;

/// One entry of `spec.templates`: a ReplicaSet of the experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentTemplate {
    /// `name`.
    pub name: String,
    /// `replicas`, 1.
    pub replicas: u32,
    /// `minReadySeconds`.
    pub min_ready_seconds: u32,
    /// `selector` as written.
    pub selector: Value,
    /// `template` as written.
    pub template: Value,
    /// `service`: whether its pods get a Service, and under which name when it says one.
    pub service: Option<Option<String>>,
}

/// One entry of `spec.analyses`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExperimentAnalysis {
    /// `name`.
    pub name: String,
    /// `templateName`.
    pub template: String,
    /// `clusterScope`.
    pub cluster_scope: bool,
    /// `args` as written.
    pub args: Vec<Value>,
    /// `requiredForCompletion`: the experiment ends well as soon as all of these have.
    pub required: bool,
}

/// The typed fields of an Experiment's spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Experiment {
    /// `templates`.
    pub templates: Vec<ExperimentTemplate>,
    /// `analyses`.
    pub analyses: Vec<ExperimentAnalysis>,
    /// `duration`; without one it runs until its required analyses end or somebody ends it.
    pub duration: Option<Duration>,
    /// `progressDeadlineSeconds`, 600.
    pub progress_deadline_seconds: u32,
    /// `scaleDownDelaySeconds`, 30.
    pub scale_down_delay: Duration,
    /// `terminate`.
    pub terminate: bool,
    /// `dryRun` as written.
    pub dry_run: Vec<Value>,
    /// `measurementRetention` as written.
    pub measurement_retention: Vec<Value>,
    /// `analysisRunMetadata` as written.
    pub run_metadata: Value,
}

impl Experiment {
    /// Reads an Experiment, and says in Argo's words what makes its spec unusable.
    pub fn parse(object: &Object) -> (Self, Option<String>) {
        let number = |value: Option<&Value>| value.and_then(Value::as_i64).and_then(|count| u32::try_from(count).ok());
        let spec = |key: &str| object.pointer(&format!("/spec/{key}")).filter(|value| !value.is_null());
        let list = |key: &str| object.list_at(&format!("/spec/{key}")).to_vec();
        let delay = number(spec("scaleDownDelaySeconds")).unwrap_or(30);
        let duration = spec("duration").map(read_duration);
        let experiment = Self {
            templates: object.list_at("/spec/templates").iter().map(template).collect(),
            analyses: object.list_at("/spec/analyses").iter().map(analysis).collect(),
            duration: duration.clone().and_then(Result::ok),
            progress_deadline_seconds: number(spec("progressDeadlineSeconds")).unwrap_or(600),
            scale_down_delay: Duration::from_secs(u64::from(delay)),
            terminate: object.bool_at("/spec/terminate").unwrap_or(false),
            dry_run: list("dryRun"),
            measurement_retention: list("measurementRetention"),
            run_metadata: spec("analysisRunMetadata").cloned().unwrap_or(Value::Null),
        };
        let unreadable = duration.and_then(Result::err).map(|message| format!("spec.duration: {message}"));
        let problem = experiment.problem(object.name()).or(unreadable);
        (experiment, problem)
    }

    fn problem(&self, name: &str) -> Option<String> {
        let mut seen = std::collections::BTreeSet::new();
        for (index, template) in self.templates.iter().enumerate() {
            if template.selector.is_null() {
                return Some(format!("Rollout has missing field '.Spec.Templates[{index}].Selector'"));
            }
            match LabelSelector::parse(&template.selector) {
                Ok(selector) if selector.is_empty() => {
                    return Some(format!(
                        "This experiment is selecting all pods at index {index}. A non-empty selector is required."
                    ));
                }
                Ok(_) => {}
                Err(error) => return Some(format!("spec.templates[{index}].selector: {error}")),
            }
            if template.min_ready_seconds > self.progress_deadline_seconds {
                return Some(format!(
                    "MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index {index}"
                ));
            }
            if template.name.is_empty() {
                return Some(format!("Experiment {name} has empty template name at index {index}"));
            }
            if !seen.insert(&template.name) {
                return Some(format!("Experiment {name} has repeated template name '{}' in templates", template.name));
            }
        }
        None
    }

    /// Whether an analysis has to end well before the experiment does.
    pub fn has_required(&self) -> bool {
        self.analyses.iter().any(|analysis| analysis.required)
    }
}

fn text(value: &Value, key: &str) -> String {
    read_text(value, key).unwrap_or_default()
}

fn template(value: &Value) -> ExperimentTemplate {
    let number = |key: &str| value.get(key).and_then(Value::as_i64).and_then(|count| u32::try_from(count).ok());
    let section = |key: &str| value.get(key).cloned().unwrap_or(Value::Null);
    ExperimentTemplate {
        name: text(value, "name"),
        replicas: number("replicas").unwrap_or(1),
        min_ready_seconds: number("minReadySeconds").unwrap_or(0),
        selector: section("selector"),
        template: section("template"),
        service: value.get("service").filter(|service| !service.is_null()).map(|service| read_text(service, "name")),
    }
}

fn analysis(value: &Value) -> ExperimentAnalysis {
    let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
    ExperimentAnalysis {
        name: text(value, "name"),
        template: text(value, "templateName"),
        cluster_scope: flag("clusterScope"),
        args: value.get("args").and_then(Value::as_array).cloned().unwrap_or_default(),
        required: flag("requiredForCompletion"),
    }
}

/// How one template of an experiment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TemplatePhase {
    /// It ran as long as it should, or was ended.
    Successful,
    /// All its pods are available.
    Running,
    /// Some of its pods are not.
    Progressing,
    /// What it needs can't be made.
    Error,
    /// It missed its deadline.
    Failed,
}

impl TemplatePhase {
    fn parse(text: &str) -> Option<Self> {
        [Self::Successful, Self::Running, Self::Progressing, Self::Error, Self::Failed]
            .into_iter()
            .find(|phase| phase.as_str() == text)
    }

    /// The word that the status carries.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Successful => "Successful",
            Self::Running => "Running",
            Self::Progressing => "Progressing",
            Self::Error => "Error",
            Self::Failed => "Failed",
        }
    }

    /// Whether it is over.
    pub fn is_completed(self) -> bool {
        !matches!(self, Self::Running | Self::Progressing)
    }
}

/// One entry of `status.templateStatuses`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateStatus {
    /// `name`.
    pub name: String,
    /// `replicas` and `updatedReplicas`.
    pub replicas: u32,
    /// `readyReplicas`.
    pub ready: u32,
    /// `availableReplicas`.
    pub available: u32,
    /// `status`.
    pub phase: Option<TemplatePhase>,
    /// `message`.
    pub message: String,
    /// `lastTransitionTime`.
    pub changed_at: Option<Timestamp>,
    /// `serviceName`.
    pub service: String,
    /// `podTemplateHash`.
    pub hash: String,
    /// `collisionCount`: how many names for its ReplicaSet were somebody else's.
    pub collision_count: Option<u32>,
}

/// One entry of `status.analysisRuns`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentRunStatus {
    /// `name` of the analysis.
    pub name: String,
    /// `analysisRun`: name of the object; empty before there is one.
    pub run: String,
    /// `phase`.
    pub phase: String,
    /// `message`.
    pub message: String,
}

/// The status of an Experiment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExperimentStatus {
    /// `phase`; empty before the first look.
    pub phase: String,
    /// `message`.
    pub message: String,
    /// `templateStatuses`.
    pub templates: Vec<TemplateStatus>,
    /// `availableAt`.
    pub available_at: Option<Timestamp>,
    /// `analysisRuns`.
    pub runs: Vec<ExperimentRunStatus>,
}

impl ExperimentStatus {
    /// Reads the status of an Experiment; what is absent or of a wrong type reads as unset.
    pub fn parse(object: &Object) -> Self {
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let number = |value: &Value, key: &str| {
            value.get(key).and_then(Value::as_i64).and_then(|count| u32::try_from(count).ok()).unwrap_or(0)
        };
        let templates = object.list_at("/status/templateStatuses").iter().map(|item| TemplateStatus {
            name: text(item, "name"),
            replicas: number(item, "replicas"),
            ready: number(item, "readyReplicas"),
            available: number(item, "availableReplicas"),
            phase: TemplatePhase::parse(&text(item, "status")),
            message: text(item, "message"),
            changed_at: parse_time(&text(item, "lastTransitionTime")),
            service: text(item, "serviceName"),
            hash: text(item, "podTemplateHash"),
            collision_count: Some(number(item, "collisionCount")).filter(|count| *count > 0),
        });
        let runs = object.list_at("/status/analysisRuns").iter().map(|item| ExperimentRunStatus {
            name: text(item, "name"),
            run: text(item, "analysisRun"),
            phase: text(item, "phase"),
            message: text(item, "message"),
        });
        Self {
            phase: object.str_at("/status/phase").unwrap_or_default().to_owned(),
            message: object.str_at("/status/message").unwrap_or_default().to_owned(),
            templates: templates.collect(),
            available_at: object.str_at("/status/availableAt").and_then(parse_time),
            runs: runs.collect(),
        }
    }

    /// The status of one template.
    pub fn template(&self, name: &str) -> Option<&TemplateStatus> {
        self.templates.iter().find(|status| status.name == name)
    }

    /// The status of one analysis.
    pub fn run(&self, name: &str) -> Option<&ExperimentRunStatus> {
        self.runs.iter().find(|status| status.name == name)
    }

    /// Whether the experiment is over.
    pub fn is_completed(&self) -> bool {
        is_completed_phase(&self.phase)
    }
}

/// Whether a phase of an analysis or an experiment is a last one.
pub fn is_completed_phase(phase: &str) -> bool {
    matches!(phase, "Successful" | "Failed" | "Error" | "Inconclusive")
}

/// Whose pods a template of an experiment step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecRef {
    /// Those of the new version.
    Canary,
    /// Those of the stable one.
    Stable,
}

/// One template of an experiment step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepTemplate {
    /// `name`.
    pub name: String,
    /// `specRef`.
    pub spec_ref: SpecRef,
    /// `replicas` as written; `None` means one.
    pub replicas: Option<u32>,
    /// `weight`: its share of the traffic while the experiment runs.
    pub weight: Option<u32>,
    /// `service`, as of an Experiment.
    pub service: Option<Option<String>>,
    /// `selector` as written.
    pub selector: Value,
    /// `metadata` as written.
    pub metadata: Value,
}

/// The experiment step of a canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExperimentStep {
    /// `templates`.
    pub templates: Vec<StepTemplate>,
    /// `duration` as written.
    pub duration: Value,
    /// `analyses[]` as written.
    pub analyses: Vec<Value>,
    /// `dryRun[]` as written.
    pub dry_run: Value,
    /// `analysisRunMetadata` as written.
    pub run_metadata: Value,
    /// `scaleDownDelaySeconds` as written.
    pub scale_down_delay: Value,
}

/// Providers whose traffic an experiment can get a share of; plugins decide for themselves.
const WITH_WEIGHTS: [&str; 4] = ["smi", "alb", "istio", "plugins"];

pub(crate) fn read_experiment_step(
    fields: &mut Fields<'_>,
    at: &str,
    value: &Value,
    routed: bool,
) -> Option<ExperimentStep> {
    let at = format!("{at}.experiment");
    let items = value.get("templates").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if items.is_empty() {
        fields.problem(&format!("{at}.templates"), "Required value: needs at least one template");
        return None;
    }
    if let Some(Err(message)) = value.get("duration").filter(|value| !value.is_null()).map(read_duration) {
        fields.problem(&format!("{at}.duration"), format!("Invalid value: {message}"));
    }
    let mut templates = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        templates.extend(step_template(fields, &format!("{at}.templates[{index}]"), item, routed));
    }
    let section = |key: &str| value.get(key).cloned().unwrap_or(Value::Null);
    Some(ExperimentStep {
        templates,
        duration: section("duration"),
        analyses: value.get("analyses").and_then(Value::as_array).cloned().unwrap_or_default(),
        dry_run: section("dryRun"),
        run_metadata: section("analysisRunMetadata"),
        scale_down_delay: section("scaleDownDelaySeconds"),
    })
}

fn step_template(fields: &mut Fields<'_>, at: &str, item: &Value, routed: bool) -> Option<StepTemplate> {
    let weight = read_count(fields, at, item, "weight");
    if let Some(weight) = weight {
        check_weight(fields, at, weight, routed);
    }
    let spec_ref = match item.get("specRef").and_then(Value::as_str) {
        Some("canary") => SpecRef::Canary,
        Some("stable") => SpecRef::Stable,
        other => {
            let seen = other.unwrap_or_default();
            fields.problem(&format!("{at}.specRef"), format!("Invalid value: {seen:?}: must be canary or stable"));
            return None;
        }
    };
    let section = |key: &str| item.get(key).cloned().unwrap_or(Value::Null);
    let named = item.get("service").filter(|service| !service.is_null()).map(|service| read_text(service, "name"));
    Some(StepTemplate {
        name: text(item, "name"),
        spec_ref,
        replicas: read_count(fields, at, item, "replicas"),
        weight,
        // What gets a share of the traffic needs a Service to get it by.
        service: named.or(weight.map(|_| None)),
        selector: section("selector"),
        metadata: section("metadata"),
    })
}

fn check_weight(fields: &mut Fields<'_>, at: &str, weight: u32, routed: bool) {
    let routing = fields.value("spec.strategy.canary.trafficRouting");
    let can = |provider: &&str| routing.and_then(|routing| routing.get(*provider)).is_some_and(|it| !it.is_null());
    let message = match (routed, WITH_WEIGHTS.iter().any(can)) {
        (false, _) => "Experiment template weight cannot be set unless TrafficRouting is enabled",
        (true, false) => {
            "Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and Plugins at this time"
        }
        (true, true) => return,
    };
    fields.problem(&format!("{at}.weight"), format!("Invalid value: {weight}: {message}"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(spec: Value) -> (Experiment, Option<String>) {
        let object = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": {"name": "e"}, "spec": spec});
        Experiment::parse(&Object::parse(object).unwrap())
    }

    #[test]
    fn what_is_not_written_has_argos_defaults() {
        let selector = json!({"matchLabels": {"app": "a"}});
        let (experiment, problem) = parse(json!({"templates": [{"name": "a", "selector": selector, "service": {}}]}));
        assert_eq!(problem, None);
        assert_eq!((experiment.templates[0].replicas, &experiment.templates[0].service), (1, &Some(None)));
        assert_eq!((experiment.progress_deadline_seconds, experiment.scale_down_delay.as_secs()), (600, 30));
        assert_eq!((experiment.duration, experiment.has_required()), (None, false));
    }

    #[test]
    fn an_unusable_spec_is_told_in_argos_words() {
        let good = json!({"matchLabels": {"app": "a"}});
        for (spec, message) in [
            (json!({"templates": [{"name": "a"}]}), "Rollout has missing field '.Spec.Templates[0].Selector'"),
            (
                json!({"templates": [{"name": "a", "selector": {}}]}),
                "This experiment is selecting all pods at index 0. A non-empty selector is required.",
            ),
            (
                json!({"progressDeadlineSeconds": 5, "templates": [{"name": "a", "selector": good, "minReadySeconds": 6}]}),
                "MinReadySeconds cannot be longer than ProgressDeadlineSeconds. Check template index 0",
            ),
            (json!({"templates": [{"selector": good}]}), "Experiment e has empty template name at index 0"),
            (
                json!({"templates": [{"name": "a", "selector": good}, {"name": "a", "selector": good}]}),
                "Experiment e has repeated template name 'a' in templates",
            ),
        ] {
            assert_eq!(parse(spec.clone()).1.as_deref(), Some(message), "{spec}");
        }
        assert!(parse(json!({"templates": [], "duration": "soon"})).1.unwrap().starts_with("spec.duration: "));
    }

    fn step(routing: Value, templates: Value) -> Vec<String> {
        let object = Object::parse(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "r"},
            "spec": {"strategy": {"canary": {"trafficRouting": routing}}},
        }))
        .unwrap();
        let mut fields = Fields::of(&object);
        let routed = !routing.is_null();
        read_experiment_step(&mut fields, "steps[0]", &json!({"templates": templates}), routed);
        fields.into_problems().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_some_providers_can_give_an_experiment_a_share() {
        let weighted = json!([{"name": "a", "specRef": "canary", "weight": 5}]);
        assert_eq!(step(json!({"istio": {}}), weighted.clone()), [""; 0]);
        assert_eq!(
            step(json!({"nginx": {}}), weighted.clone()),
            [
                "steps[0].experiment.templates[0].weight: Invalid value: 5: Experiment template weight is only available for TrafficRouting with SMI, ALB, Istio and Plugins at this time"
            ]
        );
        assert_eq!(
            step(Value::Null, weighted),
            [
                "steps[0].experiment.templates[0].weight: Invalid value: 5: Experiment template weight cannot be set unless TrafficRouting is enabled"
            ]
        );
        assert_eq!(
            step(Value::Null, json!([{"name": "a", "specRef": "newest"}])),
            ["steps[0].experiment.templates[0].specRef: Invalid value: \"newest\": must be canary or stable"]
        );
    }
}
