//! Job metrics and measurements of several questions, through the state machine.

use analysis::{Answer, JobRequest, JobState, Phase, Reply, SecretAnswer, SecretPlace};
use object_model::Secret;
use serde_json::{Value, json};

use crate::drive::{Drive, at, metric};

fn job(fields: Value) -> Value {
    let mut json = metric("smoke", fields);
    json["provider"] = json!({"job": {"spec": {"template": {"spec": {"restartPolicy": "Never"}}}}});
    json["successCondition"] = "".into();
    json
}

fn created(requests: &[JobRequest]) -> u32 {
    match requests {
        [JobRequest::Create { key, .. }] => key.ordinal,
        other => panic!("one Job to create, not {other:?}"),
    }
}

#[test]
fn a_job_is_created_once_and_its_end_is_the_reading() {
    for (state, phase, message) in [
        (JobState::Complete, Phase::Successful, ""),
        (
            JobState::Failed("deadline".to_owned()),
            Phase::Failed,
            "Metric \"smoke\" assessed Failed due to failed (1) > failureLimit (0)",
        ),
        (
            JobState::Stuck("ErrImagePull".to_owned()),
            Phase::Inconclusive,
            "Metric \"smoke\" assessed Inconclusive due to inconclusive (1) > inconclusiveLimit (0): \"Error Message: ErrImagePull\"",
        ),
    ] {
        let mut drive = Drive::new(&json!({"metrics": [job(json!({}))]}), &[]);
        assert_eq!(created(&drive.step().jobs), 1);
        let measurement = drive.status.result("smoke").unwrap().measurements[0].clone();
        assert_eq!(measurement.phase, Phase::Running);
        assert_eq!(measurement.metadata["job-name"], "run-1.smoke.1");
        assert_eq!(measurement.resume_at, Some(at(0)), "as Argo has it: looked at from now on");
        drive.second = 5;
        assert!(drive.step().jobs.is_empty(), "what was begun is not begun again");
        drive.jobs.insert("run-1.smoke.1".to_owned(), JobState::Running);
        assert!(drive.step().finished.is_none());
        drive.jobs.insert("run-1.smoke.1".to_owned(), state);
        let verdict = drive.step().finished.unwrap();
        assert_eq!(verdict.phase, phase);
        assert!(verdict.message.starts_with(message.split(": ").next().unwrap()), "{}", verdict.message);
        let measurement = &drive.status.result("smoke").unwrap().measurements[0];
        assert_eq!((measurement.started_at, measurement.finished_at), (Some(at(0)), Some(at(5))));
    }
}

#[test]
fn the_next_job_of_a_metric_has_the_next_number_and_one_that_is_gone_is_an_error() {
    let mut drive = Drive::new(&json!({"metrics": [job(json!({"interval": "10s", "count": 2}))]}), &[]);
    drive.step();
    drive.jobs.insert("run-1.smoke.1".to_owned(), JobState::Complete);
    drive.step();
    drive.second = 10;
    assert_eq!(created(&drive.step().jobs), 2);
    drive.jobs.insert("run-1.smoke.2".to_owned(), JobState::Absent);
    drive.step();
    let result = drive.status.result("smoke").unwrap();
    assert_eq!((result.count, result.error), (1, 1));
    assert_eq!(result.measurements[1].message, "job run-1.smoke.2 is not there any more");
}

#[test]
fn a_run_that_is_ended_deletes_the_job_that_nobody_waits_for() {
    let mut drive = Drive::new(&json!({"metrics": [job(json!({}))]}), &[]);
    drive.step();
    drive.spec.terminate = true;
    let taken = drive.step();
    assert_eq!(taken.jobs, [JobRequest::Delete { name: "run-1.smoke.1".to_owned() }]);
    assert_eq!(drive.status.result("smoke").unwrap().measurements[0].phase, Phase::Inconclusive);
    assert!(taken.finished.is_some());
}

#[test]
fn a_measurement_of_several_questions_counts_once_and_keeps_no_token() {
    let oauth2 = json!({"oauth2": {"tokenUrl": "https://login", "clientId": "me", "clientSecret": "{{args.secret}}"}});
    let mut one = metric("m", json!({}));
    one["provider"]["prometheus"]["authentication"] = oauth2;
    let spec = json!({"metrics": [one], "args": [{"name": "secret", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]});
    let mut drive = Drive::new(&spec, &[]);
    let wanted = drive.step().secrets;
    drive.secrets.insert(wanted[0].clone(), SecretAnswer::Value(Secret::new("hunter2".to_owned())));
    for (part, body) in
        [(0, r#"{"access_token":"k-token"}"#), (1, r#"{"data":{"resultType":"vector","result":[{"value":[0,"1"]}]}}"#)]
    {
        let query = drive.step().queries.remove(0);
        assert_eq!((query.key.ordinal, query.key.part), (1, part));
        let answer = Answer::Http { status: 200, body: body.as_bytes().to_vec() };
        drive.second += 1;
        drive
            .replies
            .insert(query.key, Reply { started_at: at(drive.second - 1), finished_at: at(drive.second), answer });
    }
    assert_eq!(drive.step().finished.unwrap().phase, Phase::Successful);
    let result = drive.status.result("m").unwrap();
    assert_eq!((result.count, result.measurements[0].started_at), (1, Some(at(0))));
    let stored = drive.status.to_json().to_string();
    assert!(!stored.contains("k-token") && !stored.contains("hunter2"), "{stored}");
}

#[test]
fn a_wait_in_the_middle_of_a_measurement_is_a_wake_and_not_a_loop() {
    let mut one = metric("score", json!({"interval": "1m", "count": 1}));
    one["provider"] =
        json!({"kayenta": {"address": "http://k", "canaryConfigName": "c", "threshold": {"pass": 90, "marginal": 70}}});
    let mut drive = Drive::new(&json!({"metrics": [one]}), &[]);
    let answer = |drive: &mut Drive, body: &str| {
        let query = drive.step().queries.remove(0);
        let answer = Answer::Http { status: 200, body: body.as_bytes().to_vec() };
        drive.replies.insert(query.key, Reply { started_at: at(drive.second), finished_at: at(drive.second), answer });
    };
    answer(&mut drive, r#"[{"id":"1","name":"c"}]"#);
    answer(&mut drive, r#"{"canaryExecutionId":"e"}"#);
    answer(&mut drive, r#"{"complete":false}"#);
    let waiting = drive.step();
    assert!(waiting.queries.is_empty());
    assert_eq!(waiting.wake, Some(at(15)));
    drive.second = 15;
    answer(&mut drive, r#"{"complete":true,"result":{"judgeResult":{"score":{"score":80.5}}}}"#);
    let verdict = drive.step().finished.unwrap();
    assert_eq!(verdict.phase, Phase::Inconclusive, "between marginal and pass, whatever the conditions");
}

#[test]
fn the_credentials_of_a_provider_are_asked_for_and_never_told() {
    let mut one = metric("m", json!({"consecutiveErrorLimit": 0}));
    one["provider"] = json!({"datadog": {"query": "avg:a{*}"}});
    let mut drive = Drive::new(&json!({"metrics": [one]}), &[]);
    let wanted = drive.step().secrets;
    assert!(wanted.iter().all(|secret| secret.name == "datadog" && secret.place == SecretPlace::Operator));
    for secret in wanted {
        let answer = match secret.key.as_str() {
            "address" => SecretAnswer::Missing("no key address".to_owned()),
            key => SecretAnswer::Value(Secret::new(format!("top-{key}"))),
        };
        drive.secrets.insert(secret, answer);
    }
    let query = drive.step().queries.remove(0);
    let answer = Answer::Http { status: 500, body: b"bad key top-api-key".to_vec() };
    drive.replies.insert(query.key, Reply { started_at: at(0), finished_at: at(0), answer });
    let verdict = drive.step().finished.unwrap();
    assert!(
        verdict.message.contains("datadog answered 500") && !verdict.message.contains("top-"),
        "{}",
        verdict.message
    );
    assert!(!drive.status.to_json().to_string().contains("top-"));
}
