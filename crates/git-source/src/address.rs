//! Addresses of repositories: read, made safe to show, and compared.

use std::fmt;

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("repository address `{address}` is refused: {why}")]
pub struct AddressError {
    /// The address without a credential, made printable.
    pub address: String,
    /// What is wrong with it.
    pub why: &'static str,
}

/// The address of a repository that is spoken to by http or https.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAddress {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
}

impl HttpAddress {
    /// Reads an `http://` or `https://` address.
    ///
    /// # Errors
    /// When it is of another scheme, carries a credential or a query, or has characters that don't belong there.
    pub fn parse(address: &str) -> Result<Self, AddressError> {
        let fail = |why| AddressError { address: redact(address), why };
        let (scheme, rest) = address.split_once("://").ok_or_else(|| fail("it has no scheme"))?;
        let is_tls = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(fail("only http and https are spoken here")),
        };
        if rest
            .chars()
            .any(|c| c.is_control() || c.is_whitespace() || !c.is_ascii() || matches!(c, '\\' | '"' | '<' | '>'))
        {
            return Err(fail("it has a character that does not belong into an address"));
        }
        if rest.contains(['?', '#']) {
            return Err(fail("it has a query or a fragment"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(fail("it carries a credential, which belongs into a Secret"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| fail("its port is not a number"))?;
        if host.is_empty() {
            return Err(fail("it has no host"));
        }
        let port = port.unwrap_or(if is_tls { 443 } else { 80 });
        let path = path.trim_end_matches('/').to_owned();
        Ok(Self { is_tls, host: host.to_ascii_lowercase(), port, path })
    }

    /// Whether it is https.
    pub fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The host in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host is this machine by its name or address.
    pub fn is_loopback(&self) -> bool {
        let literal = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost" || literal.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        Self { path: String::new(), ..self.clone() }.to_string()
    }

    /// Whether a credential for one address may go to the other: same scheme, host and port.
    pub fn same_origin(&self, other: &Self) -> bool {
        (self.is_tls, &self.host, self.port) == (other.is_tls, &other.host, other.port)
    }
}

/// The address without the ports that go without saying and without a slash at the end.
impl fmt::Display for HttpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, usual) = if self.is_tls { ("https", 443) } else { ("http", 80) };
        write!(f, "{scheme}://{}", self.host)?;
        if self.port != usual {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.path)
    }
}

fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let after_bracket = authority.rfind(']').map_or(0, |at| at + 1);
    match authority.get(after_bracket..)?.rfind(':') {
        None => Some((authority, None)),
        Some(at) => {
            let at = after_bracket + at;
            let port = authority.get(at + 1..)?;
            let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
            Some((authority.get(..at)?, port))
        }
    }
}

/// Makes an address fit for logs: a user, a password and control characters go.
pub fn redact(address: &str) -> String {
    let printable = |text: &str| text.escape_debug().take(300).collect::<String>();
    let Some((scheme, rest)) = address.split_once("://") else { return printable(address) };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => printable(&format!("{scheme}://***@{host}{path}")),
        None => printable(address),
    }
}

/// Whether two addresses mean the same repository, whatever the scheme: `git@host:a/b.git` is `https://host/a/b`.
///
/// Hosts are compared without case, paths with it (without it on GitHub), literally: nothing is a pattern. Ports count
/// only between two http addresses, since ssh has its own.
pub fn same_repository(a: &str, b: &str) -> bool {
    match (Place::of(a), Place::of(b)) {
        (Some(a), Some(b)) => {
            a.host == b.host && a.path == b.path && !matches!((a.port, b.port), (Some(x), Some(y)) if x != y)
        }
        _ => false,
    }
}

struct Place {
    host: String,
    port: Option<u16>,
    path: String,
}

impl Place {
    fn of(address: &str) -> Option<Self> {
        let address = address.trim();
        if address.is_empty() || address.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return None;
        }
        let (scheme, rest) = match address.split_once("://") {
            Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest.to_owned()),
            None => match address.split_once(':') {
                // git@host:path, the short form of ssh; a slash before the colon makes it a path.
                Some((host, path)) if !host.contains('/') => ("ssh".to_owned(), format!("{host}/{path}")),
                _ => ("file".to_owned(), address.to_owned()),
            },
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = if scheme == "file" { ("", None) } else { split_port(authority)? };
        let port = match scheme.as_str() {
            "https" => Some(port.unwrap_or(443)),
            "http" => Some(port.unwrap_or(80)),
            "ssh" | "git" | "git+ssh" | "file" => None,
            _ => return None,
        };
        if host.is_empty() && scheme != "file" {
            return None;
        }
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path).trim_end_matches('/').to_owned();
        let path = if host == "github.com" { path.to_ascii_lowercase() } else { path };
        Some(Self { host, port, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_repository_are_the_same() {
        let forms = [
            "https://github.com/Org/Fleet.git",
            "https://github.com/org/fleet",
            "https://GitHub.com:443/Org/Fleet/",
            "https://user:password@github.com/Org/Fleet.git",
            "git@github.com:Org/Fleet.git",
            "ssh://git@github.com:22/Org/Fleet.git",
            "git://github.com/Org/Fleet",
        ];
        for a in forms {
            for b in forms {
                assert!(same_repository(a, b), "{a} {b}");
            }
        }
        assert!(same_repository("/srv/fleet.git", "file:///srv/fleet.git/"));
    }

    #[test]
    fn case_22_look_alikes_and_patterns_are_other_repositories() {
        let url = "https://git.example.com/org/fleet";
        for other in [
            "https://git.example.com/org/fleet2",
            "https://git.example.com/org/Fleet",
            "https://gitXexample.com/org/fleet",
            "https://git.example.com.evil.org/org/fleet",
            "https://evil.org/git.example.com/org/fleet",
            "https://git.example.com@evil.org/org/fleet",
            "https://git.example.com:8443/org/fleet",
            "https://git.example.com/.*",
            "https://git.example.com/org/*",
            "http://git.example.com/org/fleet",
            "javascript://git.example.com/org/fleet",
            "git.example.com/org/fleet",
            "https:///org/fleet",
            "",
        ] {
            assert!(!same_repository(url, other), "{other}");
        }
    }

    #[test]
    fn case_06_addresses_with_credentials_or_odd_schemes_are_refused_and_redacted() {
        for (address, message) in [
            (
                "https://u:p@host/x",
                "repository address `https://***@host/x` is refused: it carries a credential, which belongs into a Secret",
            ),
            ("ext::sh -c x", "repository address `ext::sh -c x` is refused: it has no scheme"),
            ("file:///etc", "repository address `file:///etc` is refused: only http and https are spoken here"),
            (
                "ssh://-oProxyCommand=x/y",
                "repository address `ssh://-oProxyCommand=x/y` is refused: only http and https are spoken here",
            ),
            ("https:///x", "repository address `https:///x` is refused: it has no host"),
            ("https://host:99999/x", "repository address `https://host:99999/x` is refused: its port is not a number"),
            ("https://host/x?y", "repository address `https://host/x?y` is refused: it has a query or a fragment"),
            (
                "https://host/x y",
                "repository address `https://host/x y` is refused: it has a character that does not belong into an address",
            ),
        ] {
            assert_eq!(HttpAddress::parse(address).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn an_address_is_shown_without_what_goes_without_saying() {
        for (address, shown, is_loopback) in [
            ("https://Host:443/a/b.git/", "https://host/a/b.git", false),
            ("http://127.0.0.1:8080/fleet.git", "http://127.0.0.1:8080/fleet.git", true),
            ("http://[::1]:80/x", "http://[::1]/x", true),
            ("http://localhost/x", "http://localhost/x", true),
            ("http://localhost.evil.org/x", "http://localhost.evil.org/x", false),
        ] {
            let parsed = HttpAddress::parse(address).unwrap();
            assert_eq!((parsed.to_string().as_str(), parsed.is_loopback()), (shown, is_loopback));
        }
    }
}
