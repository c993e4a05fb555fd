//! Where a script is played: a cluster, variables, open watches, and what has been seen so far.

use std::any::{Any, TypeId};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use serde_json::Value;

use crate::normalise::Shown;
use crate::script::{Call, Script, ScriptError};
use crate::transcript::{Entry, Transcript};
use crate::transport::Transport;
use crate::variables::Variables;
use crate::watches::Watches;

/// What a verb does with a call; its error is a message without a place.
pub type Play = for<'a> fn(&'a mut Stage, &'a Call) -> Playing<'a>;

/// A call that is being played. It stays on its thread, so that a stage may hold anything.
pub type Playing<'a> = Pin<Box<dyn Future<Output = Result<(), String>> + 'a>>;

/// One word with which a line can begin.
#[derive(Clone, Copy)]
pub struct Verb {
    /// The word.
    pub name: &'static str,
    /// How a line with it looks.
    pub usage: &'static str,
    /// What it does.
    pub play: Play,
}

impl fmt::Debug for Verb {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Verb({})", self.name)
    }
}

/// The verbs that scripts may use.
#[derive(Debug, Clone, Default)]
pub struct Verbs {
    table: BTreeMap<&'static str, Verb>,
}

impl Verbs {
    /// Returns the verbs that need nothing but a cluster.
    pub fn of_requests() -> Self {
        let mut verbs = Self::default();
        for table in [crate::verbs::REQUESTS, crate::verbs::WATCHES, crate::verbs::WAITS, crate::verbs::PROGRAMS] {
            verbs.add(table);
        }
        verbs
    }

    /// Adds verbs; a later one of the same name takes the place of the earlier.
    pub fn add(&mut self, table: &[Verb]) {
        self.table.extend(table.iter().map(|verb| (verb.name, *verb)));
    }

    /// Describes every verb in a line of its own.
    pub fn usage(&self) -> String {
        let lines: Vec<&str> = self.table.values().map(|verb| verb.usage).collect();
        lines.join("\n")
    }
}

/// The last answer of the cluster, for expectations and variables.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body; a text that is not JSON is a JSON string.
    pub body: Value,
}

/// One play of one script.
pub struct Stage {
    /// The way to the cluster.
    pub cluster: Arc<dyn Transport>,
    /// The namespace of addresses that name none.
    pub namespace: String,
    /// Values that later lines use by `$name`.
    pub variables: Variables,
    /// The last answer.
    pub answer: Answer,
    /// What was seen.
    pub transcript: Transcript,
    /// What of it is kept.
    pub shown: Shown,
    /// The path of a kubeconfig that leads to the cluster, for verbs that start programs.
    pub kubeconfig: Option<String>,
    /// Paths of objects of the whole cluster that the script has made and that have to go after it.
    pub made: Vec<String>,
    pub(crate) watches: Watches,
    properties: BTreeMap<TypeId, Box<dyn Any>>,
}

impl fmt::Debug for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Stage({})", self.namespace)
    }
}

impl Stage {
    /// Sets a stage in `namespace` of a cluster.
    pub fn new(cluster: Arc<dyn Transport>, namespace: &str) -> Self {
        let mut variables = Variables::default();
        variables.set("ns", namespace);
        Self {
            cluster,
            namespace: namespace.to_owned(),
            variables,
            answer: Answer::default(),
            transcript: Transcript::default(),
            shown: Shown::default(),
            kubeconfig: None,
            made: Vec::new(),
            watches: Watches::default(),
            properties: BTreeMap::new(),
        }
    }

    /// Puts something on the stage that verbs of another crate share, in place of one of the same type.
    pub fn put<T: Any>(&mut self, property: T) {
        self.properties.insert(TypeId::of::<T>(), Box::new(property));
    }

    /// Returns what was put on the stage.
    pub fn property<T: Any>(&mut self) -> Option<&mut T> {
        self.properties.get_mut(&TypeId::of::<T>())?.downcast_mut()
    }

    /// Plays a script from its first line to its last, or to the first that fails.
    ///
    /// # Errors
    ///
    /// Names the line and what went wrong in it.
    pub async fn play(&mut self, script: &Script, verbs: &Verbs) -> Result<(), ScriptError> {
        for call in &script.calls {
            let fail = |message: String| ScriptError { script: script.name.clone(), line: call.line, message };
            let Some(verb) = verbs.table.get(call.verb.as_str()) else {
                let known: Vec<&str> = verbs.table.keys().copied().collect();
                return Err(fail(format!("unknown verb `{}`; known are {}", call.verb, known.join(", "))));
            };
            let call = self.variables.fill(call).map_err(fail)?;
            (verb.play)(self, &call).await.map_err(fail)?;
        }
        Ok(())
    }

    /// Adds to what was seen.
    pub fn record(&mut self, call: &Call, status: Option<u16>, headers: Vec<(String, String)>, body: Value) {
        let only = match call.option("only") {
            _ if call.has("quiet") => Some(Vec::new()),
            Some(paths) => Some(paths.split(',').map(str::to_owned).collect()),
            None => None,
        };
        self.transcript.entries.push(Entry { call: call.text.clone(), status, headers, body, only });
    }
}
