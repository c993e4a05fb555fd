//! Waiting, expecting, forbidding, and coming to rest.

use std::collections::BTreeMap;
use std::time::Duration;

use script::{Call, Stage, Verb};
use tokio::time::Instant;

use super::{duration, world};
use crate::condition::Condition;
use crate::setting::list;
use crate::world::kinds::{KINDS, within};
use crate::world::{Never, World};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long a wait lasts that names no limit; the real cluster shares its machine with others.
const PATIENCE: Duration = Duration::from_secs(120);

pub(super) const WAITS: &[Verb] = &[
    Verb { name: "wait", usage: "wait CONDITION [within DURATION]", play: |stage, call| Box::pin(wait(stage, call)) },
    Verb { name: "expect", usage: "expect CONDITION", play: |stage, call| Box::pin(expect(stage, call)) },
    Verb { name: "never", usage: "never CONDITION", play: |stage, call| Box::pin(never(stage, call)) },
    Verb {
        name: "settle",
        usage: "settle DURATION [within DURATION]",
        play: |stage, call| Box::pin(settle(stage, call)),
    },
    Verb { name: "pass", usage: "pass DURATION", play: |stage, call| Box::pin(pass(stage, call)) },
    Verb { name: "in", usage: "in NAMESPACE", play: |stage, call| Box::pin(enter(stage, call)) },
    Verb {
        name: "refusals",
        usage: "refusals to ACCOUNT [in NAMESPACE] are expected",
        play: |stage, call| Box::pin(refusals(stage, call)),
    },
    Verb { name: "play", usage: "play PART", play: |stage, call| Box::pin(part(stage, call)) },
];

/// Splits `within DURATION` off the end.
fn limit(words: &[String]) -> Result<(&[String], Duration), String> {
    match words {
        [rest @ .., word, time] if word == "within" => Ok((rest, duration(time)?)),
        _ => Ok((words, PATIENCE)),
    }
}

async fn wait(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let (words, limit) = limit(&call.words)?;
    let condition = Condition::parse(words, &call.body, &stage.namespace)?;
    let begun = Instant::now();
    loop {
        // A server that does not answer once is asked again.
        let seen = match condition.judge(&world).await {
            Ok(verdict) if verdict.holds => return Ok(()),
            Ok(verdict) => verdict.seen,
            Err(message) => message,
        };
        if begun.elapsed() >= limit {
            return Err(format!("after {} s `{}` is not so: {seen}", limit.as_secs(), call.text));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn expect(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let condition = Condition::parse(&call.words, &call.body, &stage.namespace)?;
    let verdict = condition.judge(&world).await?;
    if verdict.holds { Ok(()) } else { Err(format!("`{}` is not so: {}", call.text, verdict.seen)) }
}

async fn never(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let condition = Condition::parse(&call.words, &call.body, &stage.namespace)?;
    world.notes().nevers.push(Never { line: call.line, text: call.text.clone(), condition });
    Ok(())
}

/// Waits until, for a while, nobody changed an object of the kinds that scenarios name, and the operator wrote nothing;
/// Events and Leases do not count.
async fn settle(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let (words, limit) = limit(&call.words)?;
    let [quiet] = words else { return Err("settle DURATION [within DURATION]".to_owned()) };
    let quiet = duration(quiet)?;
    let begun = Instant::now();
    let (mut last, mut since) = (look(&world).await?, Instant::now());
    loop {
        if since.elapsed() >= quiet {
            return Ok(());
        }
        tokio::time::sleep(LOOK_EVERY * 4).await;
        let now = look(&world).await?;
        if now != last {
            if begun.elapsed() >= limit {
                let changed: Vec<String> = difference(&last, &now);
                return Err(format!("it did not settle within {} s: {}", limit.as_secs(), changed.join(", ")));
            }
            (last, since) = (now, Instant::now());
        }
    }
}

/// The versions of all objects, and how much the operator has written.
async fn look(world: &World) -> Result<BTreeMap<String, String>, String> {
    let writes = world.setting.overheard.count(|asked| asked.is_write() && !asked.is_aside());
    let mut versions = BTreeMap::from([("writes of the operator".to_owned(), writes.to_string())]);
    for kind in KINDS.iter().filter(|kind| kind.is_watched) {
        let objects = list(&world.setting.people, kind.api_version, kind.name, "").await;
        for object in objects.map_err(|error| error.to_string())? {
            versions.insert(object.id().to_string(), object.resource_version().unwrap_or_default().to_owned());
        }
    }
    Ok(versions)
}

fn difference(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    let mut all: Vec<&String> = before.keys().chain(after.keys()).collect();
    all.sort();
    all.dedup();
    all.into_iter().filter(|key| before.get(*key) != after.get(*key)).cloned().collect()
}

async fn pass(_: &mut Stage, call: &Call) -> Result<(), String> {
    let [time] = call.words.as_slice() else { return Err("pass DURATION".to_owned()) };
    tokio::time::sleep(duration(time)?).await;
    Ok(())
}

async fn enter(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let [namespace] = call.words.as_slice() else { return Err("in NAMESPACE".to_owned()) };
    stage.namespace.clone_from(namespace);
    Ok(())
}

/// Says that a ServiceAccount lacks rights on purpose.
async fn refusals(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let usage = "refusals to ACCOUNT [in NAMESPACE] are expected";
    let [to, account, rest @ ..] = call.words.as_slice() else { return Err(usage.to_owned()) };
    let (namespace, rest) = within(rest, &stage.namespace);
    if to != "to" || rest.join(" ") != "are expected" {
        return Err(usage.to_owned());
    }
    world.notes().refused.insert(format!("system:serviceaccount:{namespace}:{account}"));
    Ok(())
}

/// Plays the lines of a part that several scenarios have in common.
async fn part(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let [name] = call.words.as_slice() else { return Err("play PART".to_owned()) };
    let text = world.fixture(&format!("scenarios/parts/{name}.txt"))?;
    let script = script::Script::parse(name, &text).map_err(|error| error.to_string())?;
    if script.calls.iter().any(|inner| inner.verb == "play") {
        return Err(format!("{name}: a part does not play others"));
    }
    stage.play(&script, &super::verbs()).await.map_err(|error| error.to_string())
}
