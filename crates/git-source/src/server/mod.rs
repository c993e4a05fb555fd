//! A smart HTTP Git server in this process, on a loopback address: `git clone`, `git fetch` and `git push` work against it.
//!
//! It serves any [`Remote`], most usefully a [`crate::MemoryRemote`] or a [`crate::LocalRemote`] with rules. It answers on
//! loopback only, and only to requests that name a loopback host, so that no web page can reach it by a name of its own.

mod receive;
mod upload;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use object_model::Secret;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::pack::PackError;
use crate::remote::{Remote, RemoteError, TransferLimits};

/// How many connections are served at once; more wait.
const CONNECTIONS_MAX: usize = 64;
/// How many requests the log keeps.
const LOG_MAX: usize = 10_000;
/// How long a client may take to send the head of a request.
const HEAD_WAIT: Duration = Duration::from_secs(10);
/// How long a client may take to send the body of a request.
const BODY_WAIT: Duration = Duration::from_secs(120);

/// What a request was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GitService {
    /// The first question of a reader.
    DiscoverUpload,
    /// A list of references.
    ListRefs,
    /// A fetch.
    Fetch,
    /// The first question of a writer.
    DiscoverReceive,
    /// A push.
    Push,
    /// Anything else.
    Other,
}

/// One request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestRecord {
    /// The path without its query.
    pub path: String,
    /// What it was for.
    pub service: GitService,
    /// The HTTP status of the answer; 0 when the connection was dropped instead.
    pub status: u16,
}

/// A server that is not running yet.
#[derive(Default)]
pub struct GitServer {
    routes: BTreeMap<String, Arc<dyn Remote>>,
    authorization: Option<Secret<String>>,
    limits: TransferLimits,
    speaks_one_only: bool,
}

/// A server that runs until it is dropped.
pub struct RunningGitServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

struct Shared {
    server: GitServer,
    log: Mutex<VecDeque<RequestRecord>>,
}

/// Why a request gets no Git answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    Refused(String),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    #[error(transparent)]
    Pack(#[from] PackError),
}

impl From<&'static str> for ServeError {
    fn from(why: &'static str) -> Self {
        Self::Malformed(why.to_owned())
    }
}

/// The connection is dropped without an answer, as the repository asked for it.
#[derive(Debug, thiserror::Error)]
#[error("the connection is dropped")]
struct Dropped;

type Answer = Result<Response<Full<Bytes>>, Dropped>;

impl GitServer {
    /// Makes a server without repositories.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves a repository under a path such as `fleet.git`.
    #[must_use]
    pub fn with_repository(mut self, path: &str, repository: Arc<dyn Remote>) -> Self {
        self.routes.insert(path.trim_matches('/').to_owned(), repository);
        self
    }

    /// Asks every client for this user and password.
    #[must_use]
    pub fn with_credential(mut self, user: &str, password: &Secret<String>) -> Self {
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{}", password.expose()));
        self.authorization = Some(Secret::new(format!("Basic {pair}")));
        self
    }

    /// Returns the server with other limits on what one push may bring.
    #[must_use]
    pub fn with_limits(mut self, limits: TransferLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Answers in version 0 of the protocol only, as old servers do.
    #[must_use]
    pub fn speaking_version_zero(mut self) -> Self {
        self.speaks_one_only = true;
        self
    }

    /// Starts to answer on a loopback address; port 0 takes a free one. Needs a tokio runtime.
    ///
    /// # Errors
    /// When the address is not loopback or is taken.
    pub async fn serve(self, address: SocketAddr) -> io::Result<RunningGitServer> {
        if !address.ip().is_loopback() {
            let why = format!("{address} is not a loopback address");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { server: self, log: Mutex::default() });
        let task = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(RunningGitServer { address, shared, task })
    }
}

impl RunningGitServer {
    /// Where the server answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of a repository, as it is given to `git clone`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.address, path.trim_matches('/'))
    }

    /// The last requests, oldest first.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Drop for RunningGitServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(_) => {
                // Out of file handles: waiting lets other connections end.
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            serve_connection(stream, shared).await;
            drop(place);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = hyper::service::service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { answer(&shared, request).await }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WAIT);
    // An error means that the client went away or that the connection was dropped on purpose.
    let _ = builder.serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(shared: &Arc<Shared>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path().to_owned();
    let mut service = GitService::Other;
    let answer = route(shared, request, &mut service).await;
    let status = answer.as_ref().map_or(0, |response| response.status().as_u16());
    let mut log = shared.log.lock().unwrap_or_else(PoisonError::into_inner);
    if log.len() >= LOG_MAX {
        log.pop_front();
    }
    log.push_back(RequestRecord { path, service, status });
    answer
}

async fn route(shared: &Arc<Shared>, request: Request<Incoming>, service: &mut GitService) -> Answer {
    let headers = request.headers();
    if !names_loopback(headers) {
        return text(StatusCode::MISDIRECTED_REQUEST, "the host is not a loopback name");
    }
    if let Some(expected) = &shared.server.authorization
        && headers.get("authorization").is_none_or(|found| found.as_bytes() != expected.expose().as_bytes())
    {
        let mut response = plain(StatusCode::UNAUTHORIZED, "a user and a password are needed");
        response
            .headers_mut()
            .insert("WWW-Authenticate", hyper::header::HeaderValue::from_static("Basic realm=\"git\""));
        return Ok(response);
    }
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let is_two = !shared.server.speaks_one_only
        && headers
            .get("git-protocol")
            .is_some_and(|value| value.as_bytes().split(|b| *b == b':').any(|v| v == b"version=2"));
    let post = request.method() == Method::POST;
    if let Some(name) = path.strip_suffix("/info/refs").filter(|_| request.method() == Method::GET) {
        let Some(remote) = shared.server.routes.get(name).cloned() else { return not_found() };
        let query = request.uri().query().unwrap_or_default().to_owned();
        return advertise(remote, &query, is_two, service).await;
    }
    for (suffix, kind) in [("/git-upload-pack", GitService::Fetch), ("/git-receive-pack", GitService::Push)] {
        let Some(name) = path.strip_suffix(suffix).filter(|_| post) else { continue };
        let Some(remote) = shared.server.routes.get(name).cloned() else { return not_found() };
        *service = kind;
        let program = suffix.trim_start_matches('/');
        let expected = format!("application/x-{program}-request");
        // A web page can't send this type to another origin without asking first.
        if headers.get("content-type").is_none_or(|found| found.as_bytes() != expected.as_bytes()) {
            return text(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type is not that of a Git request");
        }
        let limits = shared.server.limits;
        let body = match read_body(request, limits.reply_bytes_max).await {
            Ok(body) => body,
            Err(response) => return Ok(response),
        };
        if kind == GitService::Fetch && is_two && upload::is_ls_refs(&body) {
            *service = GitService::ListRefs;
        }
        let answered = tokio::task::spawn_blocking(move || match kind {
            GitService::Push => receive::answer(remote.as_ref(), &body, &limits),
            _ if is_two => upload::answer_two(remote.as_ref(), &body),
            _ => upload::answer_one(remote.as_ref(), &body),
        });
        return finish(answered.await, &format!("application/x-{program}-result"));
    }
    not_found()
}

async fn advertise(remote: Arc<dyn Remote>, query: &str, is_two: bool, service: &mut GitService) -> Answer {
    let Some(name) = query.split('&').find_map(|pair| pair.strip_prefix("service=")) else {
        return text(StatusCode::FORBIDDEN, "only the smart protocol is spoken here");
    };
    let (name, capabilities) = match name {
        "git-upload-pack" => {
            *service = GitService::DiscoverUpload;
            ("git-upload-pack", upload::CAPABILITIES)
        }
        "git-receive-pack" => {
            *service = GitService::DiscoverReceive;
            ("git-receive-pack", receive::CAPABILITIES)
        }
        _ => return text(StatusCode::FORBIDDEN, "the service is unknown"),
    };
    let content = format!("application/x-{name}-advertisement");
    if is_two && name == "git-upload-pack" {
        return finish(Ok(Ok(upload::advertise_two())), &content);
    }
    let answered =
        tokio::task::spawn_blocking(move || Ok(upload::advertise_one(&remote.list_refs()?, name, capabilities)));
    finish(answered.await, &content)
}

fn names_loopback(headers: &HeaderMap) -> bool {
    let host = headers.get("host").and_then(|value| value.to_str().ok()).unwrap_or_default();
    crate::address::HttpAddress::parse(&format!("http://{host}")).is_ok_and(|address| address.is_loopback())
}

/// Reads a body, inflated when the client deflated it, up to a limit.
async fn read_body(request: Request<Incoming>, limit: u64) -> Result<Vec<u8>, Response<Full<Bytes>>> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let is_gzip = request.headers().get("content-encoding").is_some_and(|value| value.as_bytes() == b"gzip");
    let too_large = || plain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too large");
    let collected = tokio::time::timeout(BODY_WAIT, Limited::new(request.into_body(), limit).collect()).await;
    let body = match collected {
        Err(_) => return Err(plain(StatusCode::REQUEST_TIMEOUT, "the request did not come in time")),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(too_large()),
        Ok(Err(_)) => return Err(plain(StatusCode::BAD_REQUEST, "the request is cut off")),
        Ok(Ok(collected)) => collected.to_bytes(),
    };
    if !is_gzip {
        return Ok(body.to_vec());
    }
    gunzip(&body, limit).map_err(|error| match error {
        Gunzip::TooLarge => too_large(),
        Gunzip::Malformed => plain(StatusCode::BAD_REQUEST, "the request is not gzip"),
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Gunzip {
    TooLarge,
    Malformed,
}

fn gunzip(body: &[u8], limit: usize) -> Result<Vec<u8>, Gunzip> {
    const GZIP_WINDOW_BITS: u8 = 16 + 15;
    let mut inflate = zlib_rs::Inflate::new(true, GZIP_WINDOW_BITS);
    let mut out = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    let mut rest = body;
    loop {
        let (before_in, before_out) = (inflate.total_in(), inflate.total_out());
        let status = inflate.decompress(rest, &mut chunk, zlib_rs::InflateFlush::NoFlush);
        let status = status.map_err(|_| Gunzip::Malformed)?;
        let taken = usize::try_from(inflate.total_in() - before_in).unwrap_or(usize::MAX);
        let made = usize::try_from(inflate.total_out() - before_out).unwrap_or(usize::MAX);
        out.extend_from_slice(chunk.get(..made).unwrap_or_default());
        rest = rest.get(taken..).unwrap_or_default();
        if out.len() > limit {
            return Err(Gunzip::TooLarge);
        }
        match status {
            zlib_rs::Status::StreamEnd => return Ok(out),
            _ if taken == 0 && made == 0 => return Err(Gunzip::Malformed),
            _ => {}
        }
    }
}

fn finish(answered: Result<Result<Vec<u8>, ServeError>, tokio::task::JoinError>, content: &str) -> Answer {
    let error = match answered {
        Ok(Ok(body)) => {
            let response = Response::builder()
                .header("Content-Type", content)
                .header("Cache-Control", "no-cache")
                .body(Full::new(Bytes::from(body)));
            return response.map_err(|_| Dropped);
        }
        Ok(Err(error)) => error,
        Err(_) => return text(StatusCode::INTERNAL_SERVER_ERROR, "the request was not finished"),
    };
    let status = match &error {
        ServeError::Malformed(_) => StatusCode::BAD_REQUEST,
        ServeError::Refused(_) => StatusCode::FORBIDDEN,
        ServeError::Pack(_) => StatusCode::INTERNAL_SERVER_ERROR,
        ServeError::Remote(error) => match error {
            RemoteError::LostReply { .. } => return Err(Dropped),
            RemoteError::NotFound { .. } => StatusCode::NOT_FOUND,
            RemoteError::Unauthorized { .. } | RemoteError::Blocked { .. } | RemoteError::Refused { .. } => {
                StatusCode::FORBIDDEN
            }
            RemoteError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            RemoteError::Unreachable { .. } | RemoteError::TimedOut { .. } => StatusCode::SERVICE_UNAVAILABLE,
            RemoteError::Protocol { .. } | RemoteError::Object { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        },
    };
    text(status, &error.to_string())
}

fn not_found() -> Answer {
    text(StatusCode::NOT_FOUND, "no repository is there")
}

fn text(status: StatusCode, message: &str) -> Answer {
    Ok(plain(status, message))
}

fn plain(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{message}\n"))));
    *response.status_mut() = status;
    response.headers_mut().insert("Content-Type", hyper::header::HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gzip_bomb_stops_at_the_limit_and_nonsense_is_refused() {
        // "hello\n", as gzip -n makes it.
        let hello = [31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 203, 72, 205, 201, 201, 231, 2, 0, 32, 48, 58, 54, 6, 0, 0, 0];
        assert_eq!(gunzip(&hello, 100).as_deref(), Ok(b"hello\n".as_slice()));
        assert_eq!(gunzip(&hello, 3), Err(Gunzip::TooLarge));
        assert_eq!(gunzip(&hello[..20], 100), Err(Gunzip::Malformed));
        assert_eq!(gunzip(b"hello", 100), Err(Gunzip::Malformed));
    }
}
