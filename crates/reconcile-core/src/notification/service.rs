//! What each service is sent: pure requests, and how its answer reads.

use object_model::Secret;
use serde_json::{Map, Value, json};

use super::message::Service;
use super::subscription::Destination;
use crate::{HttpQuery, HttpReply};

const TIMEOUT_MS: u64 = 30_000;
const BODY_BYTES_MAX: usize = 64 << 10;

/// Where a request goes besides the body that it has.
struct Target {
    url: String,
    headers: Vec<(String, Secret<String>)>,
    insecure: bool,
}

impl Target {
    fn at(url: impl Into<String>) -> Self {
        Self { url: url.into(), headers: Vec::new(), insecure: false }
    }

    fn with_header(mut self, name: &str, value: String) -> Self {
        self.headers.push((name.to_owned(), Secret::new(value)));
        self
    }

    fn post(self, body: &Value) -> HttpQuery {
        self.with_header("Content-Type", "application/json".to_owned()).send("POST", Some(body.to_string()))
    }

    fn send(self, method: &str, body: Option<String>) -> HttpQuery {
        HttpQuery {
            method: method.to_owned(),
            url: self.url,
            headers: self.headers,
            body: body.map(Secret::new),
            timeout_ms: TIMEOUT_MS,
            body_bytes_max: BODY_BYTES_MAX,
            insecure_tls: self.insecure,
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

/// The requests that carry a message to a destination; `key` is the same for a repeat.
pub(super) fn requests(
    service: &Service,
    destination: &Destination,
    message: &Value,
    key: &str,
) -> Result<Vec<HttpQuery>, String> {
    let words = text(message, "message");
    let part = |name: &str| message.get(name).cloned().unwrap_or_else(|| json!({}));
    match service.kind.as_str() {
        "webhook" => webhook(&service.settings, &destination.service, message).map(|query| vec![query]),
        "slack" => slack(&service.settings, destination, words, &part("slack")).map(|query| vec![query]),
        "teams" => {
            let url = by_recipient(&service.settings, "recipientUrls", &destination.recipient)?;
            Ok(vec![Target::at(url).post(&teams(words, &part("teams"))?)])
        }
        "googlechat" => {
            let url = by_recipient(&service.settings, "webhooks", &destination.recipient)?;
            Ok(vec![Target::at(url).post(&google_chat(words, &part("googlechat"))?)])
        }
        "alertmanager" => alertmanager(&service.settings, words, &part("alertmanager")),
        "pagerdutyv2" => {
            let routing_key = by_recipient(&service.settings, "serviceKeys", &destination.recipient)?;
            let body = pager_duty(&routing_key, words, &part("pagerdutyv2"), key);
            Ok(vec![Target::at("https://events.pagerduty.com/v2/enqueue").post(&body)])
        }
        "email" => email(&service.settings, destination, words, &part("email")).map(|query| vec![query]),
        other => Err(format!("service `{other}` is not served")),
    }
}

fn by_recipient(settings: &Value, list: &str, recipient: &str) -> Result<String, String> {
    let found = settings.get(list).and_then(|list| list.get(recipient)?.as_str());
    found.map(str::to_owned).ok_or_else(|| format!("recipient `{recipient}` is not among {list}"))
}

fn basic(settings: &Value) -> Option<String> {
    let auth = settings.get("basicAuth").filter(|auth| !auth.is_null())?;
    Some(format!("Basic {}", base64(&format!("{}:{}", text(auth, "username"), text(auth, "password")))))
}

fn webhook(settings: &Value, name: &str, message: &Value) -> Result<HttpQuery, String> {
    let part = message.pointer(&format!("/webhook/{name}")).cloned().unwrap_or_else(|| json!({}));
    let url = text(settings, "url");
    if url.is_empty() {
        return Err(format!("webhook `{name}` has no url"));
    }
    let path = text(&part, "path");
    let mut target = Target::at(match path {
        "" => url.to_owned(),
        path => format!("{}/{}", url.trim_end_matches('/'), path.trim_start_matches('/')),
    });
    for header in settings.get("headers").and_then(Value::as_array).into_iter().flatten() {
        target = target.with_header(text(header, "name"), text(header, "value").to_owned());
    }
    if let Some(value) = basic(settings) {
        target = target.with_header("Authorization", value);
    }
    target.insecure = settings.get("insecureSkipVerify").and_then(Value::as_bool).unwrap_or(false);
    let method = match text(&part, "method") {
        "" => "GET",
        method => method,
    };
    let body = text(&part, "body");
    Ok(target.send(method, (!body.is_empty()).then(|| body.to_owned())))
}

/// A text that holds JSON, as templates write lists of attachments and cards.
fn embedded(part: &Value, key: &str) -> Result<Option<Value>, String> {
    match part.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::String(text)) => {
            let mut documents = yaml::parse(text).map_err(|problems| {
                format!("`{key}` is no JSON: {}", problems.first().map(ToString::to_string).unwrap_or_default())
            })?;
            Ok(documents.pop().map(|document| document.value))
        }
        Some(other) => Ok(Some(other.clone())),
    }
}

fn put(body: &mut Value, key: &str, value: Option<Value>) {
    if let (Value::Object(map), Some(value)) = (body, value) {
        map.insert(key.to_owned(), value);
    }
}

fn slack(settings: &Value, destination: &Destination, words: &str, part: &Value) -> Result<HttpQuery, String> {
    let mut body = json!({"channel": destination.recipient, "text": words});
    for key in ["attachments", "blocks"] {
        put(&mut body, key, embedded(part, key)?);
    }
    for (key, from) in [("username", settings), ("username", part)] {
        put(&mut body, key, Some(text(from, key)).filter(|text| !text.is_empty()).map(Value::from));
    }
    for from in [settings, part] {
        let icon = text(from, "icon");
        let key = if icon.starts_with(':') { "icon_emoji" } else { "icon_url" };
        put(&mut body, key, (!icon.is_empty()).then(|| icon.into()));
    }
    let base = Some(text(settings, "apiURL")).filter(|url| !url.is_empty()).unwrap_or("https://slack.com/api/");
    let target = Target::at(format!("{}/chat.postMessage", base.trim_end_matches('/')));
    Ok(target.with_header("Authorization", format!("Bearer {}", text(settings, "token"))).post(&body))
}

fn teams(words: &str, part: &Value) -> Result<Value, String> {
    if let Some(whole) = embedded(part, "template")? {
        return Ok(whole);
    }
    let mut card = json!({"@type": "MessageCard", "@context": "http://schema.org/extensions"});
    let own = Some(text(part, "text")).filter(|text| !text.is_empty()).unwrap_or(words);
    put(&mut card, "text", Some(own.into()));
    for key in ["title", "summary", "themeColor"] {
        put(&mut card, key, Some(text(part, key)).filter(|text| !text.is_empty()).map(Value::from));
    }
    let mut sections = embedded(part, "sections")?.and_then(|list| list.as_array().cloned()).unwrap_or_default();
    if let Some(facts) = embedded(part, "facts")? {
        sections.push(json!({"facts": facts}));
    }
    put(&mut card, "sections", (!sections.is_empty()).then_some(Value::Array(sections)));
    put(&mut card, "potentialAction", embedded(part, "potentialAction")?);
    Ok(card)
}

fn google_chat(words: &str, part: &Value) -> Result<Value, String> {
    let mut body = json!({});
    let cards = embedded(part, "cardsV2")?;
    put(&mut body, "text", cards.is_none().then(|| words.into()));
    put(&mut body, "cardsV2", cards);
    let thread = text(part, "threadKey");
    put(&mut body, "thread", (!thread.is_empty()).then(|| json!({"threadKey": thread})));
    Ok(body)
}

fn alertmanager(settings: &Value, words: &str, part: &Value) -> Result<Vec<HttpQuery>, String> {
    let targets = settings.get("targets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if targets.is_empty() {
        return Err("alertmanager has no targets".to_owned());
    }
    let or = |key: &str, default: &'static str| match text(settings, key) {
        "" => default.to_owned(),
        text => text.to_owned(),
    };
    let (scheme, path) = (or("scheme", "http"), or("apiPath", "/api/v2/alerts"));
    let map = |key: &str| part.get(key).and_then(Value::as_object).cloned().unwrap_or_else(Map::new);
    let mut annotations = map("annotations");
    if annotations.is_empty() {
        annotations.insert("message".to_owned(), words.into());
    }
    let mut alert = json!({"labels": map("labels"), "annotations": annotations});
    let generator = text(part, "generatorURL");
    put(&mut alert, "generatorURL", (!generator.is_empty()).then(|| generator.into()));
    let bearer = Some(text(settings, "bearerToken")).filter(|token| !token.is_empty());
    let authorization = bearer.map(|token| format!("Bearer {token}")).or_else(|| basic(settings));
    let one = |target: &Value| {
        let mut to = Target::at(format!("{scheme}://{}{path}", target.as_str().unwrap_or_default()));
        if let Some(value) = &authorization {
            to = to.with_header("Authorization", value.clone());
        }
        to.post(&json!([alert]))
    };
    Ok(targets.iter().map(one).collect())
}

fn pager_duty(routing_key: &str, words: &str, part: &Value, key: &str) -> Value {
    let or = |name: &str, default: &str| match text(part, name) {
        "" => default.to_owned(),
        text => text.to_owned(),
    };
    let mut payload = json!({
        "summary": or("summary", words), "severity": or("severity", "info"), "source": or("source", "sluice"),
    });
    for name in ["component", "group", "class"] {
        put(&mut payload, name, Some(text(part, name)).filter(|text| !text.is_empty()).map(Value::from));
    }
    let mut body = json!({
        "routing_key": routing_key, "event_action": "trigger", "dedup_key": or("dedupKey", key), "payload": payload,
    });
    let url = text(part, "url");
    put(&mut body, "client_url", (!url.is_empty()).then(|| url.into()));
    body
}

/// A mail by SMTP: the envelope in headers, the message as the body.
fn email(settings: &Value, destination: &Destination, words: &str, part: &Value) -> Result<HttpQuery, String> {
    let (host, from) = (text(settings, "host"), text(settings, "from"));
    if host.is_empty() || from.is_empty() {
        return Err("email needs host and from".to_owned());
    }
    let port = match settings.get("port") {
        Some(Value::String(text)) => text.parse().ok(),
        other => other.and_then(Value::as_u64),
    };
    let port = port.unwrap_or(587);
    // A header ends at its line; what follows would be another one.
    let line = |text: &str| text.split(['\r', '\n']).next().unwrap_or_default().to_owned();
    let body = Some(text(part, "body")).filter(|body| !body.is_empty()).unwrap_or(words);
    let kind = if settings.get("html").and_then(Value::as_bool) == Some(true) { "html" } else { "plain" };
    let message = format!(
        "From: {}\nTo: {}\nSubject: {}\nMIME-Version: 1.0\nContent-Type: text/{kind}; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n{body}",
        line(from),
        line(&destination.recipient),
        line(text(part, "subject")),
    );
    let scheme = if port == 465 { "smtps" } else { "smtp" };
    let target = Target::at(format!("{scheme}://{host}:{port}"))
        .with_header("From", from.to_owned())
        .with_header("To", destination.recipient.clone())
        .with_header("Username", text(settings, "username").to_owned())
        .with_header("Password", text(settings, "password").to_owned());
    Ok(target.send("POST", Some(message)))
}

/// Why a service did not take a message; nothing when it did.
pub(super) fn refusal(kind: &str, reply: &HttpReply) -> Option<String> {
    match reply {
        HttpReply::Failed { message, .. } => Some(message.clone()),
        HttpReply::Response { status, body, .. } if !(200..300).contains(status) => {
            Some(format!("it answered {status}: {}", body.chars().take(200).collect::<String>()))
        }
        // Slack says in the body whether it took a message.
        HttpReply::Response { body, .. } if kind == "slack" => {
            let answer: Value = serde_json::from_str(body).unwrap_or_default();
            (answer.get("ok") != Some(&Value::Bool(true))).then(|| format!("it answered `{}`", text(&answer, "error")))
        }
        HttpReply::Response { .. } => None,
    }
}

fn base64(text: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |bits: u32| LETTERS.get((bits & 63) as usize).map_or('=', |byte| char::from(*byte));
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let byte = |place: usize| u32::from(chunk.get(place).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        out.push(letter(bits >> 18));
        out.push(letter(bits >> 12));
        out.push(if chunk.len() > 1 { letter(bits >> 6) } else { '=' });
        out.push(if chunk.len() > 2 { letter(bits) } else { '=' });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(kind: &str, settings: Value, name: &str, recipient: &str, message: Value) -> Vec<String> {
        let service = Service { kind: kind.to_owned(), settings };
        let destination = Destination { service: name.to_owned(), recipient: recipient.to_owned() };
        let queries = requests(&service, &destination, &message, "event-1").unwrap();
        let show = |query: HttpQuery| {
            let headers: Vec<String> =
                query.headers.iter().map(|(name, value)| format!("{name}: {}", value.expose())).collect();
            let body = query.body.map(|body| body.expose().clone()).unwrap_or_default();
            format!("{} {} [{}] {body}", query.method, query.url, headers.join(", "))
        };
        queries.into_iter().map(show).collect()
    }

    #[test]
    fn each_service_is_sent_what_it_documents() {
        let message = |part: Value| {
            let mut message = json!({"message": "hello"});
            for (key, value) in part.as_object().unwrap() {
                message[key] = value.clone();
            }
            message
        };
        assert_eq!(
            sent(
                "webhook",
                json!({"url": "https://x/", "headers": [{"name": "A", "value": "b"}], "basicAuth": {"username": "u", "password": "p"}}),
                "hook",
                "",
                message(json!({"webhook": {"hook": {"method": "POST", "path": "/y", "body": "{}"}}})),
            ),
            ["POST https://x/y [A: b, Authorization: Basic dTpw] {}"]
        );
        assert_eq!(
            sent(
                "slack",
                json!({"token": "t", "icon": ":x:"}),
                "slack",
                "c",
                message(json!({"slack": {"attachments": "[{\"a\": 1}]"}}))
            ),
            [
                r#"POST https://slack.com/api/chat.postMessage [Authorization: Bearer t, Content-Type: application/json] {"attachments":[{"a":1}],"channel":"c","icon_emoji":":x:","text":"hello"}"#
            ]
        );
        assert_eq!(
            sent(
                "teams",
                json!({"recipientUrls": {"c": "https://t"}}),
                "teams",
                "c",
                message(json!({"teams": {"title": "T"}}))
            ),
            [
                r#"POST https://t [Content-Type: application/json] {"@context":"http://schema.org/extensions","@type":"MessageCard","text":"hello","title":"T"}"#
            ]
        );
        assert_eq!(
            sent("googlechat", json!({"webhooks": {"c": "https://g"}}), "googlechat", "c", message(json!({}))),
            [r#"POST https://g [Content-Type: application/json] {"text":"hello"}"#]
        );
        assert_eq!(
            sent(
                "alertmanager",
                json!({"targets": ["a:9093", "b:9093"]}),
                "alertmanager",
                "",
                message(json!({"alertmanager": {"labels": {"x": "y"}}}))
            ),
            [
                r#"POST http://a:9093/api/v2/alerts [Content-Type: application/json] [{"annotations":{"message":"hello"},"labels":{"x":"y"}}]"#,
                r#"POST http://b:9093/api/v2/alerts [Content-Type: application/json] [{"annotations":{"message":"hello"},"labels":{"x":"y"}}]"#,
            ]
        );
        assert_eq!(
            sent(
                "pagerdutyv2",
                json!({"serviceKeys": {"s": "k"}}),
                "pagerdutyv2",
                "s",
                message(json!({"pagerdutyv2": {"severity": "critical"}}))
            ),
            [
                r#"POST https://events.pagerduty.com/v2/enqueue [Content-Type: application/json] {"dedup_key":"event-1","event_action":"trigger","payload":{"severity":"critical","source":"sluice","summary":"hello"},"routing_key":"k"}"#
            ]
        );
    }

    #[test]
    fn a_mail_has_its_envelope_in_headers_and_no_header_brings_another_one() {
        let settings = json!({"host": "mail", "port": 465, "from": "s@x", "username": "u", "password": "p"});
        let part = json!({"message": "hello", "email": {"subject": "done\r\nBcc: all@x"}});
        assert_eq!(
            sent("email", settings, "email", "ann@x", part),
            [
                "POST smtps://mail:465 [From: s@x, To: ann@x, Username: u, Password: p] From: s@x\nTo: ann@x\nSubject: done\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\nhello"
            ]
        );
    }

    #[test]
    fn an_answer_is_read_as_the_service_means_it() {
        let at = "2026-01-01T00:00:00Z".parse().unwrap();
        let reply = |status: u16, body: &str| HttpReply::Response { status, body: body.to_owned(), at };
        assert_eq!(refusal("webhook", &reply(204, "")), None);
        assert_eq!(refusal("webhook", &reply(500, "no")).as_deref(), Some("it answered 500: no"));
        assert_eq!(refusal("slack", &reply(200, r#"{"ok": true}"#)), None);
        assert_eq!(
            refusal("slack", &reply(200, r#"{"ok": false, "error": "no_channel"}"#)).as_deref(),
            Some("it answered `no_channel`")
        );
    }

    #[test]
    fn base64_is_padded() {
        assert_eq!(["", "a", "ab", "abc", "abcd"].map(base64), ["", "YQ==", "YWI=", "YWJj", "YWJjZA=="]);
    }
}
