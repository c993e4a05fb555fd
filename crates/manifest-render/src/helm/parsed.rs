//! Parsed templates of a chart, kept for its next render.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use go_template::{MissingKey, Templates};

/// How many sets a chart keeps: what is switched on and off differs between releases, seldom more than that.
const SETS_MAX: usize = 4;

/// What a set was parsed from. The texts are held, not only looked at, so that their memory is nobody else's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Whether the functions are those of the linter.
    pub(crate) is_lenient: bool,
    /// What a missing key is.
    pub(crate) missing: MissingKey,
    /// Names and texts in the order in which they are parsed.
    pub(crate) texts: Vec<(String, Bytes)>,
}

/// The sets of a chart; its copies share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct ParsedSets(Arc<Mutex<Vec<Kept>>>);

#[derive(Debug)]
struct Kept {
    origin: Origin,
    set: Arc<Templates>,
}

impl ParsedSets {
    /// Returns the set of this origin, when it is kept.
    pub(crate) fn get(&self, origin: &Origin) -> Option<Arc<Templates>> {
        let sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sets.iter().find(|kept| kept.origin == *origin).map(|kept| kept.set.clone())
    }

    /// Keeps a set; the oldest goes when there are too many.
    pub(crate) fn keep(&self, origin: Origin, set: &Arc<Templates>) {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= SETS_MAX {
            sets.remove(0);
        }
        sets.push(Kept { origin, set: set.clone() });
    }
}
