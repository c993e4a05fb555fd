//! Reads a request's path and query: which verb on which resource, namespace, name and subresource.

use std::collections::BTreeMap;

use http::Method;

/// The query parameters, decoded; the first of a repeated name wins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let mut values = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()).take(256) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            values.entry(percent_decode(key)).or_insert_with(|| percent_decode(value));
        }
        Self(values)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub(crate) fn is_present(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn is_true(&self, key: &str) -> bool {
        matches!(self.get(key), Some("true" | "1" | "True" | "TRUE" | "t" | "T"))
    }
}

fn percent_decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => match hex_pair(bytes.clone()) {
                Some(value) => {
                    out.push(value);
                    bytes.nth(1);
                }
                None => out.push(b'%'),
            },
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The byte that two hexadecimal digits stand for.
fn hex_pair(mut ahead: std::str::Bytes<'_>) -> Option<u8> {
    let high = char::from(ahead.next()?).to_digit(16)?;
    let low = char::from(ahead.next()?).to_digit(16)?;
    u8::try_from(high * 16 + low).ok()
}

/// A path below `/api` or `/apis`, taken apart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) plural: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) subresource: Option<String>,
}

/// What a path asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Route {
    /// Anything but a resource: discovery, version, health, OpenAPI.
    Other(String),
    /// A resource.
    Resource(Target),
}

pub(crate) fn split_target(target: &str) -> (&str, Query) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    (path, Query::parse(query))
}

pub(crate) fn route(path: &str) -> Route {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
        _ => return Route::Other(path.to_owned()),
    };
    let mut target = Target { group: group.to_owned(), version: version.to_owned(), ..Target::default() };
    let own = |text: &str| Some(percent_decode(text));
    match rest {
        ["namespaces", namespace, "finalize"] if group.is_empty() => {
            target.plural = "namespaces".to_owned();
            target.name = own(namespace);
            target.subresource = own("finalize");
        }
        ["namespaces", namespace, "status"] if group.is_empty() => {
            target.plural = "namespaces".to_owned();
            target.name = own(namespace);
            target.subresource = own("status");
        }
        ["namespaces", name] if group.is_empty() => {
            target.plural = "namespaces".to_owned();
            target.name = own(name);
        }
        ["namespaces", namespace, plural, tail @ ..] => {
            target.namespace = own(namespace);
            target.plural = (*plural).to_owned();
            return finish(path, target, tail);
        }
        [plural, tail @ ..] => {
            target.plural = (*plural).to_owned();
            return finish(path, target, tail);
        }
        [] => return Route::Other(path.to_owned()),
    }
    Route::Resource(target)
}

fn finish(path: &str, mut target: Target, tail: &[&str]) -> Route {
    match tail {
        [] => {}
        [name] => target.name = Some(percent_decode(name)),
        [name, subresource] => {
            target.name = Some(percent_decode(name));
            target.subresource = Some((*subresource).to_owned());
        }
        _ => return Route::Other(path.to_owned()),
    }
    Route::Resource(target)
}

/// The verb of RBAC for a request on a resource.
pub(crate) fn verb(method: &Method, target: &Target, query: &Query) -> &'static str {
    let named = target.name.is_some();
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        // One object is read, whatever the query says: only collections are watched.
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD if query.is_true("watch") => "watch",
        Method::GET | Method::HEAD => "list",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> String {
        match route(path) {
            Route::Other(path) => format!("other {path}"),
            Route::Resource(t) => format!(
                "{}/{} {} ns={} name={} sub={}",
                t.group,
                t.version,
                t.plural,
                t.namespace.unwrap_or_default(),
                t.name.unwrap_or_default(),
                t.subresource.unwrap_or_default()
            ),
        }
    }

    #[test]
    fn paths_are_taken_apart() {
        assert_eq!(read("/api/v1/pods"), "/v1 pods ns= name= sub=");
        assert_eq!(read("/api/v1/namespaces/qa"), "/v1 namespaces ns= name=qa sub=");
        assert_eq!(read("/api/v1/namespaces/qa/status"), "/v1 namespaces ns= name=qa sub=status");
        assert_eq!(read("/api/v1/namespaces/qa/pods/a/log"), "/v1 pods ns=qa name=a sub=log");
        assert_eq!(read("/apis/apps/v1/namespaces/qa/deployments/web"), "apps/v1 deployments ns=qa name=web sub=");
        assert_eq!(read("/apis/apps/v1"), "other /apis/apps/v1");
        assert_eq!(read("/version"), "other /version");
    }

    #[test]
    fn queries_are_decoded() {
        let query = Query::parse("labelSelector=app%3Dweb%2Ctier+in+(a)&watch=1&bad=%zz");
        assert_eq!(query.get("labelSelector"), Some("app=web,tier in (a)"));
        assert!(query.is_true("watch"));
        assert_eq!(query.get("bad"), Some("%zz"));
    }
}
