//! The measurement state machine, rule by rule.

use analysis::{Answer, Phase, QueryKey, Reply, SecretAnswer, SecretRef};
use insta::assert_snapshot;
use object_model::{Secret, Uid};
use serde_json::{Value, json};

use crate::drive::{Drive, answer, at, metric};

fn log(metrics: &[Value], script: &[(&str, &str)], until: i64) -> String {
    Drive::new(&json!({"metrics": metrics}), script).run(until).log.clone()
}

#[test]
fn one_good_measurement_is_enough_without_an_interval() {
    assert_snapshot!(log(&[metric("m", json!({}))], &[("m", "1")], 60), @r"
0s m #1 1
0s m ended Successful
0s Successful:
");
}

#[test]
fn the_run_fails_when_failures_pass_their_limit() {
    let fields = json!({"interval": "1s", "failureLimit": 2});
    assert_snapshot!(log(&[metric("success-rate", fields)], &[("success-rate", "1 0.5 0.5 1 0.5")], 60), @r#"
0s success-rate #1 1
1s success-rate #2 0.5
2s success-rate #3 0.5
3s success-rate #4 1
4s success-rate #5 0.5
4s success-rate ended Failed
4s Failed: Metric "success-rate" assessed Failed due to failed (3) > failureLimit (2)
"#);
}

#[test]
fn count_ends_a_metric_and_failures_within_the_limit_are_borne() {
    let fields = json!({"interval": "5s", "count": "3", "failureLimit": 1});
    assert_snapshot!(log(&[metric("m", fields)], &[("m", "1 0.5 1")], 60), @r"
 0s m #1 1
 5s m #2 0.5
10s m #3 1
10s m ended Successful
10s Successful:
");
}

#[test]
fn an_error_is_tried_again_after_ten_seconds_and_the_fifth_in_a_row_ends_the_run() {
    assert_snapshot!(log(&[metric("m", json!({}))], &[("m", "down")], 120), @r#"
 0s m #1 down
10s m #2 down
20s m #3 down
30s m #4 down
40s m #5 down
40s m ended Error
40s Error: Metric "m" assessed Error due to consecutiveErrors (5) > consecutiveErrorLimit (4): "Error Message: connection refused"
"#);
    let fields = json!({"interval": "1m", "count": 2, "consecutiveErrorLimit": 1});
    assert_snapshot!(log(&[metric("m", fields)], &[("m", "500 1 500 1")], 300), @r"
 0s m #1 500
10s m #2 1
70s m #3 500
80s m #4 1
80s m ended Successful
80s Successful:
");
}

#[test]
fn no_data_is_an_error_unless_the_condition_allows_for_it() {
    assert_snapshot!(log(&[metric("m", json!({"consecutiveErrorLimit": 0}))], &[("m", "none")], 60), @r#"
0s m #1 none
0s m ended Error
0s Error: Metric "m" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: could not evaluate successCondition "result[0] >= 0.95": metric result is nil or empty: no data returned from the metric provider"
"#);
    let lenient = json!({"successCondition": "len(result) == 0 || result[0] >= 0.95"});
    assert_snapshot!(log(&[metric("m", lenient)], &[("m", "none")], 60), @r"
0s m #1 none
0s m ended Successful
0s Successful:
");
}

#[test]
fn a_gap_between_the_conditions_is_inconclusive() {
    let fields = json!({"failureCondition": "result[0] < 0.8", "interval": "2s", "count": 3, "inconclusiveLimit": 1});
    assert_snapshot!(log(&[metric("m", fields)], &[("m", "0.9 1 0.9")], 60), @r#"
0s m #1 0.9
2s m #2 1
4s m #3 0.9
4s m ended Inconclusive
4s Inconclusive: Metric "m" assessed Inconclusive due to inconclusive (2) > inconclusiveLimit (1)
"#);
}

#[test]
fn enough_successes_in_a_row_end_a_metric_early() {
    let fields = json!({"interval": "1s", "consecutiveSuccessLimit": 3, "failureLimit": -1});
    assert_snapshot!(log(&[metric("m", fields)], &[("m", "1 1 0 1 1 1")], 60), @r"
0s m #1 1
1s m #2 1
2s m #3 0
3s m #4 1
4s m #5 1
5s m #6 1
5s m ended Successful
5s Successful:
");
}

#[test]
fn successes_in_a_row_that_never_came_are_a_failure_or_inconclusive() {
    let strict = json!({"interval": "1s", "count": 3, "consecutiveSuccessLimit": 2, "failureLimit": -1});
    assert_snapshot!(log(&[metric("m", strict)], &[("m", "1 0 1")], 60), @r"
0s m #1 1
1s m #2 0
2s m #3 1
2s m ended Failed
2s Failed:
");
    let lenient = json!({"interval": "1s", "count": 4, "consecutiveSuccessLimit": 2, "failureLimit": 2});
    assert_snapshot!(log(&[metric("m", lenient)], &[("m", "1 0 1 0")], 60), @r"
0s m #1 1
1s m #2 0
2s m #3 1
3s m #4 0
3s m ended Inconclusive
3s Inconclusive:
");
}

#[test]
fn an_initial_delay_counts_from_the_start_of_the_run() {
    let metrics = [metric("now", json!({})), metric("later", json!({"initialDelay": "30s"}))];
    assert_snapshot!(log(&metrics, &[("now", "1"), ("later", "1")], 60), @r"
 0s now #1 1
 0s now ended Successful
30s later #1 1
30s later ended Successful
30s Successful:
");
}

#[test]
fn a_metric_that_fails_ends_the_others_and_the_worst_is_told() {
    let metrics = [
        metric("endless", json!({"interval": "3s"})),
        metric("bad", json!({"interval": "3s", "failureLimit": 1})),
        metric("delayed", json!({"initialDelay": "5m"})),
    ];
    assert_snapshot!(log(&metrics, &[("endless", "1"), ("bad", "0"), ("delayed", "1")], 60), @r#"
0s endless #1 1
0s bad #1 0
3s endless #2 1
3s bad #2 0
3s endless ended Successful
3s bad ended Failed
3s Failed: Metric "bad" assessed Failed due to failed (2) > failureLimit (1)
"#);
}

#[test]
fn failed_is_worse_than_error() {
    let metrics = [metric("error", json!({"consecutiveErrorLimit": 0})), metric("failed", json!({}))];
    assert_snapshot!(log(&metrics, &[("error", "down"), ("failed", "0")], 60), @r#"
0s error #1 down
0s failed #1 0
0s error ended Error
0s failed ended Failed
0s Failed: Metric "failed" assessed Failed due to failed (1) > failureLimit (0)
"#);
}

#[test]
fn a_background_run_goes_on_until_it_is_terminated() {
    let spec =
        json!({"metrics": [metric("m", json!({"interval": "10s"})), metric("slow", json!({"initialDelay": "1h"}))]});
    let mut drive = Drive::new(&spec, &[("m", "1"), ("slow", "1")]);
    drive.run(600);
    assert_eq!(drive.status.phase, Some(Phase::Running));
    assert_eq!(drive.status.result("m").unwrap().count, 61);
    drive.spec.terminate = true;
    let last = drive.step();
    let verdict = last.finished.unwrap();
    assert_eq!((verdict.phase, verdict.message.as_str()), (Phase::Successful, "Run Terminated"));
    assert_eq!(last.ended_metrics, [("m".to_owned(), Phase::Successful)]);
    assert!(drive.status.completed_at.is_some());
    assert!(last.queries.is_empty());
}

#[test]
fn a_run_terminated_before_anything_was_measured_is_successful() {
    let mut drive = Drive::new(&json!({"metrics": [metric("m", json!({}))], "terminate": true}), &[]);
    let step = drive.step();
    assert_eq!(step.finished.unwrap().phase, Phase::Successful);
    assert_eq!(step.queries, []);
}

#[test]
fn a_dry_run_is_measured_and_does_not_count() {
    let spec = json!({
        "metrics": [metric("dry", json!({})), metric("real", json!({}))],
        "dryRun": [{"metricName": "dr."}],
    });
    let mut drive = Drive::new(&spec, &[("dry", "0"), ("real", "1")]);
    drive.run(60);
    assert_snapshot!(drive.log, @r"
0s dry #1 0
0s real #1 1
0s dry ended Failed
0s real ended Successful
0s Successful:
");
    let status = drive.status.to_json();
    assert_eq!(status["dryRunSummary"], json!({"count": 1, "failed": 1}));
    assert_eq!(status["runSummary"], json!({"count": 1, "successful": 1}));
    assert_eq!(status["metricResults"][0]["message"], "Metric assessed Failed due to failed (1) > failureLimit (0)");
    assert_eq!(status["metricResults"][0]["dryRun"], true);
}

#[test]
fn only_the_newest_measurements_are_kept_and_all_are_counted() {
    let spec = json!({
        "metrics": [metric("m", json!({"interval": "1s"})), metric("n", json!({"interval": "1s"}))],
        "measurementRetention": [{"metricName": "^n$", "limit": 2}],
    });
    let mut drive = Drive::new(&spec, &[("m", "1"), ("n", "1")]);
    drive.run(25);
    let (m, n) = (drive.status.result("m").unwrap(), drive.status.result("n").unwrap());
    assert_eq!((m.measurements.len(), m.count), (10, 26));
    assert_eq!((n.measurements.len(), n.count), (2, 26));
}

#[test]
fn a_spec_that_can_not_be_used_ends_the_run_with_the_reason() {
    let good = metric("m", json!({}));
    for (spec, message) in [
        (json!({}), "Analysis spec invalid: no metrics specified"),
        (json!({"metrics": [good, good]}), "Analysis spec invalid: metrics[1]: duplicate name 'm'"),
        (
            json!({"metrics": [good], "dryRun": [{"metricName": "x"}]}),
            "Analysis spec invalid: dryRun[0]: Rule didn't match any metric name(s)",
        ),
        (
            json!({"metrics": [metric("m", json!({"count": "{{args.n}}"}))]}),
            "Unable to resolve metric arguments: failed to resolve {{args.n}}",
        ),
        (
            json!({"metrics": [good], "args": [{"name": "n"}]}),
            "Unable to resolve metric arguments: argument \"n\" was not supplied",
        ),
    ] {
        let mut drive = Drive::new(&spec, &[]);
        let verdict = drive.step().finished.unwrap();
        assert_eq!((verdict.phase, verdict.message.as_str()), (Phase::Error, message));
        assert!(drive.status.completed_at.is_some(), "so that its time to live runs");
    }
}

#[test]
fn a_metric_that_can_not_be_asked_is_an_error_of_its_own() {
    let unknown = json!({"provider": {"splunk": {"query": "x"}}, "consecutiveErrorLimit": 0});
    assert_snapshot!(log(&[metric("m", unknown)], &[], 60), @r#"
0s m ended Error
0s Error: Metric "m" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: metric provider `splunk` is not supported"
"#);
    let broken = json!({"successCondition": "result[0] >", "consecutiveErrorLimit": 0});
    assert_snapshot!(log(&[metric("m", broken)], &[("m", "1")], 60), @r#"
0s m #1 1
0s m ended Error
0s Error: Metric "m" assessed Error due to consecutiveErrors (1) > consecutiveErrorLimit (0): "Error Message: could not evaluate successCondition "result[0] >": unexpected token EOF"
"#);
}

#[test]
fn a_query_is_repeated_under_its_name_until_it_is_answered_and_the_answer_counts_once() {
    let mut drive = Drive::new(&json!({"metrics": [metric("m", json!({"interval": "5s"}))]}), &[]);
    let first = drive.step().queries;
    let again = drive.step().queries;
    assert_eq!(first, again);
    let key = first[0].key.clone();
    assert_eq!(key, QueryKey { run: Uid::new("run-1"), metric: "m".to_owned(), ordinal: 1, part: 0 });
    let before = drive.status.clone();
    drive.replies.insert(key, Reply { started_at: at(0), finished_at: at(0), answer: answer("1") });
    let used = drive.step();
    // The status was lost in a crash: the same reply is used again, to the same end.
    drive.status = before;
    assert_eq!(drive.step().status, used.status);
    assert_eq!(drive.step().status, used.status);
    assert_eq!(drive.status.result("m").unwrap().count, 1);
}

#[test]
fn a_reply_to_another_run_of_the_same_name_is_not_used() {
    let mut drive = Drive::new(&json!({"metrics": [metric("m", json!({}))]}), &[]);
    let key = QueryKey { run: Uid::new("run-0"), metric: "m".to_owned(), ordinal: 1, part: 0 };
    drive.replies.insert(key, Reply { started_at: at(0), finished_at: at(0), answer: answer("0") });
    assert_eq!(drive.step().queries.len(), 1);
    assert!(drive.status.metric_results.is_empty());
}

#[test]
fn an_answer_that_comes_after_the_end_is_not_counted() {
    let mut drive = Drive::new(&json!({"metrics": [metric("m", json!({"interval": "5s"}))]}), &[("m", "1")]);
    drive.run(0);
    drive.second = 5;
    let key = drive.step().queries[0].key.clone();
    drive.spec.terminate = true;
    drive.replies.insert(key, Reply { started_at: at(5), finished_at: at(5), answer: answer("0") });
    assert_eq!(drive.step().finished.unwrap().phase, Phase::Successful);
    assert_eq!(drive.status.result("m").unwrap().count, 1);
}

#[test]
fn a_completed_run_is_left_as_it_is() {
    let mut drive = Drive::new(&json!({"metrics": [metric("m", json!({}))]}), &[("m", "0")]);
    drive.run(60);
    let before = drive.status.clone();
    drive.second = 3600;
    let step = drive.step();
    assert_eq!((step.status, step.wake, step.queries.len()), (before, None, 0));
    assert_eq!(step.finished.unwrap().phase, Phase::Failed);
}

#[test]
fn secrets_are_asked_for_then_used_and_never_shown() {
    let spec = json!({
        "metrics": [metric("m", json!({
            "consecutiveErrorLimit": 0,
            "provider": {"prometheus": {
                "address": "http://prometheus:9090", "query": "up{token=\"{{args.token}}\"}",
                "headers": [{"key": "Authorization", "value": "Bearer {{args.token}}"}],
            }},
        }))],
        "args": [{"name": "token", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
    });
    let mut drive = Drive::new(&spec, &[]);
    let reference = SecretRef { name: "s".to_owned(), key: "k".to_owned(), ..SecretRef::default() };
    let waiting = drive.step();
    assert_eq!(
        (waiting.secrets.as_slice(), waiting.queries.len(), waiting.wake),
        ([reference.clone()].as_slice(), 0, None)
    );
    drive.secrets.insert(reference.clone(), SecretAnswer::Value(Secret::new("hunter2".to_owned())));
    let asked = drive.step();
    assert!(!format!("{asked:?}").contains("hunter2"));
    let query = asked.queries[0].clone();
    assert_eq!(query.request.headers[0].1.expose(), "Bearer hunter2");
    let refused = Answer::Http { status: 401, body: b"no such token: hunter2".to_vec() };
    drive.replies.insert(query.key, Reply { started_at: at(0), finished_at: at(0), answer: refused });
    drive.step();
    let status = drive.status.to_json().to_string();
    assert!(!status.contains("hunter2"));
    assert!(status.contains("prometheus answered 401: no such token: *****"));

    let mut without = Drive::new(&spec, &[]);
    without.secrets.insert(reference, SecretAnswer::Missing("secrets \"s\" not found".to_owned()));
    let verdict = without.step().finished.unwrap();
    assert_eq!(verdict.message, "Unable to resolve metric arguments: secrets \"s\" not found");
}

#[test]
fn a_run_of_another_controller_goes_on_where_it_stood() {
    let mut drive =
        Drive::new(&json!({"metrics": [metric("m", json!({"interval": "10s", "failureLimit": 1}))]}), &[("m", "0")]);
    let stored = json!({
        "phase": "Running", "startedAt": "2026-01-01T00:00:00Z", "runSummary": {"count": 1}, "dryRunSummary": {},
        "metricResults": [{"name": "m", "phase": "Running", "count": 4, "failed": 1, "successful": 3, "error": 2,
            "measurements": [{"phase": "Failed", "value": "[0]", "startedAt": "2026-01-01T00:00:05Z", "finishedAt": "2026-01-01T00:00:05Z"}]}],
    });
    drive.status = analysis::RunStatus::parse(Some(&stored)).unwrap();
    drive.second = 6;
    drive.run(60);
    assert_snapshot!(drive.log, @r#"
15s m #7 0
15s m ended Failed
15s Failed: Metric "m" assessed Failed due to failed (2) > failureLimit (1)
"#);
}

#[test]
fn an_unfinished_measurement_of_another_controller_is_ended_with_the_run() {
    let mut drive = Drive::new(&json!({"metrics": [metric("m", json!({}))], "terminate": true}), &[]);
    let stored = json!({"phase": "Running", "metricResults": [{
        "name": "m", "phase": "Running", "measurements": [{"phase": "Running", "startedAt": "2026-01-01T00:00:00Z"}],
    }]});
    drive.status = analysis::RunStatus::parse(Some(&stored)).unwrap();
    let verdict = drive.step().finished.unwrap();
    assert_eq!(verdict.phase, Phase::Inconclusive);
    assert_eq!(drive.status.result("m").unwrap().measurements[0].message, "Metric Terminated");
}

#[test]
fn the_status_has_the_shape_of_the_api() {
    let mut drive = Drive::new(&json!({"metrics": [metric("m", json!({}))]}), &[("m", "0.5")]);
    drive.run(60);
    assert_snapshot!(serde_json::to_string_pretty(&drive.status.to_json()).unwrap(), @r#"
{
  "completedAt": "2026-01-01T00:00:00Z",
  "dryRunSummary": {},
  "message": "Metric \"m\" assessed Failed due to failed (1) > failureLimit (0)",
  "metricResults": [
    {
      "count": 1,
      "failed": 1,
      "measurements": [
        {
          "finishedAt": "2026-01-01T00:00:00Z",
          "phase": "Failed",
          "startedAt": "2026-01-01T00:00:00Z",
          "value": "[0.5]"
        }
      ],
      "metadata": {
        "ResolvedPrometheusQuery": "m"
      },
      "name": "m",
      "phase": "Failed"
    }
  ],
  "phase": "Failed",
  "runSummary": {
    "count": 1,
    "failed": 1
  },
  "startedAt": "2026-01-01T00:00:00Z"
}
"#);
}

#[test]
fn a_canary_that_is_surely_worse_than_stable_fails_long_before_its_last_measurement() {
    let pair = |name: &str| {
        let mut one = metric(name, json!({"interval": "10s", "count": 100}));
        one["successCondition"] = "".into();
        one
    };
    let annotated = |text: &str| {
        let mut run = object_model::Object::new("argoproj.io/v1alpha1", "AnalysisRun", Some("qa"), "run");
        run.set_annotation(analysis::COMPARE_ANNOTATION, text);
        let mut told = Vec::new();
        let comparisons = analysis::Comparison::parse_all(&run, &mut told);
        assert_eq!(told, []);
        comparisons
    };
    let spec = json!({"metrics": [pair("canary"), pair("stable")]});
    let words = [("canary", "0.2 0.3 0.2 0.25 0.2 0.3"), ("stable", "0.1 0.1 0.15 0.1")];
    let mut drive = Drive::new(&spec, &words);
    drive.comparisons = annotated(r#"[{"metric": "canary", "baseline": "stable", "minimumSamples": 5}]"#);
    drive.run(2000);
    assert_snapshot!(drive.log.lines().last().unwrap(), @r#" 60s Failed: Metric "canary" assessed Failed due to worse than stable in 7 of 7 pairs: evidence 31.9 >= 20.0 (false-alarm rate 0.05)"#);
    assert_eq!(drive.status.run_summary.failed, 1);
    let mut same = Drive::new(&spec, &[("canary", "0.1 0.2 0.1"), ("stable", "0.2 0.1 0.1")]);
    same.comparisons = annotated(
        r#"[{"metric": "canary", "baseline": "stable", "direction": "higherIsBetter", "falseAlarmRate": 0.01}]"#,
    );
    assert_eq!(same.run(2000).step().finished.unwrap().phase, Phase::Successful);
    let mut silent = Drive::new(&spec, &[("canary", "none"), ("stable", "0.1")]);
    silent.comparisons = annotated(r#"[{"metric": "canary", "baseline": "stable", "empty": "inconclusive"}]"#);
    assert_snapshot!(silent.run(2000).log.lines().last().unwrap(), @r#" 40s Inconclusive: Metric "canary" assessed Inconclusive due to no data in 5 of 5 pairs with stable"#);
}
