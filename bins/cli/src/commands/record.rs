//! `sluice why`, `log` and `at`: what the record knows, read through the operator.

use std::path::PathBuf;

use object_model::{Object, ObjectId, Secret, Timestamp};
use reconcile_core::{HttpQuery, HttpReply, RecordRow, Side, provenance};
use reconcile_runtime::{Clock, EgressPolicy, HttpSender, Sender};
use scenario::setting::{get, list};
use serde_json::{Value, json};

use crate::args::{At, Form, Log, Reach, Why};
use crate::cluster::{Cluster, connect, parse_target};
use crate::output::{Failure, line, print, table, talk, value_text};

/// ConfigMap in the operator's namespace that says where it answers, when it can be reached directly.
pub(crate) const ADDRESS: &str = "sluice-operator-address";

/// Explains one live object.
pub(crate) async fn why(reach: &Reach, args: &Why) -> Result<(), Failure> {
    let (named, name) = parse_target(reach, &args.target, "rollout")?;
    let cluster = connect(reach).await?;
    let namespace = named.namespace(&cluster.namespace);
    let object = get(&cluster.client, &named.api_version, named.kind, namespace, &name).await?;
    let object = object.ok_or_else(|| Failure::new(format!("{} {namespace}/{name} does not exist", named.kind)))?;
    let query = object_query(&object.id());
    let rows = match ask(reach, &cluster, "history", &query).await {
        Ok(rows) => rows,
        Err(failure) => {
            talk("the record is out of reach; telling only what stands in the cluster");
            crate::output::fail(&failure);
            Vec::new()
        }
    };
    let promotions = list(&cluster.client, "sluice.dev/v1alpha1", "Promotion", "").await.unwrap_or_default();
    let links = provenance::why(&object, &rows, &promotions);
    if matches!(args.output, Form::Json | Form::Yaml) {
        let value = links.iter().map(|link| json!({"about": link.about, "text": link.text})).collect();
        print(&value_text(&value, args.output));
        return Ok(());
    }
    for link in links {
        line(&format!("{:<12}  {}", link.about, link.text));
    }
    Ok(())
}

/// History, oldest first.
pub(crate) async fn log(reach: &Reach, args: &Log) -> Result<(), Failure> {
    let cluster = connect(reach).await?;
    let (path, mut query) = match &args.target {
        Some(target) => ("history", target_query(reach, &cluster, target).await?),
        None if args.all_namespaces => ("log", String::new()),
        None => ("log", format!("namespace={}", cluster.namespace)),
    };
    query.push_str(&format!("&limit={}", args.limit));
    let mut rows = ask(reach, &cluster, path, query.trim_start_matches('&')).await?;
    rows.reverse();
    show(&rows, args.output);
    Ok(())
}

/// The state at a moment.
pub(crate) async fn at(reach: &Reach, args: &At) -> Result<(), Failure> {
    let moment: Timestamp = args.time.parse().map_err(|_| {
        Failure::usage(format!("`{}` is not an RFC 3339 time", args.time)).hint("such as 2026-11-22T07:15:00Z")
    })?;
    let cluster = connect(reach).await?;
    let query = match &args.target {
        Some(target) => target_query(reach, &cluster, target).await?,
        None => format!("namespace={}", cluster.namespace),
    };
    let rows = ask(reach, &cluster, "at", &format!("{query}&time={moment}")).await?;
    show(&rows, args.output);
    Ok(())
}

fn show(rows: &[RecordRow], form: Form) {
    if matches!(form, Form::Json | Form::Yaml) {
        let value = rows.iter().map(row_json).collect();
        print(&value_text(&value, form));
        return;
    }
    let cells = |row: &RecordRow| {
        let side = if row.side == Side::Desired { "wanted" } else { "was" };
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let commit = row.commit.as_deref().map_or("-", |commit| commit.get(..8).unwrap_or(commit)).to_owned();
        let mut cells = vec![
            row.at.to_string(),
            side.to_owned(),
            row.object.to_string(),
            told(&row.content),
            commit,
            text(&row.asker),
        ];
        if form == Form::Wide {
            cells.extend([text(&row.build), text(&row.operation)]);
        }
        cells
    };
    let mut header = vec!["TIME", "SIDE", "OBJECT", "CONTENT", "COMMIT", "ASKED BY"];
    if form == Form::Wide {
        header.extend(["BUILD", "OPERATION"]);
    }
    print(&table(&header, &rows.iter().map(cells).collect::<Vec<_>>()));
}

/// The images of a workload, else how much there is.
fn told(content: &Value) -> String {
    if content.is_null() {
        return "gone".to_owned();
    }
    let containers = content.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    let images = containers.into_iter().flatten().filter_map(|container| container.get("image")?.as_str());
    let images: Vec<&str> = images.map(|image| image.rsplit('/').next().unwrap_or(image)).collect();
    if images.is_empty() { format!("{} bytes", content.to_string().len()) } else { images.join(", ") }
}

async fn target_query(reach: &Reach, cluster: &Cluster, target: &str) -> Result<String, Failure> {
    let (named, name) = parse_target(reach, target, "rollout")?;
    let namespace = named.namespace(&cluster.namespace);
    let namespace = if namespace.is_empty() { None } else { Some(namespace) };
    Ok(object_query(&ObjectId::new(named.group(), named.kind, namespace, &name)))
}

fn object_query(id: &ObjectId) -> String {
    let namespace = id.namespace.as_deref().map(|namespace| format!("&namespace={namespace}")).unwrap_or_default();
    format!("group={}&kind={}&name={}{namespace}", id.group, id.kind, id.name)
}

/// Asks the operator.
async fn ask(reach: &Reach, cluster: &Cluster, path: &str, query: &str) -> Result<Vec<RecordRow>, Failure> {
    let address = address(reach, cluster).await?;
    let token = token(reach, cluster)?;
    let sender = HttpSender::new(EgressPolicy { allow_loopback: true }, Clock::Wall)
        .map_err(|error| Failure::new(error.to_string()))?;
    let url = format!("{}/v1/record/{path}?{query}", address.trim_end_matches('/'));
    let request = HttpQuery {
        method: "GET".to_owned(),
        url: url.clone(),
        headers: vec![("authorization".to_owned(), Secret::new(format!("Bearer {token}")))],
        body: None,
        timeout_ms: 10_000,
        body_bytes_max: 64 * 1024 * 1024,
        insecure_tls: false,
    };
    match sender.send(&request).await {
        HttpReply::Response { status: 200, body, .. } => rows_of(&body),
        HttpReply::Response { status, body, .. } => {
            Err(Failure::new(format!("the operator answered {status}: {}", body.trim())))
        }
        HttpReply::Failed { message, .. } => {
            Err(Failure::new(format!("the operator did not answer at {address}: {message}")))
        }
    }
}

async fn address(reach: &Reach, cluster: &Cluster) -> Result<String, Failure> {
    if let Some(address) = &reach.operator {
        return Ok(address.clone());
    }
    let map = get(&cluster.client, "v1", "ConfigMap", api::install::NAMESPACE, ADDRESS).await?;
    let address = map.as_ref().and_then(|map| map.str_at("/data/url")).map(str::to_owned);
    address.ok_or_else(|| {
        Failure::new("where the operator answers is not known")
            .hint("kubectl -n sluice-system port-forward service/sluice-operator 8080:80, then --operator http://127.0.0.1:8080")
    })
}

fn token(reach: &Reach, cluster: &Cluster) -> Result<String, Failure> {
    let beside =
        reach.kubeconfig.as_ref().map(|path| path.with_file_name("operator.token")).filter(|path| path.exists());
    let file: Option<PathBuf> = reach.token_file.clone().or(beside);
    match file {
        Some(path) => {
            let text =
                std::fs::read_to_string(&path).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
            Ok(text.trim().to_owned())
        }
        None => cluster.token.clone().ok_or_else(|| {
            Failure::new("the kubeconfig has no bearer token for the operator")
                .hint("kubectl create token NAME > FILE, then --token-file FILE")
        }),
    }
}

fn rows_of(body: &str) -> Result<Vec<RecordRow>, Failure> {
    let value: Value = serde_json::from_str(body)
        .map_err(|error| Failure::new(format!("the operator's answer can't be read: {error}")))?;
    let rows = value.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(rows.iter().filter_map(row_of).collect())
}

fn row_of(row: &Value) -> Option<RecordRow> {
    let text = |key: &str| row.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(RecordRow {
        key: text("key")?,
        side: if text("side")? == "desired" { Side::Desired } else { Side::Actual },
        object: serde_json::from_value(row.get("object")?.clone()).ok()?,
        at: text("at")?.parse().ok()?,
        digest: text("digest")?,
        content: row.get("content").cloned().unwrap_or(Value::Null),
        commit: text("commit"),
        author: text("author"),
        asker: text("asker"),
        build: text("build"),
        source: text("source"),
        operation: text("operation"),
    })
}

fn row_json(row: &RecordRow) -> Value {
    json!({
        "side": if row.side == Side::Desired { "desired" } else { "actual" }, "object": row.object, "at": row.at.to_string(),
        "digest": row.digest, "content": row.content, "commit": row.commit, "author": row.author, "asker": row.asker,
        "build": row.build, "source": row.source, "operation": row.operation,
    })
}

/// The ConfigMap that says where the operator answers.
pub(crate) fn address_map(url: &str) -> Option<Object> {
    let mut map = Object::new("v1", "ConfigMap", Some(api::install::NAMESPACE), ADDRESS);
    map.set_at(&["data", "url"], url.into());
    Some(map)
}
