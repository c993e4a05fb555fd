//! Functions over the items of a list: `all`, `filter`, `map`, `reduce` and their like.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::ExpressionError;
use super::builtin;
use super::evaluate::{Evaluated, Evaluation, Scope, fail};
use super::node::{Binary, Fold, Node};
use super::operator;
use super::value::Value;

/// Applies a function to a list, item by item.
pub(super) fn fold(
    evaluation: &mut Evaluation<'_>,
    fold: Fold,
    list: &Node,
    predicate: Option<&Node>,
    extra: Option<&Node>,
) -> Evaluated {
    let list = match evaluation.value(list)? {
        Value::List(items) => items,
        other => {
            return Err(fail(format!("builtin {} takes only array (got {})", fold.name(), other.type_name())));
        }
    };
    match fold {
        Fold::All => position(evaluation, &list, predicate, false).map(|found| Value::Bool(found.is_none())),
        Fold::Any => position(evaluation, &list, predicate, true).map(|found| Value::Bool(found.is_some())),
        Fold::None => position(evaluation, &list, predicate, true).map(|found| Value::Bool(found.is_none())),
        Fold::One => count(evaluation, &list, predicate).map(|count| Value::Bool(count == 1)),
        Fold::Count => count(evaluation, &list, predicate).map(Value::Integer),
        Fold::Sum => sum(evaluation, &list, predicate),
        Fold::Filter => filter(evaluation, &list, predicate),
        Fold::Map => {
            evaluation.spend(list.len())?;
            each(evaluation, &list, predicate).map(Value::list)
        }
        Fold::Find => {
            let found = position(evaluation, &list, predicate, true)?;
            Ok(found.and_then(|index| list.get(index).cloned()).unwrap_or(Value::Nil))
        }
        Fold::FindIndex => position(evaluation, &list, predicate, true).map(index_or_nothing),
        Fold::FindLast => {
            let found = last_position(evaluation, &list, predicate)?;
            Ok(found.and_then(|index| list.get(index).cloned()).unwrap_or(Value::Nil))
        }
        Fold::FindLastIndex => last_position(evaluation, &list, predicate).map(index_or_nothing),
        Fold::GroupBy => group(evaluation, &list, predicate),
        Fold::SortBy => sort(evaluation, &list, predicate, extra),
        Fold::Reduce => reduce(evaluation, &list, predicate, extra),
    }
}

/// Evaluates the predicate for one item; without a predicate the item itself is the answer.
fn apply(evaluation: &mut Evaluation<'_>, predicate: Option<&Node>, item: &Value, index: usize) -> Evaluated {
    let Some(predicate) = predicate else {
        evaluation.step(1)?;
        return Ok(item.clone());
    };
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    evaluation.scopes.push(Scope { item: item.clone(), index, accumulator: Value::Nil });
    let value = evaluation.value(predicate);
    evaluation.scopes.pop();
    value
}

fn holds(
    evaluation: &mut Evaluation<'_>,
    predicate: Option<&Node>,
    item: &Value,
    index: usize,
) -> Result<bool, ExpressionError> {
    match apply(evaluation, predicate, item, index)? {
        Value::Bool(value) => Ok(value),
        other => Err(fail(format!("interface conversion: interface {{}} is {}, not bool", other.type_name()))),
    }
}

fn position(
    evaluation: &mut Evaluation<'_>,
    list: &[Value],
    predicate: Option<&Node>,
    wanted: bool,
) -> Result<Option<usize>, ExpressionError> {
    for (index, item) in list.iter().enumerate() {
        if holds(evaluation, predicate, item, index)? == wanted {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn last_position(
    evaluation: &mut Evaluation<'_>,
    list: &[Value],
    predicate: Option<&Node>,
) -> Result<Option<usize>, ExpressionError> {
    for (index, item) in list.iter().enumerate().rev() {
        if holds(evaluation, predicate, item, index)? {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn index_or_nothing(found: Option<usize>) -> Value {
    found.map_or(Value::Nil, |index| Value::Integer(i64::try_from(index).unwrap_or(i64::MAX)))
}

fn count(evaluation: &mut Evaluation<'_>, list: &[Value], predicate: Option<&Node>) -> Result<i64, ExpressionError> {
    let mut count = 0;
    for (index, item) in list.iter().enumerate() {
        count += i64::from(holds(evaluation, predicate, item, index)?);
    }
    Ok(count)
}

fn sum(evaluation: &mut Evaluation<'_>, list: &[Value], predicate: Option<&Node>) -> Evaluated {
    let mut total = Value::Integer(0);
    for (index, item) in list.iter().enumerate() {
        let value = apply(evaluation, predicate, item, index)?;
        total = operator::apply(evaluation, Binary::Add, &total, &value)?;
    }
    Ok(total)
}

fn filter(evaluation: &mut Evaluation<'_>, list: &[Value], predicate: Option<&Node>) -> Evaluated {
    evaluation.spend(list.len())?;
    let mut kept = Vec::new();
    for (index, item) in list.iter().enumerate() {
        if holds(evaluation, predicate, item, index)? {
            kept.push(item.clone());
        }
    }
    Ok(Value::list(kept))
}

fn each(
    evaluation: &mut Evaluation<'_>,
    list: &[Value],
    predicate: Option<&Node>,
) -> Result<Vec<Value>, ExpressionError> {
    list.iter().enumerate().map(|(index, item)| apply(evaluation, predicate, item, index)).collect()
}

fn group(evaluation: &mut Evaluation<'_>, list: &[Value], predicate: Option<&Node>) -> Evaluated {
    evaluation.spend(list.len())?;
    let mut groups: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for (index, item) in list.iter().enumerate() {
        let key = match apply(evaluation, predicate, item, index)? {
            Value::Text(key) => key.to_string(),
            other => return Err(fail(format!("groupBy needs string keys (got {})", other.type_name()))),
        };
        groups.entry(key).or_default().push(item.clone());
    }
    Ok(Value::map(groups.into_iter().map(|(key, items)| (key, Value::list(items))).collect()))
}

fn sort(evaluation: &mut Evaluation<'_>, list: &[Value], predicate: Option<&Node>, extra: Option<&Node>) -> Evaluated {
    evaluation.spend(list.len())?;
    let descending = builtin::is_descending(extra.map(|node| evaluation.value(node)).transpose()?.as_ref())?;
    let keys = each(evaluation, list, predicate)?;
    let mut pairs: Vec<_> = keys.into_iter().zip(list.iter().cloned()).collect();
    let mut trouble = None;
    pairs.sort_by(|(a, _), (b, _)| match builtin::compare(a, b) {
        Ok(ordering) if descending => ordering.reverse(),
        Ok(ordering) => ordering,
        Err(error) => {
            trouble = Some(error);
            Ordering::Equal
        }
    });
    match trouble {
        Some(error) => Err(error),
        None => Ok(Value::list(pairs.into_iter().map(|(_, item)| item).collect())),
    }
}

fn reduce(
    evaluation: &mut Evaluation<'_>,
    list: &[Value],
    predicate: Option<&Node>,
    extra: Option<&Node>,
) -> Evaluated {
    let Some(predicate) = predicate else { return Ok(Value::Nil) };
    let mut items = list.iter().enumerate();
    let mut accumulator = match extra {
        Some(start) => evaluation.value(start)?,
        None => items
            .next()
            .map(|(_, item)| item.clone())
            .ok_or_else(|| fail("reduce of empty array with no initial value"))?,
    };
    for (index, item) in items {
        let index = i64::try_from(index).unwrap_or(i64::MAX);
        evaluation.scopes.push(Scope { item: item.clone(), index, accumulator });
        let value = evaluation.value(predicate);
        evaluation.scopes.pop();
        accumulator = value?;
    }
    Ok(accumulator)
}
