//! Any HTTP endpoint: its answer is JSON, of which a JSONPath picks the value, or else plain text.

use std::collections::BTreeMap;

use object_model::Secret;
use serde_json::Value as Json;

use super::asking::{Asking, Next};
use super::json_path::JsonPath;
use super::oauth2::OAuth2;
use super::{BODY_MAX_BYTES, HttpRequest, ProviderError, Reading, excerpt, headers, http, text};
use crate::expression::Value;

const TIMEOUT_DEFAULT_S: u64 = 10;
const NAME: &str = "web";

/// The `web` section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Web {
    method: String,
    url: String,
    headers: Vec<(String, Secret<String>)>,
    body: String,
    json_body: Option<Json>,
    timeout_s: u64,
    json_path: String,
    insecure: bool,
    oauth2: Option<OAuth2>,
    unsupported_authentication: Option<String>,
}

impl Web {
    pub(super) fn parse(json: &Json) -> Self {
        let timeout_s = json.get("timeoutSeconds").and_then(Json::as_u64).filter(|seconds| *seconds > 0);
        Self {
            method: text(json, "method"),
            url: text(json, "url"),
            headers: headers(json.get("headers")),
            body: text(json, "body"),
            json_body: json.get("jsonBody").filter(|body| !body.is_null()).cloned(),
            timeout_s: timeout_s.unwrap_or(TIMEOUT_DEFAULT_S),
            json_path: Some(text(json, "jsonPath")).filter(|path| !path.is_empty()).unwrap_or_else(|| "{$}".to_owned()),
            insecure: json.get("insecure").and_then(Json::as_bool).unwrap_or(false),
            unsupported_authentication: super::unsupported_authentication(json, &["oauth2"]),
            oauth2: OAuth2::parse(json),
        }
    }

    /// The request, after a token where the metric asks for one.
    pub(super) fn next(&self, asking: &Asking<'_>) -> Result<Next, ProviderError> {
        let ask = |request| Ok(Next::Ask(Box::new(request)));
        match (&self.oauth2, asking.earlier) {
            (None, []) => ask(self.request()?),
            (Some(oauth2), []) => {
                self.request()?;
                ask(oauth2.request()?)
            }
            (Some(oauth2), [token]) => ask(oauth2.authorize(self.request()?, token)?),
            _ => Ok(Next::Read),
        }
    }

    fn request(&self) -> Result<HttpRequest, ProviderError> {
        let spec = |reason: String| ProviderError::Spec { reason };
        if let Some(name) = &self.unsupported_authentication {
            return Err(spec(format!("web authentication `{name}` is not supported")));
        }
        let method = match self.method.as_str() {
            "" | "GET" => "GET",
            "POST" => "POST",
            "PUT" => "PUT",
            other => return Err(spec(format!("web method `{other}` is none of GET, POST, PUT"))),
        };
        if !self.body.is_empty() && self.json_body.is_some() {
            return Err(spec("use either Body or JSONBody; both cannot exists for WebMetric payload".to_owned()));
        }
        if method == "GET" && (!self.body.is_empty() || self.json_body.is_some()) {
            let reason = "Body/JSONBody can only be used with POST or PUT WebMetric Method types";
            return Err(spec(reason.to_owned()));
        }
        // A path that can't be read is told before anything is sent.
        JsonPath::parse(&self.json_path).map_err(|error| spec(error.to_string()))?;
        let address = http::address(&self.url, "web metric url")?;
        let mut headers = self.headers.clone();
        headers.extend(address.authorization.map(|value| ("Authorization".to_owned(), value)));
        let body = match &self.json_body {
            Some(json) => {
                headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Content-Type"));
                headers.push(("Content-Type".to_owned(), Secret::new("application/json".to_owned())));
                Some(json.to_string())
            }
            None => Some(self.body.clone()).filter(|body| !body.is_empty()),
        };
        Ok(HttpRequest {
            method,
            shown_url: http::shown(&address.base),
            url: Secret::new(address.base),
            headers,
            body: body.map(Secret::new),
            timeout_ms: self.timeout_s.saturating_mul(1000),
            max_body_bytes: BODY_MAX_BYTES,
            insecure_tls: self.insecure,
        })
    }

    pub(super) fn parse_answer(&self, status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
        if !(200..300).contains(&status) {
            return Err(ProviderError::Value { reason: format!("received non 2xx response code: {status}") });
        }
        let Ok(json) = serde_json::from_slice::<Json>(body) else {
            let text = std::str::from_utf8(body).map_err(|_| ProviderError::Answer {
                provider: NAME,
                status,
                reason: "its body is neither JSON nor UTF-8 text".to_owned(),
                body: excerpt(body),
            })?;
            return Ok(Reading::new(Value::text(text), text.to_owned(), BTreeMap::new()));
        };
        let path =
            JsonPath::parse(&self.json_path).map_err(|error| ProviderError::Spec { reason: error.to_string() })?;
        let found = path
            .first(&json)
            .map_err(|error| ProviderError::Value { reason: format!("Could not find JSONPath in body: {error}") })?;
        let found = found
            .ok_or_else(|| ProviderError::Value { reason: "result of web metric produced no value".to_owned() })?;
        Ok(Reading::new(Value::from_json(found), found.to_string(), BTreeMap::new()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_json_body_is_posted_with_its_type() {
        let section = json!({"method": "POST", "url": "http://u:p@x/y?z=1", "jsonBody": {"a": [1]}});
        let asked = Web::parse(&section).request().unwrap();
        assert_eq!((asked.method, asked.url.expose().as_str()), ("POST", "http://x/y?z=1"));
        assert_eq!(asked.shown_url, "http://x/y");
        assert_eq!(asked.body.unwrap().expose(), r#"{"a":[1]}"#);
        assert_eq!(asked.timeout_ms, 10_000);
        assert_eq!(asked.headers.len(), 2);
    }

    #[test]
    fn a_wrong_section_is_told() {
        for (section, message) in [
            (json!({}), "web metric url is not is url format"),
            (json!({"url": "http://x", "method": "HEAD"}), "web method `HEAD` is none of GET, POST, PUT"),
            (
                json!({"url": "http://x", "body": "a"}),
                "Body/JSONBody can only be used with POST or PUT WebMetric Method types",
            ),
            (
                json!({"url": "http://x", "method": "PUT", "body": "a", "jsonBody": 1}),
                "use either Body or JSONBody; both cannot exists for WebMetric payload",
            ),
            (json!({"url": "http://x", "jsonPath": "{$.a["}), "JSONPath `{$.a[`: unterminated array at 4"),
        ] {
            assert_eq!(Web::parse(&section).request().unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn the_path_picks_the_first_hit() {
        for (path, body, value) in [
            ("{$.data.ok}", r#"{"data":{"ok":true}}"#, "true"),
            ("", r#"{"a":1}"#, r#"{"a":1}"#),
            ("{$.a[*].b}", r#"{"a":[{"b":2},{"b":3}]}"#, "2"),
            ("{.x}", r#"{"a":1}"#, "Could not find JSONPath in body: x is not found"),
            ("{$.a[*]}", r#"{"a":[]}"#, "result of web metric produced no value"),
            ("{$}", "pong", "pong"),
        ] {
            let answer = Web::parse(&json!({"jsonPath": path})).parse_answer(200, body.as_bytes());
            assert_eq!(answer.map_or_else(|error| error.to_string(), |reading| reading.value), value, "{path}");
        }
        let error = Web::parse(&json!({})).parse_answer(500, b"").unwrap_err();
        assert_eq!(error.to_string(), "received non 2xx response code: 500");
    }
}
