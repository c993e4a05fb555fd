//! What lies between an operator and the API server: every request passes here, and here it may go wrong.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use kube::client::Body;
use serde_json::json;
use tower::{BoxError, Service};

use crate::events;
use crate::fault::{Fault, delay};
use crate::play::{Life, Play};
use crate::rival;
use crate::swarm::Kind;

/// The body of an answer that may break.
pub(crate) type Answer = UnsyncBoxBody<Bytes, BoxError>;

/// How long a network is cut: longer than a Lease.
const CUT: Duration = Duration::from_secs(22);

/// A client's way to the server.
#[derive(Clone)]
pub(crate) struct Skin {
    pub(crate) inner: sim_cluster::Service,
    pub(crate) play: Arc<Play>,
    pub(crate) life: Arc<Life>,
}

impl Service<Request<Body>> for Skin {
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let skin = self.clone();
        Box::pin(async move { skin.pass(request).await })
    }
}

/// Whether a request is about Events or Leases, which tell and elect only.
fn is_aside(path: &str) -> bool {
    path.contains("/events") || path.contains("/leases")
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

impl Skin {
    async fn pass(&self, mut request: Request<Body>) -> Result<Response<Answer>, BoxError> {
        self.life.lives().await;
        let path = request.uri().path().to_owned();
        let what = format!("{} {path}", request.method());
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=1"));
        if let Ok(agent) = HeaderValue::from_str(&format!("sluice-operator/{}{}", self.life.name, self.life.number)) {
            request.headers_mut().insert(header::USER_AGENT, agent);
        }
        self.play.count(|counts| counts.requests += 1);
        self.life.network().await;
        self.life.lives().await;
        if is_watch {
            return self.watch(request, &path).await;
        }
        let is_dry = request.uri().query().is_some_and(|query| query.contains("dryRun"));
        let kind = match is_write(request.method()) && !is_aside(&path) && !is_dry {
            true => Kind::Write,
            false => Kind::Read,
        };
        let fault = self.play.fault(kind, &format!("{} {what}", self.life.name));
        match fault {
            None => self.send(request, &what, "").await,
            Some((fault, degree)) => self.go_wrong(request, &what, fault, degree).await,
        }
    }

    /// Sends a request and tells of its answer.
    async fn send(&self, request: Request<Body>, what: &str, fault: &str) -> Result<Response<Answer>, BoxError> {
        let mut inner = self.inner.clone();
        let answer = inner.call(request).await.map_err(never)?;
        let effect = match fault {
            "" => answer.status().as_u16().to_string(),
            fault => format!("{} ({fault})", answer.status().as_u16()),
        };
        self.play.tell(self.life.name, what, &effect);
        Ok(answer.map(|body| body.map_err(never).boxed_unsync()))
    }

    async fn go_wrong(
        &self,
        request: Request<Body>,
        what: &str,
        fault: Fault,
        degree: u64,
    ) -> Result<Response<Answer>, BoxError> {
        let words = fault.to_string();
        let said = |answer: Response<Answer>| {
            self.play.tell(self.life.name, what, &format!("{} ({words})", answer.status().as_u16()));
            Ok(answer)
        };
        match fault {
            Fault::Rival => {
                rival::writes(&self.play, request.uri().path());
                self.send(request, what, &words).await
            }
            Fault::TooMany => said(refusal(429, "TooManyRequests", None)),
            Fault::TooManyRetryAfter => said(refusal(429, "TooManyRequests", Some(1 + degree))),
            Fault::ServerError => said(refusal(500, "InternalError", None)),
            Fault::Unavailable => said(refusal(503, "ServiceUnavailable", None)),
            Fault::Gone => said(refusal(410, "Expired", None)),
            Fault::Reset => {
                self.play.tell(self.life.name, what, &words);
                Err(reset())
            }
            Fault::Hang => {
                self.play.tell(self.life.name, what, &words);
                std::future::pending().await
            }
            Fault::Slow => {
                self.play.tell(self.life.name, what, &format!("{words} {:?}", delay(degree)));
                tokio::time::sleep(delay(degree)).await;
                self.life.lives().await;
                self.send(request, what, &words).await
            }
            Fault::Cut => {
                self.play.tell(self.life.name, what, &format!("{words} for {CUT:?}"));
                self.life.cut(CUT);
                self.life.network().await;
                self.life.lives().await;
                self.send(request, what, &words).await
            }
            Fault::CrashBefore => {
                self.play.tell(self.life.name, what, &words);
                match self.life.die().await {}
            }
            _ => {
                let answer = self.send(request, what, &words).await?;
                self.lose(answer, fault, degree).await
            }
        }
    }

    /// The server has done the request; now something happens to its answer.
    async fn lose(&self, answer: Response<Answer>, fault: Fault, degree: u64) -> Result<Response<Answer>, BoxError> {
        match fault {
            Fault::CrashAfterCommit => match self.life.die().await {},
            Fault::CrashAfterResponse => {
                // The answer is read, but nothing that it leads to ever leaves.
                self.life.doom();
                Ok(answer)
            }
            Fault::TimeoutAfterCommit => Ok(refusal(504, "Timeout", None)),
            Fault::HangAfterCommit => std::future::pending().await,
            Fault::ResetAfterCommit => Err(reset()),
            Fault::HalfBody => {
                let (parts, body) = answer.into_parts();
                let bytes = body.collect().await?.to_bytes();
                let half = events::broken_off(bytes);
                Ok(Response::from_parts(parts, half))
            }
            Fault::SlowAnswer => {
                tokio::time::sleep(delay(degree)).await;
                self.life.lives().await;
                Ok(answer)
            }
            _ => Ok(answer),
        }
    }

    async fn watch(&self, request: Request<Body>, path: &str) -> Result<Response<Answer>, BoxError> {
        let plural = path.rsplit('/').next().unwrap_or_default().to_owned();
        let label = format!("{} watch {plural}", self.life.name);
        if let Some((fault, _)) = self.play.fault(Kind::Read, &label) {
            let words = fault.to_string();
            self.play.tell(self.life.name, &format!("WATCH {path}"), &words);
            match fault {
                Fault::Gone => return Ok(refusal(410, "Expired", None)),
                Fault::CrashBefore | Fault::CrashAfterResponse => match self.life.die().await {},
                Fault::Reset | Fault::Hang | Fault::HalfBody => return Err(reset()),
                Fault::Slow | Fault::SlowAnswer => {}
                _ => return Ok(refusal(503, "ServiceUnavailable", None)),
            }
        }
        let mut inner = self.inner.clone();
        let answer = inner.call(request).await.map_err(never)?;
        let (play, life) = (self.play.clone(), self.life.clone());
        Ok(answer.map(|body| events::spoiled(body, play, life, plural)))
    }
}

fn never(error: Infallible) -> BoxError {
    match error {}
}

pub(crate) fn reset() -> BoxError {
    Box::new(std::io::Error::new(std::io::ErrorKind::ConnectionReset, "the connection was reset"))
}

/// The server's words for a refusal that has nothing to do with the request.
fn refusal(code: u16, reason: &str, retry_after: Option<u64>) -> Response<Answer> {
    let body = json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": code, "reason": reason,
        "message": format!("the server could not do it just now ({reason})"),
    });
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())).map_err(never).boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = retry_after {
        answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}
