//! The small HTTP server of the operator: health, metrics, webhooks and the record.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use object_model::Secret;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::Handle;
use crate::server_record::answer_record;
use crate::shared::lock;
use crate::webhook::kind_of;

/// Largest webhook body.
const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a client may take to send its head, and its body.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Most connections at once; more wait.
const CONNECTIONS_MAX: usize = 256;

/// Who may read the record.
#[derive(Debug, Clone)]
pub enum RecordAccess {
    /// Whoever the API server knows and allows to read the objects of the namespace asked for.
    Reviewed,
    /// Whoever holds this token; for demonstrations and the CLI on the same machine.
    Token(Secret<String>),
}

/// Settings of the server.
#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// The secret that signs webhooks; without one they are refused.
    pub webhook_secret: Option<Secret<String>>,
    /// Who may read the record.
    pub record_access: RecordAccess,
}

/// What a request becomes.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Reply {
    pub(crate) fn text(status: StatusCode, body: impl Into<String>) -> Self {
        let mut body: String = body.into();
        body.push('\n');
        Self { status, content_type: "text/plain; charset=utf-8", body }
    }

    pub(crate) fn json(body: &serde_json::Value) -> Self {
        Self { status: StatusCode::OK, content_type: "application/json", body: body.to_string() }
    }
}

/// Serves on a listener until dropped. The listener's address is the caller's choice: loopback, or a pod's own.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, handle: Handle, options: ServerOptions) -> std::io::Result<()> {
    serve_face(listener, handle, Face::Whole(options)).await
}

/// Serves metrics and health alone, on the ports that Argo Rollouts has for them.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve_metrics(listener: TcpListener, handle: Handle) -> std::io::Result<()> {
    serve_face(listener, handle, Face::Metrics).await
}

/// What a server offers.
enum Face {
    Whole(ServerOptions),
    Metrics,
}

async fn serve_face(listener: TcpListener, handle: Handle, face: Face) -> std::io::Result<()> {
    let options = Arc::new(face);
    let mut connections: JoinSet<()> = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        let accepted = tokio::select! {
            biased;
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if is_passing(&error) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        let (handle, options) = (handle.clone(), options.clone());
        connections.spawn(async move {
            let service = hyper::service::service_fn(move |request| {
                let (handle, options) = (handle.clone(), options.clone());
                async move { Ok::<_, Infallible>(respond(&handle, &options, request).await) }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(READ_TIMEOUT)
                .max_buf_size(64 << 10)
                .serve_connection(TokioIo::new(stream), service);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
}

fn is_passing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted)
        || error.raw_os_error() == Some(24)
}

async fn respond(handle: &Handle, face: &Face, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let reply = match face {
        Face::Whole(options) => answer(handle, options, request).await,
        Face::Metrics => told(handle, request.method(), request.uri().path())
            .unwrap_or_else(|| Reply::text(StatusCode::NOT_FOUND, "there is nothing here")),
    };
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    response.headers_mut().insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static(reply.content_type));
    response
}

async fn answer(handle: &Handle, options: &ServerOptions, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    if let Some(reply) = told(handle, request.method(), &path) {
        return reply;
    }
    match (request.method(), path.as_str()) {
        (&Method::POST, path) if kind_of(path).is_some() => webhook(handle, options, request, path).await,
        (&Method::GET, path) if path.starts_with("/v1/record/") => {
            answer_record(handle, &options.record_access, &request).await
        }
        (_, "/healthz" | "/livez" | "/readyz" | "/metrics") => not_allowed(),
        (_, path) if kind_of(path).is_some() => not_allowed(),
        _ => Reply::text(StatusCode::NOT_FOUND, "there is nothing here"),
    }
}

fn not_allowed() -> Reply {
    Reply::text(StatusCode::METHOD_NOT_ALLOWED, "this method is not allowed here")
}

/// What an operator says of itself to anybody.
fn told(handle: &Handle, method: &Method, path: &str) -> Option<Reply> {
    if method != Method::GET {
        return None;
    }
    match path {
        "/healthz" | "/livez" => Some(Reply::text(StatusCode::OK, "ok")),
        "/readyz" if handle.is_ready() => Some(Reply::text(StatusCode::OK, "ok")),
        "/readyz" => Some(Reply::text(StatusCode::SERVICE_UNAVAILABLE, "the watches are not complete yet")),
        "/metrics" => {
            let content_type = "text/plain; version=0.0.4; charset=utf-8";
            Some(Reply { status: StatusCode::OK, content_type, body: handle.metrics() })
        }
        _ => None,
    }
}

async fn webhook(handle: &Handle, options: &ServerOptions, request: Request<Incoming>, path: &str) -> Reply {
    let Some(secret) = &options.webhook_secret else {
        return Reply::text(StatusCode::NOT_FOUND, "webhooks are off: the operator has no webhook secret");
    };
    if !lock(&handle.shared.deliveries).admit(handle.shared.clock.now()) {
        handle.shared.metrics.count("sluice_webhooks_total", &[("result", "postponed")]);
        return Reply::text(StatusCode::TOO_MANY_REQUESTS, "there are too many webhooks at once; come again");
    }
    let headers = request.headers().clone();
    let read = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(READ_TIMEOUT, read).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return Reply::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB or broken"),
        Err(_) => return Reply::text(StatusCode::REQUEST_TIMEOUT, "the body did not come in time"),
    };
    let reply = crate::webhook::receive(handle, secret, path, &headers, &body);
    let result = if reply.status.is_success() { "ok" } else { "refused" };
    handle.shared.metrics.count("sluice_webhooks_total", &[("result", result)]);
    reply
}
