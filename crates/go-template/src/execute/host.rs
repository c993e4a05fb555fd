//! What functions get from the execution that calls them: `include`, `tpl`, budget, entropy, time.

use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use memchr::memmem;

use super::arguments::ERROR_BYTES_MAX;
use super::{Datum, Fallible, Run, Scope};
use crate::Str;
use crate::budget::Budget;
use crate::environment::{Environment, Timestamp};
use crate::error::ExecuteError;
use crate::format::quoted;
use crate::function::{CallError, Engine};
use crate::quote::{Keep, quote};
use crate::templates::Templates;
use crate::tree::{At, Template};
use crate::value::Value;

/// What an action without a value prints; `tpl` takes it out of its result.
const NO_VALUE: &[u8] = b"<no value>";

/// Starts an execution.
pub(super) fn with_run<T>(
    set: &Templates,
    template: &Arc<Template>,
    environment: &mut Environment<'_>,
    run: impl FnOnce(&mut Run<'_, '_>) -> Fallible<T>,
) -> Fallible<T> {
    run(&mut Run {
        set,
        scope: None,
        environment,
        out: Vec::new(),
        variables: Vec::new(),
        base: 0,
        template: template.clone(),
        at: At::default(),
        includes: BTreeMap::new(),
        spare_buffers: Vec::new(),
        spare_arguments: Vec::new(),
    })
}

impl Run<'_, '_> {
    /// Executes a template into a buffer of its own and returns what it wrote.
    fn captured(
        &mut self,
        template: Arc<Template>,
        data: Value,
        context: impl FnOnce(&ExecuteError) -> String,
    ) -> Result<Str, CallError> {
        let buffer = self.spare_buffers.pop().unwrap_or_default();
        let outer = std::mem::replace(&mut self.out, buffer);
        let result = self.template(template, Datum::plain(data));
        let mut inner = std::mem::replace(&mut self.out, outer);
        let charge = self.environment.budget.produce(inner.len());
        let text = Str::from(inner.as_slice());
        inner.clear();
        self.spare_buffers.push(inner);
        result.map_err(|error| CallError::Template { context: context(&error), error })?;
        charge?;
        Ok(text)
    }

    /// Returns the templates of a text, those it defines by name and the one it is.
    fn parsed(&mut self, source: &Str) -> Result<(Arc<Template>, Option<Rc<Scope>>), CallError> {
        self.environment.budget.step(1 + source.len() as u64 / 16)?;
        let templates = self
            .set
            .parsed(source)
            .map_err(|error| CallError::new(format!("cannot parse template {}: {error}", quoted(source.as_bytes()))))?;
        let mut defined = BTreeMap::new();
        let mut main = None;
        for template in templates.iter() {
            let is_main = template.name == *self.set.name();
            if is_main {
                main = Some(template.clone());
            }
            // An empty definition doesn't replace one that there is.
            if !template.is_empty || self.lookup(template.name.as_bytes()).is_none() {
                defined.insert(template.name.clone(), template.clone());
            }
        }
        let scope = Rc::new(Scope { templates: defined, outer: self.scope.clone() });
        main.map(|main| (main, Some(scope))).ok_or_else(|| CallError::new("the text has no template"))
    }
}

impl Engine for Run<'_, '_> {
    fn budget(&mut self) -> &mut Budget {
        &mut self.environment.budget
    }

    fn now(&self) -> Timestamp {
        self.environment.now
    }

    fn host(&self) -> Option<&dyn Any> {
        self.environment.host
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        self.environment.entropy.fill(&self.template.name.to_str_lossy(), bytes);
    }

    fn template_name(&self) -> Str {
        self.template.name.clone()
    }

    fn is_defined(&self, name: &[u8]) -> bool {
        self.lookup(name).is_some()
    }

    fn include(&mut self, name: &Str, data: Value) -> Result<Str, CallError> {
        let count = self.includes.entry(name.clone()).or_insert(0);
        if *count > self.environment.budget.limits().includes_of_one_name {
            return Err(CallError::new(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            )));
        }
        *count += 1;
        let result = match self.lookup(name.as_bytes()) {
            Some(template) => self.captured(template, data, |_| String::new()),
            None => {
                let set = self.set.name();
                let (name, set) = (quote(name.as_bytes(), Keep::Printable), quote(set.as_bytes(), Keep::Printable));
                Err(CallError::new(format!("template: no template {name} associated with template {set}")))
            }
        };
        if let Some(count) = self.includes.get_mut(name) {
            *count -= 1;
        }
        result
    }

    fn tpl(&mut self, source: &Str, data: Value) -> Result<Str, CallError> {
        let text = source.as_bytes();
        // Text without actions is its own result.
        if memmem::find(text, self.set.left_delimiter()).is_none() {
            return without_no_value(self, source.clone());
        }
        let (template, scope) = self.parsed(source)?;
        let outer = std::mem::replace(&mut self.scope, scope);
        let result = self.captured(template, data, |error| match error.text.len() {
            ..=ERROR_BYTES_MAX => format!("error during tpl function execution for {}: ", quoted(source.as_bytes())),
            _ => String::new(),
        });
        self.scope = outer;
        without_no_value(self, result?)
    }
}

fn without_no_value(run: &mut Run<'_, '_>, text: Str) -> Result<Str, CallError> {
    let bytes = text.as_bytes();
    if memmem::find(bytes, NO_VALUE).is_none() {
        return Ok(text);
    }
    run.environment.budget.produce(bytes.len())?;
    let mut kept = Vec::with_capacity(bytes.len());
    let mut start = 0;
    for found in memmem::find_iter(bytes, NO_VALUE) {
        kept.extend_from_slice(bytes.get(start..found).unwrap_or(&[]));
        start = found + NO_VALUE.len();
    }
    kept.extend_from_slice(bytes.get(start..).unwrap_or(&[]));
    Ok(kept.into())
}
