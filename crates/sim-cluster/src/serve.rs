//! The skins: a service for clients in the same process, and an HTTP listener. Both only move bytes.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use object_model::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::cluster::Cluster;
use crate::error::ApiError;
use crate::request::{Reply, Request, Response, User};
use crate::revision::Revision;
use crate::watch::Watch;

/// How large a request body may be, as in the API server.
const BODY_MAX: usize = 3 * 1024 * 1024;

/// How many event lines may wait for a slow reader.
const LINES_WAITING_MAX: usize = 64;

/// The body of an answer.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Where the skins get the time from.
#[derive(Clone)]
pub enum Clock {
    /// A closure, for example around the wall clock.
    Read(Arc<dyn Fn() -> Timestamp + Send + Sync>),
    /// An epoch plus the time that tokio believes has passed; it stands still under a paused tokio clock.
    Tokio {
        /// The moment at the start.
        epoch: Timestamp,
        /// The start.
        started: tokio::time::Instant,
    },
}

impl Clock {
    /// A clock that starts at a moment and runs with tokio's time.
    pub fn tokio_from(epoch: Timestamp) -> Self {
        Self::Tokio { epoch, started: tokio::time::Instant::now() }
    }

    /// The moment it is.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Read(read) => read(),
            Self::Tokio { epoch, started } => *epoch + started.elapsed(),
        }
    }
}

struct Shared {
    cluster: Mutex<Cluster>,
    clock: Clock,
    revision: Revision,
}

/// A cluster shared by its skins. Clones share the same cluster.
#[derive(Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

impl Handle {
    /// Shares a cluster.
    pub fn new(cluster: Cluster, clock: Clock) -> Self {
        let revision = Revision::new(cluster.revision());
        Self { shared: Arc::new(Shared { cluster: Mutex::new(cluster), clock, revision }) }
    }

    /// Runs something on the cluster and wakes the watchers when it wrote.
    pub fn with<T>(&self, act: impl FnOnce(&mut Cluster) -> T) -> T {
        let mut cluster = self.lock();
        cluster.set_now(self.shared.clock.now());
        let result = act(&mut cluster);
        self.announce(&cluster);
        result
    }

    /// A copy of the cluster as it is now.
    pub fn snapshot(&self) -> Cluster {
        self.lock().clone()
    }

    /// The moment it is for the cluster.
    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, Cluster> {
        // A panic in another thread leaves a state that is whole: every write is one step.
        self.shared.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, cluster: &Cluster) {
        self.shared.revision.set(cluster.revision());
    }

    /// Answers one request now.
    pub fn handle(&self, request: &Request) -> Reply {
        self.with(|cluster| {
            let now = cluster.now();
            cluster.handle(request, now)
        })
    }

    /// A service for `kube::Client::new`; requests without a token come from the administrator.
    pub fn service(&self) -> Service {
        Service { handle: self.clone(), user: None }
    }

    /// A service whose requests come from a user.
    pub fn service_as(&self, user: User) -> Service {
        Service { handle: self.clone(), user: Some(user) }
    }

    /// Runs the controllers after each change and when they are due, until dropped.
    pub async fn drive(&self) {
        loop {
            let seen = self.shared.revision.present();
            let step = self.with(|cluster| {
                let now = cluster.now();
                cluster.step(now)
            });
            if step.is_unsettled {
                // Controllers that never come to rest must not starve the requests.
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            }
            let wait = match step.next_due {
                Some(due) => Duration::try_from(due.duration_since(self.now())).unwrap_or_default(),
                None => Duration::from_secs(3_600),
            };
            tokio::select! {
                // Without it the order is drawn at random, and one seed would give many traces.
                biased;
                () = tokio::time::sleep(wait.max(Duration::from_millis(1))) => {}
                () = self.shared.revision.leaves(seen) => {}
            }
        }
    }

    /// Serves HTTP/1.1 on a listener until dropped.
    ///
    /// # Errors
    /// When the listener fails.
    pub async fn serve(&self, listener: TcpListener) -> std::io::Result<()> {
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await?;
            while connections.try_join_next().is_some() {}
            let service = self.service();
            connections.spawn(async move {
                let io = hyper_util::rt::TokioIo::new(stream);
                let answer = hyper::service::service_fn(move |request| {
                    let service = service.clone();
                    async move { Ok::<_, Infallible>(service.answer(request).await) }
                });
                // A connection that breaks is the client's affair.
                let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, answer).await;
            });
        }
    }

    /// A kubeconfig for the listener.
    pub fn kubeconfig(address: SocketAddr) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: sim\nclusters:\n- name: sim\n  cluster:\n    server: http://{address}\n\
             contexts:\n- name: sim\n  context:\n    cluster: sim\n    user: admin\nusers:\n- name: admin\n  user: {{}}\n"
        )
    }

    fn stream(&self, watch: Watch) -> Body {
        let (lines, receiver) = mpsc::channel(LINES_WAITING_MAX);
        tokio::spawn(pump(self.clone(), watch, lines));
        let stream = Lines { receiver };
        StreamBody::new(stream).boxed_unsync()
    }
}

async fn pump(handle: Handle, mut watch: Watch, lines: mpsc::Sender<Bytes>) {
    loop {
        let seen = handle.shared.revision.present();
        let now = handle.now();
        let polled = watch.poll(&handle.lock(), now);
        let has_lines = !polled.lines.is_empty();
        for line in polled.lines {
            if lines.send(line).await.is_err() {
                return;
            }
        }
        if polled.is_over {
            return;
        }
        if has_lines {
            continue;
        }
        let wait = Duration::try_from(watch.next_due().duration_since(handle.now())).unwrap_or_default();
        tokio::select! {
            biased;
            () = tokio::time::sleep(wait) => {}
            () = lines.closed() => return,
            () = handle.shared.revision.leaves(seen) => {}
        }
    }
}

struct Lines {
    receiver: mpsc::Receiver<Bytes>,
}

impl futures_core::Stream for Lines {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_recv(context).map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}

/// The cluster as a service of HTTP requests, for clients in the same process.
#[derive(Clone)]
pub struct Service {
    handle: Handle,
    user: Option<User>,
}

impl Service {
    async fn answer<B>(&self, request: http::Request<B>) -> http::Response<Body>
    where
        B: http_body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let body = match Limited::new(body, BODY_MAX).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => return respond(Response::error(&body_error(error.as_ref()))),
        };
        let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
        let request = Request { method: parts.method, target, headers: parts.headers, body, user: self.user.clone() };
        match self.handle.handle(&request) {
            Reply::Response(response) => respond(response),
            Reply::Watch(watch) => {
                let content_type = watch.content_type();
                let mut response = http::Response::new(self.handle.stream(*watch));
                let value = http::HeaderValue::from_static(content_type);
                response.headers_mut().insert(http::header::CONTENT_TYPE, value);
                response
            }
        }
    }
}

fn body_error(error: &(dyn std::error::Error + 'static)) -> ApiError {
    if error.is::<LengthLimitError>() {
        ApiError::new(413, "RequestEntityTooLarge", format!("Request entity too large: limit is {BODY_MAX}"))
    } else {
        ApiError::bad_request("the request body could not be read")
    }
}

fn respond(response: Response) -> http::Response<Body> {
    let mut out = http::Response::new(Full::new(response.body).boxed_unsync());
    *out.status_mut() = http::StatusCode::from_u16(response.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    *out.headers_mut() = response.headers;
    out
}

impl<B> tower_service::Service<http::Request<B>> for Service
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}
