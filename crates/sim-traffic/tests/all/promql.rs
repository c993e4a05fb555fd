//! PromQL against the recorded answers of a real Prometheus, and what it refuses.

use std::path::PathBuf;

use object_model::Timestamp;
use serde_json::Value;
use sim_traffic::{Load, Traffic, answer};

use crate::objects::{pod, second, service};

fn fixture(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/promql").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn recorded_series() -> Traffic {
    let mut traffic = Traffic::new(1);
    for line in fixture("series.om").lines().filter(|line| !line.starts_with('#')) {
        let (name, rest) = line.split_once('{').unwrap();
        let (labels, rest) = rest.split_once("} ").unwrap();
        let (value, time) = rest.split_once(' ').unwrap();
        let labels: Vec<(&str, &str)> = labels
            .split(',')
            .map(|pair| pair.split_once('=').map(|(name, value)| (name, value.trim_matches('"'))).unwrap())
            .collect();
        let at = Timestamp::from_millisecond((time.parse::<f64>().unwrap() * 1000.0).round() as i64).unwrap();
        assert!(traffic.record(name, &labels, at, value.parse().unwrap()), "{line}");
    }
    traffic
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn ask(traffic: &Traffic, line: &Value) -> (u16, Value) {
    let pair = |name: &str| line[name].as_str().map(|value| format!("{name}={}", encode(value)));
    let pairs: Vec<String> = ["query", "time", "start", "end", "step"].into_iter().filter_map(pair).collect();
    let path = if line["start"].is_null() { "/api/v1/query" } else { "/api/v1/query_range" };
    answer(traffic, second(0.0), "POST", path, "", pairs.join("&").as_bytes())
}

/// Equal up to the order of summation in floating point.
fn close(have: &Value, want: &Value) -> bool {
    match (have, want) {
        (Value::Array(have), Value::Array(want)) => {
            have.len() == want.len() && have.iter().zip(want).all(|(have, want)| close(have, want))
        }
        (Value::Object(have), Value::Object(want)) => {
            have.len() == want.len()
                && have.iter().all(|(key, have)| want.get(key).is_some_and(|want| close(have, want)))
        }
        (Value::Number(have), Value::Number(want)) => have.as_f64() == want.as_f64(),
        (Value::String(have), Value::String(want)) if have != want => {
            match (have.parse::<f64>(), want.parse::<f64>()) {
                (Ok(have), Ok(want)) => (have - want).abs() <= 1e-12 * want.abs().max(1e-3),
                _ => false,
            }
        }
        _ => have == want,
    }
}

/// Prometheus answers a vector in no particular order, but for sort and topk.
fn in_label_order(mut answer: Value, query: &str) -> Value {
    if query.starts_with("sort") || query.starts_with("topk") {
        return answer;
    }
    if let Some(Value::Array(list)) = answer.pointer_mut("/data/result")
        && list.iter().all(Value::is_object)
    {
        list.sort_by_key(|element| element["metric"].to_string());
    }
    answer
}

#[test]
fn every_query_is_answered_as_prometheus_answered_it() {
    let traffic = recorded_series();
    let recorded = fixture("answers.jsonl");
    let mut compared = 0;
    let mut different = Vec::new();
    for line in recorded.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let query = line["query"].as_str().unwrap();
        let (status, have) = ask(&traffic, &line);
        let (have, want) = (in_label_order(have, query), in_label_order(line["answer"].clone(), query));
        compared += 1;
        // The words of a parse error are the parser's own; that it is one, and of which type, must agree.
        let same = if want["status"] == "error" {
            have["status"] == "error" && have["errorType"] == want["errorType"] && status >= 400
        } else {
            close(&have, &want)
        };
        if !same {
            different.push(format!("{query} at {}\n  have {have}\n  want {want}", line["time"]));
        }
    }
    assert!(compared > 500, "only {compared} answers are recorded");
    assert!(different.is_empty(), "{} of {compared} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn what_is_not_supported_is_an_error_and_never_a_number() {
    let traffic = recorded_series();
    for query in [
        "rate(requests_total[5m:1m])",
        "max_over_time(rate(requests_total[1m])[5m:1m])",
        "requests_total @ 1767225700",
        "label_replace(requests_total, \"a\", \"$1\", \"service\", \"(.*)\")",
        "count_values(\"v\", requests_total)",
        "predict_linear(gauge_value[5m], 60)",
        "deriv(gauge_value[5m])",
        "day_of_week()",
    ] {
        let (status, body) = ask(&traffic, &serde_json::json!({"query": query, "time": "1767225900"}));
        assert_eq!((status, body["status"].as_str()), (422, Some("error")), "{query}: {body}");
        let why = body["error"].as_str().unwrap();
        assert!(why.starts_with("not supported by this server: "), "{query}: {why}");
    }
}

#[test]
fn broken_parameters_are_named() {
    let traffic = Traffic::new(1);
    let ask = |path: &str, query: &str| answer(&traffic, second(0.0), "GET", path, query, b"").1["error"].to_string();
    insta::assert_snapshot!([
        ask("/api/v1/query", "query=up&time=noon"),
        ask("/api/v1/query", ""),
        ask("/api/v1/query_range", "query=up&start=2&end=1&step=1"),
        ask("/api/v1/query_range", "query=up&start=1&end=2&step=0"),
        ask("/api/v1/query_range", "query=up&start=1&end=2&step=fast"),
        ask("/api/v1/query_range", "query=up&start=0&end=1000000&step=1"),
    ].join("\n"), @r#"
    "invalid parameter \"time\": cannot parse \"noon\" to a valid timestamp"
    "invalid parameter \"query\": parse error: no expression found in input"
    "invalid parameter \"end\": end timestamp must not be before start time"
    "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. Try a positive integer"
    "invalid parameter \"step\": cannot parse \"fast\" to a valid duration"
    "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
    "#);
}

#[test]
fn absurd_queries_are_refused_before_they_cost_anything() {
    let traffic = Traffic::new(1);
    let deep = format!("{}1{}", "(".repeat(3000), ")".repeat(3000));
    let signs = format!("{}1", "-".repeat(8000));
    let chain = vec!["a"; 2000].join(" or ");
    for query in [deep, signs, chain, "a".repeat(100_000)] {
        let (status, _) =
            answer(&traffic, second(0.0), "POST", "/api/v1/query", "", format!("query={query}").as_bytes());
        assert!(status == 400 || status == 422, "{status}");
    }
}

#[test]
fn latencies_are_a_histogram() {
    let mut traffic = Traffic::new(1);
    traffic.observe(&pod("a", "web", "web:v1"));
    traffic.observe(&service("web", "web"));
    traffic.set_load("users", Load::new("web", "qa", 100.0));
    traffic.advance(second(0.0), second(60.0));
    let query = "query=histogram_quantile(0.5,sum by(le)(rate(istio_request_duration_milliseconds_bucket{reporter='source'}[30s])))";
    let (_, body) = answer(&traffic, second(60.0), "GET", "/api/v1/query", query, b"");
    let median: f64 = body["data"]["result"][0]["value"][1].as_str().unwrap().parse().unwrap();
    assert!((10.0..25.0).contains(&median), "{median}");
}
