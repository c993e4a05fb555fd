//! New Relic: an NRQL query through NerdGraph.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::asking::{Asking, Credentials, json as read_json, post, spec, unexpected};
use super::{HttpRequest, ProviderError, Reading, http, text};
use crate::argument::SecretRef;
use crate::expression::Value;

const NAME: &str = "newRelic";
const TIMEOUT_DEFAULT_S: i64 = 5;
/// What is waited for besides the time that the query itself may take.
const TIMEOUT_MARGIN_MS: u64 = 5_000;
const QUERY: &str = "query($accountId: Int!, $query: Nrql!, $timeout: Seconds!) { actor { account(id: $accountId) { nrql(query: $query, timeout: $timeout) { results } } } }";

/// The `newRelic` section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRelic {
    query: String,
    timeout_s: i64,
    credentials: Credentials,
}

impl NewRelic {
    pub(super) fn parse(json: &Json) -> Self {
        let profile = Some(text(json, "profile")).filter(|profile| !profile.is_empty());
        Self {
            query: text(json, "query"),
            timeout_s: json.get("timeout").and_then(Json::as_i64).unwrap_or(TIMEOUT_DEFAULT_S),
            credentials: Credentials::named(profile.as_deref().unwrap_or("newrelic")),
        }
    }

    pub(super) fn secrets(&self) -> Vec<SecretRef> {
        ["personal-api-key", "account-id", "region", "base-url-nerdgraph"].map(|key| self.credentials.key(key)).to_vec()
    }

    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("ResolvedNewRelicQuery".to_owned(), self.query.clone())])
    }

    pub(super) fn request(&self, asking: &Asking<'_>) -> Result<HttpRequest, ProviderError> {
        let timeout = u64::try_from(self.timeout_s).map_err(|_| spec("timeout value needs to be a positive value"))?;
        let account = asking.secret(&self.credentials.key("account-id"))?;
        let account: u64 =
            account.expose().trim().parse().map_err(|_| spec("could not parse account ID: it is no number"))?;
        let region = asking.optional(&self.credentials.key("region")).unwrap_or_default().to_lowercase();
        let url = match (asking.optional(&self.credentials.key("base-url-nerdgraph")), region.as_str()) {
            (Some(url), _) => http::address(&url, "newRelic base-url-nerdgraph")?.base,
            (None, "eu") => "https://api.eu.newrelic.com/graphql".to_owned(),
            (None, _) => "https://api.newrelic.com/graphql".to_owned(),
        };
        let variables = json!({"accountId": account, "query": self.query, "timeout": timeout});
        let body = json!({"query": QUERY, "variables": variables}).to_string();
        let headers = vec![("Api-Key", asking.secret(&self.credentials.key("personal-api-key"))?)];
        let timeout_ms = timeout.saturating_mul(1000).saturating_add(TIMEOUT_MARGIN_MS);
        Ok(post(url, headers, ("application/json", body), timeout_ms))
    }
}

/// One row is a map, several are a list of maps.
/// <https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-nrql-tutorial/>
pub(super) fn parse_answer(status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
    let json = read_json(NAME, status, body)?;
    if let Some(message) = json.pointer("/errors/0/message").and_then(Json::as_str) {
        return Err(ProviderError::Value { reason: message.to_owned() });
    }
    let rows = json.pointer("/data/actor/account/nrql/results").and_then(Json::as_array);
    let rows = rows.ok_or_else(|| unexpected(NAME, status, "it has no results", body))?;
    let result = match rows.as_slice() {
        [] => return Err(ProviderError::Value { reason: "no results returned from NRQL query".to_owned() }),
        [row] if row.as_object().is_none_or(serde_json::Map::is_empty) => {
            return Err(ProviderError::Value { reason: "no results returned from NRQL query".to_owned() });
        }
        [row] => row.clone(),
        rows => Json::from(rows.to_vec()),
    };
    Ok(Reading::new(Value::from_json(&result), result.to_string(), BTreeMap::new()))
}
