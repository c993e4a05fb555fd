//! Values that a script takes from answers and uses in later lines as `$name`.

use std::collections::BTreeMap;

use crate::script::Call;

/// Names and their values.
#[derive(Debug, Clone, Default)]
pub struct Variables {
    values: BTreeMap<String, String>,
}

impl Variables {
    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: &str) {
        self.values.insert(name.to_owned(), value.to_owned());
    }

    /// Returns a variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Returns the call with all variables replaced by their values; its text stays as it was written.
    ///
    /// An unknown variable in the words is an error. In a body it stays: `$patch` and `$retainKeys` are no variables.
    pub(crate) fn fill(&self, call: &Call) -> Result<Call, String> {
        let mut filled = call.clone();
        for word in &mut filled.words {
            *word = self.replace(word, Unknown::Refused)?;
        }
        for (_, value) in &mut filled.headers {
            *value = self.replace(value, Unknown::Refused)?;
        }
        filled.body = self.replace(&filled.body, Unknown::Kept)?;
        Ok(filled)
    }

    fn replace(&self, text: &str, unknown: Unknown) -> Result<String, String> {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(found) = rest.find('$') {
            let (before, after) = rest.split_at(found);
            replaced.push_str(before);
            let name_and_rest = after.get(1..).unwrap_or_default();
            let end = name_and_rest
                .find(|character: char| !character.is_ascii_alphanumeric() && character != '_')
                .unwrap_or(name_and_rest.len());
            let (name, tail) = name_and_rest.split_at(end);
            match self.get(name) {
                Some(value) => replaced.push_str(value),
                None if unknown == Unknown::Kept || name.is_empty() => {
                    replaced.push('$');
                    replaced.push_str(name);
                }
                None => return Err(format!("there is no variable `${name}` yet")),
            }
            rest = tail;
        }
        replaced.push_str(rest);
        Ok(replaced)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Refused,
    Kept,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::Script;

    #[test]
    fn variables_are_replaced_in_words_headers_and_bodies() {
        let mut variables = Variables::default();
        variables.set("rv", "12");
        let script = Script::parse("s", "get a?resourceVersion=$rv\n  x: \"$rv\"\n  $patch: replace").unwrap();
        let filled = variables.fill(&script.calls[0]).unwrap();
        assert_eq!(filled.words, ["a?resourceVersion=12"]);
        assert_eq!(filled.body, "x: \"12\"\n$patch: replace");
        assert_eq!(filled.text, "get a?resourceVersion=$rv");
        let script = Script::parse("s", "get $nothing").unwrap();
        assert_eq!(variables.fill(&script.calls[0]).unwrap_err(), "there is no variable `$nothing` yet");
    }
}
