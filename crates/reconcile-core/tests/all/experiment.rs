//! Experiments from the first pod to the last.

use std::time::Duration;

use object_model::Object;
use reconcile_core::experiment::ExperimentDomain;
use reconcile_core::{Action, Domain, Plan, Refusal, View, kinds};
use serde_json::{Value, json};

use crate::play::Play;

/// A template of one pod with this image.
fn template(name: &str, image: &str) -> Value {
    json!({
        "name": name, "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [
            {"name": "web", "image": image, "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}]}]}},
    })
}

fn begin(change: Value) -> Play<ExperimentDomain> {
    let mut play = Play::new(ExperimentDomain::default(), "qa", "try");
    let mut spec = json!({"templates": [template("a", "web:v1"), template("b", "web:v2")], "scaleDownDelaySeconds": 5});
    for (key, value) in change.as_object().unwrap() {
        spec[key] = value.clone();
    }
    play.put(
        &kinds::analysis_template(),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": "rate", "namespace": "qa"},
            "spec": {"args": [{"name": "hash"}], "metrics": [{"name": "rate", "provider": {"web": {"url": "http://x"}}}]},
        }),
    );
    play.put(
        &kinds::experiment(),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment",
            "metadata": {"name": "try", "namespace": "qa", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": spec,
        }),
    );
    play
}

fn analysis(name: &str, required: bool) -> Value {
    json!({"name": name, "templateName": "rate", "requiredForCompletion": required,
        "args": [{"name": "hash", "value": "{{ templates.b.podTemplateHash }} of {{templates.b.replicaset.name}} at {{experiment.availableAt}}"}]})
}

fn status(play: &Play<ExperimentDomain>) -> Value {
    play.get(&kinds::experiment(), "try").pointer("/status").cloned().unwrap_or_default()
}

fn phase(play: &Play<ExperimentDomain>) -> String {
    status(play)["phase"].as_str().unwrap_or_default().to_owned()
}

fn pods(play: &Play<ExperimentDomain>, set: &str) -> i64 {
    play.get(&kinds::replica_set(), set).int_at("/spec/replicas").unwrap()
}

fn end_run(play: &mut Play<ExperimentDomain>, run: &str, phase: &str) {
    play.change(&kinds::analysis_run(), run, |run| {
        run.set_at(&["status"], json!({"phase": phase, "message": "as measured"}));
    });
    play.settle();
}

fn find(play: &Play<ExperimentDomain>, kind: &reconcile_core::Kind, name: &str) -> Option<std::sync::Arc<Object>> {
    play.view.get(kind, "qa", name)
}

#[test]
fn sets_are_made_empty_and_filled_and_go_after_the_duration_and_the_delay() {
    let mut play = begin(json!({"duration": "30s"}));
    play.step();
    assert_eq!((pods(&play, "try-a"), phase(&play).as_str()), (0, "Pending"));
    play.controllers();
    play.settle();
    assert_eq!((pods(&play, "try-a"), pods(&play, "try-b"), phase(&play).as_str()), (1, 1, "Running"));
    let set = play.get(&kinds::replica_set(), "try-a");
    assert_eq!(set.annotation("experiment.argoproj.io/name"), Some("try"));
    assert_eq!(set.annotation("experiment.argoproj.io/template-name"), Some("a"));
    let hash = set.label("rollouts-pod-template-hash").unwrap();
    assert_eq!(set.str_at("/spec/selector/matchLabels/rollouts-pod-template-hash"), Some(hash));
    assert_eq!(set.str_at("/spec/template/metadata/labels/rollouts-pod-template-hash"), Some(hash));
    assert_eq!(status(&play)["availableAt"], "2026-01-01T00:00:00Z");
    assert_eq!(status(&play)["conditions"][0]["reason"], "NewReplicaSetAvailable");
    play.pass(Duration::from_secs(29));
    play.settle();
    assert_eq!(phase(&play), "Running");
    play.pass(Duration::from_secs(1));
    play.settle();
    assert_eq!((pods(&play, "try-a"), phase(&play).as_str()), (1, "Successful"));
    play.pass(Duration::from_secs(5));
    play.settle();
    assert_eq!((pods(&play, "try-a"), pods(&play, "try-b")), (0, 0));
    assert_eq!(status(&play)["conditions"][0]["reason"], "ExperimentCompleted");
    let log = play.take_log();
    for text in [
        "event ExperimentPending Experiment transitioned from  -> Pending",
        "event ExperimentRunning Experiment transitioned from Pending -> Running",
        "event ExperimentSuccessful Experiment transitioned from Running -> Successful",
        "event TemplateProgressing Template 'a' transitioned from  -> Progressing",
        "event TemplateRunning Template 'a' transitioned from Progressing -> Running",
        "event ScalingReplicaSet Scaled up ReplicaSet try-a from 0 to 1",
        "event ScalingReplicaSet Scaled down ReplicaSet try-b from 1 to 0",
    ] {
        assert_eq!(log.matches(text).count(), 1, "{text} in\n{log}");
    }
    play.pass(Duration::from_secs(1_000));
    assert!(play.plan().is_empty(), "an experiment that is over rests");
}

#[test]
fn a_service_is_there_while_its_pods_are() {
    let mut one = template("a", "web:v1");
    one["service"] = json!({"name": "mine"});
    let mut other = template("b", "web:v2");
    other["service"] = json!({});
    let mut play = begin(json!({"duration": "10s", "templates": [one, other]}));
    play.settle();
    let service = find(&play, &kinds::service(), "mine").unwrap();
    assert_eq!(
        service.pointer("/spec/ports").unwrap(),
        &json!([{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 80}])
    );
    let set = play.get(&kinds::replica_set(), "try-a");
    assert_eq!(service.pointer("/spec/selector"), set.pointer("/metadata/labels"));
    let template = &status(&play)["templateStatuses"][0];
    assert_eq!(template["serviceName"], "mine");
    assert_eq!(template["podTemplateHash"].as_str(), set.label("rollouts-pod-template-hash"));
    assert!(find(&play, &kinds::service(), "try-b").is_some());
    play.pass(Duration::from_secs(10));
    play.settle();
    assert!(find(&play, &kinds::service(), "mine").is_some(), "its pods are still there");
    play.pass(Duration::from_secs(5));
    play.settle();
    assert!(find(&play, &kinds::service(), "mine").is_none() && find(&play, &kinds::service(), "try-b").is_none());
    assert_eq!(status(&play)["templateStatuses"][0].get("serviceName"), None);
}

#[test]
fn analyses_begin_when_all_pods_are_available_and_decide() {
    for (outcome, phase_then) in
        [("Successful", "Running"), ("Failed", "Failed"), ("Error", "Error"), ("Inconclusive", "Inconclusive")]
    {
        let mut play = begin(json!({"analyses": [analysis("x", false)]}));
        play.broken_images.insert("web:v2".to_owned());
        play.settle();
        assert!(find(&play, &kinds::analysis_run(), "try-x").is_none(), "one pod is missing");
        play.broken_images.clear();
        play.controllers();
        play.settle();
        let run = play.get(&kinds::analysis_run(), "try-x");
        let hash = play.get(&kinds::replica_set(), "try-b").label("rollouts-pod-template-hash").unwrap().to_owned();
        let wanted = format!("{hash} of try-b at 2026-01-01T00:00:00Z");
        assert_eq!(run.str_at("/spec/args/0/value"), Some(wanted.as_str()));
        end_run(&mut play, "try-x", outcome);
        assert_eq!(phase(&play), phase_then, "{outcome}");
        if outcome != "Successful" {
            assert_eq!(status(&play)["message"], "as measured");
            play.pass(Duration::from_secs(5));
            play.settle();
            assert_eq!(pods(&play, "try-a"), 0);
        }
    }
}

#[test]
fn required_analyses_end_it_and_take_the_others_along() {
    let mut play = begin(json!({"analyses": [analysis("x", true), analysis("y", false)]}));
    play.settle();
    end_run(&mut play, "try-x", "Successful");
    assert_eq!(phase(&play), "Successful");
    assert_eq!(status(&play)["message"], "Required AnalysisRuns completed");
    assert_eq!(play.get(&kinds::analysis_run(), "try-y").bool_at("/spec/terminate"), Some(true));
}

#[test]
fn pods_that_do_not_come_in_time_fail_it() {
    let mut play = begin(json!({"progressDeadlineSeconds": 60}));
    play.broken_images.insert("web:v2".to_owned());
    play.settle();
    play.pass(Duration::from_secs(60));
    play.settle();
    assert_eq!(phase(&play), "Failed");
    assert_eq!(status(&play)["message"], "Template 'b' exceeded its progressDeadlineSeconds (60)");
    play.pass(Duration::from_secs(5));
    play.settle();
    assert_eq!((pods(&play, "try-a"), pods(&play, "try-b")), (0, 0));
}

#[test]
fn a_person_may_end_it_and_a_person_may_try_again() {
    let mut play = begin(json!({"analyses": [analysis("x", false)]}));
    play.settle();
    play.change(&kinds::experiment(), "try", |it| it.set_at(&["spec", "terminate"], true.into()));
    play.settle();
    assert_eq!(phase(&play), "Successful");
    assert_eq!(play.get(&kinds::analysis_run(), "try-x").bool_at("/spec/terminate"), Some(true));
    play.pass(Duration::from_secs(5));
    play.settle();
    assert_eq!(pods(&play, "try-a"), 0);
    // `retry` empties the status; the run of the first try is not counted again.
    end_run(&mut play, "try-x", "Failed");
    play.change(&kinds::experiment(), "try", |it| {
        it.set_at(&["spec", "terminate"], false.into());
        it.json_mut().remove("status");
    });
    play.pass(Duration::from_secs(5));
    play.settle();
    assert_eq!((pods(&play, "try-a"), phase(&play).as_str()), (1, "Running"));
    assert_eq!(play.get(&kinds::replica_set(), "try-a").annotation("scale-down-deadline"), None);
    assert_eq!(status(&play)["analysisRuns"][0]["analysisRun"], "try-x.1");
}

#[test]
fn a_crash_between_a_write_and_the_status_makes_nothing_twice() {
    let mut play = begin(json!({"analyses": [analysis("x", false)]}));
    play.settle();
    let running = status(&play);
    // The last status write was lost: the run is there, the status does not name it.
    play.change(&kinds::experiment(), "try", |it| {
        let mut lost = running.clone();
        lost.as_object_mut().unwrap().remove("analysisRuns");
        it.set_at(&["status"], lost);
    });
    play.take_log();
    play.settle();
    assert!(!play.take_log().contains("create "), "nothing is made again");
    assert_eq!(status(&play)["analysisRuns"][0]["analysisRun"], "try-x");
}

#[test]
fn what_cannot_be_made_is_told_and_ends_it() {
    let mut play = begin(json!({}));
    let target = reconcile_core::ObjectRef {
        kind: kinds::replica_set(),
        namespace: Some("qa".to_owned()),
        name: "try-b".to_owned(),
    };
    let refusal = Refusal { message: "exceeded quota".to_owned(), at: play.view.now, attempts: 1, may_pass: false };
    let uid = play.get(&kinds::experiment(), "try").uid().unwrap();
    play.view.refusals.insert((uid, target), refusal);
    play.settle();
    assert_eq!(status(&play)["message"], "Failed to create ReplicaSet for template 'b': exceeded quota");
}

#[test]
fn a_name_that_is_somebody_elses_is_counted_and_another_one_is_taken() {
    for (taken, wanted) in [(vec!["try-a"], 1), (vec!["try-a", "try-a-1"], 2)] {
        let mut play = begin(json!({"templates": [template("a", "web:v1"), template("b", "web:v2")]}));
        for name in taken {
            play.put(&kinds::replica_set(), play_set(name));
        }
        play.settle();
        let own = format!("try-a-{wanted}");
        assert_eq!((phase(&play).as_str(), pods(&play, "try-a"), pods(&play, &own)), ("Running", 0, 1));
        let told = status(&play);
        assert_eq!(told["templateStatuses"][0]["collisionCount"], wanted);
        assert_eq!(told["templateStatuses"][1].get("collisionCount"), None);
        let hash = |set: &str| {
            let set = play.get(&kinds::replica_set(), set);
            set.label("rollouts-pod-template-hash").map(str::to_owned)
        };
        let mut bare = begin(json!({}));
        bare.settle();
        let plain = bare.get(&kinds::replica_set(), "try-a").label("rollouts-pod-template-hash").map(str::to_owned);
        assert!(hash(&own).is_some() && hash(&own) != plain, "the hash is salted with the count, as Argo's is");
    }
}

fn play_set(name: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "namespace": "qa"},
        "spec": {"replicas": 0, "template": {"spec": {"containers": [{"name": "web", "image": "x"}]}}},
    })
}

#[test]
fn a_set_of_an_earlier_life_is_waited_for() {
    let mut play = begin(json!({}));
    let mut other = play_set("try-a");
    other["metadata"]["ownerReferences"] = json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "name": "try", "uid": "earlier", "controller": true}]);
    play.put(&kinds::replica_set(), other);
    play.settle();
    assert_eq!(phase(&play), "Pending");
    play.view.objects.retain(|(kind, _, name), _| kind.kind != "ReplicaSet" || name != "try-a");
    play.settle();
    assert_eq!(phase(&play), "Running");
}

#[test]
fn a_template_of_an_analysis_may_come_a_little_later_but_not_much() {
    let mut missing = analysis("x", false);
    missing["templateName"] = "nowhere".into();
    let mut play = begin(json!({"analyses": [missing]}));
    play.broken_images.insert("web:v2".to_owned());
    play.settle();
    assert_eq!(phase(&play), "Pending");
    play.pass(Duration::from_secs(10));
    play.settle();
    assert_eq!(phase(&play), "Error");
    let message = status(&play)["analysisRuns"][0]["message"].as_str().unwrap().to_owned();
    assert_eq!(
        message,
        "AnalysisTemplate verification failed for analysis 'x': analysistemplate.argoproj.io \"nowhere\" not found"
    );
}

#[test]
fn an_unusable_spec_touches_nothing_and_is_told_once() {
    let mut play = begin(json!({"templates": [{"name": "a", "selector": {}}]}));
    play.settle();
    let condition = &status(&play)["conditions"][0];
    assert_eq!((condition["type"].as_str(), condition["status"].as_str()), (Some("InvalidSpec"), Some("True")));
    assert_eq!(play.take_log().matches("event InvalidSpec").count(), 1);
    assert_eq!(play.view.list(&kinds::replica_set(), "qa").len(), 0);
    play.change(&kinds::experiment(), "try", |it| it.set_at(&["spec", "templates"], json!([template("a", "web:v1")])));
    play.settle();
    assert_eq!((phase(&play).as_str(), status(&play)["conditions"].as_array().unwrap().len()), ("Running", 1));
}

#[test]
fn pods_with_traffic_stay_whatever_the_delay_says() {
    let mut one = template("a", "web:v1");
    one["service"] = json!({});
    let mut play = begin(json!({"templates": [one], "scaleDownDelaySeconds": 0}));
    let rollout = |shares: Value| {
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "web", "namespace": "qa", "uid": "r"},
            "status": {"canary": {"weights": {"additional": shares}}},
        })
    };
    play.put(&kinds::rollout(), rollout(json!([{"serviceName": "try-a", "weight": 20}])));
    play.change(&kinds::experiment(), "try", |it| {
        it.set_at(&["metadata", "ownerReferences"], json!([{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "web", "uid": "r", "controller": true}]));
    });
    play.settle();
    play.change(&kinds::experiment(), "try", |it| it.set_at(&["spec", "terminate"], true.into()));
    play.settle();
    assert_eq!((phase(&play).as_str(), pods(&play, "try-a")), ("Successful", 1));
    // The second opinion says so by itself.
    let snapshot = play.domain.observe(&play.view, &play.key).unwrap();
    let mut plan = Plan::empty();
    let set = play.get(&kinds::replica_set(), "try-a");
    plan.stage(vec![reconcile_core::Act::new(Action::Patch {
        target: reconcile_core::ObjectRef::of(&kinds::replica_set(), &set),
        patch: json!({"spec": {"replicas": 0}}),
        precondition: reconcile_core::Precondition::exact(&set),
    })]);
    assert_eq!(play.domain.check(&snapshot, &plan)[0].rule, "traffic-leaves-before-pods");
    play.put(&kinds::rollout(), rollout(json!([])));
    play.settle();
    assert_eq!(pods(&play, "try-a"), 0);
    assert!(find(&play, &kinds::service(), "try-a").is_none());
}

#[test]
fn the_second_opinion_refuses_what_is_not_its_own() {
    let mut play = begin(json!({}));
    play.settle();
    let snapshot = play.domain.observe(&play.view, &play.key).unwrap();
    let rules = |action: Action| -> Vec<&'static str> {
        let mut plan = Plan::empty();
        plan.stage(vec![reconcile_core::Act::new(action)]);
        play.domain.check(&snapshot, &plan).iter().map(|violation| violation.rule).collect()
    };
    let set = play.get(&kinds::replica_set(), "try-a");
    let resize = |replicas: u32| Action::Patch {
        target: reconcile_core::ObjectRef::of(&kinds::replica_set(), &set),
        patch: json!({"spec": {"replicas": replicas}}),
        precondition: reconcile_core::Precondition::exact(&set),
    };
    assert_eq!(rules(resize(1)), [""; 0]);
    assert_eq!(rules(resize(2)), ["no-more-than-asked"]);
    let foreign = Object::parse(play_set("other")).unwrap();
    let made = Action::Create { kind: kinds::replica_set(), object: Box::new(foreign.clone()) };
    assert_eq!(rules(made), ["made-for-this-experiment"]);
    let gone = Action::Delete {
        target: reconcile_core::ObjectRef::of(&kinds::replica_set(), &set),
        precondition: reconcile_core::Precondition::exact(&set),
        propagation: reconcile_core::Propagation::Background,
    };
    assert_eq!(rules(gone), ["only-own-services"]);
}
