//! I7: what an AnalysisRun says is what was measured.

use std::sync::Arc;

use serde_json::Value;
use sim_cluster::Stored;

use super::Ground;
use super::view::items;

pub(super) fn judge(ground: &Ground<'_>) {
    let change = &ground.write.change;
    let Some(after) = &change.after else { return };
    for result in items(after, "/status/metricResults") {
        let count = |key: &str| result.get(key).and_then(Value::as_i64).unwrap_or(0);
        let judged = count("successful") + count("failed") + count("inconclusive");
        if count("count") != judged {
            ground.broke("I7", format!("run {} counts {} and judged {judged}", change.name, count("count")));
        }
        let measurements = result.get("measurements").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for measurement in measurements {
            nonsense(ground, measurement);
        }
        let time = |item: &Value| item.get("startedAt")?.as_str()?.parse::<object_model::Timestamp>().ok();
        for pair in measurements.windows(2) {
            let [one, two] = pair else { continue };
            let (Some(one), Some(two)) = (time(one), time(two)) else { continue };
            if two.duration_since(one).as_secs() < 1 {
                ground.broke("I7", format!("run {} measured twice within a second", change.name));
            }
        }
        let spec = items(after, "/spec/metrics").iter().find(|metric| metric.get("name") == result.get("name"));
        let wanted = spec.and_then(|metric| metric.get("count")).and_then(Value::as_i64);
        let is_good = result.get("phase").and_then(Value::as_str) == Some("Successful");
        let is_ended = after.at("/spec/terminate").and_then(Value::as_bool) == Some(true);
        if let Some(wanted) = wanted.filter(|_| is_good && !is_ended)
            && count("count") < wanted
        {
            ground.broke(
                "I7",
                format!("run {} succeeded after {} of {wanted} measurements", change.name, count("count")),
            );
        }
    }
    jobs(ground, after);
    let (measured, successful) = all_measured(ground);
    let counts = ground.play.counts();
    let replies = i64::try_from(counts.replies).unwrap_or(i64::MAX);
    let good = i64::try_from(counts.good_replies).unwrap_or(i64::MAX);
    if successful > good {
        ground.broke("I7", format!("{successful} measurements succeeded with {good} answers that could"));
    }
    if measured > replies {
        ground.broke("I7", format!("{measured} measurements were counted of {replies} answers"));
    }
}

/// Whether Jobs give a metric its measurements, not answers.
fn is_of_jobs(run: &Stored, result: &Value) -> bool {
    let of_it = items(run, "/spec/metrics").iter().find(|metric| metric.get("name") == result.get("name"));
    of_it.is_some_and(|metric| metric.pointer("/provider/job").is_some())
}

/// A measurement by a Job is one that has ended, and each Job is one measurement.
fn jobs(ground: &Ground<'_>, run: &Stored) {
    let results = items(run, "/status/metricResults").iter().filter(|result| is_of_jobs(run, result));
    let measured: i64 = results.filter_map(|result| result.get("count")?.as_i64()).sum();
    let is_ended = |job: &&Arc<Stored>| {
        let is_of_run = job.text("/metadata/labels/analysisrun.argoproj.io~1uid") == run.uid();
        let is = |item: &Value, key: &str, wanted: &str| item.get(key).and_then(Value::as_str) == Some(wanted);
        let ends =
            |item: &Value| is(item, "status", "True") && (is(item, "type", "Complete") || is(item, "type", "Failed"));
        is_of_run && items(job, "/status/conditions").iter().any(ends)
    };
    let ended = ground.cluster.list("jobs.batch", Some(run.namespace())).filter(is_ended).count();
    if measured > i64::try_from(ended).unwrap_or(i64::MAX) {
        ground.broke("I7", format!("run {} measured {measured} times by {ended} Jobs", run.name()));
    }
}

/// What is no number is no success.
fn nonsense(ground: &Ground<'_>, measurement: &Value) {
    let text = |key: &str| measurement.get(key).and_then(Value::as_str).unwrap_or_default();
    let value = text("value").trim_matches(|c| c == '[' || c == ']');
    let is_number = value.is_empty() || value.parse::<f64>().is_ok_and(|number| number >= 0.95);
    if text("phase") == "Successful" && !is_number {
        ground.broke("I7", format!("the value `{}` was taken for a success", text("value")));
    }
}

/// Measurements of all runs that began in this play, and the successful ones.
fn all_measured(ground: &Ground<'_>) -> (i64, i64) {
    let (mut sum, mut successful) = (0, 0);
    for run in ground.cluster.list("analysisruns.argoproj.io", None) {
        if run.revision() <= ground.play.began {
            continue;
        }
        for result in items(run, "/status/metricResults").iter().filter(|result| !is_of_jobs(run, result)) {
            let count = |key: &str| result.get(key).and_then(Value::as_i64).unwrap_or(0);
            sum += count("count") + count("error");
            successful += count("successful");
        }
    }
    (sum, successful)
}
