//! All that a user is told of an object: its conditions, and every warning of the operator in its namespace.

use object_model::Object;
use serde_json::Value;

use super::Verdict;
use super::test::text_of;
use crate::setting::list;
use crate::world::World;
use crate::world::kinds::Reference;

/// Lines that have to be told, all of them and no others. `*` in a line stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    about: Reference,
    lines: Vec<String>,
}

impl Told {
    /// Reads `KIND/NAME is` and a body of lines.
    pub(super) fn parse(words: &[String], body: &str, namespace: &str) -> Result<Self, String> {
        let (about, rest) = Reference::parse(words, namespace)?;
        if rest != ["is".to_owned()] || body.is_empty() {
            return Err("told KIND/NAME [in NAMESPACE] is, and the lines below it".to_owned());
        }
        Ok(Self { about, lines: body.lines().map(str::to_owned).collect() })
    }

    pub(super) async fn judge(&self, world: &World) -> Result<Verdict, String> {
        let object = self.about.read(&world.setting).await.map_err(|error| error.to_string())?;
        let mut told: Vec<String> = object.as_ref().map(conditions).unwrap_or_default();
        told.extend(warnings(world, &self.about.namespace).await?);
        let holds = told.len() == self.lines.len()
            && self.lines.iter().zip(&told).all(|(wanted, line)| resembles(wanted, line));
        Ok(Verdict { holds, seen: format!("\n{}", told.join("\n")) })
    }
}

/// The conditions of an object, as `TYPE STATUS REASON: MESSAGE`.
fn conditions(object: &Object) -> Vec<String> {
    let text = |item: &Value, key: &str| item.get(key).map(text_of).unwrap_or_default();
    let line = |item: &Value| {
        let (kind, status) = (text(item, "type"), text(item, "status"));
        let line = format!("{kind} {status} {}: {}", text(item, "reason"), text(item, "message"));
        line.trim_end_matches([' ', ':']).to_owned()
    };
    object.list_at("/status/conditions").iter().map(line).collect()
}

/// Every Warning of the operator in a namespace, in the order of their text.
async fn warnings(world: &World, namespace: &str) -> Result<Vec<String>, String> {
    let events = list(&world.setting.people, "v1", "Event", namespace).await.map_err(|error| error.to_string())?;
    let text = |event: &Object, pointer: &str| event.str_at(pointer).unwrap_or_default().to_owned();
    let mut lines: Vec<String> = events
        .iter()
        .filter(|event| text(event, "/type") == "Warning" && text(event, "/source/component").starts_with("sluice"))
        .map(|event| {
            let (kind, name) = (text(event, "/involvedObject/kind"), text(event, "/involvedObject/name"));
            format!("Warning {} {kind}/{name}: {}", text(event, "/reason"), text(event, "/message"))
        })
        .collect();
    lines.sort();
    lines.dedup();
    Ok(lines)
}

/// Whether a line is what is wanted, where `*` stands for anything.
fn resembles(wanted: &str, line: &str) -> bool {
    let mut parts = wanted.split('*');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (wanted, line, expected) in [
            ("Ready True", "Ready True", true),
            ("Ready True", "Ready True Healthy", false),
            ("applied commit *", "applied commit 0579", true),
            ("path * at commit *: gone", "path `a b` at commit 12: gone", true),
            ("path * at commit *: gone", "path `a b` at revision 12: gone", false),
            ("*gone", "it is gone", true),
            ("*gone", "it is gone now", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(resembles(wanted, line), expected, "{wanted} {line}");
        }
    }
}
