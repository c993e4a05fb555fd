//! Functions of URLs.

use super::url::Url;
use super::{Answer, MAP, STRING, text};
use crate::Str;
use crate::function::{Call, CallError, Function, Functions, Signature};
use crate::value::{Map, Value};

pub(super) fn add(functions: &mut Functions) {
    functions.add(Function::new("urlParse", Signature::fixed(&[STRING]), |call, args| {
        let given = args.string(0)?;
        call.produce(given.len().saturating_mul(2))?;
        let url =
            Url::parse(given.as_bytes()).map_err(|error| CallError::new(format!("unable to parse url: {error}")))?;
        let part = |bytes: Vec<u8>| Value::Str(bytes.into());
        Ok(Value::Map(Map::from_iter([
            ("hostname", part(url.hostname().to_vec())),
            ("userinfo", part(url.user.as_ref().map(|user| user.text()).unwrap_or_default())),
            ("scheme", part(url.scheme)),
            ("host", part(url.host)),
            ("path", part(url.path)),
            ("query", part(url.query)),
            ("opaque", part(url.opaque)),
            ("fragment", part(url.fragment)),
        ])))
    }));
    functions.add(Function::new("urlJoin", Signature::fixed(&[MAP]), |call, args| join(call, args.map(0)?)));
}

fn join(call: &mut Call<'_>, parts: &Map) -> Answer {
    let mut url = Url {
        scheme: part(parts, "scheme")?,
        host: part(parts, "host")?,
        path: part(parts, "path")?,
        query: part(parts, "query")?,
        opaque: part(parts, "opaque")?,
        fragment: part(parts, "fragment")?,
        user: None,
    };
    let user = part(parts, "userinfo")?;
    if !user.is_empty() {
        let probe = [b"proto://", user.as_slice(), b"@host"].concat();
        url.user = Url::parse(&probe)
            .map_err(|error| CallError::new(format!("unable to parse userinfo in dict: {error}")))?
            .user;
    }
    text(call, url.text())
}

fn part(parts: &Map, key: &str) -> Result<Vec<u8>, CallError> {
    match parts.get(key) {
        None => Ok(Vec::new()),
        Some(Value::Str(part)) => Ok(Str::as_bytes(&part).to_vec()),
        Some(Value::Nil) => Err(super::nil_dereference()),
        Some(other) => Err(CallError::new(format!(
            "unable to parse {key} key, must be of type string, but {} found",
            other.kind().name()
        ))),
    }
}
