//! Where repositories are: from a URL and a credential to a [`Remote`].

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use git_source::{
    Credential, GitHubApp, HttpOptions, HttpProxy, LocalAccess, MemoryRemote, PlainHttp, Remote, connect,
};
use object_model::Secret;

use crate::EgressPolicy;
use crate::shared::lock;

/// The way to a repository as Secrets say it, read right before it is used.
#[derive(Debug, Clone, Default)]
pub struct GitCredential {
    /// How we are known there.
    pub login: Option<GitLogin>,
    /// Certificates (PEM) that are trusted there instead of the public ones.
    pub certificate_authority: Option<Vec<u8>>,
    /// The proxy on the way.
    pub proxy: Option<HttpProxy>,
}

/// How a repository knows us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitLogin {
    /// By a user and a password or token.
    Basic {
        /// User name; forges that take a token accept any.
        username: String,
        /// Password or token.
        password: Secret<String>,
    },
    /// By a token that is sent as a bearer.
    Bearer(Secret<String>),
    /// As an installation of a GitHub App, for which a token is asked for.
    GitHubApp(GitHubApp),
}

/// Why a URL gives no remote.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RemoteFactoryError {
    /// What is wrong with the URL, without a credential.
    pub message: String,
}

/// Makes remotes by URL.
pub trait RemoteFactory: Send + Sync + 'static {
    /// Returns the remote at `url`.
    ///
    /// # Errors
    /// When the URL is not allowed.
    fn remote(&self, url: &str, credential: Option<&GitCredential>) -> Result<Arc<dyn Remote>, RemoteFactoryError>;

    /// How the API of GitHub is asked for tokens of an app; not at all without.
    fn app_access(&self, credential: &GitCredential) -> Option<HttpOptions> {
        let _ = credential;
        None
    }

    /// How chart repositories and registries are spoken to; not at all without.
    fn chart_access(&self) -> Option<HttpOptions> {
        None
    }
}

/// Remotes in memory by URL, for simulation and tests. Clones share them.
#[derive(Clone, Default)]
pub struct MemoryRemotes {
    remotes: Arc<Mutex<BTreeMap<String, MemoryRemote>>>,
    charts: Arc<Mutex<Option<HttpOptions>>>,
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
        Self { remotes: Arc::new(Mutex::new(remotes)), charts: self.charts.clone() }
    }

    /// Lets charts be fetched, with these options.
    pub fn allow_charts(&self, options: HttpOptions) {
        *lock(&self.charts) = Some(options);
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

    fn chart_access(&self) -> Option<HttpOptions> {
        lock(&self.charts).clone()
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
    /// Whether addresses on loopback are allowed; only for demonstrations and tests.
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

impl StandardRemotes {
    fn options_with(&self, credential: &GitCredential) -> HttpOptions {
        HttpOptions {
            root_certificates: credential.certificate_authority.clone(),
            proxy: credential.proxy.clone(),
            ..self.options()
        }
    }

    fn options(&self) -> HttpOptions {
        let egress = EgressPolicy { allow_loopback: self.policy.allow_loopback };
        HttpOptions {
            // Plain http never leaves this machine, and this machine only when that is allowed.
            plain_http: PlainHttp::LoopbackOnly,
            address_filter: Arc::new(move |address| egress.allows(*address)),
            ..HttpOptions::default()
        }
    }
}

impl RemoteFactory for StandardRemotes {
    fn chart_access(&self) -> Option<HttpOptions> {
        Some(self.options())
    }

    fn app_access(&self, credential: &GitCredential) -> Option<HttpOptions> {
        Some(self.options_with(credential))
    }

    fn remote(&self, url: &str, credential: Option<&GitCredential>) -> Result<Arc<dyn Remote>, RemoteFactoryError> {
        let options = credential.map_or_else(|| self.options(), |credential| self.options_with(credential));
        let local = if self.policy.allow_local { LocalAccess::Allowed } else { LocalAccess::Refused };
        let login = match credential.and_then(|credential| credential.login.as_ref()) {
            Some(GitLogin::Basic { username, password }) => {
                Some(Credential::Basic { user: username.clone(), password: password.clone() })
            }
            Some(GitLogin::Bearer(token)) => Some(Credential::Bearer(token.clone())),
            Some(GitLogin::GitHubApp(_)) => {
                return Err(RemoteFactoryError { message: "a GitHub App has no token yet".to_owned() });
            }
            None => None,
        };
        connect(url, login.as_ref(), &options, local).map_err(|error| RemoteFactoryError { message: error.to_string() })
    }
}
