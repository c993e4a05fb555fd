//! Bad input and faults: what a user is told, that nothing is deleted, that the last good state keeps serving, and that the
//! next good commit goes through.

use std::time::Duration;

use git_source::{CommitPlan, Edit, Fault, Message, Person, Rule};
use insta::assert_snapshot;
use serde_json::json;

use crate::shop::{
    PROMOTION, ROLLOUT, Shop, all_files, analysis, analysis_of, condition, file, frontend, in_the_shop, no_file,
    settings, web,
};

/// Waits until the newest commit is taken back: v1 in cluster and Git, by one commit.
async fn is_taken_back(shop: &Shop) {
    let bad = shop.setting.fleet.head().unwrap();
    let promotion = format!("shop-rollback-{}", &bad[..12]);
    shop.until(PROMOTION, &promotion, |promotion| promotion.str_at("/status/phase") == Some("Succeeded")).await;
    shop.until_ready_is("True", "Healthy").await;
    assert_eq!(shop.restoring_commits(), 1);
    let file = shop.setting.fleet.read("apps/shop/frontend.yaml").unwrap();
    assert_eq!(String::from_utf8(file).unwrap(), frontend("v1"));
    assert_eq!(shop.weights().await, [100, 0]);
}

fn newest_message(shop: &Shop) -> String {
    shop.labelled(&shop.setting.fleet.log(1)[0].message)
}

#[test]
fn a_repository_that_is_gone_is_told_and_what_runs_keeps_running() {
    in_the_shop(async |shop: &Shop| {
        let remote = shop.setting.fleet.memory().unwrap();
        remote.take_away();
        shop.setting.announce_push();
        shop.until_ready_is("False", "RepositoryNotFound").await;
        assert_snapshot!(shop.told().await, @r"
        Fetched False RepositoryNotFound: https://git.example.com/acme/fleet.git has no repository there
        Rendered True Rendered
        Applied True Applied: applied commit <first>
        Ready False RepositoryNotFound: https://git.example.com/acme/fleet.git has no repository there
        Healthy True Healthy
        Warning FetchFailed GitOpsConfig/shop: https://git.example.com/acme/fleet.git has no repository there
        ");
        tokio::time::sleep(Duration::from_secs(90)).await;
        remote.bring_back();
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn a_repository_that_can_not_be_reached_is_asked_again_within_half_a_minute() {
    in_the_shop(async |shop: &Shop| {
        shop.setting.fleet.memory().unwrap().inject(Fault::Unreachable);
        shop.setting.announce_push();
        shop.until_ready_is("False", "RepositoryUnreachable").await;
        assert_snapshot!(shop.told().await, @r"
        Fetched False RepositoryUnreachable: failed to reach https://git.example.com/acme/fleet.git: connection refused
        Rendered True Rendered
        Applied True Applied: applied commit <first>
        Ready False RepositoryUnreachable: failed to reach https://git.example.com/acme/fleet.git: connection refused
        Healthy True Healthy
        Warning FetchFailed GitOpsConfig/shop: failed to reach https://git.example.com/acme/fleet.git: connection refused
        ");
        tokio::time::sleep(Duration::from_secs(31)).await;
        let ready = shop.conditions(crate::shop::CONFIG, "shop").await;
        assert!(ready.iter().any(|line| line.starts_with("Ready True")), "{ready:?}");
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn a_wrong_branch_is_named() {
    in_the_shop(async |shop: &Shop| {
        shop.reconfigure(json!({"branch": "mian"})).await;
        shop.until_ready_is("False", "BranchNotFound").await;
        assert_snapshot!(shop.told().await, @r"
        Fetched False BranchNotFound: https://git.example.com/acme/fleet.git has no branch `mian`
        Rendered True Rendered
        Applied True Applied: applied commit <first>
        Ready False BranchNotFound: https://git.example.com/acme/fleet.git has no branch `mian`
        Healthy True Healthy
        Warning FetchFailed GitOpsConfig/shop: https://git.example.com/acme/fleet.git has no branch `mian`
        ");
        shop.serves("v1").await;
        shop.reconfigure(json!({"branch": "main"})).await;
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn a_path_that_a_commit_took_away_is_named_and_nothing_is_pruned() {
    in_the_shop(async |shop: &Shop| {
        let files = all_files("blue", "v1");
        let moved = files.into_iter().flat_map(|(path, bytes)| {
            let to = path.replace("apps/shop/", "apps/store/");
            [(path, None), (to, bytes)]
        });
        shop.commit("bad", moved.collect());
        shop.until_ready_is("False", "PathNotFound").await;
        assert_snapshot!(shop.told().await, @r"
        Fetched True Fetched
        Rendered False PathNotFound: path `apps/shop` does not exist at commit <bad>
        Applied True Applied: applied commit <first>
        Ready False PathNotFound: path `apps/shop` does not exist at commit <bad>
        Healthy True Healthy
        Warning RenderFailed GitOpsConfig/shop: path `apps/shop` does not exist at commit <bad>
        ");
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn a_file_that_is_not_utf_8_is_named() {
    in_the_shop(async |shop: &Shop| {
        let mut bytes = settings("blue").into_bytes();
        bytes.extend(b"  name: caf\xe9\n");
        shop.commit("bad", vec![file("settings.yaml", bytes)]);
        shop.until_ready_is("False", "RenderFailed").await;
        assert_snapshot!(shop.told().await, @r"
        Fetched True Fetched
        Rendered False RenderFailed: apps/shop/settings.yaml:7:12: the text is not UTF-8: byte 0xe9 at offset 89 (save the file as UTF-8)
        Applied True Applied: applied commit <first>
        Ready False RenderFailed: apps/shop/settings.yaml:7:12: the text is not UTF-8: byte 0xe9 at offset 89 (save the file as UTF-8)
        Healthy True Healthy
        Warning RenderFailed GitOpsConfig/shop: apps/shop/settings.yaml:7:12: the text is not UTF-8: byte 0xe9 at offset 89 (save the file as UTF-8)
        ");
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn broken_yaml_is_named_with_file_and_line() {
    in_the_shop(async |shop: &Shop| {
        let broken =
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: settings\ndata:\n  color: [blue\n  size: big\n";
        shop.commit("bad", vec![file("settings.yaml", broken)]);
        shop.until_ready_is("False", "RenderFailed").await;
        assert_snapshot!(shop.told().await, @r"
        Fetched True Fetched
        Rendered False RenderFailed: apps/shop/settings.yaml:7:7: illegal placement of ':' indicator
        Applied True Applied: applied commit <first>
        Ready False RenderFailed: apps/shop/settings.yaml:7:7: illegal placement of ':' indicator
        Healthy True Healthy
        Warning RenderFailed GitOpsConfig/shop: apps/shop/settings.yaml:7:7: illegal placement of ':' indicator
        ");
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn an_unknown_kind_is_named_with_its_place_and_the_rest_is_applied() {
    in_the_shop(async |shop: &Shop| {
        let gadget = "\napiVersion: shop.example.com/v1\nkind: Gadget\nmetadata: {name: robot}\n";
        shop.commit("bad", vec![file("gadget.yaml", gadget), file("settings.yaml", settings("red"))]);
        shop.until_ready_is("False", "UnknownKind").await;
        assert_snapshot!(shop.told().await, @r"
        Fetched True Fetched
        Rendered True Rendered
        Applied False UnknownKind: apps/shop/gadget.yaml:2: Gadget.shop.example.com qa/robot: the cluster serves no kind shop.example.com/v1/Gadget
        Ready False UnknownKind: apps/shop/gadget.yaml:2: Gadget.shop.example.com qa/robot: the cluster serves no kind shop.example.com/v1/Gadget
        Healthy True Healthy
        Warning UnknownKind GitOpsConfig/shop: apps/shop/gadget.yaml:2: Gadget.shop.example.com qa/robot: the cluster serves no kind shop.example.com/v1/Gadget
        ");
        let applied = shop.object(crate::shop::CONFIG_MAP, "settings").await.unwrap();
        assert_eq!(applied.str_at("/data/color"), Some("red"));
        shop.goes_on(vec![no_file("gadget.yaml")]).await;
    });
}

#[test]
fn an_object_that_the_server_refuses_is_named_with_the_servers_words() {
    in_the_shop(async |shop: &Shop| {
        shop.commit("bad", vec![file("web.yaml", web("other", "v1"))]);
        shop.until_ready_is("False", "ApplyFailed").await;
        assert_snapshot!(shop.told().await, @r#"
        Fetched True Fetched
        Rendered True Rendered
        Applied False ApplyFailed: apps/shop/web.yaml:1: Deployment.apps qa/web: Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable
        Ready False ApplyFailed: apps/shop/web.yaml:1: Deployment.apps qa/web: Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable
        Healthy True Healthy
        Warning ApplyFailed GitOpsConfig/shop: apps/shop/web.yaml:1: Deployment.apps qa/web: Deployment.apps "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"other"}}: field is immutable
        "#);
        // A refused write is not repeated while nothing changes.
        let refused = |entry: &sim_cluster::LogEntry| entry.code == 422;
        let tries = shop.requests(refused).len();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(shop.requests(refused).len(), tries);
        // Neither the old content nor the refused one: the refusal of the one is not held against the other.
        shop.goes_on(vec![file("web.yaml", web("web", "v2"))]).await;
    });
}

#[test]
fn an_image_that_never_starts_is_told_at_the_progress_deadline() {
    in_the_shop(async |shop: &Shop| {
        shop.commit("bad", vec![file("frontend.yaml", frontend("does-not-exist"))]);
        shop.until_ready_is("False", "Degraded").await;
        assert_snapshot!(shop.told().await, @r#"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <bad>
        Ready False Degraded: Rollout.argoproj.io qa/frontend: ProgressDeadlineExceeded: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        Healthy False Degraded: Rollout.argoproj.io qa/frontend: ProgressDeadlineExceeded: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        Warning Degraded GitOpsConfig/shop: Rollout.argoproj.io qa/frontend: ProgressDeadlineExceeded: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        Warning ProgressDeadlineExceeded Rollout/frontend: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        "#);
        assert_snapshot!(shop.conditions(ROLLOUT, "frontend").await.join("\n"), @r#"
        Available True AvailableReason: Rollout has minimum availability
        Healthy False RolloutHealthy: Rollout is not healthy
        Completed False RolloutCompleted: Rollout started update to revision 2 (d5dcb5cfc)
        Progressing False ProgressDeadlineExceeded: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        "#);
        assert_eq!(shop.weights().await, [100, 0]);
        assert_eq!(shop.restoring_commits(), 0);
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn an_image_that_never_starts_goes_back_at_the_deadline_when_the_spec_asks_for_it() {
    in_the_shop(async |shop: &Shop| {
        let limit = "progressDeadlineSeconds: 20";
        let text = frontend("does-not-exist").replace(limit, &format!("{limit}\n  progressDeadlineAbort: true"));
        shop.commit("bad", vec![file("frontend.yaml", text)]);
        is_taken_back(shop).await;
        assert_snapshot!(shop.told().await, @r#"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <restoring>
        Ready True Healthy: applied commit <restoring>
        Healthy True Healthy
        Warning Degraded GitOpsConfig/shop: Rollout.argoproj.io qa/frontend: ProgressDeadlineExceeded: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        Warning Degraded GitOpsConfig/shop: Rollout.argoproj.io qa/frontend: RolloutAborted: Rollout aborted update to revision 2: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        Warning ProgressDeadlineExceeded Rollout/frontend: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        Warning RolloutAborted Rollout/frontend: Rollout aborted update to revision 2: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        "#);
        assert_snapshot!(newest_message(shop), @r#"
        Roll back shop to <first>

        This reverts commit <bad> in the paths that shop renders from.
        Commit <bad> failed: RolloutAborted: Rollout aborted update to revision 2: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.

        Paths:
          apps/shop

        Sluice-Operation: <uid>
        Sluice-Action: rollback
        Sluice-Promotion: qa/shop-rollback-<bad>@<uid>
        Sluice-From: shop@<first>
        Sluice-Reverts: <bad>
        Sluice-Reason: RolloutAborted: Rollout aborted update to revision 2: ReplicaSet "frontend-d5dcb5cfc" has timed out progressing.
        Sluice-Requested-By: sluice
        "#);
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn an_image_of_a_deployment_that_never_starts_is_told_at_the_progress_deadline() {
    in_the_shop(async |shop: &Shop| {
        shop.commit("bad", vec![file("web.yaml", web("web", "does-not-exist"))]);
        shop.until_ready_is("False", "Degraded").await;
        assert_snapshot!(shop.told().await, @r#"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <bad>
        Ready False Degraded: Deployment.apps qa/web: Deployment "web" exceeded its progress deadline
        Healthy False Degraded: Deployment.apps qa/web: Deployment "web" exceeded its progress deadline
        Warning Degraded GitOpsConfig/shop: Deployment.apps qa/web: Deployment "web" exceeded its progress deadline
        "#);
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn a_metric_query_that_fails_ends_the_rollout_with_the_providers_words() {
    in_the_shop(async |shop: &Shop| {
        let broken = analysis_of("sum(rate(istio_requests_total", "result[0] >= 0.95");
        shop.commit("bad", vec![file("analysis.yaml", broken), file("frontend.yaml", frontend("v2"))]);
        is_taken_back(shop).await;
        assert_snapshot!(shop.told().await, @r#"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <restoring>
        Ready True Healthy: applied commit <restoring>
        Healthy True Healthy
        Warning AnalysisRunError AnalysisRun/frontend-844bc5fd98-2: Analysis Completed. Result: Error
        Warning Degraded GitOpsConfig/shop: Rollout.argoproj.io qa/frontend: RolloutAborted: Rollout aborted update to revision 2: Metric "success-rate" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: prometheus answered 400: bad_data: invalid parameter "query": parse error: unclosed left parenthesis"
        Warning MetricError AnalysisRun/frontend-844bc5fd98-2: Metric 'success-rate' Completed. Result: Error
        Warning RolloutAborted Rollout/frontend: Rollout aborted update to revision 2: Metric "success-rate" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: prometheus answered 400: bad_data: invalid parameter "query": parse error: unclosed left parenthesis"
        "#);
        assert_snapshot!(newest_message(shop), @r#"
        Roll back shop to <first>

        This reverts commit <bad> in the paths that shop renders from.
        Commit <bad> failed: RolloutAborted: Rollout aborted update to revision 2: Metric "success-rate" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: prometheus answered 400: bad_data: invalid parameter "query": parse error: unclosed left parenthesis"

        Paths:
          apps/shop

        Sluice-Operation: <uid>
        Sluice-Action: rollback
        Sluice-Promotion: qa/shop-rollback-<bad>@<uid>
        Sluice-From: shop@<first>
        Sluice-Reverts: <bad>
        Sluice-Reason: RolloutAborted: Rollout aborted update to revision 2: Metric "success-rate" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: prometheus answered 400: bad_data: invalid parameter "query": parse error: unclosed left parenthesis"
        Sluice-Requested-By: sluice
        "#);
        shop.goes_on(vec![file("analysis.yaml", analysis())]).await;
    });
}

#[test]
fn a_metric_query_that_finds_nothing_ends_the_rollout_and_says_so() {
    in_the_shop(async |shop: &Shop| {
        let empty = analysis_of("sum(rate(http_requests_total[5s]))", "result[0] >= 0.95");
        shop.commit("bad", vec![file("analysis.yaml", empty), file("frontend.yaml", frontend("v2"))]);
        is_taken_back(shop).await;
        assert_snapshot!(shop.told().await, @r#"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <restoring>
        Ready True Healthy: applied commit <restoring>
        Healthy True Healthy
        Warning AnalysisRunError AnalysisRun/frontend-844bc5fd98-2: Analysis Completed. Result: Error
        Warning Degraded GitOpsConfig/shop: Rollout.argoproj.io qa/frontend: RolloutAborted: Rollout aborted update to revision 2: Metric "success-rate" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: could not evaluate successCondition "result[0] >= 0.95": metric result is nil or empty: no data returned from the metric provider"
        Warning MetricError AnalysisRun/frontend-844bc5fd98-2: Metric 'success-rate' Completed. Result: Error
        Warning RolloutAborted Rollout/frontend: Rollout aborted update to revision 2: Metric "success-rate" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: could not evaluate successCondition "result[0] >= 0.95": metric result is nil or empty: no data returned from the metric provider"
        "#);
        assert_snapshot!(newest_message(shop), @r#"
        Roll back shop to <first>

        This reverts commit <bad> in the paths that shop renders from.
        Commit <bad> failed: RolloutAborted: Rollout aborted update to revision 2: Metric "success-rate" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: could not evaluate successCondition "result[0] >= 0.95": metric result is nil or empty: no data returned from the metric provider"

        Paths:
          apps/shop

        Sluice-Operation: <uid>
        Sluice-Action: rollback
        Sluice-Promotion: qa/shop-rollback-<bad>@<uid>
        Sluice-From: shop@<first>
        Sluice-Reverts: <bad>
        Sluice-Reason: RolloutAborted: Rollout aborted update to revision 2: Metric "success-rate" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: could not evaluate successCondition "result[0] >= 0.95": metric result is nil or empty: no data returned from the metric provider"
        Sluice-Requested-By: sluice
        "#);
        shop.goes_on(vec![file("analysis.yaml", analysis())]).await;
    });
}

#[test]
fn a_push_that_loses_the_race_is_made_again_on_the_new_head() {
    in_the_shop(async |shop: &Shop| {
        let remote = shop.setting.fleet.memory().unwrap();
        let rita = Person::new("Rita Release", "rita@example.com").unwrap();
        let message = Message::new("Write the handbook").unwrap();
        let time = shop.setting.now();
        let time = object_model::Timestamp::from_second(time.as_second()).unwrap();
        let plan = CommitPlan { author: rita.clone(), committer: rita, time, message };
        for page in ["one", "two"] {
            remote.commit_before_next_push("main", &[Edit::put(&format!("docs/{page}.md"), page)], &plan);
        }
        shop.break_version("v2");
        shop.commit("bad", vec![file("frontend.yaml", frontend("v2"))]);
        let bad = shop.setting.fleet.head().unwrap();
        let promotion = format!("shop-rollback-{}", &bad[..12]);
        shop.until(PROMOTION, &promotion, |promotion| promotion.str_at("/status/phase") == Some("Succeeded")).await;
        shop.until_ready_is("True", "Healthy").await;
        let subjects: Vec<String> =
            shop.setting.fleet.log(10).iter().map(|entry| shop.labelled(entry.subject())).collect();
        assert_snapshot!(subjects.join("\n"), @r"
        Roll back shop to <first>
        Write the handbook
        Write the handbook
        bad
        first
        ");
        assert_eq!(shop.restoring_commits(), 1);
        assert_eq!(shop.setting.fleet.read("docs/two.md").unwrap(), b"two");
        assert_eq!(remote.requests().pushes, 3);
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn a_push_that_the_server_forbids_is_told_as_write_denied_and_the_cluster_goes_back_all_the_same() {
    in_the_shop(async |shop: &Shop| {
        let remote = shop.setting.fleet.memory().unwrap();
        remote.add_rule(Rule::ProtectBranch { branch: "main".to_owned() });
        shop.break_version("v2");
        let bad = shop.commit("bad", vec![file("frontend.yaml", frontend("v2"))]);
        let promotion = format!("shop-rollback-{}", &bad[..12]);
        shop.until(PROMOTION, &promotion, |promotion| promotion.str_at("/status/phase") == Some("Failed")).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_snapshot!(shop.conditions(PROMOTION, &promotion).await.join("\n"), @"Ready False WriteDenied: the Git server refused the push to main: branch main is protected");
        assert_snapshot!(shop.told().await, @r#"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <bad>
        Ready False Degraded: Rollout.argoproj.io qa/frontend: RolloutAborted: Rollout aborted update to revision 2: Metric "success-rate" assessed Failed due to failed (2) > failureLimit (1); not taken back in Git: the Git server refused the push to main: branch main is protected
        Healthy False Degraded: Rollout.argoproj.io qa/frontend: RolloutAborted: Rollout aborted update to revision 2: Metric "success-rate" assessed Failed due to failed (2) > failureLimit (1)
        Warning AnalysisRunFailed AnalysisRun/frontend-844bc5fd98-2: Analysis Completed. Result: Failed
        Warning Degraded GitOpsConfig/shop: Rollout.argoproj.io qa/frontend: RolloutAborted: Rollout aborted update to revision 2: Metric "success-rate" assessed Failed due to failed (2) > failureLimit (1)
        Warning MetricFailed AnalysisRun/frontend-844bc5fd98-2: Metric 'success-rate' Completed. Result: Failed
        Warning RolloutAborted Rollout/frontend: Rollout aborted update to revision 2: Metric "success-rate" assessed Failed due to failed (2) > failureLimit (1)
        Warning WriteDenied Promotion/shop-rollback-<bad>: the Git server refused the push to main: branch main is protected
        "#);
        assert_eq!((shop.setting.fleet.head(), remote.requests().pushes), (Some(bad), 1));
        remote.clear_rules();
        assert_eq!(shop.weights().await, [100, 0]);
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn a_person_aborts_and_the_commit_is_taken_back() {
    in_the_shop(async |shop: &Shop| {
        shop.commit("bad", vec![file("frontend.yaml", frontend("v2"))]);
        shop.until(ROLLOUT, "frontend", |rollout| rollout.int_at("/status/canary/weights/canary/weight") == Some(50))
            .await;
        shop.edit(ROLLOUT, "frontend", "/status", json!({"status": {"abort": true}})).await;
        is_taken_back(shop).await;
        assert_snapshot!(shop.told().await, @r"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <restoring>
        Ready True Healthy: applied commit <restoring>
        Healthy True Healthy
        Warning Degraded GitOpsConfig/shop: Rollout.argoproj.io qa/frontend: RolloutAborted: Rollout aborted update to revision 2: Rollout is aborted
        Warning RolloutAborted Rollout/frontend: Rollout aborted update to revision 2: Rollout is aborted
        ");
        assert_snapshot!(newest_message(shop), @r"
        Roll back shop to <first>

        This reverts commit <bad> in the paths that shop renders from.
        Commit <bad> failed: RolloutAborted: Rollout aborted update to revision 2: Rollout is aborted

        Paths:
          apps/shop

        Sluice-Operation: <uid>
        Sluice-Action: rollback
        Sluice-Promotion: qa/shop-rollback-<bad>@<uid>
        Sluice-From: shop@<first>
        Sluice-Reverts: <bad>
        Sluice-Reason: RolloutAborted: Rollout aborted update to revision 2: Rollout is aborted
        Sluice-Requested-By: sluice
        ");
        shop.goes_on(Vec::new()).await;
    });
}

#[test]
fn a_webhook_with_a_wrong_signature_is_turned_away_and_nothing_is_fetched() {
    in_the_shop(async |shop: &Shop| {
        let secret = object_model::Secret::new("a shared secret".to_owned());
        let webhook = git_source::Webhook::new(git_source::WebhookKind::Generic, secret.clone()).unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = reconcile_runtime::ServerOptions {
            webhook_secret: Some(secret),
            record_access: reconcile_runtime::RecordAccess::Reviewed,
        };
        let serving = tokio::spawn(reconcile_runtime::serve(listener, shop.operator.clone(), options));
        let remote = shop.setting.fleet.memory().unwrap();
        // Somebody commits and no announcement reaches the operator but the webhook.
        let body = format!("{{\"repository\": \"{}\"}}", shop.setting.fleet.url());
        let before = remote.requests();
        for (signature, answer) in [
            (Some(webhook.sign(b"something else")), "401 the signature does not match"),
            (None, "401 header X-Sluice-Signature-256 is missing"),
        ] {
            assert_eq!(post(address, signature, body.clone()).await, answer);
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        assert_eq!(remote.requests(), before);
        assert_eq!(post(address, Some(webhook.sign(body.as_bytes())), body).await, "202 1 woken");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(remote.requests().lists, before.lists + 1);
        serving.abort();
        shop.goes_on(Vec::new()).await;
    });
}

/// Sends a webhook over a real connection; virtual time stands still meanwhile. Returns status and words.
async fn post(address: std::net::SocketAddr, signature: Option<String>, body: String) -> String {
    let exchange = move || {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let signature = signature.map(|text| format!("X-Sluice-Signature-256: {text}\r\n")).unwrap_or_default();
        let head = format!(
            "POST /webhook/generic HTTP/1.1\r\nHost: operator\r\nConnection: close\r\n{signature}Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().to_owned();
        let words = answer.rsplit("\r\n\r\n").next().unwrap().trim().to_owned();
        format!("{status} {words}")
    };
    tokio::task::spawn_blocking(exchange).await.unwrap()
}

#[test]
fn a_fault_and_its_end_leave_one_condition_of_each_type() {
    in_the_shop(async |shop: &Shop| {
        shop.commit("bad", vec![file("settings.yaml", ": : :\n")]);
        let config = shop.until_ready_is("False", "RenderFailed").await;
        assert!(condition(&config, "Rendered").is_some_and(|rendered| rendered["status"] == "False"));
        shop.goes_on(Vec::new()).await;
        let conditions = shop.conditions(crate::shop::CONFIG, "shop").await;
        assert_snapshot!(conditions.join("\n"), @r"
        Fetched True Fetched
        Rendered True Rendered
        Applied True Applied: applied commit <good>
        Ready True Healthy: applied commit <good>
        Healthy True Healthy
        ");
    });
}
