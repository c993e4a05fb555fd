//! What a sync decision reads.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use api::{GitOpsConfig, Problem, ValuesKind, names};
use diff_engine::{ConfigIdentity, Health, IgnoreRule, Inventory};
use object_model::{Object, ObjectId, Timestamp, Uid};

use super::desired::{self, Wish};
use super::handover::Handover;
use super::hooks::{self, Hook, HookTemplate};
use super::operation::Operation;
use super::windows::{self, Window};
use super::{gates, handover, health, ignore, recreate, rerender, transaction};
use crate::patch::{canonical, digest};
use crate::{
    Actor, Answer, FetchSource, Head, Key, Kind, ObjectRef, Question, Refusal, Rendered, Slot, SourceFailure, View,
    kinds,
};

/// Where the head of a branch is kept: shared by all configs of the repository, so that one fetch serves them all.
pub fn head_slot(source: &FetchSource) -> Slot {
    Slot::new(format!("git:{}#{}", source.url, source.branch), "head")
}

/// How far the source has been read.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Nothing is known yet.
    Unknown,
    /// The last fetch failed.
    FetchFailed(SourceFailure),
    /// The head is known, its render is not.
    Fetched(Head),
    /// The head does not render.
    RenderFailed(Head, SourceFailure),
    /// The head is rendered.
    Rendered(Head, Rendered),
}

/// Everything that a sync decision reads.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The present moment.
    pub now: Timestamp,
    /// The kind of the config.
    pub kind: Kind,
    /// The config as seen.
    pub config: Arc<Object>,
    /// Its spec.
    pub spec: GitOpsConfig,
    /// What is wrong with the spec.
    pub problems: Vec<Problem>,
    /// Differences that are left alone.
    pub ignore: Vec<IgnoreRule>,
    /// Who it is, for its inventory.
    pub identity: ConfigIdentity,
    /// The repository and branch.
    pub git: FetchSource,
    /// How far it has been read.
    pub source: Source,
    /// Whether the fetch is on its way.
    pub fetch_asked: bool,
    /// Whether the render is on its way.
    pub render_asked: bool,
    /// The versions of the objects with values that are seen here: what this system delivered itself.
    pub values_seen: BTreeMap<(ValuesKind, String), String>,
    /// Whether somebody asked for an immediate fetch.
    pub refresh_wanted: bool,
    /// What Git wants, one by one.
    pub wishes: Vec<Wish>,
    /// What Git wants to run at some point of a sync.
    pub hooks: Vec<HookTemplate>,
    /// What Git has and wants left alone.
    pub skipped: BTreeSet<ObjectId>,
    /// Annotations on objects that can't be read.
    pub role_errors: Vec<String>,
    /// The operation that the status remembers.
    pub operation: Option<Operation>,
    /// What is missing for the configs that this one depends on.
    pub dependencies: Vec<String>,
    /// What the server said to writes that were only tried.
    pub dry_runs: BTreeMap<Slot, Answer>,
    /// The stored inventory chunks.
    pub chunks: Vec<Arc<Object>>,
    /// The inventory, or why it can't be read.
    pub inventory: Result<Inventory, String>,
    /// Live objects of wishes and inventory.
    pub live: BTreeMap<ObjectId, Arc<Object>>,
    /// The health of those that have one, by the rules of the config.
    pub healths: BTreeMap<ObjectId, Health>,
    /// When syncs may run: windows of the config and of the Environments of its namespace.
    pub windows: Vec<Window>,
    /// What is wrong with windows of Environments.
    pub window_problems: Vec<String>,
    /// Kinds of wishes and inventory that the cluster serves.
    pub served: BTreeMap<(String, String), Kind>,
    /// Objects whose kind is not served.
    pub unserved: BTreeSet<ObjectId>,
    /// Why the last write of an object was refused.
    pub refusals: BTreeMap<ObjectId, Refusal>,
    /// Autoscalers in the namespaces of the wishes.
    pub autoscalers: Vec<Arc<Object>>,
    /// The other configs among the owners of live objects that there are.
    pub other_owners: BTreeSet<Uid>,
    /// Who else wants what left Git here.
    pub handover: Handover,
    /// The Rollouts among the owners of claims that there are.
    pub rollouts: BTreeSet<Uid>,
    /// Promotions about this config, by name.
    pub promotions: BTreeMap<String, Arc<Object>>,
    /// Rows that the record has, of those that would be written.
    pub recorded: BTreeSet<String>,
}

impl Snapshot {
    /// Reads the snapshot of one config.
    pub fn observe(view: &dyn View, kind: &Kind, key: &Key) -> Option<Self> {
        let config = view.get(kind, &key.namespace, &key.name)?;
        let uid = config.uid()?;
        let (spec, mut problems) = GitOpsConfig::parse(&config);
        let (ignore, wrong) = ignore::rules(&spec);
        problems.extend(wrong);
        let identity = identity(&config, key, &uid);
        let credential = spec.read_secret.clone().map(|name| (key.namespace.clone(), name));
        let git = FetchSource { url: spec.url.clone(), branch: spec.branch.clone(), credential };
        let slot = head_slot(&git);
        let source = read_source(view, &slot, &uid, &spec);
        let chunks = view.owned(&kinds::inventory(), &uid);
        let inventory =
            diff_engine::read_inventory(chunks.iter().map(|chunk| &**chunk)).map_err(|error| describe(&error));
        let (windows, window_problems) = windows::observe(view, &spec);
        let refresh_wanted = refresh_wanted(view, &config, &git.url, &source);
        let mut snapshot = Self {
            now: view.now(),
            kind: kind.clone(),
            fetch_asked: view.is_asked(&slot),
            render_asked: false,
            values_seen: BTreeMap::new(),
            refresh_wanted,
            wishes: Vec::new(),
            hooks: Vec::new(),
            skipped: BTreeSet::new(),
            role_errors: Vec::new(),
            operation: Operation::of(&config),
            dependencies: gates::dependencies(view, kind, &config, &spec),
            dry_runs: BTreeMap::new(),
            chunks,
            inventory,
            live: BTreeMap::new(),
            healths: BTreeMap::new(),
            windows,
            window_problems,
            served: BTreeMap::new(),
            unserved: BTreeSet::new(),
            refusals: BTreeMap::new(),
            autoscalers: Vec::new(),
            other_owners: BTreeSet::new(),
            handover: Handover::default(),
            rollouts: BTreeSet::new(),
            promotions: promotions(view, key),
            recorded: BTreeSet::new(),
            config,
            spec,
            problems,
            ignore,
            identity,
            git,
            source,
        };
        rerender::observe(&mut snapshot, view, key);
        snapshot.observe_objects(view, &uid);
        Some(snapshot)
    }

    fn observe_objects(&mut self, view: &dyn View, uid: &Uid) {
        if let Source::Rendered(_, rendered) = &self.source {
            let sorted = desired::sort(view, &self.spec, rendered);
            self.wishes = sorted.wishes;
            self.hooks = sorted.hooks;
            self.skipped = sorted.skipped;
            self.role_errors = sorted.errors;
        }
        let hooks = self.running_hooks();
        let objects = self.wishes.iter().map(|wish| &wish.object).chain(hooks.iter().map(|hook| &hook.object));
        let mut wanted: BTreeMap<ObjectId, String> =
            objects.map(|object| (object.id(), object.api_version().to_owned())).collect();
        if let Ok(inventory) = &self.inventory {
            for entry in inventory.iter() {
                let api_version = object_model::Gvk::new(&entry.id.group, &entry.version, &entry.id.kind).api_version();
                wanted.entry(entry.id.clone()).or_insert(api_version);
            }
        }
        let mut namespaces = BTreeSet::new();
        for (id, api_version) in wanted {
            let Some(kind) = view.resolve(&api_version, &id.kind) else {
                self.unserved.insert(id);
                continue;
            };
            let namespace = id.namespace.clone().unwrap_or_default();
            if let Some(object) = view.get(&kind, &namespace, &id.name) {
                self.live.insert(id.clone(), object);
            }
            let target = ObjectRef { kind: kind.clone(), namespace: id.namespace.clone(), name: id.name.clone() };
            if let Some(why) = view.refusal(uid, &target) {
                self.refusals.insert(id.clone(), why);
            }
            self.served.insert((id.group.clone(), id.kind.clone()), kind);
            namespaces.insert(namespace);
        }
        for namespace in namespaces.iter().filter(|namespace| !namespace.is_empty()) {
            self.autoscalers.extend(view.list(&kinds::horizontal_pod_autoscaler(), namespace));
        }
        health::judge(self, view);
        self.rollouts = claimants(view, self.live.values());
        self.other_owners = other_owners(view, &self.kind, uid, self.live.values());
        self.handover = handover::observe(self, view);
        for slot in recreate::slots(self).into_iter().chain(transaction::slot(self)) {
            if let Some(answer) = view.answer(&slot) {
                self.dry_runs.insert(slot, (*answer).clone());
            }
        }
        let keys: Vec<String> = super::recording::record_rows(self).into_iter().map(|row| row.key).collect();
        self.recorded = keys.into_iter().filter(|key| view.is_recorded(key)).collect();
    }

    /// The hooks of the present attempt, with their names.
    pub(super) fn running_hooks(&self) -> Vec<Hook> {
        self.operation.as_ref().map(|operation| hooks::hooks_of(operation, &self.hooks)).unwrap_or_default()
    }

    /// Changes with everything that Git wants, and with nothing else.
    pub(super) fn desired_digest(&self) -> String {
        let wishes = self.wishes.iter().map(|wish| &wish.object);
        let objects = wishes.chain(self.hooks.iter().map(|hook| &hook.object));
        let mut texts: Vec<String> = objects.map(|object| canonical(&object.to_json())).collect();
        texts.sort_unstable();
        digest(&texts.join("\n"))
    }

    /// As whom objects are applied.
    pub fn actor(&self) -> Actor {
        Actor::ServiceAccount {
            namespace: self.config.namespace().unwrap_or_default().to_owned(),
            name: self.spec.service_account.clone(),
        }
    }

    /// Whether this decision asks for the fetch that a refresh wants.
    pub fn fetch_is_starting(&self) -> bool {
        self.refresh_wanted && !self.fetch_asked
    }

    /// The config's uid.
    pub fn uid(&self) -> Uid {
        self.identity.uid.clone()
    }

    /// The kind of an object, when the cluster serves it.
    pub fn kind_of(&self, id: &ObjectId) -> Option<&Kind> {
        self.served.get(&(id.group.clone(), id.kind.clone()))
    }

    /// The render, when the head is rendered.
    pub fn rendered(&self) -> Option<&Rendered> {
        match &self.source {
            Source::Rendered(_, rendered) => Some(rendered),
            _ => None,
        }
    }
}

/// The Rollouts that claim something of these objects and exist. They are next to what they drive nearly always, so other
/// namespaces are read only for a claim whose owner is not there.
fn claimants<'a>(view: &dyn View, live: impl Iterator<Item = &'a Arc<Object>>) -> BTreeSet<Uid> {
    let rollout = kinds::rollout();
    let mut found = BTreeSet::new();
    let mut sought = BTreeSet::new();
    for object in live {
        let claims = diff_engine::Claims::on(object).unwrap_or_default();
        let owners: Vec<Uid> =
            claims.iter().filter(|claim| claim.kind == rollout.kind).map(|claim| claim.uid.clone()).collect();
        if !owners.is_empty() {
            let near = view.list(&rollout, object.namespace().unwrap_or_default());
            found.extend(near.iter().filter_map(|near| near.uid()).filter(|uid| owners.contains(uid)));
            sought.extend(owners);
        }
    }
    if !sought.is_subset(&found) {
        let far = view.list(&rollout, "");
        found.extend(far.iter().filter_map(|far| far.uid()).filter(|uid| sought.contains(uid)));
    }
    found
}

/// The configs besides this one that own one of these objects and still exist. Who is gone owns nothing any more.
fn other_owners<'a>(
    view: &dyn View,
    kind: &Kind,
    uid: &Uid,
    live: impl Iterator<Item = &'a Arc<Object>>,
) -> BTreeSet<Uid> {
    let owners = live.filter_map(|object| diff_engine::Owner::of(object)).filter(|owner| owner.uid != *uid);
    let exists = |owner: &diff_engine::Owner| {
        let place = owner.config.split_once('/');
        let found = place.and_then(|(namespace, name)| view.get(kind, namespace, name));
        found.and_then(|config| config.uid()).as_ref() == Some(&owner.uid)
    };
    owners.filter(exists).map(|owner| owner.uid).collect()
}

fn identity(config: &Object, key: &Key, uid: &Uid) -> ConfigIdentity {
    ConfigIdentity {
        api_version: config.api_version().to_owned(),
        kind: config.kind().to_owned(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        uid: uid.clone(),
    }
}

/// Where the render of a commit is kept: another one for other settings.
pub(super) fn render_slot(uid: &Uid, commit: &str, spec: &GitOpsConfig) -> Slot {
    let mut hasher = DefaultHasher::new();
    (&spec.path, &spec.namespace).hash(&mut hasher);
    // Mappings of JSON are printed in the order of their keys.
    format!("{:?}", spec.render).hash(&mut hasher);
    Slot::new(uid.as_str(), format!("render/{commit}/{:016x}", hasher.finish()))
}

/// The same render at another commit: where it is kept, and the question.
pub fn moved_render(slot: &Slot, question: &Question, commit: &str) -> Option<(Slot, Question)> {
    let mut question = question.clone();
    let Question::Render { commit: rendered, .. } = &mut question else { return None };
    let settings = slot.name.strip_prefix("render/")?.strip_prefix(rendered.as_str())?;
    let moved = Slot::new(slot.owner.as_str(), format!("render/{commit}{settings}"));
    commit.clone_into(rendered);
    Some((moved, question))
}

/// How far a source has been read, by what is known here.
pub(super) fn read_source(view: &dyn View, slot: &Slot, uid: &Uid, spec: &GitOpsConfig) -> Source {
    let head = match view.answer(slot).as_deref() {
        Some(Answer::Head(head)) => head.clone(),
        Some(Answer::Failed(failure)) => return Source::FetchFailed(failure.clone()),
        _ => return Source::Unknown,
    };
    match view.answer(&render_slot(uid, &head.commit, spec)).as_deref() {
        Some(Answer::Rendered(rendered)) => Source::Rendered(head, rendered.clone()),
        Some(Answer::Failed(failure)) => Source::RenderFailed(head, failure.clone()),
        _ => Source::Fetched(head),
    }
}

fn refresh_wanted(view: &dyn View, config: &Object, url: &str, source: &Source) -> bool {
    let since = match source {
        Source::Unknown => return false,
        Source::FetchFailed(failure) => failure.at,
        Source::Fetched(head) | Source::RenderFailed(head, _) | Source::Rendered(head, _) => head.at,
    };
    let by_annotation = config.annotation(names::REFRESH) != config.str_at("/status/lastHandledRefresh");
    by_annotation || view.refreshed(url, since)
}

fn promotions(view: &dyn View, key: &Key) -> BTreeMap<String, Arc<Object>> {
    let all = view.list(&kinds::promotion(), &key.namespace).into_iter();
    let ours = all.filter(|promotion| promotion.str_at("/spec/config") == Some(&key.name));
    ours.map(|promotion| (promotion.name().to_owned(), promotion)).collect()
}

fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
