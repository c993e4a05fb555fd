//! Environments: where an application runs, who may do what there, and the objects that make it so.

use std::collections::BTreeMap;

use object_model::Object;
use serde_json::{Value, json};

use crate::edits::check_tree_path;
use crate::version::is_label;

/// Where the files of an environment are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourcePlace {
    /// The repository's URL; empty when the pipeline names it.
    pub url: String,
    /// The branch.
    pub branch: String,
    /// The path in the tree.
    pub path: String,
}

/// Who gets which role in the environment's namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// `Group`, `User` or `ServiceAccount`.
    pub kind: SubjectKind,
    /// Name of the subject.
    pub name: String,
    /// Namespace of a ServiceAccount; the environment's own when empty.
    pub namespace: String,
    /// The ClusterRole that is bound.
    pub role: String,
}

/// What kind of subject gets a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SubjectKind {
    /// A group of the identity provider.
    Group,
    /// A person.
    User,
    /// A ServiceAccount.
    ServiceAccount,
}

/// An environment as its objects need it; its wire form is not this crate's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentSpec {
    /// The environment's name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// `dev`, `test`, `staging`, `production` or a word of the team's own.
    pub tier: String,
    /// Where its files are.
    pub source: SourcePlace,
    /// Hard limits of a ResourceQuota; none is made when empty.
    pub quota: BTreeMap<String, String>,
    /// Who gets which role.
    pub access: Vec<Access>,
    /// Namespaces whose pods may reach the environment's pods in spite of the isolation.
    pub reachable_from: Vec<String>,
    /// Labels for the namespace.
    pub labels: BTreeMap<String, String>,
}

/// Why an Environment can't be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A field is malformed.
    #[error("environment `{name}`: `{field}` is `{value}`, {why}")]
    Field {
        /// The environment.
        name: String,
        /// The field.
        field: String,
        /// Its value, cut when long.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// The label that names the environment on its objects.
pub const ENVIRONMENT_LABEL: &str = "sluice.dev/environment";

/// Namespaces that no environment may be: the control plane's.
const RESERVED: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

impl EnvironmentSpec {
    /// Checks every field that ends up in an object or a path.
    ///
    /// # Errors
    /// With the first field that is malformed.
    pub fn check(&self) -> Result<(), EnvironmentError> {
        let fail = |field: &str, value: &str, why| {
            let value = value.chars().filter(|c| !c.is_control()).take(80).collect();
            Err(EnvironmentError::Field { name: self.name.clone(), field: field.to_owned(), value, why })
        };
        const LABEL: &str = "it must be lower-case letters, digits and `-`, at most 63";
        if !is_label(&self.name) {
            return fail("name", &self.name, LABEL);
        }
        if !is_label(&self.namespace) {
            return fail("namespace", &self.namespace, LABEL);
        }
        if RESERVED.contains(&self.namespace.as_str()) {
            return fail("namespace", &self.namespace, "it belongs to the control plane");
        }
        if let Err(error) = check_tree_path(&self.source.path) {
            return fail("source.path", &self.source.path, error.why);
        }
        for (index, namespace) in self.reachable_from.iter().enumerate() {
            if !is_label(namespace) {
                return fail(&format!("reachableFrom[{index}]"), namespace, LABEL);
            }
        }
        for (resource, limit) in &self.quota {
            if !limit.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
                return fail(&format!("quota.{resource}"), limit, "it must be a quantity");
            }
        }
        for (index, access) in self.access.iter().enumerate() {
            if access.name.is_empty() || access.role.is_empty() {
                return fail(&format!("access[{index}]"), &access.name, "it needs a name and a role");
            }
        }
        Ok(())
    }
}

/// Returns the objects that make an environment: its Namespace, a NetworkPolicy that blocks other namespaces, a
/// ResourceQuota and a RoleBinding for each role, always the same for the same spec.
pub fn namespace_objects(environment: &EnvironmentSpec) -> Vec<Object> {
    let mut objects = vec![namespace(environment), isolation(environment)];
    if !environment.quota.is_empty() {
        objects.push(part(
            environment,
            "v1",
            "ResourceQuota",
            "environment",
            "spec",
            json!({"hard": environment.quota}),
        ));
    }
    objects.extend(bindings(environment));
    objects
}

fn part(environment: &EnvironmentSpec, api_version: &str, kind: &str, name: &str, field: &str, value: Value) -> Object {
    let mut object = Object::new(api_version, kind, Some(&environment.namespace), name);
    object.set_label(ENVIRONMENT_LABEL, &environment.name);
    object.set_at(&[field], value);
    object
}

fn namespace(environment: &EnvironmentSpec) -> Object {
    let mut object = Object::new("v1", "Namespace", None, &environment.namespace);
    for (key, value) in &environment.labels {
        object.set_label(key, value);
    }
    object.set_label(ENVIRONMENT_LABEL, &environment.name);
    if !environment.tier.is_empty() {
        object.set_label("sluice.dev/tier", &environment.tier);
    }
    object
}

fn isolation(environment: &EnvironmentSpec) -> Object {
    let mut from = vec![json!({"podSelector": {}})];
    for namespace in &environment.reachable_from {
        from.push(json!({"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}));
    }
    let spec = json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": from}]});
    part(environment, "networking.k8s.io/v1", "NetworkPolicy", "block-other-namespace", "spec", spec)
}

/// One RoleBinding a role, so that a change of one subject is a change of one list.
fn bindings(environment: &EnvironmentSpec) -> Vec<Object> {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let mut by_role: BTreeMap<&str, Vec<&Access>> = BTreeMap::new();
    for access in &environment.access {
        by_role.entry(&access.role).or_default().push(access);
    }
    let binding = |(role, mut members): (&str, Vec<&Access>)| {
        members.sort_by_key(|access| (access.kind, &access.name, &access.namespace));
        members.dedup();
        let subjects: Vec<Value> = members.into_iter().map(|access| subject(environment, access)).collect();
        let role_ref = json!({"apiGroup": GROUP, "kind": "ClusterRole", "name": role});
        // A ClusterRole's name may have characters such as `:` that a label has not; a RoleBinding's name takes them too.
        let mut object = part(
            environment,
            &format!("{GROUP}/v1"),
            "RoleBinding",
            &format!("environment-{role}"),
            "roleRef",
            role_ref,
        );
        object.set_at(&["subjects"], Value::Array(subjects));
        object
    };
    by_role.into_iter().map(binding).collect()
}

fn subject(environment: &EnvironmentSpec, access: &Access) -> Value {
    match access.kind {
        SubjectKind::ServiceAccount => {
            let namespace = if access.namespace.is_empty() { &environment.namespace } else { &access.namespace };
            json!({"kind": "ServiceAccount", "name": access.name, "namespace": namespace})
        }
        SubjectKind::Group => json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": access.name}),
        SubjectKind::User => json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": access.name}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn qa() -> EnvironmentSpec {
        EnvironmentSpec { name: "qa".to_owned(), namespace: "shop-qa".to_owned(), ..EnvironmentSpec::default() }
    }

    fn access(kind: SubjectKind, name: &str, role: &str) -> Access {
        Access { kind, name: name.to_owned(), namespace: String::new(), role: role.to_owned() }
    }

    #[test]
    fn an_environment_makes_its_namespace_and_closes_it() {
        let spec = EnvironmentSpec {
            tier: "test".to_owned(),
            quota: [("requests.cpu", "4"), ("pods", "20")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            reachable_from: vec!["istio-system".to_owned()],
            access: vec![
                access(SubjectKind::Group, "developers", "edit"),
                access(SubjectKind::ServiceAccount, "deployer", "edit"),
                access(SubjectKind::User, "ann@example.com", "view"),
            ],
            ..qa()
        };
        spec.check().unwrap();
        let text: Vec<String> =
            namespace_objects(&spec).iter().map(|object| yaml::to_yaml(&object.to_json())).collect();
        insta::assert_snapshot!(text.join("---\n"), @r#"
        apiVersion: v1
        kind: Namespace
        metadata:
          labels:
            sluice.dev/environment: qa
            sluice.dev/tier: test
          name: shop-qa
        ---
        apiVersion: networking.k8s.io/v1
        kind: NetworkPolicy
        metadata:
          labels:
            sluice.dev/environment: qa
          name: block-other-namespace
          namespace: shop-qa
        spec:
          ingress:
          - from:
            - podSelector: {}
            - namespaceSelector:
                matchLabels:
                  kubernetes.io/metadata.name: istio-system
          podSelector: {}
          policyTypes:
          - Ingress
        ---
        apiVersion: v1
        kind: ResourceQuota
        metadata:
          labels:
            sluice.dev/environment: qa
          name: environment
          namespace: shop-qa
        spec:
          hard:
            pods: "20"
            requests.cpu: "4"
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata:
          labels:
            sluice.dev/environment: qa
          name: environment-edit
          namespace: shop-qa
        roleRef:
          apiGroup: rbac.authorization.k8s.io
          kind: ClusterRole
          name: edit
        subjects:
        - apiGroup: rbac.authorization.k8s.io
          kind: Group
          name: developers
        - kind: ServiceAccount
          name: deployer
          namespace: shop-qa
        ---
        apiVersion: rbac.authorization.k8s.io/v1
        kind: RoleBinding
        metadata:
          labels:
            sluice.dev/environment: qa
          name: environment-view
          namespace: shop-qa
        roleRef:
          apiGroup: rbac.authorization.k8s.io
          kind: ClusterRole
          name: view
        subjects:
        - apiGroup: rbac.authorization.k8s.io
          kind: User
          name: ann@example.com
        "#);
    }

    #[test]
    fn the_smallest_environment_is_a_closed_namespace_of_its_name() {
        let objects = namespace_objects(&qa());
        let names: Vec<String> = objects.iter().map(|object| object.id().to_string()).collect();
        assert_eq!(names, ["Namespace shop-qa", "NetworkPolicy.networking.k8s.io shop-qa/block-other-namespace"]);
    }

    #[test]
    fn malformed_fields_are_named() {
        let place = SourcePlace { path: "../prod".to_owned(), ..SourcePlace::default() };
        let quota = BTreeMap::from([("pods".to_owned(), "many".to_owned())]);
        for (spec, message) in [
            (
                EnvironmentSpec { namespace: "Shop".to_owned(), ..qa() },
                "environment `qa`: `namespace` is `Shop`, it must be lower-case letters, digits and `-`, at most 63",
            ),
            (
                EnvironmentSpec { namespace: "kube-system".to_owned(), ..qa() },
                "environment `qa`: `namespace` is `kube-system`, it belongs to the control plane",
            ),
            (
                EnvironmentSpec { source: place, ..qa() },
                "environment `qa`: `source.path` is `../prod`, it leaves the tree",
            ),
            (EnvironmentSpec { quota, ..qa() }, "environment `qa`: `quota.pods` is `many`, it must be a quantity"),
            (
                EnvironmentSpec { access: vec![access(SubjectKind::Group, "", "edit")], ..qa() },
                "environment `qa`: `access[0]` is ``, it needs a name and a role",
            ),
        ] {
            assert_eq!(spec.check().unwrap_err().to_string(), message);
        }
    }
}
