//! Kayenta: looks up the configuration, starts a comparison, asks until it is complete, and reads its score.

use std::collections::BTreeMap;

use object_model::{Duration, Timestamp, format_time};
use serde_json::{Map, Value as Json, json};

use super::asking::{Asking, Earlier, Next, get, json as read_json, number, post, spec, unexpected};
use super::{ProviderError, Reading, http, text};
use crate::Phase;
use crate::expression::Value;
use crate::spec::after;

const NAME: &str = "kayenta";
const TIMEOUT_MS: u64 = 15_000;
const POLL: Duration = Duration::from_secs(15);
/// Questions of one measurement: an hour of asking. A comparison that takes longer is an error.
const QUESTIONS_MAX: usize = 242;

/// The `kayenta` section of a metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Kayenta {
    section: Json,
}

impl Kayenta {
    pub(super) fn parse(json: &Json) -> Self {
        Self { section: json.clone() }
    }

    fn text(&self, field: &str) -> String {
        text(&self.section, field)
    }

    fn base(&self) -> Result<String, ProviderError> {
        Ok(http::address(&self.text("address"), "kayenta address")?.base.trim_end_matches('/').to_owned())
    }

    /// Each question leans on the answer before.
    /// <https://github.com/spinnaker/kayenta/blob/master/docs/canary-config.md> and its REST controllers
    pub(super) fn next(&self, asking: &Asking<'_>) -> Result<Next, ProviderError> {
        let base = self.base()?;
        let ask = |request| Ok(Next::Ask(Box::new(request)));
        match asking.earlier {
            [] => {
                let form = http::form(&[
                    ("application", self.text("application")),
                    ("configurationAccountName", self.text("storageAccountName")),
                ]);
                ask(get(format!("{base}/canaryConfig?{form}"), Vec::new(), TIMEOUT_MS))
            }
            [configs] => {
                let id = self.config_id(configs)?;
                let form = http::form(&[
                    ("application", self.text("application")),
                    ("metricsAccountName", self.text("metricsAccountName")),
                    ("configurationAccountName", self.text("configurationAccountName")),
                    ("storageAccountName", self.text("storageAccountName")),
                ]);
                let body = self.comparison(asking)?.to_string();
                let url = format!("{base}/canary/{}?{form}", http::percent_encode(&id));
                ask(post(url, Vec::new(), ("application/json", body), TIMEOUT_MS))
            }
            [_, started, polls @ ..] => {
                let id = execution_id(started)?;
                if let Some(last) = polls.last() {
                    if is_complete(last)? {
                        return Ok(Next::Read);
                    }
                    let due = after(last.at, POLL);
                    if due > asking.now {
                        return Ok(Next::Wait(due));
                    }
                }
                if asking.earlier.len() >= QUESTIONS_MAX {
                    return Err(spec("the canary analysis did not complete in time"));
                }
                ask(get(format!("{base}/canary/{}", http::percent_encode(&id)), Vec::new(), TIMEOUT_MS))
            }
        }
    }

    fn config_id(&self, answer: &Earlier<'_>) -> Result<String, ProviderError> {
        let json = read_json(NAME, answer.status, answer.body)?;
        let wanted = self.text("canaryConfigName");
        let mut configs = json.as_array().into_iter().flatten();
        let found = configs.find(|config| config.get("name").and_then(Json::as_str) == Some(&wanted));
        let id = found.and_then(|config| config.get("id")).and_then(Json::as_str);
        id.map(str::to_owned).ok_or_else(|| spec("Canary config not found"))
    }

    fn threshold(&self, which: &str) -> f64 {
        self.section.pointer(&format!("/threshold/{which}")).and_then(number).unwrap_or(0.0)
    }

    fn comparison(&self, asking: &Asking<'_>) -> Result<Json, ProviderError> {
        let mut scopes = Map::new();
        for scope in self.section.get("scopes").and_then(Json::as_array).into_iter().flatten() {
            scopes.insert(text(scope, "name"), self.scope(scope, asking)?);
        }
        let threshold = |which: &str| self.section.pointer(&format!("/threshold/{which}")).cloned().unwrap_or_default();
        Ok(json!({
            "scopes": scopes, "thresholds": {"pass": threshold("pass"), "marginal": threshold("marginal")},
        }))
    }

    fn scope(&self, scope: &Json, asking: &Asking<'_>) -> Result<Json, ProviderError> {
        let side = |which: &str| scope.get(which).cloned().unwrap_or_default();
        let (control, experiment) = (side("controlScope"), side("experimentScope"));
        let bound = |field: &str, otherwise: String| match (text(&control, field), text(&experiment, field)) {
            (a, b) if a.is_empty() != b.is_empty() => {
                Err(spec(format!("controlScope.{field} and experimentScope.{field} must both be set or be empty")))
            }
            (a, _) if a.is_empty() => Ok((otherwise.clone(), otherwise)),
            set => Ok(set),
        };
        let lookback = self.section.get("lookback").and_then(Json::as_bool).unwrap_or(false);
        let began = match asking.interval {
            _ if lookback => asking.started_at,
            Some(interval) => before(asking.now, interval),
            None => return Err(spec("Invalid duration: interval is needed without lookback")),
        };
        let start = bound("start", format_time(began))?;
        let end = bound("end", format_time(asking.now))?;
        let detail = |side: &Json, start: String, end: String| {
            json!({
                "scope": text(side, "scope"), "location": text(side, "region"), "step": side.get("step"),
                "start": start, "end": end,
            })
        };
        Ok(json!({
            "controlScope": detail(&control, start.0, end.0), "experimentScope": detail(&experiment, start.1, end.1),
        }))
    }

    /// The score decides: conditions are not asked.
    pub(super) fn parse_answer(&self, status: u16, body: &[u8]) -> Result<Reading, ProviderError> {
        let json = read_json(NAME, status, body)?;
        let score = json.pointer("/result/judgeResult/score/score").and_then(number);
        let score = score.ok_or_else(|| ProviderError::Value { reason: "Missing Score".to_owned() })?.trunc();
        let phase = if score >= self.threshold("pass") {
            Phase::Successful
        } else if score >= self.threshold("marginal") {
            Phase::Inconclusive
        } else {
            Phase::Failed
        };
        let shown = crate::expression::value::format_plain(score);
        Ok(Reading { verdict: Some(phase), ..Reading::new(Value::Float(score), shown, BTreeMap::new()) })
    }
}

fn before(moment: Timestamp, span: Duration) -> Timestamp {
    let seconds = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    Timestamp::from_second(moment.as_second().saturating_sub(seconds)).unwrap_or(moment)
}

fn execution_id(answer: &Earlier<'_>) -> Result<String, ProviderError> {
    let json = read_json(NAME, answer.status, answer.body)?;
    let id = json.get("canaryExecutionId").and_then(Json::as_str).filter(|id| !id.is_empty());
    id.map(str::to_owned).ok_or_else(|| spec("Invalid canaryExecutionId"))
}

fn is_complete(answer: &Earlier<'_>) -> Result<bool, ProviderError> {
    let json = read_json(NAME, answer.status, answer.body)?;
    let complete = json.get("complete").and_then(Json::as_bool);
    complete.ok_or_else(|| unexpected(NAME, answer.status, "it has no complete status", answer.body))
}
