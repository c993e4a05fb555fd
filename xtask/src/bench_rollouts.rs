//! `cargo xtask bench rollouts [--rollouts N] [--idle-seconds N] [--checkout D] [--peer PATH]
//! [--operator PATH] [--dir D] [--tools D]`: many Rollouts made,
//! updated by two steps and left alone, by Argo's own controller and by our operator, one after the other on a real
//! control plane of their own. Requests are those that the API server wrote down, processor time and memory those of
//! the process.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::argo_suite;
use crate::control_plane::{self, Folders, Leash, Purpose};
use crate::controllers::{self, ARGO, Account, OPERATOR, Place};
use crate::run;

const USAGE: &str = "usage: cargo xtask bench rollouts [--rollouts N] [--idle-seconds N] [--checkout D] [--peer PATH] \
                     [--operator PATH] [--dir D] [--tools D] | --cluster embedded [--rollouts N] [--commits N] \
                     [--idle-seconds N]";
const NAMESPACE: &str = "many";
/// For metrics and health of either controller.
const PORTS: (&str, &str) = ("18090", "18080");
/// How long all Rollouts together may take for one phase.
const PHASE_WAIT: Duration = Duration::from_secs(600);
/// The kernel's ticks in a second of processor time.
const TICKS_PER_SECOND: f64 = 100.0;

struct Options {
    rollouts: usize,
    idle: Duration,
}

/// What one controller cost.
#[derive(Debug, Clone, Default)]
struct Figures {
    create: Phase,
    update: Phase,
    idle_percent: f64,
    memory_mb: f64,
    restart_writes: u64,
}

/// One phase: how long, and what was asked for and spent.
#[derive(Debug, Clone, Default)]
struct Phase {
    seconds: f64,
    cpu_ms: f64,
    writes: u64,
    events: u64,
    requests: u64,
}

/// Measures both, prints the figures with their ratios, and says which aims are missed.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let folder = run::target().join("argo-suite");
    let mut folders = Folders { state: folder.join("bench"), ..Folders::default() };
    let mut options = Options { rollouts: 300, idle: Duration::from_secs(60) };
    let (mut checkout, mut peer, mut operator) = (None, None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().with_context(|| format!("{argument} needs a value; {USAGE}"))?;
        match argument.as_str() {
            "--rollouts" => options.rollouts = value.parse().context(USAGE)?,
            "--idle-seconds" => options.idle = Duration::from_secs(value.parse().context(USAGE)?),
            "--checkout" => checkout = Some(std::path::absolute(value)?),
            "--peer" => peer = Some(std::path::absolute(value)?),
            "--operator" => operator = Some(std::path::absolute(value)?),
            "--dir" => folders.state = std::path::absolute(value)?,
            "--tools" => folders.tools = std::path::absolute(value)?,
            other => bail!("unknown argument `{other}`; {USAGE}"),
        }
    }
    let source = argo_suite::source(&folder, checkout)?;
    let peer = match peer {
        Some(path) => path,
        None => argo_suite::build_controller(&folder, &source)?,
    };
    let operator = match operator {
        Some(path) => path,
        None => {
            run::run(&mut run::cargo(&["build", "--quiet", "--locked", "--release", "-p", "operator"]))?;
            run::target().join("release/sluice-operator")
        }
    };
    let tools = control_plane::build(&folders.tools, Purpose::ClusterAndClients)?;
    let mut measured = Vec::new();
    for (account, program) in [(ARGO, &peer), (OPERATOR, &operator)] {
        let _leash = Leash::tie(&folders)?;
        let stage = Stage { place: Place::fresh(&folders, &tools)?, account, program: program.clone() };
        let figures = stage.measure(&options, &source);
        let ended = control_plane::down(&folders);
        measured.push(figures.with_context(|| format!("{} could not be measured", account.name))?);
        ended?;
    }
    let [theirs, ours] = measured.as_slice() else { bail!("two controllers are measured") };
    print!("{}", table(&options, theirs, ours));
    let missed = missed(&options, theirs, ours);
    if missed.is_empty() {
        return Ok(());
    }
    bail!("missed: {}", missed.join("; "))
}

struct Stage {
    place: Place,
    account: Account,
    program: PathBuf,
}

/// Processor time and requests up to a moment.
struct Mark {
    at: Instant,
    cpu_ms: f64,
    requests: BTreeMap<String, u64>,
}

impl Stage {
    fn is_argo(&self) -> bool {
        self.account.name == ARGO.name
    }

    fn measure(&self, options: &Options, source: &Path) -> Result<Figures> {
        self.furnish(source)?;
        let identity = self.place.kubeconfig_of(self.account)?;
        let mut running = self.start(&identity)?;
        let measured = self.play(options, &mut running, &identity);
        controllers::end(&mut running)?;
        measured
    }

    fn play(&self, options: &Options, running: &mut Child, identity: &Path) -> Result<Figures> {
        // Caches fill and the Lease is taken.
        std::thread::sleep(Duration::from_secs(10));
        let mut figures = Figures::default();
        eprintln!("{}: {} Rollouts are made", self.account.name, options.rollouts);
        let begin = self.mark(running)?;
        self.apply(options, "v1")?;
        self.wait_for_all(options, "v1")?;
        figures.create = self.since(&begin, running)?;
        std::thread::sleep(Duration::from_secs(10));
        eprintln!("{}: they are updated", self.account.name);
        let begin = self.mark(running)?;
        self.apply(options, "v2")?;
        self.wait_for_all(options, "v2")?;
        figures.update = self.since(&begin, running)?;
        // Old versions go, and the last Events are written.
        std::thread::sleep(Duration::from_secs(45));
        figures.memory_mb = memory_mb(running.id())?;
        eprintln!("{}: they are left alone", self.account.name);
        let begin = self.mark(running)?;
        std::thread::sleep(options.idle);
        let idle = self.since(&begin, running)?;
        figures.idle_percent = idle.cpu_ms / 10.0 / idle.seconds;
        controllers::end(running)?;
        let before = self.requests()?;
        *running = self.start(identity)?;
        std::thread::sleep(Duration::from_secs(30));
        figures.restart_writes = phase(&before, &self.requests()?, 0.0, 0.0).writes;
        Ok(figures)
    }

    /// Definitions, namespaces and the account of the controller.
    fn furnish(&self, source: &Path) -> Result<()> {
        let place = &self.place;
        place.define(source)?;
        place.make_namespaces(&[NAMESPACE, ARGO.namespace, OPERATOR.namespace])?;
        match self.is_argo() {
            true => place.admit_argo()?,
            false => place.admit_operator()?,
        }
        place.wait_for_definitions()
    }

    fn start(&self, identity: &Path) -> Result<Child> {
        let theirs = ["--metricsPort", PORTS.0, "--healthzPort", PORTS.1, "--qps", "500", "--burst", "1000"];
        let theirs = [&theirs[..], &["--loglevel", "error", "--kloglevel", "0"]].concat();
        let ours = ["--metrics-port", PORTS.0, "--healthz-port", PORTS.1, "--listen", "none"];
        let ours = [&ours[..], &["--domains", "rollout,analysis,experiment"]].concat();
        let arguments = if self.is_argo() { theirs } else { ours };
        self.place.start(&self.program, identity, &arguments, self.account.name)
    }

    fn apply(&self, options: &Options, version: &str) -> Result<()> {
        let file = self.place.folder.join(format!("rollouts-{version}.json"));
        let items: Vec<Value> = (0..options.rollouts).flat_map(|index| manifests(index, version)).collect();
        fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string())?;
        self.place.quiet(&["apply", "-n", NAMESPACE, "-f", &file.to_string_lossy()])
    }

    /// Until each Rollout is Healthy and its own generation was seen.
    fn wait_for_all(&self, options: &Options, version: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let all = ["get", "rollouts.argoproj.io", "-n", NAMESPACE, "-o", "json"];
            let text = run::output(&mut self.place.kubectl(&all))?;
            let list: Value = serde_json::from_str(&text)?;
            let items = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
            let done = items.iter().filter(|item| is_done(item, version)).count();
            if done == options.rollouts {
                return Ok(());
            }
            if begun.elapsed() > PHASE_WAIT {
                bail!("after {} s {done} of {} Rollouts are done", PHASE_WAIT.as_secs(), options.rollouts);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }

    fn requests(&self) -> Result<BTreeMap<String, u64>> {
        let user = format!("system:serviceaccount:{}:{}", self.account.namespace, self.account.name);
        let mut counts = BTreeMap::new();
        for line in fs::read_to_string(control_plane::audit_log(&self.place.folder))?.lines() {
            // The last line may still be on its way.
            let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
            let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            if text("/user/username") == user && text("/stage") == "ResponseComplete" {
                *counts.entry(format!("{} {}", text("/verb"), text("/objectRef/resource"))).or_default() += 1;
            }
        }
        Ok(counts)
    }

    fn mark(&self, running: &Child) -> Result<Mark> {
        Ok(Mark { at: Instant::now(), cpu_ms: cpu_ms(running.id())?, requests: self.requests()? })
    }

    fn since(&self, begin: &Mark, running: &Child) -> Result<Phase> {
        let seconds = begin.at.elapsed().as_secs_f64();
        let cpu = cpu_ms(running.id())? - begin.cpu_ms;
        Ok(phase(&begin.requests, &self.requests()?, seconds, cpu))
    }
}

fn phase(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>, seconds: f64, cpu_ms: f64) -> Phase {
    let mut phase = Phase { seconds, cpu_ms, ..Phase::default() };
    for (what, count) in after {
        let grown = count - before.get(what).copied().unwrap_or(0);
        let (verb, resource) = what.split_once(' ').unwrap_or((what, ""));
        if resource == "leases" || verb == "watch" {
            continue;
        }
        phase.requests += grown;
        match (verb, resource) {
            (_, "events") => phase.events += grown,
            ("create" | "update" | "patch" | "delete", _) => phase.writes += grown,
            _ => {}
        }
    }
    phase
}

fn is_done(rollout: &Value, version: &str) -> bool {
    let text = |pointer: &str| rollout.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let image = text("/spec/template/spec/containers/0/image");
    let generation = rollout.pointer("/metadata/generation").map(Value::to_string).unwrap_or_default();
    image.ends_with(version)
        && text("/status/phase") == "Healthy"
        && text("/status/observedGeneration") == generation
        && text("/status/stableRS") == text("/status/currentPodHash")
}

/// A Service and a Rollout of one pod with two steps.
fn manifests(index: usize, version: &str) -> [Value; 2] {
    let name = format!("web-{index}");
    let labels = json!({"app": name});
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": 80}]},
    });
    let image = format!("registry.example.com/shop/web:{version}");
    let rollout = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "web", "image": image}]}},
            "strategy": {"canary": {"steps": [{"setWeight": 50}, {"pause": {"duration": "10s"}}]}},
        },
    });
    [service, rollout]
}

/// Processor time of a process so far, from its fields 14 and 15 of `stat`.
fn cpu_ms(id: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).context("the controller has ended")?;
    let after = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: f64 = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks * 1000.0 / TICKS_PER_SECOND)
}

fn memory_mb(id: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kilobytes: f64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes / 1024.0)
}

fn table(options: &Options, theirs: &Figures, ours: &Figures) -> String {
    let each = |value: f64| value / options.rollouts as f64;
    let rows = [
        ("create: seconds for all", theirs.create.seconds, ours.create.seconds),
        ("create: requests each", each(theirs.create.requests as f64), each(ours.create.requests as f64)),
        ("create: CPU ms each", each(theirs.create.cpu_ms), each(ours.create.cpu_ms)),
        ("update: seconds for all", theirs.update.seconds, ours.update.seconds),
        ("update: writes but Events each", each(theirs.update.writes as f64), each(ours.update.writes as f64)),
        ("update: Events each", each(theirs.update.events as f64), each(ours.update.events as f64)),
        ("update: requests each", each(theirs.update.requests as f64), each(ours.update.requests as f64)),
        ("update: CPU ms each", each(theirs.update.cpu_ms), each(ours.update.cpu_ms)),
        ("idle: % of a core", theirs.idle_percent, ours.idle_percent),
        ("memory: MB resident", theirs.memory_mb, ours.memory_mb),
        ("restart: writes of all", theirs.restart_writes as f64, ours.restart_writes as f64),
    ];
    let mut text =
        format!("{:<34}{:>10}{:>10}{:>9}\n", format!("{} Rollouts", options.rollouts), "Argo", "Sluice", "ratio");
    for (what, theirs, ours) in rows {
        let ratio = if theirs > 0.0 { format!("{:.2}", ours / theirs) } else { "-".to_owned() };
        let _ = writeln!(text, "{what:<34}{theirs:>10.2}{ours:>10.2}{ratio:>9}");
    }
    text
}

fn missed(options: &Options, theirs: &Figures, ours: &Figures) -> Vec<String> {
    let each = |value: f64| value / options.rollouts as f64;
    let aims = [
        ("writes of an update, at most 7", each(ours.update.writes as f64) <= 7.0),
        ("CPU of an update, at most 8 ms", each(ours.update.cpu_ms) <= 8.0),
        ("all updated within half of Argo's time", ours.update.seconds <= theirs.update.seconds / 2.0),
        ("memory under 50 MB", ours.memory_mb < 50.0),
        ("idle under 0.5 % of a core", ours.idle_percent < 0.5),
        ("a restart without writes", ours.restart_writes == 0),
    ];
    aims.into_iter().filter(|(_, is_met)| !is_met).map(|(aim, _)| aim.to_owned()).collect()
}
