//! The metrics of Argo Rollouts' controller under its own names, so that dashboards and alerts go on working.
//!
//! What can be read off the objects is made when somebody asks; what happened is counted in a [`Tally`]. A series goes
//! with its object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_model::Object;
use reconcile_core::{Note, kinds};
use serde_json::Value;

/// Upper bounds of the buckets in seconds.
const BUCKETS: [f64; 5] = [0.01, 0.15, 0.25, 0.5, 1.0];
/// Most objects that are counted for; more would be a leak.
const OBJECTS_MAX: usize = 50_000;
/// Domains that Argo Rollouts has too: the name of the domain, and of its metrics.
const DOMAINS: [(&str, &str); 3] = [("rollout", "rollout"), ("analysis", "analysis_run"), ("experiment", "experiment")];
const PHASES: [&str; 6] = ["Pending", "Error", "Failed", "Successful", "Running", "Inconclusive"];
const ROLLOUT_PHASES: [&str; 7] = ["Completed", "Progressing", "Paused", "Timeout", "Error", "Abort", "InvalidSpec"];

/// An object that is counted for.
type Place = (String, String);

#[derive(Debug, Default, Clone)]
struct Durations {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum_s: f64,
    failed: u64,
}

#[derive(Debug, Default)]
struct Counted {
    reconciles: BTreeMap<(&'static str, Place), Durations>,
    events: BTreeMap<(Place, &'static str, String), u64>,
}

/// What happened, by object.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    counted: Mutex<Counted>,
}

impl Tally {
    fn with<T>(&self, act: impl FnOnce(&mut Counted) -> T) -> T {
        act(&mut self.counted.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts one run of a key of a domain.
    pub(crate) fn reconciled(&self, domain: &str, namespace: &str, name: &str, took: Duration, failed: bool) {
        let Some((_, metric)) = DOMAINS.iter().find(|(known, ..)| *known == domain) else { return };
        self.with(|counted| {
            if counted.reconciles.len() >= OBJECTS_MAX {
                return;
            }
            let of_object = counted.reconciles.entry((metric, place(namespace, name))).or_default();
            let seconds = took.as_secs_f64();
            of_object.count += 1;
            of_object.sum_s += seconds;
            of_object.failed += u64::from(failed);
            for (bucket, bound) in of_object.buckets.iter_mut().zip(BUCKETS) {
                *bucket += u64::from(seconds <= bound);
            }
        });
    }

    /// Counts an Event about a Rollout that was written for the first time.
    pub(crate) fn told(&self, note: &Note) {
        if note.about.kind != kinds::rollout() {
            return;
        }
        let kind = match note.kind {
            reconcile_core::EventType::Normal => "Normal",
            reconcile_core::EventType::Warning => "Warning",
        };
        let place = place(note.about.namespace.as_deref().unwrap_or_default(), &note.about.name);
        self.with(|counted| {
            if counted.events.len() < OBJECTS_MAX {
                *counted.events.entry((place, kind, note.reason.0.to_owned())).or_default() += 1;
            }
        });
    }

    /// Forgets objects of a kind that are not there any more.
    fn retain(&self, metric: &'static str, there: &BTreeSet<Place>) {
        self.with(|counted| {
            counted.reconciles.retain(|(of, place), _| *of != metric || there.contains(place));
            if metric == "rollout" {
                counted.events.retain(|(place, ..), _| there.contains(place));
            }
        });
    }

    fn render(&self, out: &mut String) {
        self.with(|counted| {
            for (_, metric) in DOMAINS {
                let of_metric: Vec<_> = counted.reconciles.iter().filter(|((of, _), _)| *of == metric).collect();
                let _ = writeln!(out, "# TYPE {metric}_reconcile histogram");
                for ((_, place), durations) in &of_metric {
                    histogram(out, metric, place, durations);
                }
                let _ = writeln!(out, "# TYPE {metric}_reconcile_error counter");
                for ((_, place), durations) in of_metric.iter().filter(|(_, durations)| durations.failed > 0) {
                    line(out, &format!("{metric}_reconcile_error"), place, &[], durations.failed);
                }
            }
            let _ = writeln!(out, "# TYPE rollout_events_total counter");
            for ((place, kind, reason), count) in &counted.events {
                line(out, "rollout_events_total", place, &[("type", kind), ("reason", reason)], *count);
            }
        });
    }
}

fn place(namespace: &str, name: &str) -> Place {
    (namespace.to_owned(), name.to_owned())
}

fn histogram(out: &mut String, metric: &str, place: &Place, durations: &Durations) {
    let name = format!("{metric}_reconcile");
    let bounds = BUCKETS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
    let counts = durations.buckets.iter().copied().chain([durations.count]);
    for (bound, count) in bounds.zip(counts) {
        line(out, &format!("{name}_bucket"), place, &[("le", &bound)], count);
    }
    line(out, &format!("{name}_sum"), place, &[], durations.sum_s);
    line(out, &format!("{name}_count"), place, &[], durations.count);
}

fn line(
    out: &mut String,
    name: &str,
    (namespace, object): &Place,
    labels: &[(&str, &str)],
    value: impl std::fmt::Display,
) {
    let mut text = format!("name=\"{}\",namespace=\"{}\"", escaped(object), escaped(namespace));
    for (key, value) in labels {
        let _ = write!(text, ",{key}=\"{}\"", escaped(value));
    }
    let _ = writeln!(out, "{name}{{{text}}} {value}");
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Everything that Argo's metrics are made of, as the store has it.
pub(crate) struct Seen {
    pub(crate) rollouts: Vec<Arc<Object>>,
    pub(crate) runs: Vec<Arc<Object>>,
    pub(crate) templates: Vec<Arc<Object>>,
    pub(crate) experiments: Vec<Arc<Object>>,
}

/// Adds Argo's metrics to `out`.
pub(crate) fn render(seen: &Seen, tally: &Tally, out: &mut String) {
    for (metric, objects) in
        [("rollout", &seen.rollouts), ("analysis_run", &seen.runs), ("experiment", &seen.experiments)]
    {
        let there = objects.iter().map(|object| place_of(object)).collect();
        tally.retain(metric, &there);
    }
    let mut gauges = Gauges::default();
    seen.rollouts.iter().for_each(|rollout| gauges.rollout(rollout));
    seen.runs.iter().for_each(|run| gauges.run(run));
    seen.templates.iter().for_each(|template| gauges.template(template));
    seen.experiments.iter().for_each(|experiment| gauges.phase("experiment", experiment));
    gauges.render(out);
    tally.render(out);
    let version = env!("CARGO_PKG_VERSION");
    let _ = writeln!(out, "# TYPE argo_rollouts_controller_info gauge");
    let _ = writeln!(out, "argo_rollouts_controller_info{{version=\"sluice-{version}\"}} 1");
    let _ = writeln!(out, "# TYPE build_info gauge");
    let arch = std::env::consts::ARCH;
    let _ = writeln!(out, "build_info{{commit=\"\",goarch=\"{arch}\",goversion=\"\",version=\"sluice-{version}\"}} 1");
}

fn place_of(object: &Object) -> Place {
    place(object.namespace().unwrap_or_default(), object.name())
}

/// Lines of gauges by metric: one family's lines must stand together.
#[derive(Default)]
struct Gauges {
    families: BTreeMap<&'static str, String>,
}

impl Gauges {
    fn set(&mut self, name: &'static str, object: &Object, labels: &[(&str, &str)], value: i64) {
        line(self.families.entry(name).or_default(), name, &place_of(object), labels, value);
    }

    fn render(&self, out: &mut String) {
        for (name, lines) in &self.families {
            let _ = writeln!(out, "# TYPE {name} gauge");
            out.push_str(lines);
        }
    }

    fn rollout(&mut self, rollout: &Object) {
        let (strategy, router) = strategy_of(rollout);
        let phase = phase_of(rollout);
        self.set("rollout_info", rollout, &[("strategy", strategy), ("traffic_router", router), ("phase", phase)], 1);
        let count = |key: &str| rollout.int_at(&format!("/status/{key}")).unwrap_or(0);
        let available = count("availableReplicas");
        self.set("rollout_info_replicas_available", rollout, &[], available);
        self.set("rollout_info_replicas_unavailable", rollout, &[], count("replicas") - available);
        self.set("rollout_info_replicas_desired", rollout, &[], rollout.int_at("/spec/replicas").unwrap_or(1));
        self.set("rollout_info_replicas_updated", rollout, &[], count("updatedReplicas"));
        for known in ROLLOUT_PHASES {
            let holds = i64::from(known == phase);
            self.set("rollout_phase", rollout, &[("strategy", strategy), ("phase", known)], holds);
        }
    }

    /// `PREFIX_info` and `PREFIX_phase` of a run or an experiment.
    fn phase(&mut self, prefix: &str, object: &Object) {
        let (info, phases) = match prefix {
            "experiment" => ("experiment_info", "experiment_phase"),
            _ => ("analysis_run_info", "analysis_run_phase"),
        };
        let phase = object.str_at("/status/phase").unwrap_or_default();
        self.set(info, object, &[("phase", phase)], 1);
        for known in PHASES {
            self.set(phases, object, &[("phase", known)], i64::from(is_phase(known, phase)));
        }
    }

    fn run(&mut self, run: &Object) {
        self.phase("analysis_run", run);
        let results = run.list_at("/status/metricResults");
        for metric in run.list_at("/spec/metrics") {
            let name = metric.get("name").and_then(Value::as_str).unwrap_or_default();
            let provider = provider_of(metric);
            self.set("analysis_run_metric_type", run, &[("metric", name), ("type", &provider)], 1);
            let result = results.iter().find(|it| it.get("name").and_then(Value::as_str) == Some(name));
            let phase = result.and_then(|it| it.get("phase")?.as_str()).unwrap_or_default();
            let dry = result.and_then(|it| it.get("dryRun")?.as_bool()).unwrap_or(false).to_string();
            for known in PHASES {
                let labels = [("metric", name), ("type", &provider), ("dry_run", &dry), ("phase", known)];
                self.set("analysis_run_metric_phase", run, &labels, i64::from(is_phase(known, phase)));
            }
        }
    }

    fn template(&mut self, template: &Object) {
        self.set("analysis_template_info", template, &[], 1);
        for metric in template.list_at("/spec/metrics") {
            let name = metric.get("name").and_then(Value::as_str).unwrap_or_default();
            let labels = [("type", provider_of(metric)), ("metric", name.to_owned())];
            let labels = labels.each_ref().map(|(key, value)| (*key, value.as_str()));
            self.set("analysis_template_metric_info", template, &labels, 1);
        }
    }
}

fn is_phase(known: &str, phase: &str) -> bool {
    known == phase || (known == "Pending" && phase.is_empty())
}

/// The provider as Argo's labels spell it.
fn provider_of(metric: &Value) -> String {
    let provider = metric.get("provider").and_then(Value::as_object);
    let name = provider.into_iter().flatten().find(|(_, section)| !section.is_null()).map(|(name, _)| name.as_str());
    match name {
        Some("prometheus") => "Prometheus",
        Some("kayenta") => "Kayenta",
        Some("web") => "WebMetric",
        Some("job") => "Job",
        Some("datadog") => "Datadog",
        Some("wavefront") => "Wavefront",
        Some("newRelic") => "NewRelic",
        Some("graphite") => "Graphite",
        Some("cloudWatch") => "CloudWatch",
        Some("influxdb") => "Influxdb",
        Some("skywalking") => "SkyWalking",
        Some("plugin") => "RPCPlugin",
        Some(other) => other,
        None => "Unknown Provider",
    }
    .to_owned()
}

fn strategy_of(rollout: &Object) -> (&'static str, &'static str) {
    let has = |pointer: &str| rollout.pointer(pointer).is_some_and(|value| !value.is_null());
    if has("/spec/strategy/blueGreen") {
        return ("blueGreen", "");
    }
    if !has("/spec/strategy/canary") {
        return ("none", "");
    }
    // The last one counts, as with Argo.
    let routers = [
        ("appMesh", "AppMesh"),
        ("smi", "SMI"),
        ("nginx", "Nginx"),
        ("istio", "Istio"),
        ("ambassador", "Ambassador"),
        ("alb", "ALB"),
        ("traefik", "Traefik"),
        ("apisix", "Apisix"),
    ];
    let named = routers.iter().find(|(key, _)| has(&format!("/spec/strategy/canary/trafficRouting/{key}")));
    ("canary", named.map_or("", |(_, name)| name))
}

fn phase_of(rollout: &Object) -> &'static str {
    let conditions = rollout.list_at("/status/conditions");
    let find = |kind: &str| conditions.iter().find(|item| item.get("type").and_then(Value::as_str) == Some(kind));
    if find("InvalidSpec").is_some() {
        return "InvalidSpec";
    }
    match find("Progressing").and_then(|item| item.get("reason")?.as_str()) {
        Some("NewReplicaSetAvailable") => "Completed",
        Some("RolloutPaused") => "Paused",
        Some("ReplicaSetCreateError") => "Error",
        Some("ProgressDeadlineExceeded") => "Timeout",
        Some("RolloutAborted") => "Abort",
        _ => "Progressing",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(kind: &str, name: &str, fields: Value) -> Arc<Object> {
        let mut object =
            json!({"apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": name, "namespace": "qa"}});
        for (key, value) in fields.as_object().unwrap() {
            object[key] = value.clone();
        }
        Arc::new(Object::parse(object).unwrap())
    }

    fn seen() -> Seen {
        let metrics = json!([{"name": "rate", "provider": {"prometheus": {"query": "up"}}}]);
        Seen {
            rollouts: vec![object(
                "Rollout",
                "web",
                json!({
                    "spec": {"replicas": 3, "strategy": {"canary": {"trafficRouting": {"istio": {}}}}},
                    "status": {"replicas": 4, "availableReplicas": 3, "updatedReplicas": 1,
                        "conditions": [{"type": "Progressing", "reason": "RolloutPaused"}]},
                }),
            )],
            runs: vec![object(
                "AnalysisRun",
                "run",
                json!({
                    "spec": {"metrics": metrics},
                    "status": {"phase": "Failed", "metricResults": [{"name": "rate", "phase": "Failed", "dryRun": true}]},
                }),
            )],
            templates: vec![object("AnalysisTemplate", "recipe", json!({"spec": {"metrics": metrics}}))],
            experiments: vec![object("Experiment", "try", json!({}))],
        }
    }

    fn text(seen: &Seen, tally: &Tally) -> String {
        let mut text = String::new();
        render(seen, tally, &mut text);
        text
    }

    #[test]
    fn what_the_objects_say_is_told_under_argos_names() {
        let text = text(&seen(), &Tally::default());
        for wanted in [
            r#"rollout_info{name="web",namespace="qa",strategy="canary",traffic_router="Istio",phase="Paused"} 1"#,
            r#"rollout_info_replicas_available{name="web",namespace="qa"} 3"#,
            r#"rollout_info_replicas_unavailable{name="web",namespace="qa"} 1"#,
            r#"rollout_info_replicas_desired{name="web",namespace="qa"} 3"#,
            r#"rollout_info_replicas_updated{name="web",namespace="qa"} 1"#,
            r#"rollout_phase{name="web",namespace="qa",strategy="canary",phase="Paused"} 1"#,
            r#"rollout_phase{name="web",namespace="qa",strategy="canary",phase="Completed"} 0"#,
            r#"analysis_run_info{name="run",namespace="qa",phase="Failed"} 1"#,
            r#"analysis_run_phase{name="run",namespace="qa",phase="Pending"} 0"#,
            r#"analysis_run_metric_type{name="run",namespace="qa",metric="rate",type="Prometheus"} 1"#,
            r#"analysis_run_metric_phase{name="run",namespace="qa",metric="rate",type="Prometheus",dry_run="true",phase="Failed"} 1"#,
            r#"analysis_template_info{name="recipe",namespace="qa"} 1"#,
            r#"analysis_template_metric_info{name="recipe",namespace="qa",type="Prometheus",metric="rate"} 1"#,
            r#"experiment_info{name="try",namespace="qa",phase=""} 1"#,
            r#"experiment_phase{name="try",namespace="qa",phase="Pending"} 1"#,
            "# TYPE argo_rollouts_controller_info gauge",
        ] {
            assert!(text.lines().any(|line| line == wanted), "{wanted} in\n{text}");
        }
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
        let once: BTreeSet<&&str> = heads.iter().collect();
        assert_eq!(heads.len(), once.len(), "a family is named once");
    }

    #[test]
    fn what_happened_is_counted_until_the_object_is_gone() {
        let tally = Tally::default();
        tally.reconciled("rollout", "qa", "web", Duration::from_millis(200), false);
        tally.reconciled("rollout", "qa", "web", Duration::from_millis(5), true);
        tally.reconciled("sync", "qa", "web", Duration::from_millis(5), true);
        let rollout = seen().rollouts.remove(0);
        let note = Note {
            about: reconcile_core::ObjectRef::of(&kinds::rollout(), &rollout),
            uid: object_model::Uid::new("u"),
            kind: reconcile_core::EventType::Warning,
            reason: reconcile_core::Reason("RolloutAborted"),
            message: String::new(),
            transition: String::new(),
        };
        tally.told(&note);
        let told = text(&seen(), &tally);
        for wanted in [
            r#"rollout_reconcile_bucket{name="web",namespace="qa",le="0.01"} 1"#,
            r#"rollout_reconcile_bucket{name="web",namespace="qa",le="0.25"} 2"#,
            r#"rollout_reconcile_bucket{name="web",namespace="qa",le="+Inf"} 2"#,
            r#"rollout_reconcile_count{name="web",namespace="qa"} 2"#,
            r#"rollout_reconcile_error{name="web",namespace="qa"} 1"#,
            r#"rollout_events_total{name="web",namespace="qa",type="Warning",reason="RolloutAborted"} 1"#,
        ] {
            assert!(told.lines().any(|line| line == wanted), "{wanted} in\n{told}");
        }
        let gone = Seen { rollouts: Vec::new(), ..seen() };
        let told = text(&gone, &tally);
        assert!(!told.contains("rollout_reconcile_bucket") && !told.contains("RolloutAborted\"}"), "{told}");
    }
}
