//! The drive loop: observe, decide, check, act, look again, until a key's plan is empty.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use object_model::Uid;
use reconcile_core::bugs::{self, Bug};
use reconcile_core::{
    Act, ActError, Action, Kind, Note, ObjectRef, Plan, Read, StatusPatch, Stored, Wake, World, notification,
};
use tokio::time::Instant;

use crate::TaskKey;
use crate::act::{KubeWorld, event_of, kind_of_act, target_of};
use crate::api::{ApiError, Detail};
use crate::erased::Decision;
use crate::shared::{Refusal, Shared, fingerprint, lock, place_of};
use crate::view::{Noted, REFUSAL_TTL, StoreView};

/// Actions of one stage that are on their way at once.
const ACTS_AT_ONCE: usize = 16;
/// Quorum reads that are on their way at once.
const READS_AT_ONCE: usize = 8;
/// More single reads of one kind and namespace than this are one list.
const GETS_BEFORE_LIST: usize = 16;
/// How often a destructive plan is decided again because it began to read more.
const FRESH_ROUNDS_MAX: usize = 3;
/// After so many plans in a row without a rest, a key waits a second between two.
const ROUNDS_AT_ONCE: u32 = 50;

/// The shortest rest between two looks at a key that nothing changed.
const WAKE_MIN: Duration = Duration::from_millis(20);

/// What became of one observation.
enum Observed {
    /// The object is gone and there is nothing left to do.
    Gone,
    /// Something it reads is not known yet; it runs again when it is.
    NotYet,
    /// The domain panicked.
    Panicked,
    /// A plan, and what it was made from.
    Decided(Box<Decision>, Reads),
}

/// What a decision was made from, with the labels by which the server finds what somebody owns.
type Reads = BTreeSet<(Read, Option<String>)>;

/// How a run ended.
enum Outcome {
    /// Something was written: look again at once.
    Progress,
    /// Nothing to do until something changes or time comes.
    Rest(Wake),
    /// The plan has effects but changed nothing: look again later, and when the plan says so.
    Stuck(Wake),
    /// Something failed and may go better later.
    Failed,
    /// The key waits for a kind or is gone.
    Left,
}

/// Runs one key until it rests. The queue holds it as running meanwhile.
pub(crate) async fn reconcile(shared: &Arc<Shared>, task: &TaskKey) {
    let begun = Instant::now();
    let domain = shared.domains.get(task.domain).map_or("", |domain| domain.name());
    let mut outcome = Outcome::Progress;
    for _ in 0..ROUNDS_AT_ONCE {
        outcome = round(shared, task).await;
        if !matches!(outcome, Outcome::Progress) || !shared.leadership.is_held(task.domain) {
            break;
        }
    }
    shared.metrics.observe("sluice_reconcile_seconds", &[("domain", domain)], begun.elapsed());
    let failed = matches!(outcome, Outcome::Failed);
    shared.tally.reconciled(domain, &task.key.namespace, &task.key.name, begun.elapsed(), failed);
    let result = match outcome {
        Outcome::Progress => {
            shared.queue.add_at(task.clone(), Instant::now() + Duration::from_secs(1));
            "busy"
        }
        Outcome::Rest(wake) => {
            shared.queue.succeeded(task);
            add_wake(shared, task, wake);
            "rest"
        }
        Outcome::Stuck(wake) => {
            shared.queue.add_after_failure(task.clone());
            add_wake(shared, task, wake);
            "stuck"
        }
        Outcome::Failed => {
            shared.queue.add_after_failure(task.clone());
            "failed"
        }
        Outcome::Left => "left",
    };
    shared.metrics.count("sluice_reconciles_total", &[("domain", domain), ("result", result)]);
}

/// Queues the next look at a resting key.
fn add_wake(shared: &Shared, task: &TaskKey, wake: Wake) {
    if let Wake::At(moment) = wake {
        // A wake that has passed already must not spin.
        shared.queue.add_at(task.clone(), Instant::now() + shared.clock.until(moment).max(WAKE_MIN));
    }
    if let Some(moment) = refusal_expires(shared, task) {
        shared.queue.add_at(task.clone(), moment.max(Instant::now() + Duration::from_secs(1)));
    }
}

async fn round(shared: &Arc<Shared>, task: &TaskKey) -> Outcome {
    let (mut plan, reads) = match observe(shared, task) {
        Observed::Gone => {
            forget(shared, task);
            return Outcome::Left;
        }
        Observed::NotYet => return Outcome::Left,
        Observed::Panicked => return Outcome::Failed,
        Observed::Decided(decision, reads) => (checked(shared, task, *decision), reads),
    };
    if plan.has_destructive() && !bugs::on(Bug::TrustTheCache) {
        match decide_on_fresh_reads(shared, task, reads).await {
            Ok(Some(fresh)) => plan = fresh,
            Ok(None) => return Outcome::Left,
            Err(outcome) => return outcome,
        }
    }
    let wake = plan.wake;
    if plan.is_empty() {
        return Outcome::Rest(wake);
    }
    carry_out(shared, task, plan).await
}

fn forget(shared: &Shared, task: &TaskKey) {
    lock(&shared.readers).forget(task);
    lock(&shared.refusals).remove(task);
    shared.queue.succeeded(task);
}

/// Observes and decides under one look at the store.
fn observe(shared: &Shared, task: &TaskKey) -> Observed {
    let Some(domain) = shared.domains.get(task.domain) else { return Observed::Gone };
    let mut noted = Noted::default();
    let seen = catch_unwind(AssertUnwindSafe(|| {
        let view = StoreView::new(shared, Some(task));
        let undecided = domain.observe(&view, &task.key);
        (undecided, view.into_noted())
    }));
    let decided = match seen {
        Err(_) => None,
        Ok((undecided, seen)) => {
            noted = seen;
            match undecided {
                _ if !noted.unready.is_empty() || !noted.undiscovered.is_empty() => Some(Err(Observed::NotYet)),
                None => Some(Err(Observed::Gone)),
                Some(undecided) => catch_unwind(AssertUnwindSafe(undecided)).ok().map(Ok),
            }
        }
    };
    lock(&shared.readers).note(task, noted.reads.clone(), std::mem::take(&mut noted.slots));
    match decided {
        None => {
            tracing::error!(domain = domain.name(), key = %task.key, "a decision panicked, the key is set aside");
            shared.metrics.count("sluice_panics_total", &[("domain", domain.name())]);
            Observed::Panicked
        }
        Some(Err(Observed::NotYet)) => {
            shared.await_kinds(task, &noted.unready, &noted.whole);
            shared.await_versions(task, &noted.undiscovered);
            Observed::NotYet
        }
        Some(Err(other)) => other,
        Some(Ok(decision)) => Observed::Decided(Box::new(decision), reads_of(noted)),
    }
}

fn reads_of(noted: Noted) -> Reads {
    let Noted { reads, mut labels, .. } = noted;
    let with_labels = |read: Read| {
        let found = match &read {
            Read::Owned(kind, owner) => labels.remove(&(kind.clone(), owner.clone())),
            Read::Get(..) | Read::List(..) => None,
        };
        (read, found)
    };
    reads.into_iter().map(with_labels).collect()
}

/// Drops what the second opinion refuses.
fn checked(shared: &Shared, task: &TaskKey, decision: Decision) -> Plan {
    let Decision { mut plan, violations } = decision;
    let domain = shared.domains.get(task.domain).map_or("", |domain| domain.name());
    for violation in &violations {
        tracing::error!(
            domain, key = %task.key, rule = violation.rule, stage = ?violation.stage,
            "a plan would break a rule: {}", violation.message
        );
        shared.metrics.count("sluice_violations_total", &[("domain", domain), ("rule", violation.rule)]);
    }
    plan.refuse(&violations);
    plan
}

/// Repeats the reads of a destructive plan from the quorum and decides again, until the plan reads nothing new.
///
/// Returns the plan over fresh reads, or `None` when the key left meanwhile.
async fn decide_on_fresh_reads(
    shared: &Arc<Shared>,
    task: &TaskKey,
    mut reads: Reads,
) -> Result<Option<Plan>, Outcome> {
    let mut fresh = Reads::new();
    for _ in 0..FRESH_ROUNDS_MAX {
        if let Err(error) = read_again(shared, task, &reads).await {
            tracing::warn!(key = %task.key, %error, "the read before a destructive act failed");
            return Err(Outcome::Failed);
        }
        fresh.append(&mut reads);
        match observe(shared, task) {
            Observed::Gone => {
                forget(shared, task);
                return Ok(None);
            }
            Observed::NotYet => return Ok(None),
            Observed::Panicked => return Err(Outcome::Failed),
            Observed::Decided(decision, new_reads) => {
                let plan = checked(shared, task, *decision);
                if !plan.has_destructive() || new_reads.is_subset(&fresh) {
                    return Ok(Some(plan));
                }
                reads = new_reads;
            }
        }
    }
    tracing::warn!(key = %task.key, "a destructive plan reads something new each time, it waits");
    Err(Outcome::Failed)
}

/// One request that covers some reads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Fresh {
    One(ObjectRef),
    /// What has these labels in a namespace, and what else is known to have this owner.
    Owned(Kind, String, Uid, String),
    All(Kind, String),
}

async fn read_again(shared: &Arc<Shared>, task: &TaskKey, reads: &Reads) -> Result<(), ApiError> {
    let requests = requests_for(reads, &task.key.namespace);
    let sent: Vec<BoxFuture<'_, Result<(), ApiError>>> =
        requests.into_iter().map(|request| -> BoxFuture<'_, _> { Box::pin(read_one(shared, request)) }).collect();
    let results: Vec<Result<(), ApiError>> = futures::stream::iter(sent).buffered(READS_AT_ONCE).collect().await;
    results.into_iter().collect()
}

async fn read_one(shared: &Arc<Shared>, request: Fresh) -> Result<(), ApiError> {
    match request {
        Fresh::One(target) => shared.refresh_object(&target).await,
        Fresh::Owned(kind, namespace, owner, labels) => read_owned(shared, kind, namespace, &owner, &labels).await,
        Fresh::All(kind, namespace) => read_all(shared, &kind, namespace).await,
    }
}

async fn read_all(shared: &Arc<Shared>, kind: &Kind, namespace: String) -> Result<(), ApiError> {
    let namespace = shared.options.scope(kind, namespace);
    let sequence = lock(&shared.store).list_begins();
    let selector = lock(&shared.store).selector(kind).and_then(|selector| selector.text());
    let detail = Detail::of(kind, selector.as_deref());
    let list = match shared.api.list(kind, &namespace, selector.as_deref(), detail).await {
        // A kind that isn't served has no objects, as the store says already.
        Err(ApiError::NotFound { .. }) => return Ok(()),
        other => other?,
    };
    let version = list.resource_version.parse().unwrap_or(0);
    let changes = lock(&shared.store).replace(kind, &namespace, list.items, version, sequence);
    shared.changed(changes);
    Ok(())
}

/// Reads what has the labels; what is known to be owned but was not among that is asked for by name: it may be gone, or
/// somebody else made it without the labels.
async fn read_owned(
    shared: &Arc<Shared>,
    kind: Kind,
    namespace: String,
    owner: &Uid,
    labels: &str,
) -> Result<(), ApiError> {
    let sequence = lock(&shared.store).list_begins();
    let selector = lock(&shared.store).selector(&kind).and_then(|selector| selector.text());
    let detail = Detail::of(&kind, selector.as_deref());
    let selector = selector.into_iter().chain([labels.to_owned()]).collect::<Vec<_>>().join(",");
    let list = match shared.api.list(&kind, &namespace, Some(&selector), detail).await {
        Err(ApiError::NotFound { .. }) => return Ok(()),
        other => other?,
    };
    let names: BTreeSet<String> = list.items.iter().map(|object| object.name().to_owned()).collect();
    let mut changes = Vec::new();
    {
        let mut store = lock(&shared.store);
        for object in list.items {
            let place = (namespace.clone(), object.name().to_owned());
            changes.extend(store.confirm(&kind, &place, Some(object), sequence));
        }
    }
    shared.changed(changes);
    let known = lock(&shared.store).owned(&kind, owner);
    let others: Vec<ObjectRef> = known
        .iter()
        .filter(|object| object.namespace() == Some(namespace.as_str()) && !names.contains(object.name()))
        .map(|object| ObjectRef::of(&kind, object))
        .collect();
    if others.len() > GETS_BEFORE_LIST {
        return read_all(shared, &kind, namespace).await;
    }
    for other in others {
        shared.refresh_object(&other).await?;
    }
    Ok(())
}

/// The fewest requests that repeat all reads. What an owner owns is in its namespace.
fn requests_for(reads: &Reads, key_namespace: &str) -> BTreeSet<Fresh> {
    let mut lists: BTreeSet<(Kind, String)> = BTreeSet::new();
    let mut gets: std::collections::BTreeMap<(Kind, String), BTreeSet<String>> = std::collections::BTreeMap::new();
    let mut owned: BTreeSet<(Kind, Uid, String)> = BTreeSet::new();
    for (read, labels) in reads {
        match read {
            Read::List(kind, namespace) => {
                lists.insert((kind.clone(), namespace.clone()));
            }
            Read::Owned(kind, owner) => match labels {
                Some(labels) => {
                    owned.insert((kind.clone(), owner.clone(), labels.clone()));
                }
                None => {
                    lists.insert((kind.clone(), key_namespace.to_owned()));
                }
            },
            Read::Get(kind, namespace, name) => {
                gets.entry((kind.clone(), namespace.clone())).or_default().insert(name.clone());
            }
        }
    }
    for (scope, names) in &gets {
        if names.len() > GETS_BEFORE_LIST {
            lists.insert(scope.clone());
        }
    }
    let everywhere: BTreeSet<Kind> =
        lists.iter().filter(|(_, namespace)| namespace.is_empty()).map(|(kind, _)| kind.clone()).collect();
    lists.retain(|(kind, namespace)| namespace.is_empty() || !everywhere.contains(kind));
    let is_listed = |kind: &Kind, namespace: &str| {
        everywhere.contains(kind) || lists.contains(&(kind.clone(), namespace.to_owned()))
    };
    let mut requests = BTreeSet::new();
    for (kind, owner, labels) in owned {
        if !is_listed(&kind, key_namespace) {
            requests.insert(Fresh::Owned(kind, key_namespace.to_owned(), owner, labels));
        }
    }
    for ((kind, namespace), names) in gets {
        if is_listed(&kind, &namespace) {
            continue;
        }
        let within = (!namespace.is_empty()).then(|| namespace.clone());
        for name in names {
            requests.insert(Fresh::One(ObjectRef { kind: kind.clone(), namespace: within.clone(), name }));
        }
    }
    requests.extend(lists.into_iter().map(|(kind, namespace)| Fresh::All(kind, namespace)));
    requests
}

/// Carries a plan out: stages in order, then Events, then the status.
async fn carry_out(shared: &Arc<Shared>, task: &TaskKey, plan: Plan) -> Outcome {
    let world = KubeWorld { shared, task };
    let mut progress = false;
    let main = main_uid(shared, task);
    for stage in &plan.stages {
        let acts: Vec<BoxFuture<'_, Result<Stored, ActError>>> =
            stage.iter().map(|act| -> BoxFuture<'_, _> { Box::pin(world.act(act)) }).collect();
        let results: Vec<Result<Stored, ActError>> = futures::stream::iter(acts).buffered(ACTS_AT_ONCE).collect().await;
        let mut failure = None;
        for (act, result) in stage.iter().zip(results) {
            match result {
                Ok(Stored::Unchanged) => {}
                Ok(_) => {
                    progress = true;
                    log_act(shared, task, act);
                }
                Err(error) => {
                    let outcome = failed(shared, task, act, error, main.as_ref()).await;
                    failure = Some(worse(failure, outcome));
                }
            }
        }
        if let Some(outcome) = failure {
            return outcome;
        }
    }
    for note in &plan.notes {
        write_event(shared, task, note).await;
    }
    if let Some(status) = plan.status.as_ref().filter(|_| !(plan.status_may_wait && progress)) {
        match write_status(&world, status).await {
            Ok(changed) => progress |= changed,
            Err(outcome) => return outcome,
        }
    }
    let asks_only = plan.acts().all(|act| matches!(act.action, Action::Ask { .. })) && plan.status.is_none();
    match (progress, asks_only) {
        (true, _) => Outcome::Progress,
        // Only Events, and questions that are on their way.
        (false, true) => Outcome::Rest(plan.wake),
        // Writes that the server found to change nothing: rest as the plan asks, but not for ever.
        (false, false) => Outcome::Stuck(plan.wake),
    }
}

/// The life of the object that a key names, for telling its refusals from those of an earlier life.
fn main_uid(shared: &Shared, task: &TaskKey) -> Option<object_model::Uid> {
    let store = lock(&shared.store);
    let kinds = shared.declared_order.get(task.domain)?;
    let main = kinds.iter().find_map(|kind| store.get(kind, &task.key.namespace, &task.key.name))?;
    main.uid()
}

fn worse(have: Option<Outcome>, new: Outcome) -> Outcome {
    match (have, new) {
        (Some(Outcome::Failed), _) | (_, Outcome::Failed) => Outcome::Failed,
        (_, new) => new,
    }
}

fn log_act(shared: &Shared, task: &TaskKey, act: &Act) {
    let domain = shared.domains.get(task.domain).map_or("", |domain| domain.name());
    let action = kind_of_act(&act.action);
    match target_of(&act.action) {
        Some(target) => tracing::info!(domain, key = %task.key, action, object = %target, "done"),
        None => tracing::debug!(domain, key = %task.key, action, "done"),
    }
}

/// Deals with a failed action: a moved object is read again, a refusal is remembered, anything else waits.
async fn failed(
    shared: &Arc<Shared>,
    task: &TaskKey,
    act: &Act,
    error: ActError,
    main: Option<&object_model::Uid>,
) -> Outcome {
    let target = target_of(&act.action);
    match (error, target) {
        (ActError::Conflict { detail, .. }, Some(target)) => {
            tracing::info!(key = %task.key, object = %target, detail, "the object changed meanwhile, looking again");
            refreshed(shared, &target).await
        }
        (ActError::Refused { message, code, .. }, Some(target)) => {
            tracing::warn!(key = %task.key, object = %target, message, "the server refused a write");
            if code == NOT_FOUND {
                // Its definition may be gone: what is served is learned anew.
                lock(&shared.discovery).forget_group(&target.kind.group);
            }
            // The next observation sees a new refusal and says so in the status; a known one waits.
            match remember(shared, task, &target, Words { message, code }, main.cloned()) {
                News::New => Outcome::Progress,
                News::Known => Outcome::Failed,
            }
        }
        (error, _) => {
            tracing::warn!(key = %task.key, action = kind_of_act(&act.action), %error, "an action failed");
            Outcome::Failed
        }
    }
}

async fn refreshed(shared: &Arc<Shared>, target: &ObjectRef) -> Outcome {
    match shared.refresh_object(target).await {
        Ok(()) => Outcome::Progress,
        Err(error) => {
            tracing::warn!(object = %target, %error, "the object could not be read again");
            Outcome::Failed
        }
    }
}

/// The path of a request is not served, or its namespace is not there.
const NOT_FOUND: u16 = 404;

/// Whether a refusal was known before.
enum News {
    New,
    Known,
}

/// What the server said.
struct Words {
    message: String,
    code: u16,
}

impl Words {
    /// Missing rights, missing namespaces and the policies of webhooks and quotas come and go.
    fn may_pass(&self) -> bool {
        matches!(self.code, 403 | 404)
    }
}

fn remember(shared: &Shared, task: &TaskKey, target: &ObjectRef, words: Words, owner: Option<Uid>) -> News {
    let (namespace, name) = place_of(target);
    let seen = lock(&shared.store).get(&target.kind, &namespace, &name);
    let target_seen = seen.map(|object| fingerprint(&object));
    let may_pass = words.may_pass();
    let (at, moment) = (Instant::now(), shared.clock.now());
    let mut refusals = lock(&shared.refusals);
    let of_task = refusals.entry(task.clone()).or_default();
    let old = of_task.get(target);
    let known = old.is_some_and(|old| old.message == words.message);
    let in_a_row = old.filter(|old| old.owner == owner && old.target_seen == target_seen).map_or(0, |old| old.attempts);
    let attempts = in_a_row.saturating_add(1);
    let message = words.message;
    of_task.insert(target.clone(), Refusal { owner, message, target_seen, at, moment, attempts, may_pass });
    if known { News::Known } else { News::New }
}

/// When the first refusal of a task is old enough to try again.
fn refusal_expires(shared: &Shared, task: &TaskKey) -> Option<Instant> {
    lock(&shared.refusals).get(task)?.values().map(|refusal| refusal.at + REFUSAL_TTL).min()
}

/// Whether the object that a note is about has a subscription for it: its Event is a message then.
fn wants_to_hear(shared: &Shared, note: &Note) -> bool {
    let is_sent = shared.domains.iter().any(|domain| domain.name() == "notification");
    let namespace = note.about.namespace.clone().unwrap_or_default();
    let about = lock(&shared.store).get(&note.about.kind, &namespace, &note.about.name);
    is_sent && about.is_some_and(|about| notification::may_want(&about, note.reason.0))
}

async fn write_event(shared: &Arc<Shared>, task: &TaskKey, note: &Note) {
    let kind = Kind::namespaced("", "v1", "Event", "events");
    let component = format!("sluice-{}", shared.domains.get(task.domain).map_or("", |domain| domain.name()));
    let mut event = event_of(note, &component, shared.clock.now());
    if wants_to_hear(shared, note) {
        event.set_label(notification::LABEL, notification::PENDING);
    }
    if !shared.events.first(event.name()) || !shared.leadership.is_held(task.domain) {
        return;
    }
    match shared.api.create(&reconcile_core::Actor::Operator, &kind, &event).await {
        Ok(_) => shared.tally.told(note),
        Err(ApiError::AlreadyExists { .. }) => {}
        Err(error) => {
            shared.events.forget(event.name());
            tracing::warn!(object = %note.about, reason = note.reason.0, %error, "an Event was not written");
        }
    }
}

/// Returns whether the status changed; a conflict reads the object again.
async fn write_status(world: &KubeWorld<'_>, status: &StatusPatch) -> Result<bool, Outcome> {
    match world.write_status(status).await {
        Ok(Stored::Unchanged) => Ok(false),
        Ok(_) => Ok(true),
        Err(ActError::Conflict { .. }) => Err(refreshed(world.shared, &status.target).await),
        Err(error) => {
            tracing::warn!(key = %world.task.key, object = %status.target, %error, "the status was not written");
            Err(Outcome::Failed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_repeated_with_the_fewest_requests() {
        let service = Kind::namespaced("", "v1", "Service", "services");
        let set = Kind::namespaced("apps", "v1", "ReplicaSet", "replicasets");
        let get = |kind: &Kind, name: &str| (Read::Get(kind.clone(), "qa".to_owned(), name.to_owned()), None);
        let owned = Read::Owned(set.clone(), Uid::new("u"));
        let mut reads = Reads::from([get(&service, "a"), get(&set, "b"), (owned.clone(), None)]);
        let requests = requests_for(&reads, "qa");
        assert_eq!(requests.len(), 2, "the owned list covers the single read: {requests:?}");
        let narrow = requests_for(&Reads::from([get(&set, "b"), (owned, Some("app=web".to_owned()))]), "qa");
        assert_eq!(narrow.len(), 2, "what has the labels is no list of all: {narrow:?}");
        reads.extend((0..20).map(|n| get(&service, &format!("s{n}"))));
        let requests = requests_for(&reads, "qa");
        assert!(requests.contains(&Fresh::All(service.clone(), "qa".to_owned())));
        assert_eq!(requests.len(), 2);
    }
}
