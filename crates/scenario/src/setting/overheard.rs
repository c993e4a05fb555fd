//! What an operator asks of its cluster, heard at its own client: the same on every ground.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use tower::{Layer, Service};

use super::trap::{Effect, Trap};

/// Requests that are kept; older ones are forgotten.
const KEPT_MAX: usize = 50_000;

/// One write of the operator, or a request for which it lacked a right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The HTTP method.
    pub method: Method,
    /// The path without its query.
    pub path: String,
    /// The user as whom the operator acted, when it was not itself.
    pub acted_as: Option<String>,
    /// The HTTP status of the answer.
    pub status: u16,
}

impl Asked {
    /// Whether it tells or elects only: Events and Leases.
    pub fn is_aside(&self) -> bool {
        is_aside(&self.path)
    }

    /// Whether it was meant to change something.
    pub fn is_write(&self) -> bool {
        is_write(&self.method)
    }

    /// Plural, namespace and name of the object: `configmaps`, `qa`, `settings`.
    pub fn object(&self) -> (&str, &str, &str) {
        let path = self.path.trim_start_matches('/');
        let parts: Vec<&str> = path.split('/').collect();
        let rest = match parts.as_slice() {
            ["api", _, rest @ ..] | ["apis", _, _, rest @ ..] => rest,
            _ => &[],
        };
        match rest {
            ["namespaces", namespace, plural, rest @ ..] => (plural, namespace, rest.first().copied().unwrap_or("")),
            [plural, rest @ ..] => (plural, "", rest.first().copied().unwrap_or("")),
            [] => ("", "", ""),
        }
    }
}

fn is_write(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

fn is_aside(path: &str) -> bool {
    path.contains("/events") || path.contains("/leases")
}

/// Listens to a client; its copies share what was heard.
#[derive(Debug, Clone, Default)]
pub struct Overheard {
    asked: Arc<Mutex<VecDeque<Asked>>>,
    /// Where the operator falls.
    pub trap: Trap,
}

impl Overheard {
    /// What was heard, oldest first.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// How many requests are kept and fit.
    pub fn count(&self, fits: impl Fn(&Asked) -> bool) -> usize {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|asked| fits(asked)).count()
    }

    /// Forgets what was heard.
    pub fn forget(&self) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn note(&self, asked: Asked) {
        const FORBIDDEN: u16 = 403;
        if !asked.is_write() && asked.status != FORBIDDEN {
            return;
        }
        let mut kept = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT_MAX {
            kept.pop_front();
        }
        kept.push_back(asked);
    }
}

impl<S> Layer<S> for Overheard {
    type Service = OverheardService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OverheardService { inner, overheard: self.clone() }
    }
}

/// A client's service with an ear on it.
#[derive(Debug, Clone)]
pub struct OverheardService<S> {
    inner: S,
    overheard: Overheard,
}

impl<S, A, B> Service<Request<A>> for OverheardService<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
    B: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let is_effect = is_write(&method) && !is_aside(&path);
        let acted_as = request.headers().get("impersonate-user").and_then(|user| user.to_str().ok());
        let acted_as = acted_as.map(str::to_owned);
        let answer = self.inner.call(request);
        let overheard = self.overheard.clone();
        Box::pin(async move {
            if is_effect {
                overheard.trap.pass(Effect::BeforeWrite).await;
            }
            let answer = answer.await?;
            overheard.note(Asked { method, path, acted_as, status: answer.status().as_u16() });
            if is_effect {
                overheard.trap.pass(Effect::AfterWrite).await;
            }
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_its_object() {
        for (path, object) in [
            ("/api/v1/namespaces/qa/configmaps/settings", ("configmaps", "qa", "settings")),
            ("/apis/apps/v1/namespaces/qa/replicasets", ("replicasets", "qa", "")),
            ("/apis/argoproj.io/v1alpha1/namespaces/qa/rollouts/web/status", ("rollouts", "qa", "web")),
            ("/api/v1/namespaces/qa", ("namespaces", "", "qa")),
            ("/version", ("", "", "")),
        ] {
            let asked = Asked { method: Method::POST, path: path.to_owned(), acted_as: None, status: 200 };
            assert_eq!(asked.object(), object);
        }
    }
}
