//! What a rollout decision reads.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use api::Problem;
use api::argo::{AnalysisRef, BlueGreen, Canary, Rollout, RolloutStatus, Strategy};
use api::names;
use object_model::{Duration, LabelSelector, Object, PodHash, Timestamp, Uid, Weight};

use super::experiments::{self, ExperimentView};
use super::model::{self, Step, StepKind};
use super::pod_hash::{bare_template, comparable, older_pod_hash, pod_hash};
use super::pods::{self, PodView};
use super::references;
use super::replica_set::ReplicaSetView;
use super::routing::Routing;
use super::services::RoleServices;
use super::unreadable;
use super::workload;
use crate::analysis::recipe;
use crate::time::after;
use crate::{Key, View, kinds};

/// Longer than watches of one server are apart, with the second to which the server rounds its times.
const SETTLING: Duration = Duration::from_secs(3);

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
    /// Whether some of them are the spec's own; the others are about what it names.
    pub(super) is_unfit_by_itself: bool,
    /// Amounts of the template that can't be read and were left out, by their paths.
    pub unreadable: Vec<String>,
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
    /// The workload that the template comes from, when the Rollout refers to one and it exists.
    pub workload: Option<Arc<Object>>,
    /// The pods of its ReplicaSets by their names, as far as a restart or the metadata of a role needs them.
    pub pods: BTreeMap<String, Vec<PodView>>,
    /// The Services for canary and stable.
    pub services: RoleServices,
    /// The active Service of a blue-green strategy, when it exists.
    pub active_service: Option<Arc<Object>>,
    /// The preview Service of a blue-green strategy, when it exists.
    pub preview_service: Option<Arc<Object>>,
    /// The traffic objects.
    pub routing: Routing,
    /// AnalysisTemplates by (name, whether cluster-scoped).
    pub templates: BTreeMap<(String, bool), Arc<Object>>,
    /// Its AnalysisRuns by name.
    pub runs: BTreeMap<String, RunView>,
    /// Its Experiments by name.
    pub experiments: BTreeMap<String, ExperimentView>,
}

impl Snapshot {
    /// Reads the snapshot of one Rollout.
    pub fn observe(view: &dyn View, key: &Key) -> Option<Self> {
        let rollout = view.get(&kinds::rollout(), &key.namespace, &key.name)?;
        let uid = rollout.uid()?;
        let (mut spec, mut problems) = Rollout::parse(&rollout);
        let is_unfit_by_itself = !problems.is_empty();
        let workload = workload::resolve(view, key, &mut spec, &mut problems);
        let unreadable = unreadable::relieve(&mut spec.template);
        let status = RolloutStatus::parse(&rollout);
        let sets = replica_sets(view, &uid, &spec);
        let (hash, set_name) = match own_set(&spec, &status, &sets) {
            Some(set) => (set.hash.clone(), set.name().to_owned()),
            None => {
                let hash = pod_hash(&spec.template, status.collision_count);
                let name = format!("{}-{hash}", key.name);
                (hash, name)
            }
        };
        let name_taken = !sets.iter().any(|set| set.name() == set_name)
            && view.get(&kinds::replica_set(), &key.namespace, &set_name).is_some();
        let canary = model::canary_of(&spec);
        let blue_green = model::blue_green_of(&spec);
        let service = |name: Option<&String>| view.get(&kinds::service(), &key.namespace, name?);
        let active_service = service(blue_green.map(|strategy| &strategy.active_service));
        let preview_service = service(blue_green.and_then(|strategy| strategy.preview_service.as_ref()));
        let labels = of_versions(&sets, &hash);
        let runs = view.owned_with(&kinds::analysis_run(), &uid, &labels).into_iter().map(RunView::of);
        let experiments = view.owned_with(&kinds::experiment(), &uid, &labels).into_iter().map(ExperimentView::of);
        let steps = model::lower_argo(&spec);
        problems.extend(references::services(view, key, &spec));
        problems.extend(references::templates(view, key, &spec.strategy));
        let mut snapshot = Self {
            now: view.now(),
            services: RoleServices::observe(canary, &status, service),
            pods: pods::observe(view, &uid, &spec, &status, &sets),
            workload,
            routing: canary
                .map(|canary| Routing::observe(view, &rollout, canary, &mut problems))
                .unwrap_or_default()
                .with_left_behind(view, &rollout, &references::service_names(&spec)),
            templates: templates(view, key, analyses(&spec.strategy, &steps)),
            active_service,
            preview_service,
            runs: runs.map(|run| (run.object.name().to_owned(), run)).collect(),
            experiments: experiments.map(|found| (found.object.name().to_owned(), found)).collect(),
            step_hash: canary.map(|canary| model::step_hash(&canary.raw_steps)).unwrap_or_default(),
            rollout,
            spec,
            problems,
            is_unfit_by_itself,
            unreadable,
            status,
            steps,
            hash,
            set_name,
            name_taken,
            sets,
        };
        snapshot.routing.additional = experiments::shares(&snapshot);
        Some(snapshot)
    }

    /// Until when what the spec names may still be on its way: a Service or template of the same commit comes by another
    /// watch, and may be seen later than the Rollout. `None` when there is nothing to wait for.
    pub(super) fn settles_at(&self) -> Option<Timestamp> {
        let changed = self.rollout.changed_at().filter(|_| !self.is_unfit_by_itself)?;
        let settled = after(changed, SETTLING)?;
        // What a clock far ahead of this one wrote is not waited for.
        let is_recent = self.now < settled && changed <= after(self.now, SETTLING)?;
        is_recent.then_some(settled)
    }

    /// The canary strategy.
    pub fn canary(&self) -> Option<&Canary> {
        model::canary_of(&self.spec)
    }

    /// What weights are shares of.
    pub fn weight_total(&self) -> u32 {
        self.canary().map_or(Weight::FULL.get(), |canary| canary.weight_total)
    }

    /// The weight of a version that has all traffic.
    pub fn all_traffic(&self) -> Weight {
        Weight::capped(self.weight_total(), self.weight_total())
    }

    /// The blue-green strategy.
    pub fn blue_green(&self) -> Option<&BlueGreen> {
        model::blue_green_of(&self.spec)
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

    /// The revision of the present template; one that came back has the next one, also before that is written.
    pub fn revision(&self) -> u64 {
        let last = self.last_revision();
        self.new_set().map_or(last, |set| if set.revision.0 == last { last } else { last + 1 })
    }

    /// Index of the first step that the engine adds: past the user's own list.
    pub fn user_steps(&self) -> usize {
        self.steps.iter().take_while(|step| !matches!(step.kind, StepKind::Promote | StepKind::Finish)).count()
    }

    /// The version of the Rollout that is decided on: it names transitions that may come again.
    pub fn version(&self) -> &str {
        self.rollout.resource_version().unwrap_or_default()
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

/// The labels of what belongs to a version: each analysis and experiment carries the hash of its own.
fn of_versions(sets: &[ReplicaSetView], present: &PodHash) -> String {
    let hashes: BTreeSet<&str> = sets.iter().map(|set| &set.hash).chain([present]).map(PodHash::as_str).collect();
    format!("{} in ({})", names::POD_TEMPLATE_HASH, Vec::from_iter(hashes).join(","))
}

fn replica_sets(view: &dyn View, uid: &Uid, spec: &Rollout) -> Vec<ReplicaSetView> {
    // What a ReplicaSet makes has to match the selector of the Rollout, and it carries the labels of its template.
    let labels = LabelSelector::parse(&spec.selector).map(|selector| selector.to_string()).unwrap_or_default();
    let owned = view.owned_with(&kinds::replica_set(), uid, &labels).into_iter().filter(|set| !set.is_deleting());
    let mut sets: Vec<_> = owned.filter_map(ReplicaSetView::of).collect();
    sets.sort_by(|a, b| a.revision.cmp(&b.revision).then_with(|| a.name().cmp(b.name())));
    sets
}

/// The ReplicaSet of the present template, whoever made it and whatever its hash: first the one that the status names, then
/// the newest with an equal template, last one under a hash that some controller gave this template.
fn own_set<'a>(spec: &Rollout, status: &RolloutStatus, sets: &'a [ReplicaSetView]) -> Option<&'a ReplicaSetView> {
    let wanted = comparable(&spec.template);
    let equal = |set: &&ReplicaSetView| comparable(&bare_template(&set.object)) == wanted;
    let current = sets.iter().filter(|set| status.current.as_ref() == Some(&set.hash)).find(equal);
    current.or_else(|| sets.iter().rev().find(equal)).or_else(|| {
        let hashes = [pod_hash, older_pod_hash].map(|hash| hash(&spec.template, status.collision_count));
        sets.iter().rev().find(|set| hashes.contains(&set.hash))
    })
}

/// Every analysis that the strategy may start.
fn analyses<'a>(strategy: &'a Strategy, steps: &'a [Step]) -> Vec<&'a AnalysisRef> {
    let in_steps = steps.iter().filter_map(|step| match &step.kind {
        StepKind::Analyze(analysis) => Some(analysis),
        _ => None,
    });
    match strategy {
        Strategy::Canary(canary) => canary.analysis.iter().chain(in_steps).collect(),
        Strategy::BlueGreen(strategy) => strategy.pre_promotion.iter().chain(&strategy.post_promotion).collect(),
        Strategy::Unusable => Vec::new(),
    }
}

fn templates(view: &dyn View, key: &Key, analyses: Vec<&AnalysisRef>) -> recipe::Recipes {
    let wanted = analyses.into_iter().flat_map(|analysis| analysis.templates.clone()).collect();
    recipe::read(view, &key.namespace, wanted)
}
