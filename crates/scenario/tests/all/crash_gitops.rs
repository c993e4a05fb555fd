//! The crash test for what a config does: each delivery is cut before and after every write, and must come to the same
//! end, with each object created and deleted as often as without a crash.
//!
//! The world is small: one namespace, one account, and the configs of the delivery.

use std::sync::Arc;

use scenario::setting::{BRANCH, Change, Moment, Setting, apply_documents, delete, install, merge};
use serde_json::{Value, json};

use crate::crash::{Case, People, crash_everywhere};
use crate::world::{in_virtual_time, pass, with_operator, world};

/// A namespace with an account that has all rights.
const GROUND: &str = r#"
apiVersion: v1
kind: Namespace
metadata: {name: engine}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: deployer, namespace: engine}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: engine-deployer}
rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: engine-deployer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: engine-deployer}
subjects: [{kind: ServiceAccount, name: deployer, namespace: engine}]
"#;

/// Files by path; `None` deletes.
type Files = Vec<(&'static str, Option<String>)>;

/// Something that a commit, or a person, changes.
struct Delivery {
    name: &'static str,
    /// Configs by name, with what their specs say beside the repository; a config delivers the folder of its name.
    configs: Vec<(&'static str, Value)>,
    /// What is delivered and at rest before.
    before: Files,
    /// What the commit changes; nothing is committed where it is empty.
    after: Files,
    /// What a person does after the commit.
    person: Person,
    seconds: u64,
    quiet_seconds: u64,
    points_min: usize,
}

enum Person {
    Nothing,
    /// Deletes the first config.
    DeletesTheConfig,
    /// Scales a Deployment right after the commit.
    Scales(&'static str),
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            name: "",
            configs: vec![("app", json!({}))],
            before: vec![("app/settings.yaml", Some(config_map("settings", "blue")))],
            after: Vec::new(),
            person: Person::Nothing,
            seconds: 30,
            quiet_seconds: 14,
            points_min: 4,
        }
    }
}

fn config_map(name: &str, color: &str) -> String {
    annotated_map(name, color, "{}")
}

fn annotated_map(name: &str, color: &str, annotations: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, annotations: {annotations}}}\ndata: {{color: {color}}}\n---\n"
    )
}

fn job(name: &str, annotations: &str) -> String {
    format!(
        "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: {name}\n  annotations: {annotations}\nspec:\n  backoffLimit: 0\n  template:\n    \
         spec:\n      restartPolicy: Never\n      containers: [{{name: run, image: \"registry.example.com/run:v1\", command: [sh, \
         -c, sleep 2]}}]\n---\n"
    )
}

fn deployment(name: &str, image: &str) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: 1\n  selector: {{matchLabels: \
         {{app: {name}}}}}\n  template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{containers: [{{name: web, image: \
         \"registry.example.com/{image}\"}}]}}\n---\n"
    )
}

fn locked(password: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: locked}}\nimmutable: true\nstringData: {{password: {password}}}\n---\n"
    )
}

impl Delivery {
    fn commit(&self, setting: &Setting, subject: &str, files: &Files) {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.clone().map(String::into_bytes)));
        let change = Change { subject, author: "Ann Author <ann@example.com>", trailers: &[], files: files.collect() };
        setting.fleet.commit(&change, setting.now()).unwrap();
        setting.announce_push();
    }

    /// The configs with their first commit, at rest.
    fn at_rest(&self) -> Moment {
        in_virtual_time(async || {
            let setting = world(7);
            with_operator(&setting, async {
                install(&setting.people, std::time::Duration::from_secs(60)).await.unwrap();
                apply_documents(&setting.people, GROUND).await.unwrap();
                self.commit(&setting, "Begin", &self.before);
                for (name, spec) in &self.configs {
                    let mut all = json!({
                        "url": setting.fleet.url(), "branch": BRANCH, "path": name,
                        "destination": {"serviceAccountName": "deployer"},
                    });
                    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
                    let config = json!({
                        "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig",
                        "metadata": {"name": name, "namespace": "engine"}, "spec": all,
                    });
                    apply_documents(&setting.people, &config.to_string()).await.unwrap();
                }
                pass(self.quiet_seconds.max(60)).await;
            })
            .await;
            setting.handle().unwrap().with(sim_cluster::Cluster::clear_requests);
            Moment::of(&setting).unwrap()
        })
    }

    async fn begin(&self, setting: &Setting) {
        if !self.after.is_empty() {
            self.commit(setting, "The delivery", &self.after);
        }
        match self.person {
            Person::Nothing => {}
            Person::DeletesTheConfig => {
                let (name, _) = self.configs.first().unwrap();
                delete(&setting.people, "sluice.dev/v1", "GitOpsConfig", "engine", name).await.unwrap();
            }
            Person::Scales(name) => {
                let patch = json!({"spec": {"replicas": 3}});
                merge(&setting.people, "apps/v1", "Deployment", "engine", name, "", &patch).await.unwrap();
            }
        }
    }

    /// Cuts the delivery everywhere; tells how often.
    fn survives(self) -> String {
        let begun = std::time::Instant::now();
        let from = self.at_rest();
        let delivery = Arc::new(self);
        let people: &People<'_> = &|setting| {
            let (delivery, setting) = (delivery.clone(), setting.clone());
            Box::pin(async move { delivery.begin(&setting).await })
        };
        let Delivery { name, seconds, quiet_seconds, points_min, .. } = *delivery;
        let (points, differences) = crash_everywhere(&Case { name, seconds, quiet_seconds, people }, &from);
        let took = begun.elapsed().as_secs_f32();
        assert!(differences.is_empty(), "{}", differences.iter().take(8).cloned().collect::<Vec<_>>().join("\n"));
        assert!(points >= points_min, "{name}: only {points} points");
        format!("{name}: {points} points, no difference, {took:.0} s")
    }
}

#[test]
fn a_crash_amid_waves_and_hooks_reaches_the_same_end() {
    let wave = |number: i32| format!("{{argocd.argoproj.io/sync-wave: \"{number}\"}}");
    let all = [
        job("before", "{argocd.argoproj.io/hook: PreSync}"),
        annotated_map("first", "red", &wave(1)),
        job("between", "{argocd.argoproj.io/hook: Sync, argocd.argoproj.io/sync-wave: \"1\"}"),
        annotated_map("second", "red", &wave(2)),
        job("after", "{argocd.argoproj.io/hook: PostSync, argocd.argoproj.io/hook-delete-policy: HookSucceeded}"),
    ];
    let told = Delivery {
        name: "waves and hooks",
        after: vec![("app/all.yaml", Some(all.concat()))],
        seconds: 45,
        points_min: 20,
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}

#[test]
fn a_crash_amid_a_prune_reaches_the_same_end() {
    let before = [config_map("one", "red"), config_map("two", "red"), deployment("three", "web:v1")].concat();
    let told = Delivery {
        name: "a prune",
        before: vec![("app/settings.yaml", Some(config_map("settings", "blue"))), ("app/more.yaml", Some(before))],
        after: vec![("app/more.yaml", None), ("app/other.yaml", Some(config_map("other", "red")))],
        points_min: 8,
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}

#[test]
fn a_crash_amid_a_transaction_reaches_the_same_end() {
    let after = [config_map("one", "red"), config_map("two", "red"), config_map("settings", "red")].concat();
    let told = Delivery {
        name: "a transaction",
        configs: vec![("app", json!({"apply": {"onError": "transaction"}}))],
        after: vec![("app/settings.yaml", Some(after))],
        points_min: 6,
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}

#[test]
fn a_crash_amid_configs_that_depend_on_each_other_reaches_the_same_end() {
    let told = Delivery {
        name: "a dependency",
        configs: vec![("app", json!({})), ("second", json!({"sync": {"dependsOn": [{"name": "app"}]}}))],
        before: vec![
            ("app/settings.yaml", Some(config_map("settings", "blue"))),
            ("second/settings.yaml", Some(config_map("second", "blue"))),
        ],
        after: vec![
            ("app/settings.yaml", Some(config_map("settings", "red") + &config_map("more", "red"))),
            ("second/settings.yaml", Some(config_map("second", "red") + &config_map("still-more", "red"))),
        ],
        points_min: 8,
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}

#[test]
fn a_crash_while_differences_are_ignored_reaches_the_same_end() {
    let rule = json!({"kind": "Deployment", "jsonPointers": ["/spec/replicas"]});
    let told = Delivery {
        name: "ignored differences",
        configs: vec![("app", json!({"ignoreDifferences": [rule]}))],
        before: vec![("app/web.yaml", Some(deployment("web", "web:v1")))],
        after: vec![("app/web.yaml", Some(deployment("web", "web:v2")))],
        person: Person::Scales("web"),
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}

#[test]
fn a_crash_amid_the_end_of_a_config_reaches_the_same_end() {
    let hooks = job("backup", "{argocd.argoproj.io/hook: PreDelete}")
        + &job("farewell", "{argocd.argoproj.io/hook: PostDelete}");
    let told = Delivery {
        name: "the end of a config",
        configs: vec![("app", json!({"deletionPolicy": "WaitForTermination"}))],
        before: vec![
            ("app/settings.yaml", Some(config_map("settings", "blue") + &deployment("web", "web:v1"))),
            ("app/hooks.yaml", Some(hooks)),
        ],
        person: Person::DeletesTheConfig,
        seconds: 45,
        points_min: 12,
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}

#[test]
fn a_crash_while_an_object_moves_to_another_config_reaches_the_same_end() {
    let told = Delivery {
        name: "an object that moves",
        configs: vec![("app", json!({})), ("second", json!({}))],
        before: vec![
            ("app/settings.yaml", Some(config_map("settings", "blue"))),
            ("app/mover.yaml", Some(config_map("mover", "blue"))),
            ("second/settings.yaml", Some(config_map("second", "blue"))),
        ],
        after: vec![("app/mover.yaml", None), ("second/mover.yaml", Some(config_map("mover", "red")))],
        seconds: 40,
        points_min: 4,
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}

#[test]
fn a_crash_while_an_object_is_made_anew_reaches_the_same_end() {
    let told = Delivery {
        name: "an object made anew",
        configs: vec![("app", json!({"apply": {"onImmutable": "recreate"}}))],
        before: vec![("app/locked.yaml", Some(locked("first")))],
        after: vec![("app/locked.yaml", Some(locked("second")))],
        points_min: 6,
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}

#[test]
fn a_crash_amid_a_chart_with_hooks_reaches_the_same_end() {
    let chart = "apiVersion: v2\nname: web\nversion: 1.0.0\n";
    let hooks =
        job("early", "{helm.sh/hook: pre-upgrade}") + &job("after", "{helm.sh/hook: \"post-install,post-upgrade\"}");
    let map = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {color: {{ .Values.color }}}\n";
    let told = Delivery {
        name: "a chart with hooks",
        before: vec![
            ("app/Chart.yaml", Some(chart.to_owned())),
            ("app/values.yaml", Some("color: blue\n".to_owned())),
            ("app/templates/map.yaml", Some(map.to_owned())),
            ("app/templates/hooks.yaml", Some(hooks)),
        ],
        after: vec![("app/values.yaml", Some("color: red\n".to_owned()))],
        seconds: 45,
        points_min: 12,
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}

#[test]
fn a_crash_around_a_window_reaches_the_same_end() {
    // The world is at rest in the middle of the window, which never comes again.
    let window = json!({"kind": "deny", "schedule": "2 0 1 1 *", "duration": "3m"});
    let told = Delivery {
        name: "a window",
        configs: vec![("app", json!({"sync": {"windows": [window]}}))],
        after: vec![
            ("app/settings.yaml", Some(config_map("settings", "red"))),
            ("app/more.yaml", Some(config_map("more", "red"))),
        ],
        seconds: 200,
        quiet_seconds: 160,
        points_min: 6,
        ..Delivery::default()
    }
    .survives();
    println!("{told}");
}
