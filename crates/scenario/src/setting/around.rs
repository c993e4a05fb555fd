//! What may stand between an operator and the places that are no cluster: repositories and metric providers.

use std::sync::Arc;

use reconcile_runtime::{GitBackend, Sender};

/// Stands around an operator's ways out, to listen or to get in the way.
pub trait Around: Send + Sync {
    /// What answers questions about repositories, given what would.
    fn git(&self, inner: Arc<dyn GitBackend>) -> Arc<dyn GitBackend>;

    /// What sends HTTP requests, given what would.
    fn sender(&self, inner: Arc<dyn Sender>) -> Arc<dyn Sender>;
}
