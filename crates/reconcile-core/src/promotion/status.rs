//! The status of a Promotion.

use env_promotion::{Gate, GateResult};
use object_model::{Condition, ConditionStatus, Object, format_time, set_condition};
use serde_json::{Map, Value, json};

use super::snapshot::{Snapshot, Write};
use crate::patch::merge_patch;
use crate::{EventType, Note, ObjectRef, Plan, Precondition, Reason, StatusPatch, kinds};

/// Whether nothing will happen to a Promotion any more.
pub(super) fn is_over(promotion: &Object) -> bool {
    matches!(promotion.str_at("/status/phase"), Some("Succeeded" | "Failed" | "Superseded"))
}

/// What a decision says about a Promotion.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) phase: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
    pub(super) write: Write,
    pub(super) gates: Vec<Gate>,
}

/// Adds the status write to the plan when anything changed.
pub(super) fn write(snapshot: &Snapshot, standing: &Standing, plan: &mut Plan) {
    let live = snapshot.promotion.pointer("/status").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut status = live.clone();
    status.insert("observedGeneration".to_owned(), snapshot.promotion.generation().into());
    status.insert("phase".to_owned(), standing.phase.into());
    status.insert("message".to_owned(), standing.message.clone().into());
    status.insert("write".to_owned(), write_json(&standing.write));
    if !standing.gates.is_empty() {
        let gates = standing.gates.iter().map(
            |gate| json!({"name": gate.name, "open": gate.result == GateResult::Passed, "message": gate.evidence}),
        );
        status.insert("gates".to_owned(), gates.collect());
    }
    let mut conditions: Vec<Condition> =
        live.get("conditions").and_then(|value| serde_json::from_value(value.clone()).ok()).unwrap_or_default();
    let holds = match standing.phase {
        "Succeeded" => ConditionStatus::True,
        "Failed" | "Superseded" => ConditionStatus::False,
        _ => ConditionStatus::Unknown,
    };
    let ready = Condition::new("Ready", holds, standing.reason, standing.message.clone());
    set_condition(&mut conditions, ready.observed(snapshot.promotion.generation()), snapshot.now);
    status.insert("conditions".to_owned(), serde_json::to_value(conditions).unwrap_or(Value::Null));
    if snapshot.phase != standing.phase || snapshot.promotion.str_at("/status/message") != Some(&standing.message) {
        note(snapshot, standing, plan);
    }
    let Some(patch) = merge_patch(&Value::Object(live), &Value::Object(status)) else { return };
    plan.status = Some(StatusPatch {
        target: ObjectRef::of(&kinds::promotion(), &snapshot.promotion),
        patch: json!({"status": patch}),
        precondition: Precondition::exact(&snapshot.promotion),
        subresource: true,
    });
}

fn note(snapshot: &Snapshot, standing: &Standing, plan: &mut Plan) {
    let failed = standing.phase == "Failed";
    plan.notes.push(Note {
        about: ObjectRef::of(&kinds::promotion(), &snapshot.promotion),
        uid: snapshot.uid(),
        kind: if failed { EventType::Warning } else { EventType::Normal },
        reason: Reason(standing.reason),
        message: standing.message.clone(),
        transition: format!(
            "{}/{}/{}",
            standing.phase,
            standing.write.attempt,
            crate::patch::digest(&standing.message)
        ),
    });
}

fn write_json(write: &Write) -> Value {
    let mut map = Map::new();
    map.insert("attempt".to_owned(), write.attempt.into());
    if let Some(time) = write.time {
        map.insert("time".to_owned(), format_time(time).into());
    }
    if !write.images.is_empty() {
        let images = write.images.iter();
        let images = images.map(|image| json!({"name": image.version.name, "image": image.reference.to_string()}));
        map.insert("images".to_owned(), images.collect());
    }
    if !write.message.is_empty() {
        map.insert("message".to_owned(), write.message.clone().into());
    }
    for (key, value) in [("base", &write.base), ("planned", &write.planned), ("pushed", &write.pushed)] {
        if let Some(value) = value {
            map.insert(key.to_owned(), value.clone().into());
        }
    }
    if write.delivered {
        map.insert("delivered".to_owned(), true.into());
    }
    Value::Object(map)
}
