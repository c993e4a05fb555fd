//! Where `$ref` leads within one schema.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where a schema without a name of its own lives.
const OWN_URL: &str = "file:///values.schema.json";
/// Schemas inside schemas.
const DEPTH_MAX: usize = 200;

/// The named places of a schema.
#[derive(Debug, Default)]
pub(super) struct Places<'s> {
    /// By absolute URL, and by URL with an anchor behind `#`.
    by_url: BTreeMap<String, &'s Value>,
    /// The URL that relative references of each subschema with a name of its own start from, by address.
    bases: BTreeMap<usize, String>,
    /// The first reference that leads to another place.
    pub(super) foreign: Option<String>,
}

impl<'s> Places<'s> {
    pub(super) fn of(root: &'s Value) -> Self {
        let mut places = Self::default();
        places.by_url.insert(OWN_URL.to_owned(), root);
        let mut references = Vec::new();
        places.collect(root, OWN_URL, 0, &mut references);
        places.foreign = references.into_iter().find(|url| {
            let (document, _) = url.split_once('#').unwrap_or((url, ""));
            places.resolve(document, url).is_none() && !places.by_url.contains_key(document) && !is_metaschema(document)
        });
        places
    }

    fn collect(&mut self, value: &'s Value, base: &str, depth: usize, references: &mut Vec<String>) {
        if depth > DEPTH_MAX {
            return;
        }
        let mut base = base.to_owned();
        match value {
            Value::Object(fields) => {
                let id = fields.get("$id").or_else(|| fields.get("id")).and_then(Value::as_str);
                if let Some(id) = id {
                    let url = join(&base, id);
                    let (document, anchor) = url.split_once('#').unwrap_or((&url, ""));
                    if !anchor.is_empty() {
                        self.by_url.insert(format!("{document}#{anchor}"), value);
                    }
                    if !id.starts_with('#') {
                        self.by_url.entry(document.to_owned()).or_insert(value);
                        base = document.to_owned();
                    }
                }
                for keyword in ["$anchor", "$dynamicAnchor"] {
                    if let Some(anchor) = fields.get(keyword).and_then(Value::as_str) {
                        self.by_url.insert(format!("{base}#{anchor}"), value);
                    }
                }
                self.bases.insert(address(value), base.clone());
                for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
                    if let Some(reference) = fields.get(keyword).and_then(Value::as_str) {
                        references.push(join(&base, reference));
                    }
                }
                for (name, below) in fields {
                    if !matches!(name.as_str(), "enum" | "const" | "default" | "examples") {
                        self.collect(below, &base, depth + 1, references);
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, &base, depth + 1, references)),
            _ => {}
        }
    }

    /// The URL that relative references of a subschema start from.
    pub(super) fn base(&self, schema: &Value) -> &str {
        self.bases.get(&address(schema)).map_or(OWN_URL, String::as_str)
    }

    /// The schema that a reference leads to.
    pub(super) fn resolve(&self, base: &str, reference: &str) -> Option<&'s Value> {
        let url = join(base, reference);
        let (document, fragment) = url.split_once('#').unwrap_or((&url, ""));
        let root = self.by_url.get(document).copied()?;
        if fragment.is_empty() {
            return Some(root);
        }
        if fragment.starts_with('/') {
            return root.pointer(&decode(fragment));
        }
        self.by_url.get(&format!("{document}#{fragment}")).copied()
    }
}

/// Whether a document is one of the schemas of schemas; they hold for every value of a chart.
pub(super) fn is_metaschema(document: &str) -> bool {
    document.starts_with("http://json-schema.org/draft-") || document.starts_with("https://json-schema.org/draft")
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value) as usize
}

/// Resolves a reference against a URL, as far as schemas use it.
fn join(base: &str, reference: &str) -> String {
    let document = base.split('#').next().unwrap_or(base);
    if reference.is_empty() {
        return document.to_owned();
    }
    if reference.starts_with('#') {
        return format!("{document}{reference}");
    }
    let scheme = reference.split_once(':').map_or("", |(scheme, _)| scheme);
    if !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
    {
        return reference.to_owned();
    }
    let authority_end = document.find("://").map_or(0, |at| {
        let rest = document.get(at + 3..).unwrap_or_default();
        at + 3 + rest.find('/').unwrap_or(rest.len())
    });
    let (authority, path) = document.split_at_checked(authority_end).unwrap_or((document, ""));
    if reference.starts_with('/') {
        return format!("{authority}{reference}");
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (name, fragment) = reference.split_once('#').map_or((reference, None), |(name, rest)| (name, Some(rest)));
    let path = crate::helm::go_text::clean(&format!("/{folder}/{name}"));
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    format!("{authority}{path}{fragment}")
}

fn decode(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        let ahead: Vec<u8> = rest.clone().take(2).collect();
        let code = std::str::from_utf8(&ahead).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code {
            Some(code) if byte == b'%' && ahead.len() == 2 => {
                bytes.push(code);
                rest.next();
                rest.next();
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
