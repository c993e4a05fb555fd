//! Many Rollouts of one pod and two steps, a Service each: made, left alone, changed one by one and all at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use http::Request;
use kube::core::WatchEvent;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::Flags;
use crate::figures::{Figures, percentile};
use crate::ground::Ground;
use crate::main_path::{load_average, stop};
use crate::operator::Operator;
use crate::requests::{Counts, of_work, since, writes};

const NAMESPACE: &str = "many";
/// What people create or change at once.
const AT_ONCE: usize = 32;
/// Longer than the pause of the steps, and than the delay after which old pods go.
const SETTLE: Duration = Duration::from_secs(45);
const LIMIT: Duration = Duration::from_secs(1_800);
/// From one change to the next while single ones are timed.
const BETWEEN_CHANGES: Duration = Duration::from_millis(100);

/// Up to so many Rollouts the aims of an ordinary cluster hold.
const ORDINARY: u32 = 1_000;
const UPDATE_WRITES: f64 = 7.05;
const UPDATE_CPU_MS: f64 = 8.0;
const REACTION_S: f64 = 0.25;
/// Resident memory and idle processor time of an ordinary cluster, and of one with ten thousand Rollouts.
const RSS_MB: (f64, f64) = (50.0, 1_000.0);
const IDLE_CPU_PERCENT: (f64, f64) = (0.5, 10.0);
/// Counts are whole numbers: below this is none.
const NONE: f64 = 0.5;

/// Measures, prints the table and writes the JSON.
pub(crate) async fn measure(flags: &Flags) -> Result<()> {
    std::fs::create_dir_all(&flags.out)?;
    let folder = tempfile::tempdir_in(&flags.out)?;
    let ground = match (&flags.kubeconfig, &flags.audit_log) {
        (Some(kubeconfig), Some(audit_log)) => Ground::real(kubeconfig, audit_log, folder.path()).await?,
        _ => Ground::embedded(folder.path()).await?,
    };
    println!("{} cluster: {} Rollouts of one pod and two steps, a Service each", ground.name, flags.rollouts);
    ground.furnish(&[NAMESPACE.to_owned()]).await?;
    let mut figures = Figures::default();
    figures.facts.insert("cluster".to_owned(), ground.name.into());
    figures.facts.insert("rollouts".to_owned(), flags.rollouts.into());
    figures.facts.insert("loadAverageBefore".to_owned(), load_average().into());
    let mut operator = Operator::start(&flags.operator, &ground.kubeconfig, folder.path())?;
    let measured = phases(flags, &ground, &mut operator, &mut figures).await;
    let name = format!("rollouts-{}-{}", ground.name, flags.rollouts);
    let log = flags.out.join(format!("{name}.operator.log"));
    std::fs::copy(folder.path().join("operator.log"), &log)?;
    measured.with_context(|| format!("the operator's log is {}", log.display()))?;
    stop(&ground, operator, &mut figures).await?;
    restart(flags, &ground, folder.path(), &mut figures).await?;
    figures.facts.insert("loadAverageAfter".to_owned(), load_average().into());
    println!("{}", figures.table());
    println!("  load average: {}", load_average());
    let file = flags.out.join(format!("{name}.json"));
    std::fs::write(&file, format!("{:#}\n", figures.json()))?;
    println!("  all of it: {}", file.display());
    match figures.missed().as_slice() {
        [] => Ok(()),
        missed => bail!("aims were missed: {}", missed.join(", ")),
    }
}

async fn phases(flags: &Flags, ground: &Ground, operator: &mut Operator, figures: &mut Figures) -> Result<()> {
    operator.wait_until_ready(LIMIT).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = Mark::set(ground, operator)?;
    let numbers = futures::stream::iter((0..flags.rollouts).map(anyhow::Ok));
    numbers.try_for_each_concurrent(AT_ONCE, |number| create(ground, number)).await?;
    wait_for_all(ground, flags.rollouts, "v1").await?;
    before.tell(flags, ground, operator, ("create", "making them"), figures)?;
    tokio::time::sleep(SETTLE).await;
    reactions(flags, ground, figures).await?;
    wait_for_all(ground, flags.rollouts.min(flags.commits), "single").await?;
    tokio::time::sleep(SETTLE).await;
    let before = Mark::set(ground, operator)?;
    let numbers = futures::stream::iter((0..flags.rollouts).map(anyhow::Ok));
    numbers.try_for_each_concurrent(AT_ONCE, |number| change(ground, number, "v2")).await?;
    wait_for_all(ground, flags.rollouts, "v2").await?;
    before.tell(flags, ground, operator, ("update", "updating them all"), figures)?;
    tokio::time::sleep(SETTLE).await;
    idle(flags, ground, operator, figures).await?;
    let metrics = operator.metrics().await?;
    for trouble in ["sluice_panics_total", "sluice_violations_total"] {
        ensure!(!metrics.contains(trouble), "the operator counts {trouble}");
    }
    Ok(())
}

/// What was asked for and spent up to a moment.
struct Mark {
    at: Instant,
    cpu_s: f64,
    requests: Counts,
}

impl Mark {
    fn set(ground: &Ground, operator: &Operator) -> Result<Self> {
        Ok(Self { at: Instant::now(), cpu_s: operator.usage()?.cpu_s(), requests: ground.requests.counts()? })
    }

    /// Adds what came since as figures of each Rollout.
    fn tell(
        &self,
        flags: &Flags,
        ground: &Ground,
        operator: &Operator,
        (phase, what): (&'static str, &str),
        figures: &mut Figures,
    ) -> Result<()> {
        let now = Self::set(ground, operator)?;
        let requests = since(&self.requests, &now.requests);
        let each = |sum: f64| sum / f64::from(flags.rollouts);
        let events: u64 = requests.iter().filter(|(what, _)| what.ends_with(" events")).map(|(_, count)| count).sum();
        let but_events = each((writes(&requests) - events) as f64);
        let cpu = each(1e3 * (now.cpu_s - self.cpu_s));
        let is_update = phase == "update";
        let key = |update: &'static str, create: &'static str| if is_update { update } else { create };
        figures.add(key("update", "create"), what, now.at.duration_since(self.at).as_secs_f64(), "s");
        figures.add(
            key("updateRequests", "createRequests"),
            "  API requests each",
            each(of_work(&requests) as f64),
            "",
        );
        figures.add(key("updateEvents", "createEvents"), "  of them Events", each(events as f64), "");
        match is_update {
            true => {
                figures.add_below("updateWrites", "  of them writes but Events", but_events, "", UPDATE_WRITES);
                figures.add_below("updateCpu", "  processor time each", cpu, "ms", UPDATE_CPU_MS);
            }
            false => {
                figures.add("createWrites", "  of them writes but Events", but_events, "");
                figures.add("createCpu", "  processor time each", cpu, "ms");
            }
        }
        figures.facts.insert(format!("requestsOf{}", key("Update", "Create")), json!(requests));
        Ok(())
    }
}

/// What the settled operator uses while nothing happens.
async fn idle(flags: &Flags, ground: &Ground, operator: &Operator, figures: &mut Figures) -> Result<()> {
    let before = (operator.usage()?, ground.requests.counts()?);
    tokio::time::sleep(Duration::from_secs(flags.idle_seconds)).await;
    let after = (operator.usage()?, ground.requests.counts()?);
    let requests = of_work(&since(&before.1, &after.1)) as f64;
    let is_ordinary = flags.rollouts <= ORDINARY;
    let pick = |(ordinary, many): (f64, f64)| if is_ordinary { ordinary } else { many };
    let what = format!("idle processor time over {} s, of one core", flags.idle_seconds);
    figures.add_below("idleCpu", what, after.0.cpu_percent_since(&before.0), "%", pick(IDLE_CPU_PERCENT));
    figures.add_below("idleRequests", "  API requests but Leases and watches", requests, "", NONE);
    figures.add_below("rss", "resident memory, settled", after.0.rss_mb, "MB", pick(RSS_MB));
    figures.add("rssPeak", "resident memory, largest", after.0.rss_peak_mb, "MB");
    Ok(())
}

/// One Rollout after the other: from the moment at which its change was answered until its ReplicaSet is there.
async fn reactions(flags: &Flags, ground: &Ground, figures: &mut Figures) -> Result<()> {
    let mut made = watch_sets(ground).await?;
    let mut times = Vec::new();
    for number in 0..flags.commits.min(flags.rollouts) {
        let begun = Instant::now();
        change(ground, number, "single").await?;
        let wanted = name(number);
        let seen = async {
            while let Some((at, owner, image)) = made.recv().await {
                if owner == wanted && image.ends_with(":single") {
                    return Ok(at);
                }
            }
            bail!("the watch of ReplicaSets ended")
        };
        let at = tokio::time::timeout(LIMIT, seen).await.with_context(|| format!("{wanted} got no ReplicaSet"))??;
        times.push(at.saturating_duration_since(begun));
        tokio::time::sleep(BETWEEN_CHANGES).await;
    }
    let seconds = |percent: usize| percentile(&times, percent).as_secs_f64();
    let what = format!("change to its first write, p50 of {}", times.len());
    figures.add("reactionP50", what, seconds(50), "s");
    figures.add_below("reactionP99", "change to its first write, p99", seconds(99), "s", REACTION_S);
    Ok(())
}

/// Tells of each ReplicaSet that is made from now on: when it was seen, whose it is, and its image.
async fn watch_sets(ground: &Ground) -> Result<mpsc::UnboundedReceiver<(Instant, String, String)>> {
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/replicasets");
    let list: Value = ground.people.request(Request::get(format!("{path}?limit=1")).body(Vec::new())?).await?;
    let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str).context("a list has a version")?;
    let uri = format!("{path}?watch=1&timeoutSeconds=3600&resourceVersion={version}");
    let people = ground.people.clone();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let Ok(request) = Request::get(uri).body(Vec::new()) else { return };
        let Ok(events) = people.request_events::<Value>(request).await else { return };
        let mut events = std::pin::pin!(events);
        while let Some(Ok(event)) = events.next().await {
            let WatchEvent::Added(set) = event else { continue };
            let text = |pointer: &str| set.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let owner = text("/metadata/ownerReferences/0/name");
            // Nobody listens any more when the measurement has ended.
            if tell.send((Instant::now(), owner, text("/spec/template/spec/containers/0/image"))).is_err() {
                return;
            }
        }
    });
    Ok(told)
}

/// A fresh operator finds everything done.
async fn restart(flags: &Flags, ground: &Ground, folder: &std::path::Path, figures: &mut Figures) -> Result<()> {
    let before = ground.requests.counts()?;
    let mut operator = Operator::start(&flags.operator, &ground.kubeconfig, folder)?;
    let begun = Instant::now();
    operator.wait_until_ready(LIMIT).await?;
    figures.add("restart", "a restart until /readyz", begun.elapsed().as_secs_f64(), "s");
    tokio::time::sleep(SETTLE).await;
    let written = writes(&since(&before, &ground.requests.counts()?)) as f64;
    figures.add_below("restartWrites", "  writes of that", written, "", NONE);
    figures.add("restartCpu", "  processor time of that", operator.usage()?.cpu_s(), "s");
    operator.stop().await?;
    Ok(())
}

fn name(number: u32) -> String {
    format!("web-{number}")
}

fn image(version: &str) -> String {
    format!("registry.example.com/shop/web:{version}")
}

async fn create(ground: &Ground, number: u32) -> Result<()> {
    let name = name(number);
    let labels = json!({"app": name});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": 80}]},
    });
    send(ground, Request::post(format!("/api/v1/namespaces/{NAMESPACE}/services")), "application/json", &service)
        .await?;
    let containers = json!([{"name": "web", "image": image("v1")}]);
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": containers}},
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {"duration": "10s"}}]}},
        },
    });
    send(ground, Request::post(ROLLOUTS), "application/json", &rollout).await
}

const ROLLOUTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/many/rollouts";

async fn change(ground: &Ground, number: u32, version: &str) -> Result<()> {
    let containers = json!([{"name": "web", "image": image(version)}]);
    let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
    let request = Request::patch(format!("{ROLLOUTS}/{}", name(number)));
    send(ground, request, "application/merge-patch+json", &patch).await
}

async fn send(ground: &Ground, request: http::request::Builder, content: &str, body: &Value) -> Result<()> {
    let request = request.header("content-type", content).body(body.to_string().into_bytes())?;
    let what = format!("{} {}", request.method(), request.uri());
    ground.people.request_text(request).await.with_context(|| format!("{what} failed"))?;
    Ok(())
}

/// Until so many Rollouts are Healthy with this version, by a watch: lists of all would be measured too.
async fn wait_for_all(ground: &Ground, wanted: u32, version: &str) -> Result<()> {
    let ending = format!(":{version}");
    let begun = Instant::now();
    let mut done: BTreeMap<String, bool> = BTreeMap::new();
    let reached = |done: &BTreeMap<String, bool>| done.values().filter(|is_done| **is_done).count() >= wanted as usize;
    while begun.elapsed() < LIMIT {
        let list: Value = ground.people.request(Request::get(ROLLOUTS).body(Vec::new())?).await?;
        for item in list.get("items").and_then(Value::as_array).into_iter().flatten() {
            let (name, is_done) = state(item, &ending);
            done.insert(name, is_done);
        }
        if reached(&done) {
            return Ok(());
        }
        let from = list.pointer("/metadata/resourceVersion").and_then(Value::as_str).context("a list has a version")?;
        let uri = format!("{ROLLOUTS}?watch=1&timeoutSeconds=600&resourceVersion={from}");
        let events = ground.people.request_events::<Value>(Request::get(uri).body(Vec::new())?).await?;
        let mut events = std::pin::pin!(events);
        while let Ok(Some(Ok(event))) = tokio::time::timeout(LIMIT, events.next()).await {
            if let WatchEvent::Added(rollout) | WatchEvent::Modified(rollout) = event {
                let (name, is_done) = state(&rollout, &ending);
                done.insert(name, is_done);
                if is_done && reached(&done) {
                    return Ok(());
                }
            }
        }
    }
    bail!("{} of {wanted} Rollouts reached {version}", done.values().filter(|is_done| **is_done).count())
}

/// Name of a Rollout, and whether it is Healthy with this version and that was seen of its last change.
fn state(rollout: &Value, ending: &str) -> (String, bool) {
    let text = |pointer: &str| rollout.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let generation = rollout.pointer("/metadata/generation").map(Value::to_string).unwrap_or_default();
    let is_done = text("/spec/template/spec/containers/0/image").ends_with(ending)
        && text("/status/phase") == "Healthy"
        && text("/status/observedGeneration") == generation
        && text("/status/stableRS") == text("/status/currentPodHash");
    (text("/metadata/name").to_owned(), is_done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollout_is_done_when_its_own_change_was_seen() {
        let mut rollout = json!({
            "metadata": {"name": "web-1", "generation": 2},
            "spec": {"template": {"spec": {"containers": [{"image": image("v2")}]}}},
            "status": {"phase": "Healthy", "observedGeneration": "2", "stableRS": "a", "currentPodHash": "a"},
        });
        assert_eq!(state(&rollout, ":v2"), ("web-1".to_owned(), true));
        assert!(!state(&rollout, ":v1").1);
        rollout["metadata"]["generation"] = 3.into();
        assert!(!state(&rollout, ":v2").1);
    }
}
