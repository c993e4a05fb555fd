//! A cluster and a repository in memory that do what sync plans say, and crash between any two effects when told so.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_model::{Duration, Object};
use reconcile_core::sync::SyncDomain;
use reconcile_core::{
    Action, Answer, CommitFacts, Domain, Head, Identity, Key, Kind, MemoryView, Plan, Propagation, Question, Rendered,
    RenderedObject, Surroundings, kinds,
};
use serde_json::{Value, json};

pub(crate) const NAMESPACE: &str = "qa";

#[derive(Clone)]
pub(crate) struct World {
    objects: BTreeMap<(Kind, String, String), Arc<Object>>,
    answers: BTreeMap<reconcile_core::Slot, Arc<Answer>>,
    refusals: BTreeMap<(object_model::Uid, reconcile_core::ObjectRef), reconcile_core::Refusal>,
    recorded: BTreeSet<String>,
    events: BTreeSet<String>,
    pub(crate) now: object_model::Timestamp,
    version: u64,
    commit: u32,
    git: Vec<Value>,
    pub(crate) log: Vec<String>,
    /// Names of objects that the server refuses, with its words.
    pub(crate) refused: BTreeMap<String, String>,
    /// Effects that are still carried out before a crash; `None` for no crash.
    effects_left: Option<usize>,
    /// What controllers do after each step.
    pub(crate) controllers: fn(&mut World),
    served: Vec<Kind>,
    /// What a render depends on besides the commit.
    pub(crate) surroundings: Option<Surroundings>,
}

/// The plan went as far as the crash.
pub(crate) struct Crashed;

pub(crate) fn config_kind() -> Kind {
    kinds::gitops_config("sluice.dev")
}

pub(crate) fn job() -> Kind {
    Kind::namespaced("batch", "v1", "Job", "jobs")
}

impl World {
    pub(crate) fn new(spec: Value) -> Self {
        let mut world = Self {
            objects: BTreeMap::new(),
            answers: BTreeMap::new(),
            refusals: BTreeMap::new(),
            recorded: BTreeSet::new(),
            events: BTreeSet::new(),
            now: "2026-01-01T00:00:00Z".parse().unwrap(),
            version: 100,
            commit: 0,
            git: Vec::new(),
            log: Vec::new(),
            refused: BTreeMap::new(),
            effects_left: None,
            controllers: |_| {},
            served: vec![kinds::config_map(), kinds::deployment(), kinds::service(), kinds::namespace(), job()],
            surroundings: None,
        };
        let mut all = json!({"url": "https://git.example.com/fleet", "branch": "main", "path": "qa"});
        merge(&mut all, &spec);
        let config = json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig",
            "metadata": {"name": "shop", "namespace": NAMESPACE, "uid": "config-1", "generation": 1}, "spec": all,
        });
        world.put(&config_kind(), config);
        world
    }

    pub(crate) fn put(&mut self, kind: &Kind, json: Value) {
        let mut object = Object::parse(json).unwrap();
        self.version += 1;
        object.set_at(&["metadata", "resourceVersion"], self.version.to_string().into());
        if object.uid().is_none() {
            object.set_at(&["metadata", "uid"], format!("uid-{}", self.version).into());
        }
        let key = (kind.clone(), object.namespace().unwrap_or_default().to_owned(), object.name().to_owned());
        self.objects.insert(key, Arc::new(object));
    }

    pub(crate) fn get(&self, kind: &Kind, name: &str) -> Option<Object> {
        self.objects.get(&(kind.clone(), NAMESPACE.to_owned(), name.to_owned())).map(|object| (**object).clone())
    }

    pub(crate) fn change(&mut self, kind: &Kind, name: &str, change: Value) {
        let mut value = self.get(kind, name).unwrap_or_else(|| panic!("{name} exists")).into_json();
        merge(&mut value, &change);
        self.put(kind, value);
    }

    pub(crate) fn remove(&mut self, kind: &Kind, name: &str) {
        self.objects.remove(&(kind.clone(), NAMESPACE.to_owned(), name.to_owned()));
    }

    /// A user deletes the config.
    pub(crate) fn delete_config(&mut self) {
        if self.config().list_at("/metadata/finalizers").is_empty() {
            self.remove(&config_kind(), "shop");
        } else {
            self.change(&config_kind(), "shop", json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        }
    }

    pub(crate) fn config(&self) -> Object {
        self.get(&config_kind(), "shop").unwrap()
    }

    /// `status`, `reason` and `message` of a condition of the config.
    pub(crate) fn says(&self, kind: &str) -> String {
        let config = self.config();
        let conditions = config.list_at("/status/conditions");
        let found = conditions.iter().find(|condition| condition["type"] == kind);
        found.map_or_else(String::new, |condition| {
            let text = |field: &str| condition[field].as_str().unwrap_or_default();
            format!("{} {} {}", text("status"), text("reason"), text("message")).trim().to_owned()
        })
    }

    pub(crate) fn commit(&mut self, objects: &[Value]) {
        self.commit += 1;
        self.git = objects.to_vec();
        // The branch has moved, and the operator has heard of it.
        self.answers.clear();
        self.refusals.clear();
    }

    fn commit_id(&self) -> String {
        format!("{:040x}", self.commit)
    }

    fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Fetch(_) => Answer::Head(Head { commit: self.commit_id(), at: self.now }),
            Question::Render { commit, .. } => {
                let place = |(index, json): (usize, &Value)| RenderedObject {
                    object: Arc::new(Object::parse(json.clone()).unwrap()),
                    file: "qa/all.yaml".to_owned(),
                    line: u32::try_from(index).unwrap() + 1,
                };
                let person = Identity { name: "Ann".to_owned(), email: "ann@example.com".to_owned() };
                let touched = CommitFacts {
                    commit: commit.clone(),
                    author: person.clone(),
                    committer: person,
                    time: "2026-01-01T00:00:00Z".parse().unwrap(),
                    subject: "A commit".to_owned(),
                    trailers: Vec::new(),
                };
                let objects = Arc::new(self.git.iter().enumerate().map(place).collect::<Vec<_>>());
                Answer::Rendered(Rendered {
                    key: commit.clone(),
                    head: commit.clone(),
                    touched,
                    objects,
                    read: vec!["qa/all.yaml".to_owned()],
                    surroundings: self
                        .surroundings
                        .clone()
                        .map(|around| Box::new(Surroundings { at: self.now, ..around })),
                })
            }
            Question::DryRun { objects, .. } => {
                let judge = |object: &reconcile_core::DryRunObject| {
                    let name = object.object.name().to_owned();
                    self.refused.get(&name).map(|why| (object.object.id(), why.clone()))
                };
                Answer::DryRun(objects.iter().filter_map(judge).collect())
            }
            other => panic!("not asked here: {other:?}"),
        }
    }

    pub(crate) fn view(&self) -> MemoryView {
        MemoryView {
            now: self.now,
            objects: self.objects.clone(),
            answers: self.answers.clone(),
            recorded: self.recorded.clone(),
            served: self.served.clone(),
            refusals: self.refusals.clone(),
            ..MemoryView::default()
        }
    }

    /// The plan for the present moment, with the second opinion's consent; `None` when the config is gone.
    pub(crate) fn plan(&self) -> Option<Plan> {
        let domain = SyncDomain::default();
        let snapshot = domain.observe(&self.view(), &Key::new(NAMESPACE, "shop"))?;
        let plan = domain.decide(&snapshot);
        assert_eq!(domain.check(&snapshot, &plan), [], "the second opinion agrees");
        Some(plan)
    }

    /// Plans and acts until there is nothing to do now.
    pub(crate) fn settle(&mut self) -> String {
        match self.try_settle() {
            Ok(()) => std::mem::take(&mut self.log).join("\n"),
            Err(Crashed) => panic!("nothing crashes here"),
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.checked_add(jiff::SignedDuration::try_from(time).unwrap()).unwrap();
    }

    /// Settles, and again after each time that the plan wants to be looked at again within `time`.
    pub(crate) fn settle_for(&mut self, seconds: u64) -> String {
        for _ in 0..seconds {
            if self.try_settle().is_err() {
                panic!("nothing crashes here");
            }
            self.pass(Duration::from_secs(1));
        }
        std::mem::take(&mut self.log).join("\n")
    }

    fn try_settle(&mut self) -> Result<(), Crashed> {
        for _ in 0..300 {
            let Some(plan) = self.plan() else { return Ok(()) };
            let before = self.version;
            let was_empty = plan.is_empty();
            self.carry_out(&plan)?;
            (self.controllers)(self);
            if was_empty && before == self.version {
                return Ok(());
            }
        }
        panic!("does not settle; the last lines were:\n{}", self.log[self.log.len().saturating_sub(20)..].join("\n"));
    }

    fn effect(&mut self) -> Result<(), Crashed> {
        match &mut self.effects_left {
            None => Ok(()),
            Some(0) => Err(Crashed),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
        }
    }

    fn carry_out(&mut self, plan: &Plan) -> Result<(), Crashed> {
        for act in plan.acts() {
            self.effect()?;
            if !self.act(&act.action) {
                return Ok(());
            }
        }
        for note in plan.notes.iter().filter(|note| self.events.insert(note.transition.clone())) {
            self.log.push(format!("event {} {}", note.reason.0, note.message));
        }
        if let Some(status) = &plan.status {
            self.effect()?;
            let mut value = self.config().into_json();
            merge(&mut value, &status.patch);
            self.put(&config_kind(), value);
        }
        Ok(())
    }

    /// Returns `false` when the action was refused: the plan ends there.
    fn act(&mut self, action: &Action) -> bool {
        match action {
            Action::Create { kind, object } => self.create(kind, object),
            Action::Apply { kind, object, force, precondition, .. } => {
                return self.apply(kind, object, *force, precondition.uid.as_ref());
            }
            Action::Replace { kind, object, .. } => {
                self.log.push(format!("replace {} {}", kind.kind, object.name()));
                self.put(kind, object.to_json());
            }
            Action::Patch { target, patch, precondition } => {
                let live = self.get(&target.kind, &target.name).unwrap();
                assert_eq!(live.uid(), precondition.uid, "a patch names the life of its object");
                if let Some(list) = patch.pointer("/metadata/finalizers") {
                    self.log.push(format!("finalizers {list}"));
                }
                let mut value = live.into_json();
                merge(&mut value, patch);
                self.put(&target.kind, value);
                self.finalize(&target.kind, &target.name);
            }
            Action::Delete { target, precondition, propagation } => {
                self.delete(&target.kind, &target.name, precondition, *propagation);
            }
            Action::Ask { slot, question } => {
                let answer = self.answer(question);
                self.answers.insert(slot.clone(), Arc::new(answer));
                self.version += 1;
            }
            Action::Forget { slot } => {
                self.answers.remove(slot);
            }
            Action::Record { rows } => self.recorded.extend(rows.iter().map(|row| row.key.clone())),
            other => panic!("not played here: {other:?}"),
        }
        true
    }

    fn create(&mut self, kind: &Kind, object: &Object) {
        let key = (kind.clone(), object.namespace().unwrap_or_default().to_owned(), object.name().to_owned());
        if !self.objects.contains_key(&key) {
            if kind.kind != "Inventory" {
                self.log.push(format!("create {} {}", kind.kind, object.name()));
            }
            self.put(kind, object.to_json());
        }
    }

    fn apply(&mut self, kind: &Kind, object: &Object, force: bool, uid: Option<&object_model::Uid>) -> bool {
        let target = reconcile_core::ObjectRef::of(kind, object);
        if let Some(message) = self.refused.get(object.name()).cloned() {
            let key = (object_model::Uid::new("config-1"), target.clone());
            let attempts = self.refusals.get(&key).map_or(0, |refusal| refusal.attempts) + 1;
            let may_pass = message.contains("is forbidden");
            let refusal = reconcile_core::Refusal { message, at: self.now, attempts, may_pass };
            self.log.push(format!("refused {} {}", kind.kind, object.name()));
            self.refusals.insert((object_model::Uid::new("config-1"), target), refusal);
            self.version += 1;
            return false;
        }
        self.refusals.remove(&(object_model::Uid::new("config-1"), target));
        let key = (kind.clone(), object.namespace().unwrap_or_default().to_owned(), object.name().to_owned());
        let live = self.objects.get(&key).cloned();
        assert_eq!(live.as_ref().and_then(|live| live.uid()).as_ref(), uid, "an apply names the life that was seen");
        let by_force = if force { " by force" } else { "" };
        self.log.push(format!("apply {} {}{by_force}", kind.kind, object.name()));
        let mut value = live.as_ref().map_or_else(|| json!({}), |live| live.to_json());
        merge(&mut value, &object.to_json());
        let generation = live.map_or(0, |live| live.generation()) + 1;
        merge(&mut value, &json!({"metadata": {"generation": generation}}));
        self.put(kind, value);
        true
    }

    fn delete(
        &mut self,
        kind: &Kind,
        name: &str,
        precondition: &reconcile_core::Precondition,
        propagation: Propagation,
    ) {
        let live = self.get(kind, name).unwrap();
        assert!(precondition.uid.is_some() && precondition.uid == live.uid(), "a delete names the life");
        assert_eq!(precondition.resource_version.as_deref(), live.resource_version(), "and the version");
        if kind.kind != "Inventory" {
            let how = if propagation == Propagation::Foreground { " in the foreground" } else { "" };
            self.log.push(format!("delete {} {name}{how}", kind.kind));
        }
        self.version += 1;
        // A refusal is about the object that was there.
        self.refusals.retain(|(_, target), _| target.name != name);
        self.change(kind, name, json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}));
        self.finalize(kind, name);
    }

    /// What is being deleted and has no finalizer is gone.
    pub(crate) fn finalize(&mut self, kind: &Kind, name: &str) {
        let is_gone = self
            .get(kind, name)
            .is_some_and(|live| live.is_deleting() && live.list_at("/metadata/finalizers").is_empty());
        if is_gone {
            self.remove(kind, name);
        }
    }

    /// What is there in the end, without versions, lives and moments.
    fn end(&self) -> BTreeMap<String, String> {
        let plain = |object: &Object| {
            let mut json = object.to_json();
            for field in ["resourceVersion", "uid", "generation", "ownerReferences"] {
                if let Some(metadata) = json["metadata"].as_object_mut() {
                    metadata.remove(field);
                }
            }
            drop_moments(&mut json);
            json.to_string()
        };
        self.objects.values().map(|object| (object.id().to_string(), plain(object))).collect()
    }

    /// Crashes before each effect of settling from here on, and compares how it ends and what was created and deleted.
    pub(crate) fn crash_everywhere(&self, seconds: u64) -> usize {
        let mut calm = self.clone();
        let log = calm.settle_for(seconds);
        let wanted = (calm.end(), creates_and_deletes(&log));
        for effects in 0..200 {
            let mut world = self.clone();
            world.effects_left = Some(effects);
            let mut crashed = false;
            for _ in 0..seconds {
                if world.try_settle().is_err() {
                    crashed = true;
                    break;
                }
                world.pass(Duration::from_secs(1));
            }
            if !crashed {
                return effects;
            }
            // A new operator knows nothing but what was stored.
            world.effects_left = None;
            world.answers.clear();
            world.refusals.clear();
            for _ in 0..seconds + 2 {
                assert!(world.try_settle().is_ok());
                world.pass(Duration::from_secs(1));
            }
            let log = std::mem::take(&mut world.log).join("\n");
            let found = (world.end(), creates_and_deletes(&log));
            assert_eq!(found, wanted, "after a crash before effect {effects}:\n{log}");
        }
        panic!("more than 200 effects");
    }
}

fn creates_and_deletes(log: &str) -> Vec<String> {
    let mut lines: Vec<String> = log
        .lines()
        .filter(|line| line.starts_with("create") || line.starts_with("delete"))
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines
}

fn drop_moments(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| {
                !matches!(key.as_str(), "since" | "lastTransitionTime" | "at" | "uid" | "startedAt" | "finishedAt")
            });
            map.values_mut().for_each(drop_moments);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_moments),
        _ => {}
    }
}

pub(crate) fn merge(value: &mut Value, patch: &Value) {
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

pub(crate) fn config_map(name: &str, color: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"color": color}})
}

/// The object with these annotations.
pub(crate) fn annotated(mut object: Value, annotations: Value) -> Value {
    merge(&mut object, &json!({"metadata": {"annotations": annotations}}));
    object
}
