//! Dynatrace: a metric selector of the metrics API, version 2.

use std::collections::BTreeMap;

use object_model::{Duration, Secret};
use serde_json::Value as Json;

use super::asking::{Asking, Credentials, duration, get, json as read_json, number, spec, unexpected};
use super::{HttpRequest, ProviderError, Reading, http, text};
use crate::argument::SecretRef;
use crate::expression::Value;
use crate::expression::value::format_plain;

const NAME: &str = "dynatrace";
const INTERVAL_DEFAULT: Duration = Duration::from_secs(300);
const TIMEOUT_MS: u64 = 10_000;

/// The `dynatrace` section of a metric: `address`, `query` (a metric selector), `interval`, `resolution`, `secretRef`
/// (key `dynatrace_token`).
#[derive(Debug, Clone, PartialEq)]
pub struct Dynatrace {
    section: Json,
    credentials: Credentials,
}

impl Dynatrace {
    pub(super) fn parse(json: &Json) -> Self {
        Self { section: json.clone(), credentials: Credentials::parse(json.get("secretRef"), "dynatrace") }
    }

    fn token(&self) -> SecretRef {
        self.credentials.key("dynatrace_token")
    }

    pub(super) fn secrets(&self) -> Vec<SecretRef> {
        vec![self.token()]
    }

    pub(super) fn request(&self, asking: &Asking<'_>) -> Result<HttpRequest, ProviderError> {
        let base = http::address(&text(&self.section, "address"), "dynatrace address")?.base;
        let query = text(&self.section, "query");
        if query.is_empty() {
            return Err(spec("dynatrace needs a query (a metric selector)"));
        }
        let resolution = Some(text(&self.section, "resolution")).filter(|text| !text.is_empty());
        let interval = duration(&self.section, "interval", INTERVAL_DEFAULT)?.as_millis();
        let to = asking.now.as_millisecond();
        let from = to.saturating_sub(i64::try_from(interval).unwrap_or(i64::MAX));
        let form = http::form(&[
            ("metricSelector", query),
            ("resolution", resolution.unwrap_or_else(|| "Inf".to_owned())),
            ("from", from.to_string()),
            ("to", to.to_string()),
        ]);
        let token = asking.secret(&self.token())?;
        let headers = vec![("Authorization", Secret::new(format!("Api-Token {}", token.expose())))];
        Ok(get(format!("{}/api/v2/metrics/query?{form}", base.trim_end_matches('/')), headers, TIMEOUT_MS))
    }
}

/// All values of the first metric that are numbers.
/// <https://docs.dynatrace.com/docs/dynatrace-api/environment-api/metric-v2/get-data-points>
pub(super) fn parse_answer(status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
    let json = read_json(NAME, status, body)?;
    let results = json.get("result").and_then(Json::as_array);
    let results = results.ok_or_else(|| unexpected(NAME, status, "it has no result", body))?;
    let series = results.first().and_then(|metric| metric.get("data")).and_then(Json::as_array);
    let mut values = Vec::new();
    for one in series.into_iter().flatten() {
        let points = one.get("values").and_then(Json::as_array).into_iter().flatten();
        for value in points.filter(|value| !value.is_null()) {
            values.push(number(value).ok_or_else(|| unexpected(NAME, status, "a value can't be read", body))?);
        }
    }
    let mut metadata = BTreeMap::new();
    let warnings = json.get("warnings").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str);
    let warnings: Vec<&str> = warnings.collect();
    if !warnings.is_empty() {
        metadata.insert("warnings".to_owned(), warnings.join(", "));
    }
    let shown: Vec<_> = values.iter().map(|value| format_plain(*value)).collect();
    Ok(Reading::new(Value::vector(values), format!("[{}]", shown.join(",")), metadata))
}
