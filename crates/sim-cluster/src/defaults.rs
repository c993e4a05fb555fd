//! The defaults the API server sets on built-in kinds.

use serde_json::{Map, Value, json};

use crate::resource::ResourceType;

/// Sets the defaults of a built-in kind.
pub(crate) fn set(resource: &ResourceType, object: &mut Value) {
    if resource.custom.is_some() {
        return;
    }
    match (resource.group.as_str(), resource.kind.as_str()) {
        ("", "Pod") => with(object, "spec", |spec| {
            pod_spec(spec);
            pod_only(spec);
        }),
        ("", "PodTemplate") => with(object, "template", pod_template),
        ("", "Service") => {
            with(object, "spec", service_spec);
            for address in items(object.pointer_mut("/status/loadBalancer/ingress")) {
                if address.contains_key("ip") {
                    fill(address, "ipMode", json!("VIP"));
                }
            }
        }
        ("", "Secret") => secret(object),
        ("", "ReplicationController") => with(object, "spec", |spec| {
            fill(spec, "replicas", json!(1));
            nested(spec, "template", pod_template);
        }),
        ("", "PersistentVolumeClaim") => with(object, "spec", |spec| fill(spec, "volumeMode", json!("Filesystem"))),
        ("apps", "Deployment") => with(object, "spec", deployment_spec),
        ("apps", "ReplicaSet") => with(object, "spec", |spec| {
            fill(spec, "replicas", json!(1));
            nested(spec, "template", pod_template);
        }),
        ("apps", "DaemonSet") => with(object, "spec", daemon_set_spec),
        ("apps", "StatefulSet") => with(object, "spec", stateful_set_spec),
        ("batch", "Job") => {
            with(object, "spec", job_spec);
            let labels = object.pointer("/spec/template/metadata/labels").cloned();
            if let (Some(labels), Some(metadata)) = (labels, object.get_mut("metadata").and_then(Value::as_object_mut))
            {
                fill(metadata, "labels", labels);
            }
        }
        ("batch", "CronJob") => with(object, "spec", cron_job_spec),
        ("autoscaling", "HorizontalPodAutoscaler") => with(object, "spec", autoscaler_spec),
        ("networking.k8s.io", "NetworkPolicy") => with(object, "spec", network_policy_spec),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => role_binding(object),
        ("discovery.k8s.io", "EndpointSlice") => endpoint_slice(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => custom_resource_definition(object),
        ("storage.k8s.io", "StorageClass") => {
            if let Some(fields) = object.as_object_mut() {
                fill(fields, "reclaimPolicy", json!("Delete"));
                fill(fields, "volumeBindingMode", json!("Immediate"));
            }
        }
        ("scheduling.k8s.io", "PriorityClass") => {
            if let Some(fields) = object.as_object_mut() {
                fill(fields, "preemptionPolicy", json!("PreemptLowerPriority"));
            }
        }
        ("admissionregistration.k8s.io", _) => {
            for hook in items(object.get_mut("webhooks")) {
                webhook(hook, resource.kind == "MutatingWebhookConfiguration");
            }
        }
        _ => {}
    }
}

type Fields = Map<String, Value>;

fn with(object: &mut Value, key: &str, act: impl FnOnce(&mut Fields)) {
    if let Some(fields) = object.get_mut(key).and_then(Value::as_object_mut) {
        act(fields);
    }
}

fn nested(fields: &mut Fields, key: &str, act: impl FnOnce(&mut Fields)) {
    if let Some(fields) = fields.get_mut(key).and_then(Value::as_object_mut) {
        act(fields);
    }
}

/// Sets a field that is absent, null or an empty text.
fn fill(fields: &mut Fields, key: &str, value: Value) {
    let is_absent = match fields.get(key) {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.is_empty(),
        Some(_) => false,
    };
    if is_absent {
        fields.insert(key.to_owned(), value);
    }
}

fn items(list: Option<&mut Value>) -> impl Iterator<Item = &mut Fields> {
    list.and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

fn pod_template(template: &mut Fields) {
    nested(template, "spec", pod_spec);
}

fn pod_spec(spec: &mut Fields) {
    fill(spec, "restartPolicy", json!("Always"));
    fill(spec, "dnsPolicy", json!("ClusterFirst"));
    fill(spec, "terminationGracePeriodSeconds", json!(30));
    fill(spec, "schedulerName", json!("default-scheduler"));
    fill(spec, "securityContext", json!({}));
    if spec.get("hostNetwork").and_then(Value::as_bool) == Some(true) {
        for key in ["containers", "initContainers"] {
            for container in items(spec.get_mut(key)) {
                for port in items(container.get_mut("ports")) {
                    if let Some(number) = port.get("containerPort").cloned() {
                        fill(port, "hostPort", number);
                    }
                }
            }
        }
    }
    // The deprecated name goes with the new one.
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        spec.insert("serviceAccount".to_owned(), account);
    } else if let Some(account) = spec.get("serviceAccount").cloned() {
        spec.insert("serviceAccountName".to_owned(), account);
    }
    for key in ["containers", "initContainers", "ephemeralContainers"] {
        for item in items(spec.get_mut(key)) {
            container(item);
        }
    }
    for item in items(spec.get_mut("volumes")) {
        volume(item);
    }
}

/// What only pods get, not the templates they are made from.
fn pod_only(spec: &mut Fields) {
    fill(spec, "enableServiceLinks", json!(true));
    for key in ["containers", "initContainers"] {
        for container in items(spec.get_mut(key)) {
            limits_are_requests(container);
        }
    }
}

fn limits_are_requests(container: &mut Fields) {
    nested(container, "resources", |resources| {
        // A limit without a request is also the request.
        let limits = resources.get("limits").and_then(Value::as_object).cloned().unwrap_or_default();
        if limits.is_empty() {
            return;
        }
        let requests = resources.entry("requests").or_insert_with(|| json!({}));
        if let Some(requests) = requests.as_object_mut() {
            for (name, amount) in limits {
                requests.entry(name).or_insert(amount);
            }
        }
    });
}

fn container(container: &mut Fields) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default().to_owned();
    fill(container, "imagePullPolicy", json!(pull_policy(&image)));
    fill(container, "terminationMessagePath", json!("/dev/termination-log"));
    fill(container, "terminationMessagePolicy", json!("File"));
    for port in items(container.get_mut("ports")) {
        fill(port, "protocol", json!("TCP"));
    }
    for key in ["livenessProbe", "readinessProbe", "startupProbe"] {
        nested(container, key, probe);
    }
    nested(container, "lifecycle", |lifecycle| {
        for key in ["postStart", "preStop"] {
            nested(lifecycle, key, |handler| nested(handler, "httpGet", http_get));
        }
    });
    for variable in items(container.get_mut("env")) {
        nested(variable, "valueFrom", |from| nested(from, "fieldRef", |field| fill(field, "apiVersion", json!("v1"))));
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

fn http_get(action: &mut Fields) {
    fill(action, "path", json!("/"));
    fill(action, "scheme", json!("HTTP"));
}

fn probe(probe: &mut Fields) {
    for (key, value) in [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        fill(probe, key, json!(value));
    }
    nested(probe, "httpGet", http_get);
    nested(probe, "grpc", |action| {
        if !action.contains_key("service") {
            action.insert("service".to_owned(), json!(""));
        }
    });
}

fn volume(volume: &mut Fields) {
    let sources = volume.keys().filter(|key| *key != "name").count();
    if sources == 0 {
        volume.insert("emptyDir".to_owned(), json!({}));
    }
    for key in ["configMap", "secret"] {
        nested(volume, key, |source| fill(source, "defaultMode", json!(420)));
    }
    nested(volume, "downwardAPI", |source| {
        fill(source, "defaultMode", json!(420));
        downward_items(source);
    });
    nested(volume, "hostPath", |source| {
        source.entry("type").or_insert_with(|| json!(""));
    });
    nested(volume, "projected", |source| {
        fill(source, "defaultMode", json!(420));
        for part in items(source.get_mut("sources")) {
            nested(part, "serviceAccountToken", |token| fill(token, "expirationSeconds", json!(3600)));
            nested(part, "downwardAPI", downward_items);
        }
    });
}

fn downward_items(source: &mut Fields) {
    for item in items(source.get_mut("items")) {
        nested(item, "fieldRef", |field| fill(field, "apiVersion", json!("v1")));
    }
}

fn deployment_spec(spec: &mut Fields) {
    fill(spec, "replicas", json!(1));
    fill(spec, "revisionHistoryLimit", json!(10));
    fill(spec, "progressDeadlineSeconds", json!(600));
    let strategy = spec.entry("strategy").or_insert_with(|| json!({}));
    if let Some(strategy) = strategy.as_object_mut() {
        fill(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type") == Some(&json!("RollingUpdate")) {
            fill(strategy, "rollingUpdate", json!({}));
            nested(strategy, "rollingUpdate", |rolling| {
                fill(rolling, "maxUnavailable", json!("25%"));
                fill(rolling, "maxSurge", json!("25%"));
            });
        }
    }
    nested(spec, "template", pod_template);
}

fn daemon_set_spec(spec: &mut Fields) {
    fill(spec, "revisionHistoryLimit", json!(10));
    let strategy = spec.entry("updateStrategy").or_insert_with(|| json!({}));
    if let Some(strategy) = strategy.as_object_mut() {
        fill(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type") == Some(&json!("RollingUpdate")) {
            fill(strategy, "rollingUpdate", json!({}));
            nested(strategy, "rollingUpdate", |rolling| {
                fill(rolling, "maxUnavailable", json!(1));
                fill(rolling, "maxSurge", json!(0));
            });
        }
    }
    nested(spec, "template", pod_template);
}

fn stateful_set_spec(spec: &mut Fields) {
    fill(spec, "replicas", json!(1));
    fill(spec, "revisionHistoryLimit", json!(10));
    fill(spec, "podManagementPolicy", json!("OrderedReady"));
    let strategy = spec.entry("updateStrategy").or_insert_with(|| json!({}));
    if let Some(strategy) = strategy.as_object_mut() {
        fill(strategy, "type", json!("RollingUpdate"));
        if strategy.get("type") == Some(&json!("RollingUpdate")) {
            fill(strategy, "rollingUpdate", json!({}));
            nested(strategy, "rollingUpdate", |rolling| fill(rolling, "partition", json!(0)));
        }
    }
    fill(spec, "persistentVolumeClaimRetentionPolicy", json!({"whenDeleted": "Retain", "whenScaled": "Retain"}));
    nested(spec, "template", pod_template);
    for claim in items(spec.get_mut("volumeClaimTemplates")) {
        nested(claim, "spec", |spec| fill(spec, "volumeMode", json!("Filesystem")));
        fill(claim, "status", json!({}));
        nested(claim, "status", |status| fill(status, "phase", json!("Pending")));
    }
}

fn job_spec(spec: &mut Fields) {
    let has = |spec: &Fields, key: &str| spec.get(key).is_some_and(|value| !value.is_null());
    if !has(spec, "completions") && !has(spec, "parallelism") {
        spec.insert("completions".to_owned(), json!(1));
        spec.insert("parallelism".to_owned(), json!(1));
    }
    fill(spec, "parallelism", json!(1));
    fill(spec, "completionMode", json!("NonIndexed"));
    fill(spec, "manualSelector", json!(false));
    fill(spec, "suspend", json!(false));
    fill(
        spec,
        "podReplacementPolicy",
        if has(spec, "podFailurePolicy") { json!("Failed") } else { json!("TerminatingOrFailed") },
    );
    let limit = if has(spec, "backoffLimitPerIndex") { json!(i32::MAX) } else { json!(6) };
    fill(spec, "backoffLimit", limit);
    nested(spec, "template", pod_template);
}

fn cron_job_spec(spec: &mut Fields) {
    fill(spec, "concurrencyPolicy", json!("Allow"));
    fill(spec, "suspend", json!(false));
    fill(spec, "successfulJobsHistoryLimit", json!(3));
    fill(spec, "failedJobsHistoryLimit", json!(1));
    nested(spec, "jobTemplate", |template| {
        nested(template, "spec", |spec| nested(spec, "template", pod_template));
    });
}

fn service_spec(spec: &mut Fields) {
    fill(spec, "sessionAffinity", json!("None"));
    fill(spec, "type", json!("ClusterIP"));
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind != "ExternalName" {
        fill(spec, "internalTrafficPolicy", json!("Cluster"));
    }
    if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
        fill(spec, "externalTrafficPolicy", json!("Cluster"));
    }
    if kind == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", json!(true));
    }
    if spec.get("sessionAffinity") == Some(&json!("ClientIP")) {
        fill(spec, "sessionAffinityConfig", json!({"clientIP": {"timeoutSeconds": 10_800}}));
    }
    for port in items(spec.get_mut("ports")) {
        fill(port, "protocol", json!("TCP"));
        let number = port.get("port").cloned().unwrap_or_else(|| json!(0));
        let is_unset = match port.get("targetPort") {
            None | Some(Value::Null) => true,
            Some(target) => target == &json!(0) || target == &json!(""),
        };
        if is_unset {
            port.insert("targetPort".to_owned(), number);
        }
    }
}

fn secret(object: &mut Value) {
    use base64::Engine;
    let Some(fields) = object.as_object_mut() else { return };
    fill(fields, "type", json!("Opaque"));
    let Some(Value::Object(texts)) = fields.remove("stringData") else { return };
    let data = fields.entry("data").or_insert_with(|| json!({}));
    if let Some(data) = data.as_object_mut() {
        for (key, text) in texts {
            let text = text.as_str().unwrap_or_default();
            data.insert(key, base64::engine::general_purpose::STANDARD.encode(text).into());
        }
    }
}

fn autoscaler_spec(spec: &mut Fields) {
    fill(spec, "minReplicas", json!(1));
    let has_metrics = spec.get("metrics").and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    if !has_metrics {
        let metric = json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]);
        spec.insert("metrics".to_owned(), metric);
    }
    let Some(behavior) = spec.get_mut("behavior").and_then(Value::as_object_mut) else { return };
    let up = json!([{"type": "Pods", "value": 4, "periodSeconds": 15}, {"type": "Percent", "value": 100, "periodSeconds": 15}]);
    let down = json!([{"type": "Percent", "value": 100, "periodSeconds": 15}]);
    for (key, policies) in [("scaleUp", up), ("scaleDown", down)] {
        fill(behavior, key, json!({}));
        nested(behavior, key, |rules| {
            fill(rules, "selectPolicy", json!("Max"));
            fill(rules, "policies", policies);
            if key == "scaleUp" {
                fill(rules, "stabilizationWindowSeconds", json!(0));
            }
        });
    }
}

fn network_policy_spec(spec: &mut Fields) {
    let rules = |spec: &Fields, key: &str| spec.get(key).and_then(Value::as_array).is_some_and(|list| !list.is_empty());
    let has_types = rules(spec, "policyTypes");
    if !has_types {
        let types = if rules(spec, "egress") { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
        spec.insert("policyTypes".to_owned(), types);
    }
    for key in ["ingress", "egress"] {
        for rule in items(spec.get_mut(key)) {
            for port in items(rule.get_mut("ports")) {
                fill(port, "protocol", json!("TCP"));
            }
        }
    }
}

fn role_binding(object: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    with(object, "roleRef", |role| fill(role, "apiGroup", json!(GROUP)));
    for subject in items(object.get_mut("subjects")) {
        if matches!(subject.get("kind").and_then(Value::as_str), Some("User" | "Group")) {
            fill(subject, "apiGroup", json!(GROUP));
        }
    }
}

fn endpoint_slice(object: &mut Value) {
    for port in items(object.get_mut("ports")) {
        if !port.contains_key("name") {
            port.insert("name".to_owned(), json!(""));
        }
        fill(port, "protocol", json!("TCP"));
    }
}

fn custom_resource_definition(object: &mut Value) {
    with(object, "spec", |spec| {
        let conversion = spec.entry("conversion").or_insert_with(|| json!({}));
        if conversion.is_null() {
            *conversion = json!({});
        }
        nested(spec, "conversion", |conversion| fill(conversion, "strategy", json!("None")));
        nested(spec, "names", |names| {
            let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
            fill(names, "listKind", json!(format!("{kind}List")));
            fill(names, "singular", json!(kind.to_lowercase()));
        });
    });
}

fn webhook(hook: &mut Fields, is_mutating: bool) {
    fill(hook, "failurePolicy", json!("Fail"));
    fill(hook, "matchPolicy", json!("Equivalent"));
    fill(hook, "timeoutSeconds", json!(10));
    fill(hook, "namespaceSelector", json!({}));
    fill(hook, "objectSelector", json!({}));
    if is_mutating {
        fill(hook, "reinvocationPolicy", json!("Never"));
    }
    nested(hook, "clientConfig", |client| nested(client, "service", |service| fill(service, "port", json!(443))));
    for rule in items(hook.get_mut("rules")) {
        fill(rule, "scope", json!("*"));
    }
}
