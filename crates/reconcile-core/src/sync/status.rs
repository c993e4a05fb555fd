//! The status of a GitOpsConfig: conditions that kstatus, Argo CD, Flux and `kubectl wait` understand.

use diff_engine::HealthStatus;
use object_model::{Condition, ConditionStatus, ObjectId, format_time, set_condition};
use serde_json::{Map, Value, json};

use super::decide::compact;
use super::deletion_hooks;
use super::desired::{Prepared, Wish};
use super::gates::Hold;
use super::operation::Operation;
use super::rerender;
use super::snapshot::Snapshot;
use super::windows;
use crate::bugs::{self, Bug};
use crate::patch::merge_patch;
use crate::{Action, ObjectRef, Plan, Precondition, StatusPatch};

/// Failures that are listed; more are counted.
const LISTED_MAX: usize = 20;

/// What a decision found, for the status.
#[derive(Debug, Default)]
pub(super) struct Report {
    pub(super) fetched: bool,
    pub(super) rendered: bool,
    /// (condition, reason, message) of the step that failed.
    pub(super) broken: Option<(&'static str, String, String)>,
    pub(super) stalled: Option<(&'static str, String)>,
    pub(super) suspended: bool,
    /// What a config that is being deleted still waits for.
    pub(super) deleting: Option<String>,
    /// (object, reason, message) of objects that can't be applied.
    pub(super) errors: Vec<(ObjectId, &'static str, String)>,
    pub(super) in_sync: usize,
    pub(super) different: usize,
    pub(super) drift: Vec<String>,
    pub(super) pruned: usize,
    pub(super) kept: Vec<String>,
    /// Why nothing is pruned although something left Git: the guard against a commit that takes too much away.
    pub(super) held: Option<String>,
    pub(super) inventory: usize,
    pub(super) health: Option<diff_engine::Health>,
    /// Whether objects were gone through to be written.
    pub(super) has_passed: bool,
    /// The operation as it is to be stored.
    pub(super) operation: Option<Operation>,
    /// What a running operation waits for.
    pub(super) progress: Option<String>,
    /// Why the operation has failed.
    pub(super) sync_failed: Option<String>,
    /// Which attempt it was, and when the next one begins.
    pub(super) outlook: String,
    /// What keeps a new commit from being applied.
    pub(super) hold: Option<Hold>,
    /// The request for a sync that is taken care of.
    pub(super) handled_sync: Option<String>,
    pub(super) rollback: Option<String>,
    pub(super) stalled_rollback: Option<String>,
}

impl Report {
    pub(super) fn stall(&mut self, reason: &'static str, message: &str) {
        self.stalled = Some((reason, message.to_owned()));
    }

    pub(super) fn suspend(&mut self) {
        self.suspended = true;
    }

    pub(super) fn error(&mut self, id: &ObjectId, wish: &Wish, reason: &'static str, message: String) {
        let place = if wish.line > 0 { format!("{}:{}", wish.file, wish.line) } else { wish.file.clone() };
        self.errors.push((id.clone(), reason, format!("{place}: {id}: {message}")));
    }

    pub(super) fn differs(&mut self, _id: &ObjectId, _prepared: &Prepared) {
        self.different += 1;
    }

    pub(super) fn drifted(&mut self, id: &ObjectId) {
        self.drift.push(id.to_string());
    }

    /// (reason, message) of everything a person should hear of.
    pub(super) fn failures(&self) -> Vec<(&'static str, String)> {
        let mut failures = Vec::new();
        if let Some((reason, message)) = &self.stalled {
            failures.push((*reason, message.clone()));
        }
        if let Some((condition, _, message)) = &self.broken {
            let reason = match *condition {
                "Fetched" => "FetchFailed",
                "SourceVerified" => "VerificationFailed",
                _ => "RenderFailed",
            };
            failures.push((reason, message.clone()));
        }
        failures.extend(self.errors.iter().map(|(_, reason, message)| (*reason, message.clone())));
        failures.extend(self.sync_failed.iter().map(|why| ("SyncFailed", why.clone())));
        failures.extend(self.held.iter().map(|why| ("PruneHeld", why.clone())));
        if let Some(health) = self.health.as_ref().filter(|health| health.status == HealthStatus::Degraded) {
            failures.push(("Degraded", health.message.clone()));
        }
        failures
    }

    /// Whether nothing is known yet that a status could tell.
    fn is_silent(&self) -> bool {
        !self.rendered
            && !self.suspended
            && self.broken.is_none()
            && self.stalled.is_none()
            && self.deleting.is_none()
            && self.operation.is_none()
            && self.errors.is_empty()
    }

    /// Whether everything that Git says is applied.
    pub(super) fn is_synced(&self) -> bool {
        self.rendered
            && self.broken.is_none()
            && self.stalled.is_none()
            && self.errors.is_empty()
            && self.progress.is_none()
            && self.sync_failed.is_none()
            && self.hold.is_none()
            && self.different == 0
    }
}

/// Judges the health of everything that is wanted; what is not there is Missing.
pub(super) fn health(snapshot: &Snapshot, report: &mut Report) {
    let missing = snapshot.wishes.iter().find(|wish| !snapshot.live.contains_key(&wish.object.id()));
    let judged = snapshot.wishes.iter().filter_map(|wish| {
        let id = wish.object.id();
        Some((&**snapshot.live.get(&id)?, snapshot.healths.get(&id)?.clone()))
    });
    let mut worst = diff_engine::worst(judged);
    if let Some(wish) = missing.filter(|_| worst.status < HealthStatus::Missing) {
        worst = diff_engine::Health::new(HealthStatus::Missing, format!("{} does not exist", wish.object.id()));
    }
    report.health = Some(worst);
}

/// Adds the status write to the plan when anything changed.
pub(super) fn write(snapshot: &Snapshot, report: &Report, plan: &mut Plan) {
    let refresh = snapshot.config.annotation(api::names::REFRESH);
    if report.is_silent() && refresh == snapshot.config.str_at("/status/lastHandledRefresh") {
        // What was said last is about an older generation, and shows it, until there is something to say about this one.
        return;
    }
    let live = snapshot.config.pointer("/status").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut status = live.clone();
    status.insert("observedGeneration".to_owned(), snapshot.config.generation().into());
    let mut conditions: Vec<Condition> =
        live.get("conditions").and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default();
    for condition in conditions_of(snapshot, report) {
        set_condition(&mut conditions, condition.observed(snapshot.config.generation()), snapshot.now);
    }
    status.insert("conditions".to_owned(), serde_json::to_value(conditions).unwrap_or(Value::Null));
    details(snapshot, report, &mut status);
    plan.report.problems.extend(report.failures().into_iter().map(|(_, message)| message));
    let mut status = Value::Object(status);
    // Before it is compared with what stands there, which is masked too.
    rerender::mask_status(snapshot, &mut status);
    let Some(patch) = merge_patch(&Value::Object(live), &status) else { return };
    plan.status_may_wait = may_wait(report, plan);
    plan.status = Some(StatusPatch {
        target: ObjectRef::of(&snapshot.kind, &snapshot.config),
        patch: json!({"status": patch}),
        precondition: Precondition::exact(&snapshot.config),
        subresource: true,
    });
}

/// Whether the status is only about writes that this plan begins. One write of the status for each stage of a sync would
/// cost more than the objects. What a sync has to remember is written before it goes on.
fn may_wait(report: &Report, plan: &Plan) -> bool {
    let writes = |act: &crate::Act| {
        matches!(
            act.action,
            Action::Create { .. } | Action::Apply { .. } | Action::Patch { .. } | Action::Replace { .. }
        )
    };
    report.rendered
        && report.operation.is_none()
        && report.handled_sync.is_none()
        && report.drift.is_empty()
        && report.failures().is_empty()
        && report.rollback.is_none()
        && plan.acts().count() > 0
        && plan.acts().all(writes)
}

fn details(snapshot: &Snapshot, report: &Report, status: &mut Map<String, Value>) {
    if let Some(annotation) = snapshot.config.annotation(api::names::REFRESH).filter(|_| !snapshot.refresh_wanted) {
        status.insert("lastHandledRefresh".to_owned(), annotation.into());
    } else if let (Some(annotation), true) =
        (snapshot.config.annotation(api::names::REFRESH), snapshot.fetch_is_starting())
    {
        status.insert("lastHandledRefresh".to_owned(), annotation.into());
    }
    if let Some(operation) = &report.operation {
        status.insert("sync".to_owned(), operation.to_value());
    }
    if !report.rendered {
        return;
    }
    let Some(rendered) = snapshot.rendered() else { return };
    let touched = &rendered.touched;
    match deletion_hooks::count(snapshot) {
        0 => status.remove("deletionHooks"),
        count => status.insert("deletionHooks".to_owned(), count.into()),
    };
    if let Some(request) = &report.handled_sync {
        status.insert("lastHandledSync".to_owned(), request.clone().into());
    }
    if report.is_synced() || (report.has_passed && (report.in_sync > 0 || !report.errors.is_empty())) {
        let head = snapshot.head();
        let source = compact(vec![
            ("commit", touched.commit.clone().into()),
            ("author", format!("{} <{}>", touched.author.name, touched.author.email).into()),
            ("time", format_time(touched.time).into()),
            ("reference", head.map(|head| head.reference.clone()).into()),
            ("signedBy", head.and_then(|head| head.signer.clone()).into()),
            ("subject", touched.subject.clone().into()),
            ("build", touched.trailer("Sluice-Build").into()),
            ("source", touched.trailer("Sluice-Source").into()),
        ]);
        status.insert("source".to_owned(), source);
    }
    match windows::status(snapshot) {
        Some(windows) => status.insert("windows".to_owned(), windows),
        None => status.remove("windows"),
    };
    let total = snapshot.wishes.len();
    status.insert(
        "objects".to_owned(),
        json!({"wanted": total, "inSync": report.in_sync, "failed": report.errors.len()}),
    );
    status.insert("inventory".to_owned(), json!({"entries": report.inventory}));
    list(
        status,
        "failures",
        report
            .errors
            .iter()
            .map(|(id, reason, message)| json!({"object": id.to_string(), "reason": reason, "message": message}))
            .collect(),
    );
    list(status, "drift", report.drift.iter().cloned().map(Value::from).collect());
    list(status, "kept", report.kept.iter().cloned().map(Value::from).collect());
    if let Some(health) = &report.health {
        status.insert(
            "health".to_owned(),
            compact(vec![("status", health.status.to_string().into()), ("message", some_text(&health.message))]),
        );
        let is_healthy = health.status == HealthStatus::Healthy && is_at_rest(snapshot);
        if report.is_synced() && (is_healthy || bugs::on(Bug::HealthyTooEarly)) {
            last_healthy(snapshot, status);
        }
    }
    if let Some(name) = &report.rollback {
        let images = rollout_images(snapshot);
        status.insert("rollback".to_owned(), json!({"promotion": name, "commit": touched.commit, "images": images}));
    }
}

fn some_text(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { Value::from(text) }
}

fn list(status: &mut Map<String, Value>, key: &str, mut items: Vec<Value>) {
    let more = items.len().saturating_sub(LISTED_MAX);
    items.truncate(LISTED_MAX);
    if more > 0 {
        items.push(json!(format!("and {more} more")));
    }
    match items.is_empty() {
        true => status.remove(key),
        false => status.insert(key.to_owned(), Value::Array(items)),
    };
}

/// Whether no Rollout of the config is on its way: a canary that is healthy so far proves nothing yet.
fn is_at_rest(snapshot: &Snapshot) -> bool {
    let live = snapshot.wishes.iter().filter_map(|wish| snapshot.live.get(&wish.object.id()));
    live.filter(|object| object.kind() == "Rollout").all(|rollout| {
        let stable = rollout.str_at("/status/stableRS");
        let generation = rollout.generation().to_string();
        stable.is_some()
            && stable == rollout.str_at("/status/currentPodHash")
            && rollout.str_at("/status/observedGeneration") == Some(&generation)
    })
}

/// Remembers the commit, and the moment only when the commit is another one.
fn last_healthy(snapshot: &Snapshot, status: &mut Map<String, Value>) {
    let Some(rendered) = snapshot.rendered() else { return };
    let touched = &rendered.touched;
    let known = status.get("lastHealthy").and_then(|last| last.get("commit")).and_then(Value::as_str);
    if known == Some(&touched.commit) {
        return;
    }
    condemn(snapshot, &touched.commit, status);
    let value = compact(vec![
        ("commit", touched.commit.clone().into()),
        ("at", format_time(snapshot.now).into()),
        ("build", touched.trailer("Sluice-Build").into()),
        ("source", touched.trailer("Sluice-Source").into()),
    ]);
    status.insert("lastHealthy".to_owned(), value);
}

/// The images of the Rollouts that Git wants now.
fn rollout_images(snapshot: &Snapshot) -> Vec<String> {
    let rollouts = snapshot.wishes.iter().filter(|wish| wish.object.kind() == "Rollout");
    let containers = rollouts.flat_map(|wish| wish.object.list_at("/spec/template/spec/containers"));
    let mut images: Vec<String> =
        containers.filter_map(|container| container.get("image")?.as_str().map(str::to_owned)).collect();
    images.sort();
    images.dedup();
    images
}

/// Once the commit that took a rollback's place is healthy, the images that only the failed one had are bad versions: they are
/// not promoted again until a person says so.
fn condemn(snapshot: &Snapshot, commit: &str, status: &mut Map<String, Value>) {
    let Some(rollback) = status.get("rollback").cloned() else { return };
    let bad_commit = rollback.get("commit").and_then(Value::as_str).unwrap_or_default();
    if bad_commit == commit {
        return;
    }
    let good = rollout_images(snapshot);
    let failed = rollback.get("images").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let mut bad: Vec<Value> = status.get("badVersions").and_then(Value::as_array).cloned().unwrap_or_default();
    bad.retain(|item| {
        item.get("image").and_then(Value::as_str).is_none_or(|image| !good.iter().any(|have| have == image))
    });
    for image in failed.filter(|image| !good.iter().any(|have| have == image)) {
        if !bad.iter().any(|item| item.get("image").and_then(Value::as_str) == Some(image)) {
            bad.push(json!({"image": image, "commit": bad_commit, "at": format_time(snapshot.now)}));
        }
    }
    let excess = bad.len().saturating_sub(LISTED_MAX);
    bad.drain(..excess);
    list(status, "badVersions", bad);
    status.remove("rollback");
}

fn conditions_of(snapshot: &Snapshot, report: &Report) -> Vec<Condition> {
    use ConditionStatus::{False, True, Unknown};
    let mut list = Vec::new();
    if snapshot.config.is_deleting() && report.stalled.is_none() {
        if let Some((_, reason, message)) = report.errors.first() {
            list.push(Condition::new("Ready", False, reason, message.clone()));
        } else if let Some(message) = &report.deleting {
            list.push(Condition::new("Ready", False, "Deleting", message.clone()));
        }
        return list;
    }
    if report.suspended {
        list.push(Condition::new("Ready", Unknown, "Suspended", "spec.suspend is set"));
        return list;
    }
    if let Some((reason, message)) = &report.stalled {
        list.push(Condition::new("Stalled", True, reason, message.clone()));
        list.push(Condition::new("Ready", False, reason, message.clone()));
        return list;
    }
    if has(snapshot, "Stalled") {
        list.push(Condition::new("Stalled", False, "Proceeding", ""));
    }
    if let Some((condition, reason, message)) = &report.broken {
        if *condition != "Fetched" {
            list.push(Condition::new("Fetched", True, "Fetched", ""));
        }
        if *condition == "Rendered" {
            list.extend(verified(snapshot));
        }
        list.push(Condition::new(condition, False, reason, message.clone()));
        list.push(Condition::new("Ready", False, reason, message.clone()));
        return list;
    }
    if !report.rendered {
        // Nothing is known against what was said last: the conditions stay until the answer is there.
        return list;
    }
    list.push(Condition::new("Fetched", True, "Fetched", ""));
    list.extend(verified(snapshot));
    list.push(Condition::new("Rendered", True, "Rendered", ""));
    let commit = snapshot.rendered().map(|rendered| rendered.touched.commit.clone()).unwrap_or_default();
    if let Some((_, reason, message)) = report.errors.first() {
        let more = report.errors.len() - 1;
        let message = if more > 0 { format!("{message} (and {more} more)") } else { message.clone() };
        list.push(Condition::new("Applied", False, reason, message.clone()));
        list.push(Condition::new("Ready", False, reason, message));
        return list;
    }
    if !report.drift.is_empty() {
        list.push(Condition::new("Drifted", True, "Drifted", report.drift.join(", ")));
    } else if has(snapshot, "Drifted") {
        list.push(Condition::new("Drifted", False, "InSync", ""));
    }
    if let Some(why) = &report.held {
        list.push(Condition::new("Pruned", False, "PruneHeld", why.clone()));
    } else if has(snapshot, "Pruned") {
        list.push(Condition::new("Pruned", True, "Pruned", ""));
    }
    if let Some(message) = &report.sync_failed {
        let message = format!("{message}{}", report.outlook);
        list.push(Condition::new("Applied", False, "SyncFailed", message.clone()));
        list.push(Condition::new("Ready", False, "SyncFailed", message));
        return list;
    }
    if let Some(hold) = &report.hold {
        list.push(Condition::new("Applied", False, hold.reason, hold.message.clone()));
        list.push(Condition::new("Ready", False, hold.reason, hold.message.clone()));
        return list;
    }
    if let Some(progress) = &report.progress {
        list.push(Condition::new("Applied", Unknown, "Applying", format!("commit {commit}: {progress}")));
        list.push(Condition::new("Ready", Unknown, "Applying", format!("commit {commit}: {progress}")));
        return list;
    }
    if report.different > report.drift.len() {
        list.push(Condition::new("Applied", Unknown, "Applying", format!("commit {commit} is being applied")));
        list.push(Condition::new("Ready", Unknown, "Applying", format!("commit {commit} is being applied")));
        return list;
    }
    list.push(Condition::new("Applied", True, "Applied", format!("applied commit {commit}")));
    health_conditions(report, &commit, &mut list);
    list
}

/// Says who signed what is delivered, where a signature is asked for.
fn verified(snapshot: &Snapshot) -> Option<Condition> {
    let signer = snapshot.head()?.signer.as_ref()?;
    Some(Condition::new("SourceVerified", ConditionStatus::True, "Verified", format!("signed by {signer}")))
}

/// Whether the status has a condition of this type already: some are told only once there was something to tell.
fn has(snapshot: &Snapshot, kind: &str) -> bool {
    let conditions = snapshot.config.list_at("/status/conditions");
    conditions.iter().any(|item| item.get("type").and_then(Value::as_str) == Some(kind))
}

fn health_conditions(report: &Report, commit: &str, list: &mut Vec<Condition>) {
    let Some(health) = &report.health else { return };
    let (status, reason) = match health.status {
        HealthStatus::Healthy => (ConditionStatus::True, "Healthy"),
        HealthStatus::Progressing | HealthStatus::Suspended | HealthStatus::Unknown => {
            (ConditionStatus::Unknown, "Progressing")
        }
        HealthStatus::Missing => (ConditionStatus::False, "Missing"),
        HealthStatus::Degraded => (ConditionStatus::False, "Degraded"),
    };
    let mut message =
        if status == ConditionStatus::True { format!("applied commit {commit}") } else { health.message.clone() };
    if let Some(why) = &report.stalled_rollback {
        message = format!("{message}; not taken back in Git: {why}");
    }
    list.push(Condition::new("Ready", status, reason, message));
    list.push(Condition::new("Healthy", status, reason, health.message.clone()));
}
