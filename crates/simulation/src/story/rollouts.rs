//! Stories about Rollouts that no config delivers.

use scenario::setting::{Setting, Wish, install, promote};
use sim_cluster::Cluster;

use super::{
    INSTALL_LIMIT, NAMESPACE, ROLLOUT, Story, apply_here, expect, image, is_healthy, patch, pause, set_image, until,
    words,
};

const SERVICES: &str = include_str!("../../stories/services.yaml");
const ISTIO: &str = include_str!("../../stories/istio.yaml");
const NGINX: &str = include_str!("../../stories/nginx.yaml");
const ANALYSIS: &str = include_str!("../../stories/analysis.yaml");

/// The strategy of a canary behind Istio.
const ROUTED: &str = "canary:
      canaryService: web-canary
      stableService: web-stable
      scaleDownDelaySeconds: 5
      abortScaleDownDelaySeconds: 5
      trafficRouting: {istio: {virtualService: {name: web, routes: [primary]}}}";

const NO_DELETES: &[(&str, &str)] = &[("replicasets.apps", "web-")];

pub(super) const STORIES: &[Story] = &[
    Story {
        name: "canary-istio",
        about: "A canary behind Istio with a step that is judged becomes stable.",
        begin: |_, setting| Box::pin(open(setting, routed(CANARY_STEPS, 3), &[SERVICES, ISTIO, ANALYSIS])),
        people: |_, setting| Box::pin(set_image(setting, "v2")),
        seconds: 45,
        deletes: NO_DELETES,
        is_judged_by_visitors: false,
        nevers: &[],
        goal: serves_v2,
        counts_vary: false,
    },
    Story {
        name: "canary-nginx",
        about: "A canary behind NGINX becomes stable.",
        begin: |_, setting| Box::pin(open(setting, nginx(), &[SERVICES, NGINX])),
        people: |_, setting| Box::pin(set_image(setting, "v2")),
        seconds: 35,
        deletes: &[("replicasets.apps", "web-"), ("ingresses.networking.k8s.io", "web-web-canary")],
        is_judged_by_visitors: false,
        nevers: &[],
        goal: serves_v2,
        counts_vary: false,
    },
    Story {
        name: "canary-of-pods",
        about: "A canary by the ratio of pods becomes stable.",
        begin: |_, setting| Box::pin(open(setting, by_pods(PODS_STEPS, ""), &[])),
        people: |_, setting| Box::pin(set_image(setting, "v2")),
        seconds: 30,
        deletes: NO_DELETES,
        is_judged_by_visitors: false,
        nevers: &[],
        goal: serves_v2,
        counts_vary: false,
    },
    Story {
        name: "blue-green",
        about: "A blue-green update is judged before and after its promotion.",
        begin: |_, setting| Box::pin(open(setting, blue_green(), &[SERVICES, ANALYSIS])),
        people: |_, setting| Box::pin(lose_the_selector(setting)),
        seconds: 50,
        deletes: NO_DELETES,
        is_judged_by_visitors: false,
        nevers: &[],
        goal: serves_v2,
        counts_vary: false,
    },
    Story {
        name: "abort-and-retry",
        about: "A person aborts a canary behind Istio, retries it and promotes it.",
        begin: |_, setting| Box::pin(open(setting, routed(ENDLESS_STEPS, 3), &[SERVICES, ISTIO])),
        people: |_, setting| Box::pin(abort_and_retry(setting)),
        seconds: 30,
        deletes: NO_DELETES,
        is_judged_by_visitors: false,
        nevers: &[],
        goal: serves_v2,
        counts_vary: false,
    },
    Story {
        name: "dynamic-stable",
        about: "A stable version that gave its pods away takes them back when the canary is aborted.",
        begin: |_, setting| Box::pin(open(setting, dynamic(), &[SERVICES, ISTIO])),
        people: |_, setting| Box::pin(abort_once_paused(setting)),
        seconds: 40,
        deletes: NO_DELETES,
        is_judged_by_visitors: false,
        nevers: &[],
        goal: gave_up_v2,
        counts_vary: false,
    },
    Story {
        name: "back-in-the-window",
        about: "A version that served a revision ago comes back without steps.",
        begin: |_, setting| Box::pin(open(setting, by_pods(PODS_STEPS, "rollbackWindow: {revisions: 2}"), &[])),
        people: |_, setting| Box::pin(there_and_back(setting)),
        seconds: 25,
        deletes: NO_DELETES,
        is_judged_by_visitors: false,
        nevers: &[],
        goal: serves_v1,
        counts_vary: false,
    },
    Story {
        name: "third-version",
        about: "A third version comes in the middle of the second one's canary.",
        begin: |_, setting| Box::pin(open(setting, routed(CANARY_STEPS, 3), &[SERVICES, ISTIO, ANALYSIS])),
        people: |_, setting| Box::pin(third_version(setting)),
        seconds: 60,
        deletes: NO_DELETES,
        is_judged_by_visitors: false,
        nevers: &[],
        goal: serves_v3,
        counts_vary: true,
    },
];

const IMAGE_AT: &str = "/spec/template/spec/containers/0/image";

/// The version of an image is the only one that serves, and is told healthy.
fn serves(cluster: &Cluster, tag: &str) -> Result<(), String> {
    expect(cluster, "rollouts.argoproj.io", "web", &[("/status/phase", "Healthy")])?;
    let replicas = cluster
        .get("rollouts.argoproj.io", NAMESPACE, "web")
        .map_or(0, |rollout| rollout.at("/spec/replicas").and_then(serde_json::Value::as_i64).unwrap_or(0));
    for set in cluster.list("replicasets.apps", Some(NAMESPACE)) {
        let wanted = if set.text(IMAGE_AT) == image(tag) { replicas } else { 0 };
        let found = set.at("/spec/replicas").and_then(serde_json::Value::as_i64).unwrap_or(0);
        if found != wanted {
            return Err(format!("{} has {found} pods of {wanted}", set.text(IMAGE_AT)));
        }
    }
    Ok(())
}

fn serves_v1(cluster: &Cluster) -> Result<(), String> {
    serves(cluster, "v1")
}

fn serves_v2(cluster: &Cluster) -> Result<(), String> {
    serves(cluster, "v2")
}

fn serves_v3(cluster: &Cluster) -> Result<(), String> {
    serves(cluster, "v3")
}

fn gave_up_v2(cluster: &Cluster) -> Result<(), String> {
    let routes = "/spec/http/0/route";
    expect(cluster, "rollouts.argoproj.io", "web", &[("/status/phase", "Degraded")])?;
    let weights = [(&*format!("{routes}/0/weight"), "100"), (&*format!("{routes}/1/weight"), "0")];
    expect(cluster, "virtualservices.networking.istio.io", "web", &weights)
}

const CANARY_STEPS: &str = "
      steps:
      - setWeight: 34
      - pause: {duration: 4s}
      - analysis:
          templates: [{templateName: success-rate}]
          args: [{name: service-name, value: web-canary.qa.svc.cluster.local}]
      - setWeight: 67
      - pause: {duration: 3s}";
const ENDLESS_STEPS: &str = "
      steps:
      - setWeight: 34
      - pause: {}";
const PODS_STEPS: &str = "
      maxSurge: 1
      maxUnavailable: 0
      steps:
      - setWeight: 25
      - pause: {duration: 4s}
      - setWeight: 50
      - pause: {duration: 4s}";

fn rollout(replicas: u32, extra: &str, strategy: &str) -> String {
    format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {{name: web}}
spec:
  replicas: {replicas}
  revisionHistoryLimit: 1
  {extra}
  selector: {{matchLabels: {{app: web}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      containers:
      - {{name: web, image: \"{}\"}}
  strategy:
    {strategy}
",
        image("v1")
    )
}

fn routed(steps: &str, replicas: u32) -> String {
    rollout(replicas, "", &format!("{ROUTED}{steps}"))
}

fn dynamic() -> String {
    let canary = ROUTED.replace("abortScaleDownDelaySeconds: 5", "dynamicStableScale: true");
    let canary = canary.replace("      scaleDownDelaySeconds: 5\n", "");
    rollout(3, "", &format!("{canary}{}", ENDLESS_STEPS.replace("34", "67")))
}

fn nginx() -> String {
    let canary =
        ROUTED.replace("istio: {virtualService: {name: web, routes: [primary]}}", "nginx: {stableIngress: web}");
    rollout(3, "", &format!("{canary}\n      steps: [{{setWeight: 30}}, {{pause: {{duration: 4s}}}}]"))
}

fn by_pods(steps: &str, extra: &str) -> String {
    rollout(4, extra, &format!("canary:{steps}"))
}

fn blue_green() -> String {
    let analysis = "{templates: [{templateName: success-rate}], args: [{name: service-name, value: web}]}";
    rollout(
        3,
        "",
        &format!(
            "blueGreen:
      activeService: web-stable
      previewService: web-canary
      previewReplicaCount: 1
      autoPromotionSeconds: 4
      scaleDownDelaySeconds: 6
      prePromotionAnalysis: {analysis}
      postPromotionAnalysis: {analysis}"
        ),
    )
}

async fn open(setting: &Setting, rollout: String, others: &[&str]) -> Result<(), String> {
    install(&setting.people, INSTALL_LIMIT).await.map_err(words)?;
    apply_here(setting, "{apiVersion: v1, kind: Namespace, metadata: {name: qa}}").await?;
    for other in others {
        apply_here(setting, other).await?;
    }
    apply_here(setting, &rollout).await?;
    until(setting, ROLLOUT, "web", "v1 is healthy", is_healthy).await?;
    pause(30).await;
    Ok(())
}

async fn until_paused(setting: &Setting) -> Result<(), String> {
    let is_paused = |rollout: &object_model::Object| {
        rollout.str_at("/status/message") == Some("CanaryPauseStep")
            && rollout.str_at("/status/observedGeneration") == Some(&rollout.generation().to_string())
    };
    until(setting, ROLLOUT, "web", "the canary is paused", is_paused).await.map(|_| ())
}

async fn wish(setting: &Setting, wish: Wish) -> Result<(), String> {
    let (suffix, change) = wish.patch();
    patch(setting, ROLLOUT, "web", suffix, change).await
}

async fn abort_and_retry(setting: &Setting) -> Result<(), String> {
    set_image(setting, "v2").await?;
    until_paused(setting).await?;
    wish(setting, Wish::Abort).await?;
    let is_aborted = |rollout: &object_model::Object| rollout.str_at("/status/phase") == Some("Degraded");
    until(setting, ROLLOUT, "web", "the update is aborted", is_aborted).await?;
    pause(20).await;
    wish(setting, Wish::Retry).await?;
    until_paused(setting).await?;
    promote(&setting.people, NAMESPACE, "web").await.map_err(words)?;
    until(setting, ROLLOUT, "web", "v2 is healthy", is_healthy).await?;
    pause(12).await;
    // There is nothing to abort any more.
    wish(setting, Wish::Abort).await
}

async fn abort_once_paused(setting: &Setting) -> Result<(), String> {
    set_image(setting, "v2").await?;
    until_paused(setting).await?;
    wish(setting, Wish::Abort).await
}

async fn there_and_back(setting: &Setting) -> Result<(), String> {
    set_image(setting, "v2").await?;
    pause(3).await;
    until(setting, ROLLOUT, "web", "v2 is healthy", is_healthy).await?;
    set_image(setting, "v1").await
}

/// Somebody replaces the active Service by a manifest that knows nothing of versions.
async fn lose_the_selector(setting: &Setting) -> Result<(), String> {
    set_image(setting, "v2").await?;
    pause(4).await;
    let without = serde_json::json!({"spec": {"selector": {"rollouts-pod-template-hash": null}}});
    patch(setting, ("v1", "Service"), "web-stable", "", without).await
}

async fn third_version(setting: &Setting) -> Result<(), String> {
    set_image(setting, "v2").await?;
    // Version 2 is being judged by then.
    pause(8).await;
    set_image(setting, "v3").await
}
