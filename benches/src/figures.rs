//! What was measured, as a table for people and as JSON for machines.

use std::time::Duration;

use serde_json::{Value, json};

/// One measured value.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    /// Name in the JSON.
    pub(crate) key: &'static str,
    /// What it is.
    pub(crate) what: String,
    /// The value.
    pub(crate) value: f64,
    /// Its unit.
    pub(crate) unit: &'static str,
    /// It shall be below this.
    pub(crate) aim: Option<f64>,
}

/// All figures of one run.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    all: Vec<Figure>,
    /// What else belongs in the JSON.
    pub(crate) facts: serde_json::Map<String, Value>,
}

impl Figures {
    /// Adds a value without an aim.
    pub(crate) fn add(&mut self, key: &'static str, what: impl Into<String>, value: f64, unit: &'static str) {
        self.all.push(Figure { key, what: what.into(), value, unit, aim: None });
    }

    /// Adds a value that shall be below `aim`.
    pub(crate) fn add_below(
        &mut self,
        key: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        aim: f64,
    ) {
        self.all.push(Figure { key, what: what.into(), value, unit, aim: Some(aim) });
    }

    /// What did not meet its aim.
    pub(crate) fn missed(&self) -> Vec<&'static str> {
        self.all.iter().filter(|figure| figure.is_missed()).map(|figure| figure.key).collect()
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let width = self.all.iter().map(|figure| figure.what.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for figure in &self.all {
            let value = format!("{} {}", short(figure.value), figure.unit);
            let aim = match figure.aim {
                Some(aim) => {
                    let verdict = if figure.is_missed() { "MISSED" } else { "ok" };
                    format!("  aim < {} {}  {verdict}", short(aim), figure.unit)
                }
                None => String::new(),
            };
            text.push_str(format!("  {:<width$}  {value:>12}{aim}", figure.what).trim_end());
            text.push('\n');
        }
        text
    }

    /// Everything.
    pub(crate) fn json(&self) -> Value {
        let figures = self.all.iter().map(|figure| {
            let mut value = json!({"key": figure.key, "what": figure.what, "value": figure.value, "unit": figure.unit});
            if let (Some(aim), Some(map)) = (figure.aim, value.as_object_mut()) {
                map.insert("below".to_owned(), aim.into());
                map.insert("isMet".to_owned(), (!figure.is_missed()).into());
            }
            value
        });
        let mut all = self.facts.clone();
        all.insert("figures".to_owned(), figures.collect());
        Value::Object(all)
    }
}

impl Figure {
    fn is_missed(&self) -> bool {
        self.aim.is_some_and(|aim| self.value >= aim)
    }
}

/// Three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}

/// The smallest of `times` that at least `percent` of them do not exceed.
pub(crate) fn percentile(times: &[Duration], percent: usize) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort();
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let times: Vec<Duration> = (1..=20).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&times, 50), Duration::from_millis(10));
        assert_eq!(percentile(&times, 95), Duration::from_millis(19));
        assert_eq!(percentile(&times, 100), Duration::from_millis(20));
        assert_eq!(percentile(&[Duration::from_millis(7)], 50), Duration::from_millis(7));
    }

    #[test]
    fn the_table_shows_which_aim_was_missed() {
        let mut figures = Figures::default();
        figures.add_below("p50", "p50", 0.1234, "s", 0.3);
        figures.add_below("rss", "resident memory", 81.26, "MB", 80.0);
        figures.add("load", "load average", 2.5, "");
        let table = "  p50                   0.123 s  aim < 0.300 s  ok\n  \
                     resident memory       81.3 MB  aim < 80.0 MB  MISSED\n  \
                     load average            2.50\n";
        assert_eq!(figures.table(), table);
        assert_eq!(figures.missed(), ["rss"]);
        assert_eq!(figures.json()["figures"][1]["isMet"], false);
    }
}
