//! `sluice diff` of a path on disk and of a config.

use git_source::{CommitPlan, Edit, Message, Person, Repository};
use serde_json::{Value, json};
use sim_cluster::Request;

use crate::{World, write};

const MAP: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: colours\ndata:\n  sky: blue\n  grass: green\n";
const SECRET: &str = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: key\nstringData:\n  password: hunter22\n";

fn apply(world: &World, path: &str, object: &Value) {
    let target = format!("{path}?fieldManager=sluice-sync&force=true");
    world.send(&Request::patch(&target, "application/apply-patch+yaml", object));
}

fn colours(sky: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "colours", "namespace": "default", "labels": {"sluice.dev/managed": "true"}},
        "data": {"sky": sky, "grass": "green", "sea": "blue"},
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_on_disk_is_held_against_the_cluster() {
    let world = World::new().await;
    write(&world.path("site/map.yaml"), MAP);
    write(&world.path("site/secret.yaml"), SECRET);
    let (code, text) = world.sluice(&["diff", "site"]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("+++ desired ConfigMap default/colours\n") && text.contains("+  sky: blue\n"), "{text}");
    assert!(text.contains("[redacted") && !text.contains("hunter22") && !text.contains("aHVudGVyMjI"), "{text}");

    apply(&world, "/api/v1/namespaces/default/configmaps/colours", &colours("grey"));
    let encoded = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key", "namespace": "default"},
        "data": {"password": "aHVudGVyMjI="},
    });
    apply(&world, "/api/v1/namespaces/default/secrets/key", &encoded);
    let (code, text) = world.sluice(&["diff", "site", "--context-lines", "0"]).await;
    assert_eq!(code, Some(1));
    insta::assert_snapshot!(text, @r#"
    --- live ConfigMap default/colours
    +++ desired ConfigMap default/colours
    @@ -4,2 +4 @@
    -  sea: blue
    -  sky: grey
    +  sky: blue
    "#);

    apply(&world, "/api/v1/namespaces/default/configmaps/colours", &serde_json::from_str::<Value>(
        r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "colours"}, "data": {"sky": "blue", "grass": "green"}}"#,
    ).unwrap());
    assert_eq!(world.sluice(&["diff", "site"]).await, (Some(0), String::new()));
    let (code, text) = world.sluice(&["diff", "nowhere"]).await;
    assert_eq!(code, Some(2), "{text}");
}

fn plan(subject: &str) -> CommitPlan {
    let person = Person::new("Ada", "ada@example.com").unwrap();
    let time = "2030-01-01T00:00:00Z".parse().unwrap();
    CommitPlan { author: person.clone(), committer: person, time, message: Message::new(subject).unwrap() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_branch_of_a_config_is_held_against_the_cluster_and_against_another_branch() {
    let world = World::new().await;
    let mut repository = Repository::init_bare(&world.path("fleet.git"), "main").unwrap();
    let first = [Edit::put("qa/map.yaml", MAP), Edit::put("qa/old.yaml", MAP.replace("colours", "old"))];
    let first = repository.commit_to_branch("main", &first, &plan("First")).unwrap();
    repository.set_branch("darker", first).unwrap();
    let second = [Edit::put("qa/map.yaml", MAP.replace("sky: blue", "sky: black")), Edit::delete("qa/old.yaml")];
    repository.commit_to_branch("darker", &second, &plan("Darker")).unwrap();
    let url = format!("file://{}", world.path("fleet.git").display());
    world.create(
        "/apis/sluice.dev/v1/namespaces/default/gitopsconfigs",
        &json!({
            "apiVersion": "sluice.dev/v1", "kind": "GitOpsConfig", "metadata": {"name": "site", "namespace": "default"},
            "spec": {"url": url, "branch": "main", "path": "qa"},
        }),
    );
    apply(&world, "/api/v1/namespaces/default/configmaps/colours", &colours("blue"));

    let (code, text) = world.sluice(&["diff", "config/site", "-o", "json"]).await;
    assert_eq!(code, Some(1), "{text}");
    let found: Value = serde_json::from_str(&text).unwrap();
    let rows: Vec<String> = found["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| format!("{} {} {}", row["action"], row["object"]["name"], row["changes"]))
        .collect();
    insta::assert_snapshot!(rows.join("\n"), @r#"
    "change" "colours" [{"desired":null,"live":"blue","path":"data.sea","pointer":"/data/sea"}]
    "create" "old" []
    "#);

    let (code, text) =
        world.sluice(&["diff", "config/site", "--branch", "darker", "--base", "main", "-o", "markdown"]).await;
    assert_eq!(code, Some(1), "{text}");
    insta::assert_snapshot!(text, @r#"
    ### What `config/site` would change

    | action | object |
    |---|---|
    | change | `ConfigMap default/colours` |
    | delete | `ConfigMap default/old` |

    <details><summary>change <code>ConfigMap default/colours</code></summary>

    ```diff
    --- base ConfigMap default/colours
    +++ branch ConfigMap default/colours
    @@ -1,7 +1,7 @@
     apiVersion: v1
     data:
       grass: green
    -  sky: blue
    +  sky: black
     kind: ConfigMap
     metadata:
       name: colours
    ```

    </details>

    <details><summary>delete <code>ConfigMap default/old</code></summary>

    ```diff
    --- base ConfigMap default/old
    +++ branch ConfigMap default/old
    @@ -1,8 +0,0 @@
    -apiVersion: v1
    -data:
    -  grass: green
    -  sky: blue
    -kind: ConfigMap
    -metadata:
    -  name: old
    -  namespace: default
    ```

    </details>
    "#);
    assert_eq!(world.sluice(&["diff", "config/site", "--branch", "main", "--base", "main"]).await.0, Some(0));
    let (code, text) = world.sluice(&["diff", "config/site", "--branch", "none"]).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("has no branch `none`"), "{text}");
}
