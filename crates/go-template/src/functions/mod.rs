//! The function libraries of charts: sprig's, and what Helm adds to them.
//!
//! They behave as the Go ones do, wrong arguments and messages included, within these bounds: nothing reads clock,
//! environment, network or randomness of its own (the execution brings them), the local time zone is UTC, and what is
//! produced is charged to the budget.
//!
//! ```
//! use std::sync::Arc;
//! use go_template::functions::Helm;
//! use go_template::{CountingEntropy, Environment, Templates, Value};
//!
//! let mut templates = Templates::new("chart", Arc::new(Helm::default().functions()));
//! let source = r#"{{ list "b" "a" | sortAlpha | join "-" | quote }} {{ dict "on" (semverCompare "^1.2" "1.9.0") | toYaml }}"#;
//! templates.parse("text", source).unwrap();
//! let mut entropy = CountingEntropy::default();
//! let text = templates.execute("text", &Value::Nil, &mut Environment::new(&mut entropy)).unwrap();
//! assert_eq!(text, "\"a-b\" \"on\": true");
//! ```

mod cast;
mod certificates;
mod crypto;
mod data;
mod dates;
mod decimal;
mod defaults;
mod dicts;
mod digests;
mod encoding;
mod floats;
mod helm;
mod json;
mod lists;
mod merge;
mod numbers;
mod passwords;
mod path;
mod paths;
mod random;
mod reflection;
mod regex_syntax;
mod regexes;
mod runes;
mod semver;
mod show;
mod strings;
mod time;
mod toml_text;
mod url;
mod urls;
mod versions;
mod words;
mod yaml_text;

use crate::function::{Args, Call, CallError, Function, Functions, Signature};
use crate::value::{List, Type, Value};

pub use helm::{FAILURE_END, FAILURE_START, Helm, Lookup, LookupError, Strictness};

/// Parameter types under short names.
const ANY: &Type = &Type::Any;
const STRING: &Type = &Type::String;
const BOOL: &Type = &Type::Bool;
const FLOAT: &Type = &Type::Float64;
const INT: &Type = Type::INT;
const MAP: &Type = Type::ANY_MAP;
const LIST: &Type = Type::ANY_LIST;

/// Adds the functions of sprig 3.3, without `env` and `expandenv`, which Helm takes away too.
pub fn add_sprig(functions: &mut Functions) {
    strings::add(functions);
    numbers::add(functions);
    lists::add(functions);
    dicts::add(functions);
    defaults::add(functions);
    reflection::add(functions);
    encoding::add(functions);
    digests::add(functions);
    data::add_json(functions);
    regexes::add(functions);
    versions::add(functions);
    dates::add(functions);
    urls::add(functions);
    paths::add(functions);
    random::add(functions);
    passwords::add(functions);
    certificates::add(functions);
}

/// Runs the next level of a recursion where there is room for it: values may nest deeper than a thread's stack bears.
fn on_enough_stack<T>(level: impl FnOnce() -> T) -> T {
    const RED_ZONE_BYTES: usize = 128 << 10;
    const STEP_BYTES: usize = 1 << 20;
    stacker::maybe_grow(RED_ZONE_BYTES, STEP_BYTES, level)
}

/// What a function's body returns.
type Answer = Result<Value, CallError>;

/// Adds functions that all take the same and do the same.
fn add_all(
    functions: &mut Functions,
    names: &[&'static str],
    signature: Signature,
    body: impl Fn(&mut Call<'_>, Args<'_>) -> Answer + Send + Sync + Copy + 'static,
) {
    for name in names {
        functions.add(Function::new(*name, signature, body));
    }
}

/// Go's panics that reach the template as errors.
fn nil_dereference() -> CallError {
    CallError::new("runtime error: invalid memory address or nil pointer dereference")
}

/// A type assertion to a concrete type that does not hold.
fn failed_assertion(value: &Value, expected: &str) -> CallError {
    let found = value.go_type().map_or_else(|| "nil".to_owned(), ToString::to_string);
    CallError::new(format!("interface conversion: interface {{}} is {found}, not {expected}"))
}

/// Returns a string that a function produced, charged by its bytes.
fn text(call: &mut Call<'_>, bytes: impl Into<Vec<u8>>) -> Answer {
    let bytes = bytes.into();
    call.produce(bytes.len())?;
    Ok(Value::Str(bytes.into()))
}

/// Charges a list before it is built.
fn charge_items(call: &mut Call<'_>, count: usize) -> Result<(), CallError> {
    call.step(count)?;
    call.produce(count.saturating_mul(size_of::<Value>()))
}

/// Returns a list of anything that a function produced, charged by its items.
fn list(call: &mut Call<'_>, items: Vec<Value>) -> Answer {
    charge_items(call, items.len())?;
    Ok(Value::List(List::new(items)))
}

/// Returns a list of strings that a function produced, charged by its items and bytes.
fn strings_list(call: &mut Call<'_>, items: Vec<Vec<u8>>) -> Answer {
    charge_items(call, items.len())?;
    call.produce(items.iter().map(Vec::len).sum())?;
    Ok(Value::List(List::of_strings(items)))
}

/// Returns whether a text is a version, as charts are numbered: `1.2.3`, `v1.2`, `1.2.3-rc.1+build`.
#[must_use]
pub fn is_version(text: &str) -> bool {
    semver::Version::parse(text).is_ok()
}

/// Returns which of two versions is the later one; none when one of them is malformed.
#[must_use]
pub fn compare_versions(a: &str, b: &str) -> Option<std::cmp::Ordering> {
    Some(semver::Version::parse(a).ok()?.compare(&semver::Version::parse(b).ok()?))
}

/// Returns whether a version is in a range such as `^1.2` or `>=1.2 <3 || 5.x`; false when one of them is malformed.
#[must_use]
pub fn is_version_in_range(version: &str, range: &str) -> bool {
    match (semver::Version::parse(version), semver::Constraint::parse(range)) {
        (Ok(version), Ok(range)) => range.is_met_by(&version),
        _ => false,
    }
}
