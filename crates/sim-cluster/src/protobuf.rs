//! Reads Kubernetes' protobuf bodies, which Go clients send, by the numbers in the type table.

use object_model::{Timestamp, format_micro_time, format_time};
use serde_json::{Map, Value, json};

use crate::types::{self, FieldDef, Shape, TypeId};

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

const MAGIC: &[u8] = b"k8s\0";
const DEPTH_MAX: usize = 64;

/// Reads a body: the envelope names the kind, the table knows the rest.
pub(crate) fn decode(body: &[u8]) -> Option<Value> {
    let mut api_version = String::new();
    let mut kind = String::new();
    let mut raw: &[u8] = &[];
    for (number, wire) in fields(body.strip_prefix(MAGIC)?)? {
        match (number, wire) {
            (1, Wire::Bytes(identity)) => {
                for (number, wire) in fields(identity)? {
                    match (number, wire) {
                        (1, Wire::Bytes(text)) => api_version = text_of(text)?,
                        (2, Wire::Bytes(text)) => kind = text_of(text)?,
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let id = types::of_kind(&api_version, &kind)
        .or_else(|| (kind == "DeleteOptions").then(|| types::of_kind("v1", "DeleteOptions")).flatten())?;
    let mut value = message(id, raw, 0)?;
    let out = value.as_object_mut()?;
    out.insert("apiVersion".to_owned(), api_version.into());
    out.insert("kind".to_owned(), kind.into());
    Some(value)
}

enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Other,
}

/// Takes a message apart into its fields.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut out = Vec::new();
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let wire = match key & 7 {
            0 => Wire::Varint(varint(&mut bytes)?),
            1 => {
                let (head, tail) = bytes.split_first_chunk::<8>()?;
                bytes = tail;
                Wire::Fixed64(u64::from_le_bytes(*head))
            }
            2 => {
                let length = usize::try_from(varint(&mut bytes)?).ok()?;
                let (head, tail) = bytes.split_at_checked(length)?;
                bytes = tail;
                Wire::Bytes(head)
            }
            5 => {
                bytes = bytes.split_first_chunk::<4>()?.1;
                Wire::Other
            }
            _ => return None,
        };
        out.push((key >> 3, wire));
    }
    Some(out)
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value: u64 = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f).checked_shl(shift).unwrap_or(0);
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn text_of(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn message(id: TypeId, bytes: &[u8], depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut out = Map::new();
    let def = types::table().get(id)?;
    for (number, wire) in fields(bytes)? {
        let find = |outer: u64, number: u64| {
            def.fields.iter().find(|(_, field)| field.outer_number == outer && field.number == number)
        };
        if let Some((name, field)) = find(0, number) {
            put(&mut out, name, field, &wire, depth)?;
        } else if let Wire::Bytes(inner) = wire {
            // An embedded struct: its fields appear in JSON as if they were the outer one's.
            for (inner_number, wire) in fields(inner)? {
                if let Some((name, field)) = find(number, inner_number) {
                    put(&mut out, name, field, &wire, depth)?;
                }
            }
        }
    }
    Some(Value::Object(out))
}

fn put(out: &mut Map<String, Value>, name: &str, field: &FieldDef, wire: &Wire<'_>, depth: usize) -> Option<()> {
    match &field.shape {
        Shape::List(item) => {
            let list = out.entry(name.to_owned()).or_insert_with(|| json!([])).as_array_mut()?;
            match (item.as_ref(), wire) {
                (Shape::Int, Wire::Bytes(packed)) => {
                    let mut packed = *packed;
                    while !packed.is_empty() {
                        list.push(json!(varint(&mut packed)?.cast_signed()));
                    }
                }
                _ => list.push(single(item, wire, depth)?),
            }
        }
        Shape::Map(item) => {
            let Wire::Bytes(entry) = wire else { return None };
            let mut key = String::new();
            let mut value = Value::Null;
            for (number, wire) in fields(entry)? {
                match (number, &wire) {
                    (1, Wire::Bytes(text)) => key = text_of(text)?,
                    (2, _) => value = single(item, &wire, depth)?,
                    _ => {}
                }
            }
            out.entry(name.to_owned()).or_insert_with(|| json!({})).as_object_mut()?.insert(key, value);
        }
        shape => {
            let value = single(shape, wire, depth)?;
            if !value.is_null() {
                out.insert(name.to_owned(), value);
            }
        }
    }
    Some(())
}

fn single(shape: &Shape, wire: &Wire<'_>, depth: usize) -> Option<Value> {
    use base64::Engine;
    match (shape, wire) {
        (Shape::Text, Wire::Bytes(bytes)) => text_of(bytes).map(Value::String),
        (Shape::Bytes, Wire::Bytes(bytes)) => Some(base64::engine::general_purpose::STANDARD.encode(bytes).into()),
        (Shape::Bool, Wire::Varint(number)) => Some(json!(*number != 0)),
        (Shape::Int, Wire::Varint(number)) => Some(json!(number.cast_signed())),
        (Shape::Float, Wire::Fixed64(bits)) => Some(json!(f64::from_bits(*bits))),
        (Shape::Quantity, Wire::Bytes(bytes)) => inner_text(bytes, 1).map(Value::String),
        (Shape::Time | Shape::MicroTime, Wire::Bytes(bytes)) => time(shape, bytes),
        (Shape::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes),
        (Shape::Any, Wire::Bytes(bytes)) => {
            let raw = inner_text(bytes, 1)?;
            if raw.is_empty() { Some(Value::Null) } else { serde_json::from_str(&raw).ok() }
        }
        (Shape::Struct(id), Wire::Bytes(bytes)) => message(*id, bytes, depth + 1),
        // A list inside a map travels in a message of its own.
        (Shape::List(item), Wire::Bytes(bytes)) => {
            let items = fields(bytes)?.iter().map(|(_, wire)| single(item, wire, depth + 1)).collect::<Option<_>>()?;
            Some(Value::Array(items))
        }
        _ => None,
    }
}

fn inner_text(bytes: &[u8], wanted: u64) -> Option<String> {
    for (number, wire) in fields(bytes)? {
        if let Wire::Bytes(text) = wire
            && number == wanted
        {
            return text_of(text);
        }
    }
    Some(String::new())
}

fn time(shape: &Shape, bytes: &[u8]) -> Option<Value> {
    let (mut seconds, mut nanos) = (0_i64, 0_i32);
    for (number, wire) in fields(bytes)? {
        match (number, wire) {
            (1, Wire::Varint(value)) => seconds = value.cast_signed(),
            (2, Wire::Varint(value)) => nanos = i32::try_from(value).ok()?,
            _ => {}
        }
    }
    // Go's zero time stands for no time at all.
    if bytes.is_empty() || seconds == -62_135_596_800 {
        return Some(Value::Null);
    }
    let moment = Timestamp::new(seconds, nanos).ok()?;
    Some(match shape {
        Shape::MicroTime => format_micro_time(moment).into(),
        _ => format_time(moment).into(),
    })
}

fn int_or_string(bytes: &[u8]) -> Option<Value> {
    let (mut is_text, mut number, mut text) = (false, 0_i64, String::new());
    for (field, wire) in fields(bytes)? {
        match (field, wire) {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            (2, Wire::Varint(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(value)) => text = text_of(value)?,
            _ => {}
        }
    }
    Some(if is_text { json!(text) } else { json!(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).unwrap();
        [&[number << 3 | 2, length], bytes].concat()
    }

    #[test]
    fn an_envelope_with_a_config_map_is_read() {
        let metadata = [part(1, b"settings"), part(8, b"")].concat();
        let entry = [part(1, b"color"), part(2, b"blue")].concat();
        let map = [part(1, &metadata), part(2, &entry)].concat();
        let identity = [part(1, b"v1"), part(2, b"ConfigMap")].concat();
        let body = [MAGIC.to_vec(), part(1, &identity), part(2, &map)].concat();
        assert_eq!(
            decode(&body).unwrap(),
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"color": "blue"}})
        );
        assert!(decode(&body[..body.len() - 1]).is_none());
        assert!(decode(b"{}").is_none());
    }
}
