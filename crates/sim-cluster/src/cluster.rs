//! The cluster: its state, its settings, and direct access for controllers and tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_model::Timestamp;
use serde_json::{Value, json};

use crate::controller::Registered;
use crate::error::ApiError;
use crate::log::{Actor, LogEntry, RequestLog};
use crate::request::User;
use crate::resource::{Registry, ResourceType};
use crate::store::{Change, Store, Stored};
use crate::write::{Action, Call, DeleteOptions, PatchKind, WriteOptions};

/// Settings of a new cluster.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Seeds uids and generated names.
    pub seed: u64,
    /// How many changes a watch can look back on.
    pub history_max: usize,
    /// How many requests the log keeps.
    pub log_max: usize,
    /// Whether RBAC decides who may do what; off, everyone may do everything.
    pub is_rbac_on: bool,
    /// The moment at which the default namespaces come into being.
    pub start: Timestamp,
}

impl Default for Settings {
    fn default() -> Self {
        Self { seed: 1, history_max: 20_000, log_max: 200_000, is_rbac_on: false, start: Timestamp::UNIX_EPOCH }
    }
}

/// A bearer token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) user: User,
    pub(crate) expires: Option<Timestamp>,
}

/// A write that is being stored.
#[derive(Debug, Clone)]
pub struct WriteInfo {
    /// Who writes.
    pub actor: Actor,
    /// The verb of RBAC.
    pub verb: &'static str,
    /// The subresource, empty when there is none.
    pub subresource: String,
    /// The change.
    pub change: Change,
}

/// Is called at every stored change with the world right before it and right after it.
pub type WriteHook = Arc<dyn Fn(&WriteInfo, &Cluster, &Cluster) + Send + Sync>;

/// Is called at every stored change with the world right after it; it costs no copy of the world before.
pub type CommitHook = Arc<dyn Fn(&WriteInfo, &Cluster) + Send + Sync>;

/// An embedded Kubernetes API server: a state machine that answers requests.
///
/// A clone is an independent world; it shares all unchanged objects with the original. Hooks are not copied.
pub struct Cluster {
    pub(crate) store: Store,
    pub(crate) registry: Arc<Registry>,
    pub(crate) controllers: Vec<Registered>,
    pub(crate) tokens: Arc<BTreeMap<String, Token>>,
    pub(crate) is_rbac_on: bool,
    log: RequestLog,
    hook: Option<WriteHook>,
    commit_hook: Option<CommitHook>,
    now: Timestamp,
    random: u64,
    /// The resourceVersion at which the default namespaces were there.
    began: u64,
    pub(crate) next_cluster_ip: u32,
    pub(crate) next_node_port: u32,
}

impl Clone for Cluster {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            registry: self.registry.clone(),
            controllers: self.controllers.clone(),
            tokens: self.tokens.clone(),
            is_rbac_on: self.is_rbac_on,
            log: self.log.clone(),
            hook: None,
            commit_hook: None,
            now: self.now,
            random: self.random,
            began: self.began,
            next_cluster_ip: self.next_cluster_ip,
            next_node_port: self.next_node_port,
        }
    }
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster").field("revision", &self.revision()).field("now", &self.now).finish_non_exhaustive()
    }
}

impl Default for Cluster {
    fn default() -> Self {
        Self::new(Settings::default())
    }
}

const DEFAULT_NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

impl Cluster {
    /// A new cluster with the default namespaces and nothing else.
    pub fn new(settings: Settings) -> Self {
        let mut cluster = Self {
            store: Store::new(settings.history_max),
            registry: Arc::new(Registry::built_in()),
            controllers: Vec::new(),
            tokens: Arc::default(),
            is_rbac_on: settings.is_rbac_on,
            log: RequestLog::new(settings.log_max),
            hook: None,
            commit_hook: None,
            now: settings.start,
            random: settings.seed,
            began: 0,
            next_cluster_ip: 1,
            next_node_port: 0,
        };
        for name in DEFAULT_NAMESPACES {
            let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
            // Creating a namespace in an empty store can't fail, and a missing one shows at first use.
            let _ = cluster.acting_as("system:apiserver").create("namespaces", "", body);
        }
        cluster.log.clear();
        // Watches see what happens from here on: nobody was there to look before.
        cluster.began = cluster.revision();
        cluster.store.compact(cluster.began);
        cluster
    }

    /// The moment the cluster believes it is.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Sets the moment for direct access; requests and steps set it themselves.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// The newest resourceVersion.
    pub fn revision(&self) -> u64 {
        self.store.revision()
    }

    /// The changes after a resourceVersion, oldest first; none when they are forgotten already (then list anew).
    pub fn changes_since(&self, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        (revision >= self.store.compacted() || revision == 0 && self.store.compacted() <= self.began)
            .then(|| self.store.changes_since(revision))
    }

    /// Forgets the history up to a resourceVersion: watches and lists from before get 410.
    pub fn compact(&mut self, revision: u64) {
        self.store.compact(revision);
    }

    /// An object, by stored resource such as `deployments.apps`; the namespace of cluster-scoped objects is empty.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        self.store.get(resource, namespace, name)
    }

    /// All objects of a stored resource, in one namespace or in all, ordered by namespace and name.
    pub fn list<'a>(
        &'a self,
        resource: &str,
        namespace: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arc<Stored>> + 'a {
        self.store.list(resource, namespace)
    }

    /// The resource stored under a key such as `deployments.apps`.
    pub fn resource(&self, storage: &str) -> Option<&Arc<ResourceType>> {
        self.registry.stored(storage)
    }

    /// The resource of a kind, as an owner reference names it.
    pub fn resource_of_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<ResourceType>> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        self.registry.of_kind(group, version, kind)
    }

    /// All stored resources.
    pub fn resources(&self) -> Vec<Arc<ResourceType>> {
        self.registry.in_order().into_iter().filter(|resource| resource.is_stored).collect()
    }

    /// Direct access as a user, through the same rules as a request but for authorisation.
    pub fn acting_as(&mut self, user: &str) -> Acting<'_> {
        let actor = Actor { user: User::new(user), impersonator: None, agent: user.to_owned() };
        Acting { cluster: self, actor }
    }

    /// Direct access as a controller: the service account and the field manager of that name.
    pub fn acting_as_controller(&mut self, name: &str) -> Acting<'_> {
        let user = User::new(&format!("system:serviceaccount:kube-system:{name}"));
        let agent = "kube-controller-manager".to_owned();
        Acting { cluster: self, actor: Actor { user, impersonator: None, agent } }
    }

    /// The requests so far, oldest first.
    pub fn requests(&self) -> impl Iterator<Item = &LogEntry> {
        self.log.entries()
    }

    /// Empties the request log.
    pub fn clear_requests(&mut self) {
        self.log.clear();
    }

    /// Sets what is called at every stored change; it replaces the one before. None removes it.
    pub fn on_write(&mut self, hook: Option<WriteHook>) {
        self.hook = hook;
    }

    /// Sets what is called right after every stored change; it replaces the one before. None removes it.
    pub fn on_commit(&mut self, hook: Option<CommitHook>) {
        self.commit_hook = hook;
    }

    /// Lets a bearer token stand for a user.
    pub fn add_token(&mut self, token: &str, user: User) {
        self.insert_token(token, Token { user, expires: None });
    }

    pub(crate) fn insert_token(&mut self, token: &str, issued: Token) {
        let now = self.now;
        let tokens = Arc::make_mut(&mut self.tokens);
        tokens.retain(|_, token| token.expires.is_none_or(|expires| now < expires));
        tokens.insert(token.to_owned(), issued);
    }

    /// Switches RBAC on or off.
    pub fn set_rbac(&mut self, is_on: bool) {
        self.is_rbac_on = is_on;
    }

    pub(crate) fn record(&mut self, entry: LogEntry) {
        self.log.push(entry);
    }

    /// The next number of the seeded sequence (splitmix64).
    pub(crate) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn next_uid(&mut self) -> String {
        let high = self.next_random();
        let low = self.next_random();
        let (a, b, c) = (high >> 32, (high >> 16) & 0xffff, high & 0xfff);
        let (d, e) = ((low >> 48) & 0x3fff | 0x8000, low & 0xffff_ffff_ffff);
        format!("{a:08x}-{b:04x}-4{c:03x}-{d:04x}-{e:012x}")
    }

    /// Five letters for a generated name, from the alphabet Kubernetes uses.
    pub(crate) fn next_suffix(&mut self) -> String {
        const ALPHABET: [char; 27] = [
            'b', 'c', 'd', 'f', 'g', 'h', 'j', 'k', 'l', 'm', 'n', 'p', 'q', 'r', 's', 't', 'v', 'w', 'x', 'z', '2',
            '4', '5', '6', '7', '8', '9',
        ];
        let mut number = self.next_random();
        let mut suffix = String::with_capacity(5);
        for _ in 0..5 {
            let index = usize::try_from(number % 27).unwrap_or_default();
            number /= 27;
            suffix.push(ALPHABET.get(index).copied().unwrap_or('b'));
        }
        suffix
    }

    /// Random bits that belong to nothing stored: a copy gives the same.
    pub(crate) fn random_state(&self) -> u64 {
        self.random
    }

    pub(crate) fn set_random_state(&mut self, state: u64) {
        self.random = state;
    }

    /// Stores a state and tells the hook; every stored change comes through here.
    pub(crate) fn commit(&mut self, call: &Call, verb: &'static str, write: Write) -> Option<Change> {
        let before = self.hook.is_some().then(|| self.clone());
        let change = match write {
            Write::Put(json) => self.store.put(&call.resource.storage, &call.namespace, &call.name, json),
            Write::Remove(last) => self.store.remove(&call.resource.storage, &call.namespace, &call.name, last)?,
        };
        if self.hook.is_some() || self.commit_hook.is_some() {
            let info = WriteInfo {
                actor: call.actor.clone(),
                verb,
                subresource: call.subresource.clone().unwrap_or_default(),
                change: change.clone(),
            };
            if let (Some(hook), Some(before)) = (self.hook.clone(), before) {
                hook(&info, &before, self);
            }
            if let Some(hook) = self.commit_hook.clone() {
                hook(&info, self);
            }
        }
        self.follow_up(call, &change);
        Some(change)
    }
}

/// What a commit does to the store.
pub(crate) enum Write {
    Put(Value),
    Remove(Value),
}

/// Direct access to the cluster as one user: the same checks, defaults and bookkeeping as over HTTP.
///
/// `resource` is the stored resource such as `deployments.apps`; `namespace` is empty for cluster-scoped objects.
pub struct Acting<'a> {
    cluster: &'a mut Cluster,
    actor: Actor,
}

impl Acting<'_> {
    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        self.cluster
    }

    /// Creates an object.
    ///
    /// # Errors
    /// As the API server answers.
    pub fn create(&mut self, resource: &str, namespace: &str, body: Value) -> Result<Arc<Stored>, ApiError> {
        self.perform(resource, namespace, "", None, Action::Create(body))
    }

    /// Replaces an object; with `metadata.resourceVersion` only when it is still that one.
    ///
    /// # Errors
    /// As the API server answers.
    pub fn update(&mut self, resource: &str, namespace: &str, body: Value) -> Result<Arc<Stored>, ApiError> {
        let name = name_of(&body);
        self.perform(resource, namespace, &name, None, Action::Update(body))
    }

    /// Replaces an object's status.
    ///
    /// # Errors
    /// As the API server answers.
    pub fn update_status(&mut self, resource: &str, namespace: &str, body: Value) -> Result<Arc<Stored>, ApiError> {
        let name = name_of(&body);
        self.perform(resource, namespace, &name, Some("status"), Action::Update(body))
    }

    /// Merges a JSON merge patch into an object.
    ///
    /// # Errors
    /// As the API server answers.
    pub fn merge(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        patch: Value,
    ) -> Result<Arc<Stored>, ApiError> {
        self.perform(resource, namespace, name, None, Action::Patch(PatchKind::Merge, patch))
    }

    /// Merges a JSON merge patch into an object's subresource, for example `status`.
    ///
    /// # Errors
    /// As the API server answers.
    pub fn merge_subresource(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        subresource: &str,
        patch: Value,
    ) -> Result<Arc<Stored>, ApiError> {
        self.perform(resource, namespace, name, Some(subresource), Action::Patch(PatchKind::Merge, patch))
    }

    /// Deletes an object: at once, or by marking it when it has finalizers or a grace period.
    ///
    /// # Errors
    /// As the API server answers.
    pub fn delete(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        options: DeleteOptions,
    ) -> Result<Arc<Stored>, ApiError> {
        self.perform(resource, namespace, name, None, Action::Delete(options))
    }

    /// Does any action on any subresource.
    ///
    /// # Errors
    /// As the API server answers.
    pub fn perform(
        &mut self,
        resource: &str,
        namespace: &str,
        name: &str,
        subresource: Option<&str>,
        action: Action,
    ) -> Result<Arc<Stored>, ApiError> {
        let resource = self.cluster.registry.stored(resource).cloned().ok_or_else(ApiError::unknown_resource)?;
        let call = Call {
            resource,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: subresource.map(str::to_owned),
            actor: self.actor.clone(),
            options: WriteOptions { manager: manager_of(&self.actor.agent), ..WriteOptions::default() },
            doubled: Vec::new(),
        };
        self.cluster.perform(&call, action).map(|outcome| outcome.object)
    }
}

fn name_of(body: &Value) -> String {
    body.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The field manager a user agent stands for: its part before the slash.
pub(crate) fn manager_of(agent: &str) -> String {
    let name = agent.split('/').next().unwrap_or_default();
    name.chars().filter(|letter| !letter.is_control()).take(128).collect()
}
