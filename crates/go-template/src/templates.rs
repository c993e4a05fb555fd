//! Sets of templates: what is parsed into them, and how they are executed.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use crate::Str;
use crate::environment::Environment;
use crate::error::{ExecuteError, ParseError};
use crate::execute::execute;
use crate::function::Functions;
use crate::parse::parse;
use crate::quote::{Keep, quote};
use crate::tree::Template;
use crate::value::Value;

/// How many parsed texts a set remembers for `tpl`, and how long a text may be to be remembered.
const REMEMBERED_TEXTS_MAX: usize = 1_024;
const REMEMBERED_BYTES_MAX: usize = 64 << 10;

/// What a key that is not in a map evaluates to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissingKey {
    /// No value, and no error when it is asked for fields in turn.
    #[default]
    Default,
    /// The zero value of the map's elements; nil for maps of anything.
    Zero,
    /// An error.
    Error,
}

/// The texts that `tpl` has parsed.
type Remembered = Mutex<HashMap<Str, Arc<Vec<Arc<Template>>>>>;

/// Templates that know each other by name. A set is parsed once and may be executed many times, by many threads.
#[derive(Debug)]
pub struct Templates {
    name: Str,
    functions: Arc<Functions>,
    templates: BTreeMap<Str, Arc<Template>>,
    missing_key: MissingKey,
    left: Vec<u8>,
    right: Vec<u8>,
    remembered: Remembered,
}

impl Clone for Templates {
    /// Copies the set; the templates in it are shared.
    fn clone(&self) -> Self {
        Self {
            name: self.name.clone(),
            functions: self.functions.clone(),
            templates: self.templates.clone(),
            missing_key: self.missing_key,
            left: self.left.clone(),
            right: self.right.clone(),
            remembered: Mutex::default(),
        }
    }
}

impl Templates {
    /// Returns an empty set. Its name is what messages call it, and the name of texts that `tpl` executes.
    #[must_use]
    pub fn new(name: impl Into<Str>, functions: Arc<Functions>) -> Self {
        Self {
            name: name.into(),
            functions,
            templates: BTreeMap::new(),
            missing_key: MissingKey::Default,
            left: b"{{".to_vec(),
            right: b"}}".to_vec(),
            remembered: Mutex::default(),
        }
    }

    /// Sets what a key that is not in a map evaluates to.
    #[must_use]
    pub fn with_missing_key(mut self, missing_key: MissingKey) -> Self {
        self.missing_key = missing_key;
        self
    }

    /// Sets what actions stand between; an empty text means the usual braces.
    #[must_use]
    pub fn with_delimiters(mut self, left: &str, right: &str) -> Self {
        self.left = if left.is_empty() { b"{{".to_vec() } else { left.into() };
        self.right = if right.is_empty() { b"}}".to_vec() } else { right.into() };
        self
    }

    /// Returns the name of the set.
    #[must_use]
    pub fn name(&self) -> &Str {
        &self.name
    }

    /// Returns the functions that its templates may call.
    #[must_use]
    pub fn functions(&self) -> &Functions {
        &self.functions
    }

    /// Parses a source into the set: the template of this name and all that the source defines. A later template
    /// replaces an earlier one of its name, unless there is nothing in it.
    ///
    /// # Errors
    /// The source doesn't parse; the set is as it was.
    pub fn parse(&mut self, name: impl Into<Str>, source: impl Into<Str>) -> Result<(), ParseError> {
        for template in parse(&name.into(), &source.into(), (&self.left, &self.right), &self.functions)? {
            if !template.is_empty || !self.templates.contains_key(&template.name) {
                self.templates.insert(template.name.clone(), Arc::new(template));
            }
        }
        Ok(())
    }

    /// Returns the names of all templates, sorted.
    pub fn names(&self) -> impl Iterator<Item = &Str> {
        self.templates.keys()
    }

    /// Executes a template and returns what it wrote.
    ///
    /// # Errors
    /// There is no such template, it fails, or the budget runs out.
    pub fn execute(&self, name: &str, data: &Value, environment: &mut Environment<'_>) -> Result<Str, ExecuteError> {
        match self.get(name.as_bytes()) {
            Some(template) => execute(self, template, data, environment),
            None => {
                let (name, set) =
                    (quote(name.as_bytes(), Keep::Printable), quote(self.name.as_bytes(), Keep::Printable));
                let text = format!("template: no template {name} associated with template {set}");
                Err(ExecuteError { text, template: self.name.clone(), exhausted: None })
            }
        }
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Arc<Template>> {
        self.templates.get(name)
    }

    pub(crate) fn missing_key(&self) -> MissingKey {
        self.missing_key
    }

    pub(crate) fn left_delimiter(&self) -> &[u8] {
        &self.left
    }

    /// Parses a text for `tpl`, or remembers it.
    pub(crate) fn parsed(&self, source: &Str) -> Result<Arc<Vec<Arc<Template>>>, ParseError> {
        if let Some(templates) = self.remembered.lock().ok().and_then(|texts| texts.get(source).cloned()) {
            return Ok(templates);
        }
        let templates = parse(&self.name, source, (&self.left, &self.right), &self.functions)?;
        let templates = Arc::new(templates.into_iter().map(Arc::new).collect::<Vec<_>>());
        if source.len() <= REMEMBERED_BYTES_MAX
            && let Ok(mut texts) = self.remembered.lock()
        {
            if texts.len() >= REMEMBERED_TEXTS_MAX {
                texts.clear();
            }
            texts.insert(source.clone(), templates.clone());
        }
        Ok(templates)
    }
}
