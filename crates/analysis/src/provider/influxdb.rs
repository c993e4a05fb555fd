//! InfluxDB 2: a Flux query, answered as annotated CSV.

use std::collections::BTreeMap;

use object_model::Secret;
use serde_json::{Value as Json, json};

use super::asking::{Asking, Credentials, post, unexpected};
use super::{HttpRequest, ProviderError, Reading, excerpt, http, text};
use crate::argument::SecretRef;
use crate::expression::Value;

const NAME: &str = "influxdb";
const TIMEOUT_MS: u64 = 30_000;
/// The most values that one answer may hold.
const VALUES_MAX: usize = 10_000;

/// The `influxdb` section of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Influxdb {
    query: String,
    credentials: Credentials,
}

impl Influxdb {
    pub(super) fn parse(json: &Json) -> Self {
        let profile = Some(text(json, "profile")).filter(|profile| !profile.is_empty());
        Self { query: text(json, "query"), credentials: Credentials::named(profile.as_deref().unwrap_or("influxdb")) }
    }

    pub(super) fn secrets(&self) -> Vec<SecretRef> {
        ["address", "authToken", "org"].map(|key| self.credentials.key(key)).to_vec()
    }

    /// <https://docs.influxdata.com/influxdb/v2/api/#operation/PostQuery>
    pub(super) fn request(&self, asking: &Asking<'_>) -> Result<HttpRequest, ProviderError> {
        let value = |key: &str| asking.secret(&self.credentials.key(key));
        let (address, token, org) = (value("address")?, value("authToken")?, value("org")?);
        let base = http::address(address.expose(), "influxdb address")?.base;
        let form = http::form(&[("org", org.expose().clone())]);
        let url = format!("{}/api/v2/query?{form}", base.trim_end_matches('/'));
        let dialect = json!({"header": true, "delimiter": ",", "annotations": ["datatype", "group", "default"]});
        let body = json!({"query": self.query, "type": "flux", "dialect": dialect}).to_string();
        let headers = vec![
            ("Authorization", Secret::new(format!("Token {}", token.expose()))),
            ("Accept", Secret::new("application/csv".to_owned())),
        ];
        Ok(post(url, headers, ("application/json", body), TIMEOUT_MS))
    }
}

/// The `_value` of every record, in order.
/// <https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/>
pub(super) fn parse_answer(status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
    if !(200..300).contains(&status) {
        let told = serde_json::from_slice::<Json>(body).ok();
        let told = told.and_then(|json| json.get("message").and_then(Json::as_str).map(str::to_owned));
        let body = told.unwrap_or_else(|| excerpt(body));
        return Err(ProviderError::Status { provider: NAME, status, body });
    }
    let csv = std::str::from_utf8(body).map_err(|_| unexpected(NAME, status, "it is not UTF-8 text", body))?;
    let values = values(csv).map_err(|reason| unexpected(NAME, status, &reason, body))?;
    if values.is_empty() {
        return Err(ProviderError::Value { reason: "no results returned from flux query".to_owned() });
    }
    let shown: Vec<_> = values.iter().map(Json::to_string).collect();
    let result = Json::from(values);
    Ok(Reading::new(Value::from_json(&result), format!("[{}]", shown.join(" ")), BTreeMap::new()))
}

fn values(csv: &str) -> Result<Vec<Json>, String> {
    let mut found = Vec::new();
    let mut types: Vec<String> = Vec::new();
    let mut header: Vec<String> = Vec::new();
    for line in csv.lines() {
        let fields = fields(line);
        let first = fields.first().map(String::as_str).unwrap_or_default();
        if line.trim().is_empty() {
            // A table ends; the next one has annotations and a header of its own.
            (types, header) = (Vec::new(), Vec::new());
        } else if first == "#datatype" {
            (types, header) = (fields, Vec::new());
        } else if first.starts_with('#') {
        } else if header.is_empty() {
            header = fields;
            if header.iter().any(|name| name == "error") {
                types.push("error".to_owned());
            }
        } else {
            if types.last().is_some_and(|last| last == "error") {
                let place = header.iter().position(|name| name == "error").unwrap_or(0);
                return Err(format!("the query failed: {}", fields.get(place).map(String::as_str).unwrap_or_default()));
            }
            let Some(place) = header.iter().position(|name| name == "_value") else { continue };
            let text = fields.get(place).map(String::as_str).unwrap_or_default();
            let kind = types.get(place).map(String::as_str).unwrap_or("string");
            found.push(typed(kind, text)?);
            if found.len() > VALUES_MAX {
                return Err(format!("it has more than {VALUES_MAX} values"));
            }
        }
    }
    Ok(found)
}

fn typed(kind: &str, text: &str) -> Result<Json, String> {
    let wrong = || format!("`{text}` is not a {kind}");
    if text.is_empty() && kind != "string" {
        return Ok(Json::Null);
    }
    match kind {
        "double" => text.parse::<f64>().map(Json::from).map_err(|_| wrong()),
        "long" => text.parse::<i64>().map(Json::from).map_err(|_| wrong()),
        "unsignedLong" => text.parse::<u64>().map(Json::from).map_err(|_| wrong()),
        "boolean" => text.parse::<bool>().map(Json::from).map_err(|_| wrong()),
        _ => Ok(text.into()),
    }
}

/// The fields of one line; a quoted one may hold commas and doubled quotes.
fn fields(line: &str) -> Vec<String> {
    let mut all = Vec::new();
    let mut field = String::new();
    let mut quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '"' if quoted && rest.peek() == Some(&'"') => {
                field.push('"');
                rest.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => all.push(std::mem::take(&mut field)),
            letter => field.push(letter),
        }
    }
    all.push(field);
    all
}
