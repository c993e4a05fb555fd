//! Objects: values with fields and methods of their own, like `.Files`, `.Capabilities` or a time.

use std::any::Any;

use super::{Kind, Type, Value};
use crate::Str;
use crate::function::{Args, Call, CallError, Signature};

/// A value with fields and methods. Implement it for what a template may ask more of than a map can answer.
pub trait Object {
    /// Returns the Go type of the value, which messages and `typeOf` print.
    fn object_type(&self) -> &'static Type;

    /// Returns the kind that reflection would report.
    fn kind(&self) -> Kind {
        Kind::Struct
    }

    /// Returns a field by its name.
    fn field(&self, name: &str) -> Option<Value> {
        self.fields().into_iter().find_map(|(field, value)| (field == name).then_some(value))
    }

    /// Returns all exported fields in the order of the struct, as `%v` prints them.
    fn fields(&self) -> Vec<(&'static str, Value)> {
        Vec::new()
    }

    /// Returns what a method takes; `None` when there is no such method.
    fn method(&self, name: &str) -> Option<&'static Signature> {
        let _ = name;
        None
    }

    /// Calls a method; the arguments are of the types of its signature.
    ///
    /// # Errors
    /// What the method says.
    fn call(&self, name: &str, call: &mut Call<'_>, args: Args<'_>) -> Result<Value, CallError> {
        let _ = (call, args);
        Err(CallError::new(format!("{name} is no method of {}", self.object_type())))
    }

    /// Returns the map, list, string or number under the type's name: what `range`, `index`, `len` and comparisons
    /// work on. `None` for a struct.
    fn underlying(&self) -> Option<Value> {
        None
    }

    /// Returns what `String()` or `Error()` returns; `None` when the type has neither.
    fn text(&self) -> Option<Str> {
        None
    }

    /// Returns whether `if` takes it for true; Go says so of every struct and every pointer that is not nil.
    fn truth(&self) -> bool {
        self.underlying().is_none_or(|value| value.truth())
    }

    /// Returns what JSON is made of instead of it (fields by their JSON names, a text, ...).
    fn json_value(&self) -> Value {
        self.underlying().unwrap_or_else(|| self.fields().into_iter().collect::<super::Map>().into())
    }

    /// Returns whether both are the same value (`eq`, `deepEqual`).
    fn is_equal(&self, other: &dyn Object) -> bool {
        let _ = other;
        false
    }

    /// Returns itself, for functions that know the concrete type.
    fn as_any(&self) -> &dyn Any;
}
