//! Somebody else, who writes to the same objects and pushes to the same branch.

use git_source::MemoryRemote;
use object_model::Timestamp;
use scenario::comparison::{RIVAL_ANNOTATION, RIVAL_FOLDER};
use scenario::setting::{BRANCH, Change};
use serde_json::json;

use crate::play::Play;

/// The stored resource, namespace and name of an object's path; nothing for a path of a whole kind.
pub(crate) fn object_of(path: &str) -> Option<(String, String, String)> {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] => ("", rest),
        ["apis", group, _, rest @ ..] => (*group, rest),
        _ => return None,
    };
    let (namespace, plural, name) = match rest {
        ["namespaces", namespace, plural, name, ..] => (*namespace, *plural, *name),
        [plural, name, ..] if *plural != "namespaces" => ("", *plural, *name),
        ["namespaces", name] => ("", "namespaces", *name),
        _ => return None,
    };
    let storage = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
    Some((storage, namespace.to_owned(), name.to_owned()))
}

/// Writes to the object of a path, so that its version moves on; to nothing when it is not there.
pub(crate) fn writes(play: &Play, path: &str) {
    let Some((storage, namespace, name)) = object_of(path) else { return };
    let number = play.next_rival();
    let patch = json!({"metadata": {"annotations": {RIVAL_ANNOTATION: number.to_string()}}});
    let written =
        play.handle.with(|cluster| cluster.acting_as("rival").merge(&storage, &namespace, &name, patch).is_ok());
    let effect = if written { "written" } else { "there is no such object" };
    play.tell("rival", &format!("{storage} {namespace}/{name}"), effect);
}

/// Pushes a file of its own.
pub(crate) fn pushes(play: &Play, remote: &MemoryRemote, moment: Moment, now: Timestamp) {
    let number = play.next_rival();
    let change = Change {
        subject: "Somebody else's change",
        author: "Rick Rival <rick@example.com>",
        trailers: &[],
        files: vec![(format!("{RIVAL_FOLDER}{number}.txt"), Some(number.to_string().into_bytes()))],
    };
    let Ok((edits, plan)) = change.plan(now) else { return };
    match moment {
        Moment::BeforeThePush => remote.commit_before_next_push(BRANCH, &edits, &plan),
        // A commit that can't be made is no rival.
        Moment::Now => drop(remote.commit(BRANCH, &edits, &plan)),
    }
}

/// When a rival pushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// When the operator has looked at the branch already.
    BeforeThePush,
    /// Before it looks.
    Now,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_object_or_none() {
        let of = |path: &str| object_of(path).map(|(storage, namespace, name)| format!("{storage} {namespace}/{name}"));
        for (path, object) in [
            ("/api/v1/namespaces/qa/services/web", Some("services qa/web")),
            ("/apis/argoproj.io/v1alpha1/namespaces/qa/rollouts/web/status", Some("rollouts.argoproj.io qa/web")),
            ("/apis/sluice.dev/v1alpha1/environments/qa", Some("environments.sluice.dev /qa")),
            ("/api/v1/namespaces/qa", Some("namespaces /qa")),
            ("/api/v1/namespaces/qa/services", None),
            ("/version", None),
        ] {
            assert_eq!(of(path).as_deref(), object, "{path}");
        }
    }
}
