//! The stream of a watch as an operator gets it: events late, twice, broken off, or never.

use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use serde_json::json;
use tower::BoxError;

use crate::fault::{Fault, delay};
use crate::play::{Life, Play};
use crate::skin::{Answer, reset};
use crate::swarm::Kind;

struct Stream {
    inner: sim_cluster::Body,
    play: Arc<Play>,
    life: Arc<Life>,
    label: String,
    /// What comes before the next event of the server.
    waiting: Option<Result<Bytes, BoxError>>,
    is_over: bool,
}

/// Puts the faults of events into a watch.
pub(crate) fn spoiled(inner: sim_cluster::Body, play: Arc<Play>, life: Arc<Life>, plural: String) -> Answer {
    let label = format!("{} event {plural}", life.name);
    let stream = Stream { inner, play, life, label, waiting: None, is_over: false };
    let stream = futures::stream::unfold(stream, |mut stream| async move {
        let next = stream.next().await?;
        Some((next.map(Frame::data), stream))
    });
    StreamBody::new(stream).boxed_unsync()
}

/// A body that ends in the middle.
pub(crate) fn broken_off(bytes: Bytes) -> Answer {
    let half = bytes.slice(..bytes.len() / 2);
    let parts = [Ok(Frame::data(half)), Err(reset())];
    StreamBody::new(futures::stream::iter(parts).boxed()).boxed_unsync()
}

impl Stream {
    async fn next(&mut self) -> Option<Result<Bytes, BoxError>> {
        if let Some(waiting) = self.waiting.take() {
            return Some(waiting);
        }
        if self.is_over {
            return None;
        }
        let Some(Ok(frame)) = self.inner.frame().await else { return None };
        let Ok(bytes) = frame.into_data() else { return None };
        self.life.lives().await;
        match self.play.fault(Kind::Event, &self.label) {
            None => Some(Ok(bytes)),
            Some((fault, degree)) => self.go_wrong(bytes, fault, degree).await,
        }
    }

    async fn go_wrong(&mut self, bytes: Bytes, fault: Fault, degree: u64) -> Option<Result<Bytes, BoxError>> {
        self.play.tell(self.life.name, &self.label, &fault.to_string());
        match fault {
            Fault::Lag => {
                tokio::select! {
                    biased;
                    () = self.play.calm() => {}
                    () = tokio::time::sleep(delay(degree)) => {}
                }
                Some(Ok(bytes))
            }
            Fault::Twice => {
                self.waiting = Some(Ok(bytes.clone()));
                Some(Ok(bytes))
            }
            Fault::Drop => {
                self.is_over = true;
                None
            }
            Fault::Gone => {
                self.is_over = true;
                Some(Ok(expired()))
            }
            Fault::Unobserved => {
                self.is_over = true;
                tokio::select! {
                    biased;
                    () = self.play.calm() => {}
                    () = tokio::time::sleep(delay(degree)) => {}
                }
                Some(Ok(expired()))
            }
            Fault::Silence => {
                // It ends with the faults; before that only the reader's own patience ends it.
                self.is_over = true;
                self.play.calm().await;
                None
            }
            Fault::BrokenEvent => {
                self.is_over = true;
                self.waiting = Some(Err(reset()));
                Some(Ok(bytes.slice(..bytes.len() / 2)))
            }
            _ => Some(Ok(bytes)),
        }
    }
}

/// The event by which a server says that it has forgotten a position.
fn expired() -> Bytes {
    let status = json!({
        "type": "ERROR",
        "object": {
            "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": 410, "reason": "Expired",
            "message": "too old resource version",
        },
    });
    Bytes::from(format!("{status}\n"))
}
