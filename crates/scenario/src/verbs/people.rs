//! What people do to the cluster, with all rights.

use object_model::Object;
use script::{Call, Stage, Verb};
use serde_json::Value;

use super::world;
use crate::setting::{self, Wish, apply_as, delete, merge, parse_documents};
use crate::world::World;
use crate::world::kinds::Reference;

pub(super) const PEOPLE: &[Verb] = &[
    Verb {
        name: "apply",
        usage: "apply [from FIXTURE] [as MANAGER]",
        play: |stage, call| Box::pin(apply(stage, call)),
    },
    Verb {
        name: "merge",
        usage: "merge KIND/NAME [in NAMESPACE] [status]",
        play: |stage, call| Box::pin(merge_body(stage, call)),
    },
    Verb {
        name: "delete",
        usage: "delete KIND/NAME [in NAMESPACE]",
        play: |stage, call| Box::pin(remove(stage, call)),
    },
    Verb { name: "refresh", usage: "refresh config/NAME", play: |stage, call| Box::pin(ask(stage, call)) },
    Verb { name: "suspend", usage: "suspend config/NAME", play: |stage, call| Box::pin(ask(stage, call)) },
    Verb { name: "resume", usage: "resume config/NAME", play: |stage, call| Box::pin(ask(stage, call)) },
    Verb { name: "abort", usage: "abort rollout/NAME", play: |stage, call| Box::pin(ask(stage, call)) },
    Verb { name: "retry", usage: "retry rollout/NAME", play: |stage, call| Box::pin(ask(stage, call)) },
    Verb { name: "pause", usage: "pause rollout/NAME", play: |stage, call| Box::pin(ask(stage, call)) },
    Verb { name: "unpause", usage: "unpause rollout/NAME", play: |stage, call| Box::pin(ask(stage, call)) },
    Verb { name: "restart", usage: "restart rollout/NAME", play: |stage, call| Box::pin(ask(stage, call)) },
    Verb { name: "adopt", usage: "adopt helm RELEASE from PATH", play: |stage, call| Box::pin(adopt(stage, call)) },
    Verb { name: "promote", usage: "promote rollout/NAME [fully]", play: |stage, call| Box::pin(promote(stage, call)) },
];

async fn apply(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let usage = "apply [from FIXTURE] [as MANAGER]";
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    let (text, rest) = match words.as_slice() {
        ["from", path, rest @ ..] => {
            // Fixtures that people apply name the repository by this word.
            (world.fixture(path)?.replace("REPOSITORY", &world.setting.fleet.url()), rest)
        }
        rest => (call.body.clone(), rest),
    };
    let manager = match rest {
        [] => "people",
        ["as", manager] => manager,
        _ => return Err(usage.to_owned()),
    };
    let objects = parse_documents(&text).map_err(|error| error.to_string())?;
    if objects.is_empty() {
        return Err("there is nothing to apply".to_owned());
    }
    for mut object in objects {
        if object.namespace().is_none() && lives_in_namespace(&object) {
            object.set_namespace(&stage.namespace);
        }
        apply_as(&world.setting.people, &object, manager).await.map_err(|error| error.to_string())?;
        remember(&world, &object);
    }
    Ok(())
}

/// Kinds that scenarios don't name are applied as they are written.
fn lives_in_namespace(object: &Object) -> bool {
    crate::world::kinds::KINDS.iter().any(|kind| kind.name == object.kind() && kind.is_namespaced)
}

/// What has no namespace does not go with one, so it is remembered for the clearing.
fn remember(world: &World, object: &Object) {
    if object.namespace().is_none() {
        world.notes().made.push(object.clone());
    }
}

fn body(call: &Call) -> Result<Value, String> {
    let documents = yaml::parse(&call.body).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        format!("the body is no YAML: {}", problems.join("; "))
    })?;
    documents.into_iter().next().map(|document| document.value).ok_or_else(|| "a body is missing".to_owned())
}

async fn merge_body(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let (reference, rest) = Reference::parse(&call.words, &stage.namespace)?;
    let suffix = match rest {
        [] => "",
        [word] if word == "status" => "/status",
        _ => return Err("merge KIND/NAME [in NAMESPACE] [status]".to_owned()),
    };
    patch(&world, &reference, suffix, &body(call)?).await
}

async fn patch(world: &World, reference: &Reference, suffix: &str, patch: &Value) -> Result<(), String> {
    let kind = reference.kind;
    let people = &world.setting.people;
    let merged = merge(people, kind.api_version, kind.name, &reference.namespace, &reference.name, suffix, patch).await;
    merged.map_err(|error| error.to_string())
}

async fn remove(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let reference = only(call, &stage.namespace)?;
    let kind = reference.kind;
    let removed = delete(&world.setting.people, kind.api_version, kind.name, &reference.namespace, &reference.name);
    removed.await.map_err(|error| error.to_string())
}

fn only(call: &Call, namespace: &str) -> Result<Reference, String> {
    match Reference::parse(&call.words, namespace)? {
        (reference, []) => Ok(reference),
        (_, rest) => Err(format!("`{}` is too much", rest.join(" "))),
    }
}

/// The one-word requests of `sluice` and of `kubectl argo rollouts`, by the same patches.
async fn ask(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let reference = only(call, &stage.namespace)?;
    let wish = match call.verb.as_str() {
        "refresh" => Wish::Refresh(world.setting.now()),
        "suspend" => Wish::Suspend,
        "resume" => Wish::Resume,
        "abort" => Wish::Abort,
        "retry" => Wish::Retry,
        "pause" => Wish::Pause,
        "unpause" => Wish::Unpause,
        "restart" => Wish::RestartAt(world.setting.now()),
        other => return Err(format!("nobody asks for `{other}`")),
    };
    let (suffix, change) = wish.patch();
    patch(&world, &reference, suffix, &change).await
}

/// As `sluice adopt helm RELEASE --apply` with the repository's own address.
async fn adopt(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    let ["helm", release, "from", path] = words.as_slice() else {
        return Err("adopt helm RELEASE from PATH".to_owned());
    };
    let people = &world.setting.people;
    let place = setting::ChartPlace {
        url: world.setting.fleet.url(),
        branch: setting::BRANCH.to_owned(),
        path: (*path).to_owned(),
        group: api::names::GROUP.to_owned(),
        service_account: String::new(),
    };
    let release = setting::read_release(people, &stage.namespace, release).await.map_err(|error| error.to_string())?;
    setting::adopt(people, &setting::adoption(release, &place)).await.map_err(|error| error.to_string())
}

async fn promote(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let (reference, rest) = Reference::parse(&call.words, &stage.namespace)?;
    match rest {
        [] => {
            let promoted = setting::promote(&world.setting.people, &reference.namespace, &reference.name);
            promoted.await.map_err(|error| error.to_string())
        }
        [word] if word == "fully" => {
            let (suffix, change) = Wish::PromoteFully.patch();
            patch(&world, &reference, suffix, &change).await
        }
        _ => Err("promote rollout/NAME [fully]".to_owned()),
    }
}
