//! What server-side apply knows about a value's type: from the built-in table, from a custom schema, or deduced.

use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::field_set::{PathElement, sorted};
use crate::resource::ResourceType;
use crate::types::{self, FieldDef, ListKind, Shape};

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum MergeType<'a> {
    /// A built-in type, with the field it came from.
    BuiltIn(&'a Shape, Option<&'a FieldDef>),
    /// A structural schema.
    Schema(&'a Value),
    /// The root of a custom object: its metadata is the built-in one.
    Root(&'a Value),
    /// Not known: maps merge by key, everything else is whole.
    Deduced,
    /// Owned as a whole.
    Whole,
}

/// How a value takes part in a merge.
pub(super) enum Atom {
    Leaf,
    Map,
    Keyed(Vec<String>),
    Set,
}

static META: LazyLock<Option<Shape>> = LazyLock::new(|| {
    let table = types::table();
    let id = table.types.iter().position(|def| def.name == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")?;
    Some(Shape::Struct(id))
});

impl<'a> MergeType<'a> {
    /// The type of the objects of a resource.
    pub(crate) fn of(resource: &'a ResourceType) -> Self {
        match &resource.custom {
            Some(custom) => Self::Root(&custom.schema),
            None => Self::of_kind(&resource.api_version(), &resource.kind),
        }
    }

    fn of_kind(api_version: &str, kind: &str) -> Self {
        static SHAPES: LazyLock<Vec<Shape>> =
            LazyLock::new(|| (0..types::table().types.len()).map(Shape::Struct).collect());
        match types::of_kind(api_version, kind).and_then(|id| SHAPES.get(id)) {
            Some(shape) => Self::BuiltIn(shape, None),
            None => Self::Deduced,
        }
    }

    fn metadata() -> Self {
        META.as_ref().map_or(Self::Deduced, |shape| Self::BuiltIn(shape, None))
    }

    /// How a value of this type merges.
    pub(super) fn atom(&self, value: &Value) -> Atom {
        match value {
            Value::Object(_) if self.is_granular_map() => Atom::Map,
            Value::Array(_) => self.list_atom(),
            Value::Null => self.null_atom(),
            _ => Atom::Leaf,
        }
    }

    fn null_atom(&self) -> Atom {
        match self {
            Self::Root(_) => Atom::Map,
            Self::BuiltIn(Shape::Struct(_) | Shape::Map(_), _) if self.is_granular_map() => Atom::Map,
            Self::BuiltIn(Shape::List(_), _) => self.list_atom(),
            Self::Schema(schema) => match schema.get("type").and_then(Value::as_str) {
                Some("object") if self.is_granular_map() => Atom::Map,
                Some("array") => self.list_atom(),
                _ => Atom::Leaf,
            },
            _ => Atom::Leaf,
        }
    }

    fn is_granular_map(&self) -> bool {
        match self {
            Self::Root(_) | Self::Deduced => true,
            Self::Whole => false,
            Self::BuiltIn(shape, field) => {
                let is_whole_field = field.is_some_and(|field| field.is_atomic);
                match shape {
                    Shape::Struct(id) => !is_whole_field && !types::table().get(*id).is_some_and(|def| def.is_atomic),
                    Shape::Map(_) => !is_whole_field,
                    _ => false,
                }
            }
            Self::Schema(schema) => schema.get("x-kubernetes-map-type").and_then(Value::as_str) != Some("atomic"),
        }
    }

    pub(super) fn list_atom(&self) -> Atom {
        match self {
            Self::BuiltIn(_, Some(field)) => match &field.list {
                ListKind::Keyed(keys) => Atom::Keyed(keys.clone()),
                ListKind::Set => Atom::Set,
                ListKind::Atomic => Atom::Leaf,
            },
            Self::Schema(schema) => match schema.get("x-kubernetes-list-type").and_then(Value::as_str) {
                Some("map") => {
                    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                    let keys = keys.map(|keys| keys.iter().filter_map(Value::as_str).map(str::to_owned).collect());
                    Atom::Keyed(keys.unwrap_or_default())
                }
                Some("set") => Atom::Set,
                _ => Atom::Leaf,
            },
            _ => Atom::Leaf,
        }
    }

    /// The type one step down.
    pub(crate) fn child(&self, element: &PathElement) -> MergeType<'a> {
        match element {
            PathElement::Field(name) => self.field(name),
            _ => self.item(),
        }
    }

    pub(super) fn field(&self, name: &str) -> MergeType<'a> {
        match self {
            Self::Root(_) if name == "metadata" => Self::metadata(),
            Self::Root(_) if matches!(name, "apiVersion" | "kind") => Self::Whole,
            Self::Root(schema) | Self::Schema(schema) => {
                let is_embedded = schema.get("x-kubernetes-embedded-resource").and_then(Value::as_bool) == Some(true);
                if is_embedded && name == "metadata" {
                    return Self::metadata();
                }
                let property = schema.get("properties").and_then(|properties| properties.get(name));
                match property.or_else(|| schema.get("additionalProperties").filter(|more| more.is_object())) {
                    Some(schema) => Self::Schema(schema),
                    None => Self::Deduced,
                }
            }
            Self::BuiltIn(Shape::Struct(id), _) => match types::table().get(*id).and_then(|def| def.fields.get(name)) {
                Some(field) => Self::BuiltIn(&field.shape, Some(field)),
                None => Self::Deduced,
            },
            Self::BuiltIn(Shape::Map(item), _) => Self::BuiltIn(item, None),
            Self::BuiltIn(..) | Self::Whole => Self::Whole,
            Self::Deduced => Self::Deduced,
        }
    }

    pub(super) fn item(&self) -> MergeType<'a> {
        match self {
            Self::BuiltIn(Shape::List(item), _) => Self::BuiltIn(item, None),
            Self::Schema(schema) => schema.get("items").map_or(Self::Deduced, Self::Schema),
            _ => Self::Deduced,
        }
    }

    /// Whether a name is a field of a struct, not the key of a map.
    pub(crate) fn is_named_field(&self, name: &str) -> bool {
        match self {
            Self::Root(schema) => {
                matches!(name, "metadata" | "apiVersion" | "kind")
                    || schema.get("properties").is_some_and(|properties| properties.get(name).is_some())
            }
            Self::Schema(schema) => schema.get("properties").is_some_and(|properties| properties.get(name).is_some()),
            Self::BuiltIn(Shape::Struct(id), _) => {
                types::table().get(*id).is_some_and(|def| def.fields.contains_key(name))
            }
            _ => false,
        }
    }

    /// What a key field of list items is when it is left out.
    fn key_default(&self, name: &str) -> Option<Value> {
        match self.item() {
            Self::BuiltIn(Shape::Struct(id), _) => {
                let def = types::table().get(*id)?;
                // A text that is written even when it is empty is empty when it is left out.
                let is_text = |field: &&FieldDef| field.shape == Shape::Text && !field.is_omitted_when_empty;
                let empty = def.fields.get(name).filter(is_text).map(|_| Value::from(""));
                def.defaults.get(name).cloned().or(empty)
            }
            Self::Schema(schema) => schema.get("properties")?.get(name)?.get("default").cloned(),
            _ => None,
        }
    }

    /// The path element of a list item.
    pub(super) fn element(&self, atom: &Atom, item: &Value) -> Result<PathElement, String> {
        let Atom::Keyed(keys) = atom else {
            return match item {
                Value::Object(_) => Err("associative list without keys has an element that's a map type".to_owned()),
                Value::Array(_) => Err("not supported: associative list with lists as elements".to_owned()),
                Value::Null => Err("associative list without keys has an element that's an explicit null".to_owned()),
                scalar => Ok(PathElement::Value(scalar.to_string())),
            };
        };
        let Some(fields) = item.as_object() else {
            return Err("associative list with keys may not have non-map elements".to_owned());
        };
        let mut key = Map::new();
        for name in keys {
            if let Some(value) = fields.get(name).cloned().or_else(|| self.key_default(name)) {
                key.insert(name.clone(), value);
            }
        }
        if key.is_empty() {
            let names: Vec<String> = keys.iter().map(|name| format!("{name:?}")).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                names.join(" ")
            ));
        }
        Ok(PathElement::Key(sorted(&Value::Object(key)).to_string()))
    }
}
