//! The values that templates see.

use serde_json::{Map, Value};

use crate::collect::Collector;
use crate::diagnostic::Diagnostic;
use crate::path::join;
use crate::render::RenderError;
use crate::source::Source;
use crate::tree::Tree;

/// The file that is read when it exists.
pub(crate) const DEFAULT_FILE: &str = "values.yaml";

/// Reads the values of a source: the default file, the named files, then the inline ones.
pub(crate) fn load(
    source: &Source,
    root: &str,
    tree: &Tree<'_>,
    collector: &mut Collector<'_>,
) -> Result<Map<String, Value>, RenderError> {
    let mut values = Map::new();
    let default = join(root, DEFAULT_FILE).map_err(RenderError::Path)?;
    if let Some(content) = tree.read_if_present(&default)? {
        merge(&mut values, parse(&default, &content, collector));
    }
    for name in &source.values_files {
        let path = join(root, name).map_err(RenderError::Path)?;
        let content = tree.read(&path)?;
        merge(&mut values, parse(&path, &content, collector));
    }
    for layer in &source.layers {
        if let Err(message) = layer.put_over(&mut values) {
            collector.fault(Diagnostic::of_file(&default, message));
        }
    }
    merge(&mut values, source.values.clone());
    Ok(values)
}

fn parse(path: &str, content: &[u8], collector: &mut Collector<'_>) -> Map<String, Value> {
    let documents = match yaml::parse(content) {
        Ok(documents) => documents,
        Err(faults) => {
            faults.into_iter().for_each(|fault| collector.fault(Diagnostic::of_text(path, fault)));
            return Map::new();
        }
    };
    let mut documents = documents.into_iter().filter(|document| !document.value.is_null());
    match (documents.next().map(|document| document.value), documents.next()) {
        (None, _) => Map::new(),
        (Some(Value::Object(values)), None) => values,
        (_, Some(second)) => {
            let position = second.start();
            collector.fault(
                Diagnostic::of_file(path, "a file of values holds one document").at(position.line, position.column),
            );
            Map::new()
        }
        (Some(_), None) => {
            collector.fault(Diagnostic::of_file(path, "a file of values must be a mapping"));
            Map::new()
        }
    }
}

/// Merges mappings into each other; other values replace, null takes away. The depth is that of parsed values.
fn merge(values: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (values.get_mut(&key), value) {
            (_, Value::Null) => {
                values.remove(&key);
            }
            (Some(Value::Object(below)), Value::Object(over)) => merge(below, over),
            (Some(slot), value) => *slot = value,
            (None, Value::Object(over)) => {
                let mut fresh = Map::new();
                merge(&mut fresh, over);
                values.insert(key, Value::Object(fresh));
            }
            (None, value) => {
                values.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mappings_merge_and_null_takes_away() {
        let map = |value: Value| value.as_object().cloned().unwrap_or_default();
        let mut values = map(json!({"image": {"name": "web", "tag": "1"}, "list": [1, 2], "gone": 1}));
        merge(&mut values, map(json!({"image": {"tag": "2"}, "list": [3], "gone": null, "new": {"a": null, "b": 1}})));
        assert_eq!(Value::Object(values), json!({"image": {"name": "web", "tag": "2"}, "list": [3], "new": {"b": 1}}));
    }
}
