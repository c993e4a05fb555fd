//! Stories about configs: what Git says comes, goes, is taken back and is promoted.

use scenario::demo::{ImageCommit, PROMOTION_MANIFEST, begin, commit_image};
use scenario::setting::{Setting, apply_documents, install};
use sim_cluster::Cluster;
use sim_traffic::{Behaviour, Load};

use super::{
    CONFIG, INSTALL_LIMIT, Never, Story, apply_here, commit, delete, expect, expect_gone, is_ready, pause, read, until,
    words,
};

const ACCOUNTS: &str = include_str!("../../../../fixtures/demo/cluster/accounts.yaml");
const ENVIRONMENT: &str = "apiVersion: sluice.dev/v1alpha1
kind: Environment
metadata: {name: qa}
spec:
  serviceAccount: {namespace: platform, name: environments}
";
const SETTINGS: &str = "apps/shop/settings.yaml";
const WEB: &str = "apps/shop/web.yaml";
/// What the operator writes besides what a config delivers: pieces of its inventory may go.
const OWN: (&str, &str) = ("inventories.sluice.dev", "");

pub(super) const STORIES: &[Story] = &[
    Story {
        name: "prune",
        about: "An object leaves Git with a commit between two that can't be rendered.",
        begin: |_, setting| Box::pin(open(setting, "", &[])),
        people: |_, setting| Box::pin(prune(setting)),
        seconds: 25,
        deletes: &[OWN, ("deployments.apps", "web")],
        is_judged_by_visitors: false,
        nevers: &[],
        goal: |cluster| {
            delivered_well(cluster, "green")?;
            expect_gone(cluster, "deployments.apps", "web")
        },
        counts_vary: false,
    },
    Story {
        name: "waves-and-hooks",
        about: "A commit with waves and hooks before and after them is delivered once.",
        begin: |_, setting| Box::pin(open(setting, "", &[])),
        people: |_, setting| Box::pin(waves(setting)),
        seconds: 40,
        deletes: &[OWN, ("jobs.batch", "smoke"), ("jobs.batch", "migrate")],
        is_judged_by_visitors: true,
        nevers: &[Never {
            resource: "configmaps",
            name: "settings",
            pointer: "/data/color",
            value: "yellow",
            unless: |cluster| {
                let job = cluster.get("jobs.batch", super::NAMESPACE, "migrate");
                job.and_then(|job| job.at("/status/succeeded")?.as_i64()).unwrap_or(0) > 0
            },
        }],
        goal: |cluster| {
            delivered_well(cluster, "yellow")?;
            expect_gone(cluster, "jobs.batch", "smoke")?;
            expect(cluster, "configmaps", "late", &[("/data/wave", "two")])
        },
        counts_vary: false,
    },
    Story {
        name: "transaction",
        about: "A commit of which one object is refused is not delivered, the next one is, all of it.",
        begin: |_, setting| Box::pin(open(setting, "apply: {onError: transaction}", &[])),
        people: |_, setting| Box::pin(transaction(setting)),
        seconds: 40,
        deletes: &[OWN],
        is_judged_by_visitors: false,
        nevers: &[Never {
            resource: "configmaps",
            name: "settings",
            pointer: "/data/color",
            value: "red",
            unless: |_| false,
        }],
        goal: |cluster| delivered_well(cluster, "green"),
        counts_vary: false,
    },
    Story {
        name: "deletion",
        about: "A config that is deleted takes its objects with it.",
        begin: |_, setting| Box::pin(open(setting, "deletionPolicy: WaitForTermination", &[])),
        people: |_, setting| Box::pin(async move { delete(setting, CONFIG, "shop").await.map_err(words) }),
        seconds: 30,
        deletes: &[OWN, ("deployments.apps", "web"), ("configmaps", "settings")],
        is_judged_by_visitors: false,
        nevers: &[],
        goal: |cluster| {
            expect_gone(cluster, "configmaps", "settings")?;
            expect_gone(cluster, "deployments.apps", "web")?;
            expect_gone(cluster, "gitopsconfigs.sluice.dev", "shop")
        },
        counts_vary: false,
    },
    Story {
        name: "drift",
        about: "What a person changes by hand is taken back, also while commits come.",
        begin: |_, setting| Box::pin(open(setting, "", &[])),
        people: |_, setting| Box::pin(drift(setting)),
        seconds: 25,
        deletes: &[OWN],
        is_judged_by_visitors: false,
        nevers: &[],
        goal: |cluster| {
            delivered_well(cluster, "grey")?;
            expect(cluster, "deployments.apps", "web", &[("/spec/replicas", "1")])
        },
        counts_vary: false,
    },
    Story {
        name: "taken-back",
        about: "A version that fails its analysis goes back in the cluster and in Git.",
        begin: |_, setting| Box::pin(open_shop(setting)),
        people: |_, setting| {
            Box::pin(async move {
                let path = "apps/shop/frontend.yaml";
                let text = read(setting, path).replace("frontend:v1", "frontend:v3");
                commit(setting, "Frontend v3", vec![(path, Some(text))]).map(|_| ())
            })
        },
        seconds: 60,
        deletes: &[OWN, ("replicasets.apps", "frontend-")],
        is_judged_by_visitors: true,
        nevers: &[],
        goal: |cluster| frontend(cluster, "v1"),
        counts_vary: false,
    },
    Story {
        name: "promotion",
        about: "A version goes from one environment to the next by a commit.",
        begin: |_, setting| Box::pin(open_guestbook(setting)),
        people: |_, setting| {
            Box::pin(async move { apply_documents(&setting.people, PROMOTION_MANIFEST).await.map_err(words) })
        },
        seconds: 60,
        deletes: &[OWN, ("replicasets.apps", "frontend-")],
        is_judged_by_visitors: true,
        nevers: &[],
        goal: |cluster| frontend(cluster, "v2"),
        counts_vary: false,
    },
];

/// The settings are of this color, the config is ready, and what others put on an object is still there.
fn delivered_well(cluster: &Cluster, color: &str) -> Result<(), String> {
    expect(cluster, "configmaps", "settings", &[("/data/color", color), ("/data/made", "by hand")])?;
    let config = cluster.get("gitopsconfigs.sluice.dev", super::NAMESPACE, "shop");
    let config = config.ok_or_else(|| "the config is not there".to_owned())?;
    match config.text("/status/lastHealthy/commit") == config.text("/status/source/commit") {
        true => Ok(()),
        false => Err("the last commit is not healthy".to_owned()),
    }
}

fn frontend(cluster: &Cluster, tag: &str) -> Result<(), String> {
    let rollout = cluster.get("rollouts.argoproj.io", super::NAMESPACE, "frontend");
    let rollout = rollout.ok_or_else(|| "there is no frontend".to_owned())?;
    let image = rollout.text("/spec/template/spec/containers/0/image");
    let stable = rollout.text("/status/stableRS") == rollout.text("/status/currentPodHash");
    match image.ends_with(tag) && stable && rollout.text("/status/phase") == "Healthy" {
        true => Ok(()),
        false => Err(format!("{image} is {}, not {tag} at rest", rollout.text("/status/phase"))),
    }
}

fn config(extra: &str) -> String {
    format!(
        "apiVersion: sluice.dev/v1
kind: GitOpsConfig
metadata: {{name: shop}}
spec:
  url: REPOSITORY
  branch: main
  path: apps/shop
  interval: 15s
  {extra}
"
    )
}

fn map(color: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: settings}}\ndata: {{color: {color}}}\n")
}

const DEPLOYMENT: &str = "apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: registry.example.com/shop/web:v1, resources: {requests: {cpu: 100m, memory: 100Mi}}}
";

async fn environment(setting: &Setting) -> Result<(), String> {
    install(&setting.people, INSTALL_LIMIT).await.map_err(words)?;
    apply_documents(&setting.people, ACCOUNTS).await.map_err(words)?;
    apply_here(setting, ENVIRONMENT).await?;
    let kind = ("sluice.dev/v1alpha1", "Environment");
    until(setting, kind, "qa", "the environment is ready", is_ready).await.map(|_| ())
}

async fn open(setting: &Setting, extra: &str, files: &[(&str, &str)]) -> Result<(), String> {
    environment(setting).await?;
    let mut all = vec![(SETTINGS, Some(map("blue"))), (WEB, Some(DEPLOYMENT.to_owned()))];
    all.extend(files.iter().map(|(path, text)| (*path, Some((*text).to_owned()))));
    let first = commit(setting, "Open the shop", all)?;
    apply_here(setting, &config(extra)).await?;
    delivered(setting, &first).await?;
    // What somebody else has put on an object stays as it is.
    let by_hand = serde_json::json!({"data": {"made": "by hand"}});
    super::patch(setting, ("v1", "ConfigMap"), "settings", "", by_hand).await?;
    pause(20).await;
    Ok(())
}

async fn delivered(setting: &Setting, id: &str) -> Result<(), String> {
    let has =
        |config: &object_model::Object| config.str_at("/status/lastHealthy/commit") == Some(id) && is_ready(config);
    until(setting, CONFIG, "shop", &format!("commit {id} is delivered"), has).await.map(|_| ())
}

async fn prune(setting: &Setting) -> Result<(), String> {
    commit(setting, "Broken", vec![(SETTINGS, Some("apiVersion: v1\nkind: [\n".to_owned()))])?;
    pause(12).await;
    commit(setting, "No web any more, and still broken", vec![(WEB, None)])?;
    pause(6).await;
    commit(setting, "Mended", vec![(SETTINGS, Some(map("green")))]).map(|_| ())
}

async fn waves(setting: &Setting) -> Result<(), String> {
    let job = |name: &str, hook: &str, extra: &str| {
        format!(
            "apiVersion: batch/v1
kind: Job
metadata:
  name: {name}
  annotations: {{argocd.argoproj.io/hook: {hook}{extra}}}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      containers:
      - {{name: main, image: registry.example.com/shop/{name}:v1, command: [sh, -c, sleep 1],
          resources: {{requests: {{cpu: 100m, memory: 100Mi}}}}}}
"
        )
    };
    let late = "apiVersion: v1
kind: ConfigMap
metadata: {name: late, annotations: {argocd.argoproj.io/sync-wave: \"2\"}}
data: {wave: two}
";
    let files = vec![
        ("apps/shop/migrate.yaml", Some(job("migrate", "PreSync", ""))),
        (
            "apps/shop/smoke.yaml",
            Some(job("smoke", "PostSync", ", argocd.argoproj.io/hook-delete-policy: HookSucceeded")),
        ),
        ("apps/shop/late.yaml", Some(late.to_owned())),
        (SETTINGS, Some(map("yellow"))),
    ];
    commit(setting, "In waves", files).map(|_| ())
}

async fn transaction(setting: &Setting) -> Result<(), String> {
    let other = DEPLOYMENT.replace("app: web", "app: other");
    commit(setting, "One is wrong", vec![(WEB, Some(other)), (SETTINGS, Some(map("red")))])?;
    pause(15).await;
    commit(setting, "All is well", vec![(WEB, Some(DEPLOYMENT.to_owned())), (SETTINGS, Some(map("green")))])?;
    Ok(())
}

async fn drift(setting: &Setting) -> Result<(), String> {
    let color = |color: &str| serde_json::json!({"data": {"color": color}});
    let kind = ("v1", "ConfigMap");
    super::patch(setting, kind, "settings", "", color("black")).await?;
    pause(5).await;
    commit(setting, "Grey", vec![(SETTINGS, Some(map("grey")))])?;
    pause(2).await;
    super::patch(setting, kind, "settings", "", color("white")).await?;
    pause(4).await;
    super::patch(setting, ("apps/v1", "Deployment"), "web", "", serde_json::json!({"spec": {"replicas": 3}})).await
}

async fn open_shop(setting: &Setting) -> Result<(), String> {
    environment(setting).await?;
    let files: Vec<(&str, Option<String>)> = [
        ("apps/shop/analysis.yaml", include_str!("../../../../fixtures/scenarios/shop/analysis.yaml")),
        ("apps/shop/frontend.yaml", include_str!("../../../../fixtures/scenarios/shop/frontend.yaml")),
        ("apps/shop/routing.yaml", include_str!("../../../../fixtures/scenarios/shop/routing.yaml")),
        ("apps/shop/services.yaml", include_str!("../../../../fixtures/scenarios/shop/services.yaml")),
        ("apps/shop/settings.yaml", include_str!("../../../../fixtures/scenarios/shop/settings.yaml")),
    ]
    .map(|(path, text)| (path, Some(text.to_owned())))
    .to_vec();
    let first = commit(setting, "Open the shop", files)?;
    apply_here(setting, &config("rollback: {onFailure: revertCommit}")).await?;
    setting.with_traffic(|traffic| {
        traffic.set_load("visitors", Load::new("frontend", super::NAMESPACE, 40.0));
        traffic.set_behaviour("registry.example.com/shop/frontend:v3", Behaviour::failing(0.5));
    });
    delivered(setting, &first).await?;
    pause(20).await;
    Ok(())
}

async fn open_guestbook(setting: &Setting) -> Result<(), String> {
    begin(setting, &mut |_| {}).await.map_err(words)?;
    let author = "Ann Author <ann@example.com>";
    commit_image(setting, &ImageCommit { tag: "v2", subject: "Another frontend", author, build: "412" }, &[])
        .map_err(words)?;
    pause(90).await;
    Ok(())
}
