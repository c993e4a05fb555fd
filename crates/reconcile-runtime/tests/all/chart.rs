//! Charts of a config: values of objects, what is looked up, what the cluster serves, charts of repositories.

use std::sync::Arc;

use api::{RenderSettings, ValuesKind, ValuesReference};
use git_source::{CommitPlan as GitPlan, Edit, MemoryRemote, Message, Person};
use reconcile_core::{Actor, Answer, FetchSource, Question, Rendered, SourceFailure};
use reconcile_runtime::{ApiClient, Blocking, GitBackend, GitOptions, GitWorker, MemoryRemotes};
use serde_json::{Value, json};

use crate::cluster::World;

const URL: &str = "https://git.example.com/fleet";
const CHART: &str = "apiVersion: v2\nname: web\nversion: 1.0.0\n";

/// A config map whose data is what the template `all` gives.
fn template(data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web\ndata:\n{data}")
}

pub(crate) struct Shop {
    pub(crate) world: World,
    pub(crate) remotes: MemoryRemotes,
    remote: MemoryRemote,
    worker: GitWorker,
}

impl Shop {
    pub(crate) fn new(files: &[(&str, String)]) -> Self {
        let world = World::new();
        world.create("namespaces", "", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "qa"}}));
        let remotes = MemoryRemotes::default();
        let remote = MemoryRemote::new("fleet");
        remotes.insert(URL, remote.clone());
        let api = ApiClient::new(world.client(), std::time::Duration::from_secs(30));
        let options = GitOptions { blocking: Blocking::Inline, ..GitOptions::default() };
        let worker = GitWorker::new(api, world.clock(), Arc::new(remotes.clone()), options);
        let shop = Self { world, remotes, remote, worker };
        shop.commit(files);
        shop
    }

    fn commit(&self, files: &[(&str, String)]) {
        let person = Person::new("Ada", "ada@example.com").unwrap();
        let time = "2030-01-01T00:00:00Z".parse().unwrap();
        let message = Message::new("A commit").unwrap();
        let edits: Vec<Edit> = files.iter().map(|(path, text)| Edit::put(path, text.clone())).collect();
        self.remote
            .commit("main", &edits, &GitPlan { author: person.clone(), committer: person, time, message })
            .unwrap();
    }

    pub(crate) async fn render(&self, settings: &RenderSettings) -> Result<Rendered, SourceFailure> {
        let question = Question::Render {
            source: FetchSource::branch(URL, "main"),
            commit: self.remote.head("main").unwrap().to_string(),
            path: "web".into(),
            render: Box::new(settings.clone()),
            namespace: "qa".into(),
            seed: "uid-1".into(),
            actor: Actor::Operator,
            values_namespace: "qa".into(),
        };
        match self.worker.answer(&question).await {
            Answer::Rendered(rendered) => Ok(rendered),
            Answer::Failed(failure) => Err(failure),
            other => panic!("not a render: {other:?}"),
        }
    }

    pub(crate) async fn data(&self, settings: &RenderSettings) -> Value {
        let rendered = self.render(settings).await.unwrap();
        let first = rendered.objects.first().and_then(|first| first.object.pointer("/data").cloned());
        first.unwrap_or_default()
    }
}

fn from(kind: ValuesKind, name: &str, key: &str, path: &str, optional: bool) -> ValuesReference {
    ValuesReference { kind, name: name.to_owned(), key: key.to_owned(), target_path: path.to_owned(), optional }
}

fn secret(name: &str, key: &str, value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {key: value}})
}

#[tokio::test(start_paused = true)]
async fn values_of_files_objects_and_the_config_win_in_this_order() {
    let all = "  a: {{ .Values.a }}\n  b: {{ .Values.b }}\n  c: {{ .Values.c }}\n  password: {{ .Values.db.password | quote }}\n";
    let shop = Shop::new(&[
        ("web/Chart.yaml", CHART.to_owned()),
        ("web/values.yaml", "a: chart\nb: chart\nc: chart\n".to_owned()),
        ("web/qa.yaml", "a: file\nb: file\nc: file\n".to_owned()),
        ("web/templates/all.yaml", template(all)),
    ]);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop"}, "data": {"values.yaml": "b: object\nc: object\n"}});
    shop.world.create("configmaps", "qa", map);
    shop.world.create("secrets", "qa", secret("db", "password", "p,{w}"));
    let settings = RenderSettings {
        values_files: vec!["qa.yaml".into()],
        values_from: vec![
            from(ValuesKind::ConfigMap, "shop", "values.yaml", "", false),
            from(ValuesKind::Secret, "db", "password", "db.password", false),
            from(ValuesKind::Secret, "absent", "x", "x", true),
            from(ValuesKind::ConfigMap, "shop", "absent", "x", true),
        ],
        values: json!({"c": "config"}).as_object().cloned().unwrap(),
        ..RenderSettings::default()
    };
    let found = shop.data(&settings).await;
    assert_eq!(found, json!({"a": "file", "b": "object", "c": "config", "password": "p,{w}"}));
    let rendered = shop.render(&settings).await.unwrap();
    let around = rendered.surroundings.unwrap();
    assert_eq!(around.versions.len(), 3);
    assert_eq!(around.masks.mask("the password p,{w} is wrong"), "the password [redacted] is wrong");
    assert!(!format!("{around:?}").contains("p,{w}"));
}

#[tokio::test(start_paused = true)]
async fn a_changed_object_gives_another_render_and_an_equal_one_the_same() {
    let shop = Shop::new(&[
        ("web/Chart.yaml", CHART.to_owned()),
        ("web/templates/all.yaml", template("  a: {{ .Values.a }}\n")),
    ]);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop"}, "data": {"values.yaml": "a: one"}});
    shop.world.create("configmaps", "qa", map);
    let settings = RenderSettings {
        values_from: vec![from(ValuesKind::ConfigMap, "shop", "values.yaml", "", false)],
        ..RenderSettings::default()
    };
    let first = shop.render(&settings).await.unwrap();
    let again = shop.render(&settings).await.unwrap();
    assert_eq!(first.key, again.key);
    assert!(Arc::ptr_eq(&first.objects, &again.objects), "nothing is rendered twice");
    shop.world.merge("configmaps", "qa", "shop", json!({"data": {"values.yaml": "a: two"}}));
    let changed = shop.render(&settings).await.unwrap();
    assert_ne!(first.key, changed.key);
    assert_eq!(changed.objects[0].object.str_at("/data/a"), Some("two"));
}

#[tokio::test(start_paused = true)]
async fn what_is_missing_or_wrong_is_told_without_what_a_secret_holds_and_may_pass() {
    let shop = Shop::new(&[
        ("web/Chart.yaml", CHART.to_owned()),
        ("web/templates/all.yaml", template("  a: {{ fail (printf \"bad password %s\" .Values.password) }}\n")),
    ]);
    let of = |reference| RenderSettings { values_from: vec![reference], ..RenderSettings::default() };
    let missing = of(from(ValuesKind::Secret, "db", "values.yaml", "", false));
    let failure = shop.render(&missing).await.unwrap_err();
    assert_eq!((failure.reason.as_str(), failure.lasting), ("ValuesMissing", false));
    assert_eq!(failure.message, "Secret qa/db with values does not exist");
    shop.world.create("secrets", "qa", secret("db", "values.yaml", "password: hunter2"));
    let failure = shop.render(&missing).await.unwrap_err();
    assert!(failure.message.contains("bad password [redacted]"), "{}", failure.message);
    assert!(!failure.lasting, "another Secret may mend it");
    let wrong_key = shop.render(&of(from(ValuesKind::Secret, "db", "x", "", false))).await.unwrap_err();
    assert_eq!(wrong_key.message, "Secret qa/db has no text under the key `x`");
}

#[tokio::test(start_paused = true)]
async fn a_chart_finds_in_the_cluster_what_it_looks_up_and_what_that_leads_to() {
    let all = "{{- $first := lookup \"v1\" \"ConfigMap\" \"qa\" \"first\" }}\n  found: {{ dig \"data\" \"next\" \"none\" $first }}\n\
               {{- if $first }}\n  second: {{ (lookup \"v1\" \"Secret\" \"qa\" $first.data.next).data.password | b64dec }}\n{{- end }}\n  \
               all: {{ len ((lookup \"v1\" \"ConfigMap\" \"qa\" \"\").items | default list) | quote }}\n";
    let shop = Shop::new(&[("web/Chart.yaml", CHART.to_owned()), ("web/templates/all.yaml", template(all))]);
    let settings = RenderSettings::default();
    assert_eq!(shop.data(&settings).await, json!({"found": "none", "all": "0"}));
    let before = shop.render(&settings).await.unwrap().key;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "first"}, "data": {"next": "db"}});
    shop.world.create("configmaps", "qa", map);
    shop.world.create("secrets", "qa", secret("db", "password", "hunter2"));
    assert_eq!(shop.data(&settings).await, json!({"found": "db", "second": "hunter2", "all": "1"}));
    let rendered = shop.render(&settings).await.unwrap();
    assert_ne!(before, rendered.key);
    assert_eq!(rendered.surroundings.unwrap().masks.mask("hunter2 aHVudGVyMg=="), "[redacted] [redacted]");
    let offline = RenderSettings { offline: true, ..settings };
    let rendered = shop.render(&offline).await.unwrap();
    assert!(rendered.surroundings.is_none(), "it depends on the commit alone");
    assert_eq!(rendered.objects[0].object.str_at("/data/found"), Some("none"));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_that_the_cluster_refuses_fails_the_render_in_the_servers_words() {
    let all = "  a: {{ lookup \"example.com/v1\" \"Nothing\" \"qa\" \"x\" | toJson | quote }}\n";
    let shop = Shop::new(&[("web/Chart.yaml", CHART.to_owned()), ("web/templates/all.yaml", template(all))]);
    let failure = shop.render(&RenderSettings::default()).await.unwrap_err();
    assert!(
        failure.message.contains("error calling lookup: unable to get apiresource from unstructured"),
        "{}",
        failure.message
    );
}

#[tokio::test(start_paused = true)]
async fn a_chart_is_told_what_the_cluster_serves_unless_the_config_says_otherwise() {
    let all = "  version: {{ .Capabilities.KubeVersion.Version }}\n  job: {{ .Capabilities.APIVersions.Has \"batch/v1/CronJob\" | quote }}\n  \
               nothing: {{ .Capabilities.APIVersions.Has \"example.com/v1\" | quote }}\n  old: {{ .Capabilities.APIVersions.Has \"extensions/v1beta1\" | quote }}\n";
    let shop = Shop::new(&[("web/Chart.yaml", CHART.to_owned()), ("web/templates/all.yaml", template(all))]);
    let found = shop.data(&RenderSettings::default()).await;
    assert_eq!(found, json!({"version": "v1.35.4", "job": "true", "nothing": "false", "old": "false"}));
    let settings = RenderSettings {
        kube_version: "1.30".into(),
        api_versions: vec!["example.com/v1".into()],
        ..RenderSettings::default()
    };
    let found = shop.data(&settings).await;
    assert_eq!((&found["version"], &found["nothing"]), (&json!("v1.30"), &json!("true")));
    let offline = shop.data(&RenderSettings { offline: true, ..RenderSettings::default() }).await;
    assert_eq!(offline["old"], json!("true"), "the versions that Helm knows");
}

#[tokio::test(start_paused = true)]
async fn plain_files_ask_the_cluster_for_nothing() {
    let shop = Shop::new(&[("web/all.yaml", template("  a: b\n"))]);
    shop.world.forget_requests();
    assert!(shop.render(&RenderSettings::default()).await.unwrap().surroundings.is_none());
    assert_eq!(shop.world.handle.with(|cluster| cluster.requests().count()), 0);
}
