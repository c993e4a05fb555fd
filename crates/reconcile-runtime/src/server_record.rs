//! The record over HTTP, one namespace at a time, for those who may read it.

use http::{Request, StatusCode};
use object_model::{ObjectId, Secret, Timestamp};
use reconcile_core::{RecordRow, Side};
use serde_json::{Value, json};

use crate::server::{RecordAccess, Reply};
use crate::{ApiError, Handle, RecordFilter};

/// Tokens are shorter; a longer one is not sent on.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    filter: RecordFilter,
    at: Option<Timestamp>,
}

/// Answers `GET /v1/record/{at,history,log}`.
pub(crate) async fn answer_record<B>(handle: &Handle, access: &RecordAccess, request: &Request<B>) -> Reply {
    let asked = match parse(request.uri().query().unwrap_or_default()) {
        Ok(asked) => asked,
        Err(message) => return Reply::text(StatusCode::BAD_REQUEST, message),
    };
    let token = request.headers().get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let namespace = match (&asked.filter.object, &asked.filter.namespace) {
        (Some(object), _) => object.namespace.clone(),
        (None, namespace) => namespace.clone(),
    };
    if let Err(refused) = permitted(handle, access, token, namespace.as_deref()).await {
        return refused;
    }
    let rows = match request.uri().path() {
        "/v1/record/at" => {
            let at = asked.at.unwrap_or_else(|| handle.shared.clock.now());
            handle.record().at(asked.filter, at).await
        }
        "/v1/record/history" if asked.filter.object.is_none() => {
            return Reply::text(StatusCode::BAD_REQUEST, "history needs `kind` and `name`");
        }
        "/v1/record/history" | "/v1/record/log" => handle.record().log(asked.filter).await,
        _ => return Reply::text(StatusCode::NOT_FOUND, "there is nothing here"),
    };
    match rows {
        Ok(rows) => Reply::json(&json!({"rows": rows.iter().map(to_json).collect::<Vec<_>>()})),
        Err(error) => {
            tracing::error!(%error, "the record could not be read");
            Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "the record could not be read")
        }
    }
}

/// Whether the bearer may read the record of a namespace; fails closed.
async fn permitted(handle: &Handle, access: &RecordAccess, token: &str, namespace: Option<&str>) -> Result<(), Reply> {
    if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
        return Err(Reply::text(StatusCode::UNAUTHORIZED, "a bearer token is needed"));
    }
    match access {
        RecordAccess::Token(expected) if is_same(token, expected) => Ok(()),
        RecordAccess::Token(_) => Err(Reply::text(StatusCode::UNAUTHORIZED, "the token is not accepted")),
        RecordAccess::Reviewed => reviewed(handle, token, namespace).await.map_err(|error| match error {
            Refused::Unknown => Reply::text(StatusCode::UNAUTHORIZED, "the token is not accepted"),
            Refused::Forbidden => Reply::text(
                StatusCode::FORBIDDEN,
                "you may not get `records.sluice.dev` in this namespace; without a namespace it is needed everywhere",
            ),
            Refused::Failed(error) => {
                tracing::warn!(%error, "access to the record could not be reviewed");
                Reply::text(StatusCode::SERVICE_UNAVAILABLE, "access could not be reviewed")
            }
        }),
    }
}

enum Refused {
    Unknown,
    Forbidden,
    Failed(ApiError),
}

async fn reviewed(handle: &Handle, token: &str, namespace: Option<&str>) -> Result<(), Refused> {
    let review = |path: &'static str, body: Value| {
        let api = handle.api();
        async move { api.raw(http::Method::POST, path, Some(body)).await.map_err(Refused::Failed) }
    };
    let who = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "metadata": {}, "spec": {"token": token},
    });
    let known = review("/apis/authentication.k8s.io/v1/tokenreviews", who).await?;
    if known.pointer("/status/authenticated").and_then(Value::as_bool) != Some(true) {
        return Err(Refused::Unknown);
    }
    let user = known.pointer("/status/user").cloned().unwrap_or_default();
    let may = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
        "spec": {
            "user": user.get("username"), "uid": user.get("uid"), "groups": user.get("groups"),
            "resourceAttributes": {
                "group": "sluice.dev", "resource": "records", "verb": "get", "namespace": namespace.unwrap_or_default(),
            },
        },
    });
    let answer = review("/apis/authorization.k8s.io/v1/subjectaccessreviews", may).await?;
    match answer.pointer("/status/allowed").and_then(Value::as_bool) {
        Some(true) => Ok(()),
        _ => Err(Refused::Forbidden),
    }
}

/// Compares in a time that tells nothing about where the two differ.
fn is_same(token: &str, expected: &Secret<String>) -> bool {
    use sha2::{Digest, Sha256};
    let (given, wanted) = (Sha256::digest(token.as_bytes()), Sha256::digest(expected.expose().as_bytes()));
    given.iter().zip(wanted.iter()).fold(0_u8, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn parse(query: &str) -> Result<Asked, String> {
    let mut asked = Asked::default();
    let (mut group, mut kind, mut name) = (String::new(), String::new(), String::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(value).ok_or_else(|| format!("the value of `{key}` is not percent-encoded UTF-8"))?;
        let moment = |text: &str| text.parse::<Timestamp>().map_err(|_| format!("`{key}` is not an RFC 3339 time"));
        match key {
            "group" => group = value,
            "kind" => kind = value,
            "name" => name = value,
            "namespace" => asked.filter.namespace = Some(value),
            "time" => asked.at = Some(moment(&value)?),
            "since" => asked.filter.since = Some(moment(&value)?),
            "until" => asked.filter.until = Some(moment(&value)?),
            "limit" => asked.filter.limit = Some(value.parse().map_err(|_| "`limit` is not a number".to_owned())?),
            "side" => {
                asked.filter.side = Some(match value.as_str() {
                    "desired" => Side::Desired,
                    "actual" => Side::Actual,
                    _ => return Err("`side` is `desired` or `actual`".to_owned()),
                });
            }
            other => return Err(format!("there is no parameter `{other}`")),
        }
    }
    match (kind.is_empty(), name.is_empty()) {
        (true, true) => Ok(asked),
        (false, false) => {
            let namespace = asked.filter.namespace.take().filter(|namespace| !namespace.is_empty());
            asked.filter.object = Some(ObjectId { group, kind, namespace, name });
            Ok(asked)
        }
        _ => Err("`kind` and `name` come together".to_owned()),
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next()?)? * 16 + digit(rest.next()?)?
            }
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn to_json(row: &RecordRow) -> Value {
    json!({
        "key": row.key, "side": crate::record_sqlite::text_of(row.side), "object": row.object, "at": row.at.to_string(),
        "digest": row.digest, "content": row.content, "commit": row.commit, "author": row.author, "asker": row.asker,
        "build": row.build, "source": row.source, "operation": row.operation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_one_object_or_a_namespace() {
        let asked = parse("kind=Rollout&group=argoproj.io&name=web&namespace=qa&limit=5").unwrap();
        assert_eq!(asked.filter.object.unwrap().to_string(), "Rollout.argoproj.io qa/web");
        assert_eq!(parse("namespace=qa").unwrap().filter.namespace.as_deref(), Some("qa"));
        for (query, message) in [
            ("kind=Rollout", "`kind` and `name` come together"),
            ("time=yesterday", "`time` is not an RFC 3339 time"),
            ("side=left", "`side` is `desired` or `actual`"),
            ("name=%zz", "the value of `name` is not percent-encoded UTF-8"),
            ("nonsense=1", "there is no parameter `nonsense`"),
        ] {
            assert_eq!(parse(query).unwrap_err(), message);
        }
    }

    #[test]
    fn tokens_are_compared_whole() {
        let expected = Secret::new("abc".to_owned());
        assert!(is_same("abc", &expected));
        assert!(!is_same("ab", &expected) && !is_same("abcd", &expected) && !is_same("abd", &expected));
    }
}
