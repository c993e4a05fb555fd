//! Counters, gauges and durations in Prometheus text form.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the duration buckets in seconds.
const BUCKETS: [f64; 8] = [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0, 60.0];
/// Most label sets of one metric; more would be a leak.
const SERIES_MAX: usize = 5_000;

#[derive(Debug, Default, Clone)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum_s: f64,
}

#[derive(Debug, Default)]
struct Inner {
    counters: BTreeMap<&'static str, BTreeMap<String, u64>>,
    gauges: BTreeMap<&'static str, BTreeMap<String, i64>>,
    histograms: BTreeMap<&'static str, BTreeMap<String, Histogram>>,
}

/// The metrics of one runtime.
#[derive(Debug, Default)]
pub struct Metrics {
    inner: Mutex<Inner>,
}

impl Metrics {
    /// Adds one to a counter.
    pub fn count(&self, name: &'static str, labels: &[(&str, &str)]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = series(inner.counters.entry(name).or_default(), labels) {
            *value += 1;
        }
    }

    /// Sets a gauge.
    pub fn set(&self, name: &'static str, labels: &[(&str, &str)], value: usize) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = series(inner.gauges.entry(name).or_default(), labels) {
            *slot = i64::try_from(value).unwrap_or(i64::MAX);
        }
    }

    /// Adds a duration to a histogram.
    pub fn observe(&self, name: &'static str, labels: &[(&str, &str)], took: Duration) {
        let seconds = took.as_secs_f64();
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(histogram) = series(inner.histograms.entry(name).or_default(), labels) else { return };
        histogram.count += 1;
        histogram.sum_s += seconds;
        for (bucket, bound) in histogram.buckets.iter_mut().zip(BUCKETS) {
            if seconds <= bound {
                *bucket += 1;
            }
        }
    }

    /// The value of a counter, 0 when it never counted.
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.counters.get(name).and_then(|series| series.get(&text_of(labels))).copied().unwrap_or(0)
    }

    /// All of them as Prometheus reads them.
    pub fn render(&self) -> String {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut out = String::new();
        for (name, series) in &inner.counters {
            let _ = writeln!(out, "# TYPE {name} counter");
            for (labels, value) in series {
                let _ = writeln!(out, "{name}{} {value}", braced(labels, ""));
            }
        }
        for (name, series) in &inner.gauges {
            let _ = writeln!(out, "# TYPE {name} gauge");
            for (labels, value) in series {
                let _ = writeln!(out, "{name}{} {value}", braced(labels, ""));
            }
        }
        for (name, series) in &inner.histograms {
            let _ = writeln!(out, "# TYPE {name} histogram");
            for (labels, histogram) in series {
                for (count, bound) in histogram.buckets.iter().zip(BUCKETS) {
                    let _ = writeln!(out, "{name}_bucket{} {count}", braced(labels, &format!("le=\"{bound}\"")));
                }
                let _ = writeln!(out, "{name}_bucket{} {}", braced(labels, "le=\"+Inf\""), histogram.count);
                let _ = writeln!(out, "{name}_sum{} {}", braced(labels, ""), histogram.sum_s);
                let _ = writeln!(out, "{name}_count{} {}", braced(labels, ""), histogram.count);
            }
        }
        out
    }
}

fn series<'a, V: Default>(all: &'a mut BTreeMap<String, V>, labels: &[(&str, &str)]) -> Option<&'a mut V> {
    let key = text_of(labels);
    if all.len() >= SERIES_MAX && !all.contains_key(&key) {
        return None;
    }
    Some(all.entry(key).or_default())
}

fn text_of(labels: &[(&str, &str)]) -> String {
    let pair = |(key, value): &(&str, &str)| {
        format!("{key}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
    };
    labels.iter().map(pair).collect::<Vec<_>>().join(",")
}

fn braced(labels: &str, more: &str) -> String {
    match (labels, more) {
        ("", "") => String::new(),
        (labels, "") => format!("{{{labels}}}"),
        ("", more) => format!("{{{more}}}"),
        (labels, more) => format!("{{{labels},{more}}}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_durations_read_as_prometheus_text() {
        let metrics = Metrics::default();
        metrics.count("sluice_actions_total", &[("kind", "create"), ("result", "ok")]);
        metrics.count("sluice_actions_total", &[("kind", "create"), ("result", "ok")]);
        metrics.set("sluice_queue_depth", &[], 3);
        metrics.observe("sluice_reconcile_seconds", &[("domain", "sync")], Duration::from_millis(30));
        let text = metrics.render();
        assert!(text.contains("sluice_actions_total{kind=\"create\",result=\"ok\"} 2\n"));
        assert!(text.contains("# TYPE sluice_queue_depth gauge\nsluice_queue_depth 3\n"));
        assert!(text.contains("sluice_reconcile_seconds_bucket{domain=\"sync\",le=\"0.025\"} 0\n"));
        assert!(text.contains("sluice_reconcile_seconds_bucket{domain=\"sync\",le=\"0.1\"} 1\n"));
    }
}
