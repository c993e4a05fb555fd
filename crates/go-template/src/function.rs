//! Functions that templates call: what they take, what they may ask of the execution, how they fail.

use std::any::Any;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Str;
use crate::budget::{Budget, Exhausted};
use crate::environment::Timestamp;
use crate::error::ExecuteError;
use crate::value::{JsonError, List, Map, NilMap, Object, Type, Value};

/// The types that a function takes. Arguments are checked against it, with Go's messages, before the function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// The types of the leading parameters.
    pub fixed: &'static [&'static Type],
    /// The type of each further argument; `None` when there may be none.
    pub variadic: Option<&'static Type>,
}

impl Signature {
    /// Returns the signature of a function with exactly these parameters.
    #[must_use]
    pub const fn fixed(fixed: &'static [&'static Type]) -> Self {
        Self { fixed, variadic: None }
    }

    /// Returns the signature of a function that takes any number of further arguments of one type.
    #[must_use]
    pub const fn variadic(fixed: &'static [&'static Type], variadic: &'static Type) -> Self {
        Self { fixed, variadic: Some(variadic) }
    }
}

/// What the body of a function is.
type Body = dyn Fn(&mut Call<'_>, Args<'_>) -> Result<Value, CallError> + Send + Sync;

/// A function with its name.
#[derive(Clone)]
pub struct Function {
    name: Cow<'static, str>,
    signature: Signature,
    body: Arc<Body>,
    special: Special,
}

/// What the execution does itself instead of calling a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    None,
    And,
    Or,
    Call,
    Len,
    Slice,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Function").field("name", &self.name).field("signature", &self.signature).finish()
    }
}

impl Function {
    /// Returns a function. Its arguments have been checked against the signature when the body runs.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        signature: Signature,
        body: impl Fn(&mut Call<'_>, Args<'_>) -> Result<Value, CallError> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), signature, body: Arc::new(body), special: Special::None }
    }

    /// Returns a function that the execution runs itself.
    pub(crate) fn special(name: &'static str, signature: Signature, special: Special) -> Self {
        let body =
            move |_: &mut Call<'_>, _: Args<'_>| Err(CallError::new(format!("{name} can't be called like this")));
        Self { special, ..Self::new(name, signature, body) }
    }

    /// Returns the function with its arguments evaluated in a way of their own.
    pub(crate) fn with_kind(mut self, special: Special) -> Self {
        self.special = special;
        self
    }

    pub(crate) fn kind(&self) -> Special {
        self.special
    }

    /// Returns the name that templates call it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what it takes.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Runs the body. The arguments must be of the types of the signature.
    ///
    /// # Errors
    /// What the function says.
    pub fn call(&self, call: &mut Call<'_>, args: Args<'_>) -> Result<Value, CallError> {
        (self.body)(call, args)
    }
}

/// The functions that a template may call, by name.
#[derive(Debug, Clone, Default)]
pub struct Functions {
    functions: Vec<Function>,
    by_name: BTreeMap<Cow<'static, str>, u32>,
}

impl Functions {
    /// Adds a function; an earlier one of the same name is replaced.
    pub fn add(&mut self, function: Function) {
        let id = u32::try_from(self.functions.len()).unwrap_or(u32::MAX);
        self.by_name.insert(function.name.clone(), id);
        self.functions.push(function);
    }

    /// Takes a function away: templates that call it don't parse.
    pub fn remove(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// Returns a function by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Function> {
        self.by_id(self.id(name)?)
    }

    pub(crate) fn id(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn by_id(&self, id: u32) -> Option<&Function> {
        self.functions.get(id as usize)
    }

    /// Returns the names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(AsRef::as_ref)
    }
}

/// Why a call failed. `error calling NAME: ` is put before it.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The function's own message.
    #[error("{0}")]
    Message(String),
    /// The budget ran out: the whole execution ends with it.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// A template that the function executed failed.
    #[error("{context}{error}")]
    Template {
        /// What is said before the error of the template.
        context: String,
        /// The error of the template.
        error: Box<ExecuteError>,
    },
}

impl CallError {
    /// Returns an error with a message.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }
}

impl From<NilMap> for CallError {
    fn from(error: NilMap) -> Self {
        Self::Message(error.to_string())
    }
}

impl From<JsonError> for CallError {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::Exhausted(exhausted) => Self::Exhausted(exhausted),
            other => Self::Message(other.to_string()),
        }
    }
}

/// The arguments of a call. They are of the types of the signature, so the accessors fail only where body and
/// signature disagree.
#[derive(Debug, Clone, Copy)]
pub struct Args<'a>(&'a [Value]);

impl<'a> Args<'a> {
    /// Returns arguments over values.
    #[must_use]
    pub fn new(values: &'a [Value]) -> Self {
        Self(values)
    }

    /// Returns how many arguments there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns all arguments.
    #[must_use]
    pub fn all(&self) -> &'a [Value] {
        self.0
    }

    /// Returns the arguments from an index on: the variadic ones.
    #[must_use]
    pub fn rest(&self, from: usize) -> &'a [Value] {
        self.0.get(from..).unwrap_or(&[])
    }

    /// Returns an argument, nil when it is not there.
    #[must_use]
    pub fn value(&self, index: usize) -> &'a Value {
        const NIL: &Value = &Value::Nil;
        self.0.get(index).unwrap_or(NIL)
    }

    /// Returns a `string` argument.
    ///
    /// # Errors
    /// It is none.
    pub fn string(&self, index: usize) -> Result<&'a Str, CallError> {
        match self.value(index) {
            Value::Str(text) => Ok(text),
            _ => Err(self.mismatch(index, "string")),
        }
    }

    /// Returns a `string` argument as text; invalid UTF-8 is replaced.
    ///
    /// # Errors
    /// It is none.
    pub fn text(&self, index: usize) -> Result<Cow<'a, str>, CallError> {
        self.string(index).map(Str::to_str_lossy)
    }

    /// Returns an argument of a signed integer type.
    ///
    /// # Errors
    /// It is none.
    pub fn int(&self, index: usize) -> Result<i64, CallError> {
        match self.value(index) {
            Value::Int(value, _) => Ok(*value),
            _ => Err(self.mismatch(index, "int")),
        }
    }

    /// Returns a `float64` argument.
    ///
    /// # Errors
    /// It is none.
    pub fn float(&self, index: usize) -> Result<f64, CallError> {
        match self.value(index) {
            Value::Float(value) => Ok(*value),
            _ => Err(self.mismatch(index, "float64")),
        }
    }

    /// Returns a `bool` argument.
    ///
    /// # Errors
    /// It is none.
    pub fn bool(&self, index: usize) -> Result<bool, CallError> {
        match self.value(index) {
            Value::Bool(value) => Ok(*value),
            _ => Err(self.mismatch(index, "bool")),
        }
    }

    /// Returns a slice argument.
    ///
    /// # Errors
    /// It is none.
    pub fn list(&self, index: usize) -> Result<&'a List, CallError> {
        match self.value(index) {
            Value::List(list) => Ok(list),
            _ => Err(self.mismatch(index, "slice")),
        }
    }

    /// Returns a map argument.
    ///
    /// # Errors
    /// It is none.
    pub fn map(&self, index: usize) -> Result<&'a Map, CallError> {
        match self.value(index) {
            Value::Map(map) => Ok(map),
            _ => Err(self.mismatch(index, "map")),
        }
    }

    /// Returns an argument that is an object of a concrete type.
    ///
    /// # Errors
    /// It is none.
    pub fn object<T: Object + 'static>(&self, index: usize) -> Result<&'a T, CallError> {
        match self.value(index) {
            Value::Object(object) => object.as_any().downcast_ref(),
            _ => None,
        }
        .ok_or_else(|| self.mismatch(index, std::any::type_name::<T>()))
    }

    fn mismatch(&self, index: usize, expected: &str) -> CallError {
        let found = self.value(index).kind().name();
        CallError::new(format!("argument {index} is {found} where {expected} is expected"))
    }
}

/// What the execution offers to the functions that it calls. The templates' own execution implements it; whoever tests functions alone may bring another.
pub trait Engine {
    /// Returns the budget.
    fn budget(&mut self) -> &mut Budget;
    /// Returns the time that is taken for now.
    fn now(&self) -> Timestamp;
    /// Returns what the caller gave along for its own functions.
    fn host(&self) -> Option<&dyn Any>;
    /// Fills bytes with entropy.
    fn fill(&mut self, bytes: &mut [u8]);
    /// Returns the name of the template that calls.
    fn template_name(&self) -> Str;
    /// Returns whether there is a template of this name.
    fn is_defined(&self, name: &[u8]) -> bool;
    /// Executes a template by its name.
    ///
    /// # Errors
    /// It is not there or fails.
    fn include(&mut self, name: &Str, data: Value) -> Result<Str, CallError>;
    /// Parses and executes text.
    ///
    /// # Errors
    /// It doesn't parse or fails.
    fn tpl(&mut self, source: &Str, data: Value) -> Result<Str, CallError>;
}

/// What a function may ask of the execution that calls it.
pub struct Call<'a> {
    engine: &'a mut dyn Engine,
}

impl std::fmt::Debug for Call<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Call").finish_non_exhaustive()
    }
}

impl<'a> Call<'a> {
    /// Returns a call within an execution.
    #[must_use]
    pub fn new(engine: &'a mut dyn Engine) -> Self {
        Self { engine }
    }

    /// Returns the budget: charge steps for loops and bytes before they are produced.
    pub fn budget(&mut self) -> &mut Budget {
        self.engine.budget()
    }

    /// Charges steps.
    ///
    /// # Errors
    /// They have run out.
    pub fn step(&mut self, count: usize) -> Result<(), CallError> {
        Ok(self.budget().step(count as u64)?)
    }

    /// Charges bytes that are about to be produced.
    ///
    /// # Errors
    /// They have run out.
    pub fn produce(&mut self, bytes: usize) -> Result<(), CallError> {
        Ok(self.budget().produce(bytes)?)
    }

    /// Returns the time that the execution takes for now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.engine.now()
    }

    /// Fills bytes with the execution's entropy.
    ///
    /// # Errors
    /// The steps have run out: each byte costs one.
    pub fn fill(&mut self, bytes: &mut [u8]) -> Result<(), CallError> {
        self.step(bytes.len())?;
        self.engine.fill(bytes);
        Ok(())
    }

    /// Returns what the caller of the execution gave along for its own functions.
    #[must_use]
    pub fn host<T: 'static>(&self) -> Option<&T> {
        self.engine.host()?.downcast_ref()
    }

    /// Returns the name of the template that calls.
    #[must_use]
    pub fn template_name(&self) -> Str {
        self.engine.template_name()
    }

    /// Returns whether the set has a template of this name.
    #[must_use]
    pub fn is_defined(&self, name: impl AsRef<[u8]>) -> bool {
        self.engine.is_defined(name.as_ref())
    }

    /// Executes a template of the set and returns its output.
    ///
    /// # Errors
    /// There is no such template, it fails, or it nests too deep.
    pub fn include(&mut self, name: &Str, data: Value) -> Result<Str, CallError> {
        self.engine.include(name, data)
    }

    /// Parses text as a template within a copy of the set and returns its output, without `<no value>`.
    ///
    /// # Errors
    /// It doesn't parse, fails, or nests too deep.
    pub fn tpl(&mut self, source: &Str, data: Value) -> Result<Str, CallError> {
        self.engine.tpl(source, data)
    }
}
