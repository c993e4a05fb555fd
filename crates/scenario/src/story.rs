//! What the record tells, in lines for people.

use object_model::{Object, ObjectId};
use reconcile_core::provenance;
use reconcile_runtime::RecordFilter;
use serde_json::Value;

use crate::setting::{PeopleError, Setting, get, list};

/// Why an object is as it is: a line a link.
///
/// # Errors
/// When the cluster does not answer.
pub async fn why(
    setting: &Setting,
    namespace: &str,
    api_version: &str,
    kind: &str,
    name: &str,
) -> Result<String, PeopleError> {
    let Some(object) = get(&setting.people, api_version, kind, namespace, name).await? else {
        return Ok(String::new());
    };
    let filter = RecordFilter { object: Some(object.id()), ..RecordFilter::default() };
    let rows = setting.record.log(filter).await.unwrap_or_default();
    let promotions = list(&setting.people, "sluice.dev/v1alpha1", "Promotion", "").await?;
    let links = provenance::why(&object, &rows, &promotions);
    Ok(links.iter().map(|link| format!("{:<12} {}\n", link.about, link.text)).collect())
}

/// Every row of the record about an object, oldest first.
pub async fn history_of(setting: &Setting, object: ObjectId) -> Vec<String> {
    let filter = RecordFilter { object: Some(object), ..RecordFilter::default() };
    let mut rows = setting.record.log(filter).await.unwrap_or_default();
    rows.reverse();
    rows.iter()
        .map(|row| {
            format!("{} {:?} {} {}", row.at, row.side, row.commit.clone().unwrap_or_default(), images(&row.content))
        })
        .collect()
}

/// The images of a workload's content.
fn images(content: &Value) -> String {
    let object = Object::from_json(content.clone());
    let containers =
        object.as_ref().map(|object| object.list_at("/spec/template/spec/containers").to_vec()).unwrap_or_default();
    let images: Vec<String> =
        containers.iter().filter_map(|container| container.get("image")?.as_str().map(str::to_owned)).collect();
    images.join(", ")
}
