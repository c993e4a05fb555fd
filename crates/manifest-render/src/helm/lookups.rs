//! What charts look up in a cluster, without a cluster: answers that were fetched before, and what is asked for besides.
//!
//! A render stays pure: it is given the answers that are known. When it asked for more, whoever renders fetches that and
//! renders again, until nothing new is asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use go_template::functions::{Lookup, LookupError};
use serde_json::{Map, Value};

/// Most things that one render looks up.
const QUERIES_MAX: usize = 256;

/// One `lookup` of a template.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LookupQuery {
    /// Group and version, such as `apps/v1`.
    pub api_version: String,
    /// Kind.
    pub kind: String,
    /// Namespace; empty for all, and for kinds without.
    pub namespace: String,
    /// Name; empty for the list of all objects.
    pub name: String,
}

/// An object, a list, an empty mapping for what is not there, or why the cluster did not say.
pub type LookupAnswer = Result<Value, String>;

/// The answers that are known, and what was asked for.
#[derive(Debug, Default)]
pub struct Lookups {
    answers: BTreeMap<LookupQuery, LookupAnswer>,
    asked: Mutex<BTreeSet<LookupQuery>>,
}

impl Lookups {
    /// Knows these answers.
    pub fn new(answers: BTreeMap<LookupQuery, LookupAnswer>) -> Self {
        Self { answers, asked: Mutex::default() }
    }

    /// Everything that was asked for, known or not.
    pub fn asked(&self) -> BTreeSet<LookupQuery> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What was asked for and is not known: nothing was found instead, so the render means nothing.
    pub fn unknown(&self) -> BTreeSet<LookupQuery> {
        self.asked().into_iter().filter(|query| !self.answers.contains_key(query)).collect()
    }
}

impl PartialEq for Lookups {
    fn eq(&self, other: &Self) -> bool {
        self.answers == other.answers
    }
}

impl Eq for Lookups {}

impl Lookup for Lookups {
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Result<Value, LookupError> {
        let [api_version, kind, namespace, name] = [api_version, kind, namespace, name].map(str::to_owned);
        let query = LookupQuery { api_version, kind, namespace, name };
        let answer = self.answers.get(&query).cloned();
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() >= QUERIES_MAX && !asked.contains(&query) {
            return Err(LookupError(format!("a render looks up at most {QUERIES_MAX} different things")));
        }
        asked.insert(query);
        answer.unwrap_or_else(|| Ok(Value::Object(Map::new()))).map_err(LookupError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_not_known_is_not_found_and_noted() {
        let query = |name: &str| LookupQuery {
            api_version: "v1".to_owned(),
            kind: "Secret".to_owned(),
            namespace: "qa".to_owned(),
            name: name.to_owned(),
        };
        let known = [(query("a"), Ok(json!({"kind": "Secret"}))), (query("b"), Err("forbidden".to_owned()))];
        let lookups = Lookups::new(known.into_iter().collect());
        assert_eq!(lookups.lookup("v1", "Secret", "qa", "a").unwrap(), json!({"kind": "Secret"}));
        assert!(lookups.lookup("v1", "Secret", "qa", "b").is_err());
        assert_eq!(lookups.lookup("v1", "Secret", "qa", "c").unwrap(), json!({}));
        assert_eq!(lookups.unknown(), BTreeSet::from([query("c")]));
        assert_eq!(lookups.asked().len(), 3);
    }

    #[test]
    fn a_render_does_not_look_up_without_end() {
        let lookups = Lookups::default();
        for name in 0..QUERIES_MAX {
            lookups.lookup("v1", "Secret", "qa", &name.to_string()).unwrap();
        }
        assert!(lookups.lookup("v1", "Secret", "qa", "one more").is_err());
        assert!(lookups.lookup("v1", "Secret", "qa", "1").is_ok());
    }
}
