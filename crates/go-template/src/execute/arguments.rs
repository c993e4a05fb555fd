//! Calls functions and methods: evaluates their arguments and checks them against the signature, as Go's reflection
//! would, with Go's words.

use std::rc::Rc;

use super::{Datum, Fallible, Run};
use crate::error::ExecuteError;
use crate::function::{Args, Call, CallError, Function, Signature, Special};
use crate::tree::{At, Operand, Term};
use crate::value::{IntKind, Kind, Object, Type, UintKind, Value};

/// Messages of templates within templates quote each other: those longer than this are quoted no more.
pub(super) const ERROR_BYTES_MAX: usize = 256 << 10;

/// What is called.
pub(super) enum Callee<'c> {
    Function(&'c Function),
    Method { object: Rc<dyn Object>, name: &'c str, signature: &'static Signature },
}

impl Callee<'_> {
    fn name(&self) -> &str {
        match self {
            Self::Function(function) => function.name(),
            Self::Method { name, .. } => name,
        }
    }

    fn signature(&self) -> &Signature {
        match self {
            Self::Function(function) => function.signature(),
            Self::Method { signature, .. } => signature,
        }
    }

    fn special(&self) -> Special {
        match self {
            Self::Function(function) => function.kind(),
            Self::Method { .. } => Special::None,
        }
    }
}

/// What Go's `slice` makes of an index out of a map of anything: it does not look into the interface, and refuses it.
struct Wrapped;

impl Object for Wrapped {
    fn object_type(&self) -> &'static Type {
        &Type::Any
    }

    fn kind(&self) -> Kind {
        Kind::Interface
    }

    fn as_any(&self) -> &dyn std::any::Any {
        self
    }
}

impl Signature {
    /// Returns the type of a parameter.
    fn parameter(&self, index: usize) -> Option<&'static Type> {
        self.fixed.get(index).copied().or(self.variadic)
    }
}

impl Run<'_, '_> {
    /// Calls a function or method with operands and, as its last argument, the value of the command before.
    pub(super) fn call(
        &mut self,
        dot: &Datum,
        callee: &Callee<'_>,
        at: At,
        operands: &[Operand],
        last: Option<Datum>,
    ) -> Fallible<Datum> {
        self.step()?;
        self.check_count(callee, operands, last.is_some())?;
        let special = callee.special();
        match special {
            Special::And | Special::Or => return self.and_or(dot, special == Special::Or, operands, last),
            Special::Len => return self.len(dot, at, operands, last),
            Special::None | Special::Call | Special::Slice => {}
        }
        let signature = callee.signature();
        let mut values = self.spare_arguments.pop().unwrap_or_default();
        for (index, operand) in operands.iter().enumerate() {
            let of = signature.parameter(index).unwrap_or(&Type::Any);
            let datum = self.argument(dot, of, operand)?;
            let is_index = special == Special::Slice && index > 0;
            values.push(if is_index && datum.is_interface { Value::object(Wrapped) } else { datum.value });
        }
        if let Some(last) = last {
            let of = signature.parameter(operands.len()).unwrap_or(&Type::Any);
            values.push(self.validated(last, of)?.value);
        }
        let result = match callee {
            _ if special == Special::Call => Err(self.call_of_value(operands, &values)),
            Callee::Function(function) => function.call(&mut Call::new(self), Args::new(&values)),
            Callee::Method { object, name, .. } => object.call(name, &mut Call::new(self), Args::new(&values)),
        };
        values.clear();
        self.spare_arguments.push(values);
        match result {
            Ok(value) => {
                self.environment.budget.watch(&value);
                Ok(Datum::plain(value))
            }
            Err(error) => self.call_failed(at, callee.name(), error),
        }
    }

    fn check_count(&self, callee: &Callee<'_>, operands: &[Operand], has_last: bool) -> Fallible<()> {
        let (name, signature) = (callee.name(), callee.signature());
        let (given, fixed) = (operands.len() + usize::from(has_last), signature.fixed.len());
        if signature.variadic.is_some() {
            if given < fixed {
                let count = operands.len();
                return self.fail(format!("wrong number of args for {name}: want at least {fixed} got {count}"));
            }
        } else if given != fixed {
            return self.fail(format!("wrong number of args for {name}: want {fixed} got {given}"));
        }
        Ok(())
    }

    fn call_failed<T>(&mut self, at: At, name: &str, error: CallError) -> Fallible<T> {
        self.at = at;
        let error = match error {
            CallError::Template { error, .. } if error.text.len() > ERROR_BYTES_MAX => return Err(error),
            other => other,
        };
        let mut failure: Box<ExecuteError> = self.error(format!("error calling {name}: {error}"));
        failure.exhausted = match error {
            CallError::Message(_) => None,
            CallError::Exhausted(exhausted) => Some(exhausted),
            CallError::Template { error, .. } => error.exhausted,
        };
        Err(failure)
    }

    fn and_or(&mut self, dot: &Datum, stop_at: bool, operands: &[Operand], last: Option<Datum>) -> Fallible<Datum> {
        let mut value = Datum::default();
        for operand in operands {
            value = self.argument(dot, &Type::Reflect, operand)?;
            if value.value.truth() == stop_at {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// `len` tells an empty interface from no value at all, in its messages.
    fn len(&mut self, dot: &Datum, at: At, operands: &[Operand], last: Option<Datum>) -> Fallible<Datum> {
        let datum = match operands.first() {
            Some(operand) => self.argument(dot, &Type::Reflect, operand)?,
            None => last.unwrap_or_default(),
        };
        let length = match datum.value.underlying() {
            Value::Nil if datum.is_interface => Err("len of nil pointer".to_owned()),
            Value::Nil => Err("reflect: call of reflect.Value.Type on zero Value".to_owned()),
            Value::Str(text) | Value::Bytes(text) => Ok(text.len()),
            Value::List(list) => Ok(list.len()),
            Value::Map(map) => Ok(map.len()),
            other => Err(format!("len of type {}", Datum::plain(other).type_name())),
        };
        match length {
            Ok(length) => Ok(Datum::plain(Value::int(i64::try_from(length).unwrap_or(i64::MAX)))),
            Err(message) => self.call_failed(at, "len", CallError::Message(message)),
        }
    }

    /// No value is a function here, so `call` always fails.
    fn call_of_value(&self, operands: &[Operand], values: &[Value]) -> CallError {
        let value = values.first().cloned().unwrap_or_default();
        if value.is_nil() {
            return CallError::new("call of nil");
        }
        let of = Datum::plain(value.clone()).type_name();
        // Without operands the value comes from the pipeline, and reflection prints it.
        let name = match (operands.first(), value) {
            (Some(operand), _) => self.printed(operand),
            (None, Value::Str(text)) => text.to_string(),
            (None, _) => format!("<{of} Value>"),
        };
        CallError::new(format!("non-function {name} of type {of}"))
    }

    /// Evaluates an operand for a parameter.
    fn argument(&mut self, dot: &Datum, of: &'static Type, operand: &Operand) -> Fallible<Datum> {
        self.at = operand.at;
        match &operand.term {
            Term::Dot => self.validated(dot.clone(), of),
            Term::Nil => {
                if of.kind().can_be_nil() || *of == Type::Reflect {
                    let value = Value::zero(of);
                    return Ok(Datum { is_interface: false, value });
                }
                self.fail(format!("cannot assign nil to {of}"))
            }
            Term::Field(fields) => {
                let value = self.fields(dot, dot, fields, operand, &[], None)?;
                self.validated(value, of)
            }
            Term::Variable { name, slot, fields } => {
                let value = if fields.is_empty() {
                    self.variable(name, *slot)?
                } else {
                    self.variable_fields(dot, name, *slot, fields, operand, &[], None)?
                };
                self.validated(value, of)
            }
            Term::Pipe(pipe) => {
                let value = stacker::maybe_grow(super::STACK_RED_ZONE, super::STACK_STEP, || self.pipe(dot, pipe))?;
                self.validated(Datum::plain(value), of)
            }
            Term::Function { id, .. } => {
                let value = self.function(dot, *id, operand.at, &[], None)?;
                self.validated(value, of)
            }
            Term::Chain { operand: inner, fields } => {
                let receiver = self.chain_receiver(dot, operand, inner)?;
                let value = self.fields(dot, &receiver, fields, operand, &[], None)?;
                self.validated(value, of)
            }
            Term::Bool(_) | Term::Number { .. } | Term::String { .. } => self.literal(of, operand).map(Datum::plain),
        }
    }

    /// Returns a literal as a value of a parameter's type.
    fn literal(&mut self, of: &'static Type, operand: &Operand) -> Fallible<Value> {
        let expected = match (of.kind(), &operand.term) {
            (Kind::Bool, Term::Bool(value)) => return Ok(Value::Bool(*value)),
            (Kind::String, Term::String { text, .. }) => return Ok(Value::Str(text.clone())),
            (Kind::Int(kind), Term::Number { number, .. }) if number.int.is_some() => {
                return Ok(Value::Int(wrapped_int(number.int.unwrap_or_default(), kind), kind));
            }
            (Kind::Uint(kind), Term::Number { number, .. }) if number.uint.is_some() => {
                return Ok(Value::Uint(wrapped_uint(number.uint.unwrap_or_default(), kind), kind));
            }
            (Kind::Float64, Term::Number { number, .. }) if number.float.is_some() => {
                return Ok(Value::Float(number.float.unwrap_or_default()));
            }
            (Kind::Interface, term) if *of == Type::Any => return self.ideal_literal(term),
            (Kind::Struct, term) if *of == Type::Reflect => return self.ideal_literal(term),
            (Kind::Bool, _) => "bool",
            (Kind::String, _) => "string",
            (Kind::Int(_), _) => "integer",
            (Kind::Uint(_), _) => "unsigned integer",
            (Kind::Float64, _) => "float",
            _ => {
                let shown = self.printed(operand);
                return self.fail(format!("can't handle {shown} for arg of type {of}"));
            }
        };
        let shown = self.printed(operand);
        self.fail(format!("expected {expected}; found {shown}"))
    }

    fn ideal_literal(&mut self, term: &Term) -> Fallible<Value> {
        match term {
            Term::Bool(value) => Ok(Value::Bool(*value)),
            Term::Number { number, span } => self.ideal_constant(*number, *span),
            Term::String { text, .. } => Ok(Value::Str(text.clone())),
            _ => Ok(Value::Nil),
        }
    }

    /// Checks that a value may be given to a parameter, and converts between types that Go assigns to each other.
    fn validated(&self, datum: Datum, of: &'static Type) -> Fallible<Datum> {
        if matches!(of, Type::Any | Type::Reflect) {
            return Ok(datum);
        }
        if datum.value.is_nil() {
            if datum.is_interface {
                return self.fail(format!("wrong type for value; expected {of}; got interface {{}}"));
            }
            if of.kind().can_be_nil() {
                return Ok(Datum::plain(Value::zero(of)));
            }
            return self.fail(format!("invalid value; expected {of}"));
        }
        match assigned(datum.value, of) {
            Ok(value) => Ok(Datum::plain(value)),
            Err(value) => {
                let got = Datum::plain(value).type_name();
                self.fail(format!("wrong type for value; expected {of}; got {got}"))
            }
        }
    }
}

/// Returns a value as one of a type that it may be assigned to, or gives it back.
fn assigned(value: Value, of: &'static Type) -> Result<Value, Value> {
    let Some(own) = value.go_type() else { return Err(value) };
    if own == of {
        return Ok(value);
    }
    match (&value, of) {
        (Value::Str(_), Type::String) | (Value::Bool(_), Type::Bool) | (Value::Float(_), Type::Float64) => Ok(value),
        (Value::Object(_), Type::Interface(_)) => Ok(value),
        // A pointer is followed once.
        (Value::Object(object), Type::Object(name)) => {
            let own = object.object_type().to_string();
            if own.strip_prefix('*') == Some(*name) { Ok(value) } else { Err(value) }
        }
        // Types of the same form are assigned when one of them has no name.
        (Value::Map(map), _) if own.underlying() == of.underlying() && is_unnamed(own, of) => {
            Ok(Value::Map(map.converted(of)))
        }
        (Value::List(list), _) if own.underlying() == of.underlying() && is_unnamed(own, of) => {
            Ok(Value::List(list.converted(of)))
        }
        (Value::Object(object), Type::Map(_) | Type::List(_)) => match object.underlying() {
            Some(inner) if inner.go_type().is_some_and(|own| own.underlying() == of) => Ok(inner),
            _ => Err(value),
        },
        _ => Err(value),
    }
}

fn is_unnamed(left: &Type, right: &Type) -> bool {
    !matches!(left, Type::Named(..)) || !matches!(right, Type::Named(..))
}

#[expect(clippy::cast_possible_truncation, reason = "Go's reflection wraps around like this")]
fn wrapped_int(value: i64, kind: IntKind) -> i64 {
    match kind {
        IntKind::Int | IntKind::Int64 => value,
        IntKind::Int8 => i64::from(value as i8),
        IntKind::Int16 => i64::from(value as i16),
        IntKind::Int32 => i64::from(value as i32),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "Go's reflection wraps around like this")]
fn wrapped_uint(value: u64, kind: UintKind) -> u64 {
    match kind {
        UintKind::Uint | UintKind::Uint64 | UintKind::Uintptr => value,
        UintKind::Uint8 => u64::from(value as u8),
        UintKind::Uint16 => u64::from(value as u16),
        UintKind::Uint32 => u64::from(value as u32),
    }
}
