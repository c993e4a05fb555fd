//! A small shop that one GitOpsConfig delivers: a ConfigMap, a Deployment, and a Rollout under traffic. Things are broken
//! in it, and what a user is told is read from conditions and Events.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use object_model::Object;
use reconcile_runtime::Handle;
use scenario::setting::{Change, OperatorOptions, Setting, apply, apply_documents, get, list, merge, wait_for};
use serde_json::{Value, json};
use sim_cluster::{Effect, LogEntry};
use sim_traffic::{Behaviour, Load};

use crate::world::{beside, in_virtual_time, world};

pub(crate) const CONFIG: (&str, &str) = ("sluice.dev/v1", "GitOpsConfig");
pub(crate) const ROLLOUT: (&str, &str) = ("argoproj.io/v1alpha1", "Rollout");
pub(crate) const PROMOTION: (&str, &str) = ("sluice.dev/v1alpha1", "Promotion");
pub(crate) const VIRTUAL_SERVICE: (&str, &str) = ("networking.istio.io/v1alpha3", "VirtualService");
pub(crate) const CONFIG_MAP: (&str, &str) = ("v1", "ConfigMap");
pub(crate) const NAMESPACE: &str = "qa";
pub(crate) const IMAGE: &str = "registry.example.com/shop/frontend";

/// The file at a path; `None` deletes.
pub(crate) type File = (String, Option<Vec<u8>>);

/// A file below the shop's path.
pub(crate) fn file(name: &str, text: impl Into<Vec<u8>>) -> File {
    (format!("apps/shop/{name}"), Some(text.into()))
}

/// A file below the shop's path that goes.
pub(crate) fn no_file(name: &str) -> File {
    (format!("apps/shop/{name}"), None)
}

pub(crate) fn settings(color: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  color: {color}\n")
}

pub(crate) fn web(selector: &str, tag: &str) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 1
  progressDeadlineSeconds: 20
  selector: {{matchLabels: {{app: {selector}}}}}
  template:
    metadata: {{labels: {{app: {selector}}}}}
    spec:
      containers: [{{name: web, image: 'registry.example.com/shop/web:{tag}', resources: {{requests: {{cpu: 100m, memory: 100Mi}}}}}}]
"
    )
}

pub(crate) fn frontend(tag: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: frontend}}
spec:
  replicas: 2
  progressDeadlineSeconds: 20
  selector: {{matchLabels: {{app: frontend}}}}
  template:
    metadata: {{labels: {{app: frontend}}}}
    spec:
      containers: [{{name: frontend, image: '{IMAGE}:{tag}', resources: {{requests: {{cpu: 100m, memory: 100Mi}}}}}}]
  strategy:
    canary:
      canaryService: frontend-canary
      stableService: frontend-stable
      scaleDownDelaySeconds: 5
      abortScaleDownDelaySeconds: 5
      trafficRouting: {{istio: {{virtualService: {{name: frontend, routes: [primary]}}}}}}
      analysis:
        templates: [{{templateName: success-rate}}]
        args: [{{name: service-name, value: frontend-canary.qa.svc.cluster.local}}]
      steps: [{{setWeight: 50}}, {{pause: {{duration: 10s}}}}]
"
    )
}

const SERVED: &str = r#"sum(rate(istio_requests_total{reporter="source",destination_service=~"{{args.service-name}}",response_code!~"5.*"}[5s])) / (sum(rate(istio_requests_total{reporter="source",destination_service=~"{{args.service-name}}"}[5s])) > 0)"#;

pub(crate) fn analysis() -> String {
    analysis_of(SERVED, "len(result) == 0 || result[0] >= 0.95")
}

pub(crate) fn analysis_of(query: &str, condition: &str) -> String {
    let metric = json!({
        "name": "success-rate", "interval": "1s", "successCondition": condition, "failureLimit": 1,
        "consecutiveErrorLimit": 0,
        "provider": {"prometheus": {"query": query}},
    });
    let template = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "success-rate"},
        "spec": {"args": [{"name": "service-name"}], "metrics": [metric]},
    });
    format!("{template:#}\n")
}

pub(crate) fn virtual_service(stable: u32, canary: u32) -> String {
    format!(
        "apiVersion: networking.istio.io/v1alpha3
kind: VirtualService
metadata: {{name: frontend}}
spec:
  hosts: [frontend]
  http:
  - name: primary
    route:
    - {{destination: {{host: frontend-stable}}, weight: {stable}}}
    - {{destination: {{host: frontend-canary}}, weight: {canary}}}
"
    )
}

fn services() -> String {
    ["frontend-stable", "frontend-canary"]
        .map(|name| {
            format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  ports: [{{name: http, port: 80}}]\n  \
                 selector: {{app: frontend}}\n"
            )
        })
        .join("---\n")
}

/// Everything that the shop's path has, all of it good.
pub(crate) fn all_files(color: &str, tag: &str) -> Vec<File> {
    vec![
        file("settings.yaml", settings(color)),
        file("web.yaml", web("web", "v1")),
        file("frontend.yaml", frontend(tag)),
        file("analysis.yaml", analysis()),
        file("services.yaml", services()),
        file("routing.yaml", virtual_service(100, 0)),
    ]
}

/// The shop with everything around it.
pub(crate) struct Shop {
    pub(crate) setting: Setting,
    pub(crate) operator: Handle,
    commits: RefCell<Vec<(String, String)>>,
}

/// Opens the shop with v1, lets it settle, and tells a story in it.
pub(crate) fn in_the_shop<T>(story: impl AsyncFnOnce(&Shop) -> T) -> T {
    in_virtual_time(async || {
        let setting = world(11);
        let runtime = setting.operator_runtime(&OperatorOptions::default());
        let shop = Shop { setting: setting.clone(), operator: runtime.handle(), commits: RefCell::default() };
        beside(&setting, runtime, async {
            shop.open().await;
            story(&shop).await
        })
        .await
    })
}

impl Shop {
    async fn open(&self) {
        let people = &self.setting.people;
        for definition in scenario::setting::definitions("sluice.dev") {
            apply(people, &definition).await.unwrap();
        }
        let fixture = include_str!("../../../../fixtures/demo/cluster/virtual-service-crd.yaml");
        apply_documents(people, fixture).await.unwrap();
        for role in scenario::setting::roles("sluice.dev").unwrap() {
            apply(people, &role).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
        apply_documents(people, include_str!("../../../../fixtures/demo/cluster/accounts.yaml")).await.unwrap();
        let environment = "apiVersion: sluice.dev/v1alpha1\nkind: Environment\nmetadata: {name: qa}\nspec:\n  \
                           serviceAccount: {namespace: platform, name: environments}\n";
        apply_documents(people, environment).await.unwrap();
        self.until(("sluice.dev/v1alpha1", "Environment"), "qa", |object| says(object, "Ready", "True")).await;
        let first = self.commit("first", all_files("blue", "v1"));
        self.configure("shop", "apps/shop").await;
        self.until_delivered(&first).await;
        self.setting.with_traffic(|traffic| traffic.set_load("visitors", Load::new("frontend", NAMESPACE, 50.0)));
        tokio::time::sleep(Duration::from_secs(8)).await;
        self.setting.with_traffic(sim_traffic::Traffic::reset_report);
        self.setting.handle().unwrap().with(sim_cluster::Cluster::clear_requests);
    }

    pub(crate) async fn configure(&self, name: &str, path: &str) {
        let config = json!({
            "apiVersion": CONFIG.0, "kind": CONFIG.1, "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "url": self.setting.fleet.url(), "branch": "main", "path": path,
                "rollback": {"onFailure": "revertCommit"},
            },
        });
        apply(&self.setting.people, &Object::parse(config).unwrap()).await.unwrap();
    }

    /// Changes the spec of the shop's config.
    pub(crate) async fn reconfigure(&self, spec: Value) {
        self.edit(CONFIG, "shop", "", json!({"spec": spec})).await;
    }

    /// Somebody edits an object by hand.
    pub(crate) async fn edit(&self, kind: (&str, &str), name: &str, suffix: &str, patch: Value) {
        merge(&self.setting.people, kind.0, kind.1, NAMESPACE, name, suffix, &patch).await.unwrap();
    }

    /// Commits and announces it; the label stands for the commit in what is told.
    pub(crate) fn commit(&self, label: &str, files: Vec<File>) -> String {
        let change = Change { subject: label, author: "Ann Author <ann@example.com>", trailers: &[], files };
        let commit = self.setting.fleet.commit(&change, self.setting.now()).unwrap();
        self.commits.borrow_mut().push((label.to_owned(), commit.clone()));
        self.setting.announce_push();
        commit
    }

    pub(crate) async fn object(&self, kind: (&str, &str), name: &str) -> Option<Object> {
        get(&self.setting.people, kind.0, kind.1, NAMESPACE, name).await.unwrap()
    }

    /// Waits two virtual minutes at most.
    pub(crate) async fn until(&self, kind: (&str, &str), name: &str, holds: impl Fn(&Object) -> bool) -> Object {
        let namespace = if kind.1 == "Environment" { "" } else { NAMESPACE };
        let reference = (kind.0, kind.1, namespace, name);
        match wait_for(&self.setting.people, reference, name, Duration::from_secs(120), holds).await {
            Ok(object) => object,
            Err(error) => {
                let found = self.object(kind, name).await.map(|object| object.to_json()["status"].to_string());
                panic!("{error}\n{}\nstatus: {}\n{}", self.told().await, found.unwrap_or_default(), self.refused());
            }
        }
    }

    pub(crate) async fn until_ready_is(&self, status: &str, reason: &str) -> Object {
        self.until(CONFIG, "shop", |config| {
            condition(config, "Ready").is_some_and(|ready| ready["status"] == status && ready["reason"] == reason)
        })
        .await
    }

    /// Waits until a commit is applied and healthy.
    pub(crate) async fn until_delivered(&self, commit: &str) {
        self.until(CONFIG, "shop", |config| {
            says(config, "Ready", "True") && config.str_at("/status/lastHealthy/commit") == Some(commit)
        })
        .await;
    }

    /// What a user is told: the conditions of the config, and every warning.
    pub(crate) async fn told(&self) -> String {
        let mut lines = self.conditions(CONFIG, "shop").await;
        lines.extend(self.warnings().await);
        self.labelled(&lines.join("\n"))
    }

    /// What the conditions of an object say, as `TYPE STATUS REASON: MESSAGE`.
    pub(crate) async fn conditions(&self, kind: (&str, &str), name: &str) -> Vec<String> {
        let object = self.object(kind, name).await;
        let conditions = object.map(|object| object.list_at("/status/conditions").to_vec()).unwrap_or_default();
        let text = |item: &Value, key: &str| item[key].as_str().unwrap_or_default().to_owned();
        let line = |item: &Value| {
            let line = format!(
                "{} {} {}: {}",
                text(item, "type"),
                text(item, "status"),
                text(item, "reason"),
                text(item, "message")
            );
            self.labelled(line.trim_end_matches([' ', ':']))
        };
        conditions.iter().map(line).collect()
    }

    /// Every Warning of Sluice in the order of their text.
    pub(crate) async fn warnings(&self) -> Vec<String> {
        let events = list(&self.setting.people, "v1", "Event", NAMESPACE).await.unwrap();
        let ours = events.iter().filter(|event| {
            event.str_at("/type") == Some("Warning")
                && event.str_at("/source/component").is_some_and(|component| component.starts_with("sluice"))
        });
        let text = |event: &Object, pointer: &str| event.str_at(pointer).unwrap_or_default().to_owned();
        let mut lines: Vec<String> = ours
            .map(|event| {
                let kind = text(event, "/involvedObject/kind");
                let name = text(event, "/involvedObject/name");
                let reason = text(event, "/reason");
                self.labelled(&format!("Warning {reason} {kind}/{name}: {}", text(event, "/message")))
            })
            .collect();
        lines.sort();
        lines
    }

    /// Puts labels in place of commit ids, long and short.
    pub(crate) fn labelled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut known = self.commits.borrow().clone();
        for entry in self.setting.fleet.log(20) {
            let id = entry.id.to_string();
            if !known.iter().any(|(_, commit)| *commit == id) {
                known.push(("restoring".to_owned(), id));
            }
        }
        for (label, commit) in known {
            for length in [40, 12, 8] {
                text = text.replace(&commit[..length], &format!("<{label}>"));
            }
        }
        let text = text.lines().map(without_uid).collect::<Vec<_>>();
        text.join("\n")
    }

    /// How many commits took another one back.
    pub(crate) fn restoring_commits(&self) -> usize {
        self.setting.fleet.log(50).iter().filter(|entry| entry.trailers.get("Sluice-Reverts").is_some()).count()
    }

    pub(crate) fn requests(&self, wanted: impl Fn(&LogEntry) -> bool) -> Vec<String> {
        self.setting.handle().unwrap().with(|cluster| {
            let found = cluster.requests().filter(|entry| wanted(entry));
            found
                .map(|entry| {
                    format!(
                        "{} {} {}/{} by {}",
                        entry.verb, entry.resource, entry.namespace, entry.name, entry.actor.user.name
                    )
                })
                .collect()
        })
    }

    fn refused(&self) -> String {
        self.requests(|entry| entry.code >= 400 && entry.code != 404).join("\n")
    }

    /// Asserts that nobody but the cluster's own controllers, which replace pods, deleted anything.
    pub(crate) fn nothing_was_deleted(&self) {
        let deletes = self.requests(|entry| {
            let user = entry.actor.user.name.as_str();
            let is_cluster = user.starts_with("system:serviceaccount:kube-system:") || user.starts_with("system:node:");
            !is_cluster && (entry.effect == Effect::Deleted || entry.verb.starts_with("delete"))
        });
        assert!(deletes.is_empty(), "{deletes:#?}");
    }

    /// Asserts that a version is stable with all its pods and that every request was answered.
    pub(crate) async fn serves(&self, tag: &str) {
        let rollout = self.object(ROLLOUT, "frontend").await.unwrap();
        let stable = rollout.str_at("/status/stableRS").unwrap_or_default().to_owned();
        let set = self.object(("apps/v1", "ReplicaSet"), &format!("frontend-{stable}")).await.unwrap();
        let image = set.str_at("/spec/template/spec/containers/0/image").unwrap_or_default();
        assert_eq!(image, format!("{IMAGE}:{tag}"));
        assert_eq!(set.int_at("/status/availableReplicas"), Some(2));
        let web = self.object(("apps/v1", "Deployment"), "web").await.unwrap();
        assert!(web.int_at("/status/availableReplicas") >= Some(1));
        let report = self.setting.with_traffic(|traffic| traffic.report());
        assert_eq!(report.lost(), 0, "{report}");
        assert!(report.sent > 0);
    }

    /// Asserts that nothing was lost and that the next good commit goes through.
    pub(crate) async fn goes_on(&self, files: Vec<File>) {
        self.nothing_was_deleted();
        self.serves("v1").await;
        let mut good: BTreeMap<_, _> = all_files("green", "v1").into_iter().collect();
        good.extend(files);
        let commit = self.commit("good", good.into_iter().collect());
        self.until_delivered(&commit).await;
        let settings = self.object(CONFIG_MAP, "settings").await.unwrap();
        assert_eq!(settings.str_at("/data/color"), Some("green"));
        self.serves("v1").await;
    }

    /// Lets a version fail half of its requests.
    pub(crate) fn break_version(&self, tag: &str) {
        self.setting.with_traffic(|traffic| traffic.set_behaviour(&format!("{IMAGE}:{tag}"), Behaviour::failing(0.5)));
    }

    /// The weights of the VirtualService.
    pub(crate) async fn weights(&self) -> Vec<i64> {
        let service = self.object(VIRTUAL_SERVICE, "frontend").await.unwrap();
        let routes = service.list_at("/spec/http/0/route");
        routes.iter().filter_map(|route| route["weight"].as_i64()).collect()
    }
}

/// Puts a word in place of a uid at the end of a line.
fn without_uid(line: &str) -> String {
    let (rest, tail) = line.split_at_checked(line.len().saturating_sub(36)).unwrap_or((line, ""));
    let is_uid = tail.len() == 36
        && tail.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    if is_uid { format!("{rest}<uid>") } else { line.to_owned() }
}

pub(crate) fn condition<'a>(object: &'a Object, kind: &str) -> Option<&'a Value> {
    object.list_at("/status/conditions").iter().find(|condition| condition["type"] == kind)
}

pub(crate) fn says(object: &Object, kind: &str, status: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == status)
}
