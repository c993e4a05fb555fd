//! What is wanted of traffic, in no provider's words.

use std::borrow::Cow;

use object_model::{PodHash, Weight};
use serde_json::{Map, Value};

use crate::SplitError;
use crate::section::field;

/// Where traffic goes: a Service, a set of pods, or both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destination {
    /// The Service, empty when only pods tell the destination.
    pub service: String,
    /// The hash of its pods, for providers that select pods themselves.
    pub pod_hash: Option<PodHash>,
}

impl Destination {
    /// A destination that is a Service.
    pub fn service(name: &str) -> Self {
        Self { service: name.to_owned(), pod_hash: None }
    }

    /// The same with the hash of its pods.
    #[must_use]
    pub fn with_hash(mut self, hash: &str) -> Self {
        self.pod_hash = Some(PodHash::new(hash));
        self
    }
}

/// Two Services that take turns at the two roles, beside the two fixed ones of a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turns {
    /// The one whose turn it is to lead to the version that is tried.
    pub canary: Destination,
    /// The one that leads to the version that serves.
    pub stable: Destination,
    /// The canary's share by this pair: the roles change in one moment, when a version becomes stable, while the weights of
    /// the fixed pair go back after that.
    pub weight: Weight,
}

/// How all traffic is divided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The version that is tried.
    pub canary: Destination,
    /// The version that serves.
    pub stable: Destination,
    /// The canary's share.
    pub weight: Weight,
    /// What it is a share of.
    pub total: u32,
    /// Another pair of Services for the same versions, for the providers that prefer such as take turns.
    pub turns: Option<Turns>,
    /// Others with shares of their own, such as experiments.
    pub additional: Vec<(Destination, Weight)>,
    /// Requests that go to the canary by their headers.
    pub header_routes: Vec<HeaderRoute>,
    /// Requests that are copied to the canary.
    pub mirror_routes: Vec<MirrorRoute>,
    /// Names kept for header and mirror routes, first match first. A route under such a name that is in neither list
    /// is removed.
    pub managed_routes: Vec<String>,
}

impl Split {
    /// A split between two versions, of 100.
    pub fn new(canary: Destination, stable: Destination, weight: Weight) -> Self {
        Self {
            canary,
            stable,
            weight,
            total: 100,
            turns: None,
            additional: Vec::new(),
            header_routes: Vec::new(),
            mirror_routes: Vec::new(),
            managed_routes: Vec::new(),
        }
    }

    /// The same destinations with everything on stable and no route of our own.
    #[must_use]
    pub fn all_stable(&self) -> Self {
        Self {
            weight: Weight::ZERO,
            turns: self.turns.clone().map(|turns| Turns { weight: Weight::ZERO, ..turns }),
            additional: Vec::new(),
            header_routes: Vec::new(),
            mirror_routes: Vec::new(),
            ..self.clone()
        }
    }

    /// The split as a provider carries it that prefers Services which take turns.
    pub(crate) fn in_turns(&self) -> Cow<'_, Self> {
        let Some(Turns { canary, stable, weight }) = self.turns.clone() else { return Cow::Borrowed(self) };
        Cow::Owned(Self { canary, stable, weight, turns: None, ..self.clone() })
    }

    /// What is left for stable.
    pub(crate) fn stable_weight(&self) -> Result<u32, SplitError> {
        let others = self.additional.iter().map(|(_, weight)| u64::from(weight.get()));
        let sum = u64::from(self.weight.get()) + others.sum::<u64>();
        let left = u64::from(self.total).checked_sub(sum).and_then(|left| u32::try_from(left).ok());
        left.ok_or(SplitError::Overfull { sum, total: self.total })
    }
}

/// How a text is matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StringMatch {
    /// It is this text.
    Exact(String),
    /// It begins with this text.
    Prefix(String),
    /// It matches this regular expression.
    Regex(String),
}

impl StringMatch {
    /// Reads `{exact}`, `{prefix}` or `{regex}`; empty ones count as absent.
    pub fn parse(json: &Value) -> Option<Self> {
        let text = |field: &str| json.get(field)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        text("exact")
            .map(Self::Exact)
            .or_else(|| text("regex").map(Self::Regex))
            .or_else(|| text("prefix").map(Self::Prefix))
    }

    pub(crate) fn to_json(&self) -> Value {
        let (key, text) = match self {
            Self::Exact(text) => ("exact", text),
            Self::Prefix(text) => ("prefix", text),
            Self::Regex(text) => ("regex", text),
        };
        Value::Object(Map::from_iter([(key.to_owned(), text.clone().into())]))
    }
}

/// One header and what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Name of the header.
    pub header: String,
    /// Its value.
    pub value: StringMatch,
}

/// Sends requests to the canary when one of the matches holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRoute {
    /// Name of the route.
    pub name: String,
    /// Any of these.
    pub matches: Vec<HeaderMatch>,
}

/// What a request must be for a mirror route; all that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestMatch {
    /// Its method.
    pub method: Option<StringMatch>,
    /// Its path.
    pub path: Option<StringMatch>,
    /// Its headers.
    pub headers: Vec<HeaderMatch>,
}

/// Copies requests to the canary; the answers come from the split as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MirrorRoute {
    /// Name of the route.
    pub name: String,
    /// Any of these.
    pub matches: Vec<RequestMatch>,
    /// How many of a hundred requests are copied.
    pub percentage: u32,
}

fn name(json: &Value, step: &str) -> Result<String, SplitError> {
    let name = json.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    name.map(str::to_owned).ok_or_else(|| field(&format!("{step}.name"), "is missing"))
}

fn matches<'a>(json: &'a Value, step: &str) -> Result<Option<&'a Vec<Value>>, SplitError> {
    match json.get("match") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(field(&format!("{step}.match"), "must be a list")),
    }
}

impl HeaderRoute {
    /// Reads a `setHeaderRoute` step; without a match it removes the route, which is `None` here.
    ///
    /// # Errors
    /// When the name is missing or a match has no header or value.
    pub fn parse(json: &Value) -> Result<(String, Option<Self>), SplitError> {
        let step = "setHeaderRoute";
        let name = name(json, step)?;
        let Some(items) = matches(json, step)? else { return Ok((name, None)) };
        let mut found = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let path = format!("{step}.match[{index}]");
            let header = item.get("headerName").and_then(Value::as_str).filter(|name| !name.is_empty());
            let header = header.ok_or_else(|| field(&format!("{path}.headerName"), "is missing"))?.to_owned();
            let value = item.get("headerValue").and_then(StringMatch::parse);
            let value =
                value.ok_or_else(|| field(&format!("{path}.headerValue"), "needs one of exact, regex, prefix"))?;
            found.push(HeaderMatch { header, value });
        }
        Ok((name.clone(), Some(Self { name, matches: found })))
    }
}

impl MirrorRoute {
    /// Reads a `setMirrorRoute` step; without a match it removes the route, which is `None` here.
    ///
    /// # Errors
    /// When the name is missing, a match is malformed, or the percentage is above 100.
    pub fn parse(json: &Value) -> Result<(String, Option<Self>), SplitError> {
        let step = "setMirrorRoute";
        let name = name(json, step)?;
        let Some(items) = matches(json, step)? else { return Ok((name, None)) };
        let percentage = match json.get("percentage") {
            None | Some(Value::Null) => Some(100),
            Some(value) => value.as_u64().and_then(|value| u32::try_from(value).ok()).filter(|value| *value <= 100),
        };
        let percentage = percentage.ok_or_else(|| field("setMirrorRoute.percentage", "must be between 0 and 100"))?;
        let mut found = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let text = |key: &str| -> Result<Option<StringMatch>, SplitError> {
                match item.get(key) {
                    None | Some(Value::Null) => Ok(None),
                    Some(value) => StringMatch::parse(value).map(Some).ok_or_else(|| {
                        field(&format!("{step}.match[{index}].{key}"), "needs one of exact, regex, prefix")
                    }),
                }
            };
            let mut headers = Vec::new();
            for (header, value) in item.get("headers").and_then(Value::as_object).into_iter().flatten() {
                let value = StringMatch::parse(value).ok_or_else(|| {
                    field(&format!("{step}.match[{index}].headers.{header}"), "needs one of exact, regex, prefix")
                })?;
                headers.push(HeaderMatch { header: header.clone(), value });
            }
            found.push(RequestMatch { method: text("method")?, path: text("path")?, headers });
        }
        Ok((name.clone(), Some(Self { name, matches: found, percentage })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn steps_are_read_and_mistakes_are_told_with_their_path() {
        let (_, route) = HeaderRoute::parse(&json!({
            "name": "by-agent", "match": [{"headerName": "agent", "headerValue": {"regex": "firefox(.*)"}}],
        }))
        .unwrap();
        assert_eq!(route.unwrap().matches[0].value, StringMatch::Regex("firefox(.*)".to_owned()));
        assert_eq!(HeaderRoute::parse(&json!({"name": "a"})).unwrap(), ("a".to_owned(), None));
        for (step, message) in [
            (json!({}), "setHeaderRoute.name is missing"),
            (json!({"name": "a", "match": 1}), "setHeaderRoute.match must be a list"),
            (json!({"name": "a", "match": [{}]}), "setHeaderRoute.match[0].headerName is missing"),
            (
                json!({"name": "a", "match": [{"headerName": "b", "headerValue": {"exact": ""}}]}),
                "setHeaderRoute.match[0].headerValue needs one of exact, regex, prefix",
            ),
        ] {
            assert_eq!(HeaderRoute::parse(&step).unwrap_err().to_string(), message);
        }
        let error = MirrorRoute::parse(&json!({"name": "m", "match": [], "percentage": 101})).unwrap_err();
        assert_eq!(error.to_string(), "setMirrorRoute.percentage must be between 0 and 100");
    }

    #[test]
    fn shares_may_not_be_more_than_there_is() {
        let mut split = Split::new(Destination::service("c"), Destination::service("s"), Weight::new(60).unwrap());
        split.additional.push((Destination::service("e"), Weight::new(30).unwrap()));
        assert_eq!(split.stable_weight(), Ok(10));
        split.additional.push((Destination::service("f"), Weight::new(20).unwrap()));
        let error = split.stable_weight().unwrap_err();
        assert_eq!(error.to_string(), "the canary's weight and additional weights are 110 of 100");
    }
}
