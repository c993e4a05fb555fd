//! Decides what becomes of one message.
//!
//! | state | what happens |
//! |---|---|
//! | the object is gone | nobody is told: `failed` |
//! | the configuration is not known | it is asked for |
//! | it can't be made | `failed`, with the reason |
//! | something was delivered | written down before anything else |
//! | something is open, and the time of the try has come | asked for; on its way waits |
//! | everything was delivered | `sent` |
//! | the rest was refused | another try, ever later; after the last one `failed` |

use object_model::Duration;
use serde_json::json;

use super::service::refusal;
use super::{Delivery, Known, LABEL, SECRET, STATE, Snapshot, State, delivery_slot};
use crate::time::after;
use crate::{Act, Action, ObjectRef, Plan, Precondition, Question, Slot, Violation, kinds};

/// How often a message is tried.
const ATTEMPTS_MAX: u32 = 5;
/// Time before the second try; each later one waits twice as long.
const RETRY: Duration = Duration::from_secs(5);

/// Returns the next step of a message.
pub(super) fn decide(snapshot: &Snapshot) -> Plan {
    let mut plan = Plan::empty();
    if !snapshot.has_subject {
        end(snapshot, "failed", "the object is gone", &mut plan);
        return plan;
    }
    if !is_configured(snapshot, &mut plan) {
        return plan;
    }
    let deliveries = match &snapshot.deliveries {
        Ok(deliveries) => deliveries,
        Err(why) => {
            plan.report.problems.push(why.clone());
            end(snapshot, "failed", why, &mut plan);
            return plan;
        }
    };
    let open: Vec<&Delivery> = deliveries.iter().filter(|it| !snapshot.state.done.contains(&it.id)).collect();
    let arrived: Vec<String> = open.iter().filter(|it| outcome(it) == Some(None)).map(|it| it.id.clone()).collect();
    if !arrived.is_empty() {
        let mut state = snapshot.state.clone();
        state.done.extend(arrived);
        plan.stage(vec![mark(snapshot, None, &state, "")]);
        return plan;
    }
    let refusals: Vec<String> = open.iter().filter_map(|it| Some(format!("{}: {}", it.id, outcome(it)??))).collect();
    if open.is_empty() {
        end(snapshot, "sent", "", &mut plan);
    } else if refusals.len() == open.len() {
        try_again(snapshot, &refusals.join("; "), &mut plan);
    } else {
        ask(snapshot, &open, &mut plan);
    }
    plan
}

/// What became of a delivery: nothing yet, `Some(None)` when it was taken, or why it was not.
fn outcome(delivery: &Delivery) -> Option<Option<String>> {
    delivery.reply.as_ref().map(|reply| refusal(&delivery.kind, reply))
}

fn is_configured(snapshot: &Snapshot, plan: &mut Plan) -> bool {
    let namespace = snapshot.operator_namespace.clone();
    let mut asks = Vec::new();
    let mut ask = |name: &str, question: Question| {
        let slot = Slot::new(snapshot.uid.as_str(), name);
        asks.push(Act::new(Action::Ask { slot, question: Box::new(question) }));
    };
    if matches!(snapshot.config, Known::Unasked) {
        ask("config", Question::ConfigMap { namespace: namespace.clone(), name: super::CONFIG_MAP.to_owned() });
    }
    if matches!(snapshot.secret, Known::Unasked) {
        ask("secret", Question::Secret { namespace, name: SECRET.to_owned() });
    }
    plan.stage(asks);
    if let Known::Missing(why) = &snapshot.config {
        end(snapshot, "failed", why, plan);
        return false;
    }
    let is_known =
        matches!(snapshot.config, Known::There(())) && matches!(snapshot.secret, Known::There(()) | Known::Missing(_));
    if !is_known {
        plan.wait("notification", "its configuration is being read");
    }
    is_known
}

fn ask(snapshot: &Snapshot, open: &[&Delivery], plan: &mut Plan) {
    if let Some(next) = snapshot.state.next.filter(|next| *next > snapshot.now) {
        plan.wake_at(next);
        return;
    }
    let unasked = open.iter().filter(|it| it.reply.is_none() && !it.is_asked);
    let asks = unasked.map(|it| {
        let slot = delivery_slot(&snapshot.uid, snapshot.state.attempt, &it.id);
        Act::new(Action::Ask { slot, question: Box::new(Question::Http(it.query.clone())) })
    });
    plan.stage(asks.collect());
    plan.wait("notification", format!("{} requests are under way", open.len()));
}

fn try_again(snapshot: &Snapshot, why: &str, plan: &mut Plan) {
    let attempt = snapshot.state.attempt + 1;
    plan.report.problems.push(why.to_owned());
    if attempt >= ATTEMPTS_MAX {
        end(snapshot, "failed", why, plan);
        return;
    }
    let delay = RETRY.saturating_mul(1 << (attempt - 1).min(16));
    let state = State { attempt, next: after(snapshot.now, delay), done: snapshot.state.done.clone() };
    plan.stage(vec![mark(snapshot, None, &state, why)]);
    plan.stage(forget(snapshot));
}

fn end(snapshot: &Snapshot, label: &str, problem: &str, plan: &mut Plan) {
    let state = State { next: None, ..snapshot.state.clone() };
    plan.stage(vec![mark(snapshot, Some(label), &state, problem)]);
    plan.stage(forget(snapshot));
}

fn forget(snapshot: &Snapshot) -> Vec<Act> {
    snapshot.answered.iter().map(|slot| Act::new(Action::Forget { slot: slot.clone() })).collect()
}

fn mark(snapshot: &Snapshot, label: Option<&str>, state: &State, problem: &str) -> Act {
    let problem: String = problem.chars().take(500).collect();
    let mut patch = json!({"metadata": {"annotations": {STATE: state.to_json(&problem)}}});
    if let (Some(label), Some(metadata)) = (label, patch.get_mut("metadata").and_then(|it| it.as_object_mut())) {
        metadata.insert("labels".to_owned(), json!({LABEL: label}));
    }
    Act::new(Action::Patch {
        target: ObjectRef::of(&kinds::event(), &snapshot.event),
        patch,
        precondition: Precondition::exact(&snapshot.event),
    })
}

/// A second opinion: what was delivered is not sent again, and only the Event itself is written.
pub(super) fn check(snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (stage, acts) in plan.stages.iter().enumerate() {
        for act in acts {
            let message = match &act.action {
                Action::Ask { slot, .. } => {
                    let id = slot.name.strip_prefix("send/").and_then(|rest| rest.split_once('/')).map(|(_, id)| id);
                    let done = snapshot.event.annotation(STATE).unwrap_or_default();
                    let is_done = id.is_some_and(|id| State::parse(done).done.iter().any(|done| done == id));
                    is_done.then(|| format!("{} would be sent again", slot.name))
                }
                Action::Patch { target, .. } if target.name != snapshot.event.name() => {
                    Some(format!("{target} is not the message"))
                }
                Action::Patch { .. } | Action::Forget { .. } => None,
                _ => Some("a message writes nothing else".to_owned()),
            };
            if let Some(message) = message {
                violations.push(Violation { rule: "one-message-once", message, stage: Some(stage) });
            }
        }
    }
    violations
}
