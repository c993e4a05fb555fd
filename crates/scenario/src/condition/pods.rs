//! Conditions on pods by their labels: how many are ready and stay.

use object_model::Object;
use serde_json::Value;

use super::git::whole;
use super::test::Test;
use super::{Verdict, verdict};
use crate::setting::list;
use crate::world::World;
use crate::world::kinds::within;

/// How many ready pods of a namespace have all of these labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OfPods {
    namespace: String,
    labels: Vec<(String, String)>,
    test: Test,
}

impl OfPods {
    pub(super) fn parse(words: &[String], namespace: &str) -> Result<Self, String> {
        let usage = "pods LABEL=VALUE[,...] [in NAMESPACE] OPERATOR COUNT";
        let (labels, rest) = words.split_first().ok_or(usage)?;
        let pairs = labels.split(',').map(|pair| pair.split_once('=').ok_or(usage));
        let labels = pairs.map(|pair| pair.map(|(key, value)| (key.to_owned(), value.to_owned())));
        let labels = labels.collect::<Result<Vec<_>, _>>()?;
        let (namespace, rest) = within(rest, namespace);
        Ok(Self { namespace: namespace.to_owned(), labels, test: whole(rest)? })
    }

    pub(super) async fn judge(&self, world: &World) -> Result<Verdict, String> {
        let pods =
            list(&world.setting.people, "v1", "Pod", &self.namespace).await.map_err(|error| error.to_string())?;
        let fits = |pod: &&Object| self.labels.iter().all(|(key, value)| pod.label(key) == Some(value));
        let is_ready = |pod: &&Object| {
            let text = |item: &Value, key: &str, wanted: &str| item.get(key).and_then(Value::as_str) == Some(wanted);
            let conditions = pod.list_at("/status/conditions");
            !pod.is_deleting()
                && conditions.iter().any(|item| text(item, "type", "Ready") && text(item, "status", "True"))
        };
        let count = pods.iter().filter(fits).filter(is_ready).count();
        Ok(verdict(&self.test, Some(&count.to_string())))
    }
}
