//! `sluice get`: tables as kubectl users expect them.

use std::io::IsTerminal as _;
use std::time::Duration;

use object_model::Object;
use scenario::setting::{get, list};
use serde_json::Value;

use crate::args::{Form, Get, Reach};
use crate::cluster::{Cluster, Named, connect, parse};
use crate::commands::family::{self, Family};
use crate::output::{Failure, line, objects, print, table};

/// Lists or shows; with `--watch` again whenever something changed.
pub(crate) async fn run(reach: &Reach, args: &Get) -> Result<(), Failure> {
    let (named, name) = parse(reach, &args.what)?;
    let cluster = connect(reach).await?;
    let mut before = String::new();
    loop {
        let found = find(&cluster, &named, name.as_deref(), args.all_namespaces).await?;
        let (text, told) = match found.as_slice() {
            [one] if name.is_some() && args.output == Form::Table && family::has_family(named.kind) => {
                let family = Family::read(&cluster, named.kind).await?;
                (
                    family::show(one, &family, Some(reconcile_runtime::Clock::Wall.now())),
                    family::show(one, &family, None),
                )
            }
            _ => {
                let text = show(&named, &found, args, name.is_some());
                (text.clone(), text)
            }
        };
        if told != before {
            if args.watch && std::io::stdout().is_terminal() {
                // A picture that changes stays in its place.
                print("\x1b[H\x1b[2J");
            }
            print(&text);
            before = told;
        }
        if !args.watch {
            return Ok(());
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(500)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

async fn find(cluster: &Cluster, named: &Named, name: Option<&str>, everywhere: bool) -> Result<Vec<Object>, Failure> {
    let namespace = named.namespace(&cluster.namespace);
    let Some(name) = name else {
        let namespace = if everywhere { "" } else { namespace };
        return Ok(list(&cluster.client, &named.api_version, named.kind, namespace).await?);
    };
    let found = get(&cluster.client, &named.api_version, named.kind, namespace, name).await?;
    let missing = || {
        Failure::new(format!("{} {name} does not exist{}", named.kind, place(namespace)))
            .hint("-n names another namespace")
    };
    Ok(vec![found.ok_or_else(missing)?])
}

fn place(namespace: &str) -> String {
    if namespace.is_empty() { String::new() } else { format!(" in namespace {namespace}") }
}

fn show(named: &Named, found: &[Object], args: &Get, is_one: bool) -> String {
    if matches!(args.output, Form::Json | Form::Yaml) {
        return objects(found, args.output, is_one);
    }
    if found.is_empty() {
        line("No resources found.");
        return String::new();
    }
    let wide = args.output == Form::Wide;
    let columns = columns(named.kind, wide);
    let mut header = vec!["NAME"];
    header.extend(columns.iter().map(|(title, _)| *title));
    if args.all_namespaces && named.is_namespaced {
        header.insert(0, "NAMESPACE");
    }
    let row = |object: &Object| {
        let mut cells = vec![object.name().to_owned()];
        cells.extend(columns.iter().map(|(_, path)| cell(object, path)));
        if args.all_namespaces && named.is_namespaced {
            cells.insert(0, object.namespace().unwrap_or_default().to_owned());
        }
        cells
    };
    table(&header, &found.iter().map(row).collect::<Vec<_>>())
}

/// Titles and where their cells come from: a JSON pointer, or `?TYPE` for the status of a condition.
fn columns(kind: &str, wide: bool) -> Vec<(&'static str, &'static str)> {
    let mut columns = match kind {
        "GitOpsConfig" => vec![
            ("BRANCH", "/spec/branch"),
            ("PATH", "/spec/path"),
            ("COMMIT", "/status/source/commit"),
            ("READY", "?Ready"),
            ("HEALTH", "/status/health/status"),
        ],
        "Rollout" => vec![
            ("PHASE", "/status/phase"),
            ("STEP", "/status/currentStepIndex"),
            ("WEIGHT", "/status/canary/weights/canary/weight"),
            ("DESIRED", "/spec/replicas"),
            ("UPDATED", "/status/updatedReplicas"),
            ("AVAILABLE", "/status/availableReplicas"),
        ],
        "AnalysisRun" | "Experiment" => vec![("STATUS", "/status/phase")],
        "Environment" => vec![("NAMESPACE", "/status/namespace"), ("READY", "?Ready"), ("PATH", "/spec/source/path")],
        "Promotion" => vec![
            ("ACTION", "/spec/action"),
            ("FROM", "/spec/from"),
            ("TO", "/spec/to"),
            ("PHASE", "/status/phase"),
            ("COMMIT", "/status/write/pushed"),
        ],
        _ => Vec::new(),
    };
    if wide || kind == "Promotion" {
        match kind {
            "GitOpsConfig" => {
                columns.extend([("URL", "/spec/url"), ("WINDOW", "/status/windows/state"), ("MESSAGE", "!Ready")]);
            }
            "Rollout" | "Promotion" | "AnalysisRun" | "Experiment" => columns.push(("MESSAGE", "/status/message")),
            _ => {}
        }
    }
    columns.push(("CREATED", "/metadata/creationTimestamp"));
    columns
}

fn cell(object: &Object, path: &str) -> String {
    let condition = |kind: &str, key: &str| {
        let conditions = object.list_at("/status/conditions");
        let found = conditions.iter().find(|item| item.get("type").and_then(Value::as_str) == Some(kind));
        found.and_then(|item| item.get(key)?.as_str()).unwrap_or_default().to_owned()
    };
    let text = match path.split_at(1) {
        ("?", kind) => condition(kind, "status"),
        ("!", kind) => condition(kind, "message"),
        _ => match object.pointer(path) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) if path.ends_with("/commit") || path.ends_with("/pushed") => {
                text.chars().take(8).collect()
            }
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        },
    };
    // One line, and nothing that a terminal would take for a command.
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.is_empty() { "-".to_owned() } else { clean }
}
