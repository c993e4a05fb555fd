//! Health by the rules of the config.

use serde_json::{Value, json};

use super::world::{World, annotated, config_kind, config_map, job};
use reconcile_core::kinds;

const BY_COLOR: &str = "if obj.data.color == 'blue' then return {status = 'Healthy'} end
return {status = 'Degraded', message = 'it is ' .. obj.data.color}";

#[test]
fn a_script_of_the_config_judges_its_objects() {
    let script = json!({"kind": "ConfigMap", "lua": BY_COLOR});
    let mut world = World::new(json!({"health": {"scripts": [script]}}));
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    assert!(world.says("Ready").starts_with("True Healthy"), "{}", world.says("Ready"));
    world.commit(&[config_map("a", "red")]);
    world.settle();
    assert_eq!(world.says("Ready"), "False Degraded ConfigMap qa/a: it is red");
}

#[test]
fn scripts_come_from_a_config_map_as_argo_has_it_and_nothing_is_judged_without_it() {
    let rules = |key: &str, script: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rules", "namespace": "qa"}, "data": {key: script}});
    let mut world = World::new(json!({"health": {"lua": {"configMapRef": {"name": "rules"}}}}));
    world.commit(&[config_map("a", "red")]);
    world.settle();
    assert!(
        world.says("Ready").contains("ConfigMap qa/rules with the health scripts is not there"),
        "{}",
        world.says("Ready")
    );
    world.put(&kinds::config_map(), rules("resource.customizations.health.ConfigMap", BY_COLOR));
    world.settle();
    assert_eq!(world.says("Ready"), "False Degraded ConfigMap qa/a: it is red");
    world.put(&kinds::config_map(), rules("resource.customizations", "{"));
    world.settle();
    assert!(world.says("Ready").contains("`resource.customizations` can't be read"), "{}", world.says("Ready"));
}

#[test]
fn a_wave_waits_until_the_rules_of_the_config_call_the_one_before_healthy() {
    let expression = json!({"apiVersion": "v1", "kind": "ConfigMap", "current": "data.color == 'blue'"});
    let mut world = World::new(json!({"healthCheckExprs": [expression]}));
    let second = annotated(config_map("second", "blue"), json!({"argocd.argoproj.io/sync-wave": "1"}));
    world.commit(&[config_map("first", "red"), second.clone()]);
    assert!(!world.settle().contains("apply ConfigMap second"));
    assert!(world.says("Ready").contains("wave 0: ConfigMap qa/first is not healthy yet"), "{}", world.says("Ready"));
    world.commit(&[config_map("first", "blue"), second]);
    assert!(world.settle().contains("apply ConfigMap second"));
    assert!(world.says("Ready").starts_with("True"), "{}", world.says("Ready"));
}

#[test]
fn a_job_that_runs_is_fine_for_kstatus_but_not_the_end_of_a_hook() {
    let plain = |name: &str| json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {}});
    let hook = annotated(plain("before"), json!({"argocd.argoproj.io/hook": "PreSync"}));
    for (profile, ready) in [("argo", "Unknown Progressing"), ("kstatus", "True Healthy")] {
        let mut world = World::new(json!({"health": {"profile": profile}}));
        world.commit(&[plain("work"), hook.clone()]);
        world.settle();
        let running = json!({"status": {"startTime": "2026-01-01T00:00:00Z", "active": 1}});
        world.change(&job(), "before", running.clone());
        assert!(!world.settle().contains("apply Job work"), "{profile}: the hook is not over");
        world.change(&job(), "before", json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}}));
        assert!(world.settle().contains("apply Job work"), "{profile}");
        world.change(&job(), "work", running);
        world.settle();
        assert!(world.says("Ready").starts_with(ready), "{profile}: {}", world.says("Ready"));
    }
}

#[test]
fn an_expression_that_can_not_be_read_is_a_problem_of_the_spec() {
    let rule: Value = json!({"apiVersion": "v1", "kind": "ConfigMap", "current": "data.color =="});
    let mut world = World::new(json!({"health": {"exprs": [rule]}}));
    world.commit(&[config_map("a", "blue")]);
    assert_eq!(world.settle().matches("apply").count(), 0);
    assert!(
        world.says("Ready").starts_with("False InvalidSpec spec.health.exprs[0].current: "),
        "{}",
        world.says("Ready")
    );
    world.change(&config_kind(), "shop", json!({"spec": {"health": null}}));
    assert!(world.settle().contains("apply ConfigMap a"));
}
