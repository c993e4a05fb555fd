//! The older OpenAPI document in protobuf, the only form in which kubectl asks for it (gnostic's `OpenAPIv2.proto`).

use bytes::Bytes;
use serde_json::{Map, Value};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// Whether the client asks for protobuf; it spells the version in one of two ways.
pub(crate) fn wants_protobuf(accept: Option<&str>) -> bool {
    accept.is_some_and(|accept| accept.contains("proto-openapi.spec.v2"))
}

/// Encodes a document.
pub(crate) fn encode(document: &Value) -> Bytes {
    let mut out = Message::default();
    out.text(1, document.get("swagger"));
    let mut info = Message::default();
    info.text(1, document.pointer("/info/title")).text(2, document.pointer("/info/version"));
    out.message(2, &info);
    let mut paths = Message::default();
    for (name, path) in fields(document.get("paths")) {
        paths.named(2, name, &path_item(path));
    }
    out.message(8, &paths);
    let mut definitions = Message::default();
    for (name, definition) in fields(document.get("definitions")) {
        definitions.named(1, name, &schema(definition));
    }
    out.message(9, &definitions);
    Bytes::from(out.bytes)
}

fn fields(value: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    value.and_then(Value::as_object).into_iter().flatten()
}

fn path_item(path: &Value) -> Message {
    let mut out = Message::default();
    for (number, method) in [(2, "get"), (3, "put"), (4, "post"), (5, "delete"), (8, "patch")] {
        if let Some(operation) = path.get(method) {
            out.message(number, &self::operation(operation));
        }
    }
    out
}

fn operation(operation: &Value) -> Message {
    let mut out = Message::default();
    for parameter in operation.get("parameters").and_then(Value::as_array).into_iter().flatten() {
        let mut inner = Message::default();
        if parameter.get("in").and_then(Value::as_str) == Some("body") {
            let mut body = Message::default();
            body.text(2, parameter.get("name")).text(3, parameter.get("in")).flag(4, true);
            if let Some(schema) = parameter.get("schema") {
                body.message(5, &self::schema(schema));
            }
            inner.message(1, &body);
        } else {
            let mut query = Message::default();
            query.text(2, parameter.get("in")).text(4, parameter.get("name")).text(6, parameter.get("type"));
            let mut plain = Message::default();
            plain.message(3, &query);
            inner.message(2, &plain);
        }
        let mut item = Message::default();
        item.message(1, &inner);
        out.message(8, &item);
    }
    out.extensions(13, operation);
    out
}

fn schema(value: &Value) -> Message {
    let mut out = Message::default();
    out.text(1, value.get("$ref")).text(2, value.get("format")).text(4, value.get("description"));
    if let Some(default) = value.get("default") {
        out.message(5, &any(default));
    }
    for name in value.get("required").and_then(Value::as_array).into_iter().flatten() {
        out.text(19, Some(name));
    }
    for allowed in value.get("enum").and_then(Value::as_array).into_iter().flatten() {
        out.message(20, &any(allowed));
    }
    if let Some(more) = value.get("additionalProperties") {
        let mut item = Message::default();
        match more.as_bool() {
            Some(allowed) => item.flag(2, allowed),
            None => item.message(1, &schema(more)),
        };
        out.message(21, &item);
    }
    if let Some(kind) = value.get("type") {
        let mut item = Message::default();
        item.text(1, Some(kind));
        out.message(22, &item);
    }
    if let Some(items) = value.get("items") {
        let mut item = Message::default();
        item.message(1, &schema(items));
        out.message(23, &item);
    }
    if let Some(properties) = value.get("properties").and_then(Value::as_object) {
        out.message(25, &self::properties(properties));
    }
    out.extensions(31, value);
    out
}

fn properties(properties: &Map<String, Value>) -> Message {
    let mut out = Message::default();
    for (name, property) in properties {
        out.named(1, name, &schema(property));
    }
    out
}

/// A value of any kind travels as YAML, of which JSON is a part.
fn any(value: &Value) -> Message {
    let mut out = Message::default();
    out.put(2, value.to_string().as_bytes());
    out
}

#[derive(Default)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
            number >>= 7;
        }
        self.bytes.push(u8::try_from(number).unwrap_or_default());
    }

    fn put(&mut self, number: u64, bytes: &[u8]) -> &mut Self {
        self.varint(number << 3 | 2);
        self.varint(bytes.len() as u64);
        self.bytes.extend_from_slice(bytes);
        self
    }

    fn text(&mut self, number: u64, text: Option<&Value>) -> &mut Self {
        match text.and_then(Value::as_str) {
            Some(text) => self.put(number, text.as_bytes()),
            None => self,
        }
    }

    fn flag(&mut self, number: u64, flag: bool) -> &mut Self {
        self.varint(number << 3);
        self.varint(u64::from(flag));
        self
    }

    fn message(&mut self, number: u64, inner: &Self) -> &mut Self {
        self.put(number, &inner.bytes)
    }

    fn named(&mut self, number: u64, name: &str, value: &Self) {
        let mut pair = Self::default();
        pair.put(1, name.as_bytes()).message(2, value);
        self.message(number, &pair);
    }

    fn extensions(&mut self, number: u64, value: &Value) {
        for (name, extension) in fields(Some(value)).filter(|(name, _)| name.starts_with("x-")) {
            self.named(number, name, &any(extension));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_document_is_written_by_the_numbers_of_its_fields() {
        let document =
            json!({"swagger": "2.0", "info": {"title": "K", "version": "v"}, "definitions": {"a": {"type": "object"}}});
        let expected: &[u8] =
            b"\x0a\x032.0\x12\x06\x0a\x01K\x12\x01v\x42\x00\x4a\x12\x0a\x10\x0a\x01a\x12\x0b\xb2\x01\x08\x0a\x06object";
        assert_eq!(encode(&document).as_ref(), expected);
    }
}
