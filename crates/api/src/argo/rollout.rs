//! The spec of a Rollout, field by field.

use object_model::{Duration, Object, Timestamp, parse_time};
use serde_json::Value;

use super::blue_green::{BlueGreen, read_blue_green};
use super::canary::{Canary, read_canary};
use super::sizes::read_count;
use super::template::check_template;
use crate::{Fields, Problem};

/// How a Rollout replaces its pods.
#[derive(Debug, Clone, PartialEq)]
pub enum Strategy {
    /// Step by step.
    Canary(Box<Canary>),
    /// Two versions side by side, one of them active.
    BlueGreen(Box<BlueGreen>),
    /// None that can be used; the problems say why.
    Unusable,
}

/// What happens to the workload that a Rollout takes its template from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkloadScaleDown {
    /// It keeps its pods.
    Never,
    /// It loses them once the Rollout is healthy.
    OnSuccess,
    /// It loses as many as the Rollout has ready.
    Progressively,
}

/// `spec.workloadRef`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadRef {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`: Deployment, ReplicaSet or PodTemplate.
    pub kind: String,
    /// `name`.
    pub name: String,
    /// `scaleDown`; nothing written means never.
    pub scale_down: Option<WorkloadScaleDown>,
}

/// The typed fields of a Rollout's spec.
#[derive(Debug, Clone, PartialEq)]
pub struct Rollout {
    /// `replicas`, 1.
    pub replicas: u32,
    /// `selector` as written, or as the workload has it.
    pub selector: Value,
    /// `template` as written, or as the workload has it.
    pub template: Value,
    /// `workloadRef`.
    pub workload: Option<WorkloadRef>,
    /// `paused`.
    pub paused: bool,
    /// `minReadySeconds`.
    pub min_ready_seconds: u32,
    /// `revisionHistoryLimit`, 10.
    pub revision_history_limit: u32,
    /// `progressDeadlineSeconds`, 600.
    pub progress_deadline: Duration,
    /// `progressDeadlineAbort`.
    pub progress_deadline_abort: bool,
    /// `restartAt`.
    pub restart_at: Option<Timestamp>,
    /// `rollbackWindow.revisions`; 0 without a window.
    pub rollback_window: u32,
    /// `strategy`.
    pub strategy: Strategy,
}

impl Rollout {
    /// Reads a Rollout; problems name their fields and make the spec invalid.
    pub fn parse(object: &Object) -> (Self, Vec<Problem>) {
        let mut fields = Fields::of(object);
        let replicas = read_count(&mut fields, "spec", spec_of(object), "replicas");
        let selector = fields.value("spec.selector").cloned().unwrap_or(Value::Null);
        let template = fields.value("spec.template").cloned().unwrap_or(Value::Null);
        let workload = workload(&mut fields, &template);
        if workload.is_none() {
            check_template(&mut fields, &selector, &template);
        }
        let mut count = |key: &str| read_count(&mut fields, "spec", spec_of(object), key);
        let min_ready_seconds = count("minReadySeconds").unwrap_or(0);
        let revision_history_limit = count("revisionHistoryLimit").unwrap_or(10);
        let deadline = count("progressDeadlineSeconds").unwrap_or(600);
        if deadline <= min_ready_seconds {
            let message = format!("Invalid value: {deadline}: must be greater than minReadySeconds");
            fields.problem("spec.progressDeadlineSeconds", message);
        }
        let rollout = Self {
            replicas: replicas.unwrap_or(1),
            selector,
            template,
            workload,
            paused: fields.boolean("spec.paused").unwrap_or(false),
            min_ready_seconds,
            revision_history_limit,
            progress_deadline: Duration::from_secs(u64::from(deadline)),
            progress_deadline_abort: fields.boolean("spec.progressDeadlineAbort").unwrap_or(false),
            restart_at: fields.text("spec.restartAt").as_deref().and_then(parse_time),
            rollback_window: fields.count("spec.rollbackWindow.revisions").unwrap_or(0),
            strategy: strategy(&mut fields, revision_history_limit),
        };
        (rollout, fields.into_problems())
    }

    /// Whether traffic is shifted by a provider, not by counting pods.
    pub fn is_routed(&self) -> bool {
        matches!(&self.strategy, Strategy::Canary(canary) if canary.routing.is_some())
    }

    /// What Argo says of a reference to a workload that leads nowhere.
    pub fn missing_workload(&self, namespace: &str) -> Option<Problem> {
        let reference = self.workload.as_ref()?;
        let resource = match reference.kind.as_str() {
            "Deployment" => "deployments.apps",
            "ReplicaSet" => "replicasets.apps",
            _ => "podtemplates",
        };
        Some(Problem::new("", format!("{resource} \"{namespace}/{}\" not found", reference.name)))
    }

    /// Takes selector and template from the workload that the Rollout refers to, and says what is wrong with them.
    pub fn resolve(&mut self, workload: &Object) -> Vec<Problem> {
        let at_root = workload.kind() == "PodTemplate";
        let template = workload.pointer(if at_root { "/template" } else { "/spec/template" });
        self.template = template.cloned().unwrap_or(Value::Null);
        if self.selector.is_null() {
            self.selector = workload.pointer("/spec/selector").cloned().unwrap_or(Value::Null);
        }
        let mut fields = Fields::of(workload);
        check_template(&mut fields, &self.selector, &self.template);
        fields.into_problems()
    }
}

fn spec_of(object: &Object) -> &Value {
    object.pointer("/spec").unwrap_or(&Value::Null)
}

/// Reads `workloadRef`; beside it a template of its own is refused, in Argo's words.
fn workload(fields: &mut Fields<'_>, template: &Value) -> Option<WorkloadRef> {
    fields.value("spec.workloadRef")?;
    let has_template = template.pointer("/metadata/labels").or_else(|| template.pointer("/metadata/annotations"));
    let has_template = has_template.and_then(Value::as_object).is_some_and(|map| !map.is_empty());
    if has_template {
        fields.problem("spec.template", "Internal error: template must be empty for workload reference rollout");
    }
    let reference = WorkloadRef {
        api_version: fields.text("spec.workloadRef.apiVersion").unwrap_or_default(),
        kind: fields.text("spec.workloadRef.kind").unwrap_or_default(),
        name: fields.text("spec.workloadRef.name").unwrap_or_default(),
        scale_down: match fields.text("spec.workloadRef.scaleDown").as_deref() {
            Some("never") => Some(WorkloadScaleDown::Never),
            Some("onsuccess") => Some(WorkloadScaleDown::OnSuccess),
            Some("progressively") => Some(WorkloadScaleDown::Progressively),
            _ => None,
        },
    };
    let group = reference.api_version.split_once('/').map_or("", |(group, _)| group);
    if !matches!((group, reference.kind.as_str()), ("apps", "Deployment" | "ReplicaSet") | ("", "PodTemplate")) {
        fields.problem("", format!("workload of type {group}/{} is not supported", reference.kind));
    }
    Some(reference)
}

fn strategy(fields: &mut Fields<'_>, history_limit: u32) -> Strategy {
    let canary = fields.value("spec.strategy.canary");
    let blue_green = fields.value("spec.strategy.blueGreen");
    match (canary, blue_green) {
        (Some(canary), None) => Strategy::Canary(Box::new(read_canary(fields, canary))),
        (None, Some(value)) => Strategy::BlueGreen(Box::new(read_blue_green(fields, value, history_limit))),
        (Some(_), Some(_)) => {
            fields.problem(
                "spec.strategy.strategy",
                "Invalid value: \"blueGreen: true canary: true\": Multiple Strategies can not be listed",
            );
            Strategy::Unusable
        }
        (None, None) => {
            fields.problem(
                "spec.strategy.strategy",
                "Required value: Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'",
            );
            Strategy::Unusable
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::argo::CanaryStep;
    use serde_json::json;

    fn rollout(strategy: Value) -> (Rollout, Vec<String>) {
        let object = Object::parse(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "namespace": "qa"},
            "spec": {"replicas": 5, "selector": {"matchLabels": {"app": "web"}}, "strategy": strategy,
                     "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}}},
        }));
        let (rollout, problems) = Rollout::parse(&object.unwrap());
        (rollout, problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn steps_and_routing_are_read_as_argo_writes_them() {
        let (rollout, problems) = rollout(json!({"canary": {
            "canaryService": "c", "stableService": "s",
            "trafficRouting": {"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}},
            "steps": [{"setWeight": 20}, {"pause": {"duration": "6s"}}, {"pause": {}}, {"pause": {"duration": 3}}],
        }}));
        assert!(problems.is_empty(), "{problems:?}");
        assert!(rollout.is_routed());
        let Strategy::Canary(canary) = rollout.strategy else { panic!("a canary") };
        assert_eq!(
            canary.steps,
            [
                CanaryStep::SetWeight(20),
                CanaryStep::Pause(Some(Duration::from_secs(6))),
                CanaryStep::Pause(None),
                CanaryStep::Pause(Some(Duration::from_secs(3)))
            ]
        );
        assert_eq!(canary.abort_scale_down_delay, Some(Duration::from_secs(30)));
    }

    #[test]
    fn what_can_not_be_honoured_is_said_by_name() {
        let (_, problems) = rollout(
            json!({"canary": {"steps": [{"setWeight": 1200}, {"plugin": {"name": "a"}}], "trafficRouting": {"maxTrafficWeight": 1000}}}),
        );
        assert_eq!(
            problems,
            [
                "spec.strategy.trafficRouting.maxTrafficWeight: Invalid value: 1000: Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins",
                "spec.strategy.steps[0].setWeight: Invalid value: 1200: SetWeight needs to be between 0 and 1000",
                "spec.strategy.steps[1]: the step `plugin` is not served yet; setWeight, pause, setCanaryScale, analysis, experiment, setHeaderRoute and setMirrorRoute are",
            ]
        );
    }
}
