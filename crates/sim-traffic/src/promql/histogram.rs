//! `histogram_quantile` over classic buckets.

use std::collections::BTreeMap;

use super::Element;
use crate::store::Labels;

/// The quantile of each group of buckets; elements without a numeric `le` are passed over.
pub(super) fn quantile(quantile: f64, vector: Vec<Element>) -> Vec<Element> {
    let mut groups: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
    for element in vector {
        let mut element = element.without_name();
        let Some(bound) = element.labels.remove("le").and_then(|le| parse_bound(&le)) else { continue };
        groups.entry(element.labels).or_default().push((bound, element.value));
    }
    let of_group = |(labels, buckets)| Element { labels, value: bucket_quantile(quantile, buckets) };
    groups.into_iter().map(of_group).collect()
}

fn parse_bound(text: &str) -> Option<f64> {
    match text {
        "+Inf" | "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => text.parse().ok(),
    }
}

fn bucket_quantile(quantile: f64, mut buckets: Vec<(f64, f64)>) -> f64 {
    if quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let buckets = merge(buckets);
    let [lower @ .., last] = buckets.as_slice() else { return f64::NAN };
    let Some(highest) = lower.last() else { return f64::NAN };
    if last.0 != f64::INFINITY || last.1 == 0.0 {
        return f64::NAN;
    }
    let rank = quantile * last.1;
    let at = lower.partition_point(|(_, count)| *count < rank);
    let Some((end, count)) = lower.get(at).copied() else { return highest.0 };
    let before = at.checked_sub(1).and_then(|index| lower.get(index)).copied();
    match before {
        None if end <= 0.0 => end,
        None => end * (rank / count),
        Some((start, below)) => start + (end - start) * ((rank - below) / (count - below)),
    }
}

/// Adds up buckets with the same bound, then makes the counts rise: concurrent updates may leave small dents.
fn merge(buckets: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    let mut merged: Vec<(f64, f64)> = Vec::with_capacity(buckets.len());
    for (bound, count) in buckets {
        match merged.last_mut() {
            Some(last) if last.0 == bound => last.1 += count,
            _ => merged.push((bound, count)),
        }
    }
    let mut most = f64::NEG_INFINITY;
    for (_, count) in &mut merged {
        most = most.max(*count);
        *count = most;
    }
    merged
}
