//! Makes the answers of two clusters comparable: what differs from run to run becomes a name by its order.
//!
//! Uids become U1, U2, ...; resource versions of objects become their dense rank R1, R2, ... over the whole script, so
//! that "not changed" and "later than" stay visible; the version of a list or a bookmark becomes `R2+` (at or after R2,
//! before R3), because it moves with everything else in the cluster; moments become T (T.us with microseconds);
//! generated name suffixes X1, pod template hashes H1, addresses IP1, node ports PORT1.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::transcript::Transcript;
use crate::{managed_fields, paths};

/// How much of an answer is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Shown {
    /// Who owns which field: long, so only scripts about ownership keep it.
    pub managed_fields: bool,
}

/// Normalises the whole transcript.
pub fn normalise(transcript: &mut Transcript, shown: Shown) {
    let mut learned = Learned::default();
    for entry in &transcript.entries {
        learned.read(&entry.body);
    }
    learned.rank_versions();
    for entry in &mut transcript.entries {
        if !shown.managed_fields {
            remove_managed_fields(&mut entry.body);
        }
        learned.rewrite(&mut entry.body);
        // Only now: what a version means is told by fields that may be left out.
        if let Some(only) = &entry.only {
            entry.body = paths::keep(&entry.body, only);
        }
        for (_, value) in &mut entry.headers {
            *value = learned.text(value);
        }
        entry.call = learned.text(&entry.call);
    }
}

/// Everything in the transcript that needs another name.
#[derive(Default)]
struct Learned {
    versions: BTreeSet<u64>,
    ranks: BTreeMap<u64, usize>,
    /// Text to its replacement: uids, hashes, generated names, addresses.
    names: BTreeMap<String, String>,
    counts: BTreeMap<&'static str, usize>,
}

impl Learned {
    fn read(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => {
                self.read_object(fields);
                // In the order of the keys, whatever order the map keeps: names are numbered as they are met.
                let mut keys: Vec<&String> = fields.keys().collect();
                keys.sort();
                keys.into_iter().filter_map(|key| fields.get(key)).for_each(|value| self.read(value));
            }
            Value::Array(values) => values.iter().for_each(|value| self.read(value)),
            Value::String(text) => self.read_text(text),
            _ => {}
        }
    }

    fn read_object(&mut self, fields: &Map<String, Value>) {
        let Some(Value::Object(metadata)) = fields.get("metadata") else { return };
        if !is_list(fields)
            && let Some(version) = version_of(metadata)
        {
            self.versions.insert(version);
        }
        let text = |key: &str| metadata.get(key).and_then(Value::as_str);
        if let (Some(prefix), Some(name)) = (text("generateName"), text("name"))
            && let Some(suffix) = name.strip_prefix(prefix)
            // The pods of a StatefulSet have a prefix too, and numbers behind it.
            && is_made_up(suffix)
        {
            self.learn_hash(metadata);
            // The prefix may itself hold a hash: both get their names when the text is rewritten.
            self.learn(suffix, "X");
        }
        self.learn_hash(metadata);
    }

    fn learn_hash(&mut self, metadata: &Map<String, Value>) {
        for label in ["pod-template-hash", "controller-revision-hash", "controller.kubernetes.io/hash"] {
            if let Some(hash) = metadata.get("labels").and_then(|labels| labels.get(label)).and_then(Value::as_str) {
                self.learn(hash, "H");
            }
        }
    }

    fn read_text(&mut self, text: &str) {
        for word in text.split(|character: char| !(character.is_ascii_alphanumeric() || "-.".contains(character))) {
            if is_uid(word) {
                self.learn(word, "U");
            } else if is_address(word) {
                self.learn(word, "IP");
            } else if let Some((_, suffix)) = word.rsplit_once('-').filter(|(_, suffix)| is_made_up(suffix)) {
                self.learn(suffix, "X");
            }
        }
    }

    fn learn(&mut self, text: &str, prefix: &'static str) {
        if self.names.contains_key(text) {
            return;
        }
        let count = self.counts.entry(prefix).or_default();
        *count += 1;
        self.names.insert(text.to_owned(), format!("{prefix}{count}"));
    }

    fn rank_versions(&mut self) {
        self.ranks = self.versions.iter().enumerate().map(|(index, version)| (*version, index + 1)).collect();
    }

    fn rewrite(&self, value: &mut Value) {
        match value {
            Value::Object(fields) => {
                let list = is_list(fields);
                if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                    self.rewrite_metadata(metadata, list);
                }
                let entries = std::mem::take(fields);
                for (key, mut value) in entries {
                    if key == "nodePort" && value.is_u64() {
                        value = Value::from("PORT");
                    } else if key == "serverAddress" {
                        value = Value::from("ADDRESS");
                    } else if key == "cells" {
                        hide_ages(&mut value);
                    } else if key == "managedFields" {
                        value = managed_fields::shown(&value);
                    }
                    self.rewrite(&mut value);
                    fields.insert(self.text(&key), value);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|value| self.rewrite(value)),
            Value::String(text) => *text = self.text(text),
            _ => {}
        }
    }

    fn rewrite_metadata(&self, metadata: &mut Map<String, Value>, list: bool) {
        if let Some(version) = version_of(metadata) {
            let shown = if list { self.floor(version) } else { self.rank(version) };
            metadata.insert("resourceVersion".to_owned(), Value::from(shown));
        }
        if metadata.get("continue").and_then(Value::as_str).is_some_and(|token| !token.is_empty()) {
            metadata.insert("continue".to_owned(), Value::from("CONTINUE"));
        }
    }

    fn rank(&self, version: u64) -> String {
        self.ranks.get(&version).map_or_else(|| self.floor(version), |rank| format!("R{rank}"))
    }

    fn floor(&self, version: u64) -> String {
        let below = self.versions.range(..=version).next_back();
        below.and_then(|version| self.ranks.get(version)).map_or_else(|| "R0+".to_owned(), |rank| format!("R{rank}+"))
    }

    fn text(&self, text: &str) -> String {
        let mut shown = self.versions_in_text(text);
        // Longer ones first: a name may hold another one.
        let mut names: Vec<(&String, &String)> = self.names.iter().collect();
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        for (name, replacement) in names {
            if shown.contains(name.as_str()) {
                shown = replace_word(&shown, name, replacement);
            }
        }
        replace_moments(&shown)
    }

    /// Messages name versions after a few fixed words.
    fn versions_in_text(&self, text: &str) -> String {
        const BEFORE: [&str; 9] = [
            "resource version: ",
            "ResourceVersion in precondition: ",
            "ResourceVersion in object meta: ",
            "current: ",
            "(",
            "\"resourceVersion\":\"",
            "\\\"resourceVersion\\\":\\\"",
            "resourceVersion: \"",
            "\"resourceVersion\": \"",
        ];
        let mut shown = text.to_owned();
        let lower = text.to_ascii_lowercase();
        if !lower.contains("resource version") && !lower.contains("resourceversion") {
            return shown;
        }
        for words in BEFORE {
            let mut from = 0;
            while let Some(found) = shown.get(from..).and_then(|rest| rest.find(words)) {
                let start = from + found + words.len();
                let digits = shown.get(start..).map_or(0, |rest| rest.bytes().take_while(u8::is_ascii_digit).count());
                let number = shown.get(start..start + digits).and_then(|digits| digits.parse::<u64>().ok());
                from = start;
                if let Some(number) = number {
                    let rank = self.rank(number);
                    from += rank.len();
                    shown.replace_range(start..start + digits, &rank);
                }
            }
        }
        shown
    }
}

fn version_of(metadata: &Map<String, Value>) -> Option<u64> {
    metadata.get("resourceVersion").and_then(Value::as_str)?.parse().ok()
}

/// A list, a table or a bookmark: its version is the store's, not an object's.
fn is_list(fields: &Map<String, Value>) -> bool {
    let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default();
    let name = fields.get("metadata").and_then(|metadata| metadata.get("name"));
    fields.contains_key("items") || kind == "Table" || (kind.ends_with("List") && name.is_none()) || name.is_none()
}

fn remove_managed_fields(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::Object(metadata)) = fields.get_mut("metadata") {
                metadata.remove("managedFields");
            }
            fields.values_mut().for_each(remove_managed_fields);
        }
        Value::Array(values) => values.iter_mut().for_each(remove_managed_fields),
        _ => {}
    }
}

/// The five characters that the server puts behind a prefix: no vowels, no digits that look like letters.
fn is_made_up(suffix: &str) -> bool {
    suffix.len() == 5 && suffix.chars().all(|character| "bcdfghjklmnpqrstvwxz2456789".contains(character))
}

/// Cells of a table that say how old something is.
fn hide_ages(cells: &mut Value) {
    let Value::Array(cells) = cells else { return };
    for cell in cells {
        if cell.as_str().is_some_and(is_age) {
            *cell = Value::from("AGE");
        }
    }
}

/// `5s`, `2m3s`, `<unknown>`: how old something is.
pub(crate) fn is_age(cell: &str) -> bool {
    let is_unit = |character: char| "smhd".contains(character);
    cell == "<unknown>"
        || (cell.starts_with(|first: char| first.is_ascii_digit())
            && cell.ends_with(is_unit)
            && cell.chars().all(|character| character.is_ascii_digit() || is_unit(character)))
}

fn is_uid(word: &str) -> bool {
    let groups: Vec<&str> = word.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12] && groups.iter().all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// An IPv4 address that was handed out: loopback and the unspecified one are the same everywhere.
fn is_address(word: &str) -> bool {
    word.parse::<std::net::Ipv4Addr>().is_ok_and(|address| {
        let [first, ..] = address.octets();
        first == 10
    })
}

/// Replaces `name` where it is not part of a longer word.
fn replace_word(text: &str, name: &str, replacement: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(found) = rest.find(name) {
        let (before, after) = rest.split_at(found);
        let tail = after.get(name.len()..).unwrap_or_default();
        let joined = before.chars().next_back().or(shown.chars().next_back()).is_some_and(char::is_alphanumeric)
            || tail.chars().next().is_some_and(char::is_alphanumeric);
        shown.push_str(before);
        shown.push_str(if joined { name } else { replacement });
        rest = tail;
    }
    shown.push_str(rest);
    shown
}

/// Replaces moments as Kubernetes writes them by T, or T.us when they have microseconds.
fn replace_moments(text: &str) -> String {
    const SECONDS: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let bytes = text.as_bytes();
    let mut shown = String::with_capacity(text.len());
    let mut index = 0;
    while let Some(rest) = bytes.get(index..).filter(|rest| !rest.is_empty()) {
        let matches = rest.len() > SECONDS.len()
            && rest.iter().zip(SECONDS).all(|(byte, form)| match form {
                b'd' => byte.is_ascii_digit(),
                other => byte == other,
            });
        let tail = rest.get(SECONDS.len()..).unwrap_or_default();
        let fraction = match tail.first() {
            Some(b'.') => 1 + tail.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count(),
            _ => 0,
        };
        if matches && tail.get(fraction) == Some(&b'Z') {
            shown.push_str(if fraction > 0 { "T.us" } else { "T" });
            index += SECONDS.len() + fraction + 1;
            continue;
        }
        let width = text.get(index..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8);
        shown.push_str(text.get(index..index + width).unwrap_or_default());
        index += width;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Entry;
    use serde_json::json;

    fn normalised(bodies: Vec<Value>) -> Vec<Value> {
        let entries = bodies
            .into_iter()
            .map(|body| Entry { call: String::new(), status: None, headers: Vec::new(), body, only: None })
            .collect();
        let mut transcript = Transcript { entries };
        normalise(&mut transcript, Shown::default());
        transcript.entries.into_iter().map(|entry| entry.body).collect()
    }

    #[test]
    fn versions_become_ranks_and_a_list_says_what_it_is_after() {
        let shown = normalised(vec![
            json!({"kind": "ConfigMap", "metadata": {"name": "b", "resourceVersion": "130"}}),
            json!({"kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "120"}}),
            json!({"kind": "ConfigMapList", "metadata": {"resourceVersion": "125", "continue": "abc"}, "items": []}),
            json!({"kind": "Status", "metadata": {}, "message": "too old resource version: 120 (131)"}),
        ]);
        assert_eq!(shown[0]["metadata"]["resourceVersion"], "R2");
        assert_eq!(shown[1]["metadata"]["resourceVersion"], "R1");
        assert_eq!(shown[2]["metadata"], json!({"resourceVersion": "R1+", "continue": "CONTINUE"}));
        assert_eq!(shown[3]["message"], "too old resource version: R1 (R2+)");
    }

    #[test]
    fn names_that_were_made_up_are_numbered_by_their_first_appearance() {
        let shown = normalised(vec![json!({
            "kind": "Pod",
            "metadata": {
                "name": "web-5d9c7-x2x4z", "generateName": "web-5d9c7-",
                "labels": {"pod-template-hash": "5d9c7"},
                "uid": "7f4c1b1e-0000-4000-8000-00000000000a",
                "creationTimestamp": "2026-11-22T07:15:00Z",
                "managedFields": [],
            },
            "status": {"podIP": "10.128.0.7", "renewTime": "2026-11-22T07:15:00.123456Z"},
        })]);
        assert_eq!(
            shown[0],
            json!({
                "kind": "Pod",
                "metadata": {
                    "name": "web-H1-X1", "generateName": "web-H1-", "labels": {"pod-template-hash": "H1"},
                    "uid": "U1", "creationTimestamp": "T",
                },
                "status": {"podIP": "IP1", "renewTime": "T.us"},
            })
        );
    }

    #[test]
    fn a_name_inside_a_longer_word_stays() {
        assert_eq!(replace_word("web-abc abcd xabc abc", "abc", "X1"), "web-X1 abcd xabc X1");
    }
}
