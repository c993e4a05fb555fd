//! The canary against the stable version: a sequential test over pairs of readings.
//!
//! Two metrics of one run measure the same thing, one of the canary and one of the stable version. Each pair of readings
//! is worse, better or equal for the canary. While the two versions behave alike, a pair that is not equal is worse with
//! a chance of at most one half, whatever the readings' distribution is. The test bets on every larger chance at once
//! (a uniform mixture over 1/2..1). Its evidence is a martingale under that hypothesis, so the chance that it ever
//! reaches `1 / rate` is at most `rate` (Ville's inequality), however often it is looked at and whenever it is stopped.

use object_model::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::diagnostic::Diagnostic;
use crate::status::{Measurement, MetricResult, RunStatus};
use crate::{Metric, Phase};

/// The annotation on an AnalysisTemplate or AnalysisRun that asks for comparisons: a JSON list of them.
pub const COMPARE_ANNOTATION: &str = "sluice.dev/compare";
/// Where the canary's metric remembers its pairs: the status keeps only the last measurements.
const MEMORY: &str = "sluice.dev/compare";
/// Where it tells why it has ended.
pub(crate) const VERDICT: &str = "sluice.dev/compared";
const RATE_DEFAULT: f64 = 0.05;
const PAIRS_MIN_DEFAULT: u32 = 5;
/// Pairs beyond these change nothing: a difference that they have not shown is none that matters.
const PAIRS_MAX: u32 = 1000;
/// Comparisons of one run.
const COMPARISONS_MAX: usize = 100;

/// Which readings are the worse ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// High ones, such as of errors and latencies.
    #[default]
    LowerIsBetter,
    /// Low ones, such as of success rates.
    HigherIsBetter,
}

/// What a pair means that lacks a reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EmptyPolicy {
    /// Nothing: it is left out.
    #[default]
    Ignore,
    /// It counts as worse for the canary.
    Worse,
    /// As many as the least number of pairs make the metric inconclusive.
    Inconclusive,
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Comparison {
    /// The metric of the canary; it fails when the canary is surely worse.
    pub metric: String,
    /// The metric of the stable version.
    pub baseline: String,
    /// Which readings are the worse ones.
    #[serde(default)]
    pub direction: Direction,
    /// The least number of pairs before anything is said.
    #[serde(default = "pairs_min")]
    pub minimum_samples: u32,
    /// The chance that a canary which is no worse is ever called worse.
    #[serde(default = "rate")]
    pub false_alarm_rate: f64,
    /// What a pair means that lacks a reading.
    #[serde(default)]
    pub empty: EmptyPolicy,
}

fn pairs_min() -> u32 {
    PAIRS_MIN_DEFAULT
}

fn rate() -> f64 {
    RATE_DEFAULT
}

impl Comparison {
    /// Reads the annotation of an object; what can't be read is told and left out.
    pub fn parse_all(object: &Object, diagnostics: &mut Vec<Diagnostic>) -> Vec<Self> {
        let Some(text) = object.annotation(COMPARE_ANNOTATION) else { return Vec::new() };
        let field = format!("metadata.annotations[{COMPARE_ANNOTATION}]");
        let mut tell = |field: String, message: String| diagnostics.push(Diagnostic { field, message });
        let Ok(Value::Array(items)) = serde_json::from_str::<Value>(text) else {
            tell(field, "is not a JSON list of comparisons".to_owned());
            return Vec::new();
        };
        let mut read = Vec::new();
        for (index, item) in items.iter().take(COMPARISONS_MAX).enumerate() {
            match Self::deserialize(item) {
                Err(error) => tell(format!("{field}[{index}]"), error.to_string()),
                Ok(one) if !(one.false_alarm_rate > 0.0 && one.false_alarm_rate < 1.0) => {
                    tell(format!("{field}[{index}].falseAlarmRate"), "must lie between 0 and 1".to_owned());
                }
                Ok(one) => read.push(one),
            }
        }
        read
    }
}

/// What the pairs so far say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pairs {
    /// Pairs in which the canary was worse.
    pub worse: u32,
    /// Pairs in which it was better.
    pub better: u32,
    /// Pairs without a difference.
    pub equal: u32,
    /// Pairs without a reading.
    pub empty: u32,
}

impl Pairs {
    /// How many pairs have been looked at.
    pub fn seen(self) -> u32 {
        self.worse.saturating_add(self.better).saturating_add(self.equal).saturating_add(self.empty)
    }

    /// The evidence that the canary is worse: 1 at the beginning, and the chance that it ever reaches `e` for a canary
    /// that is no worse is at most `1 / e`.
    ///
    /// With `s` of `n` pairs worse it is `2 ∫ (2p)^s (2(1-p))^(n-s) dp` over 1/2..1, which is the sum of the binomial
    /// coefficients `C(n+1, k)` for `k <= s`, over `(n+1) C(n, s)`.
    pub fn evidence(self) -> f64 {
        let total = f64::from(self.worse) + f64::from(self.better);
        let worse = f64::from(self.worse);
        let mut term = (total + 1.0) / (total + 1.0 - worse);
        let mut sum = term;
        let mut place = worse;
        while place >= 1.0 {
            term *= place / (total + 2.0 - place);
            sum += term;
            place -= 1.0;
        }
        sum / (total + 1.0)
    }

    fn add(&mut self, comparison: &Comparison, canary: Option<f64>, stable: Option<f64>) {
        let (Some(canary), Some(stable)) = (canary, stable) else {
            self.empty = self.empty.saturating_add(1);
            if comparison.empty == EmptyPolicy::Worse {
                self.empty = self.empty.saturating_sub(1);
                self.worse = self.worse.saturating_add(1);
            }
            return;
        };
        let (canary, stable) = match comparison.direction {
            Direction::LowerIsBetter => (canary, stable),
            Direction::HigherIsBetter => (stable, canary),
        };
        let counter = if canary > stable {
            &mut self.worse
        } else if canary < stable {
            &mut self.better
        } else {
            &mut self.equal
        };
        *counter = counter.saturating_add(1);
    }

    /// How the canary's metric ends, if the pairs say so.
    pub fn verdict(self, comparison: &Comparison) -> Option<(Phase, String)> {
        if self.worse.saturating_add(self.better) >= comparison.minimum_samples {
            let (evidence, needed) = (self.evidence(), 1.0 / comparison.false_alarm_rate);
            if evidence >= needed {
                let rate = comparison.false_alarm_rate;
                let (worse, seen) = (self.worse, self.seen());
                let text = format!(
                    "worse than {} in {worse} of {seen} pairs: evidence {evidence:.1} >= {needed:.1} (false-alarm rate {rate})",
                    comparison.baseline
                );
                return Some((Phase::Failed, text));
            }
        }
        let too_empty =
            comparison.empty == EmptyPolicy::Inconclusive && self.empty >= comparison.minimum_samples.max(1);
        let text = || format!("no data in {} of {} pairs with {}", self.empty, self.seen(), comparison.baseline);
        too_empty.then(|| (Phase::Inconclusive, text()))
    }
}

/// Takes in the pairs that are new and ends the metrics whose canary is surely worse.
pub(crate) fn compare(comparisons: &[Comparison], metrics: &[Metric], status: &mut RunStatus) {
    for comparison in comparisons {
        let is_known = |name: &str| metrics.iter().any(|metric| metric.name == name);
        if !is_known(&comparison.metric) || !is_known(&comparison.baseline) {
            continue;
        }
        let Some(stable) = status.result(&comparison.baseline).cloned() else { continue };
        let Some(canary) = status.result_mut(&comparison.metric) else { continue };
        if canary.phase.is_completed() {
            continue;
        }
        let before: Pairs =
            canary.metadata.get(MEMORY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let mut pairs = before;
        let taken = finished(canary).min(finished(&stable)).min(PAIRS_MAX);
        for ordinal in pairs.seen().saturating_add(1)..=taken {
            pairs.add(comparison, reading(canary, ordinal), reading(&stable, ordinal));
        }
        if pairs != before {
            canary.metadata.insert(MEMORY.to_owned(), serde_json::to_string(&pairs).unwrap_or_default());
        }
        if let Some((phase, why)) = pairs.verdict(comparison) {
            canary.phase = phase;
            canary.metadata.insert(VERDICT.to_owned(), why);
        }
    }
}

/// How many measurements are over.
fn finished(result: &MetricResult) -> u32 {
    result.next_ordinal().saturating_sub(1)
}

/// The number that a measurement read, by its place from 1; none when it was an error, is gone or holds no number.
fn reading(result: &MetricResult, ordinal: u32) -> Option<f64> {
    let over: Vec<&Measurement> = result.measurements.iter().filter(|one| one.finished_at.is_some()).collect();
    let from_end = usize::try_from(finished(result).checked_sub(ordinal)?).ok()?;
    let measurement = over.get(over.len().checked_sub(from_end.checked_add(1)?)?)?;
    if measurement.phase == Phase::Error {
        return None;
    }
    let first = measurement.value.trim_start_matches('[').split([',', ']', ' ']).next()?;
    first.parse::<f64>().ok().filter(|number| !number.is_nan())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn comparison(fields: Value) -> Comparison {
        let mut json = json!({"metric": "canary", "baseline": "stable"});
        for (key, value) in fields.as_object().unwrap() {
            json[key] = value.clone();
        }
        Comparison::deserialize(&json).unwrap()
    }

    /// A small generator of numbers that look random, the same for one seed for ever.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1u64 << 53) as f64
        }

        /// A skewed reading, as latencies are.
        fn reading(&mut self) -> f64 {
            -(1.0 - self.next()).ln()
        }
    }

    /// The pair at which the canary is called worse, when each of its readings is `factor` times as high.
    fn stopped_at(comparison: &Comparison, factor: f64, random: &mut Random) -> Option<u32> {
        let mut pairs = Pairs::default();
        for pair in 1..=300 {
            let (canary, stable) = (random.reading() * factor, random.reading());
            pairs.add(comparison, Some(canary), Some(stable));
            if pairs.verdict(comparison).is_some() {
                return Some(pair);
            }
        }
        None
    }

    #[test]
    fn the_stated_false_alarm_rate_holds_however_often_one_looks() {
        for (rate, seed) in [(0.05, 0x9e37_79b9_7f4a_7c15), (0.01, 0xd1b5_4a32_d192_ed03), (0.2, 0x94d0_49bb_1331_11eb)]
        {
            let comparison = comparison(json!({"falseAlarmRate": rate, "minimumSamples": 1}));
            let mut random = Random(seed);
            let runs = 1000;
            let alarms = (0..runs).filter(|_| stopped_at(&comparison, 1.0, &mut random).is_some()).count();
            let share = alarms as f64 / f64::from(runs);
            assert!(share <= rate, "seed {seed:#x}: {alarms} alarms of {runs} at {rate}");
            assert!(share > 0.0, "a test that never speaks shows nothing");
        }
    }

    #[test]
    fn a_canary_that_is_surely_worse_is_stopped_soon() {
        let comparison = comparison(json!({}));
        let mut random = Random(0x1234_5678_9abc_def1);
        let mut ends: Vec<u32> = (0..500).filter_map(|_| stopped_at(&comparison, 5.0, &mut random)).collect();
        assert_eq!(ends.len(), 500, "a canary five times as slow is always found");
        ends.sort_unstable();
        assert!(ends[250] <= 15, "the median is {}", ends[250]);
    }

    #[test]
    fn the_evidence_is_that_of_the_mixture() {
        let of = |worse, better| Pairs { worse, better, ..Pairs::default() }.evidence();
        assert_eq!(of(0, 0), 1.0);
        assert!((of(7, 0) - 255.0 / 8.0).abs() < 1e-9, "all worse: (2^(n+1) - 1) / (n + 1)");
        assert!((of(0, 7) - 1.0 / 8.0).abs() < 1e-9, "all better: 1 / (n + 1)");
        // The next pair's evidence is, on average over a fair coin, the present one: a martingale.
        for (worse, better) in [(0, 0), (3, 1), (10, 12), (200, 150)] {
            let mean = f64::midpoint(of(worse + 1, better), of(worse, better + 1));
            assert!((mean / of(worse, better) - 1.0).abs() < 1e-9, "{worse} {better}");
        }
        assert!(of(1000, 0).is_finite());
    }

    #[test]
    fn nothing_is_said_before_the_least_number_of_pairs() {
        let strict = comparison(json!({"minimumSamples": 20}));
        let all_worse = |worse| Pairs { worse, ..Pairs::default() };
        assert_eq!(all_worse(19).verdict(&strict), None);
        let (phase, why) = all_worse(20).verdict(&strict).unwrap();
        assert_eq!(phase, Phase::Failed);
        assert_eq!(why, "worse than stable in 20 of 20 pairs: evidence 99864.3 >= 20.0 (false-alarm rate 0.05)");
    }

    #[test]
    fn a_pair_without_data_means_what_the_policy_says() {
        for (policy, expected) in [
            ("ignore", Pairs { empty: 6, ..Pairs::default() }),
            ("worse", Pairs { worse: 6, ..Pairs::default() }),
            ("inconclusive", Pairs { empty: 6, ..Pairs::default() }),
        ] {
            let comparison = comparison(json!({"empty": policy}));
            let mut pairs = Pairs::default();
            for _ in 0..6 {
                pairs.add(&comparison, None, Some(1.0));
            }
            assert_eq!(pairs, expected, "{policy}");
            let phase = pairs.verdict(&comparison).map(|(phase, _)| phase);
            assert_eq!(phase, (policy == "inconclusive").then_some(Phase::Inconclusive), "{policy}");
        }
    }

    #[test]
    fn a_wrong_annotation_is_told() {
        let object = |text: &str| {
            let mut object = Object::new("argoproj.io/v1alpha1", "AnalysisRun", Some("qa"), "a");
            object.set_annotation(COMPARE_ANNOTATION, text);
            object
        };
        for (text, message) in [
            ("{}", "metadata.annotations[sluice.dev/compare]: is not a JSON list of comparisons"),
            (r#"[{"metric": "a"}]"#, "metadata.annotations[sluice.dev/compare][0]: missing field `baseline`"),
            (
                r#"[{"metric": "a", "baseline": "b", "falseAlarmRate": 1}]"#,
                "metadata.annotations[sluice.dev/compare][0].falseAlarmRate: must lie between 0 and 1",
            ),
        ] {
            let mut told = Vec::new();
            assert_eq!(Comparison::parse_all(&object(text), &mut told), []);
            assert_eq!(told.iter().map(ToString::to_string).collect::<Vec<_>>(), [message]);
        }
    }
}
