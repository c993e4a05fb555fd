//! Values of expressions and how Prometheus writes numbers.

use std::collections::BTreeSet;

use super::QueryError;
use crate::store::{Labels, Series};

pub(super) const NAME: &str = "__name__";

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Element {
    pub(crate) labels: Labels,
    pub(crate) value: f64,
}

impl Element {
    /// The element after an operation that makes another quantity of it.
    pub(super) fn without_name(mut self) -> Self {
        self.labels.remove(NAME);
        self
    }
}

/// What an expression evaluates to.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(f64),
    Text(String),
    Vector(Vec<Element>),
    Matrix(Vec<Series>),
}

impl Value {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Scalar(_) => "scalar",
            Self::Text(_) => "string",
            Self::Vector(_) => "vector",
            Self::Matrix(_) => "matrix",
        }
    }
}

/// Refuses a vector in which two elements became the same series.
pub(super) fn distinct(vector: Vec<Element>) -> Result<Vec<Element>, QueryError> {
    let labels: BTreeSet<&Labels> = vector.iter().map(|element| &element.labels).collect();
    if labels.len() < vector.len() {
        return Err(QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned()));
    }
    Ok(vector)
}

/// The labels as Prometheus prints a metric's label set.
pub(super) fn print(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// A number as Prometheus writes it: shortest form without an exponent, `+Inf`, `-Inf` or `NaN`.
pub(crate) fn format_number(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        number.to_string()
    }
}
