//! A client that only sends what the operator sent: what installing costs the server by itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::TryStreamExt;
use http::Request;
use scenario::setting::parse_documents;
use serde_json::{Map, Value, json};

use crate::fleet::Size;
use crate::gitops::{OBJECTS_PER_CONFIG, config_map};
use crate::ground::{Ground, config};
use crate::requests::{Counts, is_write};

/// How many configs are written at once.
const AT_ONCE: usize = 32;
const CONFIGS: &str = "apis/sluice.dev/v1";
const INVENTORIES: &str = "apis/sluice.dev/v1alpha1";

/// What one config takes: how often each kind of write.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Writes {
    /// Resource with its subresource, as the counts name it, and how often.
    create: Vec<(String, u64)>,
    patch: Vec<(String, u64)>,
}

/// Creates the configs in namespaces of their own and writes all that was written for them; returns how long it took.
pub(crate) async fn install(ground: &Ground, size: Size, url: &str, sent: &Counts) -> Result<Duration> {
    let namespaces: Vec<String> = size.namespaces().iter().map(|namespace| beside(namespace)).collect();
    ground.furnish(&namespaces).await?;
    let writes = writes_of_one(sent, u64::from(size.configs))?;
    let samples = Samples::read(ground, size).await?;
    let begun = Instant::now();
    let numbers = futures::stream::iter((0..size.configs).map(anyhow::Ok));
    let write = |number: u32| {
        let (namespace, name) = size.config(number);
        write_one(ground, (beside(&namespace), name), number, url, &writes, &samples)
    };
    numbers.try_for_each_concurrent(AT_ONCE, write).await?;
    Ok(begun.elapsed())
}

fn beside(namespace: &str) -> String {
    format!("bare-{namespace}")
}

/// The share of one config in what was sent, rounded.
fn writes_of_one(sent: &Counts, configs: u64) -> Result<Writes> {
    let mut writes = Writes { create: Vec::new(), patch: Vec::new() };
    for (what, count) in sent.iter().filter(|(what, _)| is_write(what)) {
        let each = (count + configs / 2) / configs;
        let (verb, resource) = what.split_once(' ').context("a count has a verb and a resource")?;
        match verb {
            "create" => writes.create.push((resource.to_owned(), each)),
            "patch" => writes.patch.push((resource.to_owned(), each)),
            other => bail!("the bare client does not know how to {other} {resource}"),
        }
    }
    Ok(writes)
}

/// Objects as the operator left them, to be written again elsewhere.
struct Samples {
    inventory: Map<String, Value>,
    status: Value,
}

impl Samples {
    async fn read(ground: &Ground, size: Size) -> Result<Self> {
        let (namespace, name) = size.config(0);
        let ask = |path: String| async move {
            let request = Request::get(path).body(Vec::new())?;
            anyhow::Ok(ground.people.request::<Value>(request).await?)
        };
        let config = ask(format!("/{CONFIGS}/namespaces/{namespace}/gitopsconfigs/{name}")).await?;
        let list = ask(format!("/{INVENTORIES}/namespaces/{namespace}/inventories")).await?;
        let of_config = |item: &&Value| {
            item.pointer("/metadata/ownerReferences/0/name").and_then(Value::as_str) == Some(name.as_str())
        };
        let inventories = list.get("items").and_then(Value::as_array);
        let inventory = inventories.into_iter().flatten().find(of_config).context("the config has no inventory")?;
        let mut inventory = inventory.as_object().cloned().unwrap_or_default();
        inventory.insert("apiVersion".to_owned(), "sluice.dev/v1alpha1".into());
        inventory.insert("kind".to_owned(), "Inventory".into());
        let labels = inventory.get("metadata").and_then(|metadata| metadata.get("labels")).cloned();
        inventory.insert("metadata".to_owned(), json!({"labels": labels}));
        Ok(Self { inventory, status: config.get("status").cloned().unwrap_or_default() })
    }
}

impl Samples {
    fn inventory_with(&self, metadata: Value) -> Value {
        let mut inventory = self.inventory.clone();
        inventory.insert("metadata".to_owned(), metadata);
        Value::Object(inventory)
    }
}

/// Creates one config as a person does.
pub(crate) async fn create_config(ground: &Ground, place: (String, String), number: u32, url: &str) -> Result<()> {
    let text = config(&place, number, url);
    let path = format!("/{CONFIGS}/namespaces/{}/gitopsconfigs", place.0);
    for object in parse_documents(&text)? {
        send(ground, Request::post(path.as_str()), "application/json", &object.to_json()).await?;
    }
    Ok(())
}

/// All that one config takes, in the order in which the operator must write it.
async fn write_one(
    ground: &Ground,
    place: (String, String),
    number: u32,
    url: &str,
    writes: &Writes,
    samples: &Samples,
) -> Result<()> {
    create_config(ground, place.clone(), number, url).await?;
    let (namespace, name) = &place;
    for (resource, count) in &writes.create {
        match (resource.as_str(), count) {
            (_, 0) => {}
            ("inventories", 1) => {
                let labels = samples.inventory.get("metadata").and_then(|metadata| metadata.get("labels"));
                let body = samples.inventory_with(json!({"name": name, "labels": labels}));
                let path = format!("/{INVENTORIES}/namespaces/{namespace}/inventories");
                send(ground, Request::post(path), "application/json", &body).await?;
            }
            other => bail!("the bare client does not know how to create {other:?}"),
        }
    }
    for (resource, count) in &writes.patch {
        for time in 0..*count {
            patch_one(ground, &place, resource, time, samples).await?;
        }
    }
    Ok(())
}

async fn patch_one(
    ground: &Ground,
    (namespace, name): &(String, String),
    resource: &str,
    time: u64,
    samples: &Samples,
) -> Result<()> {
    const MERGE: &str = "application/merge-patch+json";
    let config = format!("/{CONFIGS}/namespaces/{namespace}/gitopsconfigs/{name}");
    match resource {
        "configmaps" => {
            let index = u32::try_from(time)? % OBJECTS_PER_CONFIG;
            let mut object =
                parse_documents(&config_map(name, index, "first"))?.pop().context("there is a document")?;
            object.set_label("sluice.dev/managed", "true");
            let path =
                format!("/api/v1/namespaces/{namespace}/configmaps/{name}-{index}?fieldManager=sluice&force=true");
            send(ground, Request::patch(path), "application/apply-patch+yaml", &object.to_json()).await
        }
        "inventories" => {
            let path = format!("/{INVENTORIES}/namespaces/{namespace}/inventories/{name}");
            // The same entries again, and something new: a patch that changes nothing is cheaper.
            let body = samples.inventory_with(json!({"annotations": {"bare/time": time.to_string()}}));
            send(ground, Request::patch(path), MERGE, &body).await
        }
        "gitopsconfigs" => {
            let body = json!({"metadata": {"annotations": {"bare/time": time.to_string()}}});
            send(ground, Request::patch(config), MERGE, &body).await
        }
        "gitopsconfigs/status" => {
            let mut status = samples.status.as_object().cloned().unwrap_or_else(Map::new);
            status.insert("lastHandledSync".to_owned(), time.to_string().into());
            let body = json!({"status": status});
            send(ground, Request::patch(format!("{config}/status")), MERGE, &body).await
        }
        other => bail!("the bare client does not know how to patch {other}"),
    }
}

async fn send(ground: &Ground, request: http::request::Builder, content: &str, body: &Value) -> Result<()> {
    let request = request.header("content-type", content).body(body.to_string().into_bytes())?;
    let what = format!("{} {}", request.method(), request.uri());
    // The text is not looked at: a client that reads answers would be measured instead of the server.
    ground.people.request_text(request).await.with_context(|| format!("{what} failed"))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_a_config_is_rounded_and_leaves_reads_and_leases_out() {
        let sent = Counts::from([
            ("patch configmaps".to_owned(), 41),
            ("create inventories".to_owned(), 10),
            ("get configmaps".to_owned(), 3),
            ("update leases".to_owned(), 9),
        ]);
        let writes = writes_of_one(&sent, 10).unwrap();
        assert_eq!(writes.create, [("inventories".to_owned(), 1)]);
        assert_eq!(writes.patch, [("configmaps".to_owned(), 4)]);
        assert!(writes_of_one(&Counts::from([("delete pods".to_owned(), 1)]), 1).is_err());
    }
}
