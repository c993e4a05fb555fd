//! Renders that depend on more than the commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::ValuesKind;
use object_model::{Duration, Masks, Timestamp};
use reconcile_core::{Question, Surroundings, kinds};
use serde_json::json;

use super::world::{NAMESPACE, World, config_map};

fn surroundings(versions: &[(&str, Option<&str>)], masks: Masks) -> Surroundings {
    let version = |(name, version): &(&str, Option<&str>)| {
        ((ValuesKind::ConfigMap, (*name).to_owned()), version.map(str::to_owned))
    };
    Surroundings {
        at: Timestamp::UNIX_EPOCH,
        versions: versions.iter().map(version).collect::<BTreeMap<_, _>>(),
        masks: Arc::new(masks),
    }
}

fn renders_asked(world: &World) -> usize {
    let plan = world.plan().unwrap();
    let asks = plan.acts().filter(|act| match &act.action {
        reconcile_core::Action::Ask { question, .. } => matches!(**question, Question::Render { .. }),
        _ => false,
    });
    asks.count()
}

#[test]
fn a_render_of_the_commit_alone_is_never_asked_for_again() {
    let mut world = World::new(json!({"interval": "1m"}));
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    world.pass(Duration::from_secs(59));
    assert_eq!(renders_asked(&world), 0);
    world.pass(Duration::from_secs(3_600));
    assert_eq!(renders_asked(&world), 0);
}

#[test]
fn a_render_with_surroundings_is_asked_for_again_after_the_interval() {
    let mut world = World::new(json!({"interval": "1m"}));
    world.surroundings = Some(surroundings(&[], Masks::default()));
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    assert_eq!(renders_asked(&world), 0);
    world.pass(Duration::from_secs(60));
    assert_eq!(renders_asked(&world), 1);
    assert_eq!(world.settle(), "", "the same render changes nothing");
    assert_eq!(renders_asked(&world), 0);
}

#[test]
fn a_newer_object_with_values_is_rendered_at_once_and_an_older_view_of_it_is_not() {
    let spec = json!({"render": {"valuesFrom": [{"kind": "ConfigMap", "name": "values"}]}});
    let mut world = World::new(spec);
    let read = |version: &str| Some(surroundings(&[("values", Some(version))], Masks::default()));
    let values = |color: &str| {
        let mut values = config_map("values", color);
        values["metadata"]["namespace"] = NAMESPACE.into();
        values
    };
    world.put(&kinds::config_map(), values("x"));
    world.surroundings = read("500");
    world.commit(&[config_map("a", "blue")]);
    world.settle();
    assert_eq!(renders_asked(&world), 0, "what was read is newer than what is seen here");
    let seen = |world: &World| {
        let values = world.get(&kinds::config_map(), "values").unwrap();
        values.resource_version().unwrap_or_default().to_owned()
    };
    world.surroundings = read(&seen(&world));
    world.commit(&[config_map("a", "green")]);
    world.settle();
    assert_eq!(renders_asked(&world), 0);
    world.put(&kinds::config_map(), values("y"));
    assert_eq!(renders_asked(&world), 1);
    world.surroundings = read(&seen(&world));
    world.settle();
    assert_eq!(renders_asked(&world), 0);
}

#[test]
fn case_27_what_a_secret_gave_is_in_no_condition_event_or_row() {
    let mut world = World::new(json!({}));
    world.surroundings = Some(surroundings(&[], Masks::new(["hunter2"])));
    world.refused.insert("a".to_owned(), "Invalid value: \"hunter2\"".to_owned());
    let mut map = config_map("a", "hunter2");
    map["data"]["other"] = json!("plain");
    world.commit(&[map, config_map("b", "hunter2")]);
    let log = world.settle();
    let status = world.config().pointer("/status").cloned().unwrap_or_default().to_string();
    assert!(!log.contains("hunter2") && log.contains("[redacted]"), "{log}");
    assert!(!status.contains("hunter2") && status.contains("[redacted]"), "{status}");
}
