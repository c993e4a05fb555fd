//! The HTTP client that everything here uses: filtered addresses, own certificates, a proxy where one is set, no redirects
//! of its own accord.

use std::fmt;
use std::sync::Arc;

use object_model::Secret;

use crate::address::{AddressError, HttpAddress};
use crate::egress::FilteredResolver;
use crate::http::HttpOptions;

/// An HTTP proxy; it is asked to connect through, so it sees no credential of what is behind it over TLS.
#[derive(Clone)]
pub struct HttpProxy {
    address: HttpAddress,
    login: Option<(String, Secret<String>)>,
}

impl HttpProxy {
    /// Takes the address of a proxy, `http://HOST:PORT` or `https://HOST:PORT`, and its login.
    ///
    /// # Errors
    /// When the address is malformed or carries a credential itself.
    pub fn new(address: &str, login: Option<(String, Secret<String>)>) -> Result<Self, AddressError> {
        Ok(Self { address: HttpAddress::parse(address)?, login })
    }

    fn to_ureq(&self) -> Result<ureq::Proxy, &'static str> {
        let bad = |_| "its proxy can't be used";
        let text = match &self.login {
            None => self.address.to_string(),
            Some((user, password)) => {
                let (scheme, rest) = self.address.to_string().split_once("://").map_or_else(
                    || (String::new(), String::new()),
                    |(scheme, rest)| (scheme.to_owned(), rest.to_owned()),
                );
                format!("{scheme}://{}:{}@{rest}", percent_coded(user), percent_coded(password.expose()))
            }
        };
        ureq::Proxy::new(&text).map_err(bad)
    }
}

impl fmt::Debug for HttpProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpProxy").field(&self.address.to_string()).finish()
    }
}

/// A text for the place of a user or password in an address.
fn percent_coded(text: &str) -> String {
    let code = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(code).collect()
}

/// Makes the client of these options.
pub(crate) fn agent(options: &HttpOptions, user_agent: &str) -> Result<ureq::Agent, &'static str> {
    let roots = match &options.root_certificates {
        None => ureq::tls::RootCerts::WebPki,
        Some(pem) => ureq::tls::RootCerts::new_with_certs(&certificates(pem)?),
    };
    let proxy = options.proxy.as_ref().map(HttpProxy::to_ureq).transpose()?;
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .user_agent(user_agent)
        .timeout_global(Some(options.timeout))
        .timeout_connect(Some(options.connect_timeout))
        .tls_config(ureq::tls::TlsConfig::builder().root_certs(roots).build())
        .build();
    let resolver = FilteredResolver::new(Arc::clone(&options.address_filter));
    let connector = ureq::unversioned::transport::DefaultConnector::default();
    Ok(ureq::Agent::with_parts(config, connector, resolver))
}

/// A proxy looks names up itself, so that the filter sees only its own address; an address that is written out is judged
/// here all the same.
pub(crate) fn is_refused_behind_proxy(address: &HttpAddress, options: &HttpOptions) -> bool {
    let literal = address.host().trim_start_matches('[').trim_end_matches(']');
    let is_refused = |address: std::net::IpAddr| !(options.address_filter)(&address.to_canonical());
    options.proxy.is_some() && literal.parse().is_ok_and(is_refused)
}

fn certificates(pem: &[u8]) -> Result<Vec<ureq::tls::Certificate<'static>>, &'static str> {
    let mut certificates = Vec::new();
    for item in ureq::tls::parse_pem(pem) {
        match item {
            Ok(ureq::tls::PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(_) => return Err("its root certificates are not PEM"),
        }
    }
    if certificates.is_empty() { Err("its root certificates hold no certificate") } else { Ok(certificates) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_shows_its_address_and_never_its_password() {
        let login = Some(("ann".to_owned(), Secret::new("hun ter:2@x".to_owned())));
        let proxy = HttpProxy::new("http://proxy.example.com:3128", login).unwrap();
        assert_eq!(format!("{proxy:?}"), "HttpProxy(\"http://proxy.example.com:3128\")");
        assert!(proxy.to_ureq().is_ok());
        assert_eq!(percent_coded("hun ter:2@x"), "hun%20ter%3A2%40x");
        assert!(HttpProxy::new("http://ann:hunter2@proxy", None).is_err());
        assert!(HttpProxy::new("socks5://proxy", None).is_err());
    }

    #[test]
    fn an_address_that_is_refused_is_refused_behind_a_proxy_too() {
        let proxy = Some(HttpProxy::new("http://proxy.example.com:3128", None).unwrap());
        let options = HttpOptions { proxy, ..HttpOptions::default() };
        let refused = |address: &str| is_refused_behind_proxy(&HttpAddress::parse(address).unwrap(), &options);
        assert!(refused("https://169.254.169.254/x") && refused("https://[fe80::1]/x"));
        assert!(!refused("https://git.example.com/x") && !refused("https://10.0.0.1/x"));
    }
}
