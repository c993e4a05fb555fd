//! A shared bare repository in memory, for tests and simulation: with server rules, faults on order, and its whole
//! state cheap to copy and put back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::commit::{CommitError, CommitPlan};
use crate::edit::Edit;
use crate::id::CommitId;
use crate::object::GitObject;
use crate::reach::select;
use crate::receive::{Rule, receive};
use crate::remote::{FetchReply, FetchRequest, RefList, RefReply, RefUpdate, Remote, RemoteError, printable};
use crate::repository::Repository;

/// What goes wrong with the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No connection: nothing happens.
    Unreachable,
    /// A push is done, but its answer is lost. Another request is answered as if unreachable.
    LoseReply,
    /// A push breaks half way: its answer is lost and no reference moved.
    BreakPush,
}

/// How many requests were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestCounts {
    /// Lists of references: the polls.
    pub lists: u64,
    /// Fetches.
    pub fetches: u64,
    /// Pushes, refused ones included.
    pub pushes: u64,
}

/// A bare repository in memory. A clone is another handle to the same repository; [`MemoryRemote::fork`] gives an
/// independent one.
#[derive(Debug, Clone)]
pub struct MemoryRemote {
    name: Arc<str>,
    state: Arc<Mutex<MemorySnapshot>>,
}

/// A commit of somebody who is quicker than a push.
#[derive(Debug, Clone)]
struct Rival {
    branch: String,
    edits: Vec<Edit>,
    plan: CommitPlan,
}

/// The whole state of a [`MemoryRemote`] at one moment.
#[derive(Debug, Clone, Default)]
pub struct MemorySnapshot {
    repository: Repository,
    is_gone: bool,
    rivals: VecDeque<Rival>,
    rules: Vec<Rule>,
    faults: VecDeque<Fault>,
    push_faults: VecDeque<Fault>,
    counts: RequestCounts,
}

impl MemoryRemote {
    /// Makes an empty repository; the name shows in logs.
    pub fn new(name: &str) -> Self {
        Self::from_repository(name, Repository::in_memory())
    }

    /// Serves a repository that exists.
    pub fn from_repository(name: &str, repository: Repository) -> Self {
        let state = MemorySnapshot { repository, ..MemorySnapshot::default() };
        Self { name: name.into(), state: Arc::new(Mutex::new(state)) }
    }

    fn state(&self) -> MutexGuard<'_, MemorySnapshot> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the whole state: objects, references, rules, pending faults, counts.
    pub fn snapshot(&self) -> MemorySnapshot {
        self.state().clone()
    }

    /// Puts a state back, for all handles.
    pub fn restore(&self, snapshot: &MemorySnapshot) {
        *self.state() = snapshot.clone();
    }

    /// Returns an independent remote that begins with the same state.
    #[must_use]
    pub fn fork(&self) -> Self {
        Self { name: Arc::clone(&self.name), state: Arc::new(Mutex::new(self.snapshot())) }
    }

    /// Returns a copy of the repository to look at.
    pub fn repository(&self) -> Repository {
        self.state().repository.clone()
    }

    /// Changes the repository directly, past rules and faults.
    pub fn with_repository<T>(&self, change: impl FnOnce(&mut Repository) -> T) -> T {
        change(&mut self.state().repository)
    }

    /// Commits to a branch as a person would who is always up to date; makes the branch when it is missing.
    ///
    /// # Errors
    /// When an edit or a text is refused.
    pub fn commit(&self, branch: &str, edits: &[Edit], plan: &CommitPlan) -> Result<CommitId, CommitError> {
        self.state().repository.commit_to_branch(branch, edits, plan)
    }

    /// Where a branch is.
    pub fn head(&self, branch: &str) -> Option<CommitId> {
        self.state().repository.resolve(&format!("refs/heads/{branch}")).ok().flatten()
    }

    /// Adds a rule for pushes.
    pub fn add_rule(&self, rule: Rule) {
        self.state().rules.push(rule);
    }

    /// Drops all rules.
    pub fn clear_rules(&self) {
        self.state().rules.clear();
    }

    /// Lets the next request fail; several faults hit one request each, in order.
    pub fn inject(&self, fault: Fault) {
        self.state().faults.push_back(fault);
    }

    /// Lets the next push fail, whatever is asked before it.
    pub fn inject_on_push(&self, fault: Fault) {
        self.state().push_faults.push_back(fault);
    }

    /// Takes the repository away: every request is answered as by a server that does not know it.
    pub fn take_away(&self) {
        self.state().is_gone = true;
    }

    /// Brings the repository back as it was.
    pub fn bring_back(&self) {
        self.state().is_gone = false;
    }

    /// Lets somebody else commit to a branch right before the next push is received: the pusher has looked at the branch
    /// already and loses the race.
    pub fn commit_before_next_push(&self, branch: &str, edits: &[Edit], plan: &CommitPlan) {
        let rival = Rival { branch: branch.to_owned(), edits: edits.to_vec(), plan: plan.clone() };
        self.state().rivals.push_back(rival);
    }

    /// How many requests were made so far.
    pub fn requests(&self) -> RequestCounts {
        self.state().counts
    }

    fn not_found(&self) -> RemoteError {
        RemoteError::NotFound { remote: self.describe() }
    }

    fn unreachable(&self) -> RemoteError {
        RemoteError::Unreachable { remote: self.describe(), why: "connection refused".to_owned() }
    }

    fn object_error(&self, source: crate::object::ObjectError) -> RemoteError {
        RemoteError::Object { remote: self.describe(), source }
    }
}

impl Remote for MemoryRemote {
    fn describe(&self) -> String {
        self.name.to_string()
    }

    fn list_refs(&self) -> Result<RefList, RemoteError> {
        let mut state = self.state();
        state.counts.lists += 1;
        if state.is_gone {
            return Err(self.not_found());
        }
        if state.faults.pop_front().is_some() {
            return Err(self.unreachable());
        }
        state.repository.refs().map_err(|error| self.object_error(error))
    }

    fn fetch(&self, request: &FetchRequest) -> Result<FetchReply, RemoteError> {
        let repository = {
            let mut state = self.state();
            state.counts.fetches += 1;
            if state.is_gone {
                return Err(self.not_found());
            }
            if state.faults.pop_front().is_some() {
                return Err(self.unreachable());
            }
            state.repository.clone()
        };
        serve_fetch(&repository, request, &self.describe())
    }

    fn push(&self, updates: &[RefUpdate], objects: &[GitObject]) -> Result<Vec<RefReply>, RemoteError> {
        let mut state = self.state();
        state.counts.pushes += 1;
        if state.is_gone {
            return Err(self.not_found());
        }
        let lost = || RemoteError::LostReply { remote: self.describe(), why: "connection reset".to_owned() };
        let fault = state.faults.pop_front().or_else(|| state.push_faults.pop_front());
        match fault {
            Some(Fault::Unreachable) => return Err(self.unreachable()),
            Some(Fault::BreakPush) => return Err(lost()),
            Some(Fault::LoseReply) | None => {}
        }
        if let Some(Rival { branch, edits, plan }) = state.rivals.pop_front() {
            let committed = state.repository.commit_to_branch(&branch, &edits, &plan);
            committed.map_err(|error| RemoteError::Refused { remote: self.describe(), message: error.to_string() })?;
        }
        let rules = state.rules.clone();
        let replies = receive(&mut state.repository, &rules, updates, objects);
        let replies = replies.map_err(|error| self.object_error(error))?;
        if fault.is_some() { Err(lost()) } else { Ok(made_printable(replies)) }
    }
}

pub(crate) fn made_printable(mut replies: Vec<RefReply>) -> Vec<RefReply> {
    for reply in &mut replies {
        reply.refused = reply.refused.take().map(|words| printable(&words));
    }
    replies
}

/// Answers a fetch out of a repository that is at hand.
pub(crate) fn serve_fetch(
    repository: &Repository,
    request: &FetchRequest,
    remote: &str,
) -> Result<FetchReply, RemoteError> {
    use crate::object::ObjectError;
    select(repository, request).map_err(|source| match source {
        ObjectError::Missing { id } if request.wants.contains(&id) => {
            RemoteError::Refused { remote: remote.to_owned(), message: format!("not our ref {id}") }
        }
        ObjectError::TooLarge { .. } | ObjectError::TooMany { .. } => {
            RemoteError::TooLarge { remote: remote.to_owned(), why: source.to_string() }
        }
        source => RemoteError::Object { remote: remote.to_owned(), source },
    })
}
