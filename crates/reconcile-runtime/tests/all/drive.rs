//! The drive loop on the embedded cluster, with a domain of a few lines per test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_model::Object;
use reconcile_core::{
    Act, Action, Actor, Domain, EventType, Key, Kind, Note, ObjectRef, Plan, Precondition, Propagation, Reason,
    StatusPatch, View, Violation, kinds,
};
use reconcile_runtime::{LeaseOptions, Options, Runtime};
use serde_json::json;
use tower::ServiceExt;

use crate::cluster::{World, eventually};

/// Reconciles ConfigMaps with the label `probe` by a function.
struct Probe<F>(F);

impl<F: Fn(&dyn View, &Arc<Object>) -> Plan + Send + Sync + 'static> Domain for Probe<F> {
    type Snapshot = Plan;
    const NAME: &'static str = "probe";

    fn observe(&self, view: &dyn View, key: &Key) -> Option<Plan> {
        let main = view.get(&kinds::config_map(), &key.namespace, &key.name)?;
        Some((self.0)(view, &main))
    }

    fn decide(&self, plan: &Plan) -> Plan {
        plan.clone()
    }

    fn check(&self, _snapshot: &Plan, _plan: &Plan) -> Vec<Violation> {
        Vec::new()
    }

    fn watches(&self) -> Vec<Kind> {
        vec![kinds::config_map()]
    }

    fn keys_for(&self, _view: &dyn View, object: &Object) -> Vec<Key> {
        object.label("probe").map(|_| Key::of(object)).into_iter().collect()
    }
}

fn main_object(name: &str) -> serde_json::Value {
    json!({"metadata": {"name": name, "labels": {"probe": "yes"}}})
}

fn annotate(main: &Object, key: &str, value: &str) -> Option<StatusPatch> {
    (main.annotation(key) != Some(value)).then(|| StatusPatch {
        target: ObjectRef::of(&kinds::config_map(), main),
        patch: json!({"metadata": {"annotations": {key: value}}}),
        precondition: Precondition::exact(main),
        subresource: false,
    })
}

fn runtime<F: Fn(&dyn View, &Arc<Object>) -> Plan + Send + Sync + 'static>(world: &World, decide: F) -> Runtime {
    Runtime::builder(world.client()).clock(world.clock()).domain(Probe(decide)).build()
}

#[tokio::test(start_paused = true)]
async fn a_destructive_act_is_preceded_by_fresh_reads_of_what_it_was_decided_on() {
    let world = World::new();
    world.create("configmaps", "default", main_object("main"));
    world.create("configmaps", "default", json!({"metadata": {"name": "victim"}}));
    let running = world.start(runtime(&world, |view, _main| {
        let mut plan = Plan::empty();
        if let Some(victim) = view.get(&kinds::config_map(), "default", "victim") {
            let target = ObjectRef::of(&kinds::config_map(), &victim);
            let precondition = Precondition::exact(&victim);
            let delete = Action::Delete { target, precondition, propagation: Propagation::Background };
            plan.stage(vec![Act::new(delete).destructive()]);
        }
        plan
    }));
    eventually(|| !world.has("configmaps", "default", "victim")).await;
    let log = world.requests();
    let position = |wanted: &str| log.iter().position(|line| line == wanted).unwrap();
    assert!(position("get configmaps/victim") < position("delete configmaps/victim"), "{log:?}");
    assert!(position("get configmaps/main") < position("delete configmaps/victim"), "{log:?}");
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_told_once_and_tried_again_when_something_else_is_wanted() {
    let world = World::new();
    world.create("configmaps", "default", main_object("main"));
    let running = world.start(runtime(&world, |view, main| {
        let name = main.str_at("/data/name").unwrap_or("Not_A_Name");
        let child = Object::new("v1", "ConfigMap", Some("default"), name);
        let target = ObjectRef::of(&kinds::config_map(), &child);
        let mut plan = Plan::empty();
        if let Some(why) = main.uid().and_then(|uid| view.refusal(&uid, &target)) {
            plan.status = annotate(main, "why", &why.message);
        } else if view.get(&kinds::config_map(), "default", name).is_none() {
            plan.stage(vec![Act::new(Action::Create { kind: kinds::config_map(), object: Box::new(child) })]);
        }
        plan
    }));
    let why = "/metadata/annotations/why";
    eventually(|| world.text("configmaps", "default", "main", why).contains("Not_A_Name")).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    let tries = world.writes().iter().filter(|line| line.starts_with("create configmaps/")).count();
    assert!(tries <= 3, "{tries} tries: {:?}", world.writes());
    world.merge("configmaps", "default", "main", json!({"data": {"name": "good"}}));
    eventually(|| world.has("configmaps", "default", "good")).await;
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_nobody_defines_is_not_asked_for_again_and_again() {
    let world = World::new();
    world.create("configmaps", "default", main_object("main"));
    let widgets = Kind::namespaced("example.com", "v1", "NginxConfig", "nginxconfigs");
    let kind = widgets.clone();
    let running = world.start(runtime(&world, move |view, main| {
        let found = view.list(&kind, "").len();
        let mut plan = Plan::empty();
        plan.status = annotate(main, "widgets", &found.to_string());
        plan
    }));
    let found = "/metadata/annotations/widgets";
    eventually(|| world.text("configmaps", "default", "main", found) == "0").await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    world.forget_requests();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.requests(), Vec::<String>::new());
    for document in yaml::parse(include_str!("../../examples/nginx-operator/crd.yaml")).unwrap() {
        world.create("customresourcedefinitions.apiextensions.k8s.io", "", document.value);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let labels = json!({"sluice.dev/managed": "true"});
    let widget = json!({"metadata": {"name": "web", "labels": labels}, "spec": {"staticContent": "hello"}});
    world.create("nginxconfigs.example.com", "default", widget);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(world.text("configmaps", "default", "main", found), "1");
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_may_wait_is_written_when_the_actions_changed_nothing() {
    let world = World::new();
    world.create("configmaps", "default", main_object("main"));
    let running = world.start(runtime(&world, |view, main| {
        let mut plan = Plan::empty();
        if view.get(&kinds::config_map(), "default", "child").is_none() {
            let child = Object::new("v1", "ConfigMap", Some("default"), "child");
            plan.stage(vec![Act::new(Action::Create { kind: kinds::config_map(), object: Box::new(child) })]);
            plan.status = annotate(main, "state", "is being made");
            plan.status_may_wait = true;
        } else {
            plan.status = annotate(main, "state", "is there");
        }
        plan
    }));
    let state = "/metadata/annotations/state";
    eventually(|| world.text("configmaps", "default", "main", state) == "is there").await;
    let writes: Vec<String> = world.writes().into_iter().filter(|line| line.ends_with("/main")).collect();
    assert_eq!(writes, ["create configmaps/main", "patch configmaps/main"]);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_the_watch_tells_of_before_its_answer_comes_is_a_change_all_the_same() {
    let world = World::new();
    world.create("configmaps", "default", main_object("main"));
    world.create("configmaps", "default", json!({"metadata": {"name": "child"}, "data": {"color": "blue"}}));
    let service = world.handle.service();
    let late = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let mut service = service.clone();
        let is_late = request.method() == http::Method::PATCH && request.uri().path().ends_with("/child");
        async move {
            let answer = tower::Service::call(&mut service, request).await;
            if is_late {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            answer
        }
    });
    let runtime = Runtime::builder(kube::Client::new(late, "default")).clock(world.clock()).domain(Probe(
        |view: &dyn View, main: &Arc<Object>| {
            let mut plan = Plan::empty();
            let Some(child) = view.get(&kinds::config_map(), "default", "child") else { return plan };
            plan.status = annotate(main, "state", "is red");
            if child.str_at("/data/color") == Some("blue") {
                plan.stage(vec![Act::new(Action::Patch {
                    target: ObjectRef::of(&kinds::config_map(), &child),
                    patch: json!({"data": {"color": "red"}}),
                    precondition: Precondition::exact(&child),
                })]);
                plan.status = annotate(main, "state", "is being made red");
                plan.status_may_wait = true;
            }
            plan
        },
    ));
    let running = world.start(runtime.build());
    eventually(|| world.text("configmaps", "default", "main", "/metadata/annotations/state") == "is red").await;
    let writes: Vec<String> = world.writes().into_iter().filter(|line| line.ends_with("/main")).collect();
    assert_eq!(writes, ["create configmaps/main", "patch configmaps/main"]);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_defined_later_is_read_when_it_is_there() {
    let world = World::new();
    world.create("configmaps", "default", main_object("main"));
    let running = world.start(runtime(&world, |view, main| {
        let widgets = view.resolve("example.com/v1", "NginxConfig").map_or(0, |kind| view.list(&kind, "").len());
        let mut plan = Plan::empty();
        plan.status = annotate(main, "widgets", &widgets.to_string());
        plan.wake_at(view.now() + Duration::from_secs(10));
        plan
    }));
    let count = || world.text("configmaps", "default", "main", "/metadata/annotations/widgets");
    eventually(|| count() == "0").await;
    for document in yaml::parse(include_str!("../../examples/nginx-operator/crd.yaml")).unwrap() {
        world.create("customresourcedefinitions.apiextensions.k8s.io", "", document.value);
    }
    let managed = json!({"metadata": {"name": "w", "labels": {"sluice.dev/managed": "true"}}, "spec": {}});
    world.create("nginxconfigs.example.com", "default", managed);
    eventually(|| count() == "1").await;
    world.delete("nginxconfigs.example.com", "default", "w");
    eventually(|| count() == "0").await;
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_runtime_sends_nothing_more() {
    let world = World::new();
    let decide = |_: &dyn View, main: &Arc<Object>| {
        let mut plan = Plan::empty();
        plan.status = annotate(main, "seen", main.str_at("/data/n").unwrap_or("0"));
        plan
    };
    let running = world.start(runtime(&world, decide));
    world.create("configmaps", "default", main_object("main"));
    eventually(|| world.text("configmaps", "default", "main", "/metadata/annotations/seen") == "0").await;
    drop(running);
    tokio::task::yield_now().await;
    world.forget_requests();
    world.merge("configmaps", "default", "main", json!({"data": {"n": "1"}}));
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.requests(), ["patch configmaps/main"], "only our own write");
}

#[tokio::test(start_paused = true)]
async fn case_30_a_panic_sets_one_key_aside_and_the_others_go_on() {
    let world = World::new();
    let panics = Arc::new(AtomicUsize::new(0));
    let count = panics.clone();
    let running = world.start(runtime(&world, move |_, main| {
        if main.name() == "bad" {
            count.fetch_add(1, Ordering::SeqCst);
            panic!("this domain has a bug");
        }
        let mut plan = Plan::empty();
        plan.status = annotate(main, "seen", "yes");
        plan
    }));
    world.create("configmaps", "default", main_object("bad"));
    world.create("configmaps", "default", main_object("good"));
    eventually(|| world.text("configmaps", "default", "good", "/metadata/annotations/seen") == "yes").await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let panics = panics.load(Ordering::SeqCst);
    assert!((3..=8).contains(&panics), "{panics} tries in a minute");
    drop(running);
}

fn noting(_view: &dyn View, main: &Arc<Object>) -> Plan {
    let mut plan = Plan::empty();
    plan.status = annotate(main, "seen", "yes");
    plan.notes.push(Note {
        about: ObjectRef::of(&kinds::config_map(), main),
        uid: main.uid().unwrap(),
        kind: EventType::Normal,
        reason: Reason("Seen"),
        message: "it was seen".to_owned(),
        transition: "seen".to_owned(),
    });
    plan
}

fn events(world: &World) -> usize {
    world.handle.with(|cluster| cluster.list("events", Some("default")).count())
}

#[tokio::test(start_paused = true)]
async fn an_event_is_written_once_for_a_transition_also_after_a_restart() {
    let world = World::new();
    world.create("configmaps", "default", main_object("main"));
    for _ in 0..2 {
        let running = world.start(runtime(&world, noting));
        eventually(|| world.text("configmaps", "default", "main", "/metadata/annotations/seen") == "yes").await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(running);
        tokio::task::yield_now().await;
    }
    assert_eq!(events(&world), 1);
}

fn elected(world: &World, identity: &str) -> Runtime {
    let options = Options { leases: Some(LeaseOptions::new("default", identity)), ..Options::default() };
    let decide = |_: &dyn View, main: &Arc<Object>| {
        let mut plan = Plan::empty();
        plan.status = annotate(main, "seen", main.str_at("/data/n").unwrap_or("0"));
        plan
    };
    Runtime::builder(world.client()).clock(world.clock()).options(options).domain(Probe(decide)).build()
}

fn holder(world: &World) -> String {
    world.text("leases.coordination.k8s.io", "default", "sluice-probe", "/spec/holderIdentity")
}

#[tokio::test(start_paused = true)]
async fn case_44_a_second_replica_takes_over_when_the_first_is_gone() {
    let world = World::new();
    world.create("configmaps", "default", main_object("main"));
    let first = world.start(elected(&world, "first"));
    eventually(|| holder(&world) == "first").await;
    let second = world.start(elected(&world, "second"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(holder(&world), "first");
    let gone = tokio::time::Instant::now();
    drop(first);
    world.merge("configmaps", "default", "main", json!({"data": {"n": "1"}}));
    eventually(|| world.text("configmaps", "default", "main", "/metadata/annotations/seen") == "1").await;
    let took = gone.elapsed().as_secs();
    assert!((11..=19).contains(&took), "took {took} s");
    assert_eq!(holder(&world), "second");
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn case_44_a_holder_renews_without_a_look_until_somebody_else_wrote() {
    let world = World::new();
    let first = world.start(elected(&world, "first"));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let count = |verb: &str| {
        let is_meant = |entry: &&sim_cluster::LogEntry| entry.verb == verb && entry.resource.starts_with("leases");
        world.handle.with(|cluster| cluster.requests().filter(is_meant).count())
    };
    assert_eq!(count("get"), 1);
    assert!((14..=16).contains(&count("update")), "{} renewals in a minute", count("update"));
    world.merge("leases.coordination.k8s.io", "default", "sluice-probe", json!({"spec": {"holderIdentity": "other"}}));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(holder(&world), "other", "a Lease of somebody else is left alone until it expires");
    assert!(count("get") > 1);
    drop(first);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_gives_the_lease_back() {
    let world = World::new();
    let runtime = elected(&world, "first");
    runtime.run(tokio::time::sleep(Duration::from_secs(5))).await;
    assert_eq!(holder(&world), "");
    let second = world.start(elected(&world, "second"));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(holder(&world), "second");
    drop(second);
}

#[tokio::test(start_paused = true)]
async fn case_17_a_write_as_a_service_account_is_impersonated() {
    let world = World::new();
    world.create("configmaps", "default", main_object("main"));
    let seen: Arc<Mutex<Vec<http::HeaderMap>>> = Arc::default();
    let sink = seen.clone();
    let service = world.handle.service().map_request(move |request: http::Request<kube::client::Body>| {
        if request.method() == http::Method::POST {
            sink.lock().unwrap().push(request.headers().clone());
        }
        request
    });
    let probe = Probe(|view: &dyn View, _: &Arc<Object>| {
        let mut plan = Plan::empty();
        if view.get(&kinds::config_map(), "default", "child").is_none() {
            let object = Box::new(Object::new("v1", "ConfigMap", Some("default"), "child"));
            let actor = Actor::ServiceAccount { namespace: "default".into(), name: "builder".into() };
            plan.stage(vec![Act::new(Action::Create { kind: kinds::config_map(), object }).by(actor)]);
        }
        plan
    });
    let client = kube::Client::new(service, "default");
    let running = world.start(Runtime::builder(client).clock(world.clock()).domain(probe).build());
    eventually(|| world.has("configmaps", "default", "child")).await;
    let headers = seen.lock().unwrap()[0].clone();
    let values = |name: &str| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(values("impersonate-user"), ["system:serviceaccount:default:builder"]);
    assert!(values("impersonate-group").is_empty(), "the server knows the groups of a ServiceAccount");
    drop(running);
}

/// Runs a small world and returns every request with its moment.
fn trace() -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let world = World::new();
        for name in ["a", "b", "c", "d"] {
            world.create("configmaps", "default", main_object(name));
        }
        let running = world.start(self::runtime(&world, noting));
        tokio::time::sleep(Duration::from_secs(30)).await;
        for name in ["d", "a"] {
            world.merge("configmaps", "default", name, json!({"metadata": {"annotations": {"seen": null}}}));
        }
        tokio::time::sleep(Duration::from_secs(600)).await;
        drop(running);
        world.handle.with(|cluster| {
            cluster.requests().map(|entry| format!("{} {} {}", entry.at, entry.verb, entry.name)).collect()
        })
    })
}

#[test]
fn the_same_world_sees_the_same_requests_in_the_same_order() {
    let first = trace();
    assert!(first.len() > 15, "{first:?}");
    for _ in 0..5 {
        assert_eq!(trace(), first);
    }
}
