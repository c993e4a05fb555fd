//! Edits of whole files, in one binary.

#![cfg(test)]

mod edits;
mod example;
mod guestbook;
mod properties;
mod refusals;

use env_promotion::{Artifact, EditPlace, FileEdits, PlanEditsError, TreeFile, TreeFiles, Version, plan_edits};

fn tree(files: &[(&str, &str)]) -> TreeFiles {
    files.iter().map(|(path, text)| ((*path).to_owned(), TreeFile::Regular(text.as_bytes().to_vec()))).collect()
}

fn web(places: Vec<EditPlace>) -> Artifact {
    Artifact { name: "web".to_owned(), image: "ghcr.io/acme/web".to_owned(), places }
}

fn version(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn plan(files: &TreeFiles, artifact: Artifact, to: &str) -> Result<FileEdits, PlanEditsError> {
    plan_edits(files, "envs/e2e", &[artifact], &[version(to)])
}

/// The lines that an edit changes, with their numbers; every other byte must be equal.
fn changed(edits: &FileEdits) -> String {
    let mut lines = Vec::new();
    for edit in &edits.files {
        let (before, after) =
            (String::from_utf8(edit.before.clone()).unwrap(), String::from_utf8(edit.after.clone()).unwrap());
        let (before, after): (Vec<&str>, Vec<&str>) = (before.split('\n').collect(), after.split('\n').collect());
        assert_eq!(before.len(), after.len());
        for (index, (before, after)) in
            before.iter().zip(&after).enumerate().filter(|(_, (before, after))| before != after)
        {
            lines.push(format!("{}:{}\n-{before}\n+{after}", edit.file, index + 1));
        }
    }
    lines.join("\n")
}
