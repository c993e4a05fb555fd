//! What goes in and comes out of the state machine: a request, and a response or a watch.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::Value;

use crate::error::ApiError;
use crate::watch::Watch;

/// Who sends a request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// The user name, for example `system:serviceaccount:default:web`.
    pub name: String,
    /// The groups, for example `system:masters`.
    pub groups: Vec<String>,
}

impl User {
    /// A user with the groups every authenticated user of that name has.
    pub fn new(name: &str) -> Self {
        let mut groups = Vec::new();
        if let Some(rest) = name.strip_prefix("system:serviceaccount:") {
            groups.push("system:serviceaccounts".to_owned());
            if let Some((namespace, _)) = rest.split_once(':') {
                groups.push(format!("system:serviceaccounts:{namespace}"));
            }
        }
        if name == "system:anonymous" {
            groups.push("system:unauthenticated".to_owned());
        } else {
            groups.push("system:authenticated".to_owned());
        }
        Self { name: name.to_owned(), groups }
    }

    /// The administrator: a member of `system:masters`, whom no rule stops.
    pub fn admin() -> Self {
        Self {
            name: "kubernetes-admin".to_owned(),
            groups: vec!["system:masters".to_owned(), "system:authenticated".to_owned()],
        }
    }

    /// Whether the user is in a group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|have| have == group)
    }
}

/// An HTTP request whose body has been read.
#[derive(Debug, Clone)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Path and query, for example `/api/v1/pods?limit=5`.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The sender when the skin knows it; otherwise the `Authorization` header decides.
    pub user: Option<User>,
}

impl Request {
    /// A request without a body.
    pub fn new(method: Method, target: &str) -> Self {
        Self { method, target: target.to_owned(), headers: HeaderMap::new(), body: Bytes::new(), user: None }
    }

    /// A GET request.
    pub fn get(target: &str) -> Self {
        Self::new(Method::GET, target)
    }

    /// A DELETE request.
    pub fn delete(target: &str) -> Self {
        Self::new(Method::DELETE, target)
    }

    /// A POST request with a JSON body.
    pub fn post(target: &str, body: &Value) -> Self {
        Self::new(Method::POST, target).body("application/json", body)
    }

    /// A PUT request with a JSON body.
    pub fn put(target: &str, body: &Value) -> Self {
        Self::new(Method::PUT, target).body("application/json", body)
    }

    /// A PATCH request; `content_type` says which kind of patch the body is.
    pub fn patch(target: &str, content_type: &'static str, body: &Value) -> Self {
        Self::new(Method::PATCH, target).body(content_type, body)
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn body(mut self, content_type: &'static str, body: &Value) -> Self {
        self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.body = Bytes::from(body.to_string());
        self
    }

    /// Sets a header; a value that HTTP forbids is left out.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    /// Sets the sender.
    #[must_use]
    pub fn sent_by(mut self, user: User) -> Self {
        self.user = Some(user);
        self
    }

    pub(crate) fn header_text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Response {
    pub(crate) fn json(status: u16, body: Bytes) -> Self {
        Self::typed(status, "application/json", body)
    }

    pub(crate) fn typed(status: u16, content_type: &'static str, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        Self { status, headers, body }
    }

    pub(crate) fn value(status: u16, value: &Value) -> Self {
        Self::json(status, Bytes::from(value.to_string()))
    }

    pub(crate) fn error(error: &ApiError) -> Self {
        let mut response = if error.is_plain {
            Self::typed(error.code, "text/plain; charset=utf-8", Bytes::from(format!("{}\n", error.message)))
        } else {
            Self::value(error.code, &error.to_status())
        };
        if let Some(seconds) = error.retry_after_seconds()
            && let Ok(value) = HeaderValue::from_str(&seconds.to_string())
        {
            response.headers.insert(header::RETRY_AFTER, value);
        }
        response
    }

    /// The body as JSON; `null` when it is not JSON.
    pub fn to_json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The same answer in YAML, when it is JSON.
    pub(crate) fn into_yaml(mut self) -> Self {
        if self.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json")
            && let Ok(value) = serde_json::from_slice::<Value>(&self.body)
        {
            self.body = Bytes::from(yaml::to_yaml(&value));
            self.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/yaml"));
        }
        self
    }
}

/// The answer to a request.
#[derive(Debug)]
pub enum Reply {
    /// A complete answer.
    Response(Response),
    /// A stream: poll the watch for its lines.
    Watch(Box<Watch>),
}

impl Reply {
    /// The HTTP status of the answer (200 for a watch).
    pub fn status(&self) -> u16 {
        match self {
            Self::Response(response) => response.status,
            Self::Watch(_) => 200,
        }
    }

    /// The body as JSON; `null` for a watch.
    pub fn to_json(&self) -> Value {
        match self {
            Self::Response(response) => response.to_json(),
            Self::Watch(_) => Value::Null,
        }
    }
}
