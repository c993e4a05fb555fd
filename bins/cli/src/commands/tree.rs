//! `sluice tree`: what a config delivers.

use object_model::{Gvk, Object};
use scenario::setting::{get, list};
use serde_json::Value;

use crate::args::{Reach, Target};
use crate::cluster::{connect, parse_target};
use crate::output::{Failure, print};

/// Shows the inventory of a config with the health of each object, and the pods of its Rollouts by version.
pub(crate) async fn run(reach: &Reach, args: &Target) -> Result<(), Failure> {
    let (named, name) = parse_target(reach, &args.target, "config")?;
    if named.kind != "GitOpsConfig" {
        return Err(Failure::usage(format!("`{}` is not a config", args.target)).hint("sluice tree config/NAME"));
    }
    let cluster = connect(reach).await?;
    let config = get(&cluster.client, &named.api_version, named.kind, &cluster.namespace, &name).await?;
    let config =
        config.ok_or_else(|| Failure::new(format!("GitOpsConfig {}/{name} does not exist", cluster.namespace)))?;
    let text = |pointer: &str| config.str_at(pointer).unwrap_or("-").to_owned();
    let mut out = format!(
        "GitOpsConfig {}/{name}  {}  {}\n",
        cluster.namespace,
        text("/status/health/status"),
        text("/status/source/commit")
    );
    let chunks = list(&cluster.client, "sluice.dev/v1alpha1", "Inventory", &cluster.namespace).await?;
    let ours = chunks.iter().filter(|chunk| chunk.controller().map(|owner| owner.uid) == config.uid());
    let entries: Vec<Value> = ours.flat_map(|chunk| chunk.list_at("/spec/entries").to_vec()).collect();
    for (index, entry) in entries.iter().enumerate() {
        let field = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let api_version = Gvk::new(field("group"), field("version"), field("kind")).api_version();
        let live = get(&cluster.client, &api_version, field("kind"), field("namespace"), field("name")).await?;
        let branch = if index + 1 == entries.len() { "└──" } else { "├──" };
        out.push_str(&format!("{branch} {} {}  {}\n", field("kind"), field("name"), health(live.as_ref())));
    }
    print(&out);
    Ok(())
}

fn health(live: Option<&Object>) -> String {
    let Some(live) = live else { return "Missing".to_owned() };
    match diff_engine::assess(live) {
        Some(health) if health.message.is_empty() => health.status.to_string(),
        Some(health) => format!("{}: {}", health.status, health.message),
        None => "-".to_owned(),
    }
}
