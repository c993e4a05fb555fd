//! The keywords for mappings and lists.

use serde_json::{Map, Value};

use super::check::{At, Checker, Seen, is_equal, missing, whole};
use super::fault::{Fault, counted, quote, quote_all};
use crate::budget::Exhausted;

impl<'s> Checker<'s> {
    pub(super) fn object(
        &self,
        fields: &'s Map<String, Value>,
        own: &'s Value,
        entries: &Map<String, Value>,
        at: At<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Exhausted> {
        let mut say = |text: String| faults.push(Fault::new(at.location, text));
        let count = entries.len();
        if let Some(min) = whole(fields, "minProperties").filter(|min| count < *min) {
            say(format!("minProperties: got {}, want {}", counted(count), counted(min)));
        }
        if let Some(max) = whole(fields, "maxProperties").filter(|max| count > *max) {
            say(format!("maxProperties: got {}, want {}", counted(count), counted(max)));
        }
        let missing = missing(fields.get("required"), entries);
        match missing.as_slice() {
            [] => {}
            [only] => say(format!("missing property {}", quote(only))),
            several => say(format!("missing properties {}", quote_all(several))),
        }
        self.dependents(fields, own, entries, at, seen, faults)?;
        let additional = fields.get("additionalProperties");
        seen.all_names |= additional.is_some();
        let mut refused = Vec::new();
        for (name, value) in entries {
            let mut is_seen = false;
            if let Some(schema) = fields.get("properties").and_then(|it| it.get(name)) {
                is_seen = true;
                faults.extend(self.apply_below(schema, at, name, value)?.err());
            }
            if let Some(Value::Object(patterns)) = fields.get("patternProperties") {
                for (pattern, schema) in patterns {
                    if self.pattern(pattern).is_some_and(|pattern| pattern.is_match(name)) {
                        is_seen = true;
                        faults.extend(self.apply_below(schema, at, name, value)?.err());
                    }
                }
            }
            match additional {
                Some(Value::Bool(false)) if !is_seen => refused.push(name.clone()),
                Some(schema) if !is_seen => faults.extend(self.apply_below(schema, at, name, value)?.err()),
                _ => {}
            }
            if is_seen {
                seen.names.insert(name.clone());
            }
        }
        if !refused.is_empty() {
            let text = format!("additional properties {} not allowed", quote_all(&refused));
            faults.push(Fault::new(at.location, text));
        }
        if let Some(schema) = fields.get("propertyNames").filter(|_| self.draft >= 6) {
            for name in entries.keys() {
                let text = Value::String(name.clone());
                if let Err(fault) = self.apply(schema, At { value: &text, location: "", applied: &[] })? {
                    let said = format!("invalid propertyName {}", quote(name));
                    faults.push(Fault::new("", said).with(vec![fault]));
                }
            }
        }
        Ok(())
    }

    /// `dependencies` and what became of it.
    fn dependents(
        &self,
        fields: &'s Map<String, Value>,
        own: &'s Value,
        entries: &Map<String, Value>,
        at: At<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Exhausted> {
        let keywords: &[&str] = if self.draft >= 2019 {
            &["dependencies", "dependentSchemas", "dependentRequired"]
        } else {
            &["dependencies"]
        };
        for keyword in keywords {
            let Some(Value::Object(dependents)) = fields.get(*keyword) else { continue };
            for (name, wanted) in dependents.iter().filter(|(name, _)| entries.contains_key(*name)) {
                if wanted.is_array() {
                    let missing = missing(Some(wanted), entries);
                    if !missing.is_empty() {
                        let said = format!("properties {} required, if {} exists", quote_all(&missing), quote(name));
                        faults.push(Fault::new(at.location, said));
                    }
                } else {
                    self.take(wanted, own, at, seen, faults)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn list(
        &self,
        fields: &'s Map<String, Value>,
        items: &[Value],
        at: At<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Exhausted> {
        let mut say = |text: String| faults.push(Fault::new(at.location, text));
        let count = items.len();
        if let Some(min) = whole(fields, "minItems").filter(|min| count < *min) {
            say(format!("minItems: got {}, want {}", counted(count), counted(min)));
        }
        if let Some(max) = whole(fields, "maxItems").filter(|max| count > *max) {
            say(format!("maxItems: got {}, want {}", counted(count), counted(max)));
        }
        if fields.get("uniqueItems") == Some(&Value::Bool(true)) {
            self.budget.step(u64::try_from(count.saturating_mul(count)).unwrap_or(u64::MAX))?;
            let pair = (0..count).find_map(|later| {
                let earlier = (0..later).find(|earlier| match (items.get(*earlier), items.get(later)) {
                    (Some(a), Some(b)) => is_equal(a, b),
                    _ => false,
                })?;
                Some((earlier, later))
            });
            if let Some((earlier, later)) = pair {
                say(format!("items at {} and {} are equal", counted(earlier), counted(later)));
            }
        }
        let (leading, rest) = match (self.draft >= 2020, fields.get("items")) {
            (true, rest) => (fields.get("prefixItems"), rest),
            (false, Some(leading @ Value::Array(_))) => (Some(leading), fields.get("additionalItems")),
            (false, rest) => (None, rest),
        };
        let leading = leading.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for (index, (schema, item)) in leading.iter().zip(items).enumerate() {
            seen.items.insert(index);
            faults.extend(self.apply_below(schema, at, &index.to_string(), item)?.err());
        }
        let after = leading.len().min(count);
        seen.all_items |= rest.is_some();
        match rest {
            Some(Value::Bool(false)) if self.draft < 2020 && after < count && !leading.is_empty() => {
                let text = format!("last {} additionalItem(s) not allowed", counted(count - after));
                faults.push(Fault::new(at.location, text));
            }
            Some(schema) => {
                for (index, item) in items.iter().enumerate().skip(after) {
                    faults.extend(self.apply_below(schema, at, &index.to_string(), item)?.err());
                }
            }
            None => {}
        }
        self.contains(fields, items, at, seen, faults)
    }

    fn contains(
        &self,
        fields: &'s Map<String, Value>,
        items: &[Value],
        at: At<'_>,
        seen: &mut Seen,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Exhausted> {
        let Some(schema) = fields.get("contains").filter(|_| self.draft >= 6) else { return Ok(()) };
        let (mut matching, mut failed) = (Vec::new(), Vec::new());
        for (index, item) in items.iter().enumerate() {
            match self.apply_below(schema, at, &index.to_string(), item)? {
                Ok(_) => matching.push(index),
                Err(fault) => failed.push(fault),
            }
        }
        if self.draft >= 2020 {
            seen.items.extend(&matching);
        }
        let places = matching.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
        let found = counted(matching.len());
        let bound = |keyword: &str| whole(fields, keyword).filter(|_| self.draft >= 2019);
        match bound("minContains") {
            Some(min) if matching.len() < min => {
                let min = counted(min);
                let said = if matching.is_empty() {
                    format!("min {min} items required to match contains schema, but none matched")
                } else {
                    format!("min {min} items required to match contains schema, but matched {found} items at {places}")
                };
                faults.push(Fault::new(at.location, said).with(failed));
            }
            None if matching.is_empty() => {
                faults.push(Fault::new(at.location, "no items match contains schema").with(failed));
            }
            _ => {}
        }
        if let Some(max) = bound("maxContains").filter(|max| matching.len() > *max) {
            let max = counted(max);
            faults.push(Fault::new(
                at.location,
                format!("max {max} items required to match contains schema, but matched {found} items at {places}"),
            ));
        }
        Ok(())
    }
}
