//! What holds for every run, whatever its limits, its answers and its crashes.

use analysis::{Phase, Reply};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::drive::{Drive, answer, at, metric};

fn limits() -> impl Strategy<Value = Value> {
    (0..5i64, -1..4i64, 0..3i64, 0..3i64, 0..3i64, prop::bool::ANY).prop_map(
        |(count, failure, inconclusive, errors, successes, interval)| {
            let mut fields = json!({
                "count": count, "failureLimit": failure, "inconclusiveLimit": inconclusive,
                "consecutiveErrorLimit": errors, "consecutiveSuccessLimit": successes,
                "failureCondition": "result[0] < 0.5",
            });
            if interval {
                fields["interval"] = "3s".into();
            }
            fields
        },
    )
}

fn words() -> impl Strategy<Value = Vec<&'static str>> {
    prop::collection::vec(prop::sample::select(vec!["1", "0.7", "0.2", "none", "down", "500"]), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn counters_agree_and_every_step_is_a_function_of_its_input(
        one in limits(), two in limits(), answers in words(), others in words(), crash in 0..20u32,
    ) {
        let spec = json!({"metrics": [metric("a", one), metric("b", two)]});
        let mut drive = Drive::new(&spec, &[]);
        let scripts = [("a", answers), ("b", others)];
        for turn in 0..60u32 {
            let before = drive.status.clone();
            let step = drive.step();
            if turn == crash {
                // The write was lost: the same step is taken again.
                drive.status = before;
                prop_assert_eq!(&drive.step().status, &step.status);
            }
            for result in &drive.status.metric_results {
                prop_assert_eq!(result.count, result.successful + result.failed + result.inconclusive);
                prop_assert!(result.consecutive_success <= result.successful);
                prop_assert!(result.consecutive_error <= result.error);
                prop_assert!(result.measurements.len() <= 10);
                prop_assert!(result.consecutive_error == 0 || result.consecutive_success == 0);
            }
            let summary = &drive.status.run_summary;
            prop_assert!(summary.successful + summary.failed + summary.inconclusive + summary.error <= 2);
            if let Some(verdict) = step.finished {
                prop_assert!(verdict.phase.is_completed());
                prop_assert_eq!(drive.status.phase, Some(verdict.phase));
                prop_assert!(drive.status.completed_at.is_some());
                prop_assert!(step.queries.is_empty() && step.wake.is_none());
                let phases = drive.status.metric_results.iter().map(|result| result.phase);
                let worst = phases.filter(|phase| phase.is_completed()).max().unwrap_or(verdict.phase);
                prop_assert_eq!(verdict.phase, worst);
                return Ok(());
            }
            prop_assert_eq!(drive.status.phase, Some(Phase::Running));
            for query in &step.queries {
                let words = &scripts.iter().find(|(name, _)| *name == query.key.metric).unwrap().1;
                let word = words[query.key.ordinal as usize % words.len()];
                let reply = Reply { started_at: at(drive.second), finished_at: at(drive.second), answer: answer(word) };
                prop_assert!(drive.replies.insert(query.key.clone(), reply).is_none(), "a number is asked once");
            }
            if step.queries.is_empty() {
                let wake = step.wake;
                prop_assert!(wake.is_some(), "a run that goes on has something to wait for");
                drive.second = wake.unwrap().as_second() - at(0).as_second();
            }
        }
    }

    #[test]
    fn no_text_makes_an_expression_panic(text in "\\PC{0,80}") {
        let now = at(0);
        let _ = analysis::Condition::parse(&text).map(|condition| condition.holds(&json!([1.0]), now));
    }

    #[test]
    fn no_soup_of_tokens_makes_an_expression_panic(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "result", "[", "]", "(", ")", "{", "}", "0", "1.5", "'a'", "+", "-", "*", "/", "%", "**", "..", "==", "<",
            "&&", "||", "not", "in", "matches", "all", "map", "filter", "#", ".", "?.", "??", "?", ":", ",", ";", "let",
            "x", "=", "len", "sum", "nil", "true", "default", "isNaN", "reduce", "|", "sort", "date", "duration", "now",
        ]), 0..25),
    ) {
        let text = tokens.join(" ");
        for result in [json!([1.0, 2.0]), json!(0.5), json!(null), json!({"x": [1, "a"]}), json!("text")] {
            let _ = analysis::Condition::parse(&text).map(|condition| condition.holds(&result, at(0)));
        }
    }

    #[test]
    fn no_spec_or_status_makes_a_step_panic(spec in json_value(), status in json_value()) {
        let mut drive = Drive::new(&spec, &[]);
        if let Ok(parsed) = analysis::RunStatus::parse(Some(&status)) {
            drive.status = parsed;
        }
        drive.step();
    }
}

/// JSON that often has the fields of specs and statuses, often of a wrong type.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3..9i64).prop_map(Value::from),
        prop::sample::select(vec![
            "",
            "1s",
            "m",
            "{{args.m}}",
            "Failed",
            "Running",
            "2026-01-01T00:00:00Z",
            "http://p"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        let keys = prop::sample::select(vec![
            "metrics",
            "args",
            "name",
            "value",
            "count",
            "interval",
            "provider",
            "prometheus",
            "address",
            "web",
            "metricResults",
            "measurements",
            "phase",
            "finishedAt",
            "startedAt",
            "failureLimit",
            "dryRun",
            "metricName",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..6).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}
