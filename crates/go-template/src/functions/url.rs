//! URLs as Go's `net/url` reads and writes them.

use crate::quote::{Keep, quote};

/// Where a text stands in a URL: each place escapes other bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Path,
    Host,
    Zone,
    User,
    Fragment,
}

/// A URL taken apart; the texts are unescaped, the query is not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) scheme: Vec<u8>,
    pub(crate) opaque: Vec<u8>,
    pub(crate) user: Option<User>,
    pub(crate) host: Vec<u8>,
    pub(crate) path: Vec<u8>,
    pub(crate) query: Vec<u8>,
    pub(crate) fragment: Vec<u8>,
}

fn shown(text: &[u8]) -> String {
    quote(text, Keep::Printable)
}

/// A user with or without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct User {
    name: Vec<u8>,
    password: Option<Vec<u8>>,
}

/// Why a text is no URL, as Go tells it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse {}: {what}", shown(text))]
pub(crate) struct UrlError {
    text: Vec<u8>,
    what: String,
}

impl User {
    /// Writes `name:password`, escaped.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = escape(&self.name, Place::User);
        if let Some(password) = &self.password {
            text.push(b':');
            text.extend(escape(password, Place::User));
        }
        text
    }
}

fn cut(text: &[u8], separator: u8) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|&byte| byte == separator) {
        Some(place) => (text.get(..place).unwrap_or(text), text.get(place + 1..)),
        None => (text, None),
    }
}

impl Url {
    /// Reads a URL.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, UrlError> {
        let (before, fragment) = cut(text, b'#');
        let mut url = parse(before).map_err(|what| UrlError { text: before.to_vec(), what })?;
        if let Some(fragment) = fragment.filter(|fragment| !fragment.is_empty()) {
            url.fragment =
                unescape(fragment, Place::Fragment).map_err(|what| UrlError { text: text.to_vec(), what })?;
        }
        Ok(url)
    }

    /// Returns the host without port and brackets.
    pub(crate) fn hostname(&self) -> &[u8] {
        let host = match self.host.iter().rposition(|&byte| byte == b':') {
            Some(colon) if is_optional_port(self.host.get(colon..).unwrap_or_default()) => {
                self.host.get(..colon).unwrap_or_default()
            }
            _ => &self.host,
        };
        match host {
            [b'[', inner @ .., b']'] => inner,
            host => host,
        }
    }

    /// Writes the URL, every part escaped anew.
    pub(crate) fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if !self.scheme.is_empty() {
            text.extend_from_slice(&self.scheme);
            text.push(b':');
        }
        if self.opaque.is_empty() {
            self.write_authority(&mut text);
            let path = if self.path == b"*" { self.path.clone() } else { escape(&self.path, Place::Path) };
            if path.first().is_some_and(|&byte| byte != b'/') && !self.host.is_empty() {
                text.push(b'/');
            }
            // A colon in the first segment would read as a scheme.
            if text.is_empty() && cut(&path, b'/').0.contains(&b':') {
                text.extend_from_slice(b"./");
            }
            text.extend(path);
        } else {
            text.extend_from_slice(&self.opaque);
        }
        if !self.query.is_empty() {
            text.push(b'?');
            text.extend_from_slice(&self.query);
        }
        if !self.fragment.is_empty() {
            text.push(b'#');
            text.extend(escape(&self.fragment, Place::Fragment));
        }
        text
    }

    fn write_authority(&self, text: &mut Vec<u8>) {
        if self.host.is_empty() && self.user.is_none() && (self.scheme.is_empty() || self.path.is_empty()) {
            return;
        }
        text.extend_from_slice(b"//");
        if let Some(user) = &self.user {
            text.extend(user.text());
            text.push(b'@');
        }
        text.extend(escape(&self.host, Place::Host));
    }
}

/// Everything but the fragment.
fn parse(text: &[u8]) -> Result<Url, String> {
    if text.iter().any(|&byte| byte < b' ' || byte == 0x7F) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let mut url = Url::default();
    if text == b"*" {
        url.path = text.to_vec();
        return Ok(url);
    }
    let (scheme, rest) = scheme(text)?;
    url.scheme = scheme.to_ascii_lowercase();
    let (rest, query) = cut(rest, b'?');
    url.query = query.unwrap_or_default().to_vec();
    if !rest.starts_with(b"/") {
        if !url.scheme.is_empty() {
            url.opaque = rest.to_vec();
            return Ok(url);
        }
        if cut(rest, b'/').0.contains(&b':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let mut path = rest;
    if let Some(authority) = rest.strip_prefix(b"//")
        && (!url.scheme.is_empty() || !rest.starts_with(b"///"))
    {
        let end = authority.iter().position(|&byte| byte == b'/').unwrap_or(authority.len());
        let (authority, after) = authority.split_at_checked(end).unwrap_or((authority, b""));
        path = after;
        (url.user, url.host) = parse_authority(authority)?;
    }
    url.path = unescape(path, Place::Path)?;
    Ok(url)
}

fn scheme(text: &[u8]) -> Result<(&[u8], &[u8]), String> {
    for (place, byte) in text.iter().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if place > 0 => {}
            b':' if place == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((text.get(..place).unwrap_or_default(), text.get(place + 1..).unwrap_or_default())),
            _ => break,
        }
    }
    Ok((b"", text))
}

fn parse_authority(authority: &[u8]) -> Result<(Option<User>, Vec<u8>), String> {
    let Some(at) = authority.iter().rposition(|&byte| byte == b'@') else {
        return Ok((None, parse_host(authority)?));
    };
    let host = parse_host(authority.get(at + 1..).unwrap_or_default())?;
    let info = authority.get(..at).unwrap_or_default();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(byte);
    if !info.iter().all(is_plain) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = cut(info, b':');
    let name = unescape(name, Place::User)?;
    let password = password.map(|password| unescape(password, Place::User)).transpose()?;
    Ok((Some(User { name, password }), host))
}

fn parse_host(host: &[u8]) -> Result<Vec<u8>, String> {
    let invalid_port = |port: &[u8]| format!("invalid port {} after host", shown(port));
    match host.iter().rposition(|&byte| byte == b'[') {
        Some(0) => return parse_bracketed_host(host),
        Some(_) => return Err("invalid IP-literal".to_owned()),
        None => {}
    }
    if let Some(colon) = host.iter().rposition(|&byte| byte == b':') {
        let port = host.get(colon..).unwrap_or_default();
        if !is_optional_port(port) {
            return Err(invalid_port(port));
        }
    }
    unescape(host, Place::Host)
}

fn parse_bracketed_host(host: &[u8]) -> Result<Vec<u8>, String> {
    let Some(close) = host.iter().rposition(|&byte| byte == b']') else {
        return Err("missing ']' in host".to_owned());
    };
    let port = host.get(close + 1..).unwrap_or_default();
    if !is_optional_port(port) {
        return Err(format!("invalid port {} after host", shown(port)));
    }
    let inner = host.get(1..close).unwrap_or_default();
    let address = match super::runes::find(inner, b"%25") {
        Some(zone) => {
            let (address, zone) = inner.split_at_checked(zone).unwrap_or((inner, b""));
            [unescape(address, Place::Host)?, unescape(zone, Place::Zone)?].concat()
        }
        None => unescape(inner, Place::Host)?,
    };
    let text = String::from_utf8_lossy(&address).into_owned();
    let plain = text.split_once('%').map_or(text.as_str(), |(address, _)| address);
    if plain.parse::<core::net::Ipv4Addr>().is_ok() {
        return Err("invalid IP-literal".to_owned());
    }
    if plain.parse::<core::net::Ipv6Addr>().is_err() {
        return Err(format!("invalid host: ParseAddr({}): unable to parse IP", shown(&address)));
    }
    Ok([b"[", address.as_slice(), b"]", port].concat())
}

/// Nothing, or a colon with digits.
fn is_optional_port(port: &[u8]) -> bool {
    match port {
        [] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

fn is_escaped(byte: u8, place: Place) -> bool {
    if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
        return false;
    }
    let kept: &[u8] = match place {
        Place::Host | Place::Zone => b"!$&'()*+,;=:[]<>\"",
        Place::Path => b"$&+,/:;=@",
        Place::User => b"$&+,;=",
        Place::Fragment => b"$&+,/:;=?@!()*",
    };
    !kept.contains(&byte)
}

fn escape(text: &[u8], place: Place) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(text.len());
    for &byte in text {
        if is_escaped(byte, place) {
            escaped.extend_from_slice(format!("%{byte:02X}").as_bytes());
        } else {
            escaped.push(byte);
        }
    }
    escaped
}

fn unescape(text: &[u8], place: Place) -> Result<Vec<u8>, String> {
    let mut unescaped = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if byte == b'%' {
            let wrong = || format!("invalid URL escape {}", shown(rest.get(..3).unwrap_or(rest)));
            let [high, low, after @ ..] = after else { return Err(wrong()) };
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return Err(wrong()) };
            let value = high << 4 | low;
            let is_refused = match place {
                Place::Host => high < 8 && value != b'%',
                Place::Zone => value != b'%' && value != b' ' && is_escaped(value, Place::Host),
                _ => false,
            };
            if is_refused {
                return Err(wrong());
            }
            unescaped.push(value);
            rest = after;
            continue;
        }
        if matches!(place, Place::Host | Place::Zone) && byte.is_ascii() && is_escaped(byte, place) {
            return Err(format!("invalid character {} in host name", shown(&[byte])));
        }
        unescaped.push(byte);
        rest = after;
    }
    Ok(unescaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart_and_joined() {
        let url = Url::parse(b"proto://auth@host:80/p%20ath?q=%41#fr%C3%A4g").unwrap();
        assert_eq!(
            (url.scheme.as_slice(), url.host.as_slice(), url.hostname()),
            (b"proto".as_slice(), b"host:80".as_slice(), b"host".as_slice())
        );
        assert_eq!((url.path.as_slice(), url.query.as_slice()), (b"/p ath".as_slice(), b"q=%41".as_slice()));
        assert_eq!(url.text(), b"proto://auth@host:80/p%20ath?q=%41#fr%C3%A4g");
        assert_eq!(Url::parse(b"mailto:a@b").unwrap().opaque, b"a@b");
        assert_eq!(Url::parse(b"https://[::1]:8080/").unwrap().hostname(), b"::1");
    }

    #[test]
    fn what_is_no_url_is_told() {
        let rows = [
            (":x", r#"parse ":x": missing protocol scheme"#),
            ("a b:c", r#"parse "a b:c": first path segment in URL cannot contain colon"#),
            ("http://a b/", r#"parse "http://a b/": invalid character " " in host name"#),
            ("http://h:x/", r#"parse "http://h:x/": invalid port ":x" after host"#),
            ("/%zz", r#"parse "/%zz": invalid URL escape "%zz""#),
        ];
        for (text, expected) in rows {
            assert_eq!(Url::parse(text.as_bytes()).unwrap_err().to_string(), expected);
        }
    }
}
