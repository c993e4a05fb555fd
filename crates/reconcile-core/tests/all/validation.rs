//! What makes a spec invalid, in Argo's words: the first mistake is told.

use reconcile_core::rollout::RolloutDomain;
use reconcile_core::{Wake, kinds};
use serde_json::{Value, json};

use crate::play::Play;
use crate::rollout::{rollout, service};

fn message(spec: &[(&str, Value)], strategy: Value) -> String {
    let mut play = Play::new(RolloutDomain::default(), "qa", "web");
    for name in ["web-canary", "web-stable"] {
        play.put(&kinds::service(), service(name));
    }
    let mut other = service("other");
    other["spec"]["selector"] = json!({"app": "other"});
    play.put(&kinds::service(), other);
    let mut owned = service("owned");
    owned["metadata"]["annotations"] = json!({"argo-rollouts.argoproj.io/managed-by-rollouts": "somebody"});
    play.put(&kinds::service(), owned);
    for (name, interval) in [("once", Value::Null), ("endless", json!("5s"))] {
        play.put(
            &kinds::analysis_template(),
            json!({
                "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisTemplate", "metadata": {"name": name, "namespace": "qa"},
                "spec": {"metrics": [{"name": "m", "interval": interval, "provider": {"web": {"url": "http://ask.example.com"}}}]},
            }),
        );
    }
    let mut object = rollout(json!({}));
    object["spec"]["strategy"] = strategy;
    for (pointer, value) in spec {
        let mut parsed = object_model::Object::parse(object).unwrap();
        parsed.set_at(&pointer.split('/').collect::<Vec<_>>(), value.clone());
        object = parsed.into_json();
    }
    play.put(&kinds::rollout(), object);
    play.settle();
    let told = play.get(&kinds::rollout(), "web").str_at("/status/message").unwrap_or_default().to_owned();
    told.strip_prefix("InvalidSpec: The Rollout \"web\" is invalid: ").unwrap_or(&told).to_owned()
}

fn canary(change: Value) -> Value {
    json!({"canary": change})
}

fn routed(provider: &str, change: Value) -> Value {
    let mut strategy =
        json!({"canaryService": "web-canary", "stableService": "web-stable", "trafficRouting": {provider: {}}});
    for (key, value) in change.as_object().unwrap() {
        strategy[key] = value.clone();
    }
    json!({"canary": strategy})
}

#[test]
fn the_spec_itself() {
    for (spec, wanted) in [
        (("spec/replicas", json!(-1)), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
        (("spec/selector", Value::Null), "spec.selector: Required value: Rollout has missing field '.spec.selector'"),
        (("spec/selector", json!({})), "spec.selector: Invalid value: {}: empty selector is invalid for deployment"),
        (
            ("spec/template/metadata/labels", json!({"app": "x"})),
            "spec.template.metadata.labels: Invalid value: {\"app\":\"x\"}: `selector` does not match template `labels`",
        ),
        (("spec/template/spec/containers", json!([])), "spec.template.spec.containers: Required value"),
        (
            ("spec/minReadySeconds", json!(-1)),
            "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            ("spec/revisionHistoryLimit", json!(-1)),
            "spec.revisionHistoryLimit: Invalid value: -1: must be greater than or equal to 0",
        ),
        (
            ("spec/minReadySeconds", json!(600)),
            "spec.progressDeadlineSeconds: Invalid value: 600: must be greater than minReadySeconds",
        ),
    ] {
        assert_eq!(message(&[spec], canary(json!({}))), wanted);
    }
}

#[test]
fn the_strategies() {
    let same = "This rollout uses the same service for the";
    for (strategy, wanted) in [
        (json!({}), "spec.strategy.strategy: Required value: Rollout has missing field '.spec.strategy.canary or .spec.strategy.blueGreen'".to_owned()),
        (json!({"canary": {}, "blueGreen": {}}), "spec.strategy.strategy: Invalid value: \"blueGreen: true canary: true\": Multiple Strategies can not be listed".to_owned()),
        (json!({"blueGreen": {"activeService": "a", "previewService": "a"}}), format!("spec.strategy.activeService: Invalid value: \"a\": {same} active and preview services, but two different services are required.")),
        (json!({"blueGreen": {"activeService": "web-stable", "scaleDownDelayRevisionLimit": 11}}), "spec.strategy.scaleDownDelayRevisionLimit: Invalid value: 11: This rollout's revision history limit can not be smaller than the rollout's scale down limit".to_owned()),
        (canary(json!({"maxSurge": 0, "maxUnavailable": "0%"})), "spec.strategy.maxSurge: Invalid value: 0: MaxSurge and MaxUnavailable both can not be zero".to_owned()),
        (canary(json!({"canaryService": "a", "stableService": "a"})), format!("spec.strategy.stableService: Invalid value: \"a\": {same} stable and canary services, but two different services are required.")),
        (canary(json!({"trafficRouting": {"smi": {}}})), "spec.strategy.stableService: Invalid value: \"\": Canary service and Stable service must to be set to use Traffic Routing".to_owned()),
        (canary(json!({"scaleDownDelaySeconds": 3})), "spec.strategy.scaleDownDelaySeconds: Invalid value: 3: Canary scaleDownDelaySeconds can only be used with traffic routing".to_owned()),
        (canary(json!({"dynamicStableScale": true})), "spec.strategy.dynamicStableScale: Invalid value: true: Canary dynamicStableScale can only be used with traffic routing".to_owned()),
        (routed("smi", json!({"dynamicStableScale": true, "scaleDownDelaySeconds": 3})), "spec.strategy.dynamicStableScale: Invalid value: true: Canary dynamicStableScale cannot be used with scaleDownDelaySeconds".to_owned()),
        (routed("smi", json!({"trafficRouting": {"smi": {}, "maxTrafficWeight": 1000}})), "spec.strategy.trafficRouting.maxTrafficWeight: Invalid value: 1000: Canary maxTrafficWeight in traffic routing only supported in Nginx and Plugins".to_owned()),
        (routed("nginx", json!({"trafficRouting": {"nginx": {"stableIngress": "a"}, "maxTrafficWeight": 0}})), "spec.strategy.trafficRouting.maxTrafficWeight: Invalid value: 0: needs to be at least 1".to_owned()),
        (routed("nginx", json!({"trafficRouting": {"nginx": {"stableIngress": "a"}, "maxTrafficWeight": 1000}, "steps": [{"setWeight": 1001}]})), "spec.strategy.steps[0].setWeight: Invalid value: 1001: SetWeight needs to be between 0 and 1000".to_owned()),
        (canary(json!({"antiAffinity": {}})), "spec.strategy.antiAffinity: Invalid value: \"antiAffinity.PreferredDuringSchedulingIgnoredDuringExecution: false antiAffinity.RequiredDuringSchedulingIgnoredDuringExecution: false\": AntiAffinity must have exactly one strategy listed".to_owned()),
        (canary(json!({"antiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 0}}})), "spec.strategy.antiAffinity.weight: Invalid value: 0: AntiAffinity weight must be between 1-100".to_owned()),
    ] {
        assert_eq!(message(&[], strategy), wanted);
    }
}

#[test]
fn the_steps() {
    let step = |step: Value| canary(json!({"steps": [step]}));
    let routed_step = |provider: &str, step: Value| {
        routed(
            provider,
            json!({"steps": [step], "trafficRouting": {provider: {}, "managedRoutes": [{"name": "known"}]}}),
        )
    };
    let header = |name: &str, value: Value| json!({"setHeaderRoute": {"name": name, "match": [{"headerName": "h", "headerValue": value}]}});
    for (strategy, wanted) in [
        (
            step(json!({"setWeight": 101})),
            "spec.strategy.steps[0].setWeight: Invalid value: 101: SetWeight needs to be between 0 and 100",
        ),
        (
            step(json!({"setWeight": 1, "pause": {}})),
            "spec.strategy.steps[0]: Invalid value: \"step.Experiment: false step.Pause: true step.SetWeight: true step.Analysis: false\": Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause",
        ),
        (
            step(json!({})),
            "spec.strategy.steps[0]: Invalid value: \"step.Experiment: true step.Pause: true step.SetWeight: true step.Analysis: true step.SetCanaryScale: true step.SetHeaderRoute: true step.SetMirrorRoute: true step.Plugin: true\": Step must have one of the following set: experiment, setWeight, setCanaryScale, plugin or pause",
        ),
        (
            step(json!({"pause": {"duration": -5}})),
            "spec.strategy.steps[0].pause.duration: Invalid value: -5: Duration needs to be greater than 0",
        ),
        (
            step(json!({"pause": {"duration": "-10m"}})),
            "spec.strategy.steps[0].pause.duration: Invalid value: -600: Duration needs to be greater than 0",
        ),
        (
            step(json!({"pause": {"duration": "soon"}})),
            "spec.strategy.steps[0].pause.duration: Invalid value: -1: Duration needs to be greater than 0",
        ),
        (
            step(json!({"setCanaryScale": {"replicas": 1}})),
            "spec.strategy.trafficRouting: Required value: SetCanaryScale requires TrafficRouting to be set",
        ),
        (
            step(header("known", json!({"exact": "x"}))),
            "spec.strategy.steps[0].setHeaderRoute: Invalid value: {\"name\":\"known\",\"match\":[{\"headerName\":\"h\",\"headerValue\":{\"exact\":\"x\"}}]}: SetHeaderRoute requires TrafficRouting, supports Istio and ALB and Apisix",
        ),
        (
            routed_step("smi", json!({"setMirrorRoute": {"name": "known", "percentage": 5}})),
            "spec.strategy.steps[0].setMirrorRoute: Invalid value: {\"name\":\"known\",\"percentage\":5}: SetMirrorRoute requires TrafficRouting, supports Istio and Plugins",
        ),
        (
            routed_step("istio", header("known", json!({"exact": "x", "prefix": "y"}))),
            "spec.strategy.steps[0].setHeaderRoute.match[0]: Invalid value: {\"exact\":\"x\",\"prefix\":\"y\"}: StringMatch match value must have exactly one of the following: exact, regex, prefix",
        ),
        (
            routed_step("alb", header("known", json!({"prefix": "y"}))),
            "spec.strategy.steps[0].setHeaderRoute.match[0]: Invalid value: {\"prefix\":\"y\"}: SetHeaderRoute match value invalid. ALB supports 'exact' value only",
        ),
        (
            routed_step("istio", header("unknown", json!({"exact": "x"}))),
            "spec.strategy.steps[0].setHeaderRoute: Invalid value: \"unknown\": Steps define a route that does not exist in spec.strategy.canary.trafficRouting.managedRoutes",
        ),
        (
            routed("istio", json!({"steps": [header("a", json!({"exact": "x"}))]})),
            "spec.strategy.trafficRouting.managedRoutes: Required value: Rollout has missing field 'spec.strategy.canary.trafficRouting.managedRoutes'",
        ),
        (
            step(
                json!({"analysis": {"templates": [{"templateName": "once"}], "args": [{"name": "a", "valueFrom": {"fieldRef": {"fieldPath": "metadata.foo"}}}]}}),
            ),
            "spec.strategy.steps[0].analyses: Invalid value: [{\"name\":\"a\",\"valueFrom\":{\"fieldRef\":{\"fieldPath\":\"metadata.foo\"}}}]: Analyses arguments must refer to valid object metadata supported by downwardAPI",
        ),
    ] {
        assert_eq!(message(&[], strategy), wanted);
    }
}

#[test]
fn what_is_referred_to() {
    let analysis = |name: &str| json!({"analysis": {"templates": [{"templateName": name}]}});
    for (strategy, wanted) in [
        (
            canary(json!({"stableService": "gone"})),
            "spec.strategy.canary.stableService: Invalid value: \"gone\": service \"gone\" not found",
        ),
        (
            canary(json!({"canaryService": "other"})),
            "spec.strategy.canary.canaryService: Invalid value: \"other\": Service \"other\" has unmatch label \"app\" in rollout",
        ),
        (
            json!({"blueGreen": {"activeService": "owned"}}),
            "spec.strategy.blueGreen.activeService: Invalid value: \"owned\": Service \"owned\" is managed by another Rollout",
        ),
        (
            canary(analysis("gone")),
            "spec.strategy.canary.analysis.templates: Invalid value: \"gone\": AnalysisTemplate 'gone' not found",
        ),
        (
            canary(json!({"steps": [analysis("gone")]})),
            "spec.strategy.canary.steps[0].analysis.templates: Invalid value: \"gone\": AnalysisTemplate 'gone' not found",
        ),
        (
            canary(json!({"steps": [analysis("endless")]})),
            "spec.strategy.canary.steps[0].analysis.templates: Invalid value: \"endless\": AnalysisTemplate endless has metric m which runs indefinitely. Invalid value for count: <nil>",
        ),
        (
            json!({"blueGreen": {"activeService": "web-stable", "prePromotionAnalysis": {"templates": [{"templateName": "all", "clusterScope": true}]}}}),
            "spec.strategy.blueGreen.prePromotionAnalysis.templates: Invalid value: \"all\": ClusterAnalysisTemplate 'all' not found",
        ),
    ] {
        assert_eq!(message(&[], strategy), wanted);
    }
    assert_eq!(message(&[], canary(analysis("endless"))), "", "an analysis in the background ends with the update");
}

#[test]
fn what_is_named_may_be_seen_later_than_the_rollout() {
    let analysis = |name: &str| canary(json!({"analysis": {"templates": [{"templateName": name}]}}));
    for (changed, strategy, is_told) in [
        ("2025-12-31T23:59:59Z", analysis("gone"), false),
        ("2025-12-31T23:59:57Z", analysis("gone"), true),
        ("2026-01-01T00:01:00Z", analysis("gone"), true),
        ("2025-12-31T23:59:59Z", canary(json!({"steps": [{"setWeight": 101}]})), true),
    ] {
        let mut play = Play::new(RolloutDomain::default(), "qa", "web");
        let mut object = rollout(json!({}));
        object["spec"]["strategy"] = strategy.clone();
        object["metadata"]["managedFields"] = json!([
            {"manager": "sluice-sync", "operation": "Apply", "time": changed},
            {"manager": "sluice-rollout", "operation": "Update", "subresource": "status", "time": "2026-01-01T00:00:00Z"},
        ]);
        play.put(&kinds::rollout(), object);
        let plan = play.plan();
        assert_eq!(plan.status.is_some(), is_told, "{changed} {strategy}");
        assert_eq!(plan.report.waiting.is_empty(), is_told);
        assert_eq!(matches!(plan.wake, Wake::At(_)), !is_told, "it looks again by itself");
    }
}
