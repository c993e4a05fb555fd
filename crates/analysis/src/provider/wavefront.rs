//! Wavefront: the point of each series that lies nearest to the present.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::asking::{Asking, Credentials, get, json as read_json, number, spec};
use super::{HttpRequest, ProviderError, Reading, http, text};
use crate::argument::SecretRef;
use crate::expression::Value;

const NAME: &str = "wavefront";
const TIMEOUT_MS: u64 = 30_000;

/// The `wavefront` section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Wavefront {
    address: String,
    query: String,
}

impl Wavefront {
    pub(super) fn parse(json: &Json) -> Self {
        Self { address: text(json, "address"), query: text(json, "query") }
    }

    /// The Secret has one key for each address, which holds its token.
    fn token(&self) -> SecretRef {
        Credentials::named("wavefront-api-tokens").key(&self.address)
    }

    pub(super) fn secrets(&self) -> Vec<SecretRef> {
        vec![self.token()]
    }

    pub(super) fn request(&self, asking: &Asking<'_>) -> Result<HttpRequest, ProviderError> {
        let token = asking.secret(&self.token()).map_err(|_| spec("API token not found"))?;
        let with_scheme =
            if self.address.contains("://") { self.address.clone() } else { format!("https://{}", self.address) };
        let base = http::address(&with_scheme, "wavefront address")?.base;
        let moment = asking.now.as_second().saturating_mul(1000).to_string();
        let form = http::form(&[
            ("q", self.query.clone()),
            ("s", moment.clone()),
            ("e", moment),
            ("g", "s".to_owned()),
            ("p", "1".to_owned()),
            // Start and end are one moment, at which no point need lie.
            ("includeObsoleteMetrics", "false".to_owned()),
            ("strict", "false".to_owned()),
        ]);
        let bearer = object_model::Secret::new(format!("Bearer {}", token.expose()));
        let url = format!("{}/api/v2/chart/api?{form}", base.trim_end_matches('/'));
        Ok(get(url, vec![("Authorization", bearer)], TIMEOUT_MS))
    }

    /// <https://docs.wavefront.com/wavefront_api.html> (`GET /api/v2/chart/api`: `timeseries[].data[] = [epoch, value]`)
    pub(super) fn parse_answer(&self, status: u16, body: &[u8], now_s: i64) -> Result<Reading, ProviderError> {
        let json = read_json(NAME, status, body)?;
        if let Some(message) = json.get("errorMessage").and_then(Json::as_str).filter(|text| !text.is_empty()) {
            return Err(ProviderError::Value { reason: message.to_owned() });
        }
        let series = json.get("timeseries").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let nearest: Vec<(f64, i64)> = series.iter().map(|one| point(one, now_s)).collect();
        let mut metadata = BTreeMap::new();
        if let Some(warnings) = json.get("warnings").and_then(Json::as_str).filter(|text| !text.is_empty()) {
            metadata.insert("warnings".to_owned(), warnings.to_owned());
        }
        let joined = |parts: Vec<String>| match parts.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(",")),
        };
        metadata.insert("timestamps".to_owned(), joined(nearest.iter().map(|(_, at)| at.to_string()).collect()));
        let drift = nearest.iter().map(|(_, at)| at.saturating_sub(now_s).to_string());
        metadata.insert("drift".to_owned(), joined(drift.collect()));
        let shown = joined(nearest.iter().map(|(value, _)| format!("{value:.2}")).collect());
        match nearest.as_slice() {
            [] => Err(ProviderError::Value { reason: "No TimeSeries found in response from Wavefront".to_owned() }),
            [(value, _)] => Ok(Reading::new(Value::Float(*value), shown, metadata)),
            many => Ok(Reading::new(Value::vector(many.iter().map(|(value, _)| *value).collect()), shown, metadata)),
        }
    }
}

/// The value and moment of the point that lies nearest; nothing is a zero at the epoch, as Argo Rollouts has it.
fn point(series: &Json, now_s: i64) -> (f64, i64) {
    let points = series.get("data").and_then(Json::as_array).into_iter().flatten();
    let read = points.filter_map(|pair| {
        let at = crate::expression::value::integer(number(pair.get(0)?)?);
        Some((number(pair.get(1)?)?, at))
    });
    read.min_by_key(|(_, at)| at.abs_diff(now_s)).unwrap_or((0.0, 0))
}
