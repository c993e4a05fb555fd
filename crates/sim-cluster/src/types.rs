//! The types of the built-in kinds: decodes a body as the API server does, dropping what it does not know.
//!
//! The table is generated from the Go types (`data/generate`). Decoding and encoding through it gives what a round
//! trip through those types gives: unknown fields go, empty optional fields go, empty required fields appear,
//! quantities and times become canonical.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use base64::Engine;
use serde_json::{Map, Number, Value};

use crate::quantity;

/// The index of a struct in the table.
pub(crate) type TypeId = usize;

/// What a value of a field must look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shape {
    Text,
    Bool,
    Int,
    Float,
    Bytes,
    Quantity,
    Time,
    MicroTime,
    IntOrString,
    Any,
    List(Box<Shape>),
    Map(Box<Shape>),
    Struct(TypeId),
}

/// How server-side apply sees a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListKind {
    Atomic,
    Set,
    Keyed(Vec<String>),
}

/// One field of a struct.
#[derive(Debug, Clone)]
pub(crate) struct FieldDef {
    pub(crate) shape: Shape,
    pub(crate) is_omitted_when_empty: bool,
    pub(crate) is_pointer: bool,
    pub(crate) merge_key: Option<String>,
    pub(crate) is_merged: bool,
    pub(crate) is_replaced: bool,
    pub(crate) is_atomic: bool,
    pub(crate) list: ListKind,
    /// The number in protobuf, and that of the embedded message that holds it; 0 is none.
    pub(crate) number: u64,
    pub(crate) outer_number: u64,
}

/// One struct.
#[derive(Debug, Clone, Default)]
pub(crate) struct TypeDef {
    pub(crate) name: String,
    pub(crate) fields: BTreeMap<String, FieldDef>,
    pub(crate) is_atomic: bool,
    pub(crate) defaults: BTreeMap<String, Value>,
}

/// All structs and the kinds they stand for.
#[derive(Debug, Default)]
pub(crate) struct TypeTable {
    kinds: BTreeMap<(String, String), TypeId>,
    pub(crate) types: Vec<TypeDef>,
}

static TABLE: LazyLock<TypeTable> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../data/builtin-types.json")).map(|raw: Value| read(&raw)).unwrap_or_default()
});

/// The table of the built-in types.
pub(crate) fn table() -> &'static TypeTable {
    &TABLE
}

/// The type of a built-in kind.
pub(crate) fn of_kind(api_version: &str, kind: &str) -> Option<TypeId> {
    TABLE.kinds.get(&(api_version.to_owned(), kind.to_owned())).copied()
}

impl TypeTable {
    pub(crate) fn get(&self, id: TypeId) -> Option<&TypeDef> {
        self.types.get(id)
    }
}

fn read(raw: &Value) -> TypeTable {
    let Some(structs) = raw.get("types").and_then(Value::as_object) else { return TypeTable::default() };
    let ids: BTreeMap<&str, TypeId> = structs.keys().enumerate().map(|(id, name)| (name.as_str(), id)).collect();
    let types = structs.iter().map(|(name, def)| read_type(name, def, &ids)).collect();
    let kinds = raw.get("kinds").and_then(Value::as_object).into_iter().flatten();
    let kinds = kinds
        .filter_map(|(key, name)| {
            let (api_version, kind) = key.split_once(' ')?;
            Some(((api_version.to_owned(), kind.to_owned()), *ids.get(name.as_str()?)?))
        })
        .collect();
    TypeTable { kinds, types }
}

fn read_type(name: &str, def: &Value, ids: &BTreeMap<&str, TypeId>) -> TypeDef {
    let fields = def.get("fields").and_then(Value::as_object).into_iter().flatten();
    let fields = fields.map(|(key, field)| (key.clone(), read_field(field, ids))).collect();
    let defaults = def.get("defaults").and_then(Value::as_object).into_iter().flatten();
    TypeDef {
        name: name.to_owned(),
        fields,
        is_atomic: def.get("atomic").and_then(Value::as_bool).unwrap_or(false),
        defaults: defaults.map(|(key, value)| (key.clone(), value.clone())).collect(),
    }
}

fn read_field(field: &Value, ids: &BTreeMap<&str, TypeId>) -> FieldDef {
    let text = |key: &str| field.get(key).and_then(Value::as_str).unwrap_or_default();
    let flag = |key: &str| field.get(key).and_then(Value::as_bool).unwrap_or(false);
    let keys = field.get("m").and_then(Value::as_array);
    let list = match keys {
        Some(keys) => ListKind::Keyed(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        None if flag("e") => ListKind::Set,
        None => ListKind::Atomic,
    };
    let strategies: Vec<&str> = text("s").split(',').collect();
    FieldDef {
        shape: read_shape(text("t"), ids),
        is_omitted_when_empty: flag("o"),
        is_pointer: flag("p"),
        merge_key: Some(text("k")).filter(|key| !key.is_empty()).map(str::to_owned),
        is_merged: strategies.contains(&"merge"),
        is_replaced: strategies.contains(&"replace"),
        is_atomic: flag("a"),
        list,
        number: field.get("n").and_then(Value::as_u64).unwrap_or(0),
        outer_number: field.get("u").and_then(Value::as_u64).unwrap_or(0),
    }
}

fn read_shape(text: &str, ids: &BTreeMap<&str, TypeId>) -> Shape {
    if let Some(item) = text.strip_prefix("[]") {
        return Shape::List(Box::new(read_shape(item, ids)));
    }
    if let Some(item) = text.strip_prefix("{}") {
        return Shape::Map(Box::new(read_shape(item, ids)));
    }
    match text {
        "string" => Shape::Text,
        "bool" => Shape::Bool,
        "int" => Shape::Int,
        "float" => Shape::Float,
        "bytes" => Shape::Bytes,
        "quantity" => Shape::Quantity,
        "time" => Shape::Time,
        "microtime" => Shape::MicroTime,
        "intorstring" => Shape::IntOrString,
        name => ids.get(name).map_or(Shape::Any, |id| Shape::Struct(*id)),
    }
}

/// What came out of decoding a body.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    pub(crate) value: Value,
    /// Paths of fields the type does not have.
    pub(crate) unknown: Vec<String>,
}

/// Decodes a value as a struct and encodes it again.
///
/// # Errors
/// When a field has the wrong type, in the words of Go's JSON decoder.
pub(crate) fn decode(id: TypeId, value: Value) -> Result<Decoded, String> {
    let mut decoder = Decoder { unknown: Vec::new() };
    let value = decoder.fields(id, value, "")?;
    Ok(Decoded { value, unknown: decoder.unknown })
}

struct Decoder {
    unknown: Vec<String>,
}

fn word(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn mismatch(value: &Value, path: &str, owner: &str, wanted: &str) -> String {
    let owner = owner.rsplit('.').next().unwrap_or(owner);
    format!("json: cannot unmarshal {} into Go struct field {owner}.{path} of type {wanted}", word(value))
}

impl Decoder {
    fn fields(&mut self, id: TypeId, value: Value, path: &str) -> Result<Value, String> {
        let Some(def) = table().get(id) else { return Ok(value) };
        let Value::Object(given) = value else {
            return Err(mismatch(&value, path, &def.name, def.name.rsplit('.').next().unwrap_or_default()));
        };
        let mut out = Map::new();
        for (key, value) in given {
            let at = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let Some(field) = def.fields.get(&key) else {
                self.unknown.push(at);
                continue;
            };
            if value.is_null() {
                continue;
            }
            let value = self.shaped(&field.shape, value, &at, &def.name)?;
            if !(field.is_omitted_when_empty && !field.is_pointer && is_zero(&field.shape, &value)) {
                out.insert(key, value);
            }
        }
        for (key, field) in &def.fields {
            if !field.is_omitted_when_empty
                && !out.contains_key(key)
                && let Some(zero) = zero(field)
            {
                out.insert(key.clone(), zero);
            }
        }
        Ok(Value::Object(out))
    }

    fn shaped(&mut self, shape: &Shape, value: Value, path: &str, owner: &str) -> Result<Value, String> {
        match (shape, value) {
            (Shape::Text, Value::String(text)) => Ok(Value::String(text)),
            (Shape::Text, value) => Err(mismatch(&value, path, owner, "string")),
            (Shape::Bool, Value::Bool(flag)) => Ok(Value::Bool(flag)),
            (Shape::Bool, value) => Err(mismatch(&value, path, owner, "bool")),
            (Shape::Int, Value::Number(number)) => match whole(&number) {
                Some(number) => Ok(number.into()),
                None => Err(mismatch(&Value::Number(number), path, owner, "int32")),
            },
            (Shape::Int, value) => Err(mismatch(&value, path, owner, "int32")),
            (Shape::Float, Value::Number(number)) => Ok(Value::Number(number)),
            (Shape::Float, value) => Err(mismatch(&value, path, owner, "float64")),
            (Shape::Bytes, Value::String(text)) => {
                let engine = base64::engine::general_purpose::STANDARD;
                match engine.decode(text.replace(['\n', '\r'], "")) {
                    Ok(bytes) => Ok(engine.encode(bytes).into()),
                    Err(_) => Err(format!("illegal base64 data at input byte {}", first_illegal(&text))),
                }
            }
            (Shape::Bytes, value) => Err(mismatch(&value, path, owner, "[]uint8")),
            (Shape::Quantity, Value::String(text)) => quantity::canonical(&text).map(Value::String).ok_or_else(|| {
                "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".to_owned()
            }),
            (Shape::Quantity, Value::Number(number)) => {
                quantity::canonical(&number.to_string()).map(Value::String).ok_or_else(|| {
                    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
                        .to_owned()
                })
            }
            (Shape::Quantity, value) => Err(mismatch(&value, path, owner, "resource.Quantity")),
            (Shape::Time | Shape::MicroTime, Value::String(text)) => time(shape, &text),
            (Shape::Time | Shape::MicroTime, value) => Err(mismatch(&value, path, owner, "string")),
            (Shape::IntOrString, value @ (Value::String(_) | Value::Number(_))) => Ok(value),
            (Shape::IntOrString, value) => Err(mismatch(&value, path, owner, "intstr.IntOrString")),
            (Shape::Any, value) => Ok(value),
            (Shape::List(item), Value::Array(list)) => {
                let items = list.into_iter().enumerate().map(|(index, value)| {
                    if value.is_null() && matches!(item.as_ref(), Shape::Struct(_)) {
                        return self.shaped(item, Value::Object(Map::new()), path, owner);
                    }
                    self.shaped(item, value, &format!("{path}[{index}]"), owner)
                });
                Ok(Value::Array(items.collect::<Result<_, _>>()?))
            }
            (Shape::List(_), value) => Err(mismatch(&value, path, owner, "[]")),
            (Shape::Map(item), Value::Object(fields)) => {
                let mut out = Map::new();
                for (key, value) in fields {
                    let value = if value.is_null() { zero_of(item) } else { value };
                    // Go names the map, not the key, where a plain value is wrong.
                    let below = matches!(item.as_ref(), Shape::Struct(_) | Shape::List(_) | Shape::Map(_));
                    let at = if below { format!("{path}.{key}") } else { path.to_owned() };
                    out.insert(key, self.shaped(item, value, &at, owner)?);
                }
                Ok(Value::Object(out))
            }
            (Shape::Map(_), value) => Err(mismatch(&value, path, owner, "map[string]string")),
            (Shape::Struct(id), value @ Value::Object(_)) => self.fields(*id, value, path),
            (Shape::Struct(id), value) => {
                let wanted = table().get(*id).map(|def| def.name.as_str()).unwrap_or_default();
                Err(mismatch(&value, path, owner, &short_name(wanted)))
            }
        }
    }
}

/// `v1.ObjectMeta` from `io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta`.
fn short_name(name: &str) -> String {
    let mut parts = name.rsplit('.');
    let last = parts.next().unwrap_or_default();
    let package = parts.next().unwrap_or_default();
    format!("{package}.{last}")
}

fn first_illegal(text: &str) -> usize {
    text.bytes()
        .position(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')))
        .unwrap_or(text.len())
}

fn whole(number: &Number) -> Option<i64> {
    number.as_i64().or_else(|| {
        let float = number.as_f64()?;
        let is_whole = float.fract() == 0.0 && float.abs() < 9e15;
        // The bound above makes the conversion exact.
        #[expect(clippy::cast_possible_truncation, reason = "checked to be a whole number below 2^53")]
        is_whole.then_some(float as i64)
    })
}

fn time(shape: &Shape, text: &str) -> Result<Value, String> {
    let moment = object_model::parse_time(text).ok_or_else(|| {
        format!("parsing time {text:?} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text:?} as \"2006\"")
    })?;
    let written = match shape {
        Shape::MicroTime => object_model::format_micro_time(moment),
        _ => object_model::format_time(moment),
    };
    Ok(Value::String(written))
}

/// Whether Go's `omitempty` leaves the value out.
fn is_zero(shape: &Shape, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => !matches!(shape, Shape::IntOrString) && number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(fields) => fields.is_empty() && !matches!(shape, Shape::Any),
    }
}

/// What Go writes for a field that is not set and may not be left out.
fn zero(field: &FieldDef) -> Option<Value> {
    if field.is_pointer {
        return Some(Value::Null);
    }
    Some(zero_of(&field.shape))
}

fn zero_of(shape: &Shape) -> Value {
    match shape {
        Shape::Text => "".into(),
        Shape::Bool => false.into(),
        Shape::Int | Shape::Float | Shape::IntOrString => 0.into(),
        Shape::Quantity => "0".into(),
        Shape::Bytes | Shape::Time | Shape::MicroTime | Shape::Any | Shape::List(_) | Shape::Map(_) => Value::Null,
        Shape::Struct(id) => {
            let mut out = Map::new();
            let fields = table().get(*id).map(|def| &def.fields);
            for (key, field) in fields.into_iter().flatten().filter(|(_, field)| !field.is_omitted_when_empty) {
                if let Some(zero) = zero(field) {
                    out.insert(key.clone(), zero);
                }
            }
            Value::Object(out)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_body_comes_back_as_from_the_go_types() {
        let id = of_kind("apps/v1", "Deployment").unwrap();
        let decoded = decode(
            id,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": {}},
                "spec": {
                    "replicas": 0, "paused": false, "typo": 1, "selector": {"matchLabels": {"app": "web"}},
                    "template": {"metadata": {"creationTimestamp": null, "labels": {"app": "web"}}, "spec": {"containers": [
                        {"name": "a", "image": "i", "resources": {"limits": {"cpu": "1000m", "memory": 1_048_576}}, "ports": []},
                    ]}},
                },
            }),
        )
        .unwrap();
        assert_eq!(decoded.unknown, ["spec.typo"]);
        assert_eq!(
            decoded.value,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
                "spec": {
                    "replicas": 0, "selector": {"matchLabels": {"app": "web"}}, "strategy": {},
                    "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [
                        {"name": "a", "image": "i", "resources": {"limits": {"cpu": "1", "memory": "1048576"}}},
                    ]}},
                },
                "status": {},
            })
        );
    }

    #[test]
    fn a_wrong_type_is_named_as_go_names_it() {
        let id = of_kind("apps/v1", "Deployment").unwrap();
        assert_eq!(
            decode(id, json!({"spec": {"replicas": "two"}})).unwrap_err(),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"
        );
    }
}
