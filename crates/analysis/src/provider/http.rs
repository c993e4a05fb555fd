//! The little of URLs that requests need: taking credentials out and putting parameters in.

use base64::Engine as _;
use object_model::Secret;

use super::ProviderError;

/// A base address without credentials, and the `Authorization` header that they become.
pub(super) struct Address {
    pub(super) base: String,
    pub(super) authorization: Option<Secret<String>>,
}

/// Splits `scheme://user:password@host/path`; messages never show what stands before the `@`.
pub(super) fn address(text: &str, whose: &str) -> Result<Address, ProviderError> {
    let wrong = || ProviderError::Spec { reason: format!("{whose} is not is url format") };
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    if !matches!(scheme, "http" | "https") {
        return Err(ProviderError::Spec { reason: format!("{whose} must begin with http:// or https://") });
    }
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (credentials, host) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, authority),
    };
    if host.is_empty() || host.starts_with(':') || host.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(wrong());
    }
    let authorization = credentials.map(|credentials| {
        let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
        basic(&percent_decode(user), &percent_decode(password))
    });
    Ok(Address { base: format!("{scheme}://{host}{path}"), authorization })
}

/// The value of a basic `Authorization` header.
pub(super) fn basic(user: &str, password: &str) -> Secret<String> {
    let code = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    Secret::new(format!("Basic {code}"))
}

/// The part of a URL that may be shown: no parameters, no fragment.
pub(super) fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}

/// Joins parameters as a form or a query string carries them.
pub(super) fn form(parameters: &[(&str, String)]) -> String {
    let pairs: Vec<_> = parameters.iter().map(|(key, value)| format!("{key}={}", percent_encode(value))).collect();
    pairs.join("&")
}

pub(super) fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else if byte == b' ' {
            encoded.push('+');
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

pub(super) fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_leave_the_url_and_become_a_header() {
        let parsed = address("https://me:p%40ss@prometheus.example:9090/base", "address").unwrap();
        assert_eq!(parsed.base, "https://prometheus.example:9090/base");
        assert_eq!(parsed.authorization.unwrap().expose(), "Basic bWU6cEBzcw==");
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for text in ["prometheus:9090", "http://", "http://:90", "http://user:secret@", "http://a b/"] {
            let error = address(text, "prometheus address").map(|_| ()).unwrap_err();
            assert_eq!(error.to_string(), "prometheus address is not is url format", "{text}");
        }
        let error = address("ftp://x", "prometheus address").map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), "prometheus address must begin with http:// or https://");
    }

    #[test]
    fn parameters_are_encoded() {
        assert_eq!(form(&[("query", "a{b=\"c\"} + é".to_owned())]), "query=a%7Bb%3D%22c%22%7D+%2B+%C3%A9");
    }
}
