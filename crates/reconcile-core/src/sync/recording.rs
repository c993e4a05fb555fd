//! What Git wanted, for the record (DESIGN §7).

use object_model::Object;
use serde_json::Value;

use super::desired::Wish;
use super::snapshot::Snapshot;
use crate::patch::{canonical, digest};
use crate::{Act, Action, Plan, RecordRow, Side};

/// Appends what Git wanted to the record, once per object, content and commit.
pub(super) fn record(snapshot: &Snapshot, plan: &mut Plan) {
    let rows: Vec<RecordRow> =
        record_rows(snapshot).into_iter().filter(|row| !snapshot.recorded.contains(&row.key)).collect();
    if !rows.is_empty() {
        plan.stage(vec![Act::new(Action::Record { rows })]);
    }
}

/// The rows that say what the present render wants, each under the commit that last changed the object.
pub(super) fn record_rows(snapshot: &Snapshot) -> Vec<RecordRow> {
    let Some(rendered) = snapshot.rendered() else { return Vec::new() };
    let touched = &rendered.touched;
    let row = |wish: &Wish| {
        let id = wish.object.id();
        let live = snapshot.live.get(&id)?;
        // An object that this commit did not change has its row from the commit that did.
        if live.annotation(api::names::COMMIT) != Some(&touched.commit) {
            return None;
        }
        let content = recorded_content(&wish.object);
        let digest = digest(&canonical(&content));
        let asker = touched.trailer("Sluice-Requested-By").map(str::to_owned);
        let author = format!("{} <{}>", touched.author.name, touched.author.email);
        Some(RecordRow {
            key: format!("desired/{}/{id}/{digest}/{}", snapshot.identity.uid, touched.commit),
            side: Side::Desired,
            object: id,
            at: touched.time,
            digest,
            content,
            commit: Some(touched.commit.clone()),
            asker: Some(asker.unwrap_or_else(|| author.clone())),
            author: Some(author),
            build: touched.trailer("Sluice-Build").map(str::to_owned),
            source: touched.trailer("Sluice-Source").map(str::to_owned),
            operation: touched.trailer("Sluice-Operation").map(str::to_owned),
        })
    };
    snapshot.wishes.iter().filter_map(row).collect()
}

/// What the record keeps of an object: normalised, and of a Secret only the keys.
fn recorded_content(object: &Object) -> Value {
    let mut object = diff_engine::normalise(object);
    if object.kind() == "Secret" && object.group().is_empty() {
        for field in ["data", "stringData"] {
            let Some(Value::Object(map)) = object.json_mut().get_mut(field) else { continue };
            map.values_mut().for_each(|value| *value = "[redacted]".into());
        }
    }
    object.into_json()
}
