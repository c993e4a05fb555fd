//! Fetches single files by https under the same policy as repositories: filtered addresses, bounded replies and time, no
//! credential on another host, never from https to http.

use object_model::Secret;
use ureq::http::{Request, Response};

use crate::address::{AddressError, HttpAddress, redact};
use crate::agent::agent;
use crate::egress::is_blocked;
use crate::http::{HttpOptions, PlainHttp};
use crate::remote::printable;

/// How often a server may send a request elsewhere.
const REDIRECTS_MAX: usize = 5;

/// Fetches files.
#[derive(Debug)]
pub struct Downloader {
    agent: ureq::Agent,
    plain_http: PlainHttp,
}

/// What to fetch.
#[derive(Debug, Clone)]
pub struct DownloadRequest {
    /// The address; a query is allowed, a credential is not.
    pub url: String,
    /// What is accepted; empty for anything.
    pub accept: String,
    /// The `Authorization` header, sent to the host of `url` only.
    pub authorization: Option<Secret<String>>,
    /// Largest reply in bytes.
    pub bytes_max: u64,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Download {
    /// Status of the reply: 200, or 401 with what the server asks for.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: String,
    /// `WWW-Authenticate`.
    pub challenge: String,
    /// `Link`.
    pub link: String,
    /// The file; empty unless the status is 200.
    pub body: Vec<u8>,
}

/// Why nothing came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DownloadError {
    /// The address can't be spoken to.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// The address is not allowed by the egress policy.
    #[error("{url} is not allowed by the egress policy: {why}")]
    Blocked {
        /// The address.
        url: String,
        /// Which address it was.
        why: String,
    },
    /// Nothing is there.
    #[error("{url} does not exist")]
    NotFound {
        /// The address.
        url: String,
    },
    /// The reply is larger than the limit.
    #[error("{url} is larger than {bytes_max} bytes")]
    TooLarge {
        /// The address.
        url: String,
        /// The limit.
        bytes_max: u64,
    },
    /// No reply, or one that is no use.
    #[error("{url} could not be fetched: {why}")]
    Failed {
        /// The address.
        url: String,
        /// What happened.
        why: String,
    },
}

/// An address with its query apart: what the query holds may be a signature and is never shown.
#[derive(Debug, Clone)]
struct Target {
    address: HttpAddress,
    path_and_query: String,
}

impl Target {
    fn parse(url: &str, plain_http: PlainHttp) -> Result<Self, DownloadError> {
        let fail = |why| AddressError { address: redact(url.split('?').next().unwrap_or_default()), why };
        let (plain, query) = url.split_once('?').map_or((url, None), |(plain, query)| (plain, Some(query)));
        let address = HttpAddress::parse(plain)?;
        if query.is_some_and(|query| !query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')) {
            return Err(fail("its query has a character that does not belong there").into());
        }
        if !address.is_tls() && plain_http == PlainHttp::LoopbackOnly && !address.is_loopback() {
            return Err(fail("it is not https, and the host is not this machine").into());
        }
        let path_and_query = match query {
            Some(query) => format!("{address}?{query}"),
            None => address.to_string(),
        };
        Ok(Self { address, path_and_query })
    }

    /// Where a `Location` leads.
    fn redirected(&self, location: &str, plain_http: PlainHttp) -> Result<Self, DownloadError> {
        let whole = match location.strip_prefix('/') {
            Some(rest) if !rest.starts_with('/') => format!("{}{location}", self.address.origin()),
            _ => location.to_owned(),
        };
        let next = Self::parse(&whole, plain_http)?;
        if self.address.is_tls() && !next.address.is_tls() {
            return Err(self.failed("it redirects from https to http"));
        }
        Ok(next)
    }

    fn failed(&self, why: impl Into<String>) -> DownloadError {
        DownloadError::Failed { url: self.address.to_string(), why: why.into() }
    }
}

impl Downloader {
    /// Fetches under these options; nothing is sent yet.
    ///
    /// # Errors
    /// When the certificates of the options are none.
    pub fn new(options: &HttpOptions) -> Result<Self, AddressError> {
        let fail = |why| AddressError { address: "the client of downloads".to_owned(), why };
        Ok(Self { agent: agent(options, "sluice").map_err(fail)?, plain_http: options.plain_http })
    }

    /// Fetches one file, also where the server says that it lies elsewhere.
    ///
    /// # Errors
    /// When the address is not allowed, nothing is there, or too much.
    pub fn get(&self, request: &DownloadRequest) -> Result<Download, DownloadError> {
        let first = Target::parse(&request.url, self.plain_http)?;
        let mut target = first.clone();
        for _ in 0..=REDIRECTS_MAX {
            let response = self.ask(&target, &first, request)?;
            if !response.status().is_redirection() {
                return take(&target, response, request.bytes_max);
            }
            let location = response.headers().get("location").and_then(|value| value.to_str().ok());
            let location = location.ok_or_else(|| target.failed("it redirects to nowhere"))?;
            target = target.redirected(location, self.plain_http)?;
        }
        Err(target.failed("it redirects without end"))
    }

    fn ask(
        &self,
        target: &Target,
        first: &Target,
        request: &DownloadRequest,
    ) -> Result<Response<ureq::Body>, DownloadError> {
        let mut builder = Request::builder().method("GET").uri(&target.path_and_query);
        if !request.accept.is_empty() {
            builder = builder.header("Accept", &request.accept);
        }
        let authorization = request.authorization.as_ref().filter(|_| target.address.same_origin(&first.address));
        if let Some(authorization) = authorization {
            builder = builder.header("Authorization", authorization.expose());
        }
        let built = builder.body(()).map_err(|_| target.failed("the request can't be made"))?;
        self.agent.run(built).map_err(|error| broken(target, error, request.bytes_max))
    }
}

fn broken(target: &Target, error: ureq::Error, bytes_max: u64) -> DownloadError {
    let url = target.address.to_string();
    match error {
        ureq::Error::Timeout(_) => target.failed("there was no answer in time"),
        ureq::Error::BodyExceedsLimit(_) => DownloadError::TooLarge { url, bytes_max },
        ureq::Error::Io(error) if is_blocked(&error) => DownloadError::Blocked { url, why: error.to_string() },
        error => target.failed(printable(&error.to_string())),
    }
}

fn take(target: &Target, response: Response<ureq::Body>, bytes_max: u64) -> Result<Download, DownloadError> {
    let header = |name: &str| {
        let value = response.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let status = response.status().as_u16();
    let mut download = Download {
        status,
        content_type: header("content-type"),
        challenge: header("www-authenticate"),
        link: header("link"),
        body: Vec::new(),
    };
    match status {
        200 => {
            let body = response.into_body().into_with_config().limit(bytes_max).read_to_vec();
            download.body = body.map_err(|error| broken(target, error, bytes_max))?;
            Ok(download)
        }
        401 => Ok(download),
        404 | 410 => Err(DownloadError::NotFound { url: target.address.to_string() }),
        _ => Err(target.failed(format!("status {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_sent_and_never_shown() {
        let target = Target::parse("https://blobs.example.com/a/b?signature=secret", PlainHttp::LoopbackOnly).unwrap();
        assert_eq!(target.path_and_query, "https://blobs.example.com/a/b?signature=secret");
        assert_eq!(target.failed("x").to_string(), "https://blobs.example.com/a/b could not be fetched: x");
    }

    #[test]
    fn what_is_no_https_is_refused_also_behind_a_redirect() {
        let open = |url: &str| Target::parse(url, PlainHttp::LoopbackOnly).map(|target| target.address.to_string());
        assert!(open("http://charts.example.com/index.yaml").is_err());
        assert!(open("http://127.0.0.1:1/index.yaml").is_ok());
        assert!(open("file:///etc/passwd").is_err());
        assert!(open("https://user:password@charts.example.com/").is_err());
        let tls = Target::parse("https://charts.example.com/a", PlainHttp::Anywhere).unwrap();
        assert!(tls.redirected("http://charts.example.com/b", PlainHttp::Anywhere).is_err());
        let moved = tls.redirected("/b?x=1", PlainHttp::Anywhere).unwrap();
        assert_eq!(moved.path_and_query, "https://charts.example.com/b?x=1");
    }
}
