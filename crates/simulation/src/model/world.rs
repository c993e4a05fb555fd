//! The generated world: a Rollout, its Services and route, ReplicaSets whose pods come when they are let.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use object_model::{Object, Timestamp};
use reconcile_core::rollout::RolloutDomain;
use reconcile_core::{Action, Domain, Key, Kind, MemoryView, Plan, Precondition, View, kinds};
use serde_json::{Map, Value, json};

use super::runs;
use crate::choice::next;

pub(super) const NAMESPACE: &str = "qa";
pub(super) const HASH: &str = "rollouts-pod-template-hash";
/// How much of the log is shown.
const TAIL: usize = 2_500;

pub(super) struct World {
    pub(super) view: MemoryView,
    domain: RolloutDomain,
    key: Key,
    version: u64,
    images: u64,
    /// The step that the status tells of, since when, and whether a person has ended its pause.
    step: (i64, Timestamp, bool),
    /// When the Service that serves left a version.
    left: BTreeMap<String, Timestamp>,
    pub(super) decisions: u64,
    pub(super) log: String,
}

fn virtual_service() -> Kind {
    Kind::namespaced("networking.istio.io", "v1alpha3", "VirtualService", "virtualservices")
}

fn strategy(state: &mut u64) -> Value {
    let mut steps = Vec::new();
    let mut weight = 0;
    for _ in 0..1 + next(state) % 4 {
        weight = (weight + 10 + next(state) % 40).min(100);
        steps.push(json!({"setWeight": weight}));
        match next(state) % 5 {
            0 => steps.push(json!({"pause": {}})),
            1 => steps.push(json!({"analysis": {"templates": [{"templateName": runs::TEMPLATE}]}})),
            2 | 3 => steps.push(json!({"pause": {"duration": format!("{}s", 1 + next(state) % 8)}})),
            _ => {}
        }
    }
    let delay = next(state) % 8;
    match next(state) % 4 {
        0 => json!({"canary": {"steps": steps, "maxSurge": 1 + next(state) % 2, "maxUnavailable": next(state) % 2}}),
        1 => json!({"blueGreen": {
            "activeService": "stable", "previewService": "canary", "autoPromotionSeconds": 1 + next(state) % 6,
            "scaleDownDelaySeconds": delay, "previewReplicaCount": 1,
        }}),
        kind => {
            let mut canary = json!({
                "canaryService": "canary", "stableService": "stable", "steps": steps, "scaleDownDelaySeconds": delay,
                "abortScaleDownDelaySeconds": 1 + next(state) % 6,
                "trafficRouting": {"istio": {"virtualService": {"name": "web", "routes": ["primary"]}}},
            });
            if let (3, Some(map)) = (kind, canary.as_object_mut()) {
                map.remove("scaleDownDelaySeconds");
                map.remove("abortScaleDownDelaySeconds");
                map.insert("dynamicStableScale".to_owned(), true.into());
            }
            json!({"canary": canary})
        }
    }
}

impl World {
    pub(super) fn new(state: &mut u64) -> Self {
        let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap_or_default();
        let mut world = Self {
            view: MemoryView { now, served: kinds::traffic(), ..MemoryView::default() },
            domain: RolloutDomain::default(),
            key: Key::new(NAMESPACE, "web"),
            version: 1,
            images: 1,
            step: (0, now, false),
            left: BTreeMap::new(),
            decisions: 0,
            log: String::new(),
        };
        world.put(&kinds::analysis_template(), runs::template());
        for name in ["stable", "canary"] {
            let spec = json!({"selector": {"app": "web"}, "ports": [{"port": 80}]});
            world.put(
                &kinds::service(),
                json!({"apiVersion": "v1", "kind": "Service",
                "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}),
            );
        }
        let route = |host: &str, weight: u32| json!({"destination": {"host": host}, "weight": weight});
        let http = json!([{"name": "primary", "route": [route("stable", 100), route("canary", 0)]}]);
        world.put(
            &virtual_service(),
            json!({"apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService",
            "metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {"hosts": ["web"], "http": http}}),
        );
        let spec = json!({
            "replicas": 1 + next(state) % 6, "revisionHistoryLimit": 1 + next(state) % 3,
            "selector": {"matchLabels": {"app": "web"}}, "strategy": strategy(state),
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}},
        });
        world.put(
            &kinds::rollout(),
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": NAMESPACE}, "spec": spec}),
        );
        world
    }

    fn put(&mut self, kind: &Kind, json: Value) {
        let Ok(mut object) = Object::parse(json) else { return };
        self.version += 1;
        object.set_at(&["metadata", "resourceVersion"], self.version.to_string().into());
        if object.uid().is_none() {
            object.set_at(&["metadata", "uid"], format!("uid-{}-{}", object.kind(), self.version).into());
        }
        let before = self.view.get(kind, NAMESPACE, object.name());
        let same_spec = before.as_ref().is_some_and(|before| before.pointer("/spec") == object.pointer("/spec"));
        if !same_spec {
            let generation = before.map_or(0, |before| before.generation()) + 1;
            object.set_at(&["metadata", "generation"], generation.into());
        }
        self.view.put(kind, object);
    }

    pub(super) fn change(&mut self, kind: &Kind, name: &str, patch: &Value) {
        let Some(object) = self.view.get(kind, NAMESPACE, name) else { return };
        let mut json = object.to_json();
        merge(&mut json, patch);
        self.put(kind, json);
    }

    fn rollout(&self) -> Option<Arc<Object>> {
        self.view.get(&kinds::rollout(), NAMESPACE, "web")
    }

    fn plan(&mut self) -> Result<Plan, String> {
        self.decisions += 1;
        self.view.reads.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
        let snapshot = self.domain.observe(&self.view, &self.key).ok_or("the Rollout is gone")?;
        let plan = self.domain.decide(&snapshot);
        match self.domain.check(&snapshot, &plan).first() {
            Some(violation) => Err(format!("{}: {}\n{}", violation.rule, violation.message, self.tail())),
            None => Ok(plan),
        }
    }

    /// Decides and carries a part of the plan out, as an operator does that dies on the way.
    pub(super) fn decide_some(&mut self, random: u64) -> Result<(), String> {
        let plan = self.plan()?;
        let count = plan.acts().count() as u64;
        let part = if random.is_multiple_of(3) { random / 3 % (count + 1) } else { count + 1 };
        self.carry_out(&plan, part).map(|_| ())
    }

    /// Decides and carries everything out; `false` when there was nothing.
    pub(super) fn decide_all(&mut self) -> Result<bool, String> {
        let plan = self.plan()?;
        self.carry_out(&plan, u64::MAX)
    }

    fn carry_out(&mut self, plan: &Plan, part: u64) -> Result<bool, String> {
        for (done, act) in (0..).zip(plan.acts()) {
            if done >= part {
                return Ok(true);
            }
            self.act(&act.action)?;
        }
        if let Some(status) = plan.status.as_ref().filter(|_| part > plan.acts().count() as u64) {
            let name = status.target.name.clone();
            let before = self.rollout();
            self.change(&kinds::rollout(), &name, &status.patch);
            if let Some((before, after)) = before.zip(self.rollout()) {
                self.judge_status(&before, &after)?;
                self.judge_promotion(&before, &after)?;
            }
            let step = self.rollout().and_then(|rollout| rollout.int_at("/status/currentStepIndex")).unwrap_or(0);
            let _ = writeln!(self.log, "status step {step}");
        }
        Ok(plan.acts().next().is_some() || plan.status.is_some())
    }

    fn act(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Create { kind, object } if self.view.get(kind, NAMESPACE, object.name()).is_none() => {
                let _ = writeln!(self.log, "create {}", object.name());
                self.put(kind, object.to_json());
                self.judge(kind, object.name(), None)?;
                self.judge_run(object.name())?;
            }
            Action::Patch { target, patch, precondition } => {
                if !self.holds(&target.kind, &target.name, precondition) {
                    return Ok(());
                }
                let _ = writeln!(self.log, "patch {} {} {patch}", target.kind.kind, target.name);
                let before = self.view.get(&target.kind, NAMESPACE, &target.name);
                self.change(&target.kind, &target.name, patch);
                self.judge(&target.kind, &target.name, before.as_deref())?;
                if let Some(left) = before.as_ref().filter(|_| target.name == "stable") {
                    let hash = left.str_at(&format!("/spec/selector/{HASH}")).unwrap_or_default();
                    if hash != self.selected("stable") {
                        self.left.insert(hash.to_owned(), self.view.now);
                    }
                }
            }
            Action::Delete { target, precondition, .. } if self.holds(&target.kind, &target.name, precondition) => {
                let _ = writeln!(self.log, "delete {}", target.name);
                let set = self.view.get(&target.kind, NAMESPACE, &target.name);
                if set.is_some_and(|set| set.int_at("/spec/replicas").unwrap_or(0) > 0) {
                    return Err(format!("{} was deleted with pods\n{}", target.name, self.tail()));
                }
                self.view.objects.remove(&(target.kind.clone(), NAMESPACE.to_owned(), target.name.clone()));
            }
            _ => {}
        }
        Ok(())
    }

    fn holds(&self, kind: &Kind, name: &str, precondition: &Precondition) -> bool {
        let Some(object) = self.view.get(kind, NAMESPACE, name) else { return false };
        let version = precondition.resource_version.as_deref();
        precondition.uid.as_ref().is_none_or(|uid| object.uid().as_ref() == Some(uid))
            && version.is_none_or(|version| object.resource_version() == Some(version))
    }

    fn selected(&self, service: &str) -> String {
        let service = self.view.get(&kinds::service(), NAMESPACE, service);
        service
            .and_then(|service| service.str_at(&format!("/spec/selector/{HASH}")).map(str::to_owned))
            .unwrap_or_default()
    }

    fn available(&self, hash: &str) -> i64 {
        let sets = self.view.list(&kinds::replica_set(), NAMESPACE);
        let set = sets.iter().find(|set| set.label(HASH) == Some(hash));
        set.and_then(|set| set.int_at("/status/availableReplicas")).unwrap_or(0)
    }

    fn weight(&self) -> i64 {
        let service = self.view.get(&virtual_service(), NAMESPACE, "web");
        service.and_then(|service| service.int_at("/spec/http/0/route/1/weight")).unwrap_or(0)
    }

    /// The rules about one write, by what the world looks like now.
    fn judge(&self, kind: &Kind, name: &str, before: Option<&Object>) -> Result<(), String> {
        let fail = |what: String| Err(format!("{what}\n{}", self.tail()));
        let Some(after) = self.view.get(kind, NAMESPACE, name) else { return Ok(()) };
        let Some(rollout) = self.rollout() else { return Ok(()) };
        let all = rollout.int_at("/spec/replicas").unwrap_or(1);
        let is_routed = rollout.pointer("/spec/strategy/canary/trafficRouting").is_some();
        let is_blue_green = rollout.pointer("/spec/strategy/blueGreen").is_some();
        let int =
            |object: Option<&Object>, pointer: &str| object.and_then(|object| object.int_at(pointer)).unwrap_or(0);
        match kind.kind.as_str() {
            "VirtualService" => {
                let stable = int(Some(&after), "/spec/http/0/route/0/weight");
                let (was, is) = (int(before, "/spec/http/0/route/1/weight"), self.weight());
                if stable + is != 100 {
                    return fail(format!("weights {stable} and {is}"));
                }
                if is > was && self.available(&self.selected("canary")) == 0 {
                    return fail(format!("weight {is} goes to a version without pods"));
                }
            }
            "Service" => {
                let was = before.and_then(|before| before.str_at(&format!("/spec/selector/{HASH}")));
                let is = self.selected(name);
                let gets_requests = (name == "stable" && (is_routed || is_blue_green)) || self.weight() > 0;
                let was_served = was.is_some_and(|was| was != is && self.available(was) > 0);
                if gets_requests && was_served && self.available(&is) == 0 {
                    return fail(format!("Service {name} goes to {is}, which has no pods"));
                }
            }
            "ReplicaSet" => {
                let (was, is) = (int(before, "/spec/replicas"), int(Some(&after), "/spec/replicas"));
                let hash = after.label(HASH).unwrap_or_default();
                let gives_up = rollout.bool_at("/spec/strategy/canary/dynamicStableScale") == Some(true);
                let share = if gives_up { 100 - self.weight() } else { 100 };
                let serves = (is_routed || is_blue_green) && self.selected("stable") == hash;
                if is < was && serves && is < (all * share + 99) / 100 {
                    return fail(format!("{name} serves and goes from {was} to {is} pods"));
                }
                let has_pods = int(Some(&after), "/status/availableReplicas") > 0;
                if is == 0 && was > 0 && has_pods && self.is_within_delay(&rollout, hash) {
                    return fail(format!("{name} has served a moment ago and loses its pods"));
                }
                let sets = self.view.list(&kinds::replica_set(), NAMESPACE);
                if sets.iter().filter(|set| set.label(HASH) == Some(hash)).count() > 1 {
                    return fail(format!("version {hash} has two ReplicaSets"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether a version that was stable has to stay for its delay.
    fn is_within_delay(&self, rollout: &Object, hash: &str) -> bool {
        let strategy = ["blueGreen", "canary"]
            .into_iter()
            .find_map(|strategy| rollout.int_at(&format!("/spec/strategy/{strategy}/scaleDownDelaySeconds")));
        let is_over = rollout.str_at("/status/stableRS") == rollout.str_at("/status/currentPodHash")
            && rollout.str_at("/status/stableRS") != Some(hash);
        let lasted = self.left.get(hash).map(|left| self.view.now.duration_since(*left).as_secs());
        is_over && lasted.zip(strategy).is_some_and(|(lasted, wanted)| lasted + 1 < wanted)
    }

    /// The rules about what is told: steps go up one by one, and a pause lasts as long as the spec says.
    fn judge_status(&mut self, before: &Object, after: &Object) -> Result<(), String> {
        let index = |rollout: &Object| rollout.int_at("/status/currentStepIndex").unwrap_or(0);
        let (from, to) = (index(before), index(after));
        let (at, since, is_let_go) = self.step;
        let same = |pointer: &str| before.pointer(pointer) == after.pointer(pointer);
        let is_same = same("/status/currentPodHash") && same("/status/currentStepHash") && same("/status/abort");
        if from != to || !is_same {
            self.step = (to, self.view.now, false);
        }
        let is_wished = [before, after].iter().any(|rollout| {
            rollout.bool_at("/status/promoteFull") == Some(true) || rollout.bool_at("/status/abort") == Some(true)
        });
        let is_promoted = after.str_at("/status/stableRS") == after.str_at("/status/currentPodHash");
        let jumps = to != from + 1;
        if !is_same || is_wished || is_promoted && jumps || from == to {
            return Ok(());
        }
        if jumps {
            return Err(format!("it goes from step {from} to {to}\n{}", self.tail()));
        }
        let steps = after.list_at("/spec/strategy/canary/steps");
        let step = usize::try_from(from).ok().and_then(|from| steps.get(from));
        let pause = step.and_then(|step| step.pointer("/pause/duration")?.as_str()?.trim_end_matches('s').parse().ok());
        let lasted = self.view.now.duration_since(since).as_secs();
        match pause {
            Some(pause) if at == from && !is_let_go && lasted < pause => {
                Err(format!("the pause of step {from} lasted {lasted} s of {pause}\n{}", self.tail()))
            }
            _ => Ok(()),
        }
    }

    /// ReplicaSets get the pods that they ask for.
    pub(super) fn pods_come(&mut self) {
        self.pods(|wanted, _| wanted);
    }

    /// Some pods are not available.
    pub(super) fn pods_fail(&mut self, random: u64) {
        self.pods(|wanted, index| match (random >> index) & 1 {
            0 => wanted,
            _ => (wanted - 1).max(0),
        });
    }

    fn pods(&mut self, available: impl Fn(i64, u32) -> i64) {
        let sets = self.view.list(&kinds::replica_set(), NAMESPACE);
        for (index, set) in (0..60).zip(sets) {
            let wanted = set.int_at("/spec/replicas").unwrap_or(1);
            let count = available(wanted, index);
            let status = json!({"replicas": wanted, "readyReplicas": count, "availableReplicas": count,
                "observedGeneration": set.generation()});
            if set.pointer("/status") != Some(&status) {
                self.change(&kinds::replica_set(), set.name(), &json!({"status": status}));
            }
        }
    }

    pub(super) fn time(&mut self, seconds: u64) {
        self.view.now = self.view.now.checked_add(Duration::from_secs(seconds)).unwrap_or(self.view.now);
        let _ = writeln!(self.log, "{seconds} s");
    }

    /// Somebody does something.
    pub(super) fn person(&mut self, random: u64) {
        let patch = match random % 6 {
            0 | 1 => {
                self.images = 1 + (random >> 8) % 4;
                let containers = json!([{"name": "web", "image": format!("web:{}", self.images)}]);
                json!({"spec": {"template": {"spec": {"containers": containers}}}})
            }
            2 => json!({"status": {"abort": true}}),
            3 => json!({"status": {"abort": false}}),
            4 => json!({"status": {"pauseConditions": null}}),
            _ => json!({"status": {"promoteFull": true}}),
        };
        let _ = writeln!(self.log, "person {patch}");
        self.step.2 |= patch.pointer("/status").is_some();
        self.change(&kinds::rollout(), "web", &patch);
    }

    /// Nobody wants anything else any more.
    pub(super) fn calm(&mut self) {
        let _ = writeln!(self.log, "calm");
        self.change(&kinds::rollout(), "web", &json!({"status": {"abort": false}}));
    }

    /// Whoever waits for a person is let go on, and what failed is tried again.
    pub(super) fn go_on(&mut self) {
        if self.rollout().is_some_and(|rollout| rollout.bool_at("/status/abort") == Some(true)) {
            self.change(&kinds::rollout(), "web", &json!({"status": {"abort": false}}));
        }
        let is_paused = self.rollout().is_some_and(|rollout| !rollout.list_at("/status/pauseConditions").is_empty());
        if is_paused {
            self.step.2 = true;
            self.change(&kinds::rollout(), "web", &json!({"status": {"pauseConditions": null}}));
        }
    }

    /// The version that is wanted is the only one with pods, and all requests go to it.
    pub(super) fn is_at_its_end(&self) -> Result<(), String> {
        let fail = |what: &str| Err(format!("{what}\n{}", self.tail()));
        let Some(rollout) = self.rollout() else { return fail("the Rollout is gone") };
        if rollout.str_at("/status/stableRS") != rollout.str_at("/status/currentPodHash") {
            return fail("the version that is wanted is not stable");
        }
        let stable = rollout.str_at("/status/stableRS").unwrap_or_default().to_owned();
        for set in self.view.list(&kinds::replica_set(), NAMESPACE) {
            let count = set.int_at("/spec/replicas").unwrap_or(0);
            let wanted =
                if set.label(HASH) == Some(stable.as_str()) { rollout.int_at("/spec/replicas") } else { Some(0) };
            if Some(count) != wanted {
                return fail(&format!("{} has {count} pods in the end", set.name()));
            }
        }
        match self.weight() {
            0 => Ok(()),
            _ => fail("weight is left on the canary"),
        }
    }

    pub(super) fn tail(&self) -> String {
        let from = self.log.len().saturating_sub(TAIL);
        self.log.get(from..).unwrap_or(&self.log).to_owned()
    }
}

fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    let Value::Object(map) = value else { return };
    for (key, change) in changes {
        if change.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}
