//! Samples of the last minutes: the request streams, kept compactly, and plain series that others record.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use promql_parser::label::Matcher;

/// Upper bounds of Istio's request duration histogram in milliseconds; the last bucket has none.
const BOUNDS_MS: [f64; 19] = [
    0.5, 1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0, 10000.0, 30000.0, 60000.0, 300000.0,
    600000.0, 1800000.0, 3600000.0,
];
const BUCKETS: usize = BOUNDS_MS.len() + 1;

const REQUESTS: &str = "istio_requests_total";
const DURATION_BUCKET: &str = "istio_request_duration_milliseconds_bucket";
const DURATION_SUM: &str = "istio_request_duration_milliseconds_sum";
const DURATION_COUNT: &str = "istio_request_duration_milliseconds_count";

/// Plain series that may be recorded; more are refused.
const PLAIN_SERIES_MAX: usize = 10_000;

/// Label names and values, `__name__` among them.
pub(crate) type Labels = BTreeMap<String, String>;

/// A value at a time in milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) at_ms: i64,
    pub(crate) value: f64,
}

/// One series with the samples that were asked for.
#[derive(Debug, Clone)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<Sample>,
}

/// What distinguishes one request counter from another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamKey {
    pub(crate) reporter: &'static str,
    pub(crate) source_namespace: String,
    pub(crate) service_host: String,
    pub(crate) service_name: String,
    pub(crate) service_namespace: String,
    pub(crate) workload: String,
    pub(crate) version: String,
    pub(crate) code: u16,
    pub(crate) flags: &'static str,
}

impl StreamKey {
    fn labels(&self) -> Labels {
        let pairs = [
            ("connection_security_policy", "unknown"),
            ("destination_app", &self.service_name),
            ("destination_canonical_revision", &self.version),
            ("destination_service", &self.service_host),
            ("destination_service_name", &self.service_name),
            ("destination_service_namespace", &self.service_namespace),
            ("destination_version", &self.version),
            ("destination_workload", &self.workload),
            ("destination_workload_namespace", &self.service_namespace),
            ("reporter", self.reporter),
            ("request_protocol", "http"),
            ("response_code", &self.code.to_string()),
            ("response_flags", self.flags),
            ("source_workload", "sim-traffic"),
            ("source_workload_namespace", &self.source_namespace),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        pairs.into_iter().collect()
    }
}

/// The counters of one stream at a time.
#[derive(Debug, Clone)]
struct Row {
    at_ms: i64,
    sum_ms: f64,
    /// Counts by bucket, not cumulative. Shared between rows as long as nothing was counted.
    buckets: Arc<[u64; BUCKETS]>,
}

#[derive(Debug, Clone)]
struct Stream {
    labels: Labels,
    has_counted: bool,
    now: Row,
    rows: VecDeque<Row>,
}

/// All samples. Cloning shares them; a clone copies a stream only when it counts further.
#[derive(Debug, Clone, Default)]
pub(crate) struct Store {
    streams: Vec<Arc<Stream>>,
    keys: Vec<StreamKey>,
    index: BTreeMap<StreamKey, usize>,
    plain: BTreeMap<Labels, Arc<VecDeque<Sample>>>,
}

impl Store {
    /// The place of a stream, made when there is none.
    pub(crate) fn stream(&mut self, key: StreamKey) -> usize {
        if let Some(place) = self.index.get(&key) {
            return *place;
        }
        let labels = key.labels();
        let now = Row { at_ms: 0, sum_ms: 0.0, buckets: Arc::new([0; BUCKETS]) };
        self.streams.push(Arc::new(Stream { labels, has_counted: false, now, rows: VecDeque::new() }));
        let place = self.streams.len() - 1;
        self.keys.push(key.clone());
        self.index.insert(key, place);
        place
    }

    /// What a place counts.
    pub(crate) fn key(&self, place: usize) -> Option<&StreamKey> {
        self.keys.get(place)
    }

    /// Counts one request.
    pub(crate) fn count(&mut self, place: usize, duration_ms: f64) {
        let Some(stream) = self.streams.get_mut(place) else { return };
        let stream = Arc::make_mut(stream);
        stream.has_counted = true;
        let now = &mut stream.now;
        now.sum_ms += duration_ms;
        let bucket = BOUNDS_MS.partition_point(|bound| *bound < duration_ms);
        if let Some(count) = Arc::make_mut(&mut now.buckets).get_mut(bucket) {
            *count += 1;
        }
    }

    /// Takes a sample of every stream that ever counted and forgets what is older than the window.
    pub(crate) fn scrape(&mut self, at_ms: i64, window_ms: i64) {
        for stream in self.streams.iter_mut().filter(|stream| stream.has_counted) {
            let stream = Arc::make_mut(stream);
            stream.rows.push_back(Row { at_ms, ..stream.now.clone() });
            while stream.rows.front().is_some_and(|row| row.at_ms < at_ms - window_ms) {
                stream.rows.pop_front();
            }
        }
    }

    /// Records a sample of a plain series; one that is not newer than the last is refused.
    pub(crate) fn record(&mut self, labels: Labels, sample: Sample, window_ms: i64) -> bool {
        if !self.plain.contains_key(&labels) && self.plain.len() >= PLAIN_SERIES_MAX {
            return false;
        }
        let samples = Arc::make_mut(self.plain.entry(labels).or_default());
        if samples.back().is_some_and(|last| last.at_ms >= sample.at_ms) {
            return false;
        }
        samples.push_back(sample);
        while samples.front().is_some_and(|first| first.at_ms < sample.at_ms - window_ms) {
            samples.pop_front();
        }
        true
    }

    /// The series that satisfy all matchers, with their samples from `from_ms` to `to_ms`, both included.
    pub(crate) fn select(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64) -> Vec<Series> {
        let mut found = Vec::new();
        for (labels, samples) in &self.plain {
            let value = |name: &str| labels.get(name).map_or("", String::as_str);
            if matchers.iter().all(|matcher| matcher.is_match(value(&matcher.name))) {
                let wanted = samples.iter().filter(|sample| (from_ms..=to_ms).contains(&sample.at_ms));
                found.push(Series { labels: labels.clone(), samples: wanted.copied().collect() });
            }
        }
        for stream in &self.streams {
            stream.select(matchers, from_ms, to_ms, &mut found);
        }
        found.retain(|series| !series.samples.is_empty());
        found
    }
}

impl Stream {
    fn select(&self, matchers: &[Matcher], from_ms: i64, to_ms: i64, found: &mut Vec<Series>) {
        let own = |name: &str| self.labels.get(name).map_or("", String::as_str);
        let special = |name: &str| name == "__name__" || name == "le";
        if !matchers.iter().filter(|m| !special(&m.name)).all(|matcher| matcher.is_match(own(&matcher.name))) {
            return;
        }
        let fits = |name: &str, le: &str| {
            matchers.iter().filter(|m| special(&m.name)).all(|m| m.is_match(if m.name == "le" { le } else { name }))
        };
        let mut add = |name: &str, le: Option<&str>, value: &dyn Fn(&Row) -> f64| {
            let mut labels = self.labels.clone();
            labels.insert("__name__".to_owned(), name.to_owned());
            if let Some(le) = le {
                labels.insert("le".to_owned(), le.to_owned());
            }
            let rows = self.rows.iter().filter(|row| (from_ms..=to_ms).contains(&row.at_ms));
            let samples = rows.map(|row| Sample { at_ms: row.at_ms, value: value(row) }).collect();
            found.push(Series { labels, samples });
        };
        for name in [REQUESTS, DURATION_COUNT] {
            if fits(name, "") {
                add(name, None, &|row| row.up_to(BUCKETS));
            }
        }
        if fits(DURATION_SUM, "") {
            add(DURATION_SUM, None, &|row| row.sum_ms);
        }
        for bucket in 0..BUCKETS {
            let le = BOUNDS_MS.get(bucket).map_or_else(|| "+Inf".to_owned(), ToString::to_string);
            if fits(DURATION_BUCKET, &le) {
                add(DURATION_BUCKET, Some(&le), &|row| row.up_to(bucket + 1));
            }
        }
    }
}

impl Row {
    fn up_to(&self, buckets: usize) -> f64 {
        self.buckets.iter().take(buckets).sum::<u64>() as f64
    }
}
