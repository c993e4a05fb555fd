//! Templates and steps as the Go types of Kubernetes and Argo write them, byte for byte: hashes are made of that text, and two
//! templates are the same when their texts are, defaults left out.
//!
//! The table of types (`go_types.txt`: field, kind, `!` when it is written even if empty) is generated from k8s.io/api v0.35
//! and from Argo's v1alpha1; fields that it does not know are written after the known ones, so that a newer field makes a
//! new version too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use serde_json::Value;

use super::quantity::canonical_quantity;
use crate::patch::canonical;

const DEPTH_MAX: usize = 64;

/// What the text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// As libraries from 0.34 on write it.
    Plain,
    /// As libraries before 0.34 wrote it: every object has a creation time, if need be null.
    WithTimestamps,
    /// For comparison: what the API server adds by itself is left out.
    WithoutDefaults,
}

struct Field {
    name: &'static str,
    kind: &'static str,
    always: bool,
}

static TYPES: LazyLock<BTreeMap<&'static str, Vec<Field>>> = LazyLock::new(|| {
    include_str!("go_types.txt").lines().filter_map(|line| line.split_once(' ')).map(read_type).collect()
});

fn read_type((name, fields): (&'static str, &'static str)) -> (&'static str, Vec<Field>) {
    let field = |text: &'static str| {
        let (name, kind) = text.split_once(':')?;
        let always = kind.ends_with('!');
        Some(Field { name, kind: kind.trim_end_matches('!'), always })
    };
    (name, fields.split(' ').filter_map(field).collect())
}

/// The text of a value of one of the types in the table.
pub(super) fn go_json(kind: &'static str, value: &Value, style: Style) -> String {
    let mut text = String::new();
    write_value(kind, value, style, 0, &mut text);
    text
}

/// Writes a value that is there.
fn write_value(kind: &'static str, value: &Value, style: Style, depth: usize, text: &mut String) {
    if depth > DEPTH_MAX {
        return text.push_str("null");
    }
    if let Some(kind) = kind.strip_prefix('*') {
        return write_value(kind, value, style, depth, text);
    }
    if let Some(kind) = kind.strip_prefix("[]") {
        let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
        return write_list('[', ']', items, text, |item, text| write_value(kind, item, style, depth + 1, text));
    }
    if let Some(kind) = kind.strip_prefix("map:") {
        let sorted: BTreeMap<&String, &Value> = value.as_object().into_iter().flatten().collect();
        let known: Vec<_> = sorted.into_iter().filter(|(_, item)| is_readable(kind, item)).collect();
        return write_list('{', '}', &known, text, |(key, item), text| {
            write_text(key, text);
            text.push(':');
            write_value(kind, item, style, depth + 1, text);
        });
    }
    match (kind, value) {
        ("quantity", value) => write_text(&quantity_of(value).unwrap_or_default(), text),
        (_, Value::String(value)) => write_text(value, text),
        (kind, Value::Object(_)) if TYPES.contains_key(kind) => write_struct(kind, value, style, depth, text),
        // What has no fields of a known type keeps the order of its keys out of the text.
        (_, value) => text.push_str(&escaped(&canonical(value))),
    }
}

fn quantity_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => canonical_quantity(text),
        Value::Number(number) => canonical_quantity(&number.to_string()),
        _ => None,
    }
}

/// An amount that can't be read is dropped, as Argo's tolerant decoder drops it.
fn is_readable(kind: &str, value: &Value) -> bool {
    kind != "quantity" || quantity_of(value).is_some()
}

fn write_list<T>(open: char, close: char, items: &[T], text: &mut String, write: impl Fn(&T, &mut String)) {
    text.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(item, text);
    }
    text.push(close);
}

fn write_struct(kind: &'static str, value: &Value, style: Style, depth: usize, text: &mut String) {
    let fields = TYPES.get(kind).map(Vec::as_slice).unwrap_or_default();
    text.push('{');
    let start = text.len();
    for field in fields {
        let present = value.get(field.name).filter(|value| !value.is_null());
        if style == Style::WithoutDefaults
            && present.is_some_and(|present| is_default(kind, field.name, present, value))
        {
            continue;
        }
        let dated = style == Style::WithTimestamps && field.name == "creationTimestamp";
        let Some(encoded) = field_text(field, present, style, depth, dated) else { continue };
        if text.len() > start {
            text.push(',');
        }
        let _ = write!(text, "\"{}\":{encoded}", field.name);
    }
    let unknown: BTreeMap<&String, &Value> = value
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, value)| !value.is_null() && !fields.iter().any(|field| field.name == key.as_str()))
        .collect();
    for (key, value) in unknown {
        if text.len() > start {
            text.push(',');
        }
        write_text(key, text);
        let _ = write!(text, ":{}", escaped(&canonical(value)));
    }
    text.push('}');
}

/// The text of a field; nothing when Go leaves it out.
fn field_text(field: &Field, present: Option<&Value>, style: Style, depth: usize, dated: bool) -> Option<String> {
    let always = field.always && style != Style::WithoutDefaults;
    let is_pointer = field.kind.starts_with('*');
    let is_collection = field.kind.starts_with("[]") || field.kind.starts_with("map:");
    let mut text = String::new();
    let Some(value) = present else {
        let zero = match field.kind {
            _ if is_pointer || is_collection => "null",
            "string" => "\"\"",
            "bool" => "false",
            "int" | "any" => "0",
            "quantity" => "\"0\"",
            // A struct that is no pointer is never empty for Go.
            kind if TYPES.contains_key(kind) => {
                write_value(field.kind, &Value::Object(serde_json::Map::new()), style, depth + 1, &mut text);
                let is_plain = style == Style::WithoutDefaults && text == "{}";
                return (!is_plain).then_some(text);
            }
            _ => "null",
        };
        let writes_zero = always || dated || (field.kind == "quantity" && style != Style::WithoutDefaults);
        return writes_zero.then(|| zero.to_owned());
    };
    let is_zero = match value {
        Value::String(text) => text.is_empty(),
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty() && is_collection,
        Value::Null => true,
    };
    if is_zero && !always && !is_pointer && field.kind != "quantity" && field.kind != "any" {
        return None;
    }
    write_value(field.kind, value, style, depth + 1, &mut text);
    (!(style == Style::WithoutDefaults && !is_pointer && matches!(text.as_str(), "{}" | "[]" | "\"\""))).then_some(text)
}

/// Whether the API server would have written this value by itself.
fn is_default(kind: &str, name: &str, value: &Value, of: &Value) -> bool {
    let is = |text: &str| value.as_str() == Some(text);
    let number = |number: i64| value.as_i64() == Some(number);
    let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty);
    match (kind, name) {
        ("PodSpec", "restartPolicy") => is("Always"),
        ("PodSpec", "dnsPolicy") => is("ClusterFirst"),
        ("PodSpec", "schedulerName") => is("default-scheduler"),
        ("PodSpec", "terminationGracePeriodSeconds") => number(30),
        ("PodSpec", "securityContext") | ("Volume", "emptyDir") => is_empty,
        // The deprecated name goes with the new one.
        ("PodSpec", "serviceAccount") => of.get("serviceAccountName") == Some(value),
        ("Container" | "EphemeralContainer", "terminationMessagePath") => is("/dev/termination-log"),
        ("Container" | "EphemeralContainer", "terminationMessagePolicy") => is("File"),
        ("Container" | "EphemeralContainer", "imagePullPolicy") => {
            is(pull_policy(of.get("image").and_then(Value::as_str).unwrap_or_default()))
        }
        ("ContainerPort", "protocol") => is("TCP"),
        ("ContainerPort", "hostPort") => of.get("containerPort") == Some(value),
        ("Probe", "timeoutSeconds" | "successThreshold") => number(1),
        ("Probe", "periodSeconds") => number(10),
        ("Probe", "failureThreshold") => number(3),
        ("HTTPGetAction", "path") => is("/"),
        ("HTTPGetAction", "scheme") => is("HTTP"),
        ("GRPCAction", "service") | ("HostPathVolumeSource", "type") => is(""),
        ("ObjectFieldSelector", "apiVersion") => is("v1"),
        ("ResourceFieldSelector", "divisor") => is("0"),
        (
            "ConfigMapVolumeSource" | "SecretVolumeSource" | "DownwardAPIVolumeSource" | "ProjectedVolumeSource",
            "defaultMode",
        ) => number(0o644),
        ("ServiceAccountTokenProjection", "expirationSeconds") => number(3_600),
        ("PersistentVolumeClaimSpec", "volumeMode") => is("Filesystem"),
        ("ISCSIVolumeSource", "iscsiInterface") => is("default"),
        ("RBDVolumeSource", "pool") => is("rbd"),
        ("RBDVolumeSource", "user") => is("admin"),
        ("RBDVolumeSource", "keyring") => is("/etc/ceph/keyring"),
        ("ScaleIOVolumeSource", "storageMode") => is("ThinProvisioned"),
        ("ScaleIOVolumeSource", "fsType") => is("xfs"),
        ("AzureDiskVolumeSource", "cachingMode") => is("ReadWrite"),
        ("AzureDiskVolumeSource", "kind") => is("Shared"),
        ("AzureDiskVolumeSource", "fsType") => is("ext4"),
        ("AzureDiskVolumeSource", "readOnly") => value == &Value::Bool(false),
        _ => false,
    }
}

fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    if name.contains('@') {
        return "IfNotPresent";
    }
    match name.split_once(':') {
        None | Some((_, "latest")) => "Always",
        Some(_) => "IfNotPresent",
    }
}

fn write_text(value: &str, text: &mut String) {
    text.push_str(&escaped(&Value::String(value.to_owned()).to_string()));
}

/// Go's encoder escapes what could end a script element.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(text, "\\u{:04x}", u32::from(character));
            }
            other => text.push(other),
        }
    }
    text
}
