//! Renders that depend on more than a commit: values of ConfigMaps and Secrets, and what charts ask of the cluster.
//!
//! | the render | is asked for again |
//! |---|---|
//! | read an object that is newer here | at once |
//! | read objects, or asked the cluster | after `spec.interval`, and when a refresh was asked for |
//! | failed for something that may pass, such as a Secret that is not there yet | soon, and as above |
//! | depends on the commit alone | never |
//!
//! The old render stays until the new one comes. What Secrets gave is masked in everything that a plan tells.

use api::ValuesKind;
use object_model::{Masks, Object, Timestamp};
use serde_json::Value;

use super::decide::RETRY_MAX;
use super::snapshot::{Snapshot, Source, render_slot};
use crate::time::after;
use crate::{Act, Action, Head, Key, Kind, Plan, Question, View, kinds};

/// Asks for the render of a head.
pub(super) fn ask(snapshot: &Snapshot, head: &Head) -> Act {
    let question = Question::Render {
        source: snapshot.git.clone(),
        commit: head.commit.clone(),
        path: snapshot.spec.path.clone(),
        render: Box::new(snapshot.spec.render.clone()),
        namespace: snapshot.spec.namespace.clone(),
        seed: snapshot.uid().as_str().to_owned(),
        actor: snapshot.actor(),
        values_namespace: snapshot.config.namespace().unwrap_or_default().to_owned(),
    };
    let slot = render_slot(&snapshot.uid(), &head.commit, &snapshot.spec);
    Act::new(Action::Ask { slot, question: Box::new(question) })
}

/// Reads which objects with values are seen here. Of kinds that are not listed yet nothing is known.
pub(super) fn observe(snapshot: &mut Snapshot, view: &dyn View, key: &Key) {
    let head = match &snapshot.source {
        Source::Fetched(head) | Source::RenderFailed(head, _) | Source::Rendered(head, _) => head,
        Source::Unknown | Source::FetchFailed(_) => return,
    };
    snapshot.render_asked = view.is_asked(&render_slot(&snapshot.identity.uid, &head.commit, &snapshot.spec));
    for reference in &snapshot.spec.render.values_from {
        let Some(seen) = view.get(&kind_of(reference.kind), &key.namespace, &reference.name) else { continue };
        if let Some(version) = seen.resource_version() {
            snapshot.values_seen.insert((reference.kind, reference.name.clone()), version.to_owned());
        }
    }
}

fn kind_of(kind: ValuesKind) -> Kind {
    match kind {
        ValuesKind::ConfigMap => kinds::config_map(),
        ValuesKind::Secret => kinds::secret(),
    }
}

/// Asks for the render of the present head again when it is due.
pub(super) fn consider(snapshot: &Snapshot, plan: &mut Plan) {
    let interval = snapshot.spec.interval;
    let (head, due, is_news) = match &snapshot.source {
        Source::RenderFailed(head, failure) if !failure.lasting => {
            (head, after(failure.at, interval.min(RETRY_MAX)), is_refreshed(head, failure.at))
        }
        Source::Rendered(head, rendered) => match &rendered.surroundings {
            Some(around) => (head, after(around.at, interval), is_refreshed(head, around.at) || has_newer(snapshot)),
            None => return,
        },
        _ => return,
    };
    if snapshot.render_asked {
        return;
    }
    if is_news || due.is_none_or(|due| due <= snapshot.now) {
        plan.stage(vec![ask(snapshot, head)]);
    } else if let Some(due) = due {
        plan.wake_at(due);
    }
}

/// Whether the head was fetched again since: a refresh is about values too.
fn is_refreshed(head: &Head, asked: Timestamp) -> bool {
    head.at > asked
}

/// Whether an object with values is seen here in a later version than the render read, or was not there then.
fn has_newer(snapshot: &Snapshot) -> bool {
    let Some(around) = snapshot.rendered().and_then(|rendered| rendered.surroundings.as_ref()) else { return false };
    let number = |version: &str| version.parse::<u64>().ok();
    snapshot.values_seen.iter().any(|(object, seen)| match around.versions.get(object) {
        Some(Some(read)) => number(seen) > number(read),
        Some(None) => true,
        None => false,
    })
}

/// Takes what Secrets gave to a render out of the words of a status.
pub(super) fn mask_status(snapshot: &Snapshot, status: &mut Value) {
    if let Some(masks) = masks(snapshot) {
        mask_messages(status, masks);
    }
}

fn masks(snapshot: &Snapshot) -> Option<&Masks> {
    let around = snapshot.rendered()?.surroundings.as_ref()?;
    (!around.masks.is_empty()).then_some(&*around.masks)
}

/// Takes it out of everything else that a plan tells: Events, reports, the record.
pub(super) fn mask(snapshot: &Snapshot, plan: &mut Plan) {
    let Some(masks) = masks(snapshot) else { return };
    for note in &mut plan.notes {
        note.message = masks.mask(&note.message);
    }
    for waiting in &mut plan.report.waiting {
        waiting.why = masks.mask(&waiting.why);
    }
    for problem in &mut plan.report.problems {
        *problem = masks.mask(problem);
    }
    for act in plan.stages.iter_mut().flatten() {
        if let Action::Record { rows } = &mut act.action {
            rows.iter_mut().for_each(|row| masks.mask_value(&mut row.content));
        }
    }
}

/// What a status says in words; the rest of it is read again by decisions.
fn mask_messages(value: &mut Value, masks: &Masks) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| mask_messages(item, masks)),
        Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    Value::String(text) if key == "message" => *text = masks.mask(text),
                    value => mask_messages(value, masks),
                }
            }
        }
        _ => {}
    }
}

/// Most fields that are named one by one; beyond it their first parts are.
const FIELDS_MAX: usize = 100;

/// Where an object holds what a Secret gave, for everybody who writes down what is live. Of a Secret nothing is written down
/// anyway.
pub(super) fn secret_fields(snapshot: &Snapshot, object: &Object) -> Option<String> {
    let masks = masks(snapshot)?;
    if object.kind() == "Secret" && object.group().is_empty() {
        return None;
    }
    let mut fields = Vec::new();
    find_secrets(&object.to_json(), String::new(), masks, &mut fields);
    if fields.len() > FIELDS_MAX {
        let first = |field: &String| field.split('/').take(2).collect::<Vec<_>>().join("/");
        fields = fields.iter().map(first).collect();
        fields.dedup();
    }
    (!fields.is_empty()).then(|| fields.join("\n"))
}

fn find_secrets(value: &Value, path: String, masks: &Masks, fields: &mut Vec<String>) {
    match value {
        Value::String(text) if masks.touches(text) => fields.push(path),
        Value::Number(number) if masks.touches(&number.to_string()) => fields.push(path),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                find_secrets(item, format!("{path}/{index}"), masks, fields);
            }
        }
        Value::Object(entries) => {
            for (key, value) in entries {
                find_secrets(value, format!("{path}/{}", key.replace('~', "~0").replace('/', "~1")), masks, fields);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_secrets_are_found_by_their_pointers() {
        let object = serde_json::json!({"data": {"a/b": "x hunter2", "c": "plain"}, "spec": [{"v": "hunter2"}]});
        let mut fields = Vec::new();
        find_secrets(&object, String::new(), &Masks::new(["hunter2"]), &mut fields);
        assert_eq!(fields, ["/data/a~1b", "/spec/0/v"]);
    }

    #[test]
    fn only_a_head_that_was_fetched_later_is_news() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let head = Head::new("c1", "refs/heads/main", at(10));
        assert!(is_refreshed(&head, at(9)) && !is_refreshed(&head, at(10)) && !is_refreshed(&head, at(11)));
    }
}
