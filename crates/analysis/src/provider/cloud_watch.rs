//! CloudWatch: `GetMetricData` over the last minutes, in the service's JSON protocol.

use std::collections::BTreeMap;

use object_model::{Duration, Secret};
use serde_json::{Map, Value as Json, json};

use super::asking::{Asking, duration, json as read_json, post, spec, unexpected};
use super::signature::sign;
use super::{HttpRequest, ProviderError, Reading, text};
use crate::expression::Value;

const NAME: &str = "cloudWatch";
const INTERVAL_DEFAULT: Duration = Duration::from_secs(300);
const TIMEOUT_MS: u64 = 30_000;
/// The operation as the service's JSON protocol (awsJson1.0) names it.
const TARGET: &str = "GraniteServiceVersion20100801.GetMetricData";
/// How deep a query is nested at most: `metricStat.metric.dimensions[].name`.
const DEPTH_MAX: usize = 8;

/// The `cloudWatch` section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudWatch {
    section: Json,
}

impl CloudWatch {
    pub(super) fn parse(json: &Json) -> Self {
        Self { section: json.clone() }
    }

    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>
    pub(super) fn request(&self, asking: &Asking<'_>) -> Result<HttpRequest, ProviderError> {
        let credentials = asking.settings.aws.as_ref().ok_or_else(|| spec("AWS credentials are not configured"))?;
        let region = Some(text(&self.section, "region")).filter(|region| !region.is_empty());
        let region =
            region.or_else(|| credentials.region.clone()).ok_or_else(|| spec("an AWS region is not configured"))?;
        if !region.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '-') {
            return Err(spec("the AWS region is malformed"));
        }
        let queries = self.section.get("metricDataQueries").and_then(Json::as_array);
        let queries = queries.filter(|queries| !queries.is_empty());
        let queries = queries.ok_or_else(|| spec("cloudWatch needs metricDataQueries"))?;
        let interval = i64::try_from(duration(&self.section, "interval", INTERVAL_DEFAULT)?.as_secs()).unwrap_or(0);
        let end = asking.now.as_second();
        let body = json!({
            "StartTime": end.saturating_sub(interval), "EndTime": end,
            "MetricDataQueries": queries.iter().map(|query| in_service_words(query, 0)).collect::<Vec<_>>(),
        });
        let headers = vec![("X-Amz-Target", Secret::new(TARGET.to_owned()))];
        let content = ("application/x-amz-json-1.0", body.to_string());
        let request = post(format!("https://monitoring.{region}.amazonaws.com/"), headers, content, TIMEOUT_MS);
        sign(request, credentials, (&region, "monitoring"), asking.now)
    }
}

/// The service begins its field names with a capital letter; periods may come as texts.
fn in_service_words(value: &Json, depth: usize) -> Json {
    match value {
        Json::Object(map) if depth < DEPTH_MAX => {
            let field = |(key, value): (&String, &Json)| {
                let mut letters = key.chars();
                let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
                let value = match (key.as_str(), value.as_str().and_then(|text| text.parse::<i64>().ok())) {
                    ("period", Some(seconds)) => seconds.into(),
                    _ => in_service_words(value, depth + 1),
                };
                (format!("{first}{}", letters.as_str()), value)
            };
            Json::Object(map.iter().filter(|(_, value)| !value.is_null()).map(field).collect::<Map<_, _>>())
        }
        Json::Array(items) => items.iter().map(|item| in_service_words(item, depth + 1)).collect(),
        other => other.clone(),
    }
}

/// The results as the service gives them: `result[0].Values[0]` is a value. Shown are the values alone.
pub(super) fn parse_answer(status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
    let json = read_json(NAME, status, body)?;
    let results = json.get("MetricDataResults").and_then(Json::as_array);
    let results = results.ok_or_else(|| unexpected(NAME, status, "it has no MetricDataResults", body))?;
    let values: Vec<&Json> = results.iter().map(|result| result.get("Values").unwrap_or(&Json::Null)).collect();
    let mut metadata = BTreeMap::new();
    let messages = json.get("Messages").and_then(Json::as_array).filter(|messages| !messages.is_empty());
    if let Some(messages) = messages {
        metadata.insert("messages".to_owned(), json!(messages).to_string());
    }
    Ok(Reading::new(Value::from_json(&json!(results)), json!(values).to_string(), metadata))
}
