//! The Prometheus HTTP API as a function: a request in, a status and JSON out.

use object_model::{Timestamp, parse_time};
use serde_json::{Number, Value as Json, json};

use crate::Traffic;
use crate::promql::{QueryError, Value, evaluate, evaluate_range, format_number, parse};
use crate::store::{Labels, Sample, Series};

/// The most points that a range query may ask for, as in Prometheus.
const POINTS_MAX: i64 = 11_000;

/// The most series that an answer may hold.
const SERIES_MAX: usize = 10_000;

/// Times beyond this many seconds from 1970 are refused; it keeps the arithmetic in range.
const SECONDS_MAX: f64 = 1e12;

/// Answers a request to the Prometheus HTTP API: `/api/v1/query` and `/api/v1/query_range` (GET, or POST with a form),
/// the status pages that clients probe, and `/-/ready`, whose body is plain text (a JSON string here).
///
/// ```
/// let traffic = sim_traffic::Traffic::new(1);
/// let now = "2026-01-01T00:00:00Z".parse().unwrap();
/// let (status, body) = sim_traffic::answer(&traffic, now, "GET", "/api/v1/query", "query=1%2B1", b"");
/// assert_eq!((status, body["data"]["result"][1].as_str()), (200, Some("2")));
/// ```
pub fn answer(traffic: &Traffic, now: Timestamp, method: &str, path: &str, query: &str, body: &[u8]) -> (u16, Json) {
    if !matches!(method, "GET" | "POST" | "HEAD") {
        return (405, Json::String("Method Not Allowed".to_owned()));
    }
    let parameters = Parameters::parse(query, if method == "POST" { body } else { b"" });
    let result = match path {
        "/-/ready" => return (200, Json::String("Prometheus Server is Ready.\n".to_owned())),
        "/-/healthy" => return (200, Json::String("Prometheus Server is Healthy.\n".to_owned())),
        "/api/v1/query" => instant(traffic, now, &parameters),
        "/api/v1/query_range" => range(traffic, &parameters),
        "/api/v1/status/flags" => Ok(json!({"storage.tsdb.retention.time": "15m"})),
        "/api/v1/status/buildinfo" => Ok(json!({"version": "2.42.0", "revision": "", "branch": "", "goVersion": ""})),
        _ => return (404, Json::String("404 page not found\n".to_owned())),
    };
    match result {
        Ok(data) => (200, json!({"status": "success", "data": data})),
        Err(QueryError::BadData(why)) => (400, json!({"status": "error", "errorType": "bad_data", "error": why})),
        Err(QueryError::Execution(why)) => (422, json!({"status": "error", "errorType": "execution", "error": why})),
    }
}

fn instant(traffic: &Traffic, now: Timestamp, parameters: &Parameters) -> Result<Json, QueryError> {
    let at_ms = match parameters.get("time") {
        Some(text) => time_ms("time", text)?,
        None => now.as_millisecond(),
    };
    let expression = parse(parameters.get("query").unwrap_or_default())?;
    let value = evaluate(traffic.store(), &expression, at_ms)?;
    let kind = value.kind();
    let result = match value {
        Value::Scalar(number) => point(Sample { at_ms, value: number }),
        Value::Text(text) => json!([timestamp(at_ms), text]),
        Value::Vector(mut vector) => {
            limit(vector.len())?;
            // Only sorting functions promise an order; any other answer is put in the order of its labels.
            if !is_ordered(&expression) {
                vector.sort_by(|a, b| a.labels.cmp(&b.labels));
            }
            let element = |element: crate::promql::Element| json!({"metric": metric(&element.labels), "value": point(Sample { at_ms, value: element.value })});
            vector.into_iter().map(element).collect()
        }
        Value::Matrix(series) => matrix(&series)?,
    };
    Ok(json!({"resultType": kind, "result": result}))
}

fn is_ordered(expression: &promql_parser::parser::Expr) -> bool {
    use promql_parser::parser::{Expr, token};
    match expression {
        Expr::Call(call) => call.func.name.starts_with("sort"),
        Expr::Aggregate(aggregate) => matches!(aggregate.op.id(), token::T_TOPK | token::T_BOTTOMK),
        Expr::Paren(inner) => is_ordered(&inner.expr),
        _ => false,
    }
}

fn range(traffic: &Traffic, parameters: &Parameters) -> Result<Json, QueryError> {
    let start_ms = time_ms("start", parameters.get("start").unwrap_or_default())?;
    let end_ms = time_ms("end", parameters.get("end").unwrap_or_default())?;
    if end_ms < start_ms {
        return Err(invalid("end", "end timestamp must not be before start time"));
    }
    let step_ms = step_ms(parameters.get("step").unwrap_or_default())?;
    if (end_ms - start_ms) / step_ms > POINTS_MAX {
        return Err(QueryError::BadData(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
                .to_owned(),
        ));
    }
    let expression = parse(parameters.get("query").unwrap_or_default())?;
    let series = evaluate_range(traffic.store(), &expression, (start_ms, end_ms, step_ms))?;
    Ok(json!({"resultType": "matrix", "result": matrix(&series)?}))
}

fn limit(series: usize) -> Result<(), QueryError> {
    if series > SERIES_MAX {
        return Err(QueryError::Execution(format!("the answer has more than {SERIES_MAX} series")));
    }
    Ok(())
}

fn matrix(series: &[Series]) -> Result<Json, QueryError> {
    limit(series.len())?;
    let mut sorted: Vec<&Series> = series.iter().collect();
    sorted.sort_by(|a, b| a.labels.cmp(&b.labels));
    let values = |series: &Series| -> Json { series.samples.iter().copied().map(point).collect() };
    Ok(sorted.into_iter().map(|series| json!({"metric": metric(&series.labels), "values": values(series)})).collect())
}

fn metric(labels: &Labels) -> Json {
    labels
        .iter()
        .map(|(name, value)| (name.clone(), Json::from(value.as_str())))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn point(sample: Sample) -> Json {
    json!([timestamp(sample.at_ms), format_number(sample.value)])
}

fn timestamp(at_ms: i64) -> Json {
    if at_ms % 1000 == 0 {
        return Json::from(at_ms / 1000);
    }
    Number::from_f64(at_ms as f64 / 1000.0).map_or(Json::Null, Json::Number)
}

fn invalid(parameter: &str, why: &str) -> QueryError {
    QueryError::BadData(format!("invalid parameter \"{parameter}\": {why}"))
}

fn time_ms(parameter: &str, text: &str) -> Result<i64, QueryError> {
    if let Some(seconds) = text.parse::<f64>().ok().filter(|seconds| seconds.abs() < SECONDS_MAX) {
        return Ok((seconds * 1000.0).round() as i64);
    }
    let moment = parse_time(text).map(Timestamp::as_millisecond);
    moment.ok_or_else(|| invalid(parameter, &format!("cannot parse \"{text}\" to a valid timestamp")))
}

fn step_ms(text: &str) -> Result<i64, QueryError> {
    let unreadable = || invalid("step", &format!("cannot parse \"{text}\" to a valid duration"));
    let seconds = match text.parse::<f64>() {
        Ok(seconds) => seconds,
        Err(_) => promql_duration_seconds(text).ok_or_else(unreadable)?,
    };
    if !(seconds.is_finite() && seconds.abs() < SECONDS_MAX) {
        return Err(unreadable());
    }
    let milliseconds = (seconds * 1000.0) as i64;
    if milliseconds <= 0 {
        return Err(invalid(
            "step",
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        ));
    }
    Ok(milliseconds)
}

/// `1h30m`, `15s`, `250ms`: the durations of PromQL, largest unit first.
fn promql_duration_seconds(text: &str) -> Option<f64> {
    const UNITS: [(&str, f64); 7] =
        [("ms", 0.001), ("y", 31_536_000.0), ("w", 604_800.0), ("d", 86_400.0), ("h", 3600.0), ("m", 60.0), ("s", 1.0)];
    let (mut rest, mut total) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(digits);
        let (unit, seconds) = UNITS.iter().find(|(unit, _)| tail.starts_with(unit))?;
        total += number.parse::<f64>().ok()? * seconds;
        rest = tail.strip_prefix(unit)?;
    }
    (!text.is_empty()).then_some(total)
}

/// The parameters of a URL query and of a form; the form comes first, as in Go.
struct Parameters {
    pairs: Vec<(String, String)>,
}

impl Parameters {
    fn parse(query: &str, body: &[u8]) -> Self {
        let form = String::from_utf8_lossy(body);
        let pairs = form.split('&').chain(query.split('&')).filter(|pair| !pair.is_empty());
        let split = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        };
        Self { pairs: pairs.map(split).collect() }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let (_, value) = self.pairs.iter().find(|(key, value)| key == name && !value.is_empty())?;
        Some(value)
    }
}

/// Decodes `%41` and `+`; what is not an escape stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high * 16 + low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (other, _) => bytes.push(*other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
