//! Sets of field paths, as `fieldsV1` writes them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::shape::MergeType;

/// One step of a path. Keys and values are kept as canonical JSON, which gives them an order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PathElement {
    Field(String),
    Key(String),
    Value(String),
    Index(String),
}

impl PathElement {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let canonical = || serde_json::from_str::<Value>(rest).ok().map(|value| sorted(&value).to_string());
        match kind {
            "f" => Some(Self::Field(rest.to_owned())),
            "k" => canonical().map(Self::Key),
            "v" => canonical().map(Self::Value),
            "i" => Some(Self::Index(rest.to_owned())),
            _ => None,
        }
    }

    fn encode(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Key(key) => format!("k:{key}"),
            Self::Value(value) => format!("v:{value}"),
            Self::Index(index) => format!("i:{index}"),
        }
    }
}

impl std::fmt::Display for PathElement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Key(key) => {
                let fields: Map<String, Value> = serde_json::from_str(key).unwrap_or_default();
                let parts: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", parts.join(","))
            }
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// A copy with the keys of objects in order, whatever the map type keeps.
pub(super) fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let ordered: BTreeMap<&String, Value> = fields.iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().map(|(key, value)| (key.clone(), value)).collect())
        }
        Value::Array(list) => Value::Array(list.iter().map(sorted).collect()),
        other => other.clone(),
    }
}

/// A set of field paths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSet {
    members: BTreeSet<PathElement>,
    children: BTreeMap<PathElement, FieldSet>,
}

impl FieldSet {
    pub(crate) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    pub(crate) fn has(&self, element: &PathElement) -> bool {
        self.members.contains(element)
    }

    pub(crate) fn child(&self, element: &PathElement) -> Option<&Self> {
        self.children.get(element).filter(|child| !child.is_empty())
    }

    /// Adds a path; the empty path, the object itself, is never a member.
    pub(crate) fn insert(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut out = self.clone();
        out.add(other);
        out
    }

    fn add(&mut self, other: &Self) {
        self.members.extend(other.members.iter().cloned());
        for (element, child) in &other.children {
            self.children.entry(element.clone()).or_default().add(child);
        }
    }

    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let members = self.members.intersection(&other.members).cloned().collect();
        let children = self.children.iter().filter_map(|(element, child)| {
            let common = child.intersection(other.children.get(element)?);
            (!common.is_empty()).then(|| (element.clone(), common))
        });
        Self { members, children: children.collect() }
    }

    /// The paths of this set that are not in the other one.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let members = self.members.difference(&other.members).cloned().collect();
        let children = self.children.iter().filter_map(|(element, child)| {
            let rest = match other.children.get(element) {
                Some(other) => child.difference(other),
                None => child.clone(),
            };
            (!rest.is_empty()).then(|| (element.clone(), rest))
        });
        Self { members, children: children.collect() }
    }

    /// The paths of this set that neither are in the other one nor lie below one of its members.
    pub(crate) fn without_below(&self, other: &Self) -> Self {
        let members = self.members.difference(&other.members).cloned().collect();
        let children = self.children.iter().filter_map(|(element, child)| {
            if other.has(element) {
                return None;
            }
            let rest = match other.children.get(element) {
                Some(other) => child.without_below(other),
                None => child.clone(),
            };
            (!rest.is_empty()).then(|| (element.clone(), rest))
        });
        Self { members, children: children.collect() }
    }

    /// Adds the named fields that have children: a struct field is there when anything in it is.
    pub(crate) fn with_named_fields(&self, at: MergeType<'_>) -> Self {
        let mut members = self.members.clone();
        let mut children = BTreeMap::new();
        for (element, child) in &self.children {
            let inner = at.child(element);
            if let PathElement::Field(name) = element
                && at.is_named_field(name)
            {
                members.insert(element.clone());
            }
            children.insert(element.clone(), child.with_named_fields(inner));
        }
        Self { members, children }
    }

    /// All paths, in order.
    pub(crate) fn paths(&self) -> Vec<Vec<PathElement>> {
        let mut out = Vec::new();
        self.collect(&mut Vec::new(), &mut out);
        out
    }

    fn collect(&self, prefix: &mut Vec<PathElement>, out: &mut Vec<Vec<PathElement>>) {
        for element in &self.members {
            prefix.push(element.clone());
            out.push(prefix.clone());
            prefix.pop();
        }
        for (element, child) in &self.children {
            prefix.push(element.clone());
            child.collect(prefix, out);
            prefix.pop();
        }
    }

    /// The set as `fieldsV1`.
    pub(crate) fn to_json(&self) -> Value {
        let mut fields = Map::new();
        for element in &self.members {
            fields.insert(element.encode(), Value::Object(Map::new()));
        }
        for (element, child) in self.children.iter().filter(|(_, child)| !child.is_empty()) {
            let mut inner = child.to_json();
            if self.members.contains(element)
                && let Some(inner) = inner.as_object_mut()
            {
                inner.insert(".".to_owned(), Value::Object(Map::new()));
            }
            fields.insert(element.encode(), inner);
        }
        Value::Object(fields)
    }

    /// Reads `fieldsV1`; what is not a path element is left out.
    pub(crate) fn from_json(value: &Value) -> Self {
        let mut set = Self::default();
        for (key, inner) in value.as_object().into_iter().flatten() {
            let Some(element) = PathElement::parse(key) else { continue };
            let is_leaf = inner.as_object().is_none_or(Map::is_empty);
            if is_leaf || inner.get(".").is_some() {
                set.members.insert(element.clone());
            }
            let child = Self::from_json(inner);
            if !child.is_empty() {
                set.children.insert(element, child);
            }
        }
        set
    }
}

/// Prints a path as in messages: `.spec.template.spec.containers[name="web"].image`.
pub(super) fn path_text(path: &[PathElement]) -> String {
    path.iter().map(ToString::to_string).collect()
}
