//! What a rollout decision reads.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::argo::{AnalysisRef, Canary, Rollout, RolloutStatus};
use api::{Problem, names};
use object_model::{Object, PodHash, RolloutRevision, Timestamp, Uid, parse_time};
use serde_json::Value;

use super::model::{self, Step, StepKind};
use super::pod_hash::pod_hash;
use super::routing::Routing;
use crate::{Key, View, kinds};

/// One ReplicaSet of a Rollout.
#[derive(Debug, Clone)]
pub struct ReplicaSetView {
    /// The object as seen.
    pub object: Arc<Object>,
    /// Its pod-template hash.
    pub hash: PodHash,
    /// Its revision.
    pub revision: RolloutRevision,
    /// Pods asked for.
    pub desired: u32,
    /// Pods that exist.
    pub current: u32,
    /// Ready pods.
    pub ready: u32,
    /// Available pods; 0 while the status is of an older generation.
    pub available: u32,
    /// When it may be scaled down.
    pub deadline: Option<Timestamp>,
}

impl ReplicaSetView {
    fn of(object: Arc<Object>) -> Option<Self> {
        let hash = PodHash::new(object.label(names::POD_TEMPLATE_HASH)?);
        let count = |pointer: &str| object.int_at(pointer).and_then(|count| u32::try_from(count).ok()).unwrap_or(0);
        let revision = object.annotation(names::ROLLOUT_REVISION).and_then(|text| text.parse().ok()).unwrap_or(0);
        Some(Self {
            hash,
            revision: RolloutRevision(revision),
            desired: object.int_at("/spec/replicas").and_then(|count| u32::try_from(count).ok()).unwrap_or(1),
            current: count("/status/replicas"),
            ready: count("/status/readyReplicas"),
            available: count("/status/availableReplicas"),
            deadline: object.annotation(names::SCALE_DOWN_DEADLINE).and_then(parse_time),
            object,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.object.name()
    }

    /// Whether `count` pods are asked for, exist and are available, and no more.
    pub fn is_settled_at(&self, count: u32) -> bool {
        self.desired == count && self.available >= count
    }
}

/// One AnalysisRun of a Rollout.
#[derive(Debug, Clone)]
pub struct RunView {
    /// The object as seen.
    pub object: Arc<Object>,
    /// `status.phase`; empty before the first measurement.
    pub phase: String,
    /// `status.message`.
    pub message: String,
}

impl RunView {
    fn of(object: Arc<Object>) -> Self {
        let text = |pointer: &str| object.str_at(pointer).unwrap_or_default().to_owned();
        Self { phase: text("/status/phase"), message: text("/status/message"), object }
    }

    /// Whether it has ended.
    pub fn is_completed(&self) -> bool {
        matches!(self.phase.as_str(), "Successful" | "Failed" | "Error" | "Inconclusive")
    }
}

/// Everything that a rollout decision reads.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The present moment.
    pub now: Timestamp,
    /// The Rollout as seen.
    pub rollout: Arc<Object>,
    /// Its spec.
    pub spec: Rollout,
    /// What is wrong with the spec.
    pub problems: Vec<Problem>,
    /// Its status.
    pub status: RolloutStatus,
    /// Its steps, lowered.
    pub steps: Vec<Step>,
    /// Hash of the steps as written.
    pub step_hash: String,
    /// Hash of the present pod template.
    pub hash: PodHash,
    /// Name of the ReplicaSet that the template belongs to.
    pub set_name: String,
    /// Whether a ReplicaSet of that name belongs to somebody else.
    pub name_taken: bool,
    /// Its ReplicaSets, oldest revision first.
    pub sets: Vec<ReplicaSetView>,
    /// The canary Service, when it exists.
    pub canary_service: Option<Arc<Object>>,
    /// The stable Service, when it exists.
    pub stable_service: Option<Arc<Object>>,
    /// The traffic objects.
    pub routing: Routing,
    /// AnalysisTemplates by (name, whether cluster-scoped).
    pub templates: BTreeMap<(String, bool), Arc<Object>>,
    /// Its AnalysisRuns by name.
    pub runs: BTreeMap<String, RunView>,
}

impl Snapshot {
    /// Reads the snapshot of one Rollout.
    pub fn observe(view: &dyn View, key: &Key) -> Option<Self> {
        let rollout = view.get(&kinds::rollout(), &key.namespace, &key.name)?;
        let uid = rollout.uid()?;
        let (spec, mut problems) = Rollout::parse(&rollout);
        let status = RolloutStatus::parse(&rollout);
        let sets = replica_sets(view, &uid);
        let hash = pod_hash(&spec.template, status.collision_count);
        let set_name = format!("{}-{hash}", key.name);
        let name_taken = !sets.iter().any(|set| set.name() == set_name)
            && view.get(&kinds::replica_set(), &key.namespace, &set_name).is_some();
        let canary = model::canary_of(&spec);
        let service = |name: Option<&String>| view.get(&kinds::service(), &key.namespace, name?);
        let runs = view.owned(&kinds::analysis_run(), &uid).into_iter().map(RunView::of);
        let steps = model::lower_argo(&spec);
        Some(Self {
            now: view.now(),
            canary_service: service(canary.and_then(|canary| canary.canary_service.as_ref())),
            stable_service: service(canary.and_then(|canary| canary.stable_service.as_ref())),
            routing: canary.map(|canary| Routing::observe(view, &rollout, canary, &mut problems)).unwrap_or_default(),
            templates: canary.map(|canary| templates(view, key, canary, &steps)).unwrap_or_default(),
            runs: runs.map(|run| (run.object.name().to_owned(), run)).collect(),
            step_hash: model::step_hash(canary.map_or(&Value::Null, |canary| &canary.raw_steps)),
            rollout,
            spec,
            problems,
            status,
            steps,
            hash,
            set_name,
            name_taken,
            sets,
        })
    }

    /// The canary strategy.
    pub fn canary(&self) -> Option<&Canary> {
        model::canary_of(&self.spec)
    }

    /// The ReplicaSet of the present template.
    pub fn new_set(&self) -> Option<&ReplicaSetView> {
        self.sets.iter().find(|set| set.hash == self.hash)
    }

    /// The ReplicaSet of the stable version.
    pub fn stable_set(&self) -> Option<&ReplicaSetView> {
        let stable = self.status.stable.as_ref()?;
        self.sets.iter().find(|set| set.hash == *stable)
    }

    /// The highest revision of any ReplicaSet.
    pub fn last_revision(&self) -> u64 {
        self.sets.iter().map(|set| set.revision.0).max().unwrap_or(0)
    }

    /// Index of the first step that the engine adds: past the user's own list.
    pub fn user_steps(&self) -> usize {
        self.steps.iter().take_while(|step| !matches!(step.kind, StepKind::Promote | StepKind::Finish)).count()
    }

    /// The Rollout's uid.
    pub fn uid(&self) -> Uid {
        self.rollout.uid().unwrap_or_else(|| Uid::new(""))
    }

    /// The Rollout's namespace.
    pub fn namespace(&self) -> &str {
        self.rollout.namespace().unwrap_or_default()
    }
}

fn replica_sets(view: &dyn View, uid: &Uid) -> Vec<ReplicaSetView> {
    let owned = view.owned(&kinds::replica_set(), uid).into_iter().filter(|set| !set.is_deleting());
    let mut sets: Vec<_> = owned.filter_map(ReplicaSetView::of).collect();
    sets.sort_by(|a, b| a.revision.cmp(&b.revision).then_with(|| a.name().cmp(b.name())));
    sets
}

fn templates(view: &dyn View, key: &Key, canary: &Canary, steps: &[Step]) -> BTreeMap<(String, bool), Arc<Object>> {
    let in_steps = steps.iter().filter_map(|step| match &step.kind {
        StepKind::Analyze(analysis) => Some(analysis),
        _ => None,
    });
    let mut wanted: Vec<(String, bool)> =
        canary.analysis.iter().chain(in_steps).flat_map(|a: &AnalysisRef| a.templates.clone()).collect();
    let mut found = BTreeMap::new();
    // Templates may name further templates; the visited set ends cycles.
    while let Some(name) = wanted.pop() {
        if found.contains_key(&name) || found.len() > 100 {
            continue;
        }
        let object = match name.1 {
            true => view.get(&kinds::cluster_analysis_template(), "", &name.0),
            false => view.get(&kinds::analysis_template(), &key.namespace, &name.0),
        };
        let Some(object) = object else { continue };
        for nested in object.list_at("/spec/templates") {
            if let Some(nested_name) = nested.get("templateName").and_then(Value::as_str) {
                let cluster = nested.get("clusterScope").and_then(Value::as_bool).unwrap_or(false);
                wanted.push((nested_name.to_owned(), cluster));
            }
        }
        found.insert(name, object);
    }
    found
}
