//! What happens in the repository and at the forge.

use std::time::Duration;

use git_source::{Fault, Rule};
use object_model::Secret;
use script::{Call, Stage, Verb};

use super::{files, world};
use crate::setting::{BRANCH, Change, PushHook};
use crate::world::{World, webhook_secret};

/// How long a person takes for a commit, in which everything has been written already.
const HAND_TIME: Duration = Duration::from_millis(20);

pub(super) const GIT: &[Verb] = &[
    Verb {
        name: "commit",
        usage: "commit SUBJECT by AUTHOR [as NAME] [unannounced]",
        play: |stage, call| Box::pin(commit(stage, call)),
    },
    Verb {
        name: "git",
        usage: "git gone|back|unreachable once|protects BRANCH|protects path PATH|allows all|goes back to COMMIT|takes first SUBJECT by AUTHOR",
        play: |stage, call| Box::pin(git(stage, call)),
    },
    Verb {
        name: "webhook",
        usage: "webhook signed|wrongly signed|unsigned [expecting STATUS [WORDS]]",
        play: |stage, call| Box::pin(webhook(stage, call)),
    },
];

/// A commit, as it is written in a line and its body.
struct Written {
    subject: String,
    author: String,
    trailers: Vec<(String, String)>,
    files: files::Files,
}

impl Written {
    fn change<'a>(&'a self, trailers: &'a [(&'a str, &'a str)]) -> Change<'a> {
        Change { subject: &self.subject, author: &self.author, trailers, files: self.files.clone() }
    }

    fn trailers(&self) -> Vec<(&str, &str)> {
        self.trailers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }
}

/// Reads `SUBJECT by AUTHOR` and the body; returns the words that follow.
fn written<'a>(world: &World, call: &'a Call, words: &'a [String]) -> Result<(Written, &'a [String]), String> {
    let [subject, by, author, rest @ ..] = words else { return Err("SUBJECT by AUTHOR".to_owned()) };
    if by != "by" {
        return Err("SUBJECT by AUTHOR".to_owned());
    }
    let author = match author.contains('<') {
        true => author.clone(),
        // `Ann Author` is enough where the address does not matter.
        false => {
            let name = author.split(' ').next().unwrap_or_default().to_lowercase();
            format!("{author} <{name}@example.com>")
        }
    };
    let files = files::read(world, &call.body)?;
    Ok((Written { subject: subject.clone(), author, trailers: call.headers.clone(), files }, rest))
}

async fn commit(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let (written, rest) = written(&world, call, &call.words)?;
    let (name, is_announced) = match rest {
        [] => (None, true),
        [word] if word == "unannounced" => (None, false),
        [word, name] if word == "as" => (Some(name), true),
        [word, name, last] if word == "as" && last == "unannounced" => (Some(name), false),
        _ => return Err("commit SUBJECT by AUTHOR [as NAME] [unannounced]".to_owned()),
    };
    // Two pushes in one instant can't be told apart by their webhooks, and people are not that quick.
    tokio::time::sleep(HAND_TIME).await;
    let trailers = written.trailers();
    let setting = &world.setting;
    let id = setting.fleet.commit(&written.change(&trailers), setting.now()).map_err(|error| error.to_string())?;
    if let Some(name) = name {
        stage.variables.set(name, &id);
        for length in [8, 12] {
            stage.variables.set(&format!("{name}_{length}"), id.get(..length).unwrap_or(&id));
        }
    }
    // A forge that reaches nobody does not mind.
    if let Some(operator) = world.operator.address().filter(|_| is_announced) {
        let hook = PushHook { operator, secret: Some(webhook_secret()) };
        hook.announce(&setting.fleet.url()).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn git(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let remote = world.setting.fleet.memory().ok_or("this repository has no faults")?.clone();
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["gone"] => remote.take_away(),
        ["back"] => remote.bring_back(),
        ["unreachable", "once"] => remote.inject(Fault::Unreachable),
        ["protects", "path", path] => remote.add_rule(Rule::ProtectPath { path: (*path).to_owned() }),
        ["protects", branch] => remote.add_rule(Rule::ProtectBranch { branch: (*branch).to_owned() }),
        ["allows", "all"] => remote.clear_rules(),
        ["goes", "back", "to", commit] => {
            let id = git_source::GitId::parse(commit).map_err(|error| error.to_string())?;
            remote.with_repository(|repository| repository.set_branch(BRANCH, id))?;
        }
        ["takes", "first", ..] => {
            let (written, rest) = written(&world, call, call.words.get(2..).unwrap_or_default())?;
            if !rest.is_empty() {
                return Err(format!("`{}` is too much", rest.join(" ")));
            }
            let trailers = written.trailers();
            let (edits, plan) =
                written.change(&trailers).plan(world.setting.now()).map_err(|error| error.to_string())?;
            remote.commit_before_next_push(BRANCH, &edits, &plan);
        }
        _ => return Err("git gone|back|unreachable once|protects ...|allows all|takes first ...".to_owned()),
    }
    Ok(())
}

async fn webhook(stage: &mut Stage, call: &Call) -> Result<(), String> {
    let world = world(stage)?;
    let words: Vec<&str> = call.words.iter().map(String::as_str).collect();
    let (secret, rest) = match words.as_slice() {
        ["signed", rest @ ..] => (Some(webhook_secret()), rest),
        ["wrongly", "signed", rest @ ..] => (Some(Secret::new("a guess".to_owned())), rest),
        ["unsigned", rest @ ..] => (None, rest),
        _ => return Err("webhook signed|wrongly signed|unsigned [expecting STATUS]".to_owned()),
    };
    let (wanted, said): (u16, &str) = match rest {
        [] => (202, ""),
        ["expecting", status, said @ ..] if said.len() < 2 => {
            let status = status.parse().map_err(|_| format!("`{status}` is no status"))?;
            (status, said.first().copied().unwrap_or(""))
        }
        _ => return Err("webhook ... [expecting STATUS [WORDS]]".to_owned()),
    };
    let operator = world.operator.address().ok_or("no operator runs that could answer")?;
    let hook = PushHook { operator, secret };
    let (status, words) = hook.call(&world.setting.fleet.url()).await.map_err(|error| error.to_string())?;
    if status != wanted || !words.contains(said) {
        return Err(format!("the operator answers {status} {words}"));
    }
    Ok(())
}
