//! Decides for a Rollout that has no ReplicaSet yet, with nothing but a world in memory.

use object_model::{Object, ObjectError};
use reconcile_core::rollout::RolloutDomain;
use reconcile_core::{Action, Domain, Key, MemoryView, kinds};
use serde_json::json;

/// Returns what the example prints.
///
/// # Errors
/// When its object is not one.
pub fn run() -> Result<String, ObjectError> {
    let mut view = MemoryView::default();
    view.put(
        &kinds::rollout(),
        Object::parse(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "qa", "uid": "1", "resourceVersion": "7", "generation": 1},
            "spec": {
                "replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}},
                "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {}}]}},
            },
        }))?,
    );
    let domain = RolloutDomain::default();
    let Some(snapshot) = domain.observe(&view, &Key::new("qa", "web")) else {
        return Ok("there is no such Rollout\n".to_owned());
    };
    let plan = domain.decide(&snapshot);
    let mut text = String::new();
    for act in plan.acts() {
        if let Action::Create { kind, object } = &act.action {
            text.push_str(&format!("create {} {}\n", kind.kind, object.name()));
        }
    }
    for note in &plan.notes {
        text.push_str(&format!("event {}: {}\n", note.reason.0, note.message));
    }
    text.push_str(&format!("violations: {}\n", domain.check(&snapshot, &plan).len()));
    Ok(text)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]
fn main() {
    match run() {
        Ok(text) => print!("{text}"),
        Err(error) => eprintln!("{error}"),
    }
}
