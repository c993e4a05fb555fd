//! The notification domain: Events that somebody subscribed to are its outbox.
//!
//! Whoever tells of a transition writes an Event under a name made of it, once, and marks it when its object has a
//! subscription. A marked Event is a message to be sent: what was delivered is written down on it before the next try, and
//! the mark changes when all is done. So nothing is lost by a crash, and at worst the one message that was on its way then
//! comes twice. Nothing of this is on the way of a rollout.

mod decide;
mod message;
mod service;
mod subscription;

use std::collections::BTreeMap;
use std::sync::Arc;

use object_model::{Object, Secret, Timestamp, Uid, parse_time};
use serde_json::{Value, json};

pub use subscription::{Destination, destinations, may_want, trigger_of};

use self::message::Configuration;
use crate::{Answer, Domain, HttpQuery, HttpReply, Key, Kind, Plan, Slot, View, Violation, kinds};

/// Label of Events that are messages: `pending`, then `sent` or `failed`.
pub const LABEL: &str = "sluice.dev/notify";
/// The value of [`LABEL`] while a message is to be sent.
pub const PENDING: &str = "pending";
/// Annotation on such an Event: what was delivered so far, and what went wrong.
pub const STATE: &str = "sluice.dev/notify-state";
/// The ConfigMap with triggers, templates and services.
const CONFIG_MAP: &str = "argo-rollouts-notification-configmap";
/// The Secret beside it.
const SECRET: &str = "argo-rollouts-notification-secret";
/// The most requests of one message.
const DELIVERIES_MAX: usize = 100;

/// Sends notifications.
#[derive(Debug, Clone, Default)]
pub struct NotificationDomain {
    /// Where the configuration lies.
    pub operator_namespace: String,
}

/// One request of a message.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Which: service, recipient, template, and number among several requests.
    pub id: String,
    /// Type of the service.
    pub kind: String,
    /// The request.
    pub query: HttpQuery,
    /// What came back in this attempt.
    pub reply: Option<HttpReply>,
    /// Whether it is on its way.
    pub is_asked: bool,
}

/// What is known of the configuration.
#[derive(Debug, Clone)]
pub enum Known<T> {
    /// It was not asked for.
    Unasked,
    /// The answer is on its way.
    Asked,
    /// It is there.
    There(T),
    /// It can't be read.
    Missing(String),
}

/// What the annotation remembers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Tries that failed.
    pub attempt: u32,
    /// When to try again.
    pub next: Option<Timestamp>,
    /// What was delivered.
    pub done: Vec<String>,
}

/// Everything that a decision reads.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The present moment.
    pub now: Timestamp,
    /// The Event as seen.
    pub event: Arc<Object>,
    /// Its uid.
    pub uid: Uid,
    /// What it remembers.
    pub state: State,
    /// Whether the object that it is about is there.
    pub has_subject: bool,
    /// The ConfigMap.
    pub config: Known<()>,
    /// The Secret.
    pub secret: Known<()>,
    /// What is to be sent, or why nothing can be.
    pub deliveries: Result<Vec<Delivery>, String>,
    /// Answers that are there.
    pub answered: Vec<Slot>,
    /// Where the configuration lies.
    pub operator_namespace: String,
}

impl Domain for NotificationDomain {
    type Snapshot = Snapshot;

    const NAME: &'static str = "notification";

    fn observe(&self, view: &dyn View, key: &Key) -> Option<Snapshot> {
        let event = view.get(&kinds::event(), &key.namespace, &key.name)?;
        if event.label(LABEL) != Some(PENDING) {
            return None;
        }
        let uid = event.uid()?;
        let subject = subject(view, &event);
        let state = State::parse(event.annotation(STATE).unwrap_or_default());
        let slot = |name: &str| Slot::new(uid.as_str(), name);
        let config = known(view, &slot("config"));
        let secret = known(view, &slot("secret"));
        let mut answered: Vec<Slot> =
            ["config", "secret"].map(slot).into_iter().filter(|slot| view.answer(slot).is_some()).collect();
        let mut deliveries = Ok(Vec::new());
        if let (Known::There(config), Some(subject)) = (&config, &subject) {
            // Without a Secret there is nothing to put in; a service that wants one says so.
            let values = if let Known::There(values) = &secret { values.clone() } else { BTreeMap::new() };
            let data = config.iter().map(|(key, value)| (key.clone(), value.expose().clone())).collect();
            let runs = runs(view, subject);
            deliveries = plan_deliveries(&Configuration::new(data, values), &event, subject, &runs);
        }
        for delivery in deliveries.iter_mut().flatten() {
            let slot = delivery_slot(&uid, state.attempt, &delivery.id);
            delivery.is_asked = view.is_asked(&slot);
            if let Some(Answer::Http(reply)) = view.answer(&slot).as_deref() {
                delivery.reply = Some(reply.clone());
                answered.push(slot);
            }
        }
        Some(Snapshot {
            now: view.now(),
            has_subject: subject.is_some(),
            config: without(config),
            secret: without(secret),
            operator_namespace: self.operator_namespace.clone(),
            event,
            uid,
            state,
            deliveries,
            answered,
        })
    }

    fn decide(&self, snapshot: &Snapshot) -> Plan {
        decide::decide(snapshot)
    }

    fn check(&self, snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
        decide::check(snapshot, plan)
    }

    fn watches(&self) -> Vec<Kind> {
        vec![kinds::event(), kinds::rollout(), kinds::experiment(), kinds::analysis_run()]
    }

    fn keys_for(&self, _view: &dyn View, object: &Object) -> Vec<Key> {
        if object.kind() == "Event" { vec![Key::of(object)] } else { Vec::new() }
    }
}

/// Where the answer to a delivery is kept: one name for each attempt.
fn delivery_slot(uid: &Uid, attempt: u32, id: &str) -> Slot {
    Slot::new(uid.as_str(), format!("send/{attempt}/{id}"))
}

type Texts = BTreeMap<String, Secret<String>>;

fn known(view: &dyn View, slot: &Slot) -> Known<Texts> {
    match view.answer(slot).as_deref() {
        Some(Answer::Secret(values)) => Known::There(values.clone()),
        Some(Answer::Failed(failure)) => Known::Missing(failure.message.clone()),
        Some(_) => Known::Missing("it was answered with something else".to_owned()),
        None if view.is_asked(slot) => Known::Asked,
        None => Known::Unasked,
    }
}

fn without(known: Known<Texts>) -> Known<()> {
    match known {
        Known::There(_) => Known::There(()),
        Known::Missing(why) => Known::Missing(why),
        Known::Asked => Known::Asked,
        Known::Unasked => Known::Unasked,
    }
}

/// The object that an Event is about, in the life that it is about.
fn subject(view: &dyn View, event: &Object) -> Option<Arc<Object>> {
    let kind = match event.str_at("/involvedObject/kind")? {
        "Rollout" => kinds::rollout(),
        "Experiment" => kinds::experiment(),
        "AnalysisRun" => kinds::analysis_run(),
        _ => return None,
    };
    let name = event.str_at("/involvedObject/name")?;
    let found = view.get(&kind, event.namespace().unwrap_or_default(), name)?;
    let uid = event.str_at("/involvedObject/uid");
    (found.uid().as_ref().map(Uid::as_str) == uid).then_some(found)
}

/// The runs of the present revision of a Rollout, newest first, as templates see them.
fn runs(view: &dyn View, subject: &Object) -> Vec<Value> {
    const REVISION: &str = api::names::ROLLOUT_REVISION;
    let (Some(uid), "Rollout") = (subject.uid(), subject.kind()) else { return Vec::new() };
    let hash = subject.str_at("/status/currentPodHash");
    let mut runs = view.owned(&kinds::analysis_run(), &uid);
    runs.retain(|run| run.label(api::names::POD_TEMPLATE_HASH) == hash);
    let newest = runs.iter().filter_map(|run| run.annotation(REVISION)?.parse::<u64>().ok()).max();
    runs.retain(|run| run.annotation(REVISION).and_then(|text| text.parse().ok()) == newest);
    runs.sort_by_key(|run| std::cmp::Reverse(run.creation_time()));
    runs.iter().map(|run| run.to_json()).collect()
}

fn plan_deliveries(
    config: &Configuration,
    event: &Object,
    subject: &Object,
    runs: &[Value],
) -> Result<Vec<Delivery>, String> {
    let trigger = trigger_of(event.str_at("/reason").unwrap_or_default());
    let wanted = destinations(subject, &trigger, &config.default_triggers());
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let rules = config.rules(&trigger)?;
    let mut all = Vec::new();
    for destination in &wanted {
        let service = config.service(&destination.service)?;
        for rule in &rules {
            if !rule.when.is_empty() {
                return Err(format!("trigger `{trigger}` has a condition, which is not served"));
            }
            for template in &rule.send {
                let facts = json!({
                    "rollout": subject.to_json(), "analysisRuns": runs,
                    "serviceType": service.kind, "recipient": destination.recipient,
                });
                let message = config.message(template, facts)?;
                let queries = service::requests(&service, destination, &message, event.name())?;
                for (number, query) in queries.into_iter().enumerate() {
                    let id = format!("{}/{}/{template}/{number}", destination.service, destination.recipient);
                    all.push(Delivery { id, kind: service.kind.clone(), query, reply: None, is_asked: false });
                }
            }
        }
    }
    if all.len() > DELIVERIES_MAX {
        return Err(format!("a message of {} requests is more than {DELIVERIES_MAX}", all.len()));
    }
    Ok(all)
}

impl State {
    fn parse(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let attempt = value.get("attempt").and_then(Value::as_u64).and_then(|count| u32::try_from(count).ok());
        let done = value.get("done").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        Self {
            attempt: attempt.unwrap_or(0),
            next: value.get("next").and_then(Value::as_str).and_then(parse_time),
            done: done.iter().filter_map(|id| id.as_str().map(str::to_owned)).collect(),
        }
    }

    fn to_json(&self, problem: &str) -> String {
        let mut value = json!({"attempt": self.attempt, "done": self.done});
        if let (Some(next), Value::Object(map)) = (self.next, &mut value) {
            map.insert("next".to_owned(), object_model::format_time(next).into());
        }
        if let (false, Value::Object(map)) = (problem.is_empty(), &mut value) {
            map.insert("problem".to_owned(), problem.into());
        }
        value.to_string()
    }
}
