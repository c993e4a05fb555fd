//! Counts, spans and pod metadata as both strategies write them.

use std::collections::BTreeMap;

use object_model::Duration;
use serde_json::Value;

use crate::Fields;

/// An absolute count or a share of the replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IntOrPercent {
    /// A count of pods.
    Count(u32),
    /// A share in percent.
    Percent(u32),
}

impl IntOrPercent {
    /// Reads `1`, `"25%"` and, as Argo's old parser does, `"25"` as percent.
    pub fn parse(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()).map(Self::Count),
            Value::String(text) => text.trim_end_matches('%').parse().ok().map(Self::Percent),
            _ => None,
        }
    }

    /// The count for `replicas`, rounded up.
    pub fn ceil_of(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => share(replicas, percent).div_ceil(100).try_into().unwrap_or(u32::MAX),
        }
    }

    /// The count for `replicas`, rounded down.
    pub fn floor_of(self, replicas: u32) -> u32 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (share(replicas, percent) / 100).try_into().unwrap_or(u32::MAX),
        }
    }

    /// Whether it is nothing, whatever the replicas.
    pub fn is_zero(self) -> bool {
        matches!(self, Self::Count(0) | Self::Percent(0))
    }
}

fn share(replicas: u32, percent: u32) -> u64 {
    u64::from(replicas) * u64::from(percent)
}

/// Labels and annotations that pods carry while they play a part (`canaryMetadata`, `activeMetadata`, ...).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodMetadata {
    /// Labels to add.
    pub labels: BTreeMap<String, String>,
    /// Annotations to add.
    pub annotations: BTreeMap<String, String>,
}

impl PodMetadata {
    /// Reads `{labels, annotations}`; values that are no strings are left out, as Argo's decoder drops them.
    pub fn parse(value: &Value) -> Self {
        let map = |key: &str| {
            let pairs = value.get(key).and_then(Value::as_object).into_iter().flatten();
            pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
        };
        Self { labels: map("labels"), annotations: map("annotations") }
    }

    /// The metadata as Argo writes it into an annotation.
    pub fn to_json(&self) -> Value {
        let mut json = serde_json::Map::new();
        for (key, map) in [("annotations", &self.annotations), ("labels", &self.labels)] {
            if !map.is_empty() {
                json.insert(key.to_owned(), serde_json::json!(map));
            }
        }
        Value::Object(json)
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }
}

/// How strictly pods of the new version keep away from nodes with the stable one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AntiAffinity {
    /// Never on the same node.
    Required,
    /// Rather not, by this weight.
    Preferred(u32),
}

pub(crate) fn read_anti_affinity(fields: &mut Fields<'_>, at: &str, strategy: &Value) -> Option<AntiAffinity> {
    let wanted = strategy.get("antiAffinity").filter(|value| !value.is_null())?;
    let at = format!("{at}.antiAffinity");
    let part = |key: &str| wanted.get(key).filter(|value| !value.is_null());
    let required = part("requiredDuringSchedulingIgnoredDuringExecution");
    let preferred = part("preferredDuringSchedulingIgnoredDuringExecution");
    match (required, preferred) {
        (Some(_), None) => Some(AntiAffinity::Required),
        (None, Some(preferred)) => {
            let weight = preferred.get("weight").and_then(Value::as_i64).unwrap_or(0);
            match u32::try_from(weight).ok().filter(|weight| (1..=100).contains(weight)) {
                Some(weight) => Some(AntiAffinity::Preferred(weight)),
                None => {
                    let message = format!("Invalid value: {weight}: AntiAffinity weight must be between 1-100");
                    fields.problem(&format!("{at}.weight"), message);
                    None
                }
            }
        }
        (required, preferred) => {
            let (required, preferred) = (required.is_some(), preferred.is_some());
            let seen = format!(
                "antiAffinity.PreferredDuringSchedulingIgnoredDuringExecution: {preferred} antiAffinity.RequiredDuringSchedulingIgnoredDuringExecution: {required}"
            );
            fields.problem(&at, format!("Invalid value: {seen:?}: AntiAffinity must have exactly one strategy listed"));
            None
        }
    }
}

/// A non-empty text of a strategy.
pub(crate) fn read_text(strategy: &Value, key: &str) -> Option<String> {
    strategy.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// A whole number of a strategy; a negative one is a problem.
pub(crate) fn read_count(fields: &mut Fields<'_>, at: &str, strategy: &Value, key: &str) -> Option<u32> {
    let value = strategy.get(key).filter(|value| !value.is_null())?;
    let number = value.as_i64().and_then(|number| u32::try_from(number).ok());
    if number.is_none() {
        fields.problem(&format!("{at}.{key}"), format!("Invalid value: {value}: must be greater than or equal to 0"));
    }
    number
}

/// Whole seconds of a strategy.
pub(crate) fn read_seconds(fields: &mut Fields<'_>, at: &str, strategy: &Value, key: &str) -> Option<Duration> {
    read_count(fields, at, strategy, key).map(|seconds| Duration::from_secs(u64::from(seconds)))
}

/// A count or a percentage of a strategy, 25 % when there is none.
pub(crate) fn read_size(fields: &mut Fields<'_>, at: &str, strategy: &Value, key: &str) -> IntOrPercent {
    const NORMAL: IntOrPercent = IntOrPercent::Percent(25);
    let Some(value) = strategy.get(key).filter(|value| !value.is_null()) else { return NORMAL };
    IntOrPercent::parse(value).unwrap_or_else(|| {
        let message = format!("Invalid value: {value} is neither a count nor a percentage");
        fields.problem(&format!("{at}.{key}"), message);
        NORMAL
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_without_a_percent_sign_still_means_percent() {
        assert_eq!(IntOrPercent::parse(&json!("25")), Some(IntOrPercent::Percent(25)));
        assert_eq!(IntOrPercent::Percent(25).ceil_of(5), 2);
        assert_eq!(IntOrPercent::Percent(25).floor_of(5), 1);
    }
}
