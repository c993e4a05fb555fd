//! AnalysisRuns from the first question to the verdict.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_model::{Secret, Timestamp};
use reconcile_core::analysis::AnalysisDomain;
use reconcile_core::{Action, Answer, HttpReply, Question, Slot, SourceFailure, Wake, kinds};
use serde_json::{Value, json};

use crate::play::Play;

fn run(metrics: Value, args: Value) -> Play<AnalysisDomain> {
    let domain = AnalysisDomain { operator_namespace: "sluice-system".to_owned(), ..AnalysisDomain::default() };
    let mut play = Play::new(domain, "qa", "run");
    play.put(
        &kinds::analysis_run(),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "AnalysisRun",
            "metadata": {"name": "run", "namespace": "qa", "uid": "u-run"}, "spec": {"metrics": metrics, "args": args},
        }),
    );
    play
}

fn status(play: &Play<AnalysisDomain>) -> Value {
    play.get(&kinds::analysis_run(), "run").pointer("/status").cloned().unwrap_or_default()
}

fn questions(play: &Play<AnalysisDomain>) -> Vec<(Slot, Question)> {
    let plan = play.plan();
    let asked = plan.acts().filter_map(|act| match &act.action {
        Action::Ask { slot, question } => Some((slot.clone(), (**question).clone())),
        _ => None,
    });
    asked.collect()
}

fn answer(play: &mut Play<AnalysisDomain>, slot: &Slot, answer: Answer) {
    play.view.asked.remove(slot);
    play.view.answers.insert(slot.clone(), Arc::new(answer));
}

fn http(play: &Play<AnalysisDomain>, body: &str) -> Answer {
    Answer::Http(HttpReply::Response { status: 200, body: body.to_owned(), at: play.view.now })
}

const GOOD: &str = r#"{"data":{"resultType":"vector","result":[{"value":[0,"1"]}]}}"#;

fn with_secret() -> Play<AnalysisDomain> {
    let metric = json!({
        "name": "m", "successCondition": "result[0] > 0.5",
        "provider": {"prometheus": {"address": "http://p", "query": "up", "headers": [{"key": "X-Token", "value": "{{args.token}}"}]}},
    });
    let from = json!({"secretKeyRef": {"name": "creds", "key": "token"}});
    run(json!([metric]), json!([{"name": "token", "valueFrom": from}]))
}

#[test]
fn case_27_a_secret_is_read_before_the_question_and_is_nowhere_after_it() {
    let mut play = with_secret();
    let (slot, question) = questions(&play).remove(0);
    assert_eq!(question, Question::Secret { namespace: "qa".to_owned(), name: "creds".to_owned() });
    play.step();
    assert!(questions(&play).is_empty(), "what is on its way is not asked again");
    let values = BTreeMap::from([("token".to_owned(), Secret::new("hunter2".to_owned()))]);
    answer(&mut play, &slot, Answer::Secret(values));
    let (slot, question) = questions(&play).remove(0);
    let Question::Http(query) = question else { panic!("a query") };
    assert_eq!(query.headers[0].1.expose(), "hunter2");
    play.step();
    let body = http(&play, GOOD);
    answer(&mut play, &slot, body);
    play.settle();
    assert_eq!(status(&play)["phase"], "Successful");
    assert!(play.view.answers.is_empty(), "the Secret is forgotten with the answer: {:?}", play.view.answers.keys());
    let told = format!("{}{}", status(&play), play.take_log());
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_secret_about_which_the_server_gave_no_answer_is_asked_for_again_and_nothing_is_judged() {
    let mut play = with_secret();
    let (slot, question) = questions(&play).remove(0);
    for _ in 0..20 {
        play.step();
        let failure = SourceFailure {
            reason: SourceFailure::NO_ANSWER.to_owned(),
            message: "Secret qa/creds with the credential could not be read: the connection was reset".to_owned(),
            at: play.view.now,
            lasting: false,
        };
        answer(&mut play, &slot, Answer::Failed(failure));
        play.settle();
        assert!(questions(&play).is_empty(), "not at once");
        assert!(matches!(play.plan().wake, Wake::At(_)), "but after a while");
        play.pass(Duration::from_secs(2));
        assert_eq!(questions(&play), [(slot.clone(), question.clone())]);
        assert!(!status(&play)["phase"].is_string() || status(&play)["phase"] == "Running", "{}", status(&play));
    }
    play.step();
    answer(&mut play, &slot, Answer::Secret(BTreeMap::from([("token".to_owned(), Secret::new("a".to_owned()))])));
    assert!(matches!(questions(&play).remove(0).1, Question::Http(_)));
}

#[test]
fn a_secret_that_is_not_there_ends_the_run_with_the_reason() {
    let mut play = with_secret();
    let (slot, _) = questions(&play).remove(0);
    play.step();
    let failure = SourceFailure {
        reason: "CredentialMissing".to_owned(),
        message: "Secret qa/creds with the credential does not exist".to_owned(),
        at: Timestamp::UNIX_EPOCH,
        lasting: false,
    };
    answer(&mut play, &slot, Answer::Failed(failure));
    play.settle();
    let status = status(&play);
    assert_eq!(status["phase"], "Error");
    assert!(status["message"].as_str().unwrap().contains("qa/creds"), "{status}");
    assert!(status["completedAt"].is_string(), "a run that ends early can expire, too");
}

#[test]
fn the_credentials_of_a_provider_lie_beside_the_operator() {
    let metric = json!({"name": "m", "provider": {"newRelic": {"query": "q"}}});
    let play = run(json!([metric]), json!([]));
    let asked: Vec<Question> = questions(&play).into_iter().map(|(_, question)| question).collect();
    assert_eq!(asked, [Question::Secret { namespace: "sluice-system".to_owned(), name: "newrelic".to_owned() }]);
}

#[test]
fn a_token_question_leads_to_the_question_itself_and_counts_once() {
    let oauth2 = json!({"oauth2": {"tokenUrl": "http://login", "clientId": "a", "clientSecret": "b"}});
    let metric = json!({"name": "m", "successCondition": "result[0] > 0.5", "provider": {"prometheus": {"address": "http://p", "query": "up", "authentication": oauth2}}});
    let mut play = run(json!([metric]), json!([]));
    for (name, body) in [("metric/m/1", r#"{"access_token":"t"}"#), ("metric/m/1/1", GOOD)] {
        let (slot, _) = questions(&play).remove(0);
        assert_eq!(slot.name, name);
        play.step();
        let body = http(&play, body);
        answer(&mut play, &slot, body);
    }
    play.settle();
    assert_eq!(status(&play)["metricResults"][0]["count"], 1);
    assert!(play.view.answers.is_empty());
}

fn with_job(fields: Value) -> Play<AnalysisDomain> {
    let mut metric = json!({"name": "smoke", "provider": {"job": {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}}}}});
    for (key, value) in fields.as_object().unwrap() {
        metric[key] = value.clone();
    }
    run(json!([metric]), json!([]))
}

#[test]
fn a_job_is_made_once_for_its_run_and_its_end_is_the_verdict() {
    let mut play = with_job(json!({}));
    play.settle();
    let job = play.get(&kinds::job(), "u-run.smoke.1");
    assert_eq!(job.controller().unwrap().name, "run");
    assert_eq!(job.label("analysisrun.argoproj.io/uid"), Some("u-run"));
    assert_eq!(status(&play)["metricResults"][0]["measurements"][0]["metadata"]["job-name"], "u-run.smoke.1");
    let log = play.take_log();
    assert_eq!(log.matches("create Job").count(), 1, "{log}");
    play.change(&kinds::job(), "u-run.smoke.1", |job| {
        job.set_at(&["status"], json!({"conditions": [{"type": "Complete", "status": "True"}]}));
    });
    play.settle();
    assert_eq!(status(&play)["phase"], "Successful");
    assert!(!play.take_log().contains("create Job"));
}

#[test]
fn a_crash_between_the_job_and_the_status_makes_no_second_job() {
    let mut play = with_job(json!({}));
    play.settle();
    // The status write was lost: the same name is created again, and is there already.
    play.change(&kinds::analysis_run(), "run", |run| {
        run.json_mut().remove("status");
    });
    play.take_log();
    play.settle();
    let log = play.take_log();
    assert!(!log.contains("create Job"), "{log}");
    let jobs = play.view.objects.keys().filter(|(kind, ..)| kind.kind == "Job").count();
    assert_eq!(jobs, 1);
}

#[test]
fn a_job_that_was_deleted_is_an_error_and_an_ended_run_takes_its_job_along() {
    let mut play = with_job(json!({"consecutiveErrorLimit": 0}));
    play.settle();
    play.view.objects.retain(|(kind, ..), _| kind.kind != "Job");
    play.settle();
    assert_eq!(status(&play)["phase"], "Error");
    let mut play = with_job(json!({}));
    play.settle();
    play.change(&kinds::analysis_run(), "run", |run| run.set_at(&["spec", "terminate"], true.into()));
    play.settle();
    assert!(play.take_log().contains("delete Job u-run.smoke.1"));
    assert_eq!(status(&play)["phase"], "Inconclusive", "its measurement was cut short");
}

#[test]
fn a_job_whose_image_is_not_to_be_had_is_inconclusive_and_its_pods_are_asked_for_ever_more_rarely() {
    let mut play = with_job(json!({}));
    play.settle();
    let mut looks = Vec::new();
    for _ in 0..20 {
        play.pass(std::time::Duration::from_secs(1));
        for (slot, question) in questions(&play) {
            assert_eq!(
                question,
                Question::Pods { namespace: "qa".to_owned(), selector: "job-name=u-run.smoke.1".to_owned() }
            );
            play.step();
            looks.push(play.view.now.as_second() - Timestamp::UNIX_EPOCH.as_second() - 1_767_225_600);
            answer(&mut play, &slot, Answer::Pods(Vec::new()));
            play.settle();
        }
    }
    assert_eq!(looks, [2, 4, 8, 16]);
    play.pass(std::time::Duration::from_secs(12));
    let (slot, _) = questions(&play).remove(0);
    play.step();
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "qa"},
        "status": {"containerStatuses": [{"name": "a", "state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}]},
    });
    answer(&mut play, &slot, Answer::Pods(vec![Arc::new(object_model::Object::parse(pod).unwrap())]));
    play.settle();
    let status = status(&play);
    assert_eq!(status["phase"], "Inconclusive");
    assert_eq!(
        status["metricResults"][0]["measurements"][0]["message"],
        "Pod p, container a has terminal error (ErrImagePull): no"
    );
    assert!(play.view.answers.is_empty(), "nothing is kept: {:?}", play.view.answers.keys());
}

#[test]
fn a_job_that_has_begun_is_left_alone() {
    let mut play = with_job(json!({}));
    play.settle();
    play.change(&kinds::job(), "u-run.smoke.1", |job| job.set_at(&["status"], json!({"active": 1, "ready": 1})));
    play.pass(std::time::Duration::from_secs(60));
    assert!(questions(&play).is_empty());
}

#[test]
fn a_job_goes_with_its_measurement() {
    let mut play = with_job(json!({"interval": "1s", "count": 4}));
    play.change(&kinds::analysis_run(), "run", |run| {
        run.set_at(&["spec", "measurementRetention"], json!([{"metricName": "smoke", "limit": 2}]));
    });
    for number in 1..=4 {
        play.settle();
        play.change(&kinds::job(), &format!("u-run.smoke.{number}"), |job| {
            job.set_at(&["status"], json!({"conditions": [{"type": "Complete", "status": "True"}]}));
        });
        play.settle();
        play.pass(std::time::Duration::from_secs(1));
    }
    let log = play.take_log();
    let deleted: Vec<&str> = log.lines().filter(|line| line.starts_with("delete Job")).collect();
    assert_eq!(deleted, ["delete Job u-run.smoke.1", "delete Job u-run.smoke.2"]);
    assert_eq!(status(&play)["phase"], "Successful");
}
