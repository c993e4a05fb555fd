//! What the verbs of scenarios act on: a [`Setting`], the operator as a process, and what has to be remembered.

pub(crate) mod kinds;
mod operator;
mod unready;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use git_source::RequestCounts;
use object_model::Object;
use sim_traffic::Behaviour;

pub(crate) use operator::{OperatorProcess, webhook_secret};
pub(crate) use unready::{Unready, end as end_unready};

use crate::condition::Condition;
use crate::setting::Setting;

/// How often what must never be is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The world of one play; copies share it.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) setting: Setting,
    pub(crate) operator: Arc<OperatorProcess>,
    pub(crate) fixtures: PathBuf,
    notes: Arc<Mutex<Notes>>,
}

/// What has to be remembered in a play.
#[derive(Default)]
pub(crate) struct Notes {
    /// What must not come true, with the line that says so.
    pub(crate) nevers: Vec<Never>,
    /// How images behave.
    pub(crate) behaviours: BTreeMap<String, Behaviour>,
    /// Pods that are kept from being ready.
    pub(crate) unready: Vec<Unready>,
    /// Objects of the whole cluster that people made.
    pub(crate) made: Vec<Object>,
    /// Users who are refused something on purpose.
    pub(crate) refused: std::collections::BTreeSet<String>,
    /// Where the counts of Git requests begin.
    pub(crate) git_requests: RequestCounts,
}

/// Something that must not come true.
#[derive(Clone)]
pub(crate) struct Never {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) condition: Condition,
}

impl World {
    /// Begins a world; `fixtures` is the folder of files that scenarios name.
    pub(crate) fn new(setting: Setting, fixtures: &Path) -> Self {
        Self { setting, operator: Arc::default(), fixtures: fixtures.to_path_buf(), notes: Arc::default() }
    }

    /// What is remembered.
    pub(crate) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a text of the fixtures.
    pub(crate) fn fixture(&self, path: &str) -> Result<String, String> {
        let file = self.fixtures.join(path);
        std::fs::read_to_string(&file).map_err(|error| format!("fixtures/{path}: {error}"))
    }

    /// Requests to Git since they were last counted from zero.
    pub(crate) fn git_requests(&self) -> RequestCounts {
        let counts = self.setting.fleet.memory().map(git_source::MemoryRemote::requests).unwrap_or_default();
        let begin = self.notes().git_requests;
        RequestCounts {
            lists: counts.lists - begin.lists,
            fetches: counts.fetches - begin.fetches,
            pushes: counts.pushes - begin.pushes,
        }
    }

    /// Counts requests of visitors, of the operator and to Git from zero.
    pub(crate) fn count_from_zero(&self) {
        self.setting.with_traffic(sim_traffic::Traffic::reset_report);
        self.setting.overheard.forget();
        let counts = self.setting.fleet.memory().map(git_source::MemoryRemote::requests).unwrap_or_default();
        self.notes().git_requests = counts;
    }

    /// Watches over the play until something that must not be is so; returns what.
    pub(crate) async fn guard(&self) -> String {
        loop {
            tokio::select! {
                biased;
                () = self.setting.overheard.trap.sprung() => self.operator.crash().await,
                () = tokio::time::sleep(LOOK_EVERY) => {
                    unready::keep(self).await;
                    if let Some(violated) = self.violated().await {
                        return violated;
                    }
                }
            }
        }
    }

    /// What a scenario says about refusals, where none came: it would prove nothing.
    pub(crate) fn unrefused(&self) -> Option<String> {
        const FORBIDDEN: u16 = 403;
        let expected = self.notes().refused.clone();
        let asked = self.setting.overheard.asked();
        let was_refused = |user: &String| {
            asked.iter().any(|asked| asked.status == FORBIDDEN && asked.acted_as.as_ref() == Some(user))
        };
        let never = expected.into_iter().find(|user| !was_refused(user))?;
        Some(format!("nothing was refused to {never}"))
    }

    /// The first thing that must not be and is so.
    pub(crate) async fn violated(&self) -> Option<String> {
        let nevers = self.notes().nevers.clone();
        for never in nevers {
            match never.condition.judge(self).await {
                Ok(verdict) if !verdict.holds => {}
                Ok(verdict) => return Some(format!("line {}: {}: it is so: {}", never.line, never.text, verdict.seen)),
                Err(message) => return Some(format!("line {}: {message}", never.line)),
            }
        }
        None
    }
}
