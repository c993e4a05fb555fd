//! The cells of the other built-in kinds.

use object_model::{LabelSelector, Timestamp, parse_time};
use serde_json::{Value, json};

/// An object to print and the moment ages are measured from.
pub(super) struct Row<'a> {
    pub(super) object: &'a Value,
    pub(super) now: Timestamp,
}

impl Row<'_> {
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    pub(super) fn list(&self, pointer: &str) -> &[Value] {
        self.object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn int(&self, pointer: &str) -> i64 {
        self.object.pointer(pointer).and_then(Value::as_i64).unwrap_or(0)
    }

    pub(super) fn len(&self, pointer: &str) -> usize {
        match self.object.pointer(pointer) {
            Some(Value::Object(fields)) => fields.len(),
            Some(Value::Array(list)) => list.len(),
            _ => 0,
        }
    }

    pub(super) fn condition(&self, kind: &str) -> Option<&str> {
        let conditions = self.list("/status/conditions");
        conditions.iter().find(|condition| condition["type"] == kind).and_then(|condition| condition["status"].as_str())
    }

    pub(super) fn name(&self) -> Value {
        json!(self.text("/metadata/name"))
    }

    pub(super) fn age(&self) -> Value {
        json!(self.since_text(self.text("/metadata/creationTimestamp")))
    }

    pub(super) fn since_text(&self, moment: &str) -> String {
        match parse_time(moment) {
            Some(moment) => since(moment, self.now),
            None => "<unknown>".to_owned(),
        }
    }

    /// Names and images of the containers of a pod template.
    pub(super) fn containers(&self, pointer: &str) -> [Value; 2] {
        let join = |key: &str| {
            let texts: Vec<&str> = self.list(pointer).iter().filter_map(|item| item[key].as_str()).collect();
            json!(texts.join(","))
        };
        [join("name"), join("image")]
    }

    fn selector(&self, pointer: &str) -> Value {
        let selector = self.object.pointer(pointer).and_then(|selector| LabelSelector::parse(selector).ok());
        let text = selector.map(|selector| selector.to_string()).unwrap_or_default();
        json!(if text.is_empty() { "<none>" } else { text.as_str() })
    }

    /// A plain label map, as Services and DaemonSets select.
    pub(super) fn labels(&self, pointer: &str) -> Value {
        let pairs = self.object.pointer(pointer).and_then(Value::as_object).into_iter().flatten();
        let texts: Vec<String> =
            pairs.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
        or_none(texts.join(","))
    }
}

fn or_none(text: String) -> Value {
    json!(if text.is_empty() { "<none>".to_owned() } else { text })
}

/// How long ago, in the short form of kubectl.
pub(super) fn since(moment: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second() - moment.as_second();
    if seconds < -1 {
        return "<invalid>".to_owned();
    }
    human(seconds.max(0))
}

fn human(seconds: i64) -> String {
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{big_unit}"),
        small => format!("{big}{big_unit}{small}{small_unit}"),
    };
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    let days = hours / 24;
    match seconds {
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 192 => two(days, "d", hours % 24, "h"),
        _ if days < 730 => format!("{days}d"),
        _ if days < 2_920 => two(days / 365, "y", days % 365, "d"),
        _ => format!("{}y", days / 365),
    }
}

pub(super) fn cells(kind: &str, row: &Row<'_>) -> Vec<Value> {
    const TEMPLATE: &str = "/spec/template/spec/containers";
    let mut cells = match kind {
        "Event" => return event(row),
        _ => vec![row.name()],
    };
    match kind {
        "Deployment" => {
            let ready = format!("{}/{}", row.int("/status/readyReplicas"), row.int("/spec/replicas"));
            cells.push(json!(ready));
            cells.push(json!(row.int("/status/updatedReplicas")));
            cells.extend([json!(row.int("/status/availableReplicas")), row.age()]);
            cells.extend(row.containers(TEMPLATE));
            cells.push(row.selector("/spec/selector"));
        }
        "ReplicaSet" | "ReplicationController" => {
            cells.extend(["/spec/replicas", "/status/replicas", "/status/readyReplicas"].map(|at| json!(row.int(at))));
            cells.push(row.age());
            cells.extend(row.containers(TEMPLATE));
            let is_set = kind == "ReplicaSet";
            cells.push(if is_set { row.selector("/spec/selector") } else { row.labels("/spec/selector") });
        }
        "StatefulSet" => {
            let ready = format!("{}/{}", row.int("/status/readyReplicas"), row.int("/spec/replicas"));
            cells.extend([json!(ready), row.age()]);
            cells.extend(row.containers(TEMPLATE));
        }
        "DaemonSet" => {
            let counts = [
                "desiredNumberScheduled",
                "currentNumberScheduled",
                "numberReady",
                "updatedNumberScheduled",
                "numberAvailable",
            ];
            cells.extend(counts.map(|count| json!(row.int(&format!("/status/{count}")))));
            cells.extend([row.labels("/spec/template/spec/nodeSelector"), row.age()]);
            cells.extend(row.containers(TEMPLATE));
            cells.push(row.selector("/spec/selector"));
        }
        "Job" => cells.extend(job(row)),
        "CronJob" => cells.extend(cron_job(row)),
        "Service" => cells.extend(service(row)),
        "Ingress" => cells.extend(ingress(row)),
        "Endpoints" => cells.extend([or_none(endpoints(row)), row.age()]),
        "EndpointSlice" => cells.extend(endpoint_slice(row)),
        "Node" => cells.extend(node(row)),
        "Namespace" => cells.extend([json!(row.text("/status/phase")), row.age()]),
        "Secret" => cells.extend([json!(row.text("/type")), json!(row.len("/data")), row.age()]),
        "ConfigMap" => cells.extend([json!(row.len("/data") + row.len("/binaryData")), row.age()]),
        "ServiceAccount" => cells.push(row.age()),
        "HorizontalPodAutoscaler" => cells.extend(autoscaler(row)),
        "PodDisruptionBudget" => cells.extend(budget(row)),
        "NetworkPolicy" => cells.extend([row.selector("/spec/podSelector"), row.age()]),
        "RoleBinding" | "ClusterRoleBinding" => cells.extend(binding(row)),
        "Lease" => cells.extend([json!(row.text("/spec/holderIdentity")), row.age()]),
        other => match super::quota_volume::cells(other, row) {
            Some(more) => cells.extend(more),
            None => cells.push(json!(row.text("/metadata/creationTimestamp"))),
        },
    }
    cells
}

fn event(row: &Row<'_>) -> Vec<Value> {
    let first = match row.text("/firstTimestamp") {
        "" => row.since_text(row.text("/eventTime")),
        first => row.since_text(first),
    };
    let mut last = match row.text("/lastTimestamp") {
        "" => first.clone(),
        last => row.since_text(last),
    };
    let mut count = row.int("/count").max(1);
    if row.object.get("series").is_some_and(|series| !series.is_null()) {
        last = row.since_text(row.text("/series/lastObservedTime"));
        count = row.int("/series/count");
    }
    let (kind, name) = (row.text("/involvedObject/kind").to_lowercase(), row.text("/involvedObject/name"));
    let target = if name.is_empty() { kind } else { format!("{kind}/{name}") };
    let component = match row.text("/source/component") {
        "" => row.text("/reportingComponent"),
        component => component,
    };
    let host = row.text("/source/host");
    let source = if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") };
    vec![
        json!(last),
        json!(row.text("/type")),
        json!(row.text("/reason")),
        json!(target),
        json!(row.text("/involvedObject/fieldPath")),
        json!(source),
        json!(row.text("/message").trim()),
        json!(first),
        json!(count),
        row.name(),
    ]
}

fn job(row: &Row<'_>) -> Vec<Value> {
    let succeeded = row.int("/status/succeeded");
    let completions = match row.object.pointer("/spec/completions").and_then(Value::as_i64) {
        Some(wanted) => format!("{succeeded}/{wanted}"),
        None if row.int("/spec/parallelism") > 1 => format!("{succeeded}/1 of {}", row.int("/spec/parallelism")),
        None => format!("{succeeded}/1"),
    };
    let start = parse_time(row.text("/status/startTime"));
    let end = parse_time(row.text("/status/completionTime")).unwrap_or(row.now);
    let duration = start.map(|start| human((end.as_second() - start.as_second()).max(0))).unwrap_or_default();
    let known = [("Complete", "Complete"), ("Failed", "Failed")];
    let later =
        [("Suspended", "Suspended"), ("FailureTarget", "FailureTarget"), ("SuccessCriteriaMet", "SuccessCriteriaMet")];
    let holds = |(kind, _): &&(&str, &str)| row.condition(kind) == Some("True");
    let is_deleting = row.object.pointer("/metadata/deletionTimestamp").is_some();
    let status = match known.iter().find(holds) {
        Some((_, status)) => status,
        None if is_deleting => "Terminating",
        None => later.iter().find(holds).map_or("Running", |(_, status)| status),
    };
    let mut cells = vec![json!(status), json!(completions), json!(duration), row.age()];
    cells.extend(row.containers("/spec/template/spec/containers"));
    cells.push(row.selector("/spec/selector"));
    cells
}

fn cron_job(row: &Row<'_>) -> Vec<Value> {
    let last = match row.text("/status/lastScheduleTime") {
        "" => "<none>".to_owned(),
        last => row.since_text(last),
    };
    let mut cells = vec![
        json!(row.text("/spec/schedule")),
        or_none(row.text("/spec/timeZone").to_owned()),
        json!(if row.object.pointer("/spec/suspend") == Some(&json!(true)) { "True" } else { "False" }),
        json!(row.len("/status/active")),
        json!(last),
        row.age(),
    ];
    cells.extend(row.containers("/spec/jobTemplate/spec/template/spec/containers"));
    cells.push(row.selector("/spec/jobTemplate/spec/selector"));
    cells
}

fn service(row: &Row<'_>) -> Vec<Value> {
    let kind = row.text("/spec/type");
    let balancer: Vec<&str> = row
        .list("/status/loadBalancer/ingress")
        .iter()
        .filter_map(|item| item["ip"].as_str().or_else(|| item["hostname"].as_str()))
        .collect();
    let own: Vec<&str> = row.list("/spec/externalIPs").iter().filter_map(Value::as_str).collect();
    let external = match kind {
        "ExternalName" => row.text("/spec/externalName").to_owned(),
        "LoadBalancer" if balancer.is_empty() && own.is_empty() => "<pending>".to_owned(),
        "LoadBalancer" => [balancer, own].concat().join(","),
        _ => own.join(","),
    };
    let ports: Vec<String> = row
        .list("/spec/ports")
        .iter()
        .map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or_default();
            match port["nodePort"].as_i64() {
                Some(node) if node > 0 => format!("{}:{node}/{protocol}", port["port"]),
                _ => format!("{}/{protocol}", port["port"]),
            }
        })
        .collect();
    vec![
        json!(kind),
        or_none(row.text("/spec/clusterIP").to_owned()),
        or_none(external),
        or_none(ports.join(",")),
        row.age(),
        row.labels("/spec/selector"),
    ]
}

fn ingress(row: &Row<'_>) -> Vec<Value> {
    let hosts: Vec<&str> = row.list("/spec/rules").iter().filter_map(|rule| rule["host"].as_str()).collect();
    let shown = hosts.iter().take(3).copied().collect::<Vec<_>>().join(",");
    let hosts = match hosts.len() {
        0 => "*".to_owned(),
        more if more > 3 => format!("{shown} + {} more...", more - 3),
        _ => shown,
    };
    let addresses: Vec<&str> = row
        .list("/status/loadBalancer/ingress")
        .iter()
        .filter_map(|item| item["ip"].as_str().or_else(|| item["hostname"].as_str()))
        .collect();
    let ports = if row.len("/spec/tls") > 0 { "80, 443" } else { "80" };
    vec![
        or_none(row.text("/spec/ingressClassName").to_owned()),
        json!(hosts),
        json!(addresses.join(",")),
        json!(ports),
        row.age(),
    ]
}

fn first_few(texts: Vec<String>) -> String {
    let more = texts.len().saturating_sub(3);
    let shown = texts.into_iter().take(3).collect::<Vec<_>>().join(",");
    if more > 0 { format!("{shown} + {more} more...") } else { shown }
}

fn endpoints(row: &Row<'_>) -> String {
    let mut all = Vec::new();
    for subset in row.list("/subsets") {
        let list = |key: &str| subset[key].as_array().cloned().unwrap_or_default();
        for port in list("ports") {
            for address in list("addresses") {
                let ip = address.get("ip").and_then(Value::as_str).unwrap_or_default();
                let number = port.get("port").and_then(Value::as_u64).unwrap_or_default();
                all.push(format!("{ip}:{number}"));
            }
        }
    }
    first_few(all)
}

fn endpoint_slice(row: &Row<'_>) -> Vec<Value> {
    let ports = row.list("/ports").iter().map(|port| port["port"].to_string()).collect();
    let addresses = row
        .list("/endpoints")
        .iter()
        .flat_map(|endpoint| endpoint["addresses"].as_array().cloned().unwrap_or_default())
        .filter_map(|address| address.as_str().map(str::to_owned))
        .collect();
    let unset = |text: String| json!(if text.is_empty() { "<unset>".to_owned() } else { text });
    vec![json!(row.text("/addressType")), unset(first_few(ports)), unset(first_few(addresses)), row.age()]
}

fn node(row: &Row<'_>) -> Vec<Value> {
    let mut status = match row.condition("Ready") {
        Some("True") => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if row.object.pointer("/spec/unschedulable") == Some(&json!(true)) {
        status.push_str(",SchedulingDisabled");
    }
    let labels = row.object.pointer("/metadata/labels").and_then(Value::as_object).into_iter().flatten();
    let roles: Vec<&str> = labels.filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/")).collect();
    let address = |kind: &str| {
        let found = row.list("/status/addresses").iter().find(|address| address["type"] == kind);
        or_none(found.and_then(|address| address["address"].as_str()).unwrap_or_default().to_owned())
    };
    let known = |key: &str| match row.text(&format!("/status/nodeInfo/{key}")) {
        "" => json!("<unknown>"),
        text => json!(text),
    };
    vec![
        json!(status),
        or_none(roles.join(",")),
        row.age(),
        json!(row.text("/status/nodeInfo/kubeletVersion")),
        address("InternalIP"),
        address("ExternalIP"),
        known("osImage"),
        known("kernelVersion"),
        known("containerRuntimeVersion"),
    ]
}

fn autoscaler(row: &Row<'_>) -> Vec<Value> {
    let reference = format!("{}/{}", row.text("/spec/scaleTargetRef/kind"), row.text("/spec/scaleTargetRef/name"));
    let current = row.list("/status/currentMetrics");
    let targets: Vec<String> = row
        .list("/spec/metrics")
        .iter()
        .enumerate()
        .filter_map(|(index, metric)| {
            let resource = metric.get("resource")?;
            let name = resource["name"].as_str().unwrap_or_default();
            let wanted = resource.pointer("/target/averageUtilization")?;
            let have = current.get(index).and_then(|metric| metric.pointer("/resource/current/averageUtilization"));
            let have = have.map_or_else(|| "<unknown>".to_owned(), |have| format!("{have}%"));
            Some(format!("{name}: {have}/{wanted}%"))
        })
        .collect();
    let min = row.object.pointer("/spec/minReplicas").map_or_else(|| "<unset>".to_owned(), ToString::to_string);
    vec![
        json!(reference),
        or_none(targets.join(", ")),
        json!(min),
        json!(row.int("/spec/maxReplicas")),
        json!(row.int("/status/currentReplicas")),
        row.age(),
    ]
}

fn budget(row: &Row<'_>) -> Vec<Value> {
    let bound = |key: &str| match row.object.pointer(&format!("/spec/{key}")) {
        None | Some(Value::Null) => json!("N/A"),
        Some(Value::String(text)) => json!(text),
        Some(other) => json!(other.to_string()),
    };
    vec![bound("minAvailable"), bound("maxUnavailable"), json!(row.int("/status/disruptionsAllowed")), row.age()]
}

fn binding(row: &Row<'_>) -> Vec<Value> {
    let role = format!("{}/{}", row.text("/roleRef/kind"), row.text("/roleRef/name"));
    let subjects = |kind: &str| {
        let names: Vec<String> = row
            .list("/subjects")
            .iter()
            .filter(|subject| subject["kind"] == kind)
            .map(|subject| {
                let name = subject["name"].as_str().unwrap_or_default();
                match subject["namespace"].as_str() {
                    Some(namespace) if kind == "ServiceAccount" => format!("{namespace}/{name}"),
                    _ => name.to_owned(),
                }
            })
            .collect();
        json!(names.join(", "))
    };
    vec![json!(role), row.age(), subjects("User"), subjects("Group"), subjects("ServiceAccount")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_as_short_as_in_kubectl() {
        let table = [
            (5, "5s"),
            (119, "119s"),
            (120, "2m"),
            (125, "2m5s"),
            (3_599, "59m"),
            (3 * 3_600 + 60, "3h1m"),
            (10 * 3_600, "10h"),
            (50 * 3_600, "2d2h"),
            (10 * 86_400, "10d"),
        ];
        for (seconds, want) in table {
            assert_eq!(human(seconds), want);
        }
    }
}
