//! What is particular to one provider.

use insta::assert_snapshot;
use object_model::Weight;
use serde_json::{Value, json};
use traffic_split::{Action, Destination, HeaderRoute, Live, MirrorRoute, Split, observe, plan, restore};

use crate::istio::{after, live, split};
use crate::providers::{all, ingress, object, settle, targets};

fn of(wanted: &str) -> (Value, Live) {
    let (_, routing, objects) = all().into_iter().find(|(name, ..)| *name == wanted).unwrap();
    (routing, objects)
}

fn by_header(mut split: Split, value: Value) -> Split {
    let step = json!({"name": "by-header", "match": [
        {"headerName": "x-user", "headerValue": value}, {"headerName": "x-user", "headerValue": {"exact": "me"}},
    ]});
    split.header_routes.extend(HeaderRoute::parse(&step).unwrap().1);
    split.managed_routes = vec!["mirror".to_owned(), "by-header".to_owned()];
    split
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn an_alb_action_is_written_as_argo_rollouts_writes_it_and_an_equal_one_is_left_alone() {
    let routing = json!({"alb": {"ingress": "a", "servicePort": 443, "stickinessConfig": {"enabled": true, "durationSeconds": 3600}}});
    let targets = targets(&routing);
    let mut wanted = split(15);
    wanted.additional.push((Destination::service("exp"), Weight::new(5).unwrap()));
    let objects = settle(&wanted, &targets, live([ingress("a", "stable")]));
    let written = objects.values().next().unwrap();
    assert_snapshot!(written.annotation("alb.ingress.kubernetes.io/actions.stable").unwrap(), @r#"{"Type":"forward","ForwardConfig":{"TargetGroups":[{"ServiceName":"canary","ServicePort":"443","Weight":15},{"ServiceName":"exp","ServicePort":"443","Weight":5},{"ServiceName":"stable","ServicePort":"443","Weight":80}],"TargetGroupStickinessConfig":{"Enabled":true,"DurationSeconds":3600}}}"#);
    assert_snapshot!(written.annotation("rollouts.argoproj.io/managed-alb-annotations").unwrap(), @r#"{"web":["alb.ingress.kubernetes.io/actions.stable"]}"#);
    let mut other_order = written.clone();
    let parsed: Value =
        serde_json::from_str(written.annotation("alb.ingress.kubernetes.io/actions.stable").unwrap()).unwrap();
    other_order.set_annotation("alb.ingress.kubernetes.io/actions.stable", &pretty(&parsed));
    assert_eq!(plan(&wanted, &targets, &live([other_order])).changes, []);
}

#[test]
fn an_alb_header_route_has_an_action_conditions_and_a_path_before_the_others() {
    let targets = targets(&json!({"alb": {"ingress": "a", "servicePort": 80, "rootService": "root"}}));
    let before = live([ingress("a", "root")]);
    let wanted = by_header(split(10), json!({"exact": "you"}));
    let objects = settle(&wanted, &targets, before.clone());
    let written = objects.values().next().unwrap();
    assert_snapshot!(written.annotation("alb.ingress.kubernetes.io/conditions.by-header").unwrap(), @r#"[{"field":"http-header","httpHeaderConfig":{"httpHeaderName":"x-user","values":["you","me"]}}]"#);
    let path = written.pointer("/spec/rules/0/http/paths/0").unwrap();
    assert_eq!(path.pointer("/backend/service/name").unwrap(), "by-header");
    assert_eq!(written.list_at("/spec/rules/0/http/paths").len(), 2);
    let claimed: Vec<_> = plan(&wanted, &targets, &objects).claims.into_iter().map(|claim| claim.pointer).collect();
    assert!(claimed.contains(&"/spec/rules/0/http/paths".to_owned()), "{claimed:?}");
    let mut without = wanted.clone();
    without.header_routes.clear();
    let back = settle(&without, &targets, objects.clone());
    assert_eq!(back.values().next().unwrap().pointer("/spec"), before.values().next().unwrap().pointer("/spec"));
    let errors = plan(&by_header(split(10), json!({"prefix": "y"})), &targets, &before).errors;
    assert_eq!(errors[0].to_string(), "ALB does not support header routes by prefix or regex");
}

#[test]
fn other_rollouts_keep_their_record_on_a_shared_ingress() {
    let targets = targets(&json!({"alb": {"ingress": "a", "servicePort": 80, "rootService": "root"}}));
    let mut shared = ingress("a", "root");
    shared.set_annotation("rollouts.argoproj.io/managed-alb-annotations", r#"{"other":["x/actions.y"]}"#);
    let objects = settle(&split(10), &targets, live([shared]));
    let text = |objects: &Live| {
        let ingress = objects.values().next().unwrap();
        ingress.annotation("rollouts.argoproj.io/managed-alb-annotations").unwrap().to_owned()
    };
    assert_eq!(text(&objects), r#"{"other":["x/actions.y"],"web":["alb.ingress.kubernetes.io/actions.root"]}"#);
    let back = after(&restore(&split(10), &targets, &objects), &objects);
    assert_eq!(text(&back), r#"{"other":["x/actions.y"]}"#);
}

#[test]
fn a_traffic_split_is_made_for_its_owner_with_weights_in_the_words_of_its_version() {
    let targets = targets(&json!({"smi": {"rootService": "root", "trafficSplitName": "ts"}}));
    let planned = plan(&split(5), &targets, &live([]));
    let Action::Create(made) = &planned.changes[0].action else { panic!("a creation") };
    assert_snapshot!(pretty(&made.pointer("/spec").unwrap().clone()), @r#"
{
  "backends": [
    {
      "service": "canary",
      "weight": "5"
    },
    {
      "service": "stable",
      "weight": "95"
    }
  ],
  "service": "root"
}
"#);
    assert_eq!(made.controller().unwrap().name, "web");
    let mut newer = made.clone();
    newer.json_mut().insert("apiVersion".to_owned(), "split.smi-spec.io/v1alpha2".into());
    let next = after(&plan(&split(25), &targets, &live([newer.clone()])), &live([newer.clone()]));
    assert_eq!(next.values().next().unwrap().int_at("/spec/backends/0/weight"), Some(25));
    newer.set_at(&["metadata", "ownerReferences"], json!([]));
    let errors = plan(&split(5), &targets, &live([newer])).errors;
    assert_eq!(errors[0].to_string(), "Rollout does not own TrafficSplit `ts`");
}

#[test]
fn a_canary_mapping_comes_with_weight_and_goes_after_it() {
    let (routing, objects) = of("ambassador");
    let targets = targets(&routing);
    assert_eq!(plan(&split(0), &targets, &objects).changes, [], "nothing is made for no weight");
    let taken = settle(&split(20), &targets, objects.clone());
    let canary = taken.values().find(|object| object.name() == "a-canary").unwrap();
    assert_eq!(canary.str_at("/spec/service"), Some("canary.qa:80"));
    let first = plan(&split(0), &targets, &taken);
    assert!(matches!(first.changes[0].action, Action::Update(_)), "traffic leaves first");
    let second = plan(&split(0), &targets, &after(&first, &taken));
    assert!(matches!(second.changes[0].action, Action::Delete(_)));
    let weighted = objects.into_values().map(|mut mapping| {
        mapping.set_at(&["spec", "weight"], 20.into());
        mapping
    });
    let errors = plan(&split(20), &targets, &live(weighted)).errors;
    assert_eq!(errors[0].to_string(), "Ambassador mapping `a` spec.weight can not be defined");
}

#[test]
fn virtual_nodes_select_the_pods_of_their_version_and_only_named_routes_are_set() {
    let (mut routing, objects) = of("appMesh");
    routing["appMesh"]["virtualService"]["routes"] = json!(["grpc"]);
    let targets = targets(&routing);
    let mut wanted = split(20);
    wanted.stable = wanted.stable.with_hash("old");
    let next = settle(&wanted, &targets, objects);
    let hash = |name: &str| {
        let node = next.values().find(|object| object.name() == name).unwrap();
        node.str_at("/spec/podSelector/matchLabels/rollouts-pod-template-hash").map(str::to_owned)
    };
    assert_eq!((hash("stable-node"), hash("canary-node")), (Some("old".to_owned()), None));
    let router = next.values().find(|object| object.name() == "router").unwrap();
    assert_eq!(router.int_at("/spec/routes/0/httpRoute/action/weightedTargets/1/weight"), Some(0));
    assert_eq!(router.int_at("/spec/routes/1/grpcRoute/action/weightedTargets/1/weight"), Some(20));
    let mut wanted = split(50);
    wanted.canary = wanted.canary.with_hash("new");
    let changes = plan(&wanted, &targets, &next).changes;
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().take(1).all(traffic_split::Change::selects_pods), "pods are selected before traffic moves");
}

#[test]
fn an_apisix_header_route_is_a_route_of_its_own_that_comes_and_goes() {
    let (routing, objects) = of("apisix");
    let targets = targets(&routing);
    let mut wanted = by_header(split(20), json!({"prefix": "y"}));
    let taken = settle(&wanted, &targets, objects.clone());
    let made = taken.values().find(|object| object.name() == "by-header").unwrap();
    assert_eq!(made.controller().unwrap().uid.as_str(), "r1");
    assert_snapshot!(pretty(made.pointer("/spec/http/1").unwrap()), @r#"
{
  "backends": [
    {
      "serviceName": "canary",
      "weight": 100
    }
  ],
  "match": {
    "exprs": [
      {
        "op": "RegexMatch",
        "subject": {
          "name": "x-user",
          "scope": "Header"
        },
        "value": "^y.*"
      },
      {
        "op": "Equal",
        "subject": {
          "name": "x-user",
          "scope": "Header"
        },
        "value": "me"
      }
    ]
  },
  "name": "main",
  "priority": 1
}
"#);
    wanted.header_routes.clear();
    assert_eq!(settle(&wanted, &targets, taken).len(), 1);
    let squatter = object("apisix.apache.org/v2", "ApisixRoute", "by-header", json!({}));
    let mut objects = objects;
    objects.insert(squatter.id(), squatter);
    let errors = plan(&by_header(split(20), json!({"exact": "y"})), &targets, &objects).errors;
    assert_eq!(errors[0].to_string(), "Rollout does not own ApisixRoute `by-header`");
}

fn http_route() -> traffic_split::Live {
    let pair = json!([{"name": "stable", "port": 80, "weight": 100}, {"name": "canary", "port": 80, "weight": 0}]);
    live([object(
        "gateway.networking.k8s.io/v1",
        "HTTPRoute",
        "h",
        json!({"rules": [
            {"matches": [{"path": {"type": "PathPrefix", "value": "/a"}}], "backendRefs": pair},
            {"backendRefs": pair, "filters": [{"type": "URLRewrite"}]},
            {"backendRefs": [{"name": "stable", "port": 80}]},
            {"backendRefs": [{"name": "canary", "port": 80}]},
        ]}),
    )])
}

#[test]
fn rules_of_a_route_that_lead_to_one_version_stay_as_their_user_wrote_them() {
    let targets = targets(&json!({"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "h"}}}));
    let objects = http_route();
    let full = settle(&split(100), &targets, objects.clone());
    let route = full.values().next().unwrap();
    assert_eq!(route.pointer("/spec/rules/2"), objects.values().next().unwrap().pointer("/spec/rules/2"));
    assert_eq!(route.int_at("/spec/rules/1/backendRefs/0/weight"), Some(0));
    assert_eq!(route.label("rollouts.argoproj.io/gatewayapi-canary"), Some("in-progress"));
    assert_eq!(observe(&split(100), &targets, &full).len(), 2);
    let pointers: Vec<_> = plan(&split(10), &targets, &objects).claims.into_iter().map(|claim| claim.pointer).collect();
    assert_eq!(
        pointers,
        [
            "/metadata/labels/rollouts.argoproj.io~1gatewayapi-canary",
            "/spec/rules/0/backendRefs/0/weight",
            "/spec/rules/0/backendRefs/1/weight",
            "/spec/rules/1/backendRefs/0/weight",
            "/spec/rules/1/backendRefs/1/weight",
        ]
    );
    let rest = settle(&split(0), &targets, full);
    assert_eq!(rest, objects);
}

#[test]
fn header_and_mirror_routes_stand_before_the_rules_and_leave_them_untouched() {
    let targets = targets(&json!({"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "h"}}}));
    let mut wanted = by_header(split(20), json!({"regex": "y.+"}));
    let mirror =
        json!({"name": "mirror", "percentage": 30, "match": [{"method": {"exact": "GET"}, "path": {"prefix": "/x"}}]});
    wanted.mirror_routes.extend(MirrorRoute::parse(&mirror).unwrap().1);
    let objects = settle(&wanted, &targets, http_route());
    let rules = objects.values().next().unwrap().list_at("/spec/rules");
    let names: Vec<_> = rules.iter().map(|rule| rule["name"].as_str().unwrap_or("-")).collect();
    assert_eq!(names, ["mirror", "mirror-1", "by-header", "by-header-1", "-", "-", "-", "-"]);
    assert_eq!(
        rules[0]["filters"][0]["requestMirror"],
        json!({"backendRef": {"name": "canary", "port": 80}, "percent": 30})
    );
    assert_eq!(rules[0]["matches"], json!([{"method": "GET", "path": {"type": "PathPrefix", "value": "/x"}}]));
    assert_eq!(rules[1]["filters"][0], json!({"type": "URLRewrite"}));
    assert_eq!(rules[2]["backendRefs"], json!([{"name": "canary", "port": 80}]));
    assert_eq!(
        rules[2]["matches"],
        json!([
            {"path": {"type": "PathPrefix", "value": "/a"}, "headers": [{"type": "RegularExpression", "name": "x-user", "value": "y.+"}]},
            {"path": {"type": "PathPrefix", "value": "/a"}, "headers": [{"type": "Exact", "name": "x-user", "value": "me"}]},
        ])
    );
    let claims: Vec<_> = plan(&wanted, &targets, &objects).claims.into_iter().map(|claim| claim.pointer).collect();
    assert!(claims.contains(&"/spec/rules".to_owned()), "{claims:?}");
    let back = after(&restore(&wanted, &targets, &objects), &objects);
    assert_eq!(back, http_route());
    wanted.managed_routes.pop();
    let errors = plan(&wanted, &targets, &http_route()).errors;
    assert_eq!(errors[0].to_string(), "route 'by-header' is not in spec.strategy.canary.trafficRouting.managedRoutes");
}

#[test]
fn an_experiment_gets_a_backend_beside_the_canary_and_loses_it_again() {
    let targets = targets(&json!({"plugins": {"argoproj-labs/gatewayAPI": {"httpRoute": "h"}}}));
    let mut wanted = split(20);
    wanted.additional.push((Destination::service("exp"), Weight::new(10).unwrap()));
    let objects = settle(&wanted, &targets, http_route());
    let route = objects.values().next().unwrap();
    assert_eq!(
        route.pointer("/spec/rules/0/backendRefs").unwrap(),
        &json!([
            {"name": "stable", "port": 80, "weight": 70}, {"name": "canary", "port": 80, "weight": 20},
            {"name": "exp", "port": 80, "weight": 10},
        ])
    );
    let next = settle(&split(0), &targets, objects);
    assert_eq!(next, http_route());
}

#[test]
fn routes_may_be_selected_by_label() {
    let section = json!({"plugins": {"argoproj-labs/gatewayAPI": {"httpRouteSelector": {"matchLabels": {"app": "web"}}, "disableInProgressLabel": true}}});
    let targets = targets(&section);
    assert_eq!(targets[0].lists(), [("gateway.networking.k8s.io".to_owned(), "HTTPRoute".to_owned(), "qa".to_owned())]);
    let errors = plan(&split(20), &targets, &http_route()).errors;
    assert_eq!(errors[0].to_string(), "trafficRouting.plugins[argoproj-labs/gatewayAPI] selects no route");
    let labelled = http_route().into_values().map(|mut route| {
        route.set_label("app", "web");
        route
    });
    let objects = settle(&split(20), &targets, live(labelled));
    assert_eq!(observe(&split(20), &targets, &objects)[0].canary, 20);
    let mut wanted = by_header(split(20), json!({"exact": "a"}));
    wanted.managed_routes = vec!["by-header".to_owned()];
    let errors = plan(&wanted, &targets, &objects).errors;
    assert_eq!(
        errors[0].to_string(),
        "Gateway API does not support header and mirror routes without a route that takes them (useHeaderRoutes)"
    );
}
