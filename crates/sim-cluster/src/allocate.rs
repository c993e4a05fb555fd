//! What the server hands out: cluster IPs, node ports, and the names and selectors of Jobs.

use serde_json::{Map, Value, json};

use crate::cluster::Cluster;
use crate::error::{ApiError, Cause};
use crate::resource::ResourceType;

const ADDRESSES_MAX: u32 = 65_534;
const NODE_PORT_FIRST: u32 = 30_000;
const NODE_PORTS: u32 = 2_768;

impl Cluster {
    /// Hands out what a new object gets from the server.
    pub(crate) fn allocate(
        &mut self,
        resource: &ResourceType,
        object: &mut Value,
        is_dry_run: bool,
    ) -> Result<(), ApiError> {
        match resource.storage.as_ref() {
            "services" => {
                let counters = (self.next_cluster_ip, self.next_node_port);
                let result = self.allocate_service(resource, object);
                if is_dry_run {
                    (self.next_cluster_ip, self.next_node_port) = counters;
                }
                result
            }
            "jobs.batch" => {
                label_job(object);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn allocate_service(&mut self, resource: &ResourceType, object: &mut Value) -> Result<(), ApiError> {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return Ok(()) };
        let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if kind == "ExternalName" {
            return Ok(());
        }
        let given = spec.get("clusterIP").and_then(Value::as_str).unwrap_or_default().to_owned();
        let address = match given.as_str() {
            "" => self.free_address(),
            "None" => "None".to_owned(),
            taken if self.is_address_taken(taken) => {
                let cause = Cause::invalid(
                    "spec.clusterIPs",
                    &json!([taken]),
                    &format!("failed to allocate IP {taken}: provided IP is already allocated"),
                );
                return Err(ApiError::invalid(&resource.group, &resource.kind, &name, &[cause]));
            }
            free => free.to_owned(),
        };
        spec.insert("clusterIP".to_owned(), json!(address));
        spec.insert("clusterIPs".to_owned(), json!([address]));
        let has_selector = spec.get("selector").and_then(Value::as_object).is_some_and(|selector| !selector.is_empty());
        if address == "None" && !has_selector {
            // Nobody knows what stands behind a headless Service without a selector, so both families are allowed.
            spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4", "IPv6"]));
            spec.entry("ipFamilyPolicy").or_insert_with(|| json!("RequireDualStack"));
        }
        spec.entry("ipFamilies").or_insert_with(|| json!(["IPv4"]));
        spec.entry("ipFamilyPolicy").or_insert_with(|| json!("SingleStack"));
        self.allocate_node_ports(spec, &kind);
        Ok(())
    }

    fn allocate_node_ports(&mut self, spec: &mut Map<String, Value>, kind: &str) {
        if !matches!(kind, "NodePort" | "LoadBalancer") {
            return;
        }
        for port in spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(port) = port.as_object_mut() else { continue };
            if port.get("nodePort").and_then(Value::as_u64).is_none_or(|number| number == 0) {
                port.insert("nodePort".to_owned(), json!(NODE_PORT_FIRST + self.next_node_port % NODE_PORTS));
                self.next_node_port += 1;
            }
        }
    }

    fn is_address_taken(&self, address: &str) -> bool {
        self.list("services", None).any(|service| service.text("/spec/clusterIP") == address)
    }

    fn free_address(&mut self) -> String {
        for _ in 0..ADDRESSES_MAX {
            self.next_cluster_ip = self.next_cluster_ip % ADDRESSES_MAX + 1;
            let number = self.next_cluster_ip;
            let address = format!("10.96.{}.{}", number / 256, number % 256);
            if !self.is_address_taken(&address) {
                return address;
            }
        }
        String::new()
    }

    /// Keeps what was handed out when an update leaves it out.
    pub(crate) fn keep_allocated(&mut self, resource: &ResourceType, old: &Value, new: &mut Value) {
        if resource.storage.as_ref() == "jobs.batch" {
            keep_absent(old, new, &["selector"]);
        }
        if resource.storage.as_ref() != "services" {
            return;
        }
        let kind = new.pointer("/spec/type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if kind == "ExternalName" {
            return;
        }
        keep_absent(old, new, &["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"]);
        let old_ports = old.pointer("/spec/ports").and_then(Value::as_array).cloned().unwrap_or_default();
        if matches!(kind.as_str(), "NodePort" | "LoadBalancer") {
            for port in new.pointer_mut("/spec/ports").and_then(Value::as_array_mut).into_iter().flatten() {
                let same = old_ports
                    .iter()
                    .find(|old| old.get("port") == port.get("port") && old.get("protocol") == port.get("protocol"));
                let number = same.and_then(|old| old.get("nodePort")).cloned();
                if let (Some(number), Some(port)) = (number, port.as_object_mut()) {
                    port.entry("nodePort").or_insert(number);
                }
            }
            if let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) {
                self.allocate_node_ports(spec, &kind);
            }
        }
    }
}

fn keep_absent(old: &Value, new: &mut Value, keys: &[&str]) {
    let Some(spec) = new.get_mut("spec").and_then(Value::as_object_mut) else { return };
    for key in keys {
        if let Some(value) = old.get("spec").and_then(|spec| spec.get(key)) {
            spec.entry(*key).or_insert_with(|| value.clone());
        }
    }
}

/// A Job finds its pods by its own uid unless it brings a selector.
fn label_job(object: &mut Value) {
    let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let (name, uid) = (text("/metadata/name"), text("/metadata/uid"));
    if object.pointer("/spec/manualSelector") == Some(&json!(true)) {
        return;
    }
    let labels = [
        ("batch.kubernetes.io/controller-uid", &uid),
        ("batch.kubernetes.io/job-name", &name),
        ("controller-uid", &uid),
        ("job-name", &name),
    ];
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else { return };
    spec.insert("selector".to_owned(), json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}));
    let Some(metadata) = spec.get_mut("template").and_then(|template| template.get_mut("metadata")) else { return };
    if let Some(fields) = metadata.as_object_mut() {
        let existing = fields.entry("labels").or_insert_with(|| json!({}));
        if let Some(existing) = existing.as_object_mut() {
            for (key, value) in labels {
                existing.insert(key.to_owned(), json!(value));
            }
        }
    }
}
