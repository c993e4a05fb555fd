//! SkyWalking: a GraphQL query over the last minutes.

use std::collections::BTreeMap;

use object_model::{Duration, Timestamp};
use serde_json::{Value as Json, json};

use super::asking::{Asking, duration, json as read_json, post};
use super::{HttpRequest, ProviderError, Reading, http, text};
use crate::expression::Value;

const NAME: &str = "skywalking";
const INTERVAL_DEFAULT: Duration = Duration::from_secs(300);
const TIMEOUT_MS: u64 = 30_000;

/// The `skywalking` section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct SkyWalking {
    section: Json,
}

impl SkyWalking {
    pub(super) fn parse(json: &Json) -> Self {
        Self { section: json.clone() }
    }

    pub(super) fn request(&self, asking: &Asking<'_>) -> Result<HttpRequest, ProviderError> {
        let address = http::address(&text(&self.section, "address"), "skywalking address")?;
        let interval = i64::try_from(duration(&self.section, "interval", INTERVAL_DEFAULT)?.as_secs()).unwrap_or(0);
        let start = Timestamp::from_second(asking.now.as_second().saturating_sub(interval)).unwrap_or(asking.now);
        let span = json!({"start": minute(start), "end": minute(asking.now), "step": "MINUTE"});
        let body = json!({"query": text(&self.section, "query"), "variables": {"duration": span}}).to_string();
        let headers = address.authorization.map(|value| ("Authorization", value)).into_iter().collect();
        let url = format!("{}/graphql", address.base.trim_end_matches('/'));
        Ok(post(url, headers, ("application/json", body), TIMEOUT_MS))
    }
}

/// A minute in UTC as SkyWalking writes it.
/// <https://skywalking.apache.org/docs/main/latest/en/api/query-protocol/> (`Duration`: `yyyy-MM-dd HHmm` for MINUTE)
fn minute(moment: Timestamp) -> String {
    let text = object_model::format_time(moment);
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {}{}", time.get(0..2).unwrap_or("00"), time.get(3..5).unwrap_or("00"))
}

/// The data of the answer, whatever the query asked for.
pub(super) fn parse_answer(status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
    let json = read_json(NAME, status, body)?;
    if let Some(message) = json.pointer("/errors/0/message").and_then(Json::as_str) {
        return Err(ProviderError::Value { reason: format!("graphql: {message}") });
    }
    match json.get("data") {
        None | Some(Json::Null) => {
            Err(ProviderError::Value { reason: "no results returned from SkyWalking query".to_owned() })
        }
        Some(data) => Ok(Reading::new(Value::from_json(data), data.to_string(), BTreeMap::new())),
    }
}
