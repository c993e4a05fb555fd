//! Two worlds from one: an embedded cluster is asked, copied, and the copy goes its own way.

use serde_json::json;
use sim_cluster::{Cluster, Request};

/// Applies an object, copies the cluster, changes the original and prints both.
pub fn run() -> String {
    let mut cluster = Cluster::default();
    let now = cluster.now();
    let target = "/api/v1/namespaces/default/configmaps/settings?fieldManager=example";
    let apply = |color: &str| {
        let body = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": color},
        });
        Request::patch(target, "application/apply-patch+yaml", &body)
    };
    let mut out = format!("created: {}\n", cluster.handle(&apply("blue"), now).status());
    let copy = cluster.clone();
    out += &format!("changed: {}\n", cluster.handle(&apply("green"), now).status());
    for (name, world) in [("original", &cluster), ("copy", &copy)] {
        let color = world.get("configmaps", "default", "settings").map(|map| map.text("/data/color").to_owned());
        out += &format!("{name}: {}\n", color.unwrap_or_default());
    }
    out
}

fn main() -> std::io::Result<()> {
    std::io::Write::write_all(&mut std::io::stdout().lock(), run().as_bytes())
}
