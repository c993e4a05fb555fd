//! Evaluates pipelines, commands and fields.

use super::arguments::Callee;
use super::{Datum, Fallible, Run};
use crate::Str;
use crate::number::Number;
use crate::quote::{Keep, quote};
use crate::templates::MissingKey;
use crate::tree::{Command, Operand, Pipe, Printer, Span, Term};
use crate::value::{Kind, Value};

impl Run<'_, '_> {
    /// Evaluates a pipeline and sets the variables that it names.
    pub(super) fn pipe(&mut self, dot: &Datum, pipe: &Pipe) -> Fallible<Value> {
        self.at = pipe.at;
        let mut last: Option<Datum> = None;
        for command in &pipe.commands {
            self.step()?;
            // What a command returns is taken out of its interface.
            last = Some(Datum::plain(self.command(dot, command, last)?.value));
        }
        let value = last.map(|datum| datum.value).unwrap_or_default();
        for variable in &pipe.variables {
            match variable.slot {
                Some(slot) => self.set_variable(slot, Datum::plain(value.clone())),
                None => return self.fail(format!("undefined variable: {}", variable.name)),
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Datum, command: &Command, last: Option<Datum>) -> Fallible<Datum> {
        let Some((first, arguments)) = command.operands.split_first() else {
            return Ok(Datum::default());
        };
        match &first.term {
            Term::Field(fields) => {
                self.at = first.at;
                self.fields(dot, dot, fields, first, arguments, last)
            }
            Term::Chain { operand, fields } => {
                let receiver = self.chain_receiver(dot, first, operand)?;
                self.fields(dot, &receiver, fields, first, arguments, last)
            }
            Term::Function { id, .. } => {
                self.at = first.at;
                self.function(dot, *id, command.at, arguments, last)
            }
            Term::Pipe(pipe) => {
                self.check_not_a_function(first, arguments, last.as_ref())?;
                self.pipe(dot, pipe).map(Datum::plain)
            }
            Term::Variable { name, slot, fields } => {
                self.at = first.at;
                if fields.is_empty() {
                    let value = self.variable(name, *slot)?;
                    self.check_not_a_function(first, arguments, last.as_ref())?;
                    return Ok(value);
                }
                self.variable_fields(dot, name, *slot, fields, first, arguments, last)
            }
            constant => {
                self.at = first.at;
                self.check_not_a_function(first, arguments, last.as_ref())?;
                match constant {
                    Term::Bool(value) => Ok(Datum::plain(Value::Bool(*value))),
                    Term::Dot => Ok(dot.clone()),
                    Term::Number { number, span } => self.ideal_constant(*number, *span).map(Datum::plain),
                    Term::String { text, .. } => Ok(Datum::plain(Value::Str(text.clone()))),
                    _ => self.fail("nil is not a command"),
                }
            }
        }
    }

    pub(super) fn chain_receiver(&mut self, dot: &Datum, chain: &Operand, operand: &Operand) -> Fallible<Datum> {
        self.at = chain.at;
        if matches!(operand.term, Term::Nil) {
            let shown = self.printed(chain);
            return self.fail(format!("indirection through explicit nil in {shown}"));
        }
        match &operand.term {
            Term::Pipe(pipe) => {
                self.at = operand.at;
                self.pipe(dot, pipe).map(Datum::plain)
            }
            Term::Function { id, .. } => {
                self.at = operand.at;
                self.function(dot, *id, operand.at, &[], None)
            }
            _ => Ok(dot.clone()),
        }
    }

    fn check_not_a_function(&mut self, first: &Operand, arguments: &[Operand], last: Option<&Datum>) -> Fallible<()> {
        if arguments.is_empty() && last.is_none() {
            return Ok(());
        }
        let shown = self.printed(first);
        self.fail(format!("can't give argument to non-function {shown}"))
    }

    /// Returns how Go prints an operand.
    pub(super) fn printed(&self, operand: &Operand) -> String {
        let mut printer = Printer::new(self.template.source.text.as_bytes());
        printer.operand(operand);
        printer.into_text()
    }

    /// Returns the value of a number where no type is asked for: the spelling decides.
    pub(super) fn ideal_constant(&mut self, number: Number, span: Span) -> Fallible<Value> {
        let template = self.template.clone();
        let text = String::from_utf8_lossy(span.of(template.source.text.as_bytes()));
        let is_char = text.starts_with('\'');
        let is_hexadecimal_int = (text.starts_with("0x") || text.starts_with("0X")) && !text.contains(['p', 'P']);
        let is_spelled_float = !is_char && !is_hexadecimal_int && text.contains(['.', 'e', 'E', 'p', 'P']);
        match number {
            Number { float: Some(float), .. } if is_spelled_float => Ok(Value::Float(float)),
            Number { int: Some(int), .. } => Ok(Value::int(int)),
            _ => self.fail(format!("{text} overflows int")),
        }
    }

    pub(super) fn variable(&self, name: &Str, slot: Option<u32>) -> Fallible<Datum> {
        let value = slot.and_then(|slot| self.variables.get(self.base + slot as usize));
        value.cloned().map_or_else(|| self.fail(format!("undefined variable: {name}")), Ok)
    }

    pub(super) fn function(
        &mut self,
        dot: &Datum,
        id: u32,
        at: crate::tree::At,
        arguments: &[Operand],
        last: Option<Datum>,
    ) -> Fallible<Datum> {
        let set = self.set;
        match set.functions().by_id(id) {
            Some(function) => self.call(dot, &Callee::Function(function), at, arguments, last),
            None => self.fail("the function is not defined"),
        }
    }

    /// Follows a chain of fields of a variable.
    #[expect(clippy::too_many_arguments, reason = "it is what an operand consists of")]
    pub(super) fn variable_fields(
        &mut self,
        dot: &Datum,
        name: &Str,
        slot: Option<u32>,
        fields: &[Str],
        operand: &Operand,
        arguments: &[Operand],
        last: Option<Datum>,
    ) -> Fallible<Datum> {
        let variable = slot.and_then(|slot| self.variables.get(self.base + slot as usize));
        if let Some(found) = variable.and_then(|variable| found(&variable.value, fields))
            && arguments.is_empty()
            && last.is_none()
        {
            return Ok(found);
        }
        let receiver = self.variable(name, slot)?;
        self.fields(dot, &receiver, fields, operand, arguments, last)
    }

    /// Follows a chain of fields; the last one gets the arguments.
    pub(super) fn fields(
        &mut self,
        dot: &Datum,
        receiver: &Datum,
        fields: &[Str],
        operand: &Operand,
        arguments: &[Operand],
        last: Option<Datum>,
    ) -> Fallible<Datum> {
        let Some((final_field, inner)) = fields.split_last() else { return Ok(receiver.clone()) };
        if arguments.is_empty()
            && last.is_none()
            && let Some(found) = found(&receiver.value, fields)
        {
            return Ok(found);
        }
        let mut receiver = receiver.clone();
        for field in inner {
            receiver = self.field(dot, receiver, field, operand, &[], None)?;
        }
        self.field(dot, receiver, final_field, operand, arguments, last)
    }

    /// Evaluates a field, a key or a method.
    fn field(
        &mut self,
        dot: &Datum,
        receiver: Datum,
        name: &Str,
        operand: &Operand,
        arguments: &[Operand],
        last: Option<Datum>,
    ) -> Fallible<Datum> {
        if receiver.is_invalid() {
            if self.set.missing_key() == MissingKey::Error {
                let key = quote(name.as_bytes(), Keep::Printable);
                return self.fail(format!("nil data; no entry for key {key}"));
            }
            return Ok(Datum::default());
        }
        let has_arguments = !arguments.is_empty() || last.is_some();
        let underlying;
        let map = match &receiver.value {
            Value::Nil => {
                return self.fail(format!("nil pointer evaluating {}.{name}", receiver.type_name()));
            }
            Value::Map(map) => map,
            Value::Object(object) => {
                let field_name = name.to_str_lossy();
                if let Some(signature) = object.method(&field_name) {
                    let callee = Callee::Method { object: object.clone(), name: &field_name, signature };
                    return self.call(dot, &callee, operand.at, arguments, last);
                }
                underlying = object.underlying();
                match &underlying {
                    Some(Value::Map(map)) => map,
                    _ => return self.object_field(&receiver, &field_name, has_arguments),
                }
            }
            _ => return self.no_field(&receiver, name),
        };
        if has_arguments {
            return self.fail(format!("{name} is not a method but has arguments"));
        }
        let of = map.map_type().element();
        if let Some(value) = map.get(name) {
            return Ok(Datum::element(value, of));
        }
        match self.set.missing_key() {
            MissingKey::Default => Ok(Datum::default()),
            MissingKey::Zero => Ok(Datum::element(of.map_or(Value::Nil, Value::zero), of)),
            MissingKey::Error => {
                self.fail(format!("map has no entry for key {}", quote(name.as_bytes(), Keep::Printable)))
            }
        }
    }

    fn object_field(&mut self, receiver: &Datum, name: &str, has_arguments: bool) -> Fallible<Datum> {
        let Value::Object(object) = &receiver.value else { return self.no_field(receiver, &name.into()) };
        if !matches!(object.kind(), Kind::Struct | Kind::Pointer) {
            return self.no_field(receiver, &name.into());
        }
        match object.field(name) {
            Some(_) if has_arguments => self.fail(format!("{name} has arguments but cannot be invoked as function")),
            // A field that holds nothing is an empty interface.
            Some(value) => Ok(Datum { is_interface: value.is_nil(), value }),
            None => self.no_field(receiver, &name.into()),
        }
    }

    fn no_field(&self, receiver: &Datum, name: &Str) -> Fallible<Datum> {
        self.fail(format!("can't evaluate field {name} in type {}", receiver.type_name()))
    }
}

/// Follows a chain of keys through maps as far as they are there: the usual case, without a copy on the way.
fn found(receiver: &Value, fields: &[Str]) -> Option<Datum> {
    // Each key takes a frame; who writes longer chains waits for copies.
    const FIELDS_MAX: usize = 32;
    let (Value::Map(map), Some((field, rest))) = (receiver, fields.split_first()) else { return None };
    if rest.len() >= FIELDS_MAX {
        return None;
    }
    let entries = map.borrow()?;
    let value = entries.get(field.as_bytes())?;
    if rest.is_empty() { Some(Datum::element(value.clone(), map.map_type().element())) } else { found(value, rest) }
}
