//! Metric providers: how a reading is asked for and how the answer is read. Nothing is sent from here.

mod asking;
mod cloud_watch;
mod datadog;
mod dynatrace;
mod google;
mod graphite;
mod http;
mod influxdb;
mod job;
mod json_path;
mod kayenta;
mod new_relic;
mod oauth2;
mod prometheus;
mod signature;
mod sky_walking;
mod wavefront;
mod web;

use std::collections::BTreeMap;

use object_model::{Secret, Timestamp};
use serde_json::Value as Json;

use crate::Phase;
use crate::argument::SecretRef;
use crate::expression::Value;
use crate::expression::value::format_plain;
pub use asking::{Asking, Earlier, Next};
pub use cloud_watch::CloudWatch;
pub use datadog::Datadog;
pub use dynatrace::Dynatrace;
pub use google::GoogleCloudMonitoring;
pub use graphite::Graphite;
pub use influxdb::Influxdb;
pub use job::{Job, JobState};
pub use kayenta::Kayenta;
pub use new_relic::NewRelic;
pub use prometheus::Prometheus;
pub use signature::AwsCredentials;
pub use sky_walking::SkyWalking;
pub use wavefront::Wavefront;
pub use web::Web;

/// The longest body of an answer.
pub(crate) const BODY_MAX_BYTES: usize = 1024 * 1024;
/// The longest value that a measurement records.
const VALUE_MAX_BYTES: usize = 8 * 1024;

/// A request to send: everything the sender needs, and nothing it may not print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST` or `PUT`.
    pub method: &'static str,
    /// Where to; it may hold a secret that came in through an argument.
    pub url: Secret<String>,
    /// Scheme, host and path only, for logs and messages.
    pub shown_url: String,
    /// Header names with their values.
    pub headers: Vec<(String, Secret<String>)>,
    /// What to send.
    pub body: Option<Secret<String>>,
    /// How long to wait for the whole answer.
    pub timeout_ms: u64,
    /// The longest body to accept; a longer one is a failure.
    pub max_body_bytes: usize,
    /// Whether the server's certificate is taken unseen.
    pub insecure_tls: bool,
}

/// What one answer of a provider says.
#[derive(Debug, Clone)]
pub struct Reading {
    pub(crate) result: Value,
    /// The value as measurements record it.
    pub value: String,
    /// What the provider says besides.
    pub metadata: BTreeMap<String, String>,
    /// What the provider itself says of it; then conditions are not asked.
    pub(crate) verdict: Option<Phase>,
}

impl Reading {
    pub(crate) fn new(result: Value, value: String, metadata: BTreeMap<String, String>) -> Self {
        Self { result, value: truncated(&value, VALUE_MAX_BYTES), metadata, verdict: None }
    }

    /// One number.
    pub(crate) fn number(value: f64) -> Self {
        Self::new(Value::Float(value), format_plain(value), BTreeMap::new())
    }
}

/// Why a provider can't be asked or its answer can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// The metric's provider section is wrong.
    #[error("{reason}")]
    Spec {
        /// What is wrong.
        reason: String,
    },
    /// The provider is known but not built in.
    #[error("metric provider `{name}` is not supported")]
    Unsupported {
        /// Its key in the metric.
        name: String,
    },
    /// The answer is not a success.
    #[error("{provider} answered {status}: {body}")]
    Status {
        /// Which provider.
        provider: &'static str,
        /// The HTTP status.
        status: u16,
        /// The beginning of what it said.
        body: String,
    },
    /// The answer is not what the provider's API promises.
    #[error("{provider} answered {status} but {reason}: {body}")]
    Answer {
        /// Which provider.
        provider: &'static str,
        /// The HTTP status.
        status: u16,
        /// What is wrong with the answer.
        reason: String,
        /// The beginning of what it said.
        body: String,
    },
    /// The answer has a value of a kind that can't be judged.
    #[error("{reason}")]
    Value {
        /// Why.
        reason: String,
    },
}

/// Settings of the installation that providers fall back on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// Address of Prometheus where a metric names none.
    pub prometheus_address: Option<String>,
    /// The identity with which AWS is asked.
    pub aws: Option<AwsCredentials>,
}

/// The provider section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub enum Provider {
    /// There is none.
    Missing,
    /// There are several, which is not allowed.
    Several(Vec<String>),
    /// Prometheus.
    Prometheus(Prometheus),
    /// Any HTTP endpoint that answers JSON.
    Web(Web),
    /// A Kubernetes Job, whose end is the reading.
    Job(Job),
    /// Datadog.
    Datadog(Datadog),
    /// New Relic.
    NewRelic(NewRelic),
    /// Wavefront.
    Wavefront(Wavefront),
    /// Graphite.
    Graphite(Graphite),
    /// InfluxDB 2.
    Influxdb(Influxdb),
    /// AWS CloudWatch.
    CloudWatch(CloudWatch),
    /// Kayenta.
    Kayenta(Kayenta),
    /// SkyWalking.
    SkyWalking(SkyWalking),
    /// Dynatrace.
    Dynatrace(Dynatrace),
    /// Google Cloud Monitoring.
    GoogleCloudMonitoring(GoogleCloudMonitoring),
    /// One that is not built in, by its key.
    Unsupported(String),
}

impl Provider {
    /// Lowers the provider section.
    pub fn parse(json: &Json) -> Self {
        let mut names = Vec::new();
        for (name, section) in json.as_object().into_iter().flatten() {
            match (name.as_str(), section) {
                (_, Json::Null) => {}
                ("plugin", Json::Object(plugins)) => names.extend(plugins.keys().map(|key| format!("plugin {key}"))),
                _ => names.push(name.clone()),
            }
        }
        if names.len() > 1 {
            return Self::Several(names);
        }
        let Some(name) = names.pop() else { return Self::Missing };
        let section = json.get(&name).unwrap_or(&Json::Null);
        match name.as_str() {
            "prometheus" => Self::Prometheus(Prometheus::parse(section)),
            "web" => Self::Web(Web::parse(section)),
            "job" => Self::Job(Job::parse(section)),
            "datadog" => Self::Datadog(Datadog::parse(section)),
            "newRelic" => Self::NewRelic(NewRelic::parse(section)),
            "wavefront" => Self::Wavefront(Wavefront::parse(section)),
            "graphite" => Self::Graphite(Graphite::parse(section)),
            "influxdb" => Self::Influxdb(Influxdb::parse(section)),
            "cloudWatch" => Self::CloudWatch(CloudWatch::parse(section)),
            "kayenta" => Self::Kayenta(Kayenta::parse(section)),
            "skywalking" => Self::SkyWalking(SkyWalking::parse(section)),
            "dynatrace" => Self::Dynatrace(Dynatrace::parse(section)),
            "googleCloudMonitoring" => Self::GoogleCloudMonitoring(GoogleCloudMonitoring::parse(section)),
            _ => Self::Unsupported(name),
        }
    }

    /// The Secrets that the provider keeps its credentials in, by key; some of them may be absent.
    pub fn secrets(&self) -> Vec<SecretRef> {
        match self {
            Self::Datadog(datadog) => datadog.secrets(),
            Self::NewRelic(new_relic) => new_relic.secrets(),
            Self::Wavefront(wavefront) => wavefront.secrets(),
            Self::Influxdb(influxdb) => influxdb.secrets(),
            Self::Dynatrace(dynatrace) => dynatrace.secrets(),
            Self::GoogleCloudMonitoring(google) => google.secrets(),
            _ => Vec::new(),
        }
    }

    /// What a measurement needs next, after the answers that it has.
    ///
    /// # Errors
    /// When the section is wrong, the provider is not supported, or an answer on the way can't be used.
    pub fn next(&self, asking: &Asking<'_>) -> Result<Next, ProviderError> {
        match self {
            Self::Prometheus(prometheus) => prometheus.next(asking),
            Self::Web(web) => web.next(asking),
            Self::Kayenta(kayenta) => kayenta.next(asking),
            Self::GoogleCloudMonitoring(google) => google.next(asking),
            _ if !asking.earlier.is_empty() => Ok(Next::Read),
            other => Ok(Next::Ask(Box::new(other.request(asking)?))),
        }
    }

    /// The one request of a provider that needs only one.
    fn request(&self, asking: &Asking<'_>) -> Result<HttpRequest, ProviderError> {
        match self {
            Self::Datadog(datadog) => datadog.request(asking),
            Self::NewRelic(new_relic) => new_relic.request(asking),
            Self::Wavefront(wavefront) => wavefront.request(asking),
            Self::Graphite(graphite) => graphite.request(),
            Self::Influxdb(influxdb) => influxdb.request(asking),
            Self::CloudWatch(cloud_watch) => cloud_watch.request(asking),
            Self::SkyWalking(sky_walking) => sky_walking.request(asking),
            Self::Dynatrace(dynatrace) => dynatrace.request(asking),
            other => Err(other.unusable()),
        }
    }

    /// Reads the last answer of a measurement, which was complete at `at`.
    ///
    /// # Errors
    /// When it is not a success or not of the promised shape.
    pub fn parse_answer(&self, status: u16, body: &[u8], at: Timestamp) -> Result<Reading, ProviderError> {
        match self {
            Self::Prometheus(_) | Self::GoogleCloudMonitoring(_) => prometheus::parse_answer(status, body),
            Self::Web(web) => web.parse_answer(status, body),
            Self::Datadog(datadog) => datadog.parse_answer(status, body),
            Self::NewRelic(_) => new_relic::parse_answer(status, body),
            Self::Wavefront(wavefront) => wavefront.parse_answer(status, body, at.as_second()),
            Self::Graphite(_) => graphite::parse_answer(status, body),
            Self::Influxdb(_) => influxdb::parse_answer(status, body),
            Self::CloudWatch(_) => cloud_watch::parse_answer(status, body),
            Self::Kayenta(kayenta) => kayenta.parse_answer(status, body),
            Self::SkyWalking(_) => sky_walking::parse_answer(status, body),
            Self::Dynatrace(_) => dynatrace::parse_answer(status, body),
            other => Err(other.unusable()),
        }
    }

    /// What is told about the metric as a whole.
    pub fn metadata(&self) -> BTreeMap<String, String> {
        match self {
            Self::Prometheus(prometheus) => prometheus.metadata(),
            Self::NewRelic(new_relic) => new_relic.metadata(),
            _ => BTreeMap::new(),
        }
    }

    fn unusable(&self) -> ProviderError {
        match self {
            Self::Unsupported(name) => ProviderError::Unsupported { name: name.clone() },
            Self::Several(_) => ProviderError::Spec { reason: "multiple providers specified".to_owned() },
            _ => ProviderError::Spec { reason: "no provider specified".to_owned() },
        }
    }
}

/// The beginning of a body, on one line and short enough for a message.
pub(crate) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..600).unwrap_or(body));
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { "(empty body)".to_owned() } else { truncated(&line, 200) }
}

/// Cuts a text at a character boundary and says so.
fn truncated(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}...", text.get(..end).unwrap_or_default())
}

/// Reads a list of `{key, value}` headers.
fn headers(json: Option<&Json>) -> Vec<(String, Secret<String>)> {
    let items = json.and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .filter_map(|item| {
            let key = item.get("key")?.as_str()?.to_owned();
            Some((key, Secret::new(item.get("value").and_then(Json::as_str).unwrap_or_default().to_owned())))
        })
        .collect()
}

fn text(json: &Json, field: &str) -> String {
    json.get(field).and_then(Json::as_str).unwrap_or_default().to_owned()
}

/// Whether an authentication section asks for something that is not supported.
fn unsupported_authentication(json: &Json, known: &[&str]) -> Option<String> {
    let sections = json.get("authentication")?.as_object()?;
    let is_set = |section: &Json| section.as_object().is_some_and(|fields| !fields.is_empty());
    sections
        .iter()
        .find(|(name, section)| !known.contains(&name.as_str()) && is_set(section))
        .map(|(name, _)| name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_provider_that_is_not_built_in_is_named() {
        for (json, message) in [
            (json!({"splunk": {}}), "metric provider `splunk` is not supported"),
            (json!({"plugin": {"a/b": {}}}), "metric provider `plugin a/b` is not supported"),
            (json!({"web": null}), "no provider specified"),
            (json!({"plugin": {"a": {}, "b": {}}}), "multiple providers specified"),
        ] {
            let asking = Asking {
                now: Timestamp::UNIX_EPOCH,
                started_at: Timestamp::UNIX_EPOCH,
                interval: None,
                settings: &Settings::default(),
                secrets: &BTreeMap::new(),
                earlier: &[],
            };
            let error = Provider::parse(&json).next(&asking).unwrap_err();
            assert_eq!(error.to_string(), message, "{json}");
        }
    }

    #[test]
    fn an_excerpt_is_one_short_line() {
        assert_eq!(excerpt(b"a\n  b"), "a b");
        assert_eq!(excerpt(b""), "(empty body)");
        assert_eq!(excerpt("é".repeat(500).as_bytes()).len(), 203);
    }
}
