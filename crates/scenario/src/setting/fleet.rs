//! The repository that the operator watches, and the people who commit to it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use git_source::server::{GitServer, RunningGitServer};
use git_source::{CommitPlan, Edit, MemoryRemote, Message, Person, Repository, Trailers};
use object_model::Timestamp;

/// What went wrong in the repository.
#[derive(Debug, thiserror::Error)]
#[error("repository: {what}")]
pub struct FleetError {
    what: String,
}

fn fail(what: impl std::fmt::Display) -> FleetError {
    FleetError { what: what.to_string() }
}

/// One commit of a person.
#[derive(Debug, Clone, Default)]
pub struct Change<'a> {
    /// First line.
    pub subject: &'a str,
    /// Author as `NAME <EMAIL>`.
    pub author: &'a str,
    /// Trailers.
    pub trailers: &'a [(&'a str, &'a str)],
    /// Files by path; `None` deletes.
    pub files: Vec<(String, Option<Vec<u8>>)>,
}

impl Change<'_> {
    /// What Git is told.
    ///
    /// # Errors
    /// When an author, a time or a text is none.
    pub fn plan(&self, now: Timestamp) -> Result<(Vec<Edit>, CommitPlan), FleetError> {
        let (name, email) =
            self.author.trim_end_matches('>').split_once(" <").ok_or_else(|| fail("an author is NAME <EMAIL>"))?;
        let author = Person::new(name, email).map_err(fail)?;
        let mut trailers = Trailers::new();
        for (key, value) in self.trailers {
            trailers.add(key, value).map_err(fail)?;
        }
        let message = Message::new(self.subject).map_err(fail)?.with_trailers(trailers);
        let time = Timestamp::from_second(now.as_second()).map_err(fail)?;
        let plan = CommitPlan { author: author.clone(), committer: author, time, message };
        let edits: Vec<Edit> = self
            .files
            .iter()
            .map(|(path, bytes)| match bytes {
                Some(bytes) => Edit::put(path, bytes.clone()),
                None => Edit::delete(path),
            })
            .collect();
        Ok((edits, plan))
    }
}

#[derive(Clone)]
enum Place {
    Memory(MemoryRemote),
    Disk { path: PathBuf, repository: Arc<Mutex<Repository>> },
    Served { remote: MemoryRemote, server: Arc<RunningGitServer> },
}

/// A bare repository with one branch, `main`.
#[derive(Clone)]
pub struct Fleet {
    place: Place,
}

/// Where a repository in memory seems to be.
const MEMORY_URL: &str = "https://git.example.com/acme/fleet.git";

/// The path of a repository that is served.
const SERVED_PATH: &str = "acme/fleet.git";

/// The branch of the fleet.
pub const BRANCH: &str = "main";

impl Fleet {
    /// A repository in memory.
    pub fn in_memory() -> Self {
        Self { place: Place::Memory(MemoryRemote::new(MEMORY_URL)) }
    }

    /// A bare repository in `folder/fleet.git`.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn on_disk(folder: &Path) -> Result<Self, FleetError> {
        let path = folder.join("fleet.git");
        let repository = Repository::init_bare(&path, BRANCH).map_err(fail)?;
        Ok(Self { place: Place::Disk { path, repository: Arc::new(Mutex::new(repository)) } })
    }

    /// A repository in memory that a server of this process offers over HTTP, on a free port of loopback.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn served() -> Result<Self, FleetError> {
        let remote = MemoryRemote::new(SERVED_PATH);
        let server = GitServer::new().with_repository(SERVED_PATH, Arc::new(remote.clone()));
        let server = server.serve(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.map_err(fail)?;
        Ok(Self { place: Place::Served { remote, server: Arc::new(server) } })
    }

    /// An independent copy; only a repository in memory has one.
    pub fn fork(&self) -> Option<Self> {
        match &self.place {
            Place::Memory(remote) => Some(Self { place: Place::Memory(remote.fork()) }),
            Place::Disk { .. } | Place::Served { .. } => None,
        }
    }

    /// The URL that configs name.
    pub fn url(&self) -> String {
        match &self.place {
            Place::Memory(_) => MEMORY_URL.to_owned(),
            Place::Disk { path, .. } => format!("file://{}", path.display()),
            Place::Served { server, .. } => server.url(SERVED_PATH),
        }
    }

    /// The remote in memory, when that is what it is; a server may stand in front of it.
    pub fn memory(&self) -> Option<&MemoryRemote> {
        match &self.place {
            Place::Memory(remote) | Place::Served { remote, .. } => Some(remote),
            Place::Disk { .. } => None,
        }
    }

    /// The remote that an operator reaches without a protocol.
    pub(super) fn in_process(&self) -> Option<&MemoryRemote> {
        match &self.place {
            Place::Memory(remote) => Some(remote),
            Place::Disk { .. } | Place::Served { .. } => None,
        }
    }

    /// Commits to `main` and returns the id.
    ///
    /// # Errors
    /// When the commit can't be made.
    pub fn commit(&self, change: &Change<'_>, now: Timestamp) -> Result<String, FleetError> {
        let (edits, plan) = change.plan(now)?;
        match &self.place {
            Place::Memory(remote) | Place::Served { remote, .. } => {
                remote.commit(BRANCH, &edits, &plan).map(|commit| commit.to_string()).map_err(fail)
            }
            Place::Disk { repository, .. } => {
                let mut repository = repository.lock().unwrap_or_else(PoisonError::into_inner);
                let parent = repository.resolve(BRANCH).map_err(fail)?;
                let commit = repository.commit(parent, &edits, &plan).map_err(fail)?;
                repository.set_branch(BRANCH, commit).map_err(fail)?;
                Ok(commit.to_string())
            }
        }
    }

    /// The head of `main`.
    pub fn head(&self) -> Option<String> {
        self.read_with(|repository| repository.resolve(BRANCH).ok().flatten().map(|commit| commit.to_string()))
    }

    /// A file at the head.
    pub fn read(&self, path: &str) -> Option<Vec<u8>> {
        self.read_at(BRANCH, path)
    }

    /// A file at a branch or commit.
    pub fn read_at(&self, revision: &str, path: &str) -> Option<Vec<u8>> {
        self.read_with(|repository| {
            let tree = tree(repository, revision)?;
            tree.read(path).ok().map(|bytes| bytes.to_vec())
        })
    }

    /// The files below a path at the head.
    pub fn files(&self, path: &str) -> Vec<String> {
        self.read_with(|repository| Some(tree(repository, BRANCH)?.files(path).ok()?.keys().cloned().collect()))
            .unwrap_or_default()
    }

    /// The history of `main`, newest first.
    pub fn log(&self, limit: usize) -> Vec<git_source::LogEntry> {
        self.read_with(|repository| {
            let head = repository.resolve(BRANCH).ok().flatten()?;
            repository.log(head, "", limit).ok().map(|log| log.entries)
        })
        .unwrap_or_default()
    }

    fn read_with<T>(&self, read: impl FnOnce(&Repository) -> Option<T>) -> Option<T> {
        match &self.place {
            Place::Memory(remote) | Place::Served { remote, .. } => read(&remote.repository()),
            Place::Disk { path, .. } => read(&Repository::open(path).ok()?),
        }
    }
}

fn tree(repository: &Repository, revision: &str) -> Option<git_source::Tree> {
    let commit = match git_source::GitId::parse(revision) {
        Ok(id) => id,
        Err(_) => repository.resolve(revision).ok().flatten()?,
    };
    repository.tree_at(commit).ok()
}
