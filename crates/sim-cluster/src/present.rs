//! How objects are shown to a client: as they are, in the requested version, as metadata only, or as a table.

use std::sync::Arc;

use bytes::Bytes;
use object_model::Timestamp;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::event_forms;
use crate::resource::ResourceType;
use crate::schema;
use crate::store::Stored;
use crate::table::{self, Included};

/// The form of the answer, from the `Accept` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Form {
    Object,
    Metadata,
    Table,
}

/// The form, and what a table stream has to remember.
#[derive(Debug, Clone)]
pub(crate) struct Presentation {
    pub(crate) form: Form,
    included: Included,
    has_header: bool,
    now: Timestamp,
}

fn is_known(media: &str) -> bool {
    matches!(media, "application/json" | "application/yaml" | "*/*" | "application/*" | "")
}

/// Whether the first acceptable media type is YAML.
pub(crate) fn wants_yaml(accept: Option<&str>) -> bool {
    let media = |clause: &str| clause.split(';').next().unwrap_or_default().trim().to_owned();
    let first = accept.unwrap_or_default().split(',').take(32).map(media).find(|media| is_known(media));
    first.as_deref() == Some("application/yaml")
}

impl Presentation {
    /// Reads an `Accept` header: the first acceptable media type wins.
    pub(crate) fn from_accept(accept: Option<&str>, included: Option<&str>, now: Timestamp) -> Result<Self, ApiError> {
        let included = match included {
            Some("None") => Included::Nothing,
            Some("Object") => Included::Object,
            _ => Included::Metadata,
        };
        let accept = accept.unwrap_or("*/*");
        let mut is_any_known = false;
        for clause in accept.split(',').take(32) {
            let mut parts = clause.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !is_known(media) {
                continue;
            }
            is_any_known = true;
            let parameter = |name: &str| {
                clause.split(';').map(str::trim).find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
            };
            let form = match parameter("as") {
                None => Form::Object,
                Some("Table") => Form::Table,
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => Form::Metadata,
                Some(_) => continue,
            };
            if form != Form::Object
                && (parameter("g") != Some("meta.k8s.io") || !matches!(parameter("v"), Some("v1" | "v1beta1")))
            {
                continue;
            }
            return Ok(Self { form, included, has_header: true, now });
        }
        Err(if is_any_known { ApiError::not_acceptable() } else { ApiError::no_representation() })
    }

    pub(crate) fn object(&self, resource: &ResourceType, object: &Stored) -> Bytes {
        match self.form {
            Form::Object => match in_version(resource, object.json()) {
                Some(converted) => Bytes::from(converted.to_string()),
                None => object.bytes(),
            },
            Form::Metadata => Bytes::from(metadata_only(object.json()).to_string()),
            Form::Table => {
                let converted = in_version(resource, object.json());
                let json = converted.as_ref().unwrap_or_else(|| object.json());
                let metadata = json!({"resourceVersion": object.revision().to_string()});
                let table = table::table(resource, &[json], self.included, self.has_header, &metadata, self.now);
                Bytes::from(table.to_string())
            }
        }
    }

    /// The object of a watch event; only the first table of a stream has a header.
    pub(crate) fn event_object(&mut self, resource: &ResourceType, object: &Stored, now: Timestamp) -> Bytes {
        self.now = now;
        let shown = self.object(resource, object);
        self.has_header = false;
        shown
    }

    pub(crate) fn bookmark(&self, resource: &ResourceType, revision: u64, annotations: Option<Value>) -> Value {
        let mut metadata = json!({"resourceVersion": revision.to_string()});
        if let (Some(annotations), Some(fields)) = (annotations, metadata.as_object_mut()) {
            fields.insert("annotations".to_owned(), annotations);
        }
        let (kind, api_version) = match self.form {
            Form::Object => (resource.kind.clone(), resource.api_version()),
            Form::Metadata | Form::Table => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
        };
        json!({"kind": kind, "apiVersion": api_version, "metadata": metadata})
    }

    pub(crate) fn list(&self, resource: &ResourceType, objects: &[Arc<Stored>], metadata: &Value) -> Bytes {
        if self.form == Form::Table {
            let converted: Vec<Value> = objects
                .iter()
                .map(|object| in_version(resource, object.json()).unwrap_or_else(|| object.json().clone()))
                .collect();
            let rows: Vec<&Value> = converted.iter().collect();
            let table = table::table(resource, &rows, self.included, true, metadata, self.now);
            return Bytes::from(table.to_string());
        }
        let (kind, api_version) = match self.form {
            Form::Object => (resource.list_kind.clone(), resource.api_version()),
            Form::Metadata | Form::Table => ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned()),
        };
        let (kind, api_version) = (Value::from(kind), Value::from(api_version));
        let mut out =
            format!("{{\"kind\":{kind},\"apiVersion\":{api_version},\"metadata\":{metadata},\"items\":[").into_bytes();
        for (index, object) in objects.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            match self.form {
                Form::Object => out.extend_from_slice(&list_item(resource, object)),
                Form::Metadata | Form::Table => {
                    out.extend_from_slice(metadata_only(object.json()).to_string().as_bytes());
                }
            }
        }
        out.extend_from_slice(b"]}");
        Bytes::from(out)
    }
}

/// Items of built-in lists do not repeat their kind; those of custom lists do.
fn list_item(resource: &ResourceType, object: &Stored) -> Bytes {
    match in_version(resource, object.json()) {
        None if resource.custom.is_some() => object.bytes(),
        None => object.item_bytes(),
        Some(converted) if resource.custom.is_some() => Bytes::from(converted.to_string()),
        Some(converted) => Stored::new(converted, object.revision()).item_bytes(),
    }
}

/// The object in the version of the resource, or none when it is stored in that version.
pub(crate) fn in_version(resource: &ResourceType, json: &Value) -> Option<Value> {
    let wanted = resource.api_version();
    let stored = json.get("apiVersion").and_then(Value::as_str).unwrap_or_default();
    if stored == wanted {
        return with_defaults(resource, json);
    }
    let mut converted = json.clone();
    if resource.group == event_forms::GROUP {
        event_forms::to_newer(&mut converted);
        return Some(converted);
    }
    if let Some(fields) = converted.as_object_mut() {
        fields.insert("apiVersion".to_owned(), wanted.into());
    }
    Some(with_defaults(resource, &converted).unwrap_or(converted))
}

/// A custom object stored before its schema had some default shows it all the same; none when nothing is to be added.
fn with_defaults(resource: &ResourceType, json: &Value) -> Option<Value> {
    let custom = resource.custom.as_ref().filter(|custom| custom.has_defaults)?;
    let mut shown = json.clone();
    schema::default(&mut shown, &custom.schema);
    (shown != *json).then_some(shown)
}

pub(crate) fn metadata_only(json: &Value) -> Value {
    let mut fields = Map::new();
    fields.insert("kind".to_owned(), "PartialObjectMetadata".into());
    fields.insert("apiVersion".to_owned(), "meta.k8s.io/v1".into());
    fields.insert("metadata".to_owned(), json.get("metadata").cloned().unwrap_or_else(|| json!({})));
    Value::Object(fields)
}
