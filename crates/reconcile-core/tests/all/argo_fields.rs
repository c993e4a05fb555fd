//! Every field of a spec in Argo's five definitions changes what is read of an object, or stands in the page with the
//! reason; and what stands there is read by nothing.
//!
//! Each field is set to some values in an object that is otherwise as small as it may be. It is read when the typed
//! reading of two of these objects differs. What Argo hands on as it is written (a pod template, a Job, the arguments and
//! rules that become those of an AnalysisRun) is read as it is written.

use std::collections::BTreeMap;
use std::path::Path;

use analysis::{Asking, Metric, Provider, RunSpec, Settings, TemplateRef};
use api::argo::{Experiment, Rollout, Strategy};
use object_model::{Object, OwnerReference, Uid};
use reconcile_core::rollout::lower_argo;
use serde_json::{Map, Value, json};
use traffic_split::Target;

/// A line a field: its kind, its path, what it may hold.
const FIELDS: &str = include_str!("../../../../fixtures/argo/fields.txt");

/// What is read of an object.
#[derive(Debug, PartialEq)]
enum Read {
    /// With the limits of its runs, which are read where runs are counted (`experiment_step.rs` has their test).
    Rollout(Box<Rollout>, String, Vec<Target>, Option<Value>),
    Analysis(RunSpec, Vec<Metric>, Vec<TemplateRef>),
    Experiment(Box<Experiment>),
}

fn read(kind: &str, spec: &Value) -> Read {
    let object = Object::parse(json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": kind, "metadata": {"name": "web", "namespace": "qa"}, "spec": spec,
    }));
    let object = object.unwrap();
    match kind {
        "Rollout" => read_rollout(&object),
        "Experiment" => Read::Experiment(Box::new(Experiment::parse(&object).0)),
        _ => {
            let mut run = RunSpec::parse(spec).0;
            let metrics = run.metrics.drain(..).map(|metric| read_metric(&metric)).collect();
            Read::Analysis(run, metrics, TemplateRef::parse_list(spec.get("templates")))
        }
    }
}

fn read_metric(metric: &Value) -> Metric {
    let mut read = Metric::parse(metric, "spec.metrics[0]", &mut Vec::new());
    if is_refused(&read.provider) {
        read.provider = Provider::Missing;
    }
    read
}

/// Whether a provider is named as unsupported, or something in it: that is not to be read.
fn is_refused(provider: &Provider) -> bool {
    let (now, settings) = ("2030-01-01T00:00:00Z".parse().unwrap(), Settings::default());
    let secrets = BTreeMap::new();
    let asking = Asking { now, started_at: now, interval: None, settings: &settings, secrets: &secrets, earlier: &[] };
    let refused = provider.next(&asking).err().is_some_and(|error| error.to_string().ends_with("is not supported"));
    refused || matches!(provider, Provider::Several(_))
}

/// Steps and providers count as their own readers see them.
fn read_rollout(object: &Object) -> Read {
    let mut rollout = Rollout::parse(object).0;
    let steps = format!("{:?}", lower_argo(&rollout));
    let owner = OwnerReference {
        api_version: "argoproj.io/v1alpha1".to_owned(),
        kind: "Rollout".to_owned(),
        name: "web".to_owned(),
        uid: Uid::new("r1"),
        controller: true,
        block_owner_deletion: true,
    };
    let mut targets = Vec::new();
    if let Strategy::Canary(canary) = &mut rollout.strategy {
        canary.steps.clear();
        canary.raw_steps = Value::Null;
        if let Some(routing) = canary.routing.take() {
            targets = Target::parse_all(&routing, "qa", &owner).0;
        }
    }
    Read::Rollout(Box::new(rollout), steps, targets, object.pointer("/spec/analysis").cloned())
}

/// The smallest object in which a field counts: the spec of the longest beginning of its path that is named here.
fn ground(kind: &str, path: &str) -> Value {
    let all = if kind == "Rollout" { rollouts() } else { others(kind) };
    let fitting = all.into_iter().filter(|(beginning, _)| path.starts_with(beginning));
    fitting.max_by_key(|(beginning, _)| beginning.len()).map_or(json!({}), |(_, spec)| spec)
}

fn canary(canary: Value) -> Value {
    let template =
        json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:v1"}]}});
    json!({"selector": {"matchLabels": {"app": "web"}}, "template": template, "strategy": {"canary": canary}})
}

fn routed(routing: Value, step: Value) -> Value {
    canary(json!({"canaryService": "c", "stableService": "s", "trafficRouting": routing, "steps": [step]}))
}

fn rollouts() -> Vec<(&'static str, Value)> {
    let istio = || json!({"istio": {"virtualService": {"name": "v"}}, "managedRoutes": [{"name": "r"}]});
    let routing = |routing: Value| routed(routing, json!({"pause": {}}));
    let step = |step: Value| routed(istio(), step);
    let blue_green = |more: Value| {
        let mut spec = canary(json!({}));
        let mut strategy = json!({"activeService": "a", "previewService": "p"});
        strategy.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        spec["strategy"] = json!({"blueGreen": strategy});
        spec
    };
    let judged = || json!({"templates": [{"templateName": "t"}]});
    let mut following = canary(json!({}));
    following.as_object_mut().unwrap().remove("template");
    following["workloadRef"] = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "w"});
    let header =
        |value: Value| json!({"setHeaderRoute": {"name": "r", "match": [{"headerName": "h", "headerValue": value}]}});
    let mirror = |matches: Value| json!({"setMirrorRoute": {"name": "r", "match": matches}});
    let nodes = json!({"canaryVirtualNodeRef": {"name": "c"}, "stableVirtualNodeRef": {"name": "s"}});
    vec![
        ("spec", canary(json!({}))),
        ("spec.workloadRef", following),
        ("spec.strategy.blueGreen", blue_green(json!({}))),
        ("spec.strategy.blueGreen.prePromotionAnalysis", blue_green(json!({"prePromotionAnalysis": judged()}))),
        ("spec.strategy.blueGreen.postPromotionAnalysis", blue_green(json!({"postPromotionAnalysis": judged()}))),
        ("spec.strategy.canary.analysis", canary(json!({"analysis": judged()}))),
        ("spec.strategy.canary.steps[].analysis", canary(json!({"steps": [{"analysis": judged()}]}))),
        (
            "spec.strategy.canary.steps[].experiment",
            step(json!({"experiment": {
            "templates": [{"name": "a", "specRef": "canary"}], "analyses": [{"name": "x", "templateName": "t"}]}})),
        ),
        ("spec.strategy.canary.steps[].setCanaryScale", step(json!({"setCanaryScale": {"weight": 5}}))),
        ("spec.strategy.canary.steps[].setCanaryScale.weight", step(json!({"setCanaryScale": {}}))),
        ("spec.strategy.canary.steps[].setHeaderRoute", step(header(json!({"exact": "x"})))),
        ("spec.strategy.canary.steps[].setHeaderRoute.match[].headerValue", step(header(json!({})))),
        ("spec.strategy.canary.steps[].setMirrorRoute", step(mirror(json!([{"method": {"exact": "GET"}}])))),
        ("spec.strategy.canary.steps[].setMirrorRoute.match[]", step(mirror(json!([{}])))),
        (
            "spec.strategy.canary.replicaProgressThreshold",
            canary(json!({"replicaProgressThreshold": {"type": "Pods", "value": 5}})),
        ),
        ("spec.strategy.canary.trafficRouting", routing(json!({}))),
        ("spec.strategy.canary.trafficRouting.istio", routing(istio())),
        (
            "spec.strategy.canary.trafficRouting.istio.destinationRule",
            routing(json!({"istio": {
            "virtualService": {"name": "v"},
            "destinationRule": {"name": "d", "canarySubsetName": "c", "stableSubsetName": "s"}}})),
        ),
        (
            "spec.strategy.canary.trafficRouting.istio.virtualServices",
            routing(json!({"istio": {"virtualServices": [{"name": "v"}]}})),
        ),
        ("spec.strategy.canary.trafficRouting.managedRoutes", routing(istio())),
        ("spec.strategy.canary.trafficRouting.nginx", routing(json!({"nginx": {"stableIngress": "i"}}))),
        ("spec.strategy.canary.trafficRouting.nginx.stableIngresses", routing(json!({"nginx": {}}))),
        (
            "spec.strategy.canary.trafficRouting.alb",
            routing(json!({"alb": {
            "ingress": "i", "servicePort": 80, "stickinessConfig": {"enabled": true, "durationSeconds": 5}}})),
        ),
        ("spec.strategy.canary.trafficRouting.alb.ingresses", routing(json!({"alb": {"servicePort": 80}}))),
        (
            "spec.strategy.canary.trafficRouting.appMesh",
            routing(json!({"appMesh": {
            "virtualService": {"name": "v"}, "virtualNodeGroup": nodes}})),
        ),
        (
            "spec.strategy.canary.trafficRouting.apisix",
            routing(json!({"apisix": {"route": {"name": "a", "rules": ["r"]}}})),
        ),
        ("spec.strategy.canary.trafficRouting.smi", routing(json!({"smi": {}}))),
    ]
}

fn others(kind: &str) -> Vec<(&'static str, Value)> {
    if kind == "Experiment" {
        let template = json!({"name": "a", "selector": {"matchLabels": {"a": "b"}}, "template": {}});
        return vec![
            ("spec", json!({"templates": [template]})),
            ("spec.analyses", json!({"templates": [template], "analyses": [{"name": "x", "templateName": "t"}]})),
        ];
    }
    let metric = |provider: Value| json!({"metrics": [{"name": "m", "provider": provider}]});
    let secret = json!({"secretKeyRef": {"name": "n", "key": "k"}});
    vec![
        ("spec", metric(json!({"prometheus": {"query": "q"}}))),
        ("spec.metrics[].provider", metric(json!({}))),
        (
            "spec.metrics[].provider.prometheus.authentication.sigv4",
            metric(json!({"prometheus": {
            "query": "q", "address": "http://aps-workspaces.example.com", "authentication": {"sigv4": {"region": "r"}}}})),
        ),
        (
            "spec.metrics[].provider.prometheus.headers",
            metric(json!({"prometheus": {"headers": [{"key": "k", "value": "v"}]}})),
        ),
        ("spec.metrics[].provider.web.headers", metric(json!({"web": {"headers": [{"key": "k", "value": "v"}]}}))),
        ("spec.args[]", json!({"args": [{"name": "a"}]})),
        ("spec.args[].valueFrom.secretKeyRef", json!({"args": [{"name": "a", "valueFrom": secret}]})),
        ("spec.measurementRetention", json!({"measurementRetention": [{"metricName": "m", "limit": 5}]})),
        ("spec.templates", json!({"templates": [{"templateName": "t"}]})),
    ]
}

/// Values that a field may hold, some of which differ in what they mean.
fn values(path: &str, holds: &str) -> Vec<Value> {
    let texts = |texts: &[&str]| texts.iter().map(|text| Value::from(*text)).collect::<Vec<_>>();
    if path.ends_with(".restartAt") {
        return texts(&["2030-01-01T00:00:00Z", "2031-01-01T00:00:00Z"]);
    }
    let words = [
        (".scaleDown", ["never", "onsuccess"]),
        (".specRef", ["canary", "stable"]),
        (".web.method", ["POST", "PUT"]),
        (".datadog.apiVersion", ["v1", "v2"]),
        ("Threshold.type", ["Pods", "Percent"]),
    ];
    if let Some((_, words)) = words.iter().find(|(end, _)| path.ends_with(end)) {
        return texts(words);
    }
    match holds {
        // These are names, patterns and durations alike.
        "string" => texts(&["1m", "2m"]),
        "integer" | "number" => vec![json!(1), json!(2)],
        "boolean" => vec![json!(true), json!(false)],
        "map" => vec![json!({"a": "1"}), json!({"a": "2"})],
        _ => vec![json!("1m"), json!("2m"), json!(1), json!(2), json!("50%"), json!({}), json!({"a": "1"})],
    }
}

/// Sets a field; nothing takes it away. What its path leads through is made where it is missing.
fn set(json: &mut Value, path: &str, value: Option<&Value>) {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    if !json.is_object() {
        *json = Value::Object(Map::new());
    }
    let map = json.as_object_mut().unwrap();
    // A map has some key.
    let name = first.trim_end_matches("[]").replace('*', "x-key");
    if rest.is_none() && value.is_none() {
        map.remove(&name);
        return;
    }
    let mut place = map.entry(name).or_insert(Value::Null);
    if first.ends_with("[]") {
        if !place.is_array() {
            *place = json!([null]);
        }
        place = &mut place.as_array_mut().unwrap()[0];
    }
    match rest {
        Some(rest) => set(place, rest, value),
        None => *place = value.cloned().unwrap_or(Value::Null),
    }
}

/// Whether something is read of a field.
fn is_read(kind: &str, path: &str, holds: &str) -> bool {
    let reading = |value: Option<&Value>| {
        let mut object = json!({"spec": ground(kind, path)});
        set(&mut object, path, value);
        read(kind, &object["spec"])
    };
    let without = reading(None);
    let values = values(path, holds);
    let readings: Vec<Read> = values.iter().map(|value| reading(Some(value))).collect();
    // What is refused looks like nothing in all its values.
    let is_flag = matches!(holds, "any" | "boolean");
    readings.iter().any(|one| *one != readings[0]) || is_flag && readings[0] != without
}

/// The rows of the page: kinds, and a path that stands for everything below it.
fn listed(page: &str) -> Vec<(Vec<&str>, &str)> {
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let mut cells = row.split(" | ");
        let kinds = cells.next().unwrap().split(", ").map(|kind| kind.trim_matches('`')).collect();
        let path = cells.next().unwrap().trim_matches('`');
        assert!(cells.next().is_some_and(|reason| reason.trim_end_matches(" |").len() > 20), "{path} has no reason");
        (kinds, path)
    })
    .collect()
}

fn is_below(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[test]
fn every_field_of_a_spec_is_read_or_listed_in_the_page_and_never_both() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/argo-rollouts.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = listed(&page);
    let mut problems = Vec::new();
    let mut used = vec![0; rows.len()];
    let mut count = 0;
    for line in FIELDS.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [kind, path, holds] = words.as_slice() else { panic!("{line}") };
        if !path.starts_with("spec.") {
            continue;
        }
        count += 1;
        let row = rows.iter().position(|(kinds, place)| kinds.contains(kind) && is_below(path, place));
        if let Some(row) = row {
            used[row] += 1;
        }
        match (is_read(kind, path, holds), row) {
            (true, Some(_)) => problems.push(format!("{kind} {path} is read, but the page says that it is not")),
            (false, None) => problems.push(format!("{kind} {path} is not read and not listed")),
            _ => {}
        }
    }
    for ((kinds, path), used) in rows.iter().zip(used) {
        if used == 0 && path.starts_with("spec") {
            problems.push(format!("{kinds:?} {path} is in the page and in no definition"));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 500, "only {count} fields");
}
