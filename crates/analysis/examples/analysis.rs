//! Drives an AnalysisRun by hand: asks what to measure, answers with made-up readings, and prints its course.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use analysis::{Answer, Reply, RunInput, RunSpec, RunStatus, Settings, step};
use object_model::{Timestamp, Uid};
use serde_json::json;

/// Returns what the example prints.
pub fn run() -> String {
    let (spec, _) = RunSpec::parse(&json!({
        "metrics": [{
            "name": "success-rate",
            "interval": "10s",
            "successCondition": "len(result) == 0 || result[0] >= 0.95",
            "failureLimit": 1,
            "provider": {"prometheus": {"address": "http://prometheus:9090", "query": "success_rate{service=\"{{args.service}}\"}"}},
        }],
        "args": [{"name": "service", "value": "frontend"}],
    }));
    let readings = ["0.99", "0.97", "0.91", "0.88"];
    let (run, secrets, jobs, settings) = (Uid::new("3f1c"), BTreeMap::new(), BTreeMap::new(), Settings::default());
    let (mut status, mut replies, mut output) = (RunStatus::default(), BTreeMap::new(), String::new());
    let mut now = Timestamp::UNIX_EPOCH;
    loop {
        let input = RunInput {
            run: &run,
            spec: &spec,
            status: &status,
            replies: &replies,
            secrets: &secrets,
            jobs: &jobs,
            comparisons: &[],
            settings: &settings,
            now,
        };
        let taken = step(&input);
        status = taken.status;
        if let Some(verdict) = taken.finished {
            let _ = writeln!(output, "{now} {}: {}", verdict.phase, verdict.message);
            return output;
        }
        for query in taken.queries {
            let number = readings.iter().cycle().nth(query.key.ordinal as usize - 1).unwrap_or(&"0");
            let _ = writeln!(output, "{now} {} #{} = {number}", query.key.metric, query.key.ordinal);
            let body = json!({"data": {"resultType": "vector", "result": [{"value": [0, number]}]}});
            let answer = Answer::Http { status: 200, body: body.to_string().into_bytes() };
            replies.insert(query.key, Reply { started_at: now, finished_at: now, answer });
        }
        now = taken.wake.unwrap_or(now);
    }
}

#[expect(clippy::print_stdout, reason = "an example prints")]
#[cfg_attr(test, expect(dead_code, reason = "tests call `run`"))]
fn main() {
    print!("{}", run());
}
