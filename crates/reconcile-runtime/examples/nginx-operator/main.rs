//! An operator of one's own on the reconcile core: an `NginxConfig` becomes a Deployment, a ConfigMap and a Service.
//!
//! `cargo run -p reconcile-runtime --example nginx-operator` shows it on an embedded cluster; with the argument
//! `cluster` it serves the cluster of the present kubeconfig, after `kubectl apply -f crd.yaml`.

use std::sync::Arc;

use object_model::{Object, Timestamp};
use reconcile_core::{
    Act, Action, Domain, FieldManager, Key, Kind, ObjectRef, Plan, Precondition, StatusPatch, View, Violation, kinds,
};
use reconcile_runtime::{Clock, Runtime};
use serde_json::{Value, json};

/// Reconciles `nginxconfigs.example.com`.
pub(crate) struct Nginx;

/// A config and what is there of its three objects.
pub(crate) struct Snapshot {
    config: Arc<Object>,
    live: Vec<(Kind, Option<Arc<Object>>)>,
}

fn config_kind() -> Kind {
    Kind::namespaced("example.com", "v1", "NginxConfig", "nginxconfigs")
}

fn child_kinds() -> [Kind; 3] {
    [kinds::config_map(), kinds::deployment(), kinds::service()]
}

impl Domain for Nginx {
    type Snapshot = Snapshot;
    const NAME: &'static str = "nginx";

    fn observe(&self, view: &dyn View, key: &Key) -> Option<Snapshot> {
        let config = view.get(&config_kind(), &key.namespace, &key.name).filter(|config| !config.is_deleting())?;
        let live = child_kinds().map(|kind| (kind.clone(), view.get(&kind, &key.namespace, &key.name)));
        Some(Snapshot { config, live: live.into() })
    }

    fn decide(&self, snapshot: &Snapshot) -> Plan {
        let mut plan = Plan::empty();
        let mut acts = Vec::new();
        for ((kind, live), desired) in snapshot.live.iter().zip(desired(&snapshot.config)) {
            match live {
                None => acts.push(Act::new(Action::Create { kind: kind.clone(), object: Box::new(desired) })),
                Some(live) if !is_ours(&snapshot.config, live) => {
                    plan.report.problems.push(format!("{} exists and belongs to somebody else", live.id()));
                }
                Some(live) if contains(&live.to_json(), &desired.to_json()) => {}
                Some(live) => acts.push(Act::new(Action::Apply {
                    kind: kind.clone(),
                    object: Box::new(desired),
                    manager: FieldManager::Other("nginx-operator"),
                    force: true,
                    precondition: Precondition::uid(live),
                })),
            }
        }
        let is_settled = acts.is_empty();
        plan.stage(acts);
        plan.status = is_settled.then(|| status(snapshot, &plan.report.problems)).flatten();
        plan
    }

    fn check(&self, snapshot: &Snapshot, plan: &Plan) -> Vec<Violation> {
        let foreign = |act: &Act| match &act.action {
            Action::Apply { kind, .. } => snapshot
                .live
                .iter()
                .any(|(have, live)| have == kind && live.as_ref().is_some_and(|live| !is_ours(&snapshot.config, live))),
            Action::Create { .. } => false,
            _ => true,
        };
        let stages = plan.stages.iter().enumerate().filter(|(_, stage)| stage.iter().any(foreign));
        let message = "an object of somebody else would be written".to_owned();
        stages
            .map(|(at, _)| Violation { rule: "own-objects-only", message: message.clone(), stage: Some(at) })
            .collect()
    }

    fn watches(&self) -> Vec<Kind> {
        std::iter::once(config_kind()).chain(child_kinds()).collect()
    }

    fn keys_for(&self, _view: &dyn View, object: &Object) -> Vec<Key> {
        let is_child = object.controller().is_some_and(|owner| owner.kind == "NginxConfig");
        if object.kind() == "NginxConfig" || is_child { vec![Key::of(object)] } else { Vec::new() }
    }
}

/// The ConfigMap, the Deployment and the Service of a config.
fn desired(config: &Object) -> [Object; 3] {
    let name = config.name();
    let mut files: serde_json::Map<String, Value> =
        config.pointer("/spec/files").and_then(Value::as_object).cloned().unwrap_or_default();
    if let Some(content) = config.str_at("/spec/staticContent") {
        files.insert("index.html".to_owned(), content.into());
    }
    let servers: Vec<&str> = config.list_at("/spec/servers").iter().filter_map(Value::as_str).collect();
    let fallback = "server { listen 80; root /usr/share/nginx/html; }";
    files.insert(
        "servers.conf".to_owned(),
        if servers.is_empty() { fallback.into() } else { servers.join("\n").into() },
    );
    let image = format!("nginx:{}", config.str_at("/spec/version").unwrap_or("latest"));
    let labels = json!({"app": name});
    let mounts = json!([
        {"name": "files", "mountPath": "/usr/share/nginx/html"},
        {"name": "files", "mountPath": "/etc/nginx/conf.d/default.conf", "subPath": "servers.conf"},
    ]);
    let deployment = json!({
        "replicas": 1,
        "selector": {"matchLabels": labels},
        "template": {
            "metadata": {"labels": labels},
            "spec": {
                "containers": [{"name": "nginx", "image": image, "ports": [{"containerPort": 80}], "volumeMounts": mounts}],
                "volumes": [{"name": "files", "configMap": {"name": name}}],
            },
        },
    });
    let service = json!({"selector": labels, "ports": [{"name": "http", "port": 80}]});
    let contents = [("data", Value::Object(files)), ("spec", deployment), ("spec", service)];
    let mut children = child_kinds().map(|kind| Object::new(&kind.api_version(), &kind.kind, config.namespace(), name));
    for (child, (field, content)) in children.iter_mut().zip(contents) {
        child.set_at(&[field], content);
        let owner = json!([{
            "apiVersion": config.api_version(), "kind": config.kind(), "name": name, "controller": true,
            "uid": config.uid().map(|uid| uid.to_string()),
        }]);
        child.set_at(&["metadata", "ownerReferences"], owner);
    }
    children
}

fn status(snapshot: &Snapshot, problems: &[String]) -> Option<StatusPatch> {
    let ready =
        snapshot.live.iter().flat_map(|(_, live)| live).any(|live| live.int_at("/status/readyReplicas") >= Some(1));
    let message = problems.join("; ");
    let status = json!({
        "ready": if ready { "True" } else { "False" }, "message": message,
        "observedGeneration": snapshot.config.generation(),
    });
    let target = ObjectRef::of(&config_kind(), &snapshot.config);
    let precondition = Precondition::exact(&snapshot.config);
    let is_new = snapshot.config.pointer("/status") != Some(&status);
    is_new.then(|| StatusPatch { target, patch: json!({"status": status}), precondition, subresource: true })
}

fn is_ours(config: &Object, live: &Object) -> bool {
    live.controller().is_some_and(|owner| Some(owner.uid) == config.uid())
}

/// Whether `live` says everything that `desired` says; the server's own fields and defaults may be there besides.
fn contains(live: &Value, desired: &Value) -> bool {
    match (live, desired) {
        (Value::Object(live), Value::Object(desired)) => {
            desired.iter().all(|(key, value)| live.get(key).is_some_and(|live| contains(live, value)))
        }
        (Value::Array(live), Value::Array(desired)) => {
            live.len() == desired.len() && live.iter().zip(desired).all(|(live, desired)| contains(live, desired))
        }
        (live, desired) => live == desired,
    }
}

/// Runs the operator on an embedded cluster and tells what came of one config.
pub(crate) async fn show() -> Result<String, Box<dyn std::error::Error>> {
    let start: Timestamp = "2030-01-01T00:00:00Z".parse()?;
    let cluster = sim_cluster::Handle::new(sim_cluster::Cluster::default(), sim_cluster::Clock::tokio_from(start));
    let config = json!({"metadata": {"name": "my-nginx"}, "spec": {"version": "1.29", "staticContent": "Welcome!"}});
    let definition = yaml::parse(include_str!("crd.yaml")).map_err(|found| format!("{found:?}"))?;
    for document in definition {
        cluster.with(|cluster| {
            cluster.acting_as("you").create("customresourcedefinitions.apiextensions.k8s.io", "", document.value)
        })?;
    }
    cluster.with(|cluster| cluster.acting_as("you").create("nginxconfigs.example.com", "default", config))?;
    let client = kube::Client::new(cluster.service(), "default");
    let runtime = Runtime::builder(client).clock(Clock::starting_at(start)).domain(Nginx).build();
    runtime.run(tokio::time::sleep(std::time::Duration::from_secs(5))).await;
    let names = ["configmaps", "deployments.apps", "services"];
    let found = |kind: &str| cluster.with(|cluster| cluster.get(kind, "default", "my-nginx").is_some());
    let ready = cluster.with(|cluster| {
        let config = cluster.get("nginxconfigs.example.com", "default", "my-nginx");
        config.map(|config| config.text("/status/ready").to_owned())
    });
    let lines = names.map(|kind| format!("{kind}/my-nginx: {}\n", if found(kind) { "there" } else { "missing" }));
    Ok(format!("{}ready: {}\n", lines.concat(), ready.unwrap_or_default()))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::args().nth(1).as_deref() == Some("cluster") {
        let runtime = Runtime::builder(kube::Client::try_default().await?).domain(Nginx).build();
        runtime.run(std::future::pending()).await;
        return Ok(());
    }
    let told = show().await?;
    std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes())?;
    Ok(())
}
