//! A repository in a directory of this machine, spoken to as a remote: what a `file://` address or a path means.

use std::path::{Path, PathBuf};

use crate::disk::OpenError;
use crate::memory::{made_printable, serve_fetch};
use crate::object::GitObject;
use crate::receive::{Rule, receive};
use crate::remote::{FetchReply, FetchRequest, RefList, RefReply, RefUpdate, Remote, RemoteError};
use crate::repository::Repository;

/// A repository on disk, bare or with a checkout, whose files are never touched. It is opened for every request, so
/// packing or replacing it by other programs is harmless.
#[derive(Debug, Clone)]
pub struct LocalRemote {
    path: PathBuf,
    rules: Vec<Rule>,
}

impl LocalRemote {
    /// Takes the path of a repository; nothing is opened yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), rules: Vec::new() }
    }

    /// Takes a path or a `file://` address; `None` for an address of another kind.
    pub fn parse(address: &str) -> Option<Self> {
        match address.split_once("://") {
            Some(("file", path)) if path.starts_with('/') => Some(Self::new(percent_decode(path)?)),
            Some(_) => None,
            None => Some(Self::new(address)),
        }
    }

    /// Adds a rule for pushes that come through this value.
    #[must_use]
    pub fn with_rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// The path of the repository.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn open(&self) -> Result<Repository, RemoteError> {
        let remote = self.describe();
        Repository::open(&self.path).map_err(|error| match error {
            OpenError::NotARepository { .. } => RemoteError::NotFound { remote },
            error @ OpenError::Io { .. } => {
                let why = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
                RemoteError::Unreachable { remote, why }
            }
            error => RemoteError::Protocol { remote, why: error.to_string() },
        })
    }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let pair = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

impl Remote for LocalRemote {
    fn describe(&self) -> String {
        self.path.display().to_string()
    }

    fn list_refs(&self) -> Result<RefList, RemoteError> {
        let repository = self.open()?;
        repository.refs().map_err(|source| RemoteError::Object { remote: self.describe(), source })
    }

    fn fetch(&self, request: &FetchRequest) -> Result<FetchReply, RemoteError> {
        serve_fetch(&self.open()?, request, &self.describe())
    }

    fn push(&self, updates: &[RefUpdate], objects: &[GitObject]) -> Result<Vec<RefReply>, RemoteError> {
        let mut repository = self.open()?;
        let replies = receive(&mut repository, &self.rules, updates, objects);
        let replies = replies.map_err(|source| RemoteError::Object { remote: self.describe(), source })?;
        Ok(made_printable(replies))
    }
}
