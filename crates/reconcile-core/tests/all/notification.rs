//! Notifications from the marked Event to the last try.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_model::Secret;
use reconcile_core::notification::{LABEL, NotificationDomain, PENDING, STATE};
use reconcile_core::{Action, Answer, HttpReply, Question, Slot, SourceFailure, kinds};
use serde_json::{Value, json};

use crate::play::Play;

const EVENT: &str = "web.0123";

fn begin(subscriptions: Value) -> Play<NotificationDomain> {
    let domain = NotificationDomain { operator_namespace: "sluice-system".to_owned() };
    let mut play = Play::new(domain, "qa", EVENT);
    play.put(
        &kinds::rollout(),
        json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": "web", "namespace": "qa", "uid": "r", "annotations": subscriptions},
        }),
    );
    play.put(
        &kinds::event(),
        json!({
            "apiVersion": "v1", "kind": "Event", "reason": "RolloutCompleted",
            "metadata": {"name": EVENT, "namespace": "qa", "labels": {LABEL: PENDING}},
            "involvedObject": {"kind": "Rollout", "name": "web", "uid": "r"},
        }),
    );
    play
}

fn subscribed() -> Play<NotificationDomain> {
    begin(json!({
        "notifications.argoproj.io/subscribe.on-rollout-completed.slack": "shop",
        "notifications.argoproj.io/subscribe.on-rollout-completed.hook": "",
    }))
}

fn texts(pairs: &[(&str, &str)]) -> Answer {
    let pairs = pairs.iter().map(|(key, text)| ((*key).to_owned(), Secret::new((*text).to_owned())));
    Answer::Secret(pairs.collect::<BTreeMap<_, _>>())
}

fn configuration() -> Answer {
    texts(&[
        ("trigger.on-rollout-completed", "- send: [done]"),
        (
            "template.done",
            "message: '{{.rollout.metadata.name}} is done'\nwebhook: {hook: {method: POST, body: '{{.recipient}}'}}\n",
        ),
        ("service.slack", "token: $slack-token"),
        ("service.webhook.hook", "url: https://hook.example.com/x"),
    ])
}

/// Takes steps and answers what is asked, by the end of the URL of a request.
fn drive(play: &mut Play<NotificationDomain>, reply: impl Fn(&str) -> (u16, &'static str)) -> Vec<String> {
    let mut sent = Vec::new();
    for _ in 0..50 {
        let plan = play.plan();
        if plan.is_empty() {
            break;
        }
        play.step();
        for act in plan.acts() {
            let Action::Ask { slot, question } = &act.action else { continue };
            let answer = match &**question {
                Question::ConfigMap { namespace, name } => {
                    assert_eq!(
                        (namespace.as_str(), name.as_str()),
                        ("sluice-system", "argo-rollouts-notification-configmap")
                    );
                    configuration()
                }
                Question::Secret { .. } => texts(&[("slack-token", "xoxb")]),
                Question::Http(query) => {
                    sent.push(query.url.clone());
                    let (status, body) = reply(&query.url);
                    Answer::Http(HttpReply::Response { status, body: body.to_owned(), at: play.view.now })
                }
                other => panic!("{other:?}"),
            };
            take(play, slot, answer);
        }
        if play.get(&kinds::event(), EVENT).label(LABEL) != Some(PENDING) {
            break;
        }
    }
    sent
}

fn take(play: &mut Play<NotificationDomain>, slot: &Slot, answer: Answer) {
    play.view.asked.remove(slot);
    play.view.answers.insert(slot.clone(), Arc::new(answer));
}

fn label(play: &Play<NotificationDomain>) -> String {
    play.get(&kinds::event(), EVENT).label(LABEL).unwrap_or_default().to_owned()
}

fn state(play: &Play<NotificationDomain>) -> Value {
    serde_json::from_str(play.get(&kinds::event(), EVENT).annotation(STATE).unwrap_or("{}")).unwrap()
}

const SLACK: &str = "https://slack.com/api/chat.postMessage";
const HOOK: &str = "https://hook.example.com/x";

#[test]
fn each_destination_is_told_once() {
    let mut play = subscribed();
    let sent = drive(&mut play, |_| (200, r#"{"ok": true}"#));
    assert_eq!(sent, [HOOK, SLACK]);
    assert_eq!(label(&play), "sent");
    assert_eq!(state(&play)["done"], json!(["hook//done/0", "slack/shop/done/0"]));
    assert!(play.view.answers.is_empty(), "{:?}", play.view.answers.keys());
}

#[test]
fn what_was_taken_is_not_sent_again_when_the_rest_is_tried_again() {
    let mut play = subscribed();
    let sent = drive(&mut play, |url| if url == HOOK { (200, "") } else { (500, "down") });
    assert_eq!((sent, label(&play).as_str()), (vec![HOOK.to_owned(), SLACK.to_owned()], PENDING));
    assert_eq!(state(&play)["problem"], "slack/shop/done/0: it answered 500: down");
    play.pass(Duration::from_secs(5));
    let sent = drive(&mut play, |_| (200, r#"{"ok": true}"#));
    assert_eq!((sent, label(&play).as_str()), (vec![SLACK.to_owned()], "sent"));
}

#[test]
fn it_gives_up_after_the_last_try_and_says_why() {
    let mut play = subscribed();
    let mut count = 0;
    for _ in 0..10 {
        count += drive(&mut play, |_| (503, "no")).len();
        play.pass(Duration::from_secs(200));
        if label(&play) != PENDING {
            break;
        }
    }
    assert_eq!((count, label(&play).as_str()), (10, "failed"));
    assert!(state(&play)["problem"].as_str().unwrap().contains("it answered 503: no"));
}

#[test]
fn a_crash_after_some_were_taken_sends_only_the_others() {
    let mut play = subscribed();
    play.change(&kinds::event(), EVENT, |event| {
        event.set_annotation(STATE, r#"{"attempt":0,"done":["slack/shop/done/0"]}"#)
    });
    let sent = drive(&mut play, |_| (200, ""));
    assert_eq!((sent, label(&play).as_str()), (vec![HOOK.to_owned()], "sent"));
}

#[test]
fn what_can_not_be_sent_is_told() {
    let mut play = begin(json!({"notifications.argoproj.io/subscribe.on-rollout-completed.pager": "x"}));
    drive(&mut play, |_| (200, ""));
    assert_eq!(
        (label(&play).as_str(), &state(&play)["problem"]),
        ("failed", &json!("service `pager` is not configured"))
    );

    let mut play = subscribed();
    play.view.objects.retain(|(kind, ..), _| kind.kind != "Rollout");
    drive(&mut play, |_| (200, ""));
    assert_eq!((label(&play).as_str(), &state(&play)["problem"]), ("failed", &json!("the object is gone")));

    let mut play = subscribed();
    play.step();
    let missing = |message: &str| {
        Answer::Failed(SourceFailure {
            reason: "ConfigMapNotRead".to_owned(),
            message: message.to_owned(),
            at: "2026-01-01T00:00:00Z".parse().unwrap(),
            lasting: false,
        })
    };
    let uid = play.get(&kinds::event(), EVENT).uid().unwrap();
    take(&mut play, &Slot::new(uid.as_str(), "config"), missing("ConfigMap a/b does not exist"));
    drive(&mut play, |_| (200, ""));
    assert_eq!(state(&play)["problem"], "ConfigMap a/b does not exist");
}
