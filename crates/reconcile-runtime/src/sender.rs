//! The one way out for HTTP: metric providers, hooks, forges. The egress policy is applied to the resolved address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use reconcile_core::{HttpQuery, HttpReply};

use crate::Clock;

/// Most redirects that are followed; each is checked again.
const REDIRECTS_MAX: usize = 5;
/// Limits that a query can't raise.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);
const BODY_BYTES_MAX: usize = 16 << 20;

/// Sends HTTP requests. Simulation has its own, in process.
pub trait Sender: Send + Sync + 'static {
    /// Sends one query; failures are replies too, without secrets in their text.
    fn send<'a>(&'a self, query: &'a HttpQuery) -> BoxFuture<'a, HttpReply>;
}

/// A sender that answers from a function.
pub struct InProcess<F>(pub F);

impl<F: Fn(&HttpQuery) -> HttpReply + Send + Sync + 'static> Sender for InProcess<F> {
    fn send<'a>(&'a self, query: &'a HttpQuery) -> BoxFuture<'a, HttpReply> {
        let reply = (self.0)(query);
        Box::pin(async move {
            // A reply never comes before the question has been noted.
            tokio::task::yield_now().await;
            reply
        })
    }
}

/// Where requests may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EgressPolicy {
    /// Whether loopback addresses are allowed; only for demonstrations and tests.
    pub allow_loopback: bool,
}

impl EgressPolicy {
    /// Whether an address may be spoken to.
    ///
    /// Link-local addresses are where clouds keep their credentials; private ones are where metric providers live.
    ///
    /// ```
    /// use reconcile_runtime::EgressPolicy;
    ///
    /// let policy = EgressPolicy::default();
    /// assert!(policy.allows("10.0.0.1".parse().unwrap()));
    /// assert!(!policy.allows("169.254.169.254".parse().unwrap()));
    /// ```
    pub fn allows(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => {
                let metadata = [[169, 254, 169, 254], [100, 100, 100, 200], [192, 0, 0, 192], [168, 63, 129, 16]];
                let refused = v4.is_link_local()
                    || v4.is_unspecified()
                    || v4.is_broadcast()
                    || v4.is_multicast()
                    || v4.octets()[0] == 0
                    || metadata.contains(&v4.octets());
                !refused && (self.allow_loopback || !v4.is_loopback())
            }
            IpAddr::V6(v6) => {
                if let Some(v4) = v6.to_ipv4_mapped() {
                    return self.allows(IpAddr::V4(v4));
                }
                if let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = v6.segments() {
                    let [a, b] = high.to_be_bytes();
                    let [c, d] = low.to_be_bytes();
                    return self.allows(IpAddr::V4([a, b, c, d].into()));
                }
                let metadata = v6.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254];
                let link_local = v6.segments()[0] & 0xffc0 == 0xfe80;
                let refused = link_local || v6.is_unspecified() || v6.is_multicast() || metadata;
                !refused && (self.allow_loopback || !v6.is_loopback())
            }
        }
    }
}

/// The real sender: one connection pool, rustls, the egress policy at every resolution.
#[derive(Debug, Clone)]
pub struct HttpSender {
    client: reqwest::Client,
    insecure: reqwest::Client,
    policy: EgressPolicy,
    clock: Clock,
}

/// Why the sender could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up")]
pub struct SenderError {
    #[from]
    source: reqwest::Error,
}

impl HttpSender {
    /// Makes the sender.
    ///
    /// # Errors
    /// When the TLS set-up fails.
    pub fn new(policy: EgressPolicy, clock: Clock) -> Result<Self, SenderError> {
        // Somebody else may have installed a provider before; theirs is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = builder(policy).build()?;
        let insecure = builder(policy).tls_danger_accept_invalid_certs(true).build()?;
        Ok(Self { client, insecure, policy, clock })
    }

    async fn exchange(&self, query: &HttpQuery) -> Result<(u16, String), String> {
        if crate::mail::is_mail(&query.url) {
            return crate::mail::send(self.policy, query).await;
        }
        let url = reqwest::Url::parse(&query.url).map_err(|error| format!("bad URL: {error}"))?;
        permitted(self.policy, &url)?;
        let client = if query.insecure_tls { &self.insecure } else { &self.client };
        let response = match prometheus_query(query, &url) {
            Some(instant) => self.ask_prometheus(client, query, &url, &instant).await?,
            None => {
                let method: reqwest::Method = query.method.parse().map_err(|_| "bad HTTP method".to_owned())?;
                let mut request = client.request(method, url).headers(headers_of(query)?);
                if let Some(body) = &query.body {
                    request = request.body(body.expose().clone());
                }
                request.send().await.map_err(|error| describe(&error))?
            }
        };
        let status = response.status().as_u16();
        let body = bounded_body(response, query.body_bytes_max.min(BODY_BYTES_MAX)).await?;
        Ok((status, body))
    }

    async fn ask_prometheus(
        &self,
        client: &reqwest::Client,
        query: &HttpQuery,
        url: &reqwest::Url,
        instant: &InstantQuery,
    ) -> Result<reqwest::Response, String> {
        let base = base_of(url);
        let prometheus = prometheus_http_query::Client::from(client.clone(), &base)
            .map_err(|error| format!("bad Prometheus address: {error}"))?;
        let mut asked = prometheus.query(&instant.query);
        for (name, value) in &headers_of(query)? {
            asked = asked.header(name.clone(), value.clone());
        }
        if let Some(time) = instant.time {
            asked = asked.at(time);
        }
        asked.get_raw().await.map_err(|error| describe_prometheus(&error))
    }
}

impl Sender for HttpSender {
    fn send<'a>(&'a self, query: &'a HttpQuery) -> BoxFuture<'a, HttpReply> {
        Box::pin(async move {
            let limit = Duration::from_millis(query.timeout_ms).min(TIMEOUT_MAX);
            let outcome = tokio::time::timeout(limit, self.exchange(query)).await;
            let at = self.clock.now();
            match outcome {
                Ok(Ok((status, body))) => HttpReply::Response { status, body, at },
                Ok(Err(message)) => HttpReply::Failed { message, at },
                Err(_) => HttpReply::Failed { message: format!("no answer within {} ms", limit.as_millis()), at },
            }
        })
    }
}

fn builder(policy: EgressPolicy) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .no_proxy()
        .user_agent("sluice")
        .pool_idle_timeout(Duration::from_secs(30))
        .connect_timeout(Duration::from_secs(10))
        .dns_resolver(Arc::new(PolicyResolver(policy)))
        .redirect(reqwest::redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS_MAX {
                return attempt.error("too many redirects");
            }
            match permitted(policy, attempt.url()) {
                Ok(()) => attempt.follow(),
                Err(message) => attempt.error(message),
            }
        }))
}

/// Refuses schemes and literal addresses that no resolver will see.
fn permitted(policy: EgressPolicy, url: &reqwest::Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the scheme `{}` is not allowed", url.scheme()));
    }
    let host = url.host_str().ok_or("the URL has no host")?;
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match literal {
        Ok(address) if !policy.allows(address) => Err(format!("the address {address} is not allowed")),
        _ => Ok(()),
    }
}

struct PolicyResolver(EgressPolicy);

impl reqwest::dns::Resolve for PolicyResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> reqwest::dns::Resolving {
        let policy = self.0;
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|found| policy.allows(found.ip())).collect();
            if allowed.is_empty() {
                return Err(format!("`{}` has no address that is allowed", name.as_str()).into());
            }
            let addresses: reqwest::dns::Addrs = Box::new(allowed.into_iter());
            Ok(addresses)
        })
    }
}

fn headers_of(query: &HttpQuery) -> Result<http::HeaderMap, String> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &query.headers {
        let parsed: http::HeaderName = name.parse().map_err(|_| format!("bad header name `{name}`"))?;
        let mut secret = http::HeaderValue::from_str(value.expose())
            .map_err(|_| format!("the value of header `{name}` has characters that are not allowed"))?;
        secret.set_sensitive(true);
        headers.append(parsed, secret);
    }
    Ok(headers)
}

struct InstantQuery {
    query: String,
    time: Option<i64>,
}

/// Recognises an instant query of the Prometheus API, so that the Prometheus client sends it. Anything that this client
/// can't say goes out as it is.
fn prometheus_query(query: &HttpQuery, url: &reqwest::Url) -> Option<InstantQuery> {
    if query.method != "GET" || query.body.is_some() || !url.path().ends_with("/api/v1/query") {
        return None;
    }
    let mut found = InstantQuery { query: String::new(), time: None };
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "query" => found.query = value.into_owned(),
            "time" => found.time = Some(value.parse().ok()?),
            _ => return None,
        }
    }
    (!found.query.is_empty()).then_some(found)
}

fn base_of(url: &reqwest::Url) -> String {
    let mut base = url.clone();
    base.set_query(None);
    base.set_fragment(None);
    let path = base.path().trim_end_matches("/api/v1/query").to_owned();
    base.set_path(&path);
    base.to_string()
}

async fn bounded_body(mut response: reqwest::Response, limit: usize) -> Result<String, String> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(String::from_utf8_lossy(&body).into_owned()),
            Ok(Some(chunk)) if body.len() + chunk.len() > limit => {
                return Err(format!("the answer is larger than {limit} bytes"));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Err(describe(&error)),
        }
    }
}

/// The transport's own error inside that of the Prometheus client, whose text has the URL.
fn describe_prometheus(error: &prometheus_http_query::Error) -> String {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    for _ in 0..6 {
        let Some(cause) = next else { break };
        if let Some(transport) = cause.downcast_ref::<reqwest::Error>() {
            return describe(transport);
        }
        next = cause.source();
    }
    "the query could not be sent".to_owned()
}

/// The error with its causes, without the URL, which may carry a token.
fn describe(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "the request took too long".to_owned()
    } else if error.is_connect() {
        "the connection failed".to_owned()
    } else if error.is_redirect() {
        "the redirect was refused".to_owned()
    } else {
        "the request failed".to_owned()
    };
    let mut next = std::error::Error::source(error);
    for _ in 0..6 {
        let Some(source) = next else { break };
        let part = source.to_string();
        if !part.contains("://") && !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_and_loopback_addresses_are_refused_in_every_spelling() {
        let policy = EgressPolicy::default();
        for (address, allowed) in [
            ("10.1.2.3", true),
            ("192.168.0.1", true),
            ("8.8.8.8", true),
            ("127.0.0.1", false),
            ("127.9.9.9", false),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("100.100.100.200", false),
            ("::1", false),
            ("fe80::1", false),
            ("fd00:ec2::254", false),
            ("::ffff:169.254.169.254", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("fd12::1", true),
        ] {
            assert_eq!(policy.allows(address.parse().unwrap()), allowed, "{address}");
        }
        assert!(EgressPolicy { allow_loopback: true }.allows("127.0.0.1".parse().unwrap()));
        assert!(!EgressPolicy { allow_loopback: true }.allows("169.254.1.1".parse().unwrap()));
    }

    #[test]
    fn odd_schemes_and_odd_spellings_of_addresses_are_refused() {
        let policy = EgressPolicy::default();
        for url in ["file:///etc/passwd", "gopher://x/", "http://2130706433/", "http://0x7f.1/", "http://[::1]:80/"] {
            let url = reqwest::Url::parse(url).unwrap();
            assert!(permitted(policy, &url).is_err(), "{url}");
        }
    }

    #[test]
    fn an_instant_query_is_told_from_other_requests() {
        let query = |method: &str, url: &str| HttpQuery {
            method: method.to_owned(),
            url: url.to_owned(),
            headers: Vec::new(),
            body: None,
            timeout_ms: 1_000,
            body_bytes_max: 1_000,
            insecure_tls: false,
        };
        let url = reqwest::Url::parse("http://prometheus:9090/api/v1/query?query=up%20%3D%3D%201").unwrap();
        let found = prometheus_query(&query("GET", url.as_str()), &url).unwrap();
        assert_eq!((found.query.as_str(), base_of(&url).as_str()), ("up == 1", "http://prometheus:9090/"));
        assert!(prometheus_query(&query("POST", url.as_str()), &url).is_none());
        let other = reqwest::Url::parse("http://prometheus:9090/api/v1/query?query=up&timeout=3s").unwrap();
        assert!(prometheus_query(&query("GET", other.as_str()), &other).is_none());
    }
}
