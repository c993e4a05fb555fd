//! What the API server refuses: custom objects by their schema, built-in kinds by the rules users meet most.

use serde_json::{Value, json};

use crate::crd::CustomType;
use crate::error::Cause;
use crate::resource::ResourceType;
use crate::{quantity, rules, schema, schema_form, validate_policy};

/// What is wrong with a new object.
pub(crate) fn create(resource: &ResourceType, object: &Value) -> Vec<Cause> {
    if let Some(custom) = &resource.custom {
        return custom_object(custom, None, object);
    }
    let mut causes = Vec::new();
    match resource.kind.as_str() {
        "Deployment" | "ReplicaSet" | "DaemonSet" | "StatefulSet" => workload(resource, object, &mut causes),
        "Pod" => pod_spec(object.get("spec"), "spec", &[], &mut causes),
        "Job" => job(object, &mut causes),
        "Service" => service(object, &mut causes),
        "ConfigMap" => data_keys(object, &mut causes),
        "Secret" => secret(object, &mut causes),
        "Event" => event(resource, object, &mut causes),
        "Lease" => lease(object, &mut causes),
        "CustomResourceDefinition" => definition(object, &mut causes),
        "RoleBinding" | "ClusterRoleBinding" => binding(object, &mut causes),
        "CronJob" => validate_policy::cron_job(object, &mut causes),
        "HorizontalPodAutoscaler" => validate_policy::autoscaler(object, &mut causes),
        "PodDisruptionBudget" => validate_policy::budget(object, &mut causes),
        "ResourceQuota" => validate_policy::quota(object, &mut causes),
        "PriorityClass" => validate_policy::priority_class(object, &mut causes),
        "Ingress" => validate_policy::ingress(object, &mut causes),
        "NetworkPolicy" => validate_policy::network_policy(object, &mut causes),
        _ => {}
    }
    causes
}

/// What a custom object's schema says of it, first in its own words and then in rules.
fn custom_object(custom: &CustomType, old: Option<&Value>, object: &Value) -> Vec<Cause> {
    let mut causes = schema::validate(object, old, &custom.schema);
    if custom.has_rules {
        match rules::unchecked(&causes) {
            Some(unchecked) => causes.push(unchecked),
            None => causes.extend(rules::broken(object, old, &custom.schema)),
        }
    }
    causes
}

/// What is wrong with a change.
pub(crate) fn update(resource: &ResourceType, subresource: Option<&str>, old: &Value, new: &Value) -> Vec<Cause> {
    if let Some(custom) = &resource.custom {
        return custom_object(custom, Some(old), new);
    }
    if subresource == Some("status") && resource.storage.as_ref() == "namespaces" {
        return namespace_status(new);
    }
    if subresource.is_some() {
        return Vec::new();
    }
    let mut causes = create(resource, new);
    let immutable: &[&str] = match resource.kind.as_str() {
        "Deployment" | "ReplicaSet" | "DaemonSet" => &["/spec/selector"],
        "Job" if text(new.get("spec").unwrap_or(&Value::Null), "completionMode") == "Indexed" => {
            &["/spec/selector", "/spec/completionMode", "/spec/template"]
        }
        "Job" => &["/spec/completions", "/spec/selector", "/spec/completionMode", "/spec/template"],
        "RoleBinding" | "ClusterRoleBinding" => &["/roleRef"],
        "Secret" => &["/type"],
        "StorageClass" => &["/provisioner", "/parameters"],
        _ => &[],
    };
    for pointer in immutable {
        let (before, after) = (old.pointer(pointer), new.pointer(pointer));
        if before != after {
            let field = pointer.trim_start_matches('/').replace('/', ".");
            if *pointer == "/roleRef" {
                // The message shows the object inside the server, whose fields have Go's names.
                let shown = json!({"APIGroup": after.map(|role| text(role, "apiGroup")), "Kind": after.map(|role| text(role, "kind")), "Name": after.map(|role| text(role, "name"))});
                causes.push(Cause::invalid(field, &shown, "cannot change roleRef"));
                continue;
            }
            causes.push(Cause::invalid(field, after.unwrap_or(&Value::Null), "field is immutable"));
        }
    }
    if old.get("immutable") == Some(&json!(true)) && matches!(resource.kind.as_str(), "ConfigMap" | "Secret") {
        if new.get("immutable") != Some(&json!(true)) {
            causes.push(Cause::forbidden("immutable", "field is immutable when `immutable` is set"));
        }
        for key in ["data", "binaryData"] {
            if old.get(key) != new.get(key) {
                causes.push(Cause::forbidden(key, "field is immutable when `immutable` is set"));
            }
        }
    }
    if resource.storage.as_ref() == "services" {
        let address = |object: &Value| object.pointer("/spec/clusterIP").and_then(Value::as_str).map(str::to_owned);
        if let (Some(before), Some(after)) = (address(old), address(new))
            && before != after
            && !before.is_empty()
        {
            causes.push(Cause::invalid("spec.clusterIPs[0]", &json!([after]), "may not change once set"));
        }
    }
    if resource.storage.as_ref() == "statefulsets.apps" {
        validate_policy::stateful_set_change(old, new, &mut causes);
    }
    if resource.storage.as_ref() == "pods" {
        pod_update(old, new, &mut causes);
    }
    causes
}

/// A namespace is on its way out when it is deleted, not when somebody says so.
fn namespace_status(new: &Value) -> Vec<Cause> {
    let phase = new.pointer("/status/phase").and_then(Value::as_str).unwrap_or_default();
    let is_deleting = new.pointer("/metadata/deletionTimestamp").is_some();
    let detail = match (is_deleting, phase) {
        (false, "Active") | (true, "Terminating") => return Vec::new(),
        (false, _) => "may only be 'Active' if `deletionTimestamp` is empty",
        (true, _) => "may only be 'Terminating' if `deletionTimestamp` is not empty",
    };
    vec![Cause::invalid("status.Phase", &json!(phase), detail)]
}

fn list<'v>(value: Option<&'v Value>, key: &str) -> &'v [Value] {
    value.and_then(|value| value.get(key)).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn workload(resource: &ResourceType, object: &Value, causes: &mut Vec<Cause>) {
    let spec = object.get("spec");
    if let Some(replicas) =
        spec.and_then(|spec| spec.get("replicas")).filter(|value| value.as_i64().is_some_and(|n| n < 0))
    {
        causes.push(Cause::invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
    }
    let selector = spec.and_then(|spec| spec.get("selector")).filter(|selector| !selector.is_null());
    let labels = spec.and_then(|spec| spec.pointer("/template/metadata/labels"));
    match selector {
        None => {
            causes.push(Cause::required("spec.selector", ""));
            causes.push(Cause::invalid(
                "spec.template.metadata.labels",
                labels.unwrap_or(&Value::Null),
                "`selector` does not match template `labels`",
            ));
        }
        Some(selector) if selector.as_object().is_some_and(serde_json::Map::is_empty) => {
            let kind = resource.kind.to_lowercase();
            causes.push(Cause::invalid("spec.selector", selector, &format!("empty selector is invalid for {kind}")));
        }
        Some(selector) => {
            let map: std::collections::BTreeMap<&str, &str> = labels
                .and_then(Value::as_object)
                .into_iter()
                .flatten()
                .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
                .collect();
            match object_model::LabelSelector::parse(selector) {
                Ok(parsed) if parsed.matches(&map) => {}
                _ => causes.push(Cause::invalid(
                    "spec.template.metadata.labels",
                    labels.unwrap_or(&Value::Null),
                    "`selector` does not match template `labels`",
                )),
            }
        }
    }
    let template = spec.and_then(|spec| spec.get("template"));
    let pod = template.and_then(|template| template.get("spec"));
    pod_spec(pod, "spec.template.spec", list(spec, "volumeClaimTemplates"), causes);
    if let Some(policy) = pod.map(|pod| text(pod, "restartPolicy")).filter(|policy| !matches!(*policy, "Always" | "")) {
        causes.push(Cause::unsupported("spec.template.spec.restartPolicy", &json!(policy), &["Always".to_owned()]));
    }
    if resource.kind == "Deployment" {
        strategy(spec, causes);
    }
}

fn strategy(spec: Option<&Value>, causes: &mut Vec<Cause>) {
    let strategy = spec.and_then(|spec| spec.get("strategy")).unwrap_or(&Value::Null);
    match text(strategy, "type") {
        "Recreate" if strategy.get("rollingUpdate").is_some() => causes.push(Cause::forbidden(
            "spec.strategy.rollingUpdate",
            "may not be specified when strategy `type` is 'Recreate'",
        )),
        "Recreate" => {}
        "RollingUpdate" => {
            let is_zero = |key: &str| {
                let value = strategy.pointer(&format!("/rollingUpdate/{key}"));
                value.is_some_and(|value| value == &json!(0) || value == &json!("0%"))
            };
            if is_zero("maxUnavailable") && is_zero("maxSurge") {
                let value = strategy.pointer("/rollingUpdate/maxUnavailable").unwrap_or(&Value::Null);
                causes.push(Cause::invalid(
                    "spec.strategy.rollingUpdate.maxUnavailable",
                    value,
                    "may not be 0 when `maxSurge` is 0",
                ));
            }
        }
        other => {
            let supported = ["Recreate".to_owned(), "RollingUpdate".to_owned()];
            causes.push(Cause::unsupported("spec.strategy.type", &json!(other), &supported));
        }
    }
}

fn pod_spec(spec: Option<&Value>, path: &str, claims: &[Value], causes: &mut Vec<Cause>) {
    let containers = list(spec, "containers");
    if containers.is_empty() {
        causes.push(Cause::required(format!("{path}.containers"), ""));
    }
    let claimed = claims.iter().filter_map(|claim| claim.pointer("/metadata/name")?.as_str());
    let volumes: Vec<&str> = list(spec, "volumes").iter().map(|volume| text(volume, "name")).chain(claimed).collect();
    let mut names = Vec::new();
    for (key, containers) in [("containers", containers), ("initContainers", list(spec, "initContainers"))] {
        for (index, container) in containers.iter().enumerate() {
            let at = format!("{path}.{key}[{index}]");
            let name = text(container, "name");
            if name.is_empty() {
                causes.push(Cause::required(format!("{at}.name"), ""));
            } else if !is_label(name) {
                causes.push(Cause::invalid(format!("{at}.name"), &json!(name), LABEL));
            } else if names.contains(&name) {
                causes.push(Cause {
                    reason: "FieldValueDuplicate",
                    message: format!("Duplicate value: {name:?}"),
                    field: format!("{at}.name"),
                });
            }
            names.push(name);
            if text(container, "image").is_empty() {
                causes.push(Cause::required(format!("{at}.image"), ""));
            }
            for (mount, item) in list(Some(container), "volumeMounts").iter().enumerate() {
                let name = text(item, "name");
                if !volumes.contains(&name) {
                    causes.push(Cause {
                        reason: "FieldValueNotFound",
                        message: format!("Not found: {name:?}"),
                        field: format!("{at}.volumeMounts[{mount}].name"),
                    });
                }
            }
            container_ports(container, &at, causes);
            let policy = text(container, "imagePullPolicy");
            if !matches!(policy, "" | "Always" | "IfNotPresent" | "Never") {
                let supported = ["Always", "IfNotPresent", "Never"].map(str::to_owned);
                causes.push(Cause::unsupported(format!("{at}.imagePullPolicy"), &json!(policy), &supported));
            }
            container_resources(container, &at, causes);
        }
    }
}

fn container_ports(container: &Value, at: &str, causes: &mut Vec<Cause>) {
    for (index, port) in list(Some(container), "ports").iter().enumerate() {
        let number = port.get("containerPort").and_then(Value::as_i64).unwrap_or(0);
        if number == 0 {
            causes.push(Cause::required(format!("{at}.ports[{index}].containerPort"), ""));
        } else if !(1..=65_535).contains(&number) {
            let detail = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("{at}.ports[{index}].containerPort"), &json!(number), detail));
        }
    }
}

/// What is asked for fits under the limit.
fn container_resources(container: &Value, at: &str, causes: &mut Vec<Cause>) {
    let resources = container.get("resources").unwrap_or(&Value::Null);
    let asked = resources.get("requests").and_then(Value::as_object);
    for (name, request) in asked.into_iter().flatten() {
        let limit = resources.get("limits").and_then(|limits| limits.get(name)).and_then(Value::as_str);
        let number = |text: Option<&str>| text.and_then(quantity::nano);
        let (Some(limit), Some(asked), Some(most)) = (limit, number(request.as_str()), number(limit)) else { continue };
        if asked > most {
            let detail = format!("must be less than or equal to {name} limit of {limit}");
            causes.push(Cause::invalid(format!("{at}.resources.requests"), request, &detail));
        }
    }
}

fn pod_update(old: &Value, new: &Value, causes: &mut Vec<Cause>) {
    // Only the scheduler sets the node, and only once.
    let is_bound = old.pointer("/spec/nodeName").and_then(Value::as_str).is_some_and(|node| !node.is_empty());
    let fixed = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or(Value::Null);
        for key in ["containers", "initContainers"] {
            for container in spec.get_mut(key).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Some(fields) = container.as_object_mut() {
                    fields.remove("image");
                }
            }
        }
        if let Some(fields) = spec.as_object_mut() {
            for key in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"] {
                fields.remove(key);
            }
            if !is_bound {
                fields.remove("nodeName");
            }
        }
        spec
    };
    if fixed(old) != fixed(new) {
        let detail = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
        causes.push(Cause::forbidden("spec", detail));
    }
}

/// Keys of data, and what a type promises to hold.
fn secret(object: &Value, causes: &mut Vec<Cause>) {
    data_keys(object, causes);
    if text(object, "type") == "kubernetes.io/tls" {
        for key in ["tls.crt", "tls.key"] {
            if object.get("data").and_then(|data| data.get(key)).is_none() {
                causes.push(Cause::required(format!("data[{key}]"), ""));
            }
        }
    }
}

/// An Event lies in the namespace of what it is about; the newer API asks for its time.
fn event(resource: &ResourceType, object: &Value, causes: &mut Vec<Cause>) {
    let about = ["/involvedObject/namespace", "/regarding/namespace"].into_iter().find_map(|path| object.pointer(path));
    let own = object.pointer("/metadata/namespace");
    if let (Some(about), Some(own)) = (about.and_then(Value::as_str), own.and_then(Value::as_str))
        && about != own
        && !(about.is_empty() && own == "default")
    {
        causes.push(Cause::invalid("involvedObject.namespace", &json!(about), "does not match event.namespace"));
    }
    if resource.group == "events.k8s.io" && object.get("eventTime").is_none_or(Value::is_null) {
        causes.push(Cause::required("eventTime", ""));
    }
}

fn lease(object: &Value, causes: &mut Vec<Cause>) {
    let seconds = object.pointer("/spec/leaseDurationSeconds");
    if let Some(seconds) = seconds.filter(|seconds| seconds.as_i64().is_some_and(|seconds| seconds <= 0)) {
        causes.push(Cause::invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"));
    }
}

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

fn is_label(name: &str) -> bool {
    let letter = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit();
    name.starts_with(letter) && name.ends_with(letter) && name.chars().all(|one| letter(one) || one == '-')
}

fn job(object: &Value, causes: &mut Vec<Cause>) {
    let pod = object.pointer("/spec/template/spec");
    pod_spec(pod, "spec.template.spec", &[], causes);
    let policy = pod.map(|pod| text(pod, "restartPolicy")).unwrap_or_default();
    if !matches!(policy, "OnFailure" | "Never") {
        let supported = ["OnFailure".to_owned(), "Never".to_owned()];
        causes.push(Cause::unsupported("spec.template.spec.restartPolicy", &json!(policy), &supported));
    }
}

fn service(object: &Value, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let kind = text(spec, "type");
    if !matches!(kind, "ClusterIP" | "NodePort" | "LoadBalancer" | "ExternalName") {
        let supported = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"].map(str::to_owned);
        causes.push(Cause::unsupported("spec.type", &json!(kind), &supported));
    }
    let ports = list(Some(spec), "ports");
    if ports.is_empty() && kind != "ExternalName" && text(spec, "clusterIP") != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    for (index, port) in ports.iter().enumerate() {
        let number = port.get("port").and_then(Value::as_i64).unwrap_or(0);
        if !(1..=65_535).contains(&number) {
            let detail = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("spec.ports[{index}].port"), &json!(number), detail));
        }
        let target = port.get("targetPort").and_then(Value::as_i64);
        if let Some(target) = target.filter(|target| !(1..=65_535).contains(target)) {
            let detail = "must be between 1 and 65535, inclusive";
            causes.push(Cause::invalid(format!("spec.ports[{index}].targetPort"), &json!(target), detail));
        }
        let name = text(port, "name");
        if !name.is_empty() && ports.iter().take(index).any(|other| text(other, "name") == name) {
            causes.push(Cause {
                reason: "FieldValueDuplicate",
                message: format!("Duplicate value: {name:?}"),
                field: format!("spec.ports[{index}].name"),
            });
        }
        if ports.len() > 1 && text(port, "name").is_empty() {
            causes.push(Cause::required(format!("spec.ports[{index}].name"), ""));
        }
    }
}

fn data_keys(object: &Value, causes: &mut Vec<Cause>) {
    let fits = |key: &str| {
        !key.is_empty()
            && key.len() <= 253
            && key.chars().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.'))
    };
    let detail = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    for part in ["data", "binaryData"] {
        for key in object.get(part).and_then(Value::as_object).into_iter().flatten().map(|(key, _)| key) {
            if !fits(key) {
                causes.push(Cause::invalid(format!("{part}[{key}]"), &json!(key), detail));
            }
        }
    }
}

fn definition(object: &Value, causes: &mut Vec<Cause>) {
    let spec = object.get("spec").unwrap_or(&Value::Null);
    let plural = spec.pointer("/names/plural").and_then(Value::as_str).unwrap_or_default();
    for (field, value) in [("spec.group", text(spec, "group")), ("spec.names.plural", plural)] {
        if value.is_empty() {
            causes.push(Cause::required(field, ""));
        }
    }
    let kind = spec.pointer("/names/kind").and_then(Value::as_str).unwrap_or_default();
    if kind.is_empty() {
        causes.push(Cause::required("spec.names.kind", ""));
    }
    if !matches!(text(spec, "scope"), "Namespaced" | "Cluster") {
        let supported = ["Cluster".to_owned(), "Namespaced".to_owned()];
        causes.push(Cause::unsupported("spec.scope", &json!(text(spec, "scope")), &supported));
    }
    let wanted = format!("{plural}.{}", text(spec, "group"));
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    if name != wanted {
        causes.push(Cause::invalid("metadata.name", &json!(name), "must be spec.names.plural+\".\"+spec.group"));
    }
    let versions = list(Some(spec), "versions");
    let storage = versions.iter().filter(|version| version.get("storage") == Some(&json!(true))).count();
    if storage != 1 {
        let detail = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &Value::Array(versions.to_vec()), detail));
    }
    for (index, version) in versions.iter().enumerate() {
        let at = format!("spec.versions[{index}].schema.openAPIV3Schema");
        match version.pointer("/schema/openAPIV3Schema") {
            None => causes.push(Cause::required(at, "")),
            // Inside the server the schema of a single version is that of the definition.
            Some(schema) if versions.len() == 1 => {
                schema_form::check(schema, "spec.validation.openAPIV3Schema", causes);
            }
            Some(schema) => schema_form::check(schema, &at, causes),
        }
    }
}

fn binding(object: &Value, causes: &mut Vec<Cause>) {
    let role = object.get("roleRef").unwrap_or(&Value::Null);
    if !matches!(text(role, "kind"), "Role" | "ClusterRole") {
        let supported = ["ClusterRole".to_owned(), "Role".to_owned()];
        causes.push(Cause::unsupported("roleRef.kind", &json!(text(role, "kind")), &supported));
    }
    if text(role, "name").is_empty() {
        causes.push(Cause::required("roleRef.name", ""));
    }
}
