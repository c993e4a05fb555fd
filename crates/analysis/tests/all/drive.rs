//! Drives one run through virtual time with scripted answers, and writes down what happens.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use analysis::{
    Answer, Comparison, JobState, QueryKey, Reply, RunInput, RunSpec, RunStatus, RunStep, SecretAnswer, SecretRef,
    Settings, step,
};
use object_model::{Timestamp, Uid};
use serde_json::{Value, json};

/// A run with its clock.
pub(crate) struct Drive {
    pub(crate) spec: RunSpec,
    pub(crate) status: RunStatus,
    pub(crate) replies: BTreeMap<QueryKey, Reply>,
    pub(crate) secrets: BTreeMap<SecretRef, SecretAnswer>,
    pub(crate) jobs: BTreeMap<String, JobState>,
    pub(crate) comparisons: Vec<Comparison>,
    pub(crate) second: i64,
    script: BTreeMap<String, Vec<String>>,
    pub(crate) log: String,
}

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_767_225_600 + second).unwrap()
}

/// A metric with the usual condition; `fields` are put over it.
pub(crate) fn metric(name: &str, fields: Value) -> Value {
    let mut metric = json!({
        "name": name,
        "successCondition": "result[0] >= 0.95",
        "provider": {"prometheus": {"address": "http://prometheus:9090", "query": name}},
    });
    for (key, value) in fields.as_object().unwrap() {
        metric[key] = value.clone();
    }
    metric
}

/// The answer of a server for one word of a script: a number, `none`, `down` or an HTTP status in brackets.
pub(crate) fn answer(word: &str) -> Answer {
    let vector = |items: Value| {
        let body = json!({"status": "success", "data": {"resultType": "vector", "result": items}});
        Answer::Http { status: 200, body: body.to_string().into_bytes() }
    };
    match word {
        "none" => vector(json!([])),
        "down" => Answer::Failed { reason: "connection refused".to_owned() },
        "500" => Answer::Http { status: 500, body: b"boom".to_vec() },
        number => vector(json!([{"metric": {}, "value": [0, number]}])),
    }
}

impl Drive {
    /// Begins a run; the script gives each metric's answers in turn, the last one repeats.
    pub(crate) fn new(spec: &Value, script: &[(&str, &str)]) -> Self {
        let (spec, _) = RunSpec::parse(spec);
        let script = script
            .iter()
            .map(|(name, words)| ((*name).to_owned(), words.split(' ').map(str::to_owned).collect()))
            .collect();
        Self {
            spec,
            status: RunStatus::default(),
            replies: BTreeMap::new(),
            secrets: BTreeMap::new(),
            jobs: BTreeMap::new(),
            comparisons: Vec::new(),
            second: 0,
            script,
            log: String::new(),
        }
    }

    /// One step at the present second; what it says is stored through JSON, as a server would.
    pub(crate) fn step(&mut self) -> RunStep {
        let taken = step(&RunInput {
            run: &Uid::new("run-1"),
            spec: &self.spec,
            status: &self.status,
            replies: &self.replies,
            secrets: &self.secrets,
            jobs: &self.jobs,
            comparisons: &self.comparisons,
            settings: &Settings::default(),
            now: at(self.second),
        });
        let stored = RunStatus::parse(Some(&taken.status.to_json())).unwrap();
        assert_eq!(stored, taken.status, "a status must read back as it was");
        self.status = stored;
        taken
    }

    /// Answers every query and goes to the next wake, until the run ends or `until` seconds have passed.
    pub(crate) fn run(&mut self, until: i64) -> &mut Self {
        for _ in 0..10_000 {
            let taken = self.step();
            for (name, phase) in &taken.ended_metrics {
                writeln!(self.log, "{:>3}s {name} ended {phase}", self.second).unwrap();
            }
            if let Some(verdict) = taken.finished {
                writeln!(self.log, "{:>3}s {}: {}", self.second, verdict.phase, verdict.message).unwrap();
                return self;
            }
            if !taken.queries.is_empty() {
                for query in taken.queries {
                    let words = &self.script[&query.key.metric];
                    let index = usize::try_from(query.key.ordinal - 1).unwrap().min(words.len() - 1);
                    let word = words[index].clone();
                    writeln!(self.log, "{:>3}s {} #{} {word}", self.second, query.key.metric, query.key.ordinal)
                        .unwrap();
                    let reply =
                        Reply { started_at: at(self.second), finished_at: at(self.second), answer: answer(&word) };
                    self.replies.insert(query.key, reply);
                }
                continue;
            }
            let Some(wake) = taken.wake else { return self };
            let next = wake.as_second() - at(0).as_second();
            assert!(next > self.second, "a wake must lie ahead when there is nothing to ask");
            if next > until {
                return self;
            }
            self.second = next;
        }
        panic!("the run does not come to rest:\n{}", self.log);
    }
}
