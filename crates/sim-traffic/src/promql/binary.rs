//! Binary operators: arithmetic, comparison and set operations between scalars and vectors.

use std::collections::{BTreeMap, BTreeSet};

use promql_parser::parser::token::{
    T_ADD, T_ATAN2, T_DIV, T_EQLC, T_GTE, T_GTR, T_LAND, T_LOR, T_LSS, T_LTE, T_LUNLESS, T_MOD, T_MUL, T_NEQ, T_POW,
    T_SUB,
};
use promql_parser::parser::{BinModifier, BinaryExpr, LabelModifier, VectorMatchCardinality};

use super::value::{NAME, distinct, print};
use super::{Element, Evaluation, QueryError, Value};
use crate::store::Labels;

/// What an operator makes of two numbers.
#[derive(Clone, Copy)]
enum Operator {
    Arithmetic(fn(f64, f64) -> f64),
    /// Filters, unless `bool` asks for 0 or 1.
    Comparison {
        holds: fn(f64, f64) -> bool,
        returns_bool: bool,
    },
}

impl Operator {
    fn parse(expression: &BinaryExpr) -> Result<Self, QueryError> {
        let compare = |holds| Self::Comparison { holds, returns_bool: expression.return_bool() };
        Ok(match expression.op.id() {
            T_ADD => Self::Arithmetic(|a, b| a + b),
            T_SUB => Self::Arithmetic(|a, b| a - b),
            T_MUL => Self::Arithmetic(|a, b| a * b),
            T_DIV => Self::Arithmetic(|a, b| a / b),
            T_MOD => Self::Arithmetic(|a, b| a % b),
            T_POW => Self::Arithmetic(f64::powf),
            T_ATAN2 => Self::Arithmetic(f64::atan2),
            T_EQLC => compare(|a, b| a == b),
            T_NEQ => compare(|a, b| a != b),
            T_GTR => compare(|a, b| a > b),
            T_LSS => compare(|a, b| a < b),
            T_GTE => compare(|a, b| a >= b),
            T_LTE => compare(|a, b| a <= b),
            _ => return Err(QueryError::unsupported(format!("the operator {}", expression.op))),
        })
    }

    /// The value for a pair of numbers; `kept` is what a filter lets through.
    fn apply(self, left: f64, right: f64, kept: f64) -> Option<f64> {
        match self {
            Self::Arithmetic(function) => Some(function(left, right)),
            Self::Comparison { holds, returns_bool: true } => Some(f64::from(u8::from(holds(left, right)))),
            Self::Comparison { holds, returns_bool: false } => holds(left, right).then_some(kept),
        }
    }

    fn drops_name(self) -> bool {
        !matches!(self, Self::Comparison { returns_bool: false, .. })
    }
}

pub(super) fn binary(evaluation: &Evaluation<'_>, expression: &BinaryExpr, depth: usize) -> Result<Value, QueryError> {
    if let Some(modifier) = &expression.modifier
        && (modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some())
    {
        return Err(QueryError::unsupported("fill values"));
    }
    let left = evaluation.value(&expression.lhs, depth + 1)?;
    let right = evaluation.value(&expression.rhs, depth + 1)?;
    if matches!(expression.op.id(), T_LAND | T_LOR | T_LUNLESS) {
        return match (left, right) {
            (Value::Vector(left), Value::Vector(right)) => Ok(Value::Vector(combine(expression, left, right))),
            _ => Err(QueryError::BadData(format!(
                "invalid parameter \"query\": parse error: set operator \"{}\" not allowed in binary scalar expression",
                expression.op
            ))),
        };
    }
    let operator = Operator::parse(expression)?;
    match (left, right) {
        (Value::Scalar(left), Value::Scalar(right)) => match operator.apply(left, right, left) {
            Some(value) if !matches!(operator, Operator::Comparison { returns_bool: false, .. }) => {
                Ok(Value::Scalar(value))
            }
            _ => Err(QueryError::BadData(
                "invalid parameter \"query\": parse error: comparisons between scalars must use BOOL modifier"
                    .to_owned(),
            )),
        },
        (Value::Vector(left), Value::Scalar(right)) => {
            with_scalar(operator, left, |value| operator.apply(value, right, value))
        }
        (Value::Scalar(left), Value::Vector(right)) => {
            with_scalar(operator, right, |value| operator.apply(left, value, value))
        }
        (Value::Vector(left), Value::Vector(right)) => {
            pairs(operator, &Matching::of(expression.modifier.as_ref()), left, right).map(Value::Vector)
        }
        (left, right) => {
            Err(QueryError::Execution(format!("a {} and a {} can't be combined", left.kind(), right.kind())))
        }
    }
}

fn with_scalar(
    operator: Operator,
    vector: Vec<Element>,
    apply: impl Fn(f64) -> Option<f64>,
) -> Result<Value, QueryError> {
    let elements = vector.into_iter().filter_map(|element| {
        let value = apply(element.value)?;
        let element = if operator.drops_name() { element.without_name() } else { element };
        Some(Element { value, ..element })
    });
    distinct(elements.collect()).map(Value::Vector)
}

/// By which labels elements of two vectors belong together.
struct Matching<'a> {
    labels: Option<&'a LabelModifier>,
    card: &'a VectorMatchCardinality,
}

impl<'a> Matching<'a> {
    fn of(modifier: Option<&'a BinModifier>) -> Self {
        const ONE: &VectorMatchCardinality = &VectorMatchCardinality::OneToOne;
        Self {
            labels: modifier.and_then(|modifier| modifier.matching.as_ref()),
            card: modifier.map_or(ONE, |modifier| &modifier.card),
        }
    }

    fn signature(&self, labels: &Labels) -> Labels {
        let keeps = |name: &str| match self.labels {
            Some(LabelModifier::Include(on)) => on.labels.iter().any(|label| label == name),
            Some(LabelModifier::Exclude(ignored)) => name != NAME && !ignored.labels.iter().any(|label| label == name),
            None => name != NAME,
        };
        labels.iter().filter(|(name, _)| keeps(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    /// The labels of a result: for one-to-one what was matched by, else those of the many side, with what the
    /// grouping modifier takes over from the one side.
    fn result(&self, operator: Operator, many: &Labels, one: &Labels) -> Labels {
        let mut labels = many.clone();
        if operator.drops_name() {
            labels.remove(NAME);
        }
        let grouped = match self.card {
            VectorMatchCardinality::ManyToOne(grouped) | VectorMatchCardinality::OneToMany(grouped) => grouped,
            _ => {
                match self.labels {
                    Some(LabelModifier::Include(on)) => labels.retain(|name, _| on.labels.contains(name)),
                    Some(LabelModifier::Exclude(ignored)) => labels.retain(|name, _| !ignored.labels.contains(name)),
                    None => {}
                }
                return labels;
            }
        };
        for name in &grouped.labels {
            match one.get(name).filter(|value| !value.is_empty()) {
                Some(value) => drop(labels.insert(name.clone(), value.clone())),
                None => drop(labels.remove(name)),
            }
        }
        labels
    }
}

fn pairs(
    operator: Operator,
    matching: &Matching<'_>,
    left: Vec<Element>,
    right: Vec<Element>,
) -> Result<Vec<Element>, QueryError> {
    let swapped = matches!(matching.card, VectorMatchCardinality::OneToMany(_));
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let mut by_signature: BTreeMap<Labels, Element> = BTreeMap::new();
    for element in one {
        let signature = matching.signature(&element.labels);
        let group = print(&signature);
        let this = print(&element.labels);
        if let Some(other) = by_signature.insert(signature, element) {
            let side = if swapped { "left" } else { "right" };
            return Err(QueryError::Execution(format!(
                "found duplicate series for the match group {group} on the {side} hand-side of the operation: [{this}, {}];\
                 many-to-many matching not allowed: matching labels must be unique on one side",
                print(&other.labels)
            )));
        }
    }
    let is_one_to_one = matches!(matching.card, VectorMatchCardinality::OneToOne);
    let mut seen = BTreeSet::new();
    let mut result = Vec::new();
    for element in many {
        let signature = matching.signature(&element.labels);
        let Some(other) = by_signature.get(&signature) else { continue };
        let (a, b) = if swapped { (other.value, element.value) } else { (element.value, other.value) };
        let Some(value) = operator.apply(a, b, a) else { continue };
        let labels = matching.result(operator, &element.labels, &other.labels);
        if !seen.insert(if is_one_to_one { signature } else { labels.clone() }) {
            let why = if is_one_to_one {
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            } else {
                "multiple matches for labels: grouping labels must ensure unique matches"
            };
            return Err(QueryError::Execution(why.to_owned()));
        }
        result.push(Element { labels, value });
    }
    Ok(result)
}

fn combine(expression: &BinaryExpr, mut left: Vec<Element>, right: Vec<Element>) -> Vec<Element> {
    let matching = Matching::of(expression.modifier.as_ref());
    let signatures = |vector: &[Element]| -> BTreeSet<Labels> {
        vector.iter().map(|element| matching.signature(&element.labels)).collect()
    };
    match expression.op.id() {
        T_LAND | T_LUNLESS => {
            let there = signatures(&right);
            let wanted = expression.op.id() == T_LAND;
            left.retain(|element| there.contains(&matching.signature(&element.labels)) == wanted);
        }
        _ => {
            let there = signatures(&left);
            left.extend(right.into_iter().filter(|element| !there.contains(&matching.signature(&element.labels))));
        }
    }
    left
}
