//! Values that come from neither files of the tree nor the source itself: those of objects of a cluster.

use serde_json::{Map, Value};

use crate::helm::{Reading, merge_maps, read_values, set_values};

/// A document of values, or one value at a path. Neither prints: it may be a Secret's.
#[derive(Clone, PartialEq, Eq)]
pub struct ValuesLayer {
    /// What messages call it, such as `Secret db, key values.yaml`.
    pub name: String,
    /// The content.
    pub text: String,
    /// Where the content goes as one value, in the form of `--set`; empty when it is a document.
    pub path: String,
}

impl std::fmt::Debug for ValuesLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ValuesLayer").field("name", &self.name).field("path", &self.path).finish_non_exhaustive()
    }
}

impl ValuesLayer {
    /// Puts the layer over values; numbers of documents are floats, as Helm has them.
    ///
    /// # Errors
    /// When it is no document of values, or its path is none. The message names the layer and holds nothing of its content.
    pub fn put_over(&self, values: &mut Map<String, Value>) -> Result<(), String> {
        if self.path.is_empty() {
            let more = read_values(self.text.as_bytes())
                .map_err(|_| format!("{} is not a YAML mapping of values", self.name))?;
            merge_maps(values, more);
            return Ok(());
        }
        let unquoted = ['"', '\''].into_iter().find_map(|quote| self.text.strip_prefix(quote)?.strip_suffix(quote));
        // What would mean something to `--set` is meant as it stands.
        let is_plain = unquoted.is_none() && !self.text.contains([',', '{', '\\', '\n']);
        let reading = if is_plain { Reading::Typed } else { Reading::Literal };
        let text = format!("{}={}", self.path, unquoted.unwrap_or(&self.text));
        set_values(&text, reading, values)
            .map_err(|_| format!("{} has no place at the path `{}`", self.name, self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(text: &str, path: &str) -> Result<Value, String> {
        let layer = ValuesLayer { name: "Secret db, key k".to_owned(), text: text.to_owned(), path: path.to_owned() };
        let mut values = Map::new();
        layer.put_over(&mut values).map(|()| Value::Object(values))
    }

    #[test]
    fn a_layer_is_a_document_or_one_value_at_a_path() {
        assert_eq!(read("a: {b: 1}\n", "").unwrap(), json!({"a": {"b": 1.0}}));
        assert_eq!(read("5432", "db.port").unwrap(), json!({"db": {"port": 5432}}));
        assert_eq!(read("\"5432\"", "db.port").unwrap(), json!({"db": {"port": "5432"}}));
        assert_eq!(read("p,a\\ss{w}=[1]", "db.password").unwrap(), json!({"db": {"password": "p,a\\ss{w}=[1]"}}));
        assert_eq!(read("true", "hosts[1].tls").unwrap(), json!({"hosts": [null, {"tls": true}]}));
    }

    #[test]
    fn a_wrong_layer_is_named_without_its_content() {
        for (text, path) in [("hunter2: [", ""), ("- hunter2", ""), ("hunter2", "a[70000]")] {
            let message = read(text, path).unwrap_err();
            assert!(message.starts_with("Secret db, key k") && !message.contains("hunter2"), "{message}");
        }
    }
}
