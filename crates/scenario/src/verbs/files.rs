//! What a commit changes, read from the body of its line.

use std::collections::BTreeMap;

use script::{Call, Script};

use crate::world::World;

/// Files by path; `None` deletes.
pub(super) type Files = Vec<(String, Option<Vec<u8>>)>;

/// Reads the statements of a commit's body, one after the other, each on the files as the one before has left them.
pub(super) fn read(world: &World, body: &str) -> Result<Files, String> {
    let statements =
        Script::parse("commit", body).map_err(|error| format!("its body: line {}: {}", error.line, error.message))?;
    let mut change = Change { world, files: BTreeMap::new() };
    for statement in &statements.calls {
        change.make(statement).map_err(|message| format!("{}: {message}", statement.text))?;
    }
    Ok(change.files.into_iter().collect())
}

struct Change<'a> {
    world: &'a World,
    files: BTreeMap<String, Option<Vec<u8>>>,
}

impl Change<'_> {
    fn make(&mut self, statement: &Call) -> Result<(), String> {
        let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
        match (statement.verb.as_str(), words.as_slice()) {
            ("write", [path]) => self.put(path, format!("{}\n", statement.body).into_bytes()),
            ("edit", [path, "replace", old, "by", new]) => {
                let text = String::from_utf8(self.bytes(path)?).map_err(|_| format!("{path} is not UTF-8"))?;
                if !text.contains(old) {
                    return Err(format!("{path} has no `{old}`"));
                }
                self.put(path, text.replace(old, new).into_bytes());
            }
            ("append", [path, "bytes", hex @ ..]) => {
                let mut bytes = self.bytes(path)?;
                for byte in hex {
                    bytes.push(u8::from_str_radix(byte, 16).map_err(|_| format!("`{byte}` is no byte"))?);
                }
                self.put(path, bytes);
            }
            ("delete", [path]) => {
                for found in self.below(path)? {
                    self.files.insert(found, None);
                }
            }
            ("move", [from, "to", to]) => {
                for found in self.below(from)? {
                    let bytes = self.bytes(&found)?;
                    self.put(&found.replacen(from, to, 1), bytes);
                    self.files.insert(found, None);
                }
            }
            ("copy", [from, "to", to]) => self.copy(from, to)?,
            _ => {
                return Err(
                    "a commit can: write PATH, edit PATH replace OLD by NEW, append PATH bytes HEX..., delete \
                            PATH, move PATH to PATH, copy FIXTURE to PATH"
                        .to_owned(),
                );
            }
        }
        Ok(())
    }

    fn put(&mut self, path: &str, bytes: Vec<u8>) {
        self.files.insert(path.to_owned(), Some(bytes));
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>, String> {
        let found = match self.files.get(path) {
            Some(staged) => staged.clone(),
            None => self.world.setting.fleet.read(path),
        };
        found.ok_or_else(|| format!("there is no file {path}"))
    }

    /// The files at or below a path of the repository.
    fn below(&self, path: &str) -> Result<Vec<String>, String> {
        let folder = format!("{path}/");
        let mut all = self.world.setting.fleet.files("");
        all.extend(self.files.keys().cloned());
        all.retain(|file| {
            let is_gone = self.files.get(file).is_some_and(Option::is_none);
            !is_gone && (file == path || file.starts_with(&folder))
        });
        all.sort();
        all.dedup();
        if all.is_empty() { Err(format!("there is no {path}")) } else { Ok(all) }
    }

    /// Copies a file of the fixtures, or a folder with all that is in it.
    fn copy(&mut self, from: &str, to: &str) -> Result<(), String> {
        let root = self.world.fixtures.join(from);
        let fail = |error: std::io::Error| format!("fixtures/{from}: {error}");
        let mut waiting = vec![(root, to.to_owned())];
        while let Some((path, target)) = waiting.pop() {
            if path.is_dir() {
                for entry in std::fs::read_dir(&path).map_err(fail)? {
                    let entry = entry.map_err(fail)?;
                    let name = entry.file_name().to_string_lossy().into_owned();
                    let inner = if target == "." { name } else { format!("{target}/{name}") };
                    waiting.push((entry.path(), inner));
                }
                continue;
            }
            let bytes = std::fs::read(&path).map_err(fail)?;
            self.put(&target, bytes);
        }
        Ok(())
    }
}
