//! Conditions on one object: its fields, what its status says, what it serves.

use object_model::Object;
use serde_json::Value;

use super::Verdict;
use super::test::{Test, text_of};
use crate::setting::list;
use crate::world::World;
use crate::world::kinds::Reference;

/// Conditions on one object that have to hold together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfObject {
    reference: Reference,
    clauses: Vec<Clause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Clause {
    Exists,
    Absent,
    /// A field by its pointer.
    Field {
        pointer: String,
        test: Test,
    },
    /// A condition of its status.
    Says {
        kind: String,
        status: String,
        reason: Option<String>,
        message: Option<Test>,
    },
    /// So many pods as it wants have an image and are available; of a Rollout, those of the stable version.
    Serves {
        image: String,
    },
}

impl OfObject {
    pub(super) fn parse(words: &[String], namespace: &str) -> Result<Self, String> {
        let (reference, mut rest) = Reference::parse(words, namespace)?;
        let mut clauses = Vec::new();
        loop {
            let (clause, after) = clause(rest)?;
            clauses.push(clause);
            match after.split_first() {
                None => return Ok(Self { reference, clauses }),
                Some((word, after)) if word == "and" => rest = after,
                Some((word, _)) => return Err(format!("`{word}` is too much: conditions are joined by `and`")),
            }
        }
    }

    pub(super) async fn judge(&self, world: &World) -> Result<Verdict, String> {
        let object = self.reference.read(&world.setting).await.map_err(|error| error.to_string())?;
        for clause in &self.clauses {
            let (holds, seen) = match (clause, &object) {
                (Clause::Absent, None) => continue,
                (Clause::Absent, Some(object)) => (false, format!("{} is there", object.id())),
                (_, None) => (false, format!("{} is not there", self.reference)),
                (Clause::Exists, Some(object)) => (true, object.id().to_string()),
                (Clause::Field { pointer, test }, Some(object)) => {
                    let found = object.pointer(pointer).filter(|value| !value.is_null()).map(text_of);
                    let seen = found.as_deref().unwrap_or("absent");
                    (test.holds(found.as_deref()), format!("{pointer} is {seen}"))
                }
                (Clause::Says { kind, status, reason, message }, Some(object)) => {
                    says(object, kind, status, reason.as_deref(), message.as_ref())
                }
                (Clause::Serves { image }, Some(object)) => serves(world, object, image).await?,
            };
            if !holds {
                return Ok(Verdict { holds, seen });
            }
        }
        Ok(Verdict { holds: true, seen: self.reference.to_string() })
    }
}

fn clause(words: &[String]) -> Result<(Clause, &[String]), String> {
    let (first, rest) = words.split_first().ok_or("a condition is missing")?;
    match first.as_str() {
        "exists" => Ok((Clause::Exists, rest)),
        "absent" => Ok((Clause::Absent, rest)),
        "says" => clause_says(rest),
        "serves" => {
            let (image, rest) = rest.split_first().ok_or("serves IMAGE")?;
            Ok((Clause::Serves { image: image.clone() }, rest))
        }
        pointer if pointer.starts_with('/') => {
            let (test, rest) = Test::parse(rest)?;
            Ok((Clause::Field { pointer: pointer.to_owned(), test }, rest))
        }
        other => Err(format!("`{other}` is no condition: /POINTER OPERATOR VALUE, says, serves, exists or absent")),
    }
}

/// `says TYPE STATUS [REASON] [contains TEXT]`.
fn clause_says(words: &[String]) -> Result<(Clause, &[String]), String> {
    let [kind, status, rest @ ..] = words else { return Err("says TYPE STATUS [REASON] [contains TEXT]".to_owned()) };
    let (reason, rest) = match rest.split_first() {
        Some((word, after)) if word != "and" && word != "contains" => (Some(word.clone()), after),
        _ => (None, rest),
    };
    let (message, rest) = match rest {
        [word, text, after @ ..] if word == "contains" => (Some(Test::contains(text)), after),
        _ => (None, rest),
    };
    Ok((Clause::Says { kind: kind.clone(), status: status.clone(), reason, message }, rest))
}

fn says(object: &Object, kind: &str, status: &str, reason: Option<&str>, message: Option<&Test>) -> (bool, String) {
    let text = |item: &Value, key: &str| item.get(key).map(text_of).unwrap_or_default();
    let conditions = object.list_at("/status/conditions");
    let Some(found) = conditions.iter().find(|item| text(item, "type") == kind) else {
        let all: Vec<String> = conditions.iter().map(|item| text(item, "type")).collect();
        return (false, format!("it says nothing of {kind}, but of {}", all.join(", ")));
    };
    let holds = text(found, "status") == status
        && reason.is_none_or(|reason| text(found, "reason") == reason)
        && message.is_none_or(|test| test.holds(Some(&text(found, "message"))));
    let seen =
        format!("it says {kind} {} {}: {}", text(found, "status"), text(found, "reason"), text(found, "message"));
    (holds, seen)
}

/// Whether enough available pods of the stable version of a Rollout, or of any version of a Deployment, have this image.
async fn serves(world: &World, object: &Object, image: &str) -> Result<(bool, String), String> {
    let wanted = object.int_at("/spec/replicas").unwrap_or(1);
    let namespace = object.namespace().unwrap_or_default();
    let sets = list(&world.setting.people, "apps/v1", "ReplicaSet", namespace).await;
    let sets = sets.map_err(|error| error.to_string())?;
    let stable = object.str_at("/status/stableRS").map(|hash| format!("{}-{hash}", object.name()));
    let is_serving = |set: &&Object| {
        let is_owned = set.controller().is_some_and(|owner| Some(owner.uid) == object.uid());
        is_owned && (object.kind() != "Rollout" || Some(set.name()) == stable.as_deref())
    };
    let mut available = 0;
    let mut seen = Vec::new();
    for set in sets.iter().filter(is_serving) {
        let pods = set.int_at("/status/availableReplicas").unwrap_or(0);
        let containers = set.list_at("/spec/template/spec/containers").iter();
        let images: Vec<&str> = containers.filter_map(|container| container.get("image")?.as_str()).collect();
        if images.iter().any(|found| *found == image || found.ends_with(&format!("/{image}"))) {
            available += pods;
        }
        seen.push(format!("{pods} of {}", images.join(", ")));
    }
    Ok((available >= wanted, format!("{wanted} pods are wanted, and there are {}", seen.join("; "))))
}
