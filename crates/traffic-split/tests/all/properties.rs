//! What holds for every split and every VirtualService.

use object_model::{Object, Weight};
use proptest::prelude::*;
use serde_json::{Value, json};
use traffic_split::{Destination, IstioTarget, Target, plan, restore};

use crate::istio::{after, live, split};

fn destination() -> impl Strategy<Value = Value> {
    let host = prop::sample::select(vec!["stable", "canary", "exp", "canary.qa.svc", "other", ".odd", ""]);
    (host, prop::option::of(0..200i64)).prop_map(|(host, weight)| {
        let mut json = json!({"destination": {"host": host}});
        if let Some(weight) = weight {
            json["weight"] = weight.into();
        }
        json
    })
}

fn service(http: Value) -> Object {
    Object::parse(json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": {"name": "web", "namespace": "qa"}, "spec": {"http": http},
    }))
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_written_split_is_at_rest_and_gives_the_canary_its_share(
        destinations in prop::collection::vec(destination(), 0..7), weight in 0..=90i64, experiment in 0..=10i64,
    ) {
        let targets =
            [Target::Istio(IstioTarget::parse(&json!({"virtualService": {"name": "web"}}), "qa", "web").unwrap())];
        let before = live([service(json!([{"route": destinations}]))]);
        let mut wanted = split(weight);
        wanted.additional.push((Destination::service("exp"), Weight::new(experiment).unwrap()));
        let planned = plan(&wanted, &targets, &before);
        if !planned.errors.is_empty() {
            prop_assert!(planned.changes.is_empty());
            return Ok(());
        }
        let next = after(&planned, &before);
        let again = plan(&wanted, &targets, &next);
        prop_assert!(again.changes.is_empty());
        let route = next.values().next().unwrap().list_at("/spec/http/0/route");
        for item in route {
            let host = item["destination"]["host"].as_str().unwrap();
            let share = item["weight"].as_i64().unwrap_or(0);
            match host.split('.').next().unwrap() {
                "canary" => prop_assert_eq!(share, weight),
                "stable" => prop_assert_eq!(share, 100 - weight - experiment),
                "exp" => prop_assert_eq!(share, experiment),
                "other" => prop_assert_eq!(share, 0),
                _ => {}
            }
        }
        let back = after(&restore(&wanted, &targets, &next), &next);
        prop_assert!(restore(&wanted, &targets, &back).changes.is_empty());
    }

    #[test]
    fn no_object_makes_a_plan_panic(http in json_value(), tls in json_value()) {
        let section = json!({"virtualService": {"name": "web", "tlsRoutes": [{"port": 1}]}});
        let targets = [Target::Istio(IstioTarget::parse(&section, "qa", "web").unwrap())];
        let mut object = service(http);
        object.set_at(&["spec", "tls"], tls);
        let objects = live([object]);
        let mut wanted = split(50);
        wanted.managed_routes = vec!["a".to_owned()];
        let _ = (plan(&wanted, &targets, &objects), restore(&wanted, &targets, &objects));
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<i64>().prop_map(Value::from),
        prop::sample::select(vec!["stable", "canary", "a", ""]).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let keys =
            prop::sample::select(vec!["name", "route", "destination", "host", "weight", "match", "port", "sniHosts"]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}
