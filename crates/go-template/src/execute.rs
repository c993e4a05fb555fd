//! Walks a template and writes its output. It evaluates in the order of Go's executor and marks the same places on the
//! way, so that messages point where Go's point.

mod arguments;
mod evaluate;
mod host;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use crate::Str;
use crate::budget::Exhausted;
use crate::environment::Environment;
use crate::error::ExecuteError;
use crate::format;
use crate::quote::{Keep, quote};
use crate::templates::Templates;
use crate::tree::{self, At, Branch, Node, Pipe, Template};
use crate::value::{Type, Value};

/// What the executor keeps free on the stack before it goes a level deeper, and what it takes when there is less.
const STACK_RED_ZONE: usize = 256 << 10;
const STACK_STEP: usize = 2 << 20;

/// A value, and whether Go would see it as an `interface {}` that holds it: what comes out of a `map[string]interface {}`
/// does, what a pipeline returns does not. Messages and nils tell the difference.
#[derive(Debug, Clone, Default)]
struct Datum {
    value: Value,
    is_interface: bool,
}

impl Datum {
    fn plain(value: Value) -> Self {
        Self { value, is_interface: false }
    }

    /// Returns what is held by a container with elements of a type.
    fn element(value: Value, of: Option<&'static Type>) -> Self {
        let is_interface = matches!(of, None | Some(Type::Any));
        Self { value, is_interface }
    }

    /// Returns the name of the type that Go's reflection would tell.
    fn type_name(&self) -> String {
        if self.is_interface {
            return Type::Any.to_string();
        }
        self.value.go_type().map_or_else(|| "nil".to_owned(), Type::to_string)
    }

    /// Returns whether there is no value at all, not even an empty interface.
    fn is_invalid(&self) -> bool {
        self.value.is_nil() && !self.is_interface
    }
}

/// Templates that a `tpl` brought along, over those of the set or of an outer `tpl`.
struct Scope {
    templates: BTreeMap<Str, Arc<Template>>,
    outer: Option<Rc<Scope>>,
}

type Fallible<T> = Result<T, Box<ExecuteError>>;

/// How a node ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

/// One execution.
struct Run<'r, 'e> {
    set: &'r Templates,
    scope: Option<Rc<Scope>>,
    environment: &'r mut Environment<'e>,
    out: Vec<u8>,
    /// The variables of all templates that are being executed; those of the current one start at `base`.
    variables: Vec<Datum>,
    base: usize,
    template: Arc<Template>,
    at: At,
    /// How often each name is being included.
    includes: BTreeMap<Str, u32>,
    spare_buffers: Vec<Vec<u8>>,
    spare_arguments: Vec<Vec<Value>>,
}

/// Executes a template of a set.
pub(crate) fn execute(
    set: &Templates,
    template: &Arc<Template>,
    data: &Value,
    environment: &mut Environment<'_>,
) -> Result<Str, ExecuteError> {
    host::with_run(set, template, environment, |run| {
        run.template(template.clone(), Datum::plain(data.clone()))?;
        Ok(std::mem::take(&mut run.out).into())
    })
    .map_err(|error| *error)
}

impl Run<'_, '_> {
    // Errors.

    /// Returns an error at the current place.
    fn error(&self, message: impl std::fmt::Display) -> Box<ExecuteError> {
        // The tree may be as deep as the parser allows, and the stack nearly used up.
        let (line, column, context) =
            stacker::maybe_grow(tree::STACK_FOR_TREES, tree::STACK_STEP, || self.template.context(self.at));
        let text = format!(
            "template: {}:{line}:{column}: executing {} at <{context}>: {message}",
            self.template.source.name,
            quote(self.template.name.as_bytes(), Keep::Printable),
        );
        Box::new(ExecuteError { text, template: self.template.name.clone(), exhausted: None })
    }

    fn fail<T>(&self, message: impl std::fmt::Display) -> Fallible<T> {
        Err(self.error(message))
    }

    fn charged<T>(&self, charge: Result<T, Exhausted>) -> Fallible<T> {
        charge.map_err(|exhausted| {
            let mut error = self.error(exhausted);
            error.exhausted = Some(exhausted);
            error
        })
    }

    #[inline]
    fn step(&mut self) -> Fallible<()> {
        match self.environment.budget.step(1) {
            Ok(()) => Ok(()),
            charge => self.charged(charge),
        }
    }

    // Output.

    fn write(&mut self, bytes: &[u8]) -> Fallible<()> {
        let charge = self.environment.budget.output(bytes.len());
        self.charged(charge)?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what an action returned.
    fn print(&mut self, at: At, value: &Value) -> Fallible<()> {
        self.at = at;
        match value {
            Value::Nil => self.write(b"<no value>"),
            Value::Str(text) => self.write(text.as_bytes()),
            Value::Bool(true) => self.write(b"true"),
            Value::Bool(false) => self.write(b"false"),
            // What is whole and small prints without a fraction; numbers of values files mostly are.
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 1e6 && number.is_sign_positive() =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "it is whole and below a million")]
                self.print_int(*number as i64)
            }
            Value::Int(number, _) => self.print_int(*number),
            value => {
                let value = printable(value);
                let before = self.out.len();
                let printed = format::Printer::new(&mut self.out, &mut self.environment.budget).sprint(&[value]);
                self.charged(printed)?;
                let charge = self.environment.budget.output(self.out.len() - before);
                self.charged(charge)
            }
        }
    }

    fn print_int(&mut self, number: i64) -> Fallible<()> {
        let before = self.out.len();
        // Writing to a vector can't fail.
        let _ = write!(self.out, "{number}");
        let charge = self.environment.budget.output(self.out.len() - before);
        self.charged(charge)
    }

    // Templates.

    fn lookup(&self, name: &[u8]) -> Option<Arc<Template>> {
        let mut scope = self.scope.as_ref();
        while let Some(current) = scope {
            if let Some(template) = current.templates.get(name) {
                return Some(template.clone());
            }
            scope = current.outer.as_ref();
        }
        self.set.get(name).cloned()
    }

    /// Executes a template with variables of its own.
    fn template(&mut self, template: Arc<Template>, dot: Datum) -> Fallible<()> {
        let entered = self.environment.budget.enter();
        self.charged(entered)?;
        let outer = (std::mem::replace(&mut self.template, template.clone()), self.at, self.base);
        self.base = self.variables.len();
        self.variables.resize(self.base + template.slots as usize, Datum::default());
        self.set_variable(0, dot.clone());
        let result = stacker::maybe_grow(STACK_RED_ZONE, STACK_STEP, || self.nodes(&dot, &template.body));
        self.variables.truncate(self.base);
        (self.template, self.at, self.base) = outer;
        self.environment.budget.leave();
        result.map(|_| ())
    }

    fn set_variable(&mut self, slot: u32, value: Datum) {
        if let Some(variable) = self.variables.get_mut(self.base + slot as usize) {
            *variable = value;
        }
    }

    // Nodes.

    fn nodes(&mut self, dot: &Datum, nodes: &[Node]) -> Fallible<Flow> {
        let template = self.template.clone();
        let source = template.source.text.as_bytes();
        for node in nodes {
            self.step()?;
            let flow = match node {
                Node::Text { at, span } => {
                    self.at = *at;
                    self.write(span.of(source))?;
                    Flow::Next
                }
                Node::Action { at, pipe } => {
                    self.at = *at;
                    let value = self.pipe(dot, pipe)?;
                    if pipe.variables.is_empty() {
                        self.print(*at, &value)?;
                    }
                    Flow::Next
                }
                Node::If(branch) => self.if_or_with(dot, branch, false)?,
                Node::With(branch) => self.if_or_with(dot, branch, true)?,
                Node::Range(branch) => self.range(dot, branch)?,
                Node::Template { at, name, pipe } => {
                    self.call_template(dot, *at, name, pipe.as_ref())?;
                    Flow::Next
                }
                Node::Break(_) => Flow::Break,
                Node::Continue(_) => Flow::Continue,
            };
            if flow != Flow::Next {
                return Ok(flow);
            }
        }
        Ok(Flow::Next)
    }

    /// Walks a body that lies within another one.
    fn body(&mut self, dot: &Datum, nodes: &[Node]) -> Fallible<Flow> {
        stacker::maybe_grow(STACK_RED_ZONE, STACK_STEP, || self.nodes(dot, nodes))
    }

    fn call_template(&mut self, dot: &Datum, at: At, name: &Str, pipe: Option<&Pipe>) -> Fallible<()> {
        self.at = at;
        let Some(template) = self.lookup(name.as_bytes()) else {
            return self.fail(format!("template {} not defined", quote(name.as_bytes(), Keep::Printable)));
        };
        // The depth is checked before the data is evaluated: the error points at the template.
        let entered = self.environment.budget.enter();
        self.charged(entered)?;
        self.environment.budget.leave();
        let dot = match pipe {
            Some(pipe) => Datum::plain(self.pipe(dot, pipe)?),
            None => Datum::default(),
        };
        self.template(template, dot)
    }

    fn if_or_with(&mut self, dot: &Datum, branch: &Branch, sets_dot: bool) -> Fallible<Flow> {
        self.at = branch.at;
        let value = self.pipe(dot, &branch.pipe)?;
        if value.truth() {
            if sets_dot {
                return self.body(&Datum::plain(value), &branch.body);
            }
            return self.body(dot, &branch.body);
        }
        match &branch.otherwise {
            Some(otherwise) => self.body(dot, otherwise),
            None => Ok(Flow::Next),
        }
    }

    fn range(&mut self, dot: &Datum, branch: &Branch) -> Fallible<Flow> {
        self.at = branch.at;
        let value = self.pipe(dot, &branch.pipe)?;
        let is_empty = match value.underlying() {
            Value::Nil => true,
            Value::Int(end, kind) => self.range_over_numbers(branch, &value, end, |number| Value::Int(number, kind))?,
            Value::Uint(end, kind) => {
                let end = i64::try_from(end).unwrap_or(i64::MAX);
                self.range_over_numbers(branch, &value, end, |number| Value::Uint(number.cast_unsigned(), kind))?
            }
            Value::List(list) => {
                let of = list.list_type().element();
                for (index, item) in list.items().iter().enumerate() {
                    let index = Value::int(i64::try_from(index).unwrap_or(i64::MAX));
                    if self.round(branch, Datum::plain(index), Datum::element(item.clone(), of))? == Flow::Break {
                        break;
                    }
                }
                list.is_empty()
            }
            Value::Bytes(bytes) => {
                for (index, byte) in bytes.as_bytes().iter().enumerate() {
                    let index = Value::int(i64::try_from(index).unwrap_or(i64::MAX));
                    let item = Value::Uint(u64::from(*byte), crate::value::UintKind::Uint8);
                    if self.round(branch, Datum::plain(index), Datum::plain(item))? == Flow::Break {
                        break;
                    }
                }
                bytes.is_empty()
            }
            Value::Map(map) => {
                let of = map.map_type().element();
                let charge = self.environment.budget.produce(map.len() * size_of::<(Str, Value)>());
                self.charged(charge)?;
                // The body may write to the map: what is ranged over is what there was at the start.
                let entries = map.entries();
                let is_empty = entries.is_empty();
                for (key, item) in entries {
                    if self.round(branch, Datum::plain(Value::Str(key)), Datum::element(item, of))? == Flow::Break {
                        break;
                    }
                }
                is_empty
            }
            _ => {
                let shown = self.shown(&value)?;
                return self.fail(format!("range can't iterate over {shown}"));
            }
        };
        match &branch.otherwise {
            // As in Go, a break in here ends this range, though it belongs to an outer one.
            Some(otherwise) if is_empty => match self.body(dot, otherwise)? {
                Flow::Continue => Ok(Flow::Continue),
                Flow::Next | Flow::Break => Ok(Flow::Next),
            },
            _ => Ok(Flow::Next),
        }
    }

    fn range_over_numbers(
        &mut self,
        branch: &Branch,
        value: &Value,
        end: i64,
        number: impl Fn(i64) -> Value,
    ) -> Fallible<bool> {
        if branch.pipe.variables.len() > 1 {
            let shown = self.shown(value)?;
            return self.fail(format!("can't use {shown} to iterate over more than one variable"));
        }
        for index in 0..end {
            if self.round(branch, Datum::default(), Datum::plain(number(index)))? == Flow::Break {
                break;
            }
        }
        Ok(end <= 0)
    }

    /// Walks the body of a range for one element.
    fn round(&mut self, branch: &Branch, index: Datum, element: Datum) -> Fallible<Flow> {
        self.step()?;
        match branch.pipe.variables.as_slice() {
            [] => {}
            [only] => self.set_range_variable(branch, only, element.clone())?,
            [first, second, ..] => {
                self.set_range_variable(branch, first, index)?;
                self.set_range_variable(branch, second, element.clone())?;
            }
        }
        self.body(&element, &branch.body)
    }

    fn set_range_variable(&mut self, branch: &Branch, variable: &crate::tree::Variable, value: Datum) -> Fallible<()> {
        match variable.slot {
            Some(slot) => self.set_variable(slot, value),
            None if branch.pipe.is_assignment => return self.fail(format!("undefined variable: {}", variable.name)),
            None => {}
        }
        Ok(())
    }

    /// Prints a value for a message.
    fn shown(&mut self, value: &Value) -> Fallible<Str> {
        let printed = format::sprint(std::slice::from_ref(value), &mut self.environment.budget);
        self.charged(printed)
    }
}

/// Returns what an action prints for a value: the struct that a pointer points to, if it has no text of its own.
fn printable(value: &Value) -> Value {
    match value {
        Value::Object(object) if object.text().is_none() => object.underlying().unwrap_or_else(|| value.clone()),
        other => other.clone(),
    }
}
