//! The Prometheus API on a loopback port: a thin skin around [`answer`].

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use object_model::Timestamp;
use serde_json::Value as Json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use crate::{Traffic, answer};

/// The longest request body that is read.
const BODY_MAX_BYTES: usize = 256 * 1024;
/// Connections that are served at a time; more wait.
const CONNECTIONS_MAX: usize = 64;
/// How long a client may take to send its request's head, and then its body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);

/// Why the API can't be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener has no address.
    #[error("failed to read the listener's address")]
    Address {
        /// What the system says.
        source: std::io::Error,
    },
    /// The listener is open to other machines.
    #[error("refused to serve on {address}: only loopback addresses are allowed")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
}

/// A running server; it stops when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Serves the Prometheus API over shared traffic; `now` gives the time of a query that names none.
///
/// # Errors
/// When the listener is not on a loopback address.
pub fn serve(
    listener: TcpListener,
    traffic: Arc<Mutex<Traffic>>,
    now: impl Fn() -> Timestamp + Send + Sync + 'static,
) -> Result<Server, ServeError> {
    let address = listener.local_addr().map_err(|source| ServeError::Address { source })?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback { address });
    }
    let shared = Arc::new(Shared { traffic, now: Box::new(now) });
    Ok(Server { address, task: tokio::spawn(accept(listener, shared)) })
}

struct Shared {
    traffic: Arc<Mutex<Traffic>>,
    now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// Connections belong to the set, so that they end with the server.
async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    connection(stream, shared).await;
                    drop(permit);
                });
            }
            // Out of file descriptors, for example: that passes.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(respond(&shared, request).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(READ_TIMEOUT);
    // A client that goes away in the middle is its own affair.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let announced = body.size_hint().lower();
    if announced > BODY_MAX_BYTES as u64 {
        return response(413, &Json::String("request body too large\n".to_owned()));
    }
    let body = match tokio::time::timeout(READ_TIMEOUT, Limited::new(body, BODY_MAX_BYTES).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return response(413, &Json::String("request body too large\n".to_owned())),
        Err(_) => return response(408, &Json::String("request body too slow\n".to_owned())),
    };
    let now = (shared.now)();
    let (status, json) = {
        let traffic = shared.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        let query = head.uri.query().unwrap_or_default();
        answer(&traffic, now, head.method.as_str(), head.uri.path(), query, &body)
    };
    response(status, &json)
}

fn response(status: u16, json: &Json) -> Response<Full<Bytes>> {
    let (kind, body) = match json {
        Json::String(text) => ("text/plain; charset=utf-8", text.clone()),
        other => ("application/json", other.to_string()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
