//! The rules for metadata: names, generations, finalizers, deletion, and which part of an object a write may touch.

use object_model::{Timestamp, format_time};
use serde_json::{Map, Value, json};

use crate::apply::{FieldSet, PathElement};
use crate::decode;
use crate::error::{ApiError, Cause};
use crate::go_text;
use crate::resource::ResourceType;
use crate::write::Propagation;

/// Whether objects of the resource count generations.
pub(crate) fn counts_generations(resource: &ResourceType) -> bool {
    resource.custom.is_some()
        || matches!(
            resource.kind.as_str(),
            "Deployment"
                | "ReplicaSet"
                | "DaemonSet"
                | "StatefulSet"
                | "ReplicationController"
                | "Pod"
                | "Job"
                | "CronJob"
                | "PodDisruptionBudget"
                | "Ingress"
                | "IngressClass"
                | "NetworkPolicy"
                | "CustomResourceDefinition"
                | "EndpointSlice"
                | "PriorityClass"
                | "MutatingWebhookConfiguration"
                | "ValidatingWebhookConfiguration"
        )
}

/// Whether the resource keeps its status apart from the rest.
pub(crate) fn has_status(resource: &ResourceType) -> bool {
    resource.has_subresource("status")
}

/// Clears what only the status subresource may set.
pub(crate) fn before_create(resource: &ResourceType, object: &mut Value) {
    let Some(fields) = object.as_object_mut() else { return };
    if has_status(resource) {
        match decode::empty(resource).get("status") {
            Some(zero) => fields.insert("status".to_owned(), zero.clone()),
            None => fields.remove("status"),
        };
    }
    if resource.storage.as_ref() == "pods" {
        before_pod(fields);
    }
    if resource.kind == "CustomResourceDefinition" && resource.custom.is_none() {
        let versions = fields.get("spec").and_then(|spec| spec.get("versions")).and_then(Value::as_array);
        let stored = versions.into_iter().flatten().filter(|version| version.get("storage") == Some(&json!(true)));
        let stored: Vec<Value> = stored.filter_map(|version| version.get("name").cloned()).collect();
        if let Some(status) = fields.get_mut("status").and_then(Value::as_object_mut) {
            status.insert("storedVersions".to_owned(), Value::Array(stored));
        }
    }
    if resource.storage.as_ref() == "persistentvolumeclaims" {
        fields.insert("status".to_owned(), json!({"phase": "Pending"}));
    }
    if resource.storage.as_ref() == "daemonsets.apps" {
        set_template_generation(fields, 1);
    }
    if resource.kind == "Namespace" && resource.group.is_empty() {
        let spec = fields.entry("spec").or_insert_with(|| json!({}));
        if let Some(spec) = spec.as_object_mut() {
            let finalizers = spec.entry("finalizers").or_insert_with(|| json!([]));
            if let Some(list) = finalizers.as_array_mut()
                && !list.iter().any(|have| have == "kubernetes")
            {
                list.push("kubernetes".into());
            }
        }
        fields.insert("status".to_owned(), json!({"phase": "Active"}));
        let name = fields.get("metadata").and_then(|meta| meta.get("name")).cloned().unwrap_or(Value::Null);
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            let labels = metadata.entry("labels").or_insert_with(|| json!({}));
            if let Some(labels) = labels.as_object_mut() {
                labels.insert("kubernetes.io/metadata.name".to_owned(), name);
            }
        }
    }
}

/// The annotation by which a DaemonSet counts its templates.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

fn set_template_generation(fields: &mut Map<String, Value>, generation: i64) {
    if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) = metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut()
    {
        annotations.insert(TEMPLATE_GENERATION.to_owned(), generation.to_string().into());
    }
}

/// Counts a DaemonSet's templates: a new one is the next, whatever the client says.
pub(crate) fn count_templates(resource: &ResourceType, old: &Value, new: &mut Value) {
    if resource.storage.as_ref() != "daemonsets.apps" {
        return;
    }
    let is_new = old.pointer("/spec/template") != new.pointer("/spec/template");
    let known = old.pointer(&format!("/metadata/annotations/{TEMPLATE_GENERATION}")).and_then(Value::as_str);
    let known: i64 = known.and_then(|text| text.parse().ok()).unwrap_or(1);
    if let Some(fields) = new.as_object_mut() {
        set_template_generation(fields, known + i64::from(is_new));
    }
}

/// What admission and the strategy set on new pods.
fn before_pod(fields: &mut Map<String, Value>) {
    fields.insert("status".to_owned(), json!({"phase": "Pending", "qosClass": qos_class(fields.get("spec"))}));
    let Some(spec) = fields.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for key in ["serviceAccount", "serviceAccountName"] {
        spec.entry(key).or_insert_with(|| json!("default"));
    }
    spec.entry("priority").or_insert_with(|| json!(0));
    spec.entry("preemptionPolicy").or_insert_with(|| json!("PreemptLowerPriority"));
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    let Some(list) = tolerations.as_array_mut() else { return };
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let is_tolerated = list.iter().any(|have| {
            let text = |name: &str| have.get(name).and_then(Value::as_str).unwrap_or_default();
            (text("key") == key || text("key").is_empty()) && matches!(text("effect"), "NoExecute" | "")
        });
        if !is_tolerated {
            list.push(json!({"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}));
        }
    }
}

fn qos_class(spec: Option<&Value>) -> &'static str {
    let containers =
        |key: &str| spec.and_then(|spec| spec.get(key)).and_then(Value::as_array).cloned().unwrap_or_default();
    let all: Vec<Value> = containers("containers").into_iter().chain(containers("initContainers")).collect();
    let amount = |container: &Value, kind: &str, name: &str| {
        container.pointer(&format!("/resources/{kind}/{name}")).cloned().filter(|amount| amount != "0")
    };
    let names = ["cpu", "memory"];
    let has_any = all.iter().any(|container| {
        names.iter().any(|name| ["limits", "requests"].iter().any(|kind| amount(container, kind, name).is_some()))
    });
    let is_guaranteed = all.iter().all(|container| {
        names.iter().all(|name| {
            let limit = amount(container, "limits", name);
            limit.is_some() && limit == amount(container, "requests", name)
        })
    });
    match (has_any, is_guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

/// Puts back what no client may change.
pub(crate) fn keep_system_fields(old: &Value, new: &mut Value) -> Result<(), ApiError> {
    let old_meta = old.get("metadata").and_then(Value::as_object);
    let Some(new_meta) = new.get_mut("metadata").and_then(Value::as_object_mut) else {
        return Err(ApiError::bad_request("metadata must be an object"));
    };
    let keys = [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
        "resourceVersion",
        "selfLink",
        "name",
        "namespace",
    ];
    for key in keys {
        match old_meta.and_then(|meta| meta.get(key)) {
            Some(value) => new_meta.insert(key.to_owned(), value.clone()),
            None => new_meta.remove(key),
        };
    }
    if old.get("kind") == Some(&json!("Namespace"))
        && let Some(name) = new_meta.get("name").cloned()
        && let Some(labels) = new_meta.entry("labels").or_insert_with(|| json!({})).as_object_mut()
    {
        labels.insert("kubernetes.io/metadata.name".to_owned(), name);
    }
    // generateName of the stored object stays when the new one leaves it out.
    if let Some(prefix) = old_meta.and_then(|meta| meta.get("generateName")) {
        new_meta.entry("generateName").or_insert_with(|| prefix.clone());
    }
    Ok(())
}

/// Keeps the part of the object that a write through this subresource does not touch.
pub(crate) fn keep_other_part(resource: &ResourceType, subresource: Option<&str>, old: &Value, new: &mut Value) {
    let (Some(old_fields), Some(new_fields)) = (old.as_object(), new.as_object_mut()) else { return };
    match subresource {
        Some("status") => {
            let mut kept: Map<String, Value> = old_fields.clone();
            match new_fields.remove("status") {
                Some(status) => kept.insert("status".to_owned(), status),
                None => kept.remove("status"),
            };
            if resource.custom.is_some() {
                // Of a custom resource's metadata a status write changes nothing but who owns which field.
                let owners = new_fields.get("metadata").and_then(|metadata| metadata.get("managedFields")).cloned();
                if let (Some(owners), Some(metadata)) =
                    (owners, kept.get_mut("metadata").and_then(Value::as_object_mut))
                {
                    metadata.insert("managedFields".to_owned(), owners);
                }
            } else if let Some(mut metadata) = new_fields.remove("metadata") {
                if let (Some(new_meta), Some(old_meta)) =
                    (metadata.as_object_mut(), old_fields.get("metadata").and_then(Value::as_object))
                {
                    for key in kept_on_status(resource) {
                        match old_meta.get(*key) {
                            Some(value) => new_meta.insert((*key).to_owned(), value.clone()),
                            None => new_meta.remove(*key),
                        };
                    }
                }
                kept.insert("metadata".to_owned(), metadata);
            }
            *new_fields = kept;
        }
        Some("finalize") => {
            let finalizers = new_fields.get("spec").and_then(|spec| spec.get("finalizers")).cloned();
            let mut kept: Map<String, Value> = old_fields.clone();
            if let Some(spec) = kept.get_mut("spec").and_then(Value::as_object_mut) {
                match finalizers {
                    Some(finalizers) => spec.insert("finalizers".to_owned(), finalizers),
                    None => spec.remove("finalizers"),
                };
            }
            *new_fields = kept;
        }
        _ => {
            if has_status(resource) {
                match old_fields.get("status") {
                    Some(status) => new_fields.insert("status".to_owned(), status.clone()),
                    None => new_fields.remove("status"),
                };
            }
            if resource.kind == "Namespace"
                && let Some(spec) = old_fields.get("spec")
            {
                new_fields.insert("spec".to_owned(), spec.clone());
            }
        }
    }
}

fn kept_on_status(resource: &ResourceType) -> &'static [&'static str] {
    match resource.kind.as_str() {
        "Deployment" => &["labels"],
        "Pod" => &["ownerReferences", "deletionTimestamp"],
        "CustomResourceDefinition" => &["labels", "annotations", "finalizers", "ownerReferences"],
        _ => &[],
    }
}

/// Fields that a write through a subresource can't touch, so that it can't own them either.
pub(crate) fn ignored_fields(resource: &ResourceType, subresource: Option<&str>) -> FieldSet {
    let mut set = FieldSet::default();
    let field = |name: &str| PathElement::Field(name.to_owned());
    match subresource {
        None if has_status(resource) => set.insert(&[field("status")]),
        Some("status") => {
            set.insert(&[field("spec")]);
            if resource.custom.is_some() {
                set.insert(&[field("metadata")]);
                for name in ["apiVersion", "kind"] {
                    set.insert(&[field(name)]);
                }
            }
            for name in kept_on_status(resource) {
                set.insert(&[field("metadata"), field(name)]);
            }
        }
        _ => {}
    }
    set
}

/// Counts the generation up when what the user wants has changed.
pub(crate) fn set_generation(resource: &ResourceType, old: &Value, new: &mut Value) {
    if !counts_generations(resource) || !is_wish_changed(resource, old, new) {
        return;
    }
    bump_generation(new);
}

fn bump_generation(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        let generation = metadata.get("generation").and_then(Value::as_i64).unwrap_or(0) + 1;
        metadata.insert("generation".to_owned(), generation.into());
    }
}

fn is_wish_changed(resource: &ResourceType, old: &Value, new: &Value) -> bool {
    let differs = |key: &str| old.get(key) != new.get(key);
    let metadata_differs = |key: &str| {
        old.get("metadata").and_then(|meta| meta.get(key)) != new.get("metadata").and_then(|meta| meta.get(key))
    };
    match resource.kind.as_str() {
        _ if resource.custom.is_some() => {
            let keys = |value: &Value| -> Vec<String> {
                value.as_object().map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
            };
            let mut all = keys(old);
            all.extend(keys(new));
            all.iter().any(|key| {
                let is_apart = matches!(key.as_str(), "metadata" | "apiVersion" | "kind")
                    || (key == "status" && has_status(resource));
                !is_apart && differs(key)
            })
        }
        "Deployment" => differs("spec") || metadata_differs("annotations"),
        "EndpointSlice" => {
            differs("endpoints") || differs("ports") || differs("addressType") || metadata_differs("labels")
        }
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => differs("webhooks"),
        "PriorityClass" => false,
        _ => differs("spec"),
    }
}

/// What is wrong with the metadata.
pub(crate) fn check_metadata(resource: &ResourceType, object: &Value, name: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if let Some(problem) = name_problem(resource, name) {
        causes.push(Cause::invalid("metadata.name", &json!(name), &problem));
    }
    let metadata = object.get("metadata").unwrap_or(&Value::Null);
    if let Some(labels) = metadata.get("labels").and_then(Value::as_object) {
        for (key, value) in labels {
            if let Some(problem) = qualified_name_problem(key) {
                causes.push(Cause::invalid("metadata.labels", &json!(key), &problem));
            }
            if value.as_str().is_some_and(|value| !is_label_value(value)) {
                causes.push(Cause::invalid("metadata.labels", value, LABEL_VALUE));
            }
        }
    }
    if let Some(annotations) = metadata.get("annotations").and_then(Value::as_object) {
        let mut total = 0;
        for (key, value) in annotations {
            total += key.len() + value.as_str().map_or(0, str::len);
            if let Some(problem) = qualified_name_problem(&key.to_lowercase()) {
                causes.push(Cause::invalid("metadata.annotations", &json!(key), &problem));
            }
        }
        if total > 256 * 1024 {
            causes.push(Cause {
                reason: "FieldValueTooLong",
                message: "Too long: may not be more than 262144 bytes".to_owned(),
                field: "metadata.annotations".to_owned(),
            });
        }
    }
    causes.extend(check_finalizers(resource, "metadata.finalizers", &finalizers(object)));
    if resource.storage.as_ref() == "namespaces" {
        let own = object.pointer("/spec/finalizers").and_then(Value::as_array).into_iter().flatten();
        let own: Vec<String> = own.filter_map(Value::as_str).map(str::to_owned).collect();
        causes.extend(check_finalizers(resource, "spec.finalizers", &own));
    }
    causes.extend(check_owners(metadata));
    causes
}

fn check_finalizers(resource: &ResourceType, field: &str, finalizers: &[String]) -> Vec<Cause> {
    // Only the built-in kinds of the core library want a domain in front.
    let is_core = resource.custom.is_none() && resource.group != "apiextensions.k8s.io";
    let mut causes = Vec::new();
    for (index, finalizer) in finalizers.iter().enumerate() {
        if let Some(problem) = qualified_name_problem(finalizer) {
            causes.push(Cause::invalid(field, &json!(finalizer), &problem));
        }
        if is_core
            && !finalizer.contains('/')
            && !matches!(finalizer.as_str(), "kubernetes" | "orphan" | "foregroundDeletion")
        {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            let field = if field.starts_with("spec") { field.to_owned() } else { format!("{field}[{index}]") };
            causes.push(Cause::invalid(field, &json!(finalizer), detail));
        }
    }
    causes
}

fn check_owners(metadata: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let owners = metadata.get("ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut controller: Option<String> = None;
    for owner in owners {
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        for key in ["apiVersion", "kind", "name", "uid"] {
            if text(key).is_empty() {
                causes.push(Cause {
                    reason: "FieldValueInvalid",
                    message: "Invalid value: \"\": must not be empty".to_owned(),
                    field: format!("metadata.ownerReferences.{key}"),
                });
            }
        }
        if text("kind") == "Event" && text("apiVersion") == "v1" {
            let shown = go_text::owner_json(owner);
            let message = format!("Invalid value: {shown}: /v1, Kind=Event is disallowed from being an owner");
            causes.push(Cause { reason: "FieldValueInvalid", message, field: "metadata.ownerReferences".to_owned() });
        }
        if owner.get("controller").and_then(Value::as_bool).unwrap_or(false) {
            if let Some(first) = &controller {
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {}/{}",
                    text("kind"),
                    text("name")
                );
                let shown = go_text::owners_json(owners);
                let message = format!("Invalid value: {shown}: {detail}");
                let field = "metadata.ownerReferences".to_owned();
                causes.push(Cause { reason: "FieldValueInvalid", message, field });
            }
            controller = Some(format!("{}/{}", text("kind"), text("name")));
        }
    }
    causes
}

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_NAME: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED_FORM: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn name_problem(resource: &ResourceType, name: &str) -> Option<String> {
    if resource.group == "rbac.authorization.k8s.io" {
        return match name {
            "." | ".." => Some(format!("may not be '{name}'")),
            name => ['/', '%'].iter().find(|bad| name.contains(**bad)).map(|bad| format!("may not contain '{bad}'")),
        };
    }
    match resource.kind.as_str() {
        "Namespace" if name.len() > 63 => Some("must be no more than 63 characters".to_owned()),
        "Namespace" if name.contains('.') => Some("must not contain dots".to_owned()),
        "Namespace" => (!is_label(name)).then(|| LABEL.to_owned()),
        "Service" if name.len() > 63 => Some("must be no more than 63 characters".to_owned()),
        "Service" => {
            let starts = name.starts_with(|letter: char| letter.is_ascii_lowercase());
            (!is_label(name) || !starts).then(|| LABEL_1035.to_owned())
        }
        _ if name.len() > 253 => Some("must be no more than 253 characters".to_owned()),
        _ => (!name.split('.').all(is_label)).then(|| SUBDOMAIN.to_owned()),
    }
}

fn is_label(text: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    text.starts_with(letter) && text.ends_with(letter) && text.chars().all(|c| letter(c) || c == '-')
}

fn is_name_part(text: &str) -> bool {
    let edge = |letter: char| letter.is_ascii_alphanumeric();
    !text.is_empty()
        && text.len() <= 63
        && text.starts_with(edge)
        && text.ends_with(edge)
        && text.chars().all(|c| edge(c) || matches!(c, '-' | '_' | '.'))
}

/// What is wrong with a name that may have a domain in front.
pub(crate) fn qualified_name_problem(name: &str) -> Option<String> {
    let name = match name.split_once('/') {
        Some((_, rest)) if rest.contains('/') => return Some(QUALIFIED_FORM.to_owned()),
        Some(("", _)) => return Some("prefix part must be non-empty".to_owned()),
        Some((prefix, _)) if prefix.len() > 253 || !prefix.split('.').all(is_label) => {
            return Some(format!("prefix part {SUBDOMAIN}"));
        }
        Some((_, name)) => name,
        None => name,
    };
    (!is_name_part(name)).then(|| QUALIFIED_NAME.to_owned())
}

fn is_label_value(value: &str) -> bool {
    value.is_empty() || is_name_part(value)
}

/// What is wrong with a change beyond the new metadata.
pub(crate) fn check_update(old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    if old.pointer("/metadata/deletionTimestamp").is_some() {
        let had = finalizers(old);
        let mut added: Vec<String> = finalizers(new).into_iter().filter(|name| !had.contains(name)).collect();
        added.sort();
        if !added.is_empty() {
            let list: Vec<String> = added.iter().map(|name| format!("{name:?}")).collect();
            let detail = format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                list.join(", ")
            );
            causes.push(Cause::forbidden("metadata.finalizers", &detail));
        }
    }
    causes
}

pub(crate) fn finalizers(object: &Value) -> Vec<String> {
    let list = object.pointer("/metadata/finalizers").and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
}

/// Whether something still has to be done before the object can go.
pub(crate) fn has_finalizers(resource: &ResourceType, object: &Value) -> bool {
    if !finalizers(object).is_empty() {
        return true;
    }
    resource.storage.as_ref() == "namespaces"
        && object.pointer("/spec/finalizers").and_then(Value::as_array).is_some_and(|list| !list.is_empty())
}

/// Whether an object that is being deleted can be removed now.
pub(crate) fn is_done(resource: &ResourceType, object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some()
        && !has_finalizers(resource, object)
        && object.pointer("/metadata/deletionGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(0) == 0
}

/// Sets the finalizers by which the garbage collector knows what to do with dependants.
pub(crate) fn mark_propagation(_resource: &ResourceType, object: &mut Value, propagation: Option<Propagation>) {
    let Some(propagation) = propagation else { return };
    let mut list = finalizers(object);
    let before = list.clone();
    list.retain(|name| name != "orphan" && name != "foregroundDeletion");
    match propagation {
        Propagation::Background => {}
        Propagation::Foreground => list.push("foregroundDeletion".to_owned()),
        Propagation::Orphan => list.push("orphan".to_owned()),
    }
    if list == before {
        return;
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        if list.is_empty() {
            metadata.remove("finalizers");
        } else {
            metadata.insert("finalizers".to_owned(), json!(list));
        }
    }
}

/// How long the object may take to stop: only pods that run somewhere get time.
pub(crate) fn grace_seconds(resource: &ResourceType, object: &Value, asked: Option<i64>) -> i64 {
    if resource.storage.as_ref() != "pods" {
        return 0;
    }
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    if text("/spec/nodeName").is_empty() || matches!(text("/status/phase"), "Succeeded" | "Failed") {
        return 0;
    }
    let own = object.pointer("/spec/terminationGracePeriodSeconds").and_then(Value::as_i64).unwrap_or(30);
    asked.unwrap_or(own).max(0)
}

/// Marks the object as being deleted; a second mark can only shorten the grace.
pub(crate) fn mark_deleted(resource: &ResourceType, object: &mut Value, grace: i64, now: Timestamp) {
    let is_namespace = resource.storage.as_ref() == "namespaces";
    let marked = object.pointer("/metadata/deletionTimestamp").is_some();
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let had = metadata.get("deletionGracePeriodSeconds").and_then(Value::as_i64);
    if marked && had.is_none_or(|had| had <= grace) {
        return;
    }
    let ends = now + std::time::Duration::from_secs(u64::try_from(grace).unwrap_or(0));
    metadata.insert("deletionTimestamp".to_owned(), format_time(ends).into());
    if !is_namespace {
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
    }
    if !marked && metadata.contains_key("generation") {
        bump_generation(object);
    }
    if is_namespace && let Some(fields) = object.as_object_mut() {
        let status = fields.entry("status").or_insert_with(|| json!({}));
        if let Some(status) = status.as_object_mut() {
            status.insert("phase".to_owned(), "Terminating".into());
        }
    }
}
