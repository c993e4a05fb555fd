//! Ways to a cluster: over a connection, or into a service of this process.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;
use tower::{Service, ServiceExt as _};

/// A future that owns what it needs.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// An error of whatever kind the way brings with it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of an answer; of a watch it goes on until the server ends it.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// How long it may take to connect.
const CONNECT_PATIENCE: Duration = Duration::from_secs(10);

/// A way to send requests to one cluster.
pub trait Transport: Send + Sync {
    /// Sends a request, whose URI is a path, and returns the answer as soon as its head is there.
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Response<Body>, TransportError>>;
}

/// Why no answer came.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The server could not be reached.
    #[error("failed to connect to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// Why.
        source: BoxError,
    },
    /// The connection broke before the head of the answer.
    #[error("failed to send a request to {address}")]
    Send {
        /// Host and port.
        address: String,
        /// Why.
        source: BoxError,
    },
}

/// A server at an address; each request has its own connection, so a watch holds up nothing else.
#[derive(Clone)]
pub struct Connection {
    host: String,
    port: u16,
    token: Option<String>,
    tls: Option<TlsConnector>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Connection({})", self.address())
    }
}

impl Connection {
    /// Speaks HTTP without encryption: for a listener on loopback.
    pub fn plain(host: &str, port: u16, token: Option<String>) -> Self {
        Self { host: host.to_owned(), port, token, tls: None }
    }

    /// Speaks TLS with the given settings.
    pub fn tls(host: &str, port: u16, token: Option<String>, settings: rustls::ClientConfig) -> Self {
        Self { host: host.to_owned(), port, token, tls: Some(TlsConnector::from(Arc::new(settings))) }
    }

    fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    async fn exchange(&self, mut request: Request<Full<Bytes>>) -> Result<Response<Body>, TransportError> {
        let connect = |source: BoxError| TransportError::Connect { address: self.address(), source };
        let send = |source: BoxError| TransportError::Send { address: self.address(), source };
        let headers = request.headers_mut();
        if let Ok(host) = self.address().parse() {
            headers.insert(http::header::HOST, host);
        }
        if let Some(token) = &self.token
            && !headers.contains_key(http::header::AUTHORIZATION)
            && let Ok(value) = format!("Bearer {token}").parse()
        {
            headers.insert(http::header::AUTHORIZATION, value);
        }
        let stream = tokio::time::timeout(CONNECT_PATIENCE, TcpStream::connect((self.host.as_str(), self.port)))
            .await
            .map_err(|late| connect(late.into()))?
            .map_err(|error| connect(error.into()))?;
        let Some(tls) = &self.tls else {
            return handshake(stream, request).await.map_err(send);
        };
        let name = ServerName::try_from(self.host.clone()).map_err(|error| connect(error.into()))?;
        let stream = tls.connect(name, stream).await.map_err(|error| connect(error.into()))?;
        handshake(stream, request).await.map_err(send)
    }
}

impl Transport for Connection {
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(self.exchange(request))
    }
}

async fn handshake<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Response<Body>, BoxError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // The connection ends by itself when the answer's body has been read or dropped.
    tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    Ok(response.map(|body| body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync()))
}

/// A cluster in this process: any cloneable service that answers HTTP requests.
#[derive(Debug, Clone)]
pub struct InProcess<S> {
    service: S,
}

impl<S> InProcess<S> {
    /// Sends into `service`.
    pub fn new(service: S) -> Self {
        Self { service }
    }
}

impl<S, B> Transport for InProcess<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    fn send(&self, request: Request<Full<Bytes>>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let service = self.service.clone();
        Box::pin(async move {
            let answer = service.oneshot(request).await;
            let answer = answer
                .map_err(|error| TransportError::Send { address: "this process".to_owned(), source: error.into() })?;
            Ok(answer.map(|body| body.map_err(Into::into).boxed_unsync()))
        })
    }
}

/// Makes the path of a request; a path that HTTP forbids is an error of the script.
pub(crate) fn uri(address: &str) -> Result<Uri, String> {
    address.parse().map_err(|error| format!("`{address}` is no address: {error}"))
}
