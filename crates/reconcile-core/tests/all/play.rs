//! A world in memory that does what plans say: ReplicaSets follow at once (or not, when told so), and time is a number.

use std::collections::{BTreeMap, BTreeSet};

use object_model::{Duration, Object};
use reconcile_core::{Action, Domain, Key, Kind, MemoryView, Plan, Refusal, View, kinds};
use serde_json::{Value, json};

pub(crate) struct Play<D: Domain> {
    pub(crate) view: MemoryView,
    pub(crate) domain: D,
    pub(crate) key: Key,
    pub(crate) log: Vec<String>,
    /// Images whose pods never become available.
    pub(crate) broken_images: BTreeSet<String>,
    /// Images of which only so many pods become available.
    pub(crate) scarce_images: BTreeMap<String, i64>,
    /// Whether ReplicaSets have pods as objects.
    pub(crate) has_pods: bool,
    /// Whether a disruption budget keeps every pod.
    pub(crate) is_protected: bool,
    version: u64,
}

impl<D: Domain> Play<D> {
    pub(crate) fn new(domain: D, namespace: &str, name: &str) -> Self {
        let view = MemoryView { now: "2026-01-01T00:00:00Z".parse().unwrap(), ..MemoryView::default() };
        Self {
            view,
            domain,
            key: Key::new(namespace, name),
            log: Vec::new(),
            broken_images: BTreeSet::new(),
            scarce_images: BTreeMap::new(),
            has_pods: false,
            is_protected: false,
            version: 100,
        }
    }

    pub(crate) fn put(&mut self, kind: &Kind, json: Value) {
        let mut object = Object::parse(json).unwrap();
        self.version += 1;
        object.set_at(&["metadata", "resourceVersion"], self.version.to_string().into());
        if object.uid().is_none() {
            object.set_at(&["metadata", "uid"], format!("uid-{}-{}", object.kind(), object.name()).into());
        }
        if object.generation() == 0 {
            object.set_at(&["metadata", "generation"], 1.into());
        }
        self.view.put(kind, object);
    }

    pub(crate) fn get(&self, kind: &Kind, name: &str) -> Object {
        (*self.view.get(kind, &self.key.namespace, name).unwrap_or_else(|| panic!("{name} exists"))).clone()
    }

    pub(crate) fn change(&mut self, kind: &Kind, name: &str, change: impl Fn(&mut Object)) {
        let mut object = self.get(kind, name);
        change(&mut object);
        let generation = object.generation() + 1;
        object.set_at(&["metadata", "generation"], generation.into());
        self.put(kind, object.into_json());
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.view.now = self.view.now.checked_add(jiff::SignedDuration::try_from(time).unwrap()).unwrap();
    }

    pub(crate) fn plan(&self) -> Plan {
        let snapshot = self.domain.observe(&self.view, &self.key).expect("the object exists");
        let plan = self.domain.decide(&snapshot);
        assert_eq!(self.domain.check(&snapshot, &plan), [], "the second opinion agrees");
        plan
    }

    /// Plans and acts until there is nothing to do now; panics when that does not come.
    pub(crate) fn settle(&mut self) -> Plan {
        for _ in 0..200 {
            let plan = self.plan();
            if plan.is_empty() {
                return plan;
            }
            self.act(&plan);
            self.controllers();
        }
        panic!("does not settle; the last plans were:\n{}", self.log[self.log.len().saturating_sub(20)..].join("\n"));
    }

    pub(crate) fn act(&mut self, plan: &Plan) {
        for act in plan.acts() {
            match &act.action {
                Action::Create { kind, object } => {
                    let id =
                        (kind.clone(), object.namespace().unwrap_or_default().to_owned(), object.name().to_owned());
                    if !self.view.objects.contains_key(&id) {
                        self.log.push(format!("create {} {}", kind.kind, object.name()));
                        self.put(kind, object.to_json());
                    }
                }
                Action::Patch { target, patch, precondition } => {
                    let mut json = self.get(&target.kind, &target.name);
                    assert!(precondition.uid == json.uid(), "a patch names the life of its object");
                    if let Some(version) = &precondition.resource_version {
                        assert_eq!(
                            json.resource_version(),
                            Some(version.as_str()),
                            "a patch names the version that was seen"
                        );
                    }
                    self.log.push(format!("patch {} {} {}", target.kind.kind, target.name, told(patch)));
                    let mut value = Value::Object(std::mem::take(json.json_mut()));
                    merge(&mut value, patch);
                    self.put(&target.kind, value);
                }
                Action::Delete { target, precondition, .. } => {
                    let object = self.get(&target.kind, &target.name);
                    assert_eq!(precondition.uid, object.uid(), "a deletion names the life of its object");
                    self.log.push(format!("delete {} {}", target.kind.kind, target.name));
                    let namespace = object.namespace().unwrap_or_default().to_owned();
                    self.view.objects.remove(&(target.kind.clone(), namespace, target.name.clone()));
                }
                Action::Evict { target, precondition } => {
                    let pod = self.get(&target.kind, &target.name);
                    assert_eq!(precondition.uid, pod.uid(), "an eviction names the life of its pod");
                    if self.is_protected {
                        let owner = self.get(&kinds::rollout(), &self.key.name).uid().unwrap();
                        let refusal = Refusal {
                            message: "it would violate a budget".to_owned(),
                            at: self.view.now,
                            attempts: 1,
                            may_pass: false,
                        };
                        self.view.refusals.insert((owner, target.clone()), refusal);
                        self.log.push(format!("refused eviction of {}", target.name));
                    } else {
                        self.log.push(format!("evict {}", target.name));
                        self.view.objects.remove(&(kinds::pod(), self.key.namespace.clone(), target.name.clone()));
                    }
                }
                Action::Ask { slot, .. } => {
                    self.log.push(format!("ask {}", slot.name));
                    self.view.asked.insert(slot.clone());
                }
                Action::Forget { slot } => {
                    self.view.answers.remove(slot);
                }
                other => panic!("not played here: {other:?}"),
            }
        }
        for note in &plan.notes {
            self.log.push(format!("event {} {}", note.reason.0, note.message));
        }
        if let Some(status) = &plan.status {
            let object = self.get(&status.target.kind, &status.target.name);
            let mut value = object.into_json();
            merge(&mut value, &status.patch);
            self.put(&status.target.kind, value);
        }
    }

    /// ReplicaSets have the pods that they ask for, available unless their image is broken.
    pub(crate) fn controllers(&mut self) {
        for set in self.view.list(&kinds::replica_set(), "") {
            let count = set.int_at("/spec/replicas").unwrap_or(1);
            let image =
                set.list_at("/spec/template/spec/containers")[0]["image"].as_str().unwrap_or_default().to_owned();
            let most = self.scarce_images.get(&image).copied().unwrap_or(i64::MAX);
            let ready = if self.broken_images.contains(&image) { 0 } else { count.min(most) };
            if self.has_pods {
                self.make_pods(&set, count, ready);
            }
            let status = json!({"replicas": count, "readyReplicas": ready, "availableReplicas": ready});
            if set.pointer("/status") != Some(&status) {
                let mut object = (*set).clone();
                object.set_at(&["status"], status);
                self.put(&kinds::replica_set(), object.into_json());
            }
        }
    }

    /// As many pods as a ReplicaSet asks for, so many of them ready; names tell the order in which they were made.
    fn make_pods(&mut self, set: &Object, count: i64, ready: i64) {
        let uid = set.uid().unwrap();
        let have = self.view.owned(&kinds::pod(), &uid);
        let surplus = have.len().saturating_sub(usize::try_from(count).unwrap());
        for pod in have.iter().rev().take(surplus) {
            self.view.objects.remove(&(kinds::pod(), self.key.namespace.clone(), pod.name().to_owned()));
        }
        for place in have.len()..usize::try_from(count).unwrap() {
            self.version += 1;
            let template = set.pointer("/spec/template/metadata").cloned().unwrap_or_default();
            let status = if i64::try_from(place).unwrap() < ready { "True" } else { "False" };
            let now = object_model::format_time(self.view.now);
            let name = format!("{}-{}", set.name(), self.version);
            self.put(
                &kinds::pod(),
                json!({
                    "apiVersion": "v1", "kind": "Pod",
                    "metadata": {
                        "name": name, "namespace": self.key.namespace, "creationTimestamp": now,
                        "labels": template["labels"], "annotations": template["annotations"],
                        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": set.name(), "uid": uid.as_str(), "controller": true}],
                    },
                    "status": {"conditions": [{"type": "Ready", "status": status, "lastTransitionTime": now}]},
                }),
            );
        }
    }

    /// The pods of all versions.
    pub(crate) fn pods(&self) -> Vec<std::sync::Arc<Object>> {
        self.view.list(&kinds::pod(), "")
    }

    /// One plan, carried out.
    pub(crate) fn step(&mut self) -> Plan {
        let plan = self.plan();
        self.act(&plan);
        plan
    }

    pub(crate) fn take_log(&mut self) -> String {
        std::mem::take(&mut self.log).join("\n")
    }
}

/// The parts of a patch that a reader wants to see.
fn told(patch: &Value) -> String {
    let mut parts = Vec::new();
    if let Some(replicas) = patch.pointer("/spec/replicas") {
        parts.push(format!("replicas {replicas}"));
    }
    if let Some(selector) = patch.pointer("/spec/selector/rollouts-pod-template-hash") {
        parts.push(format!("selects {}", selector.as_str().unwrap_or_default()));
    }
    if let Some(routes) = patch.pointer("/spec/http/0/route").and_then(Value::as_array) {
        let weights: Vec<String> = routes.iter().map(|route| route["weight"].to_string()).collect();
        parts.push(format!("weights {}", weights.join("/")));
    }
    if patch.pointer("/spec/terminate").is_some() {
        parts.push("terminate".to_owned());
    }
    if patch.pointer("/metadata/annotations/scale-down-deadline").is_some_and(|value| !value.is_null()) {
        parts.push("deadline".to_owned());
    }
    parts.join(", ")
}

fn merge(value: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *value = patch.clone();
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    let map = value.as_object_mut().unwrap();
    for (key, change) in changes {
        if change.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), change);
        }
    }
}
