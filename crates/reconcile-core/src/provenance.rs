//! Who wanted an object as it is: from the live object to the commit, the people, the promotion and the build.

use env_promotion::OperationId;
use object_model::{Object, Uid};

use crate::{RecordRow, Side};

/// One link of the chain, and how far it can be trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// What the link is about, such as `commit` or `build`.
    pub about: &'static str,
    /// What is known.
    pub text: String,
}

/// Explains a live object by what stands on it, the record and the Promotions that there are.
///
/// `rows` are of this object in any order; what a commit claims about itself (trailers) is told as the commit's claim.
pub fn why(object: &Object, rows: &[RecordRow], promotions: &[Object]) -> Vec<Link> {
    let mut chain = Vec::new();
    let mut link = |about: &'static str, text: String| chain.push(Link { about, text });
    link("object", object.id().to_string());
    if let Some(config) = object.annotation(api::names::CONFIG) {
        link("config", format!("GitOpsConfig {config} applies it"));
    }
    let commit = object.annotation(api::names::COMMIT);
    match commit {
        Some(commit) => link(
            "commit",
            format!(
                "{commit} last changed it, in {}",
                object.annotation(api::names::SOURCE).unwrap_or("an unknown file")
            ),
        ),
        None => link("commit", "none: no GitOpsConfig applied it".to_owned()),
    }
    let row = rows.iter().find(|row| row.side == Side::Desired && row.commit.as_deref() == commit);
    if let Some(row) = row {
        if let Some(author) = &row.author {
            link("author", author.clone());
        }
        if let Some(asker) = row.asker.as_ref().filter(|asker| row.author.as_ref() != Some(*asker)) {
            link("asked by", asker.clone());
        }
        if let Some(build) = &row.build {
            link("build", build.clone());
        }
        if let Some(source) = &row.source {
            link("source", source.clone());
        }
        if let Some(operation) = &row.operation {
            let carried =
                promotions.iter().find(|promotion| promotion.uid().is_some_and(|uid| carries(&uid, operation)));
            link("operation", carried.map_or_else(|| operation.clone(), told));
        }
    }
    for manager in others(object) {
        link("not from Git", manager);
    }
    chain
}

/// Whether an operation is that of the Promotion with this uid.
fn carries(promotion: &Uid, operation: &str) -> bool {
    OperationId::of_promotion(promotion).as_str() == operation
}

/// A Promotion in one sentence.
fn told(promotion: &Object) -> String {
    let text = |pointer: &str| promotion.str_at(pointer).unwrap_or_default();
    let name = format!("Promotion {}/{}", promotion.namespace().unwrap_or_default(), promotion.name());
    match text("/spec/action") {
        "rollback" => format!("{name} took back commit {}: {}", text("/spec/reverts"), text("/spec/reason")),
        _ => format!(
            "{name} from {} to {}, asked by {}: {}",
            text("/spec/from"),
            text("/spec/to"),
            text("/spec/requestedBy"),
            text("/spec/reason")
        ),
    }
}

/// Managers besides ours that own fields of the object, with the time of their last write.
fn others(object: &Object) -> Vec<String> {
    let entries = object.list_at("/metadata/managedFields");
    let named = entries.iter().filter_map(|entry| {
        let manager = entry.get("manager")?.as_str()?;
        let time = entry.get("time").and_then(serde_json::Value::as_str).unwrap_or("an unknown time");
        let is_status = entry.get("subresource").is_some();
        (!is_status && !manager.starts_with("sluice")).then(|| format!("{manager} set fields at {time}"))
    });
    named.collect()
}
