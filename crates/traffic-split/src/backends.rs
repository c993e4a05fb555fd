//! Lists of backends with a name and a weight each, which most providers have in one form or another.

use serde_json::{Map, Value};

use crate::{Split, SplitError};

/// Where a backend keeps its name and its weight.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Pointer to the name.
    pub(crate) name: &'static str,
    /// What an absent weight means.
    pub(crate) absent_weight: u32,
}

/// Names of the two versions in a list; for most providers those of their Services.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) canary: &'a str,
    pub(crate) stable: &'a str,
}

impl<'a> Pair<'a> {
    pub(crate) fn services(split: &'a Split) -> Self {
        Self { canary: &split.canary.service, stable: &split.stable.service }
    }
}

/// Shares of one list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) canary: u32,
    pub(crate) stable: u32,
    pub(crate) other: u32,
}

impl Shape {
    pub(crate) fn name_of<'a>(&self, backend: &'a Value) -> &'a str {
        backend.pointer(self.name).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn has(&self, backends: &[Value], name: &str) -> bool {
        !name.is_empty() && backends.iter().any(|backend| self.name_of(backend) == name)
    }

    fn weight_of(&self, backend: &Value) -> u32 {
        match backend.get("weight") {
            None | Some(Value::Null) => self.absent_weight,
            Some(weight) => weight.as_u64().and_then(|weight| u32::try_from(weight).ok()).unwrap_or(0),
        }
    }

    /// Sets the weights of the two versions, others keep theirs, and tells the pointers of what was set.
    ///
    /// # Errors
    /// When a version is not in the list, or the shares are more than there is.
    pub(crate) fn weigh(
        &self,
        split: &Split,
        pair: Pair<'_>,
        backends: &mut [Value],
        (object, pointer): (&str, &str),
    ) -> Result<Vec<String>, SplitError> {
        for (role, name) in [("canary", pair.canary), ("stable", pair.stable)] {
            if !self.has(backends, name) {
                return Err(SplitError::BackendNotFound { object: object.to_owned(), role, name: name.to_owned() });
            }
        }
        let stable = split.stable_weight()?;
        let mut pointers = Vec::new();
        for (index, backend) in backends.iter_mut().enumerate() {
            let name = self.name_of(backend);
            let weight = if name == pair.canary {
                split.weight.get()
            } else if name == pair.stable {
                stable
            } else {
                continue;
            };
            pointers.push(format!("{pointer}/{index}/weight"));
            set_weight(backend, weight);
        }
        Ok(pointers)
    }

    /// The shares as they are, brought to a total of `total` when they are of another one. A share of the canary is
    /// rounded up: it is never less than what it gets.
    pub(crate) fn shares(&self, pair: Pair<'_>, backends: &[Value], total: u32) -> Shares {
        let (mut canary, mut stable, mut other) = (0u64, 0u64, 0u64);
        for backend in backends {
            let weight = u64::from(self.weight_of(backend));
            let name = self.name_of(backend);
            let share = if name == pair.canary {
                &mut canary
            } else if name == pair.stable {
                &mut stable
            } else {
                &mut other
            };
            *share = share.saturating_add(weight);
        }
        let sum = canary.saturating_add(stable).saturating_add(other);
        let total = u64::from(total);
        let number = |share: u64| u32::try_from(share).unwrap_or(u32::MAX);
        if sum == total || sum == 0 {
            return Shares { canary: number(canary), stable: number(stable), other: number(other) };
        }
        let canary = canary.saturating_mul(total).div_ceil(sum);
        let other = other.saturating_mul(total) / sum;
        Shares {
            canary: number(canary),
            stable: number(total.saturating_sub(canary).saturating_sub(other)),
            other: number(other),
        }
    }
}

/// Writes a weight only where another one stands, so that what means the same stays as it is written.
pub(crate) fn set_weight(backend: &mut Value, weight: u32) {
    if backend.get("weight").and_then(Value::as_u64) == Some(u64::from(weight)) {
        return;
    }
    put(backend, "weight", weight.into());
}

/// Puts a field into a mapping; anything else stays as it is.
pub(crate) fn put(value: &mut Value, key: &str, to: Value) {
    if let Value::Object(map) = value {
        map.insert(key.to_owned(), to);
    }
}

/// The mapping at `path`; `None` when something else is in the way.
pub(crate) fn mapping<'a>(value: &'a mut Map<String, Value>, path: &[&str]) -> Option<&'a mut Map<String, Value>> {
    let mut at = value;
    for key in path {
        at = at.get_mut(*key)?.as_object_mut()?;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Destination;
    use object_model::Weight;
    use serde_json::json;

    const SHAPE: Shape = Shape { name: "/name", absent_weight: 1 };

    fn list(weights: &[(&str, Option<u32>)]) -> Vec<Value> {
        let one = |(name, weight): &(&str, Option<u32>)| match weight {
            Some(weight) => json!({"name": name, "weight": weight}),
            None => json!({"name": name}),
        };
        weights.iter().map(one).collect()
    }

    #[test]
    fn shares_of_any_total_are_told_as_shares_of_a_hundred() {
        let pair = Pair { canary: "c", stable: "s" };
        for (weights, canary, stable, other) in [
            (vec![("c", Some(20)), ("s", Some(80))], 20, 80, 0),
            (vec![("c", None), ("s", None)], 50, 50, 0),
            (vec![("c", Some(1)), ("s", Some(2))], 34, 66, 0),
            (vec![("c", Some(0)), ("s", Some(0))], 0, 0, 0),
            (vec![("c", Some(10)), ("s", Some(10)), ("x", Some(20))], 25, 25, 50),
        ] {
            assert_eq!(SHAPE.shares(pair, &list(&weights), 100), Shares { canary, stable, other }, "{weights:?}");
        }
    }

    #[test]
    fn a_version_that_is_not_in_the_list_is_named() {
        let split = Split::new(Destination::service("c"), Destination::service("s"), Weight::new(20).unwrap());
        let mut backends = list(&[("c", None), ("x", Some(7))]);
        let error = SHAPE.weigh(&split, Pair::services(&split), &mut backends, ("Thing `a`", "/b")).unwrap_err();
        assert_eq!(error.to_string(), "stable backend 's' not found in Thing `a`");
        assert_eq!(backends, list(&[("c", None), ("x", Some(7))]));
    }
}
