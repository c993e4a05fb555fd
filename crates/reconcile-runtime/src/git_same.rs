//! Which renders a commit leaves as they are, found once for all configs of a repository.
//!
//! What differs between two commits is read once; a render whose inputs none of it touches is the same. A repository of a
//! thousand paths would otherwise be walked a thousand times for each commit.

use std::collections::{BTreeMap, BTreeSet};

use git_source::{EntryKind, Repository, Tree};
use reconcile_core::{Rendered, Slot};

use crate::git::{Inner, RepositoryKey};
use crate::git_render::Inputs;
use crate::shared::lock;

/// Larger changes are looked at render by render.
const CHANGED_PATHS_MAX: usize = 1_000;
/// How many other commits the renders may be at, before each is looked at by itself.
const HEADS_MAX: usize = 8;

impl Inner {
    /// Of these renders, those that are the same at another commit.
    pub(crate) fn same_at(&self, key: &RepositoryKey, commit: &str, renders: Vec<(Slot, Rendered)>) -> Vec<Slot> {
        let Some(repository) = self.known_repository(key) else { return Vec::new() };
        let heads: BTreeSet<&str> = renders.iter().map(|(_, rendered)| rendered.head.as_str()).collect();
        if heads.len() > HEADS_MAX {
            return Vec::new();
        }
        let changed: BTreeMap<&str, Vec<String>> = heads
            .into_iter()
            .filter_map(|head| Some((head, self.changed_between(&repository, head, commit)?)))
            .collect();
        let cache = lock(&self.renders);
        let place = key.digest();
        let inputs = cache.inputs_of(&place);
        let is_same = |rendered: &Rendered| {
            let Some(changed) = changed.get(rendered.head.as_str()) else { return false };
            let Some(inputs) = inputs.get(rendered.key.as_str()) else { return false };
            !changed.iter().any(|changed| inputs.iter().any(|(input, _)| overlap(input, changed)))
        };
        renders.iter().filter(|(_, rendered)| is_same(rendered)).map(|(slot, _)| slot.clone()).collect()
    }

    /// The files that differ between two commits, when both are here and they are not too many.
    fn changed_between(&self, repository: &Repository, before: &str, after: &str) -> Option<Vec<String>> {
        let tree = |commit: &str| repository.tree_id(self.parse_commit(commit).ok()?).ok();
        let changed = repository.changed_paths(tree(before)?, tree(after)?).ok()?;
        (changed.len() <= CHANGED_PATHS_MAX).then_some(changed)
    }
}

/// Whether a change of one path can change what is at the other: it is the same, or above or below it.
fn overlap(one: &str, other: &str) -> bool {
    let (short, long) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    short.is_empty() || long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether all inputs are found by their own path, as changes name it: what a link leads to changes elsewhere.
pub(crate) fn are_without_links(tree: &Tree, inputs: &Inputs) -> bool {
    let mut seen = BTreeSet::new();
    inputs.iter().all(|(path, _)| {
        if !path.is_empty() && path.split('/').any(|name| matches!(name, "" | "." | "..")) {
            return false;
        }
        let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
        ends.filter_map(|end| path.get(..end)).all(|above| {
            if above.is_empty() || !seen.insert(above.to_owned()) {
                return true;
            }
            !matches!(tree.entry(above), Ok(Some(entry)) if entry.kind == EntryKind::Link)
        })
    })
}

#[cfg(test)]
mod tests {
    use git_source::{GitObject, ObjectKind};

    use super::*;

    #[test]
    fn an_input_behind_a_link_or_by_a_crooked_path_is_told_apart() {
        let mut repository = Repository::in_memory();
        let mut insert = |kind: ObjectKind, bytes: Vec<u8>| {
            let object = GitObject::new(kind, bytes).unwrap();
            let id = object.id();
            repository.insert(object).unwrap();
            id
        };
        let entry = |mode: &str, name: &str, id: git_source::GitId| {
            [format!("{mode} {name}\0").as_bytes(), id.as_bytes().as_slice()].concat()
        };
        let file = insert(ObjectKind::Blob, b"a: 1\n".to_vec());
        let target = insert(ObjectKind::Blob, b"real".to_vec());
        let folder = insert(ObjectKind::Tree, entry("100644", "web.yaml", file));
        let root = [entry("120000", "linked", target), entry("40000", "real", folder)].concat();
        let root = insert(ObjectKind::Tree, root);
        let tree = repository.tree(root);
        let is_plain = |path: &str| are_without_links(&tree, &vec![(path.to_owned(), None)]);
        assert!(tree.read("linked/web.yaml").is_ok());
        let found = ["", "real", "real/web.yaml", "absent/web.yaml", "linked", "linked/web.yaml", ".", "real/../real"];
        assert_eq!(found.map(is_plain), [true, true, true, true, false, false, false, false]);
    }

    #[test]
    fn a_path_overlaps_with_itself_and_what_is_above_and_below() {
        for (one, other, expected) in [
            ("apps/a", "apps/a", true),
            ("apps/a", "apps/a/x.yaml", true),
            ("apps/a/x.yaml", "apps/a", true),
            ("", "apps/a", true),
            ("apps/a", "apps/ab", false),
            ("apps/a/x.yaml", "apps/a/y.yaml", false),
        ] {
            assert_eq!(overlap(one, other), expected, "{one} {other}");
        }
    }
}
