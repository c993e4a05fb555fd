//! Who owns what: drift, pruning, two configs that want one object, and fields that a Rollout drives.

use std::time::Duration;

use insta::assert_snapshot;
use object_model::Object;
use scenario::setting::{apply, delete};
use serde_json::json;
use sim_cluster::LogEntry;

use crate::shop::{
    CONFIG, CONFIG_MAP, NAMESPACE, ROLLOUT, Shop, VIRTUAL_SERVICE, all_files, file, frontend, in_the_shop, no_file,
    says, settings, virtual_service, web,
};

fn config_map(name: &str, color: &str) -> String {
    settings(color).replace("name: settings", &format!("name: {name}"))
}

#[test]
fn what_somebody_edits_is_put_back_within_a_second() {
    in_the_shop(async |shop: &Shop| {
        shop.edit(CONFIG_MAP, "settings", "", json!({"data": {"color": "red"}})).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let settings = shop.object(CONFIG_MAP, "settings").await.unwrap();
        assert_eq!(settings.str_at("/data/color"), Some("blue"));
        delete(&shop.setting.people, CONFIG_MAP.0, CONFIG_MAP.1, NAMESPACE, "settings").await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(shop.object(CONFIG_MAP, "settings").await.is_some(), "what was deleted by hand is back");
        shop.until_ready_is("True", "Healthy").await;
    });
}

#[test]
fn detect_only_tells_of_drift_and_leaves_it_until_git_changes() {
    in_the_shop(async |shop: &Shop| {
        shop.reconfigure(json!({"sync": {"selfHeal": "detectOnly"}})).await;
        shop.edit(CONFIG_MAP, "settings", "", json!({"data": {"color": "red"}})).await;
        shop.until(CONFIG, "shop", |config| says(config, "Drifted", "True")).await;
        tokio::time::sleep(Duration::from_secs(200)).await;
        let settings = shop.object(CONFIG_MAP, "settings").await.unwrap();
        assert_eq!(settings.str_at("/data/color"), Some("red"));
        assert_snapshot!(shop.told().await, @r"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <first>
        Ready True Healthy: applied commit <first>
        Healthy True Healthy
        Drifted True Drifted: ConfigMap qa/settings
        ");
        // The field belongs to whoever edited it, so the next commit can't change it unless the config takes it back.
        shop.commit("conflict", vec![file("settings.yaml", config_map("settings", "green"))]);
        shop.until_ready_is("False", "ApplyFailed").await;
        assert_snapshot!(shop.warnings().await.join("\n"), @r#"
        Warning ApplyFailed GitOpsConfig/shop: apps/shop/settings.yaml:1: ConfigMap qa/settings: Apply failed with 1 conflict: conflict with "unknown" using v1: .data.color
        "#);
        shop.reconfigure(json!({"apply": {"conflicts": "force"}})).await;
        shop.until_ready_is("True", "Healthy").await;
        let settings = shop.object(CONFIG_MAP, "settings").await.unwrap();
        assert_eq!(settings.str_at("/data/color"), Some("green"));
        shop.goes_on(vec![file("web.yaml", web("web", "v2"))]).await;
    });
}

fn deletes(entry: &LogEntry) -> bool {
    entry.verb == "delete" && entry.resource != "analysisruns.argoproj.io"
}

#[test]
fn what_left_git_is_deleted_once() {
    in_the_shop(async |shop: &Shop| {
        let with = shop.commit("with", vec![file("extra.yaml", config_map("extra", "grey"))]);
        shop.until_delivered(&with).await;
        let without = shop.commit("without", vec![no_file("extra.yaml")]);
        shop.until_delivered(&without).await;
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert_eq!(shop.requests(deletes), ["delete configmaps qa/extra by system:serviceaccount:qa:sluice"]);
        assert!(shop.object(CONFIG_MAP, "extra").await.is_none());
        shop.serves("v1").await;
    });
}

#[test]
fn an_object_of_the_same_name_in_another_life_is_not_pruned() {
    in_the_shop(async |shop: &Shop| {
        let with = shop.commit("with", vec![file("extra.yaml", config_map("extra", "grey"))]);
        shop.until_delivered(&with).await;
        // While the head does not render, sync looks on.
        shop.commit("bad", vec![file("settings.yaml", "a: [")]);
        shop.until_ready_is("False", "RenderFailed").await;
        delete(&shop.setting.people, CONFIG_MAP.0, CONFIG_MAP.1, NAMESPACE, "extra").await.unwrap();
        let by_hand = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "extra", "namespace": NAMESPACE},
            "data": {"made": "by hand"},
        });
        apply(&shop.setting.people, &Object::parse(by_hand).unwrap()).await.unwrap();
        shop.setting.handle().unwrap().with(sim_cluster::Cluster::clear_requests);
        let good = file("settings.yaml", settings("blue"));
        let without = shop.commit("without", vec![no_file("extra.yaml"), good]);
        shop.until_delivered(&without).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        shop.nothing_was_deleted();
        assert_eq!(shop.object(CONFIG_MAP, "extra").await.unwrap().str_at("/data/made"), Some("by hand"));
    });
}

#[test]
fn a_path_without_objects_deletes_nothing() {
    in_the_shop(async |shop: &Shop| {
        let mut files: Vec<_> = all_files("blue", "v1").into_iter().map(|(path, _)| (path, None)).collect();
        files.push(file("notes.yaml", "# nothing here yet\n"));
        shop.commit("empty", files);
        shop.until_ready_is("False", "RenderEmpty").await;
        assert_snapshot!(shop.told().await, @r"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <first>
        Ready False RenderEmpty: path `apps/shop` renders to no object; nothing is pruned (spec.prune.guard.allowEmpty)
        Healthy True Healthy
        Stalled True RenderEmpty: path `apps/shop` renders to no object; nothing is pruned (spec.prune.guard.allowEmpty)
        Warning RenderEmpty GitOpsConfig/shop: path `apps/shop` renders to no object; nothing is pruned (spec.prune.guard.allowEmpty)
        ");
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn a_commit_that_takes_most_objects_away_deletes_none_of_them() {
    in_the_shop(async |shop: &Shop| {
        let name = |index: usize| format!("part-{index:02}");
        let parts = (0..12).map(|index| file(&format!("{}.yaml", name(index)), config_map(&name(index), "grey")));
        let with = shop.commit("with", parts.collect());
        shop.until_delivered(&with).await;
        shop.commit("without", (0..12).map(|index| no_file(&format!("{}.yaml", name(index)))).collect());
        shop.until(CONFIG, "shop", |config| !config.list_at("/status/kept").is_empty()).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_snapshot!(shop.told().await, @r"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <without>
        Ready True Healthy: applied commit <without>
        Healthy True Healthy
        Pruned False PruneHeld: 12 of 19 owned objects would go, more than 50 %; nothing is pruned until a commit or spec.prune.guard.maxPercent says otherwise
        Warning PruneHeld GitOpsConfig/shop: 12 of 19 owned objects would go, more than 50 %; nothing is pruned until a commit or spec.prune.guard.maxPercent says otherwise
        ");
        shop.goes_on(Vec::new()).await;
        assert!(shop.object(CONFIG_MAP, "part-00").await.is_some());
    });
}

#[test]
fn of_two_configs_that_want_one_object_the_first_keeps_it_and_the_second_tells() {
    in_the_shop(async |shop: &Shop| {
        shop.commit("other", vec![("apps/other/all.yaml".to_owned(), Some(settings("pink").into_bytes()))]);
        shop.configure("other", "apps/other").await;
        shop.until(CONFIG, "other", |config| says(config, "Ready", "False")).await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_snapshot!(shop.conditions(CONFIG, "other").await.join("\n"), @r"
        Fetched True Fetched
        Rendered True Rendered
        Applied False OwnedByOther: apps/other/all.yaml:1: ConfigMap qa/settings: it belongs to GitOpsConfig qa/shop; remove it from one of the two paths
        Ready False OwnedByOther: apps/other/all.yaml:1: ConfigMap qa/settings: it belongs to GitOpsConfig qa/shop; remove it from one of the two paths
        ");
        assert_snapshot!(shop.warnings().await.join("\n"), @"Warning OwnedByOther GitOpsConfig/other: apps/other/all.yaml:1: ConfigMap qa/settings: it belongs to GitOpsConfig qa/shop; remove it from one of the two paths");
        shop.goes_on(Vec::new()).await;
        let gone = shop.commit("given up", vec![no_file("settings.yaml")]);
        shop.until_delivered(&gone).await;
        shop.until(CONFIG, "other", |config| says(config, "Ready", "True")).await;
        let settings = shop.object(CONFIG_MAP, "settings").await.unwrap();
        assert_eq!(settings.str_at("/data/color"), Some("pink"), "what the first gave up is the second's");
    });
}

#[test]
fn sync_does_not_touch_the_weights_that_a_rollout_shifts() {
    in_the_shop(async |shop: &Shop| {
        let commit = shop.commit("second", vec![file("frontend.yaml", frontend("v2"))]);
        let mut shifted = false;
        while shop.object(CONFIG, "shop").await.unwrap().str_at("/status/lastHealthy/commit") != Some(&commit) {
            if shop.weights().await == [50, 50] && !shifted {
                shifted = true;
                // Another commit makes sync look at everything in the middle of it.
                shop.commit("middle", vec![file("settings.yaml", settings("red"))]);
                shop.until(CONFIG_MAP, "settings", |settings| settings.str_at("/data/color") == Some("red")).await;
                assert_eq!(shop.weights().await, [50, 50]);
                break;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        assert!(shifted, "the weights never moved");
        let middle = shop.setting.fleet.head().unwrap();
        shop.until_delivered(&middle).await;
        assert_eq!(shop.weights().await, [100, 0]);
        let by_sync = shop.requests(|entry| {
            entry.resource == "virtualservices.networking.istio.io"
                && !matches!(entry.verb, "get" | "list" | "watch")
                && entry.actor.user.name.ends_with(":qa:sluice")
        });
        assert!(by_sync.is_empty(), "{by_sync:#?}");
        shop.serves("v2").await;
    });
}

#[test]
fn a_claim_ends_with_its_owner() {
    in_the_shop(async |shop: &Shop| {
        let claimed = |service: &Object| service.annotation("sluice.dev/claims").is_some();
        shop.until(VIRTUAL_SERVICE, "frontend", claimed).await;
        // While the Rollout lives, the weights of Git do not count.
        let other = shop.commit("other weights", vec![file("routing.yaml", virtual_service(90, 10))]);
        shop.until(CONFIG, "shop", |config| config.str_at("/status/source/commit") == Some(&other)).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(shop.weights().await, [100, 0]);
        shop.commit("no rollout", vec![no_file("frontend.yaml")]);
        shop.until(VIRTUAL_SERVICE, "frontend", |service| service.int_at("/spec/http/0/route/1/weight") == Some(10))
            .await;
        assert!(shop.object(ROLLOUT, "frontend").await.is_none());
        assert_eq!(shop.weights().await, [90, 10]);
    });
}
