//! Datadog: version 1 queries series of points, version 2 asks for scalars of queries and formulas.

use std::collections::BTreeMap;

use object_model::Duration;
use serde_json::{Value as Json, json};

use super::asking::{Asking, Credentials, duration, get, json as read_json, number, post, spec, unexpected};
use super::{HttpRequest, ProviderError, Reading, http, text};
use crate::argument::SecretRef;
use crate::expression::Value;
use crate::expression::value::format_plain;

const NAME: &str = "datadog";
const ADDRESS_DEFAULT: &str = "https://api.datadoghq.com";
const INTERVAL_DEFAULT: Duration = Duration::from_secs(300);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// The `datadog` section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Datadog {
    section: Json,
    is_first_version: bool,
    credentials: Credentials,
}

impl Datadog {
    pub(super) fn parse(json: &Json) -> Self {
        Self {
            section: json.clone(),
            is_first_version: !matches!(text(json, "apiVersion").as_str(), "v2"),
            credentials: Credentials::parse(json.get("secretRef"), "datadog"),
        }
    }

    pub(super) fn secrets(&self) -> Vec<SecretRef> {
        ["address", "api-key", "app-key"].map(|key| self.credentials.key(key)).to_vec()
    }

    pub(super) fn request(&self, asking: &Asking<'_>) -> Result<HttpRequest, ProviderError> {
        let address = asking.optional(&self.credentials.key("address"));
        let base = http::address(address.as_deref().unwrap_or(ADDRESS_DEFAULT), "datadog address")?.base;
        let base = base.trim_end_matches('/');
        let timeout = duration(&self.section, "requestTimeout", TIMEOUT_DEFAULT)?;
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let headers = vec![
            ("DD-API-KEY", asking.secret(&self.credentials.key("api-key"))?),
            ("DD-APPLICATION-KEY", asking.secret(&self.credentials.key("app-key"))?),
        ];
        let interval = i64::try_from(duration(&self.section, "interval", INTERVAL_DEFAULT)?.as_secs()).unwrap_or(0);
        let to = asking.now.as_second();
        let from = to.saturating_sub(interval);
        if self.is_first_version {
            let query = text(&self.section, "query");
            if query.is_empty() {
                return Err(spec("Cannot use queries or formula with datadog API version v1; a query is needed"));
            }
            let form = http::form(&[("query", query), ("from", from.to_string()), ("to", to.to_string())]);
            return Ok(get(format!("{base}/api/v1/query?{form}"), headers, timeout_ms));
        }
        let body = json!({"data": {"type": "scalar_request", "attributes": {
            "from": from.saturating_mul(1000), "to": to.saturating_mul(1000),
            "queries": self.queries()?, "formulas": self.formulas(),
        }}});
        let content = ("application/json", body.to_string());
        Ok(post(format!("{base}/api/v2/query/scalar"), headers, content, timeout_ms))
    }

    fn queries(&self) -> Result<Vec<Json>, ProviderError> {
        let one = text(&self.section, "query");
        let many = self.section.get("queries").and_then(Json::as_object).filter(|queries| !queries.is_empty());
        let aggregator = Some(text(&self.section, "aggregator")).filter(|text| !text.is_empty());
        let aggregator = aggregator.unwrap_or_else(|| "last".to_owned());
        let query = |name: &str, query: &str| json!({"aggregator": aggregator, "data_source": "metrics", "name": name, "query": query});
        match (one.is_empty(), many) {
            (false, None) => Ok(vec![query("query", &one)]),
            (true, Some(many)) => {
                Ok(many.iter().map(|(name, text)| query(name, text.as_str().unwrap_or_default())).collect())
            }
            (true, None) => Err(spec("Must have either a query or queries. Please review the Analysis Template.")),
            (false, Some(_)) => Err(spec("Cannot have both a query and queries. Please review the Analysis Template.")),
        }
    }

    fn formulas(&self) -> Vec<Json> {
        let formula = text(&self.section, "formula");
        if formula.is_empty() { Vec::new() } else { vec![json!({"formula": formula})] }
    }

    pub(super) fn parse_answer(&self, status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
        if matches!(status, 401 | 403) {
            let reason = "received authentication error response code: check the api-key and app-key".to_owned();
            return Err(ProviderError::Value { reason: format!("{reason} ({status})") });
        }
        let json = read_json(NAME, status, body)?;
        if self.is_first_version { first(&json, status, body) } else { second(&json, status, body) }
    }
}

/// The last point of the first series; no series is no value, which conditions may allow for.
/// <https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points>
fn first(json: &Json, status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
    if let Some(error) = json.get("error").and_then(Json::as_str).filter(|error| !error.is_empty()) {
        return Err(ProviderError::Value { reason: format!("There were errors in your query: {error}") });
    }
    let Some(series) = json.pointer("/series/0") else { return Ok(nothing()) };
    let Some(point) = series.get("pointlist").and_then(Json::as_array).and_then(|points| points.last()) else {
        return Ok(nothing());
    };
    match point.get(1) {
        Some(Json::Null) => Ok(nothing()),
        Some(value) => {
            let value = number(value).ok_or_else(|| unexpected(NAME, status, "its last point can't be read", body))?;
            Ok(Reading::number(value))
        }
        None => Err(unexpected(NAME, status, "its last point can't be read", body)),
    }
}

/// The first column of numbers: one number, or a list of them when the query is grouped.
/// <https://docs.datadoghq.com/api/latest/metrics/#query-scalar-data-across-multiple-products>
fn second(json: &Json, status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
    let errors = json.get("errors").or_else(|| json.pointer("/data/errors"));
    let told = match errors {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Array(list)) => list.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(", "),
        _ => String::new(),
    };
    if !told.is_empty() {
        return Err(ProviderError::Value { reason: format!("There were errors in your query: {told}") });
    }
    let columns = json.pointer("/data/attributes/columns").and_then(Json::as_array);
    let columns = columns.map(Vec::as_slice).unwrap_or_default();
    let kind = |column: &Json| column.get("type").and_then(Json::as_str).unwrap_or("number").to_owned();
    let Some(numbers) = columns.iter().find(|column| kind(column) == "number") else { return Ok(nothing()) };
    let values = numbers.get("values").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let values: Option<Vec<f64>> = values.iter().filter(|value| !value.is_null()).map(number).collect();
    let values = values.ok_or_else(|| unexpected(NAME, status, "its values can't be read", body))?;
    let is_grouped = columns.iter().any(|column| kind(column) == "group");
    match (is_grouped, values.as_slice()) {
        (_, []) => Ok(nothing()),
        (false, [value, ..]) => Ok(Reading::number(*value)),
        (true, _) => {
            let shown: Vec<_> = values.iter().map(|value| format_plain(*value)).collect();
            Ok(Reading::new(Value::vector(values), format!("[{}]", shown.join(",")), BTreeMap::new()))
        }
    }
}

fn nothing() -> Reading {
    Reading::new(Value::Nil, "[]".to_owned(), BTreeMap::new())
}
