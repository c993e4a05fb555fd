//! Prometheus: an instant or a range query, and its answer as numbers.

use std::collections::BTreeMap;

use object_model::{Secret, Timestamp, parse_go_duration};
use serde_json::Value as Json;

use super::asking::{Asking, Next};
use super::oauth2::OAuth2;
use super::signature::sign;
use super::{BODY_MAX_BYTES, HttpRequest, ProviderError, Reading, Settings, excerpt, headers, http, text};
use crate::expression::value::format_plain;
use crate::expression::{Environment, Expression, Value};

/// The longest query that is sent in the URL; a longer one goes into the body.
const QUERY_IN_URL_MAX_BYTES: usize = 2000;
const TIMEOUT_DEFAULT_MS: u64 = 30_000;
const NAME: &str = "prometheus";

/// The `prometheus` section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Prometheus {
    address: String,
    query: String,
    range: Option<Range>,
    timeout_s: Option<i64>,
    insecure: bool,
    headers: Vec<(String, Secret<String>)>,
    user: String,
    password: Secret<String>,
    oauth2: Option<OAuth2>,
    signing: Option<Json>,
    unsupported_authentication: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Range {
    start: String,
    end: String,
    step: String,
}

type Parameters = Vec<(&'static str, String)>;

impl Prometheus {
    pub(super) fn parse(json: &Json) -> Self {
        let basic = json.pointer("/authentication/basicAuth").unwrap_or(&Json::Null);
        let range = json.get("rangeQuery").filter(|range| range.is_object());
        Self {
            address: text(json, "address"),
            query: text(json, "query"),
            range: range.map(|range| Range {
                start: text(range, "start"),
                end: text(range, "end"),
                step: text(range, "step"),
            }),
            timeout_s: json.get("timeout").and_then(Json::as_i64),
            insecure: json.get("insecure").and_then(Json::as_bool).unwrap_or(false),
            headers: headers(json.get("headers")),
            user: text(basic, "username"),
            password: Secret::new(text(basic, "password")),
            unsupported_authentication: super::unsupported_authentication(json, &["basicAuth", "oauth2", "sigv4"]),
            oauth2: OAuth2::parse(json),
            signing: json
                .pointer("/authentication/sigv4")
                .filter(|section| section.as_object().is_some_and(|fields| !fields.is_empty()))
                .cloned(),
        }
    }

    /// The query, after a token where the metric asks for one.
    pub(super) fn next(&self, asking: &Asking<'_>) -> Result<Next, ProviderError> {
        let request = || self.request(asking.now, asking.settings);
        let ask = |request| Ok(Next::Ask(Box::new(request)));
        match (&self.oauth2, asking.earlier) {
            (None, []) => ask(self.signed(request()?, asking)?),
            (Some(oauth2), []) => {
                request()?;
                ask(oauth2.request()?)
            }
            (Some(oauth2), [token]) => ask(oauth2.authorize(request()?, token)?),
            _ => Ok(Next::Read),
        }
    }

    /// Amazon's managed Prometheus takes signed requests only; other servers get none.
    fn signed(&self, request: HttpRequest, asking: &Asking<'_>) -> Result<HttpRequest, ProviderError> {
        let Some(section) = &self.signing else { return Ok(request) };
        if !request.shown_url.contains("aps-workspaces") {
            return Ok(request);
        }
        let spec = |reason: &str| ProviderError::Spec { reason: reason.to_owned() };
        for field in ["profile", "roleArn"] {
            if !text(section, field).is_empty() {
                return Err(spec(&format!("prometheus authentication `sigv4.{field}` is not supported")));
            }
        }
        let credentials = asking.settings.aws.as_ref().ok_or_else(|| spec("AWS credentials are not configured"))?;
        let region = Some(text(section, "region")).filter(|region| !region.is_empty());
        let region = region.or_else(|| credentials.region.clone());
        let region = region.ok_or_else(|| spec("an AWS region is not configured"))?;
        sign(request, credentials, (&region, "aps"), asking.now)
    }

    /// The request for one reading: an instant query at `now`, or the range that the metric asks for.
    pub(super) fn request(&self, now: Timestamp, settings: &Settings) -> Result<HttpRequest, ProviderError> {
        let spec = |reason: &str| ProviderError::Spec { reason: reason.to_owned() };
        if let Some(name) = &self.unsupported_authentication {
            return Err(spec(&format!("prometheus authentication `{name}` is not supported")));
        }
        let given = if self.address.is_empty() { settings.prometheus_address.as_deref() } else { Some(&*self.address) };
        let given = given.ok_or_else(|| spec("prometheus address is not configured"))?;
        let address = http::address(given, "prometheus address")?;
        if self.timeout_s.is_some_and(|seconds| seconds < 0) {
            return Err(spec("prometheus timeout should not be negative"));
        }
        let timeout_s = self.timeout_s.and_then(|seconds| u64::try_from(seconds).ok());
        let base = address.base.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned();
        let (path, parameters) = self.parameters(now)?;
        let endpoint = format!("{base}/api/v1/{path}");
        let form = http::form(&parameters);
        let mut headers = self.headers.clone();
        if let Some(authorization) = self.basic_authorization()?.or(address.authorization) {
            headers.push(("Authorization".to_owned(), authorization));
        }
        let in_url = form.len() <= QUERY_IN_URL_MAX_BYTES;
        if !in_url {
            let form_type = Secret::new("application/x-www-form-urlencoded".to_owned());
            headers.push(("Content-Type".to_owned(), form_type));
        }
        Ok(HttpRequest {
            method: if in_url { "GET" } else { "POST" },
            url: Secret::new(if in_url { format!("{endpoint}?{form}") } else { endpoint.clone() }),
            shown_url: http::shown(&endpoint),
            headers,
            body: (!in_url).then(|| Secret::new(form)),
            timeout_ms: timeout_s.map_or(TIMEOUT_DEFAULT_MS, |seconds| seconds.saturating_mul(1000)),
            max_body_bytes: BODY_MAX_BYTES,
            insecure_tls: self.insecure,
        })
    }

    fn basic_authorization(&self) -> Result<Option<Secret<String>>, ProviderError> {
        let missing = |what: &str| ProviderError::Spec {
            reason: format!("missing mandatory parameter in metric for basic auth setup: {what}"),
        };
        match (self.user.is_empty(), self.password.expose().is_empty()) {
            (true, true) => Ok(None),
            (true, false) => Err(missing("username")),
            (false, true) => Err(missing("password")),
            (false, false) => Ok(Some(http::basic(&self.user, self.password.expose()))),
        }
    }

    /// The endpoint and what to send to it.
    fn parameters(&self, now: Timestamp) -> Result<(&'static str, Parameters), ProviderError> {
        let Some(range) = &self.range else {
            return Ok(("query", vec![("query", self.query.clone()), ("time", seconds(now))]));
        };
        let start = moment("start", &range.start, now)?;
        let end = moment("end", &range.end, now)?;
        let step = parse_go_duration(&range.step).map_err(|error| ProviderError::Spec {
            reason: format!("failed to parse rangeQuery.step as duration: {error}"),
        })?;
        let parameters = vec![
            ("query", self.query.clone()),
            ("start", seconds(start)),
            ("end", seconds(end)),
            ("step", format_plain(step.as_secs_f64())),
        ];
        Ok(("query_range", parameters))
    }

    pub(super) fn metadata(&self) -> BTreeMap<String, String> {
        if self.query.is_empty() {
            return BTreeMap::new();
        }
        BTreeMap::from([("ResolvedPrometheusQuery".to_owned(), self.query.clone())])
    }
}

/// Evaluates a bound of a range, such as `now() - duration("5m")`.
fn moment(which: &str, expression: &str, now: Timestamp) -> Result<Timestamp, ProviderError> {
    let fail = |reason: String| ProviderError::Spec {
        reason: format!("failed to parse rangeQuery.{which} as time: {reason}"),
    };
    let environment = Environment { result: Value::Nil, now };
    let value = Expression::parse(expression).and_then(|parsed| parsed.evaluate(&environment));
    match value.map_err(|error| fail(error.message))? {
        Value::Time(moment) => Ok(moment),
        other => Err(fail(format!("expected time.Time, but got {}", other.type_name()))),
    }
}

/// Seconds since the epoch, with milliseconds where there are some.
fn seconds(moment: Timestamp) -> String {
    let millis = moment.as_millisecond();
    match millis.rem_euclid(1000) {
        0 => millis.div_euclid(1000).to_string(),
        rest => format!("{}.{rest:03}", millis.div_euclid(1000)),
    }
}

/// Reads an answer: a scalar is a number; a vector is a list of numbers; a matrix is one list of all its numbers.
pub(super) fn parse_answer(status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
    let is_success = (200..300).contains(&status);
    let json: Json = match serde_json::from_slice(body) {
        Ok(json) => json,
        Err(_) if !is_success => {
            return Err(ProviderError::Status { provider: NAME, status, body: excerpt(body) });
        }
        Err(_) => return Err(unexpected(status, "it is not JSON", body)),
    };
    if let Some(message) = json.get("error").and_then(Json::as_str) {
        let kind = json.get("errorType").and_then(Json::as_str).unwrap_or("error");
        let told = excerpt(format!("{kind}: {message}").as_bytes());
        return Err(ProviderError::Status { provider: NAME, status, body: told });
    }
    if !is_success {
        return Err(ProviderError::Status { provider: NAME, status, body: excerpt(body) });
    }
    let result = json.pointer("/data/result").unwrap_or(&Json::Null);
    let metadata = warnings(&json);
    match json.pointer("/data/resultType").and_then(Json::as_str) {
        Some("scalar") => {
            let number = sample(result).ok_or_else(|| unexpected(status, "its scalar can't be read", body))?;
            Ok(Reading::new(Value::Float(number), format_plain(number), metadata))
        }
        Some(kind @ ("vector" | "matrix")) => {
            let numbers = samples(result, kind == "matrix");
            let numbers = numbers.ok_or_else(|| unexpected(status, "its samples can't be read", body))?;
            let shown: Vec<_> = numbers.iter().map(|number| format_plain(*number)).collect();
            let value = Value::vector(numbers);
            Ok(Reading::new(value, format!("[{}]", shown.join(",")), metadata))
        }
        Some(_) => Err(ProviderError::Value { reason: "Prometheus metric type not supported".to_owned() }),
        None => Err(unexpected(status, "it has no result", body)),
    }
}

fn unexpected(status: u16, reason: &str, body: &[u8]) -> ProviderError {
    ProviderError::Answer { provider: NAME, status, reason: reason.to_owned(), body: excerpt(body) }
}

fn samples(result: &Json, is_matrix: bool) -> Option<Vec<f64>> {
    let mut numbers = Vec::new();
    for series in result.as_array()? {
        if is_matrix {
            for pair in series.get("values")?.as_array()? {
                numbers.push(sample(pair)?);
            }
        } else {
            numbers.push(sample(series.get("value")?)?);
        }
    }
    Some(numbers)
}

/// Reads `[time, "number"]`; NaN and the infinities are numbers like others.
fn sample(pair: &Json) -> Option<f64> {
    pair.get(1)?.as_str()?.parse().ok()
}

fn warnings(json: &Json) -> BTreeMap<String, String> {
    let list = json.get("warnings").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let quoted: Vec<_> = list.iter().filter_map(Json::as_str).map(|text| format!("\"{text}\"")).collect();
    if quoted.is_empty() {
        return BTreeMap::new();
    }
    BTreeMap::from([("warnings".to_owned(), quoted.join(", "))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request(section: Json) -> Result<HttpRequest, String> {
        let now = "2026-01-02T03:04:05.5Z".parse().unwrap();
        let settings = Settings::default();
        Prometheus::parse(&section).request(now, &settings).map_err(|error| error.to_string())
    }

    fn read(body: &str) -> String {
        match parse_answer(200, body.as_bytes()) {
            Ok(reading) => format!("{} {:?}", reading.value, reading.metadata),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn an_instant_query_is_asked_at_now() {
        let asked = request(json!({"address": "http://prometheus:9090/", "query": "up{a=\"b\"}"})).unwrap();
        assert_eq!(
            (asked.method, asked.url.expose().as_str()),
            ("GET", "http://prometheus:9090/api/v1/query?query=up%7Ba%3D%22b%22%7D&time=1767323045.500")
        );
        assert_eq!(asked.shown_url, "http://prometheus:9090/api/v1/query");
        assert_eq!((asked.timeout_ms, asked.insecure_tls, asked.body), (30_000, false, None));
    }

    #[test]
    fn a_range_query_takes_its_bounds_from_expressions() {
        let range = json!({"start": "now() - duration('1m')", "end": "now()", "step": "10s"});
        let asked = request(json!({"address": "http://p", "query": "up", "rangeQuery": range})).unwrap();
        assert_eq!(
            asked.url.expose(),
            "http://p/api/v1/query_range?query=up&start=1767322985.500&end=1767323045.500&step=10"
        );
        let range = json!({"start": "'x'", "end": "now()", "step": "10s"});
        assert_eq!(
            request(json!({"address": "http://p", "rangeQuery": range})).unwrap_err(),
            "failed to parse rangeQuery.start as time: expected time.Time, but got string"
        );
    }

    #[test]
    fn a_long_query_goes_into_the_body() {
        let asked = request(json!({"address": "http://p", "query": "a".repeat(3000)})).unwrap();
        assert_eq!((asked.method, asked.url.expose().as_str()), ("POST", "http://p/api/v1/query"));
        assert!(asked.body.unwrap().expose().starts_with("query=aaa"));
    }

    #[test]
    fn credentials_are_headers_and_never_print() {
        let asked = request(json!({
            "address": "https://me:hunter2@p/base", "query": "up",
            "headers": [{"key": "X-Scope-OrgID", "value": "tenant"}],
        }))
        .unwrap();
        assert!(!format!("{asked:?}").contains("hunter2"));
        assert_eq!(asked.shown_url, "https://p/base/api/v1/query");
        let names: Vec<_> = asked.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["X-Scope-OrgID", "Authorization"]);
    }

    #[test]
    fn a_wrong_section_is_told() {
        for (section, message) in [
            (json!({}), "prometheus address is not configured"),
            (json!({"address": "p"}), "prometheus address is not is url format"),
            (json!({"address": "http://p", "timeout": -1}), "prometheus timeout should not be negative"),
            (
                json!({"address": "http://p", "authentication": {"basicAuth": {"username": "u"}}}),
                "missing mandatory parameter in metric for basic auth setup: password",
            ),
            (
                json!({"address": "http://p", "authentication": {"kerberos": {"realm": "x"}}}),
                "prometheus authentication `kerberos` is not supported",
            ),
        ] {
            assert_eq!(request(section).unwrap_err(), message);
        }
    }

    #[test]
    fn answers_are_read_by_their_kind() {
        for (data, value) in [
            (json!({"resultType": "scalar", "result": [1, "0.95"]}), "0.95 {}"),
            (
                json!({"resultType": "vector", "result": [{"value": [1, "NaN"]}, {"value": [1, "+Inf"]}]}),
                "[NaN,+Inf] {}",
            ),
            (json!({"resultType": "vector", "result": []}), "[] {}"),
            (
                json!({"resultType": "matrix", "result": [{"values": [[1, "1"], [2, "2"]]}, {"values": [[1, "3e6"]]}]}),
                "[1,2,3000000] {}",
            ),
            (json!({"resultType": "string", "result": [1, "x"]}), "Prometheus metric type not supported"),
        ] {
            assert_eq!(read(&json!({"status": "success", "data": data}).to_string()), value);
        }
        let warned = json!({"data": {"resultType": "vector", "result": []}, "warnings": ["a", "b"]});
        assert_eq!(read(&warned.to_string()), r#"[] {"warnings": "\"a\", \"b\""}"#);
    }

    #[test]
    fn errors_name_the_status_and_begin_the_body() {
        for (status, body, message) in [
            (503, "upstream\n down", "prometheus answered 503: upstream down"),
            (
                400,
                r#"{"status":"error","errorType":"bad_data","error":"parse error at char 5"}"#,
                "prometheus answered 400: bad_data: parse error at char 5",
            ),
            (200, "<html>", "prometheus answered 200 but it is not JSON: <html>"),
            (200, "{}", "prometheus answered 200 but it has no result: {}"),
            (
                200,
                r#"{"data":{"resultType":"vector","result":[{"histogram":[]}]}}"#,
                "prometheus answered 200 but its samples can't be read: {\"data\":{\"resultType\":\"vector\",\"result\":[{\"histogram\":[]}]}}",
            ),
        ] {
            assert_eq!(parse_answer(status, body.as_bytes()).unwrap_err().to_string(), message);
        }
    }
}
