//! What `wait`, `expect` and `never` ask: conditions on objects, weights, requests, Git, Events and the record.

mod git;
mod object;
mod pods;
mod test;
mod told;

use git::{OfGit, whole};
use object::OfObject;
use object_model::Object;
use pods::OfPods;
use test::Test;
use told::Told;

use crate::setting::{Asked, get, list};
use crate::story;
use crate::world::World;
use crate::world::kinds::{Kind, Reference, find, within};

/// Something that is so or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// On one object.
    Object(OfObject),
    /// On the repository.
    Git(OfGit),
    /// On the pods with some labels.
    Pods(OfPods),
    /// On the weights of a VirtualService, in the order of its routes.
    Weights { namespace: String, name: String, test: Test },
    /// A version of a Rollout gets requests and has no pod that could answer.
    WeightWithoutPods { namespace: String, name: String },
    /// On the requests of visitors.
    Visits { what: Visits, test: Test },
    /// On all that a user is told of an object.
    Told(Told),
    /// On Events about an object.
    Event { reason: String, about: Reference, test: Test },
    /// On what `why` tells of an object.
    Why { about: Reference, test: Test },
    /// On the rows of the record about an object.
    Record { about: Reference, test: Test },
    /// On what the operator wrote to the cluster.
    Written { what: Written, test: Test },
    /// Whether an operator runs.
    Operator { test: Test },
}

/// Which visitors' requests are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Visits {
    Sent,
    Lost,
    AnsweredBy(String),
}

/// Which writes of the operator are counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Written {
    /// All but Events and Leases; of a kind and name and as a user, when they are given.
    Anything { kind: Option<Kind>, name: Option<String>, user: Option<String> },
    /// Objects that came into being; of a kind and name, when they are given.
    Created { kind: Option<Kind>, name: Option<String> },
    /// Objects that it deleted, but not of the kinds that are left out.
    Deleted { kind: Option<Kind>, name: Option<String>, but: Vec<Kind> },
    /// Requests for which it lacked a right.
    Forbidden,
}

/// What a look showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) holds: bool,
    pub(crate) seen: String,
}

impl Condition {
    /// Reads a condition from the words of a line and its body.
    pub(crate) fn parse(words: &[String], body: &str, namespace: &str) -> Result<Self, String> {
        let (first, rest) = words.split_first().ok_or("a condition is missing")?;
        match first.as_str() {
            "git" => OfGit::parse(rest, body).map(Self::Git),
            "pods" => OfPods::parse(rest, namespace).map(Self::Pods),
            "weights" => weights(rest, namespace),
            "requests" => visits(rest),
            "told" => Told::parse(rest, body, namespace).map(Self::Told),
            "event" => event(rest, namespace),
            "why" => {
                let (about, rest) = Reference::parse(rest, namespace)?;
                Ok(Self::Why { about, test: whole(rest)? })
            }
            "record" => {
                let rest = rest.strip_prefix(&["of".to_owned()]).unwrap_or(rest);
                let (about, rest) = Reference::parse(rest, namespace)?;
                Ok(Self::Record { about, test: whole(rest)? })
            }
            "written" => written_by(rest),
            "forbidden" => Ok(Self::Written { what: Written::Forbidden, test: whole(rest)? }),
            "created" | "deleted" => written(first == "created", rest),
            "operator" => Ok(Self::Operator { test: whole(rest)? }),
            _ => OfObject::parse(words, namespace).map(Self::Object),
        }
    }

    /// Looks whether it is so; an error is a question that the cluster did not answer.
    pub(crate) async fn judge(&self, world: &World) -> Result<Verdict, String> {
        match self {
            Self::Object(of) => of.judge(world).await,
            Self::Git(of) => Ok(of.judge(world)),
            Self::Pods(of) => of.judge(world).await,
            Self::Told(of) => of.judge(world).await,
            Self::Weights { namespace, name, test } => {
                let found = route_weights(world, namespace, name).await?;
                let text = found.map(|weights| weights.iter().map(i64::to_string).collect::<Vec<_>>().join(" "));
                Ok(verdict(test, text.as_deref()))
            }
            Self::WeightWithoutPods { namespace, name } => without_pods(world, namespace, name).await,
            Self::Visits { what, test } => {
                let report = world.setting.with_traffic(|traffic| traffic.report());
                let count = match what {
                    Visits::Sent => report.sent,
                    Visits::Lost => report.lost(),
                    Visits::AnsweredBy(version) => report.answered_by(version),
                };
                Ok(Verdict { holds: test.holds(Some(&count.to_string())), seen: format!("{count}; {report}") })
            }
            Self::Event { reason, about, test } => events(world, reason, about, test).await,
            Self::Why { about, test } => {
                let told =
                    story::why(&world.setting, &about.namespace, about.kind.api_version, about.kind.name, &about.name);
                let told = told.await.map_err(|error| error.to_string())?;
                Ok(verdict(test, Some(&told)))
            }
            Self::Record { about, test } => {
                let group = about.kind.api_version.split_once('/').map_or("", |(group, _)| group);
                let object = object_model::ObjectId::new(group, about.kind.name, Some(&about.namespace), &about.name);
                let rows = story::history_of(&world.setting, object).await;
                Ok(verdict(test, Some(&rows.join("\n"))))
            }
            Self::Written { what, test } => Ok(count_written(world, what, test)),
            Self::Operator { test } => {
                Ok(verdict(test, Some(if world.operator.address().is_some() { "up" } else { "down" })))
            }
        }
    }
}

fn verdict(test: &Test, found: Option<&str>) -> Verdict {
    Verdict { holds: test.holds(found), seen: found.unwrap_or("absent").to_owned() }
}

fn weights(words: &[String], namespace: &str) -> Result<Condition, String> {
    let usage = "weights of NAME [in NAMESPACE] is \"100 0\" | weights of NAME [in NAMESPACE] without pods";
    let [of, name, rest @ ..] = words else { return Err(usage.to_owned()) };
    if of != "of" {
        return Err(usage.to_owned());
    }
    let (namespace, rest) = within(rest, namespace);
    let (namespace, name) = (namespace.to_owned(), name.clone());
    match rest {
        [without, pods] if without == "without" && pods == "pods" => {
            Ok(Condition::WeightWithoutPods { namespace, name })
        }
        _ => Ok(Condition::Weights { namespace, name, test: whole(rest)? }),
    }
}

fn visits(words: &[String]) -> Result<Condition, String> {
    let (what, rest) = match words {
        [word, rest @ ..] if word == "sent" => (Visits::Sent, rest),
        [word, rest @ ..] if word == "lost" => (Visits::Lost, rest),
        [word, by, version, rest @ ..] if word == "answered" && by == "by" => {
            (Visits::AnsweredBy(version.clone()), rest)
        }
        _ => return Err("requests sent|lost|answered by VERSION OPERATOR COUNT".to_owned()),
    };
    Ok(Condition::Visits { what, test: whole(rest)? })
}

fn event(words: &[String], namespace: &str) -> Result<Condition, String> {
    let [reason, on, rest @ ..] = words else { return Err("event REASON on KIND/NAME OPERATOR TEXT".to_owned()) };
    if on != "on" {
        return Err("event REASON on KIND/NAME OPERATOR TEXT".to_owned());
    }
    let (about, rest) = Reference::parse(rest, namespace)?;
    Ok(Condition::Event { reason: reason.clone(), about, test: whole(rest)? })
}

/// `written [KIND[/NAME]] [by USER] OPERATOR COUNT`.
fn written_by(words: &[String]) -> Result<Condition, String> {
    let word = words.first().map_or("", String::as_str);
    let (kind_word, name) = match word.split_once('/') {
        Some((kind, name)) => (kind, Some(name.to_owned())),
        None => (word, None),
    };
    let (kind, rest) = match find(kind_word) {
        Ok(kind) => (Some(kind), words.get(1..).unwrap_or_default()),
        Err(_) => (None, words),
    };
    let (user, rest) = match rest {
        [by, user, rest @ ..] if by == "by" => (Some(user.clone()), rest),
        _ => (None, rest),
    };
    Ok(Condition::Written { what: Written::Anything { kind, name, user }, test: whole(rest)? })
}

/// `created|deleted anything|KIND|KIND/NAME [but KIND[,KIND]] OPERATOR COUNT`.
fn written(is_created: bool, words: &[String]) -> Result<Condition, String> {
    let usage = "created|deleted anything|KIND[/NAME] [but KIND,KIND] OPERATOR COUNT";
    let (what, rest) = words.split_first().ok_or(usage)?;
    let (kind, name) = match what.split_once('/') {
        _ if what == "anything" => (None, None),
        Some((kind, name)) => (Some(find(kind)?), Some(name.to_owned())),
        None => (Some(find(what)?), None),
    };
    let (but, rest) = match rest {
        [word, kinds, rest @ ..] if word == "but" => (kinds.split(',').map(find).collect::<Result<Vec<_>, _>>()?, rest),
        _ => (Vec::new(), rest),
    };
    let test = whole(rest)?;
    let what = if is_created { Written::Created { kind, name } } else { Written::Deleted { kind, name, but } };
    Ok(Condition::Written { what, test })
}

fn count_written(world: &World, what: &Written, test: &Test) -> Verdict {
    const CREATED: u16 = 201;
    const FORBIDDEN: u16 = 403;
    const SHOWN_MAX: usize = 12;
    let is_of = |asked: &Asked, kind: &Option<Kind>, name: &Option<String>| {
        let (plural, _, found) = asked.object();
        // An object that is posted has its name in the body; those of scenarios are known by their kind then.
        kind.is_none_or(|kind| kind.plural == plural) && name.as_ref().is_none_or(|name| name == found)
    };
    let fits = |asked: &Asked| match what {
        Written::Anything { kind, name, user } => {
            asked.is_write()
                && !asked.is_aside()
                && is_of(asked, kind, name)
                && user.as_ref().is_none_or(|user| asked.acted_as.as_ref() == Some(user))
        }
        Written::Forbidden => asked.status == FORBIDDEN,
        Written::Created { kind, name } => asked.status == CREATED && !asked.is_aside() && is_of(asked, kind, name),
        Written::Deleted { kind, name, but } => {
            asked.method == http::Method::DELETE
                && asked.status < 300
                && is_of(asked, kind, name)
                && !but.iter().any(|kind| kind.plural == asked.object().0)
        }
    };
    let found: Vec<Asked> = world.setting.overheard.asked().into_iter().filter(|asked| fits(asked)).collect();
    let lines: Vec<String> = found
        .iter()
        .rev()
        .take(SHOWN_MAX)
        .map(|asked| format!("{} {} {}", asked.status, asked.method, asked.path))
        .collect();
    Verdict {
        holds: test.holds(Some(&found.len().to_string())),
        seen: format!("{}: {}", found.len(), lines.join(", ")),
    }
}

async fn route_weights(world: &World, namespace: &str, name: &str) -> Result<Option<Vec<i64>>, String> {
    let people = &world.setting.people;
    let service = get(people, "networking.istio.io/v1alpha3", "VirtualService", namespace, name).await;
    let service = service.map_err(|error| error.to_string())?;
    let weight = |route: &serde_json::Value| route.get("weight").and_then(serde_json::Value::as_i64);
    Ok(service.map(|service| service.list_at("/spec/http/0/route").iter().filter_map(weight).collect()))
}

/// Whether the stable or the canary side of a Rollout has a weight and no available pod. Weights that changed meanwhile
/// are looked at another time.
async fn without_pods(world: &World, namespace: &str, name: &str) -> Result<Verdict, String> {
    let people = &world.setting.people;
    let fine = |seen: &str| Ok(Verdict { holds: false, seen: seen.to_owned() });
    let before = route_weights(world, namespace, name).await?;
    let Some([stable, canary]) = before.as_deref() else { return fine("there are no two weights") };
    let rollout = get(people, "argoproj.io/v1alpha1", "Rollout", namespace, name).await;
    let Some(rollout) = rollout.map_err(|error| error.to_string())? else { return fine("there is no Rollout") };
    for (weight, pointer) in [(stable, "/status/stableRS"), (canary, "/status/currentPodHash")] {
        let hash = rollout.str_at(pointer).unwrap_or_default();
        if *weight == 0 || hash.is_empty() {
            continue;
        }
        let set = get(people, "apps/v1", "ReplicaSet", namespace, &format!("{name}-{hash}")).await;
        let set = set.map_err(|error| error.to_string())?;
        let available = set.as_ref().and_then(|set| set.int_at("/status/availableReplicas")).unwrap_or(0);
        if available == 0 && route_weights(world, namespace, name).await? == before {
            let seen = format!("{name}-{hash} has weight {weight} and no available pod");
            return Ok(Verdict { holds: true, seen });
        }
    }
    fine("both sides have pods")
}

async fn events(world: &World, reason: &str, about: &Reference, test: &Test) -> Result<Verdict, String> {
    let all = list(&world.setting.people, "v1", "Event", "").await.map_err(|error| error.to_string())?;
    let is_about = |event: &&Object| {
        event.str_at("/involvedObject/kind") == Some(about.kind.name)
            && event.str_at("/involvedObject/name") == Some(&about.name)
            && event.str_at("/involvedObject/namespace").unwrap_or_default() == about.namespace
    };
    let about_it: Vec<&Object> = all.iter().filter(is_about).collect();
    let messages: Vec<&str> = about_it
        .iter()
        .filter(|event| event.str_at("/reason") == Some(reason))
        .map(|event| event.str_at("/message").unwrap_or_default())
        .collect();
    if messages.is_empty() {
        let mut others: Vec<&str> = about_it.iter().filter_map(|event| event.str_at("/reason")).collect();
        others.sort_unstable();
        others.dedup();
        let seen = format!("no Event {reason}, but {}", others.join(", "));
        return Ok(Verdict { holds: test.holds(None), seen });
    }
    Ok(Verdict { holds: messages.iter().any(|message| test.holds(Some(message))), seen: messages.join(" | ") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_condition_is_refused_with_what_it_could_be() {
        let error = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            Condition::parse(&words, "", "qa").unwrap_err()
        };
        assert_eq!(error("config shop"), "`config` is not KIND/NAME");
        assert!(error("config/shop ready").starts_with("`ready` is no condition"));
        assert_eq!(error("config/shop exists twice"), "`twice` is too much: conditions are joined by `and`");
        assert_eq!(error("config/shop says Ready"), "says TYPE STATUS [REASON] [contains TEXT]");
        assert!(error("requests dropped is 0").starts_with("requests sent|lost"));
        assert_eq!(error("requests lost is 0 0"), "`0` is too much");
        assert!(error("event X config/shop exists").starts_with("event REASON on"));
        assert!(error("pods of web is 1").starts_with("pods LABEL=VALUE"));
        assert!(error("git commits by Ann is 1").starts_with("git commits with trailer"));
        assert!(error("deleted widget is 0").starts_with("`widget` is no kind"));
    }
}
