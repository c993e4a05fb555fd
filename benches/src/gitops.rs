//! Many configs of four ConfigMaps each out of one repository: installed, left alone, and changed commit after commit.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::{StreamExt, TryStreamExt};
use git_source::Edit;
use http::Request;
use kube::core::WatchEvent;
use serde_json::{Value, json};

use crate::Flags;
use crate::bare;
use crate::figures::{Figures, percentile};
use crate::fleet::{BRANCH, Fleet, Size};
use crate::ground::Ground;
use crate::main_path::{BETWEEN_COMMITS, STRIDE, load_average, stop, total};
use crate::operator::Operator;
use crate::requests::{Counts, of_work, since, writes};
use crate::visible::{Seen, wait_until_applied, watch};

/// ConfigMaps of a config.
pub(crate) const OBJECTS_PER_CONFIG: u32 = 4;
/// Configs and other things that people create at once.
const CREATED_AT_ONCE: usize = 32;
const SETTLE: Duration = Duration::from_secs(15);
const READY_LIMIT: Duration = Duration::from_secs(600);

const P50_S: f64 = 0.2;
const P99_S: f64 = 0.5;
const COMMIT_CPU_S: f64 = 0.05;
const COMMIT_REQUESTS: f64 = 10.0;
const IDLE_CPU_PERCENT: f64 = 0.5;
const INSTALL_RATIO: f64 = 1.5;
/// Resident memory with up to a hundred configs, and with more.
const RSS_MB: (f64, f64) = (80.0, 300.0);
/// Counts are whole numbers: below this is none.
const NONE: f64 = 0.5;
/// The path's object, and the status that tells of the commit.
const COMMIT_WRITES: f64 = 2.5;
/// One fetch and one render; a fetch on the clock may fall among the commits.
const ONCE: f64 = 1.5;

/// Measures, prints the table and writes the JSON.
pub(crate) async fn measure(flags: &Flags) -> Result<()> {
    let size = Size { configs: flags.configs, rollouts: 0 };
    std::fs::create_dir_all(&flags.out)?;
    let folder = tempfile::tempdir_in(&flags.out)?;
    let fleet = Fleet::of(&files(size, flags.other_files)).await?;
    let ground = match (&flags.kubeconfig, &flags.audit_log) {
        (Some(kubeconfig), Some(audit_log)) => Ground::real(kubeconfig, audit_log, folder.path()).await?,
        _ => Ground::embedded(folder.path()).await?,
    };
    let all_files = size.configs * (OBJECTS_PER_CONFIG + flags.other_files);
    println!(
        "{} cluster: {} configs of {OBJECTS_PER_CONFIG} ConfigMaps each, one repository of {all_files} files over HTTP",
        ground.name, size.configs
    );
    ground.furnish(&size.namespaces()).await?;
    let mut figures = Figures::default();
    for (key, value) in [("configs", size.configs), ("files", all_files), ("commits", flags.commits)] {
        figures.facts.insert(key.to_owned(), value.into());
    }
    figures.facts.insert("cluster".to_owned(), ground.name.into());
    figures.facts.insert("loadAverageBefore".to_owned(), load_average().into());
    let mut operator = Operator::start(&flags.operator, &ground.kubeconfig, folder.path())?;
    let measured = phases(flags, size, &fleet, &ground, &mut operator, &mut figures).await;
    let name = format!("gitops-{}-{}", ground.name, size.configs);
    let log = flags.out.join(format!("{name}.operator.log"));
    std::fs::copy(folder.path().join("operator.log"), &log)?;
    let (took, requests) = measured.with_context(|| format!("the operator's log is {}", log.display()))?;
    stop(&ground, operator, &mut figures).await?;
    let bare_took = bare::install(&ground, size, &fleet.url(), &requests).await?;
    figures.add("bare", "a bare client that sends the same writes", bare_took.as_secs_f64(), "s");
    let ratio = took.as_secs_f64() / bare_took.as_secs_f64();
    figures.add_below("installRatio", "installing, as a multiple of that", ratio, "", INSTALL_RATIO);
    figures.facts.insert("loadAverageAfter".to_owned(), load_average().into());
    tell(flags, &name, &figures)
}

fn tell(flags: &Flags, name: &str, figures: &Figures) -> Result<()> {
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

/// Returns how long installing took, and the requests of that.
async fn phases(
    flags: &Flags,
    size: Size,
    fleet: &Fleet,
    ground: &Ground,
    operator: &mut Operator,
    figures: &mut Figures,
) -> Result<(Duration, Counts)> {
    operator.wait_until_ready(READY_LIMIT).await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let installed = install(size, fleet, ground, operator, figures).await?;
    tokio::time::sleep(SETTLE).await;
    idle(flags, size, fleet, ground, operator, figures).await?;
    commits(flags, size, fleet, ground, operator, figures).await?;
    let usage = operator.usage()?;
    figures.add_below("rss", "resident memory, after the commits", usage.rss_mb, "MB", memory_aim(size));
    figures.add("rssPeak", "resident memory, largest", usage.rss_peak_mb, "MB");
    let metrics = operator.metrics().await?;
    for trouble in ["sluice_panics_total", "sluice_violations_total"] {
        ensure!(!metrics.contains(trouble), "the operator counts {trouble}");
    }
    Ok(installed)
}

/// From the creation of the first config until the last is Ready.
async fn install(
    size: Size,
    fleet: &Fleet,
    ground: &Ground,
    operator: &Operator,
    figures: &mut Figures,
) -> Result<(Duration, Counts)> {
    let before = (operator.usage()?, ground.requests.counts()?);
    let ready = tokio::spawn(all_ready(ground.people.clone(), size.configs as usize, configs_version(ground).await?));
    let begun = Instant::now();
    create_configs(ground, size, &fleet.url()).await?;
    let at = tokio::time::timeout(READY_LIMIT, ready).await.context("not all configs became Ready in time")???;
    let took = at.saturating_duration_since(begun);
    let usage = operator.usage()?;
    // The log is written a moment after the answer.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let requests = since(&before.1, &ground.requests.counts()?);
    let configs = f64::from(size.configs);
    figures.add("install", "creation of the configs until all are Ready", took.as_secs_f64(), "s");
    figures.add(
        "installCpu",
        "processor time of that, each config",
        1e3 * (usage.cpu_s() - before.0.cpu_s()) / configs,
        "ms",
    );
    figures.add("installRequests", "API requests of that, each config", of_work(&requests) as f64 / configs, "");
    figures.facts.insert("requestsOfInstall".to_owned(), json!(requests));
    Ok((took, requests))
}

/// Creates all configs as one client does that is in a hurry.
pub(crate) async fn create_configs(ground: &Ground, size: Size, url: &str) -> Result<()> {
    let numbers = futures::stream::iter((0..size.configs).map(anyhow::Ok));
    numbers
        .try_for_each_concurrent(CREATED_AT_ONCE, |number| {
            bare::create_config(ground, size.config(number), number, url)
        })
        .await
}

async fn configs_version(ground: &Ground) -> Result<String> {
    let list: Value = ground.people.request(Request::get(format!("{CONFIGS}?limit=1")).body(Vec::new())?).await?;
    let version = list.pointer("/metadata/resourceVersion").and_then(Value::as_str).context("a list has a version")?;
    Ok(version.to_owned())
}

const CONFIGS: &str = "/apis/sluice.dev/v1/gitopsconfigs";

/// When the last of so many configs was seen to be Ready.
async fn all_ready(people: kube::Client, wanted: usize, mut version: String) -> Result<Instant> {
    let mut ready = BTreeSet::new();
    let begun = Instant::now();
    // A server with much to do hangs up on who reads slowly; the watch goes on where it was.
    while begun.elapsed() < READY_LIMIT {
        let uri = format!("{CONFIGS}?watch=1&timeoutSeconds=3600&resourceVersion={version}");
        let events = people.request_events::<Value>(Request::get(uri).body(Vec::new())?).await?;
        let mut events = std::pin::pin!(events);
        while let Some(Ok(event)) = events.next().await {
            let config = match event {
                WatchEvent::Added(config) | WatchEvent::Modified(config) => config,
                WatchEvent::Error(status) => bail!("the watch of the configs failed: {status:?}"),
                WatchEvent::Deleted(_) | WatchEvent::Bookmark(_) => continue,
            };
            let text = |pointer: &str| config.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            version = text("/metadata/resourceVersion");
            if is_ready(&config) {
                ready.insert((text("/metadata/namespace"), text("/metadata/name")));
            }
            if ready.len() == wanted {
                return Ok(Instant::now());
            }
        }
    }
    bail!("{} of {wanted} configs are Ready", ready.len())
}

fn is_ready(config: &Value) -> bool {
    let conditions = config.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        let text = |key: &str| condition.get(key).and_then(Value::as_str);
        text("type") == Some("Ready") && text("status") == Some("True")
    })
}

/// What the settled operator uses while nothing happens.
async fn idle(
    flags: &Flags,
    size: Size,
    fleet: &Fleet,
    ground: &Ground,
    operator: &Operator,
    figures: &mut Figures,
) -> Result<()> {
    let before = (operator.usage()?, ground.requests.counts()?, fleet.requests());
    tokio::time::sleep(Duration::from_secs(flags.idle_seconds)).await;
    let after = (operator.usage()?, ground.requests.counts()?, fleet.requests());
    let minutes = flags.idle_seconds as f64 / 60.0;
    let requests = since(&before.1, &after.1);
    let what = format!("idle processor time over {} s, of one core", flags.idle_seconds);
    figures.add_below("idleCpu", what, after.0.cpu_percent_since(&before.0), "%", IDLE_CPU_PERCENT);
    let beside_time = of_work(&requests) as f64 / minutes;
    figures.add_below("idleRequests", "idle API requests a minute but Leases and watches", beside_time, "", NONE);
    figures.add(
        "idleLeases",
        "idle API requests a minute for Leases and watches",
        total(&requests) / minutes - beside_time,
        "",
    );
    figures.add("idleGit", "idle Git requests a minute", (after.2.0 - before.2.0) as f64 / minutes, "");
    figures.add_below("idleRss", "resident memory, idle", after.0.rss_mb, "MB", memory_aim(size));
    figures.facts.insert("requestsOfIdle".to_owned(), json!(requests));
    Ok(())
}

/// One commit after the other, each to one ConfigMap of one path.
async fn commits(
    flags: &Flags,
    size: Size,
    fleet: &Fleet,
    ground: &Ground,
    operator: &Operator,
    figures: &mut Figures,
) -> Result<()> {
    let mut seen = watch(ground).await?;
    let before = (operator.usage()?, ground.requests.counts()?, fleet.requests());
    let renders_before = renders(&operator.metrics().await?);
    let mut times = Vec::new();
    for commit in 0..flags.commits {
        let number = commit.wrapping_mul(STRIDE) % size.configs;
        let (namespace, name) = size.config(number);
        let value = format!("commit-{commit}");
        let id = fleet.commit(&format!("{name}: {value}"), &[object(&name, number, 0, &value)])?;
        let begun = Instant::now();
        operator.tell(&fleet.url(), BRANCH, &id).await?;
        let wanted = Seen { object: (namespace, format!("{name}-0")), value };
        times.push(wait_until_applied(&mut seen, &wanted).await?.saturating_duration_since(begun));
        tokio::time::sleep(BETWEEN_COMMITS).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = (operator.usage()?, ground.requests.counts()?, fleet.requests());
    let renders_after = renders(&operator.metrics().await?);
    let each = |sum: f64| sum / f64::from(flags.commits);
    let requests = since(&before.1, &after.1);
    let seconds = |percent: usize| percentile(&times, percent).as_secs_f64();
    let what = format!("webhook to visible, p50 of {} commits", flags.commits);
    figures.add_below("p50", what, seconds(50), "s", P50_S);
    figures.add_below("p99", "webhook to visible, p99", seconds(99), "s", P99_S);
    figures.add_below(
        "commitCpu",
        "processor time a commit",
        each(after.0.cpu_s() - before.0.cpu_s()),
        "s",
        COMMIT_CPU_S,
    );
    figures.add_below("commitRequests", "API requests a commit", each(of_work(&requests) as f64), "", COMMIT_REQUESTS);
    figures.add_below("commitWrites", "  of them writes", each(writes(&requests) as f64), "", COMMIT_WRITES);
    figures.add_below("commitFetches", "fetches a commit", each((after.2.1 - before.2.1) as f64), "", ONCE);
    figures.add_below("commitRenders", "renders a commit", each(renders_after - renders_before), "", ONCE);
    figures.facts.insert("requestsOfCommits".to_owned(), json!(requests));
    let millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    figures.facts.insert("webhookToVisibleMs".to_owned(), json!(millis));
    Ok(())
}

/// How many renders the operator has asked its Git worker for.
fn renders(metrics: &str) -> f64 {
    let lines =
        metrics.lines().filter(|line| line.starts_with("sluice_questions_total{") && line.contains("\"render\""));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

fn memory_aim(size: Size) -> f64 {
    if size.configs <= 100 { RSS_MB.0 } else { RSS_MB.1 }
}

/// The repository: a path for each config with its ConfigMaps, and files beside them that are no manifests.
fn files(size: Size, other_files: u32) -> Vec<Edit> {
    let mut edits = Vec::new();
    for number in 0..size.configs {
        let (_, name) = size.config(number);
        edits.extend((0..OBJECTS_PER_CONFIG).map(|index| object(&name, number, index, "first")));
        edits.extend((0..other_files).map(|index| {
            let path = format!("apps/{number:04}/notes/{index:02}.md");
            Edit::put(&path, format!("Note {index} about {name}.\n"))
        }));
    }
    edits
}

/// One ConfigMap in a file of its own.
fn object(name: &str, number: u32, index: u32, value: &str) -> Edit {
    Edit::put(&format!("apps/{number:04}/settings-{index}.yaml"), config_map(name, index, value))
}

/// The ConfigMaps of a config differ by their number.
pub(crate) fn config_map(name: &str, index: u32, value: &str) -> String {
    format!(
        "apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}-{index}
  labels: {{app: {name}}}
data:
  greeting: {value}
  feature-flags: |
    checkout.new-basket=true
    search.suggestions=false
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_four_config_maps_and_the_other_files() {
        let size = Size { configs: 3, rollouts: 0 };
        assert_eq!(files(size, 36).len(), 3 * 40);
        let objects = scenario::setting::parse_documents(&config_map("app-0001", 2, "first")).unwrap();
        assert_eq!((objects[0].kind(), objects[0].name()), ("ConfigMap", "app-0001-2"));
    }

    #[test]
    fn renders_are_summed_whatever_became_of_them() {
        let metrics = "sluice_questions_total{kind=\"render\",result=\"ok\"} 3\n\
                       sluice_questions_total{kind=\"render\",result=\"failed\"} 1\n\
                       sluice_questions_total{kind=\"fetch\",result=\"ok\"} 9\n";
        assert_eq!(renders(metrics), 4.0);
    }
}
