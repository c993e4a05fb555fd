//! Strategic merge patch of the built-in kinds: lists merge by their patch merge key, directives say what else.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::types::{self, FieldDef, Shape, TypeId};

const ORDER: &str = "$setElementOrder/";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";

/// Merges a patch into an object of a type.
///
/// # Errors
/// When a directive is malformed or an item lacks its merge key.
pub(crate) fn merge(target: &mut Value, patch: &Value, id: TypeId) -> Result<(), String> {
    let Some(patch) = patch.as_object() else { return Err("the patch must be an object".to_owned()) };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(fields) = target.as_object_mut() else { return Ok(()) };
    merge_fields(fields, patch, &Shape::Struct(id))
}

fn field_of<'t>(shape: &'t Shape, name: &str) -> Option<&'t FieldDef> {
    match shape {
        Shape::Struct(id) => types::table().get(*id)?.fields.get(name),
        _ => None,
    }
}

fn child_shape<'t>(shape: &'t Shape, name: &str) -> Option<&'t Shape> {
    match shape {
        Shape::Map(item) => Some(item),
        other => field_of(other, name).map(|field| &field.shape),
    }
}

fn merge_fields(target: &mut Map<String, Value>, patch: &Map<String, Value>, shape: &Shape) -> Result<(), String> {
    match patch.get("$patch").map(|directive| directive.as_str().unwrap_or_default()) {
        None | Some("merge") => {}
        Some("replace") => {
            *target = patch.iter().filter(|(key, _)| *key != "$patch").map(|(k, v)| (k.clone(), v.clone())).collect();
            return Ok(());
        }
        Some("delete") => {
            target.clear();
            return Ok(());
        }
        Some(other) => return Err(format!("unknown patch type: {other}")),
    }
    if let Some(keys) = patch.get("$retainKeys") {
        let keys = keys.as_array().ok_or("$retainKeys must be a list")?;
        target.retain(|key, _| keys.iter().any(|keep| keep == key));
    }
    for (key, value) in patch {
        if key == "$patch" || key == "$retainKeys" || key.starts_with(ORDER) {
            continue;
        }
        if let Some(name) = key.strip_prefix(DELETE_FROM) {
            let gone = value.as_array().ok_or_else(|| format!("{key} must be a list"))?;
            if let Some(list) = target.get_mut(name).and_then(Value::as_array_mut) {
                list.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if value.is_null() {
            target.remove(key);
            continue;
        }
        let order = patch.get(&format!("{ORDER}{key}")).and_then(Value::as_array);
        merge_field(target, key, value, order, shape)?;
    }
    // An order may come alone, to move what is there.
    for (key, order) in patch {
        if let (Some(name), Some(order)) = (key.strip_prefix(ORDER), order.as_array())
            && !patch.contains_key(name)
            && let Some(Value::Array(list)) = target.get_mut(name)
        {
            let merge_key = field_of(shape, name).and_then(|field| field.merge_key.clone());
            let server = list.clone();
            *list = reorder(std::mem::take(list), &server, order, merge_key.as_deref());
        }
    }
    Ok(())
}

fn merge_field(
    target: &mut Map<String, Value>,
    key: &str,
    value: &Value,
    order: Option<&Vec<Value>>,
    shape: &Shape,
) -> Result<(), String> {
    let field = field_of(shape, key);
    let inner = child_shape(shape, key);
    match value {
        Value::Object(patch) => {
            let is_replaced = field.is_some_and(|field| field.is_replaced);
            let slot = target.entry(key.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if is_replaced || !slot.is_object() {
                *slot = Value::Object(Map::new());
            }
            if let Some(slot) = slot.as_object_mut() {
                merge_fields(slot, patch, inner.unwrap_or(&Shape::Any))?;
            }
        }
        Value::Array(patch) if field.is_some_and(|field| field.is_merged) => {
            let merge_key = field.and_then(|field| field.merge_key.as_deref());
            let item = match inner {
                Some(Shape::List(item)) => item.as_ref(),
                _ => &Shape::Any,
            };
            let server = match target.get(key) {
                Some(Value::Array(list)) => list.clone(),
                _ => Vec::new(),
            };
            let mut list = match merge_key {
                Some(merge_key) => merge_items(server.clone(), patch, merge_key, item)?,
                None => merge_set(server.clone(), patch),
            };
            // Without an order of its own, a patch orders the items that it names.
            let named: Vec<Value> = patch.iter().filter(|item| item.get("$patch").is_none()).cloned().collect();
            list = reorder(list, &server, order.unwrap_or(&named), merge_key);
            target.insert(key.to_owned(), Value::Array(list));
        }
        other => {
            target.insert(key.to_owned(), other.clone());
        }
    }
    Ok(())
}

fn merge_set(mut list: Vec<Value>, patch: &[Value]) -> Vec<Value> {
    for item in patch {
        if !list.contains(item) {
            list.push(item.clone());
        }
    }
    list
}

fn merge_items(mut list: Vec<Value>, patch: &[Value], key: &str, item_shape: &Shape) -> Result<Vec<Value>, String> {
    let directive = |item: &Value| item.get("$patch").and_then(Value::as_str).map(str::to_owned);
    if patch.iter().any(|item| directive(item).as_deref() == Some("replace")) {
        return Ok(patch.iter().filter(|item| directive(item).is_none()).cloned().collect());
    }
    for item in patch {
        let Some(fields) = item.as_object() else { return Err(format!("an item of a list merged by {key} is no map")) };
        let wanted = fields
            .get(key)
            .ok_or_else(|| format!("map: {} does not contain declared merge key: {key}", go_map(fields)))?;
        if directive(item).as_deref() == Some("delete") {
            list.retain(|have| have.get(key) != Some(wanted));
            continue;
        }
        match list.iter_mut().find(|have| have.get(key) == Some(wanted)).and_then(Value::as_object_mut) {
            Some(have) => merge_fields(have, fields, item_shape)?,
            None => {
                let mut fresh = Map::new();
                merge_fields(&mut fresh, fields, item_shape)?;
                list.push(Value::Object(fresh));
            }
        }
    }
    Ok(list)
}

/// Writes a map as Go prints one.
fn go_map(fields: &Map<String, Value>) -> String {
    let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
    let entries: Vec<String> = sorted.into_iter().map(|(key, value)| format!("{key}:{}", go_value(value))).collect();
    format!("map[{}]", entries.join(" "))
}

fn go_value(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Object(fields) => go_map(fields),
        Value::Array(items) => format!("[{}]", items.iter().map(go_value).collect::<Vec<_>>().join(" ")),
        Value::Null => "<nil>".to_owned(),
        other => other.to_string(),
    }
}

/// Puts the items that an order names in that order, and the others where the server had them.
fn reorder(list: Vec<Value>, server: &[Value], order: &[Value], merge_key: Option<&str>) -> Vec<Value> {
    let name = |item: &Value| -> String {
        match merge_key {
            Some(key) => item.get(key).cloned().unwrap_or(Value::Null).to_string(),
            None => item.to_string(),
        }
    };
    let position = |items: &[Value]| -> BTreeMap<String, usize> {
        items.iter().enumerate().map(|(index, item)| (name(item), index)).collect()
    };
    let wanted = position(order);
    let before = position(server);
    let (mut ordered, mut others): (Vec<Value>, Vec<Value>) =
        list.into_iter().partition(|item| wanted.contains_key(&name(item)));
    ordered.sort_by_key(|item| wanted.get(&name(item)).copied());
    others.sort_by_key(|item| before.get(&name(item)).copied());
    let mut out = Vec::with_capacity(ordered.len() + others.len());
    let mut ordered = ordered.into_iter().peekable();
    let mut others = others.into_iter().peekable();
    loop {
        let takes_other = match (others.peek(), ordered.peek()) {
            (None, None) => return out,
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (Some(other), Some(next)) => match (before.get(&name(other)), before.get(&name(next))) {
                (Some(other), Some(next)) => other < next,
                _ => false,
            },
        };
        out.extend(if takes_other { others.next() } else { ordered.next() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(patch: &Value) -> Value {
        let mut pod = json!({"spec": {
            "containers": [{"name": "a", "image": "1", "env": [{"name": "X", "value": "1"}]}, {"name": "b", "image": "1"}],
            "nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "t"}],
        }, "metadata": {"finalizers": ["f", "g"]}});
        merge(&mut pod, patch, types::of_kind("v1", "Pod").unwrap()).unwrap();
        pod
    }

    #[test]
    fn lists_merge_by_their_key_and_obey_directives() {
        let pod = patched(&json!({"spec": {
            "containers": [
                {"name": "a", "env": [{"name": "Y", "value": "2"}]}, {"name": "b", "$patch": "delete"}, {"name": "c", "image": "3"},
            ],
            "nodeSelector": {"$patch": "replace", "zone": "x"}, "tolerations": [{"key": "u"}],
        }}));
        assert_eq!(
            pod["spec"],
            json!({
                "containers": [
                    {"name": "a", "image": "1", "env": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]},
                    {"name": "c", "image": "3"},
                ],
                "nodeSelector": {"zone": "x"}, "tolerations": [{"key": "u"}],
            })
        );
    }

    #[test]
    fn an_order_moves_items_and_primitives_are_deleted() {
        let pod = patched(&json!({
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["f"], "finalizers": ["h"]},
            "spec": {
                "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
                "containers": [{"name": "c", "image": "1"}],
            },
        }));
        assert_eq!(pod["metadata"]["finalizers"], json!(["h", "g"]));
        let names: Vec<&Value> = pod["spec"]["containers"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
        assert_eq!(names, ["c", "a", "b"]);
    }
}
