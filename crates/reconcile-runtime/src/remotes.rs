//! Where repositories are: from a URL and a credential to a [`Remote`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use git_source::{LocalRemote, MemoryRemote, Remote};
use object_model::Secret;

use crate::shared::lock;

/// A credential for a repository, read from a Secret right before it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitCredential {
    /// User name; forges that take a token accept any.
    pub username: String,
    /// Password or token.
    pub password: Secret<String>,
}

/// Why a URL gives no remote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteFactoryError {
    /// The scheme is not one that this operator speaks, or not allowed here.
    #[error("`{url}` is not allowed: {why}")]
    NotAllowed {
        /// The URL.
        url: String,
        /// Why.
        why: String,
    },
}

/// Makes remotes by URL.
pub trait RemoteFactory: Send + Sync + 'static {
    /// Returns the remote at `url`.
    ///
    /// # Errors
    /// When the URL is not allowed.
    fn remote(&self, url: &str, credential: Option<&GitCredential>) -> Result<Arc<dyn Remote>, RemoteFactoryError>;
}

/// Remotes in memory by URL, for simulation and tests. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryRemotes {
    remotes: Arc<Mutex<BTreeMap<String, MemoryRemote>>>,
}

impl MemoryRemotes {
    /// Puts a remote at a URL.
    pub fn insert(&self, url: &str, remote: MemoryRemote) {
        lock(&self.remotes).insert(url.to_owned(), remote);
    }

    /// The remote at a URL.
    pub fn get(&self, url: &str) -> Option<MemoryRemote> {
        lock(&self.remotes).get(url).cloned()
    }

    /// An independent copy of all remotes as they are now.
    #[must_use]
    pub fn fork(&self) -> Self {
        let remotes = lock(&self.remotes).iter().map(|(url, remote)| (url.clone(), remote.fork())).collect();
        Self { remotes: Arc::new(Mutex::new(remotes)) }
    }
}

impl RemoteFactory for MemoryRemotes {
    fn remote(&self, url: &str, _credential: Option<&GitCredential>) -> Result<Arc<dyn Remote>, RemoteFactoryError> {
        match self.get(url) {
            Some(remote) => Ok(Arc::new(remote)),
            // An empty remote of this name answers as a server does that has no such branch.
            None => Ok(Arc::new(Missing { url: url.to_owned() })),
        }
    }
}

struct Missing {
    url: String,
}

impl Missing {
    fn error(&self) -> git_source::RemoteError {
        git_source::RemoteError::NotFound { remote: self.url.clone() }
    }
}

impl Remote for Missing {
    fn describe(&self) -> String {
        self.url.clone()
    }

    fn list_refs(&self) -> Result<git_source::RefList, git_source::RemoteError> {
        Err(self.error())
    }

    fn fetch(&self, _request: &git_source::FetchRequest) -> Result<git_source::FetchReply, git_source::RemoteError> {
        Err(self.error())
    }

    fn push(
        &self,
        _updates: &[git_source::RefUpdate],
        _objects: &[git_source::GitObject],
    ) -> Result<Vec<git_source::RefReply>, git_source::RemoteError> {
        Err(self.error())
    }
}

/// Which remotes the operator's own factory makes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemotePolicy {
    /// Whether repositories on this machine's disk are allowed; only for demonstrations.
    pub allow_local: bool,
    /// Whether plain HTTP and addresses on loopback are allowed; only for demonstrations and tests.
    pub allow_loopback: bool,
}

/// Remotes over https, and on this machine where the policy allows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct StandardRemotes {
    policy: RemotePolicy,
}

impl StandardRemotes {
    /// Returns the factory with a policy.
    pub fn new(policy: RemotePolicy) -> Self {
        Self { policy }
    }
}

impl RemoteFactory for StandardRemotes {
    fn remote(&self, url: &str, _credential: Option<&GitCredential>) -> Result<Arc<dyn Remote>, RemoteFactoryError> {
        let refuse = |why: &str| RemoteFactoryError::NotAllowed { url: url.to_owned(), why: why.to_owned() };
        if let Some(local) = LocalRemote::parse(url) {
            if !self.policy.allow_local {
                return Err(refuse("repositories on the operator's own disk are not allowed"));
            }
            return Ok(Arc::new(local));
        }
        Err(refuse("the scheme is not supported"))
    }
}
