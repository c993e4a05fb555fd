//! PromQL over the samples, with the answers of Prometheus 2: parsed by promql-parser, evaluated here. What is not
//! supported is an error, never a number.

mod aggregate;
mod binary;
mod functions;
mod histogram;
mod ranges;
mod value;

use promql_parser::label::{MatchOp, Matcher};
use promql_parser::parser::{self, Expr, Offset, VectorSelector};

use crate::store::{Sample, Series, Store};

pub(crate) use value::{Element, Value, format_number};

/// How far an instant selector looks back for a sample.
const LOOKBACK_MS: i64 = 5 * 60 * 1000;
/// The longest query that is parsed.
const QUERY_MAX_BYTES: usize = 8 * 1024;
/// The deepest nesting that is evaluated.
const DEPTH_MAX: usize = 100;

/// Why a query has no answer, in Prometheus' two classes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum QueryError {
    /// The query or a parameter can't be understood.
    #[error("{0}")]
    BadData(String),
    /// The query is understood, but has no answer.
    #[error("{0}")]
    Execution(String),
}

impl QueryError {
    fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::Execution(format!("not supported by this server: {what}"))
    }
}

/// Parses a query.
pub(crate) fn parse(query: &str) -> Result<Expr, QueryError> {
    let bad = |why: &str| QueryError::BadData(format!("invalid parameter \"query\": {why}"));
    if query.len() > QUERY_MAX_BYTES {
        return Err(bad(&format!("longer than {QUERY_MAX_BYTES} bytes")));
    }
    if nesting(query) > DEPTH_MAX {
        return Err(bad(&format!("nested deeper than {DEPTH_MAX}")));
    }
    parser::parse(query).map_err(|why| bad(&format!("parse error: {why}")))
}

/// The deepest bracket and the longest run of signs: both nest in the parsed tree.
fn nesting(query: &str) -> usize {
    let (mut depth, mut deepest, mut operators) = (0_usize, 0, 0_usize);
    let mut quote: Option<char> = None;
    let mut is_escaped = false;
    for c in query.chars() {
        if let Some(end) = quote {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' if end != '`' => is_escaped = true,
                _ if c == end => quote = None,
                _ => {}
            }
            continue;
        }
        match c {
            '"' | '\'' | '`' => quote = Some(c),
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            '+' | '-' | '*' | '/' | '%' | '^' | '<' | '>' => operators += 1,
            _ => {}
        }
        deepest = deepest.max(depth + operators);
    }
    deepest
}

/// Evaluates a query at a moment.
pub(crate) fn evaluate(store: &Store, expression: &Expr, at_ms: i64) -> Result<Value, QueryError> {
    Evaluation { store, at_ms }.value(expression, 0)
}

#[derive(Clone, Copy)]
struct Evaluation<'a> {
    store: &'a Store,
    at_ms: i64,
}

impl Evaluation<'_> {
    fn value(&self, expression: &Expr, depth: usize) -> Result<Value, QueryError> {
        if depth > DEPTH_MAX {
            return Err(QueryError::Execution(format!("the query is nested deeper than {DEPTH_MAX}")));
        }
        match expression {
            Expr::NumberLiteral(number) => Ok(Value::Scalar(number.val)),
            Expr::StringLiteral(text) => Ok(Value::Text(text.val.clone())),
            Expr::Paren(inner) => self.value(&inner.expr, depth + 1),
            Expr::Unary(inner) => negate(self.value(&inner.expr, depth + 1)?),
            Expr::VectorSelector(selector) => {
                Ok(Value::Vector(self.instant(selector)?.into_iter().map(|(element, _)| element).collect()))
            }
            Expr::MatrixSelector(selector) => {
                let range_ms = milliseconds(selector.range)?;
                Ok(Value::Matrix(self.range(&selector.vs, range_ms)?.series))
            }
            Expr::Call(call) => functions::call(self, call, depth),
            Expr::Aggregate(aggregate) => aggregate::aggregate(self, aggregate, depth),
            Expr::Binary(binary) => binary::binary(self, binary, depth),
            Expr::Subquery(_) => Err(QueryError::unsupported("a subquery")),
            Expr::Extension(_) => Err(QueryError::unsupported("an extension")),
        }
    }

    fn vector(&self, expression: &Expr, depth: usize) -> Result<Vec<Element>, QueryError> {
        match self.value(expression, depth)? {
            Value::Vector(vector) => Ok(vector),
            other => Err(QueryError::Execution(format!("expected an instant vector, got a {}", other.kind()))),
        }
    }

    fn scalar(&self, expression: &Expr, depth: usize) -> Result<f64, QueryError> {
        match self.value(expression, depth)? {
            Value::Scalar(number) => Ok(number),
            other => Err(QueryError::Execution(format!("expected a scalar, got a {}", other.kind()))),
        }
    }

    /// The latest sample of each series within the look-back, with its own time.
    fn instant(&self, selector: &VectorSelector) -> Result<Vec<(Element, i64)>, QueryError> {
        let at_ms = self.at_ms - offset_ms(selector)?;
        let series = self.store.select(&matchers(selector)?, at_ms - LOOKBACK_MS + 1, at_ms);
        let latest = series.into_iter().filter_map(|Series { labels, samples }| {
            let sample = samples.last()?;
            Some((Element { labels, value: sample.value }, sample.at_ms))
        });
        Ok(latest.collect())
    }

    /// The samples of a stretch that ends at the evaluation time less the offset; both ends belong to it.
    fn range(&self, selector: &VectorSelector, range_ms: i64) -> Result<Range, QueryError> {
        let end_ms = self.at_ms - offset_ms(selector)?;
        let start_ms = end_ms - range_ms;
        Ok(Range { start_ms, end_ms, series: self.store.select(&matchers(selector)?, start_ms, end_ms) })
    }
}

/// The samples of a range selector.
struct Range {
    start_ms: i64,
    end_ms: i64,
    series: Vec<Series>,
}

fn matchers(selector: &VectorSelector) -> Result<Vec<Matcher>, QueryError> {
    if !selector.matchers.or_matchers.is_empty() {
        return Err(QueryError::unsupported("`or` between matchers"));
    }
    if selector.at.is_some() {
        return Err(QueryError::unsupported("the @ modifier"));
    }
    let mut all = selector.matchers.matchers.clone();
    if let Some(name) = &selector.name {
        all.push(Matcher::new(MatchOp::Equal, "__name__", name));
    }
    if all.iter().all(|matcher| matcher.is_match("")) {
        let why = "vector selector must contain at least one non-empty matcher";
        return Err(QueryError::BadData(format!("invalid parameter \"query\": parse error: {why}")));
    }
    Ok(all)
}

fn offset_ms(selector: &VectorSelector) -> Result<i64, QueryError> {
    match &selector.offset {
        None => Ok(0),
        Some(Offset::Pos(by)) => milliseconds(*by),
        Some(Offset::Neg(by)) => milliseconds(*by).map(|by| -by),
    }
}

fn milliseconds(duration: std::time::Duration) -> Result<i64, QueryError> {
    let limit = i64::MAX / 4;
    i64::try_from(duration.as_millis())
        .ok()
        .filter(|milliseconds| *milliseconds < limit)
        .ok_or_else(|| QueryError::BadData("invalid parameter \"query\": a duration is too long".to_owned()))
}

fn negate(value: Value) -> Result<Value, QueryError> {
    match value {
        Value::Scalar(number) => Ok(Value::Scalar(-number)),
        Value::Vector(vector) => {
            let negated = vector.into_iter().map(|element| Element { value: -element.value, ..element.without_name() });
            value::distinct(negated.collect()).map(Value::Vector)
        }
        other => Err(QueryError::Execution(format!("a {} can't be negated", other.kind()))),
    }
}

/// Evaluates a query at every step from `start_ms` to `end_ms`, both included.
pub(crate) fn evaluate_range(
    store: &Store,
    expression: &Expr,
    (start_ms, end_ms, step_ms): (i64, i64, i64),
) -> Result<Vec<Series>, QueryError> {
    let mut series: std::collections::BTreeMap<crate::store::Labels, Vec<Sample>> = std::collections::BTreeMap::new();
    let mut at_ms = start_ms;
    while at_ms <= end_ms {
        let elements = match evaluate(store, expression, at_ms)? {
            Value::Scalar(value) => vec![Element { labels: crate::store::Labels::new(), value }],
            Value::Vector(vector) => vector,
            other => {
                let kind = if matches!(other, Value::Text(_)) { "string" } else { "range vector" };
                let why =
                    format!("invalid expression type \"{kind}\" for range query, must be Scalar or instant Vector");
                return Err(QueryError::BadData(format!("invalid parameter \"query\": {why}")));
            }
        };
        for element in elements {
            series.entry(element.labels).or_default().push(Sample { at_ms, value: element.value });
        }
        at_ms += step_ms;
    }
    Ok(series.into_iter().map(|(labels, samples)| Series { labels, samples }).collect())
}
