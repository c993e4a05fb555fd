//! Functions over a stretch of samples, with Prometheus' extrapolation.

use super::Range;
use crate::store::Sample;

/// A function from a stretch of one series to a number; `None` when there are too few samples.
pub(super) type RangeFunction = fn(&Stretch<'_>) -> Option<f64>;

/// One series within a range selector's bounds; it has at least one sample.
pub(super) struct Stretch<'a> {
    start_ms: i64,
    end_ms: i64,
    samples: &'a [Sample],
}

impl<'a> Stretch<'a> {
    pub(super) fn new(range: &Range, samples: &'a [Sample]) -> Self {
        Self { start_ms: range.start_ms, end_ms: range.end_ms, samples }
    }

    fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.samples.iter().map(|sample| sample.value)
    }

    fn pairs(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.values().zip(self.values().skip(1))
    }
}

/// The function of that name, when it is one over a range.
pub(super) fn find(name: &str) -> Option<RangeFunction> {
    Some(match name {
        "rate" => |stretch| extrapolate(stretch, Kind::Counter).map(|increase| increase / seconds(stretch)),
        "increase" => |stretch| extrapolate(stretch, Kind::Counter),
        "delta" => |stretch| extrapolate(stretch, Kind::Gauge),
        "irate" => |stretch| last_two(stretch, Kind::Counter).map(|(change, seconds)| change / seconds),
        "idelta" => |stretch| last_two(stretch, Kind::Gauge).map(|(change, _)| change),
        "resets" => |stretch| Some(stretch.pairs().filter(|(before, after)| after < before).count() as f64),
        "changes" => |stretch| Some(stretch.pairs().filter(|(before, after)| differ(*before, *after)).count() as f64),
        "avg_over_time" => |stretch| Some(stretch.values().sum::<f64>() / stretch.samples.len() as f64),
        "sum_over_time" => |stretch| Some(stretch.values().sum()),
        "count_over_time" => |stretch| Some(stretch.samples.len() as f64),
        "min_over_time" => |stretch| {
            stretch.values().reduce(|least, value| if value < least || least.is_nan() { value } else { least })
        },
        "max_over_time" => {
            |stretch| stretch.values().reduce(|most, value| if value > most || most.is_nan() { value } else { most })
        }
        "last_over_time" => |stretch| stretch.values().last(),
        "present_over_time" => |_| Some(1.0),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
}

fn differ(before: f64, after: f64) -> bool {
    before != after && !(before.is_nan() && after.is_nan())
}

fn seconds(stretch: &Stretch<'_>) -> f64 {
    (stretch.end_ms - stretch.start_ms) as f64 / 1000.0
}

/// The change over the whole stretch, guessed from the samples within it: each end is extended to the stretch's edge
/// when a sample is about due there, else by half a sampling interval; a counter is never extended below zero.
fn extrapolate(stretch: &Stretch<'_>, kind: Kind) -> Option<f64> {
    let (first, last) = (stretch.samples.first()?, stretch.samples.last()?);
    if stretch.samples.len() < 2 {
        return None;
    }
    let mut change = last.value - first.value;
    if kind == Kind::Counter {
        // A counter that falls was reset: what it had before counts as well.
        change += stretch.pairs().filter(|(before, after)| after < before).map(|(before, _)| before).sum::<f64>();
    }
    let mut to_start = (first.at_ms - stretch.start_ms) as f64 / 1000.0;
    let to_end = (stretch.end_ms - last.at_ms) as f64 / 1000.0;
    let sampled = (last.at_ms - first.at_ms) as f64 / 1000.0;
    let between = sampled / (stretch.samples.len() - 1) as f64;
    if kind == Kind::Counter && change > 0.0 && first.value >= 0.0 {
        to_start = to_start.min(sampled * (first.value / change));
    }
    let threshold = between * 1.1;
    let extend = |gap: f64| if gap < threshold { gap } else { between / 2.0 };
    Some(change * ((sampled + extend(to_start) + extend(to_end)) / sampled))
}

/// The change between the last two samples and the seconds between them.
fn last_two(stretch: &Stretch<'_>, kind: Kind) -> Option<(f64, f64)> {
    let [.., before, last] = stretch.samples else { return None };
    let was_reset = kind == Kind::Counter && last.value < before.value;
    let change = if was_reset { last.value } else { last.value - before.value };
    Some((change, (last.at_ms - before.at_ms) as f64 / 1000.0))
}
