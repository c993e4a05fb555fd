//! The stories that are played: a world at rest, and what people do to it.

mod gitops;
mod rollouts;
mod tales;

use std::pin::Pin;
use std::time::Duration;

use object_model::Object;
use scenario::setting::{Change, PeopleError, Setting, apply, merge, parse_documents, wait_for};
use serde_json::{Value, json};
use sim_cluster::Cluster;

/// What people do.
pub(crate) type Deed<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;

/// The namespace in which everything happens.
pub(crate) const NAMESPACE: &str = "qa";
/// A text that is in a Secret and may be nowhere else.
pub(crate) const CANARY: &str = "tuna-canary-5f1c";
/// How long people wait for something: faults may last long.
const PATIENCE: Duration = Duration::from_secs(1_500);
/// How long the installation may take.
const INSTALL_LIMIT: Duration = Duration::from_secs(60);

pub(crate) const ROLLOUT: (&str, &str) = ("argoproj.io/v1alpha1", "Rollout");
pub(crate) const CONFIG: (&str, &str) = ("sluice.dev/v1", "GitOpsConfig");

/// One story.
pub struct Story {
    /// Its name.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// Brings a world with everything installed to its beginning.
    pub(crate) begin: for<'a> fn(&'a Story, &'a Setting) -> Deed<'a>,
    /// What people do then.
    pub(crate) people: for<'a> fn(&'a Story, &'a Setting) -> Deed<'a>,
    /// Seconds after the last deed in which things may still go wrong.
    pub(crate) seconds: u64,
    /// What the operator may delete, as resource and beginning of a name.
    pub(crate) deletes: &'static [(&'static str, &'static str)],
    /// Whether visitors or Jobs decide how it goes on: then pods that fail and clocks that are wrong change the end.
    pub(crate) is_judged_by_visitors: bool,
    /// What may not be before something else is so.
    pub(crate) nevers: &'static [Never],
    /// What must be so in the end, whatever went wrong on the way.
    pub(crate) goal: fn(&Cluster) -> Result<(), String>,
    /// Whether it depends on the moment how often something is created and deleted.
    pub(crate) counts_vary: bool,
}

/// A value that an object may not have, unless something is so.
pub(crate) struct Never {
    pub(crate) resource: &'static str,
    pub(crate) name: &'static str,
    pub(crate) pointer: &'static str,
    pub(crate) value: &'static str,
    pub(crate) unless: fn(&Cluster) -> bool,
}

/// What is expected of an object in the end: a value at a pointer.
fn expect(cluster: &Cluster, resource: &str, name: &str, values: &[(&str, &str)]) -> Result<(), String> {
    let Some(object) = cluster.get(resource, NAMESPACE, name) else {
        return Err(format!("{resource} {name} is not there"));
    };
    for (pointer, wanted) in values {
        let found = object.at(pointer).map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        if found.as_deref() != Some(wanted) {
            return Err(format!("{resource} {name} has {found:?} at {pointer}, not {wanted}"));
        }
    }
    Ok(())
}

fn expect_gone(cluster: &Cluster, resource: &str, name: &str) -> Result<(), String> {
    match cluster.get(resource, NAMESPACE, name) {
        Some(_) => Err(format!("{resource} {name} is still there")),
        None => Ok(()),
    }
}

impl std::fmt::Debug for Story {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Story({})", self.name)
    }
}

/// All stories.
pub fn stories() -> Vec<&'static Story> {
    rollouts::STORIES.iter().chain(gitops::STORIES).collect()
}

/// The stories of Argo's features, one for each of [`scenario::tale::TALES`]: they are many, and are played under schedules
/// of their own.
pub fn tales() -> Vec<&'static Story> {
    tales::STORIES.iter().collect()
}

/// The story of a name.
pub fn story(name: &str) -> Option<&'static Story> {
    stories().into_iter().chain(tales()).find(|story| story.name == name)
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Applies documents to the namespace of the stories.
async fn apply_here(setting: &Setting, text: &str) -> Result<(), String> {
    for mut object in parse_documents(&text.replace("REPOSITORY", &setting.fleet.url())).map_err(words)? {
        let is_wide = matches!(object.kind(), "Namespace" | "Environment" | "ClusterRoleBinding");
        if object.namespace().is_none() && !is_wide {
            object.set_namespace(NAMESPACE);
        }
        apply(&setting.people, &object).await.map_err(words)?;
    }
    Ok(())
}

/// Waits until something is so of an object.
async fn until(
    setting: &Setting,
    kind: (&str, &str),
    name: &str,
    what: &str,
    holds: impl Fn(&Object) -> bool,
) -> Result<Object, String> {
    let namespace = if kind.1 == "Environment" { "" } else { NAMESPACE };
    let waited = wait_for(&setting.people, (kind.0, kind.1, namespace, name), what, PATIENCE, holds).await;
    waited.map_err(words)
}

async fn patch(setting: &Setting, kind: (&str, &str), name: &str, suffix: &str, patch: Value) -> Result<(), String> {
    merge(&setting.people, kind.0, kind.1, NAMESPACE, name, suffix, &patch).await.map_err(words)
}

async fn delete(setting: &Setting, kind: (&str, &str), name: &str) -> Result<(), PeopleError> {
    scenario::setting::delete(&setting.people, kind.0, kind.1, NAMESPACE, name).await
}

fn image(tag: &str) -> String {
    format!("registry.example.com/shop/web:{tag}")
}

/// Changes the image of the Rollout `web` by hand.
async fn set_image(setting: &Setting, tag: &str) -> Result<(), String> {
    let containers = json!([{"name": "web", "image": image(tag)}]);
    patch(setting, ROLLOUT, "web", "", json!({"spec": {"template": {"spec": {"containers": containers}}}})).await
}

fn is_healthy(object: &Object) -> bool {
    object.str_at("/status/phase") == Some("Healthy")
        && object.str_at("/status/observedGeneration") == Some(&object.generation().to_string())
}

fn is_ready(object: &Object) -> bool {
    let is = |item: &Value| item.get("type") == Some(&json!("Ready")) && item.get("status") == Some(&json!("True"));
    object.list_at("/status/conditions").iter().any(is)
        && object.int_at("/status/observedGeneration") == Some(object.generation())
}

/// Commits files as a person and announces it; `None` deletes.
fn commit(setting: &Setting, subject: &str, files: Vec<(&str, Option<String>)>) -> Result<String, String> {
    let files = files.into_iter().map(|(path, text)| (path.to_owned(), text.map(String::into_bytes))).collect();
    let change = Change { subject, author: "Ann Author <ann@example.com>", trailers: &[], files };
    let id = setting.fleet.commit(&change, setting.now()).map_err(words)?;
    setting.announce_push();
    Ok(id)
}

/// A file of the head.
fn read(setting: &Setting, path: &str) -> String {
    setting.fleet.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

async fn pause(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story_has_its_own_name_and_says_what_it_shows() {
        let all = [stories(), tales()].concat();
        let names: std::collections::BTreeSet<&str> = all.iter().map(|story| story.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.len() >= 10, "only {} stories", all.len());
        assert!(all.iter().all(|story| story.about.ends_with('.') && story.about.len() > 20));
        assert!(names.iter().all(|name| super::story(name).is_some()));
    }
}
