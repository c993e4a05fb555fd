//! `sluice get`, `terminate` and `retry` of experiments and analysis runs.

use serde_json::json;

use crate::World;

const ARGO: &str = "/apis/argoproj.io/v1alpha1/namespaces/default";

fn experiment(world: &World) {
    let metadata = json!({"name": "try", "namespace": "default"});
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "metadata": metadata,
        "spec": {"templates": []}, "status": {"phase": "Running"},
    });
    world.create(&format!("{ARGO}/experiments"), &object);
    let uid = world.get("experiments.argoproj.io", "try")["metadata"]["uid"].clone();
    let owner = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Experiment", "name": "try", "uid": uid, "controller": true});
    let metadata = json!({"name": "try-rate", "namespace": "default", "ownerReferences": [owner]});
    let object = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun", "metadata": metadata,
        "spec": {"metrics": []}, "status": {"phase": "Running"},
    });
    world.create(&format!("{ARGO}/analysisruns"), &object);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_experiment_is_shown_with_its_runs_ended_and_tried_again() {
    let world = World::new().await;
    experiment(&world);
    let (code, text) = world.sluice(&["get", "experiment/try"]).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("Status:          ◌ Running\n"), "{text}");
    assert!(text.contains("Σ try") && text.contains("└──α try-rate"), "{text}");
    let (_, text) = world.sluice(&["get", "experiments"]).await;
    assert!(text.starts_with("NAME   STATUS    CREATED\ntry    Running"), "{text}");
    let (_, text) = world.sluice(&["get", "analysisrun/try-rate"]).await;
    assert!(text.starts_with("Name:            try-rate\n"), "{text}");

    assert_eq!(
        world.sluice(&["terminate", "experiment/try"]).await,
        (Some(0), "experiment/try terminated\n".to_owned())
    );
    assert_eq!(world.get("experiments.argoproj.io", "try")["spec"]["terminate"], true);
    assert_eq!(
        world.sluice(&["terminate", "try-rate"]).await,
        (Some(0), "analysisrun/try-rate terminated\n".to_owned())
    );
    assert_eq!(world.get("analysisruns.argoproj.io", "try-rate")["spec"]["terminate"], true);
    assert_eq!(world.sluice(&["retry", "experiment/try"]).await, (Some(0), "experiment/try retried\n".to_owned()));
    assert_eq!(world.get("experiments.argoproj.io", "try").get("status"), None);
    let (code, text) = world.sluice(&["terminate", "rollout/web"]).await;
    assert_eq!(code, Some(2));
    assert!(text.contains("a Rollout is ended with sluice abort"), "{text}");
}
