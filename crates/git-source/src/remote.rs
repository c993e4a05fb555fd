//! What a repository elsewhere must offer: list its references, give objects, take objects and move references.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::id::{CommitId, GitId};
use crate::object::{GitObject, ObjectError};

/// Whether an operation that failed is worth another try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// At once, from a fresh observation.
    Now,
    /// After a pause of at least this long.
    After(Duration),
    /// Not before someone changes something.
    Never,
}

/// The references of a remote repository.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefList {
    /// The branch that `HEAD` names, such as `refs/heads/main`.
    pub head: Option<String>,
    /// Every reference by its full name.
    pub refs: BTreeMap<String, GitId>,
    /// For annotated tags: the object behind the tag.
    pub peeled: BTreeMap<String, GitId>,
}

impl RefList {
    /// Finds a branch, a tag, a full reference name or `HEAD`, in this order of preference for short names:
    /// branch, then tag. Returns the full name and the id, peeled where it is known.
    pub fn resolve(&self, reference: &str) -> Option<(String, GitId)> {
        let full = |name: String| {
            let id = self.peeled.get(&name).or_else(|| self.refs.get(&name))?;
            Some((name, *id))
        };
        match reference {
            "HEAD" => full(self.head.clone()?),
            name if name.starts_with("refs/") => full(name.to_owned()),
            name => full(format!("refs/heads/{name}")).or_else(|| full(format!("refs/tags/{name}"))),
        }
    }
}

/// How much one transfer may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferLimits {
    /// The largest pack or reply, in bytes.
    pub reply_bytes_max: u64,
    /// The most objects.
    pub objects_max: usize,
    /// The largest single object, in bytes.
    pub object_bytes_max: u64,
    /// All objects together after unpacking, in bytes.
    pub total_bytes_max: u64,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self {
            reply_bytes_max: 256 << 20,
            objects_max: 1_000_000,
            object_bytes_max: 64 << 20,
            total_bytes_max: 1 << 30,
        }
    }
}

/// What a fetch asks for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchRequest {
    /// The objects wanted, with all that they need.
    pub wants: Vec<GitId>,
    /// Commits that the asker has, with all that they need.
    pub haves: Vec<CommitId>,
    /// Commits of the asker whose parents it does not have.
    pub shallow: Vec<CommitId>,
    /// How many commits deep; `None` for all of the history.
    pub depth: Option<u32>,
    /// How much may come.
    pub limits: TransferLimits,
}

/// What a fetch brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FetchReply {
    /// The objects, in no promised order.
    pub objects: Vec<GitObject>,
    /// Commits whose parents were left out on purpose.
    pub shallow: Vec<CommitId>,
    /// Commits that were shallow at the asker and no longer are.
    pub unshallow: Vec<CommitId>,
    /// Which of the asker's commits are known; empty when the remote did not say.
    pub common: Vec<CommitId>,
}

/// A compare-and-swap of one reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefUpdate {
    /// The full name, such as `refs/heads/main`.
    pub name: String,
    /// What the reference must point to now; `None` when it must not exist.
    pub old: Option<GitId>,
    /// What it shall point to; `None` to delete it.
    pub new: Option<GitId>,
}

/// The answer to one update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefReply {
    /// The full name of the reference.
    pub name: String,
    /// Nothing when it was moved; else the words of the remote, made printable. They don't tell a race from a rule:
    /// list the references to know.
    pub refused: Option<String>,
}

/// A repository elsewhere. Calls block until they are answered or time out.
pub trait Remote: Send + Sync {
    /// The place in words fit for logs: never a credential.
    fn describe(&self) -> String;

    /// Lists the references.
    ///
    /// # Errors
    /// When the remote can't be reached, refuses, or answers nonsense.
    fn list_refs(&self) -> Result<RefList, RemoteError>;

    /// Lists the references, those that begin with `prefix` among them: a server may keep some, such as those of pull
    /// requests, for who asks.
    ///
    /// # Errors
    /// As [`Remote::list_refs`].
    fn list_refs_under(&self, prefix: &str) -> Result<RefList, RemoteError> {
        let _ = prefix;
        self.list_refs()
    }

    /// Fetches objects.
    ///
    /// # Errors
    /// As [`Remote::list_refs`], and when the reply is larger than its limits or an object is not there.
    fn fetch(&self, request: &FetchRequest) -> Result<FetchReply, RemoteError>;

    /// Sends objects and moves references: all of them or none.
    ///
    /// # Errors
    /// When the remote gave no verdict; after [`RemoteError::LostReply`] the references may have moved nevertheless.
    fn push(&self, updates: &[RefUpdate], objects: &[GitObject]) -> Result<Vec<RefReply>, RemoteError>;
}

/// Why a remote gave no answer that counts.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No connection, or it broke before the request was sent.
    #[error("failed to reach {remote}: {why}")]
    Unreachable {
        /// The remote.
        remote: String,
        /// What the connection said.
        why: String,
    },
    /// The address is not allowed by the egress policy.
    #[error("{remote} is not allowed by the egress policy: {why}")]
    Blocked {
        /// The remote.
        remote: String,
        /// Which address or scheme it was.
        why: String,
    },
    /// No repository is there, or it is hidden from this credential.
    #[error("{remote} has no repository there")]
    NotFound {
        /// The remote.
        remote: String,
    },
    /// The credential is missing or not accepted.
    #[error("{remote} refused the credential")]
    Unauthorized {
        /// The remote.
        remote: String,
    },
    /// The remote refused the whole request.
    #[error("{remote} refused: {message}")]
    Refused {
        /// The remote.
        remote: String,
        /// Its words, made printable.
        message: String,
    },
    /// The answer did not come in time.
    #[error("{remote} did not answer in time")]
    TimedOut {
        /// The remote.
        remote: String,
    },
    /// The push was sent, but its answer did not arrive.
    #[error("the answer of {remote} to a push was lost: {why}")]
    LostReply {
        /// The remote.
        remote: String,
        /// What happened instead.
        why: String,
    },
    /// The answer is larger than the limit.
    #[error("the answer of {remote} is larger than the limit: {why}")]
    TooLarge {
        /// The remote.
        remote: String,
        /// Which limit it was.
        why: String,
    },
    /// The answer does not follow the Git protocol.
    #[error("{remote} does not answer as a Git server: {why}")]
    Protocol {
        /// The remote.
        remote: String,
        /// What was wrong.
        why: String,
    },
    /// An object could not be read or written.
    #[error("failed to read or write an object of {remote}")]
    Object {
        /// The remote.
        remote: String,
        /// Why.
        source: ObjectError,
    },
}

impl RemoteError {
    /// A short name for metrics and Events.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "Unreachable",
            Self::Blocked { .. } => "Blocked",
            Self::NotFound { .. } => "RepositoryNotFound",
            Self::Unauthorized { .. } => "Unauthorized",
            Self::Refused { .. } => "Refused",
            Self::TimedOut { .. } => "TimedOut",
            Self::LostReply { .. } => "LostReply",
            Self::TooLarge { .. } => "TooLarge",
            Self::Protocol { .. } => "Protocol",
            Self::Object { .. } => "Object",
        }
    }

    /// Whether another try may help.
    pub fn retry(&self) -> Retry {
        match self {
            Self::LostReply { .. } => Retry::Now,
            Self::Unreachable { .. } | Self::TimedOut { .. } => Retry::After(Duration::from_secs(5)),
            Self::NotFound { .. } | Self::Unauthorized { .. } | Self::Refused { .. } | Self::Protocol { .. } => {
                Retry::After(Duration::from_secs(60))
            }
            Self::Object { .. } => Retry::After(Duration::from_secs(60)),
            Self::Blocked { .. } | Self::TooLarge { .. } => Retry::Never,
        }
    }
}

/// Makes the words of a remote printable: control characters go, long texts are cut.
pub(crate) fn printable(text: &str) -> String {
    const CHARACTERS_MAX: usize = 500;
    let visible = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if c.is_control()
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}') =>
        {
            '\u{fffd}'
        }
        c => c,
    };
    let line: String = text.trim().chars().take(CHARACTERS_MAX).map(visible).collect();
    line.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
