//! Whether values are deeply equal, as `reflect.DeepEqual` says it.

use super::Value;
use crate::budget::{Budget, Exhausted};

/// How deep two values are followed before they are called unequal.
const DEPTH_MAX: usize = 1_000;

/// Returns whether two values are of one type and deeply equal. Values that nest deeper than 1,000 levels are unequal,
/// unless they are one in memory.
///
/// # Errors
/// The budget ran out.
pub fn deep_equal(left: &Value, right: &Value, budget: &mut Budget) -> Result<bool, Exhausted> {
    equal(left, right, DEPTH_MAX, budget)
}

/// Compares a level deeper, on a stack that grows when it must.
fn deeper(left: &Value, right: &Value, depth: usize, budget: &mut Budget) -> Result<bool, Exhausted> {
    stacker::maybe_grow(64 << 10, 1 << 20, || equal(left, right, depth, budget))
}

fn equal(left: &Value, right: &Value, depth: usize, budget: &mut Budget) -> Result<bool, Exhausted> {
    budget.step(1)?;
    Ok(match (left, right) {
        (Value::Nil, Value::Nil) => true,
        (Value::Bool(left), Value::Bool(right)) => left == right,
        (Value::Int(left, left_kind), Value::Int(right, right_kind)) => left == right && left_kind == right_kind,
        (Value::Uint(left, left_kind), Value::Uint(right, right_kind)) => left == right && left_kind == right_kind,
        #[expect(clippy::float_cmp, reason = "it is Go's ==")]
        (Value::Float(left), Value::Float(right)) => left == right,
        (Value::Str(left), Value::Str(right)) | (Value::Bytes(left), Value::Bytes(right)) => left == right,
        (Value::List(left), Value::List(right)) => {
            if left.list_type() != right.list_type() || left.is_nil() != right.is_nil() || left.len() != right.len() {
                return Ok(false);
            }
            if left.is_same(right) {
                return Ok(true);
            }
            if depth == 0 {
                return Ok(false);
            }
            for (left, right) in left.items().iter().zip(right.items()) {
                if !deeper(left, right, depth - 1, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Map(left), Value::Map(right)) => {
            if left.map_type() != right.map_type() || left.is_nil() != right.is_nil() || left.len() != right.len() {
                return Ok(false);
            }
            if left.is_same(right) {
                return Ok(true);
            }
            if depth == 0 {
                return Ok(false);
            }
            let (Some(left), Some(right)) = (left.borrow(), right.borrow()) else { return Ok(true) };
            for ((left_key, left), (right_key, right)) in left.iter().zip(right.iter()) {
                if left_key != right_key || !deeper(left, right, depth - 1, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Object(left), Value::Object(right)) => {
            std::rc::Rc::ptr_eq(left, right) || left.is_equal(right.as_ref())
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{List, Map};
    use super::*;

    #[test]
    fn equality_is_by_type_and_content() {
        let list = |items: &[i64]| Value::List(items.iter().map(|item| Value::int(*item)).collect::<List>());
        let map = |value: Value| Value::Map([("a", value)].into_iter().collect::<Map>());
        for (left, right, expected) in [
            (Value::int(1), Value::int(1), true),
            (Value::int(1), Value::int64(1), false),
            (Value::int(1), Value::Float(1.0), false),
            (list(&[1, 2]), list(&[1, 2]), true),
            (list(&[1, 2]), list(&[1, 3]), false),
            (map(list(&[1])), map(list(&[1])), true),
            (map(list(&[1])), map(list(&[])), false),
            (Value::Nil, Value::Nil, true),
            (Value::Nil, Value::text(""), false),
        ] {
            assert_eq!(deep_equal(&left, &right, &mut Budget::default()), Ok(expected), "{left:?} {right:?}");
        }
    }

    #[test]
    fn cyclic_values_are_compared_without_end() {
        let cycle = || {
            let map = Map::new();
            map.insert("self", map.clone()).unwrap();
            map
        };
        let (left, right) = (cycle(), cycle());
        assert_eq!(deep_equal(&left.clone().into(), &right.clone().into(), &mut Budget::default()), Ok(false));
        left.remove("self");
        right.remove("self");
    }
}
