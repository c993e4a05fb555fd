//! Webhooks of forges: a proven one makes the operator look at the repository at once, and that is all it can do.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use git_source::{Webhook, WebhookAnswer, WebhookKind, same_repository};
use http::{HeaderMap, StatusCode};
use object_model::{Secret, Timestamp};

use crate::Handle;
use crate::server::Reply;
use crate::shared::lock;

/// Before the name of a kind in the path.
const FOLDER: &str = "/webhook/";
/// How many deliveries are remembered, by which repeats are known.
const DELIVERIES_MAX: usize = 4_096;
/// How many webhooks are read in one second; more are told to come again.
const A_SECOND_MAX: u32 = 200;

/// What is remembered of webhooks that came.
#[derive(Debug, Default)]
pub(crate) struct Deliveries {
    seen: BTreeSet<String>,
    order: VecDeque<String>,
    second: i64,
    count: u32,
}

impl Deliveries {
    /// Whether one more may be read now.
    pub(crate) fn admit(&mut self, now: Timestamp) -> bool {
        if now.as_second() != self.second {
            (self.second, self.count) = (now.as_second(), 0);
        }
        self.count = self.count.saturating_add(1);
        self.count <= A_SECOND_MAX
    }

    /// Takes note of a delivery; false when it was here before.
    fn note(&mut self, kind: &str, delivery: &str) -> bool {
        let id = format!("{kind} {delivery}");
        if !self.seen.insert(id.clone()) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > DELIVERIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
        true
    }
}

/// The kind of webhook that a path takes.
pub(crate) fn kind_of(path: &str) -> Option<WebhookKind> {
    WebhookKind::named(path.strip_prefix(FOLDER)?)
}

/// Judges a webhook and wakes the keys that read its repository.
pub(crate) fn receive(
    handle: &Handle,
    secret: &Secret<String>,
    path: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Reply {
    let Some(webhook) = kind_of(path).and_then(|kind| Webhook::new(kind, secret.clone()).ok()) else {
        return Reply::text(StatusCode::NOT_FOUND, "webhooks are off: the webhook secret is empty");
    };
    let pairs: Vec<(&str, &str)> =
        headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    match webhook.receive(&pairs, body) {
        Ok(WebhookAnswer::Refresh { urls, delivery, .. }) => {
            if let Some(delivery) = delivery
                && !lock(&handle.shared.deliveries).note(path, &delivery)
            {
                return Reply::text(StatusCode::OK, "this delivery was here before");
            }
            let woken = handle.refresh(|watched| urls.iter().any(|url| same_repository(watched, url)));
            let repository = urls.first().map(|url| git_source::redact(url)).unwrap_or_default();
            tracing::info!(repository, woken, "a webhook asks to look at a repository");
            Reply::text(StatusCode::ACCEPTED, format!("{woken} woken"))
        }
        Ok(WebhookAnswer::Ping | WebhookAnswer::Ignored { .. }) => Reply::text(StatusCode::OK, "nothing to do"),
        Err(rejection) => {
            tracing::info!(%rejection, "a webhook was turned away");
            let status = StatusCode::from_u16(rejection.status()).unwrap_or(StatusCode::BAD_REQUEST);
            Reply::text(status, rejection.to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_counts_once_and_few_are_remembered() {
        let mut deliveries = Deliveries::default();
        assert!(deliveries.note("github", "1") && !deliveries.note("github", "1") && deliveries.note("gitlab", "1"));
        for number in 0..2 * DELIVERIES_MAX {
            deliveries.note("github", &format!("n{number}"));
        }
        assert_eq!((deliveries.seen.len(), deliveries.order.len()), (DELIVERIES_MAX, DELIVERIES_MAX));
        assert!(deliveries.note("github", "1"), "it was long ago");
    }

    #[test]
    fn case_20_a_flood_is_told_to_come_again_in_the_next_second() {
        let mut deliveries = Deliveries::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let admitted = (0..10_000).filter(|_| deliveries.admit(at(5))).count();
        assert_eq!(admitted, A_SECOND_MAX as usize);
        assert!(deliveries.admit(at(6)));
    }
}
