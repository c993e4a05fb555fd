//! Comments that say which scalar holds which version: `# sluice: web:tag` and Flux's `# {"$imagepolicy": "ns:web:tag"}`.

use std::collections::BTreeMap;

use serde_json::Value;
use yaml::{Document, Step};

use super::Part;

/// One marked scalar: its line, what it holds, its document and its path.
pub(super) type Marked = (u32, Part, usize, Vec<Step>);

/// Deeper than any manifest nests.
const DEPTH_MAX: usize = 64;

/// Returns the scalars that are marked with `name`, in the order of their lines.
pub(super) fn marked(text: &str, documents: &[Document], name: &str) -> Vec<Marked> {
    if !text.contains("# sluice:") && !text.contains("$imagepolicy") {
        return Vec::new();
    }
    let mut by_line: BTreeMap<u32, Vec<Leaf>> = BTreeMap::new();
    for document in documents {
        leaves(document, &document.value, &mut Vec::new(), &mut by_line);
    }
    let mut found = Vec::new();
    for (index, line) in text.split('\n').enumerate() {
        let Ok(number) = u32::try_from(index + 1) else { break };
        let Some((column, marker, part)) = marker_of(line) else { continue };
        let Some(part) = part.filter(|_| marker == name) else { continue };
        let Some(leaves) = by_line.get(&number) else { continue };
        let last = leaves.iter().filter(|leaf| leaf.column < column).max_by_key(|leaf| leaf.column);
        if !last.is_some_and(|leaf| stands_alone(line, leaf, column)) {
            continue;
        }
        if let Some(leaf) = meant(leaves, part) {
            found.push((number, part, leaf.document, leaf.path.clone()));
        }
    }
    found
}

/// The scalar of a line that a marker means: the only one, or in a flow mapping the only one whose key says so.
fn meant(leaves: &[Leaf], part: Part) -> Option<&Leaf> {
    if let [only] = leaves {
        return Some(only);
    }
    let word = match part {
        Part::Image => "image",
        Part::Tag => "tag",
        Part::Digest => "digest",
    };
    let says_so =
        |leaf: &&Leaf| matches!(leaf.path.last(), Some(Step::Key(key)) if key.to_ascii_lowercase().ends_with(word));
    let mut found = leaves.iter().filter(says_so);
    found.next().filter(|_| found.next().is_none())
}

struct Leaf {
    /// In characters, counted from 0.
    column: usize,
    document: usize,
    path: Vec<Step>,
    text: Option<String>,
}

fn leaves(document: &Document, value: &Value, path: &mut Vec<Step>, by_line: &mut BTreeMap<u32, Vec<Leaf>>) {
    if path.len() > DEPTH_MAX {
        return;
    }
    match value {
        Value::Object(map) => {
            for (key, below) in map {
                path.push(key.as_str().into());
                leaves(document, below, path, by_line);
                path.pop();
            }
        }
        Value::Array(list) => {
            for (index, below) in list.iter().enumerate() {
                path.push(index.into());
                leaves(document, below, path, by_line);
                path.pop();
            }
        }
        scalar => {
            let Some(position) = document.position(path) else { return };
            let column = usize::try_from(position.column).unwrap_or(usize::MAX).saturating_sub(1);
            let text = scalar.as_str().map(str::to_owned);
            by_line.entry(position.line).or_default().push(Leaf {
                column,
                document: document.index,
                path: path.clone(),
                text,
            });
        }
    }
}

/// The marker of a line: where its `#` stands, the name and the part, `None` for a part that is never edited.
fn marker_of(line: &str) -> Option<(usize, String, Option<Part>)> {
    let (at, body) = match line.find("# sluice:") {
        Some(at) => (at, line.get(at + "# sluice:".len()..)?.split_whitespace().next()?.to_owned()),
        None => {
            let at = line
                .match_indices('#')
                .map(|(at, _)| at)
                .find(|at| line.get(at + 1..).is_some_and(|rest| rest.trim_start().starts_with("{\"$imagepolicy\"")))?;
            let json = line.get(at + 1..)?.trim();
            let value: Value = serde_json::from_str(json).ok()?;
            // Flux names the policy by namespace and name.
            let policy = value.get("$imagepolicy")?.as_str()?;
            (at, policy.split_once(':').map_or("", |(_, rest)| rest).to_owned())
        }
    };
    let before = line.get(..at)?;
    if !before.is_empty() && !before.ends_with([' ', '\t']) {
        return None;
    }
    let (name, part) = match body.split_once(':') {
        None => (body.as_str(), Some(Part::Image)),
        Some((name, "tag")) => (name, Some(Part::Tag)),
        Some((name, "digest")) => (name, Some(Part::Digest)),
        Some((name, _)) => (name, None),
    };
    Some((before.chars().count(), name.to_owned(), part))
}

/// Whether the line between the scalar and the comment is the scalar and nothing else, so that a text which quotes a
/// marker is not taken for one.
fn stands_alone(line: &str, leaf: &Leaf, marker: usize) -> bool {
    let raw: String = line.chars().skip(leaf.column).take(marker - leaf.column).collect();
    let raw = raw.trim_end().trim_end_matches(['}', ']', ',', ' ']);
    let bare = raw.trim_matches(['"', '\'']);
    match &leaf.text {
        Some(text) => bare == text,
        None => !bare.contains(['"', '\'', '#']),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str, name: &str) -> String {
        let documents = yaml::parse(text).unwrap();
        let lines = marked(text, &documents, name).into_iter().map(|(line, part, document, path)| {
            let path: String = path.iter().map(ToString::to_string).collect();
            format!("{line} {part:?} {document}{path}")
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn both_spellings_of_a_marker_are_found() {
        let text = r#"
image: ghcr.io/acme/web:1 # sluice: web
values: {tag: "1", other: x} # sluice: api:tag
tag: '1.0' # {"$imagepolicy": "flux-system:web:tag"}
name: acme/web # {"$imagepolicy": "flux-system:web:name"}
---
list:
- sha256:ab   # sluice: web:digest
- x
"#;
        insta::assert_snapshot!(found(text, "web"), @r"
        2 Image 0.image
        4 Tag 0.tag
        8 Digest 1.list[0]
        ");
        assert_eq!(
            found(text, "api"),
            "3 Tag 0.values.tag",
            "of several scalars on a line the key says which is meant"
        );
    }

    #[test]
    fn texts_that_quote_a_marker_are_not_marked() {
        let text = "note: \"see x # sluice: web\"\nblock: |\n  image: a # sluice: web\n";
        assert_eq!(found(text, "web"), "");
    }
}
