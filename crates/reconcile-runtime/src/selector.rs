//! Label selectors of watches: the text that the server gets and the same test for own writes.

use object_model::Object;

/// One condition on labels.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Term {
    Exists(String),
    Equals(String, String),
}

/// All conditions must hold; without any, everything matches.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WatchSelector {
    terms: Vec<Term>,
}

impl WatchSelector {
    /// Matches every object.
    pub fn everything() -> Self {
        Self::default()
    }

    /// Matches objects that have the label.
    pub fn has(key: &str) -> Self {
        Self { terms: vec![Term::Exists(key.to_owned())] }
    }

    /// Matches objects whose label has this value.
    pub fn equals(key: &str, value: &str) -> Self {
        Self { terms: vec![Term::Equals(key.to_owned(), value.to_owned())] }
    }

    /// The selector as the server reads it; `None` when everything matches.
    pub fn text(&self) -> Option<String> {
        let term = |term: &Term| match term {
            Term::Exists(key) => key.clone(),
            Term::Equals(key, value) => format!("{key}={value}"),
        };
        (!self.terms.is_empty()).then(|| self.terms.iter().map(term).collect::<Vec<_>>().join(","))
    }

    /// Whether an object would be in the watch.
    pub fn matches(&self, object: &Object) -> bool {
        self.terms.iter().all(|term| match term {
            Term::Exists(key) => object.label(key).is_some(),
            Term::Equals(key, value) => object.label(key) == Some(value.as_str()),
        })
    }
}
