//! The manifests that users of this field start from.

use std::path::Path;

use env_promotion::{Artifact, EnvironmentSpec, namespace_objects};

use crate::{changed, plan, tree};

/// Returns the guestbook; `None`, and a word about it, where it is not there and it is not CI.
fn guestbook() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let file = "shared/data/manifests/guestbook.yaml";
    let found = [root.join("..").join(file), root.join("../..").join(file)].into_iter().find(|path| path.is_file());
    let Some(path) = found else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "../{file} is missing");
        println!("skipped: ../{file} is missing");
        return None;
    };
    Some(std::fs::read_to_string(path).unwrap())
}

#[test]
fn one_image_of_the_guestbook_is_promoted_and_every_other_byte_kept() {
    let Some(text) = guestbook() else { return };
    let files = tree(&[("envs/e2e/guestbook.yaml", &text)]);
    let follower = Artifact {
        name: "web".to_owned(),
        image: "gcr.io/google_samples/gb-redis-follower".to_owned(),
        places: Vec::new(),
    };
    insta::assert_snapshot!(changed(&plan(&files, follower, "web=v3").unwrap()), @r"
    envs/e2e/guestbook.yaml:34
    -        image: gcr.io/google_samples/gb-redis-follower:v2
    +        image: gcr.io/google_samples/gb-redis-follower:v3
    ");
    let leader = Artifact { name: "web".to_owned(), image: "redis".to_owned(), places: Vec::new() };
    insta::assert_snapshot!(changed(&plan(&files, leader, "web=6.2").unwrap()), @r"
    envs/e2e/guestbook.yaml:12
    -        image: docker.io/redis:6.0.5
    +        image: docker.io/redis:6.2
    ");
}

#[test]
fn an_environment_is_closed_as_the_guestbook_closes_its_own() {
    let Some(text) = guestbook() else { return };
    let documents = yaml::parse(&text).unwrap();
    let theirs = documents.iter().find(|document| document.value["kind"] == "NetworkPolicy").unwrap();
    let spec = EnvironmentSpec { name: "qa".to_owned(), namespace: "qa".to_owned(), ..EnvironmentSpec::default() };
    let ours =
        namespace_objects(&spec).into_iter().find(|object| object.kind() == "NetworkPolicy").unwrap().into_json();
    for pointer in ["/apiVersion", "/metadata/name", "/spec/podSelector", "/spec/ingress"] {
        assert_eq!(ours.pointer(pointer), theirs.value.pointer(pointer), "{pointer}");
    }
}
