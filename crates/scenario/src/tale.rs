//! Stories of Rollouts taken apart: what is there first, and what people do then, one deed after another.
//!
//! The crash test and the simulation play them so. Their operators die, hear late or have wrong clocks, so they do not go by
//! a story's own moments: a deed is done when the Rollout rests after the one before. What else a story says (visitors,
//! what must never be, what is expected in between) is left to its own play.

use std::sync::Arc;

use script::{Call, InProcess, Script, Stage};

use crate::end_to_end::fixtures;
use crate::setting::{Setting, apply_documents};
use crate::verbs::verbs;
use crate::world::World;

/// How long people wait where things go wrong: longer than any back-off, Lease or silent watch.
const PATIENCE: [&str; 2] = ["within", "25m"];
/// What people do that changes something.
const DEEDS: [&str; 9] = ["apply", "merge", "delete", "promote", "abort", "retry", "restart", "pause", "unpause"];

/// The phase in which a Rollout stays until somebody does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Everything is done.
    Healthy,
    /// It waits for a person.
    Paused,
    /// The update was given up.
    Degraded,
}

impl Rest {
    /// As it stands in the status.
    pub fn phase(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Paused => "Paused",
            Self::Degraded => "Degraded",
        }
    }
}

/// A story of `fixtures/scenarios/argo`, and how its Rollout rests after each deed that is taken from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tale {
    /// The story's name.
    pub name: &'static str,
    /// What it is here for.
    pub about: &'static str,
    /// The rest after each deed.
    pub rests: &'static [Rest],
}

use Rest::{Degraded, Healthy, Paused};

const fn tale(name: &'static str, about: &'static str, rests: &'static [Rest]) -> Tale {
    Tale { name, about, rests }
}

/// Every provider of traffic, both strategies, and the ways to end an update.
pub static TALES: [Tale; 25] = [
    tale("istio-host-split", "A canary behind Istio by hosts.", &[Paused, Healthy]),
    tale("istio-subset-split", "A canary behind Istio by subsets, which are let go.", &[Paused, Healthy, Healthy]),
    tale("istio-header-route", "A header leads to the canary for a while.", &[Paused, Paused, Healthy]),
    tale("istio-mirror-route", "Requests are mirrored to the canary for a while.", &[Paused, Paused, Healthy]),
    tale(
        "ping-pong",
        "Two Services take turns, and an update is aborted in between.",
        &[Paused, Healthy, Paused, Degraded, Paused, Healthy],
    ),
    tale(
        "alb-mesh-ping-pong",
        "Two Services take turns behind ALB, beside two fixed ones behind Istio.",
        &[Paused, Healthy, Paused, Degraded, Paused, Healthy],
    ),
    tale("smi-and-nginx", "A canary behind a TrafficSplit and an Ingress at once.", &[Paused, Healthy]),
    tale("alb", "A canary behind two Ingresses of the AWS load balancer.", &[Paused, Healthy]),
    tale("traefik", "A canary behind a TraefikService.", &[Paused, Healthy]),
    tale("ambassador", "A canary behind Mappings.", &[Paused, Healthy]),
    tale("app-mesh", "A canary behind a VirtualRouter of App Mesh.", &[Paused, Healthy]),
    tale(
        "apisix-header",
        "A canary behind an ApisixRoute with a header of its own.",
        &[Paused, Paused, Paused, Healthy],
    ),
    tale("gateway-api", "A canary behind a route of the Gateway API.", &[Paused, Healthy]),
    tale(
        "rollback-window",
        "A canary of pods: aborted, tried again, and back inside the window.",
        &[Paused, Degraded, Paused, Healthy, Healthy, Paused, Healthy],
    ),
    tale("rollback-inside", "A judged canary of pods, and the way back without a judgement.", &[Healthy, Healthy]),
    tale("blue-green-update", "A blue-green update without a preview.", &[Healthy]),
    tale("analysis-blue-green-kitchen-sink", "A blue-green update judged before and after.", &[Healthy]),
    tale("analysis-pre-promotion-fails", "A blue-green update that fails before its promotion.", &[Degraded]),
    tale("analysis-post-promotion-fails", "A blue-green update that fails after it.", &[Paused, Degraded]),
    tale("blue-green-scale-down-on-abort", "A blue-green update that is aborted.", &[Paused, Degraded]),
    tale("istio-abort", "A canary behind Istio that is aborted.", &[Paused, Degraded]),
    tale(
        "canary-dynamic-stable-abort-delay",
        "An aborted canary whose stable version gave its pods away.",
        &[Paused, Paused, Degraded],
    ),
    tale("experiment-step", "A canary with an experiment.", &[Paused, Healthy]),
    tale("workload-ref", "A Deployment is taken over, updated, and left.", &[Paused, Healthy, Healthy]),
    tale("restart-in-mid-canary", "A restart in the middle of a canary.", &[Paused, Paused]),
];

/// One thing that people do, and what the story waits for then.
#[derive(Debug, Clone)]
struct Deed {
    act: Call,
    waits: Vec<Call>,
}

/// A tale that has been read.
#[derive(Debug, Clone)]
pub struct Told {
    /// Which one.
    pub tale: Tale,
    opening: Vec<Call>,
    deeds: Vec<Deed>,
}

impl Tale {
    /// The tale of a name.
    pub fn of(name: &str) -> Option<Self> {
        TALES.iter().find(|tale| tale.name == name).copied()
    }

    /// Reads its story.
    ///
    /// # Errors
    /// When there is no such story, or it has fewer deeds than rests.
    pub fn read(self) -> Result<Told, String> {
        let path = fixtures().join(format!("scenarios/argo/{}.txt", self.name));
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let script = Script::parse(self.name, &text).map_err(|error| error.to_string())?;
        let mut told = Told { tale: self, opening: Vec::new(), deeds: Vec::new() };
        for call in script.calls {
            told.take(call);
        }
        if told.deeds.len() < self.rests.len() {
            return Err(format!("{}: {} deeds for {} rests", self.name, told.deeds.len(), self.rests.len()));
        }
        told.deeds.truncate(self.rests.len());
        for (deed, rest) in told.deeds.iter_mut().zip(self.rests) {
            let line = format!("wait rollout/web /status/phase is {} {}", rest.phase(), PATIENCE.join(" "));
            deed.waits.extend(Script::parse(self.name, &line).map_err(|error| error.to_string())?.calls);
        }
        Ok(told)
    }
}

impl Told {
    fn take(&mut self, mut call: Call) {
        let is_first = self.deeds.is_empty();
        let is_of_rollout = call.words.first().is_some_and(|word| word.starts_with("rollout/"));
        match call.verb.as_str() {
            // The namespace is the caller's.
            "apply" if call.body.contains("kind: Namespace\n") => {}
            "apply" | "pass" if is_first => self.opening.push(call),
            // What passes by may not be seen when things go wrong.
            "wait" if call.words.iter().any(|word| word == "Running") => {}
            "wait" if is_of_rollout => {
                if let Some(at) = call.words.iter().position(|word| word == "within") {
                    call.words.truncate(at);
                }
                call.words.extend(PATIENCE.map(str::to_owned));
                match self.deeds.last_mut() {
                    Some(deed) => deed.waits.push(call),
                    None => self.opening.push(call),
                }
            }
            verb if DEEDS.contains(&verb) => self.deeds.push(Deed { act: call, waits: Vec::new() }),
            _ => {}
        }
    }

    /// Applies what is there first to a namespace, and waits for what the story waits for.
    ///
    /// # Errors
    /// Names the line that is not so.
    pub async fn open(&self, setting: &Setting, namespace: &str) -> Result<(), String> {
        let text = format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {namespace}}}}}");
        apply_documents(&setting.people, &text).await.map_err(|error| error.to_string())?;
        self.play(setting, namespace, &self.opening).await
    }

    /// What people do at a place of the tale, from 0; nothing beyond its end.
    ///
    /// # Errors
    /// When the cluster refuses it.
    pub async fn act(&self, setting: &Setting, namespace: &str, place: usize) -> Result<(), String> {
        let acts: Vec<Call> = self.deeds.get(place).map(|deed| deed.act.clone()).into_iter().collect();
        self.play(setting, namespace, &acts).await
    }

    /// Waits for what the story says of its Rollout after a deed.
    ///
    /// # Errors
    /// Names the line that does not come true.
    pub async fn wait(&self, setting: &Setting, namespace: &str, place: usize) -> Result<(), String> {
        let waits = self.deeds.get(place).map(|deed| deed.waits.as_slice()).unwrap_or_default();
        self.play(setting, namespace, waits).await
    }

    /// The line of a deed.
    pub fn line(&self, place: usize) -> &str {
        self.deeds.get(place).map_or("", |deed| deed.act.text.as_str())
    }

    async fn play(&self, setting: &Setting, namespace: &str, calls: &[Call]) -> Result<(), String> {
        let handle = setting.handle().ok_or("tales are played on an embedded cluster")?;
        let mut stage = Stage::new(Arc::new(InProcess::new(handle.service())), namespace);
        stage.put(World::new(setting.clone(), &fixtures()));
        let name = self.tale.name.to_owned();
        let mut calls = calls.to_vec();
        // What is told of objects names the story's own namespace.
        let (own, given) = (format!("{name}/"), format!("{namespace}/"));
        for word in calls.iter_mut().flat_map(|call| &mut call.words) {
            *word = word.replace(&own, &given);
        }
        let script = Script { name, about: String::new(), calls, cases: Vec::new() };
        stage.play(&script, &verbs()).await.map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tale_has_its_story_and_ends_in_a_rest() {
        for tale in TALES {
            let told = tale.read().unwrap();
            assert_eq!(Tale::of(tale.name), Some(tale));
            assert!(tale.about.ends_with('.') && !tale.rests.is_empty(), "{}", tale.name);
            assert!(told.opening.iter().any(|call| call.verb == "wait"), "{} waits for its beginning", tale.name);
            assert!(told.deeds.iter().all(|deed| !deed.waits.is_empty()), "{}", tale.name);
        }
    }

    #[test]
    fn a_story_is_taken_apart_at_its_deeds() {
        let told = Tale::of("istio-abort").unwrap().read().unwrap();
        let lines: Vec<&str> = (0..3).map(|place| told.line(place)).collect();
        assert_eq!(lines, ["merge rollout/web", "abort rollout/web", ""]);
        assert!(told.deeds[1].waits[0].words.ends_with(&PATIENCE.map(str::to_owned)));
    }
}
