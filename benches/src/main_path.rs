//! The main path: everything Ready, then idle, then commit after commit; what it takes is read from outside.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::Flags;
use crate::figures::{Figures, percentile};
use crate::fleet::{BRANCH, Fleet, Size};
use crate::ground::Ground;
use crate::operator::Operator;
use crate::requests::{Counts, of_work, since};
use crate::visible::{Seen, wait_until_applied, watch};

const OBJECTS_PER_CONFIG: u32 = 4;
const SETTLE: Duration = Duration::from_secs(15);
/// After a commit is applied the operator still writes its status and the record; the next commit waits for that.
pub(crate) const BETWEEN_COMMITS: Duration = Duration::from_millis(400);
const READY_LIMIT: Duration = Duration::from_secs(600);
/// Which config the next commit changes: a stride without common factors visits all of them in no order.
pub(crate) const STRIDE: u32 = 37;

const P50_S: f64 = 0.3;
const IDLE_CPU_PERCENT: f64 = 1.0;
const RSS_MB: f64 = 80.0;

/// Measures, prints the table and writes the JSON.
pub(crate) async fn measure(flags: &Flags) -> Result<()> {
    let size = Size { configs: flags.configs, rollouts: flags.rollouts };
    std::fs::create_dir_all(&flags.out)?;
    let folder = tempfile::tempdir_in(&flags.out)?;
    let fleet = Fleet::start(size).await?;
    let ground = match (&flags.kubeconfig, &flags.audit_log) {
        (Some(kubeconfig), Some(audit_log)) => Ground::real(kubeconfig, audit_log, folder.path()).await?,
        _ => Ground::embedded(folder.path()).await?,
    };
    println!(
        "{} cluster: {} configs of {OBJECTS_PER_CONFIG} objects each, {} Rollouts among them, one repository over HTTP",
        ground.name, size.configs, size.rollouts
    );
    ground.fill(size, &fleet.url()).await?;

    let mut figures = Figures::default();
    figures.facts.insert("cluster".to_owned(), ground.name.into());
    figures.facts.insert("configs".to_owned(), size.configs.into());
    figures.facts.insert("objects".to_owned(), (size.configs * OBJECTS_PER_CONFIG).into());
    figures.facts.insert("rollouts".to_owned(), size.rollouts.into());
    figures.facts.insert("loadAverageBefore".to_owned(), load_average().into());
    let mut operator = Operator::start(&flags.operator, &ground.kubeconfig, folder.path())?;
    let result = phases(flags, size, &fleet, &ground, &mut operator, &mut figures).await;
    let log = flags.out.join(format!("main-{}.operator.log", ground.name));
    std::fs::copy(folder.path().join("operator.log"), &log)?;
    result.with_context(|| format!("the operator's log is {}", log.display()))?;
    stop(&ground, operator, &mut figures).await?;
    figures.facts.insert("loadAverageAfter".to_owned(), load_average().into());

    println!("{}", figures.table());
    println!("  load average before and after: {}, {}", fact(&figures, "loadAverageBefore"), load_average());
    let file = flags.out.join(format!("main-{}.json", ground.name));
    std::fs::write(&file, format!("{:#}\n", figures.json()))?;
    println!("  all of it: {}", file.display());
    match figures.missed().as_slice() {
        [] => Ok(()),
        missed => bail!("aims were missed: {}", missed.join(", ")),
    }
}

async fn phases(
    flags: &Flags,
    size: Size,
    fleet: &Fleet,
    ground: &Ground,
    operator: &mut Operator,
    figures: &mut Figures,
) -> Result<()> {
    begin(size, ground, operator, figures).await?;
    tokio::time::sleep(SETTLE).await;
    idle(flags, fleet, ground, operator, figures).await?;
    commits(flags, size, fleet, ground, operator, figures).await?;
    let usage = operator.usage()?;
    figures.add_below("rss", "resident memory, after the commits", usage.rss_mb, "MB", RSS_MB);
    figures.add("rssPeak", "resident memory, largest", usage.rss_peak_mb, "MB");
    let metrics = operator.metrics().await?;
    for trouble in ["sluice_panics_total", "sluice_violations_total"] {
        ensure!(!metrics.contains(trouble), "the operator counts {trouble}");
    }
    Ok(())
}

/// From the start of the process until everything is as Git says.
async fn begin(size: Size, ground: &Ground, operator: &mut Operator, figures: &mut Figures) -> Result<()> {
    let begun = Instant::now();
    operator.wait_until_ready(READY_LIMIT).await?;
    figures.add("readyz", "start to /readyz", begun.elapsed().as_secs_f64(), "s");
    let (configs, rollouts) = (size.configs as usize, size.rollouts as usize);
    let (mut configs_after, mut rollouts_after) = (None, None);
    while configs_after.is_none() || rollouts_after.is_none() {
        let (ready, healthy) = ground.progress().await?;
        if ready == configs {
            configs_after.get_or_insert(begun.elapsed());
        }
        if healthy == rollouts {
            rollouts_after.get_or_insert(begun.elapsed());
        }
        if begun.elapsed() > READY_LIMIT {
            bail!(
                "after {READY_LIMIT:?} {ready} of {configs} configs are Ready, {healthy} of {rollouts} Rollouts Healthy"
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seconds = |after: Option<Duration>| after.unwrap_or_default().as_secs_f64();
    figures.add("allReady", "start to all configs Ready", seconds(configs_after), "s");
    figures.add("allHealthy", "start to all Rollouts Healthy", seconds(rollouts_after), "s");
    figures.add("beginCpu", "processor time of that", operator.usage()?.cpu_s(), "s");
    let requests = ground.requests.counts()?;
    figures.add("beginRequests", "API requests of that", total(&requests), "");
    figures.facts.insert("requestsOfBegin".to_owned(), json!(requests));
    Ok(())
}

/// What the settled operator uses while nothing happens.
async fn idle(flags: &Flags, fleet: &Fleet, ground: &Ground, operator: &Operator, figures: &mut Figures) -> Result<()> {
    let before = (operator.usage()?, ground.requests.counts()?, fleet.requests());
    tokio::time::sleep(Duration::from_secs(flags.idle_seconds)).await;
    let after = (operator.usage()?, ground.requests.counts()?, fleet.requests());
    let minutes = flags.idle_seconds as f64 / 60.0;
    let requests = since(&before.1, &after.1);
    let what = format!("idle processor time over {} s, of one core", flags.idle_seconds);
    figures.add_below("idleCpu", what, after.0.cpu_percent_since(&before.0), "%", IDLE_CPU_PERCENT);
    figures.add_below("idleRss", "resident memory, idle", after.0.rss_mb, "MB", RSS_MB);
    figures.add("idleRequests", "idle API requests a minute", total(&requests) / minutes, "");
    let beside_time = of_work(&requests) as f64 / minutes;
    figures.add("idleRequestsBesideTime", "  of them neither Leases nor watches", beside_time, "");
    figures.add("idleGit", "idle Git requests a minute", (after.2.0 - before.2.0) as f64 / minutes, "");
    figures.facts.insert("requestsOfIdle".to_owned(), json!(requests));
    Ok(())
}

/// One commit after the other, each to one object of one path.
async fn commits(
    flags: &Flags,
    size: Size,
    fleet: &Fleet,
    ground: &Ground,
    operator: &Operator,
    figures: &mut Figures,
) -> Result<()> {
    let mut applied = watch(ground).await?;
    let before = (operator.usage()?, ground.requests.counts()?, fleet.requests());
    let mut times = Vec::new();
    for commit in 0..flags.commits {
        let number = commit.wrapping_mul(STRIDE) % size.configs;
        let value = format!("commit-{commit}");
        let id = fleet.change(size, number, &value)?;
        let begun = Instant::now();
        operator.tell(&fleet.url(), BRANCH, &id).await?;
        let wanted = Seen { object: size.config(number), value };
        times.push(wait_until_applied(&mut applied, &wanted).await?.saturating_duration_since(begun));
        tokio::time::sleep(BETWEEN_COMMITS).await;
    }
    let after = (operator.usage()?, ground.requests.counts()?, fleet.requests());
    let each = |sum: f64| sum / f64::from(flags.commits);
    let requests = since(&before.1, &after.1);
    let seconds = |percent: usize| percentile(&times, percent).as_secs_f64();
    let what = format!("webhook to applied, p50 of {} commits", flags.commits);
    figures.add_below("p50", what, seconds(50), "s", P50_S);
    figures.add("p95", "webhook to applied, p95", seconds(95), "s");
    figures.add("p100", "webhook to applied, slowest", seconds(100), "s");
    figures.add("commitRequests", "API requests a commit", each(of_work(&requests) as f64), "");
    figures.add("commitGit", "Git requests a commit", each((after.2.0 - before.2.0) as f64), "");
    figures.add("commitCpu", "processor time a commit", each(1e3 * (after.0.cpu_s() - before.0.cpu_s())), "ms");
    figures.facts.insert("requestsOfCommits".to_owned(), json!(requests));
    let millis: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
    figures.facts.insert("webhookToAppliedMs".to_owned(), json!(millis));
    Ok(())
}

/// The operator ends when it is asked to, cleanly, and leaves no Lease behind.
pub(crate) async fn stop(ground: &Ground, operator: Operator, figures: &mut Figures) -> Result<()> {
    let (status, took) = operator.stop().await?;
    ensure!(status.success(), "the operator ended with {status}");
    let holders = ground.lease_holders().await?;
    ensure!(holders.is_empty(), "Leases are still held by {}", holders.join(", "));
    figures.add("stop", "SIGTERM to the end, Leases given back", took.as_secs_f64(), "s");
    Ok(())
}

pub(crate) fn total(counts: &Counts) -> f64 {
    counts.values().sum::<u64>() as f64
}

fn fact(figures: &Figures, key: &str) -> String {
    figures.facts.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What else this machine has to do, over the last minute.
pub(crate) fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_stride_visits_every_config() {
        let visited: BTreeSet<u32> = (0..100).map(|commit| commit * STRIDE % 100).collect();
        assert_eq!(visited.len(), 100);
    }
}
