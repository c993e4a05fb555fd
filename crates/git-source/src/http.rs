//! A repository behind smart HTTP: versions 1 and 2 of the protocol for reading, receive-pack for pushing.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use object_model::Secret;
use ureq::http::{Method, Request, Response};

use crate::address::{AddressError, HttpAddress};
use crate::agent::{HttpProxy, agent, is_refused_behind_proxy};
use crate::egress::{AddressFilter, is_blocked, refuses_link_local};
use crate::object::GitObject;
use crate::pack::{PackError, read_pack, write_pack};
use crate::remote::{
    FetchReply, FetchRequest, RefList, RefReply, RefUpdate, Remote, RemoteError, TransferLimits, printable,
};
use crate::wire::{
    Advertisement, PackReply, WireError, fetch_request_one, fetch_request_two, ls_refs_request, parse_advertisement,
    parse_fetch_one, parse_fetch_two, parse_ls_refs, parse_push, push_request,
};

/// How the remote knows us. It is sent to the configured host only.
#[derive(Debug, Clone)]
pub enum Credential {
    /// A user and a password or token.
    Basic {
        /// The user; forges that take tokens mostly accept any.
        user: String,
        /// The password or token.
        password: Secret<String>,
    },
    /// A token sent as `Authorization: Bearer`.
    Bearer(Secret<String>),
}

/// Where http without TLS may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainHttp {
    /// Only to this machine.
    LoopbackOnly,
    /// Anywhere, credentials included: the network is trusted.
    Anywhere,
}

/// How a server is spoken to.
#[derive(Clone)]
pub struct HttpOptions {
    /// How long one request may take, from the look-up of the name to the last byte.
    pub timeout: Duration,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How much one reply may bring.
    pub limits: TransferLimits,
    /// Where http without TLS may go.
    pub plain_http: PlainHttp,
    /// Certificates (PEM) that are trusted instead of the public ones.
    pub root_certificates: Option<Vec<u8>>,
    /// The proxy on the way; none by default, whatever the environment says.
    pub proxy: Option<HttpProxy>,
    /// Says which addresses may be connected to; asked for the address that the name stands for at that moment.
    pub address_filter: AddressFilter,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            connect_timeout: Duration::from_secs(10),
            limits: TransferLimits::default(),
            plain_http: PlainHttp::LoopbackOnly,
            root_certificates: None,
            proxy: None,
            address_filter: Arc::new(|address: &IpAddr| !refuses_link_local(address)),
        }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions").field("timeout", &self.timeout).field("plain_http", &self.plain_http).finish()
    }
}

/// A repository behind http or https.
#[derive(Debug)]
pub struct HttpRemote {
    address: HttpAddress,
    authorization: Option<Secret<String>>,
    options: HttpOptions,
    agent: ureq::Agent,
    /// What the last answer taught: later polls ask in one request instead of two.
    reading: Mutex<Option<Reading>>,
}

#[derive(Debug, Clone)]
struct Reading {
    base: HttpAddress,
    version: Version,
}

#[derive(Debug, Clone)]
enum Version {
    Two,
    One { capabilities: Vec<String> },
}

/// How often a server may send a request elsewhere.
const REDIRECTS_MAX: usize = 5;
/// The largest list of references, in bytes.
const ADVERTISEMENT_BYTES_MAX: u64 = 64 << 20;
/// The largest explanation of an error that is read, in bytes.
const EXPLANATION_BYTES_MAX: u64 = 4 << 10;

const UPLOAD: &str = "git-upload-pack";
const RECEIVE: &str = "git-receive-pack";

impl HttpRemote {
    /// Takes the address of a repository; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is malformed, carries a credential, or is plain http where that is not allowed.
    pub fn new(address: &str, credential: Option<&Credential>, options: HttpOptions) -> Result<Self, AddressError> {
        let parsed = HttpAddress::parse(address)?;
        let fail = |why| AddressError { address: parsed.to_string(), why };
        if !parsed.is_tls() && options.plain_http == PlainHttp::LoopbackOnly && !parsed.is_loopback() {
            return Err(fail("it is not https, and the host is not this machine"));
        }
        let authorization = credential.map(authorization).transpose().map_err(fail)?;
        if is_refused_behind_proxy(&parsed, &options) {
            return Err(fail("its host is not allowed by the egress policy"));
        }
        let agent = agent(&options, "git/sluice").map_err(fail)?;
        Ok(Self { address: parsed, authorization, options, agent, reading: Mutex::new(None) })
    }

    fn known_reading(&self) -> Option<Reading> {
        self.reading.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_reading(&self, reading: Option<Reading>) {
        *self.reading.lock().unwrap_or_else(PoisonError::into_inner) = reading;
    }

    fn protocol(&self, why: impl fmt::Display) -> RemoteError {
        RemoteError::Protocol { remote: self.describe(), why: why.to_string() }
    }

    /// Turns what the connection said into an error.
    fn broken(&self, error: ureq::Error) -> RemoteError {
        let remote = self.describe();
        match error {
            ureq::Error::Timeout(_) => RemoteError::TimedOut { remote },
            ureq::Error::BodyExceedsLimit(limit) => {
                RemoteError::TooLarge { remote, why: format!("more than {limit} bytes") }
            }
            ureq::Error::Io(error) if is_blocked(&error) => RemoteError::Blocked { remote, why: error.to_string() },
            error => RemoteError::Unreachable { remote, why: error.to_string() },
        }
    }

    fn request(&self, method: Method, base: &HttpAddress, path: &str) -> ureq::http::request::Builder {
        let mut request = Request::builder().method(method).uri(format!("{base}{path}"));
        // A credential belongs to the host it was given for: a redirect elsewhere loses it.
        if let Some(authorization) = self.authorization.as_ref().filter(|_| base.same_origin(&self.address)) {
            request = request.header("Authorization", authorization.expose());
        }
        request
    }

    fn body(&self, response: Response<ureq::Body>, limit: u64) -> Result<Vec<u8>, ureq::Error> {
        response.into_body().into_with_config().limit(limit).read_to_vec()
    }

    /// Asks what the server speaks, following redirects, which are allowed here only.
    fn advertisement(&self, service: &str) -> Result<(HttpAddress, Advertisement), RemoteError> {
        let mut base = self.address.clone();
        for _ in 0..=REDIRECTS_MAX {
            let path = format!("/info/refs?service={service}");
            let mut request = self.request(Method::GET, &base, &path);
            if service == UPLOAD {
                request = request.header("Git-Protocol", "version=2");
            }
            let request = request.body(()).map_err(|error| self.protocol(error))?;
            let response = self.agent.run(request).map_err(|error| self.broken(error))?;
            if response.status().is_redirection() {
                base = self.redirected(&base, &response, &path)?;
                continue;
            }
            let content = format!("application/x-{service}-advertisement");
            let body = self.checked(response, &content, ADVERTISEMENT_BYTES_MAX)?;
            let advertisement = parse_advertisement(&body, service).map_err(|why| self.protocol(why))?;
            return Ok((base, advertisement));
        }
        Err(self.protocol("it redirects without end"))
    }

    fn redirected(
        &self,
        base: &HttpAddress,
        response: &Response<ureq::Body>,
        path: &str,
    ) -> Result<HttpAddress, RemoteError> {
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        let location = location.ok_or_else(|| self.protocol("it redirects to nowhere"))?;
        let location = match location.strip_prefix('/') {
            Some(rest) if !rest.starts_with('/') => format!("{}{location}", base.origin()),
            _ => location.to_owned(),
        };
        let stem = location.strip_suffix(path).ok_or_else(|| self.protocol("it redirects to another kind of page"))?;
        let target = HttpAddress::parse(stem).map_err(|error| self.protocol(error))?;
        let is_weaker = base.is_tls() && !target.is_tls();
        let is_plain = !target.is_tls() && !target.is_loopback();
        if is_weaker || is_plain && self.options.plain_http == PlainHttp::LoopbackOnly {
            return Err(self.protocol("it redirects from https to http"));
        }
        Ok(target)
    }

    /// Reads a reply whose status and type are as they should be.
    fn checked(&self, response: Response<ureq::Body>, content: &str, limit: u64) -> Result<Vec<u8>, RemoteError> {
        let remote = self.describe();
        let status = response.status().as_u16();
        if status != 200 {
            let explanation = self.body(response, EXPLANATION_BYTES_MAX).unwrap_or_default();
            let message = printable(&String::from_utf8_lossy(&explanation));
            return Err(match status {
                401 => RemoteError::Unauthorized { remote },
                403 => RemoteError::Refused { remote, message: format!("status 403 {message}").trim().to_owned() },
                404 | 410 => RemoteError::NotFound { remote },
                429 | 500.. => RemoteError::Unreachable { remote, why: format!("status {status}") },
                _ => self.protocol(format!("status {status}")),
            });
        }
        let found = response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if found.split(';').next().map(str::trim) != Some(content) {
            let why = format!("it answers {} instead of {content}", printable(found));
            return Err(self.protocol(why));
        }
        self.body(response, limit).map_err(|error| self.broken(error))
    }

    fn post(
        &self,
        base: &HttpAddress,
        service: &str,
        version: &Version,
        body: &[u8],
    ) -> Result<Response<ureq::Body>, RemoteError> {
        let mut request = self
            .request(Method::POST, base, &format!("/{service}"))
            .header("Content-Type", format!("application/x-{service}-request"))
            .header("Accept", format!("application/x-{service}-result"));
        if matches!(version, Version::Two) {
            request = request.header("Git-Protocol", "version=2");
        }
        let request = request.body(body).map_err(|error| self.protocol(error))?;
        self.agent.run(request).map_err(|error| self.broken(error))
    }

    fn ask(&self, reading: &Reading, body: &[u8], limit: u64) -> Result<Vec<u8>, RemoteError> {
        let response = self.post(&reading.base, UPLOAD, &reading.version, body)?;
        self.checked(response, "application/x-git-upload-pack-result", limit)
    }

    /// Lists references and remembers how the server wants to be asked.
    fn discover(&self, prefix: Option<&str>) -> Result<(Reading, RefList), RemoteError> {
        let (base, advertisement) = self.advertisement(UPLOAD)?;
        let (reading, refs) = match advertisement {
            Advertisement::One { refs, capabilities } => {
                (Reading { base, version: Version::One { capabilities } }, refs)
            }
            Advertisement::Two { .. } => {
                let reading = Reading { base, version: Version::Two };
                let refs = self.ls_refs(&reading, prefix)?;
                (reading, refs)
            }
        };
        self.set_reading(Some(reading.clone()));
        Ok((reading, refs))
    }

    fn ls_refs(&self, reading: &Reading, prefix: Option<&str>) -> Result<RefList, RemoteError> {
        let body = self.ask(reading, &ls_refs_request(prefix), ADVERTISEMENT_BYTES_MAX)?;
        parse_ls_refs(&body).map_err(|error| self.wire_error(error))
    }

    fn list(&self, prefix: Option<&str>) -> Result<RefList, RemoteError> {
        // What was learned before may be out of date: on any surprise the server is asked anew.
        if let Some(reading) = self.known_reading().filter(|reading| matches!(reading.version, Version::Two)) {
            match self.ls_refs(&reading, prefix) {
                Ok(refs) => return Ok(refs),
                Err(error @ (RemoteError::TimedOut { .. } | RemoteError::Unreachable { .. })) => return Err(error),
                Err(_) => self.set_reading(None),
            }
        }
        Ok(self.discover(prefix)?.1)
    }

    fn fetch_reply(&self, reading: &Reading, request: &FetchRequest) -> Result<PackReply, RemoteError> {
        let limit = request.limits.reply_bytes_max.min(self.options.limits.reply_bytes_max);
        let parsed = match &reading.version {
            Version::Two => parse_fetch_two(&self.ask(reading, &fetch_request_two(request), limit)?),
            Version::One { capabilities } => {
                let body = self.ask(reading, &fetch_request_one(request, capabilities), limit)?;
                parse_fetch_one(&body, request, capabilities.iter().any(|word| word == "side-band-64k"))
            }
        };
        parsed.map_err(|error| self.wire_error(error))
    }

    fn wire_error(&self, error: WireError) -> RemoteError {
        match error {
            WireError::Said(message) => RemoteError::Refused { remote: self.describe(), message },
            WireError::Malformed(why) => self.protocol(why),
        }
    }

    fn pack_error(&self, error: PackError) -> RemoteError {
        match error {
            PackError::TooLarge { .. } => RemoteError::TooLarge { remote: self.describe(), why: error.to_string() },
            PackError::Object(source) => RemoteError::Object { remote: self.describe(), source },
            error => self.protocol(error),
        }
    }

    /// Sends a push and reads its report. From the first byte sent, no answer means that nothing is known.
    fn send_push(
        &self,
        base: &HttpAddress,
        updates: &[RefUpdate],
        body: &[u8],
        has_side_band: bool,
    ) -> Result<Vec<RefReply>, RemoteError> {
        let lost = |why: String| RemoteError::LostReply { remote: self.describe(), why };
        let version = Version::One { capabilities: Vec::new() };
        let response = self.post(base, RECEIVE, &version, body).map_err(|error| match error {
            RemoteError::Unreachable { why, .. } => lost(why),
            RemoteError::TimedOut { .. } => lost("no answer in time".to_owned()),
            error => error,
        })?;
        if response.status().is_server_error() {
            return Err(lost(format!("status {}", response.status().as_u16())));
        }
        let limit = self.options.limits.reply_bytes_max.min(16 << 20);
        let body = match self.checked(response, "application/x-git-receive-pack-result", limit) {
            Ok(body) => body,
            Err(
                error @ (RemoteError::Unauthorized { .. } | RemoteError::Refused { .. } | RemoteError::NotFound { .. }),
            ) => {
                return Err(error);
            }
            Err(error) => return Err(lost(error.to_string())),
        };
        parse_push(&body, updates, has_side_band).map_err(lost)
    }
}

fn authorization(credential: &Credential) -> Result<Secret<String>, &'static str> {
    let is_plain = |text: &str| !text.is_empty() && !text.chars().any(char::is_control);
    match credential {
        Credential::Basic { user, password } => {
            if !is_plain(user) || user.contains(':') || !is_plain(password.expose()) {
                return Err("its credential is empty or has a character that does not belong there");
            }
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.expose()));
            Ok(Secret::new(format!("Basic {pair}")))
        }
        Credential::Bearer(token) => {
            if !is_plain(token.expose()) || !token.expose().is_ascii() {
                return Err("its credential is empty or has a character that does not belong there");
            }
            Ok(Secret::new(format!("Bearer {}", token.expose())))
        }
    }
}

impl Remote for HttpRemote {
    fn describe(&self) -> String {
        self.address.to_string()
    }

    fn list_refs(&self) -> Result<RefList, RemoteError> {
        self.list(None)
    }

    fn list_refs_under(&self, prefix: &str) -> Result<RefList, RemoteError> {
        self.list(Some(prefix))
    }

    fn fetch(&self, request: &FetchRequest) -> Result<FetchReply, RemoteError> {
        let reading = match self.known_reading() {
            Some(reading) => reading,
            None => self.discover(None)?.0,
        };
        let reply = self.fetch_reply(&reading, request).inspect_err(|error| {
            if matches!(error, RemoteError::Protocol { .. } | RemoteError::NotFound { .. }) {
                self.set_reading(None);
            }
        })?;
        let limits = &request.limits;
        let objects = read_pack(&reply.pack, limits, &|_| None).map_err(|error| self.pack_error(error))?;
        Ok(FetchReply { objects, shallow: reply.shallow, unshallow: reply.unshallow, common: Vec::new() })
    }

    fn push(&self, updates: &[RefUpdate], objects: &[GitObject]) -> Result<Vec<RefReply>, RemoteError> {
        let (base, advertisement) = self.advertisement(RECEIVE)?;
        let Advertisement::One { refs, capabilities } = advertisement else {
            return Err(self.protocol("it offers pushes in an unknown version"));
        };
        let has = |word: &str| capabilities.iter().any(|have| have == word);
        if updates.len() > 1 && !has("atomic") {
            let message = "it can't move several references together".to_owned();
            return Err(RemoteError::Refused { remote: self.describe(), message });
        }
        if !has("report-status") && !has("report-status-v2") {
            return Err(self.protocol("it does not report on pushes"));
        }
        // The references came with the offer: a push that must fail is not sent at all.
        let is_stale = |update: &RefUpdate| refs.refs.get(&update.name) != update.old.as_ref();
        if updates.iter().any(is_stale) {
            let refused = |update: &RefUpdate| {
                Some(if is_stale(update) { "stale info" } else { "atomic push failed" }.to_owned())
            };
            return Ok(updates
                .iter()
                .map(|update| RefReply { name: update.name.clone(), refused: refused(update) })
                .collect());
        }
        let pack = match updates.iter().any(|update| update.new.is_some()) {
            true => Some(write_pack(objects).map_err(|error| self.pack_error(error))?),
            false => None,
        };
        let body = push_request(updates, pack.as_deref(), &capabilities);
        self.send_push(&base, updates, &body, has("side-band-64k"))
    }
}
