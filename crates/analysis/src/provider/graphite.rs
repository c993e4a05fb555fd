//! Graphite: the points of the first target of a render query.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::asking::{get, json as read_json, number, unexpected};
use super::{HttpRequest, ProviderError, Reading, http, text};
use crate::expression::Value;
use crate::expression::value::format_plain;

const NAME: &str = "graphite";
const TIMEOUT_MS: u64 = 10_000;

/// The `graphite` section of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graphite {
    address: String,
    query: String,
}

impl Graphite {
    pub(super) fn parse(json: &Json) -> Self {
        Self { address: text(json, "address"), query: text(json, "query") }
    }

    /// The query is a query string as Graphite's render API has it, such as `target=stats.x&from=-5min`; blanks in it
    /// mean nothing.
    pub(super) fn request(&self) -> Result<HttpRequest, ProviderError> {
        let address = http::address(&self.address, "graphite address")?;
        let squeezed: String = self.query.split_whitespace().collect();
        let parameters =
            squeezed.split('&').filter_map(|pair| pair.split_once('=')).filter(|(key, _)| *key != "format");
        let mut parameters: Vec<(&str, String)> =
            parameters.map(|(key, value)| (key, http::percent_decode(value))).collect();
        parameters.push(("format", "json".to_owned()));
        let url = format!("{}/render?{}", address.base.trim_end_matches('/'), http::form(&parameters));
        let headers = address.authorization.map(|value| ("Authorization", value)).into_iter().collect();
        Ok(get(url, headers, TIMEOUT_MS))
    }
}

/// <https://graphite.readthedocs.io/en/latest/render_api.html#json> (`[{target, datapoints: [[value, epoch]]}]`)
pub(super) fn parse_answer(status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
    let json = read_json(NAME, status, body)?;
    let targets = json.as_array().ok_or_else(|| unexpected(NAME, status, "it is not a list of targets", body))?;
    let points = targets.first().and_then(|target| target.get("datapoints")).and_then(Json::as_array);
    let points = points.filter(|points| !points.is_empty());
    let points = points.ok_or_else(|| ProviderError::Value { reason: "no values found".to_owned() })?;
    let mut values = Vec::new();
    for point in points {
        match point.get(0) {
            Some(Json::Null) => {}
            Some(value) => {
                values.push(number(value).ok_or_else(|| unexpected(NAME, status, "a point can't be read", body))?);
            }
            None => return Err(unexpected(NAME, status, "a point can't be read", body)),
        }
    }
    let shown: Vec<_> = values.iter().map(|value| format_plain(*value)).collect();
    Ok(Reading::new(Value::vector(values), format!("[{}]", shown.join(",")), BTreeMap::new()))
}
