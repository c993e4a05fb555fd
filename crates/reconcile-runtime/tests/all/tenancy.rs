//! Cases of the security table about tenants: what one may deliver is what its ServiceAccount may do, and nothing more.

use std::sync::Arc;
use std::time::Duration;

use git_source::{Edit, MemoryRemote};
use reconcile_core::sync::SyncDomain;
use reconcile_runtime::{ApiClient, Blocking, GitOptions, GitWorker, MemoryRemotes, Runtime};
use serde_json::{Value, json};

use crate::cluster::{Running, World, eventually};
use crate::git::{URL, plan};

struct Tenant {
    world: World,
    remote: MemoryRemote,
    _running: Running,
}

fn role(world: &World, kind: &str, namespace: &str, name: &str, rules: Value) {
    world.create(kind, namespace, json!({"metadata": {"name": name}, "rules": rules}));
}

impl Tenant {
    /// A tenant `qa` whose deployer may write ConfigMaps, Secrets and ServiceAccounts of its namespace.
    fn new() -> Self {
        let world = World::new();
        for definition in api::crd::own("sluice.dev") {
            world.create("customresourcedefinitions.apiextensions.k8s.io", "", definition.into_json());
        }
        for namespace in ["qa", "other"] {
            world.create("namespaces", "", json!({"metadata": {"name": namespace}}));
        }
        world.create("serviceaccounts", "qa", json!({"metadata": {"name": "sluice"}}));
        let rules = json!([{"verbs": ["*"], "apiGroups": [""], "resources": ["configmaps", "secrets"]}]);
        role(&world, "roles.rbac.authorization.k8s.io", "qa", "deployer", rules);
        let binding = json!({
            "metadata": {"name": "deployer"}, "roleRef": {"kind": "Role", "name": "deployer"},
            "subjects": [{"kind": "ServiceAccount", "name": "sluice", "namespace": "qa"}],
        });
        world.create("rolebindings.rbac.authorization.k8s.io", "qa", binding);
        world.handle.with(|cluster| cluster.set_rbac(true));
        let remotes = MemoryRemotes::default();
        let remote = MemoryRemote::new("fleet");
        remotes.insert(URL, remote.clone());
        let api = ApiClient::new(world.client(), Duration::from_secs(10));
        let options = GitOptions { blocking: Blocking::Inline, ..GitOptions::default() };
        let git = GitWorker::new(api, world.clock(), Arc::new(remotes), options);
        let runtime = Runtime::builder(world.client()).clock(world.clock()).git(Arc::new(git));
        let running = world.start(runtime.domain(SyncDomain::default()).build());
        Self { world, remote, _running: running }
    }

    fn commit(&self, objects: &[Value]) {
        let text: String = objects.iter().map(|object| format!("---\n{}", yaml::to_yaml(object))).collect();
        self.remote.commit("main", &[Edit::put("qa/all.yaml", text)], &plan("Objects")).unwrap();
    }

    fn config(&self, name: &str, more: Value) {
        let mut spec = json!({"url": URL, "branch": "main", "path": "qa", "interval": "10s"});
        spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.world.create("gitopsconfigs.sluice.dev", "qa", json!({"metadata": {"name": name}, "spec": spec}));
    }

    fn failures(&self, name: &str) -> String {
        let config = self.world.json("gitopsconfigs.sluice.dev", "qa", name);
        config.pointer("/status/failures").map(Value::to_string).unwrap_or_default()
    }

    fn ready(&self, name: &str) -> String {
        let config = self.world.json("gitopsconfigs.sluice.dev", "qa", name);
        let conditions = config.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
        let ready = conditions.iter().find(|condition| condition.get("type").is_some_and(|kind| kind == "Ready"));
        ready.map(Value::to_string).unwrap_or_default()
    }
}

fn map(name: &str, namespace: Option<&str>) -> Value {
    let metadata = match namespace {
        Some(namespace) => json!({"name": name, "namespace": namespace}),
        None => json!({"name": name}),
    };
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1"}})
}

#[tokio::test(start_paused = true)]
async fn case_14_powerful_kinds_are_refused_by_the_rights_of_the_tenant_and_the_rest_is_delivered() {
    let tenant = Tenant::new();
    let powerful = [
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "up"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": "sluice", "namespace": "qa"}],
        }),
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "mine"}}),
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "mine"}}),
        json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "child"},
            "spec": {"url": URL, "branch": "main", "path": "qa", "destination": {"serviceAccountName": "admin"}},
        }),
    ];
    let mut all = powerful.to_vec();
    all.push(map("harmless", None));
    tenant.commit(&all);
    tenant.config("shop", json!({}));
    eventually(|| tenant.world.has("configmaps", "qa", "harmless")).await;
    eventually(|| tenant.failures("shop").matches("\"object\"").count() == powerful.len()).await;
    let failures = tenant.failures("shop");
    for kind in [
        "ClusterRoleBinding.rbac.authorization.k8s.io up",
        "Namespace mine",
        "Node mine",
        "GitOpsConfig.sluice.dev qa/child",
    ] {
        assert!(failures.contains(kind), "{kind} in {failures}");
    }
    assert!(!tenant.world.has("clusterrolebindings.rbac.authorization.k8s.io", "", "up"));
    assert!(!tenant.world.has("gitopsconfigs.sluice.dev", "qa", "child"));
}

#[tokio::test(start_paused = true)]
async fn case_15_an_object_for_another_namespace_is_refused_and_forged_marks_give_no_right_to_delete() {
    let tenant = Tenant::new();
    // Somebody else's object that looks like one of ours, down to its labels and annotations.
    let mut forged = map("forged", None);
    forged["metadata"]["labels"] = json!({"sluice.dev/managed": "true"});
    forged["metadata"]["annotations"] = json!({"sluice.dev/config": "qa/shop", "sluice.dev/owner": "guessed"});
    tenant.world.create("configmaps", "other", forged.clone());
    tenant.world.create("configmaps", "qa", forged);
    let mut owned = map("b", None);
    owned["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "forged", "uid": "0", "controller": true}]);
    tenant.commit(&[map("a", None), owned.clone(), map("leaks", Some("other"))]);
    tenant.config("shop", json!({}));
    eventually(|| tenant.world.has("configmaps", "qa", "a")).await;
    eventually(|| tenant.failures("shop").contains("other/leaks")).await;
    assert!(!tenant.world.has("configmaps", "other", "leaks"));
    tenant.commit(&[map("a", None)]);
    tokio::time::sleep(Duration::from_secs(120)).await;
    for namespace in ["qa", "other"] {
        assert!(tenant.world.has("configmaps", namespace, "forged"), "{namespace}");
    }
    assert!(tenant.world.has("configmaps", "qa", "a"));
}

#[tokio::test(start_paused = true)]
async fn case_17_every_write_of_what_git_says_is_made_as_the_service_account() {
    let tenant = Tenant::new();
    tenant.commit(&[map("a", None), map("b", None)]);
    tenant.config("shop", json!({}));
    eventually(|| tenant.world.has("configmaps", "qa", "b")).await;
    tenant.commit(&[map("a", None)]);
    eventually(|| !tenant.world.has("configmaps", "qa", "b")).await;
    let writers: Vec<String> = tenant.world.handle.with(|cluster| {
        let written = cluster.requests().filter(|entry| {
            entry.resource.starts_with("configmaps") && !matches!(entry.verb, "get" | "list" | "watch")
        });
        written.map(|entry| entry.actor.user.name.clone()).collect()
    });
    assert!(writers.len() >= 3, "{writers:?}");
    assert!(writers.iter().all(|writer| writer == "system:serviceaccount:qa:sluice"), "{writers:?}");
    // Without its account nothing is applied: there is no way back to the rights of the operator.
    tenant.config("nobody", json!({"destination": {"serviceAccountName": "absent"}, "path": "qa"}));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!tenant.ready("nobody").contains("\"status\":\"True\""), "{}", tenant.ready("nobody"));
}

#[tokio::test(start_paused = true)]
async fn case_16_a_private_repository_stays_private_to_those_who_bring_its_credential() {
    let tenant = Tenant::new();
    tenant.commit(&[map("a", None)]);
    let missing = json!({"auth": {"secretRef": {"name": "absent"}}});
    tenant.world.create("secrets", "qa", json!({"metadata": {"name": "token"}, "data": {"password": "aHVudGVyMg=="}}));
    tenant.config("ours", json!({"auth": {"secretRef": {"name": "token"}}}));
    eventually(|| tenant.world.has("configmaps", "qa", "a")).await;
    // The same address with a credential that is not there: what the other config fetched is none of its business.
    tenant.config("theirs", missing);
    eventually(|| tenant.ready("theirs").contains("CredentialMissing")).await;
    let status = tenant.world.json("gitopsconfigs.sluice.dev", "qa", "theirs")["status"].to_string();
    assert!(!status.contains(&tenant.remote.head("main").unwrap().to_string()), "{status}");
}
