//! What must be so after every commit in the store, looked at from outside: by the objects alone, without the engine.
//!
//! | rule | what | where |
//! |---|---|---|
//! | I1 | no write of the operator takes available pods below what the strategy promises | [`pods`] |
//! | I2 | no more pods are asked for than replicas and surge | [`pods`] |
//! | I3 | weights are shares of 100 | [`traffic`] |
//! | I4 | no weight and no selector goes to a version without available pods while another has some | [`traffic`] |
//! | I5 | a version that gets traffic, or may get it back within its delay, keeps its pods | [`pods`] |
//! | I6 | steps go up one by one, and no pause is cut short | [`status`] |
//! | I7 | a version is promoted only after its successful analyses; a measurement counts once, and only what it measured | [`status`], [`measurements`] |
//! | I8, I9 | only what a story lets go is deleted, and only what an inventory owns by its uid | [`writes`] |
//! | I10 | what others put on objects stays: by the comparison of ends, in which it stands | `comparison` |
//! | I11 | pushes only add to the branch, an operation is on it once | `ways` |
//! | I12 | nothing is told healthy or ready that is of another generation | [`status`] |
//! | I13 | no value of a Secret is in what the operator writes | [`writes`] |
//! | I14 | at most [`writes::PER_MINUTE`] writes of one object in a minute | [`writes`] |
//! | I15 | who leads nothing changes nothing once another leads everything | [`writes`] |
//!
//! Rules about pods hold for what the operator writes, by what the server knew at that moment; where pods fail by
//! themselves in the same play, I1 and I4 are not judged, since a pod may fail between decision and write.

mod measurements;
mod pods;
mod status;
mod traffic;
mod view;
mod writes;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use scenario::comparison::is_operator;
use sim_cluster::{Cluster, WriteInfo};

use crate::play::{Play, lock};
use crate::story::Story;

/// What the rules remember.
#[derive(Default)]
pub(crate) struct Memory {
    /// When a version was last selected by the Service that serves, by namespace and ReplicaSet.
    pub(crate) left: BTreeMap<(String, String), u64>,
    /// Since when a Rollout is at its step.
    pub(crate) step_since: BTreeMap<(String, String), (i64, u64)>,
    /// Moments of the last writes by object.
    pub(crate) written: BTreeMap<String, VecDeque<u64>>,
}

/// What one write is judged by.
pub(crate) struct Ground<'a> {
    pub(crate) play: &'a Play,
    pub(crate) story: &'static Story,
    pub(crate) write: &'a WriteInfo,
    pub(crate) cluster: &'a Cluster,
    pub(crate) ms: u64,
}

impl Ground<'_> {
    pub(crate) fn broke(&self, rule: &'static str, what: String) {
        self.play.broke(rule, what);
    }
}

/// Judges every commit of a play until the play is over.
pub(crate) fn watch(play: &Arc<Play>, story: &'static Story) {
    let memory = Mutex::new(Memory::default());
    // The hook must not keep the cluster alive that keeps the hook.
    let weak = Arc::downgrade(play);
    let hook = move |write: &WriteInfo, cluster: &Cluster| {
        let Some(play) = weak.upgrade() else { return };
        let mut memory = lock(&memory);
        let ground = Ground { play: &play, story, write, cluster, ms: play.ms() };
        tell(&ground);
        traffic::remember(&ground, &mut memory);
        if is_operator(&write.actor) {
            judge(&ground, &mut memory);
        }
    };
    play.handle.with(|cluster| cluster.on_commit(Some(Arc::new(hook))));
}

fn judge(ground: &Ground<'_>, memory: &mut Memory) {
    writes::judge(ground, memory);
    match &*ground.write.change.resource {
        "replicasets.apps" => pods::judge(ground, memory),
        "services" | "virtualservices.networking.istio.io" | "ingresses.networking.k8s.io" => traffic::judge(ground),
        "rollouts.argoproj.io" => status::judge_rollout(ground, memory),
        "gitopsconfigs.sluice.dev" => status::judge_config(ground),
        "analysisruns.argoproj.io" => measurements::judge(ground),
        _ => {}
    }
}

/// Writes a line of the trace; what only tells of pods is left out of it.
fn tell(ground: &Ground<'_>) {
    let change = &ground.write.change;
    if matches!(&*change.resource, "events" | "endpointslices.discovery.k8s.io" | "endpoints") {
        return;
    }
    let user = &ground.write.actor.user.name;
    let actor = user.rsplit(':').next().unwrap_or(user);
    let suffix = if ground.write.subresource.is_empty() { "" } else { "/" };
    let what = format!(
        "{} {} {}/{}{suffix}{}",
        ground.write.verb, change.resource, change.namespace, change.name, ground.write.subresource
    );
    ground.play.tell(actor, &what, &view::summary(change));
}
