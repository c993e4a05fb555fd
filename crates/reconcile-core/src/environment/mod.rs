//! The environment domain: a namespace with its walls, made as the ServiceAccount that holds the rights.

use std::sync::Arc;

use api::{Environment, Problem};
use diff_engine::{Applied, Claims, CompareOptions};
use env_promotion::{Access, EnvironmentSpec, SubjectKind, namespace_objects};
use object_model::{Condition, ConditionStatus, Object, Timestamp, set_condition};
use serde_json::{Value, json};

use crate::patch::{digest, merge_patch};
use crate::{
    Act, Action, Actor, Domain, EventType, FieldManager, Key, Kind, Note, ObjectRef, Plan, Precondition, Reason,
    StatusPatch, View, Violation, kinds,
};

/// Makes environments.
#[derive(Debug, Clone, Default)]
pub struct EnvironmentDomain;

/// One object of an environment, wanted and live.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its kind.
    pub kind: Kind,
    /// What it should be.
    pub wanted: Object,
    /// What is there.
    pub live: Option<Arc<Object>>,
    /// Why the last write was refused.
    pub refusal: Option<String>,
}

/// Everything that an environment decision reads.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The present moment.
    pub now: Timestamp,
    /// The Environment as seen.
    pub environment: Arc<Object>,
    /// Its spec.
    pub spec: Environment,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// Its objects in the order of creation.
    pub parts: Vec<Part>,
}

impl Domain for EnvironmentDomain {
    type Snapshot = Snapshot;

    const NAME: &'static str = "environment";

    fn observe(&self, view: &dyn View, key: &Key) -> Option<Snapshot> {
        let environment = view.get(&kinds::environment(), "", &key.name)?;
        let uid = environment.uid()?;
        let (spec, problems) = Environment::parse(&environment);
        let part = |wanted: Object| {
            let kind = kind_of(&wanted)?;
            let target = ObjectRef::of(&kind, &wanted);
            let live = view.get(&kind, wanted.namespace().unwrap_or_default(), wanted.name());
            Some(Part { live, refusal: view.refusal(&uid, &target).map(|refusal| refusal.message), kind, wanted })
        };
        let parts = wanted(&spec).into_iter().filter_map(part).collect();
        Some(Snapshot { now: view.now(), environment, spec, problems, parts })
    }

    fn decide(&self, snapshot: &Snapshot) -> Plan {
        let mut plan = decide(snapshot);
        plan.hush();
        plan
    }

    fn check(&self, _snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
        let mut violations = Vec::new();
        for (stage, act) in
            plan.stages.iter().enumerate().flat_map(|(stage, acts)| acts.iter().map(move |act| (stage, act)))
        {
            if act.actor == Actor::Operator || !matches!(act.action, Action::Apply { .. }) {
                let message = "an environment is only applied, and as its ServiceAccount".to_owned();
                violations.push(Violation { rule: "environment-has-an-actor", message, stage: Some(stage) });
            }
        }
        violations
    }

    fn watches(&self) -> Vec<Kind> {
        vec![
            kinds::environment(),
            kinds::namespace(),
            kinds::service_account(),
            kinds::network_policy(),
            kinds::resource_quota(),
            kinds::role_binding(),
        ]
    }

    fn keys_for(&self, _view: &dyn View, object: &Object) -> Vec<Key> {
        if object.kind() == "Environment" {
            return vec![Key::of(object)];
        }
        object.label(ENVIRONMENT_LABEL).map(|name| Key::new("", name)).into_iter().collect()
    }
}

/// Label that names the environment of an object; the watches of this domain are filtered by it.
pub const ENVIRONMENT_LABEL: &str = "sluice.dev/environment";

/// The objects of an environment: those of env-promotion, and the account that applies what Git says.
fn wanted(spec: &Environment) -> Vec<Object> {
    let deployer = Access {
        kind: SubjectKind::ServiceAccount,
        name: spec.deployer.clone(),
        namespace: String::new(),
        role: spec.cluster_role.clone(),
    };
    let model = EnvironmentSpec {
        name: spec.name.clone(),
        namespace: spec.namespace.clone(),
        quota: spec.quota.clone(),
        access: vec![deployer],
        ..EnvironmentSpec::default()
    };
    let mut account = Object::new("v1", "ServiceAccount", Some(&spec.namespace), &spec.deployer);
    account.set_label(ENVIRONMENT_LABEL, &spec.name);
    let mut objects = namespace_objects(&model);
    objects.insert(objects.len().min(1), account);
    objects
}

fn kind_of(object: &Object) -> Option<Kind> {
    match object.kind() {
        "Namespace" => Some(kinds::namespace()),
        "ServiceAccount" => Some(kinds::service_account()),
        "NetworkPolicy" => Some(kinds::network_policy()),
        "ResourceQuota" => Some(kinds::resource_quota()),
        "RoleBinding" => Some(kinds::role_binding()),
        _ => None,
    }
}

fn decide(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::empty();
    if snapshot.environment.is_deleting() {
        return plan;
    }
    let mut ready = Condition::new(
        "Ready",
        ConditionStatus::True,
        "Ready",
        format!("namespace {} stands", snapshot.spec.namespace),
    );
    if let Some(problem) = snapshot.problems.first() {
        ready = Condition::new("Ready", ConditionStatus::False, "InvalidSpec", problem.to_string());
    } else {
        apply(snapshot, &mut plan, &mut ready);
    }
    if ready.status == ConditionStatus::False {
        plan.report.problems.push(ready.message.clone());
        let about = ObjectRef::of(&kinds::environment(), &snapshot.environment);
        let reason = if ready.reason == "InvalidSpec" { "InvalidSpec" } else { "ApplyFailed" };
        let transition = format!("{reason}/{}", digest(&ready.message));
        let uid = snapshot.environment.uid().unwrap_or_else(|| object_model::Uid::new(""));
        plan.notes.push(Note {
            about,
            uid,
            kind: EventType::Warning,
            reason: Reason(reason),
            message: ready.message.clone(),
            transition,
        });
    }
    write(snapshot, ready, &mut plan);
    plan
}

/// Applies the first part that differs; what lies in a namespace comes after it.
fn apply(snapshot: &Snapshot, plan: &mut Plan, ready: &mut Condition) {
    let (namespace, name) = snapshot.spec.service_account.clone();
    let actor = Actor::ServiceAccount { namespace, name };
    let claims = Claims::default();
    let options = CompareOptions {
        field_manager: FieldManager::Environment.name(),
        applied: Applied::Unknown,
        claims: &claims,
        ignore: &[],
    };
    let differs = |part: &&Part| {
        part.live.as_ref().is_none_or(|live| !diff_engine::compare(&part.wanted, live, &options).is_in_sync())
    };
    let mut acts = Vec::new();
    for part in snapshot.parts.iter().filter(differs) {
        let target = ObjectRef::of(&part.kind, &part.wanted);
        if let Some(why) = &part.refusal {
            *ready = Condition::new("Ready", ConditionStatus::False, "ApplyFailed", format!("{target}: {why}"));
            continue;
        }
        if acts.is_empty() && ready.status == ConditionStatus::True {
            *ready =
                Condition::new("Ready", ConditionStatus::Unknown, "Applying", format!("{target} is being applied"));
        }
        let is_namespace = part.kind.kind == "Namespace";
        acts.push(
            Act::new(Action::Apply {
                kind: part.kind.clone(),
                object: Box::new(part.wanted.clone()),
                manager: FieldManager::Environment,
                force: false,
                precondition: part.live.as_ref().map(|live| Precondition::uid(live)).unwrap_or_default(),
            })
            .by(actor.clone()),
        );
        if is_namespace {
            break;
        }
    }
    plan.stage(acts);
}

fn write(snapshot: &Snapshot, ready: Condition, plan: &mut Plan) {
    let live = snapshot.environment.pointer("/status").cloned().unwrap_or_else(|| json!({}));
    let mut status = live.clone();
    let known = live.get("conditions").cloned().unwrap_or(Value::Null);
    let mut conditions: Vec<Condition> = serde_json::from_value(known).unwrap_or_default();
    let generation = snapshot.environment.generation();
    set_condition(&mut conditions, ready.observed(generation), snapshot.now);
    if let Value::Object(map) = &mut status {
        map.insert("observedGeneration".to_owned(), generation.into());
        map.insert("namespace".to_owned(), snapshot.spec.namespace.clone().into());
        map.insert("conditions".to_owned(), serde_json::to_value(conditions).unwrap_or(Value::Null));
    }
    let Some(patch) = merge_patch(&live, &status) else { return };
    plan.status = Some(StatusPatch {
        target: ObjectRef::of(&kinds::environment(), &snapshot.environment),
        patch: json!({"status": patch}),
        precondition: Precondition::exact(&snapshot.environment),
        subresource: true,
    });
}
