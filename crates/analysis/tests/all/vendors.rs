//! Every metric provider: what is sent, and how the answers that its API documents are read.

use std::collections::BTreeMap;

use analysis::{Asking, AwsCredentials, Earlier, HttpRequest, Next, Provider, SecretAnswer, SecretRef, Settings};
use insta::assert_snapshot;
use object_model::{Duration, Secret, Timestamp};
use serde_json::{Value, json};

const KEYS: [(&str, &str); 10] = [
    ("api-key", "k-api"),
    ("app-key", "k-app"),
    ("personal-api-key", "k-personal"),
    ("account-id", "1234"),
    ("address", "http://influx:8086"),
    ("authToken", "k-influx"),
    ("org", "my org"),
    ("wave.example", "k-wave"),
    ("dynatrace_token", "k-dyna"),
    ("access-token", "k-google"),
];

fn now() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn secrets(provider: &Provider) -> BTreeMap<SecretRef, SecretAnswer> {
    let is_influx = matches!(provider, Provider::Influxdb(_));
    let answer = |reference: SecretRef| {
        let known = KEYS.iter().find(|(key, _)| *key == reference.key && (reference.key != "address" || is_influx));
        let answer = match known {
            Some((_, value)) => SecretAnswer::Value(Secret::new((*value).to_owned())),
            None => SecretAnswer::Missing(format!("no key {}", reference.key)),
        };
        (reference, answer)
    };
    provider.secrets().into_iter().map(answer).collect()
}

fn next(section: &Value, earlier: &[(u16, &str)]) -> Result<Next, String> {
    let provider = Provider::parse(section);
    let settings = Settings {
        aws: Some(AwsCredentials {
            access_key_id: "AKID".to_owned(),
            secret_access_key: Secret::new("k-aws".to_owned()),
            session_token: Some(Secret::new("k-session".to_owned())),
            region: Some("eu-west-1".to_owned()),
        }),
        ..Settings::default()
    };
    let earlier: Vec<Earlier<'_>> =
        earlier.iter().map(|(status, body)| Earlier { status: *status, body: body.as_bytes(), at: now() }).collect();
    let asking = Asking {
        now: now(),
        started_at: "2026-01-02T03:00:00Z".parse().unwrap(),
        interval: Some(Duration::from_secs(60)),
        settings: &settings,
        secrets: &secrets(&provider),
        earlier: &earlier,
    };
    provider.next(&asking).map_err(|error| error.to_string())
}

fn request(section: &Value, earlier: &[(u16, &str)]) -> HttpRequest {
    match next(section, earlier).unwrap() {
        Next::Ask(request) => {
            let printed = format!("{request:?}");
            assert!(!printed.contains("k-"), "no key may print: {printed}");
            *request
        }
        other => panic!("a request, not {other:?}"),
    }
}

/// Everything that is sent, on a few lines.
fn sent(section: &Value, earlier: &[(u16, &str)]) -> String {
    let request = request(section, earlier);
    let mut text = format!("{} {} {} ms\n", request.method, request.url.expose(), request.timeout_ms);
    for (name, value) in &request.headers {
        text.push_str(&format!("{name}: {}\n", value.expose()));
    }
    text + request.body.as_ref().map(|body| body.expose().as_str()).unwrap_or_default()
}

/// The value of an answer as a measurement records it, with metadata, or the error.
fn read(section: &Value, status: u16, body: &Value) -> String {
    read_text(section, status, &body.to_string())
}

fn read_text(section: &Value, status: u16, body: &str) -> String {
    match Provider::parse(section).parse_answer(status, body.as_bytes(), now()) {
        Ok(reading) if reading.metadata.is_empty() => reading.value,
        Ok(reading) => format!("{} {:?}", reading.value, reading.metadata),
        Err(error) => error.to_string(),
    }
}

#[test]
fn datadog_version_1_asks_for_points_and_takes_the_last() {
    let section = json!({"datadog": {"query": "avg:a{*}", "interval": "10m"}});
    assert_snapshot!(sent(&section, &[]), @r"
GET https://api.datadoghq.com/api/v1/query?query=avg%3Aa%7B%2A%7D&from=1767322445&to=1767323045 10000 ms
DD-API-KEY: k-api
DD-APPLICATION-KEY: k-app
");
    // https://docs.datadoghq.com/api/latest/metrics/#query-timeseries-points
    let points = |points: Value| json!({"status": "ok", "series": [{"metric": "a", "pointlist": points}]});
    assert_eq!(
        read(&section, 200, &points(json!([[1_575_317_847_000_i64, 0.5], [1_575_317_847_000_i64, 2.5]]))),
        "2.5"
    );
    assert_eq!(read(&section, 200, &points(json!([]))), "[]");
    assert_eq!(read(&section, 200, &json!({"status": "ok", "series": []})), "[]");
    assert_eq!(
        read(&section, 200, &json!({"status": "error", "error": "bad query"})),
        "There were errors in your query: bad query"
    );
    assert_eq!(
        read(&section, 403, &json!({"errors": ["Forbidden"]})),
        "received authentication error response code: check the api-key and app-key (403)"
    );
}

#[test]
fn datadog_version_2_asks_for_scalars_of_queries_and_a_formula() {
    let section = json!({"datadog": {"apiVersion": "v2", "queries": {"a": "sum:x{*}", "b": "sum:y{*}"}, "formula": "a / b", "aggregator": "sum", "requestTimeout": "30s"}});
    assert_snapshot!(sent(&section, &[]), @r#"
POST https://api.datadoghq.com/api/v2/query/scalar 30000 ms
DD-API-KEY: k-api
DD-APPLICATION-KEY: k-app
Content-Type: application/json
{"data":{"attributes":{"formulas":[{"formula":"a / b"}],"from":1767322745000,"queries":[{"aggregator":"sum","data_source":"metrics","name":"a","query":"sum:x{*}"},{"aggregator":"sum","data_source":"metrics","name":"b","query":"sum:y{*}"}],"to":1767323045000},"type":"scalar_request"}}
"#);
    // https://docs.datadoghq.com/api/latest/metrics/#query-scalar-data-across-multiple-products
    let columns = |columns: Value| json!({"data": {"type": "scalar_response", "attributes": {"columns": columns}}});
    let number = |values: Value| json!({"name": "a", "type": "number", "values": values});
    assert_eq!(read(&section, 200, &columns(json!([number(json!([0.5]))]))), "0.5");
    let group = json!({"name": "env", "type": "group", "values": [["env:production"], ["env:staging"]]});
    assert_eq!(read(&section, 200, &columns(json!([group, number(json!([0.5, 3]))]))), "[0.5,3]");
    assert_eq!(read(&section, 200, &columns(json!([number(json!([null]))]))), "[]");
    assert_eq!(read(&section, 200, &json!({"errors": "bad"})), "There were errors in your query: bad");
    for (wrong, message) in [
        (json!({"apiVersion": "v2"}), "Must have either a query or queries. Please review the Analysis Template."),
        (
            json!({"apiVersion": "v2", "query": "a", "queries": {"a": "b"}}),
            "Cannot have both a query and queries. Please review the Analysis Template.",
        ),
    ] {
        assert_eq!(next(&json!({"datadog": wrong}), &[]).unwrap_err(), message);
    }
}

#[test]
fn new_relic_asks_through_nerdgraph_and_one_row_is_a_map() {
    let section = json!({"newRelic": {"query": "FROM T SELECT 1", "timeout": 7}});
    assert_snapshot!(sent(&section, &[]), @r#"
POST https://api.newrelic.com/graphql 12000 ms
Api-Key: k-personal
Content-Type: application/json
{"query":"query($accountId: Int!, $query: Nrql!, $timeout: Seconds!) { actor { account(id: $accountId) { nrql(query: $query, timeout: $timeout) { results } } } }","variables":{"accountId":1234,"query":"FROM T SELECT 1","timeout":7}}
"#);
    // https://docs.newrelic.com/docs/apis/nerdgraph/examples/nerdgraph-nrql-tutorial/
    let rows = |rows: Value| json!({"data": {"actor": {"account": {"nrql": {"results": rows}}}}});
    assert_eq!(read(&section, 200, &rows(json!([{"count": 10}]))), r#"{"count":10}"#);
    assert_eq!(read(&section, 200, &rows(json!([{"count": 10}, {"count": 20}]))), r#"[{"count":10},{"count":20}]"#);
    assert_eq!(read(&section, 200, &rows(json!([]))), "no results returned from NRQL query");
    assert_eq!(read(&section, 200, &json!({"errors": [{"message": "NRQL Syntax Error"}]})), "NRQL Syntax Error");
    assert_eq!(
        next(&json!({"newRelic": {"timeout": -1}}), &[]).unwrap_err(),
        "timeout value needs to be a positive value"
    );
}

#[test]
fn wavefront_takes_the_point_nearest_to_now() {
    let section = json!({"wavefront": {"address": "wave.example", "query": "ts(a)"}});
    assert_snapshot!(sent(&section, &[]), @r"
GET https://wave.example/api/v2/chart/api?q=ts%28a%29&s=1767323045000&e=1767323045000&g=s&p=1&includeObsoleteMetrics=false&strict=false 30000 ms
Authorization: Bearer k-wave
");
    // https://docs.wavefront.com/wavefront_api.html, GET /api/v2/chart/api
    let one =
        json!({"timeseries": [{"label": "a", "data": [[1_767_323_000, 1], [1_767_323_040, 2.5]]}], "warnings": "slow"});
    assert_eq!(read(&section, 200, &one), r#"2.50 {"drift": "-5", "timestamps": "1767323040", "warnings": "slow"}"#);
    let two = json!({"timeseries": [{"data": [[1_767_323_045, 1]]}, {"data": [[1_767_323_046, 3]]}]});
    assert_eq!(read(&section, 200, &two), r#"[1.00,3.00] {"drift": "[0,1]", "timestamps": "[1767323045,1767323046]"}"#);
    assert_eq!(read(&section, 200, &json!({"timeseries": []})), "No TimeSeries found in response from Wavefront");
    assert_eq!(next(&json!({"wavefront": {"address": "other"}}), &[]).unwrap_err(), "API token not found");
}

#[test]
fn graphite_renders_json_and_reads_the_points_of_the_first_target() {
    let section = json!({"graphite": {"address": "http://graphite/base/", "query": "target=sum(a.b, c)&from=-5min"}});
    assert_snapshot!(sent(&section, &[]), @"GET http://graphite/base/render?target=sum%28a.b%2Cc%29&from=-5min&format=json 10000 ms");
    // https://graphite.readthedocs.io/en/latest/render_api.html#json
    let targets = json!([{"target": "entries", "datapoints": [[1.0, 1_311_836_008], [2.5, 1_311_836_009], [null, 1_311_836_010]]}, {"target": "x", "datapoints": [[9, 1]]}]);
    assert_eq!(read(&section, 200, &targets), "[1,2.5]");
    assert_eq!(read(&section, 200, &json!([])), "no values found");
    assert_eq!(read(&section, 200, &json!([{"target": "a", "datapoints": [[null, 1]]}])), "[]");
    assert_eq!(read_text(&section, 500, "oops"), "graphite answered 500: oops");
}

#[test]
fn influxdb_sends_flux_and_reads_annotated_csv() {
    let section = json!({"influxdb": {"query": "from(bucket: \"b\")"}});
    assert_snapshot!(sent(&section, &[]), @r#"
POST http://influx:8086/api/v2/query?org=my+org 30000 ms
Authorization: Token k-influx
Accept: application/csv
Content-Type: application/json
{"dialect":{"annotations":["datatype","group","default"],"delimiter":",","header":true},"query":"from(bucket: \"b\")","type":"flux"}
"#);
    // https://docs.influxdata.com/influxdb/v2/reference/syntax/annotated-csv/
    let csv = "#datatype,string,long,dateTime:RFC3339,double,string\r\n#group,false,false,false,false,true\r\n#default,_result,,,,\r\n,result,table,_time,_value,host\r\n,,0,2026-01-01T00:00:00Z,0.95,\"a, \"\"b\"\"\"\r\n,,0,2026-01-01T00:00:00Z,1,b\r\n\r\n#datatype,string,long,long\r\n,result,table,_value\r\n,,1,7\r\n";
    assert_eq!(read_text(&section, 200, csv), "[0.95 1.0 7]");
    assert_eq!(read_text(&section, 200, "\r\n"), "no results returned from flux query");
    let failed = "#datatype,string,string\r\n,error,reference\r\n,Failed to parse query,897\r\n";
    assert!(read_text(&section, 200, failed).contains("the query failed: Failed to parse query"));
    assert_eq!(
        read(&section, 401, &json!({"code": "unauthorized", "message": "unauthorized access"})),
        "influxdb answered 401: unauthorized access"
    );
}

#[test]
fn cloud_watch_is_signed_and_speaks_the_words_of_the_service() {
    let section = json!({"cloudWatch": {"interval": "30m", "metricDataQueries": [
        {"id": "rate", "expression": "errors / requests"},
        {"id": "errors", "returnData": false, "metricStat": {"metric": {"namespace": "app", "metricName": "errors",
            "dimensions": [{"name": "service", "value": "web"}]}, "period": "300", "stat": "Sum", "unit": "Count"}},
    ]}});
    let text = sent(&section, &[]);
    let (unsigned, signature) = text.split_once("Authorization: ").unwrap();
    assert_snapshot!(unsigned, @r"
POST https://monitoring.eu-west-1.amazonaws.com/ 30000 ms
X-Amz-Target: GraniteServiceVersion20100801.GetMetricData
Content-Type: application/x-amz-json-1.0
X-Amz-Date: 20260102T030405Z
X-Amz-Security-Token: k-session
");
    let (signature, body) = signature.split_once('\n').unwrap();
    assert!(signature.starts_with("AWS4-HMAC-SHA256 Credential=AKID/20260102/eu-west-1/monitoring/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature="), "{signature}");
    assert_snapshot!(body, @r#"{"EndTime":1767323045,"MetricDataQueries":[{"Expression":"errors / requests","Id":"rate"},{"Id":"errors","MetricStat":{"Metric":{"Dimensions":[{"Name":"service","Value":"web"}],"MetricName":"errors","Namespace":"app"},"Period":300,"Stat":"Sum","Unit":"Count"},"ReturnData":false}],"StartTime":1767321245}"#);
    // https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
    let answer = json!({"Messages": [], "MetricDataResults": [{"Id": "rate", "Label": "rate", "StatusCode": "Complete", "Timestamps": [1], "Values": [0.02]}]});
    assert_eq!(read(&section, 200, &answer), "[[0.02]]");
    let told = json!({"__type": "com.amazonaws#AccessDenied", "message": "no"});
    assert_eq!(
        read(&section, 400, &told),
        r#"cloudWatch answered 400: {"__type":"com.amazonaws#AccessDenied","message":"no"}"#
    );
    assert_eq!(next(&json!({"cloudWatch": {}}), &[]).unwrap_err(), "cloudWatch needs metricDataQueries");
}

#[test]
fn sky_walking_asks_for_the_last_minutes_and_takes_the_data_as_it_is() {
    let section = json!({"skywalking": {"address": "http://oap:12800", "interval": "3m", "query": "query q($duration: Duration!) { x }"}});
    assert_snapshot!(sent(&section, &[]), @r#"
POST http://oap:12800/graphql 30000 ms
Content-Type: application/json
{"query":"query q($duration: Duration!) { x }","variables":{"duration":{"end":"2026-01-02 0304","start":"2026-01-02 0301","step":"MINUTE"}}}
"#);
    // https://skywalking.apache.org/docs/main/latest/en/api/query-protocol/
    assert_eq!(
        read(&section, 200, &json!({"data": {"service_apdex": {"values": [{"value": 9900}]}}})),
        r#"{"service_apdex":{"values":[{"value":9900}]}}"#
    );
    assert_eq!(read(&section, 200, &json!({"data": null})), "no results returned from SkyWalking query");
    assert_eq!(read(&section, 200, &json!({"errors": [{"message": "no such field"}]})), "graphql: no such field");
}

#[test]
fn dynatrace_asks_the_metrics_api_and_reads_every_value() {
    let section =
        json!({"dynatrace": {"address": "https://x.live.dynatrace.com/", "query": "builtin:a:avg", "interval": "1m"}});
    assert_snapshot!(sent(&section, &[]), @r"
GET https://x.live.dynatrace.com/api/v2/metrics/query?metricSelector=builtin%3Aa%3Aavg&resolution=Inf&from=1767322985000&to=1767323045000 10000 ms
Authorization: Api-Token k-dyna
");
    // https://docs.dynatrace.com/docs/dynatrace-api/environment-api/metric-v2/get-data-points
    let answer = json!({"totalCount": 3, "result": [{"metricId": "builtin:host.cpu.idle", "data": [
        {"dimensions": ["HOST-1"], "timestamps": [3_151_435_100_000_i64], "values": [1.1]},
        {"dimensions": ["HOST-2"], "timestamps": [3_151_435_100_000_i64], "values": [null, 2.2]}]}], "warnings": ["w"]});
    assert_eq!(read(&section, 200, &answer), r#"[1.1,2.2] {"warnings": "w"}"#);
    assert_eq!(read(&section, 200, &json!({"result": []})), "[]");
    assert_eq!(
        read(&section, 400, &json!({"error": {"code": 400}})),
        r#"dynatrace answered 400: {"error":{"code":400}}"#
    );
}

#[test]
fn google_takes_a_token_of_a_secret_or_asks_the_machine_for_one() {
    let with_secret = json!({"googleCloudMonitoring": {"project": "p-1", "query": "up", "secretRef": {"name": "s"}}});
    let without = json!({"googleCloudMonitoring": {"project": "p-1", "query": "up"}});
    assert_snapshot!(sent(&with_secret, &[]), @r"
GET https://monitoring.googleapis.com/v1/projects/p-1/location/global/prometheus/api/v1/query?query=up&time=1767323045 30000 ms
Authorization: Bearer k-google
");
    assert_snapshot!(sent(&without, &[]), @r"
GET http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token 30000 ms
Metadata-Flavor: Google
");
    let token = r#"{"access_token":"k-machine","expires_in":3599,"token_type":"Bearer"}"#;
    assert!(sent(&without, &[(200, token)]).ends_with("Authorization: Bearer k-machine\n"));
    assert!(matches!(next(&without, &[(200, token), (200, "{}")]), Ok(Next::Read)));
    let vector = json!({"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, "0.5"]}]}});
    assert_eq!(read(&without, 200, &vector), "[0.5]");
    let broken = json!({"googleCloudMonitoring": {"project": "a/b", "query": "up"}});
    assert_eq!(next(&broken, &[]).unwrap_err(), "googleCloudMonitoring needs the id of a project");
}

#[test]
fn kayenta_looks_up_starts_and_asks_until_the_comparison_is_complete() {
    let section = json!({"kayenta": {
        "address": "http://kayenta:8090", "application": "guestbook", "canaryConfigName": "my-test",
        "metricsAccountName": "my-metrics", "configurationAccountName": "my-config", "storageAccountName": "my-storage",
        "threshold": {"pass": 90, "marginal": 75},
        "scopes": [{"name": "default", "controlScope": {"scope": "app=stable", "region": "us-2", "step": 60},
                    "experimentScope": {"scope": "app=canary", "region": "us-2", "step": 60}}],
    }});
    assert_snapshot!(sent(&section, &[]), @"GET http://kayenta:8090/canaryConfig?application=guestbook&configurationAccountName=my-storage 15000 ms");
    let configs = (200, r#"[{"id":"other","name":"x"},{"id":"id-1","name":"my-test"}]"#);
    assert_snapshot!(sent(&section, &[configs]), @r#"
POST http://kayenta:8090/canary/id-1?application=guestbook&metricsAccountName=my-metrics&configurationAccountName=my-config&storageAccountName=my-storage 15000 ms
Content-Type: application/json
{"scopes":{"default":{"controlScope":{"end":"2026-01-02T03:04:05Z","location":"us-2","scope":"app=stable","start":"2026-01-02T03:03:05Z","step":60},"experimentScope":{"end":"2026-01-02T03:04:05Z","location":"us-2","scope":"app=canary","start":"2026-01-02T03:03:05Z","step":60}}},"thresholds":{"marginal":75,"pass":90}}
"#);
    let started = (200, r#"{"canaryExecutionId":"01HAE"}"#);
    assert_snapshot!(sent(&section, &[configs, started]), @"GET http://kayenta:8090/canary/01HAE 15000 ms");
    let running = (200, r#"{"complete":false}"#);
    let Ok(Next::Wait(moment)) = next(&section, &[configs, started, running]) else { panic!("a wait") };
    assert_eq!(moment.as_second() - now().as_second(), 15);
    assert!(matches!(next(&section, &[configs, started, (200, r#"{"complete":true}"#)]), Ok(Next::Read)));
    let score = |score: f64| json!({"complete": true, "result": {"judgeResult": {"score": {"score": score}}}});
    assert_eq!(read(&section, 200, &score(92.7)), "92");
    assert_eq!(read(&section, 200, &json!({"complete": true})), "Missing Score");
    assert_eq!(next(&section, &[(200, "[]")]).unwrap_err(), "Canary config not found");
    assert_eq!(next(&section, &[configs, (200, "{}")]).unwrap_err(), "Invalid canaryExecutionId");
}

#[test]
fn prometheus_and_web_ask_for_a_token_first_when_they_are_told_to() {
    let oauth2 = json!({"oauth2": {"tokenUrl": "https://login/token", "clientId": "me", "clientSecret": "k-client", "scopes": ["a", "b"]}});
    for section in [
        json!({"prometheus": {"address": "http://p", "query": "up", "authentication": oauth2}}),
        json!({"web": {"url": "http://w/x", "authentication": oauth2}}),
    ] {
        let first = sent(&section, &[]);
        assert_eq!(
            first.lines().collect::<Vec<_>>(),
            [
                "POST https://login/token 30000 ms",
                "Authorization: Basic bWU6ay1jbGllbnQ=",
                "Content-Type: application/x-www-form-urlencoded",
                "grant_type=client_credentials&scope=a+b",
            ]
        );
        let token = (200, r#"{"access_token":"k-token","token_type":"bearer"}"#);
        let asked = request(&section, &[token]);
        assert_eq!(asked.headers.last().unwrap().1.expose(), "Bearer k-token");
        assert!(matches!(next(&section, &[token, (200, "1")]), Ok(Next::Read)));
        let refused = next(&section, &[(401, r#"{"error":"k-client is wrong"}"#)]).unwrap_err();
        assert_eq!(refused, "the oauth2 token request was answered with 401 and no token");
    }
    let empty = json!({"web": {"url": "http://w", "authentication": {"oauth2": {"tokenUrl": "https://login"}}}});
    assert!(next(&empty, &[]).unwrap_err().starts_with("missing mandatory parameter in metric for OAuth2 setup"));
}

#[test]
fn only_amazons_prometheus_gets_a_signature() {
    let at = |address: &str| json!({"prometheus": {"address": address, "query": "sum(up) by (a)", "authentication": {"sigv4": {"region": "us-east-2"}}}});
    let managed = sent(&at("https://aps-workspaces.us-east-2.amazonaws.com/workspaces/ws-1"), &[]);
    assert!(managed.contains("Credential=AKID/20260102/us-east-2/aps/aws4_request"), "{managed}");
    assert!(managed.contains("query=sum%28up%29%20by%20%28a%29"), "{managed}");
    assert!(!sent(&at("http://prometheus"), &[]).contains("Authorization"));
    let role = json!({"prometheus": {"address": "https://aps-workspaces.x", "query": "up", "authentication": {"sigv4": {"roleArn": "r"}}}});
    assert_eq!(next(&role, &[]).unwrap_err(), "prometheus authentication `sigv4.roleArn` is not supported");
}

#[test]
fn a_provider_without_its_secret_says_which_key_is_missing() {
    let provider =
        Provider::parse(&json!({"datadog": {"query": "a", "secretRef": {"name": "dd", "namespaced": true}}}));
    let references = provider.secrets();
    assert!(references.iter().all(|reference| reference.name == "dd" && reference.place == analysis::SecretPlace::Run));
    let asking = Asking {
        now: now(),
        started_at: now(),
        interval: None,
        settings: &Settings::default(),
        secrets: &BTreeMap::new(),
        earlier: &[],
    };
    assert_eq!(provider.next(&asking).unwrap_err().to_string(), "key `api-key` of Secret `dd` is not there");
}
