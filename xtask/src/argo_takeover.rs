//! `cargo xtask argo-takeover [--checkout D] [--operator PATH] [--tools D]`: Argo's own controller brings Rollouts into
//! every phase on the real control plane, is stopped, and our operator starts in its place: no pod may be replaced and
//! nobody's spec may change. Then Argo's controller comes back, under the same conditions.
//!
//! What each side wrote is read from the API server's audit log; what became of pods and specs, from the objects.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::argo_suite;
use crate::control_plane::{self, Folders, Leash, Purpose};
use crate::controllers::{self, OPERATOR, Place};
use crate::run;

const NAMESPACE: &str = "takeover";
/// For metrics and health of either controller: not the usual ones, which others may have.
const PORTS: (&str, &str) = ("18090", "18080");
const USAGE: &str = "usage: cargo xtask argo-takeover [--checkout D] [--operator PATH] [--tools D]";
/// Kinds whose specs may not change, and which may not be replaced.
const KINDS: [&str; 8] = [
    "rollouts.argoproj.io",
    "replicasets.apps",
    "deployments.apps",
    "services",
    "virtualservices.networking.istio.io",
    "experiments.argoproj.io",
    "analysisruns.argoproj.io",
    "pods",
];
/// How long a phase may take to come.
const PHASE_WAIT: Duration = Duration::from_secs(120);
/// How long each controller is watched after it took over.
const WATCH: Duration = Duration::from_secs(40);

/// Plays the takeover and the way back, and fails when a pod or a spec changed.
pub(crate) fn command(arguments: &[String]) -> Result<()> {
    let folder = run::target().join("argo-suite");
    let mut folders = Folders { state: folder.join("takeover"), ..Folders::default() };
    let (mut checkout, mut operator) = (None, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let value = rest.next().with_context(|| format!("{argument} needs a value; {USAGE}"))?;
        match argument.as_str() {
            "--checkout" => checkout = Some(std::path::absolute(value)?),
            "--operator" => operator = Some(std::path::absolute(value)?),
            "--tools" => folders.tools = std::path::absolute(value)?,
            other => bail!("unknown argument `{other}`; {USAGE}"),
        }
    }
    let source = argo_suite::source(&folder, checkout)?;
    let peer = argo_suite::build_controller(&folder, &source)?;
    let operator = match operator {
        Some(path) => path,
        None => run::program("sluice-operator")?,
    };
    let tools = control_plane::build(&folders.tools, Purpose::ClusterAndClients)?;
    let _leash = Leash::tie(&folders)?;
    let stage = Stage { place: Place::fresh(&folders, &tools)? };
    let played = stage.play(&source, &peer, &operator);
    let ended = control_plane::down(&folders);
    played?;
    ended
}

struct Stage {
    place: Place,
}

/// What of one object may not change: its uid and its spec.
type Facts = BTreeMap<String, (String, String)>;

impl Stage {
    fn play(&self, source: &Path, peer: &Path, operator: &Path) -> Result<()> {
        self.furnish(source)?;
        let place = &self.place;
        let identity = place.kubeconfig_of(OPERATOR)?;
        let ours = [
            "--domains",
            "rollout,analysis,experiment",
            "--listen",
            "none",
            "--metrics-port",
            PORTS.0,
            "--healthz-port",
            PORTS.1,
        ];
        let theirs = ["--metricsPort", PORTS.0, "--healthzPort", PORTS.1];
        let mut running = place.start(peer, &place.kubeconfig, &theirs, "argo")?;
        let brought = self.bring_into_phases();
        controllers::end(&mut running)?;
        brought?;
        let before = self.facts()?;
        let phases = self.phases()?;
        println!("{} Rollouts, {} objects", phases.len(), before.len());
        let log = control_plane::audit_log(&place.folder);
        fs::write(&log, "")?;
        let begun = Instant::now();
        let mut running = place.start(operator, &identity, &ours, "sluice")?;
        std::thread::sleep(WATCH);
        let mut broken = self.compare("our operator", &before, &phases)?;
        let spec_writes = writes(&log)?;
        println!("our operator wrote within {} s, by the API server's audit log:", begun.elapsed().as_secs());
        for (what, count) in &spec_writes {
            println!("  {count:>4} {what}");
        }
        controllers::end(&mut running)?;
        let between = self.facts()?;
        let mut running = place.start(peer, &place.kubeconfig, &theirs, "argo-again")?;
        std::thread::sleep(WATCH);
        broken.extend(self.compare("Argo's controller again", &between, &phases)?);
        controllers::end(&mut running)?;
        if broken.is_empty() {
            println!("no pod was replaced, no spec changed, every phase stayed");
            return Ok(());
        }
        bail!("the takeover changed something:\n  {}", broken.join("\n  "))
    }

    /// Definitions, the Rollouts' namespace and our operator's account.
    fn furnish(&self, source: &Path) -> Result<()> {
        let place = &self.place;
        place.define(source)?;
        place.define_others(source)?;
        place.make_namespaces(&[NAMESPACE, "argo-rollouts", "sluice-system"])?;
        place.admit_operator()?;
        place.wait_for_definitions()
    }

    fn bring_into_phases(&self) -> Result<()> {
        let manifests = run::root().join("fixtures/argo/takeover/rollouts.yaml");
        run::run(
            self.place.kubectl(&["apply", "-n", NAMESPACE, "-f", &manifests.to_string_lossy()]).stdout(Stdio::null()),
        )?;
        let wanted = self.rollouts()?;
        for (name, rollout) in &wanted {
            let is_updated = annotation(rollout, "update") != Some("no");
            let first = if is_updated { Some("Healthy") } else { annotation(rollout, "phase") };
            self.wait_for(name, first.unwrap_or("Healthy"))?;
            if !is_updated {
                continue;
            }
            let image = "[{\"op\": \"replace\", \"path\": \"/spec/template/spec/containers/0/image\", \
                         \"value\": \"registry.example.com/shop/web:v2\"}]";
            run::run(
                self.place
                    .kubectl(&["patch", "rollout", name, "-n", NAMESPACE, "--type=json", "-p", image])
                    .stdout(Stdio::null()),
            )?;
        }
        for (name, rollout) in &wanted {
            if annotation(rollout, "abort") == Some("yes") {
                self.wait_for(name, "Paused")?;
                let abort = ["patch", "rollout", name, "-n", NAMESPACE, "--type=merge", "--subresource=status", "-p"];
                run::run(self.place.kubectl(&abort).arg("{\"status\": {\"abort\": true}}").stdout(Stdio::null()))?;
            }
        }
        // An update is seen a moment later, and a phase may be that of before.
        std::thread::sleep(Duration::from_secs(15));
        for (name, rollout) in &wanted {
            self.wait_for(name, annotation(rollout, "phase").unwrap_or("Healthy"))?;
        }
        Ok(())
    }

    fn rollouts(&self) -> Result<BTreeMap<String, Value>> {
        let text =
            run::output(&mut self.place.kubectl(&["get", "rollouts.argoproj.io", "-n", NAMESPACE, "-o", "json"]))?;
        let list: Value = serde_json::from_str(&text)?;
        let items = list.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
        let named = |item: Value| Some((item.pointer("/metadata/name")?.as_str()?.to_owned(), item));
        Ok(items.into_iter().filter_map(named).collect())
    }

    fn phases(&self) -> Result<BTreeMap<String, String>> {
        let phase = |item: &Value| item.pointer("/status/phase").and_then(Value::as_str).unwrap_or("none").to_owned();
        Ok(self.rollouts()?.iter().map(|(name, item)| (name.clone(), phase(item))).collect())
    }

    fn wait_for(&self, name: &str, phase: &str) -> Result<()> {
        let begun = Instant::now();
        loop {
            let phases = self.phases()?;
            let now = phases.get(name).map_or("gone", String::as_str);
            if now == phase {
                return Ok(());
            }
            if begun.elapsed() > PHASE_WAIT {
                bail!("Rollout {name} is {now} and not {phase} under Argo's controller");
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Uid and spec of everything in the namespace.
    fn facts(&self) -> Result<Facts> {
        let text = run::output(&mut self.place.kubectl(&["get", &KINDS.join(","), "-n", NAMESPACE, "-o", "json"]))?;
        let list: Value = serde_json::from_str(&text)?;
        let mut facts = Facts::new();
        for item in list.get("items").and_then(Value::as_array).into_iter().flatten() {
            let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let name = format!("{} {}", text("/kind"), text("/metadata/name"));
            let spec = item.get("spec").map(Value::to_string).unwrap_or_default();
            facts.insert(name, (text("/metadata/uid").to_owned(), spec));
        }
        Ok(facts)
    }

    fn compare(&self, who: &str, before: &Facts, phases: &BTreeMap<String, String>) -> Result<Vec<String>> {
        let after = self.facts()?;
        let mut broken = Vec::new();
        let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
        for name in names {
            match (before.get(name), after.get(name)) {
                (Some(before), Some(after)) if before.0 != after.0 => {
                    broken.push(format!("{who}: {name} was replaced"))
                }
                (Some(before), Some(after)) if before.1 != after.1 => {
                    broken.push(format!("{who}: the spec of {name} changed from {} to {}", before.1, after.1));
                }
                (Some(_), None) => broken.push(format!("{who}: {name} is gone")),
                (None, Some(_)) => broken.push(format!("{who}: {name} is new")),
                _ => {}
            }
        }
        for (name, phase) in self.phases()? {
            if phases.get(&name) != Some(&phase) {
                broken.push(format!("{who}: Rollout {name} went from {:?} to {phase}", phases.get(&name)));
            }
        }
        Ok(broken)
    }
}

fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(key)?.as_str()
}

/// What our operator wrote, by verb and resource.
fn writes(log: &Path) -> Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    for line in fs::read_to_string(log)?.lines() {
        let Ok(event) = serde_json::from_str::<Value>(line) else { continue };
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let verb = text("/verb");
        if !matches!(verb.as_str(), "create" | "update" | "patch" | "delete") {
            continue;
        }
        let resource = match text("/objectRef/subresource") {
            sub if sub.is_empty() => text("/objectRef/resource"),
            sub => format!("{}/{sub}", text("/objectRef/resource")),
        };
        *counts.entry(format!("{verb} {resource}")).or_default() += 1;
    }
    Ok(counts)
}
