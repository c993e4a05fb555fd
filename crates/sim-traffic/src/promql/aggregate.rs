//! Aggregation: sum, avg, min, max, count and their kin, by and without labels.

use std::collections::BTreeMap;

use promql_parser::parser::token::{
    T_AVG, T_BOTTOMK, T_COUNT, T_GROUP, T_MAX, T_MIN, T_QUANTILE, T_STDDEV, T_STDVAR, T_SUM, T_TOPK,
};
use promql_parser::parser::{AggregateExpr, LabelModifier};

use super::value::NAME;
use super::{Element, Evaluation, QueryError, Value};
use crate::store::Labels;

pub(super) fn aggregate(
    evaluation: &Evaluation<'_>,
    expression: &AggregateExpr,
    depth: usize,
) -> Result<Value, QueryError> {
    let parameter = match expression.op.id() {
        T_TOPK | T_BOTTOMK | T_QUANTILE => match &expression.param {
            Some(parameter) => evaluation.scalar(parameter, depth + 1)?,
            None => return Err(QueryError::BadData("invalid parameter \"query\": missing parameter".to_owned())),
        },
        _ => 0.0,
    };
    let mut groups: BTreeMap<Labels, Vec<Element>> = BTreeMap::new();
    for element in evaluation.vector(&expression.expr, depth + 1)? {
        groups.entry(group_labels(&element.labels, expression.modifier.as_ref())).or_default().push(element);
    }
    let mut result = Vec::new();
    for (labels, mut group) in groups {
        match expression.op.id() {
            T_TOPK | T_BOTTOMK => {
                // Not-a-number comes last either way.
                let descends = expression.op.id() == T_TOPK;
                group.sort_by(|a, b| {
                    let order = a.value.partial_cmp(&b.value);
                    let order = order.map(|order| if descends { order.reverse() } else { order });
                    order.unwrap_or_else(|| a.value.is_nan().cmp(&b.value.is_nan()))
                });
                group.truncate(if parameter >= 1.0 { parameter as usize } else { 0 });
                result.append(&mut group);
            }
            op => {
                let values: Vec<f64> = group.iter().map(|element| element.value).collect();
                let value = reduce(op, &values, parameter)
                    .ok_or_else(|| QueryError::unsupported(format!("the aggregation {}", expression.op)))?;
                result.push(Element { labels, value });
            }
        }
    }
    Ok(Value::Vector(result))
}

fn group_labels(labels: &Labels, modifier: Option<&LabelModifier>) -> Labels {
    let pairs = labels.iter().map(|(name, value)| (name.clone(), value.clone()));
    match modifier {
        None => Labels::new(),
        Some(LabelModifier::Include(kept)) => pairs.filter(|(name, _)| kept.labels.contains(name)).collect(),
        Some(LabelModifier::Exclude(dropped)) => {
            pairs.filter(|(name, _)| name != NAME && !dropped.labels.contains(name)).collect()
        }
    }
}

fn reduce(op: u16, values: &[f64], parameter: f64) -> Option<f64> {
    let count = values.len() as f64;
    let sum = || values.iter().sum::<f64>();
    let variance = || {
        let mean = sum() / count;
        values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count
    };
    let best = |is_better: fn(f64, f64) -> bool| {
        values.iter().copied().reduce(|best, value| if is_better(value, best) || best.is_nan() { value } else { best })
    };
    match op {
        T_SUM => Some(sum()),
        T_AVG => Some(mean(values)),
        T_COUNT => Some(count),
        T_GROUP => Some(1.0),
        T_MIN => best(|value, best| value < best),
        T_MAX => best(|value, best| value > best),
        T_STDVAR => Some(variance()),
        T_STDDEV => Some(variance().sqrt()),
        T_QUANTILE => Some(quantile(parameter, values)),
        _ => None,
    }
}

/// The running mean, which does not overflow where a sum would.
fn mean(values: &[f64]) -> f64 {
    let sum: f64 = values.iter().sum();
    let count = values.len() as f64;
    if sum.is_finite() || values.iter().any(|value| !value.is_finite()) {
        return sum / count;
    }
    values.iter().map(|value| value / count).sum()
}

fn quantile(quantile: f64, values: &[f64]) -> f64 {
    if quantile.is_nan() || values.is_empty() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = quantile * (sorted.len() - 1) as f64;
    let (lower, weight) = (rank.floor(), rank.fract());
    let at = |index: f64| sorted.get(index as usize).or(sorted.last()).copied().unwrap_or(f64::NAN);
    at(lower) * (1.0 - weight) + at(lower + 1.0) * weight
}
